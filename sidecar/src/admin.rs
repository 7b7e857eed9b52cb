//! The admin port: `/live`, `/ready`, `/metrics`, `/models`, `/anchors`, `/hardening`, `/siem`; beside them the console
//! (`crate::console`), and `/status`, which is the application's.
//!
//! Guarantees: it answers from the moment the sidecar has its ports, so a long recovery is seen as live and not ready;
//! `/live` fails only where a restart is the remedy.
//! Does not do: anything that changes the sidecar, or that says a word about a decision.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::anchor::Anchors;
use crate::metrics::Metrics;
use crate::models::Models;
use crate::siem::Export;
use crate::status::Status;

#[derive(Clone)]
struct Admin {
    status: Arc<Status>,
    metrics: Metrics,
    models: Arc<Models>,
    anchors: Arc<Anchors>,
}

/// The routes of the admin port about the export.
pub(crate) fn siem(export: &Arc<Export>) -> Router {
    Router::new().route("/siem", get(exported)).with_state(Arc::clone(export))
}

async fn exported(State(export): State<Arc<Export>>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], export.to_json())
}

/// The routes of the admin port.
pub(crate) fn router(
    status: Arc<Status>,
    metrics: Metrics,
    models: Arc<Models>,
    anchors: Arc<Anchors>,
) -> Router {
    let admin = Admin { status, metrics, models, anchors };
    let routes = Router::new().route("/live", get(live)).route("/ready", get(ready));
    let routes = routes.route("/metrics", get(render)).route("/models", get(standings));
    routes.route("/anchors", get(anchored)).route("/hardening", get(hardening)).with_state(admin)
}

async fn live(State(admin): State<Admin>) -> (StatusCode, String) {
    match admin.status.live() {
        Ok(()) => (StatusCode::OK, "live\n".to_owned()),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("not live: {reason}\n")),
    }
}

async fn ready(State(admin): State<Admin>) -> (StatusCode, String) {
    admin.status.look();
    match admin.status.ready() {
        Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {reason}\n")),
    }
}

async fn standings(State(admin): State<Admin>) -> String {
    admin.models.to_text()
}

async fn anchored(State(admin): State<Admin>) -> String {
    admin.anchors.to_text()
}

async fn hardening(State(admin): State<Admin>) -> String {
    let unknown = || "not told: the program that runs this sidecar hardened nothing\n".to_owned();
    admin.status.hardening().map_or_else(unknown, ToString::to_string)
}

async fn render(State(admin): State<Admin>, headers: HeaderMap) -> Response {
    admin.metrics.respond(&headers)
}
