//! The listener that people outside reach: `/r/TOKEN` opens a receipt, `/` takes a reference.
//!
//! Guarantees: it serves receipts of open links and nothing else of the log; no log line holds a token, a reference or an address; every
//! answer is kept out of caches and says no referrer; guesses are limited. Does not do: TLS, which the listener does where `server.tls` is set.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, RETRY_AFTER, VARY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use ledgerstone::cose::{COSE_TYPE, SCITT_RECEIPT_TYPE};
use ledgerstone::entry::{DecisionId, Reference};
use ledgerstone::receipt::Receipt;
use ledgerstone::time::UnixMillis;
use tokio::sync::Semaphore;

use super::limit::Bucket;
use super::{LinkBook, LinkError, Token, page};
use crate::api::http::{RECEIPT_TYPE, accepted};
use crate::driver::system_clock;
use crate::receipts::{ReceiptService, ServeError};

const HTML: &str = "text/html; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

/// Addresses that open nothing: at 160 bits a token, this many a second find one in 10^38 years.
const MISSES_PER_SECOND: f64 = 20.0;
const MISSES_AT_ONCE: f64 = 100.0;

/// Receipts that are made in a second for all who ask; each takes some milliseconds and a few reads of the disk.
const RECEIPTS_PER_SECOND: f64 = 50.0;
const RECEIPTS_AT_ONCE: f64 = 100.0;

/// Receipts that are made at one time.
const IN_FLIGHT_MAX: usize = 8;

/// Bytes of the form: `reference=` and three times the 64 that a reference may have.
const FORM_BYTES_MAX: usize = 256;

/// What the listener needs.
struct Served {
    links: LinkBook,
    receipts: ReceiptService,
    policy: Arc<str>,
    misses: Bucket,
    made: Bucket,
    in_flight: Semaphore,
}

/// The routes of the listener.
pub(crate) fn router(links: LinkBook, receipts: ReceiptService, policy: &str) -> Router {
    let served = Served {
        links,
        receipts,
        policy: policy.into(),
        misses: Bucket::new(MISSES_PER_SECOND, MISSES_AT_ONCE),
        made: Bucket::new(RECEIPTS_PER_SECOND, RECEIPTS_AT_ONCE),
        in_flight: Semaphore::new(IN_FLIGHT_MAX),
    };
    Router::new().fallback(serve).with_state(Arc::new(served))
}

async fn serve(State(served): State<Arc<Served>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    match (&parts.method, path.strip_prefix("/r/")) {
        (&Method::GET | &Method::HEAD, Some(token)) => {
            let token = Token::parse(token).filter(|_| !token.contains('/'));
            served.open(token.as_ref(), &parts.headers).await
        }
        (&Method::GET | &Method::HEAD, None) if path == "/" => small(StatusCode::OK, page::form()),
        (&Method::POST, None) if path == "/find" => served.look_up(body, &parts.headers).await,
        (&Method::GET | &Method::HEAD, None) => served.miss(),
        _ => refused(
            StatusCode::METHOD_NOT_ALLOWED,
            "only GET and HEAD, and POST to /find",
            ALLOW,
            "GET, HEAD",
        ),
    }
}

impl Served {
    /// Answers with the receipt that the token opens.
    async fn open(&self, token: Option<&Token>, headers: &HeaderMap) -> Response<Body> {
        let found = token.map_or(Ok(None), |token| self.links.find(token, now()));
        match found {
            Ok(Some(link)) => self.receipt(link.decision, headers).await,
            Ok(None) => self.miss(),
            Err(error) => broken(&error),
        }
    }

    /// Answers with the receipt that a reference means, while a link to it is open.
    async fn look_up(&self, body: Body, headers: &HeaderMap) -> Response<Body> {
        let Ok(form) = to_bytes(body, FORM_BYTES_MAX).await else { return self.miss() };
        let Some(decision) = reference_in(&form).map(Reference::decision) else { return self.miss() };
        match self.links.is_open(decision, now()) {
            Ok(true) => self.receipt(decision, headers).await,
            Ok(false) => self.miss(),
            Err(error) => broken(&error),
        }
    }

    async fn receipt(&self, decision: DecisionId, headers: &HeaderMap) -> Response<Body> {
        let Ok(_turn) = self.in_flight.try_acquire() else { return busy() };
        if !self.made.takes(Instant::now()) {
            return busy();
        }
        match self.receipts.receipt(decision, None).await {
            Ok(made) => self.answer(&made.receipt, headers),
            Err(ServeError::Unknown) => self.miss(),
            Err(error) => {
                tracing::error!(%decision, %error, code = %error.code(), "no receipt behind a link");
                refused(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "the receipt cannot be made now; try again later",
                    RETRY_AFTER,
                    "60",
                )
            }
        }
    }

    /// The receipt in the form that the caller names first, or as a page.
    fn answer(&self, receipt: &Receipt, headers: &HeaderMap) -> Response<Body> {
        for kind in accepted(headers) {
            match (kind, receipt.cose()) {
                ("text/html", _) => break,
                (RECEIPT_TYPE | "application/json", _) => return data(RECEIPT_TYPE, receipt.to_json()),
                ("application/cose", Some(cose)) => return data(COSE_TYPE, cose.encode()),
                (SCITT_RECEIPT_TYPE, Some(cose)) => return data(SCITT_RECEIPT_TYPE, cose.encode()),
                _ => {}
            }
        }
        let page = page::with_receipt(&receipt.to_json(), &self.policy);
        let mut response = data(HTML, page);
        put(&mut response, CONTENT_SECURITY_POLICY, page::PAGE_POLICY);
        response
    }

    /// One answer for every address that opens nothing.
    fn miss(&self) -> Response<Body> {
        if self.misses.takes(Instant::now()) { small(StatusCode::NOT_FOUND, page::none()) } else { busy() }
    }
}

/// The reference in a form's body. Percent escapes are not needed for what a reference has, a plus is a space.
fn reference_in(form: &[u8]) -> Option<Reference> {
    let form = std::str::from_utf8(form).ok()?;
    let typed = form.split('&').find_map(|pair| pair.strip_prefix("reference="))?;
    typed.replace('+', " ").parse().ok()
}

fn now() -> UnixMillis {
    system_clock()
}

fn small(status: StatusCode, page: String) -> Response<Body> {
    let mut response = data(HTML, page);
    *response.status_mut() = status;
    if let Ok(policy) = HeaderValue::from_str(&page::small_policy()) {
        response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    }
    response
}

fn busy() -> Response<Body> {
    refused(StatusCode::TOO_MANY_REQUESTS, "too many requests; try again in a moment", RETRY_AFTER, "2")
}

fn broken(error: &LinkError) -> Response<Body> {
    tracing::error!(%error, "links cannot be looked up");
    refused(
        StatusCode::SERVICE_UNAVAILABLE,
        "links cannot be looked up now; try again later",
        RETRY_AFTER,
        "60",
    )
}

fn refused(status: StatusCode, text: &str, header: HeaderName, value: &'static str) -> Response<Body> {
    let mut response = data(TEXT, format!("{text}\n"));
    *response.status_mut() = status;
    put(&mut response, header, value);
    response
}

/// An answer that nobody keeps, guesses the type of, indexes or hands on the address of.
fn data(kind: &'static str, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    put(&mut response, CONTENT_TYPE, kind);
    put(&mut response, CACHE_CONTROL, "no-store");
    put(&mut response, REFERRER_POLICY, "no-referrer");
    put(&mut response, X_CONTENT_TYPE_OPTIONS, "nosniff");
    put(&mut response, VARY, "Accept");
    put(&mut response, HeaderName::from_static("x-robots-tag"), "noindex, nofollow");
    response
}

fn put(response: &mut Response<Body>, header: HeaderName, value: &'static str) {
    response.headers_mut().insert(header, HeaderValue::from_static(value));
}
