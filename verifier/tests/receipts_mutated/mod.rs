//! Receipts to judge: of random logs, golden ones, and both changed in every way that comes to mind.

mod changes;
mod file;
mod made;

use changes::{bytes_changed, facts_changed, policy_changed};
use file::File;

/// A receipt, perhaps, and the keys to judge it with.
#[derive(Clone)]
pub struct Subject {
    pub file: Vec<u8>,
    pub policy: Option<Vec<u8>>,
    /// What was done to it.
    pub how: Vec<&'static str>,
}

/// SplitMix64: the same numbers for the same seed, everywhere.
pub struct Rng(u64);

impl Rng {
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.u64() % bound.max(1) as u64) as usize
    }

    pub fn one_of<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    pub fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }
}

/// Gives out subjects, the untouched golden receipts first.
pub struct Subjects {
    rng: Rng,
    given: usize,
}

const GOLDEN: [&str; 4] = [
    include_str!("../../../tests/golden/receipt.json"),
    include_str!("../../../tests/golden/receipt-anchored.json"),
    include_str!("../../../tests/golden/receipt-later.json"),
    include_str!("../../../tests/golden/receipt-cose.json"),
];

impl Subjects {
    pub const fn new(rng: Rng) -> Self {
        Self { rng, given: 0 }
    }

    pub fn give(&mut self) -> Subject {
        let at = self.given;
        self.given += 1;
        if let Some(golden) = GOLDEN.get(at / 2) {
            let policy = at.is_multiple_of(2).then(made::golden_policy);
            return Subject { file: golden.as_bytes().to_vec(), policy, how: vec!["golden"] };
        }
        let rng = &mut self.rng;
        let mut subject = match rng.below(12) {
            10 | 11 => made::golden(GOLDEN[3]),
            0..=2 => made::golden(GOLDEN[0]),
            3 => made::golden(GOLDEN[1]),
            4 => made::golden(GOLDEN[2]),
            5..=7 => made::receipt(rng),
            _ => made::witnessed(rng),
        };
        match rng.below(20) {
            0 => subject.how.push("unchanged"),
            1..=5 => change_bytes(&mut subject, rng),
            6..=16 => change_facts(&mut subject, rng),
            _ => {}
        }
        if rng.percent(15) {
            policy_changed(&mut subject, rng);
        }
        subject
    }
}

fn change_bytes(subject: &mut Subject, rng: &mut Rng) {
    let how = bytes_changed(&mut subject.file, rng);
    subject.how.push(how);
}

/// Changes facts and writes the file again in its canonical form, so that what is wrong is not its form.
fn change_facts(subject: &mut Subject, rng: &mut Rng) {
    let mut file = File::read(&subject.file);
    for _ in 0..rng.one_of(&[1, 1, 1, 1, 2, 3]) {
        subject.how.push(facts_changed(&mut file, rng));
    }
    subject.file = file.text().into_bytes();
}
