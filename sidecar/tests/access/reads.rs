//! Reads of sealed records: each is an entry before it is an answer.

use ledgerstone::entry::{AccessPurpose, Entry, Kind, KindDetails};
use ledgerstone::hash::Hash as Digest;
use ledgerstone::merkle::LeafIndex;
use ledgerstone::proto::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use ledgerstone::proto::ledgerstone_v1::recorder_client::RecorderClient;
use ledgerstone::proto::ledgerstone_v1::value::Kind as ValueKind;
use ledgerstone::proto::ledgerstone_v1::{
    AppendFollowUpRequest, Field, GetHistoryRequest, GetHistoryResponse, Value,
};
use ledgerstone::record::{Value as RecordValue, schema};
use ledgerstone::verify::Verdict;
use ledgerstone_sidecar::access::{Port, Role};
use ledgerstone_sidecar::reader::LogReader;
use ledgerstone_sidecar::{commands, keyring};
use ledgerstone_verifier::command::verify_log;
use ledgerstone_verifier::progress::Silent;
use serde_json::Value as Json;
use tonic::Code;
use tonic::transport::Channel;

use crate::issuer::NAME;
use crate::support::request;
use crate::world::{Stopped, World, with_token, word};

/// A decision that `token` had made.
async fn decide(world: &World, token: &str) -> (String, u64) {
    let mut model = GrpcInferenceServiceClient::new(world.channel(Port::Grpc).await);
    let answer = model.model_infer(with_token(request("r", 2.5), Some(token))).await.unwrap();
    let text = |name: &str| answer.metadata().get(name).unwrap().to_str().unwrap().to_owned();
    (text("ledgerstone-decision-id"), text("ledgerstone-leaf-index").parse().unwrap())
}

async fn recorder(world: &World) -> RecorderClient<Channel> {
    RecorderClient::new(world.channel(Port::Recorder).await)
}

fn addition(decision: &str, kind: &str, path: &str, value: &str) -> AppendFollowUpRequest {
    let value = Value { kind: Some(ValueKind::Text(value.to_owned())) };
    AppendFollowUpRequest {
        decision_id: decision.to_owned(),
        kind: kind.to_owned(),
        request_id: String::new(),
        fields: vec![Field { path: path.to_owned(), value: Some(value) }],
    }
}

fn said(history: &GetHistoryResponse, entry: usize, path: &str) -> Option<String> {
    let field = history.entries[entry].fields.iter().find(|field| field.path == path)?;
    match field.value.as_ref()?.kind.as_ref()? {
        ValueKind::Text(text) => Some(text.clone()),
        _ => None,
    }
}

fn accesses(stopped: &Stopped) -> Vec<(LeafIndex, Entry, Vec<u8>)> {
    stopped.entries().into_iter().filter(|(_, entry, _)| entry.kind == Kind::Access).collect()
}

fn verified(stopped: &Stopped) {
    let options = verify_log::Options { policy: Some(stopped.files.policy()), ..Default::default() };
    let report = verify_log::run_on_dir(&stopped.files.store(), &options, &mut Silent).unwrap().report;
    assert_eq!(report.verdict(), Verdict::Verified, "{:?}", report.checks());
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_a_history_is_an_entry_that_names_what_was_read_and_not_who_read_it() {
    let Some(world) = World::new("").await else { return };
    let caller = world.issuer.token("loans-service-7", &[word(Role::Application)]);
    let officer = world.issuer.token("jane.doe", &[word(Role::Compliance)]);
    let (decision, index) = decide(&world, &caller).await;
    let mut recorder = recorder(&world).await;
    let outcome = addition(&decision, "outcome", "outcome/action", "deny");
    let added = recorder.append_follow_up(with_token(outcome, Some(&caller))).await.unwrap().into_inner();

    let get = || GetHistoryRequest { decision_id: decision.clone() };
    let history = recorder.get_history(with_token(get(), Some(&officer))).await.unwrap().into_inner();
    // Decisions and what was added say who called.
    let by = Some(format!("loans-service-7@{NAME}"));
    assert_eq!(said(&history, 0, "caller/principal"), by);
    assert_eq!(said(&history, 1, "caller/principal"), by);
    assert!(said(&history, 0, "caller/address").is_some());
    let path = format!("/decisions/{decision}");
    assert_eq!(world.http(Port::Recorder, "GET", &path, Some(&officer), "").await.code, 200);
    // Who reads often does not make the history longer.
    let again = recorder.get_history(with_token(get(), Some(&officer))).await.unwrap().into_inner();
    assert_eq!(again.entries.len(), 2);
    // Who may not read leaves no entry, and neither does a receipt, which shows what its route discloses.
    let refused = recorder.get_history(with_token(get(), Some(&caller))).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    let path = format!("/receipts/{decision}");
    assert_eq!(world.http(Port::Http, "GET", &path, Some(&caller), "").await.code, 200);

    let stopped = world.stop().await;
    let found = accesses(&stopped);
    assert_eq!(found.len(), 3);
    let ring = keyring::to_read(
        &stopped.files.store(),
        Digest::of(b"example.com/tests"),
        keyring::open(&stopped.config().keys).unwrap(),
    );
    let (log, ring) = (LogReader::at_rest(&stopped.files.store()).unwrap(), ring.unwrap());
    for (at, entry, bytes) in &found {
        assert_eq!(entry.links, [LeafIndex::new(index), LeafIndex::new(added.leaf_index)]);
        assert_eq!(entry.decision.unwrap().to_string(), decision);
        let KindDetails::Access(details) = entry.kind_details().unwrap() else { panic!("{entry:?}") };
        assert_eq!((details.purpose, details.stretch), (AccessPurpose::History, None));
        for personal in ["jane", "doe", "bank", "127.0.0.1", "u-"] {
            assert!(!bytes.windows(personal.len()).any(|window| window == personal.as_bytes()), "{personal}");
        }
        let content = log.opened(ring.as_ref(), *at, entry).unwrap().unwrap().unwrap();
        assert!(content.committed(entry).is_some());
        let said = |path| content.record.value(&path).cloned();
        let text = |text: &str| Some(RecordValue::Text(text.to_owned()));
        assert_eq!(said(schema::CALLER_PRINCIPAL), text(&format!("jane.doe@{NAME}")));
        assert_eq!(said(schema::PRIVACY_PURPOSE), text("history"));
        assert_eq!(said(schema::CALLER_ADDRESS), text("127.0.0.1"));
    }
    verified(&stopped);
    for (which, count) in
        [(None, 3), (Some(decision.as_str()), 3), (Some("01a1ee56-5e02-7000-8000-000000000002"), 0)]
    {
        let mut shown = Vec::new();
        commands::accesses(&stopped.config(), which, &mut shown).unwrap();
        let lines: Vec<Json> = String::from_utf8(shown)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), count, "{lines:?}");
        for line in lines {
            assert_eq!(line["principal"], format!("jane.doe@{NAME}"));
            assert_eq!(line["read"], serde_json::json!([index, added.leaf_index]));
        }
    }
    let log = std::fs::read_to_string(stopped.files.folder.join("sidecar.log")).unwrap_or_default();
    assert!(!log.contains("jane"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_adds_outcomes_and_explanations_and_nothing_else() {
    let Some(world) = World::new("").await else { return };
    let caller = world.issuer.token("loans-service-7", &[word(Role::Application)]);
    let officer = world.issuer.token("jane.doe", &[word(Role::Compliance)]);
    let (decision, _) = decide(&world, &caller).await;
    let mut recorder = recorder(&world).await;
    for kind in ["review", "notice", "contest", "correction"] {
        let request = || addition(&decision, kind, "outcome/action", "deny");
        let refused = recorder.append_follow_up(with_token(request(), Some(&caller))).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied, "{kind}: {refused}");
        assert!(refused.message().contains("for the role compliance"), "{refused}");
        let other = recorder.append_follow_up(with_token(request(), Some(&officer))).await.unwrap_err();
        assert_eq!(other.code(), Code::InvalidArgument, "{kind}: an officer is told what is wrong");
    }
    for kind in ["outcome", "explanation", "nonsense"] {
        let request = addition(&decision, kind, "outcome/nothing", "x");
        let refused = recorder.append_follow_up(with_token(request, Some(&caller))).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{kind}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_opens_a_record_says_so_in_the_log_first_or_opens_nothing() {
    let Some(world) = World::new("").await else { return };
    let caller = world.issuer.token("loans-service-7", &[word(Role::Application)]);
    let (decision, index) = decide(&world, &caller).await;
    // While the sidecar runs the log is its own: the command says whom to ask.
    let (store, config) = (world.files.store(), world.config());
    while LogReader::at_rest(&store).unwrap().published().size.get() <= index {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let asked = decision.clone();
    let refused = tokio::task::spawn_blocking(move || {
        let mut shown = Vec::new();
        let refused = commands::open(&config, &asked, &mut shown).unwrap_err();
        assert!(shown.is_empty(), "nothing of the record was shown");
        format!("{refused:#}")
    });
    let refused = refused.await.unwrap();
    assert!(refused.contains("is running") && refused.contains("/decisions/"), "{refused}");

    let stopped = world.stop().await;
    let (config, asked) = (stopped.config(), decision.clone());
    let shown = tokio::task::spawn_blocking(move || {
        let mut shown = Vec::new();
        commands::open(&config, &asked, &mut shown).unwrap();
        shown
    });
    let shown: Json = serde_json::from_slice(&shown.await.unwrap()).unwrap();
    assert_eq!(shown["leaf_index"], index);
    let found = accesses(&stopped);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].1.links, [LeafIndex::new(index)]);
    let KindDetails::Access(details) = found[0].1.kind_details().unwrap() else { panic!() };
    assert_eq!(details.purpose, AccessPurpose::Record);
    let kinds: Vec<Kind> = stopped.entries().iter().rev().take(3).map(|(_, entry, _)| entry.kind).collect();
    assert_eq!(kinds, [Kind::Stop, Kind::Access, Kind::Start], "a session of its own, ended in order");
    verified(&stopped);

    // Where the log cannot be written, nothing is shown.
    std::fs::remove_file(stopped.files.folder.join("log.key")).unwrap();
    let config = stopped.config();
    let refused = tokio::task::spawn_blocking(move || {
        let mut shown = Vec::new();
        (commands::open(&config, &decision, &mut shown).is_err(), shown)
    });
    assert_eq!(refused.await.unwrap(), (true, Vec::new()));
}
