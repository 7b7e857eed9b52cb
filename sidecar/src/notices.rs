//! Notices to the persons whom decisions are about: from the record, a template and what the caller says, to HTML and PDF.
//!
//! Guarantees: the same record, template, data and date give the same bytes; what a kind of notice must show and the record or
//! the data lack is refused with the whole list, and so is a template that leaves it out; reasons are those of the record; text
//! can never become markup. Names and addresses come from the caller and go nowhere but into the notice.
//! Does not do: law. The templates are what somebody read of a rule; whoever sends a notice answers for it.
//! Specification: `docs/notices.md`.

use ledgerstone::entry::Kind as EntryKind;
use ledgerstone::hash::Hash;
use ledgerstone::limits::NOTICE_BYTES_MAX;
use ledgerstone::record::Record;
use ledgerstone::time::{Date, UnixMillis};

mod data;
pub mod document;
mod error;
mod facts;
mod html;
mod kind;
mod pdf;
mod reasons;
mod render;
mod templates;
#[cfg(test)]
mod tests;
mod words;

use document::Document;

pub use data::Data;
pub use error::{Lacking, NoticeError};
pub use kind::{About, Kind, Paper};
pub use templates::{Template, Templates};

/// An entry of a decision's history with its opened record.
#[derive(Clone, Debug)]
pub struct Told {
    /// What it is.
    pub kind: EntryKind,
    /// When the log took it.
    pub recorded_at: UnixMillis,
    /// What it says.
    pub record: Record,
}

/// What a notice becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// One HTML file that fetches nothing.
    Html,
    /// PDF 1.7 with text that can be searched, tagged for readers aloud (PDF/UA-1).
    Pdf,
}

/// Which notice.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Its kind.
    pub kind: &'a Kind,
    /// Its language, a BCP 47 tag such as `en`.
    pub language: &'a str,
    /// What it becomes.
    pub format: Format,
    /// The day that it bears.
    pub date: Date,
    /// Which person, where the call was about several.
    pub row: Option<u32>,
    /// What the caller says.
    pub data: &'a Data,
    /// The decision's own entry and what was added to it, in the log's order; empty for a notice that comes before.
    pub told: &'a [Told],
}

/// A notice.
#[derive(Clone, Debug)]
pub struct Notice {
    /// The file.
    pub bytes: Vec<u8>,
    /// Its SHA-256.
    pub digest: Hash,
    /// The template: kind, language and SHA-256.
    pub template_version: String,
    /// Reasons that it shows.
    pub reasons: usize,
    /// Reasons against the person that weighed less and are not shown.
    pub reasons_left_out: usize,
}

/// Writes a document as a file.
///
/// # Errors
/// [`NoticeError`] if the fonts of PDF notices lack a letter, or it is too long.
pub fn write(
    document: &Document,
    format: Format,
    (language, paper, date): (&str, Paper, Date),
    style: &str,
) -> Result<Vec<u8>, NoticeError> {
    let bytes = match format {
        Format::Html => html::html(document, language, style).into_bytes(),
        Format::Pdf => pdf::pdf(document, language, paper, date)?,
    };
    if bytes.len() > NOTICE_BYTES_MAX { Err(NoticeError::TooLong) } else { Ok(bytes) }
}

/// Makes a notice.
///
/// # Errors
/// [`NoticeError`] says what lacks, or what the template does wrong.
pub fn render(templates: &Templates, request: &Request<'_>) -> Result<Notice, NoticeError> {
    render::notice(templates, request)
}
