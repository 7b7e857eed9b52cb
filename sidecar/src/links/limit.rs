//! How often something may happen: so many at once, and so many a second in the long run.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// A bucket of permissions that fills at a steady rate.
#[derive(Debug)]
pub(super) struct Bucket {
    per_second: f64,
    burst: f64,
    left: Mutex<(f64, Option<Instant>)>,
}

impl Bucket {
    /// A full bucket of `burst`, which gets `per_second` back.
    pub(super) const fn new(per_second: f64, burst: f64) -> Self {
        Self { per_second, burst, left: Mutex::new((burst, None)) }
    }

    /// Takes one permission at the time `now`, if one is left.
    pub(super) fn takes(&self, now: Instant) -> bool {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let (level, last) = *left;
        let since = last.map_or(0.0, |last| now.saturating_duration_since(last).as_secs_f64());
        let level = (level + since * self.per_second).min(self.burst);
        let granted = level >= 1.0;
        *left = (if granted { level - 1.0 } else { level }, Some(now));
        granted
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_is_granted_then_no_more_than_the_rate() {
        let (bucket, start) = (Bucket::new(2.0, 3.0), Instant::now());
        assert_eq!((0..5).filter(|_| bucket.takes(start)).count(), 3);
        assert!(!bucket.takes(start + Duration::from_millis(400)));
        assert!(bucket.takes(start + Duration::from_millis(900)));
        assert!(!bucket.takes(start + Duration::from_millis(900)));
        let later = start + Duration::from_secs(3600);
        assert_eq!((0..9).filter(|_| bucket.takes(later)).count(), 3, "it never holds more than the burst");
    }
}
