//! What the measuring programs share: a large log, and what a process of its own took.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::log::{self, Drafted, LogWriter, ORIGIN, Recorder};

/// Entries that one batch commits.
const BATCH_ENTRIES: u64 = 1000;

/// Bytes of each sealed record: a small one, so that a figure is about entries.
pub(crate) const SEALED_BYTES: usize = 256;

/// Writes a log of decisions into `store`, which exists; its journal is dropped as far as a running log would have dropped it.
pub(crate) fn write_log(store: &Path, entries: u64, mut decision: impl FnMut(&mut Recorder, u64) -> Drafted) {
    let mut log = LogWriter::create(store, log::keys(ORIGIN, 1), 4 * 1024 * 1024);
    let mut recorder = Recorder::new(1);
    log.batch(vec![recorder.start(None)]);
    for first in (0..entries).step_by(BATCH_ENTRIES as usize) {
        let numbers = first..entries.min(first + BATCH_ENTRIES);
        log.batch(numbers.map(|number| decision(&mut recorder, number)).collect());
        log.recycle();
        log.published.clear();
    }
    log.batch(vec![recorder.stop()]);
    log.stop();
}

/// Runs this program again with other arguments, in a process of its own, and gives what it said to standard error.
pub(crate) fn alone(arguments: &[&str]) -> String {
    let child = Command::new(std::env::current_exe().expect("this program"))
        .args(arguments)
        .output()
        .expect("a process of its own");
    let said = String::from_utf8(child.stderr).expect("text");
    assert!(child.status.success(), "{said}");
    said.trim().to_owned()
}

/// Does something and says to standard error how long it took and how much memory the process had at most.
pub(crate) fn say_costs(work: impl FnOnce()) {
    let start = Instant::now();
    work();
    let seconds = start.elapsed().as_secs_f64();
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let peak = status.lines().find(|line| line.starts_with("VmHWM")).expect("a peak");
    eprintln!("{seconds:>8.3} s {peak}");
}
