//! Secrets that stay in memory: on pages of their own, which the operating system may not write to a disk, wiped before they
//! are given back.
//!
//! Guarantees: a page of keys holds nothing else, so unlocking one never unlocks another; what lies elsewhere ([`Locked::with`],
//! [`keep`]) shares its pages and is kept as long as the process; a key is wiped where it lies when it is dropped; what could not be locked is counted, and told once. Does not do: hiding secrets from whoever may
//! read this process's memory, or wiping the copies that the compiler makes on the stack while a key is used.
//!
//! The counts and the keys' pages are the process's, as the limit on locked memory (`RLIMIT_MEMLOCK`) is.

use std::fmt;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, Once, PoisonError};

use region::LockGuard;
use zeroize::Zeroizing;

/// Bytes of a symmetric key.
pub const KEY_BYTES: usize = 32;

/// Words of a symmetric key.
const KEY_WORDS: usize = KEY_BYTES / 8;

/// Bytes of a page: as [`Page`] is aligned.
const PAGE_BYTES: usize = if cfg!(target_arch = "aarch64") { 65536 } else { 4096 };

/// Keys on one page. The place of one is left for what says that the page holds a value.
const PAGE_KEYS: usize = PAGE_BYTES / KEY_BYTES - 1;

const _: () = assert!(size_of::<Page<KeyPage>>() == PAGE_BYTES && align_of::<Page<KeyPage>>() == PAGE_BYTES);

/// Bytes that are locked now.
static LOCKED: AtomicUsize = AtomicUsize::new(0);
/// Bytes that were to be locked and are not.
static UNLOCKED: AtomicUsize = AtomicUsize::new(0);
/// Whether nothing is to be locked.
static OFF: AtomicBool = AtomicBool::new(false);
static TOLD: Once = Once::new();

/// How many bytes of secrets are locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Bytes of pages that stay in memory.
    pub locked: usize,
    /// Bytes of pages that the operating system would not lock.
    pub unlocked: usize,
}

/// How much is locked now.
#[must_use]
pub fn counts() -> Counts {
    Counts { locked: LOCKED.load(Ordering::Relaxed), unlocked: UNLOCKED.load(Ordering::Relaxed) }
}

/// Locks nothing from now on: the operator said so.
pub fn turn_off() {
    OFF.store(true, Ordering::Relaxed);
}

/// Makes room for `keys` symmetric keys at once, so that a limit that is too low is found now.
///
/// # Errors
/// The bytes that were needed, if the operating system locks fewer.
pub fn reserve(keys: usize) -> Result<(), usize> {
    let mut free = free();
    let pages = keys.saturating_sub(free.len()).div_ceil(PAGE_KEYS);
    for _ in 0..pages {
        free.extend(fresh_page());
    }
    drop(free);
    if counts().unlocked == 0 { Ok(()) } else { Err(keys.div_ceil(PAGE_KEYS) * PAGE_BYTES) }
}

/// A value with pages of its own. Wiping what it holds is the value's, when it is dropped.
pub struct Locked<T> {
    /// Nothing once it is being dropped.
    page: Box<Page<T>>,
    /// The page's own lock.
    lock: Option<Lock>,
    /// Those of what the value has elsewhere.
    elsewhere: Vec<Lock>,
}

/// Fills whole pages: 4 KiB on x86-64, up to 64 KiB on aarch64.
#[cfg_attr(target_arch = "aarch64", repr(align(65536)))]
#[cfg_attr(not(target_arch = "aarch64"), repr(align(4096)))]
struct Page<T>(Option<T>);

impl<T> Locked<T> {
    /// Moves `value` to pages of its own.
    #[must_use]
    pub fn new(value: T) -> Self {
        Self::with(value, |_| Vec::new())
    }

    /// The same for a value that has secrets elsewhere too: `parts` says where.
    #[must_use]
    pub fn with(value: T, parts: fn(&T) -> Vec<&[u8]>) -> Self {
        let page = Box::new(Page(Some(value)));
        let lock = Lock::on(std::ptr::from_ref(page.as_ref()), size_of::<Page<T>>());
        let parts = page.0.as_ref().map(parts).unwrap_or_default().into_iter();
        let elsewhere = parts.filter_map(|part| Lock::on(part.as_ptr(), part.len())).collect();
        Self { page, lock, elsewhere }
    }
}

impl<T> Deref for Locked<T> {
    type Target = T;

    fn deref(&self) -> &T {
        #[expect(
            clippy::expect_used,
            reason = "it is taken away by `drop` alone, and nobody has it afterwards"
        )]
        self.page.0.as_ref().expect("a value that is not being dropped")
    }
}

impl<T> Drop for Locked<T> {
    fn drop(&mut self) {
        // What lies elsewhere is given back with the value: its lock goes first, while the memory is still there.
        self.elsewhere.clear();
        self.page.0 = None;
        self.lock = None;
    }
}

impl<T> fmt::Debug for Locked<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Locked(..)")
    }
}

/// Locks the pages where `parts` lie, for as long as the process runs.
pub fn keep(parts: &[&[u8]]) {
    for part in parts {
        std::mem::forget(Lock::on(part.as_ptr(), part.len()));
    }
}

/// A lock that is counted.
struct Lock {
    _guard: LockGuard,
    bytes: usize,
}

impl Lock {
    fn on<T>(start: *const T, bytes: usize) -> Option<Self> {
        if OFF.load(Ordering::Relaxed) || bytes == 0 {
            return None;
        }
        match region::lock(start, bytes) {
            Ok(guard) => {
                LOCKED.fetch_add(bytes, Ordering::Relaxed);
                Some(Self { _guard: guard, bytes })
            }
            Err(error) => {
                UNLOCKED.fetch_add(bytes, Ordering::Relaxed);
                TOLD.call_once(|| {
                    tracing::warn!(
                        %error,
                        "keys cannot be locked in memory and may reach a swap disk: raise the limit on locked memory \
                         (ulimit -l, LimitMEMLOCK=) or turn swap off"
                    );
                });
                None
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        LOCKED.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// The words of one key on a page.
type Words = [AtomicU64; KEY_WORDS];
type KeyPage = [Words; PAGE_KEYS];

/// Places for keys that nobody has.
static FREE: Mutex<Vec<&'static Words>> = Mutex::new(Vec::new());

fn free() -> std::sync::MutexGuard<'static, Vec<&'static Words>> {
    // Every use leaves it whole, so a panic elsewhere does not spoil it.
    FREE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A page of places. It is never given back: the most keys that were held at once decide how many there are.
fn fresh_page() -> impl Iterator<Item = &'static Words> {
    let page: KeyPage = std::array::from_fn(|_| std::array::from_fn(|_| AtomicU64::new(0)));
    let page: &'static Locked<KeyPage> = Box::leak(Box::new(Locked::new(page)));
    page.iter()
}

/// A symmetric key on a locked page. Wiped when dropped, never printed.
pub struct LockedKey(&'static Words);

impl LockedKey {
    /// Copies `key` to a place of its own.
    #[must_use]
    pub fn new(key: &[u8; KEY_BYTES]) -> Self {
        let mut free = free();
        if free.is_empty() {
            free.extend(fresh_page());
        }
        let place = free.pop();
        drop(free);
        #[expect(clippy::expect_used, reason = "a page was added if there was none")]
        let words = place.expect("a free place");
        let (chunks, _) = key.as_chunks::<8>();
        for (word, bytes) in words.iter().zip(chunks) {
            word.store(u64::from_ne_bytes(*bytes), Ordering::Relaxed);
        }
        Self(words)
    }

    /// A copy of the key, wiped when dropped.
    #[must_use]
    pub fn read(&self) -> Zeroizing<[u8; KEY_BYTES]> {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        let (chunks, _) = key.as_chunks_mut::<8>();
        for (bytes, word) in chunks.iter_mut().zip(self.0) {
            *bytes = word.load(Ordering::Relaxed).to_ne_bytes();
        }
        key
    }

    fn wipe(&self) {
        for word in self.0 {
            word.store(0, Ordering::Relaxed);
        }
    }
}

impl Drop for LockedKey {
    fn drop(&mut self) {
        self.wipe();
        free().push(self.0);
    }
}

impl fmt::Debug for LockedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LockedKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_what_was_put_in_and_prints_nothing() {
        let keys: Vec<_> = (0..300_u32).map(|n| LockedKey::new(&[n.to_le_bytes()[0]; 32])).collect();
        for (n, key) in keys.iter().enumerate() {
            assert_eq!(*key.read(), [n.to_le_bytes()[0]; 32]);
        }
        assert_eq!(format!("{:?}", keys[1]), "LockedKey(..)");
    }

    #[test]
    fn a_key_is_wiped_where_it_lay() {
        let key = LockedKey::new(&[0xa5; 32]);
        let place = key.0;
        assert!(place.iter().all(|word| word.load(Ordering::Relaxed) == 0xa5a5_a5a5_a5a5_a5a5));
        key.wipe();
        assert!(place.iter().all(|word| word.load(Ordering::Relaxed) == 0));
    }

    #[test]
    fn a_page_holds_nothing_else_and_says_where_its_value_is() {
        assert_eq!((size_of::<Page<[u8; 5]>>(), align_of::<Page<[u8; 5]>>()), (PAGE_BYTES, PAGE_BYTES));
        let locked = Locked::new(Zeroizing::new([7_u8; 5]));
        assert_eq!(**locked, [7; 5]);
        assert_eq!(format!("{locked:?}"), "Locked(..)");
    }

    #[test]
    fn what_a_value_has_elsewhere_is_locked_too_and_dropped_once() {
        let before = counts();
        let locked = Locked::with(vec![3_u8; 100], |value| vec![value.as_slice()]);
        assert_eq!(locked.as_slice(), [3; 100]);
        assert!(counts() != before || before.unlocked > 0, "{before:?}");
        drop(locked);
    }
}
