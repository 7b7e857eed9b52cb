//! Logs behind URLs, and receipts fetched from servers.
//!
//! Scenario: a log served over HTTP by a server that is honest, broken or hostile; a sidecar's receipt service over gRPC
//! and HTTP. Danger: what a server withholds or garbles passes as checked, an endless answer fills the memory, or a
//! receipt of another decision is handed on. End state: only what was fetched whole and checked is verified; a server
//! that fails leaves the verdict open, a file that is not there or is not the log's fails it.

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

#[path = "support/log.rs"]
#[allow(dead_code, reason = "each test that shares this file uses a part of it")]
mod log;
#[path = "remote/tls.rs"]
mod tls;
#[path = "support/web.rs"]
mod web;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use ledgerstone::code::{CheckName, Code};
use ledgerstone::proto::ledgerstone_v1::receipts_server::{Receipts, ReceiptsServer};
use ledgerstone::proto::ledgerstone_v1::{
    GetDecisionRequest, GetDecisionResponse, GetReceiptRequest, GetReceiptResponse,
};
use ledgerstone::verify::{Status, Verdict};
use ledgerstone_verifier::command::verify_log::{self, Options};
use ledgerstone_verifier::exit::Refusal;
use ledgerstone_verifier::output::Answer;
use ledgerstone_verifier::progress::Silent;
use ledgerstone_verifier::source::{self, WebOptions};
use tempfile::TempDir;
use tonic::codegen::http::{HeaderMap, HeaderName, HeaderValue};
use tonic::metadata::MetadataMap;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response};

use log::{LogWriter, ORIGIN, Recorder};
use web::Fault;

/// A log of 300 decisions, stopped: a full and a partial bundle.
fn store() -> TempDir {
    let store = tempfile::tempdir().expect("a temporary directory");
    let mut log = LogWriter::create(store.path(), log::keys(ORIGIN, 1), 64 * 1024 * 1024);
    let mut recorder = Recorder::new(1);
    log.batch(vec![recorder.start(None)]);
    log.batch((0..300).map(|number| recorder.decision(number, 8)).collect());
    log.batch(vec![recorder.stop()]);
    log.stop();
    store
}

fn verify(store: &TempDir, faults: &[(&str, Fault)]) -> Result<Answer, Refusal> {
    let url = web::serve(&store.path().join("log"), faults);
    let source = source::open(&url, &WebOptions::default())?;
    let options = Options { policy: Some(log::policy(&log::keys(ORIGIN, 1))), ..Default::default() };
    verify_log::run_on(source.as_ref(), &options, &mut Silent)
}

fn status(answer: &Answer, name: CheckName) -> Status {
    answer.report.check(name).expect("the check is in the report").status
}

#[test]
fn a_served_log_verifies() {
    let answer = verify(&store(), &[]).expect("a report");
    assert_eq!(answer.report.verdict(), Verdict::Verified, "{:?}", answer.report);
    assert!(answer.report.check(CheckName::LogSealed).is_none(), "sealed records are not public");
}

#[test]
fn a_file_that_the_server_does_not_have_fails() {
    for (path, name) in [
        ("tile/entries/000", CheckName::LogBundles),
        ("tile/entries/001.p/46", CheckName::LogBundles),
        ("tile/0/000", CheckName::LogTiles),
        ("tile/1/000.p/1", CheckName::LogTiles),
    ] {
        let answer = verify(&store(), &[(path, Fault::Status(404))]).expect("a report");
        assert_eq!(status(&answer, name), Status::Failed, "{path}");
    }
}

#[test]
fn a_server_that_fails_leaves_the_verdict_open() {
    let faults = [Fault::Status(500), Fault::Status(403), Fault::Short(10), Fault::Loop];
    for path in ["tile/entries/000", "tile/entries/001.p/46", "tile/0/000", "tile/1/000.p/1"] {
        for fault in &faults {
            let answer = verify(&store(), &[(path, fault.clone())]).expect("a report");
            assert_eq!(answer.report.verdict(), Verdict::Undecided, "{path}, {fault:?}: {:?}", answer.report);
            assert!(
                answer.next.iter().any(|step| step.contains("the server named above")),
                "{:?}",
                answer.next
            );
        }
    }
    let refusal =
        verify(&store(), &[("checkpoint", Fault::Status(503))]).expect_err("no checkpoint, no report");
    assert_eq!(refusal.code, Code::Unavailable);
}

#[test]
fn bytes_that_are_not_the_logs_fail() {
    for path in ["tile/entries/000", "tile/entries/001.p/46", "tile/0/000", "tile/1/000.p/1"] {
        for bytes in [Vec::new(), vec![0; 64], vec![0xff; 16 * 1024], vec![0; 17 * 1024 * 1024]] {
            let answer = verify(&store(), &[(path, Fault::Bytes(bytes))]).expect("a report");
            assert_eq!(answer.report.verdict(), Verdict::Failed, "{path}");
        }
    }
}

#[test]
fn keys_that_come_with_the_log_leave_the_verdict_open() {
    let store = store();
    fs::copy(store.path().join("log.policy"), store.path().join("log/log.policy"))
        .expect("the policy is served");
    let url = web::serve(&store.path().join("log"), &[]);
    let source = source::open(&url, &WebOptions::default()).expect("a URL");
    let answer = verify_log::run_on(source.as_ref(), &Options::default(), &mut Silent).expect("a report");
    assert_eq!(answer.report.verdict(), Verdict::Undecided);
    let signatures = answer.report.check(CheckName::CheckpointSignatures).expect("the check");
    assert!(signatures.detail.contains("agrees with itself"), "{}", signatures.detail);
}

#[test]
fn a_checkpoint_without_end_is_refused() {
    let fault = Fault::Bytes(vec![b'a'; 1024 * 1024]);
    let refusal = verify(&store(), &[("checkpoint", fault)]).expect_err("no checkpoint, no report");
    assert_eq!(refusal.code, Code::Limit);
}

/// Runs `verify log` with `more` on a server that takes longer than a second for its second file of entries. On a
/// terminal everything that it prints comes as standard output.
fn verify_slow_log(on_a_terminal: bool, more: &str) -> Output {
    let (store, desk) = (store(), tempfile::tempdir().expect("a directory"));
    fs::write(desk.path().join("policy"), log::policy(&log::keys(ORIGIN, 1)).to_string()).expect("a file");
    let late = Fault::Late(std::time::Duration::from_millis(1_200));
    let url = web::serve(&store.path().join("log"), &[("tile/entries/001.p/46", late)]);
    let line = format!("'{}' verify log {url} --policy policy {more}", env!("CARGO_BIN_EXE_ledgerstone"));
    let mut command = if on_a_terminal {
        // `script` gives its command a terminal and passes on what is written to it.
        let mut command = Command::new("script");
        command.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
        command
    } else {
        let mut command = Command::new("sh");
        command.args(["-c", &line]);
        command
    };
    command.current_dir(desk.path()).stdin(std::process::Stdio::null()).env("TERM", "xterm");
    command.output().expect("the command runs")
}

#[test]
fn a_check_of_more_than_a_second_shows_progress_on_a_terminal_and_none_in_a_pipe() {
    let piped = verify_slow_log(false, "");
    assert_eq!((piped.status.code(), piped.stderr.as_slice()), (Some(0), &b""[..]), "{piped:?}");
    let report = String::from_utf8(piped.stdout).expect("text");
    assert!(report.starts_with("VERIFIED") && !report.contains('\r'), "{report}");

    let asked_for = verify_slow_log(false, "--progress --json");
    let said = String::from_utf8_lossy(&asked_for.stderr);
    assert_eq!((asked_for.status.code(), &*said), (Some(0), "checked 302 of 302 entries\n"));
    assert!(asked_for.stdout.starts_with(b"{") && asked_for.stdout.ends_with(b"}\n"), "{asked_for:?}");

    if !Command::new("script").arg("--version").output().is_ok_and(|output| output.status.success()) {
        assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "script is needed under CI=true");
        println!("skipped: script is not installed, 1 case");
        return;
    }
    let shown = verify_slow_log(true, "");
    assert_eq!(shown.status.code(), Some(0), "{shown:?}");
    let shown = String::from_utf8(shown.stdout).expect("text");
    let (bar, report) = shown.split_once("VERIFIED").expect("a report after the bar");
    assert!(bar.contains("of 302 entries"), "{shown:?}");
    assert!(bar.contains("\u{1b}[2K"), "the bar is cleared before the report: {shown:?}");
    assert!(report.contains("[log.root]") && !report.contains("of 302 entries"), "{shown:?}");
}

/// Runs `ledgerstone receipt get` in `directory`.
fn receipt_get(server: &str, decision: &str, directory: &Path, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ledgerstone"))
        .args(["receipt", "get", "--server", server, decision])
        .args(more)
        .current_dir(directory)
        .env_clear()
        .output()
        .expect("the binary runs")
}

/// A desk with a policy, and a folder that serves the receipt of decision 2 under its own id and under decision 3's.
fn desk() -> (TempDir, String) {
    let (desk, store) = (tempfile::tempdir().expect("a directory"), store());
    let receipt = log::receipt(2, 3, store.path()).to_json();
    fs::create_dir(desk.path().join("receipts")).expect("a directory");
    for number in [2, 3] {
        fs::write(desk.path().join(format!("receipts/{}", log::decision_id(number))), &receipt)
            .expect("a file");
    }
    let policy = log::policy(&log::keys(ORIGIN, 1)).to_string();
    fs::write(desk.path().join("lending.policy"), policy).expect("a file");
    (desk, receipt)
}

#[test]
fn a_receipt_fetched_over_http_is_the_servers_byte_for_byte() {
    let (desk, receipt) = desk();
    let server = web::serve(desk.path(), &[]);
    let decision = log::decision_id(2).to_string();

    let printed = receipt_get(&server, &decision, desk.path(), &[]);
    assert_eq!((printed.status.code(), printed.stdout), (Some(0), receipt.clone().into_bytes()));
    assert!(String::from_utf8_lossy(&printed.stderr).contains("Fetched, not verified"));

    let kept =
        receipt_get(&server, &decision, desk.path(), &["-o", "kept.json", "--policy", "lending.policy"]);
    assert_eq!(kept.status.code(), Some(0), "{kept:?}");
    assert_eq!(fs::read_to_string(desk.path().join("kept.json")).expect("the file"), receipt);

    let again = receipt_get(&server, &decision, desk.path(), &["-o", "kept.json"]);
    assert_eq!(again.status.code(), Some(64), "an existing file is left alone");
}

#[test]
fn a_receipt_of_another_decision_is_not_handed_on() {
    let (desk, _) = desk();
    let server = web::serve(desk.path(), &[]);
    let wrong = receipt_get(&server, &log::decision_id(3).to_string(), desk.path(), &["-o", "kept.json"]);
    assert_eq!(wrong.status.code(), Some(65));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("receipt of another decision"), "{wrong:?}");
    assert!(!desk.path().join("kept.json").exists());
    let unknown = receipt_get(&server, &log::decision_id(4).to_string(), desk.path(), &[]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("Check the decision id"), "{unknown:?}");
}

#[test]
fn a_receipt_that_does_not_verify_says_so() {
    let (desk, receipt) = desk();
    let decision = log::decision_id(2).to_string();
    let better = receipt.replace("\"float\": 0.31", "\"float\": 0.91");
    assert_ne!(better, receipt);
    let path = format!("receipts/{decision}");
    let server = web::serve(desk.path(), &[(path.as_str(), Fault::Bytes(better.into_bytes()))]);
    let fetched = receipt_get(&server, &decision, desk.path(), &["--policy", "lending.policy"]);
    assert_eq!(fetched.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&fetched.stderr).contains("NOT verified"), "{fetched:?}");
}

/// Answers with one receipt, or with a refusal.
struct OneReceipt(Result<Vec<u8>, tonic::Status>);

#[tonic::async_trait]
impl Receipts for OneReceipt {
    async fn get_receipt(
        &self,
        _: Request<GetReceiptRequest>,
    ) -> Result<Response<GetReceiptResponse>, tonic::Status> {
        self.0.clone().map(|receipt| {
            Response::new(GetReceiptResponse { receipt: receipt.into(), ..Default::default() })
        })
    }

    async fn get_decision(
        &self,
        _: Request<GetDecisionRequest>,
    ) -> Result<Response<GetDecisionResponse>, tonic::Status> {
        Err(tonic::Status::unimplemented("not here"))
    }
}

/// Runs `ledgerstone receipt get` against a gRPC server that answers with `answer`.
async fn over_grpc(answer: Result<Vec<u8>, tonic::Status>, desk: &Path) -> Output {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let server = format!("grpc://{}", listener.local_addr().expect("an address"));
    let service = ReceiptsServer::new(OneReceipt(answer)).max_encoding_message_size(usize::MAX);
    let serving = tonic::transport::Server::builder().add_service(service);
    tokio::spawn(serving.serve_with_incoming(TcpIncoming::from(listener)));
    let (desk, decision) = (desk.to_path_buf(), log::decision_id(2).to_string());
    let fetched = tokio::task::spawn_blocking(move || {
        receipt_get(&server, &decision, &desk, &["--policy", "lending.policy"])
    });
    fetched.await.expect("the command ends")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receipt_comes_over_grpc_too() {
    let (desk, receipt) = desk();
    let fetched = over_grpc(Ok(receipt.clone().into_bytes()), desk.path()).await;
    assert_eq!((fetched.status.code(), fetched.stdout), (Some(0), receipt.into_bytes()));

    let refused = over_grpc(Err(tonic::Status::not_found("no such decision")), desk.path()).await;
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("no such decision"), "{refused:?}");

    // Details that are no base64, at which tonic panics.
    let details = HeaderMap::from_iter([(
        HeaderName::from_static("grpc-status-details-bin"),
        HeaderValue::from_static("!"),
    )]);
    let details = MetadataMap::from_headers(details);
    let malformed = tonic::Status::with_metadata(tonic::Code::NotFound, "no such decision either", details);
    let refused = over_grpc(Err(malformed), desk.path()).await;
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("no such decision either"), "{refused:?}");

    let garbage = over_grpc(Ok(b"garbage".to_vec()), desk.path()).await;
    assert_eq!(garbage.status.code(), Some(65), "{garbage:?}");

    let endless = over_grpc(Ok(vec![b'a'; 8 * 1024 * 1024]), desk.path()).await;
    assert_ne!(endless.status.code(), Some(0), "{endless:?}");
    assert!(endless.stdout.is_empty());
}
