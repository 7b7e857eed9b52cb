use ledgerstone::code::Code;

use super::*;

/// One split on `x < 1.5`, a missing value to the right, leaves -0.25 and 0.5; then a tree that is a single leaf.
const SMALL: &str = r#"{
 "learner": {
  "attributes": {}, "feature_names": ["x", "y"], "feature_types": ["float", "float"],
  "gradient_booster": {
   "model": {
    "gbtree_model_param": {"num_parallel_tree": "1", "num_trees": "2"},
    "tree_info": [0, 0],
    "trees": [
     {"id": 0, "left_children": [1, -1, -1], "right_children": [2, -1, -1],
      "split_conditions": [1.5E0, -2.5E-1, 5E-1], "split_indices": [0, 0, 0], "split_type": [0, 0, 0],
      "default_left": [0, 0, 0],
      "tree_param": {"num_deleted": "0", "num_feature": "2", "num_nodes": "3", "size_leaf_vector": "1"}},
     {"id": 1, "left_children": [-1], "right_children": [-1],
      "split_conditions": [1E0], "split_indices": [0], "split_type": [0], "default_left": [0],
      "tree_param": {"num_deleted": "0", "num_feature": "2", "num_nodes": "1", "size_leaf_vector": "1"}}
    ]},
   "name": "gbtree"},
  "learner_model_param": {"base_score": "[5E-1]", "num_class": "0", "num_feature": "2", "num_target": "1"},
  "objective": {"name": "binary:logistic"}},
 "version": [3, 2, 0]}"#;

fn parse(text: &str) -> Result<Model, ModelError> {
    Model::parse(text.as_bytes())
}

/// The small model with one part replaced; the part must be there.
fn with(from: &str, to: &str) -> Result<Model, ModelError> {
    assert!(SMALL.contains(from), "{from} is not in the model");
    parse(&SMALL.replacen(from, to, 1))
}

fn malformed_at(result: Result<Model, ModelError>) -> String {
    match result {
        Err(ModelError::Malformed { place, .. }) => place,
        other => panic!("expected a malformed model, got {other:?}"),
    }
}

fn unsupported_at(result: Result<Model, ModelError>) -> String {
    match result {
        Err(ModelError::Unsupported { place, .. }) => place,
        other => panic!("expected an unsupported model, got {other:?}"),
    }
}

const TREE_0: &str = "learner.gradient_booster.model.trees[0]";

#[test]
fn goes_left_below_the_threshold_and_right_at_it() {
    let model = parse(SMALL).unwrap();
    assert_eq!(model.margin(&[1.499_999_9, 0.0]), Ok(0.75));
    assert_eq!(model.margin(&[1.5, 0.0]), Ok(1.5));
}

#[test]
fn sends_a_missing_value_where_the_file_says() {
    let right = parse(SMALL).unwrap();
    let left = with(r#""default_left": [0, 0, 0]"#, r#""default_left": [1, 0, 0]"#).unwrap();
    assert_eq!(right.margin(&[f32::NAN, 0.0]), Ok(1.5));
    assert_eq!(left.margin(&[f32::NAN, 0.0]), Ok(0.75));
}

#[test]
fn gives_rows_of_a_batch_what_they_get_alone() {
    let values = [1.5, 1.499_999_9, f32::NAN, 0.0, -3.0];
    let rows: Vec<f32> = values.iter().cycle().take(19).flat_map(|x| [*x, 1.0]).collect();
    for default_left in ["[0, 0, 0]", "[1, 0, 0]"] {
        let to = format!(r#""default_left": {default_left}"#);
        let model = with(r#""default_left": [0, 0, 0]"#, &to).unwrap();
        let alone: Vec<f32> = rows.chunks(2).map(|row| model.margin(row).unwrap()).collect();
        assert_eq!(model.margins_of_rows(&rows).unwrap(), alone, "{default_left}");
    }
    let model = parse(SMALL).unwrap();
    assert_eq!(model.margins_of_rows(&[1.0; 3]), Err(RowError::Length { expected: 2, found: 1 }));
    assert_eq!(model.margins_of_rows(&[0.0, f32::INFINITY]), Err(RowError::Infinite { feature: 1 }));
}

#[test]
fn reads_the_booleans_of_older_versions() {
    let model = with(r#""default_left": [0, 0, 0]"#, r#""default_left": [true, false, false]"#).unwrap();
    assert_eq!(model.margin(&[f32::NAN, 0.0]), Ok(0.75));
    assert!(matches!(
        with(r#""default_left": [0, 0, 0]"#, r#""default_left": [2, 0, 0]"#),
        Err(ModelError::Syntax { .. })
    ));
}

#[test]
#[expect(clippy::cast_possible_truncation, reason = "the second rounding is what the test is about")]
fn reads_thresholds_from_text_in_one_rounding() {
    // Just above the midpoint of 1 and the next f32. As f64 it becomes the midpoint, and from there the tie goes down to 1.
    let text = "1.00000005960464477539062500001";
    assert_eq!(text.parse::<f64>().unwrap() as f32, 1.0);
    let model = with("1.5E0", text).unwrap();
    assert_eq!(model.margin(&[1.0, 0.0]), Ok(0.75), "1 is below the threshold");
}

#[test]
fn adds_the_base_margin_first_and_the_trees_in_order() {
    // 2^24 + 1 is not an f32: (2^24 + 1) + 1 stays at 2^24, (1 + 1) + 2^24 does not.
    let text = SMALL
        .replace("binary:logistic", "reg:squarederror")
        .replace("[5E-1]", "1.6777216E7")
        .replace("5E-1]", "1E0]");
    assert_eq!(parse(&text).unwrap().margin(&[2.0, 0.0]), Ok(16_777_216.0));
    let text = text.replace("1.6777216E7", "1E0").replace("[1E0]", "[1.6777216E7]");
    assert_eq!(parse(&text).unwrap().margin(&[2.0, 0.0]), Ok(16_777_218.0));
}

#[test]
fn reads_the_base_score_of_every_version() {
    for text in ["5E-1", "0.500000", "[5E-1]"] {
        let model = with("[5E-1]", text).unwrap();
        assert_eq!(model.base_margin().to_bits() << 1, 0, "{text}");
    }
    let model = with("[5E-1]", "[2.5E-1]").unwrap();
    assert_eq!(model.base_margin(), -(3.0_f32.ln()));
}

#[test]
fn refuses_base_scores_that_are_no_probability() {
    for text in ["[-1E-1]", "1.1E0", "-1", "NaN", "inf", "", "[]", "[5E-1", "half"] {
        assert_eq!(malformed_at(with("[5E-1]", text)), "learner.learner_model_param.base_score", "{text}");
    }
    assert_eq!(malformed_at(with("[5E-1]", "[5E-1,5E-1]")), "learner.learner_model_param.base_score");
    for text in ["[0E0]", "1E0", "9.9E-7", "9.999995E-1"] {
        assert_eq!(unsupported_at(with("[5E-1]", text)), "learner.learner_model_param.base_score", "{text}");
    }
}

#[test]
fn caps_the_exponent_of_the_probability_as_the_library_does() {
    let model = parse(SMALL).unwrap();
    assert_eq!(model.probability(0.0), 0.5);
    assert_eq!(model.probability(-1e9), model.probability(-88.7));
    assert!(model.probability(-1e9) > 0.0);
    assert_eq!(model.probability(1e9), 1.0);
    assert!(model.probability(f32::NAN).is_nan());
}

#[test]
fn leaves_the_margin_of_a_regression_as_it_is() {
    let model = with("binary:logistic", "reg:squarederror").unwrap();
    assert_eq!(model.base_margin(), 0.5);
    assert_eq!(model.probability(-3.25), -3.25);
    assert_eq!(model.objective(), Objective::SquaredError);
}

#[test]
fn tells_its_columns_and_trees() {
    let model = parse(SMALL).unwrap();
    assert_eq!(model.feature_count(), 2);
    assert_eq!(model.feature_names(), ["x", "y"]);
    assert_eq!(model.tree_count(), 2);
}

#[test]
fn refuses_rows_of_another_length_or_with_an_infinity() {
    let model = parse(SMALL).unwrap();
    let length = |found| Err(RowError::Length { expected: 2, found });
    assert_eq!(model.margin(&[]), length(0));
    assert_eq!(model.margin(&[1.0]), length(1));
    assert_eq!(model.margin(&[1.0; 3]), length(3));
    for infinite in [f32::INFINITY, f32::NEG_INFINITY] {
        assert_eq!(model.margin(&[0.0, infinite]), Err(RowError::Infinite { feature: 1 }));
    }
}

#[test]
fn refuses_models_it_does_not_reproduce_and_says_where() {
    let booster = "learner.gradient_booster";
    let cases = [
        ("binary:logistic", "survival:aft", "learner.objective.name".to_owned()),
        ("binary:logistic", "my:loss", "learner.objective.name".to_owned()),
        (r#""name": "gbtree""#, r#""name": "forest""#, format!("{booster}.name")),
        (
            r#""size_leaf_vector": "1""#,
            r#""size_leaf_vector": "2""#,
            format!("{TREE_0}.tree_param.size_leaf_vector"),
        ),
        (
            r#""attributes": {}"#,
            r#""attributes": {"best_iteration": "0"}"#,
            "learner.attributes.best_iteration".to_owned(),
        ),
        ("[3, 2, 0]", "[4, 0, 0]", "version[0]".to_owned()),
    ];
    for (from, to, place) in cases {
        assert_eq!(unsupported_at(with(from, to)), place, "{to}");
    }
    let classes = SMALL
        .replace("binary:logistic", "multi:softprob")
        .replace(r#""num_class": "0""#, r#""num_class": "3""#)
        .replace(r#""num_target": "1""#, r#""num_target": "2""#);
    assert_eq!(unsupported_at(parse(&classes)), "learner.learner_model_param");
    let old = SMALL.replace("binary:logistic", "binary:logitraw").replace("[3, 2, 0]", "[3, 1, 0]");
    assert_eq!(unsupported_at(parse(&old)), "learner.learner_model_param.base_score");
}

#[test]
fn refuses_outputs_and_boosters_that_contradict_each_other() {
    let booster = "learner.gradient_booster";
    let num_class = "learner.learner_model_param.num_class";
    for (from, to, place) in [
        ("binary:logistic", "multi:softprob", num_class.to_owned()),
        (r#""num_class": "0""#, r#""num_class": "3""#, num_class.to_owned()),
        ("\"tree_info\": [0, 0]", "\"tree_info\": [0, 1]", "tree_info[1]".to_owned()),
        ("\"tree_info\": [0, 0]", "\"tree_info\": [0, -1]", "tree_info[1]".to_owned()),
        ("\"tree_info\": [0, 0]", "\"tree_info\": [0]", format!("{booster}.model.tree_info")),
        (r#""name": "gbtree""#, r#""name": "dart""#, format!("{booster}.gbtree")),
        (r#""name": "gbtree""#, r#""name": "gblinear""#, format!("{booster}.model.weights")),
        (
            r#""name": "gbtree""#,
            r#""name": "gbtree", "weight_drop": [1E0, 1E0]"#,
            format!("{booster}.weight_drop"),
        ),
    ] {
        assert_eq!(malformed_at(with(from, to)), place, "{to}");
    }
    let many = with(r#""num_target": "1""#, r#""num_target": "4294967295""#).unwrap_err();
    assert!(matches!(many, ModelError::Limit { what: "outputs", .. }), "{many}");
}

#[test]
fn tells_other_formats_of_the_library_from_broken_files() {
    let error = Model::parse(b"binf\x00\x00").unwrap_err();
    assert!(matches!(error, ModelError::Unsupported { .. }), "{error}");
    assert_eq!(error.code(), Code::Misuse);
    let error = Model::parse(b"{L\x00\x00\x00\x00\x00\x00\x00\x07learner").unwrap_err();
    assert!(error.to_string().contains("UBJSON at byte 17"), "{error}");
    assert_eq!(error.code(), Code::Malformed);
}

#[test]
fn adds_up_a_linear_model_from_the_intercept_on() {
    let linear = r#"{"learner":{"gradient_booster":{"model":{"boosted_rounds":4,"weights":[2E0,-1E0,2.5E-1]},"name":"gblinear"},
        "learner_model_param":{"base_score":"5E-1","num_feature":"2"},"objective":{"name":"reg:squarederror"}},"version":[2,1,0]}"#;
    let model = parse(linear).unwrap();
    assert_eq!(model.margin(&[3.0, 1.0]), Ok(5.75));
    assert_eq!(model.margin(&[3.0, f32::NAN]), Ok(6.75), "a missing value adds nothing");
    assert_eq!(model.contributions(&[3.0, f32::NAN]), Ok(vec![vec![6.0, 0.0, 0.75]]));
    let short = linear.replace("2E0,", "");
    assert_eq!(malformed_at(parse(&short)), "learner.gradient_booster.model.weights");
}

#[test]
fn multiplies_each_tree_of_a_dart_model() {
    let dart = SMALL
        .replace(r#""gradient_booster": {"#, r#""gradient_booster": {"gbtree": {"#)
        .replace(r#""name": "gbtree"}"#, r#""name": "gbtree"}, "name": "dart", "weight_drop": [5E-1, 2E0]}"#);
    assert_eq!(parse(&dart).unwrap().margin(&[0.0, 0.0]), Ok(-0.125 + 2.0));
    let place = "learner.gradient_booster.weight_drop";
    assert_eq!(malformed_at(parse(&dart.replace("[5E-1, 2E0]", "[5E-1]"))), place);
}

/// The small model, whose first split is on the categories 1 and 40 of column 0.
fn categorical() -> String {
    let listed = r#""split_type": [1, 0, 0], "categories_nodes": [0], "categories_segments": [0],
        "categories_sizes": [2], "categories": [40, 1]"#;
    SMALL.replacen(r#""split_type": [0, 0, 0]"#, listed, 1)
}

#[test]
fn sends_listed_categories_right_and_all_others_left() {
    let model = parse(&categorical()).unwrap();
    let (left, right) = (Ok(0.75), Ok(1.5));
    for (value, expected) in [
        (1.0, &right),
        (40.0, &right),
        (1.9, &right),
        (0.0, &left),
        (2.0, &left),
        (41.0, &left),
        (-1.0, &left),
        (16_777_216.0, &left),
        (f32::NAN, &right),
    ] {
        assert_eq!(&model.margin(&[value, 0.0]), expected, "{value}");
    }
}

#[test]
fn refuses_categories_that_do_not_fit_their_splits() {
    let at = |place: &str| format!("{TREE_0}.{place}");
    for (from, to, place) in [
        (r#""categories_nodes": [0]"#, r#""categories_nodes": []"#, at("categories_nodes")),
        (r#""categories_nodes": [0]"#, r#""categories_nodes": [1]"#, at("categories_nodes")),
        (r#""split_type": [1, 0, 0]"#, r#""split_type": [2, 0, 0]"#, at("split_type")),
        (r#""categories_sizes": [2]"#, r#""categories_sizes": []"#, at("categories_segments")),
        (r#""categories_sizes": [2]"#, r#""categories_sizes": [3]"#, at("categories_segments[0]")),
        (
            r#""categories_sizes": [2]"#,
            r#""categories_sizes": [18446744073709551615]"#,
            at("categories_segments[0]"),
        ),
        (r#""categories_segments": [0]"#, r#""categories_segments": [1]"#, at("categories_segments[0]")),
        ("[40, 1]", "[-1, 1]", at("categories_segments[0]")),
        ("[40, 1]", "[40, 16777216]", at("categories_segments[0]")),
    ] {
        let text = categorical();
        assert!(text.contains(from));
        assert_eq!(malformed_at(parse(&text.replacen(from, to, 1))), place, "{to}");
    }
}

#[test]
fn accepts_early_stopping_whose_best_round_is_the_last() {
    let last = r#""attributes": {"best_iteration": "1", "best_score": "0.4"}"#;
    assert!(with(r#""attributes": {}"#, last).is_ok());
    assert_eq!(
        malformed_at(with(r#""attributes": {}"#, r#""attributes": {"best_iteration": "-1"}"#)),
        "learner.attributes.best_iteration"
    );
}

#[test]
fn refuses_children_outside_the_tree() {
    let left = r#""left_children": [1, -1, -1]"#;
    let right = r#""right_children": [2, -1, -1]"#;
    let at = |array: &str, node: usize| format!("{TREE_0}.{array}[{node}]");
    for (from, to, place) in [
        (left, r#""left_children": [3, -1, -1]"#, at("left_children", 0)),
        (right, r#""right_children": [2147483647, -1, -1]"#, at("right_children", 0)),
        (left, r#""left_children": [-2, -1, -1]"#, at("left_children", 0)),
        (left, r#""left_children": [-1, -1, -1]"#, at("left_children", 0)),
        (right, r#""right_children": [-1, -1, -1]"#, at("right_children", 0)),
    ] {
        assert_eq!(malformed_at(with(from, to)), place, "{to}");
    }
}

#[test]
fn refuses_cycles_and_nodes_reached_twice() {
    for to in [r#""left_children": [0, -1, -1]"#, r#""left_children": [2, -1, -1]"#] {
        let place = malformed_at(with(r#""left_children": [1, -1, -1]"#, to));
        assert!(place.starts_with(TREE_0), "{place}");
    }
    let back = SMALL
        .replace(r#""left_children": [1, -1, -1]"#, r#""left_children": [1, 0, -1]"#)
        .replace(r#""right_children": [2, -1, -1]"#, r#""right_children": [2, 2, -1]"#);
    assert_eq!(malformed_at(parse(&back)), format!("{TREE_0}.left_children[1]"));
}

#[test]
fn refuses_features_the_model_does_not_have() {
    assert_eq!(
        malformed_at(with(r#""split_indices": [0, 0, 0]"#, r#""split_indices": [2, 0, 0]"#)),
        format!("{TREE_0}.split_indices[0]")
    );
    assert_eq!(
        malformed_at(with(r#""num_feature": "2", "num_target""#, r#""num_feature": "3", "num_target""#)),
        "learner.feature_names"
    );
}

#[test]
fn ignores_pruned_nodes_that_nothing_reaches() {
    let pruned = SMALL
        .replacen(r#""left_children": [-1]"#, r#""left_children": [-1, 7]"#, 1)
        .replacen(r#""right_children": [-1]"#, r#""right_children": [-1, 9]"#, 1)
        .replacen(r#""split_conditions": [1E0]"#, r#""split_conditions": [1E0, 0E0]"#, 1)
        .replacen(
            r#""split_indices": [0], "split_type": [0], "default_left": [0]"#,
            r#""split_indices": [0, 2147483647], "split_type": [0, 0], "default_left": [0, 0]"#,
            1,
        )
        .replacen(r#""num_nodes": "1""#, r#""num_nodes": "2""#, 1);
    assert_eq!(parse(&pruned).unwrap().margin(&[2.0, 0.0]), Ok(1.5));
}

#[test]
fn refuses_thresholds_and_leaves_that_are_no_numbers() {
    for text in ["NaN", "Infinity", "-Infinity", "1E39", "null", "\"1\""] {
        assert!(matches!(with("1.5E0", text), Err(ModelError::Syntax { .. })), "{text}");
        assert!(matches!(with("-2.5E-1", text), Err(ModelError::Syntax { .. })), "{text}");
    }
}

#[test]
fn refuses_arrays_and_counts_that_disagree() {
    for (from, to, place) in [
        (r#""right_children": [2, -1, -1]"#, r#""right_children": [2, -1]"#, "right_children"),
        ("5E-1], \"split_indices\"", "5E-1, 1E0], \"split_indices\"", "split_conditions"),
        (r#""split_indices": [0, 0, 0]"#, r#""split_indices": []"#, "split_indices"),
        (r#""default_left": [0, 0, 0]"#, r#""default_left": [0]"#, "default_left"),
        (r#""num_nodes": "3""#, r#""num_nodes": "2147483647""#, "tree_param.num_nodes"),
    ] {
        assert_eq!(malformed_at(with(from, to)), format!("{TREE_0}.{place}"), "{to}");
    }
    for claimed in ["1", "3", "18446744073709551615"] {
        let to = format!(r#""num_trees": "{claimed}""#);
        assert_eq!(malformed_at(with(r#""num_trees": "2""#, &to)), "learner.gradient_booster.model.trees");
    }
    assert_eq!(malformed_at(with(r#""id": 1"#, r#""id": 0"#)), "learner.gradient_booster.model.trees[1].id");
}

#[test]
fn refuses_huge_claimed_counts_without_taking_memory() {
    let names = SMALL.replace(r#""feature_names": ["x", "y"]"#, r#""feature_names": []"#);
    let text = names.replace(
        r#""num_feature": "2", "num_target""#,
        r#""num_feature": "18446744073709551615", "num_target""#,
    );
    let error = parse(&text).unwrap_err();
    assert!(matches!(error, ModelError::Limit { what: "features", .. }), "{error}");
    assert_eq!(error.code(), Code::Limit);
    for claimed in ["-1", "18446744073709551616", "two", ""] {
        let to = format!(r#""num_feature": "{claimed}", "num_target""#);
        assert!(matches!(with(r#""num_feature": "2", "num_target""#, &to), Err(ModelError::Syntax { .. })));
    }
}

#[test]
fn refuses_every_truncation() {
    for length in 0..SMALL.len() {
        assert!(parse(&SMALL[..length]).is_err(), "{length} bytes were accepted");
    }
    assert!(parse(&format!("{SMALL} x")).is_err(), "bytes after the model were accepted");
}

#[test]
fn never_panics_when_one_byte_is_changed() {
    let row = [2.0, f32::NAN];
    for at in 0..SMALL.len() {
        for byte in [0, b'0', b'9', b'-', b'"', b'[', b']', b'}', b',', b'e', 0x80, 0xff] {
            let mut bytes = SMALL.as_bytes().to_vec();
            bytes[at] = byte;
            if let Ok(model) = Model::parse(&bytes) {
                let _ = model.margin(&row);
            }
        }
    }
}

#[test]
fn refuses_deep_nesting_without_using_up_the_stack() {
    let deep = format!("{}{}", "[".repeat(1 << 20), "]".repeat(1 << 20));
    for text in [
        deep.clone(),
        format!(r#"{{"x":{deep}}}"#),
        SMALL.replace("\"attributes\": {}", &format!("\"attributes\": {deep}")),
    ] {
        assert!(matches!(parse(&text), Err(ModelError::Syntax { .. })));
    }
}

#[test]
fn walks_a_chain_as_deep_as_the_file_is_long() {
    const SPLITS: usize = 20_000;
    let list = |items: Vec<String>| items.join(",");
    let nodes = 2 * SPLITS + 1;
    // Split n stands at 2n, its left leaf at 2n + 1, and the next split to its right.
    let child = |offset: usize| {
        list(
            (0..nodes)
                .map(|n| {
                    if n % 2 == 0 && n + 2 < nodes + 1 && n / 2 < SPLITS {
                        (n + offset).to_string()
                    } else {
                        "-1".to_owned()
                    }
                })
                .collect(),
        )
    };
    let text = SMALL
        .replacen("[1, -1, -1]", &format!("[{}]", child(1)), 1)
        .replacen("[2, -1, -1]", &format!("[{}]", child(2)), 1)
        .replacen(
            "[1.5E0, -2.5E-1, 5E-1]",
            &format!("[{}]", list((0..nodes).map(|n| format!("{n}E-1")).collect())),
            1,
        )
        .replacen("[0, 0, 0]", &format!("[{}]", list(vec!["0".to_owned(); nodes])), 3)
        .replacen(r#""num_nodes": "3""#, &format!(r#""num_nodes": "{nodes}""#), 1);
    let model = parse(&text).unwrap();
    assert_eq!(model.margin(&[f32::MAX, 0.0]), Ok((nodes - 1) as f32 / 10.0 + 1.0));
}

#[test]
fn shortens_and_escapes_names_from_the_file_in_messages() {
    let name = "\\u001b[31m".to_owned() + &"x".repeat(5000);
    let error = with("binary:logistic", &name).unwrap_err().to_string();
    assert!(error.len() < 400 && !error.contains('\u{1b}'), "{error}");
}
