//! Export to SIEMs: what the log and the sidecar have to tell, at every configured sink at least once.
//!
//! Guarantees: every sink is followed by a task of its own, so one that is down, slow or wrong holds up neither another nor a decision;
//! memory is one batch a sink; where a sink is, only its cursor says, and that is written behind what it accepted. Nothing personal
//! leaves (INV-8): an event is a projection of a public entry, or of an alert made of names, ids, digests and counts.
//! Does not do: saying that a receiver has indexed what it accepted; `ledgerstone siem reconcile` holds its copy against the log.
//!
//! | part | what it decides |
//! | --- | --- |
//! | `follower` | what is sent and when, what follows a failure |
//! | `cursor` | where a sink goes on after a restart, and whether that fits the log |
//! | `alerts` | what stands in no entry |
//! | [`Sink`] and its kinds | how something is sent, and when it counts as accepted |

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use ledgerstone::code::Code;
use ledgerstone::note::KeyName;
use ledgerstone::siem::{Alert, Event, Log};
use ledgerstone::store::fs::StdDisk;
use opentelemetry::KeyValue;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use self::batch::Source;
use self::follower::Follower;
use self::render::Renderer;
use crate::config::Config;
use crate::config::siem::{SinkConfig, SinkName, Target};
use crate::driver::{Clock, system_clock};
use crate::metrics::Metrics;
use crate::reader::LogReader;

mod alerts;
mod backoff;
mod batch;
pub mod cursor;
mod dial;
mod file;
mod follower;
mod hec;
pub mod kafka;
mod modes;
pub mod nats;
pub mod otlp;
mod refused;
mod render;
mod sink;
mod standing;
mod syslog;
mod webhook;

pub use self::alerts::{Alerts, Kept};
pub(crate) use self::modes::Modes;
pub use self::sink::{Rendered, Said, Sink, SinkError, SinkFault};
pub use self::standing::{Shown, Standing, State};

/// How long sinks get for what is left when the sidecar stops. What they do not accept then, they get at the next start.
const CLOSE: Duration = Duration::from_secs(2);

/// The export of one sidecar.
pub struct Export {
    alerts: Arc<Alerts>,
    standings: Vec<Arc<Standing>>,
    /// Until they are followed.
    sinks: Mutex<Vec<(SinkConfig, Box<dyn Sink>)>>,
    disk: StdDisk,
    origin: KeyName,
    clock: Clock,
    log: OnceLock<LogReader>,
}

/// The followers of an export.
#[derive(Debug)]
pub struct Followers {
    closing: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
    alerts: JoinHandle<()>,
    journal: Arc<Alerts>,
}

impl Export {
    /// The export that `config` says, to sinks that nothing is sent to yet.
    ///
    /// # Errors
    /// [`ExportError`] if what a sink needs cannot be used.
    pub fn build(config: &Config) -> Result<Arc<Self>, ExportError> {
        let clock: Clock = Arc::new(system_clock);
        let sinks = config.siem.iter().map(|sink| {
            let built = sink_of(sink, &clock);
            let built = built.map_err(|fault| ExportError { sink: sink.name.clone(), fault })?;
            Ok((sink.clone(), built))
        });
        let sinks: Vec<_> = sinks.collect::<Result<_, _>>()?;
        let standing = |(sink, _): &(SinkConfig, _)| Standing::new(sink.name.clone(), sink.target.kind());
        Ok(Arc::new(Self {
            alerts: Alerts::open(&config.log.store, config.writer.clone(), Arc::clone(&clock)),
            standings: sinks.iter().map(standing).collect(),
            sinks: Mutex::new(sinks),
            disk: StdDisk::new(&config.log.store),
            origin: config.log.origin.clone(),
            clock,
            log: OnceLock::new(),
        }))
    }

    /// What the sidecar itself has to tell.
    #[must_use]
    pub const fn alerts(&self) -> &Arc<Alerts> {
        &self.alerts
    }

    /// Follows `log` for every sink, from where its cursor stands.
    #[must_use]
    pub fn follow(&self, log: &LogReader) -> Followers {
        // Set once, by the one caller that builds the application.
        _ = self.log.set(log.clone());
        self.alerts.follow(log.clone());
        let (closing, closes) = watch::channel(false);
        let sinks = std::mem::take(&mut *self.sinks.lock().unwrap_or_else(PoisonError::into_inner));
        let tasks = sinks.into_iter().zip(&self.standings).map(|((config, sink), standing)| {
            let source = Source {
                about: Log::new(&self.origin),
                log: log.clone(),
                alerts: Arc::clone(&self.alerts),
                exported: config.export,
                renderer: Renderer::of(&config),
            };
            let follower = Follower {
                config,
                sink,
                disk: self.disk.clone(),
                source,
                standing: Arc::clone(standing),
                clock: Arc::clone(&self.clock),
                closing: closes.clone(),
            };
            tokio::spawn(follower.run())
        });
        let tasks = tasks.collect();
        let alerts = tokio::spawn(Arc::clone(&self.alerts).keep());
        Followers { closing, tasks, alerts, journal: Arc::clone(&self.alerts) }
    }

    /// The same, and tells of each route in `modes` that recorded under a stronger promise when the sidecar last started.
    #[must_use]
    pub(crate) fn follow_with(&self, log: &LogReader, modes: Modes) -> Followers {
        let mut followers = self.follow(log);
        let told = modes::tell(self.disk.clone(), Arc::clone(&self.alerts), modes);
        followers.tasks.push(tokio::spawn(told));
        followers
    }

    /// How each sink stands.
    #[must_use]
    pub fn shown(&self) -> Vec<Shown> {
        let (now, published) = ((self.clock)(), self.log.get().map_or(0, |log| log.published().size.get()));
        self.standings.iter().map(|standing| standing.shown(now, published)).collect()
    }

    /// How each sink stands, as JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        let sinks = serde_json::json!({ "sinks": self.shown(), "alerts_held_back": self.alerts.held_back() });
        format!("{sinks:#}\n")
    }

    /// Adds what is measured of the export.
    pub(crate) fn measure(self: &Arc<Self>, metrics: &Metrics) {
        let alerts = Arc::downgrade(&self.alerts);
        metrics.counted_series("ledgerstone_alerts_held_back", HELD_BACK, move || {
            alerts.upgrade().map(|alerts| (Vec::new(), alerts.held_back())).into_iter().collect()
        });
        if self.standings.is_empty() {
            return;
        }
        let series = |export: &Arc<Self>, read: Read| {
            // Weak, because the metrics outlive the sidecar wherever somebody still holds them.
            let export = Arc::downgrade(export);
            move || {
                let shown = export.upgrade().map(|export| export.shown()).unwrap_or_default();
                let value = |shown: &Shown| (vec![KeyValue::new("sink", shown.sink.clone())], read(shown));
                shown.iter().map(value).collect()
            }
        };
        let counters: [(_, _, Read); 3] = [
            ("ledgerstone_siem_delivered", DELIVERED, |shown| shown.delivered),
            ("ledgerstone_siem_retries", RETRIES, |shown| shown.retries),
            ("ledgerstone_siem_alerts_missed", MISSED, |shown| shown.alerts_missed),
        ];
        for (name, what, read) in counters {
            metrics.counted_series(name, what, series(self, read));
        }
        let gauges: [(_, _, Read); 4] = [
            ("ledgerstone_siem_next_leaf_index", NEXT, |shown| shown.next_leaf_index),
            ("ledgerstone_siem_lag_events", LAG_EVENTS, |shown| shown.lag_events),
            ("ledgerstone_siem_lag_seconds", LAG_SECONDS, |shown| shown.lag_seconds),
            ("ledgerstone_siem_refused", REFUSED, |shown| u64::from(shown.state == State::Refused)),
        ];
        for (name, what, read) in gauges {
            metrics.series(name, what, series(self, read));
        }
    }
}

/// What a metric takes of a sink's standing.
type Read = fn(&Shown) -> u64;

const HELD_BACK: &str = "Alerts that were not told because the same was told a short time ago";
const DELIVERED: &str = "Events that the sink accepted";
const RETRIES: &str = "Attempts at the sink that failed";
const MISSED: &str = "Alerts that the sink never got because too many waited for it";
const NEXT: &str = "The leaf index that the sink is owed next";
const LAG_EVENTS: &str = "Published entries that the sink has not accepted";
const LAG_SECONDS: &str = "How long the oldest event that the sink has not accepted waits, in seconds";
const REFUSED: &str = "1 while the sink gets nothing because its cursor does not fit the log";

impl Followers {
    /// Sends what is there, for at most `CLOSE`, and ends. To be called once nothing more is published.
    pub async fn close(mut self) {
        self.closing.send_replace(true);
        let until = Instant::now() + CLOSE;
        for task in &mut self.tasks {
            // One that panicked has ended too. Of the others nothing is left that holds a cursor, whoever comes next.
            if timeout_at(until, &mut *task).await.is_err() {
                task.abort();
                _ = task.await;
            }
        }
        self.alerts.abort();
        self.journal.write().await;
    }
}

impl fmt::Debug for Export {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Export").field("sinks", &self.standings.len()).finish_non_exhaustive()
    }
}

/// The sink that `config` says.
///
/// # Errors
/// [`SinkFault::Setting`] if what it needs cannot be used.
pub fn sink_of(config: &SinkConfig, clock: &Clock) -> Result<Box<dyn Sink>, SinkFault> {
    Ok(match &config.target {
        Target::Syslog(syslog) => Box::new(syslog::SyslogSink::new(syslog, config.timeout)?),
        Target::File(file) => Box::new(file::FileSink::new(file.clone())),
        Target::Webhook(webhook) => Box::new(webhook::WebhookSink::new(webhook, config, Arc::clone(clock))?),
        Target::Hec(hec) => Box::new(hec::Hec::new(hec, config)?),
        Target::Otlp(otlp) => Box::new(otlp::Otlp::new(otlp, config)?),
        Target::Kafka(kafka) => Box::new(kafka::Kafka::new(kafka, config)?),
        Target::Nats(nats) => Box::new(nats::Nats::new(nats)?),
    })
}

/// An alert as a sink gets it.
#[must_use]
pub fn rendered(config: &Config, sink: &SinkConfig, alert: &Alert) -> Rendered {
    Renderer::of(sink).render(Event::of_alert(&Log::new(&config.log.origin), alert))
}

/// Why there is no export.
#[derive(Debug, thiserror::Error)]
#[error("siem {sink:?}: {fault}", sink = .sink.as_str())]
pub struct ExportError {
    /// The sink.
    pub sink: SinkName,
    /// What is wrong.
    #[source]
    pub fault: SinkFault,
}

impl ExportError {
    /// What the operator must do about it.
    #[must_use]
    pub const fn code(&self) -> Code {
        self.fault.code()
    }
}

#[cfg(test)]
mod tests;
