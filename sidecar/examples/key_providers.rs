//! Wrapping and unwrapping a record key with every provider, in one run: a file, SoftHSM, Vault, and AWS KMS as moto implements it.
//!
//! ```sh
//! cargo run --release -p ledgerstone-sidecar --all-features --example key_providers
//! ```
//!
//! moto is a test server in Python: its row is the sidecar's own cost and moto's, not AWS's.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    missing_docs,
    dead_code,
    reason = "an example that measures, and may fail by panicking"
)]

#[path = "../tests/keys/tools.rs"]
mod tools;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use ledgerstone_sidecar::config::keys::ProviderConfig;
use ledgerstone_sidecar::keyring::aws_kms::AwsKmsProvider;
use ledgerstone_sidecar::keyring::{FileKeyProvider, KeyProvider, open};
use tools::{Kms, SoftHsm, Vault, config, id, key};

/// Tells the second process, whose environment names the SoftHSM, where its folder is.
const FOLDER: &str = "LEDGERSTONE_KEY_PROVIDERS";

fn main() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return tokio::runtime::Runtime::new().unwrap().block_on(measure(Path::new(&folder)));
    }
    let folder = tempfile::tempdir().unwrap();
    SoftHsm::start("SoftHSM", folder.path()).expect("install softhsm2");
    let mut again = Command::new(std::env::current_exe().unwrap());
    let again = again.env(FOLDER, folder.path()).env("SOFTHSM2_CONF", folder.path().join("softhsm2.conf"));
    assert!(again.status().unwrap().success());
}

async fn measure(folder: &Path) {
    println!(
        "| provider | wrap | unwrap | 8 threads, wrap and unwrap | bytes |\n| --- | --- | --- | --- | --- |"
    );
    row("file", &FileKeyProvider::from_key(id("bench"), &[7; 32]), 20_000);
    let module = ["/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so"];
    let module = module.iter().map(Path::new).find(|path| path.exists()).unwrap().to_owned();
    let hsm = SoftHsm { folder: folder.to_owned(), module };
    let keys = open(&config(&hsm.keys("bench"))).unwrap();
    keys.current().create().unwrap();
    row("pkcs11 (SoftHSM 2.6, 4 sessions)", keys.as_ref(), 2_000);
    if let Some(vault) = Vault::start("Vault", folder, false).await {
        row("vault (1.13.1, HTTP on loopback)", open(&config(&vault.keys("bench"))).unwrap().as_ref(), 2_000);
    }
    if let Some(kms) = Kms::start("AWS KMS") {
        let ProviderConfig::AwsKms(config) = config(&kms.keys("bench", &kms.text("key"))).current else {
            return;
        };
        let (access, secret) = (kms.text("access_key_id"), kms.text("secret_access_key"));
        let environment = move |name: &str| match name {
            "AWS_ACCESS_KEY_ID" => Some(access.clone()),
            "AWS_SECRET_ACCESS_KEY" => Some(secret.clone()),
            _ => None,
        };
        let jitter = ledgerstone_sidecar::keyring::remote::random_jitter();
        let keys =
            AwsKmsProvider::with_environment(&config, jitter, std::sync::Arc::new(environment)).unwrap();
        row("aws-kms (moto, HTTP on loopback)", &keys, 100);
    }
}

/// Prints the medians of `count` calls, and calls a second from eight threads.
fn row(name: &str, keys: &dyn KeyProvider, count: usize) {
    let id = keys.key_id().clone();
    let (mut wraps, mut unwraps, mut length) = (Vec::new(), Vec::new(), 0);
    for _ in 0..count {
        let started = Instant::now();
        let wrapped = keys.wrap(&key(3)).unwrap();
        wraps.push(started.elapsed());
        let started = Instant::now();
        keys.unwrap(&id, &wrapped).unwrap();
        unwraps.push(started.elapsed());
        length = wrapped.as_bytes().len();
    }
    let started = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..count / 8 {
                    keys.unwrap(&id, &keys.wrap(&key(4)).unwrap()).unwrap();
                }
            });
        }
    });
    let rate = (count / 8 * 8) as f64 / started.elapsed().as_secs_f64();
    let us = |times: &mut Vec<Duration>| {
        times.sort();
        times[times.len() / 2].as_secs_f64() * 1e6
    };
    let (wrap, unwrap) = (us(&mut wraps), us(&mut unwraps));
    println!("| {name} | {wrap:.1} µs | {unwrap:.1} µs | {rate:.0} a second | {length} |");
}
