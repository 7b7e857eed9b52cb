//! A stream of NATS JetStream.

use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use super::At;
use super::endpoint::{self, TlsFiles, servers, word};
use crate::config::error::ConfigError;
use crate::keyring::SecretSource;
use crate::outbound::http::Address;
use crate::siem::nats::Credentials;

/// Characters of a subject, a stream's name or a user's; NATS advises against longer ones.
const NAME_CHARS_MAX: usize = 255;

/// Where and how to publish.
#[derive(Clone, Debug)]
pub struct NatsConfig {
    /// The servers, in the order they are tried; `https` stands for TLS.
    pub servers: Vec<Address>,
    /// TLS begins before the server has said anything (`handshake_first`).
    pub is_tls_first: bool,
    /// Who publishes.
    pub credentials: Credentials,
    /// What is published to.
    pub subject: String,
    /// The stream that must acknowledge.
    pub stream: String,
    /// The files of TLS.
    pub tls: TlsFiles,
    /// How long a connection to one server may take.
    pub connect_timeout: Duration,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NatsTable {
    servers: Vec<String>,
    subject: String,
    stream: String,
    credentials_file: Option<String>,
    token_file: Option<String>,
    user: Option<String>,
    password_file: Option<String>,
    ca_file: Option<String>,
    cert: Option<String>,
    key: Option<String>,
    #[serde(default)]
    tls_first: bool,
    #[serde(default = "endpoint::three_seconds")]
    connect_timeout: String,
}

impl NatsConfig {
    pub(super) fn read(table: &NatsTable, at: &At<'_>, base: &Path) -> Result<Self, ConfigError> {
        let tls = TlsFiles::read(at, base, [&table.ca_file, &table.cert, &table.key])?;
        let servers = servers(at, "siem.servers", &table.servers, "nats", &tls)?;
        let subject = word(at, "siem.subject", &table.subject, NAME_CHARS_MAX, "*>")?;
        Ok(Self {
            credentials: credentials(table, at, base, &servers)?,
            servers,
            is_tls_first: table.tls_first,
            subject: at.read("siem.subject", &subject, "a subject without empty tokens", |text| {
                text.split('.').all(|token| !token.is_empty()).then(|| text.to_owned())
            })?,
            stream: word(at, "siem.stream", &table.stream, NAME_CHARS_MAX, ".*>/\\")?,
            tls,
            connect_timeout: endpoint::connect_timeout(at, &table.connect_timeout)?,
        })
    }

    pub(super) fn files(&self) -> impl Iterator<Item = &Path> {
        let secret = match &self.credentials {
            Credentials::None => None,
            Credentials::File(path) => Some(path.as_path()),
            Credentials::Token(secret) | Credentials::Password { password: secret, .. } => {
                endpoint::path_of(secret)
            }
        };
        self.tls.files().chain(secret)
    }
}

fn credentials(
    table: &NatsTable,
    at: &At<'_>,
    base: &Path,
    servers: &[Address],
) -> Result<Credentials, ConfigError> {
    let file = |key, path: &str| endpoint::secret(at, base, key, path, servers);
    let [by_file, by_token, by_password] = ["siem.credentials_file", "siem.token_file", "siem.password_file"];
    Ok(match (&table.credentials_file, &table.token_file, &table.user, &table.password_file) {
        (None, None, None, None) => Credentials::None,
        (Some(path), None, None, None) => Credentials::File(file(by_file, path)?),
        (None, Some(path), None, None) => Credentials::Token(SecretSource::File(file(by_token, path)?)),
        (None, None, Some(user), Some(path)) => Credentials::Password {
            user: word(at, "siem.user", user, NAME_CHARS_MAX, "")?,
            password: SecretSource::File(file(by_password, path)?),
        },
        (None, None, Some(_), None) => {
            return Err(ConfigError::Half { present: "siem.user", absent: by_password });
        }
        (None, None, None, Some(_)) => {
            return Err(ConfigError::Half { present: by_password, absent: "siem.user" });
        }
        (Some(_), Some(_), ..) => return Err(ConfigError::Both { one: by_file, other: by_token }),
        (Some(_), None, ..) => return Err(ConfigError::Both { one: by_file, other: by_password }),
        (None, Some(_), ..) => return Err(ConfigError::Both { one: by_token, other: by_password }),
    })
}
