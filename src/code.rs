//! Stable codes for errors and checks, grouped by what the reader must do next.
//!
//! The code is the contract; the text beside it may change. `docs/spec/codes.md` is the same table for readers.

use core::fmt;

/// What the receiver of an error must do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Code {
    /// The bytes are not what they claim to be: fix or fetch them again.
    Malformed,
    /// A signature or key is not one that the policy trusts: check the policy and where the data came from.
    Untrusted,
    /// Two facts contradict each other: evidence of tampering, keep both.
    Inconsistent,
    /// Something needed did not answer: try again.
    Unavailable,
    /// A named limit was passed: send less, or raise the limit.
    Limit,
    /// The caller asked for something that makes no sense here: change the call.
    Misuse,
    /// A defect in Ledgerstone: report it.
    Internal,
}

impl Code {
    /// The code as it stands in JSON, gRPC details and SIEM events.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Untrusted => "untrusted",
            Self::Inconsistent => "inconsistent",
            Self::Unavailable => "unavailable",
            Self::Limit => "limit",
            Self::Misuse => "misuse",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
