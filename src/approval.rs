//! Dual control: a change takes effect once so many of the approvers have signed a statement of exactly that change.
//!
//! Guarantees: a statement is for one change of one log, for a time, and once; a person counts once, however many keys they
//! have; the log alone shows afterwards who had to approve what, and that they did, because its entries hold the keys, the
//! rules and the signatures. No name of an approver stands in an entry (INV-8): names are the configuration's.
//! Does not do: keeping keys, asking a clock, deciding what counts as a change. Whoever owns the machine can run another
//! program; what that one appends without approval fails the check of the log.
//! Specification: `docs/spec/approval.md`.

mod change;
mod error;
mod history;
mod recorded;
mod roster;
mod rule;
mod statement;
#[cfg(test)]
mod tests;

pub use change::{Change, ChangeKind, RETENTION};
pub use error::{ApprovalError, Fault, RosterError, StatementError};
pub(crate) use history::Taken;
pub use history::{History, Verdict};
pub use recorded::Recorded;
pub use roster::{Approver, PublicRoster, Roster};
pub use rule::Rule;
pub use statement::{Approvals, Nonce, Statement};
