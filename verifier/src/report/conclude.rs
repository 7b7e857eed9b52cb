//! What the counts mean: the plan's conclusion, the bound, the evidence, and how they grew.
//!
//! *Guarantees*: what the plan says is [`Plan::conclude`]'s word, asked as somebody would who looks after each decision of the
//! draw. *Does not do*: know which decisions are exceptions.

use super::{Conclusion, Coverage, Finding, ReportError, Share, Step};
use crate::audit::{
    self, EXCEPTIONS_MAX, Found, Method, Plan, PlanError, Rate, SAMPLE_MAX, evidence, upper_bound,
};

/// Places of the course that are spread evenly; the first exceptions come on top.
const STEPS: u16 = 60;

/// Exceptions that have places of their own.
const STEPS_AT_EXCEPTIONS: usize = 40;

/// Places of a whole course: both ends of the even ones, and the decisions before and at each of those exceptions.
pub(super) const COURSE_MAX: usize = STEPS as usize + 1 + 2 * STEPS_AT_EXCEPTIONS;

/// What the audit found, as far as the plan asks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen<'a> {
    pub(super) decisions: u64,
    pub(super) exceptions: u64,
    pub(super) is_all: bool,
    /// Of which decisions, counted from 1, the exceptions are: all, or the first [`EXCEPTIONS_MAX`].
    pub(super) ordinals: &'a [u64],
}

/// A conclusion, and the decisions and exceptions after which it was reached.
type Concluded = (Conclusion, Option<(u64, u64)>);

/// What was found in decisions that a plan drew, or in decisions without a plan.
pub(super) fn judge(plan: Option<&Plan>, coverage: Coverage, seen: Seen<'_>) -> Result<Finding, ReportError> {
    finding(plan, coverage, (seen.decisions, seen.exceptions), conclusion(plan, seen)?)
}

/// Whether a finding is what these counts mean.
pub(super) fn recheck(finding: &Finding, share: Share, plan: Option<&Plan>) -> Result<bool, ReportError> {
    let Share { decisions, exceptions } = share;
    let Finding { coverage, conclusion, concluded_after, concluded_with, .. } = *finding;
    let after = concluded_after.zip(concluded_with);
    let is_right = match plan.filter(|_| decisions > 0) {
        None => conclusion == unplanned(decisions, exceptions),
        Some(plan) => {
            let is_all = coverage == Coverage::Census;
            let (looked_at, found) = after.unwrap_or((decisions, exceptions));
            let is_whole = looked_at == decisions && found == exceptions;
            let may_stop = plan.method == Method::Sequential && !is_all;
            let again = plan.conclude(Found { decisions: looked_at, exceptions: found, is_all })?;
            conclusion == named(again)
                && (is_whole || may_stop && looked_at <= decisions && found <= exceptions)
        }
    };
    let again = self::finding(plan, coverage, (decisions, exceptions), (conclusion, after))?;
    Ok(is_right && again == *finding)
}

/// What follows without a plan, or from nothing.
const fn unplanned(decisions: u64, exceptions: u64) -> Conclusion {
    match (decisions, exceptions) {
        (0, _) => Conclusion::Nothing,
        (_, 0) => Conclusion::AllFollow,
        _ => Conclusion::Exceptions,
    }
}

/// What a plan says after the whole draw, and after how many decisions it said so.
fn conclusion(plan: Option<&Plan>, seen: Seen<'_>) -> Result<Concluded, ReportError> {
    let Seen { decisions, exceptions, is_all, .. } = seen;
    let Some(plan) = plan.filter(|_| decisions > 0) else {
        return Ok((unplanned(decisions, exceptions), None));
    };
    if is_all || plan.method == Method::Fixed {
        let conclusion = plan.conclude(Found { decisions, exceptions, is_all })?;
        let after = (conclusion != audit::Conclusion::GoOn).then_some((decisions, exceptions));
        return Ok((named(conclusion), after));
    }
    // Between two exceptions the evidence only grows, so the first decision that ends it is found by halving.
    let ends = seen.ordinals.iter().map(|ordinal| ordinal - 1).chain([decisions]);
    let mut start = 0;
    for (exceptions, end) in (0..).zip(ends) {
        let is_over = |decisions: u64| -> Result<audit::Conclusion, PlanError> {
            plan.conclude(Found { decisions, exceptions, is_all: false })
        };
        if start <= end && is_over(end)? != audit::Conclusion::GoOn {
            let (mut low, mut high) = (start, end);
            while low < high {
                let middle = low + (high - low) / 2;
                if is_over(middle)? == audit::Conclusion::GoOn {
                    low = middle + 1;
                } else {
                    high = middle;
                }
            }
            return Ok((named(is_over(low)?), Some((low, exceptions))));
        }
        start = end + 1;
    }
    Ok((Conclusion::Unfinished, None))
}

const fn named(conclusion: audit::Conclusion) -> Conclusion {
    match conclusion {
        audit::Conclusion::Shown => Conclusion::Shown,
        audit::Conclusion::NotShown => Conclusion::NotShown,
        audit::Conclusion::GoOn => Conclusion::Unfinished,
    }
}

/// What the counts mean, but for the plan's conclusion.
fn finding(
    plan: Option<&Plan>,
    coverage: Coverage,
    (decisions, exceptions): (u64, u64),
    (conclusion, after): Concluded,
) -> Result<Finding, ReportError> {
    let mut finding = Finding {
        coverage,
        conclusion,
        concluded_after: after.map(|(decisions, _)| decisions),
        concluded_with: after.map(|(_, exceptions)| exceptions),
        confidence: plan.map(|plan| plan.confidence.to_string()),
        upper_bound: None,
        evidence_thousandths: None,
        evidence_needed_thousandths: None,
    };
    let Some(plan) = plan.filter(|_| coverage == Coverage::Sample && is_computed(decisions, exceptions))
    else {
        return Ok(finding);
    };
    finding.upper_bound = Some(upper_bound(decisions, exceptions, None, plan.confidence)?.rate.to_string());
    if plan.method == Method::Sequential {
        finding.evidence_thousandths = Some(thousandths(plan, decisions, exceptions)?);
        finding.evidence_needed_thousandths = Some(needed(plan.confidence));
    }
    Ok(finding)
}

/// Whether the statistics take such counts.
const fn is_computed(decisions: u64, exceptions: u64) -> bool {
    0 < decisions && decisions <= SAMPLE_MAX && exceptions <= EXCEPTIONS_MAX
}

fn thousandths(plan: &Plan, decisions: u64, exceptions: u64) -> Result<u64, ReportError> {
    let rates = (plan.tolerable, plan.expected);
    Ok(evidence((decisions, exceptions), None, rates, plan.confidence)?.thousandths)
}

/// The evidence that is enough, in thousandths.
fn needed(confidence: Rate) -> u64 {
    (1000 * Rate::WHOLE).div_ceil(confidence.rest().billionths())
}

/// How the finding grew.
pub(super) fn course(
    plan: Option<&Plan>,
    coverage: Coverage,
    seen: Seen<'_>,
) -> Result<Vec<Step>, ReportError> {
    let spread = (0..=STEPS).map(|place| seen.decisions * u64::from(place) / u64::from(STEPS));
    let at_exceptions = seen.ordinals.iter().take(STEPS_AT_EXCEPTIONS);
    let mut places: Vec<u64> = spread.chain(at_exceptions.flat_map(|at| [at - 1, *at])).collect();
    places.sort_unstable();
    places.dedup();
    let step = |decisions: u64| {
        let known = seen.ordinals.partition_point(|ordinal| *ordinal <= decisions);
        let known = u64::try_from(known).unwrap_or(u64::MAX);
        // Past the ordinals that are kept only the sum is known.
        let exceptions = if decisions == seen.decisions { seen.exceptions } else { known };
        self::step(plan, coverage, decisions, exceptions)
    };
    places.into_iter().map(step).collect()
}

/// One step.
pub(super) fn step(
    plan: Option<&Plan>,
    coverage: Coverage,
    decisions: u64,
    exceptions: u64,
) -> Result<Step, ReportError> {
    let mut step = Step { decisions, exceptions, evidence_thousandths: None, upper_bound: None };
    let Some(plan) = plan.filter(|_| coverage == Coverage::Sample && is_computed(decisions, exceptions))
    else {
        return Ok(step);
    };
    match plan.method {
        Method::Sequential => step.evidence_thousandths = Some(thousandths(plan, decisions, exceptions)?),
        Method::Fixed => {
            let bound = upper_bound(decisions, exceptions, None, plan.confidence)?;
            step.upper_bound = Some(bound.rate.to_string());
        }
    }
    Ok(step)
}
