//! A folder in which the program measures a model and audits records of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ledgerstone::hash::Hash;
use ledgerstone::proto::inference::ModelInferResponse;
use ledgerstone::proto::inference::model_infer_response::InferOutputTensor;
use ledgerstone::record::schema::{self, Side};
use ledgerstone::record::{FieldPath, Record, RecordBuilder, Value};
use ledgerstone_verifier::audit::verdict::Verdict;
use prost::Message as _;
use serde_json::Value as Json;
use tempfile::TempDir;

use crate::{evidence, log};

/// An output tensor: its name, type and bytes, and how many numbers these are.
pub(crate) type Output<'a> = (&'a str, &'a str, Vec<u8>, usize);

pub(crate) struct Bench(TempDir);

impl Bench {
    pub(crate) fn new() -> Self {
        let bench = Self(tempfile::tempdir().unwrap());
        bench.write("auditor.key", log::keys("auditor.example.org", 11).to_text().as_bytes());
        bench.write("log.policy", log::policy(&log::keys(log::ORIGIN, 1)).to_string().as_bytes());
        bench
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        fs::create_dir_all(self.at(name).parent().unwrap()).unwrap();
        fs::write(self.at(name), bytes).unwrap();
    }

    /// What a command prints, and how it ends.
    pub(crate) fn said(&self, line: &str) -> (String, String, i32) {
        let output = Command::new(env!("CARGO_BIN_EXE_ledgerstone"))
            .current_dir(self.0.path())
            .args(line.split(' '))
            .output()
            .unwrap();
        let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        (out, err, output.status.code().unwrap())
    }

    pub(crate) fn run(&self, line: &str) -> String {
        let (out, err, status) = self.said(line);
        assert_eq!(status, 0, "{line}: {out}{err}");
        out
    }

    /// Measures a profile; `line` is the model and what it is measured with.
    pub(crate) fn profile(&self, line: &str) -> Json {
        let _ = fs::remove_file(self.at("profile"));
        let said = self.run(&format!("audit calibrate {line} --key auditor.key -o profile --json"));
        serde_json::from_str(&said).unwrap()
    }

    /// What a run by the profile says of records, each with the response that is kept of it.
    pub(crate) fn audited(&self, folder: &str, decisions: &[(Record, Option<Vec<u8>>)]) -> Vec<Verdict> {
        self.write("evidence.bundle", &evidence::bundle(&files(&self.at(folder)), decisions));
        let _ = fs::remove_file(self.at("results"));
        let [key, _] = log::keys("auditor.example.org", 11).vkeys();
        let line = format!(
            "audit run evidence.bundle --policy log.policy --profile profile --profile-key {key} -o results"
        );
        let (out, err, _) = self.said(&line);
        assert!(out.contains("each proved to stand"), "{out}{err}");
        assert!(!out.contains("cannot be used"), "{out}");
        let results = fs::read_to_string(self.at("results")).unwrap();
        let lines = results.lines().map(|line| serde_json::from_str::<Json>(line).unwrap());
        lines
            .filter_map(|line| serde_json::from_value(line.pointer("/decision/verdict")?.clone()).ok())
            .collect()
    }

    /// The digest of a model's folder, as decisions name it.
    pub(crate) fn digest(&self, folder: &str) -> Hash {
        evidence::root(&files(&self.at(folder)))
    }

    /// A record of the model in `folder`, and its response.
    pub(crate) fn record(
        &self,
        folder: &str,
        fields: Vec<(FieldPath, Value)>,
        outputs: Vec<Output<'_>>,
    ) -> (Record, Option<Vec<u8>>) {
        let mut builder = RecordBuilder::new();
        builder.add(schema::MODEL_DIGEST, Value::from(self.digest(folder))).unwrap();
        for (path, value) in fields {
            builder.add(path, value).unwrap();
        }
        let mut response = ModelInferResponse::default();
        for (name, dtype, bytes, extent) in outputs {
            for (path, value) in
                schema::tensor_fields(Side::Output, name, dtype, &[1, extent as u64], &bytes).unwrap()
            {
                builder.add(path, value).unwrap();
            }
            response.outputs.push(InferOutputTensor {
                name: name.to_owned(),
                datatype: dtype.to_owned(),
                shape: vec![1, i64::try_from(extent).unwrap()],
                ..InferOutputTensor::default()
            });
            response.raw_output_contents.push(bytes.into());
        }
        let response = response.encode_to_vec();
        builder.add(schema::OUTPUT_RAW_DIGEST, Value::from(Hash::of(&response))).unwrap();
        (builder.build().unwrap(), Some(response))
    }
}

fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let named = |entry: Result<fs::DirEntry, _>| {
        let path = entry.unwrap().path();
        (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(path).unwrap())
    };
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(named).collect();
    files.sort();
    files
}

pub(crate) fn vectors(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(name)
}

/// Lines of JSON with a number of each moved by `moved`.
pub(crate) fn changed(lines: &str, moved: impl Fn(&mut Json)) -> String {
    let line = |line: &str| {
        let mut json: Json = serde_json::from_str(line).unwrap();
        moved(&mut json);
        format!("{json}\n")
    };
    lines.lines().map(line).collect()
}

/// The change of this name in a profile: how many distances, and how many of them show.
pub(crate) fn shown(profile: &Json, name: &str) -> (u64, u64) {
    let tampers = profile["tampers"].as_array().unwrap();
    let tamper = tampers.iter().find(|tamper| tamper["name"] == name);
    let tamper = tamper.unwrap_or_else(|| panic!("no {name} in {profile}"));
    (tamper["count"].as_u64().unwrap(), tamper["detected"].as_u64().unwrap())
}

pub(crate) fn bytes_of(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}
