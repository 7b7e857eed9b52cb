//! The words of `ledgerstone approval`.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand};

use super::EXIT_CODES;

/// `ledgerstone approval ...`.
#[derive(Debug, Subcommand)]
pub enum ApprovalCommand {
    /// Write the statement of a change, for the approvers to sign
    #[command(subcommand)]
    Propose(ApprovalProposeCommand),
    /// Show what a statement says, and sign it
    #[command(after_help = EXIT_CODES)]
    Sign(ApprovalSignArguments),
    /// Print what a statement says and who has signed it
    #[command(after_help = EXIT_CODES)]
    Show(ApprovalShowArguments),
    /// Print the digest of the roster that approvers and rules make, which a change of the roster is approved by
    #[command(after_help = EXIT_CODES)]
    Roster(ApprovalRosterArguments),
}

/// `ledgerstone approval propose ...`.
#[derive(Debug, Subcommand)]
pub enum ApprovalProposeCommand {
    /// That a model comes into use; `model register --approval` uses it
    #[command(after_help = EXIT_CODES, disable_version_flag = true)]
    Model(ApprovalModelArguments),
    /// That a policy comes into force; `audit register --approval` uses it
    #[command(after_help = EXIT_CODES)]
    Policy(ApprovalPolicyArguments),
}

/// For which log and how long, and where the statement goes.
#[derive(Debug, Args)]
pub struct ApprovalProposeArguments {
    /// The log's origin
    #[arg(long, value_name = "ORIGIN")]
    pub log: String,
    /// For how many days it may be used, at most 31
    #[arg(long, value_name = "DAYS", default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..=31))]
    pub days: u16,
    /// Where to write the statement; an existing file is left alone
    #[arg(long, short, value_name = "FILE")]
    pub output: PathBuf,
}

/// Arguments of `approval propose model`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("what").required(true).args(["folder", "digest"])))]
pub struct ApprovalModelArguments {
    /// The folder that the model server loads
    #[arg(value_name = "DIR")]
    pub folder: Option<PathBuf>,
    /// The model's digest instead, 64 hexadecimal digits
    #[arg(long, value_name = "SHA256")]
    pub digest: Option<String>,
    /// What it will be registered as
    #[arg(long, value_name = "NAME")]
    pub name: String,
    /// Which version of it
    #[arg(long, value_name = "VERSION")]
    pub version: String,
    /// Name the digest of this signature file, too
    #[arg(long, value_name = "FILE")]
    pub signature: Option<PathBuf>,
    /// For which log and how long.
    #[command(flatten)]
    pub propose: ApprovalProposeArguments,
}

/// Arguments of `approval propose policy`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("what").required(true).args(["file", "digest"])))]
pub struct ApprovalPolicyArguments {
    /// The policy; its digest is that of its bytes, and of an audit's plan that of its text
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// The policy's digest instead, 64 hexadecimal digits
    #[arg(long, value_name = "SHA256")]
    pub digest: Option<String>,
    /// What kind of policy it is
    #[arg(long, value_name = "NAME")]
    pub kind: String,
    /// For which log and how long.
    #[command(flatten)]
    pub propose: ApprovalProposeArguments,
}

/// Arguments of `approval sign`.
#[derive(Debug, Args)]
pub struct ApprovalSignArguments {
    /// The statement, or a file that others have signed already
    #[arg(value_name = "STATEMENT")]
    pub statement: PathBuf,
    /// Your key file, as `ledgerstone key generate` wrote it
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
    /// Sign without being asked: you have read what it says
    #[arg(long)]
    pub yes: bool,
    /// Where to write the statement with your signature; an existing file is left alone
    #[arg(long, short, value_name = "FILE")]
    pub output: PathBuf,
}

/// Who may approve.
#[derive(Debug, Args)]
pub struct ApprovalShowArguments {
    /// The statement, signed or not
    #[arg(value_name = "STATEMENT")]
    pub statement: PathBuf,
    /// Check the signatures against this file of approvers
    #[arg(long, value_name = "FILE", requires = "rule")]
    pub approvers: Option<PathBuf>,
    /// How many of whom must have signed, such as \"2 of alice, bob, carol\"
    #[arg(long, value_name = "RULE", requires = "approvers")]
    pub rule: Option<String>,
}

/// Arguments of `approval roster`.
#[derive(Debug, Args)]
pub struct ApprovalRosterArguments {
    /// The file of approvers
    #[arg(value_name = "FILE")]
    pub approvers: PathBuf,
    /// A rule of the configuration, such as \"model=2 of alice, bob\"; may be repeated
    #[arg(long = "rule", value_name = "KIND=RULE", required = true)]
    pub rules: Vec<String>,
}
