//! The committed model and what MODEL.md says of it.

use anyhow::{Context, Result};
use ledgerstone_verifier::recompute::xgboost::Model;

/// The model's name, for the model server and the sidecar's route.
pub const NAME: &str = "mortgage";

/// The model's version.
pub const VERSION: &str = "1";

/// The model file.
pub const FILE: &[u8] = include_bytes!("../model/mortgage.json");

/// How decisions of the model are recomputed.
pub const DESCRIPTION: &[u8] = include_bytes!("../model/recompute.json");

const METRICS: &str = include_str!("../model/metrics.json");

/// The model file, read and checked.
///
/// # Errors
/// If the file is not one that the evaluator reproduces.
pub fn load() -> Result<Model> {
    Ok(Model::parse(FILE)?)
}

/// The probability from which on the example approves; `train.py` chose it.
///
/// # Errors
/// If the committed metrics have no threshold.
pub fn threshold() -> Result<f64> {
    let metrics: serde_json::Value = serde_json::from_str(METRICS)?;
    metrics
        .get("threshold")
        .and_then(serde_json::Value::as_f64)
        .context("model/metrics.json has no threshold")
}
