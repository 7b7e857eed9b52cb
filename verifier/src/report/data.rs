//! The report as data, key by key in the order of the file.
//!
//! *Guarantees*: everything that a page shows stands here. *Does not do*: compute; `assemble` does.

use std::collections::BTreeMap;

use ledgerstone::evidence::Selection;
use serde::{Deserialize, Serialize};

use crate::audit::results::{ModelStanding, is_zero};
use crate::audit::verdict::{Difference, Verdict};

/// A report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// [`super::FORMAT`].
    pub format: String,
    /// The program and its version.
    pub program: String,
    /// What it all comes to, in words.
    pub claims: Claims,
    /// What was audited.
    pub audited: Audited,
    /// The plan, where there was one.
    pub plan: Option<Planned>,
    /// The draw, where there was a plan.
    pub draw: Option<Drawn>,
    /// Decisions by what they showed.
    pub counts: Counts,
    /// What the counts mean.
    pub finding: Finding,
    /// The samples of a plan with strata; `finding` and `course` are of the first of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples: Option<Samples>,
    /// How the finding grew, in the order of the results.
    pub course: Vec<Step>,
    /// The scores.
    pub scores: Scores,
    /// The exceptions, by their order in the results.
    pub exceptions: Vec<Exception>,
    /// Exceptions that are counted and not listed here; the results have them.
    pub exceptions_left_out: u64,
}

impl Report {
    /// The decisions that `finding` is about: the sample of all decisions in the range, or everything recomputed.
    #[must_use]
    pub fn judged(&self) -> Share {
        let Counts { decisions, exceptions, .. } = self.counts;
        self.samples.as_ref().map_or(Share { decisions, exceptions }, |samples| samples.all)
    }

    /// The samples of the plan's strata, in its order.
    pub(super) fn strata(&self) -> impl Iterator<Item = &StratumSample> {
        self.samples.iter().flat_map(|samples| &samples.strata)
    }

    /// The first part in which a report that was made again is another one. Which program made the two, and from which file of results, is no
    /// part of it.
    #[must_use]
    pub fn first_difference(&self, again: &Self) -> Option<&'static str> {
        let neutral = |audited: &Audited| Audited {
            results_sha256: String::new(),
            run_by: String::new(),
            ..audited.clone()
        };
        let parts = [
            ("the log, entries and models", neutral(&self.audited) == neutral(&again.audited)),
            ("the plan and draw", self.plan == again.plan && self.draw == again.draw),
            ("the counts", self.counts == again.counts),
            (
                "the conclusions",
                self.finding == again.finding && self.samples == again.samples && self.course == again.course,
            ),
            ("the scores", self.scores == again.scores),
            (
                "the exceptions",
                self.exceptions == again.exceptions && self.exceptions_left_out == again.exceptions_left_out,
            ),
            ("the words", self.claims == again.claims),
        ];
        parts.into_iter().find(|(_, is_same)| !is_same).map(|(part, _)| part)
    }
}

/// The report in words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    /// One sentence or two.
    pub headline: String,
    /// What the audit establishes.
    pub establishes: Vec<String>,
    /// What a reader might think it establishes.
    pub does_not_establish: Vec<String>,
}

/// What was audited.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Audited {
    /// The log.
    pub origin: String,
    /// Size of the tree that every entry was proved in.
    pub tree_size: u64,
    /// Its root, in lowercase hex.
    pub root: String,
    /// Whether its signatures were verified against the auditor's own policy.
    pub checkpoint_verified: bool,
    /// Which entries.
    pub selection: Selection,
    /// SHA-256 of the results, in lowercase hex.
    pub results_sha256: String,
    /// SHA-256 of the evidence bundle that they were made from.
    pub bundle_sha256: String,
    /// The program that made them.
    pub run_by: String,
    /// The models.
    pub models: Vec<ModelStanding>,
}

/// The plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Planned {
    /// SHA-256 of its text, in lowercase hex.
    pub sha256: String,
    /// Whether the auditor who signs the report signed it, too.
    pub signed_by_auditor: bool,
    /// The text.
    pub text: String,
}

/// The draw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drawn {
    /// SHA-256 of its file, in lowercase hex.
    pub sha256: String,
    /// The seed, in lowercase hex.
    pub seed: String,
    /// Decisions drawn.
    pub drawn: u64,
    /// Entries that were looked at and are no decisions.
    pub skipped: u64,
    /// Whether these are all the decisions in the plan's range.
    pub is_all: bool,
}

/// Decisions by what they showed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Entries proved to stand in the tree.
    pub entries: u64,
    /// Decisions among them.
    pub decisions: u64,
    /// Decisions by verdict; one that nobody got is left out.
    pub verdicts: BTreeMap<Verdict, u64>,
    /// Decisions whose recorded reasons do not follow.
    pub reasons_differ: u64,
    /// Decisions whose recorded reasons were not rechecked.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reasons_unchecked: u64,
    /// The verdicts that are no exceptions.
    pub passes: Vec<Verdict>,
    /// Decisions with another verdict, or with reasons that do not follow.
    pub exceptions: u64,
    /// By whether the decision was against the person.
    pub strata: Strata,
}

/// Decisions by whether they were against the person, as recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Strata {
    /// They were.
    pub adverse: Share,
    /// They were not.
    pub not_adverse: Share,
    /// The record does not say.
    pub not_recorded: Share,
}

/// Exceptions among decisions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Share {
    /// Decisions.
    pub decisions: u64,
    /// Exceptions among them.
    pub exceptions: u64,
}

/// The samples of a plan with strata. A decision may be in several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Samples {
    /// That of all decisions in the range.
    pub all: Share,
    /// Those of the strata, in the plan's order.
    pub strata: Vec<StratumSample>,
}

/// The sample of one stratum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StratumSample {
    /// The stratum's name in the plan.
    pub name: String,
    /// Its decisions.
    pub share: Share,
    /// What they mean, by the plan's rates for this stratum.
    pub finding: Finding,
}

/// What the counts mean.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// Of how many decisions it speaks.
    pub coverage: Coverage,
    /// What follows.
    pub conclusion: Conclusion,
    /// Decisions after which a plan came to its conclusion.
    pub concluded_after: Option<u64>,
    /// Exceptions among these.
    pub concluded_with: Option<u64>,
    /// How sure the plan is to be.
    pub confidence: Option<String>,
    /// The highest rate of exceptions that the whole sample leaves possible, rounded up to a billionth.
    pub upper_bound: Option<String>,
    /// The evidence of the whole sample, in thousandths, rounded down.
    pub evidence_thousandths: Option<u64>,
    /// The evidence at which a sequential plan stops, in thousandths.
    pub evidence_needed_thousandths: Option<u64>,
}

/// Of how many decisions a report speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Coverage {
    /// Every decision among the entries: the count is exact.
    Census,
    /// Those that a plan drew.
    Sample,
    /// A sample whose plan is not at hand.
    UnplannedSample,
}

/// What follows from the counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Conclusion {
    /// Nothing was recomputed.
    Nothing,
    /// There is no plan, and every decision follows.
    AllFollow,
    /// There is no plan, and some do not follow.
    Exceptions,
    /// The rate of exceptions is below what the plan tolerates.
    Shown,
    /// That was not shown.
    NotShown,
    /// The plan is not at its end.
    Unfinished,
}

/// What was found after so many decisions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Decisions.
    pub decisions: u64,
    /// Exceptions among them.
    pub exceptions: u64,
    /// The evidence in thousandths, rounded down, where the plan is sequential.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence_thousandths: Option<u64>,
    /// The upper bound, where the plan is fixed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upper_bound: Option<String>,
}

/// The first score of each row of each decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scores {
    /// Rows with a score that was recorded and recomputed.
    pub rows: u64,
    /// Rows where one of the two is no finite number.
    pub no_numbers: u64,
    /// Rows where both are the same, bit for bit.
    pub equal: u64,
    /// The others, by how far they are apart.
    pub differences: Vec<Bin>,
    /// A sample of the rows that differ and of those that do not, by leaf index.
    pub points: Vec<Point>,
}

/// Rows whose scores are so far apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bin {
    /// The end of the bin, as a power of ten; the bin before ends where it begins. The last has no end.
    pub below: Option<String>,
    /// Rows.
    pub rows: u64,
}

/// One row's score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Point {
    /// Whose.
    pub leaf_index: u64,
    /// As recorded.
    pub recorded: f64,
    /// As recomputed.
    pub recomputed: f64,
}

/// A decision that counts as an exception.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exception {
    /// Where its entry stands.
    pub leaf_index: u64,
    /// What it shows.
    pub verdict: Verdict,
    /// Whether the recorded reasons do not follow.
    pub reasons_differ: bool,
    /// Whether it was against the person.
    pub adverse: Option<bool>,
    /// The scores of its first rows, as recorded and as recomputed.
    pub scores: Vec<(Option<f64>, Option<f64>)>,
    /// What differs or stands in the way; the first ones, long texts cut.
    pub differences: Vec<Difference>,
    /// Differences that are not listed.
    pub differences_left_out: u64,
}
