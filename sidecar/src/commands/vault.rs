//! `vault make`: joins protected attributes to decisions, in a file that stands apart from them.
//!
//! Guarantees: the file names a person only by a tag that follows from the opened record (`ledgerstone::vault`); it is readable by its
//! owner alone; nothing of the attributes reaches the log. Does not do: keep the attributes, or check that they are true.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use ledgerstone::entry::{AccessPurpose, Kind};
use ledgerstone::limits::{VAULT_ATTRIBUTES_MAX, VAULT_BYTES_MAX};
use ledgerstone::tile::TILE_WIDTH;
use ledgerstone::vault::{PersonTag, Vault};

use crate::cli::VaultMakeArguments;
use crate::config::Config;
use crate::keyring::subject;
use crate::reader::LogReader;
use crate::seal::{self, SealedContent};

/// The columns that say whom a line is about.
const DECISION: &str = "decision_id";
const SUBJECT: &str = "subject";
const PERSON: &str = "person";

/// Entries between two lines of progress.
const PROGRESS: u64 = 100_000;

/// The attributes as they were given: by who they are about.
struct Given {
    by_subject: bool,
    names: Vec<String>,
    rows: BTreeMap<(String, u32), Row>,
}

struct Row {
    values: Vec<Option<String>>,
    is_found: bool,
}

/// Writes the vault of the attributes in a table.
///
/// # Errors
/// If the table, the log or the keys cannot be read, or the file cannot be written.
pub fn make(config: &Config, arguments: &VaultMakeArguments, out: &mut impl Write) -> Result<()> {
    let mut given = read(&arguments.attributes)
        .with_context(|| format!("{} cannot be used", arguments.attributes.display()))?;
    let store = &config.log.store;
    let log = LogReader::at_rest(store).with_context(|| format!("log.store: {}", store.display()))?;
    super::reading::note_all(config, AccessPurpose::Vault, &log)?;
    let keys = super::record_keys(config)?;
    let mut vault = Vault::new(config.log.origin.clone(), given.names.clone())?;
    let (size, mut unopened) = (log.published().size.get(), 0_u64);
    for number in 0..size.div_ceil(u64::from(TILE_WIDTH)) {
        let is_decision = |entry: &ledgerstone::entry::Entry| entry.kind == Kind::Decision;
        let records = log.records_or_lost(&log.bundle(number)?, |_, entry| is_decision(entry))?;
        for stored in records.iter().filter(|stored| is_decision(&stored.entry)) {
            let (Some(decision), Some(sealed)) = (stored.entry.decision, &stored.sealed) else { continue };
            let content = seal::open(keys.as_ref(), &decision, Kind::Decision, sealed).ok();
            let Some(content) = content.filter(|content| content.committed(&stored.entry).is_some()) else {
                unopened += 1;
                continue;
            };
            given.join(&decision.to_string(), &content, &mut vault)?;
        }
        let done = (number + 1) * u64::from(TILE_WIDTH);
        if done % PROGRESS < u64::from(TILE_WIDTH) && done < size {
            writeln!(out, "{done} of {size} entries")?;
        }
    }
    let output = &arguments.output;
    crate::keyring::write_private(output, vault.to_text().as_bytes())
        .with_context(|| format!("{} cannot be written; an existing file is left alone", output.display()))?;
    let missing = given.rows.values().filter(|row| !row.is_found).count();
    writeln!(out, "wrote {}: {} people", output.display(), vault.len())?;
    if missing > 0 {
        writeln!(out, "{missing} lines of the table name nobody whose decision the log has")?;
    }
    if unopened > 0 {
        writeln!(out, "{unopened} records do not open; nobody of them is in the vault")?;
    }
    Ok(())
}

impl Given {
    /// Puts the people of one decision into the vault.
    fn join(&mut self, decision: &str, content: &SealedContent, vault: &mut Vault) -> Result<()> {
        let about: Vec<(u32, (String, u32))> = if self.by_subject {
            let subjects = content.record.fields().iter().filter_map(subject);
            subjects.map(|(place, subject)| (place, (subject.to_owned(), 0))).collect()
        } else {
            let of = |place| (decision.to_owned(), place);
            self.rows.range(of(0)..=of(u32::MAX)).map(|(key, _)| (key.1, key.clone())).collect()
        };
        for (place, key) in about {
            let Some(row) = self.rows.get_mut(&key) else { continue };
            row.is_found = true;
            vault.insert(PersonTag::new(&content.secret, place), row.values.clone())?;
        }
        Ok(())
    }
}

/// Reads a table of comma-separated values with a line of names.
fn read(path: &Path) -> Result<Given> {
    let length = fs::metadata(path)?.len();
    if length > VAULT_BYTES_MAX as u64 {
        bail!("it has more than {VAULT_BYTES_MAX} bytes: divide the people into several");
    }
    let mut table = csv::Reader::from_path(path)?;
    let columns: Vec<String> = table.headers()?.iter().map(str::to_owned).collect();
    let place = |name: &str| columns.iter().position(|column| column == name);
    let (key, by_subject) = match (place(DECISION), place(SUBJECT)) {
        (Some(place), None) => (place, false),
        (None, Some(place)) => (place, true),
        _ => bail!("its first line must name either a column `{DECISION}` or a column `{SUBJECT}`"),
    };
    let person = place(PERSON).filter(|_| !by_subject);
    let is_attribute = |place: &usize| *place != key && Some(*place) != person;
    let names: Vec<String> = columns
        .iter()
        .enumerate()
        .filter(|(place, _)| is_attribute(place))
        .map(|(_, name)| name.clone())
        .collect();
    if names.len() > VAULT_ATTRIBUTES_MAX {
        bail!("it has {} attributes; a vault has at most {VAULT_ATTRIBUTES_MAX}", names.len());
    }
    let mut rows = BTreeMap::new();
    for (line, number) in table.records().zip(2..) {
        let line = line?;
        let cell = |place: usize| line.get(place).unwrap_or_default().trim();
        let place = match person.map(cell) {
            Some(text) if !text.is_empty() => {
                text.parse().with_context(|| format!("line {number}: `{PERSON}` is no number"))?
            }
            _ => 0,
        };
        let values = (0..columns.len()).filter(is_attribute).map(|place| {
            let value = cell(place);
            (!value.is_empty()).then(|| value.to_owned())
        });
        let row = Row { values: values.collect(), is_found: false };
        if rows.insert((cell(key).to_owned(), place), row).is_some() {
            bail!("line {number} is about somebody whom an earlier line is about");
        }
    }
    Ok(Given { by_subject, names, rows })
}
