//! Tells the keyring what the log says: whose a key became, what was destroyed, what is held.
//!
//! Guarantees: the same code catches up at start and follows while the sidecar serves; what it learns of a bundle and how far
//! it came are one change. A key that an `erasure` entry names is destroyed, whatever copy of the keyring this is, before
//! anything is served: a backup cannot bring it back.
//! Does not do: reading what is not published yet; a crash before that is caught up at the next start.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use ledgerstone::entry::{Entry, ErasureOutcome, Kind, KindDetails};
use ledgerstone::merkle::{LeafIndex, TreeSize};
use ledgerstone::record::{SealedUnder, SubjectKeyId};
use ledgerstone::tile::TILE_WIDTH;
use rusqlite::params;
use tokio::task::spawn_blocking;

use super::database::Change;
use super::error::RingError;
use super::hot::Given;
use super::ring::Keyring;
use super::subject::About;
use crate::reader::{LogReader, Stored};
use crate::seal::{self, OpenError};

mod rewind;
mod separate;

use self::separate::Together;

/// How long to wait after an error before the next attempt.
const RETRY: Duration = Duration::from_secs(1);

/// Follows the log for a keyring.
#[derive(Clone, Debug)]
pub struct Follower {
    ring: Arc<Keyring>,
    log: LogReader,
}

/// What one bundle says about keys.
#[derive(Debug, Default)]
struct Learned {
    /// Records under each key.
    records: HashMap<SubjectKeyId, u64>,
    given: Vec<(SubjectKeyId, Given)>,
    /// Keys of records about several persons.
    shared: HashSet<SubjectKeyId>,
    /// Entries about keys, with what the record that a hold is about is under.
    about_keys: Vec<(LeafIndex, Entry, Vec<u8>)>,
}

impl Follower {
    /// Tells `ring` what `log` says.
    #[must_use]
    pub fn new(ring: Arc<Keyring>, log: LogReader) -> Self {
        Self { ring, log }
    }

    /// Learns everything that is published. Returns how many records lie under keys that the keyring does not have and that
    /// no entry says were destroyed. Blocks.
    ///
    /// # Errors
    /// [`RingError`] if the log cannot be read, or the keyring cannot be written or is not this log's.
    pub fn catch_up(&self) -> Result<u64, RingError> {
        let (size, mut lost) = (self.log.published().size, 0);
        let mut together = None;
        loop {
            let known = *self.ring.covered().borrow();
            if known > size {
                return Err(RingError::Ahead { known: known.get(), size: size.get() });
            }
            if known == size {
                self.ring.count_if_due();
                return Ok(lost);
            }
            let bundle = self.log.bundle(known.get() / u64::from(TILE_WIDTH))?;
            let is_new = |index: LeafIndex| index.get() >= known.get() && index.is_in(size);
            let wanted = |index, entry: &Entry| is_new(index) && is_about_a_person(entry.kind);
            // A sealed record that is lost is no reason to stop: the log's own check tells of it.
            let records = self.log.records_or_lost(&bundle, wanted)?;
            let mut records: Vec<Stored> =
                records.into_iter().filter(|record| is_new(record.index)).collect();
            if let Some(place) = self.separating(&records)? {
                if let Some(first) = records.first().filter(|_| place == 0) {
                    let together = match &mut together {
                        Some(together) => together,
                        none => none.insert(Together::read(&self.log, known, &[])?),
                    };
                    lost += self.separate(&first.entry, Some(first.index), together)?;
                    continue;
                }
                records.truncate(place);
            }
            let Some(last) = records.last() else { return Ok(lost) };
            let reached = TreeSize::new(last.index.get().saturating_add(1));
            lost += self.learn(records, reached)?;
        }
    }

    /// The same at start: refuses a keyring that was made anew while the log needs the one before it.
    ///
    /// # Errors
    /// As [`Follower::catch_up`]; [`RingError::Missing`] says how to go on.
    pub fn start(&self) -> Result<(), RingError> {
        let is_new = self.ring.database().meta("new")?.is_some();
        if is_new {
            self.anew()?;
        }
        let lost = self.catch_up()?;
        if lost > 0 && is_new {
            return Err(RingError::Missing { records: lost });
        }
        if lost > 0 {
            tracing::warn!(records = lost, "records lie under keys that the keyring does not have");
        }
        if is_new {
            self.ring.database().connection().execute("DELETE FROM meta WHERE name = 'new'", [])?;
        }
        // Entries may have named keys that a restored copy still had.
        self.ring.database().wipe()?;
        self.ring.recount();
        Ok(())
    }

    /// Follows the published log until it ends.
    pub async fn follow(self) {
        let mut published = self.log.watch();
        loop {
            published.mark_unchanged();
            let follower = self.clone();
            let caught_up = spawn_blocking(move || follower.catch_up()).await;
            if let Ok(Err(error)) = &caught_up {
                tracing::warn!(%error, code = %error.code(), "the keyring falls behind");
                tokio::time::sleep(RETRY).await;
                continue;
            }
            if published.changed().await.is_err() {
                return;
            }
        }
    }

    /// The first entry, if there is one, that destroys a key which other records are under in this keyring: what comes before it is
    /// learned by itself.
    fn separating(&self, records: &[Stored]) -> Result<Option<usize>, RingError> {
        for (place, stored) in records.iter().enumerate() {
            if self.separates(&stored.entry)? {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }

    fn learn(&self, records: Vec<Stored>, reached: TreeSize) -> Result<u64, RingError> {
        let mut learned = Learned::default();
        for stored in records {
            if stored.entry.kind.is_about_keys() {
                let under = self.under(&stored.entry)?;
                learned.about_keys.push((stored.index, stored.entry, under));
            } else if let Some(sealed) = &stored.sealed {
                self.record(&stored, sealed, &mut learned)?;
            }
        }
        let mut lost = 0;
        let mut database = self.ring.database();
        let change = database.begin()?;
        for (key, given) in &learned.given {
            change.assign(key, given)?;
        }
        for (key, records) in &learned.records {
            if !change.count(key, *records)? && !is_destroyed(&change, key)? {
                lost += records;
            }
        }
        for key in &learned.shared {
            change.share(key)?;
        }
        for (index, entry, under) in &learned.about_keys {
            apply(&change, *index, entry, under)?;
        }
        change.set_meta("watermark", &reached.get().to_be_bytes())?;
        change.commit()?;
        drop(database);
        self.ring.hot().known(learned.records.keys());
        if !learned.about_keys.is_empty() || !learned.given.is_empty() {
            self.ring.recount();
        }
        self.ring.reached(reached);
        Ok(lost)
    }

    /// What a sealed record says of its keys; whose they are is asked of the memory, and where that does not know, of the record.
    ///
    /// # Errors
    /// If that cannot be known for now: a key that seems to be nobody's would be given to somebody else.
    fn record(&self, stored: &Stored, sealed: &[u8], learned: &mut Learned) -> Result<(), RingError> {
        let Ok(SealedUnder::Subjects(keys)) = SealedUnder::read(sealed) else { return Ok(()) };
        keys.iter().for_each(|key| *learned.records.entry(*key).or_default() += 1);
        if keys.len() > 1 {
            learned.shared.extend(&keys);
        }
        if stored.entry.kind != Kind::Decision {
            return Ok(());
        }
        let mut unknown = Vec::new();
        for (place, key) in keys.iter().enumerate() {
            match self.ring.hot().given(key) {
                Some(given) => learned.given.push((*key, given)),
                None if self.is_assigned(key)? => {}
                None => unknown.push((place, *key)),
            }
        }
        if unknown.is_empty() {
            return Ok(());
        }
        let Some(about) = self.about(stored, sealed)? else { return Ok(()) };
        for (place, key) in unknown {
            let tag = about.subjects.get(place).map(|subject| self.ring.hot().tag(subject));
            learned.given.push((key, Given { tag, class: about.class.clone(), month: about.month }));
        }
        Ok(())
    }

    fn is_assigned(&self, key: &SubjectKeyId) -> Result<bool, RingError> {
        let found = self.ring.database().key(key)?;
        // A key that is not there has nobody to be assigned to either.
        Ok(found.is_none_or(|found| found.class.is_some()))
    }

    /// Whom the record is about; nobody can say if it was changed, or a key of it is gone.
    fn about(&self, stored: &Stored, sealed: &[u8]) -> Result<Option<About>, RingError> {
        let Some(decision) = stored.entry.decision else { return Ok(None) };
        match seal::open(self.ring.as_ref(), &decision, stored.entry.kind, sealed) {
            Ok(content) => Ok(Some(About::of(&content.record, stored.entry.recorded_at))),
            Err(OpenError::Keys(error)) if error.may_pass() => Err(error.into()),
            Err(error) => {
                tracing::warn!(%decision, %error, "a record does not open");
                Ok(None)
            }
        }
    }

    /// Of a hold on one record: what the keyring calls it, and the keys in its header.
    fn under(&self, entry: &Entry) -> Result<Vec<u8>, RingError> {
        let Some(index) = entry.links.first().filter(|_| entry.kind == Kind::Hold) else {
            return Ok(Vec::new());
        };
        let sealed = match self.log.sealed(*index) {
            Ok(Some(sealed)) => sealed,
            Ok(None) => return Ok(Vec::new()),
            // The hold stands all the same, on the decision.
            Err(error) if error.is_lost() => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let Ok(kept) = seal::kept(&sealed) else { return Ok(Vec::new()) };
        let keys =
            SealedUnder::read(&sealed).map(|under| SubjectKeyId::join(under.keys())).unwrap_or_default();
        Ok([kept.record_ref().as_slice(), &keys].concat())
    }
}

const fn is_about_a_person(kind: Kind) -> bool {
    matches!(kind, Kind::Decision) || kind.is_follow_up()
}

fn is_destroyed(change: &Change<'_>, key: &SubjectKeyId) -> Result<bool, RingError> {
    let mut statement = change.0.prepare_cached("SELECT count(*) FROM destroyed WHERE key = ?1")?;
    Ok(statement.query_row([key.as_bytes().as_slice()], |row| row.get::<_, i64>(0))? > 0)
}

/// Does what an entry about keys says.
fn apply(change: &Change<'_>, index: LeafIndex, entry: &Entry, under: &[u8]) -> Result<(), RingError> {
    let leaf = i64::try_from(index.get()).unwrap_or(i64::MAX);
    match entry.kind_details() {
        Ok(KindDetails::Erasure(erasure)) => {
            if erasure.outcome == ErasureOutcome::Erased {
                for key in &erasure.keys {
                    change.destroy(key, erasure.ground as u64, Some(index.get()))?;
                }
            }
            change.forget_note(&erasure)?;
        }
        Ok(KindDetails::Hold(hold)) => {
            let (record, keys) = under.split_at_checked(16).unzip();
            change.0.execute(
                "INSERT OR IGNORE INTO holds VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
                params![
                    hold.id.as_bytes().as_slice(),
                    hold.mark.map(|mark| mark.to_vec()),
                    entry.decision.map(|decision| decision.as_bytes().to_vec()),
                    record,
                    keys,
                    leaf
                ],
            )?;
        }
        Ok(KindDetails::Release(release)) => {
            change.0.execute("DELETE FROM holds WHERE id = ?1", [release.id.as_bytes().as_slice()])?;
        }
        _ => {}
    }
    Ok(())
}
