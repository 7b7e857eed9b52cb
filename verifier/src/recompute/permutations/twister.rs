//! numpy's `RandomState`: the draws of `numpy.random.seed(n)` and `numpy.random.shuffle`.
//!
//! *Guarantees*: numpy's words and orders, which it promises never to change (NEP 19).
//!
//! *Does not do*: other distributions. A source of draws that anybody can repeat, never of secrets.

/// Words of the state.
const WORDS: usize = 624;
/// How far the word lies that a word is mixed with.
const AHEAD: usize = 397;

/// MT19937 (Matsumoto and Nishimura, 1998).
pub(super) struct Twister {
    words: [u32; WORDS],
    /// The place of the next word; behind the last one all are made anew.
    next: usize,
}

impl Twister {
    /// As `numpy.random.seed(seed)` makes it.
    pub(super) fn new(seed: u32) -> Self {
        let mut word = seed;
        let mut place = 0_u32;
        let words = [(); WORDS].map(|()| {
            let own = word;
            place += 1;
            word = 1_812_433_253_u32.wrapping_mul(word ^ (word >> 30)).wrapping_add(place);
            own
        });
        Self { words, next: WORDS }
    }

    /// Puts items into a random order, as `numpy.random.shuffle` does.
    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.up_to(last);
            items.swap(last, other);
        }
    }

    /// A number from 0 to `most`, which 32 bits hold: draws are masked, and those above are drawn again.
    fn up_to(&mut self, most: usize) -> usize {
        let mask = usize::MAX.checked_shr(most.leading_zeros()).unwrap_or(0);
        loop {
            let number = self.word() as usize & mask;
            if number <= most {
                return number;
            }
        }
    }

    fn word(&mut self) -> u32 {
        if self.next >= WORDS {
            self.renew();
        }
        let mut word = self.words.get(self.next).copied().unwrap_or_default();
        self.next += 1;
        word ^= word >> 11;
        word ^= (word << 7) & 0x9d2c_5680;
        word ^= (word << 15) & 0xefc6_0000;
        word ^ (word >> 18)
    }

    #[expect(clippy::indexing_slicing, reason = "places are taken modulo the number of words")]
    fn renew(&mut self) {
        for place in 0..WORDS {
            let (own, after) = (self.words[place], self.words[(place + 1) % WORDS]);
            let joined = (own & 0x8000_0000) | (after & 0x7fff_ffff);
            let odd = if joined & 1 == 1 { 0x9908_b0df } else { 0 };
            self.words[place] = self.words[(place + AHEAD) % WORDS] ^ (joined >> 1) ^ odd;
        }
        self.next = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_the_words_of_the_reference() {
        // The C++ standard fixes the 10,000th word after the seed 5489 (ISO/IEC 14882, rand.predef).
        let mut twister = Twister::new(5489);
        let word = (0..10_000).map(|_| twister.word()).last();
        assert_eq!(word, Some(4_123_659_995));
    }

    #[test]
    fn shuffles_as_numpy_does() {
        // numpy.random.seed(7); numpy.random.shuffle(x) twice of x = arange(10).
        let mut twister = Twister::new(7);
        let mut items: Vec<u8> = (0..10).collect();
        twister.shuffle(&mut items);
        assert_eq!(items, [8, 5, 0, 2, 1, 9, 7, 3, 6, 4]);
        twister.shuffle(&mut items);
        assert_eq!(items, [5, 2, 0, 9, 4, 8, 1, 7, 3, 6]);
    }
}
