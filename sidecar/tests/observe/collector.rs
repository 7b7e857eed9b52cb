//! A real Collector gets what the binary sends, and the spans hang together from the caller to the model server.

use http::HeaderMap;
use http_body_util::Full;
use ledgerstone::proto::inference as oip;
use prost::Message as _;
use serde_json::Value;
use tonic::body::Body;
use tonic::{Code, Request};

use crate::peers::{Calls, Client, INFER, Step, framed, grpc_head, grpc_status, scripted};
use crate::support::{Sidecar, request};
use crate::world::{Collector, append, attribute, certificates, measured, until};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

/// What must be nowhere: it stands in requests, answers and metadata.
const CONTENT: &str = "Jane-Doe-1984";

/// A model server that says how many tokens it took, and content.
async fn model() -> (std::net::SocketAddr, Calls) {
    let count = |count| oip::InferParameter {
        parameter_choice: Some(oip::infer_parameter::ParameterChoice::Int64Param(count)),
    };
    let answer = oip::ModelInferResponse {
        model_name: CONTENT.to_owned(),
        id: CONTENT.to_owned(),
        parameters: [("prompt_tokens".to_owned(), count(70)), ("completion_tokens".to_owned(), count(63))]
            .into(),
        ..oip::ModelInferResponse::default()
    };
    let steps = vec![Step::Data(framed(&answer.encode_to_vec())), Step::Trailers(grpc_status(Code::Ok))];
    scripted(grpc_head(), steps).await
}

/// A sidecar that exports everything, restricted as far as it can be.
fn sidecar(folder: &std::path::Path, upstream: std::net::SocketAddr, more: &str) -> Sidecar {
    std::fs::create_dir_all(folder).unwrap();
    let sidecar = Sidecar::init(folder, upstream);
    append(
        &sidecar,
        &format!(
            "[[route]]\nname = \"notes\"\nmatch = {{ model = \"llm-*\" }}\nmodel = {{ name = \"SmolLM2\" }}\n\
             gen_ai = {{ operation = \"text_completion\", provider = \"llama.cpp\", input_tokens = \"prompt_tokens\", output_tokens = \"completion_tokens\" }}\n\
             [[route.gate]]\nname = \"small\"\nwhen = \"request\"\nrule = \"size(model.name) < 100\"\notherwise = \"refuse\"\n\
             [hardening]\nlandlock = \"required\"\nseccomp = \"required\"\n\
             [telemetry]\nmetrics_interval = \"200ms\"\nsampling_ratio = \"1\"\n{more}\n"
        ),
    );
    sidecar
}

async fn call(client: &Client, model: &str, headers: &[(&str, &str)]) -> String {
    let asked = oip::ModelInferRequest { model_name: model.to_owned(), ..request(CONTENT, 1.0) };
    let body = Body::new(Full::new(framed(&asked.encode_to_vec())));
    let reply = client.send(INFER, headers, body).await.unwrap();
    assert_eq!(reply.code(), Code::Ok);
    reply.header("ledgerstone-decision-id").unwrap().to_owned()
}

fn find(spans: &[Value], wanted: impl Fn(&Value) -> bool) -> &Value {
    let found: Vec<_> = spans.iter().filter(|span| wanted(span)).collect();
    assert_eq!(found.len(), 1, "{spans:#?}");
    found[0]
}

/// The server span of a decision, the client span below it, and those beside that.
fn family<'a>(spans: &'a [Value], id: &str) -> (&'a Value, &'a Value, Vec<&'a str>) {
    let server = find(spans, |span| attribute(span, "ledgerstone.decision.id").as_deref() == Some(id));
    let below =
        |span: &Value| span["parentSpanId"] == server["spanId"] && span["traceId"] == server["traceId"];
    let client = find(spans, |span| below(span) && span["kind"] == 3);
    let steps = spans.iter().filter(|span| below(span) && span["kind"] == 1);
    let mut names: Vec<_> = steps.map(|span| span["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    (server, client, names)
}

fn at<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers[name].to_str().unwrap()
}

/// What the model server was told must be the client span of the decision, below the caller's span.
fn hangs_together(spans: &[Value], id: &str, told: &HeaderMap, formats: &[&str], trace: Option<&str>) {
    let (server, client, _) = family(spans, id);
    if let Some(trace) = trace {
        assert_eq!((server["traceId"].as_str(), server["parentSpanId"].as_str()), (Some(trace), Some(SPAN)));
    }
    let (trace, span) = (server["traceId"].as_str().unwrap(), client["spanId"].as_str().unwrap());
    let above = server["spanId"].as_str().unwrap();
    // A trace that begins at the sidecar has a random id.
    let flags = if server.get("parentSpanId").is_none_or(|above| above == "") { "03" } else { "01" };
    for format in formats {
        match *format {
            "traceparent" => assert_eq!(at(told, "traceparent"), format!("00-{trace}-{span}-{flags}")),
            "b3" => assert_eq!(at(told, "b3"), format!("{trace}-{span}-1-{above}")),
            _ => {
                assert_eq!((at(told, "x-b3-traceid"), at(told, "x-b3-spanid")), (trace, span));
                assert_eq!((at(told, "x-b3-parentspanid"), at(told, "x-b3-sampled")), (above, "1"));
            }
        }
    }
    for format in ["traceparent", "b3", "x-b3-traceid"] {
        assert_eq!(told.contains_key(format), formats.contains(&format), "{format}: {told:?}");
    }
}

/// What a caller sends, the formats that the model server is told in, and the trace that all of it is in.
type Case<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str], Option<&'a str>);

/// Exports over one protocol, and looks at all three signals.
async fn exports(protocol: &str) {
    let folder = tempfile::tempdir().unwrap();
    let Some(collector) = Collector::start(folder.path()).await else { return };
    let port = if protocol == "grpc" { collector.grpc } else { collector.http };
    let (upstream, calls) = model().await;
    std::fs::write(folder.path().join("headers"), "x-tenant: bank\n").unwrap();
    let more = format!(
        "endpoint = \"http://127.0.0.1:{port}\"\nprotocol = \"{protocol}\"\nheaders_file = \"headers\""
    );
    let sidecar =
        sidecar(&folder.path().join("sidecar"), upstream, &more.replace("\"headers\"", "\"../headers\""));
    let mut running = sidecar.start();
    sidecar.client().await;
    let client = Client::new(sidecar.grpc);

    let parent = format!("00-{TRACE}-{SPAN}-01");
    let single = format!("{TRACE}-{SPAN}-1");
    let several = [("x-b3-traceid", TRACE), ("x-b3-spanid", SPAN), ("x-b3-sampled", "1")];
    let cases: [Case<'_>; 6] = [
        (
            &[("traceparent", &parent), ("tracestate", "a=1"), ("baggage", CONTENT)],
            &["traceparent"],
            Some(TRACE),
        ),
        (&[("b3", &single)], &["b3"], Some(TRACE)),
        (&several, &["x-b3-traceid"], Some(TRACE)),
        (&[("traceparent", &parent), ("b3", &single)], &["traceparent", "b3"], Some(TRACE)),
        (&[("traceparent", "00-nonsense"), ("tracestate", "a=1")], &["traceparent"], None),
        (&[], &["traceparent"], None),
    ];
    let mut asked = Vec::new();
    for (headers, formats, trace) in cases {
        let id = call(&client, "llm-small", headers).await;
        asked.push((id, calls.last().headers, formats, trace));
    }
    assert_eq!((at(&asked[0].1, "tracestate"), at(&asked[0].1, "baggage")), ("a=1", CONTENT));
    assert!(!asked[4].1.contains_key("tracestate"));
    // Not sampled: nothing is traced, and the caller's words pass.
    let unsampled = format!("00-{TRACE}-{SPAN}-00");
    let untraced = call(&client, "llm-small", &[("traceparent", &unsampled)]).await;
    assert_eq!(at(&calls.last().headers, "traceparent"), unsampled);

    let labels = "gen_ai_operation_name=\"text_completion\",gen_ai_provider_name=\"llama.cpp\",gen_ai_request_model=\"SmolLM2\"";
    let made = asked.len() as f64 + 1.0;
    for (series, value) in [
        (format!("gen_ai_client_token_usage_sum{{{labels},gen_ai_token_type=\"input\"}}"), 70.0 * made),
        (format!("gen_ai_client_token_usage_sum{{{labels},gen_ai_token_type=\"output\"}}"), 63.0 * made),
        (format!("gen_ai_client_operation_duration_seconds_count{{{labels}}}"), made),
    ] {
        let shown = measured(&sidecar, &series).await.unwrap_or_else(|| panic!("no {series}"));
        assert!((shown - value).abs() < 1e-9, "{series}: {shown}");
    }
    until("metrics are there", || async { !collector.metrics().is_empty() }).await;
    assert!(running.stop().success(), "{}", sidecar.log_lines());
    // What waited was sent before the end.
    until("spans are there", || async { collector.spans().len() >= asked.len() * 4 }).await;
    let spans = collector.spans();
    for (id, told, formats, trace) in &asked {
        hangs_together(&spans, id, told, formats, *trace);
    }
    assert!(
        !spans.iter().any(|span| attribute(span, "ledgerstone.decision.id").as_deref() == Some(&untraced))
    );
    says_what_the_conventions_want(&spans, &asked[0].0, upstream.port());

    let names: Vec<_> = collector.metrics().iter().map(|metric| metric["name"].to_string()).collect();
    for name in ["decisions", "append_duration", "outcomes", "tree_size", "telemetry_dropped"] {
        assert!(names.contains(&format!("\"ledgerstone_{name}\"")), "{name}: {names:?}");
    }
    for name in ["gen_ai.client.operation.duration", "gen_ai.client.token.usage"] {
        assert!(names.contains(&format!("\"{name}\"")), "{name}: {names:?}");
    }
    // The Collector takes its time to write down what it took.
    for body in ["serving", "draining", "ready"] {
        let is_it = |line: &Value| line["body"]["stringValue"] == body;
        until(&format!("{body} is there"), || async { collector.lines().iter().any(is_it) }).await;
    }
    let all = serde_json::to_string(&collector.received()).unwrap();
    assert!(!all.contains(CONTENT), "content in the telemetry");
}

fn says_what_the_conventions_want(spans: &[Value], id: &str, upstream: u16) {
    let (server, client, steps) = family(spans, id);
    assert_eq!((server["name"].as_str(), server["kind"].as_i64()), (Some(&INFER[1..]), Some(2)));
    assert_eq!(steps, ["ledgerstone.append", "ledgerstone.gate"]);
    for (key, value) in [
        ("rpc.system.name", "grpc"),
        ("rpc.method", &INFER[1..]),
        ("rpc.response.status_code", "OK"),
        ("ledgerstone.route", "notes"),
        ("ledgerstone.gate.effect", "allow"),
    ] {
        assert_eq!(attribute(server, key).as_deref(), Some(value), "{key}");
    }
    assert!(attribute(server, "ledgerstone.leaf_index").unwrap().parse::<u64>().unwrap() > 0);
    assert_eq!(client["name"], "text_completion SmolLM2");
    for (key, value) in [
        ("gen_ai.operation.name", "text_completion"),
        ("gen_ai.provider.name", "llama.cpp"),
        ("gen_ai.request.model", "SmolLM2"),
        ("gen_ai.usage.input_tokens", "70"),
        ("gen_ai.usage.output_tokens", "63"),
        ("server.address", "127.0.0.1"),
        ("server.port", &upstream.to_string()),
    ] {
        assert_eq!(attribute(client, key).as_deref(), Some(value), "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_gets_traces_metrics_and_lines_over_grpc() {
    exports("grpc").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_gets_traces_metrics_and_lines_over_http() {
    exports("http/protobuf").await;
}

/// Exports to a Collector that shows a certificate and asks for one.
async fn exports_with_tls(protocol: &str) {
    let folder = tempfile::tempdir().unwrap();
    let Some(collector) = Collector::start_with_tls(folder.path()).await else { return };
    let port = if protocol == "grpc" { collector.grpc } else { collector.http };
    let (upstream, _) = model().await;
    let tls = format!(
        "endpoint = \"https://127.0.0.1:{port}\"\nprotocol = \"{protocol}\"\nca_file = \"../ca.pem\""
    );
    let shown = "cert = \"../leaf.pem\"\nkey = \"../leaf.key\"";
    let sidecar = sidecar(&folder.path().join("sidecar"), upstream, &format!("{tls}\n{shown}"));
    let mut running = sidecar.start();
    sidecar.client().await;
    let id = call(&Client::new(sidecar.grpc), "llm-small", &[]).await;
    until("metrics are there", || async { !collector.metrics().is_empty() }).await;
    assert!(running.stop().success(), "{}", sidecar.log_lines());
    until("spans are there", || async { collector.spans().len() >= 4 }).await;
    family(&collector.spans(), &id);
    until("lines are there", || async { !collector.lines().is_empty() }).await;

    // Without a certificate it is not let in; with another authority than the Collector's nothing is sent.
    let before = collector.spans().len();
    std::fs::create_dir(folder.path().join("other")).unwrap();
    certificates(&folder.path().join("other"));
    let stranger = format!("{}\n{shown}", tls.replace("../ca.pem", "../other/ca.pem"));
    for (name, more) in [("bare", tls.as_str()), ("stranger", stranger.as_str())] {
        let sidecar = self::sidecar(&folder.path().join(name), upstream, more);
        let mut running = sidecar.start();
        sidecar.client().await;
        call(&Client::new(sidecar.grpc), "llm-small", &[]).await;
        let failed = "ledgerstone_telemetry_dropped_total{reason=\"failed\",signal=\"metrics\"}";
        until(failed, || async { measured(&sidecar, failed).await.is_some_and(|count| count > 0.0) }).await;
        assert!(running.stop().success(), "{}", sidecar.log_lines());
    }
    assert_eq!(collector.spans().len(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_with_tls_and_the_sidecar_check_each_other_over_grpc() {
    exports_with_tls("grpc").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_with_tls_and_the_sidecar_check_each_other_over_http() {
    exports_with_tls("http/protobuf").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_endpoint_the_callers_metadata_passes_and_nothing_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let (upstream, calls) = model().await;
    let sidecar = sidecar(folder.path(), upstream, "");
    let _running = sidecar.start();
    sidecar.client().await;
    let client = Client::new(sidecar.grpc);
    for value in ["00-nonsense", &format!("00-{TRACE}-{SPAN}-01")] {
        call(&client, "llm-small", &[("traceparent", value), ("tracestate", "a=1"), ("b3", "x")]).await;
        let told = calls.last().headers;
        assert_eq!((at(&told, "traceparent"), at(&told, "tracestate"), at(&told, "b3")), (value, "a=1", "x"));
    }
    assert_eq!(
        measured(&sidecar, "ledgerstone_telemetry_dropped_total{reason=\"full\",signal=\"traces\"}").await,
        None
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_a_span_with_its_code_and_without_words() {
    let folder = tempfile::tempdir().unwrap();
    let Some(collector) = Collector::start(folder.path()).await else { return };
    let more = format!("endpoint = \"http://127.0.0.1:{}\"", collector.grpc);
    let nobody = std::net::SocketAddr::from(([127, 0, 0, 1], crate::support::free_port()));
    let sidecar = sidecar(&folder.path().join("sidecar"), nobody, &more);
    let mut running = sidecar.start();
    let mut client = sidecar.client().await;
    let failed = client.model_infer(Request::new(request("r", 1.0))).await.unwrap_err();
    assert_eq!(failed.code(), Code::Unavailable);
    assert!(running.stop().success());
    until("spans are there", || async { collector.spans().len() >= 3 }).await;
    let spans = collector.spans();
    for kind in [2, 3] {
        let span = find(&spans, |span| span["kind"] == kind);
        assert_eq!(attribute(span, "error.type").as_deref(), Some("UNAVAILABLE"));
        assert_eq!(span["status"], serde_json::json!({ "code": 2 }));
    }
}
