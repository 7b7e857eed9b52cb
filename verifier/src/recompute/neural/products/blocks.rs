//! Products of blocks of 32 weights with 8 or 4 bits, four rows side by side, on processors with AVX2.
//!
//! *Guarantees*: whole numbers are added up exactly, and every operation on `f32` is one that candle does on the same numbers in the same order.
//!
//! *Does not do*: matrices that candle packs anew for itself, and scales that are no numbers.

use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};

use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Result, Tensor};
use half::f16;
use pulp::x86::V3;
use pulp::{NullaryFnOnce, cast};

use std::arch::x86_64::{__m128, __m128i, __m256, __m256i};

/// Numbers of a block.
const BLOCK: usize = 32;
/// Rows that are added up side by side.
const ROWS: usize = 4;
/// A half's exponent in a single's place stands for a power that is so much smaller.
const HALF: f32 = f32::from_bits((127 + 112) << 23);

/// A scale of 16 bits, then whole numbers.
type Eight = [u8; 2 + BLOCK];
/// A scale and a least number of 16 bits, then whole numbers of 4 bits: the first 16 below the last 16.
type Four = [u8; 4 + BLOCK / 2];

/// A block of the row, rounded to whole numbers.
struct Rounded {
    scale: f32,
    /// The sum of the block's numbers.
    sum: f32,
    numbers: __m256i,
}

#[derive(Clone, Copy)]
enum Kind {
    Eight,
    Four,
}

/// How a matrix's blocks are multiplied.
#[derive(Clone)]
pub(super) struct Blocks {
    kind: Kind,
    rows: usize,
    columns: usize,
    simd: V3,
}

impl Blocks {
    /// Of a matrix for which candle's product is known to go block by block.
    pub(super) fn of(tensor: &QTensor) -> Option<Self> {
        let simd = V3::try_new()?;
        let (rows, columns) = tensor.shape().dims2().ok()?;
        let is_packed = columns.is_multiple_of(256) && rows.is_multiple_of(16);
        let kind = match tensor.dtype() {
            GgmlDType::Q8_0 if !is_packed => Kind::Eight,
            GgmlDType::Q4_1 => Kind::Four,
            _ => return None,
        };
        let data = tensor.data().ok()?;
        let are_numbers =
            |scales: &[u8]| scales.as_chunks().0.iter().all(|scale| f16::from_le_bytes(*scale).is_finite());
        let is_sound = match kind {
            Kind::Eight => {
                data.as_chunks::<{ 2 + BLOCK }>().0.iter().all(|[a, b, ..]| are_numbers(&[*a, *b]))
            }
            Kind::Four => data
                .as_chunks::<{ 4 + BLOCK / 2 }>()
                .0
                .iter()
                .all(|[a, b, c, d, ..]| are_numbers(&[*a, *b, *c, *d])),
        };
        (is_sound && columns.is_multiple_of(BLOCK)).then_some(Self { kind, rows, columns, simd })
    }

    pub(super) fn product(&self, tensor: &QTensor, x: &Tensor) -> Result<Tensor> {
        let row: Vec<f32> = x.flatten_all()?.to_vec1()?;
        if row.len() != self.columns {
            candle_core::bail!("a row of {} numbers for a matrix of {} columns", row.len(), self.columns)
        }
        let row = self.simd.vectorize(Round { kind: self.kind, row: &row });
        let data = tensor.data()?;
        let mut sums = Vec::new();
        sums.resize_with(self.rows, AtomicU32::default);
        candle_core::utils::barrier_pool().execute_chunked(self.rows.div_ceil(ROWS), |range| {
            match self.kind {
                Kind::Eight => {
                    let weights: &[Eight] = data.as_chunks().0;
                    self.simd.vectorize(Part { simd: self.simd, weights, row: &row, range, sums: &sums });
                }
                Kind::Four => {
                    let weights: &[Four] = data.as_chunks().0;
                    self.simd.vectorize(Part { simd: self.simd, weights, row: &row, range, sums: &sums });
                }
            }
        });
        let sums = sums.into_iter().map(|sum| f32::from_bits(sum.into_inner())).collect();
        Tensor::from_vec(sums, (1, self.rows), x.device())
    }
}

/// Rounds a row to whole numbers, block by block.
struct Round<'a> {
    kind: Kind,
    row: &'a [f32],
}

impl NullaryFnOnce for Round<'_> {
    type Output = Vec<Rounded>;

    #[inline(always)]
    fn call(self) -> Vec<Rounded> {
        let Self { kind, row } = self;
        let blocks = row.as_chunks::<BLOCK>().0;
        let mut all = Vec::with_capacity(blocks.len());
        for block in blocks {
            all.push(rounded(kind, block));
        }
        all
    }
}

#[inline(always)]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "from -127 to 127, and sums of 32 such"
)]
fn rounded(kind: Kind, block: &[f32; BLOCK]) -> Rounded {
    let mut greatest = 0.0_f32;
    for number in block {
        greatest = greatest.max(number.abs());
    }
    let scale = greatest / 127.0;
    let by = if scale == 0.0 { 0.0 } else { 1.0 / scale };
    let mut numbers = [0_i8; BLOCK];
    for (rounded, number) in numbers.iter_mut().zip(block) {
        *rounded = (number * by).round() as i8;
    }
    let scale = f16::from_f32(scale);
    let sum = match kind {
        Kind::Eight => 0.0,
        Kind::Four => {
            let whole: i32 = numbers.iter().map(|number| i32::from(*number)).sum();
            (f16::from_f32(whole as f32) * scale).to_f32()
        }
    };
    Rounded { scale: scale.to_f32(), sum, numbers: cast(numbers) }
}

/// Blocks of weights as a file stores them.
trait Stored: Sized {
    /// The sums of four rows' products with a row.
    fn sums(simd: V3, rows: [&[Self]; ROWS], row: &[Rounded]) -> [f32; ROWS];
}

/// The sums of some groups of rows.
struct Part<'a, B> {
    simd: V3,
    weights: &'a [B],
    row: &'a [Rounded],
    range: Range<usize>,
    sums: &'a [AtomicU32],
}

impl<B: Stored> NullaryFnOnce for Part<'_, B> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { simd, weights, row, range, sums } = self;
        let groups = weights.chunks(ROWS * row.len()).zip(sums.chunks(ROWS));
        for (group, sums) in groups.skip(range.start).take(range.len()) {
            // Where fewer rows are left, the group is added up again in their place.
            let mut rows = [group; ROWS];
            for (slot, blocks) in rows.iter_mut().zip(group.chunks(row.len())) {
                *slot = blocks;
            }
            for (sum, number) in sums.iter().zip(B::sums(simd, rows, row)) {
                sum.store(number.to_bits(), Ordering::Relaxed);
            }
        }
    }
}

// Closures would be compiled for any processor, and every operation in them called as a function.

impl Stored for Eight {
    #[inline(always)]
    fn sums(simd: V3, [a, b, c, d]: [&[Self]; ROWS], row: &[Rounded]) -> [f32; ROWS] {
        let none = simd.avx._mm256_setzero_ps();
        let (mut in_a, mut in_b, mut in_c, mut in_d) = (none, none, none, none);
        for ((((a, b), c), d), x) in a.iter().zip(b).zip(c).zip(d).zip(row) {
            let scales = halves(simd, [first(a), first(b), first(c), first(d)]);
            let scales = simd.sse._mm_mul_ps(scales, simd.sse._mm_set1_ps(x.scale));
            let [by_a, by_b, by_c, by_d]: [f32; ROWS] = cast(scales);
            in_a = eight(simd, in_a, a, x, by_a);
            in_b = eight(simd, in_b, b, x, by_b);
            in_c = eight(simd, in_c, c, x, by_c);
            in_d = eight(simd, in_d, d, x, by_d);
        }
        [across(simd, in_a), across(simd, in_b), across(simd, in_c), across(simd, in_d)]
    }
}

/// Adds the product of a block with 8 bits.
#[inline(always)]
fn eight(simd: V3, sum: __m256, [_, _, numbers @ ..]: &Eight, x: &Rounded, scale: f32) -> __m256 {
    let numbers: __m256i = cast(*numbers);
    let sizes = simd.avx2._mm256_sign_epi8(numbers, numbers);
    let signed = simd.avx2._mm256_sign_epi8(x.numbers, numbers);
    let pairs = simd.avx2._mm256_maddubs_epi16(sizes, signed);
    let fours = simd.avx2._mm256_madd_epi16(simd.avx._mm256_set1_epi16(1), pairs);
    simd.fma._mm256_fmadd_ps(simd.avx._mm256_set1_ps(scale), simd.avx._mm256_cvtepi32_ps(fours), sum)
}

/// The sum of eight numbers, in candle's order.
#[inline(always)]
fn across(simd: V3, sum: __m256) -> f32 {
    let high = simd.avx._mm256_extractf128_ps::<1>(sum);
    let four = simd.sse._mm_add_ps(high, simd.avx._mm256_castps256_ps128(sum));
    let two = simd.sse._mm_add_ps(four, simd.sse._mm_movehl_ps(four, four));
    let one = simd.sse._mm_add_ss(two, simd.sse3._mm_movehdup_ps(two));
    simd.sse._mm_cvtss_f32(one)
}

impl Stored for Four {
    #[inline(always)]
    fn sums(simd: V3, [a, b, c, d]: [&[Self]; ROWS], row: &[Rounded]) -> [f32; ROWS] {
        let mut sums = simd.sse._mm_setzero_ps();
        for ((((a, b), c), d), x) in a.iter().zip(b).zip(c).zip(d).zip(row) {
            let scales = halves(simd, [first(a), first(b), first(c), first(d)]);
            let least = halves(simd, [second(a), second(b), second(c), second(d)]);
            let ab = simd.avx2._mm256_hadd_epi32(four(simd, a, x), four(simd, b, x));
            let cd = simd.avx2._mm256_hadd_epi32(four(simd, c, x), four(simd, d, x));
            let half = simd.avx2._mm256_hadd_epi32(ab, cd);
            let (low, high) =
                (simd.avx._mm256_castsi256_si128(half), simd.avx2._mm256_extracti128_si256::<1>(half));
            let whole = simd.sse2._mm_cvtepi32_ps(simd.sse2._mm_add_epi32(low, high));
            let scaled =
                simd.sse._mm_mul_ps(simd.sse._mm_mul_ps(whole, scales), simd.sse._mm_set1_ps(x.scale));
            let least = simd.sse._mm_mul_ps(least, simd.sse._mm_set1_ps(x.sum));
            sums = simd.sse._mm_add_ps(sums, simd.sse._mm_add_ps(scaled, least));
        }
        cast(sums)
    }
}

/// The product of a block with 4 bits, in eight parts.
#[inline(always)]
fn four(simd: V3, [_, _, _, _, numbers @ ..]: &Four, x: &Rounded) -> __m256i {
    let numbers: __m128i = cast(*numbers);
    let both = simd.avx._mm256_set_m128i(simd.sse2._mm_srli_epi16::<4>(numbers), numbers);
    let both = simd.avx2._mm256_and_si256(simd.avx._mm256_set1_epi8(0x0F), both);
    let pairs = simd.avx2._mm256_maddubs_epi16(both, x.numbers);
    simd.avx2._mm256_madd_epi16(simd.avx._mm256_set1_epi16(1), pairs)
}

/// The first half of a block.
#[inline(always)]
const fn first<const BYTES: usize>(block: &[u8; BYTES]) -> u32 {
    match block.first_chunk() {
        Some(bytes) => u16::from_le_bytes(*bytes) as u32,
        None => 0,
    }
}

/// The second half of a block.
#[inline(always)]
fn second([_, _, low, high, ..]: &Four) -> u32 {
    u32::from(u16::from_le_bytes([*low, *high]))
}

/// Halves that are numbers, as singles: exactly, since singles have more room on every side.
#[inline(always)]
fn halves(simd: V3, bits: [u32; ROWS]) -> __m128 {
    let bits: __m128i = cast(bits);
    let sizes = simd.sse2._mm_and_si128(bits, simd.sse2._mm_set1_epi32(0x7FFF));
    let signs = simd.sse2._mm_and_si128(bits, simd.sse2._mm_set1_epi32(0x8000));
    let sizes: __m128 = cast(simd.sse2._mm_slli_epi32::<13>(sizes));
    let signs: __m128 = cast(simd.sse2._mm_slli_epi32::<16>(signs));
    simd.sse._mm_or_ps(simd.sse._mm_mul_ps(sizes, simd.sse._mm_set1_ps(HALF)), signs)
}
