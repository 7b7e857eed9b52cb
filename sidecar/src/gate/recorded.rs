//! A recorded decision as rules see it, so that anybody who may read the record can evaluate its gate again.
//!
//! Guarantees: what a rule saw when the decision was made, it finds here, except what the record masks, which it is told.
//! Does not do: knowing what the log registers; the record says what was known then, and where the answer declares another model, what was
//! known of that one.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use ledgerstone::encoding::hex_encode;
use ledgerstone::record::schema::{self, Side};
use ledgerstone::record::{FieldPath, Value};

use super::evaluate::Source;
use super::value::Val;
use super::variable::{Found, Known, Variable};
use crate::intercept::route::Route;

/// Milliseconds of an hour.
const HOUR_MS: u64 = 3_600_000;

/// The fields of a record.
#[derive(Clone, Debug)]
pub struct Recorded {
    fields: BTreeMap<String, Value>,
    masked: Vec<String>,
    route: Arc<Route>,
    rows: usize,
}

impl Recorded {
    /// Takes fields by their paths; `route` says what labels lead to.
    #[must_use]
    pub fn new(fields: BTreeMap<String, Value>, route: Arc<Route>) -> Self {
        let is_pointer = |path: &str| path.starts_with("privacy/masked/") && path.ends_with("/pointer");
        let pointers = fields.iter().filter(|(path, _)| is_pointer(path));
        let masked = pointers.filter_map(|(_, value)| text(value)).collect();
        let rows = fields.keys().filter_map(|path| row(path)).max().map_or(1, |last| last + 1);
        Self { masked, route, rows, fields }
    }

    /// How many persons it is about.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The field at `path`.
    #[must_use]
    pub fn field(&self, path: &str) -> Option<&Value> {
        self.fields.get(path)
    }

    /// Whether it holds anything of an answer.
    #[must_use]
    pub fn has_output(&self) -> bool {
        self.fields.keys().any(|path| path.starts_with("output/") && path != "output/error")
    }

    fn at(&self, path: &FieldPath, row: usize) -> Found<'_> {
        let placed = u32::try_from(row).ok().and_then(|row| path.place(row).ok());
        for path in [Some(path), placed.as_ref()].into_iter().flatten().map(FieldPath::as_str) {
            if let Some(value) = self.fields.get(path) {
                return value_of(value).map_or(Found::TooLong, Found::Value);
            }
            if self.fields.contains_key(&format!("{path}/size")) {
                return Found::TooLong;
            }
            if self.masked.iter().any(|pointer| pointer == path) {
                return Found::Masked;
            }
        }
        Found::Absent
    }

    /// What the label leads to; the record of a refused decision says that it was refused instead.
    fn outcome(&self, variable: Variable, row: usize) -> Found<'_> {
        match self.at(&schema::OUTPUT_LABEL, row) {
            Found::Value(Val::Text(label)) => Found::Value(match variable {
                Variable::OutcomeAdverse => Val::Bool(self.route.is_adverse(&label)),
                _ => Val::Text(Cow::Borrowed(self.route.action(&label).as_str())),
            }),
            Found::Absent => {
                let config = self.route.config();
                let labels = config.threshold.is_some() || config.label.is_some();
                let score = config.score.as_ref().filter(|_| !labels);
                let path = score.and_then(|score| schema::score(&score.tensor).ok());
                match path.map(|path| self.at(&path, row)) {
                    Some(Found::Value(_)) if variable == Variable::OutcomeAction => {
                        Found::Value(Val::Text(Cow::Borrowed("score")))
                    }
                    _ => Found::Absent,
                }
            }
            other => other,
        }
    }

    fn time(&self, variable: Variable) -> Found<'_> {
        let Found::Value(Val::Int(received)) = self.at(&schema::TIME_RECEIVED, 0) else {
            return Found::Absent;
        };
        Found::Value(time(variable, u64::try_from(received).unwrap_or(0)))
    }
}

/// What rules see of the time of a call, which is milliseconds since 1970-01-01 UTC, a Thursday.
pub(crate) fn time(variable: Variable, received: u64) -> Val<'static> {
    let number = match variable {
        Variable::TimeHour => received / HOUR_MS % 24,
        Variable::TimeWeekday => (received / (24 * HOUR_MS) + 4) % 7,
        _ => received,
    };
    Val::Int(i64::try_from(number).unwrap_or(i64::MAX))
}

impl Source for Recorded {
    fn value(&self, variable: Variable, name: &str, row: usize) -> Found<'_> {
        let tensor = |side, part: usize| {
            let fields = schema::tensor_fields(side, name, "", &[], &[]).ok();
            fields.and_then(|fields| fields.into_iter().nth(part)).map(|(path, _)| path)
        };
        let path = match variable {
            Variable::TimeReceived | Variable::TimeHour | Variable::TimeWeekday => {
                return self.time(variable);
            }
            Variable::OutcomeAction | Variable::OutcomeAdverse => return self.outcome(variable, row),
            Variable::SubjectPresent => {
                let is_there = match self.at(&schema::DECISION_SUBJECT, row) {
                    Found::Absent | Found::Value(Val::Null) => false,
                    Found::Masked => return Found::Masked,
                    _ => true,
                };
                return Found::Value(Val::Bool(is_there));
            }
            Variable::ModelDigest => {
                return match self.at(&schema::MODEL_DIGEST, row) {
                    Found::Value(Val::Bytes(digest)) => {
                        Found::Value(Val::Text(Cow::Owned(hex_encode(&digest))))
                    }
                    other => other,
                };
            }
            Variable::InputFeature => schema::feature(name).ok(),
            Variable::InputParameter => schema::parameter(name).ok(),
            Variable::OutputScore => schema::score(name).ok(),
            Variable::InputTensorDtype => tensor(Side::Input, 0),
            Variable::InputTensorShape => tensor(Side::Input, 1),
            Variable::OutputTensorDtype => tensor(Side::Output, 0),
            Variable::OutputTensorShape => tensor(Side::Output, 1),
            _ => Known::of(variable).and_then(|known| FieldPath::parse(known.recorded).ok()),
        };
        path.map_or(Found::Absent, |path| self.at(&path, row))
    }
}

/// The row that a path ends in, where the path is one that differs from row to row.
fn row(path: &str) -> Option<usize> {
    let (before, last) = path.rsplit_once('/')?;
    let known = ["input/feature/", "output/score/", "output/label", "decision/subject"];
    let row = last.strip_prefix('[')?.strip_suffix(']')?.parse().ok()?;
    (known.iter().any(|known| before.starts_with(known)) && row < ledgerstone::limits::FIELDS_MAX)
        .then_some(row)
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.clone()),
        _ => None,
    }
}

/// A field's value, where rules can have it.
fn value_of(value: &Value) -> Option<Val<'_>> {
    Some(match value {
        Value::Null => Val::Null,
        Value::Bool(value) => Val::Bool(*value),
        Value::Int(value) => Val::integer(*value)?,
        Value::Float(value) => Val::Double(*value),
        Value::Text(text) => Val::Text(Cow::Borrowed(text)),
        Value::Bytes(bytes) => Val::Bytes(Cow::Borrowed(bytes)),
        Value::Array(items) => Val::List(items.iter().map(value_of).collect::<Option<Vec<_>>>()?.into()),
    })
}
