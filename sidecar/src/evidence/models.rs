//! The models of a bundle: folders under the digest of their manifest, single files under their SHA-256.

use std::fs::File;
use std::path::{Path, PathBuf};

use ledgerstone::encoding::hex_encode;
use ledgerstone::evidence::{MODELS_MAX, ModelPart, part};
use ledgerstone::hash::Hash;

use super::ExportError;
use super::archive::Archive;
use crate::models::artifact::{Artifact, ArtifactError, ArtifactFile};

/// One model, hashed.
#[derive(Debug)]
pub(super) struct Model {
    digest: Hash,
    files: Vec<ArtifactFile>,
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
            bytes: self.files.iter().map(|file| file.length).sum(),
        }
    }

    pub(super) fn write(&self, archive: &mut Archive) -> Result<(), ExportError> {
        for ArtifactFile { name, path, length, .. } in &self.files {
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
    let artifact =
        if path.is_dir() { Artifact::Folder(path.to_owned()) } else { Artifact::File(path.to_owned()) };
    let wrong =
        |error: ArtifactError| ExportError::Model { path: path.to_owned(), problem: error.to_string() };
    let (contents, files) = artifact.read_files().map_err(wrong)?;
    Ok(Model { digest: contents.digest, files })
}
