//! Cursors that do not fit the log.

use std::fs;

use crate::support::copy;
use crate::world::{World, lines, ocsf};

const TABLES: &str = r#"
[[siem]]
name = "file"
kind = "file"
path = "events/log.json"
retry_max = "200ms"
"#;

/// A sink that was never there before.
const OTHER: &str = r#"
[[siem]]
name = "other"
kind = "file"
path = "events/other.json"
"#;

/// A stopped world whose log was set back to an older copy, while its cursor was not.
async fn set_back() -> (World, u64) {
    let world = World::new(TABLES).await;
    fs::create_dir(world.path("events")).unwrap();
    let mut running = world.start().await;
    world.decide(10).await;
    assert!(running.stop().success());
    copy(&world.sidecar.store(), &world.path("backup"));
    let mut running = world.start().await;
    world.decide(40).await;
    world.accepted("file", world.size()).await;
    assert!(running.stop().success());
    let ahead = world.size();
    let cursors = world.path("cursors");
    copy(&world.sidecar.store().join("siem"), &cursors);
    fs::remove_dir_all(world.sidecar.store()).unwrap();
    copy(&world.path("backup"), &world.sidecar.store());
    fs::remove_dir_all(world.sidecar.store().join("siem")).unwrap();
    copy(&cursors, &world.sidecar.store().join("siem"));
    (world, ahead)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_ahead_of_the_log_is_refused_and_mended_without_a_restart() {
    let (world, ahead) = set_back().await;
    world.add(OTHER);
    let before = lines(&world.path("events/log.json"));
    let mut running = world.start().await;
    let standing = world.until("file", "refused", |sink| sink["state"] == "refused").await;
    let told = standing["error"].as_str().unwrap();
    for part in
        ["the cursor of sink file is at leaf index", &ahead.to_string(), "older copy", "siem reset file --to"]
    {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(world.sidecar.log_lines().contains("gets nothing until its cursor is mended"));
    assert_eq!(lines(&world.path("events/log.json")), before, "nothing was sent on top of what is there");
    // The other one goes on, and is the one that tells.
    let size = world.size();
    world.accepted("other", size).await;
    let other = lines(&world.path("events/other.json"));
    world.assert_has(&other, size, ocsf);
    assert!(other.iter().any(|line| line.contains("tamper") && line.contains("older copy")), "{other:?}");

    let output = world.sidecar.command("siem").arg("status").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("file file: REFUSED: the cursor"), "{text}");
    assert!(text.contains("other file: "), "{text}");
    let output = world.sidecar.command("siem").args(["reset", "file", "--to", "beginning"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    world.accepted("file", size).await;
    assert!(running.stop().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_of_another_history_is_refused_although_the_log_has_grown_past_it() {
    let (world, ahead) = set_back().await;
    // The restored log grows beyond the cursor while nobody exports it.
    let config = fs::read_to_string(world.sidecar.config()).unwrap();
    fs::write(world.sidecar.config(), config.replace(TABLES, "")).unwrap();
    let mut running = world.start().await;
    world.decide(60).await;
    assert!(running.stop().success());
    assert!(world.size() > ahead);
    fs::write(world.sidecar.config(), config).unwrap();
    let mut running = world.start().await;
    let standing = world.until("file", "refused", |sink| sink["state"] == "refused").await;
    assert!(
        standing["error"].as_str().unwrap().contains("is another one than sink file exported"),
        "{standing}"
    );
    assert!(running.stop().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_that_is_damaged_or_about_another_log_is_refused() {
    let world = World::new(TABLES).await;
    fs::create_dir(world.path("events")).unwrap();
    let mut running = world.start().await;
    world.accepted("file", 1).await;
    assert!(running.stop().success());
    let path = world.sidecar.store().join("siem/file.cursor");
    let good = fs::read_to_string(&path).unwrap();
    let large = " ".repeat(5000);
    for (text, what) in [
        (String::new(), "is damaged"),
        (good[..good.len() / 2].to_owned(), "is damaged"),
        (good.replace("cursor/v1", "cursor/v2"), "go on with the release that wrote it"),
        (good.replace("next_leaf_index\":", "next_leaf_index\":-"), "is damaged"),
        (good.replace('}', ",\"more\":1}"), "is damaged"),
        (good.replace("leaf_hash\":\"", "leaf_hash\":\"zz"), "is damaged"),
        (good.replace("example.com/tests", "example.com/other"), "is about the log example.com/other"),
        (large, "siem/file.cursor"),
    ] {
        fs::write(&path, &text).unwrap();
        let output = world.sidecar.command("siem").arg("status").output().unwrap();
        let told = String::from_utf8(output.stdout).unwrap();
        assert!(told.contains("REFUSED") && told.contains(what), "{text}: {told}");
    }
    fs::write(&path, good.replace("cursor/v1", "cursor/v2")).unwrap();
    let mut running = world.start().await;
    world.until("file", "refused", |sink| sink["state"] == "refused").await;
    fs::write(&path, good).unwrap();
    world.accepted("file", world.size()).await;
    assert!(running.stop().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_sink_begins_where_it_is_told_and_remembers_that() {
    let world = World::new("").await;
    fs::create_dir(world.path("events")).unwrap();
    let mut running = world.start().await;
    world.decide(30).await;
    assert!(running.stop().success());
    let size = world.size();
    world.add(&TABLES.replace("retry_max", "start = \"end\"\nretry_max"));
    let mut running = world.start().await;
    world.decide(5).await;
    world.accepted("file", world.size()).await;
    running.kill();
    let mut running = world.start().await;
    world.accepted("file", world.size()).await;
    assert!(running.stop().success());
    let (all, there) = (world.events(ocsf), lines(&world.path("events/log.json")));
    assert!(there.contains(&all[&(world.size() - 1)]) && !there.contains(&all[&0]));
    let first = all.iter().find(|(_, line)| there.contains(line)).unwrap();
    // The start entry of the session may be published before the sink begins.
    assert!((size..size + 3).contains(first.0), "{} of {size}", first.0);
    assert!(all.range(*first.0..).all(|(_, line)| there.contains(line)));
}
