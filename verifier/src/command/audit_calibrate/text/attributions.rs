//! How far honest attributions of words lie apart, where the model's description has reasons by integrated gradients.
//!
//! Guarantees: what is compared with is the canonical computation in `f64`, as a run makes it; against it stand the same in `f32`, which recorders compute in, point
//! by point and many points side by side, and whatever was recorded. Does not do: look for changes of the model in them.

use std::path::Path;

use super::super::bounded;
use crate::audit::profile::{self, AttributionTolerance, Honest};
use crate::command::model_folder;
use crate::command::model_predict::attributions::described;
use crate::exit::Refusal;
use crate::recompute::RowError;
use crate::recompute::description::WordReasons;
use crate::recompute::neural::{GradientType, TextModel};

/// The canonical attributions, and the distances from them.
pub(super) struct Measure {
    how: WordReasons,
    canonical: Vec<Vec<f64>>,
    honest: Vec<f64>,
}

impl Measure {
    /// Nothing, unless the folder's description has such reasons.
    pub(super) fn new(
        folder: &Path,
        model: &TextModel,
        lines: &[&str],
        together: usize,
    ) -> Result<Option<Self>, Refusal> {
        let Some(how) = described(folder)? else { return Ok(None) };
        let words = |of: GradientType, together: Option<usize>| -> Result<Vec<Vec<f64>>, Refusal> {
            let gradients = model.gradients(of).map_err(|error| model_folder::refused(folder, &error))?;
            let explain = |line: &&str| model.attributions(&gradients, line, &how.integrated(), together);
            let explained: Result<Vec<_>, RowError> = lines.iter().map(explain).collect();
            let explained = explained.map_err(|error| super::refused(&error))?;
            let of_text = |words: Vec<crate::recompute::neural::WordShare>| {
                words.into_iter().map(|word| word.attribution).collect()
            };
            Ok(explained.into_iter().map(|explained| of_text(explained.words)).collect())
        };
        let canonical = words(GradientType::F64, None)?;
        let others = [words(GradientType::F32, Some(1))?, words(GradientType::F32, Some(together))?];
        let mut measure = Self { how, canonical, honest: Vec::new() };
        for other in others {
            measure.add(&other.into_iter().map(Some).collect::<Vec<_>>(), "another way to compute")?;
        }
        Ok(Some(measure))
    }

    /// Adds the distances of other attributions of the same texts; a text that has none is left out.
    pub(super) fn add(&mut self, other: &[Option<Vec<f64>>], who: &str) -> Result<(), Refusal> {
        for (place, (canonical, other)) in self.canonical.iter().zip(other).enumerate() {
            if let Some(other) = other {
                self.honest.push(bounded(profile::distance(canonical, other), place, who)?);
            }
        }
        Ok(())
    }

    pub(super) fn tolerance(self) -> AttributionTolerance {
        let WordReasons { of, index, push: _, steps, rule, baseline } = self.how;
        let honest = Honest::of(self.honest);
        let tau = profile::default_tau(honest.max);
        AttributionTolerance { of, index, steps, rule, baseline, honest, tau }
    }
}
