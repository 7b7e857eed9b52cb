//! Puts the upgraded receipt where it belongs.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::command::key_generate::{Secrecy, write_new};
use crate::exit::Refusal;

/// Writes `bytes` to `out`, which must not exist yet, or in place of the receipt at `receipt`.
///
/// # Errors
/// The file cannot be written; then the receipt is as it was.
pub(super) fn receipt(receipt: &Path, out: Option<&Path>, bytes: &[u8]) -> Result<(), Refusal> {
    match out {
        Some(out) => write_new(out, bytes, Secrecy::Secret),
        None if receipt.as_os_str() == "-" => Err(Refusal::usage(
            "a receipt from standard input has no file to replace",
            "Give -o FILE.",
        )),
        None => replace(receipt, bytes).map_err(|error| {
            Refusal::unavailable(
                format_args!("{} cannot be replaced: {error}", receipt.display()),
                "The receipt is as it was. Check that the directory has room and that this user may write there, or give -o FILE.",
            )
        }),
    }
}

/// A whole new file beside the old one, on the disk, then in its place.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // What a link names is replaced, not the link.
    let path = fs::canonicalize(path)?;
    let folder = path.parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf);
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = folder.join(name);
    let written = write(&temporary, &path, bytes);
    if written.is_err() {
        // What is left of a failed write helps nobody; that it may stay does no harm either.
        let _ = fs::remove_file(&temporary);
    }
    written?;
    File::open(&folder)?.sync_all()
}

fn write(temporary: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(temporary)?;
    file.set_permissions(fs::metadata(path)?.permissions())?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(temporary, path)
}
