//! A successor takes over: no call fails; one that cannot come into service leaves the sidecar that runs.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use ledgerstone::entry::Kind;
use ledgerstone::store::disk::Disk as _;
use ledgerstone::store::fs::StdDisk;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity as Shown};

use crate::load::{Load, Saw, accounts_for, entries, verifies};
use crate::pki::Authority;
use crate::support::{Running, Sidecar, http_get, serve_doubler};

const HAND_OVERS: usize = 5;

/// The configured sidecar, which may be taken over from.
struct Place {
    sidecar: Sidecar,
    flags: Vec<String>,
}

impl Place {
    async fn new(folder: &Path, flags: Vec<String>) -> Self {
        let sidecar = Sidecar::init(folder, serve_doubler().await);
        let socket = format!("server.handover={}", folder.join("handover.sock").display());
        Self { sidecar, flags: [vec![socket], flags].concat() }
    }

    fn command(&self, more: &[&str]) -> Command {
        let mut command = self.sidecar.command("run");
        self.flags.iter().for_each(|flag| _ = command.args(["--set", flag]));
        command.args(more);
        command
    }

    fn start(&self, more: &[&str]) -> Running {
        self.sidecar.start_as(self.command(more))
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::from_shared(format!("http://{}", self.sidecar.grpc)).unwrap()
    }

    /// Waits until the log lines have `text` for the `count`-th time.
    async fn says(&self, text: &str, count: usize) {
        let begun = Instant::now();
        while self.sidecar.log_lines().matches(text).count() < count {
            assert!(begun.elapsed() < crate::support::PATIENCE, "no {text:?}:\n{}", self.sidecar.log_lines());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Has successors take over `HAND_OVERS` times, one after the other; the last one.
    async fn take_turns(&self, mut running: Running) -> Running {
        for turn in 0..HAND_OVERS {
            tokio::time::sleep(Duration::from_millis(300)).await;
            let begun = Instant::now();
            let next = self.start(&["--take-over"]);
            let ended = tokio::task::spawn_blocking(move || running.wait()).await.unwrap();
            assert!(ended.success(), "hand-over {turn}:\n{}", self.sidecar.log_lines());
            println!("hand-over {turn} took {:?} from the start of the successor", begun.elapsed());
            running = next;
        }
        running
    }

    async fn stop(&self, mut running: Running) {
        let stopped = tokio::task::spawn_blocking(move || running.stop()).await.unwrap();
        assert!(stopped.success(), "{}", self.sidecar.log_lines());
    }

    /// Nobody failed, and the log says the same as the callers.
    fn held(&self, saw: &Saw, sessions: usize) {
        let Saw { answers, unsent, slowest, .. } = saw;
        println!("{} answers, {unsent} calls made again, the slowest after {slowest:?}", answers.len());
        assert!(saw.failures.is_empty(), "{:?}\n{}", saw.failures, self.sidecar.log_lines());
        assert_eq!(accounts_for(&self.sidecar, &saw.answers), sessions);
        assert!(!entries(&self.sidecar.store()).iter().any(|entry| entry.kind == Kind::Gap));
        verifies(&self.sidecar);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_fails_over_five_hand_overs() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::new(folder.path(), Vec::new()).await;
    let running = place.start(&[]);
    drop(place.sidecar.client().await);
    let load = Load::begin(&place.endpoint(), 8, 4);
    let running = place.take_turns(running).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let saw = load.end().await;
    let (status, _) = http_get(place.sidecar.http, "/checkpoint").await.unwrap();
    assert_eq!(status, 200, "the other ports are handed over too");
    place.stop(running).await;
    place.held(&saw, HAND_OVERS + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_fails_over_five_hand_overs_with_tls() {
    let folder = tempfile::tempdir().unwrap();
    let (servers, clients) = (Authority::new("servers"), Authority::new("clients"));
    servers.good().through(&servers).write(folder.path(), "server");
    std::fs::write(folder.path().join("clients.pem"), clients.pem()).unwrap();
    let path = |key: &str, name: &str| format!("server.tls.{key}={}", folder.path().join(name).display());
    let flags =
        vec![path("cert", "server.pem"), path("key", "server.key"), path("client_ca_file", "clients.pem")];
    let place = Place::new(folder.path(), flags).await;
    let running = place.start(&[]);
    place.says("serving", 1).await;
    let one = clients.good();
    ledgerstone_sidecar::tls::install_crypto_provider();
    let tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(servers.pem()))
        .domain_name("localhost")
        .identity(Shown::from_pem(&one.cert, &one.key));
    let endpoint = Endpoint::from_shared(format!("https://{}", place.sidecar.grpc)).unwrap();
    let load = Load::begin(&endpoint.tls_config(tls).unwrap(), 4, 2);
    let running = place.take_turns(running).await;
    let saw = load.end().await;
    place.stop(running).await;
    place.held(&saw, HAND_OVERS + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_successor_that_cannot_start_leaves_the_sidecar_that_runs() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::new(folder.path(), Vec::new()).await;
    let running = place.start(&[]);
    drop(place.sidecar.client().await);
    let load = Load::begin(&place.endpoint(), 4, 2);

    // It finds out by itself, before it asks for the log.
    std::fs::write(folder.path().join("other.key"), "no key").unwrap();
    let other = format!("log.key_file={}", folder.path().join("other.key").display());
    for (flag, says) in [
        ("server.listen=nowhere", "server.listen"),
        (other.as_str(), "log.key_file"),
        ("log.origin=example.com/another", "writes the log example.com/tests"),
    ] {
        let output = place.command(&["--take-over", "--set", flag]).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains(says), "{flag}: {said}");
    }
    let output = place.command(&[]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(64) && said.contains("run --take-over"), "{said}");

    tokio::time::sleep(Duration::from_millis(300)).await;
    let saw = load.end().await;
    place.stop(running).await;
    place.held(&saw, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_successor_that_fails_with_the_log_in_hand_gives_it_back() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::new(folder.path(), Vec::new()).await;
    let running = place.start(&[]);
    drop(place.sidecar.client().await);
    let load = Load::begin(&place.endpoint(), 4, 2);
    // Another key under the same name: every subject key of this log is wrapped under the one it does not have.
    let foreign = tempfile::tempdir().unwrap();
    let other = Sidecar::init(foreign.path(), serve_doubler().await);
    let key = format!("keys.file={}", other.folder.join("kek.key").display());
    for turn in 1..=2 {
        let output = place.command(&["--take-over", "--set", &key]).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains("ready to take over"), "{said}");
        place.says("the successor did not come into service", turn).await;
        place.says("serving", turn + 1).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    // And one that does come into service still can.
    let next = place.start(&["--take-over"]);
    let mut first = running;
    let ended = tokio::task::spawn_blocking(move || first.wait()).await.unwrap();
    assert!(ended.success(), "{}", place.sidecar.log_lines());
    tokio::time::sleep(Duration::from_millis(300)).await;
    let saw = load.end().await;
    place.stop(next).await;
    place.held(&saw, 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_is_opened_again_once_a_successor_that_failed_has_closed_it() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::new(folder.path(), Vec::new()).await;
    let running = place.start(&[]);
    drop(place.sidecar.client().await);
    let (socket, store) = (folder.path().join("handover.sock"), place.sidecar.store());
    let fails = tokio::task::spawn_blocking(move || {
        let mut stream = UnixStream::connect(socket).unwrap();
        let mut greeting = [0; 4096];
        assert!(stream.read(&mut greeting).unwrap() > 0);
        stream.write_all(b"T").unwrap();
        let mut word = [0];
        stream.read_exact(&mut word).unwrap();
        assert_eq!(&word, b"R");
        // A process that ends closes its files one after the other, and a log that was opened is closed in order.
        let held = StdDisk::new(&store).lock("lock").unwrap().expect("it was let go");
        drop(stream);
        std::thread::sleep(Duration::from_millis(500));
        drop(held);
    });
    fails.await.unwrap();
    place.says("serving", 2).await;
    let answer = crate::load::call(&place.endpoint().connect_lazy(), "after").await.unwrap();
    place.stop(running).await;
    assert_eq!(accounts_for(&place.sidecar, &[answer]), 2);
    verifies(&place.sidecar);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_says_nothing_holds_up_no_hand_over() {
    let folder = tempfile::tempdir().unwrap();
    // The kernel takes connections for it, and nobody ever reads.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let telemetry = format!("telemetry.endpoint=http://{}", silent.local_addr().unwrap());
    let place = Place::new(folder.path(), vec![telemetry]).await;
    let mut running = place.start(&[]);
    drop(place.sidecar.client().await);
    let load = Load::begin(&place.endpoint(), 2, 1);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let next = place.start(&["--take-over"]);
    let ended = tokio::task::spawn_blocking(move || running.wait()).await.unwrap();
    assert!(ended.success(), "{}", place.sidecar.log_lines());
    let saw = load.end().await;
    place.stop(next).await;
    assert!(saw.slowest < Duration::from_secs(4), "telemetry has 5 s to end: {:?}", saw.slowest);
    place.held(&saw, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sidecar_that_is_killed_while_it_hands_over_has_let_go() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::new(folder.path(), Vec::new()).await;
    let mut running = place.start(&[]);
    drop(place.sidecar.client().await);
    let slow = place.endpoint().connect_lazy();
    let slow = tokio::spawn(async move { crate::load::call(&slow, crate::support::SLOW).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    let next = place.start(&["--take-over"]);
    place.says("handing over", 1).await;
    running.kill();
    slow.await.unwrap().expect_err("its sidecar was killed");
    place.says("serving", 2).await;
    let answer = crate::load::call(&place.endpoint().connect_lazy(), "after").await.unwrap();
    place.stop(next).await;
    let log = entries(&place.sidecar.store());
    assert_eq!(log[answer.0 as usize].decision.unwrap().to_string(), answer.1);
    verifies(&place.sidecar);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tells_the_service_manager_when_it_serves_and_when_it_ends() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::new(folder.path(), Vec::new()).await;
    let path = folder.path().join("notify.sock");
    let manager = tokio::net::UnixDatagram::bind(&path).unwrap();
    let mut command = place.command(&["--take-over"]);
    let running = place.sidecar.start_as({
        command.env("NOTIFY_SOCKET", &path);
        command
    });
    let told = async || {
        let mut state = [0; 64];
        let length =
            tokio::time::timeout(crate::support::PATIENCE, manager.recv(&mut state)).await.unwrap().unwrap();
        String::from_utf8(state[..length].to_vec()).unwrap()
    };
    assert_eq!(told().await, "READY=1");
    let (status, _) = http_get(place.sidecar.admin, "/ready").await.unwrap();
    assert_eq!(status, 200, "without a sidecar that runs it starts as usual");
    place.stop(running).await;
    assert_eq!(told().await, "STOPPING=1");
}
