//! The approval as the entry that makes the change holds it: the statement, and signatures by the places of their keys in the roster.

use super::error::Fault;
use crate::entry::{APPROVAL_SIGNATURE_BYTES, DETAIL_SIGNATURES, DETAIL_STATEMENT, Detail, Details, Entry};
use crate::hash::Hash;

/// A statement with the signatures over it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    pub(super) statement: String,
    pub(super) signatures: Vec<RecordedSignature>,
}

/// A signature, and the place of its key in the roster in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RecordedSignature {
    pub(super) key: u8,
    pub(super) bytes: [u8; 64],
}

impl Recorded {
    /// What `entry` holds, if it holds one.
    ///
    /// # Errors
    /// [`Fault::Form`] if half of it is there, or it is not of its form.
    pub fn of(entry: &Entry) -> Result<Option<Self>, Fault> {
        let Some((statement, signatures)) = entry.details.approval().map_err(|_| Fault::Form)? else {
            return Ok(None);
        };
        let read = |signature: &[u8]| {
            let (key, bytes) = signature.split_first()?;
            Some(RecordedSignature { key: *key, bytes: bytes.try_into().ok()? })
        };
        let signatures: Option<Vec<_>> = signatures.chunks(APPROVAL_SIGNATURE_BYTES).map(read).collect();
        let signatures = signatures.ok_or(Fault::Form)?;
        Ok(Some(Self { statement: statement.to_owned(), signatures }))
    }

    /// The details of an entry, with this in them.
    #[must_use]
    pub fn add_to(&self, details: Details) -> Details {
        let signature =
            |signature: &RecordedSignature| [&[signature.key], signature.bytes.as_slice()].concat();
        let signatures = self.signatures.iter().flat_map(signature).collect();
        details
            .with(DETAIL_STATEMENT, Detail::Text(self.statement.clone()))
            .with(DETAIL_SIGNATURES, Detail::Bytes(signatures))
    }

    /// What names the statement.
    #[must_use]
    pub fn digest(&self) -> Hash {
        Hash::of(self.statement.as_bytes())
    }

    /// The statement's text.
    #[must_use]
    pub fn statement(&self) -> &str {
        &self.statement
    }

    /// How many signatures there are.
    #[must_use]
    pub fn signatures(&self) -> usize {
        self.signatures.len()
    }
}
