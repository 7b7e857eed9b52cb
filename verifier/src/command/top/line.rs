//! A line of text with colours, cut to a width.

use crate::output::printable;

/// How a piece of a line looks, as SGR parameters; empty is plain.
pub(super) type Look = &'static str;

pub(super) const PLAIN: Look = "";
pub(super) const FAINT: Look = "2";
pub(super) const HEAD: Look = "1;36";
pub(super) const GOOD: Look = "32";
pub(super) const WARN: Look = "1;33";
pub(super) const BAD: Look = "1;31";

/// One line.
#[derive(Clone, Debug, Default)]
pub(super) struct Line(Vec<(Look, String)>);

impl Line {
    /// A line that begins with its title.
    pub(super) fn titled(title: &str) -> Self {
        Self::default().and(HEAD, format!("{title:<13}"))
    }

    /// The line and one more piece; what could steer a terminal, or begin another line, is shown as an escape.
    #[must_use]
    pub(super) fn and(mut self, look: Look, text: impl AsRef<str>) -> Self {
        self.0.push((look, printable(text.as_ref()).replace('\n', "\\n")));
        self
    }

    /// As it is printed: at most `width` characters.
    pub(super) fn print(&self, width: usize, colour: bool) -> String {
        let (mut text, mut left) = (String::new(), width);
        for (look, piece) in &self.0 {
            let cut: String = piece.chars().take(left).collect();
            left -= cut.chars().count();
            if colour && !look.is_empty() && !cut.is_empty() {
                text.push_str(&format!("\u{1b}[{look}m{cut}\u{1b}[0m"));
            } else {
                text.push_str(&cut);
            }
        }
        text
    }
}

/// A name in `width` columns, cut with a mark.
pub(super) fn cell(name: &str, width: usize) -> String {
    let name = printable(name).replace('\n', "\\n");
    if name.chars().count() <= width {
        return format!("{name:<width$}");
    }
    name.chars().take(width.saturating_sub(1)).chain(['~']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_to_its_width_and_steers_no_terminal() {
        let line = Line::default().and(BAD, "ab\u{1b}[2J").and(PLAIN, "cdefgh\nx");
        assert_eq!(line.print(80, false), "ab\\u{1b}[2Jcdefgh\\nx");
        assert_eq!(line.print(3, true), "\u{1b}[1;31mab\\\u{1b}[0m");
        assert_eq!(line.print(0, true), "");
    }

    #[test]
    fn a_cell_has_its_width() {
        for name in ["", "loans", "a-very-long-name", "äöü-äöü-äöü", "\u{1b}[31m"] {
            assert_eq!(cell(name, 8).chars().count(), 8, "{name:?}");
        }
        assert_eq!(cell("a-very-long-name", 8), "a-very-~");
    }
}
