//! Why the application cannot be built, started or ended in order.

use std::io;
use std::net::SocketAddr;

use ledgerstone::code::Code;

use crate::anchor::{GuardError, SetupError, StartError};
use crate::driver::{OpenError, StopError};
use crate::index::IndexError;
use crate::intercept::{RouteError, SessionError};
use crate::keyring::{KeysError, RingError};
use crate::links::LinkError;
use crate::log_keys::LogKeyFileError;
use crate::metrics::MetricsError;
use crate::outbound::http::CaError;
use crate::reader::LogReadError;
use crate::receipt_key::ReceiptKeyFileError;
use crate::siem::ExportError;
use crate::telemetry::CollectorError;
use crate::tls::TlsError;
use crate::upstream::UpstreamError;

/// Why the application cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The keys of the log.
    #[error("log.key_file: {0}")]
    LogKeys(#[from] LogKeyFileError),
    /// The key of COSE receipts.
    #[error("receipt.key_file: {0}")]
    ReceiptKey(#[from] ReceiptKeyFileError),
    /// The key that wraps record keys.
    #[error(transparent)]
    RecordKeys(#[from] KeysError),
    /// A route.
    #[error(transparent)]
    Route(#[from] RouteError),
    /// A certificate or its key.
    #[error("TLS: {0}")]
    Tls(#[from] TlsError),
    /// The model server's address.
    #[error("upstream.address: {0}")]
    Upstream(#[from] UpstreamError),
    /// A port.
    #[error("{key} = {address}: {}", port(.source))]
    Port {
        /// The key of the configuration.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the operating system says.
        source: io::Error,
    },
    /// The operating system does not say where a port is.
    #[error("a port cannot be used: {0}")]
    Socket(#[from] io::Error),
    /// The metrics.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// A lane of the anchors.
    #[error(transparent)]
    Anchors(#[from] SetupError),
    /// A sink of the SIEM export.
    #[error(transparent)]
    Siem(#[from] ExportError),
    /// The sidecar that runs did not hand over.
    #[error(transparent)]
    Handover(#[from] crate::handover::HandoverError),
    /// The certificates that the issuer's address is checked against.
    #[error("access.oidc.ca_file: {0}")]
    Issuer(#[source] CaError),
    /// The OpenTelemetry Collector.
    #[error("telemetry: {0}")]
    Telemetry(#[from] CollectorError),
}

fn port(source: &io::Error) -> String {
    match source.kind() {
        io::ErrorKind::AddrInUse => {
            "the port is taken by another process; stop that one or choose another port".to_owned()
        }
        _ => format!("the port cannot be bound ({source}); choose another address or port"),
    }
}

impl BuildError {
    /// What the reader must do about it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::LogKeys(error) => error.code(),
            Self::ReceiptKey(error) => error.code(),
            Self::RecordKeys(error) => error.code(),
            Self::Route(error) => error.code(),
            Self::Tls(error) => error.code(),
            Self::Upstream(error) => error.code(),
            Self::Port { .. } | Self::Socket(_) => Code::Unavailable,
            Self::Metrics(error) => error.code(),
            Self::Anchors(error) => error.code(),
            Self::Siem(error) => error.code(),
            Self::Handover(error) => error.code(),
            Self::Issuer(_) => Code::Misuse,
            Self::Telemetry(error) => error.code(),
        }
    }
}

/// Why the application cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecoverError {
    /// The log.
    #[error("log.store: {0}")]
    Open(#[from] OpenError),
    /// The log is behind what was anchored, or another one.
    #[error("log.store: {0}")]
    Guard(#[from] GuardError),
    /// The files of a lane of the anchors.
    #[error("log.store: {0}")]
    Anchors(#[from] StartError),
    /// Readers could not check what the receipt key signs.
    #[error(
        "receipt.key_file: the log's policy does not name this key; stop the sidecar and run `ledgerstone-sidecar receipt key`"
    )]
    UnnamedReceiptKey,
    /// The links to receipts.
    #[error("links.file: {0}")]
    Links(#[from] LinkError),
    /// The published log cannot be read back.
    #[error("log.store: {0}")]
    Read(#[from] LogReadError),
    /// The keyring.
    #[error("the keyring in log.store: {0}")]
    Keyring(#[from] RingError),
    /// A change of the configuration is not approved.
    #[error(transparent)]
    Approvals(#[from] crate::approvals::StartError),
    /// Not even an empty lookup index can be had.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The start entry of the session.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The operating system does not say where a port is.
    #[error("a port cannot be used: {0}")]
    Port(#[source] io::Error),
    /// No randomness for a session id.
    #[error("the operating system gives no randomness")]
    NoRandomness,
    /// A part of the sidecar panicked.
    #[error("the sidecar could not start because of a defect; report it")]
    Defect,
}

impl RecoverError {
    /// What the reader must do about it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Open(error) => error.code(),
            Self::Guard(error) => error.code(),
            Self::Anchors(error) => error.code(),
            Self::Links(error) => error.code(),
            Self::Read(error) => error.code(),
            Self::Keyring(error) => error.code(),
            Self::Approvals(error) => error.code(),
            Self::Index(error) => error.code(),
            Self::Session(error) => error.code(),
            Self::UnnamedReceiptKey => Code::Misuse,
            Self::Port(_) | Self::NoRandomness => Code::Unavailable,
            Self::Defect => Code::Internal,
        }
    }
}

/// Why the application did not end in order. What was answered is in the log all the same.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DrainError {
    /// The session has no stop entry.
    #[error("the session ended without a stop entry: {0}")]
    Session(#[source] SessionError),
    /// The log halted.
    #[error("the log did not stop in order: {0}")]
    Log(#[source] StopError),
}

impl DrainError {
    /// What the reader must do about it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Session(error) => error.code(),
            Self::Log(error) => error.code(),
        }
    }
}
