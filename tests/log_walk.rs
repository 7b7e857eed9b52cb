//! Walking a whole log.
//!
//! Danger: an operator changes, drops, repeats or moves entries, or rewrites the hash files to match, and the verifier does
//! not say so. Expected: every change of any byte of any file fails a check at its place (INV-5), checkpoints of two
//! histories do not both pass (INV-1), and times that go back are found (INV-2). Sessions are in `log_sessions.rs`.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a test fails by panicking, reads the golden files and says what it skips"
)]

mod world;

use ledgerstone::approval::{Change, PublicRoster};
use ledgerstone::checkpoint::Checkpoint;
use ledgerstone::code::{CheckName, Code};
use ledgerstone::entry::{DETAIL_SIGNATURES, DETAIL_STATEMENT, Detail, Entry};
use ledgerstone::hash::Hash;
use ledgerstone::merkle::{LeafIndex, TreeSize};
use ledgerstone::tile::EntryBundle;
use ledgerstone::time::UnixMillis;
use ledgerstone::verify::log::Walk;
use ledgerstone::verify::{Check, Status, Verdict};
use proptest::prelude::*;
use world::{Log, Session, check, failed, only_failure, stamped, whole_session};

#[test]
fn whole_logs_of_many_sizes_verify() {
    for decisions in [0, 1, 2, 253, 254, 255, 256, 600] {
        let log = Log::of(&whole_session(1, decisions));
        let checks = log.walk();
        assert_eq!(Verdict::of(&checks), Verdict::Verified, "{decisions} decisions: {checks:#?}");
        let names: Vec<&str> = checks.iter().map(|check| check.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "log.bundles",
                "log.entries",
                "log.tiles",
                "log.root",
                "log.time",
                "log.links",
                "log.decisions",
                "log.sessions",
                "log.stops"
            ]
        );
    }
}

#[test]
fn an_empty_log_verifies_and_no_log_does_not() {
    let empty = Log::of(&[]);
    assert_eq!(Verdict::of(&empty.walk()), Verdict::Verified);
    assert_eq!(Walk::new(Vec::new()).next_bundle(), None);
    assert_eq!(Verdict::of(&Walk::new(Vec::new()).finish()), Verdict::Undecided);
}

#[test]
fn every_flipped_bit_of_every_small_file_is_found_at_its_place() {
    let log = Log::of(&whole_session(1, 3));
    assert_eq!(log.files.keys().collect::<Vec<_>>(), ["tile/0/000.p/5", "tile/entries/000.p/5"]);
    for (path, bytes) in &log.files {
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut changed = log.clone();
                changed.files.get_mut(path).unwrap()[at] ^= 1 << bit;
                let checks = changed.walk();
                let failed = failed(&checks);
                assert!(!failed.is_empty(), "{path} byte {at} bit {bit}");
                let at = at as u64;
                let covers =
                    |range: Option<(u64, u64)>| range.is_some_and(|(from, to)| from <= at && at < to);
                // A changed length is told as the whole bundle, or as the entry whose bytes begin after it.
                let near =
                    |range: Option<(u64, u64)>| covers(range.map(|(from, to)| (from.saturating_sub(2), to)));
                let places = failed.iter().flat_map(|check| &check.places);
                let named =
                    places.filter(|place| place.path.as_ref() == Some(path)).any(|place| near(place.bytes));
                let through_tile = failed
                    .iter()
                    .flat_map(|check| &check.places)
                    .any(|place| place.what.contains(path.as_str()));
                assert!(named || through_tile, "{path} byte {at} bit {bit}: {failed:#?}");
            }
        }
    }
}

#[test]
fn a_flipped_byte_anywhere_in_a_larger_log_is_found() {
    let log = Log::of(&whole_session(1, 600));
    assert_eq!(log.files.len(), 7, "{:?}", log.files.keys());
    for (path, bytes) in &log.files {
        for at in (0..bytes.len()).step_by(977).chain([bytes.len() - 1]) {
            let mut changed = log.clone();
            changed.files.get_mut(path).unwrap()[at] ^= 0x10;
            assert!(!failed(&changed.walk()).is_empty(), "{path} byte {at}");
        }
    }
}

#[test]
fn a_changed_entry_is_told_by_index_file_and_bytes() {
    let entries = stamped(&whole_session(1, 600));
    let log = Log::of_bytes(&entries);
    let mut changed = log.clone();
    let bundle = changed.files.get_mut("tile/entries/001").unwrap();
    let before: usize = entries[256..300].iter().map(|entry| 2 + entry.len()).sum();
    let last = before + 2 + entries[300].len() - 1;
    bundle[last] ^= 1;
    let checks = changed.walk();

    let root = check(&checks, CheckName::LogRoot);
    assert_eq!((root.status, root.code), (Status::Failed, Some(Code::Inconsistent)));
    let tiles = check(&checks, CheckName::LogTiles);
    let place = &tiles.places[0];
    assert_eq!(place.leaf_index, Some(LeafIndex::new(300)));
    assert_eq!((place.path.as_deref(), place.bytes), (Some("tile/0/001"), Some((44 * 32, 45 * 32))));
    let range = format!("bytes {} to {} of tile/entries/001", before + 2, last + 1);
    assert!(place.what.contains(&range), "{}", place.what);
    assert_eq!(tiles.places[1].path.as_deref(), Some("tile/1/000.p/2"));
}

#[test]
fn a_changed_tile_leaves_the_root_intact_and_says_which_hash() {
    let mut log = Log::of(&whole_session(1, 600));
    log.files.get_mut("tile/1/000.p/2").unwrap()[33] ^= 1;
    let checks = log.walk();
    let failure = only_failure(&checks);
    assert_eq!(failure.name, CheckName::LogTiles);
    assert_eq!(failure.places[0].bytes, Some((32, 64)));
}

#[test]
fn missing_and_cut_files_are_named() {
    let log = Log::of(&whole_session(1, 600));
    for path in log.files.keys() {
        let mut without = log.clone();
        without.files.remove(path);
        let mut cut = log.clone();
        cut.files.get_mut(path).unwrap().pop();
        let mut empty = log.clone();
        empty.files.get_mut(path).unwrap().clear();
        let mut longer = log.clone();
        longer.files.get_mut(path).unwrap().push(0);
        for (what, changed) in [("without", without), ("cut", cut), ("empty", empty), ("longer", longer)] {
            let checks = changed.walk();
            let named = failed(&checks)
                .iter()
                .any(|check| check.places.iter().any(|place| place.path.as_ref() == Some(path)));
            assert!(named, "{path} {what}: {checks:#?}");
        }
    }
}

#[test]
fn what_holds_among_some_entries_does_not_pass_for_all() {
    let mut log = Log::of(&whole_session(1, 600));
    log.files.remove("tile/entries/001");
    let checks = log.walk();
    assert_eq!(check(&checks, CheckName::LogBundles).status, Status::Failed);
    assert_eq!(check(&checks, CheckName::LogRoot).status, Status::NotChecked);
    assert_eq!(check(&checks, CheckName::LogTiles).status, Status::NotChecked);
    for name in [CheckName::LogEntries, CheckName::LogTime, CheckName::LogDecisions, CheckName::LogStops] {
        let check = check(&checks, name);
        assert_eq!(check.status, Status::NotChecked, "{check:?}");
        assert!(check.detail.starts_with("Only 346 of 602 entries could be read."), "{}", check.detail);
    }
}

/// The files of a log made from `entries`, under the checkpoint that was signed for `signed`.
fn rewritten(signed: &[Vec<u8>], entries: &[Vec<u8>]) -> Vec<Check> {
    let checkpoint = Log::of_bytes(signed).checkpoint;
    Log { checkpoint, ..Log::of_bytes(entries) }.walk()
}

#[test]
fn a_rewrite_with_matching_tiles_is_caught_by_the_signed_root() {
    let entries = stamped(&whole_session(1, 300));
    let mut swapped = entries.clone();
    swapped.swap(100, 101);
    let mut repeated = entries.clone();
    repeated[100] = entries[99].clone();
    let mut dropped = entries.clone();
    dropped.remove(100);
    let mut inserted = entries.clone();
    inserted.insert(100, entries[100].clone());
    for (what, changed) in [("swapped", swapped), ("repeated", repeated), ("inserted", inserted)] {
        let checks = rewritten(&entries, &changed[..entries.len()]);
        assert_eq!(check(&checks, CheckName::LogRoot).status, Status::Failed, "{what}");
        assert_eq!(check(&checks, CheckName::LogTiles).status, Status::Passed, "{what}");
    }
    let checks = rewritten(&entries, &dropped);
    assert_eq!(check(&checks, CheckName::LogBundles).status, Status::Failed, "a bundle that is too short");
}

#[test]
fn earlier_checkpoints_are_held_against_the_same_entries() {
    let entries = stamped(&whole_session(1, 600));
    let log = Log::of_bytes(&entries);
    let sizes = [0, 1, 255, 256, 257, 512, 601];
    let mut checkpoints: Vec<Checkpoint> =
        sizes.iter().map(|size| Log::of_bytes(&entries[..*size]).checkpoint).collect();
    checkpoints.insert(2, log.checkpoint.clone());
    let checks = log.walk_with(checkpoints.clone());
    assert_eq!(check(&checks, CheckName::LogRoot).status, Status::Passed);
    assert!(check(&checks, CheckName::LogRoot).detail.contains("7 earlier"), "{checks:#?}");

    for at in 1..checkpoints.len() {
        let mut forked = checkpoints.clone();
        forked[at].root = Hash::of(b"another history");
        let checks = log.walk_with(forked);
        let root = check(&checks, CheckName::LogRoot);
        assert_eq!((root.status, root.code), (Status::Failed, Some(Code::Inconsistent)), "{at}");
    }
    let mut two_roots = vec![log.checkpoint.clone(), log.checkpoint.clone()];
    two_roots[1].root = Hash::of(b"split view");
    assert_eq!(check(&log.walk_with(two_roots), CheckName::LogRoot).status, Status::Failed);
}

#[test]
fn a_full_bundle_may_stand_in_for_a_partial_one() {
    let entries = stamped(&whole_session(1, 300));
    let log = Log::of_bytes(&entries[..100]);
    let mut walk = Walk::new(vec![log.checkpoint.clone()]);
    walk.bundle(&EntryBundle::encode(&entries[..256]).unwrap());
    let checks = walk.finish();
    assert_eq!(check(&checks, CheckName::LogRoot).status, Status::Passed, "{checks:#?}");
}

#[test]
fn a_walk_that_was_ended_early_does_not_pass() {
    let log = Log::of(&whole_session(1, 600));
    let mut walk = Walk::new(vec![log.checkpoint.clone()]);
    walk.bundle(&log.files["tile/entries/000"]);
    assert_eq!((walk.position(), walk.size()), (TreeSize::new(256), TreeSize::new(602)));
    let checks = walk.finish();
    assert_eq!(check(&checks, CheckName::LogBundles).status, Status::NotChecked);
    assert_eq!(check(&checks, CheckName::LogRoot).status, Status::NotChecked);
    assert_eq!(Verdict::of(&checks), Verdict::Undecided, "{checks:#?}");
}

#[test]
fn bytes_that_are_no_entry_are_told_by_their_place() {
    let mut entries = stamped(&whole_session(1, 3));
    entries[2] = b"not an entry".to_vec();
    let checks = Log::of_bytes(&entries).walk();
    let failure = check(&checks, CheckName::LogEntries);
    let start = (2 + entries[0].len() + 2 + entries[1].len() + 2) as u64;
    assert_eq!(failure.places[0].leaf_index, Some(LeafIndex::new(2)));
    assert_eq!(failure.places[0].bytes, Some((start, start + 12)));
    assert_eq!(
        check(&checks, CheckName::LogSessions).status,
        Status::Failed,
        "its sequence number is missing"
    );
}

#[test]
fn a_time_that_goes_back_is_found() {
    let stamp =
        |entry: &Entry, time| Entry { recorded_at: UnixMillis::new(time), ..entry.clone() }.encode().unwrap();
    let entries = whole_session(1, 3);
    let log = |times: [u64; 5]| {
        let entries: Vec<_> = entries.iter().zip(times).map(|(entry, time)| stamp(entry, time)).collect();
        Log::of_bytes(&entries).walk()
    };
    assert_eq!(Verdict::of(&log([5, 5, 6, 6, 6])), Verdict::Verified, "equal times are no step back");
    let checks = log([5, 6, 5, 5, 7]);
    let failure = only_failure(&checks);
    assert_eq!((failure.name, failure.places.len()), (CheckName::LogTime, 2));
    assert_eq!(failure.places[0].leaf_index, Some(LeafIndex::new(2)));
}

#[test]
fn a_decision_recorded_twice_is_found_wherever_it_stands() {
    let mut entries = whole_session(1, 600);
    entries[500].decision = entries[3].decision;
    let checks = Log::of(&entries).walk();
    let failure = only_failure(&checks);
    assert_eq!(failure.name, CheckName::LogDecisions);
    assert!(failure.detail.contains("entry 3 and again by entry 500"), "{}", failure.detail);
}

#[test]
fn a_link_to_a_later_entry_is_found() {
    let mut session = Session::new("lending-1", 1);
    let mut entries = vec![session.start(None), session.decision()];
    let mut outcome = session.decision();
    outcome.kind = ledgerstone::entry::Kind::Outcome;
    outcome.model = None;
    outcome.mode = None;
    outcome.details = ledgerstone::entry::Details::new();
    outcome.links = vec![LeafIndex::new(1)];
    entries.push(outcome);
    entries.push(session.stop());
    assert_eq!(Verdict::of(&Log::of(&entries).walk()), Verdict::Verified, "{:#?}", Log::of(&entries).walk());
    entries[2].links = vec![LeafIndex::new(2)];
    let checks = Log::of(&entries).walk();
    assert_eq!(only_failure(&checks).name, CheckName::LogLinks);
}

#[test]
fn a_registration_with_half_an_approval_fails_and_leaves_no_log_whose_approvals_pass() {
    let mut session = Session::new("lending-1", 1);
    let start = session.start(None);
    let mut make = |change: Change| {
        change.entry((start.writer.clone(), start.session, session.next()), &PublicRoster::empty())
    };
    let none = PublicRoster::empty().digest();
    let roster = make(Change::Roster { from: none, to: none });
    let policy = make(Change::Policy { kind: "plan".parse().unwrap(), digest: Hash::of(b"plan") });
    let entries = [start, roster, policy, session.stop()];
    let checks = Log::of(&entries).walk();
    assert_eq!(check(&checks, CheckName::LogApprovals).status, Status::Passed, "{checks:#?}");
    // No encoder writes half an approval: of a whole one, a half gets a number that says nothing.
    let mut whole = entries;
    let details = whole[2].details.clone().with(DETAIL_STATEMENT, Detail::Text("statement".to_owned()));
    whole[2].details = details.with(DETAIL_SIGNATURES, Detail::Bytes(vec![0; 65]));
    for (missing, number) in [(DETAIL_STATEMENT, 29), (DETAIL_SIGNATURES, 32)] {
        let mut bytes = stamped(&whole);
        let key = [0x18, u8::try_from(missing).unwrap()];
        let at = bytes[2].windows(2).position(|pair| pair == key).unwrap();
        bytes[2][at + 1] = number;
        let checks = Log::of_bytes(&bytes).walk();
        let entries = check(&checks, CheckName::LogEntries);
        assert_eq!((entries.status, entries.places[0].leaf_index), (Status::Failed, Some(LeafIndex::new(2))));
        assert_eq!(check(&checks, CheckName::LogApprovals).status, Status::NotChecked);
    }
}

#[test]
fn many_failures_are_counted_and_the_first_are_placed() {
    let mut entries = whole_session(1, 60);
    for entry in &mut entries[1..=40] {
        entry.decision = Some(world::decision_id());
    }
    let checks = Log::of(&entries).walk();
    let failure = only_failure(&checks);
    assert_eq!(failure.places.len(), 8);
    assert!(failure.detail.contains("In all, 39 places"), "{}", failure.detail);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bundle_makes_the_walk_panic(
        bundles in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..4),
        size in 0_u64..1_000,
    ) {
        let checkpoint = world::keys().checkpoint(TreeSize::new(size), Hash::of(b"root"));
        let mut walk = Walk::new(vec![checkpoint]);
        for bundle in bundles {
            for tile in walk.bundle(&bundle) {
                walk.tile(&tile, Some(&bundle));
            }
        }
        prop_assert_ne!(Verdict::of(&walk.finish()), Verdict::Verified);
    }

    #[test]
    fn any_changed_byte_of_a_log_is_found(at in any::<prop::sample::Index>(), to in 1_u8..) {
        let log = Log::of(&whole_session(1, 300));
        let total: usize = log.files.values().map(Vec::len).sum();
        let mut at = at.index(total);
        let mut changed = log.clone();
        for bytes in changed.files.values_mut() {
            if at < bytes.len() {
                bytes[at] ^= to;
                break;
            }
            at -= bytes.len();
        }
        prop_assert!(!failed(&changed.walk()).is_empty());
    }
}
