//! What a sample says of all the decisions it was drawn from: the highest rate of exceptions that it leaves possible.

use super::size::{least, risk};
use super::tail::{binomial, hypergeometric};
use super::{AuditError, Rate};

/// The highest rate that a sample leaves possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// The rate, rounded up to a billionth.
    pub rate: Rate,
    /// Where the population is known, the number of exceptions in it, those found included.
    pub count: Option<u64>,
}

/// The exact upper bound of the rate of exceptions: Clopper and Pearson's (one-sided) for independent draws, the
/// hypergeometric one where the population is given. A log with a rate above it shows as few exceptions as were found with a
/// chance of at most 1 - `confidence`.
///
/// The rate is the least whole number of billionths that is refuted, where a chance that differs from 1 - `confidence` by less than
/// 2^-38 of it counts as equal to it (`wide`).
///
/// # Errors
/// The confidence is not strictly between 0 % and 100 %, or the counts contradict each other or pass a limit.
pub fn upper_bound(
    sample: u64,
    exceptions: u64,
    population: Option<u64>,
    confidence: Rate,
) -> Result<Bound, AuditError> {
    if !confidence.is_open() {
        return Err(AuditError::Open { name: "confidence" });
    }
    AuditError::check_sample(sample, exceptions, population)?;
    let risk = risk(confidence);
    let Some(population) = population else {
        let billionths = least(0, Rate::WHOLE, |billionths| {
            Rate::from_billionths(billionths)
                .is_some_and(|rate| binomial(exceptions, sample, rate).is_at_most(risk))
        });
        let rate = billionths.and_then(Rate::from_billionths).unwrap_or(Rate::NONE.rest());
        return Ok(Bound { rate, count: None });
    };
    // Every decision that was drawn and is no exception is good, so more than this cannot be.
    let most = population - (sample - exceptions);
    let refuted = least(exceptions + 1, most, |bad| {
        hypergeometric(exceptions, sample, bad, population).is_at_most(risk)
    });
    let count = refuted.map_or(most, |refuted| refuted - 1);
    let billionths = (u128::from(count) * u128::from(Rate::WHOLE)).div_ceil(u128::from(population));
    let rate = u64::try_from(billionths).ok().and_then(Rate::from_billionths);
    Ok(Bound { rate: rate.unwrap_or(Rate::NONE.rest()), count: Some(count) })
}
