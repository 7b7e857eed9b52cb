//! A decision's id as people type it from a letter: 28 letters and digits in groups of four, two and a half of them a check.
//!
//! Guarantees: one text per id; one wrong character, and two neighbours in the wrong order, are always noticed, anything else
//! but once in 4,096. Letters that are taken for digits are read as those. Does not do: hiding the id, which stands in it whole:
//! whoever has a reference has the id.
//!
//! The alphabet is Crockford's base 32, which has no I, L, O and U. The check is CRC-12/UMTS with all bits set at the start.

use core::fmt;
use core::str::FromStr;

use super::DecisionId;
use crate::code::Code;

/// Crockford's base 32.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Characters without the hyphens: 128 bits of the id and 12 of the check in groups of five.
const CHARACTERS: usize = 28;

/// Characters between two hyphens.
const GROUP: usize = 4;

/// Bytes of a text that is looked at; hyphens and spaces are passed over.
const TEXT_BYTES_MAX: usize = 64;

/// x^12 + x^11 + x^3 + x^2 + x + 1 without its highest term.
const POLYNOMIAL: u16 = 0x80f;
const CHECK_BITS: u32 = 12;
const CHECK_MASK: u16 = 0xfff;

/// A decision's id in the form for letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reference(DecisionId);

impl Reference {
    /// The reference of a decision.
    #[must_use]
    pub const fn of(decision: DecisionId) -> Self {
        Self(decision)
    }

    /// The decision that it refers to.
    #[must_use]
    pub const fn decision(self) -> DecisionId {
        self.0
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bits = Bits::of(self.0);
        for place in 0..CHARACTERS {
            if place > 0 && place.is_multiple_of(GROUP) {
                f.write_str("-")?;
            }
            let value = (0..5).fold(0, |value, _| value << 1 | usize::from(bits.take()));
            fmt::Write::write_char(f, ALPHABET.get(value).copied().map_or('0', char::from))?;
        }
        Ok(())
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(ReferenceError::Length);
        }
        let (mut bits, mut characters) = (Bits::default(), 0);
        for byte in text.bytes().filter(|byte| !matches!(byte, b'-' | b' ')) {
            let value = value(byte).ok_or(ReferenceError::Character)?;
            (0..5).rev().for_each(|bit| bits.put(value >> bit & 1));
            characters += 1;
        }
        if characters != CHARACTERS {
            return Err(ReferenceError::Length);
        }
        let decision = DecisionId::from_bytes(bits.id.to_be_bytes());
        if bits != Bits::of(decision) {
            return Err(ReferenceError::Check);
        }
        Ok(Self(decision))
    }
}

/// The 140 bits of a reference, the first one highest: those of the id, then those of the check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Bits {
    id: u128,
    check: u16,
}

impl Bits {
    fn of(decision: DecisionId) -> Self {
        Self { id: u128::from_be_bytes(*decision.as_bytes()), check: check(decision.as_bytes()) }
    }

    /// Takes the first bit away; the others move up.
    fn take(&mut self) -> bool {
        let first = self.id >> 127 == 1;
        self.id = self.id << 1 | u128::from(self.check >> (CHECK_BITS - 1));
        self.check = self.check << 1 & CHECK_MASK;
        first
    }

    /// Adds a last bit; the others move up.
    fn put(&mut self, bit: u8) {
        self.id = self.id << 1 | u128::from(self.check >> (CHECK_BITS - 1));
        self.check = self.check << 1 & CHECK_MASK | u16::from(bit);
    }
}

/// CRC-12 of the bytes, the highest bit of each first.
fn check(bytes: &[u8]) -> u16 {
    let bits = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| u16::from(byte >> bit & 1)));
    bits.fold(CHECK_MASK, |sum, bit| {
        let overflows = (sum >> (CHECK_BITS - 1) & 1) != bit;
        let shifted = sum << 1 & CHECK_MASK;
        if overflows { shifted ^ POLYNOMIAL } else { shifted }
    })
}

/// What a character stands for; lower case, and letters that look like digits, are read too.
fn value(byte: u8) -> Option<u8> {
    let upper = match byte.to_ascii_uppercase() {
        b'O' => b'0',
        b'I' | b'L' => b'1',
        other => other,
    };
    let place = ALPHABET.iter().position(|letter| *letter == upper)?;
    u8::try_from(place).ok()
}

/// Why a text is not a reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReferenceError {
    /// More or fewer characters.
    #[error("a reference has {CHARACTERS} letters and digits: type all of them")]
    Length,
    /// A character that references do not have.
    #[error("a reference has digits and letters without U: compare it with the letter once more")]
    Character,
    /// A character is wrong, or two changed places.
    #[error(
        "a character of the reference is wrong, or two changed places: compare it with the letter once more"
    )]
    Check,
}

impl ReferenceError {
    /// What the reader must do about it.
    #[must_use]
    pub const fn code(self) -> Code {
        Code::Malformed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(bytes: [u8; 16]) -> DecisionId {
        DecisionId::from_bytes(bytes)
    }

    fn example() -> DecisionId {
        "01a1ee56-5e1c-7c41-9c55-0f1e2d3c4b5a".parse().unwrap()
    }

    /// The same polynomial from zero, computed another way: a division by hand.
    fn crc(sum: u16, byte: u8) -> u16 {
        let mut sum = sum ^ u16::from(byte) << 4;
        for _ in 0..8 {
            sum = if sum & 0x800 == 0 { sum << 1 } else { sum << 1 ^ 0x80f } & 0xfff;
        }
        sum
    }

    #[test]
    fn the_check_is_that_of_a_division_by_hand() {
        for bytes in [[0; 16], [0xff; 16], *example().as_bytes()] {
            assert_eq!(check(&bytes), bytes.iter().fold(0xfff, |sum, byte| crc(sum, *byte)));
        }
    }

    #[test]
    fn every_id_reads_back_from_its_reference_however_it_is_typed() {
        for bytes in [[0; 16], [0xff; 16], [0x80; 16], [1; 16], *example().as_bytes()] {
            let text = Reference::of(id(bytes)).to_string();
            assert_eq!((text.len(), text.matches('-').count()), (34, 6), "{text}");
            assert_eq!(text.parse::<Reference>().unwrap().decision(), id(bytes), "{text}");
            let typed = text.replace('-', " ").to_lowercase().replace('0', "o").replace('1', "l");
            assert_eq!(typed.parse::<Reference>().unwrap().decision(), id(bytes), "{typed}");
        }
    }

    #[test]
    fn one_wrong_character_and_two_in_the_wrong_order_are_always_noticed() {
        let text = Reference::of(example()).to_string().replace('-', "");
        for at in 0..text.len() {
            for letter in ALPHABET {
                let mut typed = text.clone().into_bytes();
                typed[at] = *letter;
                let typed = String::from_utf8(typed).unwrap();
                assert_eq!(typed.parse::<Reference>().is_ok(), typed == text, "{typed}");
            }
            let mut typed = text.clone().into_bytes();
            typed.swap(at, (at + 1).min(text.len() - 1));
            let typed = String::from_utf8(typed).unwrap();
            assert_eq!(typed.parse::<Reference>().is_ok(), typed == text, "{typed}");
        }
    }

    #[test]
    fn refuses_other_lengths_and_characters() {
        let text = Reference::of(example()).to_string();
        for (typed, error) in [
            (String::new(), ReferenceError::Length),
            (text[1..].to_owned(), ReferenceError::Length),
            (format!("{text}0"), ReferenceError::Length),
            ("-".repeat(65), ReferenceError::Length),
            (text.replacen(&text[..1], "U", 1), ReferenceError::Character),
            (text.replacen(&text[..1], "\u{e9}", 1), ReferenceError::Character),
            (example().to_string(), ReferenceError::Length),
        ] {
            assert_eq!(typed.parse::<Reference>(), Err(error), "{typed}");
        }
    }
}
