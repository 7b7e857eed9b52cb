//! Reasons that are words of a text, named by their places in it: whether they follow from integrated gradients within the profile's tolerance.
//!
//! *Guarantees*: recorded reasons follow if there are attributions, none farther from the recomputed ones than the tolerance, from which exactly these
//! reasons follow. An order or a choice that hangs on rounding is said and is no difference. Without a tolerance, what could follow under some tolerance counts
//! as not rechecked; what could under none differs. No word of the text is shown, only places and numbers.
//!
//! *Does not do*: recheck reasons that are recorded without their places, or of a text that is too long; it says so.

mod follow;

use ledgerstone::record::schema::{self, ReasonPart};
use ledgerstone::record::{FieldPath, Record, Value};

use self::follow::{Given, Step, follow};
use crate::audit::profile::Profile;
use crate::audit::replay::comparison::{Comparison, shown};
use crate::audit::replay::engine::Engine;
use crate::audit::replay::{Obstacle, RecomputerError, at};
use crate::audit::verdict::{Difference, Replayed};
use crate::output::scientific;
use crate::recompute::description::{Push, ReasonSource, ReasonWords, Reasons, WordReasons};
use crate::recompute::neural::{GradientType, Gradients, WordShare};

/// What rechecks reasons that are words.
#[derive(Debug)]
pub(in crate::audit::replay) struct Words {
    gradients: Gradients,
    how: WordReasons,
    count: usize,
    table: Vec<ReasonWords>,
    tau: Option<f64>,
}

/// A recorded reason.
struct Recorded<'a> {
    index: u32,
    feature: Option<&'a str>,
    contribution: Option<f64>,
    parts: Vec<(ReasonPart, FieldPath, &'a Value)>,
}

impl Words {
    /// Nothing, unless the description asks for such reasons.
    pub(in crate::audit::replay) fn load(
        engine: &Engine,
        reasons: Option<&Reasons>,
    ) -> Result<Option<Self>, RecomputerError> {
        let Some(Reasons { from: ReasonSource::IntegratedGradients(how), count, table }) = reasons else {
            return Ok(None);
        };
        let fit = |problem: String| RecomputerError::Fit { problem };
        let Some(model) = engine.text() else { return Err(fit("words are reasons of a text".to_owned())) };
        let numbers = engine.count(how.of);
        if how.index >= numbers {
            return Err(fit(format!("the reasons explain place {} of {numbers}", how.index)));
        }
        let gradients = model.gradients(GradientType::F64).map_err(|error| fit(error.to_string()))?;
        Ok(Some(Self { gradients, how: how.clone(), count: *count, table: table.clone(), tau: None }))
    }

    /// Takes the tolerance of a profile that has one for attributions.
    pub(in crate::audit::replay) fn within(&mut self, profile: &Profile) -> Result<(), RecomputerError> {
        let Some(measured) = &profile.attributions else { return Ok(()) };
        if !measured.fits(&self.how) {
            let problem =
                "its attributions were measured of another number, rule or number of steps than the \
                description's reasons have"
                    .to_owned();
            return Err(RecomputerError::Profile { problem });
        }
        self.tau = Some(measured.tau);
        Ok(())
    }

    /// Compares the reasons of every text.
    pub(in crate::audit::replay) fn compare(
        &self,
        engine: &Engine,
        record: &Record,
        places: &[Option<u32>],
        texts: &[&str],
    ) -> Result<Replayed, Obstacle> {
        let mut comparison = Comparison::default();
        let mut unchecked = None;
        for (place, text) in places.iter().zip(texts) {
            let why = self.compare_one(engine, record, (*place, text), &mut comparison)?;
            unchecked = unchecked.or(why);
        }
        let mut replayed = comparison.replayed();
        replayed.reasons_unchecked = unchecked.map(|why| format!("the reasons were not rechecked: {why}"));
        Ok(replayed)
    }

    /// Why the reasons of a text could not be rechecked; none if they were.
    fn compare_one(
        &self,
        engine: &Engine,
        record: &Record,
        (place, text): (Option<u32>, &str),
        comparison: &mut Comparison,
    ) -> Result<Option<String>, Obstacle> {
        let recorded = recorded(record, place)?;
        if let Some(reason) = recorded.iter().find(|reason| reason.feature.is_none()) {
            let path = at(schema::reason(reason.index, ReasonPart::Feature), place)?;
            return Ok(Some(format!("the record has no {path} that names a word by its place")));
        }
        let Some(model) = engine.text() else { return Err(Obstacle::NothingToCompare) };
        let words = match model.attributions(&self.gradients, text, &self.how.integrated(), None) {
            Ok(explained) => explained.words,
            Err(error) => return Ok(Some(error.to_string())),
        };
        let mut given = Vec::new();
        for reason in &recorded {
            match words.iter().position(|word| reason.feature == Some(&*name(word))) {
                Some(word) => {
                    let contribution = reason.contribution.map(|number| self.turned(number));
                    given.push(Given { word, contribution });
                    self.compare_words(&spelled(text, words.get(word)), reason, comparison);
                }
                None => {
                    let path = at(schema::reason(reason.index, ReasonPart::Feature), place)?;
                    let what = format!("{path} is not START:END of a word of the text");
                    comparison.reasons(Difference::obstacle(what));
                    return Ok(None);
                }
            }
        }
        self.judge(&words, &given, place, comparison)
    }

    /// Whether the reasons follow, and what there is to say.
    fn judge(
        &self,
        words: &[WordShare],
        given: &[Given],
        place: Option<u32>,
        comparison: &mut Comparison,
    ) -> Result<Option<String>, Obstacle> {
        let own: Vec<f64> = words.iter().map(|word| self.turned(word.attribution)).collect();
        let names = |places: &mut dyn Iterator<Item = usize>| -> String {
            let names: Vec<String> = places.filter_map(|place| words.get(place)).map(name).collect();
            if names.is_empty() { "no word".to_owned() } else { names.join(" ") }
        };
        let theirs = names(&mut given.iter().map(|given| given.word));
        let mine = names(&mut follow::expected(&own, self.count).into_iter());
        let tau = self.tau.unwrap_or(0.0);
        let Err(step) = follow(&own, given, self.count, tau) else {
            if theirs != mine {
                let what = match place {
                    None => "the reasons hang on rounding".to_owned(),
                    Some(place) => format!("the reasons of row {place} hang on rounding"),
                };
                comparison.remark(Difference::between(what, Some(theirs), Some(mine)));
            }
            return Ok(None);
        };
        if self.tau.is_none() && follow(&own, given, self.count, f64::INFINITY).is_ok() {
            let why = "they are not bit for bit the recomputed ones, and no tolerance profile says how far honest attributions lie apart; calibrate the model and give --profile";
            return Ok(Some(why.to_owned()));
        }
        let difference = match step {
            Step::Contribution { index, own } => {
                let path = at(schema::reason(index, ReasonPart::Contribution), place)?;
                let what = format!("{path}, with a tolerance of {}", scientific(tau));
                let theirs = usize::try_from(index).ok().and_then(|index| given.get(index)?.contribution);
                let said = theirs.map(|number| self.turned(number));
                Difference::between(what, said, Some(self.turned(own)))
            }
            Step::Choice => {
                let path = at(schema::reason(0, ReasonPart::Feature), place)?;
                let what = format!("{path} and those after it, with a tolerance of {}", scientific(tau));
                Difference::between(what, Some(theirs), Some(mine))
            }
        };
        comparison.reasons(difference);
        Ok(None)
    }

    /// The code and words of a reason are the table's.
    fn compare_words(&self, word: &str, reason: &Recorded<'_>, comparison: &mut Comparison) {
        let entry = self.table.iter().find(|entry| entry.feature.to_lowercase() == word);
        for (part, path, value) in &reason.parts {
            let expected = match part {
                ReasonPart::Code => entry.map(|entry| entry.code.as_str()),
                ReasonPart::Text => entry.and_then(|entry| entry.text.as_deref()),
                _ => continue,
            };
            if **value != expected.map_or(Value::Null, Value::from) {
                comparison.reasons(Difference::between(path, Some(shown(value)), expected));
            }
        }
    }

    /// An attribution with the sign under which the first reason has the least.
    fn turned(&self, attribution: f64) -> f64 {
        match self.how.push {
            Push::Down => attribution,
            Push::Up => -attribution,
        }
    }
}

/// How a record names a word: its first character in the text, from 0, and the one behind its last.
fn name(word: &WordShare) -> String {
    format!("{}:{}", word.start, word.end)
}

/// The word as the table has it.
fn spelled(text: &str, word: Option<&WordShare>) -> String {
    let Some(word) = word else { return String::new() };
    let letters = text.chars().skip(word.start).take(word.end.saturating_sub(word.start));
    letters.collect::<String>().to_lowercase()
}

/// The reasons of a row, up to the first that is not there.
fn recorded(record: &Record, place: Option<u32>) -> Result<Vec<Recorded<'_>>, Obstacle> {
    const PARTS: [ReasonPart; 4] =
        [ReasonPart::Code, ReasonPart::Text, ReasonPart::Feature, ReasonPart::Contribution];
    let mut all = Vec::new();
    for index in 0.. {
        let mut reason = Recorded { index, feature: None, contribution: None, parts: Vec::new() };
        for part in PARTS {
            let path = at(schema::reason(index, part), place)?;
            let Some(value) = record.value(&path) else { continue };
            match (part, value) {
                (ReasonPart::Feature, Value::Text(feature)) => reason.feature = Some(feature),
                // What is no number lies within no tolerance.
                (ReasonPart::Contribution, Value::Float(number)) => reason.contribution = Some(*number),
                (ReasonPart::Contribution, _) => reason.contribution = Some(f64::NAN),
                _ => {}
            }
            reason.parts.push((part, path, value));
        }
        if reason.parts.is_empty() {
            break;
        }
        all.push(reason);
    }
    Ok(all)
}
