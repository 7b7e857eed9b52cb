//! The target of what services answer that hold keys: Vault's transit engine, AWS KMS, and where AWS credentials come from.

use ledgerstone_sidecar::keyring::aws_kms::credentials::{assumed, given};
use ledgerstone_sidecar::keyring::{Fault, KeyId, KeyringError, WrappedKey, aws_kms, vault};
use ledgerstone_sidecar::outbound::http::Answer;

/// The key that the corpus' answers of AWS KMS are about.
pub const KEY: &str = "arn:aws:kms:eu-central-1:123456789012:key/e2d8fe1e-768f-4fba-afd4-b30939b86be2";

/// An answer to any call of a key provider: three digits of its status, and its body.
#[must_use]
pub fn key_answer(bytes: &[u8]) -> bool {
    let Some((status, body)) = bytes.split_first_chunk::<3>() else { return false };
    let status = std::str::from_utf8(status).ok().and_then(|status| status.parse().ok());
    let answer = status.and_then(|status: u16| Answer::new(status, body.to_vec().into()));
    let Some(answer) = answer else { return false };
    let vault = taken(vault::encrypted(&answer)).map(String::into_bytes);
    let kms = taken(aws_kms::encrypted(&answer, KEY));
    for wrapped in [&vault, &kms].into_iter().flatten() {
        assert!(status == Some(200), "only an answer with status 200 holds a wrapped key");
        assert!(WrappedKey::new(wrapped.clone()).is_ok(), "what is taken can be stored");
    }
    let vault_key = taken(vault::decrypted(&answer)).is_some();
    let kms_key = taken(aws_kms::decrypted(&answer, KEY)).is_some();
    let role = [given(&answer), assumed(&answer)].into_iter().any(|role| role.is_ok());
    assert!(status == Some(200) || !(vault_key || kms_key), "only an answer with status 200 holds a key");
    [vault.is_some(), kms.is_some(), vault_key, kms_key, role].contains(&true)
}

/// What was taken. What was not says what to do, on one line and without control characters.
fn taken<T>(read: Result<T, Fault>) -> Option<T> {
    let fault = match read {
        Ok(value) => return Some(value),
        Err(fault) => fault,
    };
    let id = KeyId::new("fuzz").ok()?;
    let shown = KeyringError::Unavailable { id, fault }.to_string();
    assert!(!shown.contains(char::is_control) && shown.len() < 1000, "a message is one short line");
    None
}
