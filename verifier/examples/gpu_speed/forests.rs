//! Forests: generated ones of each library's format, and the comparison of the tensor operations with the scalar walk.

use std::fmt::Write;

use ledgerstone_verifier::recompute::tensor_trees::TensorForest;
use ledgerstone_verifier::recompute::{Model, Precision};

use super::{Floor, Options, Random, fastest};

const COLUMNS: usize = 32;
/// Splits on the way to a leaf.
const DEPTH: u32 = 6;
const SPLITS: usize = (1 << DEPTH) - 1;
const LEAVES: usize = 1 << DEPTH;

/// Names and files of generated forests.
pub(crate) fn texts(trees: usize) -> [(&'static str, String); 3] {
    [("xgboost", xgboost(trees)), ("lightgbm", lightgbm(trees)), ("catboost", catboost(trees))]
}

fn list<T: ToString>(count: usize, between: &str, item: impl FnMut(usize) -> T) -> String {
    (0..count).map(item).map(|item| item.to_string()).collect::<Vec<_>>().join(between)
}

fn xgboost(trees: usize) -> String {
    let random = &mut Random(1);
    let nodes = SPLITS + LEAVES;
    let child =
        |at: usize, side: usize| if at < SPLITS { (2 * at + side).to_string() } else { "-1".to_owned() };
    let tree = |number: usize| {
        format!(
            r#"{{"id": {number}, "left_children": [{}], "right_children": [{}], "split_conditions": [{}], "split_indices": [{}],
            "default_left": [{}], "tree_param": {{"num_nodes": "{nodes}", "size_leaf_vector": "1"}}}}"#,
            list(nodes, ",", |at| child(at, 1)),
            list(nodes, ",", |at| child(at, 2)),
            list(nodes, ",", |_| format!("{:e}", random.share())),
            list(nodes, ",", |_| random.below(COLUMNS)),
            list(nodes, ",", |_| random.below(2)),
        )
    };
    format!(
        r#"{{"learner": {{"attributes": {{}}, "feature_names": [], "gradient_booster": {{"name": "gbtree", "model": {{
        "gbtree_model_param": {{"num_parallel_tree": "1", "num_trees": "{trees}"}}, "tree_info": [{}], "trees": [{}]}}}},
        "learner_model_param": {{"base_score": "[5E-1]", "num_class": "0", "num_feature": "{COLUMNS}", "num_target": "1"}},
        "objective": {{"name": "binary:logistic"}}}}, "version": [3, 2, 0]}}"#,
        list(trees, ",", |_| 0),
        list(trees, ",", tree),
    )
}

fn lightgbm(trees: usize) -> String {
    let random = &mut Random(2);
    // Leaf n is written as the complement of n.
    let child = |at: usize| if at < SPLITS { at as i64 } else { !((at - SPLITS) as i64) };
    let names = list(COLUMNS, " ", |column| format!("Column_{column}"));
    let mut text = format!(
        "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\nmax_feature_idx={}\n\
         objective=binary sigmoid:1\nfeature_names={names}\nfeature_infos=none\n\n",
        COLUMNS - 1
    );
    for number in 0..trees {
        write!(
            text,
            "Tree={number}\nnum_leaves={LEAVES}\nnum_cat=0\nsplit_feature={}\nthreshold={}\ndecision_type={}\nleft_child={}\n\
             right_child={}\nleaf_value={}\nis_linear=0\nshrinkage=1\n\n\n",
            list(SPLITS, " ", |_| random.below(COLUMNS)),
            list(SPLITS, " ", |_| format!("{:e}", random.share())),
            list(SPLITS, " ", |_| [0, 2, 4, 6, 8, 10][random.below(6)]),
            list(SPLITS, " ", |at| child(2 * at + 1)),
            list(SPLITS, " ", |at| child(2 * at + 2)),
            list(LEAVES, " ", |_| random.share()),
        )
        .unwrap();
    }
    text + "end of trees\n"
}

fn catboost(trees: usize) -> String {
    let random = &mut Random(3);
    let column = |at: usize| {
        format!(r#"{{"feature_index": {at}, "flat_feature_index": {at}, "nan_value_treatment": "AsTrue"}}"#)
    };
    let tree = |_| {
        let splits = list(DEPTH as usize, ",", |_| {
            format!(
                r#"{{"split_type": "FloatFeature", "border": {:e}, "float_feature_index": {}}}"#,
                random.share(),
                random.below(COLUMNS)
            )
        });
        format!(r#"{{"splits": [{splits}], "leaf_values": [{}]}}"#, list(LEAVES, ",", |_| random.share()))
    };
    format!(
        r#"{{"features_info": {{"float_features": [{}]}}, "oblivious_trees": [{}], "scale_and_bias": [1, [0]]}}"#,
        list(COLUMNS, ",", column),
        list(trees, ",", tree),
    )
}

/// Rows with one value in sixteen missing, and the others as the generated thresholds lie.
fn rows(columns: usize, count: usize) -> Vec<f64> {
    let random = &mut Random(4);
    (0..columns * count).map(|_| if random.below(16) == 0 { f64::NAN } else { random.share() }).collect()
}

/// Compares margins bit by bit, twice, and says how long both ways take.
pub(crate) fn measure(name: &str, model: &Model, options: &Options, floor: &Floor) {
    let about = model.about();
    let forest = match TensorForest::new(model, options.device) {
        Ok(forest) => forest,
        Err(error) => return println!("{name}: left out: {error}"),
    };
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let rows = rows(about.features, options.rows);
    let (scalar, scalar_time) =
        fastest(options.turns, || model.margins_of_rows(&rows, threads).expect("rows are scored"));
    let once = forest.margins_of_rows(&rows).expect("rows are scored");
    let (margins, time) = fastest(options.turns, || forest.margins_of_rows(&rows).expect("rows are scored"));
    let bits = |margins: &[f64]| margins.iter().map(|margin| margin.to_bits()).collect::<Vec<_>>();
    assert!(bits(&margins) == bits(&once), "{name}: two runs differ");
    assert!(bits(&margins) == bits(&scalar), "{name}: tensor operations and scalar walk differ");
    let size = if about.precision == Precision::F32 { 4.0 } else { 8.0 };
    let least = options.rows as f64 * size * (about.features + about.margins) as f64 / floor.bytes;
    let count = options.rows as f64;
    println!(
        "{name}: {} margins bit-equal to the scalar walk and in two runs; {:.0} rows/s, {:.3e} tree decisions/s; scalar with {threads} threads {:.0} rows/s; \
         {:.4} of the memory floor (rows read once, margins written once)",
        margins.len(),
        count / time,
        count * about.trees as f64 / time,
        count / scalar_time,
        least / time,
    );
}
