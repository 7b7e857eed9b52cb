//! What a stranger can do with files alone: check a receipt, check the log, notice a changed byte.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use ledgerstone::encoding::hex_encode;
use ledgerstone::merkle::{LeafIndex, TreeSize};
use ledgerstone::policy::Policy;
use ledgerstone::receipt::Receipt;
use ledgerstone::record::{FieldPath, Value, schema};
use ledgerstone::store::fs::FsReader;
use ledgerstone::tile::{EntryBundle, TILE_WIDTH, TileKind, TilePath};
use ledgerstone::verify::{self, Report};
use ledgerstone_verifier::anchors;
use ledgerstone_verifier::command::{verify_anchors, verify_log};
use ledgerstone_verifier::progress::Progress;

use crate::folder::RunFolder;

/// Digits of a digest that people are shown.
const DIGITS: usize = 16;

/// Bytes before each entry in a bundle: its length.
const PREFIX_BYTES: usize = 2;

/// Whom the stranger trusts: the public keys of the log, from its policy file.
///
/// # Errors
/// If the file cannot be read or is no policy.
pub fn policy(folder: &RunFolder) -> Result<Policy> {
    let text = fs::read(folder.policy()).context("the log has no policy file")?;
    Ok(Policy::parse(&text)?)
}

/// Checks a receipt file offline.
#[must_use]
pub fn check_receipt(receipt: &[u8], policy: &Policy) -> Report {
    verify::receipt(receipt, Some(policy))
}

/// What a receipt shows of the decision, in words and values; `score` is the output tensor of the score, if there is one.
///
/// # Errors
/// If the file is no receipt.
pub fn shown_by(receipt: &[u8], score: Option<&'static str>) -> Result<Vec<(&'static str, String)>> {
    let receipt = Receipt::parse(receipt)?;
    let openings = &receipt.disclosure().openings;
    let shown = |path: &FieldPath| {
        let opening = openings.iter().find(|opening| opening.path == *path);
        opening.map_or_else(|| "not shown".to_owned(), |opening| plain(&opening.value))
    };
    let hidden = u32::try_from(openings.len()).ok().and_then(|shown| fields(&receipt)?.checked_sub(shown));
    let mut rows =
        vec![("decision", receipt.decision().to_string()), ("outcome", shown(&schema::OUTCOME_ACTION))];
    if let Some(score) = score {
        rows.push((score, shown(&schema::score(score)?)));
    }
    rows.extend([
        ("model", format!("{}, SHA-256 {}", shown(&schema::MODEL_NAME), shown(&schema::MODEL_DIGEST))),
        (
            "shown",
            format!("{} facts; {} stay hidden, the inputs among them", openings.len(), hidden.unwrap_or(0)),
        ),
    ]);
    Ok(rows)
}

/// Fields of the record behind a receipt.
fn fields(receipt: &Receipt) -> Option<u32> {
    receipt.entry().commitment.map(|commitment| commitment.count)
}

fn plain(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        Value::Float(number) => format!("{number:.4}"),
        Value::Int(number) => number.to_string(),
        Value::Bool(truth) => truth.to_string(),
        Value::Bytes(bytes) => hex_encode(bytes).chars().take(DIGITS).chain("...".chars()).collect(),
        Value::Null | Value::Array(_) => "-".to_owned(),
    }
}

/// Checks every entry, tile and signature of a log.
///
/// # Errors
/// If there is no log in the folder.
pub fn check_log(log: &Path, policy: &Policy, progress: &mut dyn Progress) -> Result<Report> {
    let options = verify_log::Options { policy: Some(policy.clone()), ..Default::default() };
    Ok(verify_log::run_on_dir(log, &options, progress)?.report)
}

/// Checks the anchors of a run's log against the trust file that lies beside it.
///
/// # Errors
/// If there are none, or the trust file cannot be read.
pub fn check_anchors(folder: &RunFolder, policy: &Policy, progress: &mut dyn Progress) -> Result<Report> {
    let trust = anchors::read_trust(&folder.anchor_trust())?;
    let options = verify_anchors::Options { policy: Some(policy.clone()), trust: Some(trust) };
    Ok(verify_anchors::run_on_dir(&folder.store(), &options, progress)?.report)
}

/// One byte that was changed.
#[derive(Clone, Debug)]
pub struct Flipped {
    /// The file, below the log's folder.
    pub file: PathBuf,
    /// The byte's place in the file.
    pub offset: usize,
    /// What it was.
    pub from: u8,
    /// What it is now.
    pub to: u8,
}

/// Copies the public log and changes one bit of one entry in the copy.
///
/// # Errors
/// If the log cannot be copied, or has no such entry.
pub fn flip_one_byte(folder: &RunFolder, index: LeafIndex) -> Result<Flipped> {
    copy(&folder.log(), &folder.tampered())?;
    let size = FsReader::open(&folder.store()).size()?;
    let file = bundle_of(index, size)?;
    let path = folder.tampered().join(&file);
    let mut bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let offset = middle_of_entry(&bytes, usize::try_from(index.get() % u64::from(TILE_WIDTH))?)?;
    let byte = bytes.get_mut(offset).context("the bundle is too short")?;
    let from = *byte;
    *byte ^= 1;
    let to = *byte;
    fs::write(&path, bytes)?;
    Ok(Flipped { file, offset, from, to })
}

/// The bundle that holds an entry of a log of this size.
fn bundle_of(index: LeafIndex, size: TreeSize) -> Result<PathBuf> {
    ensure!(index.get() < size.get(), "entry {index} is not published");
    let number = index.get() / u64::from(TILE_WIDTH);
    let width = (size.get() - number * u64::from(TILE_WIDTH)).min(u64::from(TILE_WIDTH));
    let path = TilePath::partial(TileKind::Entries, number, u16::try_from(width)?)?;
    Ok(PathBuf::from(path.to_string()))
}

fn middle_of_entry(bundle: &[u8], place: usize) -> Result<usize> {
    let entries = EntryBundle::decode(bundle)?;
    let before: usize = entries.iter().take(place).map(|entry| PREFIX_BYTES + entry.len()).sum();
    let entry = entries.get(place).context("the bundle has no such entry")?;
    Ok(before + PREFIX_BYTES + entry.len() / 2)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
