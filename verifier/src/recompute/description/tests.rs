use super::*;

fn description(columns: &str) -> Result<Description, ModelError> {
    let text = format!(
        r#"{{"format": "ledgerstone-recompute/v1", "model": "m.json", "dtype": "FP64", "columns": {columns}}}"#
    );
    Description::parse(text.as_bytes())
}

fn number(column: &str, feature: Feature<'_>) -> Result<f64, ColumnError> {
    let description = description(&format!("[{column}]")).unwrap();
    let Input::Row { columns, .. } = description.input else { panic!("it is a row's") };
    columns.unwrap()[0].number(feature)
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

#[test]
fn a_description_is_of_a_row_a_text_or_a_prompt() {
    let of = |rest: &str| {
        Description::parse(format!(r#"{{"format": "ledgerstone-recompute/v1", {rest}}}"#).as_bytes())
    };
    let prompt = |change: (&str, &str)| {
        let prompt = r#""model": "m.gguf", "prompt": {"feature": "p", "tokens_max": 8, "temperature": 0, "top_p": 1,
            "seed": 0, "tokens": "tokens", "logits": "logits"}, "label": {"words": {"names": ["Yes", "no"], "otherwise": "?"}}"#;
        assert!(prompt.contains(change.0));
        of(&prompt.replace(change.0, change.1))
    };
    let text = of(r#""text": {"feature": "resume"}, "scores": [{"name": "s", "of": "vector"}]"#).unwrap();
    assert_eq!(text.input, Input::Text { feature: "resume".to_owned() });
    let answer = prompt(("\"p\"", "\"q\"")).unwrap();
    assert!(matches!(&answer.input, Input::Prompt { prompt, .. } if prompt.feature == "q"));
    let folder = prompt(("\"model\": \"m.gguf\", ", "")).unwrap();
    assert!(matches!(&folder.input, Input::Prompt { model: None, .. }));
    let label = answer.label.unwrap();
    for (said, word) in [("NO, yes", "no"), (" Yes.", "Yes"), ("perhaps", "?"), ("", "?")] {
        assert_eq!(label.of_answer(said), Some(word), "{said}");
    }
    for wrong in [
        r#""model": "m""#,
        r#""dtype": "FP32""#,
        r#""model": "m", "dtype": "FP32", "text": {"feature": "x"}"#,
        r#""text": {"feature": "x"}, "columns": []"#,
        r#""text": {"feature": "x"}, "reasons": {"from": "points", "count": 4}"#,
        r#""text": {"feature": "x"}, "label": {"words": {"names": ["a"], "otherwise": "b"}}"#,
    ] {
        assert!(of(wrong).is_err(), "{wrong}");
    }
    for change in [
        ("\"tokens_max\": 8", "\"tokens_max\": 0"),
        ("\"tokens_max\": 8", "\"tokens_max\": 4097"),
        ("\"top_p\": 1", "\"top_p\": 0"),
        ("[\"Yes\", \"no\"]", "[]"),
        ("\"no\"", "\"\""),
        ("\"label\"", "\"scores\": [{\"name\": \"s\", \"of\": \"answer\"}], \"label\""),
    ] {
        assert!(prompt(change).is_err(), "{change:?}");
    }
}

#[test]
fn orders_are_drawn_against_a_background_with_a_seed() {
    let drawn = |rest: &str| {
        Description::parse(
            format!(
                r#"{{"format": "ledgerstone-recompute/v1", "model": "m", "dtype": "FP32",
                    "reasons": {{"from": {{"contributions": {{{rest}}}}}, "count": 4}}}}"#
            )
            .as_bytes(),
        )
    };
    assert!(drawn(r#""background": "b", "permutations": {"evaluations": 500, "seed": 4294967295}"#).is_ok());
    for wrong in [
        r#""permutations": {"evaluations": 500, "seed": 1}"#,
        r#""background": "b", "permutations": {"evaluations": 0, "seed": 1}"#,
        r#""background": "b", "permutations": {"evaluations": 500, "seed": 4294967296}"#,
        r#""background": "b", "permutations": {"evaluations": 500}"#,
    ] {
        assert!(drawn(wrong).is_err(), "{wrong}");
    }
}
