//! The session file format and its player.
//!
//! ```text
//! # a comment, kept
//! $ ledgerstone key show log.key        a command line for `sh`, in the session's own directory
//! > a line of standard output
//! ! a line of standard error
//! ? 65                                  the exit status; 0 is not written
//! ```
//! `[..]` in a written line stands for any text, for what differs from run to run.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

/// One line that the author wrote, or one command with what it answered.
enum Step {
    Prose(String),
    Run { line: String, answer: Vec<String> },
}

/// A parsed session file.
pub(crate) struct Session {
    steps: Vec<Step>,
}

impl Session {
    /// Splits a session file into its steps.
    pub(crate) fn parse(text: &str) -> Self {
        let mut steps = Vec::new();
        for line in text.lines() {
            if let Some(command) = line.strip_prefix("$ ") {
                steps.push(Step::Run { line: command.to_owned(), answer: Vec::new() });
            } else if let (Some(Step::Run { answer, .. }), Some('>' | '!' | '?')) =
                (steps.last_mut(), line.chars().next())
            {
                answer.push(line.to_owned());
            } else {
                steps.push(Step::Prose(line.to_owned()));
            }
        }
        Self { steps }
    }

    /// Runs every command in `directory` and writes the session down as it went.
    pub(crate) fn play(&self, directory: &Path) -> String {
        let mut text = String::new();
        for step in &self.steps {
            match step {
                Step::Prose(line) => writeln!(text, "{line}").expect("a string takes text"),
                Step::Run { line, answer } => {
                    writeln!(text, "$ {line}").expect("a string takes text");
                    for line in settle(answer, run(line, directory)) {
                        writeln!(text, "{line}").expect("a string takes text");
                    }
                }
            }
        }
        text
    }
}

/// Runs one command line and returns its answer as session lines.
pub(crate) fn run(line: &str, directory: &Path) -> Vec<String> {
    let binary = Path::new(env!("CARGO_BIN_EXE_ledgerstone"));
    let path = format!(
        "{}:/usr/local/bin:/usr/bin:/bin",
        binary.parent().expect("a binary lies in a directory").display()
    );
    let output = Command::new("sh")
        .args(["-c", line])
        .current_dir(directory)
        .env_clear()
        .env("PATH", path)
        .env("LC_ALL", "C.UTF-8")
        .output()
        .expect("sh runs");
    let mut answer = Vec::new();
    for (mark, bytes) in [('>', output.stdout), ('!', output.stderr)] {
        for line in String::from_utf8_lossy(&bytes).lines() {
            answer.push(if line.is_empty() { mark.to_string() } else { format!("{mark} {line}") });
        }
    }
    match output.status.code() {
        Some(0) => {}
        Some(status) => answer.push(format!("? {status}")),
        None => answer.push(format!("? killed: {}", output.status)),
    }
    answer
}

/// The played lines, with the written line in place of each that its `[..]` pattern matches.
fn settle(written: &[String], played: Vec<String>) -> Vec<String> {
    if written.len() != played.len() {
        return played;
    }
    written
        .iter()
        .zip(played)
        .map(|(pattern, line)| if matches(pattern, &line) { pattern.clone() } else { line })
        .collect()
}

/// Whether `line` is `pattern` with some text for each `[..]`.
fn matches(pattern: &str, line: &str) -> bool {
    let mut parts = pattern.split("[..]");
    let Some(mut rest) = parts.next().and_then(|first| line.strip_prefix(first)) else {
        return false;
    };
    let mut parts = parts.peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
    }
    rest.is_empty()
}

/// Runs every command in the `console` blocks of a page, one after another in `directory`, and returns the page as it
/// went: under each command line its standard output, then its standard error, then a status other than 0.
pub(crate) fn play_page(page: &str, directory: &Path) -> String {
    let mut played = String::new();
    let mut lines = page.lines().peekable();
    let mut in_console = false;
    while let Some(line) = lines.next() {
        writeln!(played, "{line}").expect("a string takes text");
        in_console = if in_console { line != "```" } else { line == "```console" };
        let Some(command) = line.strip_prefix("$ ").filter(|_| in_console) else {
            continue;
        };
        let mut written = Vec::new();
        while let Some(line) = lines.next_if(|line| !line.starts_with("$ ") && *line != "```") {
            written.push(line.to_owned());
        }
        for line in settle(&written, run(command, directory).iter().map(|line| plain(line)).collect()) {
            writeln!(played, "{line}").expect("a string takes text");
        }
    }
    played
}

/// A session's answer line as a page shows it.
fn plain(line: &str) -> String {
    match line.split_at(1) {
        ("?", status) => format!("[exit status{status}]"),
        (_, text) => text.strip_prefix(' ').unwrap_or(text).to_owned(),
    }
}

/// A readable account of the first lines in which two versions of a session differ.
pub(crate) fn difference(file: &Path, written: &str, played: &str) -> String {
    let mut account = format!("{} plays differently:\n", file.display());
    let (written, played): (Vec<_>, Vec<_>) = (written.lines().collect(), played.lines().collect());
    let first = written.iter().zip(&played).take_while(|(a, b)| a == b).count();
    for (mark, lines) in [("written", &written), ("played ", &played)] {
        for line in lines.iter().skip(first.saturating_sub(2)).take(8) {
            writeln!(account, "  {mark} {line}").expect("a string takes text");
        }
    }
    account
}
