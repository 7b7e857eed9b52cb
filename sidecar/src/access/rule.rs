//! Which certificates have which roles.
//!
//! Guarantees: a SPIFFE id is compared as it stands, never normalised; the trust domain is always written out, and a pattern ends at a slash, so
//! that `.../lending/*` is nothing of `.../lending-test`. The certificate itself was verified by TLS before anybody asks here.

use std::collections::HashMap;

use ledgerstone::encoding::hex_decode;
use ledgerstone::hash::Hash;

use super::role::{Role, Roles};
use crate::peer::PeerCertificate;
use crate::tls::spiffe::SpiffeId;

/// Rules in a configuration.
pub const RULES_MAX: usize = 1024;

/// Whom a rule names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// The workload of a SPIFFE id, or every workload under a path: `spiffe://bank.example/ns/lending/*`.
    Spiffe(String),
    /// Certificates with a DNS name, or with one label in front of a domain: `*.loans.bank.example`.
    Dns(String),
    /// One certificate.
    Fingerprint(Hash),
    /// People whose token has this word in the role claim.
    Claim(String),
}

/// Gives somebody a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Whom.
    pub who: Who,
    /// Which.
    pub role: Role,
}

impl Who {
    /// Reads a SPIFFE id (SPIFFE-ID, section 2), or such a pattern.
    #[must_use]
    pub fn spiffe(text: &str) -> Option<Self> {
        let above = text.strip_suffix("/*");
        let id = SpiffeId::parse(above.unwrap_or(text)).ok()?;
        (above.is_some() || !id.path().is_empty()).then(|| Self::Spiffe(text.to_owned()))
    }

    /// Reads a DNS name, or `*.` and one.
    #[must_use]
    pub fn dns(text: &str) -> Option<Self> {
        let name = text.strip_prefix("*.").unwrap_or(text);
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let fits = name.len() <= 253
            && name.split('.').all(|label| !label.is_empty() && label.bytes().all(plain))
            && (name == text || name.contains('.'));
        fits.then(|| Self::Dns(text.to_owned()))
    }

    /// Reads the SHA-256 of a certificate: 64 hexadecimal digits, with colons between them or without.
    #[must_use]
    pub fn fingerprint(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("sha256:").unwrap_or(text).replace(':', "").to_ascii_lowercase();
        let bytes = hex_decode(&digits).ok()?;
        Hash::try_from(bytes.as_slice()).ok().map(Self::Fingerprint)
    }

    /// Reads a word of the role claim.
    #[must_use]
    pub fn claim(text: &str) -> Option<Self> {
        let fits = (1..=256).contains(&text.len()) && !text.contains(|c: char| c.is_control() || c == ' ');
        fits.then(|| Self::Claim(text.to_owned()))
    }
}

/// Rules about certificates, ready to be asked.
#[derive(Clone, Debug, Default)]
pub struct Certificates {
    spiffe: HashMap<String, Roles>,
    /// What ids begin with, the slash at its end included.
    spiffe_under: Vec<(String, Roles)>,
    dns: HashMap<String, Roles>,
    fingerprints: HashMap<Hash, Roles>,
}

impl Certificates {
    /// Those among `rules`.
    #[must_use]
    pub fn new(rules: &[Rule]) -> Self {
        let mut certificates = Self::default();
        let add = |roles: &mut Roles, role| *roles = roles.or(Roles::of(&[role]));
        for Rule { who, role } in rules {
            match who {
                Who::Spiffe(id) => match id.strip_suffix('*') {
                    Some(under) => certificates.spiffe_under.push((under.to_owned(), Roles::of(&[*role]))),
                    None => add(certificates.spiffe.entry(id.clone()).or_default(), *role),
                },
                Who::Dns(name) => add(certificates.dns.entry(name.clone()).or_default(), *role),
                Who::Fingerprint(hash) => add(certificates.fingerprints.entry(*hash).or_default(), *role),
                Who::Claim(_) => {}
            }
        }
        certificates
    }

    /// What the holder of `certificate` is.
    #[must_use]
    pub fn roles(&self, certificate: &PeerCertificate) -> Roles {
        let mut roles = self.fingerprints.get(&certificate.fingerprint).copied().unwrap_or_default();
        if let Some(id) = &certificate.spiffe_id {
            roles = roles.or(self.spiffe.get(id).copied().unwrap_or_default());
            let under = self
                .spiffe_under
                .iter()
                .filter(|(under, _)| id.strip_prefix(under.as_str()).is_some_and(|rest| !rest.is_empty()));
            roles = under.fold(roles, |all, (_, roles)| all.or(*roles));
        }
        // An X.509-SVID is named by its id alone: what another trust domain writes beside it says nothing here.
        if self.dns.is_empty() || certificate.spiffe_id.is_some() {
            return roles;
        }
        for name in &certificate.dns_names {
            let name = name.to_ascii_lowercase();
            roles = roles.or(self.dns.get(&name).copied().unwrap_or_default());
            if let Some((_, domain)) = name.split_once('.') {
                roles = roles.or(self.dns.get(&format!("*.{domain}")).copied().unwrap_or_default());
            }
        }
        roles
    }
}

/// What each word of the role claim gives.
#[must_use]
pub(super) fn claims(rules: &[Rule]) -> HashMap<String, Roles> {
    let mut claims: HashMap<String, Roles> = HashMap::new();
    for Rule { who, role } in rules {
        if let Who::Claim(word) = who {
            let roles = claims.entry(word.clone()).or_default();
            *roles = roles.or(Roles::of(&[*role]));
        }
    }
    claims
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(spiffe: Option<&str>, dns: &[&str]) -> PeerCertificate {
        PeerCertificate {
            fingerprint: Hash::of(b"a certificate"),
            spiffe_id: spiffe.map(str::to_owned),
            dns_names: dns.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    fn roles(who: Who, certificate: &PeerCertificate) -> bool {
        let rule = Rule { who, role: Role::Operator };
        let found = Certificates::new(&[rule]).roles(certificate);
        assert!(found.is_empty() || found == Roles::of(&[Role::Operator]));
        !found.is_empty()
    }

    #[test]
    fn a_spiffe_id_has_the_role_of_its_own_rule_and_of_the_path_above_it_and_of_no_neighbour() {
        let id = |id: &str| certificate(Some(id), &[]);
        let exact = || Who::spiffe("spiffe://bank.example/ns/lending/sa/api").unwrap();
        let under = || Who::spiffe("spiffe://bank.example/ns/lending/*").unwrap();
        assert!(roles(exact(), &id("spiffe://bank.example/ns/lending/sa/api")));
        assert!(roles(under(), &id("spiffe://bank.example/ns/lending/sa/api")));
        assert!(roles(Who::spiffe("spiffe://bank.example/*").unwrap(), &id("spiffe://bank.example/x")));
        for other in [
            "spiffe://bank.example/ns/lending",
            "spiffe://bank.example/ns/lending/",
            "spiffe://bank.example/ns/lending-test/sa/api",
            "spiffe://bank.example.evil.example/ns/lending/sa/api",
            "spiffe://other.example/ns/lending/sa/api",
            "SPIFFE://bank.example/ns/lending/sa/api",
            "spiffe://bank.example/NS/lending/sa/api",
        ] {
            assert!(!roles(exact(), &id(other)) && !roles(under(), &id(other)), "{other}");
        }
        assert!(!roles(under(), &certificate(None, &["spiffe://bank.example/ns/lending/x"])));
    }

    #[test]
    fn a_pattern_that_could_be_anybody_is_no_rule() {
        for text in [
            "",
            "*",
            "spiffe://",
            "spiffe://*",
            "spiffe://*/a",
            "spiffe://bank.example",
            "spiffe://bank.example/",
            "spiffe://bank.example/a*",
            "spiffe://bank.example/*/a",
            "spiffe://Bank.example/a",
            "spiffe://bank.example//a",
            "spiffe://bank.example/../a",
            "spiffe://bank.example:443/a",
            "spiffe://u@bank.example/a",
            "https://bank.example/a",
            "spiffe://bank.example/a?b",
            "spiffe://bank.example/a#b",
        ] {
            assert_eq!(Who::spiffe(text), None, "{text}");
        }
        for text in ["", "*", "*.", "*.com", "a..b", "A.example", "a.*.example", "a example", ".example"] {
            assert_eq!(Who::dns(text), None, "{text}");
        }
        for text in ["", "sha256:", "ab", &"g".repeat(64), &"a".repeat(63)] {
            assert_eq!(Who::fingerprint(text), None, "{text}");
        }
        assert_eq!((Who::claim(""), Who::claim("a b"), Who::claim("a\n")), (None, None, None));
    }

    #[test]
    fn a_star_stands_for_one_label_and_a_fingerprint_for_one_certificate() {
        let api = certificate(None, &["API.loans.bank.example", "x.example"]);
        assert!(roles(Who::dns("api.loans.bank.example").unwrap(), &api));
        assert!(roles(Who::dns("*.loans.bank.example").unwrap(), &api));
        for name in ["*.bank.example", "loans.bank.example", "api.loans.bank", "*.api.loans.bank.example"] {
            assert!(!roles(Who::dns(name).unwrap(), &api), "{name}");
        }
        let own = Hash::of(b"a certificate").to_string();
        let colons: Vec<String> =
            own.as_bytes().chunks(2).map(|pair| String::from_utf8_lossy(pair).to_uppercase()).collect();
        assert!(roles(Who::fingerprint(&own).unwrap(), &api));
        assert!(roles(Who::fingerprint(&colons.join(":")).unwrap(), &api));
        assert!(!roles(Who::fingerprint(&"ab".repeat(32)).unwrap(), &api));
        // Another trust domain may write any DNS name beside its own id.
        let partner = certificate(Some("spiffe://partner.example/api"), &["api.loans.bank.example"]);
        assert!(!roles(Who::dns("api.loans.bank.example").unwrap(), &partner));
    }

    #[test]
    fn roles_of_several_rules_add_up() {
        let rule = |who, role| Rule { who, role };
        let all = Certificates::new(&[
            rule(Who::spiffe("spiffe://a/b").unwrap(), Role::Auditor),
            rule(Who::spiffe("spiffe://a/b").unwrap(), Role::Operator),
            rule(Who::spiffe("spiffe://a/*").unwrap(), Role::Application),
            rule(Who::claim("word").unwrap(), Role::Compliance),
        ]);
        let found = all.roles(&certificate(Some("spiffe://a/b"), &[]));
        assert_eq!(found, Roles::of(&[Role::Auditor, Role::Operator, Role::Application]));
    }
}
