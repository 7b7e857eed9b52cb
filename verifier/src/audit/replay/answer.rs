//! A language model's answer, followed token by token: at each step the recorded token must be the one that the model would choose.
//!
//! *Guarantees*: an answer that ends too early or too late, or whose text is not that of its tokens, does not follow. Where
//! logits lie within the tolerance, a token is still the model's choice only if none exceeds it by more than twice the tolerance.
//!
//! *Does not do*: accept another draw than the recorded one where tokens were drawn.

use std::sync::{Mutex, PoisonError};

use ledgerstone::record::Record;

use super::comparison::Comparison;
use super::near;
use super::numbers::{compare_label, compare_output};
use super::recorded::Response;
use super::{Obstacle, Recomputer};
use crate::audit::profile;
use crate::audit::verdict::{self, Replayed, Verdict};
use crate::recompute::description::Prompt;
use crate::recompute::neural::{Difference, LanguageModel};

pub(super) fn replay(
    recomputer: &Recomputer,
    model: &Mutex<LanguageModel>,
    settings: &Prompt,
    prompt: &str,
    record: &Record,
    response: Option<&[u8]>,
) -> Result<Replayed, Obstacle> {
    let response = Response::read(response)?;
    let tokens = response.tokens(&settings.tokens)?;
    let theirs = response.numbers(&settings.logits)?;
    let mut model = model.lock().unwrap_or_else(PoisonError::into_inner);
    let mut comparison = Comparison::default();
    let text = model.text_of(&tokens).map_err(Obstacle::Row)?;
    outputs(settings, &tokens, &theirs, &text, record, &mut comparison)?;
    label(recomputer, record, &text, &mut comparison)?;
    ending(&model, settings, &tokens, &mut comparison);
    let sampling = settings.sampling();
    let steps = model.follow(prompt, &tokens, &sampling).map_err(Obstacle::Row)?;
    let mine: Vec<f64> = steps.iter().map(|step| f64::from(step.logit)).collect();
    let distance = profile::distance(&mine, &theirs);
    let turns: Vec<_> = (0..)
        .zip(&steps)
        .zip(&tokens)
        .filter_map(|((place, step), token)| step.difference(place, *token))
        .collect();
    if !comparison.follows() || (distance == 0.0 && turns.is_empty()) {
        return Ok(comparison.replayed());
    }
    let tau = match recomputer.tau {
        Some(tau) => tau,
        None if distance == 0.0 => 0.0,
        None => return Err(Obstacle::NoProfile { distance }),
    };
    let is_within = distance <= tau;
    let Some(turn) = turns.first() else {
        let mut replayed = comparison.replayed();
        replayed.distance = Some(distance);
        if is_within {
            replayed.verdict = Verdict::WithinTolerance;
            return Ok(replayed);
        }
        replayed.verdict = Verdict::MismatchSameOutcome;
        return Ok(near::beyond(replayed, distance, tau));
    };
    let what = format!(
        "step {} of the answer: the logit of the recomputed token exceeds the recorded one's by {:.2e}",
        turn.step, turn.behind
    );
    comparison.number(verdict::Difference::between(what, Some(turn.recorded), Some(turn.recomputed)));
    // Behind a token that rounding turned every other one must be the model's choice, too.
    let is_rounding = |turn: &Difference| turn.tolerance(&sampling).is_some_and(|least| least <= tau);
    if is_within && turns.iter().all(is_rounding) {
        let mut replayed = comparison.replayed();
        replayed.verdict = Verdict::MarginAmbiguous;
        replayed.distance = Some(distance);
        return Ok(replayed);
    }
    let own = model.generate(prompt, settings.tokens_max, &sampling).map_err(Obstacle::Row)?;
    label(recomputer, record, &own.text, &mut comparison)?;
    let replayed = comparison.replayed();
    Ok(if is_within {
        Replayed { distance: Some(distance), ..replayed }
    } else {
        near::beyond(replayed, distance, tau)
    })
}

/// That the tensors that were read are those that the record has the digests of.
fn outputs(
    settings: &Prompt,
    tokens: &[u32],
    logits: &[f64],
    text: &str,
    record: &Record,
    comparison: &mut Comparison,
) -> Result<(), Obstacle> {
    let data: Vec<u8> = tokens.iter().flat_map(|token| token.to_le_bytes()).collect();
    compare_output(record, &settings.tokens, "UINT32", &data, comparison)?;
    #[expect(clippy::cast_possible_truncation, reason = "an f32 that was widened")]
    let data: Vec<u8> = logits.iter().flat_map(|logit| (*logit as f32).to_le_bytes()).collect();
    compare_output(record, &settings.logits, "FP32", &data, comparison)?;
    if let Some(name) = &settings.text {
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
        let data: Vec<u8> = length.to_le_bytes().into_iter().chain(text.bytes()).collect();
        compare_output(record, name, "BYTES", &data, comparison)?;
    }
    Ok(())
}

fn label(
    recomputer: &Recomputer,
    record: &Record,
    text: &str,
    comparison: &mut Comparison,
) -> Result<(), Obstacle> {
    match recomputer.description.label.as_ref().and_then(|label| label.of_answer(text)) {
        Some(recomputed) => compare_label(record, None, recomputed, comparison),
        None => Ok(()),
    }
}

/// That the answer ends where the model or the settings end it.
fn ending(model: &LanguageModel, settings: &Prompt, tokens: &[u32], comparison: &mut Comparison) {
    let place = tokens.iter().position(|token| model.is_end(*token));
    let problem = match (place, tokens.len()) {
        (_, 0) => "the recorded answer has no token",
        (_, length) if length > settings.tokens_max => {
            "the recorded answer has more tokens than were asked for"
        }
        (Some(place), length) if place + 1 < length => "the recorded answer goes on after its end",
        (None, length) if length < settings.tokens_max => "the recorded answer stops before its end",
        _ => return,
    };
    comparison.number(verdict::Difference::obstacle(problem));
}
