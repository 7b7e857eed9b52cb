//! The employer's screen: its model as a model server has it, the sidecar's configuration, and the employer's own requests.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};
use example_desk::client::{self, Answer};
use example_desk::desk;
use example_desk::served::{Metadata, Served, tensor};
use example_desk::tensors::{self, Output};
use ledgerstone::proto::inference::ModelInferRequest;
use ledgerstone_verifier::recompute::neural::tamper::Tamper;
use ledgerstone_verifier::recompute::neural::{Files, TextModel, TextScore};
use tonic::Status;

use crate::model;
use crate::resumes::Resume;

/// The tensor that a request carries: one text.
pub const INPUT: &str = "resume";

/// The tensor with `MiniLM`'s vector.
pub const VECTOR: &str = "vector";

/// The tensor with one logit a label.
pub const LOGITS: &str = "logits";

/// The tensor with one probability a label.
pub const PROBABILITIES: &str = "probabilities";

/// The label of a callback among them.
pub const CALLBACK: usize = 1;

/// The request's parameter that says whose résumé it is.
pub const APPLICANT: &str = "applicant";

/// One answer in so many comes from the rounded weights.
const ROUNDED_EVERY: u32 = 5;

/// The model, as the model server has it; and what its owner keeps quiet about: every fifth applicant is judged by weights rounded to half
/// precision. The model's folder, which the sidecar looks at, does not change.
pub struct Screen {
    model: TextModel,
    rounded: TextModel,
    judged_by_rounded: Mutex<BTreeSet<String>>,
}

impl Screen {
    /// Loads the model, and the model with rounded weights.
    ///
    /// # Errors
    /// If the files are no text model.
    pub fn load(files: &Files) -> Result<Self> {
        let rounded = Tamper::F16.apply(files)?;
        Ok(Self {
            model: TextModel::load(files)?,
            rounded: TextModel::load(&rounded)?,
            judged_by_rounded: Mutex::default(),
        })
    }

    /// The applicants whom the rounded weights judged.
    #[must_use]
    pub fn judged_by_rounded(&self) -> BTreeSet<String> {
        self.judged_by_rounded.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The model that judges an applicant.
    fn model_for(&self, applicant: &str) -> &TextModel {
        let number = applicant.parse::<u32>().unwrap_or_default();
        if !number.is_multiple_of(ROUNDED_EVERY) {
            return &self.model;
        }
        self.judged_by_rounded.lock().unwrap_or_else(PoisonError::into_inner).insert(applicant.to_owned());
        &self.rounded
    }
}

impl Served for Screen {
    fn name(&self) -> &str {
        model::NAME
    }

    fn version(&self) -> &str {
        model::VERSION
    }

    fn metadata(&self) -> Metadata {
        metadata(&self.model)
    }

    fn infer(&self, request: &ModelInferRequest) -> Result<Vec<Output>, Status> {
        let score = self.model_for(&request.id).score(&text(request)?);
        score.map(answer).map_err(|error| Status::invalid_argument(error.to_string()))
    }
}

/// The tensors of a model server with this model.
#[must_use]
pub fn metadata(model: &TextModel) -> Metadata {
    let about = model.about();
    let labels = about.labels.len();
    Metadata {
        platform: "candle",
        inputs: vec![tensor::<String>(INPUT, 1)],
        outputs: vec![
            tensor::<f32>(VECTOR, about.width),
            tensor::<f32>(LOGITS, labels),
            tensor::<f32>(PROBABILITIES, labels),
        ],
    }
}

/// The one text of a request.
///
/// # Errors
/// If there is another number of them: the last bits of a network depend on what is computed beside a text.
pub fn text(request: &ModelInferRequest) -> Result<String, Status> {
    let texts: [String; 1] =
        tensors::rows::<String>(request, INPUT, 1)?.try_into().map_err(|texts: Vec<_>| {
            Status::invalid_argument(format!("expected one résumé, found {}", texts.len()))
        })?;
    let [text] = texts;
    Ok(text)
}

/// A score as tensors.
#[must_use]
pub fn answer(score: TextScore) -> Vec<Output> {
    vec![
        Output::row(VECTOR, score.vector),
        Output::row(LOGITS, score.logits),
        Output::row(PROBABILITIES, score.probabilities),
    ]
}

/// What the employer keeps of one application.
#[derive(Clone, Debug)]
pub struct Decided {
    /// The résumé's number.
    pub resume: u32,
    /// The probability of a callback.
    pub probability: f32,
    /// Whether the applicant is invited.
    pub invited: bool,
    /// Whether the employer of the study called back.
    pub called_back: bool,
    /// What came back.
    pub answer: Answer,
}

/// The résumé as a request.
///
/// # Errors
/// Never: one text fits.
pub fn request(resume: &Resume) -> Result<ModelInferRequest> {
    let number = resume.number.to_string();
    client::request(model::NAME, &number, &[(APPLICANT, &number)], INPUT, std::slice::from_ref(&resume.text))
}

/// What came back for a résumé.
///
/// # Errors
/// If the answer has no probability.
pub fn decided(resume: &Resume, threshold: f64, answer: Answer) -> Result<Decided> {
    let probabilities = answer.values::<f32>(PROBABILITIES)?;
    let probability = *probabilities.get(CALLBACK).context("the answer lacks a probability")?;
    Ok(Decided {
        resume: resume.number,
        probability,
        invited: f64::from(probability) >= threshold,
        called_back: resume.called_back,
        answer,
    })
}

/// The sidecar's configuration file. Paths start from the folder that it lies in.
#[must_use]
pub fn configuration(threshold: f64) -> String {
    let (begins, name) = (desk::configuration("hiring"), model::NAME);
    format!(
        r#"{begins}
# What the model's traffic means: whose résumé it is, which number is the score, and what it leads to.
[[route]]
name = "{name}"
match = {{ model = "{name}" }}
model = {{ folder = "model" }}
use_case = "annex-iii-4a"
subject = {{ parameter = "{APPLICANT}" }}
score = {{ tensor = "{PROBABILITIES}", index = {CALLBACK} }}
threshold = {{ value = {threshold}, above = "invite", below = "decline" }}
actions = {{ invite = "approve", decline = "deny" }}
adverse = ["decline"]

[[route.features]]
tensor = "{INPUT}"
names = ["{INPUT}"]
"#
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use ledgerstone_sidecar::config::Config;

    use super::*;

    #[test]
    fn writes_a_configuration_that_the_sidecar_takes() {
        let threshold = model::metrics().unwrap().threshold;
        let config = Config::from_toml(&configuration(threshold), Path::new("/run")).unwrap();
        let route = &config.routes[0];
        assert_eq!(route.features[0].names, [INPUT]);
        assert_eq!(route.threshold.as_ref().unwrap().value, threshold);
        assert_eq!(route.score.as_ref().unwrap().index, CALLBACK);
    }

    #[test]
    fn a_request_carries_the_text_and_no_more() {
        let resume = Resume { number: 7, text: "Application as manager.".to_owned(), called_back: true };
        let request = request(&resume).unwrap();
        assert_eq!(tensors::rows::<String>(&request, INPUT, 1).unwrap(), [resume.text]);
        assert_eq!((request.id.as_str(), request.parameters.len()), ("7", 1));
    }
}
