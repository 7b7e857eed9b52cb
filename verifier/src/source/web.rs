//! A log behind an http(s) URL: a sidecar's read side, or any server that serves the files.
//!
//! Guarantees: every request ends within [`REQUEST_TIMEOUT`], every answer is bounded, redirects are few, and TLS is
//! checked against the web's roots or against the certificate file the user gave. Does not do: caching or retrying.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use super::{ReadError, Source, read_input};
use crate::exit::Refusal;

/// How long one request may take, from name resolution to the last byte.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a connection may take to stand.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How many redirects one request follows.
const REDIRECTS_MAX: u32 = 3;

/// Bytes of a file of CA certificates.
pub(crate) const CA_BYTES_MAX: usize = 1024 * 1024;

/// How to reach servers.
#[derive(Clone, Debug, Default)]
pub struct WebOptions {
    /// PEM file with the certificates to trust instead of the web's roots.
    pub ca: Option<PathBuf>,
}

/// A log behind a URL.
#[derive(Debug)]
pub struct Web {
    prefix: String,
    agent: ureq::Agent,
}

impl Web {
    /// The log below `prefix`, an http(s) URL.
    ///
    /// # Errors
    /// The certificate file cannot be read or holds no certificate.
    pub fn new(prefix: &str, options: &WebOptions) -> Result<Self, Refusal> {
        let mut config = ureq::Agent::config_builder()
            .timeout_global(Some(REQUEST_TIMEOUT))
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .max_redirects(REDIRECTS_MAX)
            .http_status_as_error(false)
            .user_agent(concat!("ledgerstone/", env!("CARGO_PKG_VERSION")));
        if let Some(path) = &options.ca {
            let certificates = certificates(path)?;
            let roots = RootCerts::Specific(Arc::new(certificates));
            config = config.tls_config(TlsConfig::builder().root_certs(roots).build());
        }
        Ok(Self { prefix: prefix.trim_end_matches('/').to_owned(), agent: config.build().into() })
    }
}

impl Source for Web {
    fn label(&self) -> &str {
        &self.prefix
    }

    fn read(&self, path: &str, bytes_max: usize) -> Result<Vec<u8>, ReadError> {
        let place = format!("{}/{path}", self.prefix);
        let failed =
            |source: ureq::Error| ReadError::Network { place: place.clone(), source: Box::new(source) };
        let mut response = self.agent.get(&place).call().map_err(failed)?;
        match response.status().as_u16() {
            200 => {}
            404 | 410 => return Err(ReadError::Missing { place }),
            status => return Err(ReadError::Status { place, status }),
        }
        let bound = u64::try_from(bytes_max).unwrap_or(u64::MAX);
        match response.body_mut().with_config().limit(bound).read_to_vec() {
            Err(ureq::Error::BodyExceedsLimit(_)) => Err(ReadError::TooLarge { place, bytes_max }),
            other => other.map_err(failed),
        }
    }
}

/// The certificates in a PEM file.
fn certificates(path: &Path) -> Result<Vec<Certificate<'static>>, Refusal> {
    let pem = read_input(path, CA_BYTES_MAX)?;
    let found: Vec<_> = parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if found.is_empty() {
        return Err(Refusal::malformed(
            format_args!("{} holds no PEM certificate", path.display()),
            "Give the certificate of the authority that signed the server's certificate.",
        ));
    }
    Ok(found)
}
