//! Statements, rosters and histories: mostly what must be refused.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::code::Code;
use crate::entry::{
    DETAIL_SIGNATURES, DETAIL_STATEMENT, Detail, Details, Entry, Kind, RegisteredName, RegisteredVersion,
    SessionId, WriterName,
};
use crate::hash::Hash;
use crate::limits::{
    APPROVAL_LIFETIME_MS_MAX, APPROVAL_SIGNATURES_MAX, APPROVAL_STATEMENT_BYTES_MAX, APPROVALS_WALK_MAX,
    ENTRY_BYTES_MAX,
};
use crate::merkle::LeafIndex;
use crate::note::{KeyName, NoteError, Signature, SignatureType, SignedNote, Signer, SigningKey};
use crate::time::UnixMillis;

const NOW: UnixMillis = UnixMillis::new(1_795_000_000_000);
const DAY: u64 = 86_400_000;

fn log() -> KeyName {
    KeyName::new("log.example.com/loans").unwrap()
}

fn key(seed: u8, name: &str) -> SigningKey {
    SigningKey::from_seed(KeyName::new(name).unwrap(), SignatureType::Ed25519, &[seed; 32]).unwrap()
}

fn alice() -> SigningKey {
    key(1, "bank.example/alice")
}

fn alice_again() -> SigningKey {
    key(2, "bank.example/alice-card")
}

fn bob() -> SigningKey {
    key(3, "bank.example/bob")
}

fn carol() -> SigningKey {
    key(4, "bank.example/carol")
}

fn mallory() -> SigningKey {
    key(5, "bank.example/mallory")
}

fn file() -> String {
    let line = |name: &str, key: SigningKey| format!("approver {name} {}\n", key.verifier_key());
    [
        "# who may approve\n\n".to_owned(),
        line("alice", alice()),
        line("alice", alice_again()),
        line("bob", bob()),
        line("carol", carol()),
    ]
    .concat()
}

fn rules(rules: &[(ChangeKind, &str)]) -> BTreeMap<ChangeKind, Rule> {
    rules.iter().map(|(kind, rule)| (*kind, rule.parse().unwrap())).collect()
}

fn usual() -> BTreeMap<ChangeKind, Rule> {
    rules(&[(ChangeKind::Model, "2 of alice, bob, carol"), (ChangeKind::Roster, "2 of alice, bob, carol")])
}

fn roster() -> Roster {
    Roster::new(file().as_bytes(), &usual()).unwrap()
}

fn model(version: &str) -> Change {
    Change::Model {
        name: RegisteredName::parse("credit").unwrap(),
        version: RegisteredVersion::parse(version).unwrap(),
        digest: Hash::of(version.as_bytes()),
        signature: None,
    }
}

fn statement(change: Change) -> Statement {
    Statement {
        log: log(),
        change,
        created: NOW,
        expires: NOW.plus_millis(7 * DAY),
        nonce: Nonce::new([9; 16]),
    }
}

/// The note of a text with the signature of `key`.
fn by(key: &SigningKey, text: String) -> Result<SignedNote, NoteError> {
    let public = key.verifier_key();
    let signature = Signature::new(public.name().clone(), public.id(), key.sign_message(text.as_bytes()));
    SignedNote::new(text, vec![signature])
}

fn signed(statement: &Statement, keys: &[SigningKey]) -> Vec<u8> {
    let mut signatures = Vec::new();
    let mut note = None;
    for key in keys {
        let next = Approvals::sign(statement.clone(), &signatures, |text| by(key, text)).unwrap();
        signatures = next.note().signatures().to_vec();
        note = Some(next);
    }
    note.unwrap().to_string().into_bytes()
}

fn numbered() -> (WriterName, SessionId, u64) {
    (WriterName::parse("w").unwrap(), SessionId::from_bytes([7; 16]), 1)
}

fn entry(change: &Change, recorded: Option<&Recorded>, next: &PublicRoster) -> Entry {
    let entry = change.entry(numbered(), next);
    let details = recorded.map_or(entry.details.clone(), |recorded| recorded.add_to(entry.details.clone()));
    Entry { details, recorded_at: NOW, ..entry }
}

/// A log with a roster as its entry 0.
fn history() -> History {
    let mut history = History::default();
    let roster = roster();
    let change = Change::Roster { from: PublicRoster::empty().digest(), to: roster.public().digest() };
    let first = entry(&change, None, roster.public());
    assert_eq!(history.take(&log(), LeafIndex::new(0), &first), Ok(Taken::Free));
    history
}

#[allow(clippy::result_large_err, reason = "a test")]
fn decide(
    history: &History,
    change: &Change,
    approval: &[u8],
    now: UnixMillis,
) -> Result<Verdict, ApprovalError> {
    history.decide(&log(), Some(&roster()), change, approval, now)
}

fn approved(history: &History, change: &Change, approval: &[u8]) -> Recorded {
    match decide(history, change, approval, NOW) {
        Ok(Verdict::Approved(recorded)) => recorded,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_statement_reads_as_a_person_reads_it() {
    let text = statement(model("2026.1")).to_text();
    let digest = Hash::of(b"2026.1");
    assert_eq!(
        text,
        format!(
            "ledgerstone/approval/v1\nlog log.example.com/loans\nchange model\nname credit\nversion 2026.1\ndigest sha256:{digest}\n\
             created 2026-11-18T11:06:40.000Z\nexpires 2026-11-25T11:06:40.000Z\nnonce {}\n",
            "09".repeat(16)
        )
    );
}

fn changes() -> Vec<Change> {
    let name = |text: &str| RegisteredName::parse(text).unwrap();
    let Change::Model { name: of, version, digest, .. } = model("1") else { unreachable!() };
    vec![
        model("1"),
        Change::Model { name: of, version, digest, signature: Some(Hash::of(b"s")) },
        Change::Policy { kind: name("audit-plan"), digest: Hash::of(b"p") },
        Change::Key { from: None, to: name("a") },
        Change::Key { from: Some(name("a")), to: name("b") },
        Change::Retention { from: None, to: Hash::of(b"r") },
        Change::Retention { from: Some(Hash::of(b"r")), to: Hash::of(b"s") },
        Change::Roster { from: Hash::of(b"r"), to: Hash::of(b"s") },
    ]
}

#[test]
fn reads_back_a_statement_of_every_kind_and_no_other_spelling() {
    for change in changes() {
        let statement = statement(change);
        let text = statement.to_text();
        assert_eq!(Statement::parse(&text), Ok(statement.clone()));
        for wrong in [
            format!("{text}\n"),
            format!("{text}more\n"),
            text.trim_end().to_owned(),
            text.replacen("created", "Created", 1),
            text.replacen("sha256:", "sha256:A", 1),
            text.replacen("2026-11-18T11", "2026-11-18t11", 1),
            text.replacen("2026-11-18", "2026-11-31", 1),
            text.replacen("T11:06:40.000Z", "T11:06:60.000Z", 1),
            text.replacen("v1", "v2", 1),
            text.replacen("nonce 09", "nonce 9", 1),
            text.replacen("change ", "change  ", 1),
            text.replacen("change ", "change none-", 1),
            text.replace('\n', "\r\n"),
        ] {
            if wrong != text {
                assert!(Statement::parse(&wrong).is_err(), "{wrong}");
            }
        }
        for cut in 0..text.len() {
            assert!(Statement::parse(&text[..cut]).is_err(), "{cut} bytes");
        }
    }
}

#[test]
fn refuses_statements_that_hold_for_no_time_or_too_long() {
    for (lifetime, holds) in
        [(0, false), (1, true), (APPROVAL_LIFETIME_MS_MAX, true), (APPROVAL_LIFETIME_MS_MAX + 1, false)]
    {
        let statement = Statement { expires: NOW.plus_millis(lifetime), ..statement(model("1")) };
        assert_eq!(Statement::parse(&statement.to_text()).is_ok(), holds, "{lifetime}");
    }
    let backwards =
        Statement { created: NOW, expires: UnixMillis::new(NOW.get() - 1), ..statement(model("1")) };
    assert_eq!(Statement::parse(&backwards.to_text()), Err(StatementError::Lifetime));
    let long = "x".repeat(APPROVAL_STATEMENT_BYTES_MAX + 1);
    assert_eq!(Statement::parse(&long).unwrap_err().code(), Code::Limit);
}

#[test]
fn two_of_three_are_enough_and_one_is_not() {
    let (history, change) = (history(), model("1"));
    let statement = statement(change.clone());
    let one = signed(&statement, &[alice()]);
    assert_eq!(decide(&history, &change, &one, NOW), Err(ApprovalError::TooFew { have: 1, need: 2 }));
    for keys in [[alice(), bob()], [bob(), alice()], [alice_again(), carol()]] {
        assert_eq!(approved(&history, &change, &signed(&statement, &keys)).signatures(), 2);
    }
    assert_eq!(
        decide(&history, &change, b"", NOW),
        Err(ApprovalError::Missing { kind: ChangeKind::Model, need: 2, of: 3 })
    );
    let policy = Change::Policy { kind: RegisteredName::parse("p").unwrap(), digest: Hash::of(b"p") };
    assert_eq!(decide(&history, &policy, b"", NOW), Ok(Verdict::Free));
    assert_eq!(
        decide(&history, &policy, &one, NOW),
        Err(ApprovalError::NotAsked { kind: ChangeKind::Policy })
    );
}

#[test]
fn one_person_counts_once_whichever_keys_signed() {
    let (history, change) = (history(), model("1"));
    let twice =
        |keys: &[SigningKey]| decide(&history, &change, &signed(&statement(change.clone()), keys), NOW);
    let same = Err(ApprovalError::SamePerson { have: 1, need: 2 });
    assert_eq!(twice(&[alice(), alice_again()]), same);
    let note = String::from_utf8(signed(&statement(change.clone()), &[alice()])).unwrap();
    let line = note.lines().last().unwrap();
    assert_eq!(decide(&history, &change, format!("{note}{line}\n").as_bytes(), NOW), same);
    assert_eq!(
        Approvals::sign(
            statement(change.clone()),
            Approvals::parse(note.as_bytes()).unwrap().note().signatures(),
            |text| by(&alice(), text)
        ),
        Err(ApprovalError::AlreadySigned { key: KeyName::new("bank.example/alice").unwrap() })
    );
    assert!(twice(&[alice(), alice_again(), bob()]).is_ok());
}

#[test]
fn strangers_and_those_who_left_do_not_count_and_are_named() {
    let (mut history, change) = (history(), model("1"));
    let statement = statement(change.clone());
    let note = signed(&statement, &[alice(), mallory()]);
    let who = KeyName::new("bank.example/mallory").unwrap();
    assert_eq!(decide(&history, &change, &note, NOW), Err(ApprovalError::Unknown { key: who }));
    // A stranger beside enough others does no harm.
    assert!(decide(&history, &change, &signed(&statement, &[mallory(), alice(), bob()]), NOW).is_ok());
    // The name and id of an approver on another's signature.
    let stolen = String::from_utf8(signed(&statement, &[alice(), key(6, "bank.example/bob")])).unwrap();
    assert!(decide(&history, &change, stolen.as_bytes(), NOW).is_err());
    // Carol leaves.
    let less: String =
        file().lines().filter(|line| !line.contains("carol")).map(|line| format!("{line}\n")).collect();
    let two = rules(&[(ChangeKind::Model, "2 of alice, bob"), (ChangeKind::Roster, "2 of alice, bob")]);
    let next = Roster::new(less.as_bytes(), &two).unwrap();
    let leaving = Change::Roster { from: roster().public().digest(), to: next.public().digest() };
    let recorded =
        approved(&history, &leaving, &signed(&self::statement(leaving.clone()), &[alice(), carol()]));
    let gone = entry(&leaving, Some(&recorded), next.public());
    assert_eq!(history.take(&log(), LeafIndex::new(1), &gone), Ok(Taken::Approved));
    assert_eq!(
        history.decide(&log(), Some(&next), &change, &signed(&statement, &[alice(), carol()]), NOW),
        Err(ApprovalError::Removed { key: KeyName::new("bank.example/carol").unwrap() })
    );
    assert!(decide(&history, &change, &signed(&statement, &[alice(), bob()]), NOW).is_ok());
}

#[test]
fn somebody_without_a_say_in_this_kind_does_not_count() {
    let rules = rules(&[(ChangeKind::Model, "2 of alice, bob"), (ChangeKind::Roster, "1 of carol")]);
    let roster = Roster::new(file().as_bytes(), &rules).unwrap();
    let mut history = History::default();
    let first = Change::Roster { from: PublicRoster::empty().digest(), to: roster.public().digest() };
    history.apply(LeafIndex::new(0), &entry(&first, None, roster.public()));
    let change = model("1");
    let note = signed(&statement(change.clone()), &[alice(), carol()]);
    assert_eq!(
        history.decide(&log(), Some(&roster), &change, &note, NOW),
        Err(ApprovalError::NotOfRule { kind: ChangeKind::Model, have: 1, need: 2 })
    );
}

#[test]
fn an_approval_is_for_one_log_one_change_and_a_time() {
    let (history, change) = (history(), model("1"));
    let both = [alice(), bob()];
    let of = |statement: &Statement, now| decide(&history, &change, &signed(statement, &both), now);
    let good = statement(change.clone());
    let elsewhere = Statement { log: KeyName::new("log.example.com/other").unwrap(), ..good.clone() };
    assert!(matches!(of(&elsewhere, NOW), Err(ApprovalError::OtherLog { .. })));
    let other = statement(model("2"));
    let error = of(&other, NOW).unwrap_err();
    assert!(matches!(error, ApprovalError::OtherChange { .. }), "{error}");
    assert!(error.to_string().contains("version 2") && error.to_string().contains("version 1"), "{error}");
    assert!(of(&good, good.expires).is_ok());
    assert_eq!(of(&good, good.expires.plus_millis(1)), Err(ApprovalError::Expired { expires: good.expires }));
    let later = Statement { created: NOW.plus_millis(300_001), ..good.clone() };
    assert_eq!(of(&later, NOW), Err(ApprovalError::NotYet { created: later.created }));
    assert!(of(&later, NOW.plus_millis(1)).is_ok());
}

#[test]
fn every_changed_byte_of_an_approval_is_refused_or_changes_nothing() {
    let (history, change) = (history(), model("1"));
    let note = signed(&statement(change.clone()), &[alice(), bob()]);
    let good = approved(&history, &change, &note);
    for at in 0..note.len() {
        let mut changed = note.clone();
        changed[at] ^= 1;
        if let Ok(verdict) = decide(&history, &change, &changed, NOW) {
            assert_eq!(verdict, Verdict::Approved(good.clone()), "byte {at}");
        }
    }
}

#[test]
fn an_approval_is_used_once_and_asking_again_finds_its_entry() {
    let mut history = history();
    let (first, second) = (model("1"), model("2"));
    let note = signed(&statement(first.clone()), &[alice(), bob()]);
    let recorded = approved(&history, &first, &note);
    let made = entry(&first, Some(&recorded), &PublicRoster::empty());
    assert_eq!(Entry::decode(&made.encode().unwrap()), Ok(made.clone()));
    assert_eq!(history.take(&log(), LeafIndex::new(5), &made), Ok(Taken::Approved));
    assert_eq!(decide(&history, &first, &note, NOW), Ok(Verdict::Done(LeafIndex::new(5))));
    let late = NOW.plus_millis(30 * DAY);
    assert_eq!(decide(&history, &first, &note, late), Ok(Verdict::Done(LeafIndex::new(5))));
    let again = approved(&history, &second, &signed(&statement(second.clone()), &[bob(), carol()]));
    history.apply(LeafIndex::new(6), &entry(&second, Some(&again), &PublicRoster::empty()));
    assert_eq!(
        decide(&history, &first, &note, NOW),
        Err(ApprovalError::Used { index: LeafIndex::new(5) }),
        "the older model does not come back"
    );
}

#[test]
fn registrations_that_nobody_had_to_approve_do_not_stand_in_the_way_of_approvals() {
    let mut history = history();
    for number in 0..=APPROVALS_WALK_MAX as u64 {
        let kind = RegisteredName::parse(&format!("p{number}")).unwrap();
        let policy = Change::Policy { kind, digest: Hash::of(b"p") };
        history.apply(LeafIndex::new(1 + number), &entry(&policy, None, &PublicRoster::empty()));
    }
    assert!(!history.is_full());
    let change = model("1");
    let note = signed(&statement(change.clone()), &[alice(), bob()]);
    let made = entry(&change, Some(&approved(&history, &change, &note)), &PublicRoster::empty());
    let index = LeafIndex::new(100_000);
    history.apply(index, &made);
    assert_eq!(decide(&history, &change, &note, NOW), Ok(Verdict::Done(index)));
    // Whatever changes it afterwards, with an approval or not, is no longer what was approved.
    history.apply(LeafIndex::new(100_001), &entry(&model("2"), None, &PublicRoster::empty()));
    assert_eq!(decide(&history, &change, &note, NOW), Err(ApprovalError::Used { index }));
}

#[test]
fn more_used_statements_than_are_kept_end_approvals() {
    let (mut history, change) = (history(), model("1"));
    let mut recorded = approved(&history, &change, &signed(&statement(change.clone()), &[alice(), bob()]));
    for number in 0..=APPROVALS_WALK_MAX {
        assert!(!history.is_full(), "{number}");
        recorded.statement = number.to_string();
        history
            .apply(LeafIndex::new(number as u64), &entry(&change, Some(&recorded), &PublicRoster::empty()));
    }
    assert!(history.is_full());
    let other = signed(&statement(model("2")), &[alice(), bob()]);
    assert_eq!(decide(&history, &model("2"), &other, NOW), Err(ApprovalError::Full));
}

#[test]
fn the_log_alone_shows_what_was_not_approved() {
    let change = model("1");
    let good = approved(&history(), &change, &signed(&statement(change.clone()), &[alice(), bob()]));
    let made = entry(&change, Some(&good), &PublicRoster::empty());
    let take = |entry: &Entry| history().take(&log(), LeafIndex::new(1), entry);
    assert_eq!(take(&made), Ok(Taken::Approved));
    let kind = ChangeKind::Model;
    assert_eq!(take(&entry(&change, None, &PublicRoster::empty())), Err(Fault::Missing { kind, need: 2 }));
    let other = entry(&model("2"), Some(&good), &PublicRoster::empty());
    assert!(matches!(take(&other), Err(Fault::Approval(ApprovalError::OtherChange { .. }))));
    let late = Entry { recorded_at: NOW.plus_millis(8 * DAY), ..made.clone() };
    assert!(matches!(take(&late), Err(Fault::Approval(ApprovalError::Expired { .. }))));
    let elsewhere = history().take(&KeyName::new("o").unwrap(), LeafIndex::new(1), &made);
    assert!(matches!(elsewhere, Err(Fault::Approval(ApprovalError::OtherLog { .. }))));
    let mut history = history();
    history.apply(LeafIndex::new(1), &made);
    assert_eq!(
        history.take(&log(), LeafIndex::new(2), &made),
        Err(Fault::Replayed { index: LeafIndex::new(1) })
    );
    // Half of the signatures, another key's place, a changed bit.
    let signatures = |change: fn(&mut Vec<u8>)| {
        let Some(Detail::Bytes(bytes)) = made.details.value(DETAIL_SIGNATURES) else { panic!() };
        let mut bytes = bytes.clone();
        change(&mut bytes);
        let details = made.details.clone().with(DETAIL_SIGNATURES, Detail::Bytes(bytes));
        take(&Entry { details, ..made.clone() })
    };
    let wrong = |error| Err(Fault::Approval(error));
    assert_eq!(signatures(|bytes| bytes.truncate(65)), wrong(ApprovalError::TooFew { have: 1, need: 2 }));
    assert_eq!(signatures(|bytes| bytes[0] = 3 - bytes[0]), wrong(ApprovalError::Signature));
    assert_eq!(signatures(|bytes| bytes[0] = 200), wrong(ApprovalError::NoSuchKey));
    assert_eq!(signatures(|bytes| bytes[10] ^= 1), wrong(ApprovalError::Signature));
    assert_eq!(
        signatures(|bytes| *bytes = [&bytes[..65], &bytes[..65]].concat()),
        wrong(ApprovalError::SamePerson { have: 1, need: 2 })
    );
}

#[test]
fn an_entry_that_is_not_of_the_approvals_form_does_not_decode() {
    let change = model("1");
    let good = approved(&history(), &change, &signed(&statement(change.clone()), &[alice(), bob()]));
    let made = entry(&change, Some(&good), &PublicRoster::empty());
    let with =
        |key, detail| Entry { details: made.details.clone().with(key, detail), ..made.clone() }.encode();
    assert!(with(DETAIL_SIGNATURES, Detail::Bytes(vec![0; 65])).is_ok());
    assert!(with(DETAIL_SIGNATURES, Detail::Bytes(vec![0; 64])).is_err());
    assert!(with(DETAIL_SIGNATURES, Detail::Bytes(Vec::new())).is_err());
    assert!(with(DETAIL_SIGNATURES, Detail::Bytes(vec![0; 65 * 9])).is_err());
    assert!(with(DETAIL_STATEMENT, Detail::Text(String::new())).is_err());
    assert!(with(DETAIL_STATEMENT, Detail::Bytes(vec![1])).is_err());
    assert!(with(29, Detail::Bool(true)).is_err());
    assert!(with(4, Detail::Bool(true)).is_err());
    assert!(with(32, Detail::Bool(true)).is_err());
    let half = Details::from(crate::entry::PolicyDetails { kind: RegisteredName::parse("p").unwrap() });
    let half = half.with(DETAIL_STATEMENT, Detail::Text("x".to_owned()));
    let entry = Entry {
        policy: Some(Hash::of(b"p")),
        details: half,
        ..Entry::new(Kind::Policy, numbered().0, numbered().1, 1)
    };
    assert!(entry.encode().is_err());
}

#[test]
fn the_largest_roster_and_the_largest_approval_fit_an_entry() {
    let keys: Vec<SigningKey> = (10..26).map(|seed| key(seed, &format!("k{seed}"))).collect();
    let mut text = String::new();
    for (n, key) in keys.iter().enumerate() {
        text.push_str(&format!("approver p{n} {}\n", key.verifier_key()));
    }
    let names: Vec<String> = (0..16).map(|n| format!("p{n}")).collect();
    let rule = format!("{APPROVAL_SIGNATURES_MAX} of {}", names.join(","));
    let all = ChangeKind::ALL.map(|kind| (kind, rule.as_str()));
    let roster = Roster::new(text.as_bytes(), &rules(&all)).unwrap();
    let bytes = roster.public().to_bytes();
    assert!(bytes.len() <= crate::limits::ROSTER_BYTES_MAX, "{}", bytes.len());
    assert_eq!(PublicRoster::parse(&bytes).as_ref(), Ok(roster.public()));
    let log = KeyName::new(&"l".repeat(255)).unwrap();
    let long = || "n".repeat(64);
    let largest = Change::Model {
        name: RegisteredName::parse(&long()).unwrap(),
        version: RegisteredVersion::parse(&long()).unwrap(),
        digest: Hash::of(b"d"),
        signature: Some(Hash::of(b"s")),
    };
    let turn = Change::Roster { from: roster.public().digest(), to: roster.public().digest() };
    let mut history = History::default();
    history.apply(LeafIndex::new(0), &entry(&turn, None, roster.public()));
    for change in [largest, turn] {
        let statement = Statement { log: log.clone(), ..statement(change.clone()) };
        let note = signed(&statement, &keys);
        let Ok(Verdict::Approved(recorded)) = history.decide(&log, Some(&roster), &change, &note, NOW) else {
            panic!()
        };
        assert_eq!(recorded.signatures(), APPROVAL_SIGNATURES_MAX);
        let writer = WriterName::parse(&"w".repeat(64)).unwrap();
        let made = change.entry((writer, SessionId::from_bytes([7; 16]), u64::MAX), roster.public());
        let made = Entry { details: recorded.add_to(made.details.clone()), recorded_at: NOW, ..made };
        assert!(made.encode().unwrap().len() <= ENTRY_BYTES_MAX);
        assert_eq!(history.clone().take(&log, LeafIndex::new(1), &made), Ok(Taken::Approved));
    }
}

#[test]
fn signatures_of_people_who_do_not_count_do_not_take_the_room_of_those_who_do() {
    let keys: Vec<SigningKey> = (10..26).map(|seed| key(seed, &format!("k{seed}"))).collect();
    let mut text = String::new();
    for (n, key) in keys.iter().enumerate() {
        text.push_str(&format!("approver p{n} {}\n", key.verifier_key()));
    }
    let rules = rules(&[(ChangeKind::Model, "2 of p14, p15"), (ChangeKind::Roster, "1 of p0")]);
    let roster = Roster::new(text.as_bytes(), &rules).unwrap();
    let mut history = History::default();
    let first = Change::Roster { from: PublicRoster::empty().digest(), to: roster.public().digest() };
    history.apply(LeafIndex::new(0), &entry(&first, None, roster.public()));
    let change = model("1");
    let note = signed(&statement(change.clone()), &keys);
    let Ok(Verdict::Approved(recorded)) = history.decide(&log(), Some(&roster), &change, &note, NOW) else {
        panic!()
    };
    let made = entry(&change, Some(&recorded), &PublicRoster::empty());
    assert_eq!(history.take(&log(), LeafIndex::new(1), &made), Ok(Taken::Approved));
}

#[test]
fn names_and_the_order_of_lines_are_no_part_of_the_roster_in_the_log() {
    let mut lines: Vec<&str> = vec![];
    let file = file();
    lines.extend(file.lines().rev());
    let renamed = lines.join("\n").replace("approver carol", "approver dora") + "\n";
    let rules =
        rules(&[(ChangeKind::Model, "2 of dora, bob, alice"), (ChangeKind::Roster, "2 of bob, alice, dora")]);
    assert_eq!(Roster::new(renamed.as_bytes(), &rules).unwrap().public(), roster().public());
    let bytes = roster().public().to_bytes();
    for name in ["alice", "bob", "carol", "bank"] {
        assert!(!bytes.windows(name.len()).any(|window| window == name.as_bytes()), "{name}");
    }
}

#[test]
fn refuses_rosters_that_make_no_sense() {
    let new = |file: &str, rules: &[(ChangeKind, &str)]| Roster::new(file.as_bytes(), &self::rules(rules));
    let roster_rule = (ChangeKind::Roster, "1 of alice");
    assert!(new(&file(), &[roster_rule]).is_ok());
    assert_eq!(new(&file(), &[]), Err(RosterError::NoRosterRule));
    assert!(matches!(new("", &[roster_rule]), Err(RosterError::Unknown { .. })));
    assert!(matches!(
        new(&file(), &[(ChangeKind::Key, "1 of eve"), roster_rule]),
        Err(RosterError::Unknown { .. })
    ));
    let line = file().lines().nth(2).unwrap().to_owned();
    let ml_dsa =
        SigningKey::from_seed(KeyName::new("k").unwrap(), SignatureType::MlDsa44Cosignature, &[1; 32])
            .unwrap();
    for wrong in [
        format!("{line}\n{line}\n"),
        format!("{line} more\n"),
        "approver alice\n".to_owned(),
        "approver alice not-a-key\n".to_owned(),
        format!("approver Alice {}\n", alice().verifier_key()),
        format!("approver alice {}\n", ml_dsa.verifier_key()),
        "witness alice key\n".to_owned(),
    ] {
        assert!(matches!(new(&wrong, &[roster_rule]), Err(RosterError::Line { .. })), "{wrong}");
    }
    let many: String =
        (1..=17).map(|n| format!("approver p{n} {}\n", key(100 + n, "k").verifier_key())).collect();
    assert_eq!(new(&many, &[roster_rule]).unwrap_err().to_string(), "line 17: more than 16 keys or persons");
    assert!(Roster::new(b"\xff", &usual()).is_err());
    assert_eq!(Roster::new(&vec![b'\n'; 33 * 1024], &usual()).unwrap_err().code(), Code::Limit);
}

#[test]
fn refuses_rules_that_nobody_or_everybody_would_satisfy() {
    assert_eq!("2 of alice, bob".parse::<Rule>().unwrap().to_string(), "2 of alice, bob");
    assert_eq!("0 of alice".parse::<Rule>(), Err(RosterError::ThresholdZero));
    assert_eq!(
        "3 of alice, bob".parse::<Rule>(),
        Err(RosterError::ThresholdAbove { threshold: 3, persons: 2 })
    );
    assert!(matches!("2 of alice, alice".parse::<Rule>(), Err(RosterError::NamedTwice { .. })));
    let many: Vec<String> = (0..17).map(|n| format!("p{n}")).collect();
    assert_eq!(format!("1 of {}", many.join(",")).parse::<Rule>(), Err(RosterError::TooMany));
    assert!(matches!(
        format!("9 of {}", many[..9].join(",")).parse::<Rule>(),
        Err(RosterError::ThresholdLimit { .. })
    ));
    for wrong in [
        "",
        "2",
        "of alice",
        "two of alice, bob",
        "+1 of alice",
        "01 of alice",
        "1 of",
        "1 of ",
        "1 of alice,",
        "1 of Alice",
        "1 of a b",
    ] {
        assert!(wrong.parse::<Rule>().is_err(), "{wrong}");
    }
}

#[test]
fn a_change_of_the_roster_takes_the_approval_of_the_one_before() {
    let mut history = history();
    let alone = rules(&[(ChangeKind::Roster, "1 of carol")]);
    let next = Roster::new(file().as_bytes(), &alone).unwrap();
    let change = Change::Roster { from: roster().public().digest(), to: next.public().digest() };
    let without = entry(&change, None, next.public());
    assert_eq!(
        history.clone().take(&log(), LeafIndex::new(1), &without),
        Err(Fault::Missing { kind: ChangeKind::Roster, need: 2 })
    );
    let note = signed(&statement(change.clone()), &[carol()]);
    assert_eq!(
        history.decide(&log(), Some(&roster()), &change, &note, NOW),
        Err(ApprovalError::TooFew { have: 1, need: 2 }),
        "carol may not make herself the only one"
    );
    // What was not approved holds all the same, and is told.
    assert!(history.take(&log(), LeafIndex::new(1), &without).is_err());
    assert_eq!(history.roster(), next.public());
    let half = Entry {
        details: without.details.clone().with(DETAIL_STATEMENT, Detail::Text("x".into())),
        ..without.clone()
    };
    assert_eq!(history.take(&log(), LeafIndex::new(2), &half), Err(Fault::Form));
    let rubbish = Entry { details: Details::new().with(1, Detail::Bytes(vec![1, 2])), ..without };
    assert_eq!(history.take(&log(), LeafIndex::new(2), &rubbish), Err(Fault::Roster));
    assert_eq!(history.roster(), next.public(), "what is no roster changes none");
}

#[test]
fn follows_key_and_retention_from_what_is_in_force() {
    let mut history = History::default();
    let key = |from: Option<&str>, to: &str| Change::Key {
        from: from.map(|name| RegisteredName::parse(name).unwrap()),
        to: RegisteredName::parse(to).unwrap(),
    };
    history.apply(LeafIndex::new(0), &entry(&key(None, "a"), None, &PublicRoster::empty()));
    assert_eq!(history.key().unwrap().as_str(), "a");
    let retention = Change::Retention { from: None, to: Hash::of(b"r") };
    history.apply(LeafIndex::new(1), &entry(&retention, None, &PublicRoster::empty()));
    assert_eq!(history.retention(), Some(Hash::of(b"r")));
    let rules = rules(&[(ChangeKind::Key, "1 of bob"), (ChangeKind::Roster, "1 of bob")]);
    let roster = Roster::new(file().as_bytes(), &rules).unwrap();
    let change = Change::Roster { from: PublicRoster::empty().digest(), to: roster.public().digest() };
    history.apply(LeafIndex::new(2), &entry(&change, None, roster.public()));
    // An approval from another key on is not one from this key on.
    let recorded = |change: &Change| {
        let note = signed(&statement(change.clone()), &[bob()]);
        let verdict = history.decide(&log(), Some(&roster), change, &note, NOW).unwrap();
        let Verdict::Approved(recorded) = verdict else { panic!("{verdict:?}") };
        recorded
    };
    let (wrong, right) = (recorded(&key(Some("z"), "b")), recorded(&key(Some("a"), "b")));
    let take = |recorded| {
        let entry = entry(&key(Some("a"), "b"), Some(recorded), &PublicRoster::empty());
        history.clone().take(&log(), LeafIndex::new(3), &entry)
    };
    assert!(matches!(take(&wrong), Err(Fault::Approval(ApprovalError::OtherChange { .. }))));
    assert_eq!(take(&right), Ok(Taken::Approved));
    // A receipt key is no key-encryption key.
    let receipt =
        Details::new().with(1, Detail::Text("cose-receipt".to_owned())).with(2, Detail::Bytes(vec![1]));
    let other = Entry { details: receipt, ..entry(&key(None, "a"), None, &PublicRoster::empty()) };
    assert_eq!(history.clone().take(&log(), LeafIndex::new(3), &other), Ok(Taken::Other));
}

proptest! {
    #[test]
    fn never_panics_on_any_text(text in "\\PC{0,400}") {
        let _ = Statement::parse(&text);
    }

    #[test]
    fn a_roster_that_reads_is_written_as_it_was(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(roster) = PublicRoster::parse(&bytes) {
            prop_assert_eq!(roster.to_bytes(), bytes);
        }
    }

    #[test]
    fn a_changed_roster_is_another_or_none(at in 0_usize..300, byte in any::<u8>()) {
        let mut bytes = roster().public().to_bytes();
        let at = at % bytes.len();
        if bytes[at] != byte {
            bytes[at] = byte;
            if let Ok(read) = PublicRoster::parse(&bytes) {
                let other = read != *roster().public();
                prop_assert!(other);
                prop_assert_eq!(read.to_bytes(), bytes);
            }
        }
    }
}
