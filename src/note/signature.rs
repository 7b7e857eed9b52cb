//! One signature line: em dash, space, key name, space, base64 of key id and signature.

use core::fmt;

use super::{KeyId, KeyName, KeyNameError};
use crate::code::Code;
use crate::encoding::{base64_decode, base64_encode};

/// What a signature line starts with: U+2014 and a space.
const LINE_START: &str = "\u{2014} ";

/// One signature: who claims to have made it, and its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    name: KeyName,
    id: KeyId,
    bytes: Vec<u8>,
}

impl Signature {
    /// A signature made by the key of this name and id.
    #[must_use]
    pub const fn new(name: KeyName, id: KeyId, bytes: Vec<u8>) -> Self {
        Self { name, id, bytes }
    }

    /// Reads one line, without its newline.
    ///
    /// # Errors
    /// Says what of the line is wrong.
    pub fn parse_line(line: &str) -> Result<Self, SignatureLineError> {
        let rest = line.strip_prefix(LINE_START).ok_or(SignatureLineError::Start)?;
        let (name, encoded) = rest.split_once(' ').ok_or(SignatureLineError::Parts)?;
        let name = KeyName::new(name).map_err(SignatureLineError::Name)?;
        let blob = base64_decode(encoded).map_err(|_| SignatureLineError::Base64)?;
        let (id, bytes) = blob.split_first_chunk::<4>().ok_or(SignatureLineError::TooShort)?;
        if bytes.is_empty() {
            return Err(SignatureLineError::TooShort);
        }
        Ok(Self { name, id: KeyId::from_bytes(*id), bytes: bytes.to_vec() })
    }

    /// The name of the key.
    #[must_use]
    pub const fn name(&self) -> &KeyName {
        &self.name
    }

    /// The id of the key.
    #[must_use]
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// What follows the key id: for cosignatures a timestamp, then the signature itself.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut blob = self.id.to_bytes().to_vec();
        blob.extend_from_slice(&self.bytes);
        write!(f, "{LINE_START}{} {}", self.name, base64_encode(&blob))
    }
}

/// Why a line is not a signature line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureLineError {
    /// It does not start with an em dash and a space.
    #[error("does not start with an em dash and a space")]
    Start,
    /// There is no second part.
    #[error("is not a key name and a base64 text divided by one space")]
    Parts,
    /// The first part is not a key name.
    #[error("{0}")]
    Name(KeyNameError),
    /// The second part is not canonical base64.
    #[error("is not canonical base64 with padding")]
    Base64,
    /// Fewer than five bytes: no room for a key id and a signature.
    #[error("is too short to hold a key id and a signature")]
    TooShort,
}

impl SignatureLineError {
    /// What the reader must do about it.
    #[must_use]
    pub const fn code(&self) -> Code {
        Code::Malformed
    }
}
