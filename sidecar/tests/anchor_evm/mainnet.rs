//! A block of Ethereum mainnet, its receipts and a proof of the deposit contract, as a node gave them.

use std::path::PathBuf;

use alloy_primitives::{Address, B256, U256};
use ledgerstone::anchor::evm::rlp;
use ledgerstone_sidecar::anchor::evm::block::{self, Wanted};
use ledgerstone_sidecar::anchor::evm::proof;
use ledgerstone_sidecar::anchor::evm::receipts::{self, ReceiptError};
use serde_json::{Value, json};

use crate::node::canned;
use crate::world::endpoint;

const NUMBER: u64 = 0x014e_8d38;

/// The files `block.json`, `receipts.json` and `proof.json`.
fn files() -> Option<[Value; 3]> {
    let ci = std::env::var_os("CI").is_some_and(|ci| ci == "true");
    match std::env::var_os("LEDGERSTONE_VECTORS").map(|dir| PathBuf::from(dir).join("ethereum/rpc")) {
        Some(folder) if folder.exists() => {
            let read = |name| serde_json::from_slice(&std::fs::read(folder.join(name)).unwrap()).unwrap();
            Some(["block.json", "receipts.json", "proof.json"].map(read))
        }
        _ if ci => panic!("LEDGERSTONE_VECTORS has no ethereum/rpc: under CI=true the vectors must be there"),
        _ => {
            println!("skipped: LEDGERSTONE_VECTORS has no ethereum/rpc, which leaves out 3 cases");
            None
        }
    }
}

#[tokio::test]
async fn a_block_of_mainnet_hashes_to_its_hash_and_its_receipts_to_its_root() {
    let Some([block, receipts, _]) = files() else { return };
    let node =
        canned(vec![("eth_getBlockByNumber", block.clone()), ("eth_getBlockReceipts", receipts.clone())])
            .await;
    let endpoint = endpoint(&format!("http://{node}"));
    let found = block::fetch(&endpoint, Wanted::Number(NUMBER)).await.unwrap().unwrap();
    assert_eq!(json!(found.hash), block["hash"]);
    assert_eq!(block::parse(found.raw.clone()), Some(found.clone()));
    assert!(
        block::fetch(&endpoint, Wanted::Number(NUMBER + 1)).await.is_err(),
        "another height was asked for"
    );
    let hashes: Vec<B256> = receipts
        .as_array()
        .unwrap()
        .iter()
        .map(|receipt| receipt["transactionHash"].as_str().unwrap().parse().unwrap())
        .collect();
    assert_eq!(hashes.len(), 202);
    for place in [0, 1, 126, 127, 128, 201] {
        let proof = receipts::prove(&endpoint, &found, &hashes[place]).await.unwrap();
        assert_eq!(proof.index, place as u64);
        let nodes: Vec<Vec<u8>> = proof.nodes.iter().map(|node| node.to_vec()).collect();
        let key = alloy_rlp::encode(place);
        let value = ledgerstone::anchor::evm::trie::lookup(&found.header.receipts_root.0, &key, &nodes);
        assert_eq!(value.unwrap(), Some(proof.receipt.as_ref()), "the library reads the same receipt");
    }
    let strange = receipts::prove(&endpoint, &found, &B256::ZERO).await.unwrap_err();
    assert!(matches!(strange, ReceiptError::Missing { .. }), "{strange}");
}

#[tokio::test]
async fn a_header_with_fields_that_nobody_knows_is_taken_as_the_bytes_that_are_hashed() {
    let Some([block, ..]) = files() else { return };
    let node = canned(vec![("eth_getBlockByNumber", block.clone())]).await;
    let known = block::fetch(&endpoint(&format!("http://{node}")), Wanted::Latest).await.unwrap().unwrap();
    // A field more at the end, of which the description says nothing.
    let items = alloy_rlp::encode(&known.header).split_off(3);
    let items = [items, vec![0x07]].concat();
    let mut raw = Vec::new();
    rlp::write_list(&mut raw, &items);
    let hash = alloy_primitives::keccak256(&raw);
    let mut described = block;
    described["hash"] = json!(hash);
    let found = async |described: &Value, raw: &[u8]| {
        let raw = json!(alloy_primitives::Bytes::copy_from_slice(raw));
        let answers = vec![("eth_getBlockByNumber", described.clone()), ("debug_getRawHeader", raw)];
        block::fetch(&endpoint(&format!("http://{}", canned(answers).await)), Wanted::Latest).await
    };
    let whole = found(&described, &raw).await.unwrap().unwrap();
    assert_eq!((whole.hash, whole.raw.to_vec()), (hash, raw));
    assert_eq!((whole.number(), whole.header.state_root), (known.number(), known.header.state_root));
    assert_eq!(whole.header.base_fee_per_gas, known.header.base_fee_per_gas);
    let other = found(&described, &known.raw).await.unwrap_err();
    assert!(other.to_string().contains("does not hash to the block's hash"), "{other}");
}

#[tokio::test]
async fn every_change_of_a_header_or_a_receipt_is_found() {
    let Some([block, receipts, _]) = files() else { return };
    let good = canned(vec![("eth_getBlockByNumber", block.clone())]).await;
    let found =
        block::fetch(&endpoint(&format!("http://{good}")), Wanted::Number(NUMBER)).await.unwrap().unwrap();
    for field in
        ["parentHash", "stateRoot", "receiptsRoot", "timestamp", "extraData", "hash", "parentBeaconBlockRoot"]
    {
        let mut other = block.clone();
        let text = other[field].as_str().unwrap().to_owned();
        let last = if text.ends_with('0') { "1" } else { "0" };
        other[field] = json!(format!("{}{last}", &text[..text.len() - 1]));
        let node = canned(vec![("eth_getBlockByNumber", other)]).await;
        let refused = block::fetch(&endpoint(&format!("http://{node}")), Wanted::Latest).await;
        assert!(refused.is_err(), "{field}");
    }
    let hash: B256 = receipts[5]["transactionHash"].as_str().unwrap().parse().unwrap();
    let changes: [fn(&mut Value); 5] = [
        |receipts| receipts[0]["status"] = json!("0x0"),
        |receipts| receipts[201]["cumulativeGasUsed"] = json!("0x1"),
        |receipts| _ = receipts.as_array_mut().unwrap().pop(),
        |receipts| receipts.as_array_mut().unwrap().swap(0, 1),
        |receipts| receipts[7]["logs"] = json!([]),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut other = receipts.clone();
        change(&mut other);
        let node = canned(vec![("eth_getBlockReceipts", other)]).await;
        let refused = receipts::prove(&endpoint(&format!("http://{node}")), &found, &hash).await.unwrap_err();
        assert!(matches!(refused, ReceiptError::OtherRoot { .. }), "change {number}: {refused}");
    }
}

#[tokio::test]
async fn a_proof_of_a_contract_of_mainnet_holds_and_every_change_of_it_does_not() {
    let Some([block, _, answer]) = files() else { return };
    let node = canned(vec![("eth_getBlockByNumber", block), ("eth_getProof", answer.clone())]).await;
    let endpoint = endpoint(&format!("http://{node}"));
    let block = block::fetch(&endpoint, Wanted::Latest).await.unwrap().unwrap();
    let address: Address = answer["address"].as_str().unwrap().parse().unwrap();
    let slots: Vec<B256> = answer["storageProof"]
        .as_array()
        .unwrap()
        .iter()
        .map(|slot| B256::from(slot["key"].as_str().unwrap().parse::<U256>().unwrap()))
        .collect();
    println!("{} slots", slots.len());
    let good = proof::fetch(&endpoint, &block, address, &slots).await.unwrap();
    let root = block.header.state_root;
    assert!(proof::verify(&good, root, address, &slots));
    assert!(!proof::verify(&good, B256::ZERO, address, &slots));
    assert!(!proof::verify(&good, root, Address::ZERO, &slots));
    let changes: [fn(&mut proof::Proof); 7] = [
        |proof| _ = proof.storage_proof.pop(),
        |proof| proof.nonce += 1,
        |proof| proof.balance += U256::from(1),
        |proof| proof.code_hash.0[0] ^= 1,
        |proof| proof.storage_hash.0[0] ^= 1,
        |proof| _ = proof.account_proof.pop(),
        |proof| proof.account_proof.reverse(),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut other = good.clone();
        change(&mut other);
        assert!(!proof::verify(&other, root, address, &slots), "change {number}");
    }
    for place in 0..slots.len() {
        let mut other = good.clone();
        other.storage_proof[place].value += U256::from(1);
        assert!(!proof::verify(&other, root, address, &slots), "slot {place}");
    }
}

/// xorshift64*: which byte becomes what.
fn next(state: &mut u64) -> usize {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize
}

#[test]
fn answers_with_bytes_changed_cut_and_doubled_never_panic() {
    let Some([block, receipts, answer]) = files() else { return };
    let mut seed = 0x1234_5678_9abc_def0;
    let texts = [block.to_string(), receipts[0].to_string(), receipts[7].to_string(), answer.to_string()];
    let mut read = 0;
    for _ in 0..4_000 {
        let mut bytes = texts[next(&mut seed) % texts.len()].clone().into_bytes();
        for _ in 0..=next(&mut seed) % 4 {
            let (at, with) = (next(&mut seed) % bytes.len(), b"0x9f\"{}[],:-.e"[next(&mut seed) % 14]);
            match next(&mut seed) % 4 {
                0 => bytes.truncate(at.max(1)),
                1 => bytes.insert(at, with),
                _ => bytes[at] = with,
            }
        }
        if let Ok(receipt) = serde_json::from_slice::<receipts::Receipt>(&bytes) {
            let (root, nodes) = receipts::index_trie(&[receipt.encode()], 0);
            assert!(!nodes.is_empty() && root != B256::ZERO);
            read += 1;
        }
        if let Ok(found) = serde_json::from_slice::<proof::Proof>(&bytes) {
            assert!(!proof::verify(&found, B256::repeat_byte(1), Address::ZERO, &[B256::ZERO]));
            read += 1;
        }
        if let Some(header) = block::parse(bytes.into()) {
            panic!("JSON is no header: {header:?}");
        }
    }
    assert!(read > 150, "only {read} changed answers were read at all");
}
