//! The keys in memory: a pool of durable ones that are nobody's yet, and who was given which.
//!
//! Guarantees: a key is given to one person, in one retention class and month, and to nobody else, ever: what was taken from
//! the pool never goes back. Everything here is bounded (INV-7): where somebody's key is no longer remembered they get
//! another one, which costs a row in the keyring and nothing else. Keys are wiped when they are forgotten.
//! Does not do: the disk, a key provider, or deciding who may be erased.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ledgerstone::hash::HmacKey;
use ledgerstone::record::SubjectKeyId;
use tokio::sync::Notify;

use super::KeyringError;
use super::subject::{About, SubjectKey, Taken};
use crate::locked::Locked;

/// Keys that are remembered, each of one person, class and month: with the person's tag some 250 bytes each, about 16 MiB.
pub(crate) const REMEMBERED_MAX: usize = 65_536;

/// Keys that were given out and that the keyring does not know about yet, at most. Beyond it the keyring opens the record to
/// learn whose key it is.
const GIVEN_MAX: usize = 65_536;

/// A person, as the keyring knows one: HMAC of the reference under the keyring's secret.
pub(crate) type Tag = [u8; 32];

/// Whom a key was given to.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Given {
    /// The person; none for a record that names nobody.
    pub(crate) tag: Option<Tag>,
    /// The retention class.
    pub(crate) class: String,
    /// The month.
    pub(crate) month: u32,
}

impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Given({}, {:?}, {})",
            if self.tag.is_some() { "a person" } else { "nobody" },
            self.class,
            self.month
        )
    }
}

/// The keys in memory. Clones stand for the same ones.
#[derive(Clone)]
pub(crate) struct Hot(Arc<Inner>);

struct Inner {
    tags: Locked<HmacKey>,
    state: Mutex<State>,
    /// The pool is low.
    low: Notify,
    /// Keys came into the pool.
    refilled: Notify,
    /// A lease ended.
    ended: Notify,
}

#[derive(Default)]
struct State {
    pool: Vec<Arc<SubjectKey>>,
    /// Below this the pool is refilled.
    low_at: usize,
    young: HashMap<Tag, Vec<Remembered>>,
    /// Keys that came among the young since they were all made old.
    came: usize,
    old: HashMap<Tag, Vec<Remembered>>,
    given: HashMap<SubjectKeyId, Given>,
    leases: BTreeSet<u64>,
    next_lease: u64,
    /// Of persons who are being erased: the keys that they were given since that began.
    since: HashMap<Tag, HashSet<SubjectKeyId>>,
    /// Keys that are about to be destroyed.
    closing: HashSet<SubjectKeyId>,
}

struct Remembered {
    class: String,
    month: u32,
    key: Arc<SubjectKey>,
}

impl Hot {
    /// Nothing yet. Persons are tagged under `tags`; the pool is low below `low_at` keys.
    pub(crate) fn new(tags: HmacKey, low_at: usize) -> Self {
        let state = Mutex::new(State { low_at, ..State::default() });
        Self(Arc::new(Inner {
            tags: Locked::new(tags),
            state,
            low: Notify::new(),
            refilled: Notify::new(),
            ended: Notify::new(),
        }))
    }

    /// The tag of a person.
    pub(crate) fn tag(&self, subject: &str) -> Tag {
        self.0.tags.tag(subject.as_bytes())
    }

    /// HMAC under the same secret, for another purpose, which `data` names first.
    pub(crate) fn mark(&self, data: &[&[u8]]) -> [u8; 32] {
        // A subject's tag is of its text alone; a zero byte in front keeps marks apart from tags.
        let mut message = vec![0];
        data.iter().for_each(|part| message.extend_from_slice(part));
        self.0.tags.tag(&message)
    }

    /// The keys for a new record.
    pub(crate) fn take(&self, about: &About) -> Result<Taken, KeyringError> {
        let tags: Vec<Option<Tag>> = match about.subjects.as_slice() {
            [] => vec![None],
            subjects => subjects.iter().map(|subject| Some(self.tag(subject))).collect(),
        };
        let mut state = self.state();
        let mut keys = Vec::with_capacity(tags.len());
        for tag in tags {
            match state.key(tag, about) {
                Some(key) => keys.push(key),
                None => {
                    drop(state);
                    self.0.low.notify_one();
                    return Err(KeyringError::PoolEmpty);
                }
            }
        }
        let is_low = state.pool.len() < state.low_at;
        let lease = Some(self.lease(&mut state));
        drop(state);
        if is_low {
            self.0.low.notify_one();
        }
        Ok(Taken { keys, lease })
    }

    /// A lease on keys that the caller has from the keyring itself; none if one of them is about to be destroyed.
    pub(crate) fn again(&self, keys: &[SubjectKeyId]) -> Option<Lease> {
        let mut state = self.state();
        let is_closing = keys.iter().any(|key| state.closing.contains(key));
        (!is_closing).then(|| self.lease(&mut state))
    }

    fn lease(&self, state: &mut State) -> Lease {
        let number = state.next_lease;
        state.next_lease += 1;
        state.leases.insert(number);
        Lease { hot: self.clone(), number }
    }

    /// Adds durable keys that are nobody's to the pool.
    pub(crate) fn add(&self, keys: Vec<Arc<SubjectKey>>) {
        self.state().pool.extend(keys);
        self.0.refilled.notify_waiters();
    }

    /// How many keys are in the pool.
    pub(crate) fn pooled(&self) -> usize {
        self.state().pool.len()
    }

    /// Returns when the pool is low.
    pub(crate) async fn low(&self) {
        self.0.low.notified().await;
    }

    /// Returns when keys came into the pool, at once if there are some.
    pub(crate) async fn refilled(&self) {
        let refilled = self.0.refilled.notified();
        if self.pooled() == 0 {
            refilled.await;
        }
    }

    /// Whom keys were given to, as far as that is remembered.
    pub(crate) fn given(&self, key: &SubjectKeyId) -> Option<Given> {
        self.state().given.get(key).cloned()
    }

    /// The keyring knows whom these keys were given to.
    pub(crate) fn known<'a>(&self, keys: impl Iterator<Item = &'a SubjectKeyId>) {
        let mut state = self.state();
        keys.for_each(|key| _ = state.given.remove(key));
    }

    /// A person is about to be erased: what is recorded about them from now on gets new keys.
    pub(crate) fn cut(&self, tag: Tag) {
        let mut state = self.state();
        state.young.remove(&tag);
        state.old.remove(&tag);
        state.since.insert(tag, HashSet::new());
    }

    /// The keys that a person was given since the cut.
    pub(crate) fn since(&self, tag: &Tag) -> HashSet<SubjectKeyId> {
        self.state().since.get(tag).cloned().unwrap_or_default()
    }

    /// A key is used for no new record from now on, whoever it was given to.
    pub(crate) fn close(&self, keys: &[SubjectKeyId]) {
        let mut state = self.state();
        state.closing.extend(keys);
        let closing = std::mem::take(&mut state.closing);
        let keep = |remembered: &mut Vec<Remembered>| {
            remembered.retain(|one| !closing.contains(&one.key.id));
            !remembered.is_empty()
        };
        state.young.retain(|_, remembered| keep(remembered));
        state.old.retain(|_, remembered| keep(remembered));
        state.closing = closing;
    }

    /// The erasure ended, one way or another: its keys are destroyed, or may be used again.
    pub(crate) fn reopen(&self, tag: Option<&Tag>, keys: &[SubjectKeyId]) {
        let mut state = self.state();
        tag.map(|tag| state.since.remove(tag));
        keys.iter().for_each(|key| _ = state.closing.remove(key));
    }

    /// Returns once every lease that there is now has ended.
    pub(crate) async fn drained(&self) {
        let until = self.state().next_lease;
        loop {
            let ended = self.0.ended.notified();
            if self.state().leases.first().is_none_or(|first| *first >= until) {
                return;
            }
            ended.await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every method leaves the state whole, so a panic elsewhere does not spoil it.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Hot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hot").field("pooled", &self.pooled()).finish_non_exhaustive()
    }
}

impl State {
    /// The key of `tag`: the remembered one, or a new one from the pool.
    fn key(&mut self, tag: Option<Tag>, about: &About) -> Option<Arc<SubjectKey>> {
        if let Some(key) = tag.and_then(|tag| self.remembered(&tag, about)) {
            return Some(key);
        }
        let key = self.pool.pop()?;
        let (class, month) = (about.class.clone(), about.month);
        if self.given.len() < GIVEN_MAX {
            self.given.insert(key.id, Given { tag, class: class.clone(), month });
        }
        if let Some(tag) = tag {
            self.since.get_mut(&tag).map(|since| since.insert(key.id));
            self.young.entry(tag).or_default().push(Remembered { class, month, key: Arc::clone(&key) });
            self.age(1);
        }
        Some(key)
    }

    /// Looks among those seen lately, and then among those seen before, who move up.
    fn remembered(&mut self, tag: &Tag, about: &About) -> Option<Arc<SubjectKey>> {
        if !self.young.contains_key(tag) {
            let mut older = self.old.remove(tag)?;
            // Keys of months gone by are not asked for again.
            older.retain(|one| one.month >= about.month);
            let moved = older.len();
            self.young.insert(*tag, older);
            self.age(moved);
        }
        let fits = |one: &&Remembered| one.class == about.class && one.month == about.month;
        let mut both = [&self.young, &self.old].into_iter().filter_map(|keys| keys.get(tag));
        both.find_map(|keys| keys.iter().find(fits).map(|one| Arc::clone(&one.key)))
    }

    /// More keys came among the young; once they are half of what is remembered, what was old is forgotten.
    fn age(&mut self, came: usize) {
        self.came += came;
        if self.came > REMEMBERED_MAX / 2 {
            self.old = std::mem::take(&mut self.young);
            self.came = 0;
        }
    }
}

/// Keys in use for a record that is being made. Dropped once the record is with the log or never will be.
#[derive(Debug)]
pub(crate) struct Lease {
    hot: Hot,
    number: u64,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.hot.state().leases.remove(&self.number);
        self.hot.0.ended.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zeroize::Zeroizing;

    fn hot(keys: u32) -> Hot {
        let hot = Hot::new(HmacKey::new(&[1; 32]), 0);
        let key = |n: u32| {
            let mut id = [0; 16];
            id[..4].copy_from_slice(&n.to_be_bytes());
            Arc::new(SubjectKey::new(SubjectKeyId::from_bytes(id), Zeroizing::new([7; 32])))
        };
        hot.add((0..keys).map(key).collect());
        hot
    }

    fn about(subjects: &[&str], class: &str, month: u32) -> About {
        About { subjects: subjects.iter().map(|s| (*s).to_owned()).collect(), class: class.to_owned(), month }
    }

    fn ids(taken: &Taken) -> Vec<SubjectKeyId> {
        taken.keys.iter().map(|key| key.id).collect()
    }

    #[test]
    fn one_person_has_one_key_in_a_class_and_month_and_no_two_share_one() {
        let hot = hot(10);
        let one = ids(&hot.take(&about(&["a"], "c", 1)).unwrap());
        assert_eq!(ids(&hot.take(&about(&["a"], "c", 1)).unwrap()), one);
        let both = ids(&hot.take(&about(&["b", "a"], "c", 1)).unwrap());
        assert_eq!(both[1], one[0]);
        let others = [about(&["a"], "d", 1), about(&["a"], "c", 2), about(&[], "c", 1), about(&[], "c", 1)];
        let mut seen: HashSet<_> = both.into_iter().collect();
        for other in &others {
            let [id] = ids(&hot.take(other).unwrap())[..] else { panic!("one key") };
            assert!(seen.insert(id), "{other:?} shares a key");
        }
    }

    #[test]
    fn an_empty_pool_refuses_and_gives_nothing_twice() {
        let hot = hot(2);
        assert_eq!(hot.take(&about(&["a", "b", "c"], "", 1)).unwrap_err(), KeyringError::PoolEmpty);
        let two = ids(&hot.take(&about(&["a", "b"], "", 1)).unwrap());
        assert_ne!(two[0], two[1]);
        assert_eq!(hot.take(&about(&[], "", 1)).unwrap_err(), KeyringError::PoolEmpty);
    }

    #[test]
    fn somebody_forgotten_gets_another_key_and_memory_stays_bounded() {
        let people = u32::try_from(REMEMBERED_MAX).unwrap() + 2;
        let hot = hot(people + 1);
        let first = ids(&hot.take(&about(&["0"], "", 1)).unwrap());
        for n in 1..people {
            drop(hot.take(&about(&[&n.to_string()], "", 1)).unwrap());
        }
        // Each with a second class from here on.
        let state = hot.state();
        let remembered = || state.young.values().chain(state.old.values()).map(Vec::len).sum::<usize>();
        assert!((REMEMBERED_MAX / 2..=REMEMBERED_MAX).contains(&remembered()), "{}", remembered());
        assert!(state.given.len() <= GIVEN_MAX);
        drop(state);
        assert_ne!(ids(&hot.take(&about(&["0"], "", 1)).unwrap()), first);
    }

    #[tokio::test]
    async fn an_erasure_waits_for_what_was_begun_before_it_and_not_for_what_came_after() {
        let hot = hot(10);
        let before = hot.take(&about(&["a"], "", 1)).unwrap();
        hot.cut(hot.tag("a"));
        let waiting = hot.clone();
        let drained = tokio::spawn(async move { waiting.drained().await });
        tokio::task::yield_now().await;
        let after = hot.take(&about(&["a"], "", 1)).unwrap();
        assert_ne!(ids(&before), ids(&after), "the new decision has a new key");
        assert!(!drained.is_finished());
        before.done();
        drained.await.unwrap();
        assert_eq!(hot.since(&hot.tag("a")), ids(&after).into_iter().collect());
        hot.close(&ids(&after));
        assert!(hot.again(&ids(&after)).is_none());
        hot.reopen(Some(&hot.tag("a")), &ids(&after));
        assert!(hot.again(&ids(&after)).is_some());
    }
}
