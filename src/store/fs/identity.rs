//! Whose log a store is.

use std::io;

use super::layout;
use crate::checkpoint::LogVerifier;
use crate::cose::ReceiptKey;
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

    /// The same log, whose policy also names these receipt keys.
    ///
    /// # Errors
    /// When no policy can name them: one signs something else already.
    pub fn with_receipt_keys(mut self, keys: &[ReceiptKey]) -> Result<Self, PolicyError> {
        let policy = Policy::for_log(self.verifier.keys())?;
        self.policy = policy.with_receipt_keys(keys)?.to_string();
        Ok(self)
    }

    /// Whether `found`, the policy of a store, names this log: the same log keys and nothing else, whichever receipt keys.
    pub(super) fn is_named_by(&self, found: &str) -> bool {
        let Ok(policy) = Policy::parse(found.as_bytes()) else { return false };
        let keys = policy.receipt_keys().to_vec();
        let own = Policy::for_log(self.verifier.keys()).and_then(|own| own.with_receipt_keys(&keys));
        own.is_ok_and(|own| own.to_string() == found)
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
