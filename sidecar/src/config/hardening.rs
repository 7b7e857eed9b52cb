//! What `[hardening]` says: what the process gives up before it serves, and whether it may do without.

use std::path::PathBuf;

use super::error::ConfigError;
use super::layers::Layers;

/// Whether something that the operating system may not have is needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Demand {
    /// The sidecar does not start without it.
    Required,
    /// It is taken as far as it is there, and what is missing is told.
    #[default]
    BestEffort,
    /// It is not asked for.
    Off,
}

impl Demand {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "required" => Some(Self::Required),
            "best-effort" => Some(Self::BestEffort),
            "off" => Some(Self::Off),
            _ => None,
        }
    }
}

/// What the process gives up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HardeningConfig {
    /// Files and TCP ports that the configuration does not name (Landlock).
    pub landlock: Demand,
    /// System calls that the sidecar does not make (seccomp).
    pub seccomp: Demand,
    /// Keys on pages that the operating system writes to no disk.
    pub memory: Demand,
    /// More files and folders to read.
    pub read: Vec<PathBuf>,
    /// More folders to write.
    pub write: Vec<PathBuf>,
}

const DEMAND: &str = "\"required\", \"best-effort\" or \"off\"";
const PATHS: &str = "paths from / on with ':' between them, for example /var/lib/softhsm:/opt/hsm";

impl HardeningConfig {
    pub(super) fn from_layers(layers: &Layers) -> Result<Self, ConfigError> {
        let demand = |key| layers.parse(key, DEMAND, Demand::parse);
        let paths = |key| match layers.get(key) {
            None => Ok(Vec::new()),
            Some(_) => layers.parse(key, PATHS, paths),
        };
        Ok(Self {
            landlock: demand("hardening.landlock")?,
            seccomp: demand("hardening.seccomp")?,
            memory: demand("hardening.memory")?,
            read: paths("hardening.read")?,
            write: paths("hardening.write")?,
        })
    }
}

/// Absolute paths; `/` itself would take everything back.
fn paths(text: &str) -> Option<Vec<PathBuf>> {
    let path = |text: &str| {
        let is_path =
            text.len() > 1 && text.starts_with('/') && !text.contains("/../") && !text.ends_with("/..");
        is_path.then(|| PathBuf::from(text))
    };
    text.split(':').map(path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_absolute_paths_and_nothing_that_takes_everything_back() {
        assert_eq!(paths("/a/b:/c"), Some(vec![PathBuf::from("/a/b"), PathBuf::from("/c")]));
        for wrong in ["", "/", "a", "/a:", ":/a", "/a:b", "/a/../..", "/a/../b"] {
            assert_eq!(paths(wrong), None, "{wrong}");
        }
    }
}
