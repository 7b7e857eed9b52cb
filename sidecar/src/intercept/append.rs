//! The one thing that recording needs of the log: to append an entry and to say how that ended.
//!
//! Guarantees: none of its own; it is where a test puts a log that holds, refuses or dies.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use ledgerstone::entry::Entry;
use ledgerstone::merkle::LeafIndex;

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
    /// The entry is not in the log and never will be.
    #[error("the entry was not stored: {0}")]
    NotStored(#[source] Box<dyn Error + Send + Sync>),
    /// Nobody knows whether the entry is in the log; the log has stopped and recovery will tell.
    #[error("it is not known whether the entry was stored: {0}")]
    Unknown(#[source] Box<dyn Error + Send + Sync>),
}
