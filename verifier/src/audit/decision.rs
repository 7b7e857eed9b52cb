//! What an audit may say after so many decisions: the rule that its plan fixed.
//!
//! *Guarantees*: a plan whose log is not tolerable concludes [`Conclusion::Shown`] with a chance of at most 1 - confidence, whenever
//! somebody asks. Where all decisions were drawn there is no chance left: the rate is known.
//!
//! *Does not do*: know which decisions are exceptions.

#[cfg(test)]
mod tests;

use super::{AuditError, Method, Plan, PlanError, evidence, intolerable_count, sequential_size};

/// What was found so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Found {
    /// Decisions looked at, in the order drawn.
    pub decisions: u64,
    /// The exceptions among them.
    pub exceptions: u64,
    /// Whether these are all the decisions that there are in the plan's range.
    pub is_all: bool,
}

/// What may be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conclusion {
    /// The rate of exceptions is below the tolerable one, with the plan's confidence.
    Shown,
    /// The plan is at its end without that, or can no longer reach it.
    NotShown,
    /// Too early to say.
    GoOn,
}

impl Plan {
    /// What the plan says of what was found.
    ///
    /// # Errors
    /// The plan contradicts itself, or there are more exceptions than decisions.
    pub fn conclude(&self, found: Found) -> Result<Conclusion, PlanError> {
        let Found { decisions, exceptions, is_all } = found;
        if exceptions > decisions {
            return Err(AuditError::Exceptions { exceptions, sample: decisions }.into());
        }
        if is_all {
            // Of no decision at all nothing is shown.
            let is_tolerable = exceptions < intolerable_count(self.tolerable, decisions);
            return Ok(if is_tolerable { Conclusion::Shown } else { Conclusion::NotShown });
        }
        let is_last = decisions >= self.decisions()?;
        Ok(match self.method {
            Method::Fixed if !is_last => Conclusion::GoOn,
            Method::Fixed if exceptions <= self.allowed => Conclusion::Shown,
            Method::Fixed => Conclusion::NotShown,
            Method::Sequential if self.is_enough(found)? => Conclusion::Shown,
            Method::Sequential if is_last || !self.can_be_enough(exceptions)? => Conclusion::NotShown,
            Method::Sequential => Conclusion::GoOn,
        })
    }

    /// Whether a sequential plan may stop here.
    fn is_enough(&self, found: Found) -> Result<bool, PlanError> {
        if found.decisions == 0 {
            return Ok(false);
        }
        let rates = (self.tolerable, self.expected);
        let evidence = evidence((found.decisions, found.exceptions), None, rates, self.confidence)?;
        Ok(evidence.is_enough)
    }

    /// Whether a sequential plan could still stop before its end if no further exception came.
    fn can_be_enough(&self, exceptions: u64) -> Result<bool, PlanError> {
        let rates = (self.tolerable, self.expected);
        match sequential_size(rates, self.confidence, None, exceptions) {
            Ok(size) => Ok(size <= self.decisions()?),
            Err(AuditError::NoneExpected | AuditError::TooLarge) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}
