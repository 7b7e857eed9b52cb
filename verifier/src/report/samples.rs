//! The samples of a plan: that of all decisions in its range, and those of its strata.
//!
//! *Guarantees*: each sample is judged in the order of its own draw, by its own rates. *Does not do*: join samples; a decision may be in several.

use std::collections::HashSet;

use super::basis::Basis;
use super::conclude::{self, Seen};
use super::{Coverage, ReportError, Samples, Share, StratumSample};
use crate::audit::{EXCEPTIONS_MAX, Plan, Sample};

/// Which decisions of a sample are exceptions.
pub(super) struct Found {
    pub(super) share: Share,
    /// Of which decisions of the sample, counted from 1, the first ones are.
    ordinals: Vec<u64>,
    is_all: bool,
}

impl Found {
    fn of(sample: &Sample, is_all: bool, exceptional: &HashSet<u64>) -> Self {
        let places = (1..).zip(&sample.drawn).filter(|(_, index)| exceptional.contains(index));
        let mut ordinals: Vec<u64> = places.map(|(ordinal, _)| ordinal).collect();
        let decisions = u64::try_from(sample.drawn.len()).unwrap_or(u64::MAX);
        let exceptions = u64::try_from(ordinals.len()).unwrap_or(u64::MAX);
        ordinals.truncate(usize::try_from(EXCEPTIONS_MAX).unwrap_or(usize::MAX));
        Self { share: Share { decisions, exceptions }, ordinals, is_all }
    }

    pub(super) fn seen(&self) -> Seen<'_> {
        let Share { decisions, exceptions } = self.share;
        Seen { decisions, exceptions, is_all: self.is_all, ordinals: &self.ordinals }
    }
}

/// What the samples of a plan with strata show; nothing for another plan.
pub(super) fn samples(
    basis: &Basis,
    exceptional: &HashSet<u64>,
) -> Result<Option<(Found, Samples)>, ReportError> {
    let (plan, draw) = (basis.plan(), &basis.draw);
    if plan.strata.is_none() {
        return Ok(None);
    }
    let all = Found::of(&draw.sample, draw.is_exhausted(plan), exceptional);
    let strata =
        plan.strata().zip(draw.strata.iter().zip(&basis.exhausted)).map(|(stratum, (sample, is_all))| {
            let found = Found::of(sample, *is_all, exceptional);
            let finding = conclude::judge(Some(&plan.of_stratum(stratum)), coverage(*is_all), found.seen())?;
            Ok(StratumSample { name: stratum.name.clone(), share: found.share, finding })
        });
    let strata = strata.collect::<Result<_, ReportError>>()?;
    let samples = Samples { all: all.share, strata };
    Ok(Some((all, samples)))
}

/// Of how many decisions a planned sample speaks.
pub(super) const fn coverage(is_all: bool) -> Coverage {
    if is_all { Coverage::Census } else { Coverage::Sample }
}

/// Whether the samples in a report can be those of its plan, and each means what it says.
pub(super) fn recheck(samples: &Samples, plan: &Plan, decisions: u64) -> Result<bool, ReportError> {
    let is_share = |share: Share| share.exceptions <= share.decisions && share.decisions <= decisions;
    let strata = samples.strata.iter().map(|sample| sample.name.as_str());
    if !strata.eq(plan.strata().map(|stratum| stratum.name.as_str())) || !is_share(samples.all) {
        return Ok(false);
    }
    for (sample, stratum) in samples.strata.iter().zip(plan.strata()) {
        let is_planned = sample.finding.coverage != Coverage::UnplannedSample;
        let rates = plan.of_stratum(stratum);
        if !is_planned
            || !is_share(sample.share)
            || !conclude::recheck(&sample.finding, sample.share, Some(&rates))?
        {
            return Ok(false);
        }
    }
    Ok(true)
}
