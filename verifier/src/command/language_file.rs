//! A language model's bytes, from a GGUF file or a folder of safetensors, for the commands that compute one or change it.
//!
//! Guarantees: what is computed is what was read, with the digest that decisions name it by. Does not do: computing.

use std::path::Path;

use ledgerstone::hash::Hash;

use super::model_folder;
use crate::exit::Refusal;
use crate::recompute::ModelError;
use crate::recompute::neural::gguf::{self, GGUF_BYTES_MAX};
use crate::recompute::neural::{Files, LanguageModel};
use crate::recompute::tamper::Tamper;
use crate::source::read_input;

/// What was read of a model.
pub(super) struct Stored {
    bytes: Bytes,
    /// Of a file its SHA-256, of a folder the root of its manifest.
    pub(super) digest: Hash,
}

enum Bytes {
    File(Vec<u8>),
    Folder(Files),
}

impl Stored {
    /// The bytes of a GGUF file or a folder.
    ///
    /// # Errors
    /// They cannot be read.
    pub(super) fn read(path: &Path) -> Result<Self, Refusal> {
        if path.is_dir() {
            let bytes = Bytes::Folder(model_folder::read_files(path)?);
            return Ok(Self { bytes, digest: model_folder::digest(path)? });
        }
        let bytes = read_input(path, GGUF_BYTES_MAX)?;
        Ok(Self { digest: Hash::of(&bytes), bytes: Bytes::File(bytes) })
    }

    /// Whether it is a file of another format.
    pub(super) fn is_other_file(&self) -> bool {
        matches!(&self.bytes, Bytes::File(bytes) if !bytes.starts_with(b"GGUF"))
    }

    /// The model; `path` is where it was read from.
    ///
    /// # Errors
    /// It is none that is known.
    pub(super) fn load(&self, path: &Path) -> Result<LanguageModel, Refusal> {
        let loaded = match &self.bytes {
            Bytes::File(bytes) => LanguageModel::load(bytes),
            Bytes::Folder(files) => LanguageModel::load_folder(files),
        };
        loaded.map_err(|error| self.refused(path, &error))
    }

    /// The same with its weights changed; none if that changes no byte.
    ///
    /// # Errors
    /// The weights are not found.
    pub(super) fn changed(&self, tamper: Tamper, path: &Path) -> Result<Option<Self>, Refusal> {
        let changed = match &self.bytes {
            Bytes::File(bytes) => {
                gguf::weights(bytes).map(|weights| tamper.change(bytes, &weights).map(Bytes::File))
            }
            Bytes::Folder(files) => tamper.changed(files).map(|files| files.map(Bytes::Folder)),
        };
        let changed = changed.map_err(|error| self.refused(path, &error))?;
        Ok(changed.map(|bytes| Self { bytes, digest: self.digest }))
    }

    fn refused(&self, path: &Path, error: &ModelError) -> Refusal {
        match self.bytes {
            Bytes::Folder(_) => model_folder::refused(path, error),
            Bytes::File(_) => Refusal::new(
                error.code(),
                format_args!("{} cannot be used: {error}", path.display()),
                "Check that this is the GGUF file that was registered as the model; nothing was recomputed.",
            ),
        }
    }
}
