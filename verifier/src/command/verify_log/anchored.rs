//! The anchors beside the log, as far as they are part of its evidence.
//!
//! Guarantees: without a trust file the statements are followed all the same, and the log must extend what they fix. Does not
//! do: failing a log that has no anchors.

use std::path::PathBuf;

use ledgerstone::checkpoint::SignedCheckpoint;
use ledgerstone::entry::AnchorDetails;
use ledgerstone::merkle::LeafIndex;
use ledgerstone::verify::Check;

use super::{Head, Options};
use crate::anchors::{Shelf, statement};
use crate::command::verify_anchors::{self, Lanes, witnessed};
use crate::exit::Refusal;
use crate::progress::Progress;
use crate::source::Source;

/// The lanes beside a log.
pub(super) struct Anchored(Lanes);

impl Anchored {
    /// Walks the lanes beside the log at `source`; nothing where none has a statement yet. A server's are read only with a trust file.
    ///
    /// # Errors
    /// The user gave a trust file, and the lanes cannot be told.
    pub(super) fn read(
        source: &dyn Source,
        options: &Options,
        progress: &mut dyn Progress,
    ) -> Result<Option<Self>, Refusal> {
        let folder: Option<PathBuf> = source.anchors();
        let shelf = match (&folder, source.directory(), &options.anchor_trust) {
            (Some(folder), _, _) => Shelf::Folder(folder),
            (None, None, Some(_)) => Shelf::Server(source),
            (None, Some(_), Some(_)) | (None, _, None) => return Ok(None),
        };
        let lanes = Lanes::read(&shelf, &anchor_options(options), progress)?.begun();
        Ok((!lanes.is_empty()).then_some(Self(lanes)))
    }

    /// What holds of them beside this log, whose own entries are `told` about them.
    pub(super) fn checks(
        &self,
        source: &dyn Source,
        head: &Head,
        told: &[(LeafIndex, AnchorDetails)],
        options: &Options,
    ) -> Vec<Check> {
        let mut checks = match options.anchor_trust {
            Some(_) => self.0.checks(),
            None => self.0.statement_checks(),
        };
        let told: Vec<_> = told.iter().filter(|(_, told)| !self.came_later(source, told)).cloned().collect();
        checks.extend(self.0.told_by(&told));
        let signed = head.note.as_deref().and_then(|note| SignedCheckpoint::parse(note).ok());
        if let Some(signed) = signed {
            checks.push(self.0.against(source, signed.checkpoint()));
            checks
                .extend(self.0.quorum(&anchor_options(options), witnessed(&signed, options.policy.as_ref())));
        }
        checks
    }
}

impl Anchored {
    /// Whether a running log has added the statement since the lanes were read.
    fn came_later(&self, source: &dyn Source, told: &AnchorDetails) -> bool {
        let folder = source.anchors();
        let shelf = folder.as_deref().map_or(Shelf::Server(source), Shelf::Folder);
        self.0.statements_of(told.lane.as_str()) < told.seq
            && statement(&shelf, told.lane.as_str(), told.seq, None).is_ok_and(|found| found.is_some())
    }
}

fn anchor_options(options: &Options) -> verify_anchors::Options {
    verify_anchors::Options { policy: options.policy.clone(), trust: options.anchor_trust.clone() }
}
