//! The lane of an EVM chain, rule by rule.
//!
//! Scenario: a log of a few hundred entries, a chain that mines every twelve seconds, one lane. Danger: each test names its own;
//! together they are what loses an anchor, pays for it twice, or reports one that is not there. Expected: the lane stops where going
//! on could do harm and says why, and goes on by itself where the cause goes away.

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
    reason = "a test fails by panicking"
)]

mod anchor_world;

use anchor_world::{
    Advance, BLOCK_MS, Chain, Driver, ETHER, Fault, GWEI, Transaction, config, transaction_hash,
};
use ledgerstone::anchor::alarm::Alarm;
use ledgerstone::anchor::schedule::{Built, Schedule};
use ledgerstone::anchor::scheduler::{
    Address, Broadcast, Config, Effect, Event, Fees, Record, Scheduler, Sign, State, TransactionHash, View,
};
use ledgerstone::hash::Hash;
use ledgerstone::limits::{ANCHOR_ATTEMPTS_MAX, ANCHOR_TRANSACTION_BYTES_MAX};
use ledgerstone::merkle::TreeSize;

const SAFE: usize = 3;
const FINAL: usize = 40;

/// A lane over a log of `entries` that has not looked at the chain yet.
fn world_with(config: Config, entries: u64) -> (Driver, Chain) {
    let mut driver = Driver::new(config);
    driver.grow(entries);
    (driver, Chain::new(SAFE, FINAL))
}

fn world(entries: u64) -> (Driver, Chain) {
    world_with(config(), entries)
}

/// Goes on until the statement in flight is in this state.
fn run_to(driver: &mut Driver, chain: &mut Chain, state: State) {
    assert!(driver.run_until(chain, 200, |driver| driver.state() == state), "never {state}");
}

/// Goes on until all is anchored.
fn finish(driver: &mut Driver, chain: &mut Chain) {
    let done = driver.run_until(chain, 400, |driver| driver.is_anchored() && driver.out.is_empty());
    assert!(done, "{:?} {:?}", driver.lane.snapshot(driver.now), driver.lane.alarms());
    driver.check_story(chain);
}

fn words(driver: &Driver) -> Vec<&'static str> {
    driver.lane.alarms().iter().map(Alarm::as_str).collect()
}

/// Shows the lane a changed view at the next chance, and says what it wants.
fn show(driver: &mut Driver, chain: &mut Chain, change: impl FnOnce(&mut View)) -> Vec<Effect> {
    let looks = |effect: &Effect| matches!(effect, Effect::Observe { .. });
    if !driver.out.iter().any(looks) {
        driver.settle(chain);
        driver.pass(BLOCK_MS);
    }
    let at = driver.out.iter().position(looks).expect("it looks");
    let Effect::Observe { transactions } = driver.out.remove(at) else { unreachable!() };
    let mut view = chain.view(&transactions);
    change(&mut view);
    driver.tell(Event::Observed(view));
    driver.out.clone()
}

fn name(record: &Record) -> &'static str {
    match record {
        Record::Planned { .. } => "planned",
        Record::Signed(_) => "signed",
        Record::Broadcast { .. } => "broadcast",
        Record::Mined(_) => "mined",
        Record::Unmined { .. } => "unmined",
        Record::Safe(_) => "safe",
        Record::Finalized(_) => "finalized",
        Record::Captured { .. } => "captured",
        Record::Appended { .. } => "appended",
        _ => "other",
    }
}

fn names(driver: &Driver) -> Vec<&'static str> {
    driver.records().map(|record| name(&record)).collect()
}

#[test]
fn a_statement_goes_through_every_state_and_its_entry_into_the_log() {
    let (mut driver, mut chain) = world(300);
    finish(&mut driver, &mut chain);
    let expected = ["planned", "signed", "broadcast", "mined", "safe", "finalized", "captured", "appended"];
    assert_eq!(names(&driver), expected);
    assert_eq!((driver.bundles.clone(), driver.appended.clone()), (vec![1], vec![1]));
    let snapshot = driver.lane.snapshot(driver.now);
    assert_eq!((snapshot.lag_ms, snapshot.lag_entries, snapshot.anchored.seq), (0, 0, 1));
    assert_eq!(driver.alarms, Vec::<String>::new());
    let Some(Record::Finalized(place)) = driver.records().find(|record| name(record) == "finalized") else {
        panic!()
    };
    assert_eq!(place.transaction, Some(transaction_hash(&driver.sent[0])), "its receipt says where");
}

#[test]
fn a_reorg_of_any_depth_at_any_state_is_followed_and_the_same_bytes_are_sent_again() {
    for state in [State::Signed, State::Broadcast, State::Mined, State::Safe, State::Finalized] {
        for depth in [1, 5, 30] {
            for is_lost in [false, true] {
                let (mut driver, mut chain) = world(300);
                (0..50).for_each(|_| chain.mine());
                if state < State::Mined {
                    run_to_without_mining(&mut driver, &mut chain, state);
                } else if state == State::Finalized {
                    // Before its proof is captured.
                    let is_capture = |effect: &Effect| matches!(effect, Effect::Capture(_));
                    step_to(&mut driver, &mut chain, is_capture).unwrap();
                } else {
                    run_to(&mut driver, &mut chain, state);
                }
                let bytes = driver.sent.last().cloned();
                let depth_of_it =
                    driver.lane.place().map(|place| chain.tip().block.number - place.block.number);
                chain.reorg(depth, is_lost);
                let sent = driver.sent.len();
                driver.pass(BLOCK_MS);
                driver.settle(&mut chain);
                let what = format!("{depth} blocks at {state}, lost: {is_lost}");
                let is_undone = depth_of_it.is_some_and(|of_it| of_it < u64::try_from(depth).unwrap());
                if is_undone && state < State::Finalized {
                    assert!(names(&driver).contains(&"unmined"), "{what}: {:?}", names(&driver));
                    assert_eq!(driver.sent.get(sent), bytes.as_ref(), "{what}: other bytes");
                }
                finish(&mut driver, &mut chain);
                assert_eq!(driver.lane.tip().seq, 1, "{what}");
                let nonces: Vec<u64> = driver.signs.iter().map(|sign| sign.nonce).collect();
                assert!(nonces.iter().all(|nonce| *nonce == 0), "{what}: {nonces:?}");
            }
        }
    }
}

#[test]
fn a_reorg_after_the_capture_changes_nothing_below_the_final_block() {
    for depth in [1, 5, 30] {
        let (mut driver, mut chain) = world(300);
        finish(&mut driver, &mut chain);
        let records = driver.journal.len();
        chain.reorg(depth, true);
        driver.block(&mut chain);
        assert_eq!(driver.journal.len(), records);
        assert_eq!(words(&driver), Vec::<&str>::new());
    }
}

#[test]
fn a_transaction_past_its_limit_is_no_signature() {
    let (mut driver, mut chain) = world(300);
    let at = step_to(&mut driver, &mut chain, |effect| matches!(effect, Effect::Sign(_))).unwrap();
    driver.out.remove(at);
    let transaction = TransactionHash::from_bytes([1; 32]);
    driver.tell(Event::Signed { transaction, raw: vec![0; ANCHOR_TRANSACTION_BYTES_MAX + 1] });
    assert_eq!((words(&driver), driver.lane.attempts().len()), (vec!["signing"], 0));
    finish(&mut driver, &mut chain);
}

#[test]
fn a_key_that_gives_no_signature_is_left_alone_for_the_time_that_is_set() {
    let patient = Config { retry_ms: 10 * BLOCK_MS, ..config() };
    let (mut driver, mut chain) = world_with(patient, 300);
    let is_sign = |effect: &Effect| matches!(effect, Effect::Sign(_));
    let mut asked = Vec::new();
    for _ in 0..3 {
        let at = step_to(&mut driver, &mut chain, is_sign).unwrap();
        let effect = driver.out.remove(at);
        asked.push(driver.now);
        driver.perform(effect, &mut chain, Fault::NotDone);
    }
    let between: Vec<u64> = asked.windows(2).map(|pair| pair[1].millis_since(pair[0])).collect();
    assert!(between.iter().all(|ms| (10 * BLOCK_MS..12 * BLOCK_MS).contains(ms)), "{between:?}");
}

#[test]
fn a_chain_that_loses_what_was_final_is_an_alarm_and_gets_the_stored_bytes_again() {
    let (mut driver, mut chain) = world(300);
    finish(&mut driver, &mut chain);
    let bytes = driver.sent[0].clone();
    chain.blocks.truncate(1);
    chain.mempool.clear();
    driver.block(&mut chain);
    assert_eq!(words(&driver), ["head_behind"]);
    assert_eq!(driver.sent.last(), Some(&bytes));
    assert_eq!(driver.signs.len(), 1, "nothing new is signed");
    (0..60).for_each(|_| driver.block(&mut chain));
    assert_eq!(words(&driver), Vec::<&str>::new());
    assert_eq!(chain.finalized().head.seq, 1, "it is there again");
}

/// Dies before every single effect, with the record that is out whole or lost.
#[test]
fn a_crash_at_every_effect_loses_nothing_and_uses_no_nonce_twice() {
    let effects_of = |crash: Option<(usize, bool)>| {
        let (mut driver, mut chain) = world(300);
        let mut count = 0;
        for block in 0..300 {
            while !driver.out.is_empty() {
                if crash.is_some_and(|(at, _)| at == count) {
                    driver.crash(crash.unwrap().1);
                    count += 1;
                    continue;
                }
                let effect = driver.out.remove(0);
                driver.perform(effect, &mut chain, Fault::None);
                count += 1;
            }
            if block == 60 {
                driver.grow(700);
            }
            if block > 60 && driver.is_anchored() {
                break;
            }
            chain.mine();
            driver.pass(BLOCK_MS);
        }
        assert!(driver.is_anchored(), "{crash:?}: {:?}", driver.lane.snapshot(driver.now));
        driver.settle(&mut chain);
        driver.check_story(&chain);
        let (signs, last) = (driver.signs.len(), driver.appended.last().copied());
        assert!(
            signs <= 4 && last == Some(2),
            "{crash:?}: {signs} signatures, entries {:?}",
            driver.appended
        );
        count
    };
    let count = effects_of(None);
    assert!(count > 100, "{count} effects");
    for at in 0..count {
        effects_of(Some((at, true)));
        effects_of(Some((at, false)));
    }
}

#[test]
fn a_failed_record_stops_the_lane_until_it_is_started_again() {
    for wanted in ["planned", "signed", "broadcast", "mined", "safe", "finalized", "captured", "appended"] {
        for fault in [Fault::NotDone, Fault::DoneButFailed] {
            let (mut driver, mut chain) = world(300);
            let is_out = |driver: &Driver| {
                let out = driver.out.first();
                matches!(out, Some(Effect::Journal(record)) if name(record) == wanted)
            };
            for _ in 0..2_000 {
                if is_out(&driver) {
                    break;
                }
                if driver.out.is_empty() {
                    chain.mine();
                    driver.pass(BLOCK_MS);
                } else {
                    let effect = driver.out.remove(0);
                    driver.perform(effect, &mut chain, Fault::None);
                }
            }
            assert!(is_out(&driver), "{wanted} is never written");
            let effect = driver.out.remove(0);
            driver.perform(effect, &mut chain, fault);
            assert_eq!(words(&driver), ["journal"]);
            driver.out.clear();
            for event in [Event::Tick, Event::Journaled, Event::Log(TreeSize::new(9_999))] {
                assert_eq!(driver.lane.handle(driver.now.plus_millis(1 << 40), event), []);
            }
            assert!(driver.lane.snapshot(driver.now).is_stopped);
            driver.restart();
            finish(&mut driver, &mut chain);
        }
    }
}

#[test]
fn nothing_follows_while_a_record_is_out() {
    let (mut driver, mut chain) = world(300);
    while !matches!(driver.out.first(), Some(Effect::Journal(Record::Signed(_)))) {
        if driver.out.is_empty() {
            driver.pass(BLOCK_MS);
            continue;
        }
        let effect = driver.out.remove(0);
        driver.perform(effect, &mut chain, Fault::None);
    }
    for _ in 0..50 {
        driver.pass(BLOCK_MS);
    }
    assert_eq!(driver.out.len(), 1, "{:?}", driver.out);
    assert_eq!(driver.state(), State::Planned, "a state that is not durable is none");
    assert!(driver.sent.is_empty());
}

#[test]
fn a_fee_spike_is_followed_up_to_the_cap_and_waited_out_above_it() {
    let (mut driver, mut chain) = world(300);
    run_to_without_mining(&mut driver, &mut chain, State::Broadcast);
    for base_fee in [25, 40, 60, 80, 95] {
        chain.base_fee = base_fee * GWEI;
        // The blocks are full of others until the lane has had time to offer more.
        (0..6).for_each(|_| {
            chain.mine_empty();
            driver.pass(BLOCK_MS);
            driver.settle(&mut chain);
        });
    }
    assert!(
        driver.signs.len() > 2 && driver.signs.last().unwrap().fees.max > 95 * GWEI,
        "{:?}",
        driver.signs
    );
    finish(&mut driver, &mut chain);
    let (mut driver, mut chain) = world(300);
    chain.base_fee = 99 * GWEI;
    run_to_without_mining(&mut driver, &mut chain, State::Broadcast);
    chain.base_fee = 400 * GWEI;
    (0..80).for_each(|_| driver.block(&mut chain));
    assert_eq!(words(&driver), ["fee_cap"]);
    assert!(driver.signs.iter().all(|sign| sign.fees.max <= 100 * GWEI));
    let sent = driver.sent.len();
    driver.block(&mut chain);
    assert!(driver.sent.len() > sent, "what is signed is sent on");
    chain.base_fee = 10 * GWEI;
    finish(&mut driver, &mut chain);
    assert_eq!(words(&driver), Vec::<&str>::new());
}

#[test]
fn above_the_cap_nothing_is_signed_at_all() {
    let (mut driver, mut chain) = world(300);
    chain.base_fee = 100 * GWEI;
    (0..20).for_each(|_| driver.block(&mut chain));
    assert_eq!((driver.signs.len(), words(&driver)), (0, vec!["fee_cap"]));
}

#[test]
fn a_replacement_has_the_same_nonce_and_statement_and_an_eighth_more_of_both_fees() {
    let (mut driver, mut chain) = world(300);
    run_to_without_mining(&mut driver, &mut chain, State::Broadcast);
    chain.base_fee = 30 * GWEI;
    (0..30).for_each(|_| {
        driver.settle(&mut chain);
        chain.mempool.clear();
        driver.pass(BLOCK_MS);
    });
    let (attempts, signs) = (driver.lane.attempts().to_vec(), driver.signs.clone());
    assert!(attempts.len() >= 4, "{} attempts", attempts.len());
    for (before, after) in signs.iter().zip(&signs[1..]) {
        assert_eq!((before.nonce, before.seq, before.statement), (after.nonce, after.seq, after.statement));
        for (old, new) in [(before.fees.max, after.fees.max), (before.fees.tip, after.fees.tip)] {
            assert!(new * 1_000 >= old * 1_125 && new <= 100 * GWEI, "{old} -> {new}");
        }
    }
    for (before, after) in attempts.iter().zip(&attempts[1..]) {
        let between = after.at.millis_since(before.at);
        assert!(between >= config().replace_after_ms, "replaced after {between} ms");
    }
    // An early one is mined after all: it is known, and the statement is anchored once.
    let early = Transaction::read(&attempts[0].raw);
    chain.base_fee = early.max - early.tip;
    chain.mempool.clear();
    chain.send(early.clone());
    chain.mine();
    finish(&mut driver, &mut chain);
    let Some(Record::Finalized(place)) = driver.records().find(|record| name(record) == "finalized") else {
        panic!()
    };
    assert_eq!(place.transaction, Some(early.hash));
}

#[test]
fn an_endpoint_that_has_another_transaction_of_the_nonce_gets_one_that_offers_more() {
    let (mut driver, mut chain) = world(300);
    driver.settle(&mut chain);
    chain.base_fee = 1_000 * GWEI;
    let mut waiting = Transaction::transfer(0);
    (waiting.max, waiting.tip) = (30 * GWEI, 2 * GWEI);
    chain.mempool.insert(0, waiting);
    driver.block(&mut chain);
    chain.base_fee = 10 * GWEI;
    let (now, signs) = (driver.now, driver.signs.len());
    for _ in 0..3 {
        driver.pass(BLOCK_MS);
        driver.settle(&mut chain);
    }
    assert!(driver.signs.len() > signs && driver.now.millis_since(now) < config().replace_after_ms);
    finish(&mut driver, &mut chain);
}

#[test]
fn an_empty_account_signs_nothing_and_goes_on_once_it_is_topped_up() {
    let (mut driver, mut chain) = world(300);
    chain.set_balance(GWEI);
    (0..10).for_each(|_| driver.block(&mut chain));
    assert_eq!(words(&driver), ["balance_low", "balance_empty"]);
    assert_eq!((driver.signs.len(), driver.state()), (0, State::Planned));
    chain.set_balance(ETHER / 20);
    driver.block(&mut chain);
    assert_eq!(words(&driver), ["balance_low"], "low, but enough for this one");
    chain.set_balance(ETHER);
    finish(&mut driver, &mut chain);
    assert_eq!(words(&driver), Vec::<&str>::new());
}

#[test]
fn an_account_emptied_after_signing_is_an_alarm() {
    let (mut driver, mut chain) = world(300);
    driver.settle(&mut chain);
    chain.base_fee = 50 * GWEI;
    run_to(&mut driver, &mut chain, State::Broadcast);
    chain.mempool.clear();
    chain.set_balance(0);
    driver.pass(BLOCK_MS);
    driver.settle(&mut chain);
    assert!(words(&driver).contains(&"balance_empty"), "{:?}", words(&driver));
    chain.set_balance(ETHER);
    finish(&mut driver, &mut chain);
}

#[test]
fn the_gas_budget_of_a_day_holds_the_next_statement_back_until_the_next_day() {
    let budget = Config { gas_budget_day: 250_000, ..config() };
    let (mut driver, mut chain) = world_with(budget, 300);
    for seq in 1..=2 {
        finish(&mut driver, &mut chain);
        assert_eq!(driver.lane.tip().seq, seq);
        driver.grow(2_000);
    }
    (0..50).for_each(|_| driver.block(&mut chain));
    assert_eq!((driver.signs.len(), words(&driver)), (2, vec!["gas_budget"]));
    assert_eq!(driver.lane.snapshot(driver.now).gas_spent, 200_000);
    driver.crash(false);
    (0..5).for_each(|_| driver.block(&mut chain));
    assert_eq!(driver.signs.len(), 2, "a restart gives no new budget");
    driver.pass(24 * 60 * 60 * 1_000);
    finish(&mut driver, &mut chain);
    assert_eq!(driver.lane.tip().seq, 3);
    // The next day has its own budget, of which one transaction is spent.
    assert_eq!(driver.lane.snapshot(driver.now).gas_spent, 100_000);
    driver.grow(2_000);
    finish(&mut driver, &mut chain);
    assert_eq!((driver.lane.tip().seq, words(&driver)), (4, vec![]));
}

#[test]
fn one_nonce_takes_half_of_a_statements_attempts_and_all_of_them_end() {
    let rich = Config { fee_cap: u128::MAX / 1_000_000, tip_cap: GWEI, ..config() };
    let (mut driver, mut chain) = world_with(rich, 300);
    chain.set_balance(u128::MAX / 2);
    run_to_without_mining(&mut driver, &mut chain, State::Broadcast);
    let wait = |driver: &mut Driver, chain: &mut Chain| {
        for _ in 0..12 * ANCHOR_ATTEMPTS_MAX {
            driver.settle(chain);
            chain.mempool.clear();
            driver.pass(BLOCK_MS);
        }
    };
    wait(&mut driver, &mut chain);
    let half = ANCHOR_ATTEMPTS_MAX / 2;
    assert_eq!((driver.lane.attempts().len(), words(&driver)), (half, vec!["attempts"]));
    // Nonces that others used: each makes room for one more, until the whole number is reached.
    for used in 1..=ANCHOR_ATTEMPTS_MAX as u64 {
        show(&mut driver, &mut chain, |view| {
            (view.nonce, view.nonce_finalized, view.balance) = (used, used, u128::MAX / 2);
        });
        while let Some(at) = driver.out.iter().position(|effect| !matches!(effect, Effect::Observe { .. })) {
            let effect = driver.out.remove(at);
            driver.perform(effect, &mut chain, Fault::None);
        }
    }
    assert_eq!((driver.lane.attempts().len(), words(&driver)), (ANCHOR_ATTEMPTS_MAX, vec!["attempts"]));
}

#[test]
fn what_was_ordered_before_an_obstacle_is_stored_and_not_sent() {
    let (mut driver, mut chain) = world(300);
    let at = step_to(&mut driver, &mut chain, |effect| matches!(effect, Effect::Sign(_))).unwrap();
    let sign = driver.out.remove(at);
    show(&mut driver, &mut chain, |view| view.chain_id = 1);
    assert_eq!(words(&driver), ["chain_id"]);
    driver.perform(sign, &mut chain, Fault::None);
    while let Some(at) = driver.out.iter().position(|effect| matches!(effect, Effect::Journal(_))) {
        let record = driver.out.remove(at);
        driver.perform(record, &mut chain, Fault::None);
    }
    assert_eq!((driver.lane.attempts().len(), driver.sent.len()), (1, 0), "durable, and not sent");
    let is_sent = |effect: &Effect| matches!(effect, Effect::Broadcast { .. });
    assert!(!driver.out.iter().any(is_sent));
    finish(&mut driver, &mut chain);
    assert_eq!(driver.signs.len(), 1, "the same bytes, once it is gone");
}

#[test]
fn a_head_further_back_than_one_statement_is_left_to_a_person() {
    let (mut driver, mut chain) = world(300);
    finish(&mut driver, &mut chain);
    driver.grow(5_000);
    finish(&mut driver, &mut chain);
    let behind = |back: u64| {
        move |view: &mut View| {
            for head in [&mut view.head, &mut view.head_safe, &mut view.head_finalized] {
                (head.seq, head.size) = (2 - back, TreeSize::new(3 - back));
            }
            (view.nonce, view.nonce_finalized) = (1, 0);
        }
    };
    let is_sent = |effect: &Effect| matches!(effect, Effect::Broadcast { .. });
    let wanted = show(&mut driver, &mut chain, behind(2));
    assert_eq!((words(&driver), wanted.iter().any(is_sent)), (vec!["head_behind"], false));
    let wanted = show(&mut driver, &mut chain, behind(1));
    assert_eq!((words(&driver), wanted.iter().any(is_sent)), (vec!["head_behind"], true));
}

/// A statement of somebody who has the key, written into the contract.
fn foreign(chain: &mut Chain) {
    let tip = chain.tip();
    let (nonce, head) = (tip.nonce, tip.head);
    let statement = Hash::of(b"a second sidecar's statement");
    let advance =
        Advance { seq: head.seq + 1, previous: head.statement, size: head.size.get() + 1, statement };
    let fees = Fees { max: 90 * GWEI, tip: GWEI };
    let raw = Transaction::raw(&Sign { seq: advance.seq, statement, nonce, fees, gas: 100_000 }, &advance);
    chain.mempool.clear();
    assert_eq!(chain.send(Transaction::read(&raw)), Broadcast::Taken);
    chain.mine();
}

#[test]
fn a_second_sidecar_that_anchors_the_same_log_stops_the_lane() {
    // Between two statements of ours.
    let (mut driver, mut chain) = world(300);
    finish(&mut driver, &mut chain);
    foreign(&mut chain);
    driver.grow(5_000);
    (0..100).for_each(|_| driver.block(&mut chain));
    assert_eq!((driver.signs.len(), words(&driver)), (1, vec!["head_ahead"]));
    assert_eq!(driver.lane.alarms(), [Alarm::HeadAhead { found: 2, made: 1 }]);
    assert!(driver.lane.alarms()[0].to_string().contains("stolen"), "the reason is said");
    // While ours is on its way.
    for state in [State::Planned, State::Signed, State::Broadcast] {
        let (mut driver, mut chain) = world(300);
        chain.base_fee = if state == State::Broadcast { 50 * GWEI } else { 10 * GWEI };
        run_to_without_mining(&mut driver, &mut chain, state);
        foreign(&mut chain);
        let sent = driver.sent.len();
        driver.tell(Event::Tick);
        (0..30).for_each(|_| driver.block(&mut chain));
        assert_eq!(words(&driver), ["head_foreign"], "{state}");
        assert!(driver.sent.len() <= sent + 1, "{state}: what was asked for before is all");
        driver.crash(true);
        (0..30).for_each(|_| driver.block(&mut chain));
        assert_eq!(words(&driver), ["head_foreign"], "{state}: after a restart too");
    }
}

fn run_to_without_mining(driver: &mut Driver, chain: &mut Chain, state: State) {
    for _ in 0..100 {
        if driver.state() == state {
            return;
        }
        if driver.out.is_empty() {
            driver.pass(BLOCK_MS);
        } else {
            let effect = driver.out.remove(0);
            driver.perform(effect, chain, Fault::None);
        }
    }
    panic!("never {state}");
}

#[test]
fn a_chain_code_or_key_that_is_not_the_configured_one_stops_the_lane_while_it_is_seen() {
    type Change = fn(&mut View);
    let cases: [(&str, Change); 9] = [
        ("chain_id", |view| view.chain_id = 1),
        ("code", |view| view.code = None),
        ("code", |view| view.code = Some(ledgerstone::anchor::scheduler::CodeHash::from_bytes([9; 32]))),
        ("key", |view| view.head.key = Some(Address::from_bytes([9; 20]))),
        ("disagree", |view| view.finalized.number = view.latest.number + 1),
        ("disagree", |view| view.head_safe.seq = view.head.seq + 1),
        ("disagree", |view| view.head_finalized.size = TreeSize::new(5)),
        ("disagree", |view| view.nonce_finalized = view.nonce + 1),
        ("head_foreign", |view| view.head.statement = Hash::of(b"another of the same number")),
    ];
    for (word, change) in cases {
        let (mut driver, mut chain) = world(300);
        run_to_without_mining(&mut driver, &mut chain, State::Planned);
        for _ in 0..3 {
            let wanted = show(&mut driver, &mut chain, change);
            assert_eq!(wanted, [], "{word}");
            assert_eq!(words(&driver), [word]);
        }
        assert_eq!(driver.alarms, [word], "an alarm is given out once");
        finish(&mut driver, &mut chain);
        assert_eq!(words(&driver), Vec::<&str>::new());
    }
}

#[test]
fn a_log_smaller_than_what_is_fixed_stops_the_lane() {
    let (mut driver, mut chain) = world(300);
    finish(&mut driver, &mut chain);
    driver.log_size = 299;
    driver.crash(true);
    assert_eq!(
        driver.lane.alarms(),
        [Alarm::LogBehind { anchored: TreeSize::new(300), log: TreeSize::new(299) }]
    );
    (0..100).for_each(|_| driver.block(&mut chain));
    assert_eq!((driver.signs.len(), words(&driver)), (1, vec!["log_behind"]));
    // The journal was restored from the same old backup: the contract still knows.
    let mut fresh = Driver::new(config());
    fresh.files = std::mem::take(&mut driver.files);
    fresh.grow(299);
    (0..100).for_each(|_| fresh.block(&mut chain));
    assert_eq!((fresh.signs.len(), words(&fresh)), (0, vec!["head_ahead"]));
    driver.grow(2);
    driver.block(&mut chain);
    assert_eq!(words(&driver), Vec::<&str>::new(), "the newer log is back");
}

#[test]
fn a_nonce_from_before_a_reorg_is_not_signed_again() {
    let (mut driver, mut chain) = world(300);
    finish(&mut driver, &mut chain);
    driver.grow(5_000);
    run_to_without_mining(&mut driver, &mut chain, State::Planned);
    for _ in 0..5 {
        let wanted = show(&mut driver, &mut chain, |view| (view.nonce, view.nonce_finalized) = (0, 0));
        assert_eq!(wanted, []);
        assert_eq!(words(&driver), ["nonce"]);
    }
    let wanted = show(&mut driver, &mut chain, |view| view.nonce += 17);
    assert_eq!((wanted, words(&driver)), (vec![], vec!["nonce"]), "nor one far ahead");
    finish(&mut driver, &mut chain);
    assert_eq!(driver.signs.iter().map(|sign| sign.nonce).collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn a_nonce_ahead_of_its_time_is_filled_up_before_the_next_statement() {
    let (mut driver, mut chain) = world(300);
    run_to_without_mining(&mut driver, &mut chain, State::Planned);
    show(&mut driver, &mut chain, |view| view.nonce += 2);
    driver.settle(&mut chain);
    assert_eq!(driver.signs[0].nonce, 2);
    finish(&mut driver, &mut chain);
    driver.grow(5_000);
    finish(&mut driver, &mut chain);
    let nonces: Vec<u64> = driver.signs.iter().map(|sign| sign.nonce).collect();
    assert_eq!(nonces, [2, 0, 1, 3], "three for the first statement, of which two revert, then the next");
    let reverted =
        chain.blocks.iter().flat_map(|block| &block.transactions).filter(|(_, done)| !done).count();
    assert_eq!(reverted, 2, "a mined duplicate changes nothing");
}

#[test]
fn a_nonce_used_by_somebody_else_is_left_to_them() {
    let (mut driver, mut chain) = world(300);
    chain.base_fee = 50 * GWEI;
    run_to_without_mining(&mut driver, &mut chain, State::Broadcast);
    chain.mempool.clear();
    chain.mempool.insert(0, Transaction::transfer(0));
    chain.mine();
    finish(&mut driver, &mut chain);
    assert_eq!(driver.signs.iter().map(|sign| sign.nonce).collect::<Vec<_>>(), [0, 1]);
    driver.check_story(&chain);
}

#[test]
fn a_backlog_becomes_one_statement() {
    let (mut driver, mut chain) = world(300);
    finish(&mut driver, &mut chain);
    for _ in 0..500 {
        driver.log_size += 100;
        driver.now = driver.now.plus_millis(BLOCK_MS);
        driver.tell(Event::Log(TreeSize::new(driver.log_size)));
        for effect in std::mem::take(&mut driver.out) {
            driver.perform(effect, &mut chain, Fault::NotDone);
        }
    }
    assert_eq!(words(&driver), ["unreachable"]);
    let snapshot = driver.lane.snapshot(driver.now);
    assert_eq!((snapshot.lag_entries, snapshot.state), (50_000, State::Idle));
    assert!(snapshot.lag_ms >= 499 * BLOCK_MS, "{} ms", snapshot.lag_ms);
    finish(&mut driver, &mut chain);
    assert_eq!((driver.lane.tip().seq, driver.lane.tip().head.size.get()), (2, 50_300));
    assert_eq!(driver.lane.snapshot(driver.now).lag_ms, 0);
}

#[test]
fn a_statement_is_made_by_time_and_by_entries_and_never_of_nothing() {
    let schedule = Schedule { interval_ms: 3_600_000, entries_min: 2, entries_max: 500 };
    let (mut driver, mut chain) = world_with(Config { schedule, ..config() }, 300);
    finish(&mut driver, &mut chain);
    (0..400).for_each(|_| driver.block(&mut chain));
    assert_eq!(driver.lane.tip().seq, 1, "the log did not grow");
    driver.grow(1);
    (0..400).for_each(|_| driver.block(&mut chain));
    assert_eq!(driver.lane.tip().seq, 1, "one entry is too few");
    driver.grow(1);
    finish(&mut driver, &mut chain);
    assert_eq!(driver.lane.tip().seq, 2, "by time");
    driver.grow(499);
    (0..10).for_each(|_| driver.block(&mut chain));
    assert_eq!(driver.state(), State::Idle, "too early for 499 entries");
    driver.grow(1);
    driver.block(&mut chain);
    assert!(driver.state() > State::Idle, "500 entries are a reason at once");
}

#[test]
fn files_that_are_there_win_and_files_that_do_not_fit_are_an_alarm() {
    let (mut driver, mut chain) = world(300);
    let Some(at) = step_to(&mut driver, &mut chain, |effect| matches!(effect, Effect::Build(_))) else {
        panic!()
    };
    let build = driver.out.remove(at);
    driver.carry_out(build, &mut chain, Fault::None);
    driver.grow(100);
    driver.crash(false);
    finish_first(&mut driver, &mut chain);
    assert_eq!(driver.lane.tip().head.size.get(), 300, "not 400");

    driver.grow(5_000);
    let Some(at) = step_to(&mut driver, &mut chain, |effect| matches!(effect, Effect::Build(_))) else {
        panic!()
    };
    let Effect::Build(build) = driver.out.remove(at) else { panic!() };
    let statement = Hash::of(b"x");
    let to = ledgerstone::anchor::statement::Head { size: build.size, root: statement };
    driver.tell(Event::Built(Built { seq: build.seq, to, statement, previous: Hash::of(b"not ours") }));
    assert_eq!(words(&driver), ["wrong_statement"]);
    assert_eq!(driver.state(), State::Idle);
    finish(&mut driver, &mut chain);
}

fn finish_first(driver: &mut Driver, chain: &mut Chain) {
    assert!(driver.run_until(chain, 100, |driver| driver.lane.tip().seq == 1));
}

/// Carries effects out until one is wanted; its place among those that are.
fn step_to(driver: &mut Driver, chain: &mut Chain, wanted: fn(&Effect) -> bool) -> Option<usize> {
    for _ in 0..2_000 {
        if let Some(at) = driver.out.iter().position(wanted) {
            return Some(at);
        }
        if driver.out.is_empty() {
            chain.mine();
            driver.pass(BLOCK_MS);
        } else {
            let effect = driver.out.remove(0);
            driver.perform(effect, chain, Fault::None);
        }
    }
    None
}

#[test]
fn a_proof_is_asked_for_again_until_it_is_there_and_the_next_statement_waits_for_it() {
    let (mut driver, mut chain) = world(300);
    let is_capture = |effect: &Effect| matches!(effect, Effect::Capture(_));
    let mut blocks = Vec::new();
    for turn in 0..6 {
        let at = step_to(&mut driver, &mut chain, is_capture).unwrap();
        let effect = driver.out.remove(at);
        let Effect::Capture(capture) = effect else { panic!() };
        blocks.push(capture.block.number);
        let seq = capture.seq;
        let is_wrong = turn >= 3;
        driver.tell(if is_wrong { Event::CaptureFailed { seq } } else { Event::CaptureWaits { seq } });
        assert_eq!(words(&driver), if is_wrong { vec!["capture"] } else { vec![] }, "turn {turn}");
        driver.grow(5_000);
    }
    assert!(blocks.is_sorted_by(|a, b| a < b), "each time at a newer final block: {blocks:?}");
    assert_eq!((words(&driver), driver.state()), (vec!["capture"], State::Finalized));
    driver.crash(true);
    finish(&mut driver, &mut chain);
    assert_eq!(driver.lane.tip().seq, 2, "30,000 entries that came meanwhile are one statement");
}

#[test]
fn a_block_that_is_final_no_more_is_not_captured() {
    let (mut driver, mut chain) = world(300);
    let at = step_to(&mut driver, &mut chain, |effect| matches!(effect, Effect::Capture(_))).unwrap();
    let Effect::Capture(capture) = driver.out.remove(at) else { panic!() };
    show(&mut driver, &mut chain, |view| view.head_finalized = chain_start());
    driver.settle(&mut chain);
    assert_eq!(driver.state(), State::Safe, "taken back");
    driver.tell(Event::Captured { seq: capture.seq });
    assert_eq!(driver.state(), State::Safe, "an answer that comes late is none");
    finish(&mut driver, &mut chain);
}

fn chain_start() -> ledgerstone::anchor::scheduler::ContractHead {
    Chain::new(1, 1).tip().head
}

#[test]
fn an_entry_is_appended_until_the_log_has_it() {
    let (mut driver, mut chain) = world(300);
    let is_append = |effect: &Effect| matches!(effect, Effect::AppendEntry(_));
    for fault in [Fault::NotDone, Fault::DoneButFailed] {
        let at = step_to(&mut driver, &mut chain, is_append).unwrap();
        let effect = driver.out.remove(at);
        driver.perform(effect, &mut chain, fault);
        assert_eq!(words(&driver), ["append"]);
    }
    driver.crash(true);
    finish(&mut driver, &mut chain);
    driver.settle(&mut chain);
    assert_eq!(driver.appended, [1, 1], "once unseen, once seen, and no more");
}

#[test]
fn the_log_is_waited_for_when_it_takes_no_entries() {
    let schedule = Schedule { interval_ms: 0, entries_min: 1, entries_max: 1 };
    let mut driver = Driver::new(Config { schedule, ..config() });
    let mut chain = Chain::new(0, 0);
    driver.grow(1);
    for _ in 0..2_000 {
        chain.mine();
        driver.now = driver.now.plus_millis(BLOCK_MS);
        driver.grow(1);
        while !driver.out.is_empty() {
            let effect = driver.out.remove(0);
            let fault = if matches!(effect, Effect::AppendEntry(_)) { Fault::NotDone } else { Fault::None };
            driver.perform(effect, &mut chain, fault);
        }
    }
    assert_eq!(driver.lane.tip().seq, 64, "INV-7: what waits for the log is bounded");
    assert_eq!(words(&driver), ["append"]);
    for _ in 0..200 {
        driver.block(&mut chain);
    }
    assert_eq!(driver.appended[..64], (1..=64).collect::<Vec<u64>>()[..]);
}

#[test]
fn a_key_that_gives_no_signature_is_asked_again() {
    let (mut driver, mut chain) = world(300);
    for _ in 0..3 {
        let at = step_to(&mut driver, &mut chain, |effect| matches!(effect, Effect::Sign(_))).unwrap();
        let effect = driver.out.remove(at);
        driver.perform(effect, &mut chain, Fault::NotDone);
        assert_eq!(words(&driver), ["signing"]);
    }
    finish(&mut driver, &mut chain);
    assert_eq!(words(&driver), Vec::<&str>::new());
}

#[test]
fn endpoints_that_contradict_each_other_or_refuse_are_alarms_and_nothing_is_believed() {
    let (mut driver, mut chain) = world(300);
    run_to_without_mining(&mut driver, &mut chain, State::Signed);
    driver.out.clear();
    driver.restart();
    for (event, word) in [(Event::Disagree, "disagree"), (Event::Unreachable, "unreachable")] {
        driver.pass(BLOCK_MS);
        let at = step_to(&mut driver, &mut chain, |effect| matches!(effect, Effect::Observe { .. })).unwrap();
        driver.out.remove(at);
        driver.tell(event);
        assert_eq!(words(&driver), [word]);
        assert!(driver.sent.is_empty());
    }
    let at = step_to(&mut driver, &mut chain, |effect| matches!(effect, Effect::Broadcast { .. })).unwrap();
    let Effect::Broadcast { transaction, .. } = driver.out.remove(at) else { panic!() };
    driver.tell(Event::Broadcast { transaction, outcome: Broadcast::Refused });
    assert_eq!(words(&driver), ["refused"]);
    finish(&mut driver, &mut chain);
    assert_eq!(words(&driver), Vec::<&str>::new());
}

#[test]
fn receipts_alone_are_not_believed() {
    let (mut driver, mut chain) = world(300);
    chain.base_fee = 50 * GWEI;
    run_to_without_mining(&mut driver, &mut chain, State::Broadcast);
    let transaction = driver.lane.attempts()[0].transaction;
    for _ in 0..5 {
        show(&mut driver, &mut chain, |view| {
            let block = view.latest;
            view.receipts =
                vec![ledgerstone::anchor::scheduler::Receipt { transaction, block, succeeded: true }];
        });
    }
    assert_eq!(driver.state(), State::Broadcast, "the contract does not hold it");
    // The contract holds it and no endpoint knows the receipt: that is enough.
    chain.base_fee = 10 * GWEI;
    chain.mempool.clear();
    chain.send(Transaction::read(&driver.lane.attempts()[0].raw));
    chain.mine();
    show(&mut driver, &mut chain, |view| view.receipts.clear());
    driver.settle(&mut chain);
    assert_eq!(driver.state(), State::Mined);
    finish(&mut driver, &mut chain);
}

#[test]
fn only_a_receipt_of_success_below_the_state_says_where_it_was_mined() {
    type Change = fn(&mut ledgerstone::anchor::scheduler::Receipt);
    let cases: [(Change, bool); 4] = [
        (|_| {}, true),
        (|receipt| receipt.succeeded = false, false),
        (|receipt| receipt.block.number += 1_000, false),
        (|receipt| receipt.transaction = TransactionHash::from_bytes([9; 32]), false),
    ];
    for (at, (change, is_known)) in cases.into_iter().enumerate() {
        let (mut driver, mut chain) = world(300);
        run_to_without_mining(&mut driver, &mut chain, State::Broadcast);
        let transaction = driver.lane.attempts()[0].transaction;
        chain.mine();
        show(&mut driver, &mut chain, |view| view.receipts.iter_mut().for_each(change));
        driver.settle(&mut chain);
        let place = driver.lane.place().unwrap();
        assert_eq!(place.transaction, is_known.then_some(transaction), "case {at}");
    }
}

#[test]
fn a_journal_that_was_cut_short_goes_on_where_it_stood() {
    let (mut driver, mut chain) = world(300);
    assert_eq!(driver.lane.resumed(), None);
    finish(&mut driver, &mut chain);
    let first = driver.lane.resumed().unwrap();
    driver.journal = vec![first.encode()];
    driver.restart();
    driver.grow(5_000);
    finish(&mut driver, &mut chain);
    assert_eq!(driver.lane.tip().seq, 2);
    assert_eq!(driver.signs[1].nonce, 1);
}

#[test]
fn a_lane_does_nothing_before_it_knows_the_log() {
    let mut lane = Scheduler::new(config());
    let now = ledgerstone::time::UnixMillis::new(1);
    assert_eq!(lane.handle(now, Event::Tick), []);
    assert!(matches!(lane.handle(now, Event::Log(TreeSize::new(1)))[..], [Effect::Observe { .. }]));
}
