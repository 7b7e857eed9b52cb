//! One state of the chain that enough endpoints agree on, everything as of the same three blocks.
//!
//! Guarantees: every block of a view was hashed here; what it says about contract and account is proved under the state
//! root of those blocks, so one honest endpoint among those that must agree is enough; an endpoint of another chain, a
//! stale one and one that contradicts the others are named; a receipt counts only while its block is in the chain of
//! every endpoint that answers. Nothing is kept between two views, least of all a nonce.
//! Does not do: deciding what follows; the scheduler in the library does.
//! Rests on: where only one endpoint is configured, on its word that the blocks are the chain's.

use alloy_eips::eip1559::BaseFeeParams;
use alloy_primitives::{Address, B256, U64, U128, U256};
use ledgerstone::anchor::evm::{LogId, StoredHead};
use serde_json::json;
use tokio::task::JoinSet;

mod fault;

pub use self::fault::{Contradiction, EndpointError, Fault, ViewError};
use super::block::{self, Block, Wanted};
use super::proof::{self, Proof};
use super::receipts::{self, Receipt};
use super::rpc::{ANSWER_BYTES_MAX, Endpoint};

/// How far an endpoint's newest block may lie behind the newest of all, in seconds of block time, before the endpoint
/// counts as one that does not answer. Finality on Ethereum takes 15 minutes; what is older than that is of no use.
const LAG_SECONDS_MAX: u64 = 900;

/// How many blocks below the lowest tip are tried for one that all endpoints have: a tip that two endpoints see
/// differently is ordinary for one or two blocks.
const TIP_BLOCKS_MAX: u64 = 3;

/// When a block counts as final.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finality {
    /// The chain says so: its tags `safe` and `finalized`.
    Finalized,
    /// So many blocks are on top of it; for chains whose nodes have no such tags.
    Confirmations(u64),
}

/// What is looked at.
#[derive(Clone, Debug)]
pub struct Chain {
    /// Where it is asked.
    pub endpoints: Vec<Endpoint>,
    /// Endpoints that must answer and agree, at least one.
    pub quorum: usize,
    /// When a block counts as final.
    pub finality: Finality,
    /// The anchor contract.
    pub contract: Address,
    /// The log's head in it.
    pub log_id: LogId,
    /// The account that sends transactions.
    pub account: Address,
}

/// One state of the chain.
#[derive(Clone, Debug)]
pub struct ChainView {
    /// `eth_chainId`, the same at every endpoint that answered.
    pub chain_id: u64,
    /// The newest block that all of them have.
    pub latest: Block,
    /// The newest safe block that all of them have.
    pub safe: Block,
    /// The newest final block that all of them have.
    pub finalized: Block,
    /// The contract at `latest`, `safe` and `finalized`.
    pub contract: [ContractState; 3],
    /// The account's transaction count at `latest`.
    pub nonce: u64,
    /// The same at `finalized`.
    pub nonce_finalized: u64,
    /// The account's balance at `latest`, in wei.
    pub balance: U256,
    /// Base fee of the block after `latest`, wei per gas, by the rule of EIP-1559.
    pub base_fee: u128,
    /// The tip that endpoints suggest, the lower one of the middle, wei per gas.
    pub tip: u128,
    /// Of the transactions asked about, those in the chain up to `latest`.
    pub receipts: Vec<Receipt>,
    /// Endpoints that answered.
    pub endpoints: usize,
    /// What was wrong with the others.
    pub faults: Vec<Fault>,
}

/// The contract in one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContractState {
    /// Keccak-256 of its code; none where there is no code.
    pub code_hash: Option<B256>,
    /// The log's head in its storage.
    pub head: StoredHead,
}

impl Chain {
    /// Looks at the chain, and asks after `transactions`.
    ///
    /// # Errors
    /// [`ViewError`] if too few endpoints answer, or those that do contradict each other.
    pub async fn view(&self, transactions: &[B256]) -> Result<ChainView, ViewError> {
        let (mut standings, mut faults) = self.standings().await?;
        loop {
            match self.look(&standings, transactions).await {
                Ok(view) => return Ok(ChainView { faults, ..view }),
                // One that failed in the middle counts as one that did not answer, where enough are left.
                Err(ViewError::Endpoint(fault)) if standings.len() > self.quorum.max(1) => {
                    standings.retain(|standing| standing.endpoint.name() != fault.endpoint);
                    faults.push(fault);
                    self.enough(&standings, &mut faults)?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The view that all of `standings` agree on.
    async fn look(&self, standings: &[Standing], transactions: &[B256]) -> Result<ChainView, ViewError> {
        let chain_id = same_chain(standings)?;
        let finalized = common(standings, Wanted::Finalized, 0).await?;
        let safe = common(standings, Wanted::Safe, 0).await?;
        let latest = common(standings, Wanted::Latest, TIP_BLOCKS_MAX).await?;
        if !(finalized.number() <= safe.number() && safe.number() <= latest.number()) {
            return Err(ViewError::Order);
        }
        let endpoints: Vec<&Endpoint> = standings.iter().map(|standing| &standing.endpoint).collect();
        let at_latest = self.contract(&endpoints, &latest).await?;
        let at_safe = if safe == latest { at_latest } else { self.contract(&endpoints, &safe).await? };
        let at_finalized =
            if finalized == safe { at_safe } else { self.contract(&endpoints, &finalized).await? };
        let account = proved(&endpoints, &latest, self.account, &[]).await?;
        let nonce_finalized = match finalized.number() {
            // No transaction is in the first block.
            0 => 0,
            _ if finalized == latest => account.nonce,
            _ => proved(&endpoints, &finalized, self.account, &[]).await?.nonce,
        };
        let tip = tip(&endpoints).await?;
        let receipts = in_chain(&endpoints, transactions, &latest).await?;
        Ok(ChainView {
            chain_id,
            contract: [at_latest, at_safe, at_finalized],
            nonce: account.nonce,
            nonce_finalized,
            balance: account.balance,
            base_fee: latest.header.next_block_base_fee(BaseFeeParams::ethereum()).unwrap_or_default().into(),
            tip,
            receipts,
            endpoints: endpoints.len(),
            faults: Vec::new(),
            latest,
            safe,
            finalized,
        })
    }

    /// Where each endpoint stands; those that do not answer or lag are faults.
    async fn standings(&self) -> Result<(Vec<Standing>, Vec<Fault>), ViewError> {
        let finality = self.finality;
        let answers = each(&self.endpoints, move |endpoint| standing(endpoint, finality)).await;
        let (mut standings, mut faults) = (Vec::new(), Vec::new());
        for (endpoint, answer) in answers {
            match answer {
                Ok(standing) => standings.push(standing),
                Err(error) => faults.push(Fault { endpoint: endpoint.name().to_owned(), error }),
            }
        }
        let newest = standings.iter().map(|standing| standing.latest.header.timestamp).max().unwrap_or(0);
        standings.retain(|standing| {
            let behind = newest - standing.latest.header.timestamp;
            if behind > LAG_SECONDS_MAX {
                let endpoint = standing.endpoint.name().to_owned();
                faults.push(Fault { endpoint, error: EndpointError::Stale { seconds: behind } });
            }
            behind <= LAG_SECONDS_MAX
        });
        self.enough(&standings, &mut faults)?;
        Ok((standings, faults))
    }

    fn enough(&self, standings: &[Standing], faults: &mut Vec<Fault>) -> Result<(), ViewError> {
        let (answered, quorum) = (standings.len(), self.quorum);
        match answered < quorum.max(1) {
            true => Err(ViewError::TooFew { answered, quorum, faults: std::mem::take(faults) }),
            false => Ok(()),
        }
    }

    async fn contract(&self, endpoints: &[&Endpoint], block: &Block) -> Result<ContractState, ViewError> {
        if block.number() == 0 {
            // No transaction is in it, so nothing is anchored there; some development nodes cannot prove its state.
            let head = StoredHead::from_words(&[0; 32], &[0; 32]);
            return Ok(ContractState { code_hash: None, head });
        }
        let slots = self.log_id.slots().map(B256::from);
        let proof = proved(endpoints, block, self.contract, &slots).await?;
        let word =
            |place: usize| proof.storage_proof.get(place).map_or([0; 32], |slot| slot.value.to_be_bytes());
        let empty = proof.code_hash.is_zero() || proof.code_hash == alloy_trie::KECCAK_EMPTY;
        Ok(ContractState {
            code_hash: (!empty).then_some(proof.code_hash),
            head: StoredHead::from_words(&word(0), &word(1)),
        })
    }
}

/// Where one endpoint stands.
#[derive(Clone, Debug)]
struct Standing {
    endpoint: Endpoint,
    chain_id: u64,
    latest: Block,
    safe: Block,
    finalized: Block,
}

impl Standing {
    fn block(&self, wanted: Wanted) -> &Block {
        match wanted {
            Wanted::Safe => &self.safe,
            Wanted::Finalized => &self.finalized,
            Wanted::Latest | Wanted::Number(_) => &self.latest,
        }
    }
}

async fn standing(endpoint: Endpoint, finality: Finality) -> Result<Standing, EndpointError> {
    let chain_id: U64 = endpoint.call("eth_chainId", json!([]), ANSWER_BYTES_MAX).await?;
    // The final block is asked for first and the newest last: between two questions a chain only grows.
    let (finalized, safe, latest);
    match finality {
        Finality::Finalized => {
            finalized = there(&endpoint, Wanted::Finalized).await?;
            safe = there(&endpoint, Wanted::Safe).await?;
            latest = there(&endpoint, Wanted::Latest).await?;
        }
        Finality::Confirmations(blocks) => {
            latest = there(&endpoint, Wanted::Latest).await?;
            let number = latest.number().saturating_sub(blocks);
            finalized =
                if blocks == 0 { latest.clone() } else { there(&endpoint, Wanted::Number(number)).await? };
            safe = finalized.clone();
        }
    }
    Ok(Standing { chain_id: chain_id.to(), endpoint, latest, safe, finalized })
}

async fn there(endpoint: &Endpoint, wanted: Wanted) -> Result<Block, EndpointError> {
    block::marked(endpoint, wanted).await?.ok_or(EndpointError::NoBlock { wanted: wanted.name() })
}

/// The one chain id of all endpoints.
fn same_chain(standings: &[Standing]) -> Result<u64, ViewError> {
    let mut ids = standings.iter().map(|standing| (standing.endpoint.name(), standing.chain_id));
    let first = ids.next().unwrap_or_default();
    match ids.find(|(_, id)| *id != first.1) {
        None => Ok(first.1),
        Some(other) => Err(ViewError::Chains {
            first: (first.0.to_owned(), first.1),
            second: (other.0.to_owned(), other.1),
        }),
    }
}

/// The newest block at or below everybody's that all endpoints have, looking at most `depth` blocks further down.
async fn common(standings: &[Standing], wanted: Wanted, depth: u64) -> Result<Block, ViewError> {
    let lowest = standings.iter().map(|standing| standing.block(wanted).number()).min().unwrap_or(0);
    let mut contradiction = None;
    for number in (lowest.saturating_sub(depth)..=lowest).rev() {
        let mut found: Vec<(&Standing, Block)> = Vec::new();
        for standing in standings {
            let block = standing.block(wanted);
            let block = if block.number() == number {
                block.clone()
            } else {
                let fault = |error| ViewError::Endpoint(Fault::of(&standing.endpoint, error));
                there(&standing.endpoint, Wanted::Number(number)).await.map_err(fault)?
            };
            found.push((standing, block));
        }
        let Some((first, block)) = found.first() else { break };
        let Some((other, theirs)) = found.iter().find(|(_, theirs)| theirs.hash != block.hash) else {
            return Ok(block.clone());
        };
        contradiction = contradiction.or_else(|| {
            Some(Box::new(Contradiction {
                what: wanted.name(),
                number,
                first: (first.endpoint.name().to_owned(), block.hash),
                second: (other.endpoint.name().to_owned(), theirs.hash),
            }))
        });
    }
    Err(contradiction.map_or(ViewError::Order, ViewError::Disagree))
}

/// The state of an account from the first endpoint that proves it; the proof makes its origin irrelevant.
async fn proved(
    endpoints: &[&Endpoint],
    block: &Block,
    address: Address,
    slots: &[B256],
) -> Result<Proof, ViewError> {
    let mut failed = None;
    for endpoint in endpoints {
        match proof::fetch(endpoint, block, address, slots).await {
            Ok(proof) => return Ok(proof),
            Err(error) => failed = Some(Fault::of(endpoint, error.into())),
        }
    }
    Err(failed.map_or(ViewError::Order, ViewError::Endpoint))
}

/// The suggested tip, the lower of the middle ones: one endpoint alone cannot drive it up. The scheduler caps it.
async fn tip(endpoints: &[&Endpoint]) -> Result<u128, ViewError> {
    let endpoints: Vec<Endpoint> = endpoints.iter().map(|endpoint| (*endpoint).clone()).collect();
    let answers = each(&endpoints, |endpoint| async move {
        Ok(endpoint.call::<U128>("eth_maxPriorityFeePerGas", json!([]), ANSWER_BYTES_MAX).await?)
    });
    let (mut tips, mut failed) = (Vec::new(), None);
    for (endpoint, answer) in answers.await {
        match answer {
            Ok(tip) => tips.push(tip.to::<u128>()),
            Err(error) => failed = Some(Fault::of(&endpoint, error)),
        }
    }
    tips.sort_unstable();
    let middle = tips.len().saturating_sub(1) / 2;
    tips.get(middle).copied().ok_or_else(|| failed.map_or(ViewError::Order, ViewError::Endpoint))
}

/// The receipts of those transactions that are in every endpoint's chain up to `latest`.
async fn in_chain(
    endpoints: &[&Endpoint],
    transactions: &[B256],
    latest: &Block,
) -> Result<Vec<Receipt>, ViewError> {
    let mut receipts = Vec::new();
    for transaction in transactions {
        let mut agreed: Option<Receipt> = None;
        let mut by_all = true;
        for endpoint in endpoints {
            let fault = |error: EndpointError| ViewError::Endpoint(Fault::of(endpoint, error));
            let receipt = canonical(endpoint, transaction, latest).await.map_err(fault)?;
            by_all &= match (&receipt, &agreed) {
                (None, _) => false,
                (Some(_), None) => true,
                (Some(one), Some(other)) => one.block_hash == other.block_hash && one.status == other.status,
            };
            agreed = agreed.or(receipt);
        }
        receipts.extend(agreed.filter(|_| by_all));
    }
    Ok(receipts)
}

/// The receipt of `transaction` if its block is in the endpoint's chain up to `latest`.
async fn canonical(
    endpoint: &Endpoint,
    transaction: &B256,
    latest: &Block,
) -> Result<Option<Receipt>, EndpointError> {
    let Some(receipt) = receipts::fetch(endpoint, transaction).await? else { return Ok(None) };
    let number = receipt.block_number.to::<u64>();
    if number > latest.number() || receipt.transaction_hash != *transaction {
        return Ok(None);
    }
    let block = block::fetch(endpoint, Wanted::Number(number)).await?;
    Ok(block.is_some_and(|block| block.hash == receipt.block_hash).then_some(receipt))
}

/// Asks every endpoint at once; answers come in the order of the endpoints.
async fn each<T, F>(
    endpoints: &[Endpoint],
    ask: impl Fn(Endpoint) -> F,
) -> Vec<(Endpoint, Result<T, EndpointError>)>
where
    T: Send + 'static,
    F: Future<Output = Result<T, EndpointError>> + Send + 'static,
{
    let mut asked = JoinSet::new();
    for (place, endpoint) in endpoints.iter().enumerate() {
        let answer = ask(endpoint.clone());
        let endpoint = endpoint.clone();
        asked.spawn(async move { (place, (endpoint, answer.await)) });
    }
    let mut answers = asked.join_all().await;
    answers.sort_by_key(|(place, _)| *place);
    answers.into_iter().map(|(_, answer)| answer).collect()
}
