//! Signed notes: text, a blank line, and one or more signature lines (c2sp.org/signed-note).
//!
//! Guarantees: a parsed note re-serialises to the same bytes; nothing in a note is trusted by parsing it; a signature
//! counts only under a key whose name and id both match. Does not do: decide which keys are enough (`policy`), or know
//! what the text means (`checkpoint`). Implements signed-note, sections Format, Signatures and Verifier keys.

mod key;
mod name;
mod signature;
mod signing;
#[cfg(test)]
mod tests;

use core::fmt;

use crate::code::Code;
use crate::limits::{NOTE_BYTES_MAX, SIGNATURES_MAX};

pub use key::{KeyId, SignatureError, SignatureType, VerifierKey, VerifierKeyError};
pub use name::{KeyName, KeyNameError};
pub use signature::{Signature, SignatureLineError};
pub use signing::{Signer, SigningKey, SigningKeyError};

/// A note: its text, and the signatures that claim to be over it.
///
/// The text must be ignored until a signature by a trusted key has verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedNote {
    text: String,
    signatures: Vec<Signature>,
}

impl SignedNote {
    /// Puts a text and its signatures together.
    ///
    /// # Errors
    /// When the result would not be a note that [`SignedNote::parse`] reads back.
    pub fn new(text: String, signatures: Vec<Signature>) -> Result<Self, NoteError> {
        Self::new_within(text, signatures, NOTE_BYTES_MAX)
    }

    /// The same for a note of at most `bytes_max` bytes, which only whoever knows what the text is can say.
    ///
    /// # Errors
    /// When the result would not be a note that [`SignedNote::parse_within`] reads back.
    pub fn new_within(text: String, signatures: Vec<Signature>, bytes_max: usize) -> Result<Self, NoteError> {
        let note = Self { text, signatures };
        let bytes = note.to_string().into_bytes();
        let read_back = Self::parse_within(&bytes, bytes_max)?;
        if read_back == note { Ok(note) } else { Err(NoteError::NoBlankLine) }
    }

    /// Reads a note, refusing anything that is not exactly one.
    ///
    /// # Errors
    /// Says which rule of signed-note the bytes break, and where.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        Self::parse_within(bytes, NOTE_BYTES_MAX)
    }

    /// Reads a note of at most `bytes_max` bytes, where a longer one than [`NOTE_BYTES_MAX`] is expected.
    ///
    /// # Errors
    /// As [`SignedNote::parse`].
    pub fn parse_within(bytes: &[u8], bytes_max: usize) -> Result<Self, NoteError> {
        let whole = printable_text(bytes, bytes_max)?;
        let (text, lines) = split_at_last_blank_line(whole)?;
        if lines.is_empty() {
            return Err(NoteError::NoSignatures);
        }
        let mut signatures = Vec::new();
        for (number, line) in lines.split_terminator('\n').enumerate() {
            if number == SIGNATURES_MAX {
                return Err(NoteError::TooManySignatures);
            }
            let signature = Signature::parse_line(line)
                .map_err(|source| NoteError::SignatureLine { number: number + 1, source })?;
            signatures.push(signature);
        }
        Ok(Self { text: text.to_owned(), signatures })
    }

    /// The signed text, its final newline included.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signature lines, in the order they stand in the note.
    #[must_use]
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// The signatures that name `key` by both name and id.
    pub fn signatures_of<'a>(&'a self, key: &'a VerifierKey) -> impl Iterator<Item = &'a Signature> {
        self.signatures
            .iter()
            .filter(move |signature| signature.name() == key.name() && signature.id() == key.id())
    }

    /// Checks the plain Ed25519 signatures (type 0x01) that `key` is named by.
    ///
    /// # Errors
    /// When there is none, or one that does not verify, or when `key` is of a type whose message is not the note text
    /// (those are checked by `cosignature`).
    pub fn verify(&self, key: &VerifierKey) -> Result<(), SignatureError> {
        if key.signature_type() != SignatureType::Ed25519 {
            return Err(SignatureError::OtherMessage);
        }
        let mut found = false;
        for signature in self.signatures_of(key) {
            key.verify_message(self.text.as_bytes(), signature.bytes())?;
            found = true;
        }
        if found { Ok(()) } else { Err(SignatureError::Absent) }
    }
}

impl fmt::Display for SignedNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|signature| writeln!(f, "{signature}"))
    }
}

/// The bytes as text, if they hold no control character but newline and end in one.
fn printable_text(bytes: &[u8], bytes_max: usize) -> Result<&str, NoteError> {
    if bytes.len() > bytes_max {
        return Err(NoteError::TooLong { bytes: bytes.len(), bytes_max });
    }
    let text = core::str::from_utf8(bytes).map_err(|error| NoteError::NotUtf8 { at: error.valid_up_to() })?;
    if let Some(at) = bytes.iter().position(|&byte| byte < 0x20 && byte != b'\n') {
        return Err(NoteError::ControlCharacter { at });
    }
    if !text.ends_with('\n') {
        return Err(NoteError::NoFinalNewline);
    }
    Ok(text)
}

/// The text with its final newline, and the signature lines after the blank line.
fn split_at_last_blank_line(note: &str) -> Result<(&str, &str), NoteError> {
    let at = note.rfind("\n\n").ok_or(NoteError::NoBlankLine)?;
    let (text, rest) = note.split_at_checked(at + 1).ok_or(NoteError::NoBlankLine)?;
    let lines = rest.strip_prefix('\n').ok_or(NoteError::NoBlankLine)?;
    Ok((text, lines))
}

/// Why bytes are not a signed note.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoteError {
    /// More bytes than [`NOTE_BYTES_MAX`], or than whoever reads it expects.
    #[error("the note has {bytes} bytes, the limit is {bytes_max}: drop cosignatures that nobody needs")]
    TooLong {
        /// How many bytes there were.
        bytes: usize,
        /// How many there may be.
        bytes_max: usize,
    },
    /// The bytes are not UTF-8.
    #[error("the note is not UTF-8 from byte {at} on: fetch it again")]
    NotUtf8 {
        /// The first byte that is not.
        at: usize,
    },
    /// A control character other than newline; a carriage return says the file went through a text conversion.
    #[error("control character at byte {at}: copy the note as a binary file")]
    ControlCharacter {
        /// Where it stands.
        at: usize,
    },
    /// The last line is not ended.
    #[error("the note does not end in a newline: it may be cut off, fetch it again")]
    NoFinalNewline,
    /// No blank line divides text and signatures.
    #[error("no blank line between text and signatures: this is not a signed note")]
    NoBlankLine,
    /// A blank line with nothing behind it.
    #[error("no signature line after the blank line: it may be cut off, fetch it again")]
    NoSignatures,
    /// More signature lines than [`SIGNATURES_MAX`].
    #[error("more than {SIGNATURES_MAX} signature lines: drop those that nobody needs")]
    TooManySignatures,
    /// A line after the blank line is not a signature line.
    #[error("signature line {number}: {source}")]
    SignatureLine {
        /// Which one, counted from 1.
        number: usize,
        /// What is wrong with it.
        source: SignatureLineError,
    },
}

impl NoteError {
    /// What the reader must do about it.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::TooLong { .. } | Self::TooManySignatures => Code::Limit,
            _ => Code::Malformed,
        }
    }
}
