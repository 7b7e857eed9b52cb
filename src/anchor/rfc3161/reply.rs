//! The reply of an authority: TimeStampResp, the CMS SignedData in it, and the TSTInfo in that (RFC 3161, section 2.4.2;
//! RFC 5652, section 5).
//!
//! Guarantees: what the authority did not sign has one value that is accepted, apart from the text beside the status,
//! which nothing rests on. Does not do: decide whether any of it holds.

use der::Tag;
use der::asn1::ObjectIdentifier;

use super::algorithm::{Algorithm, Digest};
use super::certificate::Extension;
use super::der::{Fields, Malformed, constructed, primitive, unsigned};
use super::error::{Failure, StampError};
use super::{moment, name, oid};
use crate::limits::TIMESTAMP_CERTIFICATES_MAX;
use crate::time::UnixMillis;

/// A reply that grants a token, borrowed from its bytes.
#[derive(Debug)]
pub(super) struct Reply<'a> {
    /// The TSTInfo's bytes, which the signer's messageDigest covers.
    pub(super) content: &'a [u8],
    pub(super) info: TstInfo<'a>,
    /// Certificates, whole, in the order of the reply.
    pub(super) certificates: Vec<&'a [u8]>,
    pub(super) signer: Signer<'a>,
}

/// The SignerInfo (RFC 5652, section 5.3).
#[derive(Debug)]
pub(super) struct Signer<'a> {
    pub(super) identifier: SignerIdentifier<'a>,
    pub(super) digest: Algorithm<'a>,
    /// The signed attributes' contents, without the tag that is replaced for the signature.
    pub(super) attributes: &'a [u8],
    pub(super) algorithm: Algorithm<'a>,
    pub(super) signature: &'a [u8],
}

/// Which certificate signed.
#[derive(Debug)]
pub(super) enum SignerIdentifier<'a> {
    /// By its issuer's name and its serial number.
    IssuerAndSerial(&'a [u8], &'a [u8]),
    /// By its subject key identifier.
    KeyIdentifier(&'a [u8]),
}

/// The TSTInfo.
#[derive(Debug)]
pub(super) struct TstInfo<'a> {
    pub(super) policy: ObjectIdentifier,
    pub(super) digest: Algorithm<'a>,
    pub(super) imprint: &'a [u8],
    pub(super) serial: &'a [u8],
    pub(super) time: UnixMillis,
    pub(super) accuracy_micros: Option<u64>,
    pub(super) ordering: bool,
    pub(super) nonce: Option<&'a [u8]>,
    /// The GeneralName in `tsa`, whole.
    pub(super) authority: Option<&'a [u8]>,
    /// Whether it says that it is a qualified timestamp.
    pub(super) qualified: bool,
}

impl<'a> Reply<'a> {
    /// Reads a reply that grants a token, to its end.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, StampError> {
        let mut outer = Fields::sequence_of(bytes, "reply")?;
        status(outer.sequence("status of the reply")?)?;
        let mut content_info = outer.sequence("token")?;
        outer.end()?;
        let signed_data = explicit(&mut content_info, oid::SIGNED_DATA, "token")?;
        let mut fields = Fields::sequence_of(signed_data, "signed data of the token")?;
        if fields.unsigned()? != 3 {
            return Err(StampError::Malformed("version of the signed data"));
        }
        let mut digests = Fields::of(fields.value(Tag::Set)?, "digest algorithms of the token")?;
        let digest = Algorithm::read(&mut digests, "digest algorithms of the token")?;
        digests.end()?;
        let mut content_info = fields.sequence("content of the token")?;
        let mut octets = Fields::of(
            explicit(&mut content_info, oid::TST_INFO, "content of the token")?,
            "content of the token",
        )?;
        let content = octets.value(Tag::OctetString)?;
        octets.end()?;
        let certificates = certificates(fields.optional(constructed(0))?)?;
        if fields.is_next(constructed(1)) {
            return Err(StampError::Unsigned("revocation lists"));
        }
        let mut signers = Fields::of(fields.value(Tag::Set)?, "signers of the token")?;
        fields.end()?;
        let signer = Signer::parse(signers.whole()?)?;
        if !signers.is_finished() {
            return Err(StampError::Signers);
        }
        if digest.digest() != signer.digest.digest() {
            return Err(StampError::Malformed("digest algorithms of the token"));
        }
        Ok(Self { content, info: TstInfo::parse(content)?, certificates, signer })
    }
}

/// What `[0]` holds after an object identifier that must be `expected`.
fn explicit<'a>(
    fields: &mut Fields<'a>,
    expected: ObjectIdentifier,
    part: &'static str,
) -> Result<&'a [u8], Malformed> {
    let found = fields.oid()?;
    let content = fields.value(constructed(0))?;
    if found == expected && fields.is_finished() { Ok(content) } else { Err(Malformed(part)) }
}

/// Reads a PKIStatusInfo (RFC 3161, section 2.4.2) that must say *granted*.
fn status(mut fields: Fields<'_>) -> Result<(), StampError> {
    const PART: &str = "status of the reply";
    let status = fields.unsigned()?;
    let mut text = String::new();
    if let Some(texts) = fields.optional(Tag::Sequence)? {
        let mut texts = Fields::of(texts, PART)?;
        while !texts.is_finished() {
            let line = std::str::from_utf8(texts.value(Tag::Utf8String)?).map_err(|_| Malformed(PART))?;
            if !text.is_empty() {
                text.push_str("; ");
            }
            text.push_str(&name::escaped(line));
        }
    }
    let failure = match fields.optional(Tag::BitString)? {
        None => None,
        Some(bits) => Some(Failure::from_bits(bits).ok_or(Malformed(PART))?),
    };
    fields.end()?;
    match (status, failure) {
        (0, None) => Ok(()),
        (0, Some(_)) => Err(StampError::Malformed(PART)),
        (1, _) => Err(StampError::GrantedWithModifications),
        _ => Err(StampError::Rejected { status, failure, text }),
    }
}

/// The certificates in the token; another form than X.509 is refused.
fn certificates(contents: Option<&[u8]>) -> Result<Vec<&[u8]>, StampError> {
    const PART: &str = "certificates of the token";
    let mut fields = Fields::of(contents.unwrap_or_default(), PART)?;
    let mut certificates = Vec::new();
    while !fields.is_finished() {
        if !fields.is_next(Tag::Sequence) {
            return Err(StampError::Malformed(PART));
        }
        if certificates.len() == TIMESTAMP_CERTIFICATES_MAX {
            return Err(StampError::TooMany { what: "certificates", max: TIMESTAMP_CERTIFICATES_MAX });
        }
        certificates.push(fields.whole()?);
    }
    Ok(certificates)
}

impl<'a> Signer<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, StampError> {
        const PART: &str = "signer of the token";
        let mut fields = Fields::sequence_of(bytes, PART)?;
        let version = fields.unsigned()?;
        let identifier = if version == 3 {
            SignerIdentifier::KeyIdentifier(fields.value(primitive(0))?)
        } else {
            let mut pair = fields.sequence(PART)?;
            let identifier = SignerIdentifier::IssuerAndSerial(pair.whole()?, pair.integer()?);
            pair.end()?;
            identifier
        };
        if version != 1 && version != 3 {
            return Err(StampError::Malformed(PART));
        }
        let digest = Algorithm::read(&mut fields, PART)?;
        let attributes = fields.value(constructed(0))?;
        let algorithm = Algorithm::read(&mut fields, PART)?;
        let signature = fields.value(Tag::OctetString)?;
        if fields.is_next(constructed(1)) {
            return Err(StampError::Unsigned("unsigned attributes"));
        }
        fields.end()?;
        Ok(Self { identifier, digest, attributes, algorithm, signature })
    }
}

impl<'a> TstInfo<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        const PART: &str = "TSTInfo";
        let mut fields = Fields::sequence_of(bytes, PART)?;
        let version = fields.unsigned()?;
        let policy = fields.oid()?;
        let mut message = fields.sequence("message imprint")?;
        let digest = Algorithm::read(&mut message, "message imprint")?;
        let imprint = message.value(Tag::OctetString)?;
        message.end()?;
        let serial = fields.integer()?;
        let time =
            moment::generalized_time(fields.value(Tag::GeneralizedTime)?).ok_or(Malformed("genTime"))?;
        let accuracy_micros = fields.optional(Tag::Sequence)?.map(accuracy).transpose()?;
        let ordering = fields.default_false()?;
        let nonce = if fields.is_next(Tag::Integer) { Some(fields.integer()?) } else { None };
        let authority = fields.optional(constructed(0))?;
        let qualified = fields.optional(constructed(1))?.map(says_qualified).transpose()?.unwrap_or(false);
        fields.end()?;
        if version != 1 {
            return Err(Malformed(PART));
        }
        Ok(Self {
            policy,
            digest,
            imprint,
            serial,
            time,
            accuracy_micros,
            ordering,
            nonce,
            authority,
            qualified,
        })
    }
}

/// Microseconds of an Accuracy: whole seconds, then milliseconds and microseconds from 1 to 999.
fn accuracy(contents: &[u8]) -> Result<u64, Malformed> {
    const PART: &str = "accuracy";
    let mut fields = Fields::of(contents, PART)?;
    let seconds = if fields.is_next(Tag::Integer) { fields.unsigned()? } else { 0 };
    let mut micros = seconds.checked_mul(1_000_000).ok_or(Malformed(PART))?;
    for (number, unit) in [(0, 1000), (1, 1)] {
        if let Some(value) = fields.optional(primitive(number))? {
            let value = super::der::canonical_integer(value).and_then(unsigned);
            let value = value.filter(|value| (1..=999).contains(value)).ok_or(Malformed(PART))?;
            micros = micros.checked_add(value * unit).ok_or(Malformed(PART))?;
        }
    }
    fields.end()?;
    Ok(micros)
}

/// Whether the extensions claim a qualified timestamp (ETSI EN 319 422, section 9.1). Another critical one refuses the token.
fn says_qualified(contents: &[u8]) -> Result<bool, Malformed> {
    const PART: &str = "extensions of the TSTInfo";
    let mut items = Fields::of(contents, PART)?;
    let mut qualified = false;
    while !items.is_finished() {
        let extension = Extension::read(&mut items)?;
        if extension.oid == oid::QC_STATEMENTS {
            let mut statements = Fields::sequence_of(extension.value, PART)?;
            while !statements.is_finished() {
                qualified |= statements.sequence(PART)?.oid()? == oid::QUALIFIED_TIMESTAMP;
            }
        } else if extension.critical {
            return Err(Malformed(PART));
        }
    }
    Ok(qualified)
}

/// The signed attributes that a token must have, each once and with one value.
#[derive(Debug)]
pub(super) struct Attributes<'a> {
    pub(super) message_digest: &'a [u8],
    /// ESSCertID and ESSCertIDv2 of the signer, where they are given.
    pub(super) certificate: [Option<CertificateId<'a>>; 2],
}

/// The first ESSCertID of a `signingCertificate` attribute: whom it says the signature is of.
#[derive(Debug)]
pub(super) struct CertificateId<'a> {
    /// None is SHA-1, the only one of version 1.
    pub(super) digest: Option<Digest>,
    pub(super) hash: &'a [u8],
    /// The GeneralNames of the issuer and the serial number, where they are given.
    pub(super) issuer_serial: Option<(&'a [u8], &'a [u8])>,
}

impl<'a> Attributes<'a> {
    pub(super) fn parse(contents: &'a [u8]) -> Result<Self, StampError> {
        const PART: &str = "signed attributes";
        let mut list = Fields::of(contents, PART)?;
        let mut seen = Vec::new();
        let (mut content_type, mut message_digest, mut certificate) = (None, None, [None, None]);
        while !list.is_finished() {
            let mut attribute = list.sequence(PART)?;
            let kind = attribute.oid()?;
            let mut values = Fields::of(attribute.value(Tag::Set)?, PART)?;
            attribute.end()?;
            if seen.contains(&kind) {
                return Err(StampError::Repeated(oid::name(&kind)));
            }
            seen.push(kind);
            match kind {
                oid::CONTENT_TYPE => content_type = Some(values.oid()?),
                oid::MESSAGE_DIGEST => message_digest = Some(values.value(Tag::OctetString)?),
                oid::SIGNING_CERTIFICATE => {
                    certificate = place(certificate, 0, certificate_id(&mut values, 1)?)
                }
                oid::SIGNING_CERTIFICATE_V2 => {
                    certificate = place(certificate, 1, certificate_id(&mut values, 2)?);
                }
                _ => continue,
            }
            values.end()?;
        }
        if content_type != Some(oid::TST_INFO) {
            return Err(StampError::Attribute("contentType"));
        }
        if certificate.iter().all(Option::is_none) {
            return Err(StampError::Attribute("signingCertificate"));
        }
        let message_digest = message_digest.ok_or(StampError::Attribute("messageDigest"))?;
        Ok(Self { message_digest, certificate })
    }
}

fn place<'a>(
    [first, second]: [Option<CertificateId<'a>>; 2],
    at: usize,
    id: CertificateId<'a>,
) -> [Option<CertificateId<'a>>; 2] {
    if at == 0 { [Some(id), second] } else { [first, Some(id)] }
}

/// The first certificate of a SigningCertificate (RFC 2634, section 5.4) or SigningCertificateV2 (RFC 5035, section 3).
fn certificate_id<'a>(values: &mut Fields<'a>, version: u8) -> Result<CertificateId<'a>, StampError> {
    const PART: &str = "signingCertificate attribute";
    let mut value = values.sequence(PART)?;
    let mut list = value.sequence(PART)?;
    let mut id = list.sequence(PART)?;
    let digest = match version {
        1 => None,
        _ if id.is_next(Tag::Sequence) => {
            let algorithm = Algorithm::read(&mut id, PART)?;
            Some(algorithm.digest().map_err(|fault| StampError::of_signature(fault, PART))?)
        }
        _ => Some(Digest::Sha256),
    };
    let hash = id.value(Tag::OctetString)?;
    let issuer_serial = if id.is_finished() {
        None
    } else {
        let mut pair = id.sequence(PART)?;
        let both = (pair.value(Tag::Sequence)?, pair.integer()?);
        pair.end()?;
        Some(both)
    };
    id.end()?;
    Ok(CertificateId { digest, hash, issuer_serial })
}
