//! What a gRPC server answers, before `tonic` reads it.
//!
//! Guarantees: no answer makes `tonic` panic: it takes for granted that the details of a status are base64, and where
//! they are not they are left out. Does not do: judging the details that are base64; who reads them does.
//! Specification: gRPC over HTTP/2, `Status-Details`; `google.rpc.Status`.

use http::{HeaderMap, Response};
use http_body::Frame;
use http_body_util::BodyExt as _;
use tonic::body::Body;
use tonic::metadata::MetadataMap;
use tonic::transport::Channel;
use tower::util::MapResponse;

/// What a status says to programs.
const DETAILS: &str = "grpc-status-details-bin";

/// A channel whose answers can be read.
pub type Screened = MapResponse<Channel, fn(Response<Body>) -> Response<Body>>;

/// The same channel, with answers that can be read.
#[must_use]
pub fn screened(channel: Channel) -> Screened {
    MapResponse::new(channel, response)
}

/// Leaves out of headers or trailers the details that are not base64.
pub fn screen(headers: &mut HeaderMap) {
    if !headers.contains_key(DETAILS) {
        return;
    }
    let mut map = MetadataMap::from_headers(std::mem::take(headers));
    if map.get_bin(DETAILS).is_none_or(|details| details.to_bytes().is_err()) {
        map.remove_bin(DETAILS);
    }
    *headers = map.into_headers();
}

fn response(response: Response<Body>) -> Response<Body> {
    let (mut head, body) = response.into_parts();
    screen(&mut head.headers);
    let body = body.map_frame(|frame| match frame.into_trailers() {
        Ok(mut trailers) => {
            screen(&mut trailers);
            Frame::trailers(trailers)
        }
        Err(frame) => frame,
    });
    Response::from_parts(head, Body::new(body))
}
