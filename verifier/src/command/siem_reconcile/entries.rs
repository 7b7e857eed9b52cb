//! The log's entries, read once to derive the root and again where an event names one.
//!
//! Guarantees: what is read again is what the root was derived from. Bundles that were read last are kept, up to a bound, because a
//! SIEM gives events back nearly in the order of the log.

use std::collections::BTreeMap;

use ledgerstone::checkpoint::Checkpoint;
use ledgerstone::code::{CheckName, Code};
use ledgerstone::hash::{Hash, leaf_hash};
use ledgerstone::merkle::range::CompactRange;
use ledgerstone::merkle::{LeafIndex, TreeSize};
use ledgerstone::tile::TILE_WIDTH;
use ledgerstone::verify::Check;

use super::super::log_entries::{decode, read_bundle};
use super::LEAVES_MAX;
use crate::exit::Refusal;
use crate::progress::Progress;
use crate::source::Source;

/// Bytes of bundles that are kept: at 56 KiB each, a million decisions.
const CACHE_BYTES_MAX: usize = 256 * 1024 * 1024;

const WIDTH: u64 = TILE_WIDTH as u64;

/// The entries of a log whose root was right.
pub(super) struct Entries<'a> {
    source: &'a dyn Source,
    size: TreeSize,
    /// SHA-256 of each bundle as it was read first.
    digests: Vec<Hash>,
    kept: BTreeMap<u64, Bundle>,
    kept_bytes: usize,
    /// Counts uses, to know which bundle was used last.
    uses: u64,
}

struct Bundle {
    entries: Vec<Vec<u8>>,
    bytes: usize,
    used: u64,
}

impl<'a> Entries<'a> {
    /// Reads every entry and compares the root; the entries are given back where it is the signed one.
    ///
    /// # Errors
    /// A bundle cannot be read or is none, or the log is larger than what fits into memory.
    pub(super) fn read(
        source: &'a dyn Source,
        checkpoint: &Checkpoint,
        progress: &mut dyn Progress,
    ) -> Result<(Option<Self>, Check), Refusal> {
        let size = checkpoint.size;
        let bundles = size.get().div_ceil(WIDTH);
        if bundles > LEAVES_MAX / WIDTH {
            return Err(Refusal::new(
                Code::Limit,
                format_args!("the log's {size} entries are more than {LEAVES_MAX}"),
                "Reconcile an older copy of the log, or ask for a build with a higher limit.",
            ));
        }
        let (mut range, mut digests) = (CompactRange::empty(), Vec::new());
        for bundle in 0..bundles {
            let bytes = read_bundle(source, bundle, size)?;
            digests.push(Hash::of(&bytes));
            let left = size.get() - range.size().get();
            for entry in decode(source, bundle, &bytes)?.into_iter().zip(0..left).map(|(entry, _)| entry) {
                range.push(leaf_hash(entry));
            }
            progress.advance("entries", range.size().get(), size.get());
        }
        let name = CheckName::LogRoot;
        if (range.size(), range.root()) != (size, checkpoint.root) {
            let detail = format!(
                "The entries give root {} over {} leaves, and the log signed {} over {size}.",
                range.root(),
                range.size(),
                checkpoint.root
            );
            return Ok((None, Check::failed(name, Code::Inconsistent, detail)));
        }
        let check =
            Check::passed(name, format!("The {size} entries give the root hash that the log states."));
        let entries = Self { source, size, digests, kept: BTreeMap::new(), kept_bytes: 0, uses: 0 };
        Ok((Some(entries), check))
    }

    /// The bytes of the entry at `index`; none if the log has no such leaf.
    ///
    /// # Errors
    /// Its bundle cannot be read any more, or is another one than before.
    pub(super) fn entry(&mut self, index: LeafIndex) -> Result<Option<&[u8]>, Refusal> {
        if !index.is_in(self.size) {
            return Ok(None);
        }
        let number = index.get() / WIDTH;
        if !self.kept.contains_key(&number) {
            self.keep(number)?;
        }
        self.uses += 1;
        let Some(bundle) = self.kept.get_mut(&number) else { return Ok(None) };
        bundle.used = self.uses;
        let place = usize::try_from(index.get() % WIDTH).ok();
        Ok(place.and_then(|place| bundle.entries.get(place)).map(Vec::as_slice))
    }

    fn keep(&mut self, number: u64) -> Result<(), Refusal> {
        let bytes = read_bundle(self.source, number, self.size)?;
        let digest = usize::try_from(number).ok().and_then(|number| self.digests.get(number));
        if digest != Some(&Hash::of(&bytes)) {
            return Err(Refusal::new(
                Code::Inconsistent,
                format_args!("the entries of {} changed while they were read", self.source.label()),
                "Keep a copy of the log and run the command on that.",
            ));
        }
        let entries = decode(self.source, number, &bytes)?.into_iter().map(<[u8]>::to_vec).collect();
        while self.kept_bytes + bytes.len() > CACHE_BYTES_MAX {
            let oldest = self.kept.iter().min_by_key(|(_, bundle)| bundle.used).map(|(number, _)| *number);
            let Some(bundle) = oldest.and_then(|oldest| self.kept.remove(&oldest)) else { break };
            self.kept_bytes -= bundle.bytes;
        }
        self.kept_bytes += bytes.len();
        self.kept.insert(number, Bundle { entries, bytes: bytes.len(), used: self.uses });
        Ok(())
    }
}
