//! Audits by sample: how many decisions to recompute, and what the exceptions found among them say of all the others.
//!
//! *Guarantees*: every number is computed with integers, so it is the same on every machine. A chance is known to better than
//! 2^-39 of itself, and one that cannot be told from the risk that was asked for counts as equal to it: sizes and bounds are
//! those of exact fractions, for a risk that is higher by 2^-38 of itself at most.
//!
//! *Does not do*: recompute a decision, or judge what an exception is. A decision that cannot be recomputed must be counted
//! as an exception by whoever calls this, or bad decisions could be hidden by losing their inputs.

mod beacon;
mod bitcoin;
mod bound;
mod decision;
mod drand;
mod draw;
mod error;
mod plan;
pub mod profile;
mod rate;
pub mod replay;
pub mod results;
mod reveal;
pub mod run;
mod sequential;
#[cfg(feature = "serve")]
pub mod serve;
mod size;
mod strata;
mod tail;
#[cfg(test)]
mod tests;
pub mod verdict;
mod wide;

pub use beacon::Beacon;
pub use bitcoin::{BlockError, BlockHeader, HEADER_FILE_BYTES_MAX};
pub use bound::{Bound, upper_bound};
pub use decision::{Conclusion, Found};
pub use drand::{DRAND_BYTES_MAX, DrandChain, DrandError, DrandRound};
pub use draw::{
    DRAW_BYTES_MAX, DRAW_FORMAT, Draw, DrawError, Given, LOOKED_AT_MAX, Order, Sample, TranscriptError, redo,
    seed, stratum_seed,
};
pub use error::{AuditError, RateError};
pub use plan::{BEACONS_MAX, Method, PLAN_BYTES_MAX, Plan, PlanError, PlanFile, PlanFileError};
pub use rate::Rate;
pub use reveal::{NONCE_FILE_BYTES_MAX, Proof, Reveal, RevealError, Values, parse_nonce};
pub use sequential::{Evidence, evidence, sequential_size};
pub use size::{fixed_size, intolerable_count};
pub use strata::{STRATA_BYTES_MAX, STRATA_MAX, StrataError, StrataFile, Stratification, Stratum};

/// Decisions in a sample. Whoever needs more than a million recomputes the whole log; the arithmetic's error bound rests on
/// this number, too (`wide`).
pub const SAMPLE_MAX: u64 = 1_000_000;

/// Exceptions that are allowed or found. With ten thousand the answer is known without statistics.
pub const EXCEPTIONS_MAX: u64 = 10_000;

/// Decisions to draw from: 2^53, so that every count is exact in any JSON reader.
pub const POPULATION_MAX: u64 = 1 << 53;
