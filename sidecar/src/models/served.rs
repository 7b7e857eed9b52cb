//! What one route serves: a digest from the configuration, or that of files on disk as they were last read.
//!
//! Guarantees: the digest of files is of one state of them, because sizes and times before and after the reading are the
//! same; reading them never holds up a request. Does not do: noticing a change before the next look.

use std::sync::{PoisonError, RwLock};

use ledgerstone::hash::Hash;

use super::artifact::{Artifact, ArtifactError, Contents};

/// What names a model in a record and its entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// SHA-256 of the file, or the root of the folder's manifest.
    pub digest: Hash,
    /// The digest of the folder's list of files, which binds their names, too.
    pub manifest: Option<Hash>,
}

/// Files that are served.
#[derive(Debug)]
pub struct Served {
    artifact: Artifact,
    state: RwLock<State>,
}

#[derive(Clone, Copy, Debug)]
struct State {
    contents: Contents,
    unreadable: bool,
}

/// What a look at the files found.
#[derive(Debug)]
pub enum Look {
    /// The same bytes.
    Same,
    /// Other bytes.
    Changed {
        /// The digest before.
        from: Hash,
        /// The digest now.
        to: Hash,
    },
    /// The same bytes under other names, which the digest does not say.
    Renamed,
    /// They cannot be read now; the digest stays what it was.
    Unreadable {
        /// Whether they could be read the last time.
        first: bool,
        /// Why not.
        error: ArtifactError,
    },
}

impl Served {
    /// Reads the files.
    ///
    /// # Errors
    /// [`ArtifactError`] if they cannot be read.
    pub fn open(artifact: Artifact) -> Result<Self, ArtifactError> {
        let contents = artifact.read()?;
        Ok(Self { artifact, state: RwLock::new(State { contents, unreadable: false }) })
    }

    /// What they were at the last look.
    #[must_use]
    pub fn identity(&self) -> Identity {
        let Contents { digest, manifest, .. } = self.state().contents;
        Identity { digest, manifest }
    }

    /// Whether they could not be read at the last look.
    #[must_use]
    pub fn is_unreadable(&self) -> bool {
        self.state().unreadable
    }

    /// Looks whether they changed, and reads them again if their sizes or times did. Blocks on the disk.
    pub fn look(&self) -> Look {
        let before = self.state();
        let old = before.contents;
        let read = self.artifact.stamp();
        let read = read.and_then(|stamp| if stamp == old.stamp { Ok(old) } else { self.artifact.read() });
        let (now, look) = match read {
            Ok(contents) => {
                let look = match (contents.digest == old.digest, contents.manifest == old.manifest) {
                    (true, true) => Look::Same,
                    (true, false) => Look::Renamed,
                    (false, _) => Look::Changed { from: old.digest, to: contents.digest },
                };
                (State { contents, unreadable: false }, look)
            }
            Err(error) => {
                let look = Look::Unreadable { first: !before.unreadable, error };
                (State { unreadable: true, ..before }, look)
            }
        };
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = now;
        look
    }

    fn state(&self) -> State {
        *self.state.read().unwrap_or_else(PoisonError::into_inner)
    }
}
