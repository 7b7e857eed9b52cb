//! The last trace of each bucket of a latency histogram.
//!
//! Guarantees: bounded by the histograms, routes and buckets there are; nothing is kept of decisions that are not traced. Does not do:
//! choosing slow ones; each bucket keeps its newest.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::SECONDS;
use crate::telemetry::Seen;

/// One measurement and its trace.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Exemplar {
    pub(super) seen: Seen,
    pub(super) seconds: f64,
    /// Since 1970.
    pub(super) at: Duration,
}

/// One more than there are bounds: the last bucket has none.
type Buckets = [Option<Exemplar>; SECONDS.len() + 1];

/// Of each histogram, by route where it has that label.
#[derive(Debug, Default)]
pub(super) struct Exemplars(Mutex<BTreeMap<(&'static str, Option<String>), Buckets>>);

impl Exemplars {
    /// Notes a measurement that was made in a trace.
    pub(super) fn note(
        &self,
        histogram: &'static str,
        route: Option<&str>,
        took: Duration,
        seen: Option<Seen>,
    ) {
        let Some(seen) = seen else { return };
        let seconds = took.as_secs_f64();
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let bucket = SECONDS.iter().position(|bound| seconds <= *bound).unwrap_or(SECONDS.len());
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let buckets = all.entry((histogram, route.map(str::to_owned))).or_default();
        if let Some(place) = buckets.get_mut(bucket) {
            *place = Some(Exemplar { seen, seconds, at });
        }
    }

    /// The one of a bucket. `family` is the histogram's name in the text, with its unit.
    pub(super) fn of(&self, family: &str, route: Option<&str>, bucket: usize) -> Option<Exemplar> {
        let histogram = family.strip_suffix("_seconds")?;
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = all.iter().filter(|((name, of), _)| *name == histogram && of.as_deref() == route);
        *found.next()?.1.get(bucket)?
    }
}
