//! What the sidecar itself has to tell.

use std::fs;

use serde_json::Value;

use crate::support::{copy, http_get};
use crate::world::{World, lines};

const TABLES: &str = r#"
[[siem]]
name = "all"
kind = "file"
path = "events/all.json"

[[siem]]
name = "alerts"
kind = "file"
path = "events/alerts.json"
export = "alerts"
"#;

async fn world() -> World {
    let world = World::new(TABLES).await;
    fs::create_dir(world.path("events")).unwrap();
    world
}

fn kinds(world: &World, file: &str) -> Vec<(String, Value)> {
    let event = |line: String| {
        let event: Value = serde_json::from_str(&line).unwrap();
        (event["class_uid"].to_string(), event)
    };
    lines(&world.path(file)).into_iter().map(event).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_was_tampered_with_is_told_before_the_sidecar_refuses_to_start() {
    let world = world().await;
    let mut running = world.start().await;
    world.decide(5).await;
    world.accepted("all", world.size()).await;
    assert!(running.stop().success());
    // The checkpoint of another size, with the signatures of this one.
    let path = world.sidecar.store().join("log/checkpoint");
    let text = fs::read_to_string(&path).unwrap();
    let mut parts: Vec<&str> = text.splitn(3, '\n').collect();
    let size = (parts[1].parse::<u64>().unwrap() + 1).to_string();
    parts[1] = &size;
    fs::write(&path, parts.join("\n")).unwrap();
    let output = world.sidecar.command("run").output().unwrap();
    assert!(!output.status.success());
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    for file in ["events/all.json", "events/alerts.json"] {
        let alerts: Vec<Value> = kinds(&world, file)
            .into_iter()
            .filter(|(class, _)| class == "2004")
            .map(|(_, event)| event)
            .collect();
        assert_eq!(alerts.len(), 1, "{file}: {alerts:?}\n{told}");
        assert_eq!(alerts[0]["severity_id"], 5, "{}", alerts[0]);
    }
    // Again: the same is not told again at once, but it is sent again to sinks, with the same id.
    assert!(!world.sidecar.command("run").output().unwrap().status.success());
    let ids: std::collections::BTreeSet<String> = kinds(&world, "events/alerts.json")
        .into_iter()
        .map(|(_, event)| event["finding_info"]["uid"].to_string())
        .collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
    // Mended, it starts, and what was told is among what sinks get.
    fs::write(&path, text).unwrap();
    let mut running = world.start().await;
    world.accepted("all", world.size()).await;
    assert!(running.stop().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_that_was_set_back_is_told_as_a_rollback() {
    let world = world().await;
    let mut running = world.start().await;
    world.decide(5).await;
    assert!(running.stop().success());
    copy(&world.sidecar.store().join("journal"), &world.path("older"));
    let mut running = world.start().await;
    world.decide(5).await;
    world.accepted("all", world.size()).await;
    assert!(running.stop().success());
    fs::remove_dir_all(world.sidecar.store().join("journal")).unwrap();
    copy(&world.path("older"), &world.sidecar.store().join("journal"));
    let output = world.sidecar.command("run").output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && told.contains("set back"), "{told}");
    let there = kinds(&world, "events/alerts.json");
    let last = &there.last().unwrap().1;
    assert!(last.to_string().contains("rollback_refused") && last["severity_id"] == 5, "{last}");
    assert_eq!(last["unmapped"]["outside_size"], world.size(), "{last}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_that_is_not_registered_is_told_once_and_a_sink_of_alerts_gets_nothing_else() {
    let world = world().await;
    fs::write(world.path("model.json"), "{}").unwrap();
    let config = fs::read_to_string(world.sidecar.config()).unwrap();
    fs::write(
        world.sidecar.config(),
        config.replace("features = [", "model = { name = \"credit\", file = \"model.json\" }\nfeatures = ["),
    )
    .unwrap();
    let mut running = world.start().await;
    world.decide(20).await;
    world.until("alerts", "told", |sink| sink["delivered"].as_u64() >= Some(1)).await;
    world.accepted("alerts", world.size()).await;
    assert!(running.stop().success());
    // Told a moment ago: not again after a restart.
    let mut running = world.start().await;
    world.decide(1).await;
    world.accepted("alerts", world.size()).await;
    let (_, metrics) = http_get(world.sidecar.admin, "/metrics").await.unwrap();
    let metrics = String::from_utf8(metrics).unwrap();
    assert!(running.stop().success());
    let there = kinds(&world, "events/alerts.json");
    assert!(there.iter().all(|(class, _)| class == "2004"), "only alerts: {there:?}");
    let told: Vec<_> =
        there.iter().filter(|(_, event)| event.to_string().contains("unregistered_model")).collect();
    assert_eq!(told.len(), 1, "{there:?}");
    assert!(told[0].1.to_string().contains("doubler"), "the route is named: {}", told[0].1);
    for series in [
        "ledgerstone_siem_delivered_total{sink=\"all\"}",
        "ledgerstone_siem_retries_total{sink=\"alerts\"} 0",
        "ledgerstone_siem_lag_events{sink=\"all\"}",
        "ledgerstone_siem_lag_seconds{sink=\"alerts\"}",
        "ledgerstone_siem_refused{sink=\"all\"} 0",
        "ledgerstone_siem_next_leaf_index{sink=\"all\"}",
        "ledgerstone_alerts_held_back_total 1",
    ] {
        assert!(metrics.contains(series), "{series}\n{metrics}");
    }
}
