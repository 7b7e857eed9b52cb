//! What each check is called when people read it; the stable name stands beside it.

use ledgerstone::code::CheckName;

/// The heading of a check: plain words, then the name that reports and manuals use.
pub(super) fn title(name: CheckName) -> String {
    let words = match name {
        CheckName::ReceiptFormat => "The receipt file is whole",
        CheckName::ReceiptEntry => "The log entry is this decision's",
        CheckName::ReceiptFields => "The fields shown are the recorded ones",
        CheckName::ReceiptInclusion => "The decision stands in the log",
        CheckName::CheckpointFormat => "The log's statement can be read",
        CheckName::CheckpointSignatures => "The log signed its statement",
        CheckName::CheckpointQuorum => "Independent witnesses saw the same log",
        CheckName::LogBundles => "The entry files are there",
        CheckName::LogEntries => "The entries are well formed",
        CheckName::LogTiles => "The hash files fit the entries",
        CheckName::LogRoot => "The entries are those that were signed",
        CheckName::LogTime => "Time runs forward",
        CheckName::LogLinks => "Entries refer to earlier entries only",
        CheckName::LogDecisions => "No decision is recorded twice",
        CheckName::LogSessions => "Nothing is missing inside a run",
        CheckName::LogStops => "The log says how every run ended",
        CheckName::CheckpointConsistency => "Statements from elsewhere fit this log",
        CheckName::LogIdentity => "The store is this log's",
        CheckName::LogApprovals => "Changes were approved as they had to be",
        CheckName::LogSealed => "The sealed records are the original ones",
        CheckName::LogJournal => "The journal fits the log",
        CheckName::LogFiles => "The other files of the directory",
        CheckName::AuditReport => "The auditor signed this report",
        CheckName::AuditArithmetic => "The report's numbers follow from its counts",
        CheckName::AuditPlan => "The plan is the report's",
        CheckName::AuditDraw => "The sample follows from the plan",
        CheckName::AuditResults => "The results are the report's",
        CheckName::AuditBundle => "The evidence gives the same again",
        CheckName::AnchorStatements => "The statements fixed outside follow each other",
        CheckName::AnchorLog => "What was fixed outside is this log",
        CheckName::SiemComplete => "The SIEM holds every entry",
        CheckName::SiemUnaltered => "The SIEM says what the log says",
        CheckName::SiemWithin => "The SIEM shows no entry that the log does not have",
        CheckName::AnchorEvmStorage => "The contract names the statement",
        CheckName::AnchorEvmHeader => "The block is one of the chain",
        CheckName::AnchorEvmFinality => "The chain's validators made the block final",
        CheckName::AnchorBitcoinPath => "The statement is in a Bitcoin block",
        CheckName::AnchorBitcoinWork => "The Bitcoin block has its proof of work",
        CheckName::AnchorTimestampToken => "A timestamp authority saw the statement",
        CheckName::AnchorTimestampCertificate => "The authority's certificate holds",
        CheckName::AnchorQuorum => "Enough independent kinds of anchors hold",
        CheckName::ReceiptAnchor => "The decision was fixed outside",
        _ => return name.to_string(),
    };
    format!("{words} [{name}]")
}
