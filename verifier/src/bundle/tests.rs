//! Danger: a header that lies about its range stops the program, or lets entries stand twice or out of order.
//! Expected: an error that names the entry which should have come.

use super::*;

fn order(next: Next) -> Order {
    Order { size: TreeSize::new(9), root: Hash::of(b"tree"), next, taken: 0 }
}

#[test]
fn a_range_whose_end_lies_before_its_start_has_no_entries() {
    let mut order = order(Next::Range(7, 6));
    assert!(matches!(order.take(7, 1), Err(BundleError::Order { expected: None, found: 7 })));
    assert_eq!((order.entries(), order.taken()), (0, 0));
}

#[test]
fn entries_stand_once_and_in_their_order() {
    let mut range = order(Next::Range(2, 5));
    range.take(2, 2).unwrap();
    assert!(matches!(range.take(2, 1), Err(BundleError::Order { expected: Some(4), found: 2 })));
    assert!(matches!(range.take(4, 2), Err(BundleError::Order { .. })));
    assert!(matches!(range.finish(), Err(BundleError::MissingEntry { index: 4 })));
    range.take(4, 1).unwrap();
    assert!(range.finish().is_ok());
    let mut listed = order(Next::Listed(vec![8, 3], 0));
    assert!(matches!(listed.take(3, 1), Err(BundleError::Order { expected: Some(8), found: 3 })));
    listed.take(8, 1).unwrap();
    assert!(matches!(listed.finish(), Err(BundleError::MissingEntry { index: 3 })));
}
