//! TLS towards others: the authority they are checked against, and the certificate that is shown to them.

use std::path::Path;

use tonic::transport::{Certificate, ClientTlsConfig, Identity};

use super::error::TlsError;
use super::{FILE_BYTES_MAX, authority, read};

/// TLS as a client that trusts `ca` and shows the certificate and key of `identity`, all PEM files.
///
/// # Errors
/// [`TlsError`] names the file that cannot be read.
pub fn client(ca: &Path, identity: Option<(&Path, &Path)>) -> Result<ClientTlsConfig, TlsError> {
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority(ca)?));
    let Some((cert, key)) = identity else { return Ok(tls) };
    Ok(tls.identity(Identity::from_pem(&*read(cert, FILE_BYTES_MAX)?, &*read(key, FILE_BYTES_MAX)?)))
}
