//! Blocks set on pages, one under the other.
//!
//! *Guarantees*: nothing is set below the margin; a row of a table and a picture stay whole on a page where they fit on one.

use pdf_writer::{Content, Name, Str};

use super::letters::{Face, encoded, lines, width};
use super::{MARGIN, PAGE, picture};
use crate::report::Document;
use crate::report::document::{Block, Column, Tone};

/// Size of running text, and of tables.
const TEXT: f32 = 9.5;
const SMALL: f32 = 8.0;

/// The distance of two lines, by their size.
const LEADING: f32 = 1.35;

/// White between two columns.
const GAP: f32 = 8.0;

const INK: [f32; 3] = [0.11, 0.12, 0.14];
const QUIET: [f32; 3] = [0.34, 0.38, 0.42];

/// The pages so far.
pub(super) struct Setter {
    pages: Vec<Content>,
    page: Content,
    /// Where the next line's top is, from below.
    y: f32,
}

impl Setter {
    /// Every page of a document.
    pub(super) fn set(document: &Document) -> Vec<Content> {
        let mut setter = Self { pages: Vec::new(), page: Content::new(), y: PAGE.1 - MARGIN };
        setter.text(&document.title, Face::Bold, 17.0, (MARGIN, WIDTH), INK);
        setter.y -= 6.0;
        setter.headline(document);
        for block in &document.blocks {
            setter.block(block);
        }
        setter.pages.push(setter.page);
        setter.pages
    }

    fn headline(&mut self, document: &Document) {
        let (word, [r, g, b]) = match document.tone {
            Tone::Good => ("IN ORDER", [0.10, 0.42, 0.33]),
            Tone::Open => ("WITH RESERVATIONS", [0.54, 0.35, 0.0]),
            Tone::Bad => ("EXCEPTIONS", [0.70, 0.15, 0.12]),
            Tone::Plain => ("FIGURES", [0.34, 0.38, 0.42]),
        };
        let top = self.y;
        self.y -= 4.0;
        self.text(word, Face::Bold, SMALL, (MARGIN + 12.0, WIDTH - 12.0), [r, g, b]);
        self.text(&document.headline, Face::Plain, 11.5, (MARGIN + 12.0, WIDTH - 12.0), INK);
        self.y -= 2.0;
        self.page.set_fill_rgb(r, g, b).rect(MARGIN, self.y, 3.0, top - self.y).fill_nonzero();
    }

    fn block(&mut self, block: &Block) {
        match block {
            Block::Heading(text) => {
                self.room(70.0);
                self.y -= 14.0;
                self.text(text, Face::Bold, 12.5, (MARGIN, WIDTH), INK);
                self.rule();
                self.y -= 4.0;
            }
            Block::Paragraph(text) => {
                self.text(text, Face::Plain, TEXT, (MARGIN, WIDTH), INK);
                self.y -= 4.0;
            }
            Block::Points(points) => {
                for point in points {
                    self.room(TEXT * LEADING);
                    self.line("\u{b7}", Face::Bold, TEXT, MARGIN + 3.0, INK);
                    self.text(point, Face::Plain, TEXT, (MARGIN + 12.0, WIDTH - 12.0), INK);
                    self.y -= 2.0;
                }
            }
            Block::Facts { caption, rows } => {
                self.caption(caption);
                for (name, value) in rows {
                    let face = if is_code(value) { Face::Fixed } else { Face::Plain };
                    let cells = [
                        Cell::new(name, Face::Plain, QUIET, (0.0, 120.0)),
                        Cell::new(value, face, INK, (128.0, WIDTH - 128.0)),
                    ];
                    self.row(&cells);
                }
                self.y -= 6.0;
            }
            Block::Table { caption, columns, rows } => self.table(caption, columns, rows),
            Block::Figure { title, description, drawing } => {
                let scale = WIDTH / real(drawing.size.0);
                let height = real(drawing.size.1) * scale;
                self.room(height + 40.0);
                picture::draw(&mut self.page, drawing, (MARGIN, self.y), scale);
                self.y -= height + 2.0;
                self.text(&format!("{title}. {description}"), Face::Plain, SMALL, (MARGIN, WIDTH), QUIET);
                self.y -= 10.0;
            }
        }
    }

    fn table(&mut self, caption: &str, columns: &[Column], rows: &[Vec<String>]) {
        self.caption(caption);
        let whole: u16 = columns.iter().map(|column| column.weight).sum();
        let mut left = 0.0;
        let places: Vec<(f32, f32)> = columns
            .iter()
            .map(|column| {
                let width = WIDTH * f32::from(column.weight) / f32::from(whole.max(1));
                let place = (left, width - GAP);
                left += width;
                place
            })
            .collect();
        let cells = |texts: Vec<&str>, face, ink| -> Vec<Cell> {
            let places = texts.into_iter().zip(columns).zip(&places);
            places
                .map(|((text, column), place)| {
                    let face = if face == Face::Plain && is_code(text) { Face::Fixed } else { face };
                    Cell { is_number: column.is_number, ..Cell::new(text, face, ink, *place) }
                })
                .collect()
        };
        self.row(&cells(columns.iter().map(|column| column.title).collect(), Face::Bold, QUIET));
        for row in rows {
            self.row(&cells(row.iter().map(String::as_str).collect(), Face::Plain, INK));
        }
        self.y -= 6.0;
    }

    fn caption(&mut self, caption: &str) {
        self.room(50.0);
        self.y -= 2.0;
        self.text(caption, Face::Bold, SMALL + 0.5, (MARGIN, WIDTH), INK);
        self.rule();
    }

    /// Cells beside each other, and a line under them.
    fn row(&mut self, cells: &[Cell]) {
        let leading = SMALL * LEADING;
        let most = cells.iter().map(|cell| cell.lines.len()).max().unwrap_or(0);
        let fits = PAGE.1 - 2.0 * MARGIN;
        self.room((count(most) * leading + 5.0).min(fits));
        self.y -= 2.0;
        for number in 0..most {
            self.room(leading);
            for cell in cells {
                let Some(line) = cell.lines.get(number) else { continue };
                let (left, limit) = cell.place;
                let spare = if cell.is_number { limit - width(line, cell.face, cell.size) } else { 0.0 };
                self.line(line, cell.face, cell.size, MARGIN + left + spare.max(0.0), cell.ink);
            }
            self.y -= leading;
        }
        self.y -= 1.0;
        self.rule();
    }

    fn rule(&mut self) {
        self.page.set_stroke_rgb(0.82, 0.84, 0.87).set_line_width(0.5).set_dash_pattern([], 0.0);
        self.page.move_to(MARGIN, self.y).line_to(MARGIN + WIDTH, self.y).stroke();
    }

    /// A text in as many lines as it needs.
    fn text(&mut self, text: &str, face: Face, size: f32, (left, limit): (f32, f32), ink: [f32; 3]) {
        for line in lines(text, face, size, limit) {
            self.room(size * LEADING);
            self.line(&line, face, size, left, ink);
            self.y -= size * LEADING;
        }
    }

    /// One line, its top at the next place; the place stays.
    fn line(&mut self, text: &str, face: Face, size: f32, left: f32, [r, g, b]: [f32; 3]) {
        self.page.set_fill_rgb(r, g, b).begin_text().set_font(Name(face.name()), size);
        self.page.next_line(left, self.y - size).show(Str(&encoded(text))).end_text();
    }

    /// Begins a page where less than `height` is left.
    fn room(&mut self, height: f32) {
        if self.y - height < MARGIN {
            self.pages.push(std::mem::replace(&mut self.page, Content::new()));
            self.y = PAGE.1 - MARGIN;
        }
    }
}

/// Width of the text.
const WIDTH: f32 = PAGE.0 - 2.0 * MARGIN;

/// A cell of a table.
struct Cell {
    lines: Vec<String>,
    face: Face,
    size: f32,
    ink: [f32; 3],
    /// Where it begins, from the margin, and how wide it is.
    place: (f32, f32),
    is_number: bool,
}

impl Cell {
    fn new(text: &str, face: Face, ink: [f32; 3], place: (f32, f32)) -> Self {
        let size = if face == Face::Fixed { SMALL - 1.0 } else { SMALL };
        Self { lines: lines(text, face, size, place.1), face, size, ink, place, is_number: false }
    }
}

/// Whether a value is a digest, whose digits are told apart better in a typewriter's letters.
fn is_code(value: &str) -> bool {
    value.len() >= 64 && value.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A count of lines as a length.
fn count(lines: usize) -> f32 {
    u16::try_from(lines).map_or(f32::MAX, f32::from)
}

/// A size of a drawing.
#[expect(clippy::cast_possible_truncation, reason = "a size on a page")]
const fn real(value: f64) -> f32 {
    value as f32
}
