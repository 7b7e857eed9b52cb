//! Contributions of the features to a margin: path-dependent TreeSHAP as XGBoost 1.0 to 3.2 compute it.
//!
//! *Guarantees*: the bits of `predict(pred_contribs=True)`: the same recursion, every operation in `f32` and in the library's order.
//!
//! *Does not do*: the quadrature that XGBoost uses since 3.3, which gives other bits; approximate contributions; interactions.
//!
//! A contribution is a share of the sum of products of weights of permutations. `pweight` of path element *i* is the weight of
//! paths of *i* features, `zero` and `one` say which part of the training rows, and whether the row, go this way.

use super::tree::Tree;

/// Splits on a way to a leaf. The work grows with the square of it, and the library's own default is 6.
pub(super) const DEPTH_MAX: usize = 512;

/// What the library itself refuses: a part of the path has no weight where its sum needs one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Undefined;

#[derive(Clone, Copy, Debug, Default)]
struct Element {
    /// The column, or none for the root's element.
    feature: Option<usize>,
    zero: f32,
    one: f32,
    weight: f32,
}

/// The mean of a tree's leaves, weighted by their training rows, at the root.
pub(super) fn mean(tree: &Tree) -> Option<f32> {
    mean_below(tree, 0)
}

fn mean_below(tree: &Tree, at: usize) -> Option<f32> {
    let node = tree.node(at)?;
    if node.is_leaf() {
        return Some(node.value());
    }
    let (left, right) = (node.left(), node.left() + 1);
    let mut sum = mean_below(tree, left)? * tree.cover(left)?;
    sum += mean_below(tree, right)? * tree.cover(right)?;
    Some(sum / tree.cover(at)?)
}

/// Scratch space of the recursion, reused from tree to tree and row to row.
#[derive(Debug, Default)]
pub(super) struct Explainer {
    path: Vec<Element>,
}

impl Explainer {
    /// Adds one tree's contributions for a row to `contributions`, which has one place a column.
    pub(super) fn add(
        &mut self,
        tree: &Tree,
        features: &[f32],
        contributions: &mut [f32],
    ) -> Result<(), Undefined> {
        // Below depth d a path has up to d + 2 elements, and each node on the way keeps its own copy.
        let longest = tree.depth() + 2;
        self.path.clear();
        self.path.resize(longest * (longest + 1) / 2 + longest, Element::default());
        let mut walk = Walk { tree, features, contributions };
        walk.node(0, 0, &mut self.path, Element { feature: None, zero: 1.0, one: 1.0, weight: 0.0 })
    }
}

struct Walk<'a> {
    tree: &'a Tree,
    features: &'a [f32],
    contributions: &'a mut [f32],
}

#[expect(
    clippy::indexing_slicing,
    reason = "the path has room for every depth of the tree; children and columns were checked with the tree"
)]
impl Walk<'_> {
    /// `above` starts with the parent's path of `depth` elements; this node's copy follows it.
    fn node(
        &mut self,
        at: usize,
        depth: usize,
        above: &mut [Element],
        entry: Element,
    ) -> Result<(), Undefined> {
        let (parent, rest) = above.split_at_mut(depth);
        rest[..depth].copy_from_slice(parent);
        extend(rest, depth, entry);
        let Some(node) = self.tree.node(at) else { return Err(Undefined) };
        if node.is_leaf() {
            for place in 1..=depth {
                let weight = unwound_sum(rest, depth, place)?;
                let element = rest[place];
                if let Some(feature) = element.feature {
                    self.contributions[feature] += weight * (element.one - element.zero) * node.value();
                }
            }
            return Ok(());
        }
        let feature = node.feature();
        let hot = self.tree.next(node, self.features);
        let cold = if hot == node.left() { node.left() + 1 } else { node.left() };
        let (Some(cover), Some(hot_cover), Some(cold_cover)) =
            (self.tree.cover(at), self.tree.cover(hot), self.tree.cover(cold))
        else {
            return Err(Undefined);
        };
        let mut length = depth + 1;
        let (mut zero, mut one) = (1.0, 1.0);
        if let Some(before) = (0..length).find(|place| rest[*place].feature == Some(feature)) {
            zero = rest[before].zero;
            one = rest[before].one;
            unwind(rest, depth, before);
            length -= 1;
        }
        let feature = Some(feature);
        let hot_entry = Element { feature, zero: hot_cover / cover * zero, one, weight: 0.0 };
        self.node(hot, length, rest, hot_entry)?;
        let cold_entry = Element { feature, zero: cold_cover / cover * zero, one: 0.0, weight: 0.0 };
        self.node(cold, length, rest, cold_entry)
    }
}

#[expect(clippy::cast_precision_loss, reason = "depths are bounded by DEPTH_MAX")]
fn float(count: usize) -> f32 {
    count as f32
}

/// Appends an element to a path of `depth` elements.
#[expect(clippy::indexing_slicing, reason = "the path has room for depth + 1 elements")]
fn extend(path: &mut [Element], depth: usize, entry: Element) {
    path[depth] = Element { weight: if depth == 0 { 1.0 } else { 0.0 }, ..entry };
    for i in (0..depth).rev() {
        path[i + 1].weight += entry.one * path[i].weight * float(i + 1) / float(depth + 1);
        path[i].weight = entry.zero * path[i].weight * float(depth - i) / float(depth + 1);
    }
}

/// Takes the element at `place` out of a path whose last element is at `depth`.
#[expect(clippy::indexing_slicing, reason = "place <= depth, and the path has depth + 1 elements")]
fn unwind(path: &mut [Element], depth: usize, place: usize) {
    let Element { zero, one, .. } = path[place];
    let mut next = path[depth].weight;
    for i in (0..depth).rev() {
        if one == 0.0 {
            path[i].weight = path[i].weight * float(depth + 1) / (zero * float(depth - i));
        } else {
            let before = path[i].weight;
            path[i].weight = next * float(depth + 1) / (float(i + 1) * one);
            next = before - path[i].weight * zero * float(depth - i) / float(depth + 1);
        }
    }
    for i in place..depth {
        let Element { feature, zero, one, .. } = path[i + 1];
        path[i] = Element { feature, zero, one, weight: path[i].weight };
    }
}

/// The weight that the path would have without the element at `place`.
#[expect(clippy::indexing_slicing, reason = "place <= depth, and the path has depth + 1 elements")]
fn unwound_sum(path: &[Element], depth: usize, place: usize) -> Result<f32, Undefined> {
    let Element { zero, one, .. } = path[place];
    let mut next = path[depth].weight;
    let mut total = 0.0;
    for i in (0..depth).rev() {
        if one != 0.0 {
            let part = next * float(depth + 1) / (float(i + 1) * one);
            total += part;
            next = path[i].weight - part * zero * (float(depth - i) / float(depth + 1));
        } else if zero != 0.0 {
            total += path[i].weight / zero / (float(depth - i) / float(depth + 1));
        } else if path[i].weight != 0.0 {
            return Err(Undefined);
        }
    }
    Ok(total)
}
