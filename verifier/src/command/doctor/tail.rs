//! What the newest entries say: whether the recorder lives, how its sessions ended, what has no record, and when.

use std::collections::{BTreeMap, BTreeSet};

use ledgerstone::entry::{DecisionId, Entry, Kind, KindDetails, SessionId};
use ledgerstone::time::UnixMillis;

use super::finding::Findings;
use crate::output::plural;

/// How far back sessions and gaps are told.
const BACK_MS: u64 = 24 * 3600 * 1000;

/// Heartbeats that may be missing: one that is late and one that is on its way.
const MISSED: u64 = 3;

/// What a slow disk and the way to the reader may take beyond that.
const GRACE_MS: u64 = 5_000;

/// What the newest entries say.
pub(super) struct Tail {
    entries: Vec<Entry>,
    unread: usize,
    /// Whether there are older ones.
    is_cut: bool,
}

/// Says what is known of requests without a record where no entry was read, or none that is proved.
pub(super) fn unread(findings: &mut Findings, unrecorded: Option<f64>) {
    match unrecorded {
        Some(count) if count > 0.0 => {
            findings.warn("log.gaps", format!("{count:.0} requests of this session have no record."), GAPS)
        }
        Some(_) => findings.ok("log.gaps", "No request of this session is without a record."),
        None => {}
    }
}

const GAPS: &str = "Raise limits.in_flight_max or have callers ask less at a time where requests were turned away; make room or find a faster \
                    disk where the log did not take them.";

impl Tail {
    /// Reads the newest entries, of which the first has the leaf index `first`.
    pub(super) fn new(entries: &[Vec<u8>], first: u64) -> Self {
        let read: Vec<Entry> = entries.iter().filter_map(|bytes| Entry::decode(bytes).ok()).collect();
        Self { unread: entries.len() - read.len(), entries: read, is_cut: first > 0 }
    }

    /// How far back it was looked: a busy log has more entries in a day than are read.
    fn back(&self, now: UnixMillis) -> String {
        let oldest = self.entries.first().map(|entry| entry.recorded_at);
        match oldest.filter(|oldest| self.is_cut && now.millis_since(*oldest) < BACK_MS) {
            Some(oldest) => format!(
                "the newest {}, since {oldest}",
                plural(self.entries.len() as u64, "entry", "entries")
            ),
            None => "the last day".to_owned(),
        }
    }

    /// When the newest entry was recorded.
    pub(super) fn newest(&self) -> Option<UnixMillis> {
        self.entries.last().map(|entry| entry.recorded_at)
    }

    /// The newest decision.
    pub(super) fn decision(&self) -> Option<DecisionId> {
        self.entries
            .iter()
            .rev()
            .filter(|entry| entry.kind == Kind::Decision)
            .find_map(|entry| entry.decision)
    }

    /// Says what there is to say; `unrecorded` is what the running sidecar counts, `lives` whether one must be running.
    pub(super) fn judge(
        &self,
        findings: &mut Findings,
        now: UnixMillis,
        heartbeat_ms: u64,
        lives: bool,
        unrecorded: f64,
    ) {
        if self.unread > 0 {
            findings.fail(
                "log.entries",
                format!("{} cannot be read.", plural(self.unread as u64, "entry", "entries")),
                "Use the `ledgerstone` of the sidecar's own release; `ledgerstone verify log` names the entries.",
            );
        }
        self.heartbeats(findings, now, heartbeat_ms, lives);
        self.sessions(findings, now);
        self.gaps(findings, now, unrecorded);
    }

    fn heartbeats(&self, findings: &mut Findings, now: UnixMillis, heartbeat_ms: u64, lives: bool) {
        let name = "log.heartbeats";
        let Some(newest) = self.entries.last() else {
            return findings.warn(
                name,
                "The log is empty.",
                "Start the sidecar: its session begins the log.",
            );
        };
        let age = now.millis_since(newest.recorded_at);
        let seconds = age / 1000;
        if newest.kind == Kind::Stop && !lives {
            return findings.ok(name, format!("The recorder stopped in order, {seconds} s ago."));
        }
        if age > MISSED.saturating_mul(heartbeat_ms).saturating_add(GRACE_MS) {
            return findings.fail(
                name,
                format!(
                    "The newest entry is {seconds} s old, and a heartbeat comes every {} s: the recorder is dead, cannot write, or this \
                     is an old copy of the log.",
                    heartbeat_ms.div_ceil(1000)
                ),
                "Start the sidecar, look at /live and at the disk of log.store; where this is a mirror, see that it follows.",
            );
        }
        findings.ok(name, format!("The newest entry is {seconds} s old."));
    }

    fn recent(&self, now: UnixMillis) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| now.millis_since(entry.recorded_at) <= BACK_MS)
    }

    fn sessions(&self, findings: &mut Findings, now: UnixMillis) {
        let stopped: BTreeSet<SessionId> =
            self.entries.iter().filter(|entry| entry.kind == Kind::Stop).map(|entry| entry.session).collect();
        let seen: BTreeSet<SessionId> = self.entries.iter().map(|entry| entry.session).collect();
        let cut: Vec<String> = self
            .recent(now)
            .filter_map(|entry| match entry.kind_details() {
                Ok(KindDetails::Start(start)) => start.previous_session.map(|before| (entry, before)),
                _ => None,
            })
            .filter(|(_, before)| seen.contains(before) && !stopped.contains(before))
            .map(|(entry, _)| format!("before {} of {}", entry.recorded_at, entry.writer))
            .collect();
        if cut.is_empty() {
            let back = self.back(now);
            return findings.ok(
                "log.sessions",
                format!("Every session within {back} that another followed has its stop entry."),
            );
        }
        findings.warn(
            "log.sessions",
            format!("{} without a stop entry: {}.", plural(cut.len() as u64, "session ended", "sessions ended"), cut.join(", ")),
            "Find out what ended the sidecar then (the kernel's log for memory, the pod's last state, its grace period against \
             server.drain_deadline). What was in flight at that moment nobody can know.",
        );
    }

    fn gaps(&self, findings: &mut Findings, now: UnixMillis, unrecorded: f64) {
        let mut by_reason: BTreeMap<u64, u64> = BTreeMap::new();
        for entry in self.recent(now) {
            if let Ok(KindDetails::Gap(gap)) = entry.kind_details() {
                *by_reason.entry(gap.reason.number()).or_default() +=
                    gap.last.saturating_sub(gap.first).saturating_add(1);
            }
        }
        if by_reason.is_empty() && unrecorded <= 0.0 {
            return findings
                .ok("log.gaps", format!("No request within {} is without a record.", self.back(now)));
        }
        const REASONS: [&str; 4] = [
            "the log did not take the record",
            "time was up",
            "turned away, as too many came at a time",
            "given up",
        ];
        let mut said: Vec<String> = by_reason
            .iter()
            .map(|(reason, count)| {
                let at = usize::try_from(*reason).unwrap_or(usize::MAX).wrapping_sub(1);
                format!("{count}: {}", REASONS.get(at).unwrap_or(&"another reason"))
            })
            .collect();
        if said.is_empty() {
            said.push(format!("{unrecorded:.0} of this session"));
        }
        findings.warn(
            "log.gaps",
            format!(
                "Requests without a record within {} ({}). Signed gap entries say so.",
                self.back(now),
                said.join("; ")
            ),
            GAPS,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 24 * 3600 * 1000;

    /// Heartbeats of one session, a second apart, from the leaf index `first` on.
    fn tail(first: u64) -> Tail {
        let at = |second: u64| UnixMillis::new(10 * DAY + second * 1000);
        let entry = |second| {
            let writer = ledgerstone::entry::WriterName::parse("sidecar").unwrap();
            let mut entry = Entry::new(Kind::Heartbeat, writer, SessionId::from_bytes([7; 16]), 1 + second);
            entry.recorded_at = at(second);
            entry
        };
        Tail { entries: (0..5).map(entry).collect(), unread: 0, is_cut: first > 0 }
    }

    #[test]
    fn no_more_is_said_than_was_looked_at() {
        let said = |first, now| {
            let mut findings = Findings::default();
            tail(first).judge(&mut findings, UnixMillis::new(now), 60_000, true, 0.0);
            findings.all.into_iter().map(|finding| finding.detail).collect::<Vec<_>>().join("\n")
        };
        let busy = said(4096, 10 * DAY + 4_000);
        assert!(busy.contains("newest 5 entries, since ") && !busy.contains("last day"), "{busy}");
        assert!(said(0, 10 * DAY + 4_000).contains("last day"));
        assert!(said(4096, 12 * DAY).contains("last day"));
    }

    #[test]
    fn a_period_that_nobody_can_wait_for_overflows_nothing() {
        let mut findings = Findings::default();
        tail(0).judge(&mut findings, UnixMillis::new(u64::MAX), u64::MAX, true, 0.0);
        assert!(findings.all.iter().any(|finding| finding.name == "log.heartbeats"));
    }

    #[test]
    fn what_a_sidecar_counts_is_told_where_no_entry_was_read() {
        let mut findings = Findings::default();
        unread(&mut findings, Some(3.0));
        unread(&mut findings, Some(0.0));
        unread(&mut findings, None);
        let levels: Vec<_> = findings.all.iter().map(|finding| finding.level).collect();
        assert_eq!(levels, [super::super::Level::Warn, super::super::Level::Ok]);
    }
}
