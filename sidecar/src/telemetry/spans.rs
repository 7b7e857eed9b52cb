//! A span for each decision that is traced, and those below it: the call of the model, the rules of the gate, the append to the log.
//!
//! Guarantees: a span says ids, digests, names from the configuration, status codes and counts, never content, and nothing of the
//! caller but its trace (INV-8); a decision that is not sampled costs its reading of `traceparent` and passes the caller's metadata
//! on unchanged; where nothing is exported nothing is read. Names and attributes follow the OpenTelemetry semantic conventions for
//! RPC and, on routes with `gen_ai`, for generative AI.
//! Does not do: sending anything (`queue`).

use std::borrow::Cow;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use ledgerstone::entry::DecisionId;
use ledgerstone::hash::Hash;
use ledgerstone::merkle::LeafIndex;
use opentelemetry::trace::{
    FutureExt as _, Link, Span as _, SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt as _,
    TraceId, Tracer as _, TracerProvider as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    Sampler, SamplingResult, SdkTracer, SdkTracerProvider, ShouldSample, Span, SpanData, SpanProcessor,
};
use tonic::Code;

use super::context::Caller;
use super::gen_ai::GenAi;
use super::queue::Inlet;
use crate::config::Sampling;
use crate::intercept::route::{MODEL_INFER, Route};
use crate::metrics::code_name;
use crate::outbound;

/// Traces decisions. Clones stand for the same one; the default traces none.
#[derive(Clone, Debug, Default)]
pub struct Tracing(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    tracer: SdkTracer,
    /// `server.address` and `server.port` of the model server.
    server: Vec<KeyValue>,
    /// Keeps the tracer working.
    _provider: SdkTracerProvider,
}

/// The span of one decision. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct DecisionSpan(Option<Box<Open>>);

#[derive(Debug)]
struct Open {
    inner: Arc<Inner>,
    caller: Caller,
    /// Has the span.
    context: Context,
}

/// A span below a decision's. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Step(Option<Span>);

/// What a measurement was made in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The trace.
    pub trace: TraceId,
    /// The span in it.
    pub span: opentelemetry::trace::SpanId,
}

impl Tracing {
    /// Puts spans into `inlet`. `upstream` is the model server's address.
    pub(super) fn new(
        sampling: Sampling,
        resource: Resource,
        inlet: Inlet<SpanData>,
        upstream: &str,
    ) -> Self {
        let provider = SdkTracerProvider::builder()
            .with_resource(resource)
            .with_sampler(Sampled {
                follows_caller: sampling.follows_caller,
                ratio: Sampler::TraceIdRatioBased(sampling.ratio),
            })
            .with_span_processor(Outlet(inlet))
            .build();
        let tracer = provider.tracer("ledgerstone-sidecar");
        Self(Some(Arc::new(Inner { tracer, server: server(upstream), _provider: provider })))
    }

    /// Begins the span of a decision that `method` asks for, where it is traced.
    pub(crate) fn decision(&self, method: &'static str, headers: &HeaderMap) -> DecisionSpan {
        DecisionSpan(self.0.as_ref().and_then(|inner| Open::new(inner, method, headers)).map(Box::new))
    }
}

impl Open {
    fn new(inner: &Arc<Inner>, method: &'static str, headers: &HeaderMap) -> Option<Self> {
        let caller = Caller::read(headers);
        let mut parent = Context::new().with_value(Wish(caller.sampled));
        if let Some(remote) = caller.remote() {
            parent = parent.with_remote_span_context(remote);
        }
        let builder = SpanBuilder::from_name(method).with_kind(SpanKind::Server).with_attributes(rpc(method));
        let span = inner.tracer.build_with_context(builder, &parent);
        let is_recorded = span.is_recording();
        is_recorded.then(|| Self {
            inner: Arc::clone(inner),
            caller,
            context: Context::new().with_span(span),
        })
    }

    fn below(&self, builder: SpanBuilder) -> Step {
        Step(Some(self.inner.tracer.build_with_context(builder, &self.context)))
    }
}

impl DecisionSpan {
    /// Does `work` inside the span, so that log lines name it.
    pub(crate) async fn around<T>(&self, work: impl Future<Output = T>) -> T {
        match &self.0 {
            Some(open) => work.with_context(open.context.clone()).await,
            None => work.await,
        }
    }

    /// Begins a step of the sidecar's own.
    pub(crate) fn step(&self, name: &'static str) -> Step {
        let builder = || SpanBuilder::from_name(name).with_kind(SpanKind::Internal);
        self.0.as_ref().map_or(Step(None), |open| open.below(builder()))
    }

    /// Begins the call of the model, and tells the model server of it in the metadata of the call.
    pub(crate) fn model_call(&self, route: &Route, headers: &mut HeaderMap) -> Step {
        let Some(open) = &self.0 else { return Step(None) };
        let mut attributes = rpc(MODEL_INFER);
        attributes.extend(open.inner.server.iter().cloned());
        let mut name = Cow::Borrowed(MODEL_INFER);
        if let Some(gen_ai) = GenAi::of(route) {
            name = Cow::Owned(gen_ai.span_name());
            attributes.extend(gen_ai.attributes());
        }
        let builder = SpanBuilder::from_name(name).with_kind(SpanKind::Client).with_attributes(attributes);
        let step = open.below(builder);
        if let Step(Some(span)) = &step {
            let below = open.context.span().span_context().span_id();
            open.caller.write(headers, span.span_context(), below);
        }
        step
    }

    /// Says what the decision is known by.
    pub(crate) fn decided(&self, id: DecisionId, route: &Route) {
        let Some(open) = &self.0 else { return };
        let span = open.context.span();
        span.set_attribute(KeyValue::new("ledgerstone.decision.id", id.to_string()));
        span.set_attribute(KeyValue::new("ledgerstone.route", route.name().to_owned()));
    }

    /// Says what the caller gets. To be said once: an attribute that is said twice stands there twice.
    pub(crate) fn answered(&self, code: Code) {
        self.ended(code, is_server_error(code).then(|| code_name(code)));
    }

    /// Says that the answer is kept back, because there is no record of it: whatever the model said, the caller gets `code`.
    pub(crate) fn withheld(&self, code: Code) {
        self.ended(code, Some("not_recorded"));
    }

    fn ended(&self, code: Code, problem: Option<&'static str>) {
        let Some(open) = &self.0 else { return };
        let span = open.context.span();
        span.set_attribute(KeyValue::new("rpc.response.status_code", code_name(code)));
        if let Some(problem) = problem {
            span.set_attribute(KeyValue::new("error.type", problem));
            // No words: they may repeat what the model said.
            span.set_status(Status::error(""));
        }
    }

    /// Says where the record is, and which model decided.
    pub(crate) fn recorded(&self, index: LeafIndex, model: Option<Hash>, effect: &'static str) {
        let Some(open) = &self.0 else { return };
        let span = open.context.span();
        span.set_attribute(KeyValue::new("ledgerstone.leaf_index", whole(index.get())));
        span.set_attribute(KeyValue::new("ledgerstone.gate.effect", effect));
        if let Some(model) = model {
            span.set_attribute(KeyValue::new("ledgerstone.model.digest", format!("sha256:{model}")));
        }
    }

    /// What measurements made in this decision refer to; nothing where it is not traced.
    pub(crate) fn seen(&self) -> Option<Seen> {
        let span = self.0.as_ref()?.context.span();
        let context = span.span_context();
        Some(Seen { trace: context.trace_id(), span: context.span_id() })
    }
}

impl Step {
    /// Says something more of it.
    pub(crate) fn say(&mut self, key: &'static str, value: impl Into<opentelemetry::Value>) {
        if let Some(span) = &mut self.0 {
            span.set_attribute(KeyValue::new(key, value));
        }
    }

    /// Says how a call ended.
    pub(crate) fn answered(&mut self, code: Code) {
        self.say("rpc.response.status_code", code_name(code));
        if code != Code::Ok {
            self.failed(code_name(code));
        }
    }

    /// Says how many tokens went into a generative model and came out.
    pub(crate) fn generated(&mut self, [input, output]: [Option<u64>; 2]) {
        for (key, tokens) in [("gen_ai.usage.input_tokens", input), ("gen_ai.usage.output_tokens", output)] {
            if let Some(tokens) = tokens {
                self.say(key, whole(tokens));
            }
        }
    }

    /// Says that it failed, in one word.
    pub(crate) fn failed(&mut self, kind: &'static str) {
        self.say("error.type", kind);
        if let Some(span) = &mut self.0 {
            // No words: they may repeat what the model said.
            span.set_status(Status::error(""));
        }
    }
}

/// What every span of a call says.
fn rpc(method: &'static str) -> Vec<KeyValue> {
    vec![KeyValue::new("rpc.system.name", "grpc"), KeyValue::new("rpc.method", method)]
}

/// Which codes are the server's fault ("Semantic conventions for gRPC", server spans).
const fn is_server_error(code: Code) -> bool {
    matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    )
}

fn whole(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Where the model server is, as the conventions say it.
fn server(upstream: &str) -> Vec<KeyValue> {
    if let Some(path) = upstream.strip_prefix("unix:") {
        return vec![KeyValue::new("server.address", path.to_owned())];
    }
    let shown = outbound::shown(upstream);
    let address = crate::outbound::http::Address::parse(upstream);
    let host = address.as_ref().map_or(shown, |address| address.host().to_owned());
    let port = address.map(|address| KeyValue::new("server.port", i64::from(address.port())));
    std::iter::once(KeyValue::new("server.address", host)).chain(port).collect()
}

/// What the caller wishes: whether its trace is recorded.
struct Wish(Option<bool>);

/// Which spans are recorded.
#[derive(Clone, Debug)]
struct Sampled {
    follows_caller: bool,
    ratio: Sampler,
}

impl ShouldSample for Sampled {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let wish = parent.and_then(|parent| parent.get::<Wish>());
        // Without a wish it is below a span of ours, which is recorded.
        let said = match wish {
            None => Some(true),
            Some(Wish(wish)) => wish.filter(|_| self.follows_caller),
        };
        let by_ratio = || self.ratio.should_sample(parent, trace, name, kind, attributes, links);
        let by_word = |word: bool| {
            let sampler = if word { Sampler::AlwaysOn } else { Sampler::AlwaysOff };
            sampler.should_sample(parent, trace, name, kind, attributes, links)
        };
        said.map_or_else(by_ratio, by_word)
    }
}

/// Puts spans that ended into the queue.
#[derive(Debug)]
struct Outlet(Inlet<SpanData>);

impl SpanProcessor for Outlet {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        self.0.put(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// The span that the code that runs now is in.
pub(super) fn current() -> Option<SpanContext> {
    Context::map_current(|context| {
        let span = context.span();
        Some(span.span_context().clone()).filter(SpanContext::is_valid)
    })
}

#[cfg(test)]
mod tests;
