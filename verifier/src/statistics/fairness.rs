//! Rates by protected attribute, from a bundle and a vault.

use std::fmt::Write as _;

use ledgerstone::vault::Vault;
use serde::Serialize;

use super::groups::{Counted, Table};
use super::median::median;
use super::{Decided, Dimension, Files, Group, Person, Source, counted, csv, percent};
use crate::output::thousands;
use crate::report::Document;
use crate::report::document::{Block, Column, Tone};
use crate::report::drawing::{Anchor, Drawing, Ink, Shape};

/// The format of the figures.
pub(super) const FORMAT: &str = "ledgerstone-fairness/v1";

/// Bars of one plot.
const BARS_MAX: usize = 40;

/// Which outcome is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Of {
    /// The one that the model's answer led to.
    #[default]
    Answer,
    /// The one after what people did later.
    Final,
}

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The attributes of each table; none for every attribute and every pair.
    pub by: Vec<Vec<String>>,
    /// Which outcome.
    pub of: Of,
    /// Whether a lower score is the better one.
    pub lower_is_better: bool,
    /// Why groups below two percent are left out of the comparison, if they are.
    pub leave_out_small: Option<String>,
}

/// The figures.
#[derive(Clone, Debug, Serialize)]
pub struct Fairness {
    /// The name of this format and its version.
    pub format: &'static str,
    /// Where they come from.
    pub source: Source,
    /// SHA-256 of the vault.
    pub vault_sha256: String,
    /// SHA-256 of the trace: which decisions stand behind each figure.
    pub trace_sha256: String,
    /// Which outcome was counted.
    pub of: Of,
    /// People about whom there is an outcome.
    pub people: u64,
    /// For how many it was.
    pub selected: u64,
    /// People without a recorded outcome; they are in no table.
    pub without_outcome: u64,
    /// People with an outcome whom the vault does not have; they count as not known.
    pub not_in_vault: u64,
    /// Records that could not be read.
    pub unread: u64,
    /// The median of the scores.
    pub median_score: Option<f64>,
    /// Why groups below two percent were left out of the comparison.
    pub left_out_because: Option<String>,
    /// The tables.
    pub dimensions: Vec<Dimension>,
}

/// Why there are no figures.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FairnessError {
    /// The vault belongs to another log.
    #[error("the vault is about decisions of {found}, the bundle holds those of {expected}")]
    OtherLog {
        /// The bundle's log.
        expected: String,
        /// The vault's.
        found: String,
    },
    /// An attribute that the vault does not have.
    #[error("the vault has no attribute `{name}`; it has {there}")]
    NoAttribute {
        /// The one asked for.
        name: String,
        /// Those that it has.
        there: String,
    },
    /// Nobody has an outcome.
    #[error(
        "no decision of the bundle says whether it was for or against somebody: map `adverse` on the route, or add outcomes"
    )]
    NoOutcome,
}

/// Counts and divides.
///
/// # Errors
/// [`FairnessError`] if vault and bundle do not go together.
pub fn fairness(
    decided: &Decided,
    source: Source,
    vault: &Vault,
    vault_sha256: String,
    options: &Options,
) -> Result<(Fairness, Files), FairnessError> {
    if vault.origin().as_str() != source.origin {
        return Err(FairnessError::OtherLog { expected: source.origin, found: vault.origin().to_string() });
    }
    let by = dimensions(vault, &options.by)?;
    let outcome = |person: &Person| match options.of {
        Of::Answer => person.against,
        Of::Final => person.finally_against,
    };
    let people: Vec<(&Person, bool)> =
        decided.people.iter().filter_map(|person| Some((person, !outcome(person)?))).collect();
    if people.is_empty() {
        return Err(FairnessError::NoOutcome);
    }
    let middle = median(people.iter().filter_map(|(person, _)| person.score));
    let mut trace = trace_head(vault);
    let mut tables: Vec<_> = by.iter().map(|(names, _)| Table::new(names.clone())).collect();
    let (mut selected, mut not_in_vault) = (0, 0);
    for (person, is_selected) in &people {
        let is_above = person.score.zip(middle).map(|(score, middle)| match options.lower_is_better {
            true => score < middle,
            false => score > middle,
        });
        let values = vault.get(person.tag);
        let counted = Counted { is_selected: *is_selected, is_above };
        for ((_, places), table) in by.iter().zip(&mut tables) {
            table.count(values.and_then(|values| crossed(values, places)), counted);
        }
        selected += u64::from(*is_selected);
        not_in_vault += u64::from(values.is_none());
        trace += &trace_line(decided, person, counted, vault, values);
    }
    let leaves_out = options.leave_out_small.is_some();
    let fairness = Fairness {
        format: FORMAT,
        source,
        vault_sha256,
        trace_sha256: ledgerstone::hash::Hash::of(trace.as_bytes()).to_string(),
        of: options.of,
        people: people.len() as u64,
        selected,
        without_outcome: (decided.people.len() - people.len()) as u64,
        not_in_vault,
        unread: decided.unread.values().sum(),
        median_score: middle,
        left_out_because: options.leave_out_small.clone(),
        dimensions: tables.into_iter().map(|table| table.finish(leaves_out)).collect(),
    };
    // Plain structs of numbers and texts always serialise.
    let json = serde_json::to_string_pretty(&fairness).unwrap_or_default() + "\n";
    let files = Files { json, csv: table(&fairness), trace, page: page(&fairness) };
    Ok((fairness, files))
}

/// The attributes of each table with their places in the vault.
#[expect(clippy::type_complexity, reason = "the pair is taken apart at once")]
fn dimensions(vault: &Vault, by: &[Vec<String>]) -> Result<Vec<(Vec<String>, Vec<usize>)>, FairnessError> {
    let attributes = vault.attributes();
    let mut wanted = by.to_vec();
    if wanted.is_empty() {
        wanted.extend(attributes.iter().map(|name| vec![name.clone()]));
        let pairs = attributes.iter().enumerate().flat_map(|(place, first)| {
            attributes.iter().skip(place + 1).map(move |second| vec![first.clone(), second.clone()])
        });
        wanted.extend(pairs);
    }
    let place = |name: &String| {
        let place = attributes.iter().position(|attribute| attribute == name);
        place.ok_or_else(|| FairnessError::NoAttribute { name: name.clone(), there: attributes.join(", ") })
    };
    wanted
        .into_iter()
        .map(|names| {
            let places = names.iter().map(place).collect::<Result<_, _>>()?;
            Ok((names, places))
        })
        .collect()
}

/// The values at these places, if all are known.
fn crossed(values: &[Option<String>], places: &[usize]) -> Option<Vec<String>> {
    places.iter().map(|place| values.get(*place)?.clone()).collect()
}

fn trace_head(vault: &Vault) -> String {
    let columns =
        ["leaf_index", "person", "month", "route", "outcome_leaf_index", "selected", "score", "above_median"];
    csv::line(columns.into_iter().chain(vault.attributes().iter().map(String::as_str)))
}

fn trace_line(
    decided: &Decided,
    person: &Person,
    counted: Counted,
    vault: &Vault,
    values: Option<&[Option<String>]>,
) -> String {
    let Some(decision) = decided.decisions.get(person.decision) else { return String::new() };
    let truth = |truth: bool| if truth { "1" } else { "0" }.to_owned();
    let cells = [
        decision.index.to_string(),
        person.place.to_string(),
        decision.month.to_string(),
        decision.route.as_deref().unwrap_or_default().to_owned(),
        decision.outcome.map(|index| index.to_string()).unwrap_or_default(),
        truth(counted.is_selected),
        person.score.map(|score| score.to_string()).unwrap_or_default(),
        counted.is_above.map(truth).unwrap_or_default(),
    ];
    let attributes = (0..vault.attributes().len())
        .map(|place| values.and_then(|values| values.get(place)?.clone()).unwrap_or_default());
    csv::line(cells.into_iter().chain(attributes))
}

fn table(fairness: &Fairness) -> String {
    let mut text = csv::line([
        "attributes",
        "group",
        "people",
        "selected",
        "selection_rate",
        "impact_ratio",
        "below_four_fifths",
        "left_out",
        "scored",
        "above_median",
        "scoring_rate",
        "scoring_ratio",
    ]);
    let shown = |value: &Option<String>| value.clone().unwrap_or_default();
    for dimension in &fairness.dimensions {
        let attributes = dimension.attributes.join(" x ");
        for group in &dimension.groups {
            text += &csv::line([
                attributes.clone(),
                group.values.join(" x "),
                group.people.to_string(),
                group.selected.to_string(),
                shown(&group.selection_rate),
                shown(&group.impact_ratio),
                group.below_four_fifths.to_string(),
                group.left_out.to_string(),
                group.scored.to_string(),
                group.above_median.to_string(),
                shown(&group.scoring_rate),
                shown(&group.scoring_ratio),
            ]);
        }
        let unknown = [dimension.unknown, dimension.unknown_selected].map(|count| count.to_string());
        text += &csv::line(
            [attributes.as_str(), "(not known)"].into_iter().chain(unknown.iter().map(String::as_str)),
        );
    }
    text
}

fn page(fairness: &Fairness) -> Document {
    let mut blocks = vec![
        Block::Heading("What this shows"),
        Block::Points(shows(fairness)),
        Block::Heading("What this does not show"),
        Block::Points(leaves_open()),
    ];
    blocks.push(Block::Heading("By group"));
    for dimension in &fairness.dimensions {
        blocks.push(group_table(fairness, dimension));
        if let Some(drawing) = bars(dimension) {
            blocks.push(Block::Figure {
                title: "Impact ratios",
                description: format!(
                    "By {}: the selection rate of each group, divided by the highest; the dashed line is four fifths.",
                    dimension.attributes.join(" and ")
                ),
                drawing,
            });
        }
    }
    blocks.push(Block::Heading("Where the figures come from"));
    blocks.push(facts(fairness));
    Document {
        title: format!("Outcomes by group: {}", fairness.source.origin),
        tone: Tone::Plain,
        headline: headline(fairness),
        blocks,
    }
}

fn headline(fairness: &Fairness) -> String {
    let groups = fairness
        .dimensions
        .iter()
        .flat_map(|dimension| dimension.groups.iter().map(move |group| (dimension, group)));
    let lowest = groups
        .filter_map(|(dimension, group)| Some((group.impact_ratio.as_ref()?, dimension, group)))
        .min_by(|(a, ..), (b, ..)| a.cmp(b));
    let mut text = format!(
        "{} of {} had an outcome in their favour ({}).",
        thousands(fairness.selected),
        counted(fairness.people, "person", "people"),
        percent(fairness.selected, fairness.people)
    );
    if let Some((ratio, dimension, group)) = lowest {
        // Writing to a string does not fail.
        _ = write!(
            text,
            " The lowest impact ratio is {ratio}, of \u{201c}{}\u{201d} by {}.",
            group.values.join(" and "),
            dimension.attributes.join(" and ")
        );
    }
    text
}

fn shows(fairness: &Fairness) -> Vec<String> {
    let mut points = vec![
        format!(
            "Of {}, {} had an outcome in their favour. {}",
            counted(fairness.people, "person", "people"),
            thousands(fairness.selected),
            match fairness.of {
                Of::Answer => "Counted is the outcome that the model's answer led to.",
                Of::Final => "Counted is the outcome after what people did later.",
            }
        ),
        "The impact ratio is a group's rate divided by that of the group with the highest rate (6 RCNY 5-300). Below 0.8 it is marked; that \
         four fifths matter is a computation here and no verdict (29 CFR 1607.4(D))."
            .to_owned(),
    ];
    if fairness.without_outcome > 0 {
        points.push(format!(
            "{} without a recorded outcome stand in no table.",
            counted(fairness.without_outcome, "person", "people")
        ));
    }
    if fairness.not_in_vault > 0 {
        points.push(format!(
            "The vault does not have {}; they count as not known.",
            counted(fairness.not_in_vault, "person", "people")
        ));
    }
    if fairness.unread > 0 {
        points.push(format!(
            "{} could not be read, because they were erased, lost, or not exported; whoever they are about is not counted.",
            counted(fairness.unread, "record", "records")
        ));
    }
    if let Some(reason) = &fairness.left_out_because {
        points.push(format!(
            "Groups below two percent of all are shown without a ratio and set no highest rate. The reason given: {reason}"
        ));
    }
    if let Some(middle) = fairness.median_score {
        points.push(format!(
            "The median of the scores is {middle}; the scoring rate is the share on the better side of it."
        ));
    }
    points
}

fn leaves_open() -> Vec<String> {
    [
        "That the attributes are true: they are the operator's word, and nothing in the log commits to them.",
        "That a difference between groups comes from the model, or that it is unlawful: other differences between the groups are not looked at.",
        "That a small group's rate means much: with few people chance alone moves it far.",
        "People whom the model was never asked about.",
    ]
    .map(str::to_owned)
    .into()
}

fn group_table(fairness: &Fairness, dimension: &Dimension) -> Block {
    let is_scored = fairness.median_score.is_some();
    let column = |title, weight| Column { title, weight, is_number: true };
    let mut columns = vec![
        Column { title: "Group", weight: if is_scored { 28 } else { 40 }, is_number: false },
        column("People", 12),
        column("Selected", 12),
        column("Rate", 12),
        column("Impact ratio", if is_scored { 12 } else { 24 }),
    ];
    if is_scored {
        columns.extend([column("Scoring rate", 12), column("Scoring ratio", 12)]);
    }
    let mut rows: Vec<Vec<String>> = dimension.groups.iter().map(|group| row(group, is_scored)).collect();
    let mut unknown = vec![
        "not known".to_owned(),
        thousands(dimension.unknown),
        thousands(dimension.unknown_selected),
        percent(dimension.unknown_selected, dimension.unknown),
    ];
    unknown.resize(columns.len(), String::new());
    rows.push(unknown);
    Block::Table { caption: format!("By {}", dimension.attributes.join(" and ")), columns, rows }
}

fn row(group: &Group, is_scored: bool) -> Vec<String> {
    let ratio = match (&group.impact_ratio, group.left_out, group.below_four_fifths) {
        (_, true, _) => "left out".to_owned(),
        (Some(ratio), _, true) => format!("{ratio}, below 0.8"),
        (Some(ratio), ..) => ratio.clone(),
        (None, ..) => "none".to_owned(),
    };
    let mut cells = vec![
        group.values.join(" and "),
        thousands(group.people),
        thousands(group.selected),
        percent(group.selected, group.people),
        ratio,
    ];
    if is_scored {
        cells.push(percent(group.above_median, group.scored));
        cells.push(group.scoring_ratio.clone().unwrap_or_else(|| "none".to_owned()));
    }
    cells
}

fn bars(dimension: &Dimension) -> Option<Drawing> {
    let groups: Vec<_> =
        dimension.groups.iter().filter(|group| group.impact_ratio.is_some()).take(BARS_MAX).collect();
    if groups.len() < 2 {
        return None;
    }
    let (left, width, step) = (220.0, 340.0, 30.0);
    let height = step * f64::from(u16::try_from(groups.len()).unwrap_or(u16::MAX));
    let mut drawing = Drawing::new(640.0, height + 30.0);
    for (group, place) in groups.iter().zip(0_u16..) {
        let ratio = group.impact_ratio.clone().unwrap_or_default();
        let share = ratio.parse::<f64>().unwrap_or_default();
        let y = 8.0 + step * f64::from(place);
        let mut name: String = group.values.join(" and ");
        if name.chars().count() > 34 {
            name = name.chars().take(33).chain(['\u{2026}']).collect();
        }
        drawing.label((left - 8.0, y + 14.0), name, Anchor::End);
        let ink = if group.below_four_fifths { Ink::Bad } else { Ink::Good };
        drawing.shapes.push(Shape::Bar { at: (left, y), size: (share * width, 20.0), ink });
        drawing.label((left + width + 10.0, y + 14.0), ratio, Anchor::Start);
    }
    drawing.path([(left, 2.0), (left, height + 6.0)], Ink::Axis);
    drawing.path([(left + 0.8 * width, 2.0), (left + 0.8 * width, height + 6.0)], Ink::Limit);
    drawing.label((left + 0.8 * width, height + 22.0), "0.8", Anchor::Middle);
    Some(drawing)
}

fn facts(fairness: &Fairness) -> Block {
    let trace = format!(
        "trace.csv, SHA-256 {}: the leaf index of every decision behind these figures, and the group of its people; for those who may see it",
        fairness.trace_sha256
    );
    fairness.source.block([("Vault", format!("SHA-256 {}", fairness.vault_sha256)), ("Trace", trace)])
}
