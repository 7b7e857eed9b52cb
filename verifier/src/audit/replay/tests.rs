//! Records of a scorecard and of a small text model, changed one thing at a time.

use ledgerstone::oip::outputs_of;
use ledgerstone::record::schema;
use ledgerstone::record::{Record, RecordBuilder, Value};

use super::*;
use crate::audit::verdict::Verdict;

const CARD: &str = r#"{"format": "ledgerstone-scorecard/v1", "name": "card", "adverse": "low", "link": "identity", "base": 1,
    "terms": [{"feature": "x", "coefficient": 2}]}"#;

const CARD_DESCRIPTION: &str = r#"{"format": "ledgerstone-recompute/v1", "model": "card.json", "dtype": "FP32",
    "scores": [{"name": "s", "of": "margins"}],
    "label": {"threshold": {"of": "margins", "value": 3, "above": "yes", "below": "no"}}}"#;

fn card() -> Recomputer {
    let files = [("card.json", CARD), (description::FILE, CARD_DESCRIPTION)];
    let files = files.map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec()));
    Recomputer::load(&BTreeMap::from(files)).unwrap()
}

fn record(fields: &[(FieldPath, Value)]) -> Record {
    let mut builder = RecordBuilder::new();
    for (path, value) in fields {
        builder.add(path.clone(), value.clone()).unwrap();
    }
    builder.build().unwrap()
}

#[test]
fn a_row_follows_bit_for_bit_or_not_at_all() {
    let card = card();
    let of = |x: Value, score: f64, label: &str| {
        let fields = [
            (schema::feature("x").unwrap(), x),
            (schema::score("s").unwrap(), Value::Float(score)),
            (schema::OUTPUT_LABEL, Value::from(label)),
        ];
        card.replay(&record(&fields), None)
    };
    let next = f64::from_bits(3.0_f64.to_bits() + 1);
    assert_eq!(of(Value::Float(1.0), 3.0, "yes").verdict, Verdict::Exact);
    assert_eq!(of(Value::Float(1.0), next, "yes").verdict, Verdict::MismatchSameOutcome);
    assert_eq!(of(Value::Float(1.0), 3.0, "no").verdict, Verdict::OutcomeFlips);
    assert_eq!(of(Value::Float(0.9), 2.8, "no").verdict, Verdict::Unverifiable, "0.9 is no binary32");
    assert_eq!(of(Value::from("one"), 3.0, "yes").verdict, Verdict::Unverifiable);
    let none = card.replay(&record(&[(schema::feature("x").unwrap(), Value::Float(1.0))]), None);
    assert!(none.differences[0].what.contains("output/score/s"), "{none:?}");
    let other = card.replay(&record(&[(schema::score("s").unwrap(), Value::Float(1.0))]), None);
    assert!(other.differences[0].what.contains("input/feature/x"), "{other:?}");
}

#[test]
fn a_model_that_is_exact_takes_no_tolerance() {
    let profile = profile("margins", 1.0);
    let card = card().within(&profile).unwrap();
    let fields = [
        (schema::feature("x").unwrap(), Value::Float(1.0)),
        (schema::score("s").unwrap(), Value::Float(3.000_001)),
        (schema::OUTPUT_LABEL, Value::from("yes")),
    ];
    assert_eq!(card.replay(&record(&fields), None).verdict, Verdict::MismatchSameOutcome);
    let wrong = self::card().within(&self::profile("vector", 1.0)).unwrap_err();
    assert!(matches!(wrong, RecomputerError::Profile { .. }));
}

/// A graph that takes three texts and three numbers, and what the engine said of its first row.
#[test]
fn a_graph_takes_recorded_texts_as_they_are() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/onnx_texts");
    let asked: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.join("one_hot_forest.json")).unwrap()).unwrap();
    let names = ["sub_grade", "addr_state", "emp_length", "annual_inc", "int_rate", "revol_util"];
    let description = r#"{"format": "ledgerstone-recompute/v1", "model": "m.onnx", "dtype": "FP32",
        "scores": [{"name": "s", "of": "answer", "index": 1}]}"#;
    let files = [
        ("m.onnx".to_owned(), std::fs::read(folder.join("one_hot_forest.onnx")).unwrap()),
        (description::FILE.to_owned(), description.as_bytes().to_vec()),
    ];
    let graph = Recomputer::load(&BTreeMap::from(files)).unwrap();
    let score = Value::Float(asked["answers"][0][1].as_f64().unwrap());
    let given = |change: Option<(usize, Value)>| {
        let mut fields: Vec<(FieldPath, Value)> = names
            .iter()
            .zip(asked["rows"][0].as_array().unwrap())
            .map(|(name, cell)| {
                let value = cell.as_str().map_or_else(|| Value::Float(cell.as_f64().unwrap()), Value::from);
                (schema::feature(name).unwrap(), value)
            })
            .collect();
        if let Some((place, value)) = change {
            fields[place].1 = value;
        }
        fields.push((schema::score("s").unwrap(), score.clone()));
        graph.replay(&record(&fields), None)
    };
    assert_eq!(given(None).verdict, Verdict::Exact, "{:?}", given(None));
    // Another row's text leads to another answer, or to the same leaves.
    let others = asked["rows"].as_array().unwrap();
    let cells = others.iter().flat_map(|row| (0..3).map(move |place| (place, row[place].as_str().unwrap())));
    let verdicts: Vec<Verdict> =
        cells.map(|(place, text)| given(Some((place, Value::from(text)))).verdict).collect();
    assert!(verdicts.iter().all(|verdict| [Verdict::Exact, Verdict::MismatchSameOutcome].contains(verdict)));
    assert!(verdicts.contains(&Verdict::MismatchSameOutcome), "no text matters");
    for (value, why) in [(Value::Null, "is missing"), (Value::Float(1.0), "is no text")] {
        let replayed = given(Some((1, value)));
        assert_eq!(replayed.verdict, Verdict::Unverifiable);
        assert!(replayed.differences[0].what.contains(why), "{replayed:?}");
    }
    assert_eq!(
        given(Some((3, Value::from("much")))).verdict,
        Verdict::Unverifiable,
        "text where a number is"
    );
}

fn profile(quantity: &str, tau: f64) -> Profile {
    use crate::audit::profile::{FORMAT, Honest, Machine};
    Profile {
        format: FORMAT.to_owned(),
        model: "00".repeat(32),
        quantity: quantity.to_owned(),
        engine: "candle 0.11.1".to_owned(),
        dtype: "f32".to_owned(),
        machine: Machine::here(Processor::Cpu),
        threads: vec![1],
        batches: vec![1],
        inputs: "00".repeat(32),
        honest: Honest { count: 1, max: 0.0, p999: 0.0 },
        tau,
        tampers: Vec::new(),
        attributions: None,
    }
}

#[test]
fn the_bytes_of_a_response_are_read_or_refused() {
    assert!(outputs_of(&[0xff, 0xff]).is_err());
    assert!(matches!(recorded::Response::read(None), Err(Obstacle::NoResponse)));
    let response = recorded::Response::read(Some(&[])).unwrap();
    assert!(matches!(response.numbers("vector"), Err(Obstacle::Response(_))));
}

#[cfg(feature = "neural")]
mod texts {
    use std::path::Path;

    use ledgerstone::proto::inference::ModelInferResponse;
    use ledgerstone::proto::inference::model_infer_response::InferOutputTensor;

    use super::*;
    use crate::recompute::neural::{Files, TextModel, TextScore};

    const TEXT: &str = "the quick brown fox";

    fn folder() -> BTreeMap<String, Vec<u8>> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/text/bert");
        let names = ["config.json", "tokenizer.json", "model.safetensors"];
        names.into_iter().map(|name| (name.to_owned(), std::fs::read(folder.join(name)).unwrap())).collect()
    }

    fn score() -> (TextModel, TextScore) {
        let model = TextModel::load(&Files::new(folder()).unwrap()).unwrap();
        let score = model.score(TEXT).unwrap();
        (model, score)
    }

    /// What runs the small model, with a label that hangs on its second probability.
    fn recomputer(threshold: f32, tau: Option<f64>) -> Recomputer {
        let mut files = folder();
        let description = format!(
            r#"{{"format": "ledgerstone-recompute/v1", "text": {{"feature": "t"}},
                "scores": [{{"name": "p", "of": "answer", "index": 1}}],
                "tensors": [{{"name": "vector", "of": "vector", "dtype": "FP32"}},
                    {{"name": "logits", "of": "margins", "dtype": "FP32"}}],
                "label": {{"threshold": {{"of": "answer", "index": 1, "value": {}, "above": "yes", "below": "no"}}}}}}"#,
            f64::from(threshold)
        );
        files.insert(description::FILE.to_owned(), description.into_bytes());
        let loaded = Recomputer::load(&files).unwrap();
        match tau {
            None => loaded,
            Some(tau) => loaded.within(&profile("vector", tau)).unwrap(),
        }
    }

    /// A record and its response.
    fn recorded(score: &TextScore, label: &str) -> (Record, Vec<u8>) {
        let p = f64::from(score.probabilities[1]);
        let mut fields = vec![
            (schema::feature("t").unwrap(), Value::from(TEXT)),
            (schema::score("p").unwrap(), Value::Float(p)),
            (schema::OUTPUT_LABEL, Value::from(label)),
        ];
        let mut response = ModelInferResponse::default();
        for (name, numbers) in [("vector", &score.vector), ("logits", &score.logits)] {
            let data: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
            let extent = numbers.len() as u64;
            fields.extend(
                schema::tensor_fields(schema::Side::Output, name, "FP32", &[1, extent], &data).unwrap(),
            );
            let shape = vec![1, i64::try_from(extent).unwrap()];
            let tensor = InferOutputTensor {
                name: name.to_owned(),
                datatype: "FP32".to_owned(),
                shape,
                ..InferOutputTensor::default()
            };
            response.outputs.push(tensor);
            response.raw_output_contents.push(data.into());
        }
        (record(&fields), prost_bytes(&response))
    }

    fn prost_bytes(response: &ModelInferResponse) -> Vec<u8> {
        prost::Message::encode_to_vec(response)
    }

    /// The score of an honest server whose vector lies a little off.
    fn off(by: f32) -> TextScore {
        let (model, mut score) = score();
        score.vector[3] += by;
        model.read_vector(&score.vector).unwrap()
    }

    fn verdict(recomputer: &Recomputer, score: &TextScore, label: &str) -> Verdict {
        let (record, response) = recorded(score, label);
        recomputer.replay(&record, Some(&response)).verdict
    }

    #[test]
    fn equal_bits_need_no_profile_and_others_do() {
        let (_, score) = score();
        assert_eq!(verdict(&recomputer(0.0, None), &score, "yes"), Verdict::Exact);
        let (record, response) = recorded(&off(1e-6), "yes");
        let replayed = recomputer(0.0, None).replay(&record, Some(&response));
        assert_eq!(replayed.verdict, Verdict::Unverifiable);
        assert!(replayed.differences[0].what.contains("--profile"), "{replayed:?}");
        let replayed = recomputer(0.0, Some(1.0)).replay(&record, None);
        assert!(replayed.differences[0].what.contains("--without-raw"), "{replayed:?}");
    }

    #[test]
    fn a_vector_within_the_tolerance_passes_and_one_beyond_does_not() {
        let near = off(1e-5);
        let (record, response) = recorded(&near, "yes");
        let replayed = recomputer(0.0, Some(2e-5)).replay(&record, Some(&response));
        assert_eq!(replayed.verdict, Verdict::WithinTolerance, "{replayed:?}");
        assert!((replayed.distance.unwrap() - 1e-5).abs() < 1e-7);
        assert!(replayed.differences.is_empty());
        assert_eq!(verdict(&recomputer(0.0, Some(9e-6)), &near, "yes"), Verdict::MismatchSameOutcome);
        // The threshold lies above both probabilities now, so that the recorded label follows from neither.
        assert_eq!(verdict(&recomputer(1.5, Some(9e-6)), &near, "yes"), Verdict::OutcomeFlips);
        assert_eq!(verdict(&recomputer(0.0, Some(1.0)), &off(f32::NAN), "yes"), Verdict::MismatchSameOutcome);
    }

    #[test]
    fn what_stands_behind_the_vector_must_follow_from_it() {
        let mut near = off(1e-5);
        near.logits[0] += 1e-6;
        assert_eq!(verdict(&recomputer(0.0, Some(2e-5)), &near, "yes"), Verdict::MismatchSameOutcome);
        let mut near = off(1e-5);
        near.probabilities[1] = near.probabilities[1].next_up();
        assert_eq!(verdict(&recomputer(0.0, Some(2e-5)), &near, "yes"), Verdict::MismatchSameOutcome);
        assert_eq!(verdict(&recomputer(0.0, Some(2e-5)), &off(1e-5), "no"), Verdict::OutcomeFlips);
    }

    #[test]
    fn a_label_that_only_rounding_turned_is_told_apart() {
        let (_, mine) = score();
        let theirs = off(1e-3);
        let (low, high) = (
            mine.probabilities[1].min(theirs.probabilities[1]),
            mine.probabilities[1].max(theirs.probabilities[1]),
        );
        assert!(low < high);
        // The recorded probability is on one side of the threshold, the recomputed one on the other.
        let label = if theirs.probabilities[1] >= high { "yes" } else { "no" };
        let (record, response) = recorded(&theirs, label);
        let replayed = recomputer(high, Some(2e-3)).replay(&record, Some(&response));
        assert_eq!(replayed.verdict, Verdict::MarginAmbiguous, "{replayed:?}");
        assert!(replayed.differences[0].what.contains("hangs on rounding"), "{replayed:?}");
        assert!(!replayed.is_exception());
    }

    #[test]
    fn a_response_of_another_shape_is_no_match() {
        let (_, mut score) = score();
        score.vector.push(0.0);
        assert_eq!(verdict(&recomputer(0.0, Some(1.0)), &score, "yes"), Verdict::MismatchSameOutcome);
    }
}
