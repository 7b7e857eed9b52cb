//! Endpoints that lie, lag, hang or talk nonsense, before a real node.

use std::time::Duration;

use serde_json::{Value, json};

use crate::node::{Anvil, Liar, Lie};
use crate::world::World;

const DRAIN: Duration = Duration::from_secs(20);

/// A chain, a log, and a lane that sees the chain through a liar alone.
async fn alone() -> Option<(Anvil, World, Liar)> {
    let anvil = Anvil::start(2, &[]).await?;
    let world = World::new(&anvil).await;
    let liar = Liar::start(anvil.address).await;
    world.lane(&[liar.url()], "");
    Some((anvil, world, liar))
}

/// Tells each lie until the page names it, and goes on anchoring between them.
async fn named(lies: Vec<(Lie, &str)>) {
    let Some((anvil, world, liar)) = alone().await else { return };
    let app = world.start().await;
    for (lie, words) in lies {
        world.one_more().await;
        liar.tell(lie);
        world.says(&app, words).await;
        let made = world.count();
        tokio::time::sleep(Duration::from_millis(700)).await;
        assert!(world.count() <= made + 1, "{words}: nothing new is proved through a lie");
        liar.tell(Lie::Honest);
        world.says_no_more(&app, words).await;
    }
    world.one_more().await;
    app.drain(DRAIN).await.unwrap();
    world.verify(&anvil).await;
}

fn is(call: &Value, method: &str) -> bool {
    call["method"] == method
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoints_that_hang_or_talk_nonsense_are_named_and_outlived() {
    named(vec![
        (Lie::Down, "closed the connection"),
        (Lie::Slow, "did not answer within"),
        (Lie::Text(b"<html>".to_vec()), "not JSON-RPC"),
        (Lie::Text(vec![b' '; 5 << 20]), "larger than"),
        (Lie::Answer(|_, answer| answer["id"] = json!(7)), "belongs to another request"),
        (Lie::Answer(|_, answer| answer["result"] = json!({ "a": 1 })), "unexpected form"),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lies_about_state_are_found_by_their_proofs() {
    named(vec![
        // The nonce from before a reorganisation.
        (
            Lie::Answer(|call, answer| {
                if is(call, "eth_getProof") {
                    answer["result"]["nonce"] = json!("0x0");
                }
            }),
            "does not prove what it says",
        ),
        (
            Lie::Answer(|call, answer| {
                if is(call, "eth_getProof") && answer["result"]["storageProof"][0].is_object() {
                    answer["result"]["storageProof"][0]["value"] = json!("0x5");
                }
            }),
            "does not prove what it says",
        ),
        (
            Lie::Answer(|call, answer| {
                if is(call, "eth_getBlockByNumber") && answer["result"].is_object() {
                    answer["result"]["stateRoot"] = json!(format!("0x{}", "5".repeat(64)));
                }
            }),
            "does not hash to the block's hash",
        ),
        (
            Lie::Answer(|call, answer| {
                if is(call, "eth_chainId") {
                    answer["result"] = json!("0x1");
                }
            }),
            "the endpoints serve chain 1, not 31337",
        ),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn receipts_that_were_never_made_change_nothing() {
    let Some((anvil, world, liar)) = alone().await else { return };
    // Every transaction is said to be mined, at once, in a block that does not exist; or to have failed.
    liar.tell(Lie::Answer(|call, answer| {
        if is(call, "eth_getTransactionReceipt") {
            let zero = format!("0x{}", "0".repeat(64));
            answer["result"] = json!({
                "transactionHash": call["params"][0], "transactionIndex": "0x0", "blockHash": zero, "blockNumber": "0x1",
                "gasUsed": "0x1", "status": "0x0", "cumulativeGasUsed": "0x1",
                "logsBloom": format!("0x{}", "0".repeat(512)), "logs": [],
            });
        }
    }));
    let app = world.start().await;
    world.proved(1).await;
    liar.tell(Lie::Answer(|call, answer| {
        if is(call, "eth_getTransactionReceipt") {
            answer["result"] = Value::Null;
        }
    }));
    world.one_more().await;
    app.drain(DRAIN).await.unwrap();
    world.verify(&anvil).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn receipts_of_a_block_that_do_not_fit_it_leave_only_the_receipt_out() {
    let Some((anvil, world, liar)) = alone().await else { return };
    liar.tell(Lie::Answer(|call, answer| {
        if is(call, "eth_getBlockReceipts") && answer["result"][0].is_object() {
            answer["result"][0]["cumulativeGasUsed"] = json!("0x5208");
        }
    }));
    let app = world.start().await;
    world.proved(2).await;
    app.drain(DRAIN).await.unwrap();
    let facts = world.verify(&anvil).await;
    assert!(!facts[0].has_receipt, "a receipt that is not the block's is not in the proof");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_lying_endpoint_of_three_is_outvoted() {
    let Some(anvil) = Anvil::start(2, &[]).await else { return };
    let world = World::new(&anvil).await;
    let liar = Liar::start(anvil.address).await;
    let honest = Liar::start(anvil.address).await;
    world.lane(&[liar.url(), honest.url(), anvil.url()], "");
    let app = world.start().await;
    for lie in [Lie::Down, Lie::Slow, Lie::Text(b"{}".to_vec())] {
        liar.tell(lie);
        world.one_more().await;
    }
    // State that is false is asked of the next one.
    liar.tell(Lie::Answer(|call, answer| {
        if is(call, "eth_getProof") {
            answer["result"]["nonce"] = json!("0x0");
        }
    }));
    world.one_more().await;
    app.drain(DRAIN).await.unwrap();
    world.verify(&anvil).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stale_and_other_chains_among_the_endpoints_are_named() {
    let Some(anvil) = Anvil::start(2, &[]).await else { return };
    let Some(other) = Anvil::start(2, &[]).await else { return };
    let world = World::new(&anvil).await;
    // Another chain of the same id: its blocks are others.
    let liar = Liar::start(other.address).await;
    world.lane(&[anvil.url(), liar.url()], "");
    let app = world.start().await;
    world.says(&app, "the lane's endpoints contradict each other since").await;
    assert_eq!(world.count(), 0);
    app.drain(DRAIN).await.unwrap();

    // An endpoint that stopped following: everybody's view is held to what it has, and its state is old.
    let liar = Liar::start(anvil.address).await;
    world.lane(&[anvil.url(), liar.url()], "");
    let app = world.start().await;
    world.proved(1).await;
    liar.tell(Lie::Call(|call| {
        if is(call, "eth_getBlockByNumber")
            && call["params"][0].as_str().is_some_and(|tag| !tag.starts_with("0x"))
        {
            call["params"][0] = json!("0x1");
        }
    }));
    world.says(&app, "ALARM").await;
    let made = world.count();
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert!(world.count() <= made + 1, "nothing is anchored from a stale view");
    liar.tell(Lie::Honest);
    world.one_more().await;
    app.drain(DRAIN).await.unwrap();
    world.verify(&anvil).await;
}
