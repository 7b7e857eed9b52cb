//! Whether a list of reasons follows from numbers that are only known within a tolerance.
//!
//! *Guarantees*: the answer is yes exactly if some numbers, each at most the tolerance from the known ones, make this list by the rule: at most so many, those
//! below 0, the least first, ties in the order of the text. A recorded contribution fixes its word's number.
//!
//! *Does not do*: know what the numbers mean.

/// A recorded reason.
#[derive(Clone, Copy, Debug)]
pub(super) struct Given {
    /// The word's place among the words.
    pub(super) word: usize,
    /// What is recorded of its number.
    pub(super) contribution: Option<f64>,
}

/// Where a list stops following.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Step {
    /// A recorded contribution lies too far from the known one.
    Contribution {
        /// The reason's place.
        index: u32,
        /// The known one.
        own: f64,
    },
    /// Other words, or another order.
    Choice,
}

/// The words that follow from the known numbers themselves.
pub(super) fn expected(own: &[f64], count: usize) -> Vec<usize> {
    let mut below: Vec<(usize, f64)> =
        own.iter().copied().enumerate().filter(|(_, number)| *number < 0.0).collect();
    below.sort_by(|(_, one), (_, other)| one.total_cmp(other));
    below.into_iter().take(count).map(|(word, _)| word).collect()
}

/// Whether the recorded reasons follow.
pub(super) fn follow(own: &[f64], given: &[Given], count: usize, tau: f64) -> Result<(), Step> {
    if given.len() > count {
        return Err(Step::Choice);
    }
    // Each number is taken as low as the tolerance and those before it let it be: that leaves the most room behind it.
    let mut least = f64::NEG_INFINITY;
    let mut last: Option<usize> = None;
    let mut is_given = vec![false; own.len()];
    for (index, Given { word, contribution }) in (0..).zip(given) {
        let (Some(number), Some(seen)) = (own.get(*word), is_given.get_mut(*word)) else {
            return Err(Step::Choice);
        };
        let (low, high) = match contribution {
            None => (number - tau, number + tau),
            Some(said) if (said - number).abs() <= tau => (*said, *said),
            Some(_) => return Err(Step::Contribution { index, own: *number }),
        };
        let at = least.max(low);
        let is_tie_turned = high == least && last.is_some_and(|last| *word < last);
        if std::mem::replace(seen, true) || at > high || at >= 0.0 || is_tie_turned {
            return Err(Step::Choice);
        }
        (least, last) = (at, Some(*word));
    }
    // A word that is left out must be able to lie behind the last reason, or at 0 where there was room for it.
    let bound = if given.len() == count { least } else { 0.0 };
    for (word, number) in own.iter().enumerate().filter(|(word, _)| is_given.get(*word) == Some(&false)) {
        let high = number + tau;
        let is_tie_turned = given.len() == count && high == bound && last.is_some_and(|last| word < last);
        if high < bound || is_tie_turned || number.is_nan() {
            return Err(Step::Choice);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(words: &[usize]) -> Vec<Given> {
        words.iter().map(|word| Given { word: *word, contribution: None }).collect()
    }

    const OWN: [f64; 5] = [-0.3, 0.2, -0.5, -0.31, -1e-3];

    #[test]
    fn without_room_only_the_list_itself_follows() {
        assert_eq!(expected(&OWN, 3), [2, 3, 0]);
        assert_eq!(follow(&OWN, &given(&[2, 3, 0]), 3, 0.0), Ok(()));
        for other in [&[2, 0, 3][..], &[2, 3], &[2, 3, 4], &[2, 3, 0, 4], &[2, 2, 3], &[1, 2, 3], &[]] {
            assert_eq!(follow(&OWN, &given(other), 3, 0.0), Err(Step::Choice), "{other:?}");
        }
        assert_eq!(follow(&OWN, &given(&[2, 3, 0, 4]), 9, 0.0), Ok(()));
    }

    #[test]
    fn what_lies_within_twice_the_tolerance_may_change_places() {
        assert_eq!(follow(&OWN, &given(&[2, 0, 3]), 3, 0.006), Ok(()), "0.01 apart");
        assert_eq!(follow(&OWN, &given(&[2, 0, 3]), 3, 0.004), Err(Step::Choice));
        assert_eq!(follow(&OWN, &given(&[2, 0]), 2, 0.006), Ok(()), "the other one is left out");
        assert_eq!(follow(&OWN, &given(&[2, 3, 0]), 9, 2e-3), Ok(()), "a word as near to 0 as that is none");
        assert_eq!(follow(&OWN, &given(&[2, 3, 0]), 9, 5e-4), Err(Step::Choice));
        assert_eq!(follow(&OWN, &given(&[2, 3, 0, 1]), 4, 0.1), Err(Step::Choice), "it pushes the other way");
    }

    #[test]
    fn a_contribution_fixes_the_order_it_was_recorded_in() {
        let with = |pairs: &[(usize, f64)]| -> Vec<Given> {
            pairs.iter().map(|(word, said)| Given { word: *word, contribution: Some(*said) }).collect()
        };
        let near = with(&[(2, -0.5), (0, -0.306), (3, -0.305)]);
        assert_eq!(follow(&OWN, &near, 3, 0.0061), Ok(()));
        let against = with(&[(2, -0.5), (0, -0.3), (3, -0.31)]);
        assert_eq!(follow(&OWN, &against, 3, 0.0061), Err(Step::Choice), "its own numbers say otherwise");
        let far = with(&[(2, -0.52), (3, -0.31), (0, -0.3)]);
        assert_eq!(follow(&OWN, &far, 3, 0.0061), Err(Step::Contribution { index: 0, own: -0.5 }));
        let none = with(&[(2, f64::NAN)]);
        assert!(matches!(follow(&OWN, &none, 1, f64::INFINITY), Err(Step::Contribution { .. })));
    }

    #[test]
    fn ties_stay_in_the_order_of_the_text() {
        let own = [-0.5, -0.5, -0.5];
        assert_eq!(expected(&own, 2), [0, 1]);
        assert_eq!(follow(&own, &given(&[0, 1]), 2, 0.0), Ok(()));
        assert_eq!(follow(&own, &given(&[1, 0]), 2, 0.0), Err(Step::Choice));
        assert_eq!(follow(&own, &given(&[1, 2]), 2, 0.0), Err(Step::Choice));
        assert_eq!(follow(&own, &given(&[1, 2]), 2, 1e-9), Ok(()));
    }

    /// The rule by search: some numbers within the tolerance, in halves, make the list.
    #[test]
    fn the_answer_is_that_of_trying_all_numbers() {
        let mut state = 5_u64;
        let mut draw = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let (mut yes, mut no) = (0, 0);
        for _ in 0..400 {
            let own: Vec<f64> = (0..3).map(|_| f64::from(u32::try_from(draw(13)).unwrap()) - 8.0).collect();
            let count = usize::try_from(draw(3)).unwrap() + 1;
            let mut words: Vec<usize> = vec![0, 1, 2];
            let turn = usize::try_from(draw(3)).unwrap();
            words.rotate_left(turn);
            words.truncate(usize::try_from(draw(4)).unwrap());
            let mut found = false;
            for choice in 0..729_u32 {
                let steps = [choice % 9, choice / 9 % 9, choice / 81];
                let numbers = own.iter().zip(steps).map(|(own, step)| own + (f64::from(step) - 4.0) / 2.0);
                found |= expected(&numbers.collect::<Vec<_>>(), count) == words;
            }
            let said = follow(&own, &given(&words), count, 2.0).is_ok();
            assert!(said || !found, "{own:?} {words:?} of {count}");
            // Halves break ties that only the room between 1 and 2 lets them break.
            let sure = follow(&own, &given(&words), count, 1.0).is_ok();
            assert!(found || !sure, "{own:?} {words:?} of {count}");
            yes += usize::from(said);
            no += usize::from(!said);
        }
        assert!(yes > 20 && no > 20, "{yes} {no}");
    }
}
