//! `[retention]`: for how long records are kept.

use std::time::Duration;

use ledgerstone::entry::RegisteredName;

use super::error::ConfigError;
use super::layers::Layers;
use crate::retention::{Matrix, MatrixError};

/// How long records are kept.
#[derive(Clone, Debug)]
pub struct RetentionConfig {
    /// The classes and their periods.
    pub matrix: Matrix,
    /// How often what is over is erased, if at all.
    pub interval: Option<Duration>,
    /// Who the log says erased it.
    pub operator: RegisteredName,
}

impl RetentionConfig {
    pub(super) fn from_layers(layers: &Layers) -> Result<Self, ConfigError> {
        let default = layers.get("retention.default").map(|found| found.text);
        let classes = layers.parse("retention.classes", "a text", |text| Some(text.to_owned()))?;
        let refuse = |key, wrong: MatrixError| layers.parse(key, &wrong.to_string(), |_| None);
        if let Err(wrong) = Matrix::new(&classes, None) {
            return refuse("retention.classes", wrong);
        }
        let matrix = match Matrix::new(&classes, default.as_deref()) {
            Ok(matrix) => matrix,
            Err(wrong) => return refuse("retention.default", wrong),
        };
        let operator =
            layers.parse("retention.operator", OPERATOR, |text| RegisteredName::parse(text).ok())?;
        Ok(Self { matrix, interval: layers.duration_if_set("retention.interval")?, operator })
    }
}

const OPERATOR: &str = "1 to 64 characters of a-z, 0-9, '.', '_' and '-'";

impl Layers {
    pub(super) fn duration_if_set(&self, key: &'static str) -> Result<Option<Duration>, ConfigError> {
        self.get(key).map(|_| self.duration(key)).transpose()
    }
}
