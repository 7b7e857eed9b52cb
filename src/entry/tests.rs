//! One spelling per entry, and every part where it belongs. Malformed entries stand in `tests/vectors/entry.json`.

use proptest::prelude::*;

use super::*;
use crate::encoding::cbor::Writer;
use crate::merkle::TreeSize;
use crate::record::SubjectKeyId;

fn writer_name() -> WriterName {
    WriterName::parse("gateway-1").unwrap()
}

const SESSION: SessionId = SessionId::from_bytes([2; 16]);
const COMMITMENT: Commitment = Commitment { root: Hash::from_bytes([4; 32]), count: 12 };

fn decision() -> Entry {
    Entry {
        recorded_at: UnixMillis::new(1_795_000_000_000),
        links: vec![LeafIndex::new(3), LeafIndex::new(900)],
        sealed: Some(SealedRef { digest: Hash::from_bytes([5; 32]), length: 4_321 }),
        model: Some(Hash::from_bytes([6; 32])),
        policy: Some(Hash::from_bytes([7; 32])),
        mode: Some(Mode::Strict),
        ..Entry::decision(
            writer_name(),
            SESSION,
            17,
            DecisionId::from_bytes([3; 16]),
            COMMITMENT,
            DecisionDetails { status: 0 },
        )
    }
}

fn start() -> StartDetails {
    StartDetails {
        version: "0.1.0".to_owned(),
        configuration: Hash::from_bytes([8; 32]),
        previous_session: Some(SessionId::from_bytes([1; 16])),
    }
}

fn registered_model() -> Entry {
    let details = ModelDetails {
        name: RegisteredName::parse("mortgage").unwrap(),
        version: RegisteredVersion::parse("2026.1").unwrap(),
        signature: Some(Hash::from_bytes([9; 32])),
    };
    Entry::model(writer_name(), SESSION, 6, Hash::from_bytes([6; 32]), details)
}

fn registered_policy() -> Entry {
    let kind = RegisteredName::parse("audit-plan").unwrap();
    Entry::policy(writer_name(), SESSION, 7, Hash::from_bytes([7; 32]), PolicyDetails { kind })
}

fn anchored() -> AnchorDetails {
    AnchorDetails {
        lane: LaneName::parse("ethereum").unwrap(),
        kind: AnchorKind::Ethereum,
        seq: 12,
        to_size: TreeSize::new(9_000),
        statement: Hash::from_bytes([10; 32]),
    }
}

/// What was destroyed for one decision.
fn erased() -> ErasureDetails {
    ErasureDetails {
        id: ErasureId::from_bytes([11; 16]),
        scope: ErasureScope::Record,
        ground: Ground::LegalOrder,
        operator: RegisteredName::parse("dpo-7").unwrap(),
        outcome: ErasureOutcome::Erased,
        records: 2,
        part: 0,
        parts: 1,
        keys: vec![SubjectKeyId::from_bytes([12; SubjectKeyId::LEN])],
        successor: Some(SubjectKeyId::from_bytes([13; SubjectKeyId::LEN])),
    }
}

/// An entry about the keys of one decision, or of more than one.
fn about_keys(kind: Kind, details: Details, one: bool) -> Entry {
    Entry {
        decision: one.then_some(DecisionId::from_bytes([3; 16])),
        links: if one { vec![LeafIndex::new(1)] } else { vec![] },
        details,
        ..Entry::new(kind, writer_name(), SESSION, 4)
    }
}

/// One valid entry of every kind.
fn one_of_each() -> Vec<Entry> {
    let heartbeat = HeartbeatDetails { in_flight: 0, lowest_in_flight: 9 };
    let gap = GapDetails { first: 3, last: 5, reason: GapReason::Dropped };
    let (id, operator) = (HoldId::from_bytes([14; 16]), RegisteredName::parse("counsel").unwrap());
    let hold = HoldDetails { id, operator: operator.clone(), mark: Some([15; 32]) };
    let typed_entries = [
        Entry::start(writer_name(), SESSION, start()),
        Entry::stop(writer_name(), SESSION, 10),
        Entry::heartbeat(writer_name(), SESSION, 9, heartbeat),
        Entry::gap(writer_name(), SESSION, 8, gap),
        registered_model(),
        registered_policy(),
        decision(),
        Entry::anchor(writer_name(), SESSION, 11, anchored()),
        about_keys(Kind::Erasure, erased().into(), true),
        about_keys(Kind::Hold, hold.into(), false),
        about_keys(Kind::Release, ReleaseDetails { id, operator }.into(), false),
        access(vec![LeafIndex::new(3), LeafIndex::new(9)], None),
    ];
    let typed = typed_entries.iter().map(|entry| entry.kind).collect::<Vec<_>>();
    let others = Kind::ALL.into_iter().filter(|kind| !typed.contains(kind));
    let other = |kind: Kind| Entry {
        links: if kind.is_follow_up() { vec![LeafIndex::new(1)] } else { vec![] },
        details: Details::new().with(1, Detail::Bool(true)).with(300, Detail::Text("t".to_owned())),
        ..Entry::new(kind, writer_name(), SESSION, 4)
    };
    typed_entries.into_iter().chain(others.map(other)).collect()
}

#[test]
fn reads_back_an_entry_of_every_kind() {
    let entries = one_of_each();
    assert_eq!(entries.len(), Kind::ALL.len());
    for entry in entries {
        let bytes = entry.encode().unwrap();
        assert_eq!(Entry::decode(&bytes), Ok(entry));
    }
}

#[test]
fn reads_details_back_by_their_types() {
    let typed = |entry: Entry| Entry::decode(&entry.encode().unwrap()).unwrap().kind_details();
    assert_eq!(typed(Entry::start(writer_name(), SESSION, start())), Ok(KindDetails::Start(start())));
    let first = StartDetails { previous_session: None, ..start() };
    let entry = Entry::start(writer_name(), SESSION, first.clone());
    assert_eq!(typed(entry), Ok(KindDetails::Start(first)));
    assert_eq!(typed(Entry::stop(writer_name(), SESSION, 1)), Ok(KindDetails::Stop));
    let gap = GapDetails { first: 5, last: 5, reason: GapReason::NotRecorded };
    assert_eq!(typed(Entry::gap(writer_name(), SESSION, 6, gap)), Ok(KindDetails::Gap(gap)));
    assert_eq!(typed(decision()), Ok(KindDetails::Decision(DecisionDetails { status: 0 })));
}

#[test]
fn reads_anchors_back_and_refuses_what_no_statement_can_be() {
    let entry = Entry::anchor(writer_name(), SESSION, 11, anchored());
    let read = Entry::decode(&entry.encode().unwrap()).unwrap();
    assert_eq!(read.kind_details(), Ok(KindDetails::Anchor(anchored())));
    let with = |key, detail| {
        let details = Details::from(anchored()).with(key, detail);
        Entry { details, ..entry.clone() }.encode().map(drop)
    };
    let wrong = |key| Err(EntryError::Detail { kind: Kind::Anchor, key });
    for name in ["", "-a", "A", "a.b", "a_b", &"a".repeat(33)] {
        assert_eq!(with(1, Detail::Text(name.to_owned())), wrong(1), "{name:?}");
    }
    assert_eq!(with(1, Detail::Text("0-".repeat(16))), Ok(()));
    for kind in [0, AnchorKind::Witnesses.number(), 5] {
        assert_eq!(with(2, Detail::Uint(kind)), wrong(2), "kind {kind}");
    }
    assert_eq!(with(3, Detail::Uint(0)), wrong(3));
    assert_eq!(with(3, Detail::Uint(100_000_000)), wrong(3));
    assert_eq!(with(4, Detail::Uint(0)), wrong(4));
    assert_eq!(with(4, Detail::Uint(1 << 63)), wrong(4));
    assert_eq!(with(5, Detail::Bytes(vec![0; 31])), wrong(5));
    assert_eq!(with(6, Detail::Uint(0)), wrong(6));
}

#[test]
fn refuses_an_anchor_that_speaks_of_anything_else() {
    type Change = fn(&mut Entry);
    let change: [(Part, Change); 7] = [
        (Part::Decision, |e| e.decision = Some(DecisionId::from_bytes([3; 16]))),
        (Part::Links, |e| e.links = vec![LeafIndex::new(0)]),
        (Part::Commitment, |e| e.commitment = Some(COMMITMENT)),
        (Part::Sealed, |e| e.sealed = decision().sealed),
        (Part::Model, |e| e.model = decision().model),
        (Part::Policy, |e| e.policy = decision().policy),
        (Part::Mode, |e| e.mode = Some(Mode::Observe)),
    ];
    for (part, change) in change {
        let mut entry = Entry::anchor(writer_name(), SESSION, 11, anchored());
        change(&mut entry);
        assert_eq!(entry.encode(), Err(EntryError::Surplus { part, kind: Kind::Anchor }));
    }
}

fn access(links: Vec<LeafIndex>, stretch: Option<(u64, u64)>) -> Entry {
    let details = AccessDetails { purpose: AccessPurpose::History, stretch };
    let decision = stretch.is_none().then(|| DecisionId::from_bytes([3; 16]));
    Entry::access((writer_name(), SESSION, 12), decision, links, COMMITMENT, details)
}

#[test]
fn an_access_names_what_was_read_by_links_or_as_a_stretch_and_never_by_both_or_neither() {
    let (links, kind) = (vec![LeafIndex::new(3)], Kind::Access);
    for entry in [access(links.clone(), None), access(vec![], Some((0, 0))), access(vec![], Some((4, 900)))] {
        assert_eq!(Entry::decode(&entry.encode().unwrap()), Ok(entry));
    }
    assert_eq!(access(vec![], None).encode(), Err(EntryError::Missing { part: Part::Links, kind }));
    assert_eq!(
        access(links.clone(), Some((4, 9))).encode(),
        Err(EntryError::Surplus { part: Part::Links, kind })
    );
    let about_one = Entry { decision: decision().decision, ..access(vec![], Some((4, 9))) };
    assert_eq!(about_one.encode(), Err(EntryError::Surplus { part: Part::Decision, kind }));
    let nobody = Entry { commitment: None, ..access(links.clone(), None) };
    assert_eq!(nobody.encode(), Err(EntryError::Missing { part: Part::Commitment, kind }));
    for (part, entry) in [
        (Part::Mode, Entry { mode: Some(Mode::Strict), ..access(links.clone(), None) }),
        (Part::Model, Entry { model: decision().model, ..access(links.clone(), None) }),
        (Part::Policy, Entry { policy: decision().policy, ..access(links.clone(), None) }),
    ] {
        assert_eq!(entry.encode(), Err(EntryError::Surplus { part, kind }));
    }
    let with = |key, value| {
        let entry = access(vec![], Some((4, 9)));
        let details = entry.details.clone().with(key, Detail::Uint(value));
        Entry { details, ..entry }.encode().map(drop)
    };
    let wrong = |key| Err(EntryError::Detail { kind, key });
    assert_eq!((with(1, 6), with(2, 9)), (Ok(()), Ok(())));
    assert_eq!(
        [with(1, 0), with(1, 7), with(2, 10), with(3, 3), with(4, 0)],
        [wrong(1), wrong(1), wrong(3), wrong(3), wrong(4)]
    );
    let half = Details::new().with(1, Detail::Uint(1)).with(2, Detail::Uint(4));
    assert_eq!(Entry { details: half, ..access(vec![], Some((4, 9))) }.encode(), wrong(3).map(|()| vec![]));
}

#[test]
fn keeps_the_numbers_of_kinds_modes_and_reasons() {
    let numbers: Vec<u64> = Kind::ALL.into_iter().map(Kind::number).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 10, 11, 12, 13, 20, 21, 22, 23, 24, 25, 26, 30, 31, 32, 40, 50]);
    for number in 0..300 {
        assert_eq!(Kind::from_number(number).map(Kind::number), numbers.contains(&number).then_some(number));
        assert_eq!(Mode::from_number(number).map(Mode::number), (number < 3).then_some(number));
        let reason = GapReason::from_number(number).map(GapReason::number);
        assert_eq!(reason, (1..=4).contains(&number).then_some(number));
    }
}

#[test]
fn fits_the_largest_session_entry_and_a_full_decision_into_a_quarter_of_the_limit() {
    let mut entry = decision();
    entry.writer = WriterName::parse(&"w".repeat(WriterName::LEN_MAX)).unwrap();
    entry.sequence = u64::MAX;
    assert!(entry.encode().unwrap().len() <= ENTRY_BYTES_MAX / 4);
}

#[test]
fn refuses_to_encode_parts_that_do_not_fit_together() {
    let with = |change: fn(&mut Entry)| {
        let mut entry = decision();
        change(&mut entry);
        entry.encode().map(drop)
    };
    let kind = Kind::Decision;
    let missing = |part| Err(EntryError::Missing { part, kind });
    assert_eq!(with(|e| e.decision = None), missing(Part::Decision));
    assert_eq!(with(|e| e.commitment = None), missing(Part::Commitment));
    assert_eq!(
        with(|e| e.commitment = Some(Commitment { count: 0, ..COMMITMENT })),
        Err(EntryError::FieldCount { count: 0 })
    );
    assert_eq!(with(|e| e.links = vec![LeafIndex::new(2); 2]), Err(EntryError::LinkOrder));
    assert_eq!(with(|e| e.details = Details::new()), Err(EntryError::Detail { kind, key: 1 }));
    assert_eq!(
        with(|e| e.details = Details::new().with(1, Detail::Uint(1 << 32))),
        Err(EntryError::Detail { kind, key: 1 })
    );
    assert_eq!(
        with(|e| e.details = e.details.clone().with(2, Detail::Uint(1))),
        Err(EntryError::Detail { kind, key: 2 })
    );
    assert_eq!(
        with(|e| e.links = (0..33).map(LeafIndex::new).collect()),
        Err(EntryError::TooManyLinks { count: 33 })
    );
}

#[test]
fn refuses_session_entries_that_speak_of_anything_else() {
    type Change = fn(&mut Entry);
    let change: [(Part, Change); 6] = [
        (Part::Decision, |e| e.decision = Some(DecisionId::from_bytes([3; 16]))),
        (Part::Links, |e| e.links = vec![LeafIndex::new(0)]),
        (Part::Commitment, |e| e.commitment = Some(COMMITMENT)),
        (Part::Sealed, |e| e.sealed = decision().sealed),
        (Part::Model, |e| e.model = decision().model),
        (Part::Mode, |e| e.mode = Some(Mode::Observe)),
    ];
    for entry in one_of_each().into_iter().filter(|entry| entry.kind.is_session()) {
        for (part, change) in change {
            let mut entry = entry.clone();
            change(&mut entry);
            assert_eq!(entry.encode(), Err(EntryError::Surplus { part, kind: entry.kind }));
        }
    }
}

#[test]
fn refuses_a_start_that_is_not_the_first_and_a_gap_that_ends_before_it_begins() {
    let mut late = Entry::start(writer_name(), SESSION, start());
    late.sequence = 1;
    assert_eq!(late.encode(), Err(EntryError::StartSequence { sequence: 1 }));
    let backwards = GapDetails { first: 3, last: 2, reason: GapReason::TimeUp };
    let entry = Entry::gap(writer_name(), SESSION, 4, backwards);
    assert_eq!(entry.encode(), Err(EntryError::Detail { kind: Kind::Gap, key: 2 }));
}

#[test]
fn refuses_a_sealed_record_without_its_commitment_and_a_follow_up_without_its_link() {
    let mut entry = Entry::new(Kind::Review, writer_name(), SESSION, 4);
    assert_eq!(entry.encode(), Err(EntryError::Missing { part: Part::Links, kind: Kind::Review }));
    entry.links = vec![LeafIndex::new(7)];
    entry.sealed = decision().sealed;
    assert_eq!(entry.encode(), Err(EntryError::Missing { part: Part::Commitment, kind: Kind::Review }));
}

#[test]
fn refuses_more_bytes_than_an_entry_has_whether_written_or_read() {
    let mut entry = Entry::new(Kind::Key, writer_name(), SESSION, 4);
    entry.details = Details::new().with(1, Detail::Text("x".repeat(ENTRY_BYTES_MAX)));
    assert!(matches!(entry.encode(), Err(EntryError::TooLarge { .. })));
    let len = ENTRY_BYTES_MAX + 1;
    assert_eq!(Entry::decode(&vec![0; len]), Err(EntryError::TooLarge { len }));
}

#[test]
fn no_changed_byte_of_an_entry_reads_as_the_same_entry() {
    for entry in one_of_each() {
        let bytes = entry.encode().unwrap();
        for at in 0..bytes.len() {
            for byte in (0..=u8::MAX).filter(|byte| *byte != bytes[at]) {
                let mut changed = bytes.clone();
                changed[at] = byte;
                if let Ok(read) = Entry::decode(&changed) {
                    assert_ne!(read, entry, "byte {at} as {byte:02x}");
                    assert_eq!(read.encode(), Ok(changed), "byte {at} as {byte:02x}");
                }
            }
        }
    }
}

#[test]
fn refuses_every_entry_cut_short_or_with_a_byte_more() {
    for entry in one_of_each() {
        let mut bytes = entry.encode().unwrap();
        for len in 0..bytes.len() {
            assert!(Entry::decode(&bytes[..len]).is_err(), "{len} bytes");
        }
        bytes.push(0);
        assert!(matches!(Entry::decode(&bytes), Err(EntryError::Cbor(CborError::TrailingBytes { .. }))));
    }
}

#[test]
fn parses_identifiers_in_their_one_spelling() {
    let text = "0193b3c4-5d6e-7f80-8123-456789abcdef";
    let id = DecisionId::parse(text).unwrap();
    assert_eq!(id.to_string(), text);
    assert_eq!(format!("{id:?}"), format!("DecisionId({text})"));
    assert_eq!(SessionId::from_bytes(*id.as_bytes()).to_string(), text);
    for other in [
        "0193B3C4-5d6e-7f80-8123-456789abcdef",
        "0193b3c45d6e7f808123456789abcdef",
        "{0193b3c4-5d6e-7f80-8123-456789abcdef}",
        "0193b3c-45d6e-7f80-8123-456789abcdef",
        "0193b3c4-5d6e-7f80-8123-456789abcde",
        "0193b3c4-5d6e-7f80-8123-456789abcd-f",
        "",
    ] {
        assert_eq!(DecisionId::parse(other), Err(IdError::Uuid), "{other:?}");
    }
}

#[test]
fn parses_writer_names_of_their_alphabet_and_length() {
    for name in ["a", "gateway-1.eu_west", &"9".repeat(64)] {
        assert_eq!(WriterName::parse(name).unwrap().as_str(), name);
    }
    for name in ["", "A", "a b", "a/b", "ü", &"9".repeat(65)] {
        assert_eq!(WriterName::parse(name), Err(IdError::Writer), "{name:?}");
    }
}

#[test]
fn parses_registered_names_and_versions_and_no_free_text() {
    for name in ["a", "mortgage-2026.eu_west", &"9".repeat(64)] {
        assert_eq!(RegisteredName::parse(name).unwrap().as_str(), name);
    }
    for version in ["1", "v2.0.1-RC.1+build_7", &"Z".repeat(64)] {
        assert_eq!(RegisteredVersion::parse(version).unwrap().to_string(), version);
    }
    for text in ["", "John Smith", "a/b", "ü", "a\n", &"9".repeat(65)] {
        assert_eq!(RegisteredName::parse(text), Err(IdError::Name), "{text:?}");
        assert_eq!(RegisteredVersion::parse(text), Err(IdError::Version), "{text:?}");
    }
    assert_eq!(RegisteredName::parse("V1+a"), Err(IdError::Name));
}

#[test]
fn refuses_registrations_without_their_digest_or_about_anything_else() {
    let model = registered_model();
    let policy = registered_policy();
    for (entry, part) in [(&model, Part::Model), (&policy, Part::Policy)] {
        let without = Entry { model: None, policy: None, ..entry.clone() };
        assert_eq!(without.encode(), Err(EntryError::Missing { part, kind: entry.kind }));
        let about = Entry { links: vec![LeafIndex::new(0)], ..entry.clone() };
        assert_eq!(about.encode(), Err(EntryError::Surplus { part: Part::Links, kind: entry.kind }));
    }
    let both = Entry { model: decision().model, ..policy };
    assert_eq!(both.encode(), Err(EntryError::Surplus { part: Part::Model, kind: Kind::Policy }));
    let both = Entry { policy: decision().model, ..model };
    assert_eq!(both.encode(), Err(EntryError::Surplus { part: Part::Policy, kind: Kind::Model }));
}

#[test]
fn gives_the_entry_of_an_older_or_newer_format_its_own_error() {
    let mut writer = Writer::new();
    writer.map(1).uint(1).uint(2);
    assert_eq!(Entry::decode(writer.as_bytes()), Err(EntryError::Version { found: 2 }));
}

fn any_detail() -> impl Strategy<Value = Detail> {
    prop_oneof![
        any::<u64>().prop_map(Detail::Uint),
        proptest::collection::vec(any::<u8>(), 0..40).prop_map(Detail::Bytes),
        ".{0,10}".prop_map(Detail::Text),
        any::<bool>().prop_map(Detail::Bool),
    ]
}

fn any_hash() -> impl Strategy<Value = Hash> {
    any::<[u8; 32]>().prop_map(Hash::from_bytes)
}

/// Any entry of a kind whose details are free.
fn any_entry() -> impl Strategy<Value = Entry> {
    let parts = (
        proptest::sample::select(vec![Kind::Key, Kind::Outcome, Kind::Roster]),
        "[a-z0-9._-]{1,64}",
        any::<(u64, u64)>(),
        proptest::option::of(any::<[u8; 16]>()),
        proptest::collection::btree_set(any::<u64>(), 1..10),
        (proptest::option::of((any_hash(), 1_u32..4096)), proptest::option::of((any_hash(), any::<u64>()))),
        (proptest::option::of(any_hash()), proptest::option::of(any_hash())),
        proptest::option::of(0_u64..3),
        proptest::collection::btree_map(any::<u64>(), any_detail(), 0..6),
    );
    parts.prop_map(
        |(
            kind,
            name,
            (sequence, time),
            decision,
            links,
            (commitment, sealed),
            (model, policy),
            mode,
            details,
        )| {
            Entry {
                recorded_at: UnixMillis::new(time),
                decision: decision.map(DecisionId::from_bytes),
                links: links.into_iter().map(LeafIndex::new).collect(),
                commitment: commitment.map(|(root, count)| Commitment { root, count }),
                sealed: commitment.and(sealed).map(|(digest, length)| SealedRef { digest, length }),
                model,
                policy,
                mode: mode.and_then(Mode::from_number),
                details: details.into_iter().fold(Details::new(), |all, (key, detail)| all.with(key, detail)),
                ..Entry::new(kind, WriterName::parse(&name).unwrap(), SESSION, sequence)
            }
        },
    )
}

proptest! {
    #[test]
    fn reads_back_any_entry(entry in any_entry()) {
        let bytes = entry.encode().unwrap();
        prop_assert_eq!(Entry::decode(&bytes), Ok(entry));
    }

    #[test]
    fn never_panics_on_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = Entry::decode(&bytes);
    }

    #[test]
    fn writes_the_very_bytes_it_accepted(
        entry in any_entry(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..3),
    ) {
        let mut bytes = entry.encode().unwrap();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(read) = Entry::decode(&bytes) {
            prop_assert_eq!(read.encode(), Ok(bytes));
        }
    }
}
