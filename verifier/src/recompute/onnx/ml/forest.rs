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
    /// Where the weights of each node begin, and how many there are; of a split none.
    ends: Vec<(u32, u32)>,
    weights: Vec<(u32, T)>,
    sets: Vec<Vec<T>>,
    columns: usize,
    /// The output to which every leaf gives one weight, where that is so and there are trees.
    only_output: Option<usize>,
}

/// A tree's first node, and whether its rows walk in step.
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
    /// Where the row goes if the comparison holds; a leaf leads to itself.
    first: u32,
    /// Where it goes otherwise.
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
            ends: Vec::with_capacity(count),
            weights: Vec::new(),
            sets: Vec::new(),
            columns: 0,
            only_output: None,
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
        forest.only_output = forest.find_only_output();
        Ok(forest)
    }

    fn node(&mut self, sketch: Sketch<T>, count: usize) -> Result<Node<T>, &'static str> {
        let number = |place: usize| u32::try_from(place).map_err(|_| "has too many weights");
        let (column, condition, missing_is_true, if_true, if_false) = match sketch {
            Sketch::Leaf(weights) => {
                let &(_, value) = weights.first().ok_or("is a leaf without a weight")?;
                let own = number(self.nodes.len())?;
                self.ends.push((number(self.weights.len())?, number(weights.len())?));
                self.weights.extend(weights);
                return Ok(Node { feature: LEAF, value, first: own, second: own });
            }
            Sketch::Split { column, condition, missing_is_true, if_true, if_false } => {
                (column, condition, missing_is_true, if_true, if_false)
            }
        };
        self.ends.push((0, 0));
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

    /// The output to which every leaf gives one weight, where that is so and there are trees.
    pub(crate) fn only_output(&self) -> Option<usize> {
        self.only_output
    }

    fn find_only_output(&self) -> Option<usize> {
        let &(output, _) = self.weights.first()?;
        let is_only = self.weights.iter().all(|(other, _)| *other == output)
            && self.ends.iter().all(|(_, count)| *count <= 1);
        (is_only && !self.roots.is_empty()).then_some(output as usize)
    }

    /// What the leaf at this place gives each output that it has a weight for.
    pub(crate) fn weights(&self, at: usize) -> &[(u32, T)] {
        let (first, count) = self.ends.get(at).copied().unwrap_or_default();
        self.weights.get(first as usize..(first + count) as usize).unwrap_or_default()
    }

    /// The first weight of the leaf at this place.
    #[expect(clippy::indexing_slicing, reason = "a walk ends at a node that check found")]
    pub(crate) fn weight(&self, at: usize) -> T {
        self.nodes[at].value
    }

    /// Calls `each` with the place of every row's leaf, tree by tree. `items` are the rows one after another, each of `columns` items, at
    /// least [`Forest::columns`].
    pub(crate) fn leaves(&self, items: &[T], columns: usize, mut each: impl FnMut(usize, usize)) {
        for root in &self.roots {
            let mut number = 0;
            let mut one = |at| {
                each(number, at);
                number += 1;
            };
            let mut rest = items;
            if root.is_plain {
                let groups = items.chunks_exact(LANES * columns);
                rest = groups.remainder();
                groups.for_each(|group| {
                    self.walk_in_step(*root, group, columns).into_iter().for_each(&mut one)
                });
            }
            rest.chunks_exact(columns).for_each(|row| one(self.walk(*root, row)));
        }
    }

    /// Walks some rows side by side, so that the processor waits for several nodes at once, until all are at their leaves. The tree
    /// has thresholds only.
    #[expect(
        clippy::indexing_slicing,
        reason = "check proved that ways lead to nodes and splits name columns; a leaf reads column 0, which a model with splits has"
    )]
    fn walk_in_step(&self, root: Root, rows: &[T], columns: usize) -> [usize; LANES] {
        let nodes = self.nodes.as_slice();
        let mut places = [root.node as usize; LANES];
        for _ in 0..root.depth {
            let mut are_leaves = LEAF;
            for (lane, at) in places.iter_mut().enumerate() {
                let node = &nodes[*at];
                let value = rows[lane * columns + (node.feature & FEATURE) as usize];
                let first =
                    (value <= node.value) | (value.is_missing() & (node.feature & MISSING_FIRST != 0));
                are_leaves &= node.feature;
                *at = if first { node.first } else { node.second } as usize;
            }
            if are_leaves != 0 {
                break;
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
