//! Dual control in the sidecar: what needs the approval of several persons is refused until they have signed it.
//!
//! Guarantees: what the log says decides, not the configuration: who may approve is the newest roster in the log, and a statement
//! that an entry holds is used, whatever happened to the lookup index or the process since. One change at a time is looked at and
//! appended, so of two equal ones one makes an entry and the other finds it. What the configuration changes is looked at before
//! the session starts: a change that is not approved keeps the sidecar from starting, or, of the key-encryption key, keeps the
//! one before in force.
//! Does not do: holding the operator of the machine to this program. What another one appends without approval fails the check
//! of the log (`log.approvals`).
//! Specification: `docs/spec/approval.md`.

use std::sync::Arc;

use ledgerstone::approval::{
    ApprovalError, Approvals as SignedApprovals, Change, ChangeKind, History, PublicRoster, Recorded, Roster,
    Verdict,
};
use ledgerstone::code::Code;
use ledgerstone::entry::{Entry, RegisteredName};
use ledgerstone::merkle::LeafIndex;
use ledgerstone::note::KeyName;
use ledgerstone::time::UnixMillis;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::Instant;

use crate::gate::{is_policy_kind, policy_digest};
use crate::intercept::Session;
use crate::intercept::recorder::now;

mod error;
mod folder;
mod read;
#[cfg(test)]
pub(crate) mod tests;
mod wanted;

pub use self::error::StartError;
pub use self::wanted::{Wanted, retention_text};

/// What is approved and what is to be, of one log.
#[derive(Debug)]
pub struct Approvals {
    log: KeyName,
    /// What the configuration asks for.
    wanted: Wanted,
    /// Signed notes that lie in the folder of the configuration.
    notes: Vec<Vec<u8>>,
    history: Mutex<History>,
}

/// The right to make one change; nobody else makes one meanwhile.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    log: &'a KeyName,
    roster: Option<&'a Roster>,
    history: MutexGuard<'a, History>,
}

impl Turn<'_> {
    /// What becomes of `change`, which `approval` is to approve.
    pub(crate) fn decide(&self, change: &Change, approval: &[u8]) -> Result<Verdict, ApprovalError> {
        self.history.decide(self.log, self.roster, change, approval, now())
    }

    /// Takes the entry that made a change.
    pub(crate) fn learn(&mut self, index: LeafIndex, entry: &Entry) {
        self.history.apply(index, entry);
    }

    /// The key-encryption key that the log names last.
    pub(crate) fn key(&self) -> Option<&RegisteredName> {
        self.history.key()
    }

    /// Where it does.
    pub(crate) fn key_at(&self) -> Option<LeafIndex> {
        self.history.changed_at(ChangeKind::Key.as_str())
    }

    /// Whether somebody has to approve changes of this kind.
    pub(crate) fn asks(&self, kind: ChangeKind) -> bool {
        self.history.roster().rule(kind).is_some()
    }

    /// Whether anybody has to approve anything.
    pub(crate) fn asks_anything(&self) -> bool {
        !self.history.roster().is_empty()
    }
}

impl Approvals {
    /// The right to make the next change, once it is this one's turn.
    pub(crate) async fn turn(&self) -> Turn<'_> {
        let history = self.history.lock().await;
        Turn { log: &self.log, roster: self.wanted.roster.as_ref(), history }
    }

    /// The key-encryption key of the configuration.
    pub(crate) fn wanted_key(&self) -> &RegisteredName {
        &self.wanted.key
    }

    /// Says in the log what the configuration changes: `changes`, as [`open`] found them. Nothing is served before. What was
    /// approved then may have expired since, at a time that `clock` tells: then the session ends and nothing is served.
    ///
    /// # Errors
    /// [`StartError::NotApproved`] if a change is not approved any more, [`StartError::Session`] if the log does not take its entry.
    pub(crate) async fn announce(
        &self,
        session: &Session,
        changes: Vec<Change>,
        clock: impl Fn() -> UnixMillis,
    ) -> Result<(), StartError> {
        let roster = self.wanted.public();
        let mut history = self.history.lock().await;
        for change in changes {
            // The log stamps the entry as it takes it, at most two seconds ahead of this clock (`CLOCK_STEP_BACK_MS_MAX`); readers
            // allow for a minute.
            let approval = match need(&history, &self.log, &self.wanted, &self.notes, &change, clock()) {
                Ok(approval) => approval,
                Err(error) => {
                    session.stop(Instant::now()).await?;
                    return Err(error);
                }
            };
            let make = |numbered| with(change.entry(numbered, &roster), approval.as_ref());
            let (index, entry) = session.announce(make).await?;
            history.apply(index, &entry);
            let approved = approval.is_some();
            tracing::info!(%change, approved, leaf_index = index.get(), "a change of the configuration is in the log");
        }
        Ok(())
    }
}

/// The entry with its approval in it.
pub(crate) fn with(entry: Entry, approval: Option<&Recorded>) -> Entry {
    match approval {
        None => entry,
        Some(approval) => Entry { details: approval.add_to(entry.details.clone()), ..entry },
    }
}

/// The approval that `change` needs, out of `notes`, at `now`; none if nobody has to approve it.
fn need(
    history: &History,
    log: &KeyName,
    wanted: &Wanted,
    notes: &[Vec<u8>],
    change: &Change,
    now: UnixMillis,
) -> Result<Option<Recorded>, StartError> {
    let decide = |note: &[u8]| history.decide(log, wanted.roster.as_ref(), change, note, now);
    let mut refusal = match decide(&[]) {
        Ok(Verdict::Free) => return Ok(None),
        Ok(_) => return Err(StartError::Defect),
        Err(refusal) => refusal,
    };
    for note in notes {
        let is_for =
            |note: SignedApprovals| note.statement().change == *change && note.statement().log == *log;
        if !SignedApprovals::parse(note).is_ok_and(is_for) {
            continue;
        }
        match decide(note) {
            Ok(Verdict::Approved(recorded)) => return Ok(Some(recorded)),
            Ok(Verdict::Done(index)) => refusal = ApprovalError::Used { index },
            Ok(Verdict::Free) => return Ok(None),
            Err(error) => refusal = error,
        }
    }
    Err(StartError::NotApproved { change: Box::new(change.clone()), refusal: Box::new(refusal) })
}

/// What of the configuration is not in force yet, by what the log says: in the order in which it is announced. The roster comes
/// last: what its rules ask for was in force before, or is approved under the rules before.
#[must_use]
pub fn changes(history: &History, wanted: &Wanted) -> Vec<Change> {
    let next = wanted.public();
    let governs = |kind| history.roster().rule(kind).is_some() || next.rule(kind).is_some();
    let mut changes = Vec::new();
    if governs(ChangeKind::Retention) && history.retention() != Some(wanted.retention) {
        changes.push(Change::Retention { from: history.retention(), to: wanted.retention });
    }
    if governs(ChangeKind::Key) && history.key() != Some(&wanted.key) {
        changes.push(Change::Key { from: history.key().cloned(), to: wanted.key.clone() });
    }
    // The newest entry of a route's kind is what is in force: also where the route, or its gate, is gone.
    let none = policy_digest(&[]);
    let is_gone = |kind: &RegisteredName| is_policy_kind(kind) && !wanted.policies.contains_key(kind);
    let gone = history.policies().filter(|(kind, _)| is_gone(kind)).map(|(kind, _)| (kind, none));
    for (kind, digest) in wanted.policies.iter().map(|(kind, digest)| (kind, *digest)).chain(gone) {
        if history.policy(kind) != Some(digest) {
            changes.push(Change::Policy { kind: kind.clone(), digest });
        }
    }
    if *history.roster() != next {
        changes.push(Change::Roster { from: history.roster().digest(), to: next.digest() });
    }
    changes
}

/// What was found at a start.
#[derive(Debug)]
pub(crate) struct Opened {
    /// What is approved.
    pub(crate) approvals: Arc<Approvals>,
    /// What [`Approvals::announce`] is to say.
    pub(crate) changes: Vec<Change>,
    /// The key-encryption key that stays in force in the place of the configured one, whose change is not approved.
    pub(crate) stays: Option<RegisteredName>,
}

/// Looks at what the configuration changes, before anything is signed. `holds` says whether a key-encryption key is at hand.
///
/// # Errors
/// [`StartError`] if a change is not approved.
pub(crate) fn open(
    log: KeyName,
    history: History,
    wanted: Wanted,
    notes: Vec<Vec<u8>>,
    holds: impl Fn(&RegisteredName) -> bool,
) -> Result<Opened, StartError> {
    let (mut approved, mut stays) = (Vec::new(), None);
    for change in changes(&history, &wanted) {
        match need(&history, &log, &wanted, &notes, &change, now()) {
            Ok(_) => approved.push(change),
            Err(error) => {
                let before = match &change {
                    Change::Key { from: Some(before), .. } if holds(before) => before.clone(),
                    _ => return Err(error),
                };
                let (code, key) = (error.code(), before.as_str());
                tracing::warn!(%error, %code, key, "the key-encryption key before stays in force; `keyring rotate --approval FILE`");
                stays = Some(before);
            }
        }
    }
    let approvals = Approvals { log, wanted, notes, history: Mutex::new(history) };
    Ok(Opened { approvals: Arc::new(approvals), changes: approved, stays })
}

pub(crate) use self::folder::notes;
pub(crate) use self::read::read;

impl Wanted {
    /// The roster of the configuration as the log has it; an empty one if there is none.
    #[must_use]
    pub fn public(&self) -> PublicRoster {
        self.roster.as_ref().map_or_else(PublicRoster::empty, |roster| roster.public().clone())
    }
}

/// Notes a refusal; its status, and what the reader must do about it.
pub(crate) fn refused(error: &ApprovalError) -> (tonic::Code, Code) {
    let code = error.code();
    tracing::warn!(%error, %code, "a change was refused");
    let grpc = match error {
        ApprovalError::Used { .. } => tonic::Code::AlreadyExists,
        ApprovalError::Full => tonic::Code::ResourceExhausted,
        ApprovalError::Note(_) | ApprovalError::Statement(_) | ApprovalError::NotAsked { .. } => {
            tonic::Code::InvalidArgument
        }
        _ => tonic::Code::PermissionDenied,
    };
    (grpc, code)
}
