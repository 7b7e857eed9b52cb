//! Ten thousand audits of each kind, of logs whose rate of exceptions is known.
//!
//! Scenario: the seeds are those of the numbers from 0; each audit draws by the real draw and stops by the real rule. Danger: a log that
//! is not tolerable passes more often than its plan says, or audits take longer than promised. Expected: the shares and the mean
//! numbers of decisions are the computed ones, and no intolerable log passes more often than the risk.

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

#[path = "support/audits.rs"]
#[allow(dead_code, reason = "the example that shares this file prints more of it")]
mod audits;

use ledgerstone_verifier::audit::{Method, Plan, Rate};

const AUDITS: u32 = 10_000;

/// The risk that all plans here state.
const RISK: f64 = 0.05;

fn assert_as_computed(plan: &Plan, truth: Rate, simulated: &audits::Audits) {
    let (shown, mean) = audits::computed(plan, truth);
    let error_of = |share: f64| (share * (1.0 - share) / f64::from(AUDITS)).sqrt();
    let found = format!(
        "{:?} at {truth}: shown {} and computed {shown}, mean {} and computed {mean}",
        plan.method, simulated.shown, simulated.mean
    );
    assert!((simulated.shown - shown).abs() <= 3.5 * error_of(shown) + 1e-9, "{found}");
    assert!((simulated.mean - mean).abs() <= 3.5 * simulated.mean_error + 1e-9, "{found}");
    if truth >= plan.tolerable {
        assert!(shown <= RISK, "{found}");
        assert!(simulated.shown <= RISK + 3.5 * error_of(RISK), "{found}");
    }
    if plan.method == Method::Fixed {
        assert!(simulated.covered >= 1.0 - RISK - 3.5 * error_of(RISK), "{found}: {}", simulated.covered);
    }
}

#[test]
fn audits_are_wrong_as_seldom_and_as_long_as_they_say() {
    let fixed = |tolerable, allowed| audits::plan(Method::Fixed, tolerable, "0%", allowed);
    let sequential =
        |tolerable, expected, allowed| audits::plan(Method::Sequential, tolerable, expected, allowed);
    let plans = [
        (fixed("1%", 0), ["0.1%", "1%", "2%"]),
        (fixed("5%", 0), ["0.5%", "5%", "6%"]),
        (fixed("5%", 2), ["1%", "5%", "6%"]),
        (sequential("1%", "0.1%", 3), ["0%", "0.1%", "1%"]),
        (sequential("5%", "0.5%", 9), ["0.5%", "5%", "6%"]),
    ];
    let rate = |text: &&str| text.parse::<Rate>().unwrap();
    let cases: Vec<(&Plan, Rate)> =
        plans.iter().flat_map(|(plan, truths)| truths.iter().map(move |truth| (plan, rate(truth)))).collect();
    for ((plan, truth), simulated) in cases.iter().zip(audits::simulate(&cases, AUDITS)) {
        assert_as_computed(plan, *truth, &simulated);
    }
}
