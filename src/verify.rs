//! The offline facade: inputs in, a report of named checks out.
//!
//! Guarantees: every check says whether it passed, failed or was not made, what was found in plain words and what a pass
//! proves; a check that could not be made is never passed. Does not do: fetch anything, ask a clock, or choose whom to
//! trust: without a policy no signature can be judged, and the report stays undecided.

pub mod anchors;
pub mod log;
mod receipt;
mod report;

use crate::checkpoint::{Checkpoint, CheckpointError, SignedCheckpoint};
use crate::code::CheckName;
use crate::policy::{Policy, PolicyViolation};

pub use crate::check::{Check, PLACES_MAX, Place, Status};
pub use receipt::{AnchorState, proved_rung, receipt, receipt_anchor, receipt_with_anchors};
pub use report::{REPORT_FORMAT, Report, Verdict};

/// Checks a checkpoint note: its form, the log's signatures, the witnesses' quorum.
///
/// The checkpoint is handed back whenever it could be read; believe it only if the report's verdict is
/// [`Verdict::Verified`].
#[must_use]
pub fn checkpoint(note: &[u8], policy: Option<&Policy>) -> (Report, Option<Checkpoint>) {
    let not_proved = not_proved_by_checkpoint(policy);
    match SignedCheckpoint::parse(note) {
        Ok(signed) => {
            let checkpoint = signed.checkpoint().clone();
            let subject = format!("checkpoint of {} at size {}", checkpoint.origin, checkpoint.size);
            (Report::new(subject, checkpoint_checks(&signed, policy), not_proved), Some(checkpoint))
        }
        Err(error) => {
            let checks = unreadable_checkpoint_checks(&error, policy);
            (Report::new("checkpoint".to_owned(), checks, not_proved), None)
        }
    }
}

/// The checks of a checkpoint that could be read.
fn checkpoint_checks(signed: &SignedCheckpoint, policy: Option<&Policy>) -> Vec<Check> {
    let checkpoint = signed.checkpoint();
    let read = format!(
        "The log {} states that it holds {}, with root hash {}.",
        checkpoint.origin,
        plural(checkpoint.size.get(), "entry", "entries"),
        checkpoint.root
    );
    let mut checks = vec![Check::passed(CheckName::CheckpointFormat, read)];
    let Some(policy) = policy else {
        checks.push(without_policy());
        return checks;
    };
    checks.push(signature_check(signed, policy));
    if policy.asks_for_witnesses() {
        checks.push(quorum_check(signed, policy));
    }
    checks
}

fn without_policy() -> Check {
    Check::not_checked(
        CheckName::CheckpointSignatures,
        "No trust policy was given, so nobody's signature can be relied on. Get the log's policy file from a source \
         you trust and check again with it.",
    )
}

fn signature_check(signed: &SignedCheckpoint, policy: &Policy) -> Check {
    match policy.check_log(signed) {
        Ok(keys) => {
            let keys: Vec<String> =
                keys.iter().map(|key| format!("{} key {}", key.signature_type(), key.id())).collect();
            let detail = format!("Signed by {} of {}.", keys.join(" and "), signed.checkpoint().origin);
            Check::passed(CheckName::CheckpointSignatures, detail)
        }
        Err(violation) => violated(CheckName::CheckpointSignatures, &violation),
    }
}

fn quorum_check(signed: &SignedCheckpoint, policy: &Policy) -> Check {
    match policy.check_quorum(signed) {
        Ok(cosigners) => {
            let names: Vec<String> = cosigners.iter().map(|cosigner| cosigner.name.to_string()).collect();
            let detail = format!("Cosigned by {}; the policy's quorum is met.", names.join(", "));
            Check::passed(CheckName::CheckpointQuorum, detail)
        }
        Err(violation) => violated(CheckName::CheckpointQuorum, &violation),
    }
}

fn violated(name: CheckName, violation: &PolicyViolation) -> Check {
    Check::failed(name, violation.code(), sentence(violation))
}

/// The checks of a checkpoint that could not be read: one failed, the others not made.
fn unreadable_checkpoint_checks(error: &CheckpointError, policy: Option<&Policy>) -> Vec<Check> {
    let mut checks = vec![
        Check::failed(CheckName::CheckpointFormat, error.code(), sentence(error)),
        Check::not_checked(CheckName::CheckpointSignatures, "The checkpoint could not be read."),
    ];
    if policy.is_some_and(Policy::asks_for_witnesses) {
        checks.push(Check::not_checked(CheckName::CheckpointQuorum, "The checkpoint could not be read."));
    }
    checks
}

/// What a checkpoint that passes every check still leaves open.
fn not_proved_by_checkpoint(policy: Option<&Policy>) -> Vec<&'static str> {
    let mut open = Vec::new();
    if !policy.is_some_and(Policy::asks_for_witnesses) {
        open.push(
            "That the log shows everybody the same history: the policy asks for no independent witness.",
        );
    }
    open
}

/// An error's text as a sentence: first letter large, full stop at the end.
fn sentence(error: &impl ToString) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    format!("{first}{}.", letters.as_str().trim_end_matches('.'))
}

/// `1 entry`, `2 entries`.
fn plural(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}
