//! Reports as text that somebody without a glossary can act on.
//!
//! Guarantees: verdict first; for each check its result, what was found, and in one sentence what that shows; then what
//! to do. Control characters from inside an input are never sent to the terminal. Does not do: printing.

mod titles;

use ledgerstone::verify::{Check, Report, Status, Verdict};

use super::Answer;
use crate::exit::Refusal;

/// Columns of a line of text; every terminal and every printer has them.
const WIDTH: usize = 96;

/// Where the text of a check begins, past `NOT CHECKED` and a gap.
const INDENT: usize = 13;

/// How text is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// Whether the reader sees colours.
    pub colour: bool,
}

impl Style {
    pub(crate) fn paint(self, sgr: &str, text: &str) -> String {
        if self.colour { format!("\u{1b}[{sgr}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    fn verdict(self, verdict: Verdict) -> String {
        match verdict {
            Verdict::Verified => self.paint("1;32", "VERIFIED"),
            Verdict::Failed => self.paint("1;31", "FAILED"),
            Verdict::Undecided => self.paint("1;33", "COULD NOT DECIDE"),
        }
    }

    fn status(self, status: Status) -> String {
        let (sgr, word) = match status {
            Status::Passed => ("32", "passed"),
            Status::Failed => ("1;31", "FAILED"),
            Status::NotChecked => ("33", "not checked"),
        };
        let gap = " ".repeat(INDENT.saturating_sub(word.len()));
        self.paint(sgr, word) + &gap
    }
}

/// A whole answer.
pub(super) fn answer(answer: &Answer, style: Style) -> String {
    let report = &answer.report;
    let verdict = style.verdict(report.verdict());
    let mut text = format!("{verdict}: {}. {}\n", answer.meaning, tally(report));
    text.push_str(&wrapped(&printable(&capitalised(report.subject())), "", 0));
    text.push('\n');
    for check in report.checks() {
        text.push_str(&one_check(check, style));
    }
    text.push_str(&list("What this does not prove", report.not_proved()));
    text.push_str(&list("What to do next", &answer.next));
    text
}

/// A refusal: what happened, and what to do.
pub(super) fn refusal(refusal: &Refusal) -> String {
    wrapped(&printable(&refusal.message), "ledgerstone: ", 2) + &wrapped(&printable(&refusal.next), "  ", 2)
}

/// How many checks the verdict rests on.
fn tally(report: &Report) -> String {
    let checks = report.checks();
    let all = checks.len();
    let count = |status| checks.iter().filter(|check| check.status == status).count();
    match report.verdict() {
        Verdict::Verified => format!("All {all} checks passed."),
        Verdict::Failed => format!("{} of {all} checks failed.", count(Status::Failed)),
        Verdict::Undecided => format!("{} of {all} checks could not be made.", count(Status::NotChecked)),
    }
}

/// One check: result and name, what was found, where, what a pass shows, and what it rests on.
fn one_check(check: &Check, style: Style) -> String {
    let blank = " ".repeat(INDENT);
    let mut text = format!("{}{}\n", style.status(check.status), titles::title(check.name));
    for line in printable(&check.detail).lines() {
        text.push_str(&wrapped(line, &blank, INDENT));
    }
    let places = check.places.iter().map(ToString::to_string);
    for place in places.filter(|place| !check.detail.contains(place)) {
        text.push_str(&wrapped(&printable(&place), &format!("{blank}- "), INDENT + 2));
    }
    if check.status == Status::Passed {
        text.push_str(&wrapped(check.proves, &format!("{blank}Shows: "), INDENT));
    }
    if let Some(basis) = &check.rests_on {
        text.push_str(&wrapped(&printable(basis), &format!("{blank}Rests on: "), INDENT));
    }
    text
}

/// `text` with its first letter large.
fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// A heading and its points; nothing for no points.
fn list(heading: &str, points: &[impl AsRef<str>]) -> String {
    if points.is_empty() {
        return String::new();
    }
    points
        .iter()
        .fold(format!("\n{heading}\n"), |text, point| text + &wrapped(&printable(point.as_ref()), "  - ", 4))
}

/// `text` with what could steer a terminal shown as its escape; line feeds stay.
#[must_use]
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter == '\n' || !steers(letter) {
            shown.push(letter);
        } else {
            shown.extend(letter.escape_unicode());
        }
    }
    shown
}

/// Control characters, and those that turn the direction of writing.
fn steers(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `text` broken into lines of at most `WIDTH` columns: the first after `lead`, the others indented by `indent`.
#[must_use]
pub fn wrapped(text: &str, lead: &str, indent: usize) -> String {
    let mut lines = lead.to_owned();
    let mut column = lead.chars().count();
    let mut fresh = true;
    for word in text.split(' ') {
        let width = word.chars().count();
        if !fresh && column + 1 + width > WIDTH {
            lines.push('\n');
            lines.push_str(&" ".repeat(indent));
            column = indent;
            fresh = true;
        }
        if !fresh {
            lines.push(' ');
            column += 1;
        }
        lines.push_str(word);
        column += width;
        fresh = false;
    }
    lines.push('\n');
    lines
}

/// `1 entry`, `2 entries`, `1,989 entries`.
#[must_use]
pub fn plural(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", thousands(count), if count == 1 { one } else { many })
}

/// A distance or tolerance: `3.1e-6`, and `0` for none.
#[must_use]
pub fn scientific(number: f64) -> String {
    if number == 0.0 { "0".to_owned() } else { format!("{number:e}") }
}

/// A count with its thousands set apart: `1,989`.
#[must_use]
pub fn thousands(count: u64) -> String {
    let digits = count.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_thousands_apart() {
        for (count, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(thousands(count), text);
        }
    }

    #[test]
    fn breaks_lines_between_words_and_never_within_one() {
        let long = "x".repeat(WIDTH + 5);
        let text = wrapped(&format!("one two {long} three"), "> ", 2);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines, ["> one two", &format!("  {long}"), "  three"]);
    }

    #[test]
    fn shows_what_could_steer_a_terminal_as_an_escape() {
        assert_eq!(printable("a\u{1b}[2Jb\u{202e}c\nd"), "a\\u{1b}[2Jb\\u{202e}c\nd");
    }

    #[test]
    fn colours_only_when_asked_to() {
        assert_eq!(Style { colour: false }.verdict(Verdict::Failed), "FAILED");
        assert!(Style { colour: true }.verdict(Verdict::Failed).contains("\u{1b}["));
    }
}
