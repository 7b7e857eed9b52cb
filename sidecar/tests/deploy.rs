//! What is deployed: the Helm chart, the Kustomize base, the image's files, the systemd units.
//!
//! Scenario: the chart rendered over a matrix of values, checked against the schemas of Kubernetes and of the Prometheus operator,
//! installed into a real API server with its admission policies; its example's configuration and model run with a real MLServer;
//! the image's root file system run read-only as the image's user. Danger: a value that is misspelt and ignored, a field that the
//! API server drops, a pod that serves the model past the sidecar, a log created a second time, an image that cannot run what it
//! holds. End state: what is wrong is refused with a word about it, and what is right runs.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros,
    reason = "tests fail by panicking, and may read the environment, start programs and print"
)]

#[path = "deploy/admission.rs"]
mod admission;
#[path = "deploy/chart.rs"]
mod chart;
#[path = "deploy/cluster.rs"]
mod cluster;
#[path = "deploy/example.rs"]
mod example;
#[path = "deploy/image.rs"]
mod image;
#[path = "deploy/package.rs"]
mod package;
#[path = "deploy/pods.rs"]
mod pods;
#[path = "deploy/refusals.rs"]
mod refusals;
#[path = "deploy/tools.rs"]
mod tools;
#[path = "deploy/units.rs"]
mod units;
#[path = "deploy/webhook.rs"]
mod webhook;
