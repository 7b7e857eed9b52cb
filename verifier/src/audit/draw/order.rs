//! The order in which places are looked at: a permutation that follows from a seed.
//!
//! *Guarantees*: if the hashes were independent and uniform, every order of all places would have the same chance: the step that
//! picks the i-th place picks each of those left with the same chance, because a number that does not fit is thrown away, never
//! folded. No place comes twice. Memory grows with the places taken, not with those there are.

use std::collections::HashMap;

use ledgerstone::hash::Hash;

/// Bytes of a seed and the counter behind it.
const PREIMAGE_BYTES: usize = Hash::LEN + size_of::<u64>();

/// The order that a seed gives to the places from 0 up to `places`. This is the shuffle of Fisher and Yates, of which only the places
/// that changed are kept.
#[derive(Clone, Debug)]
pub struct Order {
    preimage: [u8; PREIMAGE_BYTES],
    counter: u64,
    places: u64,
    taken: u64,
    /// What stands at a place whose own number is no longer there.
    moved: HashMap<u64, u64>,
}

impl Order {
    /// The order of so many places.
    #[must_use]
    pub fn new(seed: Hash, places: u64) -> Self {
        let mut preimage = [0; PREIMAGE_BYTES];
        for (byte, of_seed) in preimage.iter_mut().zip(seed.as_bytes()) {
            *byte = *of_seed;
        }
        Self { preimage, counter: 0, places, taken: 0, moved: HashMap::new() }
    }

    /// How many places were taken.
    #[must_use]
    pub const fn taken(&self) -> u64 {
        self.taken
    }

    /// A number below `bound`, which is above 0: the highest bits of the first hash, from the counter on, where they are below it.
    fn below(&mut self, bound: u64) -> u64 {
        let unused = (bound - 1).leading_zeros();
        loop {
            if let Some(counter) = self.preimage.last_chunk_mut() {
                *counter = self.counter.to_be_bytes();
            }
            self.counter += 1;
            let hash = Hash::of(&self.preimage);
            let first = hash.as_bytes().first_chunk().copied().unwrap_or_default();
            // With a bound of 1 all 64 bits are unused.
            let number = u64::from_be_bytes(first).checked_shr(unused).unwrap_or(0);
            if number < bound {
                return number;
            }
        }
    }
}

impl Iterator for Order {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let left = self.places.checked_sub(self.taken).filter(|left| *left > 0)?;
        let here = self.taken;
        let there = here + self.below(left);
        let mine = self.moved.remove(&here).unwrap_or(here);
        self.taken += 1;
        if there == here {
            return Some(mine);
        }
        Some(self.moved.insert(there, mine).unwrap_or(there))
    }
}
