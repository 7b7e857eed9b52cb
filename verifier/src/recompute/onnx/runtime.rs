//! onnxruntime itself, from a shared library that the user names, as a second engine for the same model file.
//!
//! *Guarantees*: the own reader reads and checks the file first, so that custom operations, tensors in other files and whatever else it
//! refuses never reach the library. One thread, one operation after the other, no telemetry; rows are asked one by one, unless the
//! caller wants batches. Margins are the scores of the scoring operation without its transform, as in [`super::Model`].
//!
//! *Does not do*: find or download a library, or check that it is onnxruntime's own: loading a library runs its code.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ledgerstone::code::Code;
use ort::environment::Environment;
use ort::logging::LogLevel;
use ort::session::{Session as Running, SessionInputValue};
use ort::value::{DynValue, TensorElementType, ValueType};

use super::super::Texts;
use super::tensor::{Data, Tensor};
use super::{Fault, Model, ModelError, Numbers, RowError, rewrite};

/// The library that was loaded; onnxruntime allows one a process.
static LOADED: Mutex<Option<(PathBuf, Environment)>> = Mutex::new(None);

/// Why onnxruntime cannot be asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RuntimeError {
    /// The file is not there or cannot be looked at.
    #[error("{path} cannot be read: {problem}")]
    Unreadable {
        /// The path that was given.
        path: String,
        /// What the system says.
        problem: String,
    },
    /// The file is no onnxruntime, or too old.
    #[error("{path} is no onnxruntime library that can be used: {problem}")]
    Library {
        /// The path that was given.
        path: String,
        /// What the loader says.
        problem: String,
    },
    /// A process can load one library.
    #[error("onnxruntime was loaded from {path} already, and a process can load one library")]
    Loaded {
        /// Where it was loaded from.
        path: String,
    },
    /// The own reader refuses the file, so onnxruntime is not shown it.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The graph does not name the scores that margins are made of.
    #[error("the graph does not name the output of its scoring operation that has the scores")]
    NoScores,
    /// onnxruntime refuses the model.
    #[error("onnxruntime does not take the model: {problem}")]
    Session {
        /// What it says.
        problem: String,
    },
}

impl RuntimeError {
    /// What the reader of this error should do.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Unreadable { .. } | Self::Session { .. } => Code::Unavailable,
            Self::Library { .. } => Code::Malformed,
            Self::Loaded { .. } | Self::NoScores => Code::Misuse,
            Self::Model(error) => error.code(),
        }
    }

    /// The same as a sentence.
    #[must_use]
    pub const fn advice(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } | Self::Library { .. } => {
                "Give the path of libonnxruntime.so 1.17 or later; Python's package onnxruntime has it in the folder onnxruntime/capi."
            }
            Self::Loaded { .. } => "Give the same library, or start another process.",
            Self::Model(_) => "Export it again from the library that trained it.",
            Self::NoScores => "Leave the engine out, or export the model with both outputs.",
            Self::Session { .. } => {
                "Check that this version of onnxruntime knows the model's operation sets."
            }
        }
    }
}

/// A library that was loaded.
#[derive(Clone, Debug)]
pub struct Library {
    environment: Environment,
}

impl Library {
    /// Loads the library, once a process.
    ///
    /// # Errors
    /// The file cannot be loaded, is no onnxruntime, is too old, or another one is loaded already.
    pub fn load(path: &Path) -> Result<Self, RuntimeError> {
        let shown = path.display().to_string();
        let path = path
            .canonicalize()
            .map_err(|error| RuntimeError::Unreadable { path: shown.clone(), problem: error.to_string() })?;
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, environment)) = loaded.as_ref() {
            return match *known == path {
                true => Ok(Self { environment: environment.clone() }),
                false => Err(RuntimeError::Loaded { path: known.display().to_string() }),
            };
        }
        let refused = |problem: String| RuntimeError::Library { path: shown.clone(), problem };
        let builder = ort::init_from(&path).map_err(|error| refused(said(&error, &path)))?;
        let environment = builder.with_name("ledgerstone").with_telemetry(false).build();
        let environment = environment.map_err(|error| refused(error.to_string()))?;
        environment.set_log_level(LogLevel::Fatal);
        *loaded = Some((path, environment.clone()));
        Ok(Self { environment })
    }

    /// What the library says of its build.
    #[must_use]
    pub fn build(&self) -> String {
        let info = ort::info();
        let info = info.strip_prefix("ORT Build Info: ").unwrap_or(info);
        info.split(", ").take(2).collect::<Vec<_>>().join(", ")
    }

    fn start(&self, bytes: &[u8], threads: usize) -> Result<Running, RuntimeError> {
        let refused = |error: ort::Error| RuntimeError::Session { problem: error.to_string() };
        let builder = Running::builder(&self.environment).map_err(refused)?;
        let builder = builder.with_intra_threads(threads.max(1)).map_err(|error| refused(error.into()))?;
        let builder = builder.with_inter_threads(1).map_err(|error| refused(error.into()))?;
        let builder = builder.with_parallel_execution(false).map_err(|error| refused(error.into()))?;
        let mut builder = builder.with_log_level(LogLevel::Fatal).map_err(|error| refused(error.into()))?;
        builder.commit_from_memory(bytes).map_err(refused)
    }
}

/// Why a library was not loaded, without its path, which the reader knows.
fn said(error: &ort::LoadDynamicError, path: &Path) -> String {
    match error {
        ort::LoadDynamicError::Dlopen { error, .. } => {
            let why = std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
            why.replace(&format!("{}: ", path.display()), "")
        }
        ort::LoadDynamicError::MissingApi { .. } => "it does not export OrtGetApiBase".to_owned(),
        ort::LoadDynamicError::BadVersion { version_str, .. } => {
            format!(
                "it is version {version_str}, and 1.{} is the oldest that can be used",
                ort::MINOR_VERSION
            )
        }
        ort::LoadDynamicError::InvalidVersionString => "its version is no text".to_owned(),
    }
}

/// A model that onnxruntime took.
#[derive(Debug)]
pub struct Session {
    model: Model,
    answers: Running,
    /// The same without the transform of the scores; none where the margins are the answers.
    margins: Option<Running>,
}

impl Session {
    /// Has onnxruntime read a model file, after the own reader.
    ///
    /// # Errors
    /// The own reader or onnxruntime refuses the file.
    pub fn new(library: &Library, bytes: &[u8], threads: usize) -> Result<Self, RuntimeError> {
        let model = Model::parse(bytes)?;
        let answers = library.start(&rewrite::without_maps(bytes)?, threads)?;
        let margins = match model.graph.scoring() {
            None => None,
            Some(scoring) => {
                let scores = rewrite::scores_only(bytes, scoring)?.ok_or(RuntimeError::NoScores)?;
                Some(library.start(&scores, threads)?)
            }
        };
        Ok(Self { model, answers, margins })
    }

    /// What onnxruntime says of a row.
    ///
    /// # Errors
    /// [`RowError`] if the row is none of this model's, or onnxruntime refuses it.
    pub fn numbers(&mut self, row: &[f64], texts: &Texts) -> Result<Numbers, RowError> {
        let mut found = self.run(row, texts, 1)?;
        found.pop().ok_or_else(|| RowError::Engine { problem: "it gave nothing".to_owned() })
    }

    /// What onnxruntime says of rows that it is given at once.
    ///
    /// # Errors
    /// As [`Session::numbers`]; the graph does not take several rows.
    pub fn numbers_of_rows(&mut self, rows: &[f64], texts: &Texts) -> Result<Vec<Numbers>, RowError> {
        let count = rows.len() / self.model.feature_count().max(1);
        if count != 1 && !self.takes_batches() {
            return Err(RowError::Engine { problem: "the graph takes one row at a time".to_owned() });
        }
        self.run(rows, texts, count)
    }

    /// Whether the graph takes several rows at once.
    #[must_use]
    pub fn takes_batches(&self) -> bool {
        self.model.graph.takes_rows()
    }

    fn run(&mut self, rows: &[f64], texts: &Texts, count: usize) -> Result<Vec<Numbers>, RowError> {
        let given = self.model.graph.inputs(rows, texts, count)?;
        let outputs = asked(&mut self.answers, &given)?;
        let scores = match &mut self.margins {
            None => None,
            Some(session) => asked(session, &given)?.pop(),
        };
        let wrong =
            |fault: Fault| RowError::Graph { place: "onnxruntime".to_owned(), problem: fault.problem };
        self.model.graph.numbers(outputs, scores, count).map_err(wrong)
    }
}

/// The outputs of a session, in their order.
fn asked(session: &mut Running, given: &[Tensor]) -> Result<Vec<Tensor>, RowError> {
    let engine = |error: ort::Error| RowError::Engine { problem: error.to_string() };
    if session.inputs().len() != given.len() {
        return Err(RowError::Engine { problem: "it takes another number of inputs".to_owned() });
    }
    let values: Result<Vec<SessionInputValue<'_>>, ort::Error> =
        given.iter().map(|tensor| Ok(handed(tensor)?.into())).collect();
    let values = values.map_err(engine)?;
    let names: Vec<String> = session.outputs().iter().map(|output| output.name().to_owned()).collect();
    let outputs = session.run(values.as_slice()).map_err(engine)?;
    let taken = |name: &String| {
        let value =
            outputs.get(name).ok_or_else(|| RowError::Engine { problem: "an output is missing".to_owned() });
        taken(value?)
            .map_err(engine)?
            .ok_or_else(|| RowError::Engine { problem: "an output is of a type that is not read".to_owned() })
    };
    names.iter().map(taken).collect()
}

/// A tensor for the library.
fn handed(tensor: &Tensor) -> Result<DynValue, ort::Error> {
    use ort::value::Tensor as Other;
    let dims = tensor.dims().to_vec();
    Ok(match tensor.data().clone() {
        Data::F32(items) => Other::from_array((dims, items))?.into_dyn(),
        Data::F64(items) => Other::from_array((dims, items))?.into_dyn(),
        Data::I64(items) => Other::from_array((dims, items))?.into_dyn(),
        Data::I32(items) => Other::from_array((dims, items))?.into_dyn(),
        Data::Bool(items) => Other::from_array((dims, items))?.into_dyn(),
        Data::U8(items) => Other::from_array((dims, items))?.into_dyn(),
        Data::Text(items) => Other::from_string_array((dims, items.as_slice()))?.into_dyn(),
    })
}

/// A tensor of the library; none of a type that is not read.
fn taken(value: &DynValue) -> Result<Option<Tensor>, ort::Error> {
    let ValueType::Tensor { ty, shape, .. } = value.dtype() else { return Ok(None) };
    let dims: Option<Vec<usize>> = shape.iter().map(|dim| usize::try_from(*dim).ok()).collect();
    let data = match ty {
        TensorElementType::Float32 => Data::F32(value.try_extract_tensor()?.1.to_vec()),
        TensorElementType::Float64 => Data::F64(value.try_extract_tensor()?.1.to_vec()),
        TensorElementType::Int64 => Data::I64(value.try_extract_tensor()?.1.to_vec()),
        TensorElementType::Int32 => Data::I32(value.try_extract_tensor()?.1.to_vec()),
        TensorElementType::Bool => Data::Bool(value.try_extract_tensor()?.1.to_vec()),
        TensorElementType::String => Data::Text(value.try_extract_strings()?.1),
        _ => return Ok(None),
    };
    Ok(dims.and_then(|dims| Tensor::new(dims, data).ok()))
}

#[cfg(test)]
mod tests;
