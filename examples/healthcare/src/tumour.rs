//! The committed model of biopsies, and one that was tampered with.

use anyhow::{Context, Result};
use example_desk::served::{Metadata, Served, tensor};
use example_desk::tensors::{self, Output};
use ledgerstone::proto::inference::ModelInferRequest;
use ledgerstone_verifier::recompute::lightgbm::Model;
use tonic::Status;

/// The model's name, for the model server and the sidecar's route.
pub const NAME: &str = "tumour";

/// The model's version.
pub const VERSION: &str = "1";

/// The model file.
pub const FILE: &str = include_str!("../model/tumour.txt");

/// How decisions of the model are recomputed.
pub const DESCRIPTION: &[u8] = include_bytes!("../model/recompute.json");

/// The tensor that a request carries: FP64, one row a biopsy.
pub const INPUT: &str = "features";

/// The tensor with the sum of the trees' leaves.
pub const MARGIN: &str = "margin";

/// The tensor with the probability that the tumour is malignant.
pub const PROBABILITY: &str = "probability";

/// The tensor with what each input added to the margin, and at the end what is the same for everybody.
pub const CONTRIBUTIONS: &str = "contributions";

const METRICS: &str = include_str!("../model/metrics.json");

/// The probability from which on a tumour is suspicious; `train.py` chose it.
///
/// # Errors
/// If the committed metrics have no threshold.
pub fn threshold() -> Result<f64> {
    let metrics: serde_json::Value = serde_json::from_str(METRICS)?;
    let threshold = metrics.get("threshold").and_then(serde_json::Value::as_f64);
    threshold.context("model/metrics.json has no threshold")
}

/// The model file, read and checked.
///
/// # Errors
/// If the file is not one that the evaluator reproduces.
pub fn load() -> Result<Model> {
    Ok(Model::parse(FILE.as_bytes())?)
}

/// The same model without its last tree.
///
/// # Errors
/// If the file is not as LightGBM writes it.
pub fn one_tree_less() -> Result<Model> {
    let (before, last) = FILE.rsplit_once("\nTree=").context("the model has no trees")?;
    let (_, end) = last.split_once("\nend of trees").context("the model has no end")?;
    let sizes = before.lines().find(|line| line.starts_with("tree_sizes=")).context("no sizes of trees")?;
    let (fewer, _) = sizes.rsplit_once(' ').context("the model has one tree")?;
    let text = format!("{}\nend of trees{end}", before.replacen(sizes, fewer, 1));
    Ok(Model::parse(text.as_bytes())?)
}

/// The model, as the model server has it.
pub struct Tumour {
    model: Model,
    swapped: Option<Swapped>,
}

/// A model that answers some patients in the honest one's place.
struct Swapped {
    model: Model,
    every: u32,
}

impl Tumour {
    /// Answers with the model.
    #[must_use]
    pub const fn honest(model: Model) -> Self {
        Self { model, swapped: None }
    }

    /// Says that it answers with the model, and answers the cases whose number `every` divides with another one.
    #[must_use]
    pub const fn tampered(model: Model, other: Model, every: u32) -> Self {
        Self { model, swapped: Some(Swapped { model: other, every }) }
    }

    /// The model that answers this request.
    fn model(&self, request: &ModelInferRequest) -> &Model {
        let case = request.id.parse::<u32>().ok();
        let swapped = self.swapped.as_ref();
        let swapped = swapped.filter(|swapped| case.is_some_and(|case| case.is_multiple_of(swapped.every)));
        swapped.map_or(&self.model, |swapped| &swapped.model)
    }
}

impl Served for Tumour {
    fn name(&self) -> &str {
        NAME
    }

    fn version(&self) -> &str {
        VERSION
    }

    fn metadata(&self) -> Metadata {
        let columns = self.model.feature_count();
        Metadata {
            platform: "lightgbm",
            inputs: vec![tensor::<f64>(INPUT, columns)],
            outputs: vec![
                tensor::<f64>(MARGIN, 1),
                tensor::<f64>(PROBABILITY, 1),
                tensor::<f64>(CONTRIBUTIONS, columns + 1),
            ],
        }
    }

    fn infer(&self, request: &ModelInferRequest) -> Result<Vec<Output>, Status> {
        let model = self.model(request);
        let columns = model.feature_count();
        let values = tensors::rows::<f64>(request, INPUT, columns)?;
        let refused = |error| Status::invalid_argument(format!("the row cannot be scored: {error}"));
        let (mut margins, mut probabilities, mut contributions) = (Vec::new(), Vec::new(), Vec::new());
        for row in values.chunks_exact(columns) {
            let of_row = model.margins(row).map_err(refused)?;
            probabilities.extend(model.answer(&of_row));
            margins.extend(of_row);
            contributions.extend(model.contributions(row).map_err(refused)?.into_iter().flatten());
        }
        Ok(vec![
            Output::column(MARGIN, margins),
            Output::column(PROBABILITY, probabilities),
            Output::table(CONTRIBUTIONS, columns + 1, contributions),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_less_is_another_model_of_the_same_columns() {
        let (whole, less) = (load().unwrap(), one_tree_less().unwrap());
        assert_eq!(less.tree_count() + 1, whole.tree_count());
        assert_eq!(less.feature_names(), whole.feature_names());
        let row = vec![1.0; 30];
        assert_ne!(less.margins(&row).unwrap(), whole.margins(&row).unwrap());
    }

    #[test]
    fn a_tampered_server_answers_the_chosen_cases_only_with_another_model() {
        let honest = Tumour::honest(load().unwrap());
        let tampered = Tumour::tampered(load().unwrap(), one_tree_less().unwrap(), 20);
        let answer = |server: &Tumour, case: &str| {
            let request = example_desk::client::request(NAME, case, &[], INPUT, &[1.0_f64; 30]).unwrap();
            format!("{:?}", server.infer(&request).unwrap())
        };
        assert_eq!(answer(&honest, "7"), answer(&tampered, "7"));
        assert_ne!(answer(&honest, "40"), answer(&tampered, "40"));
    }
}
