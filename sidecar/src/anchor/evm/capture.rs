//! Captures at finality, once, what shows a statement without the chain.
//!
//! Guarantees: a bundle that is handed out was read by the library's own verifier and shows the statement under the
//! block that enough endpoints agreed on; a bundle that does not is refused with the verifier's reason. Nodes prove
//! state for some hundred blocks only, so what is not captured now needs an archive node later.
//! Does not do: storing it.

use alloy_primitives::{Address, B256};
use ledgerstone::anchor::evm::{
    self as library, Basis, Bundle, EvmError, Expected, LogId, ReceiptProof, Trust,
};
use ledgerstone::anchor::scheduler::{Block as BlockId, Capture, TransactionHash};
use ledgerstone::anchor::statement::Statement;
use ledgerstone::code::Code;
use ledgerstone::limits::EVM_SEGMENT_HEADERS_MAX;

use super::block::{self, Block, BlockError, Wanted};
use super::proof::{self, ProofError};
use super::receipts::{self, ReceiptError};
use super::rpc::Endpoint;

/// What every bundle of a lane says.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The chain's id.
    pub chain_id: u64,
    /// The anchor contract.
    pub contract: Address,
    /// The log's first anchor key.
    pub first_key: Address,
    /// The log's head in the contract.
    pub log_id: LogId,
}

/// A bundle and what it lacks.
#[derive(Debug)]
pub struct Captured {
    /// The bundle.
    pub bundle: Bundle,
    /// Why it has no receipt proof, where one was wanted.
    pub no_receipt: Option<CaptureError>,
}

/// Captures headers, account, storage and receipt proof from the first of `endpoints` that gives them.
///
/// # Errors
/// [`CaptureError`] of the last endpoint, if none gives them.
pub async fn capture(
    endpoints: &[Endpoint],
    subject: &Subject,
    wanted: &Capture,
) -> Result<Captured, CaptureError> {
    let mut failed = CaptureError::NoEndpoint;
    for endpoint in endpoints {
        match from(endpoint, subject, wanted).await {
            Ok(captured) => return Ok(captured),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

async fn from(endpoint: &Endpoint, subject: &Subject, wanted: &Capture) -> Result<Captured, CaptureError> {
    let block = known(endpoint, &wanted.block).await?;
    let slots = subject.log_id.slots().map(B256::from);
    // The proposed key is no part of a bundle.
    let [packed, statement, _] = slots;
    let proof = proof::fetch(endpoint, &block, subject.contract, &[packed, statement]).await?;
    let nodes =
        |place: usize| proof.storage_proof.get(place).map(|slot| vecs(&slot.proof)).unwrap_or_default();
    let (receipt, no_receipt) = match &wanted.mined {
        None => (None, None),
        Some((transaction, mined)) => match receipt(endpoint, &block, transaction, mined).await {
            Ok(receipt) => (Some(receipt), None),
            Err(error) => (None, Some(error)),
        },
    };
    let bundle = Bundle {
        chain_id: subject.chain_id,
        contract: subject.contract.into_array(),
        first_key: subject.first_key.into_array(),
        headers: vec![block.raw.to_vec()],
        account_proof: vecs(&proof.account_proof),
        packed_proof: nodes(0),
        statement_proof: nodes(1),
        receipt,
        beacon: None,
    };
    Ok(Captured { bundle, no_receipt })
}

/// Checks that `bytes` is a bundle that shows `statement` under the final block of `wanted`.
///
/// # Errors
/// [`CaptureError::Refused`] with the verifier's reason.
pub fn check(
    bytes: &[u8],
    subject: &Subject,
    statement: &Statement,
    wanted: &Capture,
) -> Result<(), CaptureError> {
    let bundle = Bundle::decode(bytes).map_err(EvmError::from)?;
    let expected = Expected {
        origin: statement.origin.as_str(),
        seq: statement.seq,
        size: statement.to.size.get(),
        root: statement.to.root,
        previous: statement.previous,
        statement: wanted.statement,
    };
    let mut trust = Trust::new(subject.chain_id);
    trust.contract = Some(subject.contract.into_array());
    trust.first_key = Some(subject.first_key.into_array());
    trust.blocks = vec![*wanted.block.hash.as_bytes()];
    let facts = library::verify(&bundle, &expected, &trust)?;
    match facts.basis {
        Basis::PinnedBlock { hash, .. } if hash == *wanted.block.hash.as_bytes() => Ok(()),
        _ => Err(CaptureError::OtherBlock),
    }
}

/// The proof of the transaction's receipt, with the headers from its block up to the one below `block`.
async fn receipt(
    endpoint: &Endpoint,
    block: &Block,
    transaction: &TransactionHash,
    mined: &BlockId,
) -> Result<ReceiptProof, CaptureError> {
    let transaction = B256::from(*transaction.as_bytes());
    let at = known(endpoint, mined).await?;
    let distance = block.number().saturating_sub(at.number());
    if distance > EVM_SEGMENT_HEADERS_MAX as u64 {
        return Err(CaptureError::Far { blocks: distance });
    }
    let proof = receipts::prove(endpoint, &at, &transaction).await?;
    let headers = segment(endpoint, &at, block).await?;
    Ok(ReceiptProof { headers, index: proof.index, proof: vecs(&proof.nodes) })
}

/// The headers from `first` up to the one below `last`, each the parent of the next.
pub(super) async fn segment(
    endpoint: &Endpoint,
    first: &Block,
    last: &Block,
) -> Result<Vec<Vec<u8>>, CaptureError> {
    let mut headers = Vec::new();
    let mut below = last.header.parent_hash;
    for number in (first.number()..last.number()).rev() {
        let block = block::fetch(endpoint, Wanted::Number(number)).await?;
        let block = block.filter(|block| block.hash == below);
        let block = block.ok_or_else(|| CaptureError::moved(endpoint, number))?;
        below = block.header.parent_hash;
        headers.push(block.raw.to_vec());
    }
    headers.reverse();
    Ok(headers)
}

/// The block that is meant, if it still is in the endpoint's chain.
async fn known(endpoint: &Endpoint, wanted: &BlockId) -> Result<Block, CaptureError> {
    let block = block::fetch(endpoint, Wanted::Number(wanted.number)).await?;
    let block = block.filter(|block| block.hash.0 == *wanted.hash.as_bytes());
    block.ok_or_else(|| CaptureError::moved(endpoint, wanted.number))
}

fn vecs(nodes: &[alloy_primitives::Bytes]) -> Vec<Vec<u8>> {
    nodes.iter().map(|node| node.to_vec()).collect()
}

/// Why nothing was captured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CaptureError {
    /// There is no endpoint.
    #[error("no endpoint is configured")]
    NoEndpoint,
    /// A block cannot be had.
    #[error(transparent)]
    Block(#[from] BlockError),
    /// The contract's state cannot be had.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// The receipt cannot be had.
    #[error(transparent)]
    Receipt(#[from] ReceiptError),
    /// The chain has another block there.
    #[error("{endpoint}: the chain has another block {number} than the one that was final")]
    Moved {
        /// Host and port.
        endpoint: String,
        /// The block's height.
        number: u64,
    },
    /// The receipt is too far below the block whose state is proved.
    #[error(
        "the receipt is {blocks} blocks below the proved state, a bundle holds {EVM_SEGMENT_HEADERS_MAX} headers"
    )]
    Far {
        /// How far.
        blocks: u64,
    },
    /// The bundle is not about the final block.
    #[error("the bundle is not of the final block that was asked for")]
    OtherBlock,
    /// What was captured does not show the statement.
    #[error("what the endpoint gave does not prove the statement: {0}")]
    Refused(#[from] EvmError),
}

impl CaptureError {
    fn moved(endpoint: &Endpoint, number: u64) -> Self {
        Self::Moved { endpoint: endpoint.name().to_owned(), number }
    }

    /// What the reader must do about it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::NoEndpoint => Code::Misuse,
            Self::Far { .. } => Code::Limit,
            Self::Moved { .. } | Self::OtherBlock | Self::Refused(_) => Code::Inconsistent,
            Self::Block(_) | Self::Proof(_) | Self::Receipt(_) => Code::Unavailable,
        }
    }
}
