//! The exponential function of numbers that are not above 0.
//!
//! *Guarantees*: additions, multiplications and choices only; within 1.2e-7 of the exact value in proportion; 0 below -87, where the value has no normal number.
//!
//! *Does not do*: numbers above 0.

/// Added, it leaves a number's whole part in the last bits.
const WHOLE: f32 = 12_582_912.0;

/// ln(2) in two parts, of which the first times a whole number is exact.
const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];

/// `(exp(r) - 1 - r) / r²` for `|r| <= ln(2)/2`, as powers of `r`.
const POWERS: [f32; 6] = [0.5, 0.166_666_67, 0.041_666_67, 0.008_333_334, 0.001_388_888_9, 1.984_127e-4];

#[inline(always)]
pub(super) fn exp(y: f32) -> f32 {
    let shifted = y.max(-87.0) * std::f32::consts::LOG2_E + WHOLE;
    let whole = shifted - WHOLE;
    let r = y - whole * LN_2[0] - whole * LN_2[1];
    let powers = POWERS.iter().rev().fold(0.0, |sum, factor| sum * r + factor);
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23));
    if y < -87.0 { 0.0 } else { (1.0 + (r + r * r * powers)) * power }
}

#[cfg(test)]
mod tests {
    use super::exp;

    #[test]
    fn lies_close_to_the_exact_value() {
        for bits in (0..87.0_f32.to_bits()).step_by(331) {
            let y = -f32::from_bits(bits);
            let exact = f64::from(y).exp();
            assert!((f64::from(exp(y)) - exact).abs() <= 1.2e-7 * exact, "{y}");
        }
        assert_eq!([0.0, -87.1, f32::MIN, f32::NEG_INFINITY].map(exp), [1.0, 0.0, 0.0, 0.0]);
        assert!(exp(f32::NAN).is_nan());
    }
}
