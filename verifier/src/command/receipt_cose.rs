//! `ledgerstone receipt cose`: takes the COSE receipt (RFC 9942) out of a receipt, for tools that know nothing of Ledgerstone.
//!
//! Guarantees: what it writes are the bytes that stand in the receipt, and those of the entry that they prove. Does not do:
//! checking them; `verify receipt` does, and so does any COSE library.

use ledgerstone::cose::CoseReceipt;
use ledgerstone::limits::RECEIPT_BYTES_MAX;
use ledgerstone::receipt::Receipt;
use serde::Serialize;

use super::key_generate::{Secrecy, write_new};
use crate::cli::ReceiptCoseArguments;
use crate::exit::{Exit, Refusal};
use crate::output::{Output, printable};
use crate::source::read_input;

/// The format of this command's JSON.
const FORMAT: &str = "ledgerstone-receipt-cose/v1";

/// What was written, as JSON.
#[derive(Serialize)]
struct Written {
    format: &'static str,
    decision_id: String,
    issuer: String,
    /// The receipt key's thumbprint.
    kid: String,
    tree_size: u64,
    leaf_index: u64,
    written: String,
    entry_written: Option<String>,
}

/// Writes the COSE receipt that the command line asks for.
///
/// # Errors
/// The file is no receipt, carries no COSE receipt, or a file exists or cannot be written.
pub(super) fn run(arguments: &ReceiptCoseArguments, output: &mut Output) -> Result<Exit, Refusal> {
    let name = arguments.receipt.display();
    let bytes = read_input(&arguments.receipt, RECEIPT_BYTES_MAX)?;
    let receipt = Receipt::parse(&bytes).map_err(|error| {
        Refusal::new(error.code(), format_args!("{name}: {error}"), "Fetch the receipt again.")
    })?;
    let Some(cose) = receipt.cose() else {
        return Err(Refusal::usage(
            format_args!("{name} carries no COSE receipt"),
            "The log that gave it out has no receipt key. Its other proofs are as good: run `ledgerstone verify receipt`.",
        ));
    };
    write_new(&arguments.output, &cose.encode(), Secrecy::Public)?;
    if let Some(path) = &arguments.entry {
        write_new(path, receipt.entry_bytes(), Secrecy::Public)?;
    }
    say(arguments, &receipt, cose, output)?;
    Ok(Exit::Verified)
}

fn say(
    arguments: &ReceiptCoseArguments,
    receipt: &Receipt,
    cose: &CoseReceipt,
    output: &mut Output,
) -> Result<(), Refusal> {
    let written = arguments.output.display().to_string();
    let entry_written = arguments.entry.as_ref().map(|path| path.display().to_string());
    if output.is_json() {
        return output.json(&Written {
            format: FORMAT,
            decision_id: receipt.decision().to_string(),
            issuer: cose.issuer().to_string(),
            kid: cose.kid().to_string(),
            tree_size: cose.size().get(),
            leaf_index: cose.index().get(),
            written,
            entry_written,
        });
    }
    let entry =
        entry_written.map_or_else(String::new, |path| format!("; the entry is in {}", printable(&path)));
    output.print(&format!(
        "Written to {}: entry {} of {} of {}, signed by receipt key {}{entry}.\n",
        printable(&written),
        cose.index(),
        cose.size(),
        cose.issuer(),
        cose.kid(),
    ))
}
