//! Graphs of which some numbers are only near.

use ledgerstone::record::{Record, Value, schema};
use ledgerstone_verifier::audit::verdict::Verdict;
use ledgerstone_verifier::recompute::tamper::Tamper;
use ledgerstone_verifier::recompute::{Model, onnx};
use serde_json::Value as Json;

use crate::answers::Answers;
use crate::bench::{Bench, Output, bytes_of, changed, shown, vectors};

/// Rows that are measured with.
const ROWS: usize = 20;

/// How far the other machine's numbers lie off.
const OFF: f32 = 1e-6;

fn described(bench: &Bench) -> Vec<Vec<f64>> {
    let graph = vectors("onnx/onnx_network.onnx");
    let answers = Answers::read(&graph.with_extension("bits"));
    let columns: Vec<Json> =
        (0..answers.columns).map(|place| serde_json::json!({"feature": format!("c{place}")})).collect();
    let description = serde_json::json!({"format": "ledgerstone-recompute/v1", "model": "m.onnx", "dtype": "FP32",
        "columns": columns, "scores": [{"name": "s", "of": "answer", "index": 1}],
        "tensors": [{"name": "p", "of": "answer", "dtype": "FP32"}]});
    bench.write("m/m.onnx", &std::fs::read(graph).unwrap());
    bench.write("m/recompute.json", description.to_string().as_bytes());
    let rows: Vec<Vec<f64>> =
        answers.rows.chunks_exact(answers.columns).take(ROWS).map(<[f64]>::to_vec).collect();
    let line = |cells: Vec<String>| cells.join(",") + "\n";
    let mut csv = line((0..answers.columns).map(|place| format!("c{place}")).collect());
    rows.iter().for_each(|row| csv += &line(row.iter().map(ToString::to_string).collect()));
    bench.write("rows.csv", csv.as_bytes());
    rows
}

/// A record of a row, with the answer given.
fn recorded(bench: &Bench, row: &[f64], answer: &[f32]) -> (Record, Option<Vec<u8>>) {
    let features = row.iter().enumerate();
    let mut fields: Vec<_> = features
        .map(|(place, number)| (schema::feature(&format!("c{place}")).unwrap(), Value::Float(*number)))
        .collect();
    fields.push((schema::score("s").unwrap(), Value::Float(f64::from(answer[1]))));
    let output: Output<'_> = ("p", "FP32", bytes_of(answer), answer.len());
    bench.record("m", fields, vec![output])
}

fn moved(json: &mut Json) {
    for kind in ["margins", "answer"] {
        for number in json[kind].as_array_mut().unwrap() {
            *number = serde_json::json!(number.as_f64().unwrap() as f32 + OFF);
        }
    }
}

#[test]
fn a_graph_that_is_near_is_audited_by_the_profile_that_was_measured_of_it() {
    let bench = Bench::new();
    let rows = described(&bench);
    let here = bench.run("model predict m/m.onnx --rows rows.csv --json");
    bench.write("other.jsonl", changed(&here, moved).as_bytes());
    let profile = bench.profile("m --rows rows.csv --recorded other.jsonl --batch 7");
    assert_eq!((&profile["quantity"], &profile["dtype"]), (&Json::from("margins"), &Json::from("f32")));
    assert_eq!(profile["model"], bench.digest("m").to_string());
    assert_eq!(profile["machine"]["device"], "cpu");
    assert_eq!(profile["batches"], serde_json::json!([1, 7]));
    // Two numbers of threads, batches, and what was recorded.
    assert_eq!(profile["honest"]["count"], 4 * ROWS);
    let (most, tau) = (profile["honest"]["max"].as_f64().unwrap(), profile["tau"].as_f64().unwrap());
    assert!((most - f64::from(OFF)).abs() < 1e-6 && tau >= 20.0 * most, "{most} {tau}");
    let whole = |name| shown(&profile, name);
    for name in ["weights f16", "weights bf16", "weights int8"] {
        let (count, detected) = whole(name);
        assert!(count == ROWS as u64 && detected > 0, "{name}: {detected} of {count}");
    }
    assert_eq!(whole("one weight +0.01").0, 8 * ROWS as u64);

    let file = std::fs::read(bench.at("m/m.onnx")).unwrap();
    let honest = Model::parse(&file).unwrap();
    let rounded = Tamper::Bf16.change(&file, &onnx::weights(&file).unwrap()).unwrap();
    let rounded = Model::parse(&rounded).unwrap();
    let answer = |model: &Model, row: &[f64]| -> Vec<f32> {
        model.score(row).unwrap().answer.into_iter().map(|number| number as f32).collect()
    };
    let far = |row: &&Vec<f64>| {
        let (one, other) = (answer(&honest, row), answer(&rounded, row));
        f64::from((one[1] - other[1]).abs()) > tau
    };
    let far = rows.iter().find(far).unwrap();
    let near: Vec<f32> = answer(&honest, far).iter().map(|number| number + OFF).collect();
    let decisions = [
        recorded(&bench, far, &answer(&honest, far)),
        recorded(&bench, far, &near),
        recorded(&bench, far, &answer(&rounded, far)),
    ];
    let verdicts = bench.audited("m", &decisions);
    let expected = [Verdict::Exact, Verdict::WithinTolerance, Verdict::MismatchSameOutcome];
    assert_eq!(verdicts, expected);
}

#[test]
fn a_file_is_measured_by_its_own_digest_and_what_does_not_fit_is_refused() {
    let bench = Bench::new();
    described(&bench);
    let file = std::fs::read(bench.at("m/m.onnx")).unwrap();
    let profile = bench.profile("m/m.onnx --rows rows.csv --threads 3");
    assert_eq!(profile["model"], ledgerstone::hash::Hash::of(&file).to_string());
    assert_eq!((&profile["honest"]["max"], &profile["tau"]), (&Json::from(0.0), &Json::from(0.0)));
    let here = bench.run("model predict m/m.onnx --rows rows.csv --json");
    bench.write("none.jsonl", changed(&here, |json| json["answer"][0] = Json::Null).as_bytes());
    bench.write("short.jsonl", here.lines().skip(1).collect::<Vec<_>>().join("\n").as_bytes());
    for (more, why, status) in [
        ("--recorded none.jsonl", "no tolerance passes", 65),
        ("--recorded short.jsonl", "there are 20 inputs, and 19", 65),
        ("--device cuda", "main processor only", 64),
        ("--tau 0 --recorded moved.jsonl", "would call honest records altered", 64),
    ] {
        bench.write("moved.jsonl", changed(&here, moved).as_bytes());
        let line = format!("audit calibrate m/m.onnx --rows rows.csv {more} --key auditor.key -o other");
        let (_, err, found) = bench.said(&line);
        assert!(err.contains(why) && found == status, "{more}: {found} {err}");
    }
    std::fs::remove_file(bench.at("m/recompute.json")).unwrap();
    let (_, err, status) = bench.said("audit calibrate m --rows rows.csv --key auditor.key -o other");
    assert!(err.contains("has no recompute.json") && status == 64, "{err}");
}

/// A cell of a CSV file.
fn cell(json: &Json) -> String {
    match json {
        Json::String(text) => format!("\"{text}\""),
        number => number.to_string(),
    }
}

#[test]
fn graphs_of_texts_are_measured_in_batches_too() {
    let bench = Bench::new();
    for (name, is_near) in [("one_hot_logistic", true), ("one_hot_forest", false)] {
        let folder = vectors("onnx_texts");
        let asked = std::fs::read(folder.join(format!("{name}.json"))).unwrap();
        let asked: Json = serde_json::from_slice(&asked).unwrap();
        let rows = asked["rows"].as_array().unwrap();
        let lines =
            rows.iter().map(|row| row.as_array().unwrap().iter().map(cell).collect::<Vec<_>>().join(","));
        let names = "sub_grade,addr_state,emp_length,annual_inc,int_rate,revol_util".to_owned();
        bench.write("rows.csv", [names].into_iter().chain(lines).collect::<Vec<_>>().join("\n").as_bytes());
        bench.write("texts.onnx", &std::fs::read(folder.join(format!("{name}.onnx"))).unwrap());
        let profile = bench.profile("texts.onnx --rows rows.csv --threads 2");
        assert_eq!((&profile["honest"]["max"], &profile["tau"]), (&Json::from(0.0), &Json::from(0.0)));
        let (count, detected) = shown(&profile, "weights bf16");
        assert!(count == rows.len() as u64 && detected > 0, "{name}: {detected} of {count}");
        let (one, found) = shown(&profile, "one weight +0.01");
        assert!(one % count == 0 && found > 0, "{name}: {found} of {one}");
        let _ = std::fs::remove_file(bench.at("profile"));
        let line = "audit calibrate texts.onnx --rows rows.csv --key auditor.key -o profile";
        let (_, said, _) = bench.said(line);
        let remark = if is_near { "only equal bits pass" } else { "takes no tolerance" };
        assert!(said.contains(remark), "{name}: {said}");
    }
}

#[cfg(feature = "onnxruntime")]
#[test]
fn the_library_counts_as_an_honest_engine() {
    let Some(library) = crate::library::onnxruntime() else { return };
    let bench = Bench::new();
    described(&bench);
    let library = library.display();
    let profile = bench.profile(&format!("m --rows rows.csv --engine-library {library} --batch 8"));
    // Of each number of threads the own way, and the library's row by row and in batches; and the own batches.
    assert_eq!(profile["honest"]["count"], (2 + 1 + 2 * 2) * ROWS);
    let most = profile["honest"]["max"].as_f64().unwrap();
    assert!(most > 0.0 && most < 1e-4, "{most}");
    assert_eq!(shown(&profile, "weights bf16").0, ROWS as u64);
}
