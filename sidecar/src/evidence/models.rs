//! The models of a bundle: folders under the digest of their manifest, single files under their SHA-256.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use ledgerstone::encoding::hex_encode;
use ledgerstone::evidence::{MODELS_MAX, ModelPart, part};
use ledgerstone::hash::{Hash, StreamHasher};

use super::ExportError;
use super::archive::Archive;

/// Bytes read at once.
const CHUNK: usize = 256 * 1024;

/// One model, hashed.
#[derive(Debug)]
pub(super) struct Model {
    digest: Hash,
    /// Name below the model's folder, where the file lies, its length.
    files: Vec<(String, PathBuf, u64)>,
}

impl Model {
    pub(super) fn digest(&self) -> Hash {
        self.digest
    }

    /// As the header says it.
    pub(super) fn part(&self) -> ModelPart {
        ModelPart {
            digest: hex_encode(self.digest.as_bytes()),
            files: self.files.len() as u64,
            bytes: self.files.iter().map(|(_, _, length)| length).sum(),
        }
    }

    pub(super) fn write(&self, archive: &mut Archive) -> Result<(), ExportError> {
        for (name, path, length) in &self.files {
            let name = format!("{}{}/{name}", part::MODELS, self.digest);
            let file = File::open(path).map_err(|source| ExportError::Io { path: path.clone(), source })?;
            archive.stream(&name, *length, file)?;
        }
        Ok(())
    }
}

/// Reads and hashes every model, by rising digest, each once.
pub(super) fn read_all(paths: &[PathBuf]) -> Result<Vec<Model>, ExportError> {
    if paths.len() > MODELS_MAX {
        let problem = format!("a bundle holds at most {MODELS_MAX} models");
        return Err(ExportError::Model { path: PathBuf::new(), problem });
    }
    let mut models = paths.iter().map(|path| read(path)).collect::<Result<Vec<_>, _>>()?;
    models.sort_by_key(Model::digest);
    models.dedup_by_key(|model| model.digest);
    Ok(models)
}

fn read(path: &Path) -> Result<Model, ExportError> {
    if path.is_dir() {
        return folder(path);
    }
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| wrong(path, "its name is not text"))?;
    let (digest, length) = hash(path)?;
    Ok(Model { digest, files: vec![(name.to_owned(), path.to_owned(), length)] })
}

fn folder(path: &Path) -> Result<Model, ExportError> {
    let mut names = Vec::new();
    list(path, "", &mut names)?;
    names.sort();
    let (mut root, mut files) = (StreamHasher::new(), Vec::new());
    for name in names {
        let file = path.join(&name);
        let (digest, length) = hash(&file)?;
        root.update(digest.as_bytes());
        files.push((name, file, length));
    }
    Ok(Model { digest: root.finish(), files })
}

fn list(folder: &Path, prefix: &str, names: &mut Vec<String>) -> Result<(), ExportError> {
    let io = |source| ExportError::Io { path: folder.to_owned(), source };
    for entry in std::fs::read_dir(folder).map_err(io)? {
        let entry = entry.map_err(io)?;
        let name = entry.file_name();
        let name = name.to_str().ok_or_else(|| wrong(folder, "a file's name is not text"))?;
        let name = format!("{prefix}{name}");
        let kind = entry.file_type().map_err(io)?;
        if kind.is_dir() {
            list(&entry.path(), &format!("{name}/"), names)?;
        } else if kind.is_file() {
            names.push(name);
        } else {
            return Err(wrong(&entry.path(), "it is neither a file nor a folder"));
        }
    }
    Ok(())
}

fn wrong(path: &Path, problem: &str) -> ExportError {
    ExportError::Model { path: path.to_owned(), problem: problem.to_owned() }
}

/// SHA-256 and length of a file.
fn hash(path: &Path) -> Result<(Hash, u64), ExportError> {
    let io = |source| ExportError::Io { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(io)?;
    let (mut hasher, mut length) = (StreamHasher::new(), 0);
    let mut buffer = vec![0; CHUNK];
    loop {
        let read = file.read(&mut buffer).map_err(io)?;
        if read == 0 {
            return Ok((hasher.finish(), length));
        }
        hasher.update(buffer.get(..read).unwrap_or_default());
        length += read as u64;
    }
}
