//! Why a configuration cannot be used, each with what to change.

use std::io;
use std::path::PathBuf;

use ledgerstone::code::Code;

use super::Source;
use crate::outbound::shown;

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error(
        "configuration file {path} cannot be read ({source}): name it with --config or LEDGERSTONE_CONFIG"
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// The file is not TOML, or a `[[route]]` table in it makes no sense.
    #[error("configuration file {path}{}: {problem}", at_line(*.line))]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: Option<usize>,
        /// What is wrong.
        problem: String,
    },
    /// A key that does not exist.
    #[error("{from}: unknown key {key:?}{}", suggestion(.nearest.as_deref()))]
    UnknownKey {
        /// Where it was set.
        from: Source,
        /// The key.
        key: String,
        /// The known key that it was most likely meant to be.
        nearest: Option<String>,
    },
    /// A flag that is not `KEY=VALUE`.
    #[error("--set {flag:?}: write --set KEY=VALUE, for example --set log.store=/var/lib/ledgerstone")]
    Flag {
        /// The flag's value.
        flag: String,
    },
    /// Keys without which the sidecar does not start.
    #[error("missing {}", listed(.keys))]
    MissingKeys {
        /// Each key with what it means.
        keys: Vec<(&'static str, &'static str)>,
    },
    /// A value that is not what its key needs.
    #[error("{from}: {key} = {:?}: write {expected}", shown(.value))]
    BadValue {
        /// Where it was set.
        from: Source,
        /// The key.
        key: &'static str,
        /// The value.
        value: String,
        /// What it must be.
        expected: String,
    },
    /// One half of a pair.
    #[error("{present} is set and {absent} is not: set both or neither")]
    Half {
        /// The key that is set.
        present: &'static str,
        /// The key that is not.
        absent: &'static str,
    },
    /// Two places for one thing.
    #[error("{one} and {other} are both set: set one of them")]
    Both {
        /// The one key.
        one: &'static str,
        /// The other key.
        other: &'static str,
    },
    /// No place for something that is needed.
    #[error("neither {one} nor {other} is set: set one of them")]
    Neither {
        /// The one key.
        one: &'static str,
        /// The other key.
        other: &'static str,
    },
}

impl ConfigError {
    /// What the reader must do about it.
    #[must_use]
    pub const fn code(&self) -> Code {
        Code::Misuse
    }
}

fn at_line(line: Option<usize>) -> String {
    line.map(|line| format!(" line {line}")).unwrap_or_default()
}

fn suggestion(nearest: Option<&str>) -> String {
    match nearest {
        Some(nearest) => format!("; did you mean {nearest:?}?"),
        None => "; `config explain` lists the keys".to_owned(),
    }
}

fn listed(keys: &[(&'static str, &'static str)]) -> String {
    let list: Vec<String> = keys.iter().map(|(key, what)| format!("{key} ({what})")).collect();
    let example = keys.first().map_or("KEY", |(key, _)| key);
    format!("{}: set in the file, by environment or with --set {example}=VALUE", list.join(", "))
}
