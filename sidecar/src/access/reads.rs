//! Reads of sealed records, each an entry before it is an answer.
//!
//! Guarantees: nothing of a record leaves before the entry that says so is durable; where that cannot be had the read is refused. The entry names the
//! leaf indices and the purpose; who read stands only in the entry's own sealed record (INV-8), under the key-encryption key: a reader is
//! not the person whom the records are about, and erasing that person leaves the readers named.
//! Does not do: receipts, which show what their route discloses and nothing else.

use std::sync::Arc;

use bytes::Bytes;
use ledgerstone::code::Code;
use ledgerstone::entry::{AccessDetails, AccessPurpose, DecisionId, Entry, Kind};
use ledgerstone::limits::ENTRY_LINKS_MAX;
use ledgerstone::merkle::LeafIndex;
use ledgerstone::record::schema::{
    self, DECISION_ID, DECISION_SCHEMA, PRIVACY_KEY, PRIVACY_PURPOSE, TIME_RECEIVED,
};
use ledgerstone::record::{Commitment, RecordBuilder, RecordError, RecordSecret};
use tokio::task::spawn_blocking;

use super::caller::Origin;
use crate::intercept::recorder::now;
use crate::intercept::{AppendFault, NotAdmitted, Session};
use crate::keyring::{RecordKeys, Taken};
use crate::seal::{self, SealError, SealedContent};

/// Which records are read.
#[derive(Clone, Debug)]
pub enum Read {
    /// These, all about one decision.
    Of(DecisionId, Vec<LeafIndex>),
    /// Those from the first leaf index to the last one.
    Stretch(u64, u64),
}

/// Has reads written down. Clones write into the same session.
#[derive(Clone)]
pub struct Reads {
    session: Arc<Session>,
    keys: Arc<dyn RecordKeys>,
}

impl Reads {
    /// Writes into the log of `session`, the readers' names sealed by `keys`.
    #[must_use]
    pub fn new(session: Arc<Session>, keys: Arc<dyn RecordKeys>) -> Self {
        Self { session, keys }
    }

    /// Returns once the log says durably that `who` read.
    ///
    /// # Errors
    /// [`ReadFault`]: then nothing may be read.
    pub async fn note(&self, purpose: AccessPurpose, read: Read, who: &Origin) -> Result<(), ReadFault> {
        match read {
            Read::Stretch(first, last) => self.append(purpose, None, &[], Some((first, last)), who).await,
            Read::Of(decision, indices) => {
                for links in indices.chunks(ENTRY_LINKS_MAX) {
                    self.append(purpose, Some(decision), links, None, who).await?;
                }
                Ok(())
            }
        }
    }

    async fn append(
        &self,
        purpose: AccessPurpose,
        decision: Option<DecisionId>,
        links: &[LeafIndex],
        stretch: Option<(u64, u64)>,
        who: &Origin,
    ) -> Result<(), ReadFault> {
        let (keys, who) = (Arc::clone(&self.keys), who.clone());
        // A key provider may take its time.
        let sealed = spawn_blocking(move || sealed(keys.as_ref(), purpose, decision, &who)).await;
        let (commitment, sealed) = sealed.map_err(|_| ReadFault::Defect)??;
        let seen = self.session.see()?;
        let numbered = (self.session.writer().clone(), self.session.id(), seen.sequence());
        let details = AccessDetails { purpose, stretch };
        let entry = Entry::access(numbered, decision, links.to_vec(), commitment, details);
        let index = seen.append(entry, Some(sealed)).await?;
        tracing::debug!(
            purpose = purpose.as_str(),
            leaf_index = index.get(),
            "a read of records is in the log"
        );
        Ok(())
    }
}

impl std::fmt::Debug for Reads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reads").field("session", &self.session).finish_non_exhaustive()
    }
}

/// The record of a read, and what commits to it.
fn sealed(
    keys: &dyn RecordKeys,
    purpose: AccessPurpose,
    decision: Option<DecisionId>,
    who: &Origin,
) -> Result<(Commitment, Bytes), ReadFault> {
    let mut record = RecordBuilder::new();
    if let Some(decision) = decision {
        record.add(DECISION_ID, decision.to_string().into())?;
    }
    record.add(DECISION_SCHEMA, schema::VERSION.into())?;
    record.add(TIME_RECEIVED, now().get().into())?;
    record.add(PRIVACY_KEY, keys.key_name().as_str().into())?;
    record.add(PRIVACY_PURPOSE, purpose.as_str().into())?;
    for (path, value) in who.fields() {
        record.add(path, value.into())?;
    }
    let record = record.build()?;
    let secret = RecordSecret::from_bytes(*seal::random()?);
    let commitment = record.commit(&secret).commitment();
    let content = SealedContent { secret, record, request: None, response: None };
    let of = seal::sealed_for(decision, Kind::Access).ok_or(ReadFault::Defect)?;
    let sealed = seal::seal_under(keys, &Taken::PROVIDER, &of, Kind::Access, &content)?;
    Ok((commitment, sealed.into()))
}

/// Why a read is not in the log, so that nothing was read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadFault {
    /// Who reads does not make a record.
    #[error("the read cannot be recorded, so nothing is shown: {0}")]
    Record(#[from] RecordError),
    /// The record cannot be sealed.
    #[error("the read cannot be recorded, so nothing is shown: {0}")]
    Seal(#[from] SealError),
    /// The session takes nothing.
    #[error("the read cannot be recorded, so nothing is shown: {0}")]
    NotAdmitted(#[from] NotAdmitted),
    /// The log did not take it.
    #[error("the read cannot be recorded, so nothing is shown: {0}")]
    Log(#[from] AppendFault),
    /// A part of the sidecar panicked.
    #[error("the read cannot be recorded because of a defect, so nothing is shown; report it")]
    Defect,
}

impl ReadFault {
    /// What the reader must do about it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Record(error) => error.code(),
            Self::Seal(error) => error.code(),
            Self::NotAdmitted(_) | Self::Log(_) => Code::Unavailable,
            Self::Defect => Code::Internal,
        }
    }
}
