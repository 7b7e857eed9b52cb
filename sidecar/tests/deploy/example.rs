//! The example of the chart, run: its configuration and environment by the sidecar's program, its model by MLServer, and what
//! `helm test` and the verification Job do, with the arguments that the chart renders.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output as Ended, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use clap::Parser as _;
use ledgerstone::encoding::base64_encode;
use ledgerstone::hash::Hash;
use ledgerstone_verifier::cli::Arguments;
use ledgerstone_verifier::command;
use ledgerstone_verifier::exit::Exit;
use ledgerstone_verifier::output::Output;
use serde_json::Value;

use crate::tools::{Render, Running, Tools, http, list, script, skipped, text};

/// How long MLServer may take to load the model on a busy machine.
const START: Duration = Duration::from_secs(120);

/// Where the parts of a pod are in this run.
struct Pod {
    folder: PathBuf,
    /// What stands in the manifests, and what stands here for it.
    places: Vec<(String, String)>,
    grpc: SocketAddr,
    http: SocketAddr,
    admin: SocketAddr,
    model: SocketAddr,
}

impl Pod {
    fn new(folder: &Path) -> Self {
        let port = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let [grpc, http, admin, model, others @ ..] = [(); 6].map(|()| port());
        let at = |name: &str| folder.join(name).display().to_string();
        let place = |from: &str, to: String| (from.to_owned(), to);
        let places = vec![
            place("/var/lib/ledgerstone", at("state")),
            place("/etc/ledgerstone/config", at("config")),
            place("/etc/ledgerstone/trust", at("trust")),
            place("/mnt/models", at("models")),
            place("/test", at("test")),
            place("/proof", at("proof")),
            place("0.0.0.0:7450", grpc.to_string()),
            place("0.0.0.0:7451", http.to_string()),
            place("0.0.0.0:7452", admin.to_string()),
            place("loans-ledgerstone.lending.svc:7450", grpc.to_string()),
            place("loans-ledgerstone.lending.svc:7451", http.to_string()),
            place("127.0.0.1:8081", model.to_string()),
            place("8081", model.port().to_string()),
            place("8080", others[0].port().to_string()),
            place("8082", others[1].port().to_string()),
        ];
        for name in ["state", "config", "trust", "models", "test", "proof"] {
            std::fs::create_dir(folder.join(name)).unwrap();
        }
        Self { folder: folder.to_owned(), places, grpc, http, admin, model }
    }

    fn here(&self, value: &str) -> String {
        self.places.iter().fold(value.to_owned(), |value, (from, to)| value.replace(from, to))
    }

    fn mount(&self, name: &str, map: &Value) {
        for (file, text) in map["data"].as_object().unwrap() {
            let text = self.here(crate::tools::text(text));
            std::fs::write(self.folder.join(name).join(file), text).unwrap();
        }
    }

    /// The container's arguments and environment, for the program that its command or its image names.
    fn command(&self, program: &Path, container: &Value) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.folder.join("models"));
        let words = list(&container["command"]).iter().skip(1).chain(list(&container["args"]));
        command.args(words.map(|word| self.here(text(word))));
        for variable in list(&container["env"]) {
            if let Some(value) = variable["value"].as_str() {
                command.env(text(&variable["name"]), self.here(value));
            }
        }
        command
    }
}

#[test]
fn the_example_records_a_decision_and_its_receipt_verifies_as_helm_test_does_it() {
    let Some(tools) = Tools::find("the chart's example with MLServer") else { return };
    let requirements = crate::tools::root().join("sidecar/tests/mlserver/requirements.txt");
    let python = match script("py-env", &[requirements.to_str().unwrap(), "--no-deps"]) {
        Ok(python) => python,
        Err(problem) => return skipped("the chart's example with MLServer", &problem),
    };
    let render = tools.render(&["--set", "audit.policy=x,audit.verify.enabled=true"]);
    let folder = tempfile::tempdir().unwrap();
    let pod = Pod::new(folder.path());
    for (name, map) in [("config", "config"), ("models", "model"), ("test", "test")] {
        pod.mount(name, render.named("ConfigMap", &format!("loans-ledgerstone-{map}")));
    }
    let spec = &render.the("Deployment")["spec"]["template"]["spec"];
    let [init, sidecar] = list(&spec["initContainers"]) else { panic!("two init containers") };
    let program = Path::new(env!("CARGO_BIN_EXE_ledgerstone-sidecar"));
    for expected in ["created the log loans-ledgerstone.lending.svc/decisions", "nothing was changed"] {
        let said = done(pod.command(program, init).output().unwrap());
        assert!(said.contains(expected), "{said}");
    }
    says_who_set_what(&pod, program, sidecar);

    let mut running = Running::new(pod.command(program, sidecar).stderr(Stdio::null()));
    let mlserver = python.with_file_name("mlserver");
    let log = std::fs::File::create(folder.path().join("mlserver.log")).unwrap();
    let mut served = pod.command(&mlserver, &spec["containers"][0]);
    let mut model = Running::new(served.stdout(log.try_clone().unwrap()).stderr(log));
    wait(&pod, &mut model, &mut running);
    // Loopback alone: another address of this machine does not reach it.
    assert!(TcpStream::connect(("127.0.0.2", pod.model.port())).is_err());

    let test = render.the("Pod");
    let asks = &test["spec"]["initContainers"][0];
    assert_eq!(asks["command"], serde_json::json!(["python", "/test/record.py"]));
    let mut recorded = Command::new(&python);
    recorded
        .arg(folder.path().join("test/record.py"))
        .args(list(&asks["args"]).iter().map(|it| pod.here(text(it))));
    let said = done(recorded.output().unwrap());
    assert!(said.contains(&format!("of {}", "loans-ledgerstone.lending.svc/decisions")), "{said}");
    verifies(&pod, &render, folder.path());

    let (_, metrics) = http(pod.admin, "/metrics").unwrap();
    assert!(metrics.contains("ledgerstone_decisions_total{code=\"OK\",route=\"loans\"} 1"), "{metrics}");
    running.terminate();
    assert!(running.wait().success());
}

/// The receipt by the test pod's arguments, the log by the Job's, both with the key that the log gave out.
fn verifies(pod: &Pod, render: &Render, folder: &Path) {
    std::fs::copy(folder.join("proof/log.policy"), folder.join("trust/log.policy")).unwrap();
    let receipt = &render.the("Pod")["spec"]["containers"][0];
    let job = &render.the("Job")["spec"]["template"]["spec"]["containers"][0];
    for container in [receipt, job] {
        let arguments: Vec<_> =
            list(&container["args"]).iter().map(|argument| pod.here(text(argument))).collect();
        let (exit, said) = verifier(&arguments);
        assert_eq!(exit, Exit::Verified, "{arguments:?}: {said}");
    }
    let shown: Value =
        serde_json::from_slice(&std::fs::read(folder.join("proof/receipt.json")).unwrap()).unwrap();
    let shown = shown.to_string();
    // The scorecard's own worked example: 305 points, under the threshold.
    assert!(shown.contains("305") && shown.contains("\"deny\""), "{shown}");
    let card = std::fs::read(folder.join("models/card.json")).unwrap();
    assert!(
        shown.contains(&base64_encode(Hash::of(&card).as_bytes())),
        "the receipt names another model: {shown}"
    );
}

/// Every variable that the chart sets is a key of the configuration, and is what holds.
fn says_who_set_what(pod: &Pod, program: &Path, container: &Value) {
    let mut container = container.clone();
    container["args"] = serde_json::json!(["config", "explain"]);
    let output = pod.command(program, &container).output().unwrap();
    let warned = String::from_utf8(output.stderr.clone()).unwrap();
    assert!(!warned.contains("fits no key"), "{warned}");
    let said = done(output);
    let variables: BTreeMap<_, _> = list(&container["env"])
        .iter()
        .filter_map(|variable| Some((text(&variable["name"]), pod.here(variable["value"].as_str()?))))
        .collect();
    let told = ["LEDGERSTONE_CONFIG", "LEDGERSTONE_LOG_FORMAT", "LEDGERSTONE_LOG_FILTER"];
    for (name, value) in variables.iter().filter(|(name, _)| !told.contains(name)) {
        let holds = said.lines().any(|line| line.contains(value.as_str()) && line.contains(name));
        assert!(holds, "{name} = {value} does not hold:\n{said}");
    }
}

fn wait(pod: &Pod, model: &mut Running, sidecar: &mut Running) {
    let begun = Instant::now();
    while TcpStream::connect(pod.model).is_err()
        || http(pod.admin, "/ready").is_none_or(|(status, _)| status != 200)
    {
        model.must_run();
        sidecar.must_run();
        let log = || std::fs::read_to_string(pod.folder.join("mlserver.log")).unwrap();
        assert!(begun.elapsed() < START, "the pod is not ready; MLServer said:\n{}", log());
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(TcpStream::connect(pod.grpc).is_ok() && TcpStream::connect(pod.http).is_ok());
}

fn done(output: Ended) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What `ledgerstone ARGUMENTS...` ends with and says.
fn verifier(arguments: &[String]) -> (Exit, String) {
    let words = ["ledgerstone".to_owned()].into_iter().chain(arguments.iter().cloned());
    let arguments = Arguments::try_parse_from(words).unwrap();
    let said = Said::default();
    let mut output = Output::into(arguments.output, Box::new(said.clone()), Box::new(said.clone()));
    let exit =
        command::run(&arguments.command, &mut output).unwrap_or_else(|refusal| output.refuse(&refusal));
    output.flush().unwrap();
    (exit, String::from_utf8(said.0.lock().unwrap().clone()).unwrap())
}

#[derive(Clone, Default)]
struct Said(Arc<Mutex<Vec<u8>>>);

impl Write for Said {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
