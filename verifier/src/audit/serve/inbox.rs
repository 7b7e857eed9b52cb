//! The inbox: a folder on the node from which bundles are recomputed without an upload.
//!
//! *Guarantees*: a name leads to a file that lies in the inbox itself. *Does not do*: copy the file; whoever writes to the inbox can change it, which
//! the run notices at its end.

use std::fs;
use std::path::{Path, PathBuf};

use super::ServeError;

/// Bytes of a file's name.
const NAME_BYTES_MAX: usize = 255;

/// The file of this name, and its length.
pub(super) fn find(inbox: &Path, name: &str) -> Result<(PathBuf, u64), ServeError> {
    let not_there = || ServeError::NotInInbox { name: name.to_owned() };
    if name.len() > NAME_BYTES_MAX || name.starts_with('.') || name.contains(['/', '\0']) {
        return Err(not_there());
    }
    let path = inbox.join(name);
    let about = fs::symlink_metadata(&path).map_err(|_| not_there())?;
    if about.is_file() { Ok((path, about.len())) } else { Err(not_there()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_file_in_the_inbox_itself_is_found() {
        let desk = tempfile::tempdir().unwrap();
        let inbox = desk.path().join("inbox");
        fs::create_dir_all(inbox.join("folder")).unwrap();
        for (path, text) in
            [("secret", "s"), ("inbox/july.bundle", "four"), ("inbox/.hidden", "h"), ("inbox/folder/in", "i")]
        {
            fs::write(desk.path().join(path), text).unwrap();
        }
        std::os::unix::fs::symlink(desk.path().join("secret"), inbox.join("link")).unwrap();
        assert_eq!(find(&inbox, "july.bundle").unwrap(), (inbox.join("july.bundle"), 4));
        let long = "n".repeat(300);
        for name in [
            "",
            ".",
            "..",
            "../secret",
            "/etc/passwd",
            "folder",
            "folder/in",
            "link",
            ".hidden",
            "none",
            "a\0b",
            &long,
        ] {
            assert!(matches!(find(&inbox, name), Err(ServeError::NotInInbox { .. })), "{name:?}");
        }
    }
}
