//! `ledgerstone.v1.Registry`.
//!
//! Guarantees: a registration has a number of the session like every request (INV-10), and its call goes on when the caller
//! leaves; names are of a fixed alphabet, so that no free text reaches the log (INV-8); an answer carries the proof under a
//! published checkpoint. What needs the approval of several persons is not appended before they have signed it, and once.
//! Does not do: asking who asks. [`crate::access`] does, where roles are configured.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ledgerstone::approval::{ApprovalError, Change, PublicRoster, RETENTION, Verdict};
use ledgerstone::code::Code;
use ledgerstone::entry::{IdError, RegisteredName, RegisteredVersion};
use ledgerstone::hash::Hash;
use ledgerstone::merkle::LeafIndex;
use ledgerstone::proto::ledgerstone_v1::registry_server::Registry;
use ledgerstone::proto::ledgerstone_v1::{RegisterModelRequest, RegisterPolicyRequest, RegisterResponse};
use tokio::sync::Semaphore;
use tonic::{Request, Response, Status};

use super::{hashes, status, status_of};
use crate::approvals::{self, Approvals};
use crate::gate;
use crate::intercept::Session;
use crate::models::Models;
use crate::proved::{Proved, prove};
use crate::reader::LogReader;

/// Registrations at one time; the next one is refused.
const AT_ONCE: usize = 16;

/// Serves registrations over gRPC. Clones stand for the same one.
#[derive(Clone, Debug)]
pub struct RegistryApi {
    session: Arc<Session>,
    log: LogReader,
    models: Arc<Models>,
    turns: Arc<Semaphore>,
    wait: Duration,
    approvals: Arc<Approvals>,
}

impl RegistryApi {
    /// Registers in the log of `session`, which `log` reads, what `approvals` lets pass, and tells `models`. A checkpoint is waited
    /// for up to `wait`.
    #[must_use]
    pub fn new(
        session: &Arc<Session>,
        log: &LogReader,
        models: &Arc<Models>,
        wait: Duration,
        approvals: &Arc<Approvals>,
    ) -> Self {
        Self {
            session: Arc::clone(session),
            log: log.clone(),
            models: Arc::clone(models),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            wait,
            approvals: Arc::clone(approvals),
        }
    }

    /// Makes `change` and answers with its proof. Goes on when the caller leaves.
    async fn register(&self, change: Change, approval: Bytes) -> Result<Response<RegisterResponse>, Status> {
        let turn = Arc::clone(&self.turns).try_acquire_owned();
        let turn =
            turn.map_err(|_| status_of(Code::Limit, "too many registrations at one time; try again"))?;
        let api = self.clone();
        let registering = tokio::spawn(async move {
            let _turn = turn;
            let index = api.append(&change, &approval).await?;
            let proved = prove(&api.log, index, api.wait).await;
            proved.map(RegisterResponse::from).map_err(|error| status_of(error.code(), error.to_string()))
        });
        let defect = |_| status_of(Code::Internal, "the registration failed because of a defect; report it");
        registering.await.map_err(defect)?.map(Response::new)
    }

    /// Appends the entry that makes `change`, or finds the one that made it with this approval; where it stands.
    async fn append(&self, change: &Change, approval: &[u8]) -> Result<LeafIndex, Status> {
        let unavailable = |error: &dyn std::fmt::Display| status_of(Code::Unavailable, error.to_string());
        let mut turn = self.approvals.turn().await;
        if matches!(change, Change::Policy { kind, .. } if kind.as_str() == RETENTION) && turn.asks_anything()
        {
            return Err(status_of(Code::Misuse, "kind: the configuration says how long records are kept"));
        }
        let approval = match turn.decide(change, approval).map_err(|error| refused(&error))? {
            Verdict::Free => None,
            Verdict::Approved(recorded) => Some(recorded),
            Verdict::Done(index) => return Ok(index),
        };
        let seen = self.session.see().map_err(|error| unavailable(&error))?;
        let numbered = (self.session.writer().clone(), self.session.id(), seen.sequence());
        let entry = approvals::with(change.entry(numbered, &PublicRoster::empty()), approval.as_ref());
        let index = seen.append(entry.clone(), None).await.map_err(|error| unavailable(&error))?;
        turn.learn(index, &entry);
        drop(turn);
        self.models.learn(index, &entry);
        self.models.check();
        let approved = approval.is_some();
        tracing::info!(kind = %entry.kind, approved, leaf_index = index.get(), "registered");
        Ok(index)
    }
}

/// Why a change is not approved, as a status.
pub(super) fn refused(error: &ApprovalError) -> Status {
    let (grpc, code) = approvals::refused(error);
    status(grpc, code, error.to_string())
}

impl From<Proved> for RegisterResponse {
    fn from(proved: Proved) -> Self {
        Self {
            leaf_index: proved.index.get(),
            entry: proved.entry.into(),
            tree_size: proved.size.get(),
            proof: hashes(&proved.proof),
            checkpoint: proved.checkpoint.into(),
        }
    }
}

#[tonic::async_trait]
impl Registry for RegistryApi {
    async fn register_model(
        &self,
        request: Request<RegisterModelRequest>,
    ) -> Result<Response<RegisterResponse>, Status> {
        let RegisterModelRequest { name, version, digest, signature_digest, approval } = request.into_inner();
        let name = RegisteredName::parse(&name).map_err(|error| wrong("name", error))?;
        let version = RegisteredVersion::parse(&version).map_err(|error| wrong("version", error))?;
        let digest = sha256("digest", &digest)?;
        let signature = match signature_digest.is_empty() {
            true => None,
            false => Some(sha256("signature_digest", &signature_digest)?),
        };
        if !self.models.has_room(&name) {
            let message = format!("the log registers {} names of models already", crate::models::NAMES_MAX);
            return Err(status_of(Code::Limit, message));
        }
        self.register(Change::Model { name, version, digest, signature }, approval).await
    }

    async fn register_policy(
        &self,
        request: Request<RegisterPolicyRequest>,
    ) -> Result<Response<RegisterResponse>, Status> {
        let RegisterPolicyRequest { kind, digest, approval } = request.into_inner();
        let kind = RegisteredName::parse(&kind).map_err(|error| wrong("kind", error))?;
        if gate::is_policy_kind(&kind) {
            return Err(status_of(Code::Misuse, "kind: the configuration says which rules a route has"));
        }
        let digest = sha256("digest", &digest)?;
        self.register(Change::Policy { kind, digest }, approval).await
    }
}

fn wrong(field: &str, error: IdError) -> Status {
    status_of(Code::Misuse, format!("{field}: {error}"))
}

fn sha256(field: &str, bytes: &[u8]) -> Result<Hash, Status> {
    let message = || format!("{field}: a SHA-256 has 32 bytes, and these are {}", bytes.len());
    Hash::try_from(bytes).map_err(|_| status_of(Code::Misuse, message()))
}
