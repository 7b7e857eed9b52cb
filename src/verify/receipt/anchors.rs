//! The anchors of a receipt: whether the entry stood in the log when the log was fixed outside.

use super::super::anchors::{
    AnchorTrust, LaneReport, Learned, Proof, Proved, Standing, ended, proof, quorum_check,
};
use super::super::sentence;
use crate::check::{Check, Status};
use crate::code::{CheckName, Code};
use crate::hash::{Hash, leaf_hash};
use crate::merkle::inclusion;
use crate::policy::Policy;
use crate::receipt::{Receipt, ReceiptAnchor};
use crate::time::UnixMillis;

/// What an anchor comes to for a receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnchorState {
    /// It holds, and fixes the entry at that time at the latest.
    Proved {
        /// When, as far as the proof says.
        at: Option<UnixMillis>,
    },
    /// Its proof is a promise so far.
    Waiting,
    /// Nothing is wrong, but something that is needed to check it was not given.
    Open,
    /// Something about it is wrong.
    Failed,
}

/// Judges one anchor for `receipt`, whether or not the receipt has it already.
#[must_use]
pub fn receipt_anchor(
    receipt: &Receipt,
    anchor: &ReceiptAnchor,
    policy: Option<&Policy>,
    trust: Option<&AnchorTrust>,
) -> AnchorState {
    let (report, standing) = lane(receipt, anchor, policy, trust);
    if report.checks.iter().any(|check| check.status == Status::Failed) {
        return AnchorState::Failed;
    }
    match standing {
        Some(Standing::Holds { at }) if policy.is_some() => AnchorState::Proved { at },
        Some(Standing::Waits) => AnchorState::Waiting,
        _ => AnchorState::Open,
    }
}

/// Every check of the receipt's anchors.
pub(super) fn checks(receipt: &Receipt, policy: Option<&Policy>, trust: Option<&AnchorTrust>) -> Vec<Check> {
    let lanes: Vec<LaneReport> =
        receipt.anchors().iter().map(|anchor| lane(receipt, anchor, policy, trust).0).collect();
    let quorum = trust.and_then(AnchorTrust::quorum).map(|quorum| match lanes.as_slice() {
        [] => Check::not_checked(
            CheckName::AnchorQuorum,
            format!("The policy asks for {quorum}, and this receipt is not yet anchored."),
        ),
        lanes => quorum_check(quorum, lanes, witnessed(receipt, policy)),
    });
    lanes.into_iter().flat_map(|lane| lane.checks).chain(quorum).collect()
}

/// The size of the receipt's tree, if enough witnesses saw it.
fn witnessed(receipt: &Receipt, policy: Option<&Policy>) -> Option<crate::merkle::TreeSize> {
    let policy = policy.filter(|policy| policy.asks_for_witnesses())?;
    policy.check_quorum(receipt.checkpoint()).ok()?;
    Some(receipt.checkpoint().checkpoint().size)
}

/// One anchor: its way from the entry to the statement, then the statement's proof.
fn lane(
    receipt: &Receipt,
    anchor: &ReceiptAnchor,
    policy: Option<&Policy>,
    trust: Option<&AnchorTrust>,
) -> (LaneReport, Option<Standing>) {
    let statement = anchor.statement();
    let name = statement.lane.to_string();
    let mut report = LaneReport {
        name: name.clone(),
        kind: anchor.kind(),
        origin: Some(statement.origin.clone()),
        statements: 1,
        head: Some(statement.to),
        last: Some(Hash::of(anchor.statement_bytes())),
        proved: None,
        checks: Vec::new(),
        strangers: Vec::new(),
    };
    if let Err((code, what)) = way(receipt, anchor, policy) {
        report.checks.push(Check::failed(CheckName::ReceiptAnchor, code, format!("{name}: {what}")));
        return (report, None);
    }
    let Some(kind) = anchor.kind() else {
        let detail = format!(
            "{name}: this build does not know anchors of the kind {}; use a newer one.",
            anchor.kind_word()
        );
        report.checks.push(Check::not_checked(CheckName::ReceiptAnchor, detail));
        return (report, None);
    };
    let found = proof(
        &Proof {
            kind,
            bytes: anchor.proof(),
            headers: anchor.headers(),
            statement,
            statement_bytes: anchor.statement_bytes(),
        },
        trust,
        &mut Learned::default(),
    );
    if let (Standing::Holds { at }, true) = (found.standing, policy.is_some()) {
        report.proved = Some(Proved { seq: statement.seq, size: statement.to.size, at });
    }
    report.checks.push(summary(&report, anchor, &found.checks, found.standing, policy.is_some()));
    report.checks.extend(
        found
            .checks
            .into_iter()
            .map(|check| Check { detail: format!("{name}: {}", ended(check.detail)), ..check }),
    );
    (report, Some(found.standing))
}

/// What all of it comes to for one anchor.
fn summary(
    report: &LaneReport,
    anchor: &ReceiptAnchor,
    checks: &[Check],
    standing: Standing,
    signed: bool,
) -> Check {
    let statement = anchor.statement();
    let what = format!(
        "{}: the entry is one of the first {} of the log, which statement {} fixes",
        report.name, statement.to.size, statement.seq
    );
    let name = CheckName::ReceiptAnchor;
    if let Some(failed) = checks.iter().find(|check| check.status == Status::Failed) {
        let code = failed.code.unwrap_or(Code::Inconsistent);
        return Check::failed(name, code, format!("{what}, but the proof of that fails."));
    }
    match standing {
        Standing::Holds { .. } if !signed => Check::not_checked(
            name,
            format!("{what}; but without a trust policy nobody's signature can be relied on."),
        ),
        Standing::Holds { at: Some(at) } => {
            Check::passed(name, format!("{what}; fixed at {at} at the latest."))
        }
        Standing::Holds { at: None } => Check::passed(name, format!("{what}.")),
        Standing::Waits => Check::not_checked(
            name,
            format!(
                "{what}; its proof is a promise so far. `ledgerstone receipt upgrade` fetches what has come since."
            ),
        ),
        Standing::Open => {
            Check::not_checked(name, format!("{what}; the checks below say what its proof still needs."))
        }
    }
}

/// Whether entry, inclusion proof, checkpoint and statement lead from one to the next.
fn way(receipt: &Receipt, anchor: &ReceiptAnchor, policy: Option<&Policy>) -> Result<(), (Code, String)> {
    let (statement, inclusion, signed) = (anchor.statement(), anchor.inclusion(), anchor.checkpoint());
    let checkpoint = signed.checkpoint();
    let contradicts = |what: &str| Err((Code::Inconsistent, what.to_owned()));
    if statement.origin != *receipt.origin() || checkpoint.origin != statement.origin {
        return contradicts("its statement or checkpoint is about another log.");
    }
    if Hash::of(inclusion.checkpoint.as_bytes()) != statement.checkpoint {
        return contradicts("its checkpoint is not the one that the statement names.");
    }
    if checkpoint.size != statement.to.size || checkpoint.root != statement.to.root {
        return contradicts("its checkpoint and its statement name different trees.");
    }
    if inclusion.index != receipt.index() {
        return contradicts("its inclusion proof is for another place in the log.");
    }
    let leaf = leaf_hash(receipt.entry_bytes());
    inclusion::verify(&leaf, inclusion.index, checkpoint.size, &inclusion.hashes, &checkpoint.root)
        .map_err(|error| (error.code(), sentence(&error)))?;
    if let Some(policy) = policy {
        policy.check_log(signed).map_err(|violation| (violation.code(), sentence(&violation)))?;
    }
    Ok(())
}
