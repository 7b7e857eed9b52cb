//! How often each may call, and that a decision turned away is still counted in the log.

use std::sync::Arc;

use http::HeaderMap;
use ledgerstone::entry::{Kind, KindDetails};
use ledgerstone::hash::Hash;
use ledgerstone::proto::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use ledgerstone::verify::Verdict;
use ledgerstone_sidecar::access::{AccessConfig, Guard, Port, Rate, RateLimits, Reason, Role, Rule, Who};
use ledgerstone_sidecar::peer::{Peer, PeerCertificate};
use ledgerstone_verifier::command::verify_log;
use ledgerstone_verifier::progress::Silent;
use tonic::Code;

use crate::support::request;
use crate::world::{World, with_token};

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_turned_away_for_its_rate_is_counted_in_a_gap_entry_and_the_log_verifies() {
    let limits = "[access.limits]\napplication = \"1/s, burst 3\"\n";
    let Some(world) = World::new(limits).await else { return };
    let (one, other) = (world.issuer.token("u-1", &["loans-api"]), world.issuer.token("u-2", &["loans-api"]));
    let mut model = GrpcInferenceServiceClient::new(world.channel(Port::Grpc).await);
    let mut turned_away = 0_u64;
    for n in 0..8 {
        match model.model_infer(with_token(request(&format!("r{n}"), 1.0), Some(&one))).await {
            Ok(_) => assert!(n < 5, "the eighth call in a moment"),
            Err(status) => {
                assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
                let text = |name: &str| status.metadata().get(name).unwrap().to_str().unwrap().to_owned();
                assert_eq!((text("retry-after").as_str(), text("ledgerstone-code").as_str()), ("1", "limit"));
                turned_away += 1;
            }
        }
    }
    assert!((3..=5).contains(&turned_away), "{turned_away}");
    model.model_infer(with_token(request("other", 1.0), Some(&other))).await.unwrap();
    // What is no decision, and a decision of somebody without the role, is refused and not counted.
    let auditor = world.issuer.token("u-3", &["audit"]);
    let status = model.model_infer(with_token(request("x", 1.0), Some(&auditor))).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    let stopped = world.stop().await;
    let gaps = stopped.entries().into_iter().filter(|(_, entry, _)| entry.kind == Kind::Gap);
    let counted = gaps.map(|(_, entry, _)| match entry.kind_details().unwrap() {
        KindDetails::Gap(gap) => gap.last - gap.first + 1,
        other => panic!("{other:?}"),
    });
    assert_eq!(counted.sum::<u64>(), turned_away);
    let options = verify_log::Options { policy: Some(stopped.files.policy()), ..Default::default() };
    let report = verify_log::run_on_dir(&stopped.files.store(), &options, &mut Silent).unwrap().report;
    assert_eq!(report.verdict(), Verdict::Verified, "{:?}", report.checks());
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_nobody_knows_and_calls_without_one_are_limited_by_their_address() {
    let limits = "[access.limits]\npublic = \"1/s, burst 4\"\n";
    let Some(world) = World::new(limits).await else { return };
    let mut codes = Vec::new();
    for n in 0..12 {
        let token = world.issuer.token(&format!("u-{n}"), &["platform"]);
        codes.push(world.http(Port::Admin, "GET", "/metrics", Some(&token), "").await.code);
    }
    assert!(codes.contains(&429) && codes.iter().all(|code| [200, 429].contains(code)), "{codes:?}");
    // Whose token was checked already goes on.
    let known = world.issuer.token("u-known", &["platform"]);
    let mut code = 0;
    for _ in 0..300 {
        code = world.http(Port::Admin, "GET", "/metrics", Some(&known), "").await.code;
        if code == 200 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(code, 200);
    for _ in 0..20 {
        assert_eq!(world.http(Port::Admin, "GET", "/metrics", Some(&known), "").await.code, 200);
    }
    let mut last = None;
    for n in 0..12 {
        let token = world.issuer.token(&format!("v-{n}"), &["platform"]);
        last = Some(world.http(Port::Admin, "GET", "/metrics", Some(&token), "").await);
    }
    let last = last.unwrap();
    assert_eq!((last.code, last.stable.as_deref()), (429, Some("limit")), "{last:?}");
    assert!(last.retry_after.is_some_and(|seconds| seconds >= 1), "{last:?}");
    // A restart for a probe that somebody else used up would be worse than any number of probes.
    for _ in 0..12 {
        assert_eq!(world.http(Port::Admin, "GET", "/live", None, "").await.code, 200);
    }
    world.stop().await;
}

fn peer(spiffe: &str, address: &str) -> http::Extensions {
    let certificate = PeerCertificate {
        fingerprint: Hash::of(spiffe.as_bytes()),
        spiffe_id: Some(spiffe.to_owned()),
        dns_names: Vec::new(),
    };
    let mut extensions = http::Extensions::new();
    extensions.insert(Peer { address: address.parse().ok(), certificate: Some(Arc::new(certificate)) });
    extensions
}

#[test]
fn workloads_are_limited_apart_and_one_limit_holds_wherever_its_workload_calls_from() {
    let rule =
        Rule { who: Who::spiffe("spiffe://bank.example/ns/lending/*").unwrap(), role: Role::Application };
    let mut limits = RateLimits::default();
    limits.by_role[Role::Application as usize] = Rate::parse("1/s, burst 10");
    let guard = Guard::new(&AccessConfig { rules: vec![rule], limits, ..AccessConfig::default() }).unwrap();
    let infer = ("GRPC", "/inference.GRPCInferenceService/ModelInfer");
    let passed = |id: &str| {
        let call = |n: usize| {
            let from = peer(id, &format!("10.0.0.{n}:1"));
            match guard.check(Port::Grpc, infer, &from, &HeaderMap::new()) {
                Ok(caller) => {
                    assert_eq!(caller.workload.as_deref(), Some(id));
                    true
                }
                Err(refusal) => {
                    assert_eq!((refusal.reason, refusal.is_decision), (Reason::Rate, true));
                    false
                }
            }
        };
        (0..50).filter(|n| call(*n)).count()
    };
    assert_eq!(passed("spiffe://bank.example/ns/lending/sa/a"), 10);
    assert_eq!(passed("spiffe://bank.example/ns/lending/sa/b"), 10);
    let stranger = peer("spiffe://bank.example/ns/hiring/sa/a", "10.0.0.1:1");
    let refusal = guard.check(Port::Grpc, infer, &stranger, &HeaderMap::new()).unwrap_err();
    assert_eq!((refusal.reason, refusal.is_decision), (Reason::Role, false));
}
