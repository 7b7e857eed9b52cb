use super::*;

/// Column 0 a number, 1 a category, 2 a number whose missing values are above every border.
const SMALL: &str = r#"{
 "features_info": {
  "categorical_features": [{"feature_id": "kind", "feature_index": 0, "flat_feature_index": 1, "values": [1121341681]}],
  "float_features": [
   {"borders": [1.5], "feature_id": "x", "feature_index": 0, "flat_feature_index": 0, "has_nans": false, "nan_value_treatment": "AsFalse"},
   {"borders": [0.5], "feature_id": "y", "feature_index": 1, "flat_feature_index": 2, "has_nans": true, "nan_value_treatment": "AsTrue"}]},
 "model_info": {"params": {"loss_function": {"params": {}, "type": "Logloss"}, "flat_params": {}}},
 "oblivious_trees": [
  {"leaf_values": [1, 2, 4, 8], "splits": [
   {"border": 1.5, "float_feature_index": 0, "split_index": 0, "split_type": "FloatFeature"},
   {"cat_feature_index": 0, "split_index": 2, "split_type": "OneHotFeature", "value": CODE}]},
  {"leaf_values": [16, 32], "splits": [
   {"border": 0.5, "float_feature_index": 1, "split_index": 1, "split_type": "FloatFeature"}]}],
 "scale_and_bias": [2, [0.5]]}"#;

fn small() -> String {
    SMALL.replace("CODE", &city::category(7).to_string())
}

fn margin(row: [f64; 3]) -> f64 {
    Model::parse(small().as_bytes()).unwrap().margins(&row).unwrap()[0]
}

#[test]
fn takes_each_split_as_a_bit_of_the_leaf() {
    assert_eq!(margin([1.5, 0.0, 0.5]), 2.0 * (1.0 + 16.0) + 0.5);
    assert_eq!(margin([1.6, 0.0, 0.5]), 2.0 * (2.0 + 16.0) + 0.5);
    assert_eq!(margin([1.5, 7.0, 0.6]), 2.0 * (4.0 + 32.0) + 0.5);
    assert_eq!(margin([f64::NAN, 7.0, f64::NAN]), 2.0 * (4.0 + 32.0) + 0.5);
}

#[test]
fn compares_numbers_as_f32() {
    assert_eq!(margin([1.500_000_001, 0.0, 0.0]), margin([1.5, 0.0, 0.0]));
}

#[test]
fn refuses_categories_that_are_no_whole_numbers() {
    let model = Model::parse(small().as_bytes()).unwrap();
    for category in [0.5, f64::NAN, f64::INFINITY, 1e9] {
        let refused = model.margins(&[0.0, category, 0.0]);
        assert!(matches!(refused, Err(RowError::Value { feature: 1, .. })), "{category}: {refused:?}");
    }
    assert_eq!(model.margins(&[0.0]), Err(RowError::Length { expected: 3, found: 1 }));
}

#[test]
fn tells_its_columns_and_loss() {
    let model = Model::parse(small().as_bytes()).unwrap();
    assert_eq!(model.feature_names(), ["x", "kind", "y"]);
    assert_eq!((model.loss(), model.tree_count(), model.margin_count()), ("Logloss", 2, 1));
}

#[test]
fn refuses_what_it_does_not_reproduce_and_what_contradicts_itself() {
    let cases = [
        ("\"oblivious_trees\"", "\"trees\"", "oblivious_trees"),
        ("\"scale_and_bias\"", "\"ctr_data\": {}, \"scale_and_bias\"", "ctr_data"),
        ("\"float_features\"", "\"text_features\": [], \"float_features\"", "features_info"),
        ("OneHotFeature", "OnlineCtr", "oblivious_trees[0].splits[1]"),
        ("AsTrue", "AsMedian", "features_info.float_features[1]"),
    ];
    for (from, to, at) in cases {
        assert!(small().contains(from));
        match Model::parse(small().replacen(from, to, 1).as_bytes()) {
            Err(ModelError::Unsupported { place, .. }) => assert_eq!(place, at, "{to}"),
            other => panic!("{to}: {other:?}"),
        }
    }
    let cases = [
        ("[1, 2, 4, 8]", "[1, 2, 4]", "oblivious_trees[0].leaf_values"),
        ("\"float_feature_index\": 1", "\"float_feature_index\": 2", "oblivious_trees[1].splits[0]"),
        ("\"border\": 1.5, ", "", "oblivious_trees[0].splits[0]"),
        (
            "\"flat_feature_index\": 2",
            "\"flat_feature_index\": 3",
            "features_info.float_features[1].flat_feature_index",
        ),
        (
            "\"flat_feature_index\": 1,",
            "\"flat_feature_index\": 0,",
            "features_info.categorical_features[0].flat_feature_index",
        ),
        ("\"feature_index\": 1", "\"feature_index\": 5", "features_info.float_features[1].feature_index"),
        ("[0.5]", "[]", "scale_and_bias[1]"),
    ];
    for (from, to, at) in cases {
        let from = if from == "[0.5]" { "[2, [0.5]]" } else { from };
        let to = if to == "[]" { "[2, []]" } else { to };
        assert!(small().contains(from), "{from}");
        match Model::parse(small().replacen(from, to, 1).as_bytes()) {
            Err(ModelError::Malformed { place, .. }) => assert_eq!(place, at, "{to}"),
            other => panic!("{to}: {other:?}"),
        }
    }
}

#[test]
fn refuses_every_truncation_and_never_panics_on_a_changed_byte() {
    let text = small();
    for length in 0..text.len() {
        assert!(Model::parse(&text.as_bytes()[..length]).is_err(), "{length} bytes were accepted");
    }
    for at in 0..text.len() {
        for byte in [b'0', b'9', b'-', b'"', b']', b'}', b',', 0xff] {
            let mut bytes = text.clone().into_bytes();
            bytes[at] = byte;
            if let Ok(model) = Model::parse(&bytes) {
                let _ = model.margins(&vec![0.0; model.feature_count()]);
            }
        }
    }
}
