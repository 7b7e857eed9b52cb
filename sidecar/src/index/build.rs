//! Builds the index from the log and keeps it up to the published tree.
//!
//! Guarantees: the same code builds it from nothing and follows new entries; one bundle of entries is one batch. An index
//! that became unusable is built again without anybody asking.
//! Does not do: opening records. A sealed record that is lost is found by everything but its keys.

use std::sync::Arc;
use std::time::Duration;

use ledgerstone::code::Code;
use ledgerstone::merkle::TreeSize;
use ledgerstone::record::SealedUnder;
use ledgerstone::tile::TILE_WIDTH;

use super::{Index, IndexError, Indexed};
use crate::reader::{LogReadError, LogReader, Stored};

/// How long to wait after an error before the next attempt.
const RETRY: Duration = Duration::from_secs(1);

/// Builds the index of one log.
#[derive(Clone)]
pub struct Builder {
    index: Arc<Index>,
    log: LogReader,
}

impl Builder {
    /// Builds `index` from `log`.
    #[must_use]
    pub fn new(index: Arc<Index>, log: LogReader) -> Self {
        Self { index, log }
    }

    /// Covers everything that is published. `progress` is told how far it is and how far it has to go. Blocks.
    ///
    /// # Errors
    /// [`BuildError`] if the log cannot be read or the index cannot be written.
    pub fn catch_up(&self, mut progress: impl FnMut(TreeSize, TreeSize)) -> Result<(), BuildError> {
        if !self.index.is_usable() {
            self.index.reset()?;
        }
        let size = self.log.published().size;
        loop {
            let covered = *self.index.covered().borrow();
            progress(covered, size);
            if covered >= size {
                return Ok(());
            }
            let bundle = self.log.bundle(covered.get() / u64::from(TILE_WIDTH))?;
            let records = self.log.records_or_lost(&bundle, |index, entry| {
                index.get() >= covered.get() && entry.sealed.is_some()
            })?;
            let new = records.into_iter().filter(|record| record.index.get() >= covered.get());
            let indexed = new.map(|Stored { index, entry, sealed }| {
                let under = sealed.and_then(|sealed| SealedUnder::read(&sealed).ok());
                let keys = under.map(|under| under.keys().to_vec()).unwrap_or_default();
                Indexed { index, entry, keys }
            });
            let entries: Vec<Indexed> = indexed.collect();
            self.index.add(&entries)?;
        }
    }

    /// Follows the published tree until it ends.
    pub async fn follow(self) {
        let mut published = self.log.watch();
        loop {
            published.mark_unchanged();
            let builder = self.clone();
            let caught_up = tokio::task::spawn_blocking(move || builder.catch_up(|_, _| {})).await;
            if let Ok(Err(error)) = &caught_up {
                tracing::warn!(%error, code = %error.code(), "lookup index falls behind");
                if matches!(error, BuildError::Index(_)) {
                    self.index.distrust();
                }
                tokio::time::sleep(RETRY).await;
                continue;
            }
            tokio::select! {
                changed = published.changed() => if changed.is_err() { return },
                () = self.index.lost() => {}
            }
        }
    }
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder").field("index", &self.index).finish_non_exhaustive()
    }
}

/// Why the index could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] LogReadError),
    /// The index cannot be written.
    #[error(transparent)]
    Index(#[from] IndexError),
}

impl BuildError {
    /// What the reader must do about it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Log(error) => error.code(),
            Self::Index(error) => error.code(),
        }
    }
}
