//! A compiled rule, and what evaluating it can cost.

use regex::Regex;

use super::value::Val;
use super::variable::{Field, Known, Variable};
use super::{ITEMS_MAX, STEPS_MAX, TEXT_BYTES_MAX};

/// A rule that compiled. Evaluating it needs nothing but a decision.
#[derive(Debug)]
pub struct Program {
    pub(super) root: Node,
    pub(super) fields: Vec<Field>,
    pub(super) per_row: bool,
    pub(super) slots: usize,
}

/// One part of a rule.
#[derive(Debug)]
pub(super) enum Node {
    Const(Val<'static>),
    /// The variable of a comprehension.
    Slot(usize),
    Field(Field),
    /// `input.feature[...]` with a name that is computed.
    Keyed(Variable, Box<Node>),
    Has(Field),
    Not(Box<Node>),
    Negate(Box<Node>),
    And(Box<[Node; 2]>),
    Or(Box<[Node; 2]>),
    Cond(Box<[Node; 3]>),
    Binary(Op, Box<[Node; 2]>),
    In(Box<[Node; 2]>),
    Index(Box<[Node; 2]>),
    List(Vec<Node>),
    Call(Function, Vec<Node>),
    Matches(Box<Node>, Box<Regex>),
    Each(Box<Each>),
}

/// A comprehension: what its macro said, not what the parser expands it to.
#[derive(Debug)]
pub(super) struct Each {
    pub(super) kind: EachKind,
    pub(super) range: Node,
    pub(super) slot: usize,
    /// What is asked of each item.
    pub(super) test: Option<Node>,
    /// What each item becomes; itself where there is nothing.
    pub(super) element: Option<Node>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EachKind {
    All,
    Exists,
    ExistsOne,
    Collect,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Equal,
    Unequal,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
}

impl Op {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::Unequal => "!=",
            Self::Less => "<",
            Self::LessEqual => "<=",
            Self::Greater => ">",
            Self::GreaterEqual => ">=",
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Modulo => "%",
        }
    }

    const fn compares(self) -> bool {
        !matches!(self, Self::Add | Self::Subtract | Self::Multiply | Self::Divide | Self::Modulo)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    Size,
    StartsWith,
    EndsWith,
    Contains,
    Int,
    Uint,
    Double,
    Text,
}

impl Function {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Size => "size",
            Self::StartsWith => "startsWith",
            Self::EndsWith => "endsWith",
            Self::Contains => "contains",
            Self::Int => "int",
            Self::Uint => "uint",
            Self::Double => "double",
            Self::Text => "string",
        }
    }
}

impl Program {
    /// Whether the rule names `variable`.
    #[must_use]
    pub fn names(&self, variable: Variable) -> bool {
        self.fields.iter().any(|field| field.variable == variable)
    }

    /// The variables that the rule names, as it writes them.
    pub fn variables(&self) -> impl Iterator<Item = String> {
        self.fields.iter().map(ToString::to_string)
    }

    /// The parameters of requests that the rule names.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        let parameters = self.fields.iter().filter(|field| field.variable == Variable::InputParameter);
        parameters.map(|field| field.name.as_str())
    }

    /// Whether the rule is evaluated for each person of a call.
    #[must_use]
    pub fn is_per_row(&self) -> bool {
        self.per_row
    }

    /// The most steps that evaluating the rule for one person can take, whatever the decision is; nothing where that is more
    /// than [`STEPS_MAX`], at which it is stopped.
    #[must_use]
    pub fn steps_max(&self) -> Option<u64> {
        let bound = cost(&self.root, &mut Vec::new()).steps;
        (bound <= STEPS_MAX).then_some(bound)
    }
}

/// Bytes for which one step is counted where a text is read, compared or joined.
pub(super) const BYTES_A_STEP: u64 = 64;

/// The same where a text is searched, each byte of which is looked at several times.
pub(super) const BYTES_A_STEP_SEARCHED: u64 = 4;

/// What a part costs at most, and how large what it gives can be.
#[derive(Clone, Copy, Default)]
struct Cost {
    steps: u64,
    /// Bytes of a text, items of a list.
    size: u64,
    /// What reading or comparing it costs: [`Val::weight`].
    weight: u64,
}

impl Cost {
    const TEXT: Self =
        Self { steps: 1, size: TEXT_BYTES_MAX as u64, weight: TEXT_BYTES_MAX as u64 / BYTES_A_STEP };

    /// A value that is a text no longer than the limit, a number or a truth.
    fn scalar(steps: u64) -> Self {
        Self { steps: steps.saturating_add(1), ..Self::default() }
    }

    /// One of the items of a list that costs this to read.
    fn item(self) -> Self {
        Self {
            steps: 1,
            size: self.weight.saturating_add(1).saturating_mul(BYTES_A_STEP),
            weight: self.weight,
        }
    }

    fn with_steps(self, steps: u64) -> Self {
        Self { steps: steps.saturating_add(1), ..self }
    }
}

/// The cost of `node`, within comprehensions over what `scope` says of their items.
fn cost(node: &Node, scope: &mut Vec<Cost>) -> Cost {
    match node {
        Node::Const(value) => Cost { steps: 1, size: size_of(value), weight: value.weight() },
        Node::Slot(slot) => scope.get(*slot).copied().unwrap_or(Cost::TEXT).with_steps(0),
        Node::Field(field) => field_cost(field),
        Node::Keyed(_, key) => {
            Cost::TEXT.with_steps(cost(key, scope).steps.saturating_add(Cost::TEXT.weight))
        }
        Node::Has(_) => Cost::scalar(0),
        Node::Not(inner) | Node::Negate(inner) => Cost::scalar(cost(inner, scope).steps),
        Node::And(pair) | Node::Or(pair) => Cost::scalar(sum(pair.as_slice(), scope)),
        Node::Cond(parts) => {
            let [test, one, other] = parts.each_ref().map(|part| cost(part, scope));
            let (size, weight) = (one.size.max(other.size), one.weight.max(other.weight));
            let steps = test.steps.saturating_add(one.steps.max(other.steps)).saturating_add(1);
            Cost { steps, size, weight }
        }
        Node::Binary(op, pair) => binary_cost(*op, pair.each_ref().map(|part| cost(part, scope))),
        Node::In(pair) => {
            let [item, list] = pair.each_ref().map(|part| cost(part, scope));
            let items = list.size.min(ITEMS_MAX as u64);
            // Each comparison costs the lighter side, and the items together weigh what the list does.
            let compared = items.saturating_mul(item.weight).min(list.weight).saturating_add(items);
            Cost::scalar(item.steps.saturating_add(list.steps).saturating_add(compared))
        }
        Node::Index(pair) => {
            let [list, place] = pair.each_ref().map(|part| cost(part, scope));
            list.item().with_steps(list.steps.saturating_add(place.steps))
        }
        Node::List(items) => {
            let parts: Vec<Cost> = items.iter().map(|item| cost(item, scope)).collect();
            let weight =
                parts.iter().fold(0_u64, |sum, part| sum.saturating_add(part.weight).saturating_add(1));
            let steps = parts.iter().fold(1_u64, |sum, part| sum.saturating_add(part.steps));
            Cost { steps, size: items.len() as u64, weight }
        }
        Node::Call(function, arguments) => call_cost(*function, arguments, scope),
        Node::Matches(inner, _) => {
            let inner = cost(inner, scope);
            let searched = inner.size.min(TEXT_BYTES_MAX as u64) / BYTES_A_STEP_SEARCHED;
            Cost::scalar(inner.steps.saturating_add(searched))
        }
        Node::Each(each) => each_cost(each, scope),
    }
}

fn binary_cost(op: Op, [one, other]: [Cost; 2]) -> Cost {
    let steps = one.steps.saturating_add(other.steps);
    if op.compares() {
        return Cost::scalar(steps.saturating_add(one.weight.min(other.weight)));
    }
    let weight = one.weight.saturating_add(other.weight).saturating_add(1);
    if op != Op::Add {
        return Cost::scalar(steps);
    }
    let joined = Cost { steps, size: one.size.saturating_add(other.size), weight };
    joined.with_steps(steps.saturating_add(weight))
}

fn call_cost(function: Function, arguments: &[Node], scope: &mut Vec<Cost>) -> Cost {
    let steps = sum(arguments, scope);
    let first = arguments.first().map_or(Cost::default(), |argument| cost(argument, scope));
    let searched = match function {
        Function::Contains => first.size.min(TEXT_BYTES_MAX as u64) / BYTES_A_STEP_SEARCHED,
        _ => 0,
    };
    let steps = steps.saturating_add(first.weight).saturating_add(searched);
    match function {
        Function::Text => Cost { size: first.size.max(24), ..first }.with_steps(steps),
        _ => Cost::scalar(steps),
    }
}

fn each_cost(each: &Each, scope: &mut Vec<Cost>) -> Cost {
    let range = cost(&each.range, scope);
    let items = range.size.min(ITEMS_MAX as u64);
    scope.truncate(each.slot);
    scope.push(range.item());
    let mut part = |node: &Option<Node>| node.as_ref().map_or(Cost::default(), |node| cost(node, scope));
    let (test, element) = (part(&each.test), part(&each.element));
    scope.truncate(each.slot);
    let body = test.steps.saturating_add(element.steps).saturating_add(1);
    let steps = range.steps.saturating_add(items.saturating_mul(body)).saturating_add(1);
    let weight = items.saturating_mul(element.weight.saturating_add(1));
    Cost { steps, size: items, weight }
}

fn field_cost(field: &Field) -> Cost {
    match field.variable {
        // A tensor has at most 16 dimensions.
        Variable::InputTensorShape | Variable::OutputTensorShape => Cost { steps: 17, size: 16, weight: 16 },
        variable => match Known::of(variable).map(|known| known.types) {
            Some("int" | "bool" | "double") => Cost::scalar(0),
            _ => Cost::TEXT.with_steps(Cost::TEXT.weight),
        },
    }
}

fn sum(nodes: &[Node], scope: &mut Vec<Cost>) -> u64 {
    nodes.iter().fold(0, |sum, node| sum.saturating_add(cost(node, scope).steps))
}

fn size_of(value: &Val<'_>) -> u64 {
    match value {
        Val::Text(text) => text.len() as u64,
        Val::Bytes(bytes) => bytes.len() as u64,
        Val::List(items) => items.len() as u64,
        _ => 0,
    }
}
