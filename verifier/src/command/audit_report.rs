//! `ledgerstone audit report`: says what the results of a run mean, as signed data and as pages.
//!
//! Guarantees: results, plan and draw belong together, or nothing is written; the same inputs give the same bytes. Does not do:
//! recompute a decision; `audit run` did.

use std::fs::File;
use std::path::Path;

use ledgerstone::hash::Hash;
use serde::Serialize;

use super::audit_basis::{self, Stated};
use super::key_generate::Secrecy;
use super::key_show;
use super::report_files::write_folder;
use crate::audit::DrawError;
use crate::cli::AuditReportArguments;
use crate::exit::{Exit, Refusal};
use crate::output::{Output, plural, printable, thousands, wrapped};
use crate::report::{Basis, BasisError, Conclusion, Report, ReportError, assemble, document, html, pdf};

/// The format of this command's JSON.
const FORMAT: &str = "ledgerstone-audit-reported/v1";

/// The files.
const DATA: &str = "report.json";
const PAGE: &str = "report.html";
const PAPER: &str = "report.pdf";

/// Columns before the text of a line.
const INDENT: usize = 12;

/// The report that was written, as JSON.
#[derive(Serialize)]
struct ReportedJson<'a> {
    format: &'static str,
    /// SHA-256 of the signed report.
    sha256: String,
    signed_by: String,
    headline: &'a str,
    conclusion: Conclusion,
    decisions: u64,
    exceptions: u64,
    upper_bound: Option<&'a str>,
    files: Vec<String>,
}

/// Writes the report.
///
/// # Errors
/// An input cannot be read or does not belong to the others, or a file cannot be written.
pub(super) fn run(arguments: &AuditReportArguments, output: &mut Output) -> Result<Exit, Refusal> {
    let keys = key_show::read(&arguments.key)?;
    let [auditor, _] = keys.vkeys();
    let basis = match audit_basis::read(&arguments.basis, &auditor)? {
        Stated::Nothing => None,
        Stated::Basis(basis) => Some(basis),
        Stated::Apart(error) => {
            let next = match error {
                BasisError::Draw(DrawError::Strata) => {
                    "Give --strata the file whose SHA-256 stands in the plan; nothing was written."
                }
                _ => "Name the plan and the draw of this audit; nothing was written.",
            };
            return Err(Refusal::new(error.code(), error, next));
        }
    };
    let report = report(&arguments.results, basis.as_deref())?;
    let signed = report.sign(&keys).map_err(|error| refused(&arguments.results, &error))?;
    let sha256 = Hash::of(signed.as_bytes()).to_string();
    let pages = document(&report, &sha256, &auditor.to_string());
    let (html, pdf) = (html(&pages), pdf(&pages));
    let files = write_folder(
        &arguments.output,
        &[
            (DATA, signed.as_bytes(), Secrecy::Public),
            (PAGE, html.as_bytes(), Secrecy::Public),
            (PAPER, &pdf, Secrecy::Public),
        ],
    )?;
    let reported = ReportedJson {
        format: FORMAT,
        sha256,
        signed_by: auditor.to_string(),
        headline: &report.claims.headline,
        conclusion: report.finding.conclusion,
        decisions: report.counts.decisions,
        exceptions: report.counts.exceptions,
        upper_bound: report.finding.upper_bound.as_deref(),
        files: files.iter().map(|file| file.display().to_string()).collect(),
    };
    if output.is_json() {
        output.json(&reported)?;
    } else {
        output.print(&text(&reported))?;
    }
    Ok(Exit::Verified)
}

/// The report of results in a file.
pub(super) fn report(results: &Path, basis: Option<&Basis>) -> Result<Report, Refusal> {
    let file = File::open(results).map_err(|error| {
        Refusal::unavailable(
            format_args!("{} cannot be read: {error}", results.display()),
            "Name the file that `ledgerstone audit run` wrote.",
        )
    })?;
    assemble(file, basis).map_err(|error| refused(results, &error))
}

fn refused(results: &Path, error: &ReportError) -> Refusal {
    let next = match error {
        ReportError::Apart(_) => "Name the plan and the draw that these results were made with.",
        ReportError::OwnKey => "Make a key for the auditor with `ledgerstone key generate`.",
        ReportError::Results(_) | ReportError::Range { .. } => {
            "Keep the file, and run `ledgerstone audit run` on the bundle again."
        }
        _ => "Nothing was written.",
    };
    Refusal::new(error.code(), format_args!("{}: {error}", results.display()), next)
}

fn text(reported: &ReportedJson<'_>) -> String {
    let line = |name: &str, value: &str| wrapped(value, &format!("{name:<INDENT$}"), INDENT);
    let mut text = wrapped(&printable(reported.headline), "", 0) + "\n";
    text += &line("Decisions", &thousands(reported.decisions));
    text += &line("Exceptions", &plural(reported.exceptions, "exception", "exceptions"));
    if let Some(bound) = reported.upper_bound {
        text += &line("Upper bound", bound);
    }
    text += &line("Signed by", &reported.signed_by);
    text += &line("SHA-256", &reported.sha256);
    text + &line("Written", &reported.files.join(" "))
}
