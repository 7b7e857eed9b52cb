//! A log, a chain in memory with the contract on it, and endpoints through which a lane sees that chain.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};
use std::time::Duration;

use alloy_primitives::{B256, U256};
use ledgerstone::anchor::chain::verify_chain;
use ledgerstone::anchor::evm::{
    Advance, BlockHeader, Bundle, Facts, LogId, advanced_topic, init_code, register_call,
};
use ledgerstone::anchor::statement::Statement;
use ledgerstone::entry::{Entry, KindDetails};
use ledgerstone::hash::Hash;
use ledgerstone::merkle::LeafIndex;
use ledgerstone::store::fs::FsReader;
use ledgerstone::verify::{Status, Verdict};
use ledgerstone_sidecar::anchor::evm::deploy::Deployed;
use ledgerstone_sidecar::anchor::evm::key::{AnchorSigner as _, FileSigner};
use ledgerstone_sidecar::anchor::evm::transaction::{self, Order};
use ledgerstone_sidecar::app::Running;
use ledgerstone_verifier::anchors::parse_trust;
use ledgerstone_verifier::command::verify_anchors;
use ledgerstone_verifier::progress::Silent;
use serde_json::json;
use tempfile::TempDir;
use tokio::task::{JoinHandle, LocalSet};

use crate::endpoint::{Endpoint, Fault};
use crate::model::{CHAIN_ID, Chain, Sent};
use crate::support::{Sidecar, copy, free_port};
use crate::world::{ORIGIN, World, trust, verify_one};

/// How long a lane may take to end.
pub const DRAIN: Duration = Duration::from_secs(20);

/// Blocks on the chain before a lane starts: more than the deepest reorganisation takes away.
const BLOCKS: u64 = 45;

/// The height of the newest block that is final before a lane starts.
pub const FINAL: u64 = 8;

/// The base fee above which no transaction may be signed: the lane's cap.
pub const DEAR: u64 = 60_000_000_000;

const GWEI: u128 = 1_000_000_000;

pub struct Stage {
    pub world: World,
    chain: Arc<Mutex<Chain>>,
    pub endpoints: Vec<Endpoint>,
}

impl Stage {
    /// A chain on which the log is registered, seen through so many endpoints. No block comes by itself.
    pub async fn new(endpoints: usize) -> Self {
        Self::with(endpoints, "").await
    }

    /// The same, with further lines in the lane's table.
    pub async fn with(endpoints: usize, more: &str) -> Self {
        let (folder, files) = log();
        let signer = FileSigner::create(&folder.path().join("anchor.key"), None).unwrap();
        let account = signer.address();
        let mut chain = Chain::new(account);
        let contract = account.create(0);
        send(&mut chain, &signer, 0, None, init_code());
        chain.mine();
        let register = register_call(&account.into_array(), ORIGIN);
        send(&mut chain, &signer, 1, Some(contract), register);
        chain.mine();
        chain.mine_empty(BLOCKS - 2);
        (chain.safe, chain.finalized) = (FINAL, FINAL);
        let deployed = Deployed {
            chain_id: CHAIN_ID,
            contract,
            log_id: LogId::new(&account.into_array(), ORIGIN),
            deploy_gas: None,
            register_gas: None,
            balance: U256::ZERO,
        };
        let chain = Arc::new(Mutex::new(chain));
        let mut started = Vec::new();
        for _ in 0..endpoints {
            started.push(Endpoint::start(&chain).await);
        }
        let world = World { folder, files, deployed, account };
        let urls: Vec<String> = started.iter().map(Endpoint::url).collect();
        world.lane(&urls, more);
        Self { world, chain, endpoints: started }
    }

    pub fn chain(&self) -> MutexGuard<'_, Chain> {
        self.chain.lock().unwrap()
    }

    /// Something is wrong with every endpoint.
    pub fn all_have(&self, fault: &Fault) {
        self.endpoints.iter().for_each(|endpoint| endpoint.has(fault.clone()));
    }

    /// Lets blocks come until what is returned is dropped: safe after one, final after two.
    pub fn grow(&self) -> Growth {
        let chain = Arc::clone(&self.chain);
        Growth(tokio::spawn(async move {
            loop {
                {
                    let mut chain = chain.lock().unwrap();
                    chain.mine();
                    chain.settle(1, 2);
                }
                tokio::time::sleep(Duration::from_millis(40)).await;
            }
        }))
    }

    /// Waits until the lane is in that state.
    pub async fn is(&self, app: &Running, state: &str) {
        self.world.says(app, &format!("ethereum ethereum {state}")).await;
    }

    /// Lets the faults end, waits for `more` further proofs, ends the sidecar, and checks everything.
    pub async fn ends_anchored(&self, app: Running, more: u64) -> Vec<Facts> {
        self.all_have(&Fault::None);
        let growth = self.grow();
        self.world.proved(self.world.count() + more).await;
        drop(growth);
        app.drain(DRAIN).await.unwrap();
        self.verify()
    }

    /// Checks every proof against the true chain, and that nothing was stated, sent or said twice.
    pub fn verify(&self) -> Vec<Facts> {
        let facts = self.proofs_hold();
        self.contract_has_each_once(facts.len());
        self.no_nonce_has_two_statements();
        self.log_says_each_once(facts.len());
        self.auditor_agrees(facts.len());
        facts
    }

    /// Each proof holds, with nothing trusted but the true chain's block at its height, and that one is final.
    pub fn proofs_hold(&self) -> Vec<Facts> {
        let links = self.world.links();
        verify_chain(&links, &self.world.log_keys().verifier(), None).unwrap();
        let mut all = Vec::new();
        for (seq, link) in (1..=self.world.count()).zip(&links) {
            let statement = Statement::decode(&link.statement).unwrap();
            let bytes = std::fs::read(self.world.statement(seq).join("proof.evm")).unwrap();
            let (number, block) = self.fixed(&bytes);
            let facts = verify_one(&bytes, &statement, &link.statement, &trust(31_337, block.0));
            let facts = facts.unwrap_or_else(|error| panic!("statement {seq} in block {number}: {error}"));
            assert_eq!(u64::from(facts.head.seq), seq);
            all.push(facts);
        }
        all
    }

    /// The height of the block that a proof rests on, and the hash of the true chain's block there, which is final.
    fn fixed(&self, proof: &[u8]) -> (u64, B256) {
        let bundle = Bundle::decode(proof).unwrap();
        let number = BlockHeader::decode(&bundle.headers[0]).unwrap().number;
        let chain = self.chain();
        assert!(number <= chain.finalized, "block {number} is not final, {} is", chain.finalized);
        (number, chain.block(number).unwrap().hash)
    }

    pub fn contract_has_each_once(&self, proved: usize) {
        let chain = self.chain();
        let logs = chain.blocks().iter().flat_map(|block| block.logs());
        let advanced = logs.filter(|log| log.topics()[0].0 == advanced_topic());
        let seqs: Vec<u64> =
            advanced.map(|log| u64::try_from(U256::from_be_slice(&log.data.data[..32])).unwrap()).collect();
        let expected: Vec<u64> = (1..=seqs.len() as u64).collect();
        assert_eq!(seqs, expected, "statements in the contract, in the chain's order");
        assert!(seqs.len() >= proved, "{} are proved", proved);
    }

    /// Whatever ever arrived at an endpoint, mined or not.
    pub fn no_nonce_has_two_statements(&self) {
        let chain = self.chain();
        let mut stated: BTreeMap<u64, u64> = BTreeMap::new();
        for Sent { transaction, from, .. } in &chain.arrived {
            let is_advance = transaction.input.len() == Advance::call(&nothing()).len();
            if *from == self.world.account && is_advance {
                let seq = u64::try_from(U256::from_be_slice(&transaction.input[36..68])).unwrap();
                let known = *stated.entry(transaction.nonce).or_insert(seq);
                assert_eq!(known, seq, "nonce {} is used for two statements", transaction.nonce);
            }
        }
        assert!(!stated.is_empty());
    }

    fn log_says_each_once(&self, proved: usize) {
        let reader = FsReader::open(&self.world.files.store());
        let size = reader.size().unwrap();
        let mut said = Vec::new();
        for index in 0..size.get() {
            let entry = Entry::decode(&reader.entry(LeafIndex::new(index), size).unwrap()).unwrap();
            if let KindDetails::Anchor(details) = entry.kind_details().unwrap() {
                let statement = std::fs::read(self.world.statement(details.seq).join("statement")).unwrap();
                assert_eq!(details.statement, Hash::of(&statement));
                said.push(details.seq);
            }
        }
        let expected: Vec<u64> = (1..=said.len() as u64).collect();
        assert_eq!(said, expected, "anchor entries of the log");
        // The entry of the last one may not have been written before the sidecar ended.
        assert!(said.len() <= proved && said.len() + 1 >= proved, "{} of {proved}", said.len());
    }

    /// `verify anchors`, with a trust file that names the true chain's final blocks alone.
    fn auditor_agrees(&self, proved: usize) {
        let blocks = (1..=proved as u64).map(|seq| {
            let proof = std::fs::read(self.world.statement(seq).join("proof.evm")).unwrap();
            format!("\"{}\"", self.fixed(&proof).1)
        });
        let blocks: Vec<String> = blocks.collect();
        let text = format!(
            "format = \"ledgerstone-anchor-trust/v1\"\nquorum = \"1 of ethereum\"\n[[ethereum]]\nchain_id = {CHAIN_ID}\ncontract = \
             \"{:#x}\"\nfirst_key = \"{:#x}\"\nblocks = [{}]\n",
            self.world.deployed.contract,
            self.world.account,
            blocks.join(", ")
        );
        let trust = parse_trust(text.as_bytes(), &|_, _| panic!("the file names no other file")).unwrap();
        let options = verify_anchors::Options { policy: Some(self.world.files.policy()), trust: Some(trust) };
        let answer = verify_anchors::run_on_dir(&self.world.files.store(), &options, &mut Silent).unwrap();
        assert_eq!(answer.report.verdict(), Verdict::Verified, "{:#?}", answer.report);
        assert!(answer.report.checks().iter().all(|check| check.status == Status::Passed));
    }
}

/// Blocks that come by themselves.
pub struct Growth(JoinHandle<()>);

impl Drop for Growth {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A log of its own. They are copies of one that was made once, because making keys takes its time; nothing of a lane is in
/// it yet.
fn log() -> (TempDir, Sidecar) {
    static MADE: LazyLock<(TempDir, Sidecar)> = LazyLock::new(|| {
        let folder = tempfile::tempdir().unwrap();
        // No decision is asked for, so nobody answers there.
        let sidecar = Sidecar::init(folder.path(), ([127, 0, 0, 1], free_port()).into());
        (folder, sidecar)
    });
    let (made, sidecar) = &*MADE;
    let folder = tempfile::tempdir().unwrap();
    copy(made.path(), folder.path());
    let Sidecar { grpc, http, admin, .. } = *sidecar;
    let files = Sidecar { folder: folder.path().to_owned(), grpc, http, admin };
    (folder, files)
}

/// Lets all of them go on beside each other, to their ends.
pub async fn at_once<F: Future<Output = ()> + 'static>(all: impl Iterator<Item = F>) {
    let local = LocalSet::new();
    let running: Vec<_> = all.map(|one| local.spawn_local(one)).collect();
    local
        .run_until(async {
            for one in running {
                one.await.unwrap();
            }
        })
        .await;
}

fn nothing() -> Advance {
    let zero = Hash::from_bytes([0; 32]);
    let log_id = LogId::new(&[0; 20], "");
    Advance { log_id, seq: 0, previous: zero, size: 0, root: zero, statement: zero }
}

fn send(
    chain: &mut Chain,
    signer: &FileSigner,
    nonce: u64,
    to: Option<alloy_primitives::Address>,
    input: Vec<u8>,
) {
    let order = Order {
        chain_id: CHAIN_ID,
        nonce,
        to,
        input,
        gas_limit: 3_000_000,
        max_fee_per_gas: 3 * GWEI,
        max_priority_fee_per_gas: GWEI,
    };
    let signed = transaction::sign(order, signer).unwrap();
    chain.answer("eth_sendRawTransaction", &json!([signed.raw])).unwrap();
}
