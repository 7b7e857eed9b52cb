//! Looks in the log itself for a decision that the lookup index does not have.
//!
//! Guarantees: what it finds is there; it reads few bundles however large the log is. A decision's id holds the time at
//! which its request was seen (UUIDv7), and times never decrease along the log (INV-2), so the place is found by halving.
//! Does not do: proving that there is none. A decision that took longer than [`SEARCHED_MS`], or that stands further than
//! [`SEARCHED_BUNDLES_MAX`] bundles behind the first entry of its time, is not found.

use ledgerstone::entry::{DecisionId, Entry, Kind};
use ledgerstone::merkle::{LeafIndex, TreeSize};
use ledgerstone::store::fs::ReadError;
use ledgerstone::tile::TILE_WIDTH;
use ledgerstone::time::UnixMillis;

use crate::reader::{LogReadError, LogReader};

/// How far a clock may have stepped back between the id and the entry: what the log bears (`docs/spec/store.md`).
const STEPPED_BACK_MS: u64 = 2_000;

/// How long after its id was drawn a decision is looked for: longer than any request may take.
const SEARCHED_MS: u64 = 3_600_000;

/// Bundles read from the first of the time on: 16,384 entries, several seconds of the busiest log.
const SEARCHED_BUNDLES_MAX: u64 = 64;

/// The leaf index of `decision`, if it is found among the first `size` entries.
pub(crate) fn decision(
    log: &LogReader,
    decision: DecisionId,
    size: TreeSize,
) -> Result<Option<LeafIndex>, LogReadError> {
    let drawn = drawn_at(decision);
    let from = UnixMillis::new(drawn.get().saturating_sub(STEPPED_BACK_MS));
    let bundles = size.get().div_ceil(u64::from(TILE_WIDTH));
    // The bundle before the first that begins at that time may end in it.
    let first = first_from(log, from, bundles)?.saturating_sub(1);
    for number in first..bundles.min(first.saturating_add(SEARCHED_BUNDLES_MAX)) {
        for record in log.records(&log.bundle(number)?, |_, _| false)? {
            if record.entry.recorded_at.millis_since(drawn) > SEARCHED_MS || !record.index.is_in(size) {
                return Ok(None);
            }
            if record.entry.kind == Kind::Decision && record.entry.decision == Some(decision) {
                return Ok(Some(record.index));
            }
        }
    }
    Ok(None)
}

/// When the id was drawn: the first 48 bits of a UUIDv7 (RFC 9562, section 5.7).
fn drawn_at(decision: DecisionId) -> UnixMillis {
    let millis = decision.as_bytes().iter().take(6);
    UnixMillis::new(millis.fold(0, |millis, byte| millis << 8 | u64::from(*byte)))
}

/// The first of `bundles` whose first entry was recorded at `from` or later; `bundles` if there is none.
fn first_from(log: &LogReader, from: UnixMillis, bundles: u64) -> Result<u64, LogReadError> {
    let (mut low, mut high) = (0, bundles);
    while low < high {
        let middle = low.midpoint(high);
        if begins_at(log, middle)? < from { low = middle + 1 } else { high = middle }
    }
    Ok(low)
}

fn begins_at(log: &LogReader, number: u64) -> Result<UnixMillis, LogReadError> {
    let bundle = log.bundle(number)?;
    let (index, size) = (bundle.start, log.published().size);
    let first = bundle.entries.first().ok_or(ReadError::NotPublished { index, size })?;
    let entry = Entry::decode(first).map_err(|source| ReadError::Entry { index, source })?;
    Ok(entry.recorded_at)
}

#[cfg(test)]
mod tests;
