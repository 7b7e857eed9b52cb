//! Integrated gradients (Sundararajan et al. 2017): what is explained, and the points between the baseline and the text at which gradients are taken.
//!
//! *Guarantees*: points and weights are those of captum under the same name, in `f64` (captum rounds the weights to `f32`). Gauss and Legendre's weights add up
//! to 1. Those that captum calls `riemann_trapezoid` add up to 1 - 1/n, because it divides by the number of points and not of the gaps between them; so do ours.
//!
//! *Does not do*: compute a gradient (`attributions`).

use serde::{Deserialize, Serialize};

/// Points of the quadrature; captum's usual number is 50. Each is the network forward and backward once.
pub const STEPS_MAX: u16 = 1000;

/// The number of points that captum takes where nothing is said.
pub const STEPS_USUAL: u16 = 50;

/// Which points are taken, and how much each counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, clap::ValueEnum)]
pub enum Rule {
    /// Gauss and Legendre's, exact for polynomials up to degree 2n - 1
    #[default]
    #[serde(rename = "gausslegendre")]
    #[value(name = "gausslegendre")]
    GaussLegendre,
    /// Evenly spaced points, both ends among them, as captum weighs them
    #[serde(rename = "riemann_trapezoid")]
    #[value(name = "riemann_trapezoid")]
    RiemannTrapezoid,
}

/// What stands in the place of a text that says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Baseline {
    /// The padding token in every place, except where the tokenizer put a special token of its own, which stays.
    #[default]
    Pad,
}

/// The number that is explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A label's logit, by its place.
    Logit(usize),
    /// A label's probability, by its place.
    Probability(usize),
}

impl Target {
    /// The label's place.
    #[must_use]
    pub const fn place(self) -> usize {
        match self {
            Self::Logit(place) | Self::Probability(place) => place,
        }
    }
}

/// How gradients are integrated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Integrated {
    /// The number that is explained.
    pub target: Target,
    /// How many points.
    pub steps: u16,
    /// Which points.
    pub rule: Rule,
    /// What the text is compared with.
    pub baseline: Baseline,
}

/// A point on the straight line from the baseline (0) to the text (1).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Where it lies.
    pub at: f64,
    /// How much its gradient counts.
    pub weight: f64,
}

impl Rule {
    /// The least number of points that makes a quadrature.
    #[must_use]
    pub const fn steps_min(self) -> u16 {
        match self {
            Self::GaussLegendre => 1,
            Self::RiemannTrapezoid => 2,
        }
    }

    /// Whether so many points make a quadrature, and no more than are computed.
    #[must_use]
    pub const fn takes(self, steps: u16) -> bool {
        self.steps_min() <= steps && steps <= STEPS_MAX
    }

    /// Its points, in rising order.
    #[must_use]
    pub fn points(self, steps: u16) -> Vec<Point> {
        match self {
            Self::GaussLegendre => gauss_legendre(steps),
            Self::RiemannTrapezoid => trapezoid(steps),
        }
    }
}

fn trapezoid(steps: u16) -> Vec<Point> {
    let last = steps.saturating_sub(1);
    let point = |place: u16| {
        let share = if place == 0 || place == last { 0.5 } else { 1.0 };
        Point { at: f64::from(place) / f64::from(last.max(1)), weight: share / f64::from(steps) }
    };
    (0..steps).map(point).collect()
}

/// The roots of the Legendre polynomial by Newton's method, which from these beginnings finds each within a few turns.
fn gauss_legendre(steps: u16) -> Vec<Point> {
    const TURNS: usize = 8;
    let count = f64::from(steps);
    let point = |place: u16| {
        // From the last root down, so that the points rise.
        let number = f64::from(steps - 1 - place);
        let mut root = (std::f64::consts::PI * (number + 0.75) / (count + 0.5)).cos();
        let mut slope = 1.0;
        for _ in 0..TURNS {
            let (value, derivative) = legendre(steps, root);
            slope = derivative;
            root -= value / derivative;
        }
        // 2 / ((1 - x²) P'(x)²) on a line of length 2; half of it on one of length 1.
        Point { at: 0.5 * (1.0 + root), weight: 1.0 / ((1.0 - root * root) * slope * slope) }
    };
    (0..steps).map(point).collect()
}

/// The Legendre polynomial of a degree and its derivative, inside of -1 and 1.
fn legendre(degree: u16, x: f64) -> (f64, f64) {
    let (mut before, mut value) = (1.0, x);
    for k in 2..=degree {
        let k = f64::from(k);
        (before, value) = (value, ((2.0 * k - 1.0) * x * value - (k - 1.0) * before) / k);
    }
    (value, f64::from(degree) * (x * value - before) / (x * x - 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn integral(points: &[Point], of: impl Fn(f64) -> f64) -> f64 {
        points.iter().map(|point| point.weight * of(point.at)).sum()
    }

    #[test]
    fn gauss_and_legendre_are_exact_for_polynomials_of_their_degree() {
        for steps in [1, 2, 3, 5, 20, 50, STEPS_MAX] {
            let points = Rule::GaussLegendre.points(steps);
            assert!(points.windows(2).all(|pair| pair[0].at < pair[1].at), "{steps}: rising");
            assert!((integral(&points, |_| 1.0) - 1.0).abs() < 1e-12, "{steps}");
            let degree = 2 * i32::from(steps) - 1;
            let found = integral(&points, |x| x.powi(degree));
            assert!((found - 1.0 / f64::from(degree + 1)).abs() < 1e-13, "{steps}: {found}");
        }
        // Of degree 2n it is not: the error of one point, the middle, for x² is 1/12.
        let error = integral(&Rule::GaussLegendre.points(1), |x| x * x) - 1.0 / 3.0;
        assert!((error + 1.0 / 12.0).abs() < 1e-15);
    }

    #[test]
    fn gauss_and_legendre_are_the_numbers_of_numpy() {
        // 0.5 * (1 + numpy.polynomial.legendre.leggauss(5)[0]) and half of its weights, numpy 2.4.6.
        let expected = [
            (0.046_910_077_030_668, 0.118_463_442_528_094_54),
            (0.230_765_344_947_158_47, 0.239_314_335_249_683_23),
            (0.5, 0.284_444_444_444_444_4),
            (0.769_234_655_052_841_6, 0.239_314_335_249_683_23),
            (0.953_089_922_969_332, 0.118_463_442_528_094_54),
        ];
        for (point, (at, weight)) in Rule::GaussLegendre.points(5).iter().zip(expected) {
            assert!((point.at - at).abs() < 1e-15 && (point.weight - weight).abs() < 1e-15, "{point:?}");
        }
    }

    #[test]
    fn the_trapezoid_is_captums_and_falls_short_by_one_part_in_n() {
        let points = Rule::RiemannTrapezoid.points(5);
        assert_eq!(points.iter().map(|point| point.at).collect::<Vec<_>>(), [0.0, 0.25, 0.5, 0.75, 1.0]);
        assert_eq!(points.iter().map(|point| point.weight).collect::<Vec<_>>(), [0.1, 0.2, 0.2, 0.2, 0.1]);
        assert!((integral(&points, |_| 1.0) - 0.8).abs() < 1e-15);
    }
}
