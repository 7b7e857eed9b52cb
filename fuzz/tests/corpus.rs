//! The corpus is made by the library itself, so that it cannot fall behind the formats.
//!
//! Danger: a format changes and the corpus goes on testing refusals only. Expected: each seed that this test makes is the
//! committed file, byte for byte; `UPDATE_CORPUS=1` writes them. Further inputs in the folders, such as those that once
//! made a parser fail, are kept and replayed too.

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

#[path = "../../tests/support/ethereum.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod ethereum;
#[path = "../../verifier/tests/support/evidence.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod evidence;
#[path = "../../verifier/tests/support/log.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod log;

use std::convert::Infallible;
use std::path::{Path, PathBuf};

use ledgerstone::anchor::bitcoin::{self, Network};
use ledgerstone::anchor::opentimestamps::{
    Attestation, CalendarAnswer, DetachedTimestamp, HashOp, Op, Stamping, Timestamp,
};
use ledgerstone::anchor::rfc3161::{Imprint, Request};
use ledgerstone::approval::{Approvals, Change, ChangeKind, Nonce, Roster, Statement};
use ledgerstone::checkpoint::LogKeys;
use ledgerstone::cose::{CoseReceipt, ReceiptSigningKey};
use ledgerstone::encoding::{cbor, hex_decode};
use ledgerstone::entry::{
    DETAIL_SIGNATURES, DETAIL_STATEMENT, DecisionDetails, DecisionId, Detail, Entry, ModelDetails, Reference,
    RegisteredName, RegisteredVersion, SessionId, StartDetails, WriterName,
};
use ledgerstone::hash::{Hash, leaf_hash};
use ledgerstone::merkle::range::CompactRange;
use ledgerstone::policy::Policy;
use ledgerstone::receipt::Receipt;
use ledgerstone::record::{FieldPath, RecordBuilder, RecordSecret, Value};
use ledgerstone::store::batch::{Batch, BatchEntry};
use ledgerstone::store::journal::{Base, SegmentHeader, encode_record};
use ledgerstone::tile::EntryBundle;
use ledgerstone::time::UnixMillis;
use ledgerstone_fuzz::timestamps;
use ledgerstone_verifier::audit::{
    Beacon, BlockHeader, DrandRound, Given, Method, Plan, PlanFile, StrataFile, Stratification, Stratum,
    Values, redo,
};
use ledgerstone_verifier::report::assemble;

type Seed = (&'static str, &'static str, Vec<u8>);

fn keys() -> LogKeys {
    LogKeys::generate_from_seeds(&"example.com/fuzz".parse().unwrap(), [1; 32], [2; 32]).unwrap()
}

fn writer() -> WriterName {
    WriterName::parse("writer-0").unwrap()
}

fn start_entry() -> Vec<u8> {
    let details = StartDetails {
        version: "0.1.0".into(),
        configuration: Hash::of(b"configuration"),
        previous_session: None,
    };
    let entry = Entry::start(writer(), SessionId::from_bytes([7; 16]), details);
    Entry { recorded_at: UnixMillis::new(1_795_000_000_000), ..entry }.encode().unwrap()
}

fn model_entry() -> Vec<u8> {
    let details = ModelDetails {
        name: RegisteredName::parse("mortgage").unwrap(),
        version: RegisteredVersion::parse("2026.1").unwrap(),
        signature: Some(Hash::of(b"model.sig")),
    };
    let session = SessionId::from_bytes([7; 16]);
    Entry::model(writer(), session, 3, Hash::of(b"model"), details).encode().unwrap()
}

fn approval_statement() -> Statement {
    let change = Change::Model {
        name: RegisteredName::parse("mortgage").unwrap(),
        version: RegisteredVersion::parse("2026.1").unwrap(),
        digest: Hash::of(b"model"),
        signature: Some(Hash::of(b"model.sig")),
    };
    let created = UnixMillis::new(1_795_000_000_000);
    let expires = created.plus_millis(86_400_000);
    Statement {
        log: "example.com/fuzz".parse().unwrap(),
        change,
        created,
        expires,
        nonce: Nonce::new([4; 16]),
    }
}

fn signed_approval(keys: &LogKeys) -> String {
    Approvals::sign(approval_statement(), &[], |text| keys.sign_text(text)).unwrap().to_string()
}

fn approvers(keys: &LogKeys) -> String {
    format!("# who may approve\napprover alice {}\n", keys.vkeys()[0])
}

fn approval_roster(keys: &LogKeys) -> Vec<u8> {
    let rules = [ChangeKind::Model, ChangeKind::Roster].map(|kind| (kind, "1 of alice".parse().unwrap()));
    Roster::new(approvers(keys).as_bytes(), &rules.into()).unwrap().public().to_bytes()
}

/// The entry with the approval that it needs.
fn approved_entry(keys: &LogKeys, entry: &[u8]) -> Vec<u8> {
    let entry = Entry::decode(entry).unwrap();
    let note = Approvals::parse(signed_approval(keys).as_bytes()).unwrap();
    let signature = [&[0], note.note().signatures()[0].bytes()].concat();
    let details = entry.details.clone();
    let details = details.with(DETAIL_STATEMENT, Detail::Text(approval_statement().to_text()));
    let details = details.with(DETAIL_SIGNATURES, Detail::Bytes(signature));
    Entry { details, ..entry }.encode().unwrap()
}

/// A decision's entry and the receipt's disclosure of one of its fields.
fn decision() -> (Vec<u8>, ledgerstone::disclosure::Disclosure) {
    let path = |text: &str| FieldPath::parse(text).unwrap();
    let record = RecordBuilder::new()
        .field(path("decision/route"), Value::Text("lending".into()))
        .and_then(|builder| builder.field(path("outcome/action"), Value::Text("approve".into())))
        .and_then(|builder| builder.field(path("output/score/probability"), Value::Float(0.875)))
        .and_then(RecordBuilder::build)
        .unwrap();
    let secret = RecordSecret::from_bytes([9; 32]);
    let tree = record.commit(&secret);
    let id = DecisionId::from_bytes([3; 16]);
    let details = DecisionDetails { status: 0 };
    let entry = Entry::decision(writer(), SessionId::from_bytes([7; 16]), 1, id, tree.commitment(), details);
    let entry = Entry { recorded_at: UnixMillis::new(1_795_000_000_500), ..entry };
    (entry.encode().unwrap(), tree.disclose(&[1]).unwrap())
}

fn journal_segment(batch: &Batch) -> Vec<u8> {
    let origin = Hash::of(b"example.com/fuzz");
    let header = SegmentHeader { origin, number: 1, settled: false, base: Base::empty() };
    let mut segment = header.encode();
    let (record, _) = encode_record(batch, 0, &Base::empty().checksum, &origin).unwrap();
    segment.extend(record);
    segment
}

fn values() -> Vec<u8> {
    let mut writer = cbor::Writer::new();
    let inner = Value::Array(vec![Value::Bytes(vec![0, 255]), Value::Float(f64::NAN), Value::Null]);
    Value::Array(vec![
        Value::Int(-5),
        Value::Int(1 << 40),
        Value::Text("é".into()),
        Value::Bool(true),
        inner,
    ])
    .encode(&mut writer);
    writer.into_bytes()
}

/// A small model that its own library wrote; the verifier's tests keep them.
fn models(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../verifier/tests/vectors/models");
    std::fs::read(folder.join(name)).unwrap()
}

/// A signature or a key of a model folder; the verifier's tests keep them.
fn signed(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../verifier/tests/vectors/oms");
    std::fs::read(folder.join(name)).unwrap()
}

/// The worked example of the scorecards' page.
fn scorecard() -> Vec<u8> {
    let page = include_str!("../../docs/spec/scorecard.md");
    page.split("```json\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap().into()
}

/// A plan that draws from the tree.
fn audit_plan(checkpoint: &ledgerstone::checkpoint::Checkpoint) -> Plan {
    let beacon = |text: String| text.parse::<Beacon>().unwrap();
    let digest = Hash::of(b"fuzz");
    Plan {
        checkpoint: checkpoint.clone(),
        first: 0,
        last: 1,
        method: Method::Sequential,
        tolerable: "1%".parse().unwrap(),
        confidence: "95%".parse().unwrap(),
        expected: "0.1%".parse().unwrap(),
        allowed: 1,
        profile: Some(digest),
        pass_ambiguous: false,
        strata: Some(Stratification {
            file: Hash::of(STRATA.as_bytes()),
            strata: vec![Stratum { name: "first".into(), tolerable: "50%".parse().unwrap(), allowed: 0 }],
        }),
        beacons: [
            format!("drand:{QUICKNET}:42"),
            "block:bitcoin:0".into(),
            format!("nonce:a:{}", Hash::of(digest.as_bytes())),
        ]
        .map(beacon)
        .into(),
    }
}

/// The results of a range with one exception.
const RESULTS: &[u8] = include_bytes!("../../verifier/tests/vectors/range.jsonl");

/// How the model of an example is recomputed.
fn described(example: &str) -> Vec<u8> {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    std::fs::read(examples.join(example).join("model/recompute.json")).unwrap()
}

/// A regulation pack that comes along.
fn packs(name: &str) -> Vec<u8> {
    let (_, text) = ledgerstone::pack::BUILT_IN.iter().find(|(known, _)| *known == name).unwrap();
    text.as_bytes().to_vec()
}

/// How a language model is recomputed.
const PROMPT: &str = r#"{"format": "ledgerstone-recompute/v1", "model": "model.gguf", "prompt": {"feature": "note", "tokens_max": 4, "temperature": 0.5,
    "top_p": 0.9, "seed": 7, "tokens": "tokens", "logits": "logits", "text": "answer"},
    "label": {"words": {"names": ["low", "high"], "otherwise": "unclear"}}}"#;

/// How a text model is recomputed whose reasons are words.
const WORDS: &str = r#"{"format": "ledgerstone-recompute/v1", "text": {"feature": "resume"},
    "scores": [{"name": "callback", "of": "answer", "index": 1}], "tensors": [{"name": "vector", "of": "vector", "dtype": "FP32"}],
    "label": {"threshold": {"of": "answer", "index": 1, "value": 0.5, "above": "invite", "below": "decline"}},
    "reasons": {"from": {"integrated_gradients": {"of": "margins", "index": 1, "push": "down", "steps": 16, "rule": "gausslegendre", "baseline": "pad"}},
    "count": 2, "table": [{"feature": "gaps", "code": "GAPS", "text": "gaps in work"}]}}"#;

/// Its report.
fn audit_report(auditor: &LogKeys) -> Vec<u8> {
    assemble(RESULTS, None).unwrap().sign(auditor).unwrap().into_bytes()
}

fn audit_draw(plan: &Plan) -> Vec<u8> {
    let values = Values {
        drand: Some(DrandRound::parse(ROUND.as_bytes()).unwrap()),
        block: Some(BlockHeader::parse(HEADER.as_bytes()).unwrap()),
        nonces: vec![("a".into(), Hash::of(b"fuzz"))],
        ..Values::default()
    };
    let kinds = |indices: &[u64]| Ok::<_, Infallible>(indices.iter().map(|index| *index == 0).collect());
    let mut bytes = Vec::new();
    let strata = StrataFile::parse(STRATA.as_bytes()).unwrap();
    redo(plan, Given { reveals: &values.reveal(plan).unwrap(), chain: None, strata: Some(&strata) }, kinds)
        .unwrap()
        .write(&mut bytes)
        .unwrap();
    bytes
}

const QUICKNET: &str = "52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971";
const CHAIN: &str = r#"{"public_key":"83cf0f2896adee7eb8b5f01fcad3912212c437e0073e911fb90022d3e760183c8c4b450b6a0a6c3ac6a5776a2d1064510d1fec758c921cc22b0e17e63aaf4bcb5ed66304de9cf809bd274ca73bab4af5a6e9c76a4bc09e76eae8991ef5ece45a","period":3,"genesis_time":1692803367,"hash":"52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971","groupHash":"f477d5c89f21a17c863a7f937c6a6d15859414d2be09cd448d4279af331c5d3e","schemeID":"bls-unchained-g1-rfc9380","metadata":{"beaconID":"quicknet"}}"#;
const ROUND: &str = r#"{"round":42,"signature":"95a9f9f5b231b7714de1553105d8ffdf3dcda24cfdb1e689319bccf79a9c8ce430a91b811fbfaf763900bc998b5d686a","randomness":"8ada64bae5c6c0f5540a6a13af56e663240edfbd2c76ac6a8f27671eb7259ce3"}"#;
const STRATA: &str = "0 first\n1 second\n";
const HEADER: &str = "0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a29ab5f49ffff001d1dac2b7c";

/// Bitcoin's block 1.
const SECOND: &str = "010000006fe28c0ab6f1b372c1a6a246ae63f74f931e8365e15a089c68d6190000000000982051fd1e4ba744bbbe680e1fee14677ba1a3c3540bf7b1cdb606e857233e0e61bc6649ffff001d01e36299";

/// Twelve headers with the easiest target there is.
fn test_chain() -> Vec<u8> {
    let (mut chain, mut previous) = (Vec::new(), [0; 32]);
    for block in 0..12_u32 {
        let header = (0_u32..).find_map(|nonce| {
            let numbers = [1_700_000_000 + 600 * block, Network::Regtest.easiest_bits(), nonce];
            let tail = numbers.map(u32::to_le_bytes).concat();
            let bytes = [&4_u32.to_le_bytes()[..], &previous, &[7; 32], &tail].concat();
            let header = bitcoin::BlockHeader::from_bytes(bytes.try_into().unwrap());
            header.shows_work(Network::Regtest).unwrap().then_some(header)
        });
        let header = header.unwrap();
        previous = *header.hash().header_order();
        chain.extend(header.as_bytes());
    }
    chain
}

fn promise(calendar: &str) -> Timestamp {
    Timestamp::attested(Attestation::Pending(calendar.parse().unwrap()))
}

/// What two calendars promise.
fn pending_timestamp() -> DetachedTimestamp {
    let stamping = Stamping::new(Hash::of(b"fuzz"), [5; 16]);
    let answers = ["https://a.example", "https://b.example/calendar"].map(|calendar| {
        let mut body = vec![0xf0, 4, 1, 2, 3, 4, 0x00, 0x83, 0xdf, 0xe3, 0x0d, 0x2e, 0xf9, 0x0c, 0x8e];
        let length = u8::try_from(calendar.len()).unwrap();
        body.extend([length + 1, length]);
        body.extend(calendar.as_bytes());
        CalendarAnswer::parse(&body, stamping.commitment().as_bytes()).unwrap()
    });
    stamping.finish(&answers).unwrap()
}

/// A proof with every operation and a fork at each.
fn every_operation() -> Vec<u8> {
    let hashes = [HashOp::Sha1, HashOp::Ripemd160, HashOp::Keccak256, HashOp::Sha256].map(Op::Hash);
    let other = [Op::Reverse, Op::Hexlify, Op::Append(vec![1]), Op::Prepend(vec![2, 3])];
    let mut tree = Timestamp::attested(Attestation::Bitcoin { height: 358_391 });
    for operation in hashes.into_iter().rev().chain(other).chain([Op::Hash(HashOp::Sha256)]) {
        let mut forked = Timestamp::after(operation, tree);
        forked.merge(&Timestamp::attested(Attestation::Litecoin { height: 300 }));
        forked.merge(&promise("https://a.example"));
        tree = forked;
    }
    let proof = DetachedTimestamp::new(HashOp::Sha256, Hash::of(b"fuzz").as_bytes(), tree).unwrap();
    let unknown = [&[0xff, 0x00][..], &[9; 8], &[3, 1, 2, 3]].concat();
    let mut bytes = proof.to_bytes();
    // An attestation of an unknown kind stands first in the outermost node, after magic, version, hash and digest.
    bytes.splice(31 + 2 + 32..31 + 2 + 32, unknown);
    bytes
}

fn seeds() -> Vec<Seed> {
    let keys = keys();
    let (start, (decision, disclosure)) = (start_entry(), decision());
    let entries =
        [&start, &decision].map(|bytes| BatchEntry { bytes: bytes.clone(), sealed: b"sealed".to_vec() });
    let batch =
        Batch::build(&CompactRange::empty(), UnixMillis::new(1_795_000_000_500), entries.into()).unwrap();
    let checkpoint = keys.checkpoint(batch.size(), batch.root());
    let note = keys.sign(&checkpoint);
    let plan = audit_plan(&checkpoint);
    let auditor =
        LogKeys::generate_from_seeds(&"auditor.example".parse().unwrap(), [3; 32], [4; 32]).unwrap();
    let index = ledgerstone::merkle::LeafIndex::new(1);
    let proof = batch.prove(index).unwrap();
    let receipt_key = ReceiptSigningKey::from_seed(keys.origin().clone(), &[5; 32]).unwrap();
    let cose =
        CoseReceipt::sign(&receipt_key, &leaf_hash(&decision), index, batch.size(), proof.clone()).unwrap();
    let receipt = Receipt::new(decision.clone(), disclosure, index, proof, note.clone()).unwrap();
    let with_cose = receipt.clone().with_cose(cose.clone());
    let vkeys = keys.vkeys();
    let mut policy = Policy::for_log(&vkeys).unwrap().to_bytes();
    policy.splice(0..0, *b"# who counts\n");
    let receipt_keys = [receipt_key.receipt_key().clone()];
    let with_key = Policy::for_log(&vkeys).unwrap().with_receipt_keys(&receipt_keys).unwrap().to_bytes();
    let model = br#"{"learner":{"attributes":{},"feature_names":["a","b"],"feature_types":["float","float"],"gradient_booster":{"model":{"gbtree_model_param":{"num_parallel_tree":"1","num_trees":"1"},"tree_info":[0],"trees":[{"base_weights":[0,0.5,-0.5],"categories":[],"categories_nodes":[],"categories_segments":[],"categories_sizes":[],"default_left":[1,0,0],"id":0,"left_children":[1,-1,-1],"loss_changes":[1,0,0],"parents":[2147483647,0,0],"right_children":[2,-1,-1],"split_conditions":[0.25,0.5,-0.5],"split_indices":[1,0,0],"split_type":[0,0,0],"sum_hessian":[2,1,1],"tree_param":{"num_deleted":"0","num_feature":"2","num_nodes":"3","size_leaf_vector":"1"}}]},"name":"gbtree"},"learner_model_param":{"base_score":"5E-1","boost_from_average":"1","num_class":"0","num_feature":"2","num_target":"1"},"objective":{"name":"binary:logistic","reg_loss_param":{"scale_pos_weight":"1"}}},"version":[2,1,0]}"#;
    vec![
        ("approval", "statement", approval_statement().to_text().into_bytes()),
        ("approval", "signed", signed_approval(&keys).into_bytes()),
        ("approval_roster", "file", approvers(&keys).into_bytes()),
        ("approval_roster", "public", approval_roster(&keys)),
        ("approved_entry", "model", approved_entry(&keys, &model_entry())),
        ("approved_entry", "start", start.clone()),
        ("audit_beacon", "block", b"block:bitcoin:900000".to_vec()),
        ("audit_beacon", "nonce", format!("nonce:a:{}", Hash::of(b"fuzz")).into_bytes()),
        ("audit_block_header", "first", HEADER.into()),
        ("audit_drand_chain", "quicknet", CHAIN.into()),
        ("audit_drand_round", "quicknet", ROUND.into()),
        ("audit_draw", "three_sources", audit_draw(&plan)),
        ("audit_plan", "sequential", plan.to_json().unwrap().into_bytes()),
        ("audit_strata", "two", STRATA.into()),
        ("audit_plan", "signed", PlanFile::sign(&plan, &auditor).unwrap().into_bytes()),
        ("audit_report", "range", audit_report(&auditor)),
        ("audit_results", "range", RESULTS.to_vec()),
        ("bitcoin_headers", "main-chain", [HEADER, SECOND].map(|hex| hex_decode(hex).unwrap()).concat()),
        ("bitcoin_headers", "test-chain", test_chain()),
        ("cbor_value", "values", values()),
        ("checkpoint", "two-entries", checkpoint.to_string().into_bytes()),
        ("cose_receipt", "two-entries", cose.encode()),
        ("decision_reference", "typed", Reference::of(receipt.decision()).to_string().into_bytes()),
        ("entry", "start", start.clone()),
        ("entry", "decision", decision.clone()),
        ("entry", "model", model_entry()),
        ("entry_bundle", "two-entries", EntryBundle::encode(&[start, decision]).unwrap()),
        ("evidence_archive", "three-decisions", evidence::Evidence::of(3, 1).archive()),
        ("field_path", "plain", b"output/score/probability".to_vec()),
        ("journal_segment", "one-batch", journal_segment(&batch)),
        ("oms_bundle", "p256", signed("mortgage.sig")),
        ("oms_bundle", "p384", signed("p384.sig")),
        ("oms_key", "p256", signed("mortgage.pem")),
        ("oms_key", "p384", signed("p384.pem")),
        ("opentimestamps", "pending", pending_timestamp().to_bytes()),
        ("opentimestamps", "every-operation", every_operation()),
        ("pack", "eu-ai-act", packs("eu-ai-act")),
        ("pack", "reg-b", packs("reg-b")),
        ("pack", "sec-17a4", packs("sec-17a4")),
        ("policy", "one-log", policy),
        ("policy", "receipt-key", with_key),
        ("receipt", "cose", with_cose.to_json().into_bytes()),
        ("receipt", "one-field", receipt.to_json().into_bytes()),
        ("rfc3161_reply", "granted", timestamp_reply(true)),
        ("rfc3161_reply", "refused", timestamp_reply(false)),
        ("rfc3161_request", "nonce", timestamp_request(None).encode()),
        ("rfc3161_request", "policy", timestamp_request(Some("1.2.3")).encode()),
        ("rfc3161_trust", "root", timestamps::authority().unwrap().root_pem().into_bytes()),
        ("signed_note", "checkpoint", note.into_bytes()),
        ("signing_key", "log-keys", keys.to_text().as_bytes().to_vec()),
        ("tile_path", "full", b"tile/0/x001/x234/067".to_vec()),
        ("tile_path", "partial-bundle", b"tile/entries/000.p/17".to_vec()),
        ("tlog_proof", "two-entries", receipt.tlog_proof().to_string().into_bytes()),
        ("verifier_key", "ed25519", vkeys[0].to_string().into_bytes()),
        ("verifier_key", "ml-dsa-44", vkeys[1].to_string().into_bytes()),
        ("xgboost_model", "one-tree", model.to_vec()),
        ("xgboost_model", "categorical", models("xgboost_binary.json")),
        ("xgboost_model", "linear", models("xgboost_linear.json")),
        ("xgboost_ubjson", "classes", models("xgboost_classes_ubj.ubj")),
        ("xgboost_ubjson", "dart", models("xgboost_dart_ubj.ubj")),
        ("catboost_model", "categories", models("catboost_binary.json")),
        ("onnx_model", "forest", models("../onnx/onnx_forest.onnx")),
        ("onnx_model", "machine", models("../onnx/onnx_machine.onnx")),
        ("onnx_model", "network", models("../onnx/onnx_network.onnx")),
        ("onnx_model", "sets", models("../onnx/onnx_trees_6.onnx")),
        ("scorecard", "example", scorecard()),
        ("lightgbm_model", "binary", models("lightgbm_binary.txt")),
        ("lightgbm_model", "linear", models("lightgbm_linear.txt")),
        ("causal_config", "gemma3", CAUSAL.as_bytes().to_vec()),
        ("gguf_header", "one-tensor", gguf()),
        ("recompute_description", "columns", described("lending")),
        ("recompute_description", "prompt", PROMPT.into()),
        ("recompute_description", "words", WORDS.into()),
        ("safetensors", "two-tensors", tensors()),
        ("text_config", "bert", texts("bert/config.json")),
        ("text_config", "deberta", texts("deberta-v2/config.json")),
        ("text_config", "modernbert", texts("modernbert/config.json")),
        ("text_head", "two-labels", text_head()),
        ("tolerance_profile", "one-tamper", tolerance_profile()),
        ("text_tokenizer", "letters", texts("roberta/tokenizer.json")),
    ]
}

fn timestamp_request(policy: Option<&str>) -> Request {
    let request = Request::new(Imprint::of(timestamps::STATEMENT), u64::MAX);
    Request { policy: policy.map(|policy| policy.parse().unwrap()), ..request }
}

fn timestamp_reply(granted: bool) -> Vec<u8> {
    let request = timestamp_request(if granted { None } else { Some("1.2.3") });
    timestamps::authority().unwrap().answer(&request.encode(), timestamps::TIME, timestamps::SERIAL)
}

/// A file of the small text models that the verifier's tests keep.
fn texts(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../verifier/tests/vectors/text").join(name))
        .unwrap()
}

/// A classifier's weights: two labels on three numbers.
fn tensors() -> Vec<u8> {
    let header = br#"{"weight":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"bias":{"dtype":"F32","shape":[2],"data_offsets":[24,32]}}"#;
    let numbers = (0_u8..8).flat_map(|number| (f32::from(number) / 4.0).to_le_bytes());
    [&u64::try_from(header.len()).unwrap().to_le_bytes()[..], header, &numbers.collect::<Vec<u8>>()].concat()
}

fn tolerance_profile() -> Vec<u8> {
    let digest = "ab".repeat(32);
    let text = format!(
        r#"{{"format":"ledgerstone-tolerance-profile/v1","model":"{digest}","quantity":"vector","engine":"candle 0.11.1","dtype":"f32","machine":{{"target":"x86_64-linux","libm":"gnu","device":"cpu","instructions":["avx2"]}},"threads":[1,2],"batches":[1,16],"inputs":"{digest}","honest":{{"count":96,"max":2e-7,"p999":2e-7}},"tau":4e-6,"tampers":[{{"name":"weights f16","count":48,"detected":48,"min":0.00012}}]}}"#
    );
    keys().sign_text(text + "\n").unwrap().to_string().into_bytes()
}

/// Settings of a language model in a folder.
const CAUSAL: &str = r#"{"architectures": ["Gemma3ForCausalLM"], "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2,
    "num_key_value_heads": 1, "head_dim": 8, "intermediate_size": 24, "vocab_size": 82, "max_position_embeddings": 64, "rms_norm_eps": 1e-5,
    "query_pre_attn_scalar": 10, "sliding_window": 5, "sliding_window_pattern": 3, "rope_scaling": {"rope_type": "linear", "factor": 2.0},
    "hidden_activation": "gelu_pytorch_tanh", "eos_token_id": [1, 2]}"#;

/// A GGUF file with the keys that a network needs, and one tensor.
fn gguf() -> Vec<u8> {
    let text = |text: &str| [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat();
    let number = |number: u32| number.to_le_bytes().to_vec();
    let tokens = [&8_u32.to_le_bytes()[..], &2_u64.to_le_bytes(), &text("a"), &text("<end>")].concat();
    let keys = [
        ("general.architecture", 8, text("llama")),
        ("llama.embedding_length", 4, number(8)),
        ("llama.attention.head_count", 4, number(2)),
        ("llama.attention.head_count_kv", 4, number(1)),
        ("llama.rope.dimension_count", 4, number(4)),
        ("llama.attention.layer_norm_rms_epsilon", 6, 1e-5_f32.to_le_bytes().to_vec()),
        ("llama.block_count", 4, number(1)),
        ("llama.feed_forward_length", 4, number(16)),
        ("llama.context_length", 4, number(64)),
        ("tokenizer.ggml.model", 8, text("gpt2")),
        ("tokenizer.ggml.pre", 8, text("smollm")),
        ("tokenizer.ggml.tokens", 9, tokens),
        ("tokenizer.ggml.eos_token_id", 4, number(1)),
    ];
    let mut bytes = [&b"GGUF"[..], &3_u32.to_le_bytes(), &1_u64.to_le_bytes()].concat();
    bytes.extend((keys.len() as u64).to_le_bytes());
    for (key, kind, value) in keys {
        bytes.extend([text(key), number(kind), value].concat());
    }
    bytes.extend(
        [text("token_embd.weight"), number(2), 8_u64.to_le_bytes().to_vec(), 2_u64.to_le_bytes().to_vec()]
            .concat(),
    );
    bytes.extend([number(0), vec![0; 8]].concat());
    bytes.resize(bytes.len().next_multiple_of(32) + 64, 0);
    bytes
}

fn text_head() -> Vec<u8> {
    let json = br#"{"format":"ledgerstone-text-head/v1","labels":["no","yes"],"link":"softmax"}"#;
    [&json[..], b"\n", &tensors()].concat()
}

/// Bundles with and without a light client's part, a header, updates.
fn anchors() -> Vec<Seed> {
    use ledgerstone::anchor::evm::BeaconFork;
    use ledgerstone::anchor::evm::beacon::MINIMAL;

    let block = ethereum::Block::new();
    let mut plain = block.bundle(1);
    plain.receipt = Some(block.receipt_proof(5));
    let (whole, _) = ethereum::with_beacon(block.bundle(0), BeaconFork::Deneb, MINIMAL, 1);
    let (electra, _) = ethereum::with_beacon(block.bundle(0), BeaconFork::Electra, MINIMAL, 0);
    let part = whole.beacon.clone().unwrap();
    vec![
        ("beacon_update", "update", part.updates[0].ssz.clone()),
        ("beacon_update", "finality", part.finality.ssz),
        ("beacon_update", "electra", electra.beacon.unwrap().finality.ssz),
        ("evm_bundle", "plain", plain.encode().unwrap()),
        ("evm_bundle", "beacon", whole.encode().unwrap()),
        ("evm_header", "header", plain.headers[0].clone()),
    ]
}

/// What nodes of chains answer.
fn nodes() -> Vec<Seed> {
    use ledgerstone::anchor::evm::keccak256;
    use serde_json::{Value, json};

    let hex = |bytes: &[u8]| format!("0x{}", ledgerstone::encoding::hex_encode(bytes));
    let word = |byte: u8| hex(&[byte; 32]);
    let nodes = |nodes: &[Vec<u8>]| nodes.iter().map(|node| json!(hex(node))).collect::<Value>();
    let answer = |result: Value| {
        json!({ "jsonrpc": "2.0", "id": ledgerstone_fuzz::nodes::ID, "result": result })
            .to_string()
            .into_bytes()
    };
    let chain = ethereum::Block::new();
    let bundle = chain.bundle(0);
    let header = ethereum::header(1000, &[1; 32], &chain.state().root(), &chain.receipts.root());
    assert_eq!(header, bundle.headers[0]);
    let block = json!({
        "hash": hex(&keccak256(&header)), "parentHash": word(1), "sha3Uncles": word(2), "miner": hex(&[3; 20]),
        "stateRoot": hex(&chain.state().root()), "transactionsRoot": word(5),
        "receiptsRoot": hex(&chain.receipts.root()), "logsBloom": hex(&[0; 256]), "difficulty": "0x0",
        "number": "0x3e8", "gasLimit": "0x2255100", "gasUsed": "0xbc614e",
        "timestamp": format!("{:#x}", 1_795_000_000 + 12 * 1000), "extraData": hex(b"extra"), "mixHash": word(14),
        "nonce": hex(&[0; 8]), "baseFeePerGas": "0x7", "withdrawalsRoot": word(17), "blobGasUsed": "0x0",
        "excessBlobGas": "0x20000", "parentBeaconBlockRoot": word(20), "requestsHash": word(21), "transactions": [],
    });
    let [packed, statement, _] =
        ledgerstone::anchor::evm::LogId::new(&ethereum::FIRST_KEY, ethereum::ORIGIN).slots();
    let value = ethereum::packed(ethereum::SEQ, ethereum::SIZE, &ethereum::FIRST_KEY);
    let proof = json!({
        "address": hex(&ethereum::CONTRACT), "balance": "0x0", "nonce": "0x1",
        "codeHash": hex(&ledgerstone::anchor::evm::code_hash()), "storageHash": hex(&chain.storage.root()),
        "accountProof": nodes(&bundle.account_proof),
        "storageProof": [
            { "key": hex(&packed), "value": hex(&value), "proof": nodes(&bundle.packed_proof) },
            { "key": hex(&statement), "value": hex(ethereum::statement().as_bytes()), "proof": nodes(&bundle.statement_proof) },
        ],
    });
    let receipt = |index: u64, kind: &str| {
        json!({
            "transactionHash": word(0x70 + index as u8), "transactionIndex": format!("{index:#x}"), "blockHash": word(9),
            "blockNumber": "0x3e8", "gasUsed": "0x9000", "effectiveGasPrice": "0x7", "status": "0x1", "type": kind,
            "cumulativeGasUsed": format!("{:#x}", 0x9000 * (index + 1)), "logsBloom": hex(&[0; 256]),
            "logs": [{ "address": hex(&ethereum::CONTRACT), "topics": [word(4)], "data": "0x0102" }],
        })
    };
    let refused = json!({ "id": 1, "error": { "code": -32000, "message": "nonce too low" } });
    vec![
        ("rpc_answer", "block", answer(block)),
        ("rpc_answer", "hash", answer(json!(word(0x70)))),
        ("rpc_answer", "null", answer(Value::Null)),
        ("rpc_answer", "proof", answer(proof)),
        ("rpc_answer", "quantity", answer(json!("0x3b9aca00"))),
        ("rpc_answer", "receipt", answer(receipt(0, "0x2"))),
        ("rpc_answer", "receipts", answer(json!([receipt(0, "0x0"), receipt(1, "0x2"), receipt(2, "0x7e")]))),
        ("rpc_answer", "refused", refused.to_string().into_bytes()),
        ("beacon_answer", "bootstrap", light_client("bootstrap").to_string().into_bytes()),
        ("beacon_answer", "finality", light_client("finality").to_string().into_bytes()),
        ("beacon_answer", "updates", json!([light_client("update")]).to_string().into_bytes()),
    ]
}

/// An answer of a beacon node of the small test network, in which every value is zero.
fn light_client(what: &str) -> serde_json::Value {
    use serde_json::json;

    let zeros = |count: usize| format!("0x{}", "00".repeat(count));
    let branch = |depth: usize| vec![zeros(32); depth];
    let header = json!({
        "beacon": {
            "slot": "0", "proposer_index": "0", "parent_root": zeros(32), "state_root": zeros(32), "body_root": zeros(32),
        },
        "execution": {
            "parent_hash": zeros(32), "fee_recipient": zeros(20), "state_root": zeros(32), "receipts_root": zeros(32),
            "logs_bloom": zeros(256), "prev_randao": zeros(32), "block_number": "0", "gas_limit": "0", "gas_used": "0",
            "timestamp": "0", "extra_data": "0x", "base_fee_per_gas": "0", "block_hash": zeros(32),
            "transactions_root": zeros(32), "withdrawals_root": zeros(32), "blob_gas_used": "0", "excess_blob_gas": "0",
        },
        "execution_branch": branch(4),
    });
    let committee = json!({ "pubkeys": vec![zeros(48); 32], "aggregate_pubkey": zeros(48) });
    let mut data = json!({
        "attested_header": header, "finalized_header": header, "finality_branch": branch(6), "signature_slot": "1",
        "sync_aggregate": { "sync_committee_bits": zeros(4), "sync_committee_signature": zeros(96) },
    });
    match what {
        "update" => {
            data["next_sync_committee"] = committee;
            data["next_sync_committee_branch"] = json!(branch(5));
        }
        "bootstrap" => {
            data = json!({
                "header": header, "current_sync_committee": committee, "current_sync_committee_branch": branch(5),
            });
        }
        _ => {}
    }
    json!({ "version": "deneb", "data": data })
}

#[test]
fn the_committed_seeds_are_those_the_library_makes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let update = std::env::var_os("UPDATE_CORPUS").is_some();
    for (target, name, bytes) in seeds().into_iter().chain(anchors()).chain(nodes()) {
        assert!(ledgerstone_fuzz::TARGETS.iter().any(|t| t.name == target), "no target {target}");
        let path: PathBuf = root.join(target).join(name);
        if update {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &bytes).unwrap();
        }
        assert_eq!(std::fs::read(&path).ok(), Some(bytes), "{}: run with UPDATE_CORPUS=1", path.display());
    }
}
