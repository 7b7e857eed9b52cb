//! Anchors: the log's head fixed where its operator cannot move it.
//!
//! Guarantees: what is verified here is verified from bytes alone, without a network, a clock or a server's word that is
//! not named as such. Does not do: talk to a chain, a calendar or an authority; the sidecar does.
//! Design: `docs/anchoring.md`; formats: `docs/spec/anchor-statement.md`.

pub mod alarm;
pub mod bitcoin;
pub mod chain;
#[cfg(feature = "evm")]
pub mod evm;
#[cfg(feature = "opentimestamps")]
pub mod opentimestamps;
pub mod quorum;
mod record;
#[cfg(feature = "rfc3161")]
pub mod rfc3161;
pub mod schedule;
pub mod scheduler;
pub mod statement;
pub mod submission;
