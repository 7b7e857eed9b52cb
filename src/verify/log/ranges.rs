//! Sets of sequence numbers, kept as ranges: a session that misses nothing is one range, however long it ran.

use std::collections::BTreeMap;

/// Numbers, as ranges that neither overlap nor touch.
#[derive(Clone, Debug, Default)]
pub(super) struct Ranges {
    /// First number of a range, to its last.
    by_first: BTreeMap<u64, u64>,
}

impl Ranges {
    /// Adds `first..=last`; true if none of them was in the set.
    pub(super) fn insert(&mut self, first: u64, last: u64) -> bool {
        let (mut low, mut high, mut fresh) = (first, last, true);
        // Ranges that overlap the new one or touch it, from the highest down: their first number is at most one past it.
        while let Some((&begin, &end)) = self.by_first.range(..=last.saturating_add(1)).next_back() {
            if end.saturating_add(1) < first {
                break;
            }
            fresh &= end < first || begin > last;
            low = low.min(begin);
            high = high.max(end);
            self.by_first.remove(&begin);
        }
        self.by_first.insert(low, high);
        fresh
    }

    /// How many ranges there are.
    pub(super) fn len(&self) -> usize {
        self.by_first.len()
    }

    /// The highest number.
    pub(super) fn highest(&self) -> Option<u64> {
        self.by_first.last_key_value().map(|(_, last)| *last)
    }

    /// How many numbers there are.
    pub(super) fn count(&self) -> u64 {
        self.by_first
            .iter()
            .fold(0, |sum: u64, (first, last)| sum.saturating_add((last - first).saturating_add(1)))
    }

    /// The ranges, lowest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.by_first.iter().map(|(first, last)| (*first, *last))
    }

    /// The ranges of `0..end` that are not in the set.
    pub(super) fn missing_below(&self, end: u64) -> Vec<(u64, u64)> {
        let mut missing = Vec::new();
        let mut next = 0;
        for (first, last) in self.iter().take_while(|(first, _)| *first < end) {
            if next < first {
                missing.push((next, first - 1));
            }
            next = last.saturating_add(1);
        }
        if next < end {
            missing.push((next, end - 1));
        }
        missing
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn ranges(parts: &[(u64, u64)]) -> Ranges {
        let mut ranges = Ranges::default();
        parts.iter().for_each(|(first, last)| _ = ranges.insert(*first, *last));
        ranges
    }

    #[test]
    fn neighbours_become_one_range() {
        assert_eq!(ranges(&[(0, 0), (2, 2), (1, 1)]).iter().collect::<Vec<_>>(), [(0, 2)]);
        assert_eq!(ranges(&[(5, 9), (0, 3), (2, 7)]).iter().collect::<Vec<_>>(), [(0, 9)]);
    }

    #[test]
    fn the_ends_of_the_number_line_do_not_overflow() {
        let mut all = ranges(&[(u64::MAX, u64::MAX), (0, 0)]);
        assert_eq!(all.len(), 2);
        assert_eq!(all.missing_below(u64::MAX), [(1, u64::MAX - 1)]);
        assert!(all.insert(1, u64::MAX - 1));
        assert_eq!((all.len(), all.count(), all.highest()), (1, u64::MAX, Some(u64::MAX)));
    }

    proptest! {
        #[test]
        fn ranges_hold_what_a_plain_set_holds(parts in proptest::collection::vec((0_u64..40, 0_u64..6), 0..20)) {
            let (mut ranges, mut plain) = (Ranges::default(), BTreeSet::new());
            for (first, more) in parts {
                let numbers = first..=first + more;
                let fresh = numbers.clone().all(|number| !plain.contains(&number));
                plain.extend(numbers);
                prop_assert_eq!(ranges.insert(first, first + more), fresh);
            }
            prop_assert_eq!(ranges.count(), plain.len() as u64);
            prop_assert_eq!(ranges.highest(), plain.last().copied());
            let missing: Vec<u64> = ranges.missing_below(30).into_iter().flat_map(|(a, b)| a..=b).collect();
            let expected: Vec<u64> = (0..30).filter(|number| !plain.contains(number)).collect();
            prop_assert_eq!(missing, expected);
            let apart = ranges.iter().zip(ranges.iter().skip(1)).all(|((_, end), (begin, _))| end + 1 < begin);
            prop_assert!(apart);
        }
    }
}
