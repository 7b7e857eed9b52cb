//! One decision as fields: the route's mapping applied to what was asked and answered.
//!
//! Guarantees: the same request, answer, times and route give the same record; what the mapping does not find is said in
//! the record (`input/error`, `output/error`), not left out in silence; a masked field leaves its pointer and reason.
//! Does not do: deciding whether the answer may go out; a record is made of refusals and failures too.
//! Specification: the vocabulary of paths in `ledgerstone::record::schema`. A call about several people is one record;
//! whatever differs from row to row has the row, counted from 0, as the last segment of its path (`outcome/action/[3]`).

use ledgerstone::record::schema::{self, Side};
use ledgerstone::record::{FieldPath, FieldPathError, Record, RecordBuilder, RecordError, Value};
use ledgerstone::time::UnixMillis;

use super::answered::Answered;
use super::asked::Asked;
use super::frame::Message;
use super::gated::Gated;
use super::route::{Route, RouteConfig, SubjectSource};
use crate::access::Origin;
use crate::models::Identity;
use ledgerstone::oip::{Element, Tensor, parameter_text};

mod explanation;
mod gate;
mod outcome;
#[cfg(test)]
mod tests;

pub(super) use self::outcome::{Labels, Outcomes, labels, outcomes, scores};

/// Everything that a record is made of.
#[derive(Debug)]
pub(crate) struct Facts<'a> {
    /// The decision's id as UUID text.
    pub(crate) id: &'a str,
    /// The mapping.
    pub(crate) route: &'a Route,
    /// What names the model that was served; the entry carries the same.
    pub(crate) model: Option<Identity>,
    /// What is wrong with how the answer declares its model.
    pub(crate) model_problem: Option<&'static str>,
    /// Who called, and from where.
    pub(crate) caller: &'a Origin,
    /// What the policy gate said.
    pub(crate) gated: &'a Gated,
    /// Value of the metadata header that the route takes the subject from.
    pub(crate) subject_header: Option<&'a str>,
    /// Whether the caller was known to be gone when the record was made.
    pub(crate) caller_gone: bool,
    /// When what happened.
    pub(crate) times: Times,
    /// The request.
    pub(crate) asked: &'a Asked,
    /// The answer.
    pub(crate) answered: &'a Answered,
    /// Id of the key that the record key is wrapped under.
    pub(crate) key: &'a str,
    /// Whether the route would keep the wire's bytes, but they are too many.
    pub(crate) raw_too_large: bool,
}

/// When what happened to one decision.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Times {
    /// The call was seen.
    pub(crate) received: UnixMillis,
    /// It was handed to the model server, if it was, and its answer was complete.
    pub(crate) model: Option<(UnixMillis, UnixMillis)>,
    /// The answer stood.
    pub(crate) decided: UnixMillis,
}

/// Why a record could not be made as the route maps it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FieldsError {
    /// A name makes a path too long.
    #[error(transparent)]
    Path(#[from] FieldPathError),
    /// Too many fields, or one twice.
    #[error(transparent)]
    Record(#[from] RecordError),
}

type Fallible = Result<(), FieldsError>;

/// The record of one decision.
pub(crate) fn record(facts: &Facts<'_>) -> Result<Record, FieldsError> {
    let mut fields = Fields::new(facts.route);
    frame(&mut fields, facts)?;
    model(&mut fields, facts)?;
    wire(&mut fields, facts)?;
    tensors(&mut fields, facts)?;
    subject(&mut fields, facts)?;
    features(&mut fields, facts)?;
    outcome::put(&mut fields, facts)?;
    gate::put(&mut fields, facts)?;
    explanation::put(&mut fields, facts)?;
    fields.problems(facts)?;
    Ok(fields.builder.build()?)
}

/// The record of a decision whose mapping failed with `error`: what it was, when, and the digests of its bytes.
pub(crate) fn minimal(facts: &Facts<'_>, error: &FieldsError) -> Result<Record, FieldsError> {
    let mut fields = Fields::new(facts.route);
    frame(&mut fields, facts)?;
    wire(&mut fields, facts)?;
    gate::put(&mut fields, facts)?;
    fields.input_problem(format!("the record holds no mapped fields: {error}"));
    fields.problems(facts)?;
    Ok(fields.builder.build()?)
}

/// Fields as they gather, with masks applied.
struct Fields<'a> {
    route: &'a Route,
    builder: RecordBuilder,
    input_problems: Vec<String>,
    output_problems: Vec<String>,
}

impl<'a> Fields<'a> {
    fn new(route: &'a Route) -> Self {
        Self { route, builder: RecordBuilder::new(), input_problems: Vec::new(), output_problems: Vec::new() }
    }

    fn put(&mut self, path: FieldPath, value: impl Into<Value>) -> Fallible {
        if let Some(reason) = self.route.masked(&path) {
            return Ok(self.builder.add_masked(path.as_str(), reason)?);
        }
        Ok(self.builder.add(path, value.into())?)
    }

    fn put_some(&mut self, path: FieldPath, value: Option<impl Into<Value>>) -> Fallible {
        value.map_or(Ok(()), |value| self.put(path, value))
    }

    /// Puts a value that may differ from row to row.
    fn put_row(&mut self, path: FieldPath, row: Row, value: impl Into<Value>) -> Fallible {
        self.put(row.path(path)?, value)
    }

    fn input_problem(&mut self, problem: String) {
        self.input_problems.push(problem);
    }

    fn output_problem(&mut self, problem: String) {
        self.output_problems.push(problem);
    }

    fn problems(&mut self, facts: &Facts<'_>) -> Fallible {
        let mut input = std::mem::take(&mut self.input_problems);
        input.extend(facts.asked.problem.clone());
        let mut output = std::mem::take(&mut self.output_problems);
        output.extend(facts.answered.error.clone());
        output.extend(facts.model_problem.map(str::to_owned));
        for (path, problems) in [(schema::INPUT_ERROR, input), (schema::OUTPUT_ERROR, output)] {
            if !problems.is_empty() {
                self.put(path, problems.join("; "))?;
            }
        }
        Ok(())
    }
}

/// One row of a call, and how many there are.
#[derive(Clone, Copy, Debug)]
struct Row {
    index: usize,
    of: usize,
}

impl Row {
    /// Every row of `of`.
    fn all(of: usize) -> impl Iterator<Item = Self> {
        (0..of).map(move |index| Self { index, of })
    }

    /// `path` for this row: as it is for a single one.
    fn path(self, path: FieldPath) -> Result<FieldPath, FieldPathError> {
        if self.of == 1 {
            return Ok(path);
        }
        path.place(u32::try_from(self.index).unwrap_or(u32::MAX))
    }
}

/// What every record says, whatever was asked.
fn frame(fields: &mut Fields<'_>, facts: &Facts<'_>) -> Fallible {
    let config = facts.route.config();
    fields.put(schema::DECISION_ID, facts.id)?;
    fields.put(schema::DECISION_SCHEMA, schema::VERSION)?;
    fields.put(schema::DECISION_ROUTE, facts.route.name())?;
    fields.put_some(schema::DECISION_TENANT, config.tenant.as_deref())?;
    fields.put_some(schema::DECISION_USE_CASE, config.use_case.as_deref())?;
    fields.put_some(schema::DECISION_PACKS, facts.route.pack_names())?;
    human(fields, config)?;
    let times = facts.times;
    fields.put(schema::TIME_RECEIVED, times.received.get())?;
    fields.put_some(schema::TIME_MODEL_STARTED, times.model.map(|(started, _)| started.get()))?;
    fields.put_some(schema::TIME_MODEL_ENDED, times.model.map(|(_, ended)| ended.get()))?;
    fields.put(schema::TIME_DECIDED, times.decided.get())?;
    fields.put(schema::TIME_CLOCK_SOURCE, "system")?;
    for (path, value) in facts.caller.fields() {
        fields.put(path, value)?;
    }
    fields.put(schema::DELIVERY_MODE, config.mode.as_str())?;
    let upstream = facts.answered.upstream_code.map(|code| i64::from(i32::from(code)));
    fields.put_some(schema::DELIVERY_UPSTREAM_STATUS, upstream)?;
    fields.put_some(schema::DELIVERY_CALLER_GONE, facts.caller_gone.then_some(true))?;
    fields.put_some(schema::PRIVACY_LAWFUL_BASIS, config.lawful_basis.as_deref())?;
    fields.put_some(schema::PRIVACY_PURPOSE, config.purpose.as_deref())?;
    fields.put(schema::PRIVACY_KEY, facts.key)?;
    fields.put_some(schema::PRIVACY_RETENTION_CLASS, config.retention.as_deref())
}

/// What the person concerned is told whatever was decided: the part that the system has, and how to contest.
fn human(fields: &mut Fields<'_>, config: &RouteConfig) -> Fallible {
    fields.put_some(schema::DECISION_MODE, config.role.as_deref())?;
    let Some(contest) = &config.contest else { return Ok(()) };
    for (path, said) in [
        (schema::CONTEST_ROUTE_URL, &contest.url),
        (schema::CONTEST_ROUTE_EMAIL, &contest.email),
        (schema::CONTEST_ROUTE_PHONE, &contest.phone),
        (schema::CONTEST_ROUTE_ADDRESS, &contest.address),
        (schema::CONTEST_ROUTE_TEXT, &contest.text),
        (schema::CONTEST_ROUTE_LANGUAGE, &contest.language),
    ] {
        fields.put_some(path, said.as_deref())?;
    }
    Ok(())
}

/// Which model, as the request, the answer and the configuration name it.
fn model(fields: &mut Fields<'_>, facts: &Facts<'_>) -> Fallible {
    let config = facts.route.config();
    fields.put_some(schema::MODEL_TITLE, config.model.name.as_deref())?;
    fields.put_some(schema::MODEL_DIGEST, facts.model.map(|model| model.digest))?;
    fields.put_some(schema::MODEL_MANIFEST, facts.model.and_then(|model| model.manifest))?;
    fields.put_some(schema::MODEL_THRESHOLD, config.threshold.as_ref().map(|t| t.value))?;
    if let Some(request) = &facts.asked.infer {
        fields.put(schema::MODEL_NAME, request.model_name.as_str())?;
        let requested = Some(request.model_version.as_str()).filter(|version| !version.is_empty());
        fields.put_some(schema::MODEL_VERSION_REQUESTED, requested)?;
        let id = Some(request.id.as_str()).filter(|id| !id.is_empty());
        fields.put_some(schema::DECISION_REQUEST_ID, id)?;
    }
    let Some(response) = &facts.answered.infer else {
        return Ok(());
    };
    // The model server may choose the version and not say which: that it did not say so is recorded.
    let version = match response.model_version.as_str() {
        "" => Value::Null,
        version => Value::from(version),
    };
    fields.put(schema::MODEL_VERSION, version)?;
    execution(fields, facts)
}

/// What the bits of the answer depend on, where the model server says it in parameters named `execution.<what>`.
fn execution(fields: &mut Fields<'_>, facts: &Facts<'_>) -> Fallible {
    let Some(response) = &facts.answered.infer else {
        return Ok(());
    };
    for (path, name, number) in [
        (schema::EXECUTION_ENGINE, "execution.engine", false),
        (schema::EXECUTION_ENGINE_VERSION, "execution.engine_version", false),
        (schema::EXECUTION_DTYPE, "execution.dtype", false),
        (schema::EXECUTION_THREADS, "execution.threads", true),
        (schema::EXECUTION_BATCH_SIZE, "execution.batch_size", true),
        (schema::EXECUTION_BATCH_INDEX, "execution.batch_index", true),
        (schema::EXECUTION_PADDING, "execution.padding", true),
        (schema::EXECUTION_DECODE_MODE, "execution.decode_mode", false),
        (schema::EXECUTION_LIBM, "execution.libm", false),
        (schema::EXECUTION_FINGERPRINT, "execution.fingerprint", false),
    ] {
        let text = response.parameters.get(name).and_then(parameter_text);
        match text {
            Some(text) if number => fields.put_some(path, text.parse::<u64>().ok())?,
            text => fields.put_some(path, text)?,
        }
    }
    Ok(())
}

/// What the wire carried.
fn wire(fields: &mut Fields<'_>, facts: &Facts<'_>) -> Fallible {
    let (asked, answered) = (facts.asked, facts.answered);
    fields.put(schema::INPUT_OBSERVED, asked.observed().as_str())?;
    let sides = [(&asked.message, &asked.body, INPUT_WIRE), (&answered.message, &answered.body, OUTPUT_WIRE)];
    for (message, body, [raw, encoding, carried]) in sides {
        if let Some(Message { bytes, compressed }) = message {
            fields.put(raw, ledgerstone::hash::Hash::of(bytes))?;
            let compressed = compressed.as_ref();
            fields.put_some(encoding, compressed.map(|c| c.encoding))?;
            fields.put_some(carried, compressed.map(|c| c.digest))?;
        } else if !body.is_empty() {
            fields.put(raw, ledgerstone::hash::Hash::of(body))?;
        }
    }
    raw_hidden(fields, facts.raw_too_large)
}

/// Says why the sealed record does not hold the wire's bytes although the route keeps them.
fn raw_hidden(fields: &mut Fields<'_>, too_large: bool) -> Fallible {
    let reason = if fields.route.has_masks() {
        "the bytes would show what the masks hide"
    } else if too_large {
        "the bytes are too many for one sealed record"
    } else {
        return Ok(());
    };
    for pointer in ["input/raw", "output/raw"] {
        fields.builder.add_masked(pointer, reason)?;
    }
    Ok(())
}

const INPUT_WIRE: [FieldPath; 3] =
    [schema::INPUT_RAW_DIGEST, schema::INPUT_COMPRESSION, schema::INPUT_CARRIED_DIGEST];
const OUTPUT_WIRE: [FieldPath; 3] =
    [schema::OUTPUT_RAW_DIGEST, schema::OUTPUT_COMPRESSION, schema::OUTPUT_CARRIED_DIGEST];

fn tensors(fields: &mut Fields<'_>, facts: &Facts<'_>) -> Fallible {
    let inputs = facts.asked.tensors.iter().map(|tensor| (Side::Input, tensor));
    let outputs = facts.answered.tensors.iter().map(|tensor| (Side::Output, tensor));
    for (side, tensor) in inputs.chain(outputs) {
        let (dtype, data) = match tensor.elements() {
            Some(elements) => (elements.dtype.as_str(), elements.bytes().as_ref()),
            None => (tensor.datatype.as_str(), [].as_slice()),
        };
        let known = tensor.elements().is_some();
        let [dtype, shape, digest] = schema::tensor_fields(side, &tensor.name, dtype, &tensor.shape, data)?;
        fields.put(dtype.0, dtype.1)?;
        fields.put(shape.0, shape.1)?;
        if known {
            fields.put(digest.0, digest.1)?;
        } else {
            let problem = format!("tensor {:?} was not observed: {}", tensor.name, tensor.content);
            match side {
                Side::Input => fields.input_problem(problem),
                Side::Output => fields.output_problem(problem),
            }
        }
    }
    Ok(())
}

fn subject(fields: &mut Fields<'_>, facts: &Facts<'_>) -> Fallible {
    let path = schema::DECISION_SUBJECT;
    match &facts.route.config().subject {
        None => Ok(()),
        Some(SubjectSource::Metadata(_)) => fields.put(path, optional(facts.subject_header)),
        Some(SubjectSource::Parameter(name)) => {
            let request = facts.asked.infer.as_ref();
            let parameter = request.and_then(|request| request.parameters.get(name));
            fields.put(path, optional(parameter.and_then(parameter_text)))
        }
        Some(SubjectSource::Tensor(name)) => {
            let rows = facts.asked.rows(facts.route);
            let Some(elements) = column(facts.asked.tensor(name), rows, 0) else {
                return fields.put(path, Value::Null);
            };
            for (row, element) in Row::all(rows).zip(elements) {
                fields.put_row(path.clone(), row, text(element))?;
            }
            Ok(())
        }
    }
}

fn features(fields: &mut Fields<'_>, facts: &Facts<'_>) -> Fallible {
    let rows = facts.asked.rows(facts.route);
    if facts.asked.infer.is_none() {
        return Ok(());
    }
    for mapping in &facts.route.config().features {
        let elements = facts.asked.tensor(&mapping.tensor).and_then(Tensor::elements);
        let columns = mapping.names.len();
        let Some(elements) = elements.filter(|elements| elements.count == rows * columns) else {
            fields.input_problem(format!(
                "the route names {columns} columns of tensor {:?}, which the request does not have",
                mapping.tensor
            ));
            continue;
        };
        let names = mapping.names.iter().map(|name| schema::feature(name));
        let paths = names.collect::<Result<Vec<_>, _>>()?;
        let mut elements = elements.iter();
        for row in Row::all(rows) {
            for (path, element) in paths.iter().zip(elements.by_ref()) {
                fields.put_row(path.clone(), row, value(element))?;
            }
        }
    }
    Ok(())
}

/// Column `index` of a tensor that has the same number of elements in each of `rows` rows.
pub(super) fn column(
    tensor: Option<&Tensor>,
    rows: usize,
    index: usize,
) -> Option<impl Iterator<Item = Element<'_>>> {
    let elements = tensor?.elements()?;
    let columns = elements.count.checked_div(rows)?;
    let fits = columns * rows == elements.count && index < columns;
    fits.then(|| elements.iter().skip(index).step_by(columns))
}

/// An element as a field's value: BYTES that are text become text.
fn value(element: Element<'_>) -> Value {
    match element {
        Element::Bool(value) => Value::Bool(value),
        Element::Int(value) => Value::Int(value),
        Element::Float(value) => Value::Float(value),
        Element::Bytes(bytes) => match str::from_utf8(bytes) {
            Ok(text) => Value::from(text),
            Err(_) => Value::Bytes(bytes.to_vec()),
        },
    }
}

/// An element as text, for references to people.
fn text(element: Element<'_>) -> Value {
    match element {
        Element::Int(value) => Value::Text(value.to_string()),
        Element::Bytes(_) => value(element),
        Element::Bool(_) | Element::Float(_) => Value::Null,
    }
}

/// A value that may be known to be missing.
fn optional(value: Option<impl Into<Value>>) -> Value {
    value.map_or(Value::Null, Into::into)
}
