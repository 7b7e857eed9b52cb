//! Faults of what a sidecar leans on, each a real one: its disk, its key provider, its SIEM, its model server.

use std::fs;
#[cfg(feature = "pkcs11")]
use std::time::Duration;

use crate::desk::{Installation, doctor};
use crate::mount::Mount;
use crate::support::{free_port, http_get, request};
use crate::world::until;

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_nearly_full_and_one_that_is_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = Mount::new(&folder.path().join("store"), "3g") else { return };
    let Some(world) = Installation::within(folder).await else { return };
    let mut running = world.start().await;
    world.decide(3).await;
    world.register().await;
    world.anchored().await;
    world.doctor(&[]).await.assert_well();
    disk.remount("size=1g");
    world.doctor(&[]).await.assert_only("disk.free", "warn", "Make room");
    disk.remount("size=64m");
    world.doctor(&[]).await.assert_only("disk.free", "fail", "Make room");

    // Nothing is left: records are not taken, and the doctor says so of the sidecar and of the disk.
    fs::write(world.path("store/junk"), vec![7_u8; 64 << 20]).unwrap_err();
    let client = world.sidecar.client_at_once().await;
    until("no record is taken", async || {
        _ = client.clone().model_infer(request("full", 1.0)).await;
        http_get(world.sidecar.admin, "/ready").await.is_some_and(|(status, _)| status != 200)
    })
    .await;
    let said = world.doctor(&[]).await;
    for name in ["sidecar.ready", "disk.free"] {
        let check = said.checks.iter().find(|check| check["name"] == name).unwrap();
        assert!(
            check["level"] == "fail" && check["fix"].as_str().unwrap().contains("Make room"),
            "{check:#}"
        );
    }
    fs::remove_file(world.path("store/junk")).unwrap();
    disk.remount("size=3g");
    until("records are taken again", async || client.clone().model_infer(request("room", 1.0)).await.is_ok())
        .await;
    world.anchored().await;
    let said = world.doctor(&[]).await;
    assert!(said.names("fail").is_empty(), "{:#?}", said.checks);
    running.kill();
    // Before its folder is deleted.
    drop(disk);
}

#[cfg(feature = "pkcs11")]
#[tokio::test(flavor = "multi_thread")]
async fn a_key_provider_whose_token_went_away_is_found() {
    let Some(mut world) = Installation::new().await else { return };
    let Some(hsm) = crate::programs::SoftHsm::start("the doctor and a token", world.folder.path()) else {
        return;
    };
    let keys = hsm.keys("hsm-1").replace("pin_file", "sessions = 1, pin_file");
    world.edit("provider = \"file\"\nfile = \"kek.key\"\n", &keys);
    world.environment = Some(("SOFTHSM2_CONF", hsm.configuration()));
    let mut create = world.sidecar.command("keys");
    let created = create.arg("create").env("SOFTHSM2_CONF", hsm.configuration()).output().unwrap();
    assert!(created.status.success(), "{}", String::from_utf8_lossy(&created.stderr));
    let mut running = world.start().await;
    world.decide(3).await;
    world.register().await;
    world.anchored().await;
    let away = hsm.folder.join("away");
    fs::rename(hsm.tokens(), &away).unwrap();
    fs::create_dir(hsm.tokens()).unwrap();
    // SoftHSM keeps what it read for a while, and what was found is said again for a minute.
    let mut said = world.doctor(&[]).await;
    if !said.names("fail").contains(&"keys.provider") {
        tokio::time::sleep(Duration::from_secs(61)).await;
        said = world.doctor(&[]).await;
    }
    let check = said.checks.iter().find(|check| check["name"] == "keys.provider").unwrap();
    assert!(check["level"] == "fail" && check["fix"].as_str().unwrap().contains("keys check"), "{check:#}");
    assert!(check["detail"].as_str().unwrap().contains("pkcs11"), "{check:#}");
    running.kill();
}

/// A sink at a port, which may be one where nobody listens.
fn sink(port: u16) -> String {
    format!(
        "[[siem]]\nname = \"soc\"\nkind = \"syslog\"\naddress = \"tcp://127.0.0.1:{port}\"\nconfirm_interval = \"100ms\"\nretry_max = \"200ms\"\n\n[[route]]"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_siem_that_is_down_and_a_sink_that_is_refused_are_found() {
    let Some(world) = Installation::new().await else { return };
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    world.edit("[[route]]", &sink(listener.local_addr().unwrap().port()));
    // A receiver that reads everything and ends when the sender does.
    let receiver = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        _ = std::io::copy(&mut stream, &mut std::io::sink());
        listener
    });
    let mut running = world.start().await;
    world.decide(3).await;
    world.register().await;
    world.anchored().await;
    drop(receiver.join().unwrap());

    // The receiver took one connection, and is gone.
    until("the sink fails", async || world.page("/siem").await.contains("retrying")).await;
    let said = world.doctor(&[]).await;
    said.assert_only("siem.sinks", "warn", "receiver");
    let check = said.checks.iter().find(|check| check["name"] == "siem.sinks").unwrap();
    assert!(check["detail"].as_str().unwrap().contains("soc (syslog) is retrying"), "{check:#}");

    assert!(running.stop().success());
    fs::write(world.sidecar.store().join("siem/soc.cursor"), "no cursor\n").unwrap();
    let _running = world.start().await;
    world.anchored().await;
    until("the sink is refused", async || world.page("/siem").await.contains("refused")).await;
    world.doctor(&[]).await.assert_only("siem.sinks", "fail", "siem reset");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_server_that_is_down_is_found() {
    let Some(world) = Installation::new().await else { return };
    world.edit(&world.upstream.to_string(), &format!("127.0.0.1:{}", free_port()));
    let _running = world.start().await;
    world.register().await;
    world.anchored().await;
    world.doctor(&[]).await.assert_only("upstream.reached", "fail", "Start the model server");
}

#[tokio::test(flavor = "multi_thread")]
async fn ports_of_two_sidecars_are_told_apart() {
    let Some(world) = Installation::new().await else { return };
    let Some(other) = Installation::new().await else { return };
    other.edit("example.com/tests", "example.com/others");
    for file in ["log.key", "kek.key"] {
        fs::remove_file(other.path(file)).unwrap();
    }
    fs::remove_dir_all(other.path("store")).unwrap();
    assert!(other.sidecar.command("init").output().unwrap().status.success());
    let (_running, _others) = (world.start().await, other.start().await);
    world.decide(3).await;
    world.register().await;
    world.anchored().await;
    let port = format!("grpc://{}", other.sidecar.grpc);
    world.doctor(&["--grpc", &port]).await.assert_only("log.origin", "fail", "one sidecar");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_cannot_be_looked_at_ends_nothing() {
    let Some(world) = Installation::new().await else { return };
    fs::rename(world.path("store"), world.path("moved")).unwrap();
    let said = doctor(&[
        "--config".to_owned(),
        world.sidecar.config().display().to_string(),
        "--offline".to_owned(),
    ])
    .await;
    assert_eq!((said.names("not_checked"), said.exit), (vec!["store.reached"], 2), "{:#?}", said.checks);
}
