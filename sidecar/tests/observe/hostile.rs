//! Collectors that are away, silent, talk nonsense or reject a part: decisions go on, and what is lost is counted.

use std::net::SocketAddr;
use std::time::Instant;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::support::{Running, Sidecar, free_port, request, serve_doubler};
use crate::world::{append, measured, until};

/// What a Collector that is none does with whoever comes.
#[derive(Clone)]
enum Mood {
    /// Takes the connection and says nothing.
    Silent,
    /// Says this after the head of a request came, and closes.
    Says(Vec<u8>),
}

/// An answer of HTTP/1.1.
fn http(status: &str, body: &[u8]) -> Mood {
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/x-protobuf\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    Mood::Says([head.as_bytes(), body].concat())
}

async fn collector(mood: Mood) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            match &mood {
                Mood::Silent => held.push(stream),
                Mood::Says(answer) => {
                    let answer = answer.clone();
                    tokio::spawn(async move {
                        let mut some = vec![0; 64 * 1024];
                        // A body that is not read to its end is cut off; the answer was sent.
                        _ = stream.read(&mut some).await;
                        _ = stream.write_all(&answer).await;
                        _ = stream.shutdown().await;
                        while stream.read(&mut some).await.is_ok_and(|read| read > 0) {}
                    });
                }
            }
        }
    });
    address
}

/// A sidecar that exports to `collector`, has decided a hundred times, and how long that took at most.
async fn decided(folder: &std::path::Path, collector: SocketAddr, protocol: &str) -> (Sidecar, Running) {
    let sidecar = Sidecar::init(folder, serve_doubler().await);
    append(
        &sidecar,
        &format!(
            "[telemetry]\nendpoint = \"http://{collector}\"\nprotocol = \"{protocol}\"\nsampling_ratio = \"1\"\ntimeout = \"300ms\"\nmetrics_interval = \"100ms\""
        ),
    );
    let running = sidecar.start();
    let mut client = sidecar.client().await;
    let begun = Instant::now();
    for number in 0..100 {
        client.model_infer(request(&number.to_string(), 1.0)).await.unwrap();
    }
    // One that waited for a Collector would have waited 300 ms.
    assert!(begun.elapsed().as_millis() < 100 * 300 / 2, "{:?}", begun.elapsed());
    (sidecar, running)
}

fn dropped(signal: &str, reason: &str) -> String {
    format!("ledgerstone_telemetry_dropped_total{{reason=\"{reason}\",signal=\"{signal}\"}}")
}

/// `reason` counts for `signal` in time, and the sidecar ends in order.
async fn counts(collector: SocketAddr, protocol: &str, signal: &str, reason: &str) -> Sidecar {
    let folder = tempfile::tempdir().unwrap();
    let (sidecar, mut running) = decided(folder.path(), collector, protocol).await;
    let series = dropped(signal, reason);
    until(&series, || async { measured(&sidecar, &series).await.is_some_and(|count| count > 0.0) }).await;
    assert_eq!(
        measured(&sidecar, "ledgerstone_decisions_total{code=\"OK\",route=\"doubler\"}").await,
        Some(100.0)
    );
    let begun = Instant::now();
    assert!(running.stop().success(), "{}", sidecar.log_lines());
    assert!(begun.elapsed().as_secs() < 10, "{:?}", begun.elapsed());
    let told = sidecar.log_lines().matches("the Collector does not take exports").count();
    assert!(told <= 3, "each signal says it once: {}", sidecar.log_lines());
    drop(folder);
    sidecar
}

#[tokio::test(flavor = "multi_thread")]
async fn decisions_go_on_while_the_collector_is_away() {
    let nobody = SocketAddr::from(([127, 0, 0, 1], free_port()));
    for protocol in ["grpc", "http/protobuf"] {
        counts(nobody, protocol, "metrics", "failed").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn decisions_go_on_while_the_collector_says_nothing() {
    for protocol in ["grpc", "http/protobuf"] {
        counts(collector(Mood::Silent).await, protocol, "metrics", "failed").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn decisions_go_on_while_the_collector_answers_nonsense() {
    let nonsense = http("200 OK", b"<html>this is no Collector</html>");
    counts(collector(nonsense.clone()).await, "http/protobuf", "traces", "failed").await;
    counts(collector(nonsense).await, "grpc", "metrics", "failed").await;
    counts(collector(http("401 Unauthorized", b"")).await, "http/protobuf", "traces", "failed").await;
    counts(collector(Mood::Says(vec![0; 100])).await, "http/protobuf", "metrics", "failed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_collector_rejects_of_a_batch_is_counted() {
    // partial_success { rejected: 2, error_message: "no" } of each of the three answers.
    let partly = http("200 OK", &[0x0a, 6, 0x08, 2, 0x12, 2, b'n', b'o']);
    counts(collector(partly).await, "http/protobuf", "traces", "rejected").await;
}
