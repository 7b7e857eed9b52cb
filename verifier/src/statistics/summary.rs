//! What was decided over time: how much, how often against people, and what people changed.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Decided, Files, Source, counted, csv, percent, quotient};
use crate::output::thousands;
use crate::report::Document;
use crate::report::document::{Block, Column, Tone};
use crate::report::drawing::{Anchor, Drawing, Field, Ink, Shape, ticks};

/// The format of the figures.
pub(super) const FORMAT: &str = "ledgerstone-summary/v1";

/// Months of one plot: ten years.
const MONTHS_MAX: usize = 120;

/// The figures of one month and route.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// Decisions.
    pub decisions: u64,
    /// Of these, calls that ended in an error and gave no answer.
    pub unanswered: u64,
    /// People that the others are about.
    pub people: u64,
    /// People that the answer was against.
    pub against: u64,
    /// People whose outcome is not recorded.
    pub without_outcome: u64,
    /// `against` of the people with an outcome.
    pub adverse_rate: Option<String>,
    /// People whose outcome is another one after what came later.
    pub changed: u64,
    /// Decisions that a reviewer confirmed.
    pub confirmed: u64,
    /// Decisions that a reviewer overrode or stopped.
    pub overridden: u64,
    /// Decisions that were contested.
    pub contested: u64,
    /// Decisions with a notice.
    pub noticed: u64,
}

/// One line of the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// The month, in UTC.
    pub month: String,
    /// The route; nothing where the record could not be read.
    pub route: Option<String>,
    /// The figures.
    #[serde(flatten)]
    pub count: Count,
}

/// The figures.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// The name of this format and its version.
    pub format: &'static str,
    /// Where they come from.
    pub source: Source,
    /// SHA-256 of the trace: which decisions stand behind each figure.
    pub trace_sha256: String,
    /// All together.
    pub all: Count,
    /// By month and route.
    pub lines: Vec<Line>,
    /// Records that could not be read, by reason.
    pub unread: BTreeMap<String, u64>,
    /// Later entries whose decision is not in the bundle.
    pub apart: u64,
}

impl Count {
    fn add(&mut self, other: &Self) {
        self.decisions += other.decisions;
        self.unanswered += other.unanswered;
        self.people += other.people;
        self.against += other.against;
        self.without_outcome += other.without_outcome;
        self.changed += other.changed;
        self.confirmed += other.confirmed;
        self.overridden += other.overridden;
        self.contested += other.contested;
        self.noticed += other.noticed;
    }

    fn with_outcome(&self) -> u64 {
        self.people - self.without_outcome
    }

    fn divided(mut self) -> Self {
        self.adverse_rate = quotient(self.against, self.with_outcome());
        self
    }

    /// The figures in the order of [`COLUMNS`].
    fn cells(&self) -> [String; 11] {
        let counts = [
            self.decisions,
            self.unanswered,
            self.people,
            self.against,
            self.without_outcome,
            self.changed,
            self.confirmed,
            self.overridden,
            self.contested,
            self.noticed,
        ];
        let [a, b, c, d, e, f, g, h, i, j] = counts.map(|count| count.to_string());
        [a, b, c, d, e, self.adverse_rate.clone().unwrap_or_default(), f, g, h, i, j]
    }
}

/// The figures' names in tables for programs.
const COLUMNS: [&str; 11] = [
    "decisions",
    "unanswered",
    "people",
    "against",
    "without_outcome",
    "adverse_rate",
    "changed",
    "confirmed",
    "overridden",
    "contested",
    "noticed",
];

/// Counts and divides.
#[must_use]
pub fn summary(decided: &Decided, source: Source) -> (Summary, Files) {
    let mut each: Vec<Count> = decided
        .decisions
        .iter()
        .map(|decision| Count {
            decisions: 1,
            unanswered: u64::from(!decision.is_answered),
            confirmed: u64::from(decision.confirmed > 0),
            overridden: u64::from(decision.overridden > 0),
            contested: u64::from(decision.contested > 0),
            noticed: u64::from(decision.notices > 0),
            ..Count::default()
        })
        .collect();
    for person in &decided.people {
        let Some(count) = each.get_mut(person.decision) else { continue };
        count.people += 1;
        count.against += u64::from(person.against == Some(true));
        count.without_outcome += u64::from(person.against.is_none());
        count.changed += u64::from(person.against != person.finally_against);
    }
    let mut lines: BTreeMap<(&str, Option<&str>), Count> = BTreeMap::new();
    let (mut all, mut trace) =
        (Count::default(), csv::line(["leaf_index", "month", "route"].into_iter().chain(COLUMNS)));
    for (decision, count) in decided.decisions.iter().zip(each) {
        all.add(&count);
        lines.entry((&decision.month, decision.route.as_deref())).or_default().add(&count);
        let place = [
            decision.index.to_string(),
            decision.month.to_string(),
            decision.route.as_deref().unwrap_or_default().to_owned(),
        ];
        trace += &csv::line(place.into_iter().chain(count.divided().cells()));
    }
    let line = |((month, route), count): ((&str, Option<&str>), Count)| Line {
        month: month.to_owned(),
        route: route.map(str::to_owned),
        count: count.divided(),
    };
    let summary = Summary {
        format: FORMAT,
        source,
        trace_sha256: ledgerstone::hash::Hash::of(trace.as_bytes()).to_string(),
        all: all.divided(),
        lines: lines.into_iter().map(line).collect(),
        unread: decided.unread.clone(),
        apart: decided.apart,
    };
    let mut table = csv::line(["month", "route"].into_iter().chain(COLUMNS));
    for line in &summary.lines {
        let place = [line.month.clone(), line.route.clone().unwrap_or_default()];
        table += &csv::line(place.into_iter().chain(line.count.cells()));
    }
    // Plain structs of numbers and texts always serialise.
    let json = serde_json::to_string_pretty(&summary).unwrap_or_default() + "\n";
    let files = Files { json, csv: table, trace, page: page(&summary) };
    (summary, files)
}

fn page(summary: &Summary) -> Document {
    let all = &summary.all;
    let months = months(summary);
    let mut blocks = vec![Block::Heading("All together"), totals(all)];
    if let Some(drawing) = volume(&months) {
        let description = "Decisions in each month, by when they were recorded, in UTC.".to_owned();
        blocks.push(Block::Figure { title: "Decisions", description, drawing });
    }
    if let Some(drawing) = rates(&months) {
        let description =
            "The share of people with a recorded outcome that the answer was against, in each month."
                .to_owned();
        blocks.push(Block::Figure { title: "Answers against people", description, drawing });
    }
    blocks.push(Block::Heading("By month and route"));
    blocks.push(by_month(summary));
    blocks.push(Block::Heading("What this does not show"));
    blocks.push(Block::Points(leaves_open(summary)));
    blocks.push(Block::Heading("Where the figures come from"));
    blocks.push(sources(summary));
    let headline = format!(
        "{} about {}; {} of those with a recorded outcome got an answer against them. People changed {}.",
        counted(all.decisions, "decision", "decisions"),
        counted(all.people, "person", "people"),
        percent(all.against, all.with_outcome()),
        counted(all.changed, "outcome", "outcomes"),
    );
    Document { title: format!("Decisions of {}", summary.source.origin), tone: Tone::Plain, headline, blocks }
}

fn totals(all: &Count) -> Block {
    let rows = [
        ("Decisions", thousands(all.decisions)),
        ("Without an answer", thousands(all.unanswered)),
        ("People", thousands(all.people)),
        (
            "Against them",
            format!("{} ({})", thousands(all.against), percent(all.against, all.with_outcome())),
        ),
        ("No recorded outcome", thousands(all.without_outcome)),
        ("Outcome changed later", thousands(all.changed)),
        ("Confirmed by a reviewer", thousands(all.confirmed)),
        (
            "Overridden or stopped",
            format!("{} ({})", thousands(all.overridden), percent(all.overridden, all.decisions)),
        ),
        ("Contested", thousands(all.contested)),
        ("With a notice", thousands(all.noticed)),
    ];
    Block::Facts { caption: "Figures", rows: rows.map(|(name, value)| (name.to_owned(), value)).into() }
}

fn by_month(summary: &Summary) -> Block {
    let column = |title, weight| Column { title, weight, is_number: true };
    let row = |line: &Line| {
        let count = &line.count;
        vec![
            line.month.clone(),
            line.route.clone().unwrap_or_else(|| "record not there".to_owned()),
            thousands(count.decisions),
            thousands(count.people),
            percent(count.against, count.with_outcome()),
            thousands(count.changed),
            thousands(count.overridden),
            thousands(count.contested),
        ]
    };
    Block::Table {
        caption: "By month and route".to_owned(),
        columns: vec![
            Column { title: "Month", weight: 12, is_number: false },
            Column { title: "Route", weight: 22, is_number: false },
            column("Decisions", 12),
            column("People", 11),
            column("Against", 11),
            column("Changed", 11),
            column("Overridden", 11),
            column("Contested", 10),
        ],
        rows: summary.lines.iter().map(row).collect(),
    }
}

fn leaves_open(summary: &Summary) -> Vec<String> {
    let mut points = vec![
        "Decisions that never passed the sidecar, and why an outcome was changed.".to_owned(),
        "What became of people after the last entry of this bundle.".to_owned(),
    ];
    let unread: u64 = summary.unread.values().sum();
    if unread > 0 {
        let reasons: Vec<_> =
            summary.unread.iter().map(|(why, count)| format!("{}: {why}", thousands(*count))).collect();
        points.push(format!(
            "What {} say, which could not be read ({}).",
            counted(unread, "record", "records"),
            reasons.join("; ")
        ));
    }
    if summary.apart > 0 {
        points.push(format!(
            "To which decisions {} belong, whose decisions are not in this bundle.",
            counted(summary.apart, "later entry", "later entries")
        ));
    }
    points
}

fn sources(summary: &Summary) -> Block {
    let trace =
        format!("trace.csv, SHA-256 {}: the figures of every decision, by leaf index", summary.trace_sha256);
    summary.source.block([("Trace", trace)])
}

/// The months with their figures; the last [`MONTHS_MAX`].
fn months(summary: &Summary) -> Vec<(String, Count)> {
    let mut months: BTreeMap<&str, Count> = BTreeMap::new();
    for line in &summary.lines {
        months.entry(&line.month).or_default().add(&line.count);
    }
    let skipped = months.len().saturating_sub(MONTHS_MAX);
    months.into_iter().skip(skipped).map(|(month, count)| (month.to_owned(), count)).collect()
}

#[expect(clippy::cast_precision_loss, reason = "a place in a picture")]
const fn number(count: u64) -> f64 {
    count as f64
}

/// The places of months on the axis, with about eight names.
fn month_ticks(months: &[(String, Count)]) -> Vec<(f64, String)> {
    let every = months.len().div_ceil(8).max(1);
    (0_u16..)
        .zip(months)
        .step_by(every)
        .map(|(place, (month, _))| (f64::from(place) + 0.5, month.clone()))
        .collect()
}

fn volume(months: &[(String, Count)]) -> Option<Drawing> {
    let most = months.iter().map(|(_, count)| count.decisions).max().filter(|most| *most > 0)?;
    let mut drawing = Drawing::new(640.0, 280.0);
    let top = number(most.max(5)) * 1.08;
    let field = Field::new(drawing.size, (0.0, number(months.len() as u64)), (0.0, top));
    field.frame(&mut drawing, ("month", &month_ticks(months)), ("decisions", &ticks(0.0, top)));
    for ((_, count), place) in months.iter().zip(0_u16..) {
        let (x, y) = field.at(f64::from(place) + 0.12, number(count.decisions));
        let (end, bottom) = field.at(f64::from(place) + 0.88, 0.0);
        drawing.shapes.push(Shape::Bar { at: (x, y), size: (end - x, bottom - y), ink: Ink::Good });
    }
    Some(drawing)
}

fn rates(months: &[(String, Count)]) -> Option<Drawing> {
    let rate = |count: &Count| {
        (count.with_outcome() > 0).then(|| 100.0 * number(count.against) / number(count.with_outcome()))
    };
    let known: Vec<_> = (0_u16..)
        .zip(months)
        .filter_map(|(place, (_, count))| Some((f64::from(place) + 0.5, rate(count)?)))
        .collect();
    if known.is_empty() {
        return None;
    }
    let mut drawing = Drawing::new(640.0, 280.0);
    let field = Field::new(drawing.size, (0.0, number(months.len() as u64)), (0.0, 100.0));
    let marks: Vec<_> =
        (0..=4_u16).map(|quarter| (f64::from(quarter) * 25.0, format!("{}%", quarter * 25))).collect();
    field.frame(&mut drawing, ("month", &month_ticks(months)), ("answers against people", &marks));
    drawing.path(known.iter().map(|(x, y)| field.at(*x, *y)).collect::<Vec<_>>(), Ink::Bad);
    for (x, y) in &known {
        let at = field.at(*x, *y);
        drawing.shapes.push(Shape::Cross { at });
        drawing.label((at.0, at.1 - 8.0), format!("{y:.1}%"), Anchor::Middle);
    }
    Some(drawing)
}
