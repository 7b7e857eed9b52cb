//! What `packs check --log` found, as a table and as JSON.

use std::io::Write;

use anyhow::Result;
use ledgerstone::pack::Source;
use ledgerstone::time::UnixMillis;
use serde_json::{Value as Json, json};

use crate::packs::tally::{Count, Found, Tally};

/// Which log, and as of when.
pub(super) struct About<'a> {
    pub(super) origin: &'a str,
    pub(super) at: UnixMillis,
}

/// What can be the matter with a rule, in the order of the table.
fn matters(found: &Found) -> [(&'static str, &'static str, &Count); 6] {
    [
        ("lacking", "LACKING", &found.lacking),
        ("masked", "of them masked", &found.masked),
        ("overdue", "OVERDUE", &found.overdue),
        ("due", "due", &found.due),
        ("late", "came late", &found.late),
        ("claimed", "in time by the entry's own word, recorded later", &found.claimed),
    ]
}

/// Prints a table for a person.
pub(super) fn print(tally: &Tally, about: &About<'_>, out: &mut impl Write) -> Result<()> {
    writeln!(out, "Log        {}, {} entries as of {}", about.origin, tally.entries, about.at)?;
    writeln!(out, "Decisions  {}", tally.decisions)?;
    writeln!(out, "           {} judged by all the packs that they name", tally.checked)?;
    for (count, what) in [
        (tally.without_packs, "name no pack"),
        (tally.early, "from before one of their packs was in force, not judged by it (--early judges them)"),
    ] {
        if count > 0 {
            writeln!(out, "           {count} {what}")?;
        }
    }
    count(out, "not judged: the record is not there or does not open", &tally.closed)?;
    count(out, "with a later entry that is not there or does not open", &tally.closed_later)?;
    for (reference, unknown) in &tally.unknown {
        let name =
            reference.as_ref().map_or_else(|| "one that has no pack's name".to_owned(), ToString::to_string);
        count(
            out,
            &format!("not judged by a pack that is not at hand: {name} (--pack FILE gives it)"),
            unknown,
        )?;
    }
    for found in tally.rules.values() {
        let Some(Rule { what, source, .. }) = Rule::of(found) else { continue };
        writeln!(out, "\n{} {}  {what}", found.pack.reference.name(), found.pack.reference.version())?;
        writeln!(out, "  {} ({})", source.citation, source.certainty.as_str())?;
        for (_, what, decisions) in matters(found) {
            count(out, what, decisions)?;
        }
        if let Some(next) = &found.next_due {
            writeln!(out, "           the next one by {next}")?;
        }
    }
    let verdict = match (tally.lacks(), tally.is_undecided()) {
        (true, _) => "Decisions lack what their packs require.",
        (false, true) => "Nothing was found lacking, and not everything could be judged.",
        (false, false) => "Nothing lacks that the packs require and a record can show.",
    };
    writeln!(out, "\n{verdict} This is no legal advice: `packs show NAME` says what is not checked.")?;
    Ok(())
}

fn count(out: &mut impl Write, what: &str, decisions: &Count) -> Result<()> {
    if decisions.decisions == 0 {
        return Ok(());
    }
    writeln!(out, "  {:>7}  {what}", decisions.decisions)?;
    for (decision, index) in &decisions.first {
        writeln!(out, "           {decision} at leaf index {index}")?;
    }
    let further = decisions.decisions.saturating_sub(decisions.first.len() as u64);
    if further > 0 && !decisions.first.is_empty() {
        writeln!(out, "           and {further} more")?;
    }
    Ok(())
}

/// The same as JSON.
pub(super) fn json(tally: &Tally, about: &About<'_>) -> Json {
    let rules: Vec<Json> = tally.rules.values().filter_map(rule_json).collect();
    let unknown = tally.unknown.iter().map(|(reference, count)| {
        json!({ "pack": reference.as_ref().map(ToString::to_string), "decisions": count_json(count) })
    });
    json!({
        "format": "ledgerstone-packs-check/v1",
        "origin": about.origin,
        "as_of": about.at.to_string(),
        "entries": tally.entries,
        "decisions": tally.decisions,
        "judged": tally.checked,
        "without_packs": tally.without_packs,
        "before_in_force": tally.early,
        "not_opened": count_json(&tally.closed),
        "later_not_opened": count_json(&tally.closed_later),
        "packs_not_at_hand": unknown.collect::<Vec<_>>(),
        "rules": rules,
        "lacks": tally.lacks(),
        "undecided": tally.is_undecided(),
    })
}

/// A rule in words.
struct Rule<'a> {
    kind: &'static str,
    what: String,
    rule: &'a str,
    source: &'a Source,
}

impl<'a> Rule<'a> {
    fn of(found: &'a Found) -> Option<Self> {
        let (kind, what, rule, source) = match (found.requirement(), found.obligation()) {
            (Some(one), _) => ("requires", format!("{one}, {}", one.when.as_str()), &one.rule, one.source),
            (None, Some(one)) => ("entry", one.to_string(), &one.rule, one.source),
            (None, None) => return None,
        };
        Some(Self { kind, what, rule, source: found.pack.source(source)? })
    }
}

fn rule_json(found: &Found) -> Option<Json> {
    let Rule { kind, what, rule, source } = Rule::of(found)?;
    let mut json = json!({
        "pack": found.pack.reference.name(),
        "version": found.pack.reference.version(),
        "sha256": found.pack.reference.digest().to_string(),
        "kind": kind,
        "what": what,
        "rule": rule,
        "citation": source.citation,
        "certainty": source.certainty.as_str(),
        "next_due": found.next_due.map(|time| time.to_string()),
    });
    if let Json::Object(fields) = &mut json {
        for (key, _, count) in matters(found) {
            fields.insert(key.to_owned(), count_json(count));
        }
    }
    Some(json)
}

fn count_json(count: &Count) -> Json {
    let first = count.first.iter();
    let first = first
        .map(|(decision, index)| json!({ "decision_id": decision.to_string(), "leaf_index": index.get() }));
    json!({ "decisions": count.decisions, "first": first.collect::<Vec<_>>() })
}
