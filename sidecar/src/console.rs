//! The console: one page on the admin port, and the little JSON that it shows.
//!
//! | path | |
//! | --- | --- |
//! | `/console` | the page; it holds no data, so it needs no role |
//! | `/console/state` | how the sidecar and its log stand; `?from=SIZE` for a proof that the tree of that size is the beginning of this one |
//! | `/console/decisions/ID` | the entries about a decision, with proofs |
//!
//! Guarantees: read-only; nothing is computed without a request, and not more often than four times a second however many ask; what
//! is read, kept and sent is bounded (INV-7); no sealed record is opened and nothing personal goes out (INV-8); no answer is for another
//! origin, a frame or a cache. Does not do: asking who asks; [`crate::access`] does, where roles are configured.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, RETRY_AFTER,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue, Response, StatusCode};
use axum::routing::get;
use ledgerstone::code::Code;
use ledgerstone::entry::{DecisionId, Reference};
use ledgerstone::merkle::TreeSize;
use serde_json::Value as Json;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use self::look::Look;
use crate::anchor::Anchors;
use crate::api::recorder_http;
use crate::config::Config;
use crate::driver::system_clock;
use crate::intercept::{Routes, Session};
use crate::metrics::Metrics;
use crate::models::Models;
use crate::reader::LogReader;
use crate::receipts::{ReceiptService, ServeError};
use crate::siem::Alerts;
use crate::status::Status;
use crate::telemetry::with_causes;

mod alerts;
mod decision;
mod look;
mod state;
mod summary;

/// The page; `npm run build` in `web/console` makes it.
const PAGE: &str = include_str!("../../web/console/dist/console.html");

/// What the page is told beside the policy that it carries itself.
const PAGE_POLICY: &str = "frame-ancestors 'none'";

/// Requests that are worked on at one time; further ones are told to come back.
const AT_ONCE: usize = 4;

/// Digits of a tree size.
const SIZE_DIGITS_MAX: usize = 19;

/// What the console shows. Clones stand for the same one.
#[derive(Clone)]
pub(crate) struct Console(Arc<Inner>);

struct Inner {
    facts: Facts,
    routes: Routes,
    status: Arc<Status>,
    metrics: Metrics,
    models: Arc<Models>,
    anchors: Arc<Anchors>,
    alerts: Arc<Alerts>,
    turns: Semaphore,
    open: OnceLock<Open>,
}

/// What the configuration says.
struct Facts {
    origin: String,
    writer: String,
    heartbeat: Duration,
}

/// What there is once the log is open.
struct Open {
    log: LogReader,
    receipts: ReceiptService,
    session: Arc<Session>,
    look: Mutex<Look>,
}

impl Console {
    /// The console of a sidecar whose log is not open yet.
    pub(crate) fn new(
        config: &Config,
        routes: &Routes,
        (status, metrics): (&Arc<Status>, &Metrics),
        (models, anchors, alerts): (&Arc<Models>, &Arc<Anchors>, &Arc<Alerts>),
    ) -> Self {
        let facts = Facts {
            origin: config.log.origin.to_string(),
            writer: config.writer.to_string(),
            heartbeat: config.heartbeat_interval,
        };
        Self(Arc::new(Inner {
            facts,
            routes: routes.clone(),
            status: Arc::clone(status),
            metrics: metrics.clone(),
            models: Arc::clone(models),
            anchors: Arc::clone(anchors),
            alerts: Arc::clone(alerts),
            turns: Semaphore::new(AT_ONCE),
            open: OnceLock::new(),
        }))
    }

    /// Says that the log is open.
    pub(crate) fn open(&self, log: &LogReader, receipts: ReceiptService, session: &Arc<Session>) {
        let look = Mutex::new(Look::new(self.0.heartbeat_ms()));
        let open = Open { log: log.clone(), receipts, session: Arc::clone(session), look };
        // Set once, by the one caller that builds the application.
        _ = self.0.open.set(open);
    }

    /// The routes on the admin port.
    pub(crate) fn router(&self) -> Router {
        let routes = Router::new().route("/console", get(page)).route("/console/state", get(state));
        routes.route("/console/decisions/{decision_id}", get(decision)).with_state(self.clone())
    }
}

impl Inner {
    fn heartbeat_ms(&self) -> u64 {
        u64::try_from(self.facts.heartbeat.as_millis()).unwrap_or(u64::MAX)
    }

    /// How everything stands, for somebody who knew a tree of `known` leaves. Blocks on the disk.
    fn state(&self, known: Option<TreeSize>) -> Json {
        let mut state = self.standing();
        if let (Some(open), Json::Object(fields)) = (self.open.get(), &mut state) {
            fields.insert("log".to_owned(), self.of_log(open, known));
            // A look takes its time; what it found is of now.
            fields.insert("now".to_owned(), system_clock().get().into());
        }
        state
    }
}

impl Open {
    fn look(&self) -> MutexGuard<'_, Look> {
        // What a panic left half read gives another root, and is then read again.
        self.look.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn page() -> Response<Body> {
    let mut response = guarded(Response::new(Body::from(PAGE)));
    put(&mut response, CONTENT_TYPE, "text/html; charset=utf-8");
    put(&mut response, CONTENT_SECURITY_POLICY, PAGE_POLICY);
    response
}

async fn state(State(console): State<Console>, RawQuery(query): RawQuery) -> Response<Body> {
    let Ok(known) = known(query.as_deref()) else {
        return refused(
            StatusCode::BAD_REQUEST,
            Code::Misuse,
            "ask for /console/state or /console/state?from=SIZE",
        );
    };
    let Ok(_turn) = console.0.turns.try_acquire() else { return busy() };
    let inner = Arc::clone(&console.0);
    match spawn_blocking(move || inner.state(known)).await {
        Ok(state) => guarded(recorder_http::answer(StatusCode::OK, &state)),
        Err(_) => refused(StatusCode::INTERNAL_SERVER_ERROR, Code::Internal, "a defect; report it"),
    }
}

async fn decision(State(console): State<Console>, Path(id): Path<String>) -> Response<Body> {
    let by_reference = || id.parse::<Reference>().map(Reference::decision);
    let Ok(decision) = DecisionId::parse(&id).or_else(|_| by_reference()) else {
        let what = "a decision id is a UUID in lower case; a reference is 28 letters and digits";
        return refused(StatusCode::BAD_REQUEST, Code::Misuse, what);
    };
    let Some(open) = console.0.open.get() else {
        return refused(StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable, "the log is being recovered");
    };
    let Ok(_turn) = console.0.turns.try_acquire() else { return busy() };
    match decision::shown(open, decision).await {
        Ok(shown) => guarded(recorder_http::answer(StatusCode::OK, &shown)),
        Err(error) => {
            let status = match (&error, error.code()) {
                (ServeError::Unknown, _) => StatusCode::NOT_FOUND,
                (_, Code::Unavailable) => StatusCode::SERVICE_UNAVAILABLE,
                _ => StatusCode::INTERNAL_SERVER_ERROR,
            };
            if status == StatusCode::INTERNAL_SERVER_ERROR {
                tracing::error!(%decision, error = with_causes(&error), code = %error.code(), "no proof");
            }
            refused(status, error.code(), &error.to_string())
        }
    }
}

/// The size in `from=SIZE`, if that is asked; an error for any other question.
fn known(query: Option<&str>) -> Result<Option<TreeSize>, ()> {
    let Some(query) = query else { return Ok(None) };
    let digits = query.strip_prefix("from=").ok_or(())?;
    let is_number = digits.len() <= SIZE_DIGITS_MAX && digits.bytes().all(|byte| byte.is_ascii_digit());
    let size = if is_number { digits.parse().ok() } else { None };
    size.map(|size| Some(TreeSize::new(size))).ok_or(())
}

fn busy() -> Response<Body> {
    let what = "several consoles ask at once; this one asks again by itself";
    let mut response = refused(StatusCode::TOO_MANY_REQUESTS, Code::Limit, what);
    put(&mut response, RETRY_AFTER, "2");
    response
}

fn refused(status: StatusCode, code: Code, what: &str) -> Response<Body> {
    guarded(recorder_http::refused(status, code, what))
}

/// The same answer, which nobody keeps, guesses the type of, embeds or reads from another origin.
fn guarded(mut response: Response<Body>) -> Response<Body> {
    put(&mut response, CACHE_CONTROL, "no-store");
    put(&mut response, REFERRER_POLICY, "no-referrer");
    put(&mut response, X_CONTENT_TYPE_OPTIONS, "nosniff");
    put(&mut response, HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    put(&mut response, HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    response
}

fn put(response: &mut Response<Body>, header: HeaderName, value: &'static str) {
    response.headers_mut().insert(header, HeaderValue::from_static(value));
}

impl std::fmt::Debug for Console {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Console").field("is_open", &self.0.open.get().is_some()).finish_non_exhaustive()
    }
}
