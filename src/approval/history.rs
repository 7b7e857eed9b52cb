//! What a log says about approvals, entry by entry: who may approve, what is in force, which statements were used.
//!
//! Guarantees: the sidecar, which refuses, and the verifier, which finds, ask the same code. What an entry changed holds from
//! then on even if it should not have been there, because that is what the log says.

use std::collections::{BTreeMap, BTreeSet};

use super::change::{Change, KEY_PURPOSE, RETENTION};
use super::error::{ApprovalError, Fault};
use super::recorded::Recorded;
use super::roster::{PublicRoster, Roster};
use super::statement::{Approvals, Statement};
use crate::entry::{Detail, Details, Entry, Kind, PolicyDetails, RegisteredName, SessionId, WriterName};
use crate::hash::Hash;
use crate::limits::APPROVALS_WALK_MAX;
use crate::merkle::LeafIndex;
use crate::note::KeyName;
use crate::time::UnixMillis;

/// How far the clock of whoever made a statement may be ahead.
const AHEAD_MS_MAX: u64 = 5 * 60 * 1000;

/// How much later than the sidecar's look at its clock the log may stamp an entry.
const STAMP_MS_MAX: u64 = 60 * 1000;

/// What is in force.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    pub(super) roster: PublicRoster,
    pub(super) retention: Option<Hash>,
    pub(super) key: Option<RegisteredName>,
}

/// The approvals of one log, as far as it was read.
#[derive(Clone, Debug, Default)]
pub struct History {
    state: State,
    roster_at: Option<LeafIndex>,
    /// Keys of every roster there was.
    former: BTreeSet<[u8; 32]>,
    /// The newest digest of each kind of policy.
    policies: BTreeMap<RegisteredName, Hash>,
    /// Statements that were used, and where.
    used: BTreeMap<Hash, LeafIndex>,
    /// Where each subject that an approval ever changed was changed last: whoever asks again after a lost answer finds it here.
    newest: BTreeMap<String, LeafIndex>,
    /// Whether more statements were used than are kept.
    is_full: bool,
}

/// What an approved change leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nobody has to approve it.
    Free,
    /// Enough have approved it: the entry that makes it holds this.
    Approved(Recorded),
    /// It was made already with this very statement, and still holds: the entry stands here.
    Done(LeafIndex),
}

/// What an entry is, as far as approvals go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It changes nothing that can need approval.
    Other,
    /// It changes something, and nobody had to approve that.
    Free,
    /// It changes something, and enough have approved it.
    Approved,
}

impl History {
    /// Takes the next entry of the log `log`; whatever it changes holds from then on.
    ///
    /// # Errors
    /// [`Fault`] if the entry should not have been appended.
    pub(crate) fn take(&mut self, log: &KeyName, index: LeafIndex, entry: &Entry) -> Result<Taken, Fault> {
        let judged = self.judge(log, entry);
        self.apply(index, entry);
        judged
    }

    /// Takes the next entry without asking whether it should be there: the sidecar's own, and those of its log.
    pub fn apply(&mut self, index: LeafIndex, entry: &Entry) {
        let Some(change) = Change::of(entry, &self.state) else { return };
        let recorded = Recorded::of(entry).ok().flatten();
        if let Some(recorded) = &recorded {
            match self.used.len() < APPROVALS_WALK_MAX {
                true => _ = self.used.entry(recorded.digest()).or_insert(index),
                false => self.is_full = true,
            }
        }
        // What nobody had to approve takes no room: registrations without an approval cannot fill it.
        let (subject, is_room) = (change.subject(), self.newest.len() < APPROVALS_WALK_MAX);
        if recorded.is_some() && is_room || self.newest.contains_key(&subject) {
            self.newest.insert(subject, index);
        }
        match change {
            Change::Model { .. } => {}
            Change::Policy { kind, digest } => {
                if self.policies.len() < APPROVALS_WALK_MAX || self.policies.contains_key(&kind) {
                    self.policies.insert(kind, digest);
                }
            }
            Change::Key { to, .. } => self.state.key = Some(to),
            Change::Retention { to, .. } => self.state.retention = Some(to),
            Change::Roster { .. } => {
                let Some(Detail::Bytes(bytes)) = entry.details.value(1) else { return };
                let Ok(roster) = PublicRoster::parse(bytes) else { return };
                let full = self.former.len() >= APPROVALS_WALK_MAX;
                self.former.extend(roster.public_keys().filter(|_| !full));
                self.state.roster = roster;
                self.roster_at = Some(index);
            }
        }
    }

    fn judge(&self, log: &KeyName, entry: &Entry) -> Result<Taken, Fault> {
        if entry.kind == Kind::Roster {
            let Some(Detail::Bytes(bytes)) = entry.details.value(1) else { return Err(Fault::Roster) };
            PublicRoster::parse(bytes).map_err(|_| Fault::Roster)?;
        }
        let Some(change) = Change::of(entry, &self.state) else { return Ok(Taken::Other) };
        let recorded = Recorded::of(entry)?;
        let rule = self.state.roster.rule(change.kind());
        match (rule, recorded) {
            (None, None) => Ok(Taken::Free),
            (None, Some(_)) => Err(Fault::NotAsked { kind: change.kind() }),
            (Some((need, _)), None) => Err(Fault::Missing { kind: change.kind(), need }),
            (Some(_), Some(recorded)) => {
                self.judge_recorded(log, &change, &recorded, entry.recorded_at)?;
                Ok(Taken::Approved)
            }
        }
    }

    fn judge_recorded(
        &self,
        log: &KeyName,
        change: &Change,
        recorded: &Recorded,
        at: UnixMillis,
    ) -> Result<(), Fault> {
        let statement = Statement::parse(&recorded.statement)
            .map_err(|error| Fault::Approval(ApprovalError::Statement(error)))?;
        is_for(&statement, log, change).map_err(Fault::Approval)?;
        if let Some(index) = self.used.get(&recorded.digest()) {
            return Err(Fault::Replayed { index: *index });
        }
        // The log stamps an entry after the sidecar looked at its clock.
        is_in_time(&statement, at, STAMP_MS_MAX).map_err(Fault::Approval)?;
        self.state.roster.judge(change.kind(), recorded).map_err(Fault::Approval)
    }

    /// What becomes of `change` of `log`, which the note `approval` is to approve (none where it is empty), at `now`. `named`
    /// is the roster of the configuration, which knows whose a signature claims to be if it is the one in force.
    ///
    /// # Errors
    /// [`ApprovalError`] says why it must not take effect.
    pub fn decide(
        &self,
        log: &KeyName,
        named: Option<&Roster>,
        change: &Change,
        approval: &[u8],
        now: UnixMillis,
    ) -> Result<Verdict, ApprovalError> {
        let kind = change.kind();
        let Some((need, of)) = self.state.roster.rule(kind) else {
            return if approval.is_empty() {
                Ok(Verdict::Free)
            } else {
                Err(ApprovalError::NotAsked { kind })
            };
        };
        if approval.is_empty() {
            return Err(ApprovalError::Missing { kind, need, of });
        }
        if self.is_full {
            return Err(ApprovalError::Full);
        }
        let approvals = Approvals::parse(approval)?;
        let statement = approvals.statement();
        is_for(statement, log, change)?;
        if let Some(index) = self.used.get(&statement.digest()) {
            let still_holds = self.newest.get(&change.subject()) == Some(index);
            return if still_holds {
                Ok(Verdict::Done(*index))
            } else {
                Err(ApprovalError::Used { index: *index })
            };
        }
        is_in_time(statement, now, 0)?;
        let named = named.filter(|named| *named.public() == self.state.roster);
        let recorded = self.state.roster.accept(&approvals, &self.former, named);
        recorded.map(Verdict::Approved)
    }

    /// The roster in force.
    #[must_use]
    pub const fn roster(&self) -> &PublicRoster {
        &self.state.roster
    }

    /// Where the roster in force stands; none if the log has none.
    #[must_use]
    pub const fn roster_at(&self) -> Option<LeafIndex> {
        self.roster_at
    }

    /// Digest of the retention rules that the log names last.
    #[must_use]
    pub const fn retention(&self) -> Option<Hash> {
        self.state.retention
    }

    /// The key-encryption key that the log names last.
    #[must_use]
    pub const fn key(&self) -> Option<&RegisteredName> {
        self.state.key.as_ref()
    }

    /// Where this subject ([`Change::subject`]) was changed last, if an approval ever changed it.
    #[must_use]
    pub fn changed_at(&self, subject: &str) -> Option<LeafIndex> {
        self.newest.get(subject).copied()
    }

    /// The policy of this kind that the log names last.
    #[must_use]
    pub fn policy(&self, kind: &RegisteredName) -> Option<Hash> {
        self.policies.get(kind).copied()
    }

    /// Every kind of policy that the log names, with the one that it names last; without retention.
    pub fn policies(&self) -> impl Iterator<Item = (&RegisteredName, Hash)> {
        self.policies.iter().map(|(kind, digest)| (kind, *digest))
    }

    /// Whether more statements were used than are kept, so that a replay could be missed. Only entries with approvals come to
    /// that; registrations that nobody had to approve do not.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.is_full
    }
}

impl Change {
    /// The entry that makes the change, without an approval. `roster` is the next one where the change is of the roster.
    #[must_use]
    pub fn entry(
        &self,
        (writer, session, sequence): (WriterName, SessionId, u64),
        roster: &PublicRoster,
    ) -> Entry {
        let text = |text: &str| Detail::Text(text.to_owned());
        match self.clone() {
            Self::Model { name, version, digest, signature } => {
                let details = crate::entry::ModelDetails { name, version, signature };
                Entry::model(writer, session, sequence, digest, details)
            }
            Self::Policy { kind, digest } => {
                Entry::policy(writer, session, sequence, digest, PolicyDetails { kind })
            }
            Self::Retention { to, .. } => {
                let entry = Entry::new(Kind::Policy, writer, session, sequence);
                Entry { policy: Some(to), details: Details::new().with(1, text(RETENTION)), ..entry }
            }
            Self::Key { to, .. } => {
                let details = Details::new().with(1, text(KEY_PURPOSE)).with(2, text(to.as_str()));
                Entry { details, ..Entry::new(Kind::Key, writer, session, sequence) }
            }
            Self::Roster { .. } => {
                let details = Details::new().with(1, Detail::Bytes(roster.to_bytes()));
                Entry { details, ..Entry::new(Kind::Roster, writer, session, sequence) }
            }
        }
    }
}

fn is_for(statement: &Statement, log: &KeyName, change: &Change) -> Result<(), ApprovalError> {
    if statement.log != *log {
        return Err(ApprovalError::OtherLog { named: statement.log.clone(), log: log.clone() });
    }
    if statement.change != *change {
        let (approved, asked) = (Box::new(statement.change.clone()), Box::new(change.clone()));
        return Err(ApprovalError::OtherChange { approved, asked });
    }
    Ok(())
}

/// `late` is what an entry gets that was stamped after its approval was looked at.
fn is_in_time(statement: &Statement, now: UnixMillis, late: u64) -> Result<(), ApprovalError> {
    if now.plus_millis(AHEAD_MS_MAX) < statement.created {
        return Err(ApprovalError::NotYet { created: statement.created });
    }
    if now > statement.expires.plus_millis(late) {
        return Err(ApprovalError::Expired { expires: statement.expires });
    }
    Ok(())
}
