//! `gate ...`, as types only.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `gate ...`
#[derive(Debug, Subcommand)]
pub enum GateCommand {
    /// Compile the rules of the routes and print them with the digest that the log names them by; evaluate them over a decision.
    ///
    /// Ends with 0 if every rule compiles and lets the decision pass, or gives what the record says; 1 if the decision is refused,
    /// or the record says something else; 2 if the record was made under other rules.
    Check(GateCheckArguments),
}

/// Arguments of `gate check`.
#[derive(Debug, Args)]
pub struct GateCheckArguments {
    /// Only this route
    #[arg(long, value_name = "NAME")]
    pub route: Option<String>,
    /// A decision as JSON: fields by their paths, or what `record open` prints
    #[arg(long, value_name = "FILE")]
    pub input: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
