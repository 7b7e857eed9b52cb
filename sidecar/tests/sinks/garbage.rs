//! Servers that are none: they say something else, nothing, too much, or close.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http::HeaderValue;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tonic::Code;

use crate::peers::{Step, grpc_head, grpc_status, scripted};
use crate::support::PATIENCE;
use crate::world::{World, folder};

/// A server that says `said` to whoever connects, and then waits or closes; its port.
async fn server(said: &'static [u8], closes: bool) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut bytes = vec![0; 1 << 16];
                // Kafka's and HTTP's servers are spoken to first.
                _ = stream.write_all(said).await;
                while !closes && stream.read(&mut bytes).await.is_ok_and(|read| read > 0) {}
            });
        }
    });
    port
}

const TABLES: [&str; 4] = [
    "kind = \"kafka\"\nbrokers = [\"tcp://127.0.0.1:PORT\"]\ntopic = \"audit\"\nconnect_timeout = \"500ms\"",
    "kind = \"nats\"\nservers = [\"nats://127.0.0.1:PORT\"]\nsubject = \"a\"\nstream = \"A\"\nconnect_timeout = \"500ms\"",
    "kind = \"otlp\"\nurl = \"http://127.0.0.1:PORT\"\ntimeout = \"500ms\"",
    "kind = \"otlp\"\nprotocol = \"http/protobuf\"\nurl = \"http://127.0.0.1:PORT\"\ntimeout = \"500ms\"",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_none_is_told_and_holds_up_no_decision() {
    let lies: [(&[u8], bool); 5] = [
        (b"", true),
        (b"", false),
        (b"HTTP/1.1 400 Bad \x1b[31mRequest\r\n\r\n", true),
        // A size of two gigabytes.
        (b"\x7f\xff\xff\xff\x00\x00\x00\x01", false),
        (b"INFO {\"headers\":true,\"max_payload\":1048576}\r\nMSG a 1 99999999999\r\n", false),
    ];
    for (said, closes) in lies {
        let port = server(said, closes).await.to_string();
        for table in TABLES {
            let mut world = World::start(folder(), &table.replace("PORT", &port)).await;
            world.decide(3).await;
            let error = world.error("").await;
            assert!(!error.is_empty() && !error.contains(char::is_control), "{table} {said:?}: {error:?}");
            assert_eq!(world.standing().await["next_leaf_index"], 0, "{table} {said:?}");
        }
    }
}

/// A server that takes connections and says nothing: its port, and how many it took.
async fn hole() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, taken) = (listener.local_addr().unwrap().port(), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&taken);
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::Relaxed);
            open.push(stream);
        }
    });
    (port, taken)
}

/// Waits until that many connections were taken.
async fn until(taken: &AtomicUsize, count: usize, what: &str) {
    let start = Instant::now();
    while taken.load(Ordering::Relaxed) < count {
        assert!(start.elapsed() < PATIENCE, "{what}: {taken:?} of {count} connections");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_answer_nothing_never_keep_the_last_one_from_being_asked() {
    // A delivery has time for one of them, and for a part of the second.
    let time = "timeout = \"500ms\"\nconnect_timeout = \"300ms\"";
    let tables = [
        ("kind = \"kafka\"\nbrokers = [SERVERS]\ntopic = \"audit\"", "tcp"),
        ("kind = \"nats\"\nservers = [SERVERS]\nsubject = \"a\"\nstream = \"A\"", "nats"),
    ];
    for (table, scheme) in tables {
        let holes = [hole().await, hole().await, hole().await, hole().await];
        let servers = holes.each_ref().map(|(port, _)| format!("\"{scheme}://127.0.0.1:{port}\"")).join(", ");
        let _world = World::start(folder(), &format!("{}\n{time}", table.replace("SERVERS", &servers))).await;
        until(&holes[3].1, 1, table).await;
        until(&holes[0].1, 2, table).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_on_which_nothing_is_answered_is_not_used_again() {
    for protocol in ["grpc", "http/protobuf"] {
        let (port, taken) = hole().await;
        let table = format!(
            "kind = \"otlp\"\nprotocol = \"{protocol}\"\nurl = \"http://127.0.0.1:{port}\"\ntimeout = \"300ms\""
        );
        let _world = World::start(folder(), &table).await;
        until(&taken, 3, protocol).await;
    }
}

/// A receiver of OTLP over gRPC whose first refusals have details that are no base64, in the headers and in the trailers.
#[tokio::test(flavor = "multi_thread")]
async fn details_of_a_status_that_are_no_base64_end_no_sink() {
    let refusal = || {
        let mut status = grpc_status(Code::Unavailable);
        status.insert("grpc-status-details-bin", HeaderValue::from_static("!"));
        status
    };
    let mut at_once = grpc_head();
    at_once.headers_mut().extend(refusal());
    for (head, steps) in [(at_once, Vec::new()), (grpc_head(), vec![Step::Trailers(refusal())])] {
        let (address, calls) = scripted(head, steps).await;
        let world = World::start(folder(), &format!("kind = \"otlp\"\nurl = \"http://{address}\"")).await;
        let error = world.error("Unavailable").await;
        assert!(!error.contains("report it"), "{error}");
        let start = Instant::now();
        while calls.all().len() < 3 {
            assert!(start.elapsed() < PATIENCE, "it tries again: {error}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(!world.stop().lines.contains("panicked"));
    }
}
