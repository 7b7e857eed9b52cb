//! What operators, disks and clocks do to a sidecar.
//!
//! Scenario: the real binary, started wrongly or on a disk that fails it; one fault a test. Danger: it starts all the same,
//! dies without a word, or answers what it did not keep. End state: a message that names the key or the file and what to
//! do, exit status 64 for a configuration and 1 for everything else; nothing that was answered is lost.
//!
//! Full and read-only disks are small file systems in memory, which only root can mount: without that right their cases
//! are skipped with a printed line, unless `CI=true`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]

#[path = "support/mount.rs"]
mod mount;
mod support;

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ledgerstone::entry::{Entry, Kind, SessionId, WriterName};
use ledgerstone::log::Refusal;
use ledgerstone::merkle::LeafIndex;
use ledgerstone::store::fs::FsReader;
use ledgerstone::time::UnixMillis;
use ledgerstone::verify::Verdict;
use ledgerstone_sidecar::driver::{self, AppendError, Draft};
use ledgerstone_sidecar::log_keys;
use ledgerstone_verifier::command::verify_log;
use ledgerstone_verifier::progress::Silent;

use mount::Mount;
use support::{PATIENCE, Sidecar, free_port, http_get, request, serve_doubler};

const NOWHERE: &str = "127.0.0.1:9";

/// A log in front of a model server that nobody will ask.
fn idle(folder: &Path) -> Sidecar {
    Sidecar::init(folder, NOWHERE.parse().unwrap())
}

/// Runs the sidecar, which refuses to start; its exit status and its last line.
fn refused(sidecar: &Sidecar, flags: &[String]) -> (i32, String) {
    let mut command = sidecar.command("run");
    for flag in flags {
        command.arg("--set").arg(flag);
    }
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let started = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if started.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("it started: {:?}", child.wait_with_output());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    let message =
        text.split("ledgerstone-sidecar: ").nth(1).unwrap_or_else(|| panic!("no message in {text}"));
    let message = message.trim_end().replace(sidecar.folder.to_str().unwrap(), "DIR");
    (output.status.code().unwrap(), message)
}

fn set(key: &str, value: impl std::fmt::Display) -> String {
    format!("{key}={value}")
}

fn verdict(sidecar: &Sidecar) -> Verdict {
    let options = verify_log::Options { policy: Some(sidecar.policy()), ..Default::default() };
    verify_log::run_on_dir(&sidecar.store(), &options, &mut Silent).unwrap().report.verdict()
}

/// Every entry of the published tree.
fn entries(sidecar: &Sidecar) -> Vec<Entry> {
    let reader = FsReader::open(&sidecar.store());
    let size = reader.size().unwrap();
    let read = |index| Entry::decode(&reader.entry(LeafIndex::new(index), size).unwrap()).unwrap();
    (0..size.get()).map(read).collect()
}

#[test]
fn each_port_that_is_taken_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let sidecar = idle(folder.path());
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    for key in ["server.listen", "server.http_listen", "server.admin_listen"] {
        let expected = format!(
            "{key} = {address}: the port is taken by another process; stop that one or choose another port: \
             Address already in use (os error 98)"
        );
        assert_eq!(refused(&sidecar, &[set(key, address)]), (1, expected));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_sidecar_on_the_same_store_is_refused_and_the_first_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let sidecar = Sidecar::init(folder.path(), serve_doubler().await);
    let mut running = sidecar.start();
    let mut client = sidecar.client().await;
    let other_ports: Vec<String> = ["listen", "http_listen", "admin_listen"]
        .map(|key| set(&format!("server.{key}"), SocketAddr::from(([127, 0, 0, 1], free_port()))))
        .into();
    let expected =
        "log.store: another process has the store open: a log has one writer, stop the other one first";
    assert_eq!(refused(&sidecar, &other_ports), (1, expected.to_owned()));

    let rebuild = sidecar.command("index").arg("rebuild").output().unwrap();
    assert_eq!(rebuild.status.code(), Some(1));
    let text = String::from_utf8(rebuild.stderr).unwrap();
    assert!(text.contains("the sidecar is running on"), "{text}");

    client.model_infer(request("after", 1.0)).await.unwrap();
    assert!(running.stop().success());
    assert_eq!(verdict(&sidecar), Verdict::Verified);
}

#[test]
fn key_files_that_are_gone_open_to_others_or_garbage_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let sidecar = idle(folder.path());
    let absent = folder.path().join("absent").display().to_string();
    let (status, message) = refused(&sidecar, &[set("log.key_file", &absent)]);
    let expected = "log.key_file: cannot read the log key file DIR/absent: No such file or directory (os error 2); \
                    check that it exists and that this user may read it, or create it with `init`";
    assert_eq!((status, message.as_str()), (1, expected));
    let (status, message) = refused(&sidecar, &[set("keys.file", &absent)]);
    let expected = "keys.file: cannot read the key file DIR/absent: No such file or directory (os error 2); \
                    check that it exists and that this user may read it";
    assert_eq!((status, message.as_str()), (1, expected));

    for (key, name) in [("log.key_file", "log.key"), ("keys.file", "kek.key")] {
        let path = folder.path().join(name);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let expected = format!(
            "{key}: the key file DIR/{name} has mode 644: others could read or change the key; \
             run `chmod 600 DIR/{name}`"
        );
        assert_eq!(refused(&sidecar, &[]), (1, expected));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();

        let kept = fs::read(&path).unwrap();
        fs::write(&path, "PRIVATE+KEY+nonsense\n").unwrap();
        let (status, message) = refused(&sidecar, &[]);
        assert_eq!(status, 1);
        assert!(message.starts_with(&format!("{key}: DIR/{name} is not a ")), "{message}");
        assert!(!message.contains("nonsense"), "a key file's content is never printed: {message}");
        fs::write(&path, kept).unwrap();
    }
}

#[test]
fn the_directory_and_the_keys_of_another_log_are_refused() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (sidecar, neighbour) = (idle(one.path()), idle(other.path()));
    let (status, message) = refused(&sidecar, &[set("log.store", neighbour.store().display())]);
    assert_eq!(status, 1);
    let expected = "log.store: the store belongs to another origin or other keys: \
                    start with the keys the log was created with\nthe store names:\nlog example.com/tests+";
    assert!(message.starts_with(expected), "{message}");

    let (status, message) = refused(&sidecar, &[set("log.origin", "example.com/other")]);
    let expected = "log.key_file: the keys in DIR/log.key are those of log example.com/tests, \
                    and log.origin is example.com/other: set the origin or the file right";
    assert_eq!((status, message.as_str()), (1, expected));

    let empty = one.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let (status, message) = refused(&sidecar, &[set("log.store", empty.display())]);
    let expected = "log.store: the store holds no log: create one with init, or name the right folder";
    assert_eq!((status, message.as_str()), (1, expected));
}

#[test]
fn init_leaves_a_log_that_is_there_alone() {
    let folder = tempfile::tempdir().unwrap();
    let sidecar = idle(folder.path());
    let before = fs::read(sidecar.store().join("log.policy")).unwrap();
    fs::remove_file(folder.path().join("log.key")).unwrap();
    let again = sidecar.command("init").output().unwrap();
    assert_eq!(again.status.code(), Some(1));
    let text = String::from_utf8(again.stderr).unwrap();
    assert!(text.contains("holds a log already; a log is created once"), "{text}");
    assert_eq!(fs::read(sidecar.store().join("log.policy")).unwrap(), before);
    assert!(!folder.path().join("log.key").exists(), "no new keys for a log that has others");
}

#[test]
fn init_if_absent_changes_nothing_and_refuses_the_keys_of_another_log() {
    let folder = tempfile::tempdir().unwrap();
    let sidecar = idle(folder.path());
    let before = fs::read(sidecar.store().join("log.policy")).unwrap();
    let again = sidecar.command("init").arg("--if-absent").output().unwrap();
    assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
    assert!(String::from_utf8(again.stdout).unwrap().ends_with("nothing was changed\n"));
    let other = ["--if-absent", "--set", "log.origin=example.com/other"];
    let other = sidecar.command("init").args(other).output().unwrap();
    assert_eq!(other.status.code(), Some(1));
    fs::remove_file(folder.path().join("log.key")).unwrap();
    let lost = sidecar.command("init").arg("--if-absent").output().unwrap();
    assert_eq!(lost.status.code(), Some(1), "the log would stand there without its keys");
    assert!(!folder.path().join("log.key").exists(), "no new keys for a log that has others");
    assert_eq!(fs::read(sidecar.store().join("log.policy")).unwrap(), before);
}

#[test]
fn a_bad_configuration_exits_with_64() {
    let folder = tempfile::tempdir().unwrap();
    let sidecar = idle(folder.path());
    let (status, message) = refused(&sidecar, &[set("log.publish_intervall", "1s")]);
    let expected = r#"--set: unknown key "log.publish_intervall"; did you mean "log.publish_interval"?"#;
    assert_eq!((status, message.as_str()), (64, expected));
    let usage = sidecar.command("walk").output().unwrap();
    assert_eq!(usage.status.code(), Some(64));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_server_that_is_down_is_recorded_and_does_not_stop_the_sidecar() {
    let folder = tempfile::tempdir().unwrap();
    let sidecar = idle(folder.path());
    let mut running = sidecar.start();
    let refused = sidecar.client().await.model_infer(request("r", 1.0)).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unavailable);
    let index: u64 =
        refused.metadata().get("ledgerstone-leaf-index").unwrap().to_str().unwrap().parse().unwrap();
    assert_eq!(http_get(sidecar.admin, "/ready").await.unwrap().0, 200);
    assert!(running.stop().success());
    assert_eq!(entries(&sidecar)[usize::try_from(index).unwrap()].kind, Kind::Decision);
    assert_eq!(verdict(&sidecar), Verdict::Verified);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_torn_tail_of_the_journal_is_dropped_and_said() {
    let folder = tempfile::tempdir().unwrap();
    let sidecar = Sidecar::init(folder.path(), serve_doubler().await);
    let mut running = sidecar.start();
    sidecar.client().await.model_infer(request("r", 1.0)).await.unwrap();
    running.kill();
    let mut segments: Vec<PathBuf> =
        fs::read_dir(sidecar.store().join("journal")).unwrap().map(|entry| entry.unwrap().path()).collect();
    segments.sort();
    let mut bytes = fs::read(segments.last().unwrap()).unwrap();
    bytes.extend_from_slice(b"the beginning of a record that a crash tore");
    fs::write(segments.last().unwrap(), bytes).unwrap();
    let mut running = sidecar.start();
    sidecar.client().await.model_infer(request("r", 1.0)).await.unwrap();
    assert!(running.stop().success());
    assert!(sidecar.log_lines().contains("torn_bytes=43"), "{}", sidecar.log_lines());
    let decisions = entries(&sidecar).iter().filter(|entry| entry.kind == Kind::Decision).count();
    assert_eq!(decisions, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_of_its_output_that_has_had_enough_is_no_error() {
    let folder = tempfile::tempdir().unwrap();
    let sidecar = Sidecar::init(folder.path(), serve_doubler().await);
    let mut running = sidecar.start();
    let answer = sidecar.client().await.model_infer(request("r", 1.0)).await.unwrap();
    let decision = answer.metadata().get("ledgerstone-decision-id").unwrap().to_str().unwrap().to_owned();
    assert!(running.stop().success());
    for verb in [vec!["record", "open", &decision], vec!["config", "explain"], vec!["index", "rebuild"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = sidecar.command(verb[0]).args(&verb[1..]).stdout(writer).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success() && !text.contains("ledgerstone-sidecar:"), "{verb:?}: {text}");
        let whole = sidecar.command(verb[0]).args(&verb[1..]).output().unwrap();
        assert!(whole.status.success() && !whole.stdout.is_empty(), "{verb:?}: {whole:?}");
    }
    // Nowhere to put what was asked for is an error all the same.
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = sidecar.command("record").args(["open", &decision]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("the record cannot be printed") && text.contains("No space left"), "{text}");
}

#[test]
fn a_disk_that_is_read_only_is_said_at_start() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = Mount::new(&folder.path().join("store"), "16m") else { return };
    let sidecar = idle(folder.path());
    disk.remount("ro");
    let (status, message) = refused(&sidecar, &[]);
    assert_eq!(status, 1);
    assert!(message.starts_with("log.store: the store could not be opened"), "{message}");
    assert!(message.contains("Read-only file system"), "{message}");
    assert!(
        message.contains("give this user write access to it, on a disk that works, and start again"),
        "{message}"
    );
    disk.remount("rw");
    let mut running = sidecar.start();
    let started = Instant::now();
    while !sidecar.log_lines().contains("serving") {
        assert!(started.elapsed() < PATIENCE, "{}", sidecar.log_lines());
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(running.stop().success());
    assert_eq!(verdict(&sidecar), Verdict::Verified, "nothing was lost by trying");
}

/// Calls until the answer has this status.
async fn call_until(sidecar: &Sidecar, wanted: tonic::Code) -> Vec<u64> {
    let mut client = sidecar.client_at_once().await;
    let (mut answered, started) = (Vec::new(), Instant::now());
    loop {
        assert!(started.elapsed() < PATIENCE, "never {wanted}:\n{}", sidecar.log_lines());
        let code = match client.model_infer(request("r", 1.0)).await {
            Ok(answer) => {
                let index = answer.metadata().get("ledgerstone-leaf-index").unwrap().to_str().unwrap();
                answered.push(index.parse().unwrap());
                tonic::Code::Ok
            }
            Err(status) => {
                let message = status.message();
                let says_what_to_do = message.contains("try again") || message.contains("restart");
                assert!(says_what_to_do, "{message}");
                status.code()
            }
        };
        if code == wanted {
            return answered;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_withholds_answers_and_the_sidecar_goes_on_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = Mount::new(&folder.path().join("store"), "24m") else { return };
    let sidecar = Sidecar::init(folder.path(), serve_doubler().await);
    let mut running = sidecar.start();
    drop(sidecar.client().await);
    let mut answered = call_until(&sidecar, tonic::Code::Ok).await;
    let filler = disk.path().join("filler");
    let full =
        Command::new("dd").args(["if=/dev/zero", "bs=64k"]).arg(format!("of={}", filler.display())).output();
    assert!(!full.unwrap().status.success(), "the disk is not full");
    answered.extend(call_until(&sidecar, tonic::Code::Unavailable).await);

    fs::remove_file(filler).unwrap();
    answered.extend(call_until(&sidecar, tonic::Code::Ok).await);
    assert!(running.stop().success(), "{}", sidecar.log_lines());
    let entries = entries(&sidecar);
    for index in answered {
        assert_eq!(entries[usize::try_from(index).unwrap()].kind, Kind::Decision, "leaf {index}");
    }
    assert!(
        entries.iter().any(|entry| entry.kind == Kind::Gap),
        "INV-10: what was withheld is in a gap entry"
    );
    assert_eq!(verdict(&sidecar), Verdict::Verified);
}

fn heartbeat(sequence: u64) -> Draft {
    let writer = WriterName::parse("w").unwrap();
    let session = SessionId::from_bytes([7; 16]);
    let details = ledgerstone::entry::HeartbeatDetails { in_flight: 0, lowest_in_flight: sequence };
    Draft { entry: Entry::heartbeat(writer, session, sequence, details), sealed: None }
}

#[tokio::test]
async fn a_clock_that_is_set_back_stops_appends_until_it_has_caught_up() {
    let folder = tempfile::tempdir().unwrap();
    let sidecar = idle(folder.path());
    let origin = ledgerstone::note::KeyName::new("example.com/tests").unwrap();
    let keys = log_keys::load(&folder.path().join("log.key"), &origin).unwrap();
    let clock = Arc::new(AtomicU64::new(1_800_000_000_000));
    let read = Arc::clone(&clock);
    let options = driver::Options {
        clock: Arc::new(move || UnixMillis::new(read.load(Ordering::SeqCst))),
        ..driver::Options::default()
    };
    let (log, _) = driver::open(&sidecar.store(), keys, options).unwrap();
    log.append(heartbeat(1)).await.unwrap();

    clock.fetch_sub(3_600_000, Ordering::SeqCst);
    let refused = log.append(heartbeat(2)).await.unwrap_err();
    assert!(matches!(refused, AppendError::Refused(Refusal::ClockBehind { .. })), "{refused:?}");
    let message = refused.to_string();
    assert!(message.contains("set the clock right"), "{message}");
    assert!(log.halted().is_none(), "the log goes on");

    clock.fetch_add(3_600_001, Ordering::SeqCst);
    let appended = log.append(heartbeat(3)).await.unwrap();
    assert_eq!(appended.index(), LeafIndex::new(1), "the refused entry is not in the log");
    log.stop().await.unwrap();
    let times: Vec<u64> = entries(&sidecar).iter().map(|entry| entry.recorded_at.get()).collect();
    assert_eq!(times, [1_800_000_000_000, 1_800_000_000_001], "INV-2");
}
