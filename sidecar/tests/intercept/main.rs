//! The interceptor between a real client and a real model server, over real sockets, on a real log.
//!
//! Danger: bytes change on the way, a decision goes unrecorded, or an answer gets out before its record is durable.
//! Expected: callers cannot tell the sidecar from the model server but by three headers; every decision, refusal and
//! failure is in the log; what the log does not have, the caller does not get.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop where it fails"
)]

mod faults;
mod passthrough;
mod peers;
mod records;
mod setup;
