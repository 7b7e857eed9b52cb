//! `run` and `restore`.

use std::path::PathBuf;

use clap::Args;

/// Arguments of `run`.
#[derive(Clone, Copy, Debug, Args)]
pub struct RunArguments {
    /// Take over from the sidecar that answers at `server.handover`: its sockets, then its log. It serves until this one can.
    ///
    /// Starts as usual where none answers.
    #[arg(long)]
    pub take_over: bool,
}

/// Arguments of `restore`.
#[derive(Clone, Debug, Args)]
pub struct RestoreArguments {
    /// The folder that `backup` wrote to; log.store must not exist, or be empty
    #[arg(value_name = "FOLDER")]
    pub from: Option<PathBuf>,
    /// A checkpoint of this log that somebody outside keeps: refuse if it is ahead of the restored store; may be repeated
    #[arg(long, value_name = "CHECKPOINT", conflicts_with_all = ["from", "nobody_has_a_copy"])]
    pub confirm: Vec<PathBuf>,
    /// Nobody outside has a checkpoint of this log: no witness, no mirror, no auditor, nobody with a receipt
    #[arg(long, conflicts_with = "from")]
    pub nobody_has_a_copy: bool,
}
