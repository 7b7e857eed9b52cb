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
use ledgerstone::hash::Hash;
use ledgerstone::merkle::LeafIndex;
use ledgerstone::note::KeyName;
use tokio::sync::{Mutex, MutexGuard};

use crate::intercept::recorder::now;
use crate::intercept::{Session, SessionError};

mod error;
mod folder;
mod read;
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
    /// What the session says first.
    pending: Mutex<Vec<Pending>>,
}

/// A change that is to be said in the log, and its approval where it needs one.
#[derive(Clone, Debug)]
struct Pending {
    change: Change,
    approval: Option<Recorded>,
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

    /// Sees to it that the log names `digest` as the policy of this `kind`, before the session records anything: the newest
    /// policy entry of the kind says so already, or [`Approvals::announce`] appends one, with the approval that a roster asks
    /// for out of the folder of the configuration.
    ///
    /// To be called between opening and announcing, for every policy that the configuration puts into force.
    ///
    /// # Errors
    /// [`StartError::NotApproved`] if it is not approved: the sidecar does not start.
    pub async fn policy(&self, kind: RegisteredName, digest: Hash) -> Result<(), StartError> {
        if self.history.lock().await.policy(&kind) == Some(digest) {
            return Ok(());
        }
        let change = Change::Policy { kind, digest };
        let approval = self.need(&change).await?;
        self.pending.lock().await.push(Pending { change, approval });
        Ok(())
    }

    /// Says in the log what the configuration changes. Nothing is served before.
    ///
    /// # Errors
    /// [`SessionError`] if the log does not take the entries.
    pub async fn announce(&self, session: &Session) -> Result<(), SessionError> {
        let roster = self.wanted.public();
        // The roster last: what its rules ask for was in force before, or was approved under the rules before.
        let mut pending = std::mem::take(&mut *self.pending.lock().await);
        pending.sort_by_key(|pending| pending.change.kind() == ChangeKind::Roster);
        for Pending { change, approval } in pending {
            let make = |numbered| with(change.entry(numbered, &roster), approval.as_ref());
            let (index, entry) = session.announce(make).await?;
            self.history.lock().await.apply(index, &entry);
            let approved = approval.is_some();
            tracing::info!(%change, approved, leaf_index = index.get(), "a change of the configuration is in the log");
        }
        Ok(())
    }

    /// The approval that `change` needs, out of the folder; none if nobody has to approve it.
    async fn need(&self, change: &Change) -> Result<Option<Recorded>, StartError> {
        let history = self.history.lock().await;
        need(&history, &self.log, &self.wanted, &self.notes, change)
    }
}

/// The entry with its approval in it.
pub(crate) fn with(entry: Entry, approval: Option<&Recorded>) -> Entry {
    match approval {
        None => entry,
        Some(approval) => Entry { details: approval.add_to(entry.details.clone()), ..entry },
    }
}

/// The approval that `change` needs, out of `notes`; none if nobody has to approve it.
fn need(
    history: &History,
    log: &KeyName,
    wanted: &Wanted,
    notes: &[Vec<u8>],
    change: &Change,
) -> Result<Option<Recorded>, StartError> {
    let decide = |note: &[u8]| history.decide(log, wanted.roster.as_ref(), change, note, now());
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

/// What of the configuration is not in force yet, by what the log says: in the order in which it would be announced.
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
    if *history.roster() != next {
        changes.push(Change::Roster { from: history.roster().digest(), to: next.digest() });
    }
    changes
}

/// What was found at a start.
#[derive(Debug)]
pub(crate) struct Opened {
    /// What is approved and what is to be said.
    pub(crate) approvals: Arc<Approvals>,
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
    let (mut pending, mut stays) = (Vec::new(), None);
    for change in changes(&history, &wanted) {
        match need(&history, &log, &wanted, &notes, &change) {
            Ok(approval) => pending.push(Pending { change, approval }),
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
    let approvals =
        Approvals { log, wanted, notes, history: Mutex::new(history), pending: Mutex::new(pending) };
    Ok(Opened { approvals: Arc::new(approvals), stays })
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

/// What the reader of a refusal must do about it.
pub(crate) const fn refused_with(error: &ApprovalError) -> (tonic::Code, Code) {
    let grpc = match error {
        ApprovalError::Used { .. } => tonic::Code::AlreadyExists,
        ApprovalError::Full => tonic::Code::ResourceExhausted,
        ApprovalError::Note(_) | ApprovalError::Statement(_) | ApprovalError::NotAsked { .. } => {
            tonic::Code::InvalidArgument
        }
        _ => tonic::Code::PermissionDenied,
    };
    (grpc, error.code())
}
