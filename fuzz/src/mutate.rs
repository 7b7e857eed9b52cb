//! Seeded mutations: the same seed gives the same inputs, so that a failure can be repeated.

/// A small generator (xorshift64*), good enough to choose bytes.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// Starts from a seed; zero is replaced, because the generator would stay there.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(if seed == 0 { 0x9e37_79b9_7f4a_7c15 } else { seed })
    }

    /// The next 64 bits.
    pub const fn bits(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `bound`, or zero where `bound` is zero.
    pub fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.bits() % bound).unwrap_or(0)
    }
}

/// Bytes that parsers like least.
const EDGES: [u8; 12] = [0x00, 0x01, 0x0a, 0x1f, 0x20, 0x2b, 0x3d, 0x7f, 0x80, 0xbf, 0xfe, 0xff];

/// One to four changes to `seed`: bits flipped, bytes replaced, ranges cut, repeated, moved in from `other`.
#[must_use]
pub fn mutate(seed: &[u8], other: &[u8], rng: &mut Rng) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=rng.below(4) {
        let at = rng.below(bytes.len());
        let until = (at + 1 + rng.below(16)).min(bytes.len());
        match rng.below(7) {
            0 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << rng.below(8)),
            1 => {
                let edge = EDGES.iter().copied().cycle().nth(rng.below(EDGES.len())).unwrap_or(0);
                bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte = edge);
            }
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(at.min(until)..until)),
            4 => {
                let repeated: Vec<u8> =
                    bytes.iter().skip(at).take(until.saturating_sub(at)).copied().collect();
                bytes.splice(at..at, repeated);
            }
            5 => {
                let from = rng.below(other.len());
                let length = rng.below(32);
                bytes.splice(at..at, other.iter().skip(from).take(length).copied());
            }
            _ => bytes.extend(rng.bits().to_le_bytes().iter().take(1 + rng.below(8))),
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_inputs_and_another_gives_others() {
        let run = |seed| {
            let mut rng = Rng::new(seed);
            (0..50).map(|_| mutate(b"some bytes to change", b"other", &mut rng)).collect::<Vec<_>>()
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
    }
}
