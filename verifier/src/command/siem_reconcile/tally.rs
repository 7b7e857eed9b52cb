//! What was found of each entry.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use ledgerstone::hash::Hash;
use ledgerstone::merkle::{LeafIndex, TreeSize};
use ledgerstone::siem::found::{Claim, Found, FoundError, Shape};
use ledgerstone::siem::{Event, Format, Log};
use serde::Serialize;

use super::entries::Entries;
use crate::exit::Refusal;

/// Altered events that are listed, with their fields; further ones are counted.
const ALTERED_MAX: usize = 1000;

/// Other logs that are told apart; further ones are counted together.
const FOREIGN_MAX: usize = 16;

/// Lines that could not be read and are listed; further ones are counted.
const UNREADABLE_MAX: usize = 16;

/// Ranges of missing entries that are listed; further ones are counted.
pub(super) const RANGES_MAX: usize = 10_000;

/// Where a line stands.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) file: &'a str,
    pub(super) line: u64,
}

/// An event that does not say what the log says.
#[derive(Debug, Serialize)]
pub(super) struct Altered {
    pub(super) leaf_index: u64,
    pub(super) file: String,
    pub(super) line: u64,
    pub(super) fields: Vec<String>,
}

/// A line that could not be read.
#[derive(Debug, Serialize)]
pub(super) struct Unreadable {
    pub(super) file: String,
    pub(super) line: u64,
    pub(super) why: String,
}

/// Counts, and a bit or two for every entry.
pub(super) struct Tally {
    /// First leaf of the range, and one past its last.
    from: u64,
    end: u64,
    size: TreeSize,
    unaltered: Bits,
    altered: Bits,
    pub(super) unaltered_events: u64,
    pub(super) altered_events: u64,
    pub(super) altered_listed: Vec<Altered>,
    pub(super) foreign: BTreeMap<Hash, u64>,
    pub(super) foreign_others: u64,
    pub(super) beyond: u64,
    pub(super) beyond_highest: u64,
    pub(super) outside: u64,
    pub(super) alerts: u64,
    pub(super) unreadable: u64,
    pub(super) unreadable_listed: Vec<Unreadable>,
    pub(super) others: u64,
    /// How the last event was written, because the next one most likely is too.
    shape: Option<Shape>,
    made: String,
}

impl Tally {
    /// Nothing found yet of a log of `size` leaves, of which those in `range` are wanted.
    pub(super) fn new(range: Option<RangeInclusive<u64>>, size: TreeSize) -> Self {
        let (from, end) = range.map_or((0, 0), |range| (*range.start(), range.end() + 1));
        Self {
            from,
            end,
            size,
            unaltered: Bits::new(end - from),
            altered: Bits::new(end - from),
            unaltered_events: 0,
            altered_events: 0,
            altered_listed: Vec::new(),
            foreign: BTreeMap::new(),
            foreign_others: 0,
            beyond: 0,
            beyond_highest: 0,
            outside: 0,
            alerts: 0,
            unreadable: 0,
            unreadable_listed: Vec::new(),
            others: 0,
            shape: None,
            made: String::new(),
        }
    }

    /// Takes a line that is, byte for byte, the event of the leaf that it seems to name; false where it has to be read.
    pub(super) fn take_quickly(
        &mut self,
        line: &str,
        log: &Log,
        entries: &mut Entries<'_>,
    ) -> Result<bool, Refusal> {
        let Some((shape, index)) = self.shape.and_then(|shape| Some((shape, seeming_index(line, shape)?)))
        else {
            return Ok(false);
        };
        let Some(event) = event(log, index, entries)? else { return Ok(false) };
        self.made.clear();
        shape.render(&event, &mut self.made);
        let is_same = self.made == line;
        if is_same {
            self.found(index, true);
        }
        Ok(is_same)
    }

    /// Takes an event.
    pub(super) fn take(
        &mut self,
        found: &Found,
        place: Place<'_>,
        log: &Log,
        entries: &mut Entries<'_>,
    ) -> Result<(), Refusal> {
        if found.log_id() != log.id() {
            if self.foreign.len() < FOREIGN_MAX || self.foreign.contains_key(&found.log_id()) {
                *self.foreign.entry(found.log_id()).or_default() += 1;
            } else {
                self.foreign_others += 1;
            }
            return Ok(());
        }
        self.shape = Some(found.shape());
        let Claim::Leaf(index) = found.claim() else {
            self.alerts += 1;
            return Ok(());
        };
        let Some(event) = event(log, index, entries)? else {
            self.beyond += 1;
            self.beyond_highest = self.beyond_highest.max(index.get());
            return Ok(());
        };
        let fields = found.differences(&event);
        self.found(index, fields.is_empty());
        let is_wanted = (self.from..self.end).contains(&index.get());
        if !fields.is_empty() && is_wanted && self.altered_listed.len() < ALTERED_MAX {
            let (leaf_index, file, line) = (index.get(), place.file.to_owned(), place.line);
            self.altered_listed.push(Altered { leaf_index, file, line, fields });
        }
        Ok(())
    }

    /// Counts an event of a leaf that the log has.
    fn found(&mut self, index: LeafIndex, is_unaltered: bool) {
        let Some(place) = index.get().checked_sub(self.from).filter(|_| index.get() < self.end) else {
            self.outside += 1;
            return;
        };
        if is_unaltered {
            self.unaltered_events += 1;
            self.unaltered.set(place);
        } else {
            self.altered_events += 1;
            self.altered.set(place);
        }
    }

    /// Counts a line that is no event.
    pub(super) fn not_an_event(&mut self, place: Place<'_>, error: FoundError) {
        match error {
            FoundError::Foreign => self.others += 1,
            error => self.unreadable(place, &error.to_string()),
        }
    }

    /// Counts a line that could not be read.
    pub(super) fn unreadable(&mut self, place: Place<'_>, why: &str) {
        self.unreadable += 1;
        if self.unreadable_listed.len() < UNREADABLE_MAX {
            let (file, line, why) = (place.file.to_owned(), place.line, why.to_owned());
            self.unreadable_listed.push(Unreadable { file, line, why });
        }
    }

    /// Events of any log.
    pub(super) fn events(&self) -> u64 {
        let foreign = self.foreign.values().sum::<u64>() + self.foreign_others;
        self.unaltered_events + self.altered_events + self.beyond + self.outside + self.alerts + foreign
    }

    /// Whether there were lines that are no events.
    pub(super) const fn has_lines(&self) -> bool {
        self.unreadable + self.others > 0
    }

    /// The first line that could not be read, as words.
    pub(super) fn first_unreadable(&self) -> Option<String> {
        let Unreadable { file, line, why } = self.unreadable_listed.first()?;
        Some(format!("{file}, line {line}: {why}"))
    }

    /// Entries that are wanted.
    pub(super) const fn wanted(&self) -> u64 {
        self.end - self.from
    }

    /// First and last leaf of the range, where it has any.
    pub(super) fn range(&self) -> Option<(u64, u64)> {
        (self.from < self.end).then(|| (self.from, self.end - 1))
    }

    /// Leaves of the log.
    pub(super) const fn size(&self) -> TreeSize {
        self.size
    }

    /// Unaltered events beyond the first of each entry.
    pub(super) fn copies(&self) -> u64 {
        self.unaltered_events - self.unaltered.count()
    }

    /// Entries of which there is no event that says what the log says, nor one that says something else.
    pub(super) fn missing(&self) -> Missing {
        let mut missing = Missing::default();
        for place in 0..self.wanted() {
            if !self.unaltered.has(place) && !self.altered.has(place) {
                missing.add(self.from + place);
            }
        }
        missing
    }

    /// Entries of which every event says something else.
    pub(super) fn only_altered(&self) -> u64 {
        (0..self.wanted()).filter(|place| self.altered.has(*place) && !self.unaltered.has(*place)).count()
            as u64
    }
}

/// What the entry at `index` tells, where the log has one.
fn event(log: &Log, index: LeafIndex, entries: &mut Entries<'_>) -> Result<Option<Event>, Refusal> {
    let Some(bytes) = entries.entry(index)? else { return Ok(None) };
    let event = Event::of_entry(log, index, bytes).map_err(|error| {
        Refusal::new(error.code(), error, "Run `ledgerstone verify log` on it to see what else is wrong.")
    })?;
    Ok(Some(event))
}

/// The leaf that a line in this shape seems to name; only a guess, which the comparison that follows proves or not.
fn seeming_index(line: &str, shape: Shape) -> Option<LeafIndex> {
    let marker = match shape {
        Shape::Syslog(_) => "leaf_index=\"",
        Shape::Bare(Format::Cef) => " cn1=",
        Shape::Bare(Format::Leef) => "leaf_index=",
        Shape::Bare(Format::Otlp) => "leaf_index\",\"value\":{\"intValue\":\"",
        Shape::Bare(_) => "\"leaf_index\":",
    };
    let (_, rest) = line.split_once(marker)?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    rest.get(..digits)?.parse().ok().map(LeafIndex::new)
}

/// Missing entries: how many, and the stretches that they make.
#[derive(Debug, Default)]
pub(super) struct Missing {
    pub(super) count: u64,
    /// How many stretches there are.
    pub(super) stretches: u64,
    /// First and last of each, the first [`RANGES_MAX`] of them.
    pub(super) ranges: Vec<(u64, u64)>,
    last: Option<u64>,
}

impl Missing {
    fn add(&mut self, index: u64) {
        self.count += 1;
        if self.last.is_some_and(|last| last + 1 == index) {
            if self.stretches <= RANGES_MAX as u64
                && let Some((_, end)) = self.ranges.last_mut()
            {
                *end = index;
            }
        } else {
            self.stretches += 1;
            if self.ranges.len() < RANGES_MAX {
                self.ranges.push((index, index));
            }
        }
        self.last = Some(index);
    }
}

/// A bit for each place.
struct Bits(Vec<u64>);

impl Bits {
    fn new(places: u64) -> Self {
        // More than fits in memory was refused before.
        Self(vec![0; usize::try_from(places.div_ceil(64)).unwrap_or_default()])
    }

    fn set(&mut self, place: u64) {
        let word = usize::try_from(place / 64).ok().and_then(|word| self.0.get_mut(word));
        if let Some(word) = word {
            *word |= 1 << (place % 64);
        }
    }

    fn has(&self, place: u64) -> bool {
        let word = usize::try_from(place / 64).ok().and_then(|word| self.0.get(word));
        word.is_some_and(|word| word >> (place % 64) & 1 == 1)
    }

    fn count(&self) -> u64 {
        self.0.iter().map(|word| u64::from(word.count_ones())).sum()
    }
}
