//! What stands on the pages of a report, in order, without saying how it is set.
//!
//! *Guarantees*: the page for a browser and the one for paper have the same content. *Does not do*: escape anything.

use ledgerstone::evidence::Selection;

use super::drawing::Drawing;
use super::{Conclusion, Coverage, Exception, Finding, Report, Share, plots};
use crate::audit::verdict::{Difference, ReasonFinding};
use crate::audit::{Plan, PlanFile};
use crate::output::{plural, thousands};

/// Exceptions that are shown; the report's data have more of them, the results all.
pub(crate) const SHOWN_MAX: usize = 100;

/// Differences that are shown of each.
const DIFFERENCES_SHOWN: usize = 3;

/// How the headline is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Open,
    Bad,
    /// Figures without a finding.
    Plain,
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) title: &'static str,
    /// Its share of the width, in percent.
    pub(crate) weight: u16,
    pub(crate) is_number: bool,
}

/// A part of the page.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Block {
    Heading(&'static str),
    Paragraph(String),
    Points(Vec<String>),
    /// Names and values.
    Facts {
        caption: &'static str,
        rows: Vec<(String, String)>,
    },
    Table {
        caption: String,
        columns: Vec<Column>,
        rows: Vec<Vec<String>>,
    },
    Figure {
        title: &'static str,
        description: String,
        drawing: Drawing,
    },
}

/// A page.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    pub(crate) title: String,
    pub(crate) tone: Tone,
    pub(crate) headline: String,
    pub(crate) blocks: Vec<Block>,
}

impl Document {
    /// What it all comes to.
    #[must_use]
    pub fn headline(&self) -> &str {
        &self.headline
    }
}

/// The page of a report. `sha256` is that of the signed file, `auditor` the key that signed it.
#[must_use]
pub fn document(report: &Report, sha256: &str, auditor: &str) -> Document {
    let file = report.plan.as_ref().and_then(|plan| PlanFile::parse(plan.text.as_bytes()).ok());
    let plan = file.as_ref().map(PlanFile::plan);
    let mut blocks = vec![
        Block::Heading("What this establishes"),
        Block::Points(report.claims.establishes.clone()),
        Block::Heading("What this does not establish"),
        Block::Points(report.claims.does_not_establish.clone()),
        Block::Heading("What was found"),
        verdicts(report),
    ];
    blocks.extend(bound(report, plan));
    blocks.extend(course(report, plan));
    blocks.extend(samples(report, plan));
    blocks.extend(strata(report));
    blocks.push(Block::Heading("Exceptions"));
    blocks.extend(exceptions(report));
    blocks.push(Block::Heading("Scores"));
    blocks.extend(scores(report));
    blocks.push(Block::Heading("What was audited"));
    blocks.extend(audited(report, plan));
    blocks.push(Block::Heading("How to check this report"));
    blocks.push(Block::Paragraph(how_to_check(plan.is_some())));
    blocks.push(Block::Facts {
        caption: "The signed report",
        rows: vec![
            ("SHA-256 of report.json".to_owned(), sha256.to_owned()),
            ("Signed by".to_owned(), auditor.to_owned()),
            ("Made by".to_owned(), report.program.clone()),
        ],
    });
    Document {
        title: format!("Audit of {}", report.audited.origin),
        tone: tone(report),
        headline: report.claims.headline.clone(),
        blocks,
    }
}

fn how_to_check(is_planned: bool) -> String {
    let (with, options) = match is_planned {
        true => ("the results, the evidence bundle, the plan and the draw", " --plan PLAN --draw DRAW"),
        false => ("the results and the evidence bundle", ""),
    };
    format!(
        "These pages are made from report.json, which the auditor signed; only that file counts. With {with} anybody can count and recompute everything again: \
         ledgerstone audit verify report.json --auditor KEY --results RESULTS --bundle BUNDLE --policy POLICY --again NEW{options}."
    )
}

fn tone(report: &Report) -> Tone {
    let worst = report
        .strata()
        .map(|sample| sample.finding.conclusion)
        .find(|conclusion| *conclusion != Conclusion::Shown);
    let whole = report.finding.conclusion;
    match if whole == Conclusion::Shown { worst.unwrap_or(whole) } else { whole } {
        Conclusion::Exceptions | Conclusion::NotShown => Tone::Bad,
        Conclusion::Nothing | Conclusion::Unfinished => Tone::Open,
        _ if !report.audited.checkpoint_verified || report.counts.exceptions > 0 => Tone::Open,
        _ if report.finding.coverage == Coverage::UnplannedSample => Tone::Open,
        Conclusion::AllFollow | Conclusion::Shown => Tone::Good,
    }
}

fn verdicts(report: &Report) -> Block {
    let counts = &report.counts;
    let present = counts.verdicts.iter().map(|(verdict, count)| {
        let kind = if counts.passes.contains(verdict) { "no" } else { "yes" };
        vec![verdict.to_string(), verdict.meaning().to_owned(), kind.to_owned(), thousands(*count)]
    });
    let row = |name: &str, meaning: &str, kind: &str, count: u64| {
        vec![name.to_owned(), meaning.to_owned(), kind.to_owned(), thousands(count)]
    };
    let found = [
        (ReasonFinding::Differ, "yes", counts.reasons_differ),
        (ReasonFinding::Unchecked, "no", counts.reasons_unchecked),
    ];
    let reasons = found
        .into_iter()
        .filter(|(.., count)| *count > 0)
        .map(|(finding, kind, count)| row(finding.as_str(), finding.meaning(), kind, count));
    let sums =
        [row("", "Decisions recomputed", "", counts.decisions), row("", "Exceptions", "", counts.exceptions)];
    let column = |title, weight, is_number| Column { title, weight, is_number };
    Block::Table {
        caption: "Decisions by what recomputing showed".to_owned(),
        columns: vec![
            column("Verdict", 30, false),
            column("Meaning", 44, false),
            column("Exception", 13, false),
            column("Decisions", 13, true),
        ],
        rows: present.chain(reasons).chain(sums).collect(),
    }
}

fn bound(report: &Report, plan: Option<&Plan>) -> Option<Block> {
    let finding = &report.finding;
    if finding.coverage == Coverage::Census {
        return Some(Block::Paragraph(
            "Every decision among the entries was recomputed: the count is exact, and no bound is needed."
                .to_owned(),
        ));
    }
    let plan = plan?;
    let mut rows = vec![("Method".to_owned(), plan_method(plan).to_owned())];
    rows.push(("Tolerable".to_owned(), format!("fewer than {} exceptions", plan.tolerable)));
    rows.push(("Confidence".to_owned(), plan.confidence.to_string()));
    rows.push((
        "Upper bound".to_owned(),
        match &finding.upper_bound {
            Some(bound) => format!("{bound} (Clopper and Pearson, one-sided, for the whole sample)"),
            None => "not computed: the statistics take at most 10,000 exceptions".to_owned(),
        },
    ));
    if let (Some(evidence), Some(needed)) =
        (finding.evidence_thousandths, finding.evidence_needed_thousandths)
    {
        rows.push(("Evidence".to_owned(), format!("{}; {} are enough", decimal(evidence), decimal(needed))));
    }
    if let (Some(after), Some(with)) = (finding.concluded_after, finding.concluded_with) {
        rows.push((
            "Concluded".to_owned(),
            format!(
                "after {} with {}",
                plural(after, "decision", "decisions"),
                plural(with, "exception", "exceptions")
            ),
        ));
    }
    Some(Block::Facts { caption: "What the sample says of all decisions in the range", rows })
}

const fn plan_method(plan: &Plan) -> &'static str {
    match plan.method {
        crate::audit::Method::Fixed => "fixed: looked at once, after the last decision",
        crate::audit::Method::Sequential => "sequential: may be looked at after each decision",
    }
}

/// Thousandths as a decimal number.
fn decimal(thousandths: u64) -> String {
    let fraction = format!("{:03}", thousandths % 1000);
    let whole = thousands(thousandths / 1000);
    match fraction.trim_end_matches('0') {
        "" => whole,
        digits => format!("{whole}.{digits}"),
    }
}

fn course(report: &Report, plan: Option<&Plan>) -> Option<Block> {
    let drawing = plots::course(report, plan)?;
    let is_sequential = report.finding.evidence_needed_thousandths.is_some();
    let (title, what) = match (is_sequential, report.finding.upper_bound.is_some()) {
        (true, _) => (
            "Evidence over the draw",
            "The evidence after each decision of the draw, and the line at which the plan stops",
        ),
        (_, true) => (
            "Upper bound over the draw",
            "The upper bound after each decision of the draw, and the tolerable rate",
        ),
        _ => ("Exceptions over the results", "The number of exceptions after each decision"),
    };
    let judged = report.judged();
    let description = format!(
        "{what}. After {} there are {}.{}",
        plural(judged.decisions, "decision", "decisions"),
        plural(judged.exceptions, "exception", "exceptions"),
        if plan.is_some() && report.finding.coverage == Coverage::Sample {
            " Crosses mark exceptions."
        } else {
            ""
        }
    );
    Some(Block::Figure { title, description, drawing })
}

/// The samples of a plan with strata.
fn samples(report: &Report, plan: Option<&Plan>) -> Option<Block> {
    let samples = report.samples.as_ref()?;
    let row = |name: String, tolerable: String, share: Share, finding: &Finding| {
        let bound = finding.upper_bound.clone().unwrap_or_else(|| "none: these are all".to_owned());
        let conclusion = match finding.conclusion {
            Conclusion::Shown => "shown",
            Conclusion::Nothing => "nothing recomputed",
            Conclusion::Unfinished => "too early to say",
            _ => "not shown",
        };
        vec![
            name,
            tolerable,
            thousands(share.decisions),
            thousands(share.exceptions),
            bound,
            conclusion.to_owned(),
        ]
    };
    let all = row("all decisions".to_owned(), plan?.tolerable.to_string(), samples.all, &report.finding);
    let strata = samples.strata.iter().zip(plan?.strata()).map(|(sample, stratum)| {
        row(sample.name.clone(), stratum.tolerable.to_string(), sample.share, &sample.finding)
    });
    let column = |title, weight, is_number| Column { title, weight, is_number };
    Some(Block::Table {
        caption: "The samples of the plan, each by itself; a decision may be in several".to_owned(),
        columns: vec![
            column("Sample of", 25, false),
            column("Tolerable", 13, true),
            column("Decisions", 12, true),
            column("Exceptions", 12, true),
            column("Upper bound", 20, true),
            column("Rate below it", 18, false),
        ],
        rows: std::iter::once(all).chain(strata).collect(),
    })
}

fn strata(report: &Report) -> Option<Block> {
    let drawing = plots::strata(report)?;
    let planned = if report.samples.is_some() { " Then the samples of the plan's strata." } else { "" };
    Some(Block::Figure {
        title: "Exceptions by stratum",
        description: format!(
            "The share of exceptions among decisions that were recorded as being against the person, and among the \
             others.{planned}"
        ),
        drawing,
    })
}

fn exceptions(report: &Report) -> Vec<Block> {
    if report.counts.exceptions == 0 {
        return vec![Block::Paragraph("There are none.".to_owned())];
    }
    let shown = report.exceptions.len().min(SHOWN_MAX);
    let shown = u64::try_from(shown).unwrap_or(u64::MAX);
    let all = report.counts.exceptions;
    let caption = if all == 1 {
        "The exception".to_owned()
    } else if shown == all {
        format!("All {}", plural(all, "exception", "exceptions"))
    } else {
        let listed = u64::try_from(report.exceptions.len()).unwrap_or(u64::MAX);
        format!(
            "The first {} of {} exceptions; report.json lists {}, the results hold all",
            thousands(shown),
            thousands(all),
            thousands(listed)
        )
    };
    let column = |title, weight, is_number| Column { title, weight, is_number };
    vec![Block::Table {
        caption,
        columns: vec![
            column("Leaf index", 12, true),
            column("Verdict", 30, false),
            column("Against the person", 12, false),
            column("What differs, and by how much", 46, false),
        ],
        rows: report.exceptions.iter().take(SHOWN_MAX).map(exception).collect(),
    }]
}

fn exception(exception: &Exception) -> Vec<String> {
    let mut verdict = exception.verdict.to_string();
    if exception.reasons_differ {
        verdict += ", ";
        verdict += ReasonFinding::Differ.as_str();
    }
    let adverse = match exception.adverse {
        Some(true) => "yes",
        Some(false) => "no",
        None => "not recorded",
    };
    let mut lines: Vec<String> =
        exception.differences.iter().take(DIFFERENCES_SHOWN).map(difference).collect();
    let left = exception.differences.len().saturating_sub(DIFFERENCES_SHOWN);
    let left = u64::try_from(left).unwrap_or(u64::MAX).saturating_add(exception.differences_left_out);
    if left > 0 {
        lines.push(format!("and {} more", thousands(left)));
    }
    vec![exception.leaf_index.to_string(), verdict, adverse.to_owned(), lines.join("\n")]
}

/// What differs, and where both are numbers, by how much.
fn difference(difference: &Difference) -> String {
    let number = |text: &Option<String>| text.as_deref().and_then(|text| text.parse::<f64>().ok());
    match (number(&difference.recorded), number(&difference.recomputed)) {
        (Some(recorded), Some(recomputed)) if (recorded - recomputed).is_finite() => {
            format!("{difference}, {:.3e} apart", (recorded - recomputed).abs())
        }
        _ => difference.to_string(),
    }
}

fn scores(report: &Report) -> Vec<Block> {
    let scores = &report.scores;
    if scores.rows == 0 {
        return vec![Block::Paragraph("The results hold no score.".to_owned())];
    }
    let numbers = scores.rows.saturating_sub(scores.no_numbers);
    let mut text = format!(
        "Of {}, {} were recomputed to the very bits that were recorded.",
        plural(scores.rows, "recorded score", "recorded scores"),
        thousands(scores.equal)
    );
    if scores.no_numbers > 0 {
        text += &format!(
            " {} could not be compared: one of the two is no finite number.",
            thousands(scores.no_numbers)
        );
    }
    let mut blocks = vec![Block::Paragraph(text)];
    if let Some(drawing) = plots::scatter(report) {
        let points = u64::try_from(scores.points.len()).unwrap_or(u64::MAX);
        blocks.push(Block::Figure {
            title: "Recorded against recomputed score",
            description: format!(
                "{} of {} scores: a dot where both are the same bits, a cross where they are not. The dashed line is where both are \
                 equal.",
                thousands(points),
                thousands(numbers)
            ),
            drawing,
        });
    }
    if let Some(drawing) = plots::differences(report) {
        blocks.push(Block::Figure {
            title: "How far the scores are apart",
            description: format!(
                "All {} by the distance of the recorded from the recomputed one. Equal scores stand apart at the left; each other \
                 bar counts the distances below the number at its right end.",
                plural(numbers, "score", "scores")
            ),
            drawing,
        });
    }
    blocks
}

fn audited(report: &Report, plan: Option<&Plan>) -> Vec<Block> {
    let audited = &report.audited;
    let fact = |name: &str, value: String| (name.to_owned(), value);
    let verified = if audited.checkpoint_verified {
        "verified against the auditor's own policy"
    } else {
        "NOT VERIFIED"
    };
    let selection = match &audited.selection {
        Selection::Range { first_index, last_index } => {
            format!("every entry from {} to {}", thousands(*first_index), thousands(*last_index))
        }
        Selection::Draw { drawn, skipped, .. } => format!(
            "{} drawn, and {} looked at",
            plural(*drawn, "decision", "decisions"),
            plural(*skipped, "entry that is no decision", "entries that are no decisions")
        ),
    };
    let mut rows = vec![
        fact("Log", audited.origin.clone()),
        fact("Tree", format!("{} entries", thousands(audited.tree_size))),
        fact("Root", audited.root.clone()),
        fact("Checkpoint", verified.to_owned()),
        fact("Entries", selection),
        fact("Results, SHA-256", audited.results_sha256.clone()),
        fact("Bundle, SHA-256", audited.bundle_sha256.clone()),
        fact("Recomputed by", audited.run_by.clone()),
    ];
    if let (Some(planned), Some(plan)) = (&report.plan, plan) {
        let signed =
            if planned.signed_by_auditor { "signed by the auditor" } else { "not signed by the auditor" };
        rows.push(fact("Plan, SHA-256", format!("{}, {signed}", planned.sha256)));
        rows.push(fact(
            "Plan",
            format!(
                "draws {} from entries {} to {}; passes {}",
                plural(plan.decisions().unwrap_or(0), "decision", "decisions"),
                thousands(plan.first),
                thousands(plan.last),
                plan.passes().join(", ")
            ),
        ));
        rows.extend(plan.beacons.iter().map(|beacon| fact("Randomness", beacon.to_string())));
    }
    if let Some(draw) = &report.draw {
        rows.push(fact("Draw, SHA-256", draw.sha256.clone()));
        rows.push(fact("Seed", draw.seed.clone()));
    }
    vec![Block::Facts { caption: "Log, entries and files", rows }, models(report)]
}

fn models(report: &Report) -> Block {
    let models = report.audited.models.iter().map(|model| {
        let standing = match (&model.kind, &model.problem) {
            (_, Some(problem)) => format!("cannot be used: {problem}"),
            (Some(kind), None) => kind.clone(),
            (None, None) => String::new(),
        };
        let given = model.description_given.as_ref();
        let given = given.map_or_else(
            || "came along".to_owned(),
            |digest| format!("given by the auditor, SHA-256 {digest}"),
        );
        vec![model.digest.clone(), standing, given]
    });
    let column = |title, weight, is_number| Column { title, weight, is_number };
    Block::Table {
        caption: "Models".to_owned(),
        columns: vec![
            column("Digest", 40, false),
            column("Standing", 30, false),
            column("Description", 30, false),
        ],
        rows: models.collect(),
    }
}
