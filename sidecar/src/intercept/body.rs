//! The two bodies that go out: one that is known whole, and one that is passed on as it comes.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http_body::{Body as HttpBody, Frame};
use tokio::sync::OwnedSemaphorePermit;
use tonic::Status;
use tonic::body::Body;

use super::metadata;
use crate::upstream::UpstreamFault;

/// A body that is known whole. It tells nobody its length: a length would become a header that was not there.
#[derive(Debug)]
pub(crate) struct Replay {
    data: Bytes,
    trailers: Option<HeaderMap>,
    /// Held until the body is sent or dropped: what waits for a slow reader still counts as in flight.
    _permit: Option<OwnedSemaphorePermit>,
}

impl Replay {
    pub(crate) fn new(data: Bytes, trailers: Option<HeaderMap>) -> Self {
        Self { data, trailers, _permit: None }
    }

    pub(crate) fn holding(self, permit: OwnedSemaphorePermit) -> Self {
        Self { _permit: Some(permit), ..self }
    }
}

impl HttpBody for Replay {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if !self.data.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.data)))));
        }
        Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_empty() && self.trailers.is_none()
    }
}

/// A body that is passed on as it comes. Where it breaks, the caller gets a gRPC status instead of a broken stream.
#[derive(Debug)]
pub(crate) struct Relayed {
    body: Body,
    ended: bool,
    _permit: OwnedSemaphorePermit,
}

impl Relayed {
    pub(crate) fn new(body: Body, permit: OwnedSemaphorePermit) -> Self {
        Self { body, ended: false, _permit: permit }
    }
}

impl HttpBody for Relayed {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let frame = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
            Some(Ok(frame)) => frame,
            None => {
                self.ended = true;
                return Poll::Ready(None);
            }
            Some(Err(_)) => {
                self.ended = true;
                return Poll::Ready(Some(Ok(Frame::trailers(closed()))));
            }
        };
        Poll::Ready(Some(Ok(match frame.into_trailers() {
            Ok(mut trailers) => {
                metadata::forwardable(&mut trailers);
                Frame::trailers(trailers)
            }
            Err(frame) => frame,
        })))
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.body.is_end_stream()
    }
}

/// Trailers that say: the model server closed the call.
fn closed() -> HeaderMap {
    let mut trailers = HeaderMap::new();
    let status = UpstreamFault::Closed.status();
    // A status that HTTP could not carry would leave the trailers empty; this one is plain text.
    if status.add_header(&mut trailers).is_err() {
        trailers.insert("grpc-status", HeaderValue::from_static("14"));
    }
    trailers
}
