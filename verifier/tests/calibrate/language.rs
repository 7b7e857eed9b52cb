//! Language models.

use ledgerstone::record::{Record, Value, schema};
use ledgerstone_verifier::audit::verdict::Verdict;
use ledgerstone_verifier::recompute::neural::sampler::Sampling;
use ledgerstone_verifier::recompute::neural::{Files, LanguageModel};
use ledgerstone_verifier::recompute::tamper::Tamper;
use serde_json::Value as Json;

use crate::bench::{Bench, bytes_of, changed, shown, vectors};

const PROMPTS: [&str; 3] = ["the income is 12345, at most", "a loan", "it's ok"];

/// Tokens of an answer.
const TOKENS: usize = 4;

/// How far the other machine's logits lie off.
const OFF: f32 = 1e-5;

fn described(bench: &Bench, temperature: f64) {
    let folder = vectors("language/llama");
    for name in ["config.json", "tokenizer.json", "model.safetensors"] {
        bench.write(&format!("m/{name}"), &std::fs::read(folder.join(name)).unwrap());
    }
    let description = serde_json::json!({"format": "ledgerstone-recompute/v1",
        "prompt": {"feature": "prompt", "tokens_max": TOKENS, "temperature": temperature, "top_p": 1.0, "seed": 5,
            "tokens": "tokens", "logits": "logits"}});
    bench.write("m/recompute.json", description.to_string().as_bytes());
    bench.write("prompts", PROMPTS.map(|prompt| format!("{prompt}\n")).concat().as_bytes());
}

fn files(bench: &Bench) -> Files {
    let read = |name: &str, _| Ok::<_, ()>(std::fs::read(bench.at("m").join(name)).ok());
    Files::read(read).unwrap()
}

fn moved(json: &mut Json) {
    for step in json["steps"].as_array_mut().unwrap() {
        step["logit"] = serde_json::json!(step["logit"].as_f64().unwrap() as f32 + OFF);
    }
}

/// A record of an answer.
fn recorded(bench: &Bench, prompt: &str, tokens: &[u32], logits: &[f32]) -> (Record, Option<Vec<u8>>) {
    let fields = vec![(schema::feature("prompt").unwrap(), Value::from(prompt))];
    let ids: Vec<u8> = tokens.iter().flat_map(|token| token.to_le_bytes()).collect();
    let outputs =
        vec![("tokens", "UINT32", ids, tokens.len()), ("logits", "FP32", bytes_of(logits), logits.len())];
    bench.record("m", fields, outputs)
}

fn answer(model: &mut LanguageModel, prompt: &str) -> (Vec<u32>, Vec<f32>) {
    let steps = model.generate(prompt, TOKENS, &Sampling::GREEDY).unwrap().steps;
    steps.into_iter().map(|step| (step.token, step.logit)).unzip()
}

#[test]
fn a_language_model_is_audited_by_the_profile_that_was_measured_of_it() {
    let bench = Bench::new();
    described(&bench, 0.0);
    let here = bench.run("model generate m --prompts prompts --tokens 4 --seed 5 --json");
    assert_eq!(here.lines().count(), PROMPTS.len());
    bench.write("other.jsonl", changed(&here, moved).as_bytes());
    let profile = bench.profile("m --text prompts --recorded other.jsonl --threads 1,2");
    assert_eq!((&profile["quantity"], &profile["dtype"]), (&Json::from("logits"), &Json::from("f32")));
    assert_eq!(profile["model"], bench.digest("m").to_string());
    assert_eq!(profile["honest"]["count"], 3 * PROMPTS.len());
    let (most, tau) = (profile["honest"]["max"].as_f64().unwrap(), profile["tau"].as_f64().unwrap());
    assert!((most - f64::from(OFF)).abs() < 1e-6 && tau >= 20.0 * most, "{most} {tau}");
    for name in ["weights int8", "weights int4"] {
        assert_eq!(shown(&profile, name), (3, 3), "{name}");
    }
    assert_eq!(shown(&profile, "one weight +0.01").0, 4 * 3);

    let mut model = LanguageModel::load_folder(&files(&bench)).unwrap();
    let (tokens, logits) = answer(&mut model, PROMPTS[0]);
    let near: Vec<f32> = logits.iter().map(|logit| logit + OFF).collect();
    let rounded = Tamper::Int4.apply(&files(&bench)).unwrap();
    let (other_tokens, other_logits) = answer(&mut LanguageModel::load_folder(&rounded).unwrap(), PROMPTS[0]);
    let verdicts = bench.audited(
        "m",
        &[
            recorded(&bench, PROMPTS[0], &tokens, &logits),
            recorded(&bench, PROMPTS[0], &tokens, &near),
            recorded(&bench, PROMPTS[0], &other_tokens, &other_logits),
        ],
    );
    assert_eq!(verdicts, [Verdict::Exact, Verdict::WithinTolerance, Verdict::MismatchSameOutcome]);
}

#[test]
fn behind_a_token_that_rounding_turned_no_other_may_be_chosen() {
    let bench = Bench::new();
    described(&bench, 0.0);
    let prompt = PROMPTS[0];
    let mut model = LanguageModel::load_folder(&files(&bench)).unwrap();
    // By how much the model's choice behind `before` exceeds each token that ends no answer.
    let mut behind = |before: &[u32]| -> Vec<f32> {
        let step = |token: u32| {
            let tokens = [before, &[token]].concat();
            let step = model.follow(prompt, &tokens, &Sampling::GREEDY).unwrap()[before.len()];
            step.chosen.logit - step.logit
        };
        (0..79).map(step).collect()
    };
    let place = |numbers: &[f32], number: f32| numbers.iter().position(|one| *one == number).unwrap() as u32;
    // The token that is next to the model's choice, and behind it one that is far from it.
    let first = behind(&[]);
    let least = first.iter().copied().filter(|one| *one > 0.0).fold(f32::INFINITY, f32::min);
    let mut chosen = vec![place(&first, least)];
    let second = behind(&chosen);
    let most = second.iter().copied().fold(0.0, f32::max);
    assert!(most > 4.0 * least, "{least} {most}");
    let far = place(&second, most);
    while chosen.len() < TOKENS {
        let next = behind(&chosen);
        chosen.push(place(&next, next.iter().copied().fold(f32::INFINITY, f32::min)));
    }
    let mut altered = chosen.clone();
    altered[1] = far;
    let record = |tokens: &[u32]| {
        let mut model = LanguageModel::load_folder(&files(&bench)).unwrap();
        let steps = model.follow(prompt, tokens, &Sampling::GREEDY).unwrap();
        recorded(&bench, prompt, tokens, &steps.iter().map(|step| step.logit).collect::<Vec<_>>())
    };
    bench.profile(&format!("m --text prompts --threads 1 --tau {}", f64::from(least)));
    let verdicts = bench.audited("m", &[record(&chosen), record(&altered)]);
    assert_eq!(verdicts, [Verdict::MarginAmbiguous, Verdict::MismatchSameOutcome]);
}

#[test]
fn drawn_answers_show_another_seed_whatever_the_tolerance() {
    let bench = Bench::new();
    described(&bench, 1.0);
    let profile = bench.profile("m --text prompts --threads 2");
    let (count, detected) = shown(&profile, "seed +1");
    assert!(count == 3 && detected > 0, "{detected} of {count}");
    let other = bench.profile("m --text prompts --threads 2 --temperature 0");
    assert!(!other["tampers"].to_string().contains("seed"), "{other}");
    // What was drawn otherwise is not honest here.
    let drawn = bench.run("model generate m --prompts prompts --tokens 4 --temperature 1 --seed 6 --json");
    bench.write("other.jsonl", drawn.as_bytes());
    let line = "audit calibrate m --text prompts --recorded other.jsonl --key auditor.key -o none";
    let (_, err, status) = bench.said(line);
    assert!(err.contains("another format, model or sampling") && status == 65, "{err}");
}

#[test]
fn a_gguf_file_is_measured_with_blocks_of_four_bits() {
    let bench = Bench::new();
    bench.write("m.gguf", &std::fs::read(vectors("language/qwen3/q8_0.gguf")).unwrap());
    bench.write("prompts", PROMPTS.map(|prompt| format!("{prompt}\n")).concat().as_bytes());
    let profile = bench.profile("m.gguf --text prompts --tokens 3 --threads 2");
    assert_eq!(shown(&profile, "weights int4"), (3, 3));
    assert!(shown(&profile, "one weight +0.01").1 > 0, "{profile}");
    assert_eq!(profile["honest"]["max"], 0.0);
    bench.write("m/config.json", &std::fs::read(vectors("language/qwen3/config.json")).unwrap());
    for (line, why) in [
        ("m.gguf --text prompts --device cuda", "main processor only"),
        ("m.gguf --text prompts --tokens 0", "0 tokens"),
        ("m --text prompts", "tokenizer.json"),
        ("m.gguf --text -", "read more than once"),
    ] {
        let (_, err, status) = bench.said(&format!("audit calibrate {line} --key auditor.key -o none"));
        assert!(err.contains(why) && status != 0, "{line}: {err}");
    }
}
