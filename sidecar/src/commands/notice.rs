//! `notice list`, `notice templates` and `notice render`.
//!
//! Guarantees: what the data file says reaches the notice and nothing else; what is recorded of a notice is its kind, template,
//! channel, time and digest. A file that is there is never replaced.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use ledgerstone::grpc::screened;
use ledgerstone::limits::{NOTICE_BYTES_MAX, NOTICE_DATA_BYTES_MAX};
use ledgerstone::proto::ledgerstone_v1::recorder_client::RecorderClient;
use ledgerstone::proto::ledgerstone_v1::value::Kind as Of;
use ledgerstone::proto::ledgerstone_v1::{AppendFollowUpRequest, AppendFollowUpResponse, Field, Value};
use ledgerstone::time::Date;
use tonic::transport::Endpoint;

use super::open;
use crate::cli::notice::{NoticeArguments, NoticeCommand};
use crate::config::{Config, TlsConfig};
use crate::intercept::recorder::now;
use crate::notices::{Data, Kind, Notice, Request, Templates, render};
use crate::tls;

/// Runs `notice ...`; `load` reads the configuration where one is needed.
///
/// # Errors
/// If the notice cannot be made, written or recorded.
pub fn notice(
    command: &NoticeCommand,
    load: impl FnOnce() -> Result<Config>,
    out: &mut impl Write,
) -> Result<()> {
    match command {
        NoticeCommand::List => list(out),
        NoticeCommand::Templates { folder } => templates(folder, out),
        NoticeCommand::Render(arguments) => make(&load()?, arguments, out),
    }
}

/// Prints the kinds.
fn list(out: &mut impl Write) -> Result<()> {
    for kind in Kind::all() {
        writeln!(out, "{}  {}", kind.name, kind.languages.join(" "))?;
        writeln!(out, "  {}", kind.title)?;
        writeln!(out, "  Rules: {}", kind.sources.join("; "))?;
        if !kind.packs.is_empty() {
            writeln!(out, "  Packs: {}", kind.packs.join(", "))?;
        }
        writeln!(out, "  Recorded as {}", kind.entry)?;
        let needs = kind.needs.iter().chain(&kind.shows);
        writeln!(out, "  Must show {}", needs.map(String::as_str).collect::<Vec<_>>().join(", "))?;
        for when in &kind.when {
            writeln!(out, "  With {} also {}", when.given, when.shows.join(", "))?;
        }
        writeln!(out)?;
    }
    writeln!(out, "What somebody read of the law; no legal advice. Whoever sends a notice answers for it.")?;
    Ok(())
}

/// Writes the templates that come along.
fn templates(folder: &Path, out: &mut impl Write) -> Result<()> {
    for (name, text) in Templates::built_in() {
        let path = folder.join(name);
        let parent = path.parent().unwrap_or(folder);
        fs::create_dir_all(parent).with_context(|| format!("{}", parent.display()))?;
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(mut file) => {
                file.write_all(text.as_bytes()).with_context(|| format!("{}", path.display()))?;
                writeln!(out, "{}", path.display())?;
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                writeln!(out, "{} is there already and was left alone", path.display())?;
            }
            Err(error) => return Err(error).with_context(|| format!("{}", path.display())),
        }
    }
    Ok(())
}

fn make(config: &Config, arguments: &NoticeArguments, out: &mut impl Write) -> Result<()> {
    let Some(kind) = Kind::find(&arguments.kind) else {
        let names: Vec<String> = Kind::all().into_iter().map(|kind| kind.name).collect();
        bail!("--kind {:?}: there are {}", arguments.kind, names.join(", "));
    };
    let told = match &arguments.decision {
        Some(decision) => open::history(config, decision)?,
        None => Vec::new(),
    };
    let data = Data::parse(&read(&arguments.data, NOTICE_DATA_BYTES_MAX)?)
        .with_context(|| format!("{}", arguments.data.display()))?;
    let date = arguments.date.as_deref().map(|text| day("--date", text)).transpose()?;
    let request = Request {
        kind: &kind,
        language: &arguments.language,
        format: arguments.format,
        date: date.unwrap_or_else(|| Date::of(now())),
        row: arguments.row,
        data: &data,
        told: &told,
    };
    let notice = render(&Templates::new(config.notice_templates.clone()), &request)?;
    let is_new = write(&arguments.output, &notice.bytes)?;
    let written = if is_new { "Written to" } else { "The same as" };
    writeln!(out, "{written} {}, {} bytes", arguments.output.display(), notice.bytes.len())?;
    writeln!(out, "SHA-256   {}", notice.digest)?;
    writeln!(out, "Template  {}", notice.template_version)?;
    if notice.reasons > 0 {
        let left_out = match notice.reasons_left_out {
            0 => "all that the record has".to_owned(),
            count => format!("the principal ones; {count} more that the record has are left out"),
        };
        writeln!(out, "Reasons   {}, {left_out}", notice.reasons)?;
    }
    if let (true, Some(decision)) = (arguments.record, &arguments.decision) {
        let added = record(config, arguments, &kind, &notice, decision)?;
        let again = if added.repeated { ", where it was already" } else { "" };
        writeln!(out, "Recorded  at leaf index {}{again}", added.leaf_index)?;
    }
    Ok(())
}

fn day(flag: &str, text: &str) -> Result<Date> {
    Date::parse(text).with_context(|| format!("{flag} {text:?}: write a date as YYYY-MM-DD"))
}

/// The file, up to one byte past `most`.
fn read(path: &Path, most: usize) -> Result<Vec<u8>> {
    let read = || -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(path)?.take(most as u64 + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    read().with_context(|| format!("{}", path.display()))
}

/// Writes a file that only its owner reads; false if it is there already and says the same.
fn write(path: &Path, bytes: &[u8]) -> Result<bool> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(mut file) => {
            let written = file.write_all(bytes).and_then(|()| file.sync_all());
            written.with_context(|| format!("{}", path.display()))?;
            Ok(true)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            if read(path, NOTICE_BYTES_MAX)? != bytes {
                bail!("{} is there and says something else: give another name, or delete it", path.display());
            }
            Ok(false)
        }
        Err(error) => Err(error).with_context(|| format!("{}", path.display())),
    }
}

/// Adds a notice entry to the decision. The request bears the file's digest, so that the same notice is added once.
fn record(
    config: &Config,
    arguments: &NoticeArguments,
    kind: &Kind,
    notice: &Notice,
    decision: &str,
) -> Result<AppendFollowUpResponse> {
    let delivered = match &arguments.delivered {
        Some(text) => day("--delivered", text)?.start(),
        None => now(),
    };
    let field = |part: &str, kind: Of| Field {
        path: format!("notice/[0]/{part}"),
        value: Some(Value { kind: Some(kind) }),
    };
    let fields = vec![
        field("kind", Of::Text(kind.entry.clone())),
        field("template_version", Of::Text(notice.template_version.clone())),
        field("channel", Of::Text(arguments.channel.clone().unwrap_or_default())),
        field("delivered_at", Of::Int(delivered.get().to_string())),
        field("digest", Of::Bytes(notice.digest.as_bytes().to_vec().into())),
    ];
    let digest = notice.digest.to_string();
    let request = AppendFollowUpRequest {
        decision_id: decision.to_owned(),
        kind: "notice".to_owned(),
        request_id: format!("notice-{}", digest.get(..32).unwrap_or(&digest)),
        fields,
    };
    let endpoint = endpoint(config, arguments)?;
    let address = endpoint.uri().to_string();
    let append = async {
        let channel = endpoint.connect().await?;
        Ok::<_, anyhow::Error>(
            RecorderClient::new(screened(channel)).append_follow_up(request).await?.into_inner(),
        )
    };
    let runtime = tokio::runtime::Runtime::new().context("no threads")?;
    runtime.block_on(append).with_context(|| {
        format!("the notice was written, and {address} did not record it; the same command with --record tries again")
    })
}

/// Where additions are taken.
fn endpoint(config: &Config, arguments: &NoticeArguments) -> Result<Endpoint> {
    let url = match (&arguments.recorder, config.recorder_listen) {
        (Some(url), _) => url.clone(),
        (None, Some(address)) => {
            let scheme = if config.server.tls.is_some() { "https" } else { "http" };
            format!("{scheme}://{address}")
        }
        (None, None) => bail!("recorder.listen is not set: give the address with --recorder URL"),
    };
    let endpoint = Endpoint::from_shared(url.clone()).with_context(|| format!("--recorder {url:?}"))?;
    if !url.starts_with("https://") {
        return Ok(endpoint);
    }
    let own = config.server.tls.as_ref().and_then(TlsConfig::own_ports);
    let (ca, identity) = match (&arguments.ca, own) {
        (Some(ca), own) => (ca.as_path(), own.and_then(|(_, identity)| identity)),
        (None, Some(own)) => own,
        (None, None) => bail!("give the certificates that the address is checked against with --ca FILE"),
    };
    Ok(endpoint.tls_config(tls::client(ca, identity)?)?)
}
