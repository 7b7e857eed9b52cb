//! `run`: built, recovered, served, until a signal or a successor ends it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::load;
use crate::app::{App, Running};
use crate::bypass::Bypass;
use crate::cli::upkeep::RunArguments;
use crate::config::{Config, Inputs};
use crate::handover::{self, Doorway, Entered, Entrance, HandoverError, Predecessor, Sockets, Successor};
use crate::hardening::{self, Report};
use crate::notify;
use crate::stop::Stop;
use crate::telemetry::LogLines;

/// What the sidecar that is taken over from may take beyond its deadline to write its last entries and close its files; and a successor
/// that failed, to close its own.
const CLOSING: Duration = Duration::from_secs(60);

/// Gives up what the configuration does not need while there is one thread, then serves on many.
///
/// # Errors
/// Why it does not serve, or did not end in order.
pub fn serve(inputs: &Inputs, arguments: RunArguments, lines: &LogLines) -> Result<()> {
    let config = load(inputs)?;
    let bypass = Arc::new(config.upstream.bypass());
    let entrance = Entrance::find(config.server.handover.as_deref(), arguments.take_over)?;
    let report = hardening::apply(&config)?;
    report.tell();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let program = async {
        let stop = Stop::new().context("signals cannot be listened for")?;
        let entered = entrance.enter(config.log.origin.as_str()).await?;
        Program { config: &config, bypass, report, lines, stop }.run(entered).await
    };
    runtime.context("the runtime cannot be started")?.block_on(program)
}

struct Program<'a> {
    config: &'a Config,
    bypass: Arc<Bypass>,
    report: Report,
    lines: &'a LogLines,
    stop: Stop,
}

/// What ends service.
enum End {
    Signal(&'static str),
    Successor(Successor),
}

/// Who had the log before it is opened.
enum Before {
    /// Nobody who is known.
    Nobody,
    /// The sidecar that is taken over from.
    Predecessor(Predecessor),
    /// A successor that did not come into service. What it began to open it may still hold for a while.
    Failed,
}

impl Program<'_> {
    async fn run(mut self, entered: Entered) -> Result<()> {
        let Entered { doorway, predecessor, sockets } = entered;
        let mut before = predecessor.map_or(Before::Nobody, Before::Predecessor);
        loop {
            let Some(running) = self.start(&sockets, &before).await? else { return Ok(()) };
            sockets.close_unwanted();
            if let Before::Predecessor(predecessor) = std::mem::replace(&mut before, Before::Failed) {
                predecessor.relieve().await;
            }
            notify::ready();
            match self.end(doorway.as_ref(), &sockets).await {
                End::Signal(name) => {
                    // Whoever connects from now on is to be told, and not to wait.
                    drop(sockets);
                    return self.drain(running, name).await;
                }
                End::Successor(successor) => {
                    if self.hand_over(running, successor).await {
                        tracing::info!("stopped: a successor serves");
                        return Ok(());
                    }
                    tracing::error!(
                        "the successor did not come into service; its log lines say why. This sidecar goes on"
                    );
                }
            }
        }
    }

    /// Builds, recovers and serves; nothing if a signal came first.
    async fn start(&mut self, sockets: &Sockets, before: &Before) -> Result<Option<Running>> {
        let (store, patience) = (&self.config.log.store, self.config.server.drain_deadline + CLOSING);
        let free = async {
            match before {
                Before::Nobody => {}
                Before::Predecessor(predecessor) => {
                    tracing::info!("ready to take over; the sidecar that runs finishes what it has");
                    predecessor.released(store, patience).await?;
                }
                Before::Failed => handover::unlocked(store, CLOSING).await,
            }
            Ok::<_, HandoverError>(())
        };
        let started = async {
            let app = App::build_with(self.config.clone(), Arc::clone(&self.bypass), sockets, free).await?;
            app.hardened(self.report.clone());
            app.export_lines(self.lines);
            tracing::info!("ports are bound, the log is being recovered");
            let recovered = app.recover().await?;
            tracing::info!(
                entries = recovered.report().size.get(),
                replayed = recovered.report().entries_replayed,
                torn_bytes = recovered.report().torn_bytes,
                "the log is recovered"
            );
            Ok::<_, anyhow::Error>(recovered.spawn()?)
        };
        let running = tokio::select! {
            running = started => running?,
            name = self.stop.signal() => {
                tracing::info!(signal = name, "stopped before the log was recovered");
                return Ok(None);
            }
        };
        tracing::info!(grpc = %running.grpc_addr, http = %running.http_addr, admin = %running.admin_addr, "serving");
        Ok(Some(running))
    }

    /// Waits for what ends service.
    async fn end(&mut self, doorway: Option<&Doorway>, sockets: &Sockets) -> End {
        let successor = async {
            match doorway {
                Some(doorway) => doorway.successor(sockets).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            name = self.stop.signal() => End::Signal(name),
            successor = successor => End::Successor(successor),
        }
    }

    async fn drain(&mut self, running: Running, name: &'static str) -> Result<()> {
        tracing::info!(signal = name, "draining");
        notify::stopping();
        tokio::select! {
            drained = running.drain(self.config.server.drain_deadline) => drained?,
            name = self.stop.signal() => bail!("a second signal ({name}) came before everything was drained"),
        }
        tracing::info!("stopped");
        Ok(())
    }

    /// Lets go of the log for `successor`; says whether that serves.
    async fn hand_over(&mut self, running: Running, successor: Successor) -> bool {
        tracing::info!("a successor is ready; handing over");
        let (ended, telemetry) = running.hand_over(self.config.server.drain_deadline).await;
        if let Err(error) = ended {
            tracing::error!(%error, code = %error.code(), "the session did not end in order; the next one recovers the log");
        }
        let is_over = tokio::select! {
            serves = successor.serves() => serves,
            name = self.stop.signal() => {
                tracing::info!(signal = name, "stopped while a successor recovers the log");
                true
            }
        };
        if is_over {
            // Only a defect ends it in another way than by its deadline.
            _ = telemetry.await;
        }
        is_over
    }
}
