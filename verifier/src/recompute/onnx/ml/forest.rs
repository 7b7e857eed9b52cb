//! The trees of an ensemble, checked once so that walking them cannot fail.
//!
//! *Guarantees*: every node reached from a root splits on a column that is below [`Forest::columns`] and leads to two nodes that
//! exist, and no way leads in a circle. Several ways may lead to one node: converters write a split on a set of
//! categories as a chain of comparisons with the same end. A comparison is the engine's own: with a missing value it is false, but
//! for "unequal", unless the node says that missing values go the true way.
//!
//! *Does not do*: make a score of the leaves' weights.

use std::ops::{Add, Div, Mul, Neg, Sub};

/// The type of thresholds, weights and sums.
pub(crate) trait Float:
    Copy
    + std::fmt::Debug
    + PartialOrd
    + From<f32>
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + Send
    + Sync
    + 'static
{
    /// Rounded to 32 bits.
    fn narrow(self) -> f32;
    fn is_missing(self) -> bool;
    /// The next number below; none below the lowest.
    fn below(self) -> Option<Self>;
    fn of_count(count: usize) -> Self;
}

impl Float for f32 {
    fn narrow(self) -> f32 {
        self
    }

    fn is_missing(self) -> bool {
        self.is_nan()
    }

    fn below(self) -> Option<Self> {
        (self != Self::NEG_INFINITY).then(|| self.next_down())
    }

    fn of_count(count: usize) -> Self {
        count as Self
    }
}

impl Float for f64 {
    #[expect(clippy::cast_possible_truncation, reason = "the engine rounds here, too")]
    fn narrow(self) -> f32 {
        self as f32
    }

    fn is_missing(self) -> bool {
        self.is_nan()
    }

    fn below(self) -> Option<Self> {
        (self != Self::NEG_INFINITY).then(|| self.next_down())
    }

    fn of_count(count: usize) -> Self {
        count as Self
    }
}

/// What a split compares with.
#[derive(Clone, Debug)]
pub(crate) enum Condition<T> {
    AtMost(T),
    Below(T),
    AtLeast(T),
    Above(T),
    Equal(T),
    Unequal(T),
    Member(Vec<T>),
}

/// A node as a file gives it.
#[derive(Clone, Debug)]
pub(crate) enum Sketch<T> {
    Split {
        column: usize,
        condition: Condition<T>,
        missing_is_true: bool,
        /// Places among the sketches.
        if_true: usize,
        if_false: usize,
    },
    /// Outputs and what the leaf gives them.
    Leaf(Vec<(u32, T)>),
}

/// Nodes of all trees, and where each tree begins.
#[derive(Clone, Debug)]
pub(crate) struct Forest<T> {
    nodes: Vec<Node<T>>,
    roots: Vec<Root>,
    weights: Vec<(u32, T)>,
    sets: Vec<Vec<T>>,
    columns: usize,
}

/// A tree's first node, and whether its rows may walk in step.
#[derive(Clone, Copy, Debug)]
struct Root {
    node: u32,
    /// Splits on the longest way.
    depth: u32,
    is_plain: bool,
}

/// A split or a leaf.
#[derive(Clone, Copy, Debug)]
struct Node<T> {
    /// The column of a split, and in the top bits what kind of node it is.
    feature: u32,
    /// The threshold; of a leaf its first weight. A set's place, as bits.
    value: T,
    /// Where the row goes if the comparison holds; of a leaf its first weight's place.
    first: u32,
    /// Where it goes otherwise; of a leaf its number of weights.
    second: u32,
}

/// Missing values go the first way.
const MISSING_FIRST: u32 = 1 << 31;
/// The value must equal the threshold, not be at most the threshold.
const EQUAL: u32 = 1 << 30;
const LEAF: u32 = 1 << 29;
/// The value must be in the set whose place is [`Node::value`].
const MEMBER: u32 = 1 << 28;
const FEATURE: u32 = MEMBER - 1;

/// Rows that are walked side by side.
const LANES: usize = 8;

/// Walking in step goes to the deepest leaf for every row, so it pays for even trees only.
const DEPTH_IN_STEP_MAX: u32 = 12;

/// A leaf that a row fell into.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leaf {
    first: u32,
    count: u32,
}

impl<T: Float> Forest<T> {
    /// Checks nodes and the places of the roots among them.
    pub(crate) fn check(sketches: Vec<Sketch<T>>, roots: &[usize]) -> Result<Self, (usize, &'static str)> {
        let count = sketches.len();
        if u32::try_from(count).is_err() {
            return Err((0, "has more nodes than can be numbered"));
        }
        let mut forest = Self {
            nodes: Vec::with_capacity(count),
            roots: Vec::new(),
            weights: Vec::new(),
            sets: Vec::new(),
            columns: 0,
        };
        for (at, sketch) in sketches.into_iter().enumerate() {
            let node = forest.node(sketch, count).map_err(|problem| (at, problem))?;
            forest.nodes.push(node);
        }
        let depths = forest.depths()?;
        for root in roots {
            let (Some(&(depth, is_plain)), Ok(node)) = (depths.get(*root), u32::try_from(*root)) else {
                return Err((*root, "is a root that is no node"));
            };
            forest.roots.push(Root { node, depth, is_plain });
        }
        Ok(forest)
    }

    fn node(&mut self, sketch: Sketch<T>, count: usize) -> Result<Node<T>, &'static str> {
        let number = |place: usize| u32::try_from(place).map_err(|_| "has too many weights");
        let (column, condition, missing_is_true, if_true, if_false) = match sketch {
            Sketch::Leaf(weights) => {
                let &(_, value) = weights.first().ok_or("is a leaf without a weight")?;
                let (first, second) = (number(self.weights.len())?, number(weights.len())?);
                self.weights.extend(weights);
                return Ok(Node { feature: LEAF, value, first, second });
            }
            Sketch::Split { column, condition, missing_is_true, if_true, if_false } => {
                (column, condition, missing_is_true, if_true, if_false)
            }
        };
        if if_true >= count || if_false >= count {
            return Err("leads to a node that the model does not have");
        }
        let feature = u32::try_from(column).ok().filter(|column| *column <= FEATURE);
        let feature = feature.ok_or("splits on a column that no row has")?;
        self.columns = self.columns.max(column + 1);
        let (yes, no) = (number(if_true)?, number(if_false)?);
        // The lowest number has none below it, so nothing is below it: no number is at most a missing one.
        let below = |value: T| value.below().unwrap_or(T::from(f32::NAN));
        let nan =
            |value: T| if value.is_missing() { Err("compares with what is no number") } else { Ok(value) };
        let flag = |missing_first: bool| if missing_first { MISSING_FIRST } else { 0 };
        Ok(match condition {
            Condition::AtMost(value) => {
                Node { feature: feature | flag(missing_is_true), value: nan(value)?, first: yes, second: no }
            }
            Condition::Below(value) => Node {
                feature: feature | flag(missing_is_true),
                value: below(nan(value)?),
                first: yes,
                second: no,
            },
            Condition::Above(value) => {
                Node { feature: feature | flag(!missing_is_true), value: nan(value)?, first: no, second: yes }
            }
            Condition::AtLeast(value) => Node {
                feature: feature | flag(!missing_is_true),
                value: below(nan(value)?),
                first: no,
                second: yes,
            },
            Condition::Equal(value) => Node {
                feature: feature | EQUAL | flag(missing_is_true),
                value: nan(value)?,
                first: yes,
                second: no,
            },
            Condition::Unequal(value) => {
                Node { feature: feature | EQUAL, value: nan(value)?, first: no, second: yes }
            }
            Condition::Member(set) => {
                let place = f32::from_bits(number(self.sets.len())?);
                self.sets.push(set);
                let feature = feature | MEMBER | flag(missing_is_true);
                Node { feature, value: T::from(place), first: yes, second: no }
            }
        })
    }

    /// For each node the splits on the longest way to a leaf, and whether all of them are thresholds; an error where a way leads in
    /// a circle.
    fn depths(&self) -> Result<Vec<(u32, bool)>, (usize, &'static str)> {
        const NEW: u8 = 0;
        const OPEN: u8 = 1;
        const DONE: u8 = 2;
        let mut states = vec![NEW; self.nodes.len()];
        let mut depths = vec![(0_u32, true); self.nodes.len()];
        for start in 0..self.nodes.len() {
            let mut ways = vec![start];
            while let Some(&at) = ways.last() {
                let (Some(node), Some(state)) = (self.nodes.get(at), states.get_mut(at)) else { break };
                let children = [node.first as usize, node.second as usize];
                if *state == DONE || node.feature & LEAF != 0 {
                    *state = DONE;
                    ways.pop();
                } else if *state == NEW {
                    *state = OPEN;
                    let open = |child: &usize| states.get(*child) == Some(&OPEN);
                    if children.iter().any(open) {
                        return Err((at, "leads back to itself"));
                    }
                    ways.extend(children.iter().filter(|child| states.get(**child) == Some(&NEW)));
                } else {
                    *state = DONE;
                    let of = |child: usize| depths.get(child).copied().unwrap_or_default();
                    let ((a, a_plain), (b, b_plain)) = (of(children[0]), of(children[1]));
                    let plain = node.feature & (EQUAL | MEMBER) == 0;
                    if let Some(depth) = depths.get_mut(at) {
                        *depth = (a.max(b) + 1, plain && a_plain && b_plain);
                    }
                    ways.pop();
                }
            }
        }
        Ok(depths)
    }

    /// Columns that a row must have.
    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    /// Columns on which a split on a set of categories stands.
    pub(crate) fn category_columns(&self) -> impl Iterator<Item = usize> {
        let nodes = self.nodes.iter().filter(|node| node.feature & (LEAF | MEMBER) == MEMBER);
        let columns: std::collections::BTreeSet<u32> = nodes.map(|node| node.feature & FEATURE).collect();
        columns.into_iter().map(|column| column as usize)
    }

    pub(crate) fn tree_count(&self) -> usize {
        self.roots.len()
    }

    /// What a leaf gives each output that it has a weight for.
    pub(crate) fn weights(&self, leaf: Leaf) -> &[(u32, T)] {
        let (first, count) = (leaf.first as usize, leaf.count as usize);
        self.weights.get(first..first + count).unwrap_or_default()
    }

    /// Calls `each` with the leaf of every row, tree by tree; a row has at least [`Forest::columns`] items.
    pub(crate) fn leaves(&self, rows: &[&[T]], mut each: impl FnMut(usize, Leaf)) {
        for root in &self.roots {
            let (groups, rest) = rows.as_chunks::<LANES>();
            let mut number = 0;
            for group in groups {
                if root.is_plain && root.depth <= DEPTH_IN_STEP_MAX {
                    for at in self.walk_in_step(*root, group) {
                        each(number, self.leaf(at));
                        number += 1;
                    }
                } else {
                    for row in group {
                        each(number, self.leaf(self.walk(*root, row)));
                        number += 1;
                    }
                }
            }
            for row in rest {
                each(number, self.leaf(self.walk(*root, row)));
                number += 1;
            }
        }
    }

    #[expect(clippy::indexing_slicing, reason = "a walk ends at a node that check found")]
    fn leaf(&self, at: usize) -> Leaf {
        let node = &self.nodes[at];
        Leaf { first: node.first, count: node.second }
    }

    /// Walks some rows side by side, so that the processor waits for several nodes at once. A row that is at its leaf stays
    /// there. The tree has thresholds only.
    #[expect(
        clippy::indexing_slicing,
        reason = "check proved that ways lead to nodes; a leaf reads column 0, which a model with splits has"
    )]
    fn walk_in_step(&self, root: Root, rows: &[&[T]; LANES]) -> [usize; LANES] {
        let nodes = self.nodes.as_slice();
        let mut places = [root.node as usize; LANES];
        for _ in 0..root.depth {
            for (at, row) in places.iter_mut().zip(rows) {
                let node = &nodes[*at];
                let value = row[(node.feature & FEATURE) as usize];
                let first =
                    (value <= node.value) | (value.is_missing() & (node.feature & MISSING_FIRST != 0));
                let child = if first { node.first } else { node.second } as usize;
                *at = if node.feature & LEAF == 0 { child } else { *at };
            }
        }
        places
    }

    /// The leaf's place that a row falls into.
    #[expect(
        clippy::indexing_slicing,
        reason = "check proved that ways lead to nodes and splits name columns below Forest::columns"
    )]
    fn walk(&self, root: Root, row: &[T]) -> usize {
        let mut at = root.node as usize;
        loop {
            let node = &self.nodes[at];
            if node.feature & LEAF != 0 {
                return at;
            }
            let value = row[(node.feature & FEATURE) as usize];
            let holds = if node.feature & (EQUAL | MEMBER) == 0 {
                value <= node.value
            } else if node.feature & EQUAL != 0 {
                value == node.value
            } else {
                let set = self.sets.get(node.value.narrow().to_bits() as usize);
                set.is_some_and(|set| set.contains(&value))
            };
            let first = holds || (value.is_missing() && node.feature & MISSING_FIRST != 0);
            at = if first { node.first } else { node.second } as usize;
        }
    }
}
