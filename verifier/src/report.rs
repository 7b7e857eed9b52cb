//! The audit report: what an audit found, as signed data, as a page for a browser, and as pages for paper.
//!
//! *Guarantees*: all three say the same, in the same words, and follow from the results, the plan and the draw alone: the same inputs give the
//! same bytes on every machine. Memory is bounded, however many decisions there are. What comes from the data is escaped.
//!
//! *Does not do*: recompute a decision, or check a signature of the log; the results say whether `audit run` did.
//! Implements `docs/spec/audit-report.md`.

mod assemble;
mod basis;
mod claims;
mod conclude;
mod data;
pub(crate) mod document;
pub(crate) mod drawing;
mod error;
mod file;
mod gather;
mod html;
mod pdf;
mod plots;
mod sample;
mod samples;
#[cfg(test)]
mod tests;

pub use assemble::{assemble, recheck};
pub use basis::{Basis, BasisError, NotLookedAt, Sources};
pub use data::{
    Audited, Bin, Claims, Conclusion, Counts, Coverage, Drawn, Exception, Finding, Planned, Point, Report,
    Samples, Scores, Share, Step, Strata, StratumSample,
};
pub use document::{Document, document};
pub use error::ReportError;
pub use file::{FORMAT, REPORT_BYTES_MAX, ReportFile};
pub use gather::{Gathered, gather};
pub use html::html;
pub use pdf::pdf;
