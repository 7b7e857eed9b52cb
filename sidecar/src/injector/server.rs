//! The injector's two ports: reviews over TLS, and the admin port.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State as With;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use ledgerstone::limits::ADMISSION_REVIEW_BYTES_MAX;
use opentelemetry::KeyValue;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use super::review::{Outcome, ReviewError, answer};
use super::template::Template;
use crate::metrics::Metrics;

/// Questions that are read at a time: at 4 MiB each and as much again for what was read of them, 256 MiB would be the
/// worst; pods of 10 kB make it 1 MiB. Others wait for their turn, at most for [`ARRIVAL`].
const AT_ONCE: usize = 32;

/// How long a question may take to come. API servers send it in one go, and wait for at most 30 seconds.
const ARRIVAL: Duration = Duration::from_secs(3);

/// What was answered, by outcome.
#[derive(Debug, Default)]
pub(super) struct Counted {
    outcomes: [AtomicU64; Outcome::ALL.len()],
    /// Questions that could not be answered.
    malformed: AtomicU64,
}

impl Counted {
    fn add(&self, outcome: Option<Outcome>) {
        let counter = outcome.and_then(|outcome| self.outcomes.get(outcome as usize));
        counter.unwrap_or(&self.malformed).fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn measure(self: &Arc<Self>, metrics: &Metrics) {
        let counted = Arc::clone(self);
        metrics.counted_series(
            "ledgerstone_injector_reviews",
            "AdmissionReviews by what was answered; malformed ones were not",
            move || {
                let outcomes = Outcome::ALL.into_iter().map(Outcome::name).zip(&counted.outcomes);
                let all = outcomes.chain([("malformed", &counted.malformed)]);
                let series = all.map(|(result, count)| {
                    (vec![KeyValue::new("result", result)], count.load(Ordering::Relaxed))
                });
                series.collect()
            },
        );
    }
}

/// What both ports share; a clone is the same.
#[derive(Clone, Debug)]
pub(super) struct State {
    template: watch::Receiver<Arc<Template>>,
    counted: Arc<Counted>,
    turns: Arc<Semaphore>,
    is_serving: Arc<AtomicBool>,
}

impl State {
    pub(super) fn new(template: watch::Receiver<Arc<Template>>, counted: Arc<Counted>) -> Self {
        Self { template, counted, turns: Arc::new(Semaphore::new(AT_ONCE)), is_serving: Arc::default() }
    }

    /// Says whether reviews are answered.
    pub(super) fn serve(&self, is_serving: bool) {
        self.is_serving.store(is_serving, Ordering::Release);
    }
}

/// The routes that API servers ask.
pub(super) fn reviews(state: State) -> Router {
    Router::new().route("/inject", post(review)).with_state(state)
}

async fn review(With(state): With<State>, headers: HeaderMap, body: Body) -> Response {
    let answered = match question(&state, &headers, body).await {
        Err(refused) => Err(refused),
        Ok(question) => {
            let template = Arc::clone(&state.template.borrow());
            answer(&question, &template).map_err(|error| (status(error), error.to_string()))
        }
    };
    state.counted.add(answered.as_ref().ok().map(|answer| answer.outcome));
    match answered {
        Ok(answer) => ([(CONTENT_TYPE, "application/json")], answer.json).into_response(),
        Err((status, reason)) => (status, format!("{reason}\n")).into_response(),
    }
}

/// The whole question, read when it is its turn.
async fn question(
    state: &State,
    headers: &HeaderMap,
    body: Body,
) -> Result<bytes::Bytes, (StatusCode, String)> {
    let media = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim();
    if !media.eq_ignore_ascii_case("application/json") {
        let reason = "an AdmissionReview is application/json: say so in Content-Type";
        return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, reason.to_owned()));
    }
    let too_large = || (status(ReviewError::TooLarge), ReviewError::TooLarge.to_string());
    if http_body::Body::size_hint(&body).lower() > ADMISSION_REVIEW_BYTES_MAX as u64 {
        return Err(too_large());
    }
    let busy = || (StatusCode::SERVICE_UNAVAILABLE, "too many questions come slowly: ask again".to_owned());
    let turn = timeout(ARRIVAL, state.turns.acquire()).await.map_err(|_| busy())?;
    let _turn = turn.map_err(|_| busy())?;
    match timeout(ARRIVAL, to_bytes(body, ADMISSION_REVIEW_BYTES_MAX)).await {
        Ok(Ok(question)) => Ok(question),
        // What was cut off by its sender nobody waits for.
        Ok(Err(_)) => Err(too_large()),
        Err(_) => {
            let reason = format!("the AdmissionReview did not come within {} s", ARRIVAL.as_secs());
            Err((StatusCode::REQUEST_TIMEOUT, reason))
        }
    }
}

const fn status(error: ReviewError) -> StatusCode {
    match error {
        ReviewError::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ReviewError::Defect => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::BAD_REQUEST,
    }
}

/// The routes of the admin port.
pub(super) fn admin(state: State, metrics: Metrics) -> Router {
    let ready = move || async move {
        match state.is_serving.load(Ordering::Acquire) {
            true => (StatusCode::OK, "ready\n"),
            false => {
                (StatusCode::SERVICE_UNAVAILABLE, "not ready: there is no certificate yet, or it is ending\n")
            }
        }
    };
    let render = move |headers: HeaderMap| async move { metrics.respond(&headers) };
    let live = get(|| async { "live\n" });
    Router::new().route("/live", live).route("/ready", get(ready)).route("/metrics", get(render))
}
