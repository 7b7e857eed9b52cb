//! The results of a run: one JSON document a line, a head, a line for each decision in the order of the bundle, a tail.
//!
//! *Guarantees*: a file without its tail is not whole and is refused; the tail's counts are those of the lines.
//!
//! *Does not do*: judge; the counts are facts, `audit report` says what they mean.

use std::collections::BTreeMap;
use std::io::BufRead;

use ledgerstone::code::Code;
use ledgerstone::evidence::Selection;
use serde::{Deserialize, Serialize};

use super::verdict::{Difference, ReasonFinding, Replayed, Verdict};

/// What the head of this version says of itself.
pub const FORMAT: &str = "ledgerstone-audit-results/v1";

/// Bytes of one line.
pub const LINE_BYTES_MAX: usize = 4 << 20;

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Line {
    /// The first line.
    Head(Box<Head>),
    /// A decision that was run again.
    Decision(Box<Decision>),
    /// So many parts of the bundle are done; an interrupted run goes on behind the last such line.
    Through(u64),
    /// The last line.
    Tail(Box<Tail>),
}

/// What was run on what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// [`FORMAT`].
    pub format: String,
    /// The program and its version.
    pub program: String,
    /// The log's origin.
    pub origin: String,
    /// Size of the tree that every entry was proved in.
    pub tree_size: u64,
    /// Its root, in lowercase hex.
    pub root: String,
    /// Whether the checkpoint is signed by the keys of the auditor's own policy.
    pub checkpoint_verified: bool,
    /// Which entries the bundle holds.
    pub selection: Selection,
    /// The models that came along, and what is wrong with those that cannot be used.
    pub models: Vec<ModelStanding>,
    /// How many registrations of models came along. If there is one, decisions of models without one are exceptions.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub registrations: u64,
}

/// Whether a model can be used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelStanding {
    /// The digest that decisions name it by, in lowercase hex.
    pub digest: String,
    /// What it is, where it can be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Why it cannot be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// The tolerance profile by which its numbers were judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<ProfileStanding>,
    /// SHA-256 of the auditor's own description, where the model came without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description_given: Option<String>,
}

/// The tolerance profile that numbers were judged by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProfileStanding {
    /// SHA-256 of its file, in lowercase hex.
    pub sha256: String,
    /// What is compared.
    pub quantity: String,
    /// How far it may lie off.
    pub tau: f64,
    /// Whether it was measured on a machine like the one that ran: processor, instructions, mathematics library, device.
    pub same_machine: bool,
}

/// A decision that was run again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// Where its entry stands.
    pub leaf_index: u64,
    /// What it shows.
    pub verdict: Verdict,
    /// Whether the recorded reasons do not follow.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reasons_differ: bool,
    /// Whether it was against the person, as recorded; of several rows, whether one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adverse: Option<bool>,
    /// The first score of each row, as recorded and as recomputed; null is no number.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scores: Vec<(Option<f64>, Option<f64>)>,
    /// The greatest distance of the numbers that a tolerance profile speaks of, where they were not equal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distance: Option<f64>,
    /// Why the recorded reasons were not rechecked, where reasons are recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasons_unchecked: Option<String>,
    /// What differs or stands in the way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<Difference>,
}

impl Decision {
    /// The line of a decision.
    #[must_use]
    pub fn new(leaf_index: u64, adverse: Option<bool>, replayed: Replayed) -> Self {
        let number = |number: f64| number.is_finite().then_some(number);
        Self {
            leaf_index,
            verdict: replayed.verdict,
            reasons_differ: replayed.reasons_differ,
            adverse,
            scores: replayed.scores.into_iter().map(|(one, other)| (number(one), number(other))).collect(),
            distance: replayed.distance.and_then(number),
            reasons_unchecked: replayed.reasons_unchecked,
            differences: replayed.differences,
        }
    }

    /// Whether it counts against the sample.
    #[must_use]
    pub const fn is_exception(&self) -> bool {
        self.verdict.is_exception() || self.reasons_differ
    }
}

/// The counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tail {
    /// Entries of the bundle, all proved to stand in the tree.
    pub entries: u64,
    /// Decisions among them.
    pub decisions: u64,
    /// Decisions by verdict; one that nobody got is left out.
    pub verdicts: BTreeMap<Verdict, u64>,
    /// Decisions whose recorded reasons do not follow.
    pub reasons_differ: u64,
    /// Decisions whose recorded reasons were not rechecked. They are no exceptions for that.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reasons_unchecked: u64,
    /// Decisions that count against the sample.
    pub exceptions: u64,
    /// SHA-256 of the bundle's file, in lowercase hex.
    pub bundle_sha256: String,
}

impl Tail {
    /// Counts a decision.
    pub fn count(&mut self, decision: &Decision) {
        self.decisions += 1;
        *self.verdicts.entry(decision.verdict).or_default() += 1;
        self.reasons_differ += u64::from(decision.reasons_differ);
        self.reasons_unchecked += u64::from(decision.reasons_unchecked.is_some());
        self.exceptions += u64::from(decision.is_exception());
    }

    /// What was found of recorded reasons, and of how many decisions.
    #[must_use]
    pub const fn reasons(&self) -> [(ReasonFinding, u64); 2] {
        [(ReasonFinding::Differ, self.reasons_differ), (ReasonFinding::Unchecked, self.reasons_unchecked)]
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
pub(crate) const fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Why results are not to be relied on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResultsError {
    /// The file cannot be read.
    #[error("the results cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// A line is none.
    #[error("line {line} is no line of results: {problem}")]
    Line {
        /// Its number, from 1.
        line: u64,
        /// What is wrong.
        problem: String,
    },
    /// The file ends before its tail, or goes on after it.
    #[error("the results end before their tail: the run was interrupted; give the same command again")]
    NotWhole,
    /// The tail's counts are not those of the lines.
    #[error("the counts at the end are not those of the lines: the results were changed")]
    Counts,
}

impl ResultsError {
    /// What the reader must do about it.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Io(_) => Code::Unavailable,
            Self::Line { .. } | Self::NotWhole => Code::Malformed,
            Self::Counts => Code::Inconsistent,
        }
    }
}

/// Reads whole results line by line, each decision handed to `decision`, and checks the counts.
///
/// # Errors
/// [`ResultsError`] says what does not hold.
pub fn read(file: impl BufRead, mut decision: impl FnMut(Decision)) -> Result<(Head, Tail), ResultsError> {
    let mut lines = Lines::new(file);
    let Some(Line::Head(head)) = lines.next()? else {
        return Err(ResultsError::Line { line: 1, problem: "it is no head".to_owned() });
    };
    if head.format != FORMAT {
        return Err(ResultsError::Line { line: 1, problem: format!("its format is not {FORMAT}") });
    }
    let mut counted = Tail::default();
    while let Some(line) = lines.next()? {
        match line {
            Line::Decision(line) => {
                counted.count(&line);
                decision(*line);
            }
            Line::Through(_) => {}
            Line::Tail(tail) => {
                counted.entries = tail.entries;
                counted.bundle_sha256.clone_from(&tail.bundle_sha256);
                // What follows the tail without an end of its own is no line, and no part of the results either.
                if counted != *tail || lines.next()?.is_some() || lines.len() > 0 {
                    return Err(ResultsError::Counts);
                }
                return Ok((*head, counted));
            }
            Line::Head(_) => return Err(lines.wrong("a second head")),
        }
    }
    Err(ResultsError::NotWhole)
}

/// The lines of a file, bounded.
pub(super) struct Lines<R> {
    file: R,
    number: u64,
    buffer: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    pub(super) const fn new(file: R) -> Self {
        Self { file, number: 0, buffer: Vec::new() }
    }

    /// The next line; nothing at the end, or where the last line is not whole.
    pub(super) fn next(&mut self) -> Result<Option<Line>, ResultsError> {
        self.number += 1;
        self.buffer.clear();
        let mut bounded = std::io::Read::take(&mut self.file, LINE_BYTES_MAX as u64);
        bounded.read_until(b'\n', &mut self.buffer)?;
        if self.buffer.last() != Some(&b'\n') {
            return if self.buffer.len() < LINE_BYTES_MAX {
                Ok(None)
            } else {
                Err(self.wrong("it is too long"))
            };
        }
        let line = serde_json::from_slice(&self.buffer);
        line.map(Some).map_err(|error| self.wrong(&error.to_string()))
    }

    /// Bytes of the line that was read last, its end included.
    pub(super) fn len(&self) -> u64 {
        self.buffer.len() as u64
    }

    fn wrong(&self, problem: &str) -> ResultsError {
        ResultsError::Line { line: self.number, problem: problem.to_owned() }
    }
}
