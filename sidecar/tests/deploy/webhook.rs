//! The injector as a program: its port over TLS as curl asks it, and in a real API server, with and without it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::admission::{annotated, bare, namespaces, own, regulated};
use crate::cluster::Cluster;
use crate::tools::{CHART, Running, Tools, http, list, skipped, text};

/// How long a program that was started or told something may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// An injector that runs.
struct Injector {
    program: Running,
    address: SocketAddr,
    admin: SocketAddr,
}

impl Injector {
    fn start(address: SocketAddr, template: &Path, arguments: &[&str]) -> Self {
        let admin = free_port();
        let mut command = Command::new(env!("CARGO_BIN_EXE_ledgerstone-sidecar"));
        command.env_clear().args(["injector", "--listen", &address.to_string()]);
        command.args(["--admin-listen", &admin.to_string(), "--look", "1s", "--template"]).arg(template);
        let program = Running::new(command.args(arguments).stderr(Stdio::piped()));
        Self { program, address, admin }
    }

    fn ready(mut self) -> Self {
        self.wait("/ready", |answer| matches!(answer, Some((200, _))));
        self
    }

    fn wait(&mut self, path: &str, done: impl Fn(Option<(u16, String)>) -> bool) {
        let begun = Instant::now();
        while !done(http(self.admin, path)) {
            self.program.must_run();
            assert!(begun.elapsed() < PATIENCE, "{path}: {:?}", http(self.admin, path));
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Ends it as Kubernetes would.
    fn stop(mut self) {
        self.program.terminate();
        let status = self.program.wait();
        assert!(status.success(), "{status}");
    }
}

/// A file with the template that the chart renders.
fn template(tools: &Tools, folder: &Path, arguments: &[&str]) -> PathBuf {
    let render = tools.render(&[&["--set", "injector.enabled=true"], arguments].concat());
    let map = render.named("ConfigMap", "loans-ledgerstone-injector");
    let path = folder.join("template.json");
    std::fs::write(&path, text(&map["data"]["template.json"])).unwrap();
    path
}

fn certificate(folder: &Path, subject: &str) {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"])
        .args(["-days", "2", "-subj", &format!("/CN={subject}"), "-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout", "tls.key", "-out", "tls.crt"])
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

/// What curl gets, which trusts the certificate in `folder` alone: status and body. Over HTTP/1.1, because curl 7.88 loses an answer that
/// comes before its question was read; API servers ask over HTTP/2, and one does below.
fn curl(injector: &Injector, folder: &Path, path: &str, arguments: &[&str], body: &[u8]) -> (u16, String) {
    std::fs::write(folder.join("body"), body).unwrap();
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--http1.1", "--max-time", "20", "--cacert", "tls.crt"])
        .args(["--write-out", "\n%{http_code}", "--data-binary", "@body"])
        .args(arguments)
        .arg(format!("https://{}{path}", injector.address))
        .current_dir(folder)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let (body, status) = said.rsplit_once('\n').unwrap();
    assert_ne!(status, "000", "{path} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    (status.parse().unwrap(), body.to_owned())
}

const JSON: &[&str] = &["--header", "Content-Type: application/json"];

fn question(version: &str, pod: &Value) -> Vec<u8> {
    let review = json!({
        "apiVersion": format!("admission.k8s.io/{version}"), "kind": "AdmissionReview",
        "request": {
            "uid": "7f1c", "kind": {"group": "", "version": "v1", "kind": "Pod"}, "operation": "CREATE",
            "namespace": "every", "object": pod,
        },
    });
    review.to_string().into_bytes()
}

fn asking() -> Value {
    annotated("every", &[("inject", "enabled"), ("store-claim", "journal")])
}

#[test]
fn reviews_are_answered_over_tls_and_what_is_none_is_refused() {
    let Some(tools) = Tools::find("the injector over TLS") else { return };
    if Command::new("curl").arg("--version").output().is_err() {
        return skipped("the injector over TLS", "curl was not found");
    }
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    certificate(path, "first");
    let template = template(&tools, path, &[]);
    let (cert, key) = (path.join("tls.crt"), path.join("tls.key"));
    let given = ["--tls-cert", cert.to_str().unwrap(), "--tls-key", key.to_str().unwrap()];
    let mut injector = Injector::start(free_port(), &template, &given).ready();

    for version in ["v1", "v1beta1"] {
        let (status, body) = curl(&injector, path, "/inject", JSON, &question(version, &asking()));
        let review: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((status, &review["response"]["allowed"]), (200, &json!(true)), "{body}");
        assert_eq!(review["apiVersion"], format!("admission.k8s.io/{version}"));
        assert_eq!(
            (&review["response"]["uid"], &review["response"]["patchType"]),
            (&json!("7f1c"), &json!("JSONPatch"))
        );
    }
    let (_, refused) =
        curl(&injector, path, "/inject", JSON, &question("v1", &annotated("every", &[("inject", "yes")])));
    assert!(refused.contains("write \\\"enabled\\\" or \\\"disabled\\\""), "{refused}");

    let whole = question("v1", &asking());
    let charset: &[&str] = &["--header", "Content-Type: application/json; charset=utf-8"];
    let yaml: &[&str] = &["--header", "Content-Type: application/yaml"];
    let get: &[&str] = &["--header", "Content-Type: application/json", "--request", "GET"];
    let too_large = [&whole[..], &vec![b' '; ledgerstone::limits::ADMISSION_REVIEW_BYTES_MAX]].concat();
    let cases: &[(&str, &[&str], &[u8], u16)] = &[
        ("/inject", charset, &whole, 200),
        ("/inject", yaml, &whole, 415),
        ("/inject", &[], &whole, 415),
        ("/inject", get, &whole, 405),
        ("/", JSON, &whole, 404),
        ("/inject/", JSON, &whole, 404),
        ("/metrics", JSON, &whole, 404),
        ("/inject", JSON, &too_large, 413),
        ("/inject", JSON, b"", 400),
        ("/inject", JSON, b"{\"kind\":", 400),
        ("/inject", JSON, &whole[..whole.len() / 2], 400),
        ("/inject", JSON, b"{}", 400),
        ("/inject", JSON, &question("v2", &asking()), 400),
    ];
    for (at, (target, arguments, body, expected)) in cases.iter().enumerate() {
        let (status, said) = curl(&injector, path, target, arguments, body);
        assert_eq!(status, *expected, "case {at}: {said}");
    }
    let (_, metrics) = http(injector.admin, "/metrics").unwrap();
    for line in [
        "ledgerstone_injector_reviews_total{result=\"injected\"} 3",
        "ledgerstone_injector_reviews_total{result=\"refused\"} 1",
        "ledgerstone_injector_reviews_total{result=\"malformed\"} 8",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
    slow_questions_end_and_others_are_answered(&injector, path);
    exchanges_template_and_certificate(&tools, &mut injector, path);
    injector.stop();
}

/// More questions that never end than are read at a time: each is told so, and a whole one gets its turn.
fn slow_questions_end_and_others_are_answered(injector: &Injector, folder: &Path) {
    let slow = || {
        let mut command = Command::new("openssl");
        command.args(["s_client", "-quiet", "-CAfile", "tls.crt", "-connect", &injector.address.to_string()]);
        let command = command.current_dir(folder).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        let begun = "POST /inject HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{";
        child.stdin.as_mut().unwrap().write_all(begun.as_bytes()).unwrap();
        child
    };
    let slow: Vec<_> = (0..40).map(|_| slow()).collect();
    std::thread::sleep(Duration::from_secs(1));
    let (status, body) = curl(injector, folder, "/inject", JSON, &question("v1", &asking()));
    assert_eq!(status, 200, "{body}");
    for mut child in slow {
        let mut said = String::new();
        child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
        let is_slow = said.starts_with("HTTP/1.1 408 ") && said.ends_with("did not come within 3 s\n");
        // It had no turn before the others were through.
        let is_turned_away = said.starts_with("HTTP/1.1 503 ") && said.ends_with("ask again\n");
        assert!(is_slow || is_turned_away, "{said}");
        child.wait().unwrap();
    }
}

/// What the chart renders anew, and a new certificate, hold for the next question; what cannot be used changes nothing.
fn exchanges_template_and_certificate(tools: &Tools, injector: &mut Injector, folder: &Path) {
    let image = |injector: &Injector| {
        let (_, body) = curl(injector, folder, "/inject", JSON, &question("v1", &asking()));
        let review: Value = serde_json::from_str(&body).unwrap();
        use base64::Engine as _;
        let patch =
            base64::engine::general_purpose::STANDARD.decode(text(&review["response"]["patch"])).unwrap();
        let patch: Value = serde_json::from_slice(&patch).unwrap();
        text(&list(&patch)[1]["value"]["image"]).to_owned()
    };
    assert!(image(injector).ends_with(":0.1.0"));
    std::fs::write(folder.join("template.json"), "{").unwrap();
    std::thread::sleep(Duration::from_secs(6));
    assert!(image(injector).ends_with(":0.1.0"), "a template that cannot be used changes nothing");
    template(tools, folder, &["--set", "image.tag=0.2.0"]);
    let begun = Instant::now();
    while !image(injector).ends_with(":0.2.0") {
        assert!(begun.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(200));
    }

    // curl trusts the certificate that is in the folder now, so it is answered once the injector serves with it.
    certificate(folder, "second");
    let begun = Instant::now();
    let asks = || {
        let mut command = Command::new("curl");
        command.args(["--silent", "--cacert", "tls.crt"]).arg(format!("https://{}/inject", injector.address));
        command.current_dir(folder).output().unwrap().status.success()
    };
    while !asks() {
        assert!(begun.elapsed() < PATIENCE, "the second certificate is not served");
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn an_injector_that_is_told_nonsense_says_so_and_ends() {
    let folder = TempDir::new().unwrap();
    let template = folder.path().join("template.json");
    std::fs::write(&template, "{}").unwrap();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ledgerstone-sidecar"));
        let output = command.env_clear().arg("injector").args(arguments).output().unwrap();
        assert!(!output.status.success(), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let template = template.to_str().unwrap();
    let own =
        ["--template", template, "--secret", "s", "--namespace", "n", "--webhook", "w", "--server-name", "x"];
    let with = |more: &[&str]| run(&[&own[..], more].concat());
    assert!(run(&[]).contains("--template"));
    assert!(run(&["--template", template]).contains("--tls-cert"));
    assert!(run(&["--template", template, "--tls-cert", "a"]).contains("--tls-key"));
    assert!(run(&["--template", template, "--secret", "s"]).contains("--namespace"));
    assert!(with(&[]).contains("--api-server is missing"));
    assert!(with(&["--api-server", "http://127.0.0.1:1"]).contains("write https://HOST:PORT"));
    let server = ["--api-server", "https://127.0.0.1:1"];
    assert!(
        with(&[&server[..], &["--certificate-lifetime", "1s"]].concat()).contains("must be from 10 seconds")
    );
    assert!(
        with(&[&server[..], &["--look", "1h", "--certificate-lifetime", "2h"]].concat())
            .contains("ten times --look")
    );
    assert!(with(&[&server[..], &["--look", "0s"]].concat()).contains("write a number and a unit"));
    let listen = [&server[..], &["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]].concat();
    assert!(with(&listen).contains("not what this version's chart renders"));
    let missing = ["--template", "/nonexistent", "--tls-cert", "a", "--tls-key", "b"];
    assert!(run(&missing).contains("/nonexistent cannot be read"));
}

const BY_POLICY: &str = "admission.validating.enabled=true,admission.mutating.enabled=true";

/// Pods that get the sidecar, of several shapes.
fn shapes() -> Vec<Value> {
    let full = [
        ("inject", "enabled"),
        ("store-claim", "journal-7"),
        ("upstream-port", "9001"),
        ("profile", "loans"),
        ("mode", "strict"),
        ("protocol", "grpc"),
    ];
    let mut crowded = annotated("every", &full);
    crowded["metadata"]["labels"] = json!({"app": "loans"});
    crowded["spec"]["initContainers"] = json!([crowded["spec"]["containers"][0].clone()]);
    crowded["spec"]["initContainers"][0]["name"] = json!("first");
    crowded["spec"]["volumes"] = json!([{"name": "own", "emptyDir": {}}]);
    let mut grouped = asking();
    grouped["spec"]["securityContext"]["fsGroup"] = json!(4000);
    let mut plain = asking();
    let context = plain["spec"].as_object_mut().unwrap().remove("securityContext").unwrap();
    for key in ["runAsNonRoot", "seccompProfile"] {
        plain["spec"]["containers"][0]["securityContext"][key] = context[key].clone();
    }
    let mut two = asking();
    let mut second = two["spec"]["containers"][0].clone();
    second["name"] = json!("second");
    second["ports"] = json!([{"containerPort": 9000}, {"containerPort": 9001}]);
    two["spec"]["containers"].as_array_mut().unwrap().push(second);
    vec![crowded, asking(), grouped, plain, two]
}

/// What the server makes of them, without what differs each time.
fn made(cluster: &Cluster) -> Vec<Value> {
    let admitted = shapes().into_iter().map(|pod| {
        let mut made = cluster.admit(&pod).unwrap_or_else(|said| panic!("{pod}: {said}"));
        for key in ["uid", "creationTimestamp", "managedFields", "generation"] {
            made["metadata"].as_object_mut().unwrap().remove(key);
        }
        made
    });
    admitted.collect()
}

#[test]
fn the_injector_gives_what_the_policy_gives_and_without_it_nothing_gets_past() {
    let Some(cluster) = Cluster::start("the injector in an API server") else { return };
    namespaces(&cluster);
    cluster.told(&["create", "namespace", "ledgerstone"]);
    let (address, other) = (free_port(), free_port());
    let chart = ["loans", CHART, "--namespace", "ledgerstone", "--set"];
    cluster.helm(&[&["install"][..], &chart, &[BY_POLICY]].concat());
    cluster.admits_in_time(&asking(), has_it);
    let by_policy = made(&cluster);

    let by_webhook =
        format!("admission.validating.enabled=true,injector.enabled=true,injector.url=https://{address}");
    cluster.helm(&[&["upgrade"][..], &chart, &[&by_webhook]].concat());
    let down = |said: &Result<Value, String>| {
        said.as_ref().is_err_and(|said| said.contains("failed calling webhook \"inject.ledgerstone.io\""))
    };
    cluster.admits_in_time(&asking(), down);
    let injectors = [address, other].map(|address| start(&cluster, address).ready());
    cluster.admits_in_time(&asking(), has_it);
    for (by_policy, by_webhook) in by_policy.iter().zip(made(&cluster)) {
        assert_eq!(*by_policy, by_webhook);
    }
    says_why(&cluster);
    exchanges_certificates(&cluster);

    injectors.into_iter().for_each(Injector::stop);
    assert!(down(&cluster.admit(&asking())), "{:?}", cluster.admit(&asking()));
    without_the_injector(&cluster);
    cluster.told(&[
        "delete",
        "mutatingwebhookconfiguration",
        "loans-ledgerstone.ledgerstone.inject.ledgerstone.io",
    ]);
    cluster.admits_in_time(&asking(), lacks);
    without_the_injector(&cluster);
}

fn has_it(said: &Result<Value, String>) -> bool {
    said.as_ref().is_ok_and(|pod| list(&pod["spec"]["initContainers"]).len() == 2)
}

fn lacks(said: &Result<Value, String>) -> bool {
    said.as_ref().is_err_and(|said| said.contains("the pod has no sidecar ledgerstone"))
}

/// One of the Deployment's, with the rights that the chart gives it.
fn start(cluster: &Cluster, address: SocketAddr) -> Injector {
    let name = "loans-ledgerstone-injector";
    let folder = cluster.path(&format!("injector-{}", address.port()));
    std::fs::create_dir(&folder).unwrap();
    let file = |name: &str| folder.join(name).display().to_string();
    let template = cluster.get("ledgerstone", "configmap", name);
    std::fs::write(file("template.json"), text(&template["data"]["template.json"])).unwrap();
    let token = cluster.told(&["--namespace=ledgerstone", "create", "token", name]);
    std::fs::write(file("token"), token).unwrap();
    let (server, ca) = (format!("https://{}", cluster.address), cluster.path("certificates/apiserver.crt"));
    let arguments = [
        "--secret=loans-ledgerstone-injector-tls",
        "--namespace=ledgerstone",
        "--webhook=loans-ledgerstone.ledgerstone.inject.ledgerstone.io",
        "--server-name=loans-ledgerstone-injector.ledgerstone.svc,127.0.0.1",
        "--certificate-lifetime=12s",
        "--authority-lifetime=30s",
        &format!("--folder={}", folder.display()),
        &format!("--token-file={}", file("token")),
        &format!("--ca-file={}", ca.display()),
        &format!("--api-server={server}"),
    ];
    Injector::start(address, &folder.join("template.json"), &arguments)
}

/// Whoever creates the pod reads what to change; nobody else's pod is touched.
fn says_why(cluster: &Cluster) {
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[("inject", "enabled")], "name the PersistentVolumeClaim"),
        (&[("inject", "yes")], "write \"enabled\" or \"disabled\""),
        (&[("inject", "enabled"), ("store-claim", "c"), ("mode", "observe")], "only \"strict\" is offered"),
        (&[("inject", "enabled"), ("store-claim", "c"), ("upstream-port", "7450")], "the sidecar's own"),
        (&[("inject", "enabled"), ("store-claim", "c"), ("upstrem-port", "1")], "is not known"),
        (&[("inject", "disabled"), ("store-claim", "c")], "the pod has no sidecar ledgerstone"),
    ];
    for (annotations, expected) in cases {
        let said = cluster.admit(&annotated("every", annotations)).expect_err(expected);
        assert!(said.contains(expected), "{annotations:?}: {said}");
        let free = cluster.admit(&annotated("free", annotations)).unwrap();
        assert!(free["spec"]["initContainers"].is_null(), "the namespace did not ask for it");
    }
    let mut nameless = asking();
    nameless["metadata"].as_object_mut().unwrap().remove("name");
    nameless["metadata"]["generateName"] = json!("pod-");
    assert_eq!(list(&cluster.admit(&nameless).unwrap()["spec"]["initContainers"]).len(), 2);
    let mut kept = asking();
    kept["metadata"]["name"] = json!("kept");
    cluster.create(&kept);
    let kept = cluster.get("every", "pod", "kept");
    assert_eq!(list(&kept["spec"]["initContainers"]).len(), 2);
}

/// Authorities and certificates come and go, and no pod is ever turned away for it.
fn exchanges_certificates(cluster: &Cluster) {
    let mut authorities = std::collections::BTreeSet::new();
    let mut certificates = std::collections::BTreeSet::new();
    let begun = Instant::now();
    while authorities.len() < 3 || certificates.len() < 4 {
        assert!(
            begun.elapsed() < 3 * PATIENCE,
            "{} authorities, {} certificates",
            authorities.len(),
            certificates.len()
        );
        let said = cluster.admit(&asking());
        assert!(said.is_ok(), "{said:?}");
        let secret = cluster.get("ledgerstone", "secret", "loans-ledgerstone-injector-tls");
        authorities.insert(text(&secret["data"]["ca.crt"]).to_owned());
        certificates.insert(text(&secret["data"]["tls.crt"]).to_owned());
    }
}

/// What is rejected while the injector is away, and what is not.
fn without_the_injector(cluster: &Cluster) {
    assert!(lacks(&cluster.admit(&bare("every"))), "a pod that does not ask");
    assert!(lacks(&cluster.admit(&regulated(bare("some")))), "a regulated pod that does not ask");
    assert!(cluster.admit(&asking()).is_err(), "a pod that asks");
    assert!(cluster.admit(&bare("some")).is_ok(), "a pod that is not regulated");
    assert!(cluster.admit(&bare("free")).is_ok());
    let mut whole = own(cluster, "ledgerstone");
    whole["metadata"]["namespace"] = json!("some");
    whole["metadata"]["annotations"]["ledgerstone.io/inject"] = json!("enabled");
    cluster.admit(&whole).expect("a pod that has the sidecar already");
}
