//! XGBoost models, from the file that `save_model("model.json")` or `save_model("model.ubj")` writes, with the library's bits.
//!
//! *Guarantees*: [`Model::margins`] equals `Booster.predict(output_margin=True)`, [`Model::answer`] equals `Booster.predict()`
//! of XGBoost 1.3 to 3.x, and [`Model::contributions`] equals `predict(pred_contribs=True)` of 1.3 to 3.2, bit for bit, for the
//! objectives of [`Objective`], the boosters `gbtree`, `dart` and `gblinear`, and files of 1.0 to 3.x. (Before 1.3 the
//! library added the base margin last.) What makes it so: thresholds and leaves are read from text straight to `f32`
//! (through `f64` they would be rounded twice), the sum starts at the base margin and takes the trees in order,
//! `value < threshold` goes left, a missing value goes where the file says, a listed category goes right.
//!
//! *Does not do*: trees with several values a leaf, several targets of several classes, survival models with intervals, the old
//! binary format. Each is refused as [`ModelError::Unsupported`]. What builds of the library with fused multiply-add give
//! (not x86-64 ones) was not compared.
//!
//! Two steps use the platform's mathematics library, as XGBoost does: the base margin of objectives with a link (one
//! logarithm an output of a model) and the answer ([`Objective::libm`]). Compare margins first. With `base_score` 0.5 the
//! base margin of `binary:logistic` is zero everywhere.

mod file;
mod linear;
mod objective;
mod schema;
mod shap;
#[cfg(feature = "neural")]
mod table;
mod tree;
mod ubjson;

pub use objective::Objective;

pub use super::error::{ModelError, RowError};

use super::interventional::{self, Background};
use super::treeshap;
use linear::Linear;
use tree::Tree;

/// Bytes of a model file. A forest of 20,000 trees of depth 8 takes about 1.2 GB of text and 0.3 GB of UBJSON.
pub const MODEL_BYTES_MAX: usize = 1 << 30;

/// Columns of a row. A row is checked before it is scored, so this bounds the work of one call.
pub const FEATURES_MAX: usize = 1 << 20;

/// Rows that walk a tree one after the other before the next tree is taken, so that a tree is fetched into the cache once.
const BLOCK_ROWS: usize = 64;

/// A model that was read and checked: scoring cannot fail except by what the row is.
#[derive(Clone, Debug)]
pub struct Model {
    objective: Objective,
    objective_name: String,
    /// Major and minor version of the library that wrote the file.
    version: (u64, u64),
    /// One an output.
    base_margins: Vec<f32>,
    feature_count: usize,
    feature_names: Vec<String>,
    booster: Booster,
}

#[derive(Clone, Debug)]
enum Booster {
    Trees {
        trees: Vec<GroupTree>,
        /// What each tree is multiplied by, in a DART model.
        weights: Option<Vec<f32>>,
    },
    Linear(Linear),
}

/// A tree and the output that it adds to.
#[derive(Clone, Debug)]
struct GroupTree {
    tree: Tree,
    output: usize,
}

impl Model {
    /// Reads a model file.
    ///
    /// # Errors
    /// [`ModelError`] says what is wrong and where in the file.
    pub fn parse(bytes: &[u8]) -> Result<Self, ModelError> {
        file::read(bytes)
    }

    /// The margins of a row, one an output: the base margin and one leaf of each tree. `NAN` stands for a missing value.
    ///
    /// # Errors
    /// [`RowError`] if the row has another length than the model, or holds an infinity, which the library refuses too.
    pub fn margins(&self, features: &[f32]) -> Result<Vec<f32>, RowError> {
        self.check_row(features)?;
        let mut margins = self.base_margins.clone();
        self.add(features, &mut margins);
        Ok(margins)
    }

    /// The margin of a row, for models of one output.
    ///
    /// # Errors
    /// As [`Model::margins`]; and if the model has several outputs.
    pub fn margin(&self, features: &[f32]) -> Result<f32, RowError> {
        match self.margins(features)?.as_slice() {
            [margin] => Ok(*margin),
            margins => Err(RowError::Several { outputs: margins.len() }),
        }
    }

    /// The margins of many rows, one after the other in `rows` and in the answer; the same bits as [`Model::margins`].
    ///
    /// # Errors
    /// As [`Model::margins`], for the first row that is refused.
    pub fn margins_of_rows(&self, rows: &[f32]) -> Result<Vec<f32>, RowError> {
        let columns = self.feature_count.max(1);
        if !rows.len().is_multiple_of(columns) {
            return Err(RowError::Length { expected: columns, found: rows.len() % columns });
        }
        if let Some(place) = rows.iter().position(|value| value.is_infinite()) {
            return Err(RowError::Infinite { feature: place % columns });
        }
        let outputs = self.base_margins.len();
        let mut margins: Vec<f32> =
            self.base_margins.iter().copied().cycle().take(rows.len() / columns * outputs).collect();
        for (rows, margins) in rows.chunks(columns * BLOCK_ROWS).zip(margins.chunks_mut(outputs * BLOCK_ROWS))
        {
            self.add(rows, margins);
        }
        Ok(margins)
    }

    /// What the library's `predict` makes of a row's margins.
    #[must_use]
    pub fn answer(&self, margins: &[f32]) -> Vec<f32> {
        let mut answer = margins.to_vec();
        self.objective.transform(&mut answer);
        answer.truncate(self.objective.outputs(margins.len()));
        answer
    }

    /// What the library's `predict` makes of a margin, for models of one output.
    #[must_use]
    pub fn probability(&self, margin: f32) -> f32 {
        let mut answer = [margin];
        self.objective.transform(&mut answer);
        let [answer] = answer;
        answer
    }

    /// For each output one contribution a feature and then the part that is the same for every row. They add up to the
    /// margin but for rounding.
    ///
    /// # Errors
    /// As [`Model::margins`]; and where the library of the file's version defines no contributions that are known here.
    pub fn contributions(&self, features: &[f32]) -> Result<Vec<Vec<f32>>, RowError> {
        self.check_row(features)?;
        let mut contributions = vec![vec![0.0; self.feature_count + 1]; self.base_margins.len()];
        match &self.booster {
            Booster::Linear(linear) => {
                for (output, into) in contributions.iter_mut().enumerate() {
                    linear.contributions(features, output, self.linear_base(), into);
                }
            }
            Booster::Trees { trees, weights } => {
                if let Some(problem) = self.unexplained() {
                    return Err(RowError::Contributions { problem });
                }
                explain(trees, weights.as_deref(), features, &mut contributions)?;
                for (into, base) in contributions.iter_mut().zip(&self.base_margins) {
                    if let Some(last) = into.last_mut() {
                        *last += base;
                    }
                }
            }
        }
        Ok(contributions)
    }

    /// Why no row's contributions can be recomputed, where that is so.
    #[must_use]
    pub fn unexplained(&self) -> Option<&'static str> {
        let Booster::Trees { trees, .. } = &self.booster else { return None };
        if self.version >= (3, 3) {
            return Some("XGBoost 3.3 and later compute them by another method than versions up to 3.2");
        }
        let any = |defect: fn(&Tree) -> bool| trees.iter().any(|tree| defect(&tree.tree));
        if any(|tree| tree.depth() > treeshap::DEPTH_MAX) {
            return Some("a tree is too deep");
        }
        any(|tree| tree.cover(0).is_none()).then_some("the file lacks the weights of the training rows")
    }

    /// Rows to compare with, one after the other.
    ///
    /// # Errors
    /// As [`Model::margins`]; and if there are none or too many.
    pub fn background(&self, rows: &[f32]) -> Result<Background, RowError> {
        let bases = || self.base_margins.iter().copied().map(f64::from).collect::<Vec<f64>>();
        Background::of_f32(rows, self.feature_count, self.margin_count(), |row| {
            self.check_row(row)?;
            let mut margins = bases();
            for GroupTree { tree, output } in self.group_trees() {
                if let Some(margin) = margins.get_mut(*output) {
                    *margin += f64::from(tree.leaf(row));
                }
            }
            Ok(margins)
        })
    }

    /// For each output one contribution a feature, compared with a background of this model, and then the mean margin of the
    /// background: interventional TreeSHAP as shap computes it.
    ///
    /// # Errors
    /// As [`Model::margins`]; and [`Model::unexplained_against`].
    pub fn contributions_against(
        &self,
        features: &[f32],
        background: &Background,
    ) -> Result<Vec<Vec<f64>>, RowError> {
        self.check_row(features)?;
        if let Some(problem) = self.unexplained_against() {
            return Err(RowError::Contributions { problem });
        }
        let trees = self.group_trees().map(|GroupTree { tree, output }| (tree, *output));
        interventional::contributions(trees, features, background)
    }

    /// Why no row's contributions against a background can be recomputed, where that is so.
    #[must_use]
    pub fn unexplained_against(&self) -> Option<&'static str> {
        match &self.booster {
            Booster::Trees { weights: None, .. } => {}
            Booster::Trees { .. } => return Some("shap leaves out the weights of DART trees"),
            Booster::Linear(_) => return Some("shap's explainer of trees reads no linear booster"),
        }
        if self.group_trees().any(|tree| tree.tree.is_categorical()) {
            return Some("shap explains no splits on categories against a background");
        }
        let large = |tree: &GroupTree| {
            tree.tree.depth() > treeshap::DEPTH_MAX || tree.tree.node_count() > interventional::SHORT_MAX
        };
        (self.group_trees().any(large) || self.feature_count > interventional::SHORT_MAX)
            .then_some(interventional::TOO_LARGE)
    }

    fn group_trees(&self) -> impl Iterator<Item = &GroupTree> + Clone {
        match &self.booster {
            Booster::Trees { trees, .. } => trees.iter(),
            Booster::Linear(_) => [].iter(),
        }
    }

    /// What the margin means.
    #[must_use]
    pub fn objective(&self) -> Objective {
        self.objective
    }

    /// The objective's name in the library.
    #[must_use]
    pub fn objective_name(&self) -> &str {
        &self.objective_name
    }

    /// The booster's name in the library.
    #[must_use]
    pub fn booster_name(&self) -> &'static str {
        match &self.booster {
            Booster::Trees { weights: None, .. } => "gbtree",
            Booster::Trees { weights: Some(_), .. } => "dart",
            Booster::Linear(_) => "gblinear",
        }
    }

    /// Major and minor version of the library that wrote the file.
    #[must_use]
    pub fn version(&self) -> (u64, u64) {
        self.version
    }

    /// The margin of a row before any tree, of the first output.
    #[must_use]
    pub fn base_margin(&self) -> f32 {
        self.base_margins.first().copied().unwrap_or_default()
    }

    /// Margins of a row.
    #[must_use]
    pub fn margin_count(&self) -> usize {
        self.base_margins.len()
    }

    /// Columns of a row.
    #[must_use]
    pub fn feature_count(&self) -> usize {
        self.feature_count
    }

    /// The columns' names, in the order of a row; empty if the model was trained without names.
    #[must_use]
    pub fn feature_names(&self) -> &[String] {
        &self.feature_names
    }

    /// Trees, each of which adds one leaf to one output.
    #[must_use]
    pub fn tree_count(&self) -> usize {
        match &self.booster {
            Booster::Trees { trees, .. } => trees.len(),
            Booster::Linear(_) => 0,
        }
    }

    /// Adds the booster's part to the margins of rows of the right length.
    fn add(&self, rows: &[f32], margins: &mut [f32]) {
        let (columns, outputs) = (self.feature_count.max(1), self.base_margins.len());
        match &self.booster {
            Booster::Trees { trees, weights } => {
                let rows: Vec<&[f32]> = rows_of(rows, columns).collect();
                let mut leaves = vec![0.0; rows.len()];
                for (number, GroupTree { tree, output }) in trees.iter().enumerate() {
                    tree.leaves(&rows, &mut leaves);
                    let added = margins.iter_mut().skip(*output).step_by(outputs).zip(&leaves);
                    match weights.as_ref().and_then(|weights| weights.get(number)) {
                        None => added.for_each(|(margin, leaf)| *margin += leaf),
                        Some(weight) => added.for_each(|(margin, leaf)| *margin += leaf * weight),
                    }
                }
            }
            Booster::Linear(linear) => {
                for (row, margins) in rows_of(rows, columns).zip(margins.chunks_mut(outputs)) {
                    for (output, margin) in margins.iter_mut().enumerate() {
                        *margin = linear.margin(row, output, self.linear_base());
                    }
                }
            }
        }
    }

    /// The library adds the first output's base margin to every output of a linear model.
    fn linear_base(&self) -> f32 {
        self.base_margin()
    }

    fn check_row(&self, features: &[f32]) -> Result<(), RowError> {
        if features.len() != self.feature_count {
            return Err(RowError::Length { expected: self.feature_count, found: features.len() });
        }
        match features.iter().position(|value| value.is_infinite()) {
            Some(feature) => Err(RowError::Infinite { feature }),
            None => Ok(()),
        }
    }
}

/// Rows as the library takes them up: rounded once, and refused if one holds an infinity.
#[cfg(feature = "neural")]
#[expect(clippy::cast_possible_truncation, reason = "the library rounds its input to f32, too")]
pub(super) fn taken(rows: &[f64], columns: usize) -> Result<Vec<f32>, RowError> {
    let rows: Vec<f32> = rows.iter().map(|value| *value as f32).collect();
    match rows.iter().position(|value| value.is_infinite()) {
        Some(place) => Err(RowError::Infinite { feature: place % columns.max(1) }),
        None => Ok(rows),
    }
}

/// The rows of a block. A model without columns has one empty row.
fn rows_of(rows: &[f32], columns: usize) -> impl Iterator<Item = &[f32]> {
    let empty: &[f32] = &[];
    let alone = rows.is_empty().then_some(empty);
    rows.chunks_exact(columns).chain(alone)
}

/// Adds each tree's contributions to its output's.
fn explain(
    trees: &[GroupTree],
    weights: Option<&[f32]>,
    features: &[f32],
    contributions: &mut [Vec<f32>],
) -> Result<(), RowError> {
    let mut explainer = treeshap::Explainer::default();
    let mut of_tree = vec![0.0; features.len() + 1];
    for (number, GroupTree { tree, output }) in trees.iter().enumerate() {
        of_tree.fill(0.0);
        if let (Some(last), Some(mean)) = (of_tree.last_mut(), shap::mean(tree)) {
            *last += mean;
        } else {
            return Err(RowError::Contributions { problem: "the file lacks the training rows' weights" });
        }
        explainer.add(tree, features, &mut of_tree).map_err(|treeshap::Undefined| {
            RowError::Contributions { problem: "a branch that the row needs has no training rows" }
        })?;
        let weight = weights.and_then(|weights| weights.get(number)).copied().unwrap_or(1.0);
        if let Some(into) = contributions.get_mut(*output) {
            into.iter_mut().zip(&of_tree).for_each(|(into, value)| *into += value * weight);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
