//! The lookup index: decision id, subject key, model and time, each to leaf indices.
//!
//! Guarantees: it holds nothing that the log does not hold, so it may be deleted at any time and is built again from the
//! log. The size it covers is written in the same batch as what it covers. On any error, a panic of the database, another
//! log's index or one that is ahead of the log it deletes itself and starts again. Nothing in it leads to a person (INV-8):
//! whose a subject key is, only the keyring knows, and after an erasure nobody.
//! Does not do: being believed. Whoever gets a leaf index from it reads that entry from the log and checks that it is
//! about what was asked.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use ledgerstone::code::Code;
use ledgerstone::entry::{DecisionId, Entry, Kind};
use ledgerstone::hash::Hash;
use ledgerstone::merkle::{LeafIndex, TreeSize};
use ledgerstone::record::SubjectKeyId;
use ledgerstone::time::UnixMillis;
use tokio::sync::{Notify, watch};

use self::backend::Backend;
use self::generations::Generations;

mod backend;
mod build;
mod generations;
mod keys;

pub use self::build::{BuildError, Builder};

/// What the index needs of one entry.
#[derive(Clone, Debug)]
pub struct Indexed {
    /// Where it stands.
    pub index: LeafIndex,
    /// The entry.
    pub entry: Entry,
    /// The subject keys that its record is under.
    pub keys: Vec<SubjectKeyId>,
}

/// The index of one log. All methods may block on the disk.
pub struct Index {
    origin: Hash,
    place: RwLock<Place>,
    covered: watch::Sender<TreeSize>,
    /// Somebody found the index unusable.
    lost: Notify,
}

/// The database and where it lies.
struct Place {
    generations: Generations,
    backend: Option<Backend>,
}

impl Index {
    /// Opens the index at `path`, or starts an empty one where there is none that fits. `size` is the size of the log.
    ///
    /// # Errors
    /// [`IndexError`] if not even an empty one can be had.
    pub fn open(path: &Path, origin: Hash, size: TreeSize) -> Result<Self, IndexError> {
        let generations = Generations::find(path)?;
        let opened = Backend::open(&generations.current(), origin);
        let (backend, covered) = match opened.and_then(|backend| Ok((backend.covered()?, backend))) {
            Ok((covered, backend)) if covered.get() <= size.get() => (Some(backend), covered),
            Ok((covered, _ahead)) => {
                tracing::warn!(covered = covered.get(), log = size.get(), "lookup index is ahead of the log");
                (None, TreeSize::new(0))
            }
            Err(error) => {
                tracing::warn!(%error, "lookup index cannot be used");
                (None, TreeSize::new(0))
            }
        };
        let place = RwLock::new(Place { generations, backend });
        let index = Self { origin, place, covered: watch::Sender::new(covered), lost: Notify::new() };
        if !index.is_usable() {
            index.reset()?;
        }
        Ok(index)
    }

    /// Which database it is: another number each time the index starts again.
    pub(crate) fn generation(&self) -> u64 {
        self.place.read().unwrap_or_else(PoisonError::into_inner).generations.number()
    }

    /// Deletes everything and starts empty.
    ///
    /// # Errors
    /// [`IndexError`] if no empty one can be had.
    pub fn reset(&self) -> Result<(), IndexError> {
        let mut place = self.place.write().unwrap_or_else(PoisonError::into_inner);
        self.covered.send_replace(TreeSize::new(0));
        place.backend = None;
        place.generations.next()?;
        place.backend = Some(Backend::open(&place.generations.current(), self.origin)?);
        Ok(())
    }

    /// Adds consecutive entries, the first one being the next that the index does not cover.
    ///
    /// # Errors
    /// [`IndexError`]; the index is unusable until [`Index::reset`].
    pub fn add(&self, entries: &[Indexed]) -> Result<(), IndexError> {
        let covered = *self.covered.borrow();
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else { return Ok(()) };
        if first.index.get() != covered.get() {
            return Err(IndexError::OutOfOrder);
        }
        let size = TreeSize::new(last.index.get().saturating_add(1));
        self.with(|backend| backend.add(entries, size))?;
        self.covered.send_replace(size);
        Ok(())
    }

    /// The entries about a decision, by leaf index.
    ///
    /// # Errors
    /// [`IndexError`] while the index is unusable.
    pub fn by_decision(&self, decision: &DecisionId) -> Result<Vec<(LeafIndex, Kind)>, IndexError> {
        self.with(|backend| backend.by_decision(decision))
    }

    /// The entries whose records were sealed under a subject key, by leaf index.
    ///
    /// # Errors
    /// [`IndexError`] while the index is unusable.
    pub fn by_key(&self, key: &SubjectKeyId) -> Result<Vec<LeafIndex>, IndexError> {
        self.with(|backend| backend.by_key(key))
    }

    /// The entries that name a model by its digest, by leaf index.
    ///
    /// # Errors
    /// [`IndexError`] while the index is unusable.
    pub fn by_model(&self, model: &Hash) -> Result<Vec<LeafIndex>, IndexError> {
        self.with(|backend| backend.by_model(model))
    }

    /// The entries that register a model, by leaf index.
    ///
    /// # Errors
    /// [`IndexError`] while the index is unusable.
    pub fn registrations(&self) -> Result<Vec<LeafIndex>, IndexError> {
        self.with(Backend::registrations)
    }

    /// The entries that change something that can need approval, by leaf index: models, policies, keys and rosters.
    ///
    /// # Errors
    /// [`IndexError`] while the index is unusable.
    pub fn changes(&self) -> Result<Vec<LeafIndex>, IndexError> {
        self.with(Backend::changes)
    }

    /// The entries recorded from `from` until before `until`, by time.
    ///
    /// # Errors
    /// [`IndexError`] while the index is unusable.
    pub fn by_time(&self, from: UnixMillis, until: UnixMillis) -> Result<Vec<LeafIndex>, IndexError> {
        self.with(|backend| backend.by_time(from, until))
    }

    /// The size of the log that the index covers, and every change of it.
    #[must_use]
    pub fn covered(&self) -> watch::Receiver<TreeSize> {
        self.covered.subscribe()
    }

    /// Whether it can be asked.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.place.read().unwrap_or_else(PoisonError::into_inner).backend.is_some()
    }

    /// Lets go of the files, for whoever opens them next. Whoever still has the index gets errors.
    pub fn close(&self) {
        self.place.write().unwrap_or_else(PoisonError::into_inner).backend = None;
    }

    /// Makes the index unusable, because something in it turned out to be wrong. It is built again.
    pub fn distrust(&self) {
        self.place.write().unwrap_or_else(PoisonError::into_inner).backend = None;
        self.lost.notify_one();
    }

    /// Returns when the index is found unusable.
    pub async fn lost(&self) {
        self.lost.notified().await;
    }

    /// Runs `work` on the database; an error makes the index unusable.
    fn with<T>(&self, work: impl FnOnce(&Backend) -> Result<T, IndexError>) -> Result<T, IndexError> {
        let done = {
            let place = self.place.read().unwrap_or_else(PoisonError::into_inner);
            work(place.backend.as_ref().ok_or(IndexError::Unusable)?)
        };
        if done.is_err() {
            self.distrust();
        }
        done
    }
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Index").field("covered", &*self.covered.borrow()).finish_non_exhaustive()
    }
}

/// Why the index cannot be asked or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    /// An earlier error made it unusable.
    #[error("the lookup index is being built again from the log; try again")]
    Unusable,
    /// The database failed.
    #[error("the lookup index failed ({0}); it is built again from the log")]
    Database(#[from] sled::Error),
    /// The database panicked.
    #[error("the lookup index failed in its database; it is built again from the log")]
    Panicked,
    /// It is not an index of this log in this format.
    #[error("the lookup index is another log's or has another format; it is built again from the log")]
    Foreign,
    /// A key or value in it is not one that this program wrote.
    #[error("the lookup index holds something that does not belong there; it is built again from the log")]
    Damaged,
    /// Entries were not handed over in the order of the log.
    #[error("entries were handed to the lookup index out of order; report this")]
    OutOfOrder,
    /// The directory cannot be listed, made or deleted.
    #[error(
        "the directory of the lookup index, {path}, cannot be used ({source}): delete it, or give access to it"
    )]
    Directory {
        /// Where it lies.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
}

impl IndexError {
    /// What the reader must do about it.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::OutOfOrder => Code::Internal,
            _ => Code::Unavailable,
        }
    }
}

#[cfg(test)]
mod tests;
