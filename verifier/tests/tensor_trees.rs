//! Trees as tensor operations against the scalar walk: random models of every kind, in batches and tiles of every size.
//!
//! Danger: a graphics processor is asked because there are many decisions, and its sums differ in the last bit, or one row in a million goes
//! another way; honest records look altered. Expected: every margin has the scalar walk's bits, for rows that meet thresholds exactly, zeros of
//! both signs, subnormal numbers, missing values and numbers that are no category; what is no forest is refused by name. (`model_library.rs`
//! compares the models that the libraries trained.)

#![cfg(feature = "neural")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros,
    unreachable_pub,
    missing_docs,
    reason = "tests fail by panicking, and may read the environment, start programs and print"
)]

use std::fmt::Write;

use ledgerstone::code::Code;
use ledgerstone_verifier::recompute::processor::{Processor, ProcessorError};
use ledgerstone_verifier::recompute::tensor_trees::{TensorError, TensorForest};
use ledgerstone_verifier::recompute::{Model, RowError};

/// SplitMix64: the models are the same in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }

    fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }

    fn of<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    /// A leaf whose sums round.
    fn leaf(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64 * 4.0 - 2.0
    }
}

/// Few enough that rows meet thresholds: among them what is next to a threshold, subnormal, or zero with a sign.
const NUMBERS: [f64; 17] = [
    -1e30,
    -3.0,
    -1.0,
    -0.5,
    -1e-40,
    -1e-320,
    -0.0,
    0.0,
    1e-320,
    1e-40,
    0.499_999_97,
    0.5,
    1.0,
    1.5,
    2.0,
    33.0,
    1e30,
];
/// What stands in rows and not in thresholds: missing, no category, and categories that none lists.
const OTHERS: [f64; 8] = [f64::NAN, f64::NAN, -0.999, 7.9, 64.0, 16_777_216.0, 4_294_967_296.0, 1e300];

fn rows(random: &mut Random, columns: usize, count: usize, values: &[f64]) -> Vec<f64> {
    (0..columns * count).map(|_| random.of(values)).collect()
}

/// A tree as children, a leaf's child being -1; children stand side by side, as XGBoost has them.
fn shape(random: &mut Random, depth_max: usize) -> Vec<i32> {
    let mut children = vec![-1];
    let mut open = vec![(0, 0)];
    while let Some((at, depth)) = open.pop() {
        if depth < depth_max && !random.one_in(4) {
            let left = children.len();
            children[at] = i32::try_from(left).unwrap();
            children.extend([-1, -1]);
            open.extend([(left, depth + 1), (left + 1, depth + 1)]);
        }
    }
    children
}

fn listed(random: &mut Random) -> Vec<u32> {
    let mut list: Vec<u32> = (0..1 + random.below(5)).map(|_| random.of(&[0, 1, 2, 7, 33, 63])).collect();
    list.sort_unstable();
    list.dedup();
    list
}

fn joined<T: ToString>(items: impl IntoIterator<Item = T>, between: &str) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(between)
}

fn xgboost_tree(random: &mut Random, number: usize, columns: usize) -> String {
    let left = shape(random, 5);
    let right = left.iter().map(|left| if *left < 0 { -1 } else { left + 1 });
    let (mut conditions, mut kinds, mut nodes) = (Vec::new(), Vec::new(), Vec::new());
    let (mut segments, mut sizes, mut categories) = (Vec::new(), Vec::new(), Vec::new());
    for (at, left) in left.iter().enumerate() {
        let by_category = *left >= 0 && random.one_in(4);
        kinds.push(u8::from(by_category));
        conditions.push(format!("{:e}", if *left < 0 { random.leaf() } else { random.of(&NUMBERS) }));
        if by_category {
            let list = listed(random);
            nodes.push(at);
            segments.push(categories.len());
            sizes.push(list.len());
            categories.extend(list);
        }
    }
    format!(
        r#"{{"id": {number}, "left_children": [{}], "right_children": [{}], "split_conditions": [{}], "split_indices": [{}],
        "split_type": [{}], "default_left": [{}], "categories_nodes": [{}], "categories_segments": [{}],
        "categories_sizes": [{}], "categories": [{}],
        "tree_param": {{"num_deleted": "0", "num_feature": "{columns}", "num_nodes": "{}", "size_leaf_vector": "1"}}}}"#,
        joined(&left, ", "),
        joined(right, ", "),
        joined(conditions, ", "),
        joined((0..left.len()).map(|_| random.below(columns)), ", "),
        joined(kinds, ", "),
        joined((0..left.len()).map(|_| random.below(2)), ", "),
        joined(nodes, ", "),
        joined(segments, ", "),
        joined(sizes, ", "),
        joined(categories, ", "),
        left.len(),
    )
}

fn xgboost(random: &mut Random, columns: usize) -> Model {
    let (outputs, count) = (1 + random.below(3), random.below(20));
    let trees = joined((0..count).map(|number| xgboost_tree(random, number, columns)), ", ");
    let info = joined((0..count).map(|_| random.below(outputs)), ", ");
    let mut booster = format!(
        r#""name": "gbtree", "model": {{"gbtree_model_param": {{"num_parallel_tree": "1", "num_trees": "{count}"}},
        "tree_info": [{info}], "trees": [{trees}]}}"#
    );
    if random.one_in(3) {
        let weights = joined((0..count).map(|_| format!("{:e}", random.leaf())), ", ");
        booster = format!(r#""name": "dart", "gbtree": {{{booster}}}, "weight_drop": [{weights}]"#);
    }
    let text = format!(
        r#"{{"learner": {{"attributes": {{}}, "feature_names": [], "gradient_booster": {{{booster}}},
        "learner_model_param": {{"base_score": "[3E-1]", "num_class": "0", "num_feature": "{columns}", "num_target": "{outputs}"}},
        "objective": {{"name": "reg:squarederror"}}}}, "version": [3, 2, 0]}}"#
    );
    Model::parse(text.as_bytes()).unwrap()
}

/// LightGBM numbers splits and leaves apart, a leaf as a complement.
fn lightgbm_tree(random: &mut Random, number: usize, columns: usize) -> String {
    let left = shape(random, 6);
    let mut numbers = Vec::new();
    let (mut splits, mut leaves) = (0_i32, 0_i32);
    for left in &left {
        let kind = if *left < 0 { &mut leaves } else { &mut splits };
        numbers.push(if *left < 0 { !*kind } else { *kind });
        *kind += 1;
    }
    let (mut thresholds, mut kinds) = (Vec::new(), Vec::new());
    let (mut bounds, mut words) = (vec![0], Vec::new());
    for _ in 0..splits {
        if random.one_in(4) {
            kinds.push(1);
            thresholds.push((bounds.len() - 1).to_string());
            let list = listed(random);
            let bits = list.iter().fold(0_u64, |bits, category| bits | 1 << category);
            words.extend([bits & u64::from(u32::MAX), bits >> 32]);
            bounds.push(words.len());
        } else {
            // The types of missing values, each with both ways.
            kinds.push(random.of(&[0, 2, 4, 6, 8, 10]));
            thresholds.push(format!("{:e}", random.of(&NUMBERS)));
        }
    }
    let child = |at: i32| numbers[usize::try_from(at).unwrap()];
    let parents = || left.iter().filter(|left| **left >= 0);
    let mut text = format!("Tree={number}\nnum_leaves={leaves}\nnum_cat={}\n", bounds.len() - 1);
    let mut line = |key: &str, value: String| writeln!(text, "{key}={value}").unwrap();
    if splits > 0 {
        line("split_feature", joined((0..splits).map(|_| random.below(columns)), " "));
        line("threshold", joined(thresholds, " "));
        line("decision_type", joined(kinds, " "));
        line("left_child", joined(parents().map(|left| child(*left)), " "));
        line("right_child", joined(parents().map(|left| child(left + 1)), " "));
    }
    line("leaf_value", joined((0..leaves).map(|_| random.leaf()), " "));
    if bounds.len() > 1 {
        line("cat_boundaries", joined(bounds, " "));
        line("cat_threshold", joined(words, " "));
    }
    text + "is_linear=0\nshrinkage=1\n\n\n"
}

fn lightgbm(random: &mut Random, columns: usize) -> Model {
    let outputs = 1 + random.below(3);
    let count = outputs * random.below(8);
    let trees = joined((0..count).map(|number| lightgbm_tree(random, number, columns)), "");
    let text = format!(
        "tree\nversion=v4\nnum_class={outputs}\nnum_tree_per_iteration={outputs}\nlabel_index=0\nmax_feature_idx={}\n\
         feature_names={}\nfeature_infos=none\n\n{trees}end of trees\n",
        columns - 1,
        joined((0..columns).map(|column| format!("Column_{column}")), " "),
    );
    Model::parse(text.as_bytes()).unwrap()
}

/// What CatBoost calls the categories 0, 1 and 7.
const HASHES: [u32; 3] = [2_856_682_258, 1_121_341_681, 4_277_023_987];

/// Column 0 is a category, the others are numbers.
fn catboost(random: &mut Random, columns: usize) -> Model {
    let outputs = 1 + random.below(3);
    let numbers = joined(
        (1..columns).map(|column| {
            let treatment = random.of(&["AsIs", "AsFalse", "AsTrue"]);
            format!(
                r#"{{"feature_index": {}, "flat_feature_index": {column}, "nan_value_treatment": "{treatment}"}}"#,
                column - 1
            )
        }),
        ", ",
    );
    let trees: Vec<String> = (0..random.below(20))
        .map(|_| {
            let depth = random.below(5);
            let splits = joined(
                (0..depth).map(|_| match columns > 1 && !random.one_in(3) {
                    true => format!(
                        r#"{{"split_type": "FloatFeature", "border": {:e}, "float_feature_index": {}}}"#,
                        random.of(&NUMBERS),
                        random.below(columns - 1)
                    ),
                    false => format!(
                        r#"{{"split_type": "OneHotFeature", "cat_feature_index": 0, "value": {}}}"#,
                        random.of(&HASHES)
                    ),
                }),
                ", ",
            );
            let leaves = joined((0..outputs << depth).map(|_| random.leaf()), ", ");
            format!(r#"{{"splits": [{splits}], "leaf_values": [{leaves}]}}"#)
        })
        .collect();
    let bias = joined((0..outputs).map(|_| random.leaf()), ", ");
    let text = format!(
        r#"{{"features_info": {{"categorical_features": [{{"feature_index": 0, "flat_feature_index": 0}}], "float_features": [{numbers}]}},
        "oblivious_trees": [{}], "scale_and_bias": [{}, [{bias}]]}}"#,
        trees.join(", "),
        random.leaf()
    );
    Model::parse(text.as_bytes()).unwrap()
}

/// Compares every margin of the tensor operations with the scalar walk's, in batches of several sizes; gives their number.
fn assert_same_bits(name: &str, model: &Model, rows: &[f64]) -> usize {
    let scalar = model.margins_of_rows(rows, 1).unwrap();
    for batch in [None, Some((1 << 16, 1 << 24)), Some((3, 7))] {
        let forest = TensorForest::new(model, Processor::Cpu).unwrap();
        let forest = match batch {
            Some((rows, places)) => forest.in_batches_of(rows, places),
            None => forest,
        };
        let margins = forest.margins_of_rows(rows).unwrap();
        assert_eq!(margins.len(), scalar.len(), "{name}");
        for (place, (ours, scalar)) in margins.iter().zip(&scalar).enumerate() {
            assert_eq!(
                ours.to_bits(),
                scalar.to_bits(),
                "{name}, {batch:?}, margin {place}: {ours} and {scalar}"
            );
        }
    }
    scalar.len()
}

const MODELS: u64 = 60;

#[test]
fn xgboost_forests_have_the_bits_of_the_scalar_walk() {
    let values: Vec<f64> =
        NUMBERS.into_iter().chain(OTHERS).filter(|value| value.abs() < 1e38 || value.is_nan()).collect();
    let mut margins = 0;
    for seed in 0..MODELS {
        let random = &mut Random(seed);
        let columns = 1 + random.below(6);
        let model = xgboost(random, columns);
        // Without a missing value a step is shorter.
        let values = if random.one_in(4) { &NUMBERS[..] } else { &values };
        margins += assert_same_bits(&format!("seed {seed}"), &model, &rows(random, columns, 37, values));
    }
    assert!(margins > 37 * 60, "{margins}");
}

#[test]
fn lightgbm_forests_have_the_bits_of_the_scalar_walk() {
    let values: Vec<f64> =
        NUMBERS.into_iter().chain(OTHERS).chain([f64::INFINITY, f64::NEG_INFINITY]).collect();
    let mut margins = 0;
    for seed in 0..MODELS {
        let random = &mut Random(seed);
        let columns = 1 + random.below(6);
        let model = lightgbm(random, columns);
        let values = if random.one_in(4) { &NUMBERS[..] } else { &values };
        margins += assert_same_bits(&format!("seed {seed}"), &model, &rows(random, columns, 37, values));
    }
    assert!(margins > 37 * 60, "{margins}");
}

#[test]
fn catboost_forests_have_the_bits_of_the_scalar_walk() {
    let values: Vec<f64> =
        NUMBERS.into_iter().chain([f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300]).collect();
    let mut margins = 0;
    for seed in 0..MODELS {
        let random = &mut Random(seed);
        let columns = 1 + random.below(5);
        let model = catboost(random, columns);
        let values = if random.one_in(4) { &NUMBERS[..] } else { &values };
        let mut rows = rows(random, columns, 37, values);
        rows.chunks_mut(columns).for_each(|row| row[0] = random.of(&[0.0, 1.0, 7.0, -1.0, 12_345.0]));
        margins += assert_same_bits(&format!("seed {seed}"), &model, &rows);
    }
    assert!(margins > 37 * 60, "{margins}");
}

#[test]
fn refuses_rows_that_the_scalar_walk_refuses() {
    let random = &mut Random(1);
    let cases = [
        (xgboost(random, 2), [0.0, f64::INFINITY]),
        (xgboost(random, 2), [0.0, 1e39]),
        (catboost(random, 2), [0.5, 0.0]),
    ];
    for (model, row) in cases {
        let forest = TensorForest::new(&model, Processor::Cpu).unwrap();
        let refused = forest.margins_of_rows(&row).unwrap_err();
        assert_eq!(Err(refused), model.margins_of_rows(&row, 1));
        assert_eq!(forest.margins_of_rows(&[0.0; 3]), Err(RowError::Length { expected: 2, found: 1 }));
    }
}

#[test]
fn refuses_models_that_are_no_forest_by_name() {
    let text = r#"{"learner": {"attributes": {}, "feature_names": [],
        "gradient_booster": {"name": "gblinear", "model": {"weights": [1E0, 2E0]}},
        "learner_model_param": {"base_score": "[5E-1]", "num_class": "0", "num_feature": "1", "num_target": "1"},
        "objective": {"name": "reg:squarederror"}}, "version": [3, 2, 0]}"#;
    let linear = Model::parse(text.as_bytes()).unwrap();
    let error = TensorForest::new(&linear, Processor::Cpu).unwrap_err();
    assert_eq!(error, TensorError::Unsupported { what: "a linear booster" });
    assert_eq!(error.code(), Code::Misuse);
}

#[test]
fn refuses_splits_that_would_fill_the_memory_with_categories() {
    let model = |splits: usize| {
        // A chain: every right child is a leaf.
        let nodes = 2 * splits + 1;
        let child = |side: usize| {
            joined(
                (0..nodes).map(|at| {
                    if at % 2 == 0 && at < 2 * splits { (at + side).to_string() } else { "-1".to_owned() }
                }),
                ", ",
            )
        };
        let text = format!(
            r#"{{"learner": {{"attributes": {{}}, "feature_names": [], "gradient_booster": {{"name": "gbtree", "model": {{
            "gbtree_model_param": {{"num_parallel_tree": "1", "num_trees": "1"}}, "tree_info": [0], "trees": [{{"id": 0,
            "left_children": [{}], "right_children": [{}], "split_conditions": [{}], "split_indices": [{}], "default_left": [{}],
            "split_type": [{}], "categories_nodes": [{}], "categories_segments": [{}], "categories_sizes": [{}], "categories": [{}],
            "tree_param": {{"num_nodes": "{nodes}", "size_leaf_vector": "1"}}}}]}}}},
            "learner_model_param": {{"base_score": "[0E0]", "num_class": "0", "num_feature": "1", "num_target": "1"}},
            "objective": {{"name": "reg:squarederror"}}}}, "version": [3, 2, 0]}}"#,
            child(1),
            child(2),
            joined(vec!["1E0"; nodes], ", "),
            joined(vec![0; nodes], ", "),
            joined(vec![0; nodes], ", "),
            joined((0..nodes).map(|at| u8::from(at % 2 == 0 && at < 2 * splits)), ", "),
            joined((0..splits).map(|split| 2 * split), ", "),
            joined(0..splits, ", "),
            joined(vec![1; splits], ", "),
            joined(vec![16_777_215; splits], ", "),
        );
        Model::parse(text.as_bytes()).unwrap()
    };
    TensorForest::new(&model(3), Processor::Cpu).unwrap();
    let error = TensorForest::new(&model(4), Processor::Cpu).unwrap_err();
    assert!(matches!(error, TensorError::Limit { max: 67_108_864, .. }), "{error}");
    assert_eq!(error.code(), Code::Limit);
}

#[cfg(not(ledgerstone_cuda))]
#[test]
fn says_that_a_program_without_it_cannot_use_a_graphics_processor() {
    let model = xgboost(&mut Random(1), 2);
    let error = TensorForest::new(&model, Processor::Cuda).unwrap_err();
    assert_eq!(error, TensorError::Processor(ProcessorError::NotBuilt));
    assert_eq!(error.code(), Code::Misuse);
}
