//! Erasing: the keys of a person or of one decision are destroyed, and the log says so.
//!
//! Guarantees: holds and retention rules are asked first, and a refusal is itself an entry; once an erasure is answered its
//! keys are in no file, no write-ahead log, no managed backup and no memory of the sidecar, and the log names them; an erasure
//! that a crash interrupted is finished at the next start. What is recorded about the person meanwhile gets new keys and stays. No
//! personal value reaches an entry or a log line (INV-8). One erasure at a time.
//! Does not do: asking who asks. There are no roles yet, so it is served on an address of its own.
//!
//! Order: *no new use of the keys -> wait for what is under way -> ask holds and rules -> one change that deletes the keys and
//! notes what the log must say -> wipe -> purge backups -> entries*. A crash after the change finds the note.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use ledgerstone::entry::{
    DecisionId, Entry, ErasureDetails, ErasureId, ErasureOutcome, ErasureScope, Ground, HoldId, Kind,
    KindDetails, RegisteredName, SessionId, WriterName,
};
use ledgerstone::limits::ERASURE_KEYS_MAX;
use ledgerstone::merkle::{LeafIndex, TreeSize};
use ledgerstone::record::SubjectKeyId;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout, timeout_at};

use crate::index::Index;
use crate::intercept::Session;
use crate::intercept::recorder::now;
use crate::keyring::{Keyring, RingError, StoredKey, month};
use crate::reader::LogReader;
use crate::receipts::ReceiptService;
use crate::retention::Matrix;
use crate::status::Status;

mod error;
mod holds;
mod plan;
mod refusal;

pub use self::error::EraseError;
use self::plan::Plan;

/// How long decisions that are under way, and the keyring's follower, are waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often entries that could not be appended are tried again.
const RETRY: Duration = Duration::from_secs(5);

/// Characters of the reference of a person: what a field holds.
pub const SUBJECT_BYTES_MAX: usize = ledgerstone::limits::FIELD_VALUE_BYTES_MAX;

/// Erases, holds and releases. Clones stand for the same one.
#[derive(Clone)]
pub struct Erasures(Arc<Inner>);

/// What an erasure works with.
pub(crate) struct Parts {
    pub(crate) session: Arc<Session>,
    pub(crate) log: LogReader,
    pub(crate) receipts: ReceiptService,
    pub(crate) index: Arc<Index>,
    pub(crate) ring: Arc<Keyring>,
    pub(crate) status: Arc<Status>,
    pub(crate) matrix: Matrix,
}

struct Inner {
    parts: Parts,
    /// One erasure, hold or release at a time.
    turn: Mutex<Appended>,
}

/// A note and the entry that it asks for.
type Noted = ((ErasureId, u64), Entry);

/// Notes whose entries are in the log and that the follower has not deleted yet.
type Appended = HashSet<(ErasureId, u64)>;

/// Whom or what it is about. Debug prints no reference.
#[derive(Clone)]
pub enum Target {
    /// Everything about one person, by the reference that records have.
    Subject(String),
    /// One decision and what was added to it.
    Record(DecisionId),
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Subject(subject) => write!(f, "Subject({} bytes)", subject.len()),
            Self::Record(decision) => write!(f, "Record({decision})"),
        }
    }
}

/// How an erasure ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erased {
    /// Which erasure.
    pub id: ErasureId,
    /// Whether anything was erased.
    pub outcome: ErasureOutcome,
    /// Keys that were destroyed.
    pub keys: u64,
    /// Records that nobody opens any more; of a refusal, those that stay.
    pub records: u64,
    /// Where the log says so.
    pub entries: Vec<LeafIndex>,
}

impl Erasures {
    pub(crate) fn new(parts: Parts) -> Self {
        Self(Arc::new(Inner { parts, turn: Mutex::default() }))
    }

    /// Erases, or says in the log why not. Goes on when the caller leaves.
    ///
    /// # Errors
    /// [`EraseError`] says whether to ask again.
    pub async fn erase(
        &self,
        target: Target,
        ground: Ground,
        operator: RegisteredName,
    ) -> Result<Erased, EraseError> {
        if let Target::Subject(subject) = &target
            && !(1..=SUBJECT_BYTES_MAX).contains(&subject.len())
        {
            return Err(EraseError::Subject);
        }
        let inner = Arc::clone(&self.0);
        let erasing = tokio::spawn(async move { inner.erase(target, ground, operator).await });
        erasing.await.map_err(|_| EraseError::Defect)?
    }

    /// Forbids to erase until the hold is released.
    ///
    /// # Errors
    /// [`EraseError`] says whether to ask again.
    pub async fn hold(
        &self,
        target: Target,
        operator: RegisteredName,
    ) -> Result<(HoldId, LeafIndex), EraseError> {
        let inner = Arc::clone(&self.0);
        let holding = tokio::spawn(async move { inner.hold(target, operator).await });
        holding.await.map_err(|_| EraseError::Defect)?
    }

    /// Ends a hold.
    ///
    /// # Errors
    /// [`EraseError::NoHold`] if there is none of that id.
    pub async fn release(&self, hold: HoldId, operator: RegisteredName) -> Result<LeafIndex, EraseError> {
        let inner = Arc::clone(&self.0);
        let releasing = tokio::spawn(async move { inner.release(hold, operator).await });
        releasing.await.map_err(|_| EraseError::Defect)?
    }

    /// Destroys keys whose records' time is over; those that are held or must be kept are left out by the caller.
    pub(crate) async fn expire(
        &self,
        keys: Vec<SubjectKeyId>,
        operator: RegisteredName,
    ) -> Result<Option<Erased>, EraseError> {
        let inner = Arc::clone(&self.0);
        let expiring = tokio::spawn(async move { inner.expire(keys, operator).await });
        expiring.await.map_err(|_| EraseError::Defect)?
    }

    /// The keyring that it works on.
    #[must_use]
    pub fn ring(&self) -> &Arc<Keyring> {
        &self.0.parts.ring
    }

    /// How long records are kept.
    #[must_use]
    pub fn matrix(&self) -> &Matrix {
        &self.0.parts.matrix
    }

    /// Appends the entries that an erasure before a crash, or one whose entry the log refused, has left open.
    ///
    /// # Errors
    /// [`EraseError`] says whether to ask again.
    pub async fn finish(&self) -> Result<Vec<LeafIndex>, EraseError> {
        let mut turn = self.0.turn.lock().await;
        self.0.finish(&mut turn).await.map(|(entries, _)| entries)
    }

    /// Keeps finishing until the sidecar ends.
    pub async fn run(self) {
        loop {
            match self.finish().await {
                Ok(entries) if entries.is_empty() => {}
                Ok(entries) => tracing::info!(entries = entries.len(), "an interrupted erasure was finished"),
                Err(error) => tracing::error!(%error, code = %error.code(), "an erasure is not finished"),
            }
            tokio::time::sleep(RETRY).await;
        }
    }
}

impl std::fmt::Debug for Erasures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Erasures").field("ring", &self.0.parts.ring).finish_non_exhaustive()
    }
}

/// Lets keys be used again whichever way an erasure ends; those that were destroyed are not there to be used.
struct Closed<'a> {
    ring: &'a Keyring,
    tag: Option<[u8; 32]>,
    keys: Vec<SubjectKeyId>,
}

impl Closed<'_> {
    fn close(&mut self, keys: impl IntoIterator<Item = SubjectKeyId>) {
        self.keys.extend(keys);
        self.ring.hot().close(&self.keys);
    }
}

impl Drop for Closed<'_> {
    fn drop(&mut self) {
        self.ring.hot().reopen(self.tag.as_ref(), &self.keys);
    }
}

impl Inner {
    async fn erase(
        self: Arc<Self>,
        target: Target,
        ground: Ground,
        operator: RegisteredName,
    ) -> Result<Erased, EraseError> {
        let mut turn = self.turn.lock().await;
        match target {
            Target::Subject(subject) => self.erase_subject(&mut turn, &subject, ground, operator).await,
            Target::Record(decision) => self.erase_record(&mut turn, decision, ground, operator).await,
        }
    }

    async fn erase_subject(
        self: &Arc<Self>,
        turn: &mut Appended,
        subject: &str,
        ground: Ground,
        operator: RegisteredName,
    ) -> Result<Erased, EraseError> {
        let ring = &self.parts.ring;
        let tag = ring.hot().tag(subject);
        ring.hot().cut(tag);
        let mut closed = Closed { ring, tag: Some(tag), keys: Vec::new() };
        self.settled().await?;
        let of_the_person = |inner: Arc<Self>| {
            spawn_blocking(move || -> Result<Vec<StoredKey>, EraseError> {
                let mut keys = inner.parts.ring.database().keys_of(&tag)?;
                let since = inner.parts.ring.hot().since(&tag);
                keys.retain(|key| !since.contains(&key.id));
                Ok(keys)
            })
        };
        let keys = of_the_person(Arc::clone(self)).await.map_err(|_| EraseError::Defect)??;
        closed.close(keys.iter().map(|key| key.id));
        // What is added to their decisions uses the same keys: nothing more now, and what is under way is waited for.
        self.settled().await?;
        let keys = of_the_person(Arc::clone(self)).await.map_err(|_| EraseError::Defect)??;
        if keys.is_empty() {
            return Err(EraseError::Nobody);
        }
        let plan = Plan::of_keys(ErasureScope::Subject, keys);
        self.carry_out(turn, plan, ground, operator).await
    }

    async fn erase_record(
        self: &Arc<Self>,
        turn: &mut Appended,
        decision: DecisionId,
        ground: Ground,
        operator: RegisteredName,
    ) -> Result<Erased, EraseError> {
        let mut closed = Closed { ring: &self.parts.ring, tag: None, keys: Vec::new() };
        // Twice: what is added while the first look is taken is seen by the second, when nothing more can be added.
        let own = self.own(decision).await?;
        closed.close(own.keys.iter().map(|key| key.id));
        self.settled().await?;
        let own = self.own(decision).await?;
        let inner = Arc::clone(self);
        let plan = spawn_blocking(move || plan::of_record(&inner.parts, own));
        let plan = plan.await.map_err(|_| EraseError::Defect)??;
        self.carry_out(turn, plan, ground, operator).await
    }

    async fn own(self: &Arc<Self>, decision: DecisionId) -> Result<plan::Own, EraseError> {
        let size = self.parts.status.committed();
        let places = self.parts.receipts.decision(decision, size).await?;
        let inner = Arc::clone(self);
        let read = spawn_blocking(move || plan::own(&inner.parts, decision, &places.entries));
        read.await.map_err(|_| EraseError::Defect)?
    }

    async fn expire(
        self: Arc<Self>,
        ids: Vec<SubjectKeyId>,
        operator: RegisteredName,
    ) -> Result<Option<Erased>, EraseError> {
        let mut turn = self.turn.lock().await;
        let mut closed = Closed { ring: &self.parts.ring, tag: None, keys: Vec::new() };
        closed.close(ids.iter().copied());
        self.settled().await?;
        let inner = Arc::clone(&self);
        let read = spawn_blocking(move || -> Result<Vec<StoredKey>, EraseError> {
            let database = inner.parts.ring.database();
            let found = ids.iter().map(|id| Ok(database.key(id)?)).collect::<Result<Vec<_>, EraseError>>()?;
            drop(database);
            let found: Vec<StoredKey> = found.into_iter().flatten().collect();
            refusal::free(&inner.parts, found)
        });
        let keys = read.await.map_err(|_| EraseError::Defect)??;
        if keys.is_empty() {
            return Ok(None);
        }
        let plan = Plan::of_keys(ErasureScope::Expired, keys);
        self.carry_out(&mut turn, plan, Ground::RetentionExpired, operator).await.map(Some)
    }

    /// Returns once everything that was begun with keys taken before this call is in the log, and the keyring and the index
    /// know it.
    async fn settled(&self) -> Result<(), EraseError> {
        let drained = timeout(PATIENCE, self.parts.ring.hot().drained());
        drained.await.map_err(|_| EraseError::UnderWay)?;
        self.followed(self.parts.status.committed()).await
    }

    /// Returns once the keyring and the index know the first `size` entries.
    async fn followed(&self, size: TreeSize) -> Result<(), EraseError> {
        let until = Instant::now() + PATIENCE;
        for mut covered in [self.parts.ring.covered(), self.parts.index.covered()] {
            let reached = timeout_at(until, covered.wait_for(|covered| *covered >= size));
            if !matches!(reached.await, Ok(Ok(_))) {
                return Err(EraseError::Behind);
            }
        }
        Ok(())
    }

    /// Asks whether it may be; destroys, and has the log say so, or why not.
    async fn carry_out(
        self: &Arc<Self>,
        turn: &mut Appended,
        plan: Plan,
        ground: Ground,
        operator: RegisteredName,
    ) -> Result<Erased, EraseError> {
        let id = ErasureId::from_bytes(*crate::seal::random().map_err(|_| EraseError::NoRandomness)?);
        let inner = Arc::clone(self);
        let done = spawn_blocking(move || -> Result<(ErasureOutcome, u64, u64), EraseError> {
            let month = month(now());
            let outcome = refusal::of(&inner.parts, &plan, month)?;
            let (keys, records) = (plan.keys.len() as u64, plan.records);
            let notes = notes(id, &plan, ground, &operator, outcome)?;
            plan.execute(&inner.parts.ring, ground, outcome, &notes)?;
            Ok((outcome, if outcome == ErasureOutcome::Erased { keys } else { 0 }, records))
        });
        let (outcome, keys, records) = done.await.map_err(|_| EraseError::Defect)??;
        let (entries, followed) = self.finish(turn).await?;
        tracing::info!(erasure = %id, keys, records, outcome = outcome.as_str(), "erasure");
        self.parts.ring.recount();
        if outcome == ErasureOutcome::Erased {
            self.parts.ring.erased(now().get());
        }
        followed?;
        Ok(Erased { id, outcome, keys, records, entries })
    }

    /// Wipes, purges, and appends an entry for every note that has none. The second result says whether the keyring saw them.
    async fn finish(
        self: &Arc<Self>,
        turn: &mut Appended,
    ) -> Result<(Vec<LeafIndex>, Result<(), EraseError>), EraseError> {
        let inner = Arc::clone(self);
        let open = spawn_blocking(move || inner.open_notes());
        let mut open = open.await.map_err(|_| EraseError::Defect)??;
        turn.retain(|note| open.iter().any(|(known, _)| known == note));
        open.retain(|(note, _)| !turn.contains(note));
        let mut entries = Vec::with_capacity(open.len());
        for (note, entry) in open {
            entries.push(self.append(entry).await?);
            turn.insert(note);
        }
        let followed = match entries.last() {
            Some(last) => self.followed(TreeSize::new(last.get().saturating_add(1))).await,
            None => Ok(()),
        };
        Ok((entries, followed))
    }

    /// What the log must still say. Before it says that keys are destroyed they are: everywhere.
    fn open_notes(&self) -> Result<Vec<Noted>, EraseError> {
        let ring = &self.parts.ring;
        let notes = ring.database().notes()?;
        if !notes.is_empty() {
            ring.database().wipe()?;
            ring.purge()?;
        }
        let entry = |bytes: &Vec<u8>| {
            let entry =
                Entry::decode(bytes).map_err(|_| RingError::Damaged { what: "a note is no entry" })?;
            match entry.kind_details() {
                Ok(KindDetails::Erasure(details)) => Ok(((details.id, details.part), entry)),
                _ => Err(EraseError::from(RingError::Damaged { what: "a note is of another kind" })),
            }
        };
        notes.iter().map(entry).collect()
    }

    /// Appends an entry with a number of the session.
    async fn append(&self, entry: Entry) -> Result<LeafIndex, EraseError> {
        let session = Arc::clone(&self.parts.session);
        let seen = session.see()?;
        let entry = Entry {
            writer: session.writer().clone(),
            session: session.id(),
            sequence: seen.sequence(),
            ..entry
        };
        Ok(seen.append(entry, None).await?)
    }
}

/// An entry about keys whose number is given when it is appended.
fn template(
    kind: Kind,
    of: Option<(DecisionId, LeafIndex)>,
    details: ledgerstone::entry::Details,
) -> Result<Entry, EraseError> {
    let writer = WriterName::parse("unnumbered").map_err(|_| EraseError::Defect)?;
    Ok(Entry::about_keys(kind, (writer, SessionId::from_bytes([0; 16]), 0), of, details))
}

/// What the log must say of an erasure: an entry for each [`ERASURE_KEYS_MAX`] keys.
fn notes(
    id: ErasureId,
    plan: &Plan,
    ground: Ground,
    operator: &RegisteredName,
    outcome: ErasureOutcome,
) -> Result<Vec<Vec<u8>>, EraseError> {
    let is_erased = outcome == ErasureOutcome::Erased;
    let keys: Vec<SubjectKeyId> = plan.keys.iter().filter(|_| is_erased).map(|key| key.id).collect();
    let chunks: Vec<&[SubjectKeyId]> =
        if is_erased { keys.chunks(ERASURE_KEYS_MAX).collect() } else { vec![[].as_slice()] };
    let parts = chunks.len() as u64;
    let note = |(part, keys): (u64, &[SubjectKeyId])| {
        let details = ErasureDetails {
            id,
            scope: plan.scope,
            ground,
            operator: operator.clone(),
            outcome,
            records: plan.records,
            part,
            parts,
            keys: keys.to_vec(),
            successor: plan.successor().filter(|_| is_erased),
        };
        template(Kind::Erasure, plan.of, details.into())?.encode().map_err(|_| EraseError::Defect)
    };
    (0..).zip(chunks).map(note).collect()
}
