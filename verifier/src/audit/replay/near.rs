//! Numbers that are not bit-equal, of a model that is only reproduced within a tolerance.
//!
//! *Guarantees*: recorded numbers are as near to the recomputed ones as the profile says; what the model makes of them afterwards, and the
//! label, follow from the recorded numbers bit for bit. A label that only rounding turned is told apart.

use ledgerstone::record::schema;
use ledgerstone::record::{Record, Value};

use super::comparison::Comparison;
use super::numbers::Outcome;
use super::recorded::Response;
use super::{Obstacle, Recomputer, at};
use crate::audit::profile::{distance, farther};
use crate::audit::verdict::{Difference, Replayed, Verdict};
use crate::output::scientific;

impl Recomputer {
    /// Judges numbers of which `exact` found that they differ.
    pub(super) fn near(
        &self,
        record: &Record,
        response: Option<&[u8]>,
        places: &[Option<u32>],
        mine: &[Outcome],
        exact: Comparison,
    ) -> Result<Replayed, Obstacle> {
        let theirs = self.recorded(record, response, places, mine)?;
        let distance = self.distance(mine, &theirs);
        let Some(tau) = self.tau else { return Err(Obstacle::NoProfile { distance }) };
        // What is no number lies nowhere within.
        if distance > tau || distance.is_nan() {
            return Ok(beyond(exact.replayed(), distance, tau));
        }
        let derived = self.engine.derived(theirs)?;
        let mut comparison = Comparison::default();
        self.compare(record, places, &derived, &mut comparison)?;
        let follows = comparison.follows();
        let mut replayed = comparison.replayed();
        replayed.distance = Some(distance);
        // The scores that are shown are those that were recomputed, not those that follow from the record.
        replayed.scores = exact.replayed().scores;
        if !follows {
            return Ok(replayed);
        }
        replayed.verdict = Verdict::WithinTolerance;
        for ((place, mine), theirs) in places.iter().zip(mine).zip(&derived) {
            let (recomputed, recorded) = (self.label(mine), self.label(theirs));
            if recomputed != recorded {
                replayed.verdict = Verdict::MarginAmbiguous;
                let path = at(schema::OUTPUT_LABEL, *place)?;
                let what = format!("{path} hangs on rounding: {}", self.margin(mine));
                replayed.differences.push(Difference::between(what, recorded, recomputed));
            }
        }
        Ok(replayed)
    }

    /// The outcomes as they were recorded; what the description does not name stays as recomputed.
    fn recorded(
        &self,
        record: &Record,
        response: Option<&[u8]>,
        places: &[Option<u32>],
        mine: &[Outcome],
    ) -> Result<Vec<Outcome>, Obstacle> {
        let mut theirs = mine.to_vec();
        if !self.description.tensors.is_empty() {
            let response = Response::read(response)?;
            for tensor in &self.description.tensors {
                let numbers = response.numbers(&tensor.name)?;
                let share = numbers.len() / theirs.len().max(1);
                if share * theirs.len() != numbers.len() || share == 0 {
                    return Err(Obstacle::Response(format!(
                        "has {} numbers of {:?} for {} rows",
                        numbers.len(),
                        tensor.name,
                        theirs.len()
                    )));
                }
                for (outcome, numbers) in theirs.iter_mut().zip(numbers.chunks_exact(share)) {
                    *outcome.of_mut(tensor.of) = numbers.to_vec();
                }
            }
        }
        for (place, outcome) in places.iter().zip(&mut theirs) {
            for score in &self.description.scores {
                let path = at(schema::score(&score.name)?, *place)?;
                let Some(Value::Float(recorded)) = record.value(&path) else {
                    return Err(Obstacle::Absent(path));
                };
                if let Some(number) = outcome.of_mut(score.of).get_mut(score.index) {
                    *number = *recorded;
                }
            }
        }
        Ok(theirs)
    }

    /// The greatest distance of the numbers that the profile speaks of; infinite where there are not as many.
    fn distance(&self, mine: &[Outcome], theirs: &[Outcome]) -> f64 {
        let mut greatest = 0.0_f64;
        for (mine, theirs) in mine.iter().zip(theirs) {
            for of in self.engine.compared() {
                greatest = farther(greatest, distance(mine.of(*of), theirs.of(*of)));
            }
        }
        greatest
    }
}

/// A decision whose numbers lie further off than the tolerance.
pub(super) fn beyond(mut replayed: Replayed, distance: f64, tau: f64) -> Replayed {
    let tau = scientific(tau);
    let what = format!("the numbers lie {distance:.2e} from the recomputed ones; the tolerance is {tau}");
    replayed.differences.insert(0, Difference::obstacle(what));
    replayed.distance = Some(distance);
    replayed
}
