//! What templates know: the record's facts in words, and the caller's data.
//!
//! Guarantees: a fact that the record does not have is not there; text of the record hides nothing. A later entry's value stands in
//! the place of the decision's own.

use ledgerstone::encoding::hex_encode;
use ledgerstone::entry::Kind as EntryKind;
use ledgerstone::record::schema::{self, DECISION_ID, MODEL_NAME, MODEL_TITLE, MODEL_VERSION};
use ledgerstone::record::{FieldPath, Record, Value};
use ledgerstone::time::{Date, UnixMillis};
use serde::Serialize;
use serde_json::{Map, Value as Json};

use super::reasons::{self, Chosen, Shown};
use super::words::{Words, visible};
use super::{About, NoticeError, Request, Told};

/// Everything that a template may name.
#[derive(Debug, Serialize)]
pub(super) struct Facts {
    date: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<Decision>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<Model>,
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<Score>,
    pub(super) reasons: Vec<Shown>,
    pub(super) reasons_left_out: usize,
    features: Vec<Named>,
    counterfactuals: Vec<String>,
    reviews: Vec<Review>,
    #[serde(skip_serializing_if = "Option::is_none")]
    review: Option<Review>,
    data: Map<String, Json>,
}

#[derive(Debug, Serialize)]
struct Decision {
    id: String,
    date: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<String>,
    adverse: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    amount: Option<String>,
}

#[derive(Debug, Serialize)]
struct Model {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
}

#[derive(Debug, Serialize)]
struct Score {
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    low: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    high: Option<String>,
    date: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    factors: Vec<String>,
    inquiries: bool,
}

#[derive(Debug, Serialize)]
struct Named {
    name: String,
    value: String,
}

#[derive(Clone, Debug, Serialize)]
struct Review {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    date: Option<String>,
}

const OUTCOME_ACTION: FieldPath = schema::OUTCOME_ACTION;

/// Most factors of a score that FCRA 605(f)(2)(B) lets a notice name, without inquiries.
const FACTORS_MAX: usize = 4;

/// The facts for a notice.
pub(super) fn gather(request: &Request<'_>) -> Result<Facts, NoticeError> {
    let history = History { told: request.told, row: request.row };
    let words = Words::new(request.language, request.kind.paper);
    history.check_row()?;
    let own = history.own();
    let decided = own.map(|told| history.decided_on(told));
    let is_adverse = history.value(&schema::OUTCOME_ADVERSE) == Some(&Value::Bool(true));
    let reviews = history.reviews(words);
    check_decision(request, own.is_some(), is_adverse, !reviews.is_empty())?;
    let chosen = match &request.kind.reasons {
        Some(rule) => reasons::choose(&history, rule, is_adverse, request.data)?,
        None => Chosen::default(),
    };
    let score = decided.and_then(|date| score(&history, request, words, date).transpose()).transpose()?;
    Ok(Facts {
        date: words.day(request.date),
        decision: own.zip(decided).map(|(told, date)| Decision {
            id: history.text_of(&told.record, &DECISION_ID).unwrap_or_default(),
            date: words.day(date),
            action: history.text(&OUTCOME_ACTION),
            adverse: is_adverse,
            label: history.text(&schema::OUTPUT_LABEL),
            amount: history.value(&schema::OUTCOME_AMOUNT).and_then(|value| printed(value, words)),
        }),
        model: history
            .text(&MODEL_TITLE)
            .or_else(|| history.text(&MODEL_NAME))
            .map(|name| Model { name, version: history.text(&MODEL_VERSION) }),
        score: score.map(|score| with_factors(score, &chosen)),
        features: history.features(words, request),
        counterfactuals: history.list("explanation/counterfactual/", words),
        review: reviews.last().cloned(),
        reviews,
        reasons: chosen.shown,
        reasons_left_out: chosen.left_out,
        data: request.data.table().clone(),
    })
}

fn check_decision(
    request: &Request<'_>,
    is_there: bool,
    is_adverse: bool,
    is_reviewed: bool,
) -> Result<(), NoticeError> {
    let what = match request.kind.about {
        About::None => return Ok(()),
        _ if !is_there => "this notice is about a decision: name it with --decision",
        About::Adverse if !is_adverse => {
            "the log does not say that this decision is against the person (outcome/adverse): such a notice would be wrong; where \
             it is, add an outcome entry first"
        }
        About::Reviewed if !is_reviewed => "nobody reviewed this decision: add a review entry first",
        About::Adverse | About::Any | About::Reviewed => return Ok(()),
    };
    Err(NoticeError::Decision { what })
}

/// The credit score that the notice tells: its value from the record, the rest from the caller.
fn score(
    history: &History<'_>,
    request: &Request<'_>,
    words: Words<'_>,
    decided: Date,
) -> Result<Option<Score>, NoticeError> {
    let Some(table) = request.data.table().get("credit_score") else { return Ok(None) };
    let wrong = |what: &str| NoticeError::Data { what: format!("credit_score.{what}") };
    let text = |key: &str| request.data.text_in("credit_score", key).map(str::to_owned);
    let path = text("record").ok_or_else(|| wrong("record is missing: the field that holds the score"))?;
    let path = FieldPath::parse(&path).ok().filter(|path| {
        path.as_str().starts_with("output/score/") || path.as_str().starts_with("input/feature/")
    });
    let path =
        path.ok_or_else(|| wrong("record is no path of a score: output/score/NAME or input/feature/NAME"))?;
    let factors = match table.get("factors") {
        None => Vec::new(),
        Some(Json::Array(factors)) if factors.len() <= FACTORS_MAX => {
            factors.iter().filter_map(Json::as_str).map(str::to_owned).collect()
        }
        Some(_) => return Err(wrong("factors is no list of at most four texts")),
    };
    let date = match text("date") {
        None => decided,
        Some(date) => Date::parse(&date).ok_or_else(|| wrong("date is no day: write YYYY-MM-DD"))?,
    };
    Ok(Some(Score {
        value: history.value(&path).and_then(|value| printed(value, words)),
        low: text("low"),
        high: text("high"),
        date: words.day(date),
        source: text("source"),
        factors,
        inquiries: table.get("inquiries") == Some(&Json::Bool(true)),
    }))
}

/// A score without factors of its own is the model's: what led to the decision are its factors.
fn with_factors(mut score: Score, chosen: &Chosen) -> Score {
    if score.factors.is_empty() {
        score.factors = chosen.shown.iter().take(FACTORS_MAX).map(|shown| shown.said.clone()).collect();
    }
    score
}

/// A value for a reader; `None` if there is nothing to read.
fn printed(value: &Value, words: Words<'_>) -> Option<String> {
    match value {
        Value::Null | Value::Bytes(_) => None,
        Value::Bool(truth) => Some(words.truth(*truth).to_owned()),
        Value::Int(number) => Some(number.to_string()),
        Value::Float(number) => Some(words.number(*number)),
        Value::Text(text) if text.trim().is_empty() => None,
        Value::Text(text) => Some(visible(text.trim())),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().filter_map(|item| printed(item, words)).collect();
            (!items.is_empty()).then(|| items.join(", "))
        }
    }
}

/// A decision with what was added to it, as it is for one person.
#[derive(Clone, Copy, Debug)]
pub(super) struct History<'a> {
    told: &'a [Told],
    row: Option<u32>,
}

impl<'a> History<'a> {
    fn own(&self) -> Option<&'a Told> {
        self.told.iter().find(|told| told.kind == EntryKind::Decision)
    }

    /// The day of the decision, UTC: when it stood, else when the log took it.
    fn decided_on(&self, own: &Told) -> Date {
        let millis = match own.record.value(&schema::TIME_DECIDED) {
            Some(Value::Int(millis)) => u64::try_from(*millis).ok().map(UnixMillis::new),
            _ => None,
        };
        Date::of(millis.unwrap_or(own.recorded_at))
    }

    /// The newest value at a path, that of the row before that of all.
    pub(super) fn value(&self, path: &FieldPath) -> Option<&'a Value> {
        self.told.iter().rev().find_map(|told| self.value_of(&told.record, path))
    }

    pub(super) fn value_of<'r>(&self, record: &'r Record, path: &FieldPath) -> Option<&'r Value> {
        let row = self.row.and_then(|row| path.place(row).ok());
        row.and_then(|path| record.value(&path)).or_else(|| record.value(path))
    }

    /// The newest value at a path, if it is text that says something.
    fn text(&self, path: &FieldPath) -> Option<String> {
        self.value(path).and_then(text)
    }

    pub(super) fn text_of(&self, record: &Record, path: &FieldPath) -> Option<String> {
        self.value_of(record, path).and_then(text)
    }

    /// The newest entry that says something below `prefix`.
    pub(super) fn newest(&self, prefix: &str) -> Option<&'a Record> {
        let says =
            |told: &&Told| told.record.fields().iter().any(|field| field.path.as_str().starts_with(prefix));
        self.told.iter().rev().find(says).map(|told| &told.record)
    }

    /// The score, if the record has no other.
    pub(super) fn only_score(&self) -> Option<f64> {
        let fields = self.own()?.record.fields().iter();
        let mut scores = fields.filter_map(|field| {
            let rest = field.path.as_str().strip_prefix("output/score/")?;
            let is_mine = rest.split_once('/').map_or(self.row.is_none(), |(_, place)| {
                self.row.is_some_and(|row| place == format!("[{row}]"))
            });
            match field.value {
                Value::Float(score) if is_mine => Some(score),
                _ => None,
            }
        });
        scores.next().filter(|_| scores.next().is_none())
    }

    /// Refuses a call about several people without a row, or with one that it does not have.
    fn check_row(&self) -> Result<(), NoticeError> {
        let Some(own) = self.own() else { return Ok(()) };
        let rows = own.record.fields().iter().filter_map(|field| {
            let (whole, place) = field.path.as_str().rsplit_once("/[")?;
            let has_rows = schema::find(&field.path)?.pattern.ends_with("/[n]")
                && FieldPath::parse(whole).is_ok_and(|whole| schema::find(&whole).is_some());
            place.strip_suffix(']')?.parse::<u32>().ok().filter(|_| has_rows)
        });
        let Some(last) = rows.max() else { return Ok(()) };
        match self.row {
            Some(row) if row <= last => Ok(()),
            _ => Err(NoticeError::Row { rows: last.saturating_add(1) }),
        }
    }

    /// Whether the notice is about the person in that row.
    pub(super) fn is_row(&self, row: &str) -> bool {
        self.row.is_some_and(|mine| mine.to_string() == row)
    }

    /// The values of a list.
    fn list(&self, prefix: &str, words: Words<'_>) -> Vec<String> {
        let Some(record) = self.newest(prefix) else { return Vec::new() };
        let path = |place: u32| FieldPath::parse(&format!("{prefix}[{place}]")).ok();
        let values = (0..).map_while(|place| record.value(&path(place)?));
        values.filter_map(|value| printed(value, words)).collect()
    }

    /// What the model was told about the person, by the names that the caller gives the features, else by those of the route.
    fn features(&self, words: Words<'_>, request: &Request<'_>) -> Vec<Named> {
        let Some(own) = self.own() else { return Vec::new() };
        let mut features = Vec::new();
        for field in own.record.fields() {
            let path = field.path.as_str();
            let Some(rest) = path.strip_prefix("input/feature/") else { continue };
            let mut parts = rest.split('/').peekable();
            let Some(name) = parts.next() else { continue };
            let row = parts.next_if(|part| part.starts_with('['));
            let is_mine = row.is_none_or(|row| self.row.is_some_and(|mine| row == format!("[{mine}]")));
            let name = FieldPath::parse(&format!("input/feature/{name}")).ok().and_then(|path| path.name());
            // What was too long to be recorded stands there as digest and size.
            let value = match (parts.next(), &field.value) {
                (None, value) => printed(value, words),
                (Some("digest"), Value::Bytes(digest)) => Some(format!("SHA-256 {}", hex_encode(digest))),
                (Some(_), _) => None,
            };
            let (Some(name), Some(value), true) = (name, value, is_mine) else { continue };
            let given = request.data.text_in("feature_names", &name).map(str::to_owned);
            features.push(Named { name: given.unwrap_or_else(|| visible(&name)), value });
        }
        let prompt = request.data.text_in("feature_names", "prompt").unwrap_or("prompt");
        let prompts = self.list("input/prompt/", words).into_iter();
        features.extend(prompts.map(|value| Named { name: prompt.to_owned(), value }));
        features
    }

    /// Reviews by persons, in the log's order.
    fn reviews(&self, words: Words<'_>) -> Vec<Review> {
        let mut reviews = Vec::new();
        for told in self.told.iter().filter(|told| told.kind == EntryKind::Review) {
            for place in 0.. {
                let value = |part: &str| {
                    told.record.value(&FieldPath::parse(&format!("review/[{place}]/{part}")).ok()?)
                };
                if value("action").is_none() {
                    break;
                }
                let day = |value: &Value| match value {
                    Value::Int(millis) => u64::try_from(*millis).ok().map(|at| Date::of(UnixMillis::new(at))),
                    _ => None,
                };
                reviews.push(Review {
                    role: value("role").and_then(text),
                    action: value("action").and_then(text),
                    reason: value("reason").and_then(text),
                    date: value("at").and_then(day).map(|date| words.day(date)),
                });
            }
        }
        reviews
    }
}

/// Text that says something, with what is hidden in it as a mark.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) if !text.trim().is_empty() => Some(visible(text.trim())),
        _ => None,
    }
}
