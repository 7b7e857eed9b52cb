//! The file of a draw: with the plan and the log, all that is needed to draw again.
//!
//! *Guarantees*: a draw that parses is its own canonical form byte for byte, and looked at no index twice. *Does not do*: show that it
//! follows from the plan; `redo` does.

use std::io::{self, Write};

use ledgerstone::checkpoint::Checkpoint;
use ledgerstone::code::Code;
use ledgerstone::merkle::TreeSize;
use ledgerstone::note::KeyName;
use serde::{Deserialize, Serialize};

use super::super::plan::digest;
use super::super::reveal::RevealJson;
use super::super::{BEACONS_MAX, POPULATION_MAX, Reveal};
use super::{DRAW_FORMAT, Draw, LOOKED_AT_MAX};

/// Bytes of a draw: two million indices of 22 characters with their line feeds at most, and 16 values of less than a kilobyte.
pub const DRAW_BYTES_MAX: usize = 48 * 1024 * 1024;

/// The file, key by key.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: String,
    plan: String,
    origin: String,
    tree_size: u64,
    root: String,
    values: Vec<RevealJson>,
    seed: String,
    drawn: Vec<u64>,
    skipped: Vec<u64>,
}

impl Draw {
    /// Reads a draw.
    ///
    /// # Errors
    /// It is none, or not in canonical form.
    pub fn parse(bytes: &[u8]) -> Result<Self, TranscriptError> {
        if bytes.len() > DRAW_BYTES_MAX {
            return Err(TranscriptError::TooLong);
        }
        let file: File = serde_json::from_slice(bytes)
            .map_err(|error| TranscriptError::Json { line: error.line(), column: error.column() })?;
        if file.format != DRAW_FORMAT {
            return Err(TranscriptError::Format);
        }
        if file.tree_size > POPULATION_MAX || file.values.len() > BEACONS_MAX {
            return Err(TranscriptError::Values);
        }
        let hash = |text: &str| digest(text).ok_or(TranscriptError::Values);
        let draw = Self {
            plan: hash(&file.plan)?,
            checkpoint: Checkpoint {
                origin: KeyName::new(&file.origin).map_err(|_| TranscriptError::Values)?,
                size: TreeSize::new(file.tree_size),
                root: hash(&file.root)?,
            },
            reveals: (file.values.into_iter().map(Reveal::from_json).collect::<Option<_>>())
                .ok_or(TranscriptError::Values)?,
            seed: hash(&file.seed)?,
            drawn: file.drawn,
            skipped: file.skipped,
        };
        draw.check_indices()?;
        // The text is compared while it is written, so that a large draw is not held twice.
        let mut rest = Rest(bytes);
        match draw.write(&mut rest) {
            Ok(()) if rest.0.is_empty() => Ok(draw),
            _ => Err(TranscriptError::NotCanonical),
        }
    }

    /// Writes the canonical file.
    ///
    /// # Errors
    /// The writer's.
    pub fn write(&self, mut writer: impl Write) -> io::Result<()> {
        let file = File {
            format: DRAW_FORMAT.to_owned(),
            plan: self.plan.to_string(),
            origin: self.checkpoint.origin.to_string(),
            tree_size: self.checkpoint.size.get(),
            root: self.checkpoint.root.to_string(),
            values: self.reveals.iter().map(Reveal::to_json).collect(),
            seed: self.seed.to_string(),
            drawn: self.drawn.clone(),
            skipped: self.skipped.clone(),
        };
        serde_json::to_writer_pretty(&mut writer, &file)?;
        writer.write_all(b"\n")
    }

    /// Refuses an index that stands twice or outside the tree, and more than a draw looks at.
    fn check_indices(&self) -> Result<(), TranscriptError> {
        let mut seen: Vec<u64> = self.drawn.iter().chain(&self.skipped).copied().collect();
        seen.sort_unstable();
        let is_inside = seen.last().is_none_or(|last| *last < self.checkpoint.size.get());
        let is_short = u64::try_from(seen.len()).is_ok_and(|count| count <= LOOKED_AT_MAX);
        if is_inside && is_short && seen.is_sorted_by(|a, b| a < b) {
            Ok(())
        } else {
            Err(TranscriptError::Indices)
        }
    }
}

/// What is left of the bytes that must be written.
struct Rest<'a>(&'a [u8]);

impl Write for Rest<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.strip_prefix(bytes).ok_or(io::ErrorKind::InvalidData)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Why a file is no draw.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TranscriptError {
    /// More bytes than a draw has.
    #[error("a draw has at most {DRAW_BYTES_MAX} bytes")]
    TooLong,
    /// Not JSON with exactly the keys of a draw.
    #[error("line {line}, column {column}: not the JSON of an audit's draw")]
    Json {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
    /// Another format or version.
    #[error("the format is not {DRAW_FORMAT}")]
    Format,
    /// A digest, name, size or value that is none.
    #[error("the plan's digest, the log's tree, the seed or a value cannot be read")]
    Values,
    /// Indices that no draw gives.
    #[error("a leaf index stands twice, or is outside the tree, or there are too many")]
    Indices,
    /// Every value can be read, but the file is not written as a draw is.
    #[error("the file is not in canonical form")]
    NotCanonical,
}

impl TranscriptError {
    /// What the reader of this error should do.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::TooLong => Code::Limit,
            _ => Code::Malformed,
        }
    }
}
