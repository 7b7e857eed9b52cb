//! What the sidecar counts, and the Prometheus text that says so.
//!
//! Guarantees: a label is a route's name from the configuration, a status code or what a gate did, never anything a caller or a model
//! sent (INV-8), so the number of series is bounded by the configuration; models are told apart by the beginning of their digests, a
//! bounded number of them. One registry per sidecar, handed down; no process-wide state. A scrape and an export over OTLP read the same instruments.
//! Does not do: deciding what is worth an alert.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use ledgerstone::code::Code;
use ledgerstone::hash::Hash;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter, MeterProvider as _, UpDownCounter};
use opentelemetry_prometheus::PrometheusExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::reader::MetricReader;
use opentelemetry_sdk::metrics::{InstrumentKind, Pipeline, SdkMeterProvider, Temporality};
use prometheus::{Encoder as _, TextEncoder};

use self::exemplars::Exemplars;
use self::gen_ai::GenAiInstruments;
use self::models::ModelLabels;
use crate::telemetry::{GenAi, Seen};

mod exemplars;
mod gen_ai;
mod models;
mod openmetrics;
mod respond;

/// Bounds of the duration histograms in seconds: from a fast local disk's sync to a caller's patience.
const SECONDS: [f64; 14] =
    [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// The histograms whose buckets name traces.
const APPEND: &str = "ledgerstone_append_duration";
const DECISION: &str = "ledgerstone_decision_duration";
const MODEL_CALL: &str = "ledgerstone_model_duration";

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
    decision: Histogram<f64>,
    model_call: Histogram<f64>,
    gen_ai: GenAiInstruments,
    outcomes: Counter<u64>,
    models: ModelLabels,
    exemplars: Exemplars,
    reader: Reader,
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
        let reader = Reader(Arc::new(exporter));
        let resource = Resource::builder_empty().build();
        let provider =
            SdkMeterProvider::builder().with_resource(resource).with_reader(reader.clone()).build();
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
            append: seconds(APPEND, "From handing an entry to the log until it is durable and signed"),
            decision: seconds(
                DECISION,
                "From the arrival of a request until its record is durable, by route; the model's time is in it",
            ),
            model_call: seconds(
                MODEL_CALL,
                "From asking the model server until its whole answer is here, by route",
            ),
            gen_ai: GenAiInstruments::new(&meter),
            outcomes: meter
                .u64_counter("ledgerstone_outcomes")
                .with_description("Persons decided about, by route, model and action")
                .build(),
            models: ModelLabels::default(),
            exemplars: Exemplars::default(),
            reader,
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

    /// Begins what alerts compare over time of a route: a series that begins with its first event would hide that one.
    pub(crate) fn begin(&self, route: &str) {
        let labels = [KeyValue::new("route", route.to_owned())];
        self.0.model_changed.add(0, &labels);
        self.0.model_declared_other.add(0, &labels);
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

    /// Notes how long one append took, from hand-over to answer, and in which trace.
    pub fn append(&self, took: Duration, seen: Option<Seen>) {
        self.0.append.record(took.as_secs_f64(), &[]);
        self.0.exemplars.note(APPEND, None, took, seen);
    }

    /// Notes how long one decision of a route took, from its arrival until its record was durable.
    pub(crate) fn decided(&self, route: &str, took: Duration, seen: Option<Seen>) {
        self.0.decision.record(took.as_secs_f64(), &[KeyValue::new("route", route.to_owned())]);
        self.0.exemplars.note(DECISION, Some(route), took, seen);
    }

    /// Notes how long the model server took.
    pub(crate) fn model_call(&self, route: &str, took: Duration, seen: Option<Seen>) {
        self.0.model_call.record(took.as_secs_f64(), &[KeyValue::new("route", route.to_owned())]);
        self.0.exemplars.note(MODEL_CALL, Some(route), took, seen);
    }

    /// Notes how long a generative model took, and the tokens that went in and came out.
    pub(crate) fn generated(
        &self,
        gen_ai: &GenAi<'_>,
        took: Duration,
        code: tonic::Code,
        tokens: [Option<u64>; 2],
    ) {
        let labels = gen_ai.attributes();
        let failed = (code != tonic::Code::Ok).then(|| KeyValue::new("error.type", code_name(code)));
        let ended: Vec<KeyValue> = labels.iter().cloned().chain(failed).collect();
        self.0.gen_ai.duration.record(took.as_secs_f64(), &ended);
        for (kind, tokens) in ["input", "output"].into_iter().zip(tokens) {
            let Some(tokens) = tokens else { continue };
            let of = labels.iter().cloned().chain([KeyValue::new("gen_ai.token.type", kind)]);
            self.0.gen_ai.tokens.record(tokens, &of.collect::<Vec<_>>());
        }
    }

    /// Counts persons that a model decided about with one outcome.
    pub(crate) fn outcomes(&self, route: &str, model: Option<Hash>, action: &'static str, persons: u64) {
        let labels = [
            KeyValue::new("route", route.to_owned()),
            KeyValue::new("model", self.0.models.label(model)),
            KeyValue::new("action", action),
        ];
        self.0.outcomes.add(persons, &labels);
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

    /// Everything as it stands now, for an export.
    pub(crate) fn snapshot(&self) -> Option<ResourceMetrics> {
        let mut metrics = ResourceMetrics::default();
        self.0.reader.collect(&mut metrics).ok().map(|()| metrics)
    }

    /// Everything as OpenMetrics text, version 1.0.0, with the traces that measurements were made in.
    #[must_use]
    pub fn render_open(&self) -> String {
        openmetrics::render(&self.0.registry.gather(), &self.0.exemplars)
    }

    /// The values of the counter `name`, each with its labels.
    pub(crate) fn counts(&self, name: &str) -> Vec<(BTreeMap<String, String>, u64)> {
        let families = self.0.registry.gather();
        let family = families.iter().filter(|family| family.name() == name);
        let series = family.flat_map(|family| family.get_metric()).map(|metric| {
            let label =
                |pair: &prometheus::proto::LabelPair| (pair.name().to_owned(), pair.value().to_owned());
            let labels = metric.get_label().iter().map(label).collect();
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a counter counts up in ones"
            )]
            let value = metric.get_counter().get_value() as u64;
            (labels, value)
        });
        series.collect()
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

/// Reads the instruments, for a scrape and for an export.
#[derive(Clone, Debug)]
struct Reader(Arc<PrometheusExporter>);

impl MetricReader for Reader {
    fn register_pipeline(&self, pipeline: Weak<Pipeline>) {
        self.0.register_pipeline(pipeline);
    }

    fn collect(&self, metrics: &mut ResourceMetrics) -> OTelSdkResult {
        self.0.collect(metrics)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn temporality(&self, kind: InstrumentKind) -> Temporality {
        self.0.temporality(kind)
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
        metrics.append(Duration::from_millis(2), None);
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
