use ledgerstone::entry::Kind;
use tokio::sync::Semaphore;
use tokio::task::yield_now;

use super::*;
use crate::approvals::tests::{HeldLog, approval, opened};

#[tokio::test]
async fn a_caller_that_leaves_before_the_answer_and_asks_again_makes_one_entry() {
    let approvals = opened(Vec::new()).approvals;
    let (log, session) = HeldLog::started().await;
    let note = Bytes::from(approval().1);
    let ask = || key(Arc::clone(&approvals), Arc::clone(&session), false, note.clone());
    log.answers.forget_permits(Semaphore::MAX_PERMITS);
    let mut leaving = Box::pin(ask());
    while log.kinds() != [Kind::Start, Kind::Key] {
        tokio::select! {
            biased;
            answer = &mut leaving => panic!("{answer:?}"),
            () = yield_now() => {}
        }
    }
    drop(leaving);
    log.answers.add_permits(2);
    assert_eq!(ask().await.unwrap(), Some(LeafIndex::new(1)));
    assert_eq!(log.kinds(), [Kind::Start, Kind::Key]);
}
