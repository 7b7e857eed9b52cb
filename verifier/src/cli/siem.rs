//! `ledgerstone siem ...`: what a SIEM holds of a log.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{EXIT_CODES, NetworkArguments, TrustArguments};

/// `ledgerstone siem ...`.
#[derive(Debug, Subcommand)]
pub enum SiemCommand {
    /// Compare what a SIEM holds with the log: what is missing there, what was altered, what is not of this log
    #[command(after_help = EXIT_CODES)]
    Reconcile(SiemReconcileArguments),
}

/// Arguments of `siem reconcile`.
#[derive(Debug, Args)]
pub struct SiemReconcileArguments {
    /// A store directory, a directory in the C2SP tlog-tiles layout, or the http(s) URL of one
    #[arg(value_name = "DIR|URL")]
    pub source: String,
    /// What the SIEM holds, one event a line: OCSF, ECS or OTLP as JSON, CEF, LEEF, RFC 5424, or Splunk's and Elastic's exports
    /// of these; plain, gzip or zstd; `-` reads standard input
    #[arg(value_name = "FILE", required = true)]
    pub exports: Vec<PathBuf>,
    /// How to reach the log, where it is a URL.
    #[command(flatten)]
    pub network: NetworkArguments,
    /// The keys, as a file.
    #[command(flatten)]
    pub trust: TrustArguments,
    /// First leaf index that the SIEM should hold, such as where its retention begins
    #[arg(long, value_name = "INDEX", default_value_t = 0)]
    pub from: u64,
    /// Last leaf index that it should hold; without it the log's last
    #[arg(long, value_name = "INDEX")]
    pub to: Option<u64>,
}
