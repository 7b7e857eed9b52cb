//! What asking who calls costs each call: a certificate, a token that was checked before, and a new token.
//!
//! `cargo run --release -p ledgerstone-sidecar --example access_speed` prints nanoseconds a check, the median of eleven rounds.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "an example that measures, and may fail by panicking"
)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::AUTHORIZATION;
use http::{Extensions, HeaderMap};
use ledgerstone::hash::Hash;
use ledgerstone::time::UnixMillis;
use ledgerstone_sidecar::access::{
    AccessConfig, Algorithm, ClaimPath, Expected, Guard, KeySource, OidcConfig, Port, Rate, RateLimits, Role,
    Rule, Who,
};
use ledgerstone_sidecar::peer::{Peer, PeerCertificate};

const INFER: (&str, &str) = ("GRPC", "/inference.GRPCInferenceService/ModelInfer");

/// The key of RFC 7515, appendix A.3, and a token by it that holds until 2106.
const KEYS: &str = include_str!("../../fuzz/corpus/access_jwks/one");
const TOKEN: &str = include_str!("access_speed.jwt");

fn median(mut round: impl FnMut()) -> f64 {
    const CALLS: u32 = 20_000;
    let mut took: Vec<Duration> = (0..11)
        .map(|_| {
            let started = Instant::now();
            (0..CALLS).for_each(|_| round());
            started.elapsed()
        })
        .collect();
    took.sort();
    took[5].as_secs_f64() * 1e9 / f64::from(CALLS)
}

#[tokio::main]
async fn main() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jwks.json");
    std::fs::write(&file, KEYS).unwrap();
    let id = |n: usize| format!("spiffe://bank.example/ns/lending/sa/api-{n}");
    let mut rules: Vec<Rule> =
        (0..100).map(|n| Rule { who: Who::spiffe(&id(n)).unwrap(), role: Role::Operator }).collect();
    rules.push(Rule {
        who: Who::spiffe("spiffe://bank.example/ns/lending/*").unwrap(),
        role: Role::Application,
    });
    rules.push(Rule { who: Who::claim("loans-api").unwrap(), role: Role::Application });
    let mut limits = RateLimits::default();
    limits.by_role[Role::Application as usize] = Rate::parse("1000000/s, burst 1000000");
    let expected = Expected {
        issuer: "https://issuer.example".to_owned(),
        audience: "ledgerstone".to_owned(),
        algorithms: Algorithm::ALL.to_vec(),
        role_claim: ClaimPath::parse("roles").unwrap(),
    };
    let oidc = OidcConfig {
        expected,
        source: KeySource::File(file),
        keys_refresh: Duration::from_secs(300),
        keys_kept: Duration::from_secs(3600),
    };
    let config = AccessConfig { rules, oidc: Some(oidc), is_log_public: false, limits };
    let guard = Guard::new(&config).unwrap();
    guard.oidc().unwrap().fetch().await.unwrap();

    let certificate = PeerCertificate {
        fingerprint: Hash::of(b"certificate"),
        spiffe_id: Some(id(7)),
        dns_names: vec!["api-7.lending.bank.example".to_owned()],
    };
    let mut shown = Extensions::new();
    shown.insert(Peer { address: "10.0.0.7:443".parse().ok(), certificate: Some(Arc::new(certificate)) });
    let (mut bare, none) = (Extensions::new(), HeaderMap::new());
    bare.insert(Peer { address: "10.0.0.8:443".parse().ok(), certificate: None });
    let mut token = HeaderMap::new();
    token.insert(AUTHORIZATION, format!("Bearer {}", TOKEN.trim()).parse().unwrap());

    let check = |from: &Extensions, headers: &HeaderMap| {
        black_box(guard.check(Port::Grpc, black_box(INFER), from, headers)).unwrap();
    };
    println!("certificate, 102 rules, with a limit: {:.0} ns", median(|| check(&shown, &none)));
    println!("token that was checked before:        {:.0} ns", median(|| check(&bare, &token)));
    let people = guard.oidc().unwrap();
    let now = UnixMillis::new(1_795_000_000_000);
    let new = median(|| _ = black_box(people.person(TOKEN.trim(), now)).unwrap());
    println!("token that is new (ES256):            {new:.0} ns");
}
