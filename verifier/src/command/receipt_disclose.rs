//! `ledgerstone receipt disclose`: makes a receipt that shows fewer of its fields.
//!
//! Guarantees: what it writes was computed from a receipt whose fields belong to its entry, and proves the fields that it
//! shows as that one did; of the others it holds hashes only, which nobody can guess a value from without the salt. Needs
//! nobody but the receipt's holder. Does not do: showing fields that the receipt does not have.

use ledgerstone::disclosure::{DisclosureError, Purpose};
use ledgerstone::limits::RECEIPT_BYTES_MAX;
use ledgerstone::receipt::Receipt;
use ledgerstone::record::{FieldPath, PathPattern};
use serde::Serialize;

use super::key_generate::{Secrecy, write_new};
use crate::cli::{PurposeArgument, ReceiptDiscloseArguments};
use crate::exit::{Exit, Refusal};
use crate::output::{Output, plural};
use crate::source::read_input;

/// The format of this command's JSON.
const FORMAT: &str = "ledgerstone-receipt-disclosed/v1";

/// What was written, as JSON.
#[derive(Serialize)]
struct Disclosed<'a> {
    format: &'static str,
    decision_id: String,
    written: String,
    fields: Vec<&'a str>,
    closed: u32,
}

/// Writes the receipt that the command line asks for.
///
/// # Errors
/// The file is no receipt, its fields are not those of its entry, or it shows nothing of what was asked for.
pub(super) fn run(arguments: &ReceiptDiscloseArguments, output: &mut Output) -> Result<Exit, Refusal> {
    let name = arguments.receipt.display();
    let patterns = patterns(&arguments.fields)?;
    let bytes = read_input(&arguments.receipt, RECEIPT_BYTES_MAX)?;
    let receipt = Receipt::parse(&bytes).map_err(|error| {
        Refusal::new(error.code(), format_args!("{name}: {error}"), "Fetch the receipt again.")
    })?;
    refuse_what_is_not_there(&patterns, &receipt)?;
    let purpose = arguments.purpose.map(Purpose::from);
    let kept = |path: &FieldPath| {
        patterns.iter().any(|pattern| pattern.matches(path))
            || purpose.is_some_and(|purpose| purpose.takes(path))
    };
    let narrowed = receipt.narrowed(kept).map_err(|error| match error {
        DisclosureError::Nothing => Refusal::usage(
            "the receipt shows nothing of what was asked for",
            format!("`ledgerstone receipt show {name}` lists what it shows."),
        ),
        error => Refusal::new(
            error.code(),
            format_args!("{name}: {error}"),
            "`ledgerstone verify receipt` says more. Fetch the receipt again.",
        ),
    })?;
    let text = narrowed.to_json();
    match &arguments.output {
        Some(path) => {
            write_new(path, text.as_bytes(), Secrecy::Secret)?;
            say(output, &narrowed, &path.display().to_string())?;
        }
        None => output.print(&text)?,
    }
    Ok(Exit::Verified)
}

fn patterns(texts: &[String]) -> Result<Vec<PathPattern>, Refusal> {
    let pattern = |text: &String| {
        PathPattern::parse(text).map_err(|error| {
            Refusal::usage(
                format_args!("--fields: `{text}` is not a path: {error}"),
                "Write paths as `ledgerstone receipt show` prints them, such as outcome/action or explanation/*.",
            )
        })
    };
    texts.iter().map(pattern).collect()
}

/// A field asked for by name that the receipt does not have would be missed only by whoever gets the file.
fn refuse_what_is_not_there(patterns: &[PathPattern], receipt: &Receipt) -> Result<(), Refusal> {
    let shown = &receipt.disclosure().openings;
    let is_there = |pattern: &PathPattern| shown.iter().any(|opening| pattern.matches(&opening.path));
    let Some(missing) = patterns.iter().find(|pattern| !is_there(pattern)) else { return Ok(()) };
    Err(Refusal::usage(
        format_args!("the receipt shows no field `{}`", missing.as_str()),
        "`ledgerstone receipt show` lists what it shows; ask the operator for a receipt that shows more.",
    ))
}

fn say(output: &mut Output, receipt: &Receipt, written: &str) -> Result<(), Refusal> {
    let shown = &receipt.disclosure().openings;
    let fields: Vec<&str> = shown.iter().map(|opening| opening.path.as_str()).collect();
    let all = receipt.entry().commitment.map_or(0, |commitment| commitment.count);
    let closed = all.saturating_sub(u32::try_from(fields.len()).unwrap_or(u32::MAX));
    if output.is_json() {
        let decision_id = receipt.decision().to_string();
        return output.json(&Disclosed {
            format: FORMAT,
            decision_id,
            written: written.to_owned(),
            fields,
            closed,
        });
    }
    let shown = plural(fields.len() as u64, "field", "fields");
    output.print(&format!(
        "Written to {}: shows {shown} and keeps {closed} closed. `ledgerstone verify receipt` checks it.\n",
        crate::output::printable(written),
    ))
}

impl From<PurposeArgument> for Purpose {
    fn from(argument: PurposeArgument) -> Self {
        match argument {
            PurposeArgument::Applicant => Self::Applicant,
            PurposeArgument::Regulator => Self::Regulator,
            PurposeArgument::Court => Self::Court,
        }
    }
}
