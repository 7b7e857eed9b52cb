//! A file under a sink: whole lines, rotation, a disk that is full.

use std::path::{Path, PathBuf};

use crate::mount::Mount;
use crate::world::{World, lines, ocsf};

fn table(name: &str, path: &str, rotate: &str, keep: usize) -> String {
    format!(
        r#"
[[siem]]
name = "{name}"
kind = "file"
path = "{path}"
rotate = "{rotate}"
keep = {keep}
retry_max = "200ms"
batch_events = 32
"#
    )
}

/// The lines of the file and of those that it was rotated to, the oldest first.
fn all(path: &Path) -> Vec<String> {
    let numbered = |number: usize| PathBuf::from(format!("{}.{number}", path.display()));
    let last = (1..).take_while(|number| numbered(*number).exists()).last().unwrap_or(0);
    (1..=last).rev().map(numbered).chain([path.to_owned()]).flat_map(|path| lines(&path)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_rotated_has_every_entry_once_and_in_order() {
    let world = World::new(&table("file", "events/log.json", "64KiB", 100)).await;
    std::fs::create_dir(world.path("events")).unwrap();
    for _ in 0..2 {
        let mut running = world.start().await;
        world.decide(200).await;
        world.accepted("file", world.size()).await;
        assert!(running.stop().success());
    }
    let there = all(&world.path("events/log.json"));
    assert!(world.path("events/log.json.3").exists(), "it was rotated");
    // Stopped in order, even the last cursor is written: nothing comes twice, the stops are there.
    let expected: Vec<String> = world.events(ocsf).into_values().collect();
    assert_eq!(there.len(), expected.len());
    assert!(there == expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_is_full_tears_no_line_and_holds_up_no_other_sink() {
    let world = World::new(
        &(table("small", "small/log.json", "1GiB", 3) + &table("large", "large/log.json", "1GiB", 3)),
    )
    .await;
    std::fs::create_dir(world.path("large")).unwrap();
    let Some(mount) = Mount::new(&world.path("small"), "128k") else { return };
    let mut running = world.start().await;
    world.decide(400).await;
    let size = world.size();
    world.accepted("large", size).await;
    let standing = world.until("small", "full", |sink| sink["retries"].as_u64() > Some(1)).await;
    assert!(standing["error"].as_str().unwrap().contains("No space left"), "{standing}");
    let there = std::fs::read(world.path("small/log.json")).unwrap();
    assert_eq!(there.last(), Some(&b'\n'), "the last line is whole");
    let accepted = standing["next_leaf_index"].as_u64().unwrap();
    assert!(accepted > 0 && accepted < size, "{standing}");
    world.assert_has(&lines(&world.path("small/log.json")), accepted, ocsf);
    mount.remount("size=8m");
    world.accepted("small", size).await;
    world.assert_has(&lines(&world.path("small/log.json")), size, ocsf);
    assert!(running.stop().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_that_a_crash_tore_is_mended_and_nothing_is_lost() {
    let world = World::new(&table("file", "events/log.json", "1GiB", 3)).await;
    std::fs::create_dir(world.path("events")).unwrap();
    let path = world.path("events/log.json");
    let mut running = world.start().await;
    world.decide(20).await;
    world.accepted("file", world.size()).await;
    running.kill();
    // The bytes of a write that reached the disk in part.
    let mut text = std::fs::read_to_string(&path).unwrap();
    text.push_str("{\"activity_id\":99,\"activ");
    std::fs::write(&path, text).unwrap();
    let mut running = world.start().await;
    world.decide(20).await;
    let size = world.size();
    world.accepted("file", size).await;
    world.assert_has(&lines(&path), size, ocsf);
    assert!(running.stop().success());
}
