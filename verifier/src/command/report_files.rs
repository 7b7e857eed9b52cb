//! What the reports of figures share: reading a bundle's decisions, and writing a report's files.
//!
//! Guarantees: nothing is written unless everything can be; the trace, which says who belongs to which group, is readable by its owner
//! alone.

use std::path::{Path, PathBuf};

use ledgerstone::evidence::Selection;
use ledgerstone::hash::Hash;
use serde::Serialize;

use super::key_generate::{Secrecy, write_new};
use super::trust;
use crate::bundle::{Bundle, Order};
use crate::cli::FiguresArguments;
use crate::exit::{Exit, Refusal};
use crate::output::{Output, printable, wrapped};
use crate::progress::Progress as _;
use crate::report::{html, pdf};
use crate::statistics::{Decided, Files, Reader, Source};

/// Columns before the text of a line.
const INDENT: usize = 12;

/// What was written, as JSON.
#[derive(Serialize)]
struct WrittenJson<'a> {
    format: &'static str,
    headline: &'a str,
    checkpoint_verified: bool,
    /// SHA-256 of report.json.
    sha256: String,
    files: Vec<String>,
}

/// Reads the decisions of a bundle.
///
/// # Errors
/// It does not read, does not hold together, or is one of a draw.
pub(super) fn decided(
    arguments: &FiguresArguments,
    score: Option<&str>,
    output: &mut Output,
) -> Result<(Decided, Source), Refusal> {
    let policy = trust::policy(&arguments.trust)?;
    let mut progress = output.progress();
    let bundle = Bundle::new(&arguments.bundle, &arguments.identities);
    let (order, source, reader) = bundle.read(
        |front| {
            trust::check(policy.as_ref(), &front.checkpoint)?;
            let Selection::Range { first_index, last_index } = front.header.selection else {
                return Err(Refusal::usage(
                    "the bundle holds a draw, and rates of a sample are not rates of all",
                    "Export a range: `ledgerstone-sidecar bundle export --from N --to M`.",
                ));
            };
            let source = Source {
                origin: front.header.origin.clone(),
                tree_size: front.header.tree_size,
                root: front.header.root.clone(),
                checkpoint_verified: policy.is_some(),
                entries: (first_index, last_index),
            };
            Ok((Order::new(&front, None), source, Reader::new(score.map(str::to_owned))))
        },
        |(order, _, reader), number, bytes| -> Result<(), Refusal> {
            let proved = order.prove(number, &bytes)?;
            order.take(proved.run.first.get(), proved.entries.len() as u64)?;
            for ((index, entry), (_, record)) in proved.entries.iter().zip(&proved.run.entries) {
                reader.take(*index, entry, record).map_err(|error| {
                    Refusal::new(ledgerstone::code::Code::Limit, error, "Make one report of each part.")
                })?;
            }
            progress.advance("entries", order.taken(), order.entries());
            Ok(())
        },
    )?;
    drop(progress);
    order.finish()?;
    Ok((reader.finish(), source))
}

/// Writes new files into `folder`, which is made where it is not there; nothing if one of them is there already.
///
/// # Errors
/// One is there, or cannot be written.
pub(super) fn write_folder(folder: &Path, files: &[(&str, &[u8], Secrecy)]) -> Result<Vec<PathBuf>, Refusal> {
    let places: Vec<PathBuf> = files.iter().map(|(name, ..)| folder.join(name)).collect();
    if let Some(there) = places.iter().find(|place| place.exists()) {
        return Err(Refusal::usage(
            format_args!("{} exists already and was left as it is", there.display()),
            "Choose another folder, or move that file away first.",
        ));
    }
    std::fs::create_dir_all(folder).map_err(|error| {
        Refusal::unavailable(
            format_args!("{} cannot be made: {error}", folder.display()),
            "Check that its parent has room, and that this user may write there.",
        )
    })?;
    for (place, (_, bytes, secrecy)) in places.iter().zip(files) {
        write_new(place, bytes, *secrecy)?;
    }
    Ok(places)
}

/// Writes a report and says what it comes to.
///
/// # Errors
/// A file is there already or cannot be written.
pub(super) fn write(
    format: &'static str,
    arguments: &FiguresArguments,
    files: &Files,
    checkpoint_verified: bool,
    output: &mut Output,
) -> Result<Exit, Refusal> {
    let (page, paper) = (html(&files.page), pdf(&files.page));
    let places = write_folder(
        &arguments.output,
        &[
            ("trace.csv", files.trace.as_bytes(), Secrecy::Secret),
            ("report.json", files.json.as_bytes(), Secrecy::Public),
            ("report.csv", files.csv.as_bytes(), Secrecy::Public),
            ("report.html", page.as_bytes(), Secrecy::Public),
            ("report.pdf", &paper, Secrecy::Public),
        ],
    )?;
    let headline = files.page.headline();
    let sha256 = Hash::of(files.json.as_bytes()).to_string();
    let files = places.iter().map(|place| place.display().to_string()).collect::<Vec<_>>();
    if output.is_json() {
        output.json(&WrittenJson { format, headline, checkpoint_verified, sha256, files })?;
    } else {
        let line = |name: &str, value: &str| wrapped(value, &format!("{name:<INDENT$}"), INDENT);
        let text = wrapped(&printable(headline), "", 0) + "\n";
        output.print(&(text + &line("SHA-256", &sha256) + &line("Written", &files.join(" "))))?;
        if !checkpoint_verified {
            output
                .remark("The checkpoint was not verified: give --policy FILE with the keys that you trust.");
        }
    }
    Ok(if checkpoint_verified { Exit::Verified } else { Exit::Undecided })
}
