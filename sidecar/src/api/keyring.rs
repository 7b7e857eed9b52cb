//! `ledgerstone.v1.Keyring`, and the same as JSON over HTTP.
//!
//! Guarantees: both ways end in the same [`Erasures`], so what one refuses the other does. The reference of a person is in
//! requests only: no answer, log line or metric has it (INV-8). Does not do: asking who asks; it is served beside the Recorder.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ledgerstone::approval::ApprovalError;
use ledgerstone::code::Code;
use ledgerstone::entry::{DecisionId, ErasureOutcome, Ground, HoldId, RegisteredName};
use ledgerstone::proto::ledgerstone_v1::keyring_server::Keyring as Service;
use ledgerstone::proto::ledgerstone_v1::target::Kind;
use ledgerstone::proto::ledgerstone_v1::{
    BackUpRequest, BackUpResponse, EraseRequest, EraseResponse, GetKeyringRequest, GetKeyringResponse,
    HoldRequest, HoldResponse, ReleaseRequest, ReleaseResponse, RotateRequest, RotateResponse, SweepRequest,
    SweepResponse, Target as Message,
};
use ledgerstone::siem::Fact;
use tokio::task::spawn_blocking;
use tonic::{Request, Response, Status};

use super::registry::refused as unapproved;
use super::{status, status_of};
use crate::approvals::Approvals;
use crate::erasure::{EraseError, Erasures, Target};
use crate::intercept::SessionError;
use crate::intercept::recorder::now;
use crate::keyring::{Keyring, RingError};
use crate::retention;
use crate::siem::Alerts;

mod approve;
pub(crate) mod http;

/// How long one call wraps keys anew before it says how far it is.
const ROTATE_FOR: Duration = Duration::from_secs(1);

/// Serves the keyring over gRPC. Clones stand for the same one.
#[derive(Clone, Debug)]
pub struct KeyringApi {
    erasures: Erasures,
    approvals: Arc<Approvals>,
    alerts: Option<Arc<Alerts>>,
}

impl KeyringApi {
    /// Serves what `erasures` do; `approvals` says whether another key-encryption key may come into force.
    #[must_use]
    pub fn new(erasures: Erasures, approvals: Arc<Approvals>) -> Self {
        Self { erasures, approvals, alerts: None }
    }

    /// Tells `alerts` when keys are wrapped anew or copied.
    #[must_use]
    pub fn with_alerts(self, alerts: Arc<Alerts>) -> Self {
        Self { alerts: Some(alerts), ..self }
    }

    fn used(&self, purpose: &str) {
        if let Some(alerts) = &self.alerts {
            let key = self.erasures.ring().provider().key_id().to_string();
            alerts.raise(Fact::KeyUse { key, purpose: purpose.to_owned() });
        }
    }

    async fn erase(&self, request: EraseRequest) -> Result<EraseResponse, Refused> {
        let EraseRequest { target, ground, operator } = request;
        let ground = Ground::from_word(&ground)
            .ok_or(Refused::Request("ground is subject-request, retention-expired or legal-order"))?;
        let erased = self.erasures.erase(self::target(target)?, ground, self::operator(&operator)?).await?;
        Ok(EraseResponse {
            erased: erased.outcome == ErasureOutcome::Erased,
            outcome: erased.outcome.as_str().to_owned(),
            erasure_id: erased.id.to_string(),
            keys: erased.keys,
            records: erased.records,
            leaf_indices: erased.entries.iter().map(|index| index.get()).collect(),
        })
    }

    async fn hold(&self, request: HoldRequest) -> Result<HoldResponse, Refused> {
        let HoldRequest { target, operator } = request;
        let (id, index) = self.erasures.hold(self::target(target)?, self::operator(&operator)?).await?;
        Ok(HoldResponse { hold_id: id.to_string(), leaf_index: index.get() })
    }

    async fn release(&self, request: ReleaseRequest) -> Result<ReleaseResponse, Refused> {
        let ReleaseRequest { hold_id, operator } = request;
        let id = HoldId::parse(&hold_id).map_err(|_| Refused::Request("hold_id is no UUID"))?;
        let index = self.erasures.release(id, self::operator(&operator)?).await?;
        Ok(ReleaseResponse { leaf_index: index.get() })
    }

    async fn sweep(&self, request: SweepRequest) -> Result<SweepResponse, Refused> {
        let swept = retention::sweep(&self.erasures, &operator(&request.operator)?).await?;
        Ok(SweepResponse { keys: swept.keys, records: swept.records, more: swept.more })
    }

    async fn standing(&self) -> Result<GetKeyringResponse, Refused> {
        self.with(|ring| {
            ring.count();
            let counts = ring.counts();
            Ok(GetKeyringResponse {
                key_encryption_key: ring.provider().key_id().to_string(),
                keys: counts.assigned,
                pooled: counts.pooled,
                destroyed: counts.destroyed,
                holds: counts.holds,
                unfinished: counts.unfinished,
                size: ring.covered().borrow().get(),
                backups: ring.backups()? as u64,
                bytes: counts.bytes,
                to_rotate: ring.to_rotate()?,
            })
        })
        .await
    }

    async fn back_up(&self) -> Result<BackUpResponse, Refused> {
        self.used("copy of the keyring");
        self.with(|ring| Ok(BackUpResponse { path: ring.back_up(now().get())?.display().to_string() })).await
    }

    async fn rotate(&self, approval: Bytes) -> Result<RotateResponse, Refused> {
        let wanted = self.approvals.wanted_key();
        let in_force = self.erasures.ring().provider().key_id().as_str() == wanted.as_str();
        let session = Arc::clone(self.erasures.session());
        if let Some(index) = approve::key(Arc::clone(&self.approvals), session, in_force, approval).await? {
            return Ok(RotateResponse { keys: 0, left: 0, approved_at: Some(index.get()) });
        }
        self.used("wrapping of keys anew");
        self.with(|ring| {
            let (until, mut keys) = (Instant::now() + ROTATE_FOR, 0);
            loop {
                let (done, more) = ring.rotate()?;
                keys += done;
                if !more || Instant::now() >= until {
                    return Ok(RotateResponse {
                        keys,
                        left: if more { ring.to_rotate()? } else { 0 },
                        approved_at: None,
                    });
                }
            }
        })
        .await
    }

    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Keyring) -> Result<T, RingError> + Send + 'static,
    ) -> Result<T, Refused> {
        let ring = Arc::clone(self.erasures.ring());
        let done = spawn_blocking(move || work(&ring)).await.map_err(|_| EraseError::Defect)?;
        Ok(done.map_err(EraseError::from)?)
    }
}

/// Why a request has no other answer.
#[derive(Debug)]
enum Refused {
    /// It makes no sense.
    Request(&'static str),
    /// It cannot be done.
    Error(EraseError),
    /// It is not approved.
    Approval(ApprovalError),
    /// The log does not take its entry.
    Session(SessionError),
}

impl From<EraseError> for Refused {
    fn from(error: EraseError) -> Self {
        Self::Error(error)
    }
}

impl From<Refused> for Status {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Request(what) => status_of(Code::Misuse, what),
            Refused::Approval(error) => unapproved(&error),
            Refused::Session(error) => status_of(error.code(), error.to_string()),
            Refused::Error(EraseError::Decision(error)) => error.into(),
            Refused::Error(error) if error.is_not_found() => {
                status(tonic::Code::NotFound, error.code(), error.to_string())
            }
            Refused::Error(error @ EraseError::NoSubjectKey) => {
                status(tonic::Code::FailedPrecondition, error.code(), error.to_string())
            }
            Refused::Error(error) => status_of(error.code(), error.to_string()),
        }
    }
}

fn operator(text: &str) -> Result<RegisteredName, Refused> {
    RegisteredName::parse(text)
        .map_err(|_| Refused::Request("operator has 1 to 64 characters of a-z, 0-9, '.', '_' and '-'"))
}

fn target(message: Option<Message>) -> Result<Target, Refused> {
    match message.and_then(|message| message.kind) {
        Some(Kind::Subject(subject)) => Ok(Target::Subject(subject)),
        Some(Kind::DecisionId(id)) => {
            let id = DecisionId::parse(&id).map_err(|_| Refused::Request("decision_id is no UUID"))?;
            Ok(Target::Record(id))
        }
        None => Err(Refused::Request("the target is missing: a subject or a decision_id")),
    }
}

#[tonic::async_trait]
impl Service for KeyringApi {
    async fn erase(&self, request: Request<EraseRequest>) -> Result<Response<EraseResponse>, Status> {
        Ok(Response::new(Self::erase(self, request.into_inner()).await?))
    }

    async fn hold(&self, request: Request<HoldRequest>) -> Result<Response<HoldResponse>, Status> {
        Ok(Response::new(Self::hold(self, request.into_inner()).await?))
    }

    async fn release(&self, request: Request<ReleaseRequest>) -> Result<Response<ReleaseResponse>, Status> {
        Ok(Response::new(Self::release(self, request.into_inner()).await?))
    }

    async fn sweep(&self, request: Request<SweepRequest>) -> Result<Response<SweepResponse>, Status> {
        Ok(Response::new(Self::sweep(self, request.into_inner()).await?))
    }

    async fn get_keyring(
        &self,
        _: Request<GetKeyringRequest>,
    ) -> Result<Response<GetKeyringResponse>, Status> {
        Ok(Response::new(self.standing().await?))
    }

    async fn back_up(&self, _: Request<BackUpRequest>) -> Result<Response<BackUpResponse>, Status> {
        Ok(Response::new(Self::back_up(self).await?))
    }

    async fn rotate(&self, request: Request<RotateRequest>) -> Result<Response<RotateResponse>, Status> {
        Ok(Response::new(Self::rotate(self, request.into_inner().approval).await?))
    }
}
