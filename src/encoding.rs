//! Bytes as text and back: strict base64 and lowercase hex; deterministic CBOR is in [`cbor`].
//!
//! Guarantees: one text per byte string. A text that decodes is the very text that encoding its bytes gives, so two
//! files that differ never decode to the same facts (RFC 4648, sections 3.5, 4 and 8). Does not do: line breaks, the
//! URL-safe alphabet, upper case hex, constant time.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::code::Code;

pub mod cbor;

/// Why a text is not the encoding of any bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    /// Not base64 of the standard alphabet with exact padding and zero trailing bits.
    #[error("this is not canonical base64: use the standard alphabet, '=' padding and nothing else")]
    Base64,
    /// Not an even number of lowercase hexadecimal digits.
    #[error("this is not lowercase hex: use an even number of digits 0-9 and a-f")]
    Hex,
}

impl TextError {
    /// What the reader must do next.
    #[must_use]
    pub const fn code(self) -> Code {
        Code::Malformed
    }
}

/// Base64 of `bytes`: standard alphabet, padded (RFC 4648, section 4).
#[must_use]
pub fn base64_encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// The bytes that `text` encodes in padded standard base64.
///
/// # Errors
/// [`TextError::Base64`] for a foreign character, wrong padding, or trailing bits that are not zero.
pub fn base64_decode(text: &str) -> Result<Vec<u8>, TextError> {
    STANDARD.decode(text).map_err(|_| TextError::Base64)
}

/// Lowercase hex of `bytes`.
#[must_use]
pub fn hex_encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        for nibble in [byte >> 4, byte & 0x0f] {
            text.push(char::from(if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 }));
        }
    }
    text
}

/// The bytes that `text` encodes in lowercase hex.
///
/// # Errors
/// [`TextError::Hex`] for an odd length or any character outside `0-9a-f`.
pub fn hex_decode(text: &str) -> Result<Vec<u8>, TextError> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
        return Err(TextError::Hex);
    };
    pairs
        .iter()
        .map(|[high, low]| Some(nibble(*high)? << 4 | nibble(*low)?))
        .collect::<Option<_>>()
        .ok_or(TextError::Hex)
}

/// The value of one lowercase hexadecimal digit.
const fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodes_the_base64_examples_of_rfc_4648() {
        for (bytes, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64_encode(bytes.as_bytes()), text);
            assert_eq!(base64_decode(text), Ok(bytes.as_bytes().to_vec()));
        }
    }

    #[test]
    fn refuses_every_second_spelling_of_the_same_base64() {
        for text in ["Zg", "Zg=", "Zh==", "Zm9=", "Zg==\n", " Zg==", "Zg==Zg==", "Z===", "-_==", "Zg==A"] {
            assert_eq!(base64_decode(text), Err(TextError::Base64), "{text:?}");
        }
    }

    #[test]
    fn reads_back_every_byte_in_hex() {
        let all: Vec<u8> = (0..=u8::MAX).collect();
        assert_eq!(hex_decode(&hex_encode(&all)), Ok(all));
        assert_eq!(hex_encode(&[0x00, 0x9a, 0xff]), "009aff");
    }

    #[test]
    fn refuses_upper_case_odd_and_foreign_hex() {
        for text in ["F0", "f", "0x00", "fg", "00 ", "é", "0\u{0660}"] {
            assert_eq!(hex_decode(text), Err(TextError::Hex), "{text:?}");
        }
    }
}
