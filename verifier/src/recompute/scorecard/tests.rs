use super::*;

/// The worked example of `docs/spec/scorecard.md`.
fn example() -> String {
    let page = include_str!("../../../../docs/spec/scorecard.md");
    let card = page.split("```json\n").nth(1).and_then(|rest| rest.split("```").next());
    card.unwrap().to_owned()
}

fn with(from: &str, to: &str) -> Result<Scorecard, ModelError> {
    assert!(example().contains(from), "{from}");
    Scorecard::parse(example().replacen(from, to, 1).as_bytes())
}

#[test]
fn gives_what_the_worked_example_says() {
    let card = Scorecard::parse(example().as_bytes()).unwrap();
    let row = [30.0, 2.0, 0.45];
    assert_eq!(card.contributions(&row), Ok(vec![25.0, 12.0, -32.0, 300.0]));
    assert_eq!(card.score(&row), Ok(305.0));
    let reasons = card.reasons(&row, 4).unwrap();
    let codes: Vec<(&str, f64)> =
        reasons.iter().map(|reason| (reason.code.as_str(), reason.points)).collect();
    assert_eq!(codes, [("R3", 56.0), ("R2", 18.0), ("R1", 15.0)]);
    assert_eq!(card.reasons(&row, 1).unwrap().len(), 1);
}

#[test]
fn puts_a_value_at_a_bound_in_the_bin_above() {
    let card = Scorecard::parse(example().as_bytes()).unwrap();
    for (age, points) in [(24.999, 10.0), (25.0, 25.0), (39.999, 25.0), (40.0, 40.0), (-1e300, 10.0)] {
        assert_eq!(card.contributions(&[age, 1.0, 0.0]).unwrap()[0], points, "{age}");
    }
}

#[test]
fn takes_missing_and_unlisted_values_only_by_a_rule() {
    let card = Scorecard::parse(example().as_bytes()).unwrap();
    assert_eq!(card.contributions(&[f64::NAN, 9.0, 0.0]).unwrap()[..2], [15.0, 5.0]);
    assert!(matches!(card.score(&[30.0, f64::NAN, 0.0]), Err(RowError::Value { feature: 1, .. })));
    assert!(matches!(card.score(&[30.0, f64::INFINITY, 0.0]), Err(RowError::Infinite { feature: 1 })));
    let without = with("\"other\": 5,", "").unwrap();
    assert!(matches!(without.score(&[30.0, 9.0, 0.0]), Err(RowError::Value { feature: 1, .. })));
    assert_eq!(card.score(&[30.0]), Err(RowError::Length { expected: 3, found: 1 }));
}

#[test]
fn adds_in_the_order_of_the_file() {
    // Doubles next to 1e15 are 0.125 apart: 0.06 is lost three times, 0.18 at once would not be.
    let card = example()
        .replace("\"base\": 300", "\"base\": 1e15")
        .replace("\"points\": 25", "\"points\": 0.06")
        .replace("\"points\": 30", "\"points\": 0.06");
    let card = Scorecard::parse(card.as_bytes()).unwrap();
    assert_eq!(card.score(&[30.0, 1.0, 0.25 - 0.06 / 160.0]), Ok(1e15));
}

#[test]
fn turns_reasons_around_where_high_scores_are_bad() {
    let card = with("\"adverse\": \"low\"", "\"adverse\": \"high\"").unwrap();
    let reasons = card.reasons(&[30.0, 2.0, 0.45], 4).unwrap();
    let codes: Vec<(&str, f64)> =
        reasons.iter().map(|reason| (reason.code.as_str(), reason.points)).collect();
    assert_eq!(codes, [("R1", 15.0), ("R2", 7.0)]);
}

#[test]
fn keeps_ties_in_the_order_of_the_file_and_leaves_out_what_cost_nothing() {
    let card = Scorecard::parse(example().as_bytes()).unwrap();
    let tie = with("\"points\": 12", "\"points\": 15").unwrap();
    let codes = |card: &Scorecard, row: &[f64]| -> Vec<String> {
        card.reasons(row, 9).unwrap().into_iter().map(|reason| reason.code).collect()
    };
    assert_eq!(codes(&tie, &[30.0, 2.0, 0.1]), ["R1", "R2"]);
    assert!(codes(&card, &[50.0, 1.0, 0.05]).is_empty());
}

#[test]
fn refuses_cards_that_contradict_themselves_and_says_where() {
    for (from, to, at) in [
        ("\"below\": 40", "\"below\": 25", "terms[0].bins[1]"),
        ("{\"points\": 40}", "{\"below\": 90, \"points\": 40}", "terms[0].bins[2]"),
        ("{\"below\": 25, \"points\": 10}", "{\"points\": 10}", "terms[0].bins[0]"),
        ("\"value\": 2", "\"value\": 1", "terms[1].values[1]"),
        ("\"feature\": \"home\"", "\"feature\": \"age\"", "terms[1].feature"),
        ("\"scale\": 0.5", "\"scale\": 0", "terms[2].scale"),
        ("\"reference\": 0.1,", "", "terms[2].reference"),
        ("\"missing\": 15", "\"other\": 15", "terms[0].other"),
        ("\"missing\": 15", "\"coefficient\": 15", "terms[0]"),
        ("\"base\": 300", "\"base\": 1e16", "base"),
    ] {
        match with(from, to) {
            Err(ModelError::Malformed { place, .. }) => assert_eq!(place, at, "{to}"),
            other => panic!("{to}: {other:?}"),
        }
    }
    for (from, to) in
        [("\"missing\": 15", "\"weight\": 15"), ("\"low\"", "\"both\""), ("\"base\": 300", "\"base\": 1e999")]
    {
        assert!(matches!(with(from, to), Err(ModelError::Syntax { .. })), "{to}");
    }
    assert!(matches!(with("scorecard/v1", "scorecard/v2"), Err(ModelError::Unsupported { .. })));
}
