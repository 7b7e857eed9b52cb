//! What the caller is going to be answered, and what of it is known.
//!
//! Guarantees: an answer of the model goes out byte for byte; an answer that could not be read is kept by digest.

use bytes::Bytes;
use ledgerstone::proto::inference::ModelInferResponse;
use prost::Message as _;
use tonic::{Code, Status};

use super::frame::{self, Message};
use crate::upstream::{Answer, UpstreamFault};
use ledgerstone::oip::{self, Tensor};

/// The outcome of one call.
#[derive(Debug)]
pub(crate) struct Answered {
    /// The gRPC code that the caller gets.
    pub(crate) code: Code,
    /// The gRPC code of the model server, if it answered.
    pub(crate) upstream_code: Option<Code>,
    /// What went wrong, if something did.
    pub(crate) error: Option<String>,
    /// Body of the model's answer.
    pub(crate) body: Bytes,
    /// The message in the body.
    pub(crate) message: Option<Message>,
    /// The response in the message.
    pub(crate) infer: Option<ModelInferResponse>,
    /// Its tensors.
    pub(crate) tensors: Vec<Tensor>,
}

impl Answered {
    /// An answer of our own, without or instead of the model's.
    pub(crate) fn refused(status: &Status) -> Self {
        Self {
            code: status.code(),
            upstream_code: None,
            error: Some(status.message().to_owned()),
            body: Bytes::new(),
            message: None,
            infer: None,
            tensors: Vec::new(),
        }
    }

    /// The model server failed to answer.
    pub(crate) fn failed(fault: &UpstreamFault) -> Self {
        Self::refused(&fault.status())
    }

    /// The model server answered.
    pub(crate) fn read(answer: &Answer, message_bytes_max: usize) -> Self {
        let status = answer.status();
        let mut answered =
            Self { upstream_code: Some(status.code()), body: answer.body.clone(), ..Self::refused(&status) };
        if status.code() == Code::Ok {
            answered.error = answered.read_body(answer, message_bytes_max).err();
        }
        answered
    }

    /// The tensor of that name.
    pub(crate) fn tensor(&self, name: &str) -> Option<&Tensor> {
        self.tensors.iter().find(|tensor| tensor.name == name)
    }

    fn read_body(&mut self, answer: &Answer, message_bytes_max: usize) -> Result<(), String> {
        let encoding = answer.head.headers.get("grpc-encoding");
        let encoding = encoding.and_then(|value| value.to_str().ok());
        let message =
            frame::unary(&self.body, encoding, message_bytes_max).map_err(|error| error.to_string())?;
        let decoded = ModelInferResponse::decode(message.bytes.clone());
        self.message = Some(message);
        let infer = decoded.map_err(|_| "the message is not a ModelInferResponse".to_owned())?;
        let tensors = oip::outputs(&infer);
        self.infer = Some(infer);
        self.tensors = tensors.map_err(|error| error.to_string())?;
        Ok(())
    }
}
