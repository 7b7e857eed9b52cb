//! Another key-encryption key is approved while the sidecar runs.
//!
//! Guarantees: an approval makes one entry, also where its caller leaves before the answer and asks again: what is begun goes on.

use std::sync::Arc;

use bytes::Bytes;
use ledgerstone::approval::{ApprovalError, Change, ChangeKind, PublicRoster, Verdict};
use ledgerstone::merkle::LeafIndex;

use super::Refused;
use crate::approvals::{self, Approvals};
use crate::erasure::EraseError;
use crate::intercept::Session;

/// Has the log say that the change to the configured key-encryption key is approved, where it needs to be; where that stands,
/// unless the configured one is `in_force`. Goes on when the caller leaves.
pub(super) async fn key(
    approvals: Arc<Approvals>,
    session: Arc<Session>,
    in_force: bool,
    approval: Bytes,
) -> Result<Option<LeafIndex>, Refused> {
    let approving = async move { approved(&approvals, &session, in_force, &approval).await };
    tokio::spawn(approving).await.map_err(|_| EraseError::Defect)?
}

async fn approved(
    approvals: &Approvals,
    session: &Session,
    in_force: bool,
    approval: &[u8],
) -> Result<Option<LeafIndex>, Refused> {
    let mut turn = approvals.turn().await;
    let wanted = approvals.wanted_key();
    let change = Change::Key { from: turn.key().cloned(), to: wanted.clone() };
    if turn.key() == Some(wanted) || !turn.asks(ChangeKind::Key) {
        let index = turn.key_at().filter(|_| !in_force);
        let is_needless = approval.is_empty() || turn.key() == Some(wanted);
        let needless = ApprovalError::NotAsked { kind: ChangeKind::Key };
        return if is_needless { Ok(index) } else { Err(Refused::Approval(needless)) };
    }
    let approval = match turn.decide(&change, approval).map_err(Refused::Approval)? {
        Verdict::Free => None,
        Verdict::Approved(recorded) => Some(recorded),
        Verdict::Done(index) => return Ok(Some(index)),
    };
    let make = |numbered| approvals::with(change.entry(numbered, &PublicRoster::empty()), approval.as_ref());
    let (index, entry) = session.announce(make).await.map_err(Refused::Session)?;
    turn.learn(index, &entry);
    tracing::info!(key = %wanted, leaf_index = index.get(), "another key-encryption key is approved; it comes into force at the next start");
    Ok(Some(index))
}

#[cfg(test)]
mod tests;
