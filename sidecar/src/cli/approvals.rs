//! The command line of approvals, as types only.

use std::path::PathBuf;

use clap::Subcommand;

/// `approvals ...`
#[derive(Debug, Subcommand)]
pub enum ApprovalsCommand {
    /// Say who must approve which changes, and which changes of the configuration wait for it. The sidecar may be running.
    ///
    /// Ends with 0 if nothing waits, 1 if something does.
    Status,
    /// Write a statement for each change of the configuration that needs approval, for the approvers to sign. The sidecar may be
    /// running.
    Propose {
        /// The folder to write them to; an existing file is left alone
        #[arg(long, short, value_name = "FOLDER")]
        output: PathBuf,
        /// How long they may be used, at most 31d
        #[arg(long, value_name = "TIME", default_value = "7d")]
        valid: String,
    },
}
