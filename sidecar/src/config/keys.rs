//! `[keys]`: which provider holds the key that wraps, and `[[keys.previous]]`: which held earlier ones.
//!
//! Guarantees: no secret stands here, only where it is; a token or key never goes to another machine in the clear; a
//! table of `[[keys.previous]]` takes what `[keys]` takes.

use std::path::PathBuf;
use std::time::Duration;

use http::HeaderValue;
use ledgerstone::limits::SUBJECT_KEYS_MAX;

use super::layers::{Found, Layers, Source};
use super::{ConfigError, quantity};
use crate::keyring::vault::VaultConfig;
use crate::keyring::{KeyId, SecretSource};
use crate::outbound::http::Address;

/// Which providers hold keys.
#[derive(Clone, Debug)]
pub struct KeysConfig {
    /// The one that wraps.
    pub current: ProviderConfig,
    /// Those that wrapped earlier, for reading.
    pub previous: Vec<ProviderConfig>,
    /// How often a copy of the keyring is put beside it, if at all.
    pub backup_interval: Option<Duration>,
    /// Subject keys that are at hand before anybody needs them.
    pub pool: usize,
}

/// One provider.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ProviderConfig {
    /// A file.
    File {
        /// The file.
        path: PathBuf,
    },
    /// A token behind a PKCS#11 module.
    Pkcs11(Pkcs11Config),
    /// The transit engine of a Vault or OpenBao.
    Vault(VaultConfig),
    /// AWS KMS.
    AwsKms(AwsKmsConfig),
}

impl ProviderConfig {
    /// Its name, which is also that of the feature that it is built with.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::File { .. } => "file",
            Self::Pkcs11(_) => "pkcs11",
            Self::Vault(_) => "vault",
            Self::AwsKms(_) => "aws-kms",
        }
    }
}

/// A key on a PKCS#11 token.
#[derive(Clone, Debug)]
pub struct Pkcs11Config {
    /// The name of the key in sealed records.
    pub id: KeyId,
    /// The module, a shared library.
    pub module: PathBuf,
    /// The token's label.
    pub token: String,
    /// The key's label.
    pub key: String,
    /// Where the PIN is.
    pub pin: SecretSource,
    /// Sessions, and so calls at once.
    pub sessions: usize,
    /// How long one call may take.
    pub timeout: Duration,
}

/// A key of AWS KMS.
#[derive(Clone, Debug)]
pub struct AwsKmsConfig {
    /// The name of the key in sealed records.
    pub id: KeyId,
    /// The key's ARN, id, or alias (`alias/...`).
    pub key: String,
    /// The region.
    pub region: String,
    /// The service.
    pub endpoint: Address,
    /// The service that gives credentials for a token.
    pub sts_endpoint: Address,
    /// The certificates that `https` is checked against, as PEM.
    pub ca_file: PathBuf,
    /// How long one call may take, its tries included.
    pub timeout: Duration,
}

const PROVIDER: &str = "\"file\", \"pkcs11\", \"vault\" or \"aws-kms\"";
const KEY_ID: &str = "1 to 64 characters of a-z, 0-9, '.', '_' and '-', for example loans-2026";
const LABEL: &str = "a label of 1 to 32 bytes";
const ADDRESS: &str =
    "https://HOST[:PORT], or http:// to this machine itself: keys and tokens would go in the clear";
const SESSIONS: &str = "a number from 1 to 64";
const MOUNT: &str = "a path of letters, digits, '.', '_', '-' and '/'";
const NAME: &str = "letters, digits, '.', '_' and '-'";
const KMS_KEY: &str = "an ARN, a key id or an alias (alias/NAME) of letters, digits and ':/_-'";
const REGION: &str = "a region such as eu-central-1";

/// Sessions that one token is asked for. Network tokens give out some hundred; a card gives one.
const SESSIONS_MAX: usize = 64;

/// Subject keys at hand, at most: 64 bytes each make 64 MiB.
const POOL_MAX: usize = 1 << 20;

impl KeysConfig {
    /// Whether code of somebody else's is loaded into the process for a token.
    #[must_use]
    pub fn loads_a_module(&self) -> bool {
        std::iter::once(&self.current)
            .chain(&self.previous)
            .any(|one| matches!(one, ProviderConfig::Pkcs11(_)))
    }

    pub(super) fn from_layers(layers: &Layers) -> Result<Self, ConfigError> {
        let named = &layers.seen;
        let previous = layers.previous_keys.iter().map(|values| {
            let layers = Layers { values: values.clone(), base: layers.base.clone(), ..Layers::default() };
            let provider = layers.provider();
            named.borrow_mut().take(layers.seen.into_inner());
            provider
        });
        Ok(Self {
            current: layers.provider()?,
            previous: previous.collect::<Result<_, _>>()?,
            backup_interval: layers.duration_if_set("keys.backup_interval")?,
            pool: layers.pool()?,
        })
    }
}

/// The keys without which a provider cannot be used.
pub(super) fn needed(provider: &str) -> &'static [&'static str] {
    match provider {
        "file" => &["keys.file"],
        "pkcs11" => &["keys.id", "keys.pkcs11.module", "keys.pkcs11.token", "keys.pkcs11.key"],
        "vault" => &["keys.id", "keys.vault.address", "keys.vault.key"],
        "aws-kms" => &["keys.id", "keys.aws_kms.key", "keys.aws_kms.region"],
        _ => &[],
    }
}

impl Layers {
    fn pool(&self) -> Result<usize, ConfigError> {
        let key = "keys.pool";
        let count = self.parse(key, quantity::COUNT, quantity::count)?;
        let expected = format!("from {SUBJECT_KEYS_MAX}, the keys that one batch may need, to {POOL_MAX}");
        self.parse(key, &expected, |_| (SUBJECT_KEYS_MAX..=POOL_MAX).contains(&count).then_some(count))
    }

    fn provider(&self) -> Result<ProviderConfig, ConfigError> {
        let known = |text: &str| (!needed(text).is_empty()).then(|| text.to_owned());
        match self.parse("keys.provider", PROVIDER, known)?.as_str() {
            "pkcs11" => self.pkcs11().map(ProviderConfig::Pkcs11),
            "vault" => self.vault().map(ProviderConfig::Vault),
            "aws-kms" => self.aws_kms().map(ProviderConfig::AwsKms),
            _ => Ok(ProviderConfig::File { path: self.parse_path("keys.file")? }),
        }
    }

    fn pkcs11(&self) -> Result<Pkcs11Config, ConfigError> {
        let label = |text: &str| (1..=32).contains(&text.len()).then(|| text.to_owned());
        let sessions = |text: &str| text.parse().ok().filter(|count| (1..=SESSIONS_MAX).contains(count));
        Ok(Pkcs11Config {
            id: self.key_id()?,
            module: self.parse_path("keys.pkcs11.module")?,
            token: self.parse("keys.pkcs11.token", LABEL, label)?,
            key: self.parse("keys.pkcs11.key", LABEL, label)?,
            pin: self.secret("keys.pkcs11.pin_file", "keys.pkcs11.pin_variable")?,
            sessions: self.parse("keys.pkcs11.sessions", SESSIONS, sessions)?,
            timeout: self.timeout()?,
        })
    }

    fn vault(&self) -> Result<VaultConfig, ConfigError> {
        let namespace = match self.get("keys.vault.namespace") {
            None => None,
            Some(_) => Some(self.parse("keys.vault.namespace", MOUNT, |text| {
                is_path(text).then(|| HeaderValue::from_str(text).ok()).flatten()
            })?),
        };
        let path = |text: &str| is_path(text).then(|| text.to_owned());
        let name = |text: &str| (is_path(text) && !text.contains('/')).then(|| text.to_owned());
        Ok(VaultConfig {
            id: self.key_id()?,
            address: self.service("keys.vault.address")?,
            mount: self.parse("keys.vault.mount", MOUNT, path)?,
            key: self.parse("keys.vault.key", NAME, name)?,
            namespace,
            token: self.secret("keys.vault.token_file", "keys.vault.token_variable")?,
            ca_file: self.path("keys.vault.ca_file")?,
            timeout: self.timeout()?,
        })
    }

    fn aws_kms(&self) -> Result<AwsKmsConfig, ConfigError> {
        let region = |text: &str| {
            let fits = |c: u8| matches!(c, b'a'..=b'z' | b'0'..=b'9' | b'-');
            ((1..=32).contains(&text.len()) && text.bytes().all(fits)).then(|| text.to_owned())
        };
        let region = self.parse("keys.aws_kms.region", REGION, region)?;
        let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        let service = |key, name: &str| match self.get(key) {
            Some(_) => self.service(key),
            None => {
                let address = format!("https://{name}.{region}.{suffix}/");
                Address::parse(&address).ok_or_else(|| bad("keys.aws_kms.region", region.clone(), REGION))
            }
        };
        let key = |text: &str| {
            let fits = |c: u8| c.is_ascii_alphanumeric() || b":/_-".contains(&c);
            ((1..=2048).contains(&text.len()) && text.bytes().all(fits)).then(|| text.to_owned())
        };
        Ok(AwsKmsConfig {
            id: self.key_id()?,
            key: self.parse("keys.aws_kms.key", KMS_KEY, key)?,
            endpoint: service("keys.aws_kms.endpoint", "kms")?,
            sts_endpoint: service("keys.aws_kms.sts_endpoint", "sts")?,
            region,
            ca_file: self.parse_path("keys.aws_kms.ca_file")?,
            timeout: self.timeout()?,
        })
    }

    fn key_id(&self) -> Result<KeyId, ConfigError> {
        self.parse("keys.id", KEY_ID, |text| KeyId::new(text).ok())
    }

    fn timeout(&self) -> Result<Duration, ConfigError> {
        self.parse("keys.timeout", quantity::DURATION, |text| {
            quantity::duration(text).filter(|timeout| !timeout.is_zero())
        })
    }

    /// A service that keys and tokens go to.
    fn service(&self, key: &'static str) -> Result<Address, ConfigError> {
        self.parse(key, ADDRESS, |text| Address::parse(text).filter(|a| a.is_tls() || a.is_this_machine()))
    }

    /// A secret in a file or in a variable, one of both.
    fn secret(&self, file: &'static str, variable: &'static str) -> Result<SecretSource, ConfigError> {
        match (self.path(file)?, self.get(variable)) {
            (Some(path), None) => Ok(SecretSource::File(path)),
            (None, Some(Found { text, .. })) => Ok(SecretSource::Variable(text)),
            (Some(_), Some(_)) => Err(ConfigError::Both { one: file, other: variable }),
            (None, None) => Err(ConfigError::Neither { one: file, other: variable }),
        }
    }
}

fn bad(key: &'static str, value: String, expected: &str) -> ConfigError {
    ConfigError::BadValue { from: Source::Default, key, value, expected: expected.to_owned() }
}

/// Words of letters, digits, `.`, `_` and `-` between slashes, none of them a step upwards.
fn is_path(text: &str) -> bool {
    let fits = |c: u8| c.is_ascii_alphanumeric() || b"._-".contains(&c);
    text.len() <= 256
        && text.split('/').all(|word| !word.is_empty() && !word.starts_with('.') && word.bytes().all(fits))
}
