//! Checkpoints: the signed head of a log's tree (c2sp.org/tlog-checkpoint), and the keys a log signs them with.
//!
//! Guarantees: a parsed checkpoint re-serialises to the same text; extension lines are refused, because nobody can audit
//! them and the ML-DSA-44 signature does not cover them; our logs sign every checkpoint with both their keys, and the
//! same checkpoint always gives the same bytes (INV-3 lets recovery sign again). Does not do: decide trust (`policy`).

mod keys;
#[cfg(test)]
mod tests;

use core::fmt;
use core::str::FromStr;

use crate::code::Code;
use crate::cosignature::{self, CosignatureError, CosignedAt, TreeHead};
use crate::encoding::{base64_decode, base64_encode};
use crate::hash::{Hash, empty_root};
use crate::limits::TREE_SIZE_MAX;
use crate::merkle::TreeSize;
use crate::note::{KeyName, KeyNameError, NoteError, SignatureError, SignedNote, Signer, VerifierKey};

pub use keys::{LogKeys, LogKeysError, LogVerifier, LogVerifyError, SignTextError};

/// A tree head: which log, how many leaves, which root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's origin; it is also the name of the log's keys.
    pub origin: KeyName,
    /// Leaves in the tree.
    pub size: TreeSize,
    /// Root hash of the tree of that size.
    pub root: Hash,
}

impl Checkpoint {
    /// Reads the three lines of a checkpoint's note text.
    ///
    /// # Errors
    /// Says which line is wrong.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let body = text.strip_suffix('\n').ok_or(CheckpointError::Lines)?;
        let mut lines = body.split('\n');
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else {
            return Err(CheckpointError::Lines);
        };
        if lines.next().is_some() {
            return Err(CheckpointError::ExtensionLine);
        }
        let origin = KeyName::new(origin).map_err(CheckpointError::Origin)?;
        let size =
            TreeSize::new(decimal(size).filter(|size| *size <= TREE_SIZE_MAX).ok_or(CheckpointError::Size)?);
        let root = base64_decode(root).map_err(|_| CheckpointError::Root)?;
        let root = Hash::try_from(root.as_slice()).map_err(|_| CheckpointError::Root)?;
        if size.get() == 0 && root != empty_root() {
            return Err(CheckpointError::EmptyRoot);
        }
        Ok(Self { origin, size, root })
    }

    /// Signs this checkpoint with each of `signers`, in that order, as the log itself.
    ///
    /// # Errors
    /// Passes on why a signer gave no signature.
    ///
    /// # Panics
    /// When a signer's name is not the origin: a log that signs another's checkpoint is a defect.
    pub fn sign<S: Signer>(&self, signers: &[S]) -> Result<String, S::Error> {
        let text = self.to_string();
        let head = self.head(&text);
        let mut note = format!("{text}\n");
        for signer in signers {
            assert_eq!(signer.verifier_key().name(), &self.origin, "a log signs under its own origin only");
            let signature = cosignature::sign(signer, CosignedAt::UNSTATED, &head)?;
            note.push_str(&format!("{signature}\n"));
        }
        Ok(note)
    }

    fn head<'a>(&'a self, text: &'a str) -> TreeHead<'a> {
        TreeHead { text, origin: &self.origin, size: self.size, root: &self.root }
    }
}

impl FromStr for Checkpoint {
    type Err = CheckpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (origin, size, root) = (&self.origin, self.size.get(), base64_encode(self.root.as_bytes()));
        write!(f, "{origin}\n{size}\n{root}\n")
    }
}

/// A checkpoint and the note it came in; nothing of it is trusted yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCheckpoint {
    checkpoint: Checkpoint,
    note: SignedNote,
}

impl SignedCheckpoint {
    /// Reads a checkpoint note. Its signatures are read, not checked.
    ///
    /// # Errors
    /// When the bytes are not a note, or its text is not a checkpoint.
    pub fn parse(note: &[u8]) -> Result<Self, CheckpointError> {
        let note = SignedNote::parse(note).map_err(CheckpointError::Note)?;
        let checkpoint = Checkpoint::parse(note.text())?;
        Ok(Self { checkpoint, note })
    }

    /// Checks every signature line that names `key`.
    ///
    /// # Errors
    /// When there is none, or when one does not verify: then the whole note is to be refused.
    pub fn verify(&self, key: &VerifierKey) -> Result<CosignedAt, CosignatureError> {
        let head = self.checkpoint.head(self.note.text());
        let mut at = Err(CosignatureError::Signature(SignatureError::Absent));
        for signature in self.note.signatures_of(key) {
            at = Ok(cosignature::verify(key, &head, signature)?);
        }
        at
    }

    /// What the note states. Believe it only after [`SignedCheckpoint::verify`] or a policy.
    #[must_use]
    pub const fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The note.
    #[must_use]
    pub const fn note(&self) -> &SignedNote {
        &self.note
    }
}

/// A decimal number without leading zeros, sign or anything else.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let number = text.parse::<u64>().ok()?;
    (number.to_string() == text).then_some(number)
}

/// Why bytes are not a checkpoint of a Ledgerstone log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// Not a signed note.
    #[error("{0}")]
    Note(NoteError),
    /// Fewer than three lines.
    #[error("a checkpoint is three lines, origin, size and root hash: fetch it again")]
    Lines,
    /// The first line is not an origin.
    #[error("origin line: {0}")]
    Origin(KeyNameError),
    /// The second line is not a decimal number without leading zeros.
    #[error("the size line is not a decimal number without leading zeros: fetch the checkpoint again")]
    Size,
    /// The third line is not the base64 of 32 bytes.
    #[error("the root line is not the base64 of a 32-byte hash: fetch the checkpoint again")]
    Root,
    /// Size zero with another root than that of the empty tree.
    #[error("a tree of size 0 has one possible root, and this is another: the log is faulty or not honest")]
    EmptyRoot,
    /// Lines after the root, which nobody can audit.
    #[error("lines after the root hash: Ledgerstone logs write none, so this is another log's checkpoint")]
    ExtensionLine,
}

impl CheckpointError {
    /// What the reader must do about it.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Note(source) => source.code(),
            Self::EmptyRoot => Code::Inconsistent,
            _ => Code::Malformed,
        }
    }
}
