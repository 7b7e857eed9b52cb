//! The rule at its edges; `tests/audit_simulation.rs` follows it through whole audits.

use std::collections::HashMap;

use ledgerstone::checkpoint::Checkpoint;
use ledgerstone::hash::Hash;
use ledgerstone::merkle::TreeSize;

use super::super::*;
use super::*;

fn plan(method: Method, expected: &str, allowed: u64) -> Plan {
    Plan {
        checkpoint: Checkpoint {
            origin: "log.example.com/lending".parse().unwrap(),
            size: TreeSize::new(1000),
            root: Hash::of(b"root"),
        },
        first: 0,
        last: 999,
        method,
        tolerable: "5%".parse().unwrap(),
        confidence: "95%".parse().unwrap(),
        expected: expected.parse().unwrap(),
        allowed,
        profile: None,
        pass_ambiguous: false,
        strata: None,
        beacons: vec!["block:bitcoin:1".parse().unwrap()],
    }
}

fn after(plan: &Plan, decisions: u64, exceptions: u64) -> Conclusion {
    plan.conclude(Found { decisions, exceptions, is_all: false }).unwrap()
}

#[test]
fn a_fixed_plan_looks_once_after_its_last_decision() {
    let plan = plan(Method::Fixed, "0%", 1);
    assert_eq!(plan.decisions(), Ok(93));
    for exceptions in [0, 1, 2, 50] {
        assert_eq!(after(&plan, 92, exceptions), Conclusion::GoOn, "{exceptions}");
    }
    assert_eq!(after(&plan, 93, 1), Conclusion::Shown);
    assert_eq!(after(&plan, 93, 2), Conclusion::NotShown);
}

#[test]
fn a_sequential_plan_stops_as_soon_as_its_evidence_is_enough() {
    let plan = plan(Method::Sequential, "0.5%", 1);
    let (clean, with_one) = (65, plan.decisions().unwrap());
    assert_eq!(with_one, 116);
    assert_eq!((after(&plan, 0, 0), after(&plan, clean - 1, 0)), (Conclusion::GoOn, Conclusion::GoOn));
    assert_eq!(after(&plan, clean, 0), Conclusion::Shown);
    assert_eq!((after(&plan, clean, 1), after(&plan, 115, 1)), (Conclusion::GoOn, Conclusion::GoOn));
    assert_eq!(after(&plan, with_one, 1), Conclusion::Shown);
}

#[test]
fn a_sequential_plan_ends_where_it_can_no_longer_be_enough() {
    let with_two = plan(Method::Sequential, "0.5%", 1);
    assert_eq!(after(&with_two, 2, 2), Conclusion::NotShown);
    let none_expected = plan(Method::Sequential, "0%", 0);
    assert_eq!(after(&none_expected, 1, 1), Conclusion::NotShown);
    assert_eq!(after(&none_expected, 58, 0), Conclusion::GoOn);
    assert_eq!(after(&none_expected, 59, 0), Conclusion::Shown);
}

#[test]
fn where_all_decisions_were_drawn_their_rate_decides() {
    for method in [Method::Fixed, Method::Sequential] {
        let plan = plan(method, "0%", 0);
        let all =
            |decisions, exceptions| plan.conclude(Found { decisions, exceptions, is_all: true }).unwrap();
        assert_eq!((all(21, 1), all(20, 1)), (Conclusion::Shown, Conclusion::NotShown));
        assert_eq!((all(1, 0), all(1, 1)), (Conclusion::Shown, Conclusion::NotShown));
        assert_eq!(all(0, 0), Conclusion::NotShown, "of nothing, nothing is shown");
    }
}

#[test]
fn refuses_more_exceptions_than_decisions() {
    let plan = plan(Method::Fixed, "0%", 0);
    let found = Found { decisions: 3, exceptions: 4, is_all: false };
    let error = AuditError::Exceptions { exceptions: 4, sample: 3 };
    assert_eq!(plan.conclude(found), Err(error.into()));
}

/// The chance that an urn of `population` decisions, of which `bad` are exceptions, is called tolerable before all were drawn.
fn passes(plan: &Plan, rule: &mut HashMap<Found, Conclusion>, population: u64, bad: u64) -> f64 {
    let (mut at, mut shown) = (vec![1.0], 0.0);
    for drawn in 1..population {
        let mut next = vec![0.0; at.len() + 1];
        for (found, chance) in at.iter().enumerate() {
            let hit = bad.saturating_sub(found as u64) as f64 / (population - drawn + 1) as f64;
            next[found] += chance * (1.0 - hit.min(1.0));
            next[found + 1] += chance * hit.min(1.0);
        }
        at = next;
        for (exceptions, chance) in (0..=drawn).zip(&mut at) {
            let found = Found { decisions: drawn, exceptions, is_all: false };
            if *chance == 0.0 {
                continue;
            }
            match rule.entry(found).or_insert_with(|| plan.conclude(found).unwrap()) {
                Conclusion::GoOn => {}
                Conclusion::NotShown => *chance = 0.0,
                Conclusion::Shown => shown += std::mem::take(chance),
            }
        }
        while at.last() == Some(&0.0) {
            at.pop();
        }
    }
    shown
}

#[test]
fn draws_without_replacement_are_wrong_no_more_often_than_independent_ones() {
    let populations = (2..=130).chain([200, 333, 500, 1000, 3000]);
    for (method, tolerable, expected, allowed) in [
        (Method::Fixed, "5%", "0%", 0),
        (Method::Fixed, "10%", "0%", 2),
        (Method::Sequential, "5%", "0.5%", 4),
        (Method::Sequential, "10%", "5%", 9),
        (Method::Sequential, "50%", "10%", 6),
    ] {
        let plan = Plan { tolerable: tolerable.parse().unwrap(), ..plan(method, expected, allowed) };
        let mut rule = HashMap::new();
        let mut worst: f64 = 0.0;
        for population in populations.clone() {
            let bad = intolerable_count(plan.tolerable, population);
            worst = worst.max(passes(&plan, &mut rule, population, bad));
        }
        assert!(worst > 0.02 && worst <= 0.05, "{method:?} below {tolerable}: {worst}");
    }
}
