//! What the service writes down of a run, and what it says of it.

use ledgerstone::code::Code;
use ledgerstone::hash::Hash;
use ledgerstone::proto::ledgerstone_v1 as wire;
use serde::{Deserialize, Serialize};

use super::RunId;
use super::queue::State;
use crate::audit::results::Tail;

/// What the file of this version says of itself.
const FORMAT: &str = "ledgerstone-audit-service-run/v1";

/// A run as it is written down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    format: String,
    /// The place in the order of submissions.
    pub(super) number: u64,
    /// The settings of the service that took it up, in hex: under others the results would be others.
    pub(super) settings: String,
    pub(super) label: String,
    pub(super) bundle: FileRef,
    /// The bundle's name in the inbox, where it was not uploaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) inbox: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) draw: Option<FileRef>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<FileRef>,
    pub(super) state: State,
    /// Somebody wants it to stop; it may still be running.
    #[serde(default)]
    pub(super) cancelling: bool,
    pub(super) submitted_at_ms: u64,
    #[serde(default)]
    pub(super) started_at_ms: u64,
    #[serde(default)]
    pub(super) ended_at_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) failure: Option<Failure>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) results: Option<Results>,
}

/// A file by digest and length.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileRef {
    pub(super) sha256: String,
    pub(super) bytes: u64,
}

/// Why a run failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Failure {
    pub(super) code: String,
    pub(super) message: String,
}

/// What a run found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Results {
    pub(super) sha256: String,
    pub(super) bytes: u64,
    pub(super) checkpoint_verified: bool,
    pub(super) counts: Tail,
}

/// What was submitted, once it is known to make sense.
#[derive(Clone, Debug)]
pub(super) struct Submission {
    pub(super) bundle: FileRef,
    pub(super) inbox: Option<String>,
    pub(super) draw: Option<FileRef>,
    pub(super) description: Option<FileRef>,
    pub(super) label: String,
}

impl Record {
    /// A run that waits.
    pub(super) fn new(submission: Submission, settings: &Hash, now_ms: u64) -> Self {
        let Submission { bundle, inbox, draw, description, label } = submission;
        Self {
            format: FORMAT.to_owned(),
            number: 0,
            settings: settings.to_string(),
            label,
            bundle,
            inbox,
            draw,
            description,
            state: State::Queued,
            cancelling: false,
            submitted_at_ms: now_ms,
            started_at_ms: 0,
            ended_at_ms: 0,
            failure: None,
            results: None,
        }
    }

    /// Reads a run back; nothing where it is none.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok().filter(|record: &Self| record.format == FORMAT)
    }

    /// The run ended like this.
    pub(super) fn end(&mut self, state: State, now_ms: u64) {
        self.state = state;
        self.cancelling = false;
        self.ended_at_ms = now_ms;
    }

    /// The run ended over an error.
    pub(super) fn fail(&mut self, code: Code, message: String, now_ms: u64) {
        self.failure = Some(Failure { code: code.as_str().to_owned(), message });
        self.end(State::Failed, now_ms);
    }

    /// The run waits again.
    pub(super) fn queue_again(&mut self) {
        self.state = State::Queued;
        self.cancelling = false;
        self.ended_at_ms = 0;
        self.failure = None;
    }

    /// Whether what it left may be gone on from: it did not fail over the bundle or over what it left.
    pub(super) fn may_go_on(&self) -> bool {
        let again = [Code::Limit, Code::Unavailable].map(Code::as_str);
        self.failure.as_ref().is_none_or(|failure| again.contains(&failure.code.as_str()))
    }

    /// Bytes that were uploaded for it.
    pub(super) fn uploaded(&self) -> u64 {
        let bundle = Some(&self.bundle).filter(|_| self.inbox.is_none());
        [bundle, self.draw.as_ref(), self.description.as_ref()]
            .into_iter()
            .flatten()
            .fold(0, |sum, file| sum.saturating_add(file.bytes))
    }

    /// The run as it is said over the wire.
    pub(super) fn to_wire(&self, id: RunId) -> wire::AuditRun {
        let state = match self.state {
            State::Queued => wire::AuditRunState::Queued,
            State::Running => wire::AuditRunState::Running,
            State::Done => wire::AuditRunState::Done,
            State::Failed => wire::AuditRunState::Failed,
            State::Cancelled => wire::AuditRunState::Cancelled,
        };
        wire::AuditRun {
            run_id: id.to_string(),
            label: self.label.clone(),
            state: state.into(),
            bundle: Some(wire::AuditFile {
                sha256: self.bundle.sha256.clone(),
                size_bytes: self.bundle.bytes,
            }),
            inbox_file: self.inbox.clone().unwrap_or_default(),
            submitted_at_ms: self.submitted_at_ms,
            started_at_ms: self.started_at_ms,
            ended_at_ms: self.ended_at_ms,
            queue_position: 0,
            cancelling: self.cancelling,
            progress: None,
            failure: self.failure.as_ref().map(|failure| wire::AuditFailure {
                code: failure.code.clone(),
                message: failure.message.clone(),
            }),
            results: self.results.as_ref().map(Results::to_wire),
        }
    }
}

impl Results {
    fn to_wire(&self) -> wire::AuditResults {
        wire::AuditResults {
            size_bytes: self.bytes,
            sha256: self.sha256.clone(),
            entries: self.counts.entries,
            decisions: self.counts.decisions,
            verdicts: verdicts(&self.counts),
            reasons_differ: self.counts.reasons_differ,
            exceptions: self.counts.exceptions,
            checkpoint_verified: self.checkpoint_verified,
        }
    }
}

/// Decisions by verdict.
pub(super) fn verdicts(counts: &Tail) -> std::collections::HashMap<String, u64> {
    counts.verdicts.iter().map(|(verdict, count)| (verdict.as_str().to_owned(), *count)).collect()
}
