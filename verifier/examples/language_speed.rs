//! Time per token of a language model's answer against llama.cpp, in turns in one run on the same threads, with SmolLM2-135M.
//!
//!     RAYON_NUM_THREADS=1 cargo run --release -p ledgerstone-verifier --example language_speed -- TURNS TOKENS
//!
//! Both read the same file and take the likeliest token at each step; llama.cpp gets the prompt one token a step too, and is otherwise as it sets itself. The
//! first tokens of both answers must be the same. llama.cpp takes its own times, without those of its server.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    missing_docs,
    reason = "a measurement fails by panicking, and prints"
)]

#[path = "support/peer.rs"]
mod peer;

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use ledgerstone_verifier::recompute::neural::LanguageModel;
use ledgerstone_verifier::recompute::neural::sampler::Sampling;

use crate::peer::Peer;

/// Tokens that both must say. Behind them the two may part: their sums are rounded in other orders.
const SAME: usize = 4;

/// What the model goes on to repeat, so that no step hangs on a rounding.
const DAYS: &str = "Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday, ";

/// Seconds of one answer.
#[derive(Clone, Copy)]
struct Times {
    /// For a token of the prompt.
    prompt: f64,
    /// For a token behind the first one of the answer.
    decode: f64,
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut number = |usual| arguments.next().map_or(usual, |number| number.parse().expect("a number"));
    let (turns, tokens) = (number(5), number(64));
    let (threads, folder) = (peer::threads(), peer::filled("language_smollm2.py"));
    let prompt = DAYS.repeat(5).trim_end().to_owned();
    std::fs::write(folder.path().join("prompt"), &prompt).unwrap();
    for (kind, name) in [("q4_1", "model.gguf"), ("q8_0", "q8_0.gguf")] {
        let (mut peer, ready) = Peer::start(
            Command::new(peer::python("language_families_requirements.txt", &[]))
                .arg(peer::library("language_speed.py"))
                .arg(folder.path())
                .args([kind, &threads])
                .stderr(std::process::Stdio::null()),
        );
        assert_eq!(ready, "ready");
        let mut model = load(&folder.path().join(name));
        let all: Vec<(Times, Times)> = (0..turns)
            .map(|turn| one(&mut peer, &mut model, (&prompt, tokens), &format!("{kind}, turn {turn}")))
            .collect();
        let prompts = all.iter().map(|(ours, theirs)| ours.prompt / theirs.prompt).collect();
        let steps = all.iter().map(|(ours, theirs)| ours.decode / theirs.decode).collect();
        for (part, ratios) in [("a token of the prompt", prompts), ("a step", steps)] {
            let [median, least, most] = peer::spread(ratios);
            println!(
                "{kind}, {threads} threads, {part}: {median:.2} times llama.cpp's time (median; {least:.2} to {most:.2})"
            );
        }
    }
}

fn load(path: &Path) -> LanguageModel {
    LanguageModel::load(&std::fs::read(path).unwrap()).unwrap()
}

/// One turn of both. The first turn warms up both, and counts like the others.
fn one(
    peer: &mut Peer,
    model: &mut LanguageModel,
    (prompt, tokens): (&str, usize),
    name: &str,
) -> (Times, Times) {
    let said = peer.ask(&tokens.to_string());
    let said: Vec<f64> = said.split(' ').map(|word| word.parse().unwrap()).collect();
    let [read, decode, prompt_tokens, answered @ ..] = said.as_slice() else { panic!("{said:?}") };
    let start = Instant::now();
    let first = model.generate(prompt, 1, &Sampling::GREEDY).unwrap();
    let one = start.elapsed().as_secs_f64();
    let start = Instant::now();
    let answer = model.generate(prompt, tokens, &Sampling::GREEDY).unwrap();
    let whole = start.elapsed().as_secs_f64();
    assert_eq!((first.prompt_tokens as f64, first.steps[0]), (*prompt_tokens, answer.steps[0]));
    let ours: Vec<f64> = answer.steps.iter().map(|step| f64::from(step.token)).collect();
    assert_eq!((ours.len(), answered.len()), (tokens, tokens), "an answer ended before");
    let same = ours.iter().zip(answered).take_while(|(ours, theirs)| ours == theirs).count();
    assert!(same >= SAME.min(tokens), "the answers part at token {same}: {ours:?}, {answered:?}");
    // The first token of an answer is what the prompt's last step says.
    let steps = (tokens - 1) as f64;
    let theirs = Times { prompt: read / prompt_tokens, decode: decode / steps };
    let ours = Times { prompt: one / prompt_tokens, decode: (whole - one) / steps };
    println!(
        "{name}: prompt of {prompt_tokens} tokens {:.1} tokens/s here, {:.1} there; {steps} steps {:.1} tokens/s here, {:.1} there; {same} tokens are the same",
        1.0 / ours.prompt,
        1.0 / theirs.prompt,
        1.0 / ours.decode,
        1.0 / theirs.decode
    );
    (ours, theirs)
}
