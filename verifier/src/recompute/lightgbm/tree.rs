//! One tree of a LightGBM model, checked once so that walking it cannot fail.
//!
//! *Guarantees*: every split reached from the root names a column and children that exist, each node is reached over one way
//! only, thresholds and leaves are numbers. The rules for missing values, zeros and categories are the library's.
//!
//! *Does not do*: sum over trees.

mod shap;

use super::text::Section;
use crate::recompute::error::{ModelError, malformed};

/// What the library takes for zero: 1e-35 as `f32`, widened.
pub(super) fn is_zero(value: f64) -> bool {
    value.abs() <= f64::from(1e-35_f32)
}

/// A tree; splits stand at their own number, leaf *n* behind the splits.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    splits: Vec<Split>,
    leaves: Vec<f64>,
    /// Training rows of each split and then of each leaf; empty if the file has none.
    counts: Vec<f64>,
    /// The linear part of each leaf, in a tree that has one.
    linear: Option<Vec<LinearLeaf>>,
    categories: Vec<Vec<u32>>,
    depth: usize,
    /// The splits and then the leaves for walking in step; empty for trees that are walked row by row.
    steps: Vec<Step>,
}

/// Rows that are walked side by side.
const LANES: usize = 8;

/// Walking in step goes to the deepest leaf for every row, so it pays for trees that are not too uneven.
const DEPTH_IN_STEP_MAX: usize = 24;

/// A split or leaf as walking in step needs it: no kind to branch on, and a leaf leads to itself.
#[derive(Clone, Copy, Debug)]
struct Step {
    threshold: f64,
    feature: u32,
    left: u32,
    right: u32,
    nan_missing: bool,
    zero_missing: bool,
    default_left: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Split {
    pub(super) threshold: f64,
    pub(super) feature: u32,
    pub(super) left: u32,
    pub(super) right: u32,
    pub(super) rule: Rule,
    pub(super) default_left: bool,
}

/// How a value is compared, by the type of missing values that the column had in training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// NaN counts as zero.
    NoMissing,
    /// Zero and NaN are missing.
    ZeroMissing,
    /// NaN is missing.
    NanMissing,
    /// The threshold is the number of a list of categories.
    Categories,
}

#[derive(Clone, Debug, Default)]
struct LinearLeaf {
    constant: f64,
    /// Columns and their coefficients.
    terms: Vec<(usize, f64)>,
}

impl Tree {
    /// Checks a tree of the file for a model of `feature_count` columns.
    pub(super) fn check(section: &Section<'_>, feature_count: usize) -> Result<Self, ModelError> {
        let leaf_count: usize = section.number("num_leaves")?;
        let leaves: Vec<f64> = section.list("leaf_value", leaf_count)?;
        if leaves.is_empty() || leaves.iter().any(|value| !value.is_finite()) {
            return Err(malformed(section.place("leaf_value"), "holds no or not only finite numbers"));
        }
        let categories = categories_of(section)?;
        let splits = splits_of(section, leaves.len() - 1, categories.len())?;
        let linear = linear_of(section, leaves.len(), feature_count)?;
        let counts = counts_of(section, splits.len(), leaves.len())?;
        let mut tree = Self { splits, leaves, counts, linear, categories, depth: 0, steps: Vec::new() };
        tree.depth = tree.check_reached(section, feature_count)?;
        if tree.categories.is_empty() && tree.linear.is_none() && tree.depth <= DEPTH_IN_STEP_MAX {
            tree.steps = tree.steps();
        }
        Ok(tree)
    }

    /// What the tree adds for a row of the model's length.
    pub(super) fn value(&self, row: &[f64]) -> f64 {
        let leaf = self.leaf(row);
        let value = self.leaves.get(leaf).copied().unwrap_or_default();
        let Some(linear) = self.linear.as_ref().and_then(|leaves| leaves.get(leaf)) else { return value };
        let mut output = linear.constant;
        for (feature, coefficient) in &linear.terms {
            let input = row.get(*feature).copied().unwrap_or(f64::NAN);
            if input.is_nan() {
                return value;
            }
            output += coefficient * input;
        }
        output
    }

    /// What the tree adds for rows of the model's length, in the order of the rows.
    pub(super) fn values(&self, rows: &[&[f64]], into: &mut [f64]) {
        let (groups, rest) = rows.as_chunks::<LANES>();
        let (into_groups, into_rest) = into.as_chunks_mut::<LANES>();
        for (group, into) in groups.iter().zip(into_groups.iter_mut()) {
            if self.steps.is_empty() {
                group.iter().zip(into).for_each(|(row, into)| *into = self.value(row));
            } else {
                self.values_in_step(group, into);
            }
        }
        // Where rows are left over, as many places are: those behind the groups that the rows filled.
        let behind = into_groups.iter_mut().skip(groups.len()).flatten().chain(into_rest);
        rest.iter().zip(behind).for_each(|(row, into)| *into = self.value(row));
    }

    /// Walks some rows side by side, so that the processor waits for several nodes at once. A row that is at its leaf stays
    /// there.
    #[expect(
        clippy::indexing_slicing,
        reason = "steps name splits and leaves that check_reached proved; a leaf reads column 0, which every model has"
    )]
    fn values_in_step(&self, rows: &[&[f64]; LANES], into: &mut [f64; LANES]) {
        let steps = self.steps.as_slice();
        let mut places = [0_usize; LANES];
        for _ in 0..self.depth {
            for (at, row) in places.iter_mut().zip(rows) {
                let step = &steps[*at];
                let value = row[step.feature as usize];
                let is_nan = value.is_nan();
                let missing = (is_nan & step.nan_missing) | ((value == 0.0) & step.zero_missing);
                let compared = if is_nan { 0.0 } else { value };
                let left = if missing { step.default_left } else { compared <= step.threshold };
                *at = (if left { step.left } else { step.right }) as usize;
            }
        }
        for (into, at) in into.iter_mut().zip(places) {
            *into = self.leaves[at - self.splits.len()];
        }
    }

    /// The number of the leaf that a row falls into.
    #[expect(
        clippy::indexing_slicing,
        reason = "check_reached proved that children reached from the root are splits or stand behind them"
    )]
    fn leaf(&self, row: &[f64]) -> usize {
        let splits = self.splits.as_slice();
        let mut at = 0;
        while at < splits.len() {
            at = self.next(&splits[at], row);
        }
        at - splits.len()
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "check_reached proved that every split reached names a feature below the row's length"
    )]
    fn next(&self, split: &Split, row: &[f64]) -> usize {
        let value = row[split.feature as usize];
        let left = match split.rule {
            Rule::Categories => self.is_listed(split, value),
            Rule::NanMissing if value.is_nan() => split.default_left,
            Rule::ZeroMissing if value.is_nan() || is_zero(value) => split.default_left,
            Rule::NoMissing if value.is_nan() => 0.0 <= split.threshold,
            _ => value <= split.threshold,
        };
        (if left { split.left } else { split.right }) as usize
    }

    /// Whether a category goes left. What is no category does not; the fraction is dropped first.
    fn is_listed(&self, split: &Split, value: f64) -> bool {
        let list = self.categories.get(split.left_list());
        match category(value) {
            Some(category) => list.is_some_and(|list| list.binary_search(&category).is_ok()),
            None => false,
        }
    }

    fn steps(&self) -> Vec<Step> {
        let split = |split: &Split| Step {
            threshold: split.threshold,
            feature: split.feature,
            left: split.left,
            right: split.right,
            nan_missing: matches!(split.rule, Rule::NanMissing | Rule::ZeroMissing),
            zero_missing: split.rule == Rule::ZeroMissing,
            default_left: split.default_left,
        };
        let leaf = |at: u32| Step {
            threshold: 0.0,
            feature: 0,
            left: at,
            right: at,
            nan_missing: false,
            zero_missing: false,
            default_left: false,
        };
        let leaves = (0_u32..).skip(self.splits.len()).take(self.leaves.len()).map(leaf);
        self.splits.iter().map(split).chain(leaves).collect()
    }

    /// The split at a place; none at the places of leaves, which stand behind the splits.
    #[cfg(feature = "neural")]
    pub(super) fn split(&self, place: usize) -> Option<&Split> {
        self.splits.get(place)
    }

    #[cfg(feature = "neural")]
    pub(super) fn leaf_value(&self, place: usize) -> Option<f64> {
        self.leaves.get(place.checked_sub(self.splits.len())?).copied()
    }

    /// The categories that go left at a categorical split.
    #[cfg(feature = "neural")]
    pub(super) fn list(&self, split: &Split) -> Option<&[u32]> {
        self.categories.get(split.left_list()).map(Vec::as_slice)
    }

    pub(super) fn is_linear(&self) -> bool {
        self.linear.is_some()
    }

    pub(super) fn has_counts(&self) -> bool {
        !self.counts.is_empty()
    }

    /// The mean of the leaves over the training rows.
    pub(super) fn mean(&self) -> f64 {
        let (Some(total), false) = (self.counts.first(), self.splits.is_empty()) else {
            return self.leaves.first().copied().unwrap_or_default();
        };
        let of_leaves = self.counts.iter().skip(self.splits.len()).zip(&self.leaves);
        of_leaves.fold(0.0, |sum, (count, value)| sum + count / total * value)
    }

    /// Walks every way from the root once; gives the depth.
    fn check_reached(&self, section: &Section<'_>, feature_count: usize) -> Result<usize, ModelError> {
        let nodes = self.splits.len() + self.leaves.len();
        let mut reached = vec![false; nodes];
        let mut ways = vec![(0_usize, "left_child", 0_usize, 0_usize)];
        let mut depth_max = 0;
        let at_split = |key: &str, split: usize| format!("{}[{split}]", section.place(key));
        while let Some((at, key, from, depth)) = ways.pop() {
            match reached.get_mut(at) {
                None => {
                    return Err(malformed(at_split(key, from), "names a node that the tree does not have"));
                }
                Some(true) => {
                    return Err(malformed(
                        at_split(key, from),
                        "leads to a node that another way reaches too",
                    ));
                }
                Some(seen) => *seen = true,
            }
            depth_max = depth_max.max(depth);
            let Some(split) = self.splits.get(at) else { continue };
            if split.feature as usize >= feature_count {
                return Err(malformed(
                    at_split("split_feature", at),
                    "names a feature that the model does not have",
                ));
            }
            ways.push((split.right as usize, "right_child", at, depth + 1));
            ways.push((split.left as usize, "left_child", at, depth + 1));
        }
        if reached.contains(&false) {
            return Err(malformed(section.place("left_child"), "leaves a node that nothing leads to"));
        }
        Ok(depth_max)
    }
}

impl Split {
    /// The number of a categorical split's list, which `splits_of` checked to be a small whole number.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "splits_of checked the range"
    )]
    fn left_list(&self) -> usize {
        self.threshold as usize
    }
}

/// A value as a category: the library casts it to a C `int` and takes negative numbers for none. What an `int` does not hold is
/// negative after the cast of an x86-64 processor.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range was checked")]
fn category(value: f64) -> Option<u32> {
    (value > -1.0 && value < 2_147_483_648.0).then_some(value as u32)
}

fn splits_of(section: &Section<'_>, count: usize, lists: usize) -> Result<Vec<Split>, ModelError> {
    if count == 0 {
        return Ok(Vec::new());
    }
    let features: Vec<u32> = section.list("split_feature", count)?;
    let thresholds: Vec<f64> = section.list("threshold", count)?;
    let kinds: Vec<u8> = section.list("decision_type", count)?;
    let lefts: Vec<i32> = section.list("left_child", count)?;
    let rights: Vec<i32> = section.list("right_child", count)?;
    // Leaf n is written as the complement of n.
    let child = |number: i32| match u32::try_from(number) {
        Ok(split) if (split as usize) < count => split,
        Ok(_) => u32::MAX,
        Err(_) => u32::try_from(!number)
            .ok()
            .and_then(|leaf| leaf.checked_add(u32::try_from(count).ok()?))
            .unwrap_or(u32::MAX),
    };
    let mut splits = Vec::with_capacity(count);
    let columns = features.into_iter().zip(thresholds).zip(kinds).zip(lefts.into_iter().zip(rights));
    for (number, (((feature, threshold), kind), (left, right))) in columns.enumerate() {
        let rule = match (kind & 1, kind >> 2) {
            (1, _) => Rule::Categories,
            (_, 0) => Rule::NoMissing,
            (_, 1) => Rule::ZeroMissing,
            (_, 2) => Rule::NanMissing,
            _ => {
                let place = format!("{}[{number}]", section.place("decision_type"));
                return Err(malformed(place, "names a type of missing values that does not exist"));
            }
        };
        let is_list = (0.0..lists as f64).contains(&threshold) && threshold.fract() == 0.0;
        if threshold.is_nan() || (rule == Rule::Categories && !is_list) {
            let place = format!("{}[{number}]", section.place("threshold"));
            return Err(malformed(place, "is neither a number nor a list of categories"));
        }
        let (left, right) = (child(left), child(right));
        splits.push(Split { threshold, feature, left, right, rule, default_left: kind & 2 != 0 });
    }
    Ok(splits)
}

/// The categories that go left, one list a categorical split. The file has them as bits, 32 a number.
fn categories_of(section: &Section<'_>) -> Result<Vec<Vec<u32>>, ModelError> {
    let count: usize = section.number("num_cat")?;
    if count == 0 {
        return Ok(Vec::new());
    }
    let place = || section.place("cat_boundaries");
    let bounds: Vec<usize> = section.list("cat_boundaries", count.saturating_add(1))?;
    let words: Vec<u32> = section.list("cat_threshold", bounds.last().copied().unwrap_or_default())?;
    let mut lists = Vec::with_capacity(bounds.len());
    for pair in bounds.windows(2) {
        let (&[begin, end], true) = (pair, bounds.first() == Some(&0)) else {
            return Err(malformed(place(), "does not start at 0"));
        };
        let bits = words.get(begin..end).ok_or_else(|| malformed(place(), "does not rise"))?;
        let listed = |word: u32, bit: u32| word >> bit & 1 == 1;
        let words = bits.iter().zip((0_u32..).step_by(32));
        let list = words.flat_map(|(word, first)| {
            (0..32).filter(move |bit| listed(*word, *bit)).map(move |bit| first + bit)
        });
        lists.push(list.collect());
    }
    Ok(lists)
}

fn counts_of(section: &Section<'_>, splits: usize, leaves: usize) -> Result<Vec<f64>, ModelError> {
    if section.text("leaf_count").is_none() || (splits > 0 && section.text("internal_count").is_none()) {
        return Ok(Vec::new());
    }
    let mut counts: Vec<u32> = if splits > 0 { section.list("internal_count", splits)? } else { Vec::new() };
    counts.extend(section.list::<u32>("leaf_count", leaves)?);
    Ok(counts.into_iter().map(f64::from).collect())
}

fn linear_of(
    section: &Section<'_>,
    leaves: usize,
    feature_count: usize,
) -> Result<Option<Vec<LinearLeaf>>, ModelError> {
    if section.text("is_linear").is_none() || section.number::<u8>("is_linear")? == 0 {
        return Ok(None);
    }
    let constants: Vec<f64> = section.list("leaf_const", leaves)?;
    let lengths: Vec<usize> = section.list("num_features", leaves)?;
    let total = lengths.iter().try_fold(0_usize, |sum, length| sum.checked_add(*length));
    let total = total.ok_or_else(|| malformed(section.place("num_features"), "is too large"))?;
    let features: Vec<usize> = section.list("leaf_features", total)?;
    let coefficients: Vec<f64> = section.list("leaf_coeff", total)?;
    if features.iter().any(|feature| *feature >= feature_count) {
        return Err(malformed(
            section.place("leaf_features"),
            "names a feature that the model does not have",
        ));
    }
    if constants.iter().chain(&coefficients).any(|number| !number.is_finite()) {
        return Err(malformed(section.place("leaf_coeff"), "holds a number that is not finite"));
    }
    let mut terms = features.into_iter().zip(coefficients);
    let leaf = |(constant, length)| LinearLeaf { constant, terms: terms.by_ref().take(length).collect() };
    Ok(Some(constants.into_iter().zip(lengths).map(leaf).collect()))
}
