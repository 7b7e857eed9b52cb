//! COSE receipts over HTTP, and the key that signs them.

use std::fs;
use std::net::SocketAddr;

use ledgerstone::code::CheckName;
use ledgerstone::cose::CoseReceipt;
use ledgerstone::entry::{Detail, Entry, Kind};
use ledgerstone::hash::leaf_hash;
use ledgerstone::receipt::Receipt;
use ledgerstone::verify::{self, Status, Verdict};
use ledgerstone_sidecar::app::App;
use ledgerstone_sidecar::commands;
use ledgerstone_sidecar::reader::LogReader;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::Sidecar;
use crate::world::{World, build, init};

const KEY_FILE: &str = "receipt.key_file=";

/// A running sidecar whose log gets a receipt key, by `receipt key`.
async fn world() -> World {
    let (folder, files) = init().await;
    let flags = flags(&files);
    let mut said = Vec::new();
    commands::receipt_key(&files.load(&flags), &mut said).unwrap();
    assert!(String::from_utf8(said).unwrap().contains("The log's policy names receipt key"));
    let app = build(&files, &flags).await.spawn().await.unwrap();
    World { folder, files, app }
}

fn flags(files: &Sidecar) -> Vec<String> {
    vec![format!("{KEY_FILE}{}", files.folder.join("receipts.key").display())]
}

/// Status, headers in lower case, body.
async fn get(address: SocketAddr, path: &str, accept: &str) -> (u16, String, Vec<u8>) {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: log\r\nAccept: {accept}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap().to_lowercase();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), head, bytes[end + 4..].to_vec())
}

#[tokio::test]
async fn a_receipt_carries_a_cose_receipt_that_the_log_s_own_policy_verifies() {
    let world = world().await;
    let told = world.decide(3).await.remove(1);
    world.published(told.index + 1).await;
    let path = format!("/receipts/{}", told.decision);
    let (status, head, file) = get(world.app.http_addr, &path, "*/*").await;
    assert!(status == 200 && head.contains("application/vnd.ledgerstone.receipt+json"), "{head}");
    let policy = world.policy();
    let report = verify::receipt(&file, Some(&policy));
    assert_eq!(report.verdict(), Verdict::Verified, "{report:?}");
    assert_eq!(report.check(CheckName::ReceiptCose).unwrap().status, Status::Passed);
    let receipt = Receipt::parse(&file).unwrap();
    let leaf = leaf_hash(receipt.entry_bytes());
    for (accept, kind) in [
        ("application/cose", "application/cose; cose-type=\"cose-sign1\""),
        ("text/html, application/scitt-receipt+cose;q=0.9", "application/scitt-receipt+cose"),
    ] {
        let (status, head, cose) = get(world.app.http_addr, &path, accept).await;
        assert!(status == 200 && head.contains(kind) && head.contains("no-store"), "{head}");
        CoseReceipt::decode(&cose).unwrap().verify(&leaf, &policy.receipt_keys()[0]).unwrap();
    }
    world.stop().await;
}

#[tokio::test]
async fn every_session_says_in_the_log_which_key_signs_its_receipts() {
    let world = world().await;
    let stopped = world.stop().await;
    let log = LogReader::at_rest(&stopped.files.store()).unwrap();
    let entries = log.bundle(0).unwrap().entries;
    let entries: Vec<Entry> = entries.iter().map(|entry| Entry::decode(entry).unwrap()).collect();
    let kinds: Vec<Kind> = entries.iter().map(|entry| entry.kind).collect();
    assert_eq!(kinds[..2], [Kind::Start, Kind::Key]);
    let key = stopped.files.policy().receipt_keys()[0].to_cose();
    assert_eq!(entries[1].details.value(1), Some(&Detail::Text("cose-receipt".to_owned())));
    assert_eq!(entries[1].details.value(2), Some(&Detail::Bytes(key)));
}

#[tokio::test]
async fn a_log_without_a_receipt_key_goes_on_as_before_and_says_so() {
    let world = World::new().await;
    let told = world.decide(1).await.remove(0);
    world.published(told.index + 1).await;
    let path = format!("/receipts/{}", told.decision);
    let (status, _, file) = get(world.app.http_addr, &path, "application/json").await;
    assert!(status == 200 && Receipt::parse(&file).unwrap().cose().is_none());
    let (status, _, body) = get(world.app.http_addr, &path, "application/cose").await;
    let body = String::from_utf8(body).unwrap();
    assert!(status == 406 && body.contains("receipt.key_file"), "{body}");
    world.stop().await;
}

#[tokio::test]
async fn a_key_that_the_policy_does_not_name_signs_nothing() {
    let (_folder, files) = init().await;
    let flags = flags(&files);
    let named = fs::read(files.store().join("log.policy")).unwrap();
    commands::receipt_key(&files.load(&flags), &mut Vec::new()).unwrap();
    fs::write(files.store().join("log.policy"), named).unwrap();
    let error = App::build(files.load(&flags)).await.unwrap().recover().await.err().unwrap();
    assert!(error.to_string().contains("ledgerstone-sidecar receipt key"), "{error}");
}

#[tokio::test]
async fn a_log_s_key_file_is_no_receipt_key_and_a_missing_one_says_what_to_do() {
    let (_folder, files) = init().await;
    let build = async |file: &str| {
        let flags = [format!("{KEY_FILE}{}", files.folder.join(file).display())];
        App::build(files.load(&flags)).await.err().unwrap().to_string()
    };
    assert!(build("log.key").await.contains("ledgerstone-receipt-key/v1"));
    assert!(build("missing.key").await.contains("ledgerstone-sidecar receipt key"));
}

#[tokio::test]
async fn the_command_names_a_key_once_and_refuses_while_the_sidecar_runs() {
    let world = world().await;
    let flags = flags(&world.files);
    let refused = commands::receipt_key(&world.files.load(&flags), &mut Vec::new()).unwrap_err();
    assert!(format!("{refused:#}").contains("stop the sidecar"), "{refused:#}");
    let stopped = world.stop().await;
    commands::receipt_key(&stopped.files.load(&flags), &mut Vec::new()).unwrap();
    assert_eq!(stopped.files.policy().receipt_keys().len(), 1);
    // The log still opens, and knows its own policy.
    let app = build(&stopped.files, &flags).await.spawn().await.unwrap();
    app.drain(crate::world::DRAIN).await.unwrap();
}

#[test]
fn init_makes_the_key_where_the_configuration_names_a_file_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let files = Sidecar::init(folder.path(), ([127, 0, 0, 1], 9).into());
    fs::remove_dir_all(files.store()).unwrap();
    let output = files
        .command("init")
        .arg("--set")
        .arg(format!("{KEY_FILE}{}", folder.path().join("keys/receipts.key").display()))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let key = files.policy().receipt_keys()[0].kid().to_string();
    assert!(said.contains("created the key that signs COSE receipts") && said.contains(&key), "{said}");
}
