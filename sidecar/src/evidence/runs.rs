//! Which entries go into which run, and the run itself: entries, proof, opened records.

use std::collections::BTreeMap;

use ledgerstone::entry::{DecisionId, Entry, Kind};
use ledgerstone::evidence::{Absence, RUN_RECORD_BYTES, RecordPart, Run};
use ledgerstone::hash::Hash;
use ledgerstone::merkle::subtree::{self, Subtree};
use ledgerstone::merkle::{LeafIndex, TreeSize};
use ledgerstone::record::encode_contents;
use ledgerstone::store::fs::FsReader;
use ledgerstone::tile::{TILE_WIDTH, TileNodes};

use super::ExportError;
use crate::keyring::{KeyringError, RecordKeys};
use crate::reader::{Bundle, LogReader, Stored};
use crate::seal;

/// The entries of one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Leaf index of the first one.
    pub(super) first: u64,
    /// How many.
    pub(super) count: u16,
}

/// What the entries say before any record is opened.
#[derive(Debug, Default)]
pub(super) struct Survey {
    pub(super) parts: Vec<Part>,
    pub(super) entries: u64,
    pub(super) records: u64,
    pub(super) bytes: u64,
    /// Decisions by the model that they name.
    pub(super) models: BTreeMap<Option<Hash>, u64>,
}

impl Survey {
    /// Of consecutive entries.
    pub(super) fn of_range(log: &LogReader, first: u64, last: u64) -> Result<Self, ExportError> {
        let mut survey = Self::default();
        for number in first / u64::from(TILE_WIDTH)..=last / u64::from(TILE_WIDTH) {
            let entries = decoded(log, &log.bundle(number)?)?;
            let entries: Vec<&Stored> =
                entries.iter().filter(|stored| (first..=last).contains(&stored.index.get())).collect();
            entries.iter().for_each(|stored| survey.count(&stored.entry));
            survey.split(&entries);
        }
        Ok(survey)
    }

    /// Of the entries of a draw, each on its own: the drawn ones in their order, then the skipped ones.
    pub(super) fn of_draw(
        log: &LogReader,
        drawn: &[u64],
        skipped: &[u64],
        size: u64,
    ) -> Result<Self, ExportError> {
        let mut survey = Self::default();
        for first in drawn.iter().chain(skipped).copied() {
            if first >= size {
                return Err(ExportError::Range { first, last: first, size: TreeSize::new(size) });
            }
            let bundle = log.bundle(first / u64::from(TILE_WIDTH))?;
            let stored = decoded(log, &bundle)?.into_iter().find(|stored| stored.index.get() == first);
            survey.count(&stored.ok_or(ExportError::NotThere { index: first })?.entry);
            survey.parts.push(Part { first, count: 1 });
        }
        Ok(survey)
    }

    fn count(&mut self, entry: &Entry) {
        self.entries += 1;
        self.bytes += entry.encode().map_or(0, |bytes| bytes.len() as u64);
        if let Some(sealed) = entry.sealed {
            self.records += 1;
            self.bytes += sealed.length;
        }
        if entry.kind == Kind::Decision {
            *self.models.entry(entry.model).or_default() += 1;
        }
    }

    /// Cuts consecutive entries of one bundle into subtrees, none with more records than a run takes.
    fn split(&mut self, entries: &[&Stored]) {
        let mut rest = entries;
        while let Some(first) = rest.first().map(|stored| stored.index.get()) {
            let mut count = aligned(first, rest.len());
            while count > 1 && record_bytes(rest.get(..count).unwrap_or(rest)) > RUN_RECORD_BYTES as u64 {
                count = (count / 2).next_power_of_two();
            }
            self.parts.push(Part { first, count: u16::try_from(count).unwrap_or(TILE_WIDTH) });
            rest = rest.get(count..).unwrap_or_default();
        }
    }
}

/// Every entry of the tree that registers a model.
pub(super) fn registrations(log: &LogReader, size: TreeSize) -> Result<Vec<Part>, ExportError> {
    let mut parts = Vec::new();
    for number in 0..size.get().div_ceil(u64::from(TILE_WIDTH)) {
        for stored in decoded(log, &log.bundle(number)?)? {
            if stored.entry.kind == Kind::Model && stored.index.get() < size.get() {
                parts.push(Part { first: stored.index.get(), count: 1 });
            }
        }
    }
    Ok(parts)
}

/// How many entries from `first` make a subtree, of at most `there`: all of them at the start of a tile, else as many as the
/// place of the first allows.
fn aligned(first: u64, there: usize) -> usize {
    if first.is_multiple_of(u64::from(TILE_WIDTH)) {
        return there;
    }
    let most = 1_usize << first.trailing_zeros().min(8);
    if there >= most { most } else { there.next_power_of_two() / if there.is_power_of_two() { 1 } else { 2 } }
}

fn record_bytes(entries: &[&Stored]) -> u64 {
    entries.iter().filter_map(|stored| stored.entry.sealed).map(|sealed| sealed.length).sum()
}

fn decoded(log: &LogReader, bundle: &Bundle) -> Result<Vec<Stored>, ExportError> {
    Ok(log.records(bundle, |_, _| false)?)
}

/// Reads one run, its records opened by `open`.
pub(super) fn read(
    log: &LogReader,
    nodes: &TileNodes<'_, FsReader>,
    size: TreeSize,
    part: Part,
    open: impl Fn(LeafIndex, &Entry, Option<&[u8]>) -> RecordPart,
) -> Result<Run, ExportError> {
    let end = part.first + u64::from(part.count);
    let bundle = log.bundle(part.first / u64::from(TILE_WIDTH))?;
    let within = |index: LeafIndex| (part.first..end).contains(&index.get());
    let stored = log.records_or_lost(&bundle, |index, _| within(index))?;
    let entries = bundle.entries.into_iter().zip(stored).filter(|(_, stored)| within(stored.index));
    let entries = entries
        .map(|(bytes, stored)| {
            let record = open(stored.index, &stored.entry, stored.sealed.as_deref());
            (bytes, record)
        })
        .collect();
    let first = LeafIndex::new(part.first);
    let subtree = Subtree::new(first, TreeSize::new(end)).map_err(ExportError::Subtree)?;
    let proof =
        subtree::prove_consistency(nodes, subtree, size).map_err(|error| ExportError::Log(error.into()))?;
    Ok(Run { first, entries, proof })
}

/// Opens the sealed record of an entry, or says why it cannot be had.
pub(super) fn open(
    keys: &dyn RecordKeys,
    index: LeafIndex,
    entry: &Entry,
    sealed: Option<&[u8]>,
    raw: bool,
) -> RecordPart {
    if entry.sealed.is_none() {
        return RecordPart::None;
    }
    let Some((sealed, decision)) = sealed.zip(seal::sealed_for(entry.decision, entry.kind)) else {
        return RecordPart::Absent(Absence::Lost);
    };
    match contents(keys, (&decision, entry.kind), sealed, raw) {
        Ok(record) => record,
        Err(seal::OpenError::Keys(KeyringError::Erased { .. })) => RecordPart::Absent(Absence::Erased),
        Err(error) => {
            tracing::warn!(%index, %error, "a sealed record does not open");
            RecordPart::Absent(Absence::Locked)
        }
    }
}

fn contents(
    keys: &dyn RecordKeys,
    (decision, kind): (&DecisionId, Kind),
    sealed: &[u8],
    raw: bool,
) -> Result<RecordPart, seal::OpenError> {
    let content = seal::open(keys, decision, kind, sealed)?;
    let [request, response] =
        [&content.request, &content.response].map(|bytes| bytes.as_deref().filter(|_| raw));
    Ok(RecordPart::Opened(encode_contents(&content.secret, &content.record, request, response)))
}
