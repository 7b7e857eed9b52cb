//! Writes deterministic CBOR into one growing buffer.

use super::{
    ARRAY, BYTES, CANONICAL_NAN, FALSE, FLOAT64, INT_MAX, INT_MIN, MAP, NINT, NULL, TEXT, TRUE, UINT,
};

/// Writes items one after the other. An array or a map is its head followed by its items; the caller writes as many as
/// the head says, and map keys in rising order.
#[derive(Clone, Debug, Default)]
pub struct Writer {
    out: Vec<u8>,
}

impl Writer {
    /// Starts with no bytes.
    #[must_use]
    pub const fn new() -> Self {
        Self { out: Vec::new() }
    }

    /// Starts with room for `capacity` bytes.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self { out: Vec::with_capacity(capacity) }
    }

    /// Forgets the bytes and keeps the room.
    pub fn clear(&mut self) {
        self.out.clear();
    }

    /// Writes an unsigned integer.
    pub fn uint(&mut self, value: u64) -> &mut Self {
        self.head(UINT, value)
    }

    /// Writes an integer of either sign.
    ///
    /// Values outside [`INT_MIN`]`..=`[`INT_MAX`] have no encoding; they are written as the nearest one that has.
    /// [`crate::record::Value`] refuses them before they come here.
    pub fn int(&mut self, value: i128) -> &mut Self {
        let value = value.clamp(INT_MIN, INT_MAX);
        match u64::try_from(value) {
            Ok(positive) => self.head(UINT, positive),
            // !value is -1 - value, within 0..=2^64-1 by the clamp above.
            Err(_) => self.head(NINT, u64::try_from(!value).unwrap_or(u64::MAX)),
        }
    }

    /// Writes a byte string.
    pub fn bytes(&mut self, value: &[u8]) -> &mut Self {
        self.bytes_head(value.len() as u64);
        self.out.extend_from_slice(value);
        self
    }

    /// Writes the head of a byte string of `len` bytes that somebody else will append.
    pub fn bytes_head(&mut self, len: u64) -> &mut Self {
        self.head(BYTES, len)
    }

    /// Writes a text string.
    pub fn text(&mut self, value: &str) -> &mut Self {
        self.head(TEXT, value.len() as u64);
        self.out.extend_from_slice(value.as_bytes());
        self
    }

    /// Writes the head of an array of `len` items.
    pub fn array(&mut self, len: usize) -> &mut Self {
        self.head(ARRAY, len as u64)
    }

    /// Writes the head of a map of `len` pairs.
    pub fn map(&mut self, len: usize) -> &mut Self {
        self.head(MAP, len as u64)
    }

    /// Writes `true` or `false`.
    pub fn bool(&mut self, value: bool) -> &mut Self {
        self.out.push(if value { TRUE } else { FALSE });
        self
    }

    /// Writes `null`.
    pub fn null(&mut self) -> &mut Self {
        self.out.push(NULL);
        self
    }

    /// Writes a float as binary64; every NaN becomes the canonical one.
    pub fn float(&mut self, value: f64) -> &mut Self {
        let bits = if value.is_nan() { CANONICAL_NAN } else { value.to_bits() };
        self.out.push(FLOAT64);
        self.out.extend_from_slice(&bits.to_be_bytes());
        self
    }

    /// The bytes written so far.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.out
    }

    /// The bytes written.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.out
    }

    /// Writes a head in its shortest form (RFC 8949, section 4.2.1).
    fn head(&mut self, major: u8, argument: u64) -> &mut Self {
        let major = major << 5;
        let be = argument.to_be_bytes();
        let [.., b4, b5, b6, b7] = be;
        match argument {
            0..=0x17 => self.out.push(major | b7),
            0x18..=0xff => self.out.extend_from_slice(&[major | 24, b7]),
            0x100..=0xffff => self.out.extend_from_slice(&[major | 25, b6, b7]),
            0x1_0000..=0xffff_ffff => {
                self.out.extend_from_slice(&[major | 26, b4, b5, b6, b7]);
            }
            _ => {
                self.out.push(major | 27);
                self.out.extend_from_slice(&be);
            }
        }
        self
    }
}
