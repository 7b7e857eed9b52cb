//! The names in a store.

use crate::tile::{TileKind, TilePath};

/// Whose log this is: a policy naming its keys. Written last by `init`, so a store without it is none.
pub(super) const IDENTITY: &str = "log.policy";
/// Whoever holds the lock on this file may write.
pub(super) const LOCK: &str = "lock";
/// The public files; any static file server can serve this folder.
pub(super) const PUBLIC: &str = "log";
/// The signed head, in the public folder.
pub(super) const CHECKPOINT: &str = "log/checkpoint";
/// The segments.
pub(super) const JOURNAL: &str = "journal";
/// The sealed records.
pub(super) const SEALED: &str = "sealed";
/// What every segment's name ends in.
const SEGMENT_SUFFIX: &str = ".journal";

/// Where a tile or bundle is.
pub(super) fn tile(path: &TilePath) -> String {
    format!("{PUBLIC}/{path}")
}

/// The folder of the partial files of the full file at `path`.
pub(super) fn partials_of(path: &TilePath) -> String {
    format!("{}.p", tile(&path.to_full()))
}

/// Whether the file at `path` is a partial tile or bundle.
pub(super) fn is_partial(path: &str) -> bool {
    path.rsplit_once('/').is_some_and(|(folder, _)| folder.ends_with(".p"))
}

/// Where the sealed records of the entries under a bundle are.
pub(super) fn sealed(bundle: u64) -> String {
    let path = TilePath::full(TileKind::Entries, bundle).to_string();
    format!("{SEALED}/{}", path.trim_start_matches("tile/entries/"))
}

/// Where the segment `number` is.
pub(super) fn segment(number: u64) -> String {
    format!("{JOURNAL}/{number:016x}{SEGMENT_SUFFIX}")
}

/// The number of the segment with this name; nothing for any other file.
pub(super) fn segment_number(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(SEGMENT_SUFFIX)?;
    let number = u64::from_str_radix(digits, 16).ok()?;
    (format!("{number:016x}") == digits).then_some(number)
}

/// Where a file is written before it gets its name.
pub(super) fn temporary(path: &str) -> String {
    format!("{path}.tmp")
}
