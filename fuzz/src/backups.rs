//! What a backup says of itself.

use ledgerstone_sidecar::backup::sums;

/// A list of files is read back from what is written of it, byte for byte, and leads nowhere else.
pub(crate) fn backup_sums(data: &[u8]) -> bool {
    let Some((text, read)) = std::str::from_utf8(data).ok().and_then(|text| Some((text, sums::read(text)?)))
    else {
        return false;
    };
    assert_eq!(sums::write(&read), text, "there is one way to write a list");
    assert!(!read.keys().any(|path| path.starts_with('/') || path.contains("..")));
    true
}
