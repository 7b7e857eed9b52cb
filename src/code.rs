//! Stable codes for errors and names for checks, grouped by what the reader must do next.
//!
//! The code is the contract; the text beside it may change. `docs/spec/codes.md` is the same table for readers, and a
//! test holds the two together.

use core::fmt;

/// What the receiver of an error must do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Code {
    /// The bytes are not what they claim to be: fix or fetch them again.
    Malformed,
    /// A signature or key is not one that the policy trusts: check the policy and where the data came from.
    Untrusted,
    /// Two facts contradict each other: evidence of tampering, keep both.
    Inconsistent,
    /// Something needed did not answer: try again.
    Unavailable,
    /// A named limit was passed: send less, or raise the limit.
    Limit,
    /// The caller asked for something that makes no sense here: change the call.
    Misuse,
    /// A defect in Ledgerstone: report it.
    Internal,
}

impl Code {
    /// Every code, in the order of the table.
    pub const ALL: [Self; 7] = [
        Self::Malformed,
        Self::Untrusted,
        Self::Inconsistent,
        Self::Unavailable,
        Self::Limit,
        Self::Misuse,
        Self::Internal,
    ];

    /// The code as it stands in JSON, gRPC details and SIEM events.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Untrusted => "untrusted",
            Self::Inconsistent => "inconsistent",
            Self::Unavailable => "unavailable",
            Self::Limit => "limit",
            Self::Misuse => "misuse",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl serde::Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// A check that a report names; what each proves is in [`CheckName::proves`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum CheckName {
    /// The receipt file is well formed.
    ReceiptFormat,
    /// The receipt's entry is a decision's, and the one it names.
    ReceiptEntry,
    /// The disclosed fields belong to the entry.
    ReceiptFields,
    /// The entry is in the log's tree.
    ReceiptInclusion,
    /// The checkpoint is well formed.
    CheckpointFormat,
    /// The log signed the checkpoint with all of its keys.
    CheckpointSignatures,
    /// Enough witnesses cosigned the checkpoint.
    CheckpointQuorum,
    /// Every entry bundle is there and well formed.
    LogBundles,
    /// Every entry decodes.
    LogEntries,
    /// Every hash tile is the one its entries give.
    LogTiles,
    /// The entries give the checkpoint's root.
    LogRoot,
    /// Recording times never go back.
    LogTime,
    /// Links point to earlier entries.
    LogLinks,
    /// No decision is recorded twice.
    LogDecisions,
    /// No sequence number of a session is missing or used twice.
    LogSessions,
    /// Every session that another followed has a stop entry, or a start entry says that it ended without one.
    LogStops,
    /// Signed statements from elsewhere tell the same history.
    CheckpointConsistency,
    /// The store names the log's keys.
    LogIdentity,
    /// Sealed records have the lengths and digests that their entries state.
    LogSealed,
    /// The journal's checksums hold and it ends in the signed tree.
    LogJournal,
    /// Every other file of the directory is the log's too, or is named.
    LogFiles,
    /// The report is whole, and the auditor signed it.
    AuditReport,
    /// The report's sums, bound and conclusion follow from its own counts.
    AuditArithmetic,
    /// The plan is the one that the report names.
    AuditPlan,
    /// The draw follows from the plan and its randomness.
    AuditDraw,
    /// Every count of the report is that of the results.
    AuditResults,
    /// The evidence gives the same results when it is run again.
    AuditBundle,
}

impl CheckName {
    /// Every check, in the order in which reports list them.
    pub const ALL: [Self; 27] = [
        Self::ReceiptFormat,
        Self::ReceiptEntry,
        Self::ReceiptFields,
        Self::ReceiptInclusion,
        Self::CheckpointFormat,
        Self::CheckpointSignatures,
        Self::CheckpointQuorum,
        Self::LogBundles,
        Self::LogEntries,
        Self::LogTiles,
        Self::LogRoot,
        Self::LogTime,
        Self::LogLinks,
        Self::LogDecisions,
        Self::LogSessions,
        Self::LogStops,
        Self::CheckpointConsistency,
        Self::LogIdentity,
        Self::LogSealed,
        Self::LogJournal,
        Self::LogFiles,
        Self::AuditReport,
        Self::AuditArithmetic,
        Self::AuditPlan,
        Self::AuditDraw,
        Self::AuditResults,
        Self::AuditBundle,
    ];

    /// The name as it stands in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReceiptFormat => "receipt.format",
            Self::ReceiptEntry => "receipt.entry",
            Self::ReceiptFields => "receipt.fields",
            Self::ReceiptInclusion => "receipt.inclusion",
            Self::CheckpointFormat => "checkpoint.format",
            Self::CheckpointSignatures => "checkpoint.signatures",
            Self::CheckpointQuorum => "checkpoint.quorum",
            Self::LogBundles => "log.bundles",
            Self::LogEntries => "log.entries",
            Self::LogTiles => "log.tiles",
            Self::LogRoot => "log.root",
            Self::LogTime => "log.time",
            Self::LogLinks => "log.links",
            Self::LogDecisions => "log.decisions",
            Self::LogSessions => "log.sessions",
            Self::LogStops => "log.stops",
            Self::CheckpointConsistency => "checkpoint.consistency",
            Self::LogIdentity => "log.identity",
            Self::LogSealed => "log.sealed",
            Self::LogJournal => "log.journal",
            Self::LogFiles => "log.files",
            Self::AuditReport => "audit.report",
            Self::AuditArithmetic => "audit.arithmetic",
            Self::AuditPlan => "audit.plan",
            Self::AuditDraw => "audit.draw",
            Self::AuditResults => "audit.results",
            Self::AuditBundle => "audit.bundle",
        }
    }

    /// What a pass proves, in one sentence for a reader who is no engineer.
    #[must_use]
    pub const fn proves(self) -> &'static str {
        match self {
            Self::ReceiptFormat => {
                "The file is a complete receipt and nothing was added to it or cut from it."
            }
            Self::ReceiptEntry => "The log entry in the receipt records the decision that the receipt names.",
            Self::ReceiptFields => {
                "The fields shown are the ones that were recorded with the decision; none was changed afterwards."
            }
            Self::ReceiptInclusion => "The entry stands in the log at the place the receipt states.",
            Self::CheckpointFormat => "The log's signed statement about its contents could be read.",
            Self::CheckpointSignatures => {
                "The log itself vouches for its contents, with every key that the trust policy lists for it."
            }
            Self::CheckpointQuorum => {
                "Independent witnesses saw the same log, so the log cannot show others a different history."
            }
            Self::LogBundles => "Every stored file of entries was there and could be read.",
            Self::LogEntries => "Every entry of the log could be read and has the prescribed form.",
            Self::LogTiles => "The stored hash files are exactly those that the entries give.",
            Self::LogRoot => {
                "Not one byte of any entry was changed, added, removed or moved since the log signed it."
            }
            Self::LogTime => {
                "The recording times run forward, so no entry was dated back behind an earlier one."
            }
            Self::LogLinks => "Every entry that refers to another refers to one that was recorded before it.",
            Self::LogDecisions => "No decision was recorded a second time with another content.",
            Self::LogSessions => {
                "Between the first and the last known entry of every run of a recorder, nothing it saw is missing \
                 without a signed gap entry that says so."
            }
            Self::LogStops => {
                "For every run of a recorder that another run followed, the log itself says how it ended: in order, or \
                 without a stop. What a run without a stop still had in its hands is not known."
            }
            Self::CheckpointConsistency => {
                "What the log signed at other times, or showed to others, is the beginning of this same log."
            }
            Self::LogIdentity => "The directory belongs to the log that it claims to be.",
            Self::LogSealed => {
                "The encrypted records kept beside the log are the ones that its entries were made with."
            }
            Self::LogJournal => {
                "The operator's own journal, from which the log is rebuilt after a failure, tells the same story."
            }
            Self::LogFiles => {
                "Every other file of the log was compared too; what is no part of it is named here."
            }
            Self::AuditReport => {
                "The auditor signed this report as it is; not one character of it was changed since."
            }
            Self::AuditArithmetic => {
                "The bound, the evidence and the words of the report follow from the counts that it states."
            }
            Self::AuditPlan => {
                "The audit was made by this plan: its rates, its range and what counts as an exception were fixed in it."
            }
            Self::AuditDraw => {
                "The sample follows from the plan and its public randomness alone; nobody picked it."
            }
            Self::AuditResults => {
                "Every count, exception and score of the report was counted again in these results."
            }
            Self::AuditBundle => {
                "Every decision of the evidence was proved to stand in the log's tree and recomputed again, with the same outcome."
            }
        }
    }
}

impl fmt::Display for CheckName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl serde::Serialize for CheckName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
