//! Callers that send what they should not, and more than they may.

use ledgerstone::proto::ledgerstone_v1 as wire;
use ledgerstone::proto::ledgerstone_v1::AuditRunState as State;
use ledgerstone::proto::ledgerstone_v1::submit_run_request::Part;
use tonic::{Code, Status};

use crate::evidence::Evidence;
use crate::node::{Desk, code, file, long, send, start, submit, until, until_cleared, until_it_runs};

fn chunk(bytes: &[u8]) -> Part {
    Part::Chunk(bytes.to_vec().into())
}

fn refused(answer: Result<wire::SubmitRunResponse, Status>) -> Status {
    answer.expect_err("a refusal")
}

#[tokio::test]
async fn submissions_in_a_wrong_order_are_refused_and_leave_nothing() {
    let desk = Desk::new();
    // One place: a refused submission that kept it would turn the next one away.
    let node = desk.serve(&["--queue", "1"]);
    let mut client = node.client().await;
    let bundle = Evidence::of(300, 1).bundle();
    let half = &bundle[..bundle.len() / 2];
    let large = vec![7; (1 << 20) + 1];
    let cases: Vec<(Vec<Part>, &str)> = vec![
        (vec![], "first message is no start"),
        (vec![chunk(&bundle)], "first message is no start"),
        (vec![start(&bundle), start(&bundle)], "starts twice"),
        (vec![start(&bundle), chunk(half), start(&bundle)], "starts twice"),
        (vec![start(&bundle)], "before everything had arrived"),
        (vec![start(&bundle), chunk(half)], "before everything had arrived"),
        (vec![start(&bundle), chunk(b"")], "at least one byte"),
        (vec![start(&bundle), chunk(&bundle), chunk(b"x")], "more arrives"),
        (vec![start(&bundle), chunk(&[&bundle[..], b"x"].concat())], "past the end"),
        (vec![start(&large), chunk(&large)], "at most 1 MiB"),
        (vec![Part::Start(wire::SubmitRunStart::default())], "names no bundle"),
    ];
    for (parts, said) in cases {
        let status = refused(send(&mut client, parts).await);
        assert!(status.message().contains(said), "{said}: {}", status.message());
        assert_eq!((status.code(), code(&status)), (Code::InvalidArgument, "misuse"), "{said}");
    }
    let empty = tokio_stream::iter([wire::SubmitRunRequest { part: None }]);
    assert_eq!(client.submit_run(empty).await.unwrap_err().code(), Code::InvalidArgument);
    until_cleared(&desk).await;
    let run_id = submit(&mut client, &bundle).await.unwrap().run_id;
    until(&mut client, &run_id, State::Done).await;
    node.stop();
}

#[tokio::test]
async fn bytes_other_than_announced_are_refused() {
    let desk = Desk::new();
    let node = desk.serve(&[]);
    let mut client = node.client().await;
    let bundle = Evidence::of(300, 1).bundle();
    let mut changed = bundle.clone();
    changed[100] ^= 1;
    let status = refused(send(&mut client, vec![start(&bundle), chunk(&changed)]).await);
    assert_eq!((status.code(), code(&status)), (Code::InvalidArgument, "malformed"));
    assert!(status.message().contains(&file(&changed).sha256), "{}", status.message());
    until_cleared(&desk).await;
    let list = client.list_runs(wire::ListRunsRequest::default()).await.unwrap().into_inner();
    assert!(list.runs.is_empty());
    node.stop();
}

#[tokio::test]
async fn a_full_queue_and_an_upload_that_holds_the_last_place_turn_others_away() {
    let desk = Desk::new();
    let node = desk.serve(&["--queue", "1"]);
    let mut client = node.client().await;
    let running = submit(&mut client, &long().0).await.unwrap().run_id;
    until_it_runs(&mut client, &running).await;
    let bundles = [2, 3].map(|number| Evidence::of(300, number).bundle());

    // An upload that does not go on.
    let (sender, messages) = tokio::sync::mpsc::channel(1);
    let message = |part| wire::SubmitRunRequest { part: Some(part) };
    let mut other = node.client().await;
    let stream = tokio_stream::wrappers::ReceiverStream::new(messages);
    let slow = tokio::spawn(async move { other.submit_run(stream).await });
    sender.send(message(start(&bundles[0]))).await.unwrap();
    while desk.uploads() == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let full = submit(&mut client, &bundles[1]).await.unwrap_err();
    assert_eq!((full.code(), code(&full)), (Code::ResourceExhausted, "limit"));
    assert!(full.message().contains("1 runs wait or are being uploaded"), "{}", full.message());

    sender.send(message(chunk(&bundles[0]))).await.unwrap();
    drop(sender);
    let waiting = slow.await.unwrap().unwrap().into_inner().run.unwrap().run_id;
    assert!(submit(&mut client, &bundles[1]).await.is_err(), "now it waits there");
    client.cancel_run(wire::CancelRunRequest { run_id: waiting }).await.unwrap();
    submit(&mut client, &bundles[1]).await.unwrap();
}

#[tokio::test]
async fn a_caller_that_hangs_up_gives_its_place_and_room_back() {
    let desk = Desk::new();
    let bundle = Evidence::of(300, 4).bundle();
    let room = format!("{}B", bundle.len() + 100_000);
    let node = desk.serve(&["--queue", "1", "--disk-max", &room]);
    {
        let mut client = node.client().await;
        let (sender, messages) = tokio::sync::mpsc::channel(1);
        let stream = tokio_stream::wrappers::ReceiverStream::new(messages);
        let call = tokio::spawn(async move { client.submit_run(stream).await });
        sender.send(wire::SubmitRunRequest { part: Some(start(&bundle)) }).await.unwrap();
        while desk.uploads() == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        call.abort();
    }
    until_cleared(&desk).await;
    let mut client = node.client().await;
    let run_id = submit(&mut client, &bundle).await.unwrap().run_id;
    until(&mut client, &run_id, State::Done).await;
    node.stop();
}

#[tokio::test]
async fn what_is_too_large_is_refused_before_it_arrives() {
    let desk = Desk::new();
    let bundle = Evidence::of(300, 5).bundle();
    let node = desk.serve(&["--upload-max", "1KiB"]);
    let mut client = node.client().await;
    let status = submit(&mut client, &bundle).await.unwrap_err();
    assert_eq!((status.code(), code(&status)), (Code::ResourceExhausted, "limit"));
    assert!(status.message().contains("this service takes 1024"), "{}", status.message());
    node.stop();

    let node = desk.serve(&["--disk-max", "1KiB"]);
    let mut client = node.client().await;
    let status = submit(&mut client, &bundle).await.unwrap_err();
    assert_eq!((status.code(), code(&status)), (Code::ResourceExhausted, "limit"));
    assert!(status.message().contains("do not fit"), "{}", status.message());
    assert_eq!(desk.uploads(), 0);
    node.stop();
}

#[tokio::test]
async fn a_name_that_is_none_leads_nowhere() {
    let desk = Desk::new();
    let node = desk.serve(&[]);
    let mut client = node.client().await;
    for run_id in ["", "../../lending.policy", "..", "x", &"A".repeat(32)] {
        let request = wire::GetRunRequest { run_id: run_id.to_owned() };
        assert_eq!(client.get_run(request).await.unwrap_err().code(), Code::InvalidArgument, "{run_id}");
        let request = wire::DeleteRunRequest { run_id: run_id.to_owned() };
        assert_eq!(client.delete_run(request).await.unwrap_err().code(), Code::InvalidArgument, "{run_id}");
    }
    let run_id = "0".repeat(32);
    let request = wire::WatchRunRequest { run_id: run_id.clone() };
    assert_eq!(client.watch_run(request).await.unwrap_err().code(), Code::NotFound);
    let request = wire::FetchResultsRequest { run_id, offset: 0 };
    assert_eq!(client.fetch_results(request).await.unwrap_err().code(), Code::NotFound);
    assert!(desk.path("lending.policy").exists());
    node.stop();
}

#[tokio::test]
async fn the_inbox_gives_what_lies_in_it_and_nothing_else() {
    let desk = Desk::new();
    let bundle = Evidence::of(300, 6).bundle();
    std::fs::create_dir(desk.path("inbox")).unwrap();
    desk.write("inbox/july.bundle", &bundle);
    let inbox = |name: &str, bundle: wire::AuditFile| {
        Part::Start(wire::SubmitRunStart {
            bundle: Some(bundle),
            inbox_file: name.to_owned(),
            ..wire::SubmitRunStart::default()
        })
    };
    let announced = wire::AuditFile { size_bytes: 0, ..file(&bundle) };
    let node = desk.serve(&[]);
    let mut client = node.client().await;
    let status = refused(send(&mut client, vec![inbox("july.bundle", announced.clone())]).await);
    assert!(status.message().contains("has no inbox"), "{}", status.message());
    node.stop();

    // A file in the inbox takes nothing of what uploads may have.
    let node = desk.serve(&["--inbox", "inbox", "--upload-max", "1KiB"]);
    let mut client = node.client().await;
    for name in ["../lending.policy", "/etc/hostname", "none", "."] {
        let status = refused(send(&mut client, vec![inbox(name, announced.clone())]).await);
        assert_eq!(status.code(), Code::FailedPrecondition, "{name}: {}", status.message());
    }
    let longer = wire::AuditFile { size_bytes: 1, ..announced.clone() };
    let status = refused(send(&mut client, vec![inbox("july.bundle", longer)]).await);
    assert_eq!(code(&status), "malformed");
    let other = wire::AuditFile { size_bytes: 0, ..file(b"other") };
    let status = refused(send(&mut client, vec![inbox("july.bundle", other)]).await);
    assert!(status.message().contains("was announced"), "{}", status.message());

    let run = send(&mut client, vec![inbox("july.bundle", announced)]).await.unwrap().run.unwrap();
    let done = until(&mut client, &run.run_id, State::Done).await;
    assert_eq!((done.inbox_file.as_str(), done.results.unwrap().exceptions), ("july.bundle", 0));
    assert!(!desk.path(&format!("node/runs/{}/bundle", run.run_id)).exists(), "it is not copied");
    node.stop();
}
