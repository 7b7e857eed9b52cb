//! What `[telemetry]` says: where traces, metrics and log lines go, and how much of them.

use std::path::PathBuf;
use std::time::Duration;

use super::error::ConfigError;
use super::half;
use super::layers::Layers;
use crate::outbound::http::Address;

const ENDPOINT: &str = "http://HOST:PORT or https://HOST:PORT of an OpenTelemetry Collector; for http/protobuf a path may follow";
const PROTOCOL: &str = "\"grpc\" or \"http/protobuf\"";
const SIGNALS: &str = "some of \"traces, metrics, logs\"";
const SAMPLER: &str = "\"parentbased_traceidratio\" or \"traceidratio\"";
const HEADERS: &str =
    "a file only where telemetry.endpoint is https or on this machine; a token would be read on the way";
const RATIO: &str = "a number from 0 to 1, for example 0.1";

/// Export over OTLP.
#[derive(Clone, Debug)]
pub struct TelemetryConfig {
    /// The Collector.
    pub endpoint: Address,
    /// How it is spoken to.
    pub protocol: Protocol,
    /// What it gets.
    pub signals: Signals,
    /// Which decisions are traced.
    pub sampling: Sampling,
    /// A file with header fields for every export, `name: value` a line.
    pub headers_file: Option<PathBuf>,
    /// The authority of an `https` Collector, as a PEM file.
    pub ca_file: Option<PathBuf>,
    /// Certificate and private key that are shown to it, as PEM files.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// How long one export may take.
    pub timeout: Duration,
    /// How often metrics are sent.
    pub metrics_interval: Duration,
}

/// How the Collector is spoken to (OTLP 1.x), by the names that `OTEL_EXPORTER_OTLP_PROTOCOL` has for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// gRPC.
    Grpc,
    /// Protobuf in HTTP/1.1.
    Http,
}

/// What is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signals {
    /// A span for each sampled decision, and those below it.
    pub traces: bool,
    /// What `/metrics` says.
    pub metrics: bool,
    /// The lines that go to standard error.
    pub logs: bool,
}

/// Which decisions are traced, by the names that `OTEL_TRACES_SAMPLER` has for it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// Where the caller says whether its trace is recorded, do as it says.
    pub follows_caller: bool,
    /// The share of the others, from 0 to 1.
    pub ratio: f64,
}

impl TelemetryConfig {
    pub(super) fn from_layers(layers: &Layers) -> Result<Option<Self>, ConfigError> {
        let protocol = layers.parse("telemetry.protocol", PROTOCOL, Protocol::parse)?;
        let signals = layers.parse("telemetry.signals", SIGNALS, Signals::parse)?;
        let follows_caller = layers.parse("telemetry.sampler", SAMPLER, |text| match text {
            "parentbased_traceidratio" => Some(true),
            "traceidratio" => Some(false),
            _ => None,
        })?;
        let ratio = layers.parse("telemetry.sampling_ratio", RATIO, ratio)?;
        let headers_file = layers.path("telemetry.headers_file")?;
        let ca_file = layers.path("telemetry.ca_file")?;
        let identity = layers.path_pair("telemetry.cert", "telemetry.key")?;
        let timeout = layers.duration("telemetry.timeout")?;
        let metrics_interval = layers.duration("telemetry.metrics_interval")?;
        if layers.get("telemetry.endpoint").is_none() {
            return Ok(None);
        }
        let endpoint = layers.parse("telemetry.endpoint", ENDPOINT, |text| endpoint(text, protocol))?;
        if endpoint.is_tls() && ca_file.is_none() {
            return Err(half("telemetry.endpoint (https)", "telemetry.ca_file"));
        }
        if headers_file.is_some() && !keeps_secrets(&endpoint) {
            layers.parse("telemetry.headers_file", HEADERS, |_| None::<()>)?;
        }
        let sampling = Sampling { follows_caller, ratio };
        Ok(Some(Self {
            endpoint,
            protocol,
            signals,
            sampling,
            headers_file,
            ca_file,
            identity,
            timeout,
            metrics_interval,
        }))
    }
}

impl Protocol {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "grpc" => Some(Self::Grpc),
            "http/protobuf" => Some(Self::Http),
            _ => None,
        }
    }
}

impl Signals {
    fn parse(text: &str) -> Option<Self> {
        let mut signals = Self::default();
        for name in text.split(',').map(str::trim) {
            let signal = match name {
                "traces" => &mut signals.traces,
                "metrics" => &mut signals.metrics,
                "logs" => &mut signals.logs,
                _ => return None,
            };
            if std::mem::replace(signal, true) {
                return None;
            }
        }
        Some(signals)
    }
}

fn ratio(text: &str) -> Option<f64> {
    text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio))
}

/// Paths are put after it, so there is no query.
fn endpoint(text: &str, protocol: Protocol) -> Option<Address> {
    let address = Address::parse(text).filter(|_| !text.contains(['?', '#']))?;
    (protocol == Protocol::Http || address.has_no_path()).then_some(address)
}

/// Whether nobody on the way reads what goes there.
fn keeps_secrets(endpoint: &Address) -> bool {
    endpoint.is_tls() || endpoint.is_this_machine()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_signals_each_once() {
        assert_eq!(Signals::parse("traces"), Some(Signals { traces: true, ..Signals::default() }));
        let all = Signals { traces: true, metrics: true, logs: true };
        assert_eq!(Signals::parse("logs,traces , metrics"), Some(all));
        for wrong in ["", "trace", "traces,", "traces, traces", "Traces"] {
            assert_eq!(Signals::parse(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_ratio_is_a_number_from_nothing_to_all() {
        assert_eq!(["0", "0.25", "1"].map(ratio), [Some(0.0), Some(0.25), Some(1.0)]);
        for wrong in ["", "-0.1", "1.1", "10%", "NaN", "inf", "half"] {
            assert_eq!(ratio(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_path_belongs_to_http_alone() {
        assert!(endpoint("http://127.0.0.1:4318/otlp", Protocol::Http).is_some());
        assert!(endpoint("http://127.0.0.1:4317/otlp", Protocol::Grpc).is_none());
        for wrong in
            ["http://127.0.0.1:4318/otlp?tenant=a", "http://127.0.0.1:4318?a", "http://127.0.0.1:4318#a"]
        {
            assert!(endpoint(wrong, Protocol::Http).is_none(), "{wrong}");
        }
        for wrong in ["127.0.0.1:4317", "grpc://127.0.0.1:4317", "http://169.254.169.254", "http://a@b"] {
            assert!(endpoint(wrong, Protocol::Grpc).is_none(), "{wrong}");
        }
    }

    #[test]
    fn header_fields_go_where_nobody_reads_them_on_the_way() {
        let keeps = |text: &str| keeps_secrets(&Address::parse(text).unwrap());
        for kept in [
            "https://collector.example",
            "http://127.0.0.1:4318",
            "http://[::1]:4318",
            "http://localhost:4317",
        ] {
            assert!(keeps(kept), "{kept}");
        }
        for read in ["http://collector.example:4317", "http://10.0.0.7:4317", "http://localhost.example:4317"]
        {
            assert!(!keeps(read), "{read}");
        }
    }
}
