//! What a chain does: it grows, reorganises, restarts, becomes dear; and a sidecar that is killed meanwhile.

use std::time::Duration;

use ledgerstone_sidecar::anchor::evm::block::YOUNG_BLOCKS;
use ledgerstone_sidecar::anchor::evm::deploy::{DeployError, Deployment};
use ledgerstone_sidecar::anchor::evm::key::FileSigner;
use serde_json::json;

use crate::node::{Anvil, Liar, Lie};
use crate::world::{ORIGIN, World, endpoint, fund, until};

const DRAIN: Duration = Duration::from_secs(20);

/// Gas of `advance` as ANCHORING computed it lies between 33,000 and 38,000; the first one writes fresh slots.
const ADVANCE_GAS: std::ops::Range<u64> = 30_000..42_000;
const FIRST_GAS: std::ops::Range<u64> = 48_000..72_000;

#[tokio::test(flavor = "multi_thread")]
async fn anchors_a_log_and_every_proof_verifies_without_the_chain() {
    let Some(anvil) = Anvil::start(2, &[]).await else { return };
    let world = World::new(&anvil).await;
    println!("deploy {:?} gas, register {:?} gas", world.deployed.deploy_gas, world.deployed.register_gas);
    world.lane(&[anvil.url()], "");
    let app = world.start().await;
    world.proved(3).await;
    let page = world.page(&app).await;
    app.drain(DRAIN).await.unwrap();
    let facts = world.verify(&anvil).await;
    assert!(facts.len() >= 3 && facts.iter().all(|facts| facts.has_receipt), "{facts:?}");
    assert!(!page.contains("ALARM"), "{page}");
    let gas = gas_of_advances(&anvil, &world).await;
    println!("gas of advance: {gas:?}");
    assert!(FIRST_GAS.contains(&gas[0]), "first advance took {}", gas[0]);
    assert!(gas[1..].iter().all(|gas| ADVANCE_GAS.contains(gas)), "{gas:?}");
    // Nothing but the head of this log is in the calldata: 4 + 6 * 32 bytes.
    let status =
        String::from_utf8(world.files.command("anchor").arg("status").output().unwrap().stdout).unwrap();
    println!("{status}");
    for words in ["the expected code", "this lane's", "head: statement", "in flight: "] {
        assert!(status.contains(words), "{words}: {status}");
    }
}

/// Gas used by each transaction from the lane's account to the contract, oldest first.
async fn gas_of_advances(anvil: &Anvil, world: &World) -> Vec<u64> {
    let mut gas = Vec::new();
    let contract = world.deployed.contract.to_string().to_lowercase();
    for number in 0..=anvil.height().await {
        let receipts = anvil.call("eth_getBlockReceipts", json!([format!("{number:#x}")])).await;
        for receipt in receipts.as_array().unwrap() {
            let from_us = receipt["from"].as_str() == Some(&world.account.to_string().to_lowercase());
            let hash = &receipt["transactionHash"];
            let call = anvil.call("eth_getTransactionByHash", json!([hash])).await;
            let is_advance = call["input"].as_str().unwrap().len() == 2 + 2 * 196;
            if from_us && is_advance && receipt["to"].as_str() == Some(&contract) {
                assert_eq!(receipt["status"], "0x1");
                let fee = |key: &str| {
                    u128::from_str_radix(call[key].as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
                };
                assert!(fee("maxFeePerGas") > fee("maxPriorityFeePerGas"), "room for the base fee: {call}");
                let used = receipt["gasUsed"].as_str().unwrap().strip_prefix("0x").unwrap();
                gas.push(u64::from_str_radix(used, 16).unwrap());
            }
        }
    }
    gas
}

#[tokio::test(flavor = "multi_thread")]
async fn deploys_once_and_registers_once() {
    let Some(anvil) = Anvil::start(2, &[]).await else { return };
    let world = World::new(&anvil).await;
    let signer = FileSigner::load(&world.folder.path().join("anchor.key"), None).unwrap();
    let again = |chain_id, contract| Deployment {
        endpoint: endpoint(&anvil.url()),
        signer: &signer,
        origin: ORIGIN.to_owned(),
        chain_id,
        contract: Some(contract),
    };
    let done = again(None, world.deployed.contract).run().await.unwrap();
    assert_eq!((done.deploy_gas, done.register_gas), (None, None));
    let wrong = again(Some(1), world.deployed.contract).run().await.unwrap_err();
    assert_eq!(wrong, DeployError::OtherChain { found: 31_337, wanted: 1 });
    let nobody = again(None, world.account).run().await.unwrap_err();
    assert!(matches!(nobody, DeployError::OtherCode { .. }), "{nobody}");
    anvil.call("anvil_setCode", json!([world.deployed.contract, "0x6001"])).await;
    // The change is in the state of the next block.
    anvil.call("anvil_mine", json!(["0x1"])).await;
    let other = again(None, world.deployed.contract).run().await.unwrap_err();
    assert!(matches!(other, DeployError::OtherCode { .. }), "{other}");
}

#[tokio::test(flavor = "multi_thread")]
async fn reorganisations_of_any_depth_below_finality_lose_and_repeat_nothing() {
    // Safe after 16 blocks, final after 32.
    let Some(anvil) = Anvil::start(16, &[]).await else { return };
    let world = World::new(&anvil).await;
    world.lane(&[anvil.url()], "");
    // What deployed the contract is final before anything is reorganised.
    anvil.call("anvil_mine", json!(["0x28"])).await;
    let app = world.start().await;
    for depth in [1, 5, 15] {
        world.says(&app, "ethereum ethereum mined").await;
        // Blocks without transactions: what was mined in them is gone, and back in nobody's pool.
        anvil.call("anvil_reorg", json!([depth, []])).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    world.one_more().await;
    app.drain(DRAIN).await.unwrap();
    world.verify(&anvil).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_so_young_that_its_first_block_is_the_final_one_is_anchored_to() {
    // Final after 128 blocks, 25 seconds: longer than a start takes anywhere.
    let Some(anvil) = Anvil::start(64, &[]).await else { return };
    let world = World::new(&anvil).await;
    world.lane(&[anvil.url()], "");
    let app = world.start().await;
    world.says(&app, "ethereum ethereum mined").await;
    let last = anvil.call("eth_getBlockByNumber", json!(["finalized", false])).await;
    let page = world.page(&app).await;
    assert!(last["number"] == "0x0" && !page.contains("ALARM") && !page.contains("last error"), "{page}");
    world.proved(1).await;
    app.drain(DRAIN).await.unwrap();
    world.verify(&anvil).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_young_chain_whose_node_names_no_final_block_is_anchored_to_and_an_old_one_is_not() {
    let Some(anvil) = Anvil::start(2, &[]).await else { return };
    let liar = Liar::start(anvil.address).await;
    let world = World::new(&anvil).await;
    world.lane(&[liar.url()], "");
    // What geth says until its beacon node has seen the first final block.
    liar.tell(Lie::Answer(|call, answer| {
        if let Some(tag @ ("safe" | "finalized")) = call["params"][0].as_str() {
            let error = json!({ "code": -32000, "message": format!("{tag} block not found") });
            *answer = json!({ "jsonrpc": "2.0", "id": call["id"], "error": error });
        }
    }));
    let app = world.start().await;
    world.says(&app, "ethereum ethereum mined").await;
    let page = world.page(&app).await;
    assert!(!page.contains("ALARM") && !page.contains("last error"), "{page}");
    anvil.call("anvil_mine", json!([format!("{YOUNG_BLOCKS:#x}")])).await;
    world.says(&app, "finalized block not found").await;
    assert_eq!(world.count(), 0, "nothing is final");
    liar.tell(Lie::Honest);
    world.proved(1).await;
    world.says_no_more(&app, "ALARM").await;
    app.drain(DRAIN).await.unwrap();
    world.verify(&anvil).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_sidecar_goes_on_where_it_was() {
    let Some(anvil) = Anvil::start(2, &[]).await else { return };
    let world = World::new(&anvil).await;
    world.lane(&[anvil.url()], "");
    let rounds: u64 = std::env::var("ANCHOR_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(6);
    for round in 0..rounds {
        let mut child = world.files.start();
        _ = world.files.client().await;
        // At another moment of a statement's way each time.
        tokio::time::sleep(Duration::from_millis(400 + 370 * (round % 8))).await;
        if round % 2 == 1 {
            anvil.call("anvil_reorg", json!([1, []])).await;
        }
        child.kill();
    }
    let before = world.count();
    let child = world.files.start();
    until("two more statements are proved", async || world.count() >= before + 2).await;
    let nonces = world.deployed.register_gas.map_or(1, |_| 2);
    drop(child);
    world.verify(&anvil).await;
    // Nonces: two were used to deploy and register; each statement takes one, whatever was killed.
    let used = anvil.number("eth_getTransactionCount", json!([world.account, "latest"])).await - nonces;
    let made = world.count();
    assert!((made..=made + 1).contains(&used), "{used} nonces for {made} statements");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_restarts_with_its_chain_is_waited_for_and_one_without_it_is_named() {
    let state = tempfile::tempdir().unwrap();
    let path = state.path().join("state.json").display().to_string();
    let Some(mut anvil) = Anvil::start(2, &["--state", &path, "--preserve-historical-states"]).await else {
        return;
    };
    let world = World::new(&anvil).await;
    world.lane(&[anvil.url()], "");
    let app = world.start().await;
    world.proved(1).await;
    anvil.stop();
    world.says(&app, "cannot be reached").await;
    anvil.start_again().await;
    world.one_more().await;
    world.says_no_more(&app, "ALARM").await;
    anvil.stop();
    std::fs::remove_file(&path).unwrap();
    anvil.start_again().await;
    world.says(&app, "the code at the contract's address is not AnchorHead's").await;
    let made = world.count();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(world.count(), made, "nothing is anchored on a chain without the contract");
    app.drain(DRAIN).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn fees_above_the_cap_are_waited_out_and_the_backlog_is_one_statement() {
    let Some(anvil) = Anvil::start(2, &[]).await else { return };
    let world = World::new(&anvil).await;
    world.lane(&[anvil.url()], "max_fee = \"3gwei\"\nmax_tip = \"1gwei\"\nbalance_alarm = 1");
    anvil.call("anvil_setNextBlockBaseFeePerGas", json!(["0xe8d4a51000"])).await;
    let app = world.start().await;
    world.says(&app, "more than the cap").await;
    assert_eq!(world.count(), 0);
    // The chain is empty, so the base fee falls by an eighth a block, from 1000 to below 3 gwei in 44 blocks.
    world.proved(1).await;
    world.says_no_more(&app, "more than the cap").await;
    app.drain(DRAIN).await.unwrap();
    world.verify(&anvil).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_account_is_an_alarm_until_it_is_funded() {
    let Some(anvil) = Anvil::start(2, &[]).await else { return };
    let world = World::new(&anvil).await;
    world.lane(&[anvil.url()], "");
    fund(&anvil, world.account, 0).await;
    let app = world.start().await;
    world.says(&app, "top it up").await;
    assert_eq!(world.count(), 0);
    fund(&anvil, world.account, 5).await;
    world.proved(1).await;
    world.says_no_more(&app, "ALARM").await;
    app.drain(DRAIN).await.unwrap();
    world.verify(&anvil).await;
}
