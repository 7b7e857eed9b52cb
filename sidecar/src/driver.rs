//! Drives a log: carries out on threads, files and a clock what the library's sequencer decides.
//!
//! Guarantees: [`LogHandle::append`] answers after the `fdatasync` of the entry's batch returned and its checkpoint was
//! signed, never before (INV-9); after an unknown outcome nothing more is stored, signed or answered. What waits is
//! bounded (INV-7). Does not do: deciding the order of things (`ledgerstone::log`) or the bytes on disk
//! (`ledgerstone::store`).
//!
//! Three threads: one commits, one signs while the next batch is committed, one applies, publishes and recycles. Callers
//! wait on the async side.

mod answer;
mod apply;
mod commit;
mod engine;
mod intake;
mod pace;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ledgerstone::checkpoint::{Checkpoint, LogKeys};
use ledgerstone::code::Code;
use ledgerstone::cose::ReceiptKey;
use ledgerstone::entry::Entry;
use ledgerstone::hash::Hash;
use ledgerstone::limits;
use ledgerstone::log::{self, Bounds, DraftError, Halt, Refusal};
use ledgerstone::merkle::{LeafIndex, ProveError, TreeSize};
use ledgerstone::policy::PolicyError;
use ledgerstone::store::batch::{Batch, NotInBatch};
use ledgerstone::store::fs::{self, Identity, StdDisk};
use ledgerstone::time::UnixMillis;
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};

pub use ledgerstone::store::fs::RecoveryReport;

use intake::Intake;

/// An entry to append, and the sealed record it names.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The entry. Its `recorded_at` is set by the log.
    pub entry: Entry,
    /// The sealed record whose digest and length the entry has; nothing where it has none.
    pub sealed: Option<Bytes>,
}

/// Where an entry is in the log, for good, and what proves it. Keeps the entry's batch in memory until dropped.
#[derive(Clone, Debug)]
pub struct Appended {
    index: LeafIndex,
    batch: Arc<Batch>,
    checkpoint: Arc<str>,
}

impl Appended {
    /// The entry's index.
    #[must_use]
    pub const fn index(&self) -> LeafIndex {
        self.index
    }

    /// The size of the tree after its batch.
    #[must_use]
    pub fn size(&self) -> TreeSize {
        self.batch.size()
    }

    /// The root of that tree.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.batch.root()
    }

    /// The signed checkpoint of that tree.
    #[must_use]
    pub fn checkpoint(&self) -> &str {
        &self.checkpoint
    }

    /// The proof that the entry is in that tree (RFC 6962, section 2.1.1). Built when asked for, since many never ask.
    ///
    /// # Errors
    /// Never, unless the log has a defect: a batch proves each of its entries.
    pub fn proof(&self) -> Result<Vec<Hash>, ProveError<NotInBatch>> {
        self.batch.prove(self.index)
    }
}

/// The tree that is public.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Its size.
    pub size: TreeSize,
    /// Its signed checkpoint.
    pub checkpoint: Arc<str>,
}

/// How a log is driven.
#[derive(Clone)]
pub struct Options {
    /// Past this many bytes a journal segment takes no further batch; at most [`limits::SEGMENT_BYTES_MAX`].
    pub segment_bytes_max: u64,
    /// The bounds of what waits, of a batch, and of the time between publications.
    pub bounds: Bounds,
    /// What the time is.
    pub clock: Clock,
    /// Is told of each committed batch: how many entries it had and how long its `fdatasync` took.
    pub on_batch: Option<BatchObserver>,
    /// Where callers are told: best the runtime they wait in. Without one the log's own threads tell them.
    pub runtime: Option<Handle>,
}

/// Reads a clock.
pub type Clock = Arc<dyn Fn() -> UnixMillis + Send + Sync>;

/// Is told of each committed batch.
pub type BatchObserver = Arc<dyn Fn(usize, Duration) + Send + Sync>;

impl Default for Options {
    fn default() -> Self {
        Self {
            segment_bytes_max: limits::SEGMENT_BYTES,
            bounds: Bounds::default(),
            clock: Arc::new(system_clock),
            on_batch: None,
            runtime: None,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("segment_bytes_max", &self.segment_bytes_max)
            .field("bounds", &self.bounds)
            .finish_non_exhaustive()
    }
}

pub(crate) fn system_clock() -> UnixMillis {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    UnixMillis::new(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Creates the log of `keys` in the folder `store`, which is created where it is missing.
///
/// # Errors
/// When the folder holds a log already, or something of one, or cannot be written to.
pub fn init(store: &Path, keys: &LogKeys) -> Result<(), InitError> {
    init_with_receipt_keys(store, keys, &[])
}

/// The same, and the log's policy names these receipt keys.
///
/// # Errors
/// As [`init`], and when a receipt key has another purpose too.
pub fn init_with_receipt_keys(
    store: &Path,
    keys: &LogKeys,
    receipt_keys: &[ReceiptKey],
) -> Result<(), InitError> {
    std::fs::create_dir_all(store).map_err(|source| InitError::Folder { source })?;
    let identity = Identity::new(keys.verifier())?.with_receipt_keys(receipt_keys)?;
    let empty = keys.checkpoint(TreeSize::EMPTY, ledgerstone::hash::empty_root());
    fs::init(&StdDisk::new(store), &identity, &keys.sign(&empty))?;
    Ok(())
}

/// Opens the log of `keys` in the folder `store`, recovers it, publishes what recovery found, and drives it from then on.
///
/// Blocks until recovery is done. The log stops when [`LogHandle::stop`] is called or the last handle is dropped.
///
/// # Errors
/// When the store is not this log's, is in use, is damaged, or cannot be written to.
pub fn open(store: &Path, keys: LogKeys, options: Options) -> Result<(LogHandle, RecoveryReport), OpenError> {
    let identity = Identity::new(keys.verifier())?;
    let store_options = fs::Options { segment_bytes_max: options.segment_bytes_max };
    let opened = fs::open(StdDisk::new(store), &identity, &store_options)?;
    let report = opened.report;
    let handle = commit::spawn(opened, keys, options)?;
    Ok((handle, report))
}

/// A running log; clones stand for the same one.
#[derive(Clone, Debug)]
pub struct LogHandle {
    shared: Arc<Shared>,
}

/// What the last handle takes with it.
#[derive(Debug)]
struct Shared {
    intake: Arc<Intake>,
    published: watch::Receiver<Published>,
    /// How the log ended, once its threads have let go of the store.
    ended: watch::Receiver<Option<Ended>>,
}

/// How a log ended.
#[derive(Clone, Debug)]
enum Ended {
    Stopped,
    Halted(Halt),
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.intake.stop();
    }
}

impl LogHandle {
    /// Appends an entry and waits until it is durable and signed.
    ///
    /// # Errors
    /// When the entry was not taken, or nobody knows whether it was: [`AppendError`] tells which.
    pub async fn append(&self, draft: Draft) -> Result<Appended, AppendError> {
        let draft = log::Draft::new(draft.entry, draft.sealed.map(Vec::from))?;
        let (ticket, answer) = oneshot::channel();
        self.shared.intake.push(ticket, draft)?;
        match answer.await {
            Ok(answer) => Ok(answer?),
            // Only a thread that ended in the middle of its work drops a ticket.
            Err(_) => Err(AppendError::Refused(Refusal::Unknown(Halt::Driver))),
        }
    }

    /// The newest public checkpoint, and word of each later one.
    #[must_use]
    pub fn published(&self) -> watch::Receiver<Published> {
        self.shared.published.clone()
    }

    /// Ends when the log did.
    pub(crate) fn ended(&self) -> impl Future<Output = ()> + use<> {
        let mut ended = self.shared.ended.clone();
        async move {
            // A driver that is gone has ended too.
            _ = ended.wait_for(Option::is_some).await;
        }
    }

    /// Why the log stopped for good, if it did.
    #[must_use]
    pub fn halted(&self) -> Option<Halt> {
        self.shared.intake.halted()
    }

    /// Takes no further append, finishes what waits, makes everything public and durable, and lets go of the store.
    ///
    /// # Errors
    /// When the log halted before all of that was done.
    pub async fn stop(self) -> Result<(), StopError> {
        self.shared.intake.stop();
        let mut ended = self.shared.ended.clone();
        let end = ended.wait_for(Option::is_some).await.map(|end| end.clone());
        match end {
            Ok(Some(Ended::Stopped)) => Ok(()),
            Ok(Some(Ended::Halted(halt))) => Err(StopError { halt }),
            Ok(None) | Err(_) => Err(StopError { halt: Halt::Driver }),
        }
    }
}

/// Why a log could not be created.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InitError {
    /// The folder cannot be created.
    #[error("the folder of the store cannot be created: grant access or choose another one")]
    Folder {
        /// What the system answered.
        source: std::io::Error,
    },
    /// The keys cannot be named.
    #[error("the log's keys cannot be named in a policy")]
    Keys(#[from] PolicyError),
    /// The store refused.
    #[error(transparent)]
    Store(#[from] fs::InitError),
}

impl InitError {
    /// What the operator must do next.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Folder { .. } => Code::Unavailable,
            Self::Keys(error) => error.code(),
            Self::Store(error) => error.code(),
        }
    }
}

/// Why a log could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The keys cannot be named.
    #[error("the log's keys cannot be named in a policy")]
    Keys(#[from] PolicyError),
    /// The store refused.
    #[error(transparent)]
    Store(#[from] fs::OpenError),
    /// What recovery found could not be published.
    #[error("what recovery found could not be published")]
    Halted(#[from] Halt),
    /// The system gave no thread.
    #[error("no thread could be started: allow the process more of them")]
    Thread {
        /// What the system answered.
        source: std::io::Error,
    },
}

impl OpenError {
    /// What the operator must do next.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Keys(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::Halted(halt) => halt.code(),
            Self::Thread { .. } => Code::Unavailable,
        }
    }
}

/// Why an entry was not appended.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// The entry or its sealed record cannot be taken by any log.
    #[error("the entry cannot be appended")]
    Draft(#[from] DraftError),
    /// The log did not take it. [`Refusal::Unknown`] alone leaves open whether it is in the log.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl AppendError {
    /// What the caller must do next.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Draft(error) => error.code(),
            Self::Refused(refusal) => refusal.code(),
        }
    }
}

/// A log halted before it could stop.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the log halted before everything was public")]
pub struct StopError {
    /// Why it halted.
    #[source]
    pub halt: Halt,
}

impl StopError {
    /// What the operator must do next.
    #[must_use]
    pub const fn code(&self) -> Code {
        self.halt.code()
    }
}

/// The checkpoint and its signed form, as public.
fn published(checkpoint: &Checkpoint, note: &Arc<str>) -> Published {
    Published { size: checkpoint.size, checkpoint: Arc::clone(note) }
}
