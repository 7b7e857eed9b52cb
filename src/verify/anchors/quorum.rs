//! How many independent kinds of anchors a reader asks for, and whether they hold.

use core::fmt;
use core::str::FromStr;

use super::LaneReport;
use crate::anchor::statement::AnchorKind;
use crate::check::Check;
use crate::code::{CheckName, Code};
use crate::merkle::TreeSize;
use crate::verify::plural;

/// So many kinds of these must hold: `2 of ethereum, bitcoin, rfc3161, witnesses`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnchorQuorum {
    threshold: usize,
    kinds: Vec<AnchorKind>,
}

impl AnchorQuorum {
    /// How many kinds must hold.
    #[must_use]
    pub const fn threshold(&self) -> usize {
        self.threshold
    }

    /// The kinds that count.
    #[must_use]
    pub fn kinds(&self) -> &[AnchorKind] {
        &self.kinds
    }
}

impl FromStr for AnchorQuorum {
    type Err = QuorumError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (threshold, kinds) = text.split_once(" of ").ok_or(QuorumError::Form)?;
        let threshold = usize::try_from(crate::checkpoint::decimal(threshold).ok_or(QuorumError::Form)?)
            .map_err(|_| QuorumError::Threshold)?;
        let mut found = Vec::with_capacity(AnchorKind::ALL.len());
        for word in kinds.split(',').map(str::trim) {
            let kind = AnchorKind::from_word(word).ok_or(QuorumError::Kind)?;
            if found.contains(&kind) {
                return Err(QuorumError::Twice { kind });
            }
            found.push(kind);
        }
        if !(1..=found.len()).contains(&threshold) {
            return Err(QuorumError::Threshold);
        }
        Ok(Self { threshold, kinds: found })
    }
}

impl fmt::Display for AnchorQuorum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds: Vec<_> = self.kinds.iter().map(|kind| kind.as_str()).collect();
        write!(f, "{} of {}", self.threshold, kinds.join(", "))
    }
}

/// Why a text is not a quorum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QuorumError {
    /// Not `N of KIND, ...`.
    #[error("write a quorum as `2 of ethereum, bitcoin, rfc3161, witnesses`")]
    Form,
    /// A word that names no kind.
    #[error("a quorum counts the kinds ethereum, bitcoin, rfc3161 and witnesses, and no others")]
    Kind,
    /// A kind stands twice.
    #[error("the quorum names {kind} twice: each kind counts once, because its failures come together")]
    Twice {
        /// The kind.
        kind: AnchorKind,
    },
    /// No number from 1 to the number of kinds.
    #[error("the quorum asks for none, or for more kinds than it names")]
    Threshold,
}

impl QuorumError {
    /// What the reader must do about it.
    #[must_use]
    pub const fn code(self) -> Code {
        Code::Malformed
    }
}

/// Whether as many kinds hold as the quorum asks for, and up to which size; `witnessed` is the size of a log that a quorum of
/// witnesses cosigned.
#[must_use]
pub fn check(quorum: &AnchorQuorum, lanes: &[LaneReport], witnessed: Option<TreeSize>) -> Check {
    let mut holding: Vec<(TreeSize, AnchorKind)> =
        quorum.kinds.iter().filter_map(|kind| Some((size_of(*kind, lanes, witnessed)?, *kind))).collect();
    holding.sort_by(|one, other| other.cmp(one));
    let found: Vec<String> = holding
        .iter()
        .map(|(size, kind)| format!("{kind} holds for the first {}", plural(size.get(), "entry", "entries")))
        .collect();
    let found = if found.is_empty() { "no kind holds".to_owned() } else { found.join(", ") };
    match holding.get(quorum.threshold - 1) {
        Some((size, _)) => Check::passed(
            CheckName::AnchorQuorum,
            format!(
                "The policy asks for {quorum}: {found}. It is met for the first {} of the log.",
                plural(size.get(), "entry", "entries")
            ),
        ),
        None => missed(quorum, lanes, &found),
    }
}

/// A quorum that is missed: failed if a lane failed, else not checked, because the rest may still come.
fn missed(quorum: &AnchorQuorum, lanes: &[LaneReport], found: &str) -> Check {
    let detail = format!("The policy asks for {quorum}, but {found}.");
    let failed =
        |lane: &LaneReport| lane.checks.iter().any(|check| check.status == crate::check::Status::Failed);
    if lanes.iter().any(failed) {
        Check::failed(CheckName::AnchorQuorum, Code::Untrusted, detail)
    } else {
        let detail = format!("{detail} The others are not there, not yet anchored, or could not be checked.");
        Check::not_checked(CheckName::AnchorQuorum, detail)
    }
}

/// How many entries a kind holds for: as many as its best lane does.
fn size_of(kind: AnchorKind, lanes: &[LaneReport], witnessed: Option<TreeSize>) -> Option<TreeSize> {
    if kind == AnchorKind::Witnesses {
        return witnessed;
    }
    let lanes = lanes.iter().filter(|lane| lane.kind == Some(kind));
    lanes.filter_map(|lane| lane.proved).map(|proved| proved.size).max()
}
