use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn config(folder: &Path, rotate_bytes: u64, keep: usize) -> FileConfig {
    FileConfig { path: folder.join("events.json"), rotate_bytes, keep }
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

#[test]
fn a_torn_last_line_is_cut_off_before_anything_is_written_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), 1 << 20, 3);
    let long = "x".repeat(3 * usize::try_from(WINDOW).unwrap());
    for (there, whole) in [
        ("one\ntwo\nthr".to_owned(), "one\ntwo\n".to_owned()),
        ("one".to_owned(), String::new()),
        (format!("one\n{long}"), "one\n".to_owned()),
        (format!("{long}\n"), format!("{long}\n")),
        (String::new(), String::new()),
    ] {
        fs::write(&config.path, &there).unwrap();
        drop(append(&config, None, b"next\n").unwrap());
        assert_eq!(text(&config.path), whole + "next\n");
    }
}

#[test]
fn a_file_that_is_full_is_rotated_and_so_many_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), 8, 2);
    let mut open = None;
    for line in ["first 00\n", "second 0\n", "third 00\n", "fourth 0\n"] {
        open = Some(append(&config, open, line.as_bytes()).unwrap());
    }
    assert_eq!(text(&config.path), "fourth 0\n");
    assert_eq!(text(&numbered(&config.path, 1)), "third 00\n");
    assert_eq!(text(&numbered(&config.path, 2)), "second 0\n");
    assert!(!numbered(&config.path, 3).exists());
    assert_eq!(fs::metadata(&config.path).unwrap().permissions().mode() & 0o777, 0o640);
}

#[test]
fn a_rotation_that_a_crash_cut_short_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), 8, 3);
    // Number 1 was moved to 2 already, and the crash came before the current one was moved.
    fs::write(&config.path, "current 0\n").unwrap();
    fs::write(numbered(&config.path, 2), "older 000\n").unwrap();
    drop(append(&config, None, b"next 0000\n").unwrap());
    assert_eq!(text(&config.path), "next 0000\n");
    assert_eq!(text(&numbered(&config.path, 1)), "current 0\n");
    assert_eq!(text(&numbered(&config.path, 2)), "older 000\n", "nothing was moved over it");
}

#[test]
fn a_file_that_somebody_moved_away_is_begun_anew() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), 1 << 20, 3);
    let open = append(&config, None, b"one\n").unwrap();
    fs::rename(&config.path, folder.path().join("taken")).unwrap();
    drop(append(&config, Some(open), b"two\n").unwrap());
    assert_eq!(text(&folder.path().join("taken")), "one\n");
    assert_eq!(text(&config.path), "two\n");
}

#[test]
fn a_file_that_somebody_emptied_or_wrote_to_goes_on_behind_its_last_whole_line() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), 1 << 20, 3);
    let mut open = Some(append(&config, None, b"one\n").unwrap());
    for (there, whole) in [("", ""), ("another one\n", "another one\n"), ("another one\nto", "another one\n")]
    {
        // In place, as `copytruncate` does it.
        fs::write(&config.path, there).unwrap();
        open = Some(append(&config, open, b"next\n").unwrap());
        assert_eq!(text(&config.path), format!("{whole}next\n"), "{there:?}");
    }
}

#[test]
fn a_file_that_another_process_writes_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), 1 << 20, 3);
    let _other = append(&config, None, b"one\n").unwrap();
    let error = append(&config, None, b"two\n").unwrap_err();
    assert!(error.to_string().contains("another process"), "{error}");
    assert_eq!(text(&config.path), "one\n");
}

#[test]
fn what_does_not_fit_leaves_whole_lines_behind() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.json");
    let mut open = Open::at(&path).unwrap();
    open.append(b"one\n").unwrap();
    // A file that may not be written stands for a disk that takes nothing.
    open.file = File::open(&path).unwrap();
    open.append(b"two\n").unwrap_err();
    drop(open);
    assert_eq!(text(&path), "one\n");
}
