//! The report put together from results, plan and draw, and held against its own counts.
//!
//! *Guarantees*: results, plan and draw belong together, or there is no report; [`recheck`] accepts what [`assemble`] made. *Does not do*: check
//! a signature.

use std::collections::HashSet;
use std::io::Read;

use ledgerstone::evidence::Selection;

use super::basis::{Basis, passes};
use super::conclude::{self, Seen};
use super::samples::{self, Found};
use super::{
    Audited, Counts, Coverage, Drawn, FORMAT, Gathered, Planned, Report, ReportError, Share, claims, gather,
};
use crate::audit::{Plan, PlanFile};

/// The report of results and, where they are of a draw, of its plan.
///
/// # Errors
/// [`ReportError`] says what is not to be relied on, or does not belong together.
pub fn assemble(results: impl Read, basis: Option<&Basis>) -> Result<Report, ReportError> {
    let plan = basis.map(Basis::plan);
    let listed = basis.map(|basis| &basis.listed);
    let (mut expected, mut exceptional) =
        (listed.into_iter().flat_map(|(all, drawn)| all.iter().zip(0..*drawn)), HashSet::new());
    let (mut is_drawn, has_strata) = (true, plan.is_some_and(|plan| plan.strata.is_some()));
    let gathered = gather(results, &passes(plan), |index, is_exception| {
        is_drawn &= basis.is_none() || expected.next().is_some_and(|(expected, _)| *expected == index);
        if is_drawn && is_exception && has_strata {
            exceptional.insert(index);
        }
    })?;
    if !is_drawn || expected.next().is_some() {
        return Err(ReportError::Apart("the results and the draw"));
    }
    let coverage = coverage(&gathered, basis)?;
    let counts = counts(&gathered);
    let (found, samples) = basis.map_or(Ok(None), |basis| samples::samples(basis, &exceptional))?.unzip();
    let seen = found.as_ref().map_or(
        Seen {
            decisions: counts.decisions,
            exceptions: counts.exceptions,
            is_all: coverage == Coverage::Census,
            ordinals: &gathered.ordinals,
        },
        Found::seen,
    );
    let finding = conclude::judge(plan, coverage, seen)?;
    let course = conclude::course(plan, coverage, seen)?;
    let listed = u64::try_from(gathered.listed.len()).unwrap_or(u64::MAX);
    let mut report = Report {
        format: FORMAT.to_owned(),
        program: concat!("ledgerstone ", env!("CARGO_PKG_VERSION")).to_owned(),
        claims: super::Claims::default(),
        audited: audited(&gathered),
        plan: basis.map(planned).transpose()?,
        draw: basis.map(drawn),
        finding,
        samples,
        course,
        exceptions_left_out: counts.exceptions - listed,
        counts,
        scores: gathered.scores,
        exceptions: gathered.listed,
    };
    report.claims = claims::claims(&report, plan);
    Ok(report)
}

/// Of how many decisions the results speak, where they belong to the plan and the draw.
fn coverage(gathered: &Gathered, basis: Option<&Basis>) -> Result<Coverage, ReportError> {
    let (head, entries) = (&gathered.head, gathered.tail.entries);
    match (&head.selection, basis) {
        (Selection::Range { first_index, last_index }, None) => {
            let width = last_index.checked_sub(*first_index).map_or(0, |width| width.saturating_add(1));
            if entries == width { Ok(Coverage::Census) } else { Err(ReportError::Range { entries, width }) }
        }
        (Selection::Range { .. }, Some(_)) => Err(ReportError::Apart("the results of a range and a draw")),
        (Selection::Draw { .. }, None) => Ok(Coverage::UnplannedSample),
        (Selection::Draw { sha256, tree_size, .. }, Some(basis)) => {
            let Basis { draw, draw_sha256, listed: (listed, _), .. } = basis;
            let looked_at = u64::try_from(listed.len()).unwrap_or(u64::MAX);
            let fits = *sha256 == draw_sha256.to_string()
                && *tree_size == draw.checkpoint.size.get()
                && head.origin == draw.checkpoint.origin.as_str()
                && (head.tree_size > *tree_size || head.root == draw.checkpoint.root.to_string())
                && entries == looked_at;
            if !fits {
                return Err(ReportError::Apart("the results and the draw"));
            }
            // A tolerance that was not named beforehand could be chosen until everything passes.
            let named = basis.plan().profile.map(|profile| profile.to_string());
            let mut used = head.models.iter().filter_map(|model| model.profile.as_ref());
            if named.is_some_and(|named| used.any(|used| used.sha256 != named)) {
                return Err(ReportError::Apart("the tolerance profile of the results and that of the plan"));
            }
            Ok(samples::coverage(draw.is_exhausted(basis.plan())))
        }
    }
}

fn counts(gathered: &Gathered) -> Counts {
    let tail = &gathered.tail;
    Counts {
        entries: tail.entries,
        decisions: tail.decisions,
        verdicts: tail.verdicts.clone(),
        reasons_differ: tail.reasons_differ,
        reasons_unchecked: tail.reasons_unchecked,
        passes: gathered.passes.clone(),
        exceptions: gathered.exceptions,
        strata: gathered.strata,
    }
}

fn audited(gathered: &Gathered) -> Audited {
    let head = &gathered.head;
    Audited {
        origin: head.origin.clone(),
        tree_size: head.tree_size,
        root: head.root.clone(),
        checkpoint_verified: head.checkpoint_verified,
        selection: head.selection.clone(),
        results_sha256: gathered.sha256.to_string(),
        bundle_sha256: gathered.tail.bundle_sha256.clone(),
        run_by: head.program.clone(),
        models: head.models.clone(),
    }
}

fn planned(basis: &Basis) -> Result<Planned, ReportError> {
    Ok(Planned {
        sha256: basis.plan.digest().to_string(),
        signed_by_auditor: basis.is_signed,
        text: basis.plan().to_json()?,
    })
}

fn drawn(basis: &Basis) -> Drawn {
    let (listed, drawn) = &basis.listed;
    Drawn {
        sha256: basis.draw_sha256.to_string(),
        seed: basis.draw.seed.to_string(),
        drawn: *drawn,
        skipped: u64::try_from(listed.len()).unwrap_or(u64::MAX).saturating_sub(*drawn),
        is_all: basis.draw.is_exhausted(basis.plan()),
    }
}

/// Whether everything in a report that can be computed from its counts is what they give: sums, bound, evidence, conclusion, words.
///
/// # Errors
/// [`ReportError::Part`] names the first part that is not.
pub fn recheck(report: &Report) -> Result<(), ReportError> {
    let file = report.plan.as_ref().map(|plan| PlanFile::parse(plan.text.as_bytes())).transpose();
    let file = file.map_err(|_| ReportError::Part("the plan"))?;
    let plan = file.as_ref().map(PlanFile::plan);
    let holds = |part, holds: bool| if holds { Ok(()) } else { Err(ReportError::Part(part)) };
    let digest = file.as_ref().map(|file| file.digest().to_string());
    let is_plan = digest == report.plan.as_ref().map(|plan| plan.sha256.clone());
    holds("the plan", is_plan && report.plan.is_some() == report.draw.is_some())?;
    recheck_counts(&report.counts, plan).ok_or(ReportError::Part("a sum"))?;
    let scores = &report.scores;
    let differ = sum(scores.differences.iter().map(|bin| bin.rows));
    let rows = differ.and_then(|differ| sum([scores.no_numbers, scores.equal, differ]));
    holds("the scores", rows == Some(scores.rows))?;
    let listed = u64::try_from(report.exceptions.len()).unwrap_or(u64::MAX);
    holds(
        "the list of exceptions",
        sum([listed, report.exceptions_left_out]) == Some(report.counts.exceptions),
    )?;
    let expected = match (&report.audited.selection, &report.draw) {
        (Selection::Range { .. }, None) => Coverage::Census,
        (Selection::Draw { .. }, None) => Coverage::UnplannedSample,
        (Selection::Draw { .. }, Some(draw)) if draw.is_all => Coverage::Census,
        (Selection::Draw { .. }, Some(_)) => Coverage::Sample,
        (Selection::Range { .. }, Some(_)) => return Err(ReportError::Part("the draw")),
    };
    holds("the coverage", expected == report.finding.coverage)?;
    holds("the finding", conclude::recheck(&report.finding, report.judged(), plan)?)?;
    let planned = plan.filter(|plan| plan.strata.is_some());
    holds("the samples", planned.is_some() == report.samples.is_some())?;
    if let (Some(plan), Some(samples)) = (planned, &report.samples) {
        holds("the samples", samples::recheck(samples, plan, report.counts.decisions)?)?;
    }
    holds("the course", report.course.len() <= conclude::COURSE_MAX)?;
    for step in &report.course {
        let again = conclude::step(plan, expected, step.decisions, step.exceptions);
        holds("the course", again.is_ok_and(|again| again == *step))?;
    }
    let last = report.course.last().map(|step| (step.decisions, step.exceptions));
    let judged = report.judged();
    holds("the course", last == Some((judged.decisions, judged.exceptions)))?;
    holds("the wording", claims::claims(report, plan) == report.claims)
}

fn sum(counts: impl IntoIterator<Item = u64>) -> Option<u64> {
    counts.into_iter().try_fold(0_u64, u64::checked_add)
}

/// Nothing where a sum is wrong.
fn recheck_counts(counts: &Counts, plan: Option<&Plan>) -> Option<()> {
    let Counts { decisions, exceptions, strata, .. } = *counts;
    let of_verdict = |pass: bool| {
        let verdicts =
            counts.verdicts.iter().filter(move |(verdict, _)| counts.passes.contains(verdict) == pass);
        sum(verdicts.map(|(_, count)| *count))
    };
    let failing = of_verdict(false)?;
    let shares: [Share; 3] = [strata.adverse, strata.not_adverse, strata.not_recorded];
    let is_right = sum([of_verdict(true)?, failing])? == decisions
        && counts.passes == passes(plan)
        && sum(shares.map(|share| share.decisions))? == decisions
        && sum(shares.map(|share| share.exceptions))? == exceptions
        && shares.iter().all(|share| share.exceptions <= share.decisions)
        && decisions <= counts.entries
        && (failing..=failing.checked_add(counts.reasons_differ)?).contains(&exceptions)
        && counts.reasons_differ <= exceptions
        && counts.reasons_unchecked <= decisions;
    is_right.then_some(())
}
