//! A small timestamp authority: bytes of a request, a time and a number in, bytes of a reply out.
//!
//! Guarantees: every request is answered with a TimeStampResp, granted or refused with its reason, that `openssl ts -verify`
//! reads. The same seed, names and validity give the same keys and certificates; signatures are deterministic (RFC 6979).
//! Does not do: keep a clock, count, or protect its key. Whoever runs it beside a log vouches for the log by themselves:
//! it stands in where no authority can be reached, and proves nothing to anybody else.

use core::fmt;

use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{DerSignature, SigningKey};

use super::der::{constructed_tag, tag, write, write_oid, write_unsigned};
use super::error::Failure;
use super::request::{Request, RequestError};
use super::trust::PolicyId;
use super::{moment, oid};
use crate::code::Code;
use crate::encoding::base64_encode;
use crate::hash::Hash;
use crate::time::UnixMillis;

/// The policy under which it makes timestamps: an arc below the number that RFC 5612 keeps for documents.
const POLICY: &str = "1.3.6.1.4.1.32473.3161.1";

/// Attributes of distinguished names.
const COMMON_NAME: [u8; 3] = [0x55, 4, 3];

/// Characters of an authority's name: a common name has at most 64 (RFC 5280, appendix A.1), and the root's has five more.
const NAME_CHARACTERS_MAX: usize = 50;

/// Why an authority cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorityError {
    /// A name that a certificate cannot carry.
    #[error("an authority's name has 1 to 50 characters")]
    Name,
    /// A validity that ends before it begins, or past the year 9999.
    #[error("the validity must begin before it ends, before the year 10000")]
    Validity,
    /// The seed gives no key, which happens once in 2^32 seeds.
    #[error("this seed gives no key; draw another")]
    Seed,
}

impl AuthorityError {
    /// What the reader must do next.
    #[must_use]
    pub const fn code(self) -> Code {
        Code::Misuse
    }
}

/// A timestamp authority with a P-256 key, certified by a root of its own.
pub struct Authority {
    key: SigningKey,
    certificate: Vec<u8>,
    root: Vec<u8>,
    root_subject: Vec<u8>,
    serial: Vec<u8>,
    policy: PolicyId,
    not_before: UnixMillis,
    not_after: UnixMillis,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("policy", &self.policy).finish_non_exhaustive()
    }
}

impl Authority {
    /// Makes an authority's keys and certificates from `seed`, 32 random bytes that the caller drew. Certificates hold for `name`
    /// from `not_before` to `not_after`, to the second.
    ///
    /// # Errors
    /// [`AuthorityError`] for a name or validity that a certificate cannot carry.
    pub fn create(
        seed: &[u8; 32],
        name: &str,
        not_before: UnixMillis,
        not_after: UnixMillis,
    ) -> Result<Self, AuthorityError> {
        let root_name = format!("{name} root");
        if name.is_empty() || name.chars().count() > NAME_CHARACTERS_MAX {
            return Err(AuthorityError::Name);
        }
        let (not_before, not_after) = (whole_seconds(not_before), whole_seconds(not_after));
        let validity = match (write_time(not_before), write_time(not_after)) {
            (Some(from), Some(to)) if not_before < not_after => write(tag::SEQUENCE, &[&from, &to]),
            _ => return Err(AuthorityError::Validity),
        };
        let (root_key, key) = (derive(seed, b"root")?, derive(seed, b"signer")?);
        let (root_subject, subject) = (common_name(&root_name), common_name(name));
        let root = Issue {
            subject: &root_subject,
            key: &root_key,
            usage: &[0x03, 0x02, 0x01, 0x06],
            constraints: &write(tag::SEQUENCE, &[&write(tag::BOOLEAN, &[&[0xff]])]),
            purposes: None,
        };
        let signer = Issue {
            subject: &subject,
            key: &key,
            usage: &[0x03, 0x02, 0x06, 0xc0],
            constraints: &write(tag::SEQUENCE, &[]),
            purposes: Some(write(tag::SEQUENCE, &[&write_oid(&oid::TIME_STAMPING)])),
        };
        let (root, _) = root.certificate(&root_subject, &root_key, &validity);
        let (certificate, serial) = signer.certificate(&root_subject, &root_key, &validity);
        let policy = POLICY.parse().map_err(|_| AuthorityError::Seed)?;
        Ok(Self { key, certificate, root, root_subject, serial, policy, not_before, not_after })
    }

    /// The root certificate, as PEM: what somebody who trusts this authority gives to [`super::Trust::add_roots`].
    #[must_use]
    pub fn root_pem(&self) -> String {
        let base64 = base64_encode(&self.root);
        let lines = base64.as_bytes().chunks(64).map(String::from_utf8_lossy);
        let body: String = lines.map(|line| format!("{line}\n")).collect();
        format!("-----BEGIN CERTIFICATE-----\n{body}-----END CERTIFICATE-----\n")
    }

    /// The policy under which it makes timestamps.
    #[must_use]
    pub const fn policy(&self) -> PolicyId {
        self.policy
    }

    /// Answers a TimeStampReq at the time `at` with a TimeStampResp. `serial` must be another one for each token.
    #[must_use]
    pub fn answer(&self, request: &[u8], at: UnixMillis, serial: u64) -> Vec<u8> {
        match self.token(request, at, serial) {
            Ok(token) => {
                let status = write(tag::SEQUENCE, &[&write_unsigned(&[0])]);
                write(tag::SEQUENCE, &[&status, &token])
            }
            Err((failure, text)) => {
                let text = write(tag::SEQUENCE, &[&write(tag::UTF8_STRING, &[text.as_bytes()])]);
                let failure = write(tag::BIT_STRING, &[&failure.to_bits()]);
                write(tag::SEQUENCE, &[&write(tag::SEQUENCE, &[&write_unsigned(&[2]), &text, &failure])])
            }
        }
    }

    fn token(&self, request: &[u8], at: UnixMillis, serial: u64) -> Result<Vec<u8>, (Failure, String)> {
        let request = Request::parse(request).map_err(|error| (failure_of(error), error.to_string()))?;
        if request.policy.is_some_and(|policy| policy != self.policy) {
            return Err((Failure::UnacceptedPolicy, format!("the policy here is {}", self.policy)));
        }
        let in_time = self.not_before <= at && at <= self.not_after;
        let time = moment::write_generalized(at).filter(|_| in_time);
        let time = time
            .ok_or((Failure::TimeNotAvailable, "the authority's certificate is not valid now".to_owned()))?;
        let nonce = request.nonce.map(|nonce| write_unsigned(&nonce.to_be_bytes())).unwrap_or_default();
        let info = write(
            tag::SEQUENCE,
            &[
                &write_unsigned(&[1]),
                &write_oid(&self.policy.0),
                &request.imprint.write(),
                &write_unsigned(&serial.to_be_bytes()),
                &write(tag::GENERALIZED_TIME, &[time.as_bytes()]),
                &nonce,
            ],
        );
        Ok(self.signed_data(&info, request.certificates))
    }

    /// The CMS SignedData over a TSTInfo, in its ContentInfo (RFC 5652, sections 3 and 5).
    fn signed_data(&self, info: &[u8], certificates: bool) -> Vec<u8> {
        let sha256 = write(tag::SEQUENCE, &[&write_oid(&oid::SHA256)]);
        let content = write(tag::OCTET_STRING, &[info]);
        let content =
            write(tag::SEQUENCE, &[&write_oid(&oid::TST_INFO), &write(constructed_tag(0), &[&content])]);
        let certificates =
            if certificates { write(constructed_tag(0), &[&self.certificate]) } else { Vec::new() };
        let attributes = self.attributes(info);
        let signature = sign(&self.key, &write(tag::SET, &[&attributes]));
        let signer = write(
            tag::SEQUENCE,
            &[
                &write_unsigned(&[1]),
                &write(tag::SEQUENCE, &[&self.root_subject, &self.serial]),
                &sha256,
                &write(constructed_tag(0), &[&attributes]),
                &write(tag::SEQUENCE, &[&write_oid(&oid::ECDSA_SHA256)]),
                &write(tag::OCTET_STRING, &[&signature]),
            ],
        );
        let signed_data = write(
            tag::SEQUENCE,
            &[
                &write_unsigned(&[3]),
                &write(tag::SET, &[&sha256]),
                &content,
                &certificates,
                &write(tag::SET, &[&signer]),
            ],
        );
        write(tag::SEQUENCE, &[&write_oid(&oid::SIGNED_DATA), &write(constructed_tag(0), &[&signed_data])])
    }

    /// The signed attributes, in the order that DER gives a SET OF.
    fn attributes(&self, info: &[u8]) -> Vec<u8> {
        let attribute =
            |oid: &_, value: &[u8]| write(tag::SEQUENCE, &[&write_oid(oid), &write(tag::SET, &[value])]);
        let issuer = write(tag::SEQUENCE, &[&write(constructed_tag(4), &[&self.root_subject])]);
        let id = write(
            tag::SEQUENCE,
            &[
                &write(tag::OCTET_STRING, &[Hash::of(&self.certificate).as_bytes()]),
                &write(tag::SEQUENCE, &[&issuer, &self.serial]),
            ],
        );
        let signing_certificate = write(tag::SEQUENCE, &[&write(tag::SEQUENCE, &[&id])]);
        let digest = write(tag::OCTET_STRING, &[Hash::of(info).as_bytes()]);
        let mut all = [
            attribute(&oid::CONTENT_TYPE, &write_oid(&oid::TST_INFO)),
            attribute(&oid::MESSAGE_DIGEST, &digest),
            attribute(&oid::SIGNING_CERTIFICATE_V2, &signing_certificate),
        ];
        all.sort();
        all.concat()
    }
}

const fn failure_of(error: RequestError) -> Failure {
    match error {
        RequestError::Imprint => Failure::BadAlgorithm,
        RequestError::Extensions => Failure::UnacceptedExtension,
        RequestError::Malformed(_) => Failure::BadDataFormat,
        RequestError::TooLong | RequestError::Nonce => Failure::BadRequest,
    }
}

/// The key that `seed` gives for `purpose`.
fn derive(seed: &[u8; 32], purpose: &[u8]) -> Result<SigningKey, AuthorityError> {
    let secret = Hash::of(&[b"ledgerstone/timestamp-authority/v1/", purpose, b"/", &seed[..]].concat());
    SigningKey::from_slice(secret.as_bytes()).map_err(|_| AuthorityError::Seed)
}

fn sign(key: &SigningKey, message: &[u8]) -> Vec<u8> {
    let signature: DerSignature = key.sign(message);
    signature.as_bytes().to_vec()
}

const fn whole_seconds(time: UnixMillis) -> UnixMillis {
    UnixMillis::new(time.get() / 1000 * 1000)
}

/// UTCTime before 2050, GeneralizedTime from then (RFC 5280, section 4.1.2.5).
fn write_time(time: UnixMillis) -> Option<Vec<u8>> {
    let text = moment::write_generalized(time)?;
    match text.split_at_checked(2)? {
        ("19", short) => Some(write(tag::UTC_TIME, &[short.as_bytes()])),
        ("20", short) if short < "5" => Some(write(tag::UTC_TIME, &[short.as_bytes()])),
        _ => Some(write(tag::GENERALIZED_TIME, &[text.as_bytes()])),
    }
}

/// A Name of one common name.
fn common_name(text: &str) -> Vec<u8> {
    let value = write(tag::UTF8_STRING, &[text.as_bytes()]);
    let pair = write(tag::SEQUENCE, &[&write(tag::OID, &[&COMMON_NAME]), &value]);
    write(tag::SEQUENCE, &[&write(tag::SET, &[&pair])])
}

/// What a certificate is made of.
struct Issue<'a> {
    subject: &'a [u8],
    key: &'a SigningKey,
    /// `KeyUsage`, whole.
    usage: &'a [u8],
    /// `BasicConstraints`, whole.
    constraints: &'a [u8],
    /// `ExtKeyUsage`, whole.
    purposes: Option<Vec<u8>>,
}

impl Issue<'_> {
    /// The certificate that the issuer's key signs, and its serial number, whole.
    fn certificate(&self, issuer: &[u8], issuer_key: &SigningKey, validity: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let point = self.key.verifying_key().to_sec1_point(false);
        let curve = write(tag::SEQUENCE, &[&write_oid(&oid::EC_KEY), &write_oid(&oid::P256)]);
        let key = write(tag::SEQUENCE, &[&curve, &write(tag::BIT_STRING, &[&[0], point.as_bytes()])]);
        // Positive, below 2^127, and another one wherever anything of the certificate differs.
        let serial = Hash::of(&[issuer, validity, self.subject, &key].concat());
        let serial: Vec<u8> = serial.as_bytes().iter().take(16).copied().collect();
        let serial = write_unsigned(&serial);
        let critical = |oid, value: &[u8]| {
            let yes = write(tag::BOOLEAN, &[&[0xff]]);
            write(tag::SEQUENCE, &[&write_oid(oid), &yes, &write(tag::OCTET_STRING, &[value])])
        };
        let purposes = self.purposes.as_ref().map(|value| critical(&oid::EXTENDED_KEY_USAGE, value));
        let extensions = write(
            tag::SEQUENCE,
            &[
                &critical(&oid::BASIC_CONSTRAINTS, self.constraints),
                &critical(&oid::KEY_USAGE, self.usage),
                &purposes.unwrap_or_default(),
            ],
        );
        let algorithm = write(tag::SEQUENCE, &[&write_oid(&oid::ECDSA_SHA256)]);
        let signed = write(
            tag::SEQUENCE,
            &[
                &write(constructed_tag(0), &[&write_unsigned(&[2])]),
                &serial,
                &algorithm,
                issuer,
                validity,
                self.subject,
                &key,
                &write(constructed_tag(3), &[&extensions]),
            ],
        );
        let signature = write(tag::BIT_STRING, &[&[0], &sign(issuer_key, &signed)]);
        (write(tag::SEQUENCE, &[&signed, &algorithm, &signature]), serial)
    }
}
