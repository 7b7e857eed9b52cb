//! Strata: parts of the decisions that get a sample of their own, beside the sample of all.
//!
//! *Guarantees*: which index is in which stratum is fixed by the digest of a file that stands in the plan, so nobody can sort
//! decisions after the randomness is known. Implements `docs/spec/audit-plan.md`, section "Strata".
//!
//! *Does not do*: know whether a decision belongs where the file puts it. What it goes by is sealed; the recomputation of a drawn decision
//! shows it. A decision that the file leaves out is in no stratum, and still among those that the sample of all is drawn from.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use ledgerstone::code::Code;
use ledgerstone::hash::Hash;
use serde::{Deserialize, Serialize};

use super::beacon::is_name;
use super::plan::digest;
use super::{POPULATION_MAX, Plan, PlanError, Rate};

/// Bytes of a strata file: four million lines of sixteen.
pub const STRATA_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Strata of one plan.
pub const STRATA_MAX: usize = 16;

/// Names in a strata file.
const NAMES_MAX: usize = 256;

/// The strata that a plan draws from, and the file that fixes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stratification {
    /// SHA-256 of the strata file.
    pub file: Hash,
    /// The strata, in the order in which they are drawn from.
    pub strata: Vec<Stratum>,
}

/// One stratum of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stratum {
    /// Its name in the strata file.
    pub name: String,
    /// The least rate of exceptions in it that is not tolerable.
    pub tolerable: Rate,
    /// Exceptions that the size of its sample is made for.
    pub allowed: u64,
}

/// What stands in a plan file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StratificationJson {
    file: String,
    samples: Vec<SampleJson>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SampleJson {
    name: String,
    tolerable: String,
    allowed: u64,
    decisions: u64,
}

impl Plan {
    /// The plan of one stratum alone: what is drawn from it and may be said of it.
    #[must_use]
    pub fn of_stratum(&self, stratum: &Stratum) -> Self {
        let Stratum { tolerable, allowed, .. } = *stratum;
        Self { tolerable, allowed, strata: None, ..self.clone() }
    }

    /// The plan's strata; none for most plans.
    pub fn strata(&self) -> impl Iterator<Item = &Stratum> {
        self.strata.iter().flat_map(|strata| &strata.strata)
    }

    pub(super) fn check_strata(&self) -> Result<(), PlanError> {
        let Some(Stratification { strata, .. }) = &self.strata else { return Ok(()) };
        let names: Vec<_> = strata.iter().map(|stratum| stratum.name.as_str()).collect();
        let repeats =
            names.iter().enumerate().any(|(at, name)| names.iter().skip(at + 1).any(|other| other == name));
        let fits = (1..=STRATA_MAX).contains(&names.len()) && names.iter().all(|name| is_name(name));
        if fits && !repeats { Ok(()) } else { Err(PlanError::Strata) }
    }

    pub(super) fn strata_json(&self) -> Result<Option<StratificationJson>, PlanError> {
        let Some(Stratification { file, strata }) = &self.strata else { return Ok(None) };
        let sample = |stratum: &Stratum| {
            Ok(SampleJson {
                name: stratum.name.clone(),
                tolerable: stratum.tolerable.to_string(),
                allowed: stratum.allowed,
                decisions: self.of_stratum(stratum).decisions()?,
            })
        };
        let samples = strata.iter().map(sample).collect::<Result<_, PlanError>>()?;
        Ok(Some(StratificationJson { file: file.to_string(), samples }))
    }
}

impl StratificationJson {
    pub(super) fn read(&self) -> Result<Stratification, PlanError> {
        let stratum = |sample: &SampleJson| {
            let tolerable = sample.tolerable.parse().map_err(|_| PlanError::Rate)?;
            Ok(Stratum { name: sample.name.clone(), tolerable, allowed: sample.allowed })
        };
        Ok(Stratification {
            file: digest(&self.file).ok_or(PlanError::Strata)?,
            strata: self
                .samples
                .iter()
                .take(STRATA_MAX + 1)
                .map(stratum)
                .collect::<Result<_, PlanError>>()?,
        })
    }

    /// How many decisions each sample is said to have.
    pub(super) fn decisions(&self) -> impl Iterator<Item = u64> {
        self.samples.iter().map(|sample| sample.decisions)
    }
}

/// A strata file: which leaf index is in which stratum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StrataFile {
    digest: Hash,
    members: BTreeMap<String, Vec<u64>>,
}

impl StrataFile {
    /// Reads lines of a leaf index, a space and a name, by rising index.
    ///
    /// # Errors
    /// Says which line is none.
    pub fn parse(bytes: &[u8]) -> Result<Self, StrataError> {
        if bytes.len() > STRATA_BYTES_MAX {
            return Err(StrataError::TooLong);
        }
        let text = core::str::from_utf8(bytes).ok().and_then(|text| text.strip_suffix('\n'));
        let text = text.ok_or(StrataError::Text)?;
        let (mut members, mut next) = (BTreeMap::<String, Vec<u64>>::new(), 0);
        for (line, number) in text.split('\n').zip(1..) {
            let (index, name) = member(line).ok_or(StrataError::Line { number })?;
            if index < next {
                return Err(StrataError::Order { number });
            }
            next = index + 1;
            if let Some(indices) = members.get_mut(name) {
                indices.push(index);
            } else if members.len() == NAMES_MAX {
                return Err(StrataError::Names);
            } else {
                members.insert(name.to_owned(), vec![index]);
            }
        }
        Ok(Self { digest: Hash::of(bytes), members })
    }

    /// SHA-256 of the file.
    #[must_use]
    pub const fn digest(&self) -> Hash {
        self.digest
    }

    /// The leaf indices of a stratum that lie in a plan's range, rising.
    #[must_use]
    pub fn members(&self, plan: &Plan, name: &str) -> &[u64] {
        let all = self.members.get(name).map_or(&[][..], Vec::as_slice);
        let from = all.partition_point(|index| *index < plan.first);
        let to = all.partition_point(|index| *index <= plan.last);
        all.get(from..to).unwrap_or_default()
    }
}

/// The index and the name in a line.
fn member(line: &str) -> Option<(u64, &str)> {
    let (index, name) = line.split_once(' ')?;
    let number: u64 = index.parse().ok().filter(|number| *number < POPULATION_MAX)?;
    // A sign or a leading zero would be a second way to write the same file.
    let is_canonical = index == "0" || index.starts_with(|first: char| ('1'..='9').contains(&first));
    (is_canonical && is_name(name)).then_some((number, name))
}

/// Why a file is no strata file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StrataError {
    /// More bytes than are read.
    #[error("a strata file has at most {STRATA_BYTES_MAX} bytes: plan smaller ranges")]
    TooLong,
    /// Not text, or cut off.
    #[error("a strata file is text that ends in a line feed")]
    Text,
    /// A line of something else.
    #[error(
        "line {number}: a line is a leaf index, one space and a name of lowercase letters, digits, points and hyphens"
    )]
    Line {
        /// Which line, from 1.
        number: u64,
    },
    /// Not rising.
    #[error("line {number}: the leaf indices must rise, so that none is in two strata")]
    Order {
        /// Which line, from 1.
        number: u64,
    },
    /// Too many names.
    #[error("a strata file names at most {NAMES_MAX} strata")]
    Names,
}

impl StrataError {
    /// What the reader of this error should do.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::TooLong | Self::Names => Code::Limit,
            _ => Code::Malformed,
        }
    }
}
