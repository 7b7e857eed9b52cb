//! Clients that never stop calling, and what the log must say about it afterwards.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ledgerstone::entry::{Entry, Kind, KindDetails};
use ledgerstone::merkle::LeafIndex;
use ledgerstone::proto::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use ledgerstone::store::fs::FsReader;
use ledgerstone::verify::Verdict;
use ledgerstone_verifier::command::verify_log;
use ledgerstone_verifier::progress::Silent;
use tokio::task::JoinHandle;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};

use crate::support::{Sidecar, request};

/// What one client saw.
#[derive(Debug, Default)]
pub(crate) struct Saw {
    /// Leaf index and decision id of each answer.
    pub(crate) answers: Vec<(u64, String)>,
    /// Calls that failed, and how long after the first of all calls.
    pub(crate) failures: Vec<(Duration, Status)>,
    /// Calls that had not left the client when their connection ended, and were made again.
    pub(crate) unsent: usize,
    /// The longest call.
    pub(crate) slowest: Duration,
}

/// Clients that call until they are told to stop.
pub(crate) struct Load {
    over: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Saw>>,
}

impl Load {
    /// `kept` clients that keep their connection, and `fresh` ones that open one for each call.
    pub(crate) fn begin(endpoint: &Endpoint, kept: usize, fresh: usize) -> Self {
        let (over, begun) = (Arc::new(AtomicBool::new(false)), Instant::now());
        let client = |keeps: bool, name: String| {
            let (endpoint, over) = (endpoint.clone(), Arc::clone(&over));
            tokio::spawn(async move {
                let (mut saw, mut channel) = (Saw::default(), endpoint.connect_lazy());
                for n in 0.. {
                    if over.load(Ordering::Relaxed) {
                        break;
                    }
                    if !keeps {
                        channel = endpoint.connect_lazy();
                        tokio::time::sleep(Duration::from_millis(10)).await;
                    }
                    let called = Instant::now();
                    let mut answer = call(&channel, &format!("{name}-{n}")).await;
                    while answer.as_ref().is_err_and(was_not_sent) {
                        saw.unsent += 1;
                        answer = call(&channel, &format!("{name}-{n}")).await;
                    }
                    match answer {
                        Ok(answer) => saw.answers.push(answer),
                        Err(status) => {
                            saw.failures.push((begun.elapsed(), status));
                            tokio::time::sleep(Duration::from_millis(5)).await;
                        }
                    }
                    saw.slowest = saw.slowest.max(called.elapsed());
                }
                saw
            })
        };
        let clients = (0..kept + fresh).map(|n| client(n < kept, format!("client-{n}"))).collect();
        Self { over, clients }
    }

    /// Has them stop; what all of them saw.
    pub(crate) async fn end(self) -> Saw {
        self.over.store(true, Ordering::Relaxed);
        let mut all = Saw::default();
        for client in self.clients {
            let saw = client.await.unwrap();
            assert!(!saw.answers.is_empty(), "a client that got no answer at all proves nothing: {saw:?}");
            all.answers.extend(saw.answers);
            all.failures.extend(saw.failures);
            all.unsent += saw.unsent;
            all.slowest = all.slowest.max(saw.slowest);
        }
        all
    }
}

/// Whether nobody saw a call: its connection ended while it waited in the client, or the server's GOAWAY said that it comes too late
/// (RFC 9113, section 6.8). gRPC libraries make such a call again by themselves (gRPC A6, "transparent retries"); tonic tells its caller.
/// That nobody saw it, the log shows: no decision is in it that no caller was answered.
fn was_not_sent(status: &Status) -> bool {
    let source = std::error::Error::source(status).and_then(|error| error.source());
    let Some(hyper) = source.and_then(|error| error.downcast_ref::<hyper::Error>()) else { return false };
    // The type is not hyper's own. A connection that ends otherwise gives an error of input and output.
    let says_too_late = || format!("{hyper:?}").contains("GoAway(b\"\", NO_ERROR, Remote)");
    hyper.is_canceled() || says_too_late()
}

/// Has one decision made: where it stands, and its id.
pub(crate) async fn call(channel: &Channel, id: &str) -> Result<(u64, String), Status> {
    let answer = GrpcInferenceServiceClient::new(channel.clone()).model_infer(request(id, 1.5)).await?;
    let text = |name: &str| answer.metadata().get(name).unwrap().to_str().unwrap().to_owned();
    Ok((text("ledgerstone-leaf-index").parse().unwrap(), text("ledgerstone-decision-id")))
}

/// Every entry of a log that nobody runs.
pub(crate) fn entries(store: &Path) -> Vec<Entry> {
    let reader = FsReader::open(store);
    let size = reader.size().unwrap();
    let read = |index| Entry::decode(&reader.entry(LeafIndex::new(index), size).unwrap()).unwrap();
    (0..size.get()).map(read).collect()
}

/// Holds the log against what callers saw: each answer where it was told, and no decision that nobody was answered.
/// Returns how many sessions there were.
pub(crate) fn accounts_for(sidecar: &Sidecar, answers: &[(u64, String)]) -> usize {
    let log = entries(&sidecar.store());
    let told: BTreeMap<u64, &str> = answers.iter().map(|(index, id)| (*index, id.as_str())).collect();
    assert_eq!(told.len(), answers.len(), "two callers were told one leaf index");
    for (index, id) in &told {
        let entry = &log[*index as usize];
        assert_eq!(entry.decision.unwrap().to_string(), *id, "leaf {index} is another decision");
    }
    let recorded = log.iter().filter(|entry| entry.kind == Kind::Decision).count();
    assert_eq!(recorded, told.len(), "decisions in the log, and answers that callers got");
    chain(&log)
}

/// Checks that sessions follow one another, each with its start, its stop and its numbers without a hole; how many they are.
pub(crate) fn chain(log: &[Entry]) -> usize {
    let (mut previous, mut sessions, mut numbers) = (None, 0, HashSet::new());
    let mut open = false;
    for (index, entry) in log.iter().enumerate() {
        match entry.kind_details().unwrap() {
            KindDetails::Start(details) => {
                assert!(!open, "leaf {index}: a session starts before the one before it has stopped");
                assert_eq!(details.previous_session, previous, "leaf {index}: the session before");
                (previous, open) = (Some(entry.session), true);
                sessions += 1;
                numbers.clear();
            }
            _ => assert!(open && Some(entry.session) == previous, "leaf {index} is outside its session"),
        }
        assert!(numbers.insert(entry.sequence), "leaf {index}: number {} twice", entry.sequence);
        if entry.kind == Kind::Stop {
            open = false;
            // A gap's numbers have no entries; without gaps none is missing.
            if !log.iter().any(|other| other.kind == Kind::Gap) {
                assert_eq!(numbers.len() as u64, entry.sequence + 1, "leaf {index}: numbers of the session");
            }
        }
    }
    assert!(!open, "the last session has no stop");
    sessions
}

/// What the verifier says of the whole log.
pub(crate) fn verifies(sidecar: &Sidecar) {
    let options = verify_log::Options { policy: Some(sidecar.policy()), ..Default::default() };
    let answer = verify_log::run_on_dir(&sidecar.store(), &options, &mut Silent).unwrap();
    assert_eq!(answer.report.verdict(), Verdict::Verified, "{:?}", answer.report);
}
