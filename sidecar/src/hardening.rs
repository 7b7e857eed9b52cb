//! What the process gives up once it knows its configuration: core dumps, files, ports, system calls, swapped keys.
//!
//! Guarantees: [`begin`] comes before anything is read, [`apply`] before the first thread is started and the first socket is
//! bound, so no thread is without; what is `required` and cannot be had ends the start, and what is missing otherwise is told
//! in a log line, on `/hardening` and in `/metrics`. Nothing of it can be taken back by this process.
//! Does not do: isolation from the kernel, from root, or from a PKCS#11 module, which runs inside this process.
//!
//! | part | what it is | from |
//! | --- | --- | --- |
//! | core dumps | none, and nobody without root reads this process's memory or environment | any Linux |
//! | Landlock | files and TCP ports that the configuration names, and no others | 5.13; ports from 6.7 |
//! | seccomp | the system calls that a sidecar makes, and no others; none that starts a program | 3.17 |
//! | memory | keys on pages that are not swapped | any Linux, within `RLIMIT_MEMLOCK` |

use std::fmt;

use ledgerstone::code::Code;
use opentelemetry::KeyValue;

use crate::config::{Config, Demand};
use crate::locked;
use crate::metrics::Metrics;

mod needs;
#[cfg(target_os = "linux")]
mod process;
#[cfg(target_os = "linux")]
mod ruleset;
#[cfg(target_os = "linux")]
mod seccomp;
#[cfg(target_os = "linux")]
mod syscalls;

#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(not(target_os = "linux"))]
use self::elsewhere::{process, ruleset, seccomp};

pub use self::needs::Needs;

/// How one part stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// It holds, for the rest of the process; with what it consists of.
    Active(String),
    /// It does not, or not whole; with the reason.
    Missing(String),
    /// The configuration says that it is not wanted.
    Off,
}

impl Part {
    /// Whether it holds.
    #[must_use]
    pub const fn is_active(&self) -> bool {
        matches!(self, Self::Active(_))
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Active(what) => write!(f, "active: {what}"),
            Self::Missing(why) => write!(f, "MISSING: {why}"),
            Self::Off => f.write_str("off"),
        }
    }
}

/// What was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// No core dumps, no reading of this process by others, no new privileges.
    pub process: Part,
    /// Files and ports.
    pub landlock: Part,
    /// System calls.
    pub seccomp: Part,
    /// Whether keys are locked in memory, as far as that is asked for.
    pub memory: Demand,
}

impl Report {
    /// How the locking of keys stands now.
    #[must_use]
    pub fn memory(&self) -> Part {
        let locked::Counts { locked, unlocked } = locked::counts();
        match self.memory {
            Demand::Off => Part::Off,
            _ if unlocked > 0 => Part::Missing(format!(
                "{unlocked} bytes of keys could not be locked, {locked} are; raise the limit on locked memory (LimitMEMLOCK=)"
            )),
            _ => Part::Active(format!("{locked} bytes")),
        }
    }

    /// Each part by its name.
    #[must_use]
    pub fn parts(&self) -> [(&'static str, Part); 4] {
        [
            ("process", self.process.clone()),
            ("landlock", self.landlock.clone()),
            ("seccomp", self.seccomp.clone()),
            ("memory", self.memory()),
        ]
    }

    /// Writes a log line for each part.
    pub fn tell(&self) {
        for (part, state) in self.parts() {
            match state {
                Part::Active(what) => tracing::info!(part, what, "hardened"),
                Part::Missing(why) => tracing::warn!(part, why, "not hardened"),
                Part::Off => tracing::warn!(part, "not hardened: the configuration turned it off"),
            }
        }
    }

    /// Adds a gauge: 1 for each part that holds.
    pub(crate) fn measure(&self, metrics: &Metrics) {
        let report = self.clone();
        metrics.series("ledgerstone_hardening", "1 for each part of the hardening that holds", move || {
            let parts = report.parts().into_iter();
            parts
                .map(|(part, state)| (vec![KeyValue::new("part", part)], u64::from(state.is_active())))
                .collect()
        });
        metrics.gauge("ledgerstone_locked_bytes", "Bytes of keys that are locked in memory", || {
            locked::counts().locked as u64
        });
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (part, state) in self.parts() {
            writeln!(f, "{part:<10}{state}")?;
        }
        writeln!(f, "{:<10}{}", "tls", crate::tls::provider_name())
    }
}

/// Gives up what no command needs: core dumps, being read by others, new privileges. Before anything is read.
#[must_use]
pub fn begin() -> Part {
    process::give_up()
}

/// Gives up what `config` does not need. No thread may have been started, and no port bound.
///
/// # Errors
/// [`HardeningError`] if something is required and cannot be had.
pub fn apply(config: &Config) -> Result<Report, HardeningError> {
    let (process, wanted) = (begin(), &config.hardening);
    locked(config)?;
    let landlock = match wanted.landlock {
        Demand::Off => Part::Off,
        _ => ruleset::restrict(&Needs::of(config)),
    };
    let seccomp = match wanted.seccomp {
        Demand::Off => Part::Off,
        _ => seccomp::filter(!config.keys.loads_a_module()),
    };
    for (key, demand, part) in
        [("hardening.landlock", wanted.landlock, &landlock), ("hardening.seccomp", wanted.seccomp, &seccomp)]
    {
        if let (Demand::Required, Part::Missing(why)) = (demand, part) {
            return Err(HardeningError::Missing { key, why: why.clone() });
        }
    }
    Ok(Report { process, landlock, seccomp, memory: wanted.memory })
}

/// Sees that keys can be locked, as far as that is asked for.
fn locked(config: &Config) -> Result<(), HardeningError> {
    match config.hardening.memory {
        Demand::Off => locked::turn_off(),
        Demand::BestEffort => process::raise_lock_limit(),
        Demand::Required => {
            process::raise_lock_limit();
            let keys = config.keys.pool + crate::keyring::REMEMBERED_MAX;
            locked::reserve(keys).map_err(|bytes| HardeningError::Memory { bytes })?;
        }
    }
    Ok(())
}

/// Why the sidecar does not start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HardeningError {
    /// The operating system does not have it.
    #[error(
        "{key} is \"required\" and cannot be had: {why}; start it where it can, or set {key} = \"best-effort\""
    )]
    Missing {
        /// The key.
        key: &'static str,
        /// What is missing.
        why: String,
    },
    /// Too little memory may be locked.
    #[error(
        "hardening.memory is \"required\" and not enough memory may be locked: raise the limit to {bytes} bytes (ulimit -l, \
         LimitMEMLOCK=), make keys.pool smaller, or set hardening.memory = \"best-effort\""
    )]
    Memory {
        /// What is needed.
        bytes: usize,
    },
}

impl HardeningError {
    /// What the reader must do about it.
    #[must_use]
    pub const fn code(&self) -> Code {
        Code::Misuse
    }
}
