//! A real Prometheus scrapes sidecars under load; every expression of the dashboard and of the alerts finds data in it.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use ledgerstone::proto::inference::model_infer_request::InferInputTensor;
use regex::Regex;
use serde_json::{Value, json};

use crate::rules::rules;
use crate::support::{Running, Sidecar, free_port, http_get, request, serve_doubler};
use crate::tools::{list, read, script, skipped, text};
use crate::world::{append, certificates, until};

/// Seconds of samples that rates are computed over.
const RANGE: &str = "20s";

/// A Prometheus that scrapes every second.
struct Prometheus {
    address: std::net::SocketAddr,
    _running: Running,
}

impl Prometheus {
    /// Scrapes `jobs`; nothing where the program cannot be had.
    async fn start(folder: &Path, jobs: Vec<Value>) -> Option<Self> {
        let program = match script("prometheus-path", &["prometheus"]) {
            Ok(program) => program,
            Err(problem) => {
                skipped("Prometheus", &problem);
                return None;
            }
        };
        let global = json!({ "scrape_interval": "1s", "scrape_timeout": "1s" });
        let config = json!({ "global": global, "scrape_configs": jobs });
        std::fs::write(folder.join("prometheus.yaml"), config.to_string()).unwrap();
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], free_port()));
        let log = std::fs::File::create(folder.join("prometheus.log")).unwrap();
        let mut command = Command::new(program);
        command
            .args([
                "--config.file=prometheus.yaml",
                "--storage.tsdb.path=tsdb",
                "--enable-feature=exemplar-storage",
            ])
            .arg(format!("--web.listen-address={address}"));
        let child = command
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let prometheus = Self { address, _running: Running::of(child) };
        until("Prometheus is ready", || async {
            http_get(address, "/-/ready").await.is_some_and(|(status, _)| status == 200)
        })
        .await;
        Some(prometheus)
    }

    async fn ask(&self, path: &str) -> Value {
        let (status, body) = http_get(self.address, path).await.unwrap();
        assert_eq!(status, 200, "{path}: {}", String::from_utf8_lossy(&body));
        serde_json::from_slice::<Value>(&body).unwrap()["data"].clone()
    }

    /// The values that an expression has now; those that are no number are left out.
    async fn query(&self, expression: &str) -> Vec<f64> {
        let data = self.ask(&format!("/api/v1/query?query={}", encoded(expression))).await;
        let values =
            list(&data["result"]).iter().map(|series| text(&series["value"][1]).parse::<f64>().unwrap());
        values.filter(|value| !value.is_nan()).collect()
    }
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn job(name: &str, sidecar: &Sidecar, more: &Value) -> Value {
    let labels = json!({ "namespace": "lending", "pod": name, "ledgerstone_io_log": "loans-ledgerstone" });
    let mut job = json!({
        "job_name": name,
        "static_configs": [{ "targets": [sidecar.admin.to_string()], "labels": labels }],
    });
    job.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    job
}

/// One with everything that is measured where nobody is asked who they are.
async fn open_sidecar(folder: &Path) -> Sidecar {
    std::fs::create_dir_all(folder).unwrap();
    certificates(folder);
    std::fs::write(folder.join("model.json"), "1").unwrap();
    let sidecar = Sidecar::init(folder, serve_doubler().await);
    append(
        &sidecar,
        &format!(
            "[[route]]\nname = \"watched\"\nmatch = {{ model = \"doubler-2\" }}\nmodel = {{ file = \"model.json\" }}\n\
             score = {{ tensor = \"score\" }}\nthreshold = {{ value = 1.0, above = \"approve\", below = \"deny\" }}\n\
             [[route.gate]]\nname = \"small\"\nwhen = \"request\"\nrule = \"size(model.name) < 100\"\notherwise = \"refuse\"\n\
             [models]\nwatch_interval = \"200ms\"\n\
             [anchors]\nquorum = \"1 of rfc3161\"\n\
             [[anchors.rfc3161]]\nname = \"tsa\"\nurl = \"http://127.0.0.1:{}\"\nroots_file = \"ca.pem\"\n\
             [[siem]]\nname = \"soc\"\nkind = \"file\"\nformat = \"ecs\"\npath = \"events.json\"\n\
             [telemetry]\nendpoint = \"http://127.0.0.1:{}\"\nsampling_ratio = \"1\"\nmetrics_interval = \"1s\"",
            free_port(),
            free_port()
        ),
    );
    sidecar
}

/// One with TLS and roles.
async fn guarded_sidecar(folder: &Path) -> Sidecar {
    std::fs::create_dir_all(folder).unwrap();
    certificates(folder);
    let sidecar = Sidecar::init(folder, serve_doubler().await);
    append(
        &sidecar,
        "[server.tls]\ncert = \"leaf.pem\"\nkey = \"leaf.key\"\nclient_ca_file = \"ca.pem\"\n\
         [[access.rule]]\ndns = \"scrape.example\"\nrole = \"operator\"",
    );
    sidecar
}

/// Decisions of every kind, and connections to `guarded` that it refuses, for as long as it is polled.
async fn load(sidecar: &Sidecar, guarded: &Sidecar) {
    let mut client = sidecar.client().await;
    for number in 0_u32.. {
        let model = ["doubler", "doubler-2", "nobody"][number as usize % 3];
        let mut asked = request(&number.to_string(), if number % 2 == 0 { 1.0 } else { 0.1 });
        asked.model_name = model.to_owned();
        if number % 7 == 0 {
            // More tensors than a call may have: refused by the sidecar itself.
            let tensor = asked.inputs[0].clone();
            asked.inputs =
                (0..300).map(|n| InferInputTensor { name: n.to_string(), ..tensor.clone() }).collect();
        }
        if number % 5 == 0 {
            // Without TLS: a handshake that fails.
            _ = http_get(guarded.admin, "/metrics").await;
        }
        // The model that nobody knows is an error, and a decision.
        _ = client.model_infer(asked).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Every expression of the dashboard with its panel, and every one of the alerts without what it compares with.
fn expressions() -> Option<Vec<(String, String)>> {
    let dashboard: Value =
        serde_json::from_str(&read("deploy/helm/ledgerstone/files/dashboard.json")).unwrap();
    let mut all = Vec::new();
    for panel in list(&dashboard["panels"]) {
        for target in list(&panel["targets"]) {
            let expression = text(&target["expr"])
                .replace("$__rate_interval", RANGE)
                .replace("$__range", RANGE)
                .replace("$namespace", "lending")
                .replace("$pod", ".*");
            assert!(!expression.contains('$'), "{expression}");
            all.push((text(&panel["title"]).to_owned(), expression));
        }
    }
    let compared = Regex::new(r" (>|<|==) [0-9.]+$").unwrap();
    for rule in list(&rules()?[0]["rules"]) {
        for part in text(&rule["expr"]).split(" or ") {
            // What was so before the test began, is not so here.
            let part = part.split_once(" unless ").map_or(part, |(part, _)| part.trim_start_matches('('));
            let part = part.strip_prefix("absent(").and_then(|part| part.strip_suffix(')')).unwrap_or(part);
            let part = compared.replace(part, "").replace("[5m]", "[20s]").replace("[15m]", "[20s]");
            all.push((text(&rule["alert"]).to_owned(), part));
        }
    }
    Some(all)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_expression_of_dashboard_and_alerts_finds_data_in_a_prometheus_that_scrapes() {
    let Some(expressions) = expressions() else { return };
    assert!(expressions.len() > 60, "{}", expressions.len());
    let folder = tempfile::tempdir().unwrap();
    let (open, guarded) = (folder.path().join("open"), folder.path().join("guarded"));
    let (open, guarded) = (open_sidecar(&open).await, guarded_sidecar(&guarded).await);
    let (_one, _other) = (open.start(), guarded.start());
    let certificate = |name: &str| guarded.folder.join(name).display().to_string();
    let tls = json!({ "ca_file": certificate("ca.pem"), "cert_file": certificate("leaf.pem"), "key_file": certificate("leaf.key") });
    let jobs = vec![
        job("open-0", &open, &json!({})),
        job("guarded-0", &guarded, &json!({ "scheme": "https", "tls_config": tls })),
    ];
    let Some(prometheus) = Prometheus::start(folder.path(), jobs).await else { return };
    let work = async {
        until("the counters are scraped before the model changes", || async {
            !prometheus.query("ledgerstone_model_changed_total{route=\"watched\"}").await.is_empty()
        })
        .await;
        std::fs::write(open.folder.join("model.json"), "22").unwrap();
        // The first change of a model is seen, because its counter was there before.
        let changed = "sum(increase(ledgerstone_model_changed_total{route=\"watched\"}[20s])) > 0";
        until("the change is seen", || async { !prometheus.query(changed).await.is_empty() }).await;
        assert_eq!(prometheus.query("up == 1").await.len(), 2);
        let refused = "increase(ledgerstone_connections_refused_total[20s]) > 0";
        until("connections are refused", || async { !prometheus.query(refused).await.is_empty() }).await;
        let mut empty = Vec::new();
        for (of, expression) in &expressions {
            if prometheus.query(expression).await.is_empty() {
                empty.push(format!("{of}: {expression}"));
            }
        }
        assert!(empty.is_empty(), "nothing found by\n{}", empty.join("\n"));
        exemplars(&prometheus).await;
    };
    tokio::select! {
        () = work => {}
        () = load(&open, &guarded) => unreachable!(),
    }
}

/// Prometheus asked for OpenMetrics and kept the traces of the latency histograms.
async fn exemplars(prometheus: &Prometheus) {
    for histogram in ["decision", "model", "append"] {
        let series = encoded(&format!("ledgerstone_{histogram}_duration_seconds_bucket"));
        let data =
            prometheus.ask(&format!("/api/v1/query_exemplars?query={series}&start=0&end=4000000000")).await;
        let found = list(&data).iter().flat_map(|series| list(&series["exemplars"]));
        let traces: Vec<_> = found.map(|exemplar| text(&exemplar["labels"]["trace_id"]).len()).collect();
        assert!(!traces.is_empty() && traces.iter().all(|length| *length == 32), "{histogram}: {data}");
    }
}
