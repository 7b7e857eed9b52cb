//! The processors that the tensor engine computes on.
//!
//! *Guarantees*: a processor that was asked for and is not there is an error that says so; nothing falls back to another one.
//!
//! *Does not do*: choose between several graphics processors; the first one is taken.

use ledgerstone::code::Code;

/// Where networks, and trees as tensor operations, are computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Processor {
    /// The main processor.
    #[default]
    Cpu,
    /// The first of NVIDIA's graphics processors; only in a program that was built for one.
    Cuda,
}

/// Why a processor cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessorError {
    /// The program holds no code for it.
    #[error("this program was not built for graphics processors")]
    NotBuilt,
    /// The driver finds no processor, or cannot use it.
    #[error("no graphics processor of NVIDIA's can be used: {problem}")]
    Absent {
        /// What the driver says.
        problem: String,
    },
}

impl ProcessorError {
    /// What the reader of this error should do.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::NotBuilt => Code::Misuse,
            Self::Absent { .. } => Code::Unavailable,
        }
    }

    /// The same as a sentence.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self {
            Self::NotBuilt => "Build one with scripts/build-cuda, or leave --device out.",
            Self::Absent { .. } => {
                "Check that `nvidia-smi` lists a processor, and that the driver is 580 or later; or leave --device out."
            }
        }
    }
}

impl Processor {
    /// Its name, on the command line and in profiles.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
        }
    }

    /// Whether this program, on this machine, can compute there.
    ///
    /// # Errors
    /// [`ProcessorError`] says why not.
    pub fn check(self) -> Result<(), ProcessorError> {
        #[cfg(feature = "neural")]
        return self.device().map(drop);
        #[cfg(not(feature = "neural"))]
        match self {
            Self::Cpu => Ok(()),
            Self::Cuda => Err(ProcessorError::NotBuilt),
        }
    }

    /// What the engine calls it.
    #[cfg(feature = "neural")]
    pub(super) fn device(self) -> Result<candle_core::Device, ProcessorError> {
        match self {
            Self::Cpu => Ok(candle_core::Device::Cpu),
            Self::Cuda => candle_core::Device::new_cuda(0).map_err(|error| match error {
                candle_core::Error::NotCompiledWithCudaSupport => ProcessorError::NotBuilt,
                // The first line is the message; a backtrace may follow it.
                error => ProcessorError::Absent {
                    problem: super::error::shown(error.to_string().lines().next().unwrap_or_default()),
                },
            }),
        }
    }
}
