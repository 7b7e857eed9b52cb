//! `ledgerstone audit plan`: fixes what will be drawn before anybody can know it.
//!
//! Guarantees: the checkpoint's signatures were checked before its root stands in a plan; the file is new. Does not do: look
//! whether a round or a block is still to come; it says so, and when a round is due.

use std::error::Error;

use ledgerstone::checkpoint::Checkpoint;
use ledgerstone::limits::NOTE_BYTES_MAX;
use ledgerstone::policy::Policy;
use ledgerstone::verify::{self, Verdict};
use serde::Serialize;

use super::key_generate::{Secrecy, write_new};
use super::{key_show, trust};
use crate::audit::{Beacon, DrandChain, Method, Plan, PlanError, PlanFile, PlanFileError, Rate};
use crate::cli::AuditPlanArguments;
use crate::exit::{Exit, Refusal};
use crate::output::{Answer, Output, plural, thousands, wrapped};
use crate::source::read_input;

/// The format of this command's JSON.
const FORMAT: &str = "ledgerstone-audit-planned/v1";

/// Columns before the text of a line.
const INDENT: usize = 12;

/// What is said of the randomness, because nothing here can check it.
const NOT_CHECKED: &str = "That the randomness named is still unknown to everybody was not checked: have the operator log \
    the plan's SHA-256, or publish it, before the round or block comes.";

/// What is said of a plan that nobody signed.
const UNSIGNED: &str = "The plan is not signed: `ledgerstone audit draw` takes it only where --unsigned is said. \
    Sign it with --key.";

/// What is said of a drand chain whose key is not built in.
const UNKNOWN_CHAIN: &str = "The drand chain is not one that is known here: whoever draws needs its /info in a file, too. \
    Whether its members can be trusted is for you to say.";

/// The plan that was written, as JSON.
#[derive(Serialize)]
struct PlannedJson {
    format: &'static str,
    /// SHA-256 of the plan's text.
    digest: String,
    /// The key that its signature verifies under.
    signed_by: Option<String>,
    decisions: u64,
    first_index: u64,
    last_index: u64,
    randomness: Vec<SourceJson>,
    not_checked: Vec<&'static str>,
}

/// A source of randomness.
#[derive(Serialize)]
struct SourceJson {
    source: String,
    /// When the round comes, by its chain's timetable.
    due: Option<String>,
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
    let keys = arguments.key.as_deref().map(key_show::read).transpose()?;
    let text = match &keys {
        Some(keys) => PlanFile::sign(&plan, keys),
        None => plan.to_json().map_err(PlanFileError::from),
    };
    let text = text.map_err(|error| refused(&error))?;
    let signed_by = keys.map(|keys| keys.vkeys().map(|key| key.to_string())).map(|[ed25519, _]| ed25519);
    let planned = planned(&plan, signed_by).map_err(|error| refused(&error))?;
    write_new(&arguments.output, text.as_bytes(), Secrecy::Public)?;
    if output.is_json() {
        output.json(&planned)?;
    } else {
        output.print(&shown(&plan, &planned))?;
    }
    Ok(Exit::Verified)
}

fn planned(plan: &Plan, signed_by: Option<String>) -> Result<PlannedJson, PlanError> {
    let source = |beacon: &Beacon| {
        let due = match beacon {
            Beacon::Drand { chain, round } => DrandChain::known(chain).and_then(|chain| chain.due(*round)),
            _ => None,
        };
        SourceJson { source: beacon.to_string(), due: due.map(|time| time.to_string()) }
    };
    let is_unknown =
        |beacon: &Beacon| matches!(beacon, Beacon::Drand { chain, .. } if DrandChain::known(chain).is_none());
    let unsigned = signed_by.is_none().then_some(UNSIGNED);
    let unknown = plan.beacons.iter().any(is_unknown).then_some(UNKNOWN_CHAIN);
    Ok(PlannedJson {
        format: FORMAT,
        digest: plan.digest()?.to_string(),
        signed_by,
        decisions: plan.decisions()?,
        first_index: plan.first,
        last_index: plan.last,
        randomness: plan.beacons.iter().map(source).collect(),
        not_checked: [Some(NOT_CHECKED), unsigned, unknown].into_iter().flatten().collect(),
    })
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
        profile: arguments.profile,
        pass_ambiguous: arguments.pass_ambiguous,
        beacons: beacons.collect::<Result<_, _>>()?,
    })
}

fn refused(error: &dyn Error) -> Refusal {
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
    text += &line("Passes", &plan.passes().join(", "));
    for SourceJson { source, due } in &planned.randomness {
        let due = due.as_ref().map_or_else(String::new, |due| format!(", due {due}"));
        text += &line("Randomness", &format!("{source}{due}"));
    }
    if let Some(key) = &planned.signed_by {
        text += &line("Signed by", key);
    }
    text += &line("Plan", &format!("SHA-256 {}", planned.digest));
    for sentence in &planned.not_checked {
        text += "\n";
        text += &wrapped(sentence, "", 0);
    }
    text
}
