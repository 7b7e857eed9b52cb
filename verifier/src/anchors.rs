//! The anchors beside a log: read from a folder or a server, lane by lane, statement by statement.
//!
//! Guarantees: every file is bounded before it is read; a symbolic link, a pipe or a socket is not followed or opened; a
//! statement that is missing below another one is a fault, not an end; memory does not grow with the number of statements.
//! Does not do: judging; that is [`ledgerstone::verify::anchors`].
//! Layout: `docs/spec/store.md`, section on anchors.

mod shelf;
mod trust;

use ledgerstone::anchor::statement::AnchorKind;
use ledgerstone::limits::{
    ANCHOR_HEADERS_BYTES_MAX, ANCHOR_LANES_MAX, ANCHOR_PROOF_BYTES_MAX, ANCHOR_SEQ_MAX,
    CONSISTENCY_TEXT_BYTES_MAX, LANE_BYTES_MAX, NOTE_BYTES_MAX, STATEMENT_BYTES_MAX,
};
use ledgerstone::verify::anchors::{Context, LaneFiles, LaneReport, LaneWalk, lane_kind, proof_file};

use crate::exit::Refusal;
use crate::progress::Progress;
use crate::source::ReadError;

pub use shelf::{Place, Shelf, folder_in, place};
pub use trust::{ReadNamed, TRUST_FORMAT, TrustError, parse as parse_trust, read as read_trust};

/// The name of a proof's file by the kind that writes it.
const PROOFS: [&str; 3] = ["proof.tsr", "proof.ots", "proof.evm"];

/// The folder of the statement numbered `seq`.
#[must_use]
pub fn folder_of(seq: u64) -> String {
    format!("{seq:08}")
}

/// The number of the statement whose folder has that name.
#[must_use]
pub fn seq_of(folder: &str) -> Option<u64> {
    let seq = folder.parse::<u64>().ok()?;
    (seq > 0 && folder_of(seq) == folder && folder.len() == 8).then_some(seq)
}

/// Walks every lane on the shelf, and says what holds in each.
///
/// # Errors
/// The lanes cannot be told at all.
pub fn walk(
    shelf: &Shelf<'_>,
    context: Context<'_>,
    progress: &mut dyn Progress,
) -> Result<Vec<LaneReport>, Refusal> {
    let lanes = shelf.lanes()?;
    if lanes.len() > ANCHOR_LANES_MAX {
        return Err(Refusal::malformed(
            format_args!(
                "{} has {} lanes, more than the {ANCHOR_LANES_MAX} that a log can have",
                shelf.label(),
                lanes.len()
            ),
            "Check that this is the folder of anchors that you meant.",
        ));
    }
    Ok(lanes.iter().map(|lane| walk_lane(shelf, lane, context, progress)).collect())
}

fn walk_lane(shelf: &Shelf<'_>, lane: &str, context: Context<'_>, progress: &mut dyn Progress) -> LaneReport {
    let about = shelf.read(&format!("{lane}/lane"), LANE_BYTES_MAX);
    let kind = about.as_ref().ok().and_then(|about| lane_kind(about).ok());
    let mut walk = match &about {
        Ok(about) => LaneWalk::new(lane, about, context),
        Err(error) => LaneWalk::without_description(lane, &sentence(error), context),
    };
    let known = match shelf.statements(lane) {
        Ok(known) => known,
        Err(error) => {
            walk.unreadable(&error.to_string());
            return walk.finish();
        }
    };
    let mut seq = 1;
    while seq <= ANCHOR_SEQ_MAX {
        // A folder can be listed: its last number says where the lane ends. A server is asked until it has no more.
        let last = known.as_ref().map(|known| known.last);
        if last.is_some_and(|last| seq > last) {
            break;
        }
        match statement(shelf, lane, seq, kind) {
            Ok(Some(files)) => walk.statement(seq, &files),
            Ok(None) if last.is_none() && !follows(shelf, lane, seq) => break,
            Ok(None) => walk.missing(seq),
            Err(error) if error.is_about_the_data() => walk.wrong(seq, &error.to_string()),
            Err(error) => {
                walk.unreadable(&error.to_string());
                break;
            }
        }
        progress.advance("anchors", seq, last.unwrap_or(seq));
        seq += 1;
        if walk.is_beyond_hope() {
            break;
        }
    }
    if let Some(known) = known {
        if known.last > ANCHOR_SEQ_MAX {
            walk.unreadable(&format!("{lane} has more than {ANCHOR_SEQ_MAX} statements"));
        }
        walk.strangers(known.strangers);
    }
    walk.finish()
}

/// Whether a server that lacks statement `seq` has the next one.
fn follows(shelf: &Shelf<'_>, lane: &str, seq: u64) -> bool {
    shelf.read(&format!("{lane}/{}/statement", folder_of(seq + 1)), STATEMENT_BYTES_MAX).is_ok()
}

/// Everything about one statement; nothing where there is none with that number. A server is asked only for what a lane of
/// its kind has.
///
/// # Errors
/// A file is there and cannot be read, or is larger than anything that belongs there.
pub fn statement(
    shelf: &Shelf<'_>,
    lane: &str,
    seq: u64,
    kind: Option<AnchorKind>,
) -> Result<Option<LaneFiles>, ReadError> {
    let read = |name: &str, bytes_max: usize| {
        optional(shelf.read(&format!("{lane}/{}/{name}", folder_of(seq)), bytes_max))
    };
    let Some(statement) = read("statement", STATEMENT_BYTES_MAX)? else {
        return Ok(None);
    };
    let is_asked =
        |name: &str| matches!(shelf, Shelf::Folder(_)) || kind.is_some_and(|kind| proof_file(kind) == name);
    let mut proofs = Vec::new();
    for name in PROOFS.into_iter().filter(|name| is_asked(name)) {
        proofs.extend(read(name, ANCHOR_PROOF_BYTES_MAX)?.map(|bytes| (name.to_owned(), bytes)));
    }
    let has_headers = matches!(shelf, Shelf::Folder(_)) || kind == Some(AnchorKind::Bitcoin);
    Ok(Some(LaneFiles {
        statement,
        checkpoint: read("checkpoint", NOTE_BYTES_MAX)?,
        consistency: read("consistency", CONSISTENCY_TEXT_BYTES_MAX)?,
        proofs,
        headers: if has_headers { read("headers", ANCHOR_HEADERS_BYTES_MAX)? } else { None },
    }))
}

fn optional(read: Result<Vec<u8>, ReadError>) -> Result<Option<Vec<u8>>, ReadError> {
    match read {
        Err(ReadError::Missing { .. }) => Ok(None),
        read => read.map(Some),
    }
}

fn sentence(error: &ReadError) -> String {
    match error {
        ReadError::Missing { .. } => "it is missing".to_owned(),
        other => other.to_string(),
    }
}
