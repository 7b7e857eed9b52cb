//! The committed part of the model, what stands on `MiniLM`, and what MODEL.md says of it.

use anyhow::{Context, Result};
use ledgerstone_verifier::recompute::description;
use ledgerstone_verifier::recompute::neural::Files;
use serde_json::Value;

use crate::minilm::MiniLm;

/// The model's name, for the model server and the sidecar's route.
pub const NAME: &str = "screen";

/// The model's version.
pub const VERSION: &str = "1";

/// The files that are committed, by their names in the model's folder.
pub const COMMITTED: [(&str, &[u8]); 3] = [
    ("head.json", include_bytes!("../model/head.json")),
    ("head.safetensors", include_bytes!("../model/head.safetensors")),
    (description::FILE, include_bytes!("../model/recompute.json")),
];

const METRICS: &str = include_str!("../model/metrics.json");

/// What `train.py` chose.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// The probability of a callback from which on the example invites.
    pub threshold: f64,
    /// Résumés that the head was not trained on and that the example sends, a random sample by `train.py`.
    pub served: Vec<u32>,
    /// SHA-256 of all texts, a line each.
    pub texts_sha256: String,
}

/// What `train.py` chose.
///
/// # Errors
/// If the committed file lacks something.
pub fn metrics() -> Result<Metrics> {
    let metrics: Value = serde_json::from_str(METRICS)?;
    let key = |name: &str| metrics.get(name).with_context(|| format!("model/metrics.json has no {name}"));
    Ok(Metrics {
        threshold: key("threshold")?.as_f64().context("the threshold is no number")?,
        served: serde_json::from_value(key("served_resumes")?.clone())?,
        texts_sha256: serde_json::from_value(key("texts_sha256")?.clone())?,
    })
}

/// Every file of the model's folder.
#[must_use]
pub fn folder(minilm: &MiniLm) -> Vec<(&'static str, &[u8])> {
    minilm.files().chain(COMMITTED).collect()
}

/// The files that the model is computed from.
///
/// # Errors
/// If one is too large.
pub fn files(minilm: &MiniLm) -> Result<Files> {
    let named = folder(minilm).into_iter().map(|(name, bytes)| (name.to_owned(), bytes.to_vec()));
    Ok(Files::new(named.collect())?)
}
