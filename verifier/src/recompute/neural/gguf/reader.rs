//! Strings, values and tensors of a GGUF file's header, byte by byte.
//!
//! *Guarantees*: nothing outside the file is read; strings and lists are bounded, and of a list only its measures are kept.
//!
//! *Does not do*: say what a key means.

use crate::recompute::error::{ModelError, malformed, shown, unsupported};

/// Bytes of a string; chat templates have some thousands.
const STRING_BYTES_MAX: u64 = 1 << 17;
/// Elements of a list; vocabularies have up to 300,000.
const ELEMENTS_MAX: u64 = 1 << 20;

/// Bytes of a block and numbers in it, by the type's number in the format.
const KINDS: [(u32, usize, usize); 13] = [
    (0, 1, 4),
    (1, 1, 2),
    (2, 32, 18),
    (3, 32, 20),
    (6, 32, 22),
    (7, 32, 24),
    (8, 32, 34),
    (10, 256, 84),
    (11, 256, 110),
    (12, 256, 144),
    (13, 256, 176),
    (14, 256, 210),
    (30, 1, 2),
];

/// A tensor of a file.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stored {
    pub(super) name: String,
    /// The fastest first.
    pub(super) sides: Vec<usize>,
    /// The type's number in the format.
    pub(super) kind: u32,
    /// Where it begins and ends, from the beginning of the data.
    pub(super) place: std::ops::Range<usize>,
}

/// What stands behind a key.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Number(u64),
    Float(f64),
    Text(String),
    /// Number of elements, the longest string among them, and the type of the elements.
    List(usize, usize, u32),
}

pub(super) struct Reader<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], ModelError> {
        let end = self.at.checked_add(count);
        let taken = end.and_then(|end| self.bytes.get(self.at..end));
        let taken = taken.ok_or_else(|| malformed(format!("byte {}", self.at), "the file ends too early"))?;
        self.at += count;
        Ok(taken)
    }

    pub(super) fn u32(&mut self) -> Result<u32, ModelError> {
        Ok(self.take(4)?.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes)))
    }

    pub(super) fn u64(&mut self) -> Result<u64, ModelError> {
        Ok(self.take(8)?.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes)))
    }

    fn string(&mut self) -> Result<&'a [u8], ModelError> {
        let at = self.at;
        let length = self.u64()?;
        match usize::try_from(length) {
            Ok(count) if length <= STRING_BYTES_MAX => self.take(count),
            _ => Err(malformed(format!("byte {at}"), "is a string above 128 KiB")),
        }
    }

    pub(super) fn text(&mut self) -> Result<String, ModelError> {
        let at = self.at;
        let text = std::str::from_utf8(self.string()?).map(str::to_owned);
        text.map_err(|_| malformed(format!("byte {at}"), "is not UTF-8"))
    }

    pub(super) fn value(&mut self, kind: u32) -> Result<Value, ModelError> {
        let at = self.at;
        let value = match kind {
            // Whole numbers; a negative one becomes larger than any bound.
            0 | 1 | 7 => Value::Number(self.take(1)?.first().copied().map_or(0, u64::from)),
            2 | 3 => {
                Value::Number(self.take(2)?.first_chunk().map_or(0, |b| u64::from(u16::from_le_bytes(*b))))
            }
            4 | 5 => Value::Number(u64::from(self.u32()?)),
            10 | 11 => Value::Number(self.u64()?),
            6 => Value::Float(f64::from(f32::from_bits(self.u32()?))),
            12 => Value::Float(f64::from_bits(self.u64()?)),
            8 => Value::Text(self.text()?),
            9 => {
                let (inner, count) = (self.u32()?, self.u64()?);
                if inner == 9 || count > ELEMENTS_MAX {
                    return Err(malformed(
                        format!("byte {at}"),
                        "is a list of lists, or has above a million elements",
                    ));
                }
                let mut longest = 0;
                for _ in 0..count {
                    match inner {
                        8 => longest = longest.max(self.string()?.len()),
                        inner => drop(self.value(inner)?),
                    }
                }
                Value::List(usize::try_from(count).unwrap_or(usize::MAX), longest, inner)
            }
            _ => return Err(malformed(format!("byte {at}"), "has an unknown type")),
        };
        Ok(value)
    }

    /// A tensor and its place.
    pub(super) fn tensor(&mut self) -> Result<Stored, ModelError> {
        let name = self.text()?;
        let bad = |problem| malformed(format!("tensor {}", shown(&name)), problem);
        let dimensions = self.u32()?;
        if dimensions == 0 || dimensions > 4 {
            return Err(bad("has none or more than 4 dimensions"));
        }
        let mut sides = Vec::new();
        for _ in 0..dimensions {
            sides.push(usize::try_from(self.u64()?).unwrap_or(usize::MAX));
        }
        let count = sides.iter().try_fold(1_usize, |count, side| count.checked_mul(*side));
        let kind = self.u32()?;
        let offset = usize::try_from(self.u64()?).ok();
        let Some((_, block, width)) = KINDS.iter().find(|(number, ..)| *number == kind) else {
            return Err(unsupported(format!("a tensor of type {kind}"), format!("tensor {}", shown(&name))));
        };
        let size = count
            .filter(|count| count.is_multiple_of(*block))
            .and_then(|count| (count / block).checked_mul(*width));
        let end = size.and_then(|size| offset?.checked_add(size));
        let (Some(start), Some(end)) = (offset, end) else { return Err(bad("has sizes that cannot be")) };
        Ok(Stored { name, sides, kind, place: start..end })
    }
}
