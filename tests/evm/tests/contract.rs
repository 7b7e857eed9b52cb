//! Scenario: the committed bytecode runs in an EVM, as a chain would run it. Danger: the contract lets somebody else, a
//! stolen key or a second statement move or fork a log's head, or keeps it where state proofs are not looked for. End:
//! every wrong call is reverted and moves nothing, a key changes only with the old one's word and after its delay, and
//! the storage that the calls leave verifies as a bundle.

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

#[path = "../../support/ethereum.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod ethereum;

use ethereum::{Block, Trie, account};
use ledgerstone::anchor::evm::{
    ABI_JSON, Advance, KEY_DELAY_SECONDS, LogId, StoredHead, Trust, accept_key_call, advanced_topic,
    code_hash, heads_call, init_code, keccak256, propose_key_call, register_call, verify,
};
use ledgerstone::hash::Hash;
use revm::context::result::{ExecutionResult, Output};
use revm::context::{CfgEnv, TxEnv};
use revm::database::{CacheDB, EmptyDB};
use revm::primitives::hardfork::SpecId;
use revm::primitives::{Address, Bytes, Log, TxKind, U256};
use revm::{Context, DatabaseRef, ExecuteCommitEvm, MainBuilder, MainContext};
use serde_json::Value;

const ORIGIN: &str = ethereum::ORIGIN;
const FIRST: [u8; 20] = [0xa1; 20];
const SECOND: [u8; 20] = [0xb2; 20];
const THIEF: [u8; 20] = [0xee; 20];
const START: u64 = 1_795_000_000;

/// An EVM with the contract in it.
struct Evm {
    db: CacheDB<EmptyDB>,
    spec: SpecId,
    now: u64,
    contract: Address,
}

/// What a transaction came to.
struct Sent {
    gas: u64,
    logs: Vec<Log>,
    /// The error's selector, where it was reverted.
    reverted: Option<[u8; 4]>,
    output: Vec<u8>,
}

impl Evm {
    fn with_contract() -> Self {
        Self::of(SpecId::OSAKA)
    }

    fn of(spec: SpecId) -> Self {
        let db = CacheDB::new(EmptyDB::new());
        let mut evm = Self { db, spec, now: START, contract: Address::ZERO };
        let (sent, contract) = evm.transact(&FIRST, TxKind::Create, init_code());
        assert!(sent.reverted.is_none());
        evm.contract = contract.unwrap();
        evm
    }

    fn transact(&mut self, caller: &[u8; 20], kind: TxKind, data: Vec<u8>) -> (Sent, Option<Address>) {
        let caller = Address::from(*caller);
        let nonce = self.db.basic_ref(caller).unwrap().map_or(0, |account| account.nonce);
        let (spec, now) = (self.spec, self.now);
        let tx = TxEnv::builder().caller(caller).kind(kind).data(Bytes::from(data)).nonce(nonce);
        let tx = tx.gas_limit(2_000_000).gas_price(0).build().unwrap();
        let result = Context::mainnet()
            .with_db(&mut self.db)
            .with_cfg(CfgEnv::new_with_spec(spec))
            .modify_block_chained(|block| block.timestamp = U256::from(now))
            .build_mainnet()
            .transact_commit(tx)
            .unwrap();
        let gas = result.tx_gas_used();
        match result {
            ExecutionResult::Success { logs, output, .. } => {
                let address = match &output {
                    Output::Create(_, address) => *address,
                    Output::Call(_) => None,
                };
                (Sent { gas, logs, reverted: None, output: output.into_data().to_vec() }, address)
            }
            ExecutionResult::Revert { output, .. } => {
                let selector = output.first_chunk::<4>().copied();
                (Sent { gas, logs: Vec::new(), reverted: selector, output: output.to_vec() }, None)
            }
            ExecutionResult::Halt { reason, .. } => panic!("halted: {reason:?}"),
        }
    }

    fn send(&mut self, caller: &[u8; 20], data: Vec<u8>) -> Sent {
        let to = TxKind::Call(self.contract);
        self.transact(caller, to, data).0
    }

    fn head(&mut self, log_id: &LogId) -> StoredHead {
        StoredHead::from_return_data(&self.send(&[9; 20], heads_call(log_id)).output).unwrap()
    }

    /// The head as a state proof would show it.
    fn stored_head(&self, log_id: &LogId) -> StoredHead {
        let [packed, statement, _] = log_id.slots().map(|slot| self.slot(&slot));
        StoredHead::from_words(&packed, &statement)
    }

    fn slot(&self, slot: &[u8; 32]) -> [u8; 32] {
        self.db.storage_ref(self.contract, U256::from_be_bytes(*slot)).unwrap().to_be_bytes()
    }

    fn registered() -> (Self, LogId) {
        let mut evm = Self::with_contract();
        assert!(evm.send(&[7; 20], register_call(&FIRST, ORIGIN)).reverted.is_none());
        (evm, LogId::new(&FIRST, ORIGIN))
    }

    /// A log with three statements, of 100, 200 and 300 leaves.
    fn advanced() -> (Self, LogId) {
        let (mut evm, log_id) = Self::registered();
        for seq in 1..=3 {
            assert!(evm.send(&FIRST, step(log_id, seq).call()).reverted.is_none());
        }
        (evm, log_id)
    }
}

fn statement(seq: u32) -> Hash {
    if seq == 0 { Hash::from_bytes([0; 32]) } else { Hash::of(&seq.to_be_bytes()) }
}

fn step(log_id: LogId, seq: u32) -> Advance {
    Advance {
        log_id,
        seq,
        previous: statement(seq - 1),
        size: u64::from(seq) * 100,
        root: Hash::of(b"root"),
        statement: statement(seq),
    }
}

/// The selector of one of the contract's errors.
fn error(signature: &str) -> Option<[u8; 4]> {
    let digest = keccak256(signature.as_bytes());
    digest.first_chunk::<4>().copied()
}

#[test]
fn every_call_has_the_selector_of_the_compilers_abi() {
    let abi: Value = serde_json::from_str(ABI_JSON).unwrap();
    let signature = |name: &str, kind: &str| {
        let entry = abi.as_array().unwrap().iter().find(|e| e["name"] == name && e["type"] == kind).unwrap();
        let types: Vec<_> =
            entry["inputs"].as_array().unwrap().iter().map(|i| i["type"].as_str().unwrap()).collect();
        format!("{name}({})", types.join(","))
    };
    let log_id = LogId::new(&FIRST, ORIGIN);
    for (name, call) in [
        ("register", register_call(&FIRST, ORIGIN)),
        ("advance", step(log_id, 1).call()),
        ("proposeKey", propose_key_call(&log_id, &SECOND)),
        ("acceptKey", accept_key_call(&log_id)),
        ("heads", heads_call(&log_id)),
    ] {
        assert_eq!(call[..4], keccak256(signature(name, "function").as_bytes())[..4], "{name}");
    }
    assert_eq!(advanced_topic(), keccak256(signature("Advanced", "event").as_bytes()));
}

#[test]
fn the_deployed_code_has_the_committed_hash() {
    let evm = Evm::with_contract();
    let account = evm.db.basic_ref(evm.contract).unwrap().unwrap();
    assert_eq!(account.code_hash.0, code_hash());
    let code = evm.db.code_by_hash_ref(account.code_hash).unwrap();
    let runtime = include_str!("../../../contracts/AnchorHead.runtime.hex").trim_end();
    assert_eq!(ledgerstone::encoding::hex_encode(code.original_byte_slice()), runtime);
}

#[test]
fn anybody_may_register_a_log_and_only_once() {
    let (mut evm, log_id) = Evm::registered();
    let head = evm.head(&log_id);
    assert_eq!((head.seq, head.size, head.key, head.statement), (0, 0, FIRST, [0; 32]));
    assert_eq!(evm.stored_head(&log_id), head);
    let again = evm.send(&THIEF, register_call(&FIRST, ORIGIN));
    assert_eq!(again.reverted, error("AlreadyRegistered()"));
    let other = evm.send(&THIEF, register_call(&THIEF, ORIGIN));
    assert!(other.reverted.is_none(), "the thief's own id is another one");
    assert_eq!(other.output, LogId::new(&THIEF, ORIGIN).as_bytes());
    assert_eq!(evm.head(&log_id).key, FIRST);
    assert_eq!(evm.send(&THIEF, register_call(&[0; 20], ORIGIN)).reverted, error("ZeroKey()"));
}

#[test]
fn the_head_advances_one_statement_at_a_time_and_says_so() {
    let (mut evm, log_id) = Evm::registered();
    for seq in 1..=5 {
        let sent = evm.send(&FIRST, step(log_id, seq).call());
        assert!(sent.reverted.is_none());
        let [log] = sent.logs.as_slice() else { panic!("{} logs", sent.logs.len()) };
        let topics: Vec<_> = log.topics().iter().map(|topic| topic.0).collect();
        assert_eq!(topics, [advanced_topic(), *log_id.as_bytes()]);
        assert_eq!(log.data.data.as_ref(), step(log_id, seq).event_data());
        let head = evm.stored_head(&log_id);
        assert_eq!((head.seq, head.size, head.key), (seq, u64::from(seq) * 100, FIRST));
        assert_eq!(head.statement, *statement(seq).as_bytes());
        assert_eq!(evm.head(&log_id), head);
    }
}

#[test]
fn the_largest_values_do_not_reach_into_their_neighbours() {
    let (mut evm, log_id) = Evm::registered();
    let largest = Advance { size: u64::MAX, statement: Hash::from_bytes([0xff; 32]), ..step(log_id, 1) };
    assert!(evm.send(&FIRST, largest.call()).reverted.is_none());
    let head = evm.stored_head(&log_id);
    assert_eq!((head.seq, head.size, head.key, head.statement), (1, u64::MAX, FIRST, [0xff; 32]));
    let [_, _, third] = log_id.slots();
    assert_eq!(evm.slot(&third), [0; 32]);
}

#[test]
fn every_wrong_advance_is_reverted_and_moves_nothing() {
    let (mut evm, log_id) = Evm::advanced();
    let before = evm.stored_head(&log_id);
    let next = step(log_id, 4);
    let cases = [
        ("another sender", THIEF, next, "WrongKey()"),
        ("another log", FIRST, Advance { log_id: LogId::from_bytes([1; 32]), ..next }, "WrongKey()"),
        ("the same number", FIRST, step(log_id, 3), "WrongSequence(uint32)"),
        ("a number left out", FIRST, Advance { seq: 5, ..next }, "WrongSequence(uint32)"),
        ("number zero", FIRST, Advance { seq: 0, ..next }, "WrongSequence(uint32)"),
        ("another past", FIRST, Advance { previous: statement(2), ..next }, "WrongPrevious(bytes32)"),
        ("no past", FIRST, Advance { previous: statement(0), ..next }, "WrongPrevious(bytes32)"),
        ("a smaller tree", FIRST, Advance { size: 299, ..next }, "SmallerSize(uint64)"),
    ];
    for (case, sender, advance, expected) in cases {
        let sent = evm.send(&sender, advance.call());
        assert_eq!(sent.reverted, error(expected), "{case}");
        assert_eq!(evm.stored_head(&log_id), before, "{case}");
    }
    let mut cut = next.call();
    cut.pop();
    assert!(evm.send(&FIRST, cut).output.is_empty(), "calldata of another length");
    let mut wide = next.call();
    wide[4 + 32] = 1;
    evm.send(&FIRST, wide);
    assert_eq!(evm.stored_head(&log_id), before, "a number past its type");
    assert!(evm.send(&FIRST, Advance { size: 300, ..next }.call()).reverted.is_none(), "the same size");
}

#[test]
fn a_statement_that_was_mined_twice_reverts_harmlessly() {
    let (mut evm, log_id) = Evm::advanced();
    let before = evm.stored_head(&log_id);
    let again = evm.send(&FIRST, step(log_id, 3).call());
    assert_eq!(again.reverted, error("WrongSequence(uint32)"));
    assert_eq!(evm.stored_head(&log_id), before);
}

#[test]
fn a_key_changes_by_the_old_keys_word_and_after_the_delay() {
    let (mut evm, log_id) = Evm::advanced();
    let before = evm.stored_head(&log_id);
    assert_eq!(evm.send(&SECOND, accept_key_call(&log_id)).reverted, error("NoKeyProposed()"));
    assert_eq!(evm.send(&THIEF, propose_key_call(&log_id, &THIEF)).reverted, error("WrongKey()"));
    assert!(evm.send(&FIRST, propose_key_call(&log_id, &SECOND)).reverted.is_none());
    assert_eq!(evm.stored_head(&log_id), before, "a proposal changes nothing yet");

    evm.now = START + KEY_DELAY_SECONDS - 1;
    assert_eq!(evm.send(&SECOND, accept_key_call(&log_id)).reverted, error("TooEarly(uint64)"));
    assert!(evm.send(&FIRST, step(log_id, 4).call()).reverted.is_none(), "the old key goes on until then");
    evm.now += 1;
    assert_eq!(evm.send(&THIEF, accept_key_call(&log_id)).reverted, error("WrongKey()"));
    assert_eq!(evm.send(&FIRST, accept_key_call(&log_id)).reverted, error("WrongKey()"));
    assert!(evm.send(&SECOND, accept_key_call(&log_id)).reverted.is_none());

    let head = evm.stored_head(&log_id);
    assert_eq!((head.key, head.seq, head.size), (SECOND, 4, 400), "the head stays where it was");
    assert_eq!(evm.send(&FIRST, step(log_id, 5).call()).reverted, error("WrongKey()"));
    assert!(evm.send(&SECOND, step(log_id, 5).call()).reverted.is_none());
    assert_eq!(evm.send(&SECOND, accept_key_call(&log_id)).reverted, error("NoKeyProposed()"));
    let again = evm.send(&THIEF, register_call(&FIRST, ORIGIN));
    assert_eq!(again.reverted, error("AlreadyRegistered()"), "the id stays taken after the change");
}

#[test]
fn a_proposal_can_be_taken_back_and_a_second_one_waits_anew() {
    let (mut evm, log_id) = Evm::advanced();
    assert!(evm.send(&FIRST, propose_key_call(&log_id, &THIEF)).reverted.is_none());
    evm.now += KEY_DELAY_SECONDS - 10;
    assert!(evm.send(&FIRST, propose_key_call(&log_id, &[0; 20])).reverted.is_none());
    evm.now += 10;
    assert_eq!(evm.send(&THIEF, accept_key_call(&log_id)).reverted, error("NoKeyProposed()"));
    assert_eq!(evm.send(&[0; 20], accept_key_call(&log_id)).reverted, error("NoKeyProposed()"));
    let [_, _, third] = log_id.slots();
    assert_eq!(evm.slot(&third), [0; 32]);

    assert!(evm.send(&FIRST, propose_key_call(&log_id, &THIEF)).reverted.is_none());
    evm.now += KEY_DELAY_SECONDS - 1;
    assert!(evm.send(&FIRST, propose_key_call(&log_id, &SECOND)).reverted.is_none());
    evm.now += 1;
    assert_eq!(evm.send(&THIEF, accept_key_call(&log_id)).reverted, error("WrongKey()"));
    assert_eq!(evm.send(&SECOND, accept_key_call(&log_id)).reverted, error("TooEarly(uint64)"));
    evm.now += KEY_DELAY_SECONDS;
    assert!(evm.send(&SECOND, accept_key_call(&log_id)).reverted.is_none());
}

#[test]
fn a_stolen_key_cannot_fork_or_rewind_the_head() {
    let (mut evm, log_id) = Evm::advanced();
    let forged = |seq: u32, previous: u32, size| Advance {
        seq,
        previous: statement(previous),
        size,
        statement: Hash::of(b"forged"),
        ..step(log_id, 4)
    };
    for (case, call) in [
        ("statement 2 again", forged(2, 1, 200)),
        ("statement 3 again", forged(3, 2, 300)),
        ("a branch off statement 2", forged(4, 2, 400)),
        ("a smaller tree", forged(4, 3, 299)),
    ] {
        assert!(evm.send(&FIRST, call.call()).reverted.is_some(), "{case}");
    }
    // What is left to the thief is one more statement; the log's key did not sign it, so the chain of statements shows
    // it as foreign, and the contract's head shows everybody that it is there.
    assert!(evm.send(&FIRST, forged(4, 3, 400).call()).reverted.is_none());
    assert_eq!(evm.stored_head(&log_id).statement, *Hash::of(b"forged").as_bytes());
    assert_eq!(evm.send(&FIRST, step(log_id, 4).call()).reverted, error("WrongSequence(uint32)"));
}

#[test]
fn the_gas_of_each_call_is_as_published() {
    for spec in [SpecId::LONDON, SpecId::CANCUN, SpecId::OSAKA] {
        let mut evm = Evm::of(spec);
        let log_id = LogId::new(&FIRST, ORIGIN);
        let register = evm.send(&FIRST, register_call(&FIRST, ORIGIN)).gas;
        let advances: Vec<u64> =
            (1..=300).map(|seq| evm.send(&FIRST, step(log_id, seq).call()).gas).collect();
        let (first, later) = (advances[0], &advances[1..]);
        let (least, most) = (later.iter().min().unwrap(), later.iter().max().unwrap());
        let propose = evm.send(&FIRST, propose_key_call(&log_id, &SECOND)).gas;
        evm.now += KEY_DELAY_SECONDS;
        let accept = evm.send(&SECOND, accept_key_call(&log_id)).gas;
        println!(
            "{spec:?}: register {register}, first advance {first}, later {least} to {most}, propose {propose}, \
             accept {accept}"
        );
        assert!(*least >= 33_000 && *most <= 38_000, "later advances take {least} to {most}");
        assert!((50_000..56_000).contains(&first), "the first advance takes {first}");
        assert!((44_000..50_000).contains(&register), "registering takes {register}");
    }
    let (sent, _) = Evm::with_contract().transact(&SECOND, TxKind::Create, init_code());
    println!("deploy {}", sent.gas);
    assert!(sent.gas < 600_000);
}

#[test]
fn the_storage_that_the_contract_leaves_verifies_as_a_bundle() {
    let (mut evm, log_id) = Evm::advanced();
    assert!(evm.send(&SECOND, register_call(&SECOND, "log.example/other")).reverted.is_none());
    let slots: Vec<([u8; 32], [u8; 32])> = [log_id, LogId::new(&SECOND, "log.example/other")]
        .iter()
        .flat_map(|id| id.slots().map(|slot| (slot, evm.slot(&slot))))
        .filter(|(_, value)| *value != [0; 32])
        .collect();
    assert_eq!(slots.len(), 3);
    let storage = Trie::new(slots.iter().map(|(slot, value)| {
        let start = value.iter().take_while(|byte| **byte == 0).count();
        let mut encoded = Vec::new();
        ledgerstone::anchor::evm::rlp::write_bytes(&mut encoded, &value[start..]);
        (keccak256(slot).to_vec(), encoded)
    }));
    let mut block = Block::new();
    let deployed = evm.db.basic_ref(evm.contract).unwrap().unwrap().code_hash.0;
    block.accounts.insert(keccak256(evm.contract.as_slice()).to_vec(), account(&storage.root(), &deployed));
    let [packed, statement_slot, _] = log_id.slots();
    let mut bundle = block.bundle(0);
    bundle.contract = evm.contract.into_array();
    bundle.first_key = FIRST;
    bundle.account_proof = block.state().proof(&keccak256(&bundle.contract));
    bundle.packed_proof = storage.proof(&keccak256(&packed));
    bundle.statement_proof = storage.proof(&keccak256(&statement_slot));
    let mut expected = ethereum::expected();
    (expected.seq, expected.size, expected.statement) = (3, 300, statement(3));
    let facts = verify(&bundle, &expected, &Trust::new(ethereum::CHAIN_ID)).unwrap();
    assert_eq!(facts.head, evm.stored_head(&log_id));
    expected.statement = statement(2);
    assert!(verify(&bundle, &expected, &Trust::new(ethereum::CHAIN_ID)).is_err());
}
