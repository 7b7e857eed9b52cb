//! The files of a model: one, or a folder of them.
//!
//! Guarantees: a digest belongs to one state of the files. Does not do: keeping anything of them in memory.

use std::fs::{self, File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use ledgerstone::hash::{Hash, StreamHasher};
use ledgerstone::manifest::{Manifest, ManifestError};

use super::folder;

/// Bytes read at once.
const BUFFER_BYTES: usize = 1 << 20;

/// Where a model lies.
#[derive(Clone, Debug)]
pub enum Artifact {
    /// One file.
    File(PathBuf),
    /// A folder, named by its OMS manifest.
    Folder(PathBuf),
}

/// Names, sizes, times and inodes of the files, hashed: equal stamps mean that nobody wrote to them by ordinary means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp(Hash);

/// One state of the files.
#[derive(Clone, Copy, Debug)]
pub struct Contents {
    /// When it was, so to say.
    pub stamp: Stamp,
    /// What names the model.
    pub digest: Hash,
    /// Of a folder the digest of its list of files, because a manifest's root does not bind their names.
    pub manifest: Option<Hash>,
}

/// One file of a model.
#[derive(Clone, Debug)]
pub struct ArtifactFile {
    /// Its name inside the folder, or its own.
    pub name: String,
    /// Where it lies.
    pub path: PathBuf,
    /// SHA-256 of its bytes.
    pub digest: Hash,
    /// Its bytes.
    pub length: u64,
}

impl Artifact {
    /// One state of the files.
    ///
    /// # Errors
    /// [`ArtifactError`] if they cannot be read, or changed meanwhile.
    pub fn read(&self) -> Result<Contents, ArtifactError> {
        self.read_files().map(|(contents, _)| contents)
    }

    /// The same, with the files themselves, by name.
    ///
    /// # Errors
    /// As [`Artifact::read`].
    pub fn read_files(&self) -> Result<(Contents, Vec<ArtifactFile>), ArtifactError> {
        let stamp = self.stamp()?;
        let files = self.hashed()?;
        if self.stamp()? != stamp {
            return Err(ArtifactError::Changing);
        }
        let (digest, manifest) = match self {
            Self::File(path) => {
                let only = files.first().map(|file| file.digest);
                (only.ok_or_else(|| ArtifactError::NotText { path: path.clone() })?, None)
            }
            Self::Folder(_) => {
                let manifest = Manifest::new(files.iter().map(|file| (file.name.clone(), file.digest)))?;
                (manifest.root(), Some(manifest.list_digest()))
            }
        };
        Ok((Contents { stamp, digest, manifest }, files))
    }

    fn hashed(&self) -> Result<Vec<ArtifactFile>, ArtifactError> {
        let mut listed = match self {
            Self::File(path) => {
                let name = path.file_name().and_then(|name| name.to_str());
                let name = name.ok_or_else(|| ArtifactError::NotText { path: path.clone() })?;
                vec![(name.to_owned(), path.clone())]
            }
            Self::Folder(path) => {
                folder::list(path)?.into_iter().map(|listed| (listed.name, listed.path)).collect()
            }
        };
        listed.sort();
        let hashed = listed.into_iter().map(|(name, path)| {
            let (digest, length) = digest(&path).map_err(|error| unreadable(&path, error))?;
            Ok(ArtifactFile { name, path, digest, length })
        });
        hashed.collect()
    }

    /// The stamp of the files as they are now. Reads none of them.
    ///
    /// # Errors
    /// [`ArtifactError`] if they cannot be listed.
    pub fn stamp(&self) -> Result<Stamp, ArtifactError> {
        let mut stream = StreamHasher::new();
        match self {
            Self::File(path) => {
                let about = fs::metadata(path).map_err(|error| unreadable(path, error))?;
                put(&mut stream, "", &about);
            }
            Self::Folder(path) => {
                let mut files = folder::list(path)?;
                files.sort_by(|a, b| a.name.cmp(&b.name));
                for file in files {
                    put(&mut stream, &file.name, &file.about);
                }
            }
        }
        Ok(Stamp(stream.finish()))
    }
}

fn put(stream: &mut StreamHasher, name: &str, about: &Metadata) {
    stream.update(name.as_bytes());
    stream.update(&[0]);
    stream.update(&about.dev().to_le_bytes());
    for number in [about.ino(), about.size()] {
        stream.update(&number.to_le_bytes());
    }
    for number in [about.mtime(), about.mtime_nsec(), about.ctime(), about.ctime_nsec()] {
        stream.update(&number.to_le_bytes());
    }
}

/// SHA-256 and length of a file.
fn digest(path: &Path) -> io::Result<(Hash, u64)> {
    let (mut file, mut buffer) = (File::open(path)?, vec![0; BUFFER_BYTES]);
    let (mut stream, mut total) = (StreamHasher::new(), 0);
    loop {
        let length = file.read(&mut buffer)?;
        if length == 0 {
            return Ok((stream.finish(), total));
        }
        stream.update(buffer.get(..length).unwrap_or_default());
        total += length as u64;
    }
}

pub(super) fn unreadable(path: &Path, source: io::Error) -> ArtifactError {
    ArtifactError::Unreadable { path: path.to_owned(), source }
}

/// Why a model has no digest.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArtifactError {
    /// The operating system refused.
    #[error("{} cannot be read: {source}", .path.display())]
    Unreadable {
        /// The path.
        path: PathBuf,
        /// What it says.
        source: io::Error,
    },
    /// Something in the folder is neither a file nor a folder.
    #[error("{} is a link or a special file; a model folder holds files and folders only", .path.display())]
    Special {
        /// The path.
        path: PathBuf,
    },
    /// A name that is not UTF-8.
    #[error("the name of {} is not UTF-8; rename it", .path.display())]
    NotText {
        /// The path.
        path: PathBuf,
    },
    /// The files make no manifest.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// They were written to while they were read.
    #[error("the files changed while they were read; they are read again at the next look")]
    Changing,
}
