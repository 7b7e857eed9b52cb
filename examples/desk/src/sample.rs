//! An audit by sample, as `docs/audit.md` tells it: plan, draw, evidence, recomputation, report, and the check of the report.
//!
//! *Guarantees*: every step but the operator's export is a command of `ledgerstone` on files; the draw hangs on a secret
//! that nobody but the auditor knew when the plan was signed.
//!
//! *Does not do*: wait for a round of drand. The round is a past one, so that no network is needed: a rehearsal.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use ledgerstone::encoding::hex_encode;
use ledgerstone::hash::Hash;
use ledgerstone_sidecar::evidence::WantedEntries;
use ledgerstone_verifier::exit::Exit;
use serde_json::Value;

use crate::audit;
use crate::commands::{ask, say, text};
use crate::folder::RunFolder;
use crate::tolerance::Tolerance;

/// The chain hash of drand's `quicknet`.
const QUICKNET: &str = "52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971";

/// A past round of it, and what drand's servers answer for it (test vector of drand-verify 0.6.2).
const ROUND: u64 = 123;
const ROUND_FILE: &str = r#"{"round":123,"signature":"b75c69d0b72a5d906e854e808ba7e2accb1542ac355ae486d591aa9d43765482e26cd02df835d3546d23c4b13e0dfc92"}
"#;

/// What is to be shown of which decisions.
#[derive(Clone, Debug)]
pub struct Question {
    /// The least rate of exceptions that is not tolerable, such as `1%`.
    pub tolerable: &'static str,
    /// The leaf indices to draw from; all without them.
    pub range: Option<(u64, u64)>,
}

/// An audit that was made.
#[derive(Clone, Debug)]
pub struct Audited {
    /// SHA-256 of the plan.
    pub plan: String,
    /// Decisions that were drawn.
    pub drawn: u64,
    /// Decisions that were recomputed without following.
    pub exceptions: u64,
    /// Bytes of the evidence.
    pub bundle_bytes: u64,
    /// The report's first sentence.
    pub headline: String,
    /// When the round of drand came.
    pub round_due: String,
    /// Status and detail of every check of the report.
    pub checks: Vec<(String, String)>,
    /// The report as a page.
    pub page: PathBuf,
    /// The results, one line a decision.
    pub results: PathBuf,
    /// The arguments of `ledgerstone` that check the report again.
    pub verify_again: String,
}

/// The drand round that the plan names, in words.
#[must_use]
pub fn round() -> String {
    format!("round {ROUND} of drand's quicknet")
}

/// Makes the audit, and checks its report. With a tolerance, numbers that are not bit-equal pass within it.
///
/// # Errors
/// If a step is refused, or the report does not verify.
pub fn audit(folder: &RunFolder, question: &Question, tolerance: Option<&Tolerance>) -> Result<Audited> {
    let auditor = auditor(folder)?;
    let planned = plan(folder, question, tolerance)?;
    let drawn = draw(folder, &auditor)?;
    let entries = WantedEntries::Draw(folder.audit("audit.draw"));
    let exported = audit::export_entries(folder, entries, folder.audit("sample.bundle"))?;
    run(folder, tolerance)?;
    let reported = report(folder)?;
    let checks = verify(folder, &auditor, tolerance)?;
    Ok(Audited {
        plan: text(&planned, "digest")?,
        drawn: number(&drawn, "decisions")?,
        exceptions: number(&reported, "exceptions")?,
        bundle_bytes: exported.bytes,
        headline: text(&reported, "headline")?,
        round_due: text(planned.pointer("/randomness/0").unwrap_or(&Value::Null), "due")?,
        checks,
        page: folder.audit("report").join("report.html"),
        results: folder.audit("results.jsonl"),
        verify_again: verify_again(folder, &auditor, tolerance),
    })
}

/// Makes the auditor's key, and gives its public half.
fn auditor(folder: &RunFolder) -> Result<String> {
    let made = ask(
        "key generate --origin auditor.example",
        &[("--output", folder.audit("auditor.key"))],
        Exit::Verified,
    )?;
    let key = made.pointer("/vkeys/0").and_then(Value::as_str);
    key.map(ToOwned::to_owned).context("a key has no public half")
}

/// Keeps the newest checkpoint and a secret, and signs what will be drawn by both the round and the secret.
fn plan(folder: &RunFolder, question: &Question, tolerance: Option<&Tolerance>) -> Result<Value> {
    let newest =
        ask("log checkpoint", &[("", folder.store()), ("--policy", folder.policy())], Exit::Verified)?;
    fs::write(folder.audit("newest.checkpoint"), text(&newest, "note")?)?;
    let mut secret = [0; 32];
    getrandom::fill(&mut secret)?;
    fs::write(folder.audit("auditor.secret"), hex_encode(&secret))?;
    let range = question.range.map_or_else(String::new, |(from, to)| format!(" --from {from} --to {to}"));
    let profile = tolerance.map_or_else(String::new, |tolerance| format!(" --profile {}", tolerance.sha256));
    let words = format!(
        "audit plan --tolerable {}{range}{profile} --drand {QUICKNET}:{ROUND} --nonce-commitment auditor:{}",
        question.tolerable,
        Hash::of(&secret)
    );
    let files = [
        ("--checkpoint", folder.audit("newest.checkpoint")),
        ("--policy", folder.policy()),
        ("--key", folder.audit("auditor.key")),
        ("-o", folder.audit("audit.plan")),
    ];
    ask(&words, &files, Exit::Verified)
}

fn draw(folder: &RunFolder, auditor: &str) -> Result<Value> {
    fs::write(folder.audit("round.json"), ROUND_FILE)?;
    let mut nonce = OsString::from("auditor=");
    nonce.push(folder.audit("auditor.secret"));
    let files = [
        ("", folder.store()),
        ("--plan", folder.audit("audit.plan")),
        ("--drand", folder.audit("round.json")),
        ("--nonce", nonce.into()),
        ("-o", folder.audit("audit.draw")),
    ];
    ask(&format!("audit draw --auditor {auditor}"), &files, Exit::Verified)
}

/// Recomputes what was drawn. That there are exceptions is no error here: the report says so.
fn run(folder: &RunFolder, tolerance: Option<&Tolerance>) -> Result<()> {
    let mut files = vec![
        ("", folder.audit("sample.bundle")),
        ("--policy", folder.policy()),
        ("--draw", folder.audit("audit.draw")),
        ("-o", folder.audit("results.jsonl")),
    ];
    match say(&Tolerance::given(tolerance, "audit run", &mut files), &files)?.exit {
        Exit::Verified | Exit::Failed => Ok(()),
        other => bail!("the evidence was not recomputed: exit status {}", other.status()),
    }
}

fn report(folder: &RunFolder) -> Result<Value> {
    let files = [
        ("", folder.audit("results.jsonl")),
        ("--plan", folder.audit("audit.plan")),
        ("--draw", folder.audit("audit.draw")),
        ("--key", folder.audit("auditor.key")),
        ("-o", folder.audit("report")),
    ];
    ask("audit report", &files, Exit::Verified)
}

/// What the check of a report takes; `again` is where the results of recomputing go.
fn verified_with(folder: &RunFolder, again: &str) -> Vec<(&'static str, PathBuf)> {
    vec![
        ("", folder.audit("report").join("report.json")),
        ("--plan", folder.audit("audit.plan")),
        ("--draw", folder.audit("audit.draw")),
        ("--results", folder.audit("results.jsonl")),
        ("--bundle", folder.audit("sample.bundle")),
        ("--policy", folder.policy()),
        ("--again", folder.audit(again)),
    ]
}

fn verify_again(folder: &RunFolder, auditor: &str, tolerance: Option<&Tolerance>) -> String {
    let mut files = verified_with(folder, "again-2.jsonl");
    let words = Tolerance::given(tolerance, &format!("--auditor {auditor}"), &mut files);
    let mut command = "audit verify".to_owned();
    for (flag, file) in files {
        let gap = if flag.is_empty() { "" } else { " " };
        command += &format!("{gap}{flag} {}", file.display());
    }
    format!("{command} {words}")
}

/// Checks the report as anybody would who got all the files: status and detail of every check.
fn verify(folder: &RunFolder, auditor: &str, tolerance: Option<&Tolerance>) -> Result<Vec<(String, String)>> {
    let mut files = verified_with(folder, "again.jsonl");
    let words = Tolerance::given(tolerance, &format!("audit verify --auditor {auditor}"), &mut files);
    let answer = ask(&words, &files, Exit::Verified)?;
    let checks = answer.get("checks").and_then(Value::as_array).context("an answer has no checks")?;
    checks.iter().map(|check| Ok((text(check, "status")?, text(check, "detail")?))).collect()
}

pub(crate) fn number(json: &Value, key: &str) -> Result<u64> {
    json.get(key).and_then(Value::as_u64).with_context(|| format!("an answer has no {key}"))
}
