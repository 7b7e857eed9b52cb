//! Deploys the anchor contract and registers a log in it.
//!
//! Guarantees: what is deployed is the committed bytecode, and the code that then lies at the address is compared with the
//! committed code hash through a proof; a contract that is there already is used only if its code is the same; the log
//! is registered for the key that signs, and that is read back from storage.
//! Does not do: keeping the money safe. Deploy with the lane's own key, which has little.

use std::time::Duration;

use alloy_eips::eip1559::BaseFeeParams;
use alloy_primitives::{Address, B256, Bytes, U64, U128, U256};
use ledgerstone::anchor::evm::{LogId, StoredHead, code_hash, init_code, register_call};
use ledgerstone::code::Code;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::block::{self, BlockError, Wanted};
use super::key::{AnchorSigner, SignError};
use super::proof::{self, ProofError};
use super::receipts::{self, Receipt};
use super::rpc::{ANSWER_BYTES_MAX, Endpoint, RpcError};
use super::transaction::{self, Order};

/// How often the chain is asked for a receipt.
const POLL: Duration = Duration::from_millis(500);

/// How long a transaction may take to be mined.
const PATIENCE: Duration = Duration::from_secs(300);

/// Gas above the node's estimate, in hundredths: state may change between estimate and block.
const GAS_MARGIN_PERCENT: u64 = 20;

/// What is to be deployed, and where.
pub struct Deployment<'a> {
    /// Where the chain is asked.
    pub endpoint: Endpoint,
    /// Who pays, and whose key may advance the log's head.
    pub signer: &'a dyn AnchorSigner,
    /// The log's origin.
    pub origin: String,
    /// The chain it must be, if that is known.
    pub chain_id: Option<u64>,
    /// A contract that is there already; none deploys one.
    pub contract: Option<Address>,
}

/// What was done.
#[derive(Clone, Debug)]
pub struct Deployed {
    /// The chain.
    pub chain_id: u64,
    /// The contract.
    pub contract: Address,
    /// The log's head in it.
    pub log_id: LogId,
    /// Gas that deploying took; none where the contract was there.
    pub deploy_gas: Option<u64>,
    /// Gas that registering took; none where the log was registered.
    pub register_gas: Option<u64>,
    /// What the account has left, in wei.
    pub balance: U256,
}

impl Deployment<'_> {
    /// Does it.
    ///
    /// # Errors
    /// [`DeployError`] says what stands; what was done before it stays done.
    pub async fn run(&self) -> Result<Deployed, DeployError> {
        let found: U64 = self.endpoint.call("eth_chainId", json!([]), ANSWER_BYTES_MAX).await?;
        let chain_id = found.to::<u64>();
        if let Some(wanted) = self.chain_id.filter(|wanted| *wanted != chain_id) {
            return Err(DeployError::OtherChain { found: chain_id, wanted });
        }
        let (contract, deploy_gas) = match self.contract {
            Some(contract) => (contract, None),
            None => {
                let (receipt, nonce) = self.send(chain_id, None, init_code()).await?;
                (self.signer.address().create(nonce), Some(receipt.gas_used.to()))
            }
        };
        let log_id = LogId::new(&self.signer.address().into_array(), &self.origin);
        let register_gas = self.register(chain_id, contract, &log_id).await?;
        let balance = self.account("eth_getBalance").await?;
        Ok(Deployed { chain_id, contract, log_id, deploy_gas, register_gas, balance })
    }

    /// Registers the log unless it is; the gas it took.
    async fn register(
        &self,
        chain_id: u64,
        contract: Address,
        log_id: &LogId,
    ) -> Result<Option<u64>, DeployError> {
        let ours = self.signer.address().into_array();
        let key = self.head(contract, log_id).await?.key;
        if key == ours {
            return Ok(None);
        }
        if key != [0; 20] {
            return Err(DeployError::Rotated);
        }
        let call = register_call(&ours, &self.origin);
        let (receipt, _) = self.send(chain_id, Some(contract), call).await?;
        match self.head(contract, log_id).await?.key == ours {
            true => Ok(Some(receipt.gas_used.to())),
            false => Err(DeployError::NotRegistered),
        }
    }

    /// The log's head, once the contract's code was seen to be the committed one.
    async fn head(&self, contract: Address, log_id: &LogId) -> Result<StoredHead, DeployError> {
        let latest = self.latest().await?;
        let slots = log_id.slots().map(B256::from);
        let proof = proof::fetch(&self.endpoint, &latest, contract, &slots).await?;
        if proof.code_hash != B256::from(code_hash()) {
            return Err(DeployError::OtherCode { contract });
        }
        let word =
            |place: usize| proof.storage_proof.get(place).map_or([0; 32], |slot| slot.value.to_be_bytes());
        Ok(StoredHead::from_words(&word(0), &word(1)))
    }

    /// Sends one transaction and waits for it; with its nonce.
    async fn send(
        &self,
        chain_id: u64,
        to: Option<Address>,
        input: Vec<u8>,
    ) -> Result<(Receipt, u64), DeployError> {
        let call =
            json!([{ "from": self.signer.address(), "to": to, "input": Bytes::copy_from_slice(&input) }]);
        let estimate: U64 = self.endpoint.call("eth_estimateGas", call, ANSWER_BYTES_MAX).await?;
        let tip: U128 = self.endpoint.call("eth_maxPriorityFeePerGas", json!([]), ANSWER_BYTES_MAX).await?;
        let latest = self.latest().await?;
        let base = latest.header.next_block_base_fee(BaseFeeParams::ethereum()).unwrap_or_default();
        let nonce = self.account("eth_getTransactionCount").await?;
        let nonce = u64::try_from(nonce).map_err(|_| DeployError::Nonce)?;
        let order = Order {
            chain_id,
            nonce,
            to,
            input,
            gas_limit: estimate.to::<u64>().saturating_mul(100 + GAS_MARGIN_PERCENT) / 100,
            max_fee_per_gas: u128::from(base) * 2 + tip.to::<u128>(),
            max_priority_fee_per_gas: tip.to(),
        };
        let signed = transaction::sign(order, self.signer)?;
        let _: B256 =
            self.endpoint.call("eth_sendRawTransaction", json!([signed.raw]), ANSWER_BYTES_MAX).await?;
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if let Some(receipt) = receipts::fetch(&self.endpoint, &signed.hash).await? {
                return match receipt.succeeded() {
                    true => Ok((receipt, nonce)),
                    false => Err(DeployError::Reverted { transaction: signed.hash }),
                };
            }
            sleep(POLL).await;
        }
        Err(DeployError::NotMined { transaction: signed.hash })
    }

    async fn account(&self, method: &'static str) -> Result<U256, DeployError> {
        let params = json!([self.signer.address(), "latest"]);
        Ok(self.endpoint.call(method, params, ANSWER_BYTES_MAX).await?)
    }

    async fn latest(&self) -> Result<block::Block, DeployError> {
        block::fetch(&self.endpoint, Wanted::Latest).await?.ok_or(DeployError::NoBlock)
    }
}

/// Why the contract is not deployed or the log not registered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeployError {
    /// The endpoint did not answer, or refused.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// A block is not what it says.
    #[error(transparent)]
    Block(#[from] BlockError),
    /// The contract's state is not what the endpoint says.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// The key did not sign.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// Another chain than the one that was named.
    #[error("the endpoint is on chain {found} and --chain-id says {wanted}: nothing was sent")]
    OtherChain {
        /// The endpoint's.
        found: u64,
        /// The one that was named.
        wanted: u64,
    },
    /// There is no block.
    #[error("the endpoint's chain has no block")]
    NoBlock,
    /// A transaction count that cannot be.
    #[error("the endpoint gives a transaction count that cannot be")]
    Nonce,
    /// Other code lies at the address.
    #[error("the code at {contract} is not AnchorHead's as compiled here: leave out --contract to deploy it")]
    OtherCode {
        /// The address.
        contract: Address,
    },
    /// The transaction failed.
    #[error(
        "transaction {transaction} was mined and failed: look at it with the chain's explorer, and try again"
    )]
    Reverted {
        /// Its hash.
        transaction: B256,
    },
    /// The transaction is not mined.
    #[error(
        "transaction {transaction} was sent and is not mined after {} s: wait for it, then give this command again with \
         --contract",
        PATIENCE.as_secs()
    )]
    NotMined {
        /// Its hash.
        transaction: B256,
    },
    /// The log is not registered although the transaction did not fail.
    #[error("the contract does not hold the log although registering it did not fail: the endpoint is wrong")]
    NotRegistered,
    /// Another key may advance the head of the log that this key founded.
    #[error("the log is registered and its key was changed since: sign with the key that it was changed to")]
    Rotated,
}

impl DeployError {
    /// What the reader must do about it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Rpc(error) => error.code(),
            Self::OtherChain { .. } | Self::OtherCode { .. } | Self::Rotated => Code::Misuse,
            Self::Nonce | Self::NotRegistered | Self::Reverted { .. } => Code::Inconsistent,
            _ => Code::Unavailable,
        }
    }
}
