//! `ledgerstone top` in front of an admin port, in a pipe and on a terminal.
//!
//! Scenario: a server that says what a sidecar's admin port does; the program in a pipe with `--once`, and on a terminal with keys
//! pressed. Danger: a name steers the terminal; the terminal stays raw or on its other screen; a sidecar that is gone ends the view.
//! End state: one frame of plain text; a terminal as it was before; what is gone is said.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros,
    unreachable_pub,
    missing_docs,
    reason = "tests fail by panicking, and may read the environment, start programs and print"
)]

#[path = "support/web.rs"]
#[allow(dead_code, reason = "each test that shares this file uses a part of it")]
mod web;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};

use web::Fault;

const METRICS: &str = "ledgerstone_decisions_total{code=\"OK\",route=\"loans\u{1b}[2J\"} 1234\nledgerstone_ready 1\n\
                       ledgerstone_tree_size 5678\nledgerstone_unrecorded 0\n";
const STATUS: &str = r#"{"format":"ledgerstone-status/v1","origin":"log.example.com/loans","writer":"sidecar-0","version":"0.1.0",
    "time_ms":9000,"started_ms":1000,"last_heartbeat_ms":8000,"settings":{"listen":{},"tls":false,"access":false,"heartbeat_ms":60000},
    "routes":[],"keys":{"provider":"file","wanted":"k"},"anchors":[]}"#;
const SIEM: &str = r#"{"sinks":[{"sink":"soc","kind":"syslog","state":"retrying","next_leaf_index":3,"lag_events":7,"lag_seconds":2,
    "alerts_missed":0,"error":"connection refused"}],"alerts_held_back":0}"#;

/// An admin port with these pages.
fn admin() -> String {
    let page = |text: &str| Fault::Bytes(text.as_bytes().to_vec());
    let faults = [("metrics", page(METRICS)), ("status", page(STATUS)), ("siem", page(SIEM))];
    web::serve(std::path::Path::new("/nonexistent"), &faults)
}

/// An address where nobody listens.
fn nobody() -> String {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    format!("http://{address}")
}

fn once(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ledgerstone")).arg("top").args(arguments).output().unwrap()
}

#[test]
fn one_frame_is_plain_text_of_80_columns() {
    let output = once(&["--once", "--every", "1", "--admin", &admin()]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    for told in [
        "log.example.com/loans",
        "ready",
        "1,234",
        "entries 5,678",
        "last heartbeat 1 s ago",
        "loans\\u{1b}[2J",
        "behind 7 events",
    ] {
        assert!(text.contains(told), "no {told} in\n{text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    assert!(!text.contains('\u{1b}'));
}

#[test]
fn one_frame_of_nobody_or_of_something_else_says_so() {
    let gone = once(&["--once", "--admin", &nobody()]);
    assert_eq!(gone.status.code(), Some(2));
    assert!(String::from_utf8(gone.stderr).unwrap().contains("cannot be fetched"));
    let other =
        web::serve(std::path::Path::new("/nonexistent"), &[("metrics", Fault::Bytes(b"<html>".to_vec()))]);
    let other = once(&["--once", "--admin", &other]);
    assert_eq!(other.status.code(), Some(65), "{other:?}");
    let refused = web::serve(std::path::Path::new("/nonexistent"), &[("metrics", Fault::Status(403))]);
    let refused = once(&["--once", "--admin", &refused]);
    assert!(String::from_utf8(refused.stderr).unwrap().contains("role"), "what to ask for is said");
    assert_eq!(once(&["--admin", "127.0.0.1:7452"]).status.code(), Some(64));
}

#[test]
fn json_is_a_document_for_a_look_and_a_line_for_each_of_many() {
    let url = admin();
    let output = once(&["--once", "--json", "--every", "1", "--admin", &url]);
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["format"], "ledgerstone-top/v1");
    assert_eq!(
        (&document["tree_size"], &document["decisions"][0]["total"]),
        (&5678.0.into(), &1234.0.into())
    );
    assert_eq!(
        (&document["index_size"], &document["sinks"][0]["error"]),
        (&serde_json::Value::Null, &"connection refused".into())
    );
    let mut child = Command::new(env!("CARGO_BIN_EXE_ledgerstone"))
        .args(["top", "--json", "--every", "1", "--admin", &url])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    for _ in 0..2 {
        let line: serde_json::Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        assert_eq!(line["origin"], "log.example.com/loans");
    }
    // Nobody reads any more.
    drop(lines);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_view_takes_a_terminal() {
    let output = once(&["--admin", &admin()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty() && String::from_utf8(output.stderr).unwrap().contains("--json"));
}

/// Runs it on a terminal of 80 columns, presses `keys` once `seen` is drawn, and gives everything that was written there, with what
/// `stty` says afterwards.
fn on_a_terminal(url: &str, seen: &str, keys: &str) -> Option<String> {
    if !Command::new("script").arg("--version").output().is_ok_and(|output| output.status.success()) {
        assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "script is needed under CI=true");
        println!("skipped: script is not installed");
        return None;
    }
    let program = env!("CARGO_BIN_EXE_ledgerstone");
    let line =
        format!("stty rows 24 cols 80; '{program}' top --every 1 --admin {url}; echo \"status $?\"; stty -a");
    // `script` gives its command a terminal, and hands on what is typed and written.
    let mut child = Command::new("script")
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .env("TERM", "xterm")
        .spawn()
        .unwrap();
    let (mut input, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let (mut written, mut piece, mut pressed) = (String::new(), [0; 4096], false);
    loop {
        let length = output.read(&mut piece).unwrap_or(0);
        if length == 0 {
            break;
        }
        written.push_str(&String::from_utf8_lossy(&piece[..length]));
        if !pressed && written.contains(seen) {
            pressed = true;
            match keys.strip_prefix("SIG") {
                Some(signal) => kill(signal, url),
                None => input.write_all(keys.as_bytes()).unwrap(),
            }
            input.flush().unwrap();
        }
    }
    child.wait().unwrap();
    Some(written)
}

/// Sends a signal to the view of `url`, whose port is its own.
fn kill(signal: &str, url: &str) {
    let view = |folder: &std::path::Path| {
        let line = std::fs::read(folder.join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        line.starts_with(env!("CARGO_BIN_EXE_ledgerstone")) && line.contains(url)
    };
    let mut processes = std::fs::read_dir("/proc").unwrap().map(|process| process.unwrap().path());
    let process = processes.find(|process| view(process)).expect("the view runs");
    let process = process.file_name().unwrap().to_owned();
    assert!(Command::new("kill").arg(format!("-{signal}")).arg(process).status().unwrap().success());
}

#[test]
fn the_terminal_is_as_it_was_whichever_key_or_signal_ends_it() {
    for keys in ["q", "\u{3}", "xq", "SIGTERM", "SIGINT"] {
        let Some(written) = on_a_terminal(&admin(), "entries 5,678", keys) else { return };
        let (drawn, after) = written.split_once("status 0").unwrap_or_else(|| panic!("{keys:?}: {written}"));
        assert!(drawn.contains("\u{1b}[?1049h") && drawn.contains("\u{1b}[?1049l"), "{drawn:?}");
        assert!(drawn.contains("\u{1b}[?25l") && drawn.contains("\u{1b}[?25h"), "{drawn:?}");
        assert!(!drawn.contains("\u{1b}[2J"), "a route's name reached the terminal: {drawn:?}");
        assert!(
            after.contains(" icanon") && after.contains(" echo ") && !after.contains("-icanon"),
            "{after}"
        );
    }
}

#[test]
fn a_sidecar_that_is_gone_is_said_and_waited_for() {
    let Some(written) = on_a_terminal(&nobody(), "NO ANSWER", "q") else { return };
    assert!(written.contains("It is asked again") && written.contains("status 0"), "{written}");
}
