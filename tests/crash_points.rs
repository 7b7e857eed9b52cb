//! One short life of a log, ended at every single operation in every way, and recovery ended once more.
//!
//! Danger: one place in the protocol where a crash or a failed operation loses an answered entry, splits the log, or
//! leaves a store that does not open. Expected: after every combination the log opens, holds everything it answered,
//! is what an uninterrupted run would have left, and goes on.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros,
    unreachable_pub,
    missing_docs,
    reason = "tests fail by panicking, and may read the environment, start programs and print"
)]

#[allow(dead_code, reason = "two test binaries share the harness and each uses a part of it")]
#[path = "simulation/harness.rs"]
mod harness;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use harness::World;
use ledgerstone::log::{Bounds, Event};
use ledgerstone::store::memory::Fate;

const FATES: [Fate; 7] = [
    Fate::Full,
    Fate::NotStored,
    Fate::StoredButFailed,
    Fate::Torn,
    Fate::PowerLostBefore,
    Fate::PowerLostAfter,
    Fate::PowerLostAmid,
];

/// The operation number `at` has the fate `fate`, all others succeed; says how many there were.
fn fail_at(world: &World, at: usize, fate: Fate) -> Arc<AtomicUsize> {
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    world.set_fates(
        move |_, _| {
            if counter.fetch_add(1, Ordering::Relaxed) == at { fate } else { Fate::Succeed }
        },
    );
    count
}

fn world(seed: u64) -> World {
    let bounds = Bounds { publish_interval_ms: 0, ..Bounds::default() };
    World::new(seed, bounds, 1_500)
}

/// Three batches, the second into a new segment; publication and recycling in between; then a stop.
fn short_life(world: &mut World) {
    if world.start().is_err() {
        return;
    }
    world.run_dry();
    for entries in [2, 254, 3] {
        for entry in 0..entries {
            world.append(if entry < 2 { 400 } else { 0 });
        }
        world.event(Event::Cut);
        world.run_dry();
    }
    world.event(Event::Stop);
    world.run_dry();
}

/// Power may be gone or the process only; either way the next start finds what was left.
fn end(world: &mut World) {
    if world.disk.is_powered() {
        world.kill();
    } else {
        world.lose_power();
    }
}

/// Without faults the log recovers, keeps its promises, and takes one more entry.
fn check_after(world: &mut World) {
    end(world);
    world.set_fates(|_, _| Fate::Succeed);
    world.start().expect("the log recovers");
    world.run_dry();
    world.check_public();
    world.check_all_public();
    let answered = world.oracle.answered.len();
    world.append(10);
    world.event(Event::Cut);
    world.run_dry();
    assert_eq!(world.oracle.answered.len(), answered + 1, "a recovered log goes on");
    world.lose_power();
    world.start().expect("the log opens again");
    world.run_dry();
    world.check_public();
    world.check_all_public();
}

#[test]
fn survives_any_one_failure_anywhere() {
    let mut world_without_faults = world(0);
    let operations = fail_at(&world_without_faults, usize::MAX, Fate::Succeed);
    short_life(&mut world_without_faults);
    check_after(&mut world_without_faults);
    let operations = operations.load(Ordering::Relaxed);
    assert!(operations > 40, "the life is too short: {operations} operations");
    for at in 0..operations {
        for fate in FATES {
            let mut world = world(at as u64);
            fail_at(&world, at, fate);
            short_life(&mut world);
            check_after(&mut world);
        }
    }
}

#[test]
fn survives_any_failure_during_the_recovery_from_any_crash() {
    let mut points = 0;
    for at in (0..).step_by(1) {
        let mut reached = false;
        for second in 0.. {
            let fate = FATES[(at + second) % FATES.len()];
            let mut world = world((at * 1000 + second) as u64);
            let first_count = fail_at(&world, at, Fate::PowerLostAmid);
            short_life(&mut world);
            reached = first_count.load(Ordering::Relaxed) > at;
            end(&mut world);
            let count = fail_at(&world, second, fate);
            if world.start().is_ok() {
                world.run_dry();
            }
            let is_past = count.load(Ordering::Relaxed) <= second;
            check_after(&mut world);
            points += 1;
            if is_past {
                break;
            }
        }
        if !reached {
            break;
        }
    }
    assert!(points > 500, "only {points} combinations were met");
    println!("{points} combinations of a crash and a failure in the recovery from it");
}
