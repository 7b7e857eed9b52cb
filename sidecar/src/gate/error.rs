//! Why a rule was refused before anything was decided by it.

use ledgerstone::code::Code;

use super::{DEPTH_MAX, MESSAGE_BYTES_MAX, NESTED_MAX, NODES_MAX, PARAMETERS_MAX, RULE_BYTES_MAX, RULES_MAX};

/// Why the rules of a route were refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GateError {
    /// A name that is empty, too long or has other characters.
    #[error("rule name {name:?}: use 1 to 64 characters of a-z, 0-9, '.', '_' and '-'")]
    Name {
        /// Its beginning.
        name: String,
    },
    /// Two rules have one name.
    #[error("two rules are named {rule:?}: give each its own name, because records refer to it")]
    Twice {
        /// The name.
        rule: String,
    },
    /// Too many rules.
    #[error("{count} rules; a route has at most {RULES_MAX}: join some with &&")]
    TooMany {
        /// How many there are.
        count: usize,
    },
    /// Too many parameters.
    #[error(
        "the rules name {count} parameters of requests, which records hold; at most {PARAMETERS_MAX} may be named"
    )]
    TooManyParameters {
        /// How many there are.
        count: usize,
    },
    /// A message that cannot be shown.
    #[error(
        "rule {rule:?}: `message` is 1 to {MESSAGE_BYTES_MAX} bytes of printable text on one line, or left out"
    )]
    Message {
        /// The rule.
        rule: String,
    },
    /// A rule that does not compile.
    #[error("rule {rule:?}, {source}")]
    Rule {
        /// The rule.
        rule: String,
        /// Where and why.
        source: RuleError,
    },
}

impl GateError {
    /// What the reader must do about it.
    #[must_use]
    pub const fn code(&self) -> Code {
        Code::Misuse
    }
}

/// Why a text is not a rule. Lines and columns are counted from 1, columns in characters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {what}")]
pub struct RuleError {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
    /// What is wrong there.
    pub what: Wrong,
}

/// What is wrong with a rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Wrong {
    /// Nothing is written there.
    #[error("the rule is empty: write what must hold")]
    Empty,
    /// More bytes than are read.
    #[error("the rule is longer than {RULE_BYTES_MAX} bytes: split it into several rules")]
    TooLong,
    /// The text is not CEL.
    #[error("this is not CEL: {said}")]
    Syntax {
        /// What the parser said, on one line.
        said: String,
    },
    /// Something of CEL that is not evaluated here.
    #[error("{what} cannot be used in a rule; docs/gate.md lists what can")]
    Unsupported {
        /// What it is.
        what: String,
    },
    /// A name that nothing stands for.
    #[error("{name} is no variable of this route{}", advice(.nearest.as_deref()))]
    Unknown {
        /// The name as written.
        name: String,
        /// What was most likely meant.
        nearest: Option<String>,
    },
    /// A group of variables where one of them must stand.
    #[error("{name} is a group of variables: say which one, such as {name}.{example}")]
    Group {
        /// The group.
        name: String,
        /// One of them.
        example: String,
    },
    /// Known only once the model has answered.
    #[error("{name} is known once the model has answered: write when = \"answer\"")]
    TooEarly {
        /// The variable.
        name: String,
    },
    /// Something that has a value of another type.
    #[error("a rule says yes or no, and this gives {gives}: compare it with something")]
    NotBoolean {
        /// What it gives.
        gives: &'static str,
    },
    /// Parts within parts.
    #[error("parts nest deeper than {DEPTH_MAX}: split the rule")]
    TooDeep,
    /// Too many parts.
    #[error("the rule has more than {NODES_MAX} parts: split it into several rules")]
    TooLarge,
    /// `all` within `exists` within ...
    #[error("all, exists, exists_one, map and filter nest deeper than {NESTED_MAX}")]
    TooNested,
    /// A regular expression that cannot be used.
    #[error("the regular expression {why}")]
    Regex {
        /// Why not.
        why: &'static str,
    },
}

fn advice(nearest: Option<&str>) -> String {
    match nearest {
        Some(nearest) => format!("; did you mean {nearest}?"),
        None => "; docs/gate.md lists them".to_owned(),
    }
}
