//! The plan and the draw that an audit rests on, checked against each other.
//!
//! *Guarantees*: the draw is the one that the plan and the values of its randomness give, order and all. *Does not do*: look into the log;
//! that what was skipped is no decision is what `audit run` proves for every entry of the bundle.

use std::collections::HashMap;

use ledgerstone::code::Code;
use ledgerstone::hash::Hash;

use crate::audit::verdict::Verdict;
use crate::audit::{
    DrandChain, Draw, DrawError, Given, Plan, PlanFile, Sample, StrataFile, Stratum, TranscriptError, redo,
};

/// A plan and its draw.
#[derive(Clone, Debug)]
pub struct Basis {
    pub(super) plan: PlanFile,
    pub(super) is_signed: bool,
    pub(super) draw: Draw,
    pub(super) draw_sha256: Hash,
    /// The leaf indices of the draw, as [`Draw::listed`] gives them.
    pub(super) listed: (Vec<u64>, u64),
    /// Whether every decision of a stratum was drawn, in the plan's order.
    pub(super) exhausted: Vec<bool>,
}

/// What a draw is made again from, beside the plan and the values in it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sources<'a> {
    /// drand's chain, where it is not one of those that are known.
    pub chain: Option<&'a DrandChain>,
    /// The strata file that the plan names.
    pub strata: Option<&'a StrataFile>,
}

/// Why a draw is not that of a plan.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BasisError {
    /// The file is no draw.
    #[error(transparent)]
    Transcript(#[from] TranscriptError),
    /// It cannot be drawn again.
    #[error(transparent)]
    Draw(#[from] DrawError<NotLookedAt>),
    /// Drawn again, it is another one.
    #[error("the draw is not the one that the plan and the values of its randomness give")]
    Other,
}

/// The draw lacks an index that has to be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("entry {0} has to be looked at and is not in the draw")]
pub struct NotLookedAt(u64);

impl BasisError {
    /// What the reader must do about it.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Transcript(source) => source.code(),
            Self::Draw(DrawError::Entries(_)) | Self::Other => Code::Inconsistent,
            Self::Draw(source) => source.code(),
        }
    }
}

impl Basis {
    /// Draws again and compares. `is_signed` says whether the auditor's signature of the plan was verified.
    ///
    /// # Errors
    /// [`BasisError`] says why the draw is not the plan's.
    pub fn new(
        plan: PlanFile,
        is_signed: bool,
        draw: &[u8],
        sources: Sources<'_>,
    ) -> Result<Self, BasisError> {
        let draw_sha256 = Hash::of(draw);
        let draw = Draw::parse(draw)?;
        let drawn = draw.samples().flat_map(|sample| &sample.drawn).map(|index| (*index, true));
        let skipped = draw.samples().flat_map(|sample| &sample.skipped).map(|index| (*index, false));
        let looked_at: HashMap<u64, bool> = drawn.chain(skipped).collect();
        let Sources { chain, strata } = sources;
        let again = redo(plan.plan(), Given { reveals: &draw.reveals, chain, strata }, |indices| {
            let is_decision = |index: &u64| looked_at.get(index).copied().ok_or(NotLookedAt(*index));
            indices.iter().map(is_decision).collect()
        })?;
        if again != draw {
            return Err(BasisError::Other);
        }
        let is_exhausted = |(stratum, sample): (&Stratum, &Sample)| {
            let members = strata.map_or(&[][..], |strata| strata.members(plan.plan(), &stratum.name));
            sample.takes_all(members)
        };
        let exhausted = plan.plan().strata().zip(&draw.strata).map(is_exhausted).collect();
        let listed = draw.listed();
        Ok(Self { plan, is_signed, draw, draw_sha256, listed, exhausted })
    }

    /// SHA-256 of the plan's text, in lowercase hex.
    #[must_use]
    pub fn plan_digest(&self) -> String {
        self.plan.digest().to_string()
    }

    /// SHA-256 of the draw's file, in lowercase hex.
    #[must_use]
    pub fn draw_digest(&self) -> String {
        self.draw_sha256.to_string()
    }

    /// Whether the auditor's signature of the plan was verified.
    #[must_use]
    pub const fn is_signed(&self) -> bool {
        self.is_signed
    }

    /// The plan.
    #[must_use]
    pub const fn plan(&self) -> &Plan {
        self.plan.plan()
    }
}

/// The verdicts that are no exceptions: what the plan names, and calls that nobody was answered.
pub(super) fn passes(plan: Option<&Plan>) -> Vec<Verdict> {
    let passes = |verdict: &Verdict| match plan {
        Some(plan) => *verdict == Verdict::NoAnswer || plan.passes().contains(&verdict.as_str()),
        None => !verdict.is_exception(),
    };
    Verdict::ALL.into_iter().filter(passes).collect()
}
