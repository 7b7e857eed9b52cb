//! The providers that the configuration names: one that wraps, and earlier ones whose keys still unwrap.
//!
//! Guarantees: a record names its key, and is unwrapped by the provider of that key alone; two providers never have keys
//! of one name. Opening them asks no device and no server: what is wrong there is said by the first call, or by
//! `ledgerstone-sidecar keys check`.

use std::fmt;
use std::io;
use std::sync::Arc;

use ledgerstone::code::Code;

use super::remote::random_jitter;
use super::vault::VaultProvider;
use super::{FileKeyProvider, KeyFileError, KeyId, KeyProvider, KeyringError, RecordKey, WrappedKey};
use crate::config::keys::{KeysConfig, ProviderConfig};
use crate::outbound::http::CaError;

/// A key provider that an operator can look after.
pub trait Provider: KeyProvider + fmt::Debug {
    /// Its name in the configuration.
    fn kind(&self) -> &'static str;

    /// Makes the key where it does not exist.
    ///
    /// # Errors
    /// [`KeyringError`] if the provider cannot be reached, or cannot make keys.
    fn create(&self) -> Result<Created, KeyringError>;
}

/// Whether a key was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    /// It is new.
    Made,
    /// It was there, and was left as it is.
    Found,
}

impl Provider for FileKeyProvider {
    fn kind(&self) -> &'static str {
        "file"
    }

    fn create(&self) -> Result<Created, KeyringError> {
        // It was read when it was opened.
        Ok(Created::Found)
    }
}

/// The provider in force, and earlier ones.
#[derive(Clone)]
pub struct Configured {
    current: Arc<dyn Provider>,
    previous: Vec<Arc<dyn Provider>>,
}

/// Opens what `config` names.
///
/// # Errors
/// [`KeysError`] names the key of the configuration.
pub fn open(config: &KeysConfig) -> Result<Arc<Configured>, KeysError> {
    let mut modules = Modules::default();
    let current = provider(&config.current, &mut modules)?;
    let mut previous: Vec<Arc<dyn Provider>> = Vec::new();
    for earlier in &config.previous {
        let earlier = provider(earlier, &mut modules)?;
        let id = earlier.key_id();
        if id == current.key_id() || previous.iter().any(|other| other.key_id() == id) {
            return Err(KeysError::Twice { id: id.clone() });
        }
        previous.push(earlier);
    }
    Ok(Arc::new(Configured { current, previous }))
}

#[cfg(feature = "pkcs11")]
use super::pkcs11::Modules;

/// There is no module to share.
#[cfg(not(feature = "pkcs11"))]
#[derive(Default)]
struct Modules {}

fn provider(config: &ProviderConfig, modules: &mut Modules) -> Result<Arc<dyn Provider>, KeysError> {
    #[cfg(not(feature = "pkcs11"))]
    let _ = modules;
    Ok(match config {
        ProviderConfig::File { path } => Arc::new(FileKeyProvider::load(path)?),
        ProviderConfig::Vault(config) => Arc::new(VaultProvider::new(config, random_jitter())?),
        #[cfg(feature = "pkcs11")]
        ProviderConfig::Pkcs11(config) => {
            let module = modules.of(&config.module);
            Arc::new(super::pkcs11::Pkcs11Provider::new(config, module)?)
        }
        #[cfg(feature = "aws-kms")]
        ProviderConfig::AwsKms(config) => {
            Arc::new(super::aws_kms::AwsKmsProvider::new(config, random_jitter())?)
        }
        #[cfg(not(all(feature = "pkcs11", feature = "aws-kms")))]
        other => return Err(KeysError::NotBuilt { provider: other.kind() }),
    })
}

impl Configured {
    /// The provider that wraps.
    #[must_use]
    pub fn current(&self) -> &dyn Provider {
        self.current.as_ref()
    }

    /// The same providers with the key `id` as the one that wraps; none if it is not among them.
    #[must_use]
    pub fn with_in_force(&self, id: &KeyId) -> Option<Self> {
        let all = || std::iter::once(&self.current).chain(&self.previous);
        let current = Arc::clone(all().find(|provider| provider.key_id() == id)?);
        let previous = all().filter(|provider| provider.key_id() != id).cloned().collect();
        Some(Self { current, previous })
    }

    /// All providers, the one that wraps first.
    pub fn all(&self) -> impl Iterator<Item = &dyn Provider> {
        std::iter::once(&self.current).chain(&self.previous).map(AsRef::as_ref)
    }
}

impl fmt::Debug for Configured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.all()).finish()
    }
}

impl KeyProvider for Configured {
    fn key_id(&self) -> &KeyId {
        self.current.key_id()
    }

    fn wrap(&self, key: &RecordKey) -> Result<WrappedKey, KeyringError> {
        self.current.wrap(key)
    }

    fn unwrap(&self, id: &KeyId, wrapped: &WrappedKey) -> Result<RecordKey, KeyringError> {
        match self.all().find(|provider| provider.key_id() == id) {
            Some(provider) => provider.unwrap(id, wrapped),
            None => Err(KeyringError::UnknownKey { wanted: id.clone(), held: self.key_id().clone() }),
        }
    }

    fn may_block(&self) -> bool {
        self.all().any(KeyProvider::may_block)
    }
}

/// Why the providers cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeysError {
    /// The key file.
    #[error("keys.file: {0}")]
    File(#[from] KeyFileError),
    /// Certificates.
    #[error("keys: ca_file: {0}")]
    Authority(#[from] CaError),
    /// Two providers have keys of one name.
    #[error("keys.previous: two keys have the id {id}; a record names its key, so each needs its own")]
    Twice {
        /// The name.
        id: KeyId,
    },
    /// This program was built without the provider.
    #[error(
        "keys.provider: this program was built without {provider}; build it with `--features {provider}`"
    )]
    NotBuilt {
        /// The provider, which has the name of its feature.
        provider: &'static str,
    },
    /// No thread for the provider.
    #[error("the operating system gives no thread for the key provider: {source}")]
    Thread {
        /// What it says.
        source: io::Error,
    },
}

impl KeysError {
    pub(super) const fn thread(source: io::Error) -> Self {
        Self::Thread { source }
    }

    /// What the reader must do about it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::File(error) => error.code(),
            Self::Thread { .. } => Code::Unavailable,
            _ => Code::Misuse,
        }
    }
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;
    use crate::keyring::KEY_BYTES;

    fn file(folder: &std::path::Path, id: &str, byte: u8) -> ProviderConfig {
        let path = folder.join(format!("{id}-{byte}.key"));
        FileKeyProvider::create(&path, KeyId::new(id).unwrap(), &[byte; KEY_BYTES]).unwrap();
        ProviderConfig::File { path }
    }

    fn config(current: ProviderConfig, previous: Vec<ProviderConfig>) -> KeysConfig {
        KeysConfig { current, previous, backup_interval: None, pool: 4096 }
    }

    fn key() -> RecordKey {
        RecordKey::new(Zeroizing::new([9; KEY_BYTES]))
    }

    #[test]
    fn what_an_earlier_key_wrapped_unwraps_and_new_keys_are_wrapped_under_the_current_one() {
        let folder = tempfile::tempdir().unwrap();
        let [old, new] = [("old", 1), ("new", 2)].map(|(id, byte)| file(folder.path(), id, byte));
        let before = open(&config(old.clone(), Vec::new())).unwrap();
        let wrapped = before.wrap(&key()).unwrap();
        let id = before.key_id().clone();
        let after = open(&config(new.clone(), vec![old])).unwrap();
        assert_eq!(after.key_id().as_str(), "new");
        assert_eq!(after.unwrap(&id, &wrapped).unwrap().expose(), key().expose());
        let rewrapped = after.wrap(&key()).unwrap();
        assert_ne!(rewrapped, wrapped);
        let without = open(&config(new, Vec::new())).unwrap();
        assert!(without.unwrap(after.key_id(), &rewrapped).is_ok());
        let error = without.unwrap(&id, &wrapped).unwrap_err();
        assert!(matches!(error, KeyringError::UnknownKey { .. }), "{error}");
    }

    #[test]
    fn two_keys_of_one_name_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let [a, b, c] = [("a", 1), ("b", 2), ("b", 3)].map(|(id, byte)| file(folder.path(), id, byte));
        for previous in [vec![a.clone()], vec![b, c]] {
            let error = open(&config(a.clone(), previous)).unwrap_err();
            assert!(matches!(error, KeysError::Twice { .. }), "{error}");
        }
    }
}
