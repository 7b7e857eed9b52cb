//! What the admin port tells the page, without a browser.

use std::net::SocketAddr;
use std::process::Command;

use ledgerstone::checkpoint::SignedCheckpoint;
use ledgerstone::encoding::base64_decode;
use ledgerstone::hash::{Hash, leaf_hash};
use ledgerstone::merkle::{LeafIndex, consistency, inclusion};
use serde_json::Value as Json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::walk::{is_possible, source};
use crate::world::World;

/// Status, headers in lower case, body.
async fn ask(address: SocketAddr, path: &str) -> (u16, String, Vec<u8>) {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: x\r\nOrigin: https://elsewhere.example\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap().to_lowercase();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head, bytes[end + 4..].to_vec())
}

async fn json(world: &World, path: &str) -> Json {
    let (status, _, body) = ask(world.app.admin_addr, path).await;
    assert_eq!(status, 200, "{path}: {}", String::from_utf8_lossy(&body));
    serde_json::from_slice(&body).unwrap()
}

fn hashes(list: &Json) -> Vec<Hash> {
    let hash =
        |text: &Json| Hash::try_from(base64_decode(text.as_str().unwrap()).unwrap().as_slice()).unwrap();
    list.as_array().unwrap().iter().map(hash).collect()
}

fn checkpoint(note: &Json) -> ledgerstone::checkpoint::Checkpoint {
    SignedCheckpoint::parse(note.as_str().unwrap().as_bytes()).unwrap().checkpoint().clone()
}

#[tokio::test]
async fn two_states_are_consistent_and_a_decision_is_proved() {
    let world = World::new().await;
    world.published(1).await;
    let first = json(&world, "/console/state").await;
    assert!(first["log"]["policy"].as_str().unwrap().starts_with("log "), "{first}");
    let told = world.decide(300).await;
    world.published(told[299].index + 1).await;
    let before = checkpoint(&first["log"]["checkpoint"]);
    let second = json(&world, &format!("/console/state?from={}", before.size)).await;
    assert_eq!(second["log"]["policy"], Json::Null);
    let after = checkpoint(&second["log"]["checkpoint"]);
    assert_eq!(second["log"]["consistency"]["error"], Json::Null);
    let proof = hashes(&second["log"]["consistency"]["proof"]);
    consistency::verify(before.size, &before.root, after.size, &after.root, &proof).unwrap();
    let read = &second["log"]["read"];
    assert_eq!(read["to"], after.size.get());
    assert_eq!(read["kinds"]["decision"], 300);
    assert_eq!((&read["altered"], &read["gap_requests"]), (&Json::Null, &Json::from(0)));
    let shown = json(&world, &format!("/console/decisions/{}", told[7].decision)).await;
    let entry = &shown["entries"][0];
    let (index, head) = (LeafIndex::new(entry["index"].as_u64().unwrap()), checkpoint(&shown["checkpoint"]));
    assert_eq!((index.get(), &entry["kind"]), (told[7].index, &Json::from("decision")));
    let leaf = leaf_hash(&base64_decode(entry["entry"].as_str().unwrap()).unwrap());
    inclusion::verify(&leaf, index, head.size, &hashes(&entry["proof"]), &head.root).unwrap();
    world.stop().await;
}

#[tokio::test]
async fn every_answer_is_for_this_origin_alone_and_kept_by_nobody() {
    let world = World::new().await;
    let admin = world.app.admin_addr;
    for (path, expected) in [
        ("/console", 200),
        ("/console/state", 200),
        ("/console/state?from=1", 200),
        ("/console/state?from=99999999", 200),
        ("/console/state?from=-1", 400),
        ("/console/state?from=+1", 400),
        ("/console/state?from=99999999999999999999", 400),
        ("/console/state?from=1&from=2", 400),
        ("/console/state?", 400),
        ("/console/decisions/01a1ee56-5e02-7000-8000-000000000002", 404),
        ("/console/decisions/..%2f..%2fsealed", 400),
        ("/console/decisions/%00", 400),
        ("/console/decisions/01A1EE56-5E02-7000-8000-000000000002", 400),
    ] {
        let (status, head, body) = ask(admin, path).await;
        assert_eq!(status, expected, "{path}: {}", String::from_utf8_lossy(&body));
        for header in [
            "cache-control: no-store",
            "x-content-type-options: nosniff",
            "cross-origin-resource-policy: same-origin",
            "referrer-policy: no-referrer",
        ] {
            assert!(head.contains(header), "{path} lacks {header}: {head}");
        }
        assert!(!head.contains("access-control-"), "{path}: {head}");
    }
    let (_, head, page) = ask(admin, "/console").await;
    assert!(head.contains("content-security-policy: frame-ancestors 'none'"), "{head}");
    assert!(head.contains("content-type: text/html"), "{head}");
    assert_eq!(page, std::fs::read(source().join("dist/console.html")).unwrap());
    // A size that the log does not have yet is no proof, and no error of the page.
    let ahead = json(&world, "/console/state?from=99999999").await;
    assert!(ahead["log"]["consistency"]["error"].is_string(), "{ahead}");
    world.stop().await;
}

#[test]
fn the_committed_page_is_what_its_source_builds() {
    if !is_possible() {
        return;
    }
    let into = tempfile::tempdir().unwrap();
    let build = Command::new("node")
        .args(["node_modules/vite/bin/vite.js", "build", "--logLevel", "warn"])
        .current_dir(source())
        .env("LEDGERSTONE_PAGE_OUT", into.path())
        .output()
        .unwrap();
    assert!(build.status.success(), "{}", String::from_utf8_lossy(&build.stderr));
    let made = std::fs::read(into.path().join("console.html")).unwrap();
    let committed = std::fs::read(source().join("dist/console.html")).unwrap();
    assert!(made == committed, "web/console/dist is old: run `npm run build` in web/console");
}
