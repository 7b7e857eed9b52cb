//! The policy gate on the way of a call: what rules see of it, and what becomes of it.
//!
//! Guarantees: rules see the call as the record will say it; what they name is read when they name it, and nothing else; a
//! decision that is refused is recorded like any other. Does not do: evaluating (`crate::gate`).

use std::borrow::Cow;
use std::cell::OnceCell;
use std::sync::Arc;

use ledgerstone::encoding::hex_encode;
use ledgerstone::hash::Hash;
use ledgerstone::oip::{Element, Tensor};
use ledgerstone::proto::inference::infer_parameter::ParameterChoice;
use ledgerstone::time::UnixMillis;
use tonic::Status;
use tonic::metadata::MetadataValue;

use super::answered::Answered;
use super::asked::Asked;
use super::declared;
use super::fields::{Labels, column, labels, scores};
use super::metadata;
use super::route::{Action, Route, SubjectSource};
use crate::access::Origin;
use crate::api::CODE;
use crate::gate::recorded::time;
use crate::gate::{
    Effect, Evaluation, Fault, Found, Gate, Rule, Source, TEXT_BYTES_MAX, Val, Variable, When, effect,
};
use crate::models::Models;

/// What the gate of a route said of one decision.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gated {
    /// How each rule stood that was evaluated.
    pub(crate) evaluations: Vec<Evaluation>,
    /// Whether the model was registered, if a rule asked.
    pub(crate) registered: Option<bool>,
}

impl Gated {
    /// What all rules together did.
    pub(crate) fn effect(&self) -> Effect {
        effect(&self.evaluations)
    }

    /// What is counted of it: `error` where the decision is refused because a rule could not be evaluated.
    pub(crate) fn counted(&self) -> &'static str {
        let is_fault = self.evaluations.iter().any(|evaluation| evaluation.verdict.is_err());
        if is_fault { "error" } else { self.effect().as_str() }
    }

    /// Which rules did not hold, and what the route says of them.
    pub(crate) fn reason(&self, gate: &Gate) -> Option<String> {
        let told = |evaluation: &Evaluation, rule: &Rule| match &evaluation.verdict {
            Ok(true) => None,
            Ok(false) => Some(match &rule.config.message {
                Some(message) => message.clone(),
                None => "does not hold".to_owned(),
            }),
            Err(_) => Some("could not be evaluated".to_owned()),
        };
        self.joined(gate, told)
    }

    /// Which rules could not be evaluated, and why.
    pub(crate) fn error(&self, gate: &Gate) -> Option<String> {
        self.joined(gate, |evaluation, _| evaluation.verdict.as_ref().err().map(Fault::to_string))
    }

    fn joined(&self, gate: &Gate, say: impl Fn(&Evaluation, &Rule) -> Option<String>) -> Option<String> {
        let each = self.evaluations.iter().filter_map(|evaluation| {
            let rule = gate.rules().get(evaluation.rule)?;
            let row = evaluation.row.map(|row| format!(" (row {row})")).unwrap_or_default();
            Some(format!("{}{row}: {}", rule.config.name, say(evaluation, rule)?))
        });
        let all: Vec<String> = each.collect();
        (!all.is_empty()).then(|| all.join("; "))
    }

    /// What the caller is told where a rule refused: the first one that did.
    fn refusal(&self, gate: &Gate) -> Option<Status> {
        let evaluation = self.evaluations.iter().find(|evaluation| evaluation.effect == Effect::Refuse)?;
        let rule = gate.rules().get(evaluation.rule)?;
        let name = &rule.config.name;
        let row = evaluation.row.map(|row| format!(" for row {row}")).unwrap_or_default();
        let mut status = match &evaluation.verdict {
            Err(fault) => Status::failed_precondition(format!(
                "rule {name:?} could not be evaluated{row}, so the decision is refused: {fault}"
            )),
            Ok(_) => Status::permission_denied(match &rule.config.message {
                Some(message) => format!("refused by rule {name:?}{row}: {message}"),
                None => format!("refused by rule {name:?}{row}"),
            }),
        };
        let code = if matches!(evaluation.verdict, Err(Fault::NotYet { .. })) {
            ledgerstone::code::Code::Unavailable
        } else {
            ledgerstone::code::Code::Misuse
        };
        status.metadata_mut().insert(CODE, MetadataValue::from_static(code.as_str()));
        // A rule's name has no character that a header cannot carry.
        if let Ok(name) = MetadataValue::try_from(name.as_str()) {
            status.metadata_mut().insert(metadata::GATE, name);
        }
        Some(status)
    }

    /// The name of the rule that refused first.
    pub(crate) fn refusing<'a>(&self, gate: &'a Gate) -> Option<&'a str> {
        let evaluation = self.evaluations.iter().find(|evaluation| evaluation.effect == Effect::Refuse)?;
        gate.rules().get(evaluation.rule).map(|rule| rule.config.name.as_str())
    }

    /// The names of the rules that ask for a person's review, for a header.
    pub(crate) fn reviews(&self, gate: &Gate) -> Option<String> {
        if self.effect() != Effect::Review {
            return None;
        }
        let asking = self.evaluations.iter().filter(|evaluation| evaluation.effect == Effect::Review);
        let names = asking.filter_map(|evaluation| gate.rules().get(evaluation.rule));
        let names: Vec<&str> = names.map(|rule| rule.config.name.as_str()).collect();
        Some(names.join(","))
    }
}

/// What is known of a call before its gate.
#[derive(Clone, Copy)]
pub(crate) struct Call<'a> {
    pub(crate) route: &'a Route,
    pub(crate) asked: &'a Asked,
    pub(crate) caller: &'a Origin,
    pub(crate) subject_header: Option<&'a str>,
    pub(crate) received: UnixMillis,
    pub(crate) models: Option<&'a Models>,
}

/// Evaluates the rules of `when` into `gated`; a status says that the decision is refused. There is an answer where `when` is that.
pub(crate) fn pass(
    call: Call<'_>,
    answered: Option<&Answered>,
    when: When,
    gated: &mut Gated,
) -> Option<Status> {
    let gate = call.route.gate().filter(|gate| gate.has(when))?;
    let digest = declared::digest(call.route, answered.and_then(|answered| answered.infer.as_ref()));
    let live = Live::new(call, answered, digest, gate);
    gate.evaluate(when, live.rows, &live, &mut gated.evaluations);
    gated.registered = live.registered.or(gated.registered);
    gated.refusal(gate)
}

/// A call as rules see it.
struct Live<'a> {
    call: Call<'a>,
    answered: Option<&'a Answered>,
    digest: Option<Hash>,
    registered: Option<bool>,
    rows: usize,
    /// The elements of each mapped tensor, for calls about several persons.
    cells: Vec<OnceCell<Vec<Element<'a>>>>,
    scores: OnceCell<Option<Vec<f64>>>,
    labels: OnceCell<Option<Labels<'a>>>,
}

impl<'a> Live<'a> {
    fn new(call: Call<'a>, answered: Option<&'a Answered>, digest: Option<Hash>, gate: &Arc<Gate>) -> Self {
        let asks = gate.names(Variable::ModelRegistered);
        let registered =
            call.models.filter(|_| asks).and_then(|models| models.is_registered(call.route, digest));
        Self {
            answered,
            digest,
            registered,
            rows: call.asked.rows(call.route),
            cells: call.route.config().features.iter().map(|_| OnceCell::new()).collect(),
            scores: OnceCell::new(),
            labels: OnceCell::new(),
            call,
        }
    }

    fn feature(&self, name: &str, row: usize) -> Option<Val<'_>> {
        let mappings = self.call.route.config().features.iter().zip(&self.cells);
        for (mapping, cells) in mappings {
            let Some(column) = mapping.names.iter().position(|known| known == name) else { continue };
            self.call.asked.infer.as_ref()?;
            let elements = self.call.asked.tensor(&mapping.tensor).and_then(Tensor::elements)?;
            let columns = mapping.names.len();
            if elements.count != self.rows * columns {
                return None;
            }
            let element = if self.rows == 1 {
                elements.iter().nth(column)
            } else {
                cells.get_or_init(|| elements.iter().collect()).get(row * columns + column).copied()
            };
            return element.and_then(value);
        }
        None
    }

    fn parameter(&self, name: &str) -> Found<'_> {
        let request = self.call.asked.infer.as_ref();
        let choice = request.and_then(|request| request.parameters.get(name)?.parameter_choice.as_ref());
        Found::Value(match choice {
            None => return Found::Absent,
            Some(ParameterChoice::StringParam(text)) if text.len() > TEXT_BYTES_MAX => return Found::TooLong,
            Some(ParameterChoice::BoolParam(value)) => Val::Bool(*value),
            Some(ParameterChoice::Int64Param(value)) => Val::Int(*value),
            Some(ParameterChoice::Uint64Param(value)) => uint(*value),
            Some(ParameterChoice::DoubleParam(value)) => Val::Double(*value),
            Some(ParameterChoice::StringParam(text)) => Val::Text(Cow::Borrowed(text)),
        })
    }

    fn subject(&self, row: usize) -> bool {
        match &self.call.route.config().subject {
            None => false,
            Some(SubjectSource::Metadata(_)) => self.call.subject_header.is_some(),
            Some(SubjectSource::Parameter(name)) => {
                let request = self.call.asked.infer.as_ref();
                let parameter = request.and_then(|request| request.parameters.get(name));
                parameter.and_then(ledgerstone::oip::parameter_text).is_some()
            }
            Some(SubjectSource::Tensor(name)) => {
                let column = column(self.call.asked.tensor(name), self.rows, 0);
                let element = column.and_then(|mut elements| elements.nth(row));
                matches!(element, Some(Element::Int(_) | Element::Bytes(_)))
            }
        }
    }

    fn tensor(&self, variable: Variable, name: &str) -> Option<Val<'_>> {
        let is_input = matches!(variable, Variable::InputTensorDtype | Variable::InputTensorShape);
        let tensor = if is_input { self.call.asked.tensor(name) } else { self.answered?.tensor(name) }?;
        Some(match variable {
            Variable::InputTensorDtype | Variable::OutputTensorDtype => {
                let observed = tensor.elements().map(|elements| elements.dtype.as_str());
                text(observed.unwrap_or(&tensor.datatype))
            }
            _ => Val::List(tensor.shape.iter().map(|extent| uint(*extent)).collect::<Vec<_>>().into()),
        })
    }

    fn score(&self, name: &str, row: usize) -> Option<Val<'_>> {
        let config = self.call.route.config().score.as_ref().filter(|score| score.tensor == name)?;
        let answered = self.answered?;
        let scores = self.scores.get_or_init(|| scores(answered, config, self.rows)).as_ref()?;
        scores.get(row).copied().map(Val::Double)
    }

    fn label(&self, row: usize) -> Option<&str> {
        let answered = self.answered?;
        let labels = self.labels.get_or_init(|| labels(answered, self.call.route, self.rows)).as_ref()?;
        labels.get(row)?.as_deref()
    }

    fn action(&self, row: usize) -> Option<Val<'_>> {
        let config = self.call.route.config();
        if let Some(label) = self.label(row) {
            return Some(text(self.call.route.action(label).as_str()));
        }
        let score = config.score.as_ref().filter(|_| config.threshold.is_none() && config.label.is_none())?;
        self.score(&score.tensor, row).map(|_| text(Action::Score.as_str()))
    }
}

impl Source for Live<'_> {
    fn value(&self, variable: Variable, name: &str, row: usize) -> Found<'_> {
        let call = &self.call;
        let config = call.route.config();
        let request = call.asked.infer.as_ref();
        let value = match variable {
            Variable::Route => Some(text(call.route.name())),
            Variable::Tenant => config.tenant.as_deref().map(text),
            Variable::UseCase => config.use_case.as_deref().map(text),
            Variable::Role => config.role.as_deref().map(text),
            Variable::Mode => Some(text(&config.mode)),
            Variable::Purpose => config.purpose.as_deref().map(text),
            Variable::LawfulBasis => config.lawful_basis.as_deref().map(text),
            Variable::TimeReceived | Variable::TimeHour | Variable::TimeWeekday => {
                Some(time(variable, call.received.get()))
            }
            Variable::SubjectPresent => Some(Val::Bool(self.subject(row))),
            Variable::CallerAddress => {
                call.caller.address.map(|address| Val::Text(Cow::Owned(address.to_string())))
            }
            Variable::CallerWorkload => call.caller.workload.as_deref().map(text),
            Variable::CallerPrincipal => call.caller.principal.as_deref().map(text),
            Variable::ModelName => request.map(|request| text(&request.model_name)),
            Variable::ModelTitle => config.model.name.as_deref().map(text),
            Variable::ModelVersionRequested => request
                .map(|request| request.model_version.as_str())
                .filter(|version| !version.is_empty())
                .map(text),
            Variable::ModelVersion => {
                let answer = self.answered.and_then(|answered| answered.infer.as_ref());
                answer.map(|answer| {
                    if answer.model_version.is_empty() { Val::Null } else { text(&answer.model_version) }
                })
            }
            Variable::ModelDigest => {
                self.digest.map(|digest| Val::Text(Cow::Owned(hex_encode(digest.as_bytes()))))
            }
            Variable::ModelRegistered => {
                return self
                    .registered
                    .map_or(Found::NotYet, |registered| Found::Value(Val::Bool(registered)));
            }
            Variable::ModelThreshold => {
                config.threshold.as_ref().map(|threshold| Val::Double(threshold.value))
            }
            Variable::InputObserved => Some(text(call.asked.observed().as_str())),
            Variable::InputFeature => self.feature(name, row),
            Variable::InputParameter => return self.parameter(name),
            Variable::InputTensorDtype
            | Variable::InputTensorShape
            | Variable::OutputTensorDtype
            | Variable::OutputTensorShape => self.tensor(variable, name),
            Variable::OutputLabel => self.label(row).map(text),
            Variable::OutputScore => self.score(name, row),
            Variable::OutcomeAction => self.action(row),
            Variable::OutcomeAdverse => self.label(row).map(|label| Val::Bool(call.route.is_adverse(label))),
        };
        value.map_or(Found::Absent, Found::Value)
    }
}

fn text(text: &str) -> Val<'_> {
    Val::Text(Cow::Borrowed(text))
}

/// An unsigned integer: an `int` where it fits, as records do not tell the two apart.
fn uint(value: u64) -> Val<'static> {
    i64::try_from(value).map_or(Val::Uint(value), Val::Int)
}

/// An element as the record says it: BYTES that are text are text.
fn value(element: Element<'_>) -> Option<Val<'_>> {
    Some(match element {
        Element::Bool(value) => Val::Bool(value),
        Element::Int(value) => Val::integer(value)?,
        Element::Float(value) => Val::Double(value),
        Element::Bytes(bytes) => match str::from_utf8(bytes) {
            Ok(text) => Val::Text(Cow::Borrowed(text)),
            Err(_) => Val::Bytes(Cow::Borrowed(bytes)),
        },
    })
}

/// The rules that refused or asked for review, for the sidecar's own log: names from the configuration, nothing of the call.
pub(crate) fn tell(route: &Route, gated: &Gated) {
    let Some(gate) = route.gate() else { return };
    for evaluation in gated.evaluations.iter().filter(|evaluation| evaluation.effect != Effect::Allow) {
        let Some(rule) = gate.rules().get(evaluation.rule) else { continue };
        let (rule, effect) = (rule.config.name.as_str(), evaluation.effect.as_str());
        match &evaluation.verdict {
            Err(fault) => {
                tracing::debug!(route = route.name(), rule, effect, %fault, "a rule could not be evaluated")
            }
            Ok(_) => tracing::debug!(route = route.name(), rule, effect, "a rule does not hold"),
        }
    }
}
