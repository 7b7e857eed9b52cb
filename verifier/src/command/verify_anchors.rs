//! `ledgerstone verify anchors`: what fixes a log's head outside, from the first statement to the last.
//!
//! Guarantees: nothing is asked of a chain, a calendar or an authority; every file is read once and bounded. Does not do:
//! walking the log's entries; that is `verify log`, which makes these checks too.
//! Specification: `docs/spec/anchor-trust.md`, `docs/spec/report.md`.

mod advice;
mod at_hand;

use std::path::{Path, PathBuf};

use ledgerstone::checkpoint::{Checkpoint, SignedCheckpoint};
use ledgerstone::code::{CheckName, Code};
use ledgerstone::entry::AnchorDetails;
use ledgerstone::merkle::{LeafIndex, TreeSize};
use ledgerstone::policy::Policy;
use ledgerstone::verify::anchors::{
    AnchorTrust, Context, LaneReport, Logs, NOT_PROVED, WITHOUT_LOG, against, quorum_check, told_by,
};
use ledgerstone::verify::{self, Check, PLACES_MAX, Report, Status};

use super::trust;
use crate::anchors::{self, Shelf};
use crate::cli::VerifyAnchorsArguments;
use crate::exit::{Exit, Refusal};
use crate::output::{Answer, Output, plural};
use crate::progress::Progress;
use crate::source::{self, Directory, Source, WebOptions};

use at_hand::AtHand;

/// What anchors are checked against.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Whom the user trusts about the log.
    pub policy: Option<Policy>,
    /// Whom the user trusts about anchors.
    pub trust: Option<AnchorTrust>,
}

/// Where anchors are, and the log beside them.
pub(super) struct Place {
    folder: Option<PathBuf>,
    /// The log, where there is one.
    pub(super) log: Option<Box<dyn Source>>,
    /// The place as the user named it.
    pub(super) label: String,
}

impl Place {
    /// The shelf that the anchors lie on.
    ///
    /// # Errors
    /// There is neither a folder nor a server, which is a defect.
    pub(super) fn shelf(&self) -> Result<Shelf<'_>, Refusal> {
        match (&self.folder, &self.log) {
            (Some(folder), _) => Ok(Shelf::Folder(folder)),
            (None, Some(log)) => Ok(Shelf::Server(log.as_ref())),
            (None, None) => {
                Err(Refusal::new(Code::Internal, "there is no place to read from", "Report this."))
            }
        }
    }
}

/// Checks the anchors that the command line names and prints the report.
///
/// # Errors
/// A file that the command line names cannot be read or is malformed, or the place holds no anchors.
pub(super) fn run(arguments: &VerifyAnchorsArguments, output: &mut Output) -> Result<Exit, Refusal> {
    let options =
        Options { policy: trust::policy(&arguments.trust)?, trust: trust::anchors(&arguments.anchor_trust)? };
    let web = arguments.network.options();
    let place = find(&arguments.source, &web)?;
    let mut progress = output.progress();
    let answer = run_on(&place, &options, &mut progress)?;
    drop(progress);
    output.answer(&answer)
}

/// Checks the anchors in a directory: a store, or a copy of its `anchors` folder with or without the log.
///
/// # Errors
/// The directory holds no anchors.
pub fn run_on_dir(
    directory: &Path,
    options: &Options,
    progress: &mut dyn Progress,
) -> Result<Answer, Refusal> {
    run_on(&find_in(directory)?, options, progress)
}

/// The place that `name` means: a URL, or a directory.
///
/// # Errors
/// It cannot be opened, or holds no anchors.
pub(super) fn find(name: &str, web: &WebOptions) -> Result<Place, Refusal> {
    if name.contains("://") {
        let log = source::open(name, web)?;
        return Ok(Place { folder: None, label: log.label().to_owned(), log: Some(log) });
    }
    find_in(Path::new(name))
}

fn find_in(directory: &Path) -> Result<Place, Refusal> {
    let label = directory.display().to_string();
    let Some(folder) = anchors::folder_in(directory) else {
        // A place that is no directory says so itself.
        if !directory.is_dir() {
            Directory::open(directory)?;
        }
        return Err(Refusal::malformed(
            format_args!("{label} holds no anchors: it has no folder `anchors`, nor a lane of statements"),
            "Name the sidecar's store directory, or a copy of the `anchors` folder inside it.",
        ));
    };
    let has_log =
        ["log", "log.policy", "checkpoint", "tile"].iter().any(|name| directory.join(name).exists());
    let log = if has_log { Some(Box::new(Directory::open(directory)?) as Box<dyn Source>) } else { None };
    Ok(Place { folder: Some(folder), log, label })
}

fn run_on(found: &Place, options: &Options, progress: &mut dyn Progress) -> Result<Answer, Refusal> {
    let shelf = found.shelf()?;
    // The anchors first: a running log may be fixed further while this reads, and its checkpoint must not be older than they.
    let read = Lanes::read(&shelf, options, progress)?;
    let mut checks = read.checks();
    let mut not_proved = NOT_PROVED.to_vec();
    let mut seen = None;
    match &found.log {
        None => not_proved.push(WITHOUT_LOG),
        Some(log) => {
            let note = log.checkpoint()?;
            let signed = super::log_checkpoint::parse(log.as_ref(), &note)?;
            let (own, _) = verify::checkpoint(&note, options.policy.as_ref());
            checks.extend(
                own.checks().iter().filter(|check| check.name != CheckName::CheckpointFormat).cloned(),
            );
            checks.push(read.against(log.as_ref(), signed.checkpoint()));
            seen = witnessed(&signed, options.policy.as_ref());
        }
    }
    checks.extend(read.quorum(options, seen));
    checks.extend(read.strangers());
    let report = Report::new(subject(&found.label, &read), checks, not_proved);
    let next = advice::next(&report, options);
    Ok(Answer { meaning: advice::meaning(&report), report, next })
}

/// The lanes of a log, each walked.
pub(super) struct Lanes(Vec<LaneReport>);

impl Lanes {
    /// Walks every lane on the shelf.
    ///
    /// # Errors
    /// The lanes cannot be told at all.
    pub(super) fn read(
        shelf: &Shelf<'_>,
        options: &Options,
        progress: &mut dyn Progress,
    ) -> Result<Self, Refusal> {
        let logs = options.policy.as_ref().map(Logs::of);
        let context = Context::new(logs.as_ref(), options.trust.as_ref());
        Ok(Self(anchors::walk(shelf, context, progress)?))
    }

    /// Those that have a statement, or should have.
    pub(super) fn begun(mut self) -> Self {
        let failed = |lane: &LaneReport| lane.checks.iter().any(|check| check.status == Status::Failed);
        self.0.retain(|lane| lane.statements > 0 || failed(lane));
        self
    }

    /// Every lane's own checks.
    pub(super) fn checks(&self) -> Vec<Check> {
        let mut checks: Vec<Check> = self.0.iter().flat_map(|lane| lane.checks.clone()).collect();
        if self.0.is_empty() {
            checks.push(Check::not_checked(CheckName::AnchorStatements, "There is no lane of statements."));
        }
        checks
    }

    /// The checks about the statements alone, without those of their proofs.
    pub(super) fn statement_checks(&self) -> Vec<Check> {
        let mut checks = self.checks();
        checks.retain(|check| check.name == CheckName::AnchorStatements);
        checks
    }

    /// How many statements a lane has; 0 where there is no such lane.
    pub(super) fn statements_of(&self, lane: &str) -> u64 {
        self.0.iter().find(|report| report.name == lane).map_or(0, |report| report.statements)
    }

    /// Whether there is no lane.
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the log at `source`, whose newest tree is `own`, extends what the lanes fixed.
    pub(super) fn against(&self, source: &dyn Source, own: &Checkpoint) -> Check {
        against(&self.0, &AtHand::new(source, own))
    }

    /// What the log's own anchor entries name and is not here; nothing where all of it is.
    pub(super) fn told_by(&self, entries: &[(LeafIndex, AnchorDetails)]) -> Option<Check> {
        told_by(entries, &self.0)
    }

    /// Whether enough kinds hold, where the user asks for any.
    pub(super) fn quorum(&self, options: &Options, witnessed: Option<TreeSize>) -> Option<Check> {
        let quorum = options.trust.as_ref()?.quorum()?;
        Some(quorum_check(quorum, &self.0, witnessed))
    }

    /// Names what lies among the anchors and is none of them.
    fn strangers(&self) -> Option<Check> {
        let all: Vec<&String> = self.0.iter().flat_map(|lane| &lane.strangers).collect();
        if all.is_empty() {
            return None;
        }
        let place = |path: &&String| verify::Place {
            path: Some(format!("anchors/{path}")),
            what: "It belongs to no statement and was not looked at.".to_owned(),
            ..verify::Place::default()
        };
        let files = plural(all.len() as u64, "file belongs", "files belong");
        let detail = format!("{files} to no statement and were not looked at.");
        Some(Check::passed(CheckName::LogFiles, detail).at(all.iter().take(PLACES_MAX).map(place)))
    }
}

/// The size of the log's tree, if enough witnesses saw it.
pub(super) fn witnessed(signed: &SignedCheckpoint, policy: Option<&Policy>) -> Option<TreeSize> {
    let policy = policy.filter(|policy| policy.asks_for_witnesses())?;
    policy.check_log(signed).ok()?;
    policy.check_quorum(signed).ok()?;
    Some(signed.checkpoint().size)
}

fn subject(label: &str, lanes: &Lanes) -> String {
    let names: Vec<&str> = lanes.0.iter().map(|lane| lane.name.as_str()).collect();
    let origin = lanes.0.iter().find_map(|lane| lane.origin.as_ref());
    let log = origin.map_or_else(String::new, |origin| format!(" of the log {origin}"));
    format!(
        "The anchors{log} at {label}, {}: {}",
        plural(names.len() as u64, "lane", "lanes"),
        names.join(", ")
    )
}
