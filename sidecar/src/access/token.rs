//! A token of an OpenID Connect issuer, read and checked.
//!
//! Guarantees: a token is bounded before anything of it is decoded; nothing in it is believed before its signature was checked with a key of the
//! issuer, by an algorithm that the configuration admits; it is for this audience, from this issuer, and its time is now. Where
//! anything is missing or doubtful it is refused. No message repeats what stands in a token.
//! Does not do: opaque or encrypted tokens, asking the issuer whether a token was revoked.
//! Specification: RFC 7519, RFC 7515 (compact form), RFC 8725 (best practice), RFC 9068 (`at+jwt`).

use std::sync::Arc;

use ledgerstone::code::Code;
use ledgerstone::time::UnixMillis;
use serde::Deserialize;
use serde_json::{Map, Value as Json};

use super::jwks::{KEY_ID_MAX, KeySet, decoded};
use super::signature::Algorithm;

/// Bytes of a token: what a server takes as one header.
pub const TOKEN_BYTES_MAX: usize = 16 * 1024;

/// Characters of a subject: OpenID Connect Core, section 2, admits 255.
const SUBJECT_MAX: usize = 255;

/// Roles that are looked at in one token.
const CLAIMED_MAX: usize = 256;

/// How far the issuer's clock may be from ours.
const LEEWAY_SECONDS: f64 = 60.0;

/// What a token must say.
#[derive(Clone, Debug)]
pub struct Expected {
    /// Who issued it: exactly this text.
    pub issuer: String,
    /// Whom it must be for.
    pub audience: String,
    /// How it may be signed.
    pub algorithms: Vec<Algorithm>,
    /// Where its roles stand.
    pub role_claim: ClaimPath,
}

/// Where a claim stands: a name, or a JSON pointer (RFC 6901) where it begins with a slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimPath(String);

impl ClaimPath {
    /// Reads `roles`, or `/realm_access/roles`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (1..=256).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then(|| Self(text.to_owned()))
    }

    fn find<'a>(&self, claims: &'a Map<String, Json>) -> Option<&'a Json> {
        let Some(rest) = self.0.strip_prefix('/') else { return claims.get(&self.0) };
        let (first, rest) = rest.split_once('/').map_or((rest, None), |(first, rest)| (first, Some(rest)));
        let found = claims.get(&first.replace("~1", "/").replace("~0", "~"))?;
        rest.map_or(Some(found), |rest| found.pointer(&format!("/{rest}")))
    }
}

/// What a checked token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// `SUBJECT@ISSUER`.
    pub principal: Arc<str>,
    /// The words of the role claim.
    pub claimed: Vec<String>,
    /// Until when it may be taken, the leeway included.
    pub until: UnixMillis,
}

/// What the header must and must not say (RFC 7515, section 4). Keys that a token brings along are never looked at.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<Json>,
}

/// Reads a token that came at `now`.
///
/// # Errors
/// [`TokenError`] says why it is not taken; [`TokenError::UnknownKey`] may pass when the issuer's keys are fetched again.
pub fn verify(
    token: &str,
    keys: &KeySet,
    expected: &Expected,
    now: UnixMillis,
) -> Result<Verified, TokenError> {
    if token.len() > TOKEN_BYTES_MAX {
        return Err(TokenError::TooLarge);
    }
    let mut parts = token.split('.');
    let (Some(header), Some(payload), Some(signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(TokenError::Malformed);
    };
    let signed = token.get(..header.len() + 1 + payload.len()).ok_or(TokenError::Malformed)?;
    let (algorithm, id) = algorithm(header, expected)?;
    let signature = decoded(signature).ok_or(TokenError::Malformed)?;
    let key = keys.find(id.as_deref(), algorithm).ok_or(TokenError::UnknownKey)?;
    if !algorithm.verifies(&key.public, signed.as_bytes(), &signature) {
        return Err(TokenError::Signature);
    }
    let payload = decoded(payload).ok_or(TokenError::Malformed)?;
    let claims: Map<String, Json> = serde_json::from_slice(&payload).map_err(|_| TokenError::Malformed)?;
    checked(&claims, expected, now)
}

/// The algorithm and the key that a header names.
fn algorithm(header: &str, expected: &Expected) -> Result<(Algorithm, Option<String>), TokenError> {
    let header = decoded(header).ok_or(TokenError::Malformed)?;
    let header: Header = serde_json::from_slice(&header).map_err(|_| TokenError::Malformed)?;
    let algorithm = Algorithm::from_name(&header.alg).filter(|found| expected.algorithms.contains(found));
    let algorithm = algorithm.ok_or(TokenError::Algorithm)?;
    let typ = header.typ.as_deref().map(|typ| typ.trim_start_matches("application/").to_ascii_lowercase());
    if header.crit.is_some() || !typ.as_deref().is_none_or(|typ| matches!(typ, "jwt" | "at+jwt")) {
        return Err(TokenError::Header);
    }
    if header.kid.as_ref().is_some_and(|id| id.len() > KEY_ID_MAX) {
        return Err(TokenError::UnknownKey);
    }
    Ok((algorithm, header.kid))
}

/// What claims say whose signature was checked.
fn checked(claims: &Map<String, Json>, expected: &Expected, now: UnixMillis) -> Result<Verified, TokenError> {
    let text = |name: &str| claims.get(name).and_then(Json::as_str);
    if text("iss") != Some(expected.issuer.as_str()) {
        return Err(TokenError::Issuer);
    }
    let is_ours = |audience: &Json| audience.as_str() == Some(expected.audience.as_str());
    let is_for_us = match claims.get("aud") {
        Some(Json::Array(audiences)) => audiences.iter().any(is_ours),
        Some(audience) => is_ours(audience),
        None => false,
    };
    if !is_for_us {
        return Err(TokenError::Audience);
    }
    let now = now.get() as f64 / 1000.0;
    let expires = time(claims, "exp")?.ok_or(TokenError::Expired)?;
    if now >= expires + LEEWAY_SECONDS {
        return Err(TokenError::Expired);
    }
    for name in ["nbf", "iat"] {
        if time(claims, name)?.is_some_and(|from| now < from - LEEWAY_SECONDS) {
            return Err(TokenError::NotYet);
        }
    }
    let subject = text("sub").filter(|subject| (1..=SUBJECT_MAX).contains(&subject.chars().count()));
    let subject = subject.filter(|subject| !subject.contains(char::is_control)).ok_or(TokenError::Subject)?;
    Ok(Verified {
        principal: format!("{subject}@{}", expected.issuer).into(),
        claimed: claimed(expected.role_claim.find(claims)),
        until: millis(expires + LEEWAY_SECONDS),
    })
}

/// A time in seconds since 1970 (RFC 7519, section 2: a number, not a text).
fn time(claims: &Map<String, Json>, name: &str) -> Result<Option<f64>, TokenError> {
    match claims.get(name) {
        None => Ok(None),
        Some(json) => match json.as_f64().filter(|seconds| seconds.is_finite() && *seconds >= 0.0) {
            Some(seconds) => Ok(Some(seconds)),
            None => Err(TokenError::Malformed),
        },
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a time that is not negative; one past the end of time is the end of time"
)]
fn millis(seconds: f64) -> UnixMillis {
    UnixMillis::new((seconds * 1000.0) as u64)
}

/// The words of a list, or of a text with spaces between them, as `scope` has them (RFC 8693, section 4.2).
fn claimed(claim: Option<&Json>) -> Vec<String> {
    match claim {
        Some(Json::String(words)) => {
            words.split(' ').filter(|word| !word.is_empty()).take(CLAIMED_MAX).map(str::to_owned).collect()
        }
        Some(Json::Array(words)) => {
            words.iter().filter_map(Json::as_str).take(CLAIMED_MAX).map(str::to_owned).collect()
        }
        _ => Vec::new(),
    }
}

/// Why a token is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// More bytes than any.
    #[error("the token has more than {TOKEN_BYTES_MAX} bytes")]
    TooLarge,
    /// Not three parts of base64url with JSON in them.
    #[error("this is no JSON Web Token (RFC 7519)")]
    Malformed,
    /// An algorithm that is not admitted, `none` and shared secrets among them.
    #[error("the token is not signed by an algorithm that is admitted here (access.oidc.algorithms)")]
    Algorithm,
    /// A header that asks for something else.
    #[error("the token's header asks for what is not done here, or it is no access token")]
    Header,
    /// No key of the issuer's has this name and fits.
    #[error(
        "the issuer has no such key, or has not said so yet: its keys are fetched again, try again in some seconds"
    )]
    UnknownKey,
    /// The signature is not by the key.
    #[error("the token's signature is wrong")]
    Signature,
    /// From somebody else.
    #[error("the token is of another issuer (access.oidc.issuer)")]
    Issuer,
    /// For somebody else.
    #[error("the token is for another audience (access.oidc.audience)")]
    Audience,
    /// It is over, or says no end.
    #[error("the token has expired, or says no time: ask the issuer for a new one")]
    Expired,
    /// Its time has not come.
    #[error("the token is not valid yet: compare the clocks")]
    NotYet,
    /// It names nobody.
    #[error("the token names no subject")]
    Subject,
}

impl TokenError {
    /// What the caller must do about it.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::TooLarge => Code::Limit,
            Self::Malformed | Self::Header => Code::Malformed,
            _ => Code::Untrusted,
        }
    }
}
