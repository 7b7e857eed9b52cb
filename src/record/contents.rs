//! The contents of a sealed record as bytes: what is encrypted beside the log, and what an evidence bundle carries opened.
//!
//! Guarantees: one encoding for the same contents; what is decoded is what was encoded, or it is refused.
//! Does not do: encryption, or comparing the fields with a commitment. Specification: `docs/spec/sealed-record.md`.

use zeroize::{Zeroize as _, Zeroizing};

use super::{FieldPath, Record, RecordBuilder, RecordSecret, Value};
use crate::code::Code;
use crate::encoding::cbor::{CborError, Reader, Writer};

/// What a sealed record holds.
#[derive(Clone, Debug)]
pub struct Contents<'a> {
    /// What the salts of the field tree are derived from.
    pub secret: RecordSecret,
    /// The fields.
    pub record: Record,
    /// The request as protobuf bytes, where the route keeps it.
    pub request: Option<&'a [u8]>,
    /// The response as protobuf bytes, where the route keeps it.
    pub response: Option<&'a [u8]>,
}

/// The contents as deterministic CBOR, wiped from memory when dropped.
#[must_use]
pub fn encode_contents(
    secret: &RecordSecret,
    record: &Record,
    request: Option<&[u8]>,
    response: Option<&[u8]>,
) -> Zeroizing<Vec<u8>> {
    let raw = [request, response];
    let kept = raw.iter().flatten().count();
    let raw_bytes: usize = raw.iter().flatten().map(|bytes| bytes.len()).sum();
    // Room for the usual field; a buffer that has to grow leaves unwiped copies behind.
    let mut writer = Writer::with_capacity(256 + raw_bytes + fields_bytes(record));
    writer.map(2 + kept).uint(1).bytes(secret.as_bytes());
    writer.uint(2).array(record.fields().len());
    for field in record.fields() {
        writer.array(2).text(field.path.as_str());
        field.value.encode(&mut writer);
    }
    for (key, bytes) in [(3, request), (4, response)] {
        if let Some(bytes) = bytes {
            writer.uint(key).bytes(bytes);
        }
    }
    Zeroizing::new(writer.into_bytes())
}

/// Bytes that the fields take as CBOR, or a little more.
fn fields_bytes(record: &Record) -> usize {
    record.fields().iter().map(|f| 12 + f.path.as_str().len() + f.value.check().unwrap_or(0)).sum()
}

impl<'a> Contents<'a> {
    /// Reads contents back.
    ///
    /// # Errors
    /// [`ContentsError`] if the bytes are not the contents of a record.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, ContentsError> {
        let mut reader = Reader::new(bytes);
        let mut map = reader.map()?;
        let mut secret = None;
        let mut record = None;
        let mut request = None;
        let mut response = None;
        while let Some(key) = map.next_key(&mut reader, Reader::uint)? {
            match key {
                1 => {
                    let mut bytes = reader.byte_array::<{ RecordSecret::LEN }>()?;
                    secret = Some(RecordSecret::from_bytes(bytes));
                    bytes.zeroize();
                }
                2 => record = Some(fields(&mut reader)?),
                3 => request = Some(reader.bytes()?),
                4 => response = Some(reader.bytes()?),
                _ => return Err(ContentsError::NoRecord),
            }
        }
        reader.finish()?;
        let (secret, record) = secret.zip(record).ok_or(ContentsError::NoRecord)?;
        Ok(Self { secret, record, request, response })
    }
}

fn fields(reader: &mut Reader<'_>) -> Result<Record, ContentsError> {
    let count = reader.array()?;
    let mut builder = RecordBuilder::new();
    for _ in 0..count {
        reader.array_of(2)?;
        let path = FieldPath::parse(reader.text()?).map_err(|_| ContentsError::NoRecord)?;
        let value = Value::decode(reader)?;
        builder.add(path, value).map_err(|_| ContentsError::NoRecord)?;
    }
    builder.build().map_err(|_| ContentsError::NoRecord)
}

/// Why bytes are not the contents of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ContentsError {
    /// They are not deterministic CBOR.
    #[error("the contents of a record do not read: {0}")]
    Cbor(#[from] CborError),
    /// They are CBOR, but no record.
    #[error("what was opened holds no record: something other than a sidecar made it")]
    NoRecord,
}

impl ContentsError {
    /// What the reader must do next.
    #[must_use]
    pub const fn code(&self) -> Code {
        Code::Malformed
    }
}
