//! The file that a plan is kept in: the plan alone, or a signed note over it (c2sp.org/signed-note).
//!
//! *Guarantees*: signed or not, the plan is the same text and has the same digest. *Does not do*: say whom to trust.

use ledgerstone::checkpoint::{LogKeys, SignTextError};
use ledgerstone::code::Code;
use ledgerstone::hash::Hash;
use ledgerstone::limits::NOTE_BYTES_MAX;
use ledgerstone::note::{NoteError, SignatureError, SignatureType, SignedNote, VerifierKey};

use super::{Plan, PlanError};

/// A plan as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanFile {
    plan: Plan,
    digest: Hash,
    note: Option<SignedNote>,
}

impl PlanFile {
    /// Bytes of a plan with its signatures.
    pub const BYTES_MAX: usize = NOTE_BYTES_MAX;

    /// Reads a plan, signed or not. Its signatures are read, not checked.
    ///
    /// # Errors
    /// It is no plan, or no note.
    pub fn parse(bytes: &[u8]) -> Result<Self, PlanFileError> {
        // The plan's text has no blank line, a note's text is followed by one.
        let is_note = bytes.windows(2).any(|pair| pair == b"\n\n");
        let note = if is_note { Some(SignedNote::parse(bytes)?) } else { None };
        let text = note.as_ref().map_or(bytes, |note| note.text().as_bytes());
        Ok(Self { plan: Plan::parse(text)?, digest: Hash::of(text), note })
    }

    /// The bytes of a plan that the Ed25519 key among `keys` signs.
    ///
    /// # Errors
    /// The plan contradicts itself, or the keys are those of the log that is to be audited.
    pub fn sign(plan: &Plan, keys: &LogKeys) -> Result<String, PlanFileError> {
        if *keys.origin() == plan.checkpoint.origin {
            return Err(PlanFileError::OwnKey);
        }
        Ok(keys.sign_text(plan.to_json()?)?.to_string())
    }

    /// Checks that the holder of `auditor` signed the plan.
    ///
    /// # Errors
    /// It is not signed, not by that key, or the key is of a type that signs no text.
    pub fn verify(&self, auditor: &VerifierKey) -> Result<(), PlanFileError> {
        if auditor.signature_type() != SignatureType::Ed25519 {
            return Err(PlanFileError::KeyType);
        }
        let note = self.note.as_ref().ok_or(PlanFileError::Unsigned)?;
        note.verify(auditor).map_err(PlanFileError::Signature)
    }

    /// The plan.
    #[must_use]
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// SHA-256 of the plan's text.
    #[must_use]
    pub const fn digest(&self) -> Hash {
        self.digest
    }
}

/// Why a file holds no plan, or not one to rely on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanFileError {
    /// The text is no plan.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The file is no note.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The text is not signed.
    #[error(transparent)]
    Text(#[from] SignTextError),
    /// There is no signature.
    #[error("the plan is not signed")]
    Unsigned,
    /// The signature does not count.
    #[error("the plan is not signed by this auditor: {0}")]
    Signature(SignatureError),
    /// A key that signs tree heads.
    #[error(
        "an ML-DSA-44 key or a cosignature key of C2SP signs tree heads only: name the auditor's Ed25519 key (type 0x01)"
    )]
    KeyType,
    /// The log would plan its own audit.
    #[error(
        "this key is named after the log that is to be audited: a plan is signed with the auditor's own key"
    )]
    OwnKey,
}

impl PlanFileError {
    /// What the reader of this error should do.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Plan(source) => source.code(),
            Self::Note(source) => source.code(),
            Self::Text(source) => source.code(),
            Self::Unsigned | Self::Signature(_) => Code::Untrusted,
            Self::KeyType | Self::OwnKey => Code::Misuse,
        }
    }
}
