//! A file's two layers: the bytes that read back, and the sectors that survive a power loss.

use std::collections::BTreeSet;

use super::{Extent, Random};

/// Bytes that a disk writes whole or not at all.
const SECTOR_BYTES: usize = 512;

#[derive(Debug, Default)]
pub(super) struct Inode {
    /// What reads back now.
    current: Vec<u8>,
    /// What is there after a power loss.
    durable: Vec<u8>,
    /// Sectors that the next sync makes durable. A failed sync empties this without doing so.
    dirty: BTreeSet<usize>,
    /// Whether the next sync makes the length durable.
    length_is_dirty: bool,
}

impl Inode {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.current
    }

    pub(super) fn read_range(&self, offset: u64, length: u64) -> &[u8] {
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(self.current.len());
        let rest = self.current.get(start..).unwrap_or_default();
        let length = usize::try_from(length).unwrap_or(usize::MAX).min(rest.len());
        rest.get(..length).unwrap_or_default()
    }

    pub(super) fn write_at(&mut self, offset: u64, bytes: &[u8], extent: Extent, random: &mut Random) {
        let taken = match extent {
            Extent::Nothing => 0,
            Extent::Part => random.up_to(bytes.len()),
            Extent::Whole => bytes.len(),
        };
        let bytes = bytes.get(..taken).unwrap_or_default();
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let end = start.saturating_add(bytes.len());
        if bytes.is_empty() {
            return;
        }
        if self.current.len() < end {
            self.current.resize(end, 0);
            self.length_is_dirty = true;
        }
        if let Some(place) = self.current.get_mut(start..end) {
            place.copy_from_slice(bytes);
        }
        self.dirty.extend(start / SECTOR_BYTES..=(end - 1) / SECTOR_BYTES);
    }

    pub(super) fn truncate(&mut self, length: u64) {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        self.current.resize(length, 0);
        self.length_is_dirty = true;
    }

    pub(super) fn sync(&mut self, extent: Extent, random: &mut Random) {
        let dirty = core::mem::take(&mut self.dirty);
        let length_was_dirty = core::mem::take(&mut self.length_is_dirty);
        for sector in dirty {
            if extent == Extent::Whole || (extent == Extent::Part && random.coin()) {
                self.keep(sector);
            }
        }
        if length_was_dirty && extent == Extent::Whole {
            self.durable.resize(self.current.len(), 0);
        }
    }

    pub(super) fn durable_copy(&self) -> Self {
        Self { current: self.durable.clone(), durable: self.durable.clone(), ..Self::default() }
    }

    /// Leaves what is durable, and of what was written but not synced any part.
    pub(super) fn lose_power(&mut self, random: &mut Random) {
        let dirty = core::mem::take(&mut self.dirty);
        let length_was_dirty = core::mem::take(&mut self.length_is_dirty);
        for sector in dirty {
            if random.coin() {
                self.keep(sector);
            }
        }
        if length_was_dirty && random.coin() {
            self.durable.resize(self.current.len(), 0);
        }
        self.current.clone_from(&self.durable);
    }

    /// Makes one sector durable; the file is long enough for it from then on.
    fn keep(&mut self, sector: usize) {
        let start = sector * SECTOR_BYTES;
        let end = (start + SECTOR_BYTES).min(self.current.len());
        let Some(from) = self.current.get(start..end) else {
            return;
        };
        if self.durable.len() < end {
            self.durable.resize(end, 0);
        }
        if let Some(to) = self.durable.get_mut(start..end) {
            to.copy_from_slice(from);
        }
    }
}
