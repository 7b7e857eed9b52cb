//! The readout with its way back: a logit or probability, and how it changes with the vectors of the tokens.
//!
//! *Guarantees*: everything is in `f64`, nothing is rounded in between.
//!
//! *Does not do*: the normalization of `ModernBERT`'s classifier, whose encoder has no way back here either.

use super::{LENGTH_MIN, Readout, activate, pool, shares};
use crate::recompute::neural::config::Activation;
use crate::recompute::neural::float;
use crate::recompute::neural::head::Link;
use crate::recompute::neural::integrated::Target;
use crate::recompute::neural::pooling::Pooling;

impl Readout {
    /// The number that is explained, and its derivative by every number of `tokens`; none where there is no such number.
    pub(in crate::recompute::neural) fn slope(
        &self,
        tokens: &[f64],
        width: usize,
        target: Target,
    ) -> Option<(f64, Vec<f64>)> {
        if self.norm.is_some() {
            return None;
        }
        let pooled = pool(self.pooling, tokens, width);
        let length = pooled.iter().map(|x| x * x).sum::<f64>().sqrt().max(LENGTH_MIN);
        let unit: Vec<f64> = match self.normalize {
            true => pooled.iter().map(|x| x / length).collect(),
            false => pooled,
        };
        let before = self.dense.as_ref().map(|(dense, activation)| (dense, *activation, dense.wide(&unit)));
        let vector = match &before {
            Some((_, activation, sums)) => sums.iter().map(|sum| activate(*activation, *sum)).collect(),
            None => unit.clone(),
        };
        let (output, link) = self.output.as_ref()?;
        let (value, of_logits) = explained(&output.wide(&vector), *link, target)?;
        let mut slope = output.back(&of_logits);
        if let Some((dense, activation, sums)) = &before {
            slope.iter_mut().zip(sums).for_each(|(slope, sum)| *slope *= steepness(*activation, *sum));
            slope = dense.back(&slope);
        }
        if self.normalize {
            let along: f64 = slope.iter().zip(&unit).map(|(slope, x)| slope * x).sum();
            slope.iter_mut().zip(&unit).for_each(|(slope, x)| *slope = (*slope - x * along) / length);
        }
        Some((value, spread(self.pooling, tokens, width, &slope)))
    }
}

impl super::Dense {
    /// From the derivative by what comes out to that by what goes in.
    fn back(&self, slope: &[f64]) -> Vec<f64> {
        let mut back = vec![0.0; self.from];
        for (row, slope) in self.weights.chunks_exact(self.from.max(1)).zip(slope) {
            back.iter_mut().zip(row).for_each(|(sum, weight)| *sum += f64::from(*weight) * slope);
        }
        back
    }
}

/// The number that is explained, and its derivative by every logit.
fn explained(logits: &[f64], link: Link, target: Target) -> Option<(f64, Vec<f64>)> {
    let place = target.place();
    let logit = *logits.get(place)?;
    let one = |other: usize| if other == place { 1.0 } else { 0.0 };
    if let Target::Logit(_) = target {
        return Some((logit, (0..logits.len()).map(one).collect()));
    }
    let shares = shares(logits, link);
    let own = *shares.get(place)?;
    let slope = shares.iter().enumerate().map(|(other, share)| match link {
        Link::Softmax => own * (one(other) - share),
        Link::Logistic | Link::Identity => one(other) * own * (1.0 - own),
    });
    Some((own, slope.collect()))
}

/// From the derivative by the one vector to that by each token's; of several tokens that are the greatest, the first counts.
fn spread(pooling: Pooling, tokens: &[f64], width: usize, slope: &[f64]) -> Vec<f64> {
    let count = float((tokens.len() / width.max(1)).max(1));
    let greatest = match pooling {
        Pooling::Max => pool(pooling, tokens, width),
        Pooling::Cls | Pooling::Mean => Vec::new(),
    };
    let mut open = vec![true; greatest.len()];
    let mut spread = Vec::with_capacity(tokens.len());
    for (number, row) in tokens.chunks_exact(width.max(1)).enumerate() {
        match pooling {
            Pooling::Cls => spread.extend(slope.iter().map(|slope| if number == 0 { *slope } else { 0.0 })),
            Pooling::Mean => spread.extend(slope.iter().map(|slope| slope / count)),
            Pooling::Max => {
                let columns = row.iter().zip(&greatest).zip(&mut open).zip(slope);
                spread.extend(columns.map(|(((x, greatest), open), slope)| {
                    let takes = *open && x.to_bits() == greatest.to_bits();
                    *open &= !takes;
                    if takes { *slope } else { 0.0 }
                }));
            }
        }
    }
    spread
}

/// The derivative of the activation.
fn steepness(activation: Activation, x: f64) -> f64 {
    use std::f64::consts::{FRAC_1_SQRT_2, PI};
    match activation {
        Activation::Gelu => {
            let below = 0.5 * (1.0 + candle_core::cpu::erf::erf_f64(x * FRAC_1_SQRT_2));
            below + x * (-0.5 * x * x).exp() / (2.0 * PI).sqrt()
        }
        Activation::GeluTanh => {
            let bend = (2.0 / PI).sqrt();
            let tangent = (bend * (x + 0.044_715 * x.powi(3))).tanh();
            let inner = bend * (1.0 + 3.0 * 0.044_715 * x * x);
            0.5 * (1.0 + tangent) + 0.5 * x * (1.0 - tangent * tangent) * inner
        }
        Activation::Relu => f64::from(u8::from(x > 0.0)),
        Activation::Tanh => 1.0 - x.tanh().powi(2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_greatest_the_first_token_counts() {
        let tokens = [1.0, -4.0, 2.0, 6.0, 2.0, -5.0];
        assert_eq!(spread(Pooling::Max, &tokens, 2, &[10.0, 20.0]), [0.0, 0.0, 10.0, 20.0, 0.0, 0.0]);
        assert_eq!(spread(Pooling::Mean, &tokens, 2, &[3.0, 6.0]), [1.0, 2.0, 1.0, 2.0, 1.0, 2.0]);
        assert_eq!(spread(Pooling::Cls, &tokens, 2, &[3.0, 6.0]), [3.0, 6.0, 0.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn derivatives_are_what_a_small_step_gives() {
        for activation in [Activation::Gelu, Activation::GeluTanh, Activation::Relu, Activation::Tanh] {
            for x in [-2.5, -0.3, 0.4, 1.7] {
                let step = 1e-6;
                let found = (activate(activation, x + step) - activate(activation, x - step)) / (2.0 * step);
                assert!((found - steepness(activation, x)).abs() < 1e-8, "{activation:?} at {x}");
            }
        }
    }

    #[test]
    fn probabilities_are_explained_as_they_are_computed() {
        let logits = [0.3, -1.2, 2.0];
        for link in [Link::Softmax, Link::Logistic] {
            for place in 0..3 {
                let (value, slope) = explained(&logits, link, Target::Probability(place)).unwrap();
                for (other, slope) in slope.iter().enumerate() {
                    let mut moved = logits;
                    moved[other] += 1e-6;
                    let (after, _) = explained(&moved, link, Target::Probability(place)).unwrap();
                    assert!(((after - value) / 1e-6 - slope).abs() < 1e-6, "{link:?} {place} {other}");
                }
            }
        }
        assert_eq!(explained(&logits, Link::Identity, Target::Probability(0)), None);
        assert_eq!(explained(&logits, Link::Softmax, Target::Logit(3)), None);
    }
}
