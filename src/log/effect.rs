//! What a log wants done.

use std::sync::Arc;

use super::DraftError;
use crate::checkpoint::Checkpoint;
use crate::code::Code;
use crate::store::Fault;
use crate::store::batch::{Batch, BatchError};
use crate::time::UnixMillis;

/// Something to be done. Effects of one event are done in their order; see [`Event`](super::Event) for which of them
/// are reported back.
#[derive(Debug)]
#[non_exhaustive]
pub enum Effect<T> {
    /// Write the batch where a commit can make it count.
    Stage(Arc<Batch>),
    /// Make the staged batch durable.
    Commit,
    /// Sign the checkpoint with the log's keys.
    Sign(Checkpoint),
    /// Tell callers that their entries are in the log for good.
    Answer(Answered<T>),
    /// Tell a caller that its entry was not taken.
    Refuse {
        /// Whom.
        ticket: T,
        /// Why.
        refusal: Refusal,
    },
    /// Write the files that these batches complete.
    Apply(Vec<Arc<Batch>>),
    /// Make the checkpoint of everything applied public.
    Publish {
        /// The checkpoint.
        checkpoint: Checkpoint,
        /// The checkpoint, signed.
        note: Arc<str>,
    },
    /// Drop what the journal no longer needs.
    Recycle,
    /// Make everything applied durable.
    Settle,
    /// Stop for good: nothing more is stored, signed or answered until recovery.
    Halt(Halt),
    /// All is done that [`Event::Stop`](super::Event::Stop) asked for.
    Stopped,
}

/// A batch that is durable and signed, and who is to be told.
#[derive(Debug)]
pub struct Answered<T> {
    /// One per entry, in the order of their indices from the batch's first.
    pub tickets: Vec<T>,
    /// The batch: it has the proof of each of its entries.
    pub batch: Arc<Batch>,
    /// The signed checkpoint of the tree after the batch.
    pub checkpoint: Arc<str>,
}

/// Why an entry was not taken.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Too much waits already.
    #[error("too many appends are waiting: send fewer at a time, or try again")]
    Busy,
    /// The log is being stopped.
    #[error("the log is stopping: try again once it is back")]
    Stopping,
    /// The clock was set back. The entry is not in the log.
    #[error(
        "the clock shows {now} but the log's last entry is of {last}: \
             set the clock right; the log goes on when it has caught up"
    )]
    ClockBehind {
        /// The time of the log's last entry.
        last: UnixMillis,
        /// What the clock shows.
        now: UnixMillis,
    },
    /// The entry cannot be encoded. It is not in the log.
    #[error("the entry cannot be appended")]
    Draft(#[source] DraftError),
    /// The batch cannot be made. The entry is not in the log.
    #[error("the batch cannot be appended")]
    Batch(#[source] BatchError),
    /// The storage refused it. The entry is not in the log, and the log goes on.
    #[error("the log could not store the entry: make room or grant access, then try again")]
    NotStored(#[source] Fault),
    /// The log halted with this entry in flight: it may be in the log or not.
    #[error("the log halted while it stored the entry, which may be in it or not: restart to find out")]
    Unknown(#[source] Halt),
    /// The log has halted. The entry is not in the log.
    #[error("the log has halted: restart to recover it")]
    Halted(#[source] Halt),
}

impl Refusal {
    /// What the caller must do next.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Busy => Code::Limit,
            Self::Stopping | Self::ClockBehind { .. } | Self::Halted(_) | Self::Unknown(_) => {
                Code::Unavailable
            }
            Self::Draft(error) => error.code(),
            Self::Batch(error) => error.code(),
            Self::NotStored(fault) => fault.code(),
        }
    }
}

/// Why a log stopped for good.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Halt {
    /// Nobody knows whether a batch is durable.
    #[error("the journal failed: repair the storage, then restart to recover")]
    Commit(#[source] Fault),
    /// Committed batches could not be turned into files.
    #[error("the log's files could not be written: repair the storage, then restart to recover")]
    Apply(#[source] Fault),
    /// The signer made no signature for a committed batch.
    #[error("the log's keys could not sign: repair the signer, then restart to recover")]
    Signing,
    /// The process that drives the log has a defect.
    #[error("the log's driver failed: report it, and restart to recover")]
    Driver,
}

impl Halt {
    /// What the operator must do next.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Commit(fault) | Self::Apply(fault) => fault.code(),
            Self::Signing => Code::Unavailable,
            Self::Driver => Code::Internal,
        }
    }
}
