//! Ethereum's own data: a mainnet block with its proofs and receipts, mainnet's light client updates, and the light client
//! vectors of the consensus specifications.
//!
//! Danger: the tries, headers and updates that the library reads are its own idea of Ethereum. End: the block's hash, its
//! receipts root, both accounts and every update come out as the chain has them, and not one changed byte does.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros,
    unreachable_pub,
    missing_docs,
    reason = "tests fail by panicking, and may read the environment, start programs and print"
)]

#[path = "support/ethereum.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod ethereum;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use ethereum::{Trie, index_key, list};
use ledgerstone::anchor::evm::beacon::{
    self, BeaconError, Chain, ForkAt, JsonError, MAINNET, MINIMAL, PinnedCommittee, SyncCommittee, Update,
    UpdateError, bootstrap_from_json, update_from_json, updates_from_json, verify_update,
};
use ledgerstone::anchor::evm::{BeaconFork, BeaconPart, BlockHeader, ForkBytes, Word, keccak256, rlp, trie};
use ledgerstone::encoding::{hex_decode, hex_encode};
use ledgerstone::limits::{BEACON_JSON_BYTES_MAX, EVM_BEACON_UPDATES_MAX};
use serde_json::Value;

/// The folder of outside vectors, or a printed line that says what is left out without it.
fn vectors(below: &str, cases: &str) -> Option<PathBuf> {
    let ci = std::env::var_os("CI").is_some_and(|ci| ci == "true");
    match std::env::var_os("LEDGERSTONE_VECTORS").map(|dir| PathBuf::from(dir).join(below)) {
        Some(path) if path.exists() => Some(path),
        _ if ci => panic!("LEDGERSTONE_VECTORS has no {below}: under CI=true the vectors must be there"),
        _ => {
            println!("skipped: LEDGERSTONE_VECTORS has no {below}, which leaves out {cases} cases");
            None
        }
    }
}

fn json(path: PathBuf) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// Bytes of `0x` and hex; a number of an odd count of digits is filled up.
fn bytes(value: &Value) -> Vec<u8> {
    let digits = value.as_str().unwrap().strip_prefix("0x").unwrap();
    let digits = if digits.len() % 2 == 1 { format!("0{digits}") } else { digits.to_owned() };
    hex_decode(&digits).unwrap()
}

fn word(value: &Value) -> Word {
    bytes(value).try_into().unwrap()
}

fn nodes(value: &Value) -> Vec<Vec<u8>> {
    value.as_array().unwrap().iter().map(bytes).collect()
}

/// Appends a number: its bytes without leading zeros.
fn write_number(out: &mut Vec<u8>, number: &[u8]) {
    let start = number.iter().take_while(|byte| **byte == 0).count();
    rlp::write_bytes(out, &number[start..]);
}

/// The header's RLP out of the answer of `eth_getBlockByHash`.
fn header_of(block: &Value) -> Vec<u8> {
    let mut items = Vec::new();
    for (name, is_number) in [
        ("parentHash", false),
        ("sha3Uncles", false),
        ("miner", false),
        ("stateRoot", false),
        ("transactionsRoot", false),
        ("receiptsRoot", false),
        ("logsBloom", false),
        ("difficulty", true),
        ("number", true),
        ("gasLimit", true),
        ("gasUsed", true),
        ("timestamp", true),
        ("extraData", false),
        ("mixHash", false),
        ("nonce", false),
        ("baseFeePerGas", true),
        ("withdrawalsRoot", false),
        ("blobGasUsed", true),
        ("excessBlobGas", true),
        ("parentBeaconBlockRoot", false),
    ] {
        match is_number {
            true => write_number(&mut items, &bytes(&block[name])),
            false => rlp::write_bytes(&mut items, &bytes(&block[name])),
        }
    }
    list(&items)
}

/// A receipt as the trie holds it.
fn receipt_of(receipt: &Value) -> Vec<u8> {
    let mut items = Vec::new();
    write_number(&mut items, &bytes(&receipt["status"]));
    write_number(&mut items, &bytes(&receipt["cumulativeGasUsed"]));
    rlp::write_bytes(&mut items, &bytes(&receipt["logsBloom"]));
    let mut logs = Vec::new();
    for log in receipt["logs"].as_array().unwrap() {
        let (mut fields, mut topics) = (Vec::new(), Vec::new());
        rlp::write_bytes(&mut fields, &bytes(&log["address"]));
        nodes(&log["topics"]).iter().for_each(|topic| rlp::write_bytes(&mut topics, topic));
        fields.extend(list(&topics));
        rlp::write_bytes(&mut fields, &bytes(&log["data"]));
        logs.extend(list(&fields));
    }
    items.extend(list(&logs));
    match bytes(&receipt["type"])[0] {
        0 => list(&items),
        kind => [&[kind], list(&items).as_slice()].concat(),
    }
}

#[test]
fn a_mainnet_blocks_hash_comes_out_of_its_header() {
    let Some(folder) = vectors("ethereum/rpc", "1") else { return };
    let block = json(folder.join("block.json"));
    let encoded = header_of(&block);
    let header = BlockHeader::decode(&encoded).unwrap();
    assert_eq!(header.hash, word(&block["hash"]));
    assert_eq!(header.parent_hash, word(&block["parentHash"]));
    assert_eq!(header.state_root, word(&block["stateRoot"]));
    assert_eq!(header.receipts_root, word(&block["receiptsRoot"]));
    assert_eq!((header.number, header.timestamp), (0x14e_8d38, 0x67be_0db3));
    for at in 0..encoded.len() {
        let mut changed = encoded.clone();
        changed[at] ^= 1;
        assert!(!BlockHeader::decode(&changed).is_ok_and(|h| h.hash == header.hash), "byte {at}");
    }
}

#[test]
fn mainnet_accounts_and_a_slot_verify_against_the_blocks_state() {
    let Some(folder) = vectors("ethereum/rpc", "2") else { return };
    let root = word(&json(folder.join("block.json"))["stateRoot"]);
    for name in ["proof.json", "block_miner_proof.json"] {
        let proof = json(folder.join(name));
        let mut account = Vec::new();
        write_number(&mut account, &bytes(&proof["nonce"]));
        write_number(&mut account, &bytes(&proof["balance"]));
        rlp::write_bytes(&mut account, &bytes(&proof["storageHash"]));
        rlp::write_bytes(&mut account, &bytes(&proof["codeHash"]));
        let key = keccak256(&bytes(&proof["address"]));
        shown(&root, &key, &nodes(&proof["accountProof"]), &list(&account));
        for slot in proof["storageProof"].as_array().unwrap() {
            let mut value = Vec::new();
            write_number(&mut value, &bytes(&slot["value"]));
            let root = word(&proof["storageHash"]);
            shown(&root, &keccak256(&bytes(&slot["key"])), &nodes(&slot["proof"]), &value);
        }
    }
}

/// The proof shows the value, and with any byte changed it does not.
fn shown(root: &Word, key: &[u8], proof: &[Vec<u8>], value: &[u8]) {
    assert_eq!(trie::lookup(root, key, proof), Ok(Some(value)));
    for node in 0..proof.len() {
        for at in 0..proof[node].len() {
            let mut changed = proof.to_vec();
            changed[node][at] ^= 1 << (at % 8);
            assert!(trie::lookup(root, key, &changed).is_err(), "node {node} byte {at}");
        }
        let mut without = proof.to_vec();
        without.remove(node);
        assert!(trie::lookup(root, key, &without).is_err(), "without node {node}");
    }
    let mut other = key.to_vec();
    *other.last_mut().unwrap() ^= 1;
    assert_ne!(trie::lookup(root, &other, proof), Ok(Some(value)));
}

#[test]
fn two_hundred_mainnet_receipts_give_the_blocks_receipts_root() {
    let Some(folder) = vectors("ethereum/rpc", "202") else { return };
    let root = word(&json(folder.join("block.json"))["receiptsRoot"]);
    let receipts = json(folder.join("receipts.json"));
    let receipts: Vec<Vec<u8>> = receipts.as_array().unwrap().iter().map(receipt_of).collect();
    let pairs = receipts.iter().enumerate().map(|(n, receipt)| (index_key(n as u64), receipt.clone()));
    let tree = Trie::new(pairs);
    assert_eq!(tree.root(), root);
    for (n, receipt) in receipts.iter().enumerate().step_by(7) {
        let key = index_key(n as u64);
        assert_eq!(trie::lookup(&root, &key, &tree.proof(&key)), Ok(Some(receipt.as_slice())));
    }
    let absent = index_key(receipts.len() as u64);
    assert_eq!(trie::lookup(&root, &absent, &tree.proof(&absent)), Ok(None));
}

#[test]
fn mainnet_updates_lead_from_a_bootstrap_to_the_finalized_block() {
    let Some(folder) = vectors("ethereum/beacon", "8") else { return };
    let chain = Chain::mainnet();
    let bootstrap = bootstrap_from_json(&fs::read(folder.join("bootstrap.json")).unwrap(), &MAINNET).unwrap();
    let root = bootstrap.header.beacon.root();
    let pinned = PinnedCommittee::from_bootstrap(&chain, &bootstrap, &root).unwrap();
    assert_eq!(pinned.period, 7_069_376 / 8192);
    let stranger = PinnedCommittee::from_bootstrap(&chain, &bootstrap, &[1; 32]);
    assert_eq!(stranger, Err(BeaconError::Bootstrap));

    let updates = updates_from_json(&fs::read(folder.join("updates.json")).unwrap(), &MAINNET).unwrap();
    let finality = update_from_json(&fs::read(folder.join("finality.json")).unwrap(), &MAINNET).unwrap();
    let last = chain.period(finality.signature_slot);
    let pack = |update: &Update| {
        let update = update.clone().with_earliest_signature_slot(&chain);
        ForkBytes { fork: update.fork, ssz: update.encode() }
    };
    let part = BeaconPart {
        committee: bootstrap.current_sync_committee.encode(),
        updates: updates
            .iter()
            .filter(|update| chain.period(update.signature_slot) < last)
            .map(pack)
            .collect(),
        finality: pack(&finality),
    };
    let trust = beacon::Trust { chain: chain.clone(), committees: vec![pinned] };
    let finalized = beacon::verify_part(&part, &trust).unwrap();
    assert_eq!((finalized.slot, finalized.period), (7_109_344, last));
    assert!(finalized.participants * 100 > 512 * 90);
    assert_eq!(finalized.learned.len(), part.updates.len());
    execution_block_is_the_finalized_one(&folder, &finalized.block_hash);

    for (at, ssz) in [(0, 100), (0, 24_624), (1, 30_000), (1, 9)] {
        let mut changed = part.clone();
        let list = if at == 0 { &mut changed.committee } else { &mut changed.updates[1].ssz };
        let at = ssz % list.len();
        list[at] ^= 1;
        assert!(beacon::verify_part(&changed, &trust).is_err());
    }
    let mut gap = part.clone();
    gap.updates.remove(1);
    assert!(matches!(beacon::verify_part(&gap, &trust), Err(BeaconError::Period { .. })));
    let sepolia = beacon::Trust { chain: Chain { genesis_validators_root: [0; 32], ..chain }, ..trust };
    let verdict = beacon::verify_part(&part, &sepolia);
    assert_eq!(verdict, Err(BeaconError::Update(UpdateError::Signature)));
}

#[test]
fn light_client_data_with_lists_of_another_length_is_refused() {
    let Some(folder) = vectors("ethereum/beacon", "6") else { return };
    let bootstrap = |change: fn(&mut Value)| {
        let mut changed = json(folder.join("bootstrap.json"));
        change(&mut changed["data"]);
        bootstrap_from_json(changed.to_string().as_bytes(), &MAINNET).map(drop)
    };
    let count = |field, found, expected| Err(JsonError::Count { field, found, expected });
    assert_eq!(bootstrap(|_| {}), Ok(()));
    let keys = bootstrap(|data| _ = list_of(&mut data["current_sync_committee"]["pubkeys"]).pop());
    assert_eq!(keys, count("pubkeys", 511, 512));
    let branch = bootstrap(|data| _ = list_of(&mut data["current_sync_committee_branch"]).pop());
    assert!(
        matches!(branch, Err(JsonError::Count { field: "current_sync_committee_branch", .. })),
        "{branch:?}"
    );
    let longer = bootstrap(|data| list_of(&mut data["header"]["execution_branch"]).push(Value::Null));
    assert_eq!(longer, count("execution_branch", 5, 4));

    let mut finality = json(folder.join("finality.json"));
    assert!(update_from_json(finality.to_string().as_bytes(), &MAINNET).is_ok());
    finality["data"]["sync_aggregate"]["sync_committee_bits"] = Value::from(format!("0x{}", "ff".repeat(65)));
    let bits = update_from_json(finality.to_string().as_bytes(), &MAINNET).map(drop);
    assert_eq!(bits, Err(JsonError::Field("sync_committee_bits")));

    // More than a bundle holds are refused by their number, before any is read.
    let many = Value::from(vec![Value::Null; EVM_BEACON_UPDATES_MAX + 1]);
    let many = updates_from_json(many.to_string().as_bytes(), &MAINNET).map(drop);
    assert_eq!(many, count("updates", EVM_BEACON_UPDATES_MAX + 1, EVM_BEACON_UPDATES_MAX));
    let mut long = fs::read(folder.join("finality.json")).unwrap();
    long.resize(BEACON_JSON_BYTES_MAX + 1, b' ');
    assert_eq!(update_from_json(&long, &MAINNET).map(drop), Err(JsonError::TooLong));
    assert!(update_from_json(&long[..BEACON_JSON_BYTES_MAX], &MAINNET).is_ok(), "spaces are no harm");
}

fn list_of(value: &mut Value) -> &mut Vec<Value> {
    value.as_array_mut().unwrap()
}

/// The header's RLP, made from the payload of the beacon block, has the hash that the light client finalized.
fn execution_block_is_the_finalized_one(folder: &Path, block_hash: &Word) {
    let block = json(folder.join("blocks/7109344.json"));
    let payload = &block["data"]["body"]["execution_payload"];
    let payload =
        if payload.is_null() { &block["data"]["message"]["body"]["execution_payload"] } else { payload };
    let uint = |value: &Value| value.as_str().unwrap().parse::<u64>().unwrap();
    let transactions = payload["transactions"].as_array().unwrap().iter().map(bytes);
    let withdrawals = payload["withdrawals"].as_array().unwrap().iter().map(|withdrawal| {
        let mut items = Vec::new();
        rlp::write_uint(&mut items, uint(&withdrawal["index"]));
        rlp::write_uint(&mut items, uint(&withdrawal["validator_index"]));
        rlp::write_bytes(&mut items, &bytes(&withdrawal["address"]));
        rlp::write_uint(&mut items, uint(&withdrawal["amount"]));
        list(&items)
    });
    let root = |items: &mut dyn Iterator<Item = Vec<u8>>| {
        Trie::new(items.enumerate().map(|(n, item)| (index_key(n as u64), item))).root()
    };
    let mut items = Vec::new();
    rlp::write_bytes(&mut items, &bytes(&payload["parent_hash"]));
    rlp::write_bytes(&mut items, &keccak256(&[0xc0]));
    rlp::write_bytes(&mut items, &bytes(&payload["fee_recipient"]));
    rlp::write_bytes(&mut items, &bytes(&payload["state_root"]));
    rlp::write_bytes(&mut items, &root(&mut transactions.into_iter()));
    rlp::write_bytes(&mut items, &bytes(&payload["receipts_root"]));
    rlp::write_bytes(&mut items, &bytes(&payload["logs_bloom"]));
    rlp::write_uint(&mut items, 0);
    for name in ["block_number", "gas_limit", "gas_used", "timestamp"] {
        rlp::write_uint(&mut items, uint(&payload[name]));
    }
    rlp::write_bytes(&mut items, &bytes(&payload["extra_data"]));
    rlp::write_bytes(&mut items, &bytes(&payload["prev_randao"]));
    rlp::write_bytes(&mut items, &[0; 8]);
    rlp::write_uint(&mut items, uint(&payload["base_fee_per_gas"]));
    rlp::write_bytes(&mut items, &root(&mut withdrawals.into_iter()));
    assert_eq!(hex_encode(&BlockHeader::decode(&list(&items)).unwrap().hash), hex_encode(block_hash));
}

/// Undoes Snappy's block format (snappy/format_description.txt).
fn unsnap(input: &[u8]) -> Vec<u8> {
    let (mut at, mut length, mut shift) = (0, 0_usize, 0);
    loop {
        let byte = input[at];
        at += 1;
        length |= usize::from(byte & 0x7f) << shift;
        shift += 7;
        if byte < 0x80 {
            break;
        }
    }
    let number = |from: usize, width: usize| {
        input[from..from + width].iter().rev().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte))
    };
    let mut out = Vec::with_capacity(length);
    while at < input.len() {
        let tag = usize::from(input[at]);
        at += 1;
        let (count, distance) = match tag & 3 {
            0 => {
                let width = (tag >> 2).saturating_sub(59);
                let count = if width == 0 { tag >> 2 } else { number(at, width) } + 1;
                out.extend(&input[at + width..at + width + count]);
                at += width + count;
                continue;
            }
            1 => (((tag >> 2) & 7) + 4, (tag >> 5) << 8 | number(at, 1)),
            2 => ((tag >> 2) + 1, number(at, 2)),
            _ => ((tag >> 2) + 1, number(at, 4)),
        };
        at += [0, 1, 2, 4][tag & 3];
        (0..count).for_each(|_| out.push(out[out.len() - distance]));
    }
    assert_eq!(out.len(), length);
    out
}

fn after<'a>(text: &'a str, mark: &str) -> Option<&'a str> {
    let rest = &text[text.find(mark)? + mark.len()..];
    Some(rest[..rest.find([',', '}', '\n']).unwrap_or(rest.len())].trim_matches([' ', '\'']))
}

/// The header that a step's `checks` name: slot, beacon root, execution root.
fn checked(step: &str, name: &str) -> (u64, String, String) {
    let part = &step[step.find(name).unwrap()..];
    let text = |mark| after(part, mark).unwrap().trim_start_matches("0x").to_owned();
    (text("slot: ").parse().unwrap(), text("beacon_root: "), text("execution_root: "))
}

#[test]
fn the_consensus_specifications_light_client_vectors_have_their_verdicts() {
    let Some(folder) = vectors("ethereum/deneb", "14") else { return };
    let (mut updates, mut final_headers) = (0, 0);
    let mut names: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    for case in names {
        let text = |name: &str| fs::read_to_string(case.join(name)).unwrap();
        let meta = text("meta.yaml");
        let hash = |mark| Word::try_from(hex_decode(&after(&meta, mark).unwrap()[2..]).unwrap()).unwrap();
        let version = |name: &str| {
            let hex =
                after(&text("config.yaml"), &format!("\n{name}_FORK_VERSION: ")).unwrap()[2..].to_owned();
            <[u8; 4]>::try_from(hex_decode(&hex).unwrap()).unwrap()
        };
        let fork = |name, fork| ForkAt { epoch: 0, version: version(name), fork: Some(fork) };
        let chain = Chain {
            preset: MINIMAL,
            genesis_validators_root: hash("genesis_validators_root: "),
            forks: vec![fork("CAPELLA", BeaconFork::Capella), fork("DENEB", BeaconFork::Deneb)],
        };
        let bootstrap = unsnap(&fs::read(case.join("bootstrap.ssz_snappy")).unwrap());
        let bootstrap = beacon::Bootstrap::decode(&bootstrap, BeaconFork::Deneb, &MINIMAL).unwrap();
        let trusted = hash("trusted_block_root: ");
        let first = PinnedCommittee::from_bootstrap(&chain, &bootstrap, &trusted).unwrap();
        let mut committees: BTreeMap<u64, SyncCommittee> =
            BTreeMap::from([(first.period, bootstrap.current_sync_committee)]);
        for step in text("steps.yaml").split("\n- ").filter(|step| step.contains("process_update")) {
            let name = format!("{}.ssz_snappy", after(step, "update: update_").unwrap());
            let ssz = unsnap(&fs::read(case.join(format!("update_{name}"))).unwrap());
            let update = Update::decode(&ssz, BeaconFork::Deneb, &MINIMAL).unwrap();
            assert_eq!(update.encode(), ssz, "{name}");
            let committee = &committees[&chain.period(update.signature_slot)];
            let verified = verify_update(&chain, committee, &update).unwrap();
            updates += 1;
            final_headers += u64::from(agrees(step, &update, &verified, &name));
            no_other_bytes_verify(&chain, committee, &ssz, &update);
            if let (Some((next, _)), Some(root)) = (&update.next, verified.next_committee_root) {
                assert_eq!(next.root(), root);
                committees.insert(chain.period(verified.attested.slot) + 1, next.clone());
            }
        }
    }
    assert_eq!(updates, 14);
    assert_eq!(final_headers, 9);
}

/// The update's headers are those of the step; true where ours is the one that the step finds final.
///
/// The specification also counts an attested header as final once a client was forced to go on; ours never does, so then
/// the step's is the later one.
fn agrees(step: &str, update: &Update, verified: &beacon::Verified, name: &str) -> bool {
    let roots = |header: &beacon::Header| {
        let execution = header.execution.root(BeaconFork::Deneb).unwrap();
        (header.beacon.slot, hex_encode(&header.beacon.root()), hex_encode(&execution))
    };
    let (attested, optimistic) = (roots(&update.attested), checked(step, "optimistic_header"));
    assert!(attested.0 < optimistic.0 || attested == optimistic, "{name}");
    let is_enough = verified.participants * 3 >= 32 * 2;
    let Some(header) = verified.finalized.as_ref().filter(|_| is_enough) else { return false };
    let (ours, theirs) = (roots(header), checked(step, "finalized_header"));
    assert!(ours.0 < theirs.0 || ours == theirs, "{name}: {ours:?}, {theirs:?}");
    ours == theirs
}

fn no_other_bytes_verify(chain: &Chain, committee: &SyncCommittee, ssz: &[u8], update: &Update) {
    // No signature covers the signature slot, in the specification neither; bundles hold the earliest one only.
    let slot = ssz.windows(8).rposition(|bytes| bytes == update.signature_slot.to_le_bytes()).unwrap();
    for at in (0..ssz.len()).filter(|at| !(slot..slot + 8).contains(at)) {
        let mut changed = ssz.to_vec();
        changed[at] ^= 1 << (at % 8);
        let verdict = Update::decode(&changed, BeaconFork::Deneb, &MINIMAL)
            .map(|u| verify_update(chain, committee, &u));
        assert!(!matches!(verdict, Ok(Ok(_))), "byte {at} of {}", ssz.len());
    }
}
