//! A notice as blocks of text, read from what a template prints.
//!
//! Guarantees: what can be read is headings, paragraphs, addresses, lists and tables of facts, and nothing else: an element or an
//! attribute that is not in the list is refused, so no notice holds a script, a link, a picture or a style of its own, whatever a
//! template or a value says. Nothing in it is hidden. Specification: `docs/notices.md`, "Templates".

use std::fmt;

use ledgerstone::limits::{NOTICE_BLOCKS_MAX, NOTICE_BYTES_MAX};

use super::words::is_hidden;

/// A notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Its blocks; the first heading is its title.
    pub blocks: Vec<Block>,
}

/// A block of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Block {
    /// `<h1>` or `<h2>`.
    Heading {
        /// 1 or 2.
        level: u8,
        /// What it says.
        line: Line,
    },
    /// `<p>`.
    Paragraph(Line),
    /// `<address>`.
    Address(Line),
    /// `<ul>` or `<ol>`.
    List {
        /// Whether its items are numbered.
        is_numbered: bool,
        /// The items.
        items: Vec<Line>,
    },
    /// `<table>` of rows with one `<th>` and one `<td>`.
    Facts(Vec<(Line, Line)>),
}

/// Text of one block.
pub type Line = Vec<Span>;

/// A piece of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Span {
    /// Words.
    Text {
        /// What they are; white space is one space.
        text: String,
        /// Whether they stand in `<strong>`.
        is_strong: bool,
    },
    /// `<br>`.
    Break,
}

/// Why something is no notice.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// More than [`NOTICE_BYTES_MAX`] bytes or [`NOTICE_BLOCKS_MAX`] blocks.
    #[error("more than {NOTICE_BYTES_MAX} bytes or {NOTICE_BLOCKS_MAX} blocks")]
    TooLong,
    /// A tag that is none of those in the list, or stands where it cannot.
    #[error("line {line}: {found:?} cannot stand here: {expected}")]
    Tag {
        /// The line of what the template printed.
        line: usize,
        /// What stands there.
        found: String,
        /// What could.
        expected: &'static str,
    },
    /// Text outside of a block.
    #[error("line {line}: text outside of a heading, paragraph, address, list or table")]
    LooseText {
        /// The line.
        line: usize,
    },
    /// `&` that begins no character reference that is known.
    #[error("line {line}: '&' that stands for nothing: write &amp;")]
    Reference {
        /// The line.
        line: usize,
    },
    /// A character that cannot be seen, or turns the direction of writing.
    #[error("line {line}: U+{letter:04X}, which cannot be seen")]
    Hidden {
        /// The line.
        line: usize,
        /// The character.
        letter: u32,
    },
    /// A block without text.
    #[error("line {line}: an empty {what}")]
    Empty {
        /// The line.
        line: usize,
        /// What it is.
        what: &'static str,
    },
    /// No title, or two.
    #[error("a notice has one <h1>, and begins with it")]
    Title,
}

/// Elements that text may stand in.
const BLOCKS: &str =
    "there are h1, h2, p, address, ul, ol, li, table, tr, th, td, strong and br, without attributes";

impl Document {
    /// Reads what a template printed.
    ///
    /// # Errors
    /// [`DocumentError`] says the line.
    pub fn parse(text: &str) -> Result<Self, DocumentError> {
        if text.len() > NOTICE_BYTES_MAX {
            return Err(DocumentError::TooLong);
        }
        let mut parser = Parser { text, at: 0 };
        let mut blocks = Vec::new();
        while let Some(tag) = parser.next_block()? {
            if blocks.len() == NOTICE_BLOCKS_MAX {
                return Err(DocumentError::TooLong);
            }
            blocks.push(parser.block(tag)?);
        }
        let titles = blocks.iter().filter(|block| matches!(block, Block::Heading { level: 1, .. })).count();
        let begins = matches!(blocks.first(), Some(Block::Heading { level: 1, .. }));
        if titles == 1 && begins { Ok(Self { blocks }) } else { Err(DocumentError::Title) }
    }

    /// The text of the title.
    #[must_use]
    pub fn title(&self) -> String {
        match self.blocks.first() {
            Some(Block::Heading { line, .. }) => plain(line),
            _ => String::new(),
        }
    }

    /// All the text, one block or row after the other.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for line in self.blocks.iter().flat_map(Block::lines) {
            text.push_str(&plain(line));
            text.push('\n');
        }
        text
    }
}

impl Block {
    fn lines(&self) -> Vec<&Line> {
        match self {
            Self::Heading { line, .. } | Self::Paragraph(line) | Self::Address(line) => vec![line],
            Self::List { items, .. } => items.iter().collect(),
            Self::Facts(rows) => rows.iter().flat_map(|(name, value)| [name, value]).collect(),
        }
    }
}

/// The text of a line; a break is a space.
#[must_use]
pub fn plain(line: &Line) -> String {
    let spans = line.iter().map(|span| match span {
        Span::Text { text, .. } => text.as_str(),
        Span::Break => " ",
    });
    spans.collect()
}

/// A tag by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tag<'a> {
    Open(&'a str),
    Close(&'a str),
}

impl fmt::Display for Tag<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(name) => write!(f, "<{name}>"),
            Self::Close(name) => write!(f, "</{name}>"),
        }
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn line(&self) -> usize {
        self.text.bytes().take(self.at).filter(|byte| *byte == b'\n').count() + 1
    }

    fn misplaced(&self, found: &impl ToString, expected: &'static str) -> DocumentError {
        DocumentError::Tag { line: self.line(), found: found.to_string(), expected }
    }

    /// The name of the block that begins next, if any does.
    fn next_block(&mut self) -> Result<Option<&'a str>, DocumentError> {
        match self.tag_after_space()? {
            None => Ok(None),
            Some(Tag::Open(name)) => Ok(Some(name)),
            Some(tag @ Tag::Close(_)) => Err(self.misplaced(&tag, BLOCKS)),
        }
    }

    /// Skips white space and takes a tag; `None` at the end.
    fn tag_after_space(&mut self) -> Result<Option<Tag<'a>>, DocumentError> {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_ascii_start().len();
        match self.rest().chars().next() {
            None => Ok(None),
            Some('<') => self.tag().map(Some),
            Some(_) => Err(DocumentError::LooseText { line: self.line() }),
        }
    }

    /// Takes the tag that stands next.
    fn tag(&mut self) -> Result<Tag<'a>, DocumentError> {
        let rest = self.rest();
        let shown: String = rest.chars().take(40).filter(|letter| !is_hidden(*letter)).collect();
        let unknown = |parser: &Self| parser.misplaced(&shown, BLOCKS);
        let end = rest.find('>').ok_or_else(|| unknown(self))?;
        let name = rest.get(1..end).unwrap_or_default();
        let (name, is_end) = name.strip_prefix('/').map_or((name, false), |name| (name, true));
        const NAMES: [&str; 13] =
            ["h1", "h2", "p", "address", "ul", "ol", "li", "table", "tr", "th", "td", "strong", "br"];
        if !NAMES.contains(&name) {
            return Err(unknown(self));
        }
        self.at += end + 1;
        Ok(if is_end { Tag::Close(name) } else { Tag::Open(name) })
    }

    /// Reads the block that `name` began.
    fn block(&mut self, name: &'a str) -> Result<Block, DocumentError> {
        match name {
            "h1" => Ok(Block::Heading { level: 1, line: self.inline(name, "heading")? }),
            "h2" => Ok(Block::Heading { level: 2, line: self.inline(name, "heading")? }),
            "p" => Ok(Block::Paragraph(self.inline(name, "paragraph")?)),
            "address" => Ok(Block::Address(self.inline(name, "address")?)),
            "ul" | "ol" => {
                let mut items = Vec::new();
                while self.child(name, "li", "a list has li only")? {
                    items.push(self.inline("li", "list item")?);
                }
                self.filled(!items.is_empty(), "list")?;
                Ok(Block::List { is_numbered: name == "ol", items })
            }
            "table" => {
                let mut rows = Vec::new();
                while self.child(name, "tr", "a table has tr only")? {
                    rows.push(self.row()?);
                }
                self.filled(!rows.is_empty(), "table")?;
                Ok(Block::Facts(rows))
            }
            _ => Err(self.misplaced(&Tag::Open(name), BLOCKS)),
        }
    }

    fn row(&mut self) -> Result<(Line, Line), DocumentError> {
        const CELLS: &str = "a row has one th and one td";
        let mut cells = [Vec::new(), Vec::new()];
        for (cell, name) in cells.iter_mut().zip(["th", "td"]) {
            if !self.child("tr", name, CELLS)? {
                return Err(self.misplaced(&Tag::Close("tr"), CELLS));
            }
            *cell = self.inline(name, "cell")?;
        }
        if self.child("tr", "", CELLS)? {
            return Err(self.misplaced(&Tag::Open("td"), CELLS));
        }
        let [name, value] = cells;
        Ok((name, value))
    }

    /// Whether a child begins next, and not the end of its parent.
    fn child(&mut self, parent: &str, child: &str, expected: &'static str) -> Result<bool, DocumentError> {
        match self.tag_after_space()? {
            Some(Tag::Open(name)) if name == child => Ok(true),
            Some(Tag::Close(name)) if name == parent => Ok(false),
            Some(tag) => Err(self.misplaced(&tag, expected)),
            None => Err(self.misplaced(&"the end", expected)),
        }
    }

    fn filled(&self, is_filled: bool, what: &'static str) -> Result<(), DocumentError> {
        if is_filled { Ok(()) } else { Err(DocumentError::Empty { line: self.line(), what }) }
    }

    /// Reads text up to the end of the element `name`.
    fn inline(&mut self, name: &str, what: &'static str) -> Result<Line, DocumentError> {
        const INLINE: &str = "within text there are strong and br only";
        let mut line = Vec::new();
        let mut is_strong = false;
        loop {
            self.words(&mut line, is_strong)?;
            if self.rest().is_empty() {
                return Err(self.misplaced(&"the end", INLINE));
            }
            match self.tag()? {
                Tag::Open("br") => line.push(Span::Break),
                Tag::Open("strong") if !is_strong => is_strong = true,
                Tag::Close("strong") if is_strong => is_strong = false,
                Tag::Close(end) if end == name && !is_strong => break,
                tag => return Err(self.misplaced(&tag, INLINE)),
            }
        }
        let line = trimmed(line);
        self.filled(!plain(&line).trim().is_empty(), what)?;
        Ok(line)
    }

    /// Takes text up to the next tag.
    fn words(&mut self, line: &mut Line, is_strong: bool) -> Result<(), DocumentError> {
        let mut text = String::new();
        while let Some(letter) = self.rest().chars().next().filter(|letter| *letter != '<') {
            let letter = if letter == '&' {
                self.reference()?
            } else {
                self.at += letter.len_utf8();
                letter
            };
            if letter.is_ascii_whitespace() {
                if !text.ends_with(' ') {
                    text.push(' ');
                }
            } else if is_hidden(letter) {
                return Err(DocumentError::Hidden { line: self.line(), letter: letter.into() });
            } else {
                text.push(letter);
            }
        }
        if !text.is_empty() {
            line.push(Span::Text { text, is_strong });
        }
        Ok(())
    }

    /// Takes a character reference.
    fn reference(&mut self) -> Result<char, DocumentError> {
        let unknown = DocumentError::Reference { line: self.line() };
        let rest = self.rest();
        let end = rest.bytes().take(12).position(|byte| byte == b';').ok_or_else(|| unknown.clone())?;
        let name = rest.get(1..end).unwrap_or_default();
        let number = |digits: &str, radix| {
            let are_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            let number = u32::from_str_radix(digits, radix).ok().filter(|_| are_digits);
            number.and_then(char::from_u32)
        };
        let letter = match name {
            "amp" => Some('&'),
            "lt" => Some('<'),
            "gt" => Some('>'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            "nbsp" => Some('\u{a0}'),
            _ => name.strip_prefix('#').and_then(|digits| match digits.strip_prefix('x') {
                Some(digits) => number(digits, 16),
                None => number(digits, 10),
            }),
        };
        self.at += end + 1;
        letter.ok_or(unknown)
    }
}

/// A line without white space at its ends and around breaks, and with one space where two meet.
fn trimmed(line: Line) -> Line {
    let mut spans: Line = Vec::with_capacity(line.len());
    let mut after_space = true;
    for span in line {
        match span {
            Span::Break => {
                trim_end(&mut spans);
                spans.push(Span::Break);
                after_space = true;
            }
            Span::Text { text, is_strong } => {
                let text = if after_space { text.trim_start_matches(' ') } else { text.as_str() };
                if !text.is_empty() {
                    after_space = text.ends_with(' ');
                    spans.push(Span::Text { text: text.to_owned(), is_strong });
                }
            }
        }
    }
    trim_end(&mut spans);
    spans
}

fn trim_end(spans: &mut Line) {
    if let Some(Span::Text { text, .. }) = spans.last_mut() {
        text.truncate(text.trim_end_matches(' ').len());
        if text.is_empty() {
            spans.pop();
        }
    }
}
