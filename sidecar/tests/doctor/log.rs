//! Faults in the log: changed bytes, another history, a recorder that died, requests without a record.

use std::fs;
use std::time::Duration;

use crate::desk::{Installation, doctor, doctor_ahead};
use crate::support::{Sidecar, copy, free_port, http_get, request};

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_entry_and_another_history_are_found() {
    let Some(world) = Installation::new().await else { return };
    let mut running = world.start().await;
    world.decide(280).await;
    world.register().await;
    world.anchored().await;
    world.doctor(&[]).await.assert_well();

    // One byte of one entry of a bundle that is full.
    let bundle = world.sidecar.store().join("log/tile/entries/000");
    let whole = fs::read(&bundle).unwrap();
    let mut changed = whole.clone();
    *changed.last_mut().unwrap() ^= 1;
    fs::write(&bundle, &changed).unwrap();
    world.doctor(&[]).await.assert_only("log.tiles", "fail", "evidence");
    fs::write(&bundle, &whole).unwrap();
    world.doctor(&[]).await.assert_well();

    // A copy of the store, served by a second sidecar with the same key, goes another way.
    assert!(running.stop().success());
    let elsewhere = tempfile::tempdir().unwrap();
    copy(world.folder.path(), elsewhere.path());
    let port = || std::net::SocketAddr::from(([127, 0, 0, 1], free_port()));
    let twin = Sidecar { folder: elsewhere.path().to_owned(), grpc: port(), http: port(), admin: port() };
    let mut text = fs::read_to_string(twin.config()).unwrap();
    for (ours, theirs) in
        [(world.sidecar.grpc, twin.grpc), (world.sidecar.http, twin.http), (world.sidecar.admin, twin.admin)]
    {
        text = text.replace(&ours.to_string(), &theirs.to_string());
    }
    fs::write(twin.config(), text).unwrap();
    let _twin = twin.start();
    let mut client = twin.client().await;
    client.model_infer(request("elsewhere", 1.0)).await.unwrap();
    let size = |note: &[u8]| String::from_utf8_lossy(note).lines().nth(1).unwrap().parse::<u64>().unwrap();
    let (_, note) = http_get(twin.http, "/checkpoint").await.unwrap();
    let kept = world.path("elsewhere.checkpoint");
    fs::write(&kept, &note).unwrap();
    drop(_twin);
    let _running = world.start().await;
    while size(&http_get(world.sidecar.http, "/checkpoint").await.unwrap().1) <= size(&note) {
        world.decide(1).await;
    }
    let said = world.doctor(&["--checkpoint", &kept.display().to_string()]).await;
    said.assert_only("log.consistent", "fail", "evidence");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recorder_that_died_is_found_while_it_is_dead_and_after() {
    let Some(world) = Installation::new().await else { return };
    let mut running = world.start().await;
    world.decide(3).await;
    world.register().await;
    world.anchored().await;
    running.kill();

    // Nothing answers, and the store alone says that the newest entry is too old.
    let minute = Duration::from_secs(60);
    let dead = doctor_ahead(minute, &world.asked(&["--offline"])).await;
    dead.assert_only("log.heartbeats", "fail", "Start the sidecar");
    let silent = world.doctor(&[]).await;
    let gone: Vec<_> = silent.names("fail").into_iter().filter(|name| name.ends_with(".reached")).collect();
    assert_eq!(gone, ["admin.reached", "http.reached", "grpc.reached"]);

    let mut running = world.start().await;
    world.anchored().await;
    world.doctor(&[]).await.assert_only("log.sessions", "warn", "what ended the sidecar");

    // Stopped in order, the store alone is well, however old it becomes.
    assert!(running.stop().success());
    let day = Duration::from_secs(2 * 86_400);
    doctor_ahead(day, &world.asked(&["--offline"])).await.assert_well();
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_were_turned_away_are_found() {
    let Some(world) = Installation::new().await else { return };
    world.edit("[heartbeat]", "[limits]\nin_flight_max = 1\n\n[heartbeat]");
    let _running = world.start().await;
    world.register().await;
    world.anchored().await;
    let client = world.sidecar.client().await;
    let crowd = (0..8).map(|_| {
        let mut client = client.clone();
        tokio::spawn(async move { client.model_infer(request(crate::support::SLOW, 1.0)).await.is_ok() })
    });
    let mut served = 0;
    for one in crowd.collect::<Vec<_>>() {
        served += usize::from(one.await.unwrap());
    }
    assert!(served < 8, "nobody was turned away");
    world.doctor(&[]).await.assert_only("log.gaps", "warn", "limits.in_flight_max");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_alone_needs_no_network_and_says_what_was_not_looked_at() {
    let Some(world) = Installation::new().await else { return };
    let mut running = world.start().await;
    world.decide(2).await;
    assert!(running.stop().success());
    let store = world.sidecar.store().display().to_string();
    let said = doctor(&["--store".to_owned(), store]).await;
    said.assert_well();
    assert!(!said.names("ok").contains(&"log.signatures"), "nobody said whose keys to trust");
    assert!(said.names("ok").contains(&"log.tiles"));
}
