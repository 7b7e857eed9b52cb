//! Rules that nobody should write.

use std::time::{Duration, Instant};

use bytes::Bytes;
use prost::Message as _;
use tonic::Code;

use crate::peers::{Client, INFER, framed};
use crate::world::{ROUTE, World, build, check, init, request, rule, text};

#[tokio::test]
async fn a_rule_that_runs_long_is_stopped_at_the_same_step_every_time() {
    let list = (0..90).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    let hostile = format!("[{list}].all(x, [{list}].all(y, (x + y + 500) in [{list}] || true))");
    let world = World::new(&(ROUTE.to_owned() + &rule("long", "request", &hostile, "")), &[0.75]).await;
    for _ in 0..2 {
        let started = Instant::now();
        let reply = world.infer(&request(&[[1.0, 40.0]], &[])).await;
        assert_eq!(reply.code(), Code::FailedPrecondition);
        let message = reply.status().message().to_owned();
        assert!(message.ends_with("it takes more than 100000 steps"), "{message}");
        assert!(started.elapsed() < Duration::from_secs(5));
        let recorded = world.recorded(&reply).await;
        assert_eq!(recorded.field("gate/error"), "long: it takes more than 100000 steps");
        let (code, printed) = recorded.checked(&world, |_| {});
        assert!(printed.contains("error, refuse, 100000 steps"), "{printed}");
        assert_eq!(code, Some(0));
    }
    assert!(world.calls.all().is_empty());
    world.stop().await;
}

#[tokio::test]
async fn a_request_that_only_the_model_server_can_read_does_not_get_past_the_rules() {
    let world = World::new(&(ROUTE.to_owned() + &rule("never", "request", "false", "")), &[0.75]).await;
    let message = request(&[[1.0, 40.0]], &[]).encode_to_vec();
    // The first field as a number and then as it must be, which most implementations of protobuf take.
    let other_type = framed(&[&[0x08, 0x01][..], &message].concat());
    let and_empty = [framed(&message), framed(&[])].concat();
    for body in [other_type, and_empty.into(), framed(b"\xff"), Bytes::new()] {
        let reply = Client::new(world.app.grpc_addr).call(INFER, &[], body).await;
        assert_eq!(reply.code(), Code::InvalidArgument, "{}", reply.status().message());
        assert!(reply.status().message().contains("which rules"), "{}", reply.status().message());
        assert!(reply.header("ledgerstone-leaf-index").is_some(), "a refusal is a decision too");
    }
    assert!(world.calls.all().is_empty());
    world.stop().await;
}

#[tokio::test]
async fn texts_from_callers_do_not_make_a_rule_expensive() {
    let rules = rule("regex", "request", "!input.parameter.note.matches('(a|aa)+$b')", "")
        + &rule("join", "request", "(input.parameter.note + input.parameter.note).size() > 0", "");
    let world = World::new(&(ROUTE.to_owned() + &rules), &[0.75]).await;
    for (length, code) in
        [(10, Code::Ok), (60_000, Code::FailedPrecondition), (2 << 20, Code::FailedPrecondition)]
    {
        let started = Instant::now();
        let reply = world.infer(&request(&[[1.0, 40.0]], &[("note", text(&"a".repeat(length)))])).await;
        assert_eq!(reply.code(), code, "{length}: {}", reply.status().message());
        assert!(started.elapsed() < Duration::from_secs(5), "{length}");
        let (code, printed) = world.recorded(&reply).await.checked(&world, |_| {});
        assert_eq!(code, Some(0), "{length}: {printed}");
    }
    world.stop().await;
}

#[tokio::test]
async fn a_sidecar_does_not_start_with_a_rule_that_is_none() {
    let huge = "x".repeat(1 << 20);
    let deep = format!("{}true{}", "(".repeat(2000), ")".repeat(2000));
    for (text, said) in [
        ("modle.registered", "did you mean model.registered?"),
        ("true &&\n  1 +", "line 2, column"),
        ("output.score.score > 0.5", "is known once the model has answered: write when = \"answer\""),
        ("input.feature.incme > 1.0", "did you mean input.feature.income?"),
        ("input.feature.income * 2.0", "a rule says yes or no"),
        (huge.as_str(), "the rule is longer than 4096 bytes"),
        (deep.as_str(), "parts nest deeper than 48"),
    ] {
        let (_folder, files, _) = init(&(ROUTE.to_owned() + &rule("r", "request", text, "")), &[0.75]).await;
        let error = build(&files, &[]).await.map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("route \"loans\": `gate`: rule \"r\""), "{error}");
        assert!(error.contains(said), "{error}");
        // The command says the same, and nothing of it needs a log.
        let (code, printed) = check(&files, &[]);
        assert_eq!(code, Some(1), "{printed}");
        assert!(printed.contains(said), "{printed}");
    }
    let steering = rule("r", "request", "true", "message = \"\\u001b[31mred\"");
    let (_folder, files, _) = init(&(ROUTE.to_owned() + &steering), &[0.75]).await;
    let error = build(&files, &[]).await.map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("printable text on one line") && !error.contains('\u{1b}'), "{error:?}");
}
