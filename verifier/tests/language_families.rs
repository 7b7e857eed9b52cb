//! Small language models of each family with random weights, against llama.cpp and mlx-lm, which share no code with candle.
//!
//! Danger: a place turned by another base, a norm, bias, window or cap left out, or a text cut otherwise gives plausible tokens that no recorder's model gave.
//! Expected: the tokens of every prompt are the other engine's, and at each step the logarithms of the shares are within the bound that is stated at the test;
//! a prompt leaves nothing behind for the next one; a file that is cut, or has a tensor, setting or tokenizer that is not known, is refused by its name.
//!
//! The models and answers of `vectors/language` were written by `library/language_families.py`.

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

#[path = "support/library.rs"]
mod library;

use std::path::{Path, PathBuf};

use ledgerstone_verifier::recompute::neural::sampler::Sampling;
use ledgerstone_verifier::recompute::neural::{Files, LanguageModel};
use serde::Deserialize;

const FAMILIES: [&str; 6] = ["llama", "qwen2", "qwen3", "phi3", "gemma2", "gemma3"];

/// Both in `f32`, with other orders of adding; shares are written with six digits. Measured: 1.2e-5 at most.
const SINGLE_MAX: f64 = 3e-5;

/// llama.cpp looks Gemma's activation up in a table of half precision. Measured: 1.4e-3 at most.
const TABLE_MAX: f64 = 4e-3;

/// Both round what is multiplied to 8 bits. A number that lies on the edge of two steps falls to either side, so that single places are far off: measured
/// 0.14 at most.
const EDGE_MAX: f64 = 0.3;

/// Half of the places of a Gemma with weights of 8 bits, whose table moves numbers over edges. Measured: 0.031 at most.
const TABLE_AND_EDGE_MAX: f64 = 0.06;

#[derive(Deserialize)]
struct Answer {
    text: String,
    tokens: Vec<u32>,
    probes: Vec<usize>,
    log_shares: Vec<Vec<f64>>,
}

fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/language")
}

fn answers(folder: &Path, engine: &str) -> Vec<Answer> {
    let bytes = std::fs::read(folder.join("answers.json")).unwrap();
    let mut all: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    serde_json::from_value(all[engine].take()).unwrap()
}

fn files(folder: &Path) -> Files {
    let read = |name: &str, _| Ok::<_, ()>(std::fs::read(folder.join(name)).ok());
    Files::read(read).unwrap()
}

/// How far places lie from the other engine's answers: half of them at most, and all of them. The tokens must be the same.
fn distance(model: &mut LanguageModel, answers: &[Answer], name: &str) -> (f64, f64) {
    let mut places = Vec::new();
    for answer in answers {
        let mut tokens = Vec::new();
        let see = |token: u32, logits: &[f32]| {
            let whole = logits.iter().map(|logit| f64::from(*logit).exp()).sum::<f64>().ln();
            let theirs = &answer.log_shares[tokens.len()];
            let ours = answer.probes.iter().map(|id| f64::from(logits[*id]) - whole);
            places.push(ours.zip(theirs).map(|(ours, theirs)| (ours - theirs).abs()).fold(0.0, f64::max));
            tokens.push(token);
        };
        model.read(&answer.text, see).unwrap();
        assert_eq!(tokens, answer.tokens, "{name}: {:?}", answer.text);
    }
    places.sort_by(f64::total_cmp);
    (places[places.len() / 2], *places.last().unwrap())
}

fn within(most: f64, bound: f64, name: &str) {
    println!("{name}: {most:.2e} at most");
    assert!(most <= bound, "{name}: {most} is above {bound}");
}

fn eight_bits(model: &mut LanguageModel, answers: &[Answer], family: &str) {
    let (half, most) = distance(model, answers, family);
    let bound = if family.starts_with("gemma") { TABLE_AND_EDGE_MAX } else { SINGLE_MAX };
    within(half, bound, &format!("{family}, half of the places"));
    within(most, EDGE_MAX, family);
}

#[test]
fn folders_say_what_mlx_says() {
    for family in FAMILIES {
        let folder = vectors().join(family);
        let mut model = LanguageModel::load_folder(&files(&folder)).unwrap();
        within(distance(&mut model, &answers(&folder, "mlx"), family).1, SINGLE_MAX, family);
    }
}

#[test]
fn gguf_files_say_what_llama_cpp_says() {
    for family in FAMILIES {
        let folder = vectors().join(family);
        let mut model = LanguageModel::load(&std::fs::read(folder.join("q8_0.gguf")).unwrap()).unwrap();
        eight_bits(&mut model, &answers(&folder, "q8_0"), family);
    }
}

#[test]
fn whole_numbers_in_gguf_files_say_what_llama_cpp_says() {
    let requirements = "verifier/tests/library/language_families_requirements.txt";
    let Some(folder) = library::trained("library/language_families.py", requirements, &[]) else { return };
    for family in FAMILIES {
        let folder = folder.join(family);
        let read = |kind: &str| std::fs::read(folder.join(format!("{kind}.gguf"))).unwrap();
        let mut whole = LanguageModel::load(&read("f32")).unwrap();
        let bound = if family.starts_with("gemma") { TABLE_MAX } else { SINGLE_MAX };
        within(distance(&mut whole, &answers(&folder, "f32"), family).1, bound, family);
        let mut model = LanguageModel::load(&read("q8_0")).unwrap();
        eight_bits(&mut model, &answers(&folder, "q8_0"), family);
    }
}

#[test]
fn a_prompt_leaves_nothing_behind() {
    for family in FAMILIES {
        let bytes = std::fs::read(vectors().join(family).join("q8_0.gguf")).unwrap();
        let mut model = LanguageModel::load(&bytes).unwrap();
        let (one, other) = ("the income is 12345, at most", "ok");
        let first = model.generate(other, 4, &Sampling::GREEDY).unwrap();
        let second = model.generate(one, 4, &Sampling::GREEDY).unwrap();
        // A prompt before an answer is fed at the places at which it is read.
        let mut highest = f32::NAN;
        let see = |_: u32, logits: &[f32]| highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        model.read(one, see).unwrap();
        assert_eq!(second.steps[0].logit.to_bits(), highest.to_bits(), "{family}");
        assert_eq!(model.generate(other, 4, &Sampling::GREEDY).unwrap(), first, "{family}");
        let tokens: Vec<u32> = first.steps.iter().map(|step| step.token).collect();
        assert_eq!(model.compare(other, &tokens, &Sampling::GREEDY).unwrap(), None, "{family}");
    }
}

#[test]
fn a_tensor_that_nothing_asks_for_or_that_is_missing_is_named() {
    let folder = vectors().join("qwen3");
    let good = std::fs::read(folder.join("q8_0.gguf")).unwrap();
    for (from, to) in [
        ("blk.0.attn_q_norm.weight", "blk.0.attn_q_norx.weight"),
        ("blk.1.ffn_up.weight", "blk.9.ffn_up.weight"),
    ] {
        let at = good.windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
        let mut bad = good.clone();
        bad[at..at + to.len()].copy_from_slice(to.as_bytes());
        let error = LanguageModel::load(&bad).unwrap_err().to_string();
        assert!(error.contains(from), "{error}");
    }
    for length in (0..good.len()).step_by(997) {
        assert!(LanguageModel::load(&good[..length]).is_err(), "cut after {length} bytes");
    }
    let folder = files(&vectors().join("llama"));
    for (from, to) in
        [("lm_head.weight", "lm_hexd.weight"), ("model.layers.2.mlp.up", "model.layers.2.mlp.ux")]
    {
        let mut bytes = folder.required("model.safetensors").unwrap().to_vec();
        let at = bytes.windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        let error = LanguageModel::load_folder(&folder.clone().with("model.safetensors", bytes)).unwrap_err();
        assert!(error.to_string().contains(from), "{error}");
    }
}
