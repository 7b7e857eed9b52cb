//! LightGBM models, from the text file that `save_model("model.txt")` writes, with the library's bits.
//!
//! *Guarantees*: [`Model::margins`] equals `Booster.predict(raw_score=True)`, [`Model::answer`] equals `Booster.predict()` and
//! [`Model::contributions`] equals `predict(pred_contrib=True)`, bit for bit, for files of versions `v3` and `v4`. Everything is in
//! `f64`: thresholds are compared with `<=`, the trees are summed from zero in their order, and what is within 1e-35 of
//! zero is zero.
//!
//! *Does not do*: contributions of linear trees, which the library refuses too; early stopping of a prediction; settings of the
//! file that are not known here, each refused as [`ModelError::Unsupported`].

mod objective;
#[cfg(feature = "neural")]
mod table;
mod text;
mod tree;

pub use objective::Objective;

pub use super::error::{ModelError, RowError};

use super::error::{malformed, shown, unsupported};
use super::interventional::{self, Background};
use super::treeshap;
use text::Text;
use tree::Tree;

/// Bytes of a model file.
pub const MODEL_BYTES_MAX: usize = 1 << 30;

/// Columns of a row, and outputs of a model.
pub const FEATURES_MAX: usize = 1 << 20;

/// Rows that walk a tree one after the other before the next tree is taken.
const BLOCK_ROWS: usize = 64;

/// A model that was read and checked.
#[derive(Clone, Debug)]
pub struct Model {
    objective: Objective,
    objective_line: String,
    version: String,
    margin_count: usize,
    /// The answer is made from the mean over the rounds, as in a random forest.
    is_average: bool,
    feature_names: Vec<String>,
    trees: Vec<Tree>,
}

impl Model {
    /// Reads a model file.
    ///
    /// # Errors
    /// [`ModelError`] says what is wrong and where in the file.
    pub fn parse(bytes: &[u8]) -> Result<Self, ModelError> {
        if bytes.len() > MODEL_BYTES_MAX {
            return Err(ModelError::Limit { what: "bytes", found: bytes.len(), max: MODEL_BYTES_MAX });
        }
        let Text { header, trees: sections } = Text::read(bytes)?;
        let version = header.text("version").unwrap_or_default();
        if !matches!(version, "v3" | "v4") {
            return Err(unsupported(
                format!("a LightGBM file of version {}", shown(version)),
                header.place("version"),
            ));
        }
        let margin_count: usize = header.number("num_tree_per_iteration")?;
        let feature_count = header.number::<usize>("max_feature_idx")?.saturating_add(1);
        for (what, found) in [("outputs", margin_count), ("features", feature_count)] {
            if found > FEATURES_MAX {
                return Err(ModelError::Limit { what, found, max: FEATURES_MAX });
            }
        }
        if margin_count == 0 || !sections.len().is_multiple_of(margin_count) {
            return Err(malformed(
                header.place("num_tree_per_iteration"),
                "does not divide the number of trees",
            ));
        }
        let names = header.text("feature_names").unwrap_or_default().split(' ');
        let feature_names: Vec<String> = names.filter(|name| !name.is_empty()).map(str::to_owned).collect();
        if feature_names.len() != feature_count {
            return Err(malformed(
                header.place("feature_names"),
                "has another length than max_feature_idx gives",
            ));
        }
        let trees: Result<Vec<Tree>, ModelError> =
            sections.iter().map(|section| Tree::check(section, feature_count)).collect();
        Ok(Self {
            objective: Objective::read(header.text("objective"), margin_count)?,
            objective_line: header.text("objective").unwrap_or("none").to_owned(),
            version: version.to_owned(),
            margin_count,
            is_average: header.text("average_output").is_some(),
            feature_names,
            trees: trees?,
        })
    }

    /// The margins of a row, one an output. `NAN` stands for a missing value.
    ///
    /// # Errors
    /// [`RowError`] if the row has another length than the model.
    pub fn margins(&self, row: &[f64]) -> Result<Vec<f64>, RowError> {
        let row = self.row(row)?;
        let mut margins = vec![0.0; self.margin_count];
        self.add(&row, &mut margins);
        Ok(margins)
    }

    /// The margins of many rows, one after the other in `rows` and in the answer; the same bits as [`Model::margins`].
    ///
    /// # Errors
    /// [`RowError`] if the rows have another length than the model.
    pub fn margins_of_rows(&self, rows: &[f64]) -> Result<Vec<f64>, RowError> {
        let columns = self.feature_count();
        if !rows.len().is_multiple_of(columns) {
            return Err(RowError::Length { expected: columns, found: rows.len() % columns });
        }
        let mut margins = vec![0.0; rows.len() / columns * self.margin_count];
        let mut block = Vec::with_capacity(columns * BLOCK_ROWS);
        for (rows, margins) in
            rows.chunks(columns * BLOCK_ROWS).zip(margins.chunks_mut(self.margin_count * BLOCK_ROWS))
        {
            block.clear();
            block.extend(rows.iter().copied().map(cleared));
            self.add(&block, margins);
        }
        Ok(margins)
    }

    /// What the library's `predict` makes of a row's margins.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a file has fewer rounds than f64 counts exactly")]
    pub fn answer(&self, margins: &[f64]) -> Vec<f64> {
        let mut answer = margins.to_vec();
        if self.is_average {
            let rounds = (self.trees.len() / self.margin_count) as f64;
            answer.iter_mut().for_each(|value| *value /= rounds);
        }
        self.objective.transform(&mut answer);
        answer
    }

    /// For each output one contribution a feature and then the part that is the same for every row.
    ///
    /// # Errors
    /// [`RowError`] if the row has another length than the model, or [`Model::unexplained`].
    pub fn contributions(&self, row: &[f64]) -> Result<Vec<Vec<f64>>, RowError> {
        let row = self.row(row)?;
        if let Some(problem) = self.unexplained() {
            return Err(RowError::Contributions { problem });
        }
        let mut contributions = vec![vec![0.0; row.len() + 1]; self.margin_count];
        let mut explainer = treeshap::Explainer::default();
        for round in self.trees.chunks(self.margin_count) {
            for (tree, into) in round.iter().zip(&mut contributions) {
                if let Some(last) = into.last_mut() {
                    *last += tree.mean();
                }
                explainer.add(tree, &row, into).map_err(|treeshap::Undefined| RowError::Contributions {
                    problem: "a tree is not what it was when it was checked",
                })?;
            }
        }
        Ok(contributions)
    }

    /// Why no row's contributions can be recomputed, where that is so.
    #[must_use]
    pub fn unexplained(&self) -> Option<&'static str> {
        let any = |defect: fn(&Tree) -> bool| self.trees.iter().any(defect);
        if any(Tree::is_linear) {
            return Some("LightGBM defines none for linear trees");
        }
        if any(|tree| treeshap::Explained::depth(tree) > treeshap::DEPTH_MAX) {
            return Some("a tree is too deep");
        }
        any(|tree| !tree.has_counts()).then_some("the file lacks the numbers of training rows")
    }

    /// Rows to compare with, one after the other.
    ///
    /// # Errors
    /// As [`Model::margins`]; and if there are none or too many.
    pub fn background(&self, rows: &[f64]) -> Result<Background, RowError> {
        Background::of_f64(rows, self.feature_count(), self.margin_count, |row| self.margins(row))
    }

    /// For each output one contribution a feature, compared with a background of this model, and then the mean margin of the
    /// background: interventional TreeSHAP as shap computes it.
    ///
    /// # Errors
    /// As [`Model::margins`]; and [`Model::unexplained_against`].
    pub fn contributions_against(
        &self,
        row: &[f64],
        background: &Background,
    ) -> Result<Vec<Vec<f64>>, RowError> {
        if row.len() != self.feature_count() {
            return Err(RowError::Length { expected: self.feature_count(), found: row.len() });
        }
        if let Some(problem) = self.unexplained_against() {
            return Err(RowError::Contributions { problem });
        }
        let outputs = (0..self.margin_count).cycle();
        interventional::contributions(self.trees.iter().zip(outputs), row, background)
    }

    /// Why no row's contributions against a background can be recomputed, where that is so.
    #[must_use]
    pub fn unexplained_against(&self) -> Option<&'static str> {
        let any = |defect: fn(&Tree) -> bool| self.trees.iter().any(defect);
        if any(Tree::is_linear) {
            return Some("shap leaves out the linear parts of the leaves");
        }
        if any(Tree::misread_by_shap) {
            return Some(
                "shap reads splits on categories, and zeros that are missing, otherwise than LightGBM",
            );
        }
        (any(Tree::is_large) || self.feature_count() > interventional::SHORT_MAX)
            .then_some(interventional::TOO_LARGE)
    }

    /// What the margins mean.
    #[must_use]
    pub fn objective(&self) -> Objective {
        self.objective
    }

    /// The objective as the file names it.
    #[must_use]
    pub fn objective_name(&self) -> &str {
        &self.objective_line
    }

    /// The version of the file's format.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Margins of a row.
    #[must_use]
    pub fn margin_count(&self) -> usize {
        self.margin_count
    }

    /// Columns of a row.
    #[must_use]
    pub fn feature_count(&self) -> usize {
        self.feature_names.len()
    }

    /// The columns' names, in the order of a row.
    #[must_use]
    pub fn feature_names(&self) -> &[String] {
        &self.feature_names
    }

    /// Trees, each of which adds to one output.
    #[must_use]
    pub fn tree_count(&self) -> usize {
        self.trees.len()
    }

    /// Adds every tree to the margins of rows of the right length.
    fn add(&self, rows: &[f64], margins: &mut [f64]) {
        let rows: Vec<&[f64]> = rows.chunks_exact(self.feature_count()).collect();
        let mut values = vec![0.0; rows.len()];
        for (number, tree) in self.trees.iter().enumerate() {
            tree.values(&rows, &mut values);
            let margins = margins.iter_mut().skip(number % self.margin_count).step_by(self.margin_count);
            margins.zip(&values).for_each(|(margin, value)| *margin += value);
        }
    }

    /// A row as the library takes it up.
    fn row(&self, row: &[f64]) -> Result<Vec<f64>, RowError> {
        if row.len() != self.feature_count() {
            return Err(RowError::Length { expected: self.feature_count(), found: row.len() });
        }
        Ok(row.iter().copied().map(cleared).collect())
    }
}

/// Rows as the library takes them up.
#[cfg(feature = "neural")]
pub(super) fn taken(rows: &[f64]) -> Vec<f64> {
    rows.iter().copied().map(cleared).collect()
}

/// The library does not take up what it takes for zero.
fn cleared(value: f64) -> f64 {
    if tree::is_zero(value) { 0.0 } else { value }
}

#[cfg(test)]
mod tests;
