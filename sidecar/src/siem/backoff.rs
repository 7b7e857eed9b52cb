//! How long to wait before the next attempt at a sink that fails.
//!
//! Guarantees: the time doubles from [`FIRST`] to the bound; half of it is drawn, so that sidecars that failed together do not come
//! back together; it never exceeds the bound.

use std::time::Duration;

/// Before the second attempt.
const FIRST: Duration = Duration::from_millis(250);

/// The waiting times of one sink.
#[derive(Debug)]
pub(super) struct Backoff {
    max: Duration,
    failures: u32,
}

impl Backoff {
    pub(super) const fn new(max: Duration) -> Self {
        Self { max, failures: 0 }
    }

    /// Starts again: an attempt went well.
    pub(super) const fn reset(&mut self) {
        self.failures = 0;
    }

    /// The time until the next attempt; `drawn` is any number. `at_once`: whether waiting may help at all.
    pub(super) fn next(&mut self, may_pass: bool, drawn: u16) -> Duration {
        let doubled = FIRST.saturating_mul(1_u32.checked_shl(self.failures).unwrap_or(u32::MAX));
        self.failures = self.failures.saturating_add(1).min(31);
        let whole = if may_pass { doubled.min(self.max) } else { self.max };
        let half = whole / 2;
        half + half.mul_f64(f64::from(drawn) / f64::from(u16::MAX))
    }
}

/// A number that nobody else draws at the same time; 0 where the operating system has none, which only costs the difference.
pub(super) fn draw() -> u16 {
    let mut bytes = [0; 2];
    _ = getrandom::fill(&mut bytes);
    u16::from_be_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_longer_each_time_and_never_longer_than_the_bound() {
        let max = Duration::from_secs(60);
        let mut backoff = Backoff::new(max);
        let mut before = Duration::ZERO;
        for n in 0..40 {
            let next = backoff.next(true, u16::MAX);
            assert!(next >= before && next <= max, "{n}: {next:?}");
            before = next;
        }
        assert_eq!(before, max);
        assert_eq!(backoff.next(true, 0), max / 2, "half of it is drawn");
        backoff.reset();
        assert_eq!(backoff.next(true, 0), FIRST / 2);
        assert_eq!(backoff.next(false, u16::MAX), max, "what waiting does not mend is tried seldom");
    }

    #[test]
    fn a_bound_below_the_first_time_holds() {
        assert_eq!(Backoff::new(Duration::from_millis(10)).next(true, u16::MAX), Duration::from_millis(10));
    }
}
