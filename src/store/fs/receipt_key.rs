//! Names a receipt key in the policy of a log that is there already.
//!
//! Guarantees: the log's own keys stay as they are; the policy is replaced whole or not at all; no process has the log open
//! meanwhile. Does not do: taking a key out, because receipts that it signed must go on verifying.

use super::{identity, layout, write_durably};
use crate::code::Code;
use crate::cose::ReceiptKey;
use crate::policy::{Policy, PolicyError};
use crate::store::disk::Disk;
use crate::store::{Fault, Operation};

/// Adds `key` to the receipt keys of the log on `disk`. A key that is named already stays named once.
///
/// # Errors
/// There is no log, it is another one than the key's, it is open, or the key has another purpose already.
pub fn name_receipt_key<D: Disk>(disk: &D, key: &ReceiptKey) -> Result<(), NameKeyError> {
    let text = identity::read(disk)?.ok_or(NameKeyError::NoLog)?;
    let locked = disk.lock(layout::LOCK).map_err(|error| Fault::io(Operation::Lock, layout::LOCK, error))?;
    let _lock = locked.ok_or(NameKeyError::Locked)?;
    let policy = Policy::parse(text.as_bytes()).map_err(NameKeyError::Policy)?;
    if policy.logs().iter().any(|log| log.key().name() != key.origin()) {
        return Err(NameKeyError::OtherLog);
    }
    if policy.receipt_keys().contains(key) {
        return Ok(());
    }
    let keys = [policy.receipt_keys(), std::slice::from_ref(key)].concat();
    let policy = policy.with_receipt_keys(&keys).map_err(NameKeyError::Policy)?;
    write_durably(disk, layout::IDENTITY, &policy.to_bytes())?;
    Ok(())
}

/// Why a receipt key is not named.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NameKeyError {
    /// The store holds no log.
    #[error("the store holds no log: create it with `init`")]
    NoLog,
    /// The store holds another log.
    #[error("the store holds another log than the one that the key is named for")]
    OtherLog,
    /// Another process has the store open.
    #[error("another process has the store open: stop the sidecar, then name the key")]
    Locked,
    /// The policy cannot take the key, or cannot be read.
    #[error("the log's policy: {0}")]
    Policy(PolicyError),
    /// The storage failed.
    #[error("the log's policy could not be written")]
    Store(#[from] Fault),
}

impl NameKeyError {
    /// What the operator must do next.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::NoLog | Self::OtherLog => Code::Misuse,
            Self::Locked => Code::Unavailable,
            Self::Policy(source) => source.code(),
            Self::Store(source) => source.code(),
        }
    }
}
