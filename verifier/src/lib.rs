//! The verifier: checks receipts and logs offline, and recomputes recorded decisions.
//!
//! Guarantees: reads, never writes, what it checks; touches no network unless a URL is named; a check that could not be
//! made is never passed. Does not do: trusting any key that the user did not name. The binary `ledgerstone` is this
//! library behind a command line; other programs may call [`command`] directly.

pub mod admin;
pub mod anchors;
pub mod audit;
pub mod bundle;
pub mod cli;
pub mod command;
pub mod exit;
pub mod folder;
pub mod oms;
pub mod output;
pub mod progress;
pub mod recompute;
pub mod report;
pub mod source;
pub mod statistics;
