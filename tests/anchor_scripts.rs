//! Seeded fault scripts against the lane of an EVM chain.
//!
//! Scenario: a log grows and one lane anchors it, while at every step anything may go wrong: blocks are taken back, transactions
//! get lost or are refused, fees rise above the cap, the account is emptied, somebody else uses the key, endpoints are silent, contradict each
//! other, show an old state, the branch before a reorg, receipts that are not so or a nonce of another time, effects fail,
//! succeed unseen, and the process dies with its last record whole, torn or lost. Danger: two transactions of one nonce for two
//! statements, a gap in the chain of statements, an anchor that is reported and not there, or a lane that never
//! comes back. Expected: whatever happened, none of the first three, and once faults end everything is anchored.
//!
//! `ANCHOR_SCRIPTS=100000` runs that many; `SIM_SEED=` repeats one.

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

mod anchor_world;

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;

use anchor_world::{BLOCK_MS, Chain, Driver, ETHER, Fault, GWEI, Rng, Transaction, config};
use ledgerstone::anchor::scheduler::{
    BlockHash, CodeHash, Effect, Event, Receipt, Record, TransactionHash, View,
};
use ledgerstone::hash::Hash;

/// Scripts of an ordinary run.
const SCRIPTS: u64 = 5_000;
const STEPS: u64 = 1_000;
/// Blocks after the last fault within which everything must be anchored.
const BLOCKS_MAX: usize = 1_500;

/// How many scripts met what, so that a fault that never strikes is seen.
type Met = BTreeMap<&'static str, u64>;

struct Script {
    rng: Rng,
    chain: Chain,
    driver: Driver,
    met: Met,
    /// How likely an effect fails, in percent.
    fault_percent: u64,
    /// How likely a view is not the truth, in percent.
    lie_percent: u64,
}

impl Script {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let safe_depth = 1 + rng.below(4) as usize;
        let final_depth = safe_depth + 1 + rng.below(8) as usize;
        let (fault_percent, lie_percent) = (rng.below(30), rng.below(40));
        let mut config = config();
        config.schedule.entries_max = 1 + rng.below(40);
        config.observe_interval_ms = [1_000, BLOCK_MS, 3 * BLOCK_MS][rng.below(3) as usize];
        let (chain, driver) = (Chain::new(safe_depth, final_depth), Driver::new(config));
        Self { rng, chain, driver, met: Met::new(), fault_percent, lie_percent }
    }

    fn note(&mut self, what: &'static str) {
        *self.met.entry(what).or_default() += 1;
    }

    fn step(&mut self) {
        match self.rng.below(100) {
            0..=54 => self.perform_one(),
            55..=69 => self.driver.pass(self.rng.below(2 * BLOCK_MS)),
            70..=81 => self.chain.mine(),
            82..=87 => self.driver.grow(1 + self.rng.below(20)),
            88..=90 => self.reorg(),
            91 => self.crash(),
            92 => {
                self.note("mempool lost");
                self.chain.mempool.clear();
            }
            93 => {
                let is_high = self.rng.chance(40);
                self.chain.base_fee =
                    if is_high { 300 * GWEI } else { GWEI * u128::from(1 + self.rng.below(60)) };
                self.note(if is_high { "fees above the cap" } else { "other fees" });
            }
            94 => {
                let is_empty = self.rng.chance(50);
                self.chain.set_balance(if is_empty { 0 } else { ETHER });
                self.note("balance");
            }
            95 => self.use_key_elsewhere(),
            96 => {
                self.note("stray event");
                let event = self.stray();
                self.driver.tell(event);
            }
            _ => self.driver.pass(10 * BLOCK_MS),
        }
    }

    /// A transaction of the key that the lane knows nothing of.
    fn use_key_elsewhere(&mut self) {
        let nonce = self.chain.tip().nonce;
        if nonce.saturating_sub(self.chain.finalized().nonce) < 6 {
            self.note("key used elsewhere");
            self.chain.mempool.insert(nonce, Transaction::transfer(nonce));
        }
    }

    fn reorg(&mut self) {
        let depth = 1 + self.rng.below(self.chain.final_depth as u64) as usize;
        let is_lost = self.rng.chance(50);
        self.note(if is_lost { "reorg, transactions lost" } else { "reorg" });
        self.chain.reorg(depth, is_lost);
    }

    fn crash(&mut self) {
        let is_whole = self.rng.chance(50);
        self.note(if is_whole { "crash, record whole" } else { "crash, record torn or lost" });
        self.driver.crash(is_whole);
    }

    /// An answer to nothing that was asked.
    fn stray(&mut self) -> Event {
        let seq = 1 + self.rng.below(4);
        match self.rng.below(6) {
            0 if !self.driver.out.iter().any(|effect| matches!(effect, Effect::Capture(_))) => {
                Event::Captured { seq }
            }
            1 if !self.driver.out.iter().any(|effect| matches!(effect, Effect::AppendEntry(_))) => {
                Event::Appended { seq }
            }
            2 if !self.driver.out.iter().any(|effect| matches!(effect, Effect::Journal(_))) => {
                Event::Journaled
            }
            3 if !self.driver.out.iter().any(|effect| matches!(effect, Effect::Sign(_))) => {
                Event::Signed { transaction: TransactionHash::from_bytes([9; 32]), raw: vec![9; 9] }
            }
            4 => Event::Broadcast {
                transaction: TransactionHash::from_bytes([9; 32]),
                outcome: ledgerstone::anchor::scheduler::Broadcast::Taken,
            },
            _ => Event::Tick,
        }
    }

    fn perform_one(&mut self) {
        if self.driver.out.is_empty() {
            return;
        }
        let at = self.rng.below(self.driver.out.len() as u64) as usize;
        let effect = self.driver.out.remove(at);
        let fault = match (&effect, self.rng.chance(self.fault_percent)) {
            (_, false) => Fault::None,
            (Effect::Broadcast { .. }, true) => {
                [Fault::NotDone, Fault::DoneButFailed, Fault::Forgotten][self.rng.below(3) as usize]
            }
            (Effect::Journal(_), true) if self.rng.chance(85) => Fault::None,
            (_, true) => [Fault::NotDone, Fault::DoneButFailed][self.rng.below(2) as usize],
        };
        let is_journal = matches!(effect, Effect::Journal(_));
        let is_observe = matches!(effect, Effect::Observe { .. });
        let mut event = self.driver.carry_out(effect, &mut self.chain, fault);
        if is_observe && self.rng.chance(self.lie_percent) {
            event = self.lie(event);
        }
        let is_failed_journal = is_journal && matches!(event, Event::JournalFailed);
        self.driver.tell(event);
        if is_failed_journal {
            self.note("journal failed");
            assert!(self.driver.lane.snapshot(self.driver.now).is_stopped);
            let more = self.driver.lane.handle(self.driver.now, Event::Tick);
            assert!(more.is_empty(), "goes on behind a record that is not durable");
            self.driver.restart();
        }
    }

    /// A view that is not the truth of now.
    fn lie(&mut self, event: Event) -> Event {
        let Event::Observed(mut view) = event else { return Event::Disagree };
        let asked: Vec<TransactionHash> =
            self.driver.lane.attempts().iter().map(|one| one.transaction).collect();
        match self.rng.below(8) {
            0 => {
                self.note("stale view");
                let known =
                    self.chain.blocks.len() - (self.rng.below(12) as usize).min(self.chain.blocks.len() - 1);
                view = self.chain.view_of(&self.chain.blocks[..known], &asked);
            }
            1 if !self.chain.before_reorg.is_empty() => {
                self.note("view of the branch before a reorg");
                view = self.chain.view_of(&self.chain.before_reorg, &asked);
            }
            2 => {
                self.note("nonce of another time");
                view.nonce = match self.rng.chance(50) {
                    true => view.nonce.saturating_sub(1 + self.rng.below(3)),
                    false => view.nonce + 1 + self.rng.below(3),
                };
                view.nonce_finalized = view.nonce_finalized.min(view.nonce);
            }
            3 => {
                self.note("receipts that are not so");
                self.lie_about_receipts(&mut view, &asked);
            }
            4 => {
                self.note("other chain id or code");
                match self.rng.chance(50) {
                    true => view.chain_id += 1,
                    false => view.code = Some(CodeHash::from_bytes([1; 32])),
                }
            }
            5 => {
                self.note("head that is not there");
                self.lie_about_heads(&mut view);
            }
            6 => {
                self.note("contradiction");
                return Event::Disagree;
            }
            _ => {
                self.note("silence");
                return Event::Unreachable;
            }
        }
        Event::Observed(view)
    }

    fn lie_about_receipts(&mut self, view: &mut View, asked: &[TransactionHash]) {
        let mut block = view.latest;
        block.number = block.number.saturating_sub(self.rng.below(4));
        block.hash = BlockHash::from_bytes([self.rng.below(256) as u8; 32]);
        view.receipts = match self.rng.below(3) {
            0 => vec![],
            1 => asked.iter().map(|one| Receipt { transaction: *one, block, succeeded: true }).collect(),
            _ => view.receipts.iter().map(|one| Receipt { succeeded: !one.succeeded, ..*one }).collect(),
        };
    }

    /// The contract's head as final, or as gone, or as another's, or beyond.
    fn lie_about_heads(&mut self, view: &mut View) {
        match self.rng.below(4) {
            0 => (view.head_safe, view.head_finalized) = (view.head, view.head),
            1 => view.head = view.head_finalized,
            2 => view.head.statement = Hash::of(b"another"),
            _ => view.head.seq += 1,
        }
    }

    /// No fault any more: everything is anchored before long.
    fn end(&mut self) {
        if self.chain.base_fee > 50 * GWEI {
            self.chain.base_fee = 20 * GWEI;
        }
        self.chain.set_balance(ETHER);
        let is_done = |driver: &Driver| {
            driver.is_anchored()
                && driver.out.is_empty()
                && driver.appended.last() == Some(&driver.lane.tip().seq)
        };
        self.driver.grow(1);
        let blocks = self.chain.blocks.len();
        let reached = self.driver.run_until(&mut self.chain, BLOCKS_MAX, is_done);
        assert!(
            reached,
            "not anchored {} blocks after the last fault: {:?}, alarms {:?}",
            self.chain.blocks.len() - blocks,
            self.driver.lane.snapshot(self.driver.now),
            self.driver.lane.alarms(),
        );
        assert_eq!(self.driver.lane.alarms(), [], "an alarm stands though all is well");
        self.driver.check_story(&self.chain);
        let tip = self.driver.lane.tip();
        let appended: std::collections::BTreeSet<u64> = self.driver.appended.iter().copied().collect();
        assert_eq!(appended, (1..=tip.seq).collect(), "each anchor has its entry in the log");
    }
}

/// Runs one script and says what it met.
fn run(seed: u64) -> Met {
    let mut script = Script::new(seed);
    script.driver.grow(1);
    for _ in 0..STEPS {
        script.step();
    }
    script.driver.check_story(&script.chain);
    script.end();
    let records: Vec<Record> = script.driver.records().collect();
    let has = |wanted: fn(&Record) -> bool| records.iter().filter(|record| wanted(record)).count() as u64;
    let seen = [
        ("statements", has(|record| matches!(record, Record::Captured { .. }))),
        ("taken back by a reorg", has(|record| matches!(record, Record::Unmined { .. }))),
        ("transactions signed", has(|record| matches!(record, Record::Signed(_)))),
    ];
    script.met.extend(seen);
    script.met
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}

#[test]
fn after_any_fault_script_the_anchors_form_one_chain_without_a_gap() {
    let seeds = match number("SIM_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("ANCHOR_SCRIPTS").unwrap_or(SCRIPTS),
    };
    let is_one = seeds.end - seeds.start == 1;
    let threads = if is_one { 1 } else { std::thread::available_parallelism().map_or(1, usize::from) as u64 };
    let mut met = Met::new();
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..threads)
            .map(|thread| {
                let seeds = seeds.clone().skip(thread as usize).step_by(threads as usize);
                scope.spawn(move || {
                    let mut met = Met::new();
                    for seed in seeds {
                        let ran = std::panic::catch_unwind(AssertUnwindSafe(|| run(seed)));
                        let ran = ran.unwrap_or_else(|_| panic!("repeat with SIM_SEED={seed}"));
                        ran.into_iter().for_each(|(what, count)| *met.entry(what).or_default() += count);
                    }
                    met
                })
            })
            .collect();
        for run in runs {
            let ran = run.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            ran.into_iter().for_each(|(what, count)| *met.entry(what).or_default() += count);
        }
    });
    println!("{} scripts of {STEPS} steps: {met:#?}", seeds.end - seeds.start);
    if !is_one {
        let wanted = [
            "balance",
            "contradiction",
            "crash, record torn or lost",
            "crash, record whole",
            "fees above the cap",
            "head that is not there",
            "journal failed",
            "key used elsewhere",
            "mempool lost",
            "nonce of another time",
            "other chain id or code",
            "receipts that are not so",
            "reorg",
            "reorg, transactions lost",
            "silence",
            "stale view",
            "taken back by a reorg",
            "view of the branch before a reorg",
        ];
        for what in wanted {
            assert!(
                met.get(what).is_some_and(|count| *count >= seeds.end / 20),
                "{what} hardly ever happens: {met:#?}"
            );
        }
    }
}

#[test]
fn one_seed_gives_the_same_script_twice() {
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
}
