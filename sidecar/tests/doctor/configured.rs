//! Faults in the configuration and around the process: one at a time, in front of the same store.

use std::net::SocketAddr;

use ledgerstone::proto::inference::grpc_inference_service_server::GrpcInferenceServiceServer;

use crate::desk::{Installation, Said};
use crate::support::Doubler;

/// Starts the installation with one change of its file, looks, stops it and takes the change back.
async fn with(world: &Installation, from: &str, to: &str) -> Said {
    let before = std::fs::read(world.sidecar.config()).unwrap();
    world.edit(from, to);
    let mut running = world.start().await;
    world.anchored().await;
    let said = world.doctor(&[]).await;
    assert!(running.stop().success());
    std::fs::write(world.sidecar.config(), before).unwrap();
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn each_key_that_is_missing_or_unwise_is_named() {
    let Some(world) = Installation::new().await else { return };
    let mut running = world.start().await;
    world.decide(3).await;
    world.register().await;
    world.anchored().await;
    world.doctor(&[]).await.assert_well();
    assert!(running.stop().success());

    let said = with(&world, "[[route]]", "[hardening]\nseccomp = \"off\"\n\n[[route]]").await;
    said.assert_only("hardening", "warn", "best-effort");
    with(&world, "interval = \"24h\"\n", "").await.assert_only("retention", "warn", "retention.interval");
    with(&world, "backup_interval = \"1h\"\n", "").await.assert_only(
        "config.backup",
        "warn",
        "keys.backup_interval",
    );
    let said = with(&world, "match = ", "use_case = \"annex-iii-5b\"\nmatch = ").await;
    said.assert_only("routes.packs", "warn", "packs list");
    let admin = world.sidecar.http.to_string();
    let said = with(&world, &admin, &format!("0.0.0.0:{}", world.sidecar.http.port())).await;
    said.assert_only("config.exposed", "warn", "[server.tls]");
    std::fs::copy(world.path("kek.key"), world.path("store/kek.key")).unwrap();
    let said = with(&world, "file = \"kek.key\"", "file = \"store/kek.key\"").await;
    said.assert_only("keys.apart", "warn", "Move keys.file");
    std::fs::remove_file(world.path("store/kek.key")).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_fixed_nowhere_is_named() {
    let Some(world) = Installation::new().await else { return };
    let lane = world.authority.lane("tsa");
    world.edit(&lane, "");
    let _running = world.start().await;
    world.decide(3).await;
    world.register().await;
    world.doctor(&[]).await.assert_only("anchors", "warn", "[[anchors.rfc3161]]");
}

#[tokio::test(flavor = "multi_thread")]
async fn too_few_files_are_named() {
    let Some(world) = Installation::new().await else { return };
    let _running = world.spawn(512);
    world.decide(3).await;
    world.register().await;
    world.anchored().await;
    world.doctor(&[]).await.assert_only("files.limit", "warn", "LimitNOFILE");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_server_that_can_be_asked_past_the_sidecar_is_named() {
    let Some(world) = Installation::new().await else { return };
    let listener = tokio::net::TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
    let service = GrpcInferenceServiceServer::new(Doubler);
    tokio::spawn(tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming));
    let open = SocketAddr::from(([127, 0, 0, 1], port));
    world.edit(&world.upstream.to_string(), &open.to_string());
    let _running = world.start().await;
    world.decide(3).await;
    world.register().await;
    world.anchored().await;
    world.doctor(&[]).await.assert_only("upstream.local", "fail", "127.0.0.1 alone");
}
