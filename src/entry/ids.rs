//! Names and identifiers that stand in an entry. None of them says anything about a person.

use core::fmt;
use core::str::FromStr;

use crate::code::Code;

/// Why a text is not an identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdError {
    /// Not a [`WriterName`].
    #[error("a writer's name is 1 to 64 characters of a-z 0-9 . _ -")]
    Writer,
    /// Not a [`RegisteredName`].
    #[error("a registered name is 1 to 64 characters of a-z 0-9 . _ -")]
    Name,
    /// Not a [`RegisteredVersion`].
    #[error("a registered version is 1 to 64 characters of A-Z a-z 0-9 . _ + -")]
    Version,
    /// Not a [`LaneName`].
    #[error("a lane's name is 1 to 32 characters of a-z 0-9 -, the first one no hyphen")]
    Lane,
    /// Not a UUID as RFC 9562 writes it, in lower case.
    #[error("not a UUID: write 32 lowercase hexadecimal digits in groups of 8-4-4-4-12")]
    Uuid,
}

impl IdError {
    /// What the reader must do next.
    #[must_use]
    pub const fn code(self) -> Code {
        Code::Malformed
    }
}

/// Which running sidecar wrote an entry: a name from its configuration, 1 to 64 characters of `a-z 0-9 . _ -`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WriterName(String);

/// What a model, or the kind of a policy, is registered as: a name, never free text. 1 to 64 characters of `a-z 0-9 . _ -`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RegisteredName(String);

/// Which version of a model is registered: 1 to 64 characters of `A-Z a-z 0-9 . _ + -`, which semantic versions, dates and
/// digests are written with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RegisteredVersion(String);

/// Which anchor target as configured: 1 to 32 characters of `a-z 0-9 -`, the first one no hyphen. It names a folder too.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneName(String);

/// Longest name or version, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// Longest name of a lane, in bytes.
const LANE_BYTES_MAX: usize = 32;

/// What the names have in common: they differ in the characters beside lowercase letters and digits.
macro_rules! name {
    ($name:ident, $error:ident, $len_max:expr, $known:expr) => {
        impl $name {
            /// Longest text, in bytes.
            pub const LEN_MAX: usize = $len_max;

            /// Reads one.
            ///
            /// # Errors
            /// [`IdError`] for an empty or too long text, or any other character.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                let known: fn(usize, u8) -> bool = $known;
                let all = text
                    .bytes()
                    .enumerate()
                    .all(|(at, byte)| byte.is_ascii_lowercase() || byte.is_ascii_digit() || known(at, byte));
                if (1..=Self::LEN_MAX).contains(&text.len()) && all {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(IdError::$error)
                }
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::parse(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(WriterName, Writer, NAME_BYTES_MAX, |_, byte| b"._-".contains(&byte));
name!(RegisteredName, Name, NAME_BYTES_MAX, |_, byte| b"._-".contains(&byte));
name!(RegisteredVersion, Version, NAME_BYTES_MAX, |_, byte| {
    byte.is_ascii_uppercase() || b"._+-".contains(&byte)
});
name!(LaneName, Lane, LANE_BYTES_MAX, |at, byte| byte == b'-' && at > 0);

/// Which start-to-stop of a writer: 16 random bytes drawn at its start.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId([u8; 16]);

/// Which decision: 16 bytes, a UUIDv7 (RFC 9562, section 5.7) drawn when the request was seen.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DecisionId([u8; 16]);

/// Which erasure: 16 random bytes, the same in each of its entries.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErasureId([u8; 16]);

/// Which hold: 16 random bytes, the same in the entry that releases it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HoldId([u8; 16]);

/// What the identifiers have in common.
macro_rules! uuid_id {
    ($id:ident) => {
        impl $id {
            /// Takes the bytes of an identifier.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The identifier's bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }

            /// Reads the one spelling that `Display` gives.
            ///
            /// # Errors
            /// [`IdError::Uuid`] for any other text.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                parse_uuid(text).map(Self).ok_or(IdError::Uuid)
            }
        }

        impl FromStr for $id {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::parse(text)
            }
        }

        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_uuid(&self.0, f)
            }
        }

        impl fmt::Debug for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($id), "({})"), self)
            }
        }
    };
}

uuid_id!(SessionId);
uuid_id!(DecisionId);
uuid_id!(ErasureId);
uuid_id!(HoldId);

/// Writes 16 bytes as RFC 9562, section 4, does, in lower case.
fn write_uuid(bytes: &[u8; 16], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            f.write_str("-")?;
        }
        write!(f, "{byte:02x}")?;
    }
    Ok(())
}

/// Reads what [`write_uuid`] writes.
fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let hyphens_in_place = text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| matches!(at, 8 | 13 | 18 | 23) == (byte == b'-'));
    if !hyphens_in_place {
        return None;
    }
    let bytes = crate::encoding::hex_decode(&text.replace('-', "")).ok()?;
    bytes.try_into().ok()
}
