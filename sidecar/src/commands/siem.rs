//! `siem ...`: where sinks are, having one go on from elsewhere, and trying one out.

use std::io::Write;
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow, bail};
use ledgerstone::siem::Fact;
use ledgerstone::store::fs::StdDisk;
use tokio::time::timeout;

use crate::cli::siem::SiemCommand;
use crate::config::Config;
use crate::config::siem::SinkConfig;
use crate::driver::{Clock, system_clock};
use crate::reader::LogReader;
use crate::siem::cursor::{self, Cursor, Position};
use crate::siem::{self, Alerts};

/// Runs `siem ...`.
///
/// # Errors
/// Those of the command.
pub fn siem(config: &Config, command: &SiemCommand, out: &mut impl Write) -> Result<()> {
    match command {
        SiemCommand::Status => status(config, out),
        SiemCommand::Reset { name, to } => reset(config, find(config, name)?, to, out),
        SiemCommand::Test { name } => test(config, find(config, name)?, out),
    }
}

fn find<'a>(config: &'a Config, name: &str) -> Result<&'a SinkConfig> {
    let names = || config.siem.iter().map(|sink| sink.name.as_str()).collect::<Vec<_>>().join(", ");
    let found = config.siem.iter().find(|sink| sink.name.as_str() == name);
    found.ok_or_else(|| match config.siem.is_empty() {
        true => anyhow!("no sink is configured: add a [[siem]] table"),
        false => anyhow!("no sink has that name; there are {}", names()),
    })
}

fn log(config: &Config) -> Result<LogReader> {
    LogReader::at_rest(&config.log.store)
        .with_context(|| format!("log.store: {}", config.log.store.display()))
}

fn status(config: &Config, out: &mut impl Write) -> Result<()> {
    let (log, disk, origin) = (log(config)?, StdDisk::new(&config.log.store), config.log.origin.as_str());
    let size = log.published().size.get();
    writeln!(out, "log {origin}: {size} entries published")?;
    for sink in &config.siem {
        let (name, kind) = (&sink.name, sink.target.kind());
        match cursor::look(&disk, &log, origin, name) {
            Ok(None) => writeln!(out, "{name} {kind}: nothing yet")?,
            Ok(Some(at)) => {
                let behind = size.saturating_sub(at.entries);
                writeln!(out, "{name} {kind}: next leaf index {}, {behind} entries behind", at.entries)?;
            }
            Err(error) => writeln!(out, "{name} {kind}: REFUSED: {error}")?,
        }
    }
    if config.siem.is_empty() {
        writeln!(out, "no sinks are configured")?;
    }
    Ok(())
}

fn reset(config: &Config, sink: &SinkConfig, to: &str, out: &mut impl Write) -> Result<()> {
    let (log, disk, origin) = (log(config)?, StdDisk::new(&config.log.store), config.log.origin.as_str());
    let size = log.published().size.get();
    let entries = match to {
        "beginning" => 0,
        "end" => size,
        number => number.parse().ok().context("--to is a leaf index, beginning or end")?,
    };
    if entries > size {
        bail!("the log has {size} entries, so none comes at {entries}: give a place up to {size}");
    }
    let alerts = Alerts::open(&config.log.store, config.writer.clone(), Arc::new(system_clock));
    let (mut cursor, before) = Cursor::anew(&disk, &log, origin, &sink.name)?;
    let alerts = match to {
        "beginning" => alerts.first(),
        "end" => alerts.next(),
        // What is not known to have been accepted is sent again rather than never.
        _ => before.unwrap_or(alerts.first()),
    };
    cursor.write(Position { entries, alerts })?;
    writeln!(out, "{}: next leaf index {entries}, {} entries behind", sink.name, size - entries)?;
    Ok(())
}

fn test(config: &Config, sink: &SinkConfig, out: &mut impl Write) -> Result<()> {
    let clock: Clock = Arc::new(system_clock);
    let alert = Alerts::open(&config.log.store, config.writer.clone(), Arc::clone(&clock)).alert(Fact::Test);
    let event = siem::rendered(config, sink, &alert);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let sent = runtime.block_on(async {
        let mut to = siem::sink_of(sink, &clock)?;
        let batch = [event];
        // As the export has it: so much for the delivery, and twice as much until that is confirmed.
        let limit = sink.timeout * 3;
        timeout(limit, async {
            to.deliver(&batch).await?;
            to.confirm().await
        })
        .await
        .with_context(|| format!("it accepted nothing within {} s", limit.as_secs_f64()))?
        .map_err(anyhow::Error::from)
        .map(|()| batch)
    });
    let sent = sent.with_context(|| format!("siem {:?} did not accept the test", sink.name.as_str()))?;
    for rendered in sent {
        writeln!(out, "{}: accepted event {}", sink.name, rendered.event.id())?;
        writeln!(out, "{}", rendered.text)?;
    }
    Ok(())
}
