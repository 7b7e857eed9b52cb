//! `index rebuild`: deletes the lookup index and builds it again from the log.

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use ledgerstone::hash::Hash;
use ledgerstone::store::disk::Disk as _;
use ledgerstone::store::fs::StdDisk;

use crate::config::Config;
use crate::index::{Builder, Index};
use crate::reader::LogReader;

/// How often progress is printed.
const PROGRESS: Duration = Duration::from_millis(500);

/// Builds the index of the log of `config` from nothing, and says how far it is.
///
/// # Errors
/// If the sidecar is running, or the log cannot be read.
pub fn rebuild(config: &Config, out: &mut impl Write) -> Result<()> {
    let store = &config.log.store;
    let log = LogReader::at_rest(store).with_context(|| format!("log.store: {}", store.display()))?;
    // Held until the end: the index has one writer, and that is the one that has the store.
    let lock = StdDisk::new(store).lock("lock").context("the store cannot be locked")?;
    let Some(_lock) = lock else {
        bail!(
            "the sidecar is running on {}; stop it first. While it runs it repairs its index by itself",
            store.display()
        );
    };
    let origin = Hash::of(config.log.origin.as_str().as_bytes());
    let index = Index::open(&store.join("index"), origin, log.published().size)?;
    index.reset()?;
    let started = Instant::now();
    let mut printed = started;
    Builder::new(Arc::new(index), log.clone()).catch_up(|covered, size| {
        if printed.elapsed() >= PROGRESS {
            printed = Instant::now();
            // Progress that cannot be printed is no reason to stop.
            _ = writeln!(out, "{covered} of {size} entries");
        }
    })?;
    let (size, seconds) = (log.published().size, started.elapsed().as_secs_f64());
    writeln!(out, "built the lookup index of {size} entries in {seconds:.1} s")?;
    Ok(())
}
