//! Checks the COSE receipt of a receipt: the same entry, place and tree, signed by a receipt key that the policy names.
//! Implements RFC 9942, section 5.2.1 (order: first the path, then the signature).

use super::{Check, sentence};
use crate::code::{CheckName, Code};
use crate::cose::CoseReceipt;
use crate::hash::leaf_hash;
use crate::policy::Policy;
use crate::receipt::Receipt;

const NAME: CheckName = CheckName::ReceiptCose;

/// The check, where the receipt has a COSE receipt.
pub(super) fn check(receipt: &Receipt, policy: Option<&Policy>) -> Option<Check> {
    let cose = receipt.cose()?;
    if let Some(fault) = elsewhere(receipt, cose) {
        return Some(Check::failed(NAME, Code::Inconsistent, fault));
    }
    let Some(policy) = policy else {
        let detail = "No trust policy was given, so the receipt key cannot be relied on.";
        return Some(Check::not_checked(NAME, detail));
    };
    let mut keys = policy.receipt_keys().iter().filter(|key| key.origin() == receipt.origin()).peekable();
    if keys.peek().is_none() {
        let detail = "The trust policy names no receipt key of this log, and the receipt has a COSE receipt. Get the log's \
                      present policy file from a source you trust.";
        return Some(Check::not_checked(NAME, detail));
    }
    let Some(key) = keys.find(|key| key.kid() == cose.kid()) else {
        let detail = format!("Receipt key {} is none that the policy names for this log.", cose.kid());
        return Some(Check::failed(NAME, Code::Untrusted, detail));
    };
    Some(match cose.verify(&leaf_hash(receipt.entry_bytes()), key) {
        Ok(()) => Check::passed(NAME, format!("Signed by receipt key {} of {}.", cose.kid(), cose.issuer())),
        Err(error) => Check::failed(NAME, error.code(), sentence(&error)),
    })
}

/// What of the COSE receipt is about something else than the receipt around it.
fn elsewhere(receipt: &Receipt, cose: &CoseReceipt) -> Option<&'static str> {
    if cose.issuer() != receipt.origin() {
        return Some("The COSE receipt names another log than the receipt around it.");
    }
    let size = receipt.checkpoint().checkpoint().size;
    if (cose.size(), cose.index(), cose.path()) != (size, receipt.index(), receipt.proof()) {
        return Some("The COSE receipt is about another place or tree than the receipt around it.");
    }
    None
}
