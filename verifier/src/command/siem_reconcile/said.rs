//! What a reconciliation says: three checks, and for programs every count.

use ledgerstone::checkpoint::Checkpoint;
use ledgerstone::code::{CheckName, Code};
use ledgerstone::merkle::LeafIndex;
use ledgerstone::verify::{Check, Place, Report, Status, Verdict};
use serde::Serialize;

use super::tally::{Altered, Missing, Tally, Unreadable};
use crate::exit::{Exit, Refusal};
use crate::output::{Answer, Output, plural};

/// Stretches of missing entries that the text names.
const RANGES_SHOWN: usize = 12;

/// Fields of an altered event that the text names.
const FIELDS_SHOWN: usize = 4;

/// The checks, in order.
pub(super) const NAMES: [CheckName; 3] =
    [CheckName::SiemComplete, CheckName::SiemUnaltered, CheckName::SiemWithin];

/// What is left open even where every check passed.
const NOT_PROVED: [&str; 2] = [
    "That the SIEM's alerts which the log has no entry for are all there: only what the log holds can be compared.",
    "That the SIEM still holds tomorrow what it gave out today.",
];

/// A report with what a program wants to know beside it.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    answer: &'a Answer,
    reconciliation: Reconciliation<'a>,
}

#[derive(Serialize)]
struct Reconciliation<'a> {
    log_id: String,
    first_index: Option<u64>,
    last_index: Option<u64>,
    entries: u64,
    missing: u64,
    /// First and last leaf of each stretch.
    missing_ranges: &'a [(u64, u64)],
    missing_ranges_left_out: u64,
    unaltered_events: u64,
    duplicate_events: u64,
    altered_events: u64,
    /// Entries of which no unaltered event was found, but an altered one was.
    altered_entries: u64,
    altered: &'a [Altered],
    altered_left_out: u64,
    foreign: Vec<Foreign>,
    foreign_others: u64,
    beyond_events: u64,
    beyond_highest_index: Option<u64>,
    outside_events: u64,
    alert_events: u64,
    unreadable_lines: u64,
    unreadable: &'a [Unreadable],
    other_lines: u64,
}

#[derive(Serialize)]
struct Foreign {
    log_id: String,
    events: u64,
}

/// The checks that a tally makes.
pub(super) fn checks(tally: &Tally) -> [Check; 3] {
    [complete(tally), unaltered(tally), within(tally)]
}

fn complete(tally: &Tally) -> Check {
    let (missing, wanted) = (tally.missing(), plural(tally.wanted(), "entry", "entries"));
    let name = CheckName::SiemComplete;
    let Some((first, last)) = tally.range() else {
        return Check::passed(name, "The log has no entries, so none can be missing.");
    };
    if missing.count == 0 {
        let copies = match tally.copies() {
            0 => String::new(),
            copies => {
                format!(" {} came more than once, which does no harm.", plural(copies, "event", "events"))
            }
        };
        return Check::passed(name, format!("All of {wanted}, from {first} to {last}, are there.{copies}"));
    }
    let detail =
        format!("{} of {wanted}, from {first} to {last}, are missing: {}.", missing.count, ranges(&missing));
    Check::failed(name, Code::Inconsistent, detail)
}

/// `4, 7 to 9 and 3 further stretches`.
fn ranges(missing: &Missing) -> String {
    let shown = missing.ranges.iter().take(RANGES_SHOWN).map(|(first, last)| match last - first {
        0 => first.to_string(),
        _ => format!("{first} to {last}"),
    });
    let shown = shown.collect::<Vec<_>>().join(", ");
    match missing.stretches.saturating_sub(RANGES_SHOWN as u64) {
        0 => shown,
        more => format!("{shown} and {}", plural(more, "further stretch", "further stretches")),
    }
}

fn unaltered(tally: &Tally) -> Check {
    let name = CheckName::SiemUnaltered;
    let compared = tally.unaltered_events + tally.altered_events;
    let beside = beside(tally);
    if tally.altered_events == 0 {
        let detail =
            format!("{} compared, field by field.{beside}", plural(compared, "event was", "events were"));
        return Check::passed(name, detail);
    }
    let detail = format!(
        "{} of {} do not say what the log says of their entries.{beside}",
        tally.altered_events,
        plural(compared, "event", "events")
    );
    let places = tally.altered_listed.iter().map(|altered| {
        let fields = altered.fields.iter().take(FIELDS_SHOWN).cloned().collect::<Vec<_>>().join(", ");
        let more = match altered.fields.len().saturating_sub(FIELDS_SHOWN) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        Place {
            leaf_index: Some(LeafIndex::new(altered.leaf_index)),
            path: Some(altered.file.clone()),
            what: format!("line {} differs in {fields}{more}", altered.line),
            ..Place::default()
        }
    });
    Check::failed(name, Code::Inconsistent, detail).at(places)
}

/// What was there and not compared.
fn beside(tally: &Tally) -> String {
    let mut text = String::new();
    let mut add = |count: u64, one: &str, many: &str| {
        if count > 0 {
            text += &format!("\nNot compared: {}.", plural(count, one, many));
        }
    };
    add(tally.alerts, "alert that the log has no entry for", "alerts that the log has no entry for");
    add(tally.outside, "event outside the range asked for", "events outside the range asked for");
    for (log, events) in &tally.foreign {
        add(*events, &format!("event of log {log}"), &format!("events of log {log}"));
    }
    add(tally.foreign_others, "event of further logs", "events of further logs");
    add(tally.others, "line that is no event of Ledgerstone", "lines that are no events of Ledgerstone");
    if let Some(first) = tally.first_unreadable() {
        text += &format!(
            "\n{} could not be read, the first at {first}.",
            plural(tally.unreadable, "line", "lines")
        );
    }
    text
}

fn within(tally: &Tally) -> Check {
    let (name, size) = (CheckName::SiemWithin, tally.size());
    if tally.beyond == 0 {
        return Check::passed(name, format!("No event names an entry after the {size} of the checkpoint."));
    }
    let detail = format!(
        "{} up to {}, and the checkpoint covers {size}. Either this copy of the log is older than what the SIEM holds, or these \
         entries never existed.",
        plural(tally.beyond, "event names an entry", "events name entries"),
        tally.beyond_highest
    );
    Check::not_checked(name, detail)
}

/// Prints the report and gives the status that it means.
pub(super) fn print(
    checkpoint: &Checkpoint,
    checks: Vec<Check>,
    tally: &Tally,
    output: &mut Output,
) -> Result<Exit, Refusal> {
    let subject = format!("what a SIEM holds of {} at size {}", checkpoint.origin, checkpoint.size);
    let report = Report::new(subject, checks, NOT_PROVED.to_vec());
    let answer = Answer { meaning: meaning(&report), next: next(&report), report };
    if !output.is_json() {
        return output.answer(&answer);
    }
    let missing = tally.missing();
    let log_id = ledgerstone::siem::Log::new(&checkpoint.origin).id().to_string();
    let foreign = |(log, events): (&ledgerstone::hash::Hash, &u64)| Foreign {
        log_id: log.to_string(),
        events: *events,
    };
    output.json(&Document {
        reconciliation: Reconciliation {
            log_id,
            first_index: tally.range().map(|(first, _)| first),
            last_index: tally.range().map(|(_, last)| last),
            entries: tally.wanted(),
            missing: missing.count,
            missing_ranges: &missing.ranges,
            missing_ranges_left_out: missing.stretches - missing.ranges.len() as u64,
            unaltered_events: tally.unaltered_events,
            duplicate_events: tally.copies(),
            altered_events: tally.altered_events,
            altered_entries: tally.only_altered(),
            altered: &tally.altered_listed,
            altered_left_out: tally.altered_events - tally.altered_listed.len() as u64,
            foreign: tally.foreign.iter().map(foreign).collect(),
            foreign_others: tally.foreign_others,
            beyond_events: tally.beyond,
            beyond_highest_index: (tally.beyond > 0).then_some(tally.beyond_highest),
            outside_events: tally.outside,
            alert_events: tally.alerts,
            unreadable_lines: tally.unreadable,
            unreadable: &tally.unreadable_listed,
            other_lines: tally.others,
        },
        answer: &answer,
    })?;
    Ok(Exit::from(answer.report.verdict()))
}

fn status(report: &Report, name: CheckName) -> Option<Status> {
    report.check(name).map(|check| check.status)
}

/// What the verdict says, in one clause.
fn meaning(report: &Report) -> &'static str {
    let failed = |name| status(report, name) == Some(Status::Failed);
    match report.verdict() {
        Verdict::Verified => "the SIEM holds every entry of the log, as the log has it",
        Verdict::Failed if failed(CheckName::SiemUnaltered) => "the SIEM holds something else than the log",
        Verdict::Failed if failed(CheckName::SiemComplete) => "entries of the log are missing in the SIEM",
        Verdict::Failed => "this is not a log that a SIEM could be held against",
        Verdict::Undecided => "nothing wrong was found, but that is not enough",
    }
}

/// The steps, most useful first.
fn next(report: &Report) -> Vec<String> {
    let is = |name, wanted| status(report, name) == Some(wanted);
    let mut steps = Vec::new();
    if is(CheckName::LogRoot, Status::Failed) || is(CheckName::CheckpointSignatures, Status::Failed) {
        steps.push("Run `ledgerstone verify log` on the log first: it says what is wrong there.");
    }
    if is(CheckName::CheckpointSignatures, Status::NotChecked) {
        steps.push("Get the log's policy file over a channel you trust, and run the command again with --policy FILE.");
    }
    if is(CheckName::SiemUnaltered, Status::Failed) {
        steps.push("Keep the export: it is evidence. Find out who could change events in the SIEM, then send the entries again.");
    }
    if is(CheckName::SiemComplete, Status::Failed) {
        steps.push(
            "See whether the sink is behind (`ledgerstone-sidecar` tells its lag) or the export left something out; else set the sink's \
             cursor back to the first missing entry, and everything from there is sent again.",
        );
    }
    if is(CheckName::SiemWithin, Status::NotChecked) {
        steps.push("Run the command again with a newer copy of the log; if the entries are not there either, the events were made up.");
    }
    steps.into_iter().map(str::to_owned).collect()
}
