//! The sidecar as a library: configuration, the application and everything it is built from.
//!
//! The binary is [`app::App`] and a command line; tests and examples run the same `App` in their own process.

pub mod cli;
pub mod config;
pub mod driver;
pub mod index;
pub mod intercept;
pub mod keyring;
pub mod metrics;
pub mod reader;
pub mod seal;
pub mod telemetry;
pub mod upstream;
