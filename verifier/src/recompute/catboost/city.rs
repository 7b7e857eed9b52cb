//! The hash under which CatBoost keeps a category: the low 32 bits of CityHash64 (version 1.0) of its text.
//!
//! *Guarantees*: the library's hash of every whole number of at most 9 digits.
//!
//! *Does not do*: longer texts; a row holds categories as numbers.

/// Whole numbers from here on are longer than what is hashed here.
pub(super) const CODE_END: f64 = 1e9;

const K2: u64 = 0x9ae1_6a3b_2f90_404f;
const K3: u64 = 0xc949_d7c7_509e_6557;

/// The hash of a category that is a whole number.
#[expect(clippy::cast_possible_truncation, reason = "the library keeps the low 32 bits")]
pub(super) fn category(code: i64) -> u32 {
    city64(code.to_string().as_bytes()) as u32
}

/// CityHash64 of 1 to 16 bytes.
fn city64(text: &[u8]) -> u64 {
    let length = text.len() as u64;
    let byte = |at: usize| u64::from(text.get(at).copied().unwrap_or_default());
    let word = |from: usize, bytes: usize| (0..bytes).fold(0, |word, at| word | byte(from + at) << (8 * at));
    let last = text.len().saturating_sub(1);
    match text.len() {
        9.. => {
            let (a, b) = (word(0, 8), word(text.len() - 8, 8));
            mix_pair(a, b.wrapping_add(length).rotate_right(u32::try_from(length).unwrap_or(16))) ^ b
        }
        4..=8 => mix_pair(length.wrapping_add(word(0, 4) << 3), word(text.len() - 4, 4)),
        _ => {
            let y = byte(0) + (byte(text.len() >> 1) << 8);
            let z = length + (byte(last) << 2);
            let mixed = y.wrapping_mul(K2) ^ z.wrapping_mul(K3);
            (mixed ^ mixed >> 47).wrapping_mul(K2)
        }
    }
}

/// Two words in one, as in Murmur.
fn mix_pair(low: u64, high: u64) -> u64 {
    const MULTIPLIER: u64 = 0x9ddf_ea08_eb38_2d69;
    let a = (low ^ high).wrapping_mul(MULTIPLIER);
    let b = (high ^ a ^ a >> 47).wrapping_mul(MULTIPLIER);
    (b ^ b >> 47).wrapping_mul(MULTIPLIER)
}
