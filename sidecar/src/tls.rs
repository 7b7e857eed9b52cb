//! TLS of the gRPC port, with the one crypto provider of this program.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ledgerstone::code::Code;
use rustls::crypto::CryptoProvider;
use tonic::transport::{Identity, ServerTlsConfig};

use crate::config::TlsFiles;

/// Makes the one crypto provider of this program that of the process. Does nothing if there is one already.
pub fn install_crypto_provider() {
    if CryptoProvider::get_default().is_none() {
        // Lost only to another thread that installs one at the same time.
        _ = built_with().install_default();
    }
}

/// `ring`, or aws-lc's FIPS module where the program was built for it (`scripts/build-fips`).
#[must_use]
pub fn built_with() -> CryptoProvider {
    #[cfg(ledgerstone_fips)]
    return rustls::crypto::default_fips_provider();
    #[cfg(not(ledgerstone_fips))]
    rustls::crypto::ring::default_provider()
}

/// What TLS is computed with, for a person.
#[must_use]
pub fn provider_name() -> &'static str {
    match CryptoProvider::get_default() {
        Some(provider) if provider.fips() => "aws-lc, FIPS 140-3",
        Some(_) => "ring",
        None => "none yet",
    }
}

/// Reads certificate and key of the gRPC port.
///
/// # Errors
/// [`TlsError`] names the file.
pub fn server(files: &TlsFiles) -> Result<ServerTlsConfig, TlsError> {
    let identity = Identity::from_pem(read(&files.cert)?, read(&files.key)?);
    Ok(ServerTlsConfig::new().identity(identity))
}

/// Reads the certificate authority of the model server.
///
/// # Errors
/// [`TlsError`] names the file.
pub fn authority(path: &Path) -> Result<Vec<u8>, TlsError> {
    read(path)
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|source| TlsError::Unreadable { path: path.to_owned(), source })
}

/// Why TLS cannot be set up.
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
}

impl TlsError {
    /// What the reader must do about it.
    #[must_use]
    pub const fn code(&self) -> Code {
        Code::Misuse
    }
}
