//! Evaluates a compiled rule over a decision, step by step.
//!
//! Guarantees: at most [`STEPS_MAX`] steps, counted; at most as many calls deep as the rule has parts within parts; arithmetic that
//! overflows or divides an integer by zero is a fault; `&&`, `||`, `all` and `exists` give what the other side decides where one
//! side is a fault, as the specification asks, except for a fault of the limits, which ends the rule.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::Arc;

use super::fault::Fault;
use super::program::{BYTES_A_STEP, BYTES_A_STEP_SEARCHED, Each, EachKind, Function, Node, Op, Program};
use super::value::Val;
use super::variable::{Field, Found, Known, Variable};
use super::{ITEMS_MAX, STEPS_MAX, TEXT_BYTES_MAX};

/// A decision, as far as rules look at it.
pub trait Source {
    /// What a variable stands for. `name` is the name in it, empty where it takes none; `row` is the person, counted from 0.
    fn value(&self, variable: Variable, name: &str, row: usize) -> Found<'_>;
}

/// How a rule ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What it says, or why it says nothing.
    pub verdict: Result<bool, Fault>,
    /// The first person for whom it did not hold, where it was evaluated for several.
    pub row: Option<usize>,
    /// The steps that were taken.
    pub steps: u64,
}

impl Program {
    /// Evaluates the rule; for each of `rows` persons where it names what may differ between them, until it does not hold. A call
    /// about nobody is evaluated as one about one person: a rule holds because it was evaluated, never because it was not.
    pub fn evaluate(&self, rows: usize, source: &impl Source) -> Outcome {
        let rows = if self.per_row { rows.max(1) } else { 1 };
        let mut machine = Machine { source, row: 0, left: STEPS_MAX, slots: vec![Val::Null; self.slots] };
        for row in 0..rows {
            machine.row = row;
            let verdict = machine.value(&self.root).and_then(|value| match value {
                Val::Bool(verdict) => Ok(verdict),
                other => Err(Fault::NotBoolean { gave: other.type_name() }),
            });
            if verdict != Ok(true) {
                return Outcome { verdict, row: (rows > 1).then_some(row), steps: STEPS_MAX - machine.left };
            }
        }
        Outcome { verdict: Ok(true), row: None, steps: STEPS_MAX - machine.left }
    }
}

struct Machine<'a, S> {
    source: &'a S,
    row: usize,
    left: u64,
    slots: Vec<Val<'a>>,
}

type Valued<'a> = Result<Val<'a>, Fault>;

impl<'a, S: Source> Machine<'a, S> {
    fn charge(&mut self, steps: u64) -> Result<(), Fault> {
        match self.left.checked_sub(steps) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => {
                self.left = 0;
                Err(Fault::Steps)
            }
        }
    }

    fn value(&mut self, node: &'a Node) -> Valued<'a> {
        self.charge(1)?;
        match node {
            Node::Const(value) => Ok(value.borrowed()),
            Node::Slot(slot) => Ok(self.slots.get(*slot).cloned().unwrap_or(Val::Null)),
            Node::Field(field) => self.field(field),
            Node::Keyed(variable, key) => self.keyed(*variable, key),
            Node::Has(field) => match self.source.value(field.variable, &field.name, self.row) {
                Found::Absent => Ok(Val::Bool(false)),
                Found::Value(_) | Found::TooLong => Ok(Val::Bool(true)),
                other => taken(other, || field.to_string(), field.variable),
            },
            Node::Not(inner) => match self.value(inner)? {
                Val::Bool(value) => Ok(Val::Bool(!value)),
                other => Err(wrong("!", &[&other])),
            },
            Node::Negate(inner) => match self.value(inner)? {
                Val::Int(value) => value.checked_neg().map(Val::Int).ok_or(Fault::Overflow),
                Val::Double(value) => Ok(Val::Double(-value)),
                other => Err(wrong("-", &[&other])),
            },
            Node::And(pair) => self.logic(pair, false),
            Node::Or(pair) => self.logic(pair, true),
            Node::Cond(parts) => {
                let [test, one, other] = parts.as_ref();
                match self.value(test)? {
                    Val::Bool(true) => self.value(one),
                    Val::Bool(false) => self.value(other),
                    value => Err(wrong("?:", &[&value])),
                }
            }
            Node::Binary(op, pair) => self.binary(*op, pair),
            Node::In(pair) => self.within(pair),
            Node::Index(pair) => self.place(pair),
            Node::List(items) => {
                let items: Vec<Val<'a>> =
                    items.iter().map(|item| self.value(item)).collect::<Result<_, _>>()?;
                Ok(Val::List(items.into()))
            }
            Node::Call(function, arguments) => self.call(*function, arguments),
            Node::Matches(inner, regex) => match self.value(inner)? {
                Val::Text(text) => {
                    self.charge(text.len() as u64 / BYTES_A_STEP_SEARCHED)?;
                    Ok(Val::Bool(regex.is_match(&text)))
                }
                other => Err(wrong("matches", &[&other])),
            },
            Node::Each(each) => self.each(each),
        }
    }

    fn field(&mut self, field: &'a Field) -> Valued<'a> {
        let found = self.source.value(field.variable, &field.name, self.row);
        if matches!(found, Found::Absent) && Known::of(field.variable).is_some_and(Known::is_plain) {
            return Ok(Val::Null);
        }
        self.read(found, || field.to_string(), field.variable)
    }

    fn keyed(&mut self, variable: Variable, key: &'a Node) -> Valued<'a> {
        let name = match self.value(key)? {
            Val::Text(name) => name,
            other => return Err(wrong("[]", &[&other])),
        };
        let source = self.source;
        let found = source.value(variable, &name, self.row);
        let named = || Field { variable, name: "...".to_owned() }.to_string();
        self.read(found, named, variable)
    }

    fn read(&mut self, found: Found<'a>, name: impl FnOnce() -> String, variable: Variable) -> Valued<'a> {
        let value = taken(found, name, variable)?;
        match &value {
            Val::Text(text) if text.len() > TEXT_BYTES_MAX => return Err(Fault::TextTooLong),
            Val::Bytes(bytes) if bytes.len() > TEXT_BYTES_MAX => return Err(Fault::TextTooLong),
            Val::List(items) if items.len() > ITEMS_MAX => return Err(Fault::ListTooLong),
            _ => {}
        }
        self.charge(value.weight())?;
        Ok(value)
    }

    /// `&&` where `decisive` is false, `||` where it is true: a side that is decisive makes up for a fault of the other.
    fn logic(&mut self, pair: &'a [Node; 2], decisive: bool) -> Valued<'a> {
        let sign = if decisive { "||" } else { "&&" };
        let [one, other] = pair;
        let first = self.truth(one, sign);
        match first {
            Ok(value) if value == decisive => return Ok(Val::Bool(decisive)),
            Err(fault) if fault.is_final() => return Err(fault),
            _ => {}
        }
        let second = self.truth(other, sign);
        match (first, second) {
            (_, Err(fault)) if fault.is_final() => Err(fault),
            (_, Ok(value)) if value == decisive => Ok(Val::Bool(decisive)),
            (Err(fault), _) | (_, Err(fault)) => Err(fault),
            (Ok(_), Ok(_)) => Ok(Val::Bool(!decisive)),
        }
    }

    fn truth(&mut self, node: &'a Node, sign: &'static str) -> Result<bool, Fault> {
        match self.value(node)? {
            Val::Bool(value) => Ok(value),
            other => Err(wrong(sign, &[&other])),
        }
    }

    fn binary(&mut self, op: Op, pair: &'a [Node; 2]) -> Valued<'a> {
        let [one, other] = pair;
        let (one, other) = (self.value(one)?, self.value(other)?);
        let same = |wanted: bool, machine: &mut Self| -> Valued<'a> {
            machine.charge(one.weight().min(other.weight()))?;
            Ok(Val::Bool(one.equals(&other) == wanted))
        };
        match op {
            Op::Equal => same(true, self),
            Op::Unequal => same(false, self),
            Op::Less | Op::LessEqual | Op::Greater | Op::GreaterEqual => {
                self.charge(one.weight().min(other.weight()))?;
                let order = one.order(&other).ok_or_else(|| wrong(op.as_str(), &[&one, &other]))?;
                Ok(Val::Bool(order.is_some_and(|order| holds(op, order))))
            }
            Op::Add => self.add(one, other),
            _ => arithmetic(op, &one, &other),
        }
    }

    fn add(&mut self, one: Val<'a>, other: Val<'a>) -> Valued<'a> {
        match (&one, &other) {
            (Val::Text(a), Val::Text(b)) => {
                let len = a.len() + b.len();
                if len > TEXT_BYTES_MAX {
                    return Err(Fault::TextTooLong);
                }
                self.charge(len as u64 / BYTES_A_STEP)?;
                Ok(Val::Text(Cow::Owned(format!("{a}{b}"))))
            }
            (Val::Bytes(a), Val::Bytes(b)) => {
                if a.len() + b.len() > TEXT_BYTES_MAX {
                    return Err(Fault::TextTooLong);
                }
                self.charge((a.len() + b.len()) as u64 / BYTES_A_STEP)?;
                Ok(Val::Bytes(Cow::Owned([a.as_ref(), b.as_ref()].concat())))
            }
            (Val::List(a), Val::List(b)) => {
                if a.len() + b.len() > ITEMS_MAX {
                    return Err(Fault::ListTooLong);
                }
                self.charge((a.len() + b.len()) as u64)?;
                Ok(Val::List(a.iter().chain(b.iter()).cloned().collect()))
            }
            _ => arithmetic(Op::Add, &one, &other),
        }
    }

    fn within(&mut self, pair: &'a [Node; 2]) -> Valued<'a> {
        let [item, list] = pair;
        let item = self.value(item)?;
        let Val::List(items) = self.value(list)? else { return Err(wrong("in", &[&item])) };
        for other in items.iter() {
            self.charge(1 + item.weight().min(other.weight()))?;
            if item.equals(other) {
                return Ok(Val::Bool(true));
            }
        }
        Ok(Val::Bool(false))
    }

    fn place(&mut self, pair: &'a [Node; 2]) -> Valued<'a> {
        let [list, place] = pair;
        let (list, place) = (self.value(list)?, self.value(place)?);
        let number = match place {
            Val::Int(number) => usize::try_from(number).ok(),
            Val::Uint(number) => usize::try_from(number).ok(),
            _ => return Err(wrong("[]", &[&list, &place])),
        };
        let Val::List(items) = &list else { return Err(wrong("[]", &[&list, &place])) };
        number.and_then(|number| items.get(number)).cloned().ok_or(Fault::NoSuchPlace)
    }

    fn call(&mut self, function: Function, arguments: &'a [Node]) -> Valued<'a> {
        let mut values = arguments.iter().map(|argument| self.value(argument));
        let (Some(one), other) = (values.next().transpose()?, values.next().transpose()?) else {
            return Err(wrong(function.as_str(), &[]));
        };
        drop(values);
        self.charge(one.weight())?;
        match (function, &one, &other) {
            (Function::Size, Val::Text(text), None) => Ok(count(text.chars().count())),
            (Function::Size, Val::Bytes(bytes), None) => Ok(count(bytes.len())),
            (Function::Size, Val::List(items), None) => Ok(count(items.len())),
            (Function::StartsWith, Val::Text(text), Some(Val::Text(part))) => {
                Ok(Val::Bool(text.starts_with(part.as_ref())))
            }
            (Function::EndsWith, Val::Text(text), Some(Val::Text(part))) => {
                Ok(Val::Bool(text.ends_with(part.as_ref())))
            }
            (Function::Contains, Val::Text(text), Some(Val::Text(part))) => {
                self.charge(text.len() as u64 / BYTES_A_STEP_SEARCHED)?;
                Ok(Val::Bool(text.contains(part.as_ref())))
            }
            (Function::Int | Function::Uint | Function::Double | Function::Text, _, None) => {
                convert(function, one)
            }
            (_, one, Some(other)) => Err(wrong(function.as_str(), &[one, other])),
            (_, one, None) => Err(wrong(function.as_str(), &[one])),
        }
    }

    fn each(&mut self, each: &'a Each) -> Valued<'a> {
        let range = self.value(&each.range)?;
        let Val::List(items) = range else { return Err(wrong("a comprehension", &[&range])) };
        let (mut found, mut fault, mut list) = (0_usize, None, Vec::new());
        for item in items.iter() {
            self.charge(1)?;
            if let Some(slot) = self.slots.get_mut(each.slot) {
                *slot = item.clone();
            }
            let holds = each.test.as_ref().map_or(Ok(true), |test| self.truth(test, "a comprehension"));
            match (each.kind, holds) {
                (_, Err(last)) if last.is_final() => return Err(last),
                (EachKind::All, Ok(false)) => return Ok(Val::Bool(false)),
                (EachKind::Exists, Ok(true)) => return Ok(Val::Bool(true)),
                (EachKind::All | EachKind::Exists, Err(other)) => fault = fault.or(Some(other)),
                (_, Err(other)) => return Err(other),
                (EachKind::ExistsOne, Ok(true)) => found += 1,
                (EachKind::Collect, Ok(true)) => list.push(match &each.element {
                    Some(element) => self.value(element)?,
                    None => item.clone(),
                }),
                (_, Ok(_)) => {}
            }
        }
        match (each.kind, fault) {
            (_, Some(fault)) => Err(fault),
            (EachKind::All, None) => Ok(Val::Bool(true)),
            (EachKind::Exists, None) => Ok(Val::Bool(false)),
            (EachKind::ExistsOne, None) => Ok(Val::Bool(found == 1)),
            (EachKind::Collect, None) => Ok(Val::List(list.into())),
        }
    }
}

fn taken<'a>(found: Found<'a>, name: impl FnOnce() -> String, variable: Variable) -> Valued<'a> {
    match found {
        Found::Value(value) => Ok(value),
        Found::Absent => Err(Fault::Missing { name: name() }),
        Found::Masked => Err(Fault::Masked { name: name() }),
        Found::TooLong => Err(Fault::TextTooLong),
        Found::NotYet => Err(Fault::NotYet { name: Known::of(variable).map_or("", |known| known.path) }),
    }
}

fn wrong(what: &'static str, of: &[&Val<'_>]) -> Fault {
    Fault::Types { what, of: of.iter().map(|value| value.type_name()).collect() }
}

fn count(number: usize) -> Val<'static> {
    Val::Int(i64::try_from(number).unwrap_or(i64::MAX))
}

fn holds(op: Op, order: Ordering) -> bool {
    match op {
        Op::Less => order.is_lt(),
        Op::LessEqual => order.is_le(),
        Op::Greater => order.is_gt(),
        _ => order.is_ge(),
    }
}

/// The result of `op` on two whole numbers of one type, `None` where it does not fit.
macro_rules! whole {
    ($op:expr, $one:expr, $other:expr) => {
        match $op {
            Op::Add => $one.checked_add($other),
            Op::Subtract => $one.checked_sub($other),
            Op::Multiply => $one.checked_mul($other),
            Op::Divide | Op::Modulo if $other == 0 => return Err(Fault::DivisionByZero),
            Op::Divide => $one.checked_div($other),
            _ => $one.checked_rem($other),
        }
    };
}

fn arithmetic<'a>(op: Op, one: &Val<'a>, other: &Val<'a>) -> Valued<'a> {
    match (one, other) {
        (Val::Int(a), Val::Int(b)) => whole!(op, *a, *b).map(Val::Int).ok_or(Fault::Overflow),
        (Val::Uint(a), Val::Uint(b)) => whole!(op, *a, *b).map(Val::Uint).ok_or(Fault::Overflow),
        (Val::Double(a), Val::Double(b)) => match op {
            Op::Add => Ok(Val::Double(a + b)),
            Op::Subtract => Ok(Val::Double(a - b)),
            Op::Multiply => Ok(Val::Double(a * b)),
            Op::Divide => Ok(Val::Double(a / b)),
            _ => Err(wrong(op.as_str(), &[one, other])),
        },
        _ => Err(wrong(op.as_str(), &[one, other])),
    }
}

/// `int`, `uint`, `double` and `string`. A number that does not fit is a fault; what is behind the point falls away.
fn convert(to: Function, value: Val<'_>) -> Valued<'_> {
    let name = to.as_str();
    let fault = || Fault::Conversion { to: name };
    Ok(match (to, value) {
        (Function::Int, Val::Int(value)) => Val::Int(value),
        (Function::Int, Val::Uint(value)) => Val::Int(i64::try_from(value).map_err(|_| fault())?),
        (Function::Int, Val::Double(value)) => {
            Val::Int(whole(value).and_then(|value| value.try_into().ok()).ok_or_else(fault)?)
        }
        (Function::Int, Val::Text(text)) => Val::Int(text.parse().map_err(|_| fault())?),
        (Function::Uint, Val::Uint(value)) => Val::Uint(value),
        (Function::Uint, Val::Int(value)) => Val::Uint(u64::try_from(value).map_err(|_| fault())?),
        (Function::Uint, Val::Double(value)) => {
            Val::Uint(whole(value).and_then(|value| value.try_into().ok()).ok_or_else(fault)?)
        }
        (Function::Uint, Val::Text(text)) => Val::Uint(text.parse().map_err(|_| fault())?),
        (Function::Double, Val::Double(value)) => Val::Double(value),
        #[expect(clippy::cast_precision_loss, reason = "as the specification asks, to the nearest double")]
        (Function::Double, Val::Int(value)) => Val::Double(value as f64),
        #[expect(clippy::cast_precision_loss, reason = "as the specification asks, to the nearest double")]
        (Function::Double, Val::Uint(value)) => Val::Double(value as f64),
        (Function::Double, Val::Text(text)) => Val::Double(text.parse().map_err(|_| fault())?),
        (Function::Text, Val::Text(text)) => Val::Text(text),
        (Function::Text, Val::Int(value)) => Val::Text(Cow::Owned(value.to_string())),
        (Function::Text, Val::Uint(value)) => Val::Text(Cow::Owned(value.to_string())),
        (Function::Text, Val::Bool(value)) => Val::Text(Cow::Borrowed(if value { "true" } else { "false" })),
        (_, other) => return Err(wrong(name, &[&other])),
    })
}

#[expect(clippy::cast_possible_truncation, reason = "compared with the bounds before")]
fn whole(value: f64) -> Option<i128> {
    const BEYOND: f64 = 18_446_744_073_709_551_616.0;
    (value.abs() < BEYOND).then_some(value.trunc() as i128)
}

const _: fn() = || {
    fn shared<T: Send + Sync>() {}
    shared::<Program>();
    shared::<Arc<Program>>();
};
