//! Tokens that hold, and every kind that does not; an issuer that is down or hostile.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ledgerstone::time::UnixMillis;
use ledgerstone_sidecar::access::{
    Algorithm, ClaimPath, Expected, FetchError, JwksError, KeySet, KeySource, Oidc, OidcConfig, Port, Role,
    Roles, TOKEN_BYTES_MAX, TokenError, Unknown, verify,
};
use ledgerstone_sidecar::outbound::http::{Address, HttpFault};
use serde_json::{Value as Json, json};

use crate::issuer::{AUDIENCE, Issuer, NAME, claims, now};
use crate::world::World;

fn expected() -> Expected {
    Expected {
        issuer: NAME.to_owned(),
        audience: AUDIENCE.to_owned(),
        algorithms: Algorithm::ALL.to_vec(),
        role_claim: ClaimPath::parse("roles").unwrap(),
    }
}

fn at(seconds: u64) -> UnixMillis {
    UnixMillis::new(seconds * 1000)
}

fn header(alg: &str, kid: &str) -> Json {
    json!({ "alg": alg, "kid": kid, "typ": "JWT" })
}

/// A set of claims with one changed, or gone where the value is null.
fn with(name: &str, value: Json) -> Json {
    let mut claims = claims("u-1", &["dpo"]);
    match value {
        Json::Null => _ = claims.as_object_mut().unwrap().remove(name),
        value => claims[name] = value,
    }
    claims
}

#[test]
fn a_token_holds_by_each_algorithm_and_says_who_and_until_when() {
    let Some(issuer) = Issuer::start() else { return };
    let keys = KeySet::parse(&issuer.keys()).unwrap();
    for (alg, key) in [("RS256", "rs"), ("PS256", "rs"), ("ES256", "es"), ("EdDSA", "ed")] {
        let token = issuer.sign(key, &header(alg, key), &claims("u-1", &["dpo", "audit"]));
        let found = verify(&token, &keys, &expected(), at(now())).unwrap();
        assert_eq!(&*found.principal, format!("u-1@{NAME}"), "{alg}");
        assert_eq!(found.claimed, ["dpo", "audit"]);
        assert!(found.until > at(now() + 300) && found.until <= at(now() + 361));
        let narrow = Expected { algorithms: vec![Algorithm::from_name(alg).unwrap()], ..expected() };
        assert!(verify(&token, &keys, &narrow, at(now())).is_ok());
        let others = Algorithm::ALL.into_iter().filter(|other| other.as_str() != alg).collect();
        let other = Expected { algorithms: others, ..expected() };
        assert_eq!(verify(&token, &keys, &other, at(now())), Err(TokenError::Algorithm), "{alg}");
    }
    // Without a kid there must be one key that fits, and of RSA there is one.
    let token = issuer.sign("rs", &json!({ "alg": "RS256" }), &claims("u-1", &[]));
    assert!(verify(&token, &keys, &expected(), at(now())).is_ok());
    let token = issuer.sign("rs", &json!({ "alg": "RS256", "typ": "at+jwt" }), &claims("u-1", &[]));
    assert!(verify(&token, &keys, &expected(), at(now())).is_ok());
}

#[test]
fn a_token_that_does_not_hold_is_refused_for_its_reason() {
    let Some(issuer) = Issuer::start() else { return };
    let keys = KeySet::parse(&issuer.keys()).unwrap();
    let good = claims("u-1", &["dpo"]);
    let refused = |key: &str, header: Json, claims: &Json, error: TokenError| {
        let token = issuer.sign(key, &header, claims);
        assert_eq!(verify(&token, &keys, &expected(), at(now())), Err(error), "{header} {claims}");
    };
    let es = || header("ES256", "es");
    for alg in ["none", "None", "NONE", "", "nOnE"] {
        refused("none", header(alg, "rs"), &good, TokenError::Algorithm);
    }
    for alg in ["HS256", "HS384", "HS512"] {
        refused("shared", header(alg, "rs"), &good, TokenError::Algorithm);
    }
    // The header says another algorithm than the key's: the key is not one for it.
    refused("rs", header("ES256", "rs"), &good, TokenError::UnknownKey);
    refused("es", header("RS256", "es"), &good, TokenError::UnknownKey);
    refused("rs", header("PS256", "es"), &good, TokenError::UnknownKey);
    // RS256 over what says PS256, and the other way around.
    refused("shared", header("RS256", "rs"), &good, TokenError::Signature);
    refused("none", header("RS256", "rs"), &good, TokenError::Signature);
    refused("none", es(), &good, TokenError::Signature);
    refused("stranger", header("RS256", "rs"), &good, TokenError::Signature);
    refused("next", es(), &good, TokenError::Signature);
    refused("stranger", header("RS256", "stranger"), &good, TokenError::UnknownKey);
    refused("es", header("ES256", "nobody"), &good, TokenError::UnknownKey);
    refused("es", header("ES256", "../../etc/passwd"), &good, TokenError::UnknownKey);
    refused("es", header("ES256", &"k".repeat(300)), &good, TokenError::UnknownKey);
    // Keys that come with the token are not looked at.
    let own = json!({ "alg": "RS256", "jwk": { "kty": "RSA", "n": "AQAB", "e": "AQAB" }, "jku": "http://169.254.169.254/", "kid": "rs" });
    refused("stranger", own, &good, TokenError::Signature);
    refused("es", json!({ "alg": "ES256", "kid": "es", "crit": ["exp"] }), &good, TokenError::Header);
    refused("es", json!({ "alg": "ES256", "kid": "es", "typ": "logout+jwt" }), &good, TokenError::Header);
    refused("es", json!({ "kid": "es" }), &good, TokenError::Malformed);
    refused("es", json!({ "alg": 7, "kid": "es" }), &good, TokenError::Malformed);
    refused("es", json!(["alg"]), &good, TokenError::Malformed);
    for (name, value, error) in [
        ("iss", json!("https://login.bank.example/realms/customers"), TokenError::Issuer),
        ("iss", json!(format!("{NAME}/")), TokenError::Issuer),
        ("iss", json!([NAME]), TokenError::Issuer),
        ("iss", Json::Null, TokenError::Issuer),
        ("aud", json!("another"), TokenError::Audience),
        ("aud", json!(["another", 7]), TokenError::Audience),
        ("aud", json!([]), TokenError::Audience),
        ("aud", Json::Null, TokenError::Audience),
        ("exp", json!(now() - 61), TokenError::Expired),
        ("exp", Json::Null, TokenError::Expired),
        ("exp", json!("tomorrow"), TokenError::Malformed),
        ("exp", json!(-1), TokenError::Malformed),
        ("nbf", json!(now() + 120), TokenError::NotYet),
        ("nbf", json!("now"), TokenError::Malformed),
        ("iat", json!(now() + 120), TokenError::NotYet),
        ("sub", Json::Null, TokenError::Subject),
        ("sub", json!(""), TokenError::Subject),
        ("sub", json!("a\nb"), TokenError::Subject),
        ("sub", json!("x".repeat(256)), TokenError::Subject),
        ("sub", json!(["u-1"]), TokenError::Subject),
    ] {
        refused("es", es(), &with(name, value), error);
    }
}

#[test]
fn no_part_of_a_token_can_be_changed_or_left_out_and_none_is_too_large() {
    let Some(issuer) = Issuer::start() else { return };
    let keys = KeySet::parse(&issuer.keys()).unwrap();
    let token = issuer.token("u-1", &["dpo"]);
    let check = |token: &str| verify(token, &keys, &expected(), at(now()));
    assert!(check(&token).is_ok());
    let parts: Vec<&str> = token.split('.').collect();
    let claims = String::from_utf8(URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
    let more = URL_SAFE_NO_PAD.encode(claims.replace("dpo", "root"));
    assert_eq!(check(&format!("{}.{more}.{}", parts[0], parts[2])), Err(TokenError::Signature));
    for (at, _) in token.char_indices() {
        let mut changed = token.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        assert!(check(&changed).is_err() && check(&token[..at]).is_err(), "byte {at}");
    }
    for broken in [
        "",
        ".",
        "..",
        "...",
        "a.b.c",
        &format!("{token}.x"),
        &format!(" {token}"),
        &format!("{token}="),
        "ä.ä.ä",
    ] {
        assert_eq!(check(broken), Err(TokenError::Malformed), "{broken}");
    }
    assert_eq!(check(&"x".repeat(TOKEN_BYTES_MAX + 1)), Err(TokenError::TooLarge));
    assert_eq!(check(&".".repeat(TOKEN_BYTES_MAX)), Err(TokenError::Malformed));
}

#[test]
fn roles_are_found_where_the_configuration_says_and_nowhere_else() {
    let Some(issuer) = Issuer::start() else { return };
    let keys = KeySet::parse(&issuer.keys()).unwrap();
    let claimed = |path: &str, claims: &Json| {
        let expected = Expected { role_claim: ClaimPath::parse(path).unwrap(), ..expected() };
        let token = issuer.sign("es", &header("ES256", "es"), claims);
        verify(&token, &keys, &expected, at(now())).unwrap().claimed
    };
    assert_eq!(
        claimed("/realm_access/roles", &with("realm_access", json!({ "roles": ["dpo", 7, null] }))),
        ["dpo"]
    );
    assert_eq!(
        claimed("https://bank.example/roles", &with("https://bank.example/roles", json!(["dpo"]))),
        ["dpo"]
    );
    assert_eq!(claimed("scope", &with("scope", json!("openid  dpo"))), ["openid", "dpo"]);
    for other in [json!({ "dpo": true }), json!(7), json!([["dpo"]])] {
        assert!(claimed("roles", &with("roles", other)).is_empty());
    }
    assert!(claimed("/roles/0/1", &with("roles", json!("dpo"))).is_empty());
    assert_eq!(claimed("roles", &with("roles", json!(vec!["x"; 1000]))).len(), 256);
}

fn oidc(issuer: &Issuer, kept: Duration) -> Oidc {
    let address = Address::parse(&format!("{}/jwks", issuer.address)).unwrap();
    let source = KeySource::Url { address, ca_file: "unused".into() };
    let config =
        OidcConfig { expected: expected(), source, keys_refresh: Duration::from_secs(300), keys_kept: kept };
    Oidc::new(config, HashMap::from([("dpo".to_owned(), Roles::of(&[Role::Compliance]))])).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_or_silent_issuer_changes_no_key_and_gives_none() {
    let Some(issuer) = Issuer::start() else { return };
    let people = oidc(&issuer, Duration::from_secs(3600));
    let token = issuer.token("u-1", &["dpo"]);
    let now = || at(crate::issuer::now());
    for round in 0..2 {
        for mode in
            ["down", "failing", "huge", "html", "list", "nested", "redirect", "empty", "twice", "slow"]
        {
            issuer.mode(mode);
            let started = Instant::now();
            let error = people.fetch().await.unwrap_err();
            assert!(started.elapsed() < Duration::from_secs(7), "{mode} took {:?}", started.elapsed());
            let fits = match mode {
                "down" => matches!(error, FetchError::Http { source: HttpFault::Closed, .. }),
                "failing" => {
                    matches!(error, FetchError::Http { source: HttpFault::Status { status: 500, .. }, .. })
                }
                "huge" => matches!(error, FetchError::Http { source: HttpFault::TooLarge { .. }, .. }),
                "redirect" => {
                    matches!(error, FetchError::Http { source: HttpFault::Redirect { status: 302 }, .. })
                }
                "slow" => matches!(error, FetchError::Http { source: HttpFault::TimedOut { .. }, .. }),
                "empty" => matches!(error, FetchError::Keys(JwksError::NoKeys)),
                "twice" => matches!(error, FetchError::Keys(JwksError::KeyTwice)),
                _ => matches!(error, FetchError::Keys(JwksError::Malformed)),
            };
            assert!(fits, "{mode}: {error:?}");
            // Without keys nobody is let in; with the last good ones those go on who were.
            match people.person(&token, now()) {
                Err(unknown) => assert_eq!((round, unknown), (0, Unknown::NoKeys), "{mode}"),
                Ok(person) => {
                    assert_eq!((round, person.roles), (1, Roles::of(&[Role::Compliance])), "{mode}")
                }
            }
        }
        issuer.mode("well");
        assert_eq!(people.fetch().await.unwrap(), 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_were_taken_back_and_keys_that_are_too_old_let_nobody_in_not_even_those_who_are_remembered()
{
    let Some(issuer) = Issuer::start() else { return };
    let people = oidc(&issuer, Duration::from_secs(3600));
    people.fetch().await.unwrap();
    let (token, now) = (issuer.token("u-1", &["dpo"]), || at(crate::issuer::now()));
    assert!(people.known(&token, now()).is_none());
    people.person(&token, now()).unwrap();
    assert!(people.known(&token, now()).is_some());
    assert!(people.known(&token, at(crate::issuer::now() + 400)).is_none(), "it expired");
    issuer.mode("rotated");
    people.fetch().await.unwrap();
    assert!(people.known(&token, now()).is_none());
    assert_eq!(people.person(&token, now()).unwrap_err(), Unknown::Token(TokenError::UnknownKey));
    let new = issuer.sign("next", &header("ES256", "next"), &claims("u-1", &["dpo"]));
    assert!(people.person(&new, now()).is_ok());

    let brief = oidc(&issuer, Duration::ZERO);
    brief.fetch().await.unwrap();
    tokio::time::sleep(Duration::from_millis(2)).await;
    assert_eq!(brief.person(&new, now()).unwrap_err(), Unknown::NoKeys);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_that_is_down_at_the_start_keeps_people_out_and_nobody_else_and_lets_them_in_when_it_is_back()
 {
    let Some(world) = World::unready("", "down").await else { return };
    let token = world.issuer.token("u-1", &["platform"]);
    let answer = world.http(Port::Admin, "GET", "/metrics", Some(&token), "").await;
    assert_eq!((answer.code, answer.stable.as_deref()), (503, Some("unavailable")), "{answer:?}");
    let answer = world.grpc(Port::Grpc, "/ledgerstone.v1.Log/GetCheckpoint", Some(&token)).await;
    assert_eq!((answer.code, answer.stable.as_deref()), (14, Some("unavailable")), "{answer:?}");
    assert_eq!(world.http(Port::Admin, "GET", "/ready", Some(&token), "").await.code, 200, "probes go on");
    world.issuer.mode("well");
    let started = Instant::now();
    while world.http(Port::Admin, "GET", "/metrics", Some(&token), "").await.code != 200 {
        assert!(started.elapsed() < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Down again: who was let in stays in.
    world.issuer.mode("down");
    tokio::time::sleep(Duration::from_millis(600)).await;
    let other = world.issuer.token("u-2", &["platform"]);
    assert_eq!(world.http(Port::Admin, "GET", "/metrics", Some(&other), "").await.code, 200);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_token_is_refused_over_the_wire_and_no_answer_repeats_it() {
    let Some(world) = World::new("").await else { return };
    let expired = world.issuer.sign("es", &header("ES256", "es"), &with("exp", json!(now() - 3600)));
    let unsigned = world.issuer.sign("none", &header("none", "es"), &claims("u-1", &["platform"]));
    let huge = "x".repeat(8000);
    for token in [expired.as_str(), &unsigned, &huge, "x", "a.b.c"] {
        let answer = world.http(Port::Admin, "GET", "/metrics", Some(token), "").await;
        assert_eq!(answer.code, 401, "{answer:?}");
        assert!(!answer.text.contains(token) || token.len() < 9, "{answer:?}");
        let answer = world.grpc(Port::Grpc, "/ledgerstone.v1.Log/GetCheckpoint", Some(token)).await;
        assert_eq!(answer.code, 16, "{answer:?}");
    }
    let good = world.issuer.token("u-1", &["platform"]);
    for headers in [
        format!("Authorization: Bearer {good}\r\nAuthorization: Bearer {good}\r\n"),
        format!("Authorization: Basic eA==\r\nAuthorization: Bearer {good}\r\n"),
        format!("Authorization: Bearer {good} {good}\r\n"),
        format!("Authorization: Bearer {good},\r\n"),
        "Authorization: Bearer \r\n".to_owned(),
        format!("Authorization: Basic {good}\r\n"),
        format!("Authorization: {good}\r\n"),
        "Authorization: Bearer \u{e4}\r\n".to_owned(),
        format!("Cookie: access_token={good}\r\n"),
    ] {
        let answer = world.raw(Port::Admin, "GET", "/metrics", &headers, "").await;
        assert_eq!(answer.code, 401, "{headers}: {answer:?}");
    }
    let answer =
        world.raw(Port::Admin, "GET", "/metrics", &format!("authorization: bEARER  {good}\r\n"), "").await;
    assert_eq!(answer.code, 200, "the scheme has no case: {answer:?}");
    assert_eq!(
        world.http(Port::Admin, "GET", &format!("/metrics?access_token={good}"), None, "").await.code,
        401
    );
    let text = world.http(Port::Admin, "GET", "/metrics", Some(&good), "").await.text;
    assert!(text.contains("ledgerstone_access_refused_total{reason=\"token\"}"), "{text}");
    assert!(!text.contains("u-1"), "no caller is a label");
    world.stop().await;
}
