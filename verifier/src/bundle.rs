//! Evidence bundles, read from front to back: what stands before the runs, then one run after the other.
//!
//! *Guarantees*: memory is bounded by the models and one run; the parts stand in their order and nothing else is there; each
//! model is the one that its digest names; the runs are as many as the header says and cover what it says; a file that ends early
//! is refused. Every run is handed on only after it was proved to stand in the header's tree.
//!
//! *Does not do*: decide whether the checkpoint is to be trusted, open records (they are opened already), or recompute.
//! Specification: `docs/spec/evidence-bundle.md`.

mod decrypt;
mod error;
mod parts;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use ledgerstone::checkpoint::SignedCheckpoint;
use ledgerstone::encoding::base64_decode;
use ledgerstone::entry::Entry;
use ledgerstone::evidence::{FORMAT, HEADER_BYTES_MAX, Header, RUN_BYTES_MAX, Run, Selection, part};
use ledgerstone::hash::Hash;
use ledgerstone::limits::{NOTE_BYTES_MAX, POLICY_BYTES_MAX, PROOF_HASHES_MAX};
use ledgerstone::merkle::{LeafIndex, TreeSize, consistency};
use ledgerstone::registry::Registrations;

pub use self::error::BundleError;
pub use self::parts::manifest;
use self::parts::{Member, Parts};

/// Bytes of all models of a bundle together.
pub const MODELS_BYTES_MAX: u64 = 8 << 30;

/// The window that zstd may ask for: 128 MiB, the default of its own tool.
const WINDOW_LOG_MAX: u32 = 27;

/// The files of one model by name.
pub type ModelFiles = BTreeMap<String, Vec<u8>>;

/// Everything that stands before the runs.
#[derive(Clone, Debug)]
pub struct Front {
    /// What the bundle says that it holds.
    pub header: Header,
    /// Size of the tree that the runs are proved in.
    pub size: TreeSize,
    /// Its root.
    pub root: Hash,
    /// The signed checkpoint of that tree, not yet verified.
    pub checkpoint: Vec<u8>,
    /// The policy that the log gives out; not to be trusted for being here.
    pub policy: Vec<u8>,
    /// The transcript of the draw, and what it says of the tree that was drawn from.
    pub draw: Option<DrawPart>,
    /// The models by the digest that decisions name.
    pub models: BTreeMap<Hash, ModelFiles>,
    /// The registrations that came along, each proved to stand in the tree. That none was left out cannot be seen here.
    pub registrations: Registrations,
}

/// The draw that a bundle was made for.
#[derive(Clone, Debug)]
pub struct DrawPart {
    /// The transcript, word for word.
    pub transcript: Vec<u8>,
    /// Proof that the drawn tree is the beginning of the checkpoint's.
    pub consistency: Vec<Hash>,
}

impl DrawPart {
    /// Checks that the tree that was drawn from is the beginning of the bundle's.
    ///
    /// # Errors
    /// [`BundleError::Draw`] if it is not.
    pub fn check(&self, size: TreeSize, root: &Hash, front: &Front) -> Result<(), BundleError> {
        let wrong = |problem: String| BundleError::Draw { problem };
        consistency::verify(size, root, front.size, &front.root, &self.consistency)
            .map_err(|error| wrong(error.to_string()))
    }
}

/// One proved run.
#[derive(Debug)]
pub struct Proved {
    /// Its place among the runs, from 0.
    pub number: u64,
    /// The run.
    pub run: Run,
    /// Its entries, decoded, with their leaf indices.
    pub entries: Vec<(LeafIndex, Entry)>,
}

/// A bundle that is being read.
pub struct Bundle {
    path: PathBuf,
    identities: Vec<PathBuf>,
}

impl Bundle {
    /// A bundle file, and the age identity files that may open it.
    #[must_use]
    pub fn new(path: &Path, identities: &[PathBuf]) -> Self {
        Self { path: path.to_owned(), identities: identities.to_vec() }
    }

    /// Reads the whole bundle: `front` is given what stands first, and what it returns is handed to `run` with each run, as the
    /// bytes of its member. Whoever takes them checks them with [`Order::prove`].
    ///
    /// # Errors
    /// [`BundleError`] of the file, or whatever the two functions return.
    pub fn read<S, E: From<BundleError>>(
        &self,
        front: impl FnOnce(Front) -> Result<S, E>,
        run: impl FnMut(&mut S, u64, Vec<u8>) -> Result<(), E>,
    ) -> Result<S, E> {
        let file = File::open(&self.path).map_err(|source| BundleError::io(&self.path, source))?;
        let plain = decrypt::plain(BufReader::new(file), &self.identities, &self.path)?;
        let mut decoder =
            zstd::stream::read::Decoder::new(plain).map_err(|e| BundleError::io(&self.path, e))?;
        decoder.window_log_max(WINDOW_LOG_MAX).map_err(|e| BundleError::io(&self.path, e))?;
        read_archive(decoder, &self.path, front, run)
    }
}

/// Reads the archive in a bundle as [`Bundle::read`] does; `path` is what errors call it.
///
/// # Errors
/// As [`Bundle::read`].
pub fn read_archive<S, E: From<BundleError>>(
    archive: impl Read,
    path: &Path,
    front: impl FnOnce(Front) -> Result<S, E>,
    mut run: impl FnMut(&mut S, u64, Vec<u8>) -> Result<(), E>,
) -> Result<S, E> {
    let mut archive = tar::Archive::new(archive);
    let mut parts = Parts::new(&mut archive, path)?;
    let (read, mut pending) = read_front(&mut parts)?;
    let runs = read.header.runs;
    let mut state = front(read)?;
    let mut number = 0;
    while let Some(member) = match pending.take() {
        Some(member) => Some(member),
        None => parts.next()?,
    } {
        if number == runs || !member.name.starts_with(part::RUNS) {
            return Err(BundleError::Unexpected { name: member.name.clone() }.into());
        }
        let bytes = member.bytes(RUN_BYTES_MAX)?;
        run(&mut state, number, bytes)?;
        number += 1;
    }
    if number < runs {
        return Err(BundleError::FewerRuns { expected: runs, found: number }.into());
    }
    parts.finish()?;
    Ok(state)
}

/// Reads up to the first run, which is handed back.
fn read_front<'a, R: Read>(parts: &mut Parts<'a, R>) -> Result<(Front, Option<Member<'a, R>>), BundleError> {
    let header = parts.expect(part::HEADER)?.bytes(HEADER_BYTES_MAX)?;
    let header: Header = serde_json::from_slice(&header)
        .map_err(|error| BundleError::Header { problem: error.to_string() })?;
    let wrong = |problem: &str| BundleError::Header { problem: problem.to_owned() };
    if header.format != FORMAT {
        return Err(wrong("it is of another format; this program reads ledgerstone-bundle/v1"));
    }
    let checkpoint = parts.expect(part::CHECKPOINT)?.bytes(NOTE_BYTES_MAX)?;
    let signed = SignedCheckpoint::parse(&checkpoint).map_err(BundleError::Checkpoint)?;
    let signed = signed.checkpoint();
    let (size, root) = (signed.size, signed.root);
    if header.origin != signed.origin.as_str()
        || header.tree_size != size.get()
        || header.root != root.to_string()
    {
        return Err(wrong("it names another tree than the checkpoint beside it"));
    }
    let policy = parts.expect(part::POLICY)?.bytes(POLICY_BYTES_MAX)?;
    let draw = match &header.selection {
        Selection::Range { .. } => None,
        Selection::Draw { sha256, .. } => {
            let transcript = parts.expect(part::DRAW)?.bytes(crate::audit::DRAW_BYTES_MAX)?;
            if Hash::of(&transcript).to_string() != *sha256 {
                return Err(wrong("the draw in it is not the one that it names"));
            }
            let lines = parts.expect(part::CONSISTENCY)?.bytes(PROOF_HASHES_MAX * 64)?;
            let consistency = hashes(&lines).ok_or_else(|| wrong("the consistency proof does not read"))?;
            Some(DrawPart { transcript, consistency })
        }
    };
    let (models, pending) = parts::models(parts, &header.models)?;
    let (registrations, pending) = parts::registrations(parts, pending, header.registrations, size, &root)?;
    Ok((Front { header, size, root, checkpoint, policy, draw, models, registrations }, pending))
}

fn hashes(lines: &[u8]) -> Option<Vec<Hash>> {
    let text = str::from_utf8(lines).ok()?;
    text.lines().map(|line| Hash::try_from(base64_decode(line).ok()?.as_slice()).ok()).collect()
}

/// The order in which entries must stand in a bundle, and the tree that they must stand in.
#[derive(Clone, Debug)]
pub struct Order {
    size: TreeSize,
    root: Hash,
    next: Next,
    taken: u64,
}

#[derive(Clone, Debug)]
enum Next {
    /// The next leaf index, and the end.
    Range(u64, u64),
    /// The drawn and skipped leaf indices in their order, and how many were seen.
    Listed(Vec<u64>, usize),
}

impl Order {
    /// Of a bundle of consecutive entries; of one of a draw `listed` says which: the drawn ones, then the skipped ones.
    #[must_use]
    pub fn new(front: &Front, listed: Option<Vec<u64>>) -> Self {
        let next = match (&front.header.selection, listed) {
            (Selection::Range { first_index, last_index }, None) => {
                Next::Range(*first_index, last_index.saturating_add(1))
            }
            (_, listed) => Next::Listed(listed.unwrap_or_default(), 0),
        };
        Self { size: front.size, root: front.root, next, taken: 0 }
    }

    /// How many entries there must be.
    #[must_use]
    pub fn entries(&self) -> u64 {
        match &self.next {
            Next::Range(next, end) => self.taken + end.saturating_sub(*next),
            Next::Listed(listed, _) => listed.len() as u64,
        }
    }

    /// How many entries were taken off.
    #[must_use]
    pub const fn taken(&self) -> u64 {
        self.taken
    }

    /// Takes the entries of the next run off the order: `count` of them from leaf index `first`.
    ///
    /// # Errors
    /// [`BundleError::Order`] if they are not the next ones.
    pub fn take(&mut self, first: u64, count: u64) -> Result<(), BundleError> {
        let wrong = |expected: Option<u64>| BundleError::Order { expected, found: first };
        match &mut self.next {
            Next::Range(next, end) => {
                if first != *next || count > end.saturating_sub(*next) {
                    return Err(wrong((*next < *end).then_some(*next)));
                }
                *next += count;
            }
            Next::Listed(listed, seen) => {
                let expected = listed.get(*seen).copied();
                if expected != Some(first) || count != 1 {
                    return Err(wrong(expected));
                }
                *seen += 1;
            }
        }
        self.taken += count;
        Ok(())
    }

    /// Checks that everything that must be there was.
    ///
    /// # Errors
    /// [`BundleError::Order`] if entries are missing at the end.
    pub fn finish(&self) -> Result<(), BundleError> {
        let missing = match &self.next {
            Next::Range(next, end) => (next < end).then_some(*next),
            Next::Listed(listed, seen) => listed.get(*seen).copied(),
        };
        match missing {
            None => Ok(()),
            Some(index) => Err(BundleError::MissingEntry { index }),
        }
    }

    /// Decodes a run and proves it: its entries stand in the tree.
    ///
    /// # Errors
    /// [`BundleError::Run`] if they do not.
    pub fn prove(&self, number: u64, bytes: &[u8]) -> Result<Proved, BundleError> {
        let wrong = |source| BundleError::Run { number, source };
        let run = Run::decode(bytes).map_err(wrong)?;
        let entries = run.verify(self.size, &self.root).map_err(wrong)?;
        Ok(Proved { number, run, entries })
    }
}
