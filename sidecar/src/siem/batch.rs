//! What a sink gets next: alerts before entries, of either as many as one delivery holds.
//!
//! Guarantees: a batch is bounded in events and in entries that are looked at; each event knows the position behind it. Blocks.

use std::ops::Range;

use ledgerstone::code::Code;
use ledgerstone::merkle::{LeafIndex, TreeSize};
use ledgerstone::siem::{Event, EventError, Log};
use ledgerstone::tile::TILE_WIDTH;
use ledgerstone::time::UnixMillis;

use super::alerts::Alerts;
use super::cursor::Position;
use super::render::Renderer;
use super::sink::Rendered;
use crate::config::siem::Exported;
use crate::reader::{LogReadError, LogReader};

/// Bundles that are looked at for one batch: a sink that gets alerts alone passes over 16,384 entries at a time.
const BUNDLES_MAX: usize = 64;

/// What is sent at once.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) events: Vec<Rendered>,
    /// The position behind each event.
    behind: Vec<Position>,
    /// The position behind everything that was looked at.
    pub(super) next: Position,
    /// Numbers of alerts that were given up before the first one here.
    pub(super) missed: Range<u64>,
}

/// Where batches come from.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) about: Log,
    pub(super) log: LogReader,
    pub(super) alerts: std::sync::Arc<Alerts>,
    pub(super) exported: Exported,
    pub(super) renderer: Renderer,
}

impl Batch {
    /// The position behind the first `accepted` events.
    pub(super) fn behind(&self, accepted: usize) -> Option<Position> {
        accepted.checked_sub(1).and_then(|last| self.behind.get(last)).copied()
    }

    /// When the first event was made.
    pub(super) fn oldest(&self) -> Option<UnixMillis> {
        self.events.first().map(|rendered| rendered.event.time())
    }

    fn new(next: Position) -> Self {
        Self { events: Vec::new(), behind: Vec::new(), next, missed: 0..0 }
    }

    fn push(&mut self, rendered: Rendered, behind: Position) {
        self.events.push(rendered);
        self.behind.push(behind);
    }
}

impl Source {
    /// What comes at `from`, at most `events_max` events; nothing where there is nothing.
    pub(super) fn batch(&self, from: Position, events_max: usize) -> Result<Option<Batch>, BatchError> {
        let alerts = self.alerts(from, events_max);
        if alerts.is_some() {
            return Ok(alerts);
        }
        let size = self.log.published().size;
        if from.entries >= size.get() {
            return Ok(None);
        }
        self.entries(from, size, events_max).map(Some)
    }

    fn alerts(&self, from: Position, events_max: usize) -> Option<Batch> {
        let (alerts, missed) = self.alerts.after(from.alerts, events_max);
        let mut batch = Batch::new(from);
        batch.missed = missed;
        for kept in alerts {
            batch.next.alerts = kept.number + 1;
            let event = Event::of_alert(&self.about, &kept.alert);
            batch.push(self.renderer.render(event), batch.next);
        }
        (!batch.events.is_empty()).then_some(batch)
    }

    fn entries(&self, from: Position, size: TreeSize, events_max: usize) -> Result<Batch, BatchError> {
        let mut batch = Batch::new(from);
        let width = u64::from(TILE_WIDTH);
        for number in (from.entries / width..size.get().div_ceil(width)).take(BUNDLES_MAX) {
            let bundle = self.log.bundle(number)?;
            for (index, entry) in (bundle.start.get()..).zip(&bundle.entries) {
                if index < batch.next.entries {
                    continue;
                }
                if batch.events.len() == events_max {
                    return Ok(batch);
                }
                batch.next.entries = index + 1;
                let event = Event::of_entry(&self.about, LeafIndex::new(index), entry)?;
                if self.exported == Exported::All || event.kind().is_alert() {
                    batch.push(self.renderer.render(event), batch.next);
                }
            }
        }
        Ok(batch)
    }
}

/// Why there is no batch.
#[derive(Debug, thiserror::Error)]
pub(super) enum BatchError {
    /// The log cannot be read.
    #[error("the log cannot be read: {0}")]
    Log(#[from] LogReadError),
    /// An entry is none.
    #[error(transparent)]
    Event(#[from] EventError),
}

impl BatchError {
    /// Whether it says that the log was changed, and not that it cannot be read at present.
    pub(super) fn is_sign(&self) -> bool {
        let code = match self {
            Self::Log(error) => error.code(),
            Self::Event(error) => error.code(),
        };
        matches!(code, Code::Malformed | Code::Inconsistent | Code::Untrusted)
    }
}
