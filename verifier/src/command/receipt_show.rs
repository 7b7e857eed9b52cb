//! `ledgerstone receipt show`: what a receipt says, for the person it is about and for those who answer to them.
//!
//! Guarantees: says first whether what follows was verified; with a policy every check is made and printed. Does not
//! do: interpreting; field names and values stand as they were recorded.

mod fields;

use ledgerstone::limits::RECEIPT_BYTES_MAX;
use ledgerstone::receipt::{LaterEntry, Receipt, ReceiptAnchor, Rung};
use ledgerstone::verify;
use serde::Serialize;

use super::{trust, verify_receipt};
use crate::cli::ReceiptShowArguments;
use crate::exit::{Exit, Refusal};
use crate::output::{Answer, Output, plural, printable, thousands, wrapped};
use crate::source::read_input;

/// The format of this command's JSON.
const FORMAT: &str = "ledgerstone-receipt-view/v1";

/// Prints what the receipt says.
///
/// # Errors
/// A file that the command line names cannot be read or is malformed.
pub(super) fn run(arguments: &ReceiptShowArguments, output: &mut Output) -> Result<Exit, Refusal> {
    let policy = trust::policy(&arguments.trust)?;
    let anchors = trust::anchors(&arguments.anchor_trust)?;
    let bytes = read_input(&arguments.receipt, RECEIPT_BYTES_MAX)?;
    let name = arguments.receipt.display().to_string();
    let answer = verify_receipt::run_with_anchors(&name, &bytes, policy.as_ref(), anchors.as_ref())?;
    let receipt = Receipt::parse(&bytes).map_err(|error| {
        Refusal::new(error.code(), format_args!("{name}: {error}"), "Fetch the receipt again.")
    })?;
    let exit = if policy.is_some() { Exit::from(answer.report.verdict()) } else { Exit::Verified };
    let report = policy.is_some().then_some(&answer);
    let proved = report.map(|_| verify::proved_rung(&receipt, policy.as_ref(), anchors.as_ref()));
    if output.is_json() {
        output.json(&View::new(&receipt, report, proved))?;
        return Ok(exit);
    }
    match report {
        None => output.print(&format!(
            "NOT VERIFIED: this is what the file says. Whether it is true is checked by\n  ledgerstone verify receipt \
             {} --policy FILE\n\n",
            printable(&name)
        ))?,
        Some(answer) => {
            output.answer(answer)?;
            output.print("\n")?;
            if let Some(rung) = proved {
                let said = format!("Stands {}. That does not prove {}.", rung.as_str(), rung.does_not_prove());
                output.print(&format!("{}\n", wrapped(&said, "", 0)))?;
            }
        }
    }
    output.print(&text(&receipt))?;
    Ok(exit)
}

/// A receipt as JSON for programs that show it.
#[derive(Serialize)]
struct View<'a> {
    format: &'static str,
    origin: String,
    decision_id: String,
    leaf_index: u64,
    tree_size: u64,
    recorded_at: String,
    writer: String,
    field_count: u32,
    fields: Vec<fields::FieldJson<'a>>,
    /// What was added to the decision, in the order of the log; empty where nothing was.
    later: Vec<LaterJson<'a>>,
    /// The highest rung that the file claims; what of it holds is in `verification`.
    rung: &'static str,
    /// The highest rung that it is proved to stand on; null where no policy was given.
    proved_rung: Option<&'static str>,
    /// Where the log was fixed outside, as the file claims.
    anchors: Vec<AnchorJson<'a>>,
    /// The report where a policy was given; null means that nothing was verified.
    verification: Option<&'a Answer>,
}

/// A later entry as JSON.
#[derive(Serialize)]
struct LaterJson<'a> {
    kind: &'static str,
    leaf_index: u64,
    recorded_at: String,
    field_count: u32,
    fields: Vec<fields::FieldJson<'a>>,
}

impl<'a> LaterJson<'a> {
    fn new(later: &'a LaterEntry) -> Self {
        let entry = later.entry();
        Self {
            kind: entry.kind.as_str(),
            leaf_index: later.index().get(),
            recorded_at: entry.recorded_at.to_string(),
            field_count: entry.commitment.map_or(0, |commitment| commitment.count),
            fields: later.disclosure().openings.iter().map(fields::json).collect(),
        }
    }
}

/// An anchor as JSON.
#[derive(Serialize)]
struct AnchorJson<'a> {
    lane: &'a str,
    kind: &'a str,
    seq: u64,
    tree_size: u64,
}

impl<'a> AnchorJson<'a> {
    fn new(anchor: &'a ReceiptAnchor) -> Self {
        let statement = anchor.statement();
        Self {
            lane: statement.lane.as_str(),
            kind: anchor.kind_word(),
            seq: statement.seq,
            tree_size: statement.to.size.get(),
        }
    }
}

impl<'a> View<'a> {
    fn new(receipt: &'a Receipt, verification: Option<&'a Answer>, proved: Option<Rung>) -> Self {
        let entry = receipt.entry();
        Self {
            format: FORMAT,
            origin: receipt.origin().to_string(),
            decision_id: receipt.decision().to_string(),
            leaf_index: receipt.index().get(),
            tree_size: receipt.checkpoint().checkpoint().size.get(),
            recorded_at: entry.recorded_at.to_string(),
            writer: entry.writer.to_string(),
            field_count: entry.commitment.map_or(0, |commitment| commitment.count),
            fields: receipt.disclosure().openings.iter().map(fields::json).collect(),
            later: receipt.later().iter().map(LaterJson::new).collect(),
            rung: receipt.rung().as_str(),
            proved_rung: proved.map(Rung::as_str),
            anchors: receipt.anchors().iter().map(AnchorJson::new).collect(),
            verification,
        }
    }
}

/// The receipt as text.
fn text(receipt: &Receipt) -> String {
    let entry = receipt.entry();
    let shown = receipt.disclosure().openings.len() as u64;
    let count = entry.commitment.map_or(0, |commitment| u64::from(commitment.count));
    let mut text = format!("Decision   {}\n", receipt.decision());
    text.push_str(&format!("Log        {}\n", printable(receipt.origin().as_str())));
    text.push_str(&format!(
        "Place      entry {} of {}, counted from 0\n",
        thousands(receipt.index().get()),
        thousands(receipt.checkpoint().checkpoint().size.get())
    ));
    text.push_str(&format!("Recorded   {} by {}\n", entry.recorded_at, entry.writer));
    text.push_str(&anchored(receipt));
    if let Some(model) = entry.model {
        text.push_str(&format!("Model      SHA-256 {model}\n"));
    }
    let closed = match count.saturating_sub(shown) {
        0 => "None is kept back.".to_owned(),
        closed => format!(
            "The other {} closed: this file tells nothing about what is in them.",
            plural(closed, "one stays", "stay")
        ),
    };
    let fields =
        format!("This receipt shows {shown} of the record's {}. {closed}", plural(count, "field", "fields"));
    text.push('\n');
    text.push_str(&wrapped(&fields, "", 0));
    text.push_str(&fields::text(&receipt.disclosure().openings));
    for later in receipt.later() {
        text.push_str(&format!(
            "\nLater, {}: {} (entry {})\n",
            later.entry().recorded_at,
            later.entry().kind,
            thousands(later.index().get())
        ));
        text.push_str(&fields::text(&later.disclosure().openings));
    }
    text
}

/// Where the log was fixed outside with the entry in it, a line for each anchor.
fn anchored(receipt: &Receipt) -> String {
    let line = |(at, anchor): (usize, &ReceiptAnchor)| {
        let statement = anchor.statement();
        format!(
            "{}by {} ({}) with the first {} entries\n",
            if at == 0 { "Anchored   " } else { "           " },
            statement.lane,
            printable(anchor.kind_word()),
            thousands(statement.to.size.get())
        )
    };
    match receipt.anchors() {
        [] => "Anchored   not yet\n".to_owned(),
        anchors => anchors.iter().enumerate().map(line).collect(),
    }
}
