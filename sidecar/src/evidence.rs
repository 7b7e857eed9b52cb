//! Evidence bundles: entries of the log with their proofs and opened records, in one file for somebody without the log.
//!
//! Guarantees: reads the log's files only, so it runs beside a sidecar; the same log, selection and models give the same file;
//! a record that cannot be opened is named as absent, never left out; the file appears under its name when it is whole.
//! Does not do: checking the log (whoever takes the bundle does) or deciding who may have the records: whoever
//! holds the keys may run this.
//! Specification: `docs/spec/evidence-bundle.md`.

mod archive;
mod error;
mod models;
mod runs;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use ledgerstone::checkpoint::SignedCheckpoint;
use ledgerstone::encoding::{base64_encode, hex_encode};
use ledgerstone::evidence::{FORMAT, Header, RecordPart, Run, Selection, part};
use ledgerstone::hash::Hash;
use ledgerstone::merkle::TreeSize;
use serde::Deserialize;

use self::archive::Archive;
pub use self::error::ExportError;
use self::models::Model;
use self::runs::{Part, Survey};
use crate::keyring::RecordKeys;
use crate::reader::LogReader;

/// Bytes of a draw's transcript.
const DRAW_BYTES_MAX: u64 = 48 * 1024 * 1024;

/// What to export.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Which entries.
    pub entries: WantedEntries,
    /// Folders or files of models; each goes in under its digest.
    pub models: Vec<PathBuf>,
    /// Whether records carry the request and the response as they were on the wire, where they were kept.
    pub raw: bool,
    /// Whom to encrypt to: age recipients. Nobody: the file is readable by whoever has it.
    pub recipients: Vec<String>,
    /// Where the file goes.
    pub output: PathBuf,
}

/// Which entries to export.
#[derive(Clone, Debug)]
pub enum WantedEntries {
    /// From the first to the last leaf index, both included; without a last one, up to the newest published.
    Range {
        /// The first one.
        first: u64,
        /// The last one.
        last: Option<u64>,
    },
    /// Those of a draw, from its transcript.
    Draw(PathBuf),
}

/// What a draw's transcript says of where it drew and what; the rest of it is for the auditor.
#[derive(Debug, Deserialize)]
struct Drawn {
    origin: String,
    tree_size: u64,
    root: String,
    #[serde(flatten)]
    sample: Sample,
    #[serde(default)]
    strata: Vec<Sample>,
}

/// One sample of a draw.
#[derive(Debug, Deserialize)]
struct Sample {
    drawn: Vec<u64>,
    skipped: Vec<u64>,
}

impl Drawn {
    /// Every index once: those drawn in the order of the samples, and those skipped.
    fn listed(&self) -> (Vec<u64>, Vec<u64>) {
        let mut seen = BTreeSet::new();
        let samples = || std::iter::once(&self.sample).chain(&self.strata);
        let drawn = samples().flat_map(|sample| &sample.drawn).copied();
        let drawn = drawn.filter(|index| seen.insert(*index)).collect();
        let skipped = samples().flat_map(|sample| &sample.skipped).copied();
        (drawn, skipped.filter(|index| seen.insert(*index)).collect())
    }
}

/// What is about to be written.
#[derive(Clone, Debug)]
pub struct Estimate {
    /// Entries in the bundle.
    pub entries: u64,
    /// Those of them that have a record.
    pub records: u64,
    /// Bytes of entries, records and models before compression; records count as they are sealed.
    pub bytes: u64,
    /// Decisions whose model does not come along, by its digest: they cannot be recomputed from this bundle.
    pub without_model: Vec<(Option<Hash>, u64)>,
}

/// What was written.
#[derive(Clone, Debug)]
pub struct Exported {
    /// Bytes of the file.
    pub bytes: u64,
    /// Entries whose record is absent, by reason.
    pub absent: BTreeMap<&'static str, u64>,
    /// Runs that an earlier, interrupted export had written already.
    pub resumed: u64,
}

/// One export: first [`Exporter::survey`], then [`Exporter::write`].
pub struct Exporter<'a> {
    log: &'a LogReader,
    keys: &'a dyn RecordKeys,
    wanted: Wanted,
    header: Header,
    checkpoint: String,
    draw: Option<(Vec<u8>, String)>,
    models: Vec<Model>,
    registrations: Vec<Part>,
    survey: Survey,
}

impl<'a> Exporter<'a> {
    /// Looks at what is wanted, without opening a record.
    ///
    /// # Errors
    /// [`ExportError`] if the log does not have it, or a model cannot be read.
    pub fn survey(log: &'a LogReader, keys: &'a dyn RecordKeys, wanted: Wanted) -> Result<Self, ExportError> {
        let checkpoint = archive::checkpoint_to_resume(&wanted.output)?
            .unwrap_or_else(|| log.published().checkpoint.to_string());
        let signed = SignedCheckpoint::parse(checkpoint.as_bytes()).map_err(ExportError::Checkpoint)?;
        let signed = signed.checkpoint();
        let (selection, survey, draw) = match &wanted.entries {
            WantedEntries::Range { first, last } => {
                let last_index = last.unwrap_or_else(|| signed.size.get().saturating_sub(1));
                if *first > last_index || last_index >= signed.size.get() {
                    return Err(ExportError::Range { first: *first, last: last_index, size: signed.size });
                }
                let survey = Survey::of_range(log, *first, last_index)?;
                (Selection::Range { first_index: *first, last_index }, survey, None)
            }
            WantedEntries::Draw(path) => {
                let bytes = archive::read_bounded(path, DRAW_BYTES_MAX)?;
                let drawn: Drawn = serde_json::from_slice(&bytes).map_err(|source| ExportError::Draw {
                    path: path.clone(),
                    problem: source.to_string(),
                })?;
                let consistency = consistency(log, &drawn, signed, path)?;
                let (listed, skipped) = drawn.listed();
                let survey = Survey::of_draw(log, &listed, &skipped, drawn.tree_size)?;
                let selection = Selection::Draw {
                    sha256: hex_encode(Hash::of(&bytes).as_bytes()),
                    tree_size: drawn.tree_size,
                    drawn: listed.len() as u64,
                    skipped: skipped.len() as u64,
                };
                (selection, survey, Some((bytes, consistency)))
            }
        };
        let models = models::read_all(&wanted.models)?;
        let registrations = runs::registrations(log, signed.size)?;
        let header = Header {
            format: FORMAT.to_owned(),
            origin: signed.origin.as_str().to_owned(),
            tree_size: signed.size.get(),
            root: hex_encode(signed.root.as_bytes()),
            selection,
            entries: survey.entries,
            runs: survey.parts.len() as u64,
            models: models.iter().map(Model::part).collect(),
            registrations: registrations.len() as u64,
        };
        Ok(Self { log, keys, wanted, header, checkpoint, draw, models, registrations, survey })
    }

    /// What will be written.
    #[must_use]
    pub fn estimate(&self) -> Estimate {
        let models: u64 = self.header.models.iter().map(|model| model.bytes).sum();
        let here = |digest: &Hash| self.models.iter().any(|model| model.digest() == *digest);
        let without = self.survey.models.iter().filter(|(digest, _)| !digest.as_ref().is_some_and(here));
        Estimate {
            entries: self.survey.entries,
            records: self.survey.records,
            bytes: self.survey.bytes + models,
            without_model: without.map(|(digest, count)| (*digest, *count)).collect(),
        }
    }

    /// First and last leaf index of what is written; of a draw, those that it could have drawn.
    #[must_use]
    pub fn stretch(&self) -> (u64, u64) {
        match self.header.selection {
            Selection::Range { first_index, last_index } => (first_index, last_index),
            Selection::Draw { tree_size, .. } => (0, tree_size.saturating_sub(1)),
        }
    }

    /// Writes the bundle, and says after each run how many entries are in it. An export that was interrupted goes on where it
    /// was, unless it encrypts.
    ///
    /// # Errors
    /// [`ExportError`] if the log cannot be read or the file cannot be written. What is there stays, to go on from.
    pub fn write(&self, mut progress: impl FnMut(u64)) -> Result<Exported, ExportError> {
        let header = serde_json::to_vec_pretty(&self.header).map_err(ExportError::Header)?;
        let mut archive =
            Archive::open(&self.wanted.output, &self.wanted.recipients, &header, &self.checkpoint)?;
        let resumed = archive.runs();
        if archive.is_fresh() {
            self.write_front(&mut archive, &header)?;
        }
        let mut done = 0;
        let size = TreeSize::new(self.header.tree_size);
        let nodes = self.log.nodes();
        for (number, piece) in (0..).zip(&self.survey.parts) {
            if number >= resumed {
                let run = runs::read(self.log, &nodes, size, *piece, |index, entry, sealed| {
                    runs::open(self.keys, index, entry, sealed, self.wanted.raw)
                })?;
                archive.count_absent(&run);
                archive.run(&name_of(*piece, number, &self.header.selection), &run)?;
            }
            done += u64::from(piece.count);
            progress(done);
        }
        let (bytes, absent) = archive.finish()?;
        Ok(Exported { bytes, absent, resumed })
    }

    fn write_front(&self, archive: &mut Archive, header: &[u8]) -> Result<(), ExportError> {
        archive.member(part::HEADER, header)?;
        archive.member(part::CHECKPOINT, self.checkpoint.as_bytes())?;
        archive.member(part::POLICY, self.log.policy_text().as_bytes())?;
        if let Some((draw, consistency)) = &self.draw {
            archive.member(part::DRAW, draw)?;
            archive.member(part::CONSISTENCY, consistency.as_bytes())?;
        }
        for model in &self.models {
            model.write(archive)?;
        }
        let (nodes, size) = (self.log.nodes(), TreeSize::new(self.header.tree_size));
        for piece in &self.registrations {
            let run = runs::read(self.log, &nodes, size, *piece, |_, _, _| RecordPart::None)?;
            archive.member(&format!("{}{:012}.cbor", part::REGISTRATIONS, piece.first), &run.encode())?;
        }
        archive.front_is_written()
    }
}

/// The member of a run: its place in a draw, or its first leaf index, so that names rise either way.
fn name_of(piece: Part, number: u64, selection: &Selection) -> String {
    let number = match selection {
        Selection::Range { .. } => piece.first,
        Selection::Draw { .. } => number,
    };
    format!("{}{number:012}.cbor", part::RUNS)
}

/// That the drawn tree is the beginning of the published one, as the part says it.
fn consistency(
    log: &LogReader,
    drawn: &Drawn,
    signed: &ledgerstone::checkpoint::Checkpoint,
    path: &std::path::Path,
) -> Result<String, ExportError> {
    let wrong = |problem: String| ExportError::Draw { path: path.to_owned(), problem };
    if drawn.origin != signed.origin.as_str() {
        return Err(wrong(format!("it is of the log {:?}, and this is {}", drawn.origin, signed.origin)));
    }
    let (from, to) = (TreeSize::new(drawn.tree_size), signed.size);
    if from.is_empty() || from > to {
        return Err(wrong(format!("it is of {from} entries, and this log has published {to}")));
    }
    let nodes = log.nodes();
    let root = ledgerstone::merkle::root(&nodes, from).map_err(|error| ExportError::Log(error.into()))?;
    if hex_encode(root.as_bytes()) != drawn.root {
        return Err(wrong(format!("its root is not that of this log's first {from} entries")));
    }
    let proof = log.consistency(from, to)?;
    Ok(proof.iter().map(|hash| base64_encode(hash.as_bytes()) + "\n").collect())
}

/// The absent records of a run.
fn absences(run: &Run) -> impl Iterator<Item = &'static str> {
    run.entries.iter().filter_map(|(_, record)| match record {
        RecordPart::Absent(absence) => Some(absence.as_str()),
        _ => None,
    })
}

#[cfg(test)]
mod tests;
