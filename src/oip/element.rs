//! Elements read back from canonical bytes, as values that a record can hold.

use super::Dtype;

/// One element. Every datatype's values fit exactly: floats of 16 and 32 bits widen to 64 without rounding.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Element<'a> {
    /// BOOL.
    Bool(bool),
    /// An integer of any width.
    Int(i128),
    /// A float of any width.
    Float(f64),
    /// BYTES.
    Bytes(&'a [u8]),
}

/// Elements of canonical bytes, in order.
pub(super) struct Iter<'a> {
    dtype: Dtype,
    rest: &'a [u8],
}

impl<'a> Iter<'a> {
    pub(super) fn new(dtype: Dtype, bytes: &'a [u8]) -> Self {
        Self { dtype, rest: bytes }
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*head)
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = Element<'a>;

    fn next(&mut self) -> Option<Element<'a>> {
        Some(match self.dtype {
            Dtype::Bool => Element::Bool(self.take::<1>()? != [0]),
            Dtype::Uint8 => Element::Int(u8::from_le_bytes(self.take()?).into()),
            Dtype::Uint16 => Element::Int(u16::from_le_bytes(self.take()?).into()),
            Dtype::Uint32 => Element::Int(u32::from_le_bytes(self.take()?).into()),
            Dtype::Uint64 => Element::Int(u64::from_le_bytes(self.take()?).into()),
            Dtype::Int8 => Element::Int(i8::from_le_bytes(self.take()?).into()),
            Dtype::Int16 => Element::Int(i16::from_le_bytes(self.take()?).into()),
            Dtype::Int32 => Element::Int(i32::from_le_bytes(self.take()?).into()),
            Dtype::Int64 => Element::Int(i64::from_le_bytes(self.take()?).into()),
            Dtype::Fp16 => Element::Float(half(u16::from_le_bytes(self.take()?))),
            Dtype::Bf16 => Element::Float(brain(u16::from_le_bytes(self.take()?))),
            Dtype::Fp32 => Element::Float(f32::from_le_bytes(self.take()?).into()),
            Dtype::Fp64 => Element::Float(f64::from_le_bytes(self.take()?)),
            Dtype::Bytes => {
                let (head, rest) = split_bytes_element(self.rest)?;
                self.rest = rest;
                Element::Bytes(head)
            }
        })
    }
}

/// Number of BYTES elements in `raw`; none if their lengths do not add up.
pub(super) fn count_bytes_elements(raw: &[u8]) -> Option<u64> {
    let mut rest = raw;
    let mut count = 0;
    while !rest.is_empty() {
        rest = split_bytes_element(rest)?.1;
        count += 1;
    }
    Some(count)
}

fn split_bytes_element(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)
}

/// IEEE 754 binary16 to binary64; every value is exact.
fn half(bits: u16) -> f64 {
    let sign = if bits >> 15 == 0 { 1.0 } else { -1.0 };
    let exponent = i32::from(bits >> 10 & 0x1f);
    let fraction = f64::from(bits & 0x3ff);
    let magnitude = match exponent {
        0 => fraction * 2_f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1024.0 + fraction) * 2_f64.powi(exponent - 25),
    };
    sign * magnitude
}

/// bfloat16 to binary64: the upper half of a binary32.
fn brain(bits: u16) -> f64 {
    f32::from_bits(u32::from(bits) << 16).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widens_sixteen_bit_floats_exactly() {
        for (bits, value) in [
            (0x0000, 0.0),
            (0x0001, 5.960_464_477_539_063e-8),
            (0x03ff, 6.097_555_160_522_461e-5),
            (0x0400, 6.103_515_625e-5),
            (0x3c00, 1.0),
            (0x3c01, 1.000_976_562_5),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x7c00, f64::INFINITY),
            (0xfc00, f64::NEG_INFINITY),
        ] {
            assert_eq!(half(bits), value, "{bits:04x}");
        }
        assert!(half(0x7e00).is_nan());
        assert!(half(0x8000).is_sign_negative());
        assert_eq!(brain(0x3f80), 1.0);
        assert_eq!(brain(0xc049), -3.140_625);
        assert!(brain(0x7fc0).is_nan());
    }

    #[test]
    fn counts_bytes_elements_only_where_their_lengths_add_up() {
        assert_eq!(count_bytes_elements(&[]), Some(0));
        assert_eq!(count_bytes_elements(&[0, 0, 0, 0]), Some(1));
        assert_eq!(count_bytes_elements(&[1, 0, 0, 0, 9, 0, 0, 0, 0]), Some(2));
        assert_eq!(count_bytes_elements(&[1, 0, 0, 0]), None);
        assert_eq!(count_bytes_elements(&[0, 0, 0]), None);
        assert_eq!(count_bytes_elements(&[0xff; 8]), None);
    }
}
