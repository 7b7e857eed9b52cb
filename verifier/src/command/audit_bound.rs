//! `ledgerstone audit bound`: what the exceptions found in a sample say of all decisions.
//!
//! Guarantees: the bound is rounded up and the evidence down, in text as in JSON. Does not do: count exceptions; a decision
//! that could not be recomputed is one.

use serde::Serialize;

use super::audit_size::refused;
use crate::audit::{AuditError, Bound, Evidence, Rate, evidence, intolerable_count, upper_bound};
use crate::cli::AuditBoundArguments;
use crate::exit::{Exit, Refusal};
use crate::output::{Output, plural, thousands, wrapped};

/// The format of this command's JSON.
const FORMAT: &str = "ledgerstone-audit-bound/v1";

/// Columns before the text of a line.
const INDENT: usize = 17;

/// Evidence above this is not printed in digits: a million times as likely is enough for anybody.
const EVIDENCE_SHOWN_MAX: u64 = 1_000_000;

/// The bound as JSON.
#[derive(Serialize)]
struct BoundJson {
    format: &'static str,
    sample: u64,
    exceptions: u64,
    population: Option<u64>,
    confidence: Rate,
    upper_bound: Rate,
    /// The bound as a number of decisions, where the population is known.
    upper_count: Option<u64>,
    /// Null where no tolerable rate was given.
    test: Option<TestJson>,
}

/// The sample held against a tolerable rate.
#[derive(Clone, Copy, Serialize)]
struct TestJson {
    tolerable: Rate,
    /// Whether a sample of a size fixed beforehand shows that the rate is below the tolerable one.
    fixed_shown: bool,
    expected: Rate,
    /// In thousandths, rounded down; null where it is without end or has no more digits.
    evidence_thousandths: Option<u64>,
    /// In thousandths, rounded up.
    evidence_needed_thousandths: u64,
    /// Whether the evidence is enough to stop a sequential plan and say that the rate is below the tolerable one.
    sequential_shown: bool,
}

/// Prints the bound.
///
/// # Errors
/// The numbers contradict each other.
pub(super) fn run(arguments: &AuditBoundArguments, output: &mut Output) -> Result<Exit, Refusal> {
    let bound = bound(arguments).map_err(|error| refused(&error))?;
    if output.is_json() {
        output.json(&bound)?;
    } else {
        output.print(&text(&bound))?;
    }
    Ok(Exit::Verified)
}

fn bound(arguments: &AuditBoundArguments) -> Result<BoundJson, AuditError> {
    let AuditBoundArguments { sample, exceptions, confidence, population, .. } = *arguments;
    let upper = upper_bound(sample, exceptions, population, confidence)?;
    let test = |tolerable| {
        let rates = (tolerable, arguments.expected);
        let Evidence { thousandths, is_enough } =
            evidence((sample, exceptions), population, rates, confidence)?;
        Ok(TestJson {
            tolerable,
            fixed_shown: is_below(upper, tolerable, population),
            expected: arguments.expected,
            evidence_thousandths: (thousandths < u64::MAX).then_some(thousandths),
            evidence_needed_thousandths: (1000 * Rate::WHOLE).div_ceil(confidence.rest().billionths()),
            sequential_shown: is_enough,
        })
    };
    Ok(BoundJson {
        format: FORMAT,
        sample,
        exceptions,
        population,
        confidence,
        upper_bound: upper.rate,
        upper_count: upper.count,
        test: arguments.tolerable.map(test).transpose()?,
    })
}

/// Whether the bound says that an intolerable rate is refuted: with a population the count decides, which is not rounded; else the
/// bound, which is the least rate that is refuted.
fn is_below(upper: Bound, tolerable: Rate, population: Option<u64>) -> bool {
    match (upper.count, population) {
        (Some(count), Some(population)) => count < intolerable_count(tolerable, population),
        _ => upper.rate <= tolerable,
    }
}

fn text(bound: &BoundJson) -> String {
    let line = |name: &str, value: &str| wrapped(value, &format!("{name:<INDENT$}"), INDENT);
    let drawn = match bound.population {
        Some(population) => format!(" drawn from {}", thousands(population)),
        None => String::new(),
    };
    let count = match bound.upper_count {
        Some(count) => {
            format!(" ({} in all, those found included)", plural(count, "exception", "exceptions"))
        }
        None => String::new(),
    };
    let mut text = [
        line(
            "Found",
            &format!(
                "{} among {}{drawn}.",
                plural(bound.exceptions, "exception", "exceptions"),
                plural(bound.sample, "decision", "decisions")
            ),
        ),
        line(
            "Upper bound",
            &format!(
                "With {} confidence at most {} of all decisions are exceptions{count}.",
                bound.confidence,
                rounded_up(bound.upper_bound)
            ),
        ),
    ]
    .concat();
    if let Some(test) = bound.test {
        text += &line("Fixed plan", &fixed(test));
        text += &line("Sequential plan", &sequential(test));
    }
    text
}

fn fixed(test: TestJson) -> String {
    let tolerable = test.tolerable;
    if test.fixed_shown {
        format!(
            "Shows that fewer than {tolerable} are exceptions, if the size was fixed before the first was drawn."
        )
    } else {
        format!("Does not show that fewer than {tolerable} are exceptions.")
    }
}

fn sequential(test: TestJson) -> String {
    let needed = shown(test.evidence_needed_thousandths);
    let evidence = match test.evidence_thousandths {
        Some(evidence) if evidence / 1000 < EVIDENCE_SHOWN_MAX => shown(evidence),
        _ => format!("more than {}", thousands(EVIDENCE_SHOWN_MAX)),
    };
    let TestJson { tolerable, expected, .. } = test;
    if test.sequential_shown {
        format!(
            "Shows that fewer than {tolerable} are exceptions: the evidence is {evidence}, and {needed} are enough (expected: {expected})."
        )
    } else if expected == Rate::NONE && test.evidence_thousandths == Some(0) {
        format!(
            "Cannot show any more that fewer than {tolerable} are exceptions: it was made for none at all."
        )
    } else {
        format!("Go on drawing: the evidence is {evidence}, and {needed} are needed (expected: {expected}).")
    }
}

/// A rate with four digits at most behind the point, rounded up.
fn rounded_up(rate: Rate) -> Rate {
    let step = 1000;
    Rate::from_billionths(rate.billionths().div_ceil(step) * step).unwrap_or(rate)
}

/// Thousandths as a decimal number.
fn shown(thousandths: u64) -> String {
    let fraction = format!("{:03}", thousandths % 1000);
    match fraction.trim_end_matches('0') {
        "" => thousands(thousandths / 1000),
        digits => format!("{}.{digits}", thousands(thousandths / 1000)),
    }
}
