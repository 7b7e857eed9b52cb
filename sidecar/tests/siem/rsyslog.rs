//! rsyslog from its Debian package, as people run it.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ledgerstone::siem::Format;

use crate::pki::Authority;
use crate::support::{PATIENCE, Running, free_port};
use crate::world::{World, lines, syslog};

/// Whether rsyslog and its TLS are there; CI must have them.
fn is_there() -> bool {
    let there = Command::new("rsyslogd").arg("-v").output().is_ok_and(|output| output.status.success());
    assert!(
        there || std::env::var("CI").as_deref() != Ok("true"),
        "rsyslogd is missing: install rsyslog and rsyslog-gnutls"
    );
    if !there {
        println!("skipped: rsyslogd was not found");
    }
    there
}

/// rsyslog with one input for each transport, and a file for each input.
struct Rsyslog {
    _running: Running,
    udp: u16,
    tcp: u16,
    tls: u16,
}

impl Rsyslog {
    fn start(folder: &Path) -> Self {
        let (authority, intruder) = (Authority::new("siem"), Authority::new("somebody else"));
        fs::write(folder.join("ca.pem"), authority.pem()).unwrap();
        authority.good().write(folder, "receiver");
        authority.good().write(folder, "sender");
        intruder.good().write(folder, "intruder");
        let (udp, tcp, tls) = (free_port(), free_port(), free_port());
        let folder_text = folder.display();
        let config = format!(
            r#"global(workDirectory="{folder_text}" maxMessageSize="64k" net.enableDNS="off"
  defaultNetstreamDriverCAFile="{folder_text}/ca.pem"
  defaultNetstreamDriverCertFile="{folder_text}/receiver.pem"
  defaultNetstreamDriverKeyFile="{folder_text}/receiver.key")
module(load="imudp")
module(load="imptcp")
module(load="imtcp" StreamDriver.Name="gtls" StreamDriver.Mode="1" StreamDriver.AuthMode="x509/certvalid")
template(name="raw" type="string" string="%rawmsg%\n")
ruleset(name="udp") {{ action(type="omfile" file="{folder_text}/udp.log" template="raw") }}
ruleset(name="tcp") {{ action(type="omfile" file="{folder_text}/tcp.log" template="raw") }}
ruleset(name="tls") {{ action(type="omfile" file="{folder_text}/tls.log" template="raw") }}
input(type="imudp" address="127.0.0.1" port="{udp}" ruleset="udp")
input(type="imptcp" address="127.0.0.1" port="{tcp}" ruleset="tcp")
input(type="imtcp" address="127.0.0.1" port="{tls}" ruleset="tls")
"#
        );
        fs::write(folder.join("rsyslog.conf"), config).unwrap();
        let log = fs::File::options().create(true).append(true).open(folder.join("rsyslog.out")).unwrap();
        let child = Command::new("rsyslogd")
            .args(["-n", "-f"])
            .arg(folder.join("rsyslog.conf"))
            .arg("-i")
            .arg(folder.join("rsyslog.pid"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let running = Running::of(child);
        let start = Instant::now();
        while [tcp, tls].iter().any(|port| std::net::TcpStream::connect(("127.0.0.1", *port)).is_err()) {
            let said = fs::read_to_string(folder.join("rsyslog.out")).unwrap();
            assert!(start.elapsed() < PATIENCE, "rsyslog never listened:\n{said}");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { _running: running, udp, tcp, tls }
    }
}

fn tables(rsyslog: &Rsyslog) -> String {
    let Rsyslog { udp, tcp, tls, .. } = rsyslog;
    format!(
        r#"
[[siem]]
name = "udp"
kind = "syslog"
format = "native"
address = "udp://127.0.0.1:{udp}"
batch_events = 16

[[siem]]
name = "tcp"
kind = "syslog"
format = "cef"
address = "tcp://127.0.0.1:{tcp}"
confirm_interval = "300ms"
batch_events = 64

[[siem]]
name = "tls"
kind = "syslog"
address = "tls://localhost:{tls}"
ca_file = "ca.pem"
cert = "sender.pem"
key = "sender.key"
confirm_interval = "300ms"
retry_max = "300ms"
"#
    )
}

/// Waits until the file has `count` lines.
async fn written(path: &Path, count: usize) -> Vec<String> {
    let start = Instant::now();
    loop {
        let there = lines(path);
        if there.len() >= count {
            return there;
        }
        assert!(start.elapsed() < PATIENCE, "{}: {} of {count}", path.display(), there.len());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rsyslog_writes_what_the_log_says_over_udp_tcp_and_tls() {
    if !is_there() {
        return;
    }
    let world = World::new("").await;
    let rsyslog = Rsyslog::start(world.folder.path());
    world.add(&tables(&rsyslog));
    let mut running = world.start().await;
    world.decide(300).await;
    let size = world.size();
    for sink in ["udp", "tcp", "tls"] {
        world.accepted(sink, size).await;
        let count = usize::try_from(size).unwrap();
        let there = written(&world.path(&format!("{sink}.log")), count).await;
        match sink {
            "udp" => world.assert_has(&there, size, syslog(None)),
            "tcp" => world.assert_has(&there, size, syslog(Some(Format::Cef))),
            _ => world.assert_has(&there, size, syslog(Some(Format::Ocsf))),
        }
        let standing = world.sink(sink).await;
        assert!(standing["retries"] == 0 && standing["state"] == "following", "{standing}");
    }
    assert!(running.stop().success());
    // What the stop itself wrote is there too: sinks get a moment for what is left.
    world.assert_has(
        &written(&world.path("tcp.log"), usize::try_from(world.size()).unwrap()).await,
        world.size(),
        syslog(Some(Format::Cef)),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_whom_rsyslog_does_not_know_counts_nothing_as_accepted_until_it_is_let_in() {
    if !is_there() {
        return;
    }
    let world = World::new("").await;
    let rsyslog = Rsyslog::start(world.folder.path());
    world.add(&tables(&rsyslog));
    let good = ["pem", "key"].map(|end| fs::read(world.path(&format!("sender.{end}"))).unwrap());
    for end in ["pem", "key"] {
        fs::copy(world.path(&format!("intruder.{end}")), world.path(&format!("sender.{end}"))).unwrap();
    }
    let mut running = world.start().await;
    world.decide(20).await;
    // The certificate is refused after the handshake, when this side has sent already.
    let standing = world.until("tls", "refused by rsyslog", |sink| sink["retries"].as_u64() > Some(1)).await;
    assert_eq!(
        (&standing["next_leaf_index"], &standing["state"]),
        (&0.into(), &"retrying".into()),
        "{standing}"
    );
    assert!(lines(&world.path("tls.log")).is_empty());
    for (end, bytes) in ["pem", "key"].iter().zip(good) {
        fs::write(world.path(&format!("sender.{end}")), bytes).unwrap();
    }
    let size = world.size();
    world.accepted("tls", size).await;
    let there = written(&world.path("tls.log"), usize::try_from(size).unwrap()).await;
    world.assert_has(&there, size, syslog(Some(Format::Ocsf)));
    assert!(running.stop().success());
}
