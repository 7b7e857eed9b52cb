//! One look at the admin port, and what two of them say.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::admin::exposition::{EXPOSITION_BYTES_MAX, Exposition};
use crate::admin::{STATUS_BYTES_MAX, Sink, Status, sinks, status};
use crate::exit::Refusal;
use crate::source::{Source as _, Web};

/// Looks that the strip of decisions goes back.
pub(super) const STRIP: usize = 60;

/// One look.
pub(super) struct Sample {
    pub(super) at: Instant,
    pub(super) metrics: Exposition,
    /// Or why it is not told.
    pub(super) status: Result<Status, String>,
    /// Or why they are not told.
    pub(super) sinks: Result<Vec<Sink>, String>,
}

impl Sample {
    /// Asks for everything.
    ///
    /// # Errors
    /// The metrics cannot be had, or are none.
    pub(super) fn take(web: &Web) -> Result<Self, Refusal> {
        let metrics = Exposition::parse(&web.read("metrics", EXPOSITION_BYTES_MAX)?).map_err(|error| {
            Refusal::malformed(
                format_args!("{} answers with no metrics: {error}", web.label()),
                "Name the address of server.admin_listen.",
            )
        })?;
        let at = Instant::now();
        let page = |path| web.read(path, STATUS_BYTES_MAX).map_err(|error| error.to_string());
        let status = page("status").and_then(|bytes| status(&bytes));
        let sinks = page("siem").and_then(|bytes| sinks(&bytes));
        Ok(Self { at, metrics, status, sinks })
    }

    /// When the sidecar started, if it tells.
    fn started(&self) -> Option<u64> {
        self.status.as_ref().ok().map(|status| status.started_ms)
    }
}

/// The last two looks, and what came of trying since.
#[derive(Default)]
pub(super) struct Heard {
    /// Where it is asked.
    pub(super) url: String,
    pub(super) last: Option<Sample>,
    pub(super) before: Option<Sample>,
    /// Why the newest try told nothing.
    pub(super) lost: Option<String>,
    /// Decisions a second, newest last.
    pub(super) strip: VecDeque<f64>,
}

impl Heard {
    pub(super) fn of(url: &str) -> Self {
        Self { url: url.to_owned(), ..Self::default() }
    }

    pub(super) fn learn(&mut self, sample: Sample) {
        let started = sample.started();
        // Across a restart counts begin again, and may have come further than before it.
        self.before = self.last.replace(sample).filter(|before| before.started() == started);
        self.lost = None;
        let rate = self.rate(|metrics| metrics.sum("ledgerstone_decisions_total"));
        self.strip.extend(rate);
        while self.strip.len() > STRIP {
            self.strip.pop_front();
        }
    }

    pub(super) fn lose(&mut self, refusal: &Refusal) {
        self.lost = Some(refusal.message.clone());
    }

    /// How much a count grew a second between the last two looks; nothing across a restart, where counts begin again.
    pub(super) fn rate(&self, count: impl Fn(&Exposition) -> Option<f64>) -> Option<f64> {
        let (last, before) = (self.last.as_ref()?, self.before.as_ref()?);
        let seconds = last.at.duration_since(before.at).max(Duration::from_millis(1)).as_secs_f64();
        let grown = count(&last.metrics)? - count(&before.metrics).unwrap_or_default();
        (grown >= 0.0).then_some(grown / seconds)
    }

    /// Quantiles of a histogram over what came between the last two looks, or over everything where nothing did; the upper bound of
    /// the bucket, interpolated within it.
    pub(super) fn quantiles<const N: usize>(&self, name: &str, wanted: [f64; N]) -> Option<[f64; N]> {
        let last = buckets(&self.last.as_ref()?.metrics, name);
        let before = self.before.as_ref().map(|before| buckets(&before.metrics, name)).unwrap_or_default();
        let grown: Vec<(f64, f64)> = last
            .iter()
            .map(|(bound, count)| {
                let known = before.iter().find(|(known, _)| known == bound).map_or(0.0, |(_, count)| *count);
                (*bound, count - known)
            })
            .collect();
        let use_all =
            grown.last().is_none_or(|(_, count)| *count < 1.0) || grown.iter().any(|(_, count)| *count < 0.0);
        let counted = if use_all { last } else { grown };
        let total = counted.last().map(|(_, count)| *count).filter(|count| *count > 0.0)?;
        Some(wanted.map(|quantile| within(&counted, quantile * total)))
    }
}

/// The cumulative buckets of a histogram over all of its series, by rising bound.
fn buckets(metrics: &Exposition, name: &str) -> Vec<(f64, f64)> {
    let mut buckets: Vec<(f64, f64)> = Vec::new();
    for sample in metrics.all(&format!("{name}_bucket")) {
        let bound = match sample.label("le") {
            "+Inf" => f64::INFINITY,
            bound => match bound.parse() {
                Ok(bound) => bound,
                Err(_) => continue,
            },
        };
        match buckets.iter_mut().find(|(known, _)| *known == bound) {
            Some((_, count)) => *count += sample.value,
            None => buckets.push((bound, sample.value)),
        }
    }
    buckets.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    buckets
}

/// Where the `rank`-th of the counted lies.
fn within(buckets: &[(f64, f64)], rank: f64) -> f64 {
    let (mut low, mut below) = (0.0, 0.0);
    for (bound, count) in buckets {
        if *count >= rank {
            // The last bucket has no end: what is known is that it is more than the bound before.
            let share = if *count > below { (rank - below) / (count - below) } else { 1.0 };
            return if bound.is_finite() { low + (bound - low) * share } else { low };
        }
        (low, below) = (*bound, *count);
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(text: &str, after: u64) -> Sample {
        let metrics = Exposition::parse(text.as_bytes()).unwrap();
        // One base for all: looks are compared with each other alone.
        let at = *BASE.get_or_init(Instant::now) + Duration::from_secs(after);
        Sample { at, metrics, status: Err("-".to_owned()), sinks: Ok(Vec::new()) }
    }

    static BASE: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();

    fn heard(before: &str, last: &str) -> Heard {
        let mut heard = Heard::default();
        heard.learn(sample(before, 0));
        heard.learn(sample(last, 2));
        heard
    }

    #[test]
    fn rates_are_growth_by_time_and_nothing_across_a_restart() {
        let count = |metrics: &Exposition| metrics.sum("n_total");
        assert_eq!(heard("n_total 10", "n_total 30").rate(count), Some(10.0));
        assert_eq!(heard("x 1", "n_total{a=\"b\"} 8").rate(count), Some(4.0), "a series that is new");
        assert_eq!(heard("n_total 10", "n_total 3").rate(count), None);
        assert_eq!(heard("n_total 10", "x 1").rate(count), None);
    }

    #[test]
    fn a_sidecar_that_came_further_since_its_restart_has_no_rate() {
        let started = |ms: u64, text, after| {
            let page = format!(
                r#"{{"format":"ledgerstone-status/v1","version":"1","time_ms":9,"started_ms":{ms},"origin":"o","writer":"w","settings":
                {{"listen":{{}},"tls":false,"access":false}},"routes":[],"keys":{{"provider":"file","wanted":"k"}},"anchors":[]}}"#
            );
            Sample { status: Ok(status(page.as_bytes()).unwrap()), ..sample(text, after) }
        };
        let mut heard = Heard::default();
        heard.learn(started(1, "ledgerstone_decisions_total 10", 0));
        heard.learn(started(2, "ledgerstone_decisions_total 90", 2));
        let count = |metrics: &Exposition| metrics.sum("ledgerstone_decisions_total");
        assert_eq!((heard.rate(count), heard.strip.len()), (None, 0));
        heard.learn(started(2, "ledgerstone_decisions_total 92", 4));
        assert_eq!((heard.rate(count), heard.strip.len()), (Some(1.0), 1));
    }

    #[test]
    fn quantiles_are_of_what_came_since_the_last_look() {
        let text = |a, b, c| {
            format!("h_bucket{{le=\"0.1\"}} {a}\nh_bucket{{le=\"0.2\"}} {b}\nh_bucket{{le=\"+Inf\"}} {c}\n")
        };
        let came = heard(&text(100, 100, 100), &text(100, 110, 110));
        let [half] = came.quantiles("h", [0.5]).unwrap();
        assert!((half - 0.15).abs() < 1e-9, "{half}");
        let idle = heard(&text(10, 10, 10), &text(10, 10, 10));
        let [half, most] = idle.quantiles("h", [0.5, 1.0]).unwrap();
        assert!((half - 0.05).abs() < 1e-9 && (most - 0.1).abs() < 1e-9, "{half} {most}");
        let [late] = heard(&text(0, 0, 0), &text(0, 0, 5)).quantiles("h", [0.5]).unwrap();
        assert!((late - 0.2).abs() < 1e-9, "past the last bound only that is known: {late}");
        assert_eq!(heard("x 1", "x 1").quantiles("h", [0.5]), None);
        assert_eq!(heard(&text(0, 0, 0), &text(0, 0, 0)).quantiles("h", [0.5]), None);
    }
}
