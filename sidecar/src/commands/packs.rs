//! `packs list`, `packs show` and `packs check`.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use ledgerstone::entry::AccessPurpose;
use ledgerstone::pack::{Pack, Source};
use ledgerstone::time::{Date, UnixMillis};

use crate::cli::{PackCheckArguments, PacksCommand};
use crate::config::Config;
use crate::intercept::recorder::now;
use crate::intercept::route::packs::named;
use crate::packs::check::{Options, Progress, WINDOW_BYTES, check};
use crate::packs::{Shelf, built_in, read};
use crate::reader::LogReader;

mod found;
mod routes;

/// Exit status where a decision or a route lacks something.
const LACKS: u8 = 1;

/// Exit status where nothing is known to be lacking, and something could not be judged.
const UNDECIDED: u8 = 2;

/// How often progress is printed.
const PROGRESS: Duration = Duration::from_millis(500);

/// Runs `packs ...`; `load` reads the configuration where one is needed.
///
/// # Errors
/// If a pack, the configuration, the keys or the log cannot be read.
pub fn packs(
    command: &PacksCommand,
    load: impl FnOnce() -> Result<Config>,
    out: &mut impl Write,
) -> Result<ExitCode> {
    match command {
        PacksCommand::List => list(out).map(|()| ExitCode::SUCCESS),
        PacksCommand::Show { pack } => show(pack, out).map(|()| ExitCode::SUCCESS),
        PacksCommand::Check(arguments) if arguments.log => check_log(&load()?, arguments, out),
        PacksCommand::Check(arguments) => {
            let lacks = routes::check(&load()?, arguments.json, out)?;
            Ok(if lacks { ExitCode::from(LACKS) } else { ExitCode::SUCCESS })
        }
    }
}

/// Prints the packs that come along.
fn list(out: &mut impl Write) -> Result<()> {
    let packs = built_in();
    let width = packs.iter().map(|pack| pack.reference.name().len()).max().unwrap_or(0);
    for pack in packs {
        let (name, version) = (pack.reference.name(), pack.reference.version());
        let since = pack.in_force_from.map_or(String::new(), |date| format!(", in force from {date}"));
        writeln!(out, "{name:width$}  {version}  as of {}{since}", pack.as_of)?;
        writeln!(out, "{:width$}     {}. {}.", "", pack.title, pack.jurisdiction)?;
    }
    writeln!(
        out,
        "\nWhat somebody read of the law, where, and when; no legal advice. `packs show NAME` prints one."
    )?;
    Ok(())
}

/// A pack by its name, or from a file.
fn find(name: &str) -> Result<Arc<Pack>> {
    if Path::new(name).extension().is_some_and(|extension| extension == "toml") {
        return Ok(read(Path::new(name))?);
    }
    let known = built_in();
    let Some(pack) = known.iter().find(|pack| pack.reference.name() == name) else {
        let names: Vec<&str> = known.iter().map(|pack| pack.reference.name()).collect();
        bail!("{name:?} is no file (*.toml) and none of the packs that come along: {}", names.join(", "));
    };
    Ok(Arc::clone(pack))
}

/// Prints a pack for a person who answers for what it asks.
fn show(name: &str, out: &mut impl Write) -> Result<()> {
    let pack = find(name)?;
    let say = |source: usize| pack.source(source).map_or_else(String::new, cited);
    writeln!(out, "{}", pack.title)?;
    writeln!(out, "Pack          {} {}", pack.reference.name(), pack.reference.version())?;
    writeln!(out, "Jurisdiction  {}", pack.jurisdiction)?;
    writeln!(out, "State of law  {}", pack.as_of)?;
    match pack.in_force_from {
        Some(date) => writeln!(out, "In force from {date}")?,
        None => writeln!(out, "In force from (not stated)")?,
    }
    writeln!(out, "SHA-256       {}", pack.reference.digest())?;
    heading(out, "A decision's record must hold", !pack.requirements.is_empty())?;
    for required in &pack.requirements {
        writeln!(out, "  {required}, {}", required.when.as_str())?;
        writeln!(out, "    {} [{}]", required.rule, say(required.source))?;
    }
    heading(out, "What must follow", !pack.obligations.is_empty())?;
    for asked in &pack.obligations {
        writeln!(out, "  {asked}")?;
        writeln!(out, "    {} [{}]", asked.rule, say(asked.source))?;
    }
    heading(out, "How long at least", !pack.retention.is_empty())?;
    for kept in &pack.retention {
        writeln!(out, "  {}", routes::kept(kept))?;
        writeln!(out, "    {} [{}]", kept.rule, say(kept.source))?;
    }
    heading(out, "Erasure on request", pack.erasure.is_some())?;
    if let Some(erasing) = &pack.erasure {
        writeln!(out, "  {}", routes::erasure(erasing.erasure))?;
        writeln!(out, "    {} [{}]", erasing.rule, say(erasing.source))?;
    }
    heading(out, "Asked too, and not checked: no record can show it", !pack.unchecked.is_empty())?;
    for asked in &pack.unchecked {
        writeln!(out, "  {} [{}]", asked.rule, say(asked.source))?;
    }
    heading(out, "Sources", true)?;
    for source in &pack.sources {
        let seen = source.seen.as_ref().map_or(String::new(), |seen| format!(" ({seen})"));
        writeln!(out, "  {}: {}{seen}", source.citation, source.certainty.as_str())?;
        if let Some(remark) = &source.remark {
            writeln!(out, "    {remark}")?;
        }
    }
    writeln!(out, "\nWhat somebody read of the law, where, and when; no legal advice.")?;
    Ok(())
}

fn heading(out: &mut impl Write, text: &str, is_there: bool) -> Result<()> {
    if is_there {
        writeln!(out, "\n{text}")?;
    }
    Ok(())
}

fn cited(source: &Source) -> String {
    source.citation.clone()
}

/// Checks the decisions of the log in the store, and prints what they lack.
fn check_log(config: &Config, arguments: &PackCheckArguments, out: &mut impl Write) -> Result<ExitCode> {
    let store = &config.log.store;
    let log = LogReader::at_rest(store).with_context(|| format!("log.store: {}", store.display()))?;
    super::reading::note_all(config, AccessPurpose::Packs, &log)?;
    let keys = super::record_keys(config)?;
    let mut others = Vec::new();
    for route in &config.routes {
        others.extend(named(route, &config.base)?);
    }
    for path in &arguments.packs {
        others.push(read(path)?);
    }
    let at = arguments.at.as_deref().map(time).transpose()?.unwrap_or_else(now);
    let options = Options { at, early: arguments.early, named: arguments.named, window_bytes: WINDOW_BYTES };
    let (started, mut printed) = (Instant::now(), Instant::now());
    let tally = check(&log, keys.as_ref(), &Shelf::new(others), options, |progress, size| {
        if printed.elapsed() >= PROGRESS {
            printed = Instant::now();
            eprintln!("{}", how_far(progress, size, started));
        }
    })?;
    let about = found::About { origin: config.log.origin.as_str(), at };
    if arguments.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&found::json(&tally, &about))?)?;
    } else {
        found::print(&tally, &about, out)?;
    }
    Ok(match (tally.lacks(), tally.is_undecided()) {
        (true, _) => ExitCode::from(LACKS),
        (false, true) => ExitCode::from(UNDECIDED),
        (false, false) => ExitCode::SUCCESS,
    })
}

fn how_far(progress: Progress, size: u64, started: Instant) -> String {
    match progress {
        Progress::Later(index) => format!("later entries: {index} of {size} entries"),
        Progress::Decisions(index) => {
            let seconds =
                started.elapsed().as_secs_f64() * size.saturating_sub(index) as f64 / index.max(1) as f64;
            format!("decisions: {index} of {size} entries, about {seconds:.0} s left")
        }
    }
}

/// A day, which is looked at as of its first moment, UTC.
fn time(text: &str) -> Result<UnixMillis> {
    let date = Date::parse(text).with_context(|| format!("--at {text:?}: write a date as YYYY-MM-DD"))?;
    Ok(date.start())
}
