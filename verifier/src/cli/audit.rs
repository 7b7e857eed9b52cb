//! The words of `ledgerstone audit`.

mod service;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use ledgerstone::encoding::hex_decode;
use ledgerstone::hash::Hash;

#[cfg(feature = "serve")]
pub use self::service::{AuditServeArguments, LogFormat};
pub use self::service::{AuditSubmitArguments, SubmitAction};
use super::{EXIT_CODES, NetworkArguments, RegistryArguments, TrustArguments};
use crate::audit::Rate;
use crate::recompute::neural::Processor;

/// `ledgerstone audit ...`.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Say how many decisions to draw
    #[command(after_help = EXIT_CODES)]
    Size(AuditSizeArguments),
    /// Say what the exceptions found in a sample mean for all decisions
    #[command(after_help = EXIT_CODES)]
    Bound(AuditBoundArguments),
    /// Write the plan of an audit: what is drawn, from which tree, by which randomness that nobody knows yet
    #[command(after_help = EXIT_CODES)]
    Plan(AuditPlanArguments),
    /// Draw the decisions of a plan once its randomness is known; anybody who does it again gets the same
    #[command(after_help = EXIT_CODES)]
    Draw(AuditDrawArguments),
    /// Say in a sidecar's log which plan an audit follows, before its sample is drawn
    #[command(after_help = EXIT_CODES)]
    Register(AuditRegisterArguments),
    /// Measure how far honest recomputations of a model lie apart and which changes of it a tolerance shows, and
    /// sign what was found as a tolerance profile
    #[command(after_help = EXIT_CODES)]
    Calibrate(AuditCalibrateArguments),
    /// Recompute every decision of an evidence bundle
    #[command(after_help = EXIT_CODES)]
    Run(AuditRunArguments),
    /// Recompute evidence bundles for others, on the machine with the graphics processor
    #[cfg(feature = "serve")]
    #[command(after_help = EXIT_CODES)]
    Serve(AuditServeArguments),
    /// Have such a service recompute an evidence bundle, and fetch the results
    #[command(after_help = EXIT_CODES)]
    Submit(AuditSubmitArguments),
    /// Say what the results of a run mean: as signed data, as a page for a browser, and for paper
    #[command(after_help = EXIT_CODES)]
    Report(AuditReportArguments),
    /// Check a report against its signature, its own counts, and what it was made from
    #[command(after_help = EXIT_CODES)]
    Verify(AuditVerifyArguments),
}

/// Arguments of `audit size`.
#[derive(Debug, Args)]
pub struct AuditSizeArguments {
    /// The least rate of exceptions that is not tolerable, such as `1%`
    #[arg(long, value_name = "RATE")]
    pub tolerable: Rate,
    /// How sure to be that the rate is below it
    #[arg(long, value_name = "RATE", default_value = "95%")]
    pub confidence: Rate,
    /// How many decisions there are to draw from [default: as for a log without end]
    #[arg(long, value_name = "N")]
    pub population: Option<u64>,
    /// How many exceptions the sample may hold
    #[arg(long, value_name = "K", default_value_t = 0)]
    pub allow: u64,
    /// The rate of exceptions that a sequential plan is made for; above 0% it may go on after an exception
    #[arg(long, value_name = "RATE", default_value = "0%")]
    pub expected: Rate,
}

/// Arguments of `audit bound`.
#[derive(Debug, Args)]
pub struct AuditBoundArguments {
    /// How many decisions were drawn
    #[arg(long, value_name = "N")]
    pub sample: u64,
    /// How many of them were exceptions, those included that could not be recomputed
    #[arg(long, value_name = "K")]
    pub exceptions: u64,
    /// How sure to be of the bound
    #[arg(long, value_name = "RATE", default_value = "95%")]
    pub confidence: Rate,
    /// How many decisions there were to draw from [default: as for a log without end]
    #[arg(long, value_name = "N")]
    pub population: Option<u64>,
    /// The least rate that is not tolerable: says whether the sample shows that the rate is below it
    #[arg(long, value_name = "RATE")]
    pub tolerable: Option<Rate>,
    /// The rate that the sequential plan was made for
    #[arg(long, value_name = "RATE", default_value = "0%", requires = "tolerable")]
    pub expected: Rate,
}

/// Arguments of `audit plan`.
#[derive(Debug, Args)]
pub struct AuditPlanArguments {
    /// The checkpoint of the log to draw from, as `ledgerstone log checkpoint` printed it
    #[arg(long, value_name = "FILE")]
    pub checkpoint: PathBuf,
    /// The keys, as a file.
    #[command(flatten)]
    pub trust: TrustArguments,
    /// Write the plan here; an existing file is left alone
    #[arg(long, short, value_name = "FILE")]
    pub output: PathBuf,
    /// The first leaf index to draw from
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub from: u64,
    /// The last leaf index to draw from [default: the newest in the checkpoint]
    #[arg(long, value_name = "M")]
    pub to: Option<u64>,
    /// The least rate of exceptions that is not tolerable, such as `1%`
    #[arg(long, value_name = "RATE")]
    pub tolerable: Rate,
    /// How sure to be that the rate is below it
    #[arg(long, value_name = "RATE", default_value = "95%")]
    pub confidence: Rate,
    /// How many exceptions the size is made for
    #[arg(long, value_name = "K", default_value_t = 0)]
    pub allow: u64,
    /// Look after each decision instead of after the last
    #[arg(long)]
    pub sequential: bool,
    /// The rate of exceptions that a sequential plan is made for [default: 0%]
    #[arg(long, value_name = "RATE", requires = "sequential")]
    pub expected: Option<Rate>,
    /// SHA-256 of the profile whose tolerances decide, where a model cannot be recomputed bit for bit
    #[arg(long, value_name = "SHA256", value_parser = sha256)]
    pub profile: Option<Hash>,
    /// Count a decision that hangs on less than the profile's tolerance as no exception
    #[arg(long, requires = "profile")]
    pub pass_ambiguous: bool,
    /// File that says which leaf index is in which stratum, a line each: `INDEX NAME`, by rising index
    #[arg(long, value_name = "FILE", requires = "samples")]
    pub strata: Option<PathBuf>,
    /// Draw from this stratum, too: its name, the least rate of exceptions in it that is not tolerable, and perhaps how many
    /// exceptions its size is made for; may be repeated
    #[arg(long = "stratum", id = "samples", value_name = "NAME:RATE[:K]", requires = "strata")]
    pub samples: Vec<String>,
    /// A round of a drand chain that is still to come
    #[arg(long, value_name = "CHAIN_HASH:ROUND")]
    pub drand: Vec<String>,
    /// A block that is still to come
    #[arg(long, value_name = "bitcoin:HEIGHT")]
    pub block: Vec<String>,
    /// An auditor's own secret of 32 bytes, by its SHA-256; may be repeated for several auditors
    #[arg(long = "nonce-commitment", value_name = "NAME:SHA256")]
    pub nonces: Vec<String>,
    /// Sign the plan with the Ed25519 key in this file of `ledgerstone key generate`
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
}

/// Arguments of `audit draw`.
#[derive(Debug, Args)]
pub struct AuditDrawArguments {
    /// A store directory, a directory in the C2SP tlog-tiles layout, or the http(s) URL of one
    #[arg(value_name = "DIR|URL")]
    pub source: String,
    /// How to reach it, where it is a URL.
    #[command(flatten)]
    pub network: NetworkArguments,
    /// The plan
    #[arg(long, value_name = "FILE")]
    pub plan: PathBuf,
    /// The Ed25519 key that must have signed the plan
    #[arg(long, value_name = "VKEY", required_unless_present = "unsigned")]
    pub auditor: Option<String>,
    /// Take the plan whoever wrote it
    #[arg(long, conflicts_with = "auditor")]
    pub unsigned: bool,
    /// The round of drand that the plan names, as drand's servers gave it
    #[arg(long, value_name = "FILE")]
    pub drand: Option<PathBuf>,
    /// What the drand chain says of itself at /info, where it is neither `default` nor `quicknet`
    #[arg(long, value_name = "FILE", requires = "drand")]
    pub drand_chain: Option<PathBuf>,
    /// The header of the block that the plan names: 80 bytes, or their hex
    #[arg(long, value_name = "FILE")]
    pub block: Option<PathBuf>,
    /// An auditor's secret: the name in the plan and a file with its 64 digits of hex; may be repeated
    #[arg(long = "nonce", value_name = "NAME=FILE")]
    pub nonces: Vec<String>,
    /// The strata file that the plan names
    #[arg(long, value_name = "FILE")]
    pub strata: Option<PathBuf>,
    /// Write the draw here; an existing file is left alone
    #[arg(long, short, value_name = "FILE")]
    pub output: PathBuf,
}

/// Arguments of `audit run`.
#[derive(Debug, Args)]
pub struct AuditRunArguments {
    /// The bundle, as `ledgerstone-sidecar bundle export` wrote it
    #[arg(value_name = "BUNDLE")]
    pub bundle: PathBuf,
    /// Where to write the results, one JSON document a line; an existing file is left alone, and an interrupted run goes
    /// on where it was
    #[arg(long, short, value_name = "FILE")]
    pub output: PathBuf,
    /// The keys, as a file.
    #[command(flatten)]
    pub trust: TrustArguments,
    /// Your own copy of the draw's transcript: the bundle must hold exactly this sample
    #[arg(long, value_name = "FILE")]
    pub draw: Option<PathBuf>,
    /// An age identity file that opens the bundle; may be repeated
    #[arg(long = "identity", value_name = "FILE")]
    pub identities: Vec<PathBuf>,
    /// How models are recomputed.
    #[command(flatten)]
    pub recompute: RecomputeArguments,
    /// How many threads recompute [default: one for each processor]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
}

/// How models are recomputed.
#[derive(Clone, Debug, Default, Args)]
pub struct RecomputeArguments {
    /// How to recompute models that come without a recompute.json of their own; what you say here is not part of the
    /// model's digest
    #[arg(long, value_name = "FILE")]
    pub description: Option<PathBuf>,
    /// The tolerance profile of a model that is not reproduced bit for bit, as `ledgerstone audit calibrate` wrote it; may be
    /// repeated, once for each model
    #[arg(long = "profile", value_name = "FILE", requires = "profile_key")]
    pub profiles: Vec<PathBuf>,
    /// The Ed25519 key that must have signed the profiles
    #[arg(long, value_name = "VKEY", requires = "profiles")]
    pub profile_key: Option<String>,
    /// Where networks are computed
    #[arg(long, value_enum, default_value_t)]
    pub device: Processor,
    /// Count decisions of models that the log did not register before them as exceptions, even if no registration of any
    /// model comes along
    #[arg(long)]
    pub registered: bool,
}

/// The plan and the draw of an audit.
#[derive(Clone, Debug, Default, Args)]
pub struct AuditBasisArguments {
    /// The plan, where the results are of a draw
    #[arg(long, value_name = "FILE", requires = "draw")]
    pub plan: Option<PathBuf>,
    /// Its draw
    #[arg(long, value_name = "FILE", requires = "plan")]
    pub draw: Option<PathBuf>,
    /// What the drand chain says of itself at /info, where it is neither `default` nor `quicknet`
    #[arg(long, value_name = "FILE", requires = "draw")]
    pub drand_chain: Option<PathBuf>,
    /// The strata file that the plan names, where it names one
    #[arg(long, value_name = "FILE", requires = "draw")]
    pub strata: Option<PathBuf>,
}

/// Arguments of `audit report`.
#[derive(Debug, Args)]
pub struct AuditReportArguments {
    /// The results, as `ledgerstone audit run` wrote them
    #[arg(value_name = "RESULTS")]
    pub results: PathBuf,
    /// What they rest on, where they are of a draw.
    #[command(flatten)]
    pub basis: AuditBasisArguments,
    /// Sign the report with the Ed25519 key in this file of `ledgerstone key generate`
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
    /// Write report.json, report.html and report.pdf into this folder; an existing file is left alone
    #[arg(long, short, value_name = "DIR")]
    pub output: PathBuf,
}

/// Arguments of `audit verify`.
#[derive(Debug, Args)]
pub struct AuditVerifyArguments {
    /// The report
    #[arg(value_name = "REPORT")]
    pub report: PathBuf,
    /// The Ed25519 key that must have signed it
    #[arg(long, value_name = "VKEY")]
    pub auditor: String,
    /// What it rests on, where it is of a draw.
    #[command(flatten)]
    pub basis: AuditBasisArguments,
    /// The results that it was made from: they are counted again
    #[arg(long, value_name = "FILE")]
    pub results: Option<PathBuf>,
    /// The evidence bundle: every decision of it is recomputed again
    #[arg(long, value_name = "FILE", requires = "policy", requires = "again")]
    pub bundle: Option<PathBuf>,
    /// The keys, as a file.
    #[command(flatten)]
    pub trust: TrustArguments,
    /// Where to write the results of recomputing again; an existing file is left alone
    #[arg(long, value_name = "FILE", requires = "bundle")]
    pub again: Option<PathBuf>,
    /// An age identity file that opens the bundle; may be repeated
    #[arg(long = "identity", value_name = "FILE", requires = "bundle")]
    pub identities: Vec<PathBuf>,
    /// How models were recomputed.
    #[command(flatten)]
    pub recompute: RecomputeArguments,
}

/// A SHA-256 on the command line.
fn sha256(text: &str) -> Result<Hash, &'static str> {
    let bytes = hex_decode(text).ok();
    bytes
        .and_then(|bytes| Hash::try_from(bytes.as_slice()).ok())
        .ok_or("64 digits of lowercase hex are needed")
}

/// Arguments of `audit register`.
#[derive(Debug, Args)]
pub struct AuditRegisterArguments {
    /// The plan; the digest that `audit plan` printed is registered (of another --kind of policy, the SHA-256 of the file)
    #[arg(value_name = "FILE", required_unless_present = "digest", conflicts_with = "digest")]
    pub plan: Option<PathBuf>,
    /// The SHA-256 of the plan, where the file is elsewhere: 64 hexadecimal digits
    #[arg(long, value_name = "HEX")]
    pub digest: Option<String>,
    /// What kind of policy it is: 1 to 64 characters of a-z 0-9 . _ -
    #[arg(long, value_name = "KIND", default_value = "audit-plan")]
    pub kind: String,
    /// Where to register it.
    #[command(flatten)]
    pub registry: RegistryArguments,
}

/// Arguments of `audit calibrate`.
#[derive(Debug, Args)]
pub struct AuditCalibrateArguments {
    /// The model: a model file, or its folder; with a recompute.json the folder's own way to be recomputed is measured
    #[arg(value_name = "FILE|DIR")]
    pub model: PathBuf,
    /// The texts or prompts to measure with: UTF-8, one a line
    #[arg(long, value_name = "FILE", required_unless_present = "rows")]
    pub text: Option<PathBuf>,
    /// The rows to measure with, as for `model predict`
    #[arg(long, value_name = "CSV", conflicts_with = "text")]
    pub rows: Option<PathBuf>,
    /// The keys that sign the profile, from `ledgerstone key generate`
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
    /// Where to write the profile; an existing file is left alone
    #[arg(long, short, value_name = "FILE")]
    pub output: PathBuf,
    /// The tolerance [default: 20 times the greatest honest distance, rounded up to two digits]
    #[arg(long, value_name = "NUMBER")]
    pub tau: Option<f64>,
    /// Texts or rows computed side by side in one of the honest conditions
    #[arg(long, value_name = "N", default_value_t = 16)]
    pub batch: u16,
    /// Numbers of threads to compute with
    #[arg(long, value_name = "N,N", value_delimiter = ',', default_values_t = [1, 2])]
    pub threads: Vec<u16>,
    /// What another honest machine said of the same texts, rows or prompts, as `model predict --json` or `model generate --prompts
    /// --json` prints it there; may be repeated
    #[arg(long, value_name = "FILE")]
    pub recorded: Vec<PathBuf>,
    /// An onnxruntime library (libonnxruntime.so) whose answers are honest, too: for ONNX graphs
    #[arg(long, value_name = "FILE", requires = "rows")]
    pub engine_library: Option<PathBuf>,
    /// Where to compute a text encoder
    #[arg(long, value_enum, default_value_t)]
    pub device: Processor,
    /// The most tokens to answer a prompt with [default: what recompute.json says, else 16]
    #[arg(long, value_name = "N", requires = "text")]
    pub tokens: Option<u16>,
    /// What logits are divided by before a token is drawn [default: what recompute.json says, else 0, which takes the likeliest]
    #[arg(long, value_name = "NUMBER", requires = "text")]
    pub temperature: Option<f64>,
    /// The share of the likeliest tokens that is drawn from [default: what recompute.json says, else 1]
    #[arg(long, value_name = "NUMBER", requires = "text")]
    pub top_p: Option<f64>,
    /// What the draws follow from [default: what recompute.json says, else 0]
    #[arg(long, value_name = "N", requires = "text")]
    pub seed: Option<u64>,
}
