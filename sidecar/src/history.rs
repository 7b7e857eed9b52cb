//! A decision and what comes after it: entries are added to it, and all of them are read back together.
//!
//! Guarantees: an entry is added only to a decision that the published log has, with fields that its kind has; it has a
//! number of the session like every request (INV-10), and the call goes on when the caller leaves; a request repeated under
//! its name adds nothing; what is read back equals what the log commits to. Nothing personal reaches the entry (INV-8): the
//! fields are sealed. Does not do: asking who asks; [`crate::access`] does, where roles are configured.

use std::sync::Arc;
use std::time::Duration;

use ledgerstone::code::Code;
use ledgerstone::entry::{AccessPurpose, DecisionId, Entry, Kind};
use ledgerstone::limits::RECEIPT_LATER_MAX;
use ledgerstone::merkle::{LeafIndex, TreeSize};
use ledgerstone::record::schema::{
    self, CALLER_ADDRESS, CALLER_PRINCIPAL, CALLER_WORKLOAD, DECISION_ID, DECISION_REQUEST_ID,
    DECISION_SCHEMA, Form, FormError, PRIVACY_KEY, TIME_RECEIVED,
};
use ledgerstone::record::{Field, FieldPath, Record, RecordBuilder, RecordError, RecordSecret, Value};
use tokio::sync::{Mutex, Semaphore};
use tokio::task::spawn_blocking;

use crate::access::Origin;
use crate::access::reads::{Read, ReadFault, Reads};
use crate::config::Config;
use crate::intercept::recorder::now;
use crate::intercept::{AppendFault, NotAdmitted, Session};
use crate::keyring::{KeyringError, RecordKeys, Taken};
use crate::proved::{ProveError, Proved, prove};
use crate::reader::{LogReadError, LogReader};
use crate::receipts::{ReceiptService, ServeError};
use crate::seal::{self, OpenError, SealError, SealedContent};

/// Additions at one time; the next one is refused.
const AT_ONCE: usize = 64;

/// Decisions that are added to at one time without waiting for each other, at most.
const ORDERS: usize = 64;

/// Characters of a request's name.
const REQUEST_ID_MAX: usize = 64;

/// Adds to decisions and reads their history. Clones stand for the same one.
#[derive(Clone)]
pub struct Histories(Arc<Inner>);

struct Inner {
    session: Arc<Session>,
    log: LogReader,
    receipts: ReceiptService,
    keys: Arc<dyn RecordKeys>,
    turns: Arc<Semaphore>,
    /// Additions to one decision come one after the other, so that a repeated request finds the first one's entry: each waits
    /// until the index has what the ones before it appended.
    orders: Vec<Mutex<TreeSize>>,
    wait: Duration,
    /// Writes reads down, where they are entries.
    reads: Option<Reads>,
}

/// What is to be added to a decision.
#[derive(Clone, Debug)]
pub struct Addition {
    /// The decision.
    pub decision: DecisionId,
    /// What it is: a kind for which [`Kind::is_follow_up`] holds.
    pub kind: Kind,
    /// The caller's name for the request.
    pub request: Option<String>,
    /// The fields.
    pub fields: Vec<(FieldPath, Value)>,
    /// Who called, and from where.
    pub caller: Origin,
}

/// An entry that was added.
#[derive(Clone, Debug)]
pub struct Added {
    /// The entry and its proof.
    pub proved: Proved,
    /// Whether an earlier request of the same name added it.
    pub repeated: bool,
}

/// A decision with everything that was added to it.
#[derive(Clone, Debug)]
pub struct History {
    /// The published tree that it was read from.
    pub size: TreeSize,
    /// The decision's own entry and what was added, by leaf index.
    pub entries: Vec<Told>,
}

/// One entry of a history.
#[derive(Clone, Debug)]
pub struct Told {
    /// Where it stands.
    pub index: LeafIndex,
    /// The entry.
    pub entry: Entry,
    /// Its record.
    pub record: Part,
}

/// What became of an entry's record.
#[derive(Clone, Debug)]
pub enum Part {
    /// It is the one that the entry commits to.
    Opened(Record),
    /// The entry has none.
    None,
    /// The key provider does not open it, or it is not there.
    Closed,
    /// Its keys were destroyed; where the log says so, once it does.
    Erased(Option<LeafIndex>),
}

impl Histories {
    /// Adds to the log of `session`, which `log` reads and `receipts` finds decisions in; records are sealed for `keys`. A
    /// checkpoint is waited for as long as `config` says, and with roles in it every read is an entry first.
    #[must_use]
    pub fn new(
        session: Arc<Session>,
        log: LogReader,
        receipts: ReceiptService,
        keys: Arc<dyn RecordKeys>,
        config: &Config,
    ) -> Self {
        let (wait, is_noted) = (config.receipt_wait, config.access.is_some());
        let reads = is_noted.then(|| Reads::new(Arc::clone(&session), Arc::clone(&keys)));
        let turns = Arc::new(Semaphore::new(AT_ONCE));
        let orders = (0..ORDERS).map(|_| Mutex::default()).collect();
        Self(Arc::new(Inner { session, log, receipts, keys, turns, orders, wait, reads }))
    }

    /// Adds an entry and returns once a published checkpoint covers it. Goes on when the caller leaves.
    ///
    /// # Errors
    /// [`HistoryError`] says whether to ask again.
    pub async fn add(&self, addition: Addition) -> Result<Added, HistoryError> {
        let form = Form::of(addition.kind.as_str()).ok_or(HistoryError::Kind)?;
        form.check(&addition.fields)?;
        if !addition.request.as_deref().is_none_or(is_request_id) {
            return Err(HistoryError::RequestId);
        }
        let turn = Arc::clone(&self.0.turns).try_acquire_owned().map_err(|_| HistoryError::Busy)?;
        let inner = Arc::clone(&self.0);
        let adding = tokio::spawn(async move {
            let _turn = turn;
            inner.add(&addition).await
        });
        adding.await.map_err(|_| HistoryError::Defect)?
    }

    /// A decision with everything that was added to it, opened for `who`.
    ///
    /// # Errors
    /// [`HistoryError`] says whether to ask again.
    pub async fn read(&self, decision: DecisionId, who: &Origin) -> Result<History, HistoryError> {
        let places = self.0.receipts.decision(decision, TreeSize::EMPTY).await?;
        if let Some(reads) = &self.0.reads {
            let opened = places.entries.iter().filter(|(_, entry)| entry.commitment.is_some());
            let read = Read::Of(decision, opened.map(|(index, _)| *index).collect());
            reads.note(AccessPurpose::History, read, who).await?;
        }
        let inner = Arc::clone(&self.0);
        let read = move || -> Result<History, HistoryError> {
            let told = places.entries.into_iter().map(|(index, entry)| inner.told(index, entry));
            Ok(History { size: places.size, entries: told.collect::<Result<_, _>>()? })
        };
        spawn_blocking(read).await.map_err(|_| HistoryError::Defect)?
    }
}

impl std::fmt::Debug for Histories {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Histories").field("session", &self.0.session).finish_non_exhaustive()
    }
}

impl Inner {
    async fn add(self: Arc<Self>, addition: &Addition) -> Result<Added, HistoryError> {
        let slot = addition.decision.as_bytes().iter().map(|byte| usize::from(*byte)).sum::<usize>() % ORDERS;
        let mut appended = match self.orders.get(slot) {
            Some(order) => order.lock().await,
            None => return Err(HistoryError::Defect),
        };
        let places = self.receipts.decision(addition.decision, *appended).await?.entries;
        let own = places.iter().find(|(_, entry)| entry.kind == Kind::Decision);
        let of = own.map(|(index, _)| *index).ok_or(ServeError::Unknown)?;
        let added = places.iter().filter(|(_, entry)| entry.kind.is_follow_up()).count();
        let key = self.keys.key_name().to_string();
        let record = record(addition, &key)?;
        if let Some(index) = self.clone().repeated(addition, places, &record).await? {
            let proved = prove(&self.log, index, self.wait).await?;
            return Ok(Added { proved, repeated: true });
        }
        if added >= RECEIPT_LATER_MAX {
            return Err(HistoryError::Full);
        }
        let keys = Arc::clone(&self).keys_of(of).await?;
        let secret = RecordSecret::from_bytes(*seal::random()?);
        let commitment = record.commit(&secret).commitment();
        let content = SealedContent { secret, record, request: None, response: None };
        let sealed =
            seal::seal_under(self.keys.as_ref(), &keys, &addition.decision, addition.kind, &content)?;
        let seen = self.session.see()?;
        let numbered = (self.session.writer().clone(), self.session.id(), seen.sequence());
        let entry = Entry::follow_up(addition.kind, numbered, addition.decision, of, commitment);
        let index = seen.append(entry, Some(sealed.into())).await?;
        keys.done();
        *appended = TreeSize::new(index.get().saturating_add(1));
        tracing::info!(decision = %addition.decision, kind = %addition.kind, leaf_index = index.get(), "added");
        Ok(Added { proved: prove(&self.log, index, self.wait).await?, repeated: false })
    }

    /// The keys that the record of the decision at `of` is under: what is added to it is erased with it.
    async fn keys_of(self: Arc<Self>, of: LeafIndex) -> Result<Taken, HistoryError> {
        let take = move || -> Result<Taken, HistoryError> {
            let sealed = self.log.sealed(of)?.ok_or(ServeError::OtherRecord)?;
            let kept = seal::kept(&sealed).map_err(ServeError::Sealed)?;
            match self.keys.take_again(&kept) {
                Err(KeyringError::Erased { .. }) => Err(HistoryError::Erased),
                taken => Ok(taken.map_err(SealError::Keys)?),
            }
        };
        spawn_blocking(take).await.map_err(|_| HistoryError::Defect)?
    }

    /// Where the entry stands that an earlier request of the same name added, if there is one.
    async fn repeated(
        self: Arc<Self>,
        addition: &Addition,
        places: Vec<(LeafIndex, Entry)>,
        record: &Record,
    ) -> Result<Option<LeafIndex>, HistoryError> {
        let (Some(name), kind) = (addition.request.clone(), addition.kind) else { return Ok(None) };
        let said = said(record);
        let search = move || -> Result<Option<LeafIndex>, HistoryError> {
            for (index, entry) in places.into_iter().filter(|(_, entry)| entry.kind == kind) {
                let Part::Opened(earlier) = self.told(index, entry)?.record else { continue };
                if earlier.value(&DECISION_REQUEST_ID) == Some(&Value::Text(name.clone())) {
                    let same = self::said(&earlier) == said;
                    return if same { Ok(Some(index)) } else { Err(HistoryError::OtherRequest { index }) };
                }
            }
            Ok(None)
        };
        spawn_blocking(search).await.map_err(|_| HistoryError::Defect)?
    }

    /// The entry at `index` with its record.
    fn told(&self, index: LeafIndex, entry: Entry) -> Result<Told, HistoryError> {
        let record = match self.log.opened(self.keys.as_ref(), index, &entry)? {
            None if entry.commitment.is_none() => Part::None,
            None => Part::Closed,
            Some(Ok(content)) if content.committed(&entry).is_some() => Part::Opened(content.record),
            Some(Ok(_)) => return Err(HistoryError::OtherRecord { index }),
            Some(Err(OpenError::Keys(KeyringError::Erased { leaf }))) => Part::Erased(leaf),
            Some(Err(error)) => {
                tracing::debug!(%index, %error, "a record does not open");
                Part::Closed
            }
        };
        Ok(Told { index, entry, record })
    }
}

/// What the caller said, without when it came and from where.
fn said(record: &Record) -> Vec<Field> {
    let own = [
        &DECISION_ID,
        &DECISION_SCHEMA,
        &DECISION_REQUEST_ID,
        &TIME_RECEIVED,
        &CALLER_ADDRESS,
        &CALLER_PRINCIPAL,
        &CALLER_WORKLOAD,
        &PRIVACY_KEY,
    ];
    record.fields().iter().filter(|field| !own.contains(&&field.path)).cloned().collect()
}

fn record(addition: &Addition, key: &str) -> Result<Record, RecordError> {
    let mut record = RecordBuilder::new();
    record.add(DECISION_ID, addition.decision.to_string().into())?;
    record.add(DECISION_SCHEMA, schema::VERSION.into())?;
    record.add(TIME_RECEIVED, now().get().into())?;
    record.add(PRIVACY_KEY, key.into())?;
    if let Some(request) = &addition.request {
        record.add(DECISION_REQUEST_ID, request.as_str().into())?;
    }
    for (path, value) in addition.caller.fields() {
        record.add(path, value.into())?;
    }
    for (path, value) in &addition.fields {
        record.add(path.clone(), value.clone())?;
    }
    record.build()
}

fn is_request_id(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=REQUEST_ID_MAX).contains(&text.len()) && text.bytes().all(allowed)
}

/// Why nothing was added, or there is no history.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HistoryError {
    /// The kind adds nothing to a decision.
    #[error("the kind is none of outcome, explanation, review, notice, contest and correction")]
    Kind,
    /// The fields are not those of the kind.
    #[error(transparent)]
    Form(#[from] FormError),
    /// The fields do not make a record.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The request's name breaks its rule.
    #[error("a request_id has 1 to 64 characters of A-Z, a-z, 0-9, '.', '_' and '-'")]
    RequestId,
    /// An earlier request of the same name said something else.
    #[error("leaf index {index} was added under this request_id and says something else: use a new one")]
    OtherRequest {
        /// Where the earlier one stands.
        index: LeafIndex,
    },
    /// The decision has as many as a receipt can show.
    #[error("{RECEIPT_LATER_MAX} entries were added to the decision already; it takes no more")]
    Full,
    /// Its keys were destroyed.
    #[error("the decision was erased; nothing can be added to it")]
    Erased,
    /// Too many at one time.
    #[error("too many additions at one time; try again")]
    Busy,
    /// The decision cannot be found.
    #[error(transparent)]
    Decision(#[from] ServeError),
    /// The record cannot be sealed.
    #[error("the record cannot be sealed: {0}")]
    Seal(#[from] SealError),
    /// The session takes nothing.
    #[error(transparent)]
    NotAdmitted(#[from] NotAdmitted),
    /// The log did not take it.
    #[error("the entry is not in the log: {0}")]
    Log(#[from] AppendFault),
    /// The read is not in the log.
    #[error(transparent)]
    Access(#[from] ReadFault),
    /// The log cannot be read.
    #[error(transparent)]
    Read(#[from] LogReadError),
    /// It is in the log, and its proof is not to be had.
    #[error("the entry was added, but: {0}")]
    Proof(#[from] ProveError),
    /// A sealed record is not the one that its entry commits to.
    #[error("the record of entry {index} is not the one that the entry commits to: keep both as evidence")]
    OtherRecord {
        /// Where the entry stands.
        index: LeafIndex,
    },
    /// A part of the sidecar panicked.
    #[error("this failed because of a defect; report it")]
    Defect,
}

impl HistoryError {
    /// What the reader must do about it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Kind | Self::RequestId | Self::OtherRequest { .. } | Self::Erased => Code::Misuse,
            Self::Form(error) => error.code(),
            Self::Record(error) => error.code(),
            Self::Busy | Self::Full => Code::Limit,
            Self::Decision(error) => error.code(),
            Self::Seal(error) => error.code(),
            Self::NotAdmitted(_) | Self::Log(_) => Code::Unavailable,
            Self::Access(error) => error.code(),
            Self::Read(error) => error.code(),
            Self::Proof(error) => error.code(),
            Self::OtherRecord { .. } => Code::Inconsistent,
            Self::Defect => Code::Internal,
        }
    }
}
