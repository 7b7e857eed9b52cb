//! One look at the chain, through endpoints that answer alike, differ, or lie: what a view says and when there is none.

use alloy_primitives::{Address, B256, Bytes, U256};
use ledgerstone::anchor::scheduler::{Block as BlockId, BlockHash, Broadcast, Capture};
use ledgerstone::hash::Hash;
use ledgerstone_sidecar::anchor::evm::capture::{CaptureError, Subject, capture};
use ledgerstone_sidecar::anchor::evm::key::FileSigner;
use ledgerstone_sidecar::anchor::evm::transaction::{self, Order};
use ledgerstone_sidecar::anchor::evm::view::{Chain, ChainView, Finality, ViewError};
use ledgerstone_sidecar::anchor::evm::{block, broadcast, proof};
use serde_json::{Value, json};

use crate::node::{Anvil, Liar, Lie};
use crate::world::{World, endpoint, until};

/// The chain as these endpoints show it.
fn chain(world: &World, urls: &[String], quorum: usize) -> Chain {
    Chain {
        endpoints: urls.iter().map(|url| endpoint(url)).collect(),
        quorum,
        finality: Finality::Finalized,
        contract: world.deployed.contract,
        log_id: world.deployed.log_id,
        account: world.account,
    }
}

/// A chain whose blocks are final after 32, with some final ones before the contract was deployed.
async fn aged() -> Option<(Anvil, World)> {
    let anvil = Anvil::start(16, &[]).await?;
    anvil.call("anvil_mine", json!(["0x40"])).await;
    let world = World::new(&anvil).await;
    Some((anvil, world))
}

/// The transaction that registered the log: the last one of the lane's account.
async fn registered(anvil: &Anvil, world: &World) -> B256 {
    for number in (0..=anvil.height().await).rev() {
        let receipts = anvil.call("eth_getBlockReceipts", json!([format!("{number:#x}")])).await;
        if let Some(receipt) = receipts.as_array().unwrap().last() {
            assert_eq!(receipt["from"], json!(world.account.to_string().to_lowercase()));
            return receipt["transactionHash"].as_str().unwrap().parse().unwrap();
        }
    }
    panic!("no transaction was mined")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_tells_newest_and_final_state_apart() {
    let Some((anvil, world)) = aged().await else { return };
    let seen = chain(&world, &[anvil.url()], 1).view(&[]).await.unwrap();
    assert!(0 < seen.finalized.number() && seen.finalized.number() < seen.latest.number());
    let [latest, _, finalized] = seen.contract;
    assert_eq!((latest.head.key, finalized.head.key), (world.account.into_array(), [0; 20]));
    assert!(
        latest.code_hash.is_some() && finalized.code_hash.is_none(),
        "it was deployed after the final block"
    );
    assert_eq!((seen.nonce, seen.nonce_finalized), (2, 0), "deployed and registered");
    let nobody = Chain { contract: Address::repeat_byte(7), ..chain(&world, &[anvil.url()], 1) };
    let [latest, ..] = nobody.view(&[]).await.unwrap().contract;
    assert_eq!((latest.code_hash, latest.head.key), (None, [0; 20]), "nothing is at that address");
    let counted =
        Chain { finality: Finality::Confirmations(3), ..chain(&world, &[anvil.url()], 1) }.view(&[]).await;
    let counted = counted.unwrap();
    assert_eq!(counted.latest.number() - counted.finalized.number(), 3);
    assert_eq!(counted.safe, counted.finalized);
}

fn in_receipt(call: &Value, answer: &mut Value, field: &str, lie: Value) {
    if call["method"] == "eth_getTransactionReceipt" {
        answer["result"][field] = lie;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_counts_where_every_endpoint_has_its_block() {
    let Some((anvil, world)) = aged().await else { return };
    let liar = Liar::start(anvil.address).await;
    let transaction = registered(&anvil, &world).await;
    let alone = chain(&world, &[liar.url()], 1);
    let both = chain(&world, &[anvil.url(), liar.url()], 2);
    let count = async |chain: &Chain| chain.view(&[transaction]).await.unwrap().receipts.len();
    assert_eq!((count(&alone).await, count(&both).await), (1, 1));
    let lies: [fn(&Value, &mut Value); 4] = [
        |call, answer| in_receipt(call, answer, "blockHash", json!(B256::repeat_byte(9))),
        |call, answer| in_receipt(call, answer, "blockNumber", json!("0xffffff")),
        |call, answer| in_receipt(call, answer, "transactionHash", json!(B256::repeat_byte(9))),
        |call, answer| {
            if call["method"] == "eth_getTransactionReceipt" {
                answer["result"] = Value::Null;
            }
        },
    ];
    for (number, lie) in lies.into_iter().enumerate() {
        liar.tell(Lie::Answer(lie));
        assert_eq!((count(&alone).await, count(&both).await), (0, 0), "change {number}");
    }
    liar.tell(Lie::Answer(|call, answer| in_receipt(call, answer, "status", json!("0x0"))));
    assert_eq!(count(&both).await, 0, "endpoints that differ on success");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_enough_endpoints_on_one_chain_there_is_no_view() {
    let Some((anvil, world)) = aged().await else { return };
    let (first, second) = (Liar::start(anvil.address).await, Liar::start(anvil.address).await);
    let all = chain(&world, &[anvil.url(), first.url(), second.url()], 2);
    let view = async || -> Result<ChainView, ViewError> { all.view(&[]).await };
    assert_eq!(view().await.unwrap().endpoints, 3);
    first.tell(Lie::Down);
    let two = view().await.unwrap();
    assert_eq!((two.endpoints, two.faults.len()), (2, 1));
    second.tell(Lie::Down);
    let error = view().await.unwrap_err();
    assert!(
        matches!(&error, ViewError::TooFew { answered: 1, quorum: 2, faults } if faults.len() == 2),
        "{error}"
    );
    assert!(!error.is_contradiction());
    second.tell(Lie::Answer(|call, answer| {
        if call["method"] == "eth_chainId" {
            answer["result"] = json!("0x1");
        }
    }));
    let error = view().await.unwrap_err();
    assert!(matches!(error, ViewError::Chains { .. }) && error.is_contradiction(), "{error}");
    // The newest block of this one is far below its final one.
    let alone = chain(&world, &[first.url()], 1);
    first.tell(Lie::Call(|call| {
        if call["params"][0] == "latest" && call["method"] == "eth_getBlockByNumber" {
            call["params"][0] = json!("0x1");
        }
    }));
    let error = alone.view(&[]).await.unwrap_err();
    assert!(matches!(error, ViewError::Order) && error.is_contradiction(), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_stopped_following_is_left_out_and_named() {
    let Some((anvil, world)) = aged().await else { return };
    let stale = Liar::start(anvil.address).await;
    stale.tell(Lie::Call(|call| {
        if call["method"] == "eth_getBlockByNumber" {
            call["params"][0] = json!("0x1");
        }
    }));
    let both = chain(&world, &[anvil.url(), stale.url()], 1);
    anvil.call("evm_increaseTime", json!([1000])).await;
    anvil.call("anvil_mine", json!(["0x1"])).await;
    let seen = both.view(&[]).await.unwrap();
    assert_eq!((seen.endpoints, seen.faults.len()), (1, 1));
    assert!(seen.faults[0].to_string().contains("does not follow the chain"), "{}", seen.faults[0]);
    assert!(seen.latest.number() > 64, "the view is the other's");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_endpoint_alone_cannot_drive_the_tip_up() {
    let Some((anvil, world)) = aged().await else { return };
    let liar = Liar::start(anvil.address).await;
    let both = chain(&world, &[anvil.url(), liar.url()], 2);
    let honest = both.view(&[]).await.unwrap().tip;
    liar.tell(Lie::Answer(|call, answer| {
        if call["method"] == "eth_maxPriorityFeePerGas" {
            answer["result"] = json!("0xde0b6b3a7640000");
        }
    }));
    assert_eq!(both.view(&[]).await.unwrap().tip, honest);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_is_not_there_has_nothing() {
    let Some((anvil, _)) = aged().await else { return };
    let liar = Liar::start(anvil.address).await;
    let asked = endpoint(&liar.url());
    let state = block::fetch(&asked, block::Wanted::Latest).await.unwrap().unwrap();
    let (nobody, slots) = (Address::repeat_byte(0x77), [B256::ZERO]);
    let found = proof::fetch(&asked, &state, nobody, &slots).await.unwrap();
    assert_eq!((found.nonce, found.balance), (0, U256::ZERO));
    let lies: [fn(&Value, &mut Value); 4] = [
        |_, answer| answer["result"]["nonce"] = json!("0x5"),
        |_, answer| answer["result"]["balance"] = json!("0x5"),
        |_, answer| answer["result"]["codeHash"] = json!(B256::repeat_byte(5)),
        |_, answer| answer["result"]["storageProof"] = json!([]),
    ];
    for (number, lie) in lies.into_iter().enumerate() {
        liar.tell(Lie::Answer(lie));
        let refused = proof::fetch(&asked, &state, nobody, &slots).await.unwrap_err();
        assert!(refused.to_string().contains("does not prove what it says"), "lie {number}: {refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_block_than_the_final_one_is_not_captured() {
    let Some((anvil, world)) = aged().await else { return };
    let seen = chain(&world, &[anvil.url()], 1).view(&[]).await.unwrap();
    let subject = Subject {
        chain_id: 31_337,
        contract: world.deployed.contract,
        first_key: world.account,
        log_id: world.deployed.log_id,
    };
    let captured = async |hash: [u8; 32]| {
        let block = BlockId { number: seen.latest.number(), hash: BlockHash::from_bytes(hash) };
        let wanted = Capture { seq: 1, statement: Hash::of(b"statement"), block, mined: None };
        capture(&[endpoint(&anvil.url())], &subject, &wanted).await
    };
    let bundle = captured(seen.latest.hash.0).await.unwrap().bundle;
    assert_eq!(bundle.headers, [seen.latest.raw.to_vec()]);
    let moved = captured([9; 32]).await.unwrap_err();
    assert!(matches!(moved, CaptureError::Moved { .. }), "{moved}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_one_endpoint_took_is_taken() {
    let Some((anvil, world)) = aged().await else { return };
    let dead = Liar::start(anvil.address).await;
    dead.tell(Lie::Down);
    let signer = FileSigner::load(&world.folder.path().join("anchor.key"), None).unwrap();
    let order = Order {
        chain_id: 31_337,
        nonce: 2,
        to: Some(world.account),
        input: Vec::new(),
        gas_limit: 21_000,
        max_fee_per_gas: 20_000_000_000,
        max_priority_fee_per_gas: 1_000_000_000,
    };
    let signed = transaction::sign(order, &signer).unwrap();
    let both = [endpoint(&dead.url()), endpoint(&anvil.url()), endpoint(&dead.url())];
    let sent = broadcast::send(&both, &signed.raw).await;
    assert_eq!((sent.outcome, sent.failures.len()), (Broadcast::Taken, 2));
    let nobody = broadcast::send(&both[..1], &signed.raw).await;
    assert_eq!((nobody.outcome, nobody.failures.len()), (Broadcast::Unreachable, 1));
    until("it is mined", async || {
        !anvil.call("eth_getTransactionReceipt", json!([signed.hash])).await.is_null()
    })
    .await;
    assert_eq!(broadcast::send(&both, &signed.raw).await.outcome, Broadcast::NonceTooLow);
    let nonsense = broadcast::send(&both, &Bytes::from_static(b"\x02\xc0")).await;
    assert_eq!(nonsense.outcome, Broadcast::Refused);
}
