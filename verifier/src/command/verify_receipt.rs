//! `ledgerstone verify receipt`: checks one receipt file against the keys that the user trusts.
//!
//! Guarantees: without keys the verdict is at most *could not decide*; a file that is no receipt ends in 65, a receipt
//! that is not true in 1. Does not do: the checks; they are [`ledgerstone::verify::receipt`].
//! Specification: `docs/spec/receipt.md`.

use std::path::Path;

use ledgerstone::code::{CheckName, Code};
use ledgerstone::limits::RECEIPT_BYTES_MAX;
use ledgerstone::policy::Policy;
use ledgerstone::receipt::Receipt;
use ledgerstone::verify::anchors::AnchorTrust;
use ledgerstone::verify::{self, Report, Status, Verdict};

use super::trust;
use crate::cli::VerifyReceiptArguments;
use crate::exit::{Exit, Refusal};
use crate::output::{Answer, Output};
use crate::source::read_input;

/// Checks the receipt that the command line names and prints the report.
///
/// # Errors
/// A file that the command line names cannot be read or is malformed.
pub(super) fn run(arguments: &VerifyReceiptArguments, output: &mut Output) -> Result<Exit, Refusal> {
    let policy = match trust::policy(&arguments.trust)? {
        Some(policy) => Some(policy),
        None => trust::from_vkeys(&arguments.vkeys)?,
    };
    let bytes = read_input(&arguments.receipt, RECEIPT_BYTES_MAX)?;
    let name = arguments.receipt.display().to_string();
    let anchors = trust::anchors(&arguments.anchor_trust)?;
    output.answer(&run_with_anchors(&name, &bytes, policy.as_ref(), anchors.as_ref())?)
}

/// Checks the receipt in a file.
///
/// # Errors
/// The file cannot be read or is no receipt.
pub fn run_on_file(path: &Path, policy: Option<&Policy>) -> Result<Answer, Refusal> {
    let bytes = read_input(path, RECEIPT_BYTES_MAX)?;
    run_on_bytes(&path.display().to_string(), &bytes, policy)
}

/// Checks a receipt's bytes, which came from `name`.
///
/// # Errors
/// They are no receipt.
pub fn run_on_bytes(name: &str, bytes: &[u8], policy: Option<&Policy>) -> Result<Answer, Refusal> {
    run_with_anchors(name, bytes, policy, None)
}

/// The same with what the user trusts about anchors.
///
/// # Errors
/// They are no receipt.
pub fn run_with_anchors(
    name: &str,
    bytes: &[u8],
    policy: Option<&Policy>,
    anchors: Option<&AnchorTrust>,
) -> Result<Answer, Refusal> {
    if let Err(error) = Receipt::parse(bytes)
        && matches!(error.code(), Code::Malformed | Code::Limit)
    {
        return Err(Refusal::new(
            error.code(),
            format_args!("{name} is not a receipt that can be checked: {error}"),
            "Nothing in the file should be relied on. Fetch the receipt again from whoever gave it to you.",
        ));
    }
    let report = verify::receipt_with_anchors(bytes, policy, anchors);
    let next = advice(&report, policy.is_some(), anchors.is_some());
    Ok(Answer { meaning: meaning(&report), report, next })
}

/// What the verdict says about the receipt, in one clause.
fn meaning(report: &Report) -> &'static str {
    let any = |name, status| report.checks().iter().any(|check| check.name == name && check.status == status);
    let (failed, passed) = (|name| any(name, Status::Failed), |name| any(name, Status::Passed));
    match report.verdict() {
        Verdict::Verified if passed(CheckName::ReceiptAnchor) => {
            "the receipt is genuine, and the log was fixed outside with the decision in it"
        }
        Verdict::Verified => "the receipt is genuine, and the decision stands in the log as it says",
        Verdict::Failed if failed(CheckName::CheckpointSignatures) => {
            "nobody whom you trust vouches for this receipt"
        }
        Verdict::Failed if failed(CheckName::ReceiptAnchor) && passed(CheckName::ReceiptInclusion) => {
            "what is said to fix this receipt outside does not"
        }
        Verdict::Failed => "this receipt does not say what was recorded",
        Verdict::Undecided
            if passed(CheckName::CheckpointSignatures) && any(CheckName::ReceiptCose, Status::NotChecked) =>
        {
            "the decision stands in the log as the receipt says, but its COSE receipt could not be checked"
        }
        Verdict::Undecided if passed(CheckName::CheckpointSignatures) => {
            "the decision stands in the log as the receipt says, but not everything about its anchors could be checked"
        }
        Verdict::Undecided => "nothing wrong was found, but that is not enough",
    }
}

/// What the reader can do next.
fn advice(report: &Report, has_policy: bool, has_anchor_trust: bool) -> Vec<String> {
    let step = match report.verdict() {
        Verdict::Verified => {
            "Keep the receipt and the policy file together: they can be checked again at any time, without the operator."
        }
        Verdict::Failed => {
            let status = report.check(CheckName::CheckpointSignatures).map(|check| check.status);
            let inclusion = report.check(CheckName::ReceiptInclusion).map(|check| check.status);
            if status == Some(Status::Failed) && inclusion == Some(Status::Passed) {
                "Check that the policy file is that of the log named above. If it is, somebody else made this receipt: \
                 keep it and ask the operator."
            } else {
                "Do not rely on this receipt. Keep it as it is and ask whoever gave it to you for another."
            }
        }
        Verdict::Undecided if !has_policy => {
            "Get the log's policy file from the operator over a channel you trust, and run the command again with \
             --policy FILE. Without it anybody could have made this receipt."
        }
        Verdict::Undecided
            if report
                .check(CheckName::ReceiptCose)
                .is_some_and(|check| check.status == Status::NotChecked) =>
        {
            "Get the log's present policy file from the operator over a channel you trust: it names the key that signs COSE \
             receipts in a line `#receipt-key`. Run the command again with --policy FILE."
        }
        Verdict::Undecided if !has_anchor_trust => {
            "Write down in a small file whom you trust, such as a block's hash that you looked up yourself or an authority's \
             root certificate, and run the command again with --anchor-trust FILE (docs/spec/anchor-trust.md)."
        }
        Verdict::Undecided => "See the checks above that could not be made, and what each of them needs.",
    };
    vec![step.to_owned()]
}
