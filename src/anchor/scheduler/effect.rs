//! What an EVM lane wants done.

use super::record::Record;
use super::word::{Block, Fees, TransactionHash};
use crate::anchor::alarm::Alarm;
use crate::anchor::schedule::Build;
use crate::entry::AnchorDetails;
use crate::hash::Hash;

/// Something to be done. Effects of one event are started in their order; each but [`Effect::Alarm`] is answered by one
/// [`Event`](super::Event).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Effect {
    /// Write the files of the next statement, unless they are there: the ones that are there win.
    Build(Build),
    /// Append the record to the lane's journal and make it durable. At most one is out at a time.
    Journal(Record),
    /// Sign `advance` for a statement. The transaction is sent nowhere.
    Sign(Sign),
    /// Send the bytes to every endpoint. They are durable, and may have been sent before.
    Broadcast {
        /// The transaction's hash.
        transaction: TransactionHash,
        /// Its bytes.
        raw: Vec<u8>,
    },
    /// Look at the chain.
    Observe {
        /// The transactions whose receipts are wanted.
        transactions: Vec<TransactionHash>,
    },
    /// Fetch and store the proof bundle of a statement, and check it before it is reported.
    Capture(Capture),
    /// Append an anchor entry to the log. After a crash it may be asked for again though the log has it.
    AppendEntry(AnchorDetails),
    /// Tell people. It stands, see [`Scheduler::alarms`](super::Scheduler::alarms), until its cause is gone.
    Alarm(Alarm),
}

/// A transaction to be signed: `advance` with the statement's numbers, from the lane's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sign {
    /// Which statement; its bytes lie in its folder.
    pub seq: u64,
    /// The statement's hash.
    pub statement: Hash,
    /// The account's nonce.
    pub nonce: u64,
    /// What it offers.
    pub fees: Fees,
    /// Its gas limit.
    pub gas: u64,
}

/// What proves a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capture {
    /// Which statement.
    pub seq: u64,
    /// Its hash.
    pub statement: Hash,
    /// A final block in whose state the contract holds it as the log's newest: prove the storage here.
    pub block: Block,
    /// The transaction that wrote it and its block, where its receipt is known.
    pub mined: Option<(TransactionHash, Block)>,
}
