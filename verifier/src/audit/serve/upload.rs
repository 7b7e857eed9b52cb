//! What arrives of a submission: announced first, then file by file, chunk by chunk.
//!
//! *Guarantees*: no byte more than was announced is written; a file counts only with the length and the SHA-256 that were announced; the
//! chunks come in the one order there is.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Write as _;

use ledgerstone::encoding::hex_decode;
use ledgerstone::hash::{Hash, StreamHasher};
use ledgerstone::proto::ledgerstone_v1 as wire;

use super::ServeError;
use super::folder::{BUNDLE, DESCRIPTION, DRAW, Staged};
use super::record::{FileRef, Submission};
use crate::audit::DRAW_BYTES_MAX;
use crate::recompute::description::DESCRIPTION_BYTES_MAX;

#[cfg(test)]
mod tests;

/// Bytes of one chunk.
pub(super) const CHUNK_BYTES_MAX: usize = 1 << 20;

/// Bytes of a label.
const LABEL_BYTES_MAX: usize = 128;

/// Checks what a submission announces.
///
/// # Errors
/// It makes no sense, or is too large.
pub(super) fn announced(
    start: wire::SubmitRunStart,
    bundle_bytes_max: u64,
) -> Result<Submission, ServeError> {
    let wrong = |problem| ServeError::Submission { problem };
    if start.label.len() > LABEL_BYTES_MAX || start.label.chars().any(char::is_control) {
        return Err(wrong("a label is a line of at most 128 bytes"));
    }
    let inbox = Some(start.inbox_file).filter(|name| !name.is_empty());
    // A file in the inbox takes nothing of what uploads may have.
    let bundle_bytes_max = if inbox.is_some() { u64::MAX } else { bundle_bytes_max };
    let mut bundle = start.bundle.ok_or(wrong("it names no bundle"))?;
    if inbox.is_some() {
        // Whoever names it need not know its length: what counts is the digest.
        bundle.size_bytes = bundle.size_bytes.max(1);
    }
    Ok(Submission {
        bundle: file(bundle, "bundle", bundle_bytes_max)?,
        inbox,
        draw: start.draw.map(|draw| file(draw, "draw", DRAW_BYTES_MAX as u64)).transpose()?,
        description: start
            .description
            .map(|description| file(description, "description", DESCRIPTION_BYTES_MAX as u64))
            .transpose()?,
        label: start.label,
    })
}

/// The digest that was announced.
pub(super) fn digest(file: &FileRef) -> Option<Hash> {
    hex_decode(&file.sha256).ok().and_then(|bytes| Hash::try_from(bytes.as_slice()).ok())
}

fn file(file: wire::AuditFile, name: &'static str, bytes_max: u64) -> Result<FileRef, ServeError> {
    let file = FileRef { sha256: file.sha256, bytes: file.size_bytes };
    if digest(&file).is_none() {
        return Err(ServeError::Submission { problem: "a SHA-256 has 64 digits of lowercase hex" });
    }
    if file.bytes == 0 {
        return Err(ServeError::Submission { problem: "a file has at least one byte" });
    }
    if file.bytes > bytes_max {
        return Err(ServeError::TooLarge { file: name, bytes: file.bytes, bytes_max });
    }
    Ok(file)
}

/// A file that is to come, or is coming.
#[derive(Debug)]
struct Coming {
    what: &'static str,
    name: &'static str,
    announced: FileRef,
    arrived: Option<(File, StreamHasher, u64)>,
}

/// The files of a submission while they arrive.
#[derive(Debug)]
pub(super) struct Upload {
    coming: VecDeque<Coming>,
}

impl Upload {
    /// Everything that was announced is still to come.
    pub(super) fn new(submission: &Submission) -> Self {
        let bundle = Some(&submission.bundle).filter(|_| submission.inbox.is_none());
        let files = [
            ("draw", DRAW, submission.draw.as_ref()),
            ("description", DESCRIPTION, submission.description.as_ref()),
            ("bundle", BUNDLE, bundle),
        ];
        let coming = files.into_iter().filter_map(|(what, name, file)| {
            Some(Coming { what, name, announced: file?.clone(), arrived: None })
        });
        Self { coming: coming.collect() }
    }

    /// Takes a chunk.
    ///
    /// # Errors
    /// It does not belong there, or the file that it completes is another one.
    pub(super) fn take(&mut self, chunk: &[u8], staged: &Staged) -> Result<(), ServeError> {
        let wrong = |problem| ServeError::Submission { problem };
        if chunk.is_empty() || chunk.len() > CHUNK_BYTES_MAX {
            return Err(wrong("a chunk has at least one byte and at most 1 MiB"));
        }
        let coming = self.coming.front_mut().ok_or(wrong("more arrives than was announced"))?;
        let (mut file, mut hash, before) = match coming.arrived.take() {
            Some(arrived) => arrived,
            None => (staged.create(coming.name)?, StreamHasher::new(), 0),
        };
        let after = before + chunk.len() as u64;
        if after > coming.announced.bytes {
            return Err(wrong("a chunk reaches past the end of its file"));
        }
        file.write_all(chunk)?;
        hash.update(chunk);
        if after < coming.announced.bytes {
            coming.arrived = Some((file, hash, after));
            return Ok(());
        }
        file.sync_all()?;
        compare(coming.what, &coming.announced, &hash.finish())?;
        self.coming.pop_front();
        Ok(())
    }

    /// Whether everything arrived.
    ///
    /// # Errors
    /// It did not.
    pub(super) fn finish(&self) -> Result<(), ServeError> {
        match self.coming.front() {
            None => Ok(()),
            Some(_) => Err(ServeError::Submission { problem: "it ended before everything had arrived" }),
        }
    }
}

/// Whether a file is the one that was announced.
///
/// # Errors
/// It is not.
pub(super) fn compare(file: &'static str, announced: &FileRef, found: &Hash) -> Result<(), ServeError> {
    let (announced, found) = (announced.sha256.clone(), found.to_string());
    if announced == found { Ok(()) } else { Err(ServeError::OtherBytes { file, announced, found }) }
}
