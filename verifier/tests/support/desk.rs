//! The directory that a golden session plays in: a regulator's desk with a log on it.

use std::fs;

use ledgerstone::siem::Format;
use tempfile::TempDir;

use crate::anchors;
use crate::log::{self, ORIGIN};

/// A fresh desk: `store/` with twelve entries, `lending.policy` from outside it, `receipt.json` of the decision at entry
/// 2, `early.checkpoint` as published when the log had eight entries, and `other.policy` and `other.checkpoint` of
/// another log. `registered/` is a log that registers models, `mortgage/` a model folder with its OMS signature `mortgage.sig`
/// and its signer's key `mortgage.pem`; `other.pem` is nobody's. `crashed/` is a log whose first session was cut off. `model.json`, `classes.ubj`, `linear.txt` and
/// `catboost.json` are models, and `rows.csv` for them; `small.json` has seven columns without names, as `seven.csv` and `background.csv` have; `forest.onnx` and `logistic.onnx` are such, too; `texts.onnx` takes the texts and numbers of `loans.csv`; `card.json` and `person.csv` are the scorecard page's worked example.
/// `auditor.key` is an auditor's, whose secret is in `secret.hex`; `round.json` (quicknet, 42), `chained.json` (default, 5347804) and
/// `header.hex` (block 125552) are values of randomness, `testnet.json` and `testnet-round.json` those of a chain that is not known.
/// `small.gguf` is a language model. `classifier/` is a text model and `letters.txt` has two texts for it.
/// `anchored/` is the log of `store/` with its anchors, and `anchor-trust.toml` trusts what they rest on.
/// `siem.jsonl` is what a SIEM holds of `store/`, in OCSF.
/// `range.jsonl` holds results of a range with one exception, `drawn.template` those of a draw whose SHA-256 is still to be put in.
pub(crate) fn desk() -> TempDir {
    let desk = tempfile::tempdir().expect("a temporary directory");
    let at = |name: &str| desk.path().join(name);
    fs::create_dir(at("store")).expect("a directory");
    let published = log::small_log(&at("store"), log::keys(ORIGIN, 1), 64 * 1024 * 1024).stop();
    let write = |name: &str, text: &str| fs::write(at(name), text).expect("a file");
    write("siem.jsonl", &log::events(&at("store"), Format::Ocsf));
    write("lending.policy", &log::policy(&log::keys(ORIGIN, 1)).to_string());
    write("log.key", &log::keys(ORIGIN, 1).to_text());
    write("early.checkpoint", &published[1].1);
    write("receipt.json", &log::receipt(2, 2, &at("store")).to_json());
    let other = log::keys("log.example.org/hiring", 7);
    write("other.policy", &log::policy(&other).to_string());
    let (batch, _) = &published[0];
    write("other.checkpoint", &other.sign(&other.checkpoint(batch.size(), batch.root())));
    fs::create_dir(at("anchored")).expect("a directory");
    let published = log::small_log(&at("anchored"), log::keys(ORIGIN, 1), 64 * 1024 * 1024).stop();
    let notes: Vec<&str> = published.iter().map(|(_, note)| note.as_str()).collect();
    write(
        "anchor-trust.toml",
        &anchors::write(&at("anchored"), &notes).trust("2 of ethereum, bitcoin, rfc3161, witnesses"),
    );
    let forked = log::keys(ORIGIN, 1);
    let root = ledgerstone::hash::Hash::of(b"another history");
    write("forked.checkpoint", &forked.sign(&forked.checkpoint(published[2].0.size(), root)));
    fs::create_dir(at("crashed")).expect("a directory");
    log::crashed_log(&at("crashed"), log::keys(ORIGIN, 1), Some(1)).stop();
    fs::create_dir(at("registered")).expect("a directory");
    log::registered_log(&at("registered"), log::keys(ORIGIN, 1)).stop();
    let signed = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/oms");
    fs::create_dir_all(at("mortgage/labels")).expect("a directory");
    for name in ["weights.json", "threshold.json", "labels.json", "labels/en.json"] {
        fs::copy(signed.join("mortgage").join(name), at("mortgage").join(name)).expect("a model file");
    }
    for name in ["mortgage.sig", "mortgage.pem", "other.pem"] {
        fs::copy(signed.join(name), at(name)).expect("a signature");
    }
    let models = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/models");
    for (name, here) in [
        ("xgboost_binary.json", "model.json"),
        ("xgboost_classes_ubj.ubj", "classes.ubj"),
        ("lightgbm_linear.txt", "linear.txt"),
        ("catboost_binary.json", "catboost.json"),
    ] {
        fs::copy(models.join(name), at(here)).expect("a model");
    }
    let small = models.with_file_name("interventional").join("xgboost_small.json");
    fs::copy(small, at("small.json")).expect("a model");
    write("seven.csv", "a,b,c,d,e,f,g\n17.99,10.38,122.8,1001,0.1184,0.2776,0.3001\n");
    write(
        "background.csv",
        "a,b,c,d,e,f,g\n12.04,18.14,76.85,449.9,,0.06,0.02372\n13.08,15.71,85.63,520,0.1075,0.127,0.04568\n",
    );
    fs::create_dir(at("classifier")).expect("a directory");
    for name in ["config.json", "tokenizer.json", "model.safetensors"] {
        let small = models.with_file_name("text").join("bert").join(name);
        fs::copy(small, at("classifier").join(name)).expect("a model's file");
    }
    let language = models.with_file_name("language").join("qwen3/q8_0.gguf");
    fs::copy(language, at("small.gguf")).expect("a language model");
    write("letters.txt", "a loan was refused\nshe has worked here for nine years\n");
    for name in ["forest", "logistic"] {
        let kept = models.with_file_name("onnx").join(format!("onnx_{name}.onnx"));
        fs::copy(kept, at(&format!("{name}.onnx"))).expect("a graph");
    }
    let texts = models.with_file_name("onnx_texts").join("one_hot_forest.onnx");
    fs::copy(texts, at("texts.onnx")).expect("a graph");
    write("loans.csv", LOANS);
    write("rows.csv", ROWS);
    let page = include_str!("../../../docs/spec/scorecard.md");
    let card =
        page.split("```json\n").nth(1).and_then(|rest| rest.split("```").next()).expect("the worked example");
    write("card.json", card);
    write("auditor.key", &log::keys("auditor.example.org", 11).to_text());
    write("secret.hex", &format!("{}\n", "07".repeat(32)));
    write("round.json", ROUND);
    write("chained.json", CHAINED);
    write("header.hex", HEADER);
    write("testnet.json", TESTNET);
    write("testnet-round.json", TESTNET_ROUND);
    write("person.csv", "age,home,debt_ratio\n30,2,0.45\n");
    write("range.jsonl", include_str!("../vectors/range.jsonl"));
    write("drawn.template", include_str!("../vectors/drawn.jsonl"));
    desk
}

const LOANS: &str = "addr_state,sub_grade,emp_length,annual_inc,int_rate,revol_util
west,C2,10+ years,92174,23.34,72.1
\"far, far away\",C2,,92174,23.34,72.1
";

/// Three rows for the models of the desk; the column `name` is none of theirs.
const ROWS: &str = "name,radius,texture,perimeter,area,smoothness,compactness,concavity,group
first,17.99,10.38,122.8,1001,0.1184,0.2776,0.3001,3
second,12.04,18.14,76.85,449.9,,0.06,0.02372,7
\"third, without a group\",13.08,15.71,85.63,520,0.1075,0.127,0.04568,
";

/// From docs.drand.love/developer/http-api.
const ROUND: &str = r#"{"round":42,"signature":"95a9f9f5b231b7714de1553105d8ffdf3dcda24cfdb1e689319bccf79a9c8ce430a91b811fbfaf763900bc998b5d686a"}
"#;

/// From the same page.
const CHAINED: &str = r#"{"round":5347804,"randomness":"a87619810b1b41e70a01b8f903cf69977e026f80d9fd5e4c197c298a96c61cfe","signature":"92daf5745411a415b539caebda0b523fa20d4d12b28eb2fe427decdf5dcc976046a9c83b54f1db991fa191ffca8fcbdc07563036664f6ba47dcf00593559286f667574f6b0a2ba0be2683463b5bf3472e5696ac28b75d5b2223dbb98a56c96a3","previous_signature":"b01091c60b2b1a7c1f7a79610cd94e0c06e93bd305cf04229fe1571669257d16583a02e4038fdd755e6c39944b0116e30256874eede733a79c5e72c787db3889a1678c4ea6423b467de56208c5bd8e10cc090b6e0429f7f33653086a089cc3f8"}
"#;

/// From the Bitcoin wiki's page on block hashing.
const HEADER: &str = "0100000081cd02ab7e569e8bcd9317e2fe99f2de44d49ab2b8851ba4a308000000000000e320b6c2fffc8d750423db8b1eb942ae710e951ed797f7affc8892b0f1fc122bc7f5d74df2b9441a42a14695\n";

/// From drand/tlock-js, `src/drand/defaults.ts`.
const TESTNET: &str = r#"{"public_key":"8200fc249deb0148eb918d6e213980c5d01acd7fc251900d9260136da3b54836ce125172399ddc69c4e3e11429b62c11","period":3,"genesis_time":1651677099,"hash":"7672797f548f3f4748ac4bf3352fc6c6b6468c9ad40ad456a397545c6e2df5bf","groupHash":"65083634d852ae169e21b6ce5f0410be9ed4cc679b9970236f7875cff667e13d","schemeID":"pedersen-bls-unchained","metadata":{"beaconID":"testnet-unchained-3s"}}
"#;

/// From drand-verify 0.6.2.
const TESTNET_ROUND: &str = r#"{"round":223344,"signature":"94f6b85df7cce7237e8e7df66d794ddad092de5d8bb6a791b97e905aa89852e506ac36a792eba7021e22eebf34891f8914bf9a8dd9233ea0a4c5ca00ef8404999f899073dd2eade61fe54077fee8168f83dcb61a758b6883b38904054e64a433"}
"#;
