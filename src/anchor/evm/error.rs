//! Why a bundle does not show what it must.

#[cfg(feature = "beacon")]
use super::beacon::BeaconError;
use super::bundle::BundleError;
use super::header::HeaderError;
use super::receipt::ReceiptError;
use super::rlp::RlpError;
use super::trie::TrieError;
use crate::code::Code;

/// Why a bundle does not show what it must.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EvmError {
    /// No bundle.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// A header that cannot be read.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// Headers that do not follow each other.
    #[error("header {at} does not follow the one before it: capture the bundle again")]
    HeaderLink {
        /// The header's place in its list.
        at: usize,
    },
    /// Another chain.
    #[error("the bundle is of chain {found}, the trust file names chain {trusted}")]
    Chain {
        /// The bundle's.
        found: u64,
        /// The trusted one.
        trusted: u64,
    },
    /// Another contract.
    #[error("the bundle is of another contract than the trust file names")]
    Contract,
    /// Another first key.
    #[error("the bundle names another first anchor key than the trust file")]
    FirstKey,
    /// The account's proof does not hold.
    #[error("the account proof does not hold: {0}")]
    Account(TrieError),
    /// The contract is not there.
    #[error("there is no contract at that address in that block: look up the address and the chain")]
    NoContract,
    /// An account or a stored value that is not encoded as one.
    #[error("the state holds bytes that are no account or no value: {0}")]
    State(RlpError),
    /// Other code than the anchor contract's.
    #[error("the contract's code is not the anchor contract's: its promises are not known")]
    Code,
    /// A slot's proof does not hold.
    #[error("the storage proof does not hold: {0}")]
    Storage(TrieError),
    /// The log has no head there.
    #[error("the contract has no head for this log: look up the origin and the first anchor key")]
    NoHead,
    /// The head is further on: the block was taken too late.
    #[error(
        "in that block the contract's head was already at statement {found}, after {expected}: this one is shown by \
         the later one's bundle and the chain of statements, or by an earlier block"
    )]
    HeadAfter {
        /// The head's number.
        found: u64,
        /// The statement's.
        expected: u64,
    },
    /// The head is not there yet: the statement was not anchored.
    #[error(
        "in that block the contract's head was at statement {found}, before {expected}: it is not anchored"
    )]
    HeadBefore {
        /// The head's number.
        found: u64,
        /// The statement's.
        expected: u64,
    },
    /// The head has the number, and another statement: evidence of two histories.
    #[error("the contract names another statement under number {seq}: keep both, they tell two histories")]
    OtherStatement {
        /// The number.
        seq: u64,
    },
    /// The head has the statement's hash, and another size.
    #[error("the contract states size {found} where the statement has {expected}")]
    OtherSize {
        /// The contract's.
        found: u64,
        /// The statement's.
        expected: u64,
    },
    /// The receipt does not show the anchor.
    #[error(transparent)]
    Receipt(#[from] ReceiptError),
    /// The light client's part does not hold.
    #[cfg(feature = "beacon")]
    #[error(transparent)]
    Beacon(#[from] BeaconError),
    /// The light client finalized another block than the bundle's last.
    #[cfg(feature = "beacon")]
    #[error(
        "the finalized beacon block holds another execution block than the bundle's last: capture it again"
    )]
    OtherFinalized,
}

impl EvmError {
    /// What the reader must do next.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::Bundle(error) => error.code(),
            Self::Header(error) => error.code(),
            Self::Account(error) | Self::Storage(error) => error.code(),
            Self::State(error) => error.code(),
            Self::Receipt(error) => error.code(),
            Self::Chain { .. } | Self::Contract | Self::FirstKey | Self::Code => Code::Untrusted,
            #[cfg(feature = "beacon")]
            Self::Beacon(error) => error.code(),
            _ => Code::Inconsistent,
        }
    }
}
