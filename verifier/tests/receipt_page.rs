//! The page that checks receipts in a browser, against the verifier that is written in Rust.
//!
//! Scenario: receipts of random logs, and receipts that somebody changed in every way that comes to mind, are given to both,
//! with key files that are right, wrong, changed or missing. Danger: the two disagree, so that one of them takes for genuine what
//! the other refuses; the committed page is not what its source builds; or the command line prints another one. End state: for every file both come to the
//! same verdict, and each check to the same outcome.
//!
//! `PAGE_MUTANTS=10000` judges that many; `PAGE_SEED=` repeats a run. The kinds' own proofs of anchors are not checked by the page:
//! where one of them fails here, the page must say that it did not check it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros,
    unreachable_pub,
    missing_docs,
    reason = "tests fail by panicking, and may read the environment, start programs and print"
)]

#[path = "receipts_mutated/mod.rs"]
mod receipts_mutated;
#[path = "../../tests/world/mod.rs"]
#[allow(unused_imports, reason = "each test that shares this file uses a part of it")]
mod world;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use ledgerstone::code::CheckName;
use ledgerstone::encoding::base64_encode;
use ledgerstone::policy::Policy;
use ledgerstone::verify::{Report, Status, Verdict, receipt};
use receipts_mutated::{Rng, Subject, Subjects};
use serde_json::{Value, json};

/// Subjects of an ordinary run; the first ones are the golden receipts as they are.
const MUTANTS: u64 = 400;

fn page_source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../web/receipt")
}

/// Whether a program can be started; with CI=true it must be.
fn has_node() -> bool {
    let has = Command::new("node").arg("--version").output().is_ok_and(|output| output.status.success());
    let ci = std::env::var_os("CI").is_some_and(|ci| ci == "true");
    assert!(has || !ci, "node is needed under CI=true");
    if !has {
        println!("skipped because node is not installed");
    }
    has
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

#[test]
fn the_page_and_this_verifier_judge_every_receipt_alike() {
    if !has_node() {
        return;
    }
    let (count, seed) = (number("PAGE_MUTANTS", MUTANTS), number("PAGE_SEED", 1));
    println!("PAGE_SEED={seed} PAGE_MUTANTS={count}");
    let mut subjects = Subjects::new(Rng::new(seed));
    let desk = tempfile::tempdir().unwrap();
    let (asked, answered) = (desk.path().join("subjects"), desk.path().join("answers"));
    let mut ours = Vec::new();
    let mut file = BufWriter::new(fs::File::create(&asked).unwrap());
    for _ in 0..count {
        let subject = subjects.give();
        let line = json!({
            "file": base64_encode(&subject.file),
            "policy": subject.policy.as_deref().map(base64_encode),
        });
        writeln!(file, "{line}").unwrap();
        ours.push((judged(&subject), subject));
    }
    file.into_inner().unwrap().sync_all().unwrap();
    let node = Command::new("node")
        .arg(page_source().join("test/judge.mjs"))
        .args([page_source().join("dist/receipt.html"), asked, answered.clone()])
        .output()
        .unwrap();
    assert!(node.status.success(), "{}", String::from_utf8_lossy(&node.stderr));
    let theirs = fs::read_to_string(&answered).unwrap();
    compare(&ours, &theirs.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<_>>());
}

/// What this verifier says of a subject, in the page's terms.
fn judged(subject: &Subject) -> Value {
    let policy = match subject.policy.as_deref().map(Policy::parse) {
        Some(Err(_)) => return json!("no policy"),
        Some(Ok(policy)) => Some(policy),
        None => None,
    };
    let report = receipt(&subject.file, policy.as_ref());
    let checks: Vec<(String, &str)> = report
        .checks()
        .iter()
        .filter(|check| !check.name.as_str().starts_with("anchor."))
        .map(|check| (check.name.as_str().to_owned(), status(&report, check.name, check.status)))
        .collect();
    let failed = checks.iter().any(|(_, status)| *status == "failed");
    let verdict = match report.verdict() {
        Verdict::Failed if !failed => "undecided",
        verdict => verdict.as_str(),
    };
    json!({ "verdict": verdict, "checks": checks })
}

/// The status of a check as the page has it, which leaves open what rests on an anchor's own proof.
fn status(report: &Report, name: CheckName, status: Status) -> &'static str {
    let proof_failed = report
        .checks()
        .iter()
        .any(|check| check.name.as_str().starts_with("anchor.") && check.status == Status::Failed);
    match status {
        Status::Failed if name == CheckName::ReceiptAnchor && proof_failed => "not_checked",
        Status::Failed => "failed",
        Status::NotChecked => "not_checked",
        _ => "passed",
    }
}

fn compare(ours: &[(Value, Subject)], theirs: &[Value]) {
    assert_eq!(ours.len(), theirs.len());
    let mut met: BTreeMap<String, u64> = BTreeMap::new();
    let mut differing = Vec::new();
    for (at, ((ours, subject), theirs)) in ours.iter().zip(theirs).enumerate() {
        *met.entry(met_by(ours)).or_default() += 1;
        if ours != theirs {
            differing.push(format!(
                "{at}, {}:\n  verifier {ours}\n  page     {theirs}\n{}",
                subject.how.join(", "),
                kept(at, subject)
            ));
        }
    }
    println!("{met:#?}");
    let shown = differing.iter().take(5).cloned().collect::<Vec<_>>().join("\n");
    assert!(differing.is_empty(), "{} of {} differ:\n{shown}", differing.len(), ours.len());
    if ours.len() as u64 >= MUTANTS {
        let never: Vec<&str> = EXPECTED.into_iter().filter(|what| !met.contains_key(*what)).collect();
        assert!(never.is_empty(), "no subject came to {never:?}: the run shows less than it claims");
    }
}

/// What an ordinary run must come to at least once.
const EXPECTED: [&str; 12] = [
    "verified",
    "undecided",
    "no policy",
    "failed receipt.format",
    "failed receipt.entry",
    "failed receipt.fields",
    "failed receipt.inclusion",
    "failed checkpoint.format",
    "failed checkpoint.signatures",
    "failed checkpoint.quorum",
    "failed receipt.anchor",
    "failed receipt.cose",
];

/// The verdict, or the first check that failed.
fn met_by(judged: &Value) -> String {
    let Some(checks) = judged["checks"].as_array() else { return "no policy".to_owned() };
    let failed = checks.iter().find(|check| check[1] == "failed").map(|check| check[0].as_str().unwrap());
    failed.map_or_else(|| judged["verdict"].as_str().unwrap().to_owned(), |name| format!("failed {name}"))
}

/// Leaves a subject that divides the two where it can be looked at, if `PAGE_KEEP` names a folder.
fn kept(at: usize, subject: &Subject) -> String {
    let Some(folder) = std::env::var_os("PAGE_KEEP") else { return String::new() };
    let path = Path::new(&folder).join(format!("{at}.json"));
    fs::write(&path, &subject.file).unwrap();
    if let Some(policy) = &subject.policy {
        fs::write(path.with_extension("policy"), policy).unwrap();
    }
    format!("  kept as {}", path.display())
}

#[test]
fn the_committed_page_is_what_its_source_builds() {
    let source = page_source();
    let ci = std::env::var_os("CI").is_some_and(|ci| ci == "true");
    if !source.join("node_modules/vite").is_dir() {
        assert!(!ci, "the bundler is needed under CI=true: run npm ci in web/receipt/");
        println!("skipped because web/receipt/node_modules has no vite: run npm ci in web/receipt/");
        return;
    }
    let into = tempfile::tempdir().unwrap();
    let output = Command::new("node")
        .args(["node_modules/vite/bin/vite.js", "build", "--logLevel", "warn"])
        .env("LEDGERSTONE_PAGE_OUT", into.path())
        .current_dir(&source)
        .output()
        .expect("node is there where npm installed the bundler");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let made = fs::read(into.path().join("receipt.html")).unwrap();
    let committed = fs::read(source.join("dist/receipt.html")).unwrap();
    assert!(committed == made, "the page is another one: run npm run build in web/receipt/");
}

/// Where the page takes keys from.
const PLACE: &str = "<script type=\"text/plain\" id=\"embedded-policy\"></script>";

fn ledgerstone(arguments: &[&str], desk: &Path) -> std::process::Output {
    let binary = env!("CARGO_BIN_EXE_ledgerstone");
    Command::new(binary).args(["receipt", "page"]).args(arguments).current_dir(desk).output().unwrap()
}

#[test]
fn the_command_prints_the_committed_page() {
    let desk = tempfile::tempdir().unwrap();
    let page = fs::read(page_source().join("dist/receipt.html")).unwrap();
    let printed = ledgerstone(&[], desk.path());
    assert!(printed.status.success() && printed.stdout == page && printed.stderr.is_empty());
    let json: Value = serde_json::from_slice(&ledgerstone(&["--json"], desk.path()).stdout).unwrap();
    assert_eq!(json["page"].as_str().unwrap().as_bytes(), page);
    assert_eq!(json["sha256"], ledgerstone::hash::Hash::of(&page).to_string());
    assert_eq!((&json["policy_sha256"], &json["written"]), (&Value::Null, &Value::Null));
}

#[test]
fn a_policy_changes_nothing_but_the_place_for_it() {
    let desk = tempfile::tempdir().unwrap();
    let hostile = b"# </script><script>alert(1)</script> $& \xff\nquorum none\n";
    fs::write(desk.path().join("keys"), hostile).unwrap();
    let page = fs::read_to_string(page_source().join("dist/receipt.html")).unwrap();
    assert_eq!(page.matches(PLACE).count(), 1);
    let printed = String::from_utf8(ledgerstone(&["--policy", "keys"], desk.path()).stdout).unwrap();
    let filled = PLACE.replace("></", &format!(">{}</", base64_encode(hostile)));
    assert!(printed == page.replacen(PLACE, &filled, 1) && !printed.contains("alert(1)"));
}

#[test]
fn what_is_no_policy_is_refused_and_no_file_is_replaced() {
    let desk = tempfile::tempdir().unwrap();
    fs::write(desk.path().join("keys"), b"quorum nobody\n").unwrap();
    let refused = ledgerstone(&["--policy", "keys", "-o", "page.html"], desk.path());
    assert_eq!((refused.status.code(), refused.stdout.len()), (Some(65), 0));
    assert!(!desk.path().join("page.html").exists());
    assert!(ledgerstone(&["-o", "page.html"], desk.path()).status.success());
    fs::write(desk.path().join("page.html"), b"mine").unwrap();
    assert_eq!(ledgerstone(&["-o", "page.html"], desk.path()).status.code(), Some(64));
    assert_eq!(fs::read(desk.path().join("page.html")).unwrap(), b"mine");
}
