//! The keys under which the index stores what it knows, and how they are read back.
//!
//! Guarantees: every key of one kind starts with one letter and ends in the leaf index, big-endian, so that a scan
//! gives leaf indices in rising order; what does not have this form is refused.

use ledgerstone::entry::{DecisionId, Entry, Kind};
use ledgerstone::hash::Hash;
use ledgerstone::merkle::LeafIndex;
use ledgerstone::record::SubjectKeyId;
use ledgerstone::time::UnixMillis;

/// The size that the index covers: 8 bytes.
pub(super) const COVERED: &[u8] = b"c";

/// Format version and origin hash.
pub(super) const IDENTITY: &[u8] = b"i";

/// Entries that change something that can need approval: models, policies, keys, rosters.
const CHANGE: u8 = b'g';
const DECISION: u8 = b'd';
const MODEL: u8 = b'm';
const REGISTRATION: u8 = b'r';
const SUBJECT_KEY: u8 = b'k';
const TIME: u8 = b't';

/// What the keys about a decision start with.
pub(super) fn decision(decision: &DecisionId) -> Vec<u8> {
    [&[DECISION], decision.as_bytes().as_slice()].concat()
}

/// What the keys about a subject key start with.
pub(super) fn subject_key(key: &SubjectKeyId) -> Vec<u8> {
    [&[SUBJECT_KEY], key.as_bytes().as_slice()].concat()
}

/// What the keys about a model start with.
pub(super) fn model(digest: &Hash) -> Vec<u8> {
    [&[MODEL], digest.as_bytes().as_slice()].concat()
}

/// What the keys of entries that register a model start with.
pub(super) fn registration() -> Vec<u8> {
    vec![REGISTRATION]
}

/// What the keys of entries that change something start with.
pub(super) fn change() -> Vec<u8> {
    vec![CHANGE]
}

/// What the keys about a point in time start with.
pub(super) fn time(at: UnixMillis) -> Vec<u8> {
    [&[TIME], at.get().to_be_bytes().as_slice()].concat()
}

/// A key that starts with `prefix` and is about the entry at `index`.
pub(super) fn at(mut prefix: Vec<u8>, index: LeafIndex) -> Vec<u8> {
    prefix.extend_from_slice(&index.get().to_be_bytes());
    prefix
}

/// Every prefix that the public part of `entry` is found under, except its decision.
pub(super) fn public(entry: &Entry) -> impl Iterator<Item = Vec<u8>> {
    let registers = (entry.kind == Kind::Model).then(registration);
    let changes = matches!(entry.kind, Kind::Model | Kind::Policy | Kind::Key | Kind::Roster).then(change);
    entry.model.iter().map(model).chain([time(entry.recorded_at)]).chain(registers).chain(changes)
}

/// The leaf index that a key with a prefix of `length` bytes ends in.
pub(super) fn leaf_index(key: &[u8], length: usize) -> Option<LeafIndex> {
    let (_, index) = key.split_at_checked(length)?;
    Some(LeafIndex::new(u64::from_be_bytes(index.try_into().ok()?)))
}
