//! Whether anything is missing: sessions, their sequence numbers, gaps, heartbeats and stops (INV-10).
//!
//! A writer gives each request a sequence number when it sees it, so the entries of a session may stand in the log in
//! another order, but none may be absent without a gap entry that says so. Where a session has no stop entry the writer
//! died: what was in its hands at that moment nobody can know, and the check says so instead of guessing. It passes where
//! the log itself says so too, by the start entry that names the session as the one before: from there on it is closed.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;

use super::Findings;
use super::ranges::Ranges;
use crate::code::{CheckName, Code};
use crate::entry::{Entry, GapDetails, Kind, KindDetails, SessionId, WriterName};
use crate::limits::{WALK_RANGES_MAX, WALK_SESSIONS_MAX};
use crate::merkle::LeafIndex;
use crate::time::UnixMillis;
use crate::verify::{Check, Place, plural};

/// Every session seen, at most [`WALK_SESSIONS_MAX`], with at most [`WALK_RANGES_MAX`] ranges in all.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    by_id: BTreeMap<SessionId, Session>,
    /// The index at which each writer's latest session began.
    latest: BTreeMap<WriterName, LeafIndex>,
    ranges: usize,
    /// A bound was reached, and from there on entries were not followed.
    cut_short: bool,
    found: Findings,
}

#[derive(Debug)]
struct Session {
    writer: WriterName,
    first_entry: LeafIndex,
    /// When its latest entry was recorded.
    latest_at: UnixMillis,
    /// The start entry that names this session as the writer's one before, and its time.
    closed: Option<(LeafIndex, UnixMillis)>,
    recorded: Ranges,
    gaps: Ranges,
    /// Sequence and index of the stop entry.
    stop: Option<(u64, LeafIndex)>,
    /// Everything below was settled when the writer's last heartbeat was made.
    settled_below: u64,
}

impl Sessions {
    pub(super) fn entry(&mut self, index: LeafIndex, entry: &Entry) {
        let room = self.by_id.len() < WALK_SESSIONS_MAX && self.ranges < WALK_RANGES_MAX;
        let session = match self.by_id.entry(entry.session) {
            Slot::Occupied(known) if self.ranges < WALK_RANGES_MAX => known.into_mut(),
            Slot::Vacant(new) if room => {
                self.latest.insert(entry.writer.clone(), index);
                new.insert(Session::new(entry.writer.clone(), index))
            }
            _ => {
                self.cut_short = true;
                return;
            }
        };
        let before = session.ranges();
        let fault = session.entry(index, entry);
        self.ranges = self.ranges + session.ranges() - before;
        let named = entry.kind_details().ok().and_then(|details| match details {
            KindDetails::Start(start) => start.previous_session,
            _ => None,
        });
        let closing = named.and_then(|previous| self.close(previous, index, entry));
        for fault in fault.into_iter().chain(closing) {
            let what = format!("Entry {index}, session {} of {}: {fault}", entry.session, entry.writer);
            self.found.add(Place { leaf_index: Some(index), what, ..Place::default() });
        }
    }

    /// Takes the word of the start entry `entry` that `previous` has ended; what contradicts it is said.
    fn close(&mut self, previous: SessionId, index: LeafIndex, entry: &Entry) -> Option<String> {
        if previous == entry.session {
            return Some("it names itself as the session before it.".to_owned());
        }
        match self.by_id.get_mut(&previous) {
            // A session that was not followed for want of memory may well be there.
            None if self.cut_short => None,
            None => Some(format!(
                "it names session {previous} as the one before it, and the log has no entry of that."
            )),
            Some(session) if session.writer != entry.writer => Some(format!(
                "it names session {previous} as the one before it, and that is one of {}.",
                session.writer
            )),
            Some(session) => {
                session.closed.get_or_insert((index, entry.recorded_at));
                None
            }
        }
    }

    pub(super) fn checks(mut self) -> Vec<Check> {
        let mut tally = Tally::default();
        let mut ends = Ends::default();
        for (id, session) in &self.by_id {
            tally.add(session);
            let followed =
                self.latest.get(&session.writer).is_some_and(|latest| *latest > session.first_entry);
            for (first, last) in session.certainly_missing() {
                self.found.add(session.missing(*id, first, last));
            }
            ends.add(*id, session, followed);
        }
        assert_eq!(
            ends.sessions(),
            tally.sessions,
            "INV-10: every session has ended, is open, or is said to have died"
        );
        vec![self.session_check(&tally), ends.check()]
    }

    fn session_check(self, tally: &Tally) -> Check {
        if self.cut_short && self.found.count == 0 {
            let detail = "The log has more sessions or more holes in them than memory is granted for; those up to there \
                          are complete.";
            return Check::not_checked(CheckName::LogSessions, detail);
        }
        self.found.check(CheckName::LogSessions, Code::Inconsistent, tally.to_string())
    }
}

impl Session {
    fn new(writer: WriterName, first_entry: LeafIndex) -> Self {
        Self {
            writer,
            first_entry,
            latest_at: UnixMillis::new(0),
            closed: None,
            recorded: Ranges::default(),
            gaps: Ranges::default(),
            stop: None,
            settled_below: 0,
        }
    }

    /// Takes one entry; what contradicts the session's others is said.
    fn entry(&mut self, index: LeafIndex, entry: &Entry) -> Option<String> {
        let sequence = entry.sequence;
        if entry.writer != self.writer {
            return Some(format!("the session is that of {}.", self.writer));
        }
        if !self.recorded.insert(sequence, sequence) {
            return Some(format!("sequence number {sequence} is used a second time."));
        }
        self.latest_at = entry.recorded_at;
        if let Some((start, _)) = self.closed {
            return Some(format!("it goes on after entry {start} said that it had ended."));
        }
        if sequence == 0 && entry.kind != Kind::Start {
            return Some("sequence number 0 belongs to the start entry.".to_owned());
        }
        match entry.kind_details() {
            Ok(KindDetails::Heartbeat(heartbeat)) => {
                self.settled_below = self.settled_below.max(heartbeat.lowest_in_flight.min(sequence));
            }
            Ok(KindDetails::Gap(gap)) => return self.gap(sequence, &gap),
            Ok(KindDetails::Stop) => return self.stop(sequence, index),
            _ => {}
        }
        self.past_stop(sequence)
    }

    /// A gap may only stand for numbers that were given before its own: nothing is excused in advance.
    fn gap(&mut self, sequence: u64, gap: &GapDetails) -> Option<String> {
        if gap.last >= sequence {
            return Some(format!("the gap up to {} covers numbers from its own {sequence} on.", gap.last));
        }
        self.gaps.insert(gap.first, gap.last);
        self.past_stop(sequence)
    }

    fn stop(&mut self, sequence: u64, index: LeafIndex) -> Option<String> {
        if let Some((_, earlier)) = self.stop {
            return Some(format!("entry {earlier} stopped the session already."));
        }
        self.stop = Some((sequence, index));
        let highest = self.recorded.highest().filter(|highest| *highest > sequence);
        highest.map(|highest| format!("it stops at {sequence}, but sequence number {highest} is recorded."))
    }

    fn past_stop(&self, sequence: u64) -> Option<String> {
        let (stop, _) = self.stop.filter(|(stop, _)| *stop < sequence)?;
        Some(format!("sequence number {sequence} comes after the stop at {stop}."))
    }

    /// Numbers that were given, are neither recorded nor covered by a gap, and cannot have been in flight at a crash.
    fn certainly_missing(&self) -> Vec<(u64, u64)> {
        let end = match self.stop {
            Some((stop, _)) => stop,
            None => self.settled_below,
        };
        self.accounted_for().missing_below(end)
    }

    /// Numbers below the highest seen that are unaccounted for; in a session without a stop they may have been in flight.
    fn unaccounted_for(&self) -> Vec<(u64, u64)> {
        let accounted = self.accounted_for();
        accounted.missing_below(accounted.highest().unwrap_or(0))
    }

    fn accounted_for(&self) -> Ranges {
        let mut all = self.recorded.clone();
        self.gaps.iter().for_each(|(first, last)| _ = all.insert(first, last));
        all
    }

    fn ranges(&self) -> usize {
        self.recorded.len() + self.gaps.len()
    }

    fn missing(&self, id: SessionId, first: u64, last: u64) -> Place {
        let what = format!(
            "Session {id} of {}: {} missing, and no gap entry says why.",
            self.writer,
            numbers(first, last)
        );
        let leaf_index = self.stop.map_or(self.first_entry, |(_, index)| index);
        Place { leaf_index: Some(leaf_index), what, ..Place::default() }
    }
}

/// `sequence number 5 is`, or `sequence numbers 5 to 7 are`.
fn numbers(first: u64, last: u64) -> String {
    if first == last {
        format!("sequence number {first} is")
    } else {
        format!("sequence numbers {first} to {last} are")
    }
}

/// The sums for the detail of a pass.
#[derive(Default)]
struct Tally {
    sessions: u64,
    recorded: u64,
    gaps: u64,
}

impl Tally {
    fn add(&mut self, session: &Session) {
        self.sessions += 1;
        self.recorded = self.recorded.saturating_add(session.recorded.count());
        self.gaps = self.gaps.saturating_add(session.gaps.count());
    }
}

impl core::fmt::Display for Tally {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { sessions, recorded, gaps } = self;
        let sessions = plural(*sessions, "session", "sessions");
        write!(f, "{sessions} with {} in the log", plural(*recorded, "sequence number", "sequence numbers"))?;
        match gaps {
            0 => f.write_str(" and no gap."),
            gaps => {
                let more = plural(*gaps, "more is declared as a gap", "more are declared as gaps");
                write!(f, "; {more}, with the reason, in signed gap entries.")
            }
        }
    }
}

/// How the sessions ended.
#[derive(Default)]
struct Ends {
    stopped: u64,
    open: u64,
    /// Without a stop, and the next start entry says so.
    died: Findings,
    /// Without a stop, and nothing says so but a later session of the same writer.
    unsaid: Findings,
}

impl Ends {
    fn add(&mut self, id: SessionId, session: &Session, followed: bool) {
        if session.stop.is_some() {
            self.stopped += 1;
        } else if session.closed.is_some() {
            self.died.add(Self::death(id, session));
        } else if followed {
            self.unsaid.add(Self::death(id, session));
        } else {
            self.open += 1;
        }
    }

    fn sessions(&self) -> u64 {
        self.stopped + self.open + self.died.count + self.unsaid.count
    }

    fn death(id: SessionId, session: &Session) -> Place {
        let highest = session.recorded.highest().unwrap_or(0);
        let mut what = format!(
            "Session {id} of {} ended without a stop. Its last known sequence number is {highest}, its last entry is of \
             {}",
            session.writer, session.latest_at
        );
        what.push_str(&match session.closed {
            Some((start, at)) => {
                format!(
                    "; entry {start} of {at} says that it had ended. What it saw in between nobody can know."
                )
            }
            None => "; what it saw after that nobody can know.".to_owned(),
        });
        let holes = session.unaccounted_for();
        if let Some((first, last)) = holes.first() {
            what.push_str(&format!(" Before that, {} not recorded", numbers(*first, *last)));
            match holes.len() {
                1 => what.push('.'),
                more => what.push_str(&format!(", the first of {more} such places.")),
            }
        }
        Place { leaf_index: Some(session.first_entry), what, ..Place::default() }
    }

    fn check(self) -> Check {
        let all = plural(self.sessions(), "session", "sessions");
        if let Some(first) = self.unsaid.places.first() {
            let detail = format!(
                "{} of {all} ended without a stop, and no later start entry says so. {first}",
                self.unsaid.count
            );
            return Check::not_checked(CheckName::LogStops, detail).at(self.unsaid.places);
        }
        let mut detail = format!("{} ended with a stop entry.", plural(self.stopped, "session", "sessions"));
        if let Some(first) = self.died.places.first() {
            let one_each = if self.died.count == 1 { "it" } else { "each of them" };
            detail.push_str(&format!(
                " {} of {all} ended without one, as a crash leaves it, and the start entry after {one_each} says so. {first}",
                self.died.count
            ));
        }
        if self.open > 0 {
            detail.push_str(&format!(
                " {} still open when this checkpoint was made; a later one will show the end.",
                plural(self.open, "session was", "sessions were")
            ));
        }
        Check::passed(CheckName::LogStops, detail).at(self.died.places)
    }
}
