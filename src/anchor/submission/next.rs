//! When a lane next does something of its own accord, for metrics and pages.

use super::Submission;
use crate::time::UnixMillis;

impl Submission {
    /// When it is next worth trying: after a failure the end of the wait, else the time of the next statement. None where
    /// something is under way or nothing waits.
    #[must_use]
    pub fn next_attempt(&self) -> Option<UnixMillis> {
        let waits = [&self.build, &self.submit, &self.append];
        let waits = waits.into_iter().filter_map(|backoff| backoff.wait);
        let captures = self.tried.values().filter_map(|tried| tried.capture.wait);
        let after = |(at, ms): (UnixMillis, u64)| at.plus_millis(ms);
        if let Some(next) = waits.chain(captures).map(after).min() {
            return Some(next);
        }
        let is_ahead = self.log.is_some_and(|log| log > self.course.accepted.head.size);
        let is_busy = self.course.planned.is_some() || self.building.is_some();
        let planned_at = self.course.accepted_planned_at.filter(|_| is_ahead && !is_busy)?;
        Some(planned_at.plus_millis(self.config.schedule.interval_ms))
    }
}
