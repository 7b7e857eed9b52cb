//! `ledgerstone report summary`: decisions, outcomes and what people changed, by month and route.

use super::report_files;
use crate::cli::ReportSummaryArguments;
use crate::exit::{Exit, Refusal};
use crate::output::Output;
use crate::statistics::summary;

/// The format of this command's JSON.
const FORMAT: &str = "ledgerstone-summary-written/v1";

/// Writes the report.
///
/// # Errors
/// The bundle does not read, or a file cannot be written.
pub(super) fn run(arguments: &ReportSummaryArguments, output: &mut Output) -> Result<Exit, Refusal> {
    let (decided, source) = report_files::decided(&arguments.figures, None, output)?;
    let verified = source.checkpoint_verified;
    let (_, files) = summary(&decided, source);
    report_files::write(FORMAT, &arguments.figures, &files, verified, output)
}
