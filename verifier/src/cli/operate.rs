//! The words of the commands for those who keep a sidecar running.

use std::path::PathBuf;

use clap::{ArgGroup, Args};
use clap_complete::Shell;

use super::{NetworkArguments, TrustArguments};

/// Arguments of `doctor`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("where").required(true).multiple(true).args(["config", "store", "admin", "http", "grpc"])))]
pub struct DoctorArguments {
    /// The sidecar's configuration file: addresses, store and key files that no flag names are taken from it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The sidecar's store directory, on this machine; nothing in it is changed
    #[arg(long, value_name = "DIR")]
    pub store: Option<PathBuf>,
    /// The admin port, http:// or https://
    #[arg(long, value_name = "URL")]
    pub admin: Option<String>,
    /// The read side, http:// or https://
    #[arg(long, value_name = "URL")]
    pub http: Option<String>,
    /// The gRPC port, grpc:// or grpcs://
    #[arg(long, value_name = "URL")]
    pub grpc: Option<String>,
    /// Ask no address of the configuration file: look at the files alone
    #[arg(long, conflicts_with_all = ["admin", "http", "grpc"])]
    pub offline: bool,
    /// A checkpoint of this log that you kept from earlier; may be repeated
    #[arg(long = "checkpoint", value_name = "FILE")]
    pub checkpoints: Vec<PathBuf>,
    /// Warn where fewer bytes than this are free on the disk of the store, such as 500MiB or 20GiB
    #[arg(long, value_name = "SIZE", default_value = "2GiB", value_parser = size)]
    pub free_min: u64,
    /// End with 1 where there are warnings, too
    #[arg(long)]
    pub strict: bool,
    /// The keys, as a file.
    #[command(flatten)]
    pub trust: TrustArguments,
    /// How to reach the addresses.
    #[command(flatten)]
    pub network: NetworkArguments,
}

/// Arguments of `top`.
#[derive(Debug, Args)]
pub struct TopArguments {
    /// The admin port, http:// or https://
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:7452")]
    pub admin: String,
    /// Seconds between two looks
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub every: u64,
    /// Look twice, print one frame as text (with --json one document) and end
    #[arg(long)]
    pub once: bool,
    /// How to reach it.
    #[command(flatten)]
    pub network: NetworkArguments,
}

/// Arguments of `completions`.
#[derive(Clone, Copy, Debug, Args)]
pub struct CompletionsArguments {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}

/// Arguments of `man`.
#[derive(Debug, Args)]
pub struct ManArguments {
    /// The folder to write them into; it is made where it does not exist, and pages of the same names are replaced
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
}

/// Reads a size with its unit.
fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: u64 = match text.get(digits.len()..).unwrap_or_default() {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return Err("write a number and B, KiB, MiB, GiB or TiB".to_owned()),
    };
    let size = digits.parse().ok().and_then(|number: u64| number.checked_mul(unit));
    size.ok_or_else(|| "write a whole number before the unit".to_owned())
}
