//! The fields of a protobuf message, one after the other, without copying them.
//!
//! *Guarantees*: reads what the public wire format says; a field that runs past the message's end, a number longer than ten
//! bytes and groups are errors. Nothing is allocated and nothing recurses, so that no message costs more than its length.
//!
//! *Does not do*: know any message.

use crate::recompute::error::ModelError;

/// The fields of a message.
#[derive(Clone, Debug)]
pub(super) struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Where the message begins in the file, for errors.
    offset: usize,
}

/// A field's value.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'a> {
    Varint(u64),
    Fixed64([u8; 8]),
    Fixed32([u8; 4]),
    Bytes(Message<'a>),
}

/// Bytes of the file that are a message, a text, or numbers side by side.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Message<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) offset: usize,
}

/// A field: its number in the message and its value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field<'a> {
    pub(super) number: u32,
    pub(super) value: Value<'a>,
    /// Where it begins in the file.
    pub(super) offset: usize,
}

const VARINT_BYTES_MAX: u32 = 10;

impl<'a> Message<'a> {
    pub(super) fn fields(self) -> Fields<'a> {
        Fields { bytes: self.bytes, at: 0, offset: self.offset }
    }
}

impl<'a> Field<'a> {
    /// The value as a message, text or bytes.
    pub(super) fn message(self) -> Result<Message<'a>, ModelError> {
        match self.value {
            Value::Bytes(message) => Ok(message),
            _ => Err(self.defect("is a number where a message should be")),
        }
    }

    pub(super) fn text(self) -> Result<&'a str, ModelError> {
        std::str::from_utf8(self.message()?.bytes).map_err(|_| self.defect("is not UTF-8 text"))
    }

    pub(super) fn integer(self) -> Result<i64, ModelError> {
        match self.value {
            Value::Varint(number) => Ok(number.cast_signed()),
            _ => Err(self.defect("is not the whole number that should be here")),
        }
    }

    pub(super) fn float(self) -> Result<f32, ModelError> {
        match self.value {
            Value::Fixed32(bytes) => Ok(f32::from_le_bytes(bytes)),
            _ => Err(self.defect("is not the 32-bit number that should be here")),
        }
    }

    /// Adds whole numbers, which stand alone or packed.
    pub(super) fn integers(self, into: &mut Vec<i64>) -> Result<(), ModelError> {
        let Value::Bytes(packed) = self.value else {
            into.push(self.integer()?);
            return Ok(());
        };
        let mut numbers = packed.fields();
        while numbers.at < numbers.bytes.len() {
            into.push(numbers.varint()?.cast_signed());
        }
        Ok(())
    }

    /// Adds 32-bit numbers, which stand alone or packed.
    pub(super) fn floats(self, into: &mut Vec<f32>) -> Result<(), ModelError> {
        let Value::Bytes(packed) = self.value else {
            into.push(self.float()?);
            return Ok(());
        };
        let (numbers, rest) = packed.bytes.as_chunks::<4>();
        into.extend(numbers.iter().map(|number| f32::from_le_bytes(*number)));
        if rest.is_empty() { Ok(()) } else { Err(self.defect("ends within a number")) }
    }

    /// Adds 64-bit numbers, which stand alone or packed.
    pub(super) fn doubles(self, into: &mut Vec<f64>) -> Result<(), ModelError> {
        let packed = match self.value {
            Value::Fixed64(bytes) => {
                into.push(f64::from_le_bytes(bytes));
                return Ok(());
            }
            _ => self.message()?,
        };
        let (numbers, rest) = packed.bytes.as_chunks::<8>();
        into.extend(numbers.iter().map(|number| f64::from_le_bytes(*number)));
        if rest.is_empty() { Ok(()) } else { Err(self.defect("ends within a number")) }
    }

    pub(super) fn defect(self, problem: &str) -> ModelError {
        syntax(self.offset, problem)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, ModelError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.bytes.len() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.at = self.bytes.len();
        }
        Some(field)
    }
}

impl<'a> Fields<'a> {
    /// Where the next field begins in the file.
    pub(super) const fn place(&self) -> usize {
        self.offset + self.at
    }

    fn field(&mut self) -> Result<Field<'a>, ModelError> {
        const VARINT: u64 = 0;
        const FIXED64: u64 = 1;
        const BYTES: u64 = 2;
        const FIXED32: u64 = 5;
        let offset = self.offset + self.at;
        let key = self.varint()?;
        let number = u32::try_from(key >> 3).ok().filter(|number| *number > 0);
        let number = number.ok_or_else(|| syntax(offset, "a field has no number"))?;
        let value = match key & 7 {
            VARINT => Value::Varint(self.varint()?),
            FIXED64 => Value::Fixed64(self.array()?),
            FIXED32 => Value::Fixed32(self.array()?),
            BYTES => {
                let length = usize::try_from(self.varint()?).unwrap_or(usize::MAX);
                let start = self.offset + self.at;
                Value::Bytes(Message { bytes: self.take(length)?, offset: start })
            }
            _ => return Err(syntax(offset, "a field has a type that no ONNX message has")),
        };
        Ok(Field { number, value, offset })
    }

    fn varint(&mut self) -> Result<u64, ModelError> {
        let mut number = 0_u64;
        for place in 0..VARINT_BYTES_MAX {
            let [byte] = self.array::<1>()?;
            number |= u64::from(byte & 0x7f) << (7 * place);
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(syntax(self.offset + self.at, "a number does not end"))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ModelError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], ModelError> {
        let end = self.at.checked_add(length);
        let taken = end.and_then(|end| self.bytes.get(self.at..end));
        let taken = taken.ok_or_else(|| syntax(self.offset + self.at, "a field runs past the end"))?;
        self.at += length;
        Ok(taken)
    }
}

fn syntax(offset: usize, problem: &str) -> ModelError {
    ModelError::Syntax { format: "ONNX", place: format!("byte {offset}"), problem: problem.to_owned() }
}
