//! The log in its static layout, and receipts, over HTTP.
//!
//! Guarantees: paths are parsed strictly, so each file has one address; only what the published checkpoint covers is
//! served; the bytes are those of the store. A static file server on the store's `log` folder would serve the same.
//! Implements the reading side of C2SP tlog-tiles, section "HTTP".

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri};
use ledgerstone::code::Code;
use ledgerstone::cose::{COSE_TYPE, SCITT_RECEIPT_TYPE};
use ledgerstone::entry::{DecisionId, Reference};
use ledgerstone::tile::TilePath;
use tokio::task::spawn_blocking;

use crate::anchor::stored::{PublicAnchors, Served as ServedFile};
use crate::reader::LogReader;
use crate::receipts::{ErasedAt, Made, ReceiptService, ServeError};
use crate::telemetry::with_causes;

/// Media type of a receipt.
pub const RECEIPT_TYPE: &str = "application/vnd.ledgerstone.receipt+json";

/// Says of a receipt that its record was erased: the leaf index of the entry that says so, or `pending` while it is on its way.
const ERASED: &str = "ledgerstone-erased";

const TEXT: &str = "text/plain; charset=utf-8";
const BINARY: &str = "application/octet-stream";

/// For what changes: ask every time.
const NO_CACHE: &str = "no-cache";

/// For what never changes.
const IMMUTABLE: &str = "public, max-age=31536000, immutable";

/// For what is about a person.
const NO_STORE: &str = "no-store";

#[derive(Clone, Debug)]
struct Served {
    log: LogReader,
    receipts: ReceiptService,
    anchors: PublicAnchors,
}

/// The routes of the read side.
pub(crate) fn router(log: LogReader, receipts: ReceiptService, anchors: PublicAnchors) -> Router {
    Router::new().fallback(serve).with_state(Served { log, receipts, anchors })
}

async fn serve(State(served): State<Served>, method: Method, uri: Uri, headers: HeaderMap) -> Response<Body> {
    if !matches!(method, Method::GET | Method::HEAD) {
        let mut refused = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD");
        refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refused;
    }
    let path = uri.path();
    if path == "/checkpoint" {
        return found(TEXT, NO_CACHE, served.log.published().checkpoint.to_string());
    }
    if path == "/log.policy" {
        return found(TEXT, NO_CACHE, served.log.policy_text().to_owned());
    }
    if let Some(id) = path.strip_prefix("/receipts/") {
        return receipt(&served.receipts, id, Form::asked_for(&headers)).await;
    }
    if let Some(file) = path.strip_prefix("/anchors/") {
        return anchored(&served.anchors, file).await;
    }
    match path.strip_prefix('/').map(str::parse::<TilePath>) {
        Some(Ok(tile)) if path.starts_with("/tile/") => self::tile(&served.log, tile).await,
        _ => text(
            StatusCode::NOT_FOUND,
            "no such file: the log has /checkpoint, /log.policy, /tile/... and /anchors/...",
        ),
    }
}

async fn tile(log: &LogReader, path: TilePath) -> Response<Body> {
    if path.end() > log.published().size {
        return text(StatusCode::NOT_FOUND, "the published tree has no such tile");
    }
    let log = log.clone();
    match spawn_blocking(move || log.tile(&path)).await {
        Ok(Ok(bytes)) => found(BINARY, IMMUTABLE, bytes),
        Ok(Err(error)) => {
            tracing::error!(error = with_causes(&error), %path, "a tile of the published tree cannot be read");
            text(StatusCode::INTERNAL_SERVER_ERROR, "the tile cannot be read")
        }
        Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "the tile cannot be read because of a defect"),
    }
}

async fn anchored(anchors: &PublicAnchors, file: &str) -> Response<Body> {
    if file == "lanes" {
        return lanes(anchors.clone()).await;
    }
    let Some(file) = ServedFile::parse(file) else {
        return text(
            StatusCode::NOT_FOUND,
            "no such file: there is /anchors/lanes, and a lane has LANE/lane and LANE/00000001/statement",
        );
    };
    let cache = if file.is_final() { IMMUTABLE } else { NO_CACHE };
    let (anchors, shown) = (anchors.clone(), file.clone());
    match spawn_blocking(move || anchors.read(&file)).await {
        Ok(Ok(Some(bytes))) => found(BINARY, cache, bytes),
        Ok(Ok(None)) => text(StatusCode::NOT_FOUND, "no such file: it is not there, or not yet"),
        Ok(Err(error)) => {
            tracing::error!(error = with_causes(&error), file = %shown, "a file of an anchor cannot be read");
            text(StatusCode::INTERNAL_SERVER_ERROR, "the file cannot be read")
        }
        Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "the file cannot be read because of a defect"),
    }
}

/// The names of the lanes, for whoever wants all of them.
async fn lanes(anchors: PublicAnchors) -> Response<Body> {
    match spawn_blocking(move || anchors.lanes()).await {
        Ok(Ok(names)) => found(TEXT, NO_CACHE, names.into_bytes()),
        Ok(Err(error)) => {
            tracing::error!(error = with_causes(&error), "the anchors cannot be listed");
            text(StatusCode::INTERNAL_SERVER_ERROR, "the anchors cannot be listed")
        }
        Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "the anchors cannot be listed because of a defect"),
    }
}

/// The media types that the caller's `Accept` names, in its order.
pub(crate) fn accepted(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let accepted = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accepted.split(',').map(|kind| kind.split(';').next().unwrap_or_default().trim())
}

/// The forms in which a receipt is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// The whole receipt file.
    File,
    /// The COSE receipt alone, under one of its media types.
    Cose(&'static str),
}

impl Form {
    /// What the caller's `Accept` names first of what there is; the file where it names neither.
    fn asked_for(headers: &HeaderMap) -> Self {
        let known = accepted(headers).filter_map(|kind| match kind {
            "application/cose" => Some(Self::Cose(COSE_TYPE)),
            SCITT_RECEIPT_TYPE => Some(Self::Cose(SCITT_RECEIPT_TYPE)),
            RECEIPT_TYPE | "application/json" | "*/*" => Some(Self::File),
            _ => None,
        });
        known.into_iter().next().unwrap_or(Self::File)
    }
}

async fn receipt(receipts: &ReceiptService, id: &str, form: Form) -> Response<Body> {
    let by_reference = || id.parse::<Reference>().map(Reference::decision);
    let Ok(decision) = DecisionId::parse(id).or_else(|_| by_reference()) else {
        return text(
            StatusCode::BAD_REQUEST,
            "a decision id is a UUID in lower case; a reference is 28 letters and digits",
        );
    };
    match receipts.receipt(decision, None).await {
        Ok(Made { receipt, erased }) => {
            let mut response = match (form, receipt.cose()) {
                (Form::File, _) => found(RECEIPT_TYPE, NO_STORE, receipt.to_json()),
                (Form::Cose(kind), Some(cose)) => found(kind, NO_STORE, cose.encode()),
                (Form::Cose(_), None) => text(
                    StatusCode::NOT_ACCEPTABLE,
                    "this log has no receipt key, so it gives no COSE receipts (receipt.key_file)",
                ),
            };
            if let Some(ErasedAt(at)) = erased {
                let at = at.map_or_else(|| "pending".to_owned(), |index| index.to_string());
                if let Ok(at) = HeaderValue::try_from(at) {
                    response.headers_mut().insert(ERASED, at);
                }
            }
            response
        }
        Err(error) => {
            let status = match (&error, error.code()) {
                (ServeError::Unknown, _) => StatusCode::NOT_FOUND,
                (_, Code::Unavailable) => StatusCode::SERVICE_UNAVAILABLE,
                _ => StatusCode::INTERNAL_SERVER_ERROR,
            };
            if status == StatusCode::INTERNAL_SERVER_ERROR {
                tracing::error!(%decision, error = with_causes(&error), code = %error.code(), "no receipt");
            }
            text(status, &error.to_string())
        }
    }
}

fn found(kind: &'static str, cache: &'static str, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static(cache));
    response
}

fn text(status: StatusCode, message: &str) -> Response<Body> {
    let mut response = found(TEXT, NO_STORE, format!("{message}\n"));
    *response.status_mut() = status;
    response
}
