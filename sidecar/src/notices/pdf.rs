//! A notice as PDF: text that can be searched and copied, tagged so that programs can read it aloud, in fonts that it carries.
//!
//! Guarantees: the same document and day give the same bytes; the writer checks PDF/UA-1 as far as a program can; a character that
//! the fonts lack is refused, never left out. Text is drawn as glyphs, so nothing in it can become a part of the file's syntax.
//! Does not do: scripts whose letters join or that run from right to left; those notices go out as HTML.

mod face;
mod setter;

use std::num::NonZeroU16;

use krilla::configure::{Accessibility, ConfigurationBuilder};
use krilla::destination::XyzDestination;
use krilla::geom::{Point, Size};
use krilla::metadata::{DateTime, Metadata};
use krilla::outline::{Outline, OutlineNode};
use krilla::page::PageSettings;
use krilla::tagging::{
    Artifact, ArtifactType, ContentTag, Identifier, ListNumbering, Node, SpanTag, TableHeaderScope, Tag,
    TagGroup, TagTree,
};
use krilla::{Document as Pdf, SerializeSettings};
use ledgerstone::limits::NOTICE_PAGES_MAX;
use ledgerstone::time::Date;

use self::face::{Face, Faces};
use self::setter::{Part, Placed, Setter};
use super::document::{Document, plain};
use super::{NoticeError, Paper};

/// White around the text, in points of 1/72 inch.
const MARGIN: f32 = 68.0;

/// Size of the number at the foot of a page.
const FOOT: f32 = 8.0;

impl Paper {
    /// Width and height in points.
    const fn points(self) -> (f32, f32) {
        match self {
            Self::A4 => (595.276, 841.89),
            Self::Letter => (612.0, 792.0),
        }
    }
}

/// The file.
pub(super) fn pdf(
    document: &Document,
    language: &str,
    paper: Paper,
    date: Date,
) -> Result<Vec<u8>, NoticeError> {
    let faces = Faces::new().ok_or_else(|| broken("its fonts cannot be read"))?;
    faces.check(&document.text())?;
    let setter = Setter::set(document, &faces, paper.points());
    if setter.pages.len() > NOTICE_PAGES_MAX {
        return Err(NoticeError::TooLong);
    }
    let standard = ConfigurationBuilder::new().with_accessibility_validator(Accessibility::UA1).finish();
    let configuration = standard.map_err(|error| broken(&format!("{error:?}")))?;
    let mut pdf = Pdf::new_with(SerializeSettings { configuration, ..SerializeSettings::default() });
    let mut drawn: Vec<Vec<Identifier>> = vec![Vec::new(); setter.texts];
    let (width, height) = paper.points();
    let size = Size::from_wh(width, height).ok_or_else(|| broken("the page has no size"))?;
    let count = setter.pages.len();
    for (number, placed) in setter.pages.iter().enumerate() {
        let mut page = pdf.start_page_with(PageSettings::new(size));
        let mut surface = page.surface();
        for text in placed {
            let identifier = surface.start_tagged(ContentTag::Span(SpanTag::empty()));
            draw(&mut surface, &faces, text);
            surface.end_tagged();
            if let Some(place) = drawn.get_mut(text.text) {
                place.push(identifier);
            }
        }
        surface.start_tagged(ContentTag::Artifact(Artifact::with_kind(ArtifactType::Footer)));
        let foot = format!("{} / {count}", number + 1);
        let x = width - MARGIN - faces.width(&foot, Face::Plain, FOOT);
        let foot =
            Placed { x, y: height - MARGIN / 2.0, face: Face::Plain, size: FOOT, words: foot, text: 0 };
        draw(&mut surface, &faces, &foot);
        surface.end_tagged();
        surface.finish();
        page.finish();
    }
    pdf.set_tag_tree(tags(&setter.parts, &mut drawn));
    pdf.set_outline(outline(&setter));
    pdf.set_metadata(metadata(document, language, date));
    pdf.finish().map_err(|error| broken(&format!("{error:?}")))
}

fn broken(what: &str) -> NoticeError {
    NoticeError::Pdf { what: what.to_owned() }
}

fn draw(surface: &mut krilla::surface::Surface<'_>, faces: &Faces, placed: &Placed) {
    let glyphs = faces.glyphs(&placed.words, placed.face);
    let font = faces.font(placed.face);
    surface.draw_glyphs(Point::from_xy(placed.x, placed.y), &glyphs, font, &placed.words, placed.size, false);
}

fn metadata(document: &Document, language: &str, date: Date) -> Metadata {
    let (year, month, day) = date.parts();
    let small = |number: u64| u8::try_from(number).unwrap_or(1);
    let created = DateTime::new(u16::try_from(year).unwrap_or(u16::MAX)).month(small(month)).day(small(day));
    Metadata::new()
        .title(document.title())
        .language(language.to_owned())
        .creator("ledgerstone-sidecar".to_owned())
        .creation_date(created)
}

/// What each drawn text is, in the order in which it is read.
fn tags(parts: &[Part], drawn: &mut [Vec<Identifier>]) -> TagTree {
    let mut take = |text: usize| -> Vec<Node> {
        let identifiers = drawn.get_mut(text).map(std::mem::take).unwrap_or_default();
        identifiers.into_iter().map(Node::from).collect()
    };
    let mut tree = TagTree::new();
    for part in parts {
        match part {
            Part::Heading { level, text, title, .. } => {
                let level = NonZeroU16::new(u16::from(*level)).unwrap_or(NonZeroU16::MIN);
                tree.push(TagGroup::with_children(Tag::Hn(level, Some(title.clone())), take(*text)));
            }
            Part::Paragraph { text } => tree.push(TagGroup::with_children(Tag::P, take(*text))),
            Part::List { is_numbered, items } => {
                let numbering = if *is_numbered { ListNumbering::Decimal } else { ListNumbering::Disc };
                let mut list = TagGroup::new(Tag::L(numbering));
                for (label, body) in items {
                    let mut item = TagGroup::new(Tag::LI);
                    item.push(TagGroup::with_children(Tag::Lbl, take(*label)));
                    item.push(TagGroup::with_children(Tag::LBody, take(*body)));
                    list.push(item);
                }
                tree.push(list);
            }
            Part::Facts { rows } => {
                let mut table = TagGroup::new(Tag::Table);
                for (name, value) in rows {
                    let mut row = TagGroup::new(Tag::TR);
                    row.push(TagGroup::with_children(Tag::TH(TableHeaderScope::Row), take(*name)));
                    row.push(TagGroup::with_children(Tag::TD, take(*value)));
                    table.push(row);
                }
                tree.push(table);
            }
        }
    }
    tree
}

/// The headings, to go to.
fn outline(setter: &Setter<'_>) -> Outline {
    let mut outline = Outline::new();
    for part in &setter.parts {
        if let Part::Heading { title, page, y, .. } = part {
            let place = XyzDestination::new(*page, Point::from_xy(MARGIN, *y));
            outline.push_child(OutlineNode::new(title.clone(), place));
        }
    }
    outline
}

/// The text of a line for a heading's entry in the outline.
fn heading(line: &super::document::Line) -> String {
    plain(line).trim().to_owned()
}
