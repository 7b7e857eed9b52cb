//! Each fault by itself: what it is called, that nothing false is kept while it lasts, and that the lane goes on after it.

use std::time::Duration;

use alloy_primitives::U256;

use crate::endpoint::{Fault, Lie, lies};
use crate::model::Fate;
use crate::stage::{DEAR, DRAIN, Stage};
use crate::world::until;

/// Long enough for a lane to look at the chain twice.
const TWO_LOOKS: Duration = Duration::from_millis(700);

/// The only endpoint has `fault` from the beginning: it is named in these words, nothing is proved, and then all goes well.
async fn named(fault: Fault, words: &str) {
    let stage = Stage::new(1).await;
    stage.all_have(&fault);
    let app = stage.world.start().await;
    stage.chain().mine();
    stage.world.says(&app, words).await;
    assert_eq!((stage.world.count(), stage.chain().arrived.len()), (0, 2), "nothing is sent or proved");
    stage.all_have(&Fault::None);
    stage.world.says_no_more(&app, words).await;
    stage.ends_anchored(app, 1).await;
}

async fn named_lie(lie: Lie, words: &str) {
    named(Fault::Lies(lie), words).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_closes_connections_is_named() {
    named(Fault::Closed, "closed the connection").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_never_answers_is_named() {
    named(Fault::Silent, "did not answer within").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_breaks_off_is_named() {
    named(Fault::Cut, "closed the connection").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_is_named() {
    named(Fault::Text(b"\x00\xff{".to_vec()), "not JSON-RPC").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_beyond_its_bound_is_named() {
    named(Fault::Text(vec![b' '; (4 << 20) + 1]), "larger than 4194304 bytes").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_beyond_its_bound_is_named() {
    named_lie(lies::long_proof, "larger than 524288 bytes").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_call_is_named() {
    named(Fault::Refuses("eth_getProof"), "refused with code -32000: try again later").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_another_form_is_named() {
    named_lie(lies::other_shape, "unexpected form").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nonce_from_before_a_reorganisation_is_named() {
    named_lie(lies::nonce_from_before, "does not prove what it says").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_the_storage_does_not_hold_is_named() {
    named_lie(lies::other_value, "does not prove what it says").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_with_one_other_bit_is_named() {
    named_lie(lies::other_node, "does not prove what it says").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_with_another_state_root_is_named() {
    named_lie(lies::other_state_root, "does not hash to the block's hash").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_under_another_hash_is_named() {
    named_lie(lies::other_hash, "does not hash to the block's hash").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_chain_is_named() {
    named_lie(lies::other_chain, "the endpoints serve chain 1, not 31337").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newest_block_below_the_final_one_is_named() {
    named_lie(lies::upside_down, "not in that order").await;
}

/// A statement's transaction waits at the endpoint, which then says of it what is not so.
async fn unmoved(lie: Lie) {
    let stage = Stage::new(1).await;
    let app = stage.world.start().await;
    stage.is(&app, "broadcast").await;
    stage.all_have(&Fault::Lies(lie));
    stage.chain().mine_empty(1);
    stage.chain().settle(0, 0);
    tokio::time::sleep(TWO_LOOKS).await;
    let page = stage.world.page(&app).await;
    assert!(page.contains("ethereum ethereum broadcast") && stage.world.count() == 0, "{page}");
    stage.ends_anchored(app, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_that_says_mined_moves_nothing() {
    unmoved(lies::mined).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_that_says_failed_moves_nothing() {
    unmoved(lies::failed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_of_a_block_that_does_not_exist_moves_nothing() {
    unmoved(lies::mined_elsewhere).await;
}

/// The lane sees its statement through lies about its receipt all the time: only the receipt is left out of the proof.
async fn only_the_receipt_is_left_out(lie: Lie) {
    let stage = Stage::new(1).await;
    stage.all_have(&Fault::Lies(lie));
    let app = stage.world.start().await;
    let growth = stage.grow();
    stage.world.proved(1).await;
    drop(growth);
    let facts = stage.ends_anchored(app, 1).await;
    assert!(!facts[0].has_receipt && facts[facts.len() - 1].has_receipt, "{facts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_that_is_denied_is_left_out_of_the_proof() {
    only_the_receipt_is_left_out(lies::never_mined).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn receipts_that_are_not_those_of_the_block_are_left_out_of_the_proof() {
    only_the_receipt_is_left_out(lies::other_receipts).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_take_their_time_only_take_their_time() {
    let stage = Stage::new(1).await;
    stage.all_have(&Fault::Slow(Duration::from_millis(20)));
    let app = stage.world.start().await;
    let growth = stage.grow();
    stage.world.proved(1).await;
    drop(growth);
    assert!(!stage.world.page(&app).await.contains("ALARM"));
    stage.ends_anchored(app, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_is_dropped_unsaid_is_sent_again() {
    let stage = Stage::new(1).await;
    stage.all_have(&Fault::Swallows);
    let app = stage.world.start().await;
    stage.is(&app, "broadcast").await;
    assert!(!stage.chain().is_waiting(), "the endpoint forgot it");
    stage.all_have(&Fault::None);
    until("it waits", async || stage.chain().is_waiting()).await;
    // Dropped from the pool, as by a node that restarts.
    stage.chain().drop_pool();
    until("it waits again", async || stage.chain().is_waiting()).await;
    stage.ends_anchored(app, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_was_taken_and_denied_is_not_made_twice() {
    let stage = Stage::new(1).await;
    stage.all_have(&Fault::DeniesTaking);
    let app = stage.world.start().await;
    until("it waits", async || stage.chain().is_waiting()).await;
    stage.is(&app, "signed").await;
    stage.chain().mine();
    // The lane learns from the contract what the endpoint denied.
    stage.is(&app, "mined").await;
    stage.ends_anchored(app, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_stands_still_is_waited_for_and_nothing_is_anchored_by_it() {
    let stage = Stage::new(1).await;
    let app = stage.world.start().await;
    stage.is(&app, "broadcast").await;
    let then = Box::new(stage.chain().clone());
    stage.all_have(&Fault::Frozen(then));
    stage.chain().mine();
    stage.chain().settle(0, 0);
    tokio::time::sleep(TWO_LOOKS).await;
    stage.is(&app, "broadcast").await;
    assert_eq!(stage.world.count(), 0);
    stage.ends_anchored(app, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_still_shows_the_branch_from_before_a_reorganisation_makes_nobody_sign_twice() {
    let stage = Stage::new(1).await;
    let app = stage.world.start().await;
    stage.is(&app, "broadcast").await;
    stage.chain().mine();
    stage.is(&app, "mined").await;
    // The lane sees the nonce used, and the chain has it free again.
    let then = Box::new(stage.chain().clone());
    stage.chain().reorganise(5, Fate::Dropped);
    stage.all_have(&Fault::Frozen(then));
    tokio::time::sleep(TWO_LOOKS).await;
    stage.is(&app, "mined").await;
    stage.all_have(&Fault::None);
    stage.is(&app, "broadcast").await;
    stage.ends_anchored(app, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_endpoint_of_three_that_stands_still_on_another_branch_holds_the_lane_until_it_follows() {
    let stage = Stage::new(3).await;
    let app = stage.world.start().await;
    stage.is(&app, "broadcast").await;
    stage.chain().mine();
    stage.chain().mine_empty(5);
    let then = Box::new(stage.chain().clone());
    stage.chain().reorganise(6, Fate::Pooled);
    stage.endpoints[1].has(Fault::Frozen(then));
    stage.world.says(&app, "contradict each other").await;
    assert_eq!(stage.world.count(), 0);
    stage.ends_anchored(app, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_endpoint_of_three_that_calls_everything_final_proves_nothing_early() {
    let stage = Stage::new(3).await;
    stage.endpoints[0].has(Fault::Lies(lies::all_is_final));
    let app = stage.world.start().await;
    stage.is(&app, "broadcast").await;
    stage.chain().mine();
    stage.is(&app, "mined").await;
    stage.chain().mine_empty(3);
    tokio::time::sleep(TWO_LOOKS).await;
    stage.is(&app, "mined").await;
    stage.chain().reorganise(4, Fate::Dropped);
    stage.is(&app, "broadcast").await;
    assert_eq!(stage.world.count(), 0);
    stage.ends_anchored(app, 1).await;
}

/// Two endpoints are enough, whatever the third one has.
async fn done_without(fault: Fault) {
    let stage = Stage::new(3).await;
    stage.endpoints[0].has(fault);
    let app = stage.world.start().await;
    let growth = stage.grow();
    stage.world.proved(1).await;
    drop(growth);
    app.drain(DRAIN).await.unwrap();
    stage.verify();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_endpoint_of_three_that_closes_connections_is_done_without() {
    done_without(Fault::Closed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_endpoint_of_three_that_never_answers_is_done_without() {
    done_without(Fault::Silent).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_endpoint_of_three_whose_proofs_are_wrong_is_done_without() {
    done_without(Fault::Lies(lies::nonce_from_before)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_endpoint_of_three_that_refuses_receipts_is_done_without() {
    done_without(Fault::Refuses("eth_getTransactionReceipt")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tip_beyond_reason_is_offered_up_to_the_cap() {
    let stage = Stage::new(1).await;
    stage.all_have(&Fault::Lies(lies::dear_tip));
    let app = stage.world.start().await;
    stage.is(&app, "broadcast").await;
    let offered = stage.chain().arrived[2].transaction.max_priority_fee_per_gas;
    assert_eq!(offered, 2_000_000_000, "max_tip");
    stage.ends_anchored(app, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fees_above_the_cap_are_waited_out() {
    let stage = Stage::new(1).await;
    stage.chain().base_fee = DEAR;
    stage.chain().mine();
    let app = stage.world.start().await;
    stage.world.says(&app, "more than the cap").await;
    assert_eq!(stage.chain().arrived.len(), 2, "nothing was signed");
    stage.chain().base_fee = 1_000_000_000;
    stage.ends_anchored(app, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_offers_too_little_is_replaced_and_only_one_of_the_nonce_is_mined() {
    let stage = Stage::new(1).await;
    let app = stage.world.start().await;
    stage.is(&app, "broadcast").await;
    // Above what was offered, twice the base fee and the tip, and below the cap.
    stage.chain().base_fee = 10_000_000_000;
    stage.chain().mine();
    until("another of that nonce arrived", async || stage.chain().arrived.len() > 3).await;
    let nonces: Vec<u64> = stage.chain().arrived.iter().skip(2).map(|sent| sent.transaction.nonce).collect();
    assert!(nonces.iter().all(|nonce| *nonce == 2), "{nonces:?}");
    stage.ends_anchored(app, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_account_is_an_alarm_until_it_is_funded() {
    let stage = Stage::new(1).await;
    stage.chain().set_balance(stage.world.account, U256::ZERO);
    let app = stage.world.start().await;
    stage.world.says(&app, "top it up").await;
    assert_eq!(stage.chain().arrived.len(), 2, "nothing was signed");
    stage.chain().set_balance(stage.world.account, U256::from(u64::MAX));
    stage.ends_anchored(app, 1).await;
}
