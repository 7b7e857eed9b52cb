//! The committed code under `src/proto/gen/` is what `proto/` says.
//!
//! Scenario: every `.proto` file is compiled again, in process. Danger: a file is edited and its generated code
//! is not, or the other way round, and the wire differs from the documentation. End state: byte for byte the same.
//! `UPDATE_PROTO=1 cargo test --test proto_generated` writes the files anew.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that reads files and one variable"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Every proto file of the project, relative to `proto/`.
const FILES: [&str; 7] = [
    "inference/open_inference_grpc.proto",
    "ledgerstone/v1/audit.proto",
    "ledgerstone/v1/keyring.proto",
    "ledgerstone/v1/log.proto",
    "ledgerstone/v1/receipts.proto",
    "ledgerstone/v1/recorder.proto",
    "ledgerstone/v1/registry.proto",
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// What the generator writes today: file name to bytes.
fn generate(out: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut compiler = protox::Compiler::new([root().join("proto")]).expect("proto/ is there");
    compiler
        .include_source_info(true)
        .include_imports(true)
        .open_files(FILES)
        .expect("the proto files compile");
    let descriptors = compiler.encode_file_descriptor_set();
    fs::write(out.join("descriptors.bin"), descriptors).expect("write");
    tonic_prost_build::configure()
        .bytes(".")
        .build_transport(true)
        .emit_rerun_if_changed(false)
        .out_dir(out)
        .compile_fds(compiler.file_descriptor_set())
        .expect("code is generated");
    read_dir(out)
}

fn read_dir(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let Ok(entries) = fs::read_dir(dir) else {
        return BTreeMap::new();
    };
    entries
        .map(|entry| {
            let path = entry.expect("entry").path();
            let name = path.file_name().expect("name").to_string_lossy().into_owned();
            (name, fs::read(path).expect("read"))
        })
        .collect()
}

#[test]
fn committed_code_is_what_the_proto_files_generate() {
    let out = tempfile::tempdir().expect("temporary directory");
    let generated = generate(out.path());
    let committed_at = root().join("src/proto/gen");
    if std::env::var_os("UPDATE_PROTO").is_some_and(|v| v == "1") {
        for (name, bytes) in &generated {
            fs::write(committed_at.join(name), bytes).expect("write");
        }
    }
    let committed = read_dir(&committed_at);
    let names = |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&generated), names(&committed), "files under src/proto/gen");
    for (name, bytes) in &generated {
        assert!(
            bytes == &committed[name],
            "src/proto/gen/{name} is not what proto/ generates; run with UPDATE_PROTO=1"
        );
    }
}

#[test]
fn every_proto_file_is_compiled() {
    let mut found = Vec::new();
    let mut dirs = vec![root().join("proto")];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).expect("proto/ is readable") {
            let path = entry.expect("entry").path();
            if path.is_dir() {
                dirs.push(path);
            } else {
                let relative = path.strip_prefix(root().join("proto")).expect("inside proto/");
                found.push(relative.to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    assert_eq!(found, FILES);
}
