//! The journal of a store against its log.
//!
//! Guarantees: every byte of every segment is under a checksum that is recomputed; the segments follow on each other; the
//! tree that they make has the checkpoint's root at the checkpoint's size, and each sealed record in them is the one its
//! entry states. Does not do: repairing; a torn end that never became a record is reported, not touched.
//! Format: `docs/spec/store.md`, section on the journal; read by the code that recovery uses.

use std::path::Path;

use ledgerstone::checkpoint::Checkpoint;
use ledgerstone::code::{CheckName, Code};
use ledgerstone::entry::Entry;
use ledgerstone::hash::Hash;
use ledgerstone::limits::SEGMENT_FILE_BYTES_MAX;
use ledgerstone::merkle::TreeSize;
use ledgerstone::store::batch::Batch;
use ledgerstone::store::journal::{Base, Reader, Tail};
use ledgerstone::verify::{Check, Place};

use crate::output::plural;
use crate::source::{Directory, ReadError, read_input};

/// What the journal says.
pub(super) struct Journal {
    /// The check.
    pub(super) check: Check,
    /// Entries that are committed but lie after the checkpoint.
    pub(super) unpublished: u64,
}

/// Why the journal does not fit, or cannot be judged.
enum Fault {
    Wrong { code: Code, segment: String, offset: Option<u64>, what: String },
    Unreadable(String),
}

/// Checks the journal around the log in `directory`; nothing where that is only the public part.
pub(super) fn check(directory: &Directory, checkpoint: &Checkpoint) -> Option<Journal> {
    let store = directory.store()?;
    let name = CheckName::LogJournal;
    let mut walk = Segments { checkpoint, at: None, batches: 0, meets: false, torn: None };
    Some(match walk.all(store) {
        Ok(()) => Journal { unpublished: walk.unpublished(), check: Check::passed(name, walk.account()) },
        Err(Fault::Unreadable(why)) => {
            Journal { unpublished: 0, check: Check::not_checked(name, format!("{why}.")) }
        }
        Err(Fault::Wrong { code, segment, offset, what }) => {
            let place = Place {
                path: Some(segment),
                bytes: offset.map(|offset| (offset, offset + 1)),
                what,
                leaf_index: None,
            };
            Journal { unpublished: 0, check: Check::failed(name, code, place.to_string()).at([place]) }
        }
    })
}

/// The number in a segment's file name; nothing for any other name.
pub(super) fn segment_number(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".journal")?;
    let number = u64::from_str_radix(digits, 16).ok()?;
    (format!("{number:016x}") == digits).then_some(number)
}

/// The segments read so far.
struct Segments<'a> {
    checkpoint: &'a Checkpoint,
    /// Number of the last segment, and what a record after it would build on.
    at: Option<(u64, Base)>,
    batches: u64,
    /// Whether the tree of the checkpoint's size was among them, with the checkpoint's root.
    meets: bool,
    /// The segment that ends in the remains of a write, and how many bytes they are.
    torn: Option<(String, usize)>,
}

impl Segments<'_> {
    fn all(&mut self, store: &Path) -> Result<(), Fault> {
        let bytes_max = usize::try_from(SEGMENT_FILE_BYTES_MAX).unwrap_or(usize::MAX);
        for number in segments(store)? {
            let path = format!("journal/{number:016x}.journal");
            match read_input(&store.join(&path), bytes_max) {
                Ok(bytes) => self.segment(number, &path, &bytes)?,
                // A running log drops its oldest segments; this one went after it was listed.
                Err(error) if error.is_missing() && self.at.is_none() => {}
                Err(error) => return Err(unreadable(&path, &error)),
            }
        }
        let Some((_, at)) = &self.at else {
            return Err(wrong("journal", None, "There is no segment in the journal."));
        };
        if at.range.size() < self.checkpoint.size {
            let (path, _) = self.torn.clone().unwrap_or_else(|| ("journal".to_owned(), 0));
            let what = format!(
                "The journal ends at {}, but the log signed {}: its end was damaged or cut off.",
                plural(at.range.size().get(), "entry", "entries"),
                plural(self.checkpoint.size.get(), "entry", "entries"),
            );
            return Err(wrong(&path, None, &what));
        }
        if self.meets {
            return Ok(());
        }
        Err(wrong("journal", None, "The journal has no batch that ends where the checkpoint does."))
    }

    /// Reads one segment, header, records and end.
    fn segment(&mut self, number: u64, path: &str, bytes: &[u8]) -> Result<(), Fault> {
        if let Some((torn, _)) = &self.torn {
            return Err(wrong(
                torn,
                None,
                "It ends in the middle of a record, yet another segment follows it.",
            ));
        }
        let origin = Hash::of(self.checkpoint.origin.as_str().as_bytes());
        let mut reader = Reader::open(bytes, &origin).map_err(|error| library(path, error.code(), &error))?;
        let base = &reader.header().base;
        let follows =
            self.at.as_ref().is_none_or(|(last, at)| last.checked_add(1) == Some(number) && at == base);
        if reader.header().number != number || !follows {
            return Err(wrong(path, Some(0), "It does not follow on the segment before it."));
        }
        let range = base.range.clone();
        self.meet(range.size(), range.root(), path)?;
        while let Some(batch) = reader.next_batch().map_err(|error| library(path, error.code(), &error))? {
            self.batches += 1;
            self.meet(batch.size(), batch.root(), path)?;
            sealed_records(&batch, path)?;
        }
        match reader.tail().map_err(|error| library(path, error.code(), &error))? {
            Tail::Clean => {}
            Tail::Torn { bytes, .. } => self.torn = Some((path.to_owned(), bytes)),
            _ => return Err(wrong(path, None, "Its end is of a kind that this version does not know.")),
        }
        self.at = Some((number, reader.at().clone()));
        Ok(())
    }

    /// Compares a tree that the journal states with the checkpoint, if it is of the same size.
    fn meet(&mut self, size: TreeSize, root: Hash, path: &str) -> Result<(), Fault> {
        if size != self.checkpoint.size {
            return Ok(());
        }
        if root != self.checkpoint.root {
            return Err(wrong(path, None, "Its entries are not those that the checkpoint was signed for."));
        }
        self.meets = true;
        Ok(())
    }

    fn unpublished(&self) -> u64 {
        let end = self.at.as_ref().map_or(0, |(_, at)| at.range.size().get());
        end.saturating_sub(self.checkpoint.size.get())
    }

    fn account(&self) -> String {
        let batches = plural(self.batches, "batch", "batches");
        let mut account =
            format!("{batches} in the journal, every checksum right, ending in the signed root.");
        if self.unpublished() > 0 {
            account.push_str(&format!(
                " {} committed after this checkpoint; a later one will cover them.",
                plural(self.unpublished(), "entry was", "entries were")
            ));
        }
        if let Some((path, bytes)) = &self.torn {
            account.push_str(&format!(
                " {path} ends in {bytes} bytes of a write that was interrupted and never counted."
            ));
        }
        account
    }
}

/// The numbers of the segments, in order.
fn segments(store: &Path) -> Result<Vec<u64>, Fault> {
    let folder = store.join("journal");
    let names = std::fs::read_dir(&folder)
        .map_err(|error| Fault::Unreadable(format!("The journal cannot be listed: {error}")))?;
    let mut numbers: Vec<u64> =
        names.filter_map(|entry| segment_number(&entry.ok()?.file_name().to_string_lossy())).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// Holds the sealed records of a batch against its entries.
fn sealed_records(batch: &Batch, path: &str) -> Result<(), Fault> {
    for (index, stored) in (batch.first().get()..).zip(batch.entries()) {
        let stated = Entry::decode(&stored.bytes).ok().and_then(|entry| entry.sealed);
        let fits = stated.map_or(stored.sealed.is_empty(), |stated| {
            stated.length == stored.sealed.len() as u64 && stated.digest == Hash::of(&stored.sealed)
        });
        if !fits {
            let what = format!("The sealed record of entry {index} is not the one that the entry states.");
            return Err(wrong(path, None, &what));
        }
    }
    Ok(())
}

fn wrong(segment: &str, offset: Option<u64>, what: &str) -> Fault {
    Fault::Wrong { code: Code::Inconsistent, segment: segment.to_owned(), offset, what: what.to_owned() }
}

fn library(segment: &str, code: Code, error: &dyn std::error::Error) -> Fault {
    Fault::Wrong { code, segment: segment.to_owned(), offset: None, what: sentence(error) }
}

/// An error's text as a sentence.
fn sentence(error: &dyn std::error::Error) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    format!("{first}{}.", letters.as_str())
}

fn unreadable(path: &str, error: &ReadError) -> Fault {
    if error.is_about_the_data() {
        return wrong(path, None, &format!("{error}."));
    }
    Fault::Unreadable(error.to_string())
}
