//! What a lane is, and what it is given to work with: the seam between what all lanes share and what each kind does.
//!
//! A kind (`rfc3161`, `opentimestamps`, `evm`) implements [`Lane`]; `service` opens its files, spawns it and shows how it
//! stands. A lane runs a pure state machine of the library and carries out its effects through its [`Desk`].
//!
//! Guarantees of the desk: a record is durable when [`Desk::journal`] returns; a statement that was built is the one that
//! lies in the store, however often it is asked for; what is appended to the log is appended once, also after a crash
//! between the append and its record in the journal. Does not do: deciding when to do any of this.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use ledgerstone::anchor::schedule::{Build, Built};
use ledgerstone::anchor::statement::{AnchorKind, LaneName};
use ledgerstone::entry::AnchorDetails;
use ledgerstone::merkle::LeafIndex;
use ledgerstone::store::disk::Disk;
use ledgerstone::store::fs::StdDisk;
use ledgerstone::time::UnixMillis;
use tokio::sync::watch;
use tokio::task::spawn_blocking;

use super::DeskError;
use super::entries::Entries;
use super::folder::{FolderError, LaneFolder, Proof};
use super::heads::Heads;
use super::journal::Journal;
use super::standing::Standing;
use crate::api::{Ending, ended};
use crate::driver::{Clock, Published};

/// The work of a lane.
pub type LaneRun = Pin<Box<dyn Future<Output = ()> + Send>>;

/// One anchor target.
pub trait Lane: Send + 'static {
    /// Its name; it names a folder of the store, a label of the metrics and a line of the admin page.
    fn name(&self) -> &LaneName;

    /// Its kind, for the quorum.
    fn kind(&self) -> AnchorKind;

    /// What an auditor must know of the target, such as chain id and contract, or the authority's address. It stands in the
    /// store beside the statements; nothing in it is secret.
    fn parameters(&self) -> serde_json::Map<String, serde_json::Value>;

    /// Works until [`Desk::ended`] returns, and then returns soon. A lane that cannot go on says so through the desk's
    /// standing and returns; it never panics and never stops the sidecar.
    ///
    /// `records` is what [`Desk::journal`] was given before the last stop, in order.
    fn run(self: Box<Self>, desk: Desk, records: Vec<Vec<u8>>) -> LaneRun;
}

/// What a lane works with.
#[derive(Debug)]
pub struct Desk {
    /// How the lane stands, for metrics, the admin page and the quorum.
    pub standing: Arc<Standing>,
    pub(super) heads: Heads,
    pub(super) folder: LaneFolder,
    pub(super) journal: Arc<Mutex<Journal>>,
    pub(super) entries: Entries,
    pub(super) clock: Wall,
    pub(super) ending: Ending,
    pub(super) hold: Hold,
}

/// Keeps other processes from the files of all lanes for as long as somebody has a copy: whatever writes has one, also when its lane was
/// aborted meanwhile.
pub(super) type Hold = Arc<<StdDisk as Disk>::Lock>;

/// A clock that prints as one.
#[derive(Clone)]
pub(super) struct Wall(pub(super) Clock);

impl std::fmt::Debug for Wall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Wall(..)")
    }
}

impl Desk {
    /// What the time is.
    #[must_use]
    pub fn now(&self) -> UnixMillis {
        (self.clock.0)()
    }

    /// The newest published checkpoint, and word of each later one.
    #[must_use]
    pub fn published(&self) -> watch::Receiver<Published> {
        self.heads.published()
    }

    /// Returns when the sidecar ends. Cheap to ask for again; no borrow of the desk is held.
    pub fn ended(&self) -> impl Future<Output = ()> + Send + use<> {
        ended(self.ending.clone())
    }

    /// Appends a record to the lane's journal and returns once it is durable.
    ///
    /// # Errors
    /// [`DeskError::Journal`]; the lane cannot go on until the sidecar is started again.
    pub async fn journal(&self, record: Vec<u8>) -> Result<(), DeskError> {
        let journal = Arc::clone(&self.journal);
        self.blocking(move || {
            // A journal that a panic left half written refuses by itself: its end was not moved.
            let mut journal = journal.lock().unwrap_or_else(PoisonError::into_inner);
            Ok(journal.append(&record)?)
        })
        .await
    }

    /// Builds the statement that `build` asks for, of the newest published tree, and makes its files durable. If a statement
    /// of that number lies there already, it is that one.
    ///
    /// # Errors
    /// [`DeskError`]: try again, unless its code is `inconsistent`.
    pub async fn build(&self, build: Build) -> Result<Built, DeskError> {
        let (heads, folder) = (self.heads.clone(), self.folder.clone());
        self.blocking(move || heads.build(&folder, &build)).await
    }

    /// The exact bytes of statement `seq`.
    ///
    /// # Errors
    /// [`DeskError::Folder`] if it is not there or damaged.
    pub async fn statement(&self, seq: u64) -> Result<Vec<u8>, DeskError> {
        let folder = self.folder.clone();
        self.blocking(move || {
            let path = format!("{}/statement", folder.path(seq));
            let link = folder.link(seq)?.ok_or(FolderError::Damaged { path })?;
            Ok(link.statement)
        })
        .await
    }

    /// Makes a proof of statement `seq` durable, in the place of an earlier one. Check it first.
    ///
    /// # Errors
    /// [`DeskError::Folder`].
    pub async fn prove(&self, seq: u64, proof: Proof, bytes: Vec<u8>) -> Result<(), DeskError> {
        let folder = self.folder.clone();
        self.blocking(move || Ok(folder.prove(seq, proof, &bytes)?)).await
    }

    /// The proof of statement `seq` that lies in the store, if one does.
    ///
    /// # Errors
    /// [`DeskError::Folder`].
    pub async fn proof(&self, seq: u64, proof: Proof) -> Result<Option<Vec<u8>>, DeskError> {
        let folder = self.folder.clone();
        self.blocking(move || Ok(folder.proof(seq, proof)?)).await
    }

    /// Says in the log that a statement was fixed outside, once; returns where it says so.
    ///
    /// # Errors
    /// [`DeskError`]: the log does not take entries at present; try again.
    pub async fn append(&self, details: AnchorDetails) -> Result<LeafIndex, DeskError> {
        self.entries.append(details).await
    }

    /// Runs what blocks on the disk.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, DeskError> + Send + 'static,
    ) -> Result<T, DeskError> {
        let hold = Arc::clone(&self.hold);
        let working = spawn_blocking(move || {
            let done = work();
            drop(hold);
            done
        });
        working.await.map_err(|_| DeskError::Defect)?
    }
}
