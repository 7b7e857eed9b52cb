//! Path-dependent TreeSHAP, in the order of operations that XGBoost (up to 3.2, in `f32`) and LightGBM (in `f64`) share.
//!
//! *Guarantees*: the libraries' recursion, operation by operation, in the tree's own type of number.
//!
//! *Does not do*: the quadrature that XGBoost uses since 3.3, which gives other bits; approximations; interactions; the part of
//! a contribution that is the same for every row, which the libraries sum in ways of their own.
//!
//! A contribution is a share of the sum of products of weights of permutations. The weight of path element *i* is that of
//! paths of *i* features; `zero` and `one` say which part of the training rows, and whether the row, go this way.

use std::ops::{Add, AddAssign, Div, Mul, Sub};

/// Splits on a way to a leaf. The work grows with the square of it, and the libraries' own trees have far fewer.
pub(super) const DEPTH_MAX: usize = 512;

/// Path elements whose weights are computed side by side.
const LANES: usize = 4;

/// `f32` or `f64`.
pub(super) trait Number:
    Copy
    + PartialEq
    + Add<Output = Self>
    + AddAssign
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
{
    const ZERO: Self;
    const ONE: Self;

    /// A number of path elements, which [`DEPTH_MAX`] bounds.
    fn count(count: usize) -> Self;
}

#[expect(clippy::cast_precision_loss, reason = "depths are bounded by DEPTH_MAX")]
impl Number for f32 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;

    fn count(count: usize) -> Self {
        count as Self
    }
}

#[expect(clippy::cast_precision_loss, reason = "depths are bounded by DEPTH_MAX")]
impl Number for f64 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;

    fn count(count: usize) -> Self {
        count as Self
    }
}

/// A node of a checked tree.
pub(super) enum Node<F> {
    /// The value of a leaf.
    Leaf(F),
    /// A split: its column, where the row goes, and where it does not go.
    Split { feature: usize, hot: usize, cold: usize },
}

/// A tree whose walks were checked to end within [`Explained::depth`] splits.
pub(super) trait Explained {
    /// The type in which the library computes.
    type Float: Number;

    /// Whether the library stops where a path element has no weight at all, instead of dividing by zero.
    const REFUSES_NO_WEIGHT: bool;

    /// The node that a walk reached, for a row of the model's length; none past the tree.
    fn node(&self, at: usize, row: &[Self::Float]) -> Option<Node<Self::Float>>;

    /// The weight of the training rows at a node.
    fn cover(&self, at: usize) -> Option<Self::Float>;

    /// Splits on the longest way to a leaf.
    fn depth(&self) -> usize;
}

/// The library defines no contributions: a part of the path has no weight where its sum needs one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Undefined;

#[derive(Clone, Copy, Debug)]
struct Element<F> {
    /// The column, or none for the root's element.
    feature: Option<usize>,
    zero: F,
    one: F,
    weight: F,
}

/// Scratch space of the recursion, reused from tree to tree.
#[derive(Debug, Default)]
pub(super) struct Explainer<F> {
    path: Vec<Element<F>>,
    /// For each depth: `(depth - i) / (depth + 1)` of every place `i` before it.
    shares: Vec<Vec<F>>,
}

impl<F: Number> Explainer<F> {
    /// Adds one tree's contributions for a row to `contributions`, which has a place for each column.
    pub(super) fn add<T: Explained<Float = F>>(
        &mut self,
        tree: &T,
        row: &[F],
        contributions: &mut [F],
    ) -> Result<(), Undefined> {
        // A node below d splits has a path of up to d + 1 elements, and each node on the way keeps its own copy.
        let longest = tree.depth() + 2;
        let nothing = Element { feature: None, zero: F::ONE, one: F::ONE, weight: F::ZERO };
        self.path.clear();
        self.path.resize(longest * (longest + 1) / 2 + longest, nothing);
        let shares = |depth| (0..depth).map(|i| F::count(depth - i) / F::count(depth + 1)).collect();
        self.shares.extend((self.shares.len()..longest).map(shares));
        Walk { tree, row, contributions, shares: &self.shares }.node(0, 0, &mut self.path, nothing)
    }
}

struct Walk<'a, T: Explained> {
    tree: &'a T,
    row: &'a [T::Float],
    contributions: &'a mut [T::Float],
    shares: &'a [Vec<T::Float>],
}

#[expect(
    clippy::indexing_slicing,
    reason = "the path has room for every depth of the tree; children and columns were checked with the tree"
)]
impl<T: Explained> Walk<'_, T> {
    /// `above` starts with the parent's path of `depth` elements; this node's copy follows it.
    fn node(
        &mut self,
        at: usize,
        depth: usize,
        above: &mut [Element<T::Float>],
        entry: Element<T::Float>,
    ) -> Result<(), Undefined> {
        let (parent, path) = above.split_at_mut(depth);
        path[..depth].copy_from_slice(parent);
        extend(path, depth, entry);
        let (feature, hot, cold) = match self.tree.node(at, self.row).ok_or(Undefined)? {
            Node::Leaf(value) => return self.leaf(path, depth, value),
            Node::Split { feature, hot, cold } => (feature, hot, cold),
        };
        let cover = |at| self.tree.cover(at).ok_or(Undefined);
        let (hot_share, cold_share) = (cover(hot)? / cover(at)?, cover(cold)? / cover(at)?);
        let mut length = depth + 1;
        let (mut zero, mut one) = (T::Float::ONE, T::Float::ONE);
        if let Some(before) = (0..length).find(|place| path[*place].feature == Some(feature)) {
            (zero, one) = (path[before].zero, path[before].one);
            unwind(path, depth, before);
            length -= 1;
        }
        let entry = |share: T::Float, one| Element {
            feature: Some(feature),
            zero: share * zero,
            one,
            weight: T::Float::ZERO,
        };
        self.node(hot, length, path, entry(hot_share, one))?;
        self.node(cold, length, path, entry(cold_share, T::Float::ZERO))
    }

    /// Adds a leaf's share to every column of the path; no two elements have the same.
    fn leaf(&mut self, path: &[Element<T::Float>], depth: usize, value: T::Float) -> Result<(), Undefined> {
        let (path, shares) = (&path[..=depth], &self.shares[depth]);
        for goes in [true, false] {
            let mut elements = path[1..].iter().filter(|element| (element.one != T::Float::ZERO) == goes);
            while let Some(first) = elements.next() {
                let mut group = [first; LANES];
                let mut count = 1;
                for (place, element) in group.iter_mut().skip(1).zip(&mut elements) {
                    *place = element;
                    count += 1;
                }
                let zeros = group.map(|element| element.zero);
                let weights = match goes {
                    true => without_taken(path, shares, zeros),
                    false => without_left::<T>(path, shares, zeros)?,
                };
                for (element, weight) in group.into_iter().zip(weights).take(count) {
                    if let Some(feature) = element.feature {
                        self.contributions[feature] += weight * (element.one - element.zero) * value;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Appends an element to a path of `depth` elements.
#[expect(clippy::indexing_slicing, reason = "the path has room for depth + 1 elements")]
fn extend<F: Number>(path: &mut [Element<F>], depth: usize, entry: Element<F>) {
    path[depth] = Element { weight: if depth == 0 { F::ONE } else { F::ZERO }, ..entry };
    for i in (0..depth).rev() {
        let weight = path[i].weight;
        path[i + 1].weight += entry.one * weight * F::count(i + 1) / F::count(depth + 1);
        path[i].weight = entry.zero * weight * F::count(depth - i) / F::count(depth + 1);
    }
}

/// Takes the element at `place` out of a path whose last element is at `depth`.
#[expect(clippy::indexing_slicing, reason = "place <= depth, and the path has depth + 1 elements")]
fn unwind<F: Number>(path: &mut [Element<F>], depth: usize, place: usize) {
    let Element { zero, one, .. } = path[place];
    let mut next = path[depth].weight;
    for i in (0..depth).rev() {
        let before = path[i].weight;
        if one == F::ZERO {
            path[i].weight = before * F::count(depth + 1) / (zero * F::count(depth - i));
        } else {
            path[i].weight = next * F::count(depth + 1) / (F::count(i + 1) * one);
            next = before - path[i].weight * zero * F::count(depth - i) / F::count(depth + 1);
        }
    }
    for i in place..depth {
        path[i] = Element { weight: path[i].weight, ..path[i + 1] };
    }
}

/// The weights that a path would have without each of some elements whose way the row takes: their `one` is 1.
fn without_taken<F: Number>(path: &[Element<F>], shares: &[F], zeros: [F; LANES]) -> [F; LANES] {
    let mut totals = [F::ZERO; LANES];
    let Some((last, path)) = path.split_last() else { return totals };
    let all = F::count(path.len() + 1);
    let mut nexts = [last.weight; LANES];
    for ((i, element), share) in path.iter().enumerate().zip(shares).rev() {
        let before = F::count(i + 1);
        let parts = nexts.map(|next| next * all / before);
        totals = both(totals, parts, |total, part| total + part);
        nexts = both(parts, zeros, |part, zero| element.weight - part * zero * *share);
    }
    totals
}

/// The same of elements whose way the row does not take: their `one` is 0.
fn without_left<T: Explained>(
    path: &[Element<T::Float>],
    shares: &[T::Float],
    zeros: [T::Float; LANES],
) -> Result<[T::Float; LANES], Undefined> {
    let mut totals = [T::Float::ZERO; LANES];
    let Some((_, path)) = path.split_last() else { return Ok(totals) };
    for (element, share) in path.iter().zip(shares).rev() {
        let parts = zeros.map(|zero| element.weight / zero / *share);
        totals = both(totals, parts, |total, part| total + part);
    }
    if T::REFUSES_NO_WEIGHT && zeros.contains(&T::Float::ZERO) {
        if path.iter().any(|element| element.weight != T::Float::ZERO) {
            return Err(Undefined);
        }
        totals = both(totals, zeros, |total, zero| if zero == T::Float::ZERO { zero } else { total });
    }
    Ok(totals)
}

#[expect(clippy::indexing_slicing, reason = "both have LANES numbers")]
fn both<F: Copy>(a: [F; LANES], b: [F; LANES], of: impl Fn(F, F) -> F) -> [F; LANES] {
    std::array::from_fn(|lane| of(a[lane], b[lane]))
}
