//! The label that tells models apart in metrics.
//!
//! Guarantees: a bounded number of values, whatever digests a model server declares. Does not do: naming models; a digest is in every
//! entry, and whoever has the registrations knows whose it is.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use ledgerstone::hash::Hash;

/// Models told apart in one run: a route's model may change every week, for a year. Times the actions of each, these are its series.
const MODELS_MAX: usize = 64;

/// Hexadecimal digits of a digest that are shown: 48 bits.
const DIGITS: usize = 12;

/// Which models were seen.
#[derive(Debug, Default)]
pub(super) struct ModelLabels(Mutex<BTreeSet<Hash>>);

impl ModelLabels {
    /// `sha256:` and the beginning of the digest; `unknown` without one, `other` after too many.
    pub(super) fn label(&self, model: Option<Hash>) -> String {
        let Some(model) = model else { return "unknown".to_owned() };
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !seen.contains(&model) {
            if seen.len() >= MODELS_MAX {
                return "other".to_owned();
            }
            seen.insert(model);
        }
        format!("sha256:{:.DIGITS$}", model.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_a_bounded_number_of_models_apart() {
        let labels = ModelLabels::default();
        assert_eq!(labels.label(None), "unknown");
        let first = labels.label(Some(Hash::of(b"0")));
        assert_eq!(first.len(), "sha256:".len() + DIGITS);
        let all: BTreeSet<String> =
            (0..1000_u32).map(|n| labels.label(Some(Hash::of(n.to_string().as_bytes())))).collect();
        assert_eq!(all.len(), MODELS_MAX + 1);
        assert!(all.contains("other") && all.contains(&first));
        assert_eq!(labels.label(Some(Hash::of(b"0"))), first);
    }
}
