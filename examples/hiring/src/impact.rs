//! What became of each group: the shares that were called back and invited, by race and by sex, and their four-fifths ratios.
//!
//! *Guarantees*: the protected classes come from `data/protected.csv`, which nothing else reads; no decision depends on them.
//!
//! *Does not do*: say that a ratio of 0.8 or more is lawful; the rule of 29 CFR 1607.4(D) is one for looking closer.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use crate::screen::Decided;
use crate::study;

/// The ratio below which enforcement agencies look closer.
pub const FOUR_FIFTHS: f64 = 0.8;

/// What happened to one person.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// The résumé's number.
    pub resume: u32,
    /// Whether the employer called back.
    pub called_back: bool,
    /// Whether the model invites.
    pub invited: bool,
}

/// Counts of a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Résumés.
    pub resumes: u32,
    /// Those that an employer called back.
    pub called_back: u32,
    /// Those that the model invites.
    pub invited: u32,
}

/// A way to divide people, with its two groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Division {
    /// What divides.
    pub by: &'static str,
    /// The groups' names and counts.
    pub groups: Vec<(String, Counts)>,
}

impl From<&Decided> for Outcome {
    fn from(decided: &Decided) -> Self {
        Self { resume: decided.resume, called_back: decided.called_back, invited: decided.invited }
    }
}

impl Counts {
    /// The share that was called back.
    #[must_use]
    pub fn callback_rate(&self) -> f64 {
        f64::from(self.called_back) / f64::from(self.resumes.max(1))
    }

    /// The share that is invited.
    #[must_use]
    pub fn invite_rate(&self) -> f64 {
        f64::from(self.invited) / f64::from(self.resumes.max(1))
    }
}

impl Division {
    /// The least of a rate over the greatest; none where nobody has it.
    #[must_use]
    pub fn ratio(&self, rate: fn(&Counts) -> f64) -> Option<f64> {
        let rates = self.groups.iter().map(|(_, counts)| rate(counts));
        let (least, most) =
            rates.fold((f64::INFINITY, 0.0_f64), |(least, most), rate| (least.min(rate), most.max(rate)));
        (most > 0.0).then(|| least / most)
    }
}

/// Counts outcomes by the race and by the sex that the name on the résumé was to say.
///
/// # Errors
/// If a résumé is not among the protected ones.
pub fn divisions(outcomes: &[Outcome]) -> Result<Vec<Division>> {
    let table = study::table("protected.csv")?;
    let mut classes = BTreeMap::new();
    for row in table.rows() {
        classes.insert(
            row.number::<u32>("resume")?,
            [row.cell("race")?.to_owned(), row.cell("sex")?.to_owned()],
        );
    }
    let mut counted = [BTreeMap::<String, Counts>::new(), BTreeMap::new()];
    for outcome in outcomes {
        let class = classes.get(&outcome.resume);
        let class = class.with_context(|| format!("résumé {} has no protected data", outcome.resume))?;
        for (groups, name) in counted.iter_mut().zip(class) {
            let counts = groups.entry(name.clone()).or_default();
            counts.resumes += 1;
            counts.called_back += u32::from(outcome.called_back);
            counts.invited += u32::from(outcome.invited);
        }
    }
    let named = ["race", "sex"].into_iter().zip(counted);
    Ok(named.map(|(by, groups)| Division { by, groups: groups.into_iter().collect() }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resumes;

    #[test]
    fn employers_called_back_names_of_one_race_less_often() {
        let outcomes: Vec<Outcome> = resumes::load()
            .unwrap()
            .iter()
            .map(|resume| Outcome {
                resume: resume.number,
                called_back: resume.called_back,
                invited: resume.number.is_multiple_of(2),
            })
            .collect();
        let divisions = divisions(&outcomes).unwrap();
        let race = &divisions[0];
        // The counts of the study's first table.
        assert_eq!(
            race.groups
                .iter()
                .map(|(name, counts)| (name.as_str(), counts.resumes, counts.called_back))
                .collect::<Vec<_>>(),
            [("black", 2435, 157), ("white", 2435, 235)]
        );
        assert!((race.ratio(Counts::callback_rate).unwrap() - 157.0 / 235.0).abs() < 1e-12);
        assert_eq!(divisions[1].groups.iter().map(|(_, counts)| counts.resumes).sum::<u32>(), 4870);
    }

    #[test]
    fn nobody_invited_is_no_ratio() {
        let outcomes = [Outcome { resume: 1, called_back: false, invited: false }];
        assert_eq!(divisions(&outcomes).unwrap()[0].ratio(Counts::invite_rate), None);
        assert!(divisions(&[Outcome { resume: 9999, ..outcomes[0] }]).is_err());
    }
}
