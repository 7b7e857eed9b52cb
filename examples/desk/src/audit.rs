//! The audit: the operator exports evidence, and a regulator runs every decision of it again, without log, keys or network.
//!
//! *Guarantees*: what is recomputed comes from the bundle alone, and every entry of it was proved to stand in the signed log.
//!
//! *Does not do*: say that the features were true, or that this computation ran when the record says.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use ledgerstone::entry::Entry;
use ledgerstone::evidence::RecordPart;
use ledgerstone::hash::Hash;
use ledgerstone::merkle::LeafIndex;
use ledgerstone::policy::Policy;
use ledgerstone::record::{Contents, FieldPath, Record, RecordBuilder, Value, encode_contents};
use ledgerstone_sidecar::evidence::{Exported, Exporter, Wanted, WantedEntries};
use ledgerstone_sidecar::keyring::{self, FileKeyProvider};
use ledgerstone_sidecar::reader::LogReader;
use ledgerstone_verifier::audit::replay::Recomputer;
use ledgerstone_verifier::audit::results::{Head, Tail};
use ledgerstone_verifier::audit::run::{self, Admitted, Options, RunError};
use ledgerstone_verifier::bundle::{Bundle, BundleError, Order};
use ledgerstone_verifier::progress::Progress;

use crate::folder::RunFolder;

/// The operator's part: the whole log with its opened records and the model, in one file.
///
/// # Errors
/// If the log, the key or the model cannot be read, or the file cannot be written.
pub fn export(folder: &RunFolder) -> Result<Exported> {
    export_entries(folder, WantedEntries::Range { first: 0, last: None }, folder.bundle())
}

/// One entry of it, as [`evidence`] takes it.
///
/// # Errors
/// As [`export`].
pub fn export_one(folder: &RunFolder, index: LeafIndex) -> Result<Exported> {
    let (first, last) = (index.get(), Some(index.get()));
    export_entries(folder, WantedEntries::Range { first, last }, folder.bundle())
}

/// Some of it, in another file.
///
/// # Errors
/// As [`export`], or if the log does not have the entries.
pub fn export_entries(folder: &RunFolder, entries: WantedEntries, output: PathBuf) -> Result<Exported> {
    let log = LogReader::at_rest(&folder.store())?;
    let provider = Arc::new(FileKeyProvider::load(&folder.record_key())?);
    let checkpoint = log.published().checkpoint;
    let origin = Hash::of(checkpoint.lines().next().unwrap_or_default().as_bytes());
    let keys = keyring::to_read(&folder.store(), origin, provider)?;
    let models = folder.models().to_vec();
    let wanted = Wanted { entries, models, raw: true, recipients: Vec::new(), output };
    Ok(Exporter::survey(&log, keys.as_ref(), wanted)?.write(|_| {})?)
}

/// The regulator's part: every decision of the bundle run again.
///
/// # Errors
/// If the bundle is not to be relied on, or its checkpoint is not signed as `policy` asks.
pub fn recompute(
    folder: &RunFolder,
    policy: &Policy,
    progress: &mut (dyn Progress + Send),
) -> Result<(Head, Tail)> {
    let options = Options {
        bundle: folder.bundle(),
        output: folder.results(),
        threads: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        ..Options::default()
    };
    let admit = |front: &ledgerstone_verifier::bundle::Front| {
        policy.check(&front.checkpoint).map_err(|error| RunError::Checkpoint(error.to_string()))?;
        Ok(Admitted { checkpoint_verified: true, listed: None })
    };
    Ok(run::run(&options, admit, progress)?)
}

/// One entry of the bundle with its record, and the model that decided.
pub struct Evidence {
    entry: Entry,
    record: RecordPart,
    model: Recomputer,
}

/// Takes one decision out of the bundle.
///
/// # Errors
/// If the bundle does not read, or does not have it.
pub fn evidence(folder: &RunFolder, index: LeafIndex) -> Result<Evidence> {
    let mut found = None;
    let read = Bundle::new(&folder.bundle(), &[]).read(
        |front| Ok::<_, BundleError>((Order::new(&front, None), front.models)),
        |(order, _), number, bytes| {
            let proved = order.prove(number, &bytes)?;
            let entries = proved.entries.into_iter().zip(proved.run.entries);
            found = found.take().or(entries
                .into_iter()
                .find_map(|((at, entry), (_, record))| (at == index).then_some((entry, record))));
            Ok(())
        },
    );
    let (_, models) = read?;
    let (entry, record) = found.context("the bundle does not have this entry")?;
    let files =
        entry.model.and_then(|digest| models.get(&digest)).context("the model does not come along")?;
    Ok(Evidence { entry, record, model: Recomputer::load(files)? })
}

impl Evidence {
    /// What comes out if somebody who has the file, and the keys, but not the log, rewrites one value of the record.
    ///
    /// # Errors
    /// If the record does not open or has no such field.
    pub fn rewritten(&self, path: &FieldPath, value: Value) -> Result<Vec<String>> {
        let Contents { secret, record, request, response } = self.record.contents(&self.entry)?;
        let record = doctored(&record, path, value)?;
        let part = RecordPart::Opened(encode_contents(&secret, &record, request, response));
        let refused = part.contents(&self.entry).err().map(|error| error.to_string());
        let differences = self.model.replay(&record, response).differences;
        Ok(refused.into_iter().chain(differences.iter().map(ToString::to_string)).collect())
    }
}

/// The record with one value replaced.
fn doctored(record: &Record, path: &FieldPath, value: Value) -> Result<Record> {
    record.value(path).with_context(|| format!("the record has no {path}"))?;
    let mut builder = RecordBuilder::new();
    for field in record.fields() {
        let value = if field.path == *path { value.clone() } else { field.value.clone() };
        builder.add(field.path.clone(), value)?;
    }
    Ok(builder.build()?)
}
