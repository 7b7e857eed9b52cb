//! The file of a report: canonical JSON, signed as a note (c2sp.org/signed-note) with the auditor's Ed25519 key.
//!
//! *Guarantees*: a report that parses is its own canonical form byte for byte. *Does not do*: say whom to trust, or whether the numbers
//! follow from the results.

use ledgerstone::checkpoint::LogKeys;
use ledgerstone::note::{SignedNote, VerifierKey};

use super::{Report, ReportError};

/// The format of a report.
pub const FORMAT: &str = "ledgerstone-audit-report/v1";

/// Bytes of a signed report: 8 MiB of exceptions with their line breaks (`gather`), and less than a mebibyte of everything else.
pub const REPORT_BYTES_MAX: usize = 24 * 1024 * 1024;

/// A report as it was read.
#[derive(Clone, Debug)]
pub struct ReportFile {
    report: Report,
    note: SignedNote,
}

impl Report {
    /// The canonical text.
    ///
    /// # Errors
    /// A number is not finite; a report that `assemble` made has none.
    pub fn to_json(&self) -> Result<String, ReportError> {
        let text = serde_json::to_string_pretty(self)
            .map_err(|error| ReportError::Json { line: error.line(), column: error.column() })?;
        Ok(text + "\n")
    }

    /// Reads the canonical text.
    ///
    /// # Errors
    /// It is no report, or not in canonical form.
    pub fn parse(text: &str) -> Result<Self, ReportError> {
        let report: Self = serde_json::from_str(text)
            .map_err(|error| ReportError::Json { line: error.line(), column: error.column() })?;
        if report.format != FORMAT {
            return Err(ReportError::Format);
        }
        if report.to_json()? == text { Ok(report) } else { Err(ReportError::NotCanonical) }
    }

    /// The bytes of the report that the Ed25519 key among `keys` signs.
    ///
    /// # Errors
    /// The keys are those of the log that was audited, or the report is too long.
    pub fn sign(&self, keys: &LogKeys) -> Result<String, ReportError> {
        if keys.origin().as_str() == self.audited.origin {
            return Err(ReportError::OwnKey);
        }
        Ok(keys.sign_text_within(self.to_json()?, REPORT_BYTES_MAX)?.to_string())
    }
}

impl ReportFile {
    /// Reads a signed report. Its signature is read, not checked.
    ///
    /// # Errors
    /// It is no note, or no report.
    pub fn parse(bytes: &[u8]) -> Result<Self, ReportError> {
        if bytes.len() > REPORT_BYTES_MAX {
            return Err(ReportError::TooLong { bytes_max: REPORT_BYTES_MAX });
        }
        let note = SignedNote::parse_within(bytes, REPORT_BYTES_MAX)?;
        Ok(Self { report: Report::parse(note.text())?, note })
    }

    /// Checks that the holder of `auditor` signed the report.
    ///
    /// # Errors
    /// It is not signed by that key, or the key is of a type that signs no text.
    pub fn verify(&self, auditor: &VerifierKey) -> Result<(), ReportError> {
        self.note.verify(auditor).map_err(ReportError::Signature)
    }

    /// The report.
    #[must_use]
    pub const fn report(&self) -> &Report {
        &self.report
    }
}
