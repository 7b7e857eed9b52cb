//! Vault's transit engine.

use std::process::Command;

use ledgerstone::code::Code;
use ledgerstone_sidecar::keyring::{Created, Fault, KeyProvider as _, KeyringError, WrappedKey, open};
use ledgerstone_sidecar::tls::install_crypto_provider;
use serde_json::json;

use crate::tools::{Vault, config, id, key, secret};

async fn vault(what: &str) -> Option<(tempfile::TempDir, Vault)> {
    let folder = tempfile::tempdir().unwrap();
    let vault = Vault::start(what, folder.path(), false).await?;
    Some((folder, vault))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_version_of_the_key_unwraps_what_it_wrapped() {
    let Some((_folder, vault)) = vault("key versions").await else { return };
    let keys = open(&config(&vault.keys("vault-1"))).unwrap();
    let first = keys.wrap(&key(1)).unwrap();
    assert!(first.as_bytes().starts_with(b"vault:v1:"));
    assert!(vault.ask("POST", "transit/keys/records/rotate", json!({})).await.0 < 300);
    let second = keys.wrap(&key(2)).unwrap();
    assert!(second.as_bytes().starts_with(b"vault:v2:"));
    assert_eq!(keys.unwrap(&id("vault-1"), &first).unwrap().expose(), key(1).expose());
    assert_eq!(keys.unwrap(&id("vault-1"), &second).unwrap().expose(), key(2).expose());
    // The operator withdraws the first version: the wrapped key is well, and the server says why it refuses.
    assert!(
        vault.ask("POST", "transit/keys/records/config", json!({"min_decryption_version": 2})).await.0 < 300
    );
    let error = keys.unwrap(&id("vault-1"), &first).unwrap_err();
    assert!(error.is_of_provider() && error.to_string().contains("too old"), "{error}");
    assert!(keys.unwrap(&id("vault-1"), &second).is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrapped_key_unwraps_only_unchanged_and_under_its_name() {
    let Some((_folder, vault)) = vault("changed keys").await else { return };
    let keys = open(&config(&vault.keys("vault-1"))).unwrap();
    let wrapped = keys.wrap(&key(1)).unwrap();
    for at in 0..wrapped.as_bytes().len() {
        let mut bytes = wrapped.as_bytes().to_vec();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let error = keys.unwrap(&id("vault-1"), &WrappedKey::new(bytes).unwrap()).unwrap_err();
        assert_eq!(error, KeyringError::BadWrappedKey, "byte {at}");
    }
    let renamed = open(&config(&vault.keys("vault-2"))).unwrap();
    assert_eq!(renamed.unwrap(&id("vault-2"), &wrapped).unwrap_err(), KeyringError::BadWrappedKey);
    let error = renamed.unwrap(&id("vault-1"), &wrapped).unwrap_err();
    assert!(matches!(error, KeyringError::UnknownKey { .. }), "{error}");
    assert!(keys.unwrap(&id("vault-1"), &wrapped).is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_vault_is_said_to_be_and_works_again_when_it_is_open() {
    let Some((_folder, vault)) = vault("a sealed Vault").await else { return };
    let keys = open(&config(&vault.keys("vault-1"))).unwrap();
    let wrapped = keys.wrap(&key(1)).unwrap();
    vault.seal().await;
    let error = keys.wrap(&key(1)).unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
    assert!(matches!(error, KeyringError::Unavailable { fault: Fault::Sealed, .. }), "{error}");
    vault.unseal().await;
    assert_eq!(keys.unwrap(&id("vault-1"), &wrapped).unwrap().expose(), key(1).expose());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_may_be_renewed_revoked_and_missing() {
    let Some((_folder, vault)) = vault("tokens").await else { return };
    let keys = open(&config(&vault.keys("vault-1"))).unwrap();
    let wrapped = keys.wrap(&key(1)).unwrap();
    let first = std::fs::read_to_string(vault.token_file()).unwrap();
    secret(&vault.token_file(), &vault.token().await);
    assert!(vault.ask("POST", "auth/token/revoke", json!({"token": first})).await.0 < 300);
    assert!(keys.unwrap(&id("vault-1"), &wrapped).is_ok(), "the new token is read");
    secret(&vault.token_file(), &first);
    let error = keys.unwrap(&id("vault-1"), &wrapped).unwrap_err();
    assert!(matches!(error, KeyringError::Refused { fault: Fault::Denied { .. }, .. }), "{error}");
    assert!(!error.to_string().contains(&first), "no message shows a token");
    std::fs::remove_file(vault.token_file()).unwrap();
    let error = keys.wrap(&key(1)).unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
    assert!(error.to_string().contains("/token: No such file"), "{error}");
    secret(&vault.token_file(), &vault.token().await);
    assert!(keys.unwrap(&id("vault-1"), &wrapped).is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_made_by_whoever_may_and_never_by_a_wrong_name() {
    let Some((_folder, vault)) = vault("making keys").await else { return };
    let other = vault.keys("vault-1").replace("key = \"records\"", "key = \"loans\"");
    let keys = open(&config(&other)).unwrap();
    // The sidecar's own token may use one key, so a wrong name makes no key.
    let error = keys.wrap(&key(1)).unwrap_err();
    assert!(matches!(error, KeyringError::Refused { fault: Fault::Denied { .. }, .. }), "{error}");
    assert_eq!(vault.ask("GET", "transit/keys/loans", json!({})).await.0, 404);
    assert!(keys.current().create().is_err());
    secret(&vault.token_file(), vault.root_token());
    assert_eq!(keys.current().create(), Ok(Created::Made));
    assert_eq!(keys.current().create(), Ok(Created::Found));
    let made = vault.ask("GET", "transit/keys/loans", json!({})).await.1;
    assert_eq!((&made["data"]["exportable"], &made["data"]["type"]), (&json!(false), &json!("aes256-gcm96")));
    assert!(keys.wrap(&key(1)).is_ok());
    let nowhere = other.replace("key = \"loans\"", "key = \"loans\", mount = \"secrets/transit\"");
    let error = open(&config(&nowhere)).unwrap().wrap(&key(1)).unwrap_err();
    assert!(matches!(error, KeyringError::Refused { fault: Fault::NoKey { .. }, .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_only_the_named_authority_is_trusted() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["tls", "other"] {
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"])
            .args(["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"])
            .args(["-addext", "basicConstraints=critical,CA:FALSE"])
            .args(["-keyout", &format!("{name}.key"), "-out", &format!("{name}.pem")])
            .current_dir(folder.path())
            .output();
        if !made.is_ok_and(|output| output.status.success()) {
            return crate::tools::skipped("TLS", "openssl is not installed");
        }
    }
    install_crypto_provider();
    let Some(vault) = Vault::start("TLS", folder.path(), true).await else { return };
    let right = vault.keys("vault-1");
    let keys = open(&config(&right)).unwrap();
    let wrapped = keys.wrap(&key(1)).unwrap();
    assert!(keys.unwrap(&id("vault-1"), &wrapped).is_ok());
    let error = open(&config(&right.replace("tls.pem", "other.pem"))).unwrap().wrap(&key(1)).unwrap_err();
    assert!(error.to_string().contains("cannot be reached"), "{error}");
    let plain = right.replace("https://localhost", "http://127.0.0.1");
    assert!(open(&config(&plain)).unwrap().wrap(&key(1)).is_err());
}
