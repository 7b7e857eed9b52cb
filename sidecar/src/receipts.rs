//! Builds the receipt of a decision from what the log and the sealed record hold.
//!
//! Guarantees: a leaf index from the lookup index is believed only after the entry there turned out to be the decision's
//! own; the field tree built again from the sealed record must equal the entry's commitment; a receipt leaves only after
//! it verified against the log's own policy. It shows fields that the route allows, and none else. Where the index has
//! nothing, the log is searched at the time in the id before the answer is that there is no such decision.
//! Does not do: asking who asks. A decision id has 74 random bits, and whoever knows it was told it.

use std::sync::Arc;
use std::time::Duration;

use ledgerstone::code::Code;
use ledgerstone::cose::{CoseReceipt, CoseReceiptError, ReceiptSigningKey};
use ledgerstone::disclosure::Disclosure;
use ledgerstone::entry::{DecisionId, Entry, EntryError, Kind};
use ledgerstone::hash::leaf_hash;
use ledgerstone::merkle::{LeafIndex, TreeSize};
use ledgerstone::receipt::{LaterEntry, Receipt, ReceiptError};
use ledgerstone::record::schema::DECISION_ROUTE;
use ledgerstone::record::{DiscloseError, FieldPath, PathPattern, Value};
use ledgerstone::verify::{self, Status as CheckStatus, Verdict};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};

use crate::driver::Published;
use crate::index::{Index, IndexError};
use crate::intercept::Routes;
use crate::intercept::route::Route;
use crate::keyring::{KeyringError, RecordKeys};
use crate::reader::{LogReadError, LogReader};
use crate::seal::{OpenError, SealedContent};
use crate::status::Status;

pub(crate) mod search;

/// Builds receipts; clones stand for the same one.
#[derive(Clone)]
pub struct ReceiptService {
    log: LogReader,
    index: Arc<Index>,
    builder: ReceiptBuilder,
    status: Arc<Status>,
    wait: Duration,
    /// One search of the log at a time: whoever asks for ids at random must not get much work for it.
    searching: Arc<Semaphore>,
}

/// Puts receipts together from what stands at known places of the log; needs no lookup index. Clones stand for the same one.
#[derive(Clone)]
pub struct ReceiptBuilder {
    log: LogReader,
    keys: Arc<dyn RecordKeys>,
    routes: Routes,
    /// Signs COSE receipts, where the log has a key for them.
    signer: Option<Arc<ReceiptSigningKey>>,
}

/// Where the entries about one decision stand.
#[derive(Clone, Debug)]
pub struct DecisionPlaces {
    /// The published tree that they were read from.
    pub size: TreeSize,
    /// The decision's own entry and what came later, by leaf index.
    pub entries: Vec<(LeafIndex, Entry)>,
}

/// A receipt that verified.
#[derive(Clone, Debug)]
pub struct Made {
    /// The receipt.
    pub receipt: Receipt,
    /// Whether the decision's record was erased, so that the receipt has no fields to show.
    pub erased: Option<ErasedAt>,
}

/// Where the log says that a record was erased; nothing while the entry is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErasedAt(pub Option<LeafIndex>);

impl ReceiptService {
    /// Has receipts built by `builder`, from places found through `index`. An entry that is not published yet is waited for up
    /// to `wait`.
    #[must_use]
    pub fn new(builder: ReceiptBuilder, index: Arc<Index>, status: Arc<Status>, wait: Duration) -> Self {
        let log = builder.log.clone();
        Self { log, index, builder, status, wait, searching: Arc::new(Semaphore::new(1)) }
    }

    /// The receipt of a decision. It shows the fields that `fields` select, or all that the route allows.
    ///
    /// # Errors
    /// [`ServeError`] says whether to ask again.
    pub async fn receipt(
        &self,
        decision: DecisionId,
        fields: Option<Vec<PathPattern>>,
    ) -> Result<Made, ServeError> {
        let (service, places) = (self.clone(), self.find(decision, TreeSize::EMPTY).await?);
        let build = move || {
            let (bytes, DecisionPlaces { entries, .. }) = service.read(decision, &places)?;
            service.builder.build(bytes, &entries, fields.as_deref())
        };
        spawn_blocking(build).await.map_err(|_| ServeError::Defect)?
    }

    /// Where the entries about a decision stand, in a published tree of at least `size` entries.
    ///
    /// # Errors
    /// [`ServeError`] says whether to ask again.
    pub async fn decision(&self, decision: DecisionId, size: TreeSize) -> Result<DecisionPlaces, ServeError> {
        let (service, places) = (self.clone(), self.find(decision, size).await?);
        let read = move || service.read(decision, &places).map(|(_, places)| places);
        spawn_blocking(read).await.map_err(|_| ServeError::Defect)?
    }

    /// The leaf indices that the lookup index has of the published tree, or of the first `size` entries if those are more. A
    /// decision that was answered before this call is waited for, because its checkpoint is on its way.
    async fn find(&self, decision: DecisionId, size: TreeSize) -> Result<Vec<LeafIndex>, ServeError> {
        let wanted = self.log.published().size.max(size);
        let deadline = Instant::now() + self.wait;
        let answered = self.status.committed();
        let mut covered = self.index.covered();
        loop {
            let reached = *covered.borrow_and_update();
            let index = Arc::clone(&self.index);
            let lookup = move || index.by_decision(&decision);
            match spawn_blocking(lookup).await.map_err(|_| ServeError::Defect)? {
                // What came later may be missing from an index that has not covered all, or that began again meanwhile.
                Ok(found) if !found.is_empty() && reached >= wanted && *covered.borrow() >= reached => {
                    return Ok(found.into_iter().map(|(index, _)| index).collect());
                }
                Ok(found)
                    if found.is_empty() && reached >= answered && !covered.has_changed().unwrap_or(true) =>
                {
                    return Err(self.missed(decision, reached).await);
                }
                Ok(_) | Err(IndexError::Unusable) => {}
                Err(error) => tracing::warn!(%error, "the lookup index failed"),
            }
            let changed = timeout_at(deadline, covered.changed()).await;
            changed.map_err(|_| ServeError::NotPublished)?.map_err(|_| ServeError::NotPublished)?;
        }
    }

    /// What to answer for a decision that the index does not have among the first `reached` entries. An index that lost
    /// one is built again.
    async fn missed(&self, decision: DecisionId, reached: TreeSize) -> ServeError {
        let Ok(_turn) = self.searching.acquire().await else { return ServeError::Defect };
        let log = self.log.clone();
        let searched = spawn_blocking(move || search::decision(&log, decision, reached)).await;
        match searched {
            Ok(Ok(None)) => ServeError::Unknown,
            Ok(Ok(Some(index))) => {
                tracing::warn!(%decision, %index, "the lookup index lost a decision");
                self.index.distrust();
                ServeError::IndexWrong
            }
            Ok(Err(error)) => error.into(),
            Err(_) => ServeError::Defect,
        }
    }

    /// Reads the entries at `places` and checks that they are about the decision.
    fn read(
        &self,
        decision: DecisionId,
        places: &[LeafIndex],
    ) -> Result<(Vec<u8>, DecisionPlaces), ServeError> {
        let size = self.log.published().size;
        let mut own = None;
        let mut entries = Vec::with_capacity(places.len());
        for index in places {
            let bytes = self.log.entry(*index)?;
            let entry = Entry::decode(&bytes)?;
            if entry.decision != Some(decision) {
                self.index.distrust();
                return Err(ServeError::IndexWrong);
            }
            if entry.kind == Kind::Decision && own.is_none() {
                own = Some(bytes);
            }
            entries.push((*index, entry));
        }
        Ok((own.ok_or(ServeError::Unknown)?, DecisionPlaces { size, entries }))
    }
}

impl ReceiptBuilder {
    /// Builds receipts from `log`, opened with `keys`, as `routes` allow; `signer` signs COSE receipts.
    #[must_use]
    pub fn new(
        log: LogReader,
        keys: Arc<dyn RecordKeys>,
        routes: Routes,
        signer: Option<Arc<ReceiptSigningKey>>,
    ) -> Self {
        Self { log, keys, routes, signer }
    }

    /// The receipt of the decision whose own entry is `bytes`; `entries` are all that the log has about it, its own too. It
    /// shows the fields that `fields` select, or all that the route allows. It was verified against the log's own policy.
    ///
    /// # Errors
    /// [`ServeError`] says whether to ask again.
    pub fn build(
        &self,
        bytes: Vec<u8>,
        entries: &[(LeafIndex, Entry)],
        fields: Option<&[PathPattern]>,
    ) -> Result<Made, ServeError> {
        let own = entries.iter().find(|(_, entry)| entry.kind == Kind::Decision);
        let (index, entry) = own.ok_or(ServeError::Unknown)?;
        let (content, erased) = self.open(*index, entry)?;
        let route = match content.as_ref().and_then(|content| content.record.value(&DECISION_ROUTE)) {
            Some(Value::Text(name)) => self.routes.get(name),
            _ => None,
        };
        let disclosure = disclose(entry, content.as_ref(), route, fields)?;
        let Published { size, checkpoint } = self.log.published();
        let proof = self.log.inclusion(*index, size)?;
        let later = entries.iter().filter(|(_, entry)| entry.kind.is_follow_up());
        let later = later.map(|(index, entry)| {
            let (content, _) = self.open(*index, entry)?;
            let disclosure = disclose(entry, content.as_ref(), route, fields)?;
            let proof = self.log.inclusion(*index, size)?;
            let later = LaterEntry::new(self.log.entry(*index)?, disclosure, *index, proof);
            later.map_err(|_| ServeError::IndexWrong)
        });
        let cose = self
            .signer
            .as_ref()
            .map(|signer| CoseReceipt::sign(signer, &leaf_hash(&bytes), *index, size, proof.clone()));
        let receipt = Receipt::new(bytes, disclosure, *index, proof, checkpoint.to_string())?;
        let receipt = match cose.transpose()? {
            Some(cose) => receipt.with_cose(cose),
            None => receipt,
        };
        let receipt = receipt.with_later(later.collect::<Result<_, _>>()?)?;
        let report = verify::receipt(receipt.to_json().as_bytes(), Some(self.log.policy()));
        if report.verdict() == Verdict::Verified {
            return Ok(Made { receipt, erased });
        }
        let failed = report.checks().iter().filter(|check| check.status != CheckStatus::Passed);
        let checks = failed.map(|check| check.name.to_string()).collect::<Vec<_>>().join(", ");
        Err(ServeError::DoesNotVerify { checks })
    }

    /// The name of the route that a decision was recorded by, as its record says; none where that was erased.
    ///
    /// # Errors
    /// [`ServeError`] if the record does not open.
    pub fn route_name(&self, index: LeafIndex, entry: &Entry) -> Result<Option<String>, ServeError> {
        let (content, _) = self.open(index, entry)?;
        Ok(match content.as_ref().and_then(|content| content.record.value(&DECISION_ROUTE)) {
            Some(Value::Text(name)) => Some(name.clone()),
            _ => None,
        })
    }

    /// The opened record of the entry at `index`, if it has one, or that it was erased.
    fn open(
        &self,
        index: LeafIndex,
        entry: &Entry,
    ) -> Result<(Option<SealedContent>, Option<ErasedAt>), ServeError> {
        match self.log.opened(self.keys.as_ref(), index, entry)?.transpose() {
            // What was erased has a receipt without fields: the proof that the decision was recorded still holds.
            Err(OpenError::Keys(KeyringError::Erased { leaf })) => Ok((None, Some(ErasedAt(leaf)))),
            opened => Ok((opened?, None)),
        }
    }
}

/// The fields to show of the record that `entry` commits to: those that `fields` select, or all that the route allows.
fn disclose(
    entry: &Entry,
    content: Option<&SealedContent>,
    route: Option<&Arc<Route>>,
    fields: Option<&[PathPattern]>,
) -> Result<Disclosure, ServeError> {
    let Some(content) = content else { return Ok(Disclosure::default()) };
    let tree = content.committed(entry).ok_or(ServeError::OtherRecord)?;
    // A route that the configuration no longer has allows nothing.
    let allows = |path: &FieldPath| route.is_some_and(|route| route.discloses(path));
    let asked_for =
        |path: &FieldPath| fields.is_none_or(|fields| fields.iter().any(|pattern| pattern.matches(path)));
    let record = &content.record;
    let withheld = record.indices(|path| asked_for(path) && !allows(path)).len();
    if fields.is_some() && withheld > 0 {
        return Err(ServeError::NotAllowed { withheld });
    }
    let chosen = record.indices(|path| asked_for(path) && allows(path));
    if chosen.is_empty() {
        return Ok(Disclosure::default());
    }
    Ok(tree.disclose(&chosen)?)
}

impl std::fmt::Debug for ReceiptBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReceiptBuilder").field("signer", &self.signer).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for ReceiptService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReceiptService").field("wait", &self.wait).finish_non_exhaustive()
    }
}

/// Why there is no receipt.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The published log has no such decision.
    #[error("the log has no decision with this id")]
    Unknown,
    /// It may be durable, but no published and indexed tree has it yet.
    #[error("the decision is not under a published checkpoint yet; try again in a second")]
    NotPublished,
    /// The lookup index pointed to another entry.
    #[error("the lookup index was wrong and is being built again; try again")]
    IndexWrong,
    /// The route does not allow to show what was asked for.
    #[error("{withheld} of the fields asked for may not be shown in a receipt of this route; ask for fewer")]
    NotAllowed {
        /// How many fields.
        withheld: usize,
    },
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] LogReadError),
    /// The entry cannot be read.
    #[error("the entry of the decision cannot be read: {0}")]
    Entry(#[from] EntryError),
    /// The sealed record does not open.
    #[error("the record of the decision does not open: {0}")]
    Sealed(#[from] OpenError),
    /// The sealed record is not the one that the entry commits to.
    #[error("the record of the decision is not the one that its entry commits to: keep both as evidence")]
    OtherRecord,
    /// The fields cannot be disclosed.
    #[error("the fields cannot be shown: {0}")]
    Disclose(#[from] DiscloseError),
    /// The proof has no form as a COSE receipt.
    #[error("no COSE receipt can be made: {0}")]
    Cose(#[from] CoseReceiptError),
    /// The parts do not make a receipt.
    #[error("no receipt can be made: {0}")]
    Receipt(#[from] ReceiptError),
    /// The receipt that was made does not verify.
    #[error(
        "the receipt that was made does not verify ({checks}): check the log with `ledgerstone verify log`"
    )]
    DoesNotVerify {
        /// The checks that did not pass.
        checks: String,
    },
    /// A part of the sidecar panicked.
    #[error("the receipt could not be made because of a defect; report it")]
    Defect,
}

impl ServeError {
    /// What the reader must do about it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Unknown | Self::NotAllowed { .. } => Code::Misuse,
            Self::NotPublished | Self::IndexWrong => Code::Unavailable,
            Self::Log(error) => error.code(),
            Self::Entry(error) => error.code(),
            Self::Sealed(error) => error.code(),
            Self::OtherRecord | Self::DoesNotVerify { .. } => Code::Inconsistent,
            Self::Disclose(_) | Self::Defect => Code::Internal,
            Self::Receipt(error) => error.code(),
            Self::Cose(error) => error.code(),
        }
    }
}
