//! The middle of a sample.

/// The sample median: the middle value, or the mean of the two middle ones; nothing of an empty sample.
pub(super) fn median(scores: impl Iterator<Item = f64>) -> Option<f64> {
    let mut scores: Vec<f64> = scores.collect();
    scores.sort_unstable_by(f64::total_cmp);
    let middle = scores.len() / 2;
    let upper = *scores.get(middle)?;
    if scores.len() % 2 == 1 {
        return Some(upper);
    }
    scores.get(middle - 1).map(|lower| f64::midpoint(*lower, upper))
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn is_the_middle_or_between_the_two_middles() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), Some(2.0));
        assert_eq!(median([4.0, 1.0, 2.0, 3.0].into_iter()), Some(2.5));
        assert_eq!(median([-0.0].into_iter()), Some(-0.0));
        assert_eq!(median(std::iter::empty()), None);
    }
}
