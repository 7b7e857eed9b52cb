//! A partition of a Kafka topic.

use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use super::At;
use super::endpoint::{self, TlsFiles, servers, word};
use crate::config::error::ConfigError;
use crate::keyring::SecretSource;
use crate::outbound::http::Address;
use crate::siem::kafka::Mechanism;

/// Characters of a topic's name, as Kafka has it.
const TOPIC_CHARS_MAX: usize = 249;

/// Characters of a user's name.
const USER_CHARS_MAX: usize = 256;

/// Where and how to produce.
#[derive(Clone, Debug)]
pub struct KafkaConfig {
    /// The brokers; `https` stands for TLS.
    pub brokers: Vec<Address>,
    /// The topic.
    pub topic: String,
    /// The partition that gets the whole log.
    pub partition: i32,
    /// Who produces; none where brokers ask nobody.
    pub sasl: Option<Sasl>,
    /// The files of TLS.
    pub tls: TlsFiles,
    /// How long a connection to one broker may take.
    pub connect_timeout: Duration,
}

/// How a producer says who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sasl {
    /// The mechanism.
    pub mechanism: Mechanism,
    /// The user.
    pub user: String,
    /// The password.
    pub password: SecretSource,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KafkaTable {
    brokers: Vec<String>,
    topic: String,
    #[serde(default)]
    partition: u32,
    sasl: Option<String>,
    user: Option<String>,
    password_file: Option<String>,
    ca_file: Option<String>,
    cert: Option<String>,
    key: Option<String>,
    #[serde(default = "endpoint::three_seconds")]
    connect_timeout: String,
}

impl KafkaConfig {
    pub(super) fn read(table: &KafkaTable, at: &At<'_>, base: &Path) -> Result<Self, ConfigError> {
        let tls = TlsFiles::read(at, base, [&table.ca_file, &table.cert, &table.key])?;
        let brokers = servers(at, "siem.brokers", &table.brokers, "tcp", &tls)?;
        let keys = ["siem.sasl", "siem.user", "siem.password_file"];
        let values = [&table.sasl, &table.user, &table.password_file];
        let sasl = match values.map(Option::as_deref) {
            [None, None, None] => None,
            [Some(mechanism), Some(user), Some(password)] => Some(Sasl {
                mechanism: at.read(
                    keys[0],
                    mechanism,
                    "PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512",
                    Mechanism::of,
                )?,
                user: word(at, keys[1], user, USER_CHARS_MAX, "")?,
                password: SecretSource::File(endpoint::secret(at, base, keys[2], password, &brokers)?),
            }),
            given => {
                let with = |is_there| keys.iter().zip(given).find(|(_, value)| value.is_some() == is_there);
                let name = |is_there| with(is_there).map_or("siem.sasl", |(key, _)| *key);
                return Err(ConfigError::Half { present: name(true), absent: name(false) });
            }
        };
        let is_topic = |text: &str| text.bytes().all(|c| c.is_ascii_alphanumeric() || b"._-".contains(&c));
        let topic = word(at, "siem.topic", &table.topic, TOPIC_CHARS_MAX, "")?;
        Ok(Self {
            brokers,
            topic: at.read("siem.topic", &topic, "letters, digits, '.', '_' and '-'", |text| {
                is_topic(text).then(|| text.to_owned())
            })?,
            partition: at.read(
                "siem.partition",
                &table.partition.to_string(),
                "a number below 2147483648",
                |_| i32::try_from(table.partition).ok(),
            )?,
            sasl,
            tls,
            connect_timeout: endpoint::connect_timeout(at, &table.connect_timeout)?,
        })
    }

    pub(super) fn files(&self) -> impl Iterator<Item = &Path> {
        self.tls.files().chain(self.sasl.iter().filter_map(|sasl| endpoint::path_of(&sasl.password)))
    }
}
