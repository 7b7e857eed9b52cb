//! The end of an application: whoever has come through a door is answered, and what is left is accounted for.
//!
//! Guarantees: requests are admitted for as long as a connection that was accepted may bring one, so nobody is refused between the
//! word that the sidecar ends and the moment in which the caller hears it; what cannot finish by the deadline is answered
//! UNAVAILABLE and becomes a gap (INV-10); nothing of this application writes to the store once it has ended.
//! Does not do: waiting for those who only listen. A second without a request in flight ends their streams.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep, timeout_at};

use super::ports::{Served, Side};
use super::{CLOSE, DrainError, FLUSH, Running};
use crate::intercept::Session;
use crate::telemetry::Exporter;

/// Silence after which connections that are still open are taken to bring no further request.
const QUIET: Duration = Duration::from_secs(1);

/// Everything that answers callers.
struct Servers {
    grpc: JoinHandle<()>,
    sides: Vec<Side>,
    http: Served,
    links: Option<Served>,
}

impl Running {
    /// Says that it is not ready, takes no further connection, lets requests in flight finish for at most `deadline`, writes the stop
    /// entry, publishes everything and lets go of the store and the keyring.
    ///
    /// # Errors
    /// [`DrainError`] if the session ended without a stop entry or the log halted.
    pub async fn drain(self, deadline: Duration) -> Result<(), DrainError> {
        self.status.drain();
        let until = Instant::now() + deadline;
        let (ended, telemetry) = self.end(until).await;
        telemetry.finish(until.saturating_duration_since(Instant::now()).clamp(CLOSE, FLUSH)).await;
        ended
    }

    /// The same for a successor, which callers reach on the same sockets: there is nothing that is not ready. What telemetry has to send is
    /// sent meanwhile, because callers wait and a Collector may say nothing; wait for that before the process ends.
    ///
    /// # Errors
    /// As [`Running::drain`].
    pub async fn hand_over(self, deadline: Duration) -> (Result<(), DrainError>, JoinHandle<()>) {
        let (ended, telemetry) = self.end(Instant::now() + deadline).await;
        (ended, tokio::spawn(telemetry.finish(FLUSH)))
    }

    async fn end(self, until: Instant) -> (Result<(), DrainError>, Exporter) {
        self.ending.send_replace(true);
        let Self { session, log, index, background, lanes, followers, admin, erasures, telemetry, .. } = self;
        let sides = self.sides.into_iter().flatten().collect();
        let mut servers = Servers { grpc: self.grpc, sides, http: self.http, links: self.links };
        let finished = tokio::select! {
            () = servers.end() => true,
            () = quiet(&session) => false,
            () = tokio::time::sleep_until(until) => false,
        };
        let late = session.in_flight() > 0;
        let stopped = session.stop(until).await;
        if late && !finished {
            // They are told that they have no answer.
            _ = timeout_at(Instant::now() + CLOSE, servers.end()).await;
        }
        servers.abort().await;
        ended(lanes, CLOSE).await;
        ended(background, Duration::ZERO).await;
        let log = log.stop().await;
        tokio::join!(followers.close(), admin.stop());
        let ring = Arc::clone(erasures.ring());
        let closed = spawn_blocking(move || {
            index.close();
            ring.close()
        });
        if let Ok(Err(error)) = closed.await {
            tracing::error!(%error, code = %error.code(), "the keyring was not closed in order; copy its -wal file with it");
        }
        let ended = stopped.map_err(DrainError::Session).and_then(|()| log.map_err(DrainError::Log));
        (ended, telemetry)
    }
}

impl Servers {
    /// Returns once every connection is closed.
    async fn end(&mut self) {
        let Self { grpc, sides, http, links } = self;
        let sides = async {
            for side in sides {
                over(&mut side.server).await;
            }
        };
        let links = async {
            if let Some(links) = links {
                links.end().await;
            }
        };
        tokio::join!(over(grpc), sides, http.end(), links);
    }

    async fn abort(self) {
        let Self { grpc, sides, http, links } = self;
        grpc.abort();
        sides.iter().for_each(|side| side.server.abort());
        tokio::join!(http.stop(), async {
            if let Some(links) = links {
                links.stop().await;
            }
        });
    }
}

/// Returns once a task is over, also when that is asked again.
async fn over(task: &mut JoinHandle<()>) {
    if !task.is_finished() {
        // Only a defect ends it in another way.
        _ = task.await;
    }
}

/// Ends tasks, those that end by themselves within `patience` in their own way.
async fn ended(tasks: Vec<JoinHandle<()>>, patience: Duration) {
    let until = Instant::now() + patience;
    for mut task in tasks {
        if timeout_at(until, &mut task).await.is_err() {
            task.abort();
            _ = task.await;
        }
    }
}

/// Returns once no request was in flight at the beginning and the end of [`QUIET`].
async fn quiet(session: &Session) {
    loop {
        session.drained().await;
        sleep(QUIET).await;
        if session.in_flight() == 0 {
            return;
        }
    }
}
