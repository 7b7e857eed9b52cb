//! A program in Python that a measuring program asks line by line, and the environments that such programs run in.

#![allow(dead_code, reason = "a graphics processor is measured against a program that the user names")]

use std::io::{BufRead, BufReader, Lines, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use tempfile::TempDir;

/// A file of `tests/library`.
pub(crate) fn library(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/library").join(name)
}

/// The Python with the packages of a requirements file of `tests/library`; `options` are pip's.
pub(crate) fn python(requirements: &str, options: &[&str]) -> PathBuf {
    let made = Command::new(library("../../../scripts/py-env"))
        .arg(library(requirements))
        .args(options)
        .output()
        .expect("scripts/py-env runs");
    PathBuf::from(String::from_utf8(made.stdout).expect("a path").trim())
}

/// A folder that a script of `tests/library` filled with a text model or a language model.
pub(crate) fn filled(script: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let filled = Command::new(python("text_requirements.txt", &["--no-deps"]))
        .arg(library(script))
        .arg(folder.path())
        .status();
    assert!(filled.expect("python starts").success());
    folder
}

/// On how many threads both compute.
pub(crate) fn threads() -> String {
    std::env::var("RAYON_NUM_THREADS").expect("RAYON_NUM_THREADS says on how many threads")
}

/// The median of ratios, the least and the greatest.
pub(crate) fn spread(mut ratios: Vec<f64>) -> [f64; 3] {
    ratios.sort_by(f64::total_cmp);
    [ratios[ratios.len() / 2], ratios[0], ratios[ratios.len() - 1]]
}

/// The running program; it ends with this value.
pub(crate) struct Peer {
    child: Child,
    ask: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Peer {
    /// Starts it, and gives its first line.
    pub(crate) fn start(command: &mut Command) -> (Self, String) {
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        let ask = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut peer = Self { child, ask, answers };
        let first = peer.answer();
        (peer, first)
    }

    /// The line that it answers to a line.
    pub(crate) fn ask(&mut self, line: &str) -> String {
        writeln!(self.ask, "{line}").unwrap();
        self.answer()
    }

    fn answer(&mut self) -> String {
        self.answers.next().expect("the other program answers").unwrap()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
