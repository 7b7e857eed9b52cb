//! How a decision stands against the rules of its packs: what its record lacks, what must still follow it and what came late.
//!
//! Guarantees: fed a decision and then its later entries in the order of the log, a [`Docket`] says at any time what one that had
//! kept every field would say; what it holds is bounded by the rules and, for a call about several people, by its rows.
//! A field that a mask removed is lacking, and said to be masked; one that is known to be nothing (null, empty text) is
//! lacking, too. Once a decision was adverse, or was contested, what follows from that stays owed, whatever a later
//! outcome says. Does not do: believing a time that lies after now, or telling which row of a call a notice was for.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{After, Obligation, Pack, Requirement, When, row_of};
use crate::entry::Kind;
use crate::record::schema::OUTCOME_ADVERSE;
use crate::record::{Field, FieldPath, PathPattern, Value};
use crate::time::UnixMillis;

/// The packs that apply to a decision.
#[derive(Clone, Debug, Default)]
pub struct PackSet {
    packs: Vec<Arc<Pack>>,
}

/// A rule of a [`PackSet`]: the place of its pack, and its own in that pack's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleAt {
    /// The place of the pack in [`PackSet::packs`].
    pub pack: usize,
    /// The place of the rule in [`Pack::requirements`] or [`Pack::obligations`].
    pub rule: usize,
}

impl PackSet {
    /// These packs.
    #[must_use]
    pub const fn new(packs: Vec<Arc<Pack>>) -> Self {
        Self { packs }
    }

    /// The packs.
    #[must_use]
    pub fn packs(&self) -> &[Arc<Pack>] {
        &self.packs
    }

    /// Every requirement.
    pub fn requirements(&self) -> impl Iterator<Item = (RuleAt, &Requirement)> {
        numbered(&self.packs, |pack| &pack.requirements)
    }

    /// Every obligation.
    pub fn obligations(&self) -> impl Iterator<Item = (RuleAt, &Obligation)> {
        numbered(&self.packs, |pack| &pack.obligations)
    }
}

fn numbered<'a, T: 'a>(
    packs: &'a [Arc<Pack>],
    list: impl Fn(&'a Pack) -> &'a Vec<T> + Copy,
) -> impl Iterator<Item = (RuleAt, &'a T)> {
    packs.iter().enumerate().flat_map(move |(pack, one)| {
        list(one.as_ref()).iter().enumerate().map(move |(rule, item)| (RuleAt { pack, rule }, item))
    })
}

/// What an entry of the log says of a decision.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// The entry's kind.
    pub kind: Kind,
    /// When the log took it.
    pub recorded_at: UnixMillis,
    /// For a decision, whether the model answered without an error.
    pub answered: bool,
    /// The fields of its record.
    pub fields: &'a [Field],
}

/// How one decision stands, as far as the log was read.
#[derive(Clone, Debug)]
pub struct Docket {
    answered: bool,
    adverse: bool,
    lacking: Vec<Lack>,
    /// One for each obligation of the set, in its order.
    owed: Vec<Owed>,
}

/// A requirement that is not met yet.
#[derive(Clone, Debug)]
struct Lack {
    rule: RuleAt,
    when: When,
    masked: bool,
    /// The rows that lack it; none where the decision is about one person.
    rows: Vec<u32>,
}

/// Where an obligation stands.
#[derive(Clone, Copy, Debug, Default)]
struct Owed {
    /// By when, once something made it owed.
    by: Option<UnixMillis>,
    done: Option<Done>,
    /// A deadline that was missed before something made it owed again.
    late: Option<(UnixMillis, Done)>,
}

#[derive(Clone, Copy, Debug)]
struct Done {
    /// When it was done, as the entry says; else when the log took the entry.
    at: UnixMillis,
    recorded_at: UnixMillis,
}

/// Something that a decision lacks, owes, or has late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// A required field is not there.
    Lacks {
        /// The requirement.
        rule: RuleAt,
        /// Whether a mask removed it.
        masked: bool,
    },
    /// An entry is not there, or was not there in time.
    Owes {
        /// The obligation.
        rule: RuleAt,
        /// By when.
        by: UnixMillis,
        /// How it stands.
        owing: Owing,
    },
}

/// How an obligation stands that was not met without doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owing {
    /// There is still time.
    Due,
    /// The time has passed.
    Overdue,
    /// It was done, after its time.
    Late,
    /// The entry says that it was done in time, and the log took the entry only afterwards: that it was in time is the
    /// operator's word.
    Claimed,
}

impl Finding {
    /// Whether something is still to be done that should be there already.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self, Self::Lacks { .. } | Self::Owes { owing: Owing::Overdue, .. })
    }
}

impl Docket {
    /// How a decision stands by its own record.
    #[must_use]
    pub fn open(set: &PackSet, decision: &Told<'_>) -> Self {
        let rows = Rows::of(decision.fields);
        let lacking =
            set.requirements().filter_map(|(rule, asked)| lack(rule, asked, decision.fields, &rows));
        let mut docket = Self {
            answered: decision.answered,
            adverse: rows.is_adverse,
            lacking: lacking.collect(),
            owed: vec![Owed::default(); set.obligations().count()],
        };
        let at = decision.recorded_at;
        docket.start(set, After::Decision, at, decision.answered);
        docket.start(set, After::Adverse, at, rows.is_adverse);
        docket
    }

    /// Takes what a later entry about the decision says.
    pub fn add(&mut self, set: &PackSet, later: &Told<'_>) {
        self.lacking.retain_mut(|lack| {
            let asked = set.packs.get(lack.rule.pack).and_then(|pack| pack.requirements.get(lack.rule.rule));
            asked.is_some_and(|asked| !lack.is_filled(asked, later.fields))
        });
        let is_adverse = later.kind == Kind::Outcome && Rows::of(later.fields).is_adverse;
        self.start(set, After::Adverse, later.recorded_at, is_adverse && !self.adverse);
        self.adverse |= is_adverse;
        // An entry of this kind may also say no more than that the person opted out.
        let received = times(later.fields, "contest/", "/received_at").min();
        if let Some(received) = received.filter(|_| later.kind == Kind::Contest) {
            self.start(set, After::Contest, received.min(later.recorded_at), true);
        }
        for ((_, asked), owed) in set.obligations().zip(&mut self.owed) {
            if let Some(at) = done_at(asked, later) {
                owed.settle(asked.after, Done { at, recorded_at: later.recorded_at });
            }
        }
    }

    /// What is missing, owed or was late at `now`.
    pub fn findings<'a>(&'a self, set: &'a PackSet, now: UnixMillis) -> impl Iterator<Item = Finding> + 'a {
        let applies = move |when: When| match when {
            When::Always => true,
            When::Answered => self.answered,
            When::Adverse => self.adverse,
        };
        let lacking = self.lacking.iter().filter(move |lack| applies(lack.when));
        let lacking = lacking.map(|lack| Finding::Lacks { rule: lack.rule, masked: lack.masked });
        let owed = set.obligations().zip(&self.owed).flat_map(move |((rule, _), owed)| {
            let stands = owed.stands(now).into_iter().chain(owed.was_late());
            stands.map(move |(by, owing)| Finding::Owes { rule, by, owing })
        });
        lacking.chain(owed)
    }

    /// About how many bytes this docket takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let rows: usize = self.lacking.iter().map(|lack| size_of_val(lack.rows.as_slice())).sum();
        size_of::<Self>() + size_of_val(self.lacking.as_slice()) + size_of_val(self.owed.as_slice()) + rows
    }

    /// Makes everything owed that follows from `after`, if that is so.
    fn start(&mut self, set: &PackSet, after: After, at: UnixMillis, is_so: bool) {
        let asked =
            set.obligations().zip(&mut self.owed).filter(|((_, asked), _)| asked.after == after && is_so);
        for ((_, asked), owed) in asked {
            owed.start(asked.within.after(at));
        }
    }
}

impl Owed {
    fn start(&mut self, by: UnixMillis) {
        match (self.by, self.done) {
            (Some(before), Some(done)) => {
                if done.at > before {
                    self.late = Some((before, done));
                }
                (self.by, self.done) = (Some(by), None);
            }
            (before, _) => self.by = Some(before.map_or(by, |before| before.min(by))),
        }
    }

    /// An entry of the kind came. What answers a contest must come after it; a notice may be in the log before the outcome.
    fn settle(&mut self, after: After, done: Done) {
        let is_open = self.by.is_some() || after == After::Adverse;
        if is_open && self.done.is_none() {
            self.done = Some(done);
        }
    }

    fn stands(&self, now: UnixMillis) -> Option<(UnixMillis, Owing)> {
        let by = self.by?;
        let owing = match self.done.filter(|done| done.at <= now) {
            None if now > by => Owing::Overdue,
            None => Owing::Due,
            Some(done) if done.at > by => Owing::Late,
            Some(done) if done.recorded_at > by => Owing::Claimed,
            Some(_) => return None,
        };
        Some((by, owing))
    }

    fn was_late(&self) -> Option<(UnixMillis, Owing)> {
        self.late.map(|(by, _)| (by, Owing::Late))
    }
}

impl Lack {
    /// Takes what fields say; true if nothing is missing any more.
    fn is_filled(&mut self, asked: &Requirement, fields: &[Field]) -> bool {
        let found = Found::of(asked, fields);
        self.rows.retain(|row| !found.rows.contains(row));
        found.whole || (self.rows.is_empty() && !found.rows.is_empty())
    }
}

/// The rows of a record, where a call was about several people.
struct Rows {
    all: BTreeSet<u32>,
    adverse: BTreeSet<u32>,
    is_adverse: bool,
}

impl Rows {
    fn of(fields: &[Field]) -> Self {
        let mut rows = Self { all: BTreeSet::new(), adverse: BTreeSet::new(), is_adverse: false };
        for field in fields {
            let row = row_of(&field.path);
            rows.all.extend(row.as_ref().map(|(row, _)| *row));
            let path = row.as_ref().map_or(&field.path, |(_, whole)| whole);
            if *path == OUTCOME_ADVERSE && field.value == Value::Bool(true) {
                rows.is_adverse = true;
                rows.adverse.extend(row.as_ref().map(|(row, _)| *row));
            }
        }
        rows
    }
}

/// Where the fields stand that a requirement asks for.
struct Found {
    /// Once for the whole decision.
    whole: bool,
    /// For these rows.
    rows: BTreeSet<u32>,
}

impl Found {
    fn of(asked: &Requirement, fields: &[Field]) -> Self {
        let mut found = Self { whole: false, rows: BTreeSet::new() };
        for field in fields.iter().filter(|field| is_there(&field.value) && asked.asks_for(&field.path)) {
            match row_of(&field.path) {
                None => found.whole = true,
                Some((row, _)) => _ = found.rows.insert(row),
            }
        }
        found
    }
}

fn lack(rule: RuleAt, asked: &Requirement, fields: &[Field], rows: &Rows) -> Option<Lack> {
    let found = Found::of(asked, fields);
    let only_adverse = asked.when == When::Adverse && !rows.adverse.is_empty();
    let needed = if only_adverse { &rows.adverse } else { &rows.all };
    let left: Vec<u32> = needed.difference(&found.rows).copied().collect();
    let is_met = found.whole || (left.is_empty() && !found.rows.is_empty());
    (!is_met).then(|| Lack { rule, when: asked.when, masked: is_masked(asked, fields), rows: left })
}

/// Whether a value says something.
fn is_there(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Text(text) => !text.trim().is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => true,
    }
}

/// Whether the record says that a mask removed a field that is asked for.
fn is_masked(asked: &Requirement, fields: &[Field]) -> bool {
    fields.iter().any(|field| {
        let path = field.path.as_str();
        let pointer = path.starts_with("privacy/masked/") && path.ends_with("/pointer");
        match &field.value {
            Value::Text(text) if pointer => FieldPath::parse(text).is_ok_and(|path| asked.asks_for(&path)),
            _ => false,
        }
    })
}

/// When an entry did what is asked, if it did: when it says so itself, else when the log took it.
fn done_at(asked: &Obligation, later: &Told<'_>) -> Option<UnixMillis> {
    if asked.kind != later.kind {
        return None;
    }
    let said = match later.kind {
        Kind::Notice => "delivered_at",
        Kind::Review => "at",
        Kind::Contest => "decided_at",
        _ => "",
    };
    let Some(pattern) = &asked.field else {
        let list = format!("{}/", later.kind);
        return Some(times(later.fields, &list, &format!("/{said}")).min().unwrap_or(later.recorded_at));
    };
    let fits = |field: &&Field| is_asked(pattern, &asked.is, field);
    let at = |field: &Field| {
        // The time beside the field, in the same place of the list.
        let place: Vec<&str> = field.path.segments().take(2).collect();
        let place = place.join("/") + "/";
        times(later.fields, &place, &format!("/{said}")).min().unwrap_or(later.recorded_at)
    };
    later.fields.iter().filter(fits).map(at).min()
}

fn is_asked(pattern: &PathPattern, words: &[String], field: &Field) -> bool {
    let is_word = || matches!(&field.value, Value::Text(text) if words.contains(text));
    pattern.matches(&field.path) && is_there(&field.value) && (words.is_empty() || is_word())
}

/// The times at the paths that begin and end so.
fn times(fields: &[Field], begin: &str, end: &str) -> impl Iterator<Item = UnixMillis> {
    fields.iter().filter_map(move |field| match &field.value {
        Value::Int(millis)
            if field.path.as_str().starts_with(begin) && field.path.as_str().ends_with(end) =>
        {
            Some(UnixMillis::new(u64::try_from(*millis).unwrap_or(0)))
        }
        _ => None,
    })
}
