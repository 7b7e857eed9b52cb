//! The command line of erasing, holding, retention and the keyring, as types only.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// What the keyring can be asked to do.
#[derive(Debug, Subcommand)]
pub enum ErasureCommand {
    /// Destroy the keys of a person or of one decision, and say so in the log. The sidecar must be running.
    #[command(subcommand)]
    Erase(EraseCommand),
    /// Forbid to erase a person or a decision, until the hold is released. The sidecar must be running.
    Hold {
        /// Whom or what.
        #[command(flatten)]
        target: TargetArguments,
        /// Who asks: 1 to 64 characters of a-z 0-9 . _ -
        #[arg(long, value_name = "ID")]
        operator: String,
    },
    /// End a hold. The sidecar must be running.
    Release {
        /// The hold's id
        hold: String,
        /// Who asks: 1 to 64 characters of a-z 0-9 . _ -
        #[arg(long, value_name = "ID")]
        operator: String,
    },
    /// Erase the records whose retention period is over, or say which they are.
    Retention(RetentionArguments),
    /// Look after the keys that records are sealed under.
    #[command(subcommand)]
    Keyring(KeyringCommand),
}

/// `erase ...`
#[derive(Debug, Subcommand)]
pub enum EraseCommand {
    /// Everything about one person.
    Subject {
        /// The person's reference, as the records have it; - reads it from standard input
        #[arg(long, value_name = "REF")]
        subject: String,
        /// Why and who.
        #[command(flatten)]
        why: WhyArguments,
    },
    /// One decision and what was added to it.
    Record {
        /// The decision id, as UUID text
        #[arg(long, value_name = "ID")]
        decision: String,
        /// Why and who.
        #[command(flatten)]
        why: WhyArguments,
    },
}

impl EraseCommand {
    /// What is asked for, the ground and the operator.
    #[must_use]
    pub fn parts(self) -> (TargetArguments, String, String) {
        let (subject, decision, why) = match self {
            Self::Subject { subject, why } => (Some(subject), None, why),
            Self::Record { decision, why } => (None, Some(decision), why),
        };
        (TargetArguments { subject, decision }, why.ground, why.operator)
    }
}

/// Why something is erased, and who asks.
#[derive(Debug, Args)]
pub struct WhyArguments {
    /// Why
    #[arg(long, value_parser = ["subject-request", "retention-expired", "legal-order"])]
    pub ground: String,
    /// Who asks: 1 to 64 characters of a-z 0-9 . _ -
    #[arg(long, value_name = "ID")]
    pub operator: String,
}

/// Whom or what.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct TargetArguments {
    /// A person, by the reference that records have; - reads it from standard input
    #[arg(long, value_name = "REF")]
    pub subject: Option<String>,
    /// A decision, by its id as UUID text
    #[arg(long, value_name = "ID")]
    pub decision: Option<String>,
}

/// Arguments of `retention`.
#[derive(Debug, Args)]
pub struct RetentionArguments {
    /// Only say what is over; the sidecar need not be running
    #[arg(long)]
    pub dry_run: bool,
    /// Who asks: 1 to 64 characters of a-z 0-9 . _ -
    #[arg(long, value_name = "ID")]
    pub operator: Option<String>,
}

/// `keyring ...`
#[derive(Debug, Subcommand)]
pub enum KeyringCommand {
    /// Say how many keys there are and what is left to do. The sidecar must be running.
    Status,
    /// Write a copy: beside the keyring, where the next erasure deletes it, or into a file of yours.
    Backup {
        /// The file to write; an existing one is left alone. The sidecar may be running
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Put a copy in the place of the keyring, without what was erased since. The sidecar must not be running.
    Restore {
        /// The copy
        #[arg(long, value_name = "FILE")]
        from: Option<PathBuf>,
        /// There is none: begin anew, and give every record under lost keys up for good
        #[arg(long, conflicts_with = "from")]
        without_backup: bool,
        /// Go on although the keyring in place cannot be read: an erasure that it knows and the log does not is given up
        #[arg(long, requires = "from")]
        discard_current: bool,
    },
    /// Wrap the keys that are under an earlier key-encryption key ([[keys.previous]]) under the one in force.
    Rotate {
        /// The signed approval of the change to the configured key, where one is needed: then that key comes into force at the next start
        #[arg(long, value_name = "FILE")]
        approval: Option<PathBuf>,
    },
}
