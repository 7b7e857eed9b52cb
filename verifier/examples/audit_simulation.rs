//! How audits end, and how long they take, where the rate of exceptions is known.
//!
//!     cargo run --release -p ledgerstone-verifier --example audit_simulation -- AUDITS
//!
//! Each audit draws by the real draw, from a seed of its own, and stops by the rule of its plan.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    missing_docs,
    reason = "a simulation fails by panicking, and prints"
)]

#[path = "../tests/support/audits.rs"]
#[allow(dead_code, reason = "the test that shares this file looks at more of it")]
mod audits;

use ledgerstone_verifier::audit::{Method, Plan, Rate};

fn main() {
    let count = std::env::args().nth(1).map_or(10_000, |count| count.parse().expect("a number of audits"));
    let rate = |text: &str| text.parse::<Rate>().expect("a rate");
    let plans = [
        (Method::Fixed, "1%", "0%", 0),
        (Method::Sequential, "1%", "0.1%", 9),
        (Method::Fixed, "5%", "0%", 0),
        (Method::Sequential, "5%", "0.5%", 9),
    ];
    let plans = plans
        .map(|(method, tolerable, expected, allowed)| audits::plan(method, tolerable, expected, allowed));
    let truths = ["0%", "0.1%", "0.5%", "1%", "2%", "5%"].map(rate);
    let cases: Vec<(&Plan, Rate)> =
        plans.iter().flat_map(|plan| truths.iter().map(move |truth| (plan, *truth))).collect();
    println!("{count} audits each, with 95% confidence, of a log of a million decisions\n");
    println!(
        "{:<44} {:>9} {:>8} {:>9} {:>8} {:>9} {:>6} {:>12}",
        "plan", "true rate", "shown", "computed", "mean", "computed", "p95", "bound holds"
    );
    for ((plan, truth), found) in cases.iter().zip(audits::simulate(&cases, count)) {
        let (shown, mean) = audits::computed(plan, *truth);
        let Plan { method, tolerable, expected, allowed, .. } = plan;
        let name = format!("{method:?} below {tolerable}, expected {expected}, allowed {allowed}");
        let [found_shown, shown, covered] =
            [found.shown, shown, found.covered].map(|share| format!("{:.2}%", 100.0 * share));
        println!(
            "{name:<44} {:>9} {found_shown:>8} {shown:>9} {:>8.1} {mean:>9.1} {:>6} {covered:>12}",
            truth.to_string(),
            found.mean,
            found.percentile_95
        );
    }
}
