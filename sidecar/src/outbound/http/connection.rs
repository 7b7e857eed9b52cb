//! One HTTP/1.1 connection, and those that wait for the next question.
//!
//! Guarantees: a connection is driven only while a question is asked, so nothing runs in between; it is kept only after a
//! complete answer, for [`IDLE_MAX`] at most, one for each place, [`PLACES_MAX`] places. An exchange that is given up
//! takes its connection with it, so no late answer can meet another question.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::RETRY_AFTER;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::{Address, Answer, HttpFault, Question, request};

/// How long a connection waits for the next question. Nodes are asked every 12 seconds, and servers wait for 60 to 75.
const IDLE_MAX: Duration = Duration::from_secs(50);

/// Places with a connection that waits: eight endpoints and a beacon node, and as many after a change.
const PLACES_MAX: usize = 18;

pub(super) struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    /// Moves the bytes; ends when the connection does.
    driver: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// Nothing of an answer is left to be read.
    is_clean: bool,
}

impl Connection {
    /// A connection over an open stream.
    pub(super) async fn over(
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    ) -> Result<Self, HttpFault> {
        let (sender, driver) = http1::handshake(TokioIo::new(stream)).await.map_err(|_| HttpFault::Closed)?;
        // An error of the connection is an error of the answer.
        let driver = Box::pin(async { _ = driver.await });
        Ok(Self { sender, driver, is_clean: true })
    }

    /// Asks and reads the answer.
    pub(super) async fn ask(&mut self, question: &Question) -> Result<Answer, HttpFault> {
        self.is_clean = false;
        let request = request(question).ok_or(HttpFault::Closed)?;
        let closed = |_| HttpFault::Closed;
        let (sender, max) = (&mut self.sender, question.answer_bytes_max);
        let answer = async {
            sender.ready().await.map_err(closed)?;
            let answer = sender.send_request(request).await.map_err(closed)?;
            let status = answer.status();
            let seconds =
                answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
            let body = Limited::new(answer.into_body(), max).collect().await;
            let body = body.map_err(|error| match error.is::<LengthLimitError>() {
                true => HttpFault::TooLarge { max },
                false => HttpFault::Closed,
            })?;
            Ok(Answer { status, retry_after: seconds.map(Duration::from_secs), body: body.to_bytes() })
        };
        let driver = &mut self.driver;
        // The last bytes of an answer and the end of the connection may come as one.
        let driven = async {
            driver.await;
            std::future::pending::<()>().await;
        };
        let answer = tokio::select! {
            biased;
            answer = answer => answer?,
            () = driven => return Err(HttpFault::Closed),
        };
        self.is_clean = true;
        Ok(answer)
    }
}

/// Host, port, and whether it is TLS.
type Place = (String, u16, bool);

/// Connections that wait, each with when it began to.
#[derive(Clone, Default)]
pub(super) struct Kept(Arc<Mutex<BTreeMap<Place, (Instant, Connection)>>>);

impl Kept {
    /// The connection that waits for a question to `address`.
    pub(super) fn take(&self, address: &Address) -> Option<Connection> {
        let (since, connection) = self.places().remove(&place(address))?;
        (since.elapsed() < IDLE_MAX).then_some(connection)
    }

    /// Keeps a connection unless it is of no further use.
    pub(super) fn keep(&self, address: &Address, connection: Connection) {
        let mut places = self.places();
        places.retain(|_, (since, _)| since.elapsed() < IDLE_MAX);
        let is_useful = connection.is_clean && !connection.sender.is_closed();
        if is_useful && places.len() < PLACES_MAX {
            places.insert(place(address), (Instant::now(), connection));
        }
    }

    fn places(&self) -> MutexGuard<'_, BTreeMap<Place, (Instant, Connection)>> {
        // Every method leaves it whole, so a panic elsewhere does not spoil it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn place(address: &Address) -> Place {
    (address.host.clone(), address.port, address.is_tls)
}

#[cfg(test)]
mod tests;
