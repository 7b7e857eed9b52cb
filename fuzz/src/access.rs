//! Targets of what comes from callers and issuers: tokens, and the keys that they are checked with.

use std::sync::LazyLock;

use ledgerstone::time::UnixMillis;
use ledgerstone_sidecar::access::{
    Algorithm, ClaimPath, Expected, JWKS_KEYS_MAX, KeySet, Role, Rule, Who, verify,
};

/// The key of RFC 7515, appendix A.3, whose private half everybody has, under the name that the corpus' tokens give it.
const KEYS: &str = r#"{"keys":[{"kty":"EC","kid":"es","crv":"P-256","alg":"ES256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;

/// What the corpus' tokens are for.
fn expected() -> Option<Expected> {
    Some(Expected {
        issuer: "https://issuer.example".to_owned(),
        audience: "ledgerstone".to_owned(),
        algorithms: Algorithm::ALL.to_vec(),
        role_claim: ClaimPath::parse("/access/roles")?,
    })
}

/// A document with an issuer's keys.
#[must_use]
pub(crate) fn access_jwks(bytes: &[u8]) -> bool {
    match KeySet::parse(bytes) {
        Ok(keys) => {
            assert!(
                (1..=JWKS_KEYS_MAX).contains(&keys.len()),
                "a set that is taken has keys, and not too many"
            );
            true
        }
        Err(error) => {
            assert!(!error.to_string().contains(char::is_control));
            false
        }
    }
}

/// A token. No mutation of it is taken: none makes a signature.
#[must_use]
pub(crate) fn access_token(bytes: &[u8]) -> bool {
    static KNOWN: LazyLock<Option<(KeySet, Expected)>> =
        LazyLock::new(|| KeySet::parse(KEYS.as_bytes()).ok().zip(expected()));
    let (Ok(token), Some((keys, expected))) = (std::str::from_utf8(bytes), KNOWN.as_ref()) else {
        return false;
    };
    let now = UnixMillis::new(1_795_000_000_000);
    match verify(token, keys, expected, now) {
        Ok(verified) => {
            assert!(verified.until > now && verified.principal.ends_with("@https://issuer.example"));
            true
        }
        Err(error) => {
            assert!(!error.to_string().contains(char::is_control));
            false
        }
    }
}

/// Whom a rule of the configuration names, in each of the forms.
#[must_use]
pub(crate) fn access_rule(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let read = [Who::spiffe(text), Who::dns(text), Who::fingerprint(text), Who::claim(text)];
    let rules: Vec<Rule> = read.into_iter().flatten().map(|who| Rule { who, role: Role::Auditor }).collect();
    _ = ledgerstone_sidecar::access::Certificates::new(&rules);
    !rules.is_empty()
}
