//! Reorganisations of 1, 5 and 30 blocks, with every fate of the transactions in them, at each state of a statement.

use ledgerstone_sidecar::app::Running;

use crate::endpoint::Fault;
use crate::model::Fate;
use crate::stage::{DEAR, DRAIN, Stage, at_once};
use crate::world::until;

const DEPTHS: [u64; 3] = [1, 5, 30];

/// States in which a statement can be held by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Held {
    Planned,
    Signed,
    Broadcast,
    Mined,
    Safe,
    Finalized,
}

impl Held {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Signed => "signed",
            Self::Broadcast => "broadcast",
            Self::Mined => "mined",
            Self::Safe => "safe",
            Self::Finalized => "finalized",
        }
    }
}

/// A sidecar whose first statement stays where it is.
async fn held(state: Held) -> (Stage, Running) {
    let stage = Stage::new(1).await;
    if state == Held::Planned {
        stage.chain().base_fee = DEAR;
        stage.chain().mine();
    }
    if state == Held::Signed {
        stage.all_have(&Fault::Refuses("eth_sendRawTransaction"));
    }
    let app = stage.world.start().await;
    if state >= Held::Mined {
        stage.is(&app, "broadcast").await;
        stage.all_have(&Fault::RefusesCapture);
        stage.chain().mine();
    }
    if state == Held::Safe {
        stage.is(&app, "mined").await;
        let height = stage.chain().height();
        stage.chain().safe = height;
    }
    if state == Held::Finalized {
        stage.is(&app, "mined").await;
        stage.chain().settle(0, 0);
    }
    stage.is(&app, state.as_str()).await;
    (stage, app)
}

/// Takes the blocks away while the statement is in `state`, and lets the lane go on.
async fn survives(state: Held, depth: u64, fate: Fate) {
    let (stage, app) = held(state).await;
    let sent = stage.chain().arrived.len();
    stage.chain().reorganise(depth, fate);
    let seen = match (state, fate) {
        (Held::Planned | Held::Signed, _) => state,
        // What was in a block is back at the endpoints' mercy, or in another block.
        (Held::Broadcast, _) | (_, Fate::Dropped | Fate::Pooled) => Held::Broadcast,
        (_, Fate::Included) => Held::Mined,
    };
    stage.is(&app, seen.as_str()).await;
    if state >= Held::Mined && fate == Fate::Dropped {
        // The stored bytes are sent again, and nothing else is.
        until("the transaction is sent again", async || stage.chain().is_waiting()).await;
        let chain = stage.chain();
        assert!(chain.arrived[sent..].is_empty(), "what is sent again is what was sent before");
    }
    stage.chain().base_fee = 1_000_000_000;
    let facts = stage.ends_anchored(app, 1).await;
    assert!(
        facts[0].has_receipt,
        "{state:?} {depth} {fate:?}: the receipt is that of the block where it is now"
    );
}

/// Every depth and fate at once, each on a chain of its own.
async fn survives_all(state: Held, fates: &[Fate]) {
    let cases = DEPTHS.iter().flat_map(|depth| fates.iter().map(move |fate| (*depth, *fate)));
    at_once(cases.map(|(depth, fate)| survives(state, depth, fate))).await;
}

const FATES: [Fate; 3] = [Fate::Dropped, Fate::Pooled, Fate::Included];

#[tokio::test(flavor = "multi_thread")]
async fn blocks_are_taken_back_while_a_statement_is_planned() {
    survives_all(Held::Planned, &[Fate::Dropped]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_are_taken_back_while_a_statement_is_signed() {
    survives_all(Held::Signed, &[Fate::Dropped]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_are_taken_back_while_a_transaction_waits() {
    survives_all(Held::Broadcast, &[Fate::Pooled]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_are_taken_back_after_the_transaction_was_mined() {
    survives_all(Held::Mined, &FATES).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_are_taken_back_after_the_transaction_was_safe() {
    survives_all(Held::Safe, &FATES).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_are_taken_back_that_were_called_final_before_the_proof_was_captured() {
    survives_all(Held::Finalized, &FATES).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_that_takes_back_what_was_anchored_is_an_alarm_until_it_holds_it_again() {
    let stage = Stage::new(1).await;
    let app = stage.world.start().await;
    stage.is(&app, "broadcast").await;
    stage.chain().mine();
    // The next statement is not signed: it waits for fees to fall.
    stage.chain().base_fee = DEAR;
    stage.chain().mine();
    stage.chain().settle(0, 0);
    stage.world.proved(1).await;
    stage.chain().reorganise(2, Fate::Dropped);
    stage.world.says(&app, "ALARM").await;
    until("the transaction is sent again", async || stage.chain().is_waiting()).await;
    let nonces: Vec<u64> = stage.chain().arrived.iter().map(|sent| sent.transaction.nonce).collect();
    assert_eq!(nonces, [0, 1, 2], "no other transaction of that nonce, and none of the next");
    stage.chain().base_fee = 1_000_000_000;
    let growth = stage.grow();
    stage.world.proved(2).await;
    stage.world.says_no_more(&app, "ALARM").await;
    drop(growth);
    app.drain(DRAIN).await.unwrap();
    // The first proof rests on a block that its chain took back after it was final; the second one covers it.
    stage.contract_has_each_once(2);
    stage.no_nonce_has_two_statements();
}
