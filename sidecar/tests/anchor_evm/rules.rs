//! What a lane must not do: sign a statement that was changed, go past its budget, take a young block for a final one.

use std::time::Duration;

use ledgerstone::anchor::evm::{BlockHeader, Bundle};
use serde_json::json;

use crate::node::{Anvil, Liar, Lie};
use crate::world::World;

const DRAIN: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_was_changed_on_disk_is_not_signed() {
    let Some(anvil) = Anvil::start(2, &[]).await else { return };
    let world = World::new(&anvil).await;
    world.lane(&[anvil.url()], "max_fee = \"3gwei\"\nmax_tip = \"1gwei\"\nbalance_alarm = 1");
    anvil.call("anvil_setNextBlockBaseFeePerGas", json!(["0xe8d4a51000"])).await;
    let app = world.start().await;
    // It is planned and stored, and waits for lower fees.
    world.says(&app, "more than the cap").await;
    let path = world.statement(1).join("statement");
    let stated = std::fs::read(&path).unwrap();
    let mut changed = stated.clone();
    *changed.last_mut().unwrap() ^= 1;
    std::fs::write(&path, changed).unwrap();
    world.says(&app, "the stored statement 1 was changed").await;
    let nonce = anvil.number("eth_getTransactionCount", json!([world.account, "latest"])).await;
    assert_eq!((nonce, world.count()), (2, 0), "nothing was sent");
    std::fs::write(&path, stated).unwrap();
    world.proved(1).await;
    app.drain(DRAIN).await.unwrap();
    world.verify(&anvil).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_that_does_not_show_the_stored_statement_is_not_kept() {
    // Final after 32 blocks, more than six seconds: time enough to change the file between.
    let Some(anvil) = Anvil::start(16, &[]).await else { return };
    let world = World::new(&anvil).await;
    world.lane(&[anvil.url()], "");
    let app = world.start().await;
    world.says(&app, "ethereum ethereum mined").await;
    let path = world.statement(1).join("statement");
    let stated = std::fs::read(&path).unwrap();
    // The root hash that it states: what follows the key 8.
    let root = stated.windows(3).position(|bytes| bytes == [0x08, 0x58, 0x20]).unwrap() + 3;
    let mut changed = stated.clone();
    changed[root] ^= 1;
    std::fs::write(&path, changed).unwrap();
    world.says(&app, "does not prove the statement").await;
    assert!(!world.is_proved(1));
    std::fs::write(&path, stated).unwrap();
    world.proved(1).await;
    app.drain(DRAIN).await.unwrap();
    world.verify(&anvil).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_the_contract_does_not_know_is_named() {
    let Some(anvil) = Anvil::start(2, &[]).await else { return };
    let world = World::new(&anvil).await;
    world.lane(&[anvil.url()], &format!("first_key = \"0x{}\"", "11".repeat(20)));
    let app = world.start().await;
    world.says(&app, "the contract does not know this log: register it").await;
    let nonce = anvil.number("eth_getTransactionCount", json!([world.account, "latest"])).await;
    assert_eq!((nonce, world.count()), (2, 0), "nothing was sent");
    app.drain(DRAIN).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_days_gas_budget_ends_the_days_anchors() {
    let Some(anvil) = Anvil::start(2, &[]).await else { return };
    let world = World::new(&anvil).await;
    world.lane(&[anvil.url()], "");
    // Enough for two transactions of 200,000.
    let text = std::fs::read_to_string(world.files.config()).unwrap();
    std::fs::write(world.files.config(), text.replace("gas_budget = 100000000", "gas_budget = 500000"))
        .unwrap();
    let app = world.start().await;
    world.says(&app, "the day's gas budget of 500000 is spent").await;
    world.proved(2).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let nonce = anvil.number("eth_getTransactionCount", json!([world.account, "latest"])).await;
    assert_eq!((nonce, world.count()), (4, 2));
    app.drain(DRAIN).await.unwrap();
    world.verify(&anvil).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_is_captured_under_a_block_that_the_chain_calls_final() {
    // Final after 32 blocks, more than six seconds.
    let Some(anvil) = Anvil::start(16, &[]).await else { return };
    anvil.call("anvil_mine", json!(["0x28"])).await;
    let world = World::new(&anvil).await;
    world.lane(&[anvil.url()], "");
    let app = world.start().await;
    world.proved(1).await;
    let last = anvil.call("eth_getBlockByNumber", json!(["finalized", false])).await;
    let last = u64::from_str_radix(last["number"].as_str().unwrap().trim_start_matches("0x"), 16).unwrap();
    let bundle = Bundle::decode(&std::fs::read(world.statement(1).join("proof.evm")).unwrap()).unwrap();
    assert!(BlockHeader::decode(&bundle.headers[0]).unwrap().number <= last);
    app.drain(DRAIN).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_of_three_endpoints_must_answer() {
    let Some(anvil) = Anvil::start(2, &[]).await else { return };
    let world = World::new(&anvil).await;
    let (first, second) = (Liar::start(anvil.address).await, Liar::start(anvil.address).await);
    world.lane(&[anvil.url(), first.url(), second.url()], "");
    first.tell(Lie::Down);
    let app = world.start().await;
    world.proved(1).await;
    second.tell(Lie::Down);
    world.says(&app, "1 endpoints answered and 2 must").await;
    let made = world.count();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(world.count() <= made + 1, "nothing is anchored on one endpoint's word");
    first.tell(Lie::Honest);
    world.one_more().await;
    app.drain(DRAIN).await.unwrap();
    world.verify(&anvil).await;
}
