//! Audits of a log whose rate of exceptions is known: drawn by the real draw, decided by the real rule.

use std::collections::HashMap;

use ledgerstone::checkpoint::Checkpoint;
use ledgerstone::hash::Hash;
use ledgerstone::merkle::TreeSize;
use ledgerstone_verifier::audit::{
    Conclusion, Found, Method, Order, Plan, Rate, sequential_size, upper_bound,
};

/// Decisions in the log: so many that drawing without replacement hardly differs from independent draws.
const POPULATION: u64 = 1_000_000;

/// How the audits of one log under one plan ended.
pub(crate) struct Audits {
    /// Share of those that called the log tolerable.
    pub(crate) shown: f64,
    /// Decisions looked at, on average.
    pub(crate) mean: f64,
    /// Its standard error.
    pub(crate) mean_error: f64,
    /// Decisions that 95 of 100 audits did not pass.
    pub(crate) percentile_95: u64,
    /// Share of those whose upper bound was not below the true rate.
    pub(crate) covered: f64,
}

/// A plan for a log of a million decisions.
pub(crate) fn plan(method: Method, tolerable: &str, expected: &str, allowed: u64) -> Plan {
    let rate = |text: &str| text.parse::<Rate>().expect("a rate");
    Plan {
        checkpoint: Checkpoint {
            origin: "simulated.example.com".parse().expect("an origin"),
            size: TreeSize::new(POPULATION),
            root: Hash::of(b"simulated"),
        },
        first: 0,
        last: POPULATION - 1,
        method,
        tolerable: rate(tolerable),
        confidence: rate("95%"),
        expected: rate(expected),
        allowed,
        profile: None,
        pass_ambiguous: false,
        beacons: vec!["block:bitcoin:1".parse().expect("a source")],
    }
}

/// One log under one plan, and what its audits have found so far.
struct Case<'a> {
    plan: &'a Plan,
    truth: Rate,
    rule: HashMap<Found, Conclusion>,
    bounds: HashMap<Found, bool>,
    shown: u32,
    covered: u32,
    lengths: Vec<u64>,
}

/// Makes `count` audits of each log, of which a known share are exceptions. The number of an audit is its seed, so the audits of one case are
/// independent of each other, and those of two cases are not.
pub(crate) fn simulate(cases: &[(&Plan, Rate)], count: u32) -> Vec<Audits> {
    let mut cases: Vec<_> = cases.iter().map(|(plan, truth)| Case::new(plan, *truth)).collect();
    for number in 0..count {
        let mut order = Order::new(Hash::of(&number.to_be_bytes()), POPULATION);
        let mut places = Vec::new();
        for case in &mut cases {
            case.audit(&mut order, &mut places);
        }
    }
    cases.into_iter().map(Case::summary).collect()
}

impl<'a> Case<'a> {
    fn new(plan: &'a Plan, truth: Rate) -> Self {
        let (rule, bounds) = (HashMap::new(), HashMap::new());
        Self { plan, truth, rule, bounds, shown: 0, covered: 0, lengths: Vec::new() }
    }

    /// One audit; `places` are those that were taken from `order` already.
    fn audit(&mut self, order: &mut Order, places: &mut Vec<u64>) {
        // Where a decision stands does not matter to the draw, so the exceptions may stand first.
        let bad = self.truth.billionths() * POPULATION / Rate::WHOLE;
        let mut found = Found { decisions: 0, exceptions: 0, is_all: false };
        let shown = loop {
            let at = usize::try_from(found.decisions).expect("a place in memory");
            if at == places.len() {
                places.extend(order.next());
            }
            found.decisions += 1;
            found.exceptions += u64::from(places[at] < bad);
            let conclude = || self.plan.conclude(found).expect("a rule");
            match self.rule.entry(found).or_insert_with(conclude) {
                Conclusion::GoOn => {}
                conclusion => break *conclusion == Conclusion::Shown,
            }
        };
        let (plan, truth, Found { decisions, exceptions, .. }) = (self.plan, self.truth, found);
        let bound = || upper_bound(decisions, exceptions, None, plan.confidence).expect("a bound").rate;
        let covers = *self.bounds.entry(found).or_insert_with(|| bound() >= truth);
        self.shown += u32::from(shown);
        self.covered += u32::from(covers);
        self.lengths.push(decisions);
    }

    fn summary(mut self) -> Audits {
        let trials = self.lengths.len() as f64;
        let mean = self.lengths.iter().sum::<u64>() as f64 / trials;
        let variance =
            self.lengths.iter().map(|length| (*length as f64 - mean).powi(2)).sum::<f64>() / trials;
        self.lengths.sort_unstable();
        Audits {
            shown: f64::from(self.shown) / trials,
            mean,
            mean_error: (variance / trials).sqrt(),
            percentile_95: self.lengths[self.lengths.len() * 95 / 100],
            covered: f64::from(self.covered) / trials,
        }
    }
}

/// The chance that an audit calls the log tolerable, and the decisions that it looks at on average, computed from the sizes alone.
pub(crate) fn computed(plan: &Plan, truth: Rate) -> (f64, f64) {
    let rates = (plan.tolerable, plan.expected);
    let last = plan.decisions().expect("a size");
    let truth = truth.billionths() as f64 / Rate::WHOLE as f64;
    let enough = |exceptions: u64| match plan.method {
        Method::Fixed => last,
        Method::Sequential => sequential_size(rates, plan.confidence, None, exceptions).unwrap_or(u64::MAX),
    };
    let sizes: Vec<u64> = (0..=plan.allowed).map(enough).collect();
    // A state is the exceptions found so far; one more than are allowed ends a sequential audit, a fixed one goes on to its last decision.
    let mut at = vec![0.0; sizes.len() + 1];
    at[0] = 1.0;
    let (mut shown, mut mean) = (0.0, 0.0);
    for drawn in 1..=last {
        let lost = at.len() - 1;
        at[lost] += at[lost - 1] * truth;
        for found in (0..lost).rev() {
            let before = if found == 0 { 0.0 } else { at[found - 1] };
            at[found] = at[found] * (1.0 - truth) + before * truth;
        }
        for (found, size) in sizes.iter().enumerate() {
            if drawn >= *size {
                let chance = std::mem::take(&mut at[found]);
                shown += chance;
                mean += chance * drawn as f64;
            }
        }
        if plan.method == Method::Sequential || drawn == last {
            mean += std::mem::take(&mut at[lost]) * drawn as f64;
        }
    }
    (shown, mean)
}
