//! A share of decisions, exact to a billionth.
//!
//! *Guarantees*: one text for each rate; what a person types is kept exactly, never rounded to a binary fraction.

use std::fmt;
use std::str::FromStr;

use super::RateError;

/// Digits that a percentage keeps behind its point: a percent is ten million billionths.
const DIGITS_MAX: usize = 7;

/// A share between nothing and everything, in billionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate(u64);

impl Rate {
    /// Billionths in the whole.
    pub const WHOLE: u64 = 1_000_000_000;
    /// Nothing.
    pub const NONE: Self = Self(0);

    /// The rate of so many billionths, if that is not more than everything.
    #[must_use]
    pub const fn from_billionths(billionths: u64) -> Option<Self> {
        if billionths <= Self::WHOLE { Some(Self(billionths)) } else { None }
    }

    /// The rate in billionths.
    #[must_use]
    pub const fn billionths(self) -> u64 {
        self.0
    }

    /// What is missing to the whole.
    #[must_use]
    pub const fn rest(self) -> Self {
        Self(Self::WHOLE - self.0)
    }

    /// Whether it is neither nothing nor everything.
    #[must_use]
    pub const fn is_open(self) -> bool {
        0 < self.0 && self.0 < Self::WHOLE
    }
}

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        let number = text.strip_suffix('%').ok_or(RateError::Text)?;
        let (whole, fraction) = match number.split_once('.') {
            Some((_, "")) => return Err(RateError::Text),
            Some(parts) => parts,
            None => (number, ""),
        };
        if whole.is_empty() || !whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit()) {
            return Err(RateError::Text);
        }
        if fraction.len() > DIGITS_MAX {
            return Err(RateError::Digits);
        }
        let digits = format!("{whole}{fraction:0<DIGITS_MAX$}");
        let billionths = digits.parse().map_err(|_| RateError::Above)?;
        Self::from_billionths(billionths).ok_or(RateError::Above)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = 10_000_000;
        let fraction = format!("{:07}", self.0 % unit);
        match fraction.trim_end_matches('0') {
            "" => write!(f, "{}%", self.0 / unit),
            digits => write!(f, "{}.{digits}%", self.0 / unit),
        }
    }
}

impl serde::Serialize for Rate {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
