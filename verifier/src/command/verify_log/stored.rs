//! The walk over the stored bundles and tiles.
//!
//! Guarantees: each bundle and each tile file is read once and compared with what the entries give, among them the
//! partial files of earlier sizes that are still there. Does not do: judging; that is
//! [`Walk`](ledgerstone::verify::log::Walk).

use ledgerstone::merkle::TreeSize;
use ledgerstone::tile::{TILE_WIDTH, TileKind, TilePath};
use ledgerstone::verify::Check;
use ledgerstone::verify::log::{DerivedTile, Walk};

use super::files::{Finding, Findings};
use super::sealed::Sealed;
use crate::progress::Progress;
use crate::source::{ReadError, Source, TILE_BYTES_MAX};

/// Bundles missing one after another before the walk ends: a statement about 2^62 entries must not keep it going.
const MISSING_IN_A_ROW_MAX: u32 = 16;

/// The stored files of a log while they are walked.
pub(super) struct Stored<'a> {
    source: &'a dyn Source,
    /// What was found about files that are not needed for the checkpoint's size.
    findings: Findings,
}

impl<'a> Stored<'a> {
    /// The files at `source`.
    pub(super) fn new(source: &'a dyn Source) -> Self {
        Self { source, findings: Findings::default() }
    }

    /// Walks from the first bundle to the last, or to where it makes no sense to go on.
    pub(super) fn walk(
        &mut self,
        walk: &mut Walk,
        mut sealed: Option<&mut Sealed>,
        progress: &mut dyn Progress,
    ) {
        let total = walk.size().get();
        let mut missing_in_a_row = 0;
        while let Some(path) = walk.next_bundle() {
            match self.read(path) {
                Ok(bytes) => {
                    missing_in_a_row = 0;
                    self.bundle(walk, path, &bytes);
                    if let Some(sealed) = &mut sealed {
                        sealed.bundle(path, &bytes);
                    }
                }
                Err(error) => {
                    missing_in_a_row += 1;
                    if let Some(sealed) = &mut sealed {
                        sealed.bundle_missing(path);
                    }
                    if !error.is_about_the_data() {
                        return self.findings.unreadable(&error);
                    }
                    walk.bundle_missing(&sentence(&error));
                    if missing_in_a_row == MISSING_IN_A_ROW_MAX {
                        return;
                    }
                }
            }
            progress.advance("entries", walk.position().get(), total);
        }
        for tile in walk.partial_tiles() {
            self.compare(walk, &tile);
        }
        if let Some(sealed) = sealed.filter(|sealed| sealed.saw_erasures()) {
            self.count_erased(walk.size(), sealed, progress);
        }
    }

    /// Goes through the log again: an erasure stands behind the records that it closes.
    fn count_erased(&self, size: TreeSize, sealed: &mut Sealed, progress: &mut dyn Progress) {
        let total = size.get();
        for number in 0..total.div_ceil(u64::from(TILE_WIDTH)) {
            let start = number * u64::from(TILE_WIDTH);
            let width = u16::try_from((total - start).min(u64::from(TILE_WIDTH))).unwrap_or(TILE_WIDTH);
            let Ok(path) = TilePath::partial(TileKind::Entries, number, width) else { return };
            if let Ok(bytes) = self.read(path) {
                sealed.count_erased(path, &bytes);
            }
            progress.advance("erased records", (start + u64::from(width)).min(total), total);
        }
    }

    /// Names the files that belong to no tree of this size, and sums up; nothing where no file can be listed and none
    /// was left out.
    pub(super) fn into_check(mut self, source: &dyn Source, size: TreeSize) -> Option<Check> {
        match source.directory() {
            Some(directory) => self.findings.take_inventory(directory, size),
            None if self.findings.is_empty() => return None,
            None => {}
        }
        Some(self.findings.into_check())
    }

    /// A bundle, the bundles of earlier sizes that it has outgrown, and the tiles that it completes.
    fn bundle(&mut self, walk: &mut Walk, path: TilePath, bytes: &[u8]) {
        let derived = walk.bundle(bytes);
        self.compare_earlier(path, bytes, prefix_of_bundle);
        for tile in &derived {
            self.compare(walk, tile);
        }
    }

    /// A derived tile against the stored one, and against those of earlier sizes.
    fn compare(&mut self, walk: &mut Walk, derived: &DerivedTile) {
        match self.read(derived.path) {
            Ok(mut bytes) => {
                if bytes.len() > derived.bytes.len() && !derived.path.is_full() {
                    // Read from the full file, because the partial one is gone.
                    bytes.truncate(derived.bytes.len());
                }
                walk.tile(derived, Some(&bytes));
            }
            Err(error) if error.is_about_the_data() => walk.tile(derived, None),
            Err(error) => self.findings.unreadable(&error),
        }
        self.compare_earlier(derived.path, &derived.bytes, prefix_of_tile);
    }

    /// The partial files of earlier sizes: each must be the beginning of what stands there now.
    fn compare_earlier(&mut self, path: TilePath, bytes: &[u8], prefix: fn(&[u8], u16) -> Option<&[u8]>) {
        let Some(directory) = self.source.directory() else {
            return;
        };
        let names = match directory.names(&format!("{}.p", path.to_full())) {
            Ok(names) => names,
            Err(error) => return self.findings.unreadable(&error),
        };
        let widths =
            names.iter().filter_map(|name| name.parse::<u16>().ok()).filter(|width| *width < path.width());
        for width in widths {
            let Ok(earlier) = TilePath::partial(path.kind(), path.index(), width) else {
                continue;
            };
            let finding = match (directory.read(&earlier.to_string(), TILE_BYTES_MAX), prefix(bytes, width)) {
                (Ok(stored), Some(expected)) if stored == expected => Finding::Fits,
                (Ok(stored), Some(expected)) => Finding::differs(&stored, expected),
                (Ok(_), None) => Finding::Incomparable,
                // A running log drops outgrown files; this one went after it was listed.
                (Err(error), _) if error.is_missing() => continue,
                (Err(error), _) => Finding::Unreadable(error.to_string()),
            };
            self.findings.add(&earlier.to_string(), finding);
        }
    }

    /// A file of the tree, the full one where the partial one is gone.
    fn read(&self, path: TilePath) -> Result<Vec<u8>, ReadError> {
        let read = |path: TilePath| self.source.read(&path.to_string(), TILE_BYTES_MAX);
        match read(path) {
            Err(error) if error.is_missing() && !path.is_full() => read(path.to_full()).map_err(|_| error),
            other => other,
        }
    }
}

/// The first `width` hashes of a tile.
fn prefix_of_tile(bytes: &[u8], width: u16) -> Option<&[u8]> {
    bytes.get(..usize::from(width) * ledgerstone::hash::Hash::LEN)
}

/// The first `width` entries of a bundle with their lengths.
fn prefix_of_bundle(bytes: &[u8], width: u16) -> Option<&[u8]> {
    let mut end = 0_usize;
    for _ in 0..width {
        let length = bytes.get(end..)?.first_chunk::<2>()?;
        end = end.checked_add(2 + usize::from(u16::from_be_bytes(*length)))?;
    }
    bytes.get(..end)
}

fn sentence(error: &ReadError) -> String {
    match error {
        ReadError::Missing { .. } => "It is missing.".to_owned(),
        other => format!("{other}."),
    }
}
