//! Lanes from the configuration: reads the files that it names, and asks nobody.

use std::io;
use std::path::Path;

use ledgerstone::anchor::rfc3161::TrustError;
use ledgerstone::anchor::statement::LaneName;
use ledgerstone::code::Code;
use ledgerstone::note::KeyName;

use super::lane::Lane;
use super::opentimestamps::OpenTimestampsLane;
use super::rfc3161::Rfc3161Lane;
use super::submission::TargetFault;
use crate::config::anchors::{AnchorsConfig, EthereumConfig};
use crate::keyring::KeyProvider;
use crate::outbound::http::CaError;

/// Bytes of a file of the operator: a segment of Bitcoin headers has 20 MiB, revocation lists fewer.
const FILE_BYTES_MAX: u64 = 24 * 1024 * 1024;

/// The lanes of `config`, in its order.
///
/// # Errors
/// [`SetupError`] names the lane and what to change.
pub fn lanes(
    config: &AnchorsConfig,
    origin: &KeyName,
    keys: &dyn KeyProvider,
) -> Result<Vec<Box<dyn Lane>>, SetupError> {
    let mut lanes: Vec<Box<dyn Lane>> = Vec::new();
    for lane in &config.rfc3161 {
        lanes.push(Box::new(Rfc3161Lane::new(lane)?));
    }
    for lane in &config.opentimestamps {
        lanes.push(Box::new(OpenTimestampsLane::new(lane)?));
    }
    for lane in &config.ethereum {
        lanes.push(ethereum(lane, origin, keys)?);
    }
    Ok(lanes)
}

#[cfg(feature = "ethereum")]
fn ethereum(
    config: &EthereumConfig,
    origin: &KeyName,
    keys: &dyn KeyProvider,
) -> Result<Box<dyn Lane>, SetupError> {
    let failed = |error: super::evm::EvmSetupError| SetupError::File {
        lane: config.lane.name.clone(),
        problem: error.to_string(),
    };
    Ok(Box::new(super::evm::build(config, origin, keys).map_err(failed)?))
}

#[cfg(not(feature = "ethereum"))]
fn ethereum(config: &EthereumConfig, _: &KeyName, _: &dyn KeyProvider) -> Result<Box<dyn Lane>, SetupError> {
    let problem =
        "this program was built without EVM chains: build it with the feature `ethereum`".to_owned();
    Err(SetupError::File { lane: config.lane.name.clone(), problem })
}

/// Reads a file that the configuration names.
pub(super) fn read(lane: &LaneName, path: &Path) -> Result<Vec<u8>, SetupError> {
    let unreadable =
        |source| SetupError::Unreadable { lane: lane.clone(), path: path.display().to_string(), source };
    read_file(path).map_err(unreadable)
}

/// Reads a file of the operator.
pub(super) fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    if std::fs::metadata(path)?.len() > FILE_BYTES_MAX {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    std::fs::read(path)
}

/// Why a lane cannot be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// The certificates of `https`.
    #[error("anchors: lane {lane}: ca_file: {source}")]
    Ca {
        /// The lane.
        lane: LaneName,
        /// What is wrong.
        source: CaError,
    },
    /// A file cannot be read.
    #[error(
        "anchors: lane {lane}: cannot read {path}: {source}; check that it exists and that this user may read it"
    )]
    Unreadable {
        /// The lane.
        lane: LaneName,
        /// The file.
        path: String,
        /// What the operating system says.
        source: io::Error,
    },
    /// The roots of a timestamp authority.
    #[error("anchors: lane {lane}: roots_file {path}: {problem}")]
    Roots {
        /// The lane.
        lane: LaneName,
        /// The file.
        path: String,
        /// What is wrong.
        problem: String,
    },
    /// The policy of a timestamp authority.
    #[error("anchors: lane {lane}: policy {policy:?} is no object identifier")]
    Policy {
        /// The lane.
        lane: LaneName,
        /// As written.
        policy: String,
    },
    /// Another file that the lane works with.
    #[error("anchors: lane {lane}: {problem}")]
    File {
        /// The lane.
        lane: LaneName,
        /// What is wrong.
        problem: String,
    },
}

impl SetupError {
    pub(super) fn roots(lane: &LaneName, path: &Path, problem: &TrustError) -> Self {
        let (path, problem) = (path.display().to_string(), problem.to_string());
        Self::Roots { lane: lane.clone(), path, problem }
    }

    pub(super) fn file(lane: &LaneName, fault: &TargetFault) -> Self {
        Self::File { lane: lane.clone(), problem: fault.to_string() }
    }

    /// What the operator must do about it.
    #[must_use]
    pub const fn code(&self) -> Code {
        Code::Misuse
    }
}
