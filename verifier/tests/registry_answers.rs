//! A registry that answers anything but the truth.
//!
//! Scenario: `ledgerstone model register` and `audit register` ask a server that has the log's keys and no scruples. Danger: an
//! operator believes that a model or a plan is in the log, and it is not, or another one is. Expected: every answer that does
//! not prove what was asked is refused, and the true one is taken.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros,
    unreachable_pub,
    missing_docs,
    reason = "tests fail by panicking, and may read the environment, start programs and print"
)]

use std::path::Path;

use bytes::Bytes;
use clap::Parser as _;
use ledgerstone::checkpoint::LogKeys;
use ledgerstone::entry::{
    Entry, ModelDetails, PolicyDetails, RegisteredName, RegisteredVersion, SessionId, StartDetails,
    WriterName,
};
use ledgerstone::hash::Hash;
use ledgerstone::merkle::LeafIndex;
use ledgerstone::merkle::range::CompactRange;
use ledgerstone::policy::Policy;
use ledgerstone::proto::ledgerstone_v1::registry_server::{Registry, RegistryServer};
use ledgerstone::proto::ledgerstone_v1::{RegisterModelRequest, RegisterPolicyRequest, RegisterResponse};
use ledgerstone::store::batch::{Batch, BatchEntry};
use ledgerstone::time::UnixMillis;
use ledgerstone_verifier::cli::Arguments;
use ledgerstone_verifier::command;
use ledgerstone_verifier::exit::{Exit, Refusal};
use ledgerstone_verifier::output::Output;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

/// How an answer is spoilt; a wrong one keeps the form of a right one where it can.
type Spoil = fn(&mut RegisterResponse);
/// How the entry is spoilt before it is put into the tree.
type Mislay = fn(&mut Entry);

fn keys(seed: u8) -> LogKeys {
    let origin = "log.example.com/lending".parse().unwrap();
    LogKeys::generate_from_seeds(&origin, [seed; 32], [seed + 100; 32]).unwrap()
}

struct Liar {
    mislay: Mislay,
    spoil: Spoil,
}

impl Liar {
    fn answer(&self, mut entry: Entry) -> RegisterResponse {
        let (writer, session) = (entry.writer.clone(), entry.session);
        let configuration = Hash::of(b"configuration");
        let details = StartDetails { version: "0.1.0".into(), configuration, previous_session: None };
        (self.mislay)(&mut entry);
        let entries = [Entry::start(writer, session, details), entry]
            .map(|entry| BatchEntry { bytes: entry.encode().unwrap(), sealed: Vec::new() });
        let bytes = entries[1].bytes.clone();
        let batch = Batch::build(&CompactRange::empty(), UnixMillis::new(0), entries.into()).unwrap();
        let note = keys(1).sign(&keys(1).checkpoint(batch.size(), batch.root()));
        let proof = batch.prove(LeafIndex::new(1)).unwrap();
        let mut answer = RegisterResponse {
            leaf_index: 1,
            entry: bytes.into(),
            tree_size: 2,
            proof: proof.iter().map(|hash| Bytes::copy_from_slice(hash.as_bytes())).collect(),
            checkpoint: note.into_bytes().into(),
        };
        (self.spoil)(&mut answer);
        answer
    }
}

fn writer() -> (WriterName, SessionId) {
    (WriterName::parse("w").unwrap(), SessionId::from_bytes([1; 16]))
}

#[tonic::async_trait]
impl Registry for Liar {
    async fn register_model(
        &self,
        request: Request<RegisterModelRequest>,
    ) -> Result<Response<RegisterResponse>, Status> {
        let request = request.into_inner();
        let details = ModelDetails {
            name: RegisteredName::parse(&request.name).unwrap(),
            version: RegisteredVersion::parse(&request.version).unwrap(),
            signature: Hash::try_from(request.signature_digest.as_ref()).ok(),
        };
        let digest = Hash::try_from(request.digest.as_ref()).unwrap();
        let (writer, session) = writer();
        Ok(Response::new(self.answer(Entry::model(writer, session, 1, digest, details))))
    }

    async fn register_policy(
        &self,
        request: Request<RegisterPolicyRequest>,
    ) -> Result<Response<RegisterResponse>, Status> {
        let request = request.into_inner();
        let details = PolicyDetails { kind: RegisteredName::parse(&request.kind).unwrap() };
        let digest = Hash::try_from(request.digest.as_ref()).unwrap();
        let (writer, session) = writer();
        Ok(Response::new(self.answer(Entry::policy(writer, session, 1, digest, details))))
    }
}

/// The command line with `arguments`, asking a liar.
async fn asks(arguments: &[&str], mislay: Mislay, spoil: Spoil) -> Result<Exit, Refusal> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let sidecar = format!("grpc://{}", listener.local_addr().unwrap());
    let serve = Server::builder()
        .add_service(RegistryServer::new(Liar { mislay, spoil }))
        .serve_with_incoming(TcpIncoming::from(listener));
    let server = tokio::spawn(serve);
    let line = [&["ledgerstone"], arguments, &["--sidecar", &sidecar]].concat();
    let parsed = Arguments::try_parse_from(line).unwrap();
    let run = move || command::run(&parsed.command, &mut Output::standard(parsed.output));
    let answered = tokio::task::spawn_blocking(run).await.unwrap();
    server.abort();
    answered
}

#[tokio::test(flavor = "multi_thread")]
async fn takes_no_answer_that_does_not_prove_what_was_asked() {
    let folder = tempfile::tempdir().unwrap();
    let written = |name: &str, bytes: &[u8]| {
        std::fs::write(folder.path().join(name), bytes).unwrap();
        folder.path().join(name).display().to_string()
    };
    let policy = written("log.policy", &Policy::for_log(&keys(1).vkeys()).unwrap().to_bytes());
    let others = written("other.policy", &Policy::for_log(&keys(2).vkeys()).unwrap().to_bytes());
    let plan = written("plan", include_bytes!("../../fuzz/corpus/audit_plan/signed"));
    let model =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/oms/mortgage").display().to_string();
    let models = ["model", "register", &model, "--name", "loans", "--version", "1", "--policy", &policy];
    let plans = ["audit", "register", &plan, "--policy", &policy];
    let untrusting = ["audit", "register", &plan, "--policy", &others];

    for arguments in [&models[..], &plans] {
        assert_eq!(asks(arguments, |_| {}, |_| {}).await.unwrap(), Exit::Verified, "{arguments:?}");
    }
    let refused = asks(&untrusting, |_| {}, |_| {}).await.unwrap_err();
    assert!(refused.message.contains("does not prove the registration"), "{}", refused.message);

    let mislaid: [(&[&str], Mislay); 4] = [
        (&models, |entry| entry.model = Some(Hash::of(b"another model"))),
        (&models, |entry| {
            entry.details = entry.details.clone().with(2, ledgerstone::entry::Detail::Text("2".into()))
        }),
        (&plans, |entry| entry.policy = Some(Hash::of(b"another plan"))),
        (&plans, |entry| {
            entry.details = entry.details.clone().with(1, ledgerstone::entry::Detail::Text("x".into()))
        }),
    ];
    for (arguments, mislay) in mislaid {
        let refused = asks(arguments, mislay, |_| {}).await.unwrap_err();
        assert!(refused.message.contains("something else than was asked"), "{}", refused.message);
    }
    let spoilt: [(Spoil, &str); 8] = [
        (|answer| answer.entry = Bytes::new(), "no entry"),
        (|answer| answer.leaf_index = 0, "another leaf"),
        (|answer| answer.leaf_index = 7, "no leaf"),
        (|answer| answer.tree_size = 3, "another tree"),
        (|answer| answer.proof.clear(), "no proof"),
        (|answer| answer.proof[0] = vec![0; 32].into(), "another hash"),
        (|answer| answer.proof[0] = vec![0; 31].into(), "a short hash"),
        (|answer| answer.checkpoint = Bytes::from_static(b"signed"), "no checkpoint"),
    ];
    for (spoil, why) in spoilt {
        let refused = asks(&plans, |_| {}, spoil).await.unwrap_err();
        assert!(refused.message.contains("does not prove the registration"), "{why}: {}", refused.message);
        assert_ne!(refused.exit(), Exit::Verified, "{why}");
    }
}
