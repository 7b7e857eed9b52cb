//! The chance that a sample holds no more than some number of exceptions.
//!
//! *Guarantees*: the true chance lies between the two bounds of the result, 2^-39 of it apart at most. Every term is positive and
//! comes from the one before by a product, so nothing cancels.

use super::rate::Rate;
use super::wide::Wide;

/// The chance of at most `exceptions` among `sample` independent draws, each an exception at `rate` (binomial).
pub(super) fn binomial(exceptions: u64, sample: u64, rate: Rate) -> Wide {
    let rest = rate.rest();
    if exceptions >= sample {
        return Wide::one();
    }
    if rest == Rate::NONE {
        return Wide::ZERO;
    }
    let odds = Wide::ratio(rate.billionths(), rest.billionths());
    let mut term = Wide::ratio(rest.billionths(), Rate::WHOLE).power(sample);
    let mut sum = term;
    for drawn in 0..exceptions {
        term = term.times(odds).times(Wide::ratio(sample - drawn, drawn + 1));
        sum = sum.plus(term);
    }
    sum
}

/// The chance of at most `exceptions` among `sample` draws without replacement from `population` decisions, of which `bad`
/// are exceptions (hypergeometric). `sample` and `bad` are not above `population`.
pub(super) fn hypergeometric(exceptions: u64, sample: u64, bad: u64, population: u64) -> Wide {
    if exceptions >= sample.min(bad) {
        return Wide::one();
    }
    let good = population - bad;
    // Where the good decisions do not fill the sample, it holds bad ones whatever is drawn.
    let first = sample.saturating_sub(good);
    if first > exceptions {
        return Wide::ZERO;
    }
    let mut term = if first == 0 {
        let (few, many) = (sample.min(bad), sample.max(bad));
        falling(population - many, population, few)
    } else {
        let (larger, smaller) = (sample.max(bad), sample.min(bad));
        falling(smaller, population, population - larger)
    };
    let mut sum = term;
    for drawn in first..exceptions {
        let more = Wide::ratio(bad - drawn, drawn + 1);
        // good + drawn + 1 > sample, because drawn is at least sample - good.
        let fewer = Wide::ratio(sample - drawn, good + drawn + 1 - sample);
        term = term.times(more).times(fewer);
        sum = sum.plus(term);
    }
    sum
}

/// The product of `(upper - j) / (lower - j)` for the first `factors` whole numbers j, which stay below both.
pub(super) fn falling(upper: u64, lower: u64, factors: u64) -> Wide {
    (0..factors).fold(Wide::one(), |product, j| product.times(Wide::ratio(upper - j, lower - j)))
}
