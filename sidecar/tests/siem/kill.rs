//! The sidecar is killed while it exports.

use std::collections::BTreeMap;
use std::time::Duration;

use ledgerstone::siem::Format;
use serde_json::Value;

use crate::world::{World, lines, ocsf, syslog};

/// How often it is killed.
const ROUNDS: u64 = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_event_is_lost_by_kills_and_what_comes_twice_has_the_same_id() {
    let table = r#"
[[siem]]
name = "file"
kind = "file"
path = "events/log.json"
batch_events = 8

[[siem]]
name = "syslog"
kind = "file"
format = "cef"
path = "events/log.cef"
batch_events = 3
"#;
    let world = World::new(table).await;
    std::fs::create_dir(world.path("events")).unwrap();
    for round in 0..ROUNDS {
        let mut running = world.start().await;
        let calls = world.decide(60);
        tokio::select! {
            _ = calls => {}
            () = tokio::time::sleep(Duration::from_millis(20 + 37 * round)) => {}
        }
        running.kill();
    }
    let mut running = world.start().await;
    let size = world.size();
    for sink in ["file", "syslog"] {
        world.accepted(sink, size).await;
    }
    assert!(running.stop().success());
    let there = lines(&world.path("events/log.json"));
    world.assert_has(&there, world.size(), ocsf);
    world.assert_has(&lines(&world.path("events/log.cef")), world.size(), |event| {
        let mut text = String::new();
        Format::Cef.render(event, &mut text);
        text
    });
    let mut by_id: BTreeMap<String, &String> = BTreeMap::new();
    for line in &there {
        let event: Value = serde_json::from_str(line).unwrap();
        let id = event["metadata"]["uid"].as_str().unwrap().to_owned();
        let before = by_id.insert(id, line);
        assert!(before.is_none_or(|before| before == line), "two events have one id: {line}");
    }
    assert_eq!(by_id.len() as u64, world.size());
    _ = syslog(None);
}
