//! The whole: a log is anchored under load while the chain reorganises and the sidecar is killed, and then an auditor looks
//! at what is left.
//!
//! Danger: under everything at once a statement is lost, made twice, or proved by bytes that could be others. Expected: the
//! lane verifies without a network, and does not when any byte of any statement or proof is another, when a statement
//! is left out, and when an older copy of the log is presented. `ANCHOR_TRIAL=200` makes 200 anchors.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ledgerstone::anchor::chain::ChainVerifier;
use ledgerstone::anchor::evm::{self, Bundle, Trust};
use ledgerstone::anchor::statement::{Link, Statement};
use ledgerstone::code::CheckName;
use ledgerstone::verify::anchors::AnchorTrust;
use ledgerstone::verify::{Report, Status, Verdict};
use ledgerstone_verifier::command::verify_anchors;
use ledgerstone_verifier::progress::Silent;
use serde_json::json;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::node::Anvil;
use crate::support::{copy, request};
use crate::world::{LANE, World, trust, verify_one, word};

/// Callers that ask one after the other for as long as the sidecar answers.
const CALLERS: usize = 4;

/// Blocks of an epoch: final after twice as many, which no reorganisation here passes.
const EPOCH: u32 = 4;

struct Trial {
    anvil: Anvil,
    world: World,
    random: u64,
    answered: Arc<AtomicU64>,
    reorganised: u64,
    killed: u64,
}

impl Trial {
    /// A number below `bound`, by xorshift, so that a run can be told from another by its seed alone.
    fn draw(&mut self, bound: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % bound
    }

    /// Anchors until there are `wanted` proofs, killed and reorganised again and again.
    async fn anchor(&mut self, wanted: u64) {
        let begun = Instant::now();
        while self.world.count() < wanted {
            let patience = Duration::from_secs(60 + 10 * wanted);
            assert!(begun.elapsed() < patience, "{} of {wanted} anchors", self.world.count());
            let mut child = self.world.files.start();
            let callers = self.callers().await;
            let lives = Duration::from_millis(1_000 + self.draw(5_000));
            let born = Instant::now();
            while born.elapsed() < lives {
                tokio::time::sleep(Duration::from_millis(100 + self.draw(900))).await;
                if self.draw(4) == 0 {
                    let depth = 1 + self.draw(u64::from(EPOCH));
                    self.anvil.call("anvil_reorg", json!([depth, []])).await;
                    self.reorganised += 1;
                }
            }
            child.kill();
            self.killed += 1;
            for caller in callers {
                caller.await.unwrap();
            }
        }
    }

    /// Starts callers; each ends with the sidecar.
    async fn callers(&self) -> Vec<JoinHandle<()>> {
        let mut callers = Vec::new();
        for _ in 0..CALLERS {
            let (mut model, answered) = (self.world.files.client().await, Arc::clone(&self.answered));
            callers.push(tokio::spawn(async move {
                while model.model_infer(request("r", 1.5)).await.is_ok() {
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            }));
        }
        callers
    }

    /// The hash that the chain has at the height of each proof's block, as an auditor would look it up.
    async fn blocks(&self, proofs: &[Vec<u8>]) -> Vec<[u8; 32]> {
        let mut blocks = Vec::new();
        for proof in proofs {
            let header = evm::BlockHeader::decode(&Bundle::decode(proof).unwrap().headers[0]).unwrap();
            let params = json!([format!("{:#x}", header.number), false]);
            let block = self.anvil.call("eth_getBlockByNumber", params).await;
            blocks.push(word(block["hash"].as_str().unwrap()));
        }
        blocks
    }
}

fn audit(store: &Path, world: &World, blocks: &[[u8; 32]]) -> Report {
    let mut chain = Trust::new(31_337);
    chain.contract = Some(world.deployed.contract.into_array());
    chain.first_key = Some(world.account.into_array());
    chain.blocks = blocks.to_vec();
    let quorum = Some("1 of ethereum".parse().unwrap());
    let trust = AnchorTrust { quorum, ethereum: vec![chain], ..AnchorTrust::default() };
    let options = verify_anchors::Options { policy: Some(world.files.policy()), trust: Some(trust) };
    verify_anchors::run_on_dir(store, &options, &mut Silent).unwrap().report
}

/// Runs the command line that regulators have, where no network is.
fn audit_without_a_network(store: &Path, world: &World, blocks: &[[u8; 32]]) {
    let program = Path::new(env!("CARGO_BIN_EXE_ledgerstone-sidecar")).with_file_name("ledgerstone");
    if !program.is_file() {
        println!("skipped the command line: {} is not built", program.display());
        return;
    }
    let trust = world.folder.path().join("trust.toml");
    let blocks: Vec<String> =
        blocks.iter().map(|block| format!("{}", alloy_primitives::B256::from(*block))).collect();
    let (contract, first) = (world.deployed.contract, world.account);
    let text = format!(
        "format = \"ledgerstone-anchor-trust/v1\"\nquorum = \"1 of ethereum\"\n[[ethereum]]\nchain_id = 31337\ncontract = \
         \"{contract}\"\nfirst_key = \"{first}\"\nblocks = {blocks:?}\n"
    );
    std::fs::write(&trust, text).unwrap();
    let output = Command::new("unshare")
        .args(["--map-root-user", "--net"])
        .arg(program)
        .args(["verify", "anchors"])
        .arg(store)
        .arg("--policy")
        .arg(store.join("log.policy"))
        .arg("--anchor-trust")
        .arg(trust)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let wrong = String::from_utf8_lossy(&output.stderr);
    println!("{}", said.lines().next().unwrap_or_default());
    assert!(output.status.success() && said.starts_with("VERIFIED"), "{said}{wrong}");
}

/// Changes every byte of every statement, checkpoint, consistency proof and bundle; none may hold.
fn every_changed_byte_is_found(
    world: &World,
    links: &[Link],
    proofs: &[Vec<u8>],
    blocks: &[[u8; 32]],
) -> u64 {
    let verifier = world.log_keys().verifier();
    let mut chain = ChainVerifier::new(&verifier, None);
    let mut tried = 0;
    for ((link, proof), block) in links.iter().zip(proofs).zip(blocks) {
        let statement = Statement::decode(&link.statement).unwrap();
        let mut refused = |what: &str, place: usize, changed: &Link| {
            let fits = chain.clone().push(changed).is_ok()
                && Statement::decode(&changed.statement).is_ok_and(|other| {
                    verify_one(proof, &other, &changed.statement, &trust(31_337, *block)).is_ok()
                });
            assert!(!fits, "{what} {}, byte {place}", statement.seq);
            tried += 1;
        };
        for place in 0..link.statement.len() {
            let mut changed = link.clone();
            changed.statement[place] ^= 1;
            refused("statement", place, &changed);
        }
        for place in 0..link.checkpoint.len() {
            let mut changed = link.clone();
            changed.checkpoint[place] ^= 1;
            refused("checkpoint", place, &changed);
        }
        for place in 0..32 * link.consistency.len() {
            let mut changed = link.clone();
            let mut hash = *changed.consistency[place / 32].as_bytes();
            hash[place % 32] ^= 1;
            changed.consistency[place / 32] = ledgerstone::hash::Hash::from_bytes(hash);
            refused("consistency proof", place, &changed);
        }
        for place in 0..proof.len() {
            let mut changed = proof.clone();
            changed[place] ^= 1;
            let is_bundle = Bundle::decode(&changed).is_ok();
            let holds = is_bundle
                && verify_one(&changed, &statement, &link.statement, &trust(31_337, *block))
                    .is_ok_and(|facts| matches!(facts.basis, evm::Basis::PinnedBlock { .. }));
            assert!(!holds, "proof {}, byte {place}", statement.seq);
            tried += 1;
        }
        chain.push(link).unwrap();
    }
    tried
}

#[tokio::test(flavor = "multi_thread")]
async fn anchors_made_under_load_kills_and_reorganisations_pass_an_audit_that_misses_no_change() {
    let wanted = std::env::var("ANCHOR_TRIAL").ok().and_then(|text| text.parse().ok()).unwrap_or(6);
    let Some(anvil) = Anvil::start(EPOCH, &[]).await else { return };
    let world = World::new(&anvil).await;
    world.lane(&[anvil.url()], "");
    // What deployed the contract is final before anything is reorganised.
    anvil.call("anvil_mine", json!(["0x28"])).await;
    let mut trial =
        Trial { anvil, world, random: 0x5eed, answered: Arc::default(), reorganised: 0, killed: 0 };
    trial.anchor(wanted / 2).await;
    let older = TempDir::new().unwrap();
    copy(&trial.world.files.store(), &older.path().join("store"));
    trial.anchor(wanted).await;

    let Trial { world, killed, reorganised, answered, .. } = &trial;
    // A statement without a proof was under way when the last kill came; an auditor is handed what is proved.
    let handed = TempDir::new().unwrap();
    let store = handed.path().join("store");
    copy(&world.files.store(), &store);
    let count = world.count();
    _ = std::fs::remove_dir_all(store.join(format!("anchors/{LANE}/{:08}", count + 1)));
    let links: Vec<Link> = world.links().into_iter().take(usize::try_from(count).unwrap()).collect();
    let proofs: Vec<Vec<u8>> =
        (1..=count).map(|seq| std::fs::read(world.statement(seq).join("proof.evm")).unwrap()).collect();
    let blocks = trial.blocks(&proofs).await;
    println!(
        "{count} anchors, {} decisions, {killed} kills, {reorganised} reorganisations",
        answered.load(Ordering::Relaxed)
    );
    let report = audit(&store, world, &blocks);
    assert_eq!(report.verdict(), Verdict::Verified, "{:#?}", report.checks());
    audit_without_a_network(&store, world, &blocks);

    let tried = every_changed_byte_is_found(world, &links, &proofs, &blocks);
    println!("{tried} bytes changed one by one, each found");
    let failed =
        |report: &Report, name| report.check(name).is_some_and(|check| check.status == Status::Failed);
    let aside = handed.path().join("aside");
    for seq in 1..count {
        let folder = store.join(format!("anchors/{LANE}/{seq:08}"));
        std::fs::rename(&folder, &aside).unwrap();
        let report = audit(&store, world, &blocks);
        assert!(failed(&report, CheckName::AnchorStatements), "statement {seq} was left out");
        std::fs::rename(&aside, &folder).unwrap();
    }
    std::fs::remove_dir_all(store.join("log")).unwrap();
    copy(&older.path().join("store/log"), &store.join("log"));
    let report = audit(&store, world, &blocks);
    assert!(failed(&report, CheckName::AnchorLog), "an older copy: {:#?}", report.checks());
}
