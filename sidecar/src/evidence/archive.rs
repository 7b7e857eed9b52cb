//! The file of a bundle: a tar archive without times or owners, in independent zstd frames, encrypted with age where wanted.
//!
//! Guarantees: the same members give the same bytes, unless they are encrypted; a frame ends where a member ends, or inside a
//! member larger than a frame; what an interrupted export left is continued only with the same header and checkpoint.
//! Does not do: continuing an encrypted file, because age's stream cannot be taken up again.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};

use ledgerstone::evidence::Run;
use ledgerstone::hash::Hash;
use serde::{Deserialize, Serialize};

use super::{ExportError, absences};

/// Bytes of members after which a frame is closed.
const FRAME_BYTES: usize = 4 * 1024 * 1024;

/// zstd's own default: hashes and ciphertext do not shrink with more.
const LEVEL: i32 = 3;

/// Bytes of the state of an interrupted export.
const STATE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// The unit of a tar archive.
const BLOCK: usize = 512;

/// How far an export is, written beside the file after each frame.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    /// SHA-256 of the header, in hex.
    header: String,
    /// The checkpoint that everything is proved against.
    checkpoint: String,
    /// Bytes of the file that hold whole frames.
    bytes: u64,
    /// Runs in them.
    runs: u64,
    /// Absent records in them.
    absent: BTreeMap<String, u64>,
}

/// A bundle that is being written.
pub(super) struct Archive {
    output: PathBuf,
    sink: Sink,
    pending: Vec<u8>,
    state: State,
    absent: BTreeMap<&'static str, u64>,
}

enum Sink {
    Plain(File),
    #[cfg(feature = "age")]
    Encrypted(Box<age::stream::StreamWriter<File>>),
}

impl Archive {
    /// Starts a file, or goes on with what an interrupted export of the same header left.
    pub(super) fn open(
        output: &Path,
        recipients: &[String],
        header: &[u8],
        checkpoint: &str,
    ) -> Result<Self, ExportError> {
        if output.exists() {
            return Err(ExportError::Exists { path: output.to_owned() });
        }
        let fresh = State {
            header: Hash::of(header).to_string(),
            checkpoint: checkpoint.to_owned(),
            bytes: 0,
            runs: 0,
            absent: BTreeMap::new(),
        };
        let state = match saved_state(output)? {
            Some(state) if state.header != fresh.header => {
                return Err(ExportError::OtherPartial { path: partial(output) });
            }
            Some(state) if recipients.is_empty() => state,
            _ => fresh,
        };
        let absent = state.absent.iter().filter_map(|(name, count)| Some((known(name)?, *count))).collect();
        let sink = Sink::open(&partial(output), recipients, state.bytes)?;
        Ok(Self { output: output.to_owned(), sink, pending: Vec::new(), state, absent })
    }

    /// Runs that are in the file already.
    pub(super) const fn runs(&self) -> u64 {
        self.state.runs
    }

    /// Whether nothing is in the file yet.
    pub(super) const fn is_fresh(&self) -> bool {
        self.state.bytes == 0
    }

    /// Adds a member.
    pub(super) fn member(&mut self, name: &str, bytes: &[u8]) -> Result<(), ExportError> {
        self.head(name, bytes.len() as u64)?;
        self.pending.extend_from_slice(bytes);
        self.pad(bytes.len() as u64);
        self.flush_full()
    }

    /// Adds a member of `length` bytes that are read from `from`.
    pub(super) fn stream(&mut self, name: &str, length: u64, from: impl Read) -> Result<(), ExportError> {
        self.head(name, length)?;
        let mut from = from.take(length);
        let mut left = length;
        while left > 0 {
            let wanted = left.min(FRAME_BYTES as u64);
            let read = from.by_ref().take(wanted).read_to_end(&mut self.pending).map_err(|e| self.io(e))?;
            if read == 0 {
                let source = io::Error::new(io::ErrorKind::UnexpectedEof, format!("{name} became shorter"));
                return Err(self.io(source));
            }
            left -= read as u64;
            self.flush_full()?;
        }
        self.pad(length);
        self.flush_full()
    }

    /// Adds a run.
    pub(super) fn run(&mut self, name: &str, run: &Run) -> Result<(), ExportError> {
        let bytes = run.encode();
        self.head(name, bytes.len() as u64)?;
        self.pending.extend_from_slice(&bytes);
        self.pad(bytes.len() as u64);
        self.state.runs += 1;
        if self.pending.len() >= FRAME_BYTES {
            self.flush()?;
            self.save()?;
        }
        Ok(())
    }

    /// Remembers which records of a run are absent.
    pub(super) fn count_absent(&mut self, run: &Run) {
        for name in absences(run) {
            *self.absent.entry(name).or_default() += 1;
        }
    }

    /// Closes the frame of everything that stands before the runs.
    pub(super) fn front_is_written(&mut self) -> Result<(), ExportError> {
        self.flush()?;
        self.save()
    }

    /// Ends the archive and gives the file its name. Returns its bytes and the absent records by reason.
    pub(super) fn finish(mut self) -> Result<(u64, BTreeMap<&'static str, u64>), ExportError> {
        self.pending.extend_from_slice(&[0; 2 * BLOCK]);
        self.flush()?;
        let partial = partial(&self.output);
        let io = |source| ExportError::Io { path: partial.clone(), source };
        let file = self.sink.finish().map_err(io)?;
        file.sync_all().map_err(io)?;
        let bytes = file.metadata().map_err(io)?.len();
        fs::rename(&partial, &self.output).map_err(io)?;
        sync_folder(&self.output).map_err(io)?;
        // Left behind it would only be in the way; the bundle is whole without it.
        _ = fs::remove_file(state_path(&self.output));
        Ok((bytes, self.absent))
    }

    fn head(&mut self, name: &str, length: u64) -> Result<(), ExportError> {
        let mut header = tar::Header::new_ustar();
        header.set_path(name).map_err(|e| self.io(e))?;
        header.set_size(length);
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_entry_type(tar::EntryType::Regular);
        header.set_cksum();
        self.pending.extend_from_slice(header.as_bytes());
        Ok(())
    }

    fn pad(&mut self, length: u64) {
        let over = usize::try_from(length % BLOCK as u64).unwrap_or(0);
        if over > 0 {
            self.pending.resize(self.pending.len() + BLOCK - over, 0);
        }
    }

    fn flush_full(&mut self) -> Result<(), ExportError> {
        if self.pending.len() >= FRAME_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), ExportError> {
        let frame = zstd::bulk::compress(&self.pending, LEVEL).map_err(|e| self.io(e))?;
        self.pending.clear();
        self.sink.write_all(&frame).map_err(|e| self.io(e))?;
        self.state.bytes += frame.len() as u64;
        Ok(())
    }

    /// Writes down how far the file is, once it is on the disk that far.
    fn save(&mut self) -> Result<(), ExportError> {
        if !self.sink.sync().map_err(|e| self.io(e))? {
            return Ok(());
        }
        self.state.absent = self.absent.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        let path = state_path(&self.output);
        let text = serde_json::to_vec(&self.state).map_err(ExportError::Header)?;
        let fresh = path.with_extension("state.new");
        fs::write(&fresh, text).and_then(|()| fs::rename(&fresh, &path)).map_err(|e| self.io(e))
    }

    fn io(&self, source: io::Error) -> ExportError {
        ExportError::Io { path: partial(&self.output), source }
    }
}

impl Sink {
    fn open(path: &Path, recipients: &[String], keep: u64) -> Result<Self, ExportError> {
        let io = |source| ExportError::Io { path: path.to_owned(), source };
        let mut file = private(path).map_err(io)?;
        file.set_len(keep).map_err(io)?;
        file.seek(SeekFrom::End(0)).map_err(io)?;
        if recipients.is_empty() {
            return Ok(Self::Plain(file));
        }
        Self::encrypted(file, recipients, path)
    }

    #[cfg(feature = "age")]
    fn encrypted(file: File, recipients: &[String], path: &Path) -> Result<Self, ExportError> {
        let parse = |recipient: &String| {
            recipient.parse::<age::x25519::Recipient>().map_err(|problem| ExportError::Recipient {
                recipient: recipient.clone(),
                problem: problem.to_owned(),
            })
        };
        let recipients = recipients.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        let io = |source| ExportError::Io { path: path.to_owned(), source };
        let encryptor = age::Encryptor::with_recipients(recipients.iter().map(|r| r as &dyn age::Recipient));
        let encryptor = encryptor.map_err(|error| io(io::Error::other(error)))?;
        Ok(Self::Encrypted(Box::new(encryptor.wrap_output(file).map_err(io)?)))
    }

    #[cfg(not(feature = "age"))]
    fn encrypted(_: File, recipients: &[String], _: &Path) -> Result<Self, ExportError> {
        let recipient = recipients.first().cloned().unwrap_or_default();
        let problem = "this program was built without encryption".to_owned();
        Err(ExportError::Recipient { recipient, problem })
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(file) => file.write_all(bytes),
            #[cfg(feature = "age")]
            Self::Encrypted(stream) => stream.write_all(bytes),
        }
    }

    /// Whether everything written so far is on the disk and can be gone on from.
    fn sync(&self) -> io::Result<bool> {
        match self {
            Self::Plain(file) => file.sync_data().map(|()| true),
            #[cfg(feature = "age")]
            Self::Encrypted(_) => Ok(false),
        }
    }

    fn finish(self) -> io::Result<File> {
        match self {
            Self::Plain(file) => Ok(file),
            #[cfg(feature = "age")]
            Self::Encrypted(stream) => stream.finish(),
        }
    }
}

/// The checkpoint that an interrupted export of this name was made against: the log may have grown since.
pub(super) fn checkpoint_to_resume(output: &Path) -> Result<Option<String>, ExportError> {
    Ok(saved_state(output)?.map(|state| state.checkpoint))
}

fn saved_state(output: &Path) -> Result<Option<State>, ExportError> {
    let path = state_path(output);
    if !path.exists() || !partial(output).exists() {
        return Ok(None);
    }
    let bytes = read_bounded(&path, STATE_BYTES_MAX)?;
    serde_json::from_slice(&bytes).map(Some).map_err(|_| ExportError::OtherPartial { path })
}

/// The bytes of a file that has at most `bytes_max` of them.
pub(super) fn read_bounded(path: &Path, bytes_max: u64) -> Result<Vec<u8>, ExportError> {
    let io = |source| ExportError::Io { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    File::open(path).map_err(io)?.take(bytes_max + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > bytes_max {
        return Err(ExportError::TooLarge { path: path.to_owned(), bytes_max });
    }
    Ok(bytes)
}

fn beside(output: &Path, suffix: &str) -> PathBuf {
    let mut name = output.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn partial(output: &Path) -> PathBuf {
    beside(output, ".partial")
}

fn state_path(output: &Path) -> PathBuf {
    beside(output, ".partial.state")
}

/// A file that only its owner reads: it holds people's data.
fn private(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    OpenOptions::new().create(true).truncate(false).write(true).read(true).mode(0o600).open(path)
}

fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// The words of an absence, from a state file.
fn known(name: &str) -> Option<&'static str> {
    use ledgerstone::evidence::Absence;
    [Absence::Erased, Absence::Lost, Absence::Locked]
        .map(Absence::as_str)
        .into_iter()
        .find(|known| *known == name)
}
