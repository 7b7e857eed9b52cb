//! The policy gate: rules of a route, in CEL, that are evaluated before the model is called or before its answer is released.
//!
//! Guarantees: a rule that exists compiled; evaluating one ends after a counted number of steps, never after a time, so the
//! same rule over the same decision gives the same verdict everywhere; whatever goes wrong while a rule is evaluated closes the
//! gate. Faults name variables and never values (INV-8). Rules are compiled once; nothing but the variables that a rule names is
//! read, and no record is turned into a map.
//! Does not do: reading traffic (`intercept` does), calling anything, knowing the time.
//! Specification: the Common Expression Language, <https://github.com/google/cel-spec>, the part that `docs/gate.md` lists. The
//! parser is the crate `cel`; its syntax trees are evaluated here, because that crate's own evaluator counts no steps.

use std::sync::Arc;

use ledgerstone::encoding::cbor::Writer;
use ledgerstone::encoding::hex_encode;
use ledgerstone::entry::RegisteredName;
use ledgerstone::hash::Hash;
use ledgerstone::limits::FIELD_VALUE_BYTES_MAX;

mod compile;
mod config;
mod error;
mod evaluate;
mod fault;
mod lower;
mod program;
pub mod recorded;
#[cfg(test)]
mod tests;
mod value;
mod variable;

pub use self::compile::compile;
pub use self::config::{GateConfig, Otherwise, When};
pub use self::error::{GateError, RuleError};
pub use self::evaluate::{Outcome, Source};
pub use self::fault::Fault;
pub use self::program::Program;
pub use self::value::Val;
pub use self::variable::{Found, Known, Names, VARIABLES, Variable};

/// Bytes of one rule's text.
pub const RULE_BYTES_MAX: usize = 4096;

/// Rules of one route.
pub const RULES_MAX: usize = 32;

/// Bytes of what a rule tells callers. Headers carry it percent-encoded, three bytes for one at most.
pub const MESSAGE_BYTES_MAX: usize = 512;

/// Parts of one rule: operators, names, literals.
pub const NODES_MAX: usize = 512;

/// Parts within parts of one rule. Evaluating goes as deep: 48 calls.
pub const DEPTH_MAX: usize = 48;

/// `all`, `exists`, `exists_one`, `map` and `filter` within each other.
pub const NESTED_MAX: usize = 2;

/// Parameters of requests that the rules of one route name: records hold them.
pub const PARAMETERS_MAX: usize = 64;

/// Bytes of one text or byte string that a rule works on: what a record holds of it whole, with five bytes before it.
pub const TEXT_BYTES_MAX: usize = FIELD_VALUE_BYTES_MAX - 5;

/// Items of one list that a rule works on.
pub const ITEMS_MAX: usize = 4096;

/// Steps of one rule over one decision, all its persons together. One is worth 10 to 40 nanoseconds: 32 rules that use all of
/// theirs take a tenth of a second, and the five of an ordinary route some hundred steps.
pub const STEPS_MAX: u64 = 100_000;

/// First item of the policy digest's preimage.
const POLICY_DOMAIN: &str = "ledgerstone/gate/v1";

/// What the kinds of the policy entries begin with that name rules of routes.
const POLICY_KIND: &str = "gate.";

/// One compiled rule.
#[derive(Debug)]
pub struct Rule {
    /// As it is configured.
    pub config: GateConfig,
    /// What is evaluated.
    pub program: Program,
}

/// The rules of one route, in the order of the configuration.
#[derive(Debug)]
pub struct Gate {
    rules: Vec<Rule>,
    policy: Hash,
    parameters: Vec<String>,
}

impl Gate {
    /// Compiles the rules of a route whose columns and scores are `names`; nothing where there are none.
    ///
    /// # Errors
    /// [`GateError`] names the rule, the place in it and what to change.
    pub fn build(configs: &[GateConfig], names: &Names) -> Result<Option<Arc<Self>>, GateError> {
        if configs.is_empty() {
            return Ok(None);
        }
        if configs.len() > RULES_MAX {
            return Err(GateError::TooMany { count: configs.len() });
        }
        let mut rules: Vec<Rule> = Vec::with_capacity(configs.len());
        for config in configs {
            config.check()?;
            if rules.iter().any(|rule| rule.config.name == config.name) {
                return Err(GateError::Twice { rule: config.name.clone() });
            }
            let program = compile(&config.rule, config.when, names)
                .map_err(|source| GateError::Rule { rule: config.name.clone(), source })?;
            rules.push(Rule { config: config.clone(), program });
        }
        let mut parameters: Vec<String> =
            rules.iter().flat_map(|rule| rule.program.parameters()).map(str::to_owned).collect();
        parameters.sort();
        parameters.dedup();
        if parameters.len() > PARAMETERS_MAX {
            return Err(GateError::TooManyParameters { count: parameters.len() });
        }
        Ok(Some(Arc::new(Self { policy: policy_digest(configs), rules, parameters })))
    }

    /// The rules.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// SHA-256 of the deterministic CBOR array `["ledgerstone/gate/v1", [[name, when, rule, otherwise, message], ...]]`, all
    /// text, a message that is left out as `null`.
    #[must_use]
    pub fn policy(&self) -> Hash {
        self.policy
    }

    /// The parameters of requests that rules name: records hold them, so that the rules can be evaluated again.
    #[must_use]
    pub fn parameters(&self) -> &[String] {
        &self.parameters
    }

    /// Whether any rule names `variable`.
    #[must_use]
    pub fn names(&self, variable: Variable) -> bool {
        self.rules.iter().any(|rule| rule.program.names(variable))
    }

    /// Whether there is anything to evaluate at `when`.
    #[must_use]
    pub fn has(&self, when: When) -> bool {
        self.rules.iter().any(|rule| rule.config.when == when)
    }

    /// Evaluates the rules of `when`, each for every one of `rows` persons if it names anything that differs between them.
    /// All of them, also after one refused: the record says how each stood.
    pub fn evaluate(&self, when: When, rows: usize, source: &impl Source, into: &mut Vec<Evaluation>) {
        for (place, rule) in self.rules.iter().enumerate() {
            if rule.config.when == when {
                into.push(rule.evaluate(place, rows, source));
            }
        }
    }
}

impl Rule {
    fn evaluate(&self, place: usize, rows: usize, source: &impl Source) -> Evaluation {
        let Outcome { verdict, row, steps } = self.program.evaluate(rows, source);
        let effect = match (&verdict, self.config.otherwise) {
            (Ok(true), _) => Effect::Allow,
            (Ok(false), Otherwise::Review) => Effect::Review,
            (Ok(false), Otherwise::Refuse) | (Err(_), _) => Effect::Refuse,
        };
        Evaluation { rule: place, verdict, effect, row, steps }
    }
}

/// What a rule, or a whole gate, does with a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// Nothing.
    Allow,
    /// The answer goes out, marked for a person's review.
    Review,
    /// No answer of the model goes out.
    Refuse,
}

impl Effect {
    /// As it stands in a record.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Review => "review",
            Self::Refuse => "refuse",
        }
    }
}

/// How one rule stood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evaluation {
    /// Which one, counted from 0.
    pub rule: usize,
    /// What it said, or why it could say nothing.
    pub verdict: Result<bool, Fault>,
    /// What follows.
    pub effect: Effect,
    /// The first person for whom it did not hold, where the call is about several.
    pub row: Option<usize>,
    /// What evaluating it took.
    pub steps: u64,
}

impl Evaluation {
    /// The verdict as it stands in a record.
    #[must_use]
    pub fn verdict_str(&self) -> &'static str {
        match self.verdict {
            Ok(true) => "true",
            Ok(false) => "false",
            Err(_) => "error",
        }
    }
}

/// What all rules together do.
#[must_use]
pub fn effect(evaluations: &[Evaluation]) -> Effect {
    evaluations.iter().map(|evaluation| evaluation.effect).max().unwrap_or(Effect::Allow)
}

/// The kind of the policy entries that name the rules of this route: `gate.` and the route's name, or, where that is no name of
/// the log, the first 32 hexadecimal digits of its SHA-256.
#[must_use]
pub fn policy_kind(route: &str) -> Option<RegisteredName> {
    let kind = |name: &str| RegisteredName::parse(&format!("{POLICY_KIND}{name}")).ok();
    kind(route).or_else(|| kind(&hex_encode(Hash::of(route.as_bytes()).as_bytes().get(..16)?)))
}

/// Whether policy entries of this kind name rules of routes.
#[must_use]
pub fn is_policy_kind(kind: &RegisteredName) -> bool {
    kind.as_str().starts_with(POLICY_KIND)
}

/// What [`Gate::policy`] says of these rules. That of none is what the log names where a gate was taken away.
#[must_use]
pub fn policy_digest(configs: &[GateConfig]) -> Hash {
    let mut writer = Writer::new();
    writer.array(2).text(POLICY_DOMAIN).array(configs.len());
    for config in configs {
        writer.array(5).text(&config.name).text(config.when.as_str()).text(&config.rule);
        writer.text(config.otherwise.as_str());
        match &config.message {
            Some(message) => writer.text(message),
            None => writer.null(),
        };
    }
    Hash::of(writer.as_bytes())
}
