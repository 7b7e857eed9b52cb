//! The programs of these tests, and what a render is.

use std::ffi::OsStr;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

pub(crate) const CHART: &str = "deploy/helm/ledgerstone";

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

pub(crate) fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Says that `what` was skipped, which must not happen under CI.
pub(crate) fn skipped(what: &str, because: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{what}: {because}");
    println!("skipped: {what}, because {because}");
}

/// What a script of `scripts/` prints as its last line.
pub(crate) fn script(name: &str, arguments: &[&str]) -> Result<PathBuf, String> {
    let output = Command::new(root().join("scripts").join(name)).args(arguments).output().unwrap();
    match output.status.success() {
        true => {
            Ok(PathBuf::from(String::from_utf8(output.stdout).unwrap().lines().last().unwrap_or("").trim()))
        }
        false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}

/// The programs that render and validate; nothing where they cannot be had.
pub(crate) struct Tools {
    helm: PathBuf,
    json: PathBuf,
    kubeconform: PathBuf,
    pub(crate) kubectl: PathBuf,
    schemas: PathBuf,
}

impl Tools {
    pub(crate) fn find(what: &str) -> Option<Self> {
        let found = || -> Result<Self, String> {
            let program = |name| script("kube-path", &[name]);
            Ok(Self {
                helm: program("helm")?,
                json: program("yaml-json")?,
                kubeconform: program("kubeconform")?,
                kubectl: program("kubectl")?,
                schemas: script("kube-schemas", &[])?,
            })
        };
        found().map_err(|problem| skipped(what, &problem)).ok()
    }

    pub(crate) fn helm<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(&self.helm);
        command.current_dir(root()).args(arguments);
        command
    }

    /// What `helm template` makes of the chart with these arguments more, or why it refuses.
    pub(crate) fn template(&self, arguments: &[&str]) -> Result<String, String> {
        let all = ["template", "loans", CHART, "--namespace", "lending"]
            .into_iter()
            .chain(arguments.iter().copied());
        let output = self.helm(all).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
    }

    /// Its objects.
    pub(crate) fn render(&self, arguments: &[&str]) -> Render {
        let text = self.template(arguments).unwrap_or_else(|error| panic!("{arguments:?}: {error}"));
        Render(self.documents(&text))
    }

    /// YAML documents as JSON.
    pub(crate) fn documents(&self, yaml: &str) -> Vec<Value> {
        let output = fed(Command::new(&self.json), yaml);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// What kubeconform says against; nothing if every object has a schema and fits it.
    pub(crate) fn faults(&self, yaml: &str) -> Option<String> {
        let mut command = Command::new(&self.kubeconform);
        let location =
            format!("{}/{{{{ .ResourceKind }}}}{{{{ .KindSuffix }}}}.json", self.schemas.display());
        command.args(["-strict", "-schema-location", &location, "-"]);
        let output = fed(command, yaml);
        let said = String::from_utf8(output.stdout).unwrap() + &String::from_utf8_lossy(&output.stderr);
        (!output.status.success()).then_some(said)
    }
}

/// Runs `command` with `input`.
pub(crate) fn fed(mut command: Command, input: &str) -> Output {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    let (mut stdin, input) = (child.stdin.take().unwrap(), input.to_owned());
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    // A program that refuses early closes its input.
    _ = writer.join().unwrap();
    output
}

/// The objects of one render.
pub(crate) struct Render(pub(crate) Vec<Value>);

impl Render {
    pub(crate) fn of_kind<'a, 'b>(&'a self, kind: &'b str) -> impl Iterator<Item = &'a Value> + use<'a, 'b> {
        self.0.iter().filter(move |object| object["kind"] == kind)
    }

    /// The one object of this kind.
    pub(crate) fn the(&self, kind: &str) -> &Value {
        let found: Vec<_> = self.of_kind(kind).collect();
        assert_eq!(found.len(), 1, "{kind}");
        found[0]
    }

    pub(crate) fn named(&self, kind: &str, name: &str) -> &Value {
        self.of_kind(kind)
            .find(|object| object["metadata"]["name"] == name)
            .unwrap_or_else(|| panic!("{kind} {name}"))
    }

    pub(crate) fn has(&self, kind: &str, name: &str) -> bool {
        self.of_kind(kind).any(|object| object["metadata"]["name"] == name)
    }
}

/// The elements of a list; none where it is left out.
pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("a text is needed, not {value}"))
}

/// What `GET path` answers: status and body; nothing while nobody listens.
pub(crate) fn http(address: SocketAddr, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}

/// A program that runs until it is told to end; it is killed when this is dropped.
pub(crate) struct Running(Child);

impl Running {
    pub(crate) fn new(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::null()).spawn().unwrap())
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// Fails with what it said on standard error, where it ended.
    pub(crate) fn must_run(&mut self) {
        if let Some(status) = self.0.try_wait().unwrap() {
            let mut said = String::new();
            if let Some(mut stderr) = self.0.stderr.take() {
                stderr.read_to_string(&mut said).unwrap();
            }
            panic!("it ended ({status}): {said}");
        }
    }

    pub(crate) fn terminate(&self) {
        let sent = Command::new("kill").args(["-TERM", &self.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.0.wait().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        _ = self.0.kill();
        _ = self.0.wait();
    }
}
