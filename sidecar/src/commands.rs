//! What the command line does beside serving.

use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use ledgerstone::hash::Hash;

use crate::cli::siem::SiemCommand;
use crate::cli::{
    AnchorCommand, BundleCommand, Command, ConfigCommand, IndexCommand, InitArguments, RecordCommand,
    VaultCommand,
};
use crate::config::{Config, Inputs};
use crate::keyring::RecordKeys;

mod accesses;
mod anchor;
mod approvals;
mod backup;
mod bundle;
mod erase;
#[cfg(feature = "ethereum")]
mod evm;
mod gate;
mod harden;
mod init;
pub mod injector;
mod keys;
#[cfg(feature = "notices")]
mod notice;
mod open;
mod output;
mod packs;
mod reading;
mod rebuild;
mod receipt;
mod serve;
mod shell;
mod siem;
mod vault;

pub use self::accesses::accesses;
pub use self::anchor::anchor_status;
pub use self::approvals::approvals;
pub use self::backup::{back_up, restore};
pub use self::bundle::export;
pub use self::erase::erasure;
#[cfg(feature = "ethereum")]
pub use self::evm::{anchor_deploy, anchor_key};
pub use self::gate::gate;
pub use self::harden::harden;
pub use self::init::{init, init_if_absent};
pub use self::keys::keys;
#[cfg(feature = "notices")]
pub use self::notice::notice;
pub use self::open::open;
pub use self::output::Output;
pub use self::packs::packs;
pub use self::rebuild::rebuild;
pub use self::receipt::{receipt, receipt_export, receipt_key, receipt_letter, receipt_link, receipt_revoke};
pub use self::serve::serve;
pub use self::shell::{completions, man};
pub use self::siem::siem;
pub use self::vault::make as vault_make;

/// Runs `anchor ...`; `load` reads the configuration where one is needed.
///
/// # Errors
/// Those of the command.
pub fn anchor(
    command: &AnchorCommand,
    load: impl FnOnce() -> Result<Config>,
    out: &mut impl Write,
) -> Result<()> {
    match command {
        AnchorCommand::Status => anchor_status(&load()?, out),
        #[cfg(feature = "ethereum")]
        AnchorCommand::Key(arguments) => anchor_key(arguments, out),
        #[cfg(feature = "ethereum")]
        AnchorCommand::Deploy(arguments) => anchor_deploy(arguments, out),
    }
}

/// Does what `command` says and serves nothing; the exit status.
///
/// # Errors
/// What the command could not do.
pub fn run(command: Command, inputs: &Inputs, out: &mut impl Write) -> Result<ExitCode> {
    match command {
        Command::Run(_) | Command::Injector(_) => bail!("it serves, and is no command of these"),
        Command::Init(InitArguments { if_absent: true }) => init_if_absent(&load(inputs)?, out),
        Command::Init(InitArguments { if_absent: false }) => init(&load(inputs)?, out),
        Command::Config(ConfigCommand::Explain) => explain(inputs, out),
        Command::Keys(command) => keys(command, &load(inputs)?, out),
        Command::Index(IndexCommand::Rebuild) => rebuild(&load_to_write(inputs)?, out),
        Command::Record(RecordCommand::Open { decision_id }) => open(&load(inputs)?, &decision_id, out),
        Command::Record(RecordCommand::Accesses { decision_id }) => {
            accesses(&load(inputs)?, decision_id.as_deref(), out)
        }
        Command::Receipt(command) => receipt(&load(inputs)?, &command, out),
        Command::Anchor(command) => anchor(&command, || load(inputs), out),
        Command::Bundle(BundleCommand::Export(arguments)) => {
            let estimate_only = arguments.estimate;
            export(&load(inputs)?, arguments.wanted(), estimate_only, out)
        }
        Command::Vault(VaultCommand::Make(arguments)) => vault_make(&load(inputs)?, &arguments, out),
        Command::Approvals(command) => return approvals(&load(inputs)?, &command, out),
        Command::Completions { shell } => completions(shell, out),
        Command::Man { folder } => man(&folder),
        Command::Erasure(command) => erasure(&load(inputs)?, command, out),
        Command::Backup { folder } => back_up(&load(inputs)?, &folder, out),
        Command::Restore(arguments) => restore(&load(inputs)?, &arguments, out),
        Command::Hardening(arguments) => return harden(&load(inputs)?, &arguments, out),
        Command::Packs(command) => return packs(&command, || load(inputs), out),
        Command::Siem(SiemCommand::Status) => siem(&load(inputs)?, &SiemCommand::Status, out),
        Command::Siem(command) => siem(&load_to_write(inputs)?, &command, out),
        Command::Gate(command) => return gate(&command, &load(inputs)?, out),
        #[cfg(feature = "notices")]
        Command::Notice(command) => notice(&command, || load(inputs), out),
    }
    .map(|()| ExitCode::SUCCESS)
}

/// Reads the configuration; binds nothing.
///
/// # Errors
/// If the sidecar would not start with it.
pub fn load(inputs: &Inputs) -> Result<Config> {
    let config = Config::load(inputs)?;
    for name in &config.ignored {
        tracing::warn!(%name, "an environment variable fits no key of the configuration and is ignored");
    }
    Ok(config)
}

/// The same for a command that writes beside a sidecar: not as root where that is another user, who could not read it then.
fn load_to_write(inputs: &Inputs) -> Result<Config> {
    let config = load(inputs)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let owner = std::fs::metadata(&config.log.store).map_or(0, |about| about.uid());
        if owner != 0 && rustix::process::geteuid().is_root() {
            bail!(
                "{} belongs to user {owner}, who could not read what root writes: give the command as that user, for example with sudo -u '#{owner}'",
                config.log.store.display()
            );
        }
    }
    Ok(config)
}

/// What opens the records of the log of `config`: its keyring, and the key-encryption key behind that.
fn record_keys(config: &Config) -> Result<Box<dyn RecordKeys>> {
    let provider = crate::keyring::open(&config.keys)?;
    let origin = Hash::of(config.log.origin.as_str().as_bytes());
    Ok(crate::keyring::to_read(&config.log.store, origin, provider)?)
}

/// Prints each key of the configuration with its value and who said so.
///
/// # Errors
/// If the configuration would not start.
pub fn explain(inputs: &Inputs, out: &mut impl Write) -> Result<()> {
    write!(out, "{}", Config::explain(inputs)?).context("the configuration cannot be printed")
}
