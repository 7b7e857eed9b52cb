//! Reasons of a notice: which of the recorded ones, how many, and in which words.
//!
//! Guarantees: every reason is one of the record, those that weighed most first; one that points the other way is not given as a
//! reason against the person; one without words, or with words that the rule calls insufficient, is refused.

use std::cmp::Ordering;

use ledgerstone::record::schema::{self, ReasonPart};
use ledgerstone::record::{Record, Value};
use serde::Serialize;

use super::facts::{History, text};
use super::kind::ReasonsRule;
use super::{Data, NoticeError};

/// The reasons that a notice shows.
#[derive(Debug, Default)]
pub(super) struct Chosen {
    pub(super) shown: Vec<Shown>,
    /// How many more there are.
    pub(super) left_out: usize,
}

/// One reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Shown {
    /// In the words of the notice.
    pub(super) said: String,
    /// As it was recorded, where the notice says it in other words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) recorded: Option<String>,
}

#[derive(Debug)]
struct Reason {
    place: u32,
    code: Option<String>,
    text: Option<String>,
    feature: Option<String>,
    contribution: Option<f64>,
    side: Option<Ordering>,
}

/// Chooses among the reasons of the newest entry that has any.
pub(super) fn choose(
    history: &History<'_>,
    rule: &ReasonsRule,
    is_adverse: bool,
    data: &Data,
) -> Result<Chosen, NoticeError> {
    let mut reasons =
        history.newest("explanation/reason/").map_or_else(Vec::new, |record| read(history, record));
    if rule.only_against && is_adverse && reasons.iter().any(|reason| reason.side.is_some()) {
        let against = against(history, data)?.ok_or(NoticeError::Side)?;
        reasons.retain(|reason| reason.side.is_none_or(|side| side == against));
    }
    // Only where each has a weight is there an order other than that of the record.
    if reasons.iter().all(|reason| reason.contribution.is_some()) {
        let weight = |reason: &Reason| reason.contribution.unwrap_or_default().abs();
        reasons.sort_by(|a, b| weight(b).total_cmp(&weight(a)));
    }
    let mut shown: Vec<Shown> = Vec::new();
    let mut wordless = Vec::new();
    for reason in reasons {
        match reason.shown(data) {
            Ok(one) if shown.contains(&one) => {}
            Ok(one) => shown.push(one),
            Err(name) => wordless.push((shown.len() + wordless.len(), name)),
        }
    }
    // One that would be left out anyway needs no words.
    let wordless: Vec<String> =
        wordless.into_iter().filter(|(place, _)| *place < rule.most).map(|(_, name)| name).collect();
    if !wordless.is_empty() {
        return Err(NoticeError::Wordless { reasons: wordless });
    }
    let left_out = shown.len().saturating_sub(rule.most);
    shown.truncate(rule.most);
    let is_insufficient = |shown: &&Shown| is_insufficient(shown, &rule.insufficient);
    let insufficient: Vec<String> =
        shown.iter().filter(is_insufficient).map(|shown| shown.said.clone()).collect();
    if insufficient.is_empty() {
        Ok(Chosen { shown, left_out })
    } else {
        Err(NoticeError::Insufficient { reasons: insufficient })
    }
}

fn read(history: &History<'_>, record: &Record) -> Vec<Reason> {
    let reason = |place: u32| {
        let part = |part| history.value_of(record, &schema::reason(place, part));
        let contribution = match part(ReasonPart::Contribution) {
            Some(Value::Float(contribution)) if !contribution.is_nan() => Some(*contribution),
            _ => None,
        };
        let said = part(ReasonPart::Direction).and_then(text);
        let side = match (contribution, said.as_deref()) {
            (Some(contribution), _) => contribution.partial_cmp(&0.0),
            (None, Some("up")) => Some(Ordering::Greater),
            (None, Some("down")) => Some(Ordering::Less),
            (None, Some("none")) => Some(Ordering::Equal),
            (None, _) => None,
        };
        Reason {
            place,
            code: part(ReasonPart::Code).and_then(text),
            text: part(ReasonPart::Text).and_then(text),
            feature: part(ReasonPart::Feature).and_then(text),
            contribution,
            side,
        }
    };
    // With rows, some have fewer reasons than others. What was too long to be recorded is there, too, without words.
    let is_mine = |place: u32| {
        let begins = format!("explanation/reason/[{place}]/");
        let parts =
            record.fields().iter().filter_map(|field| field.path.as_str().strip_prefix(begins.as_str()));
        let mut rows = parts.map(|part| part.split_once("/[").and_then(|(_, row)| row.split(']').next()));
        rows.any(|row| row.is_none_or(|row| history.is_row(row)))
    };
    let count = (0..).take_while(|place| {
        let begins = format!("explanation/reason/[{place}]/");
        record.fields().iter().any(|field| field.path.as_str().starts_with(&begins))
    });
    count.filter(|place| is_mine(*place)).map(reason).collect()
}

/// Which side is against the person: what the caller says, else what score and threshold of an adverse decision say.
fn against(history: &History<'_>, data: &Data) -> Result<Option<Ordering>, NoticeError> {
    match data.text("against") {
        Some("up") => return Ok(Some(Ordering::Greater)),
        Some("down") => return Ok(Some(Ordering::Less)),
        Some(_) => {
            return Err(NoticeError::Data { what: "against is neither \"up\" nor \"down\"".to_owned() });
        }
        None => {}
    }
    let Some(Value::Float(threshold)) = history.value(&schema::MODEL_THRESHOLD) else { return Ok(None) };
    Ok(history.only_score().and_then(|score| match score.partial_cmp(threshold)? {
        Ordering::Less => Some(Ordering::Less),
        Ordering::Equal | Ordering::Greater => Some(Ordering::Greater),
    }))
}

impl Reason {
    /// The reason in words, or what it is called if there are none.
    fn shown(&self, data: &Data) -> Result<Shown, String> {
        let names = [&self.code, &self.feature, &self.text];
        let mut names = names.into_iter().flatten();
        let given = names.find_map(|name| data.text_in("reason_texts", name)).map(str::to_owned);
        match (given, &self.text) {
            (Some(said), Some(recorded)) if said != *recorded => {
                Ok(Shown { said, recorded: Some(recorded.clone()) })
            }
            (Some(said), _) => Ok(Shown { said, recorded: None }),
            (None, Some(text)) => Ok(Shown { said: text.clone(), recorded: None }),
            (None, None) => {
                let name = self.code.as_ref().or(self.feature.as_ref());
                Err(name.cloned().unwrap_or_else(|| format!("[{}]", self.place)))
            }
        }
    }
}

/// Whether a reason has words that the rule calls insufficient, or none that say anything.
fn is_insufficient(shown: &Shown, words: &[String]) -> bool {
    [Some(&shown.said), shown.recorded.as_ref()].into_iter().flatten().any(|text| {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
        !text.chars().any(char::is_alphabetic) || words.iter().any(|word| text.contains(word.as_str()))
    })
}
