//! What recomputing one decision shows, in the words of the field.
//!
//! *Guarantees*: a decision that could not be recomputed is never a match; a match names how it matched.
//!
//! *Does not do*: recompute, or count.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What recomputing one decision shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Verdict {
    /// Every recorded number follows bit for bit, and the label.
    Exact,
    /// Every recorded number follows within the tolerance of the profile, and the label.
    WithinTolerance,
    /// The numbers follow within the tolerance, the label does not, and the score is that near to the threshold.
    MarginAmbiguous,
    /// The call ended in an error, as its entry says in public, and no output is recorded.
    NoAnswer,
    /// A recorded number does not follow; the label does.
    MismatchSameOutcome,
    /// The recorded label does not follow.
    OutcomeFlips,
    /// It cannot be recomputed.
    Unverifiable,
}

impl Verdict {
    /// Every verdict, best first.
    pub const ALL: [Self; 7] = [
        Self::Exact,
        Self::WithinTolerance,
        Self::MarginAmbiguous,
        Self::NoAnswer,
        Self::MismatchSameOutcome,
        Self::OutcomeFlips,
        Self::Unverifiable,
    ];

    /// The verdict as it stands in results and reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "EXACT",
            Self::WithinTolerance => "WITHIN_TOLERANCE",
            Self::MarginAmbiguous => "MARGIN_AMBIGUOUS",
            Self::NoAnswer => "NO_ANSWER",
            Self::MismatchSameOutcome => "MISMATCH_SAME_OUTCOME",
            Self::OutcomeFlips => "OUTCOME_FLIPS",
            Self::Unverifiable => "UNVERIFIABLE",
        }
    }

    /// The verdict in plain words.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Exact => "every recorded number follows, bit for bit",
            Self::WithinTolerance => "every recorded number follows within the profile's tolerance",
            Self::MarginAmbiguous => "the label hangs on rounding",
            Self::NoAnswer => "the call ended in an error; there is no answer to recompute",
            Self::MismatchSameOutcome => "a recorded number does not follow; the label does",
            Self::OutcomeFlips => "the recorded label does not follow",
            Self::Unverifiable => "cannot be recomputed",
        }
    }

    /// Whether it counts against the sample: everything that does, unless the recorded decision was shown to follow. That a
    /// decision hangs on rounding is not evidence of tampering; where nobody was answered, nothing has to follow.
    #[must_use]
    pub const fn is_exception(self) -> bool {
        matches!(self, Self::MismatchSameOutcome | Self::OutcomeFlips | Self::Unverifiable)
    }
}

/// A finding about recorded reasons, beside the verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReasonFinding {
    /// They do not follow; an exception whatever the verdict.
    Differ,
    /// They were not rechecked; no exception.
    Unchecked,
}

impl ReasonFinding {
    /// Its name in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Differ => "REASONS_DIFFER",
            Self::Unchecked => "REASONS_UNCHECKED",
        }
    }

    /// What it says.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Differ => "the recorded reasons are not those of the model",
            Self::Unchecked => "reasons are recorded and were not rechecked",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One thing that differs, or that stands in the way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Difference {
    /// What: a path of the record, or what is missing.
    pub what: String,
    /// What the record says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recorded: Option<String>,
    /// What follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recomputed: Option<String>,
}

impl Difference {
    /// Two values that should be one.
    pub fn between(
        what: impl fmt::Display,
        recorded: Option<impl fmt::Display>,
        recomputed: Option<impl fmt::Display>,
    ) -> Self {
        Self {
            what: what.to_string(),
            recorded: recorded.map(|value| value.to_string()),
            recomputed: recomputed.map(|value| value.to_string()),
        }
    }

    /// What stands in the way of recomputing.
    pub fn obstacle(what: impl fmt::Display) -> Self {
        Self { what: what.to_string(), recorded: None, recomputed: None }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        match (&self.recorded, &self.recomputed) {
            (None, None) => Ok(()),
            (recorded, recomputed) => {
                let said = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
                write!(f, ": recorded {}, recomputed {}", said(recorded), said(recomputed))
            }
        }
    }
}

/// What recomputing one decision shows, and by what.
#[derive(Clone, Debug, PartialEq)]
pub struct Replayed {
    /// The verdict; of several rows the worst.
    pub verdict: Verdict,
    /// Whether the recorded reasons do not follow, whatever the verdict.
    pub reasons_differ: bool,
    /// What differs or stands in the way; nothing for a decision that follows.
    pub differences: Vec<Difference>,
    /// The first score of each row as recorded and as recomputed.
    pub scores: Vec<(f64, f64)>,
    /// The greatest distance of the numbers that a tolerance profile speaks of, where they were not equal.
    pub distance: Option<f64>,
    /// Why the recorded reasons were not rechecked, where reasons are recorded.
    pub reasons_unchecked: Option<String>,
}

impl Replayed {
    /// A decision that cannot be recomputed, and why.
    #[must_use]
    pub fn unverifiable(why: impl fmt::Display) -> Self {
        Self::uncompared(Verdict::Unverifiable, vec![Difference::obstacle(why)])
    }

    /// A call that ended in an error.
    #[must_use]
    pub const fn no_answer() -> Self {
        Self::uncompared(Verdict::NoAnswer, Vec::new())
    }

    /// Of which nothing was compared.
    const fn uncompared(verdict: Verdict, differences: Vec<Difference>) -> Self {
        Self {
            verdict,
            reasons_differ: false,
            differences,
            scores: Vec::new(),
            distance: None,
            reasons_unchecked: None,
        }
    }

    /// Adds what comparing the reasons found.
    pub fn take_reasons(&mut self, reasons: Self) {
        self.reasons_differ |= reasons.reasons_differ;
        self.differences.extend(reasons.differences);
        self.reasons_unchecked = self.reasons_unchecked.take().or(reasons.reasons_unchecked);
    }

    /// Whether it counts against the sample.
    #[must_use]
    pub const fn is_exception(&self) -> bool {
        self.verdict.is_exception() || self.reasons_differ
    }
}
