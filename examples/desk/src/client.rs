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

use crate::tensors::Element;

/// What came back for one request.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The model's answer.
    pub response: ModelInferResponse,
    /// The decision's id, from the answer's headers.
    pub decision: DecisionId,
    /// Where its entry stands in the log, from the answer's headers.
    pub index: LeafIndex,
}

/// A request of one row, in raw bytes as most clients send it, with parameters of text.
///
/// # Errors
/// If the row is longer than the protocol can say.
pub fn request<T: Element>(
    model: &str,
    id: &str,
    parameters: &[(&str, &str)],
    input: &str,
    row: &[T],
) -> Result<ModelInferRequest> {
    let parameter = |(name, value): &(&str, &str)| {
        let choice = ParameterChoice::StringParam((*value).to_owned());
        ((*name).to_owned(), InferParameter { parameter_choice: Some(choice) })
    };
    Ok(ModelInferRequest {
        model_name: model.to_owned(),
        id: id.to_owned(),
        parameters: parameters.iter().map(parameter).collect(),
        inputs: vec![InferInputTensor {
            name: input.to_owned(),
            datatype: T::DATATYPE.to_owned(),
            shape: vec![1, i64::try_from(row.len())?],
            ..InferInputTensor::default()
        }],
        raw_input_contents: vec![T::to_raw(row)],
        ..ModelInferRequest::default()
    })
}

/// Sends every request to the model at `address`, `in_flight` at one time, and gives the answers in the order of the
/// requests, and how long it took.
///
/// # Errors
/// If one call fails: every request must be answered.
pub async fn send_all(
    address: std::net::SocketAddr,
    requests: Vec<ModelInferRequest>,
    in_flight: usize,
    progress: &ProgressBar,
) -> Result<(Vec<Answer>, Duration)> {
    let channel = Channel::from_shared(format!("http://{address}"))?.tcp_nodelay(true).connect().await?;
    let begun = Instant::now();
    let requests = Arc::new(requests);
    let next = Arc::new(AtomicUsize::new(0));
    let mut clerks = JoinSet::new();
    for _ in 0..in_flight {
        let client = GrpcInferenceServiceClient::new(channel.clone());
        clerks.spawn(work_through(client, requests.clone(), next.clone(), progress.clone()));
    }
    let mut answers = Vec::with_capacity(requests.len());
    while let Some(clerk) = clerks.join_next().await {
        answers.extend(clerk??);
    }
    let took = begun.elapsed();
    answers.sort_by_key(|(place, _)| *place);
    ensure!(answers.len() == requests.len(), "some requests were not answered");
    Ok((answers.into_iter().map(|(_, answer)| answer).collect(), took))
}

/// Takes the next request until none is left.
async fn work_through(
    mut client: GrpcInferenceServiceClient<Channel>,
    requests: Arc<Vec<ModelInferRequest>>,
    next: Arc<AtomicUsize>,
    progress: ProgressBar,
) -> Result<Vec<(usize, Answer)>> {
    let mut answers = Vec::new();
    loop {
        let place = next.fetch_add(1, Ordering::Relaxed);
        let Some(request) = requests.get(place) else { return Ok(answers) };
        let response = client
            .model_infer(request.clone())
            .await
            .with_context(|| format!("{} {} was not answered", request.model_name, request.id))?;
        answers.push((place, Answer::of(response)?));
        progress.inc(1);
    }
}

impl Answer {
    fn of(response: Response<ModelInferResponse>) -> Result<Self> {
        Ok(Self {
            decision: header(response.metadata(), "ledgerstone-decision-id")?,
            index: LeafIndex::new(header(response.metadata(), "ledgerstone-leaf-index")?),
            response: response.into_inner(),
        })
    }

    /// The elements of an output tensor.
    ///
    /// # Errors
    /// If there is none of this name and type.
    pub fn values<T: Element>(&self, name: &str) -> Result<Vec<T>> {
        let place = self.response.outputs.iter().position(|output| output.name == name);
        let bytes = place.and_then(|place| self.response.raw_output_contents.get(place));
        let bytes = bytes.with_context(|| format!("the answer has no {name}"))?;
        T::from_raw(bytes).with_context(|| format!("{name} is not of type {}", T::DATATYPE))
    }

    /// The one element of an output tensor.
    ///
    /// # Errors
    /// If there is none, or there are several.
    pub fn value<T: Element>(&self, name: &str) -> Result<T> {
        let values = self.values::<T>(name)?;
        let [value] = values.as_slice() else {
            anyhow::bail!("{name} has {} elements", values.len());
        };
        Ok(value.clone())
    }
}

fn header<T>(headers: &MetadataMap, name: &str) -> Result<T>
where
    T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    let text = headers.get(name).with_context(|| format!("the answer has no header {name}"))?;
    Ok(text.to_str()?.parse()?)
}
