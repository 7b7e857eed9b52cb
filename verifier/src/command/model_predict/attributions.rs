//! `model predict DIR --text FILE --contributions`: what each token and word of a text did to a logit or probability.
//!
//! Guarantees: what the folder's `recompute.json` says of reasons is what is computed, unless the command line says otherwise; the output names the rule and
//! what it left. Does not do: judging the numbers; rounding them.

use std::path::Path;

use serde::Serialize;

use crate::cli::ModelPredictArguments;
use crate::command::model_folder;
use crate::exit::Refusal;
use crate::output::printable;
use crate::recompute::RowError;
use crate::recompute::description::{ReasonSource, WordReasons};
use crate::recompute::neural::integrated::{Baseline, Integrated, Rule, STEPS_MAX, STEPS_USUAL, Target};
use crate::recompute::neural::{Attributions, GradientType, Gradients, TextModel};

/// What explains the texts of a command.
pub(super) struct Explainer {
    gradients: Gradients,
    how: Integrated,
    label: String,
}

/// What the words of one text did.
#[derive(Serialize)]
pub(super) struct Explained<'a> {
    /// The label whose number is explained.
    target: &'a str,
    /// `logit` or `probability`.
    of: &'static str,
    steps: u16,
    rule: Rule,
    baseline_tokens: Baseline,
    #[serde(flatten)]
    attributions: Attributions,
}

impl Explainer {
    pub(super) fn new(arguments: &ModelPredictArguments, model: &TextModel) -> Result<Self, Refusal> {
        let labels = model.about().labels;
        let how = how(arguments, &labels)?;
        let gradients = model.gradients(GradientType::F64).map_err(|error| {
            Refusal::new(
                error.code(),
                error,
                "Leave --contributions out; docs/recompute.md lists the families.",
            )
        })?;
        let Some(label) = labels.get(how.target.place()).cloned() else {
            return Err(Refusal::malformed(
                format_args!(
                    "the description explains place {} of {} labels",
                    how.target.place(),
                    labels.len()
                ),
                "Give --target.",
            ));
        };
        Ok(Self { gradients, how, label })
    }

    pub(super) fn explain(&self, model: &TextModel, text: &str) -> Result<Explained<'_>, RowError> {
        let Integrated { target, steps, rule, baseline } = self.how;
        Ok(Explained {
            target: &self.label,
            of: match target {
                Target::Logit(_) => "logit",
                Target::Probability(_) => "probability",
            },
            steps,
            rule,
            baseline_tokens: baseline,
            attributions: model.attributions(&self.gradients, text, &self.how, None)?,
        })
    }
}

impl Explained<'_> {
    /// The tokens in the order of the text, what the baseline has, and what the quadrature left.
    pub(super) fn text(&self) -> String {
        let Attributions { value, baseline, residual, tokens, words: _ } = &self.attributions;
        let target = printable(self.target);
        let mut text =
            format!("  {} of {target}: {value}, by {} steps of {}\n", self.of, self.steps, name(self.rule));
        for token in tokens {
            let place = format!("{}:{}", token.start, token.end);
            text += &format!("  {:>+24}  {place:>9}  {}\n", token.attribution, printable(&token.token));
        }
        text + &format!("  {baseline:>+24}  the baseline\n  {residual:>+24e}  left by the quadrature\n")
    }
}

const fn name(rule: Rule) -> &'static str {
    match rule {
        Rule::GaussLegendre => "gausslegendre",
        Rule::RiemannTrapezoid => "riemann_trapezoid",
    }
}

/// What the command line asks for, then the folder's description, then captum's usual numbers.
fn how(arguments: &ModelPredictArguments, labels: &[String]) -> Result<Integrated, Refusal> {
    let described = described(&arguments.model)?.map(|words| words.integrated());
    let target = match (&arguments.target, &described) {
        (Some(label), _) => {
            let place = labels.iter().position(|known| known == label).ok_or_else(|| {
                Refusal::usage(
                    format_args!("the model has no label {label}"),
                    "Give one that `ledgerstone model show` lists.",
                )
            })?;
            Target::Logit(place)
        }
        (None, Some(described)) => described.target,
        (None, None) if labels.len() == 1 => Target::Logit(0),
        (None, None) => {
            return Err(Refusal::usage(
                "which label's logit is to be explained is not said",
                "Give --target LABEL, or reasons by integrated_gradients in the folder's recompute.json.",
            ));
        }
    };
    let rule = arguments.rule.or_else(|| described.as_ref().map(|how| how.rule)).unwrap_or_default();
    let steps = arguments.steps.or_else(|| described.as_ref().map(|how| how.steps)).unwrap_or(STEPS_USUAL);
    if !rule.takes(steps) {
        return Err(Refusal::usage(
            format_args!("{} takes {} to {STEPS_MAX} steps", name(rule), rule.steps_min()),
            "Give --steps in that range.",
        ));
    }
    Ok(Integrated { target, steps, rule, baseline: Baseline::Pad })
}

/// The reasons that are words, where the folder's description has such.
pub(in crate::command) fn described(folder: &Path) -> Result<Option<WordReasons>, Refusal> {
    let Some(read) = model_folder::description(folder)? else { return Ok(None) };
    Ok(read.reasons.and_then(|reasons| match reasons.from {
        ReasonSource::IntegratedGradients(words) => Some(words),
        _ => None,
    }))
}
