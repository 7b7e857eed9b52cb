//! `erase`, `hold`, `release`, `retention` and `keyring`: asked of the running sidecar, except what only works without one.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use ledgerstone::grpc::{Screened, screened};
use ledgerstone::hash::Hash;
use ledgerstone::proto::ledgerstone_v1::keyring_client::KeyringClient;
use ledgerstone::proto::ledgerstone_v1::target::Kind;
use ledgerstone::proto::ledgerstone_v1::{
    BackUpRequest, EraseRequest, GetKeyringRequest, HoldRequest, ReleaseRequest, RotateRequest, SweepRequest,
    Target,
};
use ledgerstone::store::disk::Disk as _;
use ledgerstone::store::fs::StdDisk;
use tonic::transport::{Channel, Endpoint};

use crate::cli::erasure::{ErasureCommand, KeyringCommand, RetentionArguments, TargetArguments};
use crate::config::Config;
use crate::intercept::recorder::now;
use crate::keyring::{self, Keyring, Restored, month};
use crate::reader::LogReader;
use crate::retention;
use crate::tls;

/// Does what the keyring is asked for.
///
/// # Errors
/// If the sidecar cannot be reached where it must run, runs where it must not, or refuses: a refusal stands in the log too.
pub fn erasure(config: &Config, command: ErasureCommand, out: &mut impl Write) -> Result<()> {
    match command {
        ErasureCommand::Erase(command) => {
            let (target, ground, operator) = command.parts();
            erase(config, target, &ground, &operator, out)
        }
        ErasureCommand::Hold { target, operator } => hold(config, target, &operator, out),
        ErasureCommand::Release { hold, operator } => release(config, &hold, &operator, out),
        ErasureCommand::Retention(arguments) => retention(config, &arguments, out),
        ErasureCommand::Keyring(command) => keyring(config, &command, out),
    }
}

/// Erases, and says how it ended.
fn erase(
    config: &Config,
    target: TargetArguments,
    ground: &str,
    operator: &str,
    out: &mut impl Write,
) -> Result<()> {
    let target = self::target(target)?;
    let erased = ask(config, async |mut ring| {
        let request =
            EraseRequest { target: Some(target), ground: ground.to_owned(), operator: operator.to_owned() };
        Ok(ring.erase(request).await?.into_inner())
    })?;
    let entries = erased.leaf_indices.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
    if !erased.erased {
        bail!("nothing was erased ({}); the refusal is entry {entries} of the log", erased.outcome);
    }
    writeln!(out, "erased: {} records, {} keys destroyed", erased.records, erased.keys)?;
    writeln!(out, "erasure {}, entries {entries} of the log", erased.erasure_id)?;
    Ok(())
}

/// Forbids to erase until the hold is released, and prints its id.
fn hold(config: &Config, target: TargetArguments, operator: &str, out: &mut impl Write) -> Result<()> {
    let target = self::target(target)?;
    let held = ask(config, async |mut ring| {
        Ok(ring.hold(HoldRequest { target: Some(target), operator: operator.to_owned() }).await?.into_inner())
    })?;
    writeln!(out, "hold {}, entry {} of the log", held.hold_id, held.leaf_index)?;
    Ok(())
}

/// Ends a hold.
fn release(config: &Config, hold: &str, operator: &str, out: &mut impl Write) -> Result<()> {
    let released = ask(config, async |mut ring| {
        let request = ReleaseRequest { hold_id: hold.to_owned(), operator: operator.to_owned() };
        Ok(ring.release(request).await?.into_inner())
    })?;
    writeln!(out, "released, entry {} of the log", released.leaf_index)?;
    Ok(())
}

/// Says what is over, or has it erased.
fn retention(config: &Config, arguments: &RetentionArguments, out: &mut impl Write) -> Result<()> {
    if arguments.dry_run {
        return dry_run(config, out);
    }
    let operator = arguments.operator.clone().context("--operator says who erases; --dry-run only looks")?;
    let (mut keys, mut records) = (0, 0);
    loop {
        let swept = ask(config, async |mut ring| {
            Ok(ring.sweep(SweepRequest { operator: operator.clone() }).await?.into_inner())
        })?;
        keys += swept.keys;
        records += swept.records;
        if !swept.more {
            writeln!(out, "erased: {records} records, {keys} keys destroyed")?;
            return Ok(());
        }
        writeln!(out, "{records} records, {keys} keys so far")?;
    }
}

fn dry_run(config: &Config, out: &mut impl Write) -> Result<()> {
    let ring = reading(config)?;
    let found = retention::dry_run(&ring, &config.retention.matrix, month(now()))?;
    writeln!(out, "{:<32} {:>10} {:>12} {:>12}", "class", "kept for", "keys over", "records over")?;
    for class in &found {
        let kept = class.months.map_or_else(|| "ever".to_owned(), |months| format!("{months} months"));
        let name = if class.class.is_empty() { "(none)" } else { &class.class };
        writeln!(out, "{name:<32} {kept:>10} {:>12} {:>12}", class.keys, class.records)?;
    }
    let records: u64 = found.iter().map(|class| class.records).sum();
    writeln!(out, "{records} records are over; those that are held stay. Nothing was changed.")?;
    Ok(())
}

/// Looks after the keyring.
fn keyring(config: &Config, command: &KeyringCommand, out: &mut impl Write) -> Result<()> {
    match command {
        KeyringCommand::Status => status(config, out),
        KeyringCommand::Backup { output: None } => {
            let copy = ask(config, async |mut ring| Ok(ring.back_up(BackUpRequest {}).await?.into_inner()))?;
            Ok(writeln!(out, "wrote {}", copy.path)?)
        }
        KeyringCommand::Backup { output: Some(path) } => {
            reading(config)?.copy_to(path)?;
            Ok(writeln!(
                out,
                "wrote {}: wrapped keys only, useless without the key-encryption key",
                path.display()
            )?)
        }
        KeyringCommand::Restore { from, without_backup, discard_current } => {
            restore(config, from.as_deref(), *without_backup, *discard_current, out)
        }
        KeyringCommand::Rotate { approval } => rotate(config, approval.as_deref(), out),
    }
}

fn status(config: &Config, out: &mut impl Write) -> Result<()> {
    let ring = ask(config, async |mut ring| Ok(ring.get_keyring(GetKeyringRequest {}).await?.into_inner()))?;
    writeln!(out, "key-encryption key   {}", ring.key_encryption_key)?;
    writeln!(out, "subject keys         {}", ring.keys)?;
    writeln!(out, "nobody's yet         {}", ring.pooled)?;
    writeln!(out, "destroyed            {}", ring.destroyed)?;
    writeln!(out, "holds                {}", ring.holds)?;
    writeln!(out, "entries to append    {}", ring.unfinished)?;
    writeln!(out, "keys to wrap anew    {}", ring.to_rotate)?;
    writeln!(out, "managed copies       {}", ring.backups)?;
    writeln!(out, "covers               {} entries", ring.size)?;
    writeln!(out, "bytes                {}", ring.bytes)?;
    Ok(())
}

fn rotate(config: &Config, approval: Option<&Path>, out: &mut impl Write) -> Result<()> {
    let approval = match approval {
        None => Vec::new(),
        Some(path) => std::fs::read(path).with_context(|| path.display().to_string())?,
    };
    let mut done = 0;
    loop {
        let request = RotateRequest { approval: approval.clone().into() };
        let rotated = ask(config, async |mut ring| Ok(ring.rotate(request.clone()).await?.into_inner()))?;
        if let Some(index) = rotated.approved_at {
            writeln!(
                out,
                "approved, entry {index} of the log; restart the sidecar: the configured key comes into force then"
            )?;
            return Ok(());
        }
        done += rotated.keys;
        if rotated.left == 0 {
            writeln!(out, "{done} keys were wrapped anew; none is under an earlier key-encryption key")?;
            return Ok(());
        }
        writeln!(out, "{done} keys, {} left", rotated.left)?;
    }
}

fn restore(
    config: &Config,
    from: Option<&Path>,
    without_backup: bool,
    discard_current: bool,
    out: &mut impl Write,
) -> Result<()> {
    let store = &config.log.store;
    let lock = StdDisk::new(store).lock("lock").context("the store cannot be locked")?;
    let Some(_lock) = lock else {
        bail!("the sidecar is running on {}; stop it first", store.display());
    };
    let log = LogReader::at_rest(store).with_context(|| format!("log.store: {}", store.display()))?;
    let (provider, origin) = (keyring::open(&config.keys)?, origin(config));
    let Restored { lost, unsaid } = match from {
        Some(from) => keyring::restore(store, origin, provider, &log, from, discard_current)?,
        None if without_backup => {
            Restored { lost: keyring::begin_again(store, origin, provider, &log)?, unsaid: 0 }
        }
        None => bail!("--from names the copy; without any, --without-backup gives the records up for good"),
    };
    writeln!(out, "the keyring is in place; what was destroyed is not in it")?;
    if unsaid > 0 {
        writeln!(
            out,
            "{unsaid} keys were destroyed by erasures that this log does not have: it is older than they are"
        )?;
    }
    if lost > 0 {
        writeln!(out, "{lost} records lie under keys that it does not have, and will never open again")?;
    }
    Ok(())
}

fn origin(config: &Config) -> Hash {
    Hash::of(config.log.origin.as_str().as_bytes())
}

fn reading(config: &Config) -> Result<Keyring> {
    Ok(Keyring::open_to_read(&config.log.store, origin(config), keyring::open(&config.keys)?)?)
}

fn target(arguments: TargetArguments) -> Result<Target> {
    let TargetArguments { subject, decision } = arguments;
    let kind = match (subject, decision) {
        (Some(subject), None) if subject == "-" => {
            let mut read = String::new();
            std::io::stdin()
                .read_line(&mut read)
                .context("the reference cannot be read from standard input")?;
            Kind::Subject(read.trim_end_matches(['\r', '\n']).to_owned())
        }
        (Some(subject), None) => Kind::Subject(subject),
        (None, Some(decision)) => Kind::DecisionId(decision),
        _ => bail!("name one: --subject or --decision"),
    };
    Ok(Target { kind: Some(kind) })
}

/// Asks the running sidecar.
fn ask<T>(
    config: &Config,
    call: impl AsyncFnOnce(KeyringClient<Screened>) -> Result<T, tonic::Status>,
) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let channel = connect(config).await?;
        call(KeyringClient::new(screened(channel)))
            .await
            .map_err(|status| anyhow::anyhow!("{}", status.message()))
    })
}

async fn connect(config: &Config) -> Result<Channel> {
    let Some(mut address) = config.recorder_listen else {
        bail!(
            "recorder.listen names no address, so the sidecar serves no keyring: set it and restart the sidecar"
        );
    };
    if address.ip().is_unspecified() {
        address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), address.port());
    }
    let endpoint = match &config.server.tls {
        None => Endpoint::from_shared(format!("http://{address}"))?,
        Some(tls) => {
            let Some((ca, identity)) = tls.own_ports() else {
                bail!(
                    "the ports show a certificate of server.tls.workload_api, which no file checks: call ledgerstone.v1.Keyring with a client that knows SPIFFE ids"
                );
            };
            Endpoint::from_shared(format!("https://{address}"))?.tls_config(tls::client(ca, identity)?)?
        }
    };
    endpoint
        .connect()
        .await
        .with_context(|| format!("no sidecar answers at {address}: start it, or see recorder.listen"))
}
