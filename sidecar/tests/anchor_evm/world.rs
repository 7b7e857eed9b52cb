//! A log, a chain with the contract, and a sidecar that anchors the one on the other.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use alloy_primitives::Address;
use ledgerstone::anchor::chain::verify_chain;
use ledgerstone::anchor::evm::{self, Basis, Bundle, Expected, Facts, Trust};
use ledgerstone::anchor::statement::{LaneName, Link, Statement};
use ledgerstone::checkpoint::LogKeys;
use ledgerstone::hash::Hash;
use ledgerstone::store::fs::StdDisk;
use ledgerstone_sidecar::anchor::LaneFolder;
use ledgerstone_sidecar::anchor::evm::deploy::{Deployed, Deployment};
use ledgerstone_sidecar::anchor::evm::key::{AnchorSigner as _, FileSigner};
use ledgerstone_sidecar::anchor::evm::rpc::Endpoint;
use ledgerstone_sidecar::app::{App, Running};
use ledgerstone_sidecar::config::{Config, Inputs};
use ledgerstone_sidecar::outbound::http::Client;
use serde_json::json;
use tempfile::TempDir;

use crate::node::{Anvil, call};
use crate::support::{Sidecar, http_get, serve_doubler};

pub const ORIGIN: &str = "example.com/tests";
pub const LANE: &str = "ethereum";

/// How long a lane may take for what a test waits for: blocks come every 200 ms, and the machine may be busy.
const LONG: Duration = Duration::from_secs(90);

/// Waits until `holds`; `what` says what did not come.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !holds().await {
        assert!(start.elapsed() < LONG, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

pub fn endpoint(url: &str) -> Endpoint {
    Endpoint::new(url, Client::new(Duration::from_secs(5), None).unwrap()).unwrap()
}

/// A log with its keys, and the contract in which it is registered.
pub struct World {
    pub folder: TempDir,
    pub files: Sidecar,
    pub deployed: Deployed,
    pub account: Address,
}

impl World {
    /// Creates a log and a funded key, deploys the contract and registers the log.
    pub async fn new(anvil: &Anvil) -> Self {
        Self::on(&anvil.url(), async |account| fund(anvil, account, 10).await).await
    }

    /// The same on any chain; `fund` gives the key's account what it pays with.
    pub async fn on(url: &str, fund: impl AsyncFnOnce(Address)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files = Sidecar::init(folder.path(), serve_doubler().await);
        let signer = FileSigner::create(&folder.path().join("anchor.key"), None).unwrap();
        let account = signer.address();
        fund(account).await;
        let deployment = Deployment {
            endpoint: endpoint(url),
            signer: &signer,
            origin: ORIGIN.to_owned(),
            chain_id: None,
            contract: None,
        };
        let deployed = deployment.run().await.unwrap();
        Self { folder, files, deployed, account }
    }

    /// Configures the lane: `rpc` are its endpoints, `more` further lines of the table.
    pub fn lane(&self, rpc: &[String], more: &str) {
        self.lane_on(rpc, self.deployed.chain_id, more);
    }

    pub fn lane_on(&self, rpc: &[String], chain_id: u64, more: &str) {
        let whole = std::fs::read_to_string(self.files.config()).unwrap();
        let before = whole.split("\n[[anchors.ethereum]]").next().unwrap();
        let table = format!(
            "{before}\n[[anchors.ethereum]]\nname = \"{LANE}\"\nchain_id = {chain_id}\nrpc = {rpc:?}\ncontract = \"{}\"\n\
             key_file = \"anchor.key\"\ninterval = \"300ms\"\npoll_interval = \"200ms\"\nreplace_after = \"2s\"\n\
             timeout = \"1s\"\ngas_budget = 100000000\n{more}\n",
            self.deployed.contract
        );
        std::fs::write(self.files.config(), table).unwrap();
    }

    pub async fn start(&self) -> Running {
        let ports = ["listen", "http_listen", "admin_listen"].map(|key| format!("server.{key}=127.0.0.1:0"));
        let inputs = Inputs {
            file: Some(self.files.config()),
            flags: ports.into_iter().collect(),
            ..Inputs::default()
        };
        App::build(Config::load(&inputs).unwrap()).await.unwrap().spawn().await.unwrap()
    }

    pub fn statement(&self, seq: u64) -> PathBuf {
        statement_in(&self.files.store(), seq)
    }

    /// Whether the proof of a statement is there.
    pub fn is_proved(&self, seq: u64) -> bool {
        self.statement(seq).join("proof.evm").exists()
    }

    pub async fn proved(&self, seq: u64) {
        until(&format!("statement {seq} is proved"), async || self.is_proved(seq)).await;
    }

    /// Waits until one more statement is proved than are now.
    pub async fn one_more(&self) {
        let next = (1..).find(|seq| !self.is_proved(*seq)).unwrap();
        self.proved(next).await;
    }

    /// How many statements there are with a proof, all before them having one.
    pub fn count(&self) -> u64 {
        (1..).find(|seq| !self.is_proved(*seq)).unwrap() - 1
    }

    pub fn log_keys(&self) -> LogKeys {
        LogKeys::parse(&std::fs::read_to_string(self.folder.path().join("log.key")).unwrap()).unwrap()
    }

    /// Every statement with what shows it.
    pub fn links(&self) -> Vec<Link> {
        let folder = LaneFolder::new(StdDisk::new(&self.files.store()), LaneName::parse(LANE).unwrap());
        (1..=folder.last().unwrap()).map(|seq| folder.link(seq).unwrap().unwrap()).collect()
    }

    /// Checks the chain of statements, and every proof against the block that the node has at its height.
    pub async fn verify(&self, anvil: &Anvil) -> Vec<Facts> {
        self.verify_on(anvil.address).await
    }

    /// The same with any node.
    pub async fn verify_on(&self, node: SocketAddr) -> Vec<Facts> {
        let links = self.links();
        verify_chain(&links, &self.log_keys().verifier(), None).unwrap();
        let mut all = Vec::new();
        for (seq, link) in (1..=self.count()).zip(&links) {
            let statement = Statement::decode(&link.statement).unwrap();
            let bytes = std::fs::read(self.statement(seq).join("proof.evm")).unwrap();
            let block = Bundle::decode(&bytes).unwrap();
            let number = evm::BlockHeader::decode(&block.headers[0]).unwrap().number;
            let params = json!([format!("{number:#x}"), false]);
            let hash = call(node, "eth_getBlockByNumber", params).await["hash"].as_str().unwrap().to_owned();
            let trust = trust(self.deployed.chain_id, word(&hash));
            let facts = verify_one(&bytes, &statement, &link.statement, &trust).unwrap();
            assert!(matches!(facts.basis, Basis::PinnedBlock { .. }), "{:?}", facts.basis);
            assert_eq!(u64::from(facts.head.seq), seq);
            all.push(facts);
        }
        all
    }

    /// The admin page of the anchors.
    pub async fn page(&self, app: &Running) -> String {
        let (status, body) = http_get(app.admin_addr, "/anchors").await.unwrap();
        assert_eq!(status, 200);
        String::from_utf8(body).unwrap()
    }

    /// Waits until the admin page says `words`.
    pub async fn says(&self, app: &Running, words: &str) {
        until(&format!("the page says {words:?}"), async || self.page(app).await.contains(words)).await;
    }

    /// Waits until the admin page no longer says `words`.
    pub async fn says_no_more(&self, app: &Running, words: &str) {
        until(&format!("the page ends to say {words:?}"), async || !self.page(app).await.contains(words))
            .await;
    }
}

pub fn statement_in(store: &Path, seq: u64) -> PathBuf {
    store.join(format!("anchors/{LANE}/{seq:08}"))
}

/// Trust in one block of a chain.
pub fn trust(chain_id: u64, block: [u8; 32]) -> Trust {
    let mut trust = Trust::new(chain_id);
    trust.blocks = vec![block];
    trust
}

/// Verifies one proof.
pub fn verify_one(
    proof: &[u8],
    statement: &Statement,
    bytes: &[u8],
    trust: &Trust,
) -> Result<Facts, evm::EvmError> {
    let expected = Expected {
        origin: ORIGIN,
        seq: statement.seq,
        size: statement.to.size.get(),
        root: statement.to.root,
        previous: statement.previous,
        statement: Hash::of(bytes),
    };
    evm::verify(&Bundle::decode(proof)?, &expected, trust)
}

pub fn word(hex: &str) -> [u8; 32] {
    hex.parse::<alloy_primitives::B256>().unwrap().0
}

/// Gives an account so many ether.
pub async fn fund(anvil: &Anvil, account: Address, ether: u64) {
    let wei = u128::from(ether) * 1_000_000_000_000_000_000;
    anvil.call("anvil_setBalance", json!([account, format!("{wei:#x}")])).await;
}
