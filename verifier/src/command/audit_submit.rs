//! `ledgerstone audit submit`: has a service recompute a bundle, and fetches the results.
//!
//! Guarantees: results are written only if they are whole, are those that the service announced, and are of this bundle; ends as
//! `audit run` does. Ctrl-C leaves the run going and says how to watch it on. Does not do: recompute anything; whoever does not
//! trust the service runs the bundle with `audit run`.

mod fetch;
mod said;
mod upload;

use std::cell::RefCell;

use ledgerstone::code::Code;
use ledgerstone::grpc::screened;
use ledgerstone::proto::ledgerstone_v1 as wire;
use ledgerstone::proto::ledgerstone_v1::audit_client::AuditClient;
use tonic::service::interceptor::InterceptedService;
use tonic::{Code as GrpcCode, Status};

use super::grpc::{Bearer, Connection, endpoint, who};
use crate::cli::AuditSubmitArguments;
use crate::exit::{Exit, Refusal};
use crate::output::{Output, printable};
use crate::source::REQUEST_TIMEOUT;

/// Silence after which the service is asked whether it is still there.
const KEEPALIVE: std::time::Duration = std::time::Duration::from_secs(20);

/// A service that is asked.
pub(super) struct Peer {
    client: AuditClient<Connection>,
    /// The address as the user wrote it.
    url: String,
}

/// What a user who presses Ctrl-C must know.
type Stage = RefCell<Option<String>>;

/// Does what the arguments ask for.
///
/// # Errors
/// The service cannot be reached, refuses, or its results do not hold.
pub(super) fn run(arguments: &AuditSubmitArguments, output: &mut Output) -> Result<Exit, Refusal> {
    if let Some(path) = arguments.output.as_ref().filter(|path| path.exists()) {
        return Err(Refusal::usage(
            format_args!("{} exists already", path.display()),
            "Name another file with --output, or move it away.",
        ));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Refusal::unavailable(error, "Run the command again."))?;
    let stage = Stage::default();
    runtime.block_on(async {
        tokio::select! {
            done = act(arguments, &stage, output) => done,
            _ = tokio::signal::ctrl_c() => Err(interrupted(arguments, stage.borrow().as_deref())),
        }
    })
}

async fn act(arguments: &AuditSubmitArguments, stage: &Stage, output: &mut Output) -> Result<Exit, Refusal> {
    let mut peer = connect(arguments).await?;
    let action = &arguments.action;
    if action.list {
        return said::list(&mut peer, output).await;
    }
    if let Some(run_id) = &action.cancel {
        let request = wire::CancelRunRequest { run_id: run_id.clone() };
        let answer = peer.soon(peer.client.clone().cancel_run(request)).await?;
        return said::run(&run_of(answer.run)?, output);
    }
    if let Some(run_id) = &action.delete {
        let request = wire::DeleteRunRequest { run_id: run_id.clone() };
        peer.soon(peer.client.clone().delete_run(request)).await?;
        return said::deleted(run_id, output);
    }
    let run = match &action.watch {
        Some(run_id) => {
            let request = wire::GetRunRequest { run_id: run_id.clone() };
            run_of(peer.soon(peer.client.clone().get_run(request)).await?.run)?
        }
        None => upload::submit(&mut peer, arguments, output).await?,
    };
    *stage.borrow_mut() = Some(run.run_id.clone());
    if arguments.detach {
        return said::run(&run, output);
    }
    let run = fetch::watch(&mut peer, run, output).await?;
    match run.state() {
        wire::AuditRunState::Done => fetch::results(&mut peer, &run, arguments, output).await,
        _ => Err(said::no_results(&run)),
    }
}

async fn connect(arguments: &AuditSubmitArguments) -> Result<Peer, Refusal> {
    let (address, tls) = match arguments.to.split_once("://") {
        Some(("grpc" | "http", address)) => (address, false),
        Some(("grpcs" | "https", address)) => (address, true),
        _ => {
            return Err(Refusal::usage(
                format_args!("`{}` is not the address of an audit service", arguments.to),
                "Write grpc:// or grpcs:// and the address that `ledgerstone audit serve` listens on.",
            ));
        }
    };
    let web = arguments.network.options();
    let address = address.trim_end_matches('/');
    let bearer = Bearer::of(&web, address, tls)?;
    let endpoint =
        endpoint(address, tls, &web)?.http2_keep_alive_interval(KEEPALIVE).keep_alive_timeout(KEEPALIVE);
    let channel = endpoint.connect().await.map_err(|error| unreachable(&arguments.to, &error))?;
    let client = AuditClient::new(InterceptedService::new(screened(channel), bearer));
    Ok(Peer { client, url: arguments.to.clone() })
}

impl Peer {
    /// A call that the service answers at once.
    async fn soon<T>(
        &self,
        call: impl Future<Output = Result<tonic::Response<T>, Status>>,
    ) -> Result<T, Refusal> {
        match tokio::time::timeout(REQUEST_TIMEOUT, call).await {
            Ok(answer) => self.answer(answer),
            Err(_) => Err(Refusal::unavailable(
                format_args!("{} did not answer for {} seconds", self.url, REQUEST_TIMEOUT.as_secs()),
                "Run the command again.",
            )),
        }
    }

    fn answer<T>(&self, answer: Result<tonic::Response<T>, Status>) -> Result<T, Refusal> {
        answer.map(tonic::Response::into_inner).map_err(|status| self.refused(&status))
    }

    /// What the service said, with what to do about it.
    fn refused(&self, status: &Status) -> Refusal {
        // A status that comes from an error of the connection was never the service's word.
        if let Some(error) = std::error::Error::source(status) {
            return unreachable(&self.url, error);
        }
        let code = status.metadata().get("ledgerstone-code").and_then(|code| code.to_str().ok());
        let code = Code::ALL.into_iter().find(|known| Some(known.as_str()) == code);
        let message = format!("{} refused: {}", self.url, printable(status.message()));
        let next = match status.code() {
            GrpcCode::Unimplemented => "Give the address that `ledgerstone audit serve` listens on.",
            GrpcCode::Unauthenticated | GrpcCode::PermissionDenied => who(status.code()),
            GrpcCode::NotFound => "Look at the runs with `ledgerstone audit submit --list`.",
            GrpcCode::ResourceExhausted => "Make room as it says, then run the command again.",
            GrpcCode::Unavailable => {
                "Run the command again when the service runs; what was submitted goes on then."
            }
            _ => "Change what is asked for as it says; nothing was changed.",
        };
        Refusal::new(code.unwrap_or(Code::Unavailable), message, next)
    }
}

/// The run of an answer; every answer of the service has one.
fn run_of(run: Option<wire::AuditRun>) -> Result<wire::AuditRun, Refusal> {
    let well_formed = |run: &wire::AuditRun| {
        run.run_id.len() == 32 && run.run_id.bytes().all(|digit| digit.is_ascii_hexdigit())
    };
    run.filter(well_formed).ok_or_else(|| {
        Refusal::malformed(
            "the service answered without a run",
            "Check that it is a Ledgerstone audit service.",
        )
    })
}

fn unreachable(url: &str, error: &dyn std::error::Error) -> Refusal {
    let cause = error.source().map_or_else(String::new, |source| format!(": {source}"));
    Refusal::unavailable(
        format_args!("{url} cannot be reached: {error}{cause}"),
        "Check the address and that the service runs; if it speaks TLS, write grpcs://, name its authority with --ca-file, and your \
         own certificate with --cert-file and --key-file if it asks for one. Then run the command again.",
    )
}

fn interrupted(arguments: &AuditSubmitArguments, run_id: Option<&str>) -> Refusal {
    match run_id {
        Some(run_id) => Refusal::unavailable(
            format_args!("no longer watched: the run {run_id} goes on"),
            format_args!("Watch it with `ledgerstone audit submit --watch {run_id} --to {}`.", arguments.to),
        ),
        None => Refusal::unavailable("interrupted before anything was submitted", "Run the command again."),
    }
}
