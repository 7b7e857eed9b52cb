//! What an auditor trusts: roots, policies, and what helps to reach the roots.
//!
//! Guarantees: only a root ends a path. Does not do: ship any root; they come from whoever audits.

use core::fmt;
use core::str::FromStr;

use der::asn1::ObjectIdentifier;

use super::certificate::Certificate;
use super::der::Malformed;
use super::error::TrustError;
use super::revocation::RevocationList;
use crate::encoding::base64_decode;
use crate::limits::{REVOCATION_LIST_BYTES_MAX, TIMESTAMP_TRUST_BYTES_MAX, TIMESTAMP_TRUST_ITEMS_MAX};

/// A policy under which an authority makes timestamps: an object identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PolicyId(pub(super) ObjectIdentifier);

impl FromStr for PolicyId {
    type Err = TrustError;

    fn from_str(text: &str) -> Result<Self, TrustError> {
        let oid = ObjectIdentifier::new(text).map_err(|_| TrustError::Policy)?;
        if oid.to_string() == text { Ok(Self(oid)) } else { Err(TrustError::Policy) }
    }
}

impl fmt::Display for PolicyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What an auditor trusts about timestamps. The empty one trusts nobody and takes every policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    roots: Vec<Vec<u8>>,
    certificates: Vec<Vec<u8>>,
    lists: Vec<Vec<u8>>,
    policies: Vec<PolicyId>,
}

impl Trust {
    /// Trusts the certificates in `file`, PEM (one or several) or DER, as ends of a path. An authority's own certificate
    /// may be one.
    ///
    /// # Errors
    /// [`TrustError`] where the file holds none, or one that is malformed.
    pub fn add_roots(&mut self, file: &[u8]) -> Result<(), TrustError> {
        add(&mut self.roots, certificates(file)?)
    }

    /// Takes the certificates in `file` to build paths with, without trusting them: those that replies leave out, and
    /// those that they carry although the path does not need them.
    ///
    /// # Errors
    /// [`TrustError`] where the file holds none, or one that is malformed.
    pub fn add_certificates(&mut self, file: &[u8]) -> Result<(), TrustError> {
        add(&mut self.certificates, certificates(file)?)
    }

    /// Takes the revocation lists in `file`, PEM or DER. Each counts for what its issuer's key signed.
    ///
    /// # Errors
    /// [`TrustError`] where the file holds none, or one that is malformed.
    pub fn add_revocation_lists(&mut self, file: &[u8]) -> Result<(), TrustError> {
        const WHAT: &str = "revocation list";
        let too_long =
            TrustError::TooMany { what: "bytes of a revocation list", max: REVOCATION_LIST_BYTES_MAX };
        // As PEM a list has a third more bytes, and line breaks.
        if file.len() > 2 * REVOCATION_LIST_BYTES_MAX {
            return Err(too_long);
        }
        let lists = items(file, "X509 CRL", WHAT)?;
        for list in &lists {
            if list.len() > REVOCATION_LIST_BYTES_MAX {
                return Err(too_long);
            }
            RevocationList::parse(list)?;
        }
        add(&mut self.lists, lists)
    }

    /// Takes tokens made under `policy`; without any, every policy will do.
    pub fn add_policy(&mut self, policy: PolicyId) {
        if !self.policies.contains(&policy) {
            self.policies.push(policy);
        }
    }

    /// Whether any root is trusted.
    #[must_use]
    pub const fn has_roots(&self) -> bool {
        !self.roots.is_empty()
    }

    pub(super) fn takes(&self, policy: ObjectIdentifier) -> bool {
        self.policies.is_empty() || self.policies.contains(&PolicyId(policy))
    }

    pub(super) fn roots(&self) -> Result<Vec<Certificate<'_>>, Malformed> {
        self.roots.iter().map(|der| Certificate::parse(der)).collect()
    }

    pub(super) fn certificates(&self) -> Result<Vec<Certificate<'_>>, Malformed> {
        self.certificates.iter().map(|der| Certificate::parse(der)).collect()
    }

    pub(super) fn lists(&self) -> Result<Vec<RevocationList<'_>>, Malformed> {
        self.lists.iter().map(|der| RevocationList::parse(der)).collect()
    }
}

impl From<Malformed> for TrustError {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed { part: malformed.0 }
    }
}

fn add(to: &mut Vec<Vec<u8>>, new: Vec<Vec<u8>>) -> Result<(), TrustError> {
    for item in new {
        if to.len() == TIMESTAMP_TRUST_ITEMS_MAX {
            return Err(TrustError::TooMany {
                what: "certificates or lists",
                max: TIMESTAMP_TRUST_ITEMS_MAX,
            });
        }
        if !to.contains(&item) {
            to.push(item);
        }
    }
    Ok(())
}

fn certificates(file: &[u8]) -> Result<Vec<Vec<u8>>, TrustError> {
    if file.len() > TIMESTAMP_TRUST_BYTES_MAX {
        return Err(TrustError::TooMany { what: "bytes of certificates", max: TIMESTAMP_TRUST_BYTES_MAX });
    }
    let found = items(file, "CERTIFICATE", "certificate")?;
    for certificate in &found {
        Certificate::parse(certificate)?;
    }
    Ok(found)
}

/// The DER of every PEM block (RFC 7468) with `label`, or the file itself where it is DER.
fn items(file: &[u8], label: &str, what: &'static str) -> Result<Vec<Vec<u8>>, TrustError> {
    if file.first() == Some(&super::der::tag::SEQUENCE) {
        return Ok(vec![file.to_vec()]);
    }
    let text = std::str::from_utf8(file).map_err(|_| TrustError::NotOne { what })?;
    let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
    let mut found = Vec::new();
    for block in text.split(&begin).skip(1) {
        let (body, _) = block.split_once(&end).ok_or(TrustError::NotOne { what })?;
        let base64: String = body.split_ascii_whitespace().collect();
        found.push(base64_decode(&base64).map_err(|_| TrustError::NotOne { what })?);
    }
    if found.is_empty() { Err(TrustError::NotOne { what }) } else { Ok(found) }
}
