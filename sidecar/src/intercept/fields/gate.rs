//! What the policy gate said.

use ledgerstone::record::{Value, schema};

use super::{Facts, Fallible, Fields};
use crate::gate::{Evaluation, Gate, Variable};
use crate::intercept::gated::Gated;

/// Puts the evaluations, and what rules were told that stands nowhere else in the record.
pub(super) fn put(fields: &mut Fields<'_>, facts: &Facts<'_>) -> Fallible {
    let (Some(gate), gated) = (facts.route.gate(), facts.gated) else { return Ok(()) };
    parameters(fields, facts, gate)?;
    if gate.names(Variable::ModelRegistered) {
        fields.put_some(schema::MODEL_REGISTERED, gated.registered)?;
    }
    fields.put(schema::GATE_POLICY, gate.policy())?;
    if gated.evaluations.is_empty() {
        return Ok(());
    }
    fields.put(schema::GATE_EFFECT, gated.effect().as_str())?;
    let name = |evaluation: &Evaluation| rule(gate, evaluation).map_or("", |rule| rule.config.name.as_str());
    let stage = |evaluation: &Evaluation| rule(gate, evaluation).map_or("", |rule| rule.config.when.as_str());
    fields.put(schema::GATE_RULES, list(gated, name))?;
    fields.put(schema::GATE_STAGES, list(gated, stage))?;
    fields.put(schema::GATE_VERDICTS, list(gated, |evaluation| evaluation.verdict_str()))?;
    fields.put(schema::GATE_EFFECTS, list(gated, |evaluation| evaluation.effect.as_str()))?;
    fields.put_some(schema::GATE_REASON, gated.reason(gate))?;
    fields.put_some(schema::GATE_ERROR, gated.error(gate))
}

fn rule<'g>(gate: &'g Gate, evaluation: &Evaluation) -> Option<&'g crate::gate::Rule> {
    gate.rules().get(evaluation.rule)
}

fn list<'g>(gated: &'g Gated, say: impl Fn(&'g Evaluation) -> &'g str) -> Value {
    Value::Array(gated.evaluations.iter().map(|evaluation| Value::from(say(evaluation))).collect())
}

/// The parameters that rules name.
fn parameters(fields: &mut Fields<'_>, facts: &Facts<'_>, gate: &Gate) -> Fallible {
    use ledgerstone::proto::inference::infer_parameter::ParameterChoice;

    let Some(request) = &facts.asked.infer else { return Ok(()) };
    for name in gate.parameters() {
        let parameter =
            request.parameters.get(name).and_then(|parameter| parameter.parameter_choice.as_ref());
        let value = match parameter {
            None => continue,
            Some(ParameterChoice::BoolParam(value)) => Value::Bool(*value),
            Some(ParameterChoice::Int64Param(value)) => Value::Int((*value).into()),
            Some(ParameterChoice::Uint64Param(value)) => Value::Int((*value).into()),
            Some(ParameterChoice::DoubleParam(value)) => Value::Float(*value),
            Some(ParameterChoice::StringParam(text)) => Value::from(text.as_str()),
        };
        fields.put(schema::parameter(name)?, value)?;
    }
    Ok(())
}
