//! Every port of a running sidecar, with and without certificates.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ClientConfig;
use tempfile::TempDir;

use crate::desk::{Outcome, ask_on, client, connect, knock};
use crate::pki::{Authority, Identity};
use crate::support::{PATIENCE, Running, Sidecar, free_port, serve_doubler};

/// A sidecar in a process of its own, with TLS and client certificates on every port there is.
pub(crate) struct Child {
    pub(crate) files: Sidecar,
    pub(crate) clients: Authority,
    servers: Authority,
    others: [(&'static str, SocketAddr); 3],
    running: Running,
    _folder: TempDir,
}

impl Child {
    /// Starts one that has `more` in `[server.tls]`.
    pub(crate) async fn start(more: &str) -> Self {
        Self::with(|client_ca| format!("client_ca_file = \"{client_ca}\"\n{more}"), true).await
    }

    async fn with(tls: impl Fn(&str) -> String, has_tls: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files = Sidecar::init(folder.path(), serve_doubler().await);
        let (servers, clients) = (Authority::new("servers"), Authority::new("clients"));
        servers.good().write(folder.path(), "server");
        std::fs::write(folder.path().join("clients.pem"), clients.pem()).unwrap();
        let port = || SocketAddr::from(([127, 0, 0, 1], free_port()));
        let others = [("registry", port()), ("recorder", port()), ("links", port())];
        let [registry, recorder, links] = others.map(|(_, address)| address);
        let section = if has_tls {
            format!("[server.tls]\ncert = \"server.pem\"\nkey = \"server.key\"\n{}\n", tls("clients.pem"))
        } else {
            String::new()
        };
        let more = format!(
            "\n{section}[registry]\nlisten = \"{registry}\"\n[recorder]\nlisten = \"{recorder}\"\n\
             [links]\nlisten = \"{links}\"\nfile = \"links\"\n"
        );
        let config = std::fs::read_to_string(files.config()).unwrap();
        // In front of the routes, which are tables of a list.
        let config = config.replace("[[route]]", &format!("{more}\n[[route]]"));
        std::fs::write(files.config(), config).unwrap();
        let running = files.start();
        let child = Self { files, clients, servers, others, running, _folder: folder };
        child.until_it_listens().await;
        child
    }

    async fn until_it_listens(&self) {
        let start = std::time::Instant::now();
        while !self.log_says_ready() {
            assert!(start.elapsed() < PATIENCE, "never became ready:\n{}", self.files.log_lines());
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }

    fn log_says_ready(&self) -> bool {
        self.files.log_lines().lines().any(|line| line.contains("ready") && !line.contains("not ready"))
    }

    pub(crate) fn client(&self, identity: Option<&Identity>) -> Arc<ClientConfig> {
        client(&self.servers.pem(), identity)
    }

    /// Memory that the process has, in KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.running.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").trim().parse().unwrap()
    }

    /// The ports that the configuration names.
    fn ports(&self) -> Vec<(&'static str, SocketAddr)> {
        let files = &self.files;
        let own = [("grpc", files.grpc), ("http", files.http), ("admin", files.admin)];
        own.into_iter().chain(self.others).collect()
    }

    /// The TCP ports on which the process listens, as the system tells.
    fn listening(&self) -> Vec<u16> {
        let proc = format!("/proc/{}", self.running.id());
        let sockets: Vec<String> = std::fs::read_dir(format!("{proc}/fd"))
            .unwrap()
            .filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok())
            .filter_map(|link| Some(link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
            .collect();
        let mut ports = Vec::new();
        for table in ["net/tcp", "net/tcp6"] {
            let text = std::fs::read_to_string(format!("{proc}/{table}")).unwrap_or_default();
            for line in text.lines().skip(1) {
                let words: Vec<&str> = line.split_whitespace().collect();
                // State 0A is LISTEN; word 9 is the inode.
                if words[3] == "0A" && sockets.iter().any(|socket| socket == words[9]) {
                    ports.push(u16::from_str_radix(words[1].rsplit(':').next().unwrap(), 16).unwrap());
                }
            }
        }
        ports.sort_unstable();
        ports
    }

    /// Asks each port in each way, and holds the answers against `expected`.
    async fn scan(&self, expected: &[(&str, [Outcome; 4])]) {
        let ports = self.ports();
        let mut known: Vec<u16> = ports.iter().map(|(_, address)| address.port()).collect();
        known.sort_unstable();
        assert_eq!(self.listening(), known, "a port that this table does not know");
        let (good, wrong) = (self.clients.good(), Authority::new("clients").good());
        println!("{:<9} {:<8} {:<8} {:<8} {:<8}", "port", "plain", "no cert", "wrong", "good");
        let (nobody, wrong, good) = (self.client(None), self.client(Some(&wrong)), self.client(Some(&good)));
        let mut seen = Vec::new();
        for (name, address) in ports {
            let mut outcomes = [Outcome::Refused; 4];
            for (outcome, config) in outcomes.iter_mut().zip([None, Some(&nobody), Some(&wrong), Some(&good)])
            {
                *outcome = knock(address, config).await;
            }
            let said = outcomes.map(|outcome| if outcome == Outcome::Served { "served" } else { "refused" });
            println!("{name:<9} {:<8} {:<8} {:<8} {:<8}", said[0], said[1], said[2], said[3]);
            seen.push((name, outcomes));
        }
        assert_eq!(seen, expected);
    }
}

const NO: Outcome = Outcome::Refused;
const YES: Outcome = Outcome::Served;

#[tokio::test]
async fn every_port_serves_whom_it_should_and_nobody_else() {
    let child = Child::start("").await;
    //  plain, TLS without a certificate, with a wrong one, with a good one
    child
        .scan(&[
            ("grpc", [NO, NO, NO, YES]),
            ("http", [NO, NO, NO, YES]),
            ("admin", [NO, YES, NO, YES]),
            ("registry", [NO, NO, NO, YES]),
            ("recorder", [NO, NO, NO, YES]),
            ("links", [NO, YES, YES, YES]),
        ])
        .await;
    // The admin port answers probes to whoever asks, and everything else to those who have a certificate.
    let (nobody, good) = (child.client(None), child.client(Some(&child.clients.good())));
    for (path, without, with) in [
        ("/live", 200, 200),
        ("/ready", 200, 200),
        ("/metrics", 403, 200),
        ("/models", 403, 200),
        ("/anchors", 403, 200),
        ("/live/", 403, 404),
        ("//live", 403, 404),
        ("/metrics?/live", 403, 200),
        ("/nothing", 403, 404),
    ] {
        for (config, expected) in [(&nobody, without), (&good, with)] {
            let mut stream = connect(child.files.admin, config).await.unwrap();
            let (status, body) = ask_on(&mut stream, path).await.unwrap();
            assert_eq!(status, expected, "{path}: {body}");
        }
    }
}

#[tokio::test]
async fn without_an_authority_of_clients_every_port_speaks_tls_with_whoever_comes() {
    let child = Child::with(|_| String::new(), true).await;
    let each = ["grpc", "http", "admin", "registry", "recorder", "links"];
    child.scan(&each.map(|name| (name, [NO, YES, YES, YES]))).await;
    let mut stream = connect(child.files.admin, &child.client(None)).await.unwrap();
    assert_eq!(ask_on(&mut stream, "/metrics").await.unwrap().0, 200);
}

#[tokio::test]
async fn without_a_certificate_of_its_own_no_port_speaks_tls() {
    let child = Child::with(|_| String::new(), false).await;
    let each = ["grpc", "http", "admin", "registry", "recorder", "links"];
    child.scan(&each.map(|name| (name, [YES, NO, NO, NO]))).await;
}
