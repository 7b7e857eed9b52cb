//! Recomputation as a service: bundles are queued, recomputed a few at a time, and their results handed out.
//!
//! *Guarantees*: everything is bounded: the queue, an upload, all that lies on the disk, the streams that are open. A run whose submission
//! was answered survives a restart, and an interrupted one goes on where it was. A run is named by everything that its results depend
//! on, so that a submission made twice is one run. Results are handed out only of a run that is done, and are the file that `audit run` writes.
//!
//! *Does not do*: recompute ([`Executor`] does); decide who may ask: whoever reaches the port may submit, read and delete every run. What lies
//! on the disk is no safer than the disk.
//! Specification: `proto/ledgerstone/v1/audit.proto`, `docs/audit-service.md`.

pub mod api;
mod error;
mod folder;
mod inbox;
mod pace;
pub mod queue;
mod record;
mod run_id;
mod server;
mod service;
mod space;
mod upload;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use ledgerstone::hash::Hash;

pub use self::error::ServeError;
pub use self::run_id::RunId;
pub use self::server::{Server, ServerError, Tls};
pub use self::service::Service;

use super::results::{Head, Tail};
use super::run::RunError;
use crate::progress::Progress;

/// What somebody who submits may use, all of them together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Runs that wait or are being uploaded.
    pub queue_max: usize,
    /// Runs that are recomputed at once.
    pub running_max: usize,
    /// Bytes of one bundle that is uploaded.
    pub upload_bytes_max: u64,
    /// Bytes of everything that the service keeps.
    pub disk_bytes_max: u64,
}

/// How a service is set up.
pub struct Setup {
    /// Where it keeps its runs.
    pub folder: PathBuf,
    /// Where bundles lie that need no upload.
    pub inbox: Option<PathBuf>,
    /// What is bounded.
    pub limits: Limits,
    /// The digest of everything on this side that results depend on: the policy, the program, where it computes.
    pub settings: Hash,
    /// What recomputes.
    pub executor: Arc<dyn Executor>,
}

/// One run, for whoever recomputes it.
#[derive(Clone, Debug)]
pub struct Job {
    /// The bundle.
    pub bundle: PathBuf,
    /// The auditor's own copy of the draw.
    pub draw: Option<PathBuf>,
    /// The description of models that come without one.
    pub description: Option<PathBuf>,
    /// Where the results go.
    pub output: PathBuf,
    /// Turns true when the run is to end early.
    pub stop: Arc<AtomicBool>,
}

/// Recomputes a bundle.
pub trait Executor: Send + Sync {
    /// Recomputes the bundle of `job`, and goes on with what an interrupted run left beside its output.
    ///
    /// # Errors
    /// Why there are no results.
    fn execute(&self, job: &Job, progress: &mut (dyn Progress + Send)) -> Result<(Head, Tail), RunError>;
}
