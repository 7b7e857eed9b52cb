//! The words of `ledgerstone key` and `ledgerstone bundle`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{EXIT_CODES, TrustArguments};

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
    #[arg(long, short, value_name = "FILE")]
    pub output: PathBuf,
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
