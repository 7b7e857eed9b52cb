//! What is public of the anchors, and what `anchor status` says.

use crate::support::http_get;
use crate::world::{Authority, Stopped, World};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serves_the_files_of_statements_and_nothing_else_of_the_store() {
    let Some(authority) = Authority::start() else { return };
    let world = World::new(&authority.lane("tsa")).await;
    world.decide(10).await;
    world.until_confirmed("tsa", 10).await;
    let get = |path: String| http_get(world.app.http_addr, Box::leak(path.into_boxed_str()));
    for file in
        ["lane", "00000001/statement", "00000001/checkpoint", "00000001/consistency", "00000001/proof.tsr"]
    {
        let (status, body) = get(format!("/anchors/tsa/{file}")).await.unwrap();
        let there = std::fs::read(world.stopped.store().join("anchors/tsa").join(file)).unwrap();
        assert_eq!((status, body), (200, there), "{file}");
    }
    assert_eq!(get("/anchors/lanes".to_owned()).await.unwrap(), (200, b"tsa\n".to_vec()));
    let lane: serde_json::Value =
        serde_json::from_slice(&get("/anchors/tsa/lane".to_owned()).await.unwrap().1).unwrap();
    assert_eq!(lane["format"], "ledgerstone-anchor-lane/v1");
    assert_eq!(
        (lane["kind"].as_str(), lane["url"].as_str()),
        (Some("rfc3161"), Some(&*format!("{}/tsr", authority.peer.url)))
    );
    for path in [
        "/anchors",
        "/anchors/",
        "/anchors/tsa",
        "/anchors/tsa/",
        "/anchors/journal/tsa",
        "/anchors/journal/lane",
        "/anchors/tsa/99999999/statement",
        "/anchors/tsa/00000001/headers",
        "/anchors/tsa/00000001/../../journal/tsa",
        "/anchors/tsa/../../log.policy",
        "/anchors/..%2f..%2flog.key/lane",
        "/anchors/%2e%2e/%2e%2e/log.key",
        "/anchors/tsa/00000001/statement.tmp",
        "/anchors//etc/passwd",
    ] {
        let (status, body) = get(path.to_owned()).await.unwrap();
        assert_eq!(status, 404, "{path}: {}", String::from_utf8_lossy(&body));
    }
    // A statement whose folder was begun is not there yet, whatever else lies in it.
    let begun = world.stopped.statement("tsa", 90_000_000);
    std::fs::create_dir_all(&begun).unwrap();
    std::fs::write(begun.join("checkpoint"), b"begun").unwrap();
    assert_eq!(get("/anchors/tsa/90000000/checkpoint".to_owned()).await.unwrap().0, 404);
    std::fs::remove_dir_all(&begun).unwrap();
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn says_how_lanes_stand_from_the_files_alone() {
    let Some(authority) = Authority::start() else { return };
    let stopped = Stopped::new("").await;
    let status = |stopped: &Stopped| {
        let output = stopped.files.command("anchor").arg("status").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(status(&stopped).ends_with("no anchors are configured\n"));
    stopped.append(&authority.lane("tsa"));
    assert!(status(&stopped).ends_with("tsa: nothing yet\n"));
    let world = stopped.start().await;
    world.decide(10).await;
    world.until_confirmed("tsa", 10).await;
    let running = status(&world.stopped);
    assert!(running.contains("tsa: rfc3161\n  last statement: "), "the sidecar may run: {running}");
    let stopped = world.stop().await;
    let text = status(&stopped);
    assert!(text.contains("proof.tsr\n") && text.contains("  journal: "), "{text}");
    std::fs::write(stopped.store().join("anchors/journal/tsa"), b"nothing").unwrap();
    assert!(status(&stopped).contains("is not the anchor journal of this lane"), "{}", status(&stopped));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sidecar_without_lanes_is_as_it_was() {
    let world = World::new("").await;
    world.decide(3).await;
    assert_eq!(world.page().await, "no anchors are configured\n");
    assert!(!world.metrics().await.contains("ledgerstone_anchor"));
    let stopped = world.stop().await;
    assert!(!stopped.store().join("anchors").exists());
}
