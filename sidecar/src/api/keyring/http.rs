//! The keyring as JSON: `POST /erasures`, `/holds`, `/releases`, `/retention`, `/keyring/backup`, `/keyring/rotate`, and
//! `GET /keyring`.

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{Response, StatusCode};
use axum::routing::{get, post};
use bytes::Bytes;
use ledgerstone::code::Code;
use ledgerstone::proto::ledgerstone_v1::target::Kind;
use ledgerstone::proto::ledgerstone_v1::{EraseRequest, HoldRequest, ReleaseRequest, SweepRequest, Target};
use serde::Deserialize;
use serde_json::json;

use super::super::recorder_http::{answer, refused};
use super::{KeyringApi, Refused};
use crate::approvals;
use crate::telemetry::with_causes;

/// Bytes of one request: a reference of 64 KiB, escaped.
const REQUEST_BYTES_MAX: usize = 512 * 1024;

/// The routes.
pub(crate) fn router(api: KeyringApi) -> Router {
    Router::new()
        .route("/erasures", post(erase))
        .route("/holds", post(hold))
        .route("/releases", post(release))
        .route("/retention", post(sweep))
        .route("/keyring", get(standing))
        .route("/keyring/backup", post(back_up))
        .route("/keyring/rotate", post(rotate))
        .layer(DefaultBodyLimit::max(REQUEST_BYTES_MAX))
        .with_state(api)
}

/// What a request may say.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Said {
    subject: Option<String>,
    decision_id: Option<String>,
    hold_id: String,
    ground: String,
    operator: String,
}

impl Said {
    fn read(body: &Bytes) -> Result<Self, Refused> {
        // The parser's own words may repeat what was sent.
        serde_json::from_slice(body).map_err(|_| {
            Refused::Request(
                "the body is a JSON object of subject or decision_id, hold_id, ground and operator",
            )
        })
    }

    fn target(&mut self) -> Option<Target> {
        let kind = match (self.subject.take(), self.decision_id.take()) {
            (Some(subject), None) => Kind::Subject(subject),
            (None, Some(decision)) => Kind::DecisionId(decision),
            _ => return None,
        };
        Some(Target { kind: Some(kind) })
    }
}

async fn erase(State(api): State<KeyringApi>, body: Bytes) -> Response<Body> {
    let done = async {
        let mut said = Said::read(&body)?;
        let target = said.target();
        api.erase(EraseRequest { target, ground: said.ground, operator: said.operator }).await
    };
    match done.await {
        Ok(erased) => answer(
            if erased.erased { StatusCode::OK } else { StatusCode::CONFLICT },
            &json!({
                "erased": erased.erased,
                "outcome": erased.outcome,
                "erasure_id": erased.erasure_id,
                "keys": erased.keys,
                "records": erased.records,
                "leaf_indices": erased.leaf_indices,
            }),
        ),
        Err(error) => failed(&error),
    }
}

async fn hold(State(api): State<KeyringApi>, body: Bytes) -> Response<Body> {
    let done = async {
        let mut said = Said::read(&body)?;
        let target = said.target();
        api.hold(HoldRequest { target, operator: said.operator }).await
    };
    match done.await {
        Ok(held) => {
            answer(StatusCode::CREATED, &json!({ "hold_id": held.hold_id, "leaf_index": held.leaf_index }))
        }
        Err(error) => failed(&error),
    }
}

async fn release(State(api): State<KeyringApi>, body: Bytes) -> Response<Body> {
    let done = async {
        let said = Said::read(&body)?;
        api.release(ReleaseRequest { hold_id: said.hold_id, operator: said.operator }).await
    };
    match done.await {
        Ok(released) => answer(StatusCode::OK, &json!({ "leaf_index": released.leaf_index })),
        Err(error) => failed(&error),
    }
}

async fn sweep(State(api): State<KeyringApi>, body: Bytes) -> Response<Body> {
    let done = async {
        let said = Said::read(&body)?;
        api.sweep(SweepRequest { operator: said.operator }).await
    };
    match done.await {
        Ok(swept) => answer(
            StatusCode::OK,
            &json!({ "keys": swept.keys, "records": swept.records, "more": swept.more }),
        ),
        Err(error) => failed(&error),
    }
}

async fn standing(State(api): State<KeyringApi>) -> Response<Body> {
    match api.standing().await {
        Ok(ring) => answer(
            StatusCode::OK,
            &json!({
                "key_encryption_key": ring.key_encryption_key,
                "keys": ring.keys,
                "pooled": ring.pooled,
                "destroyed": ring.destroyed,
                "holds": ring.holds,
                "unfinished": ring.unfinished,
                "size": ring.size,
                "backups": ring.backups,
                "bytes": ring.bytes,
                "to_rotate": ring.to_rotate,
            }),
        ),
        Err(error) => failed(&error),
    }
}

async fn back_up(State(api): State<KeyringApi>) -> Response<Body> {
    match api.back_up().await {
        Ok(copy) => answer(StatusCode::CREATED, &json!({ "path": copy.path })),
        Err(error) => failed(&error),
    }
}

/// The body is empty, or the approval as it was signed.
async fn rotate(State(api): State<KeyringApi>, approval: Bytes) -> Response<Body> {
    match api.rotate(approval).await {
        Ok(rotated) => {
            let mut told = json!({ "keys": rotated.keys, "left": rotated.left });
            if let (Some(index), Some(told)) = (rotated.approved_at, told.as_object_mut()) {
                told.insert("approved_at".to_owned(), index.into());
            }
            answer(StatusCode::OK, &told)
        }
        Err(error) => failed(&error),
    }
}

fn failed(error: &Refused) -> Response<Body> {
    let error = match error {
        Refused::Request(what) => return refused(StatusCode::BAD_REQUEST, Code::Misuse, what),
        Refused::Approval(error) => {
            let (grpc, code) = approvals::refused(error);
            let status = match grpc {
                tonic::Code::AlreadyExists => StatusCode::CONFLICT,
                tonic::Code::InvalidArgument => StatusCode::BAD_REQUEST,
                tonic::Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
                _ => StatusCode::FORBIDDEN,
            };
            return refused(status, code, &error.to_string());
        }
        Refused::Session(error) => {
            return refused(StatusCode::SERVICE_UNAVAILABLE, error.code(), &error.to_string());
        }
        Refused::Error(error) => error,
    };
    let status = match error.code() {
        _ if error.is_not_found() => StatusCode::NOT_FOUND,
        Code::Misuse => StatusCode::BAD_REQUEST,
        Code::Limit => StatusCode::TOO_MANY_REQUESTS,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    if status == StatusCode::INTERNAL_SERVER_ERROR {
        tracing::error!(error = with_causes(error), code = %error.code(), "the keyring");
    }
    refused(status, error.code(), &error.to_string())
}

#[cfg(test)]
mod tests {
    use ledgerstone::approval::{ApprovalError, ChangeKind};
    use ledgerstone::merkle::LeafIndex;

    use super::*;

    #[test]
    fn a_change_is_refused_over_http_as_it_is_over_grpc() {
        let kind = ChangeKind::Key;
        for (error, http, grpc) in [
            (ApprovalError::Missing { kind, need: 2, of: 3 }, 403, tonic::Code::PermissionDenied),
            (ApprovalError::NotAsked { kind }, 400, tonic::Code::InvalidArgument),
            (ApprovalError::Used { index: LeafIndex::new(7) }, 409, tonic::Code::AlreadyExists),
            (ApprovalError::Full, 429, tonic::Code::ResourceExhausted),
        ] {
            assert_eq!(tonic::Status::from(Refused::Approval(error.clone())).code(), grpc);
            assert_eq!(failed(&Refused::Approval(error)).status().as_u16(), http);
        }
    }
}
