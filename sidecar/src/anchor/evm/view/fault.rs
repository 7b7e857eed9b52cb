//! What is wrong with endpoints, and why there is no view of the chain.

use std::fmt;

use alloy_primitives::B256;
use ledgerstone::code::Code;

use crate::anchor::evm::block::BlockError;
use crate::anchor::evm::proof::ProofError;
use crate::anchor::evm::rpc::{Endpoint, RpcError};

/// What is wrong with one endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct Fault {
    /// Host and port.
    pub endpoint: String,
    /// What is wrong.
    #[source]
    pub error: EndpointError,
}

impl Fault {
    pub(super) fn of(endpoint: &Endpoint, error: EndpointError) -> Self {
        Self { endpoint: endpoint.name().to_owned(), error }
    }
}

/// How one endpoint failed. Most of these name it themselves.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// A call failed.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// A block is not what it says.
    #[error(transparent)]
    Block(#[from] BlockError),
    /// An account is not what it says.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// The chain has no such block.
    #[error(
        "the endpoint has no {wanted} block; where the chain's nodes have none, set finality = \"N confirmations\""
    )]
    NoBlock {
        /// Which one was asked for.
        wanted: &'static str,
    },
    /// The endpoint is behind the others.
    #[error(
        "the endpoint's newest block is {seconds} seconds older than another endpoint's: it does not follow the chain"
    )]
    Stale {
        /// How far, in seconds of block time.
        seconds: u64,
    },
}

/// Two endpoints show two chains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contradiction {
    /// Which block: latest, safe or finalized.
    pub what: &'static str,
    /// Its height.
    pub number: u64,
    /// One endpoint and the hash it gives.
    pub first: (String, B256),
    /// Another one and its hash.
    pub second: (String, B256),
}

impl fmt::Display for Contradiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, number, first, second } = self;
        write!(f, "{what} block {number} is {} at {} and {} at {}", first.1, first.0, second.1, second.0)
    }
}

/// Why there is no view of the chain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ViewError {
    /// Too few endpoints answered.
    #[error("{answered} endpoints answered and {quorum} must{}", listed(.faults))]
    TooFew {
        /// How many did.
        answered: usize,
        /// How many must.
        quorum: usize,
        /// What was wrong with the others.
        faults: Vec<Fault>,
    },
    /// An endpoint that had answered failed in the middle.
    #[error(transparent)]
    Endpoint(Fault),
    /// Endpoints are on two chains.
    #[error("{} is on chain {} and {} on chain {}: correct the list of endpoints", .first.0, .first.1, .second.0, .second.1)]
    Chains {
        /// One endpoint and its chain id.
        first: (String, u64),
        /// Another one and its chain id.
        second: (String, u64),
    },
    /// Endpoints show two histories.
    #[error("the endpoints contradict each other: {0}; find out which one is wrong")]
    Disagree(Box<Contradiction>),
    /// Final, safe and newest block are not in that order.
    #[error("the final, the safe and the newest block are not in that order: an endpoint is wrong")]
    Order,
}

impl ViewError {
    /// What the reader must do about it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::TooFew { .. } | Self::Endpoint(_) => Code::Unavailable,
            Self::Chains { .. } => Code::Misuse,
            Self::Disagree(_) | Self::Order => Code::Inconsistent,
        }
    }

    /// Whether endpoints contradict each other, rather than fail to answer.
    #[must_use]
    pub fn is_contradiction(&self) -> bool {
        matches!(self, Self::Chains { .. } | Self::Disagree(_) | Self::Order)
    }
}

fn listed(faults: &[Fault]) -> String {
    faults.iter().map(|fault| format!("; {fault}")).collect()
}
