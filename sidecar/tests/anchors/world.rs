//! A sidecar with anchors, an authority, calendars, and what is to hold of them.

use std::collections::BTreeMap;
use std::future::Future;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ledgerstone::anchor::chain::{Anchored, verify_chain};
use ledgerstone::anchor::statement::{LaneName, Statement};
use ledgerstone::checkpoint::LogVerifier;
use ledgerstone::entry::{AnchorDetails, Entry, KindDetails};
use ledgerstone::hash::Hash;
use ledgerstone::merkle::LeafIndex;
use ledgerstone::store::fs::{FsReader, StdDisk};
use ledgerstone_sidecar::anchor::LaneFolder;
use ledgerstone_sidecar::app::{App, RecoverError, Running};
use ledgerstone_sidecar::config::Config;
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::pki::{CA, EC, Pki, STAMPING};
use crate::support::{PATIENCE, Sidecar, http_get, request, serve_doubler};

pub const DRAIN: Duration = Duration::from_secs(20);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn is_ci() -> bool {
    std::env::var_os("CI").is_some_and(|ci| ci == "true")
}

/// Waits until `holds`; `what` says what did not come.
pub async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let start = Instant::now();
    while !holds().await {
        assert!(start.elapsed() < PATIENCE, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A plain HTTP POST; nothing if nobody answers.
pub async fn http_post(address: SocketAddr, path: &str, body: &str) -> Option<Vec<u8>> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(address).await.ok()?;
    let length = body.len();
    let head =
        format!("POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
    stream.write_all(format!("{head}{body}").as_bytes()).await.ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.ok()?;
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    Some(answer[end + 4..].to_vec())
}

/// A server process that says on its first line where it listens; killed when dropped.
pub struct Peer {
    child: Child,
    pub said: Value,
    pub url: String,
    pub address: SocketAddr,
}

impl Peer {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let said: Value = serde_json::from_str(&line).expect("the server says where it listens");
        let url = said["url"].as_str().unwrap().to_owned();
        let port: u16 = url.rsplit(':').next().unwrap().parse().unwrap();
        Self { child, said, url, address: SocketAddr::from(([127, 0, 0, 1], port)) }
    }

    pub fn kill(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The keys of an authority: good ones, and ones that may not stamp.
pub fn keys() -> Option<Pki> {
    if !crate::pki::has_openssl() {
        return None;
    }
    let pki = Pki::new();
    pki.certificate("tsa", Some("root"), EC, &[STAMPING]);
    pki.certificate("revoked", Some("root"), EC, &[STAMPING]);
    pki.certificate("purpose", Some("root"), EC, &["extendedKeyUsage=critical,codeSigning"]);
    pki.certificate("stranger", None, EC, &CA);
    pki.write("index.txt", b"");
    pki.write("past.cnf", PAST.as_bytes());
    pki.write("past.serial", b"77\n");
    pki.openssl(&format!(
        "req -config req.cnf -new {EC} -nodes -keyout expired.key -subj /CN=expired -out expired.csr"
    ));
    pki.openssl("ca -batch -notext -config past.cnf -extfile past.cnf -extensions stamping -cert root.pem -keyfile root.key -in expired.csr -startdate 20200101000000Z -enddate 20210101000000Z -out expired.pem");
    Some(pki)
}

const PAST: &str = "[ca]\ndefault_ca = c\n[c]\ndatabase = index.txt\nserial = past.serial\nnew_certs_dir = .\ndefault_md = sha256\npolicy = any\n[any]\ncommonName = supplied\n[stamping]\nextendedKeyUsage = critical,timeStamping\n";

/// A timestamp authority.
pub struct Authority {
    pub peer: Peer,
    pub pki: Pki,
}

impl Authority {
    /// Starts one; nothing where `openssl` or Python is missing.
    pub fn start() -> Option<Self> {
        let pki = keys()?;
        let peer = serve(&pki, 0, &[])?;
        Some(Self { peer, pki })
    }

    /// One that speaks https.
    pub fn start_tls() -> Option<Self> {
        let pki = keys()?;
        pki.certificate("server", Some("root"), EC, &["subjectAltName=DNS:localhost"]);
        let files = ["server.pem", "server.key"].map(|name| pki.dir.path().join(name).display().to_string());
        let peer = serve(&pki, 0, &["--tls", &files[0], &files[1]])?;
        Some(Self { peer, pki })
    }

    pub async fn mode(&self, mode: &str) {
        http_post(self.peer.address, "/mode", mode).await.unwrap();
    }

    pub async fn count(&self) -> u64 {
        let (_, body) = http_get(self.peer.address, "/count").await.unwrap();
        String::from_utf8(body).unwrap().parse().unwrap()
    }

    pub fn stop(&mut self) {
        self.peer.kill();
    }

    /// Starts it again where it was.
    pub fn start_again(&mut self) {
        self.peer = serve(&self.pki, self.peer.address.port(), &[]).unwrap();
    }

    /// The table of a lane that asks it, every second.
    pub fn lane(&self, name: &str) -> String {
        let roots = self.pki.dir.path().join("root.pem");
        format!(
            "[[anchors.rfc3161]]\nname = \"{name}\"\nurl = \"{}/tsr\"\ninterval = \"1s\"\ntimeout = \"2s\"\nroots_file = \"{}\"\n",
            self.peer.url,
            roots.display()
        )
    }

    /// Whether `openssl ts -verify` takes the reply of a statement.
    pub fn openssl_takes(&self, folder: &Path) -> bool {
        let root = self.pki.dir.path().join("root.pem");
        let output = Command::new("openssl")
            .args(["ts", "-verify", "-data", "statement", "-in", "proof.tsr", "-CAfile"])
            .arg(root)
            .current_dir(folder)
            .output()
            .unwrap();
        output.status.success()
    }
}

fn serve(pki: &Pki, port: u16, more: &[&str]) -> Option<Peer> {
    let mut command = Command::new("python3");
    command.arg(root().join("sidecar/tests/oracle/tsa.py")).arg("--pki").arg(pki.dir.path());
    command.args(["--port", &port.to_string()]).args(more);
    if !Command::new("python3").arg("--version").output().is_ok_and(|output| output.status.success()) {
        assert!(!is_ci(), "python3 is needed");
        println!("skipped: python3 is missing");
        return None;
    }
    Some(Peer::start(command))
}

/// An OpenTimestamps calendar over headers that it mines.
pub struct Calendar {
    pub peer: Peer,
    pub headers: PathBuf,
}

impl Calendar {
    /// Starts one that writes its headers below `folder`; nothing where its package cannot be had.
    pub fn start(folder: &Path, name: &str) -> Option<Self> {
        let made = Command::new(root().join("scripts/py-env"))
            .arg(root().join("tests/oracle/opentimestamps_requirements.txt"))
            .output();
        let Some(made) = made.ok().filter(|made| made.status.success()) else {
            assert!(!is_ci(), "the opentimestamps package is needed");
            println!("skipped: the opentimestamps package cannot be had");
            return None;
        };
        let headers = folder.join(format!("{name}.headers"));
        let mut command = Command::new(String::from_utf8(made.stdout).unwrap().trim());
        command.arg(root().join("tests/oracle/ots_calendar.py")).arg("--headers").arg(&headers);
        Some(Self { peer: Peer::start(command), headers })
    }

    pub async fn mine(&self, blocks: usize) {
        http_post(self.peer.address, "/mine", &blocks.to_string()).await.unwrap();
    }
}

/// The table of a lane of calendars.
pub fn calendar_lane(name: &str, calendars: &[&Calendar], more: &str) -> String {
    let urls: Vec<&str> = calendars.iter().map(|calendar| calendar.peer.url.as_str()).collect();
    format!(
        "[[anchors.opentimestamps]]\nname = \"{name}\"\ncalendars = {urls:?}\ninterval = \"1s\"\ntimeout = \"2s\"\nupgrade_interval = \"200ms\"\nnetwork = \"regtest\"\n{more}\n"
    )
}

/// A sidecar with anchors that is not running.
pub struct Stopped {
    pub folder: TempDir,
    pub files: Sidecar,
}

/// A sidecar with anchors that runs in this process.
pub struct World {
    pub stopped: Stopped,
    pub app: Running,
}

impl Stopped {
    /// Creates a log; `anchors` stands at the end of its configuration.
    pub async fn new(anchors: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files = Sidecar::init(folder.path(), serve_doubler().await);
        let stopped = Self { folder, files };
        stopped.append(anchors);
        stopped
    }

    /// Appends to the configuration.
    pub fn append(&self, text: &str) {
        let whole = std::fs::read_to_string(self.files.config()).unwrap();
        std::fs::write(self.files.config(), format!("{whole}\n{text}")).unwrap();
    }

    pub fn config(&self) -> Config {
        self.files.load::<&str>(&[])
    }

    pub async fn start(self) -> World {
        let app = App::build(self.config()).await.unwrap().spawn().await.unwrap();
        World { stopped: self, app }
    }

    /// Why it does not start.
    pub async fn refused(&self) -> RecoverError {
        let app = App::build(self.config()).await.unwrap();
        app.spawn().await.map(drop).unwrap_err()
    }

    pub fn store(&self) -> PathBuf {
        self.files.store()
    }

    /// The folder of a statement.
    pub fn statement(&self, lane: &str, seq: u64) -> PathBuf {
        self.store().join(format!("anchors/{lane}/{seq:08}"))
    }

    fn lane_folder(&self, lane: &str) -> LaneFolder {
        LaneFolder::new(StdDisk::new(&self.store()), LaneName::parse(lane).unwrap())
    }

    /// How many statements a lane has, none of them missing.
    pub fn count(&self, lane: &str) -> u64 {
        self.lane_folder(lane).last().unwrap()
    }

    /// Checks the whole chain of a lane with the log's keys.
    pub fn chain(&self, lane: &str) -> Vec<Anchored> {
        let folder = self.lane_folder(lane);
        let links: Vec<_> = (1..=self.count(lane)).map(|seq| folder.link(seq).unwrap().unwrap()).collect();
        let verifier: LogVerifier = log_keys(&self.files).verifier();
        verify_chain(&links, &verifier, Some(LaneName::parse(lane).unwrap())).unwrap()
    }

    /// Every anchor entry of the log, by lane and number.
    pub fn entries(&self) -> BTreeMap<(String, u64), AnchorDetails> {
        let reader = FsReader::open(&self.store());
        let size = reader.size().unwrap();
        let mut found = BTreeMap::new();
        for index in 0..size.get() {
            let entry = Entry::decode(&reader.entry(LeafIndex::new(index), size).unwrap()).unwrap();
            if let KindDetails::Anchor(details) = entry.kind_details().unwrap() {
                assert!(details.to_size.get() <= index, "an anchor is said after what it anchors");
                let key = (details.lane.to_string(), details.seq);
                assert_eq!(found.insert(key.clone(), details), None, "{key:?} stands there twice");
            }
        }
        found
    }

    /// Checks that the chain of `lane` holds, and that the log says of its first `confirmed` statements that they are anchored,
    /// each once and as it is.
    pub fn assert_chain_and_entries(&self, lane: &str, confirmed: u64) {
        self.chain(lane);
        let entries = self.entries();
        for seq in 1..=confirmed {
            let bytes = std::fs::read(self.statement(lane, seq).join("statement")).unwrap();
            let statement = Statement::decode(&bytes).unwrap();
            let details =
                entries.get(&(lane.to_owned(), seq)).unwrap_or_else(|| panic!("no entry of {lane} {seq}"));
            assert_eq!((details.statement, details.to_size), (Hash::of(&bytes), statement.to.size));
        }
    }
}

pub fn log_keys(files: &Sidecar) -> ledgerstone::checkpoint::LogKeys {
    let text = std::fs::read_to_string(files.folder.join("log.key")).unwrap();
    ledgerstone::checkpoint::LogKeys::parse(&text).unwrap()
}

impl World {
    pub async fn new(anchors: &str) -> Self {
        Stopped::new(anchors).await.start().await
    }

    pub async fn stop(self) -> Stopped {
        self.app.drain(DRAIN).await.unwrap();
        self.stopped
    }

    /// Has `count` decisions made, eight at a time.
    pub async fn decide(&self, count: usize) {
        let endpoint =
            tonic::transport::Endpoint::from_shared(format!("http://{}", self.app.grpc_addr)).unwrap();
        let channel = endpoint.connect().await.unwrap();
        let mut calls = JoinSet::new();
        for n in 0..count {
            if calls.len() == 8 {
                calls.join_next().await.unwrap().unwrap();
            }
            let mut model =
                ledgerstone::proto::inference::grpc_inference_service_client::GrpcInferenceServiceClient::new(
                    channel.clone(),
                );
            calls
                .spawn(async move { drop(model.model_infer(request(&format!("r{n}"), 1.5)).await.unwrap()) });
        }
        calls.join_all().await;
    }

    /// What the admin page says of the anchors.
    pub async fn page(&self) -> String {
        let (status, body) = http_get(self.app.admin_addr, "/anchors").await.unwrap();
        assert_eq!(status, 200);
        String::from_utf8(body).unwrap()
    }

    pub async fn metrics(&self) -> String {
        String::from_utf8(http_get(self.app.admin_addr, "/metrics").await.unwrap().1).unwrap()
    }

    /// The value of one series.
    pub async fn metric(&self, series: &str) -> f64 {
        let text = self.metrics().await;
        let line =
            text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ').map(str::to_owned));
        line.unwrap_or_else(|| panic!("no {series} in\n{text}")).parse().unwrap()
    }

    /// Leaves that a lane has confirmed.
    pub async fn confirmed(&self, lane: &str) -> u64 {
        self.metric(&format!("ledgerstone_anchor_confirmed_size{{lane=\"{lane}\"}}")).await as u64
    }

    /// Waits until the lane has confirmed `size` leaves.
    pub async fn until_confirmed(&self, lane: &str, size: u64) {
        let start = Instant::now();
        while self.confirmed(lane).await < size {
            assert!(start.elapsed() < PATIENCE, "{lane} never confirmed {size}:\n{}", self.page().await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until the log says of statement `seq` of `lane` that it is anchored.
    pub async fn until_said(&self, lane: &str, seq: u64) {
        let key = (lane.to_owned(), seq);
        until(&format!("entry of {key:?}"), || async { self.stopped.entries().contains_key(&key) }).await;
    }

    /// Waits until the page says `text`.
    pub async fn until_page_says(&self, text: &str) -> String {
        self.until_page_says_all(&[text]).await
    }

    /// Waits for a page with all of `texts`: a lane shows its parts one after another.
    pub async fn until_page_says_all(&self, texts: &[&str]) -> String {
        let start = Instant::now();
        loop {
            let page = self.page().await;
            if texts.iter().all(|text| page.contains(text)) {
                return page;
            }
            assert!(start.elapsed() < PATIENCE, "the page never said {texts:?}:\n{page}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub async fn published(&self) -> u64 {
        self.metric("ledgerstone_published_size").await as u64
    }
}
