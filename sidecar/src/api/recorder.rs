//! `ledgerstone.v1.Recorder`, and the same as JSON over HTTP.
//!
//! Guarantees: both ways end in the same [`Histories`], so what one refuses the other does; sizes are bounded before anything is
//! read. Who may add which kind over gRPC stands in the rows of the same over HTTP ([`crate::access::table`]).

use ledgerstone::code::Code;
use ledgerstone::entry::Kind;
use ledgerstone::proto::ledgerstone_v1::get_history_response::{Entry, Record};
use ledgerstone::proto::ledgerstone_v1::recorder_server::Recorder;
use ledgerstone::proto::ledgerstone_v1::{
    AppendFollowUpRequest, AppendFollowUpResponse, GetHistoryRequest, GetHistoryResponse,
};
use ledgerstone::record::FieldPath;
use tonic::{Request, Response, Status};

use super::{decision, hashes, misuse, status_of};
use crate::access::table::follow_up;
use crate::access::{Caller, Origin};
use crate::history::{Added, Addition, Histories, HistoryError, Part, Told};
use crate::value::{from_message, to_message};

pub(crate) mod http;

/// Serves histories over gRPC. Clones stand for the same one.
#[derive(Clone, Debug)]
pub struct RecorderApi {
    histories: Histories,
}

impl RecorderApi {
    /// Serves what `histories` add and read.
    #[must_use]
    pub fn new(histories: Histories) -> Self {
        Self { histories }
    }

    /// The same over HTTP.
    pub(crate) fn histories(&self) -> &Histories {
        &self.histories
    }
}

#[tonic::async_trait]
impl Recorder for RecorderApi {
    async fn append_follow_up(
        &self,
        request: Request<AppendFollowUpRequest>,
    ) -> Result<Response<AppendFollowUpResponse>, Status> {
        let caller = Origin::of(request.extensions());
        may_add(request.extensions().get::<Caller>(), &request.get_ref().kind)?;
        let addition = addition(request.into_inner(), caller).map_err(misuse)?;
        let Added { proved, repeated } = self.histories.add(addition).await?;
        Ok(Response::new(AppendFollowUpResponse {
            leaf_index: proved.index.get(),
            entry: proved.entry.into(),
            tree_size: proved.size.get(),
            proof: hashes(&proved.proof),
            checkpoint: proved.checkpoint.into(),
            repeated,
        }))
    }

    async fn get_history(
        &self,
        request: Request<GetHistoryRequest>,
    ) -> Result<Response<GetHistoryResponse>, Status> {
        let who = Origin::of(request.extensions());
        let decision = decision(&request.into_inner().decision_id).map_err(misuse)?;
        let history = self.histories.read(decision, &who).await?;
        Ok(Response::new(GetHistoryResponse {
            decision_id: decision.to_string(),
            entries: history.entries.iter().map(told).collect(),
            tree_size: history.size.get(),
        }))
    }
}

/// Whether the caller, where roles are asked for, may add what is of this kind.
fn may_add(caller: Option<&Caller>, kind: &str) -> Result<(), Status> {
    let Some(caller) = caller else { return Ok(()) };
    let Some(row) = follow_up(kind) else { return Err(misuse(HistoryError::Kind.to_string())) };
    if row.roles.and(caller.roles).is_empty() {
        let what = format!("adding a {kind} is for the role {}, which you do not have", row.roles);
        return Err(super::status(tonic::Code::PermissionDenied, Code::Misuse, what));
    }
    Ok(())
}

fn addition(request: AppendFollowUpRequest, caller: Origin) -> Result<Addition, String> {
    let AppendFollowUpRequest { decision_id, kind, request_id, fields } = request;
    let fields = fields.into_iter().map(|field| {
        let path = path(&field.path)?;
        let value = from_message(&path, field.value)?;
        Ok((path, value))
    });
    Ok(Addition {
        decision: decision(&decision_id)?,
        kind: self::kind(&kind)?,
        request: (!request_id.is_empty()).then_some(request_id),
        fields: fields.collect::<Result<_, String>>()?,
        caller,
    })
}

fn told(told: &Told) -> Entry {
    let (record, fields) = match &told.record {
        Part::Opened(record) => (Record::Opened, record.fields()),
        Part::None => (Record::None, [].as_slice()),
        Part::Closed => (Record::Closed, [].as_slice()),
        Part::Erased(_) => (Record::Erased, [].as_slice()),
    };
    Entry {
        leaf_index: told.index.get(),
        kind: told.entry.kind.to_string(),
        recorded_at_ms: told.entry.recorded_at.get(),
        record: record.into(),
        fields: fields.iter().map(to_message).collect(),
    }
}

fn path(text: &str) -> Result<FieldPath, String> {
    FieldPath::parse(text).map_err(|error| format!("the path `{}`: {error}", text.escape_debug()))
}

/// The kind that a word names, of those that add to a decision.
fn kind(word: &str) -> Result<Kind, String> {
    let found = Kind::ALL.into_iter().find(|kind| kind.is_follow_up() && kind.as_str() == word);
    found.ok_or_else(|| HistoryError::Kind.to_string())
}

impl From<HistoryError> for Status {
    fn from(error: HistoryError) -> Self {
        match error {
            HistoryError::Decision(error) => error.into(),
            HistoryError::OtherRequest { .. } => {
                super::status(tonic::Code::AlreadyExists, Code::Misuse, error.to_string())
            }
            HistoryError::Erased => {
                super::status(tonic::Code::FailedPrecondition, Code::Misuse, error.to_string())
            }
            error => status_of(error.code(), error.to_string()),
        }
    }
}
