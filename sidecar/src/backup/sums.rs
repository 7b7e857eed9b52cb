//! The list of a backup's files: lines as `sha256sum` writes and checks them.
//!
//! Guarantees: a path that is read leads below the folder of the backup, is written in one way only, and stands once.

use std::collections::BTreeMap;

use ledgerstone::encoding::hex_encode;
use ledgerstone::hash::Hash;

/// Files in one list: tiles, bundles and sealed records of 340 million entries.
pub const FILES_MAX: usize = 4_000_000;

/// Bytes of a path: those of a store are shorter than 100.
const PATH_BYTES_MAX: usize = 256;

/// Bytes of a list: 64 of a digest, two spaces, a path and a line feed for each file.
pub const LIST_BYTES_MAX: u64 = (FILES_MAX * (64 + 2 + PATH_BYTES_MAX + 1)) as u64;

/// Paths with their SHA-256, by path.
pub type Sums = BTreeMap<String, Hash>;

/// The lines for `sums`.
#[must_use]
pub fn write(sums: &Sums) -> String {
    sums.iter().map(|(path, hash)| format!("{}  {path}\n", hex_encode(hash.as_bytes()))).collect()
}

/// The files that `text` lists; nothing if it is no list.
#[must_use]
pub fn read(text: &str) -> Option<Sums> {
    let (mut sums, mut before) = (Sums::new(), "");
    for line in text.strip_suffix('\n')?.split('\n') {
        let (digest, path) = line.split_once("  ")?;
        let digest = ledgerstone::encoding::hex_decode(digest).ok()?;
        // In their order, so that there is one way to write a list.
        if !is_below(path) || path <= before || sums.len() >= FILES_MAX {
            return None;
        }
        before = path;
        sums.insert(path.to_owned(), Hash::from_bytes(digest.try_into().ok()?));
    }
    Some(sums)
}

/// Whether a path names a file below a folder, and in one way only.
fn is_below(path: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-' | b'_'))
            && part != "."
            && part != ".."
    };
    path.len() <= PATH_BYTES_MAX && path.split('/').all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(path: &str) -> String {
        format!("{}  {path}\n", "ab".repeat(32))
    }

    #[test]
    fn reads_what_it_writes() {
        let hash = Hash::of(b"content");
        let sums: Sums = ["000001/store/log.policy", "immutable/log/tile/0/x001/234"]
            .map(|path| (path.to_owned(), hash))
            .into();
        let text = write(&sums);
        assert!(
            text.starts_with("ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73  000001/"),
            "{text}"
        );
        assert_eq!(read(&text), Some(sums));
    }

    #[test]
    fn refuses_what_is_no_list_or_leads_elsewhere() {
        let whole = line("a/b");
        for text in [
            String::new(),
            "\n".to_owned(),
            whole.trim_end().to_owned(),
            format!("{whole}\n"),
            whole.replace("  ", " "),
            whole.to_uppercase(),
            whole.replace("abab", "ab"),
            format!("{whole}{whole}"),
            format!("{}{}", line("b"), line("a")),
            line("/etc/passwd"),
            line("a/../../b"),
            line(".."),
            line("a//b"),
            line("a/"),
            line("./a"),
            line("a b"),
            line("a\\b"),
            line("ä"),
            line(&"a".repeat(257)),
        ] {
            assert_eq!(read(&text), None, "{text:?}");
        }
    }
}
