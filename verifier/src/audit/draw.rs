//! The draw of an audit: which decisions, in which order, follows from the plan and its randomness alone.
//!
//! *Guarantees*: whoever has the plan, the values and the log draws the same decisions in the same order. If the seed is uniform, so is the
//! sample: each set of that many decisions in the range is drawn with the same chance, in each order with the same chance,
//! although nobody has to know beforehand how many decisions there are (`docs/spec/audit-draw.md` has the proof). Implements
//! `docs/spec/audit-draw.md`.
//!
//! *Does not do*: read a log; whoever calls [`redo`] says of an index whether a decision stands there, and must have proved it.

mod order;
#[cfg(test)]
mod tests;
mod transcript;

use ledgerstone::checkpoint::Checkpoint;
use ledgerstone::code::Code;
use ledgerstone::encoding::cbor;
use ledgerstone::hash::Hash;

use serde::{Deserialize, Serialize};

use super::{DrandChain, Plan, PlanError, Reveal, RevealError, SAMPLE_MAX, StrataFile};

pub use order::Order;
pub use transcript::{DRAW_BYTES_MAX, TranscriptError};

/// The format of a draw, and its rule.
pub const DRAW_FORMAT: &str = "ledgerstone-audit-draw/v1";

/// What a seed's preimage begins with.
const SEED_DOMAIN: &str = "ledgerstone/audit-seed/v1";

/// What the preimage of a stratum's seed begins with.
const STRATUM_DOMAIN: &str = "ledgerstone/audit-stratum/v1";

/// Leaf indices looked at: twice the largest sample. A log in which so few entries are decisions is drawn from in smaller ranges.
pub const LOOKED_AT_MAX: u64 = 2 * SAMPLE_MAX;

/// What a draw needs beside the plan and the log.
#[derive(Clone, Copy, Debug)]
pub struct Given<'a> {
    /// The values of the plan's sources.
    pub reveals: &'a [Reveal],
    /// drand's chain, where it is not one of those that are known.
    pub chain: Option<&'a DrandChain>,
    /// The strata file, where the plan names one.
    pub strata: Option<&'a StrataFile>,
}

/// What was drawn from all of the range, or from one stratum.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    /// Leaf indices of the decisions, in the order drawn.
    pub drawn: Vec<u64>,
    /// Leaf indices that were looked at and hold no decision, in the order looked at.
    pub skipped: Vec<u64>,
}

/// What was drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draw {
    /// SHA-256 of the plan.
    pub plan: Hash,
    /// The tree that was drawn from.
    pub checkpoint: Checkpoint,
    /// The values of the plan's sources.
    pub reveals: Vec<Reveal>,
    /// What the order follows from.
    pub seed: Hash,
    /// The sample of all decisions in the plan's range.
    pub sample: Sample,
    /// The samples of the plan's strata, in its order.
    pub strata: Vec<Sample>,
}

/// The seed that a plan and the values of its sources give.
///
/// # Errors
/// The plan contradicts itself.
pub fn seed(plan: &Plan, reveals: &[Reveal]) -> Result<Hash, PlanError> {
    let Checkpoint { origin, size, root } = &plan.checkpoint;
    let mut preimage = cbor::Writer::new();
    preimage.array(6).text(SEED_DOMAIN).text(origin.as_str()).uint(size.get()).bytes(root.as_bytes());
    preimage.bytes(plan.digest()?.as_bytes()).array(reveals.len());
    for reveal in reveals {
        preimage.array(2).text(&reveal.beacon.to_string()).bytes(reveal.value.as_bytes());
    }
    Ok(Hash::of(preimage.as_bytes()))
}

/// The seed of one stratum.
#[must_use]
pub fn stratum_seed(seed: Hash, name: &str) -> Hash {
    let mut preimage = cbor::Writer::new();
    preimage.array(3).text(STRATUM_DOMAIN).bytes(seed.as_bytes()).text(name);
    Hash::of(preimage.as_bytes())
}

/// Draws as the plan says. `are_decisions` says of each leaf index that it is given whether a decision stands there; it is asked for no
/// index that the draw does not have to look at.
///
/// # Errors
/// What was given is not what the plan names, the plan contradicts itself, the log has too few decisions for its length, or
/// `are_decisions` failed.
pub fn redo<E>(
    plan: &Plan,
    given: Given<'_>,
    mut are_decisions: impl FnMut(&[u64]) -> Result<Vec<bool>, E>,
) -> Result<Draw, DrawError<E>> {
    let Given { reveals, chain, strata } = given;
    if !reveals.iter().map(|reveal| &reveal.beacon).eq(&plan.beacons) {
        return Err(DrawError::Sources);
    }
    reveals.iter().try_for_each(|reveal| reveal.check(chain))?;
    let named = plan.strata.as_ref().map(|strata| strata.file);
    if named != strata.map(StrataFile::digest) {
        return Err(DrawError::Strata);
    }
    let seed = seed(plan, reveals)?;
    let mut looked_at = 0;
    let mut sample = |plan: &Plan, seed, places, index: &dyn Fn(u64) -> Option<u64>| {
        take(plan, Order::new(seed, places), &mut looked_at, index, &mut are_decisions)
    };
    let whole = sample(plan, seed, plan.width(), &|place| plan.first.checked_add(place))?;
    let mut samples = Vec::new();
    for stratum in plan.strata() {
        let members = strata.map_or(&[][..], |strata| strata.members(plan, &stratum.name));
        let index = |place| members.get(usize::try_from(place).ok()?).copied();
        let places = u64::try_from(members.len()).unwrap_or(u64::MAX);
        samples.push(sample(&plan.of_stratum(stratum), stratum_seed(seed, &stratum.name), places, &index)?);
    }
    Ok(Draw {
        plan: plan.digest()?,
        checkpoint: plan.checkpoint.clone(),
        reveals: reveals.to_vec(),
        seed,
        sample: whole,
        strata: samples,
    })
}

/// Says of each leaf index whether a decision stands there.
type Kinds<'a, E> = dyn FnMut(&[u64]) -> Result<Vec<bool>, E> + 'a;

/// Takes places in order until as many decisions were found as the plan says; `index` is the leaf index of a place.
fn take<E>(
    plan: &Plan,
    mut order: Order,
    looked_at: &mut u64,
    index: &dyn Fn(u64) -> Option<u64>,
    are_decisions: &mut Kinds<'_, E>,
) -> Result<Sample, DrawError<E>> {
    let wanted = usize::try_from(plan.decisions()?).unwrap_or(usize::MAX);
    let mut sample = Sample::default();
    while sample.drawn.len() < wanted {
        // As many as are missing have to be looked at in any case, so they can be read together.
        let missing = wanted - sample.drawn.len();
        let next: Vec<u64> = order.by_ref().take(missing).filter_map(index).collect();
        if next.is_empty() {
            break;
        }
        *looked_at += u64::try_from(next.len()).unwrap_or(u64::MAX);
        if *looked_at > LOOKED_AT_MAX {
            return Err(DrawError::LookedAt);
        }
        let kinds = are_decisions(&next).map_err(DrawError::Entries)?;
        if kinds.len() != next.len() {
            return Err(DrawError::Answers);
        }
        for (index, is_decision) in next.into_iter().zip(kinds) {
            if is_decision { sample.drawn.push(index) } else { sample.skipped.push(index) }
        }
    }
    Ok(sample)
}

impl Sample {
    /// How many entries were looked at.
    #[must_use]
    pub fn looked_at(&self) -> u64 {
        u64::try_from(self.drawn.len().saturating_add(self.skipped.len())).unwrap_or(u64::MAX)
    }

    /// Whether every one of these entries, those of a stratum, was looked at.
    #[must_use]
    pub fn takes_all(&self, members: &[u64]) -> bool {
        u64::try_from(members.len()) == Ok(self.looked_at())
    }
}

impl Draw {
    /// Whether every index of the plan's range was looked at, so that the decisions drawn are all there are.
    #[must_use]
    pub fn is_exhausted(&self, plan: &Plan) -> bool {
        self.sample.looked_at() == plan.width()
    }

    /// Every leaf index that was looked at, once, as a bundle holds them: those drawn in the order of the samples, then those skipped.
    /// And how many were drawn.
    #[must_use]
    pub fn listed(&self) -> (Vec<u64>, u64) {
        let mut seen = std::collections::BTreeSet::new();
        let mut listed: Vec<u64> = Vec::new();
        listed.extend(self.samples().flat_map(|sample| &sample.drawn).filter(|index| seen.insert(**index)));
        let drawn = listed.len() as u64;
        listed.extend(self.samples().flat_map(|sample| &sample.skipped).filter(|index| seen.insert(**index)));
        (listed, drawn)
    }

    /// Every sample: that of all decisions, then those of the strata.
    pub fn samples(&self) -> impl Iterator<Item = &Sample> {
        std::iter::once(&self.sample).chain(&self.strata)
    }
}

/// Why nothing was drawn.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DrawError<E> {
    /// The plan contradicts itself.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A value is not that of its source.
    #[error(transparent)]
    Reveal(#[from] RevealError),
    /// Values of other sources, or in another order.
    #[error("the values are not those of the plan's sources, in the plan's order")]
    Sources,
    /// Another strata file, or none, or one that the plan does not name.
    #[error("the strata file is not the one that the plan names, or one of the two is missing")]
    Strata,
    /// Too few decisions among too many entries.
    #[error(
        "more than {LOOKED_AT_MAX} entries would have to be looked at: plan smaller ranges, or for fewer decisions"
    )]
    LookedAt,
    /// Another number of answers than of indices.
    #[error("the entries were not all looked at")]
    Answers,
    /// The entries could not be had.
    #[error("the entries could not be looked at")]
    Entries(E),
}

impl<E> DrawError<E> {
    /// What the reader of this error should do, unless it is about the entries.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Plan(source) => source.code(),
            Self::Reveal(source) => source.code(),
            Self::Sources | Self::Strata => Code::Inconsistent,
            Self::LookedAt => Code::Limit,
            Self::Answers => Code::Internal,
            Self::Entries(_) => Code::Unavailable,
        }
    }
}
