//! `[access]`: who may do what. Without the section nobody is asked; with it every port asks.
//!
//! Guarantees: a rule names one kind of somebody and one role, and none makes an applicant; tokens are taken of one issuer, for one audience,
//! with keys from one place, which is reached over `https` or is this machine.

use serde::{Deserialize, Serialize};

use super::error::ConfigError;
use super::layers::{Layers, Source};
use crate::access::{
    AccessConfig, Algorithm, ClaimPath, Expected, KeySource, OidcConfig, RULES_MAX, Rate, RateLimits, Role,
    Rule, Who,
};
use crate::outbound::http::Address;

const WHO: &str = "one of spiffe, dns, fingerprint and claim";
const SPIFFE: &str = "spiffe://DOMAIN/PATH, with /* at its end for everything under it, for example spiffe://bank.example/ns/lending/*";
const DNS: &str = "a DNS name in lower case, or *. and one, for example *.lending.bank.example";
const FINGERPRINT: &str = "the SHA-256 of a certificate: 64 hexadecimal digits";
const CLAIM: &str = "a word of the role claim, without spaces";
const ROLE: &str = "application, operator, compliance or auditor";
const RULES: &str = "at most 1024 rules";
const LOG: &str = "roles, or public: everybody may read the log, which holds nothing personal";
const RATE: &str = "calls a second, and how many at once, for example \"20/s, burst 100\"";
const ISSUER: &str =
    "the issuer exactly as tokens have it, for example https://login.bank.example/realms/staff";
const AUDIENCE: &str = "the audience that tokens must be for, for example ledgerstone";
const JWKS: &str =
    "https://HOST[:PORT]/PATH, or http:// to this machine itself: the issuer's jwks_uri; or a file";
const ROLE_CLAIM: &str = "the name of a claim, or a JSON pointer, for example /realm_access/roles";
const ALGORITHMS: &str = "some of RS256, PS256, ES256 and EdDSA, with commas between them";

/// The limits, in the order of [`Role::ALL`].
const LIMITS: [&str; Role::ALL.len()] = [
    "access.limits.application",
    "access.limits.operator",
    "access.limits.compliance",
    "access.limits.auditor",
    "access.limits.applicant",
];

/// `[[access.rule]]` as it stands in the file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleTable {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    spiffe: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dns: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fingerprint: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    claim: Option<String>,
    role: String,
}

impl RuleTable {
    fn read(&self, from: &Source) -> Result<Rule, ConfigError> {
        let bad = |key: &'static str, value: &str, expected: &str| ConfigError::BadValue {
            from: from.clone(),
            key,
            value: value.to_owned(),
            expected: expected.to_owned(),
        };
        let who = match (&self.spiffe, &self.dns, &self.fingerprint, &self.claim) {
            (Some(text), None, None, None) => {
                Who::spiffe(text).ok_or_else(|| bad("access.rule.spiffe", text, SPIFFE))?
            }
            (None, Some(text), None, None) => {
                Who::dns(text).ok_or_else(|| bad("access.rule.dns", text, DNS))?
            }
            (None, None, Some(text), None) => {
                Who::fingerprint(text).ok_or_else(|| bad("access.rule.fingerprint", text, FINGERPRINT))?
            }
            (None, None, None, Some(text)) => {
                Who::claim(text).ok_or_else(|| bad("access.rule.claim", text, CLAIM))?
            }
            _ => return Err(bad("access.rule", &serde_json::to_string(self).unwrap_or_default(), WHO)),
        };
        let role = Role::from_word(&self.role).ok_or_else(|| bad("access.rule.role", &self.role, ROLE))?;
        Ok(Rule { who, role })
    }
}

/// What `[access]` says; none where there is no such section.
pub(super) fn from_layers(layers: &Layers) -> Result<Option<AccessConfig>, ConfigError> {
    if !layers.has_access && !layers.values.keys().any(|key| key.starts_with("access.")) {
        return Ok(None);
    }
    if let Some((_, from)) = layers.access_rules.get(RULES_MAX) {
        let (value, expected) = (layers.access_rules.len().to_string(), RULES.to_owned());
        return Err(ConfigError::BadValue { from: from.clone(), key: "access.rule", value, expected });
    }
    let rules: Vec<Rule> =
        layers.access_rules.iter().map(|(table, from)| table.read(from)).collect::<Result<_, _>>()?;
    let oidc = oidc(layers)?;
    if oidc.is_none() && rules.iter().any(|rule| matches!(rule.who, Who::Claim(_))) {
        return Err(ConfigError::Half { present: "access.rule.claim", absent: "access.oidc.issuer" });
    }
    let rate = |key| match layers.get(key) {
        None => Ok(None),
        Some(_) => layers.parse(key, RATE, Rate::parse).map(Some),
    };
    let mut limits = RateLimits { public: rate("access.limits.public")?, ..RateLimits::default() };
    for (limit, key) in limits.by_role.iter_mut().zip(LIMITS) {
        *limit = rate(key)?;
    }
    let is_log_public = layers.parse("access.log", LOG, |text| match text {
        "roles" => Some(false),
        "public" => Some(true),
        _ => None,
    })?;
    Ok(Some(AccessConfig { rules, oidc, is_log_public, limits }))
}

fn oidc(layers: &Layers) -> Result<Option<OidcConfig>, ConfigError> {
    let keys = ["access.oidc.issuer", "access.oidc.audience", "access.oidc.jwks"];
    let [issuer, audience, jwks] = keys;
    let Some(present) = keys.into_iter().find(|key| layers.get(key).is_some()) else { return Ok(None) };
    if let Some(absent) = keys.into_iter().find(|key| layers.get(key).is_none()) {
        return Err(ConfigError::Half { present, absent });
    }
    let source = if layers.parse(jwks, JWKS, |text| Some(text.contains("://")))? {
        let address = layers.parse(jwks, JWKS, |text| {
            Address::parse(text).filter(|address| address.is_tls() || address.is_this_machine())
        })?;
        KeySource::Url { address, ca_file: layers.parse_path("access.oidc.ca_file")? }
    } else {
        KeySource::File(layers.parse_path(jwks)?)
    };
    let plain = |text: &str| {
        let fits = (1..=1024).contains(&text.len()) && !text.contains(|c: char| c.is_control() || c == ' ');
        fits.then(|| text.to_owned())
    };
    let expected = Expected {
        issuer: layers.parse(issuer, ISSUER, plain)?,
        audience: layers.parse(audience, AUDIENCE, plain)?,
        algorithms: layers.parse("access.oidc.algorithms", ALGORITHMS, |text| {
            text.split(',').map(|name| Algorithm::from_name(name.trim())).collect()
        })?,
        role_claim: layers.parse("access.oidc.role_claim", ROLE_CLAIM, ClaimPath::parse)?,
    };
    Ok(Some(OidcConfig {
        expected,
        source,
        keys_refresh: layers.duration("access.oidc.keys_refresh")?,
        keys_kept: layers.duration("access.oidc.keys_kept")?,
    }))
}
