//! `hardening`: what `run` would give up, done and looked at.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;

use crate::cli::HardeningArguments;
use crate::config::Config;
use crate::hardening::{self, Needs, Part};

/// How long a connection is waited for: what is not allowed is refused at once.
const PATIENCE: Duration = Duration::from_secs(2);

/// Prints what `config` needs, gives up everything else as `run` does, and tries the places of `arguments`.
///
/// # Errors
/// If something that is required cannot be had, or nothing can be printed.
pub fn harden(config: &Config, arguments: &HardeningArguments, out: &mut impl Write) -> Result<ExitCode> {
    let needs = Needs::of(config);
    for (word, paths) in [("reads", &needs.read), ("writes", &needs.write)] {
        for path in paths {
            let state = if path.exists() { "" } else { " (not there)" };
            writeln!(out, "{word:<12}{}{state}", path.display())?;
        }
    }
    writeln!(out, "listens on  {}", listed(&needs.listen))?;
    let connects = needs.connect.as_deref().map_or_else(|| "any port".to_owned(), listed);
    writeln!(out, "connects to {connects}\n")?;
    let report = hardening::apply(config)?;
    write!(out, "{report}")?;
    let mut is_whole = !report.parts().iter().any(|(_, part)| matches!(part, Part::Missing(_)));

    let read = arguments.read.iter().map(|path| ("read", path.display().to_string(), read(path)));
    let append = |path: &PathBuf| OpenOptions::new().append(true).open(path).map(drop);
    let write = arguments.write.iter().map(|path| ("write", path.display().to_string(), append(path)));
    let connect = arguments.connect.iter().map(|address| {
        ("connect to", address.to_string(), TcpStream::connect_timeout(address, PATIENCE).map(drop))
    });
    for (verb, place, tried) in read.chain(write).chain(connect) {
        match tried {
            Ok(()) => writeln!(out, "may {verb} {place}")?,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                is_whole = false;
                writeln!(out, "may not {verb} {place}: {error}")?;
            }
            Err(error) => writeln!(out, "may {verb} {place}, which fails: {error}")?,
        }
    }
    Ok(if is_whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn read(path: &PathBuf) -> io::Result<()> {
    match path.is_dir() {
        true => fs::read_dir(path).map(drop),
        false => fs::File::open(path).map(drop),
    }
}

fn listed(ports: &[u16]) -> String {
    let ports: Vec<_> = ports.iter().map(ToString::to_string).collect();
    if ports.is_empty() { "no port".to_owned() } else { ports.join(", ") }
}
