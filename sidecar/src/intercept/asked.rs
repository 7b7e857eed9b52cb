//! What a request asks, read for the record.
//!
//! Guarantees: what contradicts itself or a limit is refused before the model sees it; what cannot be read is said to be
//! unobserved, never taken for empty. Does not do: changing the request; the body goes on byte for byte.

use bytes::Bytes;
use ledgerstone::proto::inference::ModelInferRequest;
use prost::Message as _;
use tonic::Status;

use super::frame::{self, FrameError, Message};
use super::route::Route;
use ledgerstone::oip::{self, Content, Tensor, TensorError};

/// Fields that the rows of one call may make together; with those of 256 tensors on each side and the rest they stay
/// below `ledgerstone::limits::FIELDS_MAX`.
pub(crate) const ROW_FIELDS_MAX: usize = 2048;

/// One request as far as it could be read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    /// The body as it came; empty if it was larger than the limit.
    pub(crate) body: Bytes,
    /// The message in the body.
    pub(crate) message: Option<Message>,
    /// The request in the message, without its tensors' elements.
    pub(crate) infer: Option<ModelInferRequest>,
    /// Its tensors.
    pub(crate) tensors: Vec<Tensor>,
    /// What could not be read, and why.
    pub(crate) problem: Option<String>,
}

/// How much of the input passed here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Observed {
    Fully,
    Partly,
    Not,
}

impl Observed {
    /// As it stands in a record.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Fully => "true",
            Self::Partly => "partial",
            Self::Not => "false",
        }
    }
}

impl Asked {
    /// Reads `body`. A status beside the request says why it must not reach the model.
    pub(crate) fn read(
        body: Bytes,
        encoding: Option<&str>,
        message_bytes_max: usize,
    ) -> (Self, Option<Status>) {
        let mut asked = Self { body, ..Self::default() };
        let message = match frame::unary(&asked.body, encoding, message_bytes_max) {
            Ok(message) => message,
            Err(error) => {
                let refusal = matches!(error, FrameError::TooLarge { .. })
                    .then(|| Status::resource_exhausted(error.to_string()));
                asked.problem = Some(error.to_string());
                return (asked, refusal);
            }
        };
        let decoded = ModelInferRequest::decode(message.bytes.clone());
        asked.message = Some(message);
        let infer = match decoded {
            Ok(infer) => infer,
            Err(_) => {
                asked.problem = Some("the message is not a ModelInferRequest".to_owned());
                return (asked, None);
            }
        };
        let tensors = oip::inputs(&infer);
        asked.infer = Some(infer);
        match tensors {
            Ok(tensors) => asked.tensors = tensors,
            Err(error) => {
                let refusal = refusal(&error);
                asked.problem = Some(error.to_string());
                return (asked, Some(refusal));
            }
        }
        (asked, None)
    }

    /// A request whose body did not arrive whole.
    pub(crate) fn incomplete(problem: &str) -> Self {
        Self { problem: Some(problem.to_owned()), ..Self::default() }
    }

    /// Name of the model that the request is for; empty where it could not be read.
    pub(crate) fn model(&self) -> &str {
        self.infer.as_ref().map_or("", |infer| &infer.model_name)
    }

    /// The tensor of that name.
    pub(crate) fn tensor(&self, name: &str) -> Option<&Tensor> {
        self.tensors.iter().find(|tensor| tensor.name == name)
    }

    /// How much of the input passed here.
    pub(crate) fn observed(&self) -> Observed {
        let there = |tensor: &Tensor| matches!(tensor.content, Content::Observed(_));
        if self.problem.is_some() || self.infer.is_none() || !self.tensors.iter().any(there) {
            Observed::Not
        } else if self.tensors.iter().all(there) {
            Observed::Fully
        } else {
            Observed::Partly
        }
    }

    /// How many people the call is about: rows of the mapped tensor, else of the first tensor with rows, else one.
    pub(crate) fn rows(&self, route: &Route) -> usize {
        let mapped = route.config().features.iter().find_map(|features| {
            let elements = self.tensor(&features.tensor)?.elements()?;
            let columns = features.names.len();
            (elements.count % columns == 0).then(|| elements.count / columns)
        });
        let first = || {
            let tensor = self.tensors.iter().find(|tensor| tensor.shape.len() >= 2)?;
            usize::try_from(*tensor.shape.first()?).ok()
        };
        mapped.or_else(first).unwrap_or(1)
    }

    /// Refuses a batch whose rows would make more fields than a record holds.
    pub(crate) fn check_rows(&self, route: &Route) -> Result<(), Status> {
        let fields = fields_a_row(route);
        let rows = self.rows(route);
        if fields == 0 || rows <= ROW_FIELDS_MAX / fields {
            return Ok(());
        }
        Err(Status::resource_exhausted(format!(
            "a call of {rows} rows makes more fields than one record holds; send at most {} rows a call",
            ROW_FIELDS_MAX / fields
        )))
    }
}

/// Fields that each row of a call makes: features, subject, score, label, action and whether it is adverse.
fn fields_a_row(route: &Route) -> usize {
    let config = route.config();
    let features: usize = config.features.iter().map(|features| features.names.len()).sum();
    let labels = match config.threshold.is_some() || config.label.is_some() {
        true => 3,
        // Where the gate refuses, every row says so.
        false => usize::from(!config.gate.is_empty()),
    };
    let named =
        features + usize::from(config.subject.is_some()) + usize::from(config.score.is_some()) + labels;
    // A masked field leaves two: its pointer and the reason.
    if route.has_masks() { named * 2 } else { named }
}

fn refusal(error: &TensorError) -> Status {
    match error {
        TensorError::Limit { .. } => Status::resource_exhausted(error.to_string()),
        _ => Status::invalid_argument(error.to_string()),
    }
}
