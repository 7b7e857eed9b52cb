//! `siem ...`, as types only.

use clap::Subcommand;

/// `siem ...`
#[derive(Debug, Subcommand)]
pub enum SiemCommand {
    /// Print where each sink is, as its cursor says. The sidecar may be running.
    Status,
    /// Have a sink go on from another place. The sidecar may be running if the sink gets nothing; it goes on within `retry_max`.
    Reset {
        /// The sink
        name: String,
        /// The next leaf index that it gets; or beginning; or end: behind everything that is published now, and alerts that wait
        #[arg(long, value_name = "PLACE")]
        to: String,
    },
    /// Send one event to a sink, marked as a test, and say what became of it. The cursor stays where it is.
    Test {
        /// The sink
        name: String,
    },
}
