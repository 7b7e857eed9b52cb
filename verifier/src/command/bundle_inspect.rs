//! `ledgerstone bundle inspect`: what a bundle holds, every entry of it proved.
//!
//! Guarantees: every part is read, and every entry proved to stand in the bundle's tree, before anything is said of it.
//! Does not do: recompute.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use ledgerstone::entry::Kind;
use ledgerstone::evidence::{Header, RecordPart};
use serde::Serialize;

use super::trust;
use crate::audit::Draw;
use crate::bundle::{Bundle, BundleError, Order};
use crate::cli::BundleInspectArguments;
use crate::exit::{Exit, Refusal};
use crate::output::{Output, printable, thousands};
use crate::progress::Progress as _;

/// The format of this command's JSON.
const FORMAT: &str = "ledgerstone-bundle-inspection/v1";

/// What was found, as JSON.
#[derive(Serialize)]
struct Inspection {
    format: &'static str,
    header: Header,
    checkpoint_verified: bool,
    /// Entries by kind.
    kinds: BTreeMap<&'static str, u64>,
    /// Records that came along and are those that their entries commit to.
    records: u64,
    /// Records that did not, by reason.
    absent: BTreeMap<String, u64>,
    /// Decisions by the model that their entry names.
    models: BTreeMap<String, u64>,
}

/// Prints what a bundle holds.
///
/// # Errors
/// The bundle does not read, or does not hold together.
pub(super) fn run(arguments: &BundleInspectArguments, output: &mut Output) -> Result<Exit, Refusal> {
    let policy = trust::policy(&arguments.trust)?;
    let mut progress = output.progress();
    let bundle = Bundle::new(&arguments.bundle, &arguments.identities);
    let state = bundle.read(
        |front| {
            trust::check(policy.as_ref(), &front.checkpoint)?;
            let listed = match &front.draw {
                None => None,
                Some(part) => {
                    let wrong = |problem: String| BundleError::Draw { problem };
                    let draw = Draw::parse(&part.transcript).map_err(|error| wrong(error.to_string()))?;
                    part.check(draw.checkpoint.size, &draw.checkpoint.root, &front)?;
                    Some(draw.listed().0)
                }
            };
            let inspection = Inspection {
                format: FORMAT,
                checkpoint_verified: policy.is_some(),
                kinds: BTreeMap::new(),
                records: 0,
                absent: BTreeMap::new(),
                models: BTreeMap::new(),
                header: front.header.clone(),
            };
            Ok((Order::new(&front, listed), inspection))
        },
        |(order, inspection), number, bytes| -> Result<(), Refusal> {
            let proved = order.prove(number, &bytes)?;
            order.take(proved.run.first.get(), proved.entries.len() as u64)?;
            for ((_, entry), (_, record)) in proved.entries.iter().zip(&proved.run.entries) {
                *inspection.kinds.entry(entry.kind.as_str()).or_default() += 1;
                if entry.kind == Kind::Decision {
                    let model = entry.model.map_or_else(|| "none".to_owned(), |digest| digest.to_string());
                    *inspection.models.entry(model).or_default() += 1;
                }
                match record.contents(entry) {
                    Ok(_) => inspection.records += 1,
                    Err(_) if matches!(record, RecordPart::None) && entry.sealed.is_none() => {}
                    Err(why) => *inspection.absent.entry(why.to_string()).or_default() += 1,
                }
            }
            progress.advance("entries", order.taken(), order.entries());
            Ok(())
        },
    );
    drop(progress);
    let (order, inspection) = state?;
    order.finish()?;
    if output.is_json() {
        output.json(&inspection)?;
    } else {
        output.print(&text(&inspection))?;
        if policy.is_none() {
            output
                .remark("The checkpoint was not verified: give --policy FILE with the keys that you trust.");
        }
    }
    Ok(if policy.is_some() { Exit::Verified } else { Exit::Undecided })
}

fn text(inspection: &Inspection) -> String {
    let Header { origin, tree_size, root, entries, models, registrations, .. } = &inspection.header;
    let mut text = format!(
        "Log      {} at {} entries, root {root}\nEntries  {}, each proved to stand in it\n",
        printable(origin),
        thousands(*tree_size),
        thousands(*entries)
    );
    // Writing to a string does not fail.
    for (kind, count) in &inspection.kinds {
        let _ = writeln!(text, "         {:>10} {kind}", thousands(*count));
    }
    let _ = writeln!(
        text,
        "Records  {:>10} are those that their entries commit to",
        thousands(inspection.records)
    );
    for (why, count) in &inspection.absent {
        let _ = writeln!(text, "         {:>10} absent: {why}", thousands(*count));
    }
    for (digest, count) in &inspection.models {
        let here = models.iter().find(|model| model.digest == *digest);
        let standing = match here {
            Some(model) => format!("comes along, {} files, {} bytes", model.files, thousands(model.bytes)),
            None => "does not come along".to_owned(),
        };
        let _ = writeln!(text, "Model    {:>10} decisions name {digest}: {standing}", thousands(*count));
    }
    if *registrations > 0 {
        let _ = writeln!(text, "         {:>10} registrations of models", thousands(*registrations));
    }
    text
}
