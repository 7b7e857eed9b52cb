//! What `[access]` may say.

use ledgerstone_sidecar::access::{Algorithm, KeySource, Rate, Role, Roles, Who};
use ledgerstone_sidecar::config::{Config, ConfigError, Inputs};
use tempfile::TempDir;

const BASE: &str = r#"
[log]
origin = "example.com/tests"
store = "store"
key_file = "log.key"

[upstream]
address = "http://127.0.0.1:8001"

[keys]
file = "kek.key"
"#;

const OIDC: &str = r#"
[access.oidc]
issuer = "https://login.bank.example"
audience = "ledgerstone"
jwks = "https://login.bank.example/certs"
"#;

fn load(access: &str) -> Result<Config, ConfigError> {
    let folder: TempDir = tempfile::tempdir().unwrap();
    let file = folder.path().join("sidecar.toml");
    std::fs::write(&file, format!("{BASE}\n{access}")).unwrap();
    Config::load(&Inputs { file: Some(file), ..Inputs::default() })
}

fn rule(rule: &str) -> String {
    format!("[[access.rule]]\n{rule}\n")
}

#[test]
fn nobody_is_asked_without_the_section_and_everybody_with_it_however_little_it_says() {
    assert!(load("").unwrap().access.is_none());
    for some in [
        "[access]",
        "[access]\nlog = \"roles\"",
        "[access.limits]\noperator = \"1/s\"",
        OIDC,
        &rule("dns = \"a.example\"\nrole = \"operator\""),
    ] {
        assert!(load(some).unwrap().access.is_some(), "{some}");
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sidecar.toml");
    std::fs::write(&file, BASE).unwrap();
    let flags = vec!["access.log=public".to_owned()];
    let config = Config::load(&Inputs { file: Some(file), flags, ..Inputs::default() }).unwrap();
    assert!(config.access.unwrap().is_log_public);
}

#[test]
fn takes_what_it_says() {
    let text = format!(
        "{OIDC}algorithms = \"ES256,EdDSA\"\nrole_claim = \"/realm_access/roles\"\n[access.limits]\nauditor = \"5/s, burst 9\"\n{}{}{}",
        rule("spiffe = \"spiffe://bank.example/ns/*\"\nrole = \"application\""),
        rule("claim = \"dpo\"\nrole = \"compliance\""),
        rule(&format!("fingerprint = \"{}\"\nrole = \"auditor\"", "ab".repeat(32))),
    );
    let access = load(&text).unwrap().access.unwrap();
    assert_eq!(access.rules.len(), 3);
    assert_eq!((&access.rules[1].who, access.rules[1].role), (&Who::claim("dpo").unwrap(), Role::Compliance));
    assert_eq!(access.limits.by_role[Role::Auditor as usize], Some(Rate { per_second: 5, burst: 9 }));
    assert_eq!(access.limits.public, Some(Rate { per_second: 100, burst: 1000 }));
    let oidc = access.oidc.unwrap();
    assert_eq!(oidc.expected.algorithms, [Algorithm::Es256, Algorithm::EdDsa]);
    assert!(matches!(oidc.source, KeySource::Url { .. }));
    let file = load(&OIDC.replace("https://login.bank.example/certs", "keys.json")).unwrap();
    let KeySource::File(path) = file.access.unwrap().oidc.unwrap().source else { panic!("it is a file") };
    assert!(path.is_absolute() && path.ends_with("keys.json"), "{}", path.display());
    assert!(!Roles::of(&[Role::Auditor]).has(Role::Applicant));
}

#[test]
fn refuses_what_makes_no_sense_and_says_what_would() {
    let cases = [
        (
            rule("spiffe = \"spiffe://bank.example/a\"\nrole = \"applicant\""),
            "application, operator, compliance or auditor",
        ),
        (rule("spiffe = \"spiffe://bank.example/a\"\nrole = \"root\""), "application, operator"),
        (rule("spiffe = \"spiffe://bank.example/a\""), "missing field `role`"),
        (rule("spiffe = \"spiffe://*/a\"\nrole = \"operator\""), "spiffe://DOMAIN/PATH"),
        (rule("dns = \"*\"\nrole = \"operator\""), "a DNS name"),
        (rule("fingerprint = \"ab\"\nrole = \"operator\""), "64 hexadecimal digits"),
        (rule("role = \"operator\""), "one of spiffe, dns, fingerprint and claim"),
        (rule("dns = \"a.example\"\nclaim = \"b\"\nrole = \"operator\""), "one of spiffe, dns"),
        (rule("claim = \"b\"\nrole = \"operator\""), "access.oidc.issuer"),
        (rule("dnss = \"a.example\"\nrole = \"operator\""), "did you mean \"dns\"?"),
        ("[access]\nrules = \"x\"".to_owned(), "unknown key"),
        ("[access]\nrule = \"x\"".to_owned(), "expected a sequence"),
        ("[access]\nlog = \"open\"".to_owned(), "roles, or public"),
        ("[access]\nlog = true".to_owned(), "a text in quotes"),
        ("[access.limits]\noperator = \"fast\"".to_owned(), "20/s, burst 100"),
        ("[access.limits]\noperater = \"1/s\"".to_owned(), "did you mean \"access.limits.operator\"?"),
        (OIDC.replace("audience", "#audience"), "access.oidc.audience"),
        (OIDC.replace("jwks", "#jwks"), "access.oidc.jwks"),
        (
            OIDC.replace("https://login.bank.example/certs", "http://login.bank.example/certs"),
            "to this machine itself",
        ),
        (
            OIDC.replace("https://login.bank.example/certs", "http://169.254.169.254/latest"),
            "to this machine itself",
        ),
        (OIDC.replace("https://login.bank.example/certs", "file:///etc/passwd"), "to this machine itself"),
        (
            OIDC.replace("https://login.bank.example/certs", "https://u:p@login.bank.example/"),
            "to this machine itself",
        ),
        (format!("{OIDC}algorithms = \"HS256\""), "RS256, PS256, ES256 and EdDSA"),
        (format!("{OIDC}algorithms = \"none\""), "RS256, PS256"),
        (format!("{OIDC}algorithms = \"\""), "RS256, PS256"),
        (format!("{OIDC}keys_refresh = \"5\""), "access.oidc.keys_refresh"),
        (format!("{OIDC}role_claim = \"\""), "JSON pointer"),
        (rule("dns = \"a.example\"\nrole = \"operator\"\n").repeat(1025), "at most 1024 rules"),
    ];
    for (text, wanted) in cases {
        let shown = text.chars().take(200).collect::<String>();
        let error = load(&text).expect_err(&shown).to_string();
        assert!(error.contains(wanted), "{shown}: {error}");
    }
}
