//! Why a reply proves nothing, or a trust cannot be used.

use core::fmt;

use super::algorithm::SignatureFault;
use super::der::Malformed;
use crate::code::Code;
use crate::time::UnixMillis;

/// Why a reply does not prove what it was asked to prove.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StampError {
    /// More bytes than a reply can need.
    #[error("the reply has {bytes} bytes; {max} are the most that is read")]
    TooLong {
        /// Bytes of the reply.
        bytes: usize,
        /// [`crate::limits::TIMESTAMP_REPLY_BYTES_MAX`].
        max: usize,
    },
    /// More of something than the limit.
    #[error("the reply has more than {max} {what}; ask the authority for fewer")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How many there may be.
        max: usize,
    },
    /// A part is not in the form that its specification gives it.
    #[error("the {0} is not as RFC 3161 in DER asks for; fetch the reply again, or use another authority")]
    Malformed(&'static str),
    /// The authority refused the request.
    #[error("the authority refused (status {status}{}{}); {}", said(.failure), quoted(.text), advice(.failure))]
    Rejected {
        /// `PKIStatus`: 2 rejection, 3 waiting, 4 a revocation warning, 5 a revocation notice.
        status: u64,
        /// `PKIFailureInfo`, where it is given.
        failure: Option<Failure>,
        /// What the authority wrote beside it, control characters escaped.
        text: String,
    },
    /// `grantedWithMods`: the status is not signed, so what was changed cannot be told.
    #[error(
        "the authority granted something else than was asked for; ask without a policy, or use another authority"
    )]
    GrantedWithModifications,
    /// The token is for other bytes.
    #[error("the token is for other bytes: it names the {found} imprint {imprint}")]
    Imprint {
        /// The token's hash function.
        found: String,
        /// The token's imprint, in hexadecimal.
        imprint: String,
    },
    /// The token answers another request.
    #[error("the token does not carry the request's nonce, so it may be an old one; ask again")]
    Nonce,
    /// The token was made under another policy.
    #[error("the token was made under policy {found}, which is none of those that are trusted")]
    Policy {
        /// The token's policy.
        found: String,
    },
    /// Not one signer.
    #[error("the token has more than one signer; RFC 3161 allows one")]
    Signers,
    /// A signed attribute is missing or says something else.
    #[error(
        "the token's signed attribute {0} is missing or of another kind, so the signature proves nothing about it"
    )]
    Attribute(&'static str),
    /// A signed attribute is there twice.
    #[error("the token's signed attribute {0} is there twice; its signer means two things")]
    Repeated(String),
    /// The token carries what its signature does not cover.
    #[error(
        "the token carries {0}, which its signature does not cover; ask the authority for a token without"
    )]
    Unsigned(&'static str),
    /// The reply does not carry its signer's certificate.
    #[error("the certificate of the token's signer is not in the reply; add it to the trusted certificates")]
    NoCertificate,
    /// The content is not what was signed.
    #[error("the token's content is not the one that was signed")]
    Content,
    /// The certificate is not the one that the signature names.
    #[error("the signature names another certificate than {subject}'s; a certificate was exchanged")]
    Binding {
        /// Whose certificate was found.
        subject: String,
    },
    /// `tsa` names somebody whose certificate this is not.
    #[error("the token names another authority than its certificate, which is {subject}'s")]
    Authority {
        /// Whose certificate it is.
        subject: String,
    },
    /// A signature does not verify.
    #[error("the signature of the {of} does not verify")]
    Signature {
        /// What was signed: the token, or somebody's certificate or revocation list.
        of: String,
    },
    /// An algorithm that is not checked here.
    #[error(
        "{algorithm} in the {of} is not supported: RSA from 2,048 bits, ECDSA on P-256 and P-384 with SHA-256 and \
             SHA-384, and Ed25519 are"
    )]
    Unsupported {
        /// The algorithm.
        algorithm: String,
        /// Where it stands.
        of: String,
    },
    /// The certificate was made for something else.
    #[error("{subject}'s certificate is not one of a timestamp authority: {fault}")]
    Purpose {
        /// Whose certificate it is.
        subject: String,
        /// What is wrong with it.
        fault: PurposeFault,
    },
    /// A certificate was not valid at the token's time.
    #[error(
        "{subject}'s certificate was valid from {not_before} to {not_after}, which the token's time {at} is not in"
    )]
    NotValidThen {
        /// Whose certificate it is.
        subject: String,
        /// Its first moment.
        not_before: UnixMillis,
        /// Its last moment.
        not_after: UnixMillis,
        /// The token's time.
        at: UnixMillis,
    },
    /// A certificate in the reply has nothing to do with the path.
    #[error(
        "the reply carries a certificate of {subject} that has no part in the path; if you know it, add it to the \
             trusted certificates"
    )]
    Stranger {
        /// Whose certificate it is.
        subject: String,
    },
    /// No path leads to a trusted root.
    #[error(
        "the path ends at {subject}, certified by {issuer}, and no certificate of {issuer} is trusted or at hand; add it if you trust it"
    )]
    NoPath {
        /// Where the path ends.
        subject: String,
        /// Whose certificate is missing.
        issuer: String,
    },
    /// A certificate on the path may not certify others.
    #[error("{subject} may not certify the one below it: {fault}")]
    NotAnIssuer {
        /// Whose certificate it is.
        subject: String,
        /// What is wrong with it.
        fault: PurposeFault,
    },
    /// The path, or the search for it, is longer than the limit.
    #[error("the path to a trusted root has more than {max} certificates, or too many issuers share a name")]
    PathTooLong {
        /// [`crate::limits::TIMESTAMP_PATH_MAX`].
        max: usize,
    },
    /// A certificate on the path was revoked.
    #[error("{subject}'s certificate was revoked at {since}, so the token of {at} does not hold")]
    Revoked {
        /// Whose certificate it is.
        subject: String,
        /// When it was revoked.
        since: UnixMillis,
        /// The token's time.
        at: UnixMillis,
    },
    /// A trusted revocation list cannot be used.
    #[error(
        "the revocation list of {issuer} covers only some certificates or other issuers' ({extension}); get its full list"
    )]
    RevocationList {
        /// Who issued it.
        issuer: String,
        /// The critical extension that says so.
        extension: String,
    },
    /// Nobody is trusted.
    #[error("no root certificate is trusted; add the authority's root to the trust")]
    NoRoots,
}

/// What a certificate may not be used for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PurposeFault {
    /// No extended key usage.
    #[error("it names no extended key usage; timestamps need one")]
    NoExtendedKeyUsage,
    /// An extended key usage that is not critical.
    #[error("its extended key usage is not critical")]
    NotCritical,
    /// Another purpose, or more than one.
    #[error("its extended key usage is not timeStamping alone")]
    OtherPurposes,
    /// `keyUsage` without what it is used for.
    #[error("its key usage does not allow it")]
    KeyUsage,
    /// No `cA` in `basicConstraints`.
    #[error("it is not a certificate authority's")]
    NotAnAuthority,
    /// `pathLenConstraint`.
    #[error("its path length constraint is {allowed}, and {found} authorities stand below it")]
    PathLength {
        /// How many may stand below it.
        allowed: u64,
        /// How many do.
        found: u64,
    },
    /// A critical extension that is not understood.
    #[error("its critical extension {0} is not understood here")]
    CriticalExtension(String),
}

impl StampError {
    /// What the reader must do next.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::TooLong { .. } | Self::TooMany { .. } | Self::PathTooLong { .. } => Code::Limit,
            Self::Malformed(_)
            | Self::Signers
            | Self::Attribute(_)
            | Self::Repeated(_)
            | Self::Unsigned(_) => Code::Malformed,
            Self::Rejected { .. } if self.is_transient() => Code::Unavailable,
            Self::Rejected { .. }
            | Self::GrantedWithModifications
            | Self::NoRoots
            | Self::RevocationList { .. } => Code::Misuse,
            Self::Imprint { .. } | Self::Nonce | Self::Content | Self::Binding { .. } => Code::Inconsistent,
            _ => Code::Untrusted,
        }
    }

    /// Whether the same request may be granted later: the authority's clock or machines failed, or it asks to wait.
    /// Every other refusal and fault stays what it is until somebody changes something.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        let Self::Rejected { status, failure, .. } = self else { return false };
        *status == 3
            || failure.is_some_and(|f| matches!(f, Failure::TimeNotAvailable | Failure::SystemFailure))
    }

    pub(super) fn of_signature(fault: SignatureFault, of: impl Into<String>) -> Self {
        match fault {
            SignatureFault::Unsupported(algorithm) => Self::Unsupported { algorithm, of: of.into() },
            SignatureFault::Wrong => Self::Signature { of: of.into() },
        }
    }
}

impl From<Malformed> for StampError {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed.0)
    }
}

/// Why the authority refused: `PKIFailureInfo` (RFC 3161, section 2.4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// The hash function is not known or not allowed.
    BadAlgorithm,
    /// The request is not allowed or not understood.
    BadRequest,
    /// The request has the wrong form.
    BadDataFormat,
    /// The authority's clock is not available.
    TimeNotAvailable,
    /// The policy is not one of the authority's.
    UnacceptedPolicy,
    /// An extension is not known.
    UnacceptedExtension,
    /// What was asked for beside the time is not available.
    AdditionalInfoNotAvailable,
    /// The authority has a defect.
    SystemFailure,
    /// A bit that RFC 3161 does not define.
    Other,
}

impl Failure {
    /// Each with the number of its bit.
    const BITS: [(usize, Self); 8] = [
        (0, Self::BadAlgorithm),
        (2, Self::BadRequest),
        (5, Self::BadDataFormat),
        (14, Self::TimeNotAvailable),
        (15, Self::UnacceptedPolicy),
        (16, Self::UnacceptedExtension),
        (17, Self::AdditionalInfoNotAvailable),
        (25, Self::SystemFailure),
    ];

    /// The first bit that is set in a BIT STRING's contents.
    pub(super) fn from_bits(contents: &[u8]) -> Option<Self> {
        let (unused, bytes) = contents.split_first()?;
        if *unused > 7 || bytes.len() > 4 {
            return None;
        }
        let is_set = |bit: usize| bytes.get(bit / 8).is_some_and(|byte| byte & (0x80 >> (bit % 8)) != 0);
        Some(Self::BITS.into_iter().find(|(bit, _)| is_set(*bit)).map_or(Self::Other, |(_, failure)| failure))
    }

    /// The contents of a BIT STRING with its bit, without trailing zero bits (X.690, section 11.2.2).
    #[cfg(feature = "rfc3161-authority")]
    pub(super) fn to_bits(self) -> Vec<u8> {
        let bit = Self::BITS.into_iter().find(|(_, failure)| *failure == self).map_or(2, |(bit, _)| bit);
        let mut contents = vec![0; bit / 8 + 2];
        if let Some(unused) = contents.first_mut() {
            *unused = u8::try_from(7 - bit % 8).unwrap_or(0);
        }
        if let Some(last) = contents.last_mut() {
            *last = 0x80 >> (bit % 8);
        }
        contents
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BadAlgorithm => "badAlg",
            Self::BadRequest => "badRequest",
            Self::BadDataFormat => "badDataFormat",
            Self::TimeNotAvailable => "timeNotAvailable",
            Self::UnacceptedPolicy => "unacceptedPolicy",
            Self::UnacceptedExtension => "unacceptedExtension",
            Self::AdditionalInfoNotAvailable => "addInfoNotAvailable",
            Self::SystemFailure => "systemFailure",
            Self::Other => "a failure that RFC 3161 does not define",
        })
    }
}

fn said(failure: &Option<Failure>) -> String {
    failure.map(|failure| format!(", {failure}")).unwrap_or_default()
}

fn quoted(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(", \"{text}\"") }
}

fn advice(failure: &Option<Failure>) -> &'static str {
    match failure {
        Some(Failure::TimeNotAvailable | Failure::SystemFailure) => "ask again later",
        Some(Failure::UnacceptedPolicy) => "ask for one of its policies, or for none",
        Some(Failure::BadAlgorithm) => "use an authority that takes SHA-256",
        _ => "use another authority if it goes on",
    }
}

/// Why something cannot be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// Neither PEM nor DER of the thing.
    #[error("it holds no {what} as PEM or DER; convert it with `openssl`")]
    NotOne {
        /// What was to be read.
        what: &'static str,
    },
    /// The thing's bytes are malformed.
    #[error("the {part} is not as RFC 5280 in DER asks for; get it again")]
    Malformed {
        /// The part.
        part: &'static str,
    },
    /// Not an object identifier.
    #[error("a policy is an object identifier, such as 1.2.3.4")]
    Policy,
    /// More than the limit.
    #[error("at most {max} {what} can be trusted")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How many there may be.
        max: usize,
    },
}

impl TrustError {
    /// What the reader must do next.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::TooMany { .. } => Code::Limit,
            _ => Code::Malformed,
        }
    }
}
