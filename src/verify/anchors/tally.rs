//! Sums up one kind of check over all statements of a lane.

use crate::check::{Check, PLACES_MAX, Place, Status};
use crate::code::{CheckName, Code};
use crate::verify::plural;

/// A kind's clause as the end of a sentence.
pub(in crate::verify) fn ended(clause: String) -> String {
    if clause.ends_with('.') { clause } else { clause + "." }
}

/// What became of one kind of check.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    name: CheckName,
    passed: u64,
    /// What the latest pass found.
    latest: String,
    failed: u64,
    code: Option<Code>,
    first_failure: String,
    places: Vec<Place>,
    unchecked: u64,
    /// The last statement for which it was not made, and why.
    last_unchecked: Option<(u64, String)>,
    /// What the latest that rests on something rests on.
    basis: Option<String>,
    /// Whether earlier ones rest on something else.
    has_other_bases: bool,
}

impl Tally {
    /// Nothing yet.
    pub(super) fn new(name: CheckName) -> Self {
        Self {
            name,
            passed: 0,
            latest: String::new(),
            failed: 0,
            code: None,
            first_failure: String::new(),
            places: Vec::new(),
            unchecked: 0,
            last_unchecked: None,
            basis: None,
            has_other_bases: false,
        }
    }

    /// Which check.
    pub(super) const fn name(&self) -> CheckName {
        self.name
    }

    /// Whether no statement was checked.
    pub(super) const fn is_empty(&self) -> bool {
        self.passed == 0 && self.failed == 0 && self.unchecked == 0
    }

    /// Takes the check of the statement numbered `seq`, whose proof is the file at `path`.
    pub(super) fn add(&mut self, seq: u64, path: &str, check: Check) {
        if let Some(basis) = check.rests_on {
            self.has_other_bases |= self.basis.as_ref().is_some_and(|other| *other != basis);
            self.basis = Some(basis);
        }
        let detail = ended(check.detail);
        match check.status {
            Status::Passed => {
                self.passed += 1;
                self.latest = detail;
            }
            Status::NotChecked => {
                self.unchecked += 1;
                self.last_unchecked = Some((seq, detail));
            }
            Status::Failed => {
                self.failed += 1;
                if self.code.is_none() {
                    self.code = check.code;
                    self.first_failure.clone_from(&detail);
                }
                if self.places.len() < PLACES_MAX {
                    let bytes = check.places.first().and_then(|place| place.bytes);
                    self.places.push(Place {
                        path: Some(path.to_owned()),
                        bytes,
                        what: detail,
                        ..Place::default()
                    });
                }
            }
        }
    }

    /// The sum for the lane `lane`, whose proofs hold up to statement `holding` (0 for none); nothing where it was never made
    /// and the proofs hold without it.
    pub(super) fn check(self, lane: &str, holding: u64) -> Option<Check> {
        let name = self.name;
        let basis = self.basis();
        let check = if self.failed > 0 {
            let more = match self.failed {
                1 => String::new(),
                more => format!(" In all, {} fail.", plural(more, "statement", "statements")),
            };
            let detail = format!("{lane}: {}{more}", self.first_failure);
            Check::failed(name, self.code.unwrap_or(Code::Inconsistent), detail).at(self.places)
        } else {
            match &self.last_unchecked {
                Some((seq, why)) if *seq > holding => {
                    Check::not_checked(name, format!("{lane}, statement {seq}: {why}"))
                }
                _ if self.passed == 0 => return None,
                _ => Check::passed(name, self.passed_detail(lane, holding)),
            }
        };
        Some(match basis {
            Some(basis) => check.resting_on(basis),
            None => check,
        })
    }

    fn passed_detail(&self, lane: &str, holding: u64) -> String {
        let mut detail = match self.passed {
            1 => format!("{lane}: {}", self.latest),
            more => format!("{lane}, {more} statements. The latest: {}", self.latest),
        };
        if self.unchecked > 0 {
            detail.push_str(&format!(
                " {} could not be checked by {}, but statement {holding}, which names what came before it, covers that.",
                if self.unchecked == 1 { "1 earlier one".to_owned() } else { format!("{} earlier ones", self.unchecked) },
                if self.unchecked == 1 { "itself" } else { "themselves" },
            ));
        }
        detail
    }

    fn basis(&self) -> Option<String> {
        let others = if self.has_other_bases { "; earlier statements on others of the kind" } else { "" };
        self.basis.as_ref().map(|basis| format!("{basis}{others}"))
    }
}
