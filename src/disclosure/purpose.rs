//! Which fields of a record go to whom: presets for what people need a disclosure for.
//!
//! Does not do: allowing anything; a receipt's route and its holder do that.

use crate::record::{FieldPath, PathPattern};

/// What a disclosure is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Purpose {
    /// For the person concerned: what was decided, when, by which model, why, and what can be done about it.
    Applicant,
    /// For whoever supervises: everything.
    Regulator,
    /// For a court: what was decided on which inputs, why and by whom, without who called and how it was kept.
    Court,
}

impl Purpose {
    /// Every purpose.
    pub const ALL: [Self; 3] = [Self::Applicant, Self::Regulator, Self::Court];

    /// The purpose as a word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Applicant => "applicant",
            Self::Regulator => "regulator",
            Self::Court => "court",
        }
    }

    /// The patterns of the paths that it takes.
    #[must_use]
    pub const fn patterns(self) -> &'static [&'static str] {
        match self {
            Self::Applicant => &[
                "decision/id",
                "decision/use_case",
                "decision/mode",
                "time/received",
                "time/decided",
                "time/recorded",
                "model/name",
                "model/version",
                "output/label",
                "output/score/*",
                "outcome/*",
                "gate/effect",
                "gate/reason",
                "explanation/*",
                "review/*",
                "notice/*",
                "contest/*",
                "correction/*",
            ],
            Self::Regulator => &["*"],
            Self::Court => &[
                "decision/*",
                "time/*",
                "model/*",
                "execution/*",
                "reference/*",
                "input/*",
                "output/*",
                "outcome/*",
                "gate/*",
                "explanation/*",
                "review/*",
                "notice/*",
                "contest/*",
                "correction/*",
            ],
        }
    }

    /// Whether the field at `path` belongs to it.
    #[must_use]
    pub fn takes(self, path: &FieldPath) -> bool {
        let matches = |pattern: &&str| PathPattern::parse(pattern).is_ok_and(|pattern| pattern.matches(path));
        self.patterns().iter().any(matches)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> FieldPath {
        FieldPath::parse(text).unwrap()
    }

    #[test]
    fn every_pattern_is_one() {
        for purpose in Purpose::ALL {
            for pattern in purpose.patterns() {
                PathPattern::parse(pattern).unwrap();
            }
        }
    }

    #[test]
    fn an_applicant_is_told_why_but_inputs_only_on_request() {
        assert!(Purpose::Applicant.takes(&path("explanation/reason/[0]/text")));
        assert!(Purpose::Applicant.takes(&path("outcome/action")));
        assert!(!Purpose::Applicant.takes(&path("input/feature/income")));
        assert!(!Purpose::Applicant.takes(&path("caller/address")));
    }

    #[test]
    fn a_court_sees_the_inputs_and_not_the_caller_and_a_regulator_everything() {
        assert!(Purpose::Court.takes(&path("input/feature/income")));
        assert!(!Purpose::Court.takes(&path("caller/address")));
        assert!(Purpose::Regulator.takes(&path("caller/address")));
    }
}
