//! The sequential test: evidence against an intolerable rate that may be looked at after every decision.
//!
//! *Guarantees*: a log whose rate is not tolerable ever reaches evidence of 1 / (1 - confidence) with a chance of at most
//! 1 - confidence, however often somebody looks and whenever they stop (Ville's inequality: under such a rate the evidence is a
//! non-negative supermartingale that starts at 1). Evidence is rounded down, and known to better than 2^-38 of itself.
//!
//! The test is Wald's: the chance of what was found if the rate were the expected one, divided by that chance if it were the
//! least intolerable one. For independent draws each match multiplies it by (1 - p1) / (1 - p0) and each exception by p1 / p0; for
//! draws without replacement both chances are those of an urn, and the order of the draws cancels out. With an expected rate of 0 the
//! first exception makes it 0 for good.

use super::size::{check_rates, intolerable_count, least, risk};
use super::tail::falling;
use super::wide::Wide;
use super::{AuditError, Rate, SAMPLE_MAX};

/// What a sample has shown against an intolerable rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The evidence in thousandths, rounded down; the largest number for all that is above it, as for a proof that needs no chance.
    pub thousandths: u64,
    /// Whether it is enough to stop and say that the rate is tolerable.
    pub is_enough: bool,
}

/// The evidence of `exceptions` among `sample` draws that the rate is below `tolerable`, made for a log at rate `expected`.
///
/// # Errors
/// A rate or count is outside its limits, or `expected` is not below `tolerable`.
pub fn evidence(
    (sample, exceptions): (u64, u64),
    population: Option<u64>,
    (tolerable, expected): (Rate, Rate),
    confidence: Rate,
) -> Result<Evidence, AuditError> {
    AuditError::check_sample(sample, exceptions, population)?;
    check(tolerable, expected, population, confidence)?;
    Ok(match ratio((sample, exceptions), population, (tolerable, expected)) {
        None => Evidence { thousandths: u64::MAX, is_enough: true },
        Some(ratio) => {
            Evidence { thousandths: ratio.thousandths(), is_enough: needed(confidence).is_at_most(ratio) }
        }
    })
}

/// How many decisions a sequential plan draws until it may stop, if `exceptions` of them are exceptions.
///
/// # Errors
/// As [`evidence`], an exception where none was expected, or no sample is enough.
pub fn sequential_size(
    (tolerable, expected): (Rate, Rate),
    confidence: Rate,
    population: Option<u64>,
    exceptions: u64,
) -> Result<u64, AuditError> {
    AuditError::check_counts(exceptions, population)?;
    check(tolerable, expected, population, confidence)?;
    if exceptions > 0 && expected_count(expected, population) < exceptions {
        return Err(AuditError::NoneExpected);
    }
    let needed = needed(confidence);
    least(exceptions + 1, population.unwrap_or(SAMPLE_MAX).min(SAMPLE_MAX), |sample| {
        ratio((sample, exceptions), population, (tolerable, expected))
            .is_none_or(|ratio| needed.is_at_most(ratio))
    })
    .ok_or(AuditError::TooLarge)
}

/// The evidence; none where it is without end, because an intolerable population has fewer good decisions than were seen.
fn ratio(
    (sample, exceptions): (u64, u64),
    population: Option<u64>,
    (tolerable, expected): (Rate, Rate),
) -> Option<Wide> {
    let matches = sample - exceptions;
    let Some(population) = population else {
        let good = Wide::ratio(expected.rest().billionths(), tolerable.rest().billionths());
        let bad = Wide::ratio(expected.billionths(), tolerable.billionths());
        return Some(good.power(matches).times(bad.power(exceptions)));
    };
    let (bad_0, bad_1) =
        (intolerable_count(tolerable, population), expected_count(expected, Some(population)));
    if exceptions > bad_1 {
        return Some(Wide::ZERO);
    }
    let (good_0, good_1) = (population - bad_0, population - bad_1);
    if matches > good_0 {
        return None;
    }
    Some(falling(good_1, good_0, matches).times(falling(bad_1, bad_0, exceptions)))
}

/// Exceptions in a population at the expected rate, rounded down; without a population, as many as one likes or none.
fn expected_count(expected: Rate, population: Option<u64>) -> u64 {
    match population {
        None if expected == Rate::NONE => 0,
        None => u64::MAX,
        Some(population) => {
            let product = u128::from(expected.billionths()) * u128::from(population);
            u64::try_from(product / u128::from(Rate::WHOLE)).unwrap_or(population)
        }
    }
}

/// The evidence that is enough: 1 / (1 - confidence).
fn needed(confidence: Rate) -> Wide {
    Wide::one().over(risk(confidence))
}

fn check(
    tolerable: Rate,
    expected: Rate,
    population: Option<u64>,
    confidence: Rate,
) -> Result<(), AuditError> {
    check_rates(tolerable, confidence)?;
    let apart = population.is_none_or(|population| {
        expected_count(expected, Some(population)) < intolerable_count(tolerable, population)
    });
    if expected < tolerable && apart { Ok(()) } else { Err(AuditError::Expected) }
}
