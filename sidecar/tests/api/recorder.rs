//! What comes after a decision: added over gRPC and as JSON, read back with the decision, and refused where it does not fit.

use std::net::SocketAddr;

use ledgerstone::entry::{Entry, Kind};
use ledgerstone::hash::{Hash, leaf_hash};
use ledgerstone::merkle::{LeafIndex, TreeSize, inclusion};
use ledgerstone::proto::ledgerstone_v1::recorder_client::RecorderClient;
use ledgerstone::proto::ledgerstone_v1::value::Kind as ValueKind;
use ledgerstone::proto::ledgerstone_v1::{
    AppendFollowUpRequest, AppendFollowUpResponse, Field, GetHistoryRequest, Value, get_history_response,
};
use ledgerstone::verify::Verdict;
use ledgerstone_sidecar::commands;
use ledgerstone_verifier::command::verify_log;
use ledgerstone_verifier::progress::Silent;
use serde_json::{Value as Json, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};

use crate::world::{World, build, init};

async fn world() -> World {
    let (folder, files) = init().await;
    let app = build(&files, &["recorder.listen=127.0.0.1:0".to_owned()]).await.spawn().await.unwrap();
    World { folder, files, app }
}

async fn recorder(world: &World) -> RecorderClient<Channel> {
    let address = world.app.recorder_addr.unwrap();
    RecorderClient::new(Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap())
}

fn field(path: &str, kind: ValueKind) -> Field {
    Field { path: path.to_owned(), value: Some(Value { kind: Some(kind) }) }
}

fn text(path: &str, text: &str) -> Field {
    field(path, ValueKind::Text(text.to_owned()))
}

fn outcome(decision: &str, action: &str) -> AppendFollowUpRequest {
    AppendFollowUpRequest {
        decision_id: decision.to_owned(),
        kind: "outcome".to_owned(),
        request_id: String::new(),
        fields: vec![text("outcome/action", action), field("outcome/adverse", ValueKind::Bool(true))],
    }
}

fn review(decision: &str) -> AppendFollowUpRequest {
    AppendFollowUpRequest {
        decision_id: decision.to_owned(),
        kind: "review".to_owned(),
        request_id: "review-7".to_owned(),
        fields: vec![
            text("review/[0]/reviewer", "u-17"),
            text("review/[0]/action", "override"),
            field("review/[0]/at", ValueKind::Int("1795000000000".to_owned())),
        ],
    }
}

/// Checks that the answer's entry stands where it says.
fn verify(answer: &AppendFollowUpResponse) -> Entry {
    let checkpoint = ledgerstone::checkpoint::SignedCheckpoint::parse(&answer.checkpoint).unwrap();
    let signed = checkpoint.checkpoint();
    assert_eq!(signed.size.get(), answer.tree_size);
    let proof: Vec<Hash> = answer.proof.iter().map(|hash| Hash::try_from(hash.as_ref()).unwrap()).collect();
    let (index, size) = (LeafIndex::new(answer.leaf_index), TreeSize::new(answer.tree_size));
    inclusion::verify(&leaf_hash(&answer.entry), index, size, &proof, &signed.root).unwrap();
    Entry::decode(&answer.entry).unwrap()
}

/// Asks over HTTP/1.1 and returns status and JSON.
async fn http(address: SocketAddr, method: &str, path: &str, body: &str) -> (u16, Json) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // A server that refuses a large body may close before it was sent.
    _ = stream.write_all(body.as_bytes()).await;
    let mut answer = Vec::new();
    _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    (status, serde_json::from_str(body).unwrap_or(Json::Null))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_is_read_back_with_everything_that_was_added_to_it() {
    let world = world().await;
    let told = world.decide(1).await.remove(0);
    let mut recorder = recorder(&world).await;
    let added = recorder.append_follow_up(outcome(&told.decision, "deny")).await.unwrap().into_inner();
    let entry = verify(&added);
    assert_eq!(
        (entry.kind, entry.links, added.repeated),
        (Kind::Outcome, vec![LeafIndex::new(told.index)], false)
    );
    assert!(!added.entry.windows(4).any(|window| window == b"deny"), "the entry holds no value");
    recorder.append_follow_up(review(&told.decision)).await.unwrap();

    let request = GetHistoryRequest { decision_id: told.decision.clone() };
    let history = recorder.get_history(request).await.unwrap().into_inner();
    let kinds: Vec<&str> = history.entries.iter().map(|entry| entry.kind.as_str()).collect();
    assert_eq!(kinds, ["decision", "outcome", "review"]);
    assert!(history.entries.iter().all(|entry| entry.record() == get_history_response::Record::Opened));
    assert!(history.entries[1].fields.contains(&text("outcome/action", "deny")));
    assert!(history.entries[2].fields.contains(&text("review/[0]/reviewer", "u-17")));

    let address = world.app.recorder_addr.unwrap();
    let (status, json) = http(address, "GET", &format!("/decisions/{}", told.decision), "").await;
    assert_eq!((status, &json["entries"][1]["fields"]["outcome/action"]), (200, &json!("deny")));
    assert_eq!(json["entries"][2]["fields"]["review/[0]/at"], json!(1_795_000_000_000_i64));

    // The whole log verifies with them in it, and the operator's command shows the decision with them.
    let stopped = world.stop().await;
    let options = verify_log::Options { policy: Some(stopped.files.policy()), ..Default::default() };
    let report = verify_log::run_on_dir(&stopped.files.store(), &options, &mut Silent).unwrap().report;
    assert_eq!(report.verdict(), Verdict::Verified, "{:?}", report.checks());
    let mut shown = Vec::new();
    commands::open(&stopped.files.load::<&str>(&[]), &told.decision, &mut shown).unwrap();
    let shown: Json = serde_json::from_slice(&shown).unwrap();
    assert_eq!(shown["later"][0]["kind"], "outcome");
    assert_eq!(shown["later"][1]["fields"]["review/[0]/action"], "override");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_is_added_as_json() {
    let world = world().await;
    let told = world.decide(1).await.remove(0);
    let address = world.app.recorder_addr.unwrap();
    let digest = "ab".repeat(32);
    let body = json!({
        "request_id": "notice-1",
        "fields": {
            "notice/[0]/kind": "adverse_action",
            "notice/[0]/delivered_at": 1_795_000_000_000_u64,
            "notice/[0]/digest": digest,
        }
    });
    let path = format!("/decisions/{}/notice", told.decision);
    let (status, answer) = http(address, "POST", &path, &body.to_string()).await;
    assert_eq!((status, &answer["repeated"]), (201, &json!(false)), "{answer}");
    let (status, again) = http(address, "POST", &path, &body.to_string()).await;
    assert_eq!(
        (status, &again["repeated"], &again["leaf_index"]),
        (200, &json!(true), &answer["leaf_index"])
    );

    let wrong = |fields: Json| json!({ "fields": fields }).to_string();
    let cases = [
        (wrong(json!({ "notice/[0]/kind": "x" })), 400, "notice/[0]/delivered_at is missing"),
        (wrong(json!({ "notice/[0]/digest": "xyz" })), 400, "64 hexadecimal digits"),
        (wrong(json!({ "outcome/action": "deny" })), 400, "is no field of notice entries"),
        (wrong(json!({ "notice//kind": "x" })), 400, "path segment is empty"),
        ("[1]".to_owned(), 400, "not a JSON object"),
        ("{".to_owned(), 400, "not JSON"),
        (json!({ "fields": {}, "feilds": 1 }).to_string(), 400, "unknown key `feilds`"),
        (json!({ "fields": {}, "request_id": 3 }).to_string(), 400, "request_id is not text"),
        (wrong(json!({ "notice/[0]/kind": "x".repeat(1024 * 1024) })), 413, "at most 1048576 bytes"),
    ];
    for (body, expected, message) in cases {
        let (status, answer) = http(address, "POST", &path, &body).await;
        let said = answer["message"].as_str().unwrap_or_default();
        assert!(status == expected && said.contains(message), "{status} {answer}");
    }
    let (status, answer) =
        http(address, "POST", &format!("/decisions/{}/erasure", told.decision), "{}").await;
    assert_eq!((status, &answer["code"]), (400, &json!("misuse")), "{answer}");
    let nobody = "01a1ee56-5e02-7000-8000-000000000002";
    let body = json!({ "fields": { "outcome/action": "deny" } }).to_string();
    let (status, answer) = http(address, "POST", &format!("/decisions/{nobody}/outcome"), &body).await;
    assert_eq!(status, 404, "{answer}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_adds_nothing_and_one_that_says_something_else_is_refused() {
    let world = world().await;
    let told = world.decide(10).await;
    let first = recorder(&world).await;
    // Six at once under one name, about each of ten decisions: one entry each.
    let calls = told.iter().map(|told| {
        let call = |_| {
            let (mut recorder, request) = (first.clone(), review(&told.decision));
            tokio::spawn(async move { recorder.append_follow_up(request).await.unwrap().into_inner() })
        };
        (0..6).map(call).collect::<Vec<_>>()
    });
    for calls in calls.collect::<Vec<_>>() {
        let mut answers = Vec::new();
        for call in calls {
            answers.push(call.await.unwrap());
        }
        assert_eq!(answers.iter().filter(|answer| !answer.repeated).count(), 1);
        assert!(answers.iter().all(|answer| answer.leaf_index == answers[0].leaf_index));
    }

    let mut other = review(&told[0].decision);
    other.fields[1] = text("review/[0]/action", "confirm");
    let refused = first.clone().append_follow_up(other).await.unwrap_err();
    assert_eq!(refused.code(), Code::AlreadyExists, "{refused}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_refused_and_leaves_no_entry() {
    let world = world().await;
    let told = world.decide(1).await.remove(0);
    let mut recorder = recorder(&world).await;
    let unknown = outcome("01a1ee56-5e02-7000-8000-000000000002", "deny");
    assert_eq!(recorder.append_follow_up(unknown).await.unwrap_err().code(), Code::NotFound);
    let mut bad = vec![outcome(&told.decision, "denied"), outcome("no id", "deny")];
    bad.push(AppendFollowUpRequest { kind: "decision".to_owned(), ..outcome(&told.decision, "deny") });
    bad.push(AppendFollowUpRequest { kind: "erasure".to_owned(), ..outcome(&told.decision, "deny") });
    bad.push(AppendFollowUpRequest { request_id: "a b".to_owned(), ..outcome(&told.decision, "deny") });
    bad.push(AppendFollowUpRequest { fields: vec![], ..outcome(&told.decision, "deny") });
    let mut twice = outcome(&told.decision, "deny");
    twice.fields.push(text("outcome/action", "deny"));
    bad.push(twice);
    let mut empty = outcome(&told.decision, "deny");
    empty.fields.push(Field { path: "outcome/set_by".to_owned(), value: None });
    bad.push(empty);
    for request in bad {
        let refused = recorder.append_follow_up(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
    }
    let request = GetHistoryRequest { decision_id: told.decision.clone() };
    assert_eq!(recorder.get_history(request).await.unwrap().into_inner().entries.len(), 1);
    world.stop().await;
}
