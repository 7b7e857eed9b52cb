//! A real API server with etcd behind it, and no node: what is admitted is stored, and nothing runs.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::tools::{Tools, fed, script, skipped};

/// How long the server may take to answer on a busy machine.
const START: Duration = Duration::from_secs(120);
/// How long an admission policy may take until the server applies it.
const APPLY: Duration = Duration::from_secs(30);
const TOKEN: &str = "administrator";

/// The server; it ends when this is dropped.
pub(crate) struct Cluster {
    /// Where the server listens.
    pub(crate) address: SocketAddr,
    tools: Tools,
    children: Vec<Child>,
    folder: TempDir,
}

impl Cluster {
    pub(crate) fn start(what: &str) -> Option<Self> {
        let tools = Tools::find(what)?;
        let programs = script("kube-path", &["etcd"])
            .and_then(|etcd| Ok((etcd, script("kube-path", &["kube-apiserver"])?)));
        let (etcd, server) = programs.map_err(|problem| skipped(what, &problem)).ok()?;
        let [clients, peers, port] = free_ports();
        let folder = tempfile::tempdir().unwrap();
        let mut cluster = Self { address: port, tools, children: Vec::new(), folder };
        cluster.etcd(&etcd, clients, peers);
        cluster.server(&server, clients, port);
        let configuration = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: it\n\
             clusters: [{{name: it, cluster: {{server: \"https://{port}\", insecure-skip-tls-verify: true}}}}]\n\
             users: [{{name: it, user: {{token: {TOKEN}}}}}]\n\
             contexts: [{{name: it, context: {{cluster: it, user: it}}}}]\n"
        );
        std::fs::write(cluster.path("config"), configuration).unwrap();
        cluster
            .wait("the API server", START, || cluster.kubectl(&["get", "--raw", "/readyz"]).status.success());
        Some(cluster)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn spawn(&mut self, program: &Path, name: &str, arguments: &[String]) {
        let log = std::fs::File::create(self.path(name)).unwrap();
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.children.push(command.spawn().unwrap());
    }

    fn etcd(&mut self, program: &Path, clients: SocketAddr, peers: SocketAddr) {
        let data = self.path("etcd");
        let arguments = [
            format!("--data-dir={}", data.display()),
            format!("--listen-client-urls=http://{clients}"),
            format!("--advertise-client-urls=http://{clients}"),
            format!("--listen-peer-urls=http://{peers}"),
            format!("--initial-advertise-peer-urls=http://{peers}"),
            format!("--initial-cluster=default=http://{peers}"),
            "--unsafe-no-fsync".to_owned(),
        ];
        self.spawn(program, "etcd.log", &arguments);
    }

    fn server(&mut self, program: &Path, etcd: SocketAddr, port: SocketAddr) {
        let (key, tokens) = (self.path("accounts.key"), self.path("tokens.csv"));
        let made = Command::new("openssl").args(["genrsa", "-out"]).arg(&key).arg("2048").output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        std::fs::write(&tokens, format!("{TOKEN},admin,1,system:masters\n")).unwrap();
        let arguments = [
            format!("--etcd-servers=http://{etcd}"),
            format!("--secure-port={}", port.port()),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--cert-dir={}", self.path("certificates").display()),
            format!("--service-account-key-file={}", key.display()),
            format!("--service-account-signing-key-file={}", key.display()),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            format!("--token-auth-file={}", tokens.display()),
            "--authorization-mode=RBAC".to_owned(),
            "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
            // Nobody makes the account `default` of a namespace here, nor removes a node's taint.
            "--disable-admission-plugins=ServiceAccount,TaintNodesByCondition".to_owned(),
        ];
        self.spawn(program, "server.log", &arguments);
    }

    /// Waits until `done`, as far as a stopwatch is needed for what other programs do.
    fn wait(&self, what: &str, most: Duration, mut done: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !done() {
            let log = || std::fs::read_to_string(self.path("server.log")).unwrap_or_default();
            assert!(begun.elapsed() < most, "{what} is not there after {most:?}:\n{}", log());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    pub(crate) fn kubectl(&self, arguments: &[&str]) -> Output {
        self.kubectl_fed(arguments, "")
    }

    fn kubectl_fed(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = Command::new(&self.tools.kubectl);
        command.args(arguments).env("KUBECONFIG", self.path("config")).env("HOME", self.folder.path());
        fed(command, input)
    }

    /// Runs kubectl, which must do what it is told; what it printed.
    pub(crate) fn told(&self, arguments: &[&str]) -> String {
        let output = self.kubectl(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The object as the server has it.
    pub(crate) fn get(&self, namespace: &str, kind: &str, name: &str) -> Value {
        serde_json::from_str(&self.told(&["get", "--namespace", namespace, kind, name, "--output=json"]))
            .unwrap()
    }

    /// Has the server admit `object` without storing it; what it makes of it, or why it refuses.
    pub(crate) fn admit(&self, object: &Value) -> Result<Value, String> {
        let output = self.kubectl_fed(
            &["create", "--dry-run=server", "--output=json", "--filename=-"],
            &object.to_string(),
        );
        if output.status.success() {
            Ok(serde_json::from_slice(&output.stdout).unwrap())
        } else {
            Err(String::from_utf8(output.stderr).unwrap())
        }
    }

    /// Waits until the server decides about `object` as `decided` wants: policies take a moment to be applied.
    pub(crate) fn admits_in_time(&self, object: &Value, decided: impl Fn(&Result<Value, String>) -> bool) {
        self.wait("the policy's decision", APPLY, || decided(&self.admit(object)));
    }

    pub(crate) fn create(&self, object: &Value) {
        let output = self.kubectl_fed(&["create", "--filename=-"], &object.to_string());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Runs helm, which must do what it is told; what it printed.
    pub(crate) fn helm(&self, arguments: &[&str]) -> String {
        let mut command = self.tools.helm(arguments);
        for folder in ["HOME", "HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
            command.env(folder, self.folder.path());
        }
        let output = command.env("KUBECONFIG", self.path("config")).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for child in self.children.iter_mut().rev() {
            // It may have ended by itself.
            _ = child.kill();
            _ = child.wait();
        }
    }
}

/// Three ports that were free a moment ago.
fn free_ports() -> [SocketAddr; 3] {
    let listeners = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap())
}
