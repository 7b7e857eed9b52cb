//! What computes: a model file on rows of numbers, a text model, or a language model.

use std::collections::BTreeMap;
#[cfg(feature = "neural")]
use std::sync::Mutex;

use ledgerstone::record::{FieldPath, Record, schema};

use super::comparison::Comparison;
use super::numbers::Outcome;
use super::reasons::{self, Against};
#[cfg(feature = "neural")]
use super::rows;
use super::rows::Numeric;
use super::{Obstacle, RecomputerError};
use crate::audit::profile::Profile;
#[cfg(feature = "neural")]
use crate::recompute::description::Prompt;
use crate::recompute::description::{Column, Description, Dtype, Input, Label, Numbers};
use crate::recompute::neural::Processor;
#[cfg(feature = "neural")]
use crate::recompute::neural::{ENGINE, Files, LanguageModel, TextModel, TextScore};
use crate::recompute::{About, Model};

/// What computes.
#[derive(Debug)]
pub(super) enum Engine {
    /// A model file on rows of numbers.
    Row(Table),
    /// A text model.
    #[cfg(feature = "neural")]
    Text(Box<TextModel>),
    /// A language model; its steps change what it keeps of the steps before.
    #[cfg(feature = "neural")]
    Language(Box<Mutex<LanguageModel>>),
}

/// A model file, and what makes its columns.
#[derive(Debug)]
pub(super) struct Table {
    model: Model,
    about: About,
    columns: Vec<Column>,
    /// Where each column's feature stands in a record.
    paths: Vec<FieldPath>,
    dtype: Dtype,
    /// The columns' names: the model's own, or the features that they come from.
    names: Vec<String>,
    /// What contributions compare with.
    against: Option<Against>,
}

/// What a record says that was given.
pub(super) enum Given<'a> {
    /// Rows, one a person.
    Rows(Rows<'a>),
    /// A prompt.
    #[cfg(feature = "neural")]
    Prompt {
        /// What answers.
        model: &'a Mutex<LanguageModel>,
        /// The prompt.
        prompt: &'a str,
        /// What was asked for.
        settings: &'a Prompt,
    },
}

/// The rows of one decision.
pub(super) enum Rows<'a> {
    /// Of numbers.
    Numbers(Numeric),
    /// Texts, each with its place.
    #[cfg_attr(not(feature = "neural"), expect(dead_code, reason = "nothing reads texts then"))]
    Texts(Vec<Option<u32>>, Vec<&'a str>),
}

impl Rows<'_> {
    /// What stands at the end of the paths of each row.
    pub(super) fn places(&self) -> &[Option<u32>] {
        match self {
            Self::Numbers(rows) => rows.places(),
            Self::Texts(places, _) => places,
        }
    }
}

impl Engine {
    /// Reads the model, and checks that the description fits it.
    pub(super) fn load(
        files: BTreeMap<String, Vec<u8>>,
        description: &Description,
        processor: Processor,
    ) -> Result<Self, RecomputerError> {
        let engine = match &description.input {
            Input::Row { model, columns, dtype } => {
                let mut table = Table::load(file(&files, model)?, model, columns.as_deref(), *dtype)?;
                table.against = Against::load(&files, &table.model, description.reasons.as_ref())?;
                Self::Row(table)
            }
            #[cfg(feature = "neural")]
            Input::Text { .. } => {
                let files = Files::new(files).map_err(RecomputerError::Network)?;
                let model = TextModel::load_on(&files, processor).map_err(RecomputerError::Network)?;
                Self::Text(Box::new(model))
            }
            #[cfg(feature = "neural")]
            Input::Prompt { model, .. } => {
                let loaded = match model {
                    Some(name) => LanguageModel::load(file(&files, name)?)
                        .map_err(|source| RecomputerError::File { file: name.clone(), source })?,
                    None => {
                        let files = Files::new(files).map_err(RecomputerError::Network)?;
                        LanguageModel::load_folder(&files).map_err(RecomputerError::Network)?
                    }
                };
                Self::Language(Box::new(Mutex::new(loaded)))
            }
            #[cfg(not(feature = "neural"))]
            Input::Text { .. } | Input::Prompt { .. } => {
                _ = processor;
                return Err(RecomputerError::NoEngine);
            }
        };
        engine.check(description)?;
        Ok(engine)
    }

    /// That the description names numbers that the model has.
    fn check(&self, description: &Description) -> Result<(), RecomputerError> {
        let fit = |problem: String| Err(RecomputerError::Fit { problem });
        for score in &description.scores {
            let count = self.count(score.of);
            if score.index >= count {
                return fit(format!("score {:?} has the place {} of {count}", score.name, score.index));
            }
        }
        for tensor in &description.tensors {
            if self.count(tensor.of) == 0 {
                return fit(format!("the model has no numbers for tensor {:?}", tensor.name));
            }
        }
        match &description.label {
            Some(Label::Threshold { of, index, .. }) if *index >= self.count(*of) => {
                fit(format!("the label hangs on place {index} of {}", self.count(*of)))
            }
            Some(Label::Largest { of, names }) if names.len() != self.count(*of) => {
                fit(format!("{} labels for {} numbers", names.len(), self.count(*of)))
            }
            _ => Ok(()),
        }
    }

    /// How many numbers of a kind a row has.
    pub(super) fn count(&self, of: Numbers) -> usize {
        match (self, of) {
            (Self::Row(table), Numbers::Margins) => table.about.margins,
            (Self::Row(table), Numbers::Answer) => table.about.answers,
            (Self::Row(_), Numbers::Vector) => 0,
            #[cfg(feature = "neural")]
            (Self::Text(model), Numbers::Vector) => model.about().width,
            #[cfg(feature = "neural")]
            (Self::Text(model), Numbers::Margins) => model.about().labels.len(),
            #[cfg(feature = "neural")]
            (Self::Text(model), Numbers::Answer) => match model.about().link {
                None | Some(crate::recompute::neural::head::Link::Identity) => 0,
                Some(_) => model.about().labels.len(),
            },
            #[cfg(feature = "neural")]
            (Self::Language(_), _) => 0,
        }
    }

    /// What the model is.
    pub(super) fn kind(&self) -> String {
        match self {
            Self::Row(table) => table.about.kind.clone(),
            #[cfg(feature = "neural")]
            Self::Text(model) => format!("{} text encoder, {ENGINE}", model.about().family),
            #[cfg(feature = "neural")]
            Self::Language(model) => {
                let model = model.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                format!("language model {}, {ENGINE}", model.name())
            }
        }
    }

    /// The function of the platform's mathematics library behind the answer.
    pub(super) fn libm(&self) -> Option<&'static str> {
        match self {
            Self::Row(table) => table.about.libm,
            #[cfg(feature = "neural")]
            Self::Text(_) | Self::Language(_) => None,
        }
    }

    /// Whether a number that the description names is only reproduced within a tolerance.
    pub(super) fn is_near(&self, description: &Description) -> bool {
        let table = match self {
            Self::Row(table) => table,
            #[cfg(feature = "neural")]
            Self::Text(_) | Self::Language(_) => return true,
        };
        let scores = description.scores.iter().map(|score| score.of);
        let tensors = description.tensors.iter().map(|tensor| tensor.of);
        scores.chain(tensors).chain(description.label_of()).any(|of| match of {
            Numbers::Margins => table.about.margins_within.is_some(),
            Numbers::Answer => table.about.answers_within.is_some(),
            Numbers::Vector => false,
        })
    }

    /// The kinds of numbers whose distance a profile bounds.
    pub(super) const fn compared(&self) -> &'static [Numbers] {
        match self {
            Self::Row(_) => &[Numbers::Margins, Numbers::Answer],
            #[cfg(feature = "neural")]
            Self::Text(_) => &[Numbers::Vector],
            // Its logits are compared step by step.
            #[cfg(feature = "neural")]
            Self::Language(_) => &[],
        }
    }

    /// That a profile speaks of these numbers and this engine.
    pub(super) fn check_profile(&self, profile: &Profile) -> Result<(), RecomputerError> {
        let (quantity, engine): (_, Option<&str>) = match self {
            Self::Row(_) => ("margins", None),
            #[cfg(feature = "neural")]
            Self::Text(_) => ("vector", Some(ENGINE)),
            #[cfg(feature = "neural")]
            Self::Language(_) => ("logits", Some(ENGINE)),
        };
        let measured = &profile.engine;
        let problem = if profile.quantity != quantity {
            format!("it compares the {}, and of such a model the {quantity} is compared", profile.quantity)
        } else if let Some(engine) = engine.filter(|engine| measured != engine) {
            format!("it was measured with {measured}, and this program computes with {engine}")
        } else {
            return Ok(());
        };
        Err(RecomputerError::Profile { problem })
    }

    /// What the record says that was given.
    pub(super) fn given<'a>(
        &'a self,
        record: &'a Record,
        description: &'a Description,
    ) -> Result<Given<'a>, Obstacle> {
        match (self, &description.input) {
            (Self::Row(table), _) => {
                let rows = Numeric::read(
                    record,
                    &table.columns,
                    &table.paths,
                    table.dtype,
                    &table.about.text_columns,
                )?;
                Ok(Given::Rows(Rows::Numbers(rows)))
            }
            #[cfg(feature = "neural")]
            (Self::Text(_), Input::Text { feature }) => {
                let (places, texts) = rows::texts(record, feature)?;
                Ok(Given::Rows(Rows::Texts(places, texts)))
            }
            #[cfg(feature = "neural")]
            (Self::Language(model), Input::Prompt { prompt: settings, .. }) => {
                match rows::texts(record, &settings.feature)?.1.as_slice() {
                    [prompt] => Ok(Given::Prompt { model, prompt, settings }),
                    _ => Err(Obstacle::input("several prompts in one record are not recomputed")),
                }
            }
            #[cfg(feature = "neural")]
            _ => Err(Obstacle::NothingToCompare),
        }
    }

    /// Runs the rows.
    pub(super) fn compute(&self, rows: &Rows<'_>, record: &Record) -> Result<Vec<Outcome>, Obstacle> {
        match (self, rows) {
            (Self::Row(table), Rows::Numbers(rows)) => rows
                .iter()
                .map(|row| {
                    let score = table.model.score_with(row, rows.texts()).map_err(Obstacle::Row)?;
                    Ok(Outcome { vector: Vec::new(), margins: score.margins, answer: score.answer })
                })
                .collect(),
            #[cfg(feature = "neural")]
            (Self::Text(model), Rows::Texts(_, texts)) => texts_computed(model, texts, record),
            #[cfg(feature = "neural")]
            _ => Err(Obstacle::NothingToCompare),
            #[cfg(not(feature = "neural"))]
            (Self::Row(_), Rows::Texts(..)) => {
                _ = record;
                Err(Obstacle::NothingToCompare)
            }
        }
    }

    /// The text model, if it is one.
    #[cfg(feature = "neural")]
    pub(super) const fn text(&self) -> Option<&TextModel> {
        match self {
            Self::Text(model) => Some(model),
            Self::Row(_) | Self::Language(_) => None,
        }
    }

    /// What must follow from recorded numbers that lie within the tolerance: of a text model whatever its last layers make of
    /// the recorded vector.
    pub(super) fn derived(&self, theirs: Vec<Outcome>) -> Result<Vec<Outcome>, Obstacle> {
        match self {
            Self::Row(_) => Ok(theirs),
            #[cfg(feature = "neural")]
            Self::Text(model) => {
                let derive = |outcome: Outcome| {
                    let vector: Vec<f32> = outcome.vector.iter().copied().map(narrow).collect();
                    model.read_vector(&vector).map(outcome_of).map_err(Obstacle::Row)
                };
                theirs.into_iter().map(derive).collect()
            }
            #[cfg(feature = "neural")]
            Self::Language(_) => Ok(theirs),
        }
    }

    /// Compares the reasons of every row.
    pub(super) fn compare_reasons(
        &self,
        rows: &Rows<'_>,
        record: &Record,
        description: &Description,
        comparison: &mut Comparison,
    ) -> Result<(), Obstacle> {
        let (Some(wanted), Self::Row(table), Rows::Numbers(numbers)) = (&description.reasons, self, rows)
        else {
            return Ok(());
        };
        let against = table.against.as_ref();
        for (place, row) in rows.places().iter().zip(numbers.iter()) {
            let expected = reasons::expected(&table.model, against, &table.names, wanted, row);
            if let Some(expected) = expected.map_err(Obstacle::Row)? {
                reasons::compare(record, *place, &expected, comparison)?;
            }
        }
        reasons::compare_background(record, against, comparison);
        Ok(())
    }
}

impl Table {
    fn load(
        bytes: &[u8],
        name: &str,
        columns: Option<&[Column]>,
        dtype: Dtype,
    ) -> Result<Self, RecomputerError> {
        let model =
            Model::parse(bytes).map_err(|source| RecomputerError::File { file: name.to_owned(), source })?;
        let about = model.about();
        let columns = match columns {
            Some(columns) => columns.to_vec(),
            None => about.feature_names.iter().map(|name| Column::plain(name)).collect(),
        };
        if columns.len() != about.features {
            let problem =
                format!("it makes {} columns, and the model takes {}", columns.len(), about.features);
            return Err(RecomputerError::Fit { problem });
        }
        let paths = columns.iter().map(|column| schema::feature(&column.feature)).collect::<Result<_, _>>();
        let paths = paths.map_err(|error| RecomputerError::Fit { problem: error.to_string() })?;
        let names = match &about.feature_names {
            names if names.len() == columns.len() => names.clone(),
            _ => columns.iter().map(|column| column.feature.clone()).collect(),
        };
        Ok(Self { model, about, columns, paths, dtype, names, against: None })
    }
}

fn file<'a>(files: &'a BTreeMap<String, Vec<u8>>, name: &str) -> Result<&'a [u8], RecomputerError> {
    let bytes = files.get(name).ok_or_else(|| RecomputerError::NoModel { name: name.to_owned() })?;
    Ok(bytes)
}

/// Runs texts: each by itself, which is the canonical way, or side by side and filled up where the record says that the recorder did so.
#[cfg(feature = "neural")]
fn texts_computed(model: &TextModel, texts: &[&str], record: &Record) -> Result<Vec<Outcome>, Obstacle> {
    let batch = rows::count(record, &schema::EXECUTION_BATCH_SIZE)?;
    let padding = rows::count(record, &schema::EXECUTION_PADDING)?.filter(|length| *length > 0);
    let scores = match batch {
        Some(batch) if batch > 1 && batch != texts.len() => {
            return Err(Obstacle::input(format_args!(
                "it was computed in a batch of {batch} texts, of which the record has {}",
                texts.len()
            )));
        }
        Some(batch) if batch > 1 => model.score_batch(texts, padding).map_err(Obstacle::Row)?,
        _ if padding.is_some() => {
            let one = |text: &&str| model.score_batch(&[*text], padding);
            let scores: Result<Vec<_>, _> = texts.iter().map(one).collect();
            scores.map_err(Obstacle::Row)?.into_iter().flatten().collect()
        }
        _ => {
            let scores: Result<Vec<_>, _> = texts.iter().map(|text| model.score(text)).collect();
            scores.map_err(Obstacle::Row)?
        }
    };
    Ok(scores.into_iter().map(outcome_of).collect())
}

#[cfg(feature = "neural")]
fn outcome_of(score: TextScore) -> Outcome {
    let widen = |numbers: Vec<f32>| numbers.into_iter().map(f64::from).collect();
    Outcome { vector: widen(score.vector), margins: widen(score.logits), answer: widen(score.probabilities) }
}

#[cfg(feature = "neural")]
#[expect(clippy::cast_possible_truncation, reason = "an f32 that was widened")]
const fn narrow(number: f64) -> f32 {
    number as f32
}
