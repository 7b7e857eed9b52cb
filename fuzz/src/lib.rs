//! One function per parser of bytes from outside.
//!
//! Guarantees: each target feeds arbitrary bytes to one parser and panics if the parser does, or if what it accepted
//! does not turn back into the same bytes where the format is canonical. `tests/replay.rs` runs the corpus and seeded
//! mutations of it in every test run; `cargo run -p ledgerstone-fuzz -- TARGET --seconds N` goes on for longer.
//! Does not do: coverage guidance, which needs a compiler that is not the stable one.

pub mod access;
pub mod anchors;
pub mod approvals;
mod backups;
pub mod gate;
pub mod injector;
pub mod keys;
pub mod mutate;
pub mod nodes;
mod notices;
mod operations;
pub mod siem;
pub mod sinks;
pub mod targets;
pub mod timestamps;
mod tls;

pub use targets::{TARGETS, Target};
