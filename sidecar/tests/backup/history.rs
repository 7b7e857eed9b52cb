//! A restored log and what knows of it already: a backup of another history, the cursor of a sink.

use crate::World;
use crate::load::{entries, verifies};
use crate::support::copy;

#[tokio::test]
async fn what_another_history_left_in_the_backup_is_not_kept() {
    let world = World::with(300).await;
    world.backs_up();
    let older = world.folder.path().join("older");
    copy(&world.backup(), &older);
    world.run(300).await;
    world.backs_up();
    world.loses_its_store();
    // The older copy is gone on with, and grows again past the tile that the newer one has.
    world.must(&["restore", older.to_str().unwrap()]);
    world.must(&["restore", "--nobody-has-a-copy"]);
    world.run(300).await;
    world.backs_up();
    world.loses_its_store();
    let (done, said) = world.restores();
    assert!(done, "{said}");
    assert!(entries(&world.sidecar.store()).len() > 600);
    verifies(&world.sidecar);
}

#[tokio::test]
async fn a_sink_goes_on_in_the_restored_log_from_where_it_was() {
    let world = World::with(1).await;
    let (config, events) = (world.sidecar.config(), world.folder.path().join("events.log"));
    let sink = format!(
        "\n[[siem]]\nname = \"archive\"\nkind = \"file\"\nstart = \"end\"\npath = \"{}\"\n",
        events.display()
    );
    std::fs::write(&config, std::fs::read_to_string(&config).unwrap() + &sink).unwrap();
    world.run(5).await;
    let cursor = world.sidecar.store().join("siem/archive.cursor");
    let stood = std::fs::read_to_string(&cursor).unwrap();
    world.backs_up();
    world.run(5).await;
    world.loses_its_store();
    assert!(world.restores().0);
    assert_eq!(
        std::fs::read_to_string(&cursor).unwrap(),
        stood,
        "`start = \"end\"` would leave out what it is owed"
    );
    world.must(&["restore", "--nobody-has-a-copy"]);
    world.run(5).await;
    let size = entries(&world.sidecar.store()).len();
    let went_on = std::fs::read_to_string(&cursor).unwrap();
    assert!(went_on.contains(&format!("\"next_leaf_index\":{size}")), "{went_on}");
}
