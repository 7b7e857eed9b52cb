//! `anchor key`, `anchor deploy`, and what `anchor status` says of a lane on an EVM chain.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use ledgerstone::anchor::statement::LaneName;
use ledgerstone::note::KeyName;
use tokio::runtime::Runtime;

use crate::anchor::evm::deploy::Deployment;
use crate::anchor::evm::key::{AnchorSigner as _, FileSigner};
use crate::anchor::evm::rpc::Endpoint;
use crate::anchor::evm::{self, build};
use crate::cli::{AnchorKeyArguments, DeployArguments};
use crate::config::Config;
use crate::driver::system_clock;
use crate::keyring::{self, FileKeyProvider, KeyProvider};
use crate::outbound::http::Client;

/// How long one answer of the endpoint may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Draws a key and prints its account.
///
/// # Errors
/// If there is a file already, or it cannot be written.
pub fn anchor_key(arguments: &AnchorKeyArguments, out: &mut impl Write) -> Result<()> {
    let keys = provider(arguments.wrap_with.as_deref())?;
    let signer = FileSigner::create(&arguments.file, keys.as_ref().map(|keys| keys as &dyn KeyProvider))?;
    writeln!(out, "created the anchor key {} (mode 0600)", arguments.file.display())?;
    writeln!(out, "its account is {}", signer.address())?;
    writeln!(out, "  fund it with little: it pays for anchors, and a thief can do no more than spend that")?;
    Ok(())
}

/// Deploys the contract, registers the log, and prints a lane for the configuration.
///
/// # Errors
/// If the chain, the key or the contract is not what it must be; what was done before stays done.
pub fn anchor_deploy(arguments: &DeployArguments, out: &mut impl Write) -> Result<()> {
    let origin = KeyName::new(&arguments.origin).context("--origin")?;
    let keys = provider(arguments.unwrap_with.as_deref())?;
    let signer = FileSigner::load(&arguments.key_file, keys.as_ref().map(|keys| keys as &dyn KeyProvider))?;
    let http = Client::new(TIMEOUT, arguments.ca_file.as_deref()).context("--ca-file")?;
    let endpoint = Endpoint::new(&arguments.rpc, http).context("--rpc")?;
    let contract = match arguments.contract.as_deref().map(str::parse) {
        None => None,
        Some(Ok(contract)) => Some(contract),
        Some(Err(_)) => bail!("--contract: write an address, 0x and 40 hexadecimal digits"),
    };
    let deployment = Deployment {
        endpoint,
        signer: &signer,
        origin: origin.as_str().to_owned(),
        chain_id: arguments.chain_id,
        contract,
    };
    let done = Runtime::new().context("no runtime")?.block_on(deployment.run())?;
    match done.deploy_gas {
        Some(gas) => writeln!(out, "# deployed AnchorHead at {} ({gas} gas)", done.contract)?,
        None => writeln!(out, "# AnchorHead at {} has the expected code", done.contract)?,
    }
    match done.register_gas {
        Some(gas) => writeln!(out, "# registered {origin} for {} ({gas} gas)", signer.address())?,
        None => writeln!(out, "# {origin} is registered for {} already", signer.address())?,
    }
    writeln!(out, "# the account has {} wei left", done.balance)?;
    writeln!(out, "[[anchors.ethereum]]\nname = \"ethereum\"")?;
    writeln!(out, "chain_id = {}\nrpc = [{:?}]", done.chain_id, arguments.rpc)?;
    writeln!(out, "contract = \"{}\"", done.contract)?;
    writeln!(out, "key_file = {:?}", arguments.key_file.display().to_string())?;
    if let Some(ca_file) = &arguments.ca_file {
        writeln!(out, "ca_file = {:?}", ca_file.display().to_string())?;
    }
    Ok(())
}

/// Prints how the chain sees `lane`, if it is on one.
///
/// # Errors
/// If it cannot be printed. A chain that does not answer is printed as that.
pub(super) fn chain_status(config: &Config, lane: &LaneName, out: &mut impl Write) -> Result<()> {
    let Some(ethereum) = config.anchors.ethereum.iter().find(|found| found.lane.name == *lane) else {
        return Ok(());
    };
    let described = || -> Result<String> {
        let keys = keyring::open(&config.keys)?;
        let lane: evm::EvmLane = build(ethereum, &config.log.origin, keys.as_ref())?;
        let (store, origin) = (&config.log.store, config.log.origin.as_str());
        Ok(Runtime::new()?.block_on(lane.describe(store, origin, system_clock())))
    };
    match described() {
        Ok(text) => write!(out, "{text}")?,
        Err(error) => writeln!(out, "  chain: {error:#}")?,
    }
    Ok(())
}

fn provider(path: Option<&Path>) -> Result<Option<FileKeyProvider>> {
    Ok(path.map(FileKeyProvider::load).transpose()?)
}
