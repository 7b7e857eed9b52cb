//! Holds a signed checkpoint against a policy.

use super::{Group, Member, Opaque, Policy, Quorum};
use crate::checkpoint::{Checkpoint, CheckpointError, SignedCheckpoint};
use crate::code::Code;
use crate::cosignature::{CosignatureError, CosignedAt};
use crate::note::{KeyName, SignatureError, VerifierKey};

/// What convinced the policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The checkpoint, now to be believed.
    pub checkpoint: Checkpoint,
    /// The log's keys, all of which signed.
    pub log_keys: Vec<VerifierKey>,
    /// The witnesses of the policy that cosigned, whether the quorum needed them or not.
    pub cosigners: Vec<Cosigner>,
}

/// A witness whose cosignature verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cosigner {
    /// Its name in the policy.
    pub name: Opaque,
    /// When it says it cosigned.
    pub at: CosignedAt,
}

impl Policy {
    /// Believes a checkpoint note, or says why not.
    ///
    /// # Errors
    /// The first rule that the note breaks.
    pub fn check(&self, note: &[u8]) -> Result<Evidence, PolicyViolation> {
        let signed = SignedCheckpoint::parse(note).map_err(PolicyViolation::Checkpoint)?;
        let log_keys = self.check_log(&signed)?;
        let cosigners = self.check_quorum(&signed)?;
        Ok(Evidence { checkpoint: signed.checkpoint().clone(), log_keys, cosigners })
    }

    /// Checks the log's own signatures: every listed key of the checkpoint's origin must have signed.
    ///
    /// # Errors
    /// When the policy lists no key of that origin, or one of them did not sign.
    pub fn check_log(&self, signed: &SignedCheckpoint) -> Result<Vec<VerifierKey>, PolicyViolation> {
        let origin = &signed.checkpoint().origin;
        let keys: Vec<_> = self.logs.iter().map(|log| &log.key).filter(|key| key.name() == origin).collect();
        if keys.is_empty() {
            return Err(PolicyViolation::UnknownLog { origin: origin.clone() });
        }
        for key in &keys {
            signed
                .verify(key)
                .map_err(|source| PolicyViolation::LogSignature { key: Box::new((*key).clone()), source })?;
        }
        Ok(keys.into_iter().cloned().collect())
    }

    /// Checks the witnesses' cosignatures and the quorum.
    ///
    /// # Errors
    /// When a known witness's cosignature is wrong, even one that the quorum could do without, or the quorum is missed.
    pub fn check_quorum(&self, signed: &SignedCheckpoint) -> Result<Vec<Cosigner>, PolicyViolation> {
        let mut witnessed = Vec::with_capacity(self.witnesses.len());
        let mut cosigners = Vec::new();
        for witness in &self.witnesses {
            match signed.verify(&witness.key) {
                Ok(at) => {
                    witnessed.push(true);
                    cosigners.push(Cosigner { name: witness.name.clone(), at });
                }
                Err(CosignatureError::Signature(SignatureError::Absent)) => witnessed.push(false),
                Err(source) => {
                    return Err(PolicyViolation::Cosignature { witness: witness.name.clone(), source });
                }
            }
        }
        if self.quorum_met(&witnessed) {
            Ok(cosigners)
        } else {
            Err(PolicyViolation::Quorum {
                cosigned: cosigners.into_iter().map(|cosigner| cosigner.name).collect(),
            })
        }
    }

    /// Whether the quorum is met when `witnessed` says for each witness of the file whether it cosigned.
    #[must_use]
    pub fn quorum_met(&self, witnessed: &[bool]) -> bool {
        // A group names only what stands above it, so one pass in file order decides them all.
        let mut groups = Vec::with_capacity(self.groups.len());
        for group in &self.groups {
            let met = group.met(witnessed, &groups);
            groups.push(met);
        }
        match self.quorum {
            Quorum::None => true,
            Quorum::Of(member) => member.met(witnessed, &groups),
        }
    }
}

impl Group {
    fn met(&self, witnessed: &[bool], groups: &[bool]) -> bool {
        self.members.iter().filter(|member| member.met(witnessed, groups)).count() >= self.threshold
    }
}

impl Member {
    fn met(self, witnessed: &[bool], groups: &[bool]) -> bool {
        match self {
            Self::Witness(at) => witnessed.get(at),
            Self::Group(at) => groups.get(at),
        }
        .copied()
        .unwrap_or(false)
    }
}

/// Why a policy does not believe a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyViolation {
    /// Not a checkpoint.
    #[error("{0}")]
    Checkpoint(CheckpointError),
    /// No log of the policy has this origin.
    #[error("the policy lists no key of the log {origin}: get the log's policy from a source you trust")]
    UnknownLog {
        /// What the checkpoint calls itself.
        origin: KeyName,
    },
    /// A key of the log did not sign it.
    #[error("{} key {} of {}: {source}", key.signature_type(), key.id(), key.name())]
    LogSignature {
        /// The key.
        key: Box<VerifierKey>,
        /// What is wrong with its signature.
        source: CosignatureError,
    },
    /// A witness's cosignature is there and wrong.
    #[error("witness {witness}: {source}")]
    Cosignature {
        /// The witness.
        witness: Opaque,
        /// What is wrong.
        source: CosignatureError,
    },
    /// Too few witnesses cosigned.
    #[error(
        "the witnesses that cosigned are not enough for the policy's quorum: fetch the checkpoint again later"
    )]
    Quorum {
        /// Those that did.
        cosigned: Vec<Opaque>,
    },
}

impl PolicyViolation {
    /// What the reader must do about it.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Checkpoint(source) => source.code(),
            Self::LogSignature { source, .. } | Self::Cosignature { source, .. } => source.code(),
            Self::UnknownLog { .. } | Self::Quorum { .. } => Code::Untrusted,
        }
    }
}
