//! An audit of a whole range: where every decision can be recomputed, nothing has to be drawn.
//!
//! *Guarantees*: every step but the operator's export is a command of `ledgerstone` on files.
//!
//! *Does not do*: judge what came out; the counts are the caller's to look at.

use std::path::PathBuf;

use anyhow::{Context, Result};
use ledgerstone_sidecar::evidence::WantedEntries;
use ledgerstone_verifier::exit::Exit;
use serde_json::Value;

use crate::audit;
use crate::commands::{ask, say, text};
use crate::folder::RunFolder;
use crate::sample::number;

/// An audit of a range.
#[derive(Clone, Debug)]
pub struct Recomputed {
    /// Decisions in the range.
    pub decisions: u64,
    /// Those that follow bit for bit.
    pub exact: u64,
    /// Those that do not follow, or cannot be recomputed.
    pub exceptions: u64,
    /// The report's first sentence.
    pub headline: String,
    /// The report as a page.
    pub page: PathBuf,
}

/// Recomputes every decision from the first to the last leaf index, and writes a report. Its files are named after `name`; the
/// auditor's key is that of the audit by sample.
///
/// # Errors
/// If a step is refused.
pub fn audit(folder: &RunFolder, (first, last): (u64, u64), name: &str) -> Result<Recomputed> {
    let (bundle, results) = (folder.audit(&format!("{name}.bundle")), folder.audit(&format!("{name}.jsonl")));
    let entries = WantedEntries::Range { first, last: Some(last) };
    audit::export_entries(folder, entries, bundle.clone())?;
    let ran =
        say("audit run", &[("", bundle), ("--policy", folder.policy()), ("-o", results.clone())])?.json()?;
    let counts = ran.get("counts").context("an answer has no counts")?;
    let report = folder.audit(&format!("{name}-report"));
    let files = [("", results), ("--key", folder.audit("auditor.key")), ("-o", report.clone())];
    let reported = ask("audit report", &files, Exit::Verified)?;
    Ok(Recomputed {
        decisions: number(counts, "decisions")?,
        exact: counts.pointer("/verdicts/EXACT").and_then(Value::as_u64).unwrap_or(0),
        exceptions: number(counts, "exceptions")?,
        headline: text(&reported, "headline")?,
        page: report.join("report.html"),
    })
}
