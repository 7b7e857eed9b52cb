//! `ledgerstone report fairness`: outcomes by protected group.
//!
//! Guarantees: nobody is counted in a group unless the vault names the person by a tag that follows from the opened record.

use ledgerstone::hash::Hash;
use ledgerstone::limits::VAULT_BYTES_MAX;
use ledgerstone::vault::Vault;

use super::report_files;
use crate::cli::{CountedOutcome, ReportFairnessArguments};
use crate::exit::{Exit, Refusal};
use crate::output::Output;
use crate::source::read_input;
use crate::statistics::{Of, Options, fairness};

/// The format of this command's JSON.
const FORMAT: &str = "ledgerstone-fairness-written/v1";

/// Writes the report.
///
/// # Errors
/// An input does not read or does not belong to the other, or a file cannot be written.
pub(super) fn run(arguments: &ReportFairnessArguments, output: &mut Output) -> Result<Exit, Refusal> {
    let bytes = read_input(&arguments.vault, VAULT_BYTES_MAX)?;
    let vault = Vault::parse(&bytes).map_err(|error| {
        Refusal::malformed(
            format_args!("{} is not a vault: {error}", arguments.vault.display()),
            "Make it with `ledgerstone-sidecar vault make`.",
        )
    })?;
    let (decided, source) = report_files::decided(&arguments.figures, arguments.score.as_deref(), output)?;
    let verified = source.checkpoint_verified;
    let options = Options {
        by: arguments.by.iter().map(|names| names.split(',').map(str::to_owned).collect()).collect(),
        of: match arguments.outcome {
            CountedOutcome::Answer => Of::Answer,
            CountedOutcome::Final => Of::Final,
        },
        lower_is_better: arguments.lower_is_better,
        leave_out_small: arguments.leave_out_small.clone(),
    };
    let sha256 = Hash::of(&bytes).to_string();
    let (_, files) = fairness(&decided, source, &vault, sha256, &options).map_err(|error| {
        Refusal::usage(
            error,
            "Nothing was written; name the vault, the bundle and the attributes that belong together.",
        )
    })?;
    report_files::write(FORMAT, &arguments.figures, &files, verified, output)
}
