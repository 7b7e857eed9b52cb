//! `POST /decisions/{decision_id}/link` on the recorder's port: makes a link, for the operator's own systems.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, Response, StatusCode};
use axum::routing::post;
use ledgerstone::code::Code;
use ledgerstone::entry::{DecisionId, Reference};
use serde::Deserialize;
use serde_json::{Value as Json, json};
use tokio::task::spawn_blocking;

use super::{LinkMaker, MakeError};

/// Bytes of a request: `{"expires": "30d"}`.
const REQUEST_BYTES_MAX: usize = 1024;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    expires: Option<String>,
}

/// The route; nothing where links are not configured.
pub(crate) fn router(maker: Option<LinkMaker>) -> Router {
    let Some(maker) = maker else { return Router::new() };
    Router::new().route("/decisions/{decision_id}/link", post(make)).with_state(Arc::new(maker))
}

async fn make(
    State(maker): State<Arc<LinkMaker>>,
    Path(decision_id): Path<String>,
    request: Request,
) -> Response<Body> {
    let by_reference = || decision_id.parse::<Reference>().map(Reference::decision);
    let Ok(decision) = decision_id.parse::<DecisionId>().or_else(|_| by_reference()) else {
        return refused(
            StatusCode::BAD_REQUEST,
            Code::Misuse,
            "decision_id: neither a decision id nor a reference",
        );
    };
    let Ok(body) = to_bytes(request.into_body(), REQUEST_BYTES_MAX).await else {
        return refused(
            StatusCode::PAYLOAD_TOO_LARGE,
            Code::Limit,
            "the body is larger than any request for a link",
        );
    };
    let asked = if body.is_empty() { Ok(Asked::default()) } else { serde_json::from_slice(&body) };
    let Ok(Asked { expires }) = asked else {
        return refused(StatusCode::BAD_REQUEST, Code::Misuse, "the body is not {\"expires\": TIME}");
    };
    let made = spawn_blocking(move || maker.make(decision, expires.as_deref())).await;
    match made {
        Ok(Ok(made)) => answer(
            StatusCode::CREATED,
            &json!({
                "url": made.url,
                "reference": made.reference().to_string(),
                "expires_at": made.expires.to_string(),
            }),
        ),
        Ok(Err(error)) => failed(&error),
        Err(_) => {
            refused(StatusCode::INTERNAL_SERVER_ERROR, Code::Internal, "no link was made because of a defect")
        }
    }
}

fn failed(error: &MakeError) -> Response<Body> {
    let status = match (error, error.code()) {
        (MakeError::Unknown { .. }, _) => StatusCode::NOT_FOUND,
        (MakeError::Time | MakeError::TooLong { .. }, _) => StatusCode::BAD_REQUEST,
        _ => {
            tracing::error!(%error, "no link was made");
            StatusCode::SERVICE_UNAVAILABLE
        }
    };
    refused(status, error.code(), &error.to_string())
}

fn refused(status: StatusCode, code: Code, what: &str) -> Response<Body> {
    answer(status, &json!({ "code": code.as_str(), "message": what }))
}

fn answer(status: StatusCode, body: &Json) -> Response<Body> {
    let mut response = Response::new(Body::from(format!("{body}\n")));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
