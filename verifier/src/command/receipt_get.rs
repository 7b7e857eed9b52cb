//! `ledgerstone receipt get`: fetches the receipt of a decision from a running sidecar.
//!
//! Guarantees: whatever the server sends is bounded, and is handed on only if it is a receipt of the decision asked
//! for; says that fetching is not verifying unless a policy was given. Does not do: authenticating the caller.

mod grpc;

use ledgerstone::entry::DecisionId;
use ledgerstone::limits::RECEIPT_BYTES_MAX;
use ledgerstone::receipt::Receipt;

use super::key_generate::{Secrecy, write_new};
use super::verify_receipt;
use crate::cli::ReceiptGetArguments;
use crate::exit::{Exit, Refusal};
use crate::output::Output;
use crate::source::{ReadError, Source, Web, WebOptions};

/// Fetches the receipt, checks that it is one (with a policy: everything), and writes it.
///
/// # Errors
/// The server cannot be reached, has no such decision, or sends something else.
pub(super) fn run(arguments: &ReceiptGetArguments, output: &mut Output) -> Result<Exit, Refusal> {
    let decision: DecisionId = arguments.decision_id.parse().map_err(|error| {
        Refusal::usage(
            format_args!("`{}` is not a decision id: {error}", arguments.decision_id),
            "Copy it from the `ledgerstone-decision-id` header of the answer, 36 characters.",
        )
    })?;
    let policy = super::trust::policy(&arguments.trust)?;
    let web = arguments.network.options();
    let bytes = fetch(&arguments.server, &decision.to_string(), &web)?;
    check_form(&bytes, decision, &arguments.server)?;
    match &arguments.output {
        Some(path) => write_new(path, &bytes, Secrecy::Secret)?,
        None => output.print(&String::from_utf8_lossy(&bytes))?,
    }
    let Some(policy) = policy else {
        output.remark("Fetched, not verified: run `ledgerstone verify receipt` with the log's policy.");
        return Ok(Exit::Verified);
    };
    let answer = verify_receipt::run_on_bytes(&arguments.server, &bytes, Some(&policy))?;
    let exit = Exit::from(answer.report.verdict());
    match (exit, &arguments.output) {
        (Exit::Verified, _) => output.remark("Verified: signed by the keys of your policy."),
        (_, Some(_)) => return output.answer(&answer),
        (_, None) => output.remark("NOT verified: run `ledgerstone verify receipt` on it to see why."),
    }
    Ok(exit)
}

/// The receipt's bytes from the server that `server` means.
fn fetch(server: &str, decision_id: &str, web: &WebOptions) -> Result<Vec<u8>, Refusal> {
    match server.split_once("://") {
        Some(("http" | "https", _)) => Web::new(server, web)?
            .read(&format!("receipts/{decision_id}"), RECEIPT_BYTES_MAX)
            .map_err(|error| not_had(&error, decision_id)),
        Some(("grpc", address)) => grpc::fetch(address.trim_end_matches('/'), false, decision_id, web),
        Some(("grpcs", address)) => grpc::fetch(address.trim_end_matches('/'), true, decision_id, web),
        _ => Err(Refusal::usage(
            format_args!("`{server}` is not an address of a sidecar"),
            "Write http://, https://, grpc:// or grpcs:// and host and port.",
        )),
    }
}

/// What a failed HTTP fetch means for somebody who wants a receipt.
fn not_had(error: &ReadError, decision_id: &str) -> Refusal {
    let next = if error.is_missing() {
        format!(
            "Check the decision id {decision_id}, and that this sidecar's log is the one that recorded it."
        )
    } else {
        error.next().to_owned()
    };
    Refusal::new(error.code(), error, next)
}

/// Refuses what is not a receipt of that decision.
fn check_form(bytes: &[u8], decision: DecisionId, server: &str) -> Result<(), Refusal> {
    let receipt = Receipt::parse(bytes).map_err(|error| {
        Refusal::malformed(
            format_args!("{server} sent something that is not a receipt: {error}"),
            "Check the address; nothing was written.",
        )
    })?;
    if receipt.decision() == decision {
        return Ok(());
    }
    Err(Refusal::malformed(
        format_args!("{server} sent the receipt of another decision"),
        "Ask again; if it stays so, tell the operator. Nothing was written.",
    ))
}
