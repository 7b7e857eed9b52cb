//! What the sidecar counts, and the Prometheus text that says so.
//!
//! Guarantees: a label is a route's name from the configuration, a status code or what a gate did, never anything a caller or a model
//! sent (INV-8), so the number of series is bounded by the configuration. One registry per sidecar, handed down; no
//! process-wide state.
//! Does not do: deciding what is worth an alert.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ledgerstone::code::Code;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter, MeterProvider as _, UpDownCounter};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::{Encoder as _, TextEncoder};

/// Bounds of the duration histograms in seconds: from a fast local disk's sync to a caller's patience.
const SECONDS: [f64; 14] =
    [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// Bounds of the batch size histogram: powers of two up to `limits::BATCH_ENTRIES_MAX`.
const ENTRIES: [f64; 11] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0];

/// The instruments of one sidecar; a clone counts into the same ones.
#[derive(Clone)]
pub struct Metrics(Arc<Instruments>);

struct Instruments {
    registry: prometheus::Registry,
    /// Keeps the pipeline from the instruments to the registry alive.
    provider: SdkMeterProvider,
    meter: Meter,
    decisions: Counter<u64>,
    in_flight: UpDownCounter<i64>,
    gate: Counter<u64>,
    model_changed: Counter<u64>,
    model_declared_other: Counter<u64>,
    append: Histogram<f64>,
    batch: Histogram<u64>,
    sync: Histogram<f64>,
}

impl Metrics {
    /// Builds the instruments with a registry of their own.
    ///
    /// # Errors
    /// [`MetricsError::Registry`] if the registry refuses them, which would be a defect.
    pub fn new() -> Result<Self, MetricsError> {
        let registry = prometheus::Registry::new();
        let exporter = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .scope_info_enabled(false)
            .without_target_info()
            .build()
            .map_err(|_| MetricsError::Registry)?;
        let provider = SdkMeterProvider::builder().with_reader(exporter).build();
        let meter = provider.meter("ledgerstone");
        let seconds = |name: &'static str, what: &'static str| {
            let builder = meter.f64_histogram(name).with_unit("s").with_description(what);
            builder.with_boundaries(SECONDS.to_vec()).build()
        };
        Ok(Self(Arc::new(Instruments {
            decisions: meter
                .u64_counter("ledgerstone_decisions")
                .with_description("Decisions recorded, by route and by the status code that the caller got")
                .build(),
            in_flight: meter
                .i64_up_down_counter("ledgerstone_in_flight")
                .with_description("Requests seen and not yet recorded")
                .build(),
            gate: meter
                .u64_counter("ledgerstone_gate")
                .with_description("Decisions of routes with a policy gate, by what its rules did")
                .build(),
            model_changed: meter
                .u64_counter("ledgerstone_model_changed")
                .with_description("Times that the files of a route's model were found changed")
                .build(),
            model_declared_other: meter
                .u64_counter("ledgerstone_model_declared_other")
                .with_description(
                    "Answers that declare another model than the one on disk or in the configuration",
                )
                .build(),
            append: seconds(
                "ledgerstone_append_duration",
                "From handing an entry to the log until it is durable and signed",
            ),
            batch: meter
                .u64_histogram("ledgerstone_batch_entries")
                .with_description("Entries made durable by one fdatasync")
                .with_boundaries(ENTRIES.to_vec())
                .build(),
            sync: seconds("ledgerstone_fdatasync_duration", "Duration of one fdatasync of the journal"),
            registry,
            provider,
            meter,
        })))
    }

    /// Counts a recorded decision. `route` is the name from the configuration.
    pub fn decision(&self, route: &str, code: tonic::Code) {
        let labels = [KeyValue::new("route", route.to_owned()), KeyValue::new("code", code_name(code))];
        self.0.decisions.add(1, &labels);
    }

    /// Counts what the policy gate of a route did with a decision.
    pub(crate) fn gate(&self, route: &str, effect: &'static str) {
        let labels = [KeyValue::new("route", route.to_owned()), KeyValue::new("effect", effect)];
        self.0.gate.add(1, &labels);
    }

    /// Counts a change of the files of a route's model.
    pub(crate) fn model_changed(&self, route: &str) {
        self.0.model_changed.add(1, &[KeyValue::new("route", route.to_owned())]);
    }

    /// Counts an answer that declares another model than the one served.
    pub(crate) fn model_declared_other(&self, route: &str) {
        self.0.model_declared_other.add(1, &[KeyValue::new("route", route.to_owned())]);
    }

    /// Counts a request as in flight until the guard is dropped.
    #[must_use]
    pub fn in_flight(&self) -> InFlight {
        self.0.in_flight.add(1, &[]);
        InFlight(self.clone())
    }

    /// Notes how long one append took, from hand-over to answer.
    pub fn append(&self, took: Duration) {
        self.0.append.record(took.as_secs_f64(), &[]);
    }

    /// Notes one committed batch and how long its `fdatasync` took.
    pub fn batch(&self, entries: usize, sync: Duration) {
        self.0.batch.record(u64::try_from(entries).unwrap_or(u64::MAX), &[]);
        self.0.sync.record(sync.as_secs_f64(), &[]);
    }

    /// Adds a gauge that is read whenever somebody asks for the metrics.
    pub fn gauge(
        &self,
        name: &'static str,
        what: &'static str,
        read: impl Fn() -> u64 + Send + Sync + 'static,
    ) {
        let builder = self.0.meter.u64_observable_gauge(name).with_description(what);
        _ = builder.with_callback(move |observer| observer.observe(read(), &[])).build();
    }

    /// Adds a gauge with a value for each route, read whenever somebody asks for the metrics.
    pub(crate) fn gauge_by_route(
        &self,
        name: &'static str,
        what: &'static str,
        read: impl Fn() -> Vec<(String, u64)> + Send + Sync + 'static,
    ) {
        self.series(name, what, move || {
            read().into_iter().map(|(route, value)| (vec![KeyValue::new("route", route)], value)).collect()
        });
    }

    /// Adds a gauge with a value for each set of labels, read whenever somebody asks for the metrics.
    pub(crate) fn series(
        &self,
        name: &'static str,
        what: &'static str,
        read: impl Fn() -> Vec<(Vec<KeyValue>, u64)> + Send + Sync + 'static,
    ) {
        let builder = self.0.meter.u64_observable_gauge(name).with_description(what);
        let observed = builder.with_callback(move |observer| {
            read().iter().for_each(|(labels, value)| observer.observe(*value, labels));
        });
        _ = observed.build();
    }

    /// Adds a counter with a value for each set of labels, read whenever somebody asks for the metrics.
    pub(crate) fn counted_series(
        &self,
        name: &'static str,
        what: &'static str,
        read: impl Fn() -> Vec<(Vec<KeyValue>, u64)> + Send + Sync + 'static,
    ) {
        let builder = self.0.meter.u64_observable_counter(name).with_description(what);
        let observed = builder.with_callback(move |observer| {
            read().iter().for_each(|(labels, value)| observer.observe(*value, labels));
        });
        _ = observed.build();
    }

    /// Everything as Prometheus text, version 0.0.4.
    ///
    /// # Errors
    /// [`MetricsError::Encoding`] if a metric cannot be written as text, which would be a defect.
    pub fn render(&self) -> Result<String, MetricsError> {
        let mut text = Vec::new();
        let families = self.0.registry.gather();
        TextEncoder::new().encode(&families, &mut text).map_err(|_| MetricsError::Encoding)?;
        String::from_utf8(text).map_err(|_| MetricsError::Encoding)
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").field("provider", &self.0.provider).finish_non_exhaustive()
    }
}

/// A request in flight; dropping it says that it no longer is.
#[derive(Debug)]
pub struct InFlight(Metrics);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.0.in_flight.add(-1, &[]);
    }
}

/// Why metrics cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MetricsError {
    /// The registry refused the instruments.
    #[error("the metrics registry refused an instrument; report this")]
    Registry,
    /// A metric cannot be written as text.
    #[error("the metrics cannot be written as text; report this")]
    Encoding,
}

impl MetricsError {
    /// What the reader must do about it.
    #[must_use]
    pub const fn code(self) -> Code {
        Code::Internal
    }
}

/// The name of a gRPC status code as the gRPC specification writes it.
#[must_use]
pub const fn code_name(code: tonic::Code) -> &'static str {
    match code {
        tonic::Code::Ok => "OK",
        tonic::Code::Cancelled => "CANCELLED",
        tonic::Code::Unknown => "UNKNOWN",
        tonic::Code::InvalidArgument => "INVALID_ARGUMENT",
        tonic::Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        tonic::Code::NotFound => "NOT_FOUND",
        tonic::Code::AlreadyExists => "ALREADY_EXISTS",
        tonic::Code::PermissionDenied => "PERMISSION_DENIED",
        tonic::Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        tonic::Code::FailedPrecondition => "FAILED_PRECONDITION",
        tonic::Code::Aborted => "ABORTED",
        tonic::Code::OutOfRange => "OUT_OF_RANGE",
        tonic::Code::Unimplemented => "UNIMPLEMENTED",
        tonic::Code::Internal => "INTERNAL",
        tonic::Code::Unavailable => "UNAVAILABLE",
        tonic::Code::DataLoss => "DATA_LOSS",
        tonic::Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value of the one series that starts with `series`.
    fn value(text: &str, series: &str) -> f64 {
        let mut lines = text.lines().filter_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        let value = lines.next().unwrap_or_else(|| panic!("no series {series} in\n{text}"));
        assert_eq!(lines.next(), None, "{series} stands there twice");
        value.parse().unwrap()
    }

    #[test]
    fn says_in_prometheus_text_what_was_counted() {
        let metrics = Metrics::new().unwrap();
        metrics.decision("loans", tonic::Code::Ok);
        metrics.decision("loans", tonic::Code::Ok);
        metrics.decision("loans", tonic::Code::Unavailable);
        metrics.append(Duration::from_millis(2));
        metrics.batch(3, Duration::from_micros(200));
        metrics.gauge("ledgerstone_tree_size", "Leaves", || 7);
        let waiting = metrics.in_flight();
        let text = metrics.render().unwrap();
        assert!((value(&text, r#"ledgerstone_decisions_total{code="OK",route="loans"}"#) - 2.0).abs() < 1e-9);
        let refused = value(&text, r#"ledgerstone_decisions_total{code="UNAVAILABLE",route="loans"}"#);
        assert!((refused - 1.0).abs() < 1e-9);
        assert!(
            (value(&text, r#"ledgerstone_append_duration_seconds_bucket{le="0.0025"}"#) - 1.0).abs() < 1e-9
        );
        assert!(value(&text, r#"ledgerstone_append_duration_seconds_bucket{le="0.001"}"#).abs() < 1e-9);
        assert!((value(&text, "ledgerstone_batch_entries_sum") - 3.0).abs() < 1e-9);
        assert!((value(&text, "ledgerstone_fdatasync_duration_seconds_sum") - 0.000_2).abs() < 1e-9);
        assert!((value(&text, "ledgerstone_tree_size") - 7.0).abs() < 1e-9);
        assert!((value(&text, "ledgerstone_in_flight") - 1.0).abs() < 1e-9);
        drop(waiting);
        assert!(value(&metrics.render().unwrap(), "ledgerstone_in_flight").abs() < 1e-9);
    }

    #[test]
    fn two_sidecars_in_one_process_count_apart() {
        let (one, other) = (Metrics::new().unwrap(), Metrics::new().unwrap());
        one.batch(1, Duration::ZERO);
        assert!(one.render().unwrap().contains("ledgerstone_batch_entries_count 1"));
        assert!(!other.render().unwrap().contains("ledgerstone_batch_entries_count"));
    }
}
