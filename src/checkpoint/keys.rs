//! The two keys of a log: Ed25519, which the witness network needs, and ML-DSA-44, which outlives today's curves.

use core::fmt;

use zeroize::Zeroizing;

use super::{Checkpoint, CheckpointError, SignedCheckpoint};
use crate::code::Code;
use crate::cosignature::CosignatureError;
use crate::hash::Hash;
use crate::limits::NOTE_BYTES_MAX;
use crate::merkle::TreeSize;
use crate::note::{
    KeyName, NoteError, Signature, SignatureType, SignedNote, Signer, SigningKey, SigningKeyError,
    VerifierKey,
};

/// A log's private keys, both under the log's origin as their name.
pub struct LogKeys {
    ed25519: SigningKey,
    ml_dsa: SigningKey,
}

impl LogKeys {
    /// The keys two random seeds derive. The seeds must differ and be used for nothing else.
    ///
    /// # Errors
    /// When the seeds are equal, or a derived key is refused.
    pub fn generate_from_seeds(
        origin: &KeyName,
        ed25519_seed: [u8; 32],
        ml_dsa_seed: [u8; 32],
    ) -> Result<Self, LogKeysError> {
        let (ed25519_seed, ml_dsa_seed) = (Zeroizing::new(ed25519_seed), Zeroizing::new(ml_dsa_seed));
        if ed25519_seed == ml_dsa_seed {
            return Err(LogKeysError::SameSeed);
        }
        let key = |signature_type, seed| {
            SigningKey::from_seed(origin.clone(), signature_type, seed)
                .map_err(|source| LogKeysError::Key { line: 1, source })
        };
        Ok(Self {
            ed25519: key(SignatureType::Ed25519, &ed25519_seed)?,
            ml_dsa: key(SignatureType::MlDsa44Cosignature, &ml_dsa_seed)?,
        })
    }

    /// Reads a key file: the Ed25519 line, then the ML-DSA-44 line.
    ///
    /// # Errors
    /// Says which line is wrong, never what it holds.
    pub fn parse(text: &str) -> Result<Self, LogKeysError> {
        let body = text.strip_suffix('\n').ok_or(LogKeysError::Lines)?;
        let (first, second) = body.split_once('\n').ok_or(LogKeysError::Lines)?;
        let ed25519 = SigningKey::parse(first).map_err(|source| LogKeysError::Key { line: 1, source })?;
        let ml_dsa = SigningKey::parse(second).map_err(|source| LogKeysError::Key { line: 2, source })?;
        let types = (ed25519.verifier_key().signature_type(), ml_dsa.verifier_key().signature_type());
        if types != (SignatureType::Ed25519, SignatureType::MlDsa44Cosignature) {
            return Err(LogKeysError::Types);
        }
        if ed25519.verifier_key().name() != ml_dsa.verifier_key().name() {
            return Err(LogKeysError::Names);
        }
        Ok(Self { ed25519, ml_dsa })
    }

    /// The secrets where they lie in memory: for whoever has the operating system keep those pages off its disks.
    #[must_use]
    pub fn secrets(&self) -> Vec<&[u8]> {
        [self.ed25519.secrets(), self.ml_dsa.secrets()].concat()
    }

    /// The text [`LogKeys::parse`] reads; keep it where only the log can read it. Wiped when dropped.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let (ed25519, ml_dsa) = (self.ed25519.to_text(), self.ml_dsa.to_text());
        Zeroizing::new(format!("{}\n{}\n", ed25519.as_str(), ml_dsa.as_str()))
    }

    /// Signs a checkpoint with both keys and returns the note; the same checkpoint gives the same bytes.
    ///
    /// # Panics
    /// When the checkpoint is of another origin: a log that signs another's checkpoint is a defect.
    #[must_use]
    pub fn sign(&self, checkpoint: &Checkpoint) -> String {
        let Ok(note) = checkpoint.sign(&[&self.ed25519, &self.ml_dsa]);
        note
    }

    /// Signs a text that is no checkpoint, with the Ed25519 key alone: C2SP gives an ML-DSA-44 key no message but tree heads.
    ///
    /// # Errors
    /// When somebody could read the text as a checkpoint, which only [`LogKeys::sign`] may sign, or it cannot be a note's.
    pub fn sign_text(&self, text: String) -> Result<SignedNote, SignTextError> {
        self.sign_text_within(text, NOTE_BYTES_MAX)
    }

    /// The same for a text that makes a note of at most `bytes_max` bytes.
    ///
    /// # Errors
    /// As [`LogKeys::sign_text`].
    pub fn sign_text_within(&self, text: String, bytes_max: usize) -> Result<SignedNote, SignTextError> {
        // Other verifiers take a checkpoint with extension lines, which `Checkpoint` refuses; all of them need a size here.
        if text.lines().nth(1).is_some_and(|line| line.parse::<u64>().is_ok()) {
            return Err(SignTextError::Checkpoint);
        }
        let key = self.ed25519.verifier_key();
        let signature = self.ed25519.sign_message(text.as_bytes());
        let signature = Signature::new(key.name().clone(), key.id(), signature);
        SignedNote::new_within(text, vec![signature], bytes_max).map_err(SignTextError::Note)
    }

    /// The checkpoint of this log with that size and root, not signed yet.
    #[must_use]
    pub fn checkpoint(&self, size: TreeSize, root: Hash) -> Checkpoint {
        Checkpoint { origin: self.origin().clone(), size, root }
    }

    /// The log's origin.
    #[must_use]
    pub fn origin(&self) -> &KeyName {
        self.ed25519.verifier_key().name()
    }

    /// The public keys: Ed25519, then ML-DSA-44.
    #[must_use]
    pub fn vkeys(&self) -> [VerifierKey; 2] {
        [self.ed25519.verifier_key().clone(), self.ml_dsa.verifier_key().clone()]
    }

    /// What checks this log's checkpoints.
    #[must_use]
    pub fn verifier(&self) -> LogVerifier {
        LogVerifier { origin: self.origin().clone(), keys: self.vkeys().to_vec() }
    }
}

impl fmt::Debug for LogKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entry(&self.ed25519).entry(&self.ml_dsa).finish()
    }
}

/// All public keys of one log; a checkpoint counts only if every one of them signed it.
///
/// C2SP lets a verifier be content with any one known key. Ledgerstone's logs always sign with all of theirs, so a
/// missing signature is a sign of tampering, and asking for all of them means that breaking one algorithm is not enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogVerifier {
    origin: KeyName,
    keys: Vec<VerifierKey>,
}

impl LogVerifier {
    /// The keys of one log.
    ///
    /// # Errors
    /// When there is no key, or the keys do not share one name.
    pub fn new(keys: Vec<VerifierKey>) -> Result<Self, LogKeysError> {
        let origin = keys.first().ok_or(LogKeysError::Lines)?.name().clone();
        if keys.iter().any(|key| *key.name() != origin) {
            return Err(LogKeysError::Names);
        }
        Ok(Self { origin, keys })
    }

    /// Reads a checkpoint note and believes it only if every key of the log signed it.
    ///
    /// # Errors
    /// Says why it is not to be believed.
    pub fn verify(&self, note: &[u8]) -> Result<Checkpoint, LogVerifyError> {
        let signed = SignedCheckpoint::parse(note).map_err(LogVerifyError::Checkpoint)?;
        self.verify_parsed(&signed)?;
        Ok(signed.checkpoint().clone())
    }

    /// The same for a note that is already read.
    ///
    /// # Errors
    /// Says why it is not to be believed.
    pub fn verify_parsed(&self, signed: &SignedCheckpoint) -> Result<(), LogVerifyError> {
        if signed.checkpoint().origin != self.origin {
            return Err(LogVerifyError::OtherLog {
                expected: self.origin.clone(),
                found: signed.checkpoint().origin.clone(),
            });
        }
        for key in &self.keys {
            signed
                .verify(key)
                .map_err(|source| LogVerifyError::Signature { key: Box::new(key.clone()), source })?;
        }
        Ok(())
    }

    /// The log's origin.
    #[must_use]
    pub const fn origin(&self) -> &KeyName {
        &self.origin
    }

    /// The log's keys.
    #[must_use]
    pub fn keys(&self) -> &[VerifierKey] {
        &self.keys
    }
}

/// Why a set of keys is not a log's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LogKeysError {
    /// Not two lines.
    #[error("a log's key file is two lines, each ended by a newline: restore it from its backup")]
    Lines,
    /// A line is not a private key.
    #[error("key {line}: {source}")]
    Key {
        /// Which key, counted from 1.
        line: usize,
        /// What is wrong.
        source: SigningKeyError,
    },
    /// Not Ed25519 first and ML-DSA-44 second.
    #[error("a log's key file holds an Ed25519 key (type 0x01), then an ML-DSA-44 key (type 0x06)")]
    Types,
    /// The keys carry different names.
    #[error("the keys carry different names: both must be named by the log's origin")]
    Names,
    /// One seed for both keys.
    #[error("both seeds are the same: use two that are independent")]
    SameSeed,
}

impl LogKeysError {
    /// What the reader must do about it.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Key { source, .. } => source.code(),
            Self::SameSeed => Code::Misuse,
            _ => Code::Malformed,
        }
    }
}

/// Why a text is not signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignTextError {
    /// The text could be read as a tree head, which would then be signed without the log that it speaks of.
    #[error("the text reads like a checkpoint: only the log itself signs one")]
    Checkpoint,
    /// The text cannot stand in a note.
    #[error("{0}")]
    Note(NoteError),
}

impl SignTextError {
    /// What the reader must do about it.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Checkpoint => Code::Misuse,
            Self::Note(source) => source.code(),
        }
    }
}

/// Why a checkpoint note is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LogVerifyError {
    /// Not a checkpoint.
    #[error("{0}")]
    Checkpoint(CheckpointError),
    /// A checkpoint of another log.
    #[error("this checkpoint is of the log {found}, expected {expected}: fetch the right one")]
    OtherLog {
        /// The log whose keys are known.
        expected: KeyName,
        /// The log the checkpoint names.
        found: KeyName,
    },
    /// A key of the log did not sign it.
    #[error("{} key {} of {}: {source}", key.signature_type(), key.id(), key.name())]
    Signature {
        /// The key.
        key: Box<VerifierKey>,
        /// What is wrong with its signature.
        source: CosignatureError,
    },
}

impl LogVerifyError {
    /// What the reader must do about it.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Checkpoint(source) => source.code(),
            Self::OtherLog { .. } => Code::Untrusted,
            Self::Signature { source, .. } => source.code(),
        }
    }
}
