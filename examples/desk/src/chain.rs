//! A development chain of one node, which an example starts for itself: anvil, with the anchor contract on it.
//!
//! *Guarantees*: key, contract, registration and lane are made by the sidecar's own code, as `ledgerstone-sidecar anchor key` and
//! `anchor deploy` make them on any EVM chain; the node ends with this value.
//!
//! *Does not do*: prove anything to a stranger. Nobody else keeps this chain, and with the node it is gone.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use ledgerstone::anchor::evm::{BlockHeader, Bundle};
use ledgerstone::anchor::statement::AnchorKind;
use ledgerstone::verify::anchors::proof_file;
use ledgerstone_sidecar::anchor::evm::block::{self, Wanted};
use ledgerstone_sidecar::anchor::evm::deploy::{Deployed, Deployment};
use ledgerstone_sidecar::anchor::evm::key::{AnchorSigner as _, FileSigner};
use ledgerstone_sidecar::anchor::evm::rpc::{ANSWER_BYTES_MAX, Endpoint};
use ledgerstone_sidecar::outbound::http::Client;
use ledgerstone_verifier::anchors::folder_of;
use serde_json::{Value, json};

use crate::folder::RunFolder;

mod node;

use self::node::Node;
pub use self::node::Program;

/// The lane's name, which is that of its folder below `anchors/`.
const LANE: &str = "example-chain";

/// The id that development chains have.
const CHAIN_ID: u64 = 31_337;

/// What the anchor key gets, in wei: one ether, which pays for 166 anchors at the lane's highest fee.
const MONEY: u64 = 1_000_000_000_000_000_000;

/// How long the node may take to answer one call.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The chain, with the log registered in its anchor contract; its node runs until this is dropped.
#[derive(Debug)]
pub struct LocalChain {
    node: Node,
    endpoint: Endpoint,
    contract: String,
    first_key: String,
}

impl LocalChain {
    /// Starts the node, draws an anchor key, gives its account money, deploys the contract and registers the log `origin`.
    ///
    /// # Errors
    /// If the program is not anvil, or ends, or the chain refuses.
    pub async fn start(program: &Program, folder: &RunFolder, origin: &str) -> Result<Self> {
        let mut node = Node::start(program, folder.chain_log(), CHAIN_ID).await?;
        let endpoint = Endpoint::new(&node.url(), Client::new(TIMEOUT, None)?)?;
        let signer = FileSigner::create(&folder.anchor_key(), None)?;
        let deployed = deploy(&endpoint, &signer, origin).await;
        let deployed = node.or_ended(deployed).await?;
        Ok(Self {
            node,
            endpoint,
            contract: format!("{:#x}", deployed.contract),
            first_key: format!("{:#x}", signer.address()),
        })
    }

    /// The sidecar's configuration of a lane to it.
    #[must_use]
    pub fn lane(&self) -> String {
        format!(
            r#"
[[anchors.ethereum]]
name = "{LANE}"
chain_id = {CHAIN_ID}
rpc = ["{}"]
contract = "{}"
key_file = "keys/anchor.key"
interval = "1s"
poll_interval = "500ms"
"#,
            self.node.url(),
            self.contract
        )
    }

    /// What to say of it, in rows.
    #[must_use]
    pub fn rows(&self) -> [(&'static str, String); 2] {
        [
            ("chain", format!("{}: one node, chain {CHAIN_ID}, a block a second", self.node.url())),
            ("contract", format!("{} keeps the log's head", self.contract)),
        ]
    }

    /// Whether the node is still there.
    ///
    /// # Errors
    /// If it ended.
    pub fn stands(&mut self) -> Result<()> {
        self.node.stands()
    }

    /// What a reader who believes this chain writes into a trust file: the contract, the log's key, and the hash of each block that
    /// a proof is about. The proof says only which height that is; the hash is the node's.
    ///
    /// # Errors
    /// If the node does not say it, or a proof cannot be read.
    pub async fn trust(&mut self, folder: &RunFolder) -> Result<String> {
        let mut blocks = String::new();
        for height in heights(folder)? {
            let block = block::fetch(&self.endpoint, Wanted::Number(height)).await;
            let block = self.node.or_ended(block.map_err(Into::into)).await?;
            let block = block.with_context(|| format!("the chain has no block {height} any more"))?;
            blocks.push_str(&format!("    \"{:#x}\", # block {height}\n", block.hash));
        }
        Ok(format!(
            r#"[[ethereum]]
chain_id = {CHAIN_ID}
contract = "{}"
first_key = "{}"
blocks = [
{blocks}]

"#,
            self.contract, self.first_key
        ))
    }
}

async fn deploy(endpoint: &Endpoint, signer: &FileSigner, origin: &str) -> Result<Deployed> {
    // A development chain gives money to whoever asks, so the key can be a new one, as on a real chain. The accounts that such
    // chains come with have keys that everybody knows.
    let money = json!([signer.address(), format!("{MONEY:#x}")]);
    let _: Value = endpoint
        .call("anvil_setBalance", money, ANSWER_BYTES_MAX)
        .await
        .context("the anchor key got no money, so this is not anvil")?;
    let deployment = Deployment {
        endpoint: endpoint.clone(),
        signer,
        origin: origin.to_owned(),
        chain_id: Some(CHAIN_ID),
        contract: None,
    };
    deployment.run().await.context("the anchor contract was not deployed")
}

/// The heights of the blocks that the lane's proofs are about.
fn heights(folder: &RunFolder) -> Result<Vec<u64>> {
    let lane = folder.store().join("anchors").join(LANE);
    let statements = (1..).map(|seq| lane.join(folder_of(seq))).take_while(|statement| statement.is_dir());
    let proofs = statements.map(|statement| statement.join(proof_file(AnchorKind::Ethereum)));
    // The last statement may have been on its way when the sidecar ended.
    proofs.filter(|proof| proof.is_file()).map(height).collect()
}

fn height(proof: PathBuf) -> Result<u64> {
    let bundle = Bundle::decode(&fs::read(proof)?)?;
    let header = bundle.headers.first().context("a proof has no block")?;
    Ok(BlockHeader::decode(header)?.number)
}
