//! A service that is stopped or killed, and what its next start does.

use ledgerstone::proto::ledgerstone_v1 as wire;
use ledgerstone::proto::ledgerstone_v1::AuditRunState as State;
use tonic::Code;

use crate::evidence::Evidence;
use crate::node::{Desk, Node, long, results, submit, until, until_it_runs};

/// Ends a node in the middle of a run, with another run waiting, and has the next one finish both.
async fn goes_on_after(end: fn(Node)) {
    let desk = Desk::new();
    let node = desk.serve(&[]);
    let mut client = node.client().await;
    let running = submit(&mut client, &long().0).await.unwrap().run_id;
    let waiting = submit(&mut client, &Evidence::of(300, 1).bundle()).await.unwrap().run_id;
    let began = until_it_runs(&mut client, &running).await.started_at_ms;
    let cancelled = submit(&mut client, &Evidence::of(300, 2).bundle()).await.unwrap().run_id;
    client.cancel_run(wire::CancelRunRequest { run_id: cancelled.clone() }).await.unwrap();
    end(node);
    assert!(!desk.path(&format!("node/runs/{running}/results.jsonl")).exists(), "it had not ended");
    std::fs::create_dir_all(desk.path("node/uploads/torn")).unwrap();

    let node = desk.serve(&[]);
    let mut client = node.client().await;
    let done = until(&mut client, &running, State::Done).await;
    assert_eq!(done.started_at_ms, began);
    assert!(results(&mut client, &running, 0).await.unwrap() == long().1);
    let next = until(&mut client, &waiting, State::Done).await;
    assert!(done.ended_at_ms <= next.started_at_ms, "in the order in which they were submitted");
    let request = wire::GetRunRequest { run_id: cancelled };
    let cancelled = client.get_run(request).await.unwrap().into_inner().run.unwrap();
    assert_eq!(cancelled.state(), State::Cancelled);
    assert_eq!(desk.uploads(), 0, "what never became whole is cleared away");
    node.stop();
}

#[tokio::test]
async fn after_a_stop_in_order_every_run_goes_on() {
    goes_on_after(Node::stop).await;
}

#[tokio::test]
async fn after_a_kill_every_run_goes_on() {
    goes_on_after(Node::kill).await;
}

#[tokio::test]
async fn whoever_watches_is_told_that_the_service_ends() {
    let desk = Desk::new();
    let node = desk.serve(&[]);
    let mut client = node.client().await;
    let run_id = submit(&mut client, &long().0).await.unwrap().run_id;
    until_it_runs(&mut client, &run_id).await;
    let mut states = client.watch_run(wire::WatchRunRequest { run_id }).await.unwrap().into_inner();
    states.message().await.unwrap().unwrap();
    node.signal("TERM");
    let status = loop {
        match states.message().await {
            Ok(state) => assert!(state.is_some(), "the stream ended as if the run had"),
            Err(status) => break status,
        }
    };
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    assert!(node.wait().success());
}

#[tokio::test]
async fn results_are_there_after_a_restart() {
    let desk = Desk::new();
    let node = desk.serve(&[]);
    let mut client = node.client().await;
    let run_id = submit(&mut client, &Evidence::of(300, 3).bundle()).await.unwrap().run_id;
    until(&mut client, &run_id, State::Done).await;
    let whole = results(&mut client, &run_id, 0).await.unwrap();
    node.stop();
    let node = desk.serve(&[]);
    assert!(results(&mut node.client().await, &run_id, 0).await.unwrap() == whole);
    node.stop();
}

#[tokio::test]
async fn under_another_policy_an_interrupted_run_does_not_go_on() {
    let desk = Desk::new();
    let node = desk.serve(&[]);
    let mut client = node.client().await;
    let run_id = submit(&mut client, &long().0).await.unwrap().run_id;
    until_it_runs(&mut client, &run_id).await;
    node.stop();
    let node = desk.serve_with(&[]);
    let mut client = node.client().await;
    let request = wire::GetRunRequest { run_id };
    let run = client.get_run(request).await.unwrap().into_inner().run.unwrap();
    assert_eq!(run.state(), State::Failed);
    assert!(run.failure.unwrap().message.contains("another policy"));
    node.stop();
}

#[test]
fn a_second_service_does_not_get_the_folder() {
    let desk = Desk::new();
    let node = desk.serve(&[]);
    let second = desk.run(&["audit", "serve", "--folder", "node", "--listen", "127.0.0.1:0"]);
    assert_eq!(second.status.code(), Some(64));
    assert!(crate::node::said(&second).contains("another service runs"), "{}", crate::node::said(&second));
    node.stop();
}
