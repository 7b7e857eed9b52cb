//! Revocation lists (RFC 5280, section 5), and what a revocation means for a timestamp (RFC 3161, section 4).
//!
//! Guarantees: a list counts only where its issuer signed it. Does not do: delta lists, lists for other issuers or for a
//! part of the certificates, which are refused; OCSP; fetching a list.

use der::Tag;
use der::asn1::ObjectIdentifier;

use super::algorithm::{Algorithm, PublicKey, SignatureFault};
use super::certificate::Extension;
use super::der::{Fields, Malformed, constructed};
use super::{moment, oid};
use crate::time::UnixMillis;

const PART: &str = "revocation list";

/// One list, borrowed from its bytes.
#[derive(Debug)]
pub(super) struct RevocationList<'a> {
    signed: &'a [u8],
    pub(super) issuer: &'a [u8],
    /// When it was issued.
    pub(super) this_update: UnixMillis,
    entries: &'a [u8],
    algorithm: Algorithm<'a>,
    signature: &'a [u8],
    /// A critical extension: the list speaks of less, or of more, than its issuer's certificates.
    pub(super) unknown_critical: Option<ObjectIdentifier>,
}

/// One revoked certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Revocation {
    pub(super) since: UnixMillis,
    /// `CRLReason`, where it is given.
    reason: Option<u8>,
}

impl Revocation {
    /// Whether a token of `at` still holds: the authority gave its certificate up later, for a reason that says that
    /// the key was not in other hands (RFC 3161, section 4, points 1 and 2).
    pub(super) fn spares(self, at: UnixMillis) -> bool {
        // unspecified, affiliationChanged, superseded, cessationOfOperation
        matches!(self.reason, Some(0 | 3 | 4 | 5)) && at < self.since
    }
}

impl<'a> RevocationList<'a> {
    /// Reads one list, every entry of it.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut outer = Fields::sequence_of(bytes, PART)?;
        let signed = outer.whole()?;
        let algorithm = Algorithm::read(&mut outer, PART)?;
        let signature = outer.bits()?;
        outer.end()?;
        let mut fields = Fields::sequence_of(signed, PART)?;
        let version = if fields.is_next(Tag::Integer) { fields.unsigned()? } else { 0 };
        let same = Algorithm::read(&mut fields, PART)? == algorithm;
        let issuer = fields.whole()?;
        let this_update = moment::read_time(&mut fields, PART)?;
        if fields.is_next(Tag::UtcTime) || fields.is_next(Tag::GeneralizedTime) {
            moment::read_time(&mut fields, PART)?;
        }
        let entries = fields.optional(Tag::Sequence)?.unwrap_or_default();
        let mut unknown_critical = None;
        if let Some(contents) = fields.optional(constructed(0))? {
            let mut list = Fields::of(contents, PART)?;
            let mut items = list.sequence(PART)?;
            list.end()?;
            while !items.is_finished() {
                let extension = Extension::read(&mut items)?;
                if extension.critical {
                    unknown_critical.get_or_insert(extension.oid);
                }
            }
        }
        fields.end()?;
        if !same || version > 1 {
            return Err(Malformed(PART));
        }
        let list = Self { signed, issuer, this_update, entries, algorithm, signature, unknown_critical };
        list.find(&[])?;
        Ok(list)
    }

    /// Checks that `issuer`'s key signed this list.
    pub(super) fn signed_by(&self, issuer: &PublicKey<'_>) -> Result<(), SignatureFault> {
        issuer.verify(&self.algorithm, None, self.signed, self.signature)
    }

    /// The entry of the certificate with this serial number.
    pub(super) fn find(&self, serial: &[u8]) -> Result<Option<Revocation>, Malformed> {
        let mut entries = Fields::of(self.entries, PART)?;
        let mut found = None;
        while !entries.is_finished() {
            let mut entry = entries.sequence(PART)?;
            let is_it = entry.integer()? == serial;
            let since = moment::read_time(&mut entry, PART)?;
            let reason = if entry.is_finished() { None } else { reason(entry.sequence(PART)?)? };
            entry.end()?;
            if is_it {
                found.get_or_insert(Revocation { since, reason });
            }
        }
        Ok(found)
    }
}

/// The reason among an entry's extensions. Any other critical one, such as another issuer's name, is not understood.
fn reason(mut extensions: Fields<'_>) -> Result<Option<u8>, Malformed> {
    let mut reason = None;
    while !extensions.is_finished() {
        let extension = Extension::read(&mut extensions)?;
        if extension.oid == oid::CRL_REASON {
            let mut fields = Fields::of(extension.value, PART)?;
            match fields.value(Tag::Enumerated)? {
                [value] => reason = Some(*value),
                _ => return Err(Malformed(PART)),
            }
            fields.end()?;
        } else if extension.critical {
            return Err(Malformed("revocation list with entries of other issuers"));
        }
    }
    Ok(reason)
}
