//! The sidecar is killed under load, again and again.
//!
//! Scenario: clients call a real model server through the real binary; `kill -9` strikes at a random moment, fifty times.
//! Danger: a client holds an answer whose record is gone, or the log does not start again. Expected end state: after each
//! restart every decision that a client saw answered stands at the leaf index it was told and its receipt verifies; at the
//! end the whole log is *verified* (INV-4, INV-6, INV-9), and each session but the last is named as ended without a stop
//! by the start entry after it (INV-10).
//!
//! `KILL_ROUNDS` sets the number of rounds, `KILL_SEED` repeats the moments of a run.

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

mod support;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ledgerstone::code::CheckName;
use ledgerstone::entry::Entry;
use ledgerstone::merkle::LeafIndex;
use ledgerstone::proto::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use ledgerstone::store::fs::FsReader;
use ledgerstone::verify::{self, Verdict};
use ledgerstone_verifier::command::verify_log;
use ledgerstone_verifier::progress::Silent;
use tonic::transport::Channel;

use support::{Sidecar, request, serve_doubler};

const CLIENTS: usize = 16;
/// Receipts fetched after each restart; every answered decision is held against the log itself as well.
const RECEIPTS_PER_ROUND: usize = 8;

/// Decision id and leaf index of every answer that a client saw.
type Answered = Arc<Mutex<HashMap<String, u64>>>;

fn variable(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// xorshift64*: the moments of the kills.
fn next(state: &mut u64) -> u64 {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    state.wrapping_mul(0x2545_f491_4f6c_dd1d)
}

/// Calls until the connection breaks, and notes what was answered.
async fn call_until_killed(
    mut connection: GrpcInferenceServiceClient<Channel>,
    client: usize,
    answered: Answered,
) {
    for n in 0.. {
        let Ok(answer) = connection.model_infer(request(&format!("{client}-{n}"), 1.5)).await else { return };
        let text = |name: &str| answer.metadata().get(name).unwrap().to_str().unwrap().to_owned();
        let index = text("ledgerstone-leaf-index").parse().unwrap();
        let before = answered.lock().unwrap().insert(text("ledgerstone-decision-id"), index);
        assert_eq!(before, None, "one decision id was given twice");
    }
}

fn assert_all_in_log(sidecar: &Sidecar, answered: &HashMap<String, u64>) {
    let reader = FsReader::open(&sidecar.store());
    let size = reader.size().unwrap();
    for (decision, index) in answered {
        let bytes = reader.entry(LeafIndex::new(*index), size).unwrap();
        let entry = Entry::decode(&bytes).unwrap();
        assert_eq!(entry.decision.unwrap().to_string(), *decision, "INV-9: leaf {index} is another entry");
    }
}

async fn assert_receipts_verify(sidecar: &Sidecar, decisions: &[String]) {
    let policy = sidecar.policy();
    for decision in decisions {
        let receipt = sidecar.receipt(decision).await;
        let report = verify::receipt(&receipt, Some(&policy));
        assert_eq!(report.verdict(), Verdict::Verified, "INV-4: {decision}: {report:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answered_decision_survives_fifty_kills() {
    let rounds = variable("KILL_ROUNDS", 50);
    let mut state = variable("KILL_SEED", u64::from(std::process::id()) << 16 | 1);
    println!("KILL_ROUNDS={rounds} KILL_SEED={state}");
    let folder = tempfile::tempdir().unwrap();
    let sidecar = Sidecar::init(folder.path(), serve_doubler().await);
    let answered: Answered = Arc::default();

    for _ in 0..rounds {
        let mut running = sidecar.start();
        let before = answered.lock().unwrap().clone();
        // Each has its connection before the kill: one that waits for a dead sidecar to be ready waits for ever.
        let mut clients = Vec::new();
        for client in 0..CLIENTS {
            let connection = sidecar.client().await;
            clients.push(tokio::spawn(call_until_killed(connection, client, Arc::clone(&answered))));
        }
        let sample: Vec<String> = before.keys().take(RECEIPTS_PER_ROUND).cloned().collect();
        assert_receipts_verify(&sidecar, &sample).await;
        tokio::time::sleep(Duration::from_millis(next(&mut state) % 400)).await;
        running.kill();
        for client in clients {
            client.await.unwrap();
        }
    }

    let mut running = sidecar.start();
    drop(sidecar.client().await);
    assert!(running.stop().success(), "the last stop is in order:\n{}", sidecar.log_lines());
    let answered = answered.lock().unwrap();
    println!("{} decisions were answered", answered.len());
    assert!(answered.len() as u64 > rounds, "hardly anything was answered: {}", answered.len());
    assert_all_in_log(&sidecar, &answered);

    let options = verify_log::Options { policy: Some(sidecar.policy()), ..Default::default() };
    let answer = verify_log::run_on_dir(&sidecar.store(), &options, &mut Silent).unwrap();
    println!("{:?}", answer.report);
    assert_eq!(answer.report.verdict(), Verdict::Verified, "INV-6: {:?}", answer.report);
    let stops = &answer.report.check(CheckName::LogStops).unwrap().detail;
    let killed = format!("{rounds} of {} sessions ended without one", rounds + 1);
    assert!(stops.contains(&killed), "INV-10: {stops}");
}
