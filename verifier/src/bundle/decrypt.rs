//! The plain archive behind a file: decrypted with age where it is encrypted.

use std::io::{BufRead, Read};
use std::path::{Path, PathBuf};

use super::BundleError;

/// How a file starts that age encrypted.
const AGE_START: &[u8] = b"age-encryption.org/";

/// The archive's own bytes.
pub(super) fn plain<'a>(
    mut file: impl BufRead + 'a,
    identities: &[PathBuf],
    path: &Path,
) -> Result<Box<dyn Read + 'a>, BundleError> {
    let start = file.fill_buf().map_err(|source| BundleError::io(path, source))?;
    if start.starts_with(AGE_START) { decrypted(file, identities, path) } else { Ok(Box::new(file)) }
}

#[cfg(feature = "age")]
fn decrypted<'a>(
    file: impl BufRead + 'a,
    identities: &[PathBuf],
    path: &Path,
) -> Result<Box<dyn Read + 'a>, BundleError> {
    let cannot = |problem: String| BundleError::Decrypt { path: path.to_owned(), problem };
    if identities.is_empty() {
        return Err(cannot("no age identity was given".to_owned()));
    }
    let mut keys: Vec<Box<dyn age::Identity>> = Vec::new();
    for identity in identities {
        let text =
            crate::source::read_input(identity, 64 * 1024).map_err(|error| cannot(error.to_string()))?;
        let text =
            String::from_utf8(text).map_err(|_| cannot(format!("{} is no text", identity.display())))?;
        let lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
        for line in lines {
            let key: Result<age::x25519::Identity, _> = line.trim().parse();
            keys.push(Box::new(key.map_err(|problem| cannot(format!("{}: {problem}", identity.display())))?));
        }
    }
    let decryptor = age::Decryptor::new_buffered(file).map_err(|error| cannot(error.to_string()))?;
    let plain =
        decryptor.decrypt(keys.iter().map(|key| key.as_ref())).map_err(|error| cannot(error.to_string()))?;
    Ok(Box::new(plain))
}

#[cfg(not(feature = "age"))]
fn decrypted<'a>(
    _: impl BufRead + 'a,
    _: &[PathBuf],
    path: &Path,
) -> Result<Box<dyn Read + 'a>, BundleError> {
    let problem = "this program was built without decryption".to_owned();
    Err(BundleError::Decrypt { path: path.to_owned(), problem })
}
