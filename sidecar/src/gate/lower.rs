//! From the parser's tree to the parts that are evaluated: names are resolved, macros taken back from their expansion, functions
//! and regular expressions made sure of.

use cel::common::ast::{
    CallExpr, ComprehensionExpr, Expr, IdedExpr, ListExpr, LiteralValue, SelectExpr, operators,
};
use regex::RegexBuilder;

use super::config::When;
use super::error::Wrong;
use super::program::{Each, EachKind, Function, Node, Op, Program};
use super::value::Val;
use super::variable::{Field, Known, Names, VARIABLES, Variable};
use super::{DEPTH_MAX, NESTED_MAX, NODES_MAX};
use crate::nearest::nearest;

/// Bytes that a compiled regular expression may take.
const REGEX_BYTES_MAX: usize = 256 * 1024;

/// Where something is wrong, as the parser numbers the parts, and what.
pub(super) type Fallible<T> = Result<T, (u64, Wrong)>;

/// One rule on its way.
pub(super) struct Lowering<'n> {
    when: When,
    names: &'n Names,
    nodes: usize,
    depth: usize,
    /// The variables of the comprehensions around the present part, the innermost last.
    scope: Vec<String>,
    slots: usize,
    fields: Vec<Field>,
}

/// What a chain of names stands for.
enum Path {
    Field(Field),
    /// Some variables begin with it.
    Group,
}

impl<'n> Lowering<'n> {
    pub(super) fn new(when: When, names: &'n Names) -> Self {
        Self { when, names, nodes: 0, depth: 0, scope: Vec::new(), slots: 0, fields: Vec::new() }
    }

    pub(super) fn program(mut self, expression: &IdedExpr) -> Fallible<Program> {
        let root = self.node(expression)?;
        if let Some(gives) = not_boolean(&root) {
            return Err((expression.id, Wrong::NotBoolean { gives }));
        }
        let per_row =
            self.fields.iter().any(|field| Known::of(field.variable).is_some_and(|known| known.per_row));
        Ok(Program { root, fields: self.fields, per_row, slots: self.slots })
    }

    fn node(&mut self, expression: &IdedExpr) -> Fallible<Node> {
        let at = expression.id;
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return Err((at, Wrong::TooLarge));
        }
        if self.depth == DEPTH_MAX {
            return Err((at, Wrong::TooDeep));
        }
        self.depth += 1;
        let node = self.part(expression);
        self.depth -= 1;
        node
    }

    fn part(&mut self, expression: &IdedExpr) -> Fallible<Node> {
        let at = expression.id;
        if let Some((begins, segments)) = self.chain(expression) {
            return self.variable(begins, &segments);
        }
        match &expression.expr {
            Expr::Literal(literal) => Ok(Node::Const(constant(literal))),
            Expr::Ident(name) => match self.scope.iter().rposition(|known| known == name) {
                Some(slot) => Ok(Node::Slot(slot)),
                None => Err((at, self.unknown(name))),
            },
            Expr::List(ListExpr { elements, optional_indices }) if optional_indices.is_empty() => {
                let items: Vec<Node> =
                    elements.iter().map(|item| self.node(item)).collect::<Fallible<_>>()?;
                Ok(folded(items))
            }
            Expr::Select(select) => self.select(at, select),
            Expr::Call(call) => self.call(at, call),
            Expr::Comprehension(comprehension) => self.comprehension(at, comprehension),
            Expr::List(_) => Err((at, unsupported("an optional item"))),
            Expr::Map(_) => Err((at, unsupported("a map"))),
            Expr::Struct(_) => Err((at, unsupported("a message"))),
            Expr::Unspecified => Err((at, unsupported("nothing"))),
        }
    }

    /// Where a chain such as `input.feature["debt ratio"]` begins, and its names, if it begins with no variable of a comprehension.
    fn chain(&self, expression: &IdedExpr) -> Option<(u64, Vec<String>)> {
        let (mut segments, mut part) = (Vec::new(), expression);
        loop {
            if segments.len() > DEPTH_MAX {
                return None;
            }
            match &part.expr {
                Expr::Ident(name) if !self.scope.contains(name) => {
                    segments.push(name.clone());
                    segments.reverse();
                    return Some((part.id, segments));
                }
                Expr::Select(SelectExpr { operand, field, test: false }) => {
                    segments.push(field.clone());
                    part = operand;
                }
                Expr::Call(CallExpr { func_name, target: None, args }) if func_name == operators::INDEX => {
                    let [list, place] = args.as_slice() else { return None };
                    let Expr::Literal(LiteralValue::String(name)) = &place.expr else { return None };
                    segments.push(name.inner().to_owned());
                    part = list;
                }
                _ => return None,
            }
        }
    }

    fn variable(&mut self, at: u64, segments: &[String]) -> Fallible<Node> {
        match self.resolve(at, segments)? {
            Path::Field(field) => Ok(Node::Field(self.named(field))),
            Path::Group if is_features(segments) => Ok(self.feature_names()),
            Path::Group => Err((at, self.group(segments))),
        }
    }

    /// What a chain of names stands for, at the time of this rule and on this route.
    fn resolve(&self, at: u64, segments: &[String]) -> Fallible<Path> {
        let written = || segments.join(".");
        let fits = |known: &&Known| {
            let pattern = known.path.split('.');
            pattern.clone().count() == segments.len()
                && pattern.zip(segments).all(|(wanted, segment)| wanted == "<name>" || wanted == segment)
        };
        let Some(known) = VARIABLES.iter().find(fits) else {
            let begins = |known: &Known| {
                let mut pattern = known.path.split('.');
                segments.iter().all(|segment| {
                    pattern.next().is_some_and(|wanted| wanted == "<name>" || wanted == segment)
                })
            };
            return if VARIABLES.iter().any(begins) {
                Ok(Path::Group)
            } else {
                Err((at, self.unknown(&written())))
            };
        };
        if known.when == When::Answer && self.when == When::Request {
            return Err((at, Wrong::TooEarly { name: written() }));
        }
        let takes = known.path.split('.').position(|segment| segment == "<name>");
        let name = takes.and_then(|place| segments.get(place)).cloned().unwrap_or_default();
        if !self.has(known.variable, &name) {
            return Err((at, self.unknown(&written())));
        }
        Ok(Path::Field(Field { variable: known.variable, name }))
    }

    /// Whether the route can have it.
    fn has(&self, variable: Variable, name: &str) -> bool {
        let among = |names: &[String]| names.iter().any(|known| known == name);
        match variable {
            Variable::InputFeature => among(&self.names.features),
            Variable::OutputScore => among(&self.names.scores),
            Variable::OutputLabel | Variable::OutcomeAdverse => self.names.labels,
            Variable::OutcomeAction => self.names.labels || !self.names.scores.is_empty(),
            _ => true,
        }
    }

    fn unknown(&self, written: &str) -> Wrong {
        let each = |known: &Known| -> Vec<String> {
            let names: &[String] = match known.variable {
                Variable::InputFeature => &self.names.features,
                Variable::OutputScore => &self.names.scores,
                _ if known.path.contains("<name>") || !self.has(known.variable, "") => return Vec::new(),
                _ => return vec![known.path.to_owned()],
            };
            let field = |name: &String| Field { variable: known.variable, name: name.clone() }.to_string();
            names.iter().map(field).collect()
        };
        let known: Vec<String> = VARIABLES.iter().flat_map(each).collect();
        let name: String = written.chars().take(128).collect();
        let nearest = nearest(&name, known.iter().map(String::as_str)).map(str::to_owned);
        Wrong::Unknown { nearest, name }
    }

    fn group(&self, segments: &[String]) -> Wrong {
        let name = segments.join(".");
        let example = VARIABLES.iter().find_map(|known| known.path.strip_prefix(&format!("{name}.")));
        Wrong::Group { example: example.unwrap_or("...").to_owned(), name }
    }

    fn named(&mut self, field: Field) -> Field {
        if !self.fields.contains(&field) {
            self.fields.push(field.clone());
        }
        field
    }

    fn feature_names(&self) -> Node {
        let names = self.names.features.iter().map(|name| Val::Text(name.clone().into()));
        Node::Const(Val::List(names.collect::<Vec<_>>().into()))
    }

    /// `has(...)`, or a field of something that has none.
    fn select(&mut self, at: u64, select: &SelectExpr) -> Fallible<Node> {
        let Some((at, mut segments)) = self.chain(&select.operand).filter(|_| select.test) else {
            return Err((at, unsupported(&format!("the field {:?} of a value", select.field))));
        };
        segments.push(select.field.clone());
        match self.resolve(at, &segments)? {
            Path::Field(field) => Ok(Node::Has(self.named(field))),
            Path::Group => Err((at, self.group(&segments))),
        }
    }

    fn pair(&mut self, args: &[IdedExpr]) -> Fallible<Option<Box<[Node; 2]>>> {
        let [one, other] = args else { return Ok(None) };
        Ok(Some(Box::new([self.node(one)?, self.node(other)?])))
    }

    fn call(&mut self, at: u64, call: &CallExpr) -> Fallible<Node> {
        let name = call.func_name.as_str();
        let refused = || (at, unsupported(&format!("the function {name:?} with these arguments")));
        if call.target.is_none() {
            if let Some(op) = binary(name) {
                return self.pair(&call.args)?.map(|pair| Node::Binary(op, pair)).ok_or_else(refused);
            }
            match (name, call.args.as_slice()) {
                (operators::LOGICAL_AND, args) => {
                    return self.pair(args)?.map(Node::And).ok_or_else(refused);
                }
                (operators::LOGICAL_OR, args) => {
                    return self.pair(args)?.map(Node::Or).ok_or_else(refused);
                }
                (operators::LOGICAL_NOT, [inner]) => return Ok(Node::Not(Box::new(self.node(inner)?))),
                (operators::NEGATE, [inner]) => return Ok(Node::Negate(Box::new(self.node(inner)?))),
                (operators::CONDITIONAL, [test, one, other]) => {
                    let parts = [self.node(test)?, self.node(one)?, self.node(other)?];
                    return Ok(Node::Cond(Box::new(parts)));
                }
                (operators::IN, [item, list]) => return self.within(item, list),
                (operators::INDEX, [list, place]) => return self.index(list, place),
                _ => {}
            }
        }
        let arguments: Vec<&IdedExpr> = call.target.as_deref().into_iter().chain(&call.args).collect();
        let function = match (name, arguments.as_slice(), call.target.is_some()) {
            ("matches", [text, regex], _) => return self.matches(text, regex),
            ("size", [_], _) => Function::Size,
            ("startsWith", [_, _], true) => Function::StartsWith,
            ("endsWith", [_, _], true) => Function::EndsWith,
            ("contains", [_, _], true) => Function::Contains,
            ("int", [_], false) => Function::Int,
            ("uint", [_], false) => Function::Uint,
            ("double", [_], false) => Function::Double,
            ("string", [_], false) => Function::Text,
            _ => return Err(refused()),
        };
        let arguments = arguments.into_iter().map(|argument| self.node(argument)).collect::<Fallible<_>>()?;
        Ok(Node::Call(function, arguments))
    }

    /// `item in list`; with a literal before a group of variables, `has()`.
    fn within(&mut self, item: &IdedExpr, list: &IdedExpr) -> Fallible<Node> {
        if let (Expr::Literal(LiteralValue::String(name)), Some((at, mut segments))) =
            (&item.expr, self.chain(list))
        {
            segments.push(name.inner().to_owned());
            if let Ok(Path::Field(field)) = self.resolve(at, &segments) {
                return Ok(Node::Has(self.named(field)));
            }
        }
        Ok(Node::In(Box::new([self.node(item)?, self.node(list)?])))
    }

    /// `list[place]`; before the group of features a name that is computed.
    fn index(&mut self, list: &IdedExpr, place: &IdedExpr) -> Fallible<Node> {
        if self.chain(list).is_some_and(|(_, segments)| is_features(&segments)) {
            let key = self.node(place)?;
            self.named(Field { variable: Variable::InputFeature, name: "...".to_owned() });
            return Ok(Node::Keyed(Variable::InputFeature, Box::new(key)));
        }
        Ok(Node::Index(Box::new([self.node(list)?, self.node(place)?])))
    }

    fn matches(&mut self, text: &IdedExpr, regex: &IdedExpr) -> Fallible<Node> {
        let Expr::Literal(LiteralValue::String(pattern)) = &regex.expr else {
            return Err((regex.id, Wrong::Regex { why: "must be written out in the rule" }));
        };
        let built = RegexBuilder::new(pattern.inner()).size_limit(REGEX_BYTES_MAX).nest_limit(32).build();
        let why = |error: &regex::Error| match error {
            regex::Error::CompiledTooBig(_) => "is too large once compiled: repeat less",
            _ => "is not one (RE2 syntax)",
        };
        let built = built.map_err(|error| (regex.id, Wrong::Regex { why: why(&error) }))?;
        Ok(Node::Matches(Box::new(self.node(text)?), Box::new(built)))
    }

    /// Takes a macro back from what the parser expands it to.
    fn comprehension(&mut self, at: u64, expanded: &ComprehensionExpr) -> Fallible<Node> {
        let refused = || (at, unsupported("this comprehension"));
        if self.scope.len() == NESTED_MAX {
            return Err((at, Wrong::TooNested));
        }
        let (kind, test, element) = macro_parts(expanded).ok_or_else(refused)?;
        let range = self.node(&expanded.iter_range)?;
        let slot = self.scope.len();
        self.scope.push(expanded.iter_var.clone());
        self.slots = self.slots.max(self.scope.len());
        let test = test.map(|test| self.node(test)).transpose();
        let element = element.map(|element| self.node(element)).transpose();
        self.scope.pop();
        Ok(Node::Each(Box::new(Each { kind, range, slot, test: test?, element: element? })))
    }
}

type MacroParts<'e> = (EachKind, Option<&'e IdedExpr>, Option<&'e IdedExpr>);

/// What `all`, `exists`, `exists_one`, `map` and `filter` were given: what is asked of each item, and what it becomes.
fn macro_parts(expanded: &ComprehensionExpr) -> Option<MacroParts<'_>> {
    let call = |expression: &'_ IdedExpr, name: &str| -> bool {
        matches!(&expression.expr, Expr::Call(call) if call.func_name == name && call.target.is_none())
    };
    fn arguments(expression: &IdedExpr) -> &[IdedExpr] {
        match &expression.expr {
            Expr::Call(call) => &call.args,
            _ => &[],
        }
    }
    let step = &expanded.loop_step;
    let added = |added: &'_ IdedExpr| call(added, operators::ADD);
    match &expanded.accu_init.expr {
        Expr::Literal(LiteralValue::Boolean(all)) => {
            let all = *all.inner();
            let (kind, name) = if all {
                (EachKind::All, operators::LOGICAL_AND)
            } else {
                (EachKind::Exists, operators::LOGICAL_OR)
            };
            let [_, test] = arguments(step) else { return None };
            call(step, name).then_some((kind, Some(test), None))
        }
        Expr::Literal(LiteralValue::Int(_)) => {
            let [test, _, _] = arguments(step) else { return None };
            call(step, operators::CONDITIONAL).then_some((EachKind::ExistsOne, Some(test), None))
        }
        Expr::List(_) => {
            let (test, addition) = match arguments(step) {
                [test, addition, _] if call(step, operators::CONDITIONAL) => (Some(test), addition),
                _ => (None, step),
            };
            let [_, list] = arguments(addition) else { return None };
            let Expr::List(ListExpr { elements, .. }) = &list.expr else { return None };
            let [element] = elements.as_slice() else { return None };
            added(addition).then_some((EachKind::Collect, test, Some(element)))
        }
        _ => None,
    }
}

fn is_features(segments: &[String]) -> bool {
    matches!(segments, [input, feature] if input == "input" && feature == "feature")
}

fn unsupported(what: &str) -> Wrong {
    Wrong::Unsupported {
        what: what.chars().map(|c| if c.is_control() { ' ' } else { c }).take(128).collect(),
    }
}

fn constant(literal: &LiteralValue) -> Val<'static> {
    match literal {
        LiteralValue::Null => Val::Null,
        LiteralValue::Boolean(value) => Val::Bool(*value.inner()),
        LiteralValue::Int(value) => Val::Int(*value.inner()),
        LiteralValue::UInt(value) => Val::Uint(*value.inner()),
        LiteralValue::Double(value) => Val::Double(*value.inner()),
        LiteralValue::String(value) => Val::Text(value.inner().to_owned().into()),
        LiteralValue::Bytes(value) => Val::Bytes(value.inner().to_vec().into()),
    }
}

/// A list whose items are all written out is made once.
fn folded(items: Vec<Node>) -> Node {
    if !items.iter().all(|item| matches!(item, Node::Const(_))) {
        return Node::List(items);
    }
    let constants = items.into_iter().filter_map(|item| match item {
        Node::Const(value) => Some(value),
        _ => None,
    });
    Node::Const(Val::List(constants.collect::<Vec<_>>().into()))
}

fn binary(name: &str) -> Option<Op> {
    Some(match name {
        operators::EQUALS => Op::Equal,
        operators::NOT_EQUALS => Op::Unequal,
        operators::LESS => Op::Less,
        operators::LESS_EQUALS => Op::LessEqual,
        operators::GREATER => Op::Greater,
        operators::GREATER_EQUALS => Op::GreaterEqual,
        operators::ADD => Op::Add,
        operators::SUBSTRACT => Op::Subtract,
        operators::MULTIPLY => Op::Multiply,
        operators::DIVIDE => Op::Divide,
        operators::MODULO => Op::Modulo,
        _ => return None,
    })
}

/// What a rule gives that can be nothing true or false; nothing where that cannot be told beforehand.
fn not_boolean(root: &Node) -> Option<&'static str> {
    match root {
        Node::Const(Val::Bool(_)) => None,
        Node::Const(value) => Some(value.type_name()),
        Node::List(_) => Some("list"),
        Node::Negate(_) => Some("a number"),
        Node::Binary(Op::Add | Op::Subtract | Op::Multiply | Op::Divide | Op::Modulo, _) => {
            Some("a number or text")
        }
        Node::Call(function, _) => match function {
            Function::StartsWith | Function::EndsWith | Function::Contains => None,
            Function::Text => Some("string"),
            _ => Some("a number"),
        },
        Node::Each(each) if each.kind == EachKind::Collect => Some("list"),
        Node::Cond(parts) => {
            let [_, one, other] = parts.as_ref();
            not_boolean(one).or_else(|| not_boolean(other))
        }
        Node::Field(field) => match Known::of(field.variable).map(|known| known.types) {
            Some(types @ ("string" | "string or null" | "int" | "double" | "list of int")) => Some(types),
            _ => None,
        },
        _ => None,
    }
}
