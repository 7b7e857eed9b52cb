//! `siem status`, `siem reset`, `siem test`.

use std::process::Output;

use crate::world::{World, free, lines};

fn run(world: &World, arguments: &[&str]) -> (bool, String) {
    let Output { status, stdout, stderr } = world.sidecar.command("siem").args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.success(), text(stdout) + &text(stderr))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sink_is_tried_out_looked_at_and_set_to_another_place() {
    let tables = format!(
        r#"
[[siem]]
name = "file"
kind = "file"
path = "events/log.json"

[[siem]]
name = "gone"
kind = "syslog"
address = "tcp://{}"
"#,
        free()
    );
    let world = World::new(&tables).await;
    std::fs::create_dir(world.path("events")).unwrap();
    let (went, told) = run(&world, &["status"]);
    assert!(
        went && told.contains("file file: nothing yet") && told.contains("gone syslog: nothing yet"),
        "{told}"
    );

    let (went, told) = run(&world, &["test", "file"]);
    assert!(went && told.contains("file: accepted event "), "{told}");
    let there = lines(&world.path("events/log.json"));
    assert!(there.len() == 1 && there[0].contains("TEST of the export"), "{there:?}");
    let event: serde_json::Value = serde_json::from_str(&there[0]).unwrap();
    assert_eq!((&event["metadata"]["event_code"], &event["severity_id"]), (&"alert.test".into(), &1.into()));
    assert!(told.contains(&there[0]), "what was sent is shown: {told}");
    let (went, told) = run(&world, &["test", "gone"]);
    assert!(
        !went && told.contains("did not accept the test") && told.contains("cannot be reached"),
        "{told}"
    );

    let mut running = world.start().await;
    world.decide(5).await;
    world.accepted("file", world.size()).await;
    let (went, told) = run(&world, &["reset", "file", "--to", "0"]);
    assert!(!went && told.contains("another process exports to sink file"), "{told}");
    assert!(running.stop().success());
    let size = world.size();
    let (_, told) = run(&world, &["status"]);
    assert!(told.contains(&format!("file file: next leaf index {size}, 0 entries behind")), "{told}");
    for (to, next) in [("beginning", 0), ("3", 3), ("end", size)] {
        let (went, told) = run(&world, &["reset", "file", "--to", to]);
        assert!(
            went && told.contains(&format!("file: next leaf index {next}, {} entries behind", size - next)),
            "{told}"
        );
        assert!(run(&world, &["status"]).1.contains(&format!("next leaf index {next},")), "{to}");
    }
    for (arguments, what) in [
        (vec!["reset", "file", "--to", &(size + 1).to_string()], "so none comes at"),
        (vec!["reset", "file", "--to", "-1"], "--to"),
        (vec!["reset", "file", "--to", "tomorrow"], "a leaf index, beginning or end"),
        (vec!["reset", "fil", "--to", "0"], "there are file, gone"),
        (vec!["test", "nobody"], "no sink has that name"),
    ] {
        let (went, told) = run(&world, &arguments);
        assert!(!went && told.contains(what), "{arguments:?}: {told}");
    }
}

/// The number of the next alert in the cursor of `sink`, and the numbers of the alerts that wait.
fn numbers(world: &World, sink: &str) -> (u64, Vec<u64>) {
    let read = |name: &str| lines(&world.sidecar.store().join("siem").join(name));
    let json = |line: &String| serde_json::from_str::<serde_json::Value>(line).unwrap();
    let next = json(&read(&format!("{sink}.cursor"))[0])["next_alert"].as_u64().unwrap();
    (next, read("alerts").iter().skip(1).map(|line| json(line)["number"].as_u64().unwrap()).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn root_writes_nothing_into_the_store_of_another_user() {
    let world = World::new("\n[[siem]]\nname = \"file\"\nkind = \"file\"\npath = \"events.json\"\n").await;
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can give a store to another user");
        return;
    }
    std::os::unix::fs::chown(world.sidecar.store(), Some(65_534), None).unwrap();
    for arguments in [&["reset", "file", "--to", "end"][..], &["test", "file"]] {
        let (went, told) = run(&world, arguments);
        assert!(
            !went && told.contains("belongs to user 65534") && told.contains("sudo -u '#65534'"),
            "{told}"
        );
    }
    assert!(run(&world, &["status"]).0, "it only reads");
    assert!(!world.sidecar.store().join("siem").exists() && !world.path("events.json").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_skips_alerts_only_where_it_is_told_to_go_to_the_end() {
    let table = format!(
        "[[siem]]\nname = \"gone\"\nkind = \"syslog\"\naddress = \"tcp://{}\"\nlate = \"1s\"\n",
        free()
    );
    let world = World::new(&table).await;
    let mut running = world.start().await;
    world.decide(3).await;
    let alerts = world.sidecar.store().join("siem/alerts");
    world.until("gone", "told to be late", |_| lines(&alerts).len() > 1).await;
    assert!(running.stop().success());
    let (next, waiting) = numbers(&world, "gone");
    assert_eq!(waiting, [next], "that it is late is told, to a sink that takes nothing");
    let cursor = world.sidecar.store().join("siem/gone.cursor");
    for (damage, to, after) in [
        (false, "2", next),
        (true, "2", next),
        (true, "beginning", next),
        (false, "end", next + 1),
        (false, "0", next + 1),
        (false, "beginning", next),
    ] {
        if damage {
            std::fs::write(&cursor, "{").unwrap();
        }
        let (went, told) = run(&world, &["reset", "gone", "--to", to]);
        assert!(went, "{told}");
        assert_eq!(numbers(&world, "gone").0, after, "{to}, damaged: {damage}");
    }
}
