//! What a policy gate costs a decision: the work of `record_path` with five rules and without any.
//!
//! `cargo bench -p ledgerstone-sidecar --bench gate`; `-- --test` runs each once. The last line is the difference, measured in
//! turns within one run.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a bench may stop where it fails"
)]

#[path = "support/call.rs"]
mod call;

use std::time::{Duration, Instant};

use bytes::Bytes;
use call::response;
use criterion::{Criterion, criterion_group};
use ledgerstone::proto::inference::InferParameter;
use ledgerstone::proto::inference::infer_parameter::ParameterChoice;
use ledgerstone_sidecar::intercept::{Recorder, measure};

const ROUTE: &str = r#"
name = "loans"
purpose = "credit"
adverse = ["deny"]
subject = { parameter = "applicant" }
score = { tensor = "predict" }
threshold = { value = 0.5, above = "approve", below = "deny" }
features = [{ tensor = "input", names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "loan amount"] }]
"#;

/// The four questions of `docs/gate.md` and one more.
const RULES: &str = r#"
[[gate]]
name = "consent"
when = "request"
rule = "has(input.parameter.consent) && input.parameter.consent == true"

[[gate]]
name = "person"
when = "request"
rule = "subject.present && input.observed == 'true'"

[[gate]]
name = "purpose"
when = "request"
rule = "purpose in ['credit', 'renewal'] && input.parameter.channel in ['branch', 'web', 'phone']"

[[gate]]
name = "model"
when = "answer"
rule = "model.name.matches('^loans(-[a-z0-9]+)?$') && model.version != null"

[[gate]]
name = "large-or-close"
when = "answer"
rule = "input.feature['loan amount'] < 250000.0 && !(output.score.predict > 0.4 && output.score.predict < 0.6)"
otherwise = "review"
"#;

fn recorder(route: &str) -> Recorder {
    call::recorder(&[toml::from_str(route).unwrap()])
}

fn request() -> Bytes {
    let parameter = |choice| InferParameter { parameter_choice: Some(choice) };
    let text = |text: &str| parameter(ParameterChoice::StringParam(text.to_owned()));
    let consent = parameter(ParameterChoice::BoolParam(true));
    call::request(10, [("applicant", text("A-17")), ("channel", text("web")), ("consent", consent)])
}

fn gate(criterion: &mut Criterion) {
    let (without, with) = (recorder(ROUTE), recorder(&format!("{ROUTE}{RULES}")));
    let (request, response) = (request(), response());
    let mut group = criterion.benchmark_group("gate");
    for (name, recorder) in [("no_rules", &without), ("five_rules", &with)] {
        assert!(measure::decision(recorder, &request, &response).is_some(), "{name} is refused");
        group.bench_function(name, |bencher| {
            bencher.iter(|| measure::decision(recorder, &request, &response));
        });
    }
    group.finish();
}

/// The medians of turns, one without rules and one with them, so that a busy machine slows both.
fn difference() {
    const TURNS: usize = 400;
    const DECISIONS: u32 = 50;
    let (without, with) = (recorder(ROUTE), recorder(&format!("{ROUTE}{RULES}")));
    let (request, response) = (request(), response());
    let time = |recorder: &Recorder| {
        let started = Instant::now();
        for _ in 0..DECISIONS {
            assert!(measure::decision(recorder, &request, &response).is_some());
        }
        started.elapsed() / DECISIONS
    };
    let (mut bare, mut gated) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        bare.push(time(&without));
        gated.push(time(&with));
    }
    let median = |times: &mut Vec<Duration>| {
        times.sort_unstable();
        times[times.len() / 2].as_secs_f64() * 1e6
    };
    let (bare, gated) = (median(&mut bare), median(&mut gated));
    println!("gate: {bare:.1} us a decision without rules, {gated:.1} us with five: {:.1} us", gated - bare);
}

criterion_group!(benches, gate);

fn main() {
    benches();
    Criterion::default().configure_from_args().final_summary();
    if !std::env::args().any(|argument| argument == "--test") {
        difference();
    }
}
