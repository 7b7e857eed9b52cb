//! Reasons that are words of a text: which number they are reasons for, and how gradients are integrated.
//!
//! *Guarantees*: everything that a number hangs on is written out; nothing has a usual value but the kind and place of the number.
//!
//! *Does not do*: know how many labels the model has.

use serde::Deserialize;

use super::Numbers;
use crate::recompute::error::{ModelError, malformed};
use crate::recompute::neural::integrated::{Baseline, Integrated, Rule, Target};

/// Which words are reasons, and how they are found.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WordReasons {
    /// Which numbers the one that is explained is of: logits or probabilities.
    #[serde(default = "margins")]
    pub of: Numbers,
    /// Its place among them, from 0.
    #[serde(default)]
    pub index: usize,
    /// Which words are reasons.
    pub push: Push,
    /// Points of the quadrature.
    pub steps: u16,
    /// Which points.
    pub rule: Rule,
    /// What the text is compared with.
    pub baseline: Baseline,
}

/// The words that are reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Push {
    /// Those that push the number down, the farthest first.
    Down,
    /// Those that push it up, the farthest first.
    Up,
}

const fn margins() -> Numbers {
    Numbers::Margins
}

impl WordReasons {
    /// How gradients are integrated.
    #[must_use]
    pub const fn integrated(&self) -> Integrated {
        let target = match self.of {
            Numbers::Answer => Target::Probability(self.index),
            Numbers::Margins | Numbers::Vector => Target::Logit(self.index),
        };
        Integrated { target, steps: self.steps, rule: self.rule, baseline: self.baseline }
    }

    pub(super) fn check(&self) -> Result<(), ModelError> {
        if self.of == Numbers::Vector {
            return Err(malformed("reasons.from.integrated_gradients.of", "is margins or answer"));
        }
        if !self.rule.takes(self.steps) {
            return Err(malformed(
                "reasons.from.integrated_gradients.steps",
                "is too few for the rule, or more than 1,000",
            ));
        }
        Ok(())
    }
}
