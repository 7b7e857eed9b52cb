//! A client of the model server. It knows an address, a model's name and a tensor; it does not know that a sidecar
//! answers, but for the three headers that it keeps.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use indicatif::ProgressBar;
use ledgerstone::entry::DecisionId;
use ledgerstone::merkle::LeafIndex;
use ledgerstone::proto::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use ledgerstone::proto::inference::infer_parameter::ParameterChoice;
use ledgerstone::proto::inference::model_infer_request::InferInputTensor;
use ledgerstone::proto::inference::{InferParameter, ModelInferRequest, ModelInferResponse};
use tokio::task::JoinSet;
use tonic::Response;
use tonic::metadata::MetadataMap;
use tonic::transport::Channel;

use crate::applications::Application;
use crate::model;
use crate::oip_server::{INPUT, MARGIN, PROBABILITY};

/// Requests that the client has under way at one time, as a busy loan office would.
const IN_FLIGHT: usize = 64;

/// The request's parameter that says whose application it is.
pub const APPLICATION: &str = "application";

/// What came back for one application.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The application's number.
    pub application: u32,
    /// The sum of the leaves.
    pub margin: f32,
    /// The probability of approval.
    pub probability: f32,
    /// The decision's id, from the answer's headers.
    pub decision: DecisionId,
    /// Where its entry stands in the log, from the answer's headers.
    pub index: LeafIndex,
}

/// Sends every application to the model at `address`, and gives the answers in the order of the applications.
///
/// # Errors
/// If one call fails: every application must be answered.
pub async fn send_all(
    address: std::net::SocketAddr,
    applications: Arc<Vec<Application>>,
    progress: &ProgressBar,
) -> Result<(Vec<Answer>, Duration)> {
    let channel = Channel::from_shared(format!("http://{address}"))?.tcp_nodelay(true).connect().await?;
    let begun = Instant::now();
    let next = Arc::new(AtomicUsize::new(0));
    let mut clerks = JoinSet::new();
    for _ in 0..IN_FLIGHT {
        let client = GrpcInferenceServiceClient::new(channel.clone());
        clerks.spawn(work_through(client, applications.clone(), next.clone(), progress.clone()));
    }
    let mut answers = Vec::with_capacity(applications.len());
    while let Some(clerk) = clerks.join_next().await {
        answers.extend(clerk??);
    }
    let took = begun.elapsed();
    answers.sort_by_key(|answer| answer.application);
    ensure!(answers.len() == applications.len(), "some applications were not answered");
    Ok((answers, took))
}

/// Takes the next application until none is left.
async fn work_through(
    mut client: GrpcInferenceServiceClient<Channel>,
    applications: Arc<Vec<Application>>,
    next: Arc<AtomicUsize>,
    progress: ProgressBar,
) -> Result<Vec<Answer>> {
    let mut answers = Vec::new();
    while let Some(application) = applications.get(next.fetch_add(1, Ordering::Relaxed)) {
        let response = client
            .model_infer(request(application)?)
            .await
            .with_context(|| format!("application {} was not answered", application.number))?;
        answers.push(answer(application.number, &response)?);
        progress.inc(1);
    }
    Ok(answers)
}

/// The application as a tensor of one row, in raw bytes as most clients send it.
fn request(application: &Application) -> Result<ModelInferRequest> {
    let number = application.number.to_string();
    let parameter = InferParameter { parameter_choice: Some(ParameterChoice::StringParam(number.clone())) };
    Ok(ModelInferRequest {
        model_name: model::NAME.to_owned(),
        id: number,
        parameters: [(APPLICATION.to_owned(), parameter)].into(),
        inputs: vec![InferInputTensor {
            name: INPUT.to_owned(),
            datatype: "FP32".to_owned(),
            shape: vec![1, i64::try_from(application.features.len())?],
            ..InferInputTensor::default()
        }],
        raw_input_contents: vec![application.features.iter().flat_map(|value| value.to_le_bytes()).collect()],
        ..ModelInferRequest::default()
    })
}

fn answer(application: u32, response: &Response<ModelInferResponse>) -> Result<Answer> {
    Ok(Answer {
        application,
        margin: output(response.get_ref(), MARGIN)?,
        probability: output(response.get_ref(), PROBABILITY)?,
        decision: header(response.metadata(), "ledgerstone-decision-id")?,
        index: LeafIndex::new(header(response.metadata(), "ledgerstone-leaf-index")?),
    })
}

/// The one element of an output tensor.
fn output(response: &ModelInferResponse, name: &str) -> Result<f32> {
    let place = response.outputs.iter().position(|output| output.name == name);
    let bytes = place.and_then(|place| response.raw_output_contents.get(place));
    let bytes = bytes.with_context(|| format!("the answer has no {name}"))?;
    Ok(f32::from_le_bytes(bytes.as_ref().try_into().context("the answer is not one number")?))
}

fn header<T>(headers: &MetadataMap, name: &str) -> Result<T>
where
    T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    let text = headers.get(name).with_context(|| format!("the answer has no header {name}"))?;
    Ok(text.to_str()?.parse()?)
}
