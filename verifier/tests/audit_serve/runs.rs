//! What becomes of runs: queued, recomputed, cancelled, deleted.

use ledgerstone::proto::ledgerstone_v1 as wire;
use ledgerstone::proto::ledgerstone_v1::AuditRunState as State;
use ledgerstone::proto::ledgerstone_v1::submit_run_request::Part;
use tonic::Code;

use crate::evidence::{DESCRIPTION, Evidence};
use crate::node::{Desk, code, file, long, results, send, start, submit, until, until_it_runs, watch};

#[tokio::test]
async fn runs_that_wait_are_recomputed_in_order_and_give_the_bytes_of_a_local_run() {
    let desk = Desk::new();
    let bundles = [Evidence::of(700, 1), Evidence::of(300, 2)].map(|evidence| evidence.bundle());
    let node = desk.serve(&[]);
    let mut client = node.client().await;
    let mut runs = vec![submit(&mut client, &long().0).await.unwrap()];
    for bundle in &bundles {
        runs.push(submit(&mut client, bundle).await.unwrap());
    }
    assert_eq!(runs[1..].iter().map(|run| run.queue_position).collect::<Vec<_>>(), [1, 2]);
    let mut ended = Vec::new();
    for run in &runs {
        ended.push(until(&mut client, &run.run_id, State::Done).await);
    }
    assert!(ended.windows(2).all(|pair| pair[0].ended_at_ms <= pair[1].started_at_ms), "one at a time");
    assert!(results(&mut client, &runs[0].run_id, 0).await.unwrap() == long().1);
    for ((run, ended), bundle) in runs[1..].iter().zip(&ended[1..]).zip(&bundles) {
        desk.write("one.bundle", bundle);
        let local = desk.local("one.bundle");
        assert!(results(&mut client, &run.run_id, 0).await.unwrap() == local);
        assert!(results(&mut client, &run.run_id, 1000).await.unwrap() == local[1000..]);
        let found = ended.results.as_ref().unwrap();
        assert_eq!((found.sha256.as_str(), found.size_bytes), (&*file(&local).sha256, local.len() as u64));
        assert_eq!((found.exceptions, found.verdicts["EXACT"]), (0, found.decisions));
        assert!(found.checkpoint_verified);
    }
    let beyond = results(&mut client, &runs[1].run_id, 1 << 40).await.unwrap_err();
    assert_eq!(beyond.code(), Code::OutOfRange);
    node.stop();
}

#[tokio::test]
async fn a_running_run_is_cancelled_the_next_one_runs_and_a_new_submission_goes_on() {
    let desk = Desk::new();
    let node = desk.serve(&[]);
    let mut client = node.client().await;
    let long_run = submit(&mut client, &long().0).await.unwrap().run_id;
    let short_run = submit(&mut client, &Evidence::of(300, 3).bundle()).await.unwrap().run_id;
    let progress = until_it_runs(&mut client, &long_run).await.progress.unwrap();
    assert!(progress.entries_done < progress.entries_total, "{progress:?}");

    client.cancel_run(wire::CancelRunRequest { run_id: long_run.clone() }).await.unwrap();
    let cancelled = until(&mut client, &long_run, State::Cancelled).await;
    assert!(cancelled.results.is_none() && !cancelled.cancelling);
    let nothing = results(&mut client, &long_run, 0).await.unwrap_err();
    assert_eq!((nothing.code(), code(&nothing)), (Code::FailedPrecondition, "misuse"));
    until(&mut client, &short_run, State::Done).await;
    let again = client.cancel_run(wire::CancelRunRequest { run_id: short_run }).await.unwrap_err();
    assert!(again.message().contains("it is done"), "{}", again.message());

    let kept = std::fs::metadata(desk.path(&format!("node/runs/{long_run}/results.jsonl.partial"))).unwrap();
    assert!(kept.len() > 0, "what was recomputed is kept");
    let known = send(&mut client, vec![start(&long().0)]).await.unwrap();
    assert!(known.was_known, "nothing has to be uploaded again");
    until(&mut client, &long_run, State::Done).await;
    assert!(results(&mut client, &long_run, 0).await.unwrap() == long().1);
    node.stop();
}

#[tokio::test]
async fn a_waiting_run_is_cancelled_at_once() {
    let desk = Desk::new();
    let node = desk.serve(&[]);
    let mut client = node.client().await;
    submit(&mut client, &long().0).await.unwrap();
    let waiting = submit(&mut client, &Evidence::of(300, 4).bundle()).await.unwrap().run_id;
    let request = wire::CancelRunRequest { run_id: waiting.clone() };
    let cancelled = client.cancel_run(request).await.unwrap().into_inner().run.unwrap();
    assert_eq!(cancelled.state(), State::Cancelled);
    let run =
        client.get_run(wire::GetRunRequest { run_id: waiting }).await.unwrap().into_inner().run.unwrap();
    assert_eq!(run.state(), State::Cancelled);
}

#[tokio::test]
async fn a_submission_made_twice_is_one_run() {
    let desk = Desk::new();
    let node = desk.serve(&[]);
    let mut client = node.client().await;
    let bundle = Evidence::of(300, 5).bundle();
    let first = submit(&mut client, &bundle).await.unwrap().run_id;
    until(&mut client, &first, State::Done).await;
    let second = send(&mut client, vec![start(&bundle)]).await.unwrap();
    assert!(second.was_known);
    let second = second.run.unwrap();
    assert_eq!((second.run_id.as_str(), second.state()), (first.as_str(), State::Done));
    // Whoever sends everything all the same gets the same answer.
    let third = submit(&mut client, &bundle).await.unwrap();
    assert_eq!(third.run_id, first);
    node.stop();
}

#[tokio::test]
async fn a_deleted_run_is_gone_and_one_that_has_not_ended_stays() {
    let desk = Desk::new();
    let node = desk.serve(&[]);
    let mut client = node.client().await;
    let run_id = submit(&mut client, &long().0).await.unwrap().run_id;
    let delete = |run_id: &str| wire::DeleteRunRequest { run_id: run_id.to_owned() };
    let refused = client.delete_run(delete(&run_id)).await.unwrap_err();
    assert_eq!((refused.code(), code(&refused)), (Code::FailedPrecondition, "misuse"));
    until(&mut client, &run_id, State::Done).await;
    client.delete_run(delete(&run_id)).await.unwrap();
    assert!(!desk.path(&format!("node/runs/{run_id}")).exists());
    assert_eq!(desk.uploads(), 0);
    let request = wire::GetRunRequest { run_id: run_id.clone() };
    assert_eq!(client.get_run(request).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(client.delete_run(delete(&run_id)).await.unwrap_err().code(), Code::NotFound);
    node.stop();
}

#[tokio::test]
async fn lists_go_on_page_by_page() {
    let desk = Desk::new();
    let node = desk.serve(&[]);
    let mut client = node.client().await;
    let mut submitted = Vec::new();
    for number in 0..5 {
        submitted.push(submit(&mut client, &Evidence::of(2, number).bundle()).await.unwrap().run_id);
    }
    let (mut listed, mut page_token) = (Vec::new(), String::new());
    for pages in [2, 2, 1] {
        let request = wire::ListRunsRequest { page_size: 2, page_token };
        let page = client.list_runs(request).await.unwrap().into_inner();
        assert_eq!(page.runs.len(), pages);
        listed.extend(page.runs.into_iter().map(|run| run.run_id));
        page_token = page.next_page_token;
    }
    assert_eq!((listed, page_token.as_str()), (submitted, ""));
    let request = wire::ListRunsRequest { page_size: 0, page_token: "x".to_owned() };
    assert_eq!(client.list_runs(request).await.unwrap_err().code(), Code::InvalidArgument);
    node.stop();
}

#[tokio::test]
async fn a_description_comes_along_and_makes_another_run() {
    let desk = Desk::new();
    let node = desk.serve(&[]);
    let mut client = node.client().await;
    let bundle = Evidence { is_described: false, ..Evidence::of(300, 6) }.bundle();
    let bare = submit(&mut client, &bundle).await.unwrap().run_id;
    let description = DESCRIPTION.as_bytes().to_vec();
    let announced = wire::SubmitRunStart {
        bundle: Some(file(&bundle)),
        description: Some(file(&description)),
        ..wire::SubmitRunStart::default()
    };
    let parts =
        vec![Part::Start(announced), Part::Chunk(description.into()), Part::Chunk(bundle.clone().into())];
    let described = send(&mut client, parts).await.unwrap().run.unwrap().run_id;
    assert_ne!(bare, described);
    let verdicts = |run: wire::AuditRun| run.results.unwrap().verdicts;
    assert_eq!(verdicts(until(&mut client, &bare, State::Done).await)["UNVERIFIABLE"], 300);
    assert_eq!(verdicts(until(&mut client, &described, State::Done).await)["EXACT"], 300);
    node.stop();
}

#[tokio::test]
async fn a_bundle_that_is_none_fails_with_the_reason_and_without_a_path() {
    let desk = Desk::new();
    let node = desk.serve(&[]);
    let mut client = node.client().await;
    let run_id = submit(&mut client, b"not a bundle").await.unwrap().run_id;
    let failed = watch(&mut client, &run_id, |run| run.state() == State::Failed).await;
    let failure = failed.failure.unwrap();
    assert_eq!(failure.code, "malformed");
    assert!(failure.message.contains("does not read as a bundle"), "{}", failure.message);
    assert!(!failure.message.contains("node/runs"), "{}", failure.message);
    node.stop();
}

#[tokio::test]
async fn the_checkpoint_must_be_signed_as_the_services_policy_asks() {
    let desk = Desk::new();
    let node = desk.serve_with(&["--policy", "other.policy"]);
    let mut client = node.client().await;
    let run_id = submit(&mut client, &Evidence::of(2, 7).bundle()).await.unwrap().run_id;
    let failed = until(&mut client, &run_id, State::Failed).await;
    assert_eq!(failed.failure.unwrap().code, "untrusted");
    node.stop();
}
