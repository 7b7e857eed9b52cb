//! Why a question about a sample has no answer.

use ledgerstone::code::Code;

use super::{EXCEPTIONS_MAX, POPULATION_MAX, SAMPLE_MAX};

/// Why a text is no rate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RateError {
    /// Not digits, perhaps a point and digits, and a percent sign.
    #[error("a rate is a percentage such as `1%` or `0.5%`, digits and a point alone before the sign")]
    Text,
    /// More digits behind the point than a rate keeps.
    #[error("a rate has at most seven digits behind the point")]
    Digits,
    /// Above 100 %.
    #[error("a rate is at most 100%")]
    Above,
}

impl RateError {
    /// What the reader of this error should do.
    #[must_use]
    pub const fn code(&self) -> Code {
        Code::Misuse
    }
}

/// Why a question about a sample has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// A rate that must lie strictly between nothing and everything does not.
    #[error("the {name} must be above 0% and below 100%")]
    Open {
        /// Which rate.
        name: &'static str,
    },
    /// The rate hoped for is not below the one that is not tolerated.
    #[error("the expected rate must be below the tolerable rate, or no sample can tell the two apart")]
    Expected,
    /// More of something than is computed with.
    #[error("{found} {what} are too many, at most {max} are computed with")]
    Limit {
        /// What there are too many of.
        what: &'static str,
        /// How many were given.
        found: u64,
        /// How many there may be.
        max: u64,
    },
    /// A sample or a population of nothing.
    #[error("there must be at least one decision in the {what}")]
    Empty {
        /// The sample or the population.
        what: &'static str,
    },
    /// More exceptions than the sample has decisions.
    #[error("{exceptions} exceptions cannot stand among {sample} decisions")]
    Exceptions {
        /// Exceptions given.
        exceptions: u64,
        /// Decisions drawn.
        sample: u64,
    },
    /// A sample larger than what it was drawn from.
    #[error("{sample} decisions cannot be drawn from {population}, none of them twice")]
    Sample {
        /// Decisions drawn.
        sample: u64,
        /// Decisions to draw from.
        population: u64,
    },
    /// As many exceptions are allowed as make the population intolerable.
    #[error(
        "{allowed} exceptions allowed are too many: {intolerable} among {population} decisions are already not tolerable"
    )]
    Allowed {
        /// Exceptions allowed.
        allowed: u64,
        /// Exceptions that are not tolerable.
        intolerable: u64,
        /// Decisions to draw from.
        population: u64,
    },
    /// The sample that would be needed is too large.
    #[error(
        "more than {SAMPLE_MAX} decisions would have to be drawn: recompute the whole log, or tolerate a higher rate"
    )]
    TooLarge,
    /// A sequential plan cannot survive more exceptions than it expects.
    #[error(
        "a sequential plan goes on after an exception only where one was expected: name a higher expected rate"
    )]
    NoneExpected,
}

impl AuditError {
    /// What the reader of this error should do.
    #[must_use]
    pub const fn code(&self) -> Code {
        Code::Misuse
    }

    /// Refuses a sample that is empty, too large, or smaller than the exceptions found in it.
    pub(super) const fn check_sample(
        sample: u64,
        exceptions: u64,
        population: Option<u64>,
    ) -> Result<(), Self> {
        if sample == 0 {
            return Err(Self::Empty { what: "sample" });
        }
        if sample > SAMPLE_MAX {
            return Err(Self::Limit { what: "decisions in a sample", found: sample, max: SAMPLE_MAX });
        }
        if exceptions > sample {
            return Err(Self::Exceptions { exceptions, sample });
        }
        if let Some(population) = population
            && sample > population
        {
            return Err(Self::Sample { sample, population });
        }
        Self::check_counts(exceptions, population)
    }

    /// Refuses more exceptions or decisions than are computed with.
    pub(super) const fn check_counts(exceptions: u64, population: Option<u64>) -> Result<(), Self> {
        if exceptions > EXCEPTIONS_MAX {
            return Err(Self::Limit { what: "exceptions", found: exceptions, max: EXCEPTIONS_MAX });
        }
        match population {
            Some(0) => Err(Self::Empty { what: "population" }),
            Some(found) if found > POPULATION_MAX => {
                Err(Self::Limit { what: "decisions in a population", found, max: POPULATION_MAX })
            }
            _ => Ok(()),
        }
    }
}
