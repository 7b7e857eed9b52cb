//! How many of whom must approve: `2 of alice, bob, carol`.

use core::fmt;
use core::str::FromStr;

use super::error::RosterError;
use crate::limits::{APPROVAL_SIGNATURES_MAX, APPROVERS_MAX};

/// So many of these persons must approve, by their names in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    threshold: usize,
    names: Vec<String>,
}

impl Rule {
    /// How many must approve.
    #[must_use]
    pub const fn threshold(&self) -> usize {
        self.threshold
    }

    /// Who counts.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }
}

impl FromStr for Rule {
    type Err = RosterError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (threshold, names) = text.split_once(" of ").ok_or(RosterError::RuleForm)?;
        let threshold = crate::checkpoint::decimal(threshold).ok_or(RosterError::RuleForm)?;
        let mut found: Vec<String> = Vec::new();
        for name in names.split(',').map(str::trim) {
            if !is_name(name) {
                return Err(RosterError::Name);
            }
            if found.iter().any(|known| known == name) {
                return Err(RosterError::NamedTwice { name: name.to_owned() });
            }
            if found.len() == APPROVERS_MAX {
                return Err(RosterError::TooMany);
            }
            found.push(name.to_owned());
        }
        let threshold = usize::try_from(threshold).unwrap_or(usize::MAX);
        if threshold == 0 {
            return Err(RosterError::ThresholdZero);
        }
        if threshold > found.len() {
            return Err(RosterError::ThresholdAbove { threshold, persons: found.len() });
        }
        if threshold > APPROVAL_SIGNATURES_MAX {
            return Err(RosterError::ThresholdLimit { threshold });
        }
        Ok(Self { threshold, names: found })
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.threshold, self.names.join(", "))
    }
}

/// 1 to 64 characters of `a-z 0-9 . _ -`.
pub(super) fn is_name(name: &str) -> bool {
    crate::entry::RegisteredName::parse(name).is_ok()
}
