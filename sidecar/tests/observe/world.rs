//! A Collector that writes down what it gets, and sidecars that export.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use serde_json::Value;

use crate::support::{PATIENCE, Running, Sidecar, free_port, http_get};
use crate::tools::{list, script, skipped, text};

/// Waits until `holds`; `what` says what did not come.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let start = Instant::now();
    while !holds().await {
        assert!(start.elapsed() < PATIENCE * 2, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A real OpenTelemetry Collector.
pub(crate) struct Collector {
    folder: PathBuf,
    pub(crate) grpc: u16,
    pub(crate) http: u16,
    _running: Running,
}

impl Collector {
    /// Starts one in `folder`; nothing where the program cannot be had.
    pub(crate) async fn start(folder: &Path) -> Option<Self> {
        Self::start_with(folder, "").await
    }

    /// Starts one that asks for TLS with the certificates in `folder`, and for one of whoever comes.
    pub(crate) async fn start_with_tls(folder: &Path) -> Option<Self> {
        certificates(folder);
        let file = |name: &str| folder.join(name).display().to_string();
        let (cert, key, ca) = (file("leaf.pem"), file("leaf.key"), file("ca.pem"));
        let tls = format!(", tls: {{cert_file: '{cert}', key_file: '{key}', client_ca_file: '{ca}'}}");
        Self::start_with(folder, &tls).await
    }

    async fn start_with(folder: &Path, tls: &str) -> Option<Self> {
        let program = match script("otelcol-path", &[]) {
            Ok(program) => program,
            Err(problem) => {
                skipped("the Collector", &problem);
                return None;
            }
        };
        let (grpc, http) = (free_port(), free_port());
        let out = folder.join("received.json");
        let config = format!(
            "receivers:\n  otlp:\n    protocols:\n      grpc: {{endpoint: '127.0.0.1:{grpc}'{tls}}}\n      http: {{endpoint: '127.0.0.1:{http}'{tls}}}\n\
             exporters:\n  file: {{path: '{}', flush_interval: 50ms}}\n\
             service:\n  telemetry: {{metrics: {{level: none}}}}\n  pipelines:\n    traces: {{receivers: [otlp], exporters: [file]}}\n    \
             metrics: {{receivers: [otlp], exporters: [file]}}\n    logs: {{receivers: [otlp], exporters: [file]}}\n",
            out.display()
        );
        std::fs::write(folder.join("collector.yaml"), config).unwrap();
        let log = std::fs::File::create(folder.join("collector.log")).unwrap();
        let mut command = Command::new(program);
        command.arg("--config").arg(format!("file:{}", folder.join("collector.yaml").display()));
        let child =
            command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let collector = Self { folder: folder.to_owned(), grpc, http, _running: Running::of(child) };
        until("the Collector listens", || async {
            tokio::net::TcpStream::connect(("127.0.0.1", http)).await.is_ok()
        })
        .await;
        Some(collector)
    }

    /// Everything that it got, as OTLP's JSON.
    pub(crate) fn received(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.folder.join("received.json")).unwrap_or_default();
        // The last line may be half written.
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// The spans that it got.
    pub(crate) fn spans(&self) -> Vec<Value> {
        self.below("resourceSpans", "scopeSpans", "spans")
    }

    /// The log lines that it got.
    pub(crate) fn lines(&self) -> Vec<Value> {
        self.below("resourceLogs", "scopeLogs", "logRecords")
    }

    /// The metrics that it got.
    pub(crate) fn metrics(&self) -> Vec<Value> {
        self.below("resourceMetrics", "scopeMetrics", "metrics")
    }

    fn below(&self, outer: &str, middle: &str, inner: &str) -> Vec<Value> {
        let received = self.received();
        let of = |value: &Value, key: &str| list(&value[key]).to_vec();
        let resources = received.iter().flat_map(|each| of(each, outer));
        let scopes: Vec<Value> = resources
            .flat_map(|resource| {
                assert_eq!(attribute(&resource["resource"], "service.name").unwrap(), "ledgerstone-sidecar");
                assert_eq!(attribute(&resource["resource"], "service.instance.id").unwrap(), "sidecar-0");
                of(&resource, middle)
            })
            .collect();
        scopes.iter().flat_map(|scope| of(scope, inner)).collect()
    }
}

/// An authority with a certificate for 127.0.0.1, in `folder`, for servers and clients.
pub(crate) fn certificates(folder: &Path) {
    let (ca_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = ca.self_signed(&ca_key).unwrap();
    let mut leaf = CertificateParams::new(vec!["127.0.0.1".to_owned(), "scrape.example".to_owned()]).unwrap();
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let leaf = leaf.signed_by(&key, &Issuer::new(ca, ca_key)).unwrap();
    for (name, pem) in
        [("ca.pem", authority.pem()), ("leaf.pem", leaf.pem()), ("leaf.key", key.serialize_pem())]
    {
        std::fs::write(folder.join(name), pem).unwrap();
    }
}

/// The value of an attribute, as text.
pub(crate) fn attribute(of: &Value, key: &str) -> Option<String> {
    let value = &list(&of["attributes"]).iter().find(|attribute| attribute["key"] == key)?["value"];
    Some(match value["stringValue"].as_str() {
        Some(text) => text.to_owned(),
        None => text(&value["intValue"]).to_owned(),
    })
}

/// Adds to the configuration of a sidecar.
pub(crate) fn append(sidecar: &Sidecar, text: &str) {
    let before = std::fs::read_to_string(sidecar.config()).unwrap();
    std::fs::write(sidecar.config(), format!("{before}\n{text}\n")).unwrap();
}

/// What a sidecar's metrics say of a series; nothing if there is none.
pub(crate) async fn measured(sidecar: &Sidecar, series: &str) -> Option<f64> {
    let (_, body) = http_get(sidecar.admin, "/metrics").await?;
    let text = String::from_utf8(body).unwrap();
    text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}
