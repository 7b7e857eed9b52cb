//! Who else may write: wrong chains and contracts, a second sidecar, a thief with the anchor key.

use std::time::Duration;

use alloy_primitives::Bytes;
use ledgerstone::anchor::chain::verify_chain;
use ledgerstone::anchor::evm::{Advance, StoredHead, heads_call};
use ledgerstone::anchor::statement::{Link, Statement};
use ledgerstone::hash::Hash;
use ledgerstone_sidecar::anchor::evm::key::FileSigner;
use ledgerstone_sidecar::anchor::evm::transaction::{self, Order};
use serde_json::json;

use crate::node::Anvil;
use crate::world::{World, until};

const DRAIN: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn the_wrong_chain_and_foreign_code_are_named_and_nothing_is_signed() {
    let Some(anvil) = Anvil::start(2, &[]).await else { return };
    let world = World::new(&anvil).await;
    let nonce = anvil.number("eth_getTransactionCount", json!([world.account, "latest"])).await;
    world.lane_on(&[anvil.url()], 1, "");
    let app = world.start().await;
    world.says(&app, "the endpoints serve chain 31337, not 1").await;
    app.drain(DRAIN).await.unwrap();

    world.lane(&[anvil.url()], "");
    let code = anvil.call("eth_getCode", json!([world.deployed.contract, "latest"])).await;
    anvil.call("anvil_setCode", json!([world.deployed.contract, "0x60016002"])).await;
    let app = world.start().await;
    world.says(&app, "the code at the contract's address is not AnchorHead's").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let after = anvil.number("eth_getTransactionCount", json!([world.account, "latest"])).await;
    assert_eq!((after, world.count()), (nonce, 0), "nothing was sent");
    anvil.call("anvil_setCode", json!([world.deployed.contract, code])).await;
    world.proved(1).await;
    app.drain(DRAIN).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_the_contract_does_not_know_is_named() {
    let Some(anvil) = Anvil::start(2, &[]).await else { return };
    let world = World::new(&anvil).await;
    world.lane(&[anvil.url()], "");
    std::fs::remove_file(world.folder.path().join("anchor.key")).unwrap();
    FileSigner::create(&world.folder.path().join("anchor.key"), None).unwrap();
    let app = world.start().await;
    world.says(&app, "the contract accepts another key for this log").await;
    assert_eq!(world.count(), 0);
    app.drain(DRAIN).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_sidecars_that_anchor_one_log_the_second_stops_and_says_why() {
    let Some(anvil) = Anvil::start(2, &[]).await else { return };
    let world = World::new(&anvil).await;
    world.lane(&[anvil.url()], "");
    let app = world.start().await;
    world.proved(1).await;
    app.drain(DRAIN).await.unwrap();
    // A clone of log, keys and journal, as from a snapshot of the volume.
    let clone = tempfile::tempdir().unwrap();
    let copied = std::process::Command::new("cp")
        .args(["-a", &format!("{}/.", world.folder.path().display())])
        .arg(clone.path())
        .status();
    assert!(copied.unwrap().success());
    let app = world.start().await;
    // By two, because a statement that was under way when the copy was made is in both.
    let before = world.count();
    until("the first goes on", async || world.count() > before + 1).await;
    app.drain(DRAIN).await.unwrap();

    let statement = |world: &World, seq| std::fs::read(world.statement(seq).join("statement")).unwrap();
    let firsts: Vec<Vec<u8>> = (1..=world.count()).map(|seq| statement(&world, seq)).collect();
    let first = world.files.folder.clone();
    let mut second = world;
    second.files.folder = clone.path().to_owned();
    let app = second.start().await;
    second.says(&app, "a second sidecar anchors this log").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    app.drain(DRAIN).await.unwrap();
    let proved: Vec<Vec<u8>> = (1..=second.count()).map(|seq| statement(&second, seq)).collect();
    assert!(
        proved.len() < firsts.len() && firsts.starts_with(&proved),
        "the second anchors nothing of its own"
    );
    second.files.folder = first;
    second.verify(&anvil).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stolen_anchor_key_can_stop_the_lane_and_forge_nothing() {
    let Some(anvil) = Anvil::start(2, &[]).await else { return };
    let world = World::new(&anvil).await;
    world.lane(&[anvil.url()], "");
    let app = world.start().await;
    world.proved(1).await;
    app.drain(DRAIN).await.unwrap();
    // What was sent before it stopped is mined by now.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let call = json!([{ "to": world.deployed.contract, "data": Bytes::from(heads_call(&world.deployed.log_id)) }, "latest"]);
    let head: Bytes = serde_json::from_value(anvil.call("eth_call", call).await).unwrap();
    let made = u64::from(StoredHead::from_return_data(&head).unwrap().seq);
    let proved = world.count();
    let real = std::fs::read(world.statement(made).join("statement")).unwrap();
    let last = Statement::decode(&real).unwrap();

    // The thief states another history, under the next number.
    let mut forged = last.clone();
    (forged.seq, forged.from, forged.previous) = (made + 1, last.to, Hash::of(&real));
    (forged.to.size, forged.to.root) =
        (ledgerstone::merkle::TreeSize::new(last.to.size.get() + 9), Hash::of(b"forged"));
    let checkpoint = std::fs::read(world.statement(made).join("checkpoint")).unwrap();
    forged.checkpoint = Hash::of(&checkpoint);
    let bytes = forged.encode().unwrap();
    let advance = Advance {
        log_id: world.deployed.log_id,
        seq: u32::try_from(made + 1).unwrap(),
        previous: forged.previous,
        size: forged.to.size.get(),
        root: forged.to.root,
        statement: Hash::of(&bytes),
    };
    let signer = FileSigner::load(&world.folder.path().join("anchor.key"), None).unwrap();
    let nonce = anvil.number("eth_getTransactionCount", json!([world.account, "latest"])).await;
    let order = Order {
        chain_id: 31_337,
        nonce,
        to: Some(world.deployed.contract),
        input: advance.call(),
        gas_limit: 150_000,
        max_fee_per_gas: 20_000_000_000,
        max_priority_fee_per_gas: 1_000_000_000,
    };
    let sent = transaction::sign(order, &signer).unwrap();
    anvil.call("eth_sendRawTransaction", json!([sent.raw])).await;
    until("the thief's transaction is mined", async || {
        !anvil.call("eth_getTransactionReceipt", json!([sent.hash])).await.is_null()
    })
    .await;

    // The chain took it, and no auditor does: the log's keys signed no such checkpoint.
    let mut links = world.links();
    links.truncate(usize::try_from(made).unwrap());
    verify_chain(&links, &world.log_keys().verifier(), None).unwrap();
    links.push(Link { statement: bytes, checkpoint, consistency: Vec::new() });
    let refused = verify_chain(&links, &world.log_keys().verifier(), None).unwrap_err();
    assert_eq!(refused.seq, made + 1, "{refused}");
    // And the lane says what happened.
    let app = world.start().await;
    world.says(&app, "the anchor key is stolen").await;
    assert_eq!(world.count(), proved);
    app.drain(DRAIN).await.unwrap();
    world.verify(&anvil).await;
}
