//! `bundle export`: evidence for somebody without the log.

use std::io::{IsTerminal as _, Write};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use ledgerstone::entry::AccessPurpose;

use crate::access::reads::Read;
use crate::config::Config;
use crate::evidence::{Estimate, Exporter, Wanted};
use crate::reader::LogReader;

/// How often progress is printed.
const PROGRESS: Duration = Duration::from_millis(500);

/// Exports a bundle from the log of `config`: says first how large it will be, then how far it is, then what is in it.
///
/// # Errors
/// If the log, the keys or a model cannot be read, or the file cannot be written.
pub fn export(config: &Config, wanted: Wanted, estimate_only: bool, out: &mut impl Write) -> Result<()> {
    let store = &config.log.store;
    let log = LogReader::at_rest(store).with_context(|| format!("log.store: {}", store.display()))?;
    let keys = super::record_keys(config)?;
    let output = wanted.output.display().to_string();
    let is_readable = wanted.recipients.is_empty();
    let exporter = Exporter::survey(&log, keys.as_ref(), wanted)?;
    let estimate = exporter.estimate();
    say_estimate(&estimate, out)?;
    if estimate_only {
        return Ok(());
    }
    let (first, last) = exporter.stretch();
    super::reading::note(config, AccessPurpose::Bundle, Read::Stretch(first, last))?;
    let (started, mut printed) = (Instant::now(), Instant::now());
    let exported = exporter.write(|done| {
        if printed.elapsed() >= PROGRESS {
            printed = Instant::now();
            // Progress that cannot be printed is no reason to stop.
            _ = writeln!(
                out,
                "{done} of {} entries{}",
                estimate.entries,
                left(started, done, estimate.entries)
            );
        }
    })?;
    for (reason, count) in &exported.absent {
        writeln!(out, "{count} records are absent: {reason}")?;
    }
    if exported.resumed > 0 {
        writeln!(out, "{} parts were there from an interrupted export", exported.resumed)?;
    }
    writeln!(out, "wrote {output}: {}", bytes(exported.bytes))?;
    if is_readable && std::io::stderr().is_terminal() {
        eprintln!("anybody who has {output} can read the records in it; --to encrypts them");
    }
    Ok(())
}

fn say_estimate(estimate: &Estimate, out: &mut impl Write) -> Result<()> {
    writeln!(
        out,
        "{} entries, {} with records, {} before compression",
        estimate.entries,
        estimate.records,
        bytes(estimate.bytes)
    )?;
    for (digest, count) in &estimate.without_model {
        match digest {
            Some(digest) => writeln!(
                out,
                "{count} decisions name the model {digest}, which does not come along: give it with --model, or they cannot be recomputed"
            )?,
            None => writeln!(out, "{count} decisions name no model and cannot be recomputed")?,
        }
    }
    Ok(())
}

/// Time left at the rate so far.
fn left(started: Instant, done: u64, all: u64) -> String {
    let share = done as f64 / all.max(1) as f64;
    if share <= 0.0 {
        return String::new();
    }
    let seconds = started.elapsed().as_secs_f64() * (1.0 - share) / share;
    format!(", {seconds:.0} s left")
}

/// Bytes for a person to read.
fn bytes(count: u64) -> String {
    match count {
        0..10_000 => format!("{count} bytes"),
        10_000..10_000_000 => format!("{:.1} kB", count as f64 / 1e3),
        10_000_000..10_000_000_000 => format!("{:.1} MB", count as f64 / 1e6),
        _ => format!("{:.1} GB", count as f64 / 1e9),
    }
}
