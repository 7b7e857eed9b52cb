//! Text models against references that share no code with the engine, and what a tolerance tells apart.
//!
//! Danger: a network is recomputed a little wrong (another activation, a mask, a place too far), and honest records look altered; or a model
//! whose weights were swapped for smaller ones passes. Expected: every family lies within 1e-5 of its reference and `MiniLM` within 1e-6 of one in
//! `f64`; rounded weights show in the vector of every text, and one weight of 22.7 million that is off by 0.01 in most; threads change no bit, of four families no processor and no batch either; hostile files are refused.
//!
//! The weights of `MiniLM` come from a package that `scripts/py-env` installs by digest; the small models of each family are kept under
//! `vectors/text/`.

#![cfg(feature = "neural")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros,
    unreachable_pub,
    missing_docs,
    reason = "tests fail by panicking, and may read the environment, start programs and print"
)]

#[path = "support/exactness.rs"]
#[allow(dead_code, reason = "shared with the tests that use the rest of it")]
mod exactness;
#[path = "support/library.rs"]
mod library;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use exactness::{Part, Row, measured};
use ledgerstone::hash::Hash;
use ledgerstone_verifier::recompute::neural::tamper::{ONE_WEIGHTS, Tamper};
use ledgerstone_verifier::recompute::neural::{Files, TextModel, TextScore};
use serde_json::Value;

/// The threshold between an honest machine and a changed weight.
const TAU: f64 = 5e-6;

fn family_folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/text").join(name)
}

fn files_of(folder: &Path) -> Files {
    Files::read(|name, _| Ok::<_, std::io::Error>(std::fs::read(folder.join(name)).ok())).unwrap()
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

fn distance(ours: &[f32], theirs: &[f64]) -> f64 {
    assert_eq!(ours.len(), theirs.len());
    ours.iter().zip(theirs).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max)
}

fn apart(one: &TextScore, other: &TextScore) -> f64 {
    let other: Vec<f64> = other.vector.iter().copied().map(f64::from).collect();
    distance(&one.vector, &other)
}

/// Counts numbers that are what the reference's number in `f64` rounds to, and keeps the greatest absolute difference.
fn count(ours: &[f32], theirs: &[f64], part: &mut Part) {
    part.numbers += ours.len();
    let rounded = theirs.iter().map(|number| *number as f32);
    part.equal +=
        ours.iter().zip(rounded).filter(|(ours, theirs)| ours.to_bits() == theirs.to_bits()).count();
    part.farthest = part.farthest.max(distance(ours, theirs));
}

/// Compares vectors and logits with the reference's; the tokens must be the same.
fn compare((data, model): (&str, &str), scores: &[TextScore], answers: &[Value]) -> Row {
    let mut row = Row::new(data, model);
    for (score, answer) in scores.iter().zip(answers) {
        assert_eq!(score.tokens as u64, answer["tokens"].as_u64().unwrap(), "{}", answer["text"]);
        row.rows += 1;
        count(&score.vector, &numbers(&answer["vector"]), &mut row.parts[0]);
        count(&score.logits, &numbers(&answer["logits"]), &mut row.parts[1]);
        if let Some(theirs) = answer.get("probabilities") {
            assert!(distance(&score.probabilities, &numbers(theirs)) < 1e-5);
        }
    }
    row
}

/// What a family's small model and its reference say to its texts, alone and filled up to 80 tokens.
struct Family {
    answers: Vec<Value>,
    alone: Vec<TextScore>,
    filled: Vec<TextScore>,
}

fn family(name: &str) -> Family {
    let model = TextModel::load(&files_of(&family_folder(name))).unwrap();
    let answers = json(&family_folder(name).join("answers.json"))["answers"].as_array().unwrap().clone();
    let texts: Vec<&str> = answers.iter().map(|answer| answer["text"].as_str().unwrap()).collect();
    let alone = texts.iter().map(|text| model.score(text).unwrap()).collect();
    let filled = model.score_batch(&texts, Some(80)).unwrap();
    Family { answers, alone, filled }
}

#[test]
fn every_family_lies_close_to_its_reference_alone_and_filled_up() {
    let mut rows = Vec::new();
    for name in ["bert", "distilbert", "roberta", "xlm-roberta", "deberta-v2", "modernbert"] {
        let Family { answers, alone, filled } = family(name);
        for (scores, how) in [(&alone, "alone"), (&filled, "filled up to 80")] {
            let row = compare(("texts", &format!("{name}, {how}")), scores, &answers);
            let [vector, logits, _] = row.parts.map(|part| part.farthest);
            rows.push(row);
            println!("{name}, {how}: vector {vector:.1e}, logits {logits:.1e} from the reference");
            assert!(vector < 1e-5 && logits < 1e-5, "{name}, {how}: {vector:e} {logits:e}");
        }
        let mut sums =
            alone.iter().map(|score| score.probabilities.iter().copied().map(f64::from).sum::<f64>());
        // XLM-RoBERTa's labels are right or wrong each by itself.
        assert_eq!(sums.all(|sum| (sum - 1.0).abs() < 1e-6), name != "xlm-roberta");
    }
    measured("families", &rows);
}

/// SHA-256 of the bits of all vectors of a family's texts, as this program gives them on every main processor.
const BITS: [(&str, &str); 4] = [
    ("bert", "3d563bb06f60a68699c997552abece09d9a7f1e71dfccfee10e1b1cd0017d92c"),
    ("distilbert", "e606d1182a76167c3f7a10e4ea9cb79f4603a37a681cf2acf84e75f01c6f3221"),
    ("roberta", "c1f9f384d140d1f100de5e44812020c34e3bd15564186948eb15432c2eb01c71"),
    ("xlm-roberta", "47b5413b9281cf5141cf30c36d2549f10460d592ebb365cd96af9d8a7d741eb9"),
];

#[test]
fn plain_encoders_give_the_same_bits_on_every_processor_and_in_every_batch() {
    let found = BITS.map(|(name, _)| {
        let Family { alone, filled, .. } = family(name);
        let [alone, filled] = [alone, filled].map(|scores| bits(&scores));
        assert!(alone == filled, "{name}, filled up");
        (name, Hash::of(&alone).to_string())
    });
    assert_eq!(found, BITS.map(|(family, hash)| (family, hash.to_owned())));
}

fn bits(scores: &[TextScore]) -> Vec<u8> {
    scores.iter().flat_map(|score| &score.vector).flat_map(|number| number.to_le_bytes()).collect()
}

/// `MiniLM` and what the reference in `f64` says; none where Python is missing and nobody insists.
fn minilm() -> Option<(Files, Vec<Value>)> {
    let requirements = "verifier/tests/library/text_requirements.txt";
    let out = library::trained("library/text_minilm.py", requirements, &["--no-deps"])?;
    let mut files = files_of(&out.join("model"));
    for name in ["head.json", "head.safetensors"] {
        files = files.with(name, std::fs::read(out.join(name)).unwrap());
    }
    Some((files, json(&out.join("answers.json")).as_array().unwrap().clone()))
}

#[test]
fn minilm_lies_within_a_millionth_of_f64_and_no_tamper_does() {
    let Some((files, answers)) = minilm() else { return };
    let texts: Vec<&str> = answers.iter().map(|answer| answer["text"].as_str().unwrap()).collect();
    let started = std::time::Instant::now();
    let model = TextModel::load(&files).unwrap();
    let honest: Vec<TextScore> = texts.iter().map(|text| model.score(text).unwrap()).collect();
    let alone = compare(("texts", "all-MiniLM-L6-v2, alone"), &honest, &answers);
    let [vector, logits, _] = alone.parts.map(|part| part.farthest);
    println!("{} texts alone: vector {vector:.2e}, logits {logits:.2e} from f64", texts.len());
    assert!(vector < 1e-6, "{vector:e}");
    let batches: Vec<TextScore> =
        texts.chunks(16).flat_map(|part| model.score_batch(part, None).unwrap()).collect();
    assert!(bits(&batches) == bits(&honest), "a batch changes bits");
    let together = compare(("texts", "all-MiniLM-L6-v2, batches of 16"), &batches, &answers);
    let vector = together.parts[0].farthest;
    println!("{} texts in batches of 16: vector {vector:.2e} from f64", texts.len());
    assert!(vector < 1e-6, "{vector:e}");
    measured("minilm", &[alone, together]);
    let shown = |tamper: Tamper, texts: &[&str]| -> Vec<f64> {
        let model = TextModel::load(&tamper.apply(&files).unwrap()).unwrap();
        texts.iter().zip(&honest).map(|(text, honest)| apart(&model.score(text).unwrap(), honest)).collect()
    };
    let texts = &texts[..24];
    for tamper in Tamper::WHOLE {
        let least = shown(tamper, texts).into_iter().fold(f64::INFINITY, f64::min);
        println!("{}: at least {least:.2e} in each of {} texts", tamper.name(), texts.len());
        assert!(least > TAU, "{}: a text shows only {least:e}", tamper.name());
    }
    let mut seen = 0;
    for number in (0..ONE_WEIGHTS).step_by(4) {
        let one = shown(Tamper::OneWeight(number), &texts[..8]);
        let here = one.iter().filter(|apart| **apart > TAU).count();
        println!(
            "weight {number}: seen in {here} of 8 texts, {:.1e} at most",
            one.iter().copied().fold(0.0, f64::max)
        );
        assert!(one.iter().all(|apart| *apart > 0.0), "a change that does not show at all");
        seen += here;
    }
    assert!(seen >= 8, "one weight +0.01 is seen in {seen} of 32 texts");
    println!("in {:?}", started.elapsed());
}

#[test]
fn threads_change_no_bit() {
    let folder = family_folder("deberta-v2");
    let texts = Path::new(env!("CARGO_TARGET_TMPDIR")).join("texts-for-threads.txt");
    std::fs::write(&texts, "a loan was refused\nshe has worked here for nine years\n\n").unwrap();
    let mut said = Vec::new();
    let mut run = |folder: &Path, threads: &str, batch: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_ledgerstone"))
            .env("RAYON_NUM_THREADS", threads)
            .args(["model", "predict", "--json", "--batch", batch, "--text"])
            .args([&texts, folder])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        said.push(output.stdout);
    };
    let mut folders = vec![folder];
    if let Some((files, _)) = minilm() {
        let minilm = Path::new(env!("CARGO_TARGET_TMPDIR")).join("library-text_minilm-py/model");
        assert!(files.optional("config.json").is_some());
        folders.push(minilm);
    }
    for folder in &folders {
        for batch in ["1", "3"] {
            ["1", "2", "3", "5"].iter().for_each(|threads| run(folder, threads, batch));
        }
    }
    for same in said.chunks(4) {
        assert!(same.iter().all(|other| *other == same[0]));
    }
    assert_ne!(said[0], said[4], "the batch shows in the last bits, so that bits are what is compared");
}

#[test]
fn files_that_contradict_each_other_are_refused() {
    let files = files_of(&family_folder("bert"));
    let change = |name: &str, from: &str, to: &str| {
        let text = String::from_utf8(files.optional(name).unwrap().to_vec()).unwrap();
        assert!(text.contains(from), "{name} has no {from}");
        TextModel::load(&files.clone().with(name, text.replacen(from, to, 1).into_bytes()))
    };
    for (name, from, to) in [
        ("config.json", "\"hidden_size\": 24", "\"hidden_size\": 48"),
        ("config.json", "\"num_hidden_layers\": 3", "\"num_hidden_layers\": 4"),
        ("config.json", "\"intermediate_size\": 36", "\"intermediate_size\": 35"),
        ("config.json", "\"max_position_embeddings\": 96", "\"max_position_embeddings\": 97"),
        ("config.json", "\"vocab_size\": 140", "\"vocab_size\": 139"),
        ("config.json", "\"model_type\": \"bert\"", "\"model_type\": \"distilbert\""),
        ("config.json", "ForSequenceClassification", "Model"),
        ("config.json", "\"2\": \"yes\"", "\"2\": \"yes\", \"3\": \"who\""),
        ("tokenizer.json", "BertPreTokenizer", "UnicodeScripts"),
        ("tokenizer.json", "\"type\": \"WordPiece\", \"unk_token\"", "\"type\": \"BPE\", \"unk_token\""),
    ] {
        let refused = change(name, from, to);
        assert!(refused.is_err(), "{name}: {to}");
        println!("{to}: {}", refused.unwrap_err());
    }
    let weights = files.optional("model.safetensors").unwrap();
    for length in [0, 7, 8, 100, weights.len() / 2, weights.len() - 1] {
        assert!(
            TextModel::load(&files.clone().with("model.safetensors", weights[..length].to_vec())).is_err()
        );
    }
    assert!(TextModel::load(&Files::new(BTreeMap::new()).unwrap()).is_err(), "an empty folder");
}

#[test]
fn a_text_that_is_too_long_is_refused_and_one_that_fits_is_not() {
    let model = TextModel::load(&files_of(&family_folder("roberta"))).unwrap();
    assert_eq!(model.about().tokens_max, 94);
    assert_eq!(model.score(&"a ".repeat(92)).unwrap().tokens, 94);
    assert!(model.score(&"a ".repeat(93)).is_err(), "more tokens than places");
    assert!(model.score(&"a".repeat(70_000)).is_err(), "more bytes than are read");
    assert!(model.score_batch(&["a b c"], Some(4)).is_err(), "a length below the tokens");
    assert!(model.score_batch(&["a"], Some(95)).is_err(), "a length above the places");
    assert!(model.score_batch(&vec!["a"; 20_000], Some(94)).is_err(), "a batch that would fill the memory");
}

#[test]
fn bytes_changed_at_random_never_stop_the_program() {
    let files = files_of(&family_folder("modernbert"));
    for name in ["config.json", "tokenizer.json", "model.safetensors"] {
        let good = files.optional(name).unwrap();
        let mut state = 7_u64;
        for _ in 0..150 {
            let mut bytes = good.to_vec();
            for _ in 0..3 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let at = (state >> 33) as usize % bytes.len().min(6000);
                bytes[at] = (state >> 20) as u8;
            }
            if let Ok(model) = TextModel::load(&files.clone().with(name, bytes)) {
                let _ = model.score("a loan was refused");
            }
        }
    }
}
