//! A log lives through everything that can happen to it, many times over, in a world that is a number.
//!
//! Danger: an answer leaves whose entry a crash takes back; a second root is signed for a size; recovery reaches another
//! state than an uninterrupted run, or none. Expected: in every world, after every step, all that was promised holds
//! (INV-1 to INV-7, INV-9; see `simulation/harness.rs` for what is checked where).
//!
//! `SIM_SEED=n` runs world `n` alone and prints its trace; `SIM_SEEDS=n` runs that many worlds.

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

use harness::{Random, World};
use ledgerstone::log::{Bounds, Event};
use ledgerstone::store::Operation;
use ledgerstone::store::memory::Fate;
use ledgerstone::time::UnixMillis;

const WORLDS: u64 = 300;
const STEPS: u64 = 220;

#[test]
fn every_world_keeps_what_the_log_promised() {
    if let Some(seed) = number("SIM_SEED") {
        let trace = live(seed);
        println!("{}", trace.join("\n"));
        return;
    }
    let worlds = number("SIM_SEEDS").unwrap_or(WORLDS);
    let mut kinds = [0_u64; 4];
    for seed in 0..worlds {
        let trace = Running(seed).watch();
        for (kind, word) in kinds.iter_mut().zip(["answer", "halt", "power lost", "replayed: 0"]) {
            *kind += trace.iter().filter(|line| line.contains(word)).count() as u64;
        }
    }
    println!("{worlds} worlds: {} answers, {} halts, {} power losses", kinds[0], kinds[1], kinds[2]);
    assert!(kinds.iter().all(|kind| *kind > worlds / 4), "the worlds are too quiet: {kinds:?}");
}

#[test]
fn one_seed_is_one_world() {
    for seed in 1000..1010 {
        assert_eq!(live(seed), live(seed), "world {seed} has two histories");
    }
}

/// Prints the seed of the world that failed.
struct Running(u64);

impl Running {
    fn watch(self) -> Vec<String> {
        live(self.0)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("world {} failed: repeat it with SIM_SEED={}", self.0, self.0);
        }
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// One world from its creation to its last check.
fn live(seed: u64) -> Vec<String> {
    let mut random = Random(seed);
    let bounds = Bounds {
        batch_entries_max: 1 + random.below(300) as usize,
        batch_bytes_max: 20_000,
        pending_entries_max: 400,
        pending_bytes_max: 200_000,
        unapplied_bytes_max: 40_000,
        publish_interval_ms: random.below(300),
        ..Bounds::default()
    };
    let segment_bytes_max = 2_000 + random.below(60_000);
    let mut world = World::new(seed, bounds, segment_bytes_max);
    let trouble = random.below(4);
    for _ in 0..STEPS {
        step(&mut world, &mut random, trouble);
    }
    calm_down(&mut world, &mut random);
    world.trace()
}

fn step(world: &mut World, random: &mut Random, trouble: u64) {
    let Some(log) = &world.log else {
        // Recovery meets faults as well; it is tried until it succeeds.
        set_fates(world, random, trouble);
        if world.start().is_err() {
            crash(world, random);
        }
        return;
    };
    if log.halted || log.stopped || !world.disk.is_powered() {
        crash(world, random);
        return;
    }
    match random.below(100) {
        0..=29 => append_some(world, random),
        30..=44 => world.event(Event::Cut),
        45..=60 => _ = world.step_commit(),
        61..=69 => _ = world.step_sign(),
        70..=86 => _ = world.step_apply(),
        87..=95 => pass_time(world, random),
        96 => world.event(Event::Stop),
        97 => set_fates(world, random, trouble),
        98 => world.run_dry(),
        _ => crash(world, random),
    }
}

fn append_some(world: &mut World, random: &mut Random) {
    let count = if random.one_in(8) { 1 + random.below(200) } else { 1 + random.below(6) };
    for _ in 0..count {
        let sealed = if random.one_in(3) { 0 } else { random.below(1500) as usize };
        world.append(sealed);
    }
}

/// Mostly forward; sometimes back by a little, seldom by a lot, which the log has to wait out.
fn pass_time(world: &mut World, random: &mut Random) {
    let now = world.now.get();
    world.now = UnixMillis::new(match random.below(20) {
        0 => now - random.below(2_000),
        1 => now - 10_000,
        2 => now + 20_000,
        _ => now + random.below(400),
    });
    world.event(Event::Tick);
}

/// From now on a few operations fail in one of the ways that operations fail.
fn set_fates(world: &mut World, random: &mut Random, trouble: u64) {
    if trouble == 0 || random.one_in(3) {
        world.set_fates(|_, _| Fate::Succeed);
        return;
    }
    let mut random = Random(random.next());
    let one_in = 4 << random.below(6);
    world.set_fates(move |operation, _| {
        if !random.one_in(one_in) {
            return Fate::Succeed;
        }
        match random.below(8) {
            0..=1 => Fate::Full,
            2 => Fate::NotStored,
            3 => Fate::StoredButFailed,
            4 if operation == Operation::Sync => Fate::PowerLostAmid,
            4 => Fate::Torn,
            5 => Fate::PowerLostBefore,
            6 => Fate::PowerLostAfter,
            _ => Fate::PowerLostAmid,
        }
    });
}

fn crash(world: &mut World, random: &mut Random) {
    if !world.disk.is_powered() || random.one_in(2) {
        world.lose_power();
    } else {
        world.kill();
    }
}

/// Nothing fails any more: the log must recover, take an entry, make everything public, and stop.
fn calm_down(world: &mut World, random: &mut Random) {
    world.set_fates(|_, _| Fate::Succeed);
    if world.log.is_some() {
        crash(world, random);
    }
    world.start().expect("without faults a log recovers");
    world.run_dry();
    world.check_public();
    world.now = world.now.plus_millis(60_000);
    let answered = world.oracle.answered.len();
    world.append(100);
    world.event(Event::Cut);
    world.run_dry();
    assert_eq!(world.oracle.answered.len(), answered + 1, "a recovered log takes entries");
    world.event(Event::Stop);
    world.run_dry();
    assert!(world.log.as_ref().is_some_and(|log| log.stopped), "a log without faults stops");
    world.check_public();
    world.check_all_public();
    world.lose_power();
    let report = world.start().expect("a log that stopped opens");
    assert_eq!(
        (report.published, report.torn_bytes),
        (report.size, 0),
        "a clean stop leaves nothing to recover"
    );
    world.check_all_public();
}
