//! Numbers of 256 bits, as far as targets and work need them.

/// A number below 2^256: four limbs, the most significant first, so that they compare as the number does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Wide([u64; 4]);

impl Wide {
    pub(super) const ZERO: Self = Self([0; 4]);
    pub(super) const ONE: Self = Self([0, 0, 0, 1]);
    pub(super) const MAX: Self = Self([u64::MAX; 4]);

    pub(super) fn from_be_bytes(bytes: &[u8; 32]) -> Self {
        let mut limbs = [0; 4];
        for (limb, bytes) in limbs.iter_mut().zip(bytes.as_chunks().0) {
            *limb = u64::from_be_bytes(*bytes);
        }
        Self(limbs)
    }

    pub(super) fn to_be_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (bytes, limb) in bytes.as_chunks_mut().0.iter_mut().zip(self.0) {
            *bytes = limb.to_be_bytes();
        }
        bytes
    }

    /// How many bits it takes; none for zero.
    pub(super) fn bit_length(self) -> u32 {
        let [a, b, c, d] = self.0;
        let zeros = match (a, b, c) {
            (0, 0, 0) => 192 + d.leading_zeros(),
            (0, 0, _) => 128 + c.leading_zeros(),
            (0, _, _) => 64 + b.leading_zeros(),
            _ => a.leading_zeros(),
        };
        256 - zeros
    }

    pub(super) fn checked_add(self, other: Self) -> Option<Self> {
        let (mut sum, mut carry) = (self, false);
        for (limb, other) in sum.0.iter_mut().zip(other.0).rev() {
            (*limb, carry) = limb.carrying_add(other, carry);
        }
        (!carry).then_some(sum)
    }

    pub(super) fn checked_sub(self, other: Self) -> Option<Self> {
        let (mut rest, mut borrow) = (self, false);
        for (limb, other) in rest.0.iter_mut().zip(other.0).rev() {
            (*limb, borrow) = limb.borrowing_sub(other, borrow);
        }
        (!borrow).then_some(rest)
    }

    pub(super) fn checked_mul(self, by: u32) -> Option<Self> {
        let (mut product, mut carry) = (self, 0);
        for limb in product.0.iter_mut().rev() {
            (*limb, carry) = limb.carrying_mul(u64::from(by), carry);
        }
        (carry == 0).then_some(product)
    }

    /// The quotient by a small number, rounded down; by zero the largest number.
    pub(super) fn div_small(self, by: u32) -> Self {
        let by = u64::from(by);
        let (mut quotient, mut rest) = (self, 0_u64);
        for limb in &mut quotient.0 {
            // The remainder is below 2^32, so each half with it in front fits a limb.
            let mut digits = 0;
            for half in [*limb >> 32, *limb & u64::from(u32::MAX)] {
                let number = rest << 32 | half;
                let Some(digit) = number.checked_div(by) else { return Self::MAX };
                rest = number % by;
                digits = digits << 32 | digit;
            }
            *limb = digits;
        }
        quotient
    }

    /// The quotient, rounded down, bit by bit; by zero or by 2^255 and more the result is not used.
    pub(super) fn div(self, by: Self) -> Self {
        let (mut quotient, mut rest) = (Self::ZERO, Self::ZERO);
        for limb in self.0 {
            for bit in (0..64).rev() {
                let next = limb >> bit & 1 == 1;
                rest = rest.doubled(next);
                quotient = match rest.checked_sub(by) {
                    Some(smaller) => {
                        rest = smaller;
                        quotient.doubled(true)
                    }
                    None => quotient.doubled(false),
                };
            }
        }
        quotient
    }

    pub(super) fn complement(self) -> Self {
        Self(self.0.map(|limb| !limb))
    }

    /// Twice the number, and one more where `more` says so; the highest bit falls out.
    fn doubled(self, more: bool) -> Self {
        let (mut result, mut carry) = (self, u64::from(more));
        for limb in result.0.iter_mut().rev() {
            let out = *limb >> 63;
            *limb = *limb << 1 | carry;
            carry = out;
        }
        result
    }
}
