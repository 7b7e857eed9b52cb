//! The sequencer alone, with outcomes made up.

use std::io;

use super::*;
use crate::entry::{Entry, HeartbeatDetails, SealedRef, SessionId, WriterName};
use crate::store::{Fault, Operation};

const START: UnixMillis = UnixMillis::new(1_000_000);

fn sequencer(bounds: Bounds) -> Sequencer<u32> {
    let head = Head { range: CompactRange::empty(), time: START };
    Sequencer::new(KeyName::new("example.com/log").unwrap(), bounds, head, TreeSize::EMPTY)
}

fn entry(sequence: u64) -> Entry {
    let details = HeartbeatDetails { in_flight: 0, lowest_in_flight: sequence };
    let session = SessionId::from_bytes([1; 16]);
    Entry::heartbeat(WriterName::parse("test").unwrap(), session, sequence, details)
}

fn append(log: &mut Sequencer<u32>, ticket: u32) -> Vec<Effect<u32>> {
    let draft = Draft::new(entry(ticket.into()), None).unwrap();
    log.handle(START, Event::Append { ticket, draft })
}

fn fault() -> Fault {
    Fault::io(Operation::Write, "journal", io::ErrorKind::StorageFull.into())
}

/// The names of effects, with the tickets they concern.
fn names(effects: &[Effect<u32>]) -> Vec<String> {
    effects
        .iter()
        .map(|effect| match effect {
            Effect::Stage(batch) => format!("stage {}", batch.entries().len()),
            Effect::Commit => "commit".to_owned(),
            Effect::Sign(checkpoint) => format!("sign {}", checkpoint.size),
            Effect::Answer(answered) => format!("answer {:?}", answered.tickets),
            Effect::Refuse { ticket, refusal } => format!("refuse {ticket} {}", refusal.code()),
            Effect::Apply(batches) => format!("apply {}", batches.len()),
            Effect::Publish { checkpoint, .. } => format!("publish {}", checkpoint.size),
            Effect::Recycle => "recycle".to_owned(),
            Effect::Settle => "settle".to_owned(),
            Effect::Halt(halt) => format!("halt {}", halt.code()),
            Effect::Stopped => "stopped".to_owned(),
        })
        .collect()
}

fn handle(log: &mut Sequencer<u32>, event: Event<u32>) -> Vec<String> {
    names(&log.handle(START, event))
}

/// Brings what waits to its answer.
fn commit(log: &mut Sequencer<u32>) -> Vec<String> {
    let mut all = handle(log, Event::Cut);
    all.extend(handle(log, Event::Staged(Outcome::Stored)));
    all.extend(handle(log, Event::Committed(Outcome::Stored)));
    all.extend(handle(log, Event::Signed("note".into())));
    all
}

#[test]
fn goes_from_stage_to_publication_in_order() {
    let mut log = sequencer(Bounds::default());
    assert_eq!(append(&mut log, 1).len(), 0);
    append(&mut log, 2);
    assert_eq!(handle(&mut log, Event::Cut), ["stage 2"]);
    assert_eq!(handle(&mut log, Event::Staged(Outcome::Stored)), ["commit"]);
    assert_eq!(handle(&mut log, Event::Committed(Outcome::Stored)), ["sign 2"]);
    assert_eq!(handle(&mut log, Event::Signed("note".into())), ["answer [1, 2]", "apply 1"]);
    assert_eq!(handle(&mut log, Event::Applied(Outcome::Stored)), ["publish 2"]);
    assert_eq!(handle(&mut log, Event::Applied(Outcome::Stored)), ["recycle"]);
    assert!(handle(&mut log, Event::Applied(Outcome::Stored)).is_empty());
    assert_eq!(log.published(), TreeSize::new(2));
    assert!(log.is_quiet());
}

#[test]
fn keeps_one_batch_in_flight_and_gathers_the_next_meanwhile() {
    let mut log = sequencer(Bounds::default());
    append(&mut log, 1);
    handle(&mut log, Event::Cut);
    append(&mut log, 2);
    assert!(!log.is_ready());
    assert!(handle(&mut log, Event::Cut).is_empty());
    handle(&mut log, Event::Staged(Outcome::Stored));
    handle(&mut log, Event::Committed(Outcome::Stored));
    handle(&mut log, Event::Signed("note".into()));
    assert_eq!(commit(&mut log), ["stage 1", "commit", "sign 2", "answer [2]"]);
}

/// A batch of one entry, up to where its checkpoint is out to be signed.
fn commit_unsigned(log: &mut Sequencer<u32>, ticket: u32) {
    append(log, ticket);
    handle(log, Event::Cut);
    handle(log, Event::Staged(Outcome::Stored));
    handle(log, Event::Committed(Outcome::Stored));
}

#[test]
fn commits_the_next_batch_while_the_one_before_is_signed_and_answers_in_order() {
    let mut log = sequencer(Bounds::default());
    commit_unsigned(&mut log, 1);
    commit_unsigned(&mut log, 2);
    assert_eq!((log.signing(), log.head().size()), (2, TreeSize::new(2)));
    append(&mut log, 3);
    assert!(handle(&mut log, Event::Cut).is_empty(), "INV-7: what waits to be signed is bounded");
    assert_eq!(handle(&mut log, Event::Signed("first".into())), ["answer [1]", "apply 1"]);
    assert_eq!(handle(&mut log, Event::Cut), ["stage 1"]);
    assert_eq!(handle(&mut log, Event::Signed("second".into())), ["answer [2]"]);
}

#[test]
fn says_unknown_to_everybody_whose_batch_was_not_answered_when_it_halts() {
    let mut log = sequencer(Bounds::default());
    commit_unsigned(&mut log, 1);
    append(&mut log, 2);
    handle(&mut log, Event::Cut);
    let effects = log.handle(START, Event::Staged(Outcome::Unknown(fault())));
    for ticket in [1, 2] {
        let is_unknown = |effect: &Effect<u32>| matches!(effect, Effect::Refuse { ticket: of, refusal: Refusal::Unknown(_) } if *of == ticket);
        assert!(effects.iter().any(is_unknown), "{ticket} is not told");
    }
    assert!(handle(&mut log, Event::Signed("late".into())).is_empty(), "nothing is answered after a halt");
}

#[test]
fn refuses_a_batch_that_was_not_stored_and_goes_on() {
    for is_staged in [false, true] {
        let mut log = sequencer(Bounds::default());
        append(&mut log, 1);
        handle(&mut log, Event::Cut);
        append(&mut log, 2);
        let event = if is_staged {
            handle(&mut log, Event::Staged(Outcome::Stored));
            Event::Committed(Outcome::NotStored(fault()))
        } else {
            Event::Staged(Outcome::NotStored(fault()))
        };
        assert_eq!(handle(&mut log, event), ["refuse 1 unavailable"]);
        assert_eq!(log.head().size(), TreeSize::EMPTY);
        // The index that was not used goes to the next entry (INV-5).
        assert_eq!(commit(&mut log), ["stage 1", "commit", "sign 1", "answer [2]", "apply 1"]);
    }
}

#[test]
fn halts_for_good_when_it_cannot_know_whether_a_batch_is_stored() {
    for is_staged in [false, true] {
        let mut log = sequencer(Bounds::default());
        append(&mut log, 1);
        handle(&mut log, Event::Cut);
        append(&mut log, 2);
        let event = if is_staged {
            handle(&mut log, Event::Staged(Outcome::Stored));
            Event::Committed(Outcome::Unknown(fault()))
        } else {
            Event::Staged(Outcome::Unknown(fault()))
        };
        let effects = log.handle(START, event);
        assert!(matches!(&effects[0], Effect::Refuse { ticket: 1, refusal: Refusal::Unknown(_) }));
        assert!(matches!(&effects[1], Effect::Refuse { ticket: 2, refusal: Refusal::Halted(_) }));
        assert!(matches!(&effects[2], Effect::Halt(Halt::Commit(_))));
        assert!(matches!(
            &append(&mut log, 3)[..],
            [Effect::Refuse { ticket: 3, refusal: Refusal::Halted(_) }]
        ));
        assert!(handle(&mut log, Event::Cut).is_empty());
        assert!(handle(&mut log, Event::Applied(Outcome::Stored)).is_empty());
    }
}

#[test]
fn halts_when_a_committed_batch_gets_no_signature() {
    let mut log = sequencer(Bounds::default());
    append(&mut log, 1);
    handle(&mut log, Event::Cut);
    handle(&mut log, Event::Staged(Outcome::Stored));
    handle(&mut log, Event::Committed(Outcome::Stored));
    let effects = log.handle(START, Event::SigningFailed);
    assert!(matches!(&effects[0], Effect::Refuse { ticket: 1, refusal: Refusal::Unknown(Halt::Signing) }));
    assert!(matches!(&effects[1], Effect::Halt(Halt::Signing)));
}

#[test]
fn bounds_what_waits_by_number_and_by_bytes() {
    let mut log = sequencer(Bounds { pending_entries_max: 2, ..Bounds::default() });
    append(&mut log, 1);
    append(&mut log, 2);
    assert_eq!(names(&append(&mut log, 3)), ["refuse 3 limit"]);
    let bytes = Draft::new(entry(1), None).unwrap().byte_count();
    let mut log = sequencer(Bounds { pending_bytes_max: 2 * bytes, ..Bounds::default() });
    append(&mut log, 1);
    append(&mut log, 2);
    assert_eq!(names(&append(&mut log, 3)), ["refuse 3 limit"]);
    // INV-7: what is cut no longer waits.
    handle(&mut log, Event::Cut);
    assert!(append(&mut log, 4).is_empty());
}

#[test]
fn bounds_a_batch_by_number_and_by_bytes_but_takes_one_entry_at_least() {
    let mut log = sequencer(Bounds { batch_entries_max: 2, ..Bounds::default() });
    (1..=3).for_each(|ticket| drop(append(&mut log, ticket)));
    assert_eq!(handle(&mut log, Event::Cut), ["stage 2"]);
    let mut log = sequencer(Bounds { batch_bytes_max: 1, ..Bounds::default() });
    (1..=3).for_each(|ticket| drop(append(&mut log, ticket)));
    assert_eq!(handle(&mut log, Event::Cut), ["stage 1"]);
}

#[test]
fn cuts_no_further_batch_while_too_much_is_not_applied() {
    let mut log = sequencer(Bounds { unapplied_bytes_max: 1, ..Bounds::default() });
    append(&mut log, 1);
    commit(&mut log);
    append(&mut log, 2);
    assert!(handle(&mut log, Event::Cut).is_empty());
    handle(&mut log, Event::Applied(Outcome::Stored));
    assert_eq!(handle(&mut log, Event::Cut), ["stage 1"]);
}

#[test]
fn repeats_the_last_time_when_the_clock_is_set_back_a_little() {
    let mut log = sequencer(Bounds::default());
    append(&mut log, 1);
    let back = UnixMillis::new(START.get() - Bounds::default().clock_step_back_ms_max);
    let effects = log.handle(back, Event::Cut);
    let [Effect::Stage(batch)] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(batch.time(), START);
    assert_eq!(Entry::decode(&batch.entries()[0].bytes).unwrap().recorded_at, START);
}

#[test]
fn refuses_while_the_clock_is_set_back_too_far_and_goes_on_once_it_has_caught_up() {
    let mut log = sequencer(Bounds::default());
    append(&mut log, 1);
    let back = UnixMillis::new(START.get() - Bounds::default().clock_step_back_ms_max - 1);
    let effects = log.handle(back, Event::Cut);
    let [Effect::Refuse { ticket: 1, refusal }] = &effects[..] else { panic!("{effects:?}") };
    assert!(matches!(refusal, Refusal::ClockBehind { last, now } if (*last, *now) == (START, back)));
    append(&mut log, 2);
    assert_eq!(commit(&mut log), ["stage 1", "commit", "sign 1", "answer [2]", "apply 1"]);
}

#[test]
fn tries_again_later_what_the_storage_refused_to_apply() {
    let mut log = sequencer(Bounds::default());
    append(&mut log, 1);
    commit(&mut log);
    assert!(handle(&mut log, Event::Applied(Outcome::NotStored(fault()))).is_empty());
    assert!(handle(&mut log, Event::Tick).is_empty(), "not at once");
    append(&mut log, 2);
    commit(&mut log);
    let later = START.plus_millis(limits::APPLY_RETRY_MS);
    assert_eq!(names(&log.handle(later, Event::Tick)), ["apply 2"]);
    assert_eq!(names(&log.handle(later, Event::Applied(Outcome::Stored))), ["publish 2"]);
}

#[test]
fn publishes_no_sooner_than_its_interval_after_the_last_time() {
    let mut log = sequencer(Bounds { publish_interval_ms: 100, ..Bounds::default() });
    append(&mut log, 1);
    commit(&mut log);
    for _ in 0..3 {
        handle(&mut log, Event::Applied(Outcome::Stored));
    }
    append(&mut log, 2);
    assert_eq!(commit(&mut log).last().unwrap(), "apply 1");
    assert!(handle(&mut log, Event::Applied(Outcome::Stored)).is_empty());
    assert!(log.handle(START.plus_millis(99), Event::Tick).is_empty());
    assert_eq!(names(&log.handle(START.plus_millis(100), Event::Tick)), ["publish 2"]);
}

#[test]
fn stops_after_everything_is_answered_public_and_durable() {
    let mut log = sequencer(Bounds::default());
    append(&mut log, 1);
    assert!(handle(&mut log, Event::Stop).is_empty());
    assert_eq!(names(&append(&mut log, 2)), ["refuse 2 unavailable"]);
    assert_eq!(commit(&mut log), ["stage 1", "commit", "sign 1", "answer [1]", "apply 1"]);
    assert_eq!(handle(&mut log, Event::Applied(Outcome::Stored)), ["publish 1"]);
    assert_eq!(handle(&mut log, Event::Applied(Outcome::Stored)), ["recycle"]);
    assert_eq!(handle(&mut log, Event::Applied(Outcome::Stored)), ["settle"]);
    assert_eq!(handle(&mut log, Event::Applied(Outcome::Stored)), ["stopped"]);
}

#[test]
fn halts_rather_than_stops_when_the_storage_takes_nothing_more() {
    let mut log = sequencer(Bounds::default());
    append(&mut log, 1);
    commit(&mut log);
    handle(&mut log, Event::Stop);
    assert_eq!(handle(&mut log, Event::Applied(Outcome::NotStored(fault()))), ["halt unavailable"]);
}

#[test]
fn signs_and_publishes_first_what_recovery_reached() {
    let mut range = CompactRange::empty();
    range.push(Hash::of(b"leaf"));
    let head = Head { range, time: START };
    let name = KeyName::new("example.com/log").unwrap();
    let mut log = Sequencer::<u32>::new(name, Bounds::default(), head, TreeSize::EMPTY);
    assert_eq!(names(&log.start(START)), ["sign 1", "recycle"]);
    assert!(handle(&mut log, Event::Applied(Outcome::Stored)).is_empty());
    assert_eq!(handle(&mut log, Event::Signed("note".into())), ["publish 1"]);
}

#[test]
#[should_panic(expected = "INV-3")]
fn panics_rather_than_go_on_from_less_than_is_public() {
    let head = Head { range: CompactRange::empty(), time: START };
    let name = KeyName::new("example.com/log").unwrap();
    drop(Sequencer::<u32>::new(name, Bounds::default(), head, TreeSize::new(1)));
}

#[test]
#[should_panic(expected = "INV-3")]
fn panics_rather_than_answer_with_a_signature_nobody_asked_for() {
    let mut log = sequencer(Bounds::default());
    append(&mut log, 1);
    drop(handle(&mut log, Event::Signed("note".into())));
}

#[test]
fn a_draft_names_the_sealed_record_that_comes_with_it() {
    let sealed = b"sealed".to_vec();
    let decision = Entry {
        sealed: Some(SealedRef::of(b"another")),
        ..Entry::decision(
            WriterName::parse("test").unwrap(),
            SessionId::from_bytes([1; 16]),
            1,
            crate::entry::DecisionId::from_bytes([3; 16]),
            crate::record::Commitment { root: Hash::of(b"root"), count: 1 },
            crate::entry::DecisionDetails { status: 0 },
        )
    };
    let stamp = |sealed| Draft::new(decision.clone(), sealed).unwrap().stamp(START).unwrap();
    let named = |bytes: &[u8]| Entry::decode(bytes).unwrap().sealed;
    assert_eq!(named(&stamp(Some(sealed.clone())).bytes), Some(SealedRef::of(&sealed)));
    assert_eq!(named(&stamp(None).bytes), None);
    let empty = Draft::new(decision.clone(), Some(Vec::new())).unwrap_err();
    assert_eq!(empty, DraftError::SealedLength { length: 0 });
    let heartbeat = Draft::new(entry(1), Some(sealed)).unwrap_err();
    assert!(matches!(heartbeat, DraftError::Entry(_)), "a heartbeat has no sealed record");
}
