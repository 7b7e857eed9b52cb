//! Rates by group and their ratios.
//!
//! Selection rate, scoring rate and impact ratio as New York City defines them (6 RCNY 5-300 and 5-301): of those in a group, the share
//! that was selected, or scored above the sample's median; divided by that of the group with the highest. A ratio below four fifths is
//! what 29 CFR 1607.4(D) calls evidence of adverse impact.

use std::collections::BTreeMap;

use serde::Serialize;

use super::quotient;

/// One person, as far as a table counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counted {
    /// Whether the outcome was for the person.
    pub(super) is_selected: bool,
    /// Whether the score was on the better side of the median, if there was one.
    pub(super) is_above: Option<bool>,
}

/// People with the same values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Group {
    /// A value for each of the dimension's attributes.
    pub values: Vec<String>,
    /// How many people.
    pub people: u64,
    /// For how many the outcome was.
    pub selected: u64,
    /// `selected` of `people`.
    pub selection_rate: Option<String>,
    /// The selection rate of the highest.
    pub impact_ratio: Option<String>,
    /// Whether the impact ratio is below 0.8, before rounding.
    pub below_four_fifths: bool,
    /// Whether it is below two percent of all and was left out of the comparison because of it.
    pub left_out: bool,
    /// How many people have a score.
    pub scored: u64,
    /// How many of these are on the better side of the median.
    pub above_median: u64,
    /// `above_median` of `scored`.
    pub scoring_rate: Option<String>,
    /// The scoring rate of the highest.
    pub scoring_ratio: Option<String>,
}

/// The groups by one attribute, or by several crossed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Dimension {
    /// The attributes.
    pub attributes: Vec<String>,
    /// The groups, by their values.
    pub groups: Vec<Group>,
    /// People of whom one of the attributes is not known, in none of the groups.
    pub unknown: u64,
    /// How many of them the outcome was for.
    pub unknown_selected: u64,
}

/// Counts people by group.
#[derive(Debug)]
pub(super) struct Table {
    attributes: Vec<String>,
    groups: BTreeMap<Vec<String>, Group>,
    unknown: u64,
    unknown_selected: u64,
}

impl Table {
    pub(super) fn new(attributes: Vec<String>) -> Self {
        Self { attributes, groups: BTreeMap::new(), unknown: 0, unknown_selected: 0 }
    }

    /// Counts a person with these values; without them one of whom they are not known.
    pub(super) fn count(&mut self, values: Option<Vec<String>>, person: Counted) {
        let Some(values) = values else {
            self.unknown += 1;
            self.unknown_selected += u64::from(person.is_selected);
            return;
        };
        let group = self.groups.entry(values).or_default();
        group.people += 1;
        group.selected += u64::from(person.is_selected);
        group.scored += u64::from(person.is_above.is_some());
        group.above_median += u64::from(person.is_above == Some(true));
    }

    /// Divides. Groups below two percent of all people are left out of the comparison where `leaves_out_small`.
    pub(super) fn finish(self, leaves_out_small: bool) -> Dimension {
        let all = self.groups.values().map(|group| group.people).sum::<u64>() + self.unknown;
        let mut groups: Vec<Group> =
            self.groups.into_iter().map(|(values, group)| Group { values, ..group }).collect();
        for group in &mut groups {
            group.left_out = leaves_out_small && u128::from(group.people) * 50 < u128::from(all);
        }
        let highest = |of: fn(&Group) -> (u64, u64)| {
            let compared =
                groups.iter().filter(|group| !group.left_out).map(of).filter(|(_, people)| *people > 0);
            compared.max_by(|a, b| cross(*a, *b).cmp(&cross(*b, *a)))
        };
        let (selection, scoring) = (highest(selection), highest(scoring));
        for group in &mut groups {
            group.selection_rate = quotient(group.selected, group.people);
            group.scoring_rate = quotient(group.above_median, group.scored);
            if group.left_out {
                continue;
            }
            group.impact_ratio = selection.and_then(|highest| ratio(self::selection(group), highest));
            group.below_four_fifths = selection.is_some_and(|highest| {
                5 * cross(self::selection(group), highest) < 4 * cross(highest, self::selection(group))
            });
            group.scoring_ratio = scoring.and_then(|highest| ratio(self::scoring(group), highest));
        }
        Dimension {
            attributes: self.attributes,
            groups,
            unknown: self.unknown,
            unknown_selected: self.unknown_selected,
        }
    }
}

fn selection(group: &Group) -> (u64, u64) {
    (group.selected, group.people)
}

fn scoring(group: &Group) -> (u64, u64) {
    (group.above_median, group.scored)
}

/// The dividend of `a` over the divisor of `b`: of two fractions the larger has the larger such product.
fn cross(a: (u64, u64), b: (u64, u64)) -> u128 {
    u128::from(a.0) * u128::from(b.1)
}

/// One rate divided by another; nothing if that is zero or has nobody.
fn ratio(rate: (u64, u64), highest: (u64, u64)) -> Option<String> {
    // A report has at most ten million people, so that both products fit.
    let dividend = u64::try_from(cross(rate, highest)).ok()?;
    let divisor = u64::try_from(cross(highest, rate)).ok()?;
    quotient(dividend, divisor)
}
