//! A log in memory whose next key-encryption key Alice has to approve.

use std::collections::BTreeMap;
use std::sync::Mutex as StdMutex;

use bytes::Bytes;
use ledgerstone::approval::{Nonce, Statement};
use ledgerstone::checkpoint::LogKeys;
use ledgerstone::entry::{Kind, SessionId, WriterName};
use ledgerstone::hash::Hash;
use tokio::sync::Semaphore;

use super::*;
use crate::intercept::{Append, Appending, SessionOptions};

/// Stores what it is given at once, and holds the answer back until let go.
pub(crate) struct HeldLog {
    entries: StdMutex<Vec<Entry>>,
    pub(crate) answers: Semaphore,
}

impl HeldLog {
    /// A log with the start entry of a session, and the session.
    pub(crate) async fn started() -> (Arc<Self>, Arc<Session>) {
        let log =
            Arc::new(Self { entries: StdMutex::default(), answers: Semaphore::new(Semaphore::MAX_PERMITS) });
        let options = SessionOptions {
            writer: WriterName::parse("w").unwrap(),
            id: SessionId::from_bytes([7; 16]),
            version: "0".to_owned(),
            configuration: Hash::of(b"configuration"),
            previous: None,
        };
        let session = Session::start(log.clone(), options).await.unwrap();
        (log, session)
    }

    /// What kinds of entries it has.
    pub(crate) fn kinds(&self) -> Vec<Kind> {
        self.entries.lock().unwrap().iter().map(|entry| entry.kind).collect()
    }
}

impl Append for HeldLog {
    fn append(&self, entry: Entry, _sealed: Option<Bytes>) -> Appending<'_> {
        let index = {
            let mut entries = self.entries.lock().unwrap();
            entries.push(entry);
            LeafIndex::new(entries.len() as u64 - 1)
        };
        Box::pin(async move {
            self.answers.acquire().await.unwrap().forget();
            Ok(index)
        })
    }
}

fn name(text: &str) -> RegisteredName {
    RegisteredName::parse(text).unwrap()
}

fn alice() -> LogKeys {
    LogKeys::generate_from_seeds(&KeyName::new("bank.example/alice").unwrap(), [1; 32], [2; 32]).unwrap()
}

fn log() -> KeyName {
    KeyName::new("log.example.com/loans").unwrap()
}

/// Alice's approval of the key `next` in the place of `first`, for an hour from now on.
pub(crate) fn approval() -> (Statement, Vec<u8>) {
    let change = Change::Key { from: Some(name("first")), to: name("next") };
    let (created, nonce) = (now(), Nonce::new([9; 16]));
    let statement = Statement { log: log(), change, created, expires: created.plus_millis(3_600_000), nonce };
    let signed = SignedApprovals::sign(statement.clone(), &[], |text| alice().sign_text(text)).unwrap();
    (statement, signed.to_string().into_bytes())
}

/// A start with the key `next` in the configuration, and `first` in the log and at hand.
pub(crate) fn opened(notes: Vec<Vec<u8>>) -> Opened {
    let rules = [ChangeKind::Key, ChangeKind::Roster].map(|kind| (kind, "1 of alice".parse().unwrap()));
    let approvers = format!("approver alice {}\n", alice().vkeys()[0]);
    let roster = Roster::new(approvers.as_bytes(), &BTreeMap::from(rules)).unwrap();
    let mut history = History::default();
    let first = Change::Key { from: None, to: name("first") };
    let begins = Change::Roster { from: PublicRoster::empty().digest(), to: roster.public().digest() };
    for (index, change) in [first, begins].into_iter().enumerate() {
        let numbered = (WriterName::parse("w").unwrap(), SessionId::from_bytes([6; 16]), index as u64);
        history.apply(LeafIndex::new(index as u64), &change.entry(numbered, roster.public()));
    }
    let wanted = Wanted {
        roster: Some(roster),
        retention: Hash::of(b"retention"),
        key: name("next"),
        policies: BTreeMap::new(),
    };
    open(log(), history, wanted, notes, |_| true).unwrap()
}

#[tokio::test]
async fn an_approval_that_expires_during_the_start_makes_no_entry_and_ends_the_session() {
    let (statement, note) = approval();
    let (in_time, late) = (statement.expires, statement.expires.plus_millis(1));
    for (clock, kinds) in [(in_time, [Kind::Start, Kind::Key]), (late, [Kind::Start, Kind::Stop])] {
        let Opened { approvals, changes, stays } = opened(vec![note.clone()]);
        assert_eq!((changes.as_slice(), stays), ([statement.change.clone()].as_slice(), None));
        let (log, session) = HeldLog::started().await;
        let announced = approvals.announce(&session, changes, || clock).await;
        assert_eq!(log.kinds(), kinds);
        let is_expired = |error: &StartError| match error {
            StartError::NotApproved { refusal, .. } => matches!(**refusal, ApprovalError::Expired { .. }),
            _ => false,
        };
        assert_eq!(announced.err().as_ref().map(is_expired), (clock == late).then_some(true));
    }
}
