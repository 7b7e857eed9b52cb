//! The command line, as types only.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::Inputs;
use crate::evidence::{Wanted, WantedEntries};
use crate::telemetry::LogFormat;

pub mod approvals;
pub mod erasure;
pub mod gate;
pub mod injector;
#[cfg(feature = "notices")]
pub mod notice;
pub mod siem;
pub mod upkeep;

/// Records every decision of a model server before the caller sees the answer.
#[derive(Debug, Parser)]
#[command(name = "ledgerstone-sidecar", version, max_term_width = 100)]
pub struct Cli {
    /// What it is told.
    #[command(flatten)]
    pub settings: Settings,
    /// How log lines on standard error look.
    #[arg(long, value_enum, default_value_t, global = true, env = "LEDGERSTONE_LOG_FORMAT")]
    pub log_format: LogFormat,
    /// Which log lines are written, for example `info` or `info,ledgerstone_sidecar=debug`.
    #[arg(
        long,
        default_value = "info",
        global = true,
        env = "LEDGERSTONE_LOG_FILTER",
        value_name = "FILTER"
    )]
    pub log_filter: String,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Where the configuration comes from.
#[derive(Debug, Args)]
pub struct Settings {
    /// The configuration file.
    #[arg(long, global = true, env = "LEDGERSTONE_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Sets one key, over the file and the environment. May be repeated.
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

impl Settings {
    /// The file, this process's environment, and the flags.
    #[must_use]
    pub fn inputs(self) -> Inputs {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Inputs {
            file: self.config,
            environment: std::env::vars_os().filter_map(text).collect(),
            flags: self.set,
        }
    }
}

/// What the sidecar can be asked to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve: record decisions until a signal to stop.
    Run(upkeep::RunArguments),
    /// Create the log, and its keys where they do not exist.
    Init(InitArguments),
    /// Show the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Look after the key that wraps record keys.
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Work on the lookup index.
    #[command(subcommand)]
    Index(IndexCommand),
    /// Read sealed records.
    #[command(subcommand)]
    Record(RecordCommand),
    /// Keys for receipts, links to them, letters, exports.
    #[command(subcommand)]
    Receipt(ReceiptCommand),
    /// Look at where the log's head is fixed.
    #[command(subcommand)]
    Anchor(AnchorCommand),
    /// Hand evidence to somebody without the log.
    #[command(subcommand)]
    Bundle(BundleCommand),
    /// Regulation packs: what rules ask of records.
    #[command(subcommand)]
    Packs(PacksCommand),
    /// The policy gate: rules that decisions must satisfy.
    #[command(subcommand)]
    Gate(gate::GateCommand),
    /// Keep protected attributes apart from the decisions they are compared over.
    #[command(subcommand)]
    Vault(VaultCommand),
    /// Notices to the persons whom decisions are about.
    #[cfg(feature = "notices")]
    #[command(subcommand)]
    Notice(notice::NoticeCommand),
    /// Put the sidecar into pods that ask for it: a mutating webhook of Kubernetes. Reads no configuration file.
    Injector(injector::InjectorArguments),
    /// Dual control: who must approve which changes, and what waits for it.
    #[command(subcommand)]
    Approvals(approvals::ApprovalsCommand),
    /// Copy the whole store into a folder, anew or onto an earlier backup. The sidecar may be running.
    ///
    /// Private keys are not in it, and sealed records and the keyring lie in it as encrypted as they are. Give the same command again
    /// after an interruption, and every day: what never changes is copied once.
    Backup {
        /// The folder, best on another disk
        #[arg(value_name = "FOLDER")]
        folder: PathBuf,
    },
    /// Put a backup in the place of a store that is lost. The sidecar must not be running.
    ///
    /// The store is checked whole, and nothing is signed in it until a checkpoint from outside was held against it.
    Restore(upkeep::RestoreArguments),
    /// Give up what `run` gives up, and say what is left: which files, folders and ports.
    ///
    /// Ends with 1 if something is missing, or if one of the places may not be reached.
    Hardening(HardeningArguments),
    /// The SIEM export: where its sinks are.
    #[command(subcommand)]
    Siem(siem::SiemCommand),
    /// Print completions for a shell. Reads no configuration file.
    Completions {
        /// The shell.
        #[arg(value_name = "SHELL")]
        shell: clap_complete::Shell,
    },
    /// Write the manual pages. Reads no configuration file.
    Man {
        /// The folder to write them into; it is made where it does not exist, and pages of the same names are replaced.
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
    /// What is asked of the keyring.
    #[command(flatten)]
    Erasure(erasure::ErasureCommand),
}

/// Arguments of `init`.
#[derive(Clone, Copy, Debug, Args)]
pub struct InitArguments {
    /// End with 0 where the store holds this log already, for a start that is repeated.
    ///
    /// A store that was emptied gets a new log: use it only where the key that signs the log is lost together with the store.
    #[arg(long)]
    pub if_absent: bool,
}

/// Arguments of `hardening`.
#[derive(Debug, Default, Args)]
pub struct HardeningArguments {
    /// Say whether this file or folder may be read; may be repeated
    #[arg(long, value_name = "PATH")]
    pub read: Vec<PathBuf>,
    /// Say whether this file may be written; nothing is written; may be repeated
    #[arg(long, value_name = "FILE")]
    pub write: Vec<PathBuf>,
    /// Say whether a connection to this address may be made; may be repeated
    #[arg(long, value_name = "IP:PORT")]
    pub connect: Vec<std::net::SocketAddr>,
}

/// `vault ...`
#[derive(Debug, Subcommand)]
pub enum VaultCommand {
    /// Write the attributes in a table into a vault, for `ledgerstone report fairness`. The sidecar may be running.
    ///
    /// The table is comma-separated values with a line of names: `decision_id` (with `person`, from 0, where a decision is about several),
    /// or `subject` as the caller gave it; every other column is an attribute, such as `sex`. An empty cell says that it is not known.
    Make(VaultMakeArguments),
}

/// Arguments of `vault make`.
#[derive(Debug, Args)]
pub struct VaultMakeArguments {
    /// The table
    #[arg(value_name = "TABLE")]
    pub attributes: PathBuf,
    /// The vault to write, readable by its owner alone; an existing file is left alone
    #[arg(long, short, value_name = "FILE")]
    pub output: PathBuf,
}

/// `config ...`
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print each key with its value and who said so.
    Explain,
}

/// `keys ...`
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum KeysCommand {
    /// Have each configured provider wrap and unwrap a random key, and say how long that took.
    Check,
    /// Make the key of `[keys]` where it does not exist.
    Create,
}

/// `index ...`
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum IndexCommand {
    /// Delete the lookup index and build it again from the log. The sidecar must not be running.
    Rebuild,
}

/// `record ...`
#[derive(Debug, Subcommand)]
pub enum RecordCommand {
    /// Decrypt the record of one decision and print it as JSON.
    Open {
        /// The decision id, as UUID text.
        decision_id: String,
    },
    /// Print who opened records, one line of JSON for each time.
    Accesses {
        /// Of this decision only.
        decision_id: Option<String>,
    },
}

/// `receipt ...`
#[derive(Debug, Subcommand)]
pub enum ReceiptCommand {
    /// Draw the key that signs COSE receipts where it does not exist, and name it in the log's policy.
    ///
    /// `init` does the same for a new log. The sidecar must not be running.
    Key,
    /// Make a link that opens the receipt of one decision until it expires, and print it. The sidecar may be running.
    Link(ReceiptLinkArguments),
    /// Revoke a link, or every link to one receipt; it holds at once.
    Revoke(ReceiptRevokeArguments),
    /// Make a link and print what a letter says about it: its reference, its address, its QR code.
    Letter(ReceiptLetterArguments),
    /// Write the receipts of many decisions into a folder or an archive. The sidecar may be running.
    Export(ReceiptExportArguments),
}

/// Arguments of `receipt link`.
#[derive(Debug, Args)]
pub struct ReceiptLinkArguments {
    /// The decision's id or reference
    #[arg(long, value_name = "ID")]
    pub decision: String,
    /// How long the link works, such as 30d or 12h [default: links.expires]
    #[arg(long, value_name = "TIME")]
    pub expires: Option<String>,
}

/// Arguments of `receipt revoke`.
#[derive(Debug, Args)]
pub struct ReceiptRevokeArguments {
    /// The link, as `receipt link` printed it
    #[arg(value_name = "LINK", required_unless_present = "decision", conflicts_with = "decision")]
    pub link: Option<String>,
    /// Every link to the receipt of this decision, by its id or reference
    #[arg(long, value_name = "ID")]
    pub decision: Option<String>,
}

/// Arguments of `receipt letter`.
#[derive(Debug, Args)]
pub struct ReceiptLetterArguments {
    /// The decision's id or reference
    #[arg(long, value_name = "ID")]
    pub decision: String,
    /// How long the link works, such as 30d or 12h [default: links.expires]
    #[arg(long, value_name = "TIME")]
    pub expires: Option<String>,
    /// svg and png are the QR code alone
    #[arg(long, value_enum, default_value_t = LetterFormat::Text, value_name = "FORMAT")]
    pub format: LetterFormat,
    /// The language of text and html: en, de, fr or es
    #[arg(long, default_value = "en", value_name = "TAG")]
    pub language: String,
    /// Where to write it instead of to standard output; an existing file is left alone
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// What a letter's part is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LetterFormat {
    /// Plain text, without the code.
    Text,
    /// A piece of HTML with the code in it.
    Html,
    /// The code as an SVG document.
    Svg,
    /// The code as a PNG file.
    Png,
}

/// Arguments of `receipt export`.
#[derive(Debug, Args)]
pub struct ReceiptExportArguments {
    /// Where to write them: a folder, or an archive where the name ends in .tar.zst; nothing is overwritten
    #[arg(long, short, value_name = "PATH")]
    pub output: PathBuf,
    /// The first leaf index
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub from: u64,
    /// The last leaf index [default: the newest published]
    #[arg(long, value_name = "M")]
    pub to: Option<u64>,
    /// Only decisions of this route
    #[arg(long, value_name = "NAME")]
    pub route: Option<String>,
}

/// `anchor ...`
#[derive(Debug, Subcommand)]
pub enum AnchorCommand {
    /// Print how each lane stands, as the files in the store say it. The sidecar may be running.
    Status,
    /// Draw a key that sends anchor transactions, and print its account.
    #[cfg(feature = "ethereum")]
    Key(AnchorKeyArguments),
    /// Deploy the anchor contract on an EVM chain and register the log in it.
    ///
    /// Prints a lane for the configuration file. The key pays for it, and is the one that may advance the log's head.
    #[cfg(feature = "ethereum")]
    Deploy(DeployArguments),
}

/// Arguments of `anchor key`.
#[cfg(feature = "ethereum")]
#[derive(Debug, Args)]
pub struct AnchorKeyArguments {
    /// The file to write; an existing one is left alone
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Encrypt it under the key of this file (keys.file of the configuration)
    #[arg(long, value_name = "FILE")]
    pub wrap_with: Option<PathBuf>,
}

/// Arguments of `anchor deploy`.
#[cfg(feature = "ethereum")]
#[derive(Debug, Args)]
pub struct DeployArguments {
    /// An RPC endpoint of the chain, http://... or https://...
    #[arg(long, value_name = "URL")]
    pub rpc: String,
    /// The file with the lane's key
    #[arg(long, value_name = "FILE")]
    pub key_file: PathBuf,
    /// The key that the lane's key is encrypted under, if it is (keys.file of the configuration)
    #[arg(long, value_name = "FILE")]
    pub unwrap_with: Option<PathBuf>,
    /// The log's origin
    #[arg(long, value_name = "ORIGIN")]
    pub origin: String,
    /// The chain it must be; without it the endpoint says which
    #[arg(long, value_name = "ID")]
    pub chain_id: Option<u64>,
    /// A contract that is there already: only register the log in it
    #[arg(long, value_name = "ADDRESS")]
    pub contract: Option<String>,
    /// The certificates that an https endpoint is checked against, as PEM
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
}

/// `packs ...`
#[derive(Debug, Subcommand)]
pub enum PacksCommand {
    /// Print the packs that come with the sidecar.
    List,
    /// Print one pack, with its sources and how surely they were read.
    Show {
        /// A name of `packs list`, or a file (*.toml)
        pack: String,
    },
    /// Check the routes of the configuration, or the decisions of the log, against the packs that they name.
    ///
    /// Ends with 0 if nothing lacks, 1 if something does, 2 if nothing was found and not everything could be judged.
    Check(PackCheckArguments),
}

/// Arguments of `packs check`.
#[derive(Debug, Args)]
pub struct PackCheckArguments {
    /// Check the decisions of the log in the store; the sidecar may be running
    #[arg(long)]
    pub log: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Look at the log as of this day, YYYY-MM-DD, which may be to come [default: now]
    #[arg(long, value_name = "DATE", requires = "log")]
    pub at: Option<String>,
    /// Also judge decisions that were recorded before a pack was in force
    #[arg(long, requires = "log")]
    pub early: bool,
    /// How many decisions to name for each rule
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(..=10_000))]
    pub named: usize,
    /// A pack that records name and the configuration does not, such as an older version; may be repeated
    #[arg(long = "pack", value_name = "FILE", requires = "log")]
    pub packs: Vec<PathBuf>,
}

/// `bundle ...`
#[derive(Debug, Subcommand)]
pub enum BundleCommand {
    /// Write entries, proofs, opened records and models into one file. The sidecar may be running.
    ///
    /// An export that was interrupted goes on where it was when the same command is given again.
    Export(ExportArguments),
}

/// Arguments of `bundle export`.
#[derive(Debug, Args)]
pub struct ExportArguments {
    /// Where to write the bundle; an existing file is left alone
    #[arg(long, short, value_name = "FILE")]
    pub output: PathBuf,
    /// The transcript of a draw (`ledgerstone audit draw`): export what it looked at
    #[arg(long, value_name = "FILE", conflicts_with_all = ["from", "to"])]
    pub draw: Option<PathBuf>,
    /// The first leaf index to export
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub from: u64,
    /// The last leaf index to export [default: the newest published]
    #[arg(long, value_name = "M")]
    pub to: Option<u64>,
    /// A model's folder or file; give every model that the decisions name
    #[arg(long = "model", value_name = "PATH")]
    pub models: Vec<PathBuf>,
    /// Leave out the requests and responses as they were on the wire
    #[arg(long)]
    pub without_raw: bool,
    /// Encrypt to this age recipient (age1...), so that only the holder of its identity reads the records; may be repeated
    #[arg(long = "recipient", value_name = "RECIPIENT")]
    pub recipients: Vec<String>,
    /// Say how large the bundle will be and what is missing, and write nothing
    #[arg(long)]
    pub estimate: bool,
}

impl ExportArguments {
    /// What they ask for.
    #[must_use]
    pub fn wanted(self) -> Wanted {
        Wanted {
            entries: match self.draw {
                Some(draw) => WantedEntries::Draw(draw),
                None => WantedEntries::Range { first: self.from, last: self.to },
            },
            models: self.models,
            raw: !self.without_raw,
            recipients: self.recipients,
            output: self.output,
        }
    }
}
