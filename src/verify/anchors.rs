//! Checks what fixes a log's head outside: the lanes' statements, their proofs, and that they are about the log at hand.
//!
//! Guarantees: a lane counts only as far as its statements follow each other from the first and the log signed them; the
//! log at hand must extend the last of them, so an older copy of it fails; a kind counts towards the quorum only as far as
//! a proof of it holds. Memory does not grow with the number of statements (INV-7). Does not do: reading files, or asking a chain,
//! a calendar or an authority.
//! Specification: `docs/spec/anchor-statement.md`, and `docs/spec/anchor-trust.md` for whom a reader trusts.

mod kinds;
mod lane;
mod log;
mod quorum;
mod tally;
mod trust;

use crate::anchor::statement::{AnchorKind, Head};
use crate::check::Check;
use crate::checkpoint::LogVerifier;
use crate::hash::Hash;
use crate::merkle::TreeSize;
use crate::note::KeyName;
use crate::policy::Policy;
use crate::time::UnixMillis;

pub use crate::anchor::quorum::{AnchorQuorum, QuorumError};
pub use lane::{LaneFiles, LaneWalk};
pub use log::{LogAtHand, against, told_by};
pub use quorum::check as quorum_check;
pub use trust::AnchorTrust;

pub(super) use kinds::{Learned, Proof, Standing, proof};
pub use kinds::{lane_kind, proof_file};
pub(super) use tally::ended;

/// What lanes that pass every check still leave open.
pub const NOT_PROVED: [&str; 2] = [
    "When an entry was recorded, closer than between two statements: a statement bounds its entries from above only.",
    "That what was fixed outside was true: it is fixed as it was recorded.",
];

/// What stays open where no log is at hand.
pub const WITHOUT_LOG: &str =
    "That the log which is shown today is the one that was fixed outside: no log was at hand to compare.";

/// Whom the reader believes.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    logs: Option<&'a Logs>,
    trust: Option<&'a AnchorTrust>,
}

impl<'a> Context<'a> {
    /// Believes these logs and these roots of trust, as far as they are given.
    #[must_use]
    pub const fn new(logs: Option<&'a Logs>, trust: Option<&'a AnchorTrust>) -> Self {
        Self { logs, trust }
    }
}

/// The logs of a trust policy, each with all of its keys.
#[derive(Clone, Debug)]
pub struct Logs(Vec<LogVerifier>);

impl Logs {
    /// The logs that `policy` believes.
    #[must_use]
    pub fn of(policy: &Policy) -> Self {
        let mut origins: Vec<&KeyName> = policy.logs().iter().map(|log| log.key().name()).collect();
        origins.dedup();
        let log = |origin: &KeyName| {
            let keys = policy.logs().iter().map(|log| log.key()).filter(|key| key.name() == origin);
            LogVerifier::new(keys.cloned().collect()).ok()
        };
        Self(origins.into_iter().filter_map(log).collect())
    }

    fn named(&self, origin: &KeyName) -> Option<&LogVerifier> {
        self.0.iter().find(|log| log.origin() == origin)
    }
}

/// What was found in one lane.
#[derive(Clone, Debug)]
pub struct LaneReport {
    /// The lane's name.
    pub name: String,
    /// Its kind, if this build knows it.
    pub kind: Option<AnchorKind>,
    /// The log that its statements are about, if one could be read.
    pub origin: Option<KeyName>,
    /// How many statements there are.
    pub statements: u64,
    /// What the last statement fixes that follows from the first one.
    pub head: Option<Head>,
    /// The hash of that statement.
    pub last: Option<Hash>,
    /// How far the lane's proofs hold, if any does.
    pub proved: Option<Proved>,
    /// The checks.
    pub checks: Vec<Check>,
    /// Files that belong to no statement, as paths below the folder of anchors.
    pub strangers: Vec<String>,
}

/// How far a lane's proofs hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proved {
    /// The number of the statement.
    pub seq: u64,
    /// The leaves that it fixes.
    pub size: TreeSize,
    /// When it was fixed at the latest, as its proof says.
    pub at: Option<UnixMillis>,
}
