//! A key-encryption key on a PKCS#11 token: a hardware security module, a card, or SoftHSM.
//!
//! Guarantees: the key is sensitive and not extractable, or it is not used; calls run on threads of their own, one for each
//! session, and end for the caller within the time limit even where the module hangs; a token that went away and came
//! back works again without a restart; a refused PIN is never tried twice, because a token locks itself after a few; once a
//! provider is gone no call of it is in the module, unless one hangs there beyond the time limit.
//! Does not do: keeping wrapped keys on the token; protected authentication paths (PIN pads).
//! Specification: PKCS#11 v2.40 and v3.0, CKM_AES_KEY_WRAP and CKM_AES_GCM.
//!
//! What a wrapped key is: `01` and 40 bytes of AES Key Wrap (RFC 3394), where the token has CKM_AES_KEY_WRAP and the key
//! may wrap; else `02`, the 12 bytes of the nonce that the token used, ciphertext and tag of AES-GCM, bound to the key's
//! name. For AES Key Wrap the record key becomes an object of the session for a moment, as C_WrapKey wants it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::remote::waiting;
use super::{Created, Fault, KeyId, KeyProvider, KeyringError, KeysError, Provider, RecordKey, WrappedKey};
use crate::config::keys::Pkcs11Config;

mod module;
mod seat;

pub use self::module::Module;
use self::seat::Seat;

/// Calls that may wait for a session; in-flight decisions are bounded by the same number (`limits.in_flight_max`).
const WAITING_MAX: usize = 1024;

/// How often a provider that goes looks whether its sessions are closed.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// The modules in use: a process loads each once, whatever number of keys it holds.
#[derive(Debug, Default)]
pub struct Modules(BTreeMap<PathBuf, Arc<Module>>);

impl Modules {
    /// The module at `path`, not loaded yet if this is the first time.
    pub fn of(&mut self, path: &Path) -> Arc<Module> {
        let module = self.0.entry(path.to_owned()).or_insert_with(|| Arc::new(Module::new(path)));
        Arc::clone(module)
    }
}

/// A key on a token.
pub struct Pkcs11Provider {
    id: KeyId,
    limit: Duration,
    /// None once nothing may be asked any more.
    calls: Option<SyncSender<Call>>,
    threads: Vec<JoinHandle<()>>,
}

/// Something to do on a session, unless it is too late by then.
struct Call {
    until: Instant,
    work: Box<dyn FnOnce(&mut Seat) + Send>,
}

impl Pkcs11Provider {
    /// The provider of `config`. Touches the token with the first call only.
    ///
    /// # Errors
    /// [`KeysError`] if there is no thread for it.
    pub fn new(config: &Pkcs11Config, module: Arc<Module>) -> Result<Self, KeysError> {
        let (calls, waiting) = sync_channel(WAITING_MAX);
        let waiting = Arc::new(Mutex::new(waiting));
        let mut provider =
            Self { id: config.id.clone(), limit: config.timeout, calls: Some(calls), threads: Vec::new() };
        for _ in 0..config.sessions {
            let (mut seat, waiting) = (Seat::new(config, Arc::clone(&module)), Arc::clone(&waiting));
            let thread = thread::Builder::new().name("key-token".to_owned());
            let thread = thread.spawn(move || serve(&mut seat, &waiting)).map_err(KeysError::thread)?;
            provider.threads.push(thread);
        }
        Ok(provider)
    }

    /// Has a session do `work`, and waits for its end or the time limit.
    fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Seat) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, KeyringError> {
        let limit = self.limit;
        let (sender, ended) = sync_channel(1);
        let work = Box::new(move |seat: &mut Seat| {
            // Nobody waits any more: the call was given up.
            _ = sender.send(work(seat));
        });
        let calls = self.calls.as_ref().ok_or_else(|| KeyringError::of(&self.id, Fault::Defect))?;
        let ended = match calls.try_send(Call { until: Instant::now() + limit, work }) {
            Ok(()) => waiting(|| ended.recv_timeout(limit)).unwrap_or_else(|error| match error {
                // A call that waited too long is dropped.
                RecvTimeoutError::Timeout => Err(Fault::TimedOut { limit }),
                RecvTimeoutError::Disconnected => Err(Fault::Defect),
            }),
            Err(TrySendError::Full(_)) => Err(Fault::Busy { waiting: WAITING_MAX }),
            Err(TrySendError::Disconnected(_)) => Err(Fault::Defect),
        };
        ended.map_err(|fault| KeyringError::of(&self.id, fault))
    }
}

impl Drop for Pkcs11Provider {
    /// Waits until the sessions are closed: a program that ends takes its modules apart, and a call that is still in one
    /// then kills it (SIGSEGV in SoftHSM), after all was done well.
    fn drop(&mut self) {
        self.calls = None;
        let until = Instant::now() + self.limit;
        waiting(|| {
            for thread in self.threads.drain(..) {
                while !thread.is_finished() && Instant::now() < until {
                    thread::sleep(LOOK_EVERY);
                }
                if thread.is_finished() {
                    // A panic in a session was told to whoever called.
                    _ = thread.join();
                }
            }
        });
    }
}

/// Does what is asked until nobody can ask any more.
fn serve(seat: &mut Seat, waiting: &Mutex<Receiver<Call>>) {
    loop {
        let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match next {
            Ok(call) if Instant::now() < call.until => (call.work)(seat),
            Ok(_too_late) => {}
            Err(_) => return,
        }
    }
}

impl KeyProvider for Pkcs11Provider {
    fn key_id(&self) -> &KeyId {
        &self.id
    }

    fn wrap(&self, key: &RecordKey) -> Result<WrappedKey, KeyringError> {
        let key = key.copy();
        WrappedKey::new(self.call(move |seat| seat.wrap(&key))?)
    }

    fn unwrap(&self, id: &KeyId, wrapped: &WrappedKey) -> Result<RecordKey, KeyringError> {
        if *id != self.id {
            return Err(KeyringError::UnknownKey { wanted: id.clone(), held: self.id.clone() });
        }
        let wrapped = wrapped.as_bytes().to_vec();
        self.call(move |seat| seat.unwrap(&wrapped))
    }

    fn may_block(&self) -> bool {
        true
    }
}

impl Provider for Pkcs11Provider {
    fn kind(&self) -> &'static str {
        "pkcs11"
    }

    fn create(&self) -> Result<Created, KeyringError> {
        self.call(Seat::create)
    }
}

impl std::fmt::Debug for Pkcs11Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pkcs11Provider({})", self.id)
    }
}
