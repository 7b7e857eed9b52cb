//! The sidecar: flags, telemetry, crypto provider, configuration, hardening, build, recover, serve, signal, drain.

use std::io;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Parser as _;
use ledgerstone_sidecar::app::App;
use ledgerstone_sidecar::bypass::Bypass;
use ledgerstone_sidecar::cli::{Cli, Command};
use ledgerstone_sidecar::config::{Config, ConfigError, Inputs};
use ledgerstone_sidecar::hardening::{self, HardeningError, Report};
use ledgerstone_sidecar::stop::Stop;
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
            let is_usage = error.is::<ConfigError>() || error.is::<HardeningError>();
            ExitCode::from(if is_usage { USAGE } else { 1 })
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

/// Gives up what the configuration does not need while there is one thread, then serves on many.
fn serve(inputs: &Inputs) -> Result<()> {
    let config = commands::load(inputs)?;
    let bypass = config.upstream.bypass();
    let report = hardening::apply(&config)?;
    report.tell();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.context("the runtime cannot be started")?.block_on(run_until_stopped(config, bypass, report))
}

async fn run_until_stopped(config: Config, bypass: Bypass, report: Report) -> Result<()> {
    let drain_deadline = config.server.drain_deadline;
    let mut stop = Stop::new().context("signals cannot be listened for")?;
    let app = App::build_with(config, bypass).await?;
    app.hardened(report);
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
