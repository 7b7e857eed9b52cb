//! Whom `https` is checked against, and what is shown to it: PEM files that the operator names.

use std::path::Path;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use crate::tls;

/// Bytes of a file with certificate authorities: a system's bundle has 220 kB.
const CA_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// TLS as a client that checks against the certificates of `ca`, none without it, and shows the chain and the key of `identity`.
///
/// # Errors
/// [`CaError`] names the file that cannot be used.
pub(crate) fn client_config(
    ca: Option<&Path>,
    identity: Option<(&Path, &Path)>,
) -> Result<ClientConfig, CaError> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = ca {
        // A system's bundle may hold one that this TLS does not know what to do with; those that it does count.
        let (usable, _) = roots.add_parsable_certificates(certificates(path)?);
        if usable == 0 {
            return Err(CaError::Malformed { path: path.display().to_string() });
        }
    }
    let config = ClientConfig::builder().with_root_certificates(roots);
    let Some((cert, key)) = identity else { return Ok(config.with_no_client_auth()) };
    let unusable = || CaError::Identity { path: key.display().to_string() };
    let pem = tls::read(key, tls::FILE_BYTES_MAX).map_err(|_| unusable())?;
    let private = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| unusable())?;
    config.with_client_auth_cert(certificates(cert)?, private).map_err(|_| unusable())
}

/// Reads the certificates of a PEM file; one at least.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, CaError> {
    let name = || path.display().to_string();
    let unreadable = |source| CaError::Unreadable { path: name(), source };
    let length = std::fs::metadata(path).map_err(unreadable)?.len();
    if length > CA_BYTES_MAX {
        return Err(unreadable(std::io::ErrorKind::FileTooLarge.into()));
    }
    let pem = std::fs::read(path).map_err(unreadable)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    certificates
        .ok()
        .filter(|certificates| !certificates.is_empty())
        .ok_or_else(|| CaError::Malformed { path: name() })
}

/// Why certificates cannot be had from a file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}; check that it exists and that this user may read it")]
    Unreadable {
        /// The file.
        path: String,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// It holds no certificate, or something that is none.
    #[error("{path} holds no certificates; it must be PEM, for example /etc/ssl/certs/ca-certificates.crt")]
    Malformed {
        /// The file.
        path: String,
    },
    /// A private key that is none, or another certificate's.
    #[error("{path} is not the private key, as PEM, of the certificate that is shown with it")]
    Identity {
        /// The file.
        path: String,
    },
}
