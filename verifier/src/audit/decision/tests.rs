//! The rule at its edges; `tests/audit_simulation.rs` follows it through whole audits.

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
