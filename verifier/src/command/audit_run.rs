//! `ledgerstone audit run`: recomputes every decision of an evidence bundle.
//!
//! Guarantees: ends in 0 only if every decision followed and the checkpoint was verified against the user's own policy.
//! Does not do: say what the counts mean for decisions that were not drawn; that is `audit report`.

use std::fmt::Write as _;

use ledgerstone::evidence::Selection;
use ledgerstone::policy::Policy;
use serde::Serialize;

use super::{recompute, trust};
use crate::audit::results::{Head, Tail};
use crate::audit::run::{self, Admitted, Options, RunError};
use crate::audit::verdict::Verdict;
use crate::audit::{DRAW_BYTES_MAX, Draw};
use crate::bundle::Front;
use crate::cli::AuditRunArguments;
use crate::exit::{Exit, Refusal};
use crate::output::{Output, thousands};
use crate::source::read_input;

/// The format of this command's JSON.
const FORMAT: &str = "ledgerstone-audit-run/v1";

/// The run as JSON.
#[derive(Serialize)]
struct RunJson<'a> {
    format: &'static str,
    results: String,
    head: &'a Head,
    counts: &'a Tail,
}

/// Runs the bundle and prints the counts.
///
/// # Errors
/// The bundle is not to be relied on, or the results cannot be written.
pub(super) fn run(arguments: &AuditRunArguments, output: &mut Output) -> Result<Exit, Refusal> {
    let policy = trust::policy(&arguments.trust)?;
    let draw = arguments.draw.as_ref().map(|path| read_input(path, DRAW_BYTES_MAX)).transpose()?;
    let options = Options {
        bundle: arguments.bundle.clone(),
        identities: arguments.identities.clone(),
        output: arguments.output.clone(),
        threads: arguments.threads.unwrap_or_else(threads),
        ..recompute::read(&arguments.recompute)?
    };
    let mut progress = output.progress();
    let ran = run::run(&options, |front| admit(front, policy.as_ref(), draw.as_deref()), &mut progress);
    drop(progress);
    let (head, counts) = ran.map_err(refused)?;
    if output.is_json() {
        let results = options.output.display().to_string();
        output.json(&RunJson { format: FORMAT, results, head: &head, counts: &counts })?;
    } else {
        output.print(&text(&head, &counts))?;
        if !head.checkpoint_verified {
            output
                .remark("The checkpoint was not verified: give --policy FILE with the keys that you trust.");
        }
        if matches!(head.selection, Selection::Draw { .. }) && draw.is_none() {
            output.remark(
                "Whether the sample is the one that your plan draws was not checked: give your own --draw FILE.",
            );
        }
    }
    Ok(exit(counts.exceptions, head.checkpoint_verified))
}

/// Checks what stands before the records.
///
/// # Errors
/// The checkpoint is not signed as the policy asks, or the draw is another one.
pub(super) fn admit(
    front: &Front,
    policy: Option<&Policy>,
    own: Option<&[u8]>,
) -> Result<Admitted, RunError> {
    if let Some(policy) = policy {
        policy.check(&front.checkpoint).map_err(|error| RunError::Checkpoint(error.to_string()))?;
    }
    let listed = match &front.draw {
        None if own.is_some() => {
            return Err(RunError::Draw("the bundle holds a range of entries, not a draw".to_owned()));
        }
        None => None,
        Some(part) => {
            if own.is_some_and(|own| own != part.transcript) {
                return Err(RunError::Draw("it is not the one given with --draw".to_owned()));
            }
            let draw = Draw::parse(&part.transcript).map_err(|error| RunError::Draw(error.to_string()))?;
            part.check(draw.checkpoint.size, &draw.checkpoint.root, front)?;
            Some(draw.listed())
        }
    };
    Ok(Admitted { checkpoint_verified: policy.is_some(), listed })
}

pub(super) fn refused(error: RunError) -> Refusal {
    match error {
        RunError::Bundle(error) => error.into(),
        error => {
            let next = match &error {
                RunError::Checkpoint(_) => {
                    "Check that the policy is this log's; keep the bundle as evidence."
                }
                RunError::Draw(_) => {
                    "Keep the bundle as evidence, and ask for one of the draw that you sent."
                }
                RunError::Io { .. } | RunError::Exists { .. } => "Choose where the results go with --output.",
                _ => "Delete what the interrupted run left, then run the command again.",
            };
            Refusal::new(error.code(), &error, next)
        }
    }
}

pub(super) fn text(head: &Head, counts: &Tail) -> String {
    let mut text = format!(
        "{} decisions among {} entries of {}, each proved to stand in the tree of {} entries.\n\n",
        thousands(counts.decisions),
        thousands(counts.entries),
        head.origin,
        thousands(head.tree_size)
    );
    for verdict in Verdict::ALL {
        let count = counts.verdicts.get(&verdict).copied().unwrap_or(0);
        if count > 0 {
            // Writing to a string does not fail.
            let _ =
                writeln!(text, "{:>12}  {:<22} {}", thousands(count), verdict.as_str(), verdict.meaning());
        }
    }
    for (finding, count) in counts.reasons() {
        if count > 0 {
            let _ =
                writeln!(text, "{:>12}  {:<22} {}", thousands(count), finding.as_str(), finding.meaning());
        }
    }
    let _ = writeln!(text, "\n{:>12}  exceptions", thousands(counts.exceptions));
    for model in &head.models {
        if let Some(problem) = &model.problem {
            let _ = writeln!(text, "The model {} cannot be used: {problem}.", model.digest);
        }
    }
    text
}

/// How a run that was whole ends.
pub(super) const fn exit(exceptions: u64, checkpoint_verified: bool) -> Exit {
    match (exceptions, checkpoint_verified) {
        (0, true) => Exit::Verified,
        (0, false) => Exit::Undecided,
        _ => Exit::Failed,
    }
}

pub(super) fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
