//! The offline facade: inputs in, a report of named checks out.
//!
//! Guarantees: every check says whether it passed, failed or was not made, what was found in plain words and what a pass
//! proves; a check that could not be made is never passed. Does not do: fetch anything, ask a clock.

mod report;

pub use report::{Check, PLACES_MAX, Place, REPORT_FORMAT, Report, Status, Verdict};
