//! An audit's plan: what is fixed before anybody can know which decisions will be drawn.
//!
//! *Guarantees*: a plan that parses is its own canonical form byte for byte, draws as many decisions as its rates need, says which
//! verdicts are no exceptions, and names at least one source of randomness. Implements `docs/spec/audit-plan.md`.
//!
//! *Does not do*: read a clock, so it cannot say that a round or a block is still to come when the plan is made.

mod file;
#[cfg(test)]
mod tests;

use ledgerstone::checkpoint::Checkpoint;
use ledgerstone::code::Code;
use ledgerstone::encoding::hex_decode;
use ledgerstone::hash::Hash;
use ledgerstone::merkle::TreeSize;
use ledgerstone::note::KeyName;
use serde::{Deserialize, Serialize};

use super::{AuditError, Beacon, DRAW_FORMAT, POPULATION_MAX, Rate, fixed_size, sequential_size};

pub use file::{PlanFile, PlanFileError};

/// Bytes of a plan: sixteen sources at 150 bytes each, an origin of 255 bytes and the rest, some times over.
pub const PLAN_BYTES_MAX: usize = 16 * 1024;

/// Sources of randomness in one plan.
pub const BEACONS_MAX: usize = 16;

const FORMAT: &str = "ledgerstone-audit-plan/v1";

/// The one thing that is drawn by this version.
const DRAWN: &str = "decision";

/// The verdict that is never an exception.
const EXACT: &str = "EXACT";

/// The verdict that a profile's tolerance decides.
const WITHIN_TOLERANCE: &str = "WITHIN_TOLERANCE";

/// The verdict of a decision that hangs on less than the profile's tolerance.
const MARGIN_AMBIGUOUS: &str = "MARGIN_AMBIGUOUS";

/// When an audit looks at what it found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// Once, after the last decision.
    Fixed,
    /// After each decision.
    Sequential,
}

/// What is fixed before the draw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The log's tree as it was signed.
    pub checkpoint: Checkpoint,
    /// The first leaf index that is drawn from.
    pub first: u64,
    /// The last one.
    pub last: u64,
    /// When to look.
    pub method: Method,
    /// The least rate of exceptions that is not tolerable.
    pub tolerable: Rate,
    /// How sure the audit is to be.
    pub confidence: Rate,
    /// The rate that a sequential plan is made for; 0 % in a fixed one.
    pub expected: Rate,
    /// Exceptions that its size is made for.
    pub allowed: u64,
    /// SHA-256 of the profile whose tolerances decide, for models that cannot be recomputed bit for bit.
    pub profile: Option<Hash>,
    /// Whether a decision that hangs on less than the profile's tolerance is no exception.
    pub pass_ambiguous: bool,
    /// Where the randomness will come from.
    pub beacons: Vec<Beacon>,
}

/// The file, key by key.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: String,
    origin: String,
    tree_size: u64,
    root: String,
    first_index: u64,
    last_index: u64,
    drawn: String,
    draw: String,
    method: Method,
    tolerable: String,
    confidence: String,
    expected: String,
    allowed: u64,
    decisions: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    profile: Option<String>,
    passes: Vec<String>,
    randomness: Vec<String>,
}

impl Plan {
    /// Reads a plan file.
    ///
    /// # Errors
    /// It is none, not in canonical form, or contradicts itself.
    pub fn parse(bytes: &[u8]) -> Result<Self, PlanError> {
        if bytes.len() > PLAN_BYTES_MAX {
            return Err(PlanError::TooLong);
        }
        let file: File = serde_json::from_slice(bytes)
            .map_err(|error| PlanError::Json { line: error.line(), column: error.column() })?;
        if file.format != FORMAT {
            return Err(PlanError::Format);
        }
        if file.drawn != DRAWN {
            return Err(PlanError::Drawn);
        }
        if file.draw != DRAW_FORMAT {
            return Err(PlanError::Draw);
        }
        let rate = |text: &str| text.parse::<Rate>().map_err(|_| PlanError::Rate);
        let beacons = file.randomness.iter().take(BEACONS_MAX + 1).map(|beacon| beacon.parse());
        let plan = Self {
            checkpoint: Checkpoint {
                origin: KeyName::new(&file.origin).map_err(|_| PlanError::Log)?,
                size: TreeSize::new(file.tree_size),
                root: digest(&file.root).ok_or(PlanError::Log)?,
            },
            first: file.first_index,
            last: file.last_index,
            method: file.method,
            tolerable: rate(&file.tolerable)?,
            confidence: rate(&file.confidence)?,
            expected: rate(&file.expected)?,
            allowed: file.allowed,
            profile: file
                .profile
                .as_deref()
                .map(|text| digest(text).ok_or(PlanError::Profile))
                .transpose()?,
            pass_ambiguous: file.passes.iter().any(|verdict| verdict == MARGIN_AMBIGUOUS),
            beacons: beacons.collect::<Result<_, _>>()?,
        };
        if plan.passes() != file.passes {
            return Err(PlanError::Passes);
        }
        // What is written again is the file only if the number of decisions is the one that the rates need.
        if plan.decisions()? != file.decisions {
            return Err(PlanError::Decisions);
        }
        if plan.to_json()?.as_bytes() == bytes { Ok(plan) } else { Err(PlanError::NotCanonical) }
    }

    /// The canonical file.
    ///
    /// # Errors
    /// The plan contradicts itself.
    pub fn to_json(&self) -> Result<String, PlanError> {
        self.check()?;
        let file = File {
            format: FORMAT.to_owned(),
            origin: self.checkpoint.origin.to_string(),
            tree_size: self.checkpoint.size.get(),
            root: self.checkpoint.root.to_string(),
            first_index: self.first,
            last_index: self.last,
            drawn: DRAWN.to_owned(),
            draw: DRAW_FORMAT.to_owned(),
            method: self.method,
            tolerable: self.tolerable.to_string(),
            confidence: self.confidence.to_string(),
            expected: self.expected.to_string(),
            allowed: self.allowed,
            decisions: self.decisions()?,
            profile: self.profile.map(|profile| profile.to_string()),
            passes: self.passes().into_iter().map(str::to_owned).collect(),
            randomness: self.beacons.iter().map(ToString::to_string).collect(),
        };
        let text = serde_json::to_string_pretty(&file).map_err(|_| PlanError::Json { line: 0, column: 0 })?;
        Ok(text + "\n")
    }

    /// SHA-256 of the canonical file: what is published before the draw.
    ///
    /// # Errors
    /// The plan contradicts itself.
    pub fn digest(&self) -> Result<Hash, PlanError> {
        Ok(Hash::of(self.to_json()?.as_bytes()))
    }

    /// The verdicts that are no exceptions; every other one is, and so is a decision whose reasons differ.
    #[must_use]
    pub fn passes(&self) -> Vec<&'static str> {
        let tolerated = self.profile.map(|_| WITHIN_TOLERANCE);
        let ambiguous = self.pass_ambiguous.then_some(MARGIN_AMBIGUOUS);
        [Some(EXACT), tolerated, ambiguous].into_iter().flatten().collect()
    }

    /// How many leaf indices there are to draw from.
    #[must_use]
    pub const fn width(&self) -> u64 {
        self.last.saturating_sub(self.first) + 1
    }

    /// How many decisions are drawn; where there are fewer, all of them. The population is known only when the log is read, so this is
    /// the number for a log without end.
    ///
    /// # Errors
    /// There is no such number.
    pub fn decisions(&self) -> Result<u64, PlanError> {
        let rates = (self.tolerable, self.expected);
        match self.method {
            Method::Fixed if self.expected != Rate::NONE => Err(PlanError::Expected),
            Method::Fixed => Ok(fixed_size(self.tolerable, self.confidence, None, self.allowed)?),
            Method::Sequential => Ok(sequential_size(rates, self.confidence, None, self.allowed)?),
        }
    }

    fn check(&self) -> Result<(), PlanError> {
        let size = self.checkpoint.size.get();
        if size > POPULATION_MAX {
            return Err(PlanError::Log);
        }
        if self.first > self.last || self.last >= size {
            return Err(PlanError::Range { size });
        }
        if self.pass_ambiguous && self.profile.is_none() {
            return Err(PlanError::Passes);
        }
        if self.beacons.is_empty() || self.beacons.len() > BEACONS_MAX {
            return Err(PlanError::Beacons);
        }
        let repeats = |beacon: &Beacon, earlier: &[Beacon]| {
            earlier.iter().any(|other| match (beacon, other) {
                _ if beacon.name() == other.name() => true,
                (Beacon::Nonce { commitment: mine, .. }, Beacon::Nonce { commitment, .. }) => {
                    mine == commitment
                }
                _ => false,
            })
        };
        let mut earlier: &[Beacon] = &self.beacons;
        while let Some((beacon, rest)) = earlier.split_last() {
            if repeats(beacon, rest) {
                return Err(PlanError::Repeated);
            }
            earlier = rest;
        }
        Ok(())
    }
}

/// A SHA-256 in lowercase hex.
pub(super) fn digest(text: &str) -> Option<Hash> {
    Hash::try_from(hex_decode(text).ok()?.as_slice()).ok()
}

/// Why something is no audit plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// More bytes than a plan has.
    #[error("a plan has at most {PLAN_BYTES_MAX} bytes")]
    TooLong,
    /// Not JSON with exactly the keys of a plan.
    #[error("line {line}, column {column}: not an audit plan's JSON")]
    Json {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
    /// Another format or version.
    #[error("the format is not {FORMAT}")]
    Format,
    /// Something else than decisions is to be drawn.
    #[error("only `{DRAWN}` entries can be drawn by this version")]
    Drawn,
    /// The draw is another one than this version makes.
    #[error("the draw is not {DRAW_FORMAT}, the only one that this version makes")]
    Draw,
    /// A profile's digest that is none.
    #[error("the profile is not a SHA-256 of 64 digits of lowercase hex")]
    Profile,
    /// Verdicts pass that cannot.
    #[error("what passes is EXACT, with a profile also WITHIN_TOLERANCE, then perhaps MARGIN_AMBIGUOUS")]
    Passes,
    /// A rate that is none.
    #[error("a rate is not a percentage such as `1%`")]
    Rate,
    /// Origin, size or root are none.
    #[error("the log's origin, tree size or root cannot be those of a log")]
    Log,
    /// The file says another number of decisions than its rates need.
    #[error("the number of decisions is not the one that the rates need")]
    Decisions,
    /// Every value can be read, but the file is not written as a plan is.
    #[error("the file is not in canonical form")]
    NotCanonical,
    /// Leaf indices that the tree does not have.
    #[error("the leaf indices to draw from are not a range of the tree's {size}, counted from 0")]
    Range {
        /// Leaves in the tree.
        size: u64,
    },
    /// No source of randomness, or too many.
    #[error("a plan names between 1 and {BEACONS_MAX} sources of randomness")]
    Beacons,
    /// Two sources with one name, or one commitment twice.
    #[error("two sources of randomness have the same name or the same commitment")]
    Repeated,
    /// A source that cannot be read.
    #[error(
        "a source of randomness reads `drand:CHAIN_HASH:ROUND`, `block:bitcoin:HEIGHT` or `nonce:NAME:SHA256`, hashes as 64 digits of lowercase hex"
    )]
    Beacon,
    /// A name that is none.
    #[error(
        "an auditor's name has 1 to 64 lowercase letters, digits, points and hyphens, and is not `drand` or `bitcoin`"
    )]
    Name,
    /// A fixed plan with an expected rate.
    #[error("a fixed plan has no expected rate: it is 0%")]
    Expected,
    /// The rates have no sample.
    #[error(transparent)]
    Audit(#[from] AuditError),
}

impl PlanError {
    /// What the reader of this error should do about a plan file.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::TooLong => Code::Limit,
            Self::Draw => Code::Misuse,
            _ => Code::Malformed,
        }
    }
}
