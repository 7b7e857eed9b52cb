//! A file of one event a line, rotated by size.
//!
//! Guarantees: a batch is accepted once its bytes and, of a new file, its name are durable; a line that a crash or a full disk tore is cut
//! off before anything is written after it, so that every line is whole; a file has at most one batch more than its size; what is
//! rotated is whole. Does not do: compression, and keeping what the number of files does not cover: collect them before.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use tokio::task::spawn_blocking;

use super::sink::{Rendered, Sink, SinkError, SinkFault};
use crate::config::siem::FileConfig;

/// The mode of a new file: for the operator and the group that collects.
const MODE: u32 = 0o640;

/// Bytes that are read at once in search of the last line's end.
const WINDOW: u64 = 64 << 10;

/// A file that is rotated.
#[derive(Debug)]
pub(super) struct FileSink {
    config: FileConfig,
    open: Option<Open>,
}

/// The file that is written.
#[derive(Debug)]
struct Open {
    file: File,
    /// Where the next line goes: everything before is durable.
    end: u64,
}

impl FileSink {
    pub(super) const fn new(config: FileConfig) -> Self {
        Self { config, open: None }
    }
}

#[tonic::async_trait]
impl Sink for FileSink {
    async fn deliver(&mut self, batch: &[Rendered]) -> Result<(), SinkError> {
        let mut lines = String::with_capacity(batch.iter().map(|rendered| rendered.text.len() + 1).sum());
        for rendered in batch {
            lines.push_str(&rendered.text);
            lines.push('\n');
        }
        let (config, open) = (self.config.clone(), self.open.take());
        // Given up or not, the thread goes on to its end, and the next delivery opens the file anew.
        let written = spawn_blocking(move || append(&config, open, lines.as_bytes())).await;
        let written = written.unwrap_or_else(|_| Err(io::Error::other("the writer panicked; report it")));
        self.open = Some(written.map_err(SinkFault::from)?);
        Ok(())
    }
}

fn append(config: &FileConfig, open: Option<Open>, lines: &[u8]) -> io::Result<Open> {
    let there = open.filter(|open| is_still(open, &config.path));
    let mut open = there.map_or_else(|| Open::at(&config.path), Ok)?;
    if open.end >= config.rotate_bytes {
        rotate(config)?;
        open = Open::at(&config.path)?;
    }
    open.append(lines)?;
    Ok(open)
}

impl Open {
    /// Opens the file, or creates it, and cuts off what is torn behind its last whole line.
    fn at(path: &Path) -> io::Result<Self> {
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(MODE).open(path)?;
        // Two sidecars with one file would each cut off what the other writes.
        file.try_lock().map_err(|_| io::Error::other("another process writes it"))?;
        let length = file.metadata()?.len();
        let end = last_line_end(&mut file, length)?;
        if end < length {
            tracing::warn!(path = %path.display(), torn_bytes = length - end, "the last line of the file was torn and is cut off");
            file.set_len(end)?;
        }
        file.sync_all()?;
        sync_folder(path)?;
        Ok(Self { file, end })
    }

    fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(self.end))?;
        let written = self.file.write_all(lines).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // As far as the disk lets it: whoever reads the file now sees whole lines. Opening it does the same again.
            _ = self.file.set_len(self.end);
            return Err(error);
        }
        self.end += lines.len() as u64;
        Ok(())
    }
}

/// Whether `path` still names the open file as it was left: somebody else may have moved it, emptied it (`copytruncate`), or written
/// to it. Going on at the old place would leave a hole of zeros before the next line, or write over what is there.
fn is_still(open: &Open, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    match (open.file.metadata(), fs::metadata(path)) {
        (Ok(held), Ok(named)) => {
            (held.dev(), held.ino()) == (named.dev(), named.ino()) && held.len() == open.end
        }
        _ => false,
    }
}

/// One past the last line end in the first `length` bytes.
fn last_line_end(file: &mut File, length: u64) -> io::Result<u64> {
    let mut end = length;
    while end > 0 {
        let start = end.saturating_sub(WINDOW);
        let mut window = Vec::new();
        file.seek(SeekFrom::Start(start))?;
        Read::by_ref(file).take(end - start).read_to_end(&mut window)?;
        if let Some(at) = window.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

/// Gives each old file the next number, and the current one the first. Repeated after a crash, it goes on where it was: a number that
/// is free stops the moving.
fn rotate(config: &FileConfig) -> io::Result<()> {
    let FileConfig { path, keep, .. } = config;
    let free = (1..=*keep).find(|number| !numbered(path, *number).exists()).unwrap_or(*keep);
    for number in (1..free).rev() {
        fs::rename(numbered(path, number), numbered(path, number + 1))?;
    }
    fs::rename(path, numbered(path, 1))?;
    sync_folder(path)
}

fn numbered(path: &Path, number: usize) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests;
