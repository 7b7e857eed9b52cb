//! The members of the archive, one after the other, and the models among them.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use ledgerstone::entry::Kind;
use ledgerstone::evidence::{MODELS_MAX, ModelPart, Run, part};
use ledgerstone::hash::Hash;
use ledgerstone::manifest::Manifest;
use ledgerstone::merkle::TreeSize;
use ledgerstone::registry::Registrations;

use super::{BundleError, MODELS_BYTES_MAX, ModelFiles};
use crate::recompute::MODEL_BYTES_MAX;

/// Bytes of one registration: an entry and its proof.
const REGISTRATION_BYTES_MAX: usize = 64 * 1024;

/// The members that are left.
pub(super) struct Parts<'a, R: Read> {
    entries: tar::Entries<'a, R>,
    path: PathBuf,
}

/// One member.
pub(super) struct Member<'a, R: Read> {
    pub(super) name: String,
    entry: tar::Entry<'a, R>,
    path: PathBuf,
}

impl<'a, R: Read> Parts<'a, R> {
    pub(super) fn new(archive: &'a mut tar::Archive<R>, path: &Path) -> Result<Self, BundleError> {
        let entries = archive.entries().map_err(|source| BundleError::io(path, source))?;
        Ok(Self { entries, path: path.to_owned() })
    }

    /// The next member, if there is one.
    pub(super) fn next(&mut self) -> Result<Option<Member<'a, R>>, BundleError> {
        let Some(entry) = self.entries.next() else { return Ok(None) };
        let entry = entry.map_err(|source| BundleError::io(&self.path, source))?;
        let name = entry.path_bytes().into_owned();
        let name = String::from_utf8(name).ok().filter(|_| entry.header().entry_type().is_file());
        let name = name.ok_or(BundleError::NotAFile)?;
        Ok(Some(Member { name, entry, path: self.path.clone() }))
    }

    /// The next member, which must be this one.
    pub(super) fn expect(&mut self, name: &'static str) -> Result<Member<'a, R>, BundleError> {
        match self.next()? {
            Some(member) if member.name == name => Ok(member),
            Some(member) => Err(BundleError::Unexpected { name: member.name }),
            None => Err(BundleError::Missing { name }),
        }
    }

    /// Checks that the archive ends in order.
    pub(super) fn finish(mut self) -> Result<(), BundleError> {
        match self.next()? {
            None => Ok(()),
            Some(member) => Err(BundleError::Unexpected { name: member.name }),
        }
    }
}

impl<R: Read> Member<'_, R> {
    /// Its bytes, at most `bytes_max`.
    pub(super) fn bytes(mut self, bytes_max: usize) -> Result<Vec<u8>, BundleError> {
        let size = self.entry.size();
        if size > bytes_max as u64 {
            return Err(BundleError::TooLarge { name: self.name, size, bytes_max });
        }
        let mut bytes = Vec::new();
        self.entry.read_to_end(&mut bytes).map_err(|source| BundleError::io(&self.path, source))?;
        if bytes.len() as u64 != size {
            return Err(BundleError::Truncated { name: self.name });
        }
        Ok(bytes)
    }
}

/// Reads the models, and hands back the first member behind them.
#[expect(clippy::type_complexity, reason = "the pair is taken apart at once")]
pub(super) fn models<'a, R: Read>(
    parts: &mut Parts<'a, R>,
    wanted: &[ModelPart],
) -> Result<(BTreeMap<Hash, ModelFiles>, Option<Member<'a, R>>), BundleError> {
    if wanted.len() > MODELS_MAX {
        return Err(BundleError::Header { problem: format!("it names more than {MODELS_MAX} models") });
    }
    let mut found: BTreeMap<String, ModelFiles> = BTreeMap::new();
    let mut bytes = 0;
    let pending = loop {
        let Some(member) = parts.next()? else { break None };
        let Some((digest, file)) =
            member.name.strip_prefix(part::MODELS).and_then(|name| name.split_once('/'))
        else {
            break Some(member);
        };
        let (digest, file) = (digest.to_owned(), file.to_owned());
        if !wanted.iter().any(|model| model.digest == digest) {
            return Err(BundleError::Unexpected { name: member.name });
        }
        let contents = member.bytes(MODEL_BYTES_MAX)?;
        bytes += contents.len() as u64;
        if bytes > MODELS_BYTES_MAX {
            return Err(BundleError::Models { bytes_max: MODELS_BYTES_MAX });
        }
        found.entry(digest).or_default().insert(file, contents);
    };
    let mut models = BTreeMap::new();
    for model in wanted {
        let files = found.remove(&model.digest).ok_or_else(|| BundleError::Model {
            digest: model.digest.clone(),
            problem: "it is named in the header and does not come along",
        })?;
        let digest = digest(&files, &model.digest).ok_or_else(|| BundleError::Model {
            digest: model.digest.clone(),
            problem: "its files have another digest: it was swapped or changed",
        })?;
        models.insert(digest, files);
    }
    Ok((models, pending))
}

/// The registrations, of which there must be `count`, and the member that stands after them.
pub(super) fn registrations<'a, R: Read>(
    parts: &mut Parts<'a, R>,
    mut pending: Option<Member<'a, R>>,
    count: u64,
    size: TreeSize,
    root: &Hash,
) -> Result<(Registrations, Option<Member<'a, R>>), BundleError> {
    let mut found = Registrations::new();
    for number in 0..count {
        let member = match pending.take() {
            Some(member) => member,
            None => parts.next()?.ok_or(BundleError::Missing { name: part::REGISTRATIONS })?,
        };
        if !member.name.starts_with(part::REGISTRATIONS) {
            return Err(BundleError::Unexpected { name: member.name });
        }
        let run = Run::decode(&member.bytes(REGISTRATION_BYTES_MAX)?);
        let entries = run.and_then(|run| run.verify(size, root));
        for (index, entry) in entries.map_err(|source| BundleError::Run { number, source })? {
            if entry.kind != Kind::Model {
                return Err(BundleError::Header { problem: format!("entry {index} registers no model") });
            }
            found.take(index, &entry).map_err(|error| BundleError::Header { problem: error.to_string() })?;
        }
    }
    Ok((
        found,
        match pending {
            Some(member) => Some(member),
            None => parts.next()?,
        },
    ))
}

/// The digest of a model, if it is the one that is claimed: of a folder that of its manifest, of a single file its SHA-256.
fn digest(files: &ModelFiles, claimed: &str) -> Option<Hash> {
    let root = manifest(files).map(|manifest| manifest.root());
    let single = files.values().next().filter(|_| files.len() == 1).map(|contents| Hash::of(contents));
    [root, single].into_iter().flatten().find(|digest| digest.to_string() == claimed)
}

/// The manifest of a model's files.
#[must_use]
pub fn manifest(files: &ModelFiles) -> Option<Manifest> {
    Manifest::new(files.iter().map(|(name, contents)| (name.clone(), Hash::of(contents)))).ok()
}
