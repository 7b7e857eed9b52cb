//! How far a sink is: the place of the next entry and of the next alert, in a file of the store.
//!
//! Guarantees: the file says only what a sink has accepted, and is whole after any crash (temporary file, fsync, rename, fsync of the
//! folder); one process follows for a sink at a time; a cursor that does not fit the log is refused with how to mend it, because going
//! on would leave out whatever the log holds in the place of what was exported.
//! Does not do: being written with every batch. What is sent twice after a crash has the same id.

use std::collections::BTreeSet;
use std::io;

use ledgerstone::code::Code;
use ledgerstone::encoding::hex_decode;
use ledgerstone::hash::{Hash, leaf_hash};
use ledgerstone::merkle::{LeafIndex, TreeSize};
use ledgerstone::siem::Text;
use ledgerstone::store::disk::{Disk as _, DiskFile as _};
use ledgerstone::store::fs::StdDisk;
use serde::{Deserialize, Serialize};

use crate::config::siem::SinkName;
use crate::reader::{LogReadError, LogReader};

/// The folder of the export, below the store.
pub(super) const FOLDER: &str = "siem";

/// Version of the file.
const FORMAT: &str = "ledgerstone-siem-cursor/v1";

/// What the version of any release begins with.
const ANY_FORMAT: &str = "ledgerstone-siem-cursor/";

/// Bytes of the file: a name of 32 characters, an origin of 255, a hash, two numbers.
const FILE_BYTES_MAX: u64 = 1024;

/// How far a sink is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Entries of the log that are behind it: the index of the next one.
    pub entries: u64,
    /// Alerts that are behind it: the number of the next one.
    pub alerts: u64,
}

/// The file as it stands there.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    format: String,
    origin: String,
    next_leaf_index: u64,
    /// The leaf hash of the entry before; none at the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    leaf_hash: Option<String>,
    next_alert: u64,
}

/// The cursor of one sink, held by this process.
#[derive(Debug)]
pub struct Cursor {
    disk: StdDisk,
    path: String,
    origin: String,
    log: LogReader,
    written: Option<Position>,
    _held: <StdDisk as ledgerstone::store::disk::Disk>::Lock,
}

impl Cursor {
    /// Takes hold of the cursor of `sink` for the log of `origin` in `disk`.
    ///
    /// # Errors
    /// [`CursorError`] if another process has it, or it does not fit the log.
    pub fn open(disk: &StdDisk, log: &LogReader, origin: &str, sink: &SinkName) -> Result<Self, CursorError> {
        let cursor = Self::hold(disk, log, origin, sink)?;
        let written = read(disk, sink, origin)?;
        if let Some(found) = &written {
            check(found, log, sink)?;
        }
        Ok(Self { written: written.map(|found| found.position()), ..cursor })
    }

    /// Takes hold of the cursor of `sink` to write another position, whatever the file says; and the number of the next alert, as far as
    /// the file says one of this log. Nothing changes before the first [`Cursor::write`].
    ///
    /// # Errors
    /// [`CursorError`] if another process has it.
    pub fn anew(
        disk: &StdDisk,
        log: &LogReader,
        origin: &str,
        sink: &SinkName,
    ) -> Result<(Self, Option<u64>), CursorError> {
        let cursor = Self::hold(disk, log, origin, sink)?;
        let found = read(disk, sink, origin).ok().flatten();
        Ok((cursor, found.map(|found| found.next_alert)))
    }

    fn hold(disk: &StdDisk, log: &LogReader, origin: &str, sink: &SinkName) -> Result<Self, CursorError> {
        let path = path(sink);
        let failed = |source| CursorError::Io { path: path.clone(), source };
        disk.create_folder(FOLDER).map_err(failed)?;
        let held = disk.lock(&format!("{path}.lock")).map_err(failed)?;
        let held = held.ok_or_else(|| CursorError::Held { sink: sink.clone() })?;
        let (disk, origin, log) = (disk.clone(), origin.to_owned(), log.clone());
        Ok(Self { disk, path, origin, log, written: None, _held: held })
    }

    /// What the file says; nothing where there is none.
    #[must_use]
    pub const fn position(&self) -> Option<Position> {
        self.written
    }

    /// Says that everything before `position` was accepted. Does nothing if the file says so. Blocks.
    ///
    /// # Errors
    /// [`CursorError`] if it cannot be written; the file then says what it said.
    pub fn write(&mut self, position: Position) -> Result<(), CursorError> {
        if self.written == Some(position) {
            return Ok(());
        }
        let before = position.entries.checked_sub(1).map(LeafIndex::new);
        let leaf = before.map(|index| self.log.entry(index)).transpose()?;
        let written = Written {
            format: FORMAT.to_owned(),
            origin: self.origin.clone(),
            next_leaf_index: position.entries,
            leaf_hash: leaf.map(|entry| leaf_hash(&entry).to_string()),
            next_alert: position.alerts,
        };
        let mut text = serde_json::to_string(&written).unwrap_or_default();
        text.push('\n');
        put(&self.disk, &self.path, text.as_bytes())
            .map_err(|source| CursorError::Io { path: self.path.clone(), source })?;
        self.written = Some(position);
        Ok(())
    }
}

/// Where the cursor of `sink` says that it is; nothing where it has none. Takes no hold of it.
///
/// # Errors
/// [`CursorError`] if it cannot be read, or does not fit the log.
pub fn look(
    disk: &StdDisk,
    log: &LogReader,
    origin: &str,
    sink: &SinkName,
) -> Result<Option<Position>, CursorError> {
    let Some(found) = read(disk, sink, origin)? else { return Ok(None) };
    check(&found, log, sink)?;
    Ok(Some(found.position()))
}

/// Writes a small file of the store whole, or not at all.
pub(super) fn put(disk: &StdDisk, path: &str, bytes: &[u8]) -> io::Result<()> {
    let temporary = format!("{path}.tmp");
    let mut file = disk.create(&temporary)?;
    file.write_at(0, bytes)?;
    file.sync()?;
    disk.rename(&temporary, path)?;
    disk.sync_files(&BTreeSet::from([path.to_owned()]))
}

fn path(sink: &SinkName) -> String {
    format!("{FOLDER}/{sink}.cursor")
}

impl Written {
    const fn position(&self) -> Position {
        Position { entries: self.next_leaf_index, alerts: self.next_alert }
    }
}

fn read(disk: &StdDisk, sink: &SinkName, origin: &str) -> Result<Option<Written>, CursorError> {
    let path = path(sink);
    let bytes = match disk.read(&path, FILE_BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(CursorError::Io { path, source }),
    };
    // A later format may have other fields.
    let format: Option<serde_json::Value> = serde_json::from_slice(&bytes).ok();
    let format = format.as_ref().and_then(|found| found.get("format")?.as_str());
    if let Some(found) = format.filter(|found| *found != FORMAT && found.starts_with(ANY_FORMAT)) {
        return Err(CursorError::Newer { sink: sink.clone(), found: found.to_owned() });
    }
    let found: Option<Written> = serde_json::from_slice(&bytes).ok();
    let found = found.filter(|found| found.format == FORMAT);
    let found = found.ok_or_else(|| CursorError::Damaged { sink: sink.clone() })?;
    if found.origin != origin {
        // It is shown, and whoever could write the file could put anything into it.
        let found = Text::new(&found.origin).as_str().to_owned();
        return Err(CursorError::OtherLog { sink: sink.clone(), found });
    }
    Ok(Some(found))
}

/// Holds a cursor against the log.
fn check(found: &Written, log: &LogReader, sink: &SinkName) -> Result<(), CursorError> {
    let (next, size) = (found.next_leaf_index, log.published().size);
    if next > size.get() {
        return Err(CursorError::Ahead { sink: sink.clone(), next, size });
    }
    let before = next.checked_sub(1).map(LeafIndex::new);
    let hash = before.map(|index| log.entry(index)).transpose()?.map(|entry| leaf_hash(&entry));
    let stated = found.leaf_hash.as_deref().map(read_hash);
    match (hash, stated) {
        (None, None) => Ok(()),
        (Some(hash), Some(Some(stated))) if hash == stated => Ok(()),
        (_, Some(None) | None) => Err(CursorError::Damaged { sink: sink.clone() }),
        (_, Some(Some(_))) => Err(CursorError::Fork { sink: sink.clone(), index: next.saturating_sub(1) }),
    }
}

/// Reads lowercase hex.
pub(super) fn read_hash(text: &str) -> Option<Hash> {
    Hash::try_from(hex_decode(text).ok()?.as_slice()).ok()
}

/// Why a sink cannot go on from its cursor.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CursorError {
    /// It says that more was exported than the log has.
    #[error(
        "the cursor of sink {sink} is at leaf index {next}, and the log has only {size} entries: an older copy of it was restored. Bring back the store that reaches further; if that is lost, what was exported from {size} on is of a history that is gone: keep it as evidence, then run `ledgerstone-sidecar siem reset {sink} --to {size}`"
    )]
    Ahead {
        /// The sink.
        sink: SinkName,
        /// The next entry that it says.
        next: u64,
        /// Entries that are published.
        size: TreeSize,
    },
    /// The entry that was exported last is another one in the log.
    #[error(
        "the entry at leaf index {index} is another one than sink {sink} exported: the log was rewritten or replaced. Keep both as evidence; `ledgerstone-sidecar siem reset {sink} --to beginning` exports this log from its beginning"
    )]
    Fork {
        /// The sink.
        sink: SinkName,
        /// The last one that was exported.
        index: u64,
    },
    /// It is about another log.
    #[error(
        "the cursor of sink {sink} is about the log {found}: put back the one of this log, or run `ledgerstone-sidecar siem reset {sink} --to beginning`"
    )]
    OtherLog {
        /// The sink.
        sink: SinkName,
        /// The log of the cursor.
        found: String,
    },
    /// It cannot be made sense of.
    #[error(
        "the cursor of sink {sink} is damaged: restore siem/{sink}.cursor in the store, or run `ledgerstone-sidecar siem reset {sink} --to beginning`"
    )]
    Damaged {
        /// The sink.
        sink: SinkName,
    },
    /// A later release wrote it.
    #[error(
        "the cursor of sink {sink} has the format {found:?}, and this release reads {FORMAT:?}: go on with the release that wrote it, or a later one"
    )]
    Newer {
        /// The sink.
        sink: SinkName,
        /// The format.
        found: String,
    },
    /// Another process follows for the sink.
    #[error("another process exports to sink {sink}: stop the sidecar first")]
    Held {
        /// The sink.
        sink: SinkName,
    },
    /// It cannot be read or written.
    #[error("{path} in the store: {source}; grant access, or make room on the disk")]
    Io {
        /// The file, below the store.
        path: String,
        /// What the operating system says.
        source: io::Error,
    },
    /// The log cannot be read.
    #[error("the log cannot be held against the cursor: {0}")]
    Log(#[from] LogReadError),
}

impl CursorError {
    /// What the operator must do about it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Ahead { .. } | Self::Fork { .. } => Code::Inconsistent,
            Self::OtherLog { .. } | Self::Held { .. } | Self::Newer { .. } => Code::Misuse,
            Self::Damaged { .. } => Code::Malformed,
            Self::Io { .. } => Code::Unavailable,
            Self::Log(error) => error.code(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_of_a_later_release_is_refused_with_a_word_about_it() {
        let folder = tempfile::tempdir().unwrap();
        let (disk, sink) = (StdDisk::new(folder.path()), SinkName::parse("archive").unwrap());
        std::fs::create_dir(folder.path().join(FOLDER)).unwrap();
        let put = |text: &str| std::fs::write(folder.path().join(path(&sink)), text).unwrap();
        put(r#"{"format":"ledgerstone-siem-cursor/v2","next":[7,9]}"#);
        let newer = read(&disk, &sink, "log.example/a").unwrap_err();
        assert!(matches!(&newer, CursorError::Newer { found, .. } if found.ends_with("/v2")), "{newer}");
        put(r#"{"format":"another","next":[7,9]}"#);
        assert!(matches!(read(&disk, &sink, "log.example/a"), Err(CursorError::Damaged { .. })));
    }
}
