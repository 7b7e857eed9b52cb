//! The files of a text model, by their names in its folder.
//!
//! *Guarantees*: only the names of [`NAMES`] are ever asked for, each with its bound.
//!
//! *Does not do*: open a path, or name the model; its folder's manifest does.

use std::collections::BTreeMap;

use crate::recompute::error::ModelError;

const MIB: usize = 1 << 20;

/// Bytes of one file of weights: XLM-RoBERTa large has 2.2 GB.
pub const WEIGHTS_BYTES_MAX: usize = 4_000_000_000;

/// Every file that a text model may be read from, with the most bytes of each. XLM-RoBERTa's `tokenizer.json`
/// has 17 MB.
pub const NAMES: [(&str, usize); 10] = [
    ("1_Pooling/config.json", MIB),
    ("config.json", MIB),
    ("generation_config.json", MIB),
    ("head.json", MIB),
    ("head.safetensors", 64 * MIB),
    ("model.safetensors", WEIGHTS_BYTES_MAX),
    ("modules.json", MIB),
    ("sentence_bert_config.json", MIB),
    ("tokenizer.json", 64 * MIB),
    ("tokenizer_config.json", MIB),
];

/// The bytes of a model's files.
#[derive(Clone, Debug, Default)]
pub struct Files(BTreeMap<String, Vec<u8>>);

impl Files {
    /// Asks `read` for each file of [`NAMES`] and its bound, and keeps what there is.
    ///
    /// # Errors
    /// What `read` says of a file that is there and cannot be read.
    pub fn read<E>(mut read: impl FnMut(&str, usize) -> Result<Option<Vec<u8>>, E>) -> Result<Self, E> {
        let mut files = BTreeMap::new();
        for (name, bytes_max) in NAMES {
            if let Some(bytes) = read(name, bytes_max)? {
                files.insert(name.to_owned(), bytes);
            }
        }
        Ok(Self(files))
    }

    /// Takes the files of a model; other names than those of [`NAMES`] are left out.
    ///
    /// # Errors
    /// A file is larger than its bound.
    pub fn new(mut files: BTreeMap<String, Vec<u8>>) -> Result<Self, ModelError> {
        files.retain(|name, _| NAMES.iter().any(|(known, _)| known == name));
        for (name, bytes_max) in NAMES {
            let found = files.get(name).map_or(0, Vec::len);
            if found > bytes_max {
                return Err(ModelError::Limit { what: "bytes in one file", found, max: bytes_max });
            }
        }
        Ok(Self(files))
    }

    /// A file, if the model has it.
    #[must_use]
    pub fn optional(&self, name: &str) -> Option<&[u8]> {
        self.0.get(name).map(Vec::as_slice)
    }

    /// A file that every model has.
    ///
    /// # Errors
    /// It is not there.
    pub fn required(&self, name: &'static str) -> Result<&[u8], ModelError> {
        self.optional(name).ok_or(ModelError::Missing { file: name })
    }

    /// The same files with another one in the place of `name`.
    #[must_use]
    pub fn with(mut self, name: &str, bytes: Vec<u8>) -> Self {
        self.0.insert(name.to_owned(), bytes);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_names_are_left_out() {
        let named = [("config.json", "{}"), ("readme.md", "not part of the model")];
        let files = named.map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec()));
        let files = Files::new(BTreeMap::from(files)).unwrap();
        assert!(files.optional("config.json").is_some());
        assert!(files.optional("readme.md").is_none());
    }

    #[test]
    fn refuses_a_file_above_its_bound() {
        let large = BTreeMap::from([("config.json".to_owned(), vec![b' '; MIB + 1])]);
        assert!(matches!(Files::new(large), Err(ModelError::Limit { max: MIB, .. })));
    }
}
