//! `ledgerstone audit plan`: fixes what will be drawn before anybody can know it.
//!
//! Guarantees: the checkpoint's signatures were checked before its root stands in a plan; the file is new. Does not do: look
//! whether a round or a block is still to come; it says so.

use ledgerstone::checkpoint::Checkpoint;
use ledgerstone::hash::Hash;
use ledgerstone::limits::NOTE_BYTES_MAX;
use ledgerstone::policy::Policy;
use ledgerstone::verify::{self, Verdict};
use serde::Serialize;

use super::key_generate::{Secrecy, write_new};
use super::trust;
use crate::audit::{Beacon, Method, Plan, PlanError, Rate};
use crate::cli::AuditPlanArguments;
use crate::exit::{Exit, Refusal};
use crate::output::{Answer, Output, plural, thousands, wrapped};
use crate::source::read_input;

/// The format of this command's JSON.
const FORMAT: &str = "ledgerstone-audit-planned/v1";

/// Columns before the text of a line.
const INDENT: usize = 12;

/// What is said of the randomness, because nothing here can check it.
const NOT_CHECKED: &str = "That the randomness named is still unknown to everybody was not checked: publish the plan, or hand \
    it to the operator against a receipt, before the round or block comes.";

/// The plan that was written, as JSON.
#[derive(Serialize)]
struct PlannedJson {
    format: &'static str,
    /// SHA-256 of the plan file.
    digest: String,
    decisions: u64,
    first_index: u64,
    last_index: u64,
    not_checked: [&'static str; 1],
}

/// Writes the plan.
///
/// # Errors
/// The checkpoint cannot be read, or the arguments make no plan, or the file cannot be written.
pub(super) fn run(arguments: &AuditPlanArguments, output: &mut Output) -> Result<Exit, Refusal> {
    let Some(policy) = trust::policy(&arguments.trust)? else {
        return Err(Refusal::usage(
            "a plan needs --policy FILE",
            "Name the keys that you trust: a plan over a checkpoint that nobody checked fixes nothing.",
        ));
    };
    let checkpoint = match checkpoint(arguments, &policy)? {
        Ok(checkpoint) => checkpoint,
        Err(answer) => return output.answer(&answer),
    };
    let plan = plan(arguments, checkpoint).map_err(|error| refused(&error))?;
    let text = plan.to_json().map_err(|error| refused(&error))?;
    let decisions = plan.decisions().map_err(|error| refused(&error))?;
    write_new(&arguments.output, text.as_bytes(), Secrecy::Public)?;
    let planned = PlannedJson {
        format: FORMAT,
        digest: Hash::of(text.as_bytes()).to_string(),
        decisions,
        first_index: plan.first,
        last_index: plan.last,
        not_checked: [NOT_CHECKED],
    };
    if output.is_json() {
        output.json(&planned)?;
    } else {
        output.print(&shown(&plan, &planned))?;
    }
    Ok(Exit::Verified)
}

/// The checkpoint, or the report that says why it is not to be believed.
fn checkpoint(
    arguments: &AuditPlanArguments,
    policy: &Policy,
) -> Result<Result<Checkpoint, Answer>, Refusal> {
    let note = read_input(&arguments.checkpoint, NOTE_BYTES_MAX)?;
    match verify::checkpoint(&note, Some(policy)) {
        (report, Some(checkpoint)) if report.verdict() == Verdict::Verified => Ok(Ok(checkpoint)),
        (_, None) => Err(Refusal::malformed(
            format_args!("{} is not a checkpoint", arguments.checkpoint.display()),
            "Get it with `ledgerstone log checkpoint`.",
        )),
        (report, Some(_)) => {
            let next = vec!["Check that the policy is this log's; no plan was written.".to_owned()];
            Ok(Err(Answer { report, meaning: "this checkpoint is not to be relied on", next }))
        }
    }
}

fn plan(arguments: &AuditPlanArguments, checkpoint: Checkpoint) -> Result<Plan, PlanError> {
    let newest = checkpoint.size.get().saturating_sub(1);
    let named = [("drand", &arguments.drand), ("block", &arguments.block), ("nonce", &arguments.nonces)];
    let beacons = named
        .iter()
        .flat_map(|(kind, texts)| texts.iter().map(move |text| format!("{kind}:{text}").parse::<Beacon>()));
    Ok(Plan {
        first: arguments.from,
        last: arguments.to.unwrap_or(newest),
        checkpoint,
        method: if arguments.sequential { Method::Sequential } else { Method::Fixed },
        tolerable: arguments.tolerable,
        confidence: arguments.confidence,
        expected: arguments.expected.unwrap_or(Rate::NONE),
        allowed: arguments.allow,
        beacons: beacons.collect::<Result<_, _>>()?,
    })
}

fn refused(error: &PlanError) -> Refusal {
    Refusal::usage(error, "Change the command line; no plan was written.")
}

fn shown(plan: &Plan, planned: &PlannedJson) -> String {
    let line = |name: &str, value: &str| wrapped(value, &format!("{name:<INDENT$}"), INDENT);
    let Checkpoint { origin, size, .. } = &plan.checkpoint;
    let method = match plan.method {
        Method::Fixed => "looked at after the last",
        Method::Sequential => "looked at after each",
    };
    let mut text = [
        line("Log", &format!("{origin} at {}", plural(size.get(), "entry", "entries"))),
        line(
            "Drawn from",
            &format!("the decisions among entries {} to {}", thousands(plan.first), thousands(plan.last)),
        ),
        line(
            "Drawn",
            &format!(
                "{}, {method}; all, if there are fewer",
                plural(planned.decisions, "decision", "decisions")
            ),
        ),
    ]
    .concat();
    for beacon in &plan.beacons {
        text += &line("Randomness", &beacon.to_string());
    }
    text += &line("Plan", &format!("SHA-256 {}", planned.digest));
    text += "\n";
    text += &wrapped(NOT_CHECKED, "", 0);
    text
}
