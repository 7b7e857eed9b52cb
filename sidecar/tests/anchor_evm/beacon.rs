//! The light client's part of a proof, out of what a real beacon node answered, and out of answers that are wrong.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ledgerstone::anchor::evm::beacon::{BeaconError, Chain, ForkAt, MINIMAL, UpdateError, verify_part};
use ledgerstone::anchor::evm::beacon::{PinnedCommittee, SyncCommittee, Trust};
use ledgerstone::anchor::evm::{BeaconFork, Bundle};
use ledgerstone_sidecar::anchor::evm::{Beacon, LightError};
use ledgerstone_sidecar::outbound::http::{Address, Client};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::world::word;

fn bytes(name: &str) -> Vec<u8> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/beacon");
    std::fs::read(folder.join(name)).unwrap()
}

fn answer(name: &str) -> Value {
    serde_json::from_slice(&bytes(name)).unwrap()
}

fn chain() -> Chain {
    let described = answer("chain.json");
    let fork = |at: &Value| ForkAt {
        epoch: at["epoch"].as_u64().unwrap(),
        version: word(&format!("{:0<66}", at["version"].as_str().unwrap()))[..4].try_into().unwrap(),
        fork: BeaconFork::parse(at["fork"].as_str().unwrap()),
    };
    let forks = described["forks"].as_array().unwrap().iter().map(fork).collect();
    Chain::new(MINIMAL, word(described["genesis_validators_root"].as_str().unwrap()), forks).unwrap()
}

/// The proof of a statement, without the light client's part.
fn bundle(seq: u64) -> Bundle {
    let mut bundle = Bundle::decode(&bytes(&format!("{seq:08}/proof.evm"))).unwrap();
    bundle.beacon = None;
    bundle
}

/// A node that answers these paths below `light_client/`, each with its JSON, and every other one with 404.
async fn node(answers: &[(&str, Value)]) -> Beacon {
    let answers: HashMap<String, String> =
        answers.iter().map(|(path, value)| ((*path).to_owned(), value.to_string())).collect();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") && stream.read_buf(&mut request).await.unwrap_or(0) > 0 {}
            let line = String::from_utf8(request).unwrap();
            let path = line.split(' ').nth(1).unwrap();
            let body = path.strip_prefix("/eth/v1/beacon/light_client/").and_then(|path| answers.get(path));
            let status = if body.is_some() { "200 OK" } else { "404 Not Found" };
            let body = body.map_or("{\"code\":404,\"message\":\"none\"}", String::as_str);
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
        }
    });
    let http = Client::new(Duration::from_secs(5), None).unwrap();
    Beacon::new(Address::parse(&format!("http://{address}")).unwrap(), http, chain())
}

/// Period 2 ended the proof before; the update of period 2 leads to the committee that signed.
const UPDATES: &str = "updates?start_period=2&count=1";

fn answers() -> [(&'static str, Value); 2] {
    [("finality_update", answer("finality-fulu.json")), (UPDATES, json!([answer("updates.json")[2]]))]
}

#[tokio::test]
async fn the_part_starts_where_the_lanes_last_proof_ended() {
    let previous = bytes("00000004/proof.evm");
    let mut extended = bundle(7);
    node(&answers()).await.extend(&mut extended, &[], Some(&previous)).await.unwrap();
    assert_eq!(extended.headers.len(), 1, "the captured block is the finalized one");
    let part = extended.beacon.clone().unwrap();
    assert_eq!(part.updates.len(), 1);
    let root = SyncCommittee::decode(&part.committee, &MINIMAL).unwrap().root();
    let trust = Trust { chain: chain(), committees: vec![PinnedCommittee { period: 2, root }] };
    let finalized = verify_part(&part, &trust).unwrap();
    assert_eq!((finalized.slot, finalized.block_number, finalized.period), (184, 183, 3));
    assert_eq!(Bundle::decode(&extended.encode().unwrap()).unwrap(), extended);
}

/// What comes of the proof of statement `seq` after that of statement `before`, with these answers.
async fn refused(seq: u64, before: Option<u64>, answers: &[(&str, Value)]) -> LightError {
    let previous = before.map(|before| bytes(&format!("{before:08}/proof.evm")));
    let mut extended = bundle(seq);
    let error = node(answers).await.extend(&mut extended, &[], previous.as_deref()).await.unwrap_err();
    assert_eq!(extended, bundle(seq), "what is refused leaves nothing behind");
    error
}

#[tokio::test]
async fn a_final_block_below_the_captured_one_is_waited_for_and_one_far_below_is_a_fault() {
    let waits = refused(8, Some(7), &answers()).await;
    assert!(matches!(waits, LightError::NotYet { final_block: 183 }), "{waits}");
    let stale = refused(8, Some(7), &[("finality_update", answer("finality-capella.json"))]).await;
    assert!(matches!(stale, LightError::Behind { final_block: 23, behind: 184 }), "{stale}");
}

#[tokio::test]
async fn what_does_not_hold_is_refused_by_name() {
    let [(_, finality), updates] = answers();
    let with = |change: fn(&mut Value)| {
        let mut changed = finality.clone();
        change(&mut changed["data"]);
        [("finality_update", changed), updates.clone()]
    };
    let other =
        with(|data| data["finalized_header"]["execution"]["block_hash"] = json!(format!("0x{:064}", 1)));
    let error = refused(7, Some(4), &other).await;
    assert!(matches!(error, LightError::OtherBlock { number: 183 }), "{error}");
    let signature = with(|data| data["sync_aggregate"]["sync_committee_bits"] = json!("0xfeffffff"));
    let error = refused(7, Some(4), &signature).await;
    let update = |error: &LightError| match error {
        LightError::Beacon(BeaconError::Update(update)) => Some(*update),
        _ => None,
    };
    assert_eq!(update(&error), Some(UpdateError::Signature), "{error}");
    let branch = with(|data| data["finality_branch"][0] = json!(format!("0x{:064}", 1)));
    let error = refused(7, Some(4), &branch).await;
    assert_eq!(update(&error), Some(UpdateError::Finalized), "{error}");
    let short = with(|data| _ = data["finality_branch"].as_array_mut().unwrap().pop());
    let error = refused(7, Some(4), &short).await;
    assert!(matches!(error, LightError::Json(_)), "{error}");
}

#[tokio::test]
async fn a_node_without_the_update_or_with_another_committee_is_named() {
    let [finality, _] = answers();
    let error = refused(7, Some(4), &[]).await;
    assert!(matches!(error, LightError::Http(_)), "{error}");
    let error = refused(7, Some(4), std::slice::from_ref(&finality)).await;
    assert!(matches!(error, LightError::Http(_)), "{error}");
    let none = refused(7, Some(4), &[finality.clone(), (UPDATES, json!([]))]).await;
    assert!(matches!(none, LightError::Beacon(_)), "{none}");
    let early = refused(7, Some(4), &[finality.clone(), (UPDATES, json!([answer("updates.json")[1]]))]).await;
    assert!(matches!(early, LightError::Beacon(_)), "{early}");
    // Without a proof before it the committee comes from the final block's bootstrap, and from no other block's.
    let header = &finality.1["data"]["finalized_header"]["beacon"];
    let path = format!("bootstrap/{}", block_root(header));
    let other = refused(7, None, &[finality.clone(), (path.as_str(), answer("bootstrap.json"))]).await;
    assert!(matches!(other, LightError::Beacon(BeaconError::Bootstrap)), "{other}");
}

/// The root of a beacon block as the API names it.
fn block_root(header: &Value) -> String {
    let number = |name: &str| header[name].as_str().unwrap().parse().unwrap();
    let root = |name: &str| word(header[name].as_str().unwrap());
    let header = ledgerstone::anchor::evm::beacon::BeaconHeader {
        slot: number("slot"),
        proposer_index: number("proposer_index"),
        parent_root: root("parent_root"),
        state_root: root("state_root"),
        body_root: root("body_root"),
    };
    format!("0x{}", ledgerstone::encoding::hex_encode(&header.root()))
}
