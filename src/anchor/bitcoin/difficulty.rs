//! Targets, their compact form, how they change, and the work that they stand for.

#[cfg(test)]
mod tests;

use core::fmt;

use super::wide::Wide;
use super::{BlockHash, Network};
use crate::code::Code;

/// Blocks of one period; the target may change at the first block of each, and at no other.
pub const PERIOD_BLOCKS: u64 = 2016;

/// How long a period should take: two weeks, in seconds.
const PERIOD_SECONDS: u32 = 14 * 24 * 60 * 60;

/// By how much a target may change at once.
const FACTOR_MAX: u32 = 4;

/// The highest hash that a block may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target(Wide);

impl Target {
    /// The target that a header's four bytes mean: 23 bits and a sign, times 256 to the power of (highest byte - 3).
    ///
    /// # Errors
    /// [`TargetError`]: negative, past 256 bits, zero, or easier than `network` allows.
    pub fn from_bits(bits: u32, network: Network) -> Result<Self, TargetError> {
        let target = expand(bits)?;
        if target == Wide::ZERO {
            return Err(TargetError::Zero);
        }
        if target > easiest(network) { Err(TargetError::Easy { network }) } else { Ok(Self(target)) }
    }

    /// The compact form, which keeps the highest 23 bits or fewer.
    #[must_use]
    pub fn to_bits(self) -> u32 {
        compact(self.0)
    }

    /// Whether a block of this hash meets it.
    #[must_use]
    pub fn met_by(&self, hash: &BlockHash) -> bool {
        Wide::from_be_bytes(&hash.written_order()) <= self.0
    }

    /// How many hashes have to be tried on average for one that meets it.
    #[must_use]
    pub fn work(&self) -> Work {
        // 2^256 / (target + 1) without the 257th bit, as Bitcoin Core does it.
        let tries = self.0.checked_add(Wide::ONE).map(|divisor| self.0.complement().div(divisor));
        Work(tries.and_then(|tries| tries.checked_add(Wide::ONE)).unwrap_or(Wide::ONE))
    }

    /// The target, most significant byte first.
    #[must_use]
    pub fn to_be_bytes(self) -> [u8; 32] {
        self.0.to_be_bytes()
    }
}

/// The hashes that had to be tried on average, added up over blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Work(Wide);

impl Work {
    /// Both together; past 2^256 the largest number.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.checked_add(other.0).unwrap_or(Wide::MAX))
    }

    /// Such that at least 2^this many hashes had to be tried; 0 for none.
    #[must_use]
    pub fn log2(self) -> u32 {
        self.0.bit_length().saturating_sub(1)
    }

    /// The number, most significant byte first.
    #[must_use]
    pub fn to_be_bytes(self) -> [u8; 32] {
        self.0.to_be_bytes()
    }
}

impl fmt::Display for Work {
    /// In words: `about 2^49 hashes`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == Wide::ZERO {
            f.write_str("no hashes")
        } else {
            write!(f, "about 2^{} hashes", self.log2())
        }
    }
}

/// The target of the block after a period, in its compact form.
///
/// `bits` is that of the period, `first` and `last` are the times of its first and last block in seconds: one block fewer than
/// a period lies between them, which is Bitcoin's rule.
///
/// # Errors
/// [`TargetError`] if `bits` is none of `network`'s.
pub fn next_bits(bits: u32, first: u32, last: u32, network: Network) -> Result<u32, TargetError> {
    let taken = i64::from(last) - i64::from(first);
    let shortest = PERIOD_SECONDS / FACTOR_MAX;
    let taken = u32::try_from(taken).unwrap_or(shortest).clamp(shortest, PERIOD_SECONDS * FACTOR_MAX);
    scaled(Target::from_bits(bits, network)?, taken, network)
}

/// Whether `next` may follow `bits` at the first block of a period, whatever the period's times were.
pub(super) fn may_follow(bits: u32, next: u32, network: Network) -> Result<bool, TargetError> {
    let old = Target::from_bits(bits, network)?;
    let next = Target::from_bits(next, network)?;
    let hardest = Target::from_bits(scaled(old, PERIOD_SECONDS / FACTOR_MAX, network)?, network)?;
    let easiest = Target::from_bits(scaled(old, PERIOD_SECONDS * FACTOR_MAX, network)?, network)?;
    Ok(hardest <= next && next <= easiest)
}

/// A target times the seconds that a period took over those it should take, at most the network's easiest.
fn scaled(target: Target, seconds: u32, network: Network) -> Result<u32, TargetError> {
    let product = target.0.checked_mul(seconds).ok_or(TargetError::Overflow)?;
    Ok(compact(product.div_small(PERIOD_SECONDS).min(easiest(network))))
}

fn easiest(network: Network) -> Wide {
    expand(network.easiest_bits()).unwrap_or(Wide::ZERO)
}

/// The number that a compact form means.
fn expand(bits: u32) -> Result<Wide, TargetError> {
    let [size, mantissa @ ..] = bits.to_be_bytes();
    let shift = i32::from(size) - 3;
    let negative = bits & 0x0080_0000 != 0;
    let (mut number, mut outside) = ([0_u8; 32], false);
    for (place, digit) in (0..).zip(mantissa.into_iter().rev()) {
        let digit = if place == 2 { digit & 0x7f } else { digit };
        match usize::try_from(shift + place) {
            // Digits below the number's last byte fall out.
            Err(_) => {}
            Ok(power) => match number.iter_mut().rev().nth(power) {
                Some(byte) => *byte = digit,
                None => outside |= digit != 0,
            },
        }
    }
    if outside {
        return Err(if negative { TargetError::Negative } else { TargetError::Overflow });
    }
    let number = Wide::from_be_bytes(&number);
    if negative && number != Wide::ZERO { Err(TargetError::Negative) } else { Ok(number) }
}

/// The compact form of a number: its length in bytes and its highest three, of which the first bit is a sign and stays clear.
fn compact(number: Wide) -> u32 {
    let bytes = number.to_be_bytes();
    let mut size = number.bit_length().div_ceil(8);
    let start = usize::try_from(32 - size).unwrap_or(32);
    let mut digits = bytes.iter().skip(start).copied().chain([0; 3]);
    let mut digit = || u32::from(digits.next().unwrap_or(0));
    let mut mantissa = digit() << 16 | digit() << 8 | digit();
    if mantissa & 0x0080_0000 != 0 {
        mantissa >>= 8;
        size += 1;
    }
    size << 24 | mantissa
}

/// Why four bytes are no target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// The sign bit is set.
    #[error("the header states a negative target: it was changed, or is no header")]
    Negative,
    /// Past 256 bits.
    #[error("the header states a target past 256 bits: it was changed, or is no header")]
    Overflow,
    /// No hash meets it.
    #[error("the header states a target of zero: it was changed, or is no header")]
    Zero,
    /// Not of this chain.
    #[error(
        "the header states a target that is easier than any of {network}: it is of another chain, or was changed"
    )]
    Easy {
        /// The chain.
        network: Network,
    },
}

impl TargetError {
    /// What the reader must do next.
    #[must_use]
    pub const fn code(&self) -> Code {
        Code::Inconsistent
    }
}
