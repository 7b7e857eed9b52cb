//! Finds the session before this one, for the start entry to name.

use ledgerstone::entry::{SessionId, WriterName};
use ledgerstone::tile::TILE_WIDTH;

use crate::reader::{LogReadError, LogReader};

/// Bundles searched from the end: a log that many writers share has the last session within so many entries, or the
/// start entry names none.
const BUNDLES_MAX: u64 = 256;

/// The session of the writer's newest entry, if it is near the end of the log.
pub(crate) fn session(log: &LogReader, writer: &WriterName) -> Result<Option<SessionId>, LogReadError> {
    let size = log.published().size;
    let bundles = size.get().div_ceil(u64::from(TILE_WIDTH));
    for number in (bundles.saturating_sub(BUNDLES_MAX)..bundles).rev() {
        let records = log.records(&log.bundle(number)?, |_, _| false)?;
        let newest = records.into_iter().rev().find(|record| record.entry.writer == *writer);
        if let Some(record) = newest {
            return Ok(Some(record.entry.session));
        }
    }
    Ok(None)
}
