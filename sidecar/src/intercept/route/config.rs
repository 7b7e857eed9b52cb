//! The `[[route]]` tables of the configuration file, as written.
//!
//! Guarantees: unknown keys are refused. Does not do: checking what the keys say; `validate` does.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::MODEL_INFER;
use crate::gate::GateConfig;

/// One `[[route]]` table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteConfig {
    /// Name of the route; every record says which route mapped it.
    pub name: String,
    /// The gRPC method; `inference.GRPCInferenceService/ModelInfer`, also where it is left out.
    #[serde(default = "model_infer")]
    pub method: String,
    /// Which calls belong to the route.
    #[serde(default, rename = "match")]
    pub matches: MatchConfig,
    /// What happens when a record cannot be written; `strict`, also where it is left out.
    #[serde(default = "strict")]
    pub mode: String,
    /// On whose behalf decisions are made.
    #[serde(default)]
    pub tenant: Option<String>,
    /// Annex III point or sector code.
    #[serde(default)]
    pub use_case: Option<String>,
    /// Which part the system has in the decision, as people are told: `automated`, `advisory`, or in other words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Where the person concerned may contest the decision. Every record and every receipt of the route says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contest: Option<ContestConfig>,
    /// Which model stands behind the route.
    #[serde(default)]
    pub model: ModelConfig,
    /// Where the reference of the person concerned stands.
    #[serde(default)]
    pub subject: Option<SubjectSource>,
    /// Names of the columns of input tensors.
    #[serde(default)]
    pub features: Vec<FeaturesConfig>,
    /// Where the score stands in the answer.
    #[serde(default)]
    pub score: Option<ScoreConfig>,
    /// Turns the score into a label.
    #[serde(default)]
    pub threshold: Option<ThresholdConfig>,
    /// Where the label stands in the answer, for models that answer with one.
    #[serde(default)]
    pub label: Option<LabelConfig>,
    /// What each label leads to; a label that is itself an action needs no line here.
    #[serde(default)]
    pub actions: BTreeMap<String, Action>,
    /// The labels that are against the person concerned.
    #[serde(default)]
    pub adverse: Vec<String>,
    /// Where the reasons stand in the answer.
    #[serde(default)]
    pub explanation: Option<ExplanationConfig>,
    /// What receipts of this route may show.
    #[serde(default)]
    pub receipt: ReceiptConfig,
    /// Fields that must not be recorded.
    #[serde(default)]
    pub mask: Vec<MaskConfig>,
    /// Whether sealed records keep the request and the response as they were on the wire.
    #[serde(default)]
    pub raw: RawConfig,
    /// How long records are kept, as the name of a class.
    #[serde(default)]
    pub retention: Option<String>,
    /// The regulation packs that the route claims to satisfy: names of those that come with the sidecar, or files.
    #[serde(default)]
    pub packs: Vec<String>,
    /// Fields that packs require and that entries added to the decision bring, as patterns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub later: Vec<String>,
    /// The ground that the processing stands on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lawful_basis: Option<String>,
    /// What the processing is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// The rules of its policy gate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gate: Vec<GateConfig>,
    /// Marks a route to a generative model, and says what its telemetry says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gen_ai: Option<GenAiConfig>,
}

impl RouteConfig {
    /// A route that matches every model and maps nothing.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            method: model_infer(),
            matches: MatchConfig::default(),
            mode: strict(),
            tenant: None,
            use_case: None,
            role: None,
            contest: None,
            model: ModelConfig::default(),
            subject: None,
            features: Vec::new(),
            score: None,
            threshold: None,
            label: None,
            actions: BTreeMap::new(),
            adverse: Vec::new(),
            explanation: None,
            receipt: ReceiptConfig::default(),
            mask: Vec::new(),
            raw: RawConfig::default(),
            retention: None,
            packs: Vec::new(),
            later: Vec::new(),
            lawful_basis: None,
            purpose: None,
            gate: Vec::new(),
            gen_ai: None,
        }
    }
}

fn model_infer() -> String {
    MODEL_INFER.to_owned()
}

fn strict() -> String {
    "strict".to_owned()
}

/// Where the person concerned may contest a decision: one of the five ways at least.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContestConfig {
    /// An address of the web.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// An address for mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// A telephone number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// A postal address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// What the person is told: to whom, by when, how.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The language of `text` and `address` (BCP 47).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
}

impl ContestConfig {
    /// The ways that are given.
    pub(crate) fn ways(&self) -> impl Iterator<Item = &str> {
        [&self.url, &self.email, &self.phone, &self.address, &self.text]
            .into_iter()
            .filter_map(Option::as_deref)
    }
}

/// Which calls belong to a route.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MatchConfig {
    /// The `model_name` of the request; `*` stands for any characters.
    pub model: String,
}

impl Default for MatchConfig {
    fn default() -> Self {
        Self { model: "*".to_owned() }
    }
}

/// Which model stands behind a route.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// The model's official name, where it differs from the name on the wire.
    #[serde(default)]
    pub name: Option<String>,
    /// The model file; its SHA-256 goes into every entry. Read at start, and again when it changes.
    #[serde(default)]
    pub file: Option<PathBuf>,
    /// The folder that the model server loads; the root of its manifest goes into every entry. Read at start, and again
    /// when a file in it changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<PathBuf>,
    /// The parameter of the answer in which the model server declares the SHA-256 of what it serves. What it declares is
    /// what is recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declared: Option<String>,
    /// The name under which the log registers the model; the route's name where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registered: Option<String>,
    /// The SHA-256 of the model, as `sha256:` and 64 hexadecimal digits, where the file is out of reach.
    #[serde(default)]
    pub digest: Option<String>,
}

/// Where the reference of the person concerned stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubjectSource {
    /// A parameter of the request.
    Parameter(String),
    /// An input tensor with one element a row.
    Tensor(String),
    /// A metadata header of the call.
    Metadata(String),
}

/// Names for the columns of one input tensor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeaturesConfig {
    /// Name of the tensor.
    pub tensor: String,
    /// One name a column, in the tensor's order.
    pub names: Vec<String>,
}

/// Where the score stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScoreConfig {
    /// Name of the output tensor.
    pub tensor: String,
    /// Its column, counted from 0.
    #[serde(default)]
    pub index: usize,
}

/// Turns a score into a label.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ThresholdConfig {
    /// The lowest score that is above.
    pub value: f64,
    /// The label of scores from `value` on.
    pub above: String,
    /// The label of scores under `value`.
    pub below: String,
}

/// Where the label stands, for models that answer with one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelConfig {
    /// Name of the output tensor: text, or a class number.
    pub tensor: String,
    /// Its column, counted from 0.
    #[serde(default)]
    pub index: usize,
    /// The labels of class numbers 0, 1, ...; for text, the labels that may come.
    pub names: Vec<String>,
}

/// What a label leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Granted.
    Approve,
    /// Refused.
    Deny,
    /// Handed to a person.
    Refer,
    /// Granted on other terms.
    Counteroffer,
    /// Put in an order.
    Rank,
    /// Given an urgency.
    Triage,
    /// A number that somebody else decides on.
    Score,
}

impl Action {
    /// The action as it stands in a record.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Deny => "deny",
            Self::Refer => "refer",
            Self::Counteroffer => "counteroffer",
            Self::Rank => "rank",
            Self::Triage => "triage",
            Self::Score => "score",
        }
    }

    /// The action of that name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Approve, Self::Deny, Self::Refer, Self::Counteroffer, Self::Rank, Self::Triage, Self::Score]
            .into_iter()
            .find(|action| action.as_str() == text)
    }
}

/// What the telemetry of a route to a generative model says, by the OpenTelemetry semantic conventions for generative AI.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenAiConfig {
    /// `gen_ai.operation.name`.
    pub operation: GenAiOperation,
    /// `gen_ai.provider.name`, for example `openai`, `aws.bedrock`, or a name of one's own.
    pub provider: String,
    /// The integer parameter of the answer with the number of tokens that went in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<String>,
    /// The integer parameter of the answer with the number of tokens that came out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<String>,
}

/// What is asked of a generative model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GenAiOperation {
    /// An answer in a conversation.
    Chat,
    /// The continuation of a text.
    TextCompletion,
    /// Content of several kinds.
    GenerateContent,
    /// Vectors of texts.
    Embeddings,
}

impl GenAiOperation {
    /// As the conventions write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::TextCompletion => "text_completion",
            Self::GenerateContent => "generate_content",
            Self::Embeddings => "embeddings",
        }
    }
}

/// Where the reasons stand in the answer: a parameter or a tensor, not both.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExplanationConfig {
    /// A text parameter of the answer: JSON (an array of reasons) or plain text.
    #[serde(default)]
    pub parameter: Option<String>,
    /// An output tensor: text elements are reasons; numbers are the contributions of the features, in their order.
    #[serde(default)]
    pub tensor: Option<String>,
    /// How the reasons were made, such as `treeshap`.
    #[serde(default)]
    pub method: Option<String>,
    /// Version of the method.
    #[serde(default)]
    pub version: Option<String>,
}

/// What receipts may show.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiptConfig {
    /// Patterns of field paths: `*` stands for one segment, at the end for all below. Left out: everything but the input.
    #[serde(default)]
    pub disclose: Option<Vec<String>>,
}

/// Fields that must not be recorded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaskConfig {
    /// Pattern of field paths: `*` stands for one segment, at the end for all below.
    pub path: String,
    /// Why; the record says it.
    pub reason: String,
}

/// What sealed records keep of the wire's bytes. Their digests are in every record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RawConfig {
    /// The request and the response, except on routes with masks: they would show what the masks hide.
    #[default]
    Sealed,
    /// Nothing but the digests.
    Digest,
}
