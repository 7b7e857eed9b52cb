//! Histories as JSON: `POST /decisions/{decision_id}/{kind}` adds, `GET /decisions/{decision_id}` reads.

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, Response, StatusCode};
use axum::routing::{get, post};
use bytes::Bytes;
use ledgerstone::code::Code;
use ledgerstone::encoding::base64_encode;
use serde_json::{Map, Value as Json, json};

use super::super::decision;
use super::{kind, path};
use crate::access::Origin;
use crate::history::{Added, Addition, Histories, HistoryError, Part, Told};
use crate::receipts::ServeError;
use crate::telemetry::with_causes;
use crate::value::{fields_to_json, from_json};

/// Bytes of one addition.
pub(crate) const ADDITION_BYTES_MAX: usize = 1024 * 1024;

/// The routes.
pub(crate) fn router(histories: Histories) -> Router {
    Router::new()
        .route("/decisions/{decision_id}", get(read))
        .route("/decisions/{decision_id}/{kind}", post(add))
        .layer(DefaultBodyLimit::max(ADDITION_BYTES_MAX))
        .with_state(histories)
}

async fn add(
    State(histories): State<Histories>,
    Path((decision_id, kind)): Path<(String, String)>,
    request: Request,
) -> Response<Body> {
    let caller = Origin::of(request.extensions());
    let body = match <Bytes as axum::extract::FromRequest<_>>::from_request(request, &()).await {
        Ok(body) => body,
        Err(error) => return unread(&error),
    };
    let addition = addition(&decision_id, &kind, &body).map(|addition| Addition { caller, ..addition });
    let addition = match addition {
        Ok(addition) => addition,
        Err(what) => return refused(StatusCode::BAD_REQUEST, Code::Misuse, &what),
    };
    match histories.add(addition).await {
        Ok(Added { proved, repeated }) => {
            let proof: Vec<String> = proved.proof.iter().map(|hash| base64_encode(hash.as_bytes())).collect();
            let status = if repeated { StatusCode::OK } else { StatusCode::CREATED };
            answer(
                status,
                &json!({
                    "leaf_index": proved.index.get(),
                    "entry": base64_encode(&proved.entry),
                    "tree_size": proved.size.get(),
                    "proof": proof,
                    "checkpoint": proved.checkpoint,
                    "repeated": repeated,
                }),
            )
        }
        Err(error) => failed(&error),
    }
}

async fn read(
    State(histories): State<Histories>,
    Path(decision_id): Path<String>,
    request: Request,
) -> Response<Body> {
    let who = Origin::of(request.extensions());
    let decision = match decision(&decision_id) {
        Ok(decision) => decision,
        Err(what) => return refused(StatusCode::BAD_REQUEST, Code::Misuse, &what),
    };
    match histories.read(decision, &who).await {
        Ok(history) => answer(
            StatusCode::OK,
            &json!({
                "decision_id": decision.to_string(),
                "entries": history.entries.iter().map(told).collect::<Vec<_>>(),
                "tree_size": history.size.get(),
            }),
        ),
        Err(error) => failed(&error),
    }
}

/// One entry of a history, for a person to read.
pub(crate) fn told(told: &Told) -> Json {
    let (record, fields) = match &told.record {
        Part::Opened(record) => ("opened", fields_to_json(record.fields())),
        Part::None => ("none", Map::new()),
        Part::Closed => ("closed", Map::new()),
        Part::Erased(_) => ("erased", Map::new()),
    };
    json!({
        "leaf_index": told.index.get(),
        "kind": told.entry.kind.as_str(),
        "recorded_at": told.entry.recorded_at.to_string(),
        "record": record,
        "fields": fields,
    })
}

/// `{"request_id": ..., "fields": {path: value, ...}}`.
fn addition(decision_id: &str, kind: &str, body: &[u8]) -> Result<Addition, String> {
    let body: Json =
        serde_json::from_slice(body).map_err(|error| format!("the body is not JSON: {error}"))?;
    let Json::Object(mut body) = body else { return Err("the body is not a JSON object".to_owned()) };
    let request = match body.remove("request_id") {
        None => None,
        Some(Json::String(request)) => Some(request),
        Some(_) => return Err("request_id is not text".to_owned()),
    };
    let Some(Json::Object(fields)) = body.remove("fields") else {
        return Err("fields is missing, or not an object of paths and values".to_owned());
    };
    if let Some(key) = body.keys().next() {
        return Err(format!("unknown key `{}`; there are request_id and fields", key.escape_debug()));
    }
    let fields = fields.iter().map(|(text, value)| {
        let path = path(text)?;
        let value = from_json(&path, value)?;
        Ok((path, value))
    });
    Ok(Addition {
        decision: decision(decision_id)?,
        kind: self::kind(kind)?,
        request,
        fields: fields.collect::<Result<_, String>>()?,
        caller: Origin::default(),
    })
}

fn unread(error: &BytesRejection) -> Response<Body> {
    let status = error.status();
    let (code, what) = match status {
        StatusCode::PAYLOAD_TOO_LARGE => {
            (Code::Limit, format!("an addition has at most {ADDITION_BYTES_MAX} bytes"))
        }
        _ => (Code::Misuse, "the body could not be read".to_owned()),
    };
    refused(status, code, &what)
}

fn failed(error: &HistoryError) -> Response<Body> {
    let status = match (error, error.code()) {
        (HistoryError::Decision(ServeError::Unknown), _) => StatusCode::NOT_FOUND,
        (HistoryError::OtherRequest { .. }, _) => StatusCode::CONFLICT,
        (HistoryError::Erased, _) => StatusCode::GONE,
        (_, Code::Misuse) => StatusCode::BAD_REQUEST,
        (_, Code::Limit) => StatusCode::TOO_MANY_REQUESTS,
        (_, Code::Unavailable) => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    if status == StatusCode::INTERNAL_SERVER_ERROR {
        tracing::error!(error = with_causes(error), code = %error.code(), "no history");
    }
    refused(status, error.code(), &error.to_string())
}

pub(crate) fn refused(status: StatusCode, code: Code, what: &str) -> Response<Body> {
    answer(status, &json!({ "code": code.as_str(), "message": what }))
}

pub(crate) fn answer(status: StatusCode, body: &Json) -> Response<Body> {
    let mut response = Response::new(Body::from(format!("{body}\n")));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
