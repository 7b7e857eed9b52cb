//! Legal holds: entries of the log, and the keyring knows them from there.

use std::sync::Arc;

use ledgerstone::entry::{HoldDetails, HoldId, Kind, RegisteredName, ReleaseDetails};
use ledgerstone::merkle::{LeafIndex, TreeSize};

use super::notes::template;
use super::{EraseError, Inner, Target, refusal};

impl Inner {
    pub(super) async fn hold(
        self: Arc<Self>,
        target: Target,
        operator: RegisteredName,
    ) -> Result<(HoldId, LeafIndex), EraseError> {
        let _turn = self.turn.lock().await;
        let id = HoldId::from_bytes(*crate::seal::random().map_err(|_| EraseError::NoRandomness)?);
        let holds = self.blocking(|parts| Ok(parts.ring.database().holds()?)).await?;
        if holds.len() >= refusal::HOLDS_MAX {
            return Err(EraseError::TooManyHolds);
        }
        let (mark, of) = match target {
            Target::Subject(subject) => {
                let tag = self.parts.ring.hot().tag(&subject);
                (Some(refusal::mark(&self.parts.ring, &id, &tag)), None)
            }
            Target::Record(decision) => {
                let places = self.parts.receipts.decision(decision, TreeSize::new(0)).await?;
                let own = places.entries.iter().find(|(_, entry)| entry.kind == Kind::Decision);
                (None, Some((decision, own.ok_or(EraseError::NoDecision)?.0)))
            }
        };
        let details = HoldDetails { id, operator, mark };
        let index = self.append(template(Kind::Hold, of, details.into())?).await?;
        tracing::info!(hold = %id, leaf_index = index.get(), "held");
        self.followed(TreeSize::new(index.get().saturating_add(1))).await?;
        Ok((id, index))
    }

    pub(super) async fn release(
        self: Arc<Self>,
        id: HoldId,
        operator: RegisteredName,
    ) -> Result<LeafIndex, EraseError> {
        let _turn = self.turn.lock().await;
        let holds = self.blocking(|parts| Ok(parts.ring.database().holds()?)).await?;
        if !holds.iter().any(|hold| hold.id == id) {
            return Err(EraseError::NoHold);
        }
        let details = ReleaseDetails { id, operator };
        let index = self.append(template(Kind::Release, None, details.into())?).await?;
        tracing::info!(hold = %id, leaf_index = index.get(), "released");
        self.followed(TreeSize::new(index.get().saturating_add(1))).await?;
        Ok(index)
    }
}
