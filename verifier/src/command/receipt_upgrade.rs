//! `ledgerstone receipt upgrade`: adds to a receipt what has fixed the log outside since it was given.
//!
//! Guarantees: what the receipt said before stays word for word; an anchor is added only if entry, tree, checkpoint and
//! statement lead from one to the next and nothing about its proof fails; the file is replaced whole or not at all. Does not
//! do: believing the place that the anchors come from; whoever verifies the receipt checks each again.

mod search;
mod write;

use ledgerstone::code::Code;
use ledgerstone::limits::RECEIPT_BYTES_MAX;
use ledgerstone::policy::Policy;
use ledgerstone::receipt::{Receipt, ReceiptAnchor};
use ledgerstone::verify::anchors::AnchorTrust;
use ledgerstone::verify::{self, AnchorState, Verdict, receipt_anchor};
use serde::Serialize;

use super::verify_anchors::{self, Place};
use super::{trust, verify_receipt};
use crate::cli::ReceiptUpgradeArguments;
use crate::exit::{Exit, Refusal};
use crate::output::{Output, plural, printable, thousands};
use crate::source::read_input;

/// The format of this command's JSON.
const FORMAT: &str = "ledgerstone-receipt-upgraded/v1";

/// Whom the user trusts.
#[derive(Clone, Copy)]
struct Trusted<'a> {
    policy: Option<&'a Policy>,
    anchors: Option<&'a AnchorTrust>,
}

/// What came of it, as JSON.
#[derive(Serialize)]
struct Upgraded<'a> {
    format: &'static str,
    decision_id: String,
    /// Where the receipt was written, or null where nothing new was found.
    written: Option<String>,
    anchors: Vec<AnchorJson<'a>>,
}

/// One anchor that the receipt has now.
#[derive(Serialize)]
struct AnchorJson<'a> {
    lane: &'a str,
    kind: &'a str,
    seq: u64,
    tree_size: u64,
    new: bool,
    state: &'static str,
    at: Option<String>,
}

/// An anchor, and whether the receipt had it before.
struct Held {
    anchor: ReceiptAnchor,
    state: AnchorState,
    new: bool,
}

/// Upgrades the receipt that the command line names.
///
/// # Errors
/// A file that the command line names cannot be read or is malformed, or the anchors cannot be reached.
pub(super) fn run(arguments: &ReceiptUpgradeArguments, output: &mut Output) -> Result<Exit, Refusal> {
    let (policy, anchors) = (trust::policy(&arguments.trust)?, trust::anchors(&arguments.anchor_trust)?);
    let trusted = Trusted { policy: policy.as_ref(), anchors: anchors.as_ref() };
    let name = arguments.receipt.display().to_string();
    let bytes = read_input(&arguments.receipt, RECEIPT_BYTES_MAX)?;
    let answer = verify_receipt::run_with_anchors(&name, &bytes, trusted.policy, trusted.anchors)?;
    if answer.report.verdict() == Verdict::Failed {
        return output.answer(&answer);
    }
    let receipt = Receipt::parse(&bytes).map_err(|error| {
        Refusal::new(error.code(), format_args!("{name}: {error}"), "Fetch the receipt again.")
    })?;
    let web = arguments.network.options();
    let place = verify_anchors::find(&from(arguments, &receipt, trusted.policy)?, &web)?;
    let mut held = held(&receipt, trusted);
    take(&mut held, &receipt, &place, trusted, output)?;
    let new = held.iter().filter(|held| held.new).count();
    let upgraded = receipt.clone().with_anchors(held.iter().map(|held| held.anchor.clone()).collect());
    let upgraded = upgraded.map_err(|error| Refusal::new(error.code(), error, "Report this."))?;
    let written = if new > 0 { Some(written(arguments, &upgraded, trusted)?) } else { None };
    say(output, &receipt, &held, written)
}

/// Where the log and its anchors are: as the user says, or as the policy does.
fn from(
    arguments: &ReceiptUpgradeArguments,
    receipt: &Receipt,
    policy: Option<&Policy>,
) -> Result<String, Refusal> {
    if let Some(from) = &arguments.from {
        return Ok(from.clone());
    }
    let url = policy
        .into_iter()
        .flat_map(Policy::logs)
        .filter(|log| log.key().name() == receipt.origin())
        .find_map(|log| log.url());
    url.map(ToString::to_string).ok_or_else(|| {
        Refusal::usage(
            "nothing says where the log's anchors are: the policy, if one was given, names no address of the log",
            "Give --from with the address of the sidecar's read side, or a copy of its store.",
        )
    })
}

/// The anchors that the receipt has already.
fn held(receipt: &Receipt, trusted: Trusted<'_>) -> Vec<Held> {
    let held = |anchor: &ReceiptAnchor| Held {
        anchor: anchor.clone(),
        state: receipt_anchor(receipt, anchor, trusted.policy, trusted.anchors),
        new: false,
    };
    receipt.anchors().iter().map(held).collect()
}

/// Adds the anchors of every lane, or puts them in place of worse ones.
fn take(
    held: &mut Vec<Held>,
    receipt: &Receipt,
    place: &Place,
    trusted: Trusted<'_>,
    output: &mut Output,
) -> Result<(), Refusal> {
    let search = search::Search::new(receipt, place, trusted)?;
    for lane in search.lanes()? {
        let (anchor, state) = match search.lane(&lane) {
            Ok(Some(found)) => found,
            Ok(None) => {
                output.remark(&format!("{lane}: not yet anchored."));
                continue;
            }
            Err(why) => {
                output.remark(&format!("{lane}: {}", printable(&why)));
                continue;
            }
        };
        let at = held.iter().position(|held| held.anchor.statement().lane == anchor.statement().lane);
        let new = Held { anchor, state, new: true };
        match at.and_then(|at| held.get_mut(at)) {
            None => held.push(new),
            Some(old) if is_better(&new, old) => *old = new,
            Some(_) => {}
        }
        if !fits(receipt, held) {
            held.retain(|held| !held.new || held.anchor.statement().lane.as_str() != lane);
            output.remark(&format!(
                "{lane}: its proof is too large for a receipt; check it with `ledgerstone verify anchors`."
            ));
        }
    }
    Ok(())
}

/// Whether an anchor says more than the one of the same lane that the receipt has: it is proved and the other was not, or it
/// is proved for an earlier tree, which bounds the time more closely.
fn is_better(new: &Held, old: &Held) -> bool {
    let rank = |held: &Held| match held.state {
        AnchorState::Proved { .. } => 2,
        AnchorState::Open => 1,
        AnchorState::Waiting | AnchorState::Failed => 0,
    };
    let (new_rank, old_rank) = (rank(new), rank(old));
    new_rank > old_rank || (new_rank == old_rank && new.anchor.statement().seq < old.anchor.statement().seq)
}

/// Whether a receipt with these anchors is one that can be read again.
fn fits(receipt: &Receipt, held: &[Held]) -> bool {
    let anchors = held.iter().map(|held| held.anchor.clone()).collect();
    receipt.clone().with_anchors(anchors).is_ok_and(|receipt| receipt.to_json().len() <= RECEIPT_BYTES_MAX)
}

/// Writes the upgraded receipt once it was checked, and says where to.
fn written(
    arguments: &ReceiptUpgradeArguments,
    upgraded: &Receipt,
    trusted: Trusted<'_>,
) -> Result<String, Refusal> {
    let text = upgraded.to_json();
    let report = verify::receipt_with_anchors(text.as_bytes(), trusted.policy, trusted.anchors);
    if report.verdict() == Verdict::Failed {
        return Err(Refusal::new(
            Code::Internal,
            "the upgraded receipt does not verify, so it was not written",
            "Report this; the receipt is as it was.",
        ));
    }
    let path = arguments.output.as_deref();
    write::receipt(&arguments.receipt, path, text.as_bytes())?;
    Ok(path.unwrap_or(&arguments.receipt).display().to_string())
}

/// Says what the receipt has now.
fn say(
    output: &mut Output,
    receipt: &Receipt,
    held: &[Held],
    written: Option<String>,
) -> Result<Exit, Refusal> {
    if output.is_json() {
        let anchors = held.iter().map(json).collect();
        let decision_id = receipt.decision().to_string();
        output.json(&Upgraded { format: FORMAT, decision_id, written, anchors })?;
        return Ok(Exit::Verified);
    }
    let mut text = String::new();
    for held in held {
        text.push_str(&line(held));
    }
    text.push_str(&match (&written, held.len()) {
        (Some(path), _) => {
            format!("Written to {}. `ledgerstone verify receipt` checks it.\n", printable(path))
        }
        (None, 0) => {
            "Not yet anchored: nothing has fixed the log outside since this decision. Try again later.\n"
                .to_owned()
        }
        (None, more) => format!(
            "Nothing new: the receipt has {} already. It is as it was.\n",
            plural(more as u64, "anchor", "anchors")
        ),
    });
    output.print(&text)?;
    Ok(Exit::Verified)
}

fn line(held: &Held) -> String {
    let statement = held.anchor.statement();
    let state = match held.state {
        AnchorState::Proved { at: Some(at) } => format!("proved, fixed at {at} at the latest"),
        AnchorState::Proved { at: None } => "proved".to_owned(),
        AnchorState::Open => "not checked (give --policy and --anchor-trust)".to_owned(),
        AnchorState::Waiting => "a promise so far".to_owned(),
        AnchorState::Failed => "does not hold".to_owned(),
    };
    format!(
        "{}  {} ({}), the first {} entries: {state}\n",
        if held.new { "added" } else { "kept " },
        statement.lane,
        held.anchor.kind_word(),
        thousands(statement.to.size.get()),
    )
}

fn json(held: &Held) -> AnchorJson<'_> {
    let statement = held.anchor.statement();
    let (state, at) = match held.state {
        AnchorState::Proved { at } => ("proved", at.map(|at| at.to_string())),
        AnchorState::Open => ("not_checked", None),
        AnchorState::Waiting => ("waiting", None),
        AnchorState::Failed => ("failed", None),
    };
    AnchorJson {
        lane: statement.lane.as_str(),
        kind: held.anchor.kind_word(),
        seq: statement.seq,
        tree_size: statement.to.size.get(),
        new: held.new,
        state,
        at,
    }
}
