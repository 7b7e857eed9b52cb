use ledgerstone::proto::inference::InferTensorContents;
use ledgerstone::proto::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use ledgerstone::proto::inference::model_infer_request::{InferInputTensor, InferRequestedOutputTensor};
use prost::bytes::Bytes;
use tonic::Code;
use tonic::transport::Channel;

use super::*;

const INPUT: &str = "features";
const MARGIN: &str = "margin";
const PROBABILITY: &str = "probability";

/// Says the sum of 31 columns, missing ones left out, and half of it.
struct Sum;

impl Served for Sum {
    fn name(&self) -> &str {
        "mortgage"
    }

    fn version(&self) -> &str {
        "1"
    }

    fn metadata(&self) -> Metadata {
        Metadata {
            platform: "sums",
            inputs: vec![tensor::<f32>(INPUT, 31)],
            outputs: vec![tensor::<f32>(MARGIN, 1), tensor::<f32>(PROBABILITY, 1)],
        }
    }

    fn infer(&self, request: &ModelInferRequest) -> Result<Vec<Output>, Status> {
        let values = tensors::rows::<f32>(request, INPUT, 31)?;
        let sum = |row: &[f32]| row.iter().filter(|value| !value.is_nan()).sum::<f32>() + 0.0;
        let sums: Vec<f32> = values.chunks_exact(31).map(sum).collect();
        let halves: Vec<f32> = sums.iter().map(|sum| sum / 2.0).collect();
        Ok(vec![Output::column(MARGIN, sums), Output::column(PROBABILITY, halves)])
    }
}

async fn start() -> GrpcInferenceServiceClient<Channel> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let server = ModelServer::new("a-model-server", vec![Arc::new(Sum)]);
    tokio::spawn(server.serve(listener, std::future::pending()));
    let channel = Channel::from_shared(address).unwrap().connect().await.unwrap();
    GrpcInferenceServiceClient::new(channel)
}

/// Two rows of the model's 31 columns: ones, and missing values only.
fn rows() -> Vec<f32> {
    [[1.0; 31], [f32::NAN; 31]].concat()
}

fn typed() -> ModelInferRequest {
    ModelInferRequest {
        model_name: "mortgage".to_owned(),
        id: "a-7".to_owned(),
        inputs: vec![InferInputTensor {
            name: INPUT.to_owned(),
            datatype: "FP32".to_owned(),
            shape: vec![2, 31],
            contents: Some(InferTensorContents { fp32_contents: rows(), ..Default::default() }),
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn raw() -> ModelInferRequest {
    let mut request = typed();
    request.inputs[0].contents = None;
    request.raw_input_contents = vec![rows().iter().flat_map(|value| value.to_le_bytes()).collect()];
    request
}

fn expected() -> (Vec<f32>, Vec<f32>) {
    (vec![31.0, 0.0], vec![15.5, 0.0])
}

#[tokio::test]
async fn answers_typed_contents_with_typed_contents() {
    let answer = start().await.model_infer(typed()).await.unwrap().into_inner();
    let (margins, probabilities) = expected();
    assert_eq!(
        (answer.model_name.as_str(), answer.model_version.as_str(), answer.id.as_str()),
        ("mortgage", "1", "a-7")
    );
    assert!(answer.raw_output_contents.is_empty());
    for (output, (name, values)) in
        answer.outputs.iter().zip([(MARGIN, margins), (PROBABILITY, probabilities)])
    {
        assert_eq!((output.name.as_str(), output.datatype.as_str()), (name, "FP32"));
        assert_eq!(output.shape, [2, 1]);
        assert_eq!(output.contents.as_ref().unwrap().fp32_contents, values);
    }
}

#[tokio::test]
async fn answers_raw_contents_with_raw_contents_of_the_same_bits() {
    let answer = start().await.model_infer(raw()).await.unwrap().into_inner();
    let (margins, probabilities) = expected();
    let bytes = |values: Vec<f32>| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Bytes>();
    assert_eq!(answer.raw_output_contents, [bytes(margins), bytes(probabilities)]);
    assert!(answer.outputs.iter().all(|output| output.contents.is_none()));
}

#[tokio::test]
async fn gives_only_the_outputs_asked_for() {
    let mut request = raw();
    let output = |name: &str| InferRequestedOutputTensor { name: name.to_owned(), ..Default::default() };
    request.outputs = vec![output(PROBABILITY)];
    let answer = start().await.model_infer(request.clone()).await.unwrap().into_inner();
    assert_eq!(answer.outputs.len(), 1);
    assert_eq!(answer.outputs[0].name, PROBABILITY);
    assert_eq!(answer.raw_output_contents.len(), 1);
    request.outputs = vec![output("reason")];
    let status = start().await.model_infer(request).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn does_not_find_other_models_and_versions() {
    let mut client = start().await;
    for (name, version) in [("", ""), ("mortgages", ""), ("mortgage", "2")] {
        let request = ModelInferRequest { model_name: name.into(), model_version: version.into(), ..typed() };
        let status = client.model_infer(request).await.unwrap_err();
        assert_eq!(status.code(), Code::NotFound, "{name} {version}");
        let request = ModelMetadataRequest { name: name.into(), version: version.into() };
        assert_eq!(client.model_metadata(request).await.unwrap_err().code(), Code::NotFound);
        let request = ModelReadyRequest { name: name.into(), version: version.into() };
        assert!(!client.model_ready(request).await.unwrap().into_inner().ready);
    }
    let request = ModelInferRequest { model_version: "1".into(), ..typed() };
    assert!(client.model_infer(request).await.is_ok());
}

#[tokio::test]
async fn refuses_tensors_that_do_not_fit() {
    type Change = fn(&mut ModelInferRequest);
    let changes: [(&str, Change); 16] = [
        ("no input", |request| request.inputs.clear()),
        ("two inputs", |request| request.inputs.push(request.inputs[0].clone())),
        ("another name", |request| request.inputs[0].name = "x".into()),
        ("another type", |request| request.inputs[0].datatype = "FP64".into()),
        ("no shape", |request| request.inputs[0].shape.clear()),
        ("no rows", |request| request.inputs[0].shape = vec![0, 31]),
        ("too many rows", |request| request.inputs[0].shape = vec![4097, 31]),
        ("negative rows", |request| request.inputs[0].shape = vec![-2, 31]),
        ("huge rows", |request| request.inputs[0].shape = vec![i64::MAX, 31]),
        ("too few columns", |request| request.inputs[0].shape = vec![2, 30]),
        ("three dimensions", |request| request.inputs[0].shape = vec![1, 2, 31]),
        ("fewer rows than elements", |request| request.inputs[0].shape = vec![1, 31]),
        ("more rows than elements", |request| request.inputs[0].shape = vec![3, 31]),
        ("a cut float", |request| request.raw_input_contents[0].truncate(247)),
        ("raw contents of two", |request| request.raw_input_contents.push(Bytes::new())),
        ("both encodings", |request| request.inputs[0].contents = typed().inputs[0].contents.clone()),
    ];
    let mut client = start().await;
    for (name, change) in changes {
        let mut request = raw();
        change(&mut request);
        let status = client.model_infer(request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{name}: {status}");
        assert!(!status.message().is_empty());
    }
    let mut request = typed();
    request.inputs[0].contents = None;
    assert_eq!(client.model_infer(request).await.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn describes_itself_and_its_model() {
    let mut client = start().await;
    assert!(client.server_live(ServerLiveRequest {}).await.unwrap().into_inner().live);
    assert!(client.server_ready(ServerReadyRequest {}).await.unwrap().into_inner().ready);
    let request = ModelReadyRequest { name: "mortgage".into(), version: String::new() };
    assert!(client.model_ready(request).await.unwrap().into_inner().ready);
    let server = client.server_metadata(ServerMetadataRequest {}).await.unwrap().into_inner();
    assert_eq!(server.name, "a-model-server");
    let request = ModelMetadataRequest { name: "mortgage".into(), version: String::new() };
    let model = client.model_metadata(request).await.unwrap().into_inner();
    assert_eq!((model.name.as_str(), model.platform.as_str()), ("mortgage", "sums"));
    assert_eq!(model.versions, ["1"]);
    assert_eq!(model.inputs[0].shape, [-1, 31]);
    assert_eq!(model.outputs.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), [MARGIN, PROBABILITY]);
}
