//! UBJSON as XGBoost writes it (`save_model("model.ubj")`), read through the same types as the JSON.
//!
//! *Guarantees*: a length in the file is compared with the bytes that are left before anything is taken on its word;
//! nesting is bounded; bytes after the model are refused. A number keeps its type: an `f32` is those 4 bytes.
//!
//! *Does not do*: the parts of UBJSON that the library neither writes nor reads (high-precision numbers, no-ops, typed
//! objects, lengths of another type than `L`).

use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

use crate::recompute::error::ModelError;

/// Arrays and objects within each other; a model needs 8.
const DEPTH_MAX: usize = 64;

/// Reads one document.
pub(super) fn from_slice<T: de::DeserializeOwned>(bytes: &[u8]) -> Result<T, ModelError> {
    let mut reader = Reader { bytes, at: 0, depth: 0 };
    let read = T::deserialize(&mut reader).and_then(|value| match reader.bytes.len() - reader.at {
        0 => Ok(value),
        left => Err(Problem(format!("{left} bytes follow the model"))),
    });
    read.map_err(|Problem(problem)| ModelError::Syntax {
        format: "XGBoost UBJSON",
        place: format!("byte {}", reader.at),
        problem,
    })
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: usize,
}

/// What is wrong; the reader knows where.
#[derive(Debug)]
struct Problem(String);

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Problem {}

impl de::Error for Problem {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

fn problem(text: &str) -> Problem {
    Problem(text.to_owned())
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Problem> {
        let end = self.at.checked_add(count);
        let taken = end.and_then(|end| self.bytes.get(self.at..end));
        let taken =
            taken.ok_or_else(|| Problem(format!("the file ends, but {count} bytes should follow")))?;
        self.at += count;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Problem> {
        self.take(N)?.try_into().map_err(|_| problem("the file ends within a number"))
    }

    fn marker(&mut self) -> Result<u8, Problem> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn expect(&mut self, wanted: u8) -> Result<(), Problem> {
        if self.peek() == Some(wanted) {
            self.at += 1;
            return Ok(());
        }
        Err(Problem(format!("expected `{}`", char::from(wanted))))
    }

    /// `L` and eight bytes: how many items of at least `size` bytes follow.
    fn length(&mut self, size: usize) -> Result<usize, Problem> {
        self.expect(b'L')?;
        let start = self.at;
        let claimed = i64::from_be_bytes(self.array()?);
        let left = self.bytes.len() - self.at;
        match usize::try_from(claimed) {
            Ok(count) if count.checked_mul(size).is_some_and(|bytes| bytes <= left) => Ok(count),
            _ => {
                self.at = start;
                Err(Problem(format!("a length of {claimed} items, but only {left} bytes are left")))
            }
        }
    }

    fn text(&mut self) -> Result<&'a str, Problem> {
        let length = self.length(1)?;
        core::str::from_utf8(self.take(length)?).map_err(|_| problem("the text is not UTF-8"))
    }

    fn enter(&mut self) -> Result<(), Problem> {
        self.depth += 1;
        if self.depth > DEPTH_MAX { Err(problem("arrays and objects are nested too deeply")) } else { Ok(()) }
    }

    /// The shape of an array whose `[` was read: the type of its items where they share one, and their number.
    fn array_head(&mut self) -> Result<(Option<u8>, Option<usize>), Problem> {
        match self.peek() {
            Some(b'$') => {
                self.at += 1;
                let kind = self.marker()?;
                let size = size_of(kind)?;
                self.expect(b'#')?;
                Ok((Some(kind), Some(self.length(size)?)))
            }
            Some(b'#') => {
                self.at += 1;
                Ok((None, Some(self.length(1)?)))
            }
            _ => Ok((None, None)),
        }
    }

    fn value<'de, V: Visitor<'de>>(&mut self, marker: u8, visitor: V) -> Result<V::Value, Problem> {
        match marker {
            b'Z' => visitor.visit_unit(),
            b'T' => visitor.visit_bool(true),
            b'F' => visitor.visit_bool(false),
            b'i' => visitor.visit_i8(i8::from_be_bytes(self.array()?)),
            b'U' => visitor.visit_u8(u8::from_be_bytes(self.array()?)),
            b'I' => visitor.visit_i16(i16::from_be_bytes(self.array()?)),
            b'l' => visitor.visit_i32(i32::from_be_bytes(self.array()?)),
            b'L' => visitor.visit_i64(i64::from_be_bytes(self.array()?)),
            b'd' => visitor.visit_f32(f32::from_be_bytes(self.array()?)),
            b'D' => visitor.visit_f64(f64::from_be_bytes(self.array()?)),
            b'S' => visitor.visit_str(self.text()?),
            b'[' => {
                self.enter()?;
                let (kind, left) = self.array_head()?;
                let value = visitor.visit_seq(Items { reader: self, kind, left })?;
                self.depth -= 1;
                Ok(value)
            }
            b'{' => {
                self.enter()?;
                let value = visitor.visit_map(Members { reader: self })?;
                self.depth -= 1;
                Ok(value)
            }
            other => Err(Problem(format!("unknown type `{}`", char::from(other).escape_debug()))),
        }
    }

    /// Passes over a value; a typed array costs nothing.
    fn skip(&mut self) -> Result<(), Problem> {
        match self.marker()? {
            b'[' => {
                self.enter()?;
                match self.array_head()? {
                    (Some(kind), Some(count)) => _ = self.take(size_of(kind)? * count)?,
                    (_, Some(count)) => (0..count).try_for_each(|_| self.skip())?,
                    (_, None) => {
                        while self.peek() != Some(b']') {
                            self.skip()?;
                        }
                        self.at += 1;
                    }
                }
                self.depth -= 1;
            }
            b'{' => {
                self.enter()?;
                while self.peek() != Some(b'}') {
                    self.text()?;
                    self.skip()?;
                }
                self.at += 1;
                self.depth -= 1;
            }
            b'S' => _ = self.text()?,
            b'Z' | b'T' | b'F' => {}
            kind => _ = self.take(size_of(kind)?)?,
        }
        Ok(())
    }
}

/// Bytes of a number.
fn size_of(kind: u8) -> Result<usize, Problem> {
    match kind {
        b'i' | b'U' => Ok(1),
        b'I' => Ok(2),
        b'l' | b'd' => Ok(4),
        b'L' | b'D' => Ok(8),
        other => Err(Problem(format!("unknown type `{}`", char::from(other).escape_debug()))),
    }
}

impl<'de> Deserializer<'de> for &mut Reader<'_> {
    type Error = Problem;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        let marker = self.marker()?;
        self.value(marker, visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        if self.peek() == Some(b'Z') {
            self.at += 1;
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.skip()?;
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier
    }
}

struct Items<'r, 'a> {
    reader: &'r mut Reader<'a>,
    kind: Option<u8>,
    left: Option<usize>,
}

impl<'de> SeqAccess<'de> for Items<'_, '_> {
    type Error = Problem;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Problem> {
        match &mut self.left {
            Some(0) => return Ok(None),
            Some(left) => *left -= 1,
            None if self.reader.peek() == Some(b']') => {
                self.reader.at += 1;
                return Ok(None);
            }
            None => {}
        }
        match self.kind {
            Some(kind) => seed.deserialize(Typed { reader: self.reader, kind }).map(Some),
            None => seed.deserialize(&mut *self.reader).map(Some),
        }
    }

    fn size_hint(&self) -> Option<usize> {
        self.left
    }
}

/// An item of an array that states the type once.
struct Typed<'r, 'a> {
    reader: &'r mut Reader<'a>,
    kind: u8,
}

impl<'de> Deserializer<'de> for Typed<'_, '_> {
    type Error = Problem;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.reader.value(self.kind, visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

struct Members<'r, 'a> {
    reader: &'r mut Reader<'a>,
}

impl<'de> MapAccess<'de> for Members<'_, '_> {
    type Error = Problem;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Problem> {
        if self.reader.peek() == Some(b'}') {
            self.reader.at += 1;
            return Ok(None);
        }
        let key: StrDeserializer<'_, Problem> = de::IntoDeserializer::into_deserializer(self.reader.text()?);
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Problem> {
        seed.deserialize(&mut *self.reader)
    }
}

#[cfg(test)]
mod tests;
