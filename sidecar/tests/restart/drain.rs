//! A signal to stop: who has come is answered, who comes is not let in, and what cannot finish is accounted for.

use std::time::{Duration, Instant};

use ledgerstone::entry::{Kind, KindDetails};
use tonic::Code;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::load::{Load, accounts_for, call, entries, verifies};
use crate::support::{SLOW, Sidecar, http_get, serve_doubler};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_that_got_through_a_door_is_answered_and_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let sidecar = Sidecar::init(folder.path(), serve_doubler().await);
    let mut running = sidecar.start();
    drop(sidecar.client().await);
    let endpoint = Endpoint::from_shared(format!("http://{}", sidecar.grpc)).unwrap();
    let load = Load::begin(&endpoint, 8, 4);
    tokio::time::sleep(Duration::from_millis(700)).await;
    let slow = endpoint.connect_lazy();
    let slow = tokio::spawn(async move { call(&slow, SLOW).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    let stopped = tokio::task::spawn_blocking(move || running.stop()).await.unwrap();
    assert!(stopped.success(), "{}", sidecar.log_lines());
    let mut saw = load.end().await;
    saw.answers.push(slow.await.unwrap().expect("it was in flight"));
    for (_, status) in &saw.failures {
        assert!(
            status.message().contains("tcp connect error") || status.message().contains("transport error"),
            "the only failure is that nobody listens any more: {status:?}"
        );
    }
    println!("{} answers, {} calls after the end", saw.answers.len(), saw.failures.len());
    assert_eq!(accounts_for(&sidecar, &saw.answers), 1);
    assert!(!entries(&sidecar.store()).iter().any(|entry| entry.kind == Kind::Gap), "nothing was given up");
    verifies(&sidecar);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_that_does_not_answer_in_time_leaves_a_refusal_and_a_gap() {
    let folder = tempfile::tempdir().unwrap();
    let sidecar = Sidecar::init(folder.path(), serve_doubler().await);
    let mut command = sidecar.command("run");
    command.args(["--set", "server.drain_deadline=50ms"]);
    let mut running = sidecar.start_as(command);
    drop(sidecar.client().await);
    let channel = Endpoint::from_shared(format!("http://{}", sidecar.grpc)).unwrap().connect_lazy();
    let slow = tokio::spawn(async move { call(&channel, SLOW).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    let stopped = tokio::task::spawn_blocking(move || running.stop()).await.unwrap();
    assert!(stopped.success(), "{}", sidecar.log_lines());
    let refused = slow.await.unwrap().unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
    assert!(refused.message().contains("the log has a gap in its place"), "{refused:?}");
    let log = entries(&sidecar.store());
    let gaps = log.iter().filter_map(|entry| match entry.kind_details().unwrap() {
        KindDetails::Gap(gap) => Some(gap),
        _ => None,
    });
    let gaps: Vec<_> = gaps.collect();
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert!(!log.iter().any(|entry| entry.kind == Kind::Decision));
    assert_eq!(log.last().unwrap().kind, Kind::Stop);
    verifies(&sidecar);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_not_ready_at_once_and_streams_that_never_end_hold_up_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let sidecar = Sidecar::init(folder.path(), serve_doubler().await);
    let mut running = sidecar.start();
    drop(sidecar.client().await);
    let endpoint = Endpoint::from_shared(format!("http://{}", sidecar.grpc)).unwrap();
    let mut watch = HealthClient::new(endpoint.connect_lazy())
        .watch(HealthCheckRequest { service: String::new() })
        .await
        .unwrap()
        .into_inner();
    while watch.message().await.unwrap().unwrap().status() != ServingStatus::Serving {}
    let slow = endpoint.connect_lazy();
    let slow = tokio::spawn(async move { call(&slow, SLOW).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    let (begun, admin) = (Instant::now(), sidecar.admin);
    let stopped = tokio::task::spawn_blocking(move || (running.stop(), begun.elapsed()));
    let asked = loop {
        match http_get(admin, "/ready").await {
            Some((200, _)) if begun.elapsed() < Duration::from_secs(2) => {}
            asked => break asked,
        }
    };
    let (status, body) = asked.expect("the admin port answers until the end");
    assert_eq!(
        (status, String::from_utf8_lossy(&body).as_ref()),
        (503, "not ready: the sidecar is stopping\n")
    );
    let heard = loop {
        match watch.message().await.unwrap().map(|answer| answer.status()) {
            Some(ServingStatus::Serving) => {}
            heard => break heard,
        }
    };
    assert_eq!(heard, Some(ServingStatus::NotServing));
    assert_eq!(watch.message().await.unwrap(), None, "whoever watches is let go");
    slow.await.unwrap().expect("it was in flight");
    let (status, took) = stopped.await.unwrap();
    assert!(status.success(), "{}", sidecar.log_lines());
    assert!(
        took < Duration::from_secs(5),
        "the deadline of 25 s is for requests and not for watchers: {took:?}"
    );
}
