//! A bounded sample of points that depends on the points alone, not on the order or the machine.
//!
//! *Guarantees*: of equally many points each set has about the same chance over leaf indices; the same points give the same sample.
//! *Does not do*: resist somebody who chooses leaf indices; a sample is for the eye, and every count is over all rows.

use std::collections::BinaryHeap;

use super::Point;

/// The points with the smallest keys.
#[derive(Debug)]
pub(super) struct Sample {
    most: usize,
    kept: BinaryHeap<(u64, u64, u64, u64)>,
}

impl Sample {
    pub(super) const fn new(most: usize) -> Self {
        Self { most, kept: BinaryHeap::new() }
    }

    /// Takes a point, row `row` of its decision.
    pub(super) fn take(&mut self, point: &Point, row: u64) {
        let key = mixed(mixed(point.leaf_index) ^ row);
        self.kept.push((key, point.leaf_index, point.recorded.to_bits(), point.recomputed.to_bits()));
        if self.kept.len() > self.most {
            self.kept.pop();
        }
    }

    /// What was kept.
    pub(super) fn points(self) -> Vec<Point> {
        let point = |(_, leaf_index, recorded, recomputed)| Point {
            leaf_index,
            recorded: f64::from_bits(recorded),
            recomputed: f64::from_bits(recomputed),
        };
        self.kept.into_sorted_vec().into_iter().map(point).collect()
    }
}

/// The finalizer of `SplitMix64`: a bijection that mixes all bits.
const fn mixed(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
