//! The name of a tile or of an entry bundle, as a path below the log's prefix.
//!
//! Guarantees: one tile, one spelling; anything else is refused. Does not do: saying whether a log has the tile.
//!
//! Implements C2SP tlog-tiles, section "Merkle Tree", `tile/<L>/<N>[.p/<W>]`.

use core::fmt;
use core::str::FromStr;

use crate::code::Code;
use crate::merkle::{LeafIndex, TreeSize};
use crate::tile::{TILE_HEIGHT, TILE_LEVEL_MAX, TILE_WIDTH};

/// What a tile holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TileKind {
    /// Hashes: leaf hashes on level 0, roots of full tiles of the level below on any other.
    Hashes(u8),
    /// The entries under one tile of level 0.
    Entries,
}

/// The name of one tile or entry bundle, full or partial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TilePath {
    /// The level is at most 63.
    kind: TileKind,
    /// How many full tiles stand before it on its level.
    index: u64,
    /// Hashes or entries it holds, 1 to 256.
    width: u16,
}

impl TilePath {
    /// The full tile or bundle at `index`.
    ///
    /// A level above 63 has no path; it is taken for 63, which no tree has either.
    #[must_use]
    pub const fn full(kind: TileKind, index: u64) -> Self {
        let kind = match kind {
            TileKind::Hashes(level) if level > TILE_LEVEL_MAX => TileKind::Hashes(TILE_LEVEL_MAX),
            known => known,
        };
        Self { kind, index, width: TILE_WIDTH }
    }

    /// The tile or bundle at `index` that holds `width` hashes or entries; the full one if that is 256.
    ///
    /// # Errors
    /// When the width is not 1 to 256 or the level is above 63.
    pub fn partial(kind: TileKind, index: u64, width: u16) -> Result<Self, TilePathError> {
        if !(1..=TILE_WIDTH).contains(&width) {
            return Err(TilePathError::Width);
        }
        if matches!(kind, TileKind::Hashes(level) if level > TILE_LEVEL_MAX) {
            return Err(TilePathError::Level);
        }
        Ok(Self { kind, index, width })
    }

    /// The same tile once it is full.
    #[must_use]
    pub const fn to_full(self) -> Self {
        Self { width: TILE_WIDTH, ..self }
    }

    /// What the tile holds.
    #[must_use]
    pub const fn kind(self) -> TileKind {
        self.kind
    }

    /// How many full tiles stand before it on its level.
    #[must_use]
    pub const fn index(self) -> u64 {
        self.index
    }

    /// How many hashes or entries it holds, 1 to 256.
    #[must_use]
    pub const fn width(self) -> u16 {
        self.width
    }

    /// Whether it holds 256 hashes or entries and so never changes again.
    #[must_use]
    pub const fn is_full(self) -> bool {
        self.width == TILE_WIDTH
    }

    /// The first leaf under the tile. A tile that no tree can have starts at `u64::MAX`, beyond every tree.
    #[must_use]
    pub fn start(self) -> LeafIndex {
        LeafIndex::new(self.leaves_before(0))
    }

    /// The size of the smallest tree that has all of the tile; `u64::MAX`, beyond every tree, if none can.
    #[must_use]
    pub fn end(self) -> TreeSize {
        TreeSize::new(self.leaves_before(self.width))
    }

    /// Leaves before the hash at `offset` in this tile.
    fn leaves_before(self, offset: u16) -> u64 {
        let level = match self.kind {
            TileKind::Hashes(level) => u32::from(level),
            TileKind::Entries => 0,
        };
        self.index
            .checked_mul(u64::from(TILE_WIDTH))
            .and_then(|hashes| hashes.checked_add(u64::from(offset)))
            .and_then(|hashes| {
                if hashes == 0 {
                    return Some(0);
                }
                let each = 1_u64.checked_shl(level * u32::from(TILE_HEIGHT))?;
                hashes.checked_mul(each)
            })
            .unwrap_or(u64::MAX)
    }
}

impl fmt::Display for TilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            TileKind::Hashes(level) => write!(f, "tile/{level}/")?,
            TileKind::Entries => f.write_str("tile/entries/")?,
        }
        write_index(f, self.index)?;
        if self.is_full() { Ok(()) } else { write!(f, ".p/{}", self.width) }
    }
}

/// Writes `1234067` as `x001/x234/067`.
fn write_index(f: &mut fmt::Formatter<'_>, index: u64) -> fmt::Result {
    let mut divisor = 1_u64;
    while index / divisor >= 1000 {
        divisor *= 1000;
    }
    while divisor > 1 {
        write!(f, "x{:03}/", index / divisor % 1000)?;
        divisor /= 1000;
    }
    write!(f, "{:03}", index % 1000)
}

impl FromStr for TilePath {
    type Err = TilePathError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rest = text.strip_prefix("tile/").ok_or(TilePathError::Shape)?;
        let (kind, rest) = rest.split_once('/').ok_or(TilePathError::Shape)?;
        let kind = match kind {
            "entries" => TileKind::Entries,
            level => {
                TileKind::Hashes(parse_decimal(level, TILE_LEVEL_MAX.into()).ok_or(TilePathError::Level)?)
            }
        };
        let (index, width) = match rest.split_once(".p/") {
            Some((index, width)) => {
                let width = parse_decimal(width, TILE_WIDTH - 1).ok_or(TilePathError::Width)?;
                (index, width)
            }
            None => (rest, TILE_WIDTH),
        };
        let index = parse_index(index).ok_or(TilePathError::Index)?;
        Self::partial(kind, index, width)
    }
}

/// A decimal number without sign or leading zeros, at most `max`.
fn parse_decimal<T: TryFrom<u16>>(text: &str, max: u16) -> Option<T> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let canonical = text == "0" || !text.starts_with('0');
    if !digits || !canonical {
        return None;
    }
    let number = text.parse().ok().filter(|number| *number <= max)?;
    T::try_from(number).ok()
}

/// An index in elements of three digits, all but the last marked with an `x`, the first not `x000`.
fn parse_index(text: &str) -> Option<u64> {
    let (high, last) = match text.rsplit_once('/') {
        Some((high, last)) => (Some(high), last),
        None => (None, text),
    };
    let mut index = 0_u64;
    for element in high.into_iter().flat_map(|high| high.split('/')) {
        index = append_digits(index, element.strip_prefix('x')?)?;
        if index == 0 {
            return None;
        }
    }
    append_digits(index, last)
}

/// The index before with three more digits.
fn append_digits(index: u64, digits: &str) -> Option<u64> {
    if digits.len() != 3 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    index.checked_mul(1000)?.checked_add(digits.parse().ok()?)
}

/// Why a text is not the path of a tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TilePathError {
    /// It does not look like a tile path at all.
    #[error("a tile path looks like tile/<level>/<index> or tile/entries/<index>")]
    Shape,
    /// The level is not a number from 0 to 63.
    #[error("a tile level is a number from 0 to 63 without leading zeros")]
    Level,
    /// The index is not in elements of three digits, or does not fit 64 bits.
    #[error("a tile index is written in elements of three digits, all but the last marked with x: x001/234")]
    Index,
    /// The width is not that of a partial tile.
    #[error("the width of a partial tile is a number from 1 to 255 without leading zeros")]
    Width,
}

impl TilePathError {
    /// What the reader must do next.
    #[must_use]
    pub const fn code(&self) -> Code {
        Code::Malformed
    }
}
