//! The sidecar: flags, telemetry, crypto provider; then what the command line says, with an exit status.

use std::io;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser as _;
use ledgerstone::code::Code;
use ledgerstone_sidecar::cli::{Cli, Command};
use ledgerstone_sidecar::config::ConfigError;
use ledgerstone_sidecar::handover::HandoverError;
use ledgerstone_sidecar::hardening::{self, HardeningError};
use ledgerstone_sidecar::{commands, telemetry, tls};

/// Exit status for a command line or a configuration that makes no sense (`sysexits.h`, EX_USAGE).
const USAGE: u8 = 64;

fn main() -> ExitCode {
    // Told by `run`; for the other commands it is done as far as it can be.
    _ = hardening::begin();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Nothing is left to tell if not even this can be printed.
            _ = error.print();
            return if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS };
        }
    };
    match run(cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("ledgerstone-sidecar: {}", telemetry::with_causes(error.as_ref()));
            let handover = error.downcast_ref::<HandoverError>().map(HandoverError::code);
            let is_usage =
                error.is::<ConfigError>() || error.is::<HardeningError>() || handover == Some(Code::Misuse);
            ExitCode::from(if is_usage { USAGE } else { 1 })
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode> {
    let lines = telemetry::init(cli.log_format, &cli.log_filter)?;
    tls::install_crypto_provider();
    let inputs = cli.settings.inputs();
    let mut out = commands::Output::new(io::stdout().lock());
    match cli.command {
        Command::Run(arguments) => commands::serve(&inputs, arguments, &lines).map(|()| ExitCode::SUCCESS),
        Command::Injector(arguments) => commands::injector::serve(arguments).map(|()| ExitCode::SUCCESS),
        command => commands::run(command, &inputs, &mut out),
    }
}
