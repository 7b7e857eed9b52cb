//! Paths: where in a record a value stands, and patterns that select paths.
//!
//! A path is one or more segments joined by `/`. A segment is a place in a list, `[0]`, or a name. In a name the letters,
//! digits and `. _ ~ -` stand for themselves and every other byte of its UTF-8 is `%` and two upper case hexadecimal
//! digits, as in RFC 3986. Guarantees: one path per sequence of segments; a path that parses is the one that
//! building it from its segments gives. Does not do: knowing which paths mean something; that is [`super::schema`].

use core::fmt::{self, Write as _};
use core::str::FromStr;
use std::borrow::Cow;

use crate::code::Code;
use crate::limits::FIELD_PATH_BYTES_MAX;

/// Where in a record a value stands.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldPath(Cow<'static, str>);

/// Why a text is not a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FieldPathError {
    /// A segment without characters, or no segment at all.
    #[error("a path segment is empty: write segments joined by single slashes")]
    EmptySegment,
    /// A segment that is neither a canonical name nor a place in a list.
    #[error(
        "segment {index} is not canonical: percent-encode all but letters, digits and . _ ~ - in upper case hex, \
         and write places as [0]"
    )]
    BadSegment {
        /// Which segment, the first being 0.
        index: usize,
    },
    /// More than [`FIELD_PATH_BYTES_MAX`] bytes.
    #[error("{len} bytes; a path has at most {FIELD_PATH_BYTES_MAX}: shorten the name")]
    TooLong {
        /// How many bytes there were.
        len: usize,
    },
}

impl FieldPathError {
    /// What the reader must do next.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::TooLong { .. } => Code::Limit,
            Self::EmptySegment | Self::BadSegment { .. } => Code::Malformed,
        }
    }
}

impl FieldPath {
    /// Reads a path from its text.
    ///
    /// # Errors
    /// [`FieldPathError`] if the text is not the one spelling of a path.
    pub fn parse(text: &str) -> Result<Self, FieldPathError> {
        if text.len() > FIELD_PATH_BYTES_MAX {
            return Err(FieldPathError::TooLong { len: text.len() });
        }
        for (index, segment) in text.split('/').enumerate() {
            if segment.is_empty() {
                return Err(FieldPathError::EmptySegment);
            }
            if !is_place(segment) && !is_name(segment) {
                return Err(FieldPathError::BadSegment { index });
            }
        }
        Ok(Self(Cow::Owned(text.to_owned())))
    }

    /// Takes a path of the schema, which a test has parsed.
    pub(super) const fn known(path: &'static str) -> Self {
        Self(Cow::Borrowed(path))
    }

    /// The path of one part of place `index` in a list of the schema: `list/[index]/part`.
    pub(super) fn numbered(list: &'static str, index: u32, part: &'static str) -> Self {
        Self(Cow::Owned(format!("{list}/[{index}]/{part}")))
    }

    /// The path of the part called `name`, whatever characters the name has.
    ///
    /// # Errors
    /// [`FieldPathError`] if the name is empty or the path becomes too long.
    pub fn child(&self, name: &str) -> Result<Self, FieldPathError> {
        if name.is_empty() {
            return Err(FieldPathError::EmptySegment);
        }
        let mut text = String::with_capacity(self.0.len() + 1 + name.len());
        text.push_str(&self.0);
        text.push('/');
        for byte in name.bytes() {
            if is_unreserved(byte) {
                text.push(char::from(byte));
            } else {
                // Writing into a String cannot fail.
                let _ = write!(text, "%{byte:02X}");
            }
        }
        Self::within_limit(text)
    }

    /// The path of place `index` in the list at this path.
    ///
    /// # Errors
    /// [`FieldPathError::TooLong`] if the path becomes too long.
    pub fn place(&self, index: u32) -> Result<Self, FieldPathError> {
        Self::within_limit(format!("{}/[{index}]", self.0))
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The segments as they are written.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// The last segment as a name with its own characters; `None` if it is a place in a list.
    #[must_use]
    pub fn name(&self) -> Option<String> {
        let segment = self.0.rsplit('/').next()?;
        if is_place(segment) {
            return None;
        }
        String::from_utf8(percent_decoded(segment)?).ok()
    }

    fn within_limit(text: String) -> Result<Self, FieldPathError> {
        if text.len() > FIELD_PATH_BYTES_MAX {
            return Err(FieldPathError::TooLong { len: text.len() });
        }
        Ok(Self(Cow::Owned(text)))
    }
}

impl FromStr for FieldPath {
    type Err = FieldPathError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FieldPath({})", self.0)
    }
}

/// Selects paths: segments joined by `/`, where `*` stands for any one segment, and at the end for one or more.
///
/// `output/*` selects everything below `output`; `output/tensor/*/digest` one part of every tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPattern(String);

impl PathPattern {
    /// Reads a pattern from its text.
    ///
    /// # Errors
    /// [`FieldPathError`] if a segment is neither `*` nor one that a path could have.
    pub fn parse(text: &str) -> Result<Self, FieldPathError> {
        if text.len() > FIELD_PATH_BYTES_MAX {
            return Err(FieldPathError::TooLong { len: text.len() });
        }
        for (index, segment) in text.split('/').enumerate() {
            if segment.is_empty() {
                return Err(FieldPathError::EmptySegment);
            }
            if segment != "*" && !is_place(segment) && !is_name(segment) {
                return Err(FieldPathError::BadSegment { index });
            }
        }
        Ok(Self(text.to_owned()))
    }

    /// Whether the pattern selects `path`.
    #[must_use]
    pub fn matches(&self, path: &FieldPath) -> bool {
        let mut wanted = self.0.split('/').peekable();
        let mut segments = path.segments();
        while let Some(pattern) = wanted.next() {
            let Some(segment) = segments.next() else {
                return false;
            };
            if pattern == "*" && wanted.peek().is_none() {
                return true;
            }
            if pattern != "*" && pattern != segment {
                return false;
            }
        }
        segments.next().is_none()
    }

    /// The pattern as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PathPattern {
    type Err = FieldPathError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

/// Characters of a name that stand for themselves (RFC 3986, section 2.3).
const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'~' | b'-')
}

/// Whether a segment is a place in a list: `[n]`, n a u32 without leading zeros.
pub(super) fn is_place(segment: &str) -> bool {
    let digits = segment.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    digits.is_some_and(|digits| {
        digits.bytes().all(|byte| byte.is_ascii_digit())
            && (digits == "0" || !digits.starts_with('0'))
            && digits.parse::<u32>().is_ok()
    })
}

/// Whether a segment is a name in its one spelling.
fn is_name(segment: &str) -> bool {
    percent_decoded(segment).is_some_and(|name| core::str::from_utf8(&name).is_ok())
}

/// The bytes that a name stands for; `None` if another spelling of them is the canonical one.
fn percent_decoded(segment: &str) -> Option<Vec<u8>> {
    let mut name = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = if is_unreserved(*first) {
            name.push(*first);
            tail
        } else {
            let (b'%', [high, low, tail @ ..]) = (*first, tail) else {
                return None;
            };
            let byte = upper_hex(*high)? << 4 | upper_hex(*low)?;
            if is_unreserved(byte) {
                return None;
            }
            name.push(byte);
            tail
        };
    }
    Some(name)
}

/// The value of one upper case hexadecimal digit.
const fn upper_hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}
