//! Faults beside a sidecar that runs on as it is.

use std::fs::{self, File};
use std::time::Duration;

use crate::desk::{Installation, chmod, doctor_ahead};
use crate::support::free_port;
use crate::world::until;

#[tokio::test(flavor = "multi_thread")]
async fn an_installation_without_faults_is_well_and_each_fault_around_it_is_the_one_that_is_found() {
    let Some(world) = Installation::new().await else { return };
    let _running = world.start().await;
    world.decide(300).await;
    world.anchored().await;
    until("the models are read back", async || world.page("/models").await.contains("unregistered")).await;

    // The model was never registered.
    world.doctor(&[]).await.assert_only("models", "warn", "ledgerstone model register");
    world.register().await;
    let well = world.doctor(&[]).await;
    well.assert_well();
    for name in [
        "admin.reached",
        "sidecar.live",
        "sidecar.ready",
        "sidecar.version",
        "metrics.scrape",
        "keys.provider",
        "disk.free",
        "journal.backlog",
        "files.limit",
        "files.permissions",
        "keys.apart",
        "anchors",
        "models",
        "routes.packs",
        "retention",
        "config.backup",
        "config.exposed",
        "hardening",
        "upstream.local",
        "index.behind",
        "log.published",
        "http.reached",
        "log.checkpoint",
        "log.signatures",
        "log.tiles",
        "log.heartbeats",
        "log.sessions",
        "log.gaps",
        "log.consistent",
        "receipt.newest",
        "grpc.reached",
        "upstream.reached",
        "log.origin",
        "siem.sinks",
        "clock",
    ] {
        assert!(well.names("ok").contains(&name), "{name} was not looked at: {:?}", well.names("ok"));
    }

    // What the process says of itself it says from under its hardening.
    let status: serde_json::Value = serde_json::from_str(&world.page("/status").await).unwrap();
    assert!(status["resident_bytes"].as_u64().unwrap() > 1 << 20, "{status:#}");
    assert!(status["last_heartbeat_ms"].is_u64() && status["files_max"] == 4096, "{status:#}");
    assert!(status["disk"]["free_bytes"].is_u64() && status["journal"]["segments"].is_u64(), "{status:#}");

    // Another model is served than the registered one.
    fs::write(world.path("model/weights"), b"2.5").unwrap();
    until("the change is seen", async || world.page("/models").await.contains("NOT the registered")).await;
    world.doctor(&[]).await.assert_only("models", "fail", "put the registered model back");
    fs::write(world.path("model/weights"), b"2.0").unwrap();
    until("the change back is seen", async || !world.page("/models").await.contains("NOT the registered"))
        .await;

    // Others can read the log's key.
    chmod(&world.path("log.key"), "644");
    world.doctor(&[]).await.assert_only("files.permissions", "fail", "chmod 600");
    chmod(&world.path("log.key"), "600");

    // Addresses where nobody listens.
    let nobody = free_port();
    let (http, grpc) = (format!("http://127.0.0.1:{nobody}"), format!("grpc://127.0.0.1:{nobody}"));
    world.doctor(&["--http", &http]).await.assert_only("http.reached", "fail", "server.http_listen");
    world.doctor(&["--grpc", &grpc]).await.assert_only("grpc.reached", "fail", "the sidecar runs");
    world.doctor(&["--admin", &http]).await.assert_only("admin.reached", "fail", "server.admin_listen");
    // The admin port where the read side should be, and the other way round.
    let (admin, read) = (format!("http://{}", world.sidecar.admin), format!("http://{}", world.sidecar.http));
    world.doctor(&["--http", &admin]).await.assert_only("log.checkpoint", "fail", "server.http_listen");
    world.doctor(&["--admin", &read]).await.assert_only("admin.reached", "fail", "server.admin_listen");

    // The keys of another log.
    let other = tempfile::tempdir().unwrap();
    let theirs = crate::support::Sidecar::init(other.path(), world.upstream).store().join("log.policy");
    let mut asked = world.asked(&[]);
    *asked.last_mut().unwrap() = theirs.display().to_string();
    crate::desk::doctor(&asked).await.assert_only(
        "log.signatures",
        "fail",
        "names other keys than your policy",
    );

    // A clock that is ten minutes ahead.
    let ahead = doctor_ahead(Duration::from_secs(600), &world.asked(&[])).await;
    ahead.assert_only("clock", "fail", "time server");

    // A file in the journal that nobody recycles.
    let stray = world.sidecar.store().join("journal/copy-of-old-segments");
    File::create(&stray).unwrap().set_len(300 << 20).unwrap();
    world.doctor(&[]).await.assert_only("journal.backlog", "fail", "must go");
    fs::remove_file(&stray).unwrap();

    world.doctor(&[]).await.assert_well();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_that_is_gone_is_a_lane_that_does_not_go_on() {
    let Some(mut world) = Installation::new().await else { return };
    let _running = world.start().await;
    world.decide(3).await;
    world.register().await;
    world.anchored().await;
    world.authority.stop();
    until("the lane fails", async || world.page("/anchors").await.contains("ALARM")).await;
    world.doctor(&[]).await.assert_only("anchors", "fail", "target is reachable");
    world.authority.start_again();
    until("the lane goes on", async || !world.page("/anchors").await.contains("ALARM")).await;
    world.doctor(&[]).await.assert_well();
}
