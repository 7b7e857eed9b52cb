//! How far a long check has come, on standard error.
//!
//! Guarantees: silent for the first second and wherever standard error is not a terminal, unless asked for; never
//! touches standard output. Does not do: any work.

use std::io::Write;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::audit::results::Tail;

/// How long a command works before it shows progress, and how often it does without a terminal.
const PATIENCE: Duration = Duration::from_secs(1);

/// Something that wants to know how far the work has come.
pub trait Progress {
    /// `done` of `total` `things` are done.
    fn advance(&mut self, things: &'static str, done: u64, total: u64);

    /// What an audit's run has counted so far.
    fn counted(&mut self, _: &Tail) {}
}

/// Tells nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn advance(&mut self, _: &'static str, _: u64, _: u64) {}
}

/// Where and whether progress shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    Hidden,
    Bar,
    Lines,
}

/// Shows a bar on a terminal, a line a second elsewhere.
#[derive(Debug)]
pub struct Shown {
    manner: Manner,
    said_last: Instant,
    bar: Option<ProgressBar>,
    /// What was done to the things.
    verb: &'static str,
    /// Seconds left, where somebody else knows them.
    left: Option<u64>,
}

impl Shown {
    /// Progress for a standard error that is a terminal or not, and a user who asked for it or did not.
    #[must_use]
    pub fn new(terminal: bool, asked_for: bool) -> Self {
        let manner = match (terminal, asked_for) {
            (true, _) => Manner::Bar,
            (false, true) => Manner::Lines,
            (false, false) => Manner::Hidden,
        };
        Self { manner, said_last: Instant::now(), bar: None, verb: "checked", left: None }
    }

    /// The same for things that are not checked.
    #[must_use]
    pub fn of(mut self, verb: &'static str) -> Self {
        self.verb = verb;
        self
    }

    /// Says how long it will still take, as somebody else reckons.
    pub fn left(&mut self, seconds: Option<u64>) {
        self.left = seconds;
    }

    fn draw(&mut self, things: &'static str, done: u64, total: u64) {
        let style = ProgressStyle::with_template(
            "{bar:30} {human_pos} of {human_len} {msg}, {per_sec:.0}, {eta} left",
        );
        let bar = self.bar.get_or_insert_with(|| {
            let bar = ProgressBar::new(total);
            style.map_or_else(|_| bar.clone(), |style| bar.clone().with_style(style))
        });
        bar.set_length(total);
        bar.set_message(things);
        bar.set_position(done);
    }
}

impl Progress for Shown {
    fn advance(&mut self, things: &'static str, done: u64, total: u64) {
        match self.manner {
            Manner::Hidden => {}
            Manner::Bar => {
                if self.bar.is_some() || self.said_last.elapsed() >= PATIENCE {
                    self.draw(things, done, total);
                }
            }
            Manner::Lines => {
                if self.said_last.elapsed() >= PATIENCE {
                    self.said_last = Instant::now();
                    // Progress that cannot be written is no reason to stop checking.
                    let left =
                        self.left.map_or_else(String::new, |left| format!(", about {left} seconds left"));
                    let _ = writeln!(std::io::stderr(), "{} {done} of {total} {things}{left}", self.verb);
                }
            }
        }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
