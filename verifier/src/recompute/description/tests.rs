use super::*;

fn description(columns: &str) -> Result<Description, ModelError> {
    let text = format!(
        r#"{{"format": "ledgerstone-recompute/v1", "model": "m.json", "dtype": "FP64", "columns": {columns}}}"#
    );
    Description::parse(text.as_bytes())
}

fn number(column: &str, feature: Feature<'_>) -> Result<f64, ColumnError> {
    let description = description(&format!("[{column}]")).unwrap();
    description.columns.unwrap()[0].number(feature)
}

#[test]
fn steps_make_the_column_in_their_order() {
    let scaled = r#"{"feature": "x", "steps": [{"impute": 4.0}, {"subtract": 1.0}, {"divide": 2.0}]}"#;
    assert_eq!(number(scaled, Feature::Missing), Ok(1.5));
    assert_eq!(number(scaled, Feature::Number(2.0)), Ok(0.5));
    let other = r#"{"feature": "x", "steps": [{"divide": 2.0}, {"subtract": 1.0}]}"#;
    assert_eq!(number(other, Feature::Number(2.0)), Ok(0.0));
    assert!(number(other, Feature::Missing).unwrap().is_nan());
}

#[test]
fn categories_become_numbers() {
    let one_hot = r#"{"feature": "job", "steps": [{"equals": "clerk"}]}"#;
    assert_eq!(number(one_hot, Feature::Text("clerk")), Ok(1.0));
    assert_eq!(number(one_hot, Feature::Text("Clerk")), Ok(0.0));
    assert_eq!(number(one_hot, Feature::Missing), Ok(0.0));
    let ordinal = r#"{"feature": "job", "steps": [{"one_of": ["clerk", 3, true]}]}"#;
    assert_eq!(number(ordinal, Feature::Number(3.0)), Ok(1.0));
    assert_eq!(number(ordinal, Feature::Bool(true)), Ok(2.0));
    assert!(matches!(number(ordinal, Feature::Text("smith")), Err(ColumnError::Unknown { step: 1, .. })));
}

#[test]
fn bins_clips_and_roundings_are_those_of_the_page() {
    let bins = r#"{"feature": "x", "steps": [{"bins": [1.0, 2.0]}]}"#;
    for (value, bin) in [(0.5, 0.0), (1.0, 1.0), (1.5, 1.0), (2.0, 2.0), (9.0, 2.0)] {
        assert_eq!(number(bins, Feature::Number(value)), Ok(bin));
    }
    let clip = r#"{"feature": "x", "steps": [{"clip": [0.0, 1.0]}]}"#;
    assert_eq!(number(clip, Feature::Number(-3.0)), Ok(0.0));
    let round = r#"{"feature": "x", "steps": ["round_to_f32", {"multiply": 2.0}]}"#;
    assert_eq!(number(round, Feature::Number(0.1)), Ok(f64::from(0.1_f32) * 2.0));
    assert_eq!(number(r#"{"feature": "x", "steps": ["is_missing"]}"#, Feature::Missing), Ok(1.0));
}

#[test]
fn text_without_a_step_for_it_is_refused() {
    let plain = r#"{"feature": "x"}"#;
    assert!(matches!(number(plain, Feature::Text("a")), Err(ColumnError::NoNumber { .. })));
    let scaled = r#"{"feature": "x", "steps": [{"divide": 2.0}]}"#;
    assert!(matches!(number(scaled, Feature::Text("a")), Err(ColumnError::NotANumber { .. })));
}

#[test]
fn what_the_page_does_not_have_is_refused() {
    for columns in [
        r#"[{"feature": "x", "steps": [{"log": 1.0}]}]"#,
        r#"[{"feature": "x", "steps": [{"divide": 0.0}]}]"#,
        r#"[{"feature": "x", "steps": [{"bins": [2.0, 1.0]}]}]"#,
        r#"[{"feature": "x", "steps": [{"clip": [2.0, 1.0]}]}]"#,
        r#"[{"feature": "x", "scale": 2}]"#,
    ] {
        assert!(description(columns).is_err(), "{columns}");
    }
    let other = r#"{"format": "ledgerstone-recompute/v2", "model": "m.json", "dtype": "FP64"}"#;
    assert!(matches!(Description::parse(other.as_bytes()), Err(ModelError::Unsupported { .. })));
    let label = r#"{"format": "ledgerstone-recompute/v1", "model": "m", "dtype": "FP64",
        "label": {"largest": {"of": "answer", "names": []}}}"#;
    assert!(matches!(Description::parse(label.as_bytes()), Err(ModelError::Malformed { .. })));
}
