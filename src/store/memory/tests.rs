//! The rules that `disk` states are the rules this disk has.

use super::*;

fn write(disk: &MemoryDisk, path: &str, bytes: &[u8]) -> MemoryFile {
    let mut file = disk.create(path).unwrap();
    file.write_at(0, bytes).unwrap();
    file
}

fn after_power_loss(disk: &MemoryDisk, path: &str) -> Option<Vec<u8>> {
    disk.lose_power();
    disk.restore_power();
    disk.read(path, 1 << 20).ok()
}

#[test]
fn keeps_what_was_synced_with_its_name_in_every_world() {
    for seed in 0..50 {
        let disk = MemoryDisk::new(seed);
        disk.create_folder("a/b").unwrap();
        write(&disk, "a/b/file", b"kept").sync().unwrap();
        for folder in ["a/b", "a", ""] {
            disk.sync_folder(folder).unwrap();
        }
        assert_eq!(after_power_loss(&disk, "a/b/file"), Some(b"kept".to_vec()));
    }
}

#[test]
fn loses_unsynced_bytes_names_and_folders_in_some_worlds_and_keeps_them_in_others() {
    let mut outcomes = BTreeSet::new();
    for seed in 0..50 {
        let disk = MemoryDisk::new(seed);
        disk.create_folder("a").unwrap();
        write(&disk, "a/file", &[7; 1024]);
        outcomes.insert(after_power_loss(&disk, "a/file").map(|bytes| (bytes.len(), bytes.contains(&7))));
    }
    assert!(outcomes.contains(&None), "the name is lost");
    assert!(outcomes.contains(&Some((0, false))), "the bytes are lost");
    assert!(outcomes.contains(&Some((1024, true))), "everything is kept");
}

#[test]
fn writes_a_sector_whole_or_not_at_all() {
    for seed in 0..50 {
        let disk = MemoryDisk::new(seed);
        let mut file = write(&disk, "file", &[1; 1536]);
        file.sync().unwrap();
        disk.sync_folder("").unwrap();
        file.write_at(500, &[2; 600]).unwrap();
        let bytes = after_power_loss(&disk, "file").unwrap();
        for (start, changed) in [(0, 500..512), (512, 512..1024), (1024, 1024..1100)] {
            let sector = &bytes[start..start + 512];
            let is_new = sector.contains(&2);
            assert_eq!(bytes[changed.clone()].iter().all(|byte| *byte == 2), is_new);
            let unchanged = (start..start + 512).filter(|at| !changed.contains(at));
            assert!(unchanged.map(|at| bytes[at]).all(|byte| byte == 1));
        }
    }
}

#[test]
fn pretends_after_a_failed_sync_and_no_later_sync_helps() {
    let disk = MemoryDisk::new(1);
    let mut file = write(&disk, "file", b"old");
    file.sync().unwrap();
    disk.sync_folder("").unwrap();
    file.write_at(0, b"new").unwrap();
    let mut syncs = 0;
    disk.set_fates(Some(Box::new(move |_, _| {
        syncs += 1;
        if syncs == 1 { Fate::NotStored } else { Fate::Succeed }
    })));
    file.sync().unwrap_err();
    file.sync().unwrap();
    assert_eq!(disk.read("file", 10).unwrap(), b"new", "the bytes still read back");
    assert_eq!(after_power_loss(&disk, "file"), Some(b"old".to_vec()));
}

#[test]
fn renames_at_once_and_durably_after_a_sync_of_the_folder() {
    for seed in 0..50 {
        let disk = MemoryDisk::new(seed);
        write(&disk, "old", b"first").sync().unwrap();
        write(&disk, "new", b"second").sync().unwrap();
        disk.sync_folder("").unwrap();
        disk.rename("new", "old").unwrap();
        assert_eq!(disk.read("old", 10).unwrap(), b"second");
        let bytes = after_power_loss(&disk, "old");
        assert!(bytes == Some(b"first".to_vec()) || bytes == Some(b"second".to_vec()));
    }
}

#[test]
fn gives_each_fate_its_meaning() {
    for (fate, stays, power) in [
        (Fate::Full, false, true),
        (Fate::NotStored, false, true),
        (Fate::StoredButFailed, true, true),
        (Fate::PowerLostBefore, false, false),
        (Fate::PowerLostAfter, true, false),
    ] {
        let disk = MemoryDisk::new(1);
        let mut file = write(&disk, "file", b"old");
        file.sync().unwrap();
        disk.sync_folder("").unwrap();
        file.write_at(0, b"new").unwrap();
        disk.set_fates(Some(Box::new(move |_, _| fate)));
        file.sync().unwrap_err();
        disk.set_fates(None);
        assert_eq!(disk.is_powered(), power, "{fate:?}");
        let durable = disk.durable_copy().read("file", 10).unwrap();
        // A power loss on its way may write an unsynced sector back, so only what must stay is certain.
        assert!(!stays || durable == b"new", "{fate:?}");
        assert!(stays || !power || durable == b"old", "{fate:?}");
    }
}

#[test]
fn refuses_a_second_holder_of_a_lock_until_the_first_lets_go_or_dies() {
    let disk = MemoryDisk::new(1);
    let lock = disk.lock("lock").unwrap().unwrap();
    assert!(disk.lock("lock").unwrap().is_none());
    drop(lock);
    let _lock = disk.lock("lock").unwrap().unwrap();
    disk.kill_process();
    assert!(disk.lock("lock").unwrap().is_some());
}

#[test]
fn answers_nothing_to_files_of_a_dead_process() {
    let disk = MemoryDisk::new(1);
    let mut file = write(&disk, "file", b"bytes");
    disk.kill_process();
    file.write_at(0, b"ghost").unwrap_err();
    assert_eq!(disk.read("file", 10).unwrap(), b"bytes");
}
