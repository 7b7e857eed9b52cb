//! How often each caller may call: so many at once, and so many a second in the long run.
//!
//! Guarantees: no lock, and memory that is the same for one caller and for a million; a caller's place is found by a hash under a secret of this
//! process, so nobody can choose to share somebody's. A place is given to somebody else only when it says no more than
//! an empty one. Where all places of a caller are taken by others they share one: such a caller may be refused early, never late.
//! Implements the generic cell rate algorithm (ITU-T I.371, annex A): one number a caller, the time at which the next call would be on schedule.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hash};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Places of one limit: 16 bytes each make 256 KiB.
const PLACES: usize = 16 * 1024;

/// Places that one caller may have.
const WAYS: usize = 8;

/// How often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// A second, in the long run.
    pub per_second: u32,
    /// At once.
    pub burst: u32,
}

impl Rate {
    /// Reads `20/s`, or `20/s, burst 100`; without a burst it is what a second gives.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (rate, burst) = match text.split_once(',') {
            None => (text, None),
            Some((rate, burst)) => (rate, Some(burst.trim().strip_prefix("burst ")?.trim())),
        };
        let number = |text: &str| {
            let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            let number = plain.then(|| text.parse::<u32>().ok()).flatten()?;
            (1..=1_000_000).contains(&number).then_some(number)
        };
        let per_second = number(rate.trim().strip_suffix("/s")?)?;
        let burst = burst.map_or(Some(per_second), number)?;
        Some(Self { per_second, burst })
    }
}

/// A limit for each of any number of callers.
pub struct Limit {
    /// Nanoseconds that one call takes from the schedule.
    step: u64,
    /// Nanoseconds that a caller may be ahead of it.
    ahead: u64,
    began: Instant,
    secret: RandomState,
    places: Box<[Place]>,
}

/// A caller, as a hash that is not zero, and when their next call would be on schedule, in nanoseconds since the beginning.
#[derive(Default)]
struct Place {
    whose: AtomicU64,
    next: AtomicU64,
}

impl Limit {
    /// Each caller may call as often as `rate` says.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        let step = 1_000_000_000 / u64::from(rate.per_second.max(1));
        Self {
            step,
            ahead: step.saturating_mul(u64::from(rate.burst.saturating_sub(1))),
            began: Instant::now(),
            secret: RandomState::new(),
            places: (0..PLACES).map(|_| Place::default()).collect(),
        }
    }

    /// Takes one call of `caller` at the time `at`.
    ///
    /// # Errors
    /// How long to wait before the next one.
    pub fn take(&self, caller: impl Hash, at: Instant) -> Result<(), Duration> {
        let hash = self.secret.hash_one(caller).max(1);
        let now = u64::try_from(at.saturating_duration_since(self.began).as_nanos()).unwrap_or(u64::MAX);
        let Some(place) = self.place(hash, now) else { return Ok(()) };
        let mut next = place.next.load(Ordering::Relaxed);
        loop {
            let due = next.max(now);
            if due - now > self.ahead {
                return Err(Duration::from_nanos(due - now - self.ahead));
            }
            let then = due.saturating_add(self.step);
            match place.next.compare_exchange_weak(next, then, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Ok(()),
                Err(other) => next = other,
            }
        }
    }

    /// The caller's place; there is always one.
    fn place(&self, hash: u64, now: u64) -> Option<&Place> {
        let sets = (PLACES / WAYS) as u64;
        let first = usize::try_from(hash % sets).unwrap_or(0) * WAYS;
        let ways = self.places.get(first..first + WAYS)?;
        if let Some(own) = ways.iter().find(|place| place.whose.load(Ordering::Relaxed) == hash) {
            return Some(own);
        }
        let free = ways.iter().find(|place| {
            let whose = place.whose.load(Ordering::Relaxed);
            (whose == 0 || place.next.load(Ordering::Relaxed) <= now)
                && place.whose.compare_exchange(whose, hash, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        });
        // Which one is shared differs from caller to caller.
        free.or_else(|| ways.get(usize::try_from(hash >> 32).unwrap_or(0) % WAYS))
    }
}

impl std::fmt::Debug for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Limit").field("step", &self.step).field("ahead", &self.ahead).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_granted_then_no_more_than_the_rate_and_the_wait_is_said() {
        let (limit, start) = (Limit::new(Rate { per_second: 10, burst: 3 }), Instant::now());
        let granted = |at| (0..9).filter(|_| limit.take("a", at).is_ok()).count();
        assert_eq!(granted(start), 3);
        let wait = limit.take("a", start).unwrap_err();
        assert!(wait <= Duration::from_millis(100) && wait > Duration::from_millis(99), "{wait:?}");
        assert_eq!(granted(start + Duration::from_millis(99)), 0);
        assert_eq!(granted(start + Duration::from_millis(201)), 2);
        assert_eq!(granted(start + Duration::from_secs(3600)), 3, "it never grants more than the burst");
        assert!(limit.take("b", start).is_ok(), "another caller is not held up");
    }

    #[test]
    fn a_crowd_takes_no_more_memory_and_the_next_caller_is_served_once_it_is_gone() {
        let (limit, start) = (Limit::new(Rate { per_second: 1, burst: 1 }), Instant::now());
        let served = (0..200_000).filter(|n| limit.take(n, start).is_ok()).count();
        // Each place serves one of the crowd, and none serves two in a second.
        assert_eq!(served, PLACES);
        assert!(limit.take("late", start + Duration::from_secs(2)).is_ok());
        assert!(limit.take("late", start + Duration::from_secs(2)).is_err());
    }

    #[test]
    fn many_at_once_get_what_one_would() {
        let (limit, at) = (Limit::new(Rate { per_second: 1, burst: 1000 }), Instant::now());
        let granted: usize = std::thread::scope(|scope| {
            let caller = || (0..1000).filter(|_| limit.take(7, at).is_ok()).count();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(caller)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(granted, 1000);
    }

    #[test]
    fn a_rate_says_its_unit() {
        let rate = |per_second, burst| Some(Rate { per_second, burst });
        assert_eq!(Rate::parse("20/s"), rate(20, 20));
        assert_eq!(Rate::parse("20/s, burst 100"), rate(20, 100));
        for text in [
            "",
            "20",
            "/s",
            "0/s",
            "20/m",
            "-1/s",
            "+1/s",
            "20/s burst 3",
            "20/s, burst",
            "20/s, burst 0",
            "1e3/s",
            "2000000/s",
        ] {
            assert_eq!(Rate::parse(text), None, "{text}");
        }
    }
}
