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

/// The table of checks: what each is, its name in reports, and what a pass proves in one sentence for a reader who is
/// no engineer.
macro_rules! checks {
    ($($(#[$doc:meta])+ $check:ident = $name:literal: $proves:literal;)+) => {
        /// A check that a report names; what each proves is in [`CheckName::proves`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum CheckName {
            $($(#[$doc])+ $check,)+
        }

        impl CheckName {
            /// Every check, in the order in which reports list them.
            pub const ALL: &[Self] = &[$(Self::$check),+];

            /// The name as it stands in reports.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$check => $name,)+
                }
            }

            /// What a pass proves, in one sentence for a reader who is no engineer.
            #[must_use]
            pub const fn proves(self) -> &'static str {
                match self {
                    $(Self::$check => $proves,)+
                }
            }
        }
    };
}

checks! {
    /// The receipt file is well formed.
    ReceiptFormat = "receipt.format":
        "The file is a complete receipt and nothing was added to it or cut from it.";
    /// The receipt's entry is a decision's, and the one it names.
    ReceiptEntry = "receipt.entry":
        "The log entry in the receipt records the decision that the receipt names.";
    /// The disclosed fields belong to the entry.
    ReceiptFields = "receipt.fields":
        "The fields shown are the ones that were recorded with the decision; none was changed afterwards.";
    /// The entry is in the log's tree.
    ReceiptInclusion = "receipt.inclusion":
        "The entry stands in the log at the place the receipt states.";
    /// The checkpoint is well formed.
    CheckpointFormat = "checkpoint.format":
        "The log's signed statement about its contents could be read.";
    /// The log signed the checkpoint with all of its keys.
    CheckpointSignatures = "checkpoint.signatures":
        "The log itself vouches for its contents, with every key that the trust policy lists for it.";
    /// Enough witnesses cosigned the checkpoint.
    CheckpointQuorum = "checkpoint.quorum":
        "Independent witnesses saw the same log, so the log cannot show others a different history.";
    /// Every entry bundle is there and well formed.
    LogBundles = "log.bundles":
        "Every stored file of entries was there and could be read.";
    /// Every entry decodes.
    LogEntries = "log.entries":
        "Every entry of the log could be read and has the prescribed form.";
    /// Every hash tile is the one its entries give.
    LogTiles = "log.tiles":
        "The stored hash files are exactly those that the entries give.";
    /// The entries give the checkpoint's root.
    LogRoot = "log.root":
        "Not one byte of any entry was changed, added, removed or moved since the log signed it.";
    /// Recording times never go back.
    LogTime = "log.time":
        "The recording times run forward, so no entry was dated back behind an earlier one.";
    /// Links point to earlier entries.
    LogLinks = "log.links":
        "Every entry that refers to another refers to one that was recorded before it.";
    /// No decision is recorded twice.
    LogDecisions = "log.decisions":
        "No decision was recorded a second time with another content.";
    /// No sequence number of a session is missing or used twice.
    LogSessions = "log.sessions":
        "Between the first and the last known entry of every run of a recorder, nothing it saw is missing \
         without a signed gap entry that says so.";
    /// Every session that another followed has a stop entry, or a start entry says that it ended without one.
    LogStops = "log.stops":
        "For every run of a recorder that another run followed, the log itself says how it ended: in order, \
         or without a stop. What a run without a stop still had in its hands is not known.";
    /// Signed statements from elsewhere tell the same history.
    CheckpointConsistency = "checkpoint.consistency":
        "What the log signed at other times, or showed to others, is the beginning of this same log.";
    /// The store names the log's keys.
    LogIdentity = "log.identity":
        "The directory belongs to the log that it claims to be.";
    /// Changes that needed approval have it.
    LogApprovals = "log.approvals":
        "Since the log says who must approve changes, as many of them as it asks for signed each change before it took \
         effect, and no approval was used twice.";
    /// Sealed records have the lengths and digests that their entries state.
    LogSealed = "log.sealed":
        "The encrypted records kept beside the log are the ones that its entries were made with.";
    /// The journal's checksums hold and it ends in the signed tree.
    LogJournal = "log.journal":
        "The operator's own journal, from which the log is rebuilt after a failure, tells the same story.";
    /// Every other file of the directory is the log's too, or is named.
    LogFiles = "log.files":
        "Every other file of the log was compared too; what is no part of it is named here.";
    /// The report is whole, and the auditor signed it.
    AuditReport = "audit.report":
        "The auditor signed this report as it is; not one character of it was changed since.";
    /// The report's sums, bound and conclusion follow from its own counts.
    AuditArithmetic = "audit.arithmetic":
        "The bound, the evidence and the words of the report follow from the counts that it states.";
    /// The plan is the one that the report names.
    AuditPlan = "audit.plan":
        "The audit was made by this plan: its rates, its range and what counts as an exception were fixed in \
         it.";
    /// The draw follows from the plan and its randomness.
    AuditDraw = "audit.draw":
        "The sample follows from the plan and its public randomness alone; nobody picked it.";
    /// Every count of the report is that of the results.
    AuditResults = "audit.results":
        "Every count, exception and score of the report was counted again in these results.";
    /// The evidence gives the same results when it is run again.
    AuditBundle = "audit.bundle":
        "Every decision of the evidence was proved to stand in the log's tree and recomputed again, with the \
         same outcome.";
    /// The statements about the log's growth follow each other without a gap.
    AnchorStatements = "anchor.statements":
        "Every statement that was fixed outside continues the one before it, was signed by the log, and only \
         adds to what the one before it fixed.";
    /// What was fixed outside is the beginning of the log at hand.
    AnchorLog = "anchor.log":
        "What was fixed outside is the beginning of this same log, so nothing before it was rewritten since.";
    /// The contract's storage names the statement as the log's latest.
    AnchorEvmStorage = "anchor.evm.storage":
        "In that block the anchor contract named this statement as the log's latest, so no anchor before it \
         was left out.";
    /// The block is one of the chain.
    AnchorEvmHeader = "anchor.evm.header":
        "The block that holds the statement is the one with the hash that is relied on.";
    /// The chain's sync committee signed that the block is final.
    AnchorEvmFinality = "anchor.evm.finality":
        "Two thirds of a committee of the chain's validators signed that the block is final.";
    /// The statement was hashed into a Bitcoin block.
    AnchorBitcoinPath = "anchor.bitcoin.path":
        "The statement was hashed into the Bitcoin block that the proof names.";
    /// The Bitcoin block stands in a chain of work from a pinned block.
    AnchorBitcoinWork = "anchor.bitcoin.work":
        "The Bitcoin block stands in an unbroken chain of headers, each with its proof of work, from a block \
         that the auditor chose.";
    /// A timestamp authority signed the statement's hash and a time.
    AnchorTimestampToken = "anchor.rfc3161.token":
        "A timestamp authority signed that it was shown the statement at the time that it names.";
    /// The authority's certificate holds at that time and leads to a trusted root.
    AnchorTimestampCertificate = "anchor.rfc3161.certificate":
        "The authority's certificate was made for timestamps, was valid at that time, and leads to a root \
         that the auditor trusts.";
    /// Enough independent kinds of anchors hold.
    AnchorQuorum = "anchor.quorum":
        "As many independent kinds of anchors hold as the trust policy asks for.";
    /// What the receipt shows of later entries belongs to the decision and stands in the log.
    ReceiptLater = "receipt.later":
        "What was added to the decision later stands in the log and links to it, and what is shown of it is what \
         was recorded.";
    /// The COSE receipt is about the same entry and tree, and the log's receipt key signed it.
    ReceiptCose = "receipt.cose":
        "The log also vouches for the entry in the form that standard tools read, with a key that signs nothing else.";
    /// The receipt's entry stands in a tree that was fixed outside.
    ReceiptAnchor = "receipt.anchor":
        "The entry of the receipt stood in the log when the log was fixed outside.";
    /// The SIEM holds an event for every entry.
    SiemComplete = "siem.complete":
        "Every entry of the log, in the range that was asked for, arrived in the SIEM and is still there.";
    /// Every event in the SIEM says what its entry says.
    SiemUnaltered = "siem.unaltered":
        "What the SIEM shows of the log's entries is what the log says, field by field.";
    /// No event in the SIEM names an entry that the log does not have.
    SiemWithin = "siem.within":
        "The SIEM shows nothing as an entry of the log that the log does not have.";
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
