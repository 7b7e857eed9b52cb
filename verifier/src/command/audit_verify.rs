//! `ledgerstone audit verify`: checks a report against everything that it was made from.
//!
//! Guarantees: a check that lacks its input is never passed; each says what it needs. Does not do: believe a number of the report that
//! can be counted again.

mod advice;
mod rerun;

use ledgerstone::code::{CheckName, Code};
use ledgerstone::note::VerifierKey;
use ledgerstone::verify::{Check, Report as Checked};

use super::audit_basis::{self, Stated};
use super::audit_report;
use crate::cli::AuditVerifyArguments;
use crate::exit::{Exit, Refusal};
use crate::output::{Answer, Output, plural, printable};
use crate::report::{Basis, REPORT_BYTES_MAX, Report, ReportFile, recheck};
use crate::source::read_input;

/// Checks the report and prints how it went.
///
/// # Errors
/// The report, or another file that the user named, cannot be read or is not what it should be.
pub(super) fn run(arguments: &AuditVerifyArguments, output: &mut Output) -> Result<Exit, Refusal> {
    let auditor = arguments.auditor.parse::<VerifierKey>().map_err(|error| {
        Refusal::usage(
            format_args!("`{}` is not a public key: {error}", arguments.auditor),
            "Copy the auditor's first key as `ledgerstone key show` prints it.",
        )
    })?;
    let bytes = read_input(&arguments.report, REPORT_BYTES_MAX)?;
    let file = ReportFile::parse(&bytes).map_err(|error| {
        Refusal::new(
            error.code(),
            format_args!("{} is not a report that can be checked: {error}", arguments.report.display()),
            "Get the report again, byte for byte.",
        )
    })?;
    let report = file.report();
    let stated = audit_basis::read(&arguments.basis, &auditor)?;
    let (plan, draw) = basis_checks(report, &stated);
    let basis = match &stated {
        Stated::Basis(basis) => Some(basis.as_ref()),
        _ => None,
    };
    let mut checks = vec![signature(&file, &auditor), arithmetic(report)];
    if report.plan.is_some() || !matches!(stated, Stated::Nothing) {
        checks.extend([plan, draw]);
    }
    checks.push(results(arguments, report, basis)?);
    checks.push(rerun::check(arguments, report, basis, output)?);
    let subject = format!(
        "report on {} of {}",
        plural(report.counts.decisions, "decision", "decisions"),
        printable(&report.audited.origin)
    );
    let checked = Checked::new(subject, checks, advice::NOT_PROVED.to_vec());
    output.answer(&Answer {
        meaning: advice::meaning(&checked),
        next: advice::next(&checked),
        report: checked,
    })
}

fn signature(file: &ReportFile, auditor: &VerifierKey) -> Check {
    match file.verify(auditor) {
        Ok(()) => Check::passed(CheckName::AuditReport, format!("Signed by {auditor}.")),
        Err(error) => Check::failed(CheckName::AuditReport, error.code(), sentence(&error)),
    }
}

fn arithmetic(report: &Report) -> Check {
    match recheck(report) {
        Ok(()) => Check::passed(
            CheckName::AuditArithmetic,
            format!(
                "The sums, the conclusion and the wording were made again from {} with {}.",
                plural(report.counts.decisions, "decision", "decisions"),
                plural(report.counts.exceptions, "exception", "exceptions")
            ),
        ),
        Err(error) => Check::failed(CheckName::AuditArithmetic, error.code(), sentence(&error)),
    }
}

/// The checks of the plan and of the draw.
fn basis_checks(report: &Report, stated: &Stated) -> (Check, Check) {
    let (plan, draw) = (CheckName::AuditPlan, CheckName::AuditDraw);
    let basis = match stated {
        Stated::Nothing => {
            let needs = "Give the plan and the draw with --plan FILE and --draw FILE.";
            return (Check::not_checked(plan, needs), Check::not_checked(draw, needs));
        }
        Stated::Apart(error) => {
            let made = Check::failed(draw, error.code(), sentence(error));
            return (Check::not_checked(plan, "The draw given is not one of the plan given."), made);
        }
        Stated::Basis(basis) => basis,
    };
    let planned = match &report.plan {
        None => Check::failed(plan, Code::Inconsistent, "The report speaks of no plan."),
        Some(planned) if planned.sha256 != basis.plan_digest() => Check::failed(
            plan,
            Code::Inconsistent,
            format!(
                "The report names the plan {}, the one given is {}.",
                planned.sha256,
                basis.plan_digest()
            ),
        ),
        Some(planned) if planned.signed_by_auditor != basis.is_signed() => Check::failed(
            plan,
            Code::Untrusted,
            "The report and the plan do not say the same of the auditor's signature on the plan.",
        ),
        Some(planned) if planned.signed_by_auditor => {
            Check::passed(plan, format!("SHA-256 {}, signed by the same auditor.", planned.sha256))
        }
        Some(planned) => Check::passed(
            plan,
            format!("SHA-256 {}; the auditor did not sign it, and the report says so.", planned.sha256),
        ),
    };
    let made = match &report.draw {
        Some(drawn) if drawn.sha256 == basis.draw_digest() => Check::passed(
            draw,
            format!("Drawn again from the plan and the values of its randomness: {} in the same order.", {
                plural(drawn.drawn, "decision", "decisions")
            }),
        ),
        Some(drawn) => Check::failed(
            draw,
            Code::Inconsistent,
            format!("The report names the draw {}, the one given is {}.", drawn.sha256, basis.draw_digest()),
        ),
        None => Check::failed(draw, Code::Inconsistent, "The report speaks of no draw."),
    };
    (planned, made)
}

/// Whether the results give this report.
fn results(
    arguments: &AuditVerifyArguments,
    report: &Report,
    basis: Option<&Basis>,
) -> Result<Check, Refusal> {
    let name = CheckName::AuditResults;
    let Some(path) = &arguments.results else {
        return Ok(Check::not_checked(name, "Give the results with --results FILE."));
    };
    if report.draw.is_some() && basis.is_none() {
        return Ok(Check::not_checked(
            name,
            "The results are of a draw: give its --plan FILE and --draw FILE, too.",
        ));
    }
    let again = match audit_report::report(path, basis) {
        Ok(again) => again,
        Err(refusal) if matches!(refusal.code, Code::Unavailable | Code::Malformed) => return Err(refusal),
        Err(refusal) => return Ok(Check::failed(name, refusal.code, sentence(&refusal.message))),
    };
    if again.audited.results_sha256 != report.audited.results_sha256 {
        return Ok(Check::failed(
            name,
            Code::Inconsistent,
            format!(
                "The report was made from results with SHA-256 {}, the file given has {}.",
                report.audited.results_sha256, again.audited.results_sha256
            ),
        ));
    }
    Ok(match report.first_difference(&again) {
        None => Check::passed(
            name,
            format!(
                "Counted again: {} with {}.",
                plural(again.counts.decisions, "decision", "decisions"),
                plural(again.counts.exceptions, "exception", "exceptions")
            ),
        ),
        Some(part) => Check::failed(
            name,
            Code::Inconsistent,
            format!("{} of the report are not those that the results give.", capitalised(part)),
        ),
    })
}

/// An error as a sentence.
fn sentence(error: &impl ToString) -> String {
    format!("{}.", capitalised(error.to_string().trim_end_matches('.')))
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
