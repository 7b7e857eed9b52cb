//! The directory that a golden session plays in: a regulator's desk with a log on it.

use std::fs;

use tempfile::TempDir;

use crate::log::{self, ORIGIN};

/// A fresh desk: `store/` with twelve entries, `lending.policy` from outside it, `receipt.json` of the decision at entry
/// 2, `early.checkpoint` as published when the log had eight entries, and `other.policy` and `other.checkpoint` of
/// another log. `crashed/` is a log whose first session was cut off.
pub(crate) fn desk() -> TempDir {
    let desk = tempfile::tempdir().expect("a temporary directory");
    let at = |name: &str| desk.path().join(name);
    fs::create_dir(at("store")).expect("a directory");
    let published = log::small_log(&at("store"), log::keys(ORIGIN, 1), 64 * 1024 * 1024).stop();
    let write = |name: &str, text: &str| fs::write(at(name), text).expect("a file");
    write("lending.policy", &log::policy(&log::keys(ORIGIN, 1)).to_string());
    write("log.key", &log::keys(ORIGIN, 1).to_text());
    write("early.checkpoint", &published[1].1);
    write("receipt.json", &log::receipt(2, 2, &at("store")).to_json());
    let other = log::keys("log.example.org/hiring", 7);
    write("other.policy", &log::policy(&other).to_string());
    let (batch, _) = &published[0];
    write("other.checkpoint", &other.sign(&other.checkpoint(batch.size(), batch.root())));
    let forked = log::keys(ORIGIN, 1);
    let root = ledgerstone::hash::Hash::of(b"another history");
    write("forked.checkpoint", &forked.sign(&forked.checkpoint(published[2].0.size(), root)));
    fs::create_dir(at("crashed")).expect("a directory");
    log::crashed_log(&at("crashed"), log::keys(ORIGIN, 1), Some(1)).stop();
    desk
}
