//! The words of the command line: types only, no behaviour.
//!
//! Guarantees: every command, flag and help text of `ledgerstone` is in this file and those below it;
//! `tests/cmd/help.session` pins them. Does not do: anything with them; that is `command`.

mod audit;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use audit::{
    AuditBasisArguments, AuditBoundArguments, AuditCalibrateArguments, AuditCommand, AuditDrawArguments,
    AuditPlanArguments, AuditRegisterArguments, AuditReportArguments, AuditRunArguments, AuditSizeArguments,
    AuditSubmitArguments, AuditVerifyArguments, RecomputeArguments, SubmitAction,
};
#[cfg(feature = "serve")]
pub use audit::{AuditServeArguments, LogFormat};

use crate::recompute::neural::integrated::Rule;
use crate::recompute::processor::Processor;

/// How `--help` of every command ends.
const EXIT_CODES: &str = "\
Exit status: 0 verified (or done), 1 a check failed, 2 could not decide, 64 wrong usage, 65 an input file is malformed.";

/// Checks Ledgerstone receipts and logs without trusting whoever keeps them.
///
/// Nothing is sent or fetched over a network unless you name a URL.
#[derive(Debug, Parser)]
#[command(name = "ledgerstone", version, after_help = EXIT_CODES, max_term_width = 100)]
#[command(propagate_version = true, subcommand_required = true)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Output for every command.
    #[command(flatten)]
    pub output: OutputArguments,
}

/// Flags that every command understands.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct OutputArguments {
    /// Print one JSON document (for `log entries`: one per line) instead of text
    #[arg(long, global = true)]
    pub json: bool,
    /// Show progress even where standard error is not a terminal
    #[arg(long, global = true)]
    pub progress: bool,
}

/// The groups of commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check a receipt or a whole log
    #[command(subcommand)]
    Verify(VerifyCommand),
    /// Fetch or read a receipt
    #[command(subcommand)]
    Receipt(ReceiptCommand),
    /// Read a log
    #[command(subcommand)]
    Log(LogCommand),
    /// Make or show a log's keys
    #[command(subcommand)]
    Key(KeyCommand),
    /// Read, name, check or register a model, or recompute what it says of rows
    #[command(subcommand)]
    Model(ModelCommand),
    /// Audit a log: plan, draw, recompute, report
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Read an evidence bundle
    #[command(subcommand)]
    Bundle(BundleCommand),
}

/// `ledgerstone verify ...`.
#[derive(Debug, Subcommand)]
pub enum VerifyCommand {
    /// Check that a receipt is genuine: the decision stands in the log as the receipt says
    #[command(after_help = EXIT_CODES)]
    Receipt(VerifyReceiptArguments),
    /// Check a whole log: every entry, every derived file, every checkpoint, every writer's session
    #[command(after_help = EXIT_CODES)]
    Log(VerifyLogArguments),
}

/// Whom to trust.
#[derive(Clone, Debug, Default, Args)]
pub struct TrustArguments {
    /// File that names the keys you trust; get it from the log's operator over a channel you trust,
    /// not together with what you check
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
}

/// How to reach servers.
#[derive(Clone, Debug, Default, Args)]
pub struct NetworkArguments {
    /// Trust the certificates in this PEM file for https:// and grpcs:// instead of the web's authorities
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
}

/// Arguments of `verify receipt`.
#[derive(Debug, Args)]
pub struct VerifyReceiptArguments {
    /// The receipt; `-` reads standard input
    #[arg(value_name = "FILE")]
    pub receipt: PathBuf,
    /// The keys, as a file.
    #[command(flatten)]
    pub trust: TrustArguments,
    /// A key you trust, instead of a policy file; give every key the log signs with
    #[arg(long = "vkey", value_name = "VKEY", conflicts_with = "policy")]
    pub vkeys: Vec<String>,
}

/// Arguments of `verify log`.
#[derive(Debug, Args)]
pub struct VerifyLogArguments {
    /// A store directory, a directory in the C2SP tlog-tiles layout, or the http(s) URL of one
    #[arg(value_name = "DIR|URL")]
    pub source: String,
    /// How to reach it, where it is a URL.
    #[command(flatten)]
    pub network: NetworkArguments,
    /// The keys, as a file.
    #[command(flatten)]
    pub trust: TrustArguments,
    /// A checkpoint of this log that you kept from earlier or got from somebody else; may be repeated
    #[arg(long = "checkpoint", value_name = "FILE")]
    pub checkpoints: Vec<PathBuf>,
}

/// `ledgerstone receipt ...`.
#[derive(Debug, Subcommand)]
pub enum ReceiptCommand {
    /// Fetch the receipt of a decision from a running sidecar
    #[command(after_help = EXIT_CODES)]
    Get(ReceiptGetArguments),
    /// Print what a receipt says (this alone proves nothing: see `verify receipt`)
    #[command(after_help = EXIT_CODES)]
    Show(ReceiptShowArguments),
}

/// Arguments of `receipt get`.
#[derive(Debug, Args)]
pub struct ReceiptGetArguments {
    /// Where to ask: http:// or https:// for the sidecar's read side, grpc:// or grpcs:// for its gRPC port
    #[arg(long, value_name = "URL")]
    pub server: String,
    /// How to reach it.
    #[command(flatten)]
    pub network: NetworkArguments,
    /// The decision's identifier, as the `ledgerstone-decision-id` header gave it
    #[arg(value_name = "DECISION_ID")]
    pub decision_id: String,
    /// Write the receipt here instead of to standard output; an existing file is left alone
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// The keys, as a file.
    #[command(flatten)]
    pub trust: TrustArguments,
}

/// Arguments of `receipt show`.
#[derive(Debug, Args)]
pub struct ReceiptShowArguments {
    /// The receipt; `-` reads standard input
    #[arg(value_name = "FILE")]
    pub receipt: PathBuf,
    /// The keys, as a file.
    #[command(flatten)]
    pub trust: TrustArguments,
}

/// `ledgerstone log ...`.
#[derive(Debug, Subcommand)]
pub enum LogCommand {
    /// Print a log's newest checkpoint, exactly as signed, to keep for later
    #[command(after_help = EXIT_CODES)]
    Checkpoint(LogCheckpointArguments),
    /// List entries, one a line
    #[command(after_help = EXIT_CODES)]
    Entries(LogEntriesArguments),
    /// Print the proof that an entry stands in the log (c2sp.org/tlog-proof@v1)
    #[command(after_help = EXIT_CODES)]
    Proof(LogProofArguments),
    /// List the models that were registered, and how many decisions name which of them
    #[command(after_help = EXIT_CODES)]
    Models(LogModelsArguments),
}

/// Arguments of `log models`.
#[derive(Debug, Args)]
pub struct LogModelsArguments {
    /// A store directory, a directory in the C2SP tlog-tiles layout, or the http(s) URL of one
    #[arg(value_name = "DIR|URL")]
    pub source: String,
    /// How to reach it, where it is a URL.
    #[command(flatten)]
    pub network: NetworkArguments,
}

/// Arguments of `log checkpoint`.
#[derive(Debug, Args)]
pub struct LogCheckpointArguments {
    /// A store directory, a directory in the C2SP tlog-tiles layout, or the http(s) URL of one
    #[arg(value_name = "DIR|URL")]
    pub source: String,
    /// How to reach it, where it is a URL.
    #[command(flatten)]
    pub network: NetworkArguments,
    /// The keys, as a file.
    #[command(flatten)]
    pub trust: TrustArguments,
}

/// Arguments of `log entries`.
#[derive(Debug, Args)]
pub struct LogEntriesArguments {
    /// A store directory, a directory in the C2SP tlog-tiles layout, or the http(s) URL of one
    #[arg(value_name = "DIR|URL")]
    pub source: String,
    /// How to reach it, where it is a URL.
    #[command(flatten)]
    pub network: NetworkArguments,
    /// The first leaf index to list
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub from: u64,
    /// The last leaf index to list [default: the newest in the checkpoint]
    #[arg(long, value_name = "M")]
    pub to: Option<u64>,
}

/// Arguments of `log proof`.
#[derive(Debug, Args)]
pub struct LogProofArguments {
    /// A store directory, a directory in the C2SP tlog-tiles layout, or the http(s) URL of one
    #[arg(value_name = "DIR|URL")]
    pub source: String,
    /// How to reach it, where it is a URL.
    #[command(flatten)]
    pub network: NetworkArguments,
    /// The entry's leaf index
    #[arg(long, value_name = "N")]
    pub index: u64,
    /// The tree size to prove it in; needs a checkpoint of that size [default: the newest checkpoint's]
    #[arg(long, value_name = "S")]
    pub size: Option<u64>,
    /// Prove against this checkpoint instead of the newest one
    #[arg(long, value_name = "FILE")]
    pub checkpoint: Option<PathBuf>,
}

/// `ledgerstone key ...`.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make the keys of a new log: an Ed25519 key and an ML-DSA-44 key in one file
    #[command(after_help = EXIT_CODES)]
    Generate(KeyGenerateArguments),
    /// Print the public keys that belong to a key file
    #[command(after_help = EXIT_CODES)]
    Show(KeyShowArguments),
}

/// Arguments of `key generate`.
#[derive(Debug, Args)]
pub struct KeyGenerateArguments {
    /// The log's name for all time, by custom a host and a path, such as `log.example.com/lending`
    #[arg(long, value_name = "NAME")]
    pub origin: String,
    /// Where to write the secret keys (readable by you alone); an existing file is left alone
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Write the policy file for those who verify, too; an existing file is left alone
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
}

/// Arguments of `key show`.
#[derive(Debug, Args)]
pub struct KeyShowArguments {
    /// The key file
    #[arg(value_name = "FILE")]
    pub key: PathBuf,
}

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
    #[arg(long, value_name = "FILE")]
    pub prompt: PathBuf,
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

/// `ledgerstone bundle ...`.
#[derive(Debug, Subcommand)]
pub enum BundleCommand {
    /// Print what a bundle holds, after proving that every entry of it stands in the log
    #[command(after_help = EXIT_CODES)]
    Inspect(BundleInspectArguments),
}

/// Arguments of `bundle inspect`.
#[derive(Debug, Args)]
pub struct BundleInspectArguments {
    /// The bundle, as `ledgerstone-sidecar bundle export` wrote it
    #[arg(value_name = "BUNDLE")]
    pub bundle: PathBuf,
    /// The keys, as a file.
    #[command(flatten)]
    pub trust: TrustArguments,
    /// An age identity file that opens the bundle; may be repeated
    #[arg(long = "identity", value_name = "FILE")]
    pub identities: Vec<PathBuf>,
}
