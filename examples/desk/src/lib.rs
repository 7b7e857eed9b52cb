//! What the examples share: a model server of the Open Inference Protocol, a sidecar in front of it, a client, the run
//! folder, the checks of what was recorded, and the audit of it.
//!
//! *Guarantees*: everything here goes through what a user has, the sidecar's configuration and `ledgerstone`'s commands.
//!
//! *Does not do*: know what is decided; an example brings its model, its data and its words.

pub mod audit;
pub mod authority;
#[cfg(feature = "ethereum")]
pub mod chain;
#[cfg(not(feature = "ethereum"))]
#[path = "chain/absent.rs"]
pub mod chain;
pub mod client;
pub mod commands;
pub mod desk;
pub mod evidence;
pub mod folder;
pub mod range;
pub mod sample;
pub mod served;
pub mod steps;
pub mod table;
pub mod targets;
pub mod tell;
pub mod tensors;
pub mod tolerance;
