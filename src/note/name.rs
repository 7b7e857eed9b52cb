//! Key names: the text that says whose key it is, and for a log, which log (its origin).
//!
//! Guarantees: not empty, no Unicode space, no plus, no control character, at most 255 bytes, because
//! tlog-cosignature carries the name behind a one-byte length.

use core::fmt;
use core::str::FromStr;

use crate::code::Code;

/// Bytes of a key name: `opaque cosigner_name<1..2^8-1>` (tlog-cosignature).
const NAME_BYTES_MAX: u8 = u8::MAX;

/// The name in a key and in its signature lines; for a log also its origin.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyName {
    text: String,
    /// The text's length, in the one byte that tlog-cosignature gives it.
    length: u8,
}

impl KeyName {
    /// Takes `name` if it is a key name.
    ///
    /// # Errors
    /// Says which rule it breaks.
    pub fn new(name: &str) -> Result<Self, KeyNameError> {
        if name.is_empty() {
            return Err(KeyNameError::Empty);
        }
        let length = u8::try_from(name.len()).map_err(|_| KeyNameError::TooLong { bytes: name.len() })?;
        let refused =
            |character: &char| *character == '+' || character.is_whitespace() || character.is_control();
        match name.chars().find(refused) {
            Some(character) => Err(KeyNameError::Character { character }),
            None => Ok(Self { text: name.to_owned(), length }),
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// How many bytes the name has.
    #[must_use]
    pub const fn length_byte(&self) -> u8 {
        self.length
    }
}

impl FromStr for KeyName {
    type Err = KeyNameError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::new(name)
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Why a text is not a key name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyNameError {
    /// Nothing there.
    #[error("the key name is empty: give the log a name such as `example.com/lending`")]
    Empty,
    /// More bytes than a cosignature can carry.
    #[error("the key name has {bytes} bytes, the limit is {NAME_BYTES_MAX}: shorten it")]
    TooLong {
        /// How many bytes there were.
        bytes: usize,
    },
    /// A space, a plus or a control character.
    #[error("the key name holds {character:?}: spaces, plus and control characters are not allowed")]
    Character {
        /// The first character that is not allowed.
        character: char,
    },
}

impl KeyNameError {
    /// What the reader must do about it.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::TooLong { .. } => Code::Limit,
            _ => Code::Malformed,
        }
    }
}
