//! What a submitting lane starts next.

use super::event::Effect;
use super::record::{Pending, Record};
use super::{Asked, Submission};
use crate::anchor::alarm::Alarm;
use crate::anchor::schedule::{Build, Tip, is_past};
use crate::limits::ANCHOR_UNAPPENDED_MAX;
use crate::merkle::TreeSize;
use crate::time::UnixMillis;

impl Submission {
    /// Takes the oldest record as durable.
    pub(super) fn journaled(&mut self) {
        if !self.is_journaling {
            return;
        }
        self.is_journaling = false;
        let Some(record) = self.records.pop_front() else { return };
        let applied = self.course.apply(&record);
        assert_eq!(applied, Ok(()), "INV-6: what a lane writes, its recovery reads");
        match record {
            Record::Accepted { .. } => {
                let is_behind = self.log.is_some_and(|size| size > self.course.accepted.head.size);
                self.behind_since = self.course.accepted_planned_at.filter(|_| is_behind);
            }
            Record::Captured { seq, .. } => _ = self.tried.remove(&seq),
            _ => {}
        }
    }

    /// Starts what can go on. While a record is not durable nothing does.
    pub(super) fn advance(&mut self, now: UnixMillis, effects: &mut Vec<Effect>) {
        if self.is_stopped {
            return;
        }
        if let Some(record) = self.records.front() {
            if !self.is_journaling {
                self.is_journaling = true;
                effects.push(Effect::Journal(record.clone()));
            }
            return;
        }
        if !self.is_appending
            && self.append.may(now)
            && let Some(details) = self.course.unappended.front()
        {
            effects.push(Effect::AppendEntry(details.clone()));
            self.is_appending = true;
        }
        let Some(log) = self.log else { return };
        if self.is_log_behind(log, effects) {
            return;
        }
        match self.course.planned {
            Some(planned) if self.submitting.is_none() && self.submit.may(now) => {
                let Tip { seq, statement, .. } = planned.tip;
                self.submitting = Some(seq);
                effects.push(Effect::Submit { seq, statement });
            }
            Some(_) => {}
            None => self.plan(now, log, effects),
        }
        self.ask(now, effects);
        self.end_alarms();
    }

    /// Whether the log is smaller than what was fixed; then nothing more is.
    fn is_log_behind(&mut self, log: TreeSize, effects: &mut Vec<Effect>) -> bool {
        let planned = self.course.planned.map_or(TreeSize::EMPTY, |planned| planned.tip.head.size);
        let anchored = self.course.accepted.head.size.max(planned);
        let is_behind = anchored > log;
        if is_behind {
            self.alarm(Alarm::LogBehind { anchored, log }, effects);
        } else if self.build.since.is_none() {
            self.alarms.end(|alarm| matches!(alarm, Alarm::LogBehind { .. }));
        }
        is_behind
    }

    /// Asks for the next statement if one is due.
    fn plan(&mut self, now: UnixMillis, log: TreeSize, effects: &mut Vec<Effect>) {
        let Tip { seq, head, statement } = self.course.accepted;
        let is_due = self.config.schedule.is_due(now, self.course.accepted_planned_at, log, head.size);
        if !is_due || self.building.is_some() || !self.build.may(now) {
            return;
        }
        if self.course.unappended.len() >= ANCHOR_UNAPPENDED_MAX {
            self.alarm(Alarm::Append { seq }, effects);
            return;
        }
        if !self.course.has_room(self.config.pending_max) {
            let pending = self.course.pending.len();
            self.alarm(Alarm::PendingFull { pending }, effects);
            return;
        }
        let seq = seq.saturating_add(1);
        let lane = self.config.lane.clone();
        self.building = Some(seq);
        effects.push(Effect::Build(Build { lane, seq, from: head, previous: statement, size: log }));
    }

    /// Asks for what a pending statement lacks, the one that was dealt with longest ago first, one at a time.
    fn ask(&mut self, now: UnixMillis, effects: &mut Vec<Effect>) {
        if self.asked.is_some() {
            return;
        }
        let next = self.course.pending.values().filter_map(|pending| {
            let asked = self.wanted(now, pending)?;
            let tried = self.tried.get(&pending.tip.seq).copied().unwrap_or_default();
            Some((tried.upgrade_at, pending.tip, asked))
        });
        let Some((_, tip, asked)) = next.min_by_key(|(at, tip, _)| (*at, tip.seq)) else { return };
        let Tip { seq, statement, .. } = tip;
        self.asked = Some(asked);
        let tried = self.tried.entry(seq).or_default();
        effects.push(match asked {
            Asked::Submit(_) => {
                tried.submit_at = Some(now);
                Effect::Submit { seq, statement }
            }
            Asked::Upgrade(_) => {
                tried.upgrade_at = Some(now);
                Effect::Upgrade { seq, statement }
            }
            Asked::Capture(_) => Effect::Capture { seq, statement },
        });
    }

    /// What a pending statement lacks, if it is time to ask for it.
    fn wanted(&self, now: UnixMillis, pending: &Pending) -> Option<Asked> {
        let seq = pending.tip.seq;
        let tried = self.tried.get(&seq).copied().unwrap_or_default();
        if pending.is_upgraded {
            return tried.capture.may(now).then_some(Asked::Capture(seq));
        }
        let submitted_at = tried.submit_at.unwrap_or(pending.accepted_at);
        if now.millis_since(submitted_at) >= self.config.resubmit_after_ms {
            return Some(Asked::Submit(seq));
        }
        let is_due = tried.upgrade_at.is_none_or(|at| is_past(now, at, self.config.upgrade_interval_ms));
        is_due.then_some(Asked::Upgrade(seq))
    }

    /// Ends the alarms whose cause is gone with what was taken as durable since.
    fn end_alarms(&mut self) {
        let (pending, room) = (&self.course.pending, self.course.has_room(self.config.pending_max));
        self.alarms.end(|alarm| match alarm {
            Alarm::PendingFull { .. } => room,
            Alarm::NotUpgraded { seq, .. } => pending.get(seq).is_none_or(|pending| pending.is_upgraded),
            Alarm::Capture { seq } => !pending.contains_key(seq),
            _ => false,
        });
    }

    pub(super) fn alarm(&mut self, alarm: Alarm, effects: &mut Vec<Effect>) {
        if self.alarms.raise(alarm.clone()) {
            effects.push(Effect::Alarm(alarm));
        }
    }
}
