//! How fast a run goes, and how long it will still take. Time is an argument.

use std::collections::VecDeque;

/// The window that is looked at.
const WINDOW_MS: u64 = 30_000;

/// The least time between two points that are kept.
const STEP_MS: u64 = 500;

/// How far a run was, and when.
#[derive(Debug, Default)]
pub(super) struct Pace {
    points: VecDeque<(u64, u64)>,
}

impl Pace {
    /// At `now_ms` so many things are done.
    pub(super) fn note(&mut self, now_ms: u64, done: u64) {
        if self.points.back().is_none_or(|(last, _)| now_ms.saturating_sub(*last) >= STEP_MS) {
            self.points.push_back((now_ms, done));
        }
        while self.points.len() > 2
            && self.points.front().is_some_and(|(first, _)| now_ms.saturating_sub(*first) > WINDOW_MS)
        {
            self.points.pop_front();
        }
    }

    /// Things a second over the window; 0 while that is not known.
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    pub(super) fn per_second(&self) -> f64 {
        let (Some((first, from)), Some((last, to))) = (self.points.front(), self.points.back()) else {
            return 0.0;
        };
        if last <= first { 0.0 } else { (to - from) as f64 * 1000.0 / (last - first) as f64 }
    }

    /// Seconds for `left` more things.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a time for people; a float that is too large becomes the largest integer"
    )]
    pub(super) fn seconds_left(&self, left: u64) -> Option<u64> {
        let rate = self.per_second();
        (rate > 0.0).then(|| (left as f64 / rate).ceil() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_run_has_its_rate_and_its_end() {
        let mut pace = Pace::default();
        assert_eq!((pace.per_second(), pace.seconds_left(10)), (0.0, None));
        for second in 0..100 {
            pace.note(second * 1000, second * 50);
        }
        assert_eq!((pace.per_second(), pace.seconds_left(101)), (50.0, Some(3)));
        assert!(pace.points.len() <= 32, "{}", pace.points.len());
    }

    #[test]
    fn what_lies_behind_the_window_does_not_count() {
        let mut pace = Pace::default();
        pace.note(0, 0);
        pace.note(1000, 1_000_000);
        for second in 2..60 {
            pace.note(second * 1000, 1_000_000 + second * 10);
        }
        assert_eq!(pace.per_second(), 10.0);
    }

    #[test]
    fn a_standstill_has_no_end() {
        let mut pace = Pace::default();
        pace.note(0, 5);
        pace.note(0, 5);
        pace.note(900, 5);
        assert_eq!((pace.per_second(), pace.seconds_left(1)), (0.0, None));
    }
}
