//! A receiver of OTLP: an OpenTelemetry Collector, or a back end that speaks it.

use std::path::Path;

use serde::Deserialize;

use super::At;
use super::endpoint::{self, TlsFiles, is_compressed};
use crate::config::error::ConfigError;
use crate::keyring::SecretSource;
use crate::outbound::http::Address;

/// What carries requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtlpProtocol {
    /// OTLP/gRPC, usually port 4317.
    Grpc,
    /// OTLP/HTTP with protobuf, usually port 4318.
    HttpProtobuf,
}

/// A receiver.
#[derive(Clone, Debug)]
pub struct OtlpConfig {
    /// Its address: for gRPC without a path, for HTTP as far as `/v1/logs` comes behind it.
    pub url: Address,
    /// What carries requests.
    pub protocol: OtlpProtocol,
    /// What goes along as `Authorization: Bearer`.
    pub token: Option<SecretSource>,
    /// The files of TLS.
    pub tls: TlsFiles,
    /// Whether requests are compressed.
    pub is_compressed: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OtlpTable {
    url: String,
    #[serde(default = "grpc")]
    protocol: String,
    token_file: Option<String>,
    ca_file: Option<String>,
    cert: Option<String>,
    key: Option<String>,
    #[serde(default = "endpoint::gzip")]
    compression: String,
}

fn grpc() -> String {
    "grpc".to_owned()
}

impl OtlpConfig {
    pub(super) fn read(table: &OtlpTable, at: &At<'_>, base: &Path) -> Result<Self, ConfigError> {
        let (url, tls) = endpoint::url(at, base, &table.url, [&table.ca_file, &table.cert, &table.key])?;
        let protocol =
            at.read("siem.protocol", &table.protocol, "grpc or http/protobuf", |text| match text {
                "grpc" => Some(OtlpProtocol::Grpc),
                "http/protobuf" => Some(OtlpProtocol::HttpProtobuf),
                _ => None,
            })?;
        if protocol == OtlpProtocol::Grpc && !url.has_no_path() {
            return Err(at.wrong(
                "siem.url",
                &table.url,
                "no path for gRPC, or protocol = \"http/protobuf\"",
            ));
        }
        let token = table.token_file.as_deref();
        let token =
            token.map(|path| endpoint::secret(at, base, "siem.token_file", path, [&url])).transpose()?;
        Ok(Self {
            token: token.map(SecretSource::File),
            url,
            protocol,
            tls,
            is_compressed: is_compressed(at, &table.compression)?,
        })
    }

    pub(super) fn files(&self) -> impl Iterator<Item = &Path> {
        self.tls.files().chain(self.token.iter().filter_map(endpoint::path_of))
    }
}
