//! Model folders against OpenSSF model signing itself: the digest of every folder, and signatures that it made.
//!
//! Danger: our digest of a folder differs from the one that was signed, in the order of names or in what is left out; a
//! folder that was changed, or a signature of somebody else, is called verified. Expected: every digest is the package's,
//! a true signature verifies, and whatever is changed does not.
//!
//! The folders of `oms/signed.py` are signed anew in the environment that `scripts/py-env` makes of `oms/requirements.txt`. One
//! small folder with its signatures is kept under `vectors/oms/`, so that a machine without Python checks them, too.

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

#[path = "support/library.rs"]
mod library;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use ledgerstone::encoding::{base64_decode, base64_encode};
use ledgerstone::manifest::{Difference, LEFT_OUT};
use ledgerstone_verifier::folder::{self, FolderError};
use ledgerstone_verifier::oms::{Bundle, KeyError, OmsError, PublicKey, Statement};
use serde_json::{Value, json};
use tempfile::TempDir;

fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/oms")
}

fn key(path: &Path) -> PublicKey {
    PublicKey::from_pem(&fs::read(path).unwrap()).unwrap()
}

fn verify(signature: &Path, key_at: &Path) -> Result<Statement, OmsError> {
    Bundle::parse(&fs::read(signature).unwrap())?.verify(&key(key_at))
}

fn differences(statement: &Statement, model: &Path) -> Vec<Difference> {
    statement.manifest.differences(&folder::read(model, &statement.left_out).unwrap())
}

/// A copy of the small folder.
fn copy() -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    fs::create_dir(copy.path().join("labels")).unwrap();
    for name in ["labels/en.json", "labels.json", "threshold.json", "weights.json"] {
        fs::copy(vectors().join("mortgage").join(name), copy.path().join(name)).unwrap();
    }
    copy
}

/// The small signature, with its JSON changed.
fn changed(change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut bundle: Value =
        serde_json::from_slice(&fs::read(vectors().join("mortgage.sig")).unwrap()).unwrap();
    change(&mut bundle);
    serde_json::to_vec(&bundle).unwrap()
}

/// The statement of the small signature, with its JSON changed.
fn restated(change: impl FnOnce(&mut Value)) -> Result<Statement, OmsError> {
    let bundle = Bundle::parse(&fs::read(vectors().join("mortgage.sig")).unwrap()).unwrap();
    let mut statement: Value = serde_json::from_slice(bundle.payload()).unwrap();
    change(&mut statement);
    Statement::parse(&serde_json::to_vec(&statement).unwrap())
}

#[test]
fn every_digest_and_signature_is_the_packages_own() {
    let Some(made) = library::trained("oms/signed.py", "verifier/tests/oms/requirements.txt", &[]) else {
        return;
    };
    let at = |name: &str| made.join(name);
    let roots: BTreeMap<String, String> =
        serde_json::from_slice(&fs::read(at("roots.json")).unwrap()).unwrap();
    assert_eq!(roots.len(), 24);
    for (name, root) in roots.iter().filter(|(name, _)| name.starts_with("trees/")) {
        assert_eq!(folder::read(&at(name), &LEFT_OUT).unwrap().root().to_string(), *root, "{name}");
    }
    for (signature, pem, model) in [
        ("p256.sig", "p256.pem", "model"),
        ("p384.sig", "p384.pem", "model"),
        ("inside/model.sig", "p256.pem", "inside"),
        ("part.sig", "p256.pem", "model"),
    ] {
        let statement = verify(&at(signature), &at(pem)).unwrap();
        assert_eq!(statement.manifest.root().to_string(), roots[signature], "{signature}");
        assert_eq!(differences(&statement, &at(model)), [], "{signature}");
        let ours = folder::read(&at(model), &LEFT_OUT).unwrap().root().to_string();
        assert_eq!(ours == roots[signature], signature != "part.sig", "{signature}");
        assert!(matches!(verify(&at(signature), &at("other.pem")), Err(OmsError::OtherKey)));
    }
    for signature in ["shards.sig", "blake2.sig"] {
        assert!(matches!(verify(&at(signature), &at("p256.pem")), Err(OmsError::Serialization { .. })));
    }
    assert_eq!(PublicKey::from_pem(&fs::read(at("p521.pem")).unwrap()), Err(KeyError::OtherKind));
    assert_eq!(PublicKey::from_pem(&fs::read(at("p256.key")).unwrap()), Err(KeyError::Private));
}

#[test]
fn a_kept_signature_verifies_and_every_change_of_the_folder_shows() {
    for name in ["mortgage", "p384"] {
        let (signature, pem) = (vectors().join(format!("{name}.sig")), vectors().join(format!("{name}.pem")));
        let statement = verify(&signature, &pem).unwrap();
        let model = copy();
        let at = |name: &str| model.path().join(name);
        assert_eq!(differences(&statement, model.path()), []);
        fs::write(at("threshold.json"), "{\"value\": 0.6}\n").unwrap();
        fs::write(at("labels/.hidden"), "").unwrap();
        fs::remove_file(at("weights.json")).unwrap();
        let found = [
            Difference::Added("labels/.hidden".to_owned()),
            Difference::Changed("threshold.json".to_owned()),
            Difference::Missing("weights.json".to_owned()),
        ];
        assert_eq!(differences(&statement, model.path()), found);
    }
}

#[test]
fn a_signature_of_another_key_or_over_other_bytes_does_not_verify() {
    let other = key(&vectors().join("other.pem"));
    let own = key(&vectors().join("mortgage.pem"));
    let without_hint = changed(|bundle| bundle["verificationMaterial"]["publicKey"] = json!({}));
    let bundle = Bundle::parse(&without_hint).unwrap();
    assert!(bundle.verify(&own).is_ok());
    assert!(matches!(bundle.verify(&other), Err(OmsError::Signature)));
    let p384 = key(&vectors().join("p384.pem"));
    assert!(matches!(bundle.verify(&p384), Err(OmsError::Signature)));
    let restated = changed(|bundle| {
        let payload = bundle["dsseEnvelope"]["payload"].as_str().unwrap();
        let text = String::from_utf8(base64_decode(payload).unwrap()).unwrap();
        let text = text.replacen("threshold.json", "threshold.jsom", 1);
        bundle["dsseEnvelope"]["payload"] = base64_encode(text.as_bytes()).into();
    });
    assert!(matches!(Bundle::parse(&restated).unwrap().verify(&own), Err(OmsError::Signature)));
    for at in [0, 10, 40] {
        let cut = changed(|bundle| {
            let signature = &mut bundle["dsseEnvelope"]["signatures"][0]["sig"];
            let mut bytes = base64_decode(signature.as_str().unwrap()).unwrap();
            bytes[at] ^= 1;
            *signature = base64_encode(&bytes).into();
        });
        assert!(matches!(Bundle::parse(&cut).unwrap().verify(&own), Err(OmsError::Signature)), "byte {at}");
    }
}

#[test]
fn refuses_bundles_that_are_none_or_need_more_than_a_key() {
    type Change = fn(&mut Value);
    let changes: [(Change, &str); 9] = [
        (|b| b["verificationMaterial"]["certificate"] = json!({"rawBytes": ""}), "keyless"),
        (|b| b["verificationMaterial"]["x509CertificateChain"] = json!({}), "certificate"),
        (|b| b["verificationMaterial"] = json!({"tlogEntries": []}), "public key"),
        (|b| b["dsseEnvelope"] = Value::Null, "DSSE envelope"),
        (|b| b["dsseEnvelope"]["payloadType"] = "text/plain".into(), "in-toto"),
        (|b| b["dsseEnvelope"]["signatures"] = json!([]), "exactly one signature"),
        (|b| b["dsseEnvelope"]["signatures"] = json!([{"sig": ""}, {"sig": ""}]), "exactly one signature"),
        (|b| b["dsseEnvelope"]["payload"] = "a".into(), "base64"),
        (|b| b["verificationMaterial"] = 1.into(), "JSON"),
    ];
    for (change, word) in changes {
        let error = Bundle::parse(&changed(change)).unwrap_err().to_string();
        assert!(error.contains(word), "{word}: {error}");
    }
    for bytes in ["", "{}", "[]", "null", "{\"verificationMaterial\":{}", &"[".repeat(100_000)] {
        assert!(Bundle::parse(bytes.as_bytes()).is_err());
    }
    assert!(matches!(Bundle::parse(&vec![b' '; 16 * 1024 * 1024 + 1]), Err(OmsError::TooLarge)));
}

#[test]
fn refuses_statements_that_are_no_list_of_files() {
    type Change = fn(&mut Value);
    assert!(restated(|_| {}).is_ok());
    let changes: [(Change, &str); 13] = [
        (|s| s["_type"] = "https://in-toto.io/Statement/v0.1".into(), "version 1"),
        (|s| s["predicateType"] = "https://model_signing/Digests/v0.1".into(), "sign again"),
        (|s| s["subject"] = json!([]), "exactly one model"),
        (|s| s["subject"][0]["digest"]["sha256"] = "00".repeat(32).into(), "subject"),
        (|s| s["predicate"]["serialization"]["method"] = "shards".into(), "shards"),
        (|s| s["predicate"]["serialization"]["ignore_paths"] = json!(["."]), "relative path"),
        (|s| s["predicate"]["serialization"]["ignore_paths"] = json!(["../x"]), "relative path"),
        (|s| s["predicate"]["serialization"]["ignore_paths"] = json!(vec!["a"; 1025]), "1024"),
        (|s| s["predicate"]["resources"] = json!([]), "empty folder"),
        (|s| s["predicate"]["resources"][0]["algorithm"] = "md5".into(), "md5"),
        (|s| s["predicate"]["resources"][0]["digest"] = "00".into(), "64"),
        (|s| s["predicate"]["resources"][0]["name"] = "../weights.json".into(), "relative path"),
        (
            |s| s["predicate"]["resources"][0]["name"] = s["predicate"]["resources"][1]["name"].clone(),
            "twice",
        ),
    ];
    for (change, word) in changes {
        let error = restated(change).unwrap_err().to_string();
        assert!(error.contains(word), "{word}: {error}");
    }
}

#[test]
fn refuses_what_is_no_plain_folder() {
    let model = copy();
    let at = |name: &str| model.path().join(name);
    assert!(matches!(folder::read(&at("labels.json"), &LEFT_OUT), Err(FolderError::NotAFolder { .. })));
    assert!(matches!(folder::read(&at("none"), &LEFT_OUT), Err(FolderError::Unreadable { .. })));
    std::os::unix::fs::symlink(at("labels"), at("link")).unwrap();
    assert!(matches!(folder::read(model.path(), &LEFT_OUT), Err(FolderError::Special { link: true, .. })));
    assert!(matches!(folder::read(&at("link"), &LEFT_OUT), Err(FolderError::NotAFolder { .. })));
    fs::remove_file(at("link")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
    assert!(matches!(folder::read(model.path(), &LEFT_OUT), Err(FolderError::Special { link: false, .. })));
    let empty = tempfile::tempdir().unwrap();
    assert!(matches!(folder::read(empty.path(), &LEFT_OUT), Err(FolderError::Manifest(_))));
}
