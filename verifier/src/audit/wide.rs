//! Numbers between two bounds: positive, of any size, computed with integers and rounded outward.
//!
//! *Guarantees*: the true result of an operation lies between `low` and `high`, whatever was rounded on the way. One operation widens
//! the distance between the two by less than 2^-61 of the value, so a product of n factors is known to n * 2^-60: for the
//! million factors that `SAMPLE_MAX` allows, and ten thousand terms of a sum after them, to better than 2^-39, twelve digits.
//! Exponents are 64 bits wide, so nothing underflows to zero.
//!
//! *Does not do*: negative numbers or differences; no sum here can cancel.

use std::cmp::Ordering;

/// `mantissa * 2^exponent`; the mantissa's highest bit is set unless the number is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Scaled {
    mantissa: u64,
    exponent: i64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Round {
    Down,
    Up,
}

impl Scaled {
    const ZERO: Self = Self { mantissa: 0, exponent: 0 };

    /// `wide * 2^exponent` with 64 bits kept.
    fn new(wide: u128, exponent: i64, round: Round) -> Self {
        let bits = u128::BITS - wide.leading_zeros();
        if bits <= u64::BITS {
            let Ok(narrow) = u64::try_from(wide) else { return Self::ZERO };
            let shift = narrow.leading_zeros();
            return match narrow {
                0 => Self::ZERO,
                _ => Self { mantissa: narrow << shift, exponent: exponent - i64::from(shift) },
            };
        }
        let shift = bits - u64::BITS;
        let kept = wide >> shift;
        let lost = kept << shift != wide;
        let kept = if lost && round == Round::Up { kept + 1 } else { kept };
        let exponent = exponent + i64::from(shift);
        match u64::try_from(kept) {
            Ok(mantissa) => Self { mantissa, exponent },
            // Rounded up to 2^64.
            Err(_) => Self { mantissa: 1 << 63, exponent: exponent + 1 },
        }
    }

    fn times(self, other: Self, round: Round) -> Self {
        let product = u128::from(self.mantissa) * u128::from(other.mantissa);
        Self::new(product, self.exponent + other.exponent, round)
    }

    /// The quotient; none by zero.
    fn over(self, other: Self, round: Round) -> Option<Self> {
        let dividend = u128::from(self.mantissa) << 64;
        let divisor = u128::from(other.mantissa);
        let quotient = dividend.checked_div(divisor)?;
        let lost = quotient * divisor != dividend;
        let quotient = if lost && round == Round::Up { quotient + 1 } else { quotient };
        Some(Self::new(quotient, self.exponent - other.exponent - 64, round))
    }

    fn plus(self, other: Self, round: Round) -> Self {
        let (large, small) = if self < other { (other, self) } else { (self, other) };
        if small.mantissa == 0 {
            return large;
        }
        let distance = u32::try_from(large.exponent - small.exponent).unwrap_or(u32::MAX);
        let wide = u128::from(small.mantissa) << 63;
        let kept = wide.checked_shr(distance).unwrap_or(0);
        let lost = kept.checked_shl(distance).unwrap_or(0) != wide;
        let kept = if lost && round == Round::Up { kept + 1 } else { kept };
        Self::new((u128::from(large.mantissa) << 63) + kept, large.exponent - 63, round)
    }
}

impl PartialOrd for Scaled {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scaled {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.mantissa, other.mantissa) {
            (0, _) | (_, 0) => self.mantissa.cmp(&other.mantissa),
            _ => (self.exponent, self.mantissa).cmp(&(other.exponent, other.mantissa)),
        }
    }
}

/// A number that is known to lie between two others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wide {
    low: Scaled,
    high: Scaled,
}

impl Wide {
    pub(super) const ZERO: Self = Self { low: Scaled::ZERO, high: Scaled::ZERO };

    pub(super) fn one() -> Self {
        Self::whole(1)
    }

    /// A whole number, exact.
    pub(super) fn whole(number: u64) -> Self {
        let exact = Scaled::new(u128::from(number), 0, Round::Down);
        Self { low: exact, high: exact }
    }

    /// `numerator / denominator`; the denominator is at least 1.
    pub(super) fn ratio(numerator: u64, denominator: u64) -> Self {
        Self::whole(numerator).over(Self::whole(denominator.max(1)))
    }

    pub(super) fn times(self, other: Self) -> Self {
        Self { low: self.low.times(other.low, Round::Down), high: self.high.times(other.high, Round::Up) }
    }

    /// The quotient; the divisor is above zero wherever this is called, and a zero divisor leaves the number as it is.
    pub(super) fn over(self, other: Self) -> Self {
        let low = self.low.over(other.high, Round::Down);
        let high = self.high.over(other.low, Round::Up);
        Self { low: low.unwrap_or(self.low), high: high.unwrap_or(self.high) }
    }

    pub(super) fn plus(self, other: Self) -> Self {
        Self { low: self.low.plus(other.low, Round::Down), high: self.high.plus(other.high, Round::Up) }
    }

    /// The number times itself, `exponent` times, by squaring.
    pub(super) fn power(self, mut exponent: u64) -> Self {
        let (mut result, mut square) = (Self::one(), self);
        while exponent > 0 {
            if exponent & 1 == 1 {
                result = result.times(square);
            }
            square = square.times(square);
            exponent >>= 1;
        }
        result
    }

    /// Whether this is not above `other`. Numbers whose bounds overlap are taken for equal: that is right for those that are, and
    /// wrong by less than 2^-38 of their value for others.
    pub(super) fn is_at_most(self, other: Self) -> bool {
        self.low <= other.high
    }

    /// Whole thousandths in the number, by its upper bound; what does not fit is the largest.
    pub(super) fn thousandths(self) -> u64 {
        let scaled = self.high.times(Self::whole(1000).high, Round::Up);
        match scaled.exponent {
            _ if scaled.mantissa == 0 => 0,
            1.. => u64::MAX,
            exponent => {
                let shift = u32::try_from(-exponent).unwrap_or(u32::MAX);
                scaled.mantissa.checked_shr(shift).unwrap_or(0)
            }
        }
    }

    /// Whether the bounds are less than 2^-39 of the value apart.
    #[cfg(test)]
    pub(super) fn is_known_to_39_bits(self) -> bool {
        let slack = self.low.times(Scaled { mantissa: 1 << 63, exponent: -63 - 39 }, Round::Down);
        self.high <= self.low.plus(slack, Round::Down)
    }
}
