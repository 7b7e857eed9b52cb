//! SoftHSM through its module.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::Attribute;
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;
use ledgerstone::code::Code;
use ledgerstone_sidecar::keyring::{
    Configured, Created, Fault, KeyProvider as _, KeyringError, WrappedKey, open,
};

use crate::support::PATIENCE;
use crate::tools::{PIN, SoftHsm, TOKEN, alone, config, id, key, secret};

/// A token of its own for the test named `test`, in a process of its own.
fn with_token(test: &str) -> Option<SoftHsm> {
    if let Some(folder) = std::env::var_os("LEDGERSTONE_TEST_ALONE") {
        let folder = PathBuf::from(folder);
        let module = std::fs::read_to_string(folder.join("module")).unwrap().into();
        return Some(SoftHsm { folder, module });
    }
    let folder = tempfile::tempdir().unwrap();
    let hsm = SoftHsm::start(test, folder.path())?;
    std::fs::write(folder.path().join("module"), hsm.module.display().to_string()).unwrap();
    assert!(!alone(test, folder.path()), "this is the parent");
    None
}

fn opened(hsm: &SoftHsm) -> std::sync::Arc<Configured> {
    open(&config(&hsm.keys("hsm-1"))).unwrap()
}

/// A session of another program with the token, read and write.
fn session(hsm: &SoftHsm) -> Session {
    session_as(hsm, PIN)
}

fn session_as(hsm: &SoftHsm, pin: &str) -> Session {
    let context = Pkcs11::new(&hsm.module).unwrap();
    _ = context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK));
    let mut slots = context.get_slots_with_token().unwrap().into_iter();
    let slot = slots.find(|slot| context.get_token_info(*slot).unwrap().label() == TOKEN).unwrap();
    let session = context.open_rw_session(slot).unwrap();
    _ = session.login(UserType::User, Some(&AuthPin::from(pin)));
    session
}

/// Changes the PIN, and leaves nobody logged in.
fn change_pin(hsm: &SoftHsm, old: &str, new: &str) {
    let session = session_as(hsm, old);
    session.set_pin(&AuthPin::from(old), &AuthPin::from(new)).unwrap();
    session.logout().unwrap();
}

/// Makes an AES key with other attributes than ours has.
fn foreign_key(hsm: &SoftHsm, attributes: &[Attribute]) {
    let label = b"records".to_vec();
    let mut template = vec![Attribute::Token(true), Attribute::ValueLen(32.into()), Attribute::Label(label)];
    template.extend_from_slice(attributes);
    session(hsm).generate_key(&Mechanism::AesKeyGen, &template).unwrap();
}

#[test]
fn a_token_makes_its_key_once_and_wraps_and_unwraps_with_it() {
    let Some(hsm) = with_token("pkcs11::a_token_makes_its_key_once_and_wraps_and_unwraps_with_it") else {
        return;
    };
    let keys = opened(&hsm);
    let error = keys.wrap(&key(1)).unwrap_err();
    assert!(error.to_string().contains("the token has 0 AES keys with the label \"records\""), "{error}");
    assert_eq!(keys.current().create(), Ok(Created::Made));
    assert_eq!(keys.current().create(), Ok(Created::Found));
    let wrapped = keys.wrap(&key(1)).unwrap();
    assert_eq!((wrapped.as_bytes().len(), wrapped.as_bytes()[0]), (41, 1), "AES Key Wrap");
    assert_eq!(keys.unwrap(&id("hsm-1"), &wrapped).unwrap().expose(), key(1).expose());
    let error = keys.unwrap(&id("hsm-2"), &wrapped).unwrap_err();
    assert!(matches!(error, KeyringError::UnknownKey { .. }), "{error}");
    // Nothing that passed through the token stayed there.
    let objects = session(&hsm).find_objects(&[]).unwrap();
    assert_eq!(objects.len(), 1);
}

#[test]
fn a_changed_wrapped_key_is_told_from_an_ill_token() {
    let Some(hsm) = with_token("pkcs11::a_changed_wrapped_key_is_told_from_an_ill_token") else { return };
    let keys = opened(&hsm);
    keys.current().create().unwrap();
    let wrapped = keys.wrap(&key(2)).unwrap();
    for at in 0..wrapped.as_bytes().len() {
        let mut bytes = wrapped.as_bytes().to_vec();
        bytes[at] ^= 1;
        let changed = WrappedKey::new(bytes).unwrap();
        assert_eq!(
            keys.unwrap(&id("hsm-1"), &changed).unwrap_err(),
            KeyringError::BadWrappedKey,
            "byte {at}"
        );
    }
    for length in [1, 40, 42, 61] {
        for first in [1, 2] {
            let mut bytes = vec![7; length];
            bytes[0] = first;
            let other = WrappedKey::new(bytes).unwrap();
            assert_eq!(keys.unwrap(&id("hsm-1"), &other).unwrap_err(), KeyringError::BadWrappedKey);
        }
    }
    assert!(keys.unwrap(&id("hsm-1"), &wrapped).is_ok());
}

#[test]
fn a_key_that_may_only_encrypt_wraps_with_aes_gcm() {
    let Some(hsm) = with_token("pkcs11::a_key_that_may_only_encrypt_wraps_with_aes_gcm") else { return };
    let no = |attribute: fn(bool) -> Attribute| attribute(false);
    let yes = |attribute: fn(bool) -> Attribute| attribute(true);
    foreign_key(
        &hsm,
        &[
            yes(Attribute::Sensitive),
            no(Attribute::Extractable),
            no(Attribute::Wrap),
            no(Attribute::Unwrap),
            yes(Attribute::Encrypt),
            yes(Attribute::Decrypt),
        ],
    );
    let keys = opened(&hsm);
    let wrapped = keys.wrap(&key(3)).unwrap();
    assert_eq!((wrapped.as_bytes().len(), wrapped.as_bytes()[0]), (61, 2));
    assert_ne!(keys.wrap(&key(3)).unwrap(), wrapped, "each has a nonce of its own");
    assert_eq!(keys.unwrap(&id("hsm-1"), &wrapped).unwrap().expose(), key(3).expose());
    for at in 1..wrapped.as_bytes().len() {
        let mut bytes = wrapped.as_bytes().to_vec();
        bytes[at] ^= 0x80;
        let changed = WrappedKey::new(bytes).unwrap();
        assert_eq!(
            keys.unwrap(&id("hsm-1"), &changed).unwrap_err(),
            KeyringError::BadWrappedKey,
            "byte {at}"
        );
    }
    // The same key under another name in the configuration.
    let renamed = open(&config(&hsm.keys("hsm-2"))).unwrap();
    assert_eq!(renamed.unwrap(&id("hsm-2"), &wrapped).unwrap_err(), KeyringError::BadWrappedKey);
}

#[test]
fn a_key_that_can_be_extracted_is_refused() {
    let Some(hsm) = with_token("pkcs11::a_key_that_can_be_extracted_is_refused") else { return };
    foreign_key(&hsm, &[Attribute::Sensitive(true), Attribute::Extractable(true), Attribute::Wrap(true)]);
    let error = opened(&hsm).wrap(&key(1)).unwrap_err();
    assert!(matches!(error, KeyringError::Refused { fault: Fault::Extractable, .. }), "{error}");
    // Two keys of one label: which one wrapped would be chance.
    foreign_key(&hsm, &[Attribute::Sensitive(true), Attribute::Extractable(false), Attribute::Wrap(true)]);
    let error = opened(&hsm).wrap(&key(1)).unwrap_err();
    assert!(error.to_string().contains("the token has 2 AES keys"), "{error}");
}

#[test]
fn a_wrong_pin_is_tried_once_and_the_right_one_works_without_a_restart() {
    let Some(hsm) = with_token("pkcs11::a_wrong_pin_is_tried_once_and_the_right_one_works_without_a_restart")
    else {
        return;
    };
    opened(&hsm).current().create().unwrap();
    // Logging out ends what the provider above logged in: a program is logged in as a whole.
    session(&hsm).logout().unwrap();
    secret(&hsm.pin_file(), "9999");
    let keys = opened(&hsm);
    let messages: Vec<String> = (0..20).map(|_| keys.wrap(&key(1)).unwrap_err().to_string()).collect();
    assert!(messages[0].contains("the token refuses the PIN (PinIncorrect)"), "{}", messages[0]);
    assert!(messages.iter().all(|message| *message == messages[0]));
    // Twenty calls, one try: were there another, it would be let in from here on.
    change_pin(&hsm, PIN, "9999");
    for _ in 0..5 {
        assert_eq!(
            keys.wrap(&key(1)).unwrap_err().to_string(),
            messages[0],
            "the refused PIN was tried again"
        );
    }
    assert_eq!(opened(&hsm).wrap(&key(1)).map(drop), Ok(()), "it is the right one by now");
    session(&hsm).logout().unwrap();
    change_pin(&hsm, "9999", "7777");
    secret(&hsm.pin_file(), "7777");
    assert_eq!(keys.wrap(&key(1)).map(drop), Ok(()));
}

#[test]
fn a_pin_file_that_is_missing_is_named_and_may_come_later() {
    let Some(hsm) = with_token("pkcs11::a_pin_file_that_is_missing_is_named_and_may_come_later") else {
        return;
    };
    std::fs::remove_file(hsm.pin_file()).unwrap();
    let keys = opened(&hsm);
    let error = keys.wrap(&key(1)).unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
    assert!(error.to_string().contains("/pin: No such file"), "{error}");
    secret(&hsm.pin_file(), PIN);
    keys.current().create().unwrap();
    assert!(keys.wrap(&key(1)).is_ok());
}

#[test]
fn a_token_that_went_away_between_calls_works_when_it_is_back() {
    let Some(hsm) = with_token("pkcs11::a_token_that_went_away_between_calls_works_when_it_is_back") else {
        return;
    };
    let keys = opened(&hsm);
    keys.current().create().unwrap();
    let wrapped = keys.wrap(&key(4)).unwrap();
    let (tokens, away) = (hsm.tokens(), hsm.folder.join("away"));
    for _ in 0..2 {
        std::fs::rename(&tokens, &away).unwrap();
        std::fs::create_dir(&tokens).unwrap();
        until_unavailable(&keys);
        std::fs::remove_dir(&tokens).unwrap();
        std::fs::rename(&away, &tokens).unwrap();
        let started = Instant::now();
        // Each session notices by a call of its own that the token is back.
        let again = loop {
            match keys.unwrap(&id("hsm-1"), &wrapped) {
                Ok(again) => break again,
                Err(error) => assert_eq!(error.code(), Code::Unavailable, "{error}"),
            }
            assert!(started.elapsed() < PATIENCE, "it never came back");
            std::thread::sleep(Duration::from_millis(20));
        };
        assert_eq!(again.expose(), key(4).expose());
    }
}

/// Calls until the token is found gone, and checks that this is what is said.
fn until_unavailable(keys: &Configured) {
    let started = Instant::now();
    loop {
        match keys.wrap(&key(4)) {
            Err(error) => {
                assert_eq!(error.code(), Code::Unavailable, "{error}");
                return;
            }
            // SoftHSM keeps what it read for a while.
            Ok(_) => assert!(started.elapsed() < PATIENCE, "the token is gone and nobody saw it"),
        }
    }
}

#[test]
fn many_threads_wrap_while_the_token_goes_and_comes() {
    let Some(hsm) = with_token("pkcs11::many_threads_wrap_while_the_token_goes_and_comes") else { return };
    let keys = opened(&hsm);
    keys.current().create().unwrap();
    let (tokens, away) = (hsm.tokens(), hsm.folder.join("away"));
    let until = Instant::now() + Duration::from_secs(3);
    let counts = std::thread::scope(|scope| {
        let workers: Vec<_> = (0_u8..8)
            .map(|n| {
                let keys = &keys;
                scope.spawn(move || {
                    let (mut done, mut failed) = (0, 0);
                    while Instant::now() < until {
                        match keys.wrap(&key(n)) {
                            Ok(wrapped) => {
                                done += 1;
                                match keys.unwrap(&id("hsm-1"), &wrapped) {
                                    Ok(unwrapped) => assert_eq!(unwrapped.expose(), key(n).expose()),
                                    Err(error) => assert_ne!(error, KeyringError::BadWrappedKey),
                                }
                            }
                            Err(error) => {
                                assert!(error.is_of_provider(), "{error}");
                                failed += 1;
                                std::thread::sleep(Duration::from_millis(5));
                            }
                        }
                    }
                    (done, failed)
                })
            })
            .collect();
        for _ in 0..4 {
            std::thread::sleep(Duration::from_millis(300));
            std::fs::rename(&tokens, &away).unwrap();
            std::thread::sleep(Duration::from_millis(300));
            std::fs::rename(&away, &tokens).unwrap();
        }
        workers.into_iter().map(|worker| worker.join().unwrap()).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1))
    });
    assert!(counts.0 > 100, "{counts:?}");
    let started = Instant::now();
    while keys.wrap(&key(1)).is_err() {
        assert!(started.elapsed() < PATIENCE, "it never came back");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_module_that_is_none_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let pin = folder.path().join("pin");
    secret(&pin, PIN);
    let text = folder.path().join("text.so");
    std::fs::write(&text, "no library").unwrap();
    for module in [Path::new("/no/such/module.so"), &text, Path::new("libc.so.6")] {
        let keys = format!(
            "provider = \"pkcs11\"\nid = \"x\"\npkcs11 = {{ module = {module:?}, token = \"t\", key = \"k\", pin_file = {pin:?} }}\n"
        );
        let error = open(&config(&keys)).unwrap().wrap(&key(1)).unwrap_err();
        assert!(matches!(error, KeyringError::Refused { fault: Fault::Module { .. }, .. }), "{error}");
        assert!(error.to_string().contains("check keys.pkcs11.module"), "{error}");
    }
}
