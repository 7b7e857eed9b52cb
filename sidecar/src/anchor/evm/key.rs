//! The key that sends anchor transactions, behind a trait.
//!
//! Guarantees: a key file that others can read is refused; the key is wiped from memory when dropped and never printed;
//! signing the same transaction twice gives the same bytes (RFC 6979), so what a crash lost can be made again. The key
//! is a key of its own: it is neither the log's nor one that wraps records, and all that its owner can do is to move the
//! head of one log forward in one contract.
//! Does not do: hardware; a signer for it implements [`AnchorSigner`].

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use alloy_primitives::{Address, B256, Signature};
use k256::ecdsa::SigningKey;
use ledgerstone::code::Code;
use ledgerstone::encoding::{base64_decode, base64_encode, hex_decode, hex_encode};
use zeroize::Zeroizing;

use crate::keyring::{
    KEY_BYTES, KeyFileError, KeyId, KeyProvider, KeyringError, RecordKey, WrappedKey, check_mode,
    write_private,
};
use crate::locked::Locked;

/// Bytes of a key file; a real one has under 200.
const FILE_BYTES_MAX: u64 = 4096;

/// First word of a key file that holds a wrapped key.
const WRAPPED_MAGIC: &str = "ledgerstone-anchor-key-v1";

/// Signs the hash of a transaction.
pub trait AnchorSigner: Send + Sync {
    /// The account whose transactions these are.
    fn address(&self) -> Address;

    /// Signs a transaction's signing hash (EIP-1559). The same hash always gives the same signature.
    ///
    /// # Errors
    /// [`SignError`] if the key cannot be reached or refuses.
    fn sign(&self, hash: &B256) -> Result<Signature, SignError>;
}

/// The signer did not sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the anchor key did not sign; check the device or service that holds it")]
pub struct SignError;

/// A key from a file.
pub struct FileSigner {
    key: Locked<SigningKey>,
    address: Address,
}

impl FileSigner {
    /// Reads the key file at `path`: 64 hexadecimal digits with or without `0x`, or a key wrapped under `keys`.
    ///
    /// # Errors
    /// [`AnchorKeyError`] says what is wrong with the file, never what it holds.
    pub fn load(path: &Path, keys: Option<&dyn KeyProvider>) -> Result<Self, AnchorKeyError> {
        let unreadable = |source| AnchorKeyError::Unreadable { path: path.to_owned(), source };
        let metadata = fs::metadata(path).map_err(unreadable)?;
        check_mode(path, &metadata)?;
        if metadata.len() > FILE_BYTES_MAX {
            return Err(AnchorKeyError::Malformed { path: path.to_owned() });
        }
        let text = Zeroizing::new(fs::read_to_string(path).map_err(unreadable)?);
        let line = text.strip_suffix('\n').unwrap_or(&text);
        match line.strip_prefix(WRAPPED_MAGIC) {
            Some(words) => Self::unwrap(path, words, keys),
            None => Self::from_hex(line).ok_or_else(|| AnchorKeyError::Malformed { path: path.to_owned() }),
        }
    }

    /// Draws a key and writes it to a new file that only its owner can read, wrapped under `keys` if given.
    ///
    /// # Errors
    /// [`AnchorKeyError`] if there is a file already, or it cannot be written.
    pub fn create(path: &Path, keys: Option<&dyn KeyProvider>) -> Result<Self, AnchorKeyError> {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        let signer = loop {
            getrandom::fill(bytes.as_mut_slice()).map_err(|_| AnchorKeyError::NoRandomness)?;
            // All but one in 2^128 draws is a key of the curve.
            if let Some(signer) = Self::from_bytes(&bytes) {
                break signer;
            }
        };
        let text = match keys {
            None => Zeroizing::new(format!("{}\n", Zeroizing::new(hex_encode(bytes.as_slice())).as_str())),
            Some(keys) => {
                let wrapped = keys.wrap(&RecordKey::new(bytes))?;
                let wrapped = base64_encode(wrapped.as_bytes());
                Zeroizing::new(format!("{WRAPPED_MAGIC} {} {wrapped}\n", keys.key_id()))
            }
        };
        write_private(path, text.as_bytes())
            .map_err(|source| AnchorKeyError::Unwritable { path: path.to_owned(), source })?;
        Ok(signer)
    }

    /// Takes the 32 bytes of a secp256k1 key; `None` if they are none.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; KEY_BYTES]) -> Option<Self> {
        let key = SigningKey::from_slice(bytes).ok()?;
        let address = Address::from_public_key(key.verifying_key());
        Some(Self { key: Locked::new(key), address })
    }

    fn from_hex(line: &str) -> Option<Self> {
        let bytes = Zeroizing::new(hex_decode(line.strip_prefix("0x").unwrap_or(line)).ok()?);
        Self::from_bytes(bytes.as_slice().try_into().ok()?)
    }

    fn unwrap(path: &Path, words: &str, keys: Option<&dyn KeyProvider>) -> Result<Self, AnchorKeyError> {
        let malformed = || AnchorKeyError::Malformed { path: path.to_owned() };
        let mut words = words.split(' ').skip(1);
        let (Some(id), Some(wrapped), None) = (words.next(), words.next(), words.next()) else {
            return Err(malformed());
        };
        let id = KeyId::new(id).map_err(|_| malformed())?;
        let wrapped = WrappedKey::new(base64_decode(wrapped).map_err(|_| malformed())?)?;
        let keys = keys.ok_or(AnchorKeyError::NoProvider { path: path.to_owned() })?;
        Self::from_bytes(keys.unwrap(&id, &wrapped)?.expose()).ok_or_else(malformed)
    }
}

impl AnchorSigner for FileSigner {
    fn address(&self) -> Address {
        self.address
    }

    fn sign(&self, hash: &B256) -> Result<Signature, SignError> {
        let signed = self.key.sign_prehash_recoverable(hash.as_slice()).map_err(|_| SignError)?;
        Ok(Signature::from(signed))
    }
}

impl fmt::Debug for FileSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileSigner({})", self.address)
    }
}

/// Why an anchor key cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnchorKeyError {
    /// The file cannot be read.
    #[error(
        "cannot read the anchor key file {path}: {source}; check that it exists and that this user may read it"
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// The file cannot be written.
    #[error("cannot write the anchor key file {path}: {source}; an existing key is never overwritten")]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// Others can read it.
    #[error(transparent)]
    Mode(#[from] KeyFileError),
    /// It is not a key file.
    #[error(
        "{path} is not an anchor key file: write one line, 64 hexadecimal digits, or make one with `anchor key`"
    )]
    Malformed {
        /// The file.
        path: PathBuf,
    },
    /// The key in the file is wrapped and there is nothing to unwrap it.
    #[error("the key in {path} is wrapped: name the key that wraps it with keys.file")]
    NoProvider {
        /// The file.
        path: PathBuf,
    },
    /// The key does not unwrap.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// No randomness for a fresh key.
    #[error("the operating system gives no randomness")]
    NoRandomness,
}

impl AnchorKeyError {
    /// What the reader must do about it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Unreadable { .. } | Self::Unwritable { .. } | Self::NoProvider { .. } => Code::Misuse,
            Self::Mode(error) => error.code(),
            Self::Malformed { .. } => Code::Malformed,
            Self::Keyring(error) => error.code(),
            Self::NoRandomness => Code::Unavailable,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyring::FileKeyProvider;

    /// The first account of the test mnemonic that anvil and hardhat print.
    const KEY: &str = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
    const ADDRESS: &str = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";

    fn write(folder: &Path, text: &str, mode: u32) -> PathBuf {
        use std::os::unix::fs::PermissionsExt as _;
        let path = folder.join("anchor.key");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn reads_a_key_in_hex_and_knows_its_address() {
        let folder = tempfile::tempdir().unwrap();
        for text in [format!("{KEY}\n"), format!("0x{KEY}\n"), KEY.to_owned()] {
            let signer = FileSigner::load(&write(folder.path(), &text, 0o600), None).unwrap();
            assert_eq!(signer.address().to_string(), ADDRESS);
            assert_eq!(format!("{signer:?}"), format!("FileSigner({ADDRESS})"));
        }
    }

    #[test]
    fn a_created_key_reads_back_wrapped_or_not() {
        let folder = tempfile::tempdir().unwrap();
        let keys = FileKeyProvider::from_key(KeyId::new("kek-1").unwrap(), &[7; KEY_BYTES]);
        let plain = FileSigner::create(&folder.path().join("plain"), None).unwrap();
        let read = FileSigner::load(&folder.path().join("plain"), None).unwrap();
        assert_eq!(plain.address(), read.address());

        let path = folder.path().join("wrapped");
        let wrapped = FileSigner::create(&path, Some(&keys)).unwrap();
        assert_ne!(wrapped.address(), plain.address());
        assert_eq!(FileSigner::load(&path, Some(&keys)).unwrap().address(), wrapped.address());
        assert!(fs::read_to_string(&path).unwrap().starts_with("ledgerstone-anchor-key-v1 kek-1 "));
        assert!(matches!(FileSigner::load(&path, None), Err(AnchorKeyError::NoProvider { .. })));
        let other = FileKeyProvider::from_key(KeyId::new("kek-1").unwrap(), &[8; KEY_BYTES]);
        assert!(matches!(FileSigner::load(&path, Some(&other)), Err(AnchorKeyError::Keyring(_))));
        assert!(matches!(FileSigner::create(&path, None), Err(AnchorKeyError::Unwritable { .. })));
    }

    #[test]
    fn refuses_a_file_that_others_can_read() {
        let folder = tempfile::tempdir().unwrap();
        for mode in [0o644, 0o604, 0o620, 0o777] {
            let path = write(folder.path(), KEY, mode);
            assert!(matches!(FileSigner::load(&path, None), Err(AnchorKeyError::Mode(_))), "{mode:o}");
        }
    }

    #[test]
    fn refuses_what_is_no_key_without_repeating_it() {
        let folder = tempfile::tempdir().unwrap();
        let zero = "0".repeat(64);
        let order = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
        let short = &KEY[2..];
        let texts = [
            "",
            "\n",
            "0x",
            "ledgerstone-anchor-key-v1",
            "ledgerstone-anchor-key-v1 a b c",
            &zero,
            order,
            short,
        ];
        let long = format!("{KEY}00");
        let two = format!("{KEY}\n{KEY}\n");
        let large = " ".repeat(5000);
        for text in texts.into_iter().chain([long.as_str(), &two, &large]) {
            let error = FileSigner::load(&write(folder.path(), text, 0o600), None).unwrap_err();
            assert!(matches!(error, AnchorKeyError::Malformed { .. }), "{text:?}: {error}");
            assert!(!error.to_string().contains("ac0974"), "{error}");
        }
    }

    #[test]
    fn the_same_hash_gives_the_same_signature_of_the_same_account() {
        let signer = FileSigner::from_hex(KEY).unwrap();
        let hash = B256::repeat_byte(0x5a);
        let signature = signer.sign(&hash).unwrap();
        assert_eq!(signature, signer.sign(&hash).unwrap());
        assert_eq!(signature.recover_address_from_prehash(&hash).unwrap(), signer.address());
        assert!(signature.normalize_s().is_none(), "s is in the lower half, as EIP-2 wants");
    }
}
