//! Notices: what a caller says, and what a template prints.

use ledgerstone::time::{Date, UnixMillis};
use ledgerstone_sidecar::notices::document::Document;
use ledgerstone_sidecar::notices::{Data, Format, NoticeError, Paper, write};

/// Names, addresses and instructions.
pub(crate) fn data(bytes: &[u8]) -> bool {
    Data::parse(bytes).is_ok()
}

/// What can be read as a notice hides nothing, and can be written as a page and as a PDF.
pub(crate) fn document(bytes: &[u8]) -> bool {
    let Ok(text) = core::str::from_utf8(bytes) else { return false };
    let Ok(document) = Document::parse(text) else { return false };
    let shown = document.text();
    assert!(!shown.chars().any(|letter| letter.is_control() && letter != '\n'), "hidden: {shown:?}");
    let about = ("en", Paper::A4, Date::of(UnixMillis::new(0)));
    let page = write(&document, Format::Html, about, "").unwrap_or_default();
    let page = String::from_utf8_lossy(&page);
    assert!(
        !page.contains("<script") && !page.contains("<img"),
        "an element that notices do not have: {page}"
    );
    let file = write(&document, Format::Pdf, about, "");
    let is_refused = matches!(&file, Err(NoticeError::Letters { .. } | NoticeError::TooLong));
    assert!(
        is_refused || file.is_ok_and(|file| file.starts_with(b"%PDF-1.7")),
        "what can be read can be written"
    );
    true
}
