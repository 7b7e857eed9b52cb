//! The sidecar as a library: configuration, the application and everything it is built from.
//!
//! The binary is [`app::App`] and a command line; tests and examples run the same `App` in their own process.

pub mod access;
pub mod admin;
pub mod anchor;
pub mod api;
pub mod app;
pub mod approvals;
pub mod backup;
pub mod bypass;
pub mod cli;
pub mod commands;
pub mod config;
mod console;
pub mod driver;
pub mod erasure;
pub mod evidence;
pub mod gate;
pub mod handover;
pub mod hardening;
pub mod history;
pub mod index;
pub mod injector;
pub mod intercept;
pub mod keyring;
pub mod letter;
pub mod links;
pub mod listen;
pub mod locked;
pub mod log_keys;
pub mod metrics;
pub mod models;
mod nearest;
#[cfg(feature = "notices")]
pub mod notices;
mod notify;
pub mod outbound;
pub mod packs;
pub mod peer;
pub mod proved;
pub mod reader;
pub mod receipt_key;
pub mod receipts;
pub mod retention;
pub mod seal;
pub mod siem;
pub mod status;
pub mod stop;
pub mod telemetry;
pub mod tls;
pub mod upstream;
mod value;
