//! Interventional TreeSHAP: what each feature contributes if the other features come from the rows of a background.
//!
//! *Guarantees*: the numbers of shap 0.51's `TreeExplainer(model, data=background, feature_perturbation="interventional")`, bit for bit.
//! It keeps leaves, thresholds and the sums of one tree in `f32` and adds trees and rows of the background in `f64`, each in its order.
//! Where its 32-bit thresholds lead a row another way than the model goes, nothing is computed: shap's numbers would explain
//! another model.
//!
//! *Does not do*: other outputs than the margin; trees that shap reads otherwise than their library does, which the models refuse.
//!
//! A row and one background row walk a tree together. Where they part, the tree is walked both ways; a leaf that is reached by *m*
//! of *n* parting features of the row counts for those features with the weight of the orders in which just these *m* come
//! first, and against the others (Lundberg and others, 2020, "From local explanations to global understanding with explainable AI for
//! trees", Algorithm 3).

use super::error::RowError;

/// Rows of a background. The work of explaining one row grows with it.
pub const BACKGROUND_ROWS_MAX: usize = 10_000;

/// Features that part the two rows on one way to a leaf. From 30 on the 32-bit products behind shap's weights overflow.
const PARTING_MAX: usize = 29;

/// Features, and nodes of a tree, that the 16-bit numbers of shap count.
pub(super) const SHORT_MAX: usize = 32_767;

/// Why a model with such trees is refused.
pub(super) const TOO_LARGE: &str =
    "shap counts features and nodes in 16 bits, and the model has more, or a tree is too deep";

/// The rows that a contribution compares with, as one model takes them.
#[derive(Clone, Debug)]
pub struct Background {
    /// Rows one after the other, in the type in which the model computes; the other one is empty.
    wide: Vec<f64>,
    narrow: Vec<f32>,
    /// The mean of each margin over the rows.
    base: Vec<f64>,
}

impl Background {
    pub(super) fn of_f64(
        rows: &[f64],
        columns: usize,
        outputs: usize,
        margins: impl Fn(&[f64]) -> Result<Vec<f64>, RowError>,
    ) -> Result<Self, RowError> {
        let base = mean(rows, columns, outputs, margins)?;
        Ok(Self { wide: rows.to_vec(), narrow: Vec::new(), base })
    }

    pub(super) fn of_f32(
        rows: &[f32],
        columns: usize,
        outputs: usize,
        margins: impl Fn(&[f32]) -> Result<Vec<f64>, RowError>,
    ) -> Result<Self, RowError> {
        let base = mean(rows, columns, outputs, margins)?;
        Ok(Self { wide: Vec::new(), narrow: rows.to_vec(), base })
    }
}

/// The mean of each margin over rows.
fn mean<F>(
    rows: &[F],
    columns: usize,
    outputs: usize,
    margins: impl Fn(&[F]) -> Result<Vec<f64>, RowError>,
) -> Result<Vec<f64>, RowError> {
    let problem = match rows.len().checked_div(columns) {
        None => "the model has no features",
        Some(0) => "the background has no rows",
        Some(count) if count > BACKGROUND_ROWS_MAX => "the background has more than 10,000 rows",
        Some(_) => "",
    };
    if !problem.is_empty() {
        return Err(RowError::Contributions { problem });
    }
    let mut base = vec![0.0; outputs];
    let mut count = 0_u32;
    for row in rows.chunks(columns) {
        base.iter_mut().zip(margins(row)?).for_each(|(sum, margin)| *sum += margin);
        count += 1;
    }
    base.iter_mut().for_each(|sum| *sum /= f64::from(count));
    Ok(base)
}

/// A node of a checked tree.
pub(super) enum Node {
    /// The value of a leaf.
    Leaf(f32),
    /// A split: its column and its children.
    Split { feature: usize, left: usize, right: usize },
}

/// A tree whose walks were checked to end.
pub(super) trait Routed {
    /// The type in which the model compares.
    type Float: Number;

    /// The node that a walk reached.
    fn node(&self, at: usize) -> Option<Node>;

    /// The child that a row of the model's length goes to from a split; none where shap would go another way.
    fn next(&self, at: usize, row: &[Self::Float]) -> Option<usize>;
}

/// `f32` or `f64`.
pub(super) trait Number: Sized {
    /// The rows of a background in this type.
    fn rows(background: &Background) -> &[Self];
}

impl Number for f32 {
    fn rows(background: &Background) -> &[Self] {
        &background.narrow
    }
}

impl Number for f64 {
    fn rows(background: &Background) -> &[Self] {
        &background.wide
    }
}

/// The row or background row that shap would lead another way, or a way with too many parting features.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Undefined {
    Route,
    Parting,
}

impl From<Undefined> for RowError {
    fn from(undefined: Undefined) -> Self {
        let problem = match undefined {
            Undefined::Route => {
                "shap rounds thresholds to 32 bits and takes a missing value as the split's default, and would lead this row, or one of the background, another way than the model"
            }
            Undefined::Parting => {
                "the row and one of the background part on more features of one way than shap counts"
            }
        };
        Self::Contributions { problem }
    }
}

/// For each output one contribution a feature, which is the mean over the rows of the background of the sum over the trees, and
/// then the background's mean margin.
pub(super) fn contributions<'a, T: Routed + 'a>(
    trees: impl Iterator<Item = (&'a T, usize)> + Clone,
    row: &[T::Float],
    background: &Background,
) -> Result<Vec<Vec<f64>>, RowError> {
    let weights = Weights::new();
    let mut totals = vec![vec![0.0; row.len()]; background.base.len()];
    let mut of_one = totals.clone();
    let mut sides = vec![None; row.len()];
    let mut count = 0_u32;
    for other in T::Float::rows(background).chunks_exact(row.len().max(1)) {
        of_one.iter_mut().for_each(|output| output.fill(0.0));
        for (tree, output) in trees.clone() {
            let Some(into) = of_one.get_mut(output) else { continue };
            Walk { tree, row, other, weights: &weights, sides: &mut sides, into }.node(0, 0, 0)?;
        }
        for (total, one) in totals.iter_mut().zip(&of_one) {
            total.iter_mut().zip(one).for_each(|(total, one)| *total += one);
        }
        count += 1;
    }
    totals.iter_mut().flatten().for_each(|total| *total /= f64::from(count));
    totals.iter_mut().zip(&background.base).for_each(|(output, base)| output.push(*base));
    Ok(totals)
}

/// Which of the two rows a feature was taken from above a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Row,
    Other,
}

struct Walk<'a, T: Routed> {
    tree: &'a T,
    row: &'a [T::Float],
    other: &'a [T::Float],
    weights: &'a Weights,
    /// For each feature the side that a split above took; none where the rows did not part on it.
    sides: &'a mut [Option<Side>],
    into: &'a mut [f64],
}

/// What the leaves below a node say for features of the row that lead there, and against those that do not.
type Sums = (f32, f32);

#[expect(clippy::indexing_slicing, reason = "a checked tree splits on columns below the row's length")]
impl<T: Routed> Walk<'_, T> {
    /// Adds what the splits at and below a node contribute; `taken` of `parted` features above it were taken from the row.
    fn node(&mut self, at: usize, parted: usize, taken: usize) -> Result<Sums, Undefined> {
        let (feature, left, right) = match self.tree.node(at).ok_or(Undefined::Route)? {
            Node::Leaf(value) => return self.weights.leaf(value, parted, taken),
            Node::Split { feature, left, right } => (feature, left, right),
        };
        let of_row = self.tree.next(at, self.row).ok_or(Undefined::Route)?;
        let of_other = self.tree.next(at, self.other).ok_or(Undefined::Route)?;
        match self.sides[feature] {
            Some(Side::Row) => return self.node(of_row, parted, taken),
            Some(Side::Other) => return self.node(of_other, parted, taken),
            None if of_row == of_other => return self.node(of_row, parted, taken),
            None => {}
        }
        let mut child = |child| {
            let side = if child == of_row { Side::Row } else { Side::Other };
            self.sides[feature] = Some(side);
            let sums = self.node(child, parted + 1, taken + usize::from(side == Side::Row));
            self.sides[feature] = None;
            sums
        };
        // The left one first: its splits on the same feature of other ways are added before those of the right one.
        let (left_sums, right_sums) = (child(left)?, child(right)?);
        let ((row_for, row_against), (other_for, other_against)) =
            if of_row == left { (left_sums, right_sums) } else { (right_sums, left_sums) };
        self.into[feature] += f64::from(row_for + other_against);
        Ok((row_for + other_for, row_against + other_against))
    }
}

/// For *n* parting features and *m* of them from the row, the part of their orders in which just the *m* come first: 1 in n
/// times (n - 1 over m).
struct Weights([[f32; PARTING_MAX]; PARTING_MAX]);

impl Weights {
    #[expect(clippy::cast_possible_truncation, reason = "shap keeps weights in 32 bits")]
    fn new() -> Self {
        let mut table = [[0.0; PARTING_MAX]; PARTING_MAX];
        for (n, weights) in (1_u32..).zip(&mut table) {
            let mut ways = 1_u32;
            for (m, weight) in (0..n).zip(weights) {
                *weight = (1.0 / (f64::from(n) * f64::from(ways))) as f32;
                ways = ways * (n - 1 - m) / (m + 1);
            }
        }
        Self(table)
    }

    fn leaf(&self, value: f32, parted: usize, taken: usize) -> Result<Sums, Undefined> {
        let Some(of_parted) = parted.checked_sub(1) else { return Ok((0.0, 0.0)) };
        let weights = self.0.get(of_parted).ok_or(Undefined::Parting)?;
        let weight = |count: Option<usize>| count.and_then(|count| weights.get(count)).copied();
        let above =
            taken.checked_sub(1).map_or(0.0, |before| weight(Some(before)).unwrap_or_default() * value);
        let below = if taken < parted { -value * weight(Some(taken)).unwrap_or_default() } else { 0.0 };
        Ok((above, below))
    }
}

#[cfg(test)]
mod tests;
