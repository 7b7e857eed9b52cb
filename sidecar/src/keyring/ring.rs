//! The keyring: subject keys, wrapped by a key provider, on a disk; a few of them in memory.
//!
//! Guarantees: recording a decision asks neither the disk nor the key provider: its keys come from a pool of durable keys that
//! are nobody's yet. Whose a key became is written behind the answer, by the follower, from what the log says; so a crash
//! neither gives one key to two persons nor loses one that a durable record needs. A destroyed key is nowhere: not in the
//! file, not in its write-ahead log, not in memory.
//! Does not do: deciding what may be destroyed (`crate::erasure`).

use std::fmt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ledgerstone::hash::{Hash, HmacKey};
use ledgerstone::merkle::{LeafIndex, TreeSize};
use ledgerstone::record::SubjectKeyId;
use rusqlite::OptionalExtension as _;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use zeroize::Zeroizing;

use super::backup::Copying;
use super::counts::Counts;
use super::database::{Database, StoredKey};
use super::error::RingError;
use super::hot::Hot;
use super::subject::{self, About, KeptKey, RecordKeys, SubjectKey, Taken, Under};
use super::{KEY_BYTES, KeyId, KeyProvider, KeyringError, RecordKey, WrappedKey};

/// Keys that are made in one go.
const CHUNK: usize = 256;

/// Keys in the pool before anything is served; the rest is made beside the first decisions, and a large batch waits for it.
const AT_START: usize = 256;

/// How long to wait after the pool could not be refilled.
const RETRY: Duration = Duration::from_secs(1);

/// The folder of the keyring in the store.
const FOLDER: &str = "keyring";

/// Its file.
pub(super) const FILE: &str = "keyring.db";

/// The keyring of one log.
pub struct Keyring {
    provider: Arc<dyn KeyProvider>,
    hot: Hot,
    database: Mutex<Database>,
    /// Held while a managed copy is written, or all are deleted. Taken before the one above.
    copies: Mutex<Copying>,
    folder: PathBuf,
    origin: Hash,
    /// Keys that the pool is filled up to.
    pool: usize,
    /// Keys up to this number were read into the pool, or made for it.
    pooled_up_to: Mutex<i64>,
    /// When keys may be counted again, and whether they have to be.
    next_count: Mutex<(Instant, bool)>,
    covered: watch::Sender<TreeSize>,
    counts: watch::Sender<Counts>,
    /// Erasures since the start.
    erasures: AtomicU64,
    /// When the last one was, in milliseconds since 1970.
    last_erasure: AtomicU64,
}

/// Where the keyring of the log in `store` lies.
#[must_use]
pub fn folder(store: &Path) -> PathBuf {
    store.join(FOLDER)
}

/// The file of the keyring of the log in `store`.
#[must_use]
pub fn file(store: &Path) -> PathBuf {
    folder(store).join(FILE)
}

/// What opens the records of the log `origin` in `store`, beside a sidecar that may be running: its keyring, or where it has
/// none yet the provider alone. Blocks.
///
/// # Errors
/// [`RingError`] says what to do.
pub fn to_read(
    store: &Path,
    origin: Hash,
    provider: Arc<dyn KeyProvider>,
) -> Result<Box<dyn RecordKeys>, RingError> {
    if file(store).exists() {
        return Ok(Box::new(Keyring::open_to_read(store, origin, provider)?));
    }
    Ok(Box::new(provider))
}

impl Keyring {
    /// Opens the keyring of the log `origin` in `store`, or makes it, for a pool of `pool` keys. Blocks.
    ///
    /// # Errors
    /// [`RingError`] says what to do.
    pub fn open(
        store: &Path,
        origin: Hash,
        provider: Arc<dyn KeyProvider>,
        pool: usize,
    ) -> Result<Self, RingError> {
        let folder = folder(store);
        let unusable = |source| RingError::File { path: folder.clone(), source };
        if !folder.exists() {
            std::fs::create_dir_all(&folder).map_err(unusable)?;
            std::fs::File::open(store).and_then(|store| store.sync_all()).map_err(unusable)?;
        }
        let (mut database, is_new) = Database::open(&file(store), origin)?;
        // Also where the first start came no further, because the provider did not answer.
        if is_new || (database.meta("tags")?.is_none() && database.has_no_keys()?) {
            create_secret(&mut database, provider.as_ref())?;
        }
        database.wipe()?;
        Self::over(database, origin, provider, pool, folder)
    }

    /// Puts the first keys into the pool. Only once the keyring knows the whole log: a key of the file that seems to be nobody's
    /// may be the one of a record that it does not know yet. Blocks.
    ///
    /// # Errors
    /// [`RingError`] says what to do.
    pub fn begin(&self) -> Result<(), RingError> {
        self.fill(AT_START.min(self.pool))
    }

    /// Opens it to read records with, beside a sidecar that may be running. Blocks.
    ///
    /// # Errors
    /// [`RingError`] says what to do.
    pub fn open_to_read(
        store: &Path,
        origin: Hash,
        provider: Arc<dyn KeyProvider>,
    ) -> Result<Self, RingError> {
        let database = Database::open_to_read(&file(store), origin)?;
        Self::over(database, origin, provider, 0, folder(store))
    }

    pub(crate) fn over(
        database: Database,
        origin: Hash,
        provider: Arc<dyn KeyProvider>,
        pool: usize,
        folder: PathBuf,
    ) -> Result<Self, RingError> {
        let tags = load_secret(&database, provider.as_ref())?;
        let covered = watch::Sender::new(database.watermark()?);
        let counts = watch::Sender::new(database.counts()?);
        Ok(Self {
            provider,
            hot: Hot::new(tags, pool / 2),
            database: Mutex::new(database),
            copies: Mutex::new(Copying::Allowed),
            folder,
            origin,
            pool,
            pooled_up_to: Mutex::new(0),
            next_count: Mutex::new((Instant::now(), false)),
            covered,
            counts,
            erasures: AtomicU64::new(0),
            last_erasure: AtomicU64::new(0),
        })
    }

    /// How much of the log the keyring knows, and every change of it.
    #[must_use]
    pub fn covered(&self) -> watch::Receiver<TreeSize> {
        self.covered.subscribe()
    }

    /// How many keys there are, as of the last change.
    #[must_use]
    pub fn counts(&self) -> Counts {
        *self.counts.borrow()
    }

    /// Keys in memory that are nobody's.
    #[must_use]
    pub fn pooled(&self) -> usize {
        self.hot.pooled()
    }

    /// Erasures since the start.
    #[must_use]
    pub fn erasures(&self) -> u64 {
        self.erasures.load(Ordering::Relaxed)
    }

    /// When the last one was, in milliseconds since 1970; 0 if there was none.
    #[must_use]
    pub fn last_erasure(&self) -> u64 {
        self.last_erasure.load(Ordering::Relaxed)
    }

    /// Something was erased at `at`.
    pub(crate) fn erased(&self, at: u64) {
        self.erasures.fetch_add(1, Ordering::Relaxed);
        self.last_erasure.store(at, Ordering::Relaxed);
    }

    /// Lets go of the file, which then needs nothing beside it. Whoever still has the keyring gets errors: a task that was
    /// aborted may be in the middle of a call that blocks. A copy that is being written is waited for, and none is begun: whoever has the
    /// file next may erase, and a copy that appears after that would hold keys that were destroyed. Blocks.
    ///
    /// # Errors
    /// [`RingError`] if the write-ahead log could not be emptied; then it belongs to the file.
    pub fn close(&self) -> Result<(), RingError> {
        *self.copies() = Copying::Over;
        self.database().close()
    }

    /// Where the keyring lies.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Of which log it is.
    #[must_use]
    pub const fn origin(&self) -> Hash {
        self.origin
    }

    pub(crate) fn provider(&self) -> &dyn KeyProvider {
        self.provider.as_ref()
    }

    pub(crate) const fn hot(&self) -> &Hot {
        &self.hot
    }

    pub(crate) fn database(&self) -> MutexGuard<'_, Database> {
        // A change that a panic left half done was rolled back when it was dropped.
        self.database.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn copies(&self) -> MutexGuard<'_, Copying> {
        self.copies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says how much of the log is known now.
    pub(super) fn reached(&self, size: TreeSize) {
        self.covered.send_replace(size);
    }

    /// There is something to count, now or when it is due: counting takes a hundredth of the time at most.
    pub(crate) fn recount(&self) {
        self.next_count.lock().unwrap_or_else(PoisonError::into_inner).1 = true;
        self.count_if_due();
    }

    /// Counts what there is to count, if it is due. Blocks.
    pub(super) fn count_if_due(&self) {
        let mut next = self.next_count.lock().unwrap_or_else(PoisonError::into_inner);
        let started = Instant::now();
        if next.1 && started >= next.0 {
            self.count();
            *next = (Instant::now() + started.elapsed() * 100, false);
        }
    }

    /// Counts now. Blocks.
    pub(crate) fn count(&self) {
        if let Ok(counts) = self.database().counts() {
            self.counts.send_replace(counts);
        }
    }

    /// Fills the whole pool. Blocks.
    ///
    /// # Errors
    /// [`RingError`] says what to do.
    pub fn fill_up(&self) -> Result<(), RingError> {
        self.fill(self.pool)
    }

    /// Fills the pool up to `count` keys: first those that lie in the file, then new ones. Blocks.
    pub(super) fn fill(&self, count: usize) -> Result<(), RingError> {
        let mut up_to = self.pooled_up_to.lock().unwrap_or_else(PoisonError::into_inner);
        while self.hot.pooled() < count {
            let more = (count - self.hot.pooled()).min(CHUNK);
            let stored = self.database().pooled_after(*up_to, more)?;
            let keys = if let Some(last) = stored.last() {
                let keys = stored.iter().map(|key| self.unwrapped(key)).collect::<Result<Vec<_>, _>>()?;
                *up_to = last.number;
                keys
            } else {
                let (keys, last) = self.create(more)?;
                *up_to = last;
                keys
            };
            self.hot.add(keys);
        }
        drop(up_to);
        self.recount();
        Ok(())
    }

    /// Makes keys that are nobody's, durable before anybody sees them. Returns them and the highest number in the file.
    fn create(&self, count: usize) -> Result<(Vec<Arc<SubjectKey>>, i64), RingError> {
        let fresh = (0..count).map(|_| fresh()).collect::<Result<Vec<_>, _>>()?;
        let plain: Vec<RecordKey> = fresh.iter().map(|(_, key)| RecordKey::new(key.clone())).collect();
        let wrapped = plain.iter().map(|key| self.provider.wrap(key)).collect::<Result<Vec<_>, _>>()?;
        let kek = self.provider.key_id().clone();
        let mut database = self.database();
        let change = database.begin()?;
        for ((id, _), wrapped) in fresh.iter().zip(&wrapped) {
            change.insert(id, &kek, wrapped)?;
        }
        change.commit()?;
        let last = database
            .connection()
            .query_row("SELECT ifnull(max(number), 0) FROM keys", [], |row| row.get(0))
            .optional()?
            .unwrap_or_default();
        let keys = fresh.into_iter().map(|(id, key)| Arc::new(SubjectKey::new(id, key)));
        Ok((keys.collect(), last))
    }

    /// Keeps the pool full until the sidecar ends.
    pub async fn refill(self: Arc<Self>) {
        loop {
            let ring = Arc::clone(&self);
            let filled = spawn_blocking(move || ring.fill_up()).await;
            if let Ok(Err(error)) = filled {
                tracing::error!(%error, code = %error.code(), pooled = self.hot.pooled(), "no new subject keys");
                tokio::time::sleep(RETRY).await;
                continue;
            }
            self.hot.low().await;
        }
    }

    pub(crate) fn unwrapped(&self, key: &StoredKey) -> Result<Arc<SubjectKey>, KeyringError> {
        let plain = self.provider.unwrap(&key.kek, &key.wrapped)?;
        Ok(Arc::new(SubjectKey::new(key.id, Zeroizing::new(*plain.expose()))))
    }

    /// The keys that a record is under now, and its record key as it is wrapped under them.
    pub(crate) fn current(&self, kept: &KeptKey) -> Result<(Vec<StoredKey>, WrappedKey), KeyringError> {
        let Under::Subjects(ids) = &kept.under else { return Err(KeyringError::NoKeyring) };
        let database = self.database();
        let unreadable = |error: RingError| {
            tracing::error!(%error, "the keyring cannot be read");
            KeyringError::Unreadable
        };
        let rekeyed = database.rekeyed(&kept.record_ref()).map_err(unreadable)?;
        let (ids, wrapped) = match &rekeyed {
            Some(moved) => (&moved.keys, moved.wrapped.as_ref()),
            None => (ids, Some(&kept.wrapped)),
        };
        let mut keys = Vec::with_capacity(ids.len());
        for id in ids {
            match database.key(id).map_err(unreadable)? {
                Some(key) => keys.push(key),
                None => {
                    // The first that was destroyed closed the record, whatever happened to the others.
                    let leaves = ids.iter().map(|id| destroyed(&database, id)).collect::<Result<Vec<_>, _>>();
                    let leaves = leaves.map_err(unreadable)?.into_iter().flatten();
                    return Err(match leaves.min_by_key(|leaf| leaf.unwrap_or(LeafIndex::new(u64::MAX))) {
                        Some(leaf) => KeyringError::Erased { leaf },
                        None => KeyringError::UnknownSubjectKey { id: *id },
                    });
                }
            }
        }
        let closed = RingError::Damaged { what: "a record is closed and its keys are there" };
        Ok((keys, wrapped.cloned().ok_or_else(|| unreadable(closed))?))
    }
}

impl RecordKeys for Keyring {
    fn key_name(&self) -> &KeyId {
        self.provider.key_id()
    }

    fn take(&self, about: &About) -> Result<Taken, KeyringError> {
        self.hot.take(about)
    }

    fn take_again(&self, kept: &KeptKey) -> Result<Taken, KeyringError> {
        if matches!(kept.under, Under::Provider(_)) {
            return Ok(Taken::PROVIDER);
        }
        let ids = |stored: &[StoredKey]| stored.iter().map(|key| key.id).collect::<Vec<_>>();
        let (mut stored, _) = self.current(kept)?;
        loop {
            let leased = ids(&stored);
            let lease = self.hot.again(&leased).ok_or(KeyringError::Closing)?;
            // Read again under the lease: what was there before it may have been destroyed, or moved to another key, meanwhile.
            (stored, _) = self.current(kept)?;
            if ids(&stored) == leased {
                let keys = stored.iter().map(|key| self.unwrapped(key)).collect::<Result<_, _>>()?;
                return Ok(Taken { keys, lease: Some(lease) });
            }
        }
    }

    fn keep(&self, taken: &Taken, key: &RecordKey) -> Result<KeptKey, KeyringError> {
        if taken.keys.is_empty() {
            return self.provider.keep(taken, key);
        }
        subject::wrap(&taken.keys, key)
    }

    fn record_key(&self, kept: &KeptKey) -> Result<RecordKey, KeyringError> {
        if matches!(kept.under, Under::Provider(_)) {
            return self.provider.record_key(kept);
        }
        let (stored, wrapped) = self.current(kept)?;
        let keys = stored.iter().map(|key| self.unwrapped(key)).collect::<Result<Vec<_>, _>>()?;
        subject::unwrap(&keys, &wrapped)
    }

    fn refilled(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.hot.refilled())
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// A new key with a name of its own.
pub(crate) fn fresh() -> Result<(SubjectKeyId, Zeroizing<[u8; KEY_BYTES]>), RingError> {
    let (mut id, mut key) = ([0; SubjectKeyId::LEN], Zeroizing::new([0; KEY_BYTES]));
    getrandom::fill(&mut id).map_err(|_| RingError::NoRandomness)?;
    getrandom::fill(key.as_mut_slice()).map_err(|_| RingError::NoRandomness)?;
    Ok((SubjectKeyId::from_bytes(id), key))
}

/// Whether a key was destroyed, and where the log says so.
pub(crate) fn destroyed(
    database: &Database,
    id: &SubjectKeyId,
) -> Result<Option<Option<LeafIndex>>, RingError> {
    let mut statement = database.connection().prepare_cached("SELECT leaf FROM destroyed WHERE key = ?1")?;
    let found = statement.query_row([id.as_bytes().as_slice()], |row| row.get::<_, Option<i64>>(0));
    let leaf = |leaf: i64| u64::try_from(leaf).ok().map(LeafIndex::new);
    Ok(found.optional()?.map(|found| found.and_then(leaf)))
}

/// Draws the secret under which persons are tagged.
fn create_secret(database: &mut Database, provider: &dyn KeyProvider) -> Result<(), RingError> {
    let (_, secret) = fresh()?;
    let wrapped = provider.wrap(&RecordKey::new(secret))?;
    let change = database.begin()?;
    change.set_meta("tags", &[provider.key_id().as_str().as_bytes(), &[0], wrapped.as_bytes()].concat())?;
    change.set_meta("new", &[1])?;
    change.commit()
}

/// Reads it, wrapped: the name of the key-encryption key and the bytes.
pub(crate) fn wrapped_secret(database: &Database) -> Result<(KeyId, WrappedKey), RingError> {
    let damaged = || RingError::Damaged { what: "the secret of its tags is none" };
    let stored = database.meta("tags")?.ok_or_else(damaged)?;
    let mut parts = stored.splitn(2, |byte| *byte == 0);
    let (Some(id), Some(wrapped)) = (parts.next(), parts.next()) else { return Err(damaged()) };
    let id = str::from_utf8(id).ok().and_then(|id| KeyId::new(id).ok()).ok_or_else(damaged)?;
    Ok((id, WrappedKey::new(wrapped.to_vec())?))
}

fn load_secret(database: &Database, provider: &dyn KeyProvider) -> Result<HmacKey, RingError> {
    let (id, wrapped) = wrapped_secret(database)?;
    Ok(HmacKey::new(provider.unwrap(&id, &wrapped)?.expose()))
}

#[cfg(test)]
mod tests;
