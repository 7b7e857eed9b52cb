//! The kinds of anchors: which file holds the proof of each, and what checks it.

#[cfg(feature = "opentimestamps")]
mod bitcoin;
#[cfg(feature = "evm")]
mod ethereum;
#[cfg(feature = "rfc3161")]
mod timestamp;

use super::AnchorTrust;
use crate::anchor::statement::{AnchorKind, Statement};
use crate::check::{Check, Status};
use crate::code::CheckName;
use crate::time::UnixMillis;

/// What the first key of a lane's description says.
pub(super) const LANE_FORMAT: &str = "ledgerstone-anchor-lane/v1";

/// A proof of one statement.
#[derive(Clone, Copy, Debug)]
pub(in crate::verify) struct Proof<'a> {
    /// Of which kind.
    pub(in crate::verify) kind: AnchorKind,
    /// The proof's bytes.
    pub(in crate::verify) bytes: &'a [u8],
    /// Block headers that came with it.
    pub(in crate::verify) headers: Option<&'a [u8]>,
    /// What it is about.
    pub(in crate::verify) statement: &'a Statement,
    /// The exact bytes of that.
    pub(in crate::verify) statement_bytes: &'a [u8],
}

/// What was found about a proof.
#[derive(Clone, Debug)]
pub(in crate::verify) struct Found {
    /// The kind's checks.
    pub(in crate::verify) checks: Vec<Check>,
    /// What they come to.
    pub(in crate::verify) standing: Standing,
}

/// What a proof comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::verify) enum Standing {
    /// It holds, and fixes the statement at that time at the latest.
    Holds {
        /// When, as far as the proof says.
        at: Option<UnixMillis>,
    },
    /// It is a promise so far: a calendar took the statement, and no block has it yet.
    Waits,
    /// It failed, or could not be checked.
    Open,
}

/// What the proofs of a lane taught so far, for those that follow.
#[derive(Clone, Debug, Default)]
pub(in crate::verify) struct Learned {
    /// Of each chain, by its id.
    #[cfg(feature = "evm")]
    ethereum: std::collections::BTreeMap<u64, crate::anchor::evm::Learned>,
}

/// Checks the proof of one statement, with what those before it taught.
pub(in crate::verify) fn proof(
    proof: &Proof<'_>,
    trust: Option<&AnchorTrust>,
    #[cfg_attr(not(feature = "evm"), expect(unused_variables, reason = "only EVM chains teach"))]
    learned: &mut Learned,
) -> Found {
    match proof.kind {
        #[cfg(feature = "evm")]
        AnchorKind::Ethereum => ethereum::check(proof, trust, learned),
        #[cfg(feature = "opentimestamps")]
        AnchorKind::Bitcoin => bitcoin::check(proof, trust),
        #[cfg(feature = "rfc3161")]
        AnchorKind::Rfc3161 => timestamp::check(proof, trust),
        #[allow(
            unreachable_patterns,
            reason = "with every feature the kinds above are all that have statements"
        )]
        kind => Found { checks: unbuilt(kind), standing: Standing::Open },
    }
}

/// The checks of a kind that this build leaves out.
fn unbuilt(kind: AnchorKind) -> Vec<Check> {
    let detail = format!("this build cannot check anchors of the kind {kind}; use the command line");
    checks_of(kind).iter().map(|name| Check::not_checked(*name, detail.clone())).collect()
}

/// What `checks` come to: relied on only if of each group of `needed` one passed and nothing failed.
#[cfg(any(feature = "evm", feature = "rfc3161"))]
fn standing(checks: &[Check], needed: &[&[CheckName]], at: Option<UnixMillis>) -> Standing {
    let passed =
        |name: &CheckName| checks.iter().any(|check| check.name == *name && check.status == Status::Passed);
    let failed = checks.iter().any(|check| check.status == Status::Failed);
    if !failed && needed.iter().all(|group| group.iter().any(passed)) {
        Standing::Holds { at }
    } else {
        Standing::Open
    }
}

/// The name of the file that holds a proof of that kind.
#[must_use]
pub const fn proof_file(kind: AnchorKind) -> &'static str {
    match kind {
        AnchorKind::Ethereum => "proof.evm",
        AnchorKind::Bitcoin => "proof.ots",
        AnchorKind::Rfc3161 => "proof.tsr",
        AnchorKind::Witnesses => "",
    }
}

/// The checks that a proof of that kind goes through, whatever it holds.
pub(super) const fn checks_of(kind: AnchorKind) -> &'static [CheckName] {
    match kind {
        AnchorKind::Ethereum => &[CheckName::AnchorEvmStorage, CheckName::AnchorEvmHeader],
        AnchorKind::Bitcoin => &[CheckName::AnchorBitcoinPath, CheckName::AnchorBitcoinWork],
        AnchorKind::Rfc3161 => &[CheckName::AnchorTimestampToken, CheckName::AnchorTimestampCertificate],
        AnchorKind::Witnesses => &[],
    }
}

/// The kind that a lane's description names, or why there is none. What else the description says, such as an address, is
/// its writer's word and decides nothing.
///
/// # Errors
/// Why it names none, one clause.
pub fn lane_kind(about: &[u8]) -> Result<AnchorKind, String> {
    #[derive(serde::Deserialize)]
    struct Description {
        format: String,
        kind: String,
    }
    let description: Description = serde_json::from_slice(about)
        .map_err(|_| "the file that says what the lane is cannot be read".to_owned())?;
    if description.format != LANE_FORMAT {
        return Err(format!("the file that says what the lane is has not the format {LANE_FORMAT}"));
    }
    AnchorKind::from_word(&description.kind).filter(|kind| kind.has_statements()).ok_or_else(|| {
        format!(
            "its kind is {:?}, which this build does not know; use a newer one",
            shortened(&description.kind)
        )
    })
}

/// The first letters of a text from outside.
fn shortened(text: &str) -> String {
    text.chars().take(32).collect()
}
