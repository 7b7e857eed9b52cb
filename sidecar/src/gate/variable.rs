//! What rules can name: one table for the compiler, for whoever reads the values, and for `docs/gate.md`.

use std::fmt;

use super::config::When;
use super::value::Val;

/// A variable, without the name that some take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the table below says what each is")]
pub enum Variable {
    Route,
    Tenant,
    UseCase,
    Role,
    Mode,
    Purpose,
    LawfulBasis,
    TimeReceived,
    TimeHour,
    TimeWeekday,
    SubjectPresent,
    CallerAddress,
    CallerWorkload,
    CallerPrincipal,
    ModelName,
    ModelTitle,
    ModelVersionRequested,
    ModelVersion,
    ModelDigest,
    ModelRegistered,
    ModelThreshold,
    InputObserved,
    InputFeature,
    InputParameter,
    InputTensorDtype,
    InputTensorShape,
    OutputLabel,
    OutputScore,
    OutputTensorDtype,
    OutputTensorShape,
    OutcomeAction,
    OutcomeAdverse,
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// How rules write it. `<name>` stands for any one name, also in brackets: `input.feature["debt ratio"]`.
    pub path: &'static str,
    /// What it is.
    pub variable: Variable,
    /// The types that it may have.
    pub types: &'static str,
    /// From when on it is known.
    pub when: When,
    /// Whether it may differ between the persons of one call; rules that name it are evaluated for each of them.
    pub per_row: bool,
    /// Where the record holds it: rules are evaluated again from there.
    pub recorded: &'static str,
    /// What it means.
    pub what: &'static str,
}

const fn known(
    path: &'static str,
    variable: Variable,
    types: &'static str,
    recorded: &'static str,
    what: &'static str,
) -> Known {
    Known { path, variable, types, when: When::Request, per_row: false, recorded, what }
}

const fn row(known: Known) -> Known {
    Known { per_row: true, ..known }
}

const fn answer(known: Known) -> Known {
    Known { when: When::Answer, ..known }
}

/// Every variable.
pub const VARIABLES: [Known; 32] = [
    known("route", Variable::Route, "string", "decision/route", "name of the route"),
    known("tenant", Variable::Tenant, "string or null", "decision/tenant", "the route's `tenant`"),
    known("use_case", Variable::UseCase, "string or null", "decision/use_case", "the route's `use_case`"),
    known(
        "role",
        Variable::Role,
        "string or null",
        "decision/mode",
        "the route's `role`: which part the system has",
    ),
    known("mode", Variable::Mode, "string", "delivery/mode", "the route's `mode`"),
    known("purpose", Variable::Purpose, "string or null", "privacy/purpose", "the route's `purpose`"),
    known(
        "lawful_basis",
        Variable::LawfulBasis,
        "string or null",
        "privacy/lawful_basis",
        "the route's `lawful_basis`",
    ),
    known(
        "time.received",
        Variable::TimeReceived,
        "int",
        "time/received",
        "when the call came, in milliseconds since 1970-01-01 UTC",
    ),
    known("time.hour", Variable::TimeHour, "int", "time/received", "the hour of that, 0 to 23, UTC"),
    known(
        "time.weekday",
        Variable::TimeWeekday,
        "int",
        "time/received",
        "its day of the week, UTC, Sunday being 0",
    ),
    row(known(
        "subject.present",
        Variable::SubjectPresent,
        "bool",
        "decision/subject",
        "whether the call says whom it is about, as the route's `subject` says",
    )),
    known("caller.address", Variable::CallerAddress, "string", "caller/address", "IP address of the caller"),
    known(
        "caller.workload",
        Variable::CallerWorkload,
        "string",
        "caller/workload",
        "what the caller's verified certificate names: its SPIFFE id, or `dns:NAME`",
    ),
    known(
        "caller.principal",
        Variable::CallerPrincipal,
        "string",
        "caller/principal",
        "the person whose token came along, `SUBJECT@ISSUER`",
    ),
    known("model.name", Variable::ModelName, "string", "model/name", "name of the model on the wire"),
    known("model.title", Variable::ModelTitle, "string", "model/title", "the route's `model.name`"),
    known(
        "model.version_requested",
        Variable::ModelVersionRequested,
        "string",
        "model/version_requested",
        "version that the caller asked for",
    ),
    answer(known(
        "model.version",
        Variable::ModelVersion,
        "string or null",
        "model/version",
        "version that answered; null where the model server does not say",
    )),
    known(
        "model.digest",
        Variable::ModelDigest,
        "string",
        "model/digest",
        "SHA-256 of the model, 64 hexadecimal digits",
    ),
    known(
        "model.registered",
        Variable::ModelRegistered,
        "bool",
        "model/registered",
        "whether that digest is the newest that the log registers under the route's name",
    ),
    known(
        "model.threshold",
        Variable::ModelThreshold,
        "double",
        "model/threshold",
        "the route's `threshold.value`",
    ),
    known(
        "input.observed",
        Variable::InputObserved,
        "string",
        "input/observed",
        "`true`, `partial` or `false`: how much of the input could be read",
    ),
    row(known(
        "input.feature.<name>",
        Variable::InputFeature,
        "bool, int, uint, double, string, bytes",
        "input/feature/<name>",
        "a column that the route names; `input.feature` alone is the list of the names",
    )),
    known(
        "input.parameter.<name>",
        Variable::InputParameter,
        "bool, int, uint, double, string",
        "input/parameter/<name>",
        "a parameter of the request; records hold those that rules name",
    ),
    known(
        "input.tensor.<name>.dtype",
        Variable::InputTensorDtype,
        "string",
        "input/tensor/<name>/dtype",
        "datatype of an input tensor, such as `FP32`",
    ),
    known(
        "input.tensor.<name>.shape",
        Variable::InputTensorShape,
        "list of int",
        "input/tensor/<name>/shape",
        "its shape",
    ),
    row(answer(known(
        "output.label",
        Variable::OutputLabel,
        "string",
        "output/label",
        "the label of the answer",
    ))),
    row(answer(known(
        "output.score.<name>",
        Variable::OutputScore,
        "double",
        "output/score/<name>",
        "the score, by the name of the route's `score.tensor`",
    ))),
    answer(known(
        "output.tensor.<name>.dtype",
        Variable::OutputTensorDtype,
        "string",
        "output/tensor/<name>/dtype",
        "datatype of an output tensor",
    )),
    answer(known(
        "output.tensor.<name>.shape",
        Variable::OutputTensorShape,
        "list of int",
        "output/tensor/<name>/shape",
        "its shape",
    )),
    row(answer(known(
        "outcome.action",
        Variable::OutcomeAction,
        "string",
        "outcome/action",
        "what the label leads to: `approve`, `deny`, ...",
    ))),
    row(answer(known(
        "outcome.adverse",
        Variable::OutcomeAdverse,
        "bool",
        "outcome/adverse",
        "whether the label is against the person",
    ))),
];

impl Known {
    /// The row of a variable.
    #[must_use]
    pub fn of(variable: Variable) -> Option<&'static Self> {
        VARIABLES.iter().find(|known| known.variable == variable)
    }

    /// Whether it is a single word, which CEL cannot ask `has()` of: it is null where it is not there.
    pub(super) fn is_plain(&self) -> bool {
        !self.path.contains('.')
    }
}

/// A variable as a rule names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) variable: Variable,
    /// The name in it, empty where it takes none.
    pub(super) name: String,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = Known::of(self.variable).map_or("", |known| known.path);
        match path.split_once("<name>") {
            None => f.write_str(path),
            Some((before, after)) if is_identifier(&self.name) => write!(f, "{before}{}{after}", self.name),
            Some((before, after)) => write!(f, "{}[{:?}]{after}", before.trim_end_matches('.'), self.name),
        }
    }
}

fn is_identifier(name: &str) -> bool {
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    begins && name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_')
}

/// What a variable stands for in one decision.
#[derive(Clone, Debug)]
pub enum Found<'a> {
    /// A value.
    Value(Val<'a>),
    /// Nothing: this decision does not have it.
    Absent,
    /// Something that cannot be known at present.
    NotYet,
    /// Something that the record does not show.
    Masked,
    /// More than a rule may work on.
    TooLong,
}

/// The names that a route gives, so that a rule with a spelling mistake is refused when it is read.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// Of the columns of input tensors.
    pub features: Vec<String>,
    /// Of the score, as it stands in paths.
    pub scores: Vec<String>,
    /// Whether answers have labels.
    pub labels: bool,
}
