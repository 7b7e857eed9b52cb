//! The upload of a submission.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use ledgerstone::hash::Hash;
use ledgerstone::proto::ledgerstone_v1 as wire;
use ledgerstone::proto::ledgerstone_v1::submit_run_request::Part;
use tokio::sync::mpsc::{Sender, channel};
use tokio_stream::wrappers::ReceiverStream;

use super::{Peer, run_of};
use crate::cli::AuditSubmitArguments;
use crate::exit::Refusal;
use crate::folder;
use crate::output::Output;
use crate::progress::{Progress, Shown};

/// Bytes of one message: a quarter of what the service takes.
const CHUNK_BYTES: u64 = 256 * 1024;

/// Messages that are read ahead.
const AHEAD: usize = 8;

/// Submits a bundle or the name of one.
pub(super) async fn submit(
    peer: &mut Peer,
    arguments: &AuditSubmitArguments,
    output: &mut Output,
) -> Result<wire::AuditRun, Refusal> {
    let mut files = Vec::new();
    let mut announced = |path: &Option<PathBuf>| -> Result<Option<wire::AuditFile>, Refusal> {
        let Some(path) = path else { return Ok(None) };
        let file = announce(path)?;
        files.push((path.clone(), file.size_bytes));
        Ok(Some(file))
    };
    let draw = announced(&arguments.draw)?;
    let description = announced(&arguments.description)?;
    let uploaded = announced(&arguments.action.bundle)?;
    let in_inbox =
        || arguments.sha256.map(|sha256| wire::AuditFile { sha256: sha256.to_string(), size_bytes: 0 });
    let start = wire::SubmitRunStart {
        bundle: uploaded.or_else(in_inbox),
        inbox_file: arguments.action.inbox.clone().unwrap_or_default(),
        draw,
        description,
        label: arguments.label.clone(),
    };
    let (sender, messages) = channel(AHEAD);
    let mut shown = output.progress().of("sent");
    let mut client = peer.client.clone();
    let call = client.submit_run(ReceiverStream::new(messages));
    let (answer, sent) = tokio::join!(call, send(start, &files, sender, &mut shown));
    drop(shown);
    // What could not be read is why the service saw too little; that it wanted no more is no failure.
    sent?;
    let answer = peer.answer(answer)?;
    let run = run_of(answer.run)?;
    let known = if answer.was_known { ", which the service knew already" } else { "" };
    output.remark(&format!("The run is {}{known}.", run.run_id));
    Ok(run)
}

/// Sends everything, until the service has heard enough.
async fn send(
    start: wire::SubmitRunStart,
    files: &[(PathBuf, u64)],
    sender: Sender<wire::SubmitRunRequest>,
    shown: &mut Shown,
) -> Result<(), Refusal> {
    let total = files.iter().map(|(_, bytes)| bytes).sum();
    let mut done = 0;
    let message = |part| wire::SubmitRunRequest { part: Some(part) };
    if sender.send(message(Part::Start(start))).await.is_err() {
        return Ok(());
    }
    for (path, bytes) in files {
        let mut file = File::open(path).map_err(|error| unreadable(path, &error))?;
        let mut left = *bytes;
        while left > 0 {
            let mut chunk = Vec::new();
            let read = (&mut file).take(left.min(CHUNK_BYTES)).read_to_end(&mut chunk);
            let read = read.map_err(|error| unreadable(path, &error))? as u64;
            if read == 0 {
                return Err(unreadable(path, &"it became shorter while it was sent"));
            }
            left -= read;
            done += read;
            if sender.send(message(Part::Chunk(chunk.into()))).await.is_err() {
                return Ok(());
            }
            shown.advance("bytes", done, total);
        }
    }
    Ok(())
}

fn announce(path: &Path) -> Result<wire::AuditFile, Refusal> {
    let digest: Hash = folder::digest(path).map_err(|error| unreadable(path, &error))?;
    let about = std::fs::metadata(path).map_err(|error| unreadable(path, &error))?;
    Ok(wire::AuditFile { sha256: digest.to_string(), size_bytes: about.len() })
}

fn unreadable(path: &Path, error: &dyn std::fmt::Display) -> Refusal {
    Refusal::unavailable(
        format_args!("{} cannot be read: {error}", path.display()),
        "Check the path and the permissions, then run the command again.",
    )
}
