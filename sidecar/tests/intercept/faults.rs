//! What goes wrong: bad input, a model server that fails, a caller that leaves, a log that refuses.

use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;
use http_body_util::StreamBody;
use ledgerstone::entry::{GapReason, Kind};
use ledgerstone::hash::Hash;
use ledgerstone::proto::inference::ModelInferRequest;
use ledgerstone::proto::inference::model_infer_request::InferInputTensor;
use ledgerstone::record::Value;
use ledgerstone_sidecar::intercept::Limits;
use prost::Message as _;
use tonic::body::Body;
use tonic::{Code, Status};

use super::peers::{Client, INFER, Model, Step, framed, grpc_head, grpc_status, listener, scripted};
use super::setup::{Mood, ORIGIN, Sidecar};

fn request(model: &str) -> ModelInferRequest {
    let input = InferInputTensor {
        name: "x".to_owned(),
        datatype: "INT8".to_owned(),
        shape: vec![2],
        ..InferInputTensor::default()
    };
    ModelInferRequest {
        model_name: model.to_owned(),
        inputs: vec![input],
        raw_input_contents: vec![Bytes::from_static(&[1, 2])],
        ..ModelInferRequest::default()
    }
}

/// An answer that the model server would give.
fn answer() -> Vec<Step> {
    vec![Step::Data(framed(b"\x12\x017")), Step::Trailers(grpc_status(Code::Ok))]
}

fn small() -> Limits {
    Limits { message_bytes_max: 1000, ..Limits::default() }
}

#[tokio::test]
async fn refuses_contradictions_before_the_model_sees_them_and_records_the_refusal() {
    let (upstream, calls) = scripted(grpc_head(), answer()).await;
    let sidecar = Sidecar::start(upstream).await;
    let client = Client::new(sidecar.addr);
    let mut wrong = request("m");
    wrong.inputs[0].shape = vec![3];
    let mut negative = request("m");
    negative.inputs[0].shape = vec![-1];
    let mut twice = request("m");
    twice.inputs.push(twice.inputs[0].clone());
    twice.raw_input_contents.push(Bytes::from_static(&[1, 2]));
    for (request, text) in [(wrong, "ask for 3 bytes"), (negative, "is not a shape"), (twice, "there twice")]
    {
        let reply = client.infer(&request).await;
        assert_eq!(reply.code(), Code::InvalidArgument);
        assert!(reply.status().message().contains(text), "{}", reply.status().message());
        let decision = sidecar.decisions().pop().unwrap();
        assert_eq!(decision.status(), u32::from(Code::InvalidArgument as u16));
        assert!(decision.text("output/error").contains(text));
        assert_eq!(decision.text("input/observed"), "false");
        assert_eq!(decision.digest("input/raw_digest"), Hash::of(&request.encode_to_vec()));
        assert_eq!(reply.header("ledgerstone-leaf-index").unwrap(), decision.index.get().to_string());
        assert_eq!(reply.header("ledgerstone-origin").unwrap(), ORIGIN);
    }
    assert!(calls.all().is_empty());
    sidecar.stop().await;
}

#[tokio::test]
async fn lets_the_model_answer_what_is_not_protobuf_and_keeps_the_bytes() {
    let model = Model::start().await;
    let sidecar = Sidecar::start(model.addr).await;
    for body in [
        framed(b"\xff\xff\xff"),
        Bytes::from_static(b"\0\0"),
        Bytes::new(),
        [framed(b""), framed(b"")].concat().into(),
    ] {
        let wanted = Client::new(model.addr).call(INFER, &[], body.clone()).await;
        let got = Client::new(sidecar.addr).call(INFER, &[], body.clone()).await;
        assert_eq!(got.comparable(), wanted.comparable(), "{body:?}");
        let decision = sidecar.decisions().pop().unwrap();
        assert_eq!(decision.text("input/observed"), "false");
        assert!(!decision.text("input/error").is_empty());
        let message = if body == framed(b"\xff\xff\xff") { body.slice(5..) } else { body.clone() };
        assert_eq!(decision.content.request, (!message.is_empty()).then_some(message));
    }
    sidecar.stop().await;
}

#[tokio::test]
async fn refuses_a_request_past_the_limit_and_records_that() {
    let (upstream, calls) = scripted(grpc_head(), answer()).await;
    let sidecar = Sidecar::with(upstream, "", small(), |_| {}).await;
    let client = Client::new(sidecar.addr);
    let reply = client.call(INFER, &[], framed(&[0; 1001])).await;
    assert_eq!(reply.code(), Code::ResourceExhausted);
    assert!(reply.status().message().contains("1000 bytes"), "{}", reply.status().message());
    let decision = sidecar.decision();
    assert_eq!(decision.status(), u32::from(Code::ResourceExhausted as u16));
    assert_eq!(decision.text("input/observed"), "false");
    assert!(calls.all().is_empty());
    let mut full = request("m");
    full.id = "i".repeat(1000 - full.encoded_len() - 3);
    assert_eq!(full.encoded_len(), 1000);
    assert_eq!(client.infer(&full).await.code(), Code::Ok);
    sidecar.stop().await;
}

#[tokio::test]
async fn withholds_an_answer_past_the_limit_and_records_that() {
    let steps = vec![Step::Data(framed(&[0; 1001])), Step::Trailers(grpc_status(Code::Ok))];
    let (upstream, _) = scripted(grpc_head(), steps).await;
    let sidecar = Sidecar::with(upstream, "", small(), |_| {}).await;
    let reply = Client::new(sidecar.addr).infer(&request("m")).await;
    assert_eq!(reply.code(), Code::ResourceExhausted);
    assert!(reply.status().message().contains("limits.message_bytes_max"));
    assert_eq!(sidecar.decision().status(), u32::from(Code::ResourceExhausted as u16));
}

#[tokio::test]
async fn says_that_the_model_server_is_down_and_records_it() {
    let (closed, addr) = listener().await;
    drop(closed);
    let sidecar = Sidecar::start(addr).await;
    let client = Client::new(sidecar.addr);
    let reply = client.infer(&request("m")).await;
    assert_eq!(reply.code(), Code::Unavailable);
    assert!(reply.status().message().contains("refused"), "{}", reply.status().message());
    assert!(reply.status().message().ends_with("nothing was decided, try again"));
    let decision = sidecar.decision();
    assert_eq!(decision.status(), u32::from(Code::Unavailable as u16));
    assert!(decision.text("output/error").contains("cannot be reached"));
    assert_eq!(decision.value("delivery/upstream_status"), None, "the model server said nothing");
    assert_eq!(decision.text("input/observed"), "true");
    let live = client.call("/inference.GRPCInferenceService/ServerLive", &[], framed(b"")).await;
    assert_eq!(live.code(), Code::Unavailable);
}

#[tokio::test]
async fn gives_up_on_a_slow_model_server_and_records_it() {
    let model = Model::start().await;
    let sidecar = Sidecar::with(model.addr, "", Limits::default(), |options| {
        options.request_timeout = Duration::from_millis(50);
    })
    .await;
    let reply = Client::new(sidecar.addr).infer(&request("slow")).await;
    assert_eq!(reply.code(), Code::DeadlineExceeded);
    let message = reply.status().message().to_owned();
    assert!(message.contains("in time"), "{message}");
    assert!(message.contains("not known; try again, or raise upstream.request_timeout"), "{message}");
    assert_eq!(sidecar.decision().status(), u32::from(Code::DeadlineExceeded as u16));
}

#[tokio::test]
async fn says_that_the_model_server_closed_mid_answer_and_records_it() {
    let part = framed(b"\x12\x017").slice(..6);
    for steps in [
        vec![Step::Break],
        vec![Step::Hang],
        vec![Step::Data(part.clone()), Step::Break],
        vec![Step::Data(part.clone()), Step::Hang],
        vec![Step::Data(part), Step::Trailers(http::HeaderMap::new())],
    ] {
        let (upstream, _) = scripted(grpc_head(), steps.clone()).await;
        let sidecar = Sidecar::start(upstream).await;
        let client = Client::new(sidecar.addr);
        let reply = client.infer(&request("m")).await;
        assert_eq!(reply.code(), Code::Unavailable, "{steps:?}");
        assert!(reply.status().message().contains("answer"), "{}", reply.status().message());
        assert!(reply.status().message().contains("is not known; try again"), "{}", reply.status().message());
        assert!(reply.body.is_empty(), "nothing of the broken answer got out");
        let decision = sidecar.decision();
        assert_eq!(decision.status(), u32::from(Code::Unavailable as u16));
        assert_eq!(decision.value("output/raw_digest"), None);
    }
}

#[tokio::test]
async fn ends_a_relayed_call_with_a_status_where_the_model_server_closes() {
    for steps in [vec![Step::Data(framed(b"a")), Step::Break], vec![Step::Data(framed(b"a")), Step::Hang]] {
        let (upstream, _) = scripted(grpc_head(), steps).await;
        let sidecar = Sidecar::start(upstream).await;
        let path = "/inference.GRPCInferenceService/ModelMetadata";
        let reply = Client::new(sidecar.addr).call(path, &[], framed(b"")).await;
        assert!(framed(b"a").starts_with(&reply.body), "a reset may overtake what was sent before it");
        assert_eq!(reply.code(), Code::Unavailable);
        assert!(reply.status().message().contains("closed the call"), "{}", reply.status().message());
    }
}

#[tokio::test]
async fn passes_an_answer_that_cannot_be_read_and_says_so_in_the_record() {
    let steps = vec![Step::Data(framed(b"\xff\xff")), Step::Trailers(grpc_status(Code::Ok))];
    let (upstream, _) = scripted(grpc_head(), steps).await;
    let sidecar = Sidecar::start(upstream).await;
    let reply = Client::new(sidecar.addr).infer(&request("m")).await;
    assert_eq!(reply.body, framed(b"\xff\xff"));
    let decision = sidecar.decision();
    assert_eq!(decision.digest("output/raw_digest"), Hash::of(b"\xff\xff"));
    assert!(decision.text("output/error").contains("not a ModelInferResponse"));
}

#[tokio::test]
async fn records_a_decision_whose_caller_has_gone() {
    let model = Model::start().await;
    let sidecar = Sidecar::start(model.addr).await;
    let client = Client::new(sidecar.addr);
    let calling = tokio::spawn({
        let client = client.clone();
        async move { client.infer(&request("slow")).await }
    });
    model.begun.acquire().await.unwrap().forget();
    calling.abort();
    assert!(calling.await.unwrap_err().is_cancelled());
    // On one connection the reset comes before the next call, so once that is answered the sidecar knows.
    client.call("/inference.GRPCInferenceService/ServerLive", &[], framed(b"")).await;
    model.gate.add_permits(1);
    sidecar.stop().await;
    let decision = sidecar.decision();
    assert_eq!(decision.status(), 0, "the model had answered");
    assert_eq!(decision.value("delivery/caller_gone"), Some(Value::Bool(true)));
    assert!(decision.value("output/raw_digest").is_some());
}

#[tokio::test]
async fn records_a_request_that_never_arrived_whole() {
    let (upstream, calls) = scripted(grpc_head(), answer()).await;
    let sidecar = Sidecar::start(upstream).await;
    let (pieces, received) = tokio::sync::mpsc::channel::<Result<Frame<Bytes>, Status>>(1);
    let body = Body::new(StreamBody::new(tokio_stream::wrappers::ReceiverStream::new(received)));
    let client = Client::new(sidecar.addr);
    let calling = tokio::spawn(async move { client.send(INFER, &[], body).await });
    pieces.send(Ok(Frame::data(framed(b"abc").slice(..6)))).await.unwrap();
    while sidecar.session.in_flight() == 0 {
        tokio::task::yield_now().await;
    }
    pieces.send(Err(Status::cancelled("told to break"))).await.unwrap();
    assert!(calling.await.unwrap().is_err());
    sidecar.stop().await;
    let decision = sidecar.decision();
    assert_eq!(decision.status(), u32::from(Code::Cancelled as u16));
    assert!(decision.text("input/error").contains("before its request was complete"));
    assert!(calls.all().is_empty());
}

#[tokio::test]
async fn does_not_wait_for_ever_for_a_request() {
    let (upstream, _) = scripted(grpc_head(), answer()).await;
    let limits = Limits { request_body_timeout: Duration::from_millis(50), ..Limits::default() };
    let sidecar = Sidecar::with(upstream, "", limits, |_| {}).await;
    let body = Body::new(StreamBody::new(tokio_stream::pending::<Result<Frame<Bytes>, Status>>()));
    let reply = Client::new(sidecar.addr).send(INFER, &[], body).await.unwrap();
    assert_eq!(reply.code(), Code::DeadlineExceeded);
    assert_eq!(sidecar.decision().status(), u32::from(Code::DeadlineExceeded as u16));
}

#[tokio::test]
async fn never_answers_before_the_append_has_returned() {
    // INV-9. The log is held: the model has answered, the entry is with the log, and the caller has nothing.
    let (upstream, calls) = scripted(grpc_head(), answer()).await;
    let sidecar = Sidecar::start(upstream).await;
    sidecar.tap.arrived.forget_permits(100);
    sidecar.tap.close();
    let client = Client::new(sidecar.addr);
    let calling = tokio::spawn({
        let client = client.clone();
        async move { client.infer(&request("m")).await }
    });
    sidecar.tap.arrived.acquire().await.unwrap().forget();
    assert_eq!(calls.all().len(), 1, "the model server has answered");
    // Calls on the same connection come and go; the held one stays.
    for _ in 0..20 {
        let path = "/inference.GRPCInferenceService/ServerLive";
        assert_eq!(client.call(path, &[], framed(b"")).await.code(), Code::Ok);
        assert!(!calling.is_finished(), "INV-9");
    }
    assert_eq!(sidecar.tap.taken().len(), 1, "the start entry only");
    sidecar.tap.gate.add_permits(100);
    let reply = calling.await.unwrap();
    assert_eq!(reply.code(), Code::Ok);
    assert_eq!(reply.header("ledgerstone-leaf-index").unwrap(), sidecar.decision().index.get().to_string());
}

#[tokio::test]
async fn withholds_the_answer_when_the_log_refuses_and_leaves_a_gap() {
    let (upstream, calls) = scripted(grpc_head(), answer()).await;
    let sidecar = Sidecar::start(upstream).await;
    let client = Client::new(sidecar.addr);
    sidecar.tap.set(Mood::Refuses);
    let reply = client.infer(&request("m")).await;
    assert_eq!(reply.code(), Code::Unavailable);
    assert!(reply.status().message().contains("not released"), "{}", reply.status().message());
    assert!(reply.body.is_empty());
    assert_eq!(reply.header("ledgerstone-decision-id"), None, "there is no such decision in the log");
    assert_eq!(reply.header("ledgerstone-leaf-index"), None);
    assert_eq!(reply.header("ledgerstone-origin").unwrap(), ORIGIN);
    assert_eq!(calls.all().len(), 1);
    let refused = client.infer(&request("m")).await;
    assert_eq!(refused.code(), Code::Unavailable);
    assert_eq!(calls.all().len(), 1, "while nothing can be recorded, nothing reaches the model");
    sidecar.tap.set(Mood::Passes);
    sidecar.stop().await;
    assert!(sidecar.decisions().is_empty());
    let reasons: Vec<GapReason> = sidecar.tap.gaps().iter().map(|gap| gap.reason).collect();
    assert_eq!(reasons, [GapReason::NotRecorded, GapReason::Dropped]);
}

#[tokio::test]
async fn withholds_everything_once_the_log_has_halted() {
    let (upstream, calls) = scripted(grpc_head(), answer()).await;
    let sidecar = Sidecar::start(upstream).await;
    let client = Client::new(sidecar.addr);
    sidecar.tap.set(Mood::Halts);
    assert_eq!(client.infer(&request("m")).await.code(), Code::Unavailable);
    sidecar.tap.set(Mood::Passes);
    let reply = client.infer(&request("m")).await;
    assert_eq!(reply.code(), Code::Unavailable);
    assert!(reply.status().message().contains("restarted"), "{}", reply.status().message());
    assert_eq!(calls.all().len(), 1);
    assert_eq!(sidecar.tap.taken().len(), 1, "the start entry only: no stop, no gap");
}

#[tokio::test]
async fn turns_calls_away_past_the_limit_and_counts_them_in_a_gap() {
    let model = Model::start().await;
    let limits = Limits { in_flight_max: 2, ..Limits::default() };
    let sidecar = Sidecar::with(model.addr, "", limits, |_| {}).await;
    let client = Client::new(sidecar.addr);
    let slow: Vec<_> = (0..2)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.infer(&request("slow")).await })
        })
        .collect();
    model.begun.acquire_many(2).await.unwrap().forget();
    for _ in 0..3 {
        let reply = client.infer(&request("echo")).await;
        assert_eq!(reply.code(), Code::ResourceExhausted);
    }
    let live = client.call("/inference.GRPCInferenceService/ServerLive", &[], framed(b"")).await;
    assert_eq!(live.code(), Code::Ok, "health checks have a limit of their own");
    model.gate.add_permits(2);
    for call in slow {
        assert_eq!(call.await.unwrap().code(), Code::Ok);
    }
    assert_eq!(client.infer(&request("echo")).await.code(), Code::Ok);
    sidecar.stop().await;
    let gaps = sidecar.tap.gaps();
    assert_eq!(gaps.len(), 1);
    assert_eq!(gaps[0].reason, GapReason::Dropped);
    assert_eq!(gaps[0].last - gaps[0].first + 1, 3);
}

#[tokio::test]
async fn records_every_one_of_many_calls_at_once() {
    let model = Model::start().await;
    let sidecar = Sidecar::start(model.addr).await;
    let calls: Vec<_> = (0..8)
        .map(|_| {
            let client = Client::new(sidecar.addr);
            tokio::spawn(async move {
                let mut indices = Vec::new();
                for _ in 0..25 {
                    let reply = client.infer(&request("echo")).await;
                    assert_eq!(reply.code(), Code::Ok);
                    indices.push(reply.header("ledgerstone-leaf-index").unwrap().parse::<u64>().unwrap());
                }
                indices
            })
        })
        .collect();
    let mut answered = Vec::new();
    for call in calls {
        answered.extend(call.await.unwrap());
    }
    answered.sort_unstable();
    sidecar.stop().await;
    let taken = sidecar.tap.taken().into_iter().filter(|taken| taken.entry.kind == Kind::Decision);
    let mut recorded: Vec<u64> = taken.map(|taken| taken.index.get()).collect();
    recorded.sort_unstable();
    assert_eq!(answered, recorded);
    assert_eq!(answered.len(), 200);
}

#[tokio::test]
async fn finds_the_model_server_again_after_it_was_away() {
    let (socket, addr) = listener().await;
    drop(socket);
    let sidecar = Sidecar::start(addr).await;
    let client = Client::new(sidecar.addr);
    assert_eq!(client.infer(&request("m")).await.code(), Code::Unavailable);
    let (upstream, _) = scripted(grpc_head(), answer()).await;
    let forward = tokio::net::TcpListener::bind(addr).await.unwrap();
    tokio::spawn(async move {
        let (mut near, _) = forward.accept().await.unwrap();
        let mut far = tokio::net::TcpStream::connect(upstream).await.unwrap();
        let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
    });
    assert_eq!(client.infer(&request("m")).await.code(), Code::Ok);
}
