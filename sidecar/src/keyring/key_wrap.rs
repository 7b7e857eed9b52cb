//! AES Key Wrap of record keys (RFC 3394).

use aes_kw::KwAes256;
use zeroize::{Zeroize as _, Zeroizing};

use super::{KEY_BYTES, KeyringError, RecordKey, WrappedKey};

/// Bytes that it adds (RFC 3394, section 2.2.1).
pub(super) const WRAP_OVERHEAD_BYTES: usize = 8;

pub(super) fn wrap(cipher: &KwAes256, key: &RecordKey) -> Result<WrappedKey, KeyringError> {
    let mut wrapped = vec![0; KEY_BYTES + WRAP_OVERHEAD_BYTES];
    cipher.wrap_key(key.expose(), &mut wrapped).map_err(|_| KeyringError::BadWrappedKey)?;
    WrappedKey::new(wrapped)
}

pub(super) fn unwrap(cipher: &KwAes256, wrapped: &WrappedKey) -> Result<RecordKey, KeyringError> {
    if wrapped.as_bytes().len() != KEY_BYTES + WRAP_OVERHEAD_BYTES {
        return Err(KeyringError::BadWrappedKey);
    }
    let mut buffer = Zeroizing::new([0; KEY_BYTES + WRAP_OVERHEAD_BYTES]);
    let key = cipher
        .unwrap_key(wrapped.as_bytes(), buffer.as_mut_slice())
        .map_err(|_| KeyringError::BadWrappedKey)?;
    let mut key: [u8; KEY_BYTES] = key.try_into().map_err(|_| KeyringError::BadWrappedKey)?;
    let record_key = RecordKey::new(Zeroizing::new(key));
    key.zeroize();
    Ok(record_key)
}
