//! Telling that the sidecar refuses to start: before it ends, and once more when it starts again.
//!
//! Guarantees: what is told is in the store first, so that sinks that do not take it now get it later; the attempt takes at most
//! [`LIMIT`]. Does not do: telling of errors that are no sign of tampering, such as a port that is taken.

use std::time::Duration;

use ledgerstone::code::Code;
use ledgerstone::siem::{Event, Fact, Log};
use ledgerstone::store::fs;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::render::Renderer;
use super::sink::Sink;
use super::{Export, PoisonError, SinkConfig};
use crate::anchor::GuardError;
use crate::app::RecoverError;
use crate::driver::OpenError;

/// How long all sinks together get before the sidecar ends.
const LIMIT: Duration = Duration::from_secs(5);

impl Export {
    /// Tells why the sidecar does not start, if that is anything to be told.
    pub(crate) async fn refused(&self, error: &RecoverError) {
        let Some(fact) = fact(error) else { return };
        self.alerts.raise(fact.clone());
        std::sync::Arc::clone(&self.alerts).write().await;
        let Some(alert) =
            self.alerts.newest(super::alerts::KEPT_MAX).into_iter().find(|alert| alert.fact == fact)
        else {
            return;
        };
        let event = Event::of_alert(&Log::new(&self.origin), &alert);
        let sinks = std::mem::take(&mut *self.sinks.lock().unwrap_or_else(PoisonError::into_inner));
        let mut told: JoinSet<()> =
            sinks.into_iter().map(|(config, sink)| tell(config, sink, event.clone())).collect();
        // One that panicked has ended too, and the others go on.
        _ = timeout(LIMIT, async { while told.join_next().await.is_some() {} }).await;
    }
}

async fn tell(config: SinkConfig, mut sink: Box<dyn Sink>, event: Event) {
    let batch = [Renderer::of(&config).render(event)];
    let told = match sink.deliver(&batch).await {
        Ok(()) => sink.confirm().await,
        Err(error) => Err(error),
    };
    match told {
        Ok(()) => tracing::info!(sink = %config.name, "the sink was told why the sidecar does not start"),
        Err(error) => {
            tracing::warn!(sink = %config.name, %error, "the sink could not be told why the sidecar does not start");
        }
    }
}

/// What an error at the start tells, if anything.
fn fact(error: &RecoverError) -> Option<Fact> {
    let rollback =
        |outside_size, source: &str| Some(Fact::RollbackRefused { outside_size, source: source.to_owned() });
    match error {
        RecoverError::Guard(GuardError::Behind { lane, anchored, .. }) => {
            rollback(*anchored, &format!("anchor lane {lane}"))
        }
        RecoverError::Open(OpenError::Store(fs::OpenError::JournalBehind { published, .. })) => {
            rollback(*published, "the published checkpoint")
        }
        RecoverError::Open(OpenError::Store(fs::OpenError::Fork { size, published, .. })) => {
            let source = "the published checkpoint".to_owned();
            Some(Fact::SplitView { other_size: *size, other_root: *published, source })
        }
        error => {
            let is_log =
                matches!(error, RecoverError::Open(_) | RecoverError::Read(_) | RecoverError::Guard(_));
            // Of the log alone is it a sign of tampering that something cannot be read.
            let is_sign = match error.code() {
                Code::Inconsistent | Code::Untrusted => true,
                Code::Malformed => is_log,
                _ => false,
            };
            is_sign.then(|| Fact::Tamper { check: None, detail: error.to_string() })
        }
    }
}
