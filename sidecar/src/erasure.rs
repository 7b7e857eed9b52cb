//! Erasing: the keys of a person or of one decision are destroyed, and the log says so.
//!
//! Guarantees: holds and retention rules are asked first, and a refusal is itself an entry; once an erasure is answered its
//! keys are in no file, no write-ahead log, no managed backup and no memory of the sidecar, and the log names them; an erasure
//! that a crash interrupted is finished at the next start. What is recorded about the person meanwhile gets new keys and stays. No
//! personal value reaches an entry or a log line (INV-8). One erasure at a time.
//! Does not do: asking who asks ([`crate::access`] does, where roles are configured); waiting for whoever reads: a
//! read that has its keys when they are destroyed ends as it began, and wipes them then.
//!
//! Order: *no new use of the keys -> wait for what is under way -> ask holds and rules -> one change that deletes the keys and
//! notes what the log must say -> wipe -> purge backups -> entries*. A crash after the change finds the note.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use ledgerstone::entry::{
    DecisionId, Entry, ErasureId, ErasureOutcome, ErasureScope, Ground, HoldId, RegisteredName,
};
use ledgerstone::merkle::{LeafIndex, TreeSize};
use ledgerstone::record::SubjectKeyId;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout, timeout_at};

use crate::index::Index;
use crate::intercept::Session;
use crate::intercept::recorder::now;
use crate::keyring::{Keyring, month};
use crate::reader::LogReader;
use crate::receipts::ReceiptService;
use crate::retention::Matrix;
use crate::status::Status;

mod error;
mod holds;
mod notes;
mod plan;
mod refusal;
mod under;

pub use self::error::EraseError;
use self::plan::Plan;
use self::refusal::Held;

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
    /// One more than the generation of the lookup index that was found to lack something; 0 while none was.
    pub(crate) doubted: AtomicU64,
}

struct Inner {
    parts: Parts,
    /// One erasure, hold or release at a time.
    turn: Mutex<Appended>,
}

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

impl Target {
    /// Refuses a reference that no record can have.
    fn check(&self) -> Result<(), EraseError> {
        match self {
            Self::Subject(subject) if !(1..=SUBJECT_BYTES_MAX).contains(&subject.len()) => {
                Err(EraseError::Subject)
            }
            _ => Ok(()),
        }
    }
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
    /// Records that nobody opens any more; of a refusal, those that stay. At most: a record about several persons counts under the
    /// key of each, and one that was closed with another of them counts again.
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
        target.check()?;
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
        target.check()?;
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

    /// Destroys keys whose records' time is over. Those that are held are left out.
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

    pub(crate) fn session(&self) -> &Arc<Session> {
        &self.0.parts.session
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
        let (entries, _) = self.0.finish(&mut turn).await?;
        Ok(entries.into_iter().map(|(_, index)| index).collect())
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
        let of_the_person = || {
            self.blocking(move |parts| {
                let mut keys = parts.ring.database().keys_of(&tag)?;
                let since = parts.ring.hot().since(&tag);
                keys.retain(|key| !since.contains(&key.id));
                Ok(keys)
            })
        };
        let keys = of_the_person().await?;
        closed.close(keys.iter().map(|key| key.id));
        // What is added to their decisions uses the same keys: nothing more now, and what is under way is waited for.
        let settled = self.settled().await?;
        let keys = of_the_person().await?;
        if keys.is_empty() {
            return Err(EraseError::Nobody);
        }
        let plan = Plan::of_keys(ErasureScope::Subject, keys);
        self.carry_out(turn, plan, None, settled, (ground, operator)).await
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
        let settled = self.settled().await?;
        let own = self.own(decision).await?;
        let plan = self.blocking(move |parts| plan::of_record(parts, own, settled)).await?;
        self.carry_out(turn, plan, None, settled, (ground, operator)).await
    }

    async fn own(self: &Arc<Self>, decision: DecisionId) -> Result<plan::Own, EraseError> {
        let size = self.parts.status.committed();
        let places = self.parts.receipts.decision(decision, size).await?;
        self.blocking(move |parts| plan::own(parts, decision, &places.entries)).await
    }

    async fn expire(
        self: Arc<Self>,
        ids: Vec<SubjectKeyId>,
        operator: RegisteredName,
    ) -> Result<Option<Erased>, EraseError> {
        let mut turn = self.turn.lock().await;
        let held = Arc::new(self.blocking(Held::read).await?);
        let free = |ids: Vec<SubjectKeyId>, settled| {
            let held = Arc::clone(&held);
            self.blocking(move |parts| refusal::free(parts, &held, parts.ring.stored(&ids)?, settled))
        };
        // A first look, so that what is held is added to meanwhile.
        let ids: Vec<SubjectKeyId> = free(ids, None).await?.iter().map(|key| key.id).collect();
        if ids.is_empty() {
            return Ok(None);
        }
        let mut closed = Closed { ring: &self.parts.ring, tag: None, keys: Vec::new() };
        closed.close(ids.iter().copied());
        let settled = self.settled().await?;
        let keys = free(ids, Some(settled)).await?;
        if keys.is_empty() {
            return Ok(None);
        }
        let plan = Plan::of_keys(ErasureScope::Expired, keys);
        let asked = (Ground::RetentionExpired, operator);
        self.carry_out(&mut turn, plan, Some(held), settled, asked).await.map(Some)
    }

    /// Runs what waits for the disk or a key provider where it may.
    async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Parts) -> Result<T, EraseError> + Send + 'static,
    ) -> Result<T, EraseError> {
        let inner = Arc::clone(self);
        spawn_blocking(move || work(&inner.parts)).await.map_err(|_| EraseError::Defect)?
    }

    /// Returns once everything that was begun with keys taken before this call is in the log, and the keyring and the index
    /// know it: so many entries.
    async fn settled(&self) -> Result<TreeSize, EraseError> {
        let drained = timeout(PATIENCE, self.parts.ring.hot().drained());
        drained.await.map_err(|_| EraseError::UnderWay)?;
        let size = self.parts.status.committed();
        self.followed(size).await?;
        Ok(size)
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
        held: Option<Arc<Held>>,
        settled: TreeSize,
        (ground, operator): (Ground, RegisteredName),
    ) -> Result<Erased, EraseError> {
        let id = ErasureId::from_bytes(*crate::seal::random().map_err(|_| EraseError::NoRandomness)?);
        let done = self.blocking(move |parts| {
            let held = held.map_or_else(|| Held::read(parts).map(Arc::new), Ok)?;
            let outcome = refusal::of(parts, &held, &plan, month(now()), settled)?;
            let (keys, records) = (plan.keys.len() as u64, plan.records);
            let notes = notes::make(id, &plan, ground, &operator, outcome)?;
            plan.execute(&parts.ring, ground, outcome, &notes)?;
            Ok((outcome, if outcome == ErasureOutcome::Erased { keys } else { 0 }, records))
        });
        let (outcome, keys, records) = done.await?;
        let (entries, followed) = self.finish(turn).await?;
        // The notes of an earlier erasure may have been open too.
        let entries = entries.into_iter().filter(|(of, _)| *of == id).map(|(_, index)| index).collect();
        tracing::info!(erasure = %id, keys, records, outcome = outcome.as_str(), "erasure");
        self.blocking(|parts| {
            parts.ring.count();
            Ok(())
        })
        .await?;
        if outcome == ErasureOutcome::Erased {
            self.parts.ring.erased(now().get());
        }
        followed?;
        Ok(Erased { id, outcome, keys, records, entries })
    }

    /// Wipes, purges, and appends an entry for every note that has none. Says where they stand and of which erasures they are,
    /// and whether the keyring saw them.
    async fn finish(
        self: &Arc<Self>,
        turn: &mut Appended,
    ) -> Result<(Vec<(ErasureId, LeafIndex)>, Result<(), EraseError>), EraseError> {
        let mut open = self.blocking(notes::open).await?;
        turn.retain(|name| open.iter().any(|note| note.name() == *name));
        open.retain(|note| !turn.contains(&note.name()));
        let mut entries = Vec::with_capacity(open.len());
        for note in open {
            let name = note.name();
            entries.push((name.0, self.append(note.entry).await?));
            turn.insert(name);
        }
        let followed = match entries.last() {
            Some((_, last)) => self.followed(TreeSize::new(last.get().saturating_add(1))).await,
            None => Ok(()),
        };
        Ok((entries, followed))
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
