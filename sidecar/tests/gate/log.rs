//! What the log says of rules, and what happens where it takes no records.

use ledgerstone::encoding::hex_encode;
use ledgerstone::entry::{Kind, KindDetails};
use ledgerstone::hash::Hash;
use ledgerstone::proto::ledgerstone_v1::RegisterModelRequest;
use ledgerstone::proto::ledgerstone_v1::registry_client::RegistryClient;
use ledgerstone_sidecar::gate::policy_digest;
use ledgerstone_sidecar::intercept::Limits;
use tonic::Code;

use crate::peers::{Client, Model};
use crate::setup::{Mood, Sidecar as Tapped};
use crate::support::http_get;
use crate::world::{ROUTE, World, build, entries, init, request, rule};

#[tokio::test]
async fn rules_are_named_in_the_log_once_and_again_where_they_change() {
    let one = ROUTE.to_owned() + &rule("r", "request", "true", "");
    let two = ROUTE.to_owned() + &rule("r", "request", "true || false", "");
    let world = World::new(&one, &[0.75]).await;
    let first = entries(&world, Kind::Policy).await;
    assert_eq!(first.len(), 1);
    let Ok(KindDetails::Policy(details)) = first[0].kind_details() else { panic!("{first:?}") };
    assert_eq!(details.kind.to_string(), "gate.loans");
    let reply = world.infer(&request(&[[1.0, 40.0]], &[])).await;
    let recorded = world.recorded(&reply).await;
    let policy = recorded.field("gate/policy")["base64"].as_str().unwrap().to_owned();
    assert_eq!(
        ledgerstone::encoding::base64_decode(&policy).unwrap(),
        first[0].policy.unwrap().as_bytes(),
        "the record names the rules by what the log named them"
    );
    let of_route = recorded.entry.policy;

    let world = world.again(&one).await;
    assert_eq!(entries(&world, Kind::Policy).await.len(), 1, "the same rules are not named again");
    let world = world.again(&two).await;
    let both = entries(&world, Kind::Policy).await;
    assert_eq!(both.len(), 2);
    assert_ne!(both[0].policy, both[1].policy);
    let reply = world.infer(&request(&[[1.0, 40.0]], &[])).await;
    assert_ne!(
        world.recorded(&reply).await.entry.policy,
        of_route,
        "the route's own digest covers its rules"
    );
    let (code, printed) = recorded.checked(&world, |_| {});
    assert!(printed.contains("made under other rules"), "{printed}");
    assert_eq!(code, Some(2));
    let world = world.again(&one).await;
    let again = entries(&world, Kind::Policy).await;
    assert_eq!(again.len(), 3, "rules that come back into force are named again");
    assert_eq!(again[2].policy, first[0].policy);
    world.stop().await;
}

#[tokio::test]
async fn a_gate_that_is_taken_away_is_named_once_as_one_without_rules() {
    let gated = ROUTE.to_owned() + &rule("r", "request", "true", "");
    let digests = async |world: &World| -> Vec<Hash> {
        entries(world, Kind::Policy).await.iter().map(|entry| entry.policy.unwrap()).collect()
    };
    let world = World::new(&gated, &[0.75]).await;
    let rules = digests(&world).await[0];
    let world = world.again(ROUTE).await;
    assert_eq!(digests(&world).await, [rules, policy_digest(&[])]);
    // The page says what that is.
    let page = include_str!("../../../docs/gate.md");
    assert!(page.contains(&policy_digest(&[]).to_string()));
    let world = world.again(ROUTE).await;
    assert_eq!(digests(&world).await.len(), 2, "it is not named again");
    // A route of another name is another route: its rules begin, and those of the one before end.
    let world = world.again(&gated).await;
    let world = world.again(&gated.replace("name = \"loans\"", "name = \"credit\"")).await;
    assert_eq!(digests(&world).await[2..], [rules, rules, policy_digest(&[])]);
    world.stop().await;
}

#[tokio::test]
async fn a_route_without_rules_leaves_no_trace_of_a_gate() {
    let world = World::new(ROUTE, &[0.75]).await;
    let reply = world.infer(&request(&[[1.0, 40.0]], &[])).await;
    let recorded = world.recorded(&reply).await;
    let fields = recorded.json["fields"].as_object().unwrap();
    assert!(!fields.keys().any(|path| path.starts_with("gate/")), "{fields:?}");
    assert!(entries(&world, Kind::Policy).await.is_empty());
    world.stop().await;
}

#[tokio::test]
async fn a_model_that_nobody_registered_is_refused_until_somebody_does() {
    let digest = Hash::of(b"the model");
    let model = format!("model = {{ digest = \"sha256:{}\" }}\n", hex_encode(digest.as_bytes()));
    let routes = format!("{ROUTE}{model}{}", rule("registered", "request", "model.registered", ""));
    let (folder, files, calls) = init(&routes, &[0.75]).await;
    let app = build(&files, &["registry.listen=127.0.0.1:0"]).await.unwrap().spawn().await.unwrap();
    let world = World { folder, files, app, calls };
    // The log is read in the background; until it is, nobody knows, and the gate is closed.
    let refused = loop {
        let reply = world.infer(&request(&[[1.0, 40.0]], &[])).await;
        match reply.code() {
            Code::FailedPrecondition => assert_eq!(reply.header("ledgerstone-code"), Some("unavailable")),
            _ => break reply,
        }
    };
    assert_eq!(refused.code(), Code::PermissionDenied);
    let recorded = world.recorded(&refused).await;
    assert_eq!(recorded.field("model/registered"), &serde_json::json!(false));
    let address = world.app.registry_addr.unwrap();
    let mut registry = RegistryClient::connect(format!("http://{address}")).await.unwrap();
    let registration = RegisterModelRequest {
        name: "loans".to_owned(),
        version: "1".to_owned(),
        digest: digest.as_bytes().to_vec().into(),
        signature_digest: Vec::new().into(),
        approval: Vec::new().into(),
    };
    registry.register_model(registration).await.unwrap();
    let reply = world.infer(&request(&[[1.0, 40.0]], &[])).await;
    assert_eq!(reply.code(), Code::Ok, "{}", reply.status().message());
    let recorded = world.recorded(&reply).await;
    assert_eq!(recorded.field("model/registered"), &serde_json::json!(true));
    let (code, printed) = recorded.checked(&world, |_| {});
    assert_eq!(code, Some(0), "{printed}");
    world.stop().await;
}

#[tokio::test]
async fn what_gates_did_is_counted_by_route_and_effect() {
    let world = World::new(
        &(ROUTE.to_owned()
            + &rule("r", "request", "1 / int(input.feature.income) == 1 && input.feature.age > 18.0", "")),
        &[0.75],
    )
    .await;
    for [income, age] in [[1.0, 17.0], [1.0, 30.0], [1.0, 40.0], [0.0, 40.0]] {
        world.infer(&request(&[[income, age]], &[])).await;
    }
    let (_, metrics) = http_get(world.app.admin_addr, "/metrics").await.unwrap();
    let metrics = String::from_utf8(metrics).unwrap();
    for line in [
        "ledgerstone_gate_total{effect=\"allow\",route=\"loans\"} 2",
        "ledgerstone_gate_total{effect=\"refuse\",route=\"loans\"} 1",
        "ledgerstone_gate_total{effect=\"error\",route=\"loans\"} 1",
        "ledgerstone_decisions_total{code=\"PERMISSION_DENIED\",route=\"loans\"} 1",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
    world.stop().await;
}

#[tokio::test]
async fn a_refusal_whose_record_the_log_does_not_take_is_withheld_and_leaves_a_gap() {
    let model = Model::start().await;
    let routes = "[[route]]\nname = \"r\"\n".to_owned() + &rule("no", "request", "false", "");
    let sidecar = Tapped::with(model.addr, &routes, Limits::default(), |_| {}).await;
    let client = Client::new(sidecar.addr);
    sidecar.tap.set(Mood::Refuses);
    let reply = client.infer(&request(&[[1.0, 2.0]], &[])).await;
    assert_eq!(reply.code(), Code::Unavailable, "what is not recorded is not told");
    assert_eq!(reply.header("ledgerstone-gate"), None);
    sidecar.tap.set(Mood::Passes);
    let reply = loop {
        let reply = client.infer(&request(&[[1.0, 2.0]], &[])).await;
        if reply.code() != Code::Unavailable {
            break reply;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!((reply.code(), reply.header("ledgerstone-gate")), (Code::PermissionDenied, Some("no")));
    assert_eq!(sidecar.tap.gaps().iter().map(|gap| gap.last - gap.first + 1).sum::<u64>(), 1);
    sidecar.stop().await;
}
