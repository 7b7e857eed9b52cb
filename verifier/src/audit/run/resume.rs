//! What an interrupted run left: the whole lines up to the last part that was done.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, Seek as _, SeekFrom};
use std::path::Path;

use super::RunError;
use crate::audit::results::{Head, Line, Lines, Tail};

/// A file of results that is gone on with.
pub(super) struct Resumed {
    /// The file, at its end.
    pub(super) file: File,
    /// Parts that are done.
    pub(super) parts: u64,
    /// The counts so far.
    pub(super) tail: Tail,
    /// Whether there was anything.
    pub(super) is_fresh: bool,
}

/// Opens the file at `path`, cut behind the last part that was done under the same head.
pub(super) fn open(path: &Path, head: &Head) -> Result<Resumed, RunError> {
    let io = |source| RunError::Io { path: path.to_owned(), source };
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).read(true).write(true);
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let mut file = options.open(path).map_err(io)?;
    let (keep, parts, tail) = scan(path, &file, head)?;
    file.set_len(keep).map_err(io)?;
    file.seek(SeekFrom::End(0)).map_err(io)?;
    Ok(Resumed { file, parts, tail, is_fresh: keep == 0 })
}

/// Bytes to keep, parts in them, and their counts.
fn scan(path: &Path, file: &File, head: &Head) -> Result<(u64, u64, Tail), RunError> {
    let mut lines = Lines::new(BufReader::new(file));
    match lines.next()? {
        None => return Ok((0, 0, Tail::default())),
        Some(Line::Head(found)) if *found == *head => {}
        Some(_) => return Err(RunError::OtherPartial { path: path.to_owned() }),
    }
    let mut at = lines.len();
    let (mut kept, mut counted) = ((at, 0, Tail::default()), Tail::default());
    while let Some(line) = lines.next()? {
        at += lines.len();
        match line {
            Line::Decision(decision) => counted.count(&decision),
            Line::Through(parts) => kept = (at, parts, counted.clone()),
            Line::Head(_) | Line::Tail(_) => return Err(RunError::OtherPartial { path: path.to_owned() }),
        }
    }
    Ok(kept)
}
