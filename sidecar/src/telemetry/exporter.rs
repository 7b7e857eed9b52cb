//! Export to an OpenTelemetry Collector, as the configuration wants it.
//!
//! Guarantees: without `telemetry.endpoint` nothing is prepared, sent or counted. Does not do: deciding what a span or a metric says.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanData;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::lines::LogLines;
use super::otlp::{Collector, CollectorError, Lines, Measured, Traces};
use super::queue::{self, Counts, Inlet};
use super::spans::Tracing;
use crate::config::{Config, TelemetryConfig};
use crate::metrics::Metrics;

/// What the program calls itself to a Collector, and what its log lines are of.
const NAME: &str = "ledgerstone-sidecar";

/// Exports while the sidecar runs.
#[derive(Debug, Default)]
pub struct Exporter {
    tracing: Tracing,
    lines: Mutex<Option<Inlet<LogRecord>>>,
    tasks: Vec<JoinHandle<()>>,
    ends: Option<watch::Sender<bool>>,
}

impl Exporter {
    /// Starts what `[telemetry]` wants; nothing where it names no Collector. `metrics` are what is exported, and where it is said
    /// what was not.
    ///
    /// # Errors
    /// [`CollectorError`] if a file or the address cannot be used.
    pub(crate) fn start(config: &Config, metrics: &Metrics) -> Result<Self, CollectorError> {
        let Some(telemetry) = &config.telemetry else { return Ok(Self::default()) };
        let TelemetryConfig { signals, sampling, metrics_interval, .. } = telemetry;
        let collector = Collector::new(telemetry)?;
        let resource = resource(config);
        let (ending, ends) = watch::channel(false);
        let counts = || Arc::new(Counts::default());
        let mut exporter = Self { ends: Some(ending), ..Self::default() };
        let mut measured = Vec::new();
        if signals.traces {
            let counts = counts();
            let attributes = ResourceAttributesWithSchema::from(&resource);
            let request = move |spans: Vec<SpanData>| ExportTraceServiceRequest {
                resource_spans: group_spans_by_resource_and_scope(spans, &attributes),
            };
            let (inlet, task) = queue::start::<Traces, _>(collector.clone(), &counts, ends.clone(), request);
            exporter.tracing = Tracing::new(*sampling, resource.clone(), inlet, &config.upstream.address);
            exporter.tasks.push(task);
            measured.push(("traces", counts));
        }
        if signals.logs {
            let counts = counts();
            let resource = resource.clone();
            let request = move |lines| log_lines(lines, &resource);
            let (inlet, task) = queue::start::<Lines, _>(collector.clone(), &counts, ends.clone(), request);
            *exporter.lines.lock().unwrap_or_else(PoisonError::into_inner) = Some(inlet);
            exporter.tasks.push(task);
            measured.push(("logs", counts));
        }
        if signals.metrics {
            let counts = counts();
            let all = metrics.clone();
            let request = move || measured_now(&all, &resource);
            let task = queue::every::<Measured>(collector, &counts, ends, *metrics_interval, request);
            exporter.tasks.push(task);
            measured.push(("metrics", counts));
        }
        queue::measure(measured, metrics);
        Ok(exporter)
    }

    /// What traces decisions.
    pub(crate) fn tracing(&self) -> Tracing {
        self.tracing.clone()
    }

    /// From now on log lines go out, too, if they are wanted.
    pub(crate) fn take(&self, lines: &LogLines) {
        let inlet = self.lines.lock().unwrap_or_else(PoisonError::into_inner).take();
        inlet.into_iter().for_each(|inlet| lines.export(inlet));
    }

    /// Sends what waits, for at most `deadline`.
    pub(crate) async fn finish(self, deadline: Duration) {
        let Some(ends) = self.ends else { return };
        ends.send_replace(true);
        queue::finish(self.tasks, deadline).await;
    }
}

/// What every signal says of this sidecar.
fn resource(config: &Config) -> Resource {
    Resource::builder_empty()
        .with_service_name(NAME)
        .with_attributes([
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", config.writer.to_string()),
            KeyValue::new("ledgerstone.log.origin", config.log.origin.to_string()),
        ])
        .build()
}

fn measured_now(metrics: &Metrics, resource: &Resource) -> Option<ExportMetricsServiceRequest> {
    let mut request = ExportMetricsServiceRequest::from(&metrics.snapshot()?);
    request.resource_metrics.iter_mut().for_each(|metrics| metrics.resource = Some(resource.into()));
    Some(request)
}

fn log_lines(log_records: Vec<LogRecord>, resource: &Resource) -> ExportLogsServiceRequest {
    let scope = InstrumentationScope { name: NAME.to_owned(), ..InstrumentationScope::default() };
    let scope_logs = vec![ScopeLogs { scope: Some(scope), log_records, ..ScopeLogs::default() }];
    let resource = Some(resource.into());
    ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs { resource, scope_logs, ..ResourceLogs::default() }],
    }
}
