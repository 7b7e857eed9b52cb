//! What the log says about approvals, read at a start.
//!
//! Guarantees: everything that is published is known, before anything is served: what the lookup index does not cover is read
//! from the log itself, so that neither deleting the index nor a crash lets a used approval be used again.

use ledgerstone::approval::History;
use ledgerstone::entry::Entry;
use ledgerstone::tile::TILE_WIDTH;

use super::StartError;
use crate::index::Index;
use crate::reader::LogReader;

/// Reads `log`, with the help of `index` where there is one. Blocks.
///
/// # Errors
/// [`StartError`] if the log cannot be read.
pub(crate) fn read(log: &LogReader, index: Option<&Index>) -> Result<History, StartError> {
    let (mut history, size) = (History::default(), log.published().size.get());
    let mut covered = 0;
    if let Some(index) = index.filter(|index| index.is_usable()) {
        // First how far it goes, then what it has: it may go on meanwhile.
        let reach = index.covered().borrow().get().min(size);
        match index.changes() {
            Ok(places) => {
                for place in places.into_iter().filter(|place| place.get() < reach) {
                    history.apply(place, &Entry::decode(&log.entry(place)?)?);
                }
                covered = reach;
            }
            Err(error) => {
                tracing::warn!(%error, "the log is read for approvals in the place of the lookup index");
            }
        }
    }
    let width = u64::from(TILE_WIDTH);
    for number in covered / width..size.div_ceil(width) {
        for record in log.records(&log.bundle(number)?, |_, _| false)? {
            if record.index.get() >= covered {
                history.apply(record.index, &record.entry);
            }
        }
    }
    Ok(history)
}
