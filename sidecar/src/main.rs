//! The sidecar: flags, telemetry, crypto provider, configuration, build, recover, serve, signal, drain.

use std::io;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Parser as _;
use ledgerstone_sidecar::app::App;
use ledgerstone_sidecar::cli::{Cli, Command};
use ledgerstone_sidecar::config::{ConfigError, Inputs};
use ledgerstone_sidecar::stop::Stop;
use ledgerstone_sidecar::{commands, telemetry, tls};

/// Exit status for a command line or a configuration that makes no sense (`sysexits.h`, EX_USAGE).
const USAGE: u8 = 64;

fn main() -> ExitCode {
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
            ExitCode::from(if error.is::<ConfigError>() { USAGE } else { 1 })
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode> {
    telemetry::init(cli.log_format, &cli.log_filter)?;
    tls::install_crypto_provider();
    let inputs = cli.settings.inputs();
    let mut out = commands::Output::new(io::stdout().lock());
    match cli.command {
        Command::Run => serve(&inputs).map(|()| ExitCode::SUCCESS),
        Command::Injector(arguments) => commands::injector::serve(arguments).map(|()| ExitCode::SUCCESS),
        command => commands::run(command, &inputs, &mut out),
    }
}

#[tokio::main]
async fn serve(inputs: &Inputs) -> Result<()> {
    let config = commands::load(inputs)?;
    let drain_deadline = config.server.drain_deadline;
    let mut stop = Stop::new().context("signals cannot be listened for")?;
    let app = App::build(config).await?;
    tracing::info!("ports are bound, the log is being recovered");

    let recovered = tokio::select! {
        recovered = app.recover() => recovered?,
        name = stop.signal() => {
            tracing::info!(signal = name, "stopped before the log was recovered");
            return Ok(());
        }
    };
    tracing::info!(
        entries = recovered.report().size.get(),
        replayed = recovered.report().entries_replayed,
        torn_bytes = recovered.report().torn_bytes,
        "the log is recovered"
    );

    let running = recovered.spawn()?;
    tracing::info!(
        grpc = %running.grpc_addr,
        http = %running.http_addr,
        admin = %running.admin_addr,
        "serving"
    );

    let name = stop.signal().await;
    tracing::info!(signal = name, "draining");
    tokio::select! {
        drained = running.drain(drain_deadline) => drained?,
        name = stop.signal() => anyhow::bail!("a second signal ({name}) came before everything was drained"),
    }
    tracing::info!("stopped");
    Ok(())
}
