//! The two fonts of PDF notices: Noto Sans, plain and bold, cut down to Latin, Greek and Cyrillic letters (SIL Open Font License 1.1).

use std::collections::BTreeSet;

use krilla::Data;
use krilla::text::{Font, GlyphId, KrillaGlyph};
use skrifa::instance::{LocationRef, Size};
use skrifa::{FontRef, MetadataProvider as _};

use crate::notices::NoticeError;

const PLAIN: &[u8] = include_bytes!("../../../notices/fonts/NotoSans-Regular.ttf");
const BOLD: &[u8] = include_bytes!("../../../notices/fonts/NotoSans-Bold.ttf");

/// Which of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Face {
    Plain,
    Bold,
}

/// Both.
pub(super) struct Faces {
    plain: Loaded,
    bold: Loaded,
}

struct Loaded {
    font: Font,
    read: FontRef<'static>,
    units: f32,
}

impl Faces {
    pub(super) fn new() -> Option<Self> {
        Some(Self { plain: Loaded::new(PLAIN)?, bold: Loaded::new(BOLD)? })
    }

    fn get(&self, face: Face) -> &Loaded {
        match face {
            Face::Plain => &self.plain,
            Face::Bold => &self.bold,
        }
    }

    pub(super) fn font(&self, face: Face) -> Font {
        self.get(face).font.clone()
    }

    /// How wide a text is, in points.
    pub(super) fn width(&self, text: &str, face: Face, size: f32) -> f32 {
        let loaded = self.get(face);
        text.chars().map(|letter| loaded.glyph(letter).1).sum::<f32>() * size
    }

    /// A glyph for each character.
    pub(super) fn glyphs(&self, text: &str, face: Face) -> Vec<KrillaGlyph> {
        let loaded = self.get(face);
        let glyph = |(at, letter): (usize, char)| {
            let (glyph, advance) = loaded.glyph(letter);
            KrillaGlyph::new(glyph, advance, 0.0, 0.0, 0.0, at..at + letter.len_utf8(), None)
        };
        text.char_indices().map(glyph).collect()
    }

    /// Refuses characters that one of the fonts lacks.
    pub(super) fn check(&self, text: &str) -> Result<(), NoticeError> {
        let lacks = |loaded: &Loaded, letter: char| loaded.read.charmap().map(letter).is_none();
        let letters = text.chars().filter(|letter| *letter != '\n');
        let missing: BTreeSet<char> =
            letters.filter(|letter| lacks(&self.plain, *letter) || lacks(&self.bold, *letter)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(NoticeError::Letters { letters: missing.into_iter().take(40).collect() })
    }
}

impl Loaded {
    fn new(bytes: &'static [u8]) -> Option<Self> {
        let font = Font::new(Data::from(bytes), 0)?;
        let units = font.units_per_em();
        Some(Self { font, read: FontRef::new(bytes).ok()?, units })
    }

    /// The glyph of a character and how far the next one is, for a size of 1.
    fn glyph(&self, letter: char) -> (GlyphId, f32) {
        let glyph = self.read.charmap().map(letter).unwrap_or_default();
        let advance = self.read.glyph_metrics(Size::unscaled(), LocationRef::default()).advance_width(glyph);
        (GlyphId::new(glyph.to_u32()), advance.unwrap_or_default() / self.units)
    }
}
