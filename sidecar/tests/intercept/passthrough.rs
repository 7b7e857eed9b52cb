//! What passes: bytes, metadata, trailers, status, whatever the method.

use std::collections::BTreeSet;
use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderMap, HeaderValue, Response};
use http_body_util::StreamBody;
use ledgerstone::hash::Hash;
use ledgerstone::proto::inference::model_infer_request::InferInputTensor;
use ledgerstone::proto::inference::{InferTensorContents, ModelInferRequest};
use prost::Message as _;
use tonic::Code;
use tonic::body::Body;

use super::peers::{Client, INFER, Model, Reply, Step, framed, framed_as, grpc_head, grpc_status, scripted};
use super::setup::{ORIGIN, Sidecar};

fn input(name: &str, datatype: &str, shape: &[i64]) -> InferInputTensor {
    InferInputTensor {
        name: name.to_owned(),
        datatype: datatype.to_owned(),
        shape: shape.to_vec(),
        ..InferInputTensor::default()
    }
}

/// One request for each datatype in each encoding that the protocol has for it: `contents` and raw.
fn all_datatypes() -> Vec<ModelInferRequest> {
    let contents = |datatype: &str, contents: InferTensorContents| ModelInferRequest {
        model_name: "echo".to_owned(),
        inputs: vec![InferInputTensor { contents: Some(contents), ..input("x", datatype, &[1, 2]) }],
        ..ModelInferRequest::default()
    };
    let raw = |datatype: &str, raw: &[u8]| ModelInferRequest {
        model_name: "echo".to_owned(),
        inputs: vec![input("x", datatype, &[1, 2])],
        raw_input_contents: vec![Bytes::copy_from_slice(raw)],
        ..ModelInferRequest::default()
    };
    let empty = InferTensorContents::default;
    let ints = |a, b| InferTensorContents { int_contents: vec![a, b], ..empty() };
    let uints = |a, b| InferTensorContents { uint_contents: vec![a, b], ..empty() };
    vec![
        contents("BOOL", InferTensorContents { bool_contents: vec![true, false], ..empty() }),
        raw("BOOL", &[1, 0]),
        contents("INT8", ints(-1, 127)),
        raw("INT8", &[255, 127]),
        contents("INT16", ints(-1, 300)),
        raw("INT16", &[255, 255, 44, 1]),
        contents("INT32", ints(-1, 1 << 20)),
        raw("INT32", &[255, 255, 255, 255, 0, 0, 16, 0]),
        contents("INT64", InferTensorContents { int64_contents: vec![-1, 1], ..empty() }),
        raw("INT64", &[255, 255, 255, 255, 255, 255, 255, 255, 1, 0, 0, 0, 0, 0, 0, 0]),
        contents("UINT8", uints(0, 255)),
        raw("UINT8", &[0, 255]),
        contents("UINT16", uints(0, 300)),
        raw("UINT16", &[0, 0, 44, 1]),
        contents("UINT32", uints(0, u32::MAX)),
        raw("UINT32", &[0, 0, 0, 0, 255, 255, 255, 255]),
        contents("UINT64", InferTensorContents { uint64_contents: vec![0, 1], ..empty() }),
        raw("UINT64", &[0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]),
        raw("FP16", &[0, 0x3c, 0, 0xc0]),
        raw("FP16", &[0, 0x3c, 0, 0xc0]),
        contents("FP32", InferTensorContents { fp32_contents: vec![0.1, f32::NAN], ..empty() }),
        raw("FP32", &[0.1_f32.to_le_bytes(), f32::NAN.to_le_bytes()].concat()),
        contents("FP64", InferTensorContents { fp64_contents: vec![0.1, -0.0], ..empty() }),
        raw("FP64", &[0.1_f64.to_le_bytes(), (-0.0_f64).to_le_bytes()].concat()),
        contents(
            "BYTES",
            InferTensorContents {
                bytes_contents: vec![Bytes::from_static(b"a"), Bytes::from_static(&[0xff])],
                ..empty()
            },
        ),
        raw("BYTES", &[1, 0, 0, 0, b'a', 1, 0, 0, 0, 0xff]),
        raw("BF16", &[0x80, 0x3f, 0, 0]),
        raw("BF16", &[0x80, 0x3f, 0, 0]),
    ]
}

#[tokio::test]
async fn answers_every_datatype_as_the_model_does_and_records_it_alike_in_both_encodings() {
    let model = Model::start().await;
    let sidecar = Sidecar::start(model.addr).await;
    let (direct, through) = (Client::new(model.addr), Client::new(sidecar.addr));
    let requests = all_datatypes();
    for request in &requests {
        let [wanted, got] = [direct.infer(request).await, through.infer(request).await];
        assert_eq!(wanted.code(), Code::Ok);
        assert_eq!(got.comparable(), wanted.comparable(), "{request:?}");
    }
    let decisions = sidecar.decisions();
    assert_eq!(decisions.len(), requests.len());
    let mut digests = BTreeSet::new();
    for (pair, requests) in decisions.chunks(2).zip(requests.chunks(2)) {
        let [listed, raw] = [&pair[0], &pair[1]].map(|decision| decision.digest("input/tensor/x/digest"));
        assert_eq!(listed, raw, "{}", requests[0].inputs[0].datatype);
        assert_eq!(pair[0].digest("output/tensor/x/digest"), pair[1].digest("output/tensor/x/digest"));
        assert_eq!(pair[0].text("input/tensor/x/dtype"), requests[0].inputs[0].datatype);
        digests.insert(listed);
    }
    assert_eq!(digests.len(), 14, "every datatype has a digest of its own");
    sidecar.stop().await;
}

#[tokio::test]
async fn passes_every_other_method_byte_for_byte() {
    let mut head = grpc_head();
    head.headers_mut().insert("x-answer", HeaderValue::from_static("one"));
    let mut trailers = grpc_status(Code::Ok);
    trailers.insert("x-trailer-bin", HeaderValue::from_static("AAEC"));
    let answer = framed(b"\x0a\x03any\xff bytes");
    let steps = vec![
        Step::Data(answer.slice(..3)),
        Step::Data(answer.slice(3..)),
        Step::Data(framed(b"a second message")),
        Step::Trailers(trailers),
    ];
    let (upstream, calls) = scripted(head, steps).await;
    let sidecar = Sidecar::start(upstream).await;
    let (direct, through) = (Client::new(upstream), Client::new(sidecar.addr));
    for method in [
        "ServerLive",
        "ServerReady",
        "ModelReady",
        "ServerMetadata",
        "ModelMetadata",
        "ModelConfig",
        "RepositoryModelLoad",
        "AMethodOfTomorrow",
    ] {
        let path = format!("/inference.GRPCInferenceService/{method}");
        let request = Bytes::from(format!("not even a frame, for {method}"));
        let wanted = direct.call(&path, &[("x-one", "1")], request.clone()).await;
        let sent = calls.last();
        let got = through.call(&path, &[("x-one", "1")], request.clone()).await;
        let passed = calls.last();
        assert_eq!(got.comparable(), wanted.comparable(), "{method}");
        assert_eq!(passed.path, path);
        assert_eq!(passed.body, request);
        assert_eq!(passed.headers.get("x-one"), sent.headers.get("x-one"));
        assert_eq!(got.header("ledgerstone-decision-id"), None, "{method} is no decision");
    }
    assert!(sidecar.decisions().is_empty());
    sidecar.stop().await;
}

#[tokio::test]
async fn passes_a_request_that_streams_in_many_small_pieces() {
    let steps = vec![Step::Data(framed(b"")), Step::Trailers(grpc_status(Code::Ok))];
    let (upstream, calls) = scripted(grpc_head(), steps).await;
    let sidecar = Sidecar::start(upstream).await;
    let request = framed(&vec![7; 1000]);
    for path in [INFER, "/inference.GRPCInferenceService/ModelConfig"] {
        let pieces: Vec<_> = request.chunks(3).map(Bytes::copy_from_slice).collect();
        let pieces = pieces.into_iter().map(|piece| Ok::<_, tonic::Status>(http_body::Frame::data(piece)));
        let body = Body::new(StreamBody::new(tokio_stream::iter(pieces)));
        let reply = Client::new(sidecar.addr).send(path, &[], body).await.unwrap();
        assert_eq!(reply.code(), Code::Ok);
        assert_eq!(calls.last().body, request, "{path}");
    }
}

#[tokio::test]
async fn never_re_encodes_a_request_or_an_answer() {
    // The fields out of order, a number in five bytes where one would do, a field that no version knows: valid protobuf that
    // decoding and encoding again would change.
    let request = b"\x1a\x02id\x0a\x04echo\xfa\x07\x03abc\x2a\x0c\x12\x05UINT8\x0a\x01x\x1a\x00\x3a\x01\x05";
    let answer = b"\xfa\x07\x01z\x12\x017\x0a\x84\x80\x80\x80\x00echo";
    let steps = vec![Step::Data(framed(answer)), Step::Trailers(grpc_status(Code::Ok))];
    let (upstream, calls) = scripted(grpc_head(), steps).await;
    let sidecar = Sidecar::start(upstream).await;
    let decoded = ModelInferRequest::decode(request.as_slice()).unwrap();
    assert_ne!(decoded.encode_to_vec(), request);
    let reply = Client::new(sidecar.addr).call(INFER, &[], framed(request)).await;
    assert_eq!(calls.last().body, framed(request));
    assert_eq!(reply.body, framed(answer));
    let decision = sidecar.decision();
    assert_eq!(decision.digest("input/raw_digest"), Hash::of(request));
    assert_eq!(decision.digest("output/raw_digest"), Hash::of(answer));
    assert_eq!(decision.content.request.as_deref(), Some(request.as_slice()));
    assert_eq!(decision.content.response.as_deref(), Some(answer.as_slice()));
    assert_eq!(decision.text("model/version"), "7");
    assert_eq!(decision.text("decision/request_id"), "id");
}

#[tokio::test]
async fn passes_metadata_but_for_headers_of_one_connection_and_headers_in_our_name() {
    let mut head = grpc_head();
    head.headers_mut().insert("ledgerstone-decision-id", HeaderValue::from_static("forged"));
    head.headers_mut().append("x-many", HeaderValue::from_static("a"));
    head.headers_mut().append("x-many", HeaderValue::from_static("b"));
    let mut trailers = grpc_status(Code::Ok);
    trailers.insert("ledgerstone-leaf-index", HeaderValue::from_static("forged"));
    trailers.insert("x-trailer", HeaderValue::from_static("kept"));
    let steps = vec![Step::Data(framed(b"")), Step::Trailers(trailers)];
    let (upstream, calls) = scripted(head, steps).await;
    let sidecar = Sidecar::start(upstream).await;
    let sent = [
        ("x-many", "1"),
        ("x-many", "2"),
        ("trace-bin", "AAEC"),
        ("authorization", "Bearer t"),
        ("grpc-timeout", "5S"),
        ("ledgerstone-origin", "forged"),
    ];
    let reply = Client::new(sidecar.addr).call(INFER, &sent, framed(b"")).await;
    let headers = calls.last().headers;
    let values = |name: &str| headers.get_all(name).iter().cloned().collect::<Vec<_>>();
    assert_eq!(values("x-many"), ["1", "2"]);
    assert_eq!(values("trace-bin"), ["AAEC"]);
    assert_eq!(values("authorization"), ["Bearer t"]);
    assert_eq!(values("grpc-timeout"), ["5S"]);
    assert_eq!(values("te"), ["trailers"]);
    assert!(values("ledgerstone-origin").is_empty());
    let decision = sidecar.decision();
    assert_eq!(
        reply.header("ledgerstone-decision-id").unwrap(),
        decision.entry.decision.unwrap().to_string()
    );
    assert_eq!(reply.header("ledgerstone-leaf-index").unwrap(), decision.index.get().to_string());
    assert_eq!(reply.header("ledgerstone-origin").unwrap(), ORIGIN);
    assert_eq!(reply.head.headers.get_all("x-many").iter().count(), 2);
    assert_eq!(reply.trailers.get("x-trailer").unwrap(), "kept");
    assert!(!reply.trailers.contains_key("ledgerstone-leaf-index"));
}

#[tokio::test]
async fn passes_an_error_of_the_model_and_records_it() {
    let model = Model::start().await;
    let sidecar = Sidecar::start(model.addr).await;
    let request = ModelInferRequest { model_name: "absent".to_owned(), ..ModelInferRequest::default() };
    let wanted = Client::new(model.addr).infer(&request).await;
    let got = Client::new(sidecar.addr).infer(&request).await;
    assert_eq!(got.comparable(), wanted.comparable());
    assert_eq!(got.status().message(), "no model \"absent\": 100 % absent");
    let decision = sidecar.decision();
    assert_eq!(decision.status(), u32::from(Code::NotFound as u16));
    assert_eq!(decision.text("output/error"), "no model \"absent\": 100 % absent");
    assert_eq!(decision.text("model/name"), "absent");
    assert_eq!(got.header("ledgerstone-leaf-index").unwrap(), decision.index.get().to_string());
}

#[tokio::test]
async fn passes_an_answer_that_is_not_grpc_and_records_its_status() {
    let head = Response::builder().status(503).header("content-type", "text/html").body(()).unwrap();
    let (upstream, _) = scripted(head, vec![Step::Data(Bytes::from_static(b"<p>busy</p>"))]).await;
    let sidecar = Sidecar::start(upstream).await;
    let request = framed(b"");
    let wanted = Client::new(upstream).call(INFER, &[], request.clone()).await;
    let got = Client::new(sidecar.addr).call(INFER, &[], request).await;
    assert_eq!(got.comparable(), wanted.comparable());
    assert_eq!(sidecar.decision().status(), u32::from(Code::Unavailable as u16));
}

fn gzip(message: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(message).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn passes_compressed_messages_as_they_are_and_records_them_decompressed() {
    let request = all_datatypes().swap_remove(1);
    let message = request.encode_to_vec();
    let answer = b"\x0a\x04echo\x12\x019".as_slice();
    let carried_answer = gzip(answer);
    let mut head = grpc_head();
    head.headers_mut().insert("grpc-encoding", HeaderValue::from_static("gzip"));
    let steps = vec![Step::Data(framed_as(1, &carried_answer)), Step::Trailers(grpc_status(Code::Ok))];
    let (upstream, calls) = scripted(head, steps).await;
    let sidecar = Sidecar::start(upstream).await;
    let carried = gzip(&message);
    let headers = [("grpc-encoding", "gzip"), ("grpc-accept-encoding", "gzip")];
    let reply = Client::new(sidecar.addr).call(INFER, &headers, framed_as(1, &carried)).await;
    assert_eq!(calls.last().body, framed_as(1, &carried));
    assert_eq!(calls.last().headers.get("grpc-encoding").unwrap(), "gzip");
    assert_eq!(reply.body, framed_as(1, &carried_answer));
    assert_eq!(reply.header("grpc-encoding"), Some("gzip"));
    let decision = sidecar.decision();
    assert_eq!(decision.text("input/observed"), "true");
    assert_eq!(decision.text("input/compression"), "gzip");
    assert_eq!(decision.digest("input/raw_digest"), Hash::of(&message));
    assert_eq!(decision.digest("input/carried_digest"), Hash::of(&carried));
    assert_eq!(decision.digest("output/raw_digest"), Hash::of(answer));
    assert_eq!(decision.digest("output/carried_digest"), Hash::of(&carried_answer));
    assert_eq!(decision.text("model/version"), "9");
    assert_eq!(decision.content.request.as_deref(), Some(message.as_slice()));
}

#[tokio::test]
async fn passes_a_compression_it_does_not_know_and_says_that_nothing_was_observed() {
    let steps = vec![Step::Data(framed(b"")), Step::Trailers(grpc_status(Code::Ok))];
    let (upstream, calls) = scripted(grpc_head(), steps).await;
    let sidecar = Sidecar::start(upstream).await;
    let body = framed_as(1, b"zstd bytes");
    let reply = Client::new(sidecar.addr).call(INFER, &[("grpc-encoding", "zstd")], body.clone()).await;
    assert_eq!(reply.code(), Code::Ok);
    assert_eq!(calls.last().body, body);
    let decision = sidecar.decision();
    assert_eq!(decision.text("input/observed"), "false");
    assert!(decision.text("input/error").contains("zstd"));
    assert_eq!(decision.digest("input/raw_digest"), Hash::of(&body));
}

#[tokio::test]
async fn adds_no_header_that_the_model_server_did_not_send() {
    let steps = vec![Step::Data(framed(b"")), Step::Trailers(grpc_status(Code::Ok))];
    let (upstream, _) = scripted(grpc_head(), steps).await;
    let sidecar = Sidecar::start(upstream).await;
    let reply: Reply = Client::new(sidecar.addr).call(INFER, &[], framed(b"")).await;
    let mut names: Vec<&str> = reply.head.headers.keys().map(http::HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        ["content-type", "date", "ledgerstone-decision-id", "ledgerstone-leaf-index", "ledgerstone-origin"]
    );
    assert_eq!(reply.trailers, grpc_status(Code::Ok));
}

#[tokio::test]
async fn refuses_streams_of_decisions_and_records_the_refusal() {
    let (upstream, calls) = scripted(grpc_head(), vec![Step::Trailers(HeaderMap::new())]).await;
    let sidecar = Sidecar::start(upstream).await;
    let path = "/inference.GRPCInferenceService/ModelStreamInfer";
    let reply = Client::new(sidecar.addr).call(path, &[], framed(b"")).await;
    assert_eq!(reply.code(), Code::Unimplemented);
    assert!(reply.status().message().contains("call ModelInfer"), "{}", reply.status().message());
    assert!(calls.all().is_empty());
    let decision = sidecar.decision();
    assert_eq!(decision.status(), u32::from(Code::Unimplemented as u16));
    assert_eq!(reply.header("ledgerstone-leaf-index").unwrap(), decision.index.get().to_string());
}
