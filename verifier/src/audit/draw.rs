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

use super::{DrandChain, Plan, PlanError, Reveal, RevealError, SAMPLE_MAX};

pub use order::Order;
pub use transcript::{DRAW_BYTES_MAX, TranscriptError};

/// The format of a draw, and its rule.
pub const DRAW_FORMAT: &str = "ledgerstone-audit-draw/v1";

/// What a seed's preimage begins with.
const SEED_DOMAIN: &str = "ledgerstone/audit-seed/v1";

/// Leaf indices looked at: twice the largest sample. A log in which so few entries are decisions is drawn from in smaller ranges.
pub const LOOKED_AT_MAX: u64 = 2 * SAMPLE_MAX;

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
    /// Leaf indices of the decisions, in the order drawn.
    pub drawn: Vec<u64>,
    /// Leaf indices that were looked at and hold no decision, in the order looked at.
    pub skipped: Vec<u64>,
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

/// Draws as the plan says. `are_decisions` says of each leaf index that it is given whether a decision stands there; it is asked for no
/// index that the draw does not have to look at. `chain` is drand's, where it is not one of those that are known.
///
/// # Errors
/// The values are not those of the plan, the plan contradicts itself, the log has too few decisions for its length, or
/// `are_decisions` failed.
pub fn redo<E>(
    plan: &Plan,
    reveals: &[Reveal],
    chain: Option<&DrandChain>,
    mut are_decisions: impl FnMut(&[u64]) -> Result<Vec<bool>, E>,
) -> Result<Draw, DrawError<E>> {
    if !reveals.iter().map(|reveal| &reveal.beacon).eq(&plan.beacons) {
        return Err(DrawError::Sources);
    }
    reveals.iter().try_for_each(|reveal| reveal.check(chain))?;
    let wanted = usize::try_from(plan.decisions()?).unwrap_or(usize::MAX);
    let seed = seed(plan, reveals)?;
    let mut order = Order::new(seed, plan.width());
    let (mut drawn, mut skipped) = (Vec::new(), Vec::new());
    while drawn.len() < wanted {
        // As many as are missing have to be looked at in any case, so they can be read together.
        let missing = wanted - drawn.len();
        let next: Vec<u64> = order.by_ref().take(missing).map(|place| plan.first + place).collect();
        if next.is_empty() {
            break;
        }
        if order.taken() > LOOKED_AT_MAX {
            return Err(DrawError::LookedAt);
        }
        let kinds = are_decisions(&next).map_err(DrawError::Entries)?;
        if kinds.len() != next.len() {
            return Err(DrawError::Answers);
        }
        for (index, is_decision) in next.into_iter().zip(kinds) {
            if is_decision { drawn.push(index) } else { skipped.push(index) }
        }
    }
    Ok(Draw {
        plan: plan.digest()?,
        checkpoint: plan.checkpoint.clone(),
        reveals: reveals.to_vec(),
        seed,
        drawn,
        skipped,
    })
}

impl Draw {
    /// Whether every index of the plan's range was looked at, so that the decisions drawn are all there are.
    #[must_use]
    pub fn is_exhausted(&self, plan: &Plan) -> bool {
        let looked_at = self.drawn.len().saturating_add(self.skipped.len());
        u64::try_from(looked_at).unwrap_or(u64::MAX) == plan.width()
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
            Self::Sources => Code::Inconsistent,
            Self::LookedAt => Code::Limit,
            Self::Answers => Code::Internal,
            Self::Entries(_) => Code::Unavailable,
        }
    }
}
