//! One token, checked against what it must prove and the certificate it was signed with.

use super::algorithm::sha1;
use super::certificate::{Certificate, CertificateName};
use super::der::{tag, unsigned, write};
use super::error::StampError;
use super::reply::{Attributes, CertificateId, Reply, SignerIdentifier};
use super::trust::{PolicyId, Trust};
use super::{Imprint, name, path};
use crate::encoding::hex_encode;
use crate::limits::TIMESTAMP_REPLY_BYTES_MAX;
use crate::time::UnixMillis;

/// What a timestamp authority signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// When the authority says that it was shown the imprint; what is finer than a millisecond is cut off.
    pub time: UnixMillis,
    /// How far the authority says that this may be off, in microseconds.
    pub accuracy_micros: Option<u64>,
    /// Whether tokens of this authority can be ordered by their times, however close they are.
    pub ordering: bool,
    /// The token's number at this authority: the INTEGER's bytes in hexadecimal.
    pub serial: String,
    /// The policy under which it was made.
    pub policy: PolicyId,
    /// Whether the token itself says that it is a qualified timestamp; that is its word, which a trusted list confirms.
    pub claims_qualified: bool,
    /// Who signed it.
    pub signer: CertificateName,
}

/// Where a stamp's certificate leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// From the authority's certificate to the trusted root, both included.
    pub certificates: Vec<CertificateName>,
    /// How many of them, the root not counted, a trusted revocation list from after the token's time covers.
    pub revocation_checked: usize,
}

/// A token whose signature holds under the certificate that it names.
pub(super) struct Opened<'a> {
    pub(super) stamp: Stamp,
    signer: Certificate<'a>,
    carried: Vec<Certificate<'a>>,
    trust: &'a Trust,
}

impl<'a> Opened<'a> {
    /// Checks everything for which nobody has to be trusted.
    pub(super) fn open(
        bytes: &'a [u8],
        imprint: &Imprint,
        nonce: Option<u64>,
        trust: &'a Trust,
    ) -> Result<Self, StampError> {
        if bytes.len() > TIMESTAMP_REPLY_BYTES_MAX {
            return Err(StampError::TooLong { bytes: bytes.len(), max: TIMESTAMP_REPLY_BYTES_MAX });
        }
        let reply = Reply::parse(bytes)?;
        check_info(&reply, imprint, nonce, trust)?;
        let carried =
            reply.certificates.iter().map(|der| Certificate::parse(der)).collect::<Result<Vec<_>, _>>()?;
        let attributes = Attributes::parse(reply.signer.attributes)?;
        let signer = find_signer(&reply, &carried, trust, &attributes)?;
        check_signature(&reply, &attributes, &signer)?;
        check_authority(&reply, &signer)?;
        let stamp = Stamp {
            time: reply.info.time,
            accuracy_micros: reply.info.accuracy_micros,
            ordering: reply.info.ordering,
            serial: hex_encode(reply.info.serial),
            policy: PolicyId(reply.info.policy),
            claims_qualified: reply.info.qualified,
            signer: signer.name(),
        };
        Ok(Self { stamp, signer, carried, trust })
    }

    /// Checks that the signer's certificate was made for timestamps and was valid at the token's time.
    pub(super) fn check_purpose(&self) -> Result<(), StampError> {
        path::check_signer(&self.signer, self.stamp.time)
    }

    /// Checks the certificate, its path to a trusted root and the revocation lists.
    pub(super) fn certify(&self) -> Result<Path, StampError> {
        self.check_purpose()?;
        let (roots, known) = (self.trust.roots()?, self.trust.certificates()?);
        if roots.is_empty() {
            return Err(StampError::NoRoots);
        }
        let others: Vec<Certificate<'_>> = self.carried.iter().chain(&known).cloned().collect();
        let path = path::build(&self.signer, &others, &roots, self.stamp.time)?;
        for carried in &self.carried {
            let is_known = |other: &Certificate<'_>| other.whole == carried.whole;
            if !path.iter().any(|other| is_known(other) || carried.is_cross_of(other))
                && !roots.iter().chain(&known).any(is_known)
            {
                return Err(StampError::Stranger { subject: name::text(carried.subject) });
            }
        }
        let revocation_checked = path::check_revocation(&path, &self.trust.lists()?, self.stamp.time)?;
        Ok(Path { certificates: path.iter().map(|one| one.name()).collect(), revocation_checked })
    }
}

/// Checks that the token is for `imprint`, answers the request with `nonce`, and was made under a trusted policy.
fn check_info(
    reply: &Reply<'_>,
    imprint: &Imprint,
    nonce: Option<u64>,
    trust: &Trust,
) -> Result<(), StampError> {
    let info = &reply.info;
    let found = info.digest.digest();
    if found.as_ref() != Ok(&imprint.digest()) || info.imprint != imprint.bytes() {
        let found = info.digest.to_string();
        return Err(StampError::Imprint { found, imprint: hex_encode(info.imprint) });
    }
    if let Some(nonce) = nonce
        && info.nonce.and_then(unsigned) != Some(nonce)
    {
        return Err(StampError::Nonce);
    }
    if !trust.takes(info.policy) {
        return Err(StampError::Policy { found: info.policy.to_string() });
    }
    Ok(())
}

/// The certificate that the signer names and the `signingCertificate` attribute binds: from the reply, or from the trust.
fn find_signer<'a>(
    reply: &Reply<'a>,
    carried: &[Certificate<'a>],
    trust: &'a Trust,
    attributes: &Attributes<'_>,
) -> Result<Certificate<'a>, StampError> {
    let is_named = |certificate: &&Certificate<'_>| match reply.signer.identifier {
        SignerIdentifier::IssuerAndSerial(issuer, serial) => {
            certificate.issuer == issuer && certificate.serial == serial
        }
        SignerIdentifier::KeyIdentifier(identifier) => {
            certificate.extensions.key_identifier == Some(identifier)
        }
    };
    let (known, roots) = (trust.certificates()?, trust.roots()?);
    let named: Vec<_> = carried.iter().chain(&known).chain(&roots).filter(is_named).collect();
    let first = named.first().ok_or(StampError::NoCertificate)?;
    let bound = named
        .iter()
        .find(|certificate| attributes.certificate.iter().flatten().all(|id| binds(id, certificate)));
    match bound {
        Some(certificate) => Ok((**certificate).clone()),
        None => Err(StampError::Binding { subject: name::text(first.subject) }),
    }
}

/// Whether an ESSCertID is this certificate's.
fn binds(id: &CertificateId<'_>, certificate: &Certificate<'_>) -> bool {
    let hash = id.digest.map_or_else(|| sha1(certificate.whole), |digest| digest.of(certificate.whole));
    let issuer = write(super::der::constructed_tag(4), &[certificate.issuer]);
    let is_same = |(names, serial): (&[u8], &[u8])| names == issuer && serial == certificate.serial;
    hash == id.hash && id.issuer_serial.is_none_or(is_same)
}

/// Checks the content's digest, and the signature over the signed attributes (RFC 5652, sections 5.4 and 5.6).
fn check_signature(
    reply: &Reply<'_>,
    attributes: &Attributes<'_>,
    certificate: &Certificate<'_>,
) -> Result<(), StampError> {
    let signer = &reply.signer;
    let digest = signer.digest.digest().map_err(|fault| StampError::of_signature(fault, "token"))?;
    if digest.of(reply.content) != attributes.message_digest {
        return Err(StampError::Content);
    }
    let message = write(tag::SET, &[signer.attributes]);
    let verified = certificate.key.verify(&signer.algorithm, Some(digest), &message, signer.signature);
    verified.map_err(|fault| StampError::of_signature(fault, "token"))
}

/// Checks that `tsa`, where it is given, is one of the certificate's names (RFC 3161, section 2.4.2).
fn check_authority(reply: &Reply<'_>, certificate: &Certificate<'_>) -> Result<(), StampError> {
    let Some(authority) = reply.info.authority else { return Ok(()) };
    let subject = write(super::der::constructed_tag(4), &[certificate.subject]);
    if authority == subject || certificate.extensions.alternative_names.contains(&authority) {
        return Ok(());
    }
    Err(StampError::Authority { subject: name::text(certificate.subject) })
}
