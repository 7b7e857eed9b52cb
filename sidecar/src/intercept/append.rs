//! The one thing that recording needs of the log: to append an entry and to say how that ended.
//!
//! Guarantees: none of its own; it is where a test puts a log that holds, refuses or dies.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use ledgerstone::entry::Entry;
use ledgerstone::log::Refusal;
use ledgerstone::merkle::LeafIndex;

use crate::driver::{AppendError, Draft, LogHandle};

/// The future of an append.
pub type Appending<'a> = Pin<Box<dyn Future<Output = Result<LeafIndex, AppendFault>> + Send + 'a>>;

/// A log that entries are appended to.
pub trait Append: Send + Sync + 'static {
    /// Appends `entry` with its sealed record and returns once both are durable (INV-9).
    fn append(&self, entry: Entry, sealed: Option<Bytes>) -> Appending<'_>;
}

/// Why an entry has no leaf index: two different facts, because only one of them allows to go on.
#[derive(Debug, thiserror::Error)]
pub enum AppendFault {
    /// The entry is not in the log and never will be; the log may take the next one.
    #[error("the entry was not stored: {0}")]
    NotStored(#[source] Box<dyn Error + Send + Sync>),
    /// The log has stopped for good; whether the entry is in it shows when it is started again.
    #[error("the log has stopped, and whether the entry is in it is not known: {0}")]
    Halted(#[source] Box<dyn Error + Send + Sync>),
}

impl Append for LogHandle {
    fn append(&self, entry: Entry, sealed: Option<Bytes>) -> Appending<'_> {
        Box::pin(async move {
            match Self::append(self, Draft { entry, sealed }).await {
                Ok(appended) => Ok(appended.index()),
                Err(AppendError::Refused(refusal @ (Refusal::Unknown(_) | Refusal::Halted(_)))) => {
                    Err(AppendFault::Halted(Box::new(refusal)))
                }
                Err(error) => Err(AppendFault::NotStored(Box::new(error))),
            }
        })
    }
}
