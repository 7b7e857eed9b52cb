use super::*;

/// Two splits on feature 0 with one on feature 1 between them.
struct Small;

impl Routed for Small {
    type Float = f64;

    fn node(&self, at: usize) -> Option<Node> {
        Some(match at {
            0 => Node::Split { feature: 0, left: 1, right: 2 },
            1 => Node::Split { feature: 1, left: 3, right: 4 },
            2 => Node::Leaf(7.0),
            3 => Node::Leaf(1.0),
            4 => Node::Split { feature: 0, left: 5, right: 6 },
            5 => Node::Leaf(-4.0),
            6 => Node::Leaf(2.5),
            _ => return None,
        })
    }

    fn next(&self, at: usize, row: &[f64]) -> Option<usize> {
        let (feature, threshold, left, right) = match at {
            0 => (0, 2.0, 1, 2),
            1 => (1, 0.0, 3, 4),
            _ => (0, 1.0, 5, 6),
        };
        Some(if row[feature] <= threshold { left } else { right })
    }
}

fn value(row: &[f64]) -> f64 {
    let mut at = 0;
    loop {
        match Small.node(at).unwrap() {
            Node::Leaf(leaf) => return f64::from(leaf),
            Node::Split { .. } => at = Small.next(at, row).unwrap(),
        }
    }
}

fn against(row: &[f64; 2], others: &[[f64; 2]]) -> Result<Vec<Vec<f64>>, RowError> {
    let background = Background::of_f64(&others.concat(), 2, 1, |row| Ok(vec![value(row)]))?;
    contributions([(&Small, 0)].into_iter(), row, &background)
}

#[test]
fn contributions_are_shapley_values_of_exchanging_features() {
    let others = [[0.5, -1.0], [1.5, 1.0], [3.0, 1.0], [0.5, 1.0]];
    for row in [[0.5, 1.0], [1.5, -1.0], [1.5, 1.0], [3.0, -1.0]] {
        let mean =
            |value: &dyn Fn(&[f64; 2]) -> f64| others.iter().map(value).sum::<f64>() / others.len() as f64;
        // Of two features each comes first in half of the orders.
        let (none, both) = (mean(&|other| value(other)), value(&row));
        let (first, second) =
            (mean(&|other| value(&[row[0], other[1]])), mean(&|other| value(&[other[0], row[1]])));
        let expected =
            [f64::midpoint(first - none, both - second), f64::midpoint(second - none, both - first), none];
        assert_eq!(against(&row, &others), Ok(vec![expected.to_vec()]), "{row:?}");
    }
}

#[test]
fn weights_are_those_of_orders() {
    let Weights(table) = Weights::new();
    assert_eq!(table[0][0], 1.0);
    assert_eq!(table[3][..4], [0.25, 1.0 / 12.0, 1.0 / 12.0, 0.25]);
    // 1 in 29 times C(28, 14) = 40,116,600.
    assert_eq!(table[28][14], 1.0_f32 / 1_163_381_400.0);
}

#[test]
fn a_background_has_rows_and_not_too_many() {
    let none = RowError::Contributions { problem: "the background has no rows" };
    assert_eq!(against(&[0.0, 0.0], &[]), Err(none));
    let many = vec![[0.0, 0.0]; BACKGROUND_ROWS_MAX + 1];
    assert!(matches!(against(&[0.0, 0.0], &many), Err(RowError::Contributions { .. })));
    assert!(against(&[0.0, 0.0], &many[1..]).is_ok());
}

/// A chain of splits, each on a feature of its own, on every one of which the two rows part.
struct Chain;

impl Routed for Chain {
    type Float = f64;

    fn node(&self, at: usize) -> Option<Node> {
        Some(if at % 2 == 1 || at >= 2 * CHAIN {
            Node::Leaf(at as f32)
        } else {
            Node::Split { feature: at / 2, left: at + 1, right: at + 2 }
        })
    }

    fn next(&self, at: usize, row: &[f64]) -> Option<usize> {
        Some(if row[at / 2] <= 0.0 { at + 1 } else { at + 2 })
    }
}

const CHAIN: usize = 30;

#[test]
fn a_way_with_too_many_parting_features_is_refused() {
    let explain = |parting: usize| {
        let other: Vec<f64> = (0..CHAIN).map(|place| f64::from(u8::from(place >= parting))).collect();
        let background = Background::of_f64(&other, CHAIN, 1, |_| Ok(vec![0.0])).unwrap();
        contributions([(&Chain, 0)].into_iter(), &[1.0; CHAIN], &background)
    };
    assert!(explain(PARTING_MAX).is_ok());
    assert_eq!(explain(PARTING_MAX + 1), Err(Undefined::Parting.into()));
}
