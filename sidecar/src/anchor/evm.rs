//! The EVM lane: anchors the log's head in the storage of a contract, on any EVM chain.
//!
//! Guarantees: a transaction is stored before it is sent; its nonce comes from the chain; several endpoints must agree on
//! what is final; what is captured was verified by the library before it is stored; the key that pays can do no more than
//! move the log's head forward.
//! Does not do: deciding what to do next, which the library's scheduler does.
//! Design: `docs/anchoring.md`, section "An EVM lane".

mod beacon;
pub mod block;
pub mod broadcast;
pub mod capture;
pub mod deploy;
pub mod key;
mod lane;
pub mod proof;
pub mod receipts;
pub mod rpc;
mod setup;
mod status;
pub mod transaction;
pub mod view;

pub use self::beacon::{Beacon, LightError};
pub use self::lane::EvmLane;
pub use self::setup::{EvmSetupError, build};
