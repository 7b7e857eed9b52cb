//! The entry as a CBOR map: keys 1 to 14, each at most once, an absent part by an absent key.

use super::{
    Commitment, DecisionId, Detail, Details, Entry, EntryError, Kind, Mode, SealedRef, SessionId, VERSION,
    WriterName,
};
use crate::encoding::cbor::{CborError, Map, Reader, Type, Writer};
use crate::hash::Hash;
use crate::limits::ENTRY_LINKS_MAX;
use crate::merkle::LeafIndex;
use crate::time::UnixMillis;

const KEY_VERSION: u64 = 1;
const KEY_KIND: u64 = 2;
const KEY_WRITER: u64 = 3;
const KEY_SESSION: u64 = 4;
const KEY_SEQUENCE: u64 = 5;
const KEY_RECORDED_AT: u64 = 6;
const KEY_DECISION: u64 = 7;
const KEY_LINKS: u64 = 8;
const KEY_COMMITMENT: u64 = 9;
const KEY_SEALED: u64 = 10;
const KEY_MODEL: u64 = 11;
const KEY_POLICY: u64 = 12;
const KEY_MODE: u64 = 13;
const KEY_DETAILS: u64 = 14;

/// Keys that every entry has: 1 to this one.
const KEYS_ALWAYS: usize = 6;

/// Writes an entry whose parts fit together.
pub(super) fn write(entry: &Entry) -> Vec<u8> {
    let mut writer = Writer::with_capacity(320);
    writer.map(KEYS_ALWAYS + optional_keys(entry));
    writer.uint(KEY_VERSION).uint(VERSION);
    writer.uint(KEY_KIND).uint(entry.kind.number());
    writer.uint(KEY_WRITER).text(entry.writer.as_str());
    writer.uint(KEY_SESSION).bytes(entry.session.as_bytes());
    writer.uint(KEY_SEQUENCE).uint(entry.sequence);
    writer.uint(KEY_RECORDED_AT).uint(entry.recorded_at.get());
    write_optional(&mut writer, entry);
    writer.into_bytes()
}

fn optional_keys(entry: &Entry) -> usize {
    let present = [
        entry.decision.is_some(),
        !entry.links.is_empty(),
        entry.commitment.is_some(),
        entry.sealed.is_some(),
        entry.model.is_some(),
        entry.policy.is_some(),
        entry.mode.is_some(),
        !entry.details.is_empty(),
    ];
    present.into_iter().filter(|present| *present).count()
}

fn write_optional(writer: &mut Writer, entry: &Entry) {
    if let Some(decision) = &entry.decision {
        writer.uint(KEY_DECISION).bytes(decision.as_bytes());
    }
    if !entry.links.is_empty() {
        writer.uint(KEY_LINKS).array(entry.links.len());
        for link in &entry.links {
            writer.uint(link.get());
        }
    }
    if let Some(Commitment { root, count }) = &entry.commitment {
        writer.uint(KEY_COMMITMENT).array(2).bytes(root.as_bytes()).uint((*count).into());
    }
    if let Some(SealedRef { digest, length }) = &entry.sealed {
        writer.uint(KEY_SEALED).array(2).bytes(digest.as_bytes()).uint(*length);
    }
    if let Some(model) = &entry.model {
        writer.uint(KEY_MODEL).bytes(model.as_bytes());
    }
    if let Some(policy) = &entry.policy {
        writer.uint(KEY_POLICY).bytes(policy.as_bytes());
    }
    if let Some(mode) = entry.mode {
        writer.uint(KEY_MODE).uint(mode.number());
    }
    if !entry.details.is_empty() {
        writer.uint(KEY_DETAILS);
        write_details(writer, &entry.details);
    }
}

fn write_details(writer: &mut Writer, details: &Details) {
    writer.map(details.iter().len());
    for (key, detail) in details.iter() {
        writer.uint(key);
        match detail {
            Detail::Uint(value) => writer.uint(*value),
            Detail::Bytes(value) => writer.bytes(value),
            Detail::Text(value) => writer.text(value),
            Detail::Bool(value) => writer.bool(*value),
        };
    }
}

/// Reads an entry; whether its parts fit together is still to be checked.
pub(super) fn read(bytes: &[u8]) -> Result<Entry, EntryError> {
    let mut reader = Reader::new(bytes);
    let mut map = reader.map()?;
    expect_key(&mut map, &mut reader, KEY_VERSION)?;
    let found = reader.uint()?;
    if found != VERSION {
        return Err(EntryError::Version { found });
    }
    expect_key(&mut map, &mut reader, KEY_KIND)?;
    let found = reader.uint()?;
    let kind = Kind::from_number(found).ok_or(EntryError::UnknownKind { found })?;
    expect_key(&mut map, &mut reader, KEY_WRITER)?;
    let writer = WriterName::parse(reader.text()?).map_err(|_| EntryError::Writer)?;
    expect_key(&mut map, &mut reader, KEY_SESSION)?;
    let session = SessionId::from_bytes(reader.byte_array()?);
    expect_key(&mut map, &mut reader, KEY_SEQUENCE)?;
    let sequence = reader.uint()?;
    expect_key(&mut map, &mut reader, KEY_RECORDED_AT)?;
    let mut entry = Entry::new(kind, writer, session, sequence);
    entry.recorded_at = UnixMillis::new(reader.uint()?);
    while let Some(key) = map.next_key(&mut reader, Reader::uint)? {
        read_optional(&mut reader, key, &mut entry)?;
    }
    reader.finish()?;
    Ok(entry)
}

/// Reads the next key, which is to be `wanted`.
fn expect_key<'a>(map: &mut Map<'a>, reader: &mut Reader<'a>, wanted: u64) -> Result<(), EntryError> {
    match map.next_key(reader, Reader::uint)? {
        Some(key) if key == wanted => Ok(()),
        _ => Err(EntryError::MissingKey { key: wanted }),
    }
}

fn read_optional(reader: &mut Reader<'_>, key: u64, entry: &mut Entry) -> Result<(), EntryError> {
    match key {
        KEY_DECISION => entry.decision = Some(DecisionId::from_bytes(reader.byte_array()?)),
        KEY_LINKS => entry.links = read_links(reader)?,
        KEY_COMMITMENT => {
            let (root, count) = read_pair(reader)?;
            let at = reader.offset();
            let count = u32::try_from(count).map_err(|_| CborError::OutOfRange { at })?;
            entry.commitment = Some(Commitment { root, count });
        }
        KEY_SEALED => {
            let (digest, length) = read_pair(reader)?;
            entry.sealed = Some(SealedRef { digest, length });
        }
        KEY_MODEL => entry.model = Some(Hash::from_bytes(reader.byte_array()?)),
        KEY_POLICY => entry.policy = Some(Hash::from_bytes(reader.byte_array()?)),
        KEY_MODE => {
            let found = reader.uint()?;
            entry.mode = Some(Mode::from_number(found).ok_or(EntryError::UnknownMode { found })?);
        }
        KEY_DETAILS => entry.details = read_details(reader)?,
        key => return Err(EntryError::UnknownKey { key }),
    }
    Ok(())
}

fn read_links(reader: &mut Reader<'_>) -> Result<Vec<LeafIndex>, EntryError> {
    let count = reader.array()?;
    match count {
        0 => Err(EntryError::Empty { key: KEY_LINKS }),
        1..=ENTRY_LINKS_MAX => (0..count).map(|_| Ok(LeafIndex::new(reader.uint()?))).collect(),
        _ => Err(EntryError::TooManyLinks { count }),
    }
}

/// A digest and a number.
fn read_pair(reader: &mut Reader<'_>) -> Result<(Hash, u64), CborError> {
    reader.array_of(2)?;
    Ok((Hash::from_bytes(reader.byte_array()?), reader.uint()?))
}

fn read_details(reader: &mut Reader<'_>) -> Result<Details, EntryError> {
    let mut details = Details::new();
    let mut map = reader.map()?;
    while let Some(key) = map.next_key(reader, Reader::uint)? {
        let at = reader.offset();
        let detail = match reader.peek()? {
            Type::Int => Detail::Uint(reader.uint()?),
            Type::Bytes => Detail::Bytes(reader.bytes()?.to_vec()),
            Type::Text => Detail::Text(reader.text()?.to_owned()),
            Type::Bool => Detail::Bool(reader.bool()?),
            _ => return Err(CborError::WrongType { at }.into()),
        };
        details = details.with(key, detail);
    }
    if details.is_empty() {
        return Err(EntryError::Empty { key: KEY_DETAILS });
    }
    Ok(details)
}
