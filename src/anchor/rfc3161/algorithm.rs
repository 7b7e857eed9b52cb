//! Digests and signatures of tokens, certificates and revocation lists.
//!
//! Guarantees: a key is used only with the algorithm that its certificate names, on its curve, and an algorithm that is not
//! checked here is told by name, never taken for a bad signature. Does not do: SHA-1 and MD5 signatures, RSA under 2,048
//! bits, DSA, P-521, ECDSA with SHA-512.

use core::fmt;

use der::Tag;
use der::asn1::ObjectIdentifier;
use ring::signature::{self, UnparsedPublicKey, VerificationAlgorithm};

use super::der::{Fields, Malformed, constructed};
use super::oid;
use crate::hash::Hash;

/// The hash function of an imprint, a content or a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digest {
    /// SHA-256, 32 bytes.
    Sha256,
    /// SHA-384, 48 bytes.
    Sha384,
    /// SHA-512, 64 bytes.
    Sha512,
}

impl Digest {
    /// Bytes of a digest.
    #[must_use]
    pub const fn size(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// The digest of `data`.
    #[must_use]
    pub fn of(self, data: &[u8]) -> Vec<u8> {
        let algorithm = match self {
            Self::Sha256 => return Hash::of(data).as_bytes().to_vec(),
            Self::Sha384 => &ring::digest::SHA384,
            Self::Sha512 => &ring::digest::SHA512,
        };
        ring::digest::digest(algorithm, data).as_ref().to_vec()
    }

    pub(super) const fn oid(self) -> ObjectIdentifier {
        match self {
            Self::Sha256 => oid::SHA256,
            Self::Sha384 => oid::SHA384,
            Self::Sha512 => oid::SHA512,
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sha256 => "SHA-256",
            Self::Sha384 => "SHA-384",
            Self::Sha512 => "SHA-512",
        })
    }
}

/// SHA-1 of `data`, which names a certificate in a `signingCertificate` attribute of 1999 (RFC 2634, section 5.4).
pub(super) fn sha1(data: &[u8]) -> Vec<u8> {
    ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, data).as_ref().to_vec()
}

/// An AlgorithmIdentifier (RFC 5280, section 4.1.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Algorithm<'a> {
    pub(super) oid: ObjectIdentifier,
    /// What follows the identifier: its tag and contents.
    parameters: Option<(Tag, &'a [u8])>,
}

/// Why a signature is not one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SignatureFault {
    /// The algorithm, which cannot be checked here.
    Unsupported(String),
    /// The signature is not the key's over these bytes.
    Wrong,
}

impl<'a> Algorithm<'a> {
    pub(super) fn read(fields: &mut Fields<'a>, part: &'static str) -> Result<Self, Malformed> {
        let mut inner = fields.sequence(part)?;
        let oid = inner.oid()?;
        let parameters = if inner.is_finished() { None } else { Some(inner.any()?) };
        inner.end()?;
        Ok(Self { oid, parameters })
    }

    /// Whether nothing stands beside the identifier, or NULL.
    fn is_bare(&self) -> bool {
        matches!(self.parameters, None | Some((Tag::Null, [])))
    }

    /// The digest that this names.
    pub(super) fn digest(&self) -> Result<Digest, SignatureFault> {
        let known = [Digest::Sha256, Digest::Sha384, Digest::Sha512];
        let found = known.into_iter().find(|digest| digest.oid() == self.oid && self.is_bare());
        found.ok_or_else(|| SignatureFault::Unsupported(oid::name(&self.oid)))
    }

    /// The curve of an ECDSA key.
    fn curve(&self) -> Option<ObjectIdentifier> {
        match self.parameters {
            Some((Tag::ObjectIdentifier, curve)) if self.oid == oid::EC_KEY => super::der::oid(curve),
            _ => None,
        }
    }
}

impl fmt::Display for Algorithm<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&oid::name(&self.oid))?;
        self.curve().map_or(Ok(()), |curve| write!(f, " on {}", oid::name(&curve)))
    }
}

/// A SubjectPublicKeyInfo (RFC 5280, section 4.1.2.7).
#[derive(Clone, Copy, Debug)]
pub(super) struct PublicKey<'a> {
    pub(super) algorithm: Algorithm<'a>,
    bits: &'a [u8],
    /// Its bytes.
    pub(super) whole: &'a [u8],
}

impl<'a> PublicKey<'a> {
    pub(super) fn read(fields: &mut Fields<'a>) -> Result<Self, Malformed> {
        const PART: &str = "public key of a certificate";
        let whole = fields.whole()?;
        let mut inner = Fields::sequence_of(whole, PART)?;
        let algorithm = Algorithm::read(&mut inner, PART)?;
        let bits = inner.bits()?;
        inner.end()?;
        Ok(Self { algorithm, bits, whole })
    }

    /// Checks `signature` over `message`. `digest` is what a CMS signer names beside its signature algorithm.
    pub(super) fn verify(
        &self,
        algorithm: &Algorithm<'_>,
        digest: Option<Digest>,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), SignatureFault> {
        let scheme = self.scheme(algorithm, digest)?;
        UnparsedPublicKey::new(scheme, self.bits)
            .verify(message, signature)
            .map_err(|_| SignatureFault::Wrong)
    }

    fn scheme(
        &self,
        algorithm: &Algorithm<'_>,
        digest: Option<Digest>,
    ) -> Result<&'static dyn VerificationAlgorithm, SignatureFault> {
        let unsupported = || SignatureFault::Unsupported(format!("{algorithm} with {}", self.algorithm));
        let named =
            |own: Digest| if digest.is_none_or(|other| other == own) { Ok(own) } else { Err(unsupported()) };
        let key = self.algorithm.oid;
        match algorithm.oid {
            oid::RSA if key == oid::RSA && algorithm.is_bare() => {
                digest.map(rsa_pkcs1).ok_or_else(unsupported)
            }
            oid::RSA_SHA256 if key == oid::RSA && algorithm.is_bare() => named(Digest::Sha256).map(rsa_pkcs1),
            oid::RSA_SHA384 if key == oid::RSA && algorithm.is_bare() => named(Digest::Sha384).map(rsa_pkcs1),
            oid::RSA_SHA512 if key == oid::RSA && algorithm.is_bare() => named(Digest::Sha512).map(rsa_pkcs1),
            oid::RSA_PSS if key == oid::RSA || key == oid::RSA_PSS => {
                let own = pss_digest(algorithm).ok_or_else(unsupported)?;
                named(own).map(rsa_pss)
            }
            oid::ECDSA_SHA256 if algorithm.parameters.is_none() => {
                self.ecdsa(named(Digest::Sha256)?).ok_or_else(unsupported)
            }
            oid::ECDSA_SHA384 if algorithm.parameters.is_none() => {
                self.ecdsa(named(Digest::Sha384)?).ok_or_else(unsupported)
            }
            oid::ED25519 if key == oid::ED25519 && algorithm.parameters.is_none() => Ok(&signature::ED25519),
            _ => Err(unsupported()),
        }
    }

    fn ecdsa(&self, digest: Digest) -> Option<&'static dyn VerificationAlgorithm> {
        match (self.algorithm.curve()?, digest) {
            (oid::P256, Digest::Sha256) => Some(&signature::ECDSA_P256_SHA256_ASN1),
            (oid::P256, Digest::Sha384) => Some(&signature::ECDSA_P256_SHA384_ASN1),
            (oid::P384, Digest::Sha256) => Some(&signature::ECDSA_P384_SHA256_ASN1),
            (oid::P384, Digest::Sha384) => Some(&signature::ECDSA_P384_SHA384_ASN1),
            _ => None,
        }
    }
}

fn rsa_pkcs1(digest: Digest) -> &'static dyn VerificationAlgorithm {
    match digest {
        Digest::Sha256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        Digest::Sha384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        Digest::Sha512 => &signature::RSA_PKCS1_2048_8192_SHA512,
    }
}

fn rsa_pss(digest: Digest) -> &'static dyn VerificationAlgorithm {
    match digest {
        Digest::Sha256 => &signature::RSA_PSS_2048_8192_SHA256,
        Digest::Sha384 => &signature::RSA_PSS_2048_8192_SHA384,
        Digest::Sha512 => &signature::RSA_PSS_2048_8192_SHA512,
    }
}

/// The digest of RSASSA-PSS-params (RFC 4055, section 3.1) whose mask uses it too and whose salt has its length.
fn pss_digest(algorithm: &Algorithm<'_>) -> Option<Digest> {
    const PART: &str = "RSASSA-PSS parameters";
    let Some((Tag::Sequence, contents)) = algorithm.parameters else { return None };
    let mut fields = Fields::of(contents, PART).ok()?;
    let mut hash = Fields::of(fields.optional(constructed(0)).ok()??, PART).ok()?;
    let digest = Algorithm::read(&mut hash, PART).ok()?.digest().ok()?;
    hash.end().ok()?;
    let mut mask = Fields::of(fields.optional(constructed(1)).ok()??, PART).ok()?;
    let mut generator = mask.sequence(PART).ok()?;
    let is_mgf1 = generator.oid().ok()? == oid::MGF1;
    let mask_digest = Algorithm::read(&mut generator, PART).ok()?.digest().ok()?;
    generator.end().and_then(|()| mask.end()).ok()?;
    let mut salt = Fields::of(fields.optional(constructed(2)).ok()??, PART).ok()?;
    let salt_length = salt.unsigned().ok()?;
    salt.end().and_then(|()| fields.end()).ok()?;
    let same = is_mgf1 && mask_digest == digest && usize::try_from(salt_length) == Ok(digest.size());
    same.then_some(digest)
}
