//! One regression tree, checked once so that walking it cannot fail.
//!
//! *Guarantees*: every node reached from the root has two children that exist or none, is reached over one way only, and
//! splits on a column that the model has, at a threshold that is a number or on a set of categories. So a walk ends at a
//! leaf after fewer steps than the tree has nodes.
//!
//! *Does not do*: look at nodes that the root does not reach; XGBoost leaves pruned nodes in its files.

use super::schema::TreeJson;

/// A tree whose nodes were checked.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    /// The weight of the training rows at each node; empty if the file has none.
    covers: Vec<f32>,
    /// Categories that go right, rising, one list a categorical split.
    categories: Vec<Vec<u32>>,
    /// Splits on the longest way to a leaf.
    depth: usize,
}

/// A split or a leaf in 12 bytes: rows of a batch walk the trees faster the more of them fit in the cache.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    /// The column of a split, and in the top bits [`MISSING_LEFT`] and [`CATEGORICAL`].
    feature: u32,
    /// The threshold or the leaf's value; the place of its list of categories, as bits.
    value: f32,
    /// The left child; the right one stands behind it. Zero, which is the root and nobody's child, marks a leaf.
    left: u32,
}

const MISSING_LEFT: u32 = 1 << 31;
const CATEGORICAL: u32 = 1 << 30;
const FEATURE: u32 = CATEGORICAL - 1;

const _: () = assert!(super::FEATURES_MAX <= FEATURE as usize, "a column's number fits beside the flags");

/// Rows that are walked side by side.
const LANES: usize = 8;

/// Walking in step goes to the deepest leaf for every row, so it pays for even trees only.
const DEPTH_IN_STEP_MAX: usize = 12;

/// From here on the library takes a category for unknown.
const CATEGORY_END: f32 = 16_777_216.0;

/// What is wrong with a tree, and in which of its arrays and at which node.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Defect {
    pub(super) array: &'static str,
    pub(super) node: Option<usize>,
    pub(super) problem: &'static str,
}

impl Tree {
    /// Checks a tree of the file for a model of `feature_count` columns.
    pub(super) fn check(tree: &TreeJson, feature_count: usize) -> Result<Self, Defect> {
        check_lengths(tree)?;
        let categories = categories_of(tree)?;
        let mut nodes = Vec::with_capacity(tree.left_children.len());
        let mut lists = 0;
        for index in 0..tree.left_children.len() {
            let mut node = node_at(tree, index)?;
            if tree.categories_nodes.get(lists as usize).is_some_and(|at| *at as usize == index) {
                node.feature |= CATEGORICAL;
                node.value = f32::from_bits(lists);
                lists += 1;
            }
            nodes.push(node);
        }
        let mut checked = Self { nodes, covers: tree.sum_hessian.clone(), categories, depth: 0 };
        checked.depth = checked.check_reached(tree, feature_count)?;
        Ok(checked)
    }

    /// The leaves that rows of the model's length fall into, in the order of the rows.
    pub(super) fn leaves(&self, rows: &[&[f32]], into: &mut [f32]) {
        let (groups, rest) = rows.as_chunks::<LANES>();
        let (into_groups, into_rest) = into.as_chunks_mut::<LANES>();
        let in_step = self.categories.is_empty() && self.depth <= DEPTH_IN_STEP_MAX;
        for (group, into) in groups.iter().zip(into_groups.iter_mut()) {
            if in_step {
                self.leaves_in_step(group, into);
            } else {
                group.iter().zip(into).for_each(|(row, into)| *into = self.leaf(row));
            }
        }
        // Where rows are left over, as many places are: those behind the groups that the rows filled.
        let behind = into_groups.iter_mut().skip(groups.len()).flatten().chain(into_rest);
        rest.iter().zip(behind).for_each(|(row, into)| *into = self.leaf(row));
    }

    /// Walks some rows side by side, so that the processor waits for several nodes at once. A row that is at its leaf stays
    /// there. The tree has no categorical split.
    #[expect(
        clippy::indexing_slicing,
        reason = "as for leaf and next; a leaf reads column 0, which a model with splits has"
    )]
    fn leaves_in_step(&self, rows: &[&[f32]; LANES], into: &mut [f32; LANES]) {
        let nodes = self.nodes.as_slice();
        let mut places = [0_usize; LANES];
        for _ in 0..self.depth {
            for (at, row) in places.iter_mut().zip(rows) {
                let node = nodes[*at];
                let value = row[(node.feature & FEATURE) as usize];
                let goes_left = (value < node.value) | (value.is_nan() & (node.feature & MISSING_LEFT != 0));
                let child = node.left as usize + usize::from(!goes_left);
                *at = if node.left == 0 { *at } else { child };
            }
        }
        for (into, at) in into.iter_mut().zip(places) {
            *into = nodes[at].value;
        }
    }

    /// The leaf that a row of the model's length falls into.
    #[expect(
        clippy::indexing_slicing,
        reason = "check_reached proved that children reached from the root stand below the node count"
    )]
    pub(super) fn leaf(&self, features: &[f32]) -> f32 {
        let mut at = 0;
        loop {
            let node = self.nodes[at];
            if node.left == 0 {
                return node.value;
            }
            at = self.next(node, features);
        }
    }

    /// The child that a row goes to from a split.
    #[expect(
        clippy::indexing_slicing,
        reason = "check_reached proved that every split reached names a feature below the row's length"
    )]
    pub(super) fn next(&self, split: Node, features: &[f32]) -> usize {
        let value = features[(split.feature & FEATURE) as usize];
        let goes_left = if value.is_nan() {
            split.feature & MISSING_LEFT != 0
        } else if split.feature & CATEGORICAL == 0 {
            value < split.value
        } else {
            !self.is_listed(split, value)
        };
        split.left as usize + usize::from(!goes_left)
    }

    /// Whether a category is one of those that go right. What is no category is not.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the library drops the fraction; the range was checked"
    )]
    fn is_listed(&self, split: Node, value: f32) -> bool {
        if !(0.0..CATEGORY_END).contains(&value) {
            return false;
        }
        let list = self.categories.get(split.value.to_bits() as usize);
        list.is_some_and(|list| list.binary_search(&(value as u32)).is_ok())
    }

    /// The node at a place that a walk reached.
    pub(super) fn node(&self, at: usize) -> Option<Node> {
        self.nodes.get(at).copied()
    }

    /// The categories that go right at a categorical split.
    #[cfg(feature = "neural")]
    pub(super) fn listed(&self, split: Node) -> Option<&[u32]> {
        let is_list = split.feature & CATEGORICAL != 0;
        is_list.then(|| self.categories.get(split.value.to_bits() as usize).map_or(&[][..], Vec::as_slice))
    }

    /// The weight of the training rows at a node; none if the file has no weights.
    pub(super) fn cover(&self, at: usize) -> Option<f32> {
        self.covers.get(at).copied()
    }

    pub(super) fn node_count(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn is_categorical(&self) -> bool {
        !self.categories.is_empty()
    }

    /// Splits on the longest way to a leaf.
    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    /// Walks every way from the root once; gives the depth.
    fn check_reached(&self, tree: &TreeJson, feature_count: usize) -> Result<usize, Defect> {
        let mut reached = vec![false; self.nodes.len()];
        let mut ways = vec![(0_usize, "left_children", 0_usize, 0_usize)];
        let mut depth_max = 0;
        while let Some((at, array, from, depth)) = ways.pop() {
            let (Some(node), Some(seen)) = (self.nodes.get(at), reached.get_mut(at)) else {
                return Err(Defect::at(array, from, "names a node that the tree does not have"));
            };
            if *seen {
                return Err(Defect::at(array, from, "leads to a node that another way reaches too"));
            }
            *seen = true;
            depth_max = depth_max.max(depth);
            self.check_node(*node, at, feature_count)?;
            if node.left != 0 {
                let right = tree.right_children.get(at).copied().unwrap_or(LEAF);
                ways.push((usize::try_from(right).unwrap_or(usize::MAX), "right_children", at, depth + 1));
                ways.push((node.left as usize, "left_children", at, depth + 1));
            }
        }
        // The library does not read the right child's number; it takes the node behind the left child.
        let neighbours = |at: usize| match (tree.left_children.get(at), tree.right_children.get(at)) {
            (Some(&LEAF), _) => true,
            (Some(left), Some(right)) => left.checked_add(1) == Some(*right),
            _ => false,
        };
        match (0..reached.len()).find(|at| reached.get(*at) == Some(&true) && !neighbours(*at)) {
            Some(at) => Err(Defect::at("right_children", at, "is not the node behind the left child")),
            None => Ok(depth_max),
        }
    }

    fn check_node(&self, node: Node, at: usize, feature_count: usize) -> Result<(), Defect> {
        if self.covers.get(at).is_some_and(|cover| !(cover.is_finite() && *cover >= 0.0)) {
            return Err(Defect::at("sum_hessian", at, "is not a weight"));
        }
        if node.is_leaf() {
            let finite = node.value.is_finite() && node.feature & CATEGORICAL == 0;
            let problem = "is a leaf that is not a finite number";
            return if finite { Ok(()) } else { Err(Defect::at("split_conditions", at, problem)) };
        }
        if node.feature & CATEGORICAL == 0 && node.value.is_nan() {
            return Err(Defect::at("split_conditions", at, "is a threshold that is not a number"));
        }
        if node.feature() >= feature_count {
            return Err(Defect::at("split_indices", at, "names a feature that the model does not have"));
        }
        Ok(())
    }
}

impl Node {
    pub(super) fn is_leaf(self) -> bool {
        self.left == 0
    }

    /// A leaf's value.
    pub(super) fn value(self) -> f32 {
        self.value
    }

    /// The column of a split.
    pub(super) fn feature(self) -> usize {
        (self.feature & FEATURE) as usize
    }

    /// Whether a missing value goes left at a split.
    #[cfg(feature = "neural")]
    pub(super) fn missing_left(self) -> bool {
        self.feature & MISSING_LEFT != 0
    }

    /// The left child of a split; the right one stands behind it.
    pub(super) fn left(self) -> usize {
        self.left as usize
    }
}

impl Defect {
    fn at(array: &'static str, node: usize, problem: &'static str) -> Self {
        Self { array, node: Some(node), problem }
    }

    fn whole(array: &'static str, problem: &'static str) -> Self {
        Self { array, node: None, problem }
    }
}

/// Every array of a tree holds one item a node; the children say how many nodes there are.
fn check_lengths(tree: &TreeJson) -> Result<(), Defect> {
    let nodes = tree.left_children.len();
    if nodes == 0 {
        return Err(Defect::whole("left_children", "is empty; a tree has at least its root"));
    }
    if i32::try_from(nodes).is_err() {
        return Err(Defect::whole("left_children", "has more nodes than a node number can name"));
    }
    let optional = |length: usize| if length == 0 { nodes } else { length };
    let lengths = [
        ("right_children", tree.right_children.len()),
        ("split_conditions", tree.split_conditions.len()),
        ("split_indices", tree.split_indices.len()),
        ("default_left", tree.default_left.len()),
        ("sum_hessian", optional(tree.sum_hessian.len())),
        ("split_type", optional(tree.split_type.len())),
    ];
    for (array, length) in lengths {
        if length != nodes {
            return Err(Defect::whole(array, "has another length than left_children"));
        }
    }
    if tree.tree_param.num_nodes != nodes as u64 {
        return Err(Defect::whole("tree_param.num_nodes", "is another number than left_children has nodes"));
    }
    Ok(())
}

/// The lists of categories, one a categorical split, in the order of `categories_nodes`.
fn categories_of(tree: &TreeJson) -> Result<Vec<Vec<u32>>, Defect> {
    let nodes = &tree.categories_nodes;
    let marked = tree.split_type.iter().enumerate().filter(|(_, kind)| **kind != 0);
    if tree.split_type.iter().any(|kind| *kind > 1) {
        return Err(Defect::whole("split_type", "has another value than 0 and 1"));
    }
    if !marked.map(|(at, _)| at).eq(nodes.iter().map(|at| *at as usize)) {
        return Err(Defect::whole("categories_nodes", "does not list the splits that split_type marks"));
    }
    if tree.categories_segments.len() != nodes.len() || tree.categories_sizes.len() != nodes.len() {
        return Err(Defect::whole("categories_segments", "has another length than categories_nodes"));
    }
    let segments = tree.categories_segments.iter().zip(&tree.categories_sizes);
    let mut begins = 0_u64;
    let mut lists = Vec::with_capacity(nodes.len());
    for (place, (begin, size)) in segments.enumerate() {
        // Segments follow one another, so that no byte of the file can stand for many categories.
        let end = begin.checked_add(*size).filter(|_| *begin == begins && *size > 0);
        let range = end.and_then(|end| usize::try_from(*begin).ok().zip(usize::try_from(end).ok()));
        let listed = range.and_then(|(begin, end)| tree.categories.get(begin..end));
        let (Some(listed), Some(end)) = (listed, end) else {
            return Err(Defect::at("categories_segments", place, "does not continue the one before"));
        };
        begins = end;
        let mut list = Vec::with_capacity(listed.len());
        for category in listed {
            let category = u32::try_from(*category).ok().filter(|category| (*category as f32) < CATEGORY_END);
            list.push(category.ok_or(Defect::at("categories_segments", place, "lists no category"))?);
        }
        list.sort_unstable();
        lists.push(list);
    }
    Ok(lists)
}

/// The node at a place of the arrays. The caller checked that all have this place.
fn node_at(tree: &TreeJson, index: usize) -> Result<Node, Defect> {
    let item = |array, problem| Defect::at(array, index, problem);
    let (Some(&left), Some(&right), Some(&value), Some(&feature), Some(&missing_left)) = (
        tree.left_children.get(index),
        tree.right_children.get(index),
        tree.split_conditions.get(index),
        tree.split_indices.get(index),
        tree.default_left.get(index),
    ) else {
        return Err(item("left_children", "has no such item in every array"));
    };
    match (u32::try_from(left), u32::try_from(right)) {
        (Err(_), Err(_)) if left == LEAF && right == LEAF => Ok(Node { feature: 0, value, left: 0 }),
        (Ok(0), Ok(_)) => Err(item("left_children", "leads back to the root")),
        (Ok(left), Ok(_)) => {
            // A column past the flags is past every limit too; check_node refuses it where the root reaches it.
            let flag = if missing_left.0 { MISSING_LEFT } else { 0 };
            Ok(Node { feature: feature.min(FEATURE) | flag, value, left })
        }
        (Err(_), _) => Err(item("left_children", "is neither a node nor the -1 of a leaf")),
        (_, Err(_)) => Err(item("right_children", "is neither a node nor the -1 of a leaf")),
    }
}

/// What stands in place of a child at a leaf.
const LEAF: i32 = -1;
