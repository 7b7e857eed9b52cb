//! How a command ends: the exit status, and the one kind of error that reaches `main`.
//!
//! Guarantees: a status means the same in every command (`docs/spec/report.md` has the table), and a check that could
//! not be made never ends in 0. Does not do: printing; that is `output`.

use std::fmt::Display;
use std::process::ExitCode;

use ledgerstone::code::Code;
use ledgerstone::verify::Verdict;

/// The exit statuses of `ledgerstone`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Every check passed; for a command that checks nothing: done.
    Verified = 0,
    /// At least one check failed.
    Failed = 1,
    /// No check failed, but one could not be made, or an input could not be read.
    Undecided = 2,
    /// The command line makes no sense.
    Usage = 64,
    /// An input file is not what it should be, so nothing could be checked.
    Malformed = 65,
}

impl Exit {
    /// The number the shell sees.
    #[must_use]
    pub const fn status(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.status())
    }
}

impl From<Verdict> for Exit {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Verified => Self::Verified,
            Verdict::Failed => Self::Failed,
            Verdict::Undecided => Self::Undecided,
        }
    }
}

impl From<Code> for Exit {
    /// What a command ends with when it had to stop over an error of this kind before there was a verdict.
    fn from(code: Code) -> Self {
        match code {
            Code::Malformed | Code::Limit => Self::Malformed,
            Code::Untrusted | Code::Inconsistent => Self::Failed,
            Code::Misuse => Self::Usage,
            _ => Self::Undecided,
        }
    }
}

/// Why a command stopped before it had a verdict or an answer, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// What kind of problem it is; decides the exit status.
    pub code: Code,
    /// What happened, naming the file or URL.
    pub message: String,
    /// What the reader can do now, one sentence.
    pub next: String,
}

impl Refusal {
    /// A refusal of kind `code`.
    pub fn new(code: Code, message: impl Display, next: impl Display) -> Self {
        Self { code, message: message.to_string(), next: next.to_string() }
    }

    /// An input file is not what it should be.
    pub fn malformed(message: impl Display, next: impl Display) -> Self {
        Self::new(Code::Malformed, message, next)
    }

    /// The command asks for something that does not exist or contradicts itself.
    pub fn usage(message: impl Display, next: impl Display) -> Self {
        Self::new(Code::Misuse, message, next)
    }

    /// Something could not be read, fetched or written.
    pub fn unavailable(message: impl Display, next: impl Display) -> Self {
        Self::new(Code::Unavailable, message, next)
    }

    /// The exit status this ends in.
    #[must_use]
    pub fn exit(&self) -> Exit {
        Exit::from(self.code)
    }
}
