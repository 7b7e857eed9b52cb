//! The report as pages for paper.
//!
//! *Guarantees*: the same report gives the same bytes, and no clock is asked; nothing is fetched, and no font is needed but the standard ones of every
//! PDF reader. *Does not do*: choose what stands on the pages; `document` does.

mod letters;
mod picture;
mod setter;

use pdf_writer::{Content, Name, Pdf, Rect, Ref, Str, TextStr};

use super::Document;
use letters::{Face, encoded};
use setter::Setter;

/// A4, in points.
const PAGE: (f32, f32) = (595.0, 842.0);

/// White around the text.
const MARGIN: f32 = 50.0;

/// The objects before the pages.
const CATALOG: i32 = 1;
const PAGES: i32 = 2;
const INFO: i32 = 3;
const FONTS: i32 = 4;
const FIRST_PAGE: i32 = FONTS + 3;

const _: () = assert!(Face::ALL.len() == 3, "a font has one object");

/// The pages.
#[must_use]
pub fn pdf(document: &Document) -> Vec<u8> {
    let pages = Setter::set(document);
    let count = pages.len();
    let mut pdf = Pdf::new();
    pdf.catalog(Ref::new(CATALOG)).pages(Ref::new(PAGES)).lang(TextStr("en"));
    pdf.document_info(Ref::new(INFO))
        .title(TextStr(&document.title))
        .producer(TextStr(concat!("ledgerstone ", env!("CARGO_PKG_VERSION"))));
    for (face, id) in Face::ALL.iter().zip(FONTS..) {
        pdf.type1_font(Ref::new(id))
            .base_font(Name(face.base_font()))
            .encoding_predefined(Name(b"WinAnsiEncoding"));
    }
    let ids = (FIRST_PAGE..).step_by(2).map(Ref::new);
    let kids: Vec<Ref> = ids.take(count).collect();
    pdf.pages(Ref::new(PAGES)).kids(kids.iter().copied()).count(i32::try_from(count).unwrap_or(i32::MAX));
    for ((number, mut content), id) in pages.into_iter().enumerate().zip(kids) {
        foot(&mut content, number + 1, count, &document.title);
        let stream = Ref::new(id.get() + 1);
        let mut page = pdf.page(id);
        page.parent(Ref::new(PAGES)).media_box(Rect::new(0.0, 0.0, PAGE.0, PAGE.1)).contents(stream);
        let mut resources = page.resources();
        let mut fonts = resources.fonts();
        for (face, id) in Face::ALL.iter().zip(FONTS..) {
            fonts.pair(Name(face.name()), Ref::new(id));
        }
        drop(fonts);
        drop(resources);
        drop(page);
        pdf.stream(stream, &content.finish());
    }
    pdf.finish()
}

/// The line at the foot of a page.
fn foot(content: &mut Content, number: usize, count: usize, title: &str) {
    let size = 8.0;
    let page = format!("page {number} of {count}");
    let right = PAGE.0 - MARGIN - letters::width(&page, Face::Plain, size);
    content.set_fill_rgb(0.34, 0.38, 0.42);
    let mut title: String = title.chars().take(90).collect();
    title.truncate(title.floor_char_boundary(90));
    for (x, text) in [(MARGIN, title), (right, page)] {
        content.begin_text().set_font(Name(Face::Plain.name()), size).next_line(x, 28.0);
        content.show(Str(&encoded(&text))).end_text();
    }
}
