//! The log's heads as statements need them: signed, and each the continuation of the one before.
//!
//! Guarantees: a head is taken from a checkpoint that both keys of the log signed; a statement is built only where the
//! consistency proof verifies. Does not do: waiting; what is not published yet is refused.

use ledgerstone::anchor::schedule::{Build, Built};
use ledgerstone::anchor::statement::{Head, Link, Statement};
use ledgerstone::checkpoint::{LogVerifier, LogVerifyError};
use ledgerstone::hash::Hash;
use ledgerstone::merkle::consistency;
use tokio::sync::watch;

use super::DeskError;
use super::folder::LaneFolder;
use crate::driver::Published;
use crate::reader::LogReader;

/// The published heads of one log.
#[derive(Clone, Debug)]
pub(super) struct Heads {
    log: LogReader,
    verifier: LogVerifier,
}

impl Heads {
    /// The heads of `log`, signed by the keys of `verifier`.
    pub(super) fn new(log: LogReader, verifier: LogVerifier) -> Self {
        Self { log, verifier }
    }

    pub(super) fn published(&self) -> watch::Receiver<Published> {
        self.log.watch()
    }

    /// Builds the statement that `build` asks for, or takes the one that lies in `folder`.
    pub(super) fn build(&self, folder: &LaneFolder, build: &Build) -> Result<Built, DeskError> {
        let link = match folder.link(build.seq)? {
            Some(there) => there,
            None => folder.put(build.seq, self.link(build)?)?,
        };
        let statement = Statement::decode(&link.statement)?;
        Ok(Built {
            seq: statement.seq,
            to: statement.to,
            statement: Hash::of(&link.statement),
            previous: statement.previous,
        })
    }

    fn link(&self, build: &Build) -> Result<Link, DeskError> {
        let note = self.log.published().checkpoint;
        let checkpoint = self.verifier.verify(note.as_bytes())?;
        let (from, to) = (build.from, Head { size: checkpoint.size, root: checkpoint.root });
        if to.size < build.size {
            return Err(DeskError::NotPublished { wanted: build.size, published: to.size });
        }
        let consistency = self.consistency(from, to)?;
        let statement = Statement {
            origin: checkpoint.origin,
            lane: build.lane.clone(),
            seq: build.seq,
            from,
            to,
            previous: build.previous,
            checkpoint: Hash::of(note.as_bytes()),
        };
        Ok(Link { statement: statement.encode()?, checkpoint: note.as_bytes().to_vec(), consistency })
    }

    /// Proves that `to` continues `from`; nothing is to be proved of the empty tree.
    pub(super) fn consistency(&self, from: Head, to: Head) -> Result<Vec<Hash>, DeskError> {
        if from.size.is_empty() {
            return Ok(Vec::new());
        }
        let fork = DeskError::Fork { from: from.size, published: to.size };
        if from.size > to.size {
            return Err(fork);
        }
        let proof = self.log.consistency(from.size, to.size)?;
        match consistency::verify(from.size, &from.root, to.size, &to.root, &proof) {
            Ok(()) => Ok(proof),
            Err(_) => Err(fork),
        }
    }

    /// The head that the published checkpoint states.
    pub(super) fn newest(&self) -> Result<Head, LogVerifyError> {
        let checkpoint = self.verifier.verify(self.log.published().checkpoint.as_bytes())?;
        Ok(Head { size: checkpoint.size, root: checkpoint.root })
    }
}
