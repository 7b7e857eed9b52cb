use ledgerstone::code::Code;

use super::*;

/// One split on `x <= 1.5`, a missing value to the left; then one on the categories 1 and 33 of `y`; then a single leaf.
const SMALL: &str = "tree
version=v4
num_class=1
num_tree_per_iteration=1
label_index=0
max_feature_idx=1
objective=binary sigmoid:1
feature_names=x y
feature_infos=[0:3] 1:33

Tree=0
num_leaves=2
num_cat=0
split_feature=0
threshold=1.5
decision_type=10
left_child=-1
right_child=-2
leaf_value=-0.25 0.5
leaf_count=3 1
internal_count=4
is_linear=0
shrinkage=1


Tree=1
num_leaves=2
num_cat=1
split_feature=1
threshold=0
decision_type=1
left_child=-1
right_child=-2
leaf_value=1 2
leaf_count=1 3
internal_count=4
cat_boundaries=0 2
cat_threshold=2 2
is_linear=0
shrinkage=1


Tree=2
num_leaves=1
num_cat=0
leaf_value=4
leaf_count=4
is_linear=0
shrinkage=1


end of trees

feature_importances:
";

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

fn margin(model: &Model, row: [f64; 2]) -> f64 {
    model.margins(&row).unwrap()[0]
}

#[test]
fn goes_left_up_to_the_threshold_and_right_above_it() {
    let model = parse(SMALL).unwrap();
    assert_eq!(margin(&model, [1.5, 1.0]), 4.75);
    assert_eq!(margin(&model, [1.500_000_000_000_000_2, 1.0]), 5.5);
}

#[test]
fn takes_missing_values_and_zeros_as_the_split_says() {
    // Bits: 1 categories, 2 default left, 4 zero is missing, 8 NaN is missing.
    let cases =
        [(10, 4.75, 4.75), (8, 5.5, 4.75), (6, 4.75, 4.75), (4, 5.5, 5.5), (0, 4.75, 4.75), (2, 4.75, 4.75)];
    for (kind, of_nan, of_zero) in cases {
        let model = with("decision_type=10", &format!("decision_type={kind}")).unwrap();
        assert_eq!(margin(&model, [f64::NAN, 1.0]), of_nan, "{kind}");
        for zero in [0.0, -0.0, 1e-36, -1e-36, 1e-300] {
            assert_eq!(margin(&model, [zero, 1.0]), of_zero, "{kind}, {zero}");
        }
    }
    let below_zero =
        SMALL.replace("threshold=1.5", "threshold=-0.5").replace("decision_type=10", "decision_type=0");
    assert_eq!(margin(&parse(&below_zero).unwrap(), [f64::NAN, 1.0]), 5.5, "NaN counts as zero");
}

#[test]
fn gives_rows_of_a_batch_what_they_get_alone() {
    let values = [1.5, 1.500_000_000_000_000_2, f64::NAN, 0.0, -0.0, 1e-36, -1.0, 2.0, -0.5];
    let rows: Vec<f64> = values.iter().cycle().take(19).flat_map(|x| [*x, 1.0]).collect();
    for (threshold, kind) in
        [("1.5", 0), ("1.5", 2), ("1.5", 4), ("1.5", 6), ("1.5", 8), ("1.5", 10), ("-0.5", 0)]
    {
        let text = SMALL.replace("threshold=1.5", &format!("threshold={threshold}"));
        let model = parse(&text.replace("decision_type=10", &format!("decision_type={kind}"))).unwrap();
        let alone: Vec<f64> = rows.chunks(2).map(|row| margin(&model, [row[0], row[1]])).collect();
        assert_eq!(model.margins_of_rows(&rows).unwrap(), alone, "{threshold}, {kind}");
    }
    let model = parse(SMALL).unwrap();
    assert_eq!(model.margins_of_rows(&[1.0; 3]), Err(RowError::Length { expected: 2, found: 1 }));
}

#[test]
fn sends_listed_categories_left_and_all_others_right() {
    let model = parse(SMALL).unwrap();
    for (category, value) in [
        (1.0, 1.0),
        (33.0, 1.0),
        (1.9, 1.0),
        (0.0, 2.0),
        (32.0, 2.0),
        (64.0, 2.0),
        (-1.0, 2.0),
        (f64::NAN, 2.0),
        (4_294_967_297.0, 2.0),
        (f64::INFINITY, 2.0),
    ] {
        assert_eq!(margin(&model, [0.0, category]), -0.25 + value + 4.0, "{category}");
    }
}

#[test]
fn contributions_add_up_and_follow_the_training_rows() {
    let model = parse(SMALL).unwrap();
    // The mean of the first tree is -0.0625, of the second 1.75.
    assert_eq!(model.contributions(&[9.0, 1.0]), Ok(vec![vec![0.5625, -0.75, 5.6875]]));
    let without = SMALL.replace("leaf_count=3 1\n", "");
    let refused = parse(&without).unwrap().contributions(&[9.0, 1.0]);
    assert!(matches!(refused, Err(RowError::Contributions { .. })), "{refused:?}");
}

#[test]
fn uses_the_linear_part_of_a_leaf_unless_a_value_is_missing() {
    let linear =
        "is_linear=1\nleaf_const=0.5 1\nnum_features=1 2\nleaf_features=1  0 1 \nleaf_coeff=2  3 -1 ";
    let model = with("is_linear=0", linear).unwrap();
    assert_eq!(margin(&model, [0.0, 1.0]), 0.5 + 2.0 + 1.0 + 4.0);
    assert_eq!(margin(&model, [2.0, 1.0]), 1.0 + 6.0 - 1.0 + 1.0 + 4.0);
    assert_eq!(margin(&model, [0.0, f64::NAN]), -0.25 + 2.0 + 4.0, "the leaf's own value");
    assert!(matches!(model.contributions(&[0.0, 1.0]), Err(RowError::Contributions { .. })));
    for (from, to, key) in [
        ("leaf_features=1  0 1 ", "leaf_features=1  0 2 ", "leaf_features"),
        ("leaf_features=1  0 1 ", "leaf_features=1  0", "leaf_features"),
        ("num_features=1 2", "num_features=1 18446744073709551615", "num_features"),
        ("leaf_coeff=2  3 -1 ", "leaf_coeff=2  3 nan ", "leaf_coeff"),
    ] {
        assert!(linear.contains(from));
        let place = malformed_at(with("is_linear=0", &linear.replace(from, to)));
        assert_eq!(place, format!("Tree=0.{key}"), "{to}");
    }
}

#[test]
fn averages_over_the_rounds_for_the_answer_alone() {
    let model = SMALL.replace("objective=binary sigmoid:1\n", "average_output\n");
    let model = parse(&model).unwrap();
    let margins = model.margins(&[0.0, 1.0]).unwrap();
    assert_eq!((margins.as_slice(), model.answer(&margins).as_slice()), (&[4.75][..], &[4.75 / 3.0][..]));
}

#[test]
fn refuses_settings_it_does_not_know_and_says_where() {
    for (from, to, place) in [
        ("tree\n", "forest\n", "line 1"),
        ("version=v4", "version=v5", "header.version"),
        ("label_index=0", "label_index=0\nlink=cloglog", "line 6"),
        ("is_linear=0", "is_quadratic=1", "line 22"),
        ("binary sigmoid:1", "cosine", "header.objective"),
        ("binary sigmoid:1", "binary sigmoid:1 tilt:2", "header.objective"),
        ("sigmoid:1", "sigmoid:1.2345678901234567", "header.objective"),
        ("sigmoid:1", "sigmoid:1e-1", "header.objective"),
    ] {
        assert_eq!(unsupported_at(with(from, to)), place, "{to}");
    }
}

#[test]
fn refuses_trees_that_contradict_themselves_and_says_where() {
    for (from, to, place) in [
        ("left_child=-1", "left_child=0", "Tree=0.left_child[0]"),
        ("left_child=-1", "left_child=1", "Tree=0.left_child[0]"),
        ("left_child=-1", "left_child=-2", "Tree=0.right_child[0]"),
        ("left_child=-1", "left_child=-3", "Tree=0.left_child[0]"),
        ("left_child=-1", "left_child=-2147483648", "Tree=0.left_child[0]"),
        ("left_child=-1", "left_child=-1 -2", "Tree=0.left_child"),
        ("split_feature=0", "split_feature=2", "Tree=0.split_feature[0]"),
        ("split_feature=0", "split_feature=-1", "Tree=0.split_feature"),
        ("threshold=1.5", "threshold=nan", "Tree=0.threshold[0]"),
        ("threshold=1.5", "threshold=x", "Tree=0.threshold"),
        ("threshold=0\n", "threshold=1\n", "Tree=1.threshold[0]"),
        ("threshold=0\n", "threshold=0.5\n", "Tree=1.threshold[0]"),
        ("decision_type=10", "decision_type=12", "Tree=0.decision_type[0]"),
        ("leaf_value=-0.25 0.5", "leaf_value=-0.25 inf", "Tree=0.leaf_value"),
        ("leaf_value=-0.25 0.5", "leaf_value=-0.25", "Tree=0.leaf_value"),
        ("leaf_count=3 1", "leaf_count=3 -1", "Tree=0.leaf_count"),
        ("num_leaves=2", "num_leaves=18446744073709551615", "Tree=0.leaf_value"),
        ("cat_boundaries=0 2", "cat_boundaries=0 4294967296", "Tree=1.cat_threshold"),
        ("cat_boundaries=0 2", "cat_boundaries=1 2", "Tree=1.cat_boundaries"),
        ("num_cat=1", "num_cat=18446744073709551615", "Tree=1.cat_boundaries"),
        ("Tree=1", "Tree=2", "line 26"),
        ("num_tree_per_iteration=1", "num_tree_per_iteration=2", "header.num_tree_per_iteration"),
        ("num_tree_per_iteration=1", "num_tree_per_iteration=0", "header.num_tree_per_iteration"),
        ("feature_names=x y", "feature_names=x", "header.feature_names"),
        ("feature_infos=", "tree_sizes=1 2 3\nfeature_infos=", "header.tree_sizes"),
        ("binary sigmoid:1", "binary", "header.objective"),
        ("binary sigmoid:1", "multiclass num_class:3", "header.objective"),
        ("num_cat=0\n", "num_cat=0\nnum_cat=0\n", "line 14"),
    ] {
        assert_eq!(malformed_at(with(from, to)), place, "{to}");
    }
}

#[test]
fn refuses_huge_claimed_counts_without_taking_memory() {
    let error = with("max_feature_idx=1", "max_feature_idx=18446744073709551615").unwrap_err();
    assert!(matches!(error, ModelError::Limit { what: "features", .. }), "{error}");
    assert_eq!(error.code(), Code::Limit);
}

#[test]
fn refuses_every_truncation_of_the_trees() {
    let end = SMALL.find("end of trees").unwrap() + "end of trees".len();
    for length in 0..end {
        assert!(parse(&SMALL[..length]).is_err(), "{length} bytes were accepted");
    }
}

#[test]
fn never_panics_when_one_byte_is_changed() {
    for at in 0..SMALL.len() {
        for byte in [0, b'0', b'9', b'-', b' ', b'=', b'\n', b'e', b'.', 0x80, 0xff] {
            let mut bytes = SMALL.as_bytes().to_vec();
            bytes[at] = byte;
            if let Ok(model) = Model::parse(&bytes) {
                let row = vec![0.5; model.feature_count()];
                assert!(model.margins(&row).is_ok());
                let _ = model.contributions(&row);
            }
        }
    }
}
