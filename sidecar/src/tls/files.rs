//! Certificate, key, authorities of clients and revoked certificates in files.

use std::path::{Path, PathBuf};

use ledgerstone::hash::Hash;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use zeroize::Zeroizing;

use super::error::TlsError;
use super::reloading::{Clients, Material};
use super::{FILE_BYTES_MAX, read};

/// Bytes of the lists of revoked certificates: 400,000 of them at 40 bytes each.
const CRL_BYTES_MAX: u64 = 16 << 20;

/// The files that TLS is set up from, all PEM.
#[derive(Clone, Debug)]
pub struct Files {
    /// The certificate chain, the leaf first.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The authorities of clients; without it no client is asked for a certificate.
    pub client_ca: Option<PathBuf>,
    /// The revocation lists of the authorities of clients.
    pub crl: Option<PathBuf>,
}

impl Files {
    /// A certificate and its key; clients are not asked for one.
    #[must_use]
    pub fn of(cert: &Path, key: &Path) -> Self {
        Self { cert: cert.to_owned(), key: key.to_owned(), client_ca: None, crl: None }
    }

    /// What the files hold now.
    pub(super) fn contents(&self) -> Result<Contents, TlsError> {
        let if_set =
            |path: &Option<PathBuf>, bytes_max| path.as_deref().map(|path| read(path, bytes_max)).transpose();
        Ok(Contents {
            cert: read(&self.cert, FILE_BYTES_MAX)?,
            key: read(&self.key, FILE_BYTES_MAX)?,
            client_ca: if_set(&self.client_ca, FILE_BYTES_MAX)?,
            crl: if_set(&self.crl, CRL_BYTES_MAX)?,
        })
    }

    /// Reads certificates and key out of what the files hold.
    pub(super) fn material(&self, contents: &Contents) -> Result<Material, TlsError> {
        let key = PrivateKeyDer::from_pem_slice(&contents.key).map_err(|_| {
            unusable(&self.key, "one private key as PEM (PKCS#8, SEC1 or PKCS#1), unencrypted")
        })?;
        Ok(Material {
            chain: certificates(&self.cert, &contents.cert)?,
            key,
            clients: self.clients(contents)?,
            cert_from: self.cert.display().to_string(),
            key_from: self.key.display().to_string(),
        })
    }

    fn clients(&self, contents: &Contents) -> Result<Clients, TlsError> {
        let (Some(path), Some(pem)) = (&self.client_ca, &contents.client_ca) else {
            return Ok(Clients::NotAsked);
        };
        let mut roots = RootCertStore::empty();
        for der in certificates(path, pem)? {
            roots.add(der).map_err(|_| unusable(path, AUTHORITIES))?;
        }
        let crls = match (&self.crl, &contents.crl) {
            (Some(path), Some(pem)) => crls(path, pem)?,
            _ => Vec::new(),
        };
        Ok(Clients::Of { roots, crls, from: path.display().to_string() })
    }
}

const AUTHORITIES: &str = "certificates of authorities as PEM";

/// The bytes of the files, read one after the other: what does not fit together is seen when they are parsed.
pub(super) struct Contents {
    cert: Zeroizing<Vec<u8>>,
    key: Zeroizing<Vec<u8>>,
    client_ca: Option<Zeroizing<Vec<u8>>>,
    crl: Option<Zeroizing<Vec<u8>>>,
}

impl Contents {
    /// The same for the same bytes in the same files.
    pub(super) fn digest(&self) -> Hash {
        let parts = [Some(&self.cert), Some(&self.key), self.client_ca.as_ref(), self.crl.as_ref()];
        let digests: Vec<u8> =
            parts.into_iter().flat_map(|part| *Hash::of(part.map_or(&[], |part| part)).as_bytes()).collect();
        Hash::of(&digests)
    }
}

/// Every certificate in `pem`, at least one; a file that ends within one is refused whole.
fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    whole(path, pem, "certificates as PEM")
}

fn crls(path: &Path, pem: &[u8]) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
    whole(path, pem, "revocation lists as PEM (BEGIN X509 CRL)")
}

fn whole<T: PemObject>(path: &Path, pem: &[u8], expected: &'static str) -> Result<Vec<T>, TlsError> {
    let parts: Result<Vec<T>, _> = T::pem_slice_iter(pem).collect();
    parts.ok().filter(|parts| !parts.is_empty()).ok_or_else(|| unusable(path, expected))
}

fn unusable(path: &Path, expected: &'static str) -> TlsError {
    TlsError::Unusable { from: path.display().to_string(), expected }
}
