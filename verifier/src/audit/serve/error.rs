//! Why the service does not do what it was asked for, and how that looks over gRPC.

use std::io;

use ledgerstone::code::Code;
use tonic::Status;
use tonic::metadata::MetadataValue;

use super::RunId;
use super::queue::State;

/// Metadata key under which an error's stable code stands beside the gRPC status.
pub(super) const CODE: &str = "ledgerstone-code";

/// Why the service does not do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// A run's name is none.
    #[error("that is no name of a run: it has 32 digits of lowercase hex")]
    NoRunId,
    /// There is no such run.
    #[error("there is no run {id}: list the runs; it may have been deleted")]
    Unknown {
        /// The run.
        id: RunId,
    },
    /// The run has ended.
    #[error("the run {id} has ended already: it is {}", state.as_str())]
    HasEnded {
        /// The run.
        id: RunId,
        /// How.
        state: State,
    },
    /// The run has not ended.
    #[error("the run {id} is {}: cancel it first", state.as_str())]
    HasNotEnded {
        /// The run.
        id: RunId,
        /// Where it is.
        state: State,
    },
    /// The run has no results.
    #[error("the run {id} has no results: it is {}", state.as_str())]
    NoResults {
        /// The run.
        id: RunId,
        /// Where it is.
        state: State,
    },
    /// There are fewer results than the caller has.
    #[error("the results have {bytes} bytes, and byte {offset} was asked for: fetch them from the beginning")]
    Offset {
        /// Where the caller wants to go on.
        offset: u64,
        /// What there is.
        bytes: u64,
    },
    /// The queue is full.
    #[error(
        "the queue is full: {queue_max} runs wait or are being uploaded; submit again when one has begun"
    )]
    QueueFull {
        /// The bound.
        queue_max: usize,
    },
    /// So many runs are kept.
    #[error("{runs_max} runs are kept: delete some that have ended")]
    TooManyRuns {
        /// The bound.
        runs_max: usize,
    },
    /// The bundle is too large.
    #[error(
        "the {file} has {bytes} bytes, and this service takes {bytes_max}: have its operator raise the bound, or use the inbox"
    )]
    TooLarge {
        /// Which file.
        file: &'static str,
        /// Its length.
        bytes: u64,
        /// The bound.
        bytes_max: u64,
    },
    /// There is no room for the upload.
    #[error(
        "{bytes} bytes do not fit: {left} of the {bytes_max} bytes that the service may keep are free; delete runs that have ended"
    )]
    NoRoom {
        /// What was wanted.
        bytes: u64,
        /// What is left.
        left: u64,
        /// The bound.
        bytes_max: u64,
    },
    /// Too many streams are open.
    #[error("{streams_max} runs are being watched or fetched already: try again in a moment")]
    TooManyStreams {
        /// The bound.
        streams_max: usize,
    },
    /// A submission is not put together as it must be.
    #[error("the submission makes no sense: {problem}")]
    Submission {
        /// What is wrong.
        problem: &'static str,
    },
    /// What arrived is not what was announced.
    #[error("the {file} that arrived has the SHA-256 {found}, and {announced} was announced: send it again")]
    OtherBytes {
        /// Which file.
        file: &'static str,
        /// As announced.
        announced: String,
        /// As it is.
        found: String,
    },
    /// Nothing more arrived.
    #[error("nothing arrived for {seconds} seconds: submit again")]
    Idle {
        /// How long.
        seconds: u64,
    },
    /// There is no inbox.
    #[error("this service has no inbox: upload the bundle")]
    NoInbox,
    /// The inbox does not hold the file.
    #[error(
        "the inbox holds no file {name:?}: put it there under that very name; links and folders do not count"
    )]
    NotInInbox {
        /// Its name.
        name: String,
    },
    /// The file in the inbox has another length than was said.
    #[error("the file in the inbox has {found} bytes, and {announced} were announced")]
    OtherLength {
        /// As announced.
        announced: u64,
        /// As it is.
        found: u64,
    },
    /// The service is ending.
    #[error("the service is ending: try again when it runs again; its runs go on then")]
    Ending,
    /// Another service has the folder.
    #[error("another service runs on this folder")]
    Locked,
    /// The disk does not do what it should.
    #[error("the service's folder cannot be used: {0}")]
    Io(#[from] io::Error),
    /// No random bytes are to be had.
    #[error("the system gives no random bytes")]
    NoRandomness,
}

impl ServeError {
    /// What the reader must do about it.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::QueueFull { .. }
            | Self::TooManyRuns { .. }
            | Self::TooLarge { .. }
            | Self::NoRoom { .. }
            | Self::TooManyStreams { .. } => Code::Limit,
            Self::OtherBytes { .. } | Self::OtherLength { .. } => Code::Malformed,
            Self::Idle { .. } | Self::Ending | Self::Io(_) | Self::NoRandomness => Code::Unavailable,
            _ => Code::Misuse,
        }
    }

    const fn grpc(&self) -> tonic::Code {
        match self {
            Self::Unknown { .. } => tonic::Code::NotFound,
            Self::HasEnded { .. }
            | Self::HasNotEnded { .. }
            | Self::NoResults { .. }
            | Self::NoInbox
            | Self::NotInInbox { .. }
            | Self::Locked => tonic::Code::FailedPrecondition,
            Self::Offset { .. } => tonic::Code::OutOfRange,
            Self::Idle { .. } => tonic::Code::DeadlineExceeded,
            Self::Ending => tonic::Code::Unavailable,
            Self::Io(_) | Self::NoRandomness => tonic::Code::Internal,
            _ => match self.code() {
                Code::Limit => tonic::Code::ResourceExhausted,
                _ => tonic::Code::InvalidArgument,
            },
        }
    }
}

impl From<ServeError> for Status {
    fn from(error: ServeError) -> Self {
        let mut status = Self::new(error.grpc(), error.to_string());
        status.metadata_mut().insert(CODE, MetadataValue::from_static(error.code().as_str()));
        status
    }
}
