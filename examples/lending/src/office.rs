//! The loan office: its model as a model server has it, the sidecar's configuration, and the office's own requests.
//!
//! The sidecar sees the model server as it would see any other: nothing here knows that it is recorded.

use std::sync::Arc;

use anyhow::Result;
use example_desk::client::{self, Answer};
use example_desk::desk::{self, quoted_lines};
use example_desk::served::{Metadata, Served, tensor};
use example_desk::tensors::{self, Output};
use ledgerstone::proto::inference::ModelInferRequest;
use ledgerstone_verifier::recompute::xgboost::Model;
use tonic::Status;

use crate::applications::Application;
use crate::model;

/// The tensor that a request carries: FP32, one row a decision.
pub const INPUT: &str = "features";

/// The tensor with the sum of the trees' leaves.
pub const MARGIN: &str = "margin";

/// The tensor with the probability of approval.
pub const PROBABILITY: &str = "probability";

/// The request's parameter that says whose application it is.
pub const APPLICATION: &str = "application";

/// The model, as the model server has it.
pub struct Mortgage(pub Arc<Model>);

impl Served for Mortgage {
    fn name(&self) -> &str {
        model::NAME
    }

    fn version(&self) -> &str {
        model::VERSION
    }

    fn metadata(&self) -> Metadata {
        Metadata {
            platform: "xgboost",
            inputs: vec![tensor::<f32>(INPUT, self.0.feature_count())],
            outputs: vec![tensor::<f32>(MARGIN, 1), tensor::<f32>(PROBABILITY, 1)],
        }
    }

    fn infer(&self, request: &ModelInferRequest) -> Result<Vec<Output>, Status> {
        let columns = self.0.feature_count();
        let values = tensors::rows::<f32>(request, INPUT, columns)?;
        let mut margins = Vec::new();
        for (number, row) in values.chunks_exact(columns).enumerate() {
            let margin = self.0.margin(row);
            margins.push(margin.map_err(|error| Status::invalid_argument(format!("row {number}: {error}")))?);
        }
        let probabilities = margins.iter().map(|margin| self.0.probability(*margin)).collect::<Vec<f32>>();
        Ok(vec![Output::column(MARGIN, margins), Output::column(PROBABILITY, probabilities)])
    }
}

/// What the office keeps of one application.
#[derive(Clone, Debug)]
pub struct Decided {
    /// The application's number.
    pub application: u32,
    /// The probability of approval.
    pub probability: f32,
    /// What came back.
    pub answer: Answer,
}

/// The application as a request.
///
/// # Errors
/// If it has more columns than the protocol can say.
pub fn request(application: &Application) -> Result<ModelInferRequest> {
    let number = application.number.to_string();
    client::request(model::NAME, &number, &[(APPLICATION, &number)], INPUT, &application.features)
}

/// What came back for an application.
///
/// # Errors
/// If the answer has no probability.
pub fn decided(application: &Application, answer: Answer) -> Result<Decided> {
    Ok(Decided { application: application.number, probability: answer.value(PROBABILITY)?, answer })
}

/// The sidecar's configuration file. Paths start from the folder that it lies in.
///
/// # Errors
/// If the committed metrics have no threshold.
pub fn configuration(columns: &[String]) -> Result<String> {
    let (begins, names) = (desk::configuration("lending"), quoted_lines(columns));
    let (name, threshold) = (model::NAME, model::threshold()?);
    Ok(format!(
        r#"{begins}
# What the model's traffic means: whose application it is, what the columns are called, and what the score leads to.
[[route]]
name = "{name}"
match = {{ model = "{name}" }}
model = {{ folder = "model" }}
use_case = "5b"
subject = {{ parameter = "{APPLICATION}" }}
score = {{ tensor = "{PROBABILITY}" }}
threshold = {{ value = {threshold}, above = "approve", below = "deny" }}
adverse = ["deny"]

[[route.features]]
tensor = "{INPUT}"
names = [
{names}]
"#
    ))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use ledgerstone_sidecar::config::Config;

    use super::*;

    #[test]
    fn writes_a_configuration_that_the_sidecar_takes() {
        let model = model::load().unwrap();
        let text = configuration(model.feature_names()).unwrap();
        let config = Config::from_toml(&text, Path::new("/run")).unwrap();
        assert_eq!(config.log.store, Path::new("/run/store"));
        assert_eq!(config.routes[0].features[0].names, model.feature_names());
        assert_eq!(config.routes[0].threshold.as_ref().unwrap().value, 0.75);
    }

    #[test]
    fn serves_the_rows_of_a_request_and_refuses_what_the_model_does_not_take() {
        let mortgage = Mortgage(Arc::new(model::load().unwrap()));
        let rows: [f32; 62] = std::array::from_fn(|place| if place < 31 { 0.0 } else { f32::NAN });
        let mut request = client::request(model::NAME, "7", &[], INPUT, &rows).unwrap();
        request.inputs[0].shape = vec![2, 31];
        assert_eq!(mortgage.infer(&request).unwrap().len(), 2);
        request.raw_input_contents[0] = rows
            .map(|value| if value == 0.0 { value } else { f32::INFINITY })
            .map(f32::to_le_bytes)
            .concat()
            .into();
        let status = mortgage.infer(&request).unwrap_err();
        assert!(status.message().starts_with("row 1: feature 0 is infinite"), "{status}");
    }
}
