//! What a driver reports to a lane of statements that are submitted, and what such a lane wants done.

use super::record::Record;
use crate::anchor::alarm::Alarm;
use crate::anchor::schedule::{Build, Built};
use crate::entry::AnchorDetails;
use crate::hash::Hash;
use crate::merkle::TreeSize;

/// Something that happened. [`Event::Tick`] and [`Event::Log`] come whenever the driver likes; every other one answers one
/// [`Effect`], and one that answers nothing that is asked (any more) changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Time passed. Send it every second or so, and once after recovery.
    Tick,
    /// The log has a signed checkpoint of that many leaves.
    Log(TreeSize),
    /// Answers `Build`: the statement's files are durable.
    Built(Built),
    /// Answers `Build`: they could not be written.
    BuildFailed,
    /// Answers `Journal`: the oldest record that is out is durable.
    Journaled,
    /// Answers `Journal`: it is not, or nobody knows. The lane stops.
    JournalFailed,
    /// Answers `Submit`: the proof is durable. Of an authority it is its verified reply; of calendars the pending
    /// attestations of a quorum of them.
    Accepted {
        /// Of which statement.
        seq: u64,
    },
    /// Answers `Submit`: it is not; it is asked for again.
    NotAccepted {
        /// Of which statement.
        seq: u64,
    },
    /// Answers `Upgrade`: the proof that is durable now stands without its calendars.
    Upgraded {
        /// Of which statement.
        seq: u64,
    },
    /// Answers `Upgrade`: not yet, or nobody answered.
    NotUpgraded {
        /// Of which statement.
        seq: u64,
    },
    /// Answers `Capture`: the block headers are durable.
    Captured {
        /// Of which statement.
        seq: u64,
    },
    /// Answers `Capture`: not yet; it is asked for again.
    CaptureFailed {
        /// Of which statement.
        seq: u64,
    },
    /// Answers `AppendEntry`: the entry is in the log for good.
    Appended {
        /// Of which statement.
        seq: u64,
    },
    /// Answers `AppendEntry`: it is not, or nobody knows; it is asked for again.
    AppendFailed {
        /// Of which statement.
        seq: u64,
    },
}

/// Something to be done. Effects of one event are started in their order; each but [`Effect::Alarm`] is answered by one
/// [`Event`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Effect {
    /// Write the files of the next statement, unless they are there: the ones that are there win.
    Build(Build),
    /// Append the record to the lane's journal and make it durable. At most one is out at a time.
    Journal(Record),
    /// Send the statement's hash to the authority or the calendars, check what comes back, and store it. Where a proof is
    /// there already, calendars have not answered for long: add what comes back to it.
    Submit {
        /// Which statement.
        seq: u64,
        /// Its hash.
        statement: Hash,
    },
    /// Ask the calendars for the rest of the proof.
    Upgrade {
        /// Of which statement.
        seq: u64,
        /// Its hash.
        statement: Hash,
    },
    /// Store the block headers that the proof rests on.
    Capture {
        /// Of which statement.
        seq: u64,
        /// Its hash.
        statement: Hash,
    },
    /// Append an anchor entry to the log. After a crash it may be asked for again though the log has it.
    AppendEntry(AnchorDetails),
    /// Tell people. It stands, see [`Submission::alarms`](super::Submission::alarms), until its cause is gone.
    Alarm(Alarm),
}
