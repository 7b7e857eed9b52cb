//! What a driver reports to an EVM lane.

use super::word::{Address, Block, CodeHash, TransactionHash};
use crate::anchor::schedule::Built;
use crate::hash::Hash;
use crate::merkle::TreeSize;

/// Something that happened. [`Event::Tick`] and [`Event::Log`] come whenever the driver likes; every other one answers one
/// [`Effect`](super::Effect), and one that answers nothing that is asked (any more) changes nothing.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// Time passed. Send it every second or so, and once after recovery.
    Tick,
    /// The log has a signed checkpoint of that many leaves. Nothing is done about the chain before the first of these.
    Log(TreeSize),
    /// Answers `Build`: the statement's files are durable.
    Built(Built),
    /// Answers `Build`: they could not be written.
    BuildFailed,
    /// Answers `Journal`: the oldest record that is out is durable.
    Journaled,
    /// Answers `Journal`: it is not, or nobody knows. The lane stops.
    JournalFailed,
    /// Answers `Sign`: the transaction, signed and sent nowhere yet.
    Signed {
        /// Its hash.
        transaction: TransactionHash,
        /// Its bytes, as `eth_sendRawTransaction` takes them; at most
        /// [`ANCHOR_TRANSACTION_BYTES_MAX`](crate::limits::ANCHOR_TRANSACTION_BYTES_MAX).
        raw: Vec<u8>,
    },
    /// Answers `Sign`: the key gave no signature.
    SignFailed,
    /// Answers `Broadcast`: the best outcome among the endpoints.
    Broadcast {
        /// Which transaction.
        transaction: TransactionHash,
        /// What became of it.
        outcome: Broadcast,
    },
    /// Answers `Observe`: enough endpoints agree on this.
    Observed(View),
    /// Answers `Observe`: nobody answered.
    Unreachable,
    /// Answers `Observe`: endpoints contradict each other about one block, or about the final one.
    Disagree,
    /// Answers `Capture`: the proof bundle is durable.
    Captured {
        /// Of which statement.
        seq: u64,
    },
    /// Answers `Capture`: it could not be had; it is asked for again, at a later block.
    CaptureFailed {
        /// Of which statement.
        seq: u64,
    },
    /// Answers `Capture`: nothing is wrong, and what the proof needs is not there yet; it is asked for again, at a later
    /// block.
    CaptureWaits {
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

/// What became of a transaction that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Broadcast {
    /// An endpoint took it, or has it already.
    Taken,
    /// Its nonce is used already.
    NonceTooLow,
    /// Another transaction of that nonce waits there and offers as much or nearly as much.
    Underpriced,
    /// The account cannot pay it.
    InsufficientFunds,
    /// Refused for another reason.
    Refused,
    /// Nobody answered; it may have arrived all the same.
    Unreachable,
}

/// One state of the chain, everything as of the same three blocks. Drivers take it at block hashes (EIP-1898), not at the
/// names `latest`, `safe` and `finalized`, which move between two questions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// `eth_chainId`.
    pub chain_id: u64,
    /// The newest block.
    pub latest: Block,
    /// The newest block that is unlikely to go.
    pub safe: Block,
    /// The newest block that cannot go. A chain without these names: the block so many below the newest as is configured.
    pub finalized: Block,
    /// Keccak-256 of the code at the contract's address, at `latest`; none where there is no code.
    pub code: Option<CodeHash>,
    /// Transactions of the key's account in the chain up to `latest`: the nonce of its next one. Never a pending count.
    pub nonce: u64,
    /// The same up to `finalized`.
    pub nonce_finalized: u64,
    /// The account's balance at `latest`, wei.
    pub balance: u128,
    /// The base fee of the block after `latest`, wei per gas.
    pub base_fee: u128,
    /// The tip that endpoints suggest, wei per gas.
    pub tip: u128,
    /// The contract's head at `latest`.
    pub head: ContractHead,
    /// The contract's head at `safe`.
    pub head_safe: ContractHead,
    /// The contract's head at `finalized`.
    pub head_finalized: ContractHead,
    /// Of the transactions asked about, those in the chain up to `latest`.
    pub receipts: Vec<Receipt>,
}

/// What the contract holds for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContractHead {
    /// Its newest statement; 0 where it holds none.
    pub seq: u64,
    /// Leaves that it fixes.
    pub size: TreeSize,
    /// Its hash; all zero where it holds none.
    pub statement: Hash,
    /// The key that may advance it; none where the log has none there yet, so that the first write gives it.
    pub key: Option<Address>,
}

/// A transaction that is in the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Which one.
    pub transaction: TransactionHash,
    /// In which block.
    pub block: Block,
    /// Whether it did what it was to do; one that reverted paid its gas and changed nothing.
    pub succeeded: bool,
}
