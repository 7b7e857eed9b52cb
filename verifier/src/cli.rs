//! The words of the command line: types only, no behaviour.
//!
//! Guarantees: every command, flag and help text of `ledgerstone` is in this file and those below it;
//! `tests/cmd/help.session` pins them. Does not do: anything with them; that is `command`.

mod approval;
mod audit;
mod key;
mod model;
mod operate;
mod report;
mod siem;

use std::path::PathBuf;

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};

pub use approval::{
    ApprovalCommand, ApprovalModelArguments, ApprovalPolicyArguments, ApprovalProposeArguments,
    ApprovalProposeCommand, ApprovalRosterArguments, ApprovalShowArguments, ApprovalSignArguments,
};
pub use audit::{
    AuditBasisArguments, AuditBoundArguments, AuditCalibrateArguments, AuditCommand, AuditDrawArguments,
    AuditPlanArguments, AuditRegisterArguments, AuditReportArguments, AuditRunArguments, AuditSizeArguments,
    AuditSubmitArguments, AuditVerifyArguments, RecomputeArguments, SubmitAction,
};
#[cfg(feature = "serve")]
pub use audit::{AuditServeArguments, LogFormat};
pub use key::{BundleCommand, BundleInspectArguments, KeyCommand, KeyGenerateArguments, KeyShowArguments};
pub use model::{
    Engine, ModelCommand, ModelCompareArguments, ModelDigestArguments, ModelGenerateArguments,
    ModelPredictArguments, ModelRegisterArguments, ModelShowArguments, ModelVerifyArguments,
    RegistryArguments,
};

pub use operate::{CompletionsArguments, DoctorArguments, ManArguments, TopArguments};

use crate::source::WebOptions;
pub use report::{
    CountedOutcome, FiguresArguments, ReportCommand, ReportFairnessArguments, ReportSummaryArguments,
};
pub use siem::{SiemCommand, SiemReconcileArguments};

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
    /// Approve changes: propose, sign and show what several persons must sign before it takes effect
    #[command(subcommand)]
    Approval(ApprovalCommand),
    /// Audit a log: plan, draw, recompute, report
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Read an evidence bundle
    #[command(subcommand)]
    Bundle(BundleCommand),
    /// Count outcomes over many decisions: over time, or by protected group
    #[command(subcommand)]
    Report(ReportCommand),
    /// Look at a running sidecar end to end and say what to fix
    #[command(after_help = EXIT_CODES)]
    Doctor(DoctorArguments),
    /// Watch a running sidecar: decisions, latency, gaps, heartbeats, anchors
    #[command(after_help = EXIT_CODES)]
    Top(TopArguments),
    /// Print completions for a shell
    #[command(after_help = EXIT_CODES)]
    Completions(CompletionsArguments),
    /// Write the manual pages
    #[command(after_help = EXIT_CODES)]
    Man(ManArguments),
    /// Hold what a SIEM has of a log against the log
    #[command(subcommand)]
    Siem(SiemCommand),
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
    /// Check what fixes a log's head outside: statements, timestamps, Bitcoin blocks, contracts
    #[command(after_help = EXIT_CODES)]
    Anchors(VerifyAnchorsArguments),
}

/// Whom to trust about anchors.
#[derive(Clone, Debug, Default, Args)]
pub struct AnchorTrustArguments {
    /// File that says which blocks, contracts and timestamp authorities you rely on, and how many kinds of
    /// anchors must hold; write it yourself, or get it from somebody other than who is checked
    #[arg(long, value_name = "FILE")]
    pub anchor_trust: Option<PathBuf>,
}

/// Arguments of `verify anchors`.
#[derive(Debug, Args)]
pub struct VerifyAnchorsArguments {
    /// A store directory, a copy of its `anchors` folder (beside the log's `checkpoint` and `tile`, or alone),
    /// or the http(s) URL of a log
    #[arg(value_name = "DIR|URL")]
    pub source: String,
    /// How to reach it, where it is a URL.
    #[command(flatten)]
    pub network: NetworkArguments,
    /// The keys, as a file.
    #[command(flatten)]
    pub trust: TrustArguments,
    /// Blocks, contracts and authorities, as a file.
    #[command(flatten)]
    pub anchor_trust: AnchorTrustArguments,
}

/// Whom to trust.
#[derive(Clone, Debug, Default, Args)]
pub struct TrustArguments {
    /// File that names the keys you trust; get it from the log's operator over a channel you trust,
    /// not together with what you check
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
}

/// How to reach servers, and what to show them. Secrets stand in files, never in an argument.
#[derive(Clone, Debug, Default, Args)]
pub struct NetworkArguments {
    /// Trust the certificates in this PEM file for https:// and grpcs:// instead of the web's authorities
    #[arg(long, alias = "ca", value_name = "FILE", env = "LEDGERSTONE_CA_FILE", hide_env_values = true)]
    pub ca_file: Option<PathBuf>,
    /// Show this certificate to the server, as PEM with its chain
    #[arg(
        long,
        value_name = "FILE",
        env = "LEDGERSTONE_CERT_FILE",
        hide_env_values = true,
        requires = "key_file"
    )]
    pub cert_file: Option<PathBuf>,
    /// The certificate's private key, as PEM
    #[arg(
        long,
        value_name = "FILE",
        env = "LEDGERSTONE_KEY_FILE",
        hide_env_values = true,
        requires = "cert_file"
    )]
    pub key_file: Option<PathBuf>,
    /// Show the bearer token in this file, over TLS or to this machine itself
    #[arg(long, value_name = "FILE", env = "LEDGERSTONE_TOKEN_FILE", hide_env_values = true)]
    pub token_file: Option<PathBuf>,
}

impl NetworkArguments {
    /// As those who connect take them.
    #[must_use]
    pub fn options(&self) -> WebOptions {
        WebOptions {
            ca: self.ca_file.clone(),
            identity: self.cert_file.clone().zip(self.key_file.clone()),
            token: self.token_file.clone(),
        }
    }
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
    /// Blocks, contracts and authorities, as a file.
    #[command(flatten)]
    pub anchor_trust: AnchorTrustArguments,
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
    /// Blocks, contracts and authorities, as a file.
    #[command(flatten)]
    pub anchor_trust: AnchorTrustArguments,
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
    /// Add to a receipt what has fixed the log outside since it was given
    #[command(after_help = EXIT_CODES)]
    Upgrade(ReceiptUpgradeArguments),
    /// Make a receipt that shows fewer fields, to hand on one fact without the rest
    #[command(after_help = EXIT_CODES)]
    Disclose(ReceiptDiscloseArguments),
    /// Take the COSE receipt (RFC 9942) out of a receipt, for tools that check those
    #[command(after_help = EXIT_CODES)]
    Cose(ReceiptCoseArguments),
    /// Print the page that checks receipts in a browser: one HTML file that needs no network
    #[command(after_help = EXIT_CODES)]
    Page(ReceiptPageArguments),
}

/// Arguments of `receipt page`.
#[derive(Debug, Args)]
pub struct ReceiptPageArguments {
    /// Put the keys in this file into the page; its readers then see their fingerprint and are told to compare it
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// Write the page here instead of to standard output; an existing file is left alone
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Arguments of `receipt disclose`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("chosen").required(true).multiple(true).args(["fields", "purpose"])))]
pub struct ReceiptDiscloseArguments {
    /// The receipt; `-` reads standard input
    #[arg(value_name = "FILE")]
    pub receipt: PathBuf,
    /// Show these fields: paths as `receipt show` prints them, `*` for any part, such as `outcome/*,time/decided`
    #[arg(long, value_name = "PATHS", value_delimiter = ',')]
    pub fields: Vec<String>,
    /// Show what these people need
    #[arg(long, value_name = "WHO", value_enum)]
    pub purpose: Option<PurposeArgument>,
    /// Write the receipt here instead of to standard output; an existing file is left alone
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Arguments of `receipt cose`.
#[derive(Debug, Args)]
pub struct ReceiptCoseArguments {
    /// The receipt; `-` reads standard input
    #[arg(value_name = "FILE")]
    pub receipt: PathBuf,
    /// Write the COSE receipt here; an existing file is left alone
    #[arg(long, short, value_name = "FILE")]
    pub output: PathBuf,
    /// Write the log entry here, which the COSE receipt proves; an existing file is left alone
    #[arg(long, value_name = "FILE")]
    pub entry: Option<PathBuf>,
}

/// Whom a receipt is narrowed for.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum PurposeArgument {
    /// The person concerned: what was decided, when, by which model, why, and what can be done about it
    Applicant,
    /// Whoever supervises: everything that the receipt has
    Regulator,
    /// A court: what was decided on which inputs, why and by whom
    Court,
}

/// Arguments of `receipt upgrade`.
#[derive(Debug, Args)]
pub struct ReceiptUpgradeArguments {
    /// The receipt
    #[arg(value_name = "FILE")]
    pub receipt: PathBuf,
    /// Where the log and its anchors are: a store directory, a copy of one, or the http(s) URL of the sidecar's
    /// read side; without it the address that the policy names
    #[arg(long, value_name = "DIR|URL")]
    pub from: Option<String>,
    /// Write the upgraded receipt here; without it the file is replaced
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// How to reach it, where it is a URL.
    #[command(flatten)]
    pub network: NetworkArguments,
    /// The keys, as a file.
    #[command(flatten)]
    pub trust: TrustArguments,
    /// Blocks, contracts and authorities, as a file.
    #[command(flatten)]
    pub anchor_trust: AnchorTrustArguments,
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
    /// Blocks, contracts and authorities, as a file.
    #[command(flatten)]
    pub anchor_trust: AnchorTrustArguments,
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
