//! What is said of runs, as text or as JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use ledgerstone::code::Code;
use ledgerstone::proto::ledgerstone_v1 as wire;
use ledgerstone::time::UnixMillis;
use serde::Serialize;

use super::Peer;
use crate::audit::results::{Head, Tail};
use crate::command::audit_run;
use crate::exit::{Exit, Refusal};
use crate::output::{Output, printable, thousands};

/// The format of this command's JSON.
const FORMAT: &str = "ledgerstone-audit-submission/v1";

/// Runs in one answer.
const PAGE: u32 = 100;

/// Answers that are asked for: more runs than a service keeps.
const PAGES_MAX: usize = 1000;

#[derive(Serialize)]
struct Said<'a> {
    format: &'static str,
    #[serde(flatten)]
    run: RunJson,
    #[serde(skip_serializing_if = "Option::is_none")]
    fetched: Option<Fetched<'a>>,
}

#[derive(Serialize)]
struct Fetched<'a> {
    results: String,
    head: &'a Head,
    counts: &'a Tail,
}

#[derive(Serialize)]
struct List {
    format: &'static str,
    runs: Vec<RunJson>,
}

/// A run as JSON.
#[derive(Serialize)]
struct RunJson {
    run: String,
    label: String,
    state: &'static str,
    bundle_sha256: String,
    bundle_bytes: u64,
    submitted_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    queue_position: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exceptions: Option<u64>,
}

impl RunJson {
    fn new(run: &wire::AuditRun) -> Self {
        let bundle = run.bundle.clone().unwrap_or_default();
        let time = |ms: u64| UnixMillis::new(ms).to_string();
        Self {
            run: run.run_id.clone(),
            label: run.label.clone(),
            state: state(run),
            bundle_sha256: bundle.sha256,
            bundle_bytes: bundle.size_bytes,
            submitted_at: time(run.submitted_at_ms),
            ended_at: (run.ended_at_ms > 0).then(|| time(run.ended_at_ms)),
            queue_position: Some(run.queue_position).filter(|position| *position > 0),
            failure: run.failure.as_ref().map(|failure| failure.message.clone()),
            exceptions: run.results.as_ref().map(|results| results.exceptions),
        }
    }
}

/// Whether nothing happens to the run any more by itself.
pub(super) fn has_ended(run: &wire::AuditRun) -> bool {
    use wire::AuditRunState::{Cancelled, Done, Failed};
    matches!(run.state(), Done | Failed | Cancelled)
}

/// Says where a run is.
pub(super) fn run(run: &wire::AuditRun, output: &mut Output) -> Result<Exit, Refusal> {
    if output.is_json() {
        output.json(&Said { format: FORMAT, run: RunJson::new(run), fetched: None })?;
    } else {
        let stopping = if run.cancelling { ", and stops in a moment" } else { "" };
        output.print(&format!("{}  {}{stopping}\n", run.run_id, state(run)))?;
    }
    Ok(Exit::Verified)
}

/// Says that a run is gone.
pub(super) fn deleted(run_id: &str, output: &mut Output) -> Result<Exit, Refusal> {
    if output.is_json() {
        output.json(&serde_json::json!({ "format": FORMAT, "run": run_id, "state": "deleted" }))?;
    } else {
        output.print(&format!("{run_id}  deleted\n"))?;
    }
    Ok(Exit::Verified)
}

/// Says which runs there are.
pub(super) async fn list(peer: &mut Peer, output: &mut Output) -> Result<Exit, Refusal> {
    let (mut runs, mut page_token) = (Vec::new(), String::new());
    for _ in 0..PAGES_MAX {
        let request = wire::ListRunsRequest { page_size: PAGE, page_token };
        let page = peer.soon(peer.client.clone().list_runs(request)).await?;
        runs.extend(page.runs);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    if output.is_json() {
        output.json(&List { format: FORMAT, runs: runs.iter().map(RunJson::new).collect() })?;
    } else {
        for run in &runs {
            let time = UnixMillis::new(run.submitted_at_ms);
            let line = format!("{}  {:<9}  {time}  {}", run.run_id, state(run), printable(&run.label));
            output.print(&format!("{}\n", line.trim_end()))?;
        }
    }
    Ok(Exit::Verified)
}

/// Says what a run found whose results are not fetched.
pub(super) fn done(
    run: &wire::AuditRun,
    results: &wire::AuditResults,
    url: &str,
    output: &mut Output,
) -> Result<Exit, Refusal> {
    if output.is_json() {
        output.json(&Said { format: FORMAT, run: RunJson::new(run), fetched: None })?;
    } else {
        let mut text = format!(
            "{} decisions among {} entries.\n\n",
            thousands(results.decisions),
            thousands(results.entries)
        );
        let verdicts: BTreeMap<_, _> = results.verdicts.iter().collect();
        for (verdict, count) in verdicts {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{:>12}  {}", thousands(*count), printable(verdict));
        }
        let _ = writeln!(text, "\n{:>12}  exceptions", thousands(results.exceptions));
        output.print(&text)?;
        output.remark(&format!(
            "Fetch the results with `ledgerstone audit submit --watch {} --to {url} -o FILE`.",
            run.run_id
        ));
    }
    Ok(audit_run::exit(results.exceptions, results.checkpoint_verified))
}

/// Says what was fetched, in JSON; the text is that of `audit run`.
pub(super) fn fetched(
    run: &wire::AuditRun,
    path: &Path,
    head: &Head,
    counts: &Tail,
    output: &mut Output,
) -> Result<(), Refusal> {
    if !output.is_json() {
        return Ok(());
    }
    let fetched = Some(Fetched { results: path.display().to_string(), head, counts });
    output.json(&Said { format: FORMAT, run: RunJson::new(run), fetched })
}

/// Why a run that has ended has no results.
pub(super) fn no_results(run: &wire::AuditRun) -> Refusal {
    match &run.failure {
        Some(failure) => {
            let code = Code::ALL.into_iter().find(|code| code.as_str() == failure.code);
            Refusal::new(
                code.unwrap_or(Code::Unavailable),
                format_args!("the run {} failed: {}", run.run_id, printable(&failure.message)),
                "Do what it says, then submit the bundle again.",
            )
        }
        None => Refusal::unavailable(
            format_args!("the run {} was cancelled", run.run_id),
            "Submit the bundle again: the run goes on where it was.",
        ),
    }
}

fn state(run: &wire::AuditRun) -> &'static str {
    use wire::AuditRunState as State;
    match run.state() {
        State::Unspecified => "unknown",
        State::Queued => "queued",
        State::Running => "running",
        State::Done => "done",
        State::Failed => "failed",
        State::Cancelled => "cancelled",
    }
}
