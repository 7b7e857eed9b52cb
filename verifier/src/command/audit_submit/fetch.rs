//! A run watched to its end, and its results.

use std::fs::OpenOptions;
use std::io::{BufReader, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use ledgerstone::code::Code;
use ledgerstone::hash::StreamHasher;
use ledgerstone::proto::ledgerstone_v1 as wire;

use super::{Peer, run_of, said};
use crate::audit::results;
use crate::cli::AuditSubmitArguments;
use crate::command::audit_run;
use crate::exit::{Exit, Refusal};
use crate::output::Output;
use crate::progress::Progress as _;

/// Follows a run to its end.
pub(super) async fn watch(
    peer: &mut Peer,
    mut run: wire::AuditRun,
    output: &mut Output,
) -> Result<wire::AuditRun, Refusal> {
    if said::has_ended(&run) {
        return Ok(run);
    }
    let request = wire::WatchRunRequest { run_id: run.run_id.clone() };
    let next = format!(
        "The run goes on: watch it with `ledgerstone audit submit --watch {} --to {}`.",
        run.run_id, peer.url
    );
    let on = |refusal: Refusal| Refusal { next: next.clone(), ..refusal };
    let mut states = peer.answer(peer.client.clone().watch_run(request).await).map_err(on)?;
    let mut shown = output.progress().of("recomputed");
    let mut waited_at = 0;
    loop {
        match states.message().await {
            Ok(Some(message)) => run = run_of(message.run)?,
            Ok(None) => {
                return Err(on(Refusal::unavailable("the service stopped telling about the run", "")));
            }
            Err(status) => return Err(on(peer.refused(&status))),
        }
        if said::has_ended(&run) {
            return Ok(run);
        }
        if run.queue_position != waited_at && run.queue_position > 0 {
            waited_at = run.queue_position;
            output.remark(&format!("It is number {waited_at} in the queue."));
        }
        if let Some(progress) = &run.progress {
            shown.left(progress.seconds_left);
            shown.advance("entries", progress.entries_done, progress.entries_total);
        }
    }
}

/// Fetches the results of a run that is done, or says what they are.
pub(super) async fn results(
    peer: &mut Peer,
    run: &wire::AuditRun,
    arguments: &AuditSubmitArguments,
    output: &mut Output,
) -> Result<Exit, Refusal> {
    let announced = run.results.clone().unwrap_or_default();
    let Some(path) = &arguments.output else { return said::done(run, &announced, &peer.url, output) };
    let partial = partial(path);
    fetch(peer, run, &announced, &partial, output).await?;
    let file = std::fs::File::open(&partial).map_err(|error| unwritable(&partial, &error))?;
    let (head, tail) = results::read(BufReader::new(file), |_| {}).map_err(|error| {
        Refusal::new(error.code(), format_args!("what the service sent: {error}"), "Fetch the results again.")
    })?;
    let bundle = run.bundle.as_ref().map(|bundle| bundle.sha256.as_str());
    if bundle != Some(tail.bundle_sha256.as_str()) {
        return Err(Refusal::new(
            Code::Inconsistent,
            "the results are those of another bundle",
            "Recompute the bundle with `ledgerstone audit run`, and ask who runs the service.",
        ));
    }
    if path.exists() {
        return Err(Refusal::usage(
            format_args!("{} exists already", path.display()),
            format_args!("The results are in {}: move it where you want it.", partial.display()),
        ));
    }
    std::fs::rename(&partial, path).map_err(|error| unwritable(path, &error))?;
    said::fetched(run, path, &head, &tail, output)?;
    if !output.is_json() {
        output.print(&audit_run::text(&head, &tail))?;
        if !head.checkpoint_verified {
            output.remark("The checkpoint was not verified: the service was started without --policy.");
        }
    }
    Ok(audit_run::exit(tail.exceptions, head.checkpoint_verified))
}

async fn fetch(
    peer: &Peer,
    run: &wire::AuditRun,
    announced: &wire::AuditResults,
    to: &Path,
    output: &Output,
) -> Result<(), Refusal> {
    let request = wire::FetchResultsRequest { run_id: run.run_id.clone(), offset: 0 };
    let mut chunks = peer.answer(peer.client.clone().fetch_results(request).await)?;
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(to)
        .map_err(|error| unwritable(to, &error))?;
    let (mut hash, mut bytes) = (StreamHasher::new(), 0);
    let mut shown = output.progress().of("fetched");
    while let Some(message) = chunks.message().await.map_err(|status| peer.refused(&status))? {
        bytes += message.chunk.len() as u64;
        if bytes > announced.size_bytes {
            break;
        }
        hash.update(&message.chunk);
        file.write_all(&message.chunk).map_err(|error| unwritable(to, &error))?;
        shown.advance("bytes", bytes, announced.size_bytes);
    }
    file.sync_all().map_err(|error| unwritable(to, &error))?;
    if bytes != announced.size_bytes || hash.finish().to_string() != announced.sha256 {
        return Err(Refusal::malformed(
            "the results that arrived are not those that the service announced",
            "Fetch them again.",
        ));
    }
    Ok(())
}

fn partial(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".partial");
    PathBuf::from(name)
}

fn unwritable(path: &Path, error: &dyn std::fmt::Display) -> Refusal {
    Refusal::unavailable(
        format_args!("{} cannot be written: {error}", path.display()),
        "Choose where the results go with --output; the service keeps them.",
    )
}
