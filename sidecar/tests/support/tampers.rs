//! A model server that computes with another model than the registered one, behind the real sidecar; then export and audit, as an auditor would.

use std::collections::BTreeSet;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use example_desk::desk::Desk;
use example_desk::folder::RunFolder;
use example_desk::served::ModelServer;
use example_desk::{audit, client, evidence, tell};
use ledgerstone::entry::{Entry, Kind};
use ledgerstone::evidence::RecordPart;
use ledgerstone::hash::Hash;
use ledgerstone::record::{Contents, Record, RecordBuilder, Value, encode_contents, schema};
use ledgerstone_verifier::audit::replay::Recomputer;
use ledgerstone_verifier::audit::results;
use ledgerstone_verifier::audit::verdict::Verdict;
use ledgerstone_verifier::bundle::{Bundle, BundleError, Order};
use ledgerstone_verifier::progress::Silent;
use ledgerstone_verifier::recompute::description;
use ledgerstone_verifier::recompute::xgboost::Model;
use lending::applications::Application;
use lending::model;
use lending::office::{self, Mortgage};
use serde_json::{Value as Json, json};

/// What is added to one leaf.
const ADDED: f64 = 0.05;

/// Requests at one time.
const IN_FLIGHT: usize = 32;

/// What an input is multiplied by after it was recorded.
const DOCTORED: f64 = 1.01;

/// A registered model and rows that it decides.
pub(crate) struct Data {
    pub(crate) name: &'static str,
    /// The registered model file.
    pub(crate) honest: Vec<u8>,
    pub(crate) rows: Arc<Vec<Application>>,
    /// Models that were trained otherwise, by what was done; none without Python.
    pub(crate) trained: Vec<(&'static str, Vec<u8>)>,
}

/// What an audit of every decision found.
pub(crate) struct Audited {
    pub(crate) decisions: usize,
    /// The applications whose recorded decision does not follow.
    pub(crate) found: BTreeSet<u32>,
    /// Those of them whose recorded label does not follow.
    pub(crate) flips: usize,
    folder: RunFolder,
    _root: tempfile::TempDir,
}

/// What became of records with one input changed.
pub(crate) struct Doctored {
    pub(crate) records: usize,
    /// Refused because the record is not what the log committed to.
    pub(crate) by_commitment: usize,
    /// Noticed by recomputation, had the log committed to the changed record.
    pub(crate) by_recomputation: usize,
}

/// Has `served` decide on every row while `honest` is registered, and audits what the sidecar recorded.
pub(crate) fn audited(honest: &[u8], served: &[u8], rows: &Arc<Vec<Application>>) -> Audited {
    let root = tempfile::tempdir().unwrap();
    let mut folder = RunFolder::create(&root.path().join("run"), "lending").unwrap();
    folder.add_model("model", &[("mortgage.json", honest), (description::FILE, model::DESCRIPTION)]).unwrap();
    let answers = tokio::runtime::Runtime::new().unwrap().block_on(async {
        let served = Arc::new(Model::parse(served).unwrap());
        let configuration = office::configuration(served.feature_names()).unwrap();
        let server = ModelServer::new("tampered", vec![Arc::new(Mortgage(served))]);
        let desk = Desk::open(&folder, server, &configuration).await.unwrap();
        let bar = tell::progress(rows.len(), "applications");
        let requests = rows.iter().map(|row| office::request(row).unwrap()).collect();
        let (answers, _) = client::send_all(desk.sidecar, requests, IN_FLIGHT, &bar).await.unwrap();
        bar.finish_and_clear();
        desk.close().await.unwrap();
        answers
    });
    audit::export(&folder).unwrap();
    let policy = evidence::policy(&folder).unwrap();
    let (_, tail) = audit::recompute(&folder, &policy, &mut Silent).unwrap();
    let mut found = BTreeSet::new();
    let file = BufReader::new(std::fs::File::open(folder.results()).unwrap());
    results::read(file, |decision| {
        let place = answers.iter().position(|answer| answer.index.get() == decision.leaf_index).unwrap();
        assert!(!matches!(decision.verdict, Verdict::Unverifiable), "{:?}", decision.differences);
        if decision.verdict != Verdict::Exact {
            found.insert(rows[place].number);
        }
    })
    .unwrap();
    let flips = tail.verdicts.get(&Verdict::OutcomeFlips).copied().unwrap_or(0);
    assert_eq!((tail.decisions as usize, tail.exceptions as usize), (rows.len(), found.len()));
    Audited { decisions: rows.len(), found, flips: flips as usize, folder, _root: root }
}

impl Audited {
    /// Changes one input of every record after it was written.
    pub(crate) fn doctored(&self, feature: &str) -> Doctored {
        let path = schema::feature(feature).unwrap();
        let mut doctored = Doctored { records: 0, by_commitment: 0, by_recomputation: 0 };
        self.each(|model, entry, contents| {
            let Contents { secret, record, request, response } = contents;
            let Some(Value::Float(value)) = record.value(&path).cloned() else { return };
            // As the model server could have seen it: one of 32 bits.
            let value = f64::from((value * DOCTORED) as f32);
            let changed = with(&record, &path, Value::Float(value));
            let part = RecordPart::Opened(encode_contents(&secret, &changed, request, response));
            doctored.records += 1;
            doctored.by_commitment += usize::from(part.contents(entry).is_err());
            doctored.by_recomputation +=
                usize::from(model.replay(&changed, response).verdict != Verdict::Exact);
        });
        doctored
    }

    /// Every record, and the digest of the model that it names.
    pub(crate) fn records(&self) -> (Vec<Record>, Hash) {
        let (mut records, mut digest) = (Vec::new(), None);
        self.each(|_, entry, contents| {
            digest = entry.model;
            records.push(contents.record);
        });
        (records, digest.unwrap())
    }

    /// The registered model's folder.
    pub(crate) fn model(&self) -> PathBuf {
        self.folder.models()[0].clone()
    }

    /// Takes every decision out of the bundle.
    fn each(&self, mut take: impl FnMut(&Recomputer, &Entry, Contents<'_>)) {
        let read = Bundle::new(&self.folder.bundle(), &[]).read(
            |front| {
                let files = front.models.values().next().unwrap();
                Ok::<_, BundleError>((Order::new(&front, None), Recomputer::load(files).unwrap()))
            },
            |(order, model), number, bytes| {
                let proved = order.prove(number, &bytes)?;
                for ((_, entry), (_, record)) in proved.entries.iter().zip(&proved.run.entries) {
                    if entry.kind == Kind::Decision {
                        take(model, entry, record.contents(entry).unwrap());
                    }
                }
                Ok(())
            },
        );
        drop(read.unwrap());
    }
}

/// A record with one value replaced.
pub(crate) fn with(record: &Record, path: &ledgerstone::record::FieldPath, value: Value) -> Record {
    let fields = record.fields().iter().fold(RecordBuilder::new(), |builder, field| {
        let value = if field.path == *path { value.clone() } else { field.value.clone() };
        builder.field(field.path.clone(), value).unwrap()
    });
    fields.build().unwrap()
}

/// A model file with its JSON changed.
pub(crate) fn edited(file: &[u8], edit: impl FnOnce(&mut Json)) -> Vec<u8> {
    let mut json: Json = serde_json::from_slice(file).unwrap();
    edit(&mut json["learner"]["gradient_booster"]["model"]);
    serde_json::to_vec(&json).unwrap()
}

/// Leaves the last tree out.
pub(crate) fn drop_last_tree(model: &mut Json) {
    let trees = model["trees"].as_array_mut().unwrap();
    trees.pop();
    let count = trees.len();
    model["tree_info"].as_array_mut().unwrap().pop();
    model["iteration_indptr"].as_array_mut().unwrap().pop();
    model["gbtree_model_param"]["num_trees"] = json!(count.to_string());
}

/// Rounds every leaf to 16 bits.
pub(crate) fn round_leaves(model: &mut Json) {
    for tree in model["trees"].as_array_mut().unwrap() {
        for leaf in leaves(tree) {
            let value = &mut tree["split_conditions"][leaf];
            *value = json!(half::f16::from_f64(value.as_f64().unwrap()).to_f64());
        }
    }
}

fn leaves(tree: &Json) -> Vec<usize> {
    let lefts = tree["left_children"].as_array().unwrap();
    (0..lefts.len()).filter(|at| lefts[*at] == json!(-1)).collect()
}

/// The tree in the middle and its first leaf.
fn middle_leaf(model: &Json) -> (usize, usize) {
    let trees = model["trees"].as_array().unwrap();
    (trees.len() / 2, leaves(&trees[trees.len() / 2])[0])
}

/// Adds to one leaf of all trees.
pub(crate) fn raise_leaf(model: &mut Json) {
    let (tree, leaf) = middle_leaf(model);
    let value = &mut model["trees"][tree]["split_conditions"][leaf];
    *value = json!(value.as_f64().unwrap() + ADDED);
}

/// The applications that reach that leaf, walked here by the rules of the file.
pub(crate) fn reach_leaf(file: &[u8], rows: &[Application]) -> BTreeSet<u32> {
    let json: Json = serde_json::from_slice(file).unwrap();
    let model = &json["learner"]["gradient_booster"]["model"];
    let (tree, leaf) = middle_leaf(model);
    let tree = &model["trees"][tree];
    let reaches = |row: &&Application| {
        let mut at = 0;
        while tree["left_children"][at] != json!(-1) {
            let value = row.features[tree["split_indices"][at].as_u64().unwrap() as usize];
            let left = if value.is_nan() {
                tree["default_left"][at] == json!(1)
            } else {
                value < tree["split_conditions"][at].as_f64().unwrap() as f32
            };
            let child = if left { "left_children" } else { "right_children" };
            at = tree[child][at].as_u64().unwrap() as usize;
        }
        at == leaf
    };
    rows.iter().filter(reaches).map(|row| row.number).collect()
}

/// The lending example's model and its first rows.
pub(crate) fn lending(count: usize, trained: Option<&Path>) -> Data {
    let parsed = model::load().unwrap();
    let mut rows = lending::applications::load(parsed.feature_names()).unwrap();
    rows.truncate(count);
    Data {
        name: "lending",
        honest: model::FILE.to_vec(),
        rows: Arc::new(rows),
        trained: trained.map(|folder| others(folder, "lending")).unwrap_or_default(),
    }
}

/// The first rows of modeldata `credit_data`, and a model of 200 trees.
pub(crate) fn credit(count: usize, trained: &Path) -> Data {
    let honest = std::fs::read(trained.join("credit.json")).unwrap();
    let columns = Model::parse(&honest).unwrap().feature_count();
    let bytes = std::fs::read(trained.join("credit.f32")).unwrap();
    let numbers: Vec<f32> =
        bytes.chunks_exact(4).map(|word| f32::from_le_bytes(word.try_into().unwrap())).collect();
    let rows = (1..).zip(numbers.chunks_exact(columns)).take(count);
    let rows = rows
        .map(|(number, features)| Application {
            number,
            features: features.to_vec(),
            approved_by_lender: false,
        })
        .collect();
    Data { name: "credit", honest, rows: Arc::new(rows), trained: others(trained, "credit") }
}

fn others(folder: &Path, name: &str) -> Vec<(&'static str, Vec<u8>)> {
    [("other seed", "other_seed"), ("retrained without one row", "row_less")]
        .map(|(what, file)| (what, std::fs::read(folder.join(format!("{name}_{file}.json"))).unwrap()))
        .into()
}

/// Models trained otherwise by `tampers/models.py` with the pinned library; none where Python is missing and nobody insists.
pub(crate) fn trained(folder: &Path) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let output = Command::new(root.join("scripts/py-env"))
        .arg(root.join("verifier/tests/library/requirements.txt"))
        .output();
    let python = output.ok().filter(|output| output.status.success());
    let python = python.map(|output| String::from_utf8(output.stdout).unwrap().trim().to_owned());
    let ran = python.and_then(|python| {
        Command::new(python).arg(root.join("sidecar/tests/tampers/models.py")).arg(folder).status().ok()
    });
    if ran.is_some_and(|status| status.success()) {
        return Some(folder.to_owned());
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "tampers/models.py did not run");
    println!("skipped: models trained otherwise, because Python or its packages are missing");
    None
}
