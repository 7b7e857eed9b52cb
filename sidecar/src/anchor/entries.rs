//! Anchors as entries of the log.
//!
//! Guarantees: a confirmed statement is said in the log once: after a start the log is searched for it first, because the
//! last session may have ended between the entry and its record in the journal. The entry has a number of the session like
//! every request (INV-10). Does not do: retries.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ledgerstone::entry::{AnchorDetails, Entry, KindDetails};
use ledgerstone::merkle::LeafIndex;
use ledgerstone::tile::TILE_WIDTH;
use tokio::task::spawn_blocking;

use super::DeskError;
use crate::intercept::Session;
use crate::reader::LogReader;

/// Where a lane says what was anchored.
#[derive(Debug)]
pub(super) struct Entries {
    session: Arc<Session>,
    log: LogReader,
    /// What an earlier session may have appended was looked for, or came after a search.
    searched: AtomicBool,
}

impl Entries {
    /// Appends to the log of `session`, which `log` reads.
    pub(super) fn new(session: Arc<Session>, log: LogReader) -> Self {
        Self { session, log, searched: AtomicBool::new(false) }
    }

    /// Appends the entry of `details` unless the log has it, and returns where it is.
    pub(super) async fn append(&self, details: AnchorDetails) -> Result<LeafIndex, DeskError> {
        if !self.searched.load(Ordering::Acquire) {
            let (log, wanted) = (self.log.clone(), details.clone());
            let found =
                spawn_blocking(move || find(&log, &wanted)).await.map_err(|_| DeskError::Defect)??;
            if let Some(index) = found {
                return Ok(index);
            }
        }
        let session = Arc::clone(&self.session);
        // A task of its own: an append that is dropped half way would leave its number open.
        let appending = tokio::spawn(async move {
            let seen = session.see().map_err(|error| DeskError::NotAdmitted { reason: error.to_string() })?;
            let entry = Entry::anchor(session.writer().clone(), session.id(), seen.sequence(), details);
            Ok(seen.append(entry, None).await?)
        });
        let appended = appending.await.map_err(|_| DeskError::Defect)?;
        if appended.is_ok() {
            self.searched.store(true, Ordering::Release);
        }
        appended
    }
}

/// The entry of `wanted` in the published log, if it is there. It can only stand after the tree that was anchored.
fn find(log: &LogReader, wanted: &AnchorDetails) -> Result<Option<LeafIndex>, DeskError> {
    let width = u64::from(TILE_WIDTH);
    let size = log.published().size.get();
    for number in wanted.to_size.get() / width..size.div_ceil(width) {
        for record in log.records(&log.bundle(number)?, |_, _| false)? {
            let details = record.entry.kind_details();
            if matches!(&details, Ok(KindDetails::Anchor(found)) if found == wanted) {
                return Ok(Some(record.index));
            }
        }
    }
    Ok(None)
}
