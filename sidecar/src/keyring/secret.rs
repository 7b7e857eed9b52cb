//! Where a PIN or a token comes from: a file, or a variable of the environment.
//!
//! Guarantees: a secret never stands in the configuration or on the command line; it is read anew for each use, so that
//! whoever renews it needs no restart; what was read is wiped when dropped; a file that others can read is refused.

use std::fmt;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use ledgerstone::code::Code;
use zeroize::Zeroizing;

use super::check_mode;

/// Bytes of a file with a secret. A PIN has under 64, a Vault token under 1 kB, a workload's JWT a few kB.
const SECRET_BYTES_MAX: usize = 16 * 1024;

/// Where a secret is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// The one line of a file.
    File(PathBuf),
    /// A variable of the environment.
    Variable(String),
    /// The one line of a file that the platform mounts as it sees fit, often readable for all.
    Platform(PathBuf),
}

impl SecretSource {
    /// Reads it; a line end after it is no part of it.
    ///
    /// # Errors
    /// [`SecretError`] names the place.
    pub fn read(&self) -> Result<Zeroizing<String>, SecretError> {
        match self {
            Self::File(path) => read_file(path, true),
            Self::Platform(path) => read_file(path, false),
            Self::Variable(name) => match std::env::var(name).map(Zeroizing::new) {
                Ok(text) if is_line(&text) => Ok(text),
                Ok(_) => Err(SecretError::NotOneLine { place: self.to_string() }),
                Err(_) => Err(SecretError::Unset { name: name.clone() }),
            },
        }
    }
}

impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) | Self::Platform(path) => path.display().fmt(f),
            Self::Variable(name) => write!(f, "the environment variable {name}"),
        }
    }
}

/// Reads a secret of several lines.
///
/// # Errors
/// As [`SecretSource::read`] of a file.
pub(crate) fn read_lines(path: &Path) -> Result<Zeroizing<String>, SecretError> {
    read_text(path, true)
}

fn read_file(path: &Path, is_private: bool) -> Result<Zeroizing<String>, SecretError> {
    let text = read_text(path, is_private)?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if !is_line(line) {
        return Err(SecretError::NotOneLine { place: path.display().to_string() });
    }
    Ok(Zeroizing::new(line.to_owned()))
}

fn read_text(path: &Path, is_private: bool) -> Result<Zeroizing<String>, SecretError> {
    let place = || path.display().to_string();
    let unreadable =
        |error: std::io::Error| SecretError::Unreadable { place: place(), reason: error.to_string() };
    let file = fs::File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if is_private {
        check_mode(path, &metadata).map_err(|_| SecretError::TooOpen { place: place() })?;
    }
    // Room for all of it, so that growing leaves no copy behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(SECRET_BYTES_MAX + 1));
    file.take(SECRET_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    let text = str::from_utf8(&bytes).ok().filter(|text| text.len() <= SECRET_BYTES_MAX);
    text.map(|text| Zeroizing::new(text.to_owned())).ok_or_else(|| SecretError::NotOneLine { place: place() })
}

fn is_line(text: &str) -> bool {
    !text.is_empty() && !text.contains(char::is_control)
}

/// Why a secret cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// The file cannot be read.
    #[error("cannot read {place}: {reason}; check that it exists and that this user may read it")]
    Unreadable {
        /// The file.
        place: String,
        /// What the operating system says.
        reason: String,
    },
    /// Others could read or change it.
    #[error("others could read or change {place}: run `chmod 600` on it")]
    TooOpen {
        /// The file.
        place: String,
    },
    /// The variable is not set.
    #[error("the environment variable {name} is not set")]
    Unset {
        /// The variable.
        name: String,
    },
    /// It is not one line of text.
    #[error("{place} must hold one line of text, and nothing else")]
    NotOneLine {
        /// Where it was read.
        place: String,
    },
}

impl SecretError {
    /// What the reader must do about it. A file that is not there may be one that is just being replaced.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Unreadable { .. } => Code::Unavailable,
            _ => Code::Misuse,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::super::create_private;
    use super::*;

    fn file(content: &[u8]) -> (tempfile::TempDir, SecretSource) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pin");
        create_private(&path).unwrap().write_all(content).unwrap();
        (folder, SecretSource::File(path))
    }

    #[test]
    fn reads_one_line_with_or_without_its_end() {
        for content in ["a secret", "a secret\n", "a secret\r\n"] {
            assert_eq!(file(content.as_bytes()).1.read().unwrap().as_str(), "a secret");
        }
    }

    #[test]
    fn refuses_what_is_not_one_line_of_text() {
        let long = vec![b'x'; SECRET_BYTES_MAX + 1];
        for content in [b"".as_slice(), b"\n", b"a\nb", b"a\n\n", b"\xff", b"a\0b", &long] {
            let error = file(content).1.read().unwrap_err();
            assert!(matches!(error, SecretError::NotOneLine { .. }), "{error}");
        }
        assert!(file(&long[1..]).1.read().is_ok());
    }

    #[test]
    fn refuses_a_file_that_others_can_read_and_says_which_is_missing() {
        use std::os::unix::fs::PermissionsExt as _;
        let (folder, source) = file(b"pin");
        let path = folder.path().join("pin");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(source.read(), Err(SecretError::TooOpen { .. })));
        fs::remove_file(path).unwrap();
        let error = source.read().unwrap_err();
        assert_eq!(error.code(), Code::Unavailable);
        assert!(error.to_string().contains("/pin: No such file"), "{error}");
    }

    #[test]
    fn a_variable_that_is_not_set_is_named() {
        let error = SecretSource::Variable("LEDGERSTONE_NO_SUCH_PIN".into()).read().unwrap_err();
        assert_eq!(error.to_string(), "the environment variable LEDGERSTONE_NO_SUCH_PIN is not set");
    }
}
