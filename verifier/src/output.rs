//! What `ledgerstone` prints: reports and refusals, for people or as JSON.
//!
//! Guarantees: the first line of a report is its verdict; a check that was not made is never printed as passed; colour
//! only on a terminal and never under `NO_COLOR`. Does not do: deciding anything.
//! The JSON is specified in `docs/spec/report.md`.

mod text;

use std::io::{self, IsTerminal, Write};

use ledgerstone::code::Code;
use ledgerstone::verify::Report;
use serde::Serialize;

use crate::cli::OutputArguments;
use crate::exit::{Exit, Refusal};
use crate::progress::Shown;

pub use text::{Style, plural, printable, scientific, thousands, wrapped};

/// The format of a refusal in JSON.
const REFUSAL_FORMAT: &str = "ledgerstone-refusal/v1";

/// A report and what its reader can do now.
#[derive(Debug, Serialize)]
pub struct Answer {
    /// The checks and the verdict.
    #[serde(flatten)]
    pub report: Report,
    /// What the verdict means for this subject, one clause without a full stop.
    pub meaning: &'static str,
    /// What to do next, one sentence each.
    pub next: Vec<String>,
}

/// A refusal as JSON.
#[derive(Serialize)]
struct RefusalJson<'a> {
    format: &'static str,
    code: Code,
    exit: u8,
    message: &'a str,
    next: &'a str,
}

/// Where a command prints.
pub struct Output {
    json: bool,
    progress: bool,
    style: Style,
    /// The reader of standard output has had enough (`ledgerstone log entries | head`).
    closed: bool,
    out: Box<dyn Write>,
    err: Box<dyn Write>,
}

impl Output {
    /// The process's own standard output and standard error.
    #[must_use]
    pub fn standard(arguments: OutputArguments) -> Self {
        let colour = io::stdout().is_terminal()
            && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            && std::env::var_os("TERM").is_none_or(|value| value != "dumb");
        Self {
            json: arguments.json,
            progress: arguments.progress,
            style: Style { colour },
            closed: false,
            out: Box::new(io::BufWriter::new(io::stdout())),
            err: Box::new(io::stderr()),
        }
    }

    /// Somewhere else, for a program that runs commands and reads what they say; without colour.
    #[must_use]
    pub fn into(arguments: OutputArguments, out: Box<dyn Write>, err: Box<dyn Write>) -> Self {
        let OutputArguments { json, progress } = arguments;
        Self { json, progress, style: Style { colour: false }, closed: false, out, err }
    }

    /// Whether the user asked for JSON.
    #[must_use]
    pub const fn is_json(&self) -> bool {
        self.json
    }

    /// How text is to be set.
    #[must_use]
    pub const fn style(&self) -> Style {
        self.style
    }

    /// A progress display for this command.
    #[must_use]
    pub fn progress(&self) -> Shown {
        Shown::new(io::stderr().is_terminal(), self.progress)
    }

    /// Prints a report and returns the exit status that it means.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub fn answer(&mut self, answer: &Answer) -> Result<Exit, Refusal> {
        if self.json {
            self.json(answer)?;
        } else {
            let text = text::answer(answer, self.style);
            self.print(&text)?;
        }
        Ok(Exit::from(answer.report.verdict()))
    }

    /// Prints one JSON document and a line feed.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub fn json(&mut self, document: &impl Serialize) -> Result<(), Refusal> {
        let text = serde_json::to_string_pretty(document).map_err(unprintable)?;
        self.print(&format!("{text}\n"))
    }

    /// Prints one JSON document on one line.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub fn json_line(&mut self, document: &impl Serialize) -> Result<(), Refusal> {
        let text = serde_json::to_string(document).map_err(unprintable)?;
        self.print(&format!("{text}\n"))
    }

    /// Prints text as it is.
    ///
    /// # Errors
    /// Standard output cannot be written; a reader that closed it early is no error.
    pub fn print(&mut self, text: &str) -> Result<(), Refusal> {
        let written = self.out.write_all(text.as_bytes());
        self.note(written)
    }

    /// Says something beside the answer, on standard error; nothing in JSON, where the document says it.
    pub fn remark(&mut self, text: &str) {
        if !self.json {
            // A remark that cannot be written must not change the verdict.
            let _ = writeln!(self.err, "{text}");
        }
    }

    /// Prints a refusal and returns its exit status.
    pub fn refuse(&mut self, refusal: &Refusal) -> Exit {
        let exit = refusal.exit();
        let document = RefusalJson {
            format: REFUSAL_FORMAT,
            code: refusal.code,
            exit: exit.status(),
            message: &refusal.message,
            next: &refusal.next,
        };
        // The status tells even where nothing can be printed.
        let _ = if self.json {
            self.json(&document).and_then(|()| self.flush())
        } else {
            write!(self.err, "{}", text::refusal(refusal)).map_err(unprintable)
        };
        exit
    }

    /// Hands everything printed to the system.
    ///
    /// # Errors
    /// Standard output cannot be written; a reader that closed it early is no error.
    pub fn flush(&mut self) -> Result<(), Refusal> {
        let flushed = self.out.flush();
        self.note(flushed)
    }

    /// Whether the reader of standard output has closed it, so that printing more is of no use.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        self.closed
    }

    /// Takes a closed pipe for what it is, no error.
    fn note(&mut self, result: io::Result<()>) -> Result<(), Refusal> {
        match result {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(())
            }
            other => other.map_err(unprintable),
        }
    }
}

fn unprintable(error: impl std::fmt::Display) -> Refusal {
    Refusal::unavailable(
        format_args!("the answer cannot be printed: {error}"),
        "Check where standard output goes, then run the command again.",
    )
}
