//! The gRPC service that callers see: the model server's own, with a record behind every decision.
//!
//! Guarantees: what the caller sends reaches the model server byte for byte, and what the model server answers reaches
//! the caller byte for byte, with three headers of ours; no answer to `ModelInfer` leaves before its entry is durable
//! (INV-9); a caller that goes away takes no record with it; refusals and failures are recorded like answers; what
//! the rules of a route refuse reaches no model, or nothing of the answer reaches the caller.
//! Does not do: streams of decisions (`ModelStreamInfer` is refused, and the refusal recorded); other services.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::{HeaderMap, Request, Response};
use ledgerstone::time::UnixMillis;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::{Code, Status};
use tower::Service;

use super::answered::Answered;
use super::asked::Asked;
use super::body::{Relayed, Replay};
use super::fields::Times;
use super::frame::PREFIX_BYTES;
use super::gated::{self, Call, Gated};
use super::metadata;
use super::recorder::{Case, NotRecorded, Recorded, Recorder, decision_id, now};
use super::route::{MODEL_INFER, Route, SubjectSource};
use super::session::Seen;
use crate::access::Origin;
use crate::gate::When;
use crate::telemetry::{DecisionSpan, GenAi};
use crate::upstream::{Answer, CollectError, Upstream, collect};

/// Full name of the service.
const SERVICE: &str = "inference.GRPCInferenceService";

const MODEL_STREAM_INFER: &str = "inference.GRPCInferenceService/ModelStreamInfer";
const MODEL_INFER_PATH: &str = "/inference.GRPCInferenceService/ModelInfer";
const MODEL_STREAM_INFER_PATH: &str = "/inference.GRPCInferenceService/ModelStreamInfer";

/// How much one sidecar takes on at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one request or response message, decompressed.
    pub message_bytes_max: usize,
    /// Calls that may be in flight; the next one is refused. With `message_bytes_max` this bounds the memory (INV-7).
    pub in_flight_max: usize,
    /// How long a caller may take to send its request.
    pub request_body_timeout: Duration,
}

impl Default for Limits {
    /// 16 MiB a message, 512 calls, 30 seconds.
    fn default() -> Self {
        Self {
            message_bytes_max: 16 * 1024 * 1024,
            in_flight_max: 512,
            request_body_timeout: Duration::from_secs(30),
        }
    }
}

/// The service. Clones stand for the same one.
#[derive(Clone)]
pub struct Intercept(Arc<Inner>);

struct Inner {
    recorder: Recorder,
    upstream: Upstream,
    limits: Limits,
    /// Decisions in flight.
    decisions: Arc<Semaphore>,
    /// Other calls in flight, apart from decisions: a flood of health checks must not keep decisions out.
    relays: Arc<Semaphore>,
}

impl Intercept {
    /// Stands in front of `upstream` and records through `recorder`.
    #[must_use]
    pub fn new(recorder: Recorder, upstream: Upstream, limits: Limits) -> Self {
        let permits = limits.in_flight_max.min(Semaphore::MAX_PERMITS);
        Self(Arc::new(Inner {
            recorder,
            upstream,
            limits,
            decisions: Arc::new(Semaphore::new(permits)),
            relays: Arc::new(Semaphore::new(permits)),
        }))
    }
}

impl fmt::Debug for Intercept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Intercept").field("limits", &self.0.limits).finish_non_exhaustive()
    }
}

impl NamedService for Intercept {
    const NAME: &'static str = SERVICE;
}

impl Service<Request<Body>> for Intercept {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            Ok(match request.uri().path() {
                MODEL_INFER_PATH => inner.decide(request, None).await,
                MODEL_STREAM_INFER_PATH => {
                    let text = "ModelStreamInfer is not passed on, because a stream of decisions cannot be recorded; \
                                call ModelInfer";
                    inner.decide(request, Some(Status::unimplemented(text))).await
                }
                _ => inner.relay(request).await,
            })
        })
    }
}

/// What goes to the caller once the record is durable.
enum Outgoing {
    Answer(Answer),
    Status(Status),
}

impl Outgoing {
    /// Has the rules of the route look at the model's answer. One that they refuse stays here; what it was is recorded.
    fn gated(self, call: Call<'_>, answered: &mut Answered, gated: &mut Gated, span: &DecisionSpan) -> Self {
        if !matches!(self, Self::Answer(_)) || answered.code != Code::Ok {
            return self;
        }
        match pass(call, Some(answered), When::Answer, gated, span) {
            None => self,
            Some(status) => {
                answered.code = status.code();
                Self::Status(status)
            }
        }
    }
}

/// Evaluates the rules of `when`, in a step of their own where there are any.
fn pass(
    call: Call<'_>,
    answered: Option<&Answered>,
    when: When,
    gated: &mut Gated,
    span: &DecisionSpan,
) -> Option<Status> {
    call.route.gate().filter(|gate| gate.has(when))?;
    let mut step = span.step("ledgerstone.gate");
    let refusal = gated::pass(call, answered, when, gated);
    step.say("ledgerstone.gate.when", if when == When::Request { "request" } else { "answer" });
    step.say("ledgerstone.gate.effect", gated.counted());
    refusal
}

impl Inner {
    /// Passes a call that is no decision.
    async fn relay(&self, mut request: Request<Body>) -> Response<Body> {
        let Ok(permit) = Arc::clone(&self.relays).try_acquire_owned() else {
            return self.unrecorded(Status::resource_exhausted("too many calls in flight; try again"));
        };
        metadata::forwardable(request.headers_mut());
        request.extensions_mut().clear();
        match self.upstream.stream(request).await {
            Ok(mut response) => {
                metadata::forwardable(response.headers_mut());
                response.map(|body| Body::new(Relayed::new(body, permit)))
            }
            Err(fault) => fault.status().into_http(),
        }
    }

    /// Has a decision made and recorded. The work is a task of its own: the caller may go away, the record may not.
    async fn decide(self: Arc<Self>, request: Request<Body>, refusal: Option<Status>) -> Response<Body> {
        let Ok(permit) = Arc::clone(&self.decisions).try_acquire_owned() else {
            self.recorder.session().turn_away();
            return self.unrecorded(Status::resource_exhausted("too many decisions in flight; try again"));
        };
        let seen = match self.recorder.session().see() {
            Ok(seen) => seen,
            Err(error) => return self.unrecorded(Status::unavailable(error.to_string())),
        };
        let method = if refusal.is_some() { MODEL_STREAM_INFER } else { MODEL_INFER };
        let (release, released) = oneshot::channel();
        let (inner, sequence) = (Arc::clone(&self), seen.sequence());
        tokio::spawn(async move {
            let counted = inner.recorder.metrics().in_flight();
            let span = inner.recorder.tracing().decision(method, request.headers());
            let response = span.around(inner.run(seen, request, refusal, permit, &release, &span)).await;
            drop(span);
            drop(counted);
            // An error says that the caller is gone; the record is made all the same.
            let _ = release.send(response);
        });
        tokio::select! {
            released = released => released.unwrap_or_else(|_| {
                self.unrecorded(Status::internal("the decision was not recorded because of a defect; report it"))
            }),
            () = self.recorder.session().given_up(sequence) => self.unrecorded(Status::unavailable(
                "the sidecar stopped before the decision was made; the log has a gap in its place; try again",
            )),
        }
    }

    async fn run(
        &self,
        seen: Seen,
        request: Request<Body>,
        refusal: Option<Status>,
        permit: OwnedSemaphorePermit,
        release: &oneshot::Sender<Response<Body>>,
        span: &DecisionSpan,
    ) -> Response<Body> {
        let (received, arrived) = (now(), Instant::now());
        let (parts, body) = request.into_parts();
        let id = match decision_id(received) {
            Ok(id) => id,
            Err(error) => return self.withheld(&error, span),
        };
        let (asked, refusal) = match refusal {
            Some(refusal) => (Asked::incomplete("the request was not read"), Some(refusal)),
            None => self.ask(&parts.headers, body).await,
        };
        let route = Arc::clone(self.recorder.routes().for_model(asked.model()));
        let refusal = refusal.or_else(|| self.check_readable(&asked).err());
        let refusal = refusal.or_else(|| asked.check_rows(&route).err());
        let caller = Origin::of(&parts.extensions);
        let subject_header = subject_header(&parts.headers, route.config().subject.as_ref());
        let mut gated = Gated::default();
        let call = Call {
            route: &route,
            asked: &asked,
            caller: &caller,
            subject_header: subject_header.as_deref(),
            received,
            models: self.recorder.models(),
        };
        let refusal = refusal.or_else(|| pass(call, None, When::Request, &mut gated, span));
        let (outgoing, mut answered, model) = match refusal {
            Some(status) => (Outgoing::Status(status.clone()), Answered::refused(&status), None),
            None => self.answer(parts, &asked, &route, span).await,
        };
        let outgoing = outgoing.gated(call, &mut answered, &mut gated, span);
        let review = route.gate().and_then(|gate| gated.reviews(gate));
        let times = Times { received, model, decided: now() };
        let caller_gone = release.is_closed();
        span.decided(id, &route);
        let code = answered.code;
        let case =
            Case { id, arrived, route, caller, subject_header, caller_gone, gated, times, asked, answered };
        match self.recorder.record(seen, case, span).await {
            Ok(recorded) => {
                span.answered(code);
                self.release(outgoing, &recorded, review, permit)
            }
            Err(error) => self.withheld(&error, span),
        }
    }

    /// Refuses what cannot be read where a route has rules: the model server may read it, and then for that route.
    fn check_readable(&self, asked: &Asked) -> Result<(), Status> {
        let is_guarded = || self.recorder.routes().configured().any(|route| route.gate().is_some());
        if asked.infer.is_some() || !is_guarded() {
            return Ok(());
        }
        Err(Status::invalid_argument(
            "the request cannot be read, and so it cannot be told which rules it must satisfy: send one ModelInferRequest, \
             uncompressed or as gzip or deflate",
        ))
    }

    /// Reads the request.
    async fn ask(&self, headers: &HeaderMap, body: Body) -> (Asked, Option<Status>) {
        let max = self.limits.message_bytes_max;
        let whole = collect(body, max.saturating_add(PREFIX_BYTES));
        let refuse = |status: Status| (Asked::incomplete(status.message()), Some(status));
        match tokio::time::timeout(self.limits.request_body_timeout, whole).await {
            Ok(Ok((body, _))) => {
                let encoding = headers.get("grpc-encoding").and_then(|value| value.to_str().ok());
                Asked::read(body, encoding, max)
            }
            Ok(Err(CollectError::TooLarge)) => refuse(Status::resource_exhausted(format!(
                "the request is larger than {max} bytes; send less, or raise limits.message_bytes_max"
            ))),
            Ok(Err(CollectError::Broken)) => {
                refuse(Status::cancelled("the caller ended the call before its request was complete"))
            }
            Err(_) => refuse(Status::deadline_exceeded("the request did not arrive in time")),
        }
    }

    /// Has the model server answer.
    async fn answer(
        &self,
        mut head: http::request::Parts,
        asked: &Asked,
        route: &Route,
        span: &DecisionSpan,
    ) -> (Outgoing, Answered, Option<(UnixMillis, UnixMillis)>) {
        metadata::forwardable(&mut head.headers);
        head.extensions.clear();
        let max = self.limits.message_bytes_max;
        let mut call = span.model_call(route, &mut head.headers);
        let (started, begun) = (now(), Instant::now());
        let answer = self.upstream.unary(head, asked.body.clone(), max.saturating_add(PREFIX_BYTES)).await;
        let model = Some((started, now()));
        let took = begun.elapsed();
        self.recorder.metrics().model_call(route.name(), took, span.seen());
        let (outgoing, answered) = match answer {
            Ok(answer) => {
                let answered = Answered::read(&answer, max);
                (Outgoing::Answer(answer), answered)
            }
            Err(fault) => (Outgoing::Status(fault.status()), Answered::failed(&fault)),
        };
        call.answered(answered.code);
        if let Some(gen_ai) = GenAi::of(route) {
            let tokens = answered.infer.as_ref().map_or([None; 2], |answer| gen_ai.tokens(answer));
            call.generated(tokens);
            self.recorder.metrics().generated(&gen_ai, took, answered.code, tokens);
        }
        (outgoing, answered, model)
    }

    /// Lets an answer go: only a [`Recorded`] can (INV-9).
    fn release(
        &self,
        outgoing: Outgoing,
        recorded: &Recorded,
        review: Option<String>,
        permit: OwnedSemaphorePermit,
    ) -> Response<Body> {
        let mut response = match outgoing {
            Outgoing::Status(status) => status.into_http(),
            Outgoing::Answer(Answer { mut head, body, mut trailers }) => {
                metadata::forwardable(&mut head.headers);
                if let Some(rules) = review {
                    metadata::set(&mut head.headers, metadata::REVIEW, &rules);
                }
                trailers.as_mut().map(metadata::forwardable);
                Response::from_parts(head, Body::new(Replay::new(body, trailers).holding(permit)))
            }
        };
        let headers = response.headers_mut();
        metadata::set(headers, metadata::DECISION_ID, &recorded.id.to_string());
        metadata::set(headers, metadata::LEAF_INDEX, &recorded.index.get().to_string());
        metadata::set(headers, metadata::ORIGIN, self.recorder.origin());
        response
    }

    /// Keeps an answer back whose record is not in the log.
    fn withheld(&self, error: &NotRecorded, span: &DecisionSpan) -> Response<Body> {
        tracing::error!(%error, "an answer is withheld because its record is not in the log");
        span.withheld(Code::Unavailable);
        self.unrecorded(Status::unavailable(
            "the decision could not be recorded, so its answer is not released; try again",
        ))
    }

    /// An answer of ours about a call that has no entry.
    fn unrecorded(&self, status: Status) -> Response<Body> {
        let mut response = status.into_http();
        metadata::set(response.headers_mut(), metadata::ORIGIN, self.recorder.origin());
        response
    }
}

fn subject_header(headers: &HeaderMap, subject: Option<&SubjectSource>) -> Option<String> {
    let Some(SubjectSource::Metadata(name)) = subject else {
        return None;
    };
    headers.get(name)?.to_str().ok().map(str::to_owned)
}
