//! The safetensors format: named arrays of numbers behind a JSON header, checked before a byte of it is used.
//!
//! *Guarantees*: every tensor lies inside the file, has exactly the bytes that its shape and type say, overlaps no other, and leaves no gap;
//! no name stands twice. Memory is bounded by the file's length.
//!
//! *Does not do*: turn bytes into numbers of a network; read pickles.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{MapAccess, Visitor};

use crate::recompute::error::{ModelError, malformed, shown};

const FORMAT: &str = "safetensors";

/// Bytes of the header. The largest model on the market has under a megabyte.
const HEADER_BYTES_MAX: usize = 1 << 24;

/// Tensors of a file.
const TENSORS_MAX: usize = 1 << 16;

/// Dimensions of a tensor.
const DIMENSIONS_MAX: usize = 8;

/// The type of a tensor's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Kind {
    /// IEEE 754 doubles.
    F64,
    /// IEEE 754 single precision.
    F32,
    /// IEEE 754 half precision.
    F16,
    /// The upper half of a single.
    BF16,
    /// Whole numbers of 8 bytes.
    I64,
    /// Whole numbers of 4 bytes.
    I32,
    /// Whole numbers of 2 bytes.
    I16,
    /// Whole numbers of 1 byte.
    I8,
    /// Bytes.
    U8,
    /// Truth values.
    Bool,
}

impl Kind {
    /// Bytes of a number.
    #[must_use]
    pub const fn width(self) -> usize {
        match self {
            Self::F64 | Self::I64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::F16 | Self::BF16 | Self::I16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }
}

/// A tensor of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored<'a> {
    /// The type of its numbers.
    pub kind: Kind,
    /// Its dimensions, the last one the fastest.
    pub shape: Vec<usize>,
    /// Its numbers, little-endian.
    pub bytes: &'a [u8],
    /// Where they begin in the file.
    pub offset: usize,
}

#[derive(Deserialize)]
struct EntryJson {
    dtype: Kind,
    shape: Vec<usize>,
    data_offsets: (usize, usize),
}

/// The tensors of a file by name.
///
/// # Errors
/// [`ModelError`] says what is wrong, and with which tensor.
pub fn tensors(bytes: &[u8]) -> Result<BTreeMap<String, Stored<'_>>, ModelError> {
    let length = bytes.first_chunk().map(|length| u64::from_le_bytes(*length));
    let length =
        length.and_then(|length| usize::try_from(length).ok()).filter(|length| *length <= HEADER_BYTES_MAX);
    let header = length.and_then(|length| bytes.get(8..)?.split_at_checked(length));
    let Some((header, data)) = header else {
        return Err(malformed("the header's length", "is longer than the file or than 16 MiB"));
    };
    let Header(entries) = serde_json::from_slice(header).map_err(|error| ModelError::json(FORMAT, &error))?;
    if entries.len() > TENSORS_MAX {
        return Err(ModelError::Limit { what: "tensors", found: entries.len(), max: TENSORS_MAX });
    }
    let start = 8 + header.len();
    let mut ranges = Vec::with_capacity(entries.len());
    let mut tensors = BTreeMap::new();
    for (name, entry) in entries {
        let (from, to) = entry.data_offsets;
        let at = |problem| malformed(format!("tensor {}", shown(&name)), problem);
        if entry.shape.len() > DIMENSIONS_MAX {
            return Err(at("has more than 8 dimensions"));
        }
        let size = entry.shape.iter().try_fold(entry.dtype.width(), |size, side| size.checked_mul(*side));
        if size.is_none() || to.checked_sub(from) != size {
            return Err(at("has another number of bytes than its shape and type say"));
        }
        let bytes = data.get(from..to).ok_or_else(|| at("does not lie inside the file"))?;
        ranges.push((from, to));
        tensors.insert(name, Stored { kind: entry.dtype, shape: entry.shape, bytes, offset: start + from });
    }
    ranges.sort_unstable();
    let end = ranges.into_iter().try_fold(0, |end, (from, to)| (from == end).then_some(to));
    if end != Some(data.len()) {
        return Err(malformed("the tensors", "overlap or leave bytes of the file unused"));
    }
    Ok(tensors)
}

/// The entries in the order of the file; a map of serde's would let the last of two with one name win.
struct Header(BTreeMap<String, EntryJson>);

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HeaderVisitor)
    }
}

struct HeaderVisitor;

impl<'de> Visitor<'de> for HeaderVisitor {
    type Value = Header;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
        let mut entries = BTreeMap::new();
        while let Some(name) = map.next_key::<String>()? {
            if name == "__metadata__" {
                map.next_value::<serde::de::IgnoredAny>()?;
            } else if entries.insert(name, map.next_value()?).is_some() {
                return Err(serde::de::Error::custom("a name stands twice"));
            }
        }
        Ok(Header(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, data: usize) -> Vec<u8> {
        let length = u64::try_from(header.len()).unwrap();
        [&length.to_le_bytes()[..], header.as_bytes(), &vec![7; data]].concat()
    }

    #[test]
    fn reads_tensors_and_leaves_the_metadata_alone() {
        let header = r#"{"__metadata__":{"format":"pt"},"b":{"dtype":"F32","shape":[2,1],"data_offsets":[4,12]},
            "a":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}"#;
        let bytes = file(header, 12);
        let read = tensors(&bytes).unwrap();
        assert_eq!(read["b"].shape, [2, 1]);
        assert_eq!(
            (read["a"].kind, read["a"].bytes, read["a"].offset),
            (Kind::BF16, &[7; 4][..], 8 + header.len())
        );
    }

    #[test]
    fn refuses_headers_that_lie() {
        let one = |entry: &str| format!(r#"{{"a":{entry}}}"#);
        let cases = [
            (one(r#"{"dtype":"F32","shape":[2],"data_offsets":[0,4]}"#), 4, "too short for its shape"),
            (one(r#"{"dtype":"F32","shape":[2],"data_offsets":[0,8]}"#), 4, "outside the file"),
            (one(r#"{"dtype":"F32","shape":[1],"data_offsets":[8,4]}"#), 8, "backwards"),
            (one(r#"{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}"#), 0, "overflows"),
            (one(r#"{"dtype":"F32","shape":[1],"data_offsets":[4,8]}"#), 8, "leaves a gap"),
            (one(r#"{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"#), 8, "leaves a tail"),
            (one(r#"{"dtype":"Q4","shape":[1],"data_offsets":[0,4]}"#), 4, "unknown type"),
            (one(r#"{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,4]}"#), 4, "nine dimensions"),
            (one(r#"{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}"#), 4, "negative"),
            (
                r#"{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}"#.to_owned(),
                3,
                "overlap",
            ),
            (
                r#"{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}"#.to_owned(),
                0,
                "a name twice",
            ),
            ("[]".to_owned(), 0, "no object"),
        ];
        for (header, data, why) in cases {
            assert!(tensors(&file(&header, data)).is_err(), "{why}");
        }
        assert!(tensors(&u64::MAX.to_le_bytes()).is_err(), "a header longer than any file");
        assert!(tensors(&[0; 7]).is_err(), "no length");
    }
}
