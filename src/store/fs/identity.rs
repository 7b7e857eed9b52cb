//! Whose log a store is.

use std::io;

use super::layout;
use crate::checkpoint::LogVerifier;
use crate::hash::Hash;
use crate::limits::NOTE_BYTES_MAX;
use crate::policy::{Policy, PolicyError};
use crate::store::disk::Disk;
use crate::store::{Fault, Operation};

/// Whose log a store is: its origin and its keys.
#[derive(Clone, Debug)]
pub struct Identity {
    /// What checks the log's checkpoints.
    pub(super) verifier: LogVerifier,
    /// The policy that names the same keys, as the store keeps it.
    pub(super) policy: String,
}

impl Identity {
    /// The identity of the log with these keys.
    ///
    /// # Errors
    /// When no policy can name the keys.
    pub fn new(verifier: LogVerifier) -> Result<Self, PolicyError> {
        let policy = Policy::for_log(verifier.keys())?.to_string();
        Ok(Self { verifier, policy })
    }

    /// SHA-256 of the origin, as journal segments carry it.
    #[must_use]
    pub fn origin_hash(&self) -> Hash {
        Hash::of(self.verifier.origin().as_str().as_bytes())
    }

    /// The policy text.
    #[must_use]
    pub fn policy(&self) -> &str {
        &self.policy
    }
}

/// The policy that the store keeps, or nothing where there is no log.
pub(super) fn read<D: Disk>(disk: &D) -> Result<Option<String>, Fault> {
    match disk.read(layout::IDENTITY, NOTE_BYTES_MAX as u64) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Fault::io(Operation::Read, layout::IDENTITY, error)),
    }
}
