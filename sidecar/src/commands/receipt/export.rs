//! `receipt export`: the receipts of many decisions, into a folder or an archive.
//!
//! Guarantees: reads the log's files only, so it runs beside a sidecar; every receipt was verified against the log's own policy before it
//! was written, and all stand under one checkpoint; memory does not grow with the number of receipts. A decision whose receipt cannot be
//! made is named and counted, and the command then fails, with the others written. Does not do: overwriting anything.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use ledgerstone::entry::{DecisionId, Entry, Kind};
use ledgerstone::merkle::LeafIndex;
use ledgerstone::tile::TILE_WIDTH;
use zstd::Encoder;

use super::Tools;
use crate::cli::ReceiptExportArguments;
use crate::config::Config;
use crate::reader::{LogReader, Stored};
use crate::telemetry::with_causes;

/// Entries added to decisions of the range that are remembered: 16 bytes each make 64 MiB with their map.
const LATER_MAX: usize = 1 << 20;

/// Decisions without a receipt that are named one by one.
const NAMED_MAX: u64 = 20;

/// How often progress is printed.
const PROGRESS: Duration = Duration::from_millis(500);

/// What the name of an archive ends in.
const ARCHIVE: &str = ".tar.zst";

/// Writes the receipts that `arguments` ask for.
///
/// # Errors
/// If the log cannot be read, the output exists, or a receipt could not be made.
pub fn receipt_export(
    config: &Config,
    arguments: &ReceiptExportArguments,
    out: &mut impl Write,
) -> Result<()> {
    let tools = Tools::new(config)?;
    let size = tools.log.published().size.get();
    if size == 0 || arguments.from >= size {
        bail!("the published log has {size} entries, the first being 0: choose --from below that");
    }
    let to = arguments.to.unwrap_or(u64::MAX).min(size - 1);
    let later = later(&tools.log, arguments.from, to, size)?;
    let mut target = Target::create(&arguments.output)?;
    let (mut written, mut missed, started) = (0_u64, 0_u64, Instant::now());
    let mut printed = started;
    for number in arguments.from / u64::from(TILE_WIDTH)..=to / u64::from(TILE_WIDTH) {
        for stored in decisions(&tools.log, number)? {
            if stored.index.get() < arguments.from || stored.index.get() > to {
                continue;
            }
            match one(&tools, &stored, &later, arguments.route.as_deref()) {
                Ok(Some((decision, receipt))) => {
                    target.add(decision, receipt.as_bytes())?;
                    written += 1;
                }
                Ok(None) => {}
                Err(error) => {
                    missed += 1;
                    if missed <= NAMED_MAX {
                        writeln!(out, "entry {}: no receipt: {}", stored.index, with_causes(error.as_ref()))?;
                    }
                }
            }
        }
        if printed.elapsed() >= PROGRESS {
            printed = Instant::now();
            let read = ((number + 1) * u64::from(TILE_WIDTH)).min(to + 1);
            writeln!(out, "{written} receipts, entry {read} of {}", to + 1)?;
        }
    }
    let path = target.finish()?;
    let seconds = started.elapsed().as_secs_f64();
    writeln!(out, "wrote {written} receipts to {} in {seconds:.1} s", path.display())?;
    if missed > 0 {
        bail!("{missed} decisions have no receipt; the others were written");
    }
    Ok(())
}

/// The entries that were added to decisions of the range, by the decision's index.
fn later(log: &LogReader, from: u64, to: u64, size: u64) -> Result<BTreeMap<u64, Vec<LeafIndex>>> {
    let (mut found, mut count) = (BTreeMap::<u64, Vec<LeafIndex>>::new(), 0);
    for number in from / u64::from(TILE_WIDTH)..size.div_ceil(u64::from(TILE_WIDTH)) {
        for stored in log.records(&log.bundle(number)?, |_, _| false)? {
            let links = stored.entry.links.iter().filter(|link| (from..=to).contains(&link.get()));
            for link in links.filter(|_| stored.entry.kind.is_follow_up()) {
                count += 1;
                if count > LATER_MAX {
                    bail!(
                        "more than {LATER_MAX} entries were added to these decisions: export fewer at once"
                    );
                }
                found.entry(link.get()).or_default().push(stored.index);
            }
        }
    }
    Ok(found)
}

fn decisions(log: &LogReader, number: u64) -> Result<impl Iterator<Item = Stored>> {
    let records = log.records(&log.bundle(number)?, |_, _| false)?;
    Ok(records.into_iter().filter(|stored| stored.entry.kind == Kind::Decision))
}

/// The receipt of one decision, unless it is of another route than the one asked for.
fn one(
    tools: &Tools,
    own: &Stored,
    later: &BTreeMap<u64, Vec<LeafIndex>>,
    route: Option<&str>,
) -> Result<Option<(DecisionId, String)>> {
    let decision = own.entry.decision.context("a decision's entry without its id")?;
    if let Some(route) = route
        && tools.builder.route_name(own.index, &own.entry)?.as_deref() != Some(route)
    {
        return Ok(None);
    }
    let mut entries = vec![(own.index, own.entry.clone())];
    for index in later.get(&own.index.get()).into_iter().flatten() {
        let entry = Entry::decode(&tools.log.entry(*index)?)?;
        if entry.decision == Some(decision) {
            entries.push((*index, entry));
        }
    }
    let made = tools.builder.build(tools.log.entry(own.index)?, &entries, None)?;
    Ok(Some((decision, made.receipt.to_json())))
}

/// Where the receipts go.
enum Target {
    Folder(PathBuf),
    Archive { path: PathBuf, beside: PathBuf, tar: Box<tar::Builder<Encoder<'static, File>>> },
}

impl Target {
    fn create(path: &Path) -> Result<Self> {
        if path.exists() {
            bail!("{} exists already: choose another name", path.display());
        }
        let is_archive = path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(ARCHIVE));
        if !is_archive {
            fs::create_dir_all(path).with_context(|| format!("cannot create {}", path.display()))?;
            return Ok(Self::Folder(path.to_owned()));
        }
        let beside = path.with_extension("zst.partial");
        let file = crate::keyring::create_private(&beside)
            .with_context(|| format!("cannot create {}", beside.display()))?;
        let tar = Box::new(tar::Builder::new(Encoder::new(file, 0)?));
        Ok(Self::Archive { path: path.to_owned(), beside, tar })
    }

    fn add(&mut self, decision: DecisionId, receipt: &[u8]) -> Result<()> {
        let name = format!("{decision}.json");
        match self {
            Self::Folder(folder) => {
                let path = folder.join(name);
                let written =
                    crate::keyring::create_private(&path).and_then(|mut file| file.write_all(receipt));
                written.with_context(|| format!("cannot write {}", path.display()))
            }
            Self::Archive { tar, beside, .. } => {
                let mut header = tar::Header::new_ustar();
                header.set_size(receipt.len() as u64);
                header.set_mode(0o600);
                header.set_mtime(0);
                let added = tar.append_data(&mut header, name, receipt);
                added.with_context(|| format!("cannot write {}", beside.display()))
            }
        }
    }

    /// Makes what was written durable, and gives an archive its name.
    fn finish(self) -> Result<PathBuf> {
        match self {
            Self::Folder(folder) => {
                File::open(&folder).and_then(|folder| folder.sync_all())?;
                Ok(folder)
            }
            Self::Archive { path, beside, tar } => {
                let named = (|| -> io::Result<()> {
                    tar.into_inner()?.finish()?.sync_all()?;
                    fs::rename(&beside, &path)
                })();
                named.with_context(|| format!("cannot write {}", path.display()))?;
                Ok(path)
            }
        }
    }
}
