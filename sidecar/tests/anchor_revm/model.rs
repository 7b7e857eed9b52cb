//! A chain in memory: headers, tries, receipts and a pool of its own, its transactions executed by an EVM. Blocks come when a
//! test says so, and so does every reorganisation.

use std::collections::BTreeMap;
use std::sync::Arc;

use alloy_consensus::{
    Eip658Value, Header, Receipt, ReceiptEnvelope, ReceiptWithBloom, TxEip1559, TxEnvelope, TxReceipt as _,
};
use alloy_eips::eip2718::{Decodable2718 as _, Encodable2718 as _};
use alloy_primitives::{Address, B256, Bloom, Bytes, Log, TxKind, U256, keccak256};
use alloy_trie::{EMPTY_ROOT_HASH, KECCAK_EMPTY, TrieAccount};
use revm::context::result::ExecutionResult;
use revm::context::{CfgEnv, TxEnv};
use revm::database::{CacheDB, EmptyDB};
use revm::primitives::hardfork::SpecId;
use revm::state::AccountInfo;
use revm::{Context, DatabaseRef as _, ExecuteCommitEvm as _, MainBuilder as _, MainContext as _};
use serde_json::{Value, json};

use crate::ethereum::{Trie, index_key};

/// The chain id that the tests' lanes are configured with.
pub const CHAIN_ID: u64 = 31_337;

/// Seconds between two blocks.
const SLOT: u64 = 12;

const GAS_LIMIT: u64 = 60_000_000;
const GWEI: u64 = 1_000_000_000;

/// Who gets the tips.
const MINER: Address = Address::repeat_byte(0xfe);

type State = CacheDB<EmptyDB>;

/// A JSON-RPC error: code and message.
pub type Refusal = (i64, String);

/// A transaction as it was sent.
#[derive(Clone, Debug)]
pub struct Sent {
    pub hash: B256,
    pub from: Address,
    pub transaction: TxEip1559,
    pub raw: Bytes,
}

/// A block with the state after it.
pub struct Block {
    pub header: Header,
    pub hash: B256,
    pub transactions: Vec<Sent>,
    receipts: Vec<ReceiptEnvelope>,
    state: State,
}

/// What becomes of the transactions of the blocks that a reorganisation takes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Nobody knows them any more.
    Dropped,
    /// They wait in the pool again; the new blocks are empty.
    Pooled,
    /// The first of the new blocks holds them.
    Included,
}

/// The chain and its pool.
#[derive(Clone)]
pub struct Chain {
    blocks: Vec<Arc<Block>>,
    pool: Vec<Sent>,
    /// Height of the block that is called safe.
    pub safe: u64,
    /// Height of the block that is called final.
    pub finalized: u64,
    /// Base fee of the blocks to come, wei per gas.
    pub base_fee: u64,
    /// What tells the blocks of one branch from those of another.
    branch: u64,
    /// Every transaction that ever arrived.
    pub arrived: Vec<Sent>,
}

impl Chain {
    /// A chain of one block, in which `account` has a hundred ether.
    pub fn new(account: Address) -> Self {
        let mut state = State::new(EmptyDB::new());
        let balance = U256::from(100_u64) * U256::from(10_u64).pow(U256::from(18_u64));
        state.insert_account_info(account, AccountInfo { balance, ..AccountInfo::default() });
        let header = Header { timestamp: 1_795_000_000, ..template(GWEI) };
        let first = sealed(header, state, Vec::new(), Vec::new());
        Self {
            blocks: vec![Arc::new(first)],
            pool: Vec::new(),
            safe: 0,
            finalized: 0,
            base_fee: GWEI,
            branch: 0,
            arrived: Vec::new(),
        }
    }

    pub fn head(&self) -> &Arc<Block> {
        self.blocks.last().unwrap()
    }

    pub fn height(&self) -> u64 {
        self.head().header.number
    }

    pub fn block(&self, number: u64) -> Option<&Arc<Block>> {
        self.blocks.get(usize::try_from(number).ok()?)
    }

    /// Blocks from the first one to the newest.
    pub fn blocks(&self) -> &[Arc<Block>] {
        &self.blocks
    }

    /// Adds a block with what the pool holds.
    pub fn mine(&mut self) {
        self.seal(true);
    }

    /// Adds blocks with nothing in them.
    pub fn mine_empty(&mut self, count: u64) {
        (0..count).for_each(|_| self.seal(false));
    }

    /// Calls the block so many below the newest safe, and the one so many below it final; neither ever moves back.
    pub fn settle(&mut self, safe: u64, finalized: u64) {
        self.safe = self.safe.max(self.height().saturating_sub(safe));
        self.finalized = self.finalized.max(self.height().saturating_sub(finalized));
    }

    /// Replaces the newest `depth` blocks by as many others.
    pub fn reorganise(&mut self, depth: u64, fate: Fate) {
        let fork = self.height() - depth;
        let gone = self.blocks.split_off(usize::try_from(fork).unwrap() + 1);
        (self.safe, self.finalized) = (self.safe.min(fork), self.finalized.min(fork));
        self.branch += 1;
        for sent in gone.iter().flat_map(|block| &block.transactions) {
            self.pool.retain(|waiting| waiting.hash != sent.hash);
            if fate != Fate::Dropped {
                self.pool.push(sent.clone());
            }
        }
        self.seal(fate == Fate::Included);
        self.mine_empty(depth - 1);
    }

    /// Forgets what waits; nobody is told.
    pub fn drop_pool(&mut self) {
        self.pool.clear();
    }

    pub fn is_waiting(&self) -> bool {
        !self.pool.is_empty()
    }

    /// The balance of `account` is `wei` from the next block on.
    pub fn set_balance(&mut self, account: Address, wei: U256) {
        let mut head = self.head().state.clone();
        let info = head.basic_ref(account).unwrap().unwrap_or_default();
        head.insert_account_info(account, AccountInfo { balance: wei, ..info });
        let transactions = Vec::new();
        let header = self.next_header();
        self.blocks.push(Arc::new(sealed(header, head, transactions, Vec::new())));
    }

    fn next_header(&self) -> Header {
        let parent = self.head();
        Header {
            parent_hash: parent.hash,
            number: parent.header.number + 1,
            timestamp: parent.header.timestamp + SLOT,
            extra_data: Bytes::copy_from_slice(&self.branch.to_be_bytes()),
            ..template(self.base_fee)
        }
    }

    fn seal(&mut self, takes_pool: bool) {
        let header = self.next_header();
        let mut state = self.head().state.clone();
        let (mut transactions, mut receipts, mut gas) = (Vec::new(), Vec::new(), 0);
        loop {
            let fits = |sent: &Sent| {
                let offered = sent.transaction.max_fee_per_gas;
                sent.transaction.nonce == nonce(&state, sent.from) && offered >= self.base_fee.into()
            };
            let place = self.pool.iter().position(fits).filter(|_| takes_pool);
            let Some(place) = place else { break };
            let sent = self.pool.remove(place);
            let done = execute(&mut state, &header, &sent.from, &sent.transaction);
            let done = done.expect("the pool holds what the account can pay");
            gas += done.tx_gas_used();
            receipts.push(receipt(&done, gas));
            transactions.push(sent);
        }
        self.pool.retain(|sent| sent.transaction.nonce >= nonce(&state, sent.from));
        self.blocks.push(Arc::new(sealed(header, state, transactions, receipts)));
    }

    /// Answers one JSON-RPC call as an honest node does.
    pub fn answer(&mut self, method: &str, params: &Value) -> Result<Value, Refusal> {
        let first = &params[0];
        Ok(match method {
            "eth_chainId" => quantity(CHAIN_ID),
            "eth_blockNumber" => quantity(self.height()),
            "eth_gasPrice" => quantity(self.base_fee + GWEI),
            "eth_maxPriorityFeePerGas" => quantity(GWEI),
            "eth_getBlockByNumber" => self.tagged(first).map_or(Value::Null, |block| block.to_json()),
            "eth_getBlockByHash" => self.canonical(first).map_or(Value::Null, |block| block.to_json()),
            "eth_getTransactionCount" => quantity(nonce(&self.at(&params[1])?.state, parsed(first)?)),
            "eth_getBalance" => {
                json!(account(&self.at(&params[1])?.state, parsed(first)?).unwrap_or_default().balance)
            }
            "eth_getProof" => {
                let slots: Vec<B256> = parsed(&params[1])?;
                self.at(&params[2])?.proof(parsed(first)?, &slots)
            }
            "eth_getTransactionReceipt" => self.receipt(&parsed(first)?).unwrap_or(Value::Null),
            "eth_getBlockReceipts" => {
                let block = self.at(first)?;
                (0..block.receipts.len()).map(|place| block.receipt(place)).collect()
            }
            "eth_estimateGas" => self.estimate(first)?,
            "eth_sendRawTransaction" => json!(self.take(parsed(first)?)?),
            _ => return Err((-32601, format!("the method {method} does not exist"))),
        })
    }

    /// The block that a tag or a height names.
    pub fn tagged(&self, tag: &Value) -> Option<&Arc<Block>> {
        let number = match tag.as_str()? {
            "latest" | "pending" => self.height(),
            "safe" => self.safe,
            "finalized" => self.finalized,
            "earliest" => 0,
            number => u64::from_str_radix(number.strip_prefix("0x")?, 16).ok()?,
        };
        self.block(number)
    }

    /// The block of that hash, if it is in the chain.
    fn canonical(&self, hash: &Value) -> Option<&Arc<Block>> {
        let hash: B256 = serde_json::from_value(hash.clone()).ok()?;
        self.blocks.iter().find(|block| block.hash == hash)
    }

    /// The block that a parameter of EIP-1898 names.
    fn at(&self, block: &Value) -> Result<&Arc<Block>, Refusal> {
        let found = match block.get("blockHash") {
            Some(hash) => self.canonical(hash),
            None => self.tagged(block),
        };
        found.ok_or_else(|| (-32000, "the block is not in the chain".to_owned()))
    }

    fn receipt(&self, hash: &B256) -> Option<Value> {
        self.blocks.iter().find_map(|block| {
            let place = block.transactions.iter().position(|sent| sent.hash == *hash)?;
            Some(block.receipt(place))
        })
    }

    fn estimate(&self, call: &Value) -> Result<Value, Refusal> {
        let from: Address = parsed(&call["from"])?;
        let to: Option<Address> = parsed(&call["to"])?;
        let mut state = self.head().state.clone();
        let transaction = TxEip1559 {
            chain_id: CHAIN_ID,
            nonce: nonce(&state, from),
            gas_limit: 5_000_000,
            to: to.map_or(TxKind::Create, TxKind::Call),
            input: parsed(&call["input"])?,
            ..TxEip1559::default()
        };
        // Nobody pays for an estimate.
        let header = Header { base_fee_per_gas: Some(0), ..self.next_header() };
        let done = execute(&mut state, &header, &from, &transaction)?;
        match done.is_success() {
            // The refund comes after the gas was needed.
            true => Ok(quantity(done.tx_gas_used() * 5 / 4)),
            false => Err((3, "execution reverted".to_owned())),
        }
    }

    /// Takes note of a transaction that was sent, wherever to.
    pub fn hear(&mut self, sent: &Sent) {
        if self.arrived.iter().all(|known| known.hash != sent.hash) {
            self.arrived.push(sent.clone());
        }
    }

    /// Takes a transaction into the pool, by the rules and in the words of geth.
    fn take(&mut self, raw: Bytes) -> Result<B256, Refusal> {
        let refuse = |words: &str| Err((-32000, words.to_owned()));
        let sent = Sent::read(raw).ok_or((-32000, "rlp: malformed".to_owned()))?;
        self.hear(&sent);
        let (state, transaction) = (&self.head().state, &sent.transaction);
        if transaction.chain_id != CHAIN_ID {
            return refuse("invalid sender");
        }
        if self.pool.iter().any(|known| known.hash == sent.hash) {
            return refuse("already known");
        }
        if transaction.nonce < nonce(state, sent.from) {
            return refuse("nonce too low");
        }
        let needed = U256::from(transaction.max_fee_per_gas) * U256::from(transaction.gas_limit);
        if account(state, sent.from).unwrap_or_default().balance < needed {
            return refuse("insufficient funds for gas * price + value");
        }
        let rival = |known: &Sent| known.from == sent.from && known.transaction.nonce == transaction.nonce;
        if let Some(place) = self.pool.iter().position(rival) {
            let known = &self.pool[place].transaction;
            let is_more = |new: u128, old: u128| new * 10 >= old * 11;
            let pays = is_more(transaction.max_fee_per_gas, known.max_fee_per_gas)
                && is_more(transaction.max_priority_fee_per_gas, known.max_priority_fee_per_gas);
            if !pays {
                return refuse("replacement transaction underpriced");
            }
            self.pool.remove(place);
        }
        let hash = sent.hash;
        self.pool.push(sent);
        Ok(hash)
    }
}

impl Sent {
    pub fn read(raw: Bytes) -> Option<Self> {
        let TxEnvelope::Eip1559(signed) = TxEnvelope::decode_2718(&mut raw.as_ref()).ok()? else {
            return None;
        };
        let from = signed.recover_signer().ok()?;
        Some(Self { hash: *signed.hash(), from, transaction: signed.tx().clone(), raw })
    }
}

impl Block {
    fn to_json(&self) -> Value {
        let mut json = serde_json::to_value(&self.header).unwrap();
        json["hash"] = json!(self.hash);
        json["size"] = json!("0x400");
        json["uncles"] = json!([]);
        json["transactions"] = self.transactions.iter().map(|sent| json!(sent.hash)).collect();
        json
    }

    /// What the address and the slots hold, with the nodes that show it.
    fn proof(&self, address: Address, slots: &[B256]) -> Value {
        let info = account(&self.state, address);
        let storage = storage(&self.state, address);
        let values: Vec<Value> = slots
            .iter()
            .map(|slot| {
                let value = self.state.storage_ref(address, U256::from_be_bytes(slot.0)).unwrap();
                let nodes = hexes(storage.proof(keccak256(slot).as_slice()));
                json!({ "key": slot, "value": value, "proof": nodes })
            })
            .collect();
        let nodes = hexes(accounts(&self.state).proof(keccak256(address).as_slice()));
        let AccountInfo { balance, nonce, code_hash, .. } = info.unwrap_or_default();
        json!({
            "address": address, "balance": balance, "nonce": quantity(nonce), "codeHash": code_hash,
            "storageHash": B256::from(storage.root()), "accountProof": nodes, "storageProof": values,
        })
    }

    /// The receipt of the transaction at `place`.
    pub fn receipt(&self, place: usize) -> Value {
        let (sent, receipt) = (&self.transactions[place], &self.receipts[place]);
        let before = place.checked_sub(1).map_or(0, |before| self.receipts[before].cumulative_gas_used());
        let logs: Vec<Value> = receipt
            .logs()
            .iter()
            .map(|log| json!({ "address": log.address, "topics": log.topics(), "data": log.data.data }))
            .collect();
        json!({
            "transactionHash": sent.hash, "transactionIndex": quantity(place as u64), "blockHash": self.hash,
            "blockNumber": quantity(self.header.number), "from": sent.from, "type": "0x2",
            "status": quantity(u64::from(receipt.status())),
            "cumulativeGasUsed": quantity(receipt.cumulative_gas_used()),
            "gasUsed": quantity(receipt.cumulative_gas_used() - before),
            "effectiveGasPrice": quantity(self.header.base_fee_per_gas.unwrap()),
            "logsBloom": receipt.bloom(), "logs": logs,
        })
    }

    /// The events of the block.
    pub fn logs(&self) -> impl Iterator<Item = &Log> {
        self.receipts.iter().flat_map(|receipt| receipt.logs())
    }
}

fn template(base_fee: u64) -> Header {
    Header {
        beneficiary: MINER,
        gas_limit: GAS_LIMIT,
        base_fee_per_gas: Some(base_fee),
        withdrawals_root: Some(EMPTY_ROOT_HASH),
        blob_gas_used: Some(0),
        excess_blob_gas: Some(0),
        parent_beacon_block_root: Some(B256::ZERO),
        ..Header::default()
    }
}

fn sealed(header: Header, state: State, transactions: Vec<Sent>, receipts: Vec<ReceiptEnvelope>) -> Block {
    let indexed = |values: Vec<Vec<u8>>| {
        let pairs = values.into_iter().enumerate().map(|(place, value)| (index_key(place as u64), value));
        B256::from(Trie::new(pairs).root())
    };
    let mut logs_bloom = Bloom::ZERO;
    receipts.iter().for_each(|receipt| logs_bloom |= receipt.bloom());
    let header = Header {
        state_root: B256::from(accounts(&state).root()),
        transactions_root: indexed(transactions.iter().map(|sent| sent.raw.to_vec()).collect()),
        receipts_root: indexed(receipts.iter().map(ReceiptEnvelope::encoded_2718).collect()),
        gas_used: receipts.last().map_or(0, |receipt| receipt.cumulative_gas_used()),
        logs_bloom,
        ..header
    };
    Block { hash: keccak256(alloy_rlp::encode(&header)), header, transactions, receipts, state }
}

/// Runs a transaction on `state`. What it did stays, even where it failed.
fn execute(
    state: &mut State,
    header: &Header,
    from: &Address,
    transaction: &TxEip1559,
) -> Result<ExecutionResult, Refusal> {
    let mut cfg = CfgEnv::new_with_spec(SpecId::OSAKA);
    cfg.chain_id = CHAIN_ID;
    let tx = TxEnv::builder()
        .tx_type(Some(2))
        .caller(*from)
        .kind(transaction.to)
        .data(transaction.input.clone())
        .nonce(transaction.nonce)
        .gas_limit(transaction.gas_limit)
        .max_fee_per_gas(transaction.max_fee_per_gas)
        .gas_priority_fee(Some(transaction.max_priority_fee_per_gas))
        .chain_id(Some(transaction.chain_id))
        .build()
        .map_err(|error| (-32000, format!("{error:?}")))?;
    Context::mainnet()
        .with_db(state)
        .with_cfg(cfg)
        .modify_block_chained(|block| {
            block.number = U256::from(header.number);
            block.timestamp = U256::from(header.timestamp);
            block.basefee = header.base_fee_per_gas.unwrap();
            block.beneficiary = header.beneficiary;
            block.gas_limit = header.gas_limit;
        })
        .build_mainnet()
        .transact_commit(tx)
        .map_err(|error| (-32000, error.to_string()))
}

fn receipt(done: &ExecutionResult, cumulative_gas_used: u64) -> ReceiptEnvelope {
    let status = Eip658Value::Eip658(done.is_success());
    let receipt = Receipt { status, cumulative_gas_used, logs: done.logs().to_vec() };
    ReceiptEnvelope::Eip1559(ReceiptWithBloom::from(receipt))
}

fn account(state: &State, address: Address) -> Option<AccountInfo> {
    state.basic_ref(address).unwrap().filter(|info| !info.is_empty())
}

fn nonce(state: &State, address: Address) -> u64 {
    account(state, address).map_or(0, |info| info.nonce)
}

fn storage(state: &State, address: Address) -> Trie {
    let held: BTreeMap<B256, U256> = match state.cache.accounts.get(&address) {
        Some(account) => account.storage.iter().map(|(slot, value)| ((*slot).into(), *value)).collect(),
        None => BTreeMap::new(),
    };
    let held = held.into_iter().filter(|(_, value)| !value.is_zero());
    Trie::new(held.map(|(slot, value)| (keccak256(slot).to_vec(), alloy_rlp::encode(value))))
}

fn accounts(state: &State) -> Trie {
    let held = state.cache.accounts.keys().filter_map(|address| {
        let info = account(state, *address)?;
        let described = TrieAccount {
            nonce: info.nonce,
            balance: info.balance,
            storage_root: B256::from(storage(state, *address).root()),
            code_hash: if info.code_hash.is_zero() { KECCAK_EMPTY } else { info.code_hash },
        };
        Some((keccak256(address).to_vec(), alloy_rlp::encode(described)))
    });
    Trie::new(held)
}

fn hexes(nodes: Vec<Vec<u8>>) -> Vec<Bytes> {
    nodes.into_iter().map(Bytes::from).collect()
}

fn parsed<T: serde::de::DeserializeOwned>(value: &Value) -> Result<T, Refusal> {
    serde_json::from_value(value.clone()).map_err(|error| (-32602, error.to_string()))
}

pub fn quantity(value: u64) -> Value {
    json!(format!("{value:#x}"))
}
