//! Days, numbers and truth as a language writes them.
//!
//! Does not do: languages other than English, German, French and Spanish; a template in another one gets `2026-11-18`, `0.5` and
//! `true`, and can say them itself.

use ledgerstone::time::Date;

use super::Paper;

/// How values are written for a reader.
#[derive(Clone, Copy, Debug)]
pub(super) struct Words<'a> {
    /// The first part of the language's tag.
    language: &'a str,
    /// American readers have letter paper.
    is_american: bool,
}

const MONTHS: [(&str, [&str; 12]); 4] = [
    (
        "en",
        [
            "January",
            "February",
            "March",
            "April",
            "May",
            "June",
            "July",
            "August",
            "September",
            "October",
            "November",
            "December",
        ],
    ),
    (
        "de",
        [
            "Januar",
            "Februar",
            "März",
            "April",
            "Mai",
            "Juni",
            "Juli",
            "August",
            "September",
            "Oktober",
            "November",
            "Dezember",
        ],
    ),
    (
        "fr",
        [
            "janvier",
            "février",
            "mars",
            "avril",
            "mai",
            "juin",
            "juillet",
            "août",
            "septembre",
            "octobre",
            "novembre",
            "décembre",
        ],
    ),
    (
        "es",
        [
            "enero",
            "febrero",
            "marzo",
            "abril",
            "mayo",
            "junio",
            "julio",
            "agosto",
            "septiembre",
            "octubre",
            "noviembre",
            "diciembre",
        ],
    ),
];

impl<'a> Words<'a> {
    pub(super) fn new(language: &'a str, paper: Paper) -> Self {
        let language = language.split('-').next().unwrap_or_default();
        Self { language, is_american: paper == Paper::Letter }
    }

    /// A day: `November 18, 2026`, `18. November 2026`.
    pub(super) fn day(self, date: Date) -> String {
        let (year, month, day) = date.parts();
        let months = MONTHS.iter().find(|(language, _)| *language == self.language);
        let name =
            usize::try_from(month).ok().and_then(|month| months?.1.get(month.checked_sub(1)?).copied());
        let Some(name) = name else { return date.to_string() };
        match self.language {
            "en" if self.is_american => format!("{name} {day}, {year}"),
            "de" => format!("{day}. {name} {year}"),
            "fr" if day == 1 => format!("1er {name} {year}"),
            "es" => format!("{day} de {name} de {year}"),
            _ => format!("{day} {name} {year}"),
        }
    }

    /// A number, in the fewest digits that give it back.
    pub(super) fn number(self, number: f64) -> String {
        let text = number.to_string();
        let has_comma = matches!(self.language, "de" | "fr") || (self.language == "es" && !self.is_american);
        if has_comma { text.replace('.', ",") } else { text }
    }

    /// Yes or no.
    pub(super) fn truth(self, truth: bool) -> &'static str {
        match (self.language, truth) {
            ("en", true) => "yes",
            ("en" | "es", false) => "no",
            ("de", true) => "ja",
            ("de", false) => "nein",
            ("fr", true) => "oui",
            ("fr", false) => "non",
            ("es", true) => "sí",
            (_, true) => "true",
            (_, false) => "false",
        }
    }
}

/// Control characters, those that turn the direction of writing, and those that show nothing.
pub(super) fn is_hidden(letter: char) -> bool {
    letter.is_control()
        || matches!(
            letter,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

/// Text of a record with what is hidden in it as a mark, such as `[U+202E]`.
pub(super) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\n' | '\t' => shown.push(' '),
            letter if is_hidden(letter) => shown.push_str(&format!("[U+{:04X}]", u32::from(letter))),
            letter => shown.push(letter),
        }
    }
    shown
}
