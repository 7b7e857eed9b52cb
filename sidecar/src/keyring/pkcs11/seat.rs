//! One session with a token, and what is done on it.
//!
//! Guarantees: a session that is lost is opened again and the call made once more; objects that a call made on the token
//! are removed when it ends; a failure that may mean either a changed wrapped key or an ill token is told apart by a trial.

use std::mem;
use std::sync::Arc;

use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use cryptoki::slot::Slot;
use cryptoki::types::Ulong;
use zeroize::{Zeroize as _, Zeroizing};

use super::super::{Created, Fault, KEY_BYTES, RecordKey, bound};
use super::module::{Module, Ready, failed};
use crate::config::keys::Pkcs11Config;

/// First byte of a wrapped key under AES Key Wrap.
const KEY_WRAP: u8 = 1;

/// First byte of a wrapped key under AES-GCM.
const GCM: u8 = 2;

/// Bytes that AES Key Wrap adds.
const KEY_WRAP_OVERHEAD: usize = 8;

/// Bytes of a nonce of AES-GCM.
const NONCE_BYTES: usize = 12;

/// Bits, and bytes, of a tag of AES-GCM.
const TAG_BITS: u64 = 128;
const TAG_BYTES: usize = 16;

/// One session, opened when it is needed.
pub(super) struct Seat {
    config: Pkcs11Config,
    module: Arc<Module>,
    open: Option<Open>,
}

/// A session that is logged in and has found its key.
struct Open {
    session: Session,
    key: ObjectHandle,
    wraps: Wraps,
    generation: u64,
}

/// How the key wraps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wraps {
    KeyWrap,
    Gcm,
}

/// How a call on a session ended badly.
enum Ended {
    /// The module said no.
    Said(Error),
    /// Something else.
    Fault(Fault),
}

impl From<Error> for Ended {
    fn from(error: Error) -> Self {
        Self::Said(error)
    }
}

impl From<Fault> for Ended {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl Seat {
    pub(super) fn new(config: &Pkcs11Config, module: Arc<Module>) -> Self {
        Self { config: config.clone(), module, open: None }
    }

    /// Wraps `key`.
    pub(super) fn wrap(&mut self, key: &RecordKey) -> Result<Vec<u8>, Fault> {
        let bound = bound(&self.config.id);
        self.on_session(|open| match open.wraps {
            Wraps::KeyWrap => key_wrap(open, key),
            Wraps::Gcm => gcm_encrypt(open, key, &bound),
        })
    }

    /// Unwraps a key that [`Seat::wrap`] wrapped.
    pub(super) fn unwrap(&mut self, wrapped: &[u8]) -> Result<RecordKey, Fault> {
        let bound = bound(&self.config.id);
        let (kind, rest) = wrapped.split_first().ok_or(Fault::NotWrapped)?;
        let ended = match (*kind, rest.len()) {
            (KEY_WRAP, length) if length == KEY_BYTES + KEY_WRAP_OVERHEAD => {
                self.on_session(|open| key_unwrap(open, rest))
            }
            (GCM, length) if length == NONCE_BYTES + KEY_BYTES + TAG_BYTES => {
                self.on_session(|open| gcm_decrypt(open, rest, &bound))
            }
            _ => return Err(Fault::NotWrapped),
        };
        // Tokens say many things of a wrapped key that was changed. One that still works says it of the key.
        match ended {
            Err(Fault::Token { .. }) if self.is_well() => Err(Fault::NotWrapped),
            ended => ended,
        }
    }

    /// Whether a key can be wrapped and unwrapped now.
    fn is_well(&mut self) -> bool {
        let trial = RecordKey::new(Zeroizing::new([0x5a; KEY_BYTES]));
        let bound = bound(&self.config.id);
        let tried = self.on_session(|open| {
            let unwrapped = match open.wraps {
                Wraps::KeyWrap => key_unwrap(open, tail(&key_wrap(open, &trial)?))?,
                Wraps::Gcm => gcm_decrypt(open, tail(&gcm_encrypt(open, &trial, &bound)?), &bound)?,
            };
            Ok(unwrapped.expose() == trial.expose())
        });
        tried == Ok(true)
    }

    /// Makes the key where the token has none of that label.
    pub(super) fn create(&mut self) -> Result<Created, Fault> {
        let module = Arc::clone(&self.module);
        let ready = module.ready()?;
        let context = ready.context()?;
        let slot = self.slot(&ready)?;
        let session = context.open_rw_session(slot).map_err(|error| failed(&error))?;
        self.module.log_in(context, slot, &session, &self.config.token, &self.config.pin)?;
        let label = self.config.key.as_bytes().to_vec();
        let found = session.find_objects(&sought(&label)).map_err(|error| failed(&error))?;
        match found.len() {
            0 => {}
            1 => return Ok(Created::Found),
            count => return Err(Fault::KeyCount { count, label: self.config.key.clone() }),
        }
        let wraps = mechanism(&ready, slot)?;
        let by = |wanted| wraps == wanted;
        let template = [
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::KeyType(KeyType::AES),
            Attribute::ValueLen(Ulong::from(32)),
            Attribute::Token(true),
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Wrap(by(Wraps::KeyWrap)),
            Attribute::Unwrap(by(Wraps::KeyWrap)),
            Attribute::Encrypt(by(Wraps::Gcm)),
            Attribute::Decrypt(by(Wraps::Gcm)),
            Attribute::Id(label.clone()),
            Attribute::Label(label),
        ];
        session.generate_key(&Mechanism::AesKeyGen, &template).map_err(|error| failed(&error))?;
        Ok(Created::Made)
    }

    /// Makes a call on the session, and makes it once more on a fresh one if the session or the token was lost.
    fn on_session<T>(&mut self, call: impl Fn(&Open) -> Result<T, Ended>) -> Result<T, Fault> {
        let module = Arc::clone(&self.module);
        let mut attempts = 0;
        loop {
            let ready = module.ready()?;
            let generation = ready.generation();
            let ended = match self.opened(&ready) {
                Ok(open) => call(open),
                Err(fault) => Err(Ended::Fault(fault)),
            };
            attempts += 1;
            let fault = match ended {
                Ok(value) => return Ok(value),
                Err(Ended::Said(error)) => failed(&error),
                Err(Ended::Fault(fault)) => fault,
            };
            // Whatever a session is worth after a failure, the next call has a fresh one.
            self.open = None;
            drop(ready);
            let is_lost =
                matches!(fault, Fault::Token { .. } | Fault::NoToken { .. } | Fault::KeyCount { .. });
            if attempts == 3 || !is_lost {
                return Err(fault);
            }
            // First a fresh session, then a fresh module: some look for tokens only while they are set up.
            if attempts == 2 {
                module.again(generation)?;
            }
        }
    }

    /// The session of this set-up of the module.
    fn opened(&mut self, ready: &Ready<'_>) -> Result<&Open, Fault> {
        if let Some(old) = self.open.take_if(|open| open.generation != ready.generation()) {
            // Its number may be that of another session by now, which dropping it would close.
            mem::forget(old.session);
        }
        if self.open.is_none() {
            self.open = Some(self.connect(ready)?);
        }
        self.open.as_ref().ok_or(Fault::Defect)
    }

    /// Opens a session, logs in and finds the key.
    fn connect(&self, ready: &Ready<'_>) -> Result<Open, Fault> {
        let (context, slot) = (ready.context()?, self.slot(ready)?);
        let session = context.open_ro_session(slot).map_err(|error| failed(&error))?;
        self.module.log_in(context, slot, &session, &self.config.token, &self.config.pin)?;
        let found = session.find_objects(&sought(self.config.key.as_bytes()));
        let found = found.map_err(|error| failed(&error))?;
        let [key] = *found.as_slice() else {
            return Err(Fault::KeyCount { count: found.len(), label: self.config.key.clone() });
        };
        let read = [
            AttributeType::Extractable,
            AttributeType::Sensitive,
            AttributeType::Wrap,
            AttributeType::Encrypt,
        ];
        let attributes = session.get_attributes(key, &read).map_err(|error| failed(&error))?;
        let has = |attribute| attributes.contains(&attribute);
        if has(Attribute::Extractable(true)) || has(Attribute::Sensitive(false)) {
            return Err(Fault::Extractable);
        }
        let wraps = match mechanism(ready, slot)? {
            Wraps::KeyWrap if has(Attribute::Wrap(true)) => Wraps::KeyWrap,
            _ if has(Attribute::Encrypt(true)) && knows(ready, slot, MechanismType::AES_GCM)? => Wraps::Gcm,
            _ => return Err(Fault::NoMechanism),
        };
        Ok(Open { session, key, wraps, generation: ready.generation() })
    }

    /// Where the token with the label is.
    fn slot(&self, ready: &Ready<'_>) -> Result<Slot, Fault> {
        let context = ready.context()?;
        let slots = context.get_slots_with_token().map_err(|error| failed(&error))?;
        let is_it =
            |slot: &Slot| context.get_token_info(*slot).is_ok_and(|token| token.label() == self.config.token);
        let absent = || Fault::NoToken { label: self.config.token.clone() };
        slots.into_iter().find(is_it).ok_or_else(absent)
    }
}

fn tail(wrapped: &[u8]) -> &[u8] {
    wrapped.get(1..).unwrap_or_default()
}

/// The keys that may be meant: AES, with the label.
fn sought(label: &[u8]) -> [Attribute; 3] {
    let class = Attribute::Class(ObjectClass::SECRET_KEY);
    [class, Attribute::KeyType(KeyType::AES), Attribute::Label(label.to_vec())]
}

/// How a token wraps: with AES Key Wrap where it can.
fn mechanism(ready: &Ready<'_>, slot: Slot) -> Result<Wraps, Fault> {
    if knows(ready, slot, MechanismType::AES_KEY_WRAP)? {
        Ok(Wraps::KeyWrap)
    } else if knows(ready, slot, MechanismType::AES_GCM)? {
        Ok(Wraps::Gcm)
    } else {
        Err(Fault::NoMechanism)
    }
}

fn knows(ready: &Ready<'_>, slot: Slot, mechanism: MechanismType) -> Result<bool, Fault> {
    let context = ready.context()?;
    match context.get_mechanism_info(slot, mechanism) {
        Ok(info) if mechanism == MechanismType::AES_KEY_WRAP => Ok(info.wrap() && info.unwrap()),
        Ok(info) => Ok(info.encrypt() && info.decrypt()),
        Err(Error::Pkcs11(RvError::MechanismInvalid, _)) => Ok(false),
        Err(error) => Err(failed(&error)),
    }
}

fn key_wrap(open: &Open, key: &RecordKey) -> Result<Vec<u8>, Ended> {
    let mut template = passing().to_vec();
    template.push(Attribute::Value(key.expose().to_vec()));
    let object = open.session.create_object(&template);
    wipe(&mut template);
    let object = object?;
    let wrapped = open.session.wrap_key(&Mechanism::AesKeyWrap, open.key, object);
    open.session.destroy_object(object)?;
    let wrapped = wrapped?;
    if wrapped.len() != KEY_BYTES + KEY_WRAP_OVERHEAD {
        return Err(Fault::Malformed { what: "AES Key Wrap of 32 bytes gave another length than 40" }.into());
    }
    Ok([&[KEY_WRAP], wrapped.as_slice()].concat())
}

fn key_unwrap(open: &Open, wrapped: &[u8]) -> Result<RecordKey, Ended> {
    let object = open.session.unwrap_key(&Mechanism::AesKeyWrap, open.key, wrapped, &passing())?;
    let read = open.session.get_attributes(object, &[AttributeType::Value]);
    open.session.destroy_object(object)?;
    let mut read = read?;
    let key = match read.as_slice() {
        [Attribute::Value(bytes)] => record_key(bytes),
        _ => None,
    };
    wipe(&mut read);
    key.ok_or_else(|| Fault::Malformed { what: "the token unwrapped something else than 32 bytes" }.into())
}

/// A record key on its way through the token: of the session only, gone with it at the latest.
fn passing() -> [Attribute; 6] {
    [
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::AES),
        Attribute::Token(false),
        Attribute::Private(true),
        Attribute::Sensitive(false),
        Attribute::Extractable(true),
    ]
}

fn wipe(attributes: &mut [Attribute]) {
    for attribute in attributes {
        if let Attribute::Value(bytes) = attribute {
            bytes.zeroize();
        }
    }
}

fn record_key(bytes: &[u8]) -> Option<RecordKey> {
    Some(RecordKey::new(Zeroizing::new(bytes.try_into().ok()?)))
}

fn gcm_encrypt(open: &Open, key: &RecordKey, bound: &[u8]) -> Result<Vec<u8>, Ended> {
    // A token that makes its own nonces writes over this one.
    let mut nonce = [0; NONCE_BYTES];
    open.session.generate_random_slice(&mut nonce)?;
    let params = GcmParams::new(&mut nonce, bound, Ulong::from(TAG_BITS))?;
    let ciphertext = open.session.encrypt(&Mechanism::AesGcm(params), open.key, key.expose())?;
    if ciphertext.len() != KEY_BYTES + TAG_BYTES {
        return Err(Fault::Malformed { what: "AES-GCM of 32 bytes gave another length than 48" }.into());
    }
    Ok([&[GCM], nonce.as_slice(), ciphertext.as_slice()].concat())
}

fn gcm_decrypt(open: &Open, wrapped: &[u8], bound: &[u8]) -> Result<RecordKey, Ended> {
    let Some((nonce, ciphertext)) = wrapped.split_first_chunk::<NONCE_BYTES>() else {
        return Err(Fault::NotWrapped.into());
    };
    let mut nonce = *nonce;
    let params = GcmParams::new(&mut nonce, bound, Ulong::from(TAG_BITS))?;
    let bytes = Zeroizing::new(open.session.decrypt(&Mechanism::AesGcm(params), open.key, ciphertext)?);
    record_key(&bytes)
        .ok_or_else(|| Fault::Malformed { what: "the token decrypted something else than 32 bytes" }.into())
}
