//! `ledgerstone audit size`: how many decisions to draw.
//!
//! Guarantees: says what the number rests on, and what a pass with it would mean. Does not do: draw.

use serde::Serialize;

use crate::audit::{AuditError, Rate, fixed_size, intolerable_count, sequential_size};
use crate::cli::AuditSizeArguments;
use crate::exit::{Exit, Refusal};
use crate::output::{Output, plural, thousands, wrapped};

/// The format of this command's JSON.
const FORMAT: &str = "ledgerstone-audit-size/v1";

/// Columns before the text of a line.
const INDENT: usize = 17;

/// The sizes as JSON.
#[derive(Serialize)]
struct SizeJson {
    format: &'static str,
    tolerable: Rate,
    confidence: Rate,
    population: Option<u64>,
    /// The least number of exceptions in the population that is not tolerable.
    intolerable: Option<u64>,
    allowed: u64,
    fixed: u64,
    sequential: SequentialJson,
}

/// The sizes of the sequential plan.
#[derive(Serialize)]
struct SequentialJson {
    expected: Rate,
    /// Where no exception is found.
    without_exception: u64,
    /// Where as many are found as the fixed plan allows; null where such a plan can never end well.
    with_allowed: Option<u64>,
}

/// Prints the sizes.
///
/// # Errors
/// There is no such sample.
pub(super) fn run(arguments: &AuditSizeArguments, output: &mut Output) -> Result<Exit, Refusal> {
    let sizes = sizes(arguments).map_err(|error| refused(&error))?;
    if output.is_json() {
        output.json(&sizes)?;
    } else {
        output.print(&text(&sizes))?;
    }
    Ok(Exit::Verified)
}

/// An audit that cannot be computed, as a refusal.
pub(super) fn refused(error: &AuditError) -> Refusal {
    Refusal::new(error.code(), error, "Change the numbers on the command line; nothing was computed.")
}

fn sizes(arguments: &AuditSizeArguments) -> Result<SizeJson, AuditError> {
    let AuditSizeArguments { tolerable, confidence, population, allow, expected } = *arguments;
    let fixed = fixed_size(tolerable, confidence, population, allow)?;
    let sequential = |exceptions| sequential_size((tolerable, expected), confidence, population, exceptions);
    let with_allowed = match sequential(allow) {
        Err(AuditError::NoneExpected) => None,
        other => Some(other?),
    };
    Ok(SizeJson {
        format: FORMAT,
        tolerable,
        confidence,
        population,
        intolerable: population.map(|population| intolerable_count(tolerable, population)),
        allowed: allow,
        fixed,
        sequential: SequentialJson { expected, without_exception: sequential(0)?, with_allowed },
    })
}

fn text(sizes: &SizeJson) -> String {
    let line = |name: &str, value: &str| wrapped(value, &format!("{name:<INDENT$}"), INDENT);
    let passes = match sizes.allowed {
        0 => "none of them is an exception".to_owned(),
        1 => "at most 1 of them is an exception".to_owned(),
        allowed => format!("at most {} of them are exceptions", thousands(allowed)),
    };
    let population = match (sizes.population, sizes.intolerable) {
        (Some(population), Some(intolerable)) => format!(
            "{}; {} among them are the least that is not tolerable.",
            plural(population, "decision", "decisions"),
            plural(intolerable, "exception", "exceptions")
        ),
        _ => "Not given: computed as for a log without end. With --population a small log needs fewer."
            .to_owned(),
    };
    [
        wrapped(
            &format!(
                "To show with {} confidence that fewer than {} of the decisions are exceptions:",
                sizes.confidence, sizes.tolerable
            ),
            "",
            0,
        ),
        "\n".to_owned(),
        line(
            "Fixed plan",
            &format!("Draw {}. It is shown if {passes}.", plural(sizes.fixed, "decision", "decisions")),
        ),
        line("Sequential plan", &sequential(sizes)),
        line("Drawn from", &population),
        line(
            "Confidence",
            &format!(
                "A log of which {} or more are exceptions passes with a chance of at most {}.",
                sizes.tolerable,
                sizes.confidence.rest()
            ),
        ),
        line(
            "Exception",
            "A decision whose recomputation does not give what was recorded, or that cannot be recomputed.",
        ),
    ]
    .concat()
}

fn sequential(sizes: &SizeJson) -> String {
    let SequentialJson { expected, without_exception, with_allowed } = sizes.sequential;
    let first = format!(
        "Draw one after another. It is shown after {} without an exception",
        plural(without_exception, "decision", "decisions")
    );
    match (with_allowed, sizes.allowed) {
        (_, 0) if expected == Rate::NONE => format!("{first}; the first exception ends it without a result."),
        (_, 0) => format!("{first}; each exception makes it longer (expected: {expected})."),
        (Some(more), allowed) => format!(
            "{first}, after {} with {} (expected: {expected}).",
            thousands(more),
            plural(allowed, "exception", "exceptions")
        ),
        (None, allowed) => format!(
            "{first}; made for an expected {expected}, it cannot end well with {}.",
            plural(allowed, "exception", "exceptions")
        ),
    }
}
