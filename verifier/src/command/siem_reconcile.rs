//! `ledgerstone siem reconcile`: what a SIEM holds against what the log says.
//!
//! Guarantees: every entry of the log is hashed and the root compared with the signed one before anything is held against it; an
//! event counts as unaltered only if every field of it is what the entry's event has when it is made again; memory does not grow with
//! what the SIEM holds, and by two bits an entry with the log. Does not do: asking a SIEM; checking what the log itself does not
//! hold, such as alerts of the sidecar.
//! Formats: `docs/siem.md`.

mod entries;
mod input;
mod said;
mod tally;

use std::ops::RangeInclusive;

use ledgerstone::checkpoint::Checkpoint;
use ledgerstone::siem::Log;
use ledgerstone::siem::found::read;
use ledgerstone::verify::{self, Check};

use super::{log_checkpoint, trust};
use crate::cli::SiemReconcileArguments;
use crate::exit::{Exit, Refusal};
use crate::output::{Output, plural};
use crate::source;

use entries::Entries;
use input::{Line, Lines};
use tally::{Place, Tally};

/// Entries that are reconciled at once: two bits each and a digest of 32 bytes for 256 of them make 192 MiB.
const LEAVES_MAX: u64 = 1 << 29;

/// Compares and prints.
///
/// # Errors
/// The log or an export cannot be read, or no event of Ledgerstone is in the exports.
pub(super) fn run(arguments: &SiemReconcileArguments, output: &mut Output) -> Result<Exit, Refusal> {
    let policy = trust::policy(&arguments.trust)?;
    let web = arguments.network.options();
    let source = source::open(&arguments.source, &web)?;
    let note = source.checkpoint()?;
    let checkpoint = log_checkpoint::parse(source.as_ref(), &note)?.checkpoint().clone();
    let range = range(arguments, &checkpoint)?;
    let (signed, _) = verify::checkpoint(&note, policy.as_ref());
    let mut checks = signed.checks().to_vec();
    let mut progress = output.progress().of("read");
    let (entries, root) = Entries::read(source.as_ref(), &checkpoint, &mut progress)?;
    drop(progress);
    checks.push(root);
    let log = Log::new(&checkpoint.origin);
    let mut tally = Tally::new(range, checkpoint.size);
    // What is not the log that was signed is nothing to hold a SIEM against.
    if let Some(mut entries) = entries {
        for path in &arguments.exports {
            take(path, &log, &mut entries, &mut tally)?;
        }
        if tally.events() == 0 && tally.has_lines() {
            return Err(nothing_found(&tally));
        }
        checks.extend(said::checks(&tally));
    } else {
        checks.extend(said::NAMES.map(|name| {
            Check::not_checked(
                name,
                "The log itself does not hold together, so there is nothing to compare with.",
            )
        }));
    }
    said::print(&checkpoint, checks, &tally, output)
}

/// The leaves that the SIEM should hold; none where the log has none.
fn range(
    arguments: &SiemReconcileArguments,
    checkpoint: &Checkpoint,
) -> Result<Option<RangeInclusive<u64>>, Refusal> {
    let size = checkpoint.size.get();
    let Some(newest) = size.checked_sub(1) else { return Ok(None) };
    let last = arguments.to.unwrap_or(newest);
    if arguments.from > last || last > newest {
        return Err(Refusal::usage(
            format_args!(
                "the log's checkpoint covers {}, counted from 0, and there is nothing from {} to {last} in it",
                plural(size, "entry", "entries"),
                arguments.from
            ),
            "Give --from and --to leaf indices below that number, in this order.",
        ));
    }
    if last - arguments.from >= LEAVES_MAX {
        return Err(Refusal::usage(
            format_args!("{} entries are more than {LEAVES_MAX}", last - arguments.from + 1),
            "Compare them in several runs, with --from and --to.",
        ));
    }
    Ok(Some(arguments.from..=last))
}

/// Holds every line of one export against the log.
fn take(
    path: &std::path::Path,
    log: &Log,
    entries: &mut Entries<'_>,
    tally: &mut Tally,
) -> Result<(), Refusal> {
    let file = path.display().to_string();
    let mut lines = Lines::open(path)?;
    while let Some((number, line)) = lines.next(&file)? {
        let place = Place { file: &file, line: number };
        let text = match line {
            Line::Text(text) => text,
            Line::Unreadable(why) => {
                tally.unreadable(place, why);
                continue;
            }
        };
        if tally.take_quickly(text, log, entries)? {
            continue;
        }
        match read(text) {
            Ok(found) => {
                for event in &found {
                    tally.take(event, place, log, entries)?;
                }
            }
            Err(error) => tally.not_an_event(place, error),
        }
    }
    Ok(())
}

fn nothing_found(tally: &Tally) -> Refusal {
    let first = tally
        .first_unreadable()
        .map(|line| format!("; the first that looks like one is {line}"))
        .unwrap_or_default();
    Refusal::malformed(
        format_args!("none of the lines given is an event of Ledgerstone{first}"),
        "Export the events as the sink sent them, one a line; docs/siem.md shows each format.",
    )
}
