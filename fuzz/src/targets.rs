//! The targets, each named as its folder under `fuzz/corpus/`.

use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use ledgerstone::checkpoint::{Checkpoint, LogKeys};
use ledgerstone::cose::CoseReceipt;
use ledgerstone::encoding::cbor;
use ledgerstone::entry::{Entry, Kind, Reference};
use ledgerstone::hash::Hash;
use ledgerstone::note::{SignedNote, VerifierKey};
use ledgerstone::pack::{Docket, Pack, PackRef, PackSet, Told};
use ledgerstone::policy::Policy;
use ledgerstone::receipt::{Receipt, TlogProof};
use ledgerstone::record::{FieldPath, SealedUnder, Value};
use ledgerstone::store::journal::Reader as JournalReader;
use ledgerstone::tile::{EntryBundle, TilePath};
use ledgerstone::time::UnixMillis;
use ledgerstone::vault::Vault;
use ledgerstone_verifier::audit::profile::Profile;
use ledgerstone_verifier::audit::results;
use ledgerstone_verifier::audit::{
    Beacon, BlockHeader, DrandChain, DrandRound, Draw, Plan, PlanFile, StrataFile,
};
use ledgerstone_verifier::bundle::{self, Order};
use ledgerstone_verifier::oms::{Bundle, PublicKey, Statement};
use ledgerstone_verifier::recompute::description::{self, Description, Input, Label};
use ledgerstone_verifier::recompute::neural::design::Design;
use ledgerstone_verifier::recompute::neural::{causal, config, gguf, head, safetensors, tokenizer};
use ledgerstone_verifier::recompute::tamper::{Stretch, Tamper};
use ledgerstone_verifier::recompute::{Model, ModelError, RowError, Texts, onnx};
use ledgerstone_verifier::report::{self, Report, ReportFile};

use crate::{
    access, anchors, approvals, backups, gate, injector, keys, nodes, notices, operations, siem, sinks,
    timestamps, tls,
};

/// A parser of bytes from outside.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The target's name and that of its corpus folder.
    pub name: &'static str,
    /// Feeds the bytes to the parser; true if it accepted them. Panics where the parser breaks its promise.
    pub run: fn(&[u8]) -> bool,
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target { name: "access_jwks", run: access::access_jwks },
    Target { name: "access_rule", run: access::access_rule },
    Target { name: "access_token", run: access::access_token },
    Target { name: "admission_review", run: injector::admission_review },
    Target { name: "anchor_record", run: anchors::anchor_record },
    Target { name: "anchor_statement", run: anchors::anchor_statement },
    Target { name: "anchor_lane", run: anchors::anchor_lane },
    Target { name: "anchor_trust", run: anchors::anchor_trust },
    Target { name: "approval", run: approvals::approval },
    Target { name: "approval_roster", run: approvals::roster },
    Target { name: "approved_entry", run: approvals::approved_entry },
    Target { name: "audit_beacon", run: canonical_text::<Beacon> },
    Target { name: "audit_block_header", run: audit_block_header },
    Target { name: "audit_drand_chain", run: audit_drand_chain },
    Target { name: "audit_drand_round", run: audit_drand_round },
    Target { name: "audit_draw", run: audit_draw },
    Target { name: "audit_plan", run: audit_plan },
    Target { name: "audit_strata", run: |bytes| StrataFile::parse(bytes).is_ok() },
    Target { name: "audit_report", run: audit_report },
    Target { name: "audit_results", run: audit_results },
    Target { name: "bitcoin_headers", run: anchors::bitcoin_headers },
    Target { name: "backup_sums", run: backups::backup_sums },
    Target { name: "beacon_answer", run: nodes::beacon_answer },
    Target { name: "beacon_update", run: anchors::beacon_update },
    Target { name: "catboost_model", run: model },
    Target { name: "cbor_value", run: cbor_value },
    Target { name: "checkpoint", run: checkpoint },
    Target { name: "entry", run: entry },
    Target { name: "entry_bundle", run: entry_bundle },
    Target { name: "evidence_archive", run: evidence_archive },
    Target { name: "evm_bundle", run: anchors::evm_bundle },
    Target { name: "evm_header", run: anchors::evm_header },
    Target { name: "field_path", run: field_path },
    Target { name: "causal_config", run: causal_config },
    Target { name: "gate_rule", run: gate::rule },
    Target { name: "gguf_header", run: gguf_header },
    Target { name: "handover_greeting", run: ledgerstone_sidecar::handover::is_greeting },
    Target { name: "injector_template", run: injector::injector_template },
    Target { name: "journal_segment", run: journal_segment },
    Target { name: "kafka_answer", run: sinks::kafka_answer },
    Target { name: "key_answer", run: keys::key_answer },
    Target { name: "lightgbm_model", run: model },
    Target { name: "nats_said", run: sinks::nats_said },
    Target { name: "notice_data", run: notices::data },
    Target { name: "notice_document", run: notices::document },
    Target { name: "oms_bundle", run: oms_bundle },
    Target { name: "oms_key", run: oms_key },
    Target { name: "onnx_model", run: model },
    Target { name: "opentimestamps", run: anchors::opentimestamps },
    Target { name: "otlp_status", run: sinks::otlp_status },
    Target { name: "pack", run: pack },
    Target { name: "policy", run: policy },
    Target { name: "cose_receipt", run: cose_receipt },
    Target { name: "decision_reference", run: decision_reference },
    Target { name: "receipt", run: receipt },
    Target { name: "recompute_description", run: recompute_description },
    Target { name: "rfc3161_reply", run: timestamps::reply },
    Target { name: "rfc3161_request", run: timestamps::request },
    Target { name: "rfc3161_trust", run: timestamps::trust },
    Target { name: "rpc_answer", run: nodes::rpc_answer },
    Target { name: "safetensors", run: tensors },
    Target { name: "scorecard", run: model },
    Target { name: "sealed_record", run: sealed_record },
    Target { name: "signed_note", run: signed_note },
    Target { name: "signing_key", run: signing_key },
    Target { name: "text_config", run: text_config },
    Target { name: "text_head", run: text_head },
    Target { name: "text_tokenizer", run: |bytes| tokenizer::check(bytes).is_ok() },
    Target { name: "tile_path", run: tile_path },
    Target { name: "tlog_proof", run: tlog_proof },
    Target { name: "tolerance_profile", run: tolerance_profile },
    Target { name: "vault", run: vault },
    Target { name: "verifier_key", run: verifier_key },
    Target { name: "xgboost_model", run: model },
    Target { name: "xgboost_ubjson", run: model },
    Target { name: "spiffe_id", run: tls::spiffe_id },
    Target { name: "client_certificate", run: tls::client_certificate },
    Target { name: "workload_message", run: tls::workload_message },
    Target { name: "trace_metadata", run: ledgerstone_sidecar::telemetry::context::check_metadata },
    Target { name: "exposition", run: operations::exposition },
    Target { name: "sidecar_status", run: operations::sidecar_status },
    Target { name: "siem_event", run: siem::siem_event },
    Target { name: "siem_line", run: siem::siem_line },
];

/// The committed inputs of a target, in the order of their names.
#[must_use]
pub fn corpus(package: &Path, target: &str) -> Vec<Vec<u8>> {
    let Ok(folder) = std::fs::read_dir(package.join("corpus").join(target)) else { return Vec::new() };
    let mut paths: Vec<_> = folder.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths.iter().filter_map(|path| std::fs::read(path).ok()).collect()
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// Parses text that prints back as itself.
fn canonical_text<T: FromStr + ToString>(bytes: &[u8]) -> bool {
    let Some(text) = text(bytes) else { return false };
    let Ok(value) = T::from_str(text) else { return false };
    assert_eq!(value.to_string(), text, "accepted text must print back as itself");
    true
}

/// The header of a sealed record, whole and from its beginning.
fn sealed_record(bytes: &[u8]) -> bool {
    let whole = SealedUnder::read(bytes);
    if let Ok(under) = &whole {
        assert_eq!(SealedUnder::of_beginning(bytes).as_ref(), Ok(under));
    }
    whole.is_ok()
}

fn audit_block_header(bytes: &[u8]) -> bool {
    let Ok(header) = BlockHeader::parse(bytes) else { return false };
    assert_eq!(
        BlockHeader::parse(header.to_hex().as_bytes()),
        Ok(header),
        "a header reads back from its hex"
    );
    if let Ok(hash) = header.verify() {
        let zeros = hash.as_bytes().iter().take_while(|byte| **byte == 0).count();
        assert!(zeros >= 4, "a hash that passes took the work of Bitcoin's first block at least");
    }
    true
}

fn audit_drand_chain(bytes: &[u8]) -> bool {
    let Ok(chain) = DrandChain::parse(bytes) else { return false };
    for round in [0, 1, u64::MAX] {
        let _ = chain.due(round).map(|time| time.to_string());
    }
    true
}

fn audit_drand_round(bytes: &[u8]) -> bool {
    DrandRound::parse(bytes).is_ok()
}

fn audit_draw(bytes: &[u8]) -> bool {
    let Ok(draw) = Draw::parse(bytes) else { return false };
    let mut written = Vec::new();
    assert!(draw.write(&mut written).is_ok(), "memory takes what is written");
    assert_eq!(written, bytes, "a draw is its own canonical form");
    true
}

/// A report that reads is one text only, and can be checked and set on pages whatever it says.
fn audit_report(bytes: &[u8]) -> bool {
    let report = match ReportFile::parse(bytes) {
        Ok(file) => file.report().clone(),
        Err(_) => match text(bytes).map(Report::parse) {
            Some(Ok(report)) => report,
            _ => return false,
        },
    };
    let again = report.to_json().ok();
    assert!(
        again.is_some_and(|again| bytes.starts_with(again.as_bytes())),
        "accepted text must print back as itself"
    );
    let _ = report::recheck(&report);
    let pages = report::document(&report, "", "");
    assert!(!report::html(&pages).contains("<script"), "nothing from a report is markup");
    assert!(report::pdf(&pages).ends_with(b"%%EOF"));
    true
}

/// Results that read have the counts that they say.
fn audit_results(bytes: &[u8]) -> bool {
    let mut exceptions = 0;
    let read = results::read(bytes, |decision| exceptions += u64::from(decision.is_exception()));
    read.is_ok_and(|(_, tail)| {
        assert_eq!(tail.exceptions, exceptions);
        true
    })
}

/// What is read of a bundle is what its checkpoint's tree holds, in the order that it says.
fn evidence_archive(bytes: &[u8]) -> bool {
    let mut taken = 0;
    let front = |front: bundle::Front| Ok(Order::new(&front, front.draw.is_some().then(Vec::new)));
    let read = bundle::read_archive(bytes, Path::new("bundle"), front, |order, number, run| {
        let proved = order.prove(number, &run)?;
        let first = proved.entries.first().map_or(0, |(index, _)| index.get());
        let count = u64::try_from(proved.entries.len()).unwrap_or(u64::MAX);
        taken += count;
        order.take(first, count)
    });
    let Ok(order) = read else { return false };
    assert_eq!(order.taken(), taken);
    order.finish().is_ok()
}

/// A description that reads asks for nothing without bounds, and for no file outside the model's folder.
fn recompute_description(bytes: &[u8]) -> bool {
    let Ok(read) = Description::parse(bytes) else { return false };
    assert!(read.scores.len() + read.tensors.len() <= description::ITEMS_MAX);
    if let Input::Prompt { prompt, .. } = &read.input {
        assert!(prompt.sampling().is_sound() && prompt.tokens_max <= 4096);
    }
    if let Some(Label::Words { names, otherwise }) = &read.label {
        let label = read.label.as_ref().and_then(|label| label.of_answer("yes, no, low, high"));
        assert!(label.is_some_and(|label| label == otherwise || names.iter().any(|name| name == label)));
    }
    true
}

fn audit_plan(bytes: &[u8]) -> bool {
    let Ok(file) = PlanFile::parse(bytes) else { return false };
    let Ok(text) = file.plan().to_json() else { unreachable!("a plan that was read can be written") };
    assert!(bytes.starts_with(text.as_bytes()), "a plan is its own canonical form, signed or not");
    assert_eq!(Plan::parse(text.as_bytes()).as_ref(), Ok(file.plan()));
    assert_eq!(file.plan().digest(), Ok(file.digest()));
    true
}

fn cbor_value(bytes: &[u8]) -> bool {
    let mut reader = cbor::Reader::new(bytes);
    let Ok(value) = Value::decode(&mut reader) else { return false };
    if reader.finish().is_err() {
        return false;
    }
    let mut writer = cbor::Writer::new();
    value.encode(&mut writer);
    assert_eq!(writer.into_bytes(), bytes, "accepted CBOR must be canonical");
    assert!(cbor::check(bytes).is_ok(), "what decodes is well formed");
    true
}

fn checkpoint(bytes: &[u8]) -> bool {
    canonical_text::<Checkpoint>(bytes)
}

fn entry(bytes: &[u8]) -> bool {
    let Ok(entry) = Entry::decode(bytes) else { return false };
    assert_eq!(entry.encode().ok().as_deref(), Some(bytes), "an accepted entry encodes to the same bytes");
    true
}

fn entry_bundle(bytes: &[u8]) -> bool {
    let Ok(entries) = EntryBundle::decode(bytes) else { return false };
    assert_eq!(
        EntryBundle::encode(&entries).ok().as_deref(),
        Some(bytes),
        "a bundle encodes to the same bytes"
    );
    true
}

fn field_path(bytes: &[u8]) -> bool {
    canonical_text::<FieldPath>(bytes)
}

fn journal_segment(bytes: &[u8]) -> bool {
    let Ok(mut segment) = JournalReader::open(bytes, &Hash::of(b"example.com/fuzz")) else { return false };
    let mut batches = 0;
    while let Ok(Some(batch)) = segment.next_batch() {
        assert!(!batch.entries().is_empty(), "a batch holds an entry");
        batches += 1;
    }
    let whole = segment.tail().is_ok();
    whole && batches > 0
}

/// A bundle whatever its signature: what it lists is read as if it counted.
fn oms_bundle(bytes: &[u8]) -> bool {
    let Ok(bundle) = Bundle::parse(bytes) else { return false };
    let Ok(statement) = Statement::parse(bundle.payload()) else { return false };
    assert_eq!(statement.manifest.differences(&statement.manifest), [], "a list is what it is");
    assert!(!statement.manifest.files().is_empty(), "an accepted list has a file");
    true
}

fn oms_key(bytes: &[u8]) -> bool {
    PublicKey::from_pem(bytes).is_ok_and(|key| key.hint().len() == 64)
}

fn pack(bytes: &[u8]) -> bool {
    let Ok(pack) = Pack::parse(bytes) else { return false };
    let name = pack.reference.to_string();
    assert_eq!(PackRef::parse(&name), Some(pack.reference.clone()), "a record can name every pack");
    let set = PackSet::new(vec![Arc::new(pack)]);
    let now = UnixMillis::new(u64::MAX);
    let told = Told { kind: Kind::Decision, recorded_at: now, answered: true, fields: &[] };
    let found = Docket::open(&set, &told).findings(&set, now).count();
    assert!(found <= set.requirements().count() + set.obligations().count(), "at most one finding a rule");
    true
}

fn policy(bytes: &[u8]) -> bool {
    let Ok(policy) = Policy::parse(bytes) else { return false };
    let printed = policy.to_bytes();
    assert_eq!(Policy::parse(&printed).ok(), Some(policy), "a printed policy reads as the same policy");
    true
}

fn cose_receipt(bytes: &[u8]) -> bool {
    let Ok(receipt) = CoseReceipt::decode(bytes) else { return false };
    assert_eq!(receipt.encode(), bytes, "a COSE receipt is its own encoding");
    true
}

fn decision_reference(bytes: &[u8]) -> bool {
    let Some(Ok(reference)) = text(bytes).map(str::parse::<Reference>) else { return false };
    assert_eq!(reference.to_string().parse(), Ok(reference), "a printed reference reads as the same one");
    true
}

fn receipt(bytes: &[u8]) -> bool {
    let Ok(receipt) = Receipt::parse(bytes) else { return false };
    assert_eq!(receipt.to_json().as_bytes(), bytes, "a receipt is its own canonical form");
    true
}

fn signed_note(bytes: &[u8]) -> bool {
    let Ok(note) = SignedNote::parse(bytes) else { return false };
    assert_eq!(note.to_string().as_bytes(), bytes, "a note prints back as itself");
    true
}

fn signing_key(bytes: &[u8]) -> bool {
    text(bytes).is_some_and(|text| LogKeys::parse(text).is_ok())
}

fn tile_path(bytes: &[u8]) -> bool {
    canonical_text::<TilePath>(bytes)
}

fn tlog_proof(bytes: &[u8]) -> bool {
    canonical_text::<TlogProof>(bytes)
}

/// A vault that reads is its own only form.
fn vault(bytes: &[u8]) -> bool {
    let Ok(vault) = Vault::parse(bytes) else { return false };
    assert_eq!(vault.to_text().as_bytes(), bytes, "a vault has one form");
    true
}

fn verifier_key(bytes: &[u8]) -> bool {
    canonical_text::<VerifierKey>(bytes)
}

/// Whatever format the bytes claim: what was accepted scores a row, and says so of its contributions.
fn model(bytes: &[u8]) -> bool {
    let Ok(model) = Model::parse(bytes) else { return false };
    if matches!(model, Model::Onnx(_)) {
        assert_weights(bytes, onnx::weights);
    }
    let about = model.about();
    if about.features < 10_000 {
        let mut texts = Texts::default();
        let mut row = vec![0.5; about.features];
        for column in &about.text_columns {
            if let Some(cell) = row.get_mut(*column) {
                *cell = texts.keep("a");
            }
        }
        match model.score_with(&row, &texts) {
            Ok(score) => {
                assert_eq!((score.margins.len(), score.answer.len()), (about.margins, about.answers));
                let _ = (model.contributions(&row), model.labels_with(&row, &texts));
            }
            Err(error) => assert!(
                matches!(error, RowError::Value { .. } | RowError::Graph { .. }),
                "an accepted model scores a finite row that it has rules for: {error}"
            ),
        }
    }
    true
}

fn tensors(bytes: &[u8]) -> bool {
    let Ok(tensors) = safetensors::tensors(bytes) else { return false };
    let data: usize = tensors.values().map(|stored| stored.bytes.len()).sum();
    assert!(data <= bytes.len(), "tensors lie beside each other in the file");
    for stored in tensors.values() {
        assert_eq!(stored.shape.iter().product::<usize>() * stored.kind.width(), stored.bytes.len());
        assert_eq!(bytes.get(stored.offset..stored.offset + stored.bytes.len()), Some(stored.bytes));
    }
    true
}

fn text_config(bytes: &[u8]) -> bool {
    let Ok(config) = config::Config::parse(bytes) else { return false };
    assert!(config.layers <= 96 && config.hidden.is_multiple_of(config.heads) && config.tokens_max() > 2);
    assert!((config.pad as usize) < config.vocabulary);
    true
}

/// `head.json`, a line end, `head.safetensors`; for an encoder of three numbers.
fn text_head(bytes: &[u8]) -> bool {
    const WIDTH: usize = 3;
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (json, weights) = bytes.split_at(end);
    let Ok(head) = head::read(json, weights.get(1..).unwrap_or_default(), WIDTH) else { return false };
    assert_eq!((head.weights.len(), head.biases.len()), (head.labels.len() * WIDTH, head.labels.len()));
    true
}

fn tolerance_profile(bytes: &[u8]) -> bool {
    let Ok((profile, note)) = Profile::parse(bytes) else { return false };
    assert_eq!(profile.to_text(), note.text(), "a profile is its own canonical form");
    assert!(profile.honest.max <= profile.tau, "no honest distance lies above the tolerance");
    true
}

fn causal_config(bytes: &[u8]) -> bool {
    let Ok(config) = causal::Config::parse(bytes, None) else { return false };
    assert_design(&config.design, &config.ends);
    true
}

fn gguf_header(bytes: &[u8]) -> bool {
    let Ok(header) = gguf::Header::parse(bytes) else { return false };
    assert_design(&header.design, &header.ends);
    assert_design(&header.design, header.begin.as_slice());
    assert!(!header.ends.is_empty());
    assert_weights(bytes, gguf::weights);
    true
}

/// A change of the weights changes nothing else: the same weights stand in the same places afterwards.
fn assert_weights(bytes: &[u8], read: fn(&[u8]) -> Result<Vec<Stretch>, ModelError>) {
    let weights = read(bytes);
    assert!(weights.is_ok(), "an accepted file has no unreadable weights");
    let weights = weights.unwrap_or_default();
    for tamper in [Tamper::OneWeight(3), Tamper::F16, Tamper::Int8, Tamper::Int4] {
        if let Some(changed) = tamper.change(bytes, &weights) {
            assert_eq!(read(&changed).as_ref(), Ok(&weights));
        }
    }
}

/// A network that can be built, and tokens that it has.
fn assert_design(design: &Design, tokens: &[u32]) {
    assert!(design.heads.is_multiple_of(design.shared) && design.layers <= 256);
    assert!(design.rotary.turned <= design.head && design.context <= gguf::CONTEXT_MAX);
    assert!(tokens.iter().all(|token| (*token as usize) < design.vocabulary));
}
