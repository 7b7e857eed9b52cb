//! The anchor statement: the few bytes whose hash is fixed outside, and what travels with them.
//!
//! Guarantees: at most [`STATEMENT_BYTES_MAX`] bytes of deterministic CBOR; what [`Statement::decode`] accepts,
//! [`Statement::encode`] gives back byte for byte, so a statement has one spelling and its hash one meaning. Nothing in it
//! is about a person (INV-8).
//! Does not do: following one statement to the next, or checking the checkpoint that it names: see
//! [`chain`](crate::anchor::chain).
//! Specification: `docs/spec/anchor-statement.md`.

use crate::code::Code;
use crate::encoding::cbor::{CborError, Map, Reader, Writer};
use crate::hash::{Hash, empty_root};
use crate::limits::{ANCHOR_SEQ_MAX, STATEMENT_BYTES_MAX, TREE_SIZE_MAX};
use crate::merkle::TreeSize;
use crate::note::KeyName;

pub use crate::entry::{AnchorKind, LaneName};

/// Version of the format, the first value of every statement.
pub const VERSION: u64 = 1;

/// Pairs of the map.
const KEYS: usize = 10;

/// A tree by its size and root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Leaves in the tree.
    pub size: TreeSize,
    /// Its root hash.
    pub root: Hash,
}

impl Head {
    /// The tree without leaves, at which every chain of statements starts.
    #[must_use]
    pub fn empty() -> Self {
        Self { size: TreeSize::EMPTY, root: empty_root() }
    }
}

/// One statement of a lane's chain. The fields are public to be filled in; [`Statement::encode`] checks that they fit
/// together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Which log.
    pub origin: KeyName,
    /// Which anchor target; each has a chain of its own.
    pub lane: LaneName,
    /// Its place in the lane's chain, counted from 1, at most [`ANCHOR_SEQ_MAX`].
    pub seq: u64,
    /// What the statement before fixed; the empty tree for the first.
    pub from: Head,
    /// What this one fixes; larger than `from`.
    pub to: Head,
    /// The hash of the statement before; all zero for the first.
    pub previous: Hash,
    /// SHA-256 of the signed checkpoint note of `to`.
    pub checkpoint: Hash,
}

/// What stands for no statement, before the first one.
pub const NO_STATEMENT: Hash = Hash::from_bytes([0; Hash::LEN]);

impl Statement {
    /// The bytes that are fixed outside.
    ///
    /// # Errors
    /// [`StatementError`] if the parts do not fit together.
    pub fn encode(&self) -> Result<Vec<u8>, StatementError> {
        self.check()?;
        let mut writer = Writer::with_capacity(STATEMENT_BYTES_MAX);
        writer.map(KEYS);
        writer.uint(1).uint(VERSION);
        writer.uint(2).text(self.origin.as_str());
        writer.uint(3).text(self.lane.as_str());
        writer.uint(4).uint(self.seq);
        writer.uint(5).uint(self.from.size.get());
        writer.uint(6).uint(self.to.size.get());
        writer.uint(7).bytes(self.from.root.as_bytes());
        writer.uint(8).bytes(self.to.root.as_bytes());
        writer.uint(9).bytes(self.previous.as_bytes());
        writer.uint(10).bytes(self.checkpoint.as_bytes());
        Ok(writer.into_bytes())
    }

    /// Reads a statement from its exact bytes.
    ///
    /// # Errors
    /// [`StatementError`] if the bytes are anything else than what [`Statement::encode`] gives for some statement.
    pub fn decode(bytes: &[u8]) -> Result<Self, StatementError> {
        if bytes.len() > STATEMENT_BYTES_MAX {
            return Err(StatementError::TooLarge { len: bytes.len() });
        }
        let mut reader = Reader::new(bytes);
        let mut map = reader.map()?;
        expect_key(&mut map, &mut reader, 1)?;
        let found = reader.uint()?;
        if found != VERSION {
            return Err(StatementError::Version { found });
        }
        let statement = Self::read_parts(&mut map, &mut reader)?;
        if let Some(key) = map.next_key(&mut reader, Reader::uint)? {
            return Err(StatementError::UnknownKey { key });
        }
        reader.finish()?;
        statement.check()?;
        Ok(statement)
    }

    /// SHA-256 of the statement's bytes: what is fixed outside, and what the next statement names.
    ///
    /// # Errors
    /// As [`Statement::encode`].
    pub fn hash(&self) -> Result<Hash, StatementError> {
        Ok(Hash::of(&self.encode()?))
    }

    /// Reads what follows the version.
    fn read_parts<'a>(map: &mut Map<'a>, reader: &mut Reader<'a>) -> Result<Self, StatementError> {
        expect_key(map, reader, 2)?;
        let origin = KeyName::new(reader.text()?).map_err(|_| StatementError::Origin)?;
        expect_key(map, reader, 3)?;
        let lane = LaneName::parse(reader.text()?).map_err(|_| StatementError::Lane)?;
        let mut uint = |key| {
            expect_key(map, reader, key)?;
            Ok::<_, StatementError>(reader.uint()?)
        };
        let (seq, from_size, to_size) = (uint(4)?, TreeSize::new(uint(5)?), TreeSize::new(uint(6)?));
        let mut hash = |key| {
            expect_key(map, reader, key)?;
            Ok::<_, StatementError>(Hash::from_bytes(reader.byte_array()?))
        };
        let (from_root, to_root) = (hash(7)?, hash(8)?);
        let (previous, checkpoint) = (hash(9)?, hash(10)?);
        let from = Head { size: from_size, root: from_root };
        let to = Head { size: to_size, root: to_root };
        Ok(Self { origin, lane, seq, from, to, previous, checkpoint })
    }

    /// Checks that the parts fit together.
    fn check(&self) -> Result<(), StatementError> {
        let Self { seq, from, to, previous, .. } = self;
        if !(1..=ANCHOR_SEQ_MAX).contains(seq) {
            return Err(StatementError::Seq { seq: *seq });
        }
        if to.size <= from.size || to.size.get() > TREE_SIZE_MAX {
            return Err(StatementError::Sizes { from: from.size, to: to.size });
        }
        let is_genesis = *from == Head::empty() && *previous == NO_STATEMENT;
        let is_later = !from.size.is_empty() && *previous != NO_STATEMENT;
        match seq {
            1 if !is_genesis => Err(StatementError::Genesis),
            2.. if !is_later => Err(StatementError::NoPrevious { seq: *seq }),
            _ => Ok(()),
        }
    }
}

/// Reads the next key, which is to be `wanted`.
fn expect_key<'a>(map: &mut Map<'a>, reader: &mut Reader<'a>, wanted: u64) -> Result<(), StatementError> {
    match map.next_key(reader, Reader::uint)? {
        Some(key) if key == wanted => Ok(()),
        _ => Err(StatementError::MissingKey { key: wanted }),
    }
}

/// A statement and what shows that it is true: everything that is not about where it was fixed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The statement's bytes.
    pub statement: Vec<u8>,
    /// The signed checkpoint note of the tree that it fixes.
    pub checkpoint: Vec<u8>,
    /// The consistency proof from `from` to `to`, lowest hash first; empty for the first statement.
    pub consistency: Vec<Hash>,
}

/// Why bytes are not a statement, or parts do not make one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StatementError {
    /// More than [`STATEMENT_BYTES_MAX`] bytes.
    #[error("{len} bytes; an anchor statement has at most {STATEMENT_BYTES_MAX}: this is another file")]
    TooLarge {
        /// How many there were.
        len: usize,
    },
    /// Not deterministic CBOR, or not of the types a statement has.
    #[error("this is not an anchor statement: {0}")]
    Cbor(#[from] CborError),
    /// Another version of the format.
    #[error("anchor statement version {found}; this build reads version {VERSION}: use a newer one")]
    Version {
        /// The version found.
        found: u64,
    },
    /// One of the keys 1 to 10 is missing, or another stands in its place.
    #[error("map key {key}, which every anchor statement has, is missing")]
    MissingKey {
        /// The key.
        key: u64,
    },
    /// A map key that no statement has.
    #[error("map key {key} is not one of an anchor statement")]
    UnknownKey {
        /// The key.
        key: u64,
    },
    /// The origin is not one that a log can have.
    #[error("the origin is not one that a log can have: fetch the statement again")]
    Origin,
    /// The lane is not a [`LaneName`].
    #[error("the lane's name is not 1 to 32 characters of a-z 0-9 -, the first one no hyphen")]
    Lane,
    /// A place that no statement has.
    #[error("sequence number {seq}; the statements of a lane are counted from 1 to {ANCHOR_SEQ_MAX}")]
    Seq {
        /// The number found.
        seq: u64,
    },
    /// The tree did not grow, or is larger than a tree can be.
    #[error("the statement leads from {from} leaves to {to}: a statement is made only of a tree that grew")]
    Sizes {
        /// Leaves before.
        from: TreeSize,
        /// Leaves after.
        to: TreeSize,
    },
    /// The first statement does not start at the empty tree and at no statement.
    #[error("statement 1 starts at the empty tree and names no statement before it; this one does not")]
    Genesis,
    /// A later statement that names none before it.
    #[error("statement {seq} names no statement before it, or starts at the empty tree")]
    NoPrevious {
        /// Its sequence number.
        seq: u64,
    },
}

impl StatementError {
    /// What the reader must do next.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::TooLarge { .. } => Code::Limit,
            Self::Cbor(error) => error.code(),
            _ => Code::Malformed,
        }
    }
}

#[cfg(test)]
mod tests;
