//! Scenario: an auditor is handed a bundle that is to show a statement in a contract's storage. Danger: a changed, cut or
//! lengthened bundle, or one of another contract, log, chain or committee, passes for the real one. End: only the bundle
//! as it was captured verifies, and each check says what it rests on.

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

use std::path::Path;
use std::sync::OnceLock;

use ethereum::{
    Block, CHAIN_ID, CONTRACT, Claim, Committee, FIRST_KEY, ORIGIN, SEQ, SIZE, Trie, account, expected, list,
    packed, pinned, with_beacon,
};
use ledgerstone::anchor::evm::beacon::{
    self, BeaconError, ForkAt, MAINNET, MINIMAL, PinnedCommittee, SyncCommittee, Update, UpdateError,
    verify_update,
};
use ledgerstone::anchor::evm::trie::TrieError;
use ledgerstone::anchor::evm::{
    Basis, BeaconFork, Bundle, BundleError, EvmError, Expected, LogId, ReceiptError, Trust, advanced_topic,
    checks, code_hash, keccak256, rlp, verify,
};
use ledgerstone::anchor::statement::Statement;
use ledgerstone::check::{Check, Status};
use ledgerstone::code::{CheckName, Code};
use ledgerstone::encoding::hex_encode;
use ledgerstone::hash::Hash;
use ledgerstone::limits::{EVM_BEACON_UPDATES_MAX, EVM_BUNDLE_BYTES_MAX};

fn block() -> &'static Block {
    static BLOCK: OnceLock<Block> = OnceLock::new();
    BLOCK.get_or_init(Block::new)
}

/// A bundle with everything: two further headers, a receipt, one change of the committee.
fn whole() -> &'static (Bundle, Trust) {
    static WHOLE: OnceLock<(Bundle, Trust)> = OnceLock::new();
    WHOLE.get_or_init(|| {
        let mut bundle = block().bundle(2);
        bundle.receipt = Some(block().receipt_proof(5));
        with_beacon(bundle, BeaconFork::Electra, MINIMAL, 1)
    })
}

fn statuses(checks: &[Check]) -> Vec<(CheckName, Status, Option<Code>)> {
    checks.iter().map(|check| (check.name, check.status, check.code)).collect()
}

#[test]
fn a_bundle_reads_back_as_it_was_written() {
    for bundle in [block().bundle(0), whole().0.clone()] {
        let bytes = bundle.encode().unwrap();
        assert_eq!(Bundle::decode(&bytes), Ok(bundle));
        for length in 0..bytes.len() {
            assert!(Bundle::decode(&bytes[..length]).is_err(), "cut to {length}");
        }
        assert!(Bundle::decode(&[bytes.as_slice(), &[0]].concat()).is_err());
    }
}

#[test]
fn an_empty_list_and_a_list_past_its_limit_are_not_written() {
    let mut bundle = block().bundle(0);
    bundle.headers.clear();
    assert!(matches!(bundle.encode(), Err(BundleError::Count { key: 5, count: 0, .. })));
    let mut bundle = block().bundle(0);
    bundle.packed_proof = vec![vec![0xc0]; 66];
    assert!(matches!(bundle.encode(), Err(BundleError::Count { key: 7, count: 66, .. })));
    let mut bundle = block().bundle(0);
    bundle.account_proof = vec![vec![0; 512 * 1024 + 1]];
    assert!(matches!(bundle.encode(), Err(BundleError::ItemBytes { key: 6, .. })));
}

#[test]
fn a_pinned_block_shows_the_statement_as_the_latest() {
    let bundle = block().bundle(0);
    let facts = verify(&bundle, &expected(), &pinned(&bundle)).unwrap();
    assert_eq!((facts.head.seq, facts.head.size, facts.head.key), (SEQ, SIZE, FIRST_KEY));
    assert_eq!(facts.head.statement, *expected().statement.as_bytes());
    assert_eq!(facts.log_id, LogId::new(&FIRST_KEY, ORIGIN));
    assert_eq!(facts.block.number, 1000);
    assert!(matches!(facts.basis, Basis::PinnedBlock { number: 1000, .. }));
}

#[test]
fn a_later_pinned_block_vouches_for_the_one_it_follows() {
    let bundle = block().bundle(5);
    let facts = verify(&bundle, &expected(), &pinned(&bundle)).unwrap();
    assert!(matches!(facts.basis, Basis::PinnedBlock { number: 1005, .. }));
    let mut gap = bundle.clone();
    gap.headers.remove(2);
    assert_eq!(verify(&gap, &expected(), &pinned(&bundle)), Err(EvmError::HeaderLink { at: 2 }));
    let mut swapped = bundle;
    swapped.headers.swap(1, 2);
    assert_eq!(verify(&swapped, &expected(), &pinned(&swapped)), Err(EvmError::HeaderLink { at: 1 }));
}

#[test]
fn without_a_pin_the_report_names_the_endpoints_word() {
    let bundle = block().bundle(0);
    let trust = Trust::new(CHAIN_ID);
    assert_eq!(verify(&bundle, &expected(), &trust).unwrap().basis, Basis::Endpoint);
    let report = checks(&bundle.encode().unwrap(), &expected(), &trust);
    assert_eq!(
        statuses(&report),
        [
            (CheckName::AnchorEvmStorage, Status::Passed, None),
            (CheckName::AnchorEvmHeader, Status::NotChecked, None),
            (CheckName::AnchorEvmFinality, Status::NotChecked, None),
        ]
    );
    assert_eq!(report[1].rests_on.as_deref(), Some("the word of the RPC endpoints"));
    assert!(report[1].detail.contains("pin it"), "{}", report[1].detail);
}

#[test]
fn a_pin_or_a_committee_is_what_the_report_rests_on() {
    let bundle = block().bundle(0);
    let report = checks(&bundle.encode().unwrap(), &expected(), &pinned(&bundle));
    assert_eq!(report[1].status, Status::Passed);
    assert!(report[1].rests_on.as_ref().unwrap().starts_with("pinned block 1000, 0x"));
    let (bundle, trust) = whole();
    let report = checks(&bundle.encode().unwrap(), &expected(), trust);
    assert!(report.iter().all(|check| check.status == Status::Passed), "{report:?}");
    for check in &report[1..] {
        assert_eq!(check.rests_on.as_deref(), Some("the pinned sync committee of period 100"));
    }
    assert!(report[2].detail.starts_with("30 of 32 members"), "{}", report[2].detail);
}

#[test]
fn bytes_that_are_no_bundle_fail_and_leave_the_rest_unchecked() {
    for bytes in [&b""[..], b"\xa0", &[0xff; 100]] {
        let report = checks(bytes, &expected(), &Trust::new(CHAIN_ID));
        assert_eq!(
            statuses(&report),
            [
                (CheckName::AnchorEvmStorage, Status::Failed, Some(Code::Malformed)),
                (CheckName::AnchorEvmHeader, Status::NotChecked, None),
                (CheckName::AnchorEvmFinality, Status::NotChecked, None),
            ]
        );
    }
}

#[test]
fn no_bundle_with_a_changed_byte_verifies() {
    let pinned_bundle = block().bundle(1);
    let trust = pinned(&pinned_bundle);
    let cases = [(pinned_bundle, trust), whole().clone()];
    for (bundle, trust) in cases {
        let bytes = bundle.encode().unwrap();
        let shown = |bytes: &[u8]| {
            Bundle::decode(bytes).is_ok_and(|bundle| {
                verify(&bundle, &expected(), &trust).is_ok_and(|facts| facts.basis != Basis::Endpoint)
            })
        };
        assert!(shown(&bytes));
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << (at % 8);
            assert!(!shown(&changed), "byte {at} of {}", bytes.len());
        }
    }
}

#[test]
fn a_bundle_with_a_light_client_proof_fails_for_every_changed_byte() {
    let (bundle, trust) = whole();
    let bytes = bundle.encode().unwrap();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 0x80;
        let report = checks(&changed, &expected(), trust);
        assert!(report.iter().any(|check| check.status == Status::Failed), "byte {at}: {report:?}");
    }
}

#[test]
fn another_statement_origin_chain_contract_or_key_is_refused() {
    let bundle = block().bundle(0);
    let trust = pinned(&bundle);
    let with = |change: fn(&mut Expected<'static>)| {
        let mut expected = expected();
        change(&mut expected);
        verify(&bundle, &expected, &trust).unwrap_err()
    };
    assert_eq!(with(|e| e.seq = 6), EvmError::HeadAfter { found: 7, expected: 6 });
    assert_eq!(with(|e| e.seq = 8), EvmError::HeadBefore { found: 7, expected: 8 });
    assert_eq!(with(|e| e.seq = (1 << 32) + 7), EvmError::HeadBefore { found: 7, expected: (1 << 32) + 7 });
    assert_eq!(with(|e| e.statement = Hash::of(b"another")), EvmError::OtherStatement { seq: 7 });
    assert_eq!(with(|e| e.size += 1), EvmError::OtherSize { found: SIZE, expected: SIZE + 1 });
    assert!(matches!(with(|e| e.origin = "log.example/other"), EvmError::NoHead | EvmError::Storage(_)));
    let under = |change: fn(&mut Trust)| {
        let mut trust = trust.clone();
        change(&mut trust);
        verify(&bundle, &expected(), &trust).unwrap_err()
    };
    assert_eq!(under(|t| t.chain_id = 1), EvmError::Chain { found: CHAIN_ID, trusted: 1 });
    assert_eq!(under(|t| t.contract = Some([1; 20])), EvmError::Contract);
    assert_eq!(under(|t| t.first_key = Some([1; 20])), EvmError::FirstKey);
    assert_eq!(under(|t| t.code_hash = [1; 32]), EvmError::Code);
    let mut trust = trust.clone();
    (trust.contract, trust.first_key) = (Some(CONTRACT), Some(FIRST_KEY));
    assert!(verify(&bundle, &expected(), &trust).is_ok());
}

#[test]
fn a_contract_of_other_code_or_none_is_refused() {
    let mut changed = Block::new();
    let key = keccak256(&CONTRACT).to_vec();
    changed.accounts.insert(key.clone(), account(&changed.storage.root(), &keccak256(b"other code")));
    let bundle = changed.bundle(0);
    assert_eq!(verify(&bundle, &expected(), &pinned(&bundle)), Err(EvmError::Code));
    changed.accounts.remove(&key);
    let bundle = changed.bundle(0);
    assert_eq!(verify(&bundle, &expected(), &pinned(&bundle)), Err(EvmError::NoContract));
}

#[test]
fn a_log_that_is_not_registered_has_no_head() {
    let mut changed = Block::new();
    changed.storage = Trie::new([(keccak256(b"other").to_vec(), vec![1])]);
    let key = keccak256(&CONTRACT).to_vec();
    changed.accounts.insert(key.clone(), account(&changed.storage.root(), &code_hash()));
    let bundle = changed.bundle(0);
    assert_eq!(verify(&bundle, &expected(), &pinned(&bundle)), Err(EvmError::NoHead));

    let [slot, statement_slot, _] = LogId::new(&FIRST_KEY, ORIGIN).slots();
    let value = |word: &[u8]| {
        let mut out = Vec::new();
        let start = word.iter().take_while(|byte| **byte == 0).count();
        rlp::write_bytes(&mut out, &word[start..]);
        out
    };
    changed.storage = Trie::new([
        (keccak256(&slot).to_vec(), value(&packed(SEQ, SIZE, &[0; 20]))),
        (keccak256(&statement_slot).to_vec(), value(expected().statement.as_bytes())),
    ]);
    changed.accounts.insert(key, account(&changed.storage.root(), &code_hash()));
    let bundle = changed.bundle(0);
    assert_eq!(verify(&bundle, &expected(), &pinned(&bundle)), Err(EvmError::NoHead), "the key is zero");
}

#[test]
fn proofs_with_a_node_too_few_or_too_many_are_refused() {
    let bundle = block().bundle(0);
    let trust = pinned(&bundle);
    let verdict = |change: fn(&mut Bundle)| {
        let mut bundle = bundle.clone();
        change(&mut bundle);
        verify(&bundle, &expected(), &trust).unwrap_err()
    };
    assert!(matches!(verdict(|b| _ = b.account_proof.pop()), EvmError::Account(TrieError::Truncated { .. })));
    assert!(matches!(
        verdict(|b| b.account_proof.push(vec![0xc0])),
        EvmError::Account(TrieError::Surplus { .. })
    ));
    assert!(matches!(verdict(|b| _ = b.packed_proof.pop()), EvmError::Storage(TrieError::Truncated { .. })));
    assert!(matches!(
        verdict(|b| std::mem::swap(&mut b.packed_proof, &mut b.statement_proof)),
        EvmError::Storage(_)
    ));
    assert!(matches!(
        verdict(|b| b.statement_proof = b.account_proof.clone()),
        EvmError::Storage(TrieError::Hash { at: 0 })
    ));
}

#[test]
fn a_receipt_must_be_the_transactions_own() {
    let with = |index| {
        let mut bundle = block().bundle(0);
        bundle.receipt = Some(block().receipt_proof(index));
        verify(&bundle, &expected(), &pinned(&bundle))
    };
    assert!(with(5).unwrap().has_receipt);
    assert_eq!(with(6), Err(EvmError::Receipt(ReceiptError::Reverted)));
    assert_eq!(with(300), Err(EvmError::Receipt(ReceiptError::Absent { block: 1000, index: 300 })));
    for (contract, seq) in [([0xdd; 20], SEQ), (CONTRACT, SEQ + 1)] {
        let mut changed = Block::new();
        let mut advance = ethereum::advance();
        advance.seq = seq;
        let receipt = ethereum::receipt(1, &contract, &advance);
        changed.receipts = Trie::new([(ethereum::index_key(0), receipt)]);
        let mut bundle = changed.bundle(0);
        bundle.receipt = Some(changed.receipt_proof(0));
        let verdict = verify(&bundle, &expected(), &pinned(&bundle));
        assert_eq!(verdict, Err(EvmError::Receipt(ReceiptError::NoEvent)));
    }
}

#[test]
fn a_receipt_may_stand_in_an_earlier_block_that_leads_to_the_state() {
    let first = ethereum::header(999, &[7; 32], &[8; 32], &block().receipts.root());
    let second =
        |parent: &[u8]| ethereum::header(1000, &keccak256(parent), &block().state().root(), &[0x12; 32]);
    let mut bundle = block().bundle(0);
    let mut receipt = block().receipt_proof(5);
    receipt.headers = vec![first.clone()];
    bundle.headers = vec![second(&first)];
    bundle.receipt = Some(receipt);
    assert!(verify(&bundle, &expected(), &pinned(&bundle)).unwrap().has_receipt);
    bundle.headers = vec![second(b"another parent")];
    assert_eq!(verify(&bundle, &expected(), &pinned(&bundle)), Err(EvmError::HeaderLink { at: 1 }));
}

#[test]
fn a_receipts_headers_follow_each_other_up_to_the_state() {
    let receipts = block().receipts.root();
    let first = ethereum::header(997, &[7; 32], &[8; 32], &receipts);
    let second = ethereum::header(998, &keccak256(&first), &[8; 32], &receipts);
    let third = ethereum::header(999, &keccak256(&second), &[8; 32], &receipts);
    let state = ethereum::header(1000, &keccak256(&third), &block().state().root(), &receipts);
    let verdict = |headers: &[&Vec<u8>]| {
        let mut bundle = block().bundle(0);
        bundle.headers = vec![state.clone()];
        let mut receipt = block().receipt_proof(5);
        receipt.headers = headers.iter().copied().cloned().collect();
        bundle.receipt = Some(receipt);
        verify(&bundle, &expected(), &pinned(&bundle)).map(|facts| facts.has_receipt)
    };
    assert_eq!(verdict(&[&first, &second, &third]), Ok(true));
    assert_eq!(verdict(&[&first, &third]), Err(EvmError::HeaderLink { at: 1 }), "one is left out");
    assert_eq!(verdict(&[&second, &first, &third]), Err(EvmError::HeaderLink { at: 1 }));
    assert_eq!(verdict(&[&first, &second]), Err(EvmError::HeaderLink { at: 2 }), "the last is left out");
}

#[test]
fn headers_have_the_numbers_that_follow_each_other() {
    let mut bundle = block().bundle(1);
    bundle.headers[1] = ethereum::header(1002, &keccak256(&bundle.headers[0]), &[0x55; 32], &[0x66; 32]);
    assert_eq!(verify(&bundle, &expected(), &pinned(&bundle)), Err(EvmError::HeaderLink { at: 1 }));
    bundle.headers[1] = ethereum::header(1001, &keccak256(&bundle.headers[0]), &[0x55; 32], &[0x66; 32]);
    assert!(verify(&bundle, &expected(), &pinned(&bundle)).is_ok());
}

/// The verdict over a bundle of a block whose receipt 0 is this one.
fn verdict_of_receipt(receipt: Vec<u8>) -> Result<bool, EvmError> {
    let mut changed = Block::new();
    changed.receipts = Trie::new([(ethereum::index_key(0), receipt)]);
    let mut bundle = changed.bundle(0);
    bundle.receipt = Some(changed.receipt_proof(0));
    verify(&bundle, &expected(), &pinned(&bundle)).map(|facts| facts.has_receipt)
}

#[test]
fn an_event_counts_with_its_own_topics_and_data_only() {
    let advance = ethereum::advance();
    let (topic, id, data) = (advanced_topic(), *advance.log_id.as_bytes(), advance.event_data());
    let verdict = |topics: &[&[u8]], data: &[u8]| {
        verdict_of_receipt(ethereum::receipt_of(1, &ethereum::log(&CONTRACT, topics, data)))
    };
    assert_eq!(verdict(&[&topic, &id], &data), Ok(true));
    let none = Err(EvmError::Receipt(ReceiptError::NoEvent));
    assert_eq!(verdict(&[&topic, &[9; 32]], &data), none, "another log's");
    assert_eq!(verdict(&[&[9; 32], &id], &data), none, "another event");
    assert_eq!(verdict(&[&id, &topic], &data), none);
    assert_eq!(verdict(&[&topic], &data), none);
    assert_eq!(verdict(&[&topic, &id, &id], &data), none, "a topic more");
    assert_eq!(verdict(&[&topic, &id], &data[1..]), none);
    assert_eq!(verdict(&[&topic, &id], &[data.as_slice(), &[0]].concat()), none);
}

#[test]
fn a_receipt_is_canonical_to_its_last_log() {
    let advance = ethereum::advance();
    let event =
        ethereum::log(&CONTRACT, &[&advanced_topic(), advance.log_id.as_bytes()], &advance.event_data());
    let with = |more: &[u8]| verdict_of_receipt(ethereum::receipt_of(1, &[event.as_slice(), more].concat()));
    assert_eq!(with(&[]), Ok(true));
    assert_eq!(with(&[0x81, 7]), Err(EvmError::Receipt(ReceiptError::Rlp(rlp::RlpError::NotShortest))));
    // A receipt without its type: the four fields, of which gas and bloom are of no use here and still are what they are.
    let bare = ethereum::receipt(1, &CONTRACT, &advance)[1..].to_vec();
    assert_eq!(verdict_of_receipt(bare.clone()), Ok(true));
    let gas = bare.windows(3).position(|bytes| bytes == [0x82, 0x8c, 0xa0]).unwrap();
    let mut zeros = bare;
    zeros[gas + 1] = 0;
    assert_eq!(
        verdict_of_receipt(zeros),
        Err(EvmError::Receipt(ReceiptError::Rlp(rlp::RlpError::NotShortest)))
    );
}

#[test]
fn an_account_or_a_slot_that_is_not_encoded_as_one_is_refused() {
    let [packed_slot, statement_slot, _] = LogId::new(&FIRST_KEY, ORIGIN).slots();
    let string = |bytes: &[u8]| {
        let mut out = Vec::new();
        rlp::write_bytes(&mut out, bytes);
        out
    };
    let key = keccak256(&CONTRACT).to_vec();
    let with = |word: Vec<u8>| {
        let mut changed = Block::new();
        changed.storage = Trie::new([
            (keccak256(&packed_slot).to_vec(), word),
            (keccak256(&statement_slot).to_vec(), string(expected().statement.as_bytes())),
        ]);
        changed.accounts.insert(key.clone(), account(&changed.storage.root(), &code_hash()));
        let bundle = changed.bundle(0);
        verify(&bundle, &expected(), &pinned(&bundle)).map(|facts| facts.head.seq)
    };
    let head = packed(SEQ, SIZE, &FIRST_KEY);
    assert_eq!(with(string(&head)), Ok(SEQ));
    let refused = |error| Err(EvmError::State(error));
    assert_eq!(with(string(&[head.as_slice(), &[0]].concat())), refused(rlp::RlpError::Length), "33 bytes");
    assert_eq!(with(string(&[0, 1, 2])), refused(rlp::RlpError::NotShortest), "a zero in front");
    assert_eq!(with(list(&string(&head))), refused(rlp::RlpError::Kind), "a list");

    let root = block().storage.root();
    for (fields, error) in [
        (
            vec![string(&[0, 1]), string(&[1]), string(&root), string(&code_hash())],
            rlp::RlpError::NotShortest,
        ),
        (vec![string(&[1]), list(&[]), string(&root), string(&code_hash())], rlp::RlpError::Kind),
        (vec![string(&[1]), string(&[1]), string(&root[1..]), string(&code_hash())], rlp::RlpError::Length),
        (vec![string(&[1]), string(&[1]), string(&root)], rlp::RlpError::Count(3)),
    ] {
        let mut changed = Block::new();
        changed.accounts.insert(key.clone(), list(&fields.concat()));
        let bundle = changed.bundle(0);
        assert_eq!(verify(&bundle, &expected(), &pinned(&bundle)), Err(EvmError::State(error)));
    }
}

#[test]
fn what_a_bundle_may_not_have_is_refused_by_name() {
    let bytes = whole().0.encode().unwrap();
    assert_eq!(Bundle::decode(&vec![0; EVM_BUNDLE_BYTES_MAX + 1]), Err(BundleError::TooLong));
    let mut version = bytes.clone();
    assert_eq!(version[..3], [0xaa, 1, 1]);
    version[2] = 2;
    assert_eq!(Bundle::decode(&version), Err(BundleError::Version(2)));
    // A key that no bundle has, of the kind that stands where a number does.
    let mut more = block().bundle(0).encode().unwrap();
    more[0] += 1;
    more.extend([11, 7]);
    assert_eq!(Bundle::decode(&more), Err(BundleError::Key(11)));
    let receipt = {
        let mut bundle = block().bundle(0);
        bundle.receipt = Some(block().receipt_proof(5));
        let mut bytes = bundle.encode().unwrap();
        let inner = bytes.windows(4).rposition(|bytes| bytes == [9, 0xa3, 1, 0x80]).unwrap();
        bytes[inner + 1] = 0xa4;
        bytes.extend([4, 7]);
        bytes
    };
    assert_eq!(Bundle::decode(&receipt), Err(BundleError::Key(4)), "in the receipt's part");
    let mut many = whole().0.clone();
    let part = many.beacon.as_mut().unwrap();
    part.updates = vec![part.finality.clone(); EVM_BEACON_UPDATES_MAX + 1];
    assert!(matches!(many.encode(), Err(BundleError::Count { key: 10, .. })));
}

#[test]
fn a_bundle_captured_from_a_node_shows_its_statement() {
    let read = |name: &str| std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap();
    let statement = read("tests/golden/captured.statement");
    let bundle = Bundle::decode(&read("tests/golden/captured.evm")).unwrap();
    let stated = Statement::decode(&statement).unwrap();
    let expected = Expected {
        origin: stated.origin.as_str(),
        seq: stated.seq,
        size: stated.to.size.get(),
        root: stated.to.root,
        previous: stated.previous,
        statement: Hash::of(&statement),
    };
    let mut trust = Trust::new(31_337);
    trust.blocks = vec![keccak256(&bundle.headers[0])];
    let facts = verify(&bundle, &expected, &trust).unwrap();
    assert!(facts.has_receipt && matches!(facts.basis, Basis::PinnedBlock { .. }));
    // The block that the page names, on which the other verifier runs.
    let page = String::from_utf8(read("docs/verify-by-hand.md")).unwrap();
    assert!(page.contains(&format!("    0x{}\n", hex_encode(&trust.blocks[0]))));
}

#[test]
fn every_forks_light_client_proof_verifies() {
    for fork in BeaconFork::ALL {
        for periods in [0, 2] {
            let (bundle, trust) = with_beacon(block().bundle(1), fork, MINIMAL, periods);
            let facts = verify(&bundle, &expected(), &trust).unwrap();
            let period = 100 + u64::from(periods);
            assert_eq!(facts.basis, Basis::SyncCommittee { period });
            let finalized = facts.finalized.unwrap();
            assert_eq!((finalized.period, finalized.pinned_period), (period, 100));
            assert_eq!(finalized.block_hash, keccak256(&bundle.headers[1]));
            assert_eq!(finalized.learned.len(), usize::from(periods));
        }
    }
}

#[test]
fn a_learned_committee_serves_the_next_bundle() {
    let (bundle, trust) = whole();
    let learned = verify(bundle, &expected(), trust).unwrap().finalized.unwrap().learned;
    let part = bundle.beacon.clone().unwrap();
    let update = Update::decode(&part.updates[0].ssz, BeaconFork::Electra, &MINIMAL).unwrap();
    let mut later = bundle.clone();
    let beacon_part = later.beacon.as_mut().unwrap();
    beacon_part.committee = update.next.unwrap().0.encode();
    beacon_part.updates.clear();
    let mut trust = trust.clone();
    let report = checks(&later.encode().unwrap(), &expected(), &trust);
    assert_eq!(report[2].status, Status::NotChecked, "{}", report[2].detail);
    assert!(report[2].detail.contains("period 101"), "{}", report[2].detail);
    trust.beacon.as_mut().unwrap().committees = learned;
    assert!(matches!(
        verify(&later, &expected(), &trust).unwrap().basis,
        Basis::SyncCommittee { period: 101 }
    ));
}

#[test]
fn another_committee_of_the_pinned_period_is_evidence() {
    let (bundle, trust) = whole();
    let mut trust = trust.clone();
    trust.beacon.as_mut().unwrap().committees = vec![PinnedCommittee { period: 100, root: [3; 32] }];
    let verdict = verify(bundle, &expected(), &trust);
    assert_eq!(verdict, Err(EvmError::Beacon(BeaconError::OtherCommittee(100))));
    assert_eq!(verdict.unwrap_err().code(), Code::Inconsistent);
}

#[test]
fn the_finalized_block_must_be_the_bundles_last() {
    let (mut bundle, trust) = whole().clone();
    bundle.headers.pop();
    assert_eq!(verify(&bundle, &expected(), &trust), Err(EvmError::OtherFinalized));
}

/// A sound claim, which all but one of the committee sign.
fn claim<'a>() -> Claim<'a> {
    Claim {
        attested_slot: 6420,
        finalized_slot: 6404,
        execution_block: [1; 32],
        next: None,
        participants: 31,
    }
}

/// The verdict over one finality update, made by `change` from a sound claim.
fn finality_of(
    participants: usize,
    change: impl FnOnce(&mut Update),
    under: impl FnOnce(&mut beacon::Trust),
) -> Result<(), BeaconError> {
    let chain = ethereum::chain(BeaconFork::Deneb, MINIMAL);
    let committee = Committee::new(9, &MINIMAL);
    let claim = Claim { participants, ..claim() };
    let mut update = ethereum::update(&chain, BeaconFork::Deneb, &committee, &claim);
    change(&mut update);
    let committees = vec![PinnedCommittee { period: 100, root: committee.public.root() }];
    let mut trust = beacon::Trust { chain, committees };
    under(&mut trust);
    let part = ledgerstone::anchor::evm::BeaconPart {
        committee: committee.public.encode(),
        updates: Vec::new(),
        finality: ethereum::fork_bytes(&update),
    };
    beacon::verify_part(&part, &trust).map(drop)
}

#[test]
fn two_thirds_of_the_committee_are_enough_and_less_is_not() {
    assert_eq!(finality_of(32, |_| {}, |_| {}), Ok(()));
    assert_eq!(finality_of(22, |_| {}, |_| {}), Ok(()));
    assert_eq!(
        finality_of(21, |_| {}, |_| {}),
        Err(BeaconError::Participants { participants: 21, size: 32 })
    );
    assert_eq!(
        finality_of(9, |_| {}, |_| {}),
        Err(BeaconError::Participants { participants: 9, size: 32 }),
        "a minority is summed the other way, and its signature holds too"
    );
}

#[test]
fn a_signature_of_others_another_chain_or_another_fork_is_refused() {
    let refused = |error: UpdateError| Err(BeaconError::Update(error));
    let more = finality_of(31, |u| u.aggregate.bits[3] |= 0x80, |_| {});
    assert_eq!(more, refused(UpdateError::Signature), "a bit of one who did not sign");
    let fewer = finality_of(31, |u| u.aggregate.bits[0] &= 0xfe, |_| {});
    assert_eq!(fewer, refused(UpdateError::Signature), "a signer's bit left out");
    let nobody = finality_of(31, |u| u.aggregate.bits.fill(0), |_| {});
    assert_eq!(nobody, refused(UpdateError::NoParticipants));
    let infinity = finality_of(
        31,
        |u| {
            u.aggregate.signature = [0; 96];
            u.aggregate.signature[0] = 0xc0;
        },
        |_| {},
    );
    assert_eq!(infinity, refused(UpdateError::Signature), "the point at infinity");
    let genesis = finality_of(31, |_| {}, |trust| trust.chain.genesis_validators_root[0] ^= 1);
    assert_eq!(genesis, refused(UpdateError::Signature), "another chain");
    let version = finality_of(31, |_| {}, |trust| trust.chain.forks[0].version = [6, 6, 6, 7]);
    assert_eq!(version, refused(UpdateError::Signature), "another fork's version");
    let types = finality_of(31, |_| {}, |trust| trust.chain.forks[0].fork = Some(BeaconFork::Capella));
    assert_eq!(types, refused(UpdateError::Fork(6420)));
    let unknown = finality_of(31, |_| {}, |trust| trust.chain.forks[0].fork = None);
    assert_eq!(unknown, refused(UpdateError::UnknownFork(6420)));
    assert!(unknown.unwrap_err().is_out_of_reach());
}

#[test]
fn headers_that_the_signed_one_does_not_name_are_refused() {
    let refused = |error: UpdateError| Err(BeaconError::Update(error));
    let finalized = finality_of(31, |u| u.finalized.beacon.slot -= 1, |_| {});
    assert_eq!(finalized, refused(UpdateError::Finalized));
    let branch = finality_of(31, |u| u.finality_branch.iter_mut().for_each(|word| *word = [0; 32]), |_| {});
    assert_eq!(branch, refused(UpdateError::Finalized), "a header without a branch");
    let execution = finality_of(31, |u| u.finalized.execution_branch[0][0] ^= 1, |_| {});
    assert_eq!(execution, refused(UpdateError::Execution(6404)));
    let attested = finality_of(31, |u| u.attested.execution_branch[3][31] ^= 1, |_| {});
    assert_eq!(attested, refused(UpdateError::Execution(6420)));
    let slot = finality_of(31, |u| u.signature_slot += 1, |_| {});
    assert_eq!(slot, Err(BeaconError::SignatureSlot { found: 6422, earliest: 6421 }));
    let before = finality_of(31, |u| u.signature_slot = 6420, |_| {});
    assert_eq!(before, Err(BeaconError::SignatureSlot { found: 6420, earliest: 6421 }));
}

#[test]
fn a_committee_that_the_update_does_not_lead_to_is_refused() {
    let (bundle, trust) = whole();
    let trust = trust.beacon.clone().unwrap();
    let part = bundle.beacon.clone().unwrap();
    let change = |change: fn(&mut Update)| {
        let mut part = part.clone();
        let mut update = Update::decode(&part.updates[0].ssz, BeaconFork::Electra, &MINIMAL).unwrap();
        change(&mut update);
        part.updates[0].ssz = update.encode();
        beacon::verify_part(&part, &trust).unwrap_err()
    };
    let next = change(|u| u.next.as_mut().unwrap().0.pubkeys.swap(0, 1));
    assert_eq!(next, BeaconError::Update(UpdateError::NextCommittee));
    let mut without = part.clone();
    without.updates.clear();
    assert_eq!(beacon::verify_part(&without, &trust), Err(BeaconError::NotPinned(101)));
    let mut twice = part.clone();
    twice.updates.push(part.updates[0].clone());
    let verdict = beacon::verify_part(&twice, &trust);
    assert_eq!(verdict, Err(BeaconError::Period { found: 100, expected: 101 }));
}

#[test]
fn the_committee_is_that_of_the_signature_and_not_of_the_signed_header() {
    // The last slot of period 100; the block after it, of period 101, holds the signature.
    let chain = ethereum::chain(BeaconFork::Deneb, MINIMAL);
    let committee = Committee::new(9, &MINIMAL);
    let claim = Claim { attested_slot: 6463, finalized_slot: 6440, ..claim() };
    let update = ethereum::update(&chain, BeaconFork::Deneb, &committee, &claim);
    let part = ledgerstone::anchor::evm::BeaconPart {
        committee: committee.public.encode(),
        updates: Vec::new(),
        finality: ethereum::fork_bytes(&update),
    };
    let under = |period| {
        let committees = vec![PinnedCommittee { period, root: committee.public.root() }];
        beacon::verify_part(&part, &beacon::Trust { chain: chain.clone(), committees })
    };
    assert_eq!(under(101).map(|finalized| finalized.period), Ok(101));
    assert_eq!(under(100), Err(BeaconError::NotPinned(101)));
}

#[test]
fn the_version_is_that_of_the_slot_before_the_signature() {
    // The second version is in force from slot 6424 on, between the signed header and the signature.
    let fork = |epoch, version| ForkAt { epoch, version: [version; 4], fork: Some(BeaconFork::Deneb) };
    let both = |trust: &mut beacon::Trust| trust.chain.forks = vec![fork(0, 6), fork(803, 7)];
    let refused = Err(BeaconError::Update(UpdateError::Signature));
    assert_eq!(finality_of(31, |_| {}, both), Ok(()), "signed in the block after the header's");
    assert_eq!(
        finality_of(31, |update| update.signature_slot = 6425, both),
        refused,
        "under the old version"
    );
    let committee = Committee::new(9, &MINIMAL);
    let mut later = ethereum::chain(BeaconFork::Deneb, MINIMAL);
    later.forks = vec![fork(0, 7)];
    let mut update = ethereum::update(&later, BeaconFork::Deneb, &committee, &claim());
    later.forks = vec![fork(0, 6), fork(803, 7)];
    assert_eq!(verify_update(&later, &committee.public, &update), Err(UpdateError::Signature));
    update.signature_slot = 6425;
    assert!(
        verify_update(&later, &committee.public, &update).is_ok(),
        "under the new one, missing five slots"
    );
}

#[test]
fn an_update_without_a_finalized_header_is_no_proof_and_leads_to_no_committee() {
    let empty = |update: &mut Update| {
        update.finality_branch.iter_mut().for_each(|word| *word = [0; 32]);
        update.finalized.beacon = beacon::BeaconHeader::default();
        update.finalized.execution_branch.iter_mut().for_each(|word| *word = [0; 32]);
        let lengths = [32, 20, 32, 32, 256, 32, 8, 8, 8, 8, 0, 32, 32, 32, 32, 8, 8];
        let fields = lengths.iter().map(|length| vec![0; *length]).collect();
        update.finalized.execution = beacon::ExecutionHeader::from_fields(update.fork, fields).unwrap();
    };
    assert_eq!(finality_of(31, empty, |_| {}), Err(BeaconError::NotFinal));
    let (bundle, trust) = whole();
    let mut part = bundle.beacon.clone().unwrap();
    let mut update = Update::decode(&part.updates[0].ssz, BeaconFork::Electra, &MINIMAL).unwrap();
    empty(&mut update);
    part.updates[0].ssz = update.encode();
    let verdict = beacon::verify_part(&part, trust.beacon.as_ref().unwrap());
    assert_eq!(verdict, Err(BeaconError::NoNextCommittee(100)));
}

#[test]
fn a_next_committee_counts_where_the_same_period_made_it_final_and_showed_it() {
    let chain = ethereum::chain(BeaconFork::Electra, MINIMAL);
    let (first, second) = (Committee::new(1, &MINIMAL), Committee::new(2, &MINIMAL));
    let verdict = |attested_slot, finalized_slot, change: fn(&mut Update)| {
        let claim = Claim { attested_slot, finalized_slot, next: Some(&second), ..claim() };
        let mut update = ethereum::update(&chain, BeaconFork::Electra, &first, &claim);
        change(&mut update);
        let claim = Claim { attested_slot: 6484, finalized_slot: 6468, next: None, ..claim };
        let finality = ethereum::update(&chain, BeaconFork::Electra, &second, &claim);
        let part = ledgerstone::anchor::evm::BeaconPart {
            committee: first.public.encode(),
            updates: vec![ethereum::fork_bytes(&update)],
            finality: ethereum::fork_bytes(&finality),
        };
        let committees = vec![PinnedCommittee { period: 100, root: first.public.root() }];
        beacon::verify_part(&part, &beacon::Trust { chain: chain.clone(), committees })
            .map(|found| found.period)
    };
    assert_eq!(verdict(6420, 6404, |_| {}), Ok(101));
    assert_eq!(
        verdict(6404, 6399, |_| {}),
        Err(BeaconError::NoNextCommittee(100)),
        "final in the period before"
    );
    assert_eq!(verdict(6399, 6396, |_| {}), Err(BeaconError::NoNextCommittee(100)), "attested there");
    let shown = verdict(6420, 6404, |update| {
        update.next.as_mut().unwrap().1.iter_mut().for_each(|word| *word = [0; 32]);
    });
    assert_eq!(shown, Err(BeaconError::Update(UpdateError::NextCommittee)), "a committee without a branch");
    let missing = verdict(6420, 6404, |update| {
        let (committee, branch) = update.next.as_mut().unwrap();
        committee.pubkeys.iter_mut().for_each(|key| *key = [0; 48]);
        committee.aggregate_pubkey = [0; 48];
        branch.iter_mut().for_each(|word| *word = [0; 32]);
    });
    assert_eq!(missing, Err(BeaconError::NoNextCommittee(100)), "neither");
    let slot = verdict(6420, 6404, |update| update.signature_slot += 1);
    assert_eq!(slot, Err(BeaconError::SignatureSlot { found: 6422, earliest: 6421 }));
}

/// A sound update of a committee.
fn sound() -> (beacon::Chain, Committee, Update) {
    let chain = ethereum::chain(BeaconFork::Deneb, MINIMAL);
    let committee = Committee::new(9, &MINIMAL);
    let update = ethereum::update(&chain, BeaconFork::Deneb, &committee, &claim());
    (chain, committee, update)
}

#[test]
fn slots_out_of_order_and_committees_of_another_size_are_refused() {
    let (chain, committee, sound) = sound();
    let verdict = |signature_slot| {
        let update = Update { signature_slot, ..sound.clone() };
        verify_update(&chain, &committee.public, &update).map(|verified| verified.participants)
    };
    assert_eq!((verdict(6421), verdict(6422)), (Ok(31), Ok(31)));
    assert_eq!((verdict(6420), verdict(0)), (Err(UpdateError::Slots), Err(UpdateError::Slots)));
    let claim = Claim { finalized_slot: 6421, ..claim() };
    let late = ethereum::update(&chain, BeaconFork::Deneb, &committee, &claim);
    assert_eq!(
        verify_update(&chain, &committee.public, &late),
        Err(UpdateError::Slots),
        "final before signed"
    );
    let mut fewer = committee.public.clone();
    fewer.pubkeys.pop();
    assert_eq!(verify_update(&chain, &fewer, &sound), Err(UpdateError::Size));
    let mut bits = sound;
    bits.aggregate.bits.push(0);
    assert_eq!(verify_update(&chain, &committee.public, &bits), Err(UpdateError::Size));
}

#[test]
fn a_bootstrap_pins_the_committee_that_its_block_names() {
    let committee = Committee::new(3, &MINIMAL);
    for fork in BeaconFork::ALL {
        let chain = ethereum::chain(fork, MINIMAL);
        let sound = ethereum::bootstrap(fork, 6420, &committee);
        let root = sound.header.beacon.root();
        let pinned = PinnedCommittee { period: 100, root: committee.public.root() };
        assert_eq!(PinnedCommittee::from_bootstrap(&chain, &sound, &root), Ok(pinned), "{fork:?}");
        let with = |change: fn(&mut beacon::Bootstrap)| {
            let mut changed = sound.clone();
            change(&mut changed);
            PinnedCommittee::from_bootstrap(&chain, &changed, &root).unwrap_err()
        };
        assert_eq!(with(|b| b.current_sync_committee.pubkeys.swap(0, 1)), BeaconError::Bootstrap);
        assert_eq!(with(|b| b.current_sync_committee.aggregate_pubkey[9] ^= 1), BeaconError::Bootstrap);
        assert_eq!(with(|b| b.branch[4][0] ^= 1), BeaconError::Bootstrap);
        assert_eq!(with(|b| _ = b.branch.pop()), BeaconError::Bootstrap);
        assert_eq!(with(|b| b.header.beacon.proposer_index += 1), BeaconError::Bootstrap, "another block");
        let execution = BeaconError::Update(UpdateError::Execution(6420));
        assert_eq!(with(|b| b.header.execution_branch[0][0] ^= 1), execution);
        let other = PinnedCommittee::from_bootstrap(&chain, &sound, &[1; 32]);
        assert_eq!(other, Err(BeaconError::Bootstrap));
    }
    let deneb = ethereum::chain(BeaconFork::Deneb, MINIMAL);
    let fulu = ethereum::bootstrap(BeaconFork::Fulu, 6420, &committee);
    let verdict = PinnedCommittee::from_bootstrap(&deneb, &fulu, &fulu.header.beacon.root());
    assert_eq!(verdict, Err(BeaconError::Update(UpdateError::Fork(6420))));
}

#[test]
fn an_execution_header_has_the_fields_of_its_fork_and_short_extra_data() {
    let (_, _, update) = sound();
    let header = &update.attested.execution;
    assert!(header.root(BeaconFork::Deneb).is_some());
    assert_eq!(header.root(BeaconFork::Capella), None, "it has blob gas, which Capella lacks");
    // The extra data of the last header ends the bytes: five there, at most thirty-two.
    let ssz = update.encode();
    let with = |more: usize| {
        let bytes = [ssz.as_slice(), &vec![7; more]].concat();
        Update::decode_finality(&bytes, BeaconFork::Deneb, &MINIMAL).map(|update| update.signature_slot)
    };
    assert_eq!((with(0), with(27)), (Ok(6421), Ok(6421)));
    assert_eq!(with(28), Err(beacon::SszError::ListLength));
    // They start where the fields of fixed size end, and at no other place that an offset may name.
    let mut apart = ssz.clone();
    let offset = ssz.len() - 5 - 584 + 436;
    assert_eq!(apart[offset..offset + 4], 584_u32.to_le_bytes());
    apart[offset..offset + 4].copy_from_slice(&588_u32.to_le_bytes());
    _ = apart.splice(ssz.len() - 5..ssz.len() - 5, [0; 4]);
    assert_eq!(
        Update::decode_finality(&apart, BeaconFork::Deneb, &MINIMAL).map(drop),
        Err(beacon::SszError::Offset)
    );
}

#[test]
fn a_bundle_of_mainnets_size_stays_below_a_hundred_kilobytes() {
    let (bundle, trust) = with_beacon(block().bundle(0), BeaconFork::Fulu, MAINNET, 0);
    let facts = verify(&bundle, &expected(), &trust).unwrap();
    assert_eq!(facts.finalized.unwrap().participants, 480);
    let committee = SyncCommittee::decode(&bundle.beacon.as_ref().unwrap().committee, &MAINNET).unwrap();
    assert_eq!(committee.encode().len(), 24_624);
    let bytes = bundle.encode().unwrap().len();
    assert!((25_000..100_000).contains(&bytes), "{bytes} bytes");
}
