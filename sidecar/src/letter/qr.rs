//! QR codes (ISO/IEC 18004) as squares, and as SVG.

use std::fmt::Write as _;
use std::io;

use qrcode::{Color, EcLevel, QrCode};

/// White modules around a code, as the standard asks for.
pub(super) const QUIET: usize = 4;

/// The modules of a code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Square {
    width: usize,
    dark: Vec<bool>,
}

impl Square {
    /// The code of a text, which stays readable with an eighth of it covered (level M).
    ///
    /// # Errors
    /// The text is too long for any code.
    pub fn of(text: &str) -> Result<Self, QrError> {
        let code = QrCode::with_error_correction_level(text, EcLevel::M).map_err(|_| QrError::TooLong)?;
        let dark = code.to_colors().into_iter().map(|color| color == Color::Dark).collect();
        Ok(Self { width: code.width(), dark })
    }

    /// Modules on one side, without the quiet zone.
    #[must_use]
    pub const fn width(&self) -> usize {
        self.width
    }

    /// Whether the module at column `x` and row `y` is dark; what is outside is not.
    #[must_use]
    pub fn is_dark(&self, x: usize, y: usize) -> bool {
        x < self.width && self.dark.get(y * self.width + x).copied().unwrap_or(false)
    }

    /// As an SVG document: one path, black on white whatever the reader's colours are.
    #[must_use]
    pub fn svg(&self) -> String {
        let side = self.width + 2 * QUIET;
        let mut path = String::new();
        for y in 0..self.width {
            for x in (0..self.width).filter(|x| self.is_dark(*x, y)) {
                // Writing to a string does not fail.
                _ = write!(path, "M{} {}h1v1h-1z", x + QUIET, y + QUIET);
            }
        }
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {side} {side}\" shape-rendering=\"crispEdges\" role=\"img\" \
             aria-label=\"QR\"><path fill=\"#fff\" d=\"M0 0h{side}v{side}H0z\"/><path fill=\"#000\" d=\"{path}\"/></svg>"
        )
    }
}

/// Why there is no code.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QrError {
    /// More than a code can hold.
    #[error("the address is too long for a QR code: shorten links.public_url")]
    TooLong,
    /// The picture cannot be compressed.
    #[error("the picture cannot be written: {0}")]
    Png(#[source] io::Error),
}
