//! `ledgerstone audit serve`: recomputes bundles for others until it is told to stop.
//!
//! Guarantees: everything that can be wrong with the settings is found before the port is bound; SIGTERM and SIGINT leave runs so that
//! the next start goes on with them. Does not do: ask who is there, beyond TLS; whoever reaches the port may do everything.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ledgerstone::code::Code;
use ledgerstone::hash::Hash;
use ledgerstone::policy::Policy;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{audit_run, recompute, trust};
use crate::audit::DRAW_BYTES_MAX;
use crate::audit::results::{Head, Tail};
use crate::audit::run::{self, Options, RunError};
use crate::audit::serve::{Executor, Job, Limits, ServeError, Server, Service, Setup, Tls};
use crate::cli::{AuditServeArguments, LogFormat};
use crate::exit::{Exit, Refusal};
use crate::output::Output;
use crate::progress::Progress;
use crate::recompute::description::DESCRIPTION_BYTES_MAX;
use crate::source::read_input;

/// Bytes of a file of certificates or of a key.
const PEM_BYTES_MAX: usize = 1 << 20;

/// How long running runs may take to stop after a signal; what does not stop goes on at the next start all the same.
const PATIENCE: Duration = Duration::from_secs(25);

/// Serves until a signal comes.
///
/// # Errors
/// The settings make no sense, or the folder or the port cannot be had.
pub(super) fn run(arguments: &AuditServeArguments, output: &mut Output) -> Result<Exit, Refusal> {
    let common = recompute::read(&arguments.recompute)?;
    let policy = trust::policy(&arguments.trust)?;
    if let Some(inbox) = arguments.inbox.as_ref().filter(|inbox| !inbox.is_dir()) {
        return Err(Refusal::usage(
            format_args!("the inbox {} is not a folder", inbox.display()),
            "Make it, or leave --inbox out.",
        ));
    }
    for identity in &arguments.identities {
        read_input(identity, PEM_BYTES_MAX)?;
    }
    let tls = tls(arguments)?;
    log_lines(arguments.log_format);
    if tls.as_ref().is_none_or(|tls| tls.client_ca.is_none()) && !arguments.listen.ip().is_loopback() {
        tracing::warn!("whoever reaches this port may submit, read and delete runs: give --client-ca");
    }
    let setup = Setup {
        folder: arguments.folder.clone(),
        inbox: arguments.inbox.clone(),
        limits: Limits {
            queue_max: arguments.queue.into(),
            running_max: arguments.runs.into(),
            upload_bytes_max: arguments.upload_max,
            disk_bytes_max: arguments.disk_max,
        },
        settings: settings(policy.as_ref(), &common),
        executor: Arc::new(Local {
            policy,
            identities: arguments.identities.clone(),
            threads: arguments.threads.unwrap_or_else(audit_run::threads),
            common,
        }),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Refusal::unavailable(error, "Free memory or threads."))?;
    let served = runtime.block_on(serve(setup, arguments, tls, output));
    // A thread that waits for the disk must not hold the process up.
    runtime.shutdown_background();
    served
}

async fn serve(
    setup: Setup,
    arguments: &AuditServeArguments,
    tls: Option<Tls>,
    output: &mut Output,
) -> Result<Exit, Refusal> {
    let mut stop = Stop::new().map_err(|error| Refusal::unavailable(error, "Report it."))?;
    let service = Service::open(setup).map_err(|error| folder_refused(&arguments.folder, &error))?;
    let server = Server::start(&service, arguments.listen, tls).await;
    let server = server.map_err(|error| Refusal::new(error.code(), &error, "Nothing was served."))?;
    service.start();
    output.print(&format!("Listening on {}\n", server.address()))?;
    output.flush()?;
    let name = stop.signal().await;
    tracing::info!(signal = name, "draining");
    let draining = tokio::task::spawn_blocking(move || service.drain(PATIENCE));
    let is_drained = tokio::select! {
        drained = draining => drained.unwrap_or(false),
        _ = stop.signal() => false,
    };
    server.close().await;
    if !is_drained {
        tracing::warn!("a run did not stop in time; it goes on from its last stand at the next start");
    }
    tracing::info!("stopped");
    Ok(Exit::Verified)
}

/// Recomputes on this machine, as `audit run` does.
struct Local {
    policy: Option<Policy>,
    identities: Vec<PathBuf>,
    threads: usize,
    /// What holds for every run.
    common: Options,
}

impl Executor for Local {
    fn execute(&self, job: &Job, progress: &mut (dyn Progress + Send)) -> Result<(Head, Tail), RunError> {
        let read = |path: &Option<PathBuf>, bytes_max| {
            let path = path.as_ref();
            path.map(|path| read_input(path, bytes_max).map_err(|error| unreadable(path, &error))).transpose()
        };
        let draw = read(&job.draw, DRAW_BYTES_MAX)?;
        let options = Options {
            bundle: job.bundle.clone(),
            identities: self.identities.clone(),
            output: job.output.clone(),
            threads: self.threads,
            description: match read(&job.description, DESCRIPTION_BYTES_MAX)? {
                None => self.common.description.clone(),
                own => own,
            },
            stop: Arc::clone(&job.stop),
            ..self.common.clone()
        };
        run::run(&options, |front| audit_run::admit(front, self.policy.as_ref(), draw.as_deref()), progress)
    }
}

fn unreadable(path: &Path, error: &dyn std::error::Error) -> RunError {
    RunError::Io { path: path.to_owned(), source: std::io::Error::other(error.to_string()) }
}

/// The digest of everything on this side that results depend on.
fn settings(policy: Option<&Policy>, common: &Options) -> Hash {
    let policy = policy
        .map_or_else(|| "none".to_owned(), |policy| Hash::of(policy.to_string().as_bytes()).to_string());
    let device = common.processor.as_str();
    let registered = if common.must_be_registered { "registered" } else { "any" };
    let mut text =
        ["ledgerstone/audit-serve/v1", env!("CARGO_PKG_VERSION"), &policy, device, registered, ""].join("\n");
    let description = common.description.as_deref().map(Hash::of);
    for digest in description.into_iter().chain(common.profiles.iter().map(|given| given.sha256)) {
        text += &format!("{digest}\n");
    }
    Hash::of(text.as_bytes())
}

fn tls(arguments: &AuditServeArguments) -> Result<Option<Tls>, Refusal> {
    let (Some(certificate), Some(key)) = (&arguments.tls_cert, &arguments.tls_key) else { return Ok(None) };
    let client_ca = arguments.client_ca.as_ref().map(|path| read_input(path, PEM_BYTES_MAX)).transpose()?;
    Ok(Some(Tls {
        certificate: read_input(certificate, PEM_BYTES_MAX)?,
        key: read_input(key, PEM_BYTES_MAX)?,
        client_ca,
    }))
}

/// Log lines on standard error; standard output says the address only.
fn log_lines(format: LogFormat) {
    let lines = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(tracing::Level::INFO)
        .with_ansi(false);
    // Where something else in this process logs already, it gets the lines.
    _ = match format {
        LogFormat::Text => lines.with_target(false).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
}

fn folder_refused(folder: &Path, error: &ServeError) -> Refusal {
    let next = match error.code() {
        Code::Misuse => "Stop the other service, or give another --folder.",
        _ => "Check that this user may write there and that the disk has room.",
    };
    Refusal::new(error.code(), format_args!("{}: {error}", folder.display()), next)
}

/// The signals that stop the service.
struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    fn new() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn signal(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
