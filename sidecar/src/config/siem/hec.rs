//! A Splunk with its HTTP Event Collector.

use std::path::Path;

use serde::Deserialize;

use super::At;
use super::endpoint::{self, TlsFiles, is_compressed, word};
use crate::config::error::ConfigError;
use crate::keyring::SecretSource;
use crate::outbound::http::Address;

/// Characters of a name in Splunk: it allows an index 80.
const NAME_CHARS_MAX: usize = 80;

/// A collector.
#[derive(Clone, Debug)]
pub struct HecConfig {
    /// Its address, without `/services/collector`.
    pub url: Address,
    /// Its token.
    pub token: SecretSource,
    /// The files of TLS.
    pub tls: TlsFiles,
    /// The index; the token's own without it.
    pub index: Option<String>,
    /// `source` of every event.
    pub source: Option<String>,
    /// `sourcetype` of every event.
    pub sourcetype: Option<String>,
    /// `host` of every event.
    pub host: Option<String>,
    /// Whether events count as delivered when they are indexed; otherwise when the collector took them.
    pub is_acknowledged: bool,
    /// Whether requests are compressed.
    pub is_compressed: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HecTable {
    url: String,
    token_file: String,
    ca_file: Option<String>,
    cert: Option<String>,
    key: Option<String>,
    index: Option<String>,
    #[serde(default = "ledgerstone")]
    source: String,
    sourcetype: Option<String>,
    host: Option<String>,
    #[serde(default = "indexer")]
    acknowledgement: String,
    #[serde(default = "endpoint::gzip")]
    compression: String,
}

fn ledgerstone() -> String {
    "ledgerstone".to_owned()
}

fn indexer() -> String {
    "indexer".to_owned()
}

impl HecConfig {
    pub(super) fn read(table: &HecTable, at: &At<'_>, base: &Path) -> Result<Self, ConfigError> {
        let (url, tls) = endpoint::url(at, base, &table.url, [&table.ca_file, &table.cert, &table.key])?;
        let name = |key, text: &Option<String>| {
            text.as_deref().map(|text| word(at, key, text, NAME_CHARS_MAX, "")).transpose()
        };
        let expected = "indexer, or none: taken is enough";
        Ok(Self {
            token: SecretSource::File(endpoint::secret(
                at,
                base,
                "siem.token_file",
                &table.token_file,
                [&url],
            )?),
            url,
            tls,
            index: name("siem.index", &table.index)?,
            source: name("siem.source", &Some(table.source.clone()))?,
            sourcetype: name("siem.sourcetype", &table.sourcetype)?,
            host: name("siem.host", &table.host)?,
            is_acknowledged: at.read("siem.acknowledgement", &table.acknowledgement, expected, |text| {
                match text {
                    "indexer" => Some(true),
                    "none" => Some(false),
                    _ => None,
                }
            })?,
            is_compressed: is_compressed(at, &table.compression)?,
        })
    }

    pub(super) fn files(&self) -> impl Iterator<Item = &Path> {
        self.tls.files().chain(endpoint::path_of(&self.token))
    }
}
