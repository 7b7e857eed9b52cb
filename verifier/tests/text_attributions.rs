//! Integrated gradients of text models against captum, and against what must hold of them whatever the model.
//!
//! Danger: a slope is a little wrong, a rule misses an end, or another baseline is taken, and honest reasons look altered or altered ones honest.
//! Expected: every token of every family lies within 1e-12 of captum's number in `f64`; what is explained adds up to what is left over, and that is small; a network
//! that is linear is explained exactly; threads change no bit.

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

use std::path::{Path, PathBuf};
use std::process::Command;

use ledgerstone_verifier::recompute::neural::integrated::{Baseline, Integrated, Rule, Target};
use ledgerstone_verifier::recompute::neural::{Attributions, Files, GradientType, TextModel};
use serde_json::Value;

const FAMILIES: [&str; 4] = ["bert", "distilbert", "roberta", "xlm-roberta"];

/// The bound that docs/recompute.md states.
const BOUND: f64 = 1e-12;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/text").join(name)
}

fn files(name: &str) -> Files {
    Files::read(|file, _| Ok::<_, std::io::Error>(std::fs::read(folder(name).join(file)).ok())).unwrap()
}

fn json(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(folder(name).join("attributions.json")).unwrap()).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

fn asked(answer: &Value) -> Integrated {
    let place = answer["target"].as_u64().unwrap() as usize;
    Integrated {
        target: match answer["probability"].as_bool().unwrap() {
            true => Target::Probability(place),
            false => Target::Logit(place),
        },
        steps: answer["steps"].as_u64().unwrap() as u16,
        rule: serde_json::from_value(answer["rule"].clone()).unwrap(),
        baseline: Baseline::Pad,
    }
}

fn logit(place: usize, steps: u16, rule: Rule) -> Integrated {
    Integrated { target: Target::Logit(place), steps, rule, baseline: Baseline::Pad }
}

fn explain(model: &TextModel, text: &str, how: &Integrated) -> Attributions {
    model.attributions(&model.gradients(GradientType::F64).unwrap(), text, how, None).unwrap()
}

/// The greatest distance from captum's numbers; words must lie in the same places.
fn farthest(ours: &Attributions, answer: &Value) -> f64 {
    let tokens: Vec<f64> = ours.tokens.iter().map(|token| token.attribution).collect();
    let theirs = numbers(&answer["tokens"]);
    assert_eq!(tokens.len(), theirs.len(), "{}", answer["text"]);
    let mut farthest = tokens.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    let words = answer["words"].as_array().unwrap();
    assert_eq!(ours.words.len(), words.len(), "{}", answer["text"]);
    for (word, theirs) in ours.words.iter().zip(words) {
        assert_eq!((word.start as f64, word.end as f64), (numbers(theirs)[0], numbers(theirs)[1]));
        farthest = farthest.max((word.attribution - numbers(theirs)[2]).abs());
    }
    for (ours, theirs) in [(ours.value, &answer["value"]), (ours.baseline, &answer["baseline"])] {
        farthest = farthest.max((ours - theirs.as_f64().unwrap()).abs());
    }
    farthest
}

/// A head of Ledgerstone's own format.
fn with_head(files: Files, labels: usize, weight: &[f64], bias: &[f64], normalize: bool) -> Files {
    let width = weight.len() / labels;
    let header = format!(
        r#"{{"weight":{{"dtype":"F32","shape":[{labels},{width}],"data_offsets":[0,{}]}},"bias":{{"dtype":"F32","shape":[{labels}],"data_offsets":[{},{}]}}}}"#,
        weight.len() * 4,
        weight.len() * 4,
        (weight.len() + labels) * 4
    );
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    weight.iter().chain(bias).for_each(|number| bytes.extend((*number as f32).to_le_bytes()));
    let names: Vec<String> = (0..labels).map(|label| format!("\"l{label}\"")).collect();
    let head = format!(
        r#"{{"format": "ledgerstone-text-head/v1", "labels": [{}], "link": "softmax"}}"#,
        names.join(", ")
    );
    let last = if normalize { r#", {"type": "sentence_transformers.models.Normalize"}"# } else { "" };
    let modules = format!(r#"[{{"type": "m.Transformer"}}, {{"type": "m.Pooling"}}{last}]"#);
    files
        .with("head.json", head.into_bytes())
        .with("head.safetensors", bytes)
        .with("modules.json", modules.into_bytes())
        .with("1_Pooling/config.json", br#"{"pooling_mode_mean_tokens": true}"#.to_vec())
}

#[test]
fn every_family_is_explained_as_captum_explains_it() {
    let mut cases = Vec::new();
    for family in FAMILIES {
        cases.push((family.to_owned(), files(family), json(family)["answers"].clone()));
    }
    let sentence = &json("bert")["sentence"];
    let head = with_head(files("bert"), 3, &numbers(&sentence["weight"]), &numbers(&sentence["bias"]), true);
    cases.push(("a sentence's embedding with a head".to_owned(), head, sentence["answers"].clone()));
    for (name, files, answers) in cases {
        let model = TextModel::load(&files).unwrap();
        let (mut worst, mut greatest, mut compared) = (0.0_f64, 0.0_f64, 0);
        for answer in answers.as_array().unwrap() {
            let ours = explain(&model, answer["text"].as_str().unwrap(), &asked(answer));
            worst = worst.max(farthest(&ours, answer));
            greatest = ours.tokens.iter().map(|token| token.attribution.abs()).fold(greatest, f64::max);
            compared += ours.tokens.len();
        }
        println!("{name}: {compared} tokens, {worst:.1e} from captum at most, of {greatest:.2}");
        assert!(worst < BOUND, "{name}: {worst:e}");
        assert!(greatest > 0.01, "{name}: there is something to explain");
    }
}

#[test]
fn what_is_explained_is_what_the_canonical_way_computes() {
    for family in FAMILIES {
        let model = TextModel::load(&files(family)).unwrap();
        let score = model.score("she left; Income: 1,200 EUR").unwrap();
        for (place, theirs) in score.logits.iter().enumerate() {
            let how = logit(place, 1, Rule::GaussLegendre);
            let ours = explain(&model, "she left; Income: 1,200 EUR", &how).value;
            assert!((ours - f64::from(*theirs)).abs() < 1e-5, "{family}: {ours} {theirs}");
        }
    }
}

#[test]
fn attributions_add_up_to_the_difference_that_they_explain() {
    for family in FAMILIES {
        let model = TextModel::load(&files(family)).unwrap();
        let text = "she left";
        let mut last = f64::INFINITY;
        for steps in [2, 10, 50] {
            let ours = explain(&model, text, &logit(1, steps, Rule::GaussLegendre));
            let sum: f64 = ours.tokens.iter().map(|token| token.attribution).sum();
            assert_eq!(ours.residual.to_bits(), (sum - (ours.value - ours.baseline)).to_bits());
            println!(
                "{family}: {steps} steps leave {:.1e} of {:.2}",
                ours.residual,
                ours.value - ours.baseline
            );
            last = ours.residual.abs();
        }
        // DistilBERT's classifier has kinks (ReLU), which no rule for smooth functions meets.
        let is_smooth = family != "distilbert";
        assert!(last < if is_smooth { 1e-12 } else { 0.02 }, "{family}: {last:e}");
        if is_smooth {
            // captum's trapezoid gives every step a share of 1/n, and there are n - 1 of them.
            let ours = explain(&model, text, &logit(1, 100, Rule::RiemannTrapezoid));
            let missing = -(ours.value - ours.baseline) / 100.0;
            assert!((ours.residual - missing).abs() < 1e-3, "{family}: {} {missing}", ours.residual);
        }
        // A special token is its own baseline, and a text without words has nothing to explain.
        let nothing = explain(&model, "", &logit(1, 5, Rule::GaussLegendre));
        assert!(nothing.words.is_empty() && nothing.tokens.iter().all(|token| token.attribution == 0.0));
        assert_eq!(nothing.value.to_bits(), nothing.baseline.to_bits());
    }
}

/// Overwrites tensors of a safetensors file: what `change` gives for a name, number by number.
fn rewritten(bytes: &[u8], change: impl Fn(&str, f32) -> f32) -> Vec<u8> {
    let length = u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize;
    let header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let mut bytes = bytes.to_vec();
    for (name, tensor) in header.as_object().unwrap() {
        let Some(offsets) = tensor.get("data_offsets") else { continue };
        let [from, to] = [0, 1].map(|end| 8 + length + offsets[end].as_u64().unwrap() as usize);
        for number in bytes[from..to].chunks_exact_mut(4) {
            let old = f32::from_le_bytes(*number.first_chunk().unwrap());
            number.copy_from_slice(&change(name, old).to_le_bytes());
        }
    }
    bytes
}

fn tensor(bytes: &[u8], name: &str) -> Vec<f64> {
    let length = u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize;
    let header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let offsets = numbers(&header[name]["data_offsets"]);
    let bytes = &bytes[8 + length + offsets[0] as usize..8 + length + offsets[1] as usize];
    bytes.chunks_exact(4).map(|b| f64::from(f32::from_le_bytes(*b.first_chunk().unwrap()))).collect()
}

/// With vectors so short that a normalization's epsilon outweighs their length by far, and layers that add nothing, the network is linear to 1e-12.
#[test]
fn a_linear_network_is_explained_exactly() {
    const EPSILON: f64 = 0.5;
    const WIDTH: usize = 24;
    let files = files("bert");
    let weights = rewritten(files.optional("model.safetensors").unwrap(), |name, old| match name {
        name if name.contains("LayerNorm.weight") => 1.0,
        name if name.contains("LayerNorm.bias") || name.contains(".layer.") => 0.0,
        name if name.contains("embeddings") => old * 1e-7,
        _ => old,
    });
    let words = tensor(&weights, "bert.embeddings.word_embeddings.weight");
    let config = String::from_utf8(files.optional("config.json").unwrap().to_vec()).unwrap();
    let given = r#""layer_norm_eps": 1e-12"#;
    assert!(config.contains(given));
    let config = config.replace(given, &format!(r#""layer_norm_eps": {EPSILON}"#));
    let head: Vec<f64> = (0..2 * WIDTH).map(|place| f64::from((place * 7 % 11) as f32 - 5.0)).collect();
    let files = with_head(files, 2, &head, &[0.25, -1.0], false)
        .with("config.json", config.into_bytes())
        .with("model.safetensors", weights);
    let model = TextModel::load(&files).unwrap();
    // One normalization behind the embeddings and two in each of three layers; each takes the mean away and divides by the root of epsilon.
    let gain = EPSILON.sqrt().recip().powi(7);
    for (target, row) in head.chunks(WIDTH).enumerate() {
        let mean = row.iter().sum::<f64>() / WIDTH as f64;
        for rule in [Rule::GaussLegendre, Rule::RiemannTrapezoid] {
            let ours = explain(&model, "a loan", &logit(target, 4, rule));
            // The trapezoid of four points weighs three quarters, as captum has it.
            let share = if rule == Rule::RiemannTrapezoid { 0.75 } else { 1.0 };
            let ids = token_ids(&ours);
            for (token, id) in ours.tokens.iter().zip(&ids) {
                let [own, blank] = [*id, if *id == 2 || *id == 3 { *id } else { 0 }]
                    .map(|id| &words[id * WIDTH..(id + 1) * WIDTH]);
                let along = row.iter().zip(own.iter().zip(blank)).map(|(w, (x, b))| (w - mean) * (x - b));
                let expected = share * gain * along.sum::<f64>() / ids.len() as f64;
                assert!(
                    (token.attribution - expected).abs() < 1e-11 * expected.abs() + 1e-18,
                    "{rule:?} {}: {} {expected}",
                    token.token,
                    token.attribution
                );
            }
            assert!(ours.tokens.iter().any(|token| token.attribution.abs() > 1e-8));
        }
    }
}

/// The ids of the tokens, which stand in the vocabulary in this order.
fn token_ids(ours: &Attributions) -> Vec<usize> {
    let tokenizer: Value =
        serde_json::from_slice(&std::fs::read(folder("bert").join("tokenizer.json")).unwrap()).unwrap();
    let id = |token: &str| tokenizer["model"]["vocab"][token].as_u64().unwrap() as usize;
    ours.tokens.iter().map(|token| id(&token.token)).collect()
}

#[test]
fn other_types_and_batches_of_points_lie_close() {
    let model = TextModel::load(&files("roberta")).unwrap();
    let how = logit(2, 50, Rule::GaussLegendre);
    let text = "she has worked here for nine years";
    let canonical = explain(&model, text, &how);
    let apart = |of: GradientType, together: usize| {
        let other = model.attributions(&model.gradients(of).unwrap(), text, &how, Some(together)).unwrap();
        let pairs = other.words.iter().zip(&canonical.words);
        pairs.map(|(one, other)| (one.attribution - other.attribution).abs()).fold(0.0, f64::max)
    };
    assert!(apart(GradientType::F64, 1) < 1e-12 && apart(GradientType::F64, 7) < 1e-12);
    let rounding = apart(GradientType::F32, 16);
    println!("f32 lies {rounding:.1e} from f64");
    assert!(rounding > 0.0 && rounding < 1e-4, "{rounding:e}");
}

#[test]
fn threads_change_no_bit_of_an_attribution() {
    let texts = Path::new(env!("CARGO_TARGET_TMPDIR")).join("texts-for-attributions.txt");
    std::fs::write(&texts, "a loan was refused\nshe has worked here for nine years\n").unwrap();
    let run = |threads: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_ledgerstone"))
            .env("RAYON_NUM_THREADS", threads)
            .args([
                "model",
                "predict",
                "--json",
                "--contributions",
                "--target",
                "yes",
                "--steps",
                "9",
                "--text",
            ])
            .args([&texts, &folder("bert")])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    let one = run("1");
    assert!(["2", "3", "5"].iter().all(|threads| run(threads) == one));
}
