//! `anchor status`: how each lane stands, as its files say it.

use std::io::Write;

use anyhow::{Context as _, Result};
use ledgerstone::store::fs::FsReader;

use crate::anchor::stored::{LaneFiles, survey};
use crate::config::Config;

/// Prints for each lane of the log of `config` its newest statement, the newest one with a proof, and what is not covered yet.
/// Lanes that are configured no more are among them; configured ones without a statement are named.
///
/// # Errors
/// If the log or the files of a lane cannot be read.
pub fn anchor_status(config: &Config, out: &mut impl Write) -> Result<()> {
    let store = &config.log.store;
    let published = FsReader::open(store).size();
    let published = published.with_context(|| format!("log.store: {}", store.display()))?;
    writeln!(out, "log {}: {published} entries published", config.log.origin)?;
    let lanes = survey(store, config.log.origin.as_str())?;
    for lane in &lanes {
        say(lane, published.get(), out)?;
        #[cfg(feature = "ethereum")]
        super::evm::chain_status(config, &lane.lane, out)?;
    }
    let known = |name: &str| lanes.iter().any(|lane| lane.lane.as_str() == name);
    for lane in config.anchors.lanes().filter(|lane| !known(lane.name.as_str())) {
        writeln!(out, "{}: nothing yet", lane.name)?;
    }
    if lanes.is_empty() && config.anchors.lanes().next().is_none() {
        writeln!(out, "no anchors are configured")?;
    }
    Ok(())
}

fn say(lane: &LaneFiles, published: u64, out: &mut impl Write) -> Result<()> {
    let kind = lane.kind.as_deref().unwrap_or("of an unknown kind: its file `lane` is missing or damaged");
    writeln!(out, "{}: {kind}", lane.lane)?;
    match &lane.newest {
        Some(newest) => writeln!(out, "  last statement: {} of {} entries", newest.seq, newest.to.size)?,
        None => writeln!(out, "  last statement: none")?,
    }
    match lane.proved {
        Some((seq, size)) => {
            writeln!(out, "  last proof: statement {seq} of {size} entries, {}", lane.proofs.join(", "))?;
        }
        None => writeln!(out, "  last proof: none")?,
    }
    let covered = lane.proved.map_or(0, |(_, size)| size.get());
    writeln!(out, "  not covered by a proof: {} entries", published.saturating_sub(covered))?;
    match &lane.journal {
        Ok(records) => writeln!(out, "  journal: {records} records")?,
        Err(problem) => writeln!(out, "  journal: {problem}")?,
    }
    Ok(())
}
