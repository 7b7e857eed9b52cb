//! How many decisions a fixed sample needs.

use super::tail::{binomial, hypergeometric};
use super::wide::Wide;
use super::{AuditError, Rate, SAMPLE_MAX};

/// The least number of decisions such that a log whose rate of exceptions is not tolerable shows no more than `allowed` of
/// them with a chance of at most 1 - `confidence`. With a population it is exact for draws without replacement, else for
/// independent draws.
///
/// A chance that differs from 1 - `confidence` by less than 2^-38 of it counts as equal to it (`wide`).
///
/// # Errors
/// A rate is not strictly between 0 % and 100 %, a count is above its limit, or no sample is enough.
pub fn fixed_size(
    tolerable: Rate,
    confidence: Rate,
    population: Option<u64>,
    allowed: u64,
) -> Result<u64, AuditError> {
    check_rates(tolerable, confidence)?;
    AuditError::check_counts(allowed, population)?;
    let risk = risk(confidence);
    match population {
        None => {
            least(allowed + 1, SAMPLE_MAX, |sample| binomial(allowed, sample, tolerable).is_at_most(risk))
                .ok_or(AuditError::TooLarge)
        }
        Some(population) => {
            let intolerable = intolerable_count(tolerable, population);
            if allowed >= intolerable {
                return Err(AuditError::Allowed { allowed, intolerable, population });
            }
            least(allowed + 1, population.min(SAMPLE_MAX), |sample| {
                hypergeometric(allowed, sample, intolerable, population).is_at_most(risk)
            })
            .ok_or(AuditError::TooLarge)
        }
    }
}

/// The least number of exceptions among `population` decisions that is not tolerable: the tolerable rate of them, rounded up.
#[must_use]
pub fn intolerable_count(tolerable: Rate, population: u64) -> u64 {
    let product = u128::from(tolerable.billionths()) * u128::from(population);
    // A rate is at most the whole, so the quotient is at most the population.
    u64::try_from(product.div_ceil(u128::from(Rate::WHOLE))).unwrap_or(population)
}

/// The chance that may be left for being wrong.
pub(super) fn risk(confidence: Rate) -> Wide {
    Wide::ratio(confidence.rest().billionths(), Rate::WHOLE)
}

pub(super) const fn check_rates(tolerable: Rate, confidence: Rate) -> Result<(), AuditError> {
    if !tolerable.is_open() {
        return Err(AuditError::Open { name: "tolerable rate" });
    }
    if !confidence.is_open() {
        return Err(AuditError::Open { name: "confidence" });
    }
    Ok(())
}

/// The least number from `low` to `high` that is `enough`, where every number above an enough one is enough, too.
pub(super) fn least(low: u64, high: u64, enough: impl Fn(u64) -> bool) -> Option<u64> {
    // Doubling first: what is asked for is small in the interval, and a small number is answered faster.
    let (mut below, mut step) = (low, 1);
    while below <= high {
        let probe = below.saturating_add(step - 1).min(high);
        if enough(probe) {
            let mut above = probe;
            while below < above {
                let middle = below.midpoint(above);
                if enough(middle) {
                    above = middle;
                } else {
                    below = middle + 1;
                }
            }
            return Some(above);
        }
        below = probe + 1;
        step *= 2;
    }
    None
}
