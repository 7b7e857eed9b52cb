//! Timestamps of RFC 3161 authorities: what to ask for, and what a reply proves.
//!
//! Guarantees: a [`Stamp`] is what a certificate's key signed about the imprint that was asked for, with one signer, under
//! attributes that bind the certificate; [`verify`] further ends at a root that the caller trusts, with every certificate
//! valid at the token's time. Bytes that nobody signed have one accepted value each, save the text beside the status and
//! cross-certificates of authorities on the path, on which nothing rests.
//! Does not do: send anything, read a clock, ship roots, fetch revocation lists, read BER.
//! Specifications: RFC 3161, RFC 5816, RFC 5652, RFC 5280; what it proves to whom is in `docs/anchoring.md`.

use crate::encoding::hex_encode;
use crate::hash::Hash;

mod algorithm;
#[cfg(feature = "rfc3161-authority")]
pub mod authority;
mod certificate;
mod der;
mod error;
mod moment;
mod name;
mod oid;
mod path;
mod reply;
mod report;
mod request;
mod revocation;
mod token;
mod trust;

pub use algorithm::Digest;
pub use certificate::CertificateName;
pub use error::{Failure, PurposeFault, StampError, TrustError};
pub use report::checks;
pub use request::{Request, RequestError};
pub use token::{Path, Stamp};
pub use trust::{PolicyId, Trust};

/// `Content-Type` of a request over HTTP (RFC 3161, section 3.4).
pub const REQUEST_CONTENT_TYPE: &str = "application/timestamp-query";

/// `Content-Type` of a reply over HTTP (RFC 3161, section 3.4).
pub const REPLY_CONTENT_TYPE: &str = "application/timestamp-reply";

/// What a timestamp is of: the digest of some bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imprint {
    digest: Digest,
    bytes: Vec<u8>,
}

impl Imprint {
    /// SHA-256 of `data`: what is asked for of an anchor statement's bytes.
    #[must_use]
    pub fn of(data: &[u8]) -> Self {
        Self::from(Hash::of(data))
    }

    /// A digest that was computed elsewhere; none if it does not have its function's length.
    #[must_use]
    pub fn new(digest: Digest, bytes: &[u8]) -> Option<Self> {
        (bytes.len() == digest.size()).then(|| Self { digest, bytes: bytes.to_vec() })
    }

    /// The hash function.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// The digest's bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The MessageImprint (RFC 3161, section 2.4.1), with NULL parameters, which every authority takes.
    fn write(&self) -> Vec<u8> {
        let null = der::write(der::tag::NULL, &[]);
        let algorithm = der::write(der::tag::SEQUENCE, &[&der::write_oid(&self.digest.oid()), &null]);
        der::write(der::tag::SEQUENCE, &[&algorithm, &der::write(der::tag::OCTET_STRING, &[&self.bytes])])
    }
}

impl From<Hash> for Imprint {
    fn from(hash: Hash) -> Self {
        Self { digest: Digest::Sha256, bytes: hash.as_bytes().to_vec() }
    }
}

impl core::fmt::Display for Imprint {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} {}", self.digest, hex_encode(&self.bytes))
    }
}

/// What holds of a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// What the authority signed.
    pub stamp: Stamp,
    /// How its certificate leads to a trusted root.
    pub path: Path,
}

/// Checks all of a reply (`TimeStampResp`, DER) offline: the token for `imprint`, `nonce` where the request is at hand, and the
/// certificate's path to a root of `trust` at the token's time.
///
/// # Errors
/// [`StampError`] says which rule is broken.
pub fn verify(
    bytes: &[u8],
    imprint: &Imprint,
    nonce: Option<u64>,
    trust: &Trust,
) -> Result<Verified, StampError> {
    let opened = token::Opened::open(bytes, imprint, nonce, trust)?;
    let path = opened.certify()?;
    Ok(Verified { stamp: opened.stamp, path })
}

/// Checks what can be checked of a reply without trusting anybody: all that [`verify`] does but the path to a root. This is
/// what a client does before it keeps a reply; of `trust` only the policies and the certificates that replies leave out
/// are used.
///
/// # Errors
/// [`StampError`] says which rule is broken, and [`StampError::is_transient`] whether to ask again.
pub fn examine(
    bytes: &[u8],
    imprint: &Imprint,
    nonce: Option<u64>,
    trust: &Trust,
) -> Result<Stamp, StampError> {
    let opened = token::Opened::open(bytes, imprint, nonce, trust)?;
    opened.check_purpose()?;
    Ok(opened.stamp)
}
