use http::HeaderValue;

use super::*;
use crate::telemetry::queue;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// How many of a thousand decisions of such a caller are traced.
fn traced(sampler: &str, ratio: f64, header: Option<(&'static str, &str)>) -> usize {
    let (inlet, mut spans) = queue::pair(2000);
    let sampling = Sampling { follows_caller: sampler == "parentbased_traceidratio", ratio };
    let tracing = Tracing::new(sampling, Resource::builder_empty().build(), inlet, "http://[::1]:8001");
    let mut headers = HeaderMap::new();
    if let Some((name, value)) = header {
        headers.insert(name, HeaderValue::from_str(value).unwrap());
    }
    let before = headers.clone();
    let routes = crate::intercept::Routes::build(&[], std::path::Path::new(".")).unwrap();
    for _ in 0..1000 {
        let span = tracing.decision(MODEL_INFER, &headers);
        assert_eq!(span.seen().is_some(), span.0.is_some());
        let mut told = headers.clone();
        span.model_call(routes.for_model("x"), &mut told);
        assert_eq!(told == before, span.0.is_none(), "who is not traced passes on what it got");
    }
    let mut ended = 0;
    while let Ok(span) = spans.try_recv() {
        ended += usize::from(span.span_kind == SpanKind::Server);
    }
    ended
}

#[test]
fn follows_the_caller_and_else_the_ratio() {
    let (followed, alone) = ("parentbased_traceidratio", "traceidratio");
    let (sampled, not) =
        (format!("00-{TRACE}-00f067aa0ba902b7-01"), format!("00-{TRACE}-00f067aa0ba902b7-00"));
    let deferred = format!("{TRACE}-00f067aa0ba902b7");
    assert_eq!(traced(followed, 0.0, Some(("traceparent", &sampled))), 1000);
    assert_eq!(traced(followed, 1.0, Some(("traceparent", &not))), 0);
    assert_eq!(traced(followed, 1.0, Some(("b3", "0"))), 0);
    assert_eq!(traced(followed, 0.0, Some(("b3", "1"))), 1000);
    assert_eq!(traced(followed, 1.0, Some(("b3", &deferred))), 1000);
    assert_eq!(traced(followed, 0.0, Some(("b3", &deferred))), 0);
    assert_eq!(traced(alone, 0.0, Some(("traceparent", &sampled))), 0);
    assert_eq!(traced(alone, 1.0, Some(("traceparent", &not))), 1000);
    for sampler in [followed, alone] {
        let half = traced(sampler, 0.5, None);
        assert!((350..650).contains(&half), "{half}");
    }
}

/// What the span of a decision says at its end, and whether as an error.
fn said(ends: impl Fn(&DecisionSpan)) -> (Vec<String>, bool) {
    let (inlet, mut spans) = queue::pair(10);
    let sampling = Sampling { follows_caller: true, ratio: 1.0 };
    let tracing = Tracing::new(sampling, Resource::builder_empty().build(), inlet, "http://[::1]:8001");
    let span = tracing.decision(MODEL_INFER, &HeaderMap::new());
    ends(&span);
    drop(span);
    let span = spans.try_recv().unwrap();
    let ends = |of: &&KeyValue| matches!(of.key.as_str(), "rpc.response.status_code" | "error.type");
    let said = span.attributes.iter().filter(ends).map(|of| format!("{}={}", of.key, of.value)).collect();
    (said, span.status == Status::error(""))
}

#[test]
fn says_once_what_the_caller_gets_and_not_what_was_kept_back() {
    let (status, kind) = ("rpc.response.status_code", "error.type");
    let cases = [
        (said(|span| span.answered(Code::Ok)), vec![format!("{status}=OK")], false),
        // The caller's fault, not the server's.
        (said(|span| span.answered(Code::NotFound)), vec![format!("{status}=NOT_FOUND")], false),
        (
            said(|span| span.answered(Code::Internal)),
            vec![format!("{status}=INTERNAL"), format!("{kind}=INTERNAL")],
            true,
        ),
        (
            said(|span| span.withheld(Code::Unavailable)),
            vec![format!("{status}=UNAVAILABLE"), format!("{kind}=not_recorded")],
            true,
        ),
    ];
    for (found, wanted, is_error) in cases {
        assert_eq!(found, (wanted, is_error));
    }
}

#[test]
fn says_where_the_model_server_is() {
    let said = |address: &str| -> Vec<String> {
        server(address).iter().map(|of| format!("{}={}", of.key, of.value)).collect()
    };
    assert_eq!(said("http://[::1]:8001"), ["server.address=::1", "server.port=8001"]);
    assert_eq!(said("https://models.example"), ["server.address=models.example", "server.port=443"]);
    assert_eq!(said("unix:/run/model.sock"), ["server.address=/run/model.sock"]);
}
