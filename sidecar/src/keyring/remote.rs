//! Asking a service that holds keys: off the threads that serve, bounded in time, in number and in tries.
//!
//! Guarantees: a call ends within the limit of its [`Remote`]; at most [`IN_FLIGHT_MAX`] exchanges run at once; a call
//! that may succeed when it is made again is made at most [`ATTEMPTS_MAX`] times, each after a longer pause of random
//! length; what was sent and received is wiped where this program owns it. All calls may be made twice: they change
//! nothing at the service.

use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::{Handle, Runtime, RuntimeFlavor};
use tokio::sync::Semaphore;
use zeroize::{Zeroize as _, Zeroizing};

use super::Fault;
use crate::outbound::http::{Answer, Client, HttpFault, Question};

/// Exchanges at once, each on a connection of its own that is kept.
pub const IN_FLIGHT_MAX: usize = 16;

/// How often a call is made at most.
pub const ATTEMPTS_MAX: u32 = 4;

/// The longest first pause; each further one may be twice as long: 100, 200, 400 ms.
const PAUSE_FIRST: Duration = Duration::from_millis(100);

/// Time beyond the limit that the threads get to say that it passed.
const GRACE: Duration = Duration::from_secs(1);

/// Bytes of an answer. The largest that a key service gives about one key is a token of a role, 4 kB.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// A number below the given one, drawn at random: spreads the tries of many sidecars over time.
pub type Jitter = Arc<dyn Fn(u64) -> u64 + Send + Sync>;

/// Draws from the operating system.
#[must_use]
pub fn random_jitter() -> Jitter {
    Arc::new(|below| {
        let mut bytes = [0; 8];
        // Without randomness every pause is the longest, which is safe.
        match getrandom::fill(&mut bytes) {
            Ok(()) => u64::from_le_bytes(bytes) % below.max(1),
            Err(_) => below.saturating_sub(1),
        }
    })
}

/// A call of a service.
pub trait Call: Send + Sync {
    /// What is asked. It is made anew for each try, because a token or a signature may be another by then.
    fn question(&self) -> impl Future<Output = Result<Question, Fault>> + Send;
}

/// Asks one service.
pub struct Remote {
    runtime: Option<Runtime>,
    asking: Asking,
    limit: Duration,
}

/// What a call asks with. Clones stand for the same clients.
#[derive(Clone)]
pub struct Asking {
    gate: Arc<Semaphore>,
    /// Clients that nobody asks with now, each with its connection.
    idle: Arc<Mutex<Vec<Client>>>,
    client: Client,
    jitter: Jitter,
}

impl Remote {
    /// Asks with `client`, each call within `limit`.
    ///
    /// # Errors
    /// If the operating system gives no thread.
    pub fn new(client: Client, limit: Duration, jitter: Jitter) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(2)
            .thread_name("key-provider")
            .enable_all()
            .build()?;
        let asking =
            Asking { gate: Arc::new(Semaphore::new(IN_FLIGHT_MAX)), idle: Arc::default(), client, jitter };
        Ok(Self { runtime: Some(runtime), asking, limit })
    }

    /// What calls ask with.
    #[must_use]
    pub fn asking(&self) -> Asking {
        self.asking.clone()
    }

    /// Runs one call to its end.
    ///
    /// # Errors
    /// What the call ended with, or [`Fault::TimedOut`].
    pub fn run<T: Send + 'static>(
        &self,
        call: impl Future<Output = Result<T, Fault>> + Send + 'static,
    ) -> Result<T, Fault> {
        let (limit, runtime) = (self.limit, self.runtime.as_ref().ok_or(Fault::Defect)?);
        let (sender, receiver) = sync_channel(1);
        runtime.spawn(async move {
            let ended = tokio::time::timeout(limit, call).await;
            // Nobody waits any more: the call was given up.
            _ = sender.send(ended.unwrap_or(Err(Fault::TimedOut { limit })));
        });
        waiting(|| receiver.recv_timeout(limit + GRACE)).unwrap_or_else(|error| match error {
            RecvTimeoutError::Timeout => Err(Fault::TimedOut { limit }),
            RecvTimeoutError::Disconnected => Err(Fault::Defect),
        })
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        // Dropping it would wait, which a thread that serves must not.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Remote").field("limit", &self.limit).finish_non_exhaustive()
    }
}

impl Asking {
    /// Makes `call` until `read` takes the answer or finds it final.
    ///
    /// # Errors
    /// The last fault.
    pub async fn ask<T>(
        &self,
        call: &impl Call,
        read: impl Fn(&Answer) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let mut attempt = 0;
        loop {
            let question = call.question().await?;
            let fault = match self.exchange(question).await {
                Ok(answer) => match read(&answer) {
                    Ok(value) => {
                        wipe(answer.body);
                        return Ok(value);
                    }
                    Err(fault) => fault,
                },
                Err(fault) => Fault::Http(fault),
            };
            attempt += 1;
            if attempt >= ATTEMPTS_MAX || !is_passing(&fault) {
                return Err(fault);
            }
            let longest = PAUSE_FIRST * 2_u32.pow(attempt - 1);
            let below = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX);
            tokio::time::sleep(Duration::from_millis((self.jitter)(below).min(below))).await;
        }
    }

    async fn exchange(&self, question: Question) -> Result<Answer, HttpFault> {
        // Nobody closes the gate.
        let _place = self.gate.acquire().await.map_err(|_| HttpFault::Closed)?;
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let client = idle().pop().unwrap_or_else(|| self.client.clone().keeping_connections());
        let answer = client.answer(question).await;
        idle().push(client);
        answer
    }
}

/// Whether the same call may succeed soon.
fn is_passing(fault: &Fault) -> bool {
    match fault {
        Fault::Throttled { .. } | Fault::Failed { .. } => true,
        Fault::Http(fault) => matches!(fault, HttpFault::Unreachable { .. } | HttpFault::Closed),
        _ => false,
    }
}

/// A body that is wiped once it was sent.
#[must_use]
pub fn wiped_body(text: String) -> Bytes {
    Bytes::from_owner(Zeroizing::new(text.into_bytes()))
}

/// Wipes what came, unless somebody else still holds it.
fn wipe(body: Bytes) {
    if let Ok(mut bytes) = body.try_into_mut() {
        bytes.as_mut().zeroize();
    }
}

/// Runs `wait`, which blocks. On a thread that serves, other tasks move elsewhere first.
pub(crate) fn waiting<T>(wait: impl FnOnce() -> T) -> T {
    match Handle::try_current() {
        Ok(handle) if handle.runtime_flavor() == RuntimeFlavor::MultiThread => {
            tokio::task::block_in_place(wait)
        }
        _ => wait(),
    }
}
