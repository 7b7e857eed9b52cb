//! `ledgerstone verify log`: derives a whole log anew from its entries and holds everything stored against that.
//!
//! Guarantees: every entry is hashed, every tile and bundle file present is compared, every checkpoint given is checked
//! and its root recomputed; in a store directory also its identity, its sealed records and its journal. Memory does not
//! grow with the log. Keys found in the directory itself never make it *verified*. Does not do: looking into `index/`
//! and `lock`, which are derived (`docs/spec/store.md`). Carries the reader's side of INV-1, INV-2, INV-5 and INV-10
//! through [`Walk`].

mod advice;
mod anchored;
mod erased;
mod files;
mod head;
mod journal;
mod sealed;
mod stored;

use std::path::Path;

use ledgerstone::limits::NOTE_BYTES_MAX;
use ledgerstone::policy::Policy;
use ledgerstone::verify::Report;
use ledgerstone::verify::anchors::AnchorTrust;
use ledgerstone::verify::log::{NOT_PROVED, Walk};

use super::trust;
use crate::cli::VerifyLogArguments;
use crate::exit::{Exit, Refusal};
use crate::output::{Answer, Output, plural};
use crate::progress::Progress;
use crate::source::{self, Directory, Source, read_input};

use anchored::Anchored;
use head::Head;
use sealed::Sealed;
use stored::Stored;

/// What stays open where a run of a recorder ended without a stop.
const CUT_OFF: &str = "What a recorder that was cut off had in its hands at that moment: nobody can know. In strict mode no \
                       caller got an answer to it.";

/// What stays open where anchors lie beside the log and the user names nobody whom they could rest on.
const UNCHECKED_ANCHORS: &str = "That the log was fixed outside: the proofs beside it were not looked at. Give --anchor-trust FILE, or see \
                                 `ledgerstone verify anchors`.";

/// What a log is checked against.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Whom the user trusts.
    pub policy: Option<Policy>,
    /// Checkpoints that came from elsewhere.
    pub checkpoints: Vec<GivenCheckpoint>,
    /// Whom the user trusts about anchors; without it only the statements of the anchors beside the log are checked.
    pub anchor_trust: Option<AnchorTrust>,
}

/// A checkpoint that came from elsewhere.
#[derive(Clone, Debug)]
pub struct GivenCheckpoint {
    /// What to call it in the report, by custom its file name.
    pub name: String,
    /// The signed note.
    pub note: Vec<u8>,
}

/// Checks the log that the command line names and prints the report.
///
/// # Errors
/// A file that the command line names cannot be read or is malformed, or the place holds no log.
pub(super) fn run(arguments: &VerifyLogArguments, output: &mut Output) -> Result<Exit, Refusal> {
    let options = Options {
        policy: trust::policy(&arguments.trust)?,
        checkpoints: arguments.checkpoints.iter().map(|path| given(path)).collect::<Result<_, _>>()?,
        anchor_trust: trust::anchors(&arguments.anchor_trust)?,
    };
    let web = arguments.network.options();
    let source = source::open(&arguments.source, &web)?;
    let mut progress = output.progress();
    let answer = run_on(source.as_ref(), &options, &mut progress)?;
    drop(progress);
    output.answer(&answer)
}

/// Checks the log in a directory: a store directory or only its public part.
///
/// # Errors
/// The directory holds no log, or its checkpoint cannot be read at all.
pub fn run_on_dir(
    directory: &Path,
    options: &Options,
    progress: &mut dyn Progress,
) -> Result<Answer, Refusal> {
    run_on(&Directory::open(directory)?, options, progress)
}

/// Checks the log at `source`.
///
/// # Errors
/// Its checkpoint cannot be read at all.
pub fn run_on(
    source: &dyn Source,
    options: &Options,
    progress: &mut dyn Progress,
) -> Result<Answer, Refusal> {
    // The anchors first: a running log may be fixed further while this reads, and its head must not be older than they.
    let anchored = Anchored::read(source, options, progress)?;
    let head = Head::read(source, options)?;
    let mut checks = head.checks.clone();
    if let Some(checkpoint) = &head.checkpoint {
        let mut walk = Walk::new(head.to_walk());
        let mut stored = Stored::new(source);
        let mut sealed = source.directory().and_then(Directory::store).map(Sealed::new);
        stored.walk(&mut walk, sealed.as_mut(), progress);
        let journal = source.directory().and_then(|directory| journal::check(directory, checkpoint));
        let told = walk.anchored();
        checks.extend(walk.finish());
        checks.extend(head.consistency(&checks));
        let unpublished = journal.as_ref().map_or(0, |journal| journal.unpublished);
        checks.extend(sealed.map(|sealed| sealed.check(unpublished > 0)));
        checks.extend(journal.map(|journal| journal.check));
        checks.extend(stored.into_check(source, checkpoint.size));
        checks.extend(anchored.iter().flat_map(|anchored| anchored.checks(source, &head, &told, options)));
    }
    let mut report = Report::new(subject(source, &head), checks, not_proved(options, anchored.is_some()));
    if advice::was_cut_off(&report) {
        let subject = report.subject().to_owned();
        report = report.about(subject, [CUT_OFF]);
    }
    let next = advice::next(&report, options.policy.is_some());
    Ok(Answer { meaning: advice::meaning(&report), report, next })
}

/// Reads a checkpoint file that the user named; a file that is no checkpoint is a malformed input, not a failed check.
fn given(path: &Path) -> Result<GivenCheckpoint, Refusal> {
    let note = read_input(path, NOTE_BYTES_MAX)?;
    let name = path.display().to_string();
    ledgerstone::checkpoint::SignedCheckpoint::parse(&note).map_err(|error| {
        Refusal::malformed(
            format_args!("{name} is not a checkpoint: {error}"),
            "Give a file that `ledgerstone log checkpoint` printed, or that a witness keeps for this log.",
        )
    })?;
    Ok(GivenCheckpoint { name, note })
}

fn subject(source: &dyn Source, head: &Head) -> String {
    head.checkpoint.as_ref().map_or_else(
        || format!("The log at {}", source.label()),
        |checkpoint| {
            let entries = plural(checkpoint.size.get(), "entry", "entries");
            format!("The log {} at {}, {entries}", checkpoint.origin, source.label())
        },
    )
}

/// What a reader might think is proved and is not.
fn not_proved(options: &Options, has_anchors: bool) -> Vec<&'static str> {
    let mut open = NOT_PROVED.to_vec();
    if has_anchors && options.anchor_trust.is_none() {
        open.push(UNCHECKED_ANCHORS);
    }
    if !options.policy.as_ref().is_some_and(Policy::asks_for_witnesses) {
        open.push(
            "That everybody is shown this same log: no independent witness was asked for. Compare checkpoints with \
             others who hold one.",
        );
    }
    open
}
