//! X.509 certificates as far as a timestamp's path needs them (RFC 5280, sections 4.1 and 4.2).
//!
//! Guarantees: an extension stands once, and one that is critical and not understood is remembered. Does not do: name
//! constraints and policy constraints, which are critical and so refuse the path.

use core::fmt;

use der::Tag;
use der::asn1::ObjectIdentifier;

use super::algorithm::{Algorithm, PublicKey};
use super::der::{Fields, Malformed, constructed, primitive};
use super::{moment, name, oid};
use crate::encoding::hex_encode;
use crate::hash::Hash;
use crate::time::UnixMillis;

const PART: &str = "certificate";

/// One certificate, borrowed from its bytes.
#[derive(Clone, Debug)]
pub(super) struct Certificate<'a> {
    /// All of its bytes.
    pub(super) whole: &'a [u8],
    signed: &'a [u8],
    pub(super) serial: &'a [u8],
    pub(super) issuer: &'a [u8],
    pub(super) subject: &'a [u8],
    pub(super) not_before: UnixMillis,
    pub(super) not_after: UnixMillis,
    pub(super) key: PublicKey<'a>,
    algorithm: Algorithm<'a>,
    signature: &'a [u8],
    pub(super) extensions: Extensions<'a>,
}

/// What its extensions say.
#[derive(Clone, Debug, Default)]
pub(super) struct Extensions<'a> {
    /// Whether there are any, which makes it version 3.
    pub(super) any: bool,
    /// `cA` and `pathLenConstraint`.
    pub(super) basic: Option<(bool, Option<u64>)>,
    /// The bits of `KeyUsage`, the first one highest.
    pub(super) key_usage: Option<u16>,
    /// Whether it is critical, and the purposes.
    pub(super) purposes: Option<(bool, Vec<ObjectIdentifier>)>,
    pub(super) key_identifier: Option<&'a [u8]>,
    /// GeneralNames, whole.
    pub(super) alternative_names: Vec<&'a [u8]>,
    /// The first critical extension that is not understood here.
    pub(super) unknown_critical: Option<ObjectIdentifier>,
}

/// Bits of `KeyUsage` (RFC 5280, section 4.2.1.3).
pub(super) mod usage {
    /// `digitalSignature` or `nonRepudiation`.
    pub(in super::super) const SIGN: u16 = 0xc000;
    /// `keyCertSign`.
    pub(in super::super) const SIGN_CERTIFICATES: u16 = 0x0400;
    /// `cRLSign`.
    pub(in super::super) const SIGN_LISTS: u16 = 0x0200;
}

impl<'a> Certificate<'a> {
    /// Reads one certificate, to its end.
    pub(super) fn parse(whole: &'a [u8]) -> Result<Self, Malformed> {
        let mut outer = Fields::sequence_of(whole, PART)?;
        let signed = outer.whole()?;
        let algorithm = Algorithm::read(&mut outer, PART)?;
        let signature = outer.bits()?;
        outer.end()?;
        let mut fields = Fields::sequence_of(signed, PART)?;
        let version = match fields.optional(constructed(0))? {
            None => 0,
            Some(version) => Fields::of(version, PART)?.unsigned()?,
        };
        let serial = fields.integer()?;
        let same = Algorithm::read(&mut fields, PART)? == algorithm;
        let issuer = fields.whole()?;
        let mut validity = fields.sequence(PART)?;
        let not_before = moment::read_time(&mut validity, "validity of a certificate")?;
        let not_after = moment::read_time(&mut validity, "validity of a certificate")?;
        validity.end()?;
        let subject = fields.whole()?;
        let key = PublicKey::read(&mut fields)?;
        for unique_identifier in [primitive(1), primitive(2)] {
            fields.optional(unique_identifier)?;
        }
        let extensions = match fields.optional(constructed(3))? {
            None => Extensions::default(),
            Some(extensions) => Extensions::parse(extensions)?,
        };
        fields.end()?;
        if !same || version > 2 || (extensions.any && version != 2) {
            return Err(Malformed(PART));
        }
        Ok(Self {
            whole,
            signed,
            serial,
            issuer,
            subject,
            not_before,
            not_after,
            key,
            algorithm,
            signature,
            extensions,
        })
    }

    /// Checks that `issuer`'s key signed this certificate.
    pub(super) fn signed_by(&self, issuer: &PublicKey<'_>) -> Result<(), super::algorithm::SignatureFault> {
        issuer.verify(&self.algorithm, None, self.signed, self.signature)
    }

    /// Whether it was valid at `at`, both ends included.
    pub(super) fn is_valid_at(&self, at: UnixMillis) -> bool {
        self.not_before <= at && at <= self.not_after
    }

    /// Whether its key may be used for `bits`; a certificate that names no usage may be used for all.
    pub(super) fn may(&self, bits: u16) -> bool {
        self.extensions.key_usage.is_none_or(|usage| usage & bits != 0)
    }

    /// Whether this is another issuer's certificate of the same authority, such as the one by which an older root vouches for a
    /// younger. A changed copy is none: it shares the signature.
    pub(super) fn is_cross_of(&self, other: &Certificate<'_>) -> bool {
        self.subject == other.subject
            && self.key.whole == other.key.whole
            && self.issuer != other.issuer
            && self.signature != other.signature
    }

    pub(super) fn name(&self) -> CertificateName {
        CertificateName {
            subject: name::text(self.subject),
            issuer: name::text(self.issuer),
            serial: hex_encode(self.serial),
            sha256: Hash::of(self.whole),
        }
    }
}

impl<'a> Extensions<'a> {
    fn parse(contents: &'a [u8]) -> Result<Self, Malformed> {
        let mut list = Fields::of(contents, PART)?;
        let mut items = list.sequence("extensions of a certificate")?;
        list.end()?;
        let mut found = Self { any: true, ..Self::default() };
        let mut seen = Vec::new();
        while !items.is_finished() {
            let extension = Extension::read(&mut items)?;
            if seen.contains(&extension.oid) {
                return Err(Malformed("extensions of a certificate"));
            }
            seen.push(extension.oid);
            found.take(&extension)?;
        }
        Ok(found)
    }

    fn take(&mut self, extension: &Extension<'a>) -> Result<(), Malformed> {
        let value = extension.value;
        match extension.oid {
            oid::BASIC_CONSTRAINTS => {
                let mut fields = Fields::sequence_of(value, "basicConstraints of a certificate")?;
                let ca = fields.default_false()?;
                let length = if fields.is_finished() { None } else { Some(fields.unsigned()?) };
                fields.end()?;
                self.basic = Some((ca, length));
            }
            oid::KEY_USAGE => self.key_usage = Some(key_usage(value)?),
            oid::EXTENDED_KEY_USAGE => {
                let mut fields = Fields::sequence_of(value, "extKeyUsage of a certificate")?;
                let mut purposes = vec![fields.oid()?];
                while !fields.is_finished() {
                    purposes.push(fields.oid()?);
                }
                self.purposes = Some((extension.critical, purposes));
            }
            oid::SUBJECT_KEY_IDENTIFIER => {
                let mut fields = Fields::of(value, "subjectKeyIdentifier of a certificate")?;
                self.key_identifier = Some(fields.value(Tag::OctetString)?);
                fields.end()?;
            }
            oid::SUBJECT_ALT_NAME => {
                let mut fields = Fields::sequence_of(value, "subjectAltName of a certificate")?;
                while !fields.is_finished() {
                    self.alternative_names.push(fields.whole()?);
                }
            }
            // Every policy will do for a path, so this one needs nothing.
            oid::CERTIFICATE_POLICIES => {}
            other if extension.critical => {
                self.unknown_critical.get_or_insert(other);
            }
            _ => {}
        }
        Ok(())
    }
}

/// The bits of a KeyUsage, the first one highest.
fn key_usage(value: &[u8]) -> Result<u16, Malformed> {
    const USAGE: &str = "keyUsage of a certificate";
    let mut fields = Fields::of(value, USAGE)?;
    let bits = fields.value(Tag::BitString)?;
    fields.end()?;
    match bits {
        [0..=7, first] => Ok(u16::from(*first) << 8),
        [0..=7, first, second] => Ok(u16::from(*first) << 8 | u16::from(*second)),
        _ => Err(Malformed(USAGE)),
    }
}

/// One Extension (RFC 5280, section 4.1): of a certificate, a revocation list or a token.
pub(super) struct Extension<'a> {
    pub(super) oid: ObjectIdentifier,
    pub(super) critical: bool,
    pub(super) value: &'a [u8],
}

impl<'a> Extension<'a> {
    pub(super) fn read(fields: &mut Fields<'a>) -> Result<Self, Malformed> {
        let mut inner = fields.sequence("extension")?;
        let oid = inner.oid()?;
        let critical = inner.default_false()?;
        let value = inner.value(Tag::OctetString)?;
        inner.end()?;
        Ok(Self { oid, critical, value })
    }
}

/// A certificate, named so that a reader can find it elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateName {
    /// Whom it certifies, as RFC 4514 writes names.
    pub subject: String,
    /// Who certified it.
    pub issuer: String,
    /// Its serial number, the INTEGER's bytes in hexadecimal.
    pub serial: String,
    /// SHA-256 of its bytes, which `openssl x509 -fingerprint -sha256` prints.
    pub sha256: Hash,
}

impl fmt::Display for CertificateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (serial {}, SHA-256 {}) of {}", self.subject, self.serial, self.sha256, self.issuer)
    }
}
