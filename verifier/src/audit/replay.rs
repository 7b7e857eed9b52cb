//! One recorded decision, run again: what the record says was given through the model's description, and what must follow compared.
//!
//! *Guarantees*: every number is compared as bits first. Numbers of a model that is only reproduced within a tolerance may then lie as far off as a
//! profile says, and no further; whatever the model computes behind them must follow from the recorded ones bit for bit. What
//! the description names and the record lacks makes the decision unverifiable; a feature that cannot have been what the
//! model server saw is refused, not rounded.
//!
//! *Does not do*: check that the record is the one the log committed to, or that the response is the record's; whoever calls this has done that.

#[cfg(feature = "neural")]
mod answer;
mod comparison;
mod engine;
mod near;
mod numbers;
mod reasons;
mod recorded;
mod rows;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt::Display;

use ledgerstone::record::{FieldPath, Record};

use self::comparison::Comparison;
use self::engine::{Engine, Given};
use super::profile::Profile;
use super::verdict::Replayed;
use crate::recompute::description::{self, Description};
use crate::recompute::neural::Processor;
use crate::recompute::{ModelError, RowError};

/// A model and how recorded decisions are run on it again.
#[derive(Debug)]
pub struct Recomputer {
    engine: Engine,
    description: Description,
    /// How far numbers may lie off, where a profile says so.
    tau: Option<f64>,
    /// What rechecks reasons that are words of a text.
    #[cfg(feature = "neural")]
    words: Option<reasons::Words>,
}

/// Why a model's folder cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecomputerError {
    /// The folder does not say how to recompute.
    #[error("the model comes without {}, which says how its decisions are recomputed", description::FILE)]
    NoDescription,
    /// The file that the description names is not in the folder.
    #[error("the description names the model file {name:?}, which does not come along")]
    NoModel {
        /// The file.
        name: String,
    },
    /// A file does not read, or holds what is not reproduced.
    #[error("{file}: {source}")]
    File {
        /// The file.
        file: String,
        /// What is wrong.
        source: ModelError,
    },
    /// The files of a text model do not fit together.
    #[error("{0}")]
    Network(ModelError),
    /// The description names something that the model does not have.
    #[error("the description does not fit the model: {problem}")]
    Fit {
        /// What does not fit.
        problem: String,
    },
    /// The program was built without what computes such a model.
    #[error("it is a neural network, and this program was built without the feature `neural`")]
    NoEngine,
    /// The profile is of another way to compute.
    #[error("the tolerance profile does not fit the model: {problem}")]
    Profile {
        /// What does not fit.
        problem: String,
    },
}

impl Recomputer {
    /// Reads a model from the files of its folder, to be computed on the main processor.
    ///
    /// # Errors
    /// [`RecomputerError`] says what is missing, wrong, or not reproduced.
    pub fn load(files: &BTreeMap<String, Vec<u8>>) -> Result<Self, RecomputerError> {
        Self::load_on(files.clone(), Processor::Cpu)
    }

    /// Reads a model from the files of its folder; networks are computed on `processor`.
    ///
    /// # Errors
    /// [`RecomputerError`] says what is missing, wrong, or not reproduced.
    pub fn load_on(files: BTreeMap<String, Vec<u8>>, processor: Processor) -> Result<Self, RecomputerError> {
        let text = files.get(description::FILE).ok_or(RecomputerError::NoDescription)?;
        let description = Description::parse(text)
            .map_err(|source| RecomputerError::File { file: description::FILE.to_owned(), source })?;
        let engine = Engine::load(files, &description, processor)?;
        #[cfg(feature = "neural")]
        let words = reasons::Words::load(&engine, description.reasons.as_ref())?;
        Ok(Self {
            engine,
            description,
            tau: None,
            #[cfg(feature = "neural")]
            words,
        })
    }

    /// Lets numbers that are not bit-equal lie as far off as the profile of this model says.
    ///
    /// # Errors
    /// [`RecomputerError::Profile`] if the profile speaks of other numbers than this model has, or of another engine.
    pub fn within(mut self, profile: &Profile) -> Result<Self, RecomputerError> {
        self.engine.check_profile(profile)?;
        self.tau = Some(profile.tau);
        #[cfg(feature = "neural")]
        if let Some(words) = &mut self.words {
            words.within(profile)?;
        }
        Ok(self)
    }

    /// What the model is, in a few words.
    #[must_use]
    pub fn kind(&self) -> String {
        self.engine.kind()
    }

    /// Runs a recorded decision again. `response` is the response that the record keeps, if it keeps one; without it nothing can be
    /// said of how far numbers lie off.
    #[must_use]
    pub fn replay(&self, record: &Record, response: Option<&[u8]>) -> Replayed {
        let replayed = match self.engine.given(record, &self.description) {
            #[cfg(feature = "neural")]
            Ok(Given::Prompt { model, prompt, settings }) => {
                answer::replay(self, model, settings, prompt, record, response)
            }
            Ok(Given::Rows(rows)) => self.rows(&rows, record, response),
            Err(obstacle) => Err(obstacle),
        };
        let mut replayed = replayed.unwrap_or_else(Replayed::unverifiable);
        if let Some(why) = reasons::unchecked(record, self.description.reasons.as_ref()) {
            replayed.reasons_unchecked = Some(why);
        }
        replayed
    }

    fn rows(
        &self,
        rows: &engine::Rows<'_>,
        record: &Record,
        response: Option<&[u8]>,
    ) -> Result<Replayed, Obstacle> {
        if self.description.scores.is_empty() && self.description.tensors.is_empty() {
            return Err(Obstacle::NothingToCompare);
        }
        let mine = self.engine.compute(rows, record)?;
        let mut comparison = Comparison::default();
        self.compare(record, rows.places(), &mine, &mut comparison)?;
        let mut replayed = if comparison.follows() || !self.engine.is_near(&self.description) {
            comparison.replayed()
        } else {
            self.near(record, response, rows.places(), &mine, comparison)?
        };
        let mut reasons = Comparison::default();
        self.engine.compare_reasons(rows, record, &self.description, &mut reasons)?;
        replayed.take_reasons(reasons.replayed());
        #[cfg(feature = "neural")]
        if let (Some(words), engine::Rows::Texts(places, texts)) = (&self.words, rows) {
            replayed.take_reasons(words.compare(&self.engine, record, places, texts)?);
        }
        Ok(replayed)
    }
}

/// `path` for one row of several.
fn at(path: FieldPath, place: Option<u32>) -> Result<FieldPath, Obstacle> {
    Ok(match place {
        None => path,
        Some(place) => path.place(place)?,
    })
}

/// What stands in the way of recomputing.
#[derive(Debug, thiserror::Error)]
enum Obstacle {
    #[error("the record has no {0} that could be compared")]
    Absent(FieldPath),
    #[error("the description names no number to compare")]
    NothingToCompare,
    #[error("the model does not take what was recorded: {0}")]
    Row(RowError),
    #[error("{0}")]
    Input(String),
    #[error("a name of the description makes no path: {0}")]
    Path(#[from] ledgerstone::record::FieldPathError),
    #[error(
        "numbers differ, by {distance:.2e} at most, and no tolerance profile of the model says whether that is honest; give --profile"
    )]
    NoProfile { distance: f64 },
    #[error(
        "numbers differ, and how far cannot be measured, because the response's bytes do not come along; keep them with raw = \"sealed\" in the route, and export without --without-raw"
    )]
    NoResponse,
    #[error("the response that comes along {0}")]
    Response(String),
}

impl Obstacle {
    fn input(problem: impl Display) -> Self {
        Self::Input(problem.to_string())
    }
}
