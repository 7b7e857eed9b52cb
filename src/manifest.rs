//! The manifest of a model folder: every file by name and SHA-256, and the one digest that names them all.
//!
//! Guarantees: the same files give the same root whatever order they were read in; a name is a relative path that stays
//! inside the folder, and stands there once. The root is the subject digest that OpenSSF model signing (OMS, predicate
//! `https://model_signing/signature/v1.0`, method `files`) signs: the SHA-256 of the files' digests, one after another, in
//! the order of their names. It does not bind the names; the list digest does.
//! Does not do: reading files.
//! Specification: `docs/spec/model-manifest.md`.

use core::cmp::Ordering;

use crate::code::Code;
use crate::encoding::cbor::Writer;
use crate::hash::{Hash, StreamHasher};
use crate::limits::{MANIFEST_FILES_MAX, MANIFEST_NAME_BYTES_MAX};

/// What lies at the top of a folder and is not part of the model: what OMS leaves out, and its signature's usual name.
pub const LEFT_OUT: [&str; 5] = [".git", ".gitattributes", ".github", ".gitignore", "model.sig"];

/// First item of the list digest's preimage.
const LIST_DOMAIN: &str = "ledgerstone/manifest/v1";

/// One file of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestFile {
    name: String,
    digest: Hash,
}

impl ManifestFile {
    /// Its path inside the folder, with `/` between the parts.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// SHA-256 of its bytes.
    #[must_use]
    pub const fn digest(&self) -> Hash {
        self.digest
    }
}

/// Every file of a model folder, in the order of their names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest(Vec<ManifestFile>);

impl Manifest {
    /// Takes files in any order.
    ///
    /// # Errors
    /// [`ManifestError`] if there are none or too many, or a name is not a relative path or stands there twice.
    pub fn new(files: impl IntoIterator<Item = (String, Hash)>) -> Result<Self, ManifestError> {
        let mut sorted = Vec::new();
        for (name, digest) in files {
            check_name(&name)?;
            if sorted.len() == MANIFEST_FILES_MAX {
                return Err(ManifestError::TooManyFiles);
            }
            sorted.push(ManifestFile { name, digest });
        }
        sorted.sort_by(|a, b| by_parts(&a.name, &b.name));
        if sorted.is_empty() {
            return Err(ManifestError::Empty);
        }
        if let Some([twice, _]) = sorted.array_windows().find(|[a, b]| a.name == b.name) {
            return Err(ManifestError::Twice { name: twice.name.clone() });
        }
        Ok(Self(sorted))
    }

    /// The files, in the order of their names.
    #[must_use]
    pub fn files(&self) -> &[ManifestFile] {
        &self.0
    }

    /// The digest that names the model.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut stream = StreamHasher::new();
        for file in &self.0 {
            stream.update(file.digest.as_bytes());
        }
        stream.finish()
    }

    /// The digest of the whole list: SHA-256 of the deterministic CBOR array `["ledgerstone/manifest/v1", [[name, digest], ...]]`.
    /// It binds the names too, which the root does not.
    #[must_use]
    pub fn list_digest(&self) -> Hash {
        let mut writer =
            Writer::with_capacity(64 + self.0.iter().map(|file| file.name.len() + 40).sum::<usize>());
        writer.array(2).text(LIST_DOMAIN).array(self.0.len());
        for file in &self.0 {
            writer.array(2).text(&file.name).bytes(file.digest.as_bytes());
        }
        Hash::of(writer.as_bytes())
    }

    /// How the folder `found` differs from this manifest, by name.
    #[must_use]
    pub fn differences(&self, found: &Self) -> Vec<Difference> {
        let mut differences = Vec::new();
        let (mut own, mut others) = (self.0.iter().peekable(), found.0.iter().peekable());
        loop {
            let order = match (own.peek(), others.peek()) {
                (None, None) => return differences,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(a), Some(b)) => by_parts(&a.name, &b.name),
            };
            let a = own.next_if(|_| order.is_le());
            let b = others.next_if(|_| order.is_ge());
            match (a, b) {
                (Some(a), None) => differences.push(Difference::Missing(a.name.clone())),
                (None, Some(b)) => differences.push(Difference::Added(b.name.clone())),
                (Some(a), Some(b)) if a.digest != b.digest => {
                    differences.push(Difference::Changed(a.name.clone()));
                }
                _ => {}
            }
        }
    }
}

/// How one file differs from a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// The manifest names it and it is not there.
    Missing(String),
    /// It is there and the manifest does not name it.
    Added(String),
    /// It has other bytes.
    Changed(String),
}

/// Whether `name`, inside the folder, is one of `left_out` or lies below one.
#[must_use]
pub fn is_below(name: &str, left_out: &[impl AsRef<str>]) -> bool {
    left_out.iter().any(|path| {
        let rest = name.strip_prefix(path.as_ref());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

/// Checks that `name` is a relative path inside a folder, written in its one way.
///
/// # Errors
/// [`ManifestError::Name`] or [`ManifestError::LongName`].
pub fn check_name(name: &str) -> Result<(), ManifestError> {
    if name.len() > MANIFEST_NAME_BYTES_MAX {
        return Err(ManifestError::LongName { bytes: name.len() });
    }
    let inside = |part: &str| !matches!(part, "" | "." | "..") && !part.contains('\0');
    if name.split('/').all(inside) { Ok(()) } else { Err(ManifestError::Name { name: name.to_owned() }) }
}

/// The order of OMS: part by part, so that `a/b` comes before `a.b`; within a part by code point.
fn by_parts(a: &str, b: &str) -> Ordering {
    a.split('/').cmp(b.split('/'))
}

/// Why files do not make a manifest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// No file at all.
    #[error("there is no file: an empty folder is no model")]
    Empty,
    /// More than [`MANIFEST_FILES_MAX`] files.
    #[error("more than {MANIFEST_FILES_MAX} files: name the folder that holds the model and nothing else")]
    TooManyFiles,
    /// A name of more than [`MANIFEST_NAME_BYTES_MAX`] bytes.
    #[error("a name of {bytes} bytes; a path inside a model folder has at most {MANIFEST_NAME_BYTES_MAX}")]
    LongName {
        /// How many there were.
        bytes: usize,
    },
    /// A name that is not a relative path.
    #[error(
        "{name:?} is not a relative path inside the folder: no empty part, no `.`, no `..`, no zero byte"
    )]
    Name {
        /// The name.
        name: String,
    },
    /// One name for two files.
    #[error("{name:?} stands there twice")]
    Twice {
        /// The name.
        name: String,
    },
}

impl ManifestError {
    /// What the reader must do next.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::TooManyFiles | Self::LongName { .. } => Code::Limit,
            _ => Code::Malformed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(files: &[(&str, &str)]) -> Result<Manifest, ManifestError> {
        Manifest::new(files.iter().map(|(name, text)| ((*name).to_owned(), Hash::of(text.as_bytes()))))
    }

    fn names(manifest: &Manifest) -> Vec<&str> {
        manifest.files().iter().map(ManifestFile::name).collect()
    }

    #[test]
    fn sorts_part_by_part_as_the_standard_does() {
        let found =
            manifest(&[("a.b", "y"), ("b", "z"), ("a/b", "x"), ("a/a/c", "w"), ("é", "v"), ("Z", "u")]);
        let found = found.unwrap();
        assert_eq!(names(&found), ["Z", "a/a/c", "a/b", "a.b", "b", "é"]);
        let digests = ["u", "w", "x", "y", "z", "v"].map(|text| *Hash::of(text.as_bytes()).as_bytes());
        assert_eq!(found.root(), Hash::of(&digests.concat()));
    }

    #[test]
    fn the_order_of_reading_does_not_matter() {
        let one = manifest(&[("a", "1"), ("b", "2")]).unwrap();
        assert_eq!(one, manifest(&[("b", "2"), ("a", "1")]).unwrap());
        assert_ne!(one.root(), manifest(&[("a", "2"), ("b", "1")]).unwrap().root());
    }

    #[test]
    fn the_root_does_not_bind_names_and_the_difference_does() {
        let (one, other) =
            (manifest(&[("a", "1"), ("c", "2")]).unwrap(), manifest(&[("b", "1"), ("c", "2")]));
        let other = other.unwrap();
        assert_eq!(one.root(), other.root());
        let found = [Difference::Missing("a".to_owned()), Difference::Added("b".to_owned())];
        assert_eq!(one.differences(&other), found);
    }

    #[test]
    fn says_what_is_missing_added_and_changed() {
        let own = manifest(&[("a", "1"), ("b", "2"), ("d", "4")]).unwrap();
        let found = manifest(&[("b", "other"), ("c", "3"), ("d", "4"), ("e", "5")]).unwrap();
        let names = [
            Difference::Missing("a".to_owned()),
            Difference::Changed("b".to_owned()),
            Difference::Added("c".to_owned()),
            Difference::Added("e".to_owned()),
        ];
        assert_eq!(own.differences(&found), names);
        assert_eq!(own.differences(&own), []);
    }

    #[test]
    fn the_list_digest_binds_the_names_and_the_root_does_not() {
        let own = manifest(&[("a", "1"), ("c", "2")]).unwrap();
        let renamed = manifest(&[("b", "1"), ("c", "2")]).unwrap();
        assert_eq!(own.root(), renamed.root());
        assert_ne!(own.list_digest(), renamed.list_digest());
        let [one, two] = [b"1", b"2"].map(|contents| Hash::of(contents));
        let written = [
            b"\x82\x77ledgerstone/manifest/v1\x82\x82\x61a\x58\x20".as_slice(),
            one.as_bytes(),
            b"\x82\x61c\x58\x20",
            two.as_bytes(),
        ];
        assert_eq!(own.list_digest(), Hash::of(&written.concat()));
    }

    #[test]
    fn refuses_names_that_leave_the_folder_or_have_two_spellings() {
        for name in ["", "/a", "a/", "a//b", "./a", "a/.", "..", "a/../b", "a\0b"] {
            let error = manifest(&[(name, "x")]).unwrap_err();
            assert_eq!(error, ManifestError::Name { name: name.to_owned() });
        }
        let long = "x".repeat(MANIFEST_NAME_BYTES_MAX + 1);
        assert_eq!(manifest(&[(&long, "x")]).unwrap_err().code(), Code::Limit);
        assert_eq!(manifest(&[]), Err(ManifestError::Empty));
        assert_eq!(
            manifest(&[("a", "1"), ("b", "1"), ("a", "2")]),
            Err(ManifestError::Twice { name: "a".to_owned() })
        );
        let many = (0..=MANIFEST_FILES_MAX).map(|at| (at.to_string(), Hash::of(b"")));
        assert_eq!(Manifest::new(many), Err(ManifestError::TooManyFiles));
    }

    #[test]
    fn leaves_out_a_path_and_what_lies_below_it() {
        assert!(
            is_below(".git", &LEFT_OUT)
                && is_below(".git/HEAD", &LEFT_OUT)
                && is_below("model.sig", &LEFT_OUT)
        );
        assert!(!is_below(".gitmodules", &LEFT_OUT) && !is_below("a/.git", &LEFT_OUT));
    }
}
