//! A small pure chain and a driver for one EVM lane, for scenarios and for seeded fault scripts.
//!
//! The chain knows one contract and one account: blocks, reorgs, a mempool with replacement, fees, a balance, safe and final
//! blocks. The driver keeps what is durable (journal, statement files) apart from what a crash takes, carries out effects, and
//! checks at each of them what must hold whatever happens: a transaction is sent only if its record is durable, a nonce
//! is signed for one statement only, statements chain without a gap, and nothing is asked for behind a record that is not durable.

#![allow(dead_code, reason = "each test that includes this uses a part of it")]

use std::collections::BTreeMap;

use ledgerstone::anchor::schedule::{Build, Built, Schedule};
use ledgerstone::anchor::scheduler::{
    Address, Block, BlockHash, Broadcast, Capture, CodeHash, Config, ContractHead, Effect, Event, Receipt,
    Record, Scheduler, Sign, State, TransactionHash, View,
};
use ledgerstone::anchor::statement::{Head, LaneName, NO_STATEMENT, Statement};
use ledgerstone::hash::{Hash, empty_root};
use ledgerstone::merkle::TreeSize;
use ledgerstone::note::KeyName;
use ledgerstone::time::UnixMillis;

pub const GWEI: u128 = 1_000_000_000;
pub const ETHER: u128 = GWEI * GWEI;
pub const KEY: Address = Address::from_bytes([0xaa; 20]);
pub const CODE: CodeHash = CodeHash::from_bytes([0xcc; 32]);
pub const CHAIN_ID: u64 = 31_337;
pub const BLOCK_MS: u64 = 12_000;
pub const GAS_USED: u128 = 36_000;

pub fn config() -> Config {
    Config {
        lane: LaneName::parse("ethereum").unwrap(),
        schedule: Schedule { interval_ms: 600_000, entries_min: 1, entries_max: 1_000 },
        chain_id: CHAIN_ID,
        code: CODE,
        key: KEY,
        gas: 100_000,
        gas_budget_day: 100_000_000,
        fee_cap: 100 * GWEI,
        tip_cap: 5 * GWEI,
        balance_floor: ETHER / 10,
        observe_interval_ms: BLOCK_MS,
        replace_after_ms: 5 * BLOCK_MS,
        retry_ms: 5_000,
    }
}

/// A small generator (xorshift64*).
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Self {
        // Seeds that follow each other must not give scripts that resemble each other.
        let mixed = (seed ^ 0x9e37_79b9_7f4a_7c15).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mut rng = Self((mixed ^ (mixed >> 31)) | 1);
        (0..4).for_each(|_| _ = rng.bits());
        rng
    }

    pub fn bits(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        (self.bits() >> 16) % bound.max(1)
    }

    /// True in `percent` of a hundred cases.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// A transaction of the key's account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    pub nonce: u64,
    pub max: u128,
    pub tip: u128,
    pub gas: u64,
    /// What `advance` is called with; none for a transfer that has nothing to do with anchors.
    pub advance: Option<Advance>,
    pub hash: TransactionHash,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advance {
    pub seq: u64,
    pub previous: Hash,
    pub size: u64,
    pub statement: Hash,
}

impl Transaction {
    pub fn raw(sign: &Sign, advance: &Advance) -> Vec<u8> {
        let mut raw = Vec::new();
        for number in [sign.nonce, sign.gas, advance.seq, advance.size] {
            raw.extend(number.to_be_bytes());
        }
        raw.extend(sign.fees.max.to_be_bytes());
        raw.extend(sign.fees.tip.to_be_bytes());
        raw.extend(advance.previous.as_bytes());
        raw.extend(advance.statement.as_bytes());
        raw
    }

    pub fn read(raw: &[u8]) -> Self {
        let number = |at: usize| u64::from_be_bytes(raw[at..at + 8].try_into().unwrap());
        let wide = |at: usize| u128::from_be_bytes(raw[at..at + 16].try_into().unwrap());
        let hash = |at: usize| Hash::try_from(&raw[at..at + 32]).unwrap();
        let advance = Advance { seq: number(16), size: number(24), previous: hash(64), statement: hash(96) };
        Self {
            nonce: number(0),
            gas: number(8),
            max: wide(32),
            tip: wide(48),
            advance: Some(advance),
            hash: transaction_hash(raw),
        }
    }

    /// A transfer by whoever else has the key.
    pub fn transfer(nonce: u64) -> Self {
        let hash = transaction_hash(&nonce.to_be_bytes());
        Self { nonce, max: 1_000 * GWEI, tip: GWEI, gas: 21_000, advance: None, hash }
    }
}

pub fn transaction_hash(raw: &[u8]) -> TransactionHash {
    TransactionHash::from_bytes(*Hash::of(raw).as_bytes())
}

/// A block and the state after it.
#[derive(Clone, Debug)]
pub struct Mined {
    pub block: Block,
    pub nonce: u64,
    pub balance: u128,
    pub head: ContractHead,
    pub transactions: Vec<(Transaction, bool)>,
}

#[derive(Clone, Debug)]
pub struct Chain {
    pub blocks: Vec<Mined>,
    /// The branch that the last reorg took back.
    pub before_reorg: Vec<Mined>,
    pub mempool: BTreeMap<u64, Transaction>,
    pub base_fee: u128,
    pub safe_depth: usize,
    pub final_depth: usize,
    salt: u64,
}

impl Chain {
    pub fn new(safe_depth: usize, final_depth: usize) -> Self {
        let head = ContractHead { seq: 0, size: TreeSize::EMPTY, statement: NO_STATEMENT, key: None };
        let block = Block { number: 0, hash: BlockHash::from_bytes([0; 32]) };
        let genesis = Mined { block, nonce: 0, balance: ETHER, head, transactions: vec![] };
        Self {
            blocks: vec![genesis],
            before_reorg: vec![],
            mempool: BTreeMap::new(),
            base_fee: 10 * GWEI,
            safe_depth,
            final_depth,
            salt: 0,
        }
    }

    pub fn tip(&self) -> &Mined {
        self.blocks.last().unwrap()
    }

    pub fn finalized(&self) -> &Mined {
        &self.blocks[(self.blocks.len() - 1).saturating_sub(self.final_depth)]
    }

    /// Gives or takes wei, from the next block on.
    pub fn set_balance(&mut self, balance: u128) {
        self.blocks.last_mut().unwrap().balance = balance;
    }

    pub fn mine(&mut self) {
        self.mine_up_to(4);
    }

    pub fn mine_empty(&mut self) {
        self.mine_up_to(0);
    }

    fn mine_up_to(&mut self, count: usize) {
        let mut next = self.tip().clone();
        next.transactions.clear();
        self.salt += 1;
        next.block.number += 1;
        let preimage = [next.block.number.to_be_bytes(), self.salt.to_be_bytes()].concat();
        next.block.hash = BlockHash::from_bytes(*Hash::of(&preimage).as_bytes());
        while next.transactions.len() < count {
            let Some(transaction) = self.mempool.get(&next.nonce) else { break };
            let cost = transaction.max * u128::from(transaction.gas);
            if transaction.max < self.base_fee || (transaction.advance.is_some() && next.balance < cost) {
                break;
            }
            let transaction = self.mempool.remove(&next.nonce).unwrap();
            let done = transaction.advance.is_some_and(|advance| execute(&mut next.head, &advance));
            let price = transaction.max.min(self.base_fee + transaction.tip);
            next.balance = next.balance.saturating_sub(GAS_USED * price);
            next.nonce += 1;
            next.transactions.push((transaction, done));
        }
        self.mempool = self.mempool.split_off(&next.nonce);
        self.blocks.push(next);
    }

    /// Replaces the newest `depth` blocks, never a final one, by one more of a new branch. The transactions of the old branch
    /// wait again, or are lost.
    pub fn reorg(&mut self, depth: usize, is_lost: bool) {
        let depth = depth.min(self.final_depth).min(self.blocks.len() - 1);
        self.before_reorg = self.blocks.clone();
        let undone = self.blocks.split_off(self.blocks.len() - depth);
        let balance = self.before_reorg.last().unwrap().balance;
        if !is_lost {
            for (transaction, _) in undone.into_iter().flat_map(|block| block.transactions) {
                self.mempool.entry(transaction.nonce).or_insert(transaction);
            }
        } else {
            self.mempool.clear();
        }
        for _ in 0..=depth {
            self.mine_empty();
        }
        self.set_balance(balance);
    }

    pub fn send(&mut self, transaction: Transaction) -> Broadcast {
        let tip = self.tip();
        if transaction.nonce < tip.nonce {
            return Broadcast::NonceTooLow;
        }
        if transaction.advance.is_some() && tip.balance < transaction.max * u128::from(transaction.gas) {
            return Broadcast::InsufficientFunds;
        }
        if let Some(known) = self.mempool.get(&transaction.nonce) {
            let is_more = |new: u128, old: u128| new > old && new * 10 >= old * 11;
            if known.hash != transaction.hash
                && !(is_more(transaction.max, known.max) && is_more(transaction.tip, known.tip))
            {
                return Broadcast::Underpriced;
            }
        }
        self.mempool.insert(transaction.nonce, transaction);
        Broadcast::Taken
    }

    pub fn view(&self, asked: &[TransactionHash]) -> View {
        self.view_of(&self.blocks, asked)
    }

    /// What endpoints show that know only `blocks`.
    pub fn view_of(&self, blocks: &[Mined], asked: &[TransactionHash]) -> View {
        let last = blocks.len() - 1;
        let (latest, safe, finalized) = (
            &blocks[last],
            &blocks[last.saturating_sub(self.safe_depth)],
            &blocks[last.saturating_sub(self.final_depth)],
        );
        let mined =
            blocks.iter().flat_map(|block| block.transactions.iter().map(move |mined| (block, mined)));
        let receipts = mined.filter(|(_, (transaction, _))| asked.contains(&transaction.hash)).map(
            |(block, (transaction, done))| Receipt {
                transaction: transaction.hash,
                block: block.block,
                succeeded: *done,
            },
        );
        View {
            chain_id: CHAIN_ID,
            latest: latest.block,
            safe: safe.block,
            finalized: finalized.block,
            code: Some(CODE),
            nonce: latest.nonce,
            nonce_finalized: finalized.nonce,
            balance: latest.balance,
            base_fee: self.base_fee,
            tip: GWEI,
            head: latest.head,
            head_safe: safe.head,
            head_finalized: finalized.head,
            receipts: receipts.collect(),
        }
    }

    /// Whether a proof of the statement at that block can be made: the block is final and its state holds it.
    pub fn proves(&self, capture: &Capture) -> bool {
        let Ok(at) = usize::try_from(capture.block.number) else { return false };
        self.blocks.get(at).is_some_and(|mined| {
            mined.block == capture.block
                && mined.block.number <= self.finalized().block.number
                && mined.head.seq == capture.seq
                && mined.head.statement == capture.statement
        })
    }
}

/// The contract: does what `contracts/AnchorHead.sol` does, or reverts.
fn execute(head: &mut ContractHead, advance: &Advance) -> bool {
    let fits =
        advance.seq == head.seq + 1 && advance.previous == head.statement && advance.size >= head.size.get();
    if fits {
        let size = TreeSize::new(advance.size);
        *head = ContractHead { seq: advance.seq, size, statement: advance.statement, key: Some(KEY) };
    }
    fits
}

/// What goes wrong when an effect is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// It is not done, and the driver knows.
    NotDone,
    /// It is done, and the driver thinks that it is not.
    DoneButFailed,
    /// It is not done, and the driver thinks that it is: only of sending, where endpoints may forget.
    Forgotten,
}

/// One lane with everything around it.
pub struct Driver {
    pub config: Config,
    pub lane: Scheduler,
    pub now: UnixMillis,
    pub log_size: u64,
    /// Effects that are not carried out yet, oldest first.
    pub out: Vec<Effect>,
    /// What is durable.
    pub journal: Vec<Vec<u8>>,
    pub files: BTreeMap<u64, (Statement, Built)>,
    /// Statements whose proof bundle is durable.
    pub bundles: Vec<u64>,
    /// Anchor entries of the log.
    pub appended: Vec<u64>,
    pub alarms: Vec<String>,
    /// Every nonce of a transaction that is durable or was sent, and for which statement.
    pub nonces: BTreeMap<u64, Hash>,
    /// Transactions sent, in their order.
    pub sent: Vec<Vec<u8>>,
    pub signs: Vec<Sign>,
    pub is_dead: bool,
}

pub fn root_of(size: u64) -> Hash {
    if size == 0 { empty_root() } else { Hash::of(&size.to_be_bytes()) }
}

impl Driver {
    pub fn new(config: Config) -> Self {
        Self {
            lane: Scheduler::new(config.clone()),
            config,
            now: UnixMillis::new(1_795_000_000_000),
            log_size: 0,
            out: Vec::new(),
            journal: Vec::new(),
            files: BTreeMap::new(),
            bundles: Vec::new(),
            appended: Vec::new(),
            alarms: Vec::new(),
            nonces: BTreeMap::new(),
            sent: Vec::new(),
            signs: Vec::new(),
            is_dead: false,
        }
    }

    /// Tells the lane something and takes note of what it wants.
    pub fn tell(&mut self, event: Event) {
        let effects = self.lane.handle(self.now, event);
        for effect in effects {
            match effect {
                Effect::Alarm(alarm) => {
                    assert!(!alarm.to_string().is_empty());
                    self.alarms.push(alarm.as_str().to_owned());
                }
                effect => {
                    self.check(&effect);
                    self.out.push(effect);
                }
            }
        }
    }

    /// What must hold for every effect, whatever happened before.
    fn check(&mut self, effect: &Effect) {
        let is_out = |effect: &Effect| matches!(effect, Effect::Journal(_));
        match effect {
            Effect::Journal(_) => assert!(!self.out.iter().any(is_out), "two records are out at a time"),
            Effect::Sign(sign) => {
                let (_, built) = &self.files[&sign.seq];
                assert_eq!(built.statement, sign.statement, "only what is stored is signed");
                assert!(sign.fees.max <= self.config.fee_cap && sign.fees.tip <= sign.fees.max);
                assert!(!self.out.iter().any(is_out), "signed behind a record that is not durable");
                self.signs.push(*sign);
            }
            Effect::Broadcast { raw, transaction } => {
                let is_durable = self.records().any(|record| match record {
                    Record::Signed(attempt) => attempt.raw == *raw && attempt.transaction == *transaction,
                    _ => false,
                });
                assert!(is_durable, "a transaction is sent before it is durable");
                let transaction = Transaction::read(raw);
                self.use_nonce(transaction.nonce, transaction.advance.unwrap().statement);
            }
            Effect::Build(_) | Effect::Capture(_) => {
                assert!(!self.out.iter().any(is_out), "asked for behind a record that is not durable");
            }
            _ => {}
        }
    }

    pub fn records(&self) -> impl Iterator<Item = Record> + '_ {
        self.journal.iter().map(|bytes| Record::decode(bytes).unwrap())
    }

    pub fn state(&self) -> State {
        self.lane.snapshot(self.now).state
    }

    pub fn grow(&mut self, entries: u64) {
        self.log_size += entries;
        self.tell(Event::Log(TreeSize::new(self.log_size)));
    }

    pub fn pass(&mut self, ms: u64) {
        self.now = self.now.plus_millis(ms);
        self.tell(Event::Tick);
    }

    /// Carries out one effect with a fault; the answer comes at once.
    pub fn perform(&mut self, effect: Effect, chain: &mut Chain, fault: Fault) {
        let event = self.carry_out(effect, chain, fault);
        self.tell(event);
    }

    pub fn carry_out(&mut self, effect: Effect, chain: &mut Chain, fault: Fault) -> Event {
        let is_done = matches!(fault, Fault::None | Fault::DoneButFailed);
        let is_reported = matches!(fault, Fault::None | Fault::Forgotten);
        match effect {
            Effect::Build(build) if is_done => {
                let built = self.build(&build);
                if is_reported { Event::Built(built) } else { Event::BuildFailed }
            }
            Effect::Build(_) => Event::BuildFailed,
            Effect::Journal(record) => {
                if is_done {
                    self.keep(&record);
                }
                if is_done && is_reported { Event::Journaled } else { Event::JournalFailed }
            }
            Effect::Sign(_) if !is_done || !is_reported => Event::SignFailed,
            Effect::Sign(sign) => {
                let raw = self.raw(&sign);
                Event::Signed { transaction: transaction_hash(&raw), raw }
            }
            Effect::Broadcast { transaction, raw } => {
                let outcome = if is_done {
                    self.sent.push(raw.clone());
                    chain.send(Transaction::read(&raw))
                } else {
                    Broadcast::Taken
                };
                Event::Broadcast {
                    transaction,
                    outcome: if is_reported { outcome } else { Broadcast::Unreachable },
                }
            }
            Effect::Observe { transactions } => {
                if is_done && is_reported {
                    Event::Observed(chain.view(&transactions))
                } else {
                    Event::Unreachable
                }
            }
            Effect::Capture(capture) => {
                let is_proved = is_done && chain.proves(&capture);
                if is_proved {
                    self.bundles.push(capture.seq);
                }
                let seq = capture.seq;
                if is_proved && is_reported { Event::Captured { seq } } else { Event::CaptureFailed { seq } }
            }
            Effect::AppendEntry(details) => {
                assert!(
                    self.bundles.contains(&details.seq),
                    "an entry speaks of a proof that is not durable"
                );
                let seq = details.seq;
                if is_done {
                    self.appended.push(seq);
                }
                if is_done && is_reported { Event::Appended { seq } } else { Event::AppendFailed { seq } }
            }
            other => panic!("an effect that no driver knows: {other:?}"),
        }
    }

    /// Makes a record durable.
    fn keep(&mut self, record: &Record) {
        if let Record::Signed(attempt) = record {
            self.use_nonce(attempt.nonce, self.files[&attempt.seq].1.statement);
        }
        self.journal.push(record.encode());
    }

    /// A transaction of this nonce is durable or on its way. One that was signed and lost before that is nowhere.
    fn use_nonce(&mut self, nonce: u64, statement: Hash) {
        let first = *self.nonces.entry(nonce).or_insert(statement);
        assert_eq!(first, statement, "nonce {nonce} is used for two statements");
    }

    fn raw(&self, sign: &Sign) -> Vec<u8> {
        let (statement, built) = &self.files[&sign.seq];
        let advance = Advance {
            seq: sign.seq,
            previous: statement.previous,
            size: built.to.size.get(),
            statement: built.statement,
        };
        Transaction::raw(sign, &advance)
    }

    /// Puts the files of a statement in their place, unless they are there.
    fn build(&mut self, build: &Build) -> Built {
        let Build { lane, seq, from, previous, size } = build.clone();
        let (_, built) = self.files.entry(seq).or_insert_with(|| {
            let to = Head { size, root: root_of(size.get()) };
            let origin = KeyName::new("example.com/log").unwrap();
            let checkpoint = Hash::of(b"note");
            let statement = Statement { origin, lane, seq, from, to, previous, checkpoint };
            let built = Built { seq, to, statement: statement.hash().unwrap(), previous };
            (statement, built)
        });
        *built
    }

    /// Takes everything that is not durable, and goes on from the journal. The record that was out, if any, arrived whole, in part,
    /// or not at all: the journal's checksum cuts off a part.
    pub fn crash(&mut self, is_record_whole: bool) {
        let out = std::mem::take(&mut self.out);
        let record = out.into_iter().find_map(|effect| match effect {
            Effect::Journal(record) => Some(record),
            _ => None,
        });
        if let Some(record) = record.filter(|_| is_record_whole) {
            self.keep(&record);
        }
        self.restart();
    }

    pub fn restart(&mut self) {
        self.out.clear();
        self.lane = Scheduler::recover(self.config.clone(), self.records()).unwrap();
        let again = Scheduler::recover(self.config.clone(), self.records()).unwrap();
        assert!(self.lane.is_at_the_state_of(&again), "INV-6: recovery reaches one state");
        self.tell(Event::Log(TreeSize::new(self.log_size)));
        self.tell(Event::Tick);
    }

    /// Carries out everything that is wanted now, without a fault.
    pub fn settle(&mut self, chain: &mut Chain) {
        for _ in 0..1_000 {
            if self.out.is_empty() {
                return;
            }
            let effect = self.out.remove(0);
            self.perform(effect, chain, Fault::None);
        }
        panic!("the lane never comes to rest");
    }

    /// One block later.
    pub fn block(&mut self, chain: &mut Chain) {
        self.settle(chain);
        chain.mine();
        self.pass(BLOCK_MS);
        self.settle(chain);
    }

    /// Goes on until the state is reached; false if `blocks` did not suffice.
    pub fn run_until(
        &mut self,
        chain: &mut Chain,
        blocks: usize,
        is_reached: impl Fn(&Self) -> bool,
    ) -> bool {
        for _ in 0..blocks {
            if is_reached(self) {
                return true;
            }
            self.block(chain);
        }
        is_reached(self)
    }

    pub fn is_anchored(&self) -> bool {
        self.lane.tip().head.size.get() >= self.log_size && self.lane.snapshot(self.now).state == State::Idle
    }

    /// The lane's files, bundles, entries and the contract tell one story without a gap.
    pub fn check_story(&self, chain: &Chain) {
        let tip = self.lane.tip();
        let mut before = (Head { size: TreeSize::EMPTY, root: empty_root() }, NO_STATEMENT);
        for seq in 1..=tip.seq {
            let (statement, built) = &self.files[&seq];
            assert_eq!(
                (statement.seq, statement.from, statement.previous),
                (seq, before.0, before.1),
                "a gap"
            );
            assert_eq!(statement.hash().unwrap(), built.statement);
            before = (statement.to, built.statement);
            assert!(self.bundles.contains(&seq), "the proof of {seq} is not durable");
        }
        assert_eq!(before, (tip.head, tip.statement));
        let last = chain.finalized().head;
        assert!(last.seq >= tip.seq, "captured, but not final: {last:?}");
        // What the contract was made to hold, in the order of the chain, are these statements and no others.
        let mut held = 0;
        for (transaction, done) in chain.blocks.iter().flat_map(|block| &block.transactions) {
            if let Some(advance) = transaction.advance.filter(|_| *done) {
                held += 1;
                assert_eq!(advance.seq, held);
                assert_eq!(advance.statement, self.files[&held].1.statement);
            }
        }
        let entries: Vec<u64> = {
            let mut entries = self.appended.clone();
            entries.dedup();
            entries
        };
        assert!(entries.is_sorted(), "entries out of order: {entries:?}");
        let recovered = Scheduler::recover(self.config.clone(), self.records()).unwrap();
        assert!(recovered.tip().seq >= tip.seq, "INV-6: what is captured is in the journal");
    }
}
