//! The log in its static layout, over HTTP.

use std::fs;
use std::net::SocketAddr;

use ledgerstone::checkpoint::SignedCheckpoint;
use ledgerstone::hash::Hash;
use ledgerstone::merkle::TreeSize;
use ledgerstone::tile::{self, EntryBundle};
use ledgerstone::verify::{self, Verdict};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::world::World;

/// An answer: status, headers in lower case, body.
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

async fn ask(address: SocketAddr, method: &str, path: &str) -> Answer {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("{method} {path} HTTP/1.1\r\nHost: log\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap().to_lowercase();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head, body: bytes[end + 4..].to_vec() }
}

async fn get(world: &World, path: &str) -> Answer {
    ask(world.app.http_addr, "GET", path).await
}

#[tokio::test]
async fn serves_every_file_of_the_published_tree_as_it_lies_in_the_store() {
    let world = World::new().await;
    world.decide(300).await;
    world.published(301).await;
    let note = get(&world, "/checkpoint").await;
    assert_eq!(note.status, 200);
    assert!(note.head.contains("content-type: text/plain; charset=utf-8"), "{}", note.head);
    assert!(note.head.contains("cache-control: no-cache"), "{}", note.head);
    let signed = SignedCheckpoint::parse(&note.body).unwrap();
    for log in world.policy().logs() {
        signed.verify(log.key()).unwrap();
    }
    let mut served = 0;
    for path in tile::paths(signed.checkpoint().size) {
        let answer = get(&world, &format!("/{path}")).await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.head.contains("content-type: application/octet-stream"), "{}", answer.head);
        assert!(
            answer.head.contains("cache-control: public, max-age=31536000, immutable"),
            "{}",
            answer.head
        );
        let file = world.files.store().join("log").join(path.to_string());
        assert_eq!(answer.body, fs::read(file).unwrap(), "{path}");
        served += 1;
    }
    assert!(served >= 5, "two bundles, two tiles and the one above: {served}");
    let policy = get(&world, "/log.policy").await;
    assert_eq!(policy.body, fs::read(world.files.store().join("log.policy")).unwrap());
    world.stop().await;
}

#[tokio::test]
async fn serves_a_partial_tile_that_is_not_there_from_the_full_one() {
    let world = World::new().await;
    world.decide(280).await;
    world.published(281).await;
    let log = world.files.store().join("log/tile");
    let full = fs::read(log.join("0/000")).unwrap();
    let bundle = fs::read(log.join("entries/000")).unwrap();
    let all = EntryBundle::decode(&bundle).unwrap();
    let gone = |folder: &str, width: usize| !log.join(folder).join(width.to_string()).exists();
    let widths = (1..256).filter(|width| gone("0/000.p", *width) && gone("entries/000.p", *width));
    let mut tried = 0;
    for width in widths {
        let hashes = get(&world, &format!("/tile/0/000.p/{width}")).await;
        assert_eq!(hashes.body, full[..width * Hash::LEN], "{width}");
        let entries = get(&world, &format!("/tile/entries/000.p/{width}")).await;
        assert_eq!(EntryBundle::decode(&entries.body).unwrap(), all[..width], "{width}");
        tried += 1;
    }
    assert!(tried > 50, "only {tried} widths were not published");
    world.stop().await;
}

#[tokio::test]
async fn serves_a_partial_tile_of_a_size_that_was_never_published() {
    let world = World::new().await;
    world.decide(40).await;
    world.published(41).await;
    let log = world.files.store().join("log/tile");
    let never = (1..40).filter(|width| !log.join(format!("0/000.p/{width}")).exists());
    let mut tried = 0;
    for width in never {
        let hashes = get(&world, &format!("/tile/0/000.p/{width}")).await;
        assert_eq!((hashes.status, hashes.body.len()), (200, width * Hash::LEN));
        let entries = get(&world, &format!("/tile/entries/000.p/{width}")).await;
        assert_eq!(EntryBundle::decode(&entries.body).unwrap().len(), width);
        tried += 1;
    }
    assert!(tried > 5, "only {tried} widths were not published");
    assert_eq!(get(&world, "/tile/1/000.p/1").await.status, 404);
    world.stop().await;
}

#[tokio::test]
async fn a_path_has_one_spelling_and_the_tree_one_end() {
    let world = World::new().await;
    world.decide(300).await;
    world.published(301).await;
    for path in [
        "/",
        "//checkpoint",
        "/checkpoint/",
        "/Checkpoint",
        "/tile",
        "/tile/",
        "/tile/0/0",
        "/tile/0/000/",
        "/tile/00/000",
        "/tile/0/000.p/0",
        "/tile/0/000.p/256",
        "/tile/0/000.p/05",
        "/tile/0/x000/000",
        "/tile/0/%30%30%30",
        "/tile/0/../0/000",
        "/tile/0/999",
        "/tile/entries/002",
        "/tile/64/000",
        "/tile/entries/000?x",
        "/log.policy/../lock",
        "/journal/0000000000000000.journal",
        "/sealed/000",
    ] {
        let status = get(&world, path).await.status;
        let expected = if path.ends_with("?x") { 200 } else { 404 };
        assert_eq!(status, expected, "{path}");
    }
    assert_eq!(get(&world, "/tile/0/000").await.status, 200);
    let post = ask(world.app.http_addr, "POST", "/checkpoint").await;
    assert_eq!(post.status, 405);
    assert!(post.head.contains("allow: get, head"), "{}", post.head);
    let head = ask(world.app.http_addr, "HEAD", "/checkpoint").await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    world.stop().await;
}

#[tokio::test]
async fn serves_receipts_and_says_when_it_cannot() {
    let world = World::new().await;
    let told = world.decide(1).await.remove(0);
    let receipt = get(&world, &format!("/receipts/{}", told.decision)).await;
    assert_eq!(receipt.status, 200);
    assert!(
        receipt.head.contains("content-type: application/vnd.ledgerstone.receipt+json"),
        "{}",
        receipt.head
    );
    assert!(receipt.head.contains("cache-control: no-store"), "{}", receipt.head);
    assert_eq!(verify::receipt(&receipt.body, Some(&world.policy())).verdict(), Verdict::Verified);
    assert_eq!(get(&world, "/receipts/0195f2a0-0000-7000-8000-000000000000").await.status, 404);
    for id in ["", "x", &told.decision.to_uppercase(), &format!("{}/", told.decision)] {
        assert_eq!(get(&world, &format!("/receipts/{id}")).await.status, 400, "{id}");
    }
    world.stop().await;
}

#[tokio::test]
async fn a_stranger_with_the_http_port_alone_can_check_the_whole_log() {
    let world = World::new().await;
    world.decide(10).await;
    world.published(11).await;
    let signed = SignedCheckpoint::parse(&get(&world, "/checkpoint").await.body).unwrap();
    let size = signed.checkpoint().size;
    let bundle = get(&world, &format!("/tile/entries/000.p/{size}")).await;
    let mut range = ledgerstone::merkle::range::CompactRange::empty();
    for entry in EntryBundle::decode(&bundle.body).unwrap() {
        range.push(ledgerstone::hash::leaf_hash(entry));
    }
    assert_eq!((range.size(), range.root()), (TreeSize::new(size.get()), signed.checkpoint().root));
    world.stop().await;
}
