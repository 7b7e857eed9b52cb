//! The directory that a golden session plays in: a regulator's desk with a log on it.

use std::fs;

use tempfile::TempDir;

use crate::log::{self, ORIGIN};

/// A fresh desk: `store/` with twelve entries, `lending.policy` from outside it, `receipt.json` of the decision at entry
/// 2, `early.checkpoint` as published when the log had eight entries, and `other.policy` and `other.checkpoint` of
/// another log. `crashed/` is a log whose first session was cut off. `model.json`, `classes.ubj`, `linear.txt` and
/// `catboost.json` are models, and `rows.csv` for them; `forest.onnx` and `logistic.onnx` are such, too; `card.json` and `person.csv` are the scorecard page's worked example.
pub(crate) fn desk() -> TempDir {
    let desk = tempfile::tempdir().expect("a temporary directory");
    let at = |name: &str| desk.path().join(name);
    fs::create_dir(at("store")).expect("a directory");
    let published = log::small_log(&at("store"), log::keys(ORIGIN, 1), 64 * 1024 * 1024).stop();
    let write = |name: &str, text: &str| fs::write(at(name), text).expect("a file");
    write("lending.policy", &log::policy(&log::keys(ORIGIN, 1)).to_string());
    write("log.key", &log::keys(ORIGIN, 1).to_text());
    write("early.checkpoint", &published[1].1);
    write("receipt.json", &log::receipt(2, 2, &at("store")).to_json());
    let other = log::keys("log.example.org/hiring", 7);
    write("other.policy", &log::policy(&other).to_string());
    let (batch, _) = &published[0];
    write("other.checkpoint", &other.sign(&other.checkpoint(batch.size(), batch.root())));
    let forked = log::keys(ORIGIN, 1);
    let root = ledgerstone::hash::Hash::of(b"another history");
    write("forked.checkpoint", &forked.sign(&forked.checkpoint(published[2].0.size(), root)));
    fs::create_dir(at("crashed")).expect("a directory");
    log::crashed_log(&at("crashed"), log::keys(ORIGIN, 1), Some(1)).stop();
    let models = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/models");
    for (name, here) in [
        ("xgboost_binary.json", "model.json"),
        ("xgboost_classes_ubj.ubj", "classes.ubj"),
        ("lightgbm_linear.txt", "linear.txt"),
        ("catboost_binary.json", "catboost.json"),
    ] {
        fs::copy(models.join(name), at(here)).expect("a model");
    }
    for name in ["forest", "logistic"] {
        let kept = models.with_file_name("onnx").join(format!("onnx_{name}.onnx"));
        fs::copy(kept, at(&format!("{name}.onnx"))).expect("a graph");
    }
    write("rows.csv", ROWS);
    let page = include_str!("../../../docs/spec/scorecard.md");
    let card =
        page.split("```json\n").nth(1).and_then(|rest| rest.split("```").next()).expect("the worked example");
    write("card.json", card);
    write("person.csv", "age,home,debt_ratio\n30,2,0.45\n");
    desk
}

/// Three rows for the models of the desk; the column `name` is none of theirs.
const ROWS: &str = "name,radius,texture,perimeter,area,smoothness,compactness,concavity,group
first,17.99,10.38,122.8,1001,0.1184,0.2776,0.3001,3
second,12.04,18.14,76.85,449.9,,0.06,0.02372,7
\"third, without a group\",13.08,15.71,85.63,520,0.1075,0.127,0.04568,
";
