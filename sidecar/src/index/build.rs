//! Builds the index from the log and keeps it up to the published tree.
//!
//! Guarantees: the same code builds it from nothing and follows new entries; one bundle of entries is one batch. An index
//! that became unusable is built again without anybody asking.
//! Does not do: failing because a sealed record does not open. Its entry is found by everything but its subject.

use std::sync::Arc;
use std::time::Duration;

use ledgerstone::code::Code;
use ledgerstone::entry::{Entry, Kind};
use ledgerstone::merkle::TreeSize;
use ledgerstone::record::schema::DECISION_SUBJECT;
use ledgerstone::record::{Field, Value};
use ledgerstone::tile::TILE_WIDTH;

use super::{Index, IndexError, Indexed};
use crate::keyring::{KeyProvider, KeyringError};
use crate::reader::{LogReadError, LogReader, Stored};
use crate::seal::{self, OpenError};

/// How long to wait after an error before the next attempt.
const RETRY: Duration = Duration::from_secs(1);

/// Builds the index of one log.
#[derive(Clone)]
pub struct Builder {
    index: Arc<Index>,
    log: LogReader,
    keys: Arc<dyn KeyProvider>,
}

impl Builder {
    /// Builds `index` from `log`, whose sealed records `keys` open.
    #[must_use]
    pub fn new(index: Arc<Index>, log: LogReader, keys: Arc<dyn KeyProvider>) -> Self {
        Self { index, log, keys }
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
            let records = self.log.records(&bundle, |index, entry| {
                index.get() >= covered.get() && entry.kind == Kind::Decision
            })?;
            let new = records.into_iter().filter(|record| record.index.get() >= covered.get());
            let indexed = new.map(|Stored { index, entry, sealed }| {
                let subjects = sealed.map(|sealed| self.subjects(&entry, &sealed)).transpose()?;
                Ok(Indexed { index, entry, subjects: subjects.unwrap_or_default() })
            });
            let entries: Vec<Indexed> = indexed.collect::<Result<_, KeyringError>>()?;
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

    /// Whom a decision is about, if its record says so and opens.
    ///
    /// # Errors
    /// If the key provider is not to be had: the record may open later, and the person must then be found by it.
    fn subjects(&self, entry: &Entry, sealed: &[u8]) -> Result<Vec<String>, KeyringError> {
        let Some(decision) = entry.decision else { return Ok(Vec::new()) };
        match seal::open(self.keys.as_ref(), &decision, entry.kind, sealed) {
            Ok(content) => {
                let subjects = content.record.fields().iter().filter_map(subject);
                Ok(subjects.map(|(_, subject)| subject.to_owned()).collect())
            }
            Err(OpenError::Keys(error)) if error.is_of_provider() => Err(error),
            Err(error) => {
                tracing::debug!(%decision, %error, "a record does not open");
                Ok(Vec::new())
            }
        }
    }
}

/// The place and the reference of a person, if the field is one: `decision/subject`, or `decision/subject/[n]` for a row of a batch.
pub(crate) fn subject(field: &Field) -> Option<(u32, &str)> {
    let rest = field.path.as_str().strip_prefix(DECISION_SUBJECT.as_str())?;
    let place = match rest {
        "" => 0,
        row => row.strip_prefix("/[")?.strip_suffix(']')?.parse().ok()?,
    };
    match &field.value {
        Value::Text(subject) => Some((place, subject)),
        _ => None,
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
    /// The records cannot be opened for now.
    #[error(transparent)]
    Keys(#[from] KeyringError),
}

impl BuildError {
    /// What the reader must do about it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Log(error) => error.code(),
            Self::Index(error) => error.code(),
            Self::Keys(error) => error.code(),
        }
    }
}
