use ledgerstone::hash::Hash;

use super::*;

fn id(number: u8) -> RunId {
    RunId::new(&Hash::of(b"settings"), &Hash::of(&[number]), None, None)
}

/// A queue for three, with the runs 1 to `count` submitted.
fn queue(count: u8) -> Queue {
    let mut queue = Queue::new(3, 1);
    for number in 1..=count {
        let place = queue.hold().unwrap();
        queue.push(place, id(number));
    }
    queue
}

#[test]
fn the_oldest_run_begins_and_the_others_wait() {
    let mut queue = queue(3);
    assert_eq!(queue.begin(), Some(id(1)));
    assert_eq!(queue.begin(), None, "one at a time");
    assert_eq!(queue.waiting().collect::<Vec<_>>(), [id(2), id(3)]);
    queue.end(id(1), State::Done);
    assert_eq!(queue.begin(), Some(id(2)));
    assert_eq!(queue.state(id(1)), Some(State::Done));
}

#[test]
fn as_many_begin_as_may_run() {
    let mut queue = Queue::new(3, 2);
    for number in 1..=3 {
        let place = queue.hold().unwrap();
        queue.push(place, id(number));
    }
    assert_eq!([queue.begin(), queue.begin(), queue.begin()], [Some(id(1)), Some(id(2)), None]);
}

#[test]
fn a_full_queue_takes_nothing_and_uploads_count() {
    let mut queue = queue(2);
    let place = queue.hold().unwrap();
    assert!(matches!(queue.hold(), Err(ServeError::QueueFull { queue_max: 3 })));
    queue.give_back(place);
    let place = queue.hold().unwrap();
    assert!(queue.hold().is_err());
    queue.push(place, id(3));
    assert!(queue.hold().is_err(), "a place that was used is not free");
    assert!(queue.begin().is_some());
    let place = queue.hold().unwrap();
    queue.give_back(place);
}

#[test]
fn a_waiting_run_is_cancelled_at_once_and_a_running_one_when_it_stopped() {
    let mut queue = queue(2);
    queue.begin();
    assert_eq!(queue.cancel(id(2)).unwrap(), Cancelled::AtOnce);
    assert_eq!(queue.cancel(id(1)).unwrap(), Cancelled::WhenStopped);
    assert_eq!(queue.state(id(1)), Some(State::Running), "until it has stopped");
    queue.end(id(1), State::Cancelled);
    assert_eq!(queue.begin(), None, "what was cancelled does not begin");
    for ended in [id(1), id(2)] {
        assert!(matches!(queue.cancel(ended), Err(ServeError::HasEnded { state: State::Cancelled, .. })));
    }
    assert!(matches!(queue.cancel(id(9)), Err(ServeError::Unknown { .. })));
}

#[test]
fn only_what_has_ended_is_deleted() {
    let mut queue = queue(2);
    queue.begin();
    assert!(matches!(queue.delete(id(1)), Err(ServeError::HasNotEnded { state: State::Running, .. })));
    assert!(matches!(queue.delete(id(2)), Err(ServeError::HasNotEnded { state: State::Queued, .. })));
    queue.end(id(1), State::Failed);
    queue.delete(id(1)).unwrap();
    assert!(matches!(queue.delete(id(1)), Err(ServeError::Unknown { .. })));
    assert_eq!(queue.len(), 1);
}

#[test]
fn after_a_restart_the_order_is_the_same_and_nothing_promised_is_turned_away() {
    let mut queue = Queue::new(1, 1);
    for (number, state) in
        [(4, State::Queued), (7, State::Queued), (2, State::Running), (3, State::Done), (5, State::Cancelled)]
    {
        queue.restore(number, id(u8::try_from(number).unwrap()), state);
    }
    assert!(queue.hold().is_err(), "three wait, though the queue is for one");
    assert_eq!(queue.begin(), Some(id(2)), "what was running goes on first");
    queue.end(id(2), State::Done);
    assert_eq!(queue.begin(), Some(id(4)));
    queue.end(id(4), State::Done);
    assert_eq!(queue.begin(), Some(id(7)));
    let place = queue.hold().unwrap();
    assert_eq!(queue.push(place, id(8)), 8, "numbers go on");
}

#[test]
fn a_run_that_is_submitted_again_goes_to_the_end() {
    let mut queue = queue(2);
    queue.cancel(id(1)).unwrap();
    let place = queue.hold().unwrap();
    assert_eq!(queue.push(place, id(1)), 3);
    assert_eq!(queue.waiting().collect::<Vec<_>>(), [id(2), id(1)]);
    assert_eq!(queue.len(), 2);
}

#[test]
fn a_closed_queue_begins_nothing_and_takes_nothing() {
    let mut queue = queue(2);
    queue.begin();
    queue.close();
    queue.end(id(1), State::Queued);
    assert_eq!(queue.begin(), None);
    assert!(matches!(queue.hold(), Err(ServeError::Ending)));
    assert_eq!(queue.count(State::Queued), 2);
}
