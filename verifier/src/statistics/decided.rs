//! The decisions of a bundle with what came later, as far as figures need them.

use std::collections::BTreeMap;
use std::sync::Arc;

use ledgerstone::entry::{Entry, Kind, KindDetails};
use ledgerstone::evidence::{RecordPart, RecordPartError};
use ledgerstone::merkle::LeafIndex;
use ledgerstone::record::schema::DECISION_ROUTE;
use ledgerstone::record::{Field, Record, Value};
use ledgerstone::vault::PersonTag;

/// People of a whole report: at about 64 bytes each they take 640 MB.
pub(super) const PEOPLE_MAX: usize = 10_000_000;

const SUBJECT: &str = "decision/subject";
const ACTION: &str = "outcome/action";
const ADVERSE: &str = "outcome/adverse";
const SCORE: &str = "output/score/";

/// One decision.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// Where it stands.
    pub index: LeafIndex,
    /// The month in which it was recorded, in UTC: `2026-11`.
    pub month: Arc<str>,
    /// The route that it came by; nothing if its record is not there.
    pub route: Option<Arc<str>>,
    /// Whether the caller got an answer.
    pub is_answered: bool,
    /// Reviews that confirmed it.
    pub confirmed: u32,
    /// Reviews that overrode or stopped it.
    pub overridden: u32,
    /// Contests of it.
    pub contested: u32,
    /// Notices about it.
    pub notices: u32,
    /// The last entry that set another outcome.
    pub outcome: Option<LeafIndex>,
}

/// One person whom a decision is about.
#[derive(Clone, Debug, PartialEq)]
pub struct Person {
    /// The place of the decision in [`Decided::decisions`].
    pub decision: usize,
    /// Which person of the decision, from 0.
    pub place: u32,
    /// Whether the answer was against the person; nothing if the record does not say.
    pub against: Option<bool>,
    /// The same after what came later.
    pub finally_against: Option<bool>,
    /// The score.
    pub score: Option<f64>,
    /// Who it is in a vault.
    pub tag: PersonTag,
}

/// Everything that was read.
#[derive(Clone, Debug, Default)]
pub struct Decided {
    /// The decisions, by leaf index.
    pub decisions: Vec<Decision>,
    /// The people of those decisions whose records could be read.
    pub people: Vec<Person>,
    /// Records that could not be read, of decisions and of what came later, by reason.
    pub unread: BTreeMap<String, u64>,
    /// Later entries whose decision is not in the bundle.
    pub apart: u64,
}

/// Takes entries in the order of the log.
#[derive(Debug, Default)]
pub struct Reader {
    decided: Decided,
    /// The score to take; without one the only one of a record.
    score: Option<String>,
    words: BTreeMap<String, Arc<str>>,
}

/// More people than one report takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more than {PEOPLE_MAX} people: export the log in parts, with --from and --to")]
pub struct TooMany;

/// What a record says of one person.
#[derive(Clone, Copy, Default)]
struct Said {
    against: Option<bool>,
    score: Option<f64>,
}

impl Reader {
    /// Takes the score of this name.
    #[must_use]
    pub fn new(score: Option<String>) -> Self {
        Self { score, ..Self::default() }
    }

    /// Takes the next entry.
    ///
    /// # Errors
    /// [`TooMany`] people.
    pub fn take(&mut self, index: LeafIndex, entry: &Entry, record: &RecordPart) -> Result<(), TooMany> {
        match entry.kind {
            Kind::Decision => self.decision(index, entry, record),
            kind if kind.is_follow_up() => {
                self.later(index, entry, record);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// What was taken.
    #[must_use]
    pub fn finish(self) -> Decided {
        self.decided
    }

    fn decision(&mut self, index: LeafIndex, entry: &Entry, record: &RecordPart) -> Result<(), TooMany> {
        let time = entry.recorded_at.to_string();
        let month = self.word(time.get(..7).unwrap_or_default());
        let is_answered =
            matches!(entry.kind_details(), Ok(KindDetails::Decision(details)) if details.status == 0);
        let mut decision = Decision {
            index,
            month,
            route: None,
            is_answered,
            confirmed: 0,
            overridden: 0,
            contested: 0,
            notices: 0,
            outcome: None,
        };
        match record.contents(entry) {
            Ok(contents) => {
                if let Some(Value::Text(route)) = contents.record.value(&DECISION_ROUTE) {
                    decision.route = Some(self.word(route));
                }
                let said =
                    if is_answered { people(&contents.record, self.score.as_deref()) } else { Vec::new() };
                if self.decided.people.len() + said.len() > PEOPLE_MAX {
                    return Err(TooMany);
                }
                let number = self.decided.decisions.len();
                for (said, place) in said.into_iter().zip(0..) {
                    self.decided.people.push(Person {
                        decision: number,
                        place,
                        against: said.against,
                        finally_against: said.against,
                        score: said.score,
                        tag: PersonTag::new(&contents.secret, place),
                    });
                }
            }
            Err(error) => self.unread(&error),
        }
        self.decided.decisions.push(decision);
        Ok(())
    }

    /// Counts what was added to a decision.
    fn later(&mut self, index: LeafIndex, entry: &Entry, record: &RecordPart) {
        let decisions = &self.decided.decisions;
        let of = entry
            .links
            .iter()
            .find_map(|link| decisions.binary_search_by_key(link, |decision| decision.index).ok());
        let Some(number) = of else {
            self.decided.apart += 1;
            return;
        };
        let contents = match record.contents(entry) {
            Ok(contents) => Some(contents),
            Err(error) => {
                self.unread(&error);
                None
            }
        };
        let fields = contents.iter().flat_map(|contents| contents.record.fields());
        let Some(decision) = self.decided.decisions.get_mut(number) else { return };
        match entry.kind {
            Kind::Review => {
                for field in fields.filter(|field| is_review_action(field)) {
                    match &field.value {
                        Value::Text(action) if action == "confirm" => decision.confirmed += 1,
                        Value::Text(action) if matches!(action.as_str(), "override" | "stop") => {
                            decision.overridden += 1
                        }
                        _ => {}
                    }
                }
            }
            Kind::Contest => decision.contested += 1,
            Kind::Notice => decision.notices += 1,
            Kind::Outcome => {
                decision.outcome = Some(index);
                let Some(contents) = &contents else { return };
                let said = people(&contents.record, None);
                let people = &mut self.decided.people;
                let first = people.partition_point(|person| person.decision < number);
                let about = people.iter_mut().skip(first).take_while(|person| person.decision == number);
                for (person, said) in about.zip(said) {
                    person.finally_against = said.against.or(person.finally_against);
                }
            }
            _ => {}
        }
    }

    fn unread(&mut self, error: &RecordPartError) {
        *self.decided.unread.entry(error.to_string()).or_default() += 1;
    }

    /// The same text once.
    fn word(&mut self, text: &str) -> Arc<str> {
        if let Some(word) = self.words.get(text) {
            return Arc::clone(word);
        }
        let word: Arc<str> = text.into();
        self.words.insert(text.to_owned(), Arc::clone(&word));
        word
    }
}

fn is_review_action(field: &Field) -> bool {
    let rest = field.path.as_str().strip_prefix("review/");
    rest.is_some_and(|rest| rest.split_once('/').is_some_and(|(_, name)| name == "action"))
}

/// What a record says of each person, in their order; one person if it does not number them.
fn people(record: &Record, score: Option<&str>) -> Vec<Said> {
    let mut said = vec![Said::default()];
    let scores = names(record);
    let score = score.or(match scores.as_slice() {
        [only] => Some(*only),
        _ => None,
    });
    for field in record.fields() {
        let path = field.path.as_str();
        let (path, place) = placed(path);
        if path != SUBJECT && path != ACTION && path != ADVERSE && !path.starts_with(SCORE) {
            continue;
        }
        // A record has at most 4,096 fields, so a place beyond that is none of a row.
        if place >= ledgerstone::limits::FIELDS_MAX {
            continue;
        }
        if said.len() <= place {
            said.resize(place + 1, Said::default());
        }
        let Some(person) = said.get_mut(place) else { continue };
        match (&field.value, path.strip_prefix(SCORE)) {
            (Value::Bool(against), None) if path == ADVERSE => person.against = Some(*against),
            (Value::Float(number), Some(name)) if Some(name) == score && number.is_finite() => {
                person.score = Some(*number);
            }
            _ => {}
        }
    }
    said
}

/// The names of the scores in a record.
fn names(record: &Record) -> Vec<&str> {
    let mut names: Vec<&str> = record
        .fields()
        .iter()
        .filter_map(|field| placed(field.path.as_str()).0.strip_prefix(SCORE))
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// A path without the place of its row, and the place; 0 if it has none.
fn placed(path: &str) -> (&str, usize) {
    let row = path.strip_suffix(']').and_then(|path| path.rsplit_once("/["));
    row.and_then(|(path, place)| Some((path, place.parse().ok()?))).unwrap_or((path, 0))
}
