//! Why TLS cannot be set up.

use std::io;
use std::path::PathBuf;

use ledgerstone::code::Code;

/// Why TLS cannot be set up, or not with what was put in the place of something else.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}; check that it exists and that this user may read it")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// A file is larger than any that makes sense.
    #[error(
        "{path} is larger than {bytes_max} bytes; it must hold the certificates that are needed and no others"
    )]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit.
        bytes_max: u64,
    },
    /// Nothing of what a source should hold is there, or it is cut short.
    #[error("{from} cannot be used: it must hold {expected}, whole")]
    Unusable {
        /// Where it comes from: a file or the Workload API.
        from: String,
        /// What it must be.
        expected: &'static str,
    },
    /// Key and certificate do not belong together.
    #[error("the key in {key} does not belong to the first certificate in {cert}; replace both")]
    Pair {
        /// Where the certificate comes from.
        cert: String,
        /// Where the key comes from.
        key: String,
    },
    /// The Workload API gives no certificate.
    #[error(
        "the Workload API at {address} gives no certificate ({reason}); see that its agent runs and has an entry for this workload"
    )]
    WorkloadApi {
        /// Its address.
        address: String,
        /// What it said last.
        reason: String,
    },
    /// The certificate is over.
    #[error("the certificate in {from} has expired; issue a new one")]
    Expired {
        /// Where it comes from.
        from: String,
    },
    /// What clients are checked against cannot be used.
    #[error("clients cannot be checked against {from} ({reason}); replace it")]
    Clients {
        /// Where it comes from.
        from: String,
        /// What rustls says.
        reason: rustls::server::VerifierBuilderError,
    },
    /// The TLS library refuses the certificate or its key.
    #[error("the certificate in {from} cannot be served ({reason}); replace it")]
    Refused {
        /// Where it comes from.
        from: String,
        /// What rustls says.
        reason: rustls::Error,
    },
}

impl TlsError {
    /// What the reader must do about it.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::WorkloadApi { .. } => Code::Unavailable,
            _ => Code::Misuse,
        }
    }
}
