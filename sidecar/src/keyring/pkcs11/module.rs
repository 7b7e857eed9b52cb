//! A PKCS#11 module in this process: loaded once, set up again when its token went away.
//!
//! Guarantees: the module is set up anew only while no call of this program is in it, and at most once in
//! [`AGAIN_AFTER`]; sessions of an earlier set-up are told by their generation; a PIN that a token refused is remembered.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, TryLockError};
use std::time::{Duration, Instant};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;
use zeroize::Zeroizing;

use super::super::{Fault, SecretSource};

/// The shortest time between two set-ups. Setting up a network module takes seconds.
const AGAIN_AFTER: Duration = Duration::from_millis(500);

/// A module, loaded when it is first used.
pub struct Module {
    path: PathBuf,
    state: RwLock<State>,
    /// One thread logs in at a time: a wrong PIN is tried once, not once for each session.
    refused: Mutex<Option<Refused>>,
}

/// What a token refused.
struct Refused {
    token: String,
    pin: Zeroizing<String>,
    said: String,
}

#[derive(Default)]
struct State {
    context: Option<Pkcs11>,
    /// Grows with each set-up: what belongs to an earlier one is gone.
    generation: u64,
    set_up: Option<Instant>,
}

/// A module that is set up, and stays so as long as this lives.
pub(super) struct Ready<'a>(RwLockReadGuard<'a, State>);

impl Module {
    /// The module at `path`. Loads nothing.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), state: RwLock::default(), refused: Mutex::default() }
    }

    /// The module, loaded and set up.
    pub(super) fn ready(&self) -> Result<Ready<'_>, Fault> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        if state.context.is_some() {
            return Ok(Ready(state));
        }
        drop(state);
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if state.context.is_none() {
            let context = Pkcs11::new(&self.path).map_err(|error| unusable(&error))?;
            set_up(&context)?;
            *state = State { context: Some(context), generation: 1, set_up: Some(Instant::now()) };
        }
        drop(state);
        Ok(Ready(self.state.read().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Sets the module up anew, because what belonged to `generation` is gone. Does nothing if somebody else did, if that
    /// was a moment ago, or if a call is still in the module.
    pub(super) fn again(&self, generation: u64) -> Result<(), Fault> {
        let mut state = match self.state.try_write() {
            Ok(state) => state,
            Err(TryLockError::Poisoned(state)) => state.into_inner(),
            Err(TryLockError::WouldBlock) => return Ok(()),
        };
        let is_recent = state.set_up.is_some_and(|at| at.elapsed() < AGAIN_AFTER);
        if state.generation != generation || is_recent {
            return Ok(());
        }
        let Some(context) = state.context.clone() else { return Ok(()) };
        state.generation += 1;
        state.set_up = Some(Instant::now());
        // A module that lost its token may not end in order; what counts is that it starts.
        _ = context.clone().finalize();
        set_up(&context)
    }

    /// Logs the user of the token labelled `token` in, with the PIN of `pin`.
    pub(super) fn log_in(
        &self,
        context: &Pkcs11,
        slot: Slot,
        session: &Session,
        token: &str,
        pin: &SecretSource,
    ) -> Result<(), Fault> {
        let mut refused = self.refused();
        let pin = pin.read()?;
        if let Some(Refused { said, .. }) =
            refused.as_ref().filter(|old| old.token == token && old.pin == pin)
        {
            return Err(Fault::PinRefused { said: said.clone() });
        }
        let info = context.get_token_info(slot).map_err(|error| failed(&error))?;
        if info.user_pin_locked() {
            return Err(Fault::PinRefused {
                said: "it is locked; its security officer can reset the PIN".into(),
            });
        }
        if info.user_pin_final_try() {
            return Err(Fault::PinLastTry);
        }
        match session.login(UserType::User, Some(&AuthPin::from(pin.as_str()))) {
            // All sessions of a program with a token are logged in together.
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(()),
            Err(Error::Pkcs11(error, _)) if is_about_pin(error) => {
                let said = format!("{error:?}");
                *refused = Some(Refused { token: token.to_owned(), pin, said: said.clone() });
                Err(Fault::PinRefused { said })
            }
            Err(error) => Err(failed(&error)),
        }
    }

    fn refused(&self) -> MutexGuard<'_, Option<Refused>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Module {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Module({})", self.path.display())
    }
}

impl Ready<'_> {
    pub(super) fn context(&self) -> Result<&Pkcs11, Fault> {
        self.0.context.as_ref().ok_or(Fault::Defect)
    }

    pub(super) fn generation(&self) -> u64 {
        self.0.generation
    }
}

fn set_up(context: &Pkcs11) -> Result<(), Fault> {
    match context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => Ok(()),
        Err(error) => Err(unusable(&error)),
    }
}

fn unusable(error: &Error) -> Fault {
    Fault::Module { said: said(error) }
}

/// What a failed call means where nothing more is known.
pub(super) fn failed(error: &Error) -> Fault {
    Fault::Token { said: said(error) }
}

/// The name of an error, without the paragraph of the specification about it.
fn said(error: &Error) -> String {
    match error {
        Error::Pkcs11(error, function) => format!("{function:?}: {error:?}"),
        other => other.to_string(),
    }
}

fn is_about_pin(error: RvError) -> bool {
    use RvError::{PinExpired, PinIncorrect, PinInvalid, PinLenRange, PinLocked, UserPinNotInitialized};
    matches!(error, PinExpired | PinIncorrect | PinInvalid | PinLenRange | PinLocked | UserPinNotInitialized)
}
