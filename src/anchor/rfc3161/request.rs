//! The request for a timestamp: TimeStampReq (RFC 3161, section 2.4.1).
//!
//! Guarantees: what is read writes back as the same bytes, save NULL parameters and a `certReq` that is false, which are
//! left out. Does not do: extensions, of which RFC 3161 defines none.

use der::Tag;

use super::Imprint;
use super::algorithm::Algorithm;
use super::der::{Fields, Malformed, constructed, tag, unsigned, write, write_oid, write_unsigned};
use super::trust::PolicyId;
use crate::code::Code;
use crate::limits::TIMESTAMP_REQUEST_BYTES_MAX;

/// A request for a timestamp.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What is to be stamped.
    pub imprint: Imprint,
    /// The policy that is asked for; without one the authority chooses.
    pub policy: Option<PolicyId>,
    /// A random number that the token must carry, so that an old token cannot answer; the caller draws it.
    pub nonce: Option<u64>,
    /// Whether the reply is to carry the authority's certificates. Without them nobody can check it later.
    pub certificates: bool,
}

/// Why bytes are no request that can be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// More bytes than a request can need.
    #[error("the request is longer than {TIMESTAMP_REQUEST_BYTES_MAX} bytes")]
    TooLong,
    /// Not in the form that its specification gives it.
    #[error("the {0} is not as RFC 3161 in DER asks for")]
    Malformed(&'static str),
    /// An imprint of a hash function that is not known here, or of another length.
    #[error("the imprint is not one of SHA-256, SHA-384 or SHA-512")]
    Imprint,
    /// A nonce below zero or from 2^64.
    #[error("the nonce does not fit 64 bits")]
    Nonce,
    /// Extensions.
    #[error("the request has extensions; none is known")]
    Extensions,
}

impl RequestError {
    /// What the reader must do next.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::TooLong => Code::Limit,
            _ => Code::Malformed,
        }
    }
}

impl From<Malformed> for RequestError {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed.0)
    }
}

impl Request {
    /// Asks for a stamp of `imprint` with the authority's certificates; `nonce` is drawn by the caller.
    #[must_use]
    pub const fn new(imprint: Imprint, nonce: u64) -> Self {
        Self { imprint, policy: None, nonce: Some(nonce), certificates: true }
    }

    /// The bytes to send as [`super::REQUEST_CONTENT_TYPE`].
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let policy = self.policy.map(|policy| write_oid(&policy.0)).unwrap_or_default();
        let nonce = self.nonce.map(|nonce| write_unsigned(&nonce.to_be_bytes())).unwrap_or_default();
        let certificates = if self.certificates { write(tag::BOOLEAN, &[&[0xff]]) } else { Vec::new() };
        let version = write_unsigned(&[1]);
        write(tag::SEQUENCE, &[&version, &self.imprint.write(), &policy, &nonce, &certificates])
    }

    /// Reads a request, to its end.
    ///
    /// # Errors
    /// [`RequestError`] where it is no request that can be answered.
    pub fn parse(bytes: &[u8]) -> Result<Self, RequestError> {
        const PART: &str = "request";
        if bytes.len() > TIMESTAMP_REQUEST_BYTES_MAX {
            return Err(RequestError::TooLong);
        }
        let mut fields = Fields::sequence_of(bytes, PART)?;
        if fields.unsigned()? != 1 {
            return Err(RequestError::Malformed(PART));
        }
        let mut message = fields.sequence("message imprint")?;
        let algorithm = Algorithm::read(&mut message, "message imprint")?;
        let digest = message.value(Tag::OctetString)?;
        message.end()?;
        let policy = if fields.is_next(Tag::ObjectIdentifier) { Some(PolicyId(fields.oid()?)) } else { None };
        let nonce = if fields.is_next(Tag::Integer) {
            Some(unsigned(fields.integer()?).ok_or(RequestError::Nonce)?)
        } else {
            None
        };
        let certificates = fields.default_false()?;
        if fields.optional(constructed(0))?.is_some() {
            return Err(RequestError::Extensions);
        }
        fields.end()?;
        let imprint = algorithm.digest().ok().and_then(|known| Imprint::new(known, digest));
        Ok(Self { imprint: imprint.ok_or(RequestError::Imprint)?, policy, nonce, certificates })
    }
}
