//! Capability links: addresses that open one receipt for whoever knows them, until they expire or are revoked.
//!
//! Guarantees: a token is 160 random bits and says nothing; what is kept of it is its SHA-256, so whoever reads the file cannot open
//! a link, and looking one up takes no time that depends on how near a guess was; a link that was handed out is durable. Links
//! that another process adds or revokes hold at once. Does not do: knowing whose link it is; whoever has it opens the receipt.
//!
//! The file is lines of text that are only added to: `link SHA256 DECISION_ID EXPIRES_MS`, `revoke SHA256`. Dead lines go
//! when the sidecar starts.

use std::collections::{BTreeMap, HashMap};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ledgerstone::code::Code;
use ledgerstone::entry::DecisionId;
use ledgerstone::hash::Hash;
use ledgerstone::time::UnixMillis;

pub(crate) mod api;
pub(crate) mod http;
mod limit;
mod make;
mod page;

pub use make::{LinkMaker, Made, MakeError};

/// The first line of the file.
const HEADER: &str = "ledgerstone-links/v1\n";

/// What the first line of any version begins with.
const ANY_VERSION: &str = "ledgerstone-links/v";

/// Random bytes of a token: 160 bits cannot be guessed, and 27 letters fit a small QR code.
const TOKEN_BYTES: usize = 20;

/// Letters of a token.
const TOKEN_LETTERS: usize = TOKEN_BYTES.div_ceil(3) * 4 - 1;

/// Bytes of the file: half a million links of 121 bytes each.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// What opens a link. It prints as nothing, so that no log line holds it by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// Reads a token, or an address that ends in one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let token = text.rsplit('/').next().filter(|token| token.len() == TOKEN_LETTERS)?;
        URL_SAFE_NO_PAD.decode(token).ok().filter(|bytes| bytes.len() == TOKEN_BYTES)?;
        Some(Self(token.to_owned()))
    }

    fn draw() -> Result<Self, LinkError> {
        let mut bytes = [0; TOKEN_BYTES];
        getrandom::fill(&mut bytes).map_err(|_| LinkError::NoRandomness)?;
        Ok(Self(URL_SAFE_NO_PAD.encode(bytes)))
    }

    fn hash(&self) -> Hash {
        Hash::of(self.0.as_bytes())
    }

    /// The address that the token makes, below `base`.
    #[must_use]
    pub fn url(&self, base: &str) -> String {
        format!("{}/r/{}", base.trim_end_matches('/'), self.0)
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(..)")
    }
}

/// Where a link leads, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// The decision whose receipt it opens.
    pub decision: DecisionId,
    /// When it stops to.
    pub expires: UnixMillis,
}

/// The links in one file.
#[derive(Debug)]
pub struct LinkBook {
    path: PathBuf,
    read: Mutex<ReadSoFar>,
}

/// What the file said up to a place in it.
#[derive(Debug, Default)]
struct ReadSoFar {
    /// Which file it was: another one has taken its place when dead lines went.
    file: u64,
    end: u64,
    links: HashMap<Hash, Link>,
    by_decision: BTreeMap<DecisionId, Vec<Hash>>,
}

impl LinkBook {
    /// The links in the file at `path`, which need not be there yet.
    ///
    /// # Errors
    /// [`LinkError`] if it cannot be read, or is no file of links.
    pub fn open(path: &Path) -> Result<Self, LinkError> {
        let book = Self { path: path.to_owned(), read: Mutex::default() };
        book.catch_up(&mut book.read())?;
        Ok(book)
    }

    /// Makes a link to the receipt of `decision`, durably.
    ///
    /// # Errors
    /// [`LinkError`] if the file cannot be written, or is full.
    pub fn add(&self, decision: DecisionId, expires: UnixMillis) -> Result<Token, LinkError> {
        let token = Token::draw()?;
        self.append(&format!("link {} {decision} {}\n", token.hash(), expires.get()))?;
        Ok(token)
    }

    /// Revokes a link. Says whether there was one to revoke.
    ///
    /// # Errors
    /// [`LinkError`] if the file cannot be read or written.
    pub fn revoke(&self, token: &Token) -> Result<bool, LinkError> {
        self.revoke_all([token.hash()].into_iter()).map(|revoked| revoked > 0)
    }

    /// Revokes every link to the receipt of `decision`. Says how many there were.
    ///
    /// # Errors
    /// As [`LinkBook::revoke`].
    pub fn revoke_decision(&self, decision: DecisionId) -> Result<usize, LinkError> {
        let mut read = self.read();
        self.catch_up(&mut read)?;
        let hashes = read.by_decision.get(&decision).cloned().unwrap_or_default();
        drop(read);
        self.revoke_all(hashes.into_iter())
    }

    fn revoke_all(&self, hashes: impl Iterator<Item = Hash>) -> Result<usize, LinkError> {
        let mut revoked = 0;
        for hash in hashes {
            let mut read = self.read();
            self.catch_up(&mut read)?;
            let is_there = read.links.contains_key(&hash);
            drop(read);
            if is_there {
                self.append(&format!("revoke {hash}\n"))?;
                revoked += 1;
            }
        }
        Ok(revoked)
    }

    /// Where `token` leads at the time `now`, if anywhere.
    ///
    /// # Errors
    /// [`LinkError`] if the file cannot be read.
    pub fn find(&self, token: &Token, now: UnixMillis) -> Result<Option<Link>, LinkError> {
        let mut read = self.read();
        self.catch_up(&mut read)?;
        Ok(read.links.get(&token.hash()).copied().filter(|link| link.expires > now))
    }

    /// Whether a link to the receipt of `decision` is open at the time `now`.
    ///
    /// # Errors
    /// [`LinkError`] if the file cannot be read.
    pub fn is_open(&self, decision: DecisionId, now: UnixMillis) -> Result<bool, LinkError> {
        let mut read = self.read();
        self.catch_up(&mut read)?;
        let hashes = read.by_decision.get(&decision).into_iter().flatten();
        Ok(hashes.filter_map(|hash| read.links.get(hash)).any(|link| link.expires > now))
    }

    /// Writes the file again without what expired before `now` or was revoked.
    ///
    /// # Errors
    /// [`LinkError`] if it cannot be read or written; the old file then stays.
    pub fn prune(&self, now: UnixMillis) -> Result<(), LinkError> {
        if !self.path.exists() {
            return Ok(());
        }
        let _locked = self.locked()?;
        let mut read = self.read();
        self.catch_up(&mut read)?;
        let mut lines = HEADER.to_owned();
        for (hash, link) in read.links.iter().filter(|(_, link)| link.expires > now) {
            lines.push_str(&format!("link {hash} {} {}\n", link.decision, link.expires.get()));
        }
        let beside = self.path.with_extension("new");
        let written = private(OpenOptions::new().create(true).truncate(true).write(true), &beside);
        let written = written.and_then(|mut file| {
            file.write_all(lines.as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&beside, &self.path)?;
            File::open(folder(&self.path))?.sync_all()
        });
        written.map_err(|source| self.unwritable(source))
    }

    /// Adds a line under the file's lock, so that two processes do not write into each other's.
    fn append(&self, line: &str) -> Result<(), LinkError> {
        let mut file = self.locked()?;
        let written = (|| {
            let length = file.metadata()?.len();
            let end = whole_lines(&mut file, length)?;
            if end < length {
                // A line that a crash cut off was told to nobody.
                file.set_len(end)?;
            }
            file.seek(SeekFrom::Start(end))?;
            let header = if end == 0 { HEADER } else { "" };
            if end + line.len() as u64 > FILE_BYTES_MAX {
                return Ok(false);
            }
            file.write_all(format!("{header}{line}").as_bytes())?;
            file.sync_all()?;
            if end == 0 {
                File::open(folder(&self.path))?.sync_all()?;
            }
            Ok(true)
        })();
        match written {
            Ok(true) => Ok(()),
            Ok(false) => Err(LinkError::Full { path: self.path.clone() }),
            Err(source) => Err(self.unwritable(source)),
        }
    }

    /// The file that is at the path now, locked.
    fn locked(&self) -> Result<File, LinkError> {
        loop {
            let options = || OpenOptions::new().create(true).truncate(false).read(true).write(true).clone();
            let file = private(&mut options(), &self.path).and_then(|file| file.lock().map(|()| file));
            let file = file.map_err(|source| self.unwritable(source))?;
            let same = file.metadata().and_then(|held| Ok(id(&held) == id(&std::fs::metadata(&self.path)?)));
            // Another process may have put a shorter file in its place meanwhile.
            if same.map_err(|source| self.unwritable(source))? {
                return Ok(file);
            }
        }
    }

    /// Reads what was added since.
    fn catch_up(&self, read: &mut ReadSoFar) -> Result<(), LinkError> {
        let unreadable = |source| LinkError::Unreadable { path: self.path.clone(), source };
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                *read = ReadSoFar::default();
                return Ok(());
            }
            Err(error) => return Err(unreadable(error)),
        };
        let metadata = file.metadata().map_err(unreadable)?;
        if id(&metadata) != read.file || metadata.len() < read.end {
            *read = ReadSoFar { file: id(&metadata), ..ReadSoFar::default() };
        }
        if metadata.len() == read.end {
            return Ok(());
        }
        if metadata.len() > FILE_BYTES_MAX {
            return Err(unreadable(io::ErrorKind::FileTooLarge.into()));
        }
        let mut text = String::new();
        file.seek(SeekFrom::Start(read.end)).map_err(unreadable)?;
        file.take(metadata.len() - read.end).read_to_string(&mut text).map_err(unreadable)?;
        for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
            if read.end == 0 && line != HEADER && line.starts_with(ANY_VERSION) {
                return Err(LinkError::Newer { path: self.path.clone() });
            }
            if !read.takes(line) {
                return Err(LinkError::Malformed { path: self.path.clone(), at: read.end });
            }
            read.end += line.len() as u64;
        }
        Ok(())
    }

    fn read(&self) -> MutexGuard<'_, ReadSoFar> {
        // Every line is taken whole or not at all, so a panic elsewhere does not spoil what was read.
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unwritable(&self, source: io::Error) -> LinkError {
        LinkError::Unwritable { path: self.path.clone(), source }
    }
}

impl ReadSoFar {
    /// Takes one line; false if it is none.
    fn takes(&mut self, line: &str) -> bool {
        if self.end == 0 {
            return line == HEADER;
        }
        let words: Vec<&str> = line.trim_end_matches('\n').split(' ').collect();
        match *words.as_slice() {
            ["link", hash, decision, expires] => {
                let (Some(hash), Ok(decision), Ok(expires)) =
                    (hash_of(hash), decision.parse(), expires.parse())
                else {
                    return false;
                };
                self.links.insert(hash, Link { decision, expires: UnixMillis::new(expires) });
                self.by_decision.entry(decision).or_default().push(hash);
                true
            }
            ["revoke", hash] => {
                let Some(hash) = hash_of(hash) else { return false };
                if let Some(link) = self.links.remove(&hash)
                    && let Some(hashes) = self.by_decision.get_mut(&link.decision)
                {
                    hashes.retain(|other| *other != hash);
                }
                true
            }
            _ => false,
        }
    }
}

fn hash_of(text: &str) -> Option<Hash> {
    Hash::try_from(ledgerstone::encoding::hex_decode(text).ok()?.as_slice()).ok()
}

/// Where the last whole line ends.
fn whole_lines(file: &mut File, length: u64) -> io::Result<u64> {
    /// Longer than any line.
    const TAIL: u64 = 256;
    let from = length.saturating_sub(TAIL);
    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(from))?;
    file.take(TAIL).read_to_end(&mut tail)?;
    Ok(tail.iter().rposition(|byte| *byte == b'\n').map_or(from, |at| from + at as u64 + 1))
}

/// Opens a file that only its owner can read: it says for which decisions there are links.
fn private(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options.open(path)
}

#[cfg(unix)]
fn id(metadata: &std::fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn id(_: &std::fs::Metadata) -> u64 {
    1
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Why a link cannot be made, revoked or looked up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The file cannot be read.
    #[error("cannot read the links in {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// The file cannot be written.
    #[error("cannot write the links in {path}: {source}")]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// It has a later format.
    #[error(
        "{path} has a later format than v1, which this release reads: go on with the release that wrote it, or a later one"
    )]
    Newer {
        /// The file.
        path: PathBuf,
    },
    /// A line is none.
    #[error(
        "{path} is not a file of links, or was damaged at byte {at}: restore it, or move it away and make the links again"
    )]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where.
        at: u64,
    },
    /// No line fits any more.
    #[error("{path} holds as many links as it may: start the sidecar anew, which drops those that expired")]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// No randomness for a token.
    #[error("the operating system gives no randomness")]
    NoRandomness,
}

impl LinkError {
    /// What the reader must do about it.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Unreadable { .. } | Self::Unwritable { .. } | Self::Newer { .. } => Code::Misuse,
            Self::Malformed { .. } => Code::Malformed,
            Self::Full { .. } => Code::Limit,
            Self::NoRandomness => Code::Unavailable,
        }
    }
}

#[cfg(test)]
mod tests;
