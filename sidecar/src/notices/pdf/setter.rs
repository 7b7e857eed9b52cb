//! Blocks set on pages, one under the other.
//!
//! Guarantees: nothing is set outside of the margins; a word that is too long for a line is broken.

use super::face::{Face, Faces};
use super::{MARGIN, heading};
use crate::notices::document::{Block, Document, Line, Span};

/// Size of running text.
const TEXT: f32 = 10.5;

/// The distance of two lines, by their size.
const LEADING: f32 = 1.42;

/// White after a block.
const GAP: f32 = 8.0;

/// How far list items stand in.
const INDENT: f32 = 18.0;

/// The part of the width that the names of facts have.
const NAMES: f32 = 0.36;

/// Words on a page.
pub(super) struct Placed {
    /// From the left.
    pub(super) x: f32,
    /// The line that the letters stand on, from above.
    pub(super) y: f32,
    pub(super) face: Face,
    pub(super) size: f32,
    pub(super) words: String,
    /// The text that they are part of.
    pub(super) text: usize,
}

/// A block by the numbers of its texts.
pub(super) enum Part {
    Heading { level: u8, text: usize, title: String, page: usize, y: f32 },
    Paragraph { text: usize },
    List { is_numbered: bool, items: Vec<(usize, usize)> },
    Facts { rows: Vec<(usize, usize)> },
}

/// The pages so far.
pub(super) struct Setter<'a> {
    faces: &'a Faces,
    size: (f32, f32),
    pub(super) pages: Vec<Vec<Placed>>,
    pub(super) parts: Vec<Part>,
    /// How many texts there are.
    pub(super) texts: usize,
    /// Where the next line's top is, from above.
    y: f32,
}

/// Words of one face on a line.
struct Run {
    words: String,
    is_strong: bool,
}

/// Where a text stands.
#[derive(Clone, Copy)]
struct Column {
    x: f32,
    width: f32,
    size: f32,
    is_bold: bool,
}

impl<'a> Setter<'a> {
    /// Every page of a document.
    pub(super) fn set(document: &Document, faces: &'a Faces, size: (f32, f32)) -> Self {
        let mut setter =
            Self { faces, size, pages: vec![Vec::new()], parts: Vec::new(), texts: 0, y: MARGIN };
        for block in &document.blocks {
            setter.block(block);
        }
        setter
    }

    fn block(&mut self, block: &Block) {
        let whole = Column { x: MARGIN, width: self.size.0 - 2.0 * MARGIN, size: TEXT, is_bold: false };
        match block {
            Block::Heading { level, line } => {
                let size = if *level == 1 { 17.0 } else { 12.0 };
                if *level > 1 {
                    self.y += 6.0;
                }
                // A heading stays with the lines after it.
                self.room(size * LEADING + 3.0 * TEXT * LEADING);
                let (page, y) = (self.pages.len() - 1, self.y);
                let text = self.text(line, Column { size, is_bold: true, ..whole });
                self.y += if *level == 1 { 12.0 } else { 2.0 };
                self.parts.push(Part::Heading { level: *level, text, title: heading(line), page, y });
            }
            Block::Paragraph(line) | Block::Address(line) => {
                let text = self.text(line, whole);
                self.y += GAP;
                self.parts.push(Part::Paragraph { text });
            }
            Block::List { is_numbered, items } => {
                let body = Column { x: MARGIN + INDENT, width: whole.width - INDENT, ..whole };
                let mut texts = Vec::with_capacity(items.len());
                for (number, item) in (1..).zip(items) {
                    let label = if *is_numbered { format!("{number}.") } else { "\u{2022}".to_owned() };
                    self.room(TEXT * LEADING);
                    let top = self.y;
                    let label = vec![Span::Text { text: label, is_strong: false }];
                    let label = self.text(&label, Column { width: INDENT, ..whole });
                    self.y = top;
                    texts.push((label, self.text(item, body)));
                    self.y += 2.0;
                }
                self.y += GAP - 2.0;
                self.parts.push(Part::List { is_numbered: *is_numbered, items: texts });
            }
            Block::Facts(rows) => {
                let names = Column { width: whole.width * NAMES - GAP, ..whole };
                let values =
                    Column { x: MARGIN + whole.width * NAMES, width: whole.width * (1.0 - NAMES), ..whole };
                let rows =
                    rows.iter().map(|(name, value)| self.row((name, names), (value, values))).collect();
                self.y += GAP - 3.0;
                self.parts.push(Part::Facts { rows });
            }
        }
    }

    /// Two texts beside each other.
    fn row(&mut self, name: (&Line, Column), value: (&Line, Column)) -> (usize, usize) {
        let lines = |(line, column): (&Line, Column)| self.lines(line, column).len();
        let most = u16::try_from(lines(name).max(lines(value))).unwrap_or(u16::MAX);
        let fits = self.size.1 - 2.0 * MARGIN;
        self.room((f32::from(most) * TEXT * LEADING).min(fits));
        let (page, top) = (self.pages.len(), self.y);
        let name = self.text(name.0, name.1);
        let after = (self.pages.len(), self.y);
        // What goes over a page's end is as long as a page: the value then begins below the name.
        if after.0 == page {
            self.y = top;
        }
        let value = self.text(value.0, value.1);
        if self.pages.len() == after.0 {
            self.y = self.y.max(after.1);
        }
        self.y += 3.0;
        (name, value)
    }

    /// A text in as many lines as it needs; its number.
    fn text(&mut self, line: &Line, column: Column) -> usize {
        let text = self.texts;
        self.texts += 1;
        for runs in self.lines(line, column) {
            self.room(column.size * LEADING);
            let mut x = column.x;
            for run in runs {
                let face = if run.is_strong || column.is_bold { Face::Bold } else { Face::Plain };
                let width = self.faces.width(&run.words, face, column.size);
                let placed =
                    Placed { x, y: self.y + column.size, face, size: column.size, words: run.words, text };
                x += width;
                if let Some(page) = self.pages.last_mut() {
                    page.push(placed);
                }
            }
            self.y += column.size * LEADING;
        }
        text
    }

    /// Begins a page where less than `height` is left.
    fn room(&mut self, height: f32) {
        if self.y + height > self.size.1 - MARGIN && self.y > MARGIN {
            self.pages.push(Vec::new());
            self.y = MARGIN;
        }
    }

    /// The lines of a text. A line that another follows ends with a space, so that words stay apart when text is copied.
    fn lines(&self, line: &Line, column: Column) -> Vec<Vec<Run>> {
        let mut lines: Vec<Vec<Run>> = vec![Vec::new()];
        let mut used = 0.0;
        for span in line {
            let Span::Text { text, is_strong } = span else {
                push(&mut lines, " ", false);
                lines.push(Vec::new());
                used = 0.0;
                continue;
            };
            let face = if *is_strong || column.is_bold { Face::Bold } else { Face::Plain };
            for word in text.split_inclusive(' ') {
                let width = self.faces.width(word.trim_end_matches(' '), face, column.size);
                if used > 0.0 && used + width > column.width {
                    lines.push(Vec::new());
                    used = 0.0;
                }
                if width <= column.width {
                    push(&mut lines, word, *is_strong);
                    used += self.faces.width(word, face, column.size);
                    continue;
                }
                for letter in word.chars() {
                    let mut bytes = [0; 4];
                    let letter = letter.encode_utf8(&mut bytes);
                    let width = self.faces.width(letter, face, column.size);
                    if used > 0.0 && used + width > column.width && letter != " " {
                        lines.push(Vec::new());
                        used = 0.0;
                    }
                    push(&mut lines, letter, *is_strong);
                    used += width;
                }
            }
        }
        lines
    }
}

/// Adds words to the last line, to its last run if that is of the same face.
fn push(lines: &mut [Vec<Run>], words: &str, is_strong: bool) {
    let Some(line) = lines.last_mut() else { return };
    match line.last_mut() {
        Some(run) if run.is_strong == is_strong => run.words.push_str(words),
        _ => line.push(Run { words: words.to_owned(), is_strong }),
    }
}
