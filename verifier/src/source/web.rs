//! A log behind an http(s) URL: a sidecar's read side, or any server that serves the files.
//!
//! Guarantees: every request ends within [`REQUEST_TIMEOUT`], every answer is bounded, redirects are few, and TLS is
//! checked against the web's roots or against the certificate file the user gave; whoever shows a certificate or a token
//! follows no redirect. Does not do: caching or retrying.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::CryptoProvider;
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};
use zeroize::Zeroizing;

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

/// How to reach servers, and what to show them.
#[derive(Clone, Debug, Default)]
pub struct WebOptions {
    /// PEM file with the certificates to trust instead of the web's roots.
    pub ca: Option<PathBuf>,
    /// PEM files with the certificate to show, and its private key.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// File with the bearer token to show.
    pub token: Option<PathBuf>,
}

/// A log behind a URL.
pub struct Web {
    prefix: String,
    agent: ureq::Agent,
    /// Names who asks.
    authorization: Option<Zeroizing<String>>,
}

impl Web {
    /// The log below `prefix`, an http(s) URL.
    ///
    /// # Errors
    /// The certificate file cannot be read or holds no certificate.
    pub fn new(prefix: &str, options: &WebOptions) -> Result<Self, Refusal> {
        let (is_tls, rest) = match prefix.split_once("://") {
            Some((scheme, rest)) => (scheme == "https", rest),
            None => (false, prefix),
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.contains('@') {
            return Err(Refusal::usage(
                "an address names a user or a password",
                "Leave them out, and give a token with --token-file.",
            ));
        }
        let authorization = options.authorization(authority, is_tls)?;
        // What shows who asks is shown to the server that was named, not to where it sends whoever asks.
        let shows = authorization.is_some() || options.identity.is_some();
        let mut config = ureq::Agent::config_builder()
            .timeout_global(Some(REQUEST_TIMEOUT))
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .max_redirects(if shows { 0 } else { REDIRECTS_MAX })
            .http_status_as_error(false)
            .user_agent(concat!("ledgerstone/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls(options)?);
        if authorization.is_some() && !is_tls {
            // A proxy's `localhost` is another machine, and the token would go there in the clear.
            config = config.proxy(None);
        }
        let prefix = prefix.trim_end_matches('/').to_owned();
        Ok(Self { prefix, agent: config.build().into(), authorization })
    }
}

impl std::fmt::Debug for Web {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Web").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

/// Makes the one crypto provider of this program that of the process. Does nothing if there is one already.
pub fn install_crypto_provider() {
    if CryptoProvider::get_default().is_none() {
        // Lost only to another thread that installs one at the same time.
        _ = provider().install_default();
    }
}

/// `ring`, or aws-lc's FIPS module where the program was built for it (`scripts/build-fips`).
fn provider() -> CryptoProvider {
    #[cfg(ledgerstone_fips)]
    return rustls::crypto::default_fips_provider();
    #[cfg(not(ledgerstone_fips))]
    rustls::crypto::ring::default_provider()
}

/// Whom to trust, and what to show.
fn tls(options: &WebOptions) -> Result<TlsConfig, Refusal> {
    let mut config = TlsConfig::builder().unversioned_rustls_crypto_provider(Arc::new(provider()));
    if let Some(path) = &options.ca {
        config = config.root_certs(RootCerts::Specific(Arc::new(certificates(path)?)));
    }
    if let Some((chain, key)) = &options.identity {
        let pem = Zeroizing::new(read_input(key, CA_BYTES_MAX)?);
        let key = PrivateKey::from_pem(&pem).map_err(|_| {
            Refusal::malformed(
                format_args!("{} holds no PEM private key", key.display()),
                "Give the private key of the certificate, unencrypted.",
            )
        })?;
        config = config.client_cert(Some(ClientCert::new_with_certs(&certificates(chain)?, key)));
    }
    Ok(config.build())
}

/// What a server answered, whatever its status.
#[derive(Clone, Debug)]
pub(crate) struct Answered {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The server's clock, as the header `date` has it (RFC 9110, section 5.6.7).
    pub(crate) date: Option<String>,
    /// The body.
    pub(crate) body: Vec<u8>,
}

impl Web {
    /// Asks for `path` and reads an answer of at most `bytes_max` bytes, whatever its status is.
    ///
    /// # Errors
    /// [`ReadError`] if the server does not answer, or with more.
    pub(crate) fn get(&self, path: &str, bytes_max: usize) -> Result<Answered, ReadError> {
        let place = format!("{}/{path}", self.prefix);
        let response = self.call(&place)?;
        let status = response.status().as_u16();
        let date = response.headers().get("date").and_then(|date| date.to_str().ok()).map(str::to_owned);
        Ok(Answered { status, date, body: body(response, &place, bytes_max)? })
    }

    fn call(&self, place: &str) -> Result<ureq::http::Response<ureq::Body>, ReadError> {
        let mut request = self.agent.get(place);
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization.as_str());
        }
        request.call().map_err(|error| network(place, error))
    }
}

fn network(place: &str, source: ureq::Error) -> ReadError {
    ReadError::Network { place: place.to_owned(), source: Box::new(source) }
}

fn body(
    mut response: ureq::http::Response<ureq::Body>,
    place: &str,
    bytes_max: usize,
) -> Result<Vec<u8>, ReadError> {
    let bound = u64::try_from(bytes_max).unwrap_or(u64::MAX);
    match response.body_mut().with_config().limit(bound).read_to_vec() {
        Err(ureq::Error::BodyExceedsLimit(_)) => {
            Err(ReadError::TooLarge { place: place.to_owned(), bytes_max })
        }
        other => other.map_err(|error| network(place, error)),
    }
}

impl Source for Web {
    fn label(&self) -> &str {
        &self.prefix
    }

    fn read(&self, path: &str, bytes_max: usize) -> Result<Vec<u8>, ReadError> {
        let place = format!("{}/{path}", self.prefix);
        let response = self.call(&place)?;
        match response.status().as_u16() {
            200 => body(response, &place, bytes_max),
            404 | 410 => Err(ReadError::Missing { place }),
            status => Err(ReadError::Status { place, status }),
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
            "Give a file with one or more certificates, each between BEGIN and END CERTIFICATE.",
        ));
    }
    Ok(found)
}
