//! An entry under a published checkpoint: what whoever had it appended is answered with.

use std::time::Duration;

use ledgerstone::code::Code;
use ledgerstone::hash::Hash;
use ledgerstone::merkle::{LeafIndex, TreeSize};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::reader::{LogReadError, LogReader};

/// An entry and the proof that the log holds it.
#[derive(Clone, Debug)]
pub struct Proved {
    /// Where it stands.
    pub index: LeafIndex,
    /// Its exact bytes.
    pub entry: Vec<u8>,
    /// The tree that the proof is for.
    pub size: TreeSize,
    /// The inclusion proof, from the leaf up.
    pub proof: Vec<Hash>,
    /// The signed checkpoint of that size.
    pub checkpoint: String,
}

/// Why there is no proof.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProveError {
    /// No checkpoint covers the entry in time.
    #[error("it is at leaf index {index}, and no checkpoint covers it yet; do not send it again")]
    NotPublished {
        /// Where the entry stands.
        index: LeafIndex,
    },
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] LogReadError),
    /// A part of the sidecar panicked.
    #[error("the proof failed because of a defect; report it")]
    Defect,
}

impl ProveError {
    /// What the reader must do about it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::NotPublished { .. } => Code::Unavailable,
            Self::Log(error) => error.code(),
            Self::Defect => Code::Internal,
        }
    }
}

/// The proof of the durable entry at `index` of `log`. A checkpoint is waited for up to `wait`.
///
/// # Errors
/// [`ProveError`] if none came, or the log cannot be read.
pub async fn prove(log: &LogReader, index: LeafIndex, wait: Duration) -> Result<Proved, ProveError> {
    let mut published = log.watch();
    let covered = published.wait_for(|published| index.is_in(published.size));
    if !matches!(timeout(wait, covered).await, Ok(Ok(_))) {
        return Err(ProveError::NotPublished { index });
    }
    let log = log.clone();
    let read = move || -> Result<Proved, LogReadError> {
        let published = log.published();
        let (entry, proof) = (log.entry(index)?, log.inclusion(index, published.size)?);
        Ok(Proved { index, entry, size: published.size, proof, checkpoint: published.checkpoint.to_string() })
    };
    spawn_blocking(read).await.map_err(|_| ProveError::Defect)?.map_err(ProveError::Log)
}
