//! Trees as the columns of one table, which is what tensor operations look things up in.
//!
//! *Guarantees*: a split's two children stand side by side, so that a step is one lookup and one subtraction; a leaf leads to itself
//! whatever the row holds, so that every row may take as many steps as the deepest way has. Nodes that the root does not reach are left out.
//! The caller's trees were checked: no way leads in a circle, and every split names a column of the model.
//!
//! *Does not do*: round, add or compare; the numbers of a model are copied.

use candle_core::WithDType;

use super::TensorError;

/// Nodes of all trees together: 2^28 of them take 6 GiB in `f64`.
const NODES_MAX: usize = 1 << 28;

/// Categories up to the greatest that each split lists, over all splits: a byte each.
const CATEGORIES_MAX: usize = 1 << 26;

/// When a number goes the first way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::recompute) enum Comparison {
    Below,
    AtMost,
}

/// Which numbers below zero are category zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::recompute) enum BelowZero {
    NoCategory,
    /// Those above -1, whose fraction is dropped.
    FractionDropped,
}

/// A node as a format gives it; places are the format's own.
#[derive(Clone, Copy, Debug)]
pub(in crate::recompute) enum Sketch<'a, T> {
    Leaf(T),
    Split {
        column: usize,
        test: Test<'a, T>,
        missing_first: bool,
        /// Where zero goes, if not where the test sends it.
        zero_first: Option<bool>,
        first: usize,
        second: usize,
    },
}

/// What sends a value the first way.
#[derive(Clone, Copy, Debug)]
pub(in crate::recompute) enum Test<'a, T> {
    Threshold(T),
    Categories {
        listed: &'a [u32],
        /// Whether a listed category goes the first way, or one that is not listed.
        listed_first: bool,
    },
}

/// A tree of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Root {
    pub(super) node: u32,
    /// Splits on the longest way.
    pub(super) depth: usize,
    pub(super) output: usize,
}

/// What a model's margins are made of.
#[derive(Clone, Debug)]
pub(in crate::recompute) struct Table<T> {
    pub(super) comparison: Comparison,
    pub(super) below_zero: BelowZero,
    /// Columns of a row.
    pub(super) columns: usize,
    /// What each output's sum begins with.
    pub(super) starts: Vec<T>,
    /// In the order in which they are added.
    pub(super) roots: Vec<Root>,
    pub(super) nodes: Nodes<T>,
    pub(super) has_zero_rule: bool,
}

/// One item a node in each list.
#[derive(Clone, Debug)]
pub(super) struct Nodes<T> {
    pub(super) columns: Vec<u32>,
    pub(super) thresholds: Vec<T>,
    /// The second child; the first one stands before it. One more than its own place in a leaf.
    pub(super) seconds: Vec<u32>,
    pub(super) missing_first: Vec<u8>,
    pub(super) zero_first: Vec<u8>,
    /// A leaf's value.
    pub(super) values: Vec<T>,
    pub(super) by_category: Vec<u8>,
    /// Where a split's categories begin in [`Nodes::categories`].
    pub(super) lists: Vec<u32>,
    /// How many categories it has there; behind them stands what holds for all others.
    pub(super) list_lengths: Vec<T>,
    /// Whether a category goes the first way.
    pub(super) categories: Vec<u8>,
}

impl<T: WithDType> Table<T> {
    pub(in crate::recompute) fn new(
        comparison: Comparison,
        below_zero: BelowZero,
        columns: usize,
        starts: Vec<T>,
    ) -> Self {
        let nodes = Nodes {
            columns: Vec::new(),
            thresholds: Vec::new(),
            seconds: Vec::new(),
            missing_first: Vec::new(),
            zero_first: Vec::new(),
            values: Vec::new(),
            by_category: Vec::new(),
            lists: Vec::new(),
            list_lengths: Vec::new(),
            // What a node without a list looks up and does not use.
            categories: vec![0],
        };
        Self { comparison, below_zero, columns, starts, roots: Vec::new(), nodes, has_zero_rule: false }
    }

    /// Takes a tree in, from its root; `node` gives the node at a place of the format's own.
    pub(in crate::recompute) fn add<'a>(
        &mut self,
        output: usize,
        root: usize,
        node: impl Fn(usize) -> Option<Sketch<'a, T>>,
    ) -> Result<(), TensorError> {
        let missing =
            || TensorError::Unsupported { what: "a tree that is not what it was when it was checked" };
        let base = self.nodes.seconds.len();
        let mut places = vec![root];
        let mut depth = 0;
        let (mut done, mut level_ends) = (0, 1);
        // Level by level, so that children are put behind everything that is there.
        while let Some(&place) = places.get(done) {
            if done == level_ends {
                (level_ends, depth) = (places.len(), depth + 1);
            }
            match node(place).ok_or_else(missing)? {
                Sketch::Leaf(value) => self.leaf(base + done, value)?,
                Sketch::Split { column, test, missing_first, zero_first, first, second } => {
                    let second_at = base + places.len() + 1;
                    places.extend([first, second]);
                    self.split(column, test, missing_first, zero_first, second_at)?;
                }
            }
            done += 1;
        }
        self.roots.push(Root { node: number(base)?, depth, output });
        Ok(())
    }

    fn leaf(&mut self, at: usize, value: T) -> Result<(), TensorError> {
        let nodes = &mut self.nodes;
        nodes.seconds.push(number(at + 1)?);
        nodes.columns.push(0);
        nodes.thresholds.push(T::from_f64(f64::INFINITY));
        nodes.missing_first.push(1);
        nodes.zero_first.push(1);
        nodes.values.push(value);
        nodes.by_category.push(0);
        nodes.lists.push(0);
        nodes.list_lengths.push(T::zero());
        Ok(())
    }

    fn split(
        &mut self,
        column: usize,
        test: Test<'_, T>,
        missing_first: bool,
        zero_first: Option<bool>,
        second: usize,
    ) -> Result<(), TensorError> {
        let comparison = self.comparison;
        let nodes = &mut self.nodes;
        nodes.seconds.push(number(second)?);
        nodes.columns.push(number(column)?);
        nodes.missing_first.push(u8::from(missing_first));
        nodes.values.push(T::zero());
        self.has_zero_rule |= zero_first.is_some();
        let zero_by_test = match test {
            Test::Threshold(threshold) => {
                nodes.thresholds.push(threshold);
                nodes.by_category.push(0);
                nodes.lists.push(0);
                nodes.list_lengths.push(T::zero());
                match comparison {
                    Comparison::Below => T::zero() < threshold,
                    Comparison::AtMost => T::zero() <= threshold,
                }
            }
            Test::Categories { listed, listed_first } => {
                let length = listed.iter().max().map_or(0, |greatest| *greatest as usize + 1);
                let begin = nodes.categories.len();
                let found = begin.saturating_add(length).saturating_add(1);
                if found > CATEGORIES_MAX {
                    let what = "categories up to the greatest of each split";
                    return Err(TensorError::Limit { what, found, max: CATEGORIES_MAX });
                }
                nodes.thresholds.push(T::zero());
                nodes.by_category.push(1);
                nodes.lists.push(number(begin)?);
                nodes.list_lengths.push(T::from_f64(length as f64));
                nodes.categories.resize(found, u8::from(!listed_first));
                for category in listed {
                    if let Some(place) = nodes.categories.get_mut(begin + *category as usize) {
                        *place = u8::from(listed_first);
                    }
                }
                nodes.categories.get(begin) == Some(&1)
            }
        };
        nodes.zero_first.push(u8::from(zero_first.unwrap_or(zero_by_test)));
        Ok(())
    }

    pub(super) fn has_categories(&self) -> bool {
        self.nodes.by_category.contains(&1)
    }
}

/// A place among the nodes, or a column.
fn number(place: usize) -> Result<u32, TensorError> {
    let fits = u32::try_from(place).ok().filter(|_| place <= NODES_MAX);
    fits.ok_or(TensorError::Limit { what: "nodes of trees", found: place, max: NODES_MAX })
}
