//! The example's parts: the applications, the model, a model server that is nobody's product, and a client.
//!
//! The sidecar sees the model server as it would see any other: nothing here knows that it is recorded.

pub mod applications;
pub mod audit;
pub mod client;
pub mod desk;
pub mod evidence;
pub mod folder;
pub mod model;
pub mod oip_server;
pub mod tell;
