//! Letters on paper: their widths, their bytes, and where a line ends.
//!
//! *Guarantees*: every text can be set: a letter that the standard fonts lack is shown as its number. *Does not do*: hyphenate.

/// A typeface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Face {
    Plain,
    Bold,
    Fixed,
}

impl Face {
    pub(super) const ALL: [Self; 3] = [Self::Plain, Self::Bold, Self::Fixed];

    pub(super) const fn name(self) -> &'static [u8] {
        match self {
            Self::Plain => b"F1",
            Self::Bold => b"F2",
            Self::Fixed => b"F3",
        }
    }

    pub(super) const fn base_font(self) -> &'static [u8] {
        match self {
            Self::Plain => b"Helvetica",
            Self::Bold => b"Helvetica-Bold",
            Self::Fixed => b"Courier",
        }
    }
}

/// Widths of Helvetica from the space to the tilde, in thousandths of the size (Adobe's font metrics).
const WIDTHS: [u16; 95] = [
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556, 556, 556,
    556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667, 611, 778, 722, 278,
    500, 667, 556, 833, 722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469,
    556, 333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556, 556, 556, 333, 500,
    278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584,
];

/// A letter's width where the table has none; none of Latin 1 is wider.
const WIDEST: u16 = 1000;

/// A bold letter is at most this much wider than the plain one, but for a few that are rare in text.
const BOLD: f32 = 1.1;

/// The text in Latin 1, which `WinAnsiEncoding` contains; another letter as its number.
pub(super) fn encoded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    for letter in text.chars() {
        match (letter, u8::try_from(u32::from(letter))) {
            (' '..='~', Ok(byte)) | ('\u{a0}'..='\u{ff}', Ok(byte)) => bytes.push(byte),
            ('\u{2026}', _) => bytes.extend(b"..."),
            _ => bytes.extend(letter.escape_unicode().map(|digit| u8::try_from(digit).unwrap_or(b'?'))),
        }
    }
    bytes
}

/// How wide a text is.
pub(super) fn width(text: &str, face: Face, size: f32) -> f32 {
    let bytes = encoded(text);
    let thousandths = |byte: &u8| match face {
        Face::Fixed => 600.0,
        Face::Plain | Face::Bold => {
            let place = usize::from(byte.wrapping_sub(b' '));
            let width = f32::from(WIDTHS.get(place).copied().unwrap_or(WIDEST));
            if face == Face::Bold { width * BOLD } else { width }
        }
    };
    bytes.iter().map(thousandths).sum::<f32>() * size / 1000.0
}

/// The text in lines no wider than `limit`; a word that is wider is cut.
pub(super) fn lines(text: &str, face: Face, size: f32, limit: f32) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        let mut line = String::new();
        for word in paragraph.split(' ') {
            let longer = if line.is_empty() { word.to_owned() } else { format!("{line} {word}") };
            if width(&longer, face, size) <= limit {
                line = longer;
                continue;
            }
            if !line.is_empty() {
                lines.push(std::mem::take(&mut line));
            }
            for letter in word.chars() {
                if !line.is_empty()
                    && width(&line, face, size) + width(letter.encode_utf8(&mut [0; 4]), face, size) > limit
                {
                    lines.push(std::mem::take(&mut line));
                }
                line.push(letter);
            }
        }
        lines.push(line);
    }
    lines
}
