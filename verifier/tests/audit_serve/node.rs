//! A node that serves, the files around it, and a caller.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::OnceLock;

use ledgerstone::hash::Hash;
use ledgerstone::proto::ledgerstone_v1 as wire;
use ledgerstone::proto::ledgerstone_v1::audit_client::AuditClient;
use ledgerstone::proto::ledgerstone_v1::submit_run_request::Part;
use tempfile::TempDir;
use tonic::Status;
use tonic::transport::Channel;

use crate::evidence::Evidence;
use crate::log;

/// Decisions of a bundle that takes long enough to be stopped.
const LONG: u64 = 60_000;

/// A bundle that takes long enough to be stopped, and its results as `audit run` gives them; made once.
pub(crate) fn long() -> &'static (Vec<u8>, Vec<u8>) {
    static LONG_ONE: OnceLock<(Vec<u8>, Vec<u8>)> = OnceLock::new();
    LONG_ONE.get_or_init(|| {
        let desk = Desk::new();
        let bundle = Evidence::of(LONG, 0).bundle();
        desk.write("long.bundle", &bundle);
        (bundle, desk.local("long.bundle"))
    })
}

/// A folder of files.
pub(crate) struct Desk {
    folder: TempDir,
}

impl Desk {
    pub(crate) fn new() -> Self {
        let desk = Self { folder: tempfile::tempdir().unwrap() };
        desk.write("lending.policy", log::policy(&log::keys(log::ORIGIN, 1)).to_string().as_bytes());
        desk.write("other.policy", log::policy(&log::keys(log::ORIGIN, 7)).to_string().as_bytes());
        desk
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).unwrap();
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ledgerstone"));
        command.current_dir(self.folder.path()).args(arguments);
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// What `audit run` gives on this machine.
    pub(crate) fn local(&self, bundle: &str) -> Vec<u8> {
        let ran = self.run(&["audit", "run", bundle, "-o", "local.jsonl", "--policy", "lending.policy"]);
        assert_eq!(ran.status.code(), Some(0), "{}", said(&ran));
        let results = self.read("local.jsonl");
        fs::remove_file(self.path("local.jsonl")).unwrap();
        results
    }

    /// A node with the log's policy and one thread, whose folder is `node`.
    pub(crate) fn serve(&self, arguments: &[&str]) -> Node {
        let usual = ["--policy", "lending.policy"];
        self.serve_with(&[&usual[..], arguments].concat())
    }

    pub(crate) fn serve_with(&self, arguments: &[&str]) -> Node {
        let serve = ["audit", "serve", "--folder", "node", "--listen", "127.0.0.1:0", "--threads", "1"];
        let mut command = self.command(&[&serve[..], arguments].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("Listening on ").expect("an address").to_owned();
        Node { child, address }
    }

    /// What is in the node's folder `uploads`.
    pub(crate) fn uploads(&self) -> usize {
        fs::read_dir(self.path("node/uploads")).unwrap().count()
    }
}

/// Standard output and standard error.
pub(crate) fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The same without the breaks between lines.
pub(crate) fn flat(output: &Output) -> String {
    said(output).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A service that runs; it is killed when it is dropped.
pub(crate) struct Node {
    child: Child,
    pub(crate) address: String,
}

impl Node {
    pub(crate) fn url(&self) -> String {
        format!("grpc://{}", self.address)
    }

    pub(crate) async fn client(&self) -> AuditClient<Channel> {
        AuditClient::connect(format!("http://{}", self.address)).await.unwrap()
    }

    pub(crate) fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    pub(crate) fn wait(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// Stops in order.
    pub(crate) fn stop(self) {
        self.signal("TERM");
        assert!(self.wait().success());
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // One that was waited for is gone already.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// Sends a signal to a process that this test started.
pub(crate) fn signal(process: u32, name: &str) {
    let sent = Command::new("sh").args(["-c", &format!("kill -{name} {process}")]).status().unwrap();
    assert!(sent.success());
}

/// What a submission says of a file.
pub(crate) fn file(bytes: &[u8]) -> wire::AuditFile {
    wire::AuditFile { sha256: Hash::of(bytes).to_string(), size_bytes: bytes.len() as u64 }
}

/// The start of a submission of a bundle.
pub(crate) fn start(bundle: &[u8]) -> Part {
    Part::Start(wire::SubmitRunStart { bundle: Some(file(bundle)), ..wire::SubmitRunStart::default() })
}

/// A submission of these parts.
pub(crate) async fn send(
    client: &mut AuditClient<Channel>,
    parts: Vec<Part>,
) -> Result<wire::SubmitRunResponse, Status> {
    let messages: Vec<_> =
        parts.into_iter().map(|part| wire::SubmitRunRequest { part: Some(part) }).collect();
    Ok(client.submit_run(tokio_stream::iter(messages)).await?.into_inner())
}

/// A submission of a bundle, as it should be.
pub(crate) async fn submit(
    client: &mut AuditClient<Channel>,
    bundle: &[u8],
) -> Result<wire::AuditRun, Status> {
    let chunks = bundle.chunks(1 << 20).map(|chunk| Part::Chunk(chunk.to_vec().into()));
    let parts = std::iter::once(start(bundle)).chain(chunks).collect();
    Ok(send(client, parts).await?.run.unwrap())
}

/// Watches a run until `enough`.
pub(crate) async fn watch(
    client: &mut AuditClient<Channel>,
    run_id: &str,
    enough: impl Fn(&wire::AuditRun) -> bool,
) -> wire::AuditRun {
    let request = wire::WatchRunRequest { run_id: run_id.to_owned() };
    let mut states = client.watch_run(request).await.unwrap().into_inner();
    let mut last = None;
    while let Some(message) = states.message().await.unwrap() {
        let run = message.run.unwrap();
        if enough(&run) {
            return run;
        }
        last = Some(run);
    }
    panic!("the run ended before: {last:?}");
}

/// Watches a run until it is recomputed, and has not ended.
pub(crate) async fn until_it_runs(client: &mut AuditClient<Channel>, run_id: &str) -> wire::AuditRun {
    watch(client, run_id, |run| {
        run.state() == wire::AuditRunState::Running
            && run.progress.as_ref().is_some_and(|progress| progress.entries_done > 0)
    })
    .await
}

pub(crate) async fn until(
    client: &mut AuditClient<Channel>,
    run_id: &str,
    state: wire::AuditRunState,
) -> wire::AuditRun {
    watch(client, run_id, |run| run.state() == state).await
}

/// The results of a run that is done.
pub(crate) async fn results(
    client: &mut AuditClient<Channel>,
    run_id: &str,
    offset: u64,
) -> Result<Vec<u8>, Status> {
    let request = wire::FetchResultsRequest { run_id: run_id.to_owned(), offset };
    let mut chunks = client.fetch_results(request).await?.into_inner();
    let mut bytes = Vec::new();
    while let Some(message) = chunks.message().await? {
        bytes.extend_from_slice(&message.chunk);
    }
    Ok(bytes)
}

/// The stable code of a status.
pub(crate) fn code(status: &Status) -> &str {
    status.metadata().get("ledgerstone-code").map_or("", |code| code.to_str().unwrap())
}

/// Waits until the folder of uploads is empty: what was refused is cleared away a moment after the answer.
pub(crate) async fn until_cleared(desk: &Desk) {
    for _ in 0..500 {
        if desk.uploads() == 0 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("{} uploads stayed", desk.uploads());
}
