//! Between the caller and the model server: every call passes, every decision is recorded before its answer.
//!
//! [`service`] is what callers see; [`recorder`] makes the record; [`session`] numbers what was seen; [`route`] says what
//! the traffic means. The rest reads bytes for them: `frame` the wire, `asked` and `answered` the two sides of
//! a call, `fields` the record; `gated` has the rules of the route evaluated.

mod answered;
pub mod append;
mod asked;
pub(crate) mod body;
mod declared;
mod fields;
mod frame;
mod gated;
#[doc(hidden)]
pub mod measure;
mod metadata;
pub mod recorder;
pub mod route;
pub mod service;
pub mod session;

pub use append::{Append, AppendFault, Appending};
pub use metadata::{DECISION_ID, GATE, LEAF_INDEX, ORIGIN, REVIEW};
pub use recorder::Recorder;
pub use route::{RouteConfig, RouteError, Routes};
pub use service::{Intercept, Limits};
pub use session::{NotAdmitted, Session, SessionError, SessionOptions};
