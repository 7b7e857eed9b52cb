//! The light client's part of a proof: what the beacon chain signed about the final block.
//!
//! Guarantees: what is added was checked with the library's light client from the committee that it starts at; the part
//! starts where the lane's last proof ended, so one pinned committee leads through all proofs of a lane; the node's word
//! is needed for nothing but the first committee, which an auditor pins from elsewhere.
//! Does not do: choosing what to trust.
//! Implements: the beacon node API (ethereum/beacon-APIs), `light_client/{finality_update,bootstrap,updates}`.

use http::Method;
use ledgerstone::anchor::evm::beacon::{
    BeaconError, Chain, JsonError, PinnedCommittee, SszError, SyncCommittee, Trust, Update,
    bootstrap_from_json, update_from_json, updates_from_json, verify_part,
};
use ledgerstone::anchor::evm::{BeaconPart, BlockHeader, Bundle, ForkBytes, HeaderError};
use ledgerstone::encoding::hex_encode;
use ledgerstone::limits::{BEACON_JSON_BYTES_MAX, EVM_BEACON_UPDATES_MAX, EVM_SEGMENT_HEADERS_MAX};

use super::block::{self, Block, BlockError, Wanted};
use super::capture::{self, CaptureError};
use super::rpc::Endpoint;
use crate::outbound::http::{Address, Client, HttpFault, Question};

/// How far the beacon node's final block may lie below the endpoints' while nothing is wrong: five epochs of 32 slots.
const BEHIND_BLOCKS_MAX: u64 = 5 * 32;

/// A beacon node, and the beacon chain that it is to follow.
#[derive(Clone, Debug)]
pub struct Beacon {
    address: Address,
    http: Client,
    chain: Chain,
}

/// A committee and the period in which it signs.
struct Start {
    period: u64,
    committee: SyncCommittee,
}

impl Beacon {
    /// The beacon node at `address`, for a beacon chain whose forks are known here.
    #[must_use]
    pub fn new(address: Address, http: Client, chain: Chain) -> Self {
        Self { address, http, chain }
    }

    /// Adds the light client's part to `bundle`: headers up to the execution block that is final now, and what signed it.
    /// `previous` is the lane's proof before this one.
    ///
    /// # Errors
    /// [`LightError`]; [`LightError::NotYet`] until the beacon chain has made the bundle's block final.
    pub async fn extend(
        &self,
        bundle: &mut Bundle,
        endpoints: &[Endpoint],
        previous: Option<&[u8]>,
    ) -> Result<(), LightError> {
        let preset = &self.chain.preset;
        let finality = update_from_json(&self.ask("finality_update").await?, preset)?;
        let headers = self.headers(bundle, endpoints, &finality).await?;
        let last = self.chain.period(finality.signature_slot);
        let start = match previous.and_then(|bytes| self.continued(bytes, last)) {
            Some(start) => start,
            None => self.bootstrap(&finality).await?,
        };
        let count = last.saturating_sub(start.period);
        let updates = if count == 0 {
            Vec::new()
        } else {
            let query = format!("updates?start_period={}&count={count}", start.period);
            updates_from_json(&self.ask(&query).await?, preset)?
        };
        let bytes = |update: Update| {
            let update = update.with_earliest_signature_slot(&self.chain);
            ForkBytes { fork: update.fork, ssz: update.encode() }
        };
        let part = BeaconPart {
            committee: start.committee.encode(),
            updates: updates.into_iter().map(bytes).collect(),
            finality: bytes(finality),
        };
        let pinned = PinnedCommittee { period: start.period, root: start.committee.root() };
        verify_part(&part, &Trust { chain: self.chain.clone(), committees: vec![pinned] })?;
        bundle.headers.extend(headers);
        bundle.beacon = Some(part);
        Ok(())
    }

    /// The headers above the bundle's block, up to the execution block that `finality` shows to be final.
    async fn headers(
        &self,
        bundle: &Bundle,
        endpoints: &[Endpoint],
        finality: &Update,
    ) -> Result<Vec<Vec<u8>>, LightError> {
        let execution = &finality.finalized.execution;
        let (number, hash) = (execution.block_number(), execution.block_hash());
        let first = bundle.headers.first().map_or(&[][..], Vec::as_slice);
        let first = BlockHeader::decode(first)?;
        let Some(above) = number.checked_sub(first.number) else {
            let behind = first.number - number;
            return Err(match behind <= BEHIND_BLOCKS_MAX {
                true => LightError::NotYet { final_block: number },
                false => LightError::Behind { final_block: number, behind },
            });
        };
        if above >= EVM_SEGMENT_HEADERS_MAX as u64 {
            return Err(CaptureError::Far { blocks: above }.into());
        }
        if above == 0 {
            return if first.hash == hash { Ok(Vec::new()) } else { Err(LightError::OtherBlock { number }) };
        }
        let endpoint = endpoints.first().ok_or(CaptureError::NoEndpoint)?;
        let top = self.known(endpoint, number, hash).await?;
        let above_first = self.known_number(endpoint, first.number + 1).await?;
        if above_first.header.parent_hash.0 != first.hash {
            return Err(LightError::OtherBlock { number: first.number + 1 });
        }
        let mut headers = capture::segment(endpoint, &above_first, &top).await?;
        headers.push(top.raw.to_vec());
        Ok(headers)
    }

    async fn known(&self, endpoint: &Endpoint, number: u64, hash: [u8; 32]) -> Result<Block, LightError> {
        let block = self.known_number(endpoint, number).await?;
        if block.hash.0 == hash { Ok(block) } else { Err(LightError::OtherBlock { number }) }
    }

    async fn known_number(&self, endpoint: &Endpoint, number: u64) -> Result<Block, LightError> {
        let block = block::fetch(endpoint, Wanted::Number(number)).await.map_err(CaptureError::from)?;
        block.ok_or(LightError::OtherBlock { number })
    }

    /// The committee at which the lane's proof before this one ended, unless that is too long ago for one bundle.
    fn continued(&self, previous: &[u8], last: u64) -> Option<Start> {
        let preset = &self.chain.preset;
        let part = Bundle::decode(previous).ok()?.beacon?;
        let finality = Update::decode_finality(&part.finality.ssz, part.finality.fork, preset).ok()?;
        let period = self.chain.period(finality.signature_slot);
        let near = (period..=period + EVM_BEACON_UPDATES_MAX as u64).contains(&last);
        let committee = match part.updates.last() {
            Some(update) => Update::decode(&update.ssz, update.fork, preset).ok()?.next?.0,
            None => SyncCommittee::decode(&part.committee, preset).ok()?,
        };
        near.then_some(Start { period, committee })
    }

    /// The committee of the period in which the final block stands, as the node gives it.
    async fn bootstrap(&self, finality: &Update) -> Result<Start, LightError> {
        let header = &finality.finalized.beacon;
        let root = header.root();
        let answer = self.ask(&format!("bootstrap/0x{}", hex_encode(&root))).await?;
        let bootstrap = bootstrap_from_json(&answer, &self.chain.preset)?;
        // Proved under the block's root, so a node cannot give another committee.
        let pinned = PinnedCommittee::from_bootstrap(&self.chain, &bootstrap, &root)?;
        Ok(Start { period: pinned.period, committee: bootstrap.current_sync_committee })
    }

    async fn ask(&self, what: &str) -> Result<Vec<u8>, LightError> {
        let address = self.address.join(&format!("eth/v1/beacon/light_client/{what}"));
        let question = Question {
            method: Method::GET,
            address: address.ok_or(LightError::Address)?,
            content_type: None,
            accept: "application/json",
            headers: Vec::new(),
            body: Vec::new().into(),
            answer_bytes_max: BEACON_JSON_BYTES_MAX,
        };
        Ok(self.http.ask(question).await?.to_vec())
    }
}

/// Why the light client's part cannot be added.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LightError {
    /// The address cannot be extended by a path.
    #[error("the beacon node's address cannot be used: write http://HOST:PORT or https://HOST")]
    Address,
    /// The node does not answer.
    #[error("beacon node: {0}")]
    Http(#[from] HttpFault),
    /// What it answers cannot be read.
    #[error("beacon node: {0}")]
    Json(#[from] JsonError),
    /// Bytes that are not of their type.
    #[error("beacon node: {0}")]
    Ssz(#[from] SszError),
    /// What it answers does not hold.
    #[error("beacon node: {0}")]
    Beacon(#[from] BeaconError),
    /// The bundle's own header cannot be read.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The beacon chain's final block is below the one that is captured.
    #[error("the beacon node's final block {final_block} is below the captured one: it is tried again")]
    NotYet {
        /// The execution block's number.
        final_block: u64,
    },
    /// So far below that the beacon node does not follow the chain.
    #[error(
        "the beacon node's final block {final_block} is {behind} blocks below the captured one: it does not follow the chain"
    )]
    Behind {
        /// The execution block's number.
        final_block: u64,
        /// How far below.
        behind: u64,
    },
    /// Beacon node and endpoints are not on one chain.
    #[error("the beacon node's final block {number} is not the endpoints': they are not of one chain")]
    OtherBlock {
        /// The execution block's number.
        number: u64,
    },
    /// The headers between cannot be had.
    #[error(transparent)]
    Capture(#[from] CaptureError),
}

impl From<BlockError> for LightError {
    fn from(error: BlockError) -> Self {
        CaptureError::from(error).into()
    }
}
