//! The evidence run again, and its results held against the report.

use std::fs::File;

use ledgerstone::code::{CheckName, Code};
use ledgerstone::verify::Check;

use super::{capitalised, sentence};
use crate::audit::DRAW_BYTES_MAX;
use crate::audit::run::{self, Options};
use crate::cli::AuditVerifyArguments;
use crate::command::{audit_run, recompute, trust};
use crate::exit::Refusal;
use crate::output::{Output, plural};
use crate::report::{Basis, Report, assemble};
use crate::source::read_input;

/// Whether the evidence, run again, gives this report.
pub(super) fn check(
    arguments: &AuditVerifyArguments,
    report: &Report,
    basis: Option<&Basis>,
    output: &Output,
) -> Result<Check, Refusal> {
    let name = CheckName::AuditBundle;
    let (Some(bundle), Some(again)) = (&arguments.bundle, &arguments.again) else {
        return Ok(Check::not_checked(
            name,
            "Give the evidence with --bundle FILE, the keys that you trust with --policy FILE, and with --again FILE where the \
             results made again go.",
        ));
    };
    if report.draw.is_some() && basis.is_none() {
        return Ok(Check::not_checked(
            name,
            "The bundle is of a draw: give its --plan FILE and --draw FILE, too.",
        ));
    }
    let policy = trust::policy(&arguments.trust)?;
    let draw = arguments.basis.draw.as_ref().map(|path| read_input(path, DRAW_BYTES_MAX)).transpose()?;
    let options = Options {
        bundle: bundle.clone(),
        identities: arguments.identities.clone(),
        output: again.clone(),
        threads: audit_run::threads(),
        ..recompute::read(&arguments.recompute)?
    };
    let mut progress = output.progress();
    let ran =
        run::run(&options, |front| audit_run::admit(front, policy.as_ref(), draw.as_deref()), &mut progress);
    drop(progress);
    if let Err(error) = ran {
        return match error.code() {
            Code::Inconsistent | Code::Untrusted => Ok(Check::failed(name, error.code(), sentence(&error))),
            _ => Err(audit_run::refused(error)),
        };
    }
    let file = File::open(again).map_err(|error| {
        Refusal::unavailable(
            format_args!("{} cannot be read: {error}", again.display()),
            "Run the command again.",
        )
    })?;
    let made = match assemble(file, basis) {
        Ok(made) => made,
        Err(error) => return Ok(Check::failed(name, error.code(), sentence(&error))),
    };
    Ok(compared(report, &made))
}

/// The report held against the one that was made again.
fn compared(report: &Report, made: &Report) -> Check {
    let name = CheckName::AuditBundle;
    if made.audited.bundle_sha256 != report.audited.bundle_sha256 {
        let (named, given) = (&report.audited.bundle_sha256, &made.audited.bundle_sha256);
        let detail = format!("The report names the bundle {named}, the one given is {given}.");
        return Check::failed(name, Code::Inconsistent, detail);
    }
    match report.first_difference(made) {
        None => Check::passed(
            name,
            format!(
                "Recomputed again: {} with {}; the log's signatures are those of your policy.",
                plural(made.counts.decisions, "decision", "decisions"),
                plural(made.counts.exceptions, "exception", "exceptions")
            ),
        ),
        Some(part) => Check::failed(
            name,
            Code::Inconsistent,
            format!("{} of the report are not those that the evidence gives.", capitalised(part)),
        ),
    }
}
