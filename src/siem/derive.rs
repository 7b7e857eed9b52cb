//! What an entry says, as attributes.
//!
//! Guarantees: everything that is public in an entry and of bounded length is there, in a fixed order; what is longer is named by
//! its digest, and what is more is counted.

use super::attribute::{Attribute, AttributeName, Value, name};
use crate::entry::{
    AccessDetails, DETAIL_SIGNATURES, DETAIL_STATEMENT, Detail, Details, Entry, EntryError, ErasureDetails,
    KindDetails, StartDetails,
};
use crate::hash::Hash;
use crate::limits::SIEM_DETAILS_MAX;

/// Bytes of a free detail that are shown as they are; past it their digest is. A digest has 32, a public key 33 or more.
const DETAIL_BYTES_MAX: usize = 32;

/// Adds what `entry` says.
pub(super) fn add(entry: &Entry, attributes: &mut Vec<Attribute>) -> Result<(), EntryError> {
    let mut add = Adder(attributes);
    add.put("entry_kind", Value::Word(entry.kind.as_str()));
    add.put(name::WRITER, Value::text(entry.writer.as_str()));
    add.put(name::SESSION, Value::Uuid(*entry.session.as_bytes()));
    add.put(name::SEQUENCE, Value::Uint(entry.sequence));
    if let Some(decision) = entry.decision {
        add.put(name::DECISION_ID, Value::Uuid(*decision.as_bytes()));
    }
    if !entry.links.is_empty() {
        add.put("links", Value::Indices(entry.links.clone()));
    }
    if let Some(commitment) = entry.commitment {
        add.put("commitment_root", Value::Hash(commitment.root));
        add.put("commitment_count", Value::Uint(commitment.count.into()));
    }
    if let Some(sealed) = entry.sealed {
        add.put("sealed_digest", Value::Hash(sealed.digest));
        add.put("sealed_length", Value::Uint(sealed.length));
    }
    add.put_hash(name::MODEL_DIGEST, entry.model);
    add.put_hash(name::POLICY_DIGEST, entry.policy);
    if let Some(mode) = entry.mode {
        add.put(name::MODE, Value::Word(mode.as_str()));
    }
    add.details(entry.kind_details()?, &entry.details);
    add.approval(&entry.details);
    Ok(())
}

struct Adder<'a>(&'a mut Vec<Attribute>);

impl Adder<'_> {
    fn put(&mut self, name: &'static str, value: Value) {
        self.0.push(Attribute { name: AttributeName::Known(name), value });
    }

    fn put_hash(&mut self, name: &'static str, hash: Option<Hash>) {
        if let Some(hash) = hash {
            self.put(name, Value::Hash(hash));
        }
    }

    fn details(&mut self, details: KindDetails, all: &Details) {
        match details {
            KindDetails::Start(start) => self.start(&start),
            KindDetails::Stop => {}
            KindDetails::Heartbeat(heartbeat) => {
                self.put("in_flight", Value::Uint(heartbeat.in_flight));
                self.put("lowest_in_flight", Value::Uint(heartbeat.lowest_in_flight));
            }
            KindDetails::Gap(gap) => {
                self.put("gap_first", Value::Uint(gap.first));
                self.put("gap_last", Value::Uint(gap.last));
                self.put("reason", Value::Word(gap.reason.as_str()));
            }
            KindDetails::Model(model) => {
                self.put(name::MODEL_NAME, Value::text(model.name.as_str()));
                self.put(name::MODEL_VERSION, Value::text(model.version.as_str()));
                self.put_hash("model_signature", model.signature);
            }
            KindDetails::Policy(policy) => self.put("policy_kind", Value::text(policy.kind.as_str())),
            KindDetails::Decision(decision) => {
                self.put(name::STATUS_CODE, Value::Uint(decision.status.into()));
            }
            KindDetails::Anchor(anchor) => {
                self.put("lane", Value::text(anchor.lane.as_str()));
                self.put("anchor_kind", Value::Word(anchor.kind.as_str()));
                self.put("anchor_seq", Value::Uint(anchor.seq));
                self.put("anchored_size", Value::Uint(anchor.to_size.get()));
                self.put("statement_digest", Value::Hash(anchor.statement));
            }
            KindDetails::Erasure(erasure) => self.erasure(&erasure),
            KindDetails::Hold(hold) => {
                self.put("hold_id", Value::Uuid(*hold.id.as_bytes()));
                self.put(name::OPERATOR, Value::text(hold.operator.as_str()));
            }
            KindDetails::Release(release) => {
                self.put("hold_id", Value::Uuid(*release.id.as_bytes()));
                self.put(name::OPERATOR, Value::text(release.operator.as_str()));
            }
            KindDetails::Access(access) => self.access(access),
            KindDetails::Other => self.free(all),
        }
    }

    fn start(&mut self, start: &StartDetails) {
        self.put(name::VERSION, Value::text(&start.version));
        self.put("configuration_digest", Value::Hash(start.configuration));
        if let Some(previous) = start.previous_session {
            self.put("previous_session", Value::Uuid(*previous.as_bytes()));
        }
    }

    fn erasure(&mut self, erasure: &ErasureDetails) {
        self.put("erasure_id", Value::Uuid(*erasure.id.as_bytes()));
        self.put("scope", Value::Word(erasure.scope.as_str()));
        self.put("ground", Value::Word(erasure.ground.as_str()));
        self.put(name::OPERATOR, Value::text(erasure.operator.as_str()));
        self.put("outcome", Value::Word(erasure.outcome.as_str()));
        self.put("records", Value::Uint(erasure.records));
        self.put("part", Value::Uint(erasure.part));
        self.put("parts", Value::Uint(erasure.parts));
        self.put("keys_destroyed", Value::Uint(erasure.keys.len() as u64));
    }

    fn access(&mut self, access: AccessDetails) {
        self.put("purpose", Value::Word(access.purpose.as_str()));
        if let Some((first, last)) = access.stretch {
            self.put("first_index", Value::Uint(first));
            self.put("last_index", Value::Uint(last));
        }
    }

    fn free(&mut self, details: &Details) {
        let is_approval = |key: &u64| matches!(*key, DETAIL_STATEMENT | DETAIL_SIGNATURES);
        let mut left_out = 0;
        for (place, (key, detail)) in details.iter().filter(|(key, _)| !is_approval(key)).enumerate() {
            if place < SIEM_DETAILS_MAX {
                self.0.push(Attribute { name: AttributeName::Detail(key), value: shown(detail) });
            } else {
                left_out += 1;
            }
        }
        if left_out > 0 {
            self.put("details_left_out", Value::Uint(left_out));
        }
    }

    /// That several persons approved it; the statement names what.
    fn approval(&mut self, details: &Details) {
        if let Some(Detail::Text(statement)) = details.value(DETAIL_STATEMENT) {
            self.put("approval_digest", Value::Hash(Hash::of(statement.as_bytes())));
        }
        if let Some(Detail::Bytes(signatures)) = details.value(DETAIL_SIGNATURES) {
            let count = signatures.len() / crate::entry::APPROVAL_SIGNATURE_BYTES;
            self.put("approvals", Value::Uint(count as u64));
        }
    }
}

/// A free detail; long bytes by their digest.
fn shown(detail: &Detail) -> Value {
    match detail {
        Detail::Uint(value) => Value::Uint(*value),
        Detail::Bool(value) => Value::Bool(*value),
        Detail::Text(text) => Value::text(text),
        Detail::Bytes(bytes) if bytes.len() <= DETAIL_BYTES_MAX => {
            Value::text(&crate::encoding::hex_encode(bytes))
        }
        Detail::Bytes(bytes) => Value::text(&format!("sha256:{}", Hash::of(bytes))),
    }
}
