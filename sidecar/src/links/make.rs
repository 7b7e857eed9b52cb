//! Makes links: for decisions that the log has, for as long as the configuration allows.
//!
//! Guarantees: the command line and the recorder's port make the same links by the same rules. Does not do: asking who asks.

use std::path::PathBuf;
use std::time::Duration;

use ledgerstone::code::Code;
use ledgerstone::entry::{DecisionId, Reference};
use ledgerstone::time::UnixMillis;

use super::{LinkBook, LinkError};
use crate::config::{Config, duration};
use crate::driver::system_clock;
use crate::reader::{LogReadError, LogReader};
use crate::receipts::search;

/// What makes links.
#[derive(Debug)]
pub struct LinkMaker {
    log: LogReader,
    base: String,
    file: PathBuf,
    expires: Duration,
    expires_max: Duration,
}

/// A link that was made. It prints without its address.
pub struct Made {
    /// The decision whose receipt it opens.
    pub decision: DecisionId,
    /// The address.
    pub url: String,
    /// When it ends.
    pub expires: UnixMillis,
}

impl Made {
    /// What people may type instead of the address.
    #[must_use]
    pub const fn reference(&self) -> Reference {
        Reference::of(self.decision)
    }
}

impl std::fmt::Debug for Made {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Made").field("expires", &self.expires).finish_non_exhaustive()
    }
}

impl LinkMaker {
    /// Makes links as `config` says, for decisions in `log`.
    ///
    /// # Errors
    /// [`MakeError::NotConfigured`] names the key that is not set.
    pub fn new(config: &Config, log: LogReader) -> Result<Self, MakeError> {
        let links = &config.links;
        let unset = |key| MakeError::NotConfigured { key };
        Ok(Self {
            log,
            base: links.public_url.clone().ok_or(unset("links.public_url"))?,
            file: links.file.clone().ok_or(unset("links.file"))?,
            expires: links.expires,
            expires_max: links.expires_max,
        })
    }

    /// Makes a link to the receipt of `decision` that works for the time `expires`, such as `30d`. Blocks on the disk.
    ///
    /// # Errors
    /// [`MakeError`] says what to change.
    pub fn make(&self, decision: DecisionId, expires: Option<&str>) -> Result<Made, MakeError> {
        let time = expires.map_or(Some(self.expires), duration).ok_or(MakeError::Time)?;
        if time > self.expires_max {
            return Err(MakeError::TooLong { asked: time.as_secs(), most: self.expires_max.as_secs() });
        }
        if search::decision(&self.log, decision, self.log.published().size)?.is_none() {
            return Err(MakeError::Unknown { decision });
        }
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let expires = UnixMillis::new(system_clock().get().saturating_add(millis));
        let token = LinkBook::open(&self.file)?.add(decision, expires)?;
        Ok(Made { decision, url: token.url(&self.base), expires })
    }
}

/// Why no link is made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MakeError {
    /// A key of the configuration is not set.
    #[error("{key} is not set: docs/receipts.md says what links need")]
    NotConfigured {
        /// The key.
        key: &'static str,
    },
    /// Not a time.
    #[error("the time is none: write it with its unit, such as 30d or 12h")]
    Time,
    /// Longer than allowed.
    #[error("{asked} s are longer than links.expires_max allows ({most} s)")]
    TooLong {
        /// The time that was asked for, in seconds.
        asked: u64,
        /// The longest, in seconds.
        most: u64,
    },
    /// The published log has no such decision.
    #[error("the published log has no decision {decision}; one that was just made is there in a second")]
    Unknown {
        /// The decision.
        decision: DecisionId,
    },
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] LogReadError),
    /// The file of links.
    #[error("links.file: {0}")]
    Link(#[from] LinkError),
}

impl MakeError {
    /// What the reader must do about it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::NotConfigured { .. } | Self::Time | Self::TooLong { .. } | Self::Unknown { .. } => {
                Code::Misuse
            }
            Self::Log(error) => error.code(),
            Self::Link(error) => error.code(),
        }
    }
}
