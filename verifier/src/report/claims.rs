//! The report in plain words, the same for every form of it.
//!
//! *Guarantees*: nothing is claimed that the counts do not show. *Does not do*: lay anything out.

use ledgerstone::evidence::Selection;

use super::{Claims, Conclusion, Coverage, Report, Share};
use crate::audit::Plan;
use crate::audit::verdict::Verdict;
use crate::output::{plural, thousands};

/// Everything that the report says in words.
pub(super) fn claims(report: &Report, plan: Option<&Plan>) -> Claims {
    Claims {
        headline: headline(report, plan),
        establishes: establishes(report, plan),
        does_not_establish: does_not_establish(report, plan),
    }
}

fn headline(report: &Report, plan: Option<&Plan>) -> String {
    let Share { decisions, exceptions } = report.judged();
    let tolerable = plan.map(|plan| plan.tolerable.to_string()).unwrap_or_default();
    let confidence = report.finding.confidence.clone().unwrap_or_default();
    let found = found(report.judged());
    let is_census = report.finding.coverage == Coverage::Census;
    let mut text = match report.finding.conclusion {
        Conclusion::Nothing => "No decision was recomputed, so nothing was shown.".to_owned(),
        Conclusion::AllFollow => {
            let each = if is_census { "Every one" } else { "Each" };
            if count(report, Verdict::MarginAmbiguous) > 0 || count(report, Verdict::NoAnswer) > 0 {
                return format!(
                    "None of the {} is an exception.",
                    plural(decisions, "recorded decision", "recorded decisions")
                ) + &reservations(report);
            }
            format!(
                "{each} of the {} follows from its recorded inputs under the recorded model.",
                plural(decisions, "recorded decision", "recorded decisions")
            )
        }
        Conclusion::Exceptions => format!(
            "{} of {} {} not follow from the recorded inputs, or could not be recomputed.",
            thousands(exceptions),
            plural(decisions, "recorded decision", "recorded decisions"),
            if exceptions == 1 { "does" } else { "do" }
        ),
        Conclusion::Shown if is_census => {
            format!(
                "Fewer than {tolerable} of all decisions in the range are exceptions: {found}, which are all."
            )
        }
        Conclusion::Shown => {
            format!(
                "With {confidence} confidence fewer than {tolerable} of all decisions in the range are exceptions: {found}."
            )
        }
        Conclusion::NotShown => {
            format!("It was not shown that fewer than {tolerable} of the decisions are exceptions: {found}.")
        }
        Conclusion::Unfinished => {
            format!(
                "It is too early to say whether fewer than {tolerable} of the decisions are exceptions: {found}."
            )
        }
    };
    text += &reservations(report);
    text
}

fn found(share: Share) -> String {
    format!(
        "{} among {} recomputed",
        plural(share.exceptions, "exception", "exceptions"),
        plural(share.decisions, "decision", "decisions")
    )
}

/// What a headline must not leave out.
fn reservations(report: &Report) -> String {
    let mut text = String::new();
    let flips = count(report, Verdict::OutcomeFlips);
    if flips > 0 {
        text += &format!(
            " {} another outcome than the one recorded.",
            if flips == 1 {
                "One decision comes to".to_owned()
            } else {
                format!("{} decisions come to", thousands(flips))
            }
        );
    }
    let open: Vec<_> =
        report.strata().filter(|sample| sample.finding.conclusion != Conclusion::Shown).collect();
    if !open.is_empty() {
        let names: Vec<_> = open.iter().map(|sample| sample.name.as_str()).collect();
        let noun = if open.len() == 1 { "stratum" } else { "strata" };
        text += &format!(" The rate planned for the {noun} {} was not shown.", names.join(", "));
    }
    let ambiguous = count(report, Verdict::MarginAmbiguous);
    if ambiguous > 0 {
        text += &format!(
            " The recorded label of {} hangs on rounding.",
            plural(ambiguous, "decision", "decisions")
        );
    }
    let unanswered = count(report, Verdict::NoAnswer);
    if unanswered > 0 {
        text += &format!(
            " {} in an error, and {} no answer to recompute.",
            if unanswered == 1 {
                "One call ended".to_owned()
            } else {
                format!("{} calls ended", thousands(unanswered))
            },
            if unanswered == 1 { "has" } else { "have" }
        );
    }
    if !report.audited.checkpoint_verified {
        text += " Whether the log signed these entries was not verified.";
    }
    text
}

fn count(report: &Report, verdict: Verdict) -> u64 {
    report.counts.verdicts.get(&verdict).copied().unwrap_or(0)
}

fn establishes(report: &Report, plan: Option<&Plan>) -> Vec<String> {
    let counts = &report.counts;
    // A label that hangs on rounding is no exception, and does not follow either; nor does an answer that there is not.
    let others =
        [counts.exceptions, count(report, Verdict::MarginAmbiguous), count(report, Verdict::NoAnswer)];
    let follow = others.into_iter().fold(counts.decisions, u64::saturating_sub);
    let mut points = vec![format!(
        "Every one of the {} looked at stands in the tree of {} entries whose root this report names{}.",
        plural(counts.entries, "entry", "entries"),
        thousands(report.audited.tree_size),
        if report.audited.checkpoint_verified { ", and the log signed that root" } else { "" }
    )];
    if follow > 0 {
        points.push(format!(
            "For {} the recorded outcome follows from the recorded inputs under the model whose digest the entry names.",
            plural(follow, "decision", "decisions")
        ));
    }
    let exact = count(report, Verdict::Exact);
    if exact > 0 {
        points.push(format!(
            "For {} recomputing gave every recorded number bit for bit.",
            plural(exact, "decision", "decisions")
        ));
    }
    points.push(match (&report.finding.coverage, &report.audited.selection) {
        (Coverage::Census, Selection::Range { first_index, last_index }) => format!(
            "These are all decisions among entries {} to {}: the counts are exact, and no bound is needed.",
            thousands(*first_index),
            thousands(*last_index)
        ),
        (Coverage::Census, Selection::Draw { .. }) => {
            "The draw took all decisions in the plan's range: the counts are exact, and no bound is needed.".to_owned()
        }
        (Coverage::Sample, _) => {
            "The sample follows from the plan and the values of its randomness alone: drawn again, it is the same."
                .to_owned()
        }
        (Coverage::UnplannedSample, _) => {
            "The decisions are a sample whose plan was not given: the counts are of the sample alone.".to_owned()
        }
    });
    if let (Some(bound), Some(confidence)) = (&report.finding.upper_bound, &report.finding.confidence) {
        points.push(format!(
            "With {confidence} confidence at most {bound} of the decisions in the range are exceptions (Clopper and \
             Pearson's exact one-sided bound for the whole sample)."
        ));
    }
    if let (Some(plan), Some(after), Some(with), Conclusion::Shown) =
        (plan, report.finding.concluded_after, report.finding.concluded_with, report.finding.conclusion)
        && report.finding.coverage == Coverage::Sample
    {
        points.push(format!(
            "The plan came to its conclusion after {} with {}: a log of which {} or more are exceptions gets so far \
             with a chance of at most {}.",
            plural(after, "decision", "decisions"),
            plural(with, "exception", "exceptions"),
            plan.tolerable,
            plan.confidence.rest()
        ));
    }
    points.extend(strata(report, plan).filter(|(is_shown, _)| *is_shown).map(|(_, text)| text));
    points
}

/// For each stratum of the plan, whether its rate was shown, and what was or was not.
fn strata<'a>(report: &'a Report, plan: Option<&'a Plan>) -> impl Iterator<Item = (bool, String)> + 'a {
    report.strata().zip(plan.into_iter().flat_map(Plan::strata)).map(|(sample, stratum)| {
        let finding = &sample.finding;
        let is_shown = finding.conclusion == Conclusion::Shown;
        let mut text = format!(
            "ewer than {} of the decisions in the stratum {} are exceptions: {}",
            stratum.tolerable,
            sample.name,
            found(sample.share)
        );
        text = match (&finding.confidence, is_shown) {
            (Some(confidence), true) if finding.coverage == Coverage::Sample => {
                format!("With {confidence} confidence f{text}")
            }
            (_, true) => format!("F{text}, which are all"),
            (_, false) => format!("That f{text}"),
        };
        if let Some(bound) = &finding.upper_bound {
            text += &format!(", which leaves at most {bound} possible");
        }
        (is_shown, text + ".")
    })
}

fn does_not_establish(report: &Report, plan: Option<&Plan>) -> Vec<String> {
    let mut points = vec![
        "That the recorded inputs were true, or complete.".to_owned(),
        "That this computation ran when the decision was made. It shows what the recorded model gives for the recorded \
         inputs, not what a machine did at that time."
            .to_owned(),
        "That every decision was logged. Completeness needs the counters of whoever asked for the decisions."
            .to_owned(),
        "That the model is fair, lawful or fit for its use.".to_owned(),
    ];
    if !report.audited.checkpoint_verified {
        points.push(
            "That the log vouches for these entries: its checkpoint was not verified against the auditor's own policy."
                .to_owned(),
        );
    }
    if report.finding.coverage == Coverage::UnplannedSample {
        points.push(
            "Anything about decisions outside the sample: without the plan and the draw nobody knows who chose it."
                .to_owned(),
        );
    }
    if report.draw.is_some() {
        points.push(
            "That the plan was fixed before its randomness was known: compare the plan's SHA-256 with what was published \
             or logged before."
                .to_owned(),
        );
    }
    points.extend(strata(report, plan).filter(|(is_shown, _)| !is_shown).map(|(_, text)| text));
    if report.samples.is_some() {
        points.push(
            "That the statements about all decisions and about the strata hold together with that confidence: each \
             holds with it by itself. Nor that a decision belongs in the stratum where the strata file puts it."
                .to_owned(),
        );
    }
    if report.plan.as_ref().is_some_and(|plan| !plan.signed_by_auditor) {
        points.push("That the auditor made the plan: it does not bear the auditor's signature.".to_owned());
    }
    let unverifiable = count(report, Verdict::Unverifiable);
    if unverifiable > 0 {
        points.push(format!(
            "Anything about the outcome of {} that could not be recomputed. They count as exceptions, so that nothing \
             is hidden by losing inputs.",
            plural(unverifiable, "decision", "decisions")
        ));
    }
    let unanswered = count(report, Verdict::NoAnswer);
    if unanswered > 0 {
        points.push(format!(
            "That the callers of {} that ended in an error got no answer: no output is recorded, and a receipt in a \
             caller's hands says the same. They count as decisions without exception.",
            plural(unanswered, "call", "calls")
        ));
    }
    if report.audited.models.iter().any(|model| model.description_given.is_some()) {
        points.push(
            "That the operator describes the model as the auditor does: a description that the auditor gave is not part \
             of the model's digest."
                .to_owned(),
        );
    }
    points
}
