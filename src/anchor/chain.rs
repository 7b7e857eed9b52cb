//! A lane's chain of statements, followed from its first one.
//!
//! Guarantees: what is accepted starts at the empty tree, has no gap, and each statement names the one before it, a
//! checkpoint that the log signed with all of its keys, and a tree that extends the tree before. Memory does not grow with the
//! chain. Does not do: saying where or when a statement was fixed, or comparing it with a log: a chain that is cut at its
//! end is a shorter chain, and only its anchors show that something is left out.
//! Specification: `docs/spec/anchor-statement.md`.

use core::borrow::Borrow;

use super::schedule::Tip;
use super::statement::{Head, LaneName, Link, Statement, StatementError};
use crate::check::Check;
use crate::checkpoint::{LogVerifier, LogVerifyError};
use crate::code::{CheckName, Code};
use crate::hash::Hash;
use crate::limits::PROOF_HASHES_MAX;
use crate::merkle::consistency::{self, ConsistencyError};
use crate::note::KeyName;

/// A statement that was followed from the first one of its lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anchored {
    /// Its lane.
    pub lane: LaneName,
    /// Its number.
    pub seq: u64,
    /// What the statement before fixed.
    pub from: Head,
    /// What it fixes: a tree that the log signed.
    pub to: Head,
    /// Its hash, which is what stands outside.
    pub statement: Hash,
}

/// Follows one lane's statements, one after the other.
#[derive(Clone, Debug)]
pub struct ChainVerifier<'a> {
    log: &'a LogVerifier,
    /// The lane; that of the first statement unless it is named.
    lane: Option<LaneName>,
    tip: Tip,
}

impl<'a> ChainVerifier<'a> {
    /// Starts before the first statement of `lane`; of any one lane if none is named.
    #[must_use]
    pub fn new(log: &'a LogVerifier, lane: Option<LaneName>) -> Self {
        Self { log, lane, tip: Tip::none() }
    }

    /// Takes the next statement and what came with it.
    ///
    /// # Errors
    /// Says which statement does not hold and why; the chain stays where it was.
    pub fn push(&mut self, link: &Link) -> Result<Anchored, ChainError> {
        let seq = self.tip.seq.saturating_add(1);
        let failed = |fault| ChainError { seq, fault };
        let statement = Statement::decode(&link.statement).map_err(ChainFault::Statement).map_err(failed)?;
        self.check_place(&statement).map_err(failed)?;
        self.check_checkpoint(&statement, &link.checkpoint).map_err(failed)?;
        check_consistency(&statement, &link.consistency).map_err(failed)?;
        let Statement { lane, from, to, .. } = statement;
        self.tip = Tip { seq, head: to, statement: Hash::of(&link.statement) };
        self.lane.get_or_insert_with(|| lane.clone());
        Ok(Anchored { lane, seq, from, to, statement: self.tip.statement })
    }

    /// The last statement that holds.
    #[must_use]
    pub const fn tip(&self) -> Tip {
        self.tip
    }

    /// The check of a chain that holds as far as it was given.
    #[must_use]
    pub fn check(&self) -> Check {
        let Tip { seq, head, .. } = self.tip;
        let Some(lane) = self.lane.as_ref().filter(|_| seq > 0) else {
            return Check::not_checked(CheckName::AnchorStatements, "There is no anchor statement.");
        };
        let detail = format!(
            "Statements 1 to {seq} of lane {lane} follow each other without a gap up to {} entries, each over a checkpoint \
             that the log signed.",
            head.size
        );
        Check::passed(CheckName::AnchorStatements, detail)
    }

    /// Checks that the statement is this log's, this lane's, and continues the one before.
    fn check_place(&self, statement: &Statement) -> Result<(), ChainFault> {
        let Tip { seq, head, statement: hash } = self.tip;
        if statement.origin != *self.log.origin() {
            return Err(ChainFault::Origin {
                expected: self.log.origin().clone(),
                found: statement.origin.clone(),
            });
        }
        if let Some(expected) = self.lane.as_ref().filter(|expected| **expected != statement.lane) {
            return Err(ChainFault::Lane { expected: expected.clone(), found: statement.lane.clone() });
        }
        if Some(statement.seq) != seq.checked_add(1) {
            return Err(ChainFault::Seq { found: statement.seq });
        }
        if statement.previous != hash {
            return Err(ChainFault::Previous { expected: hash, found: statement.previous });
        }
        if statement.from != head {
            return Err(ChainFault::From { expected: head, found: statement.from });
        }
        Ok(())
    }

    /// Checks that the log signed the tree that the statement fixes.
    fn check_checkpoint(&self, statement: &Statement, note: &[u8]) -> Result<(), ChainFault> {
        let found = Hash::of(note);
        if found != statement.checkpoint {
            return Err(ChainFault::CheckpointHash { expected: statement.checkpoint, found });
        }
        let checkpoint = self.log.verify(note).map_err(ChainFault::Checkpoint)?;
        let found = Head { size: checkpoint.size, root: checkpoint.root };
        if found != statement.to {
            return Err(ChainFault::CheckpointHead { expected: statement.to, found });
        }
        Ok(())
    }
}

/// Checks that the tree only grew.
fn check_consistency(statement: &Statement, proof: &[Hash]) -> Result<(), ChainFault> {
    let Statement { from, to, .. } = statement;
    if proof.len() > PROOF_HASHES_MAX || (from.size.is_empty() && !proof.is_empty()) {
        return Err(ChainFault::ConsistencyLength { hashes: proof.len() });
    }
    if from.size.is_empty() {
        return Ok(());
    }
    consistency::verify(from.size, &from.root, to.size, &to.root, proof).map_err(ChainFault::Consistency)
}

/// Follows a whole chain and gives what each statement fixes. For long chains use [`ChainVerifier`], which keeps nothing.
///
/// # Errors
/// Says which statement does not hold and why.
pub fn verify_chain<L: Borrow<Link>>(
    links: impl IntoIterator<Item = L>,
    log: &LogVerifier,
    lane: Option<LaneName>,
) -> Result<Vec<Anchored>, ChainError> {
    let mut chain = ChainVerifier::new(log, lane);
    links.into_iter().map(|link| chain.push(link.borrow())).collect()
}

/// A statement that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("anchor statement {seq}: {fault}")]
pub struct ChainError {
    /// The place in the chain, counted from 1, whatever number the statement itself bears.
    pub seq: u64,
    /// What is wrong.
    #[source]
    pub fault: ChainFault,
}

impl ChainError {
    /// What the reader must do next.
    #[must_use]
    pub const fn code(&self) -> Code {
        self.fault.code()
    }

    /// The check that this fails.
    #[must_use]
    pub fn check(&self) -> Check {
        Check::failed(CheckName::AnchorStatements, self.code(), self.to_string())
    }
}

/// Why a statement does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChainFault {
    /// Not a statement.
    #[error("{0}")]
    Statement(StatementError),
    /// A statement of another log.
    #[error("it is of the log {found}, not {expected}: fetch the right one")]
    Origin {
        /// The log whose keys are known.
        expected: KeyName,
        /// The log that it names.
        found: KeyName,
    },
    /// A statement of another lane.
    #[error("it is of lane {found}, not {expected}: fetch the right one")]
    Lane {
        /// The chain's lane.
        expected: LaneName,
        /// The lane that it names.
        found: LaneName,
    },
    /// A number out of its turn.
    #[error("it bears the number {found}: a statement is missing or stands there twice")]
    Seq {
        /// The number that it bears.
        found: u64,
    },
    /// It does not name the statement before.
    #[error(
        "it names {found} as the statement before it, which is {expected}: one of both was exchanged, keep both"
    )]
    Previous {
        /// The hash of the statement before.
        expected: Hash,
        /// The hash that it names.
        found: Hash,
    },
    /// It does not start where the one before ended.
    #[error(
        "it starts at {} entries with root {}, the one before ended at {} with root {}: keep both",
        found.size, found.root, expected.size, expected.root
    )]
    From {
        /// Where the one before ended.
        expected: Head,
        /// Where it starts.
        found: Head,
    },
    /// The checkpoint beside it is another than the one that it names.
    #[error("its checkpoint's SHA-256 is {found}, it names {expected}: fetch the checkpoint again")]
    CheckpointHash {
        /// The hash that the statement names.
        expected: Hash,
        /// The hash of the note.
        found: Hash,
    },
    /// The log did not sign the checkpoint.
    #[error("its checkpoint is not to be believed: {0}")]
    Checkpoint(LogVerifyError),
    /// The checkpoint is of another tree than the one that the statement fixes.
    #[error(
        "its checkpoint is of {} entries with root {}, it fixes {} with root {}: keep both",
        found.size, found.root, expected.size, expected.root
    )]
    CheckpointHead {
        /// What the statement fixes.
        expected: Head,
        /// What the log signed.
        found: Head,
    },
    /// More hashes than a proof has, or a proof from the empty tree, which needs none.
    #[error("its consistency proof has {hashes} hashes, which none has: fetch it again")]
    ConsistencyLength {
        /// How many.
        hashes: usize,
    },
    /// The tree did not only grow.
    #[error("{0}")]
    Consistency(ConsistencyError),
}

impl ChainFault {
    /// What the reader must do next.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Statement(error) => error.code(),
            Self::Checkpoint(error) => error.code(),
            Self::Consistency(error) => error.code(),
            Self::Origin { .. } | Self::Lane { .. } => Code::Untrusted,
            Self::ConsistencyLength { .. } => Code::Malformed,
            Self::Seq { .. }
            | Self::Previous { .. }
            | Self::From { .. }
            | Self::CheckpointHash { .. }
            | Self::CheckpointHead { .. } => Code::Inconsistent,
        }
    }
}

#[cfg(test)]
mod tests;
