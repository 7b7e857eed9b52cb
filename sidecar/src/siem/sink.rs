//! What a sink is: the seam between the follower, which decides what is sent and when, and each kind, which knows how.

use std::time::Duration;

use ledgerstone::code::Code;
use ledgerstone::siem::Event;

use crate::outbound;

/// Characters of what the far side said that are kept.
const SAID_CHARS_MAX: usize = 160;

/// One event as a sink gets it.
#[derive(Clone, Debug)]
pub struct Rendered {
    /// The event. Its id is the same however often it is delivered.
    pub event: Event,
    /// The event in the sink's format: no control character in it, no line end behind it.
    pub text: String,
}

/// A place that takes events.
///
/// A delivery may be given up at any `await`, because its time is over: what was half sent then must not be gone on with. An
/// implementation therefore takes its connection out of itself before it sends, and puts it back when all is well.
#[tonic::async_trait]
pub trait Sink: Send + 'static {
    /// Sends `batch`, of one event or more, and returns once the far side has accepted all of it, however it says so.
    ///
    /// # Errors
    /// [`SinkError`] says how many of the first ones were accepted all the same, and why not the rest.
    async fn deliver(&mut self, batch: &[Rendered]) -> Result<(), SinkError>;

    /// How long what [`Sink::deliver`] sent may stay unconfirmed, for protocols that never say that something was accepted. None
    /// where `deliver` itself waits for that.
    fn confirm_interval(&self) -> Option<Duration> {
        None
    }

    /// Makes sure that everything delivered was accepted. What was delivered since the last time that this went well is sent again
    /// after an error, from this or from [`Sink::deliver`].
    ///
    /// # Errors
    /// [`SinkError`] if that is not known.
    async fn confirm(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

/// Why a batch was not accepted, or not whole.
#[derive(Debug, thiserror::Error)]
#[error("{fault}")]
pub struct SinkError {
    /// How many events from the beginning of the batch were accepted.
    pub accepted: usize,
    /// Why the next one was not.
    pub fault: SinkFault,
}

impl From<SinkFault> for SinkError {
    fn from(fault: SinkFault) -> Self {
        Self { accepted: 0, fault }
    }
}

/// Why something was not accepted. All of it is tried again: an export never leaves an event out of its own accord.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SinkFault {
    /// Nobody is there, or the connection broke.
    #[error("it cannot be reached ({reason})")]
    Unreachable {
        /// What the operating system, TLS or the protocol says.
        reason: String,
    },
    /// No answer in time.
    #[error("it accepted nothing within {} s", .limit.as_secs_f64())]
    TimedOut {
        /// The limit.
        limit: Duration,
    },
    /// It said that it is too busy.
    #[error("it is too busy at present: {said}")]
    Busy {
        /// What it said.
        said: Said,
    },
    /// It said no to what was sent.
    #[error("it refused the events: {said}; see what the receiver wants, or go past them with `siem reset`")]
    Refused {
        /// What it said.
        said: Said,
    },
    /// It said no to this sender.
    #[error("it refused this sender: {said}; see to the credentials, or to what they may do")]
    Denied {
        /// What it said.
        said: Said,
    },
    /// What it answered is none of the answers of its protocol.
    #[error("it answered something else than {expected}: {said}")]
    Garbage {
        /// What would have been one.
        expected: &'static str,
        /// What it said.
        said: Said,
    },
    /// It took the events and does not say that it has them.
    #[error("it took the events and does not confirm them: {reason}")]
    Unconfirmed {
        /// What is missing.
        reason: &'static str,
    },
    /// One message is larger than may be. A smaller batch is tried before that is said of an event.
    #[error("{bytes} bytes are more than it takes at once{}", .bytes_max.map_or(String::new(), |max| format!(" ({max})")))]
    TooLarge {
        /// The bytes of the message.
        bytes: usize,
        /// What may be, where that is known.
        bytes_max: Option<usize>,
    },
    /// A file cannot be written.
    #[error("the file cannot be written ({source}): make room, or grant access")]
    Disk {
        /// What the operating system says.
        #[from]
        source: std::io::Error,
    },
    /// What the configuration names cannot be used.
    #[error("{what}: {reason}")]
    Setting {
        /// The key of the configuration.
        what: &'static str,
        /// What is wrong.
        reason: String,
    },
}

impl SinkFault {
    /// What the operator must do about it.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Unreachable { .. }
            | Self::TimedOut { .. }
            | Self::Busy { .. }
            | Self::Unconfirmed { .. } => Code::Unavailable,
            Self::Disk { .. } => Code::Unavailable,
            Self::Refused { .. } | Self::Denied { .. } | Self::Setting { .. } => Code::Misuse,
            Self::Garbage { .. } => Code::Malformed,
            Self::TooLarge { .. } => Code::Limit,
        }
    }

    /// Whether waiting may help; otherwise somebody has to do something, and it is tried as seldom as it may be.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        matches!(self.code(), Code::Unavailable)
    }

    /// Whether a smaller batch may be accepted.
    #[must_use]
    pub const fn is_about_the_batch(&self) -> bool {
        matches!(self, Self::TooLarge { .. } | Self::Refused { .. })
    }
}

/// What the far side said: the printable beginning of it, on one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said(String);

impl Said {
    /// Keeps of `bytes` what may be shown.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(outbound::printable(bytes, SAID_CHARS_MAX))
    }
}

impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_empty() { "nothing" } else { &self.0 })
    }
}
