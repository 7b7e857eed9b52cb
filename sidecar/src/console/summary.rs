//! What the entries of a log say about its completeness, in a few kilobytes.
//!
//! Guarantees: bounded memory whatever the log holds (INV-7), and it says how much it let go; only what entries show to everybody
//! goes in (INV-8). Does not do: proving completeness; `ledgerstone verify log` walks the whole log for that.

use std::collections::{BTreeMap, VecDeque};

use ledgerstone::entry::{Entry, GapDetails, GapReason, Kind, KindDetails, SessionId};
use ledgerstone::hash::Hash;
use ledgerstone::merkle::LeafIndex;
use serde::Serialize;

/// Sessions that are told one by one, the newest ones: about 300 bytes each make 20 KiB.
const SESSIONS_MAX: usize = 64;

/// Gaps and other events that are told one by one, the newest ones: about 300 bytes each make 20 KiB.
const EVENTS_MAX: usize = 64;

/// Ten minutes by the second and twelve hours by the minute: 72 bytes each make 93 KiB.
const SECONDS_MAX: usize = 600;
const MINUTES_MAX: usize = 720;

/// Digests of models that are counted apart: about 100 bytes each make 13 KiB.
const MODELS_MAX: usize = 128;

/// Times that a session was silent, told one by one.
const SILENCES_MAX: usize = 16;

/// Heartbeats that may be missing before a session counts as silent, and what a slow disk or a busy machine may add.
const BEATS_MISSED: u64 = 3;
const SLOW_MS: u64 = 5_000;

/// The largest number that goes out: what reads it counts in binary64 (RFC 8259, section 6). An honest log stays far below; an entry
/// that somebody changed may say anything, and must not keep the page from telling so.
const NUMBER_MAX: u64 = (1 << 53) - 1;

/// What was read.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Summary {
    /// How often each kind of entry was read.
    kinds: BTreeMap<&'static str, u64>,
    sessions: VecDeque<SessionSeen>,
    /// Sessions before those, and how many of them have no stop entry.
    sessions_before: u64,
    unstopped_before: u64,
    /// Requests that gap entries count, and the entries.
    gap_requests: u64,
    gap_entries: u64,
    seconds: VecDeque<Bucket>,
    minutes: VecDeque<Bucket>,
    #[serde(skip)]
    models: BTreeMap<Hash, ModelSeen>,
    /// Decisions that name no model, and those whose model no longer had a place in `models`.
    without_model: u64,
    other_models: u64,
    events: VecDeque<Event>,
    #[serde(skip)]
    heartbeat_ms: u64,
}

/// A session.
#[derive(Clone, Debug, Serialize)]
struct SessionSeen {
    id: String,
    #[serde(skip)]
    key: SessionId,
    writer: String,
    version: Option<String>,
    /// The first entry that was read of it.
    first_index: u64,
    /// When its start entry was recorded; none where reading began later.
    began: Option<u64>,
    first: u64,
    last: u64,
    stopped: Option<u64>,
    /// Entries read, numbers that gap entries cover, and the highest number.
    entries: u64,
    in_gaps: u64,
    highest: u64,
    /// Newest heartbeat.
    heartbeat: Option<u64>,
    /// From when until when no heartbeat came though it lived.
    silences: Vec<(u64, u64)>,
}

/// What was recorded in one second or minute.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Bucket {
    /// Its beginning, in milliseconds since 1970.
    at: u64,
    decisions: u64,
    /// Decisions whose caller got another status than OK.
    failed: u64,
    heartbeats: u64,
    /// Requests that gap entries of this time count.
    gaps: u64,
}

/// The decisions that name one model.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct ModelSeen {
    decisions: u64,
    /// When the newest of them was recorded.
    last: u64,
}

/// An entry that somebody may want to look at.
#[derive(Clone, Debug, Serialize)]
struct Event {
    index: u64,
    at: u64,
    kind: &'static str,
    /// What it says, in fixed words and numbers.
    what: String,
    decision: Option<String>,
}

impl Summary {
    /// Nothing read yet, of a sidecar that says every `heartbeat_ms` that it lives.
    pub(super) fn new(heartbeat_ms: u64) -> Self {
        Self { heartbeat_ms, ..Self::default() }
    }

    /// Takes the next entry.
    pub(super) fn take(&mut self, index: LeafIndex, entry: &Entry) {
        *self.kinds.entry(entry.kind.as_str()).or_default() += 1;
        let Ok(details) = entry.kind_details() else { return };
        let counted = counted(&details);
        for (buckets, width, max) in
            [(&mut self.seconds, 1_000, SECONDS_MAX), (&mut self.minutes, 60_000, MINUTES_MAX)]
        {
            count(buckets, max, recorded_at(entry) / width * width, counted);
        }
        if let Some(old) = self.session(index, entry).take(entry, &details) {
            self.tell(index, entry, old);
        }
        match &details {
            KindDetails::Decision(_) => self.model(entry),
            KindDetails::Gap(gap) => {
                self.gap_entries += 1;
                add(&mut self.gap_requests, requests(gap));
            }
            _ => {}
        }
        if let Some(what) = told(entry.kind, &details) {
            self.tell(index, entry, what);
        }
    }

    fn tell(&mut self, index: LeafIndex, entry: &Entry, what: String) {
        let event = Event {
            index: index.get(),
            at: recorded_at(entry),
            kind: entry.kind.as_str(),
            what,
            decision: entry.decision.map(|decision| decision.to_string()),
        };
        keep(&mut self.events, event, EVENTS_MAX);
    }

    /// The session of `entry`, which is nearly always the newest one.
    fn session(&mut self, index: LeafIndex, entry: &Entry) -> Watched<'_> {
        let heartbeat_ms = self.heartbeat_ms;
        let place = match self.sessions.iter().rposition(|session| session.key == entry.session) {
            Some(place) => place,
            None => {
                if let Some(old) = keep(&mut self.sessions, SessionSeen::new(index, entry), SESSIONS_MAX) {
                    self.sessions_before += 1;
                    self.unstopped_before += u64::from(old.stopped.is_none());
                }
                self.sessions.len().saturating_sub(1)
            }
        };
        Watched { session: self.sessions.get_mut(place), heartbeat_ms }
    }

    fn model(&mut self, entry: &Entry) {
        let Some(digest) = entry.model else {
            self.without_model += 1;
            return;
        };
        if self.models.len() >= MODELS_MAX && !self.models.contains_key(&digest) {
            self.other_models += 1;
            return;
        }
        let seen = self.models.entry(digest).or_default();
        seen.decisions += 1;
        seen.last = recorded_at(entry);
    }

    /// The models that decisions named, by digest.
    pub(super) fn models(&self) -> impl Iterator<Item = (&Hash, &ModelSeen)> {
        self.models.iter()
    }
}

/// A session, and what is expected of it.
struct Watched<'a> {
    session: Option<&'a mut SessionSeen>,
    heartbeat_ms: u64,
}

impl Watched<'_> {
    /// Takes the session's next entry; what is worth telling of it.
    fn take(self, entry: &Entry, details: &KindDetails) -> Option<String> {
        let session = self.session?;
        let at = recorded_at(entry);
        session.entries += 1;
        session.highest = session.highest.max(entry.sequence.min(NUMBER_MAX));
        session.last = at;
        match details {
            KindDetails::Start(start) => {
                session.began = Some(at);
                session.version = Some(start.version.clone());
            }
            KindDetails::Stop => session.stopped = Some(at),
            KindDetails::Gap(gap) => add(&mut session.in_gaps, requests(gap)),
            KindDetails::Heartbeat(_) => {
                let before = session.heartbeat.replace(at).or(session.began)?;
                let silent = at.saturating_sub(before);
                if self.heartbeat_ms > 0
                    && silent > self.heartbeat_ms.saturating_mul(BEATS_MISSED).saturating_add(SLOW_MS)
                {
                    if session.silences.len() < SILENCES_MAX {
                        session.silences.push((before, at));
                    }
                    return Some(format!("no heartbeat for {} s", silent / 1_000));
                }
            }
            _ => {}
        }
        None
    }
}

impl SessionSeen {
    fn new(index: LeafIndex, entry: &Entry) -> Self {
        Self {
            id: entry.session.to_string(),
            key: entry.session,
            writer: entry.writer.to_string(),
            version: None,
            first_index: index.get(),
            began: None,
            first: recorded_at(entry),
            last: recorded_at(entry),
            stopped: None,
            entries: 0,
            in_gaps: 0,
            highest: 0,
            heartbeat: None,
            silences: Vec::new(),
        }
    }
}

/// What an entry adds to its second and its minute.
fn counted(details: &KindDetails) -> Bucket {
    let mut bucket = Bucket::default();
    match details {
        KindDetails::Decision(decision) => {
            bucket.decisions = 1;
            bucket.failed = u64::from(decision.status != 0);
        }
        KindDetails::Heartbeat(_) => bucket.heartbeats = 1,
        KindDetails::Gap(gap) => bucket.gaps = requests(gap),
        _ => {}
    }
    bucket
}

fn count(buckets: &mut VecDeque<Bucket>, max: usize, at: u64, more: Bucket) {
    // The log's time never decreases (INV-2), so the newest bucket is the last one.
    if buckets.back().is_none_or(|last| last.at != at) {
        keep(buckets, Bucket { at, ..Bucket::default() }, max);
    }
    if let Some(last) = buckets.back_mut() {
        last.decisions += more.decisions;
        last.failed += more.failed;
        last.heartbeats += more.heartbeats;
        add(&mut last.gaps, more.gaps);
    }
}

/// Appends to a list of at most `max`, and gives back what had to go.
fn keep<T>(list: &mut VecDeque<T>, new: T, max: usize) -> Option<T> {
    let old = if list.len() >= max { list.pop_front() } else { None };
    list.push_back(new);
    old
}

fn recorded_at(entry: &Entry) -> u64 {
    entry.recorded_at.get().min(NUMBER_MAX)
}

fn add(to: &mut u64, more: u64) {
    *to = to.saturating_add(more).min(NUMBER_MAX);
}

const fn requests(gap: &GapDetails) -> u64 {
    gap.last.saturating_sub(gap.first).saturating_add(1)
}

/// What an entry says that is neither a decision nor the ordinary life of a session. Registered names have a few harmless letters.
fn told(kind: Kind, details: &KindDetails) -> Option<String> {
    Some(match details {
        KindDetails::Gap(gap) => {
            let why = match gap.reason {
                GapReason::NotRecorded => "the record could not be made durable",
                GapReason::TimeUp => "the route's time was up",
                GapReason::Dropped => "turned away, or more waited than memory is granted",
                GapReason::Abandoned => "the request ended before there was anything to record",
                _ => "for a reason that this version does not know",
            };
            format!("{} without a record: {why}", plural(requests(gap), "request"))
        }
        KindDetails::Model(model) => format!("{} {} registered", model.name, model.version),
        KindDetails::Policy(policy) => format!("{} registered", policy.kind),
        KindDetails::Erasure(erasure) => {
            let records = plural(erasure.records, "record");
            format!(
                "{}, {} ({}): {records}",
                erasure.scope.as_str(),
                erasure.outcome.as_str(),
                erasure.ground.as_str()
            )
        }
        KindDetails::Hold(_) => "erasing is forbidden".to_owned(),
        KindDetails::Release(_) => "a hold has ended".to_owned(),
        KindDetails::Access(access) => format!("sealed records were opened: {}", access.purpose.as_str()),
        KindDetails::Other if kind == Kind::Key => "a key was announced".to_owned(),
        KindDetails::Other if kind == Kind::Roster => "who may approve changes was set".to_owned(),
        _ => return None,
    })
}

fn plural(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests;
