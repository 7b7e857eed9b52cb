//! `gate check`: the rules of the routes, for whoever writes them and for whoever checks what they did.
//!
//! Guarantees: binds nothing, opens no log and needs no model file; what it evaluates is what the sidecar would evaluate.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use ledgerstone::encoding::base64_decode;
use ledgerstone::record::{FieldPath, Value};
use serde_json::{Value as Json, json};

use crate::cli::gate::GateCommand;
use crate::config::Config;
use crate::gate::recorded::Recorded;
use crate::gate::{Effect, Evaluation, Gate, Rule, STEPS_MAX, When, effect};
use crate::intercept::Routes;
use crate::intercept::route::{ModelConfig, Route, RouteConfig};
use crate::value::from_json;

/// Exit status where a decision is refused, or was recorded otherwise.
const REFUSED: u8 = 1;

/// Exit status where a record was made under other rules.
const UNDECIDED: u8 = 2;

/// Bytes of a decision's JSON: fields of 64 KiB, and not all of them.
const INPUT_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Runs `gate ...`.
///
/// # Errors
/// If a rule does not compile, or the decision cannot be read.
pub fn gate(command: &GateCommand, config: &Config, out: &mut impl Write) -> Result<ExitCode> {
    let GateCommand::Check(arguments) = command;
    let routes = routes(config)?;
    let input = arguments.input.as_deref().map(fields).transpose()?;
    let wanted = arguments.route.clone().or_else(|| input.as_ref().and_then(route_name));
    let chosen: Vec<&Arc<Route>> = match &wanted {
        None if input.is_some() => bail!("the input names no route (decision/route): give --route"),
        None => routes.configured().filter(|route| route.gate().is_some()).collect(),
        Some(name) => vec![routes.get(name).with_context(|| format!("there is no route {name:?}"))?],
    };
    let mut worst = 0;
    let mut printed = Vec::new();
    for route in chosen {
        let Some(gate) = route.gate() else { bail!("route {:?} has no gate", route.name()) };
        let tried =
            input.as_ref().map(|fields| Tried::new(gate, Recorded::new(fields.clone(), Arc::clone(route))));
        worst = worst.max(tried.as_ref().map_or(0, Tried::status));
        match arguments.json {
            true => printed.push(as_json(route, gate, tried.as_ref())),
            false => print(route, gate, tried.as_ref(), out)?,
        }
    }
    if arguments.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&json!({ "routes": printed }))?)?;
    } else if wanted.is_none() && routes.configured().all(|route| route.gate().is_none()) {
        writeln!(out, "No route has a gate.")?;
    }
    Ok(ExitCode::from(worst))
}

/// The routes without what needs files: models and packs are not looked at.
fn routes(config: &Config) -> Result<Routes> {
    let bare = |route: &RouteConfig| RouteConfig {
        model: ModelConfig { name: route.model.name.clone(), ..ModelConfig::default() },
        packs: Vec::new(),
        ..route.clone()
    };
    Ok(Routes::build(&config.routes.iter().map(bare).collect::<Vec<_>>(), &config.base)?)
}

/// The fields in a file.
fn fields(path: &Path) -> Result<BTreeMap<String, Value>> {
    let mut bytes = Vec::new();
    let file = File::open(path).with_context(|| format!("--input {}", path.display()))?;
    file.take(INPUT_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > INPUT_BYTES_MAX {
        bail!("--input {} is larger than {INPUT_BYTES_MAX} bytes", path.display());
    }
    let json: Json =
        serde_json::from_slice(&bytes).with_context(|| format!("--input {} is not JSON", path.display()))?;
    let Some(object) = json.get("fields").unwrap_or(&json).as_object() else {
        bail!("--input {}: write an object of fields by their paths", path.display());
    };
    let read = |(path, json): (&String, &Json)| {
        let path =
            FieldPath::parse(path).with_context(|| format!("--input: {path:?} is no path of a field"))?;
        let value = match json.get("base64").and_then(Json::as_str) {
            Some(text) => Value::Bytes(base64_decode(text).with_context(|| format!("--input: {path}"))?),
            None => from_json(&path, json).map_err(|what| anyhow::anyhow!("--input: {what}"))?,
        };
        Ok((path.as_str().to_owned(), value))
    };
    object.iter().map(read).collect()
}

fn route_name(fields: &BTreeMap<String, Value>) -> Option<String> {
    match fields.get("decision/route") {
        Some(Value::Text(name)) => Some(name.clone()),
        _ => None,
    }
}

/// What the rules gave over a decision.
struct Tried {
    evaluations: Vec<Evaluation>,
    /// Whether the rules of the answer were left out, because there is no answer.
    is_partial: bool,
    recorded: Comparison,
}

/// What the record says of the gate.
enum Comparison {
    /// Nothing.
    NotThere,
    /// The same.
    Same,
    /// Something else under the same rules.
    Differs,
    /// It was made under other rules.
    OtherRules(String),
}

impl Tried {
    fn new(gate: &Gate, record: Recorded) -> Self {
        let mut evaluations = Vec::new();
        gate.evaluate(When::Request, record.rows(), &record, &mut evaluations);
        // The rules of the answer are evaluated where the model answered; a decision that is made up need not say so.
        let has_answer = match record.field("delivery/upstream_status") {
            Some(status) => *status == Value::Int(0),
            None => record.has_output() && record.field("gate/rules").is_none(),
        };
        let goes_on = has_answer && effect(&evaluations) != Effect::Refuse;
        if goes_on {
            gate.evaluate(When::Answer, record.rows(), &record, &mut evaluations);
        }
        let is_partial = !goes_on && gate.has(When::Answer);
        let recorded = compare(gate, &record, &evaluations);
        Self { evaluations, is_partial, recorded }
    }

    fn status(&self) -> u8 {
        match &self.recorded {
            Comparison::Same => 0,
            Comparison::Differs => REFUSED,
            Comparison::OtherRules(_) => UNDECIDED,
            Comparison::NotThere => {
                if effect(&self.evaluations) == Effect::Refuse {
                    REFUSED
                } else {
                    0
                }
            }
        }
    }
}

fn compare(gate: &Gate, record: &Recorded, evaluations: &[Evaluation]) -> Comparison {
    let Some(Value::Bytes(policy)) = record.field("gate/policy") else { return Comparison::NotThere };
    if record.field("gate/rules").is_none() {
        // It was refused before any rule was looked at.
        return Comparison::NotThere;
    }
    if policy.as_slice() != gate.policy().as_bytes() {
        return Comparison::OtherRules(ledgerstone::encoding::hex_encode(policy));
    }
    let name =
        |evaluation: &Evaluation| gate.rules().get(evaluation.rule).map_or("", |rule| &rule.config.name);
    let say =
        |say: &dyn Fn(&Evaluation) -> String| Some(evaluations.iter().map(say).collect::<Vec<String>>());
    let is_same = texts(record.field("gate/rules")) == say(&|evaluation| name(evaluation).to_owned())
        && texts(record.field("gate/verdicts")) == say(&|evaluation| evaluation.verdict_str().to_owned())
        && texts(record.field("gate/effects")) == say(&|evaluation| evaluation.effect.as_str().to_owned());
    if is_same { Comparison::Same } else { Comparison::Differs }
}

fn texts(value: Option<&Value>) -> Option<Vec<String>> {
    let Some(Value::Array(items)) = value else { return None };
    let text = |item: &Value| match item {
        Value::Text(text) => Some(text.clone()),
        _ => None,
    };
    items.iter().map(text).collect()
}

fn print(route: &Route, gate: &Gate, tried: Option<&Tried>, out: &mut impl Write) -> Result<()> {
    writeln!(out, "Route {}", route.name())?;
    writeln!(out, "  policy {}", gate.policy())?;
    for rule in gate.rules() {
        let config = &rule.config;
        let when = match config.when {
            When::Request => "before the model is called",
            When::Answer => "before the answer is released",
        };
        writeln!(
            out,
            "\n  {}: {when}, otherwise {}; {}",
            config.name,
            config.otherwise.as_str(),
            cost(rule)
        )?;
        for line in config.rule.trim().lines() {
            writeln!(out, "    {}", printable(line))?;
        }
        let reads: Vec<String> = rule.program.variables().collect();
        if !reads.is_empty() {
            writeln!(out, "    reads {}", printable(&reads.join(", ")))?;
        }
    }
    let Some(tried) = tried else { return Ok(writeln!(out)?) };
    writeln!(out, "\n  For this decision:")?;
    for evaluation in &tried.evaluations {
        let Some(rule) = gate.rules().get(evaluation.rule) else { continue };
        let row = evaluation.row.map(|row| format!(" (row {row})")).unwrap_or_default();
        let why = evaluation.verdict.as_ref().err().map(|fault| format!(": {fault}")).unwrap_or_default();
        let (verdict, effect) = (evaluation.verdict_str(), evaluation.effect.as_str());
        let steps = evaluation.steps;
        writeln!(
            out,
            "    {}{row}: {verdict}, {effect}, {steps} steps{}",
            rule.config.name,
            printable(&why)
        )?;
    }
    if tried.is_partial {
        writeln!(out, "    the rules of the answer were not evaluated: there is none")?;
    }
    writeln!(out, "    together: {}", effect(&tried.evaluations).as_str())?;
    match &tried.recorded {
        Comparison::NotThere => {}
        Comparison::Same => writeln!(out, "    The record says the same.")?,
        Comparison::Differs => {
            writeln!(out, "    The record says something else under the same rules: keep both as evidence.")?
        }
        Comparison::OtherRules(policy) => {
            writeln!(
                out,
                "    The record was made under other rules, {policy}: check it with the configuration of then."
            )?;
        }
    }
    Ok(writeln!(out)?)
}

fn cost(rule: &Rule) -> String {
    let each = if rule.program.is_per_row() { " a person" } else { "" };
    match rule.program.steps_max() {
        Some(steps) => format!("at most {steps} steps{each}"),
        None => format!("stopped at {STEPS_MAX} steps"),
    }
}

/// Rules may hold any characters in their texts; a terminal gets printable ones.
fn printable(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

fn as_json(route: &Route, gate: &Gate, tried: Option<&Tried>) -> Json {
    let rule = |rule: &Rule| {
        json!({
            "name": rule.config.name,
            "when": rule.config.when.as_str(),
            "rule": rule.config.rule,
            "otherwise": rule.config.otherwise.as_str(),
            "message": rule.config.message,
            "reads": rule.program.variables().collect::<Vec<_>>(),
            "per_person": rule.program.is_per_row(),
            "steps_max": rule.program.steps_max().unwrap_or(STEPS_MAX),
        })
    };
    let evaluation = |evaluation: &Evaluation| {
        json!({
            "rule": gate.rules().get(evaluation.rule).map(|rule| rule.config.name.as_str()),
            "verdict": evaluation.verdict_str(),
            "effect": evaluation.effect.as_str(),
            "row": evaluation.row,
            "steps": evaluation.steps,
            "error": evaluation.verdict.as_ref().err().map(ToString::to_string),
        })
    };
    let tried = tried.map(|tried| {
        json!({
            "evaluations": tried.evaluations.iter().map(evaluation).collect::<Vec<_>>(),
            "effect": effect(&tried.evaluations).as_str(),
            "recorded": match &tried.recorded {
                Comparison::NotThere => "nothing",
                Comparison::Same => "same",
                Comparison::Differs => "differs",
                Comparison::OtherRules(_) => "other rules",
            },
        })
    });
    json!({
        "route": route.name(),
        "policy": gate.policy().to_string(),
        "rules": gate.rules().iter().map(rule).collect::<Vec<_>>(),
        "decision": tried,
    })
}
