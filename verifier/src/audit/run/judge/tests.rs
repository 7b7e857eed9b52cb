//! Danger: an operator marks decisions as failed calls, and nobody recomputes them.
//! Expected: what has an answer in its record is a decision, whatever its entry says, and so is what the entry calls answered.

use ledgerstone::entry::{DecisionId, SessionId, WriterName};
use ledgerstone::record::{FieldPath, RecordBuilder, RecordSecret};

use super::*;

#[test]
fn only_a_failed_call_without_an_answer_has_none() {
    let unanswered = |status: u32, paths: &[&str]| {
        let fields = paths.iter().map(|path| FieldPath::parse(path).unwrap());
        let record = fields
            .fold(RecordBuilder::new(), |record, path| record.field(path, Value::Float(0.5)).unwrap())
            .build()
            .unwrap();
        let entry = Entry::decision(
            WriterName::parse("sidecar-1").unwrap(),
            SessionId::from_bytes([1; 16]),
            1,
            DecisionId::from_bytes([2; 16]),
            record.commit(&RecordSecret::from_bytes([3; 32])).commitment(),
            DecisionDetails { status },
        );
        is_unanswered(&entry, &record)
    };
    let asked = "input/feature/income";
    assert!(unanswered(5, &[asked, "output/error"]));
    assert!(!unanswered(0, &[asked]));
    for answer in ["output/score/probability", "outcome/amount", "explanation/counterfactual/0"] {
        assert!(!unanswered(5, &[asked, answer]), "{answer}");
    }
}
