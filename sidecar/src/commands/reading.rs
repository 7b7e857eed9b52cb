//! Reads of sealed records by commands: where roles are configured, each is an entry of the log before anything is shown.
//!
//! Guarantees: the entry is appended in a session of its own, after the same checks as at a start, and its log is let go before the command reads; where it
//! cannot be appended nothing is read. Does not do: anything where `[access]` is absent; hindering somebody who has the files and another program.

use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use ledgerstone::entry::{AccessPurpose, SessionId};
use ledgerstone::store::disk::Disk as _;
use ledgerstone::store::fs::StdDisk;

use crate::access::Origin;
use crate::access::reads::{Read, Reads};
use crate::anchor::{Anchors, guard};
use crate::app::previous;
use crate::config::Config;
use crate::driver;
use crate::intercept::{Session, SessionOptions};
use crate::log_keys;
use crate::reader::LogReader;
use crate::seal;

/// How long the session of a command may take to end.
const END: Duration = Duration::from_secs(10);

/// Has the log of `config` say that this command reads `read`, where roles are configured.
///
/// # Errors
/// If the log is another process's for now, or cannot be written.
pub(super) fn note(config: &Config, purpose: AccessPurpose, read: Read) -> Result<()> {
    if config.access.is_none() {
        return Ok(());
    }
    let store = &config.log.store;
    let lock = StdDisk::new(store).lock("lock").context("the store cannot be locked")?;
    if lock.is_none() {
        let instead = match read {
            Read::Of(..) => "ask it at recorder.listen (GET /decisions/ID, or GetHistory), or stop it first",
            Read::Stretch(..) => "stop it until this command has begun to read",
        };
        let store = store.display();
        bail!(
            "the sidecar is running on {store}, and with [access] this read must be an entry of its log: {instead}"
        );
    }
    drop(lock);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no threads")?;
    runtime
        .block_on(append(config, purpose, read))
        .context("with [access] a read of records is an entry of the log, and this one could not be appended: nothing was read")
}

/// The same for every record of the published log.
///
/// # Errors
/// As [`note`].
pub(super) fn note_all(config: &Config, purpose: AccessPurpose, log: &LogReader) -> Result<()> {
    match log.published().size.get().checked_sub(1) {
        Some(last) => note(config, purpose, Read::Stretch(0, last)),
        None => Ok(()),
    }
}

async fn append(config: &Config, purpose: AccessPurpose, read: Read) -> Result<()> {
    let (store, origin) = (&config.log.store, &config.log.origin);
    let keys = log_keys::load(&config.log.key_file, origin)?;
    let verifier = keys.verifier();
    let last = guard::check_size(store, origin)?;
    let record_keys = super::record_keys(config)?;
    let options =
        driver::Options { segment_bytes_max: config.log.segment_bytes, ..driver::Options::default() };
    let (log, _) = driver::open(store, keys, options)?;
    let reader = LogReader::open(store, log.published())?;
    Anchors::check(&last, &reader, &verifier)?;
    let session = SessionOptions {
        writer: config.writer.clone(),
        id: SessionId::from_bytes(*seal::random()?),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        configuration: config.digest,
        previous: previous::session(&reader, &config.writer)?,
    };
    let session = Session::start(Arc::new(log.clone()), session).await?;
    let reads = Reads::new(Arc::clone(&session), Arc::from(record_keys));
    let noted = reads.note(purpose, read, &reader_of_this_command()).await;
    let ended = session.stop(tokio::time::Instant::now() + END).await;
    drop((reads, session));
    let stopped = log.stop().await;
    noted?;
    ended?;
    Ok(stopped?)
}

/// The account of the operating system that the command runs under.
fn reader_of_this_command() -> Origin {
    let account = std::fs::metadata("/proc/self").map(|process| format!("uid:{}", process.uid()));
    Origin {
        workload: Some("ledgerstone-sidecar".into()),
        principal: account.ok().map(Into::into),
        ..Origin::default()
    }
}
