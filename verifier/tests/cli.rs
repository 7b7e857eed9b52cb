//! Golden command-line sessions: what a user types, and every byte that comes back.
//!
//! Scenario: each file in `tests/cmd/` is one sitting at a terminal, in a fresh directory that holds a small log built
//! with fixed keys and times. Danger: a message, a status or a help text changes and nobody notices; a failure is
//! printed but the exit status says 0. End state: standard output, standard error and status equal the file.
//!
//! `UPDATE_GOLDEN=1 cargo test -p ledgerstone-verifier --test cli` rewrites the files; read the diff before you commit it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros,
    unreachable_pub,
    missing_docs,
    reason = "tests fail by panicking, and may read the environment, start programs and print"
)]

#[path = "support/anchors.rs"]
#[allow(dead_code, reason = "each test that shares this file uses a part of it")]
mod anchors;
#[path = "support/desk.rs"]
mod desk;
#[path = "../../tests/support/ethereum.rs"]
#[allow(dead_code, reason = "each test that shares this file uses a part of it")]
mod ethereum;
#[path = "support/log.rs"]
#[allow(dead_code, reason = "each test that shares this file uses a part of it")]
mod log;
#[path = "support/session.rs"]
mod session;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use session::Session;

/// How the names of sessions end that not every build can play, and whether this one can.
const BUILDS: [(&str, bool); 2] = [
    ("-with-onnxruntime", cfg!(feature = "onnxruntime")),
    ("-without-onnxruntime", cfg!(not(feature = "onnxruntime"))),
];

/// Whether this build plays `file`; says so if it does not.
fn is_for_this_build(file: &Path) -> bool {
    let name = file.file_stem().expect("a session has a name").to_string_lossy();
    let other = BUILDS.iter().find(|(end, can)| name.ends_with(end) && !can);
    if let Some((end, _)) = other {
        println!("skipped: {name} is for a program built {}", end.trim_start_matches('-').replace('-', " "));
    }
    other.is_none()
}

/// Every `.session` file in `tests/cmd/` that this build can play.
fn session_files() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cmd");
    let mut files: Vec<_> = fs::read_dir(directory)
        .expect("tests/cmd is there")
        .map(|entry| entry.expect("a directory entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "session"))
        .filter(|path| is_for_this_build(path))
        .collect();
    files.sort();
    files
}

/// One test plays at a time: a program that the other starts holds, between fork and exec, the lock of a store that is being made.
static PLAYING: Mutex<()> = Mutex::new(());

/// Plays each file and compares, or with `UPDATE_GOLDEN` writes down how it went.
fn assert_plays(files: Vec<PathBuf>, play: fn(&str, &Path) -> String) {
    let _playing = PLAYING.lock().unwrap_or_else(PoisonError::into_inner);
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut differing = Vec::new();
    for file in files {
        let written = fs::read_to_string(&file).expect("a session is text");
        let desk = desk::desk();
        let played = play(&written, desk.path());
        if played == written {
            continue;
        }
        if update {
            fs::write(&file, &played).expect("a session can be rewritten");
        } else {
            differing.push(session::difference(&file, &written, &played));
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

#[test]
fn every_golden_session_plays_as_written() {
    let files = session_files();
    assert!(files.len() >= 9, "sessions went missing: {files:?}");
    assert_plays(files, |written, desk| Session::parse(written).play(desk));
}

#[test]
fn every_example_of_the_manual_plays_as_written() {
    let manual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/cli.md");
    assert!(fs::read_to_string(&manual).expect("the manual").matches("```console").count() >= 10);
    let pages = ["spec/scorecard.md", "spec/model-manifest.md", "spec/audit-plan.md", "spec/audit-draw.md"]
        .map(|page| manual.with_file_name(page));
    assert_plays([vec![manual], pages.into()].concat(), session::play_page);
}
