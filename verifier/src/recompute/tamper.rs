//! Changes to a model's weights that somebody could make without saying so, for measuring how well a tolerance tells them apart.
//!
//! *Guarantees*: every change stays in its place and leaves the file well formed and each weight in its type, so that only numbers differ. The same file
//! gives the same changes.
//!
//! *Does not do*: find the weights in a file, which its format's reader does; hide anything: the digest of the file changes with every one of them.

/// Single weights that are tried. Some of them hardly matter to any input, so that one alone would say little.
pub const ONE_WEIGHTS: usize = 16;

/// What is added to one weight.
const ONE_WEIGHT: f64 = 0.01;

/// Numbers that share a scale in the usual files of four bits.
const BLOCK: usize = 32;

/// A change of the weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tamper {
    /// One weight, plus 0.01: the n-th of [`ONE_WEIGHTS`] that lie evenly among the inner ones.
    OneWeight(usize),
    /// All weights rounded to half precision.
    F16,
    /// All weights rounded to the upper half of a single.
    Bf16,
    /// All matrices rounded to 255 steps a row.
    Int8,
    /// All matrices rounded to 15 steps a block of 32.
    Int4,
}

/// How numbers are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// IEEE 754 doubles.
    F64,
    /// IEEE 754 single precision.
    F32,
    /// IEEE 754 half precision.
    F16,
    /// The upper half of a single.
    Bf16,
    /// Whole numbers with a scale, in blocks.
    Block(Block),
}

/// A block of whole numbers with their scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Numbers in it.
    pub numbers: usize,
    /// Its bytes.
    pub bytes: usize,
    /// The first byte that is a number, or has some of one.
    pub first: usize,
    /// The highest bit there that is one number's alone.
    pub bit: u8,
    /// Whether each number is a signed byte.
    pub has_bytes: bool,
}

/// Weights that stand side by side in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// How they are stored.
    pub kind: Kind,
    /// Where they begin.
    pub start: usize,
    /// How many.
    pub count: usize,
    /// How many are a row.
    pub row: usize,
    /// Whether they are rows of a matrix.
    pub is_matrix: bool,
    /// Whether every input passes through them, so that it is worth while to change a single one.
    pub is_inner: bool,
}

impl Tamper {
    /// Those of an encoder or a graph that change every weight.
    pub const WHOLE: [Self; 3] = [Self::F16, Self::Bf16, Self::Int8];

    /// Every how manieth of the changes of a single weight.
    pub fn one_weights(step: usize) -> impl Iterator<Item = Self> {
        (0..ONE_WEIGHTS).step_by(step.max(1)).map(Self::OneWeight)
    }

    /// Its name in a profile.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OneWeight(_) => "one weight +0.01",
            Self::F16 => "weights f16",
            Self::Bf16 => "weights bf16",
            Self::Int8 => "weights int8",
            Self::Int4 => "weights int4",
        }
    }

    /// A file with its weights changed; none if that changes no byte of it.
    #[must_use]
    pub fn change(self, file: &[u8], weights: &[Stretch]) -> Option<Vec<u8>> {
        let mut changed = file.to_vec();
        match self {
            Self::OneWeight(number) => one_weight(&mut changed, weights, number % ONE_WEIGHTS),
            _ => weights.iter().for_each(|stretch| self.round(stretch, &mut changed)),
        }
        (changed != file).then_some(changed)
    }

    /// Numbers that share a scale, and the steps to either side of 0; none where each number is rounded by itself.
    const fn steps(self, stretch: &Stretch) -> Option<(usize, f64)> {
        match self {
            Self::Int8 => Some((stretch.row, 127.0)),
            Self::Int4 => Some((BLOCK, 7.0)),
            Self::F16 | Self::Bf16 | Self::OneWeight(_) => None,
        }
    }

    fn round(self, stretch: &Stretch, bytes: &mut [u8]) {
        let Some(width) = stretch.kind.width() else {
            if let (Self::Int4, Kind::Block(block)) = (self, stretch.kind) {
                fewer_steps(block, stretch, bytes);
            }
            return;
        };
        let Some((together, steps)) = self.steps(stretch) else {
            for number in 0..stretch.count {
                stretch.kind.change(bytes, stretch.start + number * width, |number| self.rounded(number));
            }
            return;
        };
        if !stretch.is_matrix {
            return;
        }
        let row = stretch.row.max(1);
        for start in (0..stretch.count).step_by(row) {
            let end = (start + row).min(stretch.count);
            for first in (start..end).step_by(together.max(1)) {
                let places = (first..end.min(first + together)).map(|place| stretch.start + place * width);
                let read = |place| stretch.kind.read(bytes, place).unwrap_or(0.0);
                let step =
                    places.clone().map(read).fold(0.0, |most: f64, number| most.max(number.abs())) / steps;
                if step > 0.0 {
                    places.for_each(|place| {
                        stretch.kind.change(bytes, place, |number| (number / step).round() * step);
                    });
                }
            }
        }
    }

    /// What is too great for the type becomes its greatest number, since no file may hold an infinity.
    fn rounded(self, number: f64) -> f64 {
        let (rounded, most) = match self {
            Self::F16 => (half::f16::from_f64(number).to_f64(), half::f16::MAX.to_f64()),
            _ => (half::bf16::from_f64(number).to_f64(), half::bf16::MAX.to_f64()),
        };
        rounded.clamp(-most, most)
    }
}

impl Kind {
    /// Bytes of a number; none of a block's.
    const fn width(self) -> Option<usize> {
        match self {
            Self::F64 => Some(8),
            Self::F32 => Some(4),
            Self::F16 | Self::Bf16 => Some(2),
            Self::Block(_) => None,
        }
    }

    fn read(self, bytes: &[u8], place: usize) -> Option<f64> {
        let rest = bytes.get(place..)?;
        match self {
            Self::F64 => rest.first_chunk().map(|bytes| f64::from_le_bytes(*bytes)),
            Self::F32 => rest.first_chunk().map(|bytes| f64::from(f32::from_le_bytes(*bytes))),
            Self::F16 => rest.first_chunk().map(|bytes| half::f16::from_le_bytes(*bytes).to_f64()),
            Self::Bf16 => rest.first_chunk().map(|bytes| half::bf16::from_le_bytes(*bytes).to_f64()),
            Self::Block(_) => None,
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "the rounding to the file's own type")]
    fn change(self, bytes: &mut [u8], place: usize, to: impl Fn(f64) -> f64) {
        let Some(number) = self.read(bytes, place).map(to) else { return };
        let Some(rest) = bytes.get_mut(place..) else { return };
        let mut put = |stored: &[u8]| {
            if let Some(into) = rest.get_mut(..stored.len()) {
                into.copy_from_slice(stored);
            }
        };
        match self {
            Self::F64 => put(&number.to_le_bytes()),
            Self::F32 => put(&(number as f32).to_le_bytes()),
            Self::F16 => put(&half::f16::from_f64(number).to_le_bytes()),
            Self::Bf16 => put(&half::bf16::from_f64(number).to_le_bytes()),
            Self::Block(_) => {}
        }
    }
}

/// Changes one of the inner weights.
fn one_weight(bytes: &mut [u8], weights: &[Stretch], number: usize) {
    let inner = || weights.iter().filter(|stretch| stretch.is_inner);
    let count: usize = inner().map(|stretch| stretch.count).sum();
    // In the middle of the n-th part.
    let mut place = count / (2 * ONE_WEIGHTS) * (2 * number + 1);
    if count < 2 * ONE_WEIGHTS {
        place = count * (2 * number + 1) / (2 * ONE_WEIGHTS);
    }
    for stretch in inner() {
        if place >= stretch.count {
            place -= stretch.count;
            continue;
        }
        match (stretch.kind, stretch.kind.width()) {
            (Kind::Block(block), _) => {
                let at = stretch.start + place / block.numbers.max(1) * block.bytes + block.first;
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= block.bit;
                }
            }
            (kind, width) => {
                let at = stretch.start + place * width.unwrap_or(0);
                let before = kind.read(bytes, at);
                kind.change(bytes, at, |number| number + ONE_WEIGHT);
                // Where 0.01 is less than half a step of the type, the lowest bit.
                if kind.read(bytes, at) == before {
                    bytes.get_mut(at).into_iter().for_each(|byte| *byte ^= 1);
                }
            }
        }
        return;
    }
}

/// Rounds blocks of signed bytes to 15 steps.
#[expect(clippy::cast_possible_truncation, reason = "no number grows")]
fn fewer_steps(block: Block, stretch: &Stretch, bytes: &mut [u8]) {
    if !block.has_bytes || !stretch.is_matrix {
        return;
    }
    for place in 0..stretch.count / block.numbers.max(1) {
        let start = stretch.start + place * block.bytes + block.first;
        let Some(numbers) = bytes.get_mut(start..start + block.numbers) else { return };
        let most = numbers.iter().map(|byte| byte.cast_signed().unsigned_abs()).max().unwrap_or(0);
        let step = f64::from(most) / 7.0;
        if step > 0.0 {
            for byte in numbers {
                let number = (f64::from(byte.cast_signed()) / step).round() * step;
                *byte = (number.round() as i8).cast_unsigned();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stretch(kind: Kind, count: usize) -> Stretch {
        Stretch { kind, start: 1, count, row: count, is_matrix: true, is_inner: true }
    }

    fn file(numbers: &[f32]) -> Vec<u8> {
        [vec![0xaa], numbers.iter().flat_map(|number| number.to_le_bytes()).collect(), vec![0xaa]].concat()
    }

    fn numbers(file: &[u8]) -> Vec<f32> {
        file[1..file.len() - 1].as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
    }

    #[test]
    fn rounds_every_number_to_the_type_or_the_steps() {
        let stored = [0.1_f32, -1.0, 65_536.0, 3.0e-9];
        let given = file(&stored);
        let by = |tamper: Tamper, kind: &Stretch| tamper.change(&given, &[*kind]);
        let whole = stretch(Kind::F32, 4);
        let half = numbers(&by(Tamper::F16, &whole).unwrap());
        assert_eq!(half, [0.099_975_586, -1.0, 65_504.0, 0.0], "no infinity");
        assert_eq!(numbers(&by(Tamper::Bf16, &whole).unwrap())[0], 0.100_097_656);
        let pair = Stretch { row: 2, ..whole };
        let eight = numbers(&by(Tamper::Int8, &pair).unwrap());
        assert_eq!((eight[0], eight[1]), (13.0 / 127.0, -1.0));
        let four = numbers(&by(Tamper::Int4, &pair).unwrap());
        assert_eq!((four[0], four[1]), (1.0 / 7.0, -1.0));
        assert_eq!(by(Tamper::Int8, &Stretch { is_matrix: false, ..pair }), None, "no matrix");
        assert_eq!(
            Tamper::Bf16.change(&file(&[0.5, 2.0]), &[stretch(Kind::F32, 2)]),
            None,
            "nothing to round"
        );
    }

    #[test]
    fn changes_one_weight_of_the_inner_ones_and_nothing_else() {
        let given = file(&[0.0; 64]);
        let outer = Stretch { count: 32, is_inner: false, ..stretch(Kind::F32, 32) };
        let inner = Stretch { start: 1 + 32 * 4, ..stretch(Kind::F32, 32) };
        for number in 0..ONE_WEIGHTS {
            let changed = numbers(&Tamper::OneWeight(number).change(&given, &[outer, inner]).unwrap());
            let places: Vec<usize> = (0..64).filter(|place| changed[*place] != 0.0).collect();
            assert_eq!(places, [32 + 2 * number + 1]);
            assert_eq!(changed[places[0]], 0.01);
        }
        assert_eq!(Tamper::OneWeight(0).change(&given, &[outer]), None);
        // Among few weights, too.
        let few = file(&[1.0; 3]);
        let found: Vec<Vec<f32>> = (0..ONE_WEIGHTS)
            .map(|number| numbers(&Tamper::OneWeight(number).change(&few, &[stretch(Kind::F32, 3)]).unwrap()))
            .collect();
        assert_eq!((found[0][0], found[8][1], found[15][2]), (1.01, 1.01, 1.01));
        // The half type has no number between 256 and 258.
        let coarse = [vec![0], half::bf16::from_f32(256.0).to_le_bytes().to_vec()].concat();
        let changed = Tamper::OneWeight(0).change(&coarse, &[stretch(Kind::Bf16, 1)]).unwrap();
        assert_eq!(half::bf16::from_le_bytes([changed[1], changed[2]]).to_f32(), 258.0);
    }

    #[test]
    fn blocks_keep_their_scales() {
        let block = Block { numbers: 32, bytes: 34, first: 2, bit: 0x40, has_bytes: true };
        let quants: Vec<u8> = (0..32).map(|number: u8| number.wrapping_mul(8).wrapping_sub(127)).collect();
        let given = [vec![0, 9, 9], quants].concat();
        let blocks = stretch(Kind::Block(block), 32);
        let changed = Tamper::Int4.change(&given, &[blocks]).unwrap();
        assert_eq!(changed[..3], given[..3]);
        let mut steps: Vec<u8> = changed[3..].to_vec();
        steps.sort_unstable();
        steps.dedup();
        assert!(steps.len() <= 15, "{steps:?}");
        assert_eq!(Tamper::Int8.change(&given, &[blocks]), None);
        let one = Tamper::OneWeight(3).change(&given, &[blocks]).unwrap();
        let differing: Vec<usize> = (0..given.len()).filter(|place| one[*place] != given[*place]).collect();
        assert_eq!(differing, [3]);
        let nibbles = Block { first: 16, bytes: 34, bit: 8, has_bytes: false, ..block };
        assert_eq!(Tamper::Int4.change(&given, &[stretch(Kind::Block(nibbles), 32)]), None);
    }
}
