//! Checks a receipt: its form, its entry, its fields, its place in the log, and the log's signatures.
//! Implements `docs/spec/receipt.md`, section "To verify a receipt".

mod anchors;
mod cose;

pub use anchors::{AnchorState, receipt_anchor};

use super::anchors::AnchorTrust;
use super::{Check, Report, Status, checkpoint_checks, not_proved_by_checkpoint, sentence};
use crate::anchor::statement::AnchorKind;
use crate::code::{CheckName, Code};
use crate::disclosure::{self, Disclosure};
use crate::entry::Entry;
use crate::hash::{Hash, leaf_hash};
use crate::merkle::{LeafIndex, inclusion};
use crate::policy::Policy;
use crate::receipt::{LaterEntry, Receipt, ReceiptAnchor, ReceiptError, Rung};

/// What a receipt without an anchor leaves open.
const NOT_YET_ANCHORED: &str = "When the decision was recorded, beyond the log's own word: this receipt is not yet anchored. \
                                `ledgerstone receipt upgrade` fetches what has come since.";

/// Checks a receipt file from nothing but its bytes and a trust policy.
///
/// Without a policy the signatures are not checked, so the verdict is at best undecided.
#[must_use]
pub fn receipt(file: &[u8], policy: Option<&Policy>) -> Report {
    receipt_with_anchors(file, policy, None)
}

/// The same with what the reader trusts about anchors: pinned blocks, contracts, authorities.
///
/// Anchors of the receipt that rest on what is not given are not checked, so the verdict is at best undecided then; a receipt
/// that is not yet anchored says so and does not fail.
#[must_use]
pub fn receipt_with_anchors(file: &[u8], policy: Option<&Policy>, trust: Option<&AnchorTrust>) -> Report {
    let mut not_proved = not_proved(policy);
    match Receipt::parse(file) {
        Ok(receipt) => {
            if receipt.anchors().is_empty() {
                not_proved.push(NOT_YET_ANCHORED);
            }
            let subject = format!("receipt for decision {}", receipt.decision());
            Report::new(subject, checks(&receipt, policy, trust), not_proved)
        }
        Err(error) => Report::new("receipt".to_owned(), unreadable(&error, policy), not_proved),
    }
}

/// The highest rung that a receipt is proved to stand on, to a reader who believes `policy` and `trust`.
#[must_use]
pub fn proved_rung(receipt: &Receipt, policy: Option<&Policy>, trust: Option<&AnchorTrust>) -> Rung {
    let checks = checks(receipt, policy, trust);
    let passed = |name| {
        let found = |check: &&Check| check.name == name;
        checks.iter().find(found).is_some_and(|check| check.status == Status::Passed)
    };
    if !passed(CheckName::ReceiptInclusion) || !passed(CheckName::CheckpointSignatures) {
        return Rung::Sequenced;
    }
    let witnessed = if passed(CheckName::CheckpointQuorum) { Rung::Witnessed } else { Rung::Included };
    let proved = |anchor: &&ReceiptAnchor| {
        matches!(receipt_anchor(receipt, anchor, policy, trust), AnchorState::Proved { .. })
    };
    let anchored = receipt.anchors().iter().filter(proved).filter_map(|anchor| match anchor.kind()? {
        AnchorKind::Ethereum | AnchorKind::Bitcoin => Some(Rung::Anchored),
        AnchorKind::Rfc3161 => Some(Rung::Timestamped),
        _ => None,
    });
    anchored.max().map_or(witnessed, |anchored| anchored.max(witnessed))
}

fn checks(receipt: &Receipt, policy: Option<&Policy>, trust: Option<&AnchorTrust>) -> Vec<Check> {
    let mut checks = vec![
        Check::passed(CheckName::ReceiptFormat, "The file is a receipt in canonical form."),
        entry_check(receipt),
        field_check(receipt),
        inclusion_check(receipt),
    ];
    checks.extend(later_check(receipt));
    checks.extend(checkpoint_checks(receipt.checkpoint(), policy));
    checks.extend(cose::check(receipt, policy));
    checks.extend(anchors::checks(receipt, policy, trust));
    checks
}

fn entry_check(receipt: &Receipt) -> Check {
    let entry = receipt.entry();
    let detail = format!(
        "The entry records decision {}, written by {} at {}.",
        receipt.decision(),
        entry.writer,
        entry.recorded_at
    );
    Check::passed(CheckName::ReceiptEntry, detail)
}

fn field_check(receipt: &Receipt) -> Check {
    let (entry, disclosure) = (receipt.entry(), receipt.disclosure());
    if let Some((code, what)) = disclosure_fault(entry, disclosure, "The receipt") {
        return Check::failed(CheckName::ReceiptFields, code, what);
    }
    let detail = match (&entry.commitment, disclosure.openings.len()) {
        (Some(record), shown @ 1..) => {
            format!("The {shown} fields shown belong to the record's {}.", record.count)
        }
        _ => "The receipt shows no field of the record.".to_owned(),
    };
    Check::passed(CheckName::ReceiptFields, detail)
}

fn inclusion_check(receipt: &Receipt) -> Check {
    let (index, size) = (receipt.index(), receipt.checkpoint().checkpoint().size);
    match inclusion_fault(receipt, receipt.entry_bytes(), index, receipt.proof()) {
        None => {
            let detail = format!("The entry is at index {index} of the log's {size} entries.");
            Check::passed(CheckName::ReceiptInclusion, detail)
        }
        Some((code, what)) => Check::failed(CheckName::ReceiptInclusion, code, what),
    }
}

/// What is wrong with the fields that `whose` shows of the record of `entry`.
fn disclosure_fault(entry: &Entry, shown: &Disclosure, whose: &str) -> Option<(Code, String)> {
    if shown.openings.is_empty() && shown.proof.is_empty() {
        return None;
    }
    let Some(commitment) = &entry.commitment else {
        return Some((Code::Inconsistent, format!("{whose} shows fields, but its entry commits to none.")));
    };
    disclosure::verify(shown, commitment).err().map(|error| (error.code(), sentence(&error)))
}

/// What is wrong with the proof that the receipt's tree has `entry` at `index`.
fn inclusion_fault(
    receipt: &Receipt,
    entry: &[u8],
    index: LeafIndex,
    proof: &[Hash],
) -> Option<(Code, String)> {
    let checkpoint = receipt.checkpoint().checkpoint();
    let verified = inclusion::verify(&leaf_hash(entry), index, checkpoint.size, proof, &checkpoint.root);
    verified.err().map(|error| (error.code(), sentence(&error)))
}

/// Whether every entry that was added to the decision stands in the same tree, links to it, and holds what is shown; no check
/// where there is none.
fn later_check(receipt: &Receipt) -> Option<Check> {
    let faults =
        receipt.later().iter().filter_map(|later| later_fault(receipt, later).map(|fault| (later, fault)));
    let Some((later, (code, what))) = faults.into_iter().next() else {
        let added =
            receipt.later().iter().map(|later| format!("{} (entry {})", later.entry().kind, later.index()));
        let added = added.collect::<Vec<_>>().join(", ");
        let passed = || Check::passed(CheckName::ReceiptLater, format!("Added to the decision: {added}."));
        return (!receipt.later().is_empty()).then(passed);
    };
    let what = format!("The {} at index {}: {what}", later.entry().kind, later.index());
    Some(Check::failed(CheckName::ReceiptLater, code, what))
}

/// What is wrong with a later entry.
fn later_fault(receipt: &Receipt, later: &LaterEntry) -> Option<(Code, String)> {
    if !later.entry().links.contains(&receipt.index()) || later.index() <= receipt.index() {
        return Some((Code::Inconsistent, "It does not link back to the decision's entry.".to_owned()));
    }
    inclusion_fault(receipt, later.entry_bytes(), later.index(), later.proof())
        .or_else(|| disclosure_fault(later.entry(), later.disclosure(), "It"))
}

/// The checks of a file that is no receipt: the first that failed, the others not made.
fn unreadable(error: &ReceiptError, policy: Option<&Policy>) -> Vec<Check> {
    let failed = match error {
        ReceiptError::Entry(_) | ReceiptError::NotADecision | ReceiptError::OtherDecision => {
            CheckName::ReceiptEntry
        }
        ReceiptError::Checkpoint(_) | ReceiptError::OtherOrigin => CheckName::CheckpointFormat,
        _ => CheckName::ReceiptFormat,
    };
    let mut names = vec![
        CheckName::ReceiptFormat,
        CheckName::ReceiptEntry,
        CheckName::ReceiptFields,
        CheckName::ReceiptInclusion,
        CheckName::CheckpointFormat,
        CheckName::CheckpointSignatures,
    ];
    if policy.is_some_and(Policy::asks_for_witnesses) {
        names.push(CheckName::CheckpointQuorum);
    }
    let check = |name| {
        if name == failed {
            Check::failed(name, error.code(), sentence(error))
        } else {
            Check::not_checked(name, "The receipt could not be read.")
        }
    };
    names.into_iter().map(check).collect()
}

/// What a receipt that passes every check still leaves open.
fn not_proved(policy: Option<&Policy>) -> Vec<&'static str> {
    let mut open = vec![
        "That what the model was told about the person was true.",
        "That the decision was fair or lawful.",
        "That other decisions were recorded: a receipt is about one.",
    ];
    open.extend(not_proved_by_checkpoint(policy));
    open
}
