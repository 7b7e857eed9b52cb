//! One event of every kind: an entry for each kind of entry, an alert for each fact, and some that try to break out.

use ledgerstone::code::CheckName;
use ledgerstone::entry::{
    AccessDetails, AccessPurpose, AnchorDetails, AnchorKind, DecisionDetails, DecisionId, Detail, Details,
    Entry, ErasureDetails, ErasureId, ErasureOutcome, ErasureScope, GapDetails, GapReason, Ground,
    HeartbeatDetails, HoldDetails, HoldId, Kind, LaneName, Mode, ModelDetails, PolicyDetails, RegisteredName,
    RegisteredVersion, ReleaseDetails, SealedRef, SessionId, StartDetails, WriterName,
};
use ledgerstone::hash::{Hash, leaf_hash};
use ledgerstone::merkle::{LeafIndex, TreeSize};
use ledgerstone::note::KeyName;
use ledgerstone::record::{Commitment, SubjectKeyId};
use ledgerstone::siem::{Alert, Event, Fact, Log};
use ledgerstone::time::UnixMillis;

/// 2026-11-18T11:06:40Z.
const TIME: UnixMillis = UnixMillis::new(1_795_000_000_000);

const DECISION: &str = "0193b3c4-5d6e-7f80-8123-456789abcdef";

/// What would end a line, a field, an element, a string or a terminal's good manners.
pub(crate) const HOSTILE: &str = "m\"] \\|=^\t\r\n\u{1b}[2J\u{9b}31m\u{202e}=cmd|'/C calc'!A0<script>\u{2028}\u{feff} cs1=x leaf_index=\"7\" }],\u{0}";

pub(crate) fn log() -> Log {
    Log::new(&KeyName::new("example.com/decisions").unwrap())
}

fn writer() -> WriterName {
    WriterName::parse("gateway-1").unwrap()
}

fn session() -> SessionId {
    SessionId::from_bytes(*b"a session's name")
}

fn decision_id() -> DecisionId {
    DECISION.parse().unwrap()
}

fn name(text: &str) -> RegisteredName {
    RegisteredName::parse(text).unwrap()
}

fn commitment() -> Commitment {
    Commitment { root: Hash::of(b"root"), count: 5 }
}

/// Every kind of entry once, as it may be; decisions and starts more often.
fn entries() -> Vec<Entry> {
    let numbered = || (writer(), session(), 17);
    let start = |version: &str| {
        let (configuration, previous_session) =
            (Hash::of(b"configuration"), Some(SessionId::from_bytes([9; 16])));
        Entry::start(
            writer(),
            session(),
            StartDetails { version: version.to_owned(), configuration, previous_session },
        )
    };
    let decision = |status| Entry {
        sealed: Some(SealedRef { digest: Hash::of(b"sealed"), length: 4321 }),
        model: Some(Hash::of(b"model")),
        policy: Some(Hash::of(b"policy")),
        mode: Some(Mode::Strict),
        ..Entry::decision(writer(), session(), 17, decision_id(), commitment(), DecisionDetails { status })
    };
    let free = |kind, details: Details| Entry { details, ..Entry::new(kind, writer(), session(), 1) };
    let erasure = ErasureDetails {
        id: ErasureId::from_bytes([3; 16]),
        scope: ErasureScope::Subject,
        ground: Ground::SubjectRequest,
        operator: name("officer.7"),
        outcome: ErasureOutcome::Erased,
        records: 12,
        part: 0,
        parts: 1,
        keys: vec![SubjectKeyId::from_bytes([5; 16]), SubjectKeyId::from_bytes([6; 16])],
        successor: None,
    };
    let (hold, operator) = (HoldId::from_bytes([4; 16]), name("officer.7"));
    let mut entries = vec![
        start("0.1.0"),
        start(HOSTILE),
        Entry::stop(writer(), session(), 99),
        Entry::heartbeat(writer(), session(), 18, HeartbeatDetails { in_flight: 2, lowest_in_flight: 16 }),
        Entry::gap(writer(), session(), 19, GapDetails { first: 4, last: 6, reason: GapReason::TimeUp }),
        Entry::model(
            writer(),
            session(),
            2,
            Hash::of(b"model"),
            ModelDetails {
                name: name("credit-risk"),
                version: RegisteredVersion::parse("3.2.1+b").unwrap(),
                signature: Some(Hash::of(b"signature")),
            },
        ),
        Entry::policy(writer(), session(), 3, Hash::of(b"policy"), PolicyDetails { kind: name("gate") }),
        free(
            Kind::Key,
            Details::new()
                .with(1, Detail::Text("cose-receipt".to_owned()))
                .with(2, Detail::Bytes(vec![7; 90])),
        ),
        free(
            Kind::Key,
            (0..40).fold(Details::new(), |all, key| all.with(key, Detail::Text(HOSTILE[..30].to_owned()))),
        ),
        free(
            Kind::Roster,
            Details::new()
                .with(1, Detail::Bytes(vec![8; 32]))
                .with(2, Detail::Bool(true))
                .with(3, Detail::Text("x".repeat(700))),
        ),
        decision(0),
        decision(7),
        Entry::decision(writer(), session(), 18, decision_id(), commitment(), DecisionDetails { status: 0 }),
        Entry::about_keys(Kind::Erasure, numbered(), None, erasure.into()),
        Entry::about_keys(
            Kind::Hold,
            numbered(),
            Some((decision_id(), LeafIndex::new(3))),
            HoldDetails { id: hold, operator: operator.clone(), mark: None }.into(),
        ),
        Entry::about_keys(Kind::Release, numbered(), None, ReleaseDetails { id: hold, operator }.into()),
        Entry::anchor(
            writer(),
            session(),
            20,
            AnchorDetails {
                lane: LaneName::parse("mainnet").unwrap(),
                kind: AnchorKind::Ethereum,
                seq: 8,
                to_size: TreeSize::new(40),
                statement: Hash::of(b"statement"),
            },
        ),
        Entry::access(
            numbered(),
            Some(decision_id()),
            vec![LeafIndex::new(3), LeafIndex::new(12)],
            commitment(),
            AccessDetails { purpose: AccessPurpose::History, stretch: None },
        ),
        Entry::access(
            numbered(),
            None,
            Vec::new(),
            commitment(),
            AccessDetails { purpose: AccessPurpose::Bundle, stretch: Some((0, 40)) },
        ),
    ];
    entries.extend(
        Kind::ALL
            .into_iter()
            .filter(|kind| kind.is_follow_up())
            .map(|kind| Entry::follow_up(kind, numbered(), decision_id(), LeafIndex::new(3), commitment())),
    );
    entries
}

/// Every fact once, each with a text that tries to break out where it has one.
pub(crate) fn alerts() -> Vec<Alert> {
    let text = || HOSTILE.to_owned();
    let facts = [
        Fact::Tamper { check: Some(CheckName::LogRoot), detail: text() },
        Fact::Tamper { check: None, detail: "x".repeat(70_000) },
        Fact::SplitView {
            other_size: TreeSize::new(40),
            other_root: Hash::of(b"other"),
            source: "witness.example".to_owned(),
        },
        Fact::RollbackRefused { outside_size: TreeSize::new(50), source: "mainnet".to_owned() },
        Fact::AnchorLate {
            lane: LaneName::parse("mainnet").unwrap(),
            anchored_size: TreeSize::new(12),
            late_ms: 3_600_000,
        },
        Fact::SinkLate { sink: "splunk".to_owned(), next: LeafIndex::new(30), late_ms: 60_000 },
        Fact::UnregisteredModel { route: "lending".to_owned(), model: text(), digest: Some(Hash::of(b"m")) },
        Fact::KeyUse { key: "log-signing".to_owned(), purpose: "rotate".to_owned() },
        Fact::ModeDowngrade { route: "lending".to_owned(), from: Mode::Strict, to: Mode::Observe },
        Fact::PolicyRefusal { route: "lending".to_owned(), rule: "age-known".to_owned() },
        Fact::Test,
    ];
    let alert = |fact| Alert {
        time: TIME,
        writer: writer(),
        tree_size: TreeSize::new(41),
        root: Hash::of(b"root of 41"),
        about: matches!(fact, Fact::PolicyRefusal { .. }).then(|| (LeafIndex::new(40), Hash::of(b"leaf"))),
        decision: matches!(fact, Fact::PolicyRefusal { .. }).then(decision_id),
        fact,
    };
    facts.into_iter().map(alert).collect()
}

/// The bytes of every entry, in the order of their leaves from 0.
pub(crate) fn leaves() -> Vec<Vec<u8>> {
    entries().into_iter().map(|entry| Entry { recorded_at: TIME, ..entry }.encode().unwrap()).collect()
}

/// All of them as events.
pub(crate) fn events() -> Vec<Event> {
    let log = log();
    let leaves = leaves();
    let told = (0..).zip(&leaves).map(|(index, bytes)| {
        let event = Event::of_entry(&log, LeafIndex::new(index), bytes).unwrap();
        assert_eq!(event.leaf().unwrap().hash, leaf_hash(bytes));
        event
    });
    told.chain(alerts().iter().map(|alert| Event::of_alert(&log, alert))).collect()
}
