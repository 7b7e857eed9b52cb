//! Audit statistics against published tables, exact fractions and the laws that they must obey.

use serde_json::Value;

use super::tail::{binomial, hypergeometric};
use super::*;

/// Exact results, by `tests/oracle/audit_vectors.py`.
const VECTORS: &str = include_str!("../../tests/vectors/audit.json");

fn rate(text: &str) -> Rate {
    text.parse().unwrap()
}

fn vectors(part: &str) -> Vec<Value> {
    let vectors: Value = serde_json::from_str(VECTORS).unwrap();
    vectors[part].as_array().unwrap().clone()
}

/// Sample, exceptions and population of a vector.
fn counts(row: &Value) -> (u64, u64, Option<u64>) {
    (row["sample"].as_u64().unwrap(), row["exceptions"].as_u64().unwrap(), row["population"].as_u64())
}

fn rate_of(row: &Value, key: &str) -> Rate {
    rate(row[key].as_str().unwrap())
}

fn size(tolerable: &str, confidence: &str, population: Option<u64>, allowed: u64) -> u64 {
    fixed_size(rate(tolerable), rate(confidence), population, allowed).unwrap()
}

#[test]
fn gives_the_sizes_of_the_discovery_sampling_table() {
    let table = [
        ("10%", [22, 29, 44]),
        ("5%", [45, 59, 90]),
        ("2%", [114, 149, 228]),
        ("1%", [230, 299, 459]),
        ("0.5%", [460, 598, 919]),
        ("0.1%", [2302, 2995, 4603]),
    ];
    for (tolerable, sizes) in table {
        for (confidence, expected) in ["90%", "95%", "99%"].into_iter().zip(sizes) {
            assert_eq!(size(tolerable, confidence, None, 0), expected, "{tolerable} at {confidence}");
        }
    }
    for (tolerable, sizes) in [("5%", [59, 93, 124, 153]), ("1%", [299, 473, 628, 773])] {
        for (allowed, expected) in (0..).zip(sizes) {
            assert_eq!(size(tolerable, "95%", None, allowed), expected, "{tolerable} with {allowed}");
        }
    }
    for (population, expected) in [(500, 225), (1000, 258), (10_000, 294), (100_000, 298)] {
        assert_eq!(size("1%", "95%", Some(population), 0), expected, "of {population}");
    }
}

#[test]
fn gives_the_clopper_pearson_bounds_of_three_hundred() {
    for (exceptions, expected) in [(0, "1.0"), (1, "1.6"), (2, "2.1"), (3, "2.6")] {
        let bound = upper_bound(300, exceptions, None, rate("95%")).unwrap();
        let tenths = (bound.rate.billionths() + 500_000) / 1_000_000;
        assert_eq!(format!("{}.{}", tenths / 10, tenths % 10), expected);
    }
}

#[test]
fn gives_the_sizes_of_exact_fractions() {
    for row in vectors("sizes") {
        let (tolerable, confidence) = (rate_of(&row, "tolerable"), rate_of(&row, "confidence"));
        let allowed = row["allowed"].as_u64().unwrap();
        let found = fixed_size(tolerable, confidence, row["population"].as_u64(), allowed).unwrap();
        assert_eq!(found, row["decisions"], "{row}");
    }
}

#[test]
fn gives_the_bounds_of_exact_fractions() {
    for row in vectors("bounds") {
        let (sample, exceptions, population) = counts(&row);
        let bound = upper_bound(sample, exceptions, population, rate_of(&row, "confidence")).unwrap();
        let expected = row["bound"].as_u64().unwrap();
        match bound.count {
            Some(count) => assert_eq!(count, expected, "{row}"),
            None => assert_eq!(bound.rate.billionths(), expected, "{row}"),
        }
    }
}

#[test]
fn gives_the_evidence_of_exact_fractions() {
    for row in vectors("evidence") {
        let (sample, exceptions, population) = counts(&row);
        let rates = (rate_of(&row, "tolerable"), rate_of(&row, "expected"));
        let found = evidence((sample, exceptions), population, rates, rate_of(&row, "confidence")).unwrap();
        assert_eq!(found.thousandths, row["thousandths"].as_u64().unwrap_or(u64::MAX), "{row}");
        assert_eq!(found.is_enough, row["enough"], "{row}");
    }
}

#[test]
fn a_sequential_plan_costs_nothing_where_nothing_is_found() {
    let plan = |expected| sequential_size((rate("1%"), rate(expected)), rate("95%"), None, 0).unwrap();
    assert_eq!(plan("0%"), 299);
    assert_eq!(plan("0.1%"), 332);
    let of_thousand = sequential_size((rate("1%"), rate("0%")), rate("95%"), Some(1000), 0);
    assert_eq!(of_thousand, Ok(size("1%", "95%", Some(1000), 0)));
}

/// The distribution of the sequential plan's length when the true rate is `truth`: for each number of draws, the chance that it
/// stops there. A log's state is its exceptions so far; a plan stops as soon as its evidence is enough.
fn stops(truth: f64, tolerable: &str, expected: &str, draws: u64) -> Vec<f64> {
    let rates = (rate(tolerable), rate(expected));
    let least: Vec<_> =
        (0..30).map(|found| sequential_size(rates, rate("95%"), None, found).unwrap()).collect();
    let mut at = vec![0.0; least.len() + 1];
    at[0] = 1.0;
    let mut stopped = vec![0.0];
    for drawn in 1..=draws {
        let mut now = 0.0;
        for found in (0..at.len()).rev() {
            let before = if found == 0 { 0.0 } else { at[found - 1] };
            at[found] = at[found] * (1.0 - truth) + before * truth;
        }
        for (found, least) in least.iter().enumerate() {
            if drawn >= *least {
                now += std::mem::take(&mut at[found]);
            }
        }
        stopped.push(now);
    }
    stopped
}

fn mean(stopped: &[f64]) -> f64 {
    stopped.iter().enumerate().map(|(drawn, chance)| drawn as f64 * chance).sum()
}

#[test]
fn a_sequential_plan_is_as_long_and_as_safe_as_published() {
    let honest = stops(0.001, "1%", "0.1%", 6000);
    assert!(honest.iter().sum::<f64>() > 0.999_999);
    assert!((mean(&honest) - 445.0).abs() < 2.0, "{}", mean(&honest));
    let mut sum = 0.0;
    let percentile = honest.iter().position(|chance| {
        sum += chance;
        sum >= 0.95
    });
    assert_eq!(percentile, Some(842));
    let strict = stops(0.005, "5%", "0.5%", 2000);
    assert!((mean(&strict) - 87.0).abs() < 1.0, "{}", mean(&strict));
    let wrong: f64 = stops(0.01, "1%", "0.1%", 5000).iter().sum();
    assert!((0.04..=0.05).contains(&wrong), "an intolerable log passes with {wrong}");
}

#[test]
fn an_intolerable_population_passes_an_urn_as_seldom_as_promised() {
    // Every order of drawing 40 decisions with 4 exceptions, tolerable below 4: the state is (drawn, found).
    let (population, bad) = (40_u64, 4_u64);
    let rates = (rate("10%"), rate("2.5%"));
    let mut at = vec![0.0; 5];
    at[0] = 1.0;
    let mut wrong = 0.0;
    for drawn in 0..population {
        let mut next = vec![0.0; 5];
        for (found, chance) in at.iter().enumerate() {
            let hit = (bad - found as u64) as f64 / (population - drawn) as f64;
            next[found] += chance * (1.0 - hit).max(0.0);
            if found < 4 {
                next[found + 1] += chance * hit;
            }
        }
        at = next;
        for (found, chance) in (0..=4.min(drawn + 1)).zip(&mut at) {
            let shown = evidence((drawn + 1, found), Some(population), rates, rate("80%")).unwrap();
            if shown.is_enough {
                wrong += std::mem::take(chance);
            }
        }
    }
    assert!(wrong > 0.05 && wrong <= 0.2, "{wrong}");
}

#[test]
fn sizes_move_the_way_they_must() {
    let tolerable = ["0.3%", "1%", "4.7%", "20%", "60%", "99%"];
    for pair in tolerable.windows(2) {
        for allowed in 0..6 {
            for confidence in ["50%", "80%", "95%", "99.9%"] {
                let strict = size(pair[0], confidence, None, allowed);
                assert!(strict >= size(pair[1], confidence, None, allowed), "a lower rate needs no fewer");
                assert!(size(pair[0], confidence, None, allowed + 1) > strict, "an exception costs");
                assert!(size(pair[0], "99.99%", None, allowed) >= strict, "confidence costs");
                let urn = fixed_size(rate(pair[0]), rate(confidence), Some(5000), allowed).unwrap();
                assert!(urn <= strict, "without replacement no more are needed");
            }
        }
    }
}

#[test]
fn bounds_move_the_way_they_must_and_agree_with_sizes() {
    for sample in [1, 2, 7, 40, 299] {
        let mut last = Rate::NONE;
        for exceptions in 0..=sample.min(12) {
            let bound = upper_bound(sample, exceptions, None, rate("95%")).unwrap();
            assert!(bound.rate > last, "one exception more raises the bound");
            last = bound.rate;
            assert!(bound.rate >= Rate::from_billionths(exceptions * Rate::WHOLE / sample).unwrap());
            let more = upper_bound(sample + 1, exceptions, None, rate("95%")).unwrap();
            assert!(more.rate <= bound.rate, "one match more does not raise it");
            let urn = upper_bound(sample, exceptions, Some(900), rate("95%")).unwrap();
            assert!(urn.rate.billionths() <= bound.rate.billionths() + Rate::WHOLE / 900 + 1);
        }
    }
    for allowed in 0..8 {
        let enough = size("3%", "95%", None, allowed);
        let rate_at = |sample| upper_bound(sample, allowed, None, rate("95%")).unwrap().rate;
        assert!(rate_at(enough) <= rate("3%") && rate_at(enough - 1) > rate("3%"));
    }
}

#[test]
fn chances_add_up_and_are_known_to_twelve_digits() {
    for (sample, text) in [(20, "30%"), (1_000_000, "0.001%"), (SAMPLE_MAX, "0.9%"), (5000, "99.9999999%")] {
        for exceptions in [0, 1, 100, EXCEPTIONS_MAX] {
            assert!(
                binomial(exceptions, sample, rate(text)).is_known_to_39_bits(),
                "{exceptions} of {sample}"
            );
        }
    }
    for (sample, bad, population) in [(1_000_000, 20_000, 1 << 40), (900, 20, 910), (900, 905, 910)] {
        for exceptions in [0, 10, 15, 890, 899] {
            assert!(hypergeometric(exceptions, sample, bad, population).is_known_to_39_bits());
        }
    }
    // All ways to draw three of ten of which four are bad: 20, 80, 116 and 120 of 120.
    for (exceptions, ways) in [(0, 20), (1, 80), (2, 116), (3, 120)] {
        let chance = hypergeometric(exceptions, 3, 4, 10);
        assert!(chance.times(wide::Wide::whole(120)).is_at_most(wide::Wide::ratio(ways * 1000 + 1, 1000)));
        assert!(wide::Wide::ratio(ways * 1000 - 1, 1000).is_at_most(chance.times(wide::Wide::whole(120))));
    }
}

#[test]
fn refuses_questions_without_an_answer() {
    let (one, sure) = (rate("1%"), rate("95%"));
    assert_eq!(fixed_size(Rate::NONE, sure, None, 0), Err(AuditError::Open { name: "tolerable rate" }));
    assert_eq!(fixed_size(one, rate("100%"), None, 0), Err(AuditError::Open { name: "confidence" }));
    assert_eq!(fixed_size(one, sure, Some(0), 0), Err(AuditError::Empty { what: "population" }));
    assert_eq!(fixed_size(rate("0.0000001%"), sure, None, 0), Err(AuditError::TooLarge));
    let allowed = AuditError::Allowed { allowed: 3, intolerable: 3, population: 300 };
    assert_eq!(fixed_size(one, sure, Some(300), 3), Err(allowed));
    assert!(matches!(fixed_size(one, sure, None, 10_001), Err(AuditError::Limit { .. })));
    assert!(matches!(upper_bound(10, 0, Some(POPULATION_MAX + 1), sure), Err(AuditError::Limit { .. })));
    assert!(matches!(upper_bound(SAMPLE_MAX + 1, 0, None, sure), Err(AuditError::Limit { .. })));
    assert_eq!(upper_bound(0, 0, None, sure), Err(AuditError::Empty { what: "sample" }));
    let exceptions = AuditError::Exceptions { exceptions: 3, sample: 2 };
    assert_eq!(upper_bound(2, 3, None, sure), Err(exceptions));
    assert_eq!(upper_bound(3, 0, Some(2), sure), Err(AuditError::Sample { sample: 3, population: 2 }));
    assert_eq!(evidence((9, 0), None, (one, one), sure), Err(AuditError::Expected));
    assert_eq!(sequential_size((one, Rate::NONE), sure, None, 1), Err(AuditError::NoneExpected));
}

#[test]
fn reads_a_rate_in_one_way_only() {
    for (text, billionths) in
        [("1%", 10_000_000), ("0.5%", 5_000_000), ("99.9999999%", 999_999_999), ("100%", 1_000_000_000)]
    {
        assert_eq!(rate(text).billionths(), billionths);
        assert_eq!(rate(text).to_string(), text);
    }
    assert_eq!(rate("01.50%").to_string(), "1.5%");
    for text in ["", "%", "1", "1.%", ".5%", "-1%", "+1%", "1 %", "1,5%", "1e1%", "1%%", "\u{0661}%", "0.5"] {
        assert_eq!(text.parse::<Rate>(), Err(RateError::Text), "{text:?}");
    }
    assert_eq!("0.00000001%".parse::<Rate>(), Err(RateError::Digits));
    for text in ["100.0000001%", "101%", "99999999999999999999999%"] {
        assert_eq!(text.parse::<Rate>(), Err(RateError::Above), "{text:?}");
    }
}
