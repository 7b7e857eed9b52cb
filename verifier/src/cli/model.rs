//! The words of `ledgerstone model`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{EXIT_CODES, NetworkArguments, TrustArguments};
use crate::recompute::EVALUATIONS_MAX;
use crate::recompute::neural::integrated::Rule;
use crate::recompute::processor::Processor;

/// `ledgerstone model ...`.
#[derive(Debug, Subcommand)]
pub enum ModelCommand {
    /// Print what a model file holds, and which of its numbers recomputation gives exactly
    #[command(after_help = EXIT_CODES)]
    Show(ModelShowArguments),
    /// Recompute what a model says of the rows of a CSV file, or of the lines of a text file
    #[command(after_help = EXIT_CODES)]
    Predict(ModelPredictArguments),
    /// Compare what the own engine says of rows with what an onnxruntime library says, number by number
    #[command(after_help = EXIT_CODES)]
    Compare(ModelCompareArguments),
    /// Print the digest that names a model folder, and what it is made of
    #[command(after_help = EXIT_CODES)]
    Digest(ModelDigestArguments),
    /// Check that a model folder is the one that was signed (OpenSSF model signing, with a key)
    #[command(after_help = EXIT_CODES)]
    Verify(ModelVerifyArguments),
    /// Say in a sidecar's log that a model folder comes into use
    #[command(after_help = EXIT_CODES, disable_version_flag = true)]
    Register(ModelRegisterArguments),
    /// Recompute what a language model answers to a prompt, or find where a recorded answer leaves it
    #[command(after_help = EXIT_CODES)]
    Generate(ModelGenerateArguments),
}

/// Arguments of `model digest`.
#[derive(Debug, Args)]
pub struct ModelDigestArguments {
    /// The folder that the model server loads
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
}

/// Arguments of `model verify`.
#[derive(Debug, Args)]
pub struct ModelVerifyArguments {
    /// The folder that the model server loads
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// The signature, as `model_signing sign key` writes it
    #[arg(long, value_name = "FILE")]
    pub signature: PathBuf,
    /// The signer's public key as PEM (ECDSA P-256 or P-384); get it from the signer, not together with the
    /// folder
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
}

/// Which registry, and whom to trust about it.
#[derive(Clone, Debug, Args)]
pub struct RegistryArguments {
    /// Where to register: grpc:// or grpcs:// and the address that the sidecar has as `registry.listen`
    #[arg(long, value_name = "URL")]
    pub sidecar: String,
    /// How to reach it.
    #[command(flatten)]
    pub network: NetworkArguments,
    /// The keys, as a file.
    #[command(flatten)]
    pub trust: TrustArguments,
    /// The signed approval, where the log asks for one (`ledgerstone approval`)
    #[arg(long, value_name = "FILE")]
    pub approval: Option<PathBuf>,
}

/// Arguments of `model register`.
#[derive(Debug, Args)]
pub struct ModelRegisterArguments {
    /// The folder that the model server loads
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// Where to register it.
    #[command(flatten)]
    pub registry: RegistryArguments,
    /// What to register it as: 1 to 64 characters of a-z 0-9 . _ -
    #[arg(long, value_name = "NAME")]
    pub name: String,
    /// Which version of it: 1 to 64 characters of A-Z a-z 0-9 . _ + -
    #[arg(long, value_name = "VERSION")]
    pub version: String,
    /// Name the digest of this signature file, too; `model verify` checks it
    #[arg(long, value_name = "FILE")]
    pub signature: Option<PathBuf>,
}

/// Arguments of `model generate`.
#[derive(Debug, Args)]
pub struct ModelGenerateArguments {
    /// The model: a GGUF file, or a folder of safetensors with its tokenizer
    #[arg(value_name = "FILE|DIR")]
    pub model: PathBuf,
    /// The prompt as the model saw it, chat template and all
    #[arg(long, value_name = "FILE", required_unless_present = "prompts")]
    pub prompt: Option<PathBuf>,
    /// Several prompts, one a line; with --json each answer is one line
    #[arg(long, value_name = "FILE", conflicts_with_all = ["prompt", "recorded"])]
    pub prompts: Option<PathBuf>,
    /// The most tokens to answer with
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub tokens: u16,
    /// What logits are divided by before a token is drawn; 0 takes the likeliest
    #[arg(long, value_name = "NUMBER", default_value_t = 0.0)]
    pub temperature: f64,
    /// The share of the likeliest tokens that is drawn from
    #[arg(long, value_name = "NUMBER", default_value_t = 1.0)]
    pub top_p: f64,
    /// What the draws follow from
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Compare with this answer, as `model generate --json` printed it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["tokens", "temperature", "top_p", "seed"])]
    pub recorded: Option<PathBuf>,
}

/// Arguments of `model show`.
#[derive(Debug, Args)]
pub struct ModelShowArguments {
    /// The model file, as its library wrote it; its format is told by its bytes. Or the folder of a text model
    /// (config.json, tokenizer.json, model.safetensors)
    #[arg(value_name = "FILE|DIR")]
    pub model: PathBuf,
}

/// Arguments of `model predict`.
#[derive(Debug, Args)]
pub struct ModelPredictArguments {
    /// The model file, as its library wrote it; its format is told by its bytes. Or the folder of a text model
    #[arg(value_name = "FILE|DIR")]
    pub model: PathBuf,
    /// The rows: CSV with a line of column names first, taken by name where the model has names, else in
    /// order; an empty cell is a missing value
    #[arg(long, value_name = "CSV", required_unless_present = "text")]
    pub rows: Option<PathBuf>,
    /// The texts for a text model: UTF-8, one a line
    #[arg(long, value_name = "FILE", conflicts_with_all = ["rows", "background", "reasons"])]
    pub text: Option<PathBuf>,
    /// Compute N texts side by side, as the recorder did, filled up to the longest of them; the last bits depend on it
    #[arg(long, value_name = "N", default_value_t = 1, requires = "text")]
    pub batch: u16,
    /// Fill every text up to N tokens, as the recorder did
    #[arg(long, value_name = "N", requires = "text")]
    pub padded: Option<usize>,
    /// How to compute --rows
    #[arg(long, value_enum, default_value_t, requires = "rows")]
    pub engine: Engine,
    /// The shared library for --engine onnxruntime, such as libonnxruntime.so.1.31.1; loading it runs its code
    #[arg(long, value_name = "FILE", requires = "engine")]
    pub engine_library: Option<PathBuf>,
    /// Where to compute a network, or trees with --engine tensors
    #[arg(long, value_enum, default_value_t)]
    pub device: Processor,
    /// Say for each row what each feature contributed to the margin; for each text what each token did to a label's logit, by
    /// integrated gradients
    #[arg(long)]
    pub contributions: bool,
    /// The label whose logit the contributions of a text explain [default: as in the folder's recompute.json]
    #[arg(long, value_name = "LABEL", requires = "text", requires = "contributions")]
    pub target: Option<String>,
    /// Points of the quadrature [default: as in the folder's recompute.json, or 50]
    #[arg(long, value_name = "N", requires = "text", requires = "contributions")]
    pub steps: Option<u16>,
    /// The quadrature [default: as in the folder's recompute.json, or gausslegendre]
    #[arg(long, value_enum, requires = "text", requires = "contributions")]
    pub rule: Option<Rule>,
    /// Compute the contributions against these rows (CSV like --rows), as shap's interventional TreeSHAP does
    #[arg(long, value_name = "CSV", requires = "contributions")]
    pub background: Option<PathBuf>,
    /// Draw orders of the features instead, with at most N evaluations a row, as shap's PermutationExplainer does (its max_evals);
    /// for any model
    #[arg(long, value_name = "N", requires = "background", requires = "seed", value_parser = clap::value_parser!(u32).range(1..=i64::from(EVALUATIONS_MAX)))]
    pub evaluations: Option<u32>,
    /// What those draws follow from, as numpy's seed takes it
    #[arg(long, value_name = "N", requires = "evaluations")]
    pub seed: Option<u32>,
    /// Say for each row the N features that cost the person most, with the scorecard's reason codes
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub reasons: usize,
}

/// How rows are computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Engine {
    /// Row by row
    #[default]
    Scalar,
    /// Many rows at once as tensor operations, with the same bits; a graphics processor can do these
    Tensors,
    /// An ONNX file by the library of --engine-library, with one thread, after the own reader has checked the file
    Onnxruntime,
}

/// Arguments of `model compare`.
#[derive(Debug, Args)]
pub struct ModelCompareArguments {
    /// The ONNX file
    #[arg(value_name = "FILE")]
    pub model: PathBuf,
    /// The rows, as for `model predict`
    #[arg(long, value_name = "CSV")]
    pub rows: PathBuf,
    /// The shared library, such as libonnxruntime.so.1.31.1; loading it runs its code
    #[arg(long, value_name = "FILE")]
    pub engine_library: PathBuf,
}
