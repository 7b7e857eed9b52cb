//! The read side: the log and the receipts, over gRPC and over HTTP.

use bytes::Bytes;
use ledgerstone::code::Code;
use ledgerstone::entry::DecisionId;
use ledgerstone::hash::Hash;
use tokio::sync::watch;
use tonic::{Status, metadata::MetadataValue};

use crate::receipts::ServeError;

pub mod http;
mod keyring;
mod log;
mod receipts;
mod recorder;
mod registry;

pub use self::keyring::KeyringApi;
pub(crate) use self::keyring::http as keyring_http;
pub use self::log::LogApi;
pub use self::receipts::ReceiptsApi;
pub use self::recorder::RecorderApi;
pub(crate) use self::recorder::http as recorder_http;
pub use self::registry::RegistryApi;

/// Metadata key under which an error's stable code stands beside the gRPC status.
pub const CODE: &str = "ledgerstone-code";

/// Says when streams and servers end: the value turns true once.
pub(crate) type Ending = watch::Receiver<bool>;

/// Returns when the sidecar ends.
pub(crate) async fn ended(mut ending: Ending) {
    // An error says that whoever would end the sidecar is gone, which ends it too.
    _ = ending.wait_for(|ended| *ended).await;
}

/// A gRPC status with the stable code in its metadata.
fn status(grpc: tonic::Code, code: Code, message: impl Into<String>) -> Status {
    let mut status = Status::new(grpc, message);
    status.metadata_mut().insert(CODE, MetadataValue::from_static(code.as_str()));
    status
}

/// The gRPC status of an error that says no more than its code.
fn status_of(code: Code, message: impl Into<String>) -> Status {
    let grpc = match code {
        Code::Misuse => tonic::Code::InvalidArgument,
        Code::Unavailable => tonic::Code::Unavailable,
        Code::Limit => tonic::Code::ResourceExhausted,
        Code::Malformed | Code::Untrusted | Code::Inconsistent => tonic::Code::DataLoss,
        _ => tonic::Code::Internal,
    };
    status(grpc, code, message)
}

/// The decision that an id names.
fn decision(id: &str) -> Result<DecisionId, String> {
    DecisionId::parse(id).map_err(|error| format!("decision_id: {error}"))
}

/// The status of a request that says what cannot be.
fn misuse(what: String) -> Status {
    status_of(Code::Misuse, what)
}

/// Hashes as messages carry them.
fn hashes(hashes: &[Hash]) -> Vec<Bytes> {
    hashes.iter().map(|hash| Bytes::copy_from_slice(hash.as_bytes())).collect()
}

impl From<ServeError> for Status {
    fn from(error: ServeError) -> Self {
        let (code, message) = (error.code(), error.to_string());
        match error {
            ServeError::Unknown => status(tonic::Code::NotFound, code, message),
            ServeError::NotAllowed { .. } => status(tonic::Code::PermissionDenied, code, message),
            _ => status_of(code, message),
        }
    }
}
