//! Checks the decisions of a log against the packs that their records name.
//!
//! Guarantees: reads the log's files only, so it runs beside a sidecar; each record is the one that its entry commits to, or the
//! check stops; memory is bounded whatever the log holds: decisions are judged in windows of [`WINDOW_BYTES`] and the rest of a
//! bundle, and for each window the later entries are read up to the last one. A decision whose record does
//! not open, or names a pack that is not at hand, is counted as not checked, never as satisfied.
//! Does not do: checking the log itself (`ledgerstone verify log` does).

use std::collections::{BTreeMap, HashMap};
use std::num::NonZero;
use std::sync::Arc;
use std::thread;

use ledgerstone::code::Code;
use ledgerstone::entry::{DecisionId, Entry, Kind, KindDetails};
use ledgerstone::limits::PACKS_APPLIED_MAX;
use ledgerstone::merkle::LeafIndex;
use ledgerstone::pack::{Docket, Finding, Pack, PackRef, PackSet, Told};
use ledgerstone::record::schema::DECISION_PACKS;
use ledgerstone::record::{Record, Value};
use ledgerstone::tile::TILE_WIDTH;
use ledgerstone::time::UnixMillis;

use super::Shelf;
use super::tally::Tally;
use crate::keyring::RecordKeys;
use crate::reader::{LogReadError, LogReader, Stored};
use crate::seal;

/// Bytes of decisions that are kept at one time while their later entries are read: about 250,000 decisions under a pack with
/// ten rules.
pub const WINDOW_BYTES: usize = 64 * 1024 * 1024;

/// Bytes of sealed records that are read at one time: the largest alone, or more than a bundle of usual ones.
const OPEN_BYTES: u64 = 64 * 1024 * 1024;

/// Different lists of packs in one log. A log of one sidecar has as many as its routes had over the years.
const LISTS_MAX: usize = 4096;

/// What to check.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The time that deadlines are compared with. Entries that the log took after it are left out.
    pub at: UnixMillis,
    /// Also judge decisions from before a pack was in force.
    pub early: bool,
    /// How many decisions to name for each rule.
    pub named: usize,
    /// Bytes of a window.
    pub window_bytes: usize,
}

/// How far a check is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Decisions were judged up to this entry.
    Decisions(u64),
    /// For those of the window, later entries were read up to this one.
    Later(u64),
}

/// Checks the published log against the packs of `shelf`, and tells `progress` how far it is, out of how many entries.
///
/// # Errors
/// [`CheckError`] if the log cannot be read or a record is not the one that was committed to.
pub fn check(
    log: &LogReader,
    keys: &dyn RecordKeys,
    shelf: &Shelf,
    options: Options,
    mut progress: impl FnMut(Progress, u64),
) -> Result<Tally, CheckError> {
    let mut pass = Pass { log, keys, options, lists: Lists::new(shelf), size: log.published().size.get() };
    let mut tally = Tally::new(options.named);
    let (mut next, mut last_later) = (0, None);
    while next < pass.size {
        let mut window = Window { start: next, dockets: Vec::new(), bytes: 0 };
        while next < pass.size && window.bytes < options.window_bytes {
            let later = pass.fill(&mut window, &mut tally, next)?;
            last_later = last_later.max(later);
            next = end_of_bundle(next).min(pass.size);
            progress(Progress::Decisions(next), pass.size);
        }
        // The first pass goes to the end and learns where the last later entry is; no other has to go further.
        let (is_first, mut at) = (window.start == 0, next);
        loop {
            let until = if is_first { pass.size } else { last_later.map_or(0, |index| index + 1) };
            if at >= until.min(pass.size) {
                break;
            }
            last_later = last_later.max(pass.follow(&mut window, &mut tally, at)?);
            at = end_of_bundle(at).min(pass.size);
            progress(Progress::Later(at), pass.size);
        }
        for kept in &window.dockets {
            pass.judge(kept, &mut tally);
        }
    }
    tally.entries = pass.size;
    Ok(tally)
}

const fn end_of_bundle(index: u64) -> u64 {
    (index / TILE_WIDTH as u64 + 1) * TILE_WIDTH as u64
}

/// Consecutive decisions of the log, by rising leaf index.
struct Window {
    start: u64,
    dockets: Vec<Kept>,
    bytes: usize,
}

struct Kept {
    index: LeafIndex,
    decision: DecisionId,
    /// The place of its packs in [`Lists::sets`].
    set: usize,
    docket: Docket,
}

impl Window {
    fn find(&self, index: LeafIndex) -> Option<usize> {
        self.dockets.binary_search_by_key(&index, |kept| kept.index).ok()
    }
}

/// What is read of the log.
struct Pass<'a> {
    log: &'a LogReader,
    keys: &'a dyn RecordKeys,
    options: Options,
    lists: Lists<'a>,
    /// Entries to look at: the published ones, up to the time of the check.
    size: u64,
}

impl Pass<'_> {
    /// Takes a bundle's entries from `from` on into the window, and says where the last later one was.
    fn fill(&mut self, window: &mut Window, tally: &mut Tally, from: u64) -> Result<Option<u64>, CheckError> {
        let start = window.start;
        let read = self.read(from, |entry| match entry.kind {
            Kind::Decision => true,
            kind => kind.is_follow_up() && about(entry).is_some_and(|of| of.get() >= start),
        })?;
        for (index, entry, opened) in read.records {
            if entry.kind == Kind::Decision {
                self.decide(window, tally, index, &entry, opened)?;
            } else {
                self.later(window, tally, &entry, opened.as_ref());
            }
        }
        Ok(read.last_later)
    }

    /// Takes the later entries of a bundle that are about decisions of the window.
    fn follow(
        &mut self,
        window: &mut Window,
        tally: &mut Tally,
        from: u64,
    ) -> Result<Option<u64>, CheckError> {
        let known: &Window = window;
        let read = self.read(from, |entry| {
            entry.kind.is_follow_up() && about(entry).is_some_and(|of| known.find(of).is_some())
        })?;
        for (_, entry, opened) in read.records {
            self.later(window, tally, &entry, opened.as_ref());
        }
        Ok(read.last_later)
    }

    /// The wanted entries of the bundle that holds `from`, from there on, with their records.
    fn read(&mut self, from: u64, wanted: impl Fn(&Entry) -> bool) -> Result<Read, CheckError> {
        let at = self.options.at;
        let bundle = self.log.bundle(from / u64::from(TILE_WIDTH))?;
        let mut seen = self.log.records_or_lost(&bundle, |_, _| false)?;
        // Time never decreases along the log: what comes after the first entry that is too late is too late, too.
        if let Some(late) = seen.iter().find(|stored| stored.entry.recorded_at > at) {
            self.size = self.size.min(late.index.get());
        }
        seen.retain(|stored| (from..self.size).contains(&stored.index.get()));
        let later = seen.iter().filter(|stored| stored.entry.kind.is_follow_up());
        let last_later = later.map(|stored| stored.index.get()).max();
        seen.retain(|stored| wanted(&stored.entry));
        let mut records = Vec::with_capacity(seen.len());
        for (first, last) in groups(&seen) {
            let is_mine = |index: LeafIndex, entry: &Entry| (first..=last).contains(&index) && wanted(entry);
            let mut stored = self.log.records_or_lost(&bundle, is_mine)?;
            stored.retain(|stored| is_mine(stored.index, &stored.entry));
            records.extend(open_all(self.keys, stored)?);
        }
        Ok(Read { records, last_later })
    }

    fn decide(
        &mut self,
        window: &mut Window,
        tally: &mut Tally,
        index: LeafIndex,
        entry: &Entry,
        opened: Option<Record>,
    ) -> Result<(), CheckError> {
        let Some(decision) = entry.decision else { return Ok(()) };
        tally.decisions += 1;
        let Some(record) = opened else {
            tally.closed.count(decision, index);
            return Ok(());
        };
        let names = names(&record);
        if names.is_empty() {
            tally.without_packs += 1;
            return Ok(());
        }
        let list = self.lists.get(names)?;
        for unknown in &list.unknown {
            tally.unknown(unknown.clone(), decision, index);
        }
        let binds = |(place, pack): (usize, &Arc<Pack>)| {
            let binds = self.options.early || pack.binds_at(entry.recorded_at);
            if binds { Some(1_u32 << place) } else { None }
        };
        let bits: u32 = list.packs.iter().enumerate().filter_map(binds).sum();
        tally.early += u64::from(bits.count_ones() as usize != list.packs.len());
        tally.checked += u64::from(list.unknown.is_empty());
        let set = self.lists.set(bits)?;
        let told = told(entry, &record);
        let Some(packs) = self.lists.sets.get(set) else { return Ok(()) };
        let docket = Docket::open(packs, &told);
        window.bytes += size_of::<Kept>() + docket.bytes();
        window.dockets.push(Kept { index, decision, set, docket });
        Ok(())
    }

    fn later(&self, window: &mut Window, tally: &mut Tally, entry: &Entry, opened: Option<&Record>) {
        let Some(place) = about(entry).and_then(|of| window.find(of)) else { return };
        let Some(kept) = window.dockets.get_mut(place) else { return };
        match (opened, self.lists.sets.get(kept.set)) {
            (Some(record), Some(packs)) => kept.docket.add(packs, &told(entry, record)),
            _ => tally.closed_later.count(kept.decision, kept.index),
        }
    }

    fn judge(&self, kept: &Kept, tally: &mut Tally) {
        let Some(packs) = self.lists.sets.get(kept.set) else { return };
        for finding in kept.docket.findings(packs, self.options.at) {
            let (Finding::Lacks { rule, .. } | Finding::Owes { rule, .. }) = finding;
            if let Some(pack) = packs.packs().get(rule.pack) {
                tally.found(pack, rule.rule, &finding, kept.decision, kept.index);
            }
        }
    }
}

/// Entries of a bundle with their records, where they open.
struct Read {
    records: Vec<(LeafIndex, Entry, Option<Record>)>,
    last_later: Option<u64>,
}

/// Splits entries so that the sealed records of each part are at most [`OPEN_BYTES`] together, or one.
fn groups(entries: &[Stored]) -> Vec<(LeafIndex, LeafIndex)> {
    let (mut groups, mut bytes): (Vec<(LeafIndex, LeafIndex)>, u64) = (Vec::new(), 0);
    for stored in entries {
        let length = stored.entry.sealed.map_or(0, |sealed| sealed.length);
        match groups.last_mut().filter(|_| bytes.saturating_add(length) <= OPEN_BYTES) {
            Some((_, last)) => (*last, bytes) = (stored.index, bytes + length),
            None => {
                groups.push((stored.index, stored.index));
                bytes = length;
            }
        }
    }
    groups
}

/// The decision that an entry is about.
fn about(entry: &Entry) -> Option<LeafIndex> {
    entry.links.first().copied()
}

fn told<'a>(entry: &Entry, record: &'a Record) -> Told<'a> {
    let answered = matches!(entry.kind_details(), Ok(KindDetails::Decision(details)) if details.status == 0);
    Told { kind: entry.kind, recorded_at: entry.recorded_at, answered, fields: record.fields() }
}

/// What a record names its packs by.
fn names(record: &Record) -> Vec<String> {
    let Some(Value::Array(items)) = record.value(&DECISION_PACKS) else { return Vec::new() };
    let text = |item: &Value| match item {
        Value::Text(text) => text.clone(),
        _ => String::new(),
    };
    items.iter().map(text).collect()
}

/// The lists of packs that records named, looked up once each.
struct Lists<'a> {
    shelf: &'a Shelf,
    lists: HashMap<Vec<String>, usize>,
    known: Vec<List>,
    /// The list that was asked for last.
    last: usize,
    sets: Vec<PackSet>,
}

struct List {
    packs: Vec<Arc<Pack>>,
    /// What is not on the shelf, by what records name it; `None` for what is no pack's name.
    unknown: Vec<Option<PackRef>>,
    /// Sets of those of its packs that bind, by a bit for each.
    sets: BTreeMap<u32, usize>,
}

impl<'a> Lists<'a> {
    fn new(shelf: &'a Shelf) -> Self {
        Self { shelf, lists: HashMap::new(), known: Vec::new(), last: 0, sets: Vec::new() }
    }

    /// The packs that a record names so.
    fn get(&mut self, names: Vec<String>) -> Result<&List, CheckError> {
        let place = match self.lists.get(&names) {
            Some(place) => *place,
            None if self.known.len() == LISTS_MAX => return Err(CheckError::Lists),
            None => {
                let mut list = List { packs: Vec::new(), unknown: Vec::new(), sets: BTreeMap::new() };
                // A route has no more; what a record names beyond is no list of a route.
                list.unknown.extend(names.get(PACKS_APPLIED_MAX).map(|_| None));
                for name in names.iter().take(PACKS_APPLIED_MAX) {
                    let reference = PackRef::parse(name);
                    match reference.as_ref().and_then(|reference| self.shelf.find(reference)) {
                        Some(pack) => list.packs.push(Arc::clone(pack)),
                        None => list.unknown.push(reference),
                    }
                }
                self.known.push(list);
                self.lists.insert(names, self.known.len() - 1);
                self.known.len() - 1
            }
        };
        self.last = place;
        self.known.get(place).ok_or(CheckError::Lists)
    }

    /// The set of those packs of the last list whose bit is set.
    fn set(&mut self, bits: u32) -> Result<usize, CheckError> {
        let list = self.known.get_mut(self.last).ok_or(CheckError::Lists)?;
        if let Some(set) = list.sets.get(&bits) {
            return Ok(*set);
        }
        let binding = list.packs.iter().enumerate().filter(|(place, _)| bits >> place & 1 == 1);
        self.sets.push(PackSet::new(binding.map(|(_, pack)| Arc::clone(pack)).collect()));
        list.sets.insert(bits, self.sets.len() - 1);
        Ok(self.sets.len() - 1)
    }
}

/// Opens records, on as many threads as there are processors.
fn open_all(
    keys: &dyn RecordKeys,
    stored: Vec<Stored>,
) -> Result<Vec<(LeafIndex, Entry, Option<Record>)>, CheckError> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let chunk = stored.len().div_ceil(threads).max(1);
    if stored.len() < 2 * threads {
        return stored.iter().map(|stored| open(keys, stored)).collect();
    }
    let opened: Vec<Result<Vec<_>, CheckError>> = thread::scope(|scope| {
        let chunks = stored.chunks(chunk);
        let running: Vec<_> = chunks
            .map(|chunk| scope.spawn(move || chunk.iter().map(|stored| open(keys, stored)).collect()))
            .collect();
        running.into_iter().map(|thread| thread.join().unwrap_or(Err(CheckError::Defect))).collect()
    });
    let mut all = Vec::with_capacity(stored.len());
    for part in opened {
        all.extend(part?);
    }
    Ok(all)
}

fn open(keys: &dyn RecordKeys, stored: &Stored) -> Result<(LeafIndex, Entry, Option<Record>), CheckError> {
    let (index, entry) = (stored.index, stored.entry.clone());
    let (Some(decision), Some(sealed)) = (&entry.decision, &stored.sealed) else {
        return Ok((index, entry, None));
    };
    match seal::open(keys, decision, entry.kind, sealed) {
        Ok(content) if content.committed(&entry).is_some() => Ok((index, entry, Some(content.record))),
        Ok(_) => Err(CheckError::OtherRecord { index }),
        Err(error) => {
            tracing::debug!(%index, %error, "a record does not open");
            Ok((index, entry, None))
        }
    }
}

/// Why a log could not be checked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] LogReadError),
    /// A sealed record is not the one that its entry commits to.
    #[error("the record of entry {index} is not the one that the entry commits to: keep both as evidence")]
    OtherRecord {
        /// Where the entry stands.
        index: LeafIndex,
    },
    /// The records name too many different lists of packs.
    #[error("the records name more than {LISTS_MAX} different lists of packs: this is no log of a sidecar")]
    Lists,
    /// A thread panicked.
    #[error("the check failed because of a defect; report it")]
    Defect,
}

impl CheckError {
    /// What the reader must do about it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Log(error) => error.code(),
            Self::OtherRecord { .. } => Code::Inconsistent,
            Self::Lists => Code::Limit,
            Self::Defect => Code::Internal,
        }
    }
}
