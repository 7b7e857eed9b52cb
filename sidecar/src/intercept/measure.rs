//! The work on one decision without sockets and without a log, so that `benches/record_path.rs` can time it.

use std::sync::Arc;

use bytes::Bytes;
use ledgerstone::time::UnixMillis;
use tonic::Code;

use super::answered::Answered;
use super::asked::Asked;
use super::fields::Times;
use super::gated::{self, Call, Gated};
use super::recorder::{Case, Recorder, decision_id};
use crate::access::Origin;
use crate::gate::When;
use crate::upstream::Answer;

/// Reads one call as the service does and makes its entry and sealed record.
///
/// Returns the number of bytes that would go to the log; none if the call would have been refused.
#[must_use]
pub fn decision(recorder: &Recorder, request: &Bytes, response: &Bytes) -> Option<usize> {
    const MAX: usize = 16 << 20;
    let (asked, refusal) = Asked::read(request.clone(), None, MAX);
    let route = Arc::clone(recorder.routes().for_model(asked.model()));
    if refusal.is_some() || asked.check_rows(&route).is_err() {
        return None;
    }
    let (mut head, ()) = http::Response::new(()).into_parts();
    head.headers.insert("grpc-status", i32::from(Code::Ok).into());
    let answer = Answer { head, body: response.clone(), trailers: None };
    let mut answered = Answered::read(&answer, MAX);
    let received = UnixMillis::new(1_795_000_000_000);
    let (caller, mut gated) = (Origin::default(), Gated::default());
    let models = recorder.models();
    let call = Call { route: &route, asked: &asked, caller: &caller, subject_header: None, received, models };
    let refused = gated::pass(call, None, When::Request, &mut gated)
        .or_else(|| gated::pass(call, Some(&answered), When::Answer, &mut gated));
    if let Some(status) = refused {
        answered.code = status.code();
    }
    let case = Case {
        id: decision_id(received).ok()?,
        arrived: std::time::Instant::now(),
        route,
        caller,
        gated,
        subject_header: None,
        caller_gone: false,
        times: Times { received, model: Some((received, received)), decided: received },
        asked,
        answered,
    };
    let (entry, sealed, ..) = recorder.prepare_now(1, &case).ok()?;
    Some(entry.encode().ok()?.len() + sealed.len())
}
