//! `approvals status` and `approvals propose`: what the configuration changes, and who has to approve it.
//!
//! Guarantees: the same code looks at the log and the configuration as at a start; nothing is changed but by writing new files.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use ledgerstone::approval::{Change, ChangeKind, History, Nonce, Roster, Statement};
use ledgerstone::limits::APPROVAL_LIFETIME_MS_MAX;

use crate::approvals::{self, Wanted, retention_text};
use crate::cli::approvals::ApprovalsCommand;
use crate::config::{self, Config};
use crate::intercept::recorder::now;
use crate::keyring::{self, KeyProvider as _};
use crate::reader::LogReader;

/// Says who must approve what and what waits, or writes what is to be signed.
///
/// # Errors
/// If the log or the approvers cannot be read, or a file cannot be written.
pub fn approvals(config: &Config, command: &ApprovalsCommand, out: &mut impl Write) -> Result<ExitCode> {
    let log = LogReader::at_rest(&config.log.store)
        .with_context(|| format!("log.store: {}", config.log.store.display()))?;
    let keys = keyring::open(&config.keys)?;
    let (history, wanted) = (approvals::read(&log, None)?, Wanted::new(config, keys.key_id())?);
    match command {
        ApprovalsCommand::Status => status(config, &history, &wanted, out),
        ApprovalsCommand::Propose { output, valid } => {
            let lifetime = config::duration(valid).filter(|valid| !valid.is_zero() && *valid <= longest());
            let lifetime = lifetime.context("--valid is a time such as 7d or 12h, at most 31d")?;
            propose(config, &history, &wanted, output, lifetime, out).map(|()| ExitCode::SUCCESS)
        }
    }
}

const fn longest() -> Duration {
    Duration::from_millis(APPROVAL_LIFETIME_MS_MAX)
}

fn status(config: &Config, history: &History, wanted: &Wanted, out: &mut impl Write) -> Result<ExitCode> {
    writeln!(out, "log                  {}", config.log.origin)?;
    match history.roster_at() {
        None => writeln!(out, "roster in force      none: nobody has to approve anything")?,
        Some(index) => {
            let roster = history.roster();
            writeln!(
                out,
                "roster in force      sha256:{}, entry {index}, {} keys",
                roster.digest(),
                roster.keys()
            )?;
        }
    }
    for kind in ChangeKind::ALL {
        if let Some((need, of)) = history.roster().rule(kind) {
            writeln!(out, "  {:<18} {need} of {of} persons", kind.as_str())?;
        }
    }
    match &wanted.roster {
        None => writeln!(out, "configured           none")?,
        Some(roster) => configured(config, roster, out)?,
    }
    let changes = approvals::changes(history, wanted);
    if changes.is_empty() {
        writeln!(out, "Nothing waits: the configuration is what the log says.")?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut waits = false;
    for change in &changes {
        let asks = history.roster().rule(change.kind());
        waits |= asks.is_some();
        let state = match asks {
            None => "said in the log at the next start, nobody has to approve it".to_owned(),
            Some((need, of)) => format!("takes the approval of {need} of {of}"),
        };
        writeln!(out, "changed              {change}")?;
        writeln!(out, "                     {state}")?;
    }
    Ok(if waits { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn configured(config: &Config, roster: &Roster, out: &mut impl Write) -> Result<()> {
    writeln!(out, "configured           sha256:{}", roster.public().digest())?;
    for (kind, rule) in &config.approvals.rules {
        writeln!(out, "  {:<18} {rule}", kind.as_str())?;
    }
    for approver in roster.approvers() {
        writeln!(out, "  {:<18} {} {}", approver.name, approver.key.name(), approver.key.id())?;
    }
    Ok(())
}

fn propose(
    config: &Config,
    history: &History,
    wanted: &Wanted,
    folder: &Path,
    lifetime: Duration,
    out: &mut impl Write,
) -> Result<()> {
    let changes = approvals::changes(history, wanted);
    let governed: Vec<&Change> =
        changes.iter().filter(|change| history.roster().rule(change.kind()).is_some()).collect();
    if governed.is_empty() {
        writeln!(out, "Nothing in the configuration waits for approval; nothing was written.")?;
        return Ok(());
    }
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let millis = u64::try_from(lifetime.as_millis()).unwrap_or(APPROVAL_LIFETIME_MS_MAX);
    for change in governed {
        let created = now();
        let nonce = Nonce::new(*crate::seal::random().context("a nonce cannot be drawn")?);
        let expires = created.plus_millis(millis);
        let statement =
            Statement { log: config.log.origin.clone(), change: change.clone(), created, expires, nonce };
        let path = folder.join(format!("{}.statement", change.subject().replace(' ', "-")));
        write_new(&path, statement.to_text().as_bytes())?;
        writeln!(out, "wrote {}: {change}", path.display())?;
        if change.kind() == ChangeKind::Retention {
            let path = folder.join("retention.txt");
            write_new(&path, retention_text(config).as_bytes())?;
            writeln!(out, "wrote {}: whose SHA-256 that is", path.display())?;
        }
    }
    writeln!(
        out,
        "Have each signed with `ledgerstone approval sign`, and put the signed files into approvals.folder."
    )?;
    Ok(())
}

fn write_new(path: &Path, bytes: &[u8]) -> Result<()> {
    if path.exists() {
        bail!("{} exists already and was left as it is: choose another folder", path.display());
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .with_context(|| path.display().to_string())?;
    file.write_all(bytes).and_then(|()| file.sync_all()).with_context(|| path.display().to_string())
}
