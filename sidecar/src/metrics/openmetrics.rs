//! Metrics as OpenMetrics text, which unlike the Prometheus text format can name the trace of a measurement.
//!
//! Guarantees: the series are those of the Prometheus text, by the same names and labels. Implements OpenMetrics 1.0 (`text` encoding) for
//! counters, gauges and histograms, which are all there is. Does not do: timestamps and `_created` series, which are optional.

use std::fmt::Write as _;

use prometheus::proto::{LabelPair, Metric, MetricFamily, MetricType};

use super::exemplars::{Exemplar, Exemplars};

/// What a counter's samples end with, and its family does not.
const TOTAL: &str = "_total";

pub(super) fn render(families: &[MetricFamily], exemplars: &Exemplars) -> String {
    let mut text = Text(String::new());
    for family in families {
        text.family(family, exemplars);
    }
    text.0.push_str("# EOF\n");
    text.0
}

struct Text(String);

impl Text {
    fn family(&mut self, family: &MetricFamily, exemplars: &Exemplars) {
        let (name, kind) = match family.get_field_type() {
            MetricType::COUNTER => (family.name().strip_suffix(TOTAL).unwrap_or(family.name()), "counter"),
            MetricType::HISTOGRAM => (family.name(), "histogram"),
            _ => (family.name(), "gauge"),
        };
        let help = escaped(family.help());
        // Writing to a string does not fail.
        _ = write!(self.0, "# TYPE {name} {kind}\n# HELP {name} {help}\n");
        for metric in family.get_metric() {
            match family.get_field_type() {
                MetricType::COUNTER => {
                    self.sample(name, TOTAL, metric, None, metric.get_counter().get_value(), None);
                }
                MetricType::HISTOGRAM => self.histogram(name, metric, exemplars),
                _ => self.sample(name, "", metric, None, metric.get_gauge().get_value(), None),
            }
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "the format counts in binary64")]
    fn histogram(&mut self, name: &str, metric: &Metric, exemplars: &Exemplars) {
        let histogram = metric.get_histogram();
        let route = metric.get_label().iter().find(|label| label.name() == "route").map(LabelPair::value);
        let count = histogram.get_sample_count() as f64;
        let finite = histogram.get_bucket().iter().filter(|bucket| bucket.upper_bound().is_finite());
        let buckets = finite.map(|bucket| (bucket.upper_bound(), bucket.cumulative_count() as f64));
        for (place, (bound, below)) in buckets.chain([(f64::INFINITY, count)]).enumerate() {
            let exemplar = exemplars.of(name, route, place);
            self.sample(name, "_bucket", metric, Some(bound), below, exemplar);
        }
        self.sample(name, "_count", metric, None, count, None);
        self.sample(name, "_sum", metric, None, histogram.get_sample_sum(), None);
    }

    fn sample(
        &mut self,
        name: &str,
        suffix: &str,
        metric: &Metric,
        bound: Option<f64>,
        value: f64,
        exemplar: Option<Exemplar>,
    ) {
        let labels = metric.get_label().iter().map(|label| (label.name(), escaped(label.value())));
        let bound = bound.map(|bound| ("le", number(bound)));
        let labels: Vec<String> =
            labels.chain(bound).map(|(name, value)| format!("{name}=\"{value}\"")).collect();
        self.0.push_str(name);
        self.0.push_str(suffix);
        if !labels.is_empty() {
            _ = write!(self.0, "{{{}}}", labels.join(","));
        }
        _ = write!(self.0, " {}", number(value));
        if let Some(Exemplar { seen, seconds, at }) = exemplar {
            let (trace, span) = (seen.trace, seen.span);
            let (at, seconds) = (at.as_secs_f64(), number(seconds));
            _ = write!(self.0, " # {{trace_id=\"{trace}\",span_id=\"{span}\"}} {seconds} {at:.3}");
        }
        self.0.push('\n');
    }
}

/// A number as the format has it: whole ones with ".0", which makes `le` canonical.
fn number(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    format!("{value:?}")
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use opentelemetry::trace::{SpanId, TraceId};

    use crate::metrics::Metrics;
    use crate::telemetry::Seen;

    fn seen(byte: u8) -> Option<Seen> {
        Some(Seen { trace: TraceId::from_bytes([byte; 16]), span: SpanId::from_bytes([byte; 8]) })
    }

    #[test]
    fn names_the_trace_of_the_newest_measurement_of_each_bucket() {
        let metrics = Metrics::new().unwrap();
        metrics.decided("loans", Duration::from_millis(2), seen(1));
        metrics.decided("loans", Duration::from_micros(2_200), seen(2));
        metrics.decided("loans", Duration::from_secs(60), seen(3));
        metrics.decided("cards", Duration::from_millis(2), None);
        metrics.append(Duration::from_millis(1), seen(4));
        let text = metrics.render_open();
        let line = |start: &str| {
            text.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{text}"))
        };
        let two = line("ledgerstone_decision_duration_seconds_bucket{route=\"loans\",le=\"0.0025\"}");
        let id = "02".repeat(8);
        assert!(two.contains(&format!(" 2.0 # {{trace_id=\"{id}{id}\",span_id=\"{id}\"}} 0.0022 ")), "{two}");
        let last = line("ledgerstone_decision_duration_seconds_bucket{route=\"loans\",le=\"+Inf\"}");
        assert!(last.contains(&"03".repeat(16)), "{last}");
        assert!(
            !line("ledgerstone_decision_duration_seconds_bucket{route=\"cards\",le=\"0.0025\"}")
                .contains('#')
        );
        assert!(line("ledgerstone_append_duration_seconds_bucket{le=\"0.001\"}").contains(&"04".repeat(16)));
        assert!(!metrics.render().unwrap().contains("trace_id"));
    }

    #[test]
    fn says_the_same_as_the_prometheus_text() {
        let metrics = Metrics::new().unwrap();
        metrics.decision("loans", tonic::Code::Ok);
        metrics.batch(3, Duration::from_millis(1));
        metrics.gauge("ledgerstone_tree_size", "Leaves \\ \"quoted\"\nand more", || 7);
        let open = metrics.render_open();
        assert!(open.ends_with("\n# EOF\n"));
        assert!(open.contains("# TYPE ledgerstone_decisions counter\n"));
        assert!(open.contains("# HELP ledgerstone_tree_size Leaves \\\\ \\\"quoted\\\"\\nand more\n"));
        let samples = |text: &str| -> Vec<(String, f64)> {
            let lines = text.lines().filter(|line| !line.starts_with('#'));
            let mut all: Vec<_> = lines
                .map(|line| {
                    let (name, value) = line.rsplit_once(' ').unwrap();
                    // "1" and "1.0" are one bound.
                    (name.replace(".0\"}", "\"}"), value.parse().unwrap())
                })
                .collect();
            all.sort_by(|one: &(String, f64), other| one.0.cmp(&other.0));
            all
        };
        assert_eq!(samples(&open), samples(&metrics.render().unwrap()));
    }
}
