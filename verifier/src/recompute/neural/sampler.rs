//! Which token comes next, from the logits: the one with the greatest, or one drawn by a seed (`docs/spec/generation.md`).
//!
//! *Guarantees*: the same logits, settings and step give the same token on every machine with the same mathematics library; a draw depends on the seed and
//! the step alone.
//!
//! *Does not do*: penalties for repetition, beams, grammars.

use ledgerstone::hash::Hash;
use serde::{Deserialize, Serialize};

/// What the first bytes of a draw's hash are made from.
const DOMAIN: &[u8] = b"ledgerstone-sampler/v1";

/// How tokens are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sampling {
    /// What logits are divided by; 0 takes the greatest.
    pub temperature: f64,
    /// The share of the likeliest tokens that is drawn from.
    pub top_p: f64,
    /// What the draws follow from.
    pub seed: u64,
}

impl Sampling {
    /// Takes the token with the greatest logit.
    pub const GREEDY: Self = Self { temperature: 0.0, top_p: 1.0, seed: 0 };

    /// Whether the settings make sense.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        (0.0..=100.0).contains(&self.temperature) && self.top_p > 0.0 && self.top_p <= 1.0
    }

    /// The token of a step, and by how much the greatest logit exceeds the next one.
    #[must_use]
    pub fn choose(&self, logits: &[f32], step: u64) -> (u32, f32) {
        let (first, margin) = greatest(logits);
        if self.temperature == 0.0 {
            return (first.0, margin);
        }
        let mut order: Vec<(u32, f32)> = (0_u32..).zip(logits.iter().copied()).collect();
        // Equal logits in the order of the tokens, since the sort is stable.
        order.sort_by(|a, b| b.1.total_cmp(&a.1));
        let share = |logit: f32| ((f64::from(logit) - f64::from(first.1)) / self.temperature).exp();
        let shares: Vec<f64> = order.iter().map(|(_, logit)| share(*logit)).collect();
        let whole: f64 = shares.iter().sum();
        let mut kept = 0.0;
        let mut count = 0;
        for share in &shares {
            kept += share;
            count += 1;
            if kept >= self.top_p * whole {
                break;
            }
        }
        let drawn = self.draw(step) * kept;
        let mut sum = 0.0;
        let within = order.iter().zip(&shares).take(count).find(|(_, share)| {
            sum += **share;
            sum > drawn
        });
        (within.map_or(first.0, |((token, _), _)| *token), margin)
    }

    /// A number from 0 up to 1: the first 53 bits of a hash of seed and step.
    #[expect(clippy::cast_precision_loss, reason = "53 bits are exact")]
    fn draw(&self, step: u64) -> f64 {
        let hash = Hash::of(&[DOMAIN, &self.seed.to_be_bytes(), &step.to_be_bytes()].concat());
        let bits = hash.as_bytes().first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
        (bits >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// The greatest logit, the first of equal ones, with its token; and by how much it exceeds the next one.
fn greatest(logits: &[f32]) -> ((u32, f32), f32) {
    let is_above = |logit: f32, other: Option<(u32, f32)>| {
        other.is_none_or(|(_, other)| logit.total_cmp(&other).is_gt())
    };
    let (mut first, mut second) = (None, None);
    for (token, logit) in (0_u32..).zip(logits.iter().copied()) {
        if is_above(logit, first) {
            (first, second) = (Some((token, logit)), first);
        } else if is_above(logit, second) {
            second = Some((token, logit));
        }
    }
    let first = first.unwrap_or((0, 0.0));
    (first, first.1 - second.unwrap_or(first).1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greedy_takes_the_first_of_the_greatest() {
        assert_eq!(Sampling::GREEDY.choose(&[1.0, 3.0, 3.0, 2.5], 0), (1, 0.0));
        assert_eq!(Sampling::GREEDY.choose(&[1.0, 3.0, 2.5], 7), (1, 0.5));
    }

    #[test]
    fn draws_follow_the_shares_and_the_seed() {
        let sampling = Sampling { temperature: 1.0, top_p: 1.0, seed: 7 };
        let logits = [0.0, 3.0_f32.ln(), f32::NEG_INFINITY];
        let count = (0..4000).filter(|step| sampling.choose(&logits, *step).0 == 1).count();
        assert!((2900..3100).contains(&count), "three of four: {count}");
        assert!((0..4000).all(|step| sampling.choose(&logits, step).0 < 2));
        let other = Sampling { seed: 8, ..sampling };
        assert!((0..100).any(|step| sampling.choose(&logits, step) != other.choose(&logits, step)));
        let narrow = Sampling { top_p: 0.7, ..sampling };
        assert!((0..1000).all(|step| narrow.choose(&logits, step).0 == 1), "the other has only a quarter");
    }

    #[test]
    fn a_draw_is_that_of_the_page() {
        // printf 'ledgerstone-sampler/v1\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\0\x02' | sha256sum
        let sampling = Sampling { temperature: 1.0, top_p: 1.0, seed: 7 };
        assert_eq!(sampling.draw(2).to_bits(), (3_862_452_838_717_330_f64 / (1_u64 << 53) as f64).to_bits());
    }
}
