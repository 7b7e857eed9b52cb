//! TLS: the certificate of this side, whom it takes as clients, and how both are replaced while connections go on.
//!
//! Guarantees: a certificate that was loaded is served until another one that is complete, valid and fits its key takes its place;
//! TLS never gives way to plaintext; what two ports ask of their clients is never mixed up by resuming a session of the one on the
//! other. Implements TLS 1.3 (RFC 8446) and, where the configuration says so, 1.2 (RFC 5246), by `rustls` with the one crypto
//! provider of this program. Does not do: binding ports, which is `listen`'s; deciding what a client may do.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use zeroize::Zeroizing;

mod certificate;
mod client;
mod error;
mod files;
mod reloading;
pub mod spiffe;
mod verifier;
mod workload;

pub use self::certificate::CertificateError;
pub(crate) use self::certificate::Leaf;
pub use self::client::client;
pub use self::error::TlsError;
pub use self::files::Files;
pub(crate) use self::reloading::Loaded;
pub use self::reloading::{Ask, Protocols, Reloading, Versions};
pub use self::workload::{check_message, socket};

/// Bytes of a file of certificates or of a key: 400 certificates of 2.5 KiB.
pub(crate) const FILE_BYTES_MAX: u64 = 1 << 20;

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

/// The crypto provider of this process.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    CryptoProvider::get_default().cloned().unwrap_or_else(|| Arc::new(built_with()))
}

/// Reads a certificate authority, as PEM.
///
/// # Errors
/// [`TlsError`] names the file.
pub fn authority(path: &Path) -> Result<Vec<u8>, TlsError> {
    read(path, FILE_BYTES_MAX).map(|mut bytes| std::mem::take(&mut *bytes))
}

/// Reads a file of at most `bytes_max` bytes.
pub(crate) fn read(path: &Path, bytes_max: u64) -> Result<Zeroizing<Vec<u8>>, TlsError> {
    let unreadable = |source| TlsError::Unreadable { path: path.to_owned(), source };
    let file = File::open(path).map_err(unreadable)?;
    let length = file.metadata().map_err(unreadable)?.len().min(bytes_max);
    // Room for all of it at once, so that no shorter copy of a key stays behind in memory.
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(length).unwrap_or_default() + 1));
    file.take(bytes_max + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > bytes_max {
        return Err(TlsError::TooLarge { path: path.to_owned(), bytes_max });
    }
    Ok(bytes)
}
