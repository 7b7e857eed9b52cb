//! The kernel's own record of what the sidecar did, and in which order.
//!
//! Scenario: the real binary runs under `strace` while a client makes calls one after the other. Danger: an answer leaves
//! before the `fdatasync` of its journal record returned. Expected: between any two answers of `ModelInfer` that leave on
//! the client's socket, the journal was written and an `fdatasync` of it returned 0 after that write and before the answer
//! (INV-9, promise 2 of `docs/threat-model.md`).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros,
    unreachable_pub,
    missing_docs,
    reason = "tests fail by panicking, and may read the environment, start programs and print"
)]

mod support;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use support::{Sidecar, request, serve_doubler};

const CALLS: usize = 40;

/// One finished system call of the trace.
#[derive(Debug, PartialEq)]
enum Call {
    /// Bytes went into a journal segment.
    JournalWrite,
    /// A sync of a journal segment returned 0.
    JournalSync,
    /// An answer of the model left on the client's socket.
    Answer,
}

/// What each request's id begins with; the model's answer repeats it, and HTTP/2 leaves message bytes as they are.
const ID: &str = "call-in-the-trace-";

fn has_strace() -> bool {
    let found = Command::new("strace").arg("-V").output().is_ok_and(|output| output.status.success());
    let ci = std::env::var("CI").is_ok_and(|value| value == "true");
    assert!(found || !ci, "strace is needed under CI=true: install the package strace");
    found
}

/// Joins `<unfinished ...>` and `<... resumed>` halves by thread, so that a call stands where it returned.
fn finished_lines(trace: &str) -> Vec<String> {
    let mut open = std::collections::HashMap::new();
    let mut lines = Vec::new();
    for line in trace.lines() {
        let Some((pid, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        if let Some(start) = rest.strip_suffix(" <unfinished ...>") {
            open.insert(pid.to_owned(), start.to_owned());
        } else if let Some((_, end)) = rest.split_once(" resumed>") {
            lines.push(open.remove(pid).unwrap_or_default() + end);
        } else {
            lines.push(rest.to_owned());
        }
    }
    lines
}

/// `served` is the sidecar's own end of a client's connection, as `strace -yy` prints it.
fn classify(line: &str, served: &str) -> Option<Call> {
    let name = line.split('(').next()?;
    let journal = line.contains(".journal>");
    match name {
        "fdatasync" if journal && line.ends_with("= 0") => Some(Call::JournalSync),
        "write" | "writev" | "pwrite64" | "pwritev" if journal => Some(Call::JournalWrite),
        "write" | "writev" | "sendmsg" | "sendto" if line.contains(served) && line.contains(ID) => {
            Some(Call::Answer)
        }
        _ => None,
    }
}

#[test]
fn joins_calls_that_were_interrupted() {
    let trace = "7     fdatasync(9</s/journal/1.journal> <unfinished ...>\n8 write(3</x>, \"a\", 1) = 1\n7 <... fdatasync resumed>) = 0";
    let lines = finished_lines(trace);
    assert_eq!(lines, ["write(3</x>, \"a\", 1) = 1", "fdatasync(9</s/journal/1.journal>) = 0"]);
    assert_eq!(classify(&lines[1], "TCP"), Some(Call::JournalSync));
    assert_eq!(classify("fdatasync(9</s/journal/1.journal>) = -1 EIO (Input/output error)", "TCP"), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_leaves_before_its_fdatasync_returned() {
    if !has_strace() {
        println!("skipped: strace is not installed; 1 case left out");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let sidecar = Sidecar::init(folder.path(), serve_doubler().await);
    let trace = folder.path().join("trace");
    let mut command = Command::new("strace");
    command.args([
        // The sidecar is our child and strace its grandchild, so that killing the child leaves neither behind.
        "-D",
        "-f",
        "-yy",
        "-s",
        "4096",
        "-e",
        "trace=fdatasync,write,writev,pwrite64,pwritev,sendmsg,sendto",
        "-o",
    ]);
    command.arg(&trace).arg(env!("CARGO_BIN_EXE_ledgerstone-sidecar"));
    command.arg("--config").arg(sidecar.config());
    // A heartbeat between a sync and its answer would be a second journal write that the answer does not wait for.
    command.args(["--set", "heartbeat.interval=1h", "run"]);
    let mut running = sidecar.start_as(command);
    let mut client = sidecar.client().await;
    for n in 0..CALLS {
        let answer = client.model_infer(request(&format!("{ID}{n}"), 2.0)).await.unwrap();
        assert!(answer.metadata().contains_key("ledgerstone-leaf-index"));
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    running.kill();

    let served = format!("TCP:[{}->", sidecar.grpc);
    let trace = whole(&trace).await;
    let calls: Vec<Call> = finished_lines(&trace).iter().filter_map(|line| classify(line, &served)).collect();
    let answers = calls.iter().filter(|call| **call == Call::Answer).count();
    println!("{} calls of interest, {answers} answers", calls.len());
    assert!(answers >= CALLS, "only {answers} of {CALLS} answers were recognised in the trace");
    assert_ordered(&calls);
}

/// The trace, once strace has noted that the sidecar is gone.
async fn whole(trace: &Path) -> String {
    for _ in 0..500 {
        let text = std::fs::read_to_string(trace).unwrap();
        if text.contains("+++ killed by SIGKILL +++") {
            return text;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("strace did not note that the sidecar was killed");
}

/// Walks the trace: an answer needs a journal write since the last answer, and a sync after that write.
fn assert_ordered(calls: &[Call]) {
    let (mut written, mut synced) = (false, false);
    for (at, call) in calls.iter().enumerate() {
        match call {
            Call::JournalWrite => (written, synced) = (true, false),
            Call::JournalSync => synced = written,
            Call::Answer => {
                let context = &calls[at.saturating_sub(8)..=at];
                assert!(written && synced, "INV-9: call {at} answers before its fdatasync: {context:?}");
                (written, synced) = (false, false);
            }
        }
    }
}

#[test]
#[should_panic(expected = "INV-9")]
fn notices_an_answer_before_its_sync() {
    assert_ordered(&[Call::JournalWrite, Call::Answer, Call::JournalSync]);
}
