//! The words of `ledgerstone audit serve` and `ledgerstone audit submit`.

use std::path::PathBuf;

use clap::Args;
use ledgerstone::hash::Hash;

#[cfg(feature = "serve")]
use super::RecomputeArguments;
use super::sha256;
use crate::cli::NetworkArguments;
#[cfg(feature = "serve")]
use crate::cli::TrustArguments;

/// Arguments of `audit serve`.
#[cfg(feature = "serve")]
#[derive(Debug, Args)]
pub struct AuditServeArguments {
    /// Where runs are kept: bundles, results, and how far they are; one service at a time
    #[arg(long, value_name = "DIR")]
    pub folder: PathBuf,
    /// The address to listen on; any but a loopback address needs --tls-cert
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:7460")]
    pub listen: std::net::SocketAddr,
    /// A folder whose files can be named instead of uploaded
    #[arg(long, value_name = "DIR")]
    pub inbox: Option<PathBuf>,
    /// The keys, as a file.
    #[command(flatten)]
    pub trust: TrustArguments,
    /// An age identity file that opens encrypted bundles; may be repeated
    #[arg(long = "identity", value_name = "FILE")]
    pub identities: Vec<PathBuf>,
    /// How models are recomputed.
    #[command(flatten)]
    pub recompute: RecomputeArguments,
    /// How many runs are recomputed at once
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub runs: u16,
    /// How many threads recompute in each run [default: one for each processor]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// How many runs may wait
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub queue: u16,
    /// The largest bundle that may be uploaded
    #[arg(long, value_name = "SIZE", default_value = "64GiB", value_parser = bytes)]
    pub upload_max: u64,
    /// The most that the folder may hold
    #[arg(long, value_name = "SIZE", default_value = "256GiB", value_parser = bytes)]
    pub disk_max: u64,
    /// The service's certificate as PEM
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// Its key as PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Serve only callers with a certificate of this authority (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub client_ca: Option<PathBuf>,
    /// How log lines on standard error look
    #[arg(long, value_enum, default_value_t)]
    pub log_format: LogFormat,
}

/// How log lines look.
#[cfg(feature = "serve")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// One line of text for a person.
    #[default]
    Text,
    /// One JSON object a line, for a collector.
    Json,
}

/// Arguments of `audit submit`.
#[derive(Debug, Args)]
pub struct AuditSubmitArguments {
    /// What to do.
    #[command(flatten)]
    pub action: SubmitAction,
    /// The service: grpc:// or grpcs:// (or http://, https://) and its address
    #[arg(long, value_name = "URL")]
    pub to: String,
    /// How to reach it.
    #[command(flatten)]
    pub network: NetworkArguments,
    /// SHA-256 of the file in the inbox
    #[arg(long, value_name = "HEX", value_parser = sha256, requires = "inbox")]
    pub sha256: Option<Hash>,
    /// Your own copy of the draw's transcript: the bundle must hold exactly this sample
    #[arg(long, value_name = "FILE", conflicts_with_all = ["watch", "cancel", "delete", "list"])]
    pub draw: Option<PathBuf>,
    /// How to recompute models that come without a recompute.json of their own
    #[arg(long, value_name = "FILE", conflicts_with_all = ["watch", "cancel", "delete", "list"])]
    pub description: Option<PathBuf>,
    /// What the run is called in lists
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub label: String,
    /// Where to write the results when the run is done; an existing file is left alone
    #[arg(long, short, value_name = "FILE", conflicts_with_all = ["cancel", "delete", "list", "detach"])]
    pub output: Option<PathBuf>,
    /// Submit, say the run's name, and leave it to itself
    #[arg(long, conflicts_with_all = ["watch", "cancel", "delete", "list"])]
    pub detach: bool,
}

/// What `audit submit` does.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct SubmitAction {
    /// Upload this bundle, watch its run and fetch the results
    #[arg(value_name = "BUNDLE")]
    pub bundle: Option<PathBuf>,
    /// The same for a file that lies in the service's inbox; needs --sha256
    #[arg(long, value_name = "NAME", requires = "sha256")]
    pub inbox: Option<String>,
    /// Watch a run that was submitted before, and fetch its results
    #[arg(long, value_name = "RUN")]
    pub watch: Option<String>,
    /// Cancel a run; what was recomputed is kept until it is deleted
    #[arg(long, value_name = "RUN")]
    pub cancel: Option<String>,
    /// Delete a run that has ended, with everything that the service keeps of it
    #[arg(long, value_name = "RUN")]
    pub delete: Option<String>,
    /// List the runs
    #[arg(long)]
    pub list: bool,
}

/// A size with its unit.
#[cfg(feature = "serve")]
fn bytes(text: &str) -> Result<u64, &'static str> {
    const UNITS: [(&str, u64); 5] =
        [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)];
    let size = text.find(|letter: char| !letter.is_ascii_digit()).and_then(|digits| {
        let (number, unit) = text.split_at(digits);
        let (_, scale) = UNITS.iter().find(|(name, _)| *name == unit)?;
        number.parse::<u64>().ok()?.checked_mul(*scale).filter(|size| *size > 0)
    });
    size.ok_or("a size with its unit is needed, for example 64GiB")
}
