//! `ledgerstone.v1.Registry`.
//!
//! Guarantees: a registration has a number of the session like every request (INV-10), and its call goes on when the caller
//! leaves; names are of a fixed alphabet, so that no free text reaches the log (INV-8); an answer carries the proof under a
//! published checkpoint. Does not do: asking who asks. [`crate::access`] does, where roles are configured.

use std::sync::Arc;
use std::time::Duration;

use ledgerstone::code::Code;
use ledgerstone::entry::{
    Entry, IdError, ModelDetails, PolicyDetails, RegisteredName, RegisteredVersion, SessionId, WriterName,
};
use ledgerstone::hash::Hash;
use ledgerstone::proto::ledgerstone_v1::registry_server::Registry;
use ledgerstone::proto::ledgerstone_v1::{RegisterModelRequest, RegisterPolicyRequest, RegisterResponse};
use tokio::sync::Semaphore;
use tonic::{Request, Response, Status};

use super::{hashes, status_of};
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
}

impl RegistryApi {
    /// Registers in the log of `session`, which `log` reads, and tells `models`. A checkpoint is waited for up to `wait`.
    #[must_use]
    pub fn new(session: Arc<Session>, log: LogReader, models: Arc<Models>, wait: Duration) -> Self {
        Self { session, log, models, turns: Arc::new(Semaphore::new(AT_ONCE)), wait }
    }

    /// Appends what `make` gives and answers with its proof. Goes on when the caller leaves.
    async fn register(
        &self,
        make: impl FnOnce(WriterName, SessionId, u64) -> Entry + Send + 'static,
    ) -> Result<Response<RegisterResponse>, Status> {
        let turn = Arc::clone(&self.turns).try_acquire_owned();
        let turn =
            turn.map_err(|_| status_of(Code::Limit, "too many registrations at one time; try again"))?;
        let api = self.clone();
        let registering = tokio::spawn(async move {
            let _turn = turn;
            api.append(make).await
        });
        let defect = |_| status_of(Code::Internal, "the registration failed because of a defect; report it");
        registering.await.map_err(defect)?.map(Response::new)
    }

    async fn append(
        &self,
        make: impl FnOnce(WriterName, SessionId, u64) -> Entry + Send + 'static,
    ) -> Result<RegisterResponse, Status> {
        let unavailable = |error: &dyn std::fmt::Display| status_of(Code::Unavailable, error.to_string());
        let seen = self.session.see().map_err(|error| unavailable(&error))?;
        let entry = make(self.session.writer().clone(), self.session.id(), seen.sequence());
        let index = seen.append(entry.clone(), None).await.map_err(|error| unavailable(&error))?;
        self.models.learn(index, &entry);
        self.models.check();
        tracing::info!(kind = %entry.kind, leaf_index = index.get(), "registered");
        let proved = prove(&self.log, index, self.wait).await;
        proved.map(RegisterResponse::from).map_err(|error| status_of(error.code(), error.to_string()))
    }
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
        let RegisterModelRequest { name, version, digest, signature_digest } = request.into_inner();
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
        let details = ModelDetails { name, version, signature };
        self.register(move |writer, session, sequence| {
            Entry::model(writer, session, sequence, digest, details)
        })
        .await
    }

    async fn register_policy(
        &self,
        request: Request<RegisterPolicyRequest>,
    ) -> Result<Response<RegisterResponse>, Status> {
        let RegisterPolicyRequest { kind, digest } = request.into_inner();
        let kind = RegisteredName::parse(&kind).map_err(|error| wrong("kind", error))?;
        let digest = sha256("digest", &digest)?;
        let details = PolicyDetails { kind };
        self.register(move |writer, session, sequence| {
            Entry::policy(writer, session, sequence, digest, details)
        })
        .await
    }
}

fn wrong(field: &str, error: IdError) -> Status {
    status_of(Code::Misuse, format!("{field}: {error}"))
}

fn sha256(field: &str, bytes: &[u8]) -> Result<Hash, Status> {
    let message = || format!("{field}: a SHA-256 has 32 bytes, and these are {}", bytes.len());
    Hash::try_from(bytes).map_err(|_| status_of(Code::Misuse, message()))
}
