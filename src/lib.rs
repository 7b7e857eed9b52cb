//! Audit log for AI decisions: an append-only Merkle log, salted records, and receipts that verify offline.

pub mod checkpoint;
pub mod code;
pub mod cosignature;
pub mod disclosure;
pub mod encoding;
pub mod entry;
pub mod evidence;
pub mod hash;
pub mod limits;
pub mod log;
pub mod manifest;
pub mod merkle;
pub mod note;
#[cfg(feature = "grpc")]
pub mod oip;
pub mod policy;
#[cfg(feature = "grpc")]
pub mod proto;
pub mod receipt;
pub mod record;
pub mod registry;
pub mod store;
pub mod tile;
pub mod time;
pub mod verify;
