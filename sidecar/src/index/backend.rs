//! The database under the index: sled 0.34.7, pinned, and kept at arm's length.
//!
//! Guarantees: a panic inside the database comes out as an error; its cache is bounded. Does not do: durability that
//! anybody relies on.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use ledgerstone::entry::{DecisionId, Kind};
use ledgerstone::hash::Hash;
use ledgerstone::merkle::{LeafIndex, TreeSize};
use ledgerstone::record::SubjectKeyId;
use ledgerstone::time::UnixMillis;

use super::{IndexError, Indexed, keys};

/// The format of keys and values. Another number means: build it again.
const FORMAT: u8 = 4;

/// Memory that the database may use to keep pages; its own default is 1 GiB.
const CACHE_BYTES: u64 = 64 << 20;

/// How long opening waits for the lock of the database. Only one process has the log open, so whoever holds the lock is
/// this process: the database lets go of its files on threads of its own, some time after it was dropped.
const LOCK_WAIT: Duration = Duration::from_secs(2);

/// How long opening pauses before it tries the lock again.
const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// How often the database writes what is new, and wakes this process to see whether there is anything. What a crash takes of it is added
/// again from the log.
const FLUSH_MS: u64 = 60_000;

/// An open database.
pub(super) struct Backend {
    database: sled::Db,
}

impl Backend {
    /// Opens the database at `path`, or makes it.
    pub(super) fn open(path: &Path, origin: Hash) -> Result<Self, IndexError> {
        let config = sled::Config::default().path(path).cache_capacity(CACHE_BYTES);
        let config = config.flush_every_ms(Some(FLUSH_MS));
        let started = Instant::now();
        let database = loop {
            match guarded(|| Ok(config.open()?)) {
                Err(error) if is_locked(&error) && started.elapsed() < LOCK_WAIT => sleep(LOCK_PAUSE),
                opened => break opened?,
            }
        };
        let identity = [&[FORMAT], origin.as_bytes().as_slice()].concat();
        guarded(|| match database.get(keys::IDENTITY)? {
            None if database.is_empty() => {
                database.insert(keys::IDENTITY, identity.as_slice())?;
                Ok(())
            }
            Some(found) if *found == *identity => Ok(()),
            _ => Err(IndexError::Foreign),
        })?;
        Ok(Self { database })
    }

    /// The size that the index covers.
    pub(super) fn covered(&self) -> Result<TreeSize, IndexError> {
        guarded(|| {
            let Some(value) = self.database.get(keys::COVERED)? else { return Ok(TreeSize::new(0)) };
            let bytes = value.as_ref().try_into().map_err(|_| IndexError::Damaged)?;
            Ok(TreeSize::new(u64::from_be_bytes(bytes)))
        })
    }

    /// Adds entries, and in the same batch that the index now covers `size`.
    pub(super) fn add(&self, entries: &[Indexed], size: TreeSize) -> Result<(), IndexError> {
        let mut batch = sled::Batch::default();
        for Indexed { index, entry, keys: under } in entries {
            // Who reads a decision often must not make its history longer.
            if let Some(decision) = entry.decision.as_ref().filter(|_| entry.kind != Kind::Access) {
                let kind = u8::try_from(entry.kind.number()).map_err(|_| IndexError::Damaged)?;
                batch.insert(keys::at(keys::decision(decision), *index), &[kind]);
            }
            for key in under {
                batch.insert(keys::at(keys::subject_key(key), *index), &[]);
            }
            for prefix in keys::public(entry) {
                batch.insert(keys::at(prefix, *index), &[]);
            }
        }
        batch.insert(keys::COVERED, &size.get().to_be_bytes());
        guarded(|| Ok(self.database.apply_batch(batch)?))
    }

    pub(super) fn by_decision(&self, decision: &DecisionId) -> Result<Vec<(LeafIndex, Kind)>, IndexError> {
        self.scan(&keys::decision(decision), |index, value| match value {
            [kind] => Kind::from_number(u64::from(*kind)).map(|kind| (index, kind)),
            _ => None,
        })
    }

    pub(super) fn by_key(&self, key: &SubjectKeyId) -> Result<Vec<LeafIndex>, IndexError> {
        self.scan(&keys::subject_key(key), only_index)
    }

    pub(super) fn by_model(&self, model: &Hash) -> Result<Vec<LeafIndex>, IndexError> {
        self.scan(&keys::model(model), only_index)
    }

    pub(super) fn registrations(&self) -> Result<Vec<LeafIndex>, IndexError> {
        self.scan(&keys::registration(), only_index)
    }

    pub(super) fn changes(&self) -> Result<Vec<LeafIndex>, IndexError> {
        self.scan(&keys::change(), only_index)
    }

    pub(super) fn by_time(&self, from: UnixMillis, until: UnixMillis) -> Result<Vec<LeafIndex>, IndexError> {
        let length = keys::time(from).len();
        guarded(|| {
            let range = self.database.range(keys::time(from)..keys::time(until));
            range.map(|item| keys::leaf_index(&item?.0, length).ok_or(IndexError::Damaged)).collect()
        })
    }

    /// Everything under `prefix`, in the order of leaf indices.
    fn scan<T>(
        &self,
        prefix: &[u8],
        read: impl Fn(LeafIndex, &[u8]) -> Option<T>,
    ) -> Result<Vec<T>, IndexError> {
        guarded(|| {
            let found = self.database.scan_prefix(prefix).map(|item| {
                let (key, value) = item?;
                let index = keys::leaf_index(&key, prefix.len());
                index.and_then(|index| read(index, &value)).ok_or(IndexError::Damaged)
            });
            found.collect()
        })
    }
}

/// Whether the database is still open elsewhere in this process. It says so by its text only.
fn is_locked(error: &IndexError) -> bool {
    matches!(error, IndexError::Database(sled::Error::Io(error)) if error.to_string().contains("acquire lock"))
}

fn only_index(index: LeafIndex, value: &[u8]) -> Option<LeafIndex> {
    value.is_empty().then_some(index)
}

/// Runs `work`, and turns a panic of the database into an error. After either the index is dropped and built again,
/// so nothing that a panic left half done is looked at.
fn guarded<T>(work: impl FnOnce() -> Result<T, IndexError>) -> Result<T, IndexError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(IndexError::Panicked))
}
